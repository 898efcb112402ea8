"""The exercises of lesson 02, each in one block: solution, inputs, mistakes, sentences, hints."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import logsigmoid, softplus

from .engine import Exercise, tensors, write_the_check

LOG_2 = math.log(2)
SMOOTHED = (0.7, 0.8, 0.9, 0.95)  # labels that are often taken in the place of 1
SMOOTHING = "The labels of the real samples are smoothed. V has no smoothing: log D(x), with label 1."
LARGE = 40, 720  # logits where 1 - D rounds to 0; where exp(s) is infinite, and D is 0
# exp(s) and sigmoid(s) leave float64 at the same logits: no fact tells them apart
INFINITE = f"At logits of {LARGE[1]} the result is not finite: exp(s) is too large, or sigmoid(s) is 0. Take softplus."
NOT_FINITE = f"At logits of {LARGE[0]}, 1 - sigmoid(s) rounds to 0, and log 0 is -inf. Take softplus, never log 0."
DECISIONS = "These are decisions, 0 or 1. D answers with a probability, which tells how sure it can be."
LOST = "In one half a logarithm is lost, or has another sign or weight. KL(p || m) is p log p - p log m."
UNEQUAL = "The grid has unequal steps, so no single dx fits. Write torch.trapezoid(y, x)."
in_double_precision = partial(Exercise, dtype=torch.float64)


# ---- 02.value


def value(real_logits, fake_logits):
    """Return V(D, G), a scalar, from D's logits (n, 1) on real samples and (m, 1) on fakes."""
    log_D_real = -softplus(-real_logits)  # log sigmoid(s)
    log_not_D_fake = -softplus(fake_logits)  # log(1 - sigmoid(s))
    return log_D_real.mean() + log_not_D_fake.mean()


