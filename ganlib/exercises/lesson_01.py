"""The exercises of lesson 01, each in one block: solution, inputs, mistakes, sentences, hints."""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .engine import Exercise, numbers, tensors, write_the_check

PARTS = "priors", "means", "covariances"
CLASSES = 3
BELOW = -1000  # log densities where each density rounds to 0, in float64 too
UNEQUAL = "You stacked matrices of unequal size. Each covariance is d x d: x[y == c].T.cov(), where torch.cov needs .T."
ROUNDED = f"At log densities below {BELOW} each p(x|y) rounds to 0, and 0/0 is NaN. Stay with logarithms: logsumexp."
in_double_precision = partial(Exercise, dtype=torch.float64)


def parts(result: Any, *names: str) -> Generator[tuple[str, Any], None, list[Any]]:
    """The form of what an answer returned together: whether all are numbers, and the shape of each. Returns these."""
    many = isinstance(result, tuple | list)
    found: list[Any] = [numbers(part) for part in result] if many else []
    usable = len(found) == len(names) and not any(part is None for part in found)
    yield "type", "numbers" if usable else f"{type(result).__name__}{f' of {len(found)}' if many else ''}"
    yield from ((f"shape {name}", str(part.shape)) for name, part in zip(names, found) if usable)
    return found if usable else []


def floats(a: np.ndarray) -> Tensor:
    return torch.tensor(a, dtype=torch.get_default_dtype())


# ---- 01.fit_gaussians


def fit(x, y, num_classes):
    """Return the priors (c,), means (c, d) and covariances (c, d, d) of the classes, from x (n, d) and y (n,)."""
    own = [x[y == c] for c in range(num_classes)]  # the examples of each class
    priors = torch.tensor([len(x_c) / len(x) for x_c in own])
    means = torch.stack([x_c.mean(0) for x_c in own])
    covariances = torch.stack([x_c.T.cov() for x_c in own])
    return priors, means, covariances


