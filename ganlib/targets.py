"""Distributions on the line and in the plane with an exact density, to learn from and to compare with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """A sum of normal distributions, each with its weight.

    ``means``, ``sds`` > 0 and ``weights`` >= 0 are equally long, and the weights sum to 1; without weights all are
    equal. Raises ValueError for other numbers. Lesson 02.
    """

    means: Sequence[float]
    sds: Sequence[float]
    weights: Sequence[float] = ()

    def __post_init__(self) -> None:
        given = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in vars(self).items()}
        n = given["means"].numel()
        if not given["weights"].numel():
            given["weights"] = torch.full((n,), 1 / max(n, 1), dtype=torch.float64)
        for name, values in given.items():
            if not n or values.shape != (n,) or not values.isfinite().all():
                raise ValueError(
                    f"{name} must hold one finite number for each component, {n} here, got {values.tolist()}: "
                    "write (0.0,) for a single one"
                )
            object.__setattr__(self, name, tuple(values.tolist()))
        if min(self.sds) <= 0:
            raise ValueError(
                f"sds must be positive, got {min(self.sds)}: a point has no density, take a small width such as 0.01"
            )
        if min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(
                f"weights must be >= 0 and sum to 1, got {list(self.weights)}: "
                "divide each by their sum, and check the signs"
            )

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x), of the shape of ``x``. It stays finite where the density itself underflows to 0."""
        means, sds, weights = self._parameters(x.dtype, x.device)
        standard = (x[..., None] - means) / sds
        return torch.logsumexp(weights.log() - standard.square() / 2 - sds.log(), -1) - math.log(2 * math.pi) / 2

    def density(self, x: Tensor) -> Tensor:
        """Return p(x), of the shape of ``x``."""
        return self.log_density(x).exp()

    def cdf(self, x: Tensor) -> Tensor:
        """Return the probability of a number below each of ``x``, of its shape."""
        means, sds, weights = self._parameters(x.dtype, x.device)
        return (weights * torch.special.ndtr((x[..., None] - means) / sds)).sum(-1)

    def quantile(self, u: Tensor) -> Tensor:
        """Return the places below which the shares ``u``, in (0, 1), of the mass lie; raises ValueError for others."""
        if not ((u > 0) & (u < 1)).all():
            raise ValueError(
                f"u must lie between 0 and 1, both left out, got numbers from {u.min():.3g} to {u.max():.3g}: "
                "the middles of n equal parts are (torch.arange(n) + 0.5) / n"
            )
        far = 40 * max(self.sds)
        low, high = torch.full_like(u, min(self.means) - far), torch.full_like(u, max(self.means) + far)
        for _ in range(64):  # each halves the interval, until rounding is all that is left
            middle = (low + high) / 2
            below = self.cdf(middle) < u
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return n draws (n, 1), float64, that depend on ``rng`` alone."""
        means, sds, weights = self._parameters(torch.float64, rng.device)
        which = torch.multinomial(weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, dtype=torch.float64, device=rng.device, generator=rng)
        return (means[which] + sds[which] * noise)[:, None]

    def _parameters(self, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
        if not dtype.is_floating_point:  # places such as arange(5)
            dtype = torch.get_default_dtype()
        return [torch.tensor(v, dtype=dtype, device=device) for v in (self.means, self.sds, self.weights)]


def normal(mean: float = 0.0, sd: float = 1.0) -> Mixture:
    """Return N(mean, sd²), with errors as in ``Mixture``. Lesson 02."""
    return Mixture((mean,), (sd,))


@dataclass(frozen=True)
class Uniform:
    """The uniform distribution on [low, high]; ``low`` < ``high``, or ValueError is raised.

    Integrals on a grid are exact when both ends lie midway between two places. Lesson 02.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low must be below high, both finite, got {self.low} and {self.high}: swap them?")

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x), of the shape of ``x``: minus infinity outside."""
        inside = (self.low <= x) & (x <= self.high)
        dtype = x.dtype if x.dtype.is_floating_point else torch.get_default_dtype()
        height = torch.tensor(-math.log(self.high - self.low), dtype=dtype, device=x.device)
        return torch.where(inside, height, -math.inf)

    def density(self, x: Tensor) -> Tensor:
        """Return p(x), of the shape of ``x``."""
        return self.log_density(x).exp()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return n draws (n, 1), float64, that depend on ``rng`` alone."""
        unit = torch.rand(n, 1, dtype=torch.float64, device=rng.device, generator=rng)
        return self.low + (self.high - self.low) * unit


