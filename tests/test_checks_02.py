"""The checks of lesson 02: each passes what is right, and tells each mistake of a list by a sentence of its own."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import integrate, special
from scipy.spatial.distance import jensenshannon
from torch.nn.functional import logsigmoid, softplus

from ganlib import checks_02, metrics
from ganlib.checks import observe

CHECKS = checks_02.CHECKS
SEEDS = (0, 1, 8)  # a learner meets the first two
NAMES_IN_CODE = ("m", "p", "share_real", "saturating", "non_saturating", "torch.autograd.grad")
LONGEST_SOLUTION = 8  # lines, with that of def and its sentence


def ones(s):
    return torch.ones_like(s)


def zeros(s):
    return torch.zeros_like(s)


def naive_value(r, f, eps=0.0):
    return torch.log(r.sigmoid() + eps).mean() + torch.log(1 - f.sigmoid() + eps).mean()


def value_of(on_real, on_fake):
    return lambda r, f: on_real(r).mean() + on_fake(f).mean()


def bce_of_logits(r, f):
    return -F.binary_cross_entropy(r, ones(r)) - F.binary_cross_entropy(f, zeros(f))


def exp_fraction(s):
    return torch.log(torch.exp(s) / (1 + torch.exp(s)))


def log_not(s):
    return -softplus(s)


def value():
    """The right answers and the mistakes of 02.value."""
    right = {
        "logsigmoid": value_of(logsigmoid, lambda f: logsigmoid(-f)),
        "bce": lambda r, f: (
            -F.binary_cross_entropy_with_logits(r, ones(r)) - F.binary_cross_entropy_with_logits(f, zeros(f))
        ),
        "sums over n": lambda r, f: logsigmoid(r).sum() / len(r) - softplus(f).sum() / len(f),
        "a float": lambda r, f: (logsigmoid(r).mean() - softplus(f).mean()).item(),
        "numpy": lambda r, f: (
            -np.logaddexp(0, -r.numpy()).mean() - np.logaddexp(0, f.numpy()).mean()
        ),
        "float32": lambda r, f: logsigmoid(r.float()).mean() - softplus(f.float()).mean(),
        "with a gradient": lambda r, f: logsigmoid(r.requires_grad_()).mean() - softplus(f).mean(),
    }  # fmt: skip
    wrong = {
        "loss of D": (lambda r, f: softplus(-r).mean() + softplus(f).mean(), "this is -V, the loss that D makes small"),
        "base 2": (lambda r, f: (logsigmoid(r).mean() - softplus(f).mean()) / math.log(2), "base 2"),
        "mean of both halves": (lambda r, f: (logsigmoid(r).mean() - softplus(f).mean()) / 2, "This is V/2"),
        "mean of all": (lambda r, f: logsigmoid(torch.cat([r, -f])).mean(), "one mean over all samples"),
        "sum": (lambda r, f: logsigmoid(r).sum() - softplus(f).sum(), "sums over the samples"),
        "log D on fakes": (value_of(logsigmoid, logsigmoid), "The second half is log(1 - D)"),
        "log(1 - D) on real": (value_of(log_not, log_not), "The first half is log D"),
        "swapped": (lambda r, f: logsigmoid(f).mean() - softplus(r).mean(), "Real and fake are swapped"),
        "real alone": (lambda r, f: logsigmoid(r).mean(), "Only the real half is there"),
        "loss of G": (lambda r, f: -softplus(f).mean(), "the loss of G in the minimax game"),
        "sign of the fake half": (value_of(logsigmoid, softplus), "sign of the fake half"),
        "sign of the real half": (value_of(lambda r: softplus(-r), log_not), "sign of the real half"),
        "sigmoid twice": (
            value_of(lambda r: logsigmoid(r.sigmoid()), lambda f: logsigmoid(-f.sigmoid())),
            "sigmoid is applied twice",
        ),
        "log of logits": (value_of(torch.log, lambda f: torch.log(1 - f)), "You took the logit for a probability"),
        "log of fake logits": (value_of(logsigmoid, lambda f: torch.log(1 - f) * f.log()), "took the logit"),
        "bce of logits": (bce_of_logits, "These are logits, not probabilities: use binary_cross_entropy_with_logits"),
        "added too early": (lambda r, f: (logsigmoid(r) - softplus(f)).mean(), "The batches differ in size. Take"),
        "no logarithm": (lambda r, f: r.sigmoid().mean() + (1 - f.sigmoid()).mean(), "The logarithm is missing"),
        "log of sigmoid": (naive_value, "At logits of 40 the result is not finite: 1 - sigmoid(s) rounds to 0"),
        "exp over 1 + exp": (
            value_of(exp_fraction, lambda f: exp_fraction(-f)),
            "At logits of 800 the result is not finite: exp(s) overflows",
        ),
        "log of both sigmoids": (
            value_of(lambda r: r.sigmoid().log(), lambda f: (-f).sigmoid().log()),
            "At logits of 800 the result is not finite",
        ),
        "epsilon": (lambda r, f: naive_value(r, f, 1e-8), "but at logits of 40 it is"),
        "clamped probability": (
            lambda r, f: (lambda R, F: R.log().mean() + (1 - F).log().mean())(
                *(s.sigmoid().clamp(1e-7, 1 - 1e-7) for s in (r, f))
            ),
            "Leave out clamps and epsilons",
        ),
        "bce of sigmoids": (
            lambda r, f: bce_of_logits(r.sigmoid(), f.sigmoid()),
            "V is right for small logits, but at logits of 40",
        ),
        "clamped logits": (
            lambda r, f: logsigmoid(r.clamp(-60, 60)).mean() - softplus(f.clamp(-60, 60)).mean(),
            "but at logits of 800 it is",
        ),
        "1 outside": (
            lambda r, f: logsigmoid(r).mean() + (1 - logsigmoid(f)).mean(),
            "The 1 stands inside the logarithm",
        ),
        "mean over an axis": (lambda r, f: logsigmoid(r).mean(0) - softplus(f).mean(0), "has shape (1,), but V is one"),
        "no mean": (lambda r, f: logsigmoid(r), "Write .mean() without an axis"),
        "a pair": (
            lambda r, f: (logsigmoid(r.requires_grad_()).mean(), -softplus(f).mean()),
            "has shape (2,), but V is one number",
        ),
        "text": (lambda r, f: "V", "an object of type str. Return V, one number."),
        "one half missing": (lambda r, f: (logsigmoid(r).mean(), None), "an object of type tuple."),
        "least squares": (value_of(lambda r: -((r - 1) ** 2), lambda f: -f.square()), "where V is"),
    }
    return right, wrong


def through_odds(p, p_g, share_real):
    odds = share_real * p / ((1 - share_real) * p_g)
    return odds / (1 + odds)


def with_clamp(p, p_g, share_real):
    D = checks_02.optimal_D(p, p_g, share_real)
    return D.where(p > 0, 0.1)


def optimal_D():
    """The right answers and the mistakes of 02.optimal_D."""
    right = {
        "through the ratio": lambda p, p_g, a: 1 / (1 + (1 - a) * p_g / (a * p)),
        "through logs": lambda p, p_g, a: torch.sigmoid(p.log() - p_g.log() + math.log(a / (1 - a))),
        "numpy": lambda p, p_g, a: a * p.numpy() / (a * p.numpy() + (1 - a) * p_g.numpy()),
        "epsilon below": lambda p, p_g, a: a * p / (a * p + (1 - a) * p_g + 1e-12),
        "a list": lambda p, p_g, a: [
            a * u / (a * u + (1 - a) * v) for u, v in zip(p.tolist(), p_g.tolist())
        ],
        "best response found by a search": lambda p, p_g, a: torch.special.expit(
            torch.special.logit(torch.full_like(p, a)) + torch.log(p / p_g)
        ),
    }  # fmt: skip
    wrong = {
        "upside down": (lambda p, p_g, a: (1 - a) * p_g / (a * p + (1 - a) * p_g), "This is upside down: the prob"),
        "upside down, no share": (lambda p, p_g, a: p_g / (p + p_g), "Besides, share_real is ignored."),
        "share ignored": (lambda p, p_g, a: p / (p + p_g), "share_real is ignored: p / (p + p_g) is right only if"),
        "share at the wrong side": (
            lambda p, p_g, a: (1 - a) * p / ((1 - a) * p + a * p_g),
            "share_real belongs to p, and 1 - share_real to p_g.",
        ),
        "wrong side, upside down": (
            lambda p, p_g, a: a * p_g / ((1 - a) * p + a * p_g),
            "Besides, the fraction is upside down.",
        ),
        "ratio": (lambda p, p_g, a: p / p_g, "This is the ratio p / p_g, which can exceed 1"),
        "odds": (lambda p, p_g, a: a * p / ((1 - a) * p_g), "These are the odds, real over fake"),
        "logit": (lambda p, p_g, a: p.log() - p_g.log(), "This is the logit"),
        "logit with the share": (
            lambda p, p_g, a: p.log() - p_g.log() + math.log(a / (1 - a)),
            "Its sigmoid is the probability D(x)",
        ),
        "hard": (lambda p, p_g, a: p > p_g, "These are decisions, 0 or 1"),
        "hard with the share": (lambda p, p_g, a: (a * p > (1 - a) * p_g).double(), "These are decisions, 0 or 1"),
        "half": (lambda p, p_g, a: torch.full_like(p, 0.5), "This is 1/2 everywhere"),
        "the share": (lambda p, p_g, a: torch.full_like(p, a), "This is share_real everywhere"),
        "share above only": (lambda p, p_g, a: a * p / (p + p_g), "The share stands in the numerator only"),
        "share below only": (lambda p, p_g, a: p / (a * p + (1 - a) * p_g), "The share stands in the denominator only"),
        "no share for p_g": (lambda p, p_g, a: a * p / (a * p + p_g), "p has its share, but p_g has none"),
        "not divided": (lambda p, p_g, a: a * p, "This is the numerator alone"),
        "one number": (lambda p, p_g, a: checks_02.optimal_D(p, p_g, a).mean(), "The result is one number, but D"),
        "a column": (lambda p, p_g, a: checks_02.optimal_D(p, p_g, a)[:, None], "The result is of shape ("),
        "all pairs": (lambda p, p_g, a: a * p / (a * p + (1 - a) * p_g[:, None]), "D answers at each place"),
        "through odds": (through_odds, "Where p or p_g is 0 the answer is not finite"),
        "unsure where p is 0": (with_clamp, "Where only one density is positive, D is sure: 1 where p_g is 0"),
        "text": (lambda p, p_g, a: "D", "an object of type str. Return a tensor"),
        "difference": (lambda p, p_g, a: (p - p_g).sigmoid(), "the best answer is"),
    }
    return right, wrong


def m_of(p, q):
    return (p + q) / 2


def integrand(p, q, base=None):
    m = m_of(p, q) if base is None else base
    return (torch.xlogy(p, p) - torch.xlogy(p, m) + torch.xlogy(q, q) - torch.xlogy(q, m)) / 2


def jsd(p, q, x):
    return torch.trapezoid(integrand(p, q), x)


def kl(a, b, x):
    return torch.trapezoid(a * torch.log(a / b), x)


def by_masks(p, q, x):
    m = m_of(p, q)
    parts = [torch.trapezoid(a[a > 0] * torch.log(a[a > 0] / m[a > 0]), x[a > 0]) for a in (p, q)]
    return sum(parts).item() / 2


def common_support_alone(p, q, x):
    both = (p > 0) & (q > 0)
    return torch.trapezoid(integrand(p, q).where(both, 0.0), x)


def js_divergence():
    """The right answers and the mistakes of 02.js_divergence."""
    right = {
        "metrics": metrics.js_divergence,
        "left Riemann sum": lambda p, q, x: (integrand(p, q)[:-1] * x.diff()).sum(),
        "midpoints": lambda p, q, x: (integrand(*((a[1:] + a[:-1]) / 2 for a in (p, q))) * x.diff()).sum(),
        "surroundings": lambda p, q, x: (integrand(p, q) * torch.gradient(x)[0]).sum(),
        "Simpson": lambda p, q, x: integrate.simpson(integrand(p, q).numpy(), x=x.numpy()),
        "rel_entr": lambda p, q, x: np.trapezoid(
            sum(special.rel_entr(a.numpy(), m_of(p, q).numpy()) for a in (p, q)) / 2, x.numpy()
        ),
        "nan_to_num": lambda p, q, x: (
            torch.trapezoid(
                (p * torch.log(p / m_of(p, q))).nan_to_num() + (q * torch.log(q / m_of(p, q))).nan_to_num(), x
            )
            / 2
        ),
        "epsilon": lambda p, q, x: (
            sum(torch.trapezoid(a * torch.log((a + 1e-12) / (m_of(p, q) + 1e-12)), x) for a in (p, q)) / 2
        ),
        "masks": by_masks,
        "entropies": lambda p, q, x: torch.trapezoid(
            torch.special.entr(m_of(p, q)) - (torch.special.entr(p) + torch.special.entr(q)) / 2, x
        ),
    }
    wrong = {
        "no half": (lambda p, q, x: 2 * jsd(p, q, x), "twice the divergence"),
        "m without its half": (lambda p, q, x: torch.trapezoid(integrand(p, q, p + q), x), "too small by log 2."),
        "no half at all": (lambda p, q, x: 2 * torch.trapezoid(integrand(p, q, p + q), x), "Besides, take half"),
        "p alone": (lambda p, q, x: kl(p, m_of(p, q), x), "This is the half of p alone"),
        "half of p alone": (lambda p, q, x: kl(p, m_of(p, q), x) / 2, "This is the half of p alone"),
        "q alone": (lambda p, q, x: kl(q, m_of(p, q), x), "This is the half of q alone"),
        "half of q alone": (lambda p, q, x: kl(q, m_of(p, q), x) / 2, "This is the half of q alone"),
        "KL": (kl, "This is KL(p || q), which is not symmetric"),
        "KL of metrics": (metrics.kl_divergence, "This is KL(p || q), which is not symmetric"),
        "KL the other way": (lambda p, q, x: kl(q, p, x), "This is KL(q || p), which is not symmetric"),
        "Jeffreys": (lambda p, q, x: (kl(p, q, x) + kl(q, p, x)) / 2, "the Jeffreys divergence"),
        "Jeffreys without half": (lambda p, q, x: kl(p, q, x) + kl(q, p, x), "the Jeffreys divergence"),
        "swapped KL": (lambda p, q, x: (kl(m_of(p, q), p, x) + kl(m_of(p, q), q, x)) / 2, "arguments of KL are swa"),
        "swapped KL without half": (
            lambda p, q, x: kl(m_of(p, q), p, x) + kl(m_of(p, q), q, x),
            "take KL(p || m), not KL(m || p)",
        ),
        "base 2": (lambda p, q, x: jsd(p, q, x) / math.log(2), "The logarithm has base 2"),
        "root": (lambda p, q, x: jsd(p, q, x).sqrt(), "Leave the root out"),
        "root in base 2": (lambda p, q, x: (jsd(p, q, x) / math.log(2)).sqrt(), "Leave the root out"),
        "jensenshannon": (lambda p, q, x: jensenshannon(p, q), "This is scipy's jensenshannon"),
        "jensenshannon in base 2": (lambda p, q, x: jensenshannon(p, q, base=2), "This is scipy's jensenshannon"),
        "jensenshannon squared": (lambda p, q, x: jensenshannon(p, q) ** 2, "weights that sum to 1"),
        "jensenshannon squared in base 2": (lambda p, q, x: jensenshannon(p, q, base=2) ** 2, "weights that sum to 1"),
        "no spacing": (lambda p, q, x: integrand(p, q).sum(), "The spacing of the grid is missing"),
        "trapezoid without x": (lambda p, q, x: torch.trapezoid(integrand(p, q)), "The spacing of the grid is missing"),
        "mean": (lambda p, q, x: integrand(p, q).mean(), "This is a mean over the places"),
        "first dx": (lambda p, q, x: integrand(p, q).sum() * (x[1] - x[0]), "The grid has unequal steps"),
        "last dx": (lambda p, q, x: torch.trapezoid(integrand(p, q), dx=(x[-1] - x[-2]).item()), "unequal steps"),
        "smallest dx": (lambda p, q, x: integrand(p, q).sum() * x.diff().min(), "unequal steps"),
        "mean dx": (lambda p, q, x: integrand(p, q).sum() * (x[-1] - x[0]) / (len(x) - 1), "unequal steps"),
        "length over n": (lambda p, q, x: integrand(p, q).sum() * (x[-1] - x[0]) / len(x), "unequal steps"),
        "minus": (lambda p, q, x: -jsd(p, q, x), "The sign is wrong: a divergence is never below 0"),
        "trapezoid of x": (
            lambda p, q, x: torch.trapezoid(x, (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()) / 2),
            "Is y first in torch.trapezoid(y, x)?",
        ),
        "xlogy of the ratio": (
            lambda p, q, x: torch.trapezoid(torch.xlogy(p, 2 * p / (p + q)) + torch.xlogy(q, 2 * q / (p + q)), x) / 2,
            "Split the logarithm",
        ),
        "0 log 0": (
            lambda p, q, x: (kl(p, m_of(p, q), x) + kl(q, m_of(p, q), x)) / 2,
            "Where a density is 0 you get 0 * log 0, or p/m is 0/0: NaN",
        ),
        "common support": (common_support_alone, "It is right only where both densities are positive"),
        "not integrated": (lambda p, q, x: integrand(p, q), "Integrate over x: torch.trapezoid"),
        "text": (lambda p, q, x: "JSD", "an object of type str. Return the divergence"),
        "L1": (lambda p, q, x: torch.trapezoid((p - q).abs(), x), "Compare it with (KL(p || m) + KL(q || m)) / 2"),
    }
    return right, wrong


def by_autograd(first, second):
    """The derivatives of two losses, as autograd finds them."""

    def logit_gradients(s):
        s = s.clone().requires_grad_()
        return tuple(torch.autograd.grad(loss(s).sum(), s)[0] for loss in (first, second))

    return logit_gradients


def on_the_leaf(s):
    s.requires_grad_()
    (-softplus(s)).sum().backward()
    first, s.grad = s.grad, None
    softplus(-s).sum().backward()
    return first, s.grad


def with_func(s):
    return [torch.func.vmap(torch.func.grad(loss))(s) for loss in (log_not, lambda t: softplus(-t))]


def naive_saturating(s):
    return torch.log(1 - s.sigmoid())


def grad_tuples(s):
    s = s.clone().requires_grad_()
    return torch.autograd.grad(-softplus(s).sum(), s), torch.autograd.grad(softplus(-s).sum(), s)


def added_up(s):
    s = s.clone().requires_grad_()
    (-softplus(s)).sum().backward()
    first = s.grad.clone()
    softplus(-s).sum().backward()
    return first, s.grad


def pair(first, second):
    return lambda s: (first(s), second(s))


def logit_gradients():
    """The right answers and the mistakes of 02.logit_gradients."""
    sig = torch.sigmoid
    right = {
        "1 - sigmoid": lambda s: (-sig(s), sig(s) - 1),
        "autograd": by_autograd(log_not, lambda s: softplus(-s)),
        "autograd of bce": by_autograd(
            lambda s: -F.binary_cross_entropy_with_logits(s, zeros(s), reduction="sum"),
            lambda s: F.binary_cross_entropy_with_logits(s, ones(s), reduction="sum"),
        ),
        "backward": on_the_leaf,
        "functional": with_func,
        "stacked": lambda s: torch.stack([-sig(s), -sig(-s)]),
        "numpy": lambda s: (-special.expit(s.numpy()), -special.expit(-s.numpy())),
        "with a gradient": lambda s: tuple(-sig(t) for t in (s.requires_grad_(), -s)),
        "float32": lambda s: (-sig(s.float()), -sig(-s.float())),
        "a list of lists": lambda s: [(-sig(s)).tolist(), (-sig(-s)).tolist()],
    }
    wrong = {
        "by D": (lambda s: (-1 / (1 - sig(s)), -1 / sig(s)), "This is the derivative by the probability D"),
        "magnitudes": (lambda s: (sig(s), sig(-s)), "Both signs are wrong"),
        "softplus without its sign": (by_autograd(softplus, lambda s: softplus(-s)), "The first sign is wrong"),
        "inner derivative forgotten": (lambda s: (-sig(s), sig(-s)), "The second sign is wrong: the inner derivative"),
        "log D without its sign": (by_autograd(log_not, logsigmoid), "The second sign is wrong"),
        "swapped": (lambda s: (-sig(-s), -sig(s)), "The pair is swapped. The derivative of log(1"),
        "gradients added up": (added_up, "The gradients add up in s.grad"),
        "swapped, one sign": (lambda s: (-sig(-s), sig(s)), "and the sign of the saturating derivative is wrong"),
        "swapped, both signs": (lambda s: (sig(-s), sig(s)), "The pair is swapped, and both signs are wrong"),
        "mean": (lambda s: (-sig(s) / len(s), -sig(-s) / len(s)), "each number is divided by n"),
        "slope of the sigmoid": (
            lambda s: (sig(s) * sig(-s), sig(s) * sig(-s)),
            "the derivative of the sigmoid itself",
        ),
        "slope with a sign": (lambda s: (-sig(s) * sig(-s), sig(s) * sig(-s)), "derivative of the sigmoid itself"),
        "slope with the other sign": (by_autograd(sig, lambda s: -sig(s)), "derivative of the sigmoid itself"),
        "slope with both signs": (
            by_autograd(lambda s: -sig(s), lambda s: -sig(s)),
            "derivative of the sigmoid itself",
        ),
        "saturating twice": (lambda s: (-sig(s), -sig(s)), "Both derivatives are those of the saturating loss"),
        "non-saturating twice": (lambda s: (-sig(-s), -sig(-s)), "those of the non-saturating loss"),
        "losses": (lambda s: (-softplus(s), softplus(-s)), "These are the losses themselves"),
        "logs": (lambda s: (-softplus(s), -softplus(-s)), "These are log(1 - D) and log D"),
        "naive autograd": (
            by_autograd(naive_saturating, lambda s: softplus(-s)),
            "a derivative is not finite: a division by 0",
        ),
        "naive fraction": (lambda s: (-1 / (1 - sig(s)) * sig(s) * (1 - sig(s)), -sig(-s)), "derivative is not finite"),
        "exp over 1 + exp": (
            lambda s: (-s.exp() / (1 + s.exp()), -1 / (1 + s.exp())),
            "a derivative is not finite: a division by 0, or exp of too much",
        ),
        "epsilon": (
            by_autograd(lambda s: torch.log(1 - sig(s) + 1e-8), lambda s: -torch.log(sig(s) + 1e-8)),
            "A clamp, an epsilon or a rounded 1 - D hides it",
        ),
        "clamped": (
            by_autograd(lambda s: -softplus(s.clamp(-20, 20)), lambda s: softplus(-s.clamp(-20, 20))),
            "A clamp, an epsilon",
        ),
        "clamped at 60": (
            lambda s: (-sig(s).where(s < 60, 0.0), -sig(-s)),
            "the saturating derivative is 0. It must be -1.",
        ),
        "sums": (lambda s: (-sig(s).sum(), -sig(-s).sum()), "saturating is one number, but each logit has"),
        "second is a mean": (lambda s: (-sig(s), -sig(-s).mean()), "non_saturating is one number"),
        "columns": (lambda s: (-sig(s)[:, None], -sig(-s)[:, None]), "saturating is of shape ("),
        "tuples of autograd": (grad_tuples, "torch.autograd.grad returns a tuple"),
        "one tensor": (lambda s: -sig(s), "Return a pair of tensors"),
        "one number": (lambda s: 0.5, "Return a pair of tensors"),
        "a scalar tensor": (lambda s: s.sum(), "Return a pair of tensors"),
        "three": (lambda s: (s, s, s), "Return a pair of tensors"),
        "half a stub": (lambda s: (-sig(s), None), "The pair holds an object of type NoneType"),
        "graph without backward": (lambda s: (-sig(s), "b"), "The pair holds an object of type str"),
        "second finite difference": (pair(lambda s: -sig(s), lambda s: -sig(-s) * 1.1), "Move s by 0.001"),
    }
    return right, wrong


LISTS = {
    "02.value": value(),
    "02.optimal_D": optimal_D(),
    "02.js_divergence": js_divergence(),
    "02.logit_gradients": logit_gradients(),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_inputs_and_observations_are_in_double_precision(check):
    for seen in [*check.inputs(5).values(), *observe(check, check.solution, 3).values()]:
        assert type(seen) in (bool, int, float, str) or seen.dtype == np.float64


@pytest.mark.parametrize("seed", range(20))
def test_the_inputs_let_no_mistake_through(seed):
    inputs = {check.name: check.inputs(seed) for check in CHECKS}
    batches = inputs["02.value"]
    assert len(batches["real"]) != len(batches["fake"])
    assert batches["real"].min() < 0
    assert batches["fake"].min() < 0
    seen = inputs["02.optimal_D"]
    assert (seen["p"] + seen["p_g"]).min() > 0
    assert (seen["p"] == 0).any()
    assert (seen["p_g"] == 0).any()
    assert abs(seen["share_real"] - 0.5) > 0.1
    grid = inputs["02.js_divergence"]
    for name in ("", "_0"):
        steps = np.diff(grid[f"x{name}"])
        assert steps.min() > 0
        assert steps.max() > 1.5 * steps.min()
        assert steps.max() < 0.1
        for density in "pq":
            assert np.trapezoid(grid[density + name], grid[f"x{name}"]) == pytest.approx(1, abs=1e-4)
            assert (grid[density + name].min() > 0) == (name == "")
