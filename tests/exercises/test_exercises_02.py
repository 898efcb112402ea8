"""Answers to the exercises of lesson 02: right ones in other styles, twins of the listed mistakes, and others.

`test_exercises` judges them all. A twin is the mistake of the module, written in another way.
"""

import math

import numpy as np
import torch
from scipy import integrate, special
from scipy.spatial.distance import jensenshannon
from torch import nn
from torch.nn.functional import binary_cross_entropy, logsigmoid, softplus
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from ganlib import metrics

SEEDS = (0, 1, 8)  # a learner meets the first two
NOTHING = "Your function returns nothing"
RIGHT, TWINS, OTHERS = {}, {}, {}
ones, zeros, full = torch.ones_like, torch.zeros_like, torch.full_like

# ---- 02.value


class ValueModule(nn.Module):
    def forward(self, real_logits, fake_logits):
        return -nn.BCEWithLogitsLoss()(real_logits, ones(real_logits)) + logsigmoid(-fake_logits).mean()


def value_of_D(log, real=lambda D: D, fake=lambda D: 1 - D):
    """V of the probabilities, which these functions may change before the logarithm is taken."""
    return lambda r, f: log(real(torch.sigmoid(r))).mean() + log(fake(torch.sigmoid(f))).mean()


def value_of_logits(log_D):
    return lambda r, f: log_D(r).mean() + log_D(-f).mean()


RIGHT["02.value"] = {
    "module": ValueModule(),
    "one weighted sum": lambda r, f: torch.cat([logsigmoid(r) / len(r), logsigmoid(-f) / len(f)]).sum(),
    "float": lambda r, f: (logsigmoid(r).sum() / len(r) - softplus(f).sum() / len(f)).item(),
    "numpy": lambda r, f: -np.logaddexp(0, -r.numpy()).mean() - np.logaddexp(0, f.numpy()).mean(),
    "float32": lambda r, f: logsigmoid(r.float()).mean() - softplus(f.float()).mean(),
    "with a gradient": lambda r, f: logsigmoid(r.requires_grad_()).mean() - softplus(f).mean(),
}
TWINS["02.value"] = {
    "The sign is wrong": lambda r, f: bce(r, ones(r)) + bce(f, zeros(f)),
    "The logarithm has base 2": value_of_D(torch.log2),
    "This is V/2": lambda r, f: torch.stack([logsigmoid(r).mean(), logsigmoid(-f).mean()]).mean(),
    "This is one mean over all": lambda r, f: -bce(torch.cat([r, f]), torch.cat([ones(r), zeros(f)])),
    "These are sums": lambda r, f: -bce(r, ones(r), reduction="sum") - bce(f, zeros(f), reduction="sum"),
    "One half is a sum": lambda r, f: -bce(r, ones(r)) - bce(f, zeros(f), reduction="sum"),
    "On the fakes this takes log D": value_of_D(torch.log, fake=lambda D: D),
    "On the real samples this takes": value_of_D(torch.log, real=lambda D: 1 - D),
    "Real and fake are swapped": lambda r, f: -np.logaddexp(0, r.numpy()).mean() - np.logaddexp(0, -f.numpy()).mean(),
    "Only the real half": lambda r, f: -bce(r, ones(r)),
    "Only the fake half": lambda r, f: np.log1p(-special.expit(f.numpy())).mean(),
    "The sign of the fake half": lambda r, f: -bce(r, ones(r)) + bce(f, zeros(f)),
    "The sign of the real half": lambda r, f: bce(r, ones(r)) - bce(f, zeros(f)),
    "The sigmoid is applied twice": lambda r, f: -bce(r.sigmoid(), ones(r)) - bce(f.sigmoid(), zeros(f)),
    "You took the logit for a probability": lambda r, f: r.log().mean() + torch.log1p(-f).mean(),
    "The logarithm is missing": value_of_D(lambda D: D),
    "This is log of a mean": value_of_D(torch.log, torch.mean, lambda D: 1 - D.mean()),
    "The labels of the real": lambda r, f: -bce(r, full(r, 0.9)) - bce(f, zeros(f)),
    "These are logits, no prob": lambda r, f: -nn.BCELoss()(r, ones(r)) - nn.BCELoss()(f, zeros(f)),
    "The batches differ in size": lambda r, f: torch.log(r.sigmoid() * (1 - f.sigmoid())).mean(),
    "At logits of 40, 1 - sigmoid": value_of_D(np.log),
    "At logits of 720 the result": value_of_logits(lambda s: torch.log(s.exp() * (1 / (1 + s.exp())))),
}
OTHERS["02.value"] = [
    (value_of_logits(lambda s: np.log(special.expit(s))), "exp(s) is too large, or sigmoid(s) is 0"),
    (value_of_D(lambda D: torch.log(D + 1e-8)), "At logits of 40, V is -18.42 and not"),
    (value_of_D(lambda D: torch.log(D.clamp(1e-7, 1 - 1e-7))), "No clamp, epsilon or BCE"),
    (value_of_D(lambda D: -binary_cross_entropy(D, ones(D))), "At logits of 40"),
    (lambda r, f: logsigmoid(r.clamp(-60, 60)).mean() - softplus(f.clamp(-60, 60)).mean(), "At logits of 720, V is"),
    (value_of_logits(lambda s: logsigmoid(s) + 1e-9 / (s.abs().max() < 600)), "At logits of 720 the result is inf"),
    (lambda r, f: logsigmoid(r).mean() + (1 - logsigmoid(f)).mean(), "Compare it with E log D(x)"),
    (lambda r, f: r.log().mean() - softplus(f).mean(), "The result is nan: somewhere a logarithm of 0 or below"),
    (lambda r, f: logsigmoid(r).mean(0) - softplus(f).mean(0), "has shape (1,), but V is one number"),
    (lambda r, f: f"{(logsigmoid(r).mean() - softplus(f).mean()).item()}", "an object of type str. Return V"),
    (lambda r, f: print(logsigmoid(r).mean() - softplus(f).mean()), f"{NOTHING}. Does value end with return?"),
]  # fmt: skip

