"""Answers to the exercises of lesson 01: right ones in other styles, twins of the listed mistakes, and others.

`test_exercises` judges them all. A twin is the mistake of the module, written in another way.
"""

import math
from collections import Counter, namedtuple

import numpy as np
import pytest
import torch
from scipy import special, stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from ganlib.exercises import decide, find, lesson_01, observe

SEEDS = (0, 1, 8)  # a learner meets the first two
NOTHING = "Your function returns nothing"
RIGHT, TWINS, OTHERS = {}, {}, {}

# ---- 01.fit_gaussians


class Fit(nn.Module):
    def forward(self, x, y, num_classes):
        members = nn.functional.one_hot(y, num_classes).T.to(x.dtype)  # (c, n)
        means = members @ x / members.sum(1, keepdim=True)
        return members.mean(1), means, torch.stack([torch.cov(x.T, aweights=row) for row in members])


def fit_of(prior=lambda x, own: len(own) / len(x), mean=lambda x, own: own.mean(0), cov=lambda x, own: np.cov(own.T)):
    """A fit in numpy, with parts that are computed from all x and from those of the class."""

    def fit(x, y, num_classes):
        x, y = x.numpy(), y.numpy()
        return tuple([part(x, x[y == c]) for c in range(num_classes)] for part in (prior, mean, cov))

    return fit


def by_loops(x, y, num_classes):
    groups = [[row for row, label in zip(x.tolist(), y.tolist()) if label == c] for c in range(num_classes)]
    means = [[sum(column) / len(rows) for column in zip(*rows)] for rows in groups]
    covariances = [
        [[sum((r[i] - m[i]) * (r[j] - m[j]) for r in rows) / len(rows) for j in range(2)] for i in range(2)]
        for rows, m in zip(groups, means)
    ]
    return [len(rows) / len(x) for rows in groups], means, covariances


def lda(x, y, num_classes):
    model = LinearDiscriminantAnalysis(solver="lsqr", store_covariance=True).fit(x.numpy(), y.numpy())
    return model.priors_, model.means_, [model.covariance_] * num_classes


Gaussians = namedtuple("Gaussians", "priors means covariances")
RIGHT["01.fit_gaussians"] = {
    "one-hot labels, in a module": Fit(),
    "numpy": fit_of(),
    "the divisor n": fit_of(cov=lambda x, own: np.cov(own.T, bias=True)),
    "lists": by_loops,
    "float32, named": lambda x, y, k: Gaussians(*(torch.tensor(np.array(part)).float() for part in fit_of()(x, y, k))),
}
TWINS["01.fit_gaussians"] = {
    "These priors are all equal": lambda x, y, k: (torch.ones(k) / k, *fit_of()(x, y, k)[1:]),
    "These priors are counts": lambda x, y, k: (y.bincount(), *fit_of()(x, y, k)[1:]),
    "Each class has the mean": fit_of(mean=lambda x, own: np.average(x, axis=0)),
    "These means are sums": fit_of(mean=lambda x, own: np.ones(len(own)) @ own),
    "Each class has the covariance": fit_of(cov=lambda x, own: np.cov(x, rowvar=False)),
    "All classes share one": lda,
    "Only the variances": fit_of(cov=lambda x, own: np.eye(2) * own.std(0) ** 2),
    "No mean is subtracted": fit_of(cov=lambda x, own: np.einsum("ni,nj->ij", own, own) / len(own)),
    "The mean of all is": fit_of(cov=lambda x, own: np.cov(own.T) + np.outer(*[own.mean(0) - x.mean(0)] * 2)),
    "These are sums of products": fit_of(cov=lambda x, own: (own - own.mean(0)).T @ (own - own.mean(0))),
    "These are correlations": fit_of(cov=lambda x, own: stats.pearsonr(*own.T)[0] ** (1 - np.eye(2))),
    "You stacked matrices": lambda x, y, k: torch.stack([x[y == c] @ x[y == c].T for c in range(k)]),
}
OTHERS["01.fit_gaussians"] = [
    (lambda x, y, k: fit_of()(x, y, k)[::-1], "The priors have shape (3, 2, 2), not (3,)"),
    (fit_of(mean=lambda x, own: own.mean()), "The means have shape (3,), not (3, 2)"),
    (fit_of(cov=lambda x, own: own.var(0)), "The covariances have shape (3, 2), not (3, 2, 2)"),
    (fit_of(mean=lambda x, own: np.median(own, 0)), "One of the means is"),
    (fit_of(cov=lambda x, own: np.cov(own.T) / 0), "One of the covariances is inf. Each class"),
    (lambda x, y, k: fit_of()(x, y, 2), "The priors have shape (2,), not (3,)"),
    (lambda x, y, k: fit_of()(x, y, k)[1:], "an object of type tuple of 2. Return three"),
    (lambda x, y, k: (None, x.mean(0), None), "an object of type tuple of 3. Return three"),
    (lambda x, y, k: y.bincount() / len(y), "an object of type Tensor. Return three"),
    (lambda x, y, k: print(fit_of()(x, y, k)), f"{NOTHING}. Does fit end with return?"),
]