def labelled_examples(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    # So many that both divisors, n and n - 1, are right to a thousandth; unequal, as the priors are.
    y = rng.permutation(np.repeat(rng.permutation(CLASSES), rng.integers((1300, 1700, 2200), (1400, 1800, 2300))))
    means, roots = rng.permuted([[-2, 1, 3]] * 2, axis=1).T, rng.uniform(0.5, 2, (CLASSES, 2, 2))
    return means[y] + np.einsum("nij,nj->ni", roots[y], rng.normal(size=(len(y), 2))), y


def fitted(answer: Any, inputs: Any) -> Iterator[tuple[str, Any]]:
    found = yield from parts(answer(floats(inputs[0]), torch.tensor(inputs[1]), CLASSES), *PARTS)
    yield from ((f"value {name}", part.ravel()) for name, part in zip(PARTS, found))


def but(part: str, way: Any) -> Any:
    """fit, but for one part, which is computed in this way from all x and those of the class."""

    def wrong(x: Tensor, y: Tensor, num_classes: int) -> Any:
        other = torch.stack([torch.as_tensor(way(x, x[y == c])) for c in range(num_classes)])
        return [other if name == part else right for name, right in zip(PARTS, fit(x, y, num_classes))]

    return wrong


def pooled(x: Tensor, y: Tensor, num_classes: int) -> Any:
    priors, means, covariances = fit(x, y, num_classes)
    return priors, means, torch.einsum("c,cij->ij", priors, covariances).expand_as(covariances)


def products(x: Tensor, origin: Any) -> Tensor:
    return (x - origin).T @ (x - origin)


prior, mean, cov = (partial(but, part) for part in PARTS)


FIT_GAUSSIANS = in_double_precision(
    name="01.fit_gaussians",
    task="the priors (c,), means (c, d) and covariances (c, d, d) of the classes, from x (n, d) and labels y (n,).",
    solution=fit,
    inputs=labelled_examples,
    probe=fitted,
    mistakes=[
        (prior(lambda x, x_c: 1 / CLASSES), "These priors are all equal. The prior of a class is its share of y."),
        (prior(lambda x, x_c: float(len(x_c))), "These priors are counts. Divide each by the number of all examples."),
        (mean(lambda x, x_c: x.mean(0)), "Each class has the mean of all examples. Take its own: x[y == c]."),
        (mean(lambda x, x_c: x_c.sum(0)), "These means are sums. Divide each by the number of examples in the class."),
        (cov(lambda x, x_c: x.T.cov()), "Each class has the covariance of all examples. Take its own: x[y == c]."),
        (pooled, "All classes share one covariance, the mean of theirs. Here each class has its own."),
        (cov(lambda x, x_c: x_c.var(0).diag()), "Only the variances are there. The other entries are not 0."),
        (cov(lambda x, x_c: products(x_c, 0) / len(x_c)), "No mean is subtracted. Subtract that of the class."),
        (cov(lambda x, x_c: products(x_c, x.mean(0)) / len(x_c)), "The mean of all is subtracted, not the class's."),
        (cov(lambda x, x_c: products(x_c, x_c.mean(0))), "These are sums of products. Take their mean."),
        (cov(lambda x, x_c: x_c.T.corrcoef()), "These are correlations. A covariance has the variances in it."),
        (cov(lambda x, x_c: x_c), UNEQUAL),
    ],
    otherwise={
        "type": "The function returned an object of type {got}. Return three: priors, means, covariances.",
        "shape": "The {group} have shape {got}, not {expected}. Return priors, means, covariances, in this order.",
        "value priors": "One prior is {got}, and it must be {expected}: the share of its class among all examples.",
        "value": "One of the {group} is {got}, and it must be {expected}. Does each class have its own examples?",
        "not finite": "One of the {group} is {got}. Each class has examples here, so look at each division.",
    },
    praise=lambda inputs, seen: f"From {len(inputs[1]):,} examples came {CLASSES} Gaussians, which can draw new ones.",
    hints=(
        "x[y == c] are the examples of class c. Its prior is their share of all.",
        "The mean of a class is x[y == c].mean(0), its covariance x[y == c].T.cov(). torch.stack joins the classes.",
    ),
)


# ---- 01.posterior


def posterior(log_densities, priors):
    """Return p(y|x) (n, c) from log p(x|y) (n, c) and p(y) (c,)."""
    log_joint = log_densities + priors.log()  # log p(x, y)
    log_density = log_joint.logsumexp(1, keepdim=True)  # log p(x): the sum over y
    return (log_joint - log_density).exp()


def log_densities_and_priors(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 9))
    logs, priors = rng.uniform(-4, -1, (n, CLASSES)), rng.dirichlet((1, 1, 1)) * 0.2 + rng.permutation((0.1, 0.2, 0.5))
    # rows so far apart that the largest number of all is no help for the others
    far = logs + BELOW * rng.permutation(1 + np.arange(n) % 2)[:, None]
    return {"": [(logs, priors)], str(BELOW): [(far, priors)]}


def joint(L: Tensor, p: Tensor) -> Tensor:
    return L.exp() * p


def normalised(t: Tensor) -> Tensor:
    return t / t.sum(1, keepdim=True)