# ---- 02.optimal_D


def from_logit(w):
    """D from its logit, with this weight of p."""
    return lambda p, q, a: torch.special.expit(p.log() - q.log() + math.log(w(a)))


def fraction(real, fake):
    return lambda p, q, a: real(a) * p / (real(a) * p + fake(a) * q)


best_D = fraction(lambda a: a, lambda a: 1 - a)
RIGHT["02.optimal_D"] = {
    "through the ratio": lambda p, q, a: 1 / (1 + (1 - a) * q / (a * p)),
    "through the logit": from_logit(lambda a: a / (1 - a)),
    "softmax": lambda p, q, a: torch.stack([p.log() + math.log(a), q.log() + math.log(1 - a)]).softmax(0)[0],
    "numpy": lambda p, q, a: a * p.numpy() / (a * p.numpy() + (1 - a) * q.numpy()),
    "float32": lambda p, q, a: best_D(p.float(), q.float(), a),
    "epsilon": lambda p, q, a: a * p / (a * p + (1 - a) * q + 1e-12),
    "list": lambda p, q, a: [a * u / (a * u + (1 - a) * v) for u, v in zip(p.tolist(), q.tolist())],
}
TWINS["02.optimal_D"] = {
    "share_real is ignored": from_logit(lambda a: 1),
    "This is upside down: the": lambda p, q, a: (1 - a) * q / (a * p + (1 - a) * q),
    "This is upside down, and": lambda p, q, a: torch.sigmoid(torch.log(q / p)),
    "The share is at the wrong": fraction(lambda a: 1 - a, lambda a: a),
    "p and p_g are swapped": lambda p, q, a: best_D(q, p, a),
    "The weights of p and p_g do not fit": fraction(lambda a: a**2, lambda a: (1 - a) ** 2),
    "This is the ratio": lambda p, q, a: torch.exp(p.log() - q.log()),
    "These are the odds": lambda p, q, a: best_D(p, q, a) / (1 - best_D(p, q, a)),
    "This is the logit": lambda p, q, a: p.log() - q.log() + math.log(a / (1 - a)),
    "These are decisions": lambda p, q, a: a * p > (1 - a) * q,
    "The share stands in the num": lambda p, q, a: a * torch.sigmoid(torch.log(p / q)),
    "The share stands in the den": lambda p, q, a: best_D(p, q, a) / a,
    "p has its share, but p_g": from_logit(lambda a: a),
    "p_g has its share, but p": fraction(lambda a: 1, lambda a: 1 - a),
    "The share of the fakes is": fraction(lambda a: a, lambda a: 1 + a),
    "One part has the wrong sign": fraction(lambda a: -a, lambda a: 1 - a),
    "The sign is wrong": lambda p, q, a: best_D(p, q, a).neg(),
    "This is the density": lambda p, q, a: torch.lerp(q, p, a),
    "This is 1 everywhere": lambda p, q, a: [1.0] * len(p),
    "This is the numerator": lambda p, q, a: np.multiply(a, p.numpy()),
}
OTHERS["02.optimal_D"] = [
    (lambda p, q, a: full(p, 0.5), "At one place your D says 0.5, and the best answer is"),
    (lambda p, q, a: (a * q).div(q - q), "Where both densities are positive, your D says inf"),
    (lambda p, q, a: a * p / ((1 - a) * q) / (1 + a * p / ((1 - a) * q)), "Where p or p_g is 0 the answer is nan"),
    (lambda p, q, a: best_D(p, q, a).where(p > 0, 0.1), "Where only one density is positive, D is sure"),
    (lambda p, q, a: best_D(p, q, a).mean(), "has shape (), but D answers at each place"),
    (lambda p, q, a: "D", "an object of type str. Return a tensor."),
    (lambda p, q, a: print(best_D(p, q, a)), NOTHING),
]

