"""The metrics against scipy, scikit-learn, torchmetrics, closed forms and naive loops."""

import inspect
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import ndimage, optimize, stats
from scipy.spatial.distance import cdist, jensenshannon, pdist
from sklearn.neighbors import NearestNeighbors
from torchmetrics.image.fid import FrechetInceptionDistance

from ganlib import metrics
from ganlib.targets import Mixture, Uniform, grid, line, normal, ring


def features(n, d, seed=0, shift=0.0):
    """Correlated features of unequal variances, as a network's are."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d))) + shift


def probabilities(n, num_classes, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(num_classes, 0.3), n)


# ---- every metric, on random input against another program or a formula


def by_cells(rng):
    """Two random densities on a grid, with holes, masses in a point and underflows, that are 0 at both ends."""
    n = int(rng.integers(5, 60))
    p, q = (rng.dirichlet(np.full(n, 10.0 ** rng.integers(-2, 2))) for _ in "pq")
    p[rng.random(n) < rng.choice([0, 0.3])] = 0
    if rng.random() < 0.2:
        p = np.eye(n)[rng.integers(n)]
    elif rng.random() < 0.2:
        q = p.copy()
    step = 10.0 ** rng.uniform(-2, 1)
    x = step * np.arange(-1, n + 1) + rng.normal()
    p, q = (np.pad(np.clip(masses, 1e-7, None) * (masses > 0), 1) for masses in (p, q))
    return p / p.sum() / step, q / q.sum() / step, x


def masses(p, q, x):
    return p * (x[1] - x[0]), q * (x[1] - x[0])


def two_sets(rng, least=12):
    d = int(rng.integers(1, 8))
    n, m = rng.integers(least, 60, 2)
    return tuple(features(k, d, int(rng.integers(1e9)), shift) for k, shift in ((n, 0.0), (m, rng.exponential())))


def some_probabilities(rng):
    return (probabilities(int(rng.integers(1, 50)), int(rng.integers(2, 12)), int(rng.integers(1e9))),)


def value_by_cells(s, p, q, x):
    p, q = masses(p, q, x)
    return -(p * np.logaddexp(0, -s)).sum() - (q * np.logaddexp(0, s)).sum()


def with_logits(rng):
    p, q, x = by_cells(rng)
    return rng.normal(0, 10.0 ** rng.integers(0, 3), len(x)), p, q, x


def distances(rng):
    return rng.exponential(size=rng.integers(1, 99)), rng.exponential(size=rng.integers(2, 99)), rng.uniform()


def on_the_line(rng):
    k = int(rng.integers(1, 4))
    target = Mixture(rng.normal(0, 3, k), rng.uniform(0.2, 1, k), rng.dirichlet(np.ones(k)))
    return rng.normal(0, 3, (int(rng.integers(1, 60)), 1)), target


def by_quantiles(samples, target):
    def below(x):
        return sum(w * stats.norm(m, s).cdf(x) for m, s, w in zip(target.means, target.sds, target.weights))

    u = (np.arange(len(samples)) + 0.5) / len(samples)
    wanted = [optimize.brentq(lambda x, one=one: below(x) - one, -60, 60) for one in u]
    return np.abs(np.sort(samples[:, 0]) - wanted).mean()


def in_the_plane(rng):
    target = [ring(5, 2.0, 0.3), grid(3, 1.0, 0.2), line(3, 1.0, 0.2)][rng.integers(3)]
    return rng.normal(0, 1.5, (int(rng.integers(20, 200)), 2)), target


def by_a_loop(samples, target):
    """Covered spots, the share on them, and the spread, one sample after the other."""
    members = [[] for _ in target.centres]
    for x in samples:
        away = [math.dist(x, centre) for centre in target.centres.tolist()]
        if min(away) <= 3 * target.sd:
            members[int(np.argmin(away))].append(x)
    on = sum(map(len, members))
    covered = sum(len(held) > 0 and len(held) / on >= 0.2 / len(members) for held in members)
    squares = sum(np.var(held, axis=0).sum() * len(held) for held in members if held)
    r = np.linspace(0, 3, 200_001)  # of the distances of true samples within 3 sd
    true = np.trapezoid(r**3 * np.exp(-(r**2) / 2), r) / np.trapezoid(r * np.exp(-(r**2) / 2), r)
    return covered, on / len(samples), math.sqrt(squares / on / true) / target.sd


def of_classes(rng):
    """Images of some classes, of two members or of more than are looked at, in any order."""
    labels = np.repeat(rng.choice(10, 3, replace=False), rng.choice([2, 30, 250], 3))
    return rng.normal(size=(len(labels), 1, 2, 3)) * (1 + labels[:, None, None, None]), rng.permutation(labels)


def by_pairs(images, labels):
    return np.mean([pdist(images[labels == label][:200].reshape(-1, 6)).mean() for label in np.unique(labels)])


def some_images(rng):
    return (rng.normal(size=(int(rng.integers(1, 9)), 1, int(rng.integers(3, 9)), int(rng.integers(4, 9)))),)


def by_laplace(images):
    return np.mean([ndimage.laplace(image)[1:-1, 1:-1].var(ddof=1) for image in images[:, 0]])


#: for each metric: random arguments, what it should give, least and greatest value, and whether order is no matter
EXACT = {
    "kl_divergence": (by_cells, lambda *pqx: stats.entropy(*masses(*pqx)), 0, math.inf, False),
    "js_divergence": (by_cells, lambda *pqx: jensenshannon(*masses(*pqx)) ** 2, 0, math.log(2), True),
    "wasserstein_1": (
        by_cells,
        lambda p, q, x: (x[1] - x[0]) * np.abs(np.cumsum(masses(p, q, x)[0] - masses(p, q, x)[1])).sum(),
        0, math.inf, True,
    ),
    "value_function": (with_logits, value_by_cells, -math.inf, 0, False),
    "frechet_distance": (two_sets, lambda *of: by_scipy(*of), 0, math.inf, True),
    "inception_score": (
        some_probabilities, lambda p: math.exp(stats.entropy(p, p.mean(0)[None], axis=1).mean()), 1, 12, False
    ),
    "class_shares": (some_probabilities, lambda p: np.eye(p.shape[1])[p.argmax(1)].mean(0), 0, 1, False),
    "divergence_from_uniform": (
        lambda rng: some_probabilities(rng)[0][:1], lambda p: stats.entropy(p, np.full(len(p), 1 / len(p))),
        0, math.log(12), False,
    ),
    "certain_share": (
        lambda rng: next((p, p[0].max()) for p in some_probabilities(rng)),  # a level that is reached, and no more
        lambda p, level: np.mean(p.max(1) >= level), 0, 1, False,
    ),
    "precision_recall": (
        lambda rng: (*two_sets(rng), int(rng.integers(1, 6))), lambda *of: naive(*of)[:2], 0, 1, False
    ),
    "density_coverage": (
        lambda rng: (*two_sets(rng), int(rng.integers(1, 6))), lambda *of: naive(*of)[2:], 0, math.inf, False
    ),
    "nearest": (two_sets, lambda a, b: (cdist(a, b).min(1), cdist(a, b).argmin(1)), 0, math.inf, False),
    "wasserstein_to": (on_the_line, by_quantiles, 0, math.inf, False),
    "modes": (in_the_plane, by_a_loop, 0, math.inf, False),
    "share_closer": (distances, lambda a, b, q: np.mean(a < np.quantile(b, q)), 0, 1, False),
    "spread_within": (of_classes, by_pairs, 0, math.inf, False),
    "sharpness": (some_images, by_laplace, 0, math.inf, False),
}  # fmt: skip
PUBLIC = {
    name: f
    for name, f in vars(metrics).items()
    if inspect.isfunction(f) and f.__module__ == metrics.__name__ and name[0] != "_"
}


def check_exact(name, metric):
    assert name in EXACT, f"{name} is new in ganlib/metrics.py: give random arguments and what it should be in EXACT"
    make, expected, low, high, symmetric = EXACT[name]
    for seed in range(40 if make in (by_cells, with_logits) else 15):
        arguments = make(np.random.default_rng(seed))
        found, wanted = (np.hstack([*np.atleast_1d(f(*arguments))]) for f in (metric, expected))
        close = {"rtol": 1e-5, "atol": 1e-3 if name == "nearest" else 1e-6, "err_msg": f"{name}, seed {seed}"}
        np.testing.assert_allclose(found, wanted, **close)
        assert (low <= found).all(), f"{name}, seed {seed}: below {low}"
        assert (found <= high).all(), f"{name}, seed {seed}: above {high}"
        if symmetric:
            assert metric(arguments[1], arguments[0], *arguments[2:]) == pytest.approx(found[0], rel=1e-6, abs=1e-9)
        if low == 0 and make in (by_cells, two_sets) and name != "nearest":
            assert 0 <= metric(arguments[0], arguments[0], *arguments[2:]) < 1e-9, f"{name}, seed {seed}: of equals"
            assert found[0] > 1e-9 or np.allclose(arguments[0], arguments[1]), f"{name}, seed {seed}: 0 of others"


@pytest.mark.parametrize("name", PUBLIC)
def test_each_metric_is_exact_on_random_input(name):
    check_exact(name, PUBLIC[name])


FAULTS = {
    "twice as large": lambda f: lambda *of: 2 * f(*of),
    "a little more": lambda f: lambda *of: f(*of) + 1e-3,
    "the other way round": lambda f: lambda a, b, *of: f(b, a, *of),
    "its root": lambda f: lambda *of: math.sqrt(f(*of)),
    "cut off": lambda f: lambda *of: min(f(*of), 0.1),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["kl_divergence", "js_divergence", "wasserstein_1", "frechet_distance"])
def test_a_metric_that_is_not_exact_is_noticed(name, fault):
    name = "kl_divergence" if fault == "the other way round" else name  # the rest are symmetric
    with pytest.raises(AssertionError, match=name):
        check_exact(name, FAULTS[fault](PUBLIC[name]))


@pytest.mark.parametrize("target", [normal(1, 2), Mixture((-2, 2), (0.5, 0.5))])
def test_the_distance_to_quantiles_is_the_area_between_the_distribution_functions(target):
    samples = torch.randn(5000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    below = torch.searchsorted(samples.sort().values, x, right=True) / len(samples)
    area = torch.trapezoid((below - target.cdf(x)).abs(), x).item()
    assert metrics.wasserstein_to(samples, target) == pytest.approx(area, rel=1e-3)


def test_true_samples_are_near_and_half_of_the_mass_moves_four_when_a_peak_is_missing():
    two, rng = Mixture((-2, 2), (0.5, 0.5)), torch.Generator().manual_seed(0)
    assert metrics.wasserstein_to(two.sample(100_000, rng), two) < 0.02
    assert metrics.wasserstein_to(normal(2, 0.5).sample(100_000, rng), two) == pytest.approx(2, abs=0.01)


def test_modes_of_what_is_known():
    rng = torch.Generator().manual_seed(0)
    for target, K in ((ring(), 8), (grid(), 25), (line(), 5)):
        covered, on, spread = metrics.modes(target.sample(50_000, rng), target)
        assert covered == K
        assert on == pytest.approx(1 - math.exp(-4.5), abs=0.002)
        assert spread == pytest.approx(1, abs=0.01)
    target = ring()
    points = target.centres.repeat(100, 1)
    assert metrics.modes(points, target) == (8, 1.0, pytest.approx(0, abs=1e-6))
    assert metrics.modes(points[points[:, 0] > 0.1], target).covered == 3
    assert metrics.modes(torch.cat([target.centres[:1].repeat(995, 1), target.centres[1:2]]), target).covered == 1
    noise = metrics.modes(6 * torch.rand(50_000, 2, generator=rng) - 3, target)
    assert noise.covered == 8  # so the share on the spots stands beside it
    assert noise.on == pytest.approx(8 * math.pi * 0.3**2 / 36, abs=0.01)
    far = metrics.modes(torch.full((10, 2), 9.0), target)
    assert (far.covered, far.on) == (0, 0.0)
    assert math.isnan(far.spread)


def test_rounding_makes_nothing_negative_and_the_mass_that_a_grid_loses_neither():
    for p, q in ((0.999, 1.0), (0.999, 0.999), (1.001, 1.001)):
        for divergence in (metrics.kl_divergence, metrics.js_divergence, metrics.wasserstein_1):
            assert 0 <= divergence(p * normal().density(GRID), q * normal().density(GRID), GRID) < 2e-3
    assert metrics.divergence_from_uniform([0, 0, 1, 0]) == pytest.approx(math.log(4))
    for k in range(1, 60):
        assert 0 <= metrics.divergence_from_uniform(np.full(k, 1 / k)) < 1e-12
        assert 0 <= metrics.frechet_distance(features(80, 3, k), np.flipud(features(80, 3, k)).copy()) < 1e-9


# ---- Fréchet distance


class AsTheyAre(torch.nn.Module):
    """Stands in for Inception where torchmetrics is handed features instead of images."""

    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features

    def forward(self, rows):
        return rows


def by_scipy(real, fake):
    mean = np.square(real.mean(0) - fake.mean(0)).sum()
    a, b = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (real, fake))
    return mean + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b)).real


def by_torchmetrics(real, fake):
    metric = FrechetInceptionDistance(AsTheyAre(real.shape[1])).set_dtype(torch.float64)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(fake), real=False)
    return metric.compute().item()


@pytest.mark.parametrize("oracle", [by_scipy, by_torchmetrics])
def test_frechet_distance_equals_other_programs(oracle):
    real, fake = features(200, 64), features(500, 64, seed=1, shift=0.5)
    assert metrics.frechet_distance(real, fake) == pytest.approx(oracle(real, fake), rel=1e-6)


def test_frechet_distance_is_zero_for_the_same_samples_and_needs_no_full_rank():
    real = features(200, 16)
    assert 0 <= metrics.frechet_distance(real, np.random.default_rng(0).permutation(real)) < 1e-9
    for more in (np.ones((200, 2)), real[:, :3]):  # dead units, units that agree: covariances without full rank
        dependent = np.hstack([real, more])
        assert metrics.frechet_distance(dependent, dependent + 1) == pytest.approx(dependent.shape[1], rel=1e-6)


def test_frechet_distance_of_two_draws_shrinks_with_their_size():
    d, floors = 20, []
    for n in (500, 4000):
        draws = np.random.default_rng(n).normal(size=(20, 2, n, d))
        floors.append(np.mean([metrics.frechet_distance(a, b) for a, b in draws]))
        # Two means differ by 2d/n in square, two covariances by d(d + 1)/2n in the metric of the distance.
        assert floors[-1] == pytest.approx((d * (d + 1) / 2 + 2 * d) / n, rel=0.1)


# ---- neighbourhoods


def naive(real, fake, k):
    """The definitions word by word, on the distances of scikit-learn's exact search."""

    def radii(own):
        return NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(own).kneighbors()[0][:, -1]  # without itself

    real_radii, fake_radii = radii(real), radii(fake)
    inside_real = [[math.dist(f, r) < radius for r, radius in zip(real, real_radii)] for f in fake]
    inside_fake = [[math.dist(r, f) < radius for f, radius in zip(fake, fake_radii)] for r in real]
    precision = sum(any(row) for row in inside_real) / len(fake)
    recall = sum(any(row) for row in inside_fake) / len(real)
    density = sum(map(sum, inside_real)) / (k * len(fake))
    coverage = sum(any(row[i] for row in inside_real) for i in range(len(real))) / len(real)
    return precision, recall, density, coverage


