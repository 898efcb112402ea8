"""Distributions on the line with an exact density, to learn from and to compare with. Lesson 02."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