POSTERIOR = in_double_precision(
    name="01.posterior",
    task="p(y|x) (n, c) by Bayes' rule, from log p(x|y) (n, c) and p(y) (c,), also where each p(x|y) rounds to 0.",
    solution=posterior,
    inputs=log_densities_and_priors,
    probe=tensors,
    mistakes=[
        (lambda L, p: L.softmax(1), "The priors are missing: this is right only if all classes are equally frequent."),
        (lambda L, p: (L + p).softmax(1), "p(y) itself is added. To a log density, add log p(y)."),
        (lambda L, p: (L * p).softmax(1), "Log densities are multiplied by priors. Add log p(y) to each."),
        (lambda L, p: (L - p.log()).softmax(1), "This divides by the priors. p(x, y) is p(x|y) times p(y)."),
        (lambda L, p: (L + p.log()).softmax(0), "Each column adds up to 1, and each row must. Sum over the classes."),
        (lambda L, p: joint(L, p) / joint(L, p).sum(), "All entries together add up to 1, and each row must."),
        (lambda L, p: normalised(L.exp()) * p, "This divides by the sum of p(x|y). p(x) is the sum of p(x, y)."),
        (joint, "This is p(x, y). Divide it by p(x), which is its sum over y."),
        (lambda L, p: L + p.log(), "This is log p(x, y). Subtract log p(x), and take exp."),
        (lambda L, p: (L + p.log()).log_softmax(1), "This is log p(y|x). Take exp of it."),
        (lambda L, p: joint(L, p) * joint(L, p).sum(1, True), "This is p(x, y) times p(x). Divide by p(x)."),
        (lambda L, p: 1 / posterior(L, p), "This is upside down. Divide p(x, y) by p(x)."),
        (lambda L, p: -posterior(L, p), "The sign is wrong: a probability is never below 0."),
        (lambda L, p: normalised(L + p.log()), "These are shares of logarithms. Take exp first, and then divide."),
        (lambda L, p: normalised(joint(L, p)), ROUNDED),
        (lambda L, p: normalised(joint(L - L.max(), p)), "You subtract the largest number of all. Take each row's."),
    ],
    otherwise={
        "shape": "The result has shape {got}, and it must be {expected}: one probability for each x and each class.",
        "value": "A probability is {got}, and it must be {expected}. Compare yours with p(x, y) / p(x).",
        "value *": "At log densities below {group}, one is {got} and not {expected}. Is there a clamp?",
        "not finite": "At ordinary log densities the result is {got}. Look at each logarithm and division.",
        "not finite *": "At log densities below {group}, the result is {got}. Stay with logarithms: logsumexp.",
    },
    praise=lambda inputs, seen: (
        f"Each row adds up to 1, also at log densities below {BELOW}, where each p(x|y) rounds to 0."
    ),
    hints=(
        "p(y|x) is p(x, y) / p(x), and p(x) is the sum of p(x, y) over y. Take the logarithm of each.",
        "log_joint = log_densities + priors.log(). Then log_joint.logsumexp(1, keepdim=True) is log p(x).",
    ),
)


# ---- 01.draw


def draw(n, priors, means, covariances, rng):
    """Return n new examples x (n, d) and their labels y (n,): a label from the priors, then x from its Gaussian."""
    y = torch.multinomial(priors, n, replacement=True, generator=rng)
    z = torch.randn(n, means.shape[1], generator=rng)
    L = torch.linalg.cholesky(covariances)  # L @ L.T is the covariance, so that of L @ z is too
    x = means[y] + (L[y] @ z[:, :, None])[:, :, 0]
    return x, y