def test_as_far_as_the_neighbour_is_not_nearer():
    assert metrics.precision_recall([[0.0], [1.0], [2.0], [10.0]], [[-1.0]] * 2, k=1)[0] == 0


def test_neighbourhood_metrics_of_memorised_samples():
    real = features(200, 5)
    memorised = np.repeat(real[:10], 20, axis=0)
    precision, recall = metrics.precision_recall(real, memorised)
    assert (precision, recall < 0.06) == (1, True)  # the ten themselves, at most


# ---- the nearest training sample


def test_nearest_equals_a_loop_over_all_however_many_there_are():
    samples, training = features(metrics.ROWS + 30, 2), features(90, 2, seed=1)
    found, numbers = metrics.nearest(samples, training)
    assert numbers.tolist() == cdist(samples, training).argmin(1).tolist()
    assert found.tolist() == pytest.approx(cdist(samples, training).min(1), abs=1e-4)


def test_nearest_finds_copies():
    training = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found, numbers = metrics.nearest(training[50:90].requires_grad_(), training)
    assert numbers.tolist() == list(range(50, 90))
    assert not found.requires_grad
    assert found.max() < 0.05  # float32; the nearest other image is 20 away


def test_equally_near_is_not_nearer():
    assert metrics.share_closer(np.full(5, 3.0), np.full(9, 3.0)) == 0
    assert metrics.share_closer(np.arange(100.0), np.arange(100.0)) == 0.01


