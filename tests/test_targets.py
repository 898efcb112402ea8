"""The distributions on the line and in the plane against scipy.stats."""

import math
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from ganlib.targets import Gaussian, Mixture, Spots, Uniform, grid, line, normal, ring

X = torch.linspace(-9, 9, 721, dtype=torch.float64)
PARTS = {"means": (-2.0, 0.5, 3.0), "sds": (0.5, 1.0, 0.25), "weights": (0.2, 0.5, 0.3)}


class MixtureOfScipy:
    def __init__(self, means, sds, weights):
        self.parts = [(weight, stats.norm(mean, sd)) for mean, sd, weight in zip(means, sds, weights, strict=True)]

    def pdf(self, x):
        return sum(weight * part.pdf(x) for weight, part in self.parts)

    def cdf(self, x):
        return sum(weight * part.cdf(x) for weight, part in self.parts)


PAIRS = {  # ours, and the same of scipy
    "standard normal": (normal(), stats.norm()),
    "normal": (normal(1.5, 0.3), stats.norm(1.5, 0.3)),
    "mixture": (Mixture(**PARTS), MixtureOfScipy(**PARTS)),
    "equal weights": (Mixture((-2, 2), (1, 0.5)), MixtureOfScipy((-2, 2), (1, 0.5), (0.5, 0.5))),
    "standard uniform": (Uniform(), stats.uniform()),
    "uniform": (Uniform(-1, 2), stats.uniform(-1, 3)),
}
BOTH = pytest.mark.parametrize(("ours", "scipys"), PAIRS.values(), ids=PAIRS)
OURS = pytest.mark.parametrize("ours", [ours for ours, _ in PAIRS.values()], ids=PAIRS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@BOTH
def test_the_density_is_that_of_scipy(ours, scipys):
    expected = scipys.pdf(X.numpy())
    np.testing.assert_allclose(ours.density(X), expected, rtol=1e-12)
    inside = expected > 0
    np.testing.assert_allclose(ours.log_density(X)[inside], np.log(expected[inside]), rtol=1e-12, atol=1e-12)


@OURS
@pytest.mark.parametrize("shape", [(), (7,), (4, 1), (2, 3, 5)])
def test_shape_and_dtype_are_those_of_the_places(ours, shape):
    x = torch.full(shape, 0.25)
    for dtype in (torch.float32, torch.float64):
        for found in (ours.density(x.to(dtype)), ours.log_density(x.to(dtype))):
            assert (found.shape, found.dtype) == (shape, dtype)


@BOTH
def test_places_may_be_whole_numbers(ours, scipys):
    found = ours.density(torch.arange(-3, 4))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, scipys.pdf(np.arange(-3, 4)), rtol=1e-5, atol=1e-7)


def test_the_log_density_stays_finite_where_the_density_underflows():
    x = torch.tensor([50.0, -50.0], dtype=torch.float64)
    assert normal().density(x).tolist() == [0, 0]
    np.testing.assert_allclose(normal().log_density(x), stats.norm.logpdf([50, -50]), rtol=1e-12)
    two = Mixture((-2, 2), (1, 1)).log_density(x)  # the nearer half is all that counts
    np.testing.assert_allclose(two, [stats.norm.logpdf(48) - math.log(2)] * 2, rtol=1e-12)


def test_the_log_density_can_be_differentiated():
    x = torch.tensor([-1.0, 0.5, 50.0], dtype=torch.float64, requires_grad=True)
    normal(0.5, 2).log_density(x).sum().backward()
    np.testing.assert_allclose(x.grad, -(x.detach() - 0.5) / 4, rtol=1e-12)


def test_a_component_of_weight_zero_is_absent():
    without, with_it = normal(1, 2), Mixture((1, -4), (2, 0.1), (1, 0))
    assert torch.equal(with_it.log_density(X), without.log_density(X))
    assert not (Mixture((0, 100), (1, 1), (1, 0)).sample(20_000, generator()) > 50).any()


def test_outside_of_a_uniform_there_is_nothing():
    x = torch.tensor([-1.01, -1.0, 2.0, 2.01])
    assert Uniform(-1, 2).log_density(x).tolist() == pytest.approx([-math.inf, -math.log(3), -math.log(3), -math.inf])
    assert Uniform(-1, 2).density(x).tolist() == pytest.approx([0, 1 / 3, 1 / 3, 0])