def logits_of_both(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    rng = np.random.default_rng(seed)
    n, m = rng.permutation([rng.integers(5, 8), rng.integers(10, 13)])
    # Unequal halves tell mistakes apart that weigh them differently; a logit below 0 has no logarithm.
    real, fake = rng.uniform(2, 4.5, (n, 1)), rng.uniform(0, 2, (m, 1))
    real[0], fake[0] = rng.uniform(-2, -1, 2)
    groups: dict[str, list[tuple[Any, ...]]] = {"": [(real, fake), (real[1:2], fake[1:2]), (real[:1], fake[:1])]}
    for size in LARGE:
        groups[str(size)] = [tuple(rng.uniform(size, size + 8, (2, 1)) * [[-1], [1]] for _ in "rf")]
    return groups


def halves(on_real: Any, on_fake: Any) -> Any:
    return lambda r, f: on_real(r).mean() + on_fake(f).mean()


def log_not(s: Tensor) -> Tensor:
    return logsigmoid(-s)


def naive(epsilon: float = 0.0) -> Any:
    return halves(lambda r: torch.log(r.sigmoid() + epsilon), lambda f: torch.log(1 - f.sigmoid() + epsilon))


REST_OF_SUM = (
    lambda r, f: logsigmoid(r).sum() - logsigmoid(r).mean(),
    lambda r, f: log_not(f).sum() - log_not(f).mean(),
)


def log_of_sigmoid(s: Tensor) -> Tensor:
    return torch.log(torch.sigmoid(s))


def log_of_fraction(s: Tensor) -> Tensor:
    return torch.log(s.exp() / (1 + s.exp()))


VALUE = in_double_precision(
    name="02.value",
    task="V(D, G) as one number, from D's logits on real samples (n, 1) and on fakes (m, 1), also for large logits.",
    solution=value,
    inputs=logits_of_both,
    probe=tensors,
    mistakes=[
        (lambda r, f: -value(r, f), "The sign is wrong: this is -V, the loss that D makes small."),
        (lambda r, f: value(r, f) / LOG_2, "The logarithm has base 2. Take the natural one, as softplus does."),
        (lambda r, f: value(r, f) / 2, "This is V/2, the mean of both halves. V is their sum."),
        (lambda r, f: -softplus(torch.cat([-r, f])).mean(), "This is one mean over all. Add the means of both halves."),
        (lambda r, f: logsigmoid(r).sum() + log_not(f).sum(), "These are sums. Take the mean of each half."),
        *(
            (lambda r, f, k=k: value(r, f) + k(r, f), "One half is a sum. Take the mean of each half.")
            for k in REST_OF_SUM
        ),
        (halves(logsigmoid, logsigmoid), "On the fakes this takes log D too. The second half is log(1 - D)."),
        (halves(log_not, log_not), "On the real samples this takes log(1 - D) too. The first half is log D."),
        (halves(log_not, logsigmoid), "Real and fake are swapped: log D belongs to the real samples."),
        (lambda r, f: logsigmoid(r).mean(), "Only the real half is there. Add E log(1 - D) on the fakes."),
        (lambda r, f: log_not(f).mean(), "Only the fake half is there, which G can change. Add E log D(x)."),
        (halves(logsigmoid, softplus), "The sign of the fake half is wrong: both logarithms are below 0."),
        (halves(lambda r: softplus(-r), log_not), "The sign of the real half is wrong: both logarithms are below 0."),
        (lambda r, f: value(r.sigmoid(), f.sigmoid()), "The sigmoid is applied twice: softplus has it inside already."),
        (halves(torch.log, lambda f: torch.log(1 - f)), "You took the logit for a probability. D is sigmoid(s)."),
        (halves(torch.sigmoid, lambda f: 1 - f.sigmoid()), "The logarithm is missing: this is E D + E (1 - D)."),
        (lambda r, f: r.sigmoid().mean().log() + f.neg().sigmoid().mean().log(), "This is log of a mean: log first."),
        *((lambda r, f, a=a: value(r, f) - (1 - a) * r.mean(), SMOOTHING) for a in SMOOTHED),
        (lambda r, f: -F.binary_cross_entropy(r, torch.ones_like(r)), "These are logits, no probabilities."),
        (lambda r, f: (logsigmoid(r) + log_not(f)).mean(), "The batches differ in size. Take the mean of each first."),
        (naive(), NOT_FINITE),
        (halves(log_of_fraction, lambda f: log_of_fraction(-f)), INFINITE),
        (halves(lambda r: r.sigmoid().log(), lambda f: f.neg().sigmoid().log()), INFINITE),
    ],
    otherwise={
        "type": "The function returned an object of type {got}. Return V, one number.",
        "shape": "The result has shape {got}, but V is one number. Write .mean() without an axis, and add.",
        "value": "The result is {got} where V is {expected}. Compare it with E log D(x) + E log(1 - D(G(z))).",
        "value *": "At logits of {group}, V is {got} and not {expected}. No clamp, epsilon or BCE of probabilities.",
        "not finite": "The result is {got}: somewhere a logarithm of 0 or below, or a division 0/0.",
        "not finite *": "At logits of {group} the result is {got}. Take softplus, which is never log 0.",
    },
    praise=lambda inputs, seen: (
        f"V is {seen['value'][0]:.4g} here. A D that always answers 1/2 gets -log 4 = {-math.log(4):.3f}."
    ),
    hints=(
        "V is E log D(x) + E log(1 - D(G(z))) with D = sigmoid(s). Each E is a mean over its own batch.",
        "log sigmoid(s) is -softplus(-s), and log(1 - sigmoid(s)) is -softplus(s). Add the two means.",
    ),
)


# ---- 02.optimal_D


def optimal_D(p, p_g, share_real):
    """Return the best D(x) (n,) for the densities p and p_g (n,), if this share of what D sees is real."""
    real = share_real * p  # the two add up to the density of all that D sees
    fake = (1 - share_real) * p_g
    return real / (real + fake)


def bump(x: np.ndarray, centre: float, half_width: float) -> np.ndarray:
    """A density that is exactly 0 outside of centre +- half_width, and smooth there."""
    u = np.clip((x - centre) / half_width, -1, 1)
    return 35 / 32 / half_width * (1 - u**2) ** 3


def densities_and_share(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    rng = np.random.default_rng(seed)
    (left, right), (width, width_g) = rng.uniform((-1.5, 0.5), (-0.5, 1.5)), rng.uniform((2, 2.5), (2.4, 3))
    # Without the two ends: there both densities would be 0.
    x = np.linspace(left - width, right + width_g, int(rng.integers(33, 60)))[1:-1]
    share = rng.uniform(0.15, 0.35)
    p, p_g, share = bump(x, left, width), bump(x, right, width_g), float(rng.choice([share, 1 - share]))
    both = (p > 0) & (p_g > 0)
    return {"": [(p[both], p_g[both], share)], "edges": [(p, p_g, share)]}


WRONG_SIGNS = (
    lambda p, q, a: a * p / (a * p - (1 - a) * q),
    lambda p, q, a: a * p / ((1 - a) * q - a * p),
    lambda p, q, a: a * p / (a * p - (1 + a) * q),
)
TWICE = (lambda a: (a / (1 - a)) ** 2, lambda a: 2 * a / (1 - a), lambda a: 2 * a)


def odds_of(weight: Any) -> Any:
    """D from the odds weight(share_real) * p / p_g."""
    return lambda p, q, a: weight(a) * p / (weight(a) * p + q)


OPTIMAL_D = in_double_precision(
    name="02.optimal_D",
    task="the best D(x) at each place, for densities p and p_g (n,), if share_real of all samples is real.",
    solution=optimal_D,
    inputs=densities_and_share,
    probe=tensors,
    mistakes=[
        (odds_of(lambda a: 1), "share_real is ignored: p / (p + p_g) is right only if half of all is real."),
        (lambda p, q, a: 1 - optimal_D(p, q, a), "This is upside down: the probability of fake. D(x) is that of real."),
        (lambda p, q, a: q / (p + q), "This is upside down, and share_real is ignored. D(x) is the share of real."),
        (odds_of(lambda a: (1 - a) / a), "The share is at the wrong density: share_real belongs to p."),
        (lambda p, q, a: optimal_D(q, p, a), "p and p_g are swapped: share_real belongs to p, above and below."),
        *(
            (odds_of(w), "The weights of p and p_g do not fit. Weigh p with share_real, and p_g with the rest.")
            for w in TWICE
        ),
        (lambda p, q, a: p / q, "This is the ratio p / p_g, which can exceed 1. Divide by the sum of both parts."),
        (lambda p, q, a: a * p / ((1 - a) * q), "These are the odds, real over fake. Divide by the sum of both parts."),
        *(
            (lambda p, q, a, b=b: torch.logit(optimal_D(p, q, b or a)), "This is the logit, D(x) is its sigmoid.")
            for b in (0, 0.5)
        ),
        *((lambda p, q, a, b=b: (optimal_D(p, q, b or a) > 0.5).double(), DECISIONS) for b in (0, 0.5)),
        (lambda p, q, a: a * p / (p + q), "The share stands in the numerator only. Weigh p and p_g below as well."),
        (lambda p, q, a: p / (a * p + (1 - a) * q), "The share stands in the denominator only. Weigh p above as well."),
        (odds_of(lambda a: a), "p has its share, but p_g has none. Of all samples, 1 - share_real are fakes."),
        (odds_of(lambda a: 1 / (1 - a)), "p_g has its share, but p has none. Of all samples, share_real are real."),
        (odds_of(lambda a: a / (1 + a)), "The share of the fakes is 1 - share_real: what is not real."),
        *((wrong, "One part has the wrong sign. D is a share of a sum.") for wrong in WRONG_SIGNS),
        (lambda p, q, a: -optimal_D(p, q, a), "The sign is wrong: D is a probability, and not below 0."),
        (lambda p, q, a: a * p + (1 - a) * q, "This is the density of all that D sees. Which share of it is real?"),
        (lambda p, q, a: torch.ones_like(p), "This is 1 everywhere. Below stands all that D sees, the fakes too."),
        (lambda p, q, a: a * p, "This is the numerator alone. Divide it by the density of all that D sees."),
    ],
    otherwise={
        "shape": "The result has shape {got}, but D answers at each place. Its shape is {expected}, as that of p.",
        "value": "At one place your D says {got}, and the best answer is {expected}. How much is real there?",
        "not finite": "Where both densities are positive, your D says {got}. D is a share, between 0 and 1.",
        "not finite *": "Where p or p_g is 0 the answer is {got}. Divide by the sum of both parts, which is never 0.",
        "value *": "Where only one density is positive, D is sure: 1 where p_g is 0, and 0 where p is 0.",
    },
    praise=lambda inputs, seen: (
        f"Where p = p_g, the best D says {inputs[''][0][2]:.2f}, the share of real samples. It is 1/2 for equal shares."
    ),
    hints=(
        "Of all that D sees at x, how much is real, and how much is fake? The densities need their shares.",
        "The real part is share_real * p, the fake part (1 - share_real) * p_g. D is real / (real + fake).",
    ),
)


# ---- 02.js_divergence


def js_divergence(p, q, x):
    """Return the Jensen-Shannon divergence, a scalar in nats, of the densities p and q (n,) on the grid x (n,)."""
    m = (p + q) / 2
    kl_p = torch.xlogy(p, p) - torch.xlogy(p, m)  # p log(p/m), and 0 where p is 0
    kl_q = torch.xlogy(q, q) - torch.xlogy(q, m)
    return torch.trapezoid(kl_p + kl_q, x) / 2


def densities_on_grids(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    rng = np.random.default_rng(seed)
    # Over these numbers, varied by 3 %, the values of any two mistakes below stay 1 % apart.
    mean, mean_q, sd, sd_q, bend, length = rng.uniform(0.97, 1.03, 6) * [-0.78, 0.29, 1.05, 1.17, 3.63, 9]
    steps = np.linspace(-1, 1, 2 * int(rng.integers(600, 800)) + 1)  # odd, as Simpson's rule likes it
    # fine in the middle, coarse outside: no single dx fits
    x, x_0 = (half * np.sinh(bend * steps) / np.sinh(bend) for half in (length, 4))
    p, q = (np.exp(-(((x - m) / s) ** 2) / 2) / s / np.sqrt(2 * np.pi) for m, s in ((mean, sd), (mean_q, sd_q)))
    p_0 = bump(x_0, -rng.uniform(0.6, 1), rng.uniform(1.2, 1.6))
    q_0 = bump(x_0, rng.uniform(0.6, 1), rng.uniform(1.7, 2))
    return {"": [(p, q, x)], "gaps": [(p_0, q_0, x_0)]}


def kl(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    return torch.trapezoid(p * torch.log(p / q), x)


def naive_js(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    return (kl(p, (p + q) / 2, x) + kl(q, (p + q) / 2, x)) / 2


BOTH = (lambda p, q, x: kl(p, (p + q) / 2, x), lambda p, q, x: kl(q, (p + q) / 2, x))
ONE = (lambda p, q: p / 2, lambda p, q: q / 2)
# what is lost or added where p log p or p log m is left out, or has another sign
TERMS: list[Any] = [
    lambda p, q, x, c=c, a=a, b=b: c * torch.trapezoid(torch.xlogy((p, q)[a], (p, q, (p + q) / 2)[b]), x) / 2
    for a, b, c in ((0, 0, -1), (0, 0, -2), (0, 2, 1), (0, 2, 2), (1, 1, -1), (1, 1, -2), (1, 2, 1), (1, 2, 2))
]
TERMS += [lambda p, q, x: torch.trapezoid(torch.xlogy(p, (p + q) / 2) - torch.xlogy((p + q) / 2, p), x) / 2]
TERMS += [lambda p, q, x: torch.trapezoid(torch.xlogy(q, (p + q) / 2) - torch.xlogy((p + q) / 2, q), x) / 2]


def js_integrand(p: Tensor, q: Tensor) -> Tensor:
    return torch.special.entr((p + q) / 2) - (torch.special.entr(p) + torch.special.entr(q)) / 2


def js_of_weights(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    return js_integrand(p / p.sum(), q / q.sum()).sum()


def times(factors: tuple[float, ...], function: Any, sentence: str) -> Any:
    return [(lambda p, q, x, c=c: c * function(p, q, x), sentence) for c in factors]


JS_DIVERGENCE = in_double_precision(
    name="02.js_divergence",
    task="the Jensen-Shannon divergence in nats, of densities p and q on places x (n,), which rise in unequal steps.",
    solution=js_divergence,
    inputs=densities_on_grids,
    probe=tensors,
    mistakes=[
        *times((2, 4), js_divergence, "This is twice the divergence or more. Take half of the sum of both KL."),
        *times(
            (1, 2), lambda p, q, x: js_divergence(p, q, x) - LOG_2, "m is (p + q) / 2. Without the half, log 2 is lost."
        ),
        (lambda *pqx: js_divergence(*pqx) - 2 * LOG_2, "m is (p + q) / 2, and not 2 (p + q)."),
        *times(
            (1, 0.5),
            lambda p, q, x: kl(p, (p + q) / 2, x),
            "This is the half of p alone. Add KL(q || m), and take half.",
        ),
        *times(
            (1, 0.5),
            lambda p, q, x: kl(q, (p + q) / 2, x),
            "This is the half of q alone. Add KL(p || m), and take half.",
        ),
        *(
            (lambda *pqx, k=k: js_divergence(*pqx) - k(*pqx), "The sign of one half is wrong. Both KL are added.")
            for k in BOTH
        ),
        *((lambda *pqx, k=k: js_divergence(*pqx) + k(*pqx), LOST) for k in TERMS),
        *(
            (lambda p, q, x, m=m: (kl(p, m(p, q), x) + kl(q, m(p, q), x)) / 2, "m has one density: it is (p + q) / 2.")
            for m in ONE
        ),
        (kl, "This is KL(p || q), which is not symmetric. Compare each density with m = (p + q) / 2."),
        (lambda p, q, x: kl(q, p, x), "This is KL(q || p), which is not symmetric. Compare each density with m."),
        *times(
            (1, 0.5), lambda p, q, x: kl(p, q, x) + kl(q, p, x), "This is the Jeffreys divergence: compare each with m."
        ),
        *times(
            (1, 0.5), lambda p, q, x: kl((p + q) / 2, p, x) + kl((p + q) / 2, q, x), "The arguments of KL are swapped."
        ),
        (lambda p, q, x: js_divergence(p, q, x) / LOG_2, "The logarithm has base 2. For nats take torch.log."),
        (lambda p, q, x: js_divergence(p, q, x).sqrt(), "This is the Jensen-Shannon distance. Leave the root out."),
        *times((1, 1 / LOG_2), js_of_weights, "The sum over weights knows no spacing. Integrate over x."),
        *times(
            (1, LOG_2**-0.5),
            lambda *pqx: js_of_weights(*pqx).sqrt(),
            "This is scipy's jensenshannon: a root, of weights that know no spacing.",
        ),
        (
            lambda p, q, x: js_integrand(p, q).sum(),
            "The spacing is missing: write torch.trapezoid(y, x).",
        ),
        (lambda p, q, x: js_integrand(p, q).mean(), "This is a mean over the places. Integrate: torch.trapezoid."),
        *(
            (lambda p, q, x, dx=dx: js_integrand(p, q).sum() * dx(x.diff()), UNEQUAL)
            for dx in (lambda d: d[0], torch.min, torch.mean)
        ),
        (lambda p, q, x: -js_divergence(p, q, x), "The sign is wrong. Is y first in torch.trapezoid(y, x)?"),
        (
            lambda p, q, x: (kl(p, (p + q) / 2, x) + kl(q, (p + q) / 2, x)) / 2,
            "Where a density is 0, 0 * log 0 or 0/0 is NaN. Write torch.xlogy(p, p) - torch.xlogy(p, m).",
        ),
    ],
    otherwise={
        "type": "The function returned an object of type {got}. Return the divergence, one number.",
        "shape": "The result has shape {got}, but it must be one number. Integrate over x: torch.trapezoid.",
        "value": "The result is {got}, and it must be {expected}. Compare it with (KL(p || m) + KL(q || m)) / 2.",
        "not finite": "The result is {got} although both densities are positive. Look at each logarithm.",
        "not finite *": "Where a density is 0 the result is {got}. Write torch.xlogy(p, p) - torch.xlogy(p, m).",
        "value *": "It is right only where both densities are positive. Where q is 0, p log(p / m) still counts.",
    },
    praise=lambda inputs, seen: (
        f"It is {seen['value'][0]:.4g} nats. The most is log 2 = {LOG_2:.3f}, for densities that never overlap."
    ),
    hints=(
        "Compare each density with their mean m = (p + q) / 2. Where p is 0, its part is 0.",
        "KL(p || m) integrates torch.xlogy(p, p) - torch.xlogy(p, m). torch.trapezoid(y, x) knows the steps.",
    ),
)


# ---- 02.real_mean


def real_mean(fakes, fake_logits):
    """Return the mean of the real data, from fakes (n, 1) and the logits (n, 1) of the best D on them."""
    weights = fake_logits.exp()  # D / (1 - D) = p / p_g
    return (weights * fakes).mean()


def fakes_and_best_logits(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    rng = np.random.default_rng(seed)
    cases: list[tuple[Any, ...]] = []
    for _ in range(2):
        places, counts, p = np.sort(rng.uniform(1, 9, 6)), rng.integers(2, 9, 6), rng.dirichlet(np.full(6, 3.0))
        # each place as often as p_g has it: so the weights p / p_g have mean 1, and may be normalised or not
        logits = np.log(p / (counts / counts.sum()))
        order = rng.permutation(counts.sum())
        cases.append(tuple(np.repeat(a, counts)[order, None] for a in (places, logits)))
    return {"": cases}


def weighted(weight: Any, normalised: int) -> Any:
    return lambda x, s: (weight(s) * x).mean() / (weight(s).mean() if normalised else 1)


REAL_MEAN = in_double_precision(
    name="02.real_mean",
    task="the mean of the real data as one number, from fakes (n, 1) and the logits (n, 1) of the best D on them.",
    solution=real_mean,
    inputs=fakes_and_best_logits,
    probe=tensors,
    mistakes=[
        (
            lambda x, s: x.mean(),
            "This is the mean of the fakes. Give each fake its own weight, of shape (n, 1).",
        ),
        *(
            (weighted(torch.sigmoid, yes), "The weight is D itself. The one that repairs is p / p_g.")
            for yes in (False, True)
        ),
        *(
            (weighted(lambda s: torch.exp(-s), yes), "This is upside down: p_g / p. What looks real counts more.")
            for yes in (0, 1)
        ),
        *(
            (weighted(lambda s: s, yes), "The weight is the logit, the log of a ratio. Take the ratio.")
            for yes in (0, 1)
        ),
        (lambda x, s: x[s > 0].mean(), "This keeps the fakes that D takes for real, whole. Weigh each fake instead."),
        (
            lambda x, s: (s.softmax(0) * x).mean(),
            "These weights have the sum 1 already, so the mean divides a second time. Take the sum.",
        ),
        (lambda x, s: (s.exp() * x).sum(), "This is a sum, so it grows with the number of fakes. Take the mean."),
        (lambda x, s: -(s.exp() * x).mean(), "The sign is wrong: all fakes and all weights are above 0 here."),
        (lambda x, s: s.exp().mean(), "These are the weights alone. Multiply each fake by its weight."),
    ],
    otherwise={
        "type": "The function returned an object of type {got}. Return the mean, one number.",
        "shape": "The result has shape {got}, but a mean is one number. Write .mean() without an axis.",
        "value": "The result is {got}, and the mean of the real data is {expected}. What is D / (1 - D)?",
        "not finite": "The result is {got}: look at each division and logarithm.",
    },
    praise=lambda inputs, seen: (
        f"The fakes have mean {inputs[''][0][0].mean():.3f}, the real data {seen['value'][0]:.3f}. "
        "A perfect D could repair its G without one real sample."
    ),
    hints=(
        "The best D is p / (p + p_g). What is then D / (1 - D)? And what is the integral of x p_g(x) p(x) / p_g(x)?",
        "D / (1 - D) = exp(s) = p / p_g is the weight of a fake. Take the mean of weight times fake.",
    ),
)


# ---- 02.is_value: write the check


def is_value(candidate):
    """Return whether candidate(real_logits, fake_logits) computes V(D, G)."""
    for n, m, size in ((5, 9, 1), (4, 4, 200)):  # batches of unequal size, and large logits
        real_logits, fake_logits = size * torch.randn(n, 1), size * torch.randn(m, 1)
        V = -softplus(-real_logits).mean() - softplus(fake_logits).mean()
        if not torch.isclose(torch.as_tensor(candidate(real_logits, fake_logits)), V):
            return False
    return True


CANDIDATES: list[tuple[Any, str]] = [
    (  # equal to the formula but for the last digits, so that a check with == refuses a right program
        lambda r, f: -((-r.abs()).exp().log1p() + (-r).relu()).mean() - ((-f.abs()).exp().log1p() + f.relu()).mean(),
        "log1p in the place of softplus",
    ),
    (
        lambda r, f: (
            -F.binary_cross_entropy_with_logits(r, torch.ones_like(r))
            - F.binary_cross_entropy_with_logits(f, torch.zeros_like(f))
        ),
        "two cross-entropies, with a minus",
    ),
    (lambda r, f: logsigmoid(r).sum() / len(r) + logsigmoid(-f).sum() / len(f), "sums, each divided by its own number"),
    (lambda r, f: softplus(-r).mean() + softplus(f).mean(), "-V, the loss of D"),
    (lambda r, f: value(r, f) / 2, "V/2, the mean of both halves"),
    (lambda r, f: logsigmoid(r).sum() + log_not(f).sum(), "sums in the place of means"),
    (lambda r, f: torch.cat([logsigmoid(r), log_not(f)]).mean() * 2, "one mean over all samples, doubled"),
    (halves(log_not, logsigmoid), "real and fake swapped"),
    (halves(logsigmoid, logsigmoid), "log D on the fakes too"),
    (naive(1e-8), "an epsilon in the logarithms, which shows at large logits only"),
    (lambda r, f: logsigmoid(r).mean(), "the real half alone"),
]
IS_VALUE = write_the_check(
    CANDIDATES,
    right=3,
    enough=6,
    arguments=("real_logits", "fake_logits"),
    name="02.is_value",
    task="return True if candidate(real_logits, fake_logits) computes V(D, G), and False if not.",
    solution=is_value,
    dtype=torch.float64,
    otherwise={"type": "Your check returned an object of type {got}. Return True or False for each candidate."},
    hints=(
        "Call the candidate on logits of your own, and compare with V from the formula. Which logits show a mistake?",
        "Take batches of unequal size, and also logits of 60 or more. torch.isclose allows for the last digits.",
    ),
)

EXERCISES = [VALUE, OPTIMAL_D, JS_DIVERGENCE, REAL_MEAN, IS_VALUE]