def test_sharpness_falls_by_blur_and_rises_by_noise():
    rng = np.random.default_rng(0)
    dots = 2.0 * (rng.random((20, 1, 28, 28)) < 0.1) - 1
    images = ndimage.gaussian_filter(dots, (0, 0, 0.7, 0.7))
    blurs = [metrics.sharpness(ndimage.gaussian_filter(images, (0, 0, sd, sd))) for sd in (0, 0.3, 0.6, 1.2)]
    assert blurs == sorted(blurs, reverse=True)
    assert blurs[-1] < 0.1 * blurs[0]
    noises = [metrics.sharpness(images + sd * rng.normal(size=images.shape)) for sd in (0, 0.1, 0.3)]
    assert noises == sorted(noises)
    # of pure noise it is 20 sd²: four neighbours, and 16 for the middle
    noise = rng.normal(size=(400, 1, 28, 28))
    assert metrics.sharpness(0.5 * noise) == pytest.approx(5, rel=0.02)


def test_sharpness_of_one_bright_pixel_is_known():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1.0  # the Laplacian of the nine inside: -4 in the middle, 1 beside it, 0 in the corners
    assert metrics.sharpness(image) == pytest.approx((16 + 4) / 8)
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    for flat in (ramp, 0 * ramp + 0.3, ramp.mT):
        assert metrics.sharpness(flat) == pytest.approx(0, abs=1e-9)
    assert metrics.sharpness(torch.cat([image, 0 * image])) == pytest.approx((16 + 4) / 16)
    assert metrics.sharpness((image * 10).byte()) == pytest.approx(250)
    assert metrics.sharpness(image + 100) == pytest.approx(2.5)


