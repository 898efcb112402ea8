"""The exercises of lesson 02: what each probe looks at, what each verdict says, and one right answer to each."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from .checks import LOGITS, NOT_PROBABILITIES, Check, Mistake, Plain, Verdict, attempted, diagnosis, near, sigmoid

_yes, _no = partial(Verdict, True), partial(Verdict, False)

LOG_2 = float(np.log(2))
# What torch says, and its cause
ERRORS_OF_VALUE = (
    (NOT_PROBABILITIES, f"{LOGITS} softplus."),
    ("must match the size", "The batches differ in size. Take the mean of each half before you add them."),
)


def value(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return V(D, G), a scalar, from D's logits (n, 1) on real samples and (m, 1) on fakes."""
    log_D_real = -softplus(-real_logits)  # log sigmoid(s)
    log_not_D_fake = -softplus(fake_logits)  # log(1 - sigmoid(s))
    return log_D_real.mean() + log_not_D_fake.mean()


def optimal_D(p: torch.Tensor, p_g: torch.Tensor, share_real: float) -> torch.Tensor:
    """Return the best D(x) (n,) for the densities p and p_g (n,), if this share of what D sees is real."""
    real = share_real * p  # the two add up to the density of all that D sees
    fake = (1 - share_real) * p_g
    return real / (real + fake)