@BOTH
def test_samples_follow_the_distribution(ours, scipys):
    draws = ours.sample(20_000, generator(1))
    assert (draws.shape, draws.dtype) == ((20_000, 1), torch.float64)
    assert stats.kstest(draws[:, 0].numpy(), scipys.cdf).pvalue > 0.01
    # Draws that follow each other have nothing to do with each other.
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 4 / math.sqrt(20_000)


@OURS
def test_samples_depend_on_the_generator_alone(ours):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = ours.sample(50, generator(3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9)
    assert torch.equal(ours.sample(50, generator(3)), first)
    assert not torch.equal(ours.sample(50, generator(4)), first)
    rng = generator(3)
    assert torch.equal(ours.sample(50, rng), first)
    assert not torch.equal(ours.sample(50, rng), first)  # the generator has moved on


def test_a_distribution_is_a_fixed_value():
    assert normal() == Mixture([0], [1]) == Mixture((0.0,), (1.0,), (1.0,))
    assert normal() != normal(1)
    assert len({normal(), Mixture([0], [1]), normal(0, 2), Uniform(), Uniform(0, 1), Uniform(0, 2)}) == 4
    for thing, name in ((normal(), "means"), (Uniform(), "low")):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, 1.0)
    means = [0.0, 1.0]
    mixture = Mixture(means, (1, 1))
    means[0] = 5.0  # a list that changes later
    assert mixture == Mixture((0, 1), (1, 1), (0.5, 0.5))
    for kind in (np.array, torch.tensor):
        assert Mixture(kind([0.0, 1.0]), kind([1.0, 1.0]), kind([0.25, 0.75])) == Mixture((0, 1), (1, 1), (0.25, 0.75))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (((0,), (0,)), "sds must be positive, got 0.0: a point has no density, take a small width such as 0.01"),
        (((0, 1), (1, -2)), "sds must be positive, got -2.0"),
        (((0, 1), (1, 1), (1.5, -0.5)), r"weights must .* sum to 1, got \[1.5, -0.5\]: divide .* by their sum"),
        (((0, 1), (1, 1), (0.5, 0.4)), r"weights must be >= 0 and sum to 1, got \[0.5, 0.4\]"),
        (((0, 1), (1,)), r"sds must hold one finite number for each component, 2 here, got \[1.0\]"),
        (((0, 1), (1, 1), (1,)), r"weights must hold one finite number for each component, 2 here, got \[1.0\]"),
        (((), ()), r"means must hold one finite number for each component, 0 here, got \[\]"),
        ((0.0, 1.0), r"means must hold .*, got 0.0: write \(0.0,\) for a single one"),
        (((0.0,), 1.0), r"sds must hold .*, got 1.0: write \(0.0,\) for a single one"),
        *(
            (parts, f"{name} must hold one finite number for each component")
            for bad in (math.nan, math.inf)
            for name, parts in [("means", ((0, bad), (1, 1))), ("sds", ((0, 1), (1, bad)))]
        ),
    ],
)
def test_what_is_no_mixture_is_refused_with_a_sentence(parts, words):
    with pytest.raises(ValueError, match=words):
        Mixture(*parts)


@pytest.mark.parametrize("ends", [(1, 0), (1, 1), (math.nan, 1), (0, math.inf), (-math.inf, 0)])
def test_what_is_no_interval_is_refused_with_a_sentence(ends):
    with pytest.raises(ValueError, match=f"low must be below high, both finite, got {ends[0]} and {ends[1]}: swap"):
        Uniform(*ends)


def moments(d, dtype=torch.float64):
    x = torch.randn(3 * d, d, generator=generator(d)).double() @ torch.diag(torch.arange(1.0, d + 1).double())
    return x.mean(0).to(dtype), x.to(dtype).T.cov().reshape(d, d)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (0,)])