def test_one_image_of_each_class_has_no_spread():
    labels = torch.arange(40) % 4
    assert metrics.spread_within(labels[:, None].float(), labels) == 0  # between the classes there is some


# ---- densities on a grid

GRID = torch.linspace(-20, 28, 4801, dtype=torch.float64)
#: of N(0, 1) and N(shift, 1), in nats, by adaptive quadrature
JSD_OF_SHIFTS = {0: 0.0, 0.5: 0.030311, 1: 0.111421, 2: 0.336831, 3: 0.526777, 4: 0.632720, 6: 0.689298, 8: 0.693054}
SMOOTH = {"shift": (normal(), normal(2)), "both": (normal(-1, 0.7), normal(1.5, 1.3))}  # pairs of densities
EACH_PAIR = pytest.mark.parametrize("pair", SMOOTH)


def on_grid(name, x=GRID):
    p, q = SMOOTH[name]
    return p.density(x), q.density(x)


@pytest.mark.parametrize("shift", JSD_OF_SHIFTS)
def test_divergences_of_shifted_normals(shift):
    p, q = normal().density(GRID), normal(shift).density(GRID)
    assert metrics.kl_divergence(p, q, GRID) == pytest.approx(shift**2 / 2, abs=1e-8)
    assert metrics.kl_divergence(q, p, GRID) == pytest.approx(shift**2 / 2, abs=1e-8)
    assert metrics.js_divergence(p, q, GRID) == pytest.approx(JSD_OF_SHIFTS[shift], abs=1e-6)
    assert metrics.wasserstein_1(p, q, GRID) == pytest.approx(shift, abs=1e-8)