@dataclass(frozen=True, eq=False)
class Spots:
    """Equally many draws around each of some places in the plane: a mixture of round normal distributions.

    ``centres`` (K, 2) are float64, ``sd`` > 0 is the standard deviation along each axis. Raises ValueError for other
    numbers. ``ring``, ``grid`` and ``line`` make the usual ones. Lesson 03.
    """

    centres: Tensor
    sd: float

    def __post_init__(self) -> None:
        centres = torch.as_tensor(self.centres, dtype=torch.float64)
        if centres.ndim != 2 or centres.shape[1] != 2 or not len(centres) or not centres.isfinite().all():
            raise ValueError(
                f"centres must be (K, 2) finite numbers, got shape {tuple(centres.shape)}: "
                "one row is the place of one spot"
            )
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise ValueError(f"sd must be a positive number, got {self.sd}: a point has no density, take 0.01")
        vars(self).update(centres=centres, sd=float(self.sd))

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x), shape (...), for ``x`` (..., 2); raises ValueError for another width."""
        if x.shape[-1:] != (2,):
            raise ValueError(f"x must have shape (..., 2), got {tuple(x.shape)}: a place in the plane is two numbers")
        squares = (x[..., None, :] - self.centres.to(x)).square().sum(-1) / self.sd**2
        scale = math.log(2 * math.pi * self.sd**2 * len(self.centres))
        return torch.logsumexp(-squares / 2, -1) - scale

    def density(self, x: Tensor) -> Tensor:
        """Return p(x), shape (...), for ``x`` (..., 2)."""
        return self.log_density(x).exp()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return n draws (n, 2), float64, that depend on ``rng`` alone."""
        which = torch.randint(len(self.centres), (n,), device=rng.device, generator=rng)
        noise = torch.randn(n, 2, dtype=torch.float64, device=rng.device, generator=rng)
        return self.centres.to(rng.device)[which] + self.sd * noise


def ring(n: int = 8, radius: float = 2.0, sd: float = 0.1) -> Spots:
    """Return ``n`` spots, evenly spaced on a circle; errors as in ``Spots``. Metz et al. 2017. Lesson 03."""
    angles = 2 * math.pi * torch.arange(n, dtype=torch.float64) / max(n, 1)
    return Spots(radius * torch.stack([angles.cos(), angles.sin()], 1), sd)


def grid(side: int = 5, spacing: float = 2.0, sd: float = 0.05) -> Spots:
    """Return ``side`` × ``side`` spots around the origin; errors as in ``Spots``. Srivastava et al. 2017. Lesson 03."""
    steps = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
    return Spots(torch.cartesian_prod(steps, steps) if side > 0 else torch.zeros(0, 2), sd)