def test_the_density_of_many_numbers_is_that_of_scipy(d, shape):
    mean, covariance = moments(d)
    x = 3 * torch.randn(*shape, d, dtype=torch.float64, generator=generator())
    expected = np.reshape([stats.multivariate_normal.logpdf(row, mean, covariance) for row in x.reshape(-1, d)], shape)
    for ours in (Gaussian(mean, covariance), Gaussian(mean.tolist(), covariance.numpy())):
        np.testing.assert_allclose(ours.log_density(x), expected, rtol=1e-12)
        np.testing.assert_allclose(ours.density(x), np.exp(expected), rtol=1e-11)
    np.testing.assert_allclose(
        Gaussian(mean, covariance.float()).log_density(x), expected.astype("f"), 1e-4, strict=True
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_of_many_numbers_have_the_moments_and_depend_on_the_generator_alone(dtype):
    mean, covariance = moments(3, dtype)
    ours, state = Gaussian(mean, covariance), torch.get_rng_state()
    draws, same, others = (ours.sample(100_000, generator(seed)) for seed in (1, 1, 2))
    assert (draws.shape, draws.dtype) == ((100_000, 3), dtype)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(draws.T.cov(), covariance, atol=0.02 * covariance.max().item())
    distances = (draws - mean) @ covariance.inverse() * (draws - mean)
    assert stats.kstest(distances.sum(1).numpy(), stats.chi2(3).cdf).pvalue > 0.01
    assert [torch.equal(draws, again) for again in (same, others)] == [True, False]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_gaussian_stays_what_it_is_and_can_be_differentiated():
    mean, covariance = moments(2)
    ours, x = Gaussian(mean, covariance), torch.ones(2, dtype=torch.float64, requires_grad=True)
    slope, before = torch.linalg.solve(covariance, mean - 1), covariance.clone()
    for moment in (mean, covariance):
        moment += 1
    ours.log_density(x).backward()
    assert torch.equal(ours.covariance, before)
    np.testing.assert_allclose(x.grad, slope, rtol=1e-12)
    with pytest.raises(FrozenInstanceError):
        ours.mean = mean


def test_numbers_become_float64_and_rounding_may_leave_a_covariance_a_little_lopsided():
    for covariance in (((1, 0.6), (0.6, 1)), torch.eye(2, dtype=torch.int64)):
        assert Gaussian((0, 0), covariance).sample(3, generator()).dtype == torch.float64
    mean, covariance = moments(50, torch.float32)
    covariance[3, 7] += 1e-6 * covariance.max()
    assert Gaussian(mean, covariance).log_density(mean).isfinite()


DATA = torch.randn(100, 5, generator=generator())
FLAT = DATA.where(torch.arange(5) % 3 != 1, torch.tensor(0.1))  # 1 and 4; the mean of 0.1 is rounded
TWINS, EYE = DATA[:, [0, 1, 2, 3, 3]], torch.eye(2)
DEPENDENT = [x for data in (DATA[:2], DATA[:5], TWINS, 1 + TWINS) for x in (data, data.double())]
SINGULAR = "covariance must not be singular, got"
NEARLY_ONE = torch.tensor([[1, 1 - 2**-47], [1 - 2**-47, 1]], dtype=torch.float64)  # 32 times the rounding error
NO_GAUSSIAN = [
    (0.0, EYE, r"mean must have shape (d,), got (): of rows x (n, d) it is x.mean(0)"),
    ([], EYE[:0, :0], "mean must have shape (d,), got (0,)"),
    ([0, 0], DATA.cov(), "shape (2, 2) beside this mean, got (100, 100): of rows x (n, d) it is x.T.cov()"),
    ([0, 0], [1, 2], "shape (2, 2) beside this mean, got (2,): make it by torch.eye(d) * variances"),
    ([0], 2.0, "covariance must have shape (1, 1) beside this mean, got (): make it by torch.eye"),
    ([0, math.nan], EYE, "mean must be finite, got NaN or infinity in 1 of 2 places: look for NaN in the data"),
    ([0, 0], [[1, math.inf], [math.inf, 1]], "covariance must be finite, got NaN or infinity in 2 of 4 places: look"),
    ([0, 0], math.nan * EYE, "got NaN or infinity in 4 of 4 places: a mean needs one sample, a covariance two"),
    ([0, 0], [[1, 0.5], [0.25, 1]], "must be symmetric, got 0.25 between twins: [i, j] and [j, i] are one number"),
    ([0, 0], [[1, 2], [2, 1]], "must be positive definite, got the eigenvalue -1: look for a wrong sign, or for a"),
    ([0, 0], 0 * EYE, f"{SINGULAR} 2 of 2 numbers never change, the first is number 0: add a small number"),
    (FLAT.mean(0), FLAT.T.cov(), f"{SINGULAR} 2 of 5 numbers never change, the first is number 1"),
    *((x.mean(0), x.T.cov(), f"{SINGULAR} 5 samples or fewer, or a number that the") for x in DEPENDENT),
    ([0, 0], NEARLY_ONE, f"{SINGULAR} 2 samples or fewer, or a number that the"),
]


@pytest.mark.parametrize(("mean", "covariance", "words"), NO_GAUSSIAN)
def test_what_is_no_gaussian_is_refused_with_a_sentence(mean, covariance, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Gaussian(mean, covariance)


def test_places_of_another_width_are_refused_with_a_sentence():
    for shape, words in (((4, 3), "one row is one place"), ((4, 1, 2, 1), "make rows of images by x.flatten(1)")):
        with pytest.raises(ValueError, match=re.escape(f"x must have shape (..., 2), got {shape}: {words}")):
            Gaussian(*moments(2)).log_density(torch.zeros(shape))


# ---- quantiles

MIXTURES = [pair for pair in PAIRS.values() if isinstance(pair[0], Mixture)]


@pytest.mark.parametrize(("ours", "scipys"), MIXTURES)
def test_cdf_and_quantile_are_those_of_scipy(ours, scipys):
    np.testing.assert_allclose(ours.cdf(X), scipys.cdf(X.numpy()), atol=1e-12)
    shares = torch.tensor([1e-9, 0.01, 0.2, 0.5, 0.7001, 1 - 1e-9], dtype=torch.float64)
    found = ours.quantile(shares)
    wanted = [optimize.brentq(lambda x, u=u: scipys.cdf(x) - u, -60, 60, xtol=1e-14) for u in shares.tolist()]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(ours.cdf(found), shares, rtol=1e-6)


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.5, math.nan])
def test_a_quantile_of_no_share_is_refused_with_a_sentence(bad):
    with pytest.raises(ValueError, match="u must lie between 0 and 1, both left out, got"):
        normal().quantile(torch.tensor([0.5, bad]))


