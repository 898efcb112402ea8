"""The metrics against scipy, scikit-learn, torchmetrics, closed forms and naive loops."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.neighbors import NearestNeighbors
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore

from ganlib import metrics


def features(n, d, seed=0, shift=0.0):
    """Correlated features of unequal variances, as a network's are."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d))) + shift


def probabilities(n, num_classes, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(num_classes, 0.3), n)


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
@pytest.mark.parametrize(("n", "m", "d"), [(400, 300, 6), (200, 500, 64), (70, 70, 64), (50, 50, 1)])
def test_frechet_distance_equals_other_programs(oracle, n, m, d):
    real, fake = features(n, d), features(m, d, seed=1, shift=0.5)
    assert metrics.frechet_distance(real, fake) == pytest.approx(oracle(real, fake), rel=1e-6)


def test_frechet_distance_in_one_dimension_is_that_of_means_and_deviations():
    real, fake = features(300, 1), 3 * features(200, 1, seed=1) + 2
    expected = (real.mean() - fake.mean()) ** 2 + (real.std(ddof=1) - fake.std(ddof=1)) ** 2
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_isotropic_gaussians():
    rng = np.random.default_rng(0)
    a, b = 2.0 * rng.normal(size=(200_000, 4)), 0.5 * rng.normal(size=(200_000, 4)) + [1, 2, 0, 0]
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 4 + 4 * (2 - 0.5) ** 2, rel=0.01)


def test_frechet_distance_is_symmetric_and_zero_for_the_same_samples():
    real, fake = features(200, 16), features(150, 16, seed=1)
    assert metrics.frechet_distance(real, fake) == pytest.approx(metrics.frechet_distance(fake, real), rel=1e-9)
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


# ---- class probabilities


class Logits(torch.nn.Module):
    def forward(self, p):
        return p.log()


@pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics")  # of memory, and of the deviation of one split
def test_inception_score_equals_that_of_torchmetrics():
    p = probabilities(500, 10)
    metric = InceptionScore(Logits(), splits=1)
    metric.update(torch.from_numpy(p))
    assert metrics.inception_score(p) == pytest.approx(metric.compute()[0].item(), rel=1e-6)


def test_inception_score_lies_between_one_and_the_number_of_classes():
    assert metrics.inception_score(torch.eye(7).repeat(3, 1)) == pytest.approx(7)
    assert metrics.inception_score(torch.full((9, 4), 0.25)) == pytest.approx(1)
    assert metrics.inception_score(torch.eye(4)[:1].repeat(9, 1)) == pytest.approx(1)  # one class is all there is
    assert metrics.inception_score(torch.eye(4)[[0, 1, 1, 0]]) == pytest.approx(2)


def test_class_shares_and_their_divergence_from_uniform():
    p = torch.eye(10)[[1, 1, 1, 7]] * 0.9 + 0.01
    assert metrics.class_shares(p).tolist() == [0, 0.75, 0, 0, 0, 0, 0, 0.25, 0, 0]
    assert metrics.divergence_from_uniform(torch.full((10,), 0.1)) == pytest.approx(0, abs=1e-7)
    assert metrics.divergence_from_uniform([0.0] + [1 / 9] * 9) == pytest.approx(math.log(10 / 9))
    assert metrics.divergence_from_uniform([0, 0, 1, 0]) == pytest.approx(math.log(4))
    shares = probabilities(1, 6)[0]
    assert metrics.divergence_from_uniform(shares) == pytest.approx((shares * np.log(6 * shares)).sum())