def line(n: int = 5, spacing: float = 2.0, sd: float = 0.1) -> Spots:
    """Return ``n`` spots in a row along the first axis, around the origin; errors as in ``Spots``. Lesson 03."""
    steps = spacing * (torch.arange(n, dtype=torch.float64) - (n - 1) / 2)
    return Spots(torch.stack([steps, torch.zeros(n)], 1), sd)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The normal distribution of d numbers at once: a place in the plane, or the pixels of an image.

    ``mean`` (d,) and ``covariance`` (d, d), symmetric and positive definite: tensors, or numbers, which become float64.
    All is computed in the dtype of the covariance. Raises ValueError for other shapes and numbers. Lesson 01.
    """

    mean: Tensor
    covariance: Tensor
    _factor: Tensor = field(init=False, repr=False)  # of Cholesky: covariance = factor @ factor.T

    def __post_init__(self) -> None:
        given = torch.as_tensor(self.covariance, dtype=None if hasattr(self.covariance, "dtype") else torch.float64)
        covariance = given.clone() if given.is_floating_point() else given.double()
        mean = torch.as_tensor(self.mean, dtype=covariance.dtype, device=covariance.device).clone()
        vars(self).update(mean=mean, covariance=covariance, _factor=_factor(mean, covariance))

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x), shape (...), for ``x`` (..., d); raises ValueError for another width."""
        d = len(self.mean)
        if x.shape[-1:] != (d,):
            mend = "make rows of images by x.flatten(1)" if x.shape[1:].numel() == d else "one row is one place"
            raise ValueError(f"x must have shape (..., {d}), got {tuple(x.shape)}: {mend}")
        rows = (x.to(self.mean) - self.mean).reshape(-1, d)
        standard = torch.linalg.solve_triangular(self._factor, rows.T, upper=False)
        squares = standard.square().sum(0).reshape(x.shape[:-1])
        return -(squares + d * math.log(2 * math.pi)) / 2 - self._factor.diagonal().log().sum()

    def density(self, x: Tensor) -> Tensor:
        """Return p(x), shape (...), for ``x`` (..., d); with hundreds of numbers it is 0 or infinite in a computer."""
        return self.log_density(x).exp()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return n draws (n, d), in the dtype of the covariance, that depend on ``rng`` alone."""
        noise = torch.randn(n, len(self.mean), dtype=self.mean.dtype, device=rng.device, generator=rng)
        return self.mean + noise.to(self.mean.device) @ self._factor.T


def _factor(mean: Tensor, covariance: Tensor) -> Tensor:
    """The Cholesky factor of the covariance, both arguments checked."""
    d = mean.numel()
    if mean.ndim != 1 or not d:
        raise ValueError(f"mean must have shape (d,), got {tuple(mean.shape)}: of rows x (n, d) it is x.mean(0)")
    if covariance.shape != (d, d):
        mend = "of rows x (n, d) it is x.T.cov()" if covariance.ndim > 1 else "make it by torch.eye(d) * variances"
        raise ValueError(f"covariance must have shape {(d, d)} beside this mean, got {tuple(covariance.shape)}: {mend}")
    for name, values in (("mean", mean), ("covariance", covariance)):
        if bad := int((~values.isfinite()).sum()):
            mend = "look for NaN in the data" if bad < values.numel() else "a mean needs one sample, a covariance two"
            raise ValueError(f"{name} must be finite, got NaN or infinity in {bad} of {values.numel()} places: {mend}")
    if (off := (covariance - covariance.T).abs().max()) > 1e-3 * covariance.abs().max():  # rounding stays far below
        raise ValueError(f"covariance must be symmetric, got {off:.4g} between twins: [i, j] and [j, i] are one number")
    factor, failed = torch.linalg.cholesky_ex(covariance)
    variances, eps = covariance.diagonal(), torch.finfo(covariance.dtype).eps
    constant = variances <= (4 * eps * mean).square()  # so small a variance is the rounding of the mean
    # The share of a variance that the other numbers do not explain: where it is 0, rounding leaves up to 64 eps.
    if failed or constant.any() or (variances * torch.cholesky_inverse(factor).diagonal()).max() > 0.01 / eps:
        if (lowest := torch.linalg.eigvalsh(covariance)[0]) < -1e-3 * covariance.abs().max():
            mend = "look for a wrong sign, or for a number beside the diagonal that is too large"
            raise ValueError(f"covariance must be positive definite, got the eigenvalue {lowest:.4g}: {mend}")
        cause = f"{constant.sum()} of {d} numbers never change, the first is number {constant.int().argmax()}"
        cause = cause if constant.any() else f"{d} samples or fewer, or a number that the others determine"
        raise ValueError(f"covariance must not be singular, got {cause}: add a small number to its diagonal")
    return factor