def test_kl_divergence_where_q_underflows():
    x = torch.linspace(-18, 18, 3601, dtype=torch.float64)
    p, q = normal().density(x), normal(5, 0.5).density(x)
    assert q[p > 0].min() == 0  # far from all mass of p: not what is meant by infinite
    assert metrics.kl_divergence(p, q, x) == pytest.approx(math.log(0.5) + 26 / 0.5 - 0.5, abs=1e-8)
    assert metrics.kl_divergence(p, Uniform(-5, 5).density(x), x) == math.inf  # 6e-7 of p lies outside


def test_wasserstein_1_of_densities_that_end_with_the_grid():
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    assert metrics.wasserstein_1(1 + 0 * x, 2 * x, x) == pytest.approx(2 / 3 - 1 / 2, abs=1e-4)


def test_the_smallest_floats_do_not_disturb():
    x = torch.linspace(-45, 45, 4501, dtype=torch.float64)  # the densities underflow on both sides
    p, q = normal(-3).density(x), normal(3).density(x)
    assert p.min() == 0
    assert 0 < p[p > 0].min() < 1e-320
    assert metrics.js_divergence(p, q, x) == pytest.approx(JSD_OF_SHIFTS[6], abs=1e-6)


@EACH_PAIR
@pytest.mark.parametrize("steps", ["sinh", "random"])
def test_the_steps_of_the_grid_may_differ(pair, steps):
    if steps == "sinh":
        x = 2 * torch.sinh(torch.linspace(-3, 3, 4801, dtype=torch.float64))
    else:
        x = torch.from_numpy(np.sort(np.random.default_rng(0).uniform(-20, 20, 20_000)))
    (p, q), exactly = on_grid(pair, x), on_grid(pair)
    for metric in (metrics.kl_divergence, metrics.js_divergence, metrics.wasserstein_1):
        assert metric(p, q, x) == pytest.approx(metric(*exactly, GRID), abs=2e-4)
    logits = 0.7 * x
    assert metrics.value_function(logits, p, q, x) == pytest.approx(
        metrics.value_function(0.7 * GRID, *exactly, GRID), abs=2e-4
    )


GRID_KINDS = {
    "numpy": np.asarray,
    "numpy float32": lambda v: v.numpy().astype(np.float32),
    "list": torch.Tensor.tolist,
    "torch float32": torch.Tensor.float,
    "torch with a graph": lambda v: v.clone().requires_grad_(),
}


