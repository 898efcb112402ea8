"""The comparison of lesson 05, GAN, VAE and a VAE with a learnt prior at equal cost, and its other recorded runs."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from quality import FEW, SAMPLES, judged, measure, rounded
from torch import Tensor, nn
from tuning import SETTINGS, LearntPrior, trained, vae_of

from ganlib import data, metrics, models
from ganlib.flow import Flow, TimeInput
from ganlib.images import as_probabilities
from ganlib.training import Minibatches
from ganlib.vae import VAE

ABOUT = (
    "lesson 05 on MNIST. compare: each model with its best setting of 05_tuning, at a quarter and at all of the cost "
    "of 2,500 GAN steps; 10,000 samples, of a VAE the means of p(x|z), against 10,000 test images. given_back: root "
    "mean squared error of 1,000 test images given back, by the GAN as the nearest of its 10,000; bound: mean ELBO of "
    "binarised test images in nats; decoded: Fréchet distance of decoded codes of 10,000 training images; pixels: of "
    "pixels drawn from p(x|z); plain_prior: of z from N(0, I); calls: by the calls of the flow; sharpness: over that "
    "of real images. elbo: a VAE trained on binarised images. pixel flow: a flow without a VAE. parzen: mean "
    "log-likelihood of 2,000 test images in [0, 1] by a Gaussian window around samples"
)
SEEDS, FIRST = 5, 8
AND = ""
#: the settings with the smallest Fréchet distance in 05_tuning
BEST = {"GAN": "64 images, R1 0.05 every 16th", "VAE": "rate 2e-3", "VAE with a learnt prior": "beta 0.03"}
QUARTER = 0.25
CALLS = (1, 4, 16, 100)
ELBO_STEPS = (1500, 4000, 12_000)
PIXEL_STEPS = 3500
GIVEN = 1000  # images to give back
Images = Callable[[data.Dataset, int], Tensor]


def units() -> list[dict[str, Any]]:
    """Every run of the table."""
    found: list[dict[str, Any]] = [{"kind": "compare", "name": name, "seed": s} for s in range(SEEDS) for name in BEST]
    found += [{"kind": "control", "name": name, "seed": s} for s in range(SEEDS) for name in CONTROLS]
    for kind in ("pixel flow", "parzen", "elbo"):
        found += [{"kind": kind, "name": kind, "seed": seed} for seed in range(3)]
    return found


def run(kind: str, name: str, seed: int) -> list[dict[str, Any]]:
    """Train what a unit names, and measure it."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    unit = {"kind": kind, "name": name, "seed": seed}
    if kind == "control":
        return [unit | rounded(report(mnist, CONTROLS[name](mnist, seed)))]
    rows = {"compare": _compared, "pixel flow": _pixel_flow, "parzen": _parzen, "elbo": _elbo}[kind](mnist, name, seed)
    return [unit | rounded(row) for row in rows]


def report(mnist: data.Dataset, images: Tensor) -> dict[str, Any]:
    """All that is measured of 10,000 samples, whatever made them."""
    the_judge, real = judged(mnist)
    reading = the_judge.read(images)
    density, coverage = metrics.density_coverage(real[:FEW], reading.features[:FEW])
    sharpness = metrics.sharpness(images) / metrics.sharpness(mnist.test_images)
    return measure(real, reading) | {"density": density, "coverage": coverage, "sharpness": sharpness}


def frechet(mnist: data.Dataset, images: Tensor) -> float:
    """The Fréchet distance of images from test images."""
    the_judge, real = judged(mnist)
    return metrics.frechet_distance(real, the_judge.read(images).features)