# ---- 01.posterior


def bayes(likelihood=np.exp, prior=lambda p: p, over=lambda pxy: pxy.sum(1, keepdims=True)):
    """Bayes' rule in numpy, with these densities and priors, and this divisor."""

    def posterior(L, p):
        pxy = likelihood(L.numpy()) * prior(p.numpy())
        return pxy / over(pxy)

    return posterior


def from_log_joint(last, joint=lambda L, p: L + p.log()):
    return lambda L, p: last(joint(L, p))


def row_by_row(L, p):
    rows = [[a + math.log(b) for a, b in zip(row, p.tolist())] for row in L.tolist()]
    return [[1 / sum(math.exp(other - own) for other in row) for own in row] for row in rows]


softmax = nn.Softmax(1)
RIGHT["01.posterior"] = {
    "softmax": from_log_joint(softmax),
    "a row's largest taken off": bayes(lambda L: np.exp(L - L.max(1, keepdims=True))),
    "scipy": lambda L, p: special.softmax(L.numpy() + np.log(p.numpy()), axis=1),
    "lists": row_by_row,
    "float32": lambda L, p: softmax(L.float() + p.float().log()),
    "softmax twice": lambda L, p: nn.functional.normalize(softmax(L) * p, p=1),
    "an epsilon in the prior": lambda L, p: torch.softmax(L + torch.log(p + 1e-9), dim=-1),
}
TWINS["01.posterior"] = {
    "The priors are missing": bayes(prior=np.ones_like),
    "p(y) itself is added": bayes(prior=np.exp),
    "Log densities are multiplied": from_log_joint(softmax, lambda L, p: torch.einsum("nc,c->nc", L, p)),
    "This divides by the priors": bayes(prior=lambda p: 1 / p),
    "Each column adds up to 1": bayes(over=lambda pxy: pxy.sum(0)),
    "All entries together": bayes(over=np.sum),
    "This divides by the sum of p(x|y)": lambda L, p: p * softmax(L),
    "This is p(x, y). Divide": from_log_joint(torch.exp),
    "This is log p(x, y)": lambda L, p: np.log(np.exp(L.numpy())) + np.log(p.numpy()),
    "This is log p(y|x)": from_log_joint(lambda s: softmax(s).log()),
    "This is p(x, y) times": from_log_joint(lambda s: torch.exp(s + s.logsumexp(1, keepdim=True))),
    "This is upside down": lambda L, p: bayes()(L, p) ** -1.0,
    "The sign is wrong": from_log_joint(lambda s: softmax(s).neg()),
    "These are shares": from_log_joint(lambda s: s / s.sum(1)[:, None]),
    "At log densities below -1000 each": bayes(),
    "You subtract the largest": bayes(lambda L: np.exp(L - L.max())),
}
OTHERS["01.posterior"] = [
    (bayes(over=lambda pxy: pxy.sum(1, keepdims=True) + 1e-8), "At log densities below -1000, one is 0 and not"),
    (from_log_joint(softmax, lambda L, p: L.clamp(-700) + p.log()), "Is there a clamp?"),
    (bayes(lambda L: np.exp(L + 1000)), "At ordinary log densities the result is nan"),
    (bayes(lambda L: 2**L), "Compare yours with p(x, y) / p(x)"),
    (from_log_joint(lambda s: softmax(s) / (s > -900)), "At log densities below -1000, the result is inf"),
    (from_log_joint(lambda s: s == s.max(1, keepdim=True).values), "Compare yours with"),
    (from_log_joint(lambda s: s.argmax(1)), "one probability for each x and each class"),
    (from_log_joint(lambda s: s.logsumexp(1)), "The result has shape"),
    (lambda L, p: {"posterior": softmax(L)}, "an object of type dict. Return a tensor."),
    (lambda L, p: print(softmax(L)), f"{NOTHING}. Does posterior end with return?"),
]