@pytest.mark.parametrize("kind", GRID_KINDS)
def test_kind_of_the_densities_does_not_matter(kind):
    x = torch.linspace(-16, 16, 1601, dtype=torch.float64)
    p, q = on_grid("both", x)
    for metric, arguments in (
        (metrics.kl_divergence, (p, q, x)),
        (metrics.js_divergence, (p, q, x)),
        (metrics.wasserstein_1, (p, q, x)),
        (metrics.value_function, (0.3 * x, p, q, x)),
    ):
        found = metric(*map(GRID_KINDS[kind], arguments))
        assert type(found) is float
        assert found == pytest.approx(metric(*arguments), rel=1e-5)
    whole = [-1, 0, 1]  # a triangle, in whole numbers
    assert metrics.value_function([0, 0, 0], [0, 1, 0], [0, 1, 0], whole) == pytest.approx(-math.log(4))


# ---- the value function


@pytest.mark.parametrize("shift", JSD_OF_SHIFTS)
def test_the_best_discriminator_reaches_the_divergence(shift):
    ours, theirs = normal(), normal(shift)
    p, p_g = ours.density(GRID), theirs.density(GRID)
    best = ours.log_density(GRID) - theirs.log_density(GRID)
    top = metrics.value_function(best, p, p_g, GRID)
    assert top == pytest.approx(-math.log(4) + 2 * JSD_OF_SHIFTS[shift], abs=3e-6)  # of numbers with six digits
    for other in (best - 0.3, 1.2 * best - 0.01, best + torch.sin(GRID)):
        assert metrics.value_function(other, p, p_g, GRID) < top


def test_extreme_logits_give_finite_values():
    p, p_g = on_grid("shift")
    for sign in (1, -1):
        assert metrics.value_function(sign * torch.full_like(GRID, 1e4), p, p_g, GRID) == pytest.approx(-1e4)
    right_and_wrong = [metrics.value_function(sign * 1e4 * (1 - GRID), p, p_g, GRID) for sign in (1, -1)]
    overlap = stats.norm.pdf(1) - stats.norm.sf(1)  # the mean of max(0, x - 1), as large on the other side
    expected = [-2e4 * overlap, -2e4 * (overlap + 1)]
    assert right_and_wrong == pytest.approx(expected, rel=1e-4)


def test_logits_in_a_narrow_range_are_no_probabilities():
    x = torch.linspace(-16, 16, 1601, dtype=torch.float64)
    ours, same = Mixture((0, 0), (2, 2)), normal(0, 2)
    noise = ours.log_density(x) - same.log_density(x)
    untrained = torch.linspace(0.2, 0.6, len(x), dtype=torch.float64)
    assert metrics.value_function(untrained, ours.density(x), same.density(x), x) < -math.log(4)
    for logits in (noise.abs() + 1e-15, 0 * x, torch.full_like(x, 1e-4)):
        found = metrics.value_function(logits, ours.density(x), same.density(x), x)
        assert found == pytest.approx(-math.log(4), abs=1e-6)
    for logits in (x.abs() / 10, torch.full_like(x, 1.01), torch.full_like(x, -0.01), (x > 0) * 2 - 1):
        assert metrics.value_function(logits, ours.density(x), same.density(x), x) < -math.log(4)


# ---- what all have in common

TWO_SETS = {
    "frechet": metrics.frechet_distance,
    "precision_recall": metrics.precision_recall,
    "density_coverage": metrics.density_coverage,
}
CLASSES = {
    "inception_score": metrics.inception_score,
    "class_shares": lambda p: metrics.class_shares(p).tolist(),
    "certain_share": metrics.certain_share,
}
KINDS = {
    "numpy float32": lambda a: a.astype(np.float32),
    "torch float64": torch.from_numpy,
    "torch float32 with a graph": lambda a: torch.tensor(a, dtype=torch.float32, requires_grad=True),
    "numpy, transposed in memory": np.asfortranarray,
    "another order": np.random.default_rng(5).permutation,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TWO_SETS | CLASSES)
def test_kind_and_order_of_the_samples_do_not_matter(name, kind):
    if name in TWO_SETS:
        arguments = features(150, 4), features(140, 4, seed=1, shift=0.3)
    else:
        arguments = (probabilities(150, 5),)
    metric = (TWO_SETS | CLASSES)[name]
    assert metric(*map(KINDS[kind], arguments)) == pytest.approx(metric(*arguments), rel=1e-5)


# ---- what cannot be measured is refused

GOOD = features(50, 3)
BAD = GOOD.copy()
BAD[7, 1] = np.nan
BAD[9, 2] = np.inf