# ---- spots in the plane

PLANES = {"ring": ring(5, 3.0, 0.2), "grid": grid(3, 1.5, 0.1), "line": line(4, 2.0, 0.3)}


def test_the_usual_spots_stand_where_they_should():
    eight = ring()
    np.testing.assert_allclose(eight.centres.norm(dim=1), 2.0)
    apart = np.abs(np.exp(2j * np.pi * np.arange(8)[:, None] / 8) - np.exp(2j * np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(torch.cdist(eight.centres, eight.centres), 2 * apart, atol=1e-7)
    assert grid().centres.tolist() == [[a, b] for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4)]
    assert line(4, 2.0).centres.tolist() == [[-3, 0], [-1, 0], [1, 0], [3, 0]]
    assert [made.sd for made in (ring(), grid(), line())] == [0.1, 0.05, 0.1]


@pytest.mark.parametrize("name", PLANES)
def test_the_density_of_spots_is_that_of_scipy(name):
    ours = PLANES[name]
    x = torch.randn(4, 5, 2, dtype=torch.float64, generator=generator())
    parts = [stats.multivariate_normal(centre, ours.sd**2).pdf(x.numpy()) for centre in ours.centres.numpy()]
    np.testing.assert_allclose(ours.density(x), np.mean(parts, axis=0), rtol=1e-9)
    assert ours.log_density(torch.full((2,), 99.0)).isfinite()
    assert ours.density(x.float()).dtype == torch.float32


@pytest.mark.parametrize("name", PLANES)
def test_draws_of_spots_are_even_and_depend_on_the_generator_alone(name):
    ours, state = PLANES[name], torch.get_rng_state()
    draws, same, others = (ours.sample(60_000, generator(seed)) for seed in (1, 1, 2))
    assert (draws.shape, draws.dtype) == ((60_000, 2), torch.float64)
    distance, spot = torch.cdist(draws, ours.centres).min(1)
    assert stats.chisquare(torch.bincount(spot)).pvalue > 0.01
    assert stats.kstest((distance / ours.sd).numpy(), stats.rayleigh().cdf).pvalue > 0.001
    assert [torch.equal(draws, again) for again in (same, others)] == [True, False]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Spots([0.0, 1.0], 1), "centres must be (K, 2) finite numbers, got shape (2,): one row is the place"),
        (lambda: Spots(torch.zeros(3, 3), 1), "centres must be (K, 2) finite numbers, got shape (3, 3)"),
        (lambda: Spots([[0.0, math.nan]], 1), "centres must be (K, 2) finite numbers"),
        (lambda: ring(0), "centres must be (K, 2) finite numbers, got shape (0, 2)"),
        (lambda: grid(0), "centres must be (K, 2) finite numbers, got shape (0, 2)"),
        (lambda: line(0), "centres must be (K, 2) finite numbers, got shape (0, 2)"),
        (lambda: ring(sd=0), "sd must be a positive number, got 0: a point has no density, take 0.01"),
        (lambda: grid(sd=math.inf), "sd must be a positive number, got inf"),
        (lambda: ring().density(torch.zeros(4, 1)), "x must have shape (..., 2), got (4, 1): a place in the plane"),
    ],
)
def test_what_are_no_spots_is_refused_with_a_sentence(make, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make()