# ---- 01.draw


def labels(p, n, rng):
    """Labels by the inverse of the distribution function."""
    return torch.searchsorted(p.cumsum(0), torch.rand(n, dtype=p.dtype, generator=rng)).clamp(max=len(p) - 1)


def drawing(root=torch.linalg.cholesky, label=labels, noise=lambda n, d, rng: torch.randn(n, d, generator=rng), m=1):
    """A draw class by class, with this root of a covariance, these labels and noise, and this multiple of the means."""

    def draw(n, priors, means, covariances, rng):
        y, x = label(priors, n, rng), torch.zeros(n, 2)
        for c, mean in enumerate(means):
            x[y == c] = m * mean + noise(n, 2, rng)[y == c] @ root(covariances[c]).T
        return x, y

    return draw


def through_numpy(n, priors, means, covariances, rng):
    rng = np.random.default_rng(torch.randint(2**40, (), generator=rng).item())
    y = rng.choice(len(priors), n, p=priors.double().numpy() / priors.double().sum().item())
    draws = np.stack([rng.multivariate_normal(m, C, n) for m, C in zip(means.numpy(), covariances.numpy())])
    return draws[y, np.arange(n)], y


def one_by_one(n, priors, means, covariances, rng):
    L, pairs = torch.linalg.cholesky(covariances), []
    for _ in range(n):
        c = torch.multinomial(priors, 1, generator=rng).item()
        pairs.append((means[c] + L[c] @ torch.randn(2, generator=rng), c))
    return torch.stack([x for x, _ in pairs]), torch.tensor([c for _, c in pairs])


def symmetric_root(C):
    values, vectors = torch.linalg.eigh(C)
    return vectors @ values.sqrt().diag() @ vectors.T


def root_of_variances(C):
    return C.diag().sqrt().diag()


def uniform(priors, n, rng):
    return torch.randint(len(priors), (n,), generator=rng)


def unrelated(n, priors, means, covariances, rng):
    x, y = drawing()(n, priors, means, covariances, rng)
    return x, y[torch.randperm(n, generator=rng)]


def of_distributions(n, priors, means, covariances, rng):
    y = torch.distributions.Categorical(priors).sample((n,))
    return torch.distributions.MultivariateNormal(means[y], covariances[y]).sample(), y


def fixed_noise(n, d, rng):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