def _compared(mnist: data.Dataset, name: str, seed: int) -> Iterator[dict[str, Any]]:
    tests = mnist.test_images[:GIVEN]
    for share in (QUARTER, 1.0):
        model, seconds = trained(name, SETTINGS[name][BEST[name]], mnist.train_images, seed, share)
        begun = time.process_time()
        samples = model.sample(SAMPLES, seed=seed + 1000)
        row = {"share": share, "cpu_s": seconds, "per_second": SAMPLES / (time.process_time() - begun)}
        row |= report(mnist, samples) | {"parameters": _parameters(model)}
        if name == "GAN":
            back = samples[metrics.nearest(tests, samples)[1]]
        else:
            row |= _of_codes(mnist, model, seed)
            back = _vae(model).reconstruct(tests)
        yield row | {"given_back": (back - tests).square().mean().sqrt().item()}


def _of_codes(mnist: data.Dataset, model: Any, seed: int) -> dict[str, Any]:
    vae = _vae(model)
    found: dict[str, Any] = {
        "decoded": frechet(mnist, vae.reconstruct(mnist.train_images[:SAMPLES])),
        "bound": vae.bound(binarised(mnist.test_images, 0), seed=seed).mean().item(),
        "pixels": frechet(mnist, vae.sample(SAMPLES, seed=seed + 1000, pixels=True)),
    }
    if isinstance(model, LearntPrior):
        found["plain_prior"] = frechet(mnist, vae.sample(SAMPLES, seed=seed + 1000))
        found["calls"] = _by_calls(mnist, lambda calls: model.sample(SAMPLES, seed=seed + 1000, calls=calls))
    return found


def _by_calls(mnist: data.Dataset, sample: Callable[[int], Tensor]) -> dict[str, float]:
    found = {str(calls): frechet(mnist, sample(calls)) for calls in CALLS}
    return {calls: float(f"{value:.4g}") for calls, value in found.items()}


def _vae(model: Any) -> VAE:
    return model.vae if isinstance(model, LearntPrior) else model


def _parameters(model: Any) -> int:
    """Of what draws a sample."""
    nets = [model.G] if hasattr(model, "G") else [_vae(model).decoder]
    nets += [model.flow.velocity] if isinstance(model, LearntPrior) else []
    return sum(p.numel() for net in nets for p in net.parameters())


def binarised(images: Tensor, seed: int) -> Tensor:
    """Pixels of -1 and 1, drawn with the grey as probability of 1."""
    return _black_or_white(images, torch.Generator().manual_seed(seed))


def _black_or_white(images: Tensor, rng: torch.Generator) -> Tensor:
    return 2 * torch.bernoulli(as_probabilities(images).clamp(0, 1), generator=rng) - 1


class Binarised:
    """Minibatches whose pixels are drawn anew each time."""

    def __init__(self, images: Tensor, seed: int) -> None:
        self.batches, self.rng = Minibatches(images, batch_size=128, seed=seed), torch.Generator().manual_seed(seed)

    def __next__(self) -> tuple[Tensor]:
        (x,) = next(self.batches)
        return (_black_or_white(x, self.rng),)


def _elbo(mnist: data.Dataset, name: str, seed: int, moments: tuple[int, ...] = ELBO_STEPS) -> Iterator[dict[str, Any]]:
    vae, batches, seconds = vae_of(seed), Binarised(mnist.train_images, seed), 0.0
    tests = binarised(mnist.test_images, 0)
    for moment in moments:
        begun = time.process_time()
        while vae.steps_done < moment:
            vae.step(batches)  # type: ignore[arg-type]
        seconds += time.process_time() - begun
        mu, log_var = vae.encode(tests)
        kl = 0.5 * (mu.square() + log_var.exp() - log_var - 1).mean(0)
        yield {
            "step": moment,
            "cpu_s": seconds,
            "elbo": vae.bound(tests, seed=seed).mean().item(),
            "bound_50": vae.bound(tests[:1000], k=50, seed=seed).mean().item(),
            "kl": kl.sum().item(),
            "active": int((kl > 0.01).sum()),
        }