def class_gaussians(seed: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    priors = rng.dirichlet((1, 1, 1)) * 0.04 + rng.permutation((0.22, 0.32, 0.42))
    means = rng.permuted([[2, 3.5, 5]] * 2, axis=1).T * rng.choice((-1, 1), 2) + rng.uniform(-0.3, 0.3, (CLASSES, 2))
    sd, r = rng.uniform(1.3, 2, (CLASSES, 2, 1)), rng.permutation((-0.8, 0.8, 0.8))[:, None, None]
    return int(rng.integers(4000, 4500)), priors, means, sd * np.where(np.eye(2), 1, r) * sd.swapaxes(1, 2)


def drawn(answer: Any, inputs: Any) -> Iterator[tuple[str, Any]]:
    def examples(n: int, state: int) -> Any:
        return answer(n, *map(floats, inputs[1:]), torch.Generator().manual_seed(state))

    def nearest(got: np.ndarray, error: np.ndarray, *wanted: np.ndarray) -> np.ndarray:
        """The first from which it differs by chance alone, at most six standard errors; else what came."""
        return next((w for w in wanted if (np.abs(got - w) <= 6 * error).all()), got)

    n, priors, means, covariances = inputs
    x, y = yield from parts(examples(n, n), "x", "y")  # n, as the state of the generator, differs by seed
    yield "apart", len(np.unique(x, equal_nan=False)) > n
    few: Any = [[numbers(part) for part in examples(20, state)] for state in (1, 1, 2)]
    yield "repeats", all(np.array_equal(a, b, equal_nan=True) for a, b in zip(few[0], few[1]))
    own = [x[y == c] for c in range(CLASSES)]
    count, found = np.array([[len(x_c)] for x_c in own]), np.stack([np.cov(x_c.T) for x_c in own])
    yield "shares", nearest(count[:, 0] / n, (priors * (1 - priors) / n) ** 0.5, priors, np.full(CLASSES, 1 / CLASSES))
    error = (np.einsum("cii->ci", found) / count) ** 0.5
    yield "means", nearest(np.stack([x_c.mean(0) for x_c in own]), error, means, 0 * means, 0 * means + priors @ means)
    error = error[:, :, None] * error[:, None] * (2 * count[:, None]) ** 0.5
    C, L, one = covariances, np.linalg.cholesky(covariances), np.eye(2)
    yield "covariances", nearest(found, error, C, C @ C, L.swapaxes(1, 2) @ L, C * one, 0 * C + one)
    yield "renews", not (few[0][0] == few[2][0]).any() and not np.array_equal(few[0][1], few[2][1])


def draw_with(root: Any = torch.linalg.cholesky, share: float = 1, place: float = 1) -> Any:
    """draw with another root of the covariances, the priors to this power, and this multiple of the means."""

    def wrong(n: int, priors: Tensor, means: Tensor, covariances: Tensor, rng: torch.Generator) -> Any:
        z, y = draw(n, priors**share, 0 * means, torch.eye(2).expand_as(covariances), rng)
        return place * means[y] + torch.einsum("nij,nj->ni", root(covariances)[y], z), y

    return wrong


DRAW = in_double_precision(
    name="01.draw",
    task="n new examples x (n, d), y (n,). Draw y from the priors, then x from its class's Gaussian, with rng alone.",
    solution=draw,
    inputs=class_gaussians,
    probe=drawn,
    mistakes=[
        (lambda n, priors, *rest: torch.multinomial(priors, n), "Labels may come again. Write replacement=True."),
        (draw_with(share=0), "The labels are uniform. Draw them from the priors, as multinomial does."),
        (draw_with(place=0), "The means are missing: each class lies around 0. Add means[y]."),
        (lambda *a: (draw(*a)[0], draw(*a)[1]), "Each class has the mean of all. Does x belong to its y?"),
        (draw_with(lambda C: C), "The covariance is in the place of its root L. Take L with L @ L.T = covariance."),
        (draw_with(lambda C: torch.linalg.cholesky(C).mT), "L is transposed: take L @ z, or z @ L.T with z in rows."),
        (draw_with(lambda C: (C * torch.eye(2)).sqrt()), "x has independent numbers. Take L of the whole matrix."),
        (draw_with(lambda C: torch.eye(2).expand_as(C)), "The covariances are not used. Multiply the noise by L."),
    ],
    otherwise={
        "type": "The function returned an object of type {got}. Return two: x, y.",
        "shape": "{group} has shape {got}, and it must be {expected}: one example in each row, and x before y.",
        "apart": "Many examples are equal. Draw noise for each example: z is (n, d).",
        "repeats": "Equal generators gave different draws. Give rng to all that draws: torch.distributions takes none.",
        "shares": "A class has the share {got} of the new examples, and its prior is {expected}.",
        "means": "In one class a mean is {got}, and it should be near {expected}.",
        "covariances": "In one class an entry of the covariance is {got}, and it should be near {expected}.",
        "renews": "Two generators gave the same labels or noise. Draw all from rng, and give it no new seed.",
    },
    praise=lambda inputs, seen: f"Your {inputs[0]:,} examples have the right shares, means and covariances.",
    hints=(
        "torch.multinomial draws labels, torch.randn draws noise z (n, d). Give generator=rng to both.",
        "With L = torch.linalg.cholesky(covariances), (L[y] @ z[:, :, None])[:, :, 0] is L times z. Add means[y].",
    ),
)


# ---- 01.is_split: write the check


def is_split(candidate):
    """Return whether candidate(x, y) puts each row into one of three parts, by chance and together with its label."""
    x, y = torch.arange(300.0).reshape(100, 3), torch.arange(100) // 25  # all rows differ, and y is sorted
    (x_train, y_train), (x_val, y_val), (x_test, y_test) = candidate(x, y)
    x_all, y_all = torch.cat([x_train, x_val, x_test]), torch.cat([y_train, y_val, y_test])
    order = x_all[:, 0].argsort()
    each_row_once = torch.equal(x_all[order], x) and torch.equal(y_all[order], y)
    each_class_in_train = len(y_train.unique()) == 4
    return each_row_once and each_class_in_train and len(y_val) > 0 and len(y_test) > 0


def split_by(order: Callable[[int], Any], first: float = 0.6, second: float = 0.8) -> Any:
    """A program that puts the rows into this order, and cuts at these shares of them."""

    def candidate(x: Tensor, y: Tensor) -> Any:
        places = int(first * len(x)), int(second * len(x))
        return tuple((x[rows], y[rows]) for rows in torch.as_tensor(order(len(x))).tensor_split(places))

    return candidate


def sorted_after_the_cut(n: int) -> Tensor:
    return torch.cat([rows.sort().values for rows in torch.randperm(n).tensor_split((7 * n // 10, 17 * n // 20))])


def one_part_twice(x: Tensor, y: Tensor) -> Any:
    train, val, _ = split_by(torch.randperm)(x, y)
    return train, val, val


CANDIDATES: list[tuple[Any, str]] = [
    (split_by(torch.randperm), "the rows shuffled by torch"),
    (split_by(lambda n: np.random.permutation(n), 0.8, 0.9), "other shares, the rows shuffled by numpy"),
    (split_by(sorted_after_the_cut, 0.7, 0.85), "rows chosen by chance, each part in the order of the file"),
    (split_by(lambda n: torch.randperm(n).repeat(2)[: 7 * n // 5], 1, 1.2), "all rows in the training part"),
    (split_by(lambda n: torch.randperm(n).repeat(2)[: n + 1]), "one training row in the test part too"),
    (split_by(lambda n: torch.randperm(n)[1:]), "one row lost"),
    (lambda x, y: split_by(torch.randperm)(x, y[torch.randperm(len(y))]), "labels shuffled against their rows"),
    (split_by(torch.arange), "not shuffled"),
    (split_by(torch.randperm, 0.8, 0.8), "an empty validation part"),
    (one_part_twice, "the validation part as test part too"),
    (split_by(lambda n: torch.randint(n, (n,))), "rows drawn with replacement"),
]
IS_SPLIT = write_the_check(
    CANDIDATES,
    right=3,
    enough=6,
    arguments=("x", "y"),
    name="01.is_split",
    task="return True if candidate(x, y) is a right split into training, validation and test part, and False if not.",
    solution=is_split,
    dtype=torch.float64,
    otherwise={"type": "Your check returned an object of type {got}. Return True or False for each candidate."},
    hints=(
        "Give the candidate an x whose rows all differ, so that you find each again, and a sorted y.",
        "torch.cat joins the parts. Sorted, they are x again, with its labels. Does the training part hold each class?",
    ),
)

EXERCISES = [FIT_GAUSSIANS, POSTERIOR, DRAW, IS_SPLIT]