# ---- 02.js_divergence


def integral_of(integrand, rule=torch.trapezoid):
    """The integral of a function of p, q and their mean, with 0 where it is not finite."""
    return lambda p, q, x: rule(integrand(p, q, (p + q) / 2).nan_to_num(), x)


def js(p, q, m):
    return (torch.xlogy(p, p) + torch.xlogy(q, q)) / 2 - torch.xlogy(m, m)


def js_by_masks(p, q, x):
    parts = [torch.trapezoid(a[a > 0] * torch.log(2 * a[a > 0] / (p + q)[a > 0]), x[a > 0]) for a in (p, q)]
    return sum(parts).item() / 2


RIGHT["02.js_divergence"] = {
    "metrics": lambda p, q, x: metrics.js_divergence(p, q, x),
    "left Riemann sum": integral_of(js, lambda y, x: (y[:-1] * x.diff()).sum()),
    "Simpson": integral_of(js, lambda y, x: integrate.simpson(y.numpy(), x=x.numpy())),
    "rel_entr": integral_of(lambda p, q, m: (special.rel_entr(p, m) + special.rel_entr(q, m)) / 2),
    "nan_to_num": integral_of(lambda p, q, m: sum((a * (a / m).log()).nan_to_num() / 2 for a in (p, q))),
    "epsilon": integral_of(lambda p, q, m: sum(a * torch.log((a + 1e-12) / (m + 1e-12)) for a in (p, q)) / 2),
    "masks": js_by_masks,
    "float32": lambda p, q, x: integral_of(js)(p.float(), q.float(), x.float()),
}
TWINS["02.js_divergence"] = {
    "This is twice": integral_of(lambda p, q, m: special.rel_entr(p, m) + special.rel_entr(q, m)),
    "m is (p + q) / 2. W": integral_of(lambda p, q, m: (special.rel_entr(p, p + q) + special.rel_entr(q, p + q)) / 2),
    "m is (p + q) / 2, and": integral_of(lambda p, q, m: sum(special.rel_entr(a, 4 * m) for a in (p, q)) / 2),
    "This is the half of p": integral_of(lambda p, q, m: torch.xlogy(p, 2 / (1 + q / p))),
    "This is the half of q": integral_of(lambda p, q, m: torch.xlogy(q, q / m) / 2),
    "The sign of one half": integral_of(lambda p, q, m: (special.rel_entr(p, m) - special.rel_entr(q, m)) / 2),
    "In one half a logarithm": integral_of(lambda p, q, m: (special.rel_entr(p, m) - special.entr(q)) / 2),
    "m has one density": integral_of(lambda p, q, m: (special.rel_entr(p, q / 2) + special.rel_entr(q, q / 2)) / 2),
    "This is KL(p": lambda p, q, x: metrics.kl_divergence(p, q, x),
    "This is KL(q": integral_of(lambda p, q, m: special.rel_entr(q, p)),
    "This is the Jeffreys": integral_of(lambda p, q, m: (p - q) * (p.log() - q.log()) / 2),
    "The arguments of KL": integral_of(lambda p, q, m: m * (m.log() - (p.log() + q.log()) / 2)),
    "The logarithm has base 2": integral_of(lambda p, q, m: (p * (p / m).log2() + q * (q / m).log2()) / 2),
    "This is the Jensen-Shannon distance": lambda p, q, x: metrics.js_divergence(p, q, x) ** 0.5,
    "The sum over weights": lambda p, q, x: jensenshannon(p, q) ** 2,
    "This is scipy's": lambda p, q, x: jensenshannon(p, q),
    "The spacing is missing": integral_of(js, lambda y, x: torch.trapezoid(y)),
    "This is a mean": integral_of(js, lambda y, x: np.average(y)),
    "The grid has unequal": integral_of(js, lambda y, x: torch.trapezoid(y, dx=(x[-1] - x[-2]).item())),
    "The sign is wrong": integral_of(js, lambda y, x: torch.trapezoid(x, y)),
    "Where a density is 0, 0": lambda p, q, x: np.trapezoid(sum(a * (2 * a / (p + q)).log() for a in (p, q)) / 2, x),
}
OTHERS["02.js_divergence"] = [
    (metrics.js_divergence, "js_divergence is ganlib's own function. Write yours"),
    (integral_of(lambda p, q, m: 2 * js(p, q, m) - 2 * m * math.log(2)), "Without the half, log 2 is lost"),
    (integral_of(js, lambda y, x: y.sum() * (x[-1] - x[0]) / len(x)), "The grid has unequal steps"),
    (integral_of(lambda p, q, m: (p - q).abs()), "Compare it with (KL(p || m) + KL(q || m)) / 2"),
    (lambda p, q, x: torch.trapezoid(js(p, q, (p + q) / 2), x) / 0, "although both densities are positive"),
    (lambda p, q, x: js_by_masks(p, q, x) / (q.min() > 0), "Where a density is 0 the result is inf"),
    (integral_of(lambda p, q, m: js(p, q, m).where(p * q > 0, 0.0)), "It is right only where both"),
    (lambda p, q, x: js(p, q, (p + q) / 2), "Integrate over x: torch.trapezoid"),
    (lambda p, q, x: "JSD", "an object of type str. Return the divergence, one number."),
    (lambda p, q, x: print(js_by_masks(p, q, x)), NOTHING),
]  # fmt: skip