def js_divergence(p: torch.Tensor, q: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the Jensen-Shannon divergence, a scalar in nats, of the densities p and q (n,) on the grid x (n,)."""
    m = (p + q) / 2
    kl_p = torch.xlogy(p, p) - torch.xlogy(p, m)  # p log(p/m), and 0 where p is 0
    kl_q = torch.xlogy(q, q) - torch.xlogy(q, m)
    return torch.trapezoid(kl_p + kl_q, x) / 2


def logit_gradients(s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the derivatives (n,) of log(1 - sigmoid(s)) and of -log sigmoid(s), for logits s (n,)."""
    D = torch.sigmoid(s)
    not_D = torch.sigmoid(-s)  # 1 - D
    return -D, -not_D


def _seen(**results: Any) -> Plain:
    """The results as arrays of floats, or the type of the first that holds no numbers."""
    seen: Plain = {"kind": "numbers"}
    for name, result in results.items():
        try:
            seen[name] = _array(result)
        except (TypeError, ValueError):
            return {"kind": type(result).__name__}
    return seen


def _array(result: Any) -> np.ndarray:
    if isinstance(result, torch.Tensor):
        return result.detach().cpu().double().numpy()
    if isinstance(result, tuple | list):
        return np.array([_array(part) for part in result])
    if result is None:  # numpy would make NaN of it
        raise TypeError
    return np.asarray(result, np.float64)


def _inputs_value(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    n, m = rng.permutation([rng.integers(5, 8), rng.integers(10, 13)])
    # Unequal halves tell mistakes apart that weigh them differently; a logit below 0 has no logarithm.
    inputs = {"real": rng.uniform(2, 4.5, (n, 1)), "fake": rng.uniform(0, 2, (m, 1))}
    inputs["real"][0], inputs["fake"][0] = rng.uniform(-2, -1, 2)
    for size, low, high in ((40, 38, 45), (800, 750, 900)):
        for name in ("real", "fake"):
            inputs[f"{name}_{size}"] = rng.uniform(low, high, (2, 1)) * [[-1], [1]]
    return inputs


def _probe_value(answer: Any, inputs: Plain) -> Plain:
    results = {}
    for size in ("", "_40", "_800"):
        try:
            results[f"value{size}"] = attempted(
                answer(torch.tensor(inputs[f"real{size}"]), torch.tensor(inputs[f"fake{size}"]))
            )
        except RuntimeError as error:
            for words, sentence in ERRORS_OF_VALUE:
                if words in str(error):
                    raise Mistake(sentence) from error
            raise
    return _seen(**results)


def _verdict_value(inputs: Plain, observed: Plain) -> Verdict:
    if observed["kind"] != "numbers":
        return _no(f"The function returned an object of type {observed['kind']}. Return V, one number.")
    got, r, f = observed["value"], inputs["real"], inputs["fake"]
    if got.shape != ():
        return _no(f"The result has shape {got.shape}, but V is one number. Write .mean() without an axis, and add.")
    if np.isnan(got):
        return _no("You took the logit for a probability: the logarithm of a negative s is NaN. D is sigmoid(s).")

    def log_D(s: np.ndarray) -> np.ndarray:
        return -np.logaddexp(0, -s)

    R, F = sigmoid(r), sigmoid(f)
    on_real, on_fake = log_D(r).mean(), log_D(-f).mean()
    wanted = on_real + on_fake
    sums = log_D(r).sum() + log_D(-f).sum()
    mistakes = [
        (-wanted, "The sign is wrong: this is -V, the loss that D makes small. V itself is never above 0."),
        (wanted / LOG_2, "The logarithm has base 2. Take the natural one, as torch.log and softplus do."),
        (wanted / 2, "This is V/2, the mean of both halves. V is their sum."),
        (sums / (r.size + f.size), "This is one mean over all samples. Each half has a mean of its own; add the two."),
        (sums, "These are sums over the samples, so they grow with the batch. Take the mean of each half."),
        (on_real + log_D(f).mean(), "On the fakes this takes log D too. The second half is log(1 - D)."),
        (
            on_real + 1 - log_D(f).mean(),
            "On the fakes this is 1 - log D. The 1 stands inside the logarithm: log(1 - D).",
        ),
        (log_D(-r).mean() + on_fake, "On the real samples this takes log(1 - D) too. The first half is log D."),
        (log_D(-r).mean() + log_D(f).mean(), "Real and fake are swapped: log D belongs to the real samples."),
        (on_real, "Only the real half is there. Add E log(1 - D) on the fakes."),
        (on_fake, "This is E log(1 - D) on the fakes alone, the loss of G in the minimax game. Add E log D(x)."),
        (on_real - on_fake, "The sign of the fake half is wrong. V adds both logarithms, and both are below 0."),
        (on_fake - on_real, "The sign of the real half is wrong. V adds both logarithms, and both are below 0."),
        (log_D(R).mean() + log_D(-F).mean(), "The sigmoid is applied twice: softplus and logsigmoid have it inside."),
        (R.mean() + (1 - F).mean(), "The logarithm is missing: this is E D + E (1 - D)."),
    ]
    if not near(got, wanted):
        unknown = f"The result is {got:.4g} where V is {wanted:.4g}. Compare it with E log D(x) + E log(1 - D(G(z)))."
        return _no(diagnosis(got, mistakes, unknown))
    for size, why in ((40, "1 - sigmoid(s) rounds to 0"), (800, "exp(s) overflows, or sigmoid(-s) is 0")):
        if not np.isfinite(observed[f"value_{size}"]):
            return _no(f"At logits of {size} the result is not finite: {why}. Take softplus, which is never log 0.")
    for size in (40, 800):
        got, wide = observed[f"value_{size}"], log_D(inputs[f"real_{size}"]).mean()
        wide += log_D(-inputs[f"fake_{size}"]).mean()
        if not near(got, wide):
            return _no(
                f"V is right for small logits, but at logits of {size} it is {got:.4g} and not {wide:.4g}. "
                "Leave out clamps and epsilons: softplus needs none."
            )
    return _yes(f"V is {wanted:.4g} here. A D that always answers 1/2 gets -log 4 = -1.386.")


def _bump(x: np.ndarray, centre: float, half_width: float) -> np.ndarray:
    """A density that is exactly 0 outside of centre +- half_width, and smooth there."""
    u = np.clip((x - centre) / half_width, -1, 1)
    return 35 / 32 / half_width * (1 - u**2) ** 3


def _inputs_optimal_D(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    (left, right), (width, width_g) = rng.uniform((-1.5, 0.5), (-0.5, 1.5)), rng.uniform((2, 2.5), (2.4, 3))
    # Without the two ends: there both densities would be 0.
    x = np.linspace(left - width, right + width_g, int(rng.integers(33, 60)))[1:-1]
    share = rng.uniform(0.15, 0.35)
    return {
        "p": _bump(x, left, width),
        "p_g": _bump(x, right, width_g),
        "share_real": float(rng.choice([share, 1 - share])),
    }


def _probe_optimal_D(answer: Any, inputs: Plain) -> Plain:
    p, p_g = (torch.tensor(inputs[name]) for name in ("p", "p_g"))
    return _seen(D=attempted(answer(p, p_g, inputs["share_real"])))


def _verdict_optimal_D(inputs: Plain, observed: Plain) -> Verdict:
    p, p_g, share = inputs["p"], inputs["p_g"], inputs["share_real"]
    if observed["kind"] != "numbers":
        return _no(f"The function returned an object of type {observed['kind']}. Return a tensor, D(x) at each place.")
    got = observed["D"]
    if got.shape != p.shape:
        what = "one number" if got.size == 1 else f"of shape {got.shape}"
        return _no(f"The result is {what}, but D answers at each place. Its shape is {p.shape}, as that of p.")
    both = (p > 0) & (p_g > 0)  # elsewhere wrong answers may be infinite
    real, fake = share * p[both], (1 - share) * p_g[both]
    p_b, p_g_b, wanted = p[both], p_g[both], real / (real + fake)
    half = p_b / (p_b + p_g_b)
    other = (1 - share) * p_b / ((1 - share) * p_b + share * p_g_b)
    wrong_side = "The share stands at the wrong density: share_real belongs to p, and 1 - share_real to p_g."
    hard = "These are decisions, 0 or 1. D answers with a probability, which tells how sure it can be."
    mistakes = [
        (half, "share_real is ignored: p / (p + p_g) is right only if half of all samples are real."),
        (1 - wanted, "This is upside down: the probability of fake. D(x) is the probability of real."),
        (1 - half, "This is upside down: p_g / (p + p_g) is the probability of fake. Besides, share_real is ignored."),
        (other, wrong_side),
        (1 - other, f"{wrong_side} Besides, the fraction is upside down."),
        (p_b / p_g_b, "This is the ratio p / p_g, which can exceed 1. Divide by the sum of both parts."),
        (real / fake, "These are the odds, real over fake, which can exceed 1. Divide by the sum of both parts."),
        *(
            (np.log(a / b), "This is the logit, which may be any number. Its sigmoid is the probability D(x).")
            for a, b in ((p_b, p_g_b), (real, fake))
        ),
        *((np.where(a > b, 1.0, 0.0), hard) for a, b in ((p_b, p_g_b), (real, fake))),
        (np.full_like(wanted, 0.5), "This is 1/2 everywhere. The best D says 1/2 only where both parts are equal."),
        (np.full_like(wanted, share), "This is share_real everywhere. It is right only where p equals p_g."),
        (share * half, "The share stands in the numerator only. Weigh p and p_g in the denominator as well."),
        (p_b / (real + fake), "The share stands in the denominator only. Weigh p in the numerator as well."),
        (real / (real + p_g_b), "p has its share, but p_g has none. Of all samples, 1 - share_real are fakes."),
        (real, "This is the numerator alone. Divide it by the density of all that D sees."),
    ]
    if not near(got[both], wanted):
        worst = int(np.argmax(np.abs(np.nan_to_num(got[both]) - wanted)))
        unknown = (
            f"Where p is {p_b[worst]:.3g} and p_g is {p_g_b[worst]:.3g}, your D says {got[both][worst]:.3g}. "
            f"For a share of {share:.2f} the best answer is {wanted[worst]:.3g}."
        )
        return _no(diagnosis(got[both], mistakes, unknown))
    if not np.isfinite(got).all():
        return _no("Where p or p_g is 0 the answer is not finite. Divide by the sum of both parts, which is never 0.")
    if not near(got, (p > 0) * share * p / (share * p + (1 - share) * p_g)):
        return _no("Where only one density is positive, D is sure: 1 where p_g is 0, and 0 where p is 0.")
    return _yes(f"Where p = p_g, the best D says {share:.2f}, the share of real samples. It is 1/2 for equal shares.")


def _inputs_js_divergence(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    # Over these numbers, varied by 3 %, the values of any two mistakes below stay 1 % apart.
    mean, mean_q, sd, sd_q, bend, length = rng.uniform(0.97, 1.03, 6) * [-0.78, 0.29, 1.05, 1.17, 3.63, 9]
    steps = np.linspace(-1, 1, 2 * int(rng.integers(600, 800)) + 1)  # odd, as Simpson's rule likes it
    # fine in the middle, coarse outside: no single dx fits
    x, x_0 = (half * np.sinh(bend * steps) / np.sinh(bend) for half in (length, 4))
    return {
        "p": np.exp(-(((x - mean) / sd) ** 2) / 2) / sd / np.sqrt(2 * np.pi),
        "q": np.exp(-(((x - mean_q) / sd_q) ** 2) / 2) / sd_q / np.sqrt(2 * np.pi),
        "x": x,
        "p_0": _bump(x_0, -rng.uniform(0.6, 1), rng.uniform(1.2, 1.6)),
        "q_0": _bump(x_0, rng.uniform(0.6, 1), rng.uniform(1.7, 2)),
        "x_0": x_0,
    }


def _probe_js_divergence(answer: Any, inputs: Plain) -> Plain:
    results = {}
    for name in ("", "_0"):
        results[f"jsd{name}"] = attempted(answer(*(torch.tensor(inputs[f"{a}{name}"]) for a in "pqx")))
    return _seen(**results)


def _verdict_js_divergence(inputs: Plain, observed: Plain) -> Verdict:
    if observed["kind"] != "numbers":
        return _no(f"The function returned an object of type {observed['kind']}. Return the divergence, one number.")
    got, p, q, x = observed["jsd"], inputs["p"], inputs["q"], inputs["x"]
    if got.shape != ():
        return _no(f"The result has shape {got.shape}, but it must be one number. Integrate over x: torch.trapezoid.")
    m = (p + q) / 2

    def kl(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.trapezoid(a * np.log(a / b), x))

    to_p, to_q, p_to_q, q_to_p = kl(p, m), kl(q, m), kl(p, q), kl(q, p)
    wanted = (to_p + to_q) / 2
    integrand = (p * np.log(p / m) + q * np.log(q / m)) / 2
    p_n, q_n = p / p.sum(), q / q.sum()
    weights = (p_n * np.log(2 * p_n / (p_n + q_n)) + q_n * np.log(2 * q_n / (p_n + q_n))).sum() / 2
    spacing = "The grid has unequal steps, so no single dx fits. Write torch.trapezoid(y, x)."
    no_dx = "The spacing of the grid is missing: a sum is no integral. Write torch.trapezoid(y, x)."
    whole_m = "m is the mean of both densities: (p + q) / 2. Without its 1/2 the result is too small by log 2."
    mistakes = [
        (2 * wanted, "This is KL(p || m) + KL(q || m), twice the divergence. Take half of the sum."),
        (wanted - LOG_2, whole_m),
        (2 * wanted - 2 * LOG_2, f"{whole_m} Besides, take half of the sum of both KL."),
        *((factor * to_p, "This is the half of p alone. Add KL(q || m) before you take half.") for factor in (1, 0.5)),
        *((factor * to_q, "This is the half of q alone. Add KL(p || m) before you take half.") for factor in (1, 0.5)),
        (p_to_q, "This is KL(p || q), which is not symmetric. Compare each density with m = (p + q) / 2."),
        (q_to_p, "This is KL(q || p), which is not symmetric. Compare each density with m = (p + q) / 2."),
        *(
            (factor * (p_to_q + q_to_p), "This compares p with q, the Jeffreys divergence. Compare each with m.")
            for factor in (1, 0.5)
        ),
        *(
            (factor * (kl(m, p) + kl(m, q)), "The arguments of KL are swapped: take KL(p || m), not KL(m || p).")
            for factor in (1, 0.5)
        ),
        (wanted / LOG_2, "The logarithm has base 2. Take the natural one, torch.log, for a result in nats."),
        *(
            (np.sqrt(v), "This is the square root, the Jensen-Shannon distance. Leave the root out.")
            for v in (wanted, wanted / LOG_2)
        ),
        *(
            (v, "This is the divergence of weights that sum to 1. They know no spacing: integrate over x instead.")
            for v in (weights, weights / LOG_2)
        ),
        *(
            (np.sqrt(v), "This is scipy's jensenshannon: a square root, of weights that know no spacing.")
            for v in (weights, weights / LOG_2)
        ),
        (integrand.sum(), no_dx),
        (integrand.mean(), "This is a mean over the places of the grid. Integrate: torch.trapezoid(y, x)."),
        *((integrand.sum() * dx, spacing) for dx in (x[1] - x[0], np.diff(x).min(), np.diff(x).mean())),
        (
            -wanted,
            "The sign is wrong: a divergence is never below 0. Is it log(p / m)? Is y first in torch.trapezoid(y, x)?",
        ),
    ]
    if not near(got, wanted):
        unknown = (
            f"The result is {got:.4g}, and it must be {wanted:.4g}. Compare it with (KL(p || m) + KL(q || m)) / 2."
        )
        return _no(diagnosis(got, mistakes, unknown))
    got, p, q, x = observed["jsd_0"], inputs["p_0"], inputs["q_0"], inputs["x_0"]
    if not np.isfinite(got):
        return _no(
            "Where a density is 0 you get 0 * log 0, or p/m is 0/0: NaN. "
            "Split the logarithm: torch.xlogy(p, p) - torch.xlogy(p, m)."
        )
    parts = [a[a > 0] * np.log(2 * a[a > 0] / (p + q)[a > 0]) for a in (p, q)]
    if not near(got, sum(np.trapezoid(y, x[a > 0]) for y, a in zip(parts, (p, q))) / 2):
        return _no("It is right only where both densities are positive. Where q is 0, p log(p / m) still counts.")
    return _yes(f"It is {wanted:.4g} nats. The most is log 2 = 0.693, for densities that never overlap.")


def _inputs_logit_gradients(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    steep = [-rng.uniform(750, 900), -rng.uniform(38, 45), rng.uniform(38, 45), rng.uniform(750, 900)]
    return {"s": rng.uniform(-3, 4, rng.integers(5, 10)), "steep": np.array(steep)}


def _probe_logit_gradients(answer: Any, inputs: Plain) -> Plain:
    seen = {}
    for name in ("s", "steep"):
        pair = attempted(answer(torch.tensor(inputs[name])))
        sized = isinstance(pair, tuple | list) or (isinstance(pair, torch.Tensor | np.ndarray) and pair.ndim > 0)
        if not sized or len(pair) != 2:
            return {"kind": "no pair"}
        seen[f"{name}_saturating"], seen[f"{name}_non_saturating"] = pair
    return _seen(**seen)


def _verdict_logit_gradients(inputs: Plain, observed: Plain) -> Verdict:
    if observed["kind"] == "no pair":
        return _no("Return a pair of tensors: return saturating, non_saturating.")
    if observed["kind"] != "numbers":
        return _no(f"The pair holds an object of type {observed['kind']}. Return two tensors, as long as s.")
    s = inputs["s"]
    names = ("saturating", "non_saturating")
    for name in names:
        shape = observed[f"s_{name}"].shape
        if shape == (1, *s.shape):
            return _no("torch.autograd.grad returns a tuple. Take its first element: [0].")
        if shape != s.shape:
            what = "one number" if shape in ((), (1,)) else f"of shape {shape}"
            return _no(f"{name} is {what}, but each logit has a derivative. The shape must be {s.shape}.")
    got = np.stack([observed[f"s_{name}"] for name in names])
    D, not_D = sigmoid(s), sigmoid(-s)
    wanted = np.stack([-D, -not_D])
    by_D = "This is the derivative by the probability D. The chain rule adds a factor: dD/ds = D (1 - D)."
    same = "Both derivatives are those of the {} loss. The pair holds one of each."
    slope = "This is D (1 - D), the derivative of the sigmoid itself. The logarithm adds a factor."
    mistakes: list[tuple[Any, str]] = [
        ([-1 / not_D, -1 / D], by_D),
        ([D, not_D], "Both signs are wrong. Each loss falls while s rises, so each derivative is below 0."),
        ([D, -not_D], "The first sign is wrong: log(1 - sigmoid(s)) is -softplus(s), and it falls while s rises."),
        ([-D, not_D], "The second sign is wrong: the inner derivative of softplus(-s) is -1."),
        ([-not_D, -D], "The pair is swapped. The derivative of log(1 - sigmoid(s)) comes first."),
        (wanted / s.size, "This is the gradient of the mean: each number is divided by n. Take .sum() in place of it."),
        *(([sign * D * not_D] * 2, slope) for sign in (1, -1)),
        ([D * not_D, -D * not_D], slope),
        ([-D * not_D, D * not_D], slope),
        ([-D, -D], same.format("saturating")),
        ([-not_D, -not_D], same.format("non-saturating")),
        ([np.log(not_D), -np.log(D)], "These are the losses themselves. Return their derivatives by s."),
        ([np.log(not_D), np.log(D)], "These are log(1 - D) and log D. Return the derivatives of the losses by s."),
        (
            [-D, -D - not_D],
            "The gradients add up in s.grad. Use torch.autograd.grad, or a fresh s for the second loss.",
        ),
        ([D - 1, D], "The pair is swapped, and the sign of the saturating derivative is wrong."),
        ([not_D, D], "The pair is swapped, and both signs are wrong: each loss falls while s rises."),
    ]
    if not near(got, wanted):
        k, place = np.unravel_index(np.argmax(np.abs(np.nan_to_num(got) - wanted)), got.shape)
        unknown = (
            f"At s = {s[place]:.3g} the {names[k]} derivative is {got[k, place]:.4g}. "
            f"It must be {wanted[k, place]:.4g}. Move s by 0.001, and watch the loss."
        )
        return _no(diagnosis(got, mistakes, unknown))
    steep, s = np.stack([observed[f"steep_{name}"] for name in names]), inputs["steep"]
    infinite = s[~np.isfinite(steep).all(0)]
    if infinite.size:
        return _no(
            f"At a logit of {min(infinite, key=abs):.0f} a derivative is not finite: a division by 0, or exp of too "
            "much. Cancel the fraction on paper first, or derive softplus."
        )
    wanted = np.stack([-sigmoid(s), -sigmoid(-s)])
    if not near(steep, wanted):
        k, place = np.unravel_index(np.argmax(np.abs(steep - wanted)), steep.shape)
        return _no(
            f"At a logit of {s[place]:.0f} the {names[k]} derivative is {steep[k, place] + 0:.2g}. "
            f"It must be {wanted[k, place]:.2g}. A clamp, an epsilon or a rounded 1 - D hides it."
        )
    return _yes(
        f"At s = {s[1]:.0f} D is sure of a fake: the saturating derivative is {wanted[0, 1]:.0e}, the other one -1."
    )


CHECKS = [
    Check(
        "02.value",
        "Write value(real_logits, fake_logits): V(D, G) as one number, from D's logits on both batches.",
        ("real_logits", "fake_logits"),
        _inputs_value,
        _probe_value,
        _verdict_value,
        (
            "V is E log D(x) + E log(1 - D(G(z))) with D = sigmoid(s). Each E is a mean over its own batch.",
            "log sigmoid(s) is -softplus(-s), and log(1 - sigmoid(s)) is -softplus(s). Add the two means.",
        ),
        value,
    ),
    Check(
        "02.optimal_D",
        "Write optimal_D(p, p_g, share_real): the best D(x) at each place, if this share of the samples is real.",
        ("p", "p_g", "share_real"),
        _inputs_optimal_D,
        _probe_optimal_D,
        _verdict_optimal_D,
        (
            "Of all that D sees at x, how much is real, and how much is fake? The densities need their shares.",
            "The real part is share_real * p, the fake part (1 - share_real) * p_g. D is real / (real + fake).",
        ),
        optimal_D,
    ),
    Check(
        "02.js_divergence",
        "Write js_divergence(p, q, x): the Jensen-Shannon divergence in nats, from densities on a grid x.",
        ("p", "q", "x"),
        _inputs_js_divergence,
        _probe_js_divergence,
        _verdict_js_divergence,
        (
            "Compare each density with their mean m = (p + q) / 2. Where p is 0, its part is 0.",
            "KL(p || m) integrates torch.xlogy(p, p) - torch.xlogy(p, m). torch.trapezoid(y, x) knows the steps.",
        ),
        js_divergence,
    ),
    Check(
        "02.logit_gradients",
        "Write logit_gradients(s): the derivatives by s of log(1 - sigmoid(s)) and -log sigmoid(s), as a pair.",
        ("s",),
        _inputs_logit_gradients,
        _probe_logit_gradients,
        _verdict_logit_gradients,
        (
            "The derivative of sigmoid(s) is D (1 - D). Use the chain rule, and cancel what you can.",
            "log(1 - sigmoid(s)) is -softplus(s), and softplus has the derivative sigmoid. Now do the same for -s.",
        ),
        logit_gradients,
    ),
]