RIGHT["01.draw"] = {
    "class by class": drawing(),
    "a symmetric root": drawing(symmetric_root),
    "a root of eigenvectors": drawing(lambda C: torch.linalg.eigh(C)[1] * torch.linalg.eigh(C)[0].sqrt()),
    "numpy, seeded by rng": through_numpy,
    "one by one": one_by_one,
    "sorted by class": drawing(label=lambda p, n, rng: labels(p, n, rng).sort().values),
    "lists": lambda *given: [part.tolist() for part in drawing()(*given)],
}
TWINS["01.draw"] = {
    "Labels may come again": drawing(label=lambda p, n, rng: p.multinomial(n, generator=rng)),
    "The labels are uniform": drawing(label=uniform),
    "The means are missing": drawing(m=0),
    "Each class has the mean of all": unrelated,
    "The covariance is in": drawing(lambda C: C),
    "L is transposed": drawing(lambda C: torch.linalg.cholesky(C, upper=True)),
    "x has independent numbers": drawing(root_of_variances),
    "The covariances are not": drawing(lambda C: torch.eye(2)),
}
OTHERS["01.draw"] = [
    (of_distributions, "Equal generators gave different draws"),
    (drawing(noise=lambda n, d, rng: torch.randn(n, d)), "Equal generators gave different draws"),
    (drawing(noise=fixed_noise), "Two generators gave the same labels or noise"),
    (drawing(label=lambda p, n, rng: labels(p, n, torch.Generator().manual_seed(0))), "the same labels or noise"),
    (drawing(noise=lambda n, d, rng: torch.randn(1, d, generator=rng).expand(n, d)), "Many examples are equal"),
    (drawing(noise=lambda n, d, rng: torch.zeros(n, d)), "Many examples are equal. Draw noise for each"),
    (drawing(noise=lambda n, d, rng: torch.randn(n, 1, generator=rng).expand(n, d)), "an entry of the covariance is"),
    (drawing(lambda C: C.diag().diag()), "In one class an entry of the covariance is"),
    (drawing(lambda C: C.sqrt()), "In one class a mean is nan, and it should be near"),
    (drawing(label=lambda p, n, rng: labels(p**2 / (p**2).sum(), n, rng)), "A class has the share"),
    (drawing(label=lambda p, n, rng: labels(p, n, rng) + 1), "A class has the share 0 of the new"),
    (drawing(m=1.5), "In one class a mean is"),
    (lambda *given: drawing()(*given)[::-1], "x has shape (4"),
    (lambda *given: drawing()(*given)[0], "an object of type Tensor. Return two: x, y."),
    (lambda *given: print(drawing()(*given)), f"{NOTHING}. Does draw end with return?"),
]


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (drawing(symmetric_root), True),
        (drawing(m=1.1), False),
        (drawing(lambda C: 1.2 * symmetric_root(C)), False),
        (drawing(label=uniform), False),
    ],
)
def test_no_seed_turns_the_verdict(answer, right):
    for seed in range(100, 140):
        assert decide(find("01.draw"), seed, observe(find("01.draw"), answer, seed)).ok == right, seed


# ---- 01.is_split


def data(n=60, classes=3):
    return torch.arange(2.0 * n).reshape(n, 2), torch.arange(n) * classes // n


def rows_of(candidate, n=60):
    """For each part the rows of the file that it holds, whether each has its label, and how many classes there are."""
    x, y = data(n)
    parts = [((x_part[:, 0] / 2).long(), y_part) for x_part, y_part in candidate(x, y)]
    return [(Counter(rows.tolist()), torch.equal(y[rows], labels), len(labels.unique())) for rows, labels in parts]


def by_sets(candidate, n=60):
    (train, ok, classes), (val, ok_val, _), (test, ok_test, _) = rows_of(candidate, n)
    each_once = train + val + test == Counter(range(n))
    return each_once and min(map(len, (train, val, test))) > 0 and ok and ok_val and ok_test and classes == 3


def by_asserts(candidate):
    x, y = data()
    pairs = [(tuple(row), label) for part in candidate(x, y) for row, label in zip(part[0].tolist(), part[1].tolist())]
    assert sorted(pairs) == [(tuple(row), label) for row, label in zip(x.tolist(), y.tolist())]
    (x_train, _), (x_val, _), (x_test, _) = candidate(x, y)
    assert not torch.equal(torch.cat([x_train, x_val, x_test]), x)
    assert min(len(x_val), len(x_test)) > 0


def counted(candidate):
    x, y = data(100, 4)
    (x_train, y_train), (x_val, y_val), (x_test, _) = candidate(x, y)
    each_once = torch.cat([x_train, x_val, x_test]).unique(dim=0).shape == x.shape
    return each_once & (len(x_train) + len(x_val) + len(x_test) == 100) & bool((y_train == 3).any() and len(y_val))