def _pixel_flow(mnist: data.Dataset, name: str, seed: int, steps: int = PIXEL_STEPS) -> Iterator[dict[str, Any]]:
    network = TimeInput(models.mlp(784 + 16, 512, 512, 784, activation=nn.SiLU, seed=seed))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    flow = Flow(network, optimizer, 784, average=0.998, seed=seed)
    batches = Minibatches(mnist.train_images.flatten(1), batch_size=128, seed=seed)
    begun = time.process_time()
    for _ in range(steps):
        flow.step(batches)
    seconds = time.process_time() - begun

    def sample(calls: int) -> Tensor:
        return flow.sample(SAMPLES, seed=seed + 1000, calls=calls).clamp(-1, 1).view(-1, *models.IMAGE_SHAPE)

    yield {"cpu_s": seconds, "calls": _by_calls(mnist, sample)}


def _parzen(mnist: data.Dataset, name: str, seed: int) -> Iterator[dict[str, Any]]:
    from sklearn.cluster import MiniBatchKMeans

    order = torch.randperm(len(mnist.train_images), generator=torch.Generator().manual_seed(seed))
    pixels = as_probabilities(mnist.train_images[order].flatten(1))
    centroids = MiniBatchKMeans(1000, batch_size=4096, n_init=1, max_iter=20, random_state=seed).fit(
        pixels[:50_000].numpy()
    )
    settings = {name: SETTINGS[name][BEST[name]] for name in ("GAN", "VAE")}
    drawn = {
        name: trained(name, of, mnist.train_images, seed)[0].sample(SAMPLES, seed=seed + 1000)
        for name, of in settings.items()
    }
    sources = {
        "10,000 real images": pixels[:SAMPLES],
        "1,000 real images": pixels[:1000],
        "1,000 k-means centroids": torch.from_numpy(centroids.cluster_centers_),
        **{name: as_probabilities(images.flatten(1)) for name, images in drawn.items()},
    }
    validation, tests = pixels[50_000:51_000], as_probabilities(mnist.test_images[:2000].flatten(1))
    for source, samples in sources.items():
        sigma = max((0.12 + 0.01 * k for k in range(16)), key=lambda s: parzen(samples, validation, s))
        yield {"source": source, "sigma": sigma, "log_likelihood": parzen(samples, tests, sigma)}


def parzen(samples: Tensor, tests: Tensor, sigma: float) -> float:
    """Mean log-likelihood of tests (m, d) under a Gaussian of standard deviation sigma around each sample (n, d)."""
    squares = torch.cdist(tests.double(), samples.double()).square()
    constant = math.log(len(samples)) + samples.shape[1] / 2 * math.log(2 * math.pi * sigma**2)
    return ((-squares / (2 * sigma**2)).logsumexp(1) - constant).mean().item()


def _real(mnist: data.Dataset, seed: int) -> Tensor:
    order = torch.randperm(len(mnist.train_images), generator=torch.Generator().manual_seed(seed))
    return mnist.train_images[order[:SAMPLES]]


def _blurred(mnist: data.Dataset, seed: int) -> Tensor:
    return nn.functional.avg_pool2d(_real(mnist, seed), 3, 1, 1, count_include_pad=False)


def _noise(mnist: data.Dataset, seed: int) -> Tensor:
    return 2 * torch.rand(SAMPLES, *models.IMAGE_SHAPE, generator=torch.Generator().manual_seed(seed)) - 1


CONTROLS: dict[str, Images] = {"real images": _real, "real images, blurred": _blurred, "noise": _noise}


def first_steps() -> dict[str, Any]:
    """Where the first steps of each kind lead, and what is measured of real images: a fingerprint of this code."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    found: dict[str, Any] = {}
    for name, setting in BEST.items():
        model, _ = trained(name, SETTINGS[name][setting], mnist.train_images, 0, FIRST / 2500)
        found[name] = rounded({"spread": model.sample(1000, seed=0).std().item()})
    found["elbo"] = rounded(next(_elbo(mnist, "", 0, (FIRST,)))) | {"cpu_s": 0.0}
    return found | {"real images": rounded(report(mnist, _real(mnist, 0)))}