# ---- 02.real_mean


def weighing(weight, mean=lambda x, w: (w * x).sum() / len(x)):
    return lambda x, s: mean(x, weight(s))


RIGHT["02.real_mean"] = {
    "odds of D": weighing(lambda s: s.sigmoid() / (1 - s.sigmoid())),
    "weights that sum to 1": weighing(lambda s: s.softmax(0), lambda x, w: (w * x).sum()),
    "average": weighing(lambda s: s.exp().ravel(), lambda x, w: np.average(x.numpy().ravel(), weights=w.numpy())),
    "float32": weighing(lambda s: s.float().exp(), lambda x, w: (w * x.float()).mean()),
    "float": lambda x, s: sum(a * math.exp(b) for a, b in zip(x.ravel().tolist(), s.ravel().tolist())) / len(x),
    "matrix product": weighing(torch.exp, lambda x, w: (w.T @ x / len(x)).squeeze()),
}
TWINS["02.real_mean"] = {
    "This is the mean of the fakes.": lambda x, s: np.average(x),
    "The weight is D itself": weighing(lambda s: 1 / (1 + torch.exp(-s))),
    "This is upside down": weighing(lambda s: 1 / s.exp()),
    "The weight is the logit": weighing(lambda s: s.sigmoid().log() - (1 - s.sigmoid()).log()),
    "This keeps the fakes": lambda x, s: x.masked_select(s.sigmoid() > 0.5).mean(),
    "These weights have the sum 1": weighing(lambda s: s.exp() / s.exp().sum()),
    "This is a sum": weighing(lambda s: s.exp(), lambda x, w: torch.tensordot(w, x)),
    "The sign is wrong": weighing(lambda s: -s.exp()),
    "These are the weights alone": lambda x, s: s.exp().sum().item() / len(s),
}
OTHERS["02.real_mean"] = [
    (weighing(lambda s: s.neg().softmax(0), lambda x, w: (w * x).sum()), "This is upside down: p_g / p"),
    (weighing(torch.log), "The result is nan: look at each division and logarithm."),
    (lambda x, s: x.median(), "What is D / (1 - D)?"),
    (weighing(torch.exp, lambda x, w: (w * x).mean(0)), "has shape (1,), but a mean is one number"),
    (weighing(torch.exp, torch.mul), "Write .mean() without an axis."),
    (lambda x, s: {"mean": x.mean()}, "an object of type dict. Return the mean, one number."),
    (lambda x, s: print(x.mean()), f"{NOTHING}. Does real_mean end with return?"),
]