@pytest.mark.parametrize(
    ("metric", "arguments", "words"),
    [
        (metrics.frechet_distance, (GOOD, GOOD[:3]), "fake must hold more .* got 3 samples of 3 features: their cov"),
        (metrics.frechet_distance, (features(64, 64), features(99, 64)), "real must hold more .*; take 10,000 samples"),
        *(
            (metric, pair, words)
            for metric in (metrics.frechet_distance, metrics.precision_recall, metrics.density_coverage)
            for pair, words in [
                ((GOOD, BAD), "fake must be finite, got NaN or inf in 2 of 50 rows: did the model diverge"),
                ((BAD, GOOD), "real must be finite, got NaN or inf in 2 of 50 rows: did the model diverge"),
                ((GOOD, GOOD[:, :2]), "both sets must have equally many features, got 3 and 2: use one judge for both"),
                ((GOOD[:, 0], GOOD), r"real must be of shape \(n, d\) .* got \(50,\): .* needs .reshape\(-1, 1\)"),
                ((GOOD, GOOD[:0]), r"fake must be of shape \(n, d\) with one row for each sample, got \(0, 3\)"),
            ]
        ),
        *(
            (metric, (GOOD, GOOD[:m], k), f"k must lie between 1 and .* got {k} for 50 real and {m} fake samples: take")
            for metric in (metrics.precision_recall, metrics.density_coverage)
            for m, k in [(50, 0), (50, 50), (3, 3)]
        ),
        *(
            (metric, (p,), words)
            for metric in (metrics.inception_score, metrics.class_shares, metrics.certain_share)
            for p, words in [
                (GOOD, "probabilities or shares must be numbers >= 0 .* a smallest of -.*: logits need softmax first"),
                ([[0.5, 0.498]], "that sum to 1 in each row, .* sums of 0.998 to 0.998: "),
                ([[0.5, 0.5], [0.2, 0.2]], "must be numbers >= 0 that sum to 1 in each row, .* sums of 0.4 to 1: "),
                ([0.5, 0.5], r"probabilities must be of shape \(n, d\)"),
                (BAD, "probabilities must be finite, got NaN or inf in 2 of 50 rows"),
            ]
        ),
        (metrics.divergence_from_uniform, ([-0.1, 1.1],), "shares must be numbers >= 0 .* a smallest of -0.1"),
        (metrics.divergence_from_uniform, ([30, 70],), "sums of 100 to 100: .* counts a division by their sum"),
        (metrics.divergence_from_uniform, ([math.nan, 1.0],), "must be finite"),
        (
            metrics.certain_share,
            (np.eye(3), 90),
            r"level must be a probability in \[0, 1\], got 90: write 0.9 for 90 %",
        ),
        (metrics.share_closer, ([math.nan], [1.0]), "fake_distances must be finite"),
        (metrics.share_closer, ([1.0], [math.inf]), "real_distances must be finite"),
        (metrics.share_closer, ([], [1.0]), "fake_distances must be .* one row for each sample"),
        (
            metrics.nearest,
            (torch.zeros(3, 1, 28, 28), torch.zeros(5, 1, 14, 14)),
            "equally many features, got 784 and 196",
        ),
        (metrics.wasserstein_to, (GOOD, normal()), r"numbers on the line, .* got \(50, 3\): choose one column"),
        (metrics.wasserstein_to, (GOOD[:, None], normal()), r"numbers on the line, .* got \(50, 1, 3\)"),
        (metrics.wasserstein_to, ([], normal()), r"samples must be of shape .* got \(0, 1\)"),
        (metrics.wasserstein_to, ([0.0, math.nan], normal()), "samples must be finite, got NaN or inf in 1 of 2 rows"),
        (metrics.modes, (GOOD[:, :1], ring()), r"samples must be places in the plane, \(n, 2\), got \(50, 1\): choose"),
        (metrics.modes, (GOOD[:0, :2], ring()), r"samples must be of shape .* got \(0, 2\)"),
        (metrics.modes, (BAD[:, :2], ring()), "samples must be finite, got NaN or inf in 1 of 50 rows: did the model"),
        (
            metrics.spread_within,
            (GOOD, [0] * 49),
            r"labels must hold one for each of the images, \(n,\), got \(49,\) for",
        ),
        (
            metrics.spread_within,
            (GOOD, np.eye(50)),
            r"labels must hold one for .* got \(50, 50\) .* of one-hot rows .argm",
        ),
        (metrics.spread_within, (BAD, [0] * 50), "images must be finite, got NaN or inf"),
        (
            metrics.spread_within,
            (GOOD, [3] + [0] * 49),
            "hold two of each class or more, got one of class 3: take more",
        ),
        (
            metrics.sharpness,
            (GOOD,),
            r"^images must have shape \(n, 1, height, width\), got \(50, 3\): flat ones need .re",
        ),
        (metrics.sharpness, (np.zeros((4, 28, 28)),), r"got \(4, 28, 28\): flat ones need .reshape\(-1, 1, 28, 28\)$"),
        (
            metrics.sharpness,
            (np.zeros((4, 3, 8, 8)),),
            r"got \(4, 3, 8, 8\): .mean\(1, keepdim=True\) makes them grey$",
        ),
        (
            metrics.sharpness,
            (np.zeros((4, 1, 2, 8)),),
            "images must have at least 3 x 4 pixels, got 2 x 8: the Laplaci",
        ),
        (metrics.sharpness, (np.zeros((4, 1, 3, 3)),), "at least 3 x 4 pixels, got 3 x 3: .* its variance two pixels"),
        (metrics.sharpness, (np.zeros((0, 1, 4, 4)),), r"images must be of shape .* got \(0, 1, 4, 4\)"),
        (metrics.sharpness, (np.full((2, 1, 4, 4), np.nan),), "images must be finite, got NaN or inf in 2 of 2 rows"),
        (metrics.nearest, (BAD, GOOD), "samples must be finite"),
        (metrics.nearest, (GOOD, BAD), "training must be finite"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(metric, arguments, words):
    with pytest.raises(ValueError, match=words):
        metric(*arguments)


@pytest.mark.parametrize(
    ("metric", "target", "words"),
    [
        (metrics.wasserstein_to, ring(), "target must have quantiles, got Spots: on the line take targets.Mixture"),
        (metrics.modes, normal(), r"target must have centres, got Mixture: take targets.ring\(\), grid\(\) or line"),
        (metrics.modes, "ring", "target must have centres, got str"),
    ],
)
def test_a_target_of_another_kind_is_refused_with_a_sentence(metric, target, words):
    with pytest.raises(TypeError, match=words):
        metric(GOOD[:, :2], target)


LINE = torch.linspace(-8, 8, 161, dtype=torch.float64)
P, Q = normal().density(LINE), normal(1).density(LINE)
COUNTS, _ = np.histogram(np.random.default_rng(0).normal(size=1000), bins=161, range=(-8, 8))
HOLE = P.clone()
HOLE[90] = torch.nan
ON_GRIDS = {
    "kl": (metrics.kl_divergence, "q"),
    "js": (metrics.js_divergence, "q"),
    "wasserstein": (metrics.wasserstein_1, "q"),
    "value": (lambda p, p_g, x: metrics.value_function(0 * LINE, p, p_g, x), "p_g"),
}


@pytest.mark.parametrize("name", ON_GRIDS)
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (normal(6, 2).density(LINE), "must integrate to 1 over x, got 0.8.*: does the grid hold all .* from -8 to 8"),
        (COUNTS, "must integrate to 1 over x, got 100: .* A histogram needs density=True"),
        (1.003 * P, "must integrate to 1 over x, got 1.003"),
        (0 * P, "must integrate to 1 over x, got 0: "),
        (P[:33], r"must have one value for each of the 161 places of x, got shape \(33,\): compute all"),
        (P[:, None], r"must have one value for each of the 161 places of x, got shape \(161, 1\)"),
        (P.log(), "must be a density >= 0, got -32.9: is it a log density"),
        (P - 1e-3, "must be a density >= 0, got -0.001"),
        (HOLE, "must be finite, got NaN or inf at x = 1: a division by 0"),
        (Uniform(-1, 1).log_density(LINE), "must be finite, got NaN or inf at x = -8"),
    ],
)
def test_what_is_no_density_is_refused_with_a_sentence(name, bad, words):
    metric, second = ON_GRIDS[name]
    with pytest.raises(ValueError, match="^p " + words):
        metric(bad, Q, LINE)
    with pytest.raises(ValueError, match=f"^{second} " + words):
        metric(P, bad, LINE)


@pytest.mark.parametrize("name", ON_GRIDS)
@pytest.mark.parametrize(
    "bad",
    [LINE.flip(0), 0 * LINE, LINE.masked_fill(LINE == 8, math.inf), LINE + math.nan, LINE[:, None], LINE[:1], 3.0],
)
def test_what_is_no_grid_is_refused_with_a_sentence(name, bad):
    with pytest.raises(
        ValueError, match=r"x must be a grid \(n,\) of finite rising numbers, got shape .*: write torch"
    ):
        ON_GRIDS[name][0](P, Q, bad)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ((P.log() - Q.log()).sigmoid(), "must not be probabilities, got numbers from 0.00.* to 1 that look like D"),
        (torch.full_like(LINE, 0.5), r"from 0.5 to 0.5 that look .*: pass .* before its sigmoid, or torch.logit"),
        (LINE[1:], r"logits must have one value for each of the 161 places of x, got shape \(160,\)"),
        (LINE / 0, "logits must be finite, got NaN or inf at x = -8"),
    ],
)
def test_what_are_no_logits_is_refused_with_a_sentence(bad, words):
    with pytest.raises(ValueError, match=words):
        metrics.value_function(bad, P, Q, LINE)
