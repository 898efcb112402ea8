"""How far apart are two distributions? Numbers computed from densities, features, probabilities or distances."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

ROWS = 500  # samples compared at a time: a block of distances to 60,000 images takes 120 MB


def kl_divergence(p: Any, q: Any, x: Any) -> float:
    """Return KL(p ‖ q) = ∫ p log(p/q) dx, the Kullback–Leibler divergence, in nats.

    ``p`` and ``q`` (n,) are densities at the places ``x`` (n,), which rise; the result is >= 0, not symmetric, and
    infinite when q is 0 where p has mass (more than 1e-9, so that an underflow far out does not count). By the
    trapezoidal rule: exact to 1e-9 for smooth densities on a grid that holds all of them in steps of a tenth of their
    width. Raises ValueError for grids of unequal length, values that are negative or not finite, and a density that
    does not integrate to 1. Kullback and Leibler 1951. Lesson 02.
    """
    p, q, x = _densities(p, q, x)
    missed = q == 0
    if torch.trapezoid(p * missed, x) > 1e-9:
        return math.inf
    return max(0.0, torch.trapezoid(torch.xlogy(p, p) - torch.xlogy(p, q.where(~missed, p)), x).item())


def js_divergence(p: Any, q: Any, x: Any) -> float:
    """Return half of KL(p ‖ m) + KL(q ‖ m) for m = (p + q)/2, the Jensen–Shannon divergence, in nats.

    Arguments, accuracy and errors as in ``kl_divergence``; the result lies in [0, log 2] and is symmetric. Lin 1991,
    section 4; Goodfellow et al. 2014, equation 6. Lesson 02.
    """
    p, q, x = _densities(p, q, x)
    # log(p / (p + q)) and not log(p / m): halving the smallest floats would give 0
    parts = torch.xlogy(p, p) + torch.xlogy(q, q) - torch.xlogy(p + q, p + q)
    return min(max(0.0, math.log(2) + torch.trapezoid(parts, x).item() / 2), math.log(2))


def wasserstein_1(p: Any, q: Any, x: Any) -> float:
    """Return the Wasserstein-1 distance: how far the mass of p must move, on average, to become q.

    Arguments and errors as in ``kl_divergence``; the result is >= 0, in the unit of ``x``, and exact to the step of
    the grid. Arjovsky et al. 2017, equation 1. Lesson 02.
    """
    from scipy import stats

    p, q, x = _densities(p, q, x)
    mass = torch.gradient(x)[0]  # each place stands for its surroundings, half of them at the ends
    mass[[0, -1]] /= 2
    return float(stats.wasserstein_distance(x.numpy(), x.numpy(), (p * mass).numpy(), (q * mass).numpy()))


def wasserstein_to(samples: Any, target: Any) -> float:
    """Return the Wasserstein-1 distance of samples from a distribution on the line, by its exact quantiles.

    ``samples`` (n,) or (n, 1); ``target`` has ``quantile``, as ``targets.Mixture``. The result is >= 0, in the unit of
    the samples. That of true samples is no 0, but about the width divided by the root of n. Raises ValueError for
    other shapes, no samples and NaN, TypeError for a target without quantiles. Peyré and Cuturi 2019, remark 2.30.
    Lesson 03.
    """
    if not hasattr(target, "quantile"):
        raise TypeError(
            f"target must have quantiles, got {type(target).__name__}: on the line take targets.Mixture, "
            "in the plane count modes"
        )
    x = torch.as_tensor(samples).detach().to("cpu", torch.float64)
    if (x.ndim == 2 and x.shape[1] > 1) or x.ndim > 2:
        raise ValueError(
            f"samples must be numbers on the line, (n,) or (n, 1), got {tuple(x.shape)}: choose one column, "
            "or one copy of the network"
        )
    x = _features("samples", x.reshape(-1, 1))[:, 0]
    return (x.sort().values - _quantiles(target, len(x))).abs().mean().item()


@lru_cache(maxsize=8)
def _quantiles(target: Any, n: int) -> Tensor:
    """The middles of n parts of equal mass; for 100,000 they take half a second."""
    return target.quantile((torch.arange(n, dtype=torch.float64) + 0.5) / n)


class Modes(NamedTuple):
    """What ``modes`` counts: centres that are ``covered``, the share ``on`` the spots, the ``spread`` within them."""

    covered: int
    on: float
    spread: float


def modes(samples: Any, target: Any) -> Modes:
    """Return how many spots of a target samples cover, the share that lies on one, and the spread within the spots.

    A sample lies on a spot when its centre is within 3 ``target.sd``: of true samples 98.9 %. A spot is covered when
    it holds at least a fifth of its fair share of the samples that lie on any. The spread is their standard deviation
    within a spot over that of true samples: 1 is right, NaN where none lies on a spot. ``samples`` (n, 2), ``target``
    a ``targets.Spots``. Raises ValueError for other shapes and NaN, TypeError for other targets. Lin et al. 2018,
    section 4.1, with a share in the place of one sample: noise covers by single samples too. Lesson 03.
    """
    if not hasattr(target, "centres"):
        raise TypeError(f"target must have centres, got {type(target).__name__}: take targets.ring(), grid() or line()")
    x = _features("samples", samples)
    if x.shape[1] != 2:
        raise ValueError(
            f"samples must be places in the plane, (n, 2), got {tuple(torch.as_tensor(samples).shape)}: "
            "choose one copy of the network"
        )
    distance, spot = torch.cdist(x, target.centres.to(x)).min(1)
    on = distance <= 3 * target.sd
    x, spot, K = x[on], spot[on], len(target.centres)
    counts = torch.bincount(spot, minlength=K)
    middles = torch.zeros(K, 2).to(x).index_add(0, spot, x) / counts.clamp_min(1)[:, None]
    squares = (x - middles[spot]).square().sum()
    cut = 1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5))  # of the variance, beyond 3 standard deviations
    spread = (squares / max(len(x), 1) / (2 * cut * target.sd**2)).sqrt().item() if len(x) else math.nan
    covered = (counts >= 0.2 * len(x) / K) & (counts > 0)
    return Modes(int(covered.sum()), on.double().mean().item(), spread)


def value_function(logits: Any, p: Any, p_g: Any, x: Any) -> float:
    """Return V(D, G) = 𝔼 log D(x) over p + 𝔼 log(1 - D(x)) over p_g, for D = sigmoid(``logits``), in nats.

    ``logits`` (n,) of D and the densities ``p`` and ``p_g`` (n,) belong to the places ``x`` (n,); the result is <= 0,
    and -log 4 = -1.386 when D is 1/2 everywhere. Accuracy and errors as in ``kl_divergence``; raises ValueError for
    probabilities in the place of logits. Goodfellow et al. 2014, equation 1. Lesson 02.
    """
    p, p_g, x = _densities(p, p_g, x, "p_g")
    (s,) = _on_grid(x, logits=logits)
    # A network that is not trained yet may give logits in a narrow part of [0, 1]; D(x) is wide, or 1/2 everywhere.
    if s.min() >= 0 and s.max() <= 1 and (s.max() - s.min() > 0.5 or (s == 0.5).all()):
        raise ValueError(
            f"logits must not be probabilities, got numbers from {s.min():.3g} to {s.max():.3g} that look like D(x): "
            "pass what D gives before its sigmoid, or torch.logit(D)"
        )
    return -torch.trapezoid(p * softplus(-s) + p_g * softplus(s), x).item()


def frechet_distance(real: Any, fake: Any) -> float:
    """Return the Fréchet distance of two Gaussians fitted to features: |mean difference|² + covariance difference.

    ``real`` (n, d) and ``fake`` (m, d) are features, n and m above d; the result is >= 0, in squared feature units.
    It shrinks with the number of samples, so compare only equal numbers. Raises ValueError for too few samples,
    unequal d and values that are not finite. Heusel et al. 2017, equation 6. Lesson 04.
    """
    real, fake = _features("real", real), _features("fake", fake)
    _same_width(real, fake)
    for name, features in (("real", real), ("fake", fake)):
        if len(features) <= features.shape[1]:
            raise ValueError(
                f"{name} must hold more samples than features, got {len(features)} samples of {features.shape[1]} "
                "features: their covariance has no full rank; take 10,000 samples"
            )
    root = _square_root(torch.cov(real.T).view(real.shape[1], -1))
    cov_fake = torch.cov(fake.T).view(fake.shape[1], -1)
    # tr (Σ_r Σ_f)^½, from the eigenvalues of a symmetric matrix with the same spectrum
    cross = torch.linalg.eigvalsh(root @ cov_fake @ root).clamp_min(0).sqrt().sum()
    means = (real.mean(0) - fake.mean(0)).square().sum()
    return max(0.0, (means + root.square().sum() + cov_fake.trace() - 2 * cross).item())


def inception_score(probabilities: Any) -> float:
    """Return exp of the mean KL(p(y|x) ‖ p(y)): high when each sample has a clear class and all classes occur.

    ``probabilities`` (n, num_classes) are a classifier's answers p(y|x), rows that sum to 1; the result lies between
    1 and num_classes. With another classifier than Inception it is no Inception score of the papers. Raises
    ValueError for rows that are no probabilities. Salimans et al. 2016, section 4. Lesson 04.
    """
    p = _probabilities(probabilities)
    return math.exp((torch.xlogy(p, p).sum(1).mean() - torch.xlogy(p.mean(0), p.mean(0)).sum()).item())


def spread_within(images: Any, labels: Any) -> float:
    """Return the mean distance of two samples of one class, a mean over the classes: how different their members are.

    ``images`` (n, ...) are compared number by number; ``labels`` (n,) are whole numbers; of each class the first 200
    are taken. The result is >= 0 in the unit of the images: that of fakes over that of real images is 1 when both
    differ as much, and 0 for one image repeated. Raises ValueError when lengths differ, or a class has one member.
    Lesson 06.
    """
    x, labels = torch.as_tensor(images), torch.as_tensor(labels)
    if labels.ndim != 1 or labels.shape != x.shape[:1]:
        raise ValueError(
            f"labels must hold one for each of the images, (n,), got {tuple(labels.shape)} for images of "
            f"{tuple(x.shape)}: take both from one set, and of one-hot rows .argmax(1)"
        )
    x = _features("images", x.flatten(1) if x.ndim > 1 else x)
    found = []
    for label in labels.unique():
        members = x[labels == label][:200]
        if len(members) < 2:
            raise ValueError(
                f"images must hold two of each class or more, got one of class {label.item()}: take more images"
            )
        found.append(torch.pdist(members.double()).mean().item())
    return sum(found) / len(found)


def sharpness(images: Any) -> float:
    """Return the mean over images of the variance of their Laplacian: how suddenly neighbouring pixels differ.

    ``images`` (n, 1, height, width) of at least 3 x 4 pixels; the result is >= 0, in squared units of the images. Blur
    lowers it and noise raises it: that of fakes over that of real images is 1 when both are as sharp. Raises ValueError
    for other shapes and values that are not finite. Pech-Pacheco et al. 2000. Lesson 05.
    """
    x = torch.as_tensor(images)
    if x.ndim != 4 or x.shape[1] != 1:
        mend = ".mean(1, keepdim=True) makes them grey" if x.ndim == 4 else "flat ones need .reshape(-1, 1, 28, 28)"
        raise ValueError(f"images must have shape (n, 1, height, width), got {tuple(x.shape)}: {mend}")
    if min(x.shape[2:]) < 3 or max(x.shape[2:]) < 4:
        raise ValueError(
            f"images must have at least 3 x 4 pixels, got {x.shape[2]} x {x.shape[3]}: the Laplacian needs neighbours "
            "on all sides, and its variance two pixels"
        )
    x = _features("images", x, torch.float32).view(x.shape)
    middle = x[:, 0, 1:-1, 1:-1]
    laplacian = x[:, 0, :-2, 1:-1] + x[:, 0, 2:, 1:-1] + x[:, 0, 1:-1, :-2] + x[:, 0, 1:-1, 2:] - 4 * middle
    return laplacian.flatten(1).var(1).mean().item()


def class_shares(probabilities: Any) -> Tensor:
    """Return the share (num_classes,) of the samples whose likeliest class is 0, 1, ...

    ``probabilities`` and errors as in ``inception_score``. Lesson 04.
    """
    p = _probabilities(probabilities)
    return torch.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)


def divergence_from_uniform(shares: Any) -> float:
    """Return KL(shares ‖ uniform) in nats: 0 for equal shares, log K when all samples fall into one of K classes.

    ``shares`` (K,) are >= 0 and sum to 1, or ValueError is raised. A class missing among ten equal ones gives
    log(10/9) = 0.105. Lesson 04.
    """
    p = _probabilities(torch.as_tensor(shares)[None])[0]
    return max(0.0, math.log(len(p)) + torch.xlogy(p, p).sum().item())


def certain_share(probabilities: Any, level: float = 0.9) -> float:
    """Return the share of the samples whose likeliest class has at least probability ``level``.

    ``probabilities`` and errors as in ``inception_score``. Lesson 04.
    """
    if not 0 <= level <= 1:
        raise ValueError(f"level must be a probability in [0, 1], got {level}: write 0.9 for 90 %")
    return (_probabilities(probabilities).amax(1) >= level).double().mean().item()


def precision_recall(real: Any, fake: Any, k: int = 3) -> tuple[float, float]:
    """Return the share of fakes that lie among the real samples, and the share of real ones among the fakes.

    A sample lies among others if it is nearer to one of them than that one's ``k``-th neighbour among its own.
    ``real`` (n, d) and ``fake`` (m, d) are features, n and m above k; both results lie in [0, 1] and depend on n, m
    and k. Raises ValueError as ``frechet_distance`` does. Kynkäänniemi et al. 2019, equations 1 and 2. Lesson 04.
    """
    between, real_radius, fake_radius = _neighbourhoods(real, fake, k)
    precision = (between < real_radius[:, None]).any(0)
    recall = (between < fake_radius).any(1)
    return precision.double().mean().item(), recall.double().mean().item()


def density_coverage(real: Any, fake: Any, k: int = 3) -> tuple[float, float]:
    """Return how many real neighbourhoods a fake lies in, over ``k``, and the share of them that hold a fake.

    A neighbourhood reaches from a real sample to its ``k``-th real neighbour. Arguments and errors as in
    ``precision_recall``; density is >= 0 and about 1 for real samples, coverage lies in [0, 1]. Naeem et al. 2020,
    equations 4 and 5. Lesson 04.
    """
    between, real_radius, _ = _neighbourhoods(real, fake, k)
    inside = between < real_radius[:, None]
    return inside.sum(0).double().mean().item() / k, inside.any(1).double().mean().item()


def nearest(samples: Any, training: Any) -> tuple[Tensor, Tensor]:
    """Return the distance (n,) of each sample to the nearest training sample, and the number (n,) of that one.

    ``samples`` (n, ...) and ``training`` (N, ...) have equal shapes after the first dimension; the distance is the
    Euclidean one, over all pixels. Raises ValueError for other shapes and values that are not finite. Lesson 04.
    """
    samples, training = _features("samples", samples, torch.float32), _features("training", training, torch.float32)
    _same_width(samples, training)
    found = [torch.cdist(block, training).min(1) for block in samples.split(ROWS)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def share_closer(fake_distances: Any, real_distances: Any, quantile: float = 0.01) -> float:
    """Return the share of fakes that are nearer to the training samples than a ``quantile`` of real samples are.

    Both are distances (n,) as ``nearest`` gives them, the second of real samples that were not trained on. About
    ``quantile`` is expected; much more means that training samples were copied. Lesson 04.
    """
    fakes, reals = (
        _features(name, torch.as_tensor(d)[..., None])[:, 0]
        for name, d in (("fake_distances", fake_distances), ("real_distances", real_distances))
    )
    return (fakes < reals.quantile(quantile)).double().mean().item()


def _on_grid(x: Any, **values: Any) -> list[Tensor]:
    """The values (n,) that belong to the places x (n,), as finite float64 on the CPU."""
    x = torch.as_tensor(x).detach().to("cpu", torch.float64)
    if x.ndim != 1 or len(x) < 2 or not (x.diff() > 0).all() or not x.isfinite().all():
        raise ValueError(
            f"x must be a grid (n,) of finite rising numbers, got shape {tuple(x.shape)}: "
            "write torch.linspace(-8, 8, 1601)"
        )
    found = []
    for name, value in values.items():
        y = torch.as_tensor(value).detach().to("cpu", torch.float64)
        if y.shape != x.shape:
            raise ValueError(
                f"{name} must have one value for each of the {len(x)} places of x, got shape {tuple(y.shape)}: "
                "compute all densities on one grid"
            )
        if not y.isfinite().all():
            raise ValueError(
                f"{name} must be finite, got NaN or inf at x = {x[~y.isfinite()][0]:.3g}: a division by 0?"
            )
        found.append(y)
    return found


def _densities(p: Any, q: Any, x: Any, second: str = "q") -> list[Tensor]:
    """Two densities, the second one called so in errors, and their grid, checked."""
    x = torch.as_tensor(x).detach().to("cpu", torch.float64)
    p, q = _on_grid(x, **{"p": p, second: q})
    for name, y in (("p", p), (second, q)):
        if y.min() < 0:
            raise ValueError(f"{name} must be a density >= 0, got {y.min():.3g}: is it a log density? Take its exp")
        if abs((total := torch.trapezoid(y, x).item()) - 1) > 0.002:
            raise ValueError(
                f"{name} must integrate to 1 over x, got {total:.4g}: does the grid hold all of it, from "
                f"{x[0]:.3g} to {x[-1]:.3g}? A histogram needs density=True"
            )
    return [p, q, x]


def _features(name: str, values: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    """Samples as rows of finite numbers on the CPU."""
    rows = torch.as_tensor(values).detach().to("cpu", dtype)
    if rows.ndim < 2 or not len(rows):
        raise ValueError(
            f"{name} must be of shape (n, d) with one row for each sample, got {tuple(rows.shape)}: "
            "one number for each sample needs .reshape(-1, 1)"
        )
    if not rows.isfinite().all():
        bad = (~rows.flatten(1).isfinite().all(1)).sum().item()
        raise ValueError(f"{name} must be finite, got NaN or inf in {bad} of {len(rows)} rows: did the model diverge?")
    return rows.flatten(1)


def _same_width(a: Tensor, b: Tensor) -> None:
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"both sets must have equally many features, got {a.shape[1]} and {b.shape[1]}: use one judge for both"
        )


def _probabilities(values: Any) -> Tensor:
    p = _features("probabilities", values)
    if p.min() < 0 or (p.sum(1) - 1).abs().max() > 1e-3:
        raise ValueError(
            "probabilities or shares must be numbers >= 0 that sum to 1 in each row, got a smallest of "
            f"{p.min():.3g} and sums of {p.sum(1).min():.4g} to {p.sum(1).max():.4g}: logits need softmax first, "
            "counts a division by their sum"
        )
    return p


def _square_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def _neighbourhoods(real: Any, fake: Any, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distances (n, m) between the sets, and each sample's distance to its k-th neighbour in its own set."""
    real, fake = _features("real", real), _features("fake", fake)
    _same_width(real, fake)
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(
            f"k must lie between 1 and the number of samples less one, got {k} for {len(real)} real and {len(fake)} "
            "fake samples: take more samples"
        )
    return torch.cdist(real, fake), _radius(real, k), _radius(fake, k)


def _radius(own: Tensor, k: int) -> Tensor:
    # The nearest of all is the sample itself, at distance 0: so k + 1.
    return torch.cdist(own, own).kthvalue(k + 1, dim=1).values