def test_certain_share():
    p = np.array([[0.95, 0.05], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    assert metrics.certain_share(p) == 0.5
    assert metrics.certain_share(p, level=0.8) == 0.75


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


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d", "shift"), [(120, 90, 3, 0.6), (60, 150, 8, 0.0), (80, 80, 2, 50.0)])
def test_neighbourhood_metrics_equal_the_naive_ones(n, m, d, shift, k):
    real, fake = features(n, d), features(m, d, seed=1, shift=shift)
    found = *metrics.precision_recall(real, fake, k), *metrics.density_coverage(real, fake, k)
    assert found == pytest.approx(naive(real, fake, k))
    if shift > 10:
        assert found == (0, 0, 0, 0)
    else:
        assert min(found[:2]) > 0
        assert max(found[:2]) < 1


def test_neighbourhood_metrics_of_a_line_counted_by_hand():
    real = np.array([[0.0], [1.0], [2.0], [10.0]])  # radii of k = 1: 1, 1, 1, 8
    fake = np.array([[0.5], [0.6], [20.0]])  # radii: 0.1, 0.1, 19.4; so 0 alone is not reached
    assert metrics.precision_recall(real, fake, k=1) == pytest.approx((2 / 3, 3 / 4))
    assert metrics.density_coverage(real, fake, k=1) == pytest.approx((4 / 3, 2 / 4))


def test_neighbourhood_metrics_of_memorised_samples():
    real = features(200, 5)
    memorised = np.repeat(real[:10], 20, axis=0)
    precision, recall = metrics.precision_recall(real, memorised)
    assert (precision, recall < 0.06) == (1, True)  # the ten themselves, at most


# ---- the nearest training sample


@pytest.mark.parametrize(("n", "shape"), [(7, (5,)), (metrics.ROWS + 30, (2,)), (40, (1, 28, 28))])
def test_nearest_equals_a_loop_over_all(n, shape):
    rng = np.random.default_rng(0)
    samples, training = rng.uniform(-1, 1, (n, *shape)), rng.uniform(-1, 1, (90, *shape))
    distances = np.array([[np.linalg.norm(a - b) for b in training] for a in samples])
    found, numbers = metrics.nearest(samples, training)
    assert numbers.tolist() == distances.argmin(1).tolist()
    assert found.tolist() == pytest.approx(distances.min(1), abs=1e-4)


def test_nearest_finds_copies():
    training = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found, numbers = metrics.nearest(training[50:90].requires_grad_(), training)
    assert numbers.tolist() == list(range(50, 90))
    assert not found.requires_grad
    assert found.max() < 0.05  # float32; the nearest other image is 20 away


def test_share_closer():
    real = np.arange(100.0)
    assert metrics.share_closer(np.zeros(30), real) == 1
    assert metrics.share_closer(real + 1, real) == 0
    assert metrics.share_closer([0.5, 40, 60, 80], real, quantile=0.5) == 0.5  # the median is 49.5
    assert metrics.share_closer(real, real) == 0.01
    assert metrics.share_closer(np.full(5, 3.0), np.full(9, 3.0)) == 0  # equally near is not nearer


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
        (
            metrics.frechet_distance,
            (GOOD, features(8, 8)[:, :3][:3]),
            "fake must hold more samples than features, got 3 samples of 3 features: their covariance",
        ),
        (metrics.frechet_distance, (features(64, 64), GOOD), "both sets must have .* got 64 and 3: use one judge"),
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
            for m, k in [(50, 0), (50, -1), (50, 50), (3, 3)]
        ),
        *(
            (metric, (p,), words)
            for metric in (metrics.inception_score, metrics.class_shares, metrics.certain_share)
            for p, words in [
                (GOOD, "probabilities or shares must be numbers >= 0 .* a smallest of -.*: logits need softmax first"),
                ([[0.5, 0.5], [0.2, 0.2]], "must be numbers >= 0 that sum to 1 in each row, .* sums of 0.4 to 1: "),
                ([0.5, 0.5], r"probabilities must be of shape \(n, d\)"),
                (BAD, "probabilities must be finite, got NaN or inf in 2 of 50 rows"),
            ]
        ),
        (
            metrics.divergence_from_uniform,
            ([-0.1, 1.1],),
            "shares must be numbers >= 0 .* a smallest of -0.1",
        ),
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
            "both sets must have equally many features, got 784 and 196",
        ),
        (metrics.nearest, (BAD, GOOD), "samples must be finite"),
        (metrics.nearest, (GOOD, BAD), "training must be finite"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(metric, arguments, words):
    with pytest.raises(ValueError, match=words):
        metric(*arguments)