class IsSplit(nn.Module):
    def forward(self, candidate):
        x, y = data(200, 2)
        parts = candidate(x=x, y=y)
        found = torch.cat([torch.cat([x_part, y_part[:, None]], 1) for x_part, y_part in parts])
        whole = torch.cat([x, y[:, None]], 1)
        return torch.tensor(torch.equal(found[found[:, 0].sort().indices], whole) and parts[0][1].double().std() > 0)


RIGHT["01.is_split"] = {
    "sets": by_sets,
    "asserts": by_asserts,
    "counts": counted,
    "a module that returns a tensor": IsSplit(),
    "numpy bool": lambda candidate: np.bool_(by_sets(candidate)),
    "several sizes": lambda candidate: all(by_sets(candidate, n) for n in (20, 33, 100)),
}
TWINS["01.is_split"] = {}
OTHERS["01.is_split"] = [
    (lambda candidate: True, "It refuses 0 of 8 broken ones, 6 are asked. One slips through: all rows in the training"),
    (lambda candidate: False, "It refuses a right one: the rows shuffled by torch."),
    (lambda candidate: len(candidate(*data())[0][0]) == 36, "It refuses a right one: other shares"),
    (
        lambda candidate: by_sets(candidate) and not (candidate(*data())[0][0].diff(dim=0) > 0).all(),
        "It refuses a right one: rows chosen by chance, each part in the order of the file.",
    ),
    (lambda candidate: sum(len(y) for _, y in candidate(*data())) == 60, "It refuses 3 of 8 broken ones, 6 are asked."),
    (lambda candidate: candidate(*data()), "Your check returned an object of type tuple. Return True or False"),
    (lambda candidate: print(by_sets(candidate)), f"{NOTHING}. Does is_split end with return?"),
    (lambda candidate: candidate(data()), "Your code raised"),
    (lambda candidate, x: True, "it is written with (candidate, x)"),
]


@pytest.mark.parametrize("k", range(len(lesson_01.CANDIDATES)))
def test_of_the_candidates_the_first_three_are_right_at_every_size(k):
    torch.manual_seed(0), np.random.seed(0)
    for n in (20, 33, 100):
        assert by_sets(lesson_01.CANDIDATES[k][0], n) == (k < 3), n


# ---- hints as programs: what stands between « and » are words of the hints

HINTED = {}
HINTED["01.fit_gaussians"] = """
def fit(x, y, num_classes):
    n, own = len(x), range(num_classes)
    priors = [len(«x[y == c]») / n for c in own]  # «Its prior is their share of all»
    means = «torch.stack»([«x[y == c].mean(0)» for c in own])
    return priors, means, torch.stack([«x[y == c].T.cov()» for c in own])
"""
HINTED["01.posterior"] = """
def posterior(log_densities, priors):  # «p(y|x) is p(x, y) / p(x)», «p(x) is the sum of p(x, y) over y»
    «log_joint = log_densities + priors.log()»
    log_p_x = «log_joint.logsumexp(1, keepdim=True)»  # «is log p(x)»
    return (log_joint - log_p_x).exp()
"""
HINTED["01.draw"] = """
def draw(n, priors, means, covariances, rng):
    y = «torch.multinomial»(priors, n, replacement=True, «generator=rng»)
    z = «torch.randn»(n, 2, generator=rng)
    «L = torch.linalg.cholesky(covariances)»
    return «(L[y] @ z[:, :, None])[:, :, 0]» + «means[y]», y
"""
HINTED["01.is_split"] = """
def is_split(candidate):
    x, y = torch.arange(100).reshape(50, 2), torch.arange(50) // 25  # «rows all differ», «a sorted y»
    parts = candidate(x, y)
    found, labels = («torch.cat»(part) for part in zip(*parts))
    rows = found[:, 0].argsort()  # «Sorted, they are x again, with its labels»
    return torch.equal(found[rows], x) and torch.equal(labels[rows], y) and len(parts[0][1].unique()) == 2
"""