# ---- 02.is_value


def agrees(real, fake, close=torch.isclose):
    """A check on these logits."""
    V = -softplus(-real).mean() - softplus(fake).mean()
    return lambda candidate: close(torch.as_tensor(candidate(real, fake)), V)


def by_an_assert(candidate):
    real, fake = 90 * torch.randn(7, 1), 90 * torch.randn(3, 1)
    torch.testing.assert_close(candidate(real, fake), logsigmoid(real).mean() + logsigmoid(-fake).mean())


FEW, MANY = torch.tensor([[-1.0], [2.0]]), torch.tensor([[0.5], [3.0], [-70.0]])
RIGHT["02.is_value"] = {
    "tensor": agrees(FEW, MANY),
    "numpy bool": agrees(FEW, MANY, lambda a, b: np.isclose(a.numpy(), b.numpy())),
    "bool": agrees(FEW, MANY, torch.allclose),
    "assert": by_an_assert,
    "small logits only": agrees(FEW, MANY[:1]),
    "two pairs of batches": lambda V: all(agrees(*batches)(V) for batches in ((FEW, MANY), (MANY, FEW))),
}
TWINS["02.is_value"] = {}
OTHERS["02.is_value"] = [
    (lambda candidate: True, "It refuses 0 of 8 broken ones, 6 are asked. One slips through: -V, the loss of D."),
    (
        lambda candidate: False,
        "It refuses a right one: log1p in the place of softplus. Right programs may differ in form",
    ),
    (agrees(FEW, MANY, torch.equal), "It refuses a right one"),
    (agrees(zeros(FEW), zeros(FEW)), "It refuses 4 of 8 broken ones, 6 are asked. One slips through: one mean"),
    (lambda candidate: candidate(FEW, MANY), "Your check returned an object of type Tensor. Return True or False"),
    (lambda candidate: "yes", "an object of type str"),
    (lambda candidate: print(agrees(FEW, MANY)(candidate)), f"{NOTHING}. Does is_value end with return?"),
    (lambda candidate: candidate(FEW), "Your code raised TypeError"),
]


# ---- hints as programs: what stands between « and » are words of the hints

HINTED = {}
HINTED["02.value"] = """
def value(real_logits, fake_logits):
    s, log, sigmoid = torch.linspace(-3, 3, 7), torch.log, torch.sigmoid
    «D = sigmoid(s)»
    assert torch.allclose(log(«sigmoid(s)»), «-softplus(-s)»)
    assert torch.allclose(«log(1 - sigmoid(s))», «-softplus(s)»)
    s = real_logits
    real = «-softplus(-s)»
    s = fake_logits
    return real.mean() + («-softplus(s)»).mean()  # «Add the two means»
"""
HINTED["02.optimal_D"] = """
def optimal_D(p, p_g, share_real):
    real = «share_real * p»
    fake = «(1 - share_real) * p_g»
    return «real / (real + fake)»
"""
HINTED["02.js_divergence"] = """
def js_divergence(p, q, x):
    «m = (p + q) / 2»
    y = «torch.xlogy(p, p) - torch.xlogy(p, m)»
    p = q
    y = y + «torch.xlogy(p, p) - torch.xlogy(p, m)»
    return «torch.trapezoid(y, x)» / 2
"""
HINTED["02.real_mean"] = """
def real_mean(fakes, fake_logits):
    s, exp = fake_logits, torch.exp
    D = torch.sigmoid(s)
    ratio = «D / (1 - D)»
    assert torch.allclose(ratio, «exp(s)»)
    p, p_g = ratio, 1
    assert torch.allclose(D, «p / (p + p_g)»)
    weight = «p / p_g»
    return (weight * fakes).mean()  # «mean of weight times fake»
"""
HINTED["02.is_value"] = """
def is_value(candidate):  # «batches of unequal size», «logits of 60 or more»
    real, fake = torch.randn(5, 1), torch.randn(9, 1)
    V = lambda r, f: -softplus(-r).mean() - softplus(f).mean()
    tries = ((real, fake), (fake, real), (60 * real.sign(), 60 * fake.sign()))
    return all(«torch.isclose»(candidate(r, f), V(r, f)) for r, f in tries)
"""
