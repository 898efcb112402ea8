"""Conditional GANs of lesson 06, trained and measured: how D is told the label, under two recipes."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from quality import SAMPLES, judged, measure, rounded
from torch import Tensor, nn
from torch.nn import functional as F

from ganlib import data, judge, metrics, models
from ganlib.gan import GAN, MismatchedGAN
from ganlib.training import Minibatches

ABOUT = (
    "conditional GANs of lesson 06 on MNIST, by recipe and by how D is told the label: 10,000 samples of the "
    "averaged G, 1,000 of each class, read by the judge; taught: the accuracy on the test images of a classifier "
    "that was taught on 20,000 fakes alone; accuracies: those of the ten classes; spread: the distance within a "
    "class over the real one"
)
CLASSES, TAUGHT = 10, 20_000
FIRST = 8  # steps, with R1 on two of them: what they lead to hardly depends on the machine
AND = " and the measures of real images"  # what first_steps tells besides
BETTER = {"latent_dim": 32, "batchnorm": True, "dropout": 0.0, "widths": (256, 128), "lr": 1e-3, "betas": (0.0, 0.99)}
TEXTBOOK = {"latent_dim": 128, "batchnorm": False, "dropout": 0.3, "widths": (256,), "lr": 2e-4, "betas": (0.5, 0.999)}
RECIPES: dict[str, dict[str, Any]] = {"better": BETTER, "textbook": TEXTBOOK}


class Embedded(nn.Module):
    """The label as 256 normal numbers beside the pixels, which D may change."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.table = network, nn.Embedding(CLASSES, 256)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.network(torch.cat([x.flatten(1), self.table(labels)], 1))


class Projection(nn.Module):
    """A logit for the image, and a product of its features with a vector of the label (Miyato and Koyama 2018)."""

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body, self.head, self.table = body, nn.Linear(features, 1), nn.Embedding(CLASSES, features)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.body(x)
        return self.head(h) + (self.table(labels) * h).sum(1, keepdim=True)


class LastLayer(nn.Module):
    """A logit for the image, and a number of the label added to it: it cannot tell which image fits which label."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.bias = network, nn.Embedding(CLASSES, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.network(x) + self.bias(labels)


class Classes(nn.Module):
    """A logit for the image, and ten logits of its class, which `AuxiliaryGAN` looks at (Odena et al. 2017)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.network(x)[:, :1]


class AuxiliaryGAN(GAN):
    """Both players also learn that a classifier inside D should find the label."""

    def discriminator_loss(self, x: Tensor, fake: Tensor, *y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, real_logits, fake_logits = super().discriminator_loss(x, fake, *y)
        return loss + self._wrong(x, *y) + self._wrong(fake, *y), real_logits, fake_logits

    def generator_loss(self, x: Tensor, fake: Tensor, *y: Tensor) -> Tensor:
        return super().generator_loss(x, fake, *y) + self._wrong(fake, *y)

    def _wrong(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.D.network(images)[:, 1:], labels)


#: how D is told the label: its network, from hidden layers and the numbers that the network takes and gives
WAYS: dict[str, Any] = {
    "glued": lambda net, widths: models.LabelInput(net(784 + CLASSES, *widths, 1)),
    "outputs": lambda net, widths: models.LabelOutput(nn.Sequential(nn.Flatten(), *net(784, *widths, CLASSES))),
    "last layer": lambda net, widths: LastLayer(nn.Sequential(nn.Flatten(), *net(784, *widths, 1))),
    "glued x 9": lambda net, widths: models.LabelInput(net(784 + CLASSES, *widths, 1), scale=9.0),
    "embedding": lambda net, widths: Embedded(net(784 + 256, *widths, 1)),
    "projection": lambda net, widths: Projection(
        nn.Sequential(nn.Flatten(), *net(784, *widths, 1)[:-1]), features=widths[-1]
    ),
    "classifier": lambda net, widths: Classes(nn.Sequential(nn.Flatten(), *net(784, *widths, 1 + CLASSES))),
}
WAYS["mismatched"] = WAYS["projection"]
GANS = {"mismatched": MismatchedGAN, "classifier": AuxiliaryGAN}
EPOCH = 469  # steps of 128 images that hold 60,000
#: when each is measured, and under how many seeds
RUNS: dict[tuple[str, str], tuple[list[int], int]] = {
    ("better", "outputs"): ([500, 2500, 6000], 5),
    ("better", "glued"): ([500, 2500], 5),
    ("textbook", "glued"): ([500, 2500, 10 * EPOCH, 20 * EPOCH], 3),
    ("better", "last layer"): ([500, 2500], 3),
    ("textbook", "outputs"): ([500, 2500], 3),
    **{
        ("better", way): ([500, 2500], 3)
        for way in ("glued x 9", "embedding", "projection", "mismatched", "classifier")
    },
}


def units() -> list[dict[str, Any]]:
    """Every run of the table, and real images under as many seeds."""
    runs = [{"recipe": r, "way": way, "seed": seed} for (r, way), (_, seeds) in RUNS.items() for seed in range(seeds)]
    return [{"recipe": "real", "way": way, "seed": seed} for way in CONTROLS for seed in range(5)] + runs


def conditional(recipe: str, way: str, seed: int, **settings: Any) -> GAN:
    """The GAN of a recipe whose D is told the label in the way that is named."""
    of = RECIPES[recipe]
    G = models.mlp(of["latent_dim"] + CLASSES, 256, 512, 784, batchnorm=of["batchnorm"], seed=seed)
    G = models.LabelInput(nn.Sequential(*G, nn.Tanh(), nn.Unflatten(1, models.IMAGE_SHAPE)))
    activation = nn.ReLU if recipe == "textbook" else partial(nn.LeakyReLU, 0.2)
    net = partial(models.mlp, activation=activation, dropout=of["dropout"], seed=seed + 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 2)
        D = WAYS[way](net, of["widths"])
    opt_G, opt_D = (torch.optim.Adam(n.parameters(), lr=of["lr"], betas=of["betas"], fused=True) for n in (G, D))
    r1 = {"r1": 0.1, "r1_every": 4} if recipe == "better" else {}
    latent = models.NormalLatent(of["latent_dim"])
    return GANS.get(way, GAN)(G, D, opt_G, opt_D, latent, average=0.998, seed=seed, **r1, **settings)


def run(recipe: str, way: str, seed: int) -> list[dict[str, Any]]:
    """Train one GAN and measure its averaged generator at each of its steps; or measure real images."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    unit = {"recipe": recipe, "way": way, "seed": seed}
    if recipe == "real":
        return [unit | rounded(report(mnist, *CONTROLS[way](mnist, seed), seed))]
    gan = conditional(recipe, way, seed)
    batches = Minibatches(mnist.train_images, mnist.train_labels, batch_size=128, seed=seed)
    rows = []
    for moment in RUNS[recipe, way][0]:
        while gan.steps_done < moment:
            gan.step(batches)
        rows.append(unit | {"step": moment} | rounded(report(mnist, *fakes_of(gan, seed + 1000), seed)))
    return rows


def fakes_of(gan: GAN, seed: int, n: int = TAUGHT) -> tuple[Tensor, Tensor]:
    """n fakes of the averaged G, and their labels: as many of each class, in turns."""
    labels = torch.arange(n) % CLASSES
    return gan.sample(n, labels, seed=seed), labels


def report(mnist: data.Dataset, images: Tensor, labels: Tensor, seed: int) -> dict[str, Any]:
    """The report card of images (20,000, 1, 28, 28) and their labels."""
    the_judge, real = judged(mnist)
    found = measure(real, reading := the_judge.read(images[:SAMPLES]))
    right = reading.probabilities.argmax(1) == labels[:SAMPLES]
    taught = judge.pupil(images, labels, seed=seed)
    return {
        "accuracy": right.double().mean().item(),
        "accuracies": [round(right[labels[:SAMPLES] == label].double().mean().item(), 4) for label in range(CLASSES)],
        **found,
        "spread": metrics.spread_within(images[:SAMPLES], labels[:SAMPLES])
        / metrics.spread_within(mnist.test_images, mnist.test_labels),
        "taught": taught.accuracy(mnist.test_images, mnist.test_labels),
    }


def _real(mnist: data.Dataset, seed: int) -> tuple[Tensor, Tensor]:
    chosen = torch.randperm(len(mnist.train_labels), generator=torch.Generator().manual_seed(seed))[:TAUGHT]
    return mnist.train_images[chosen], mnist.train_labels[chosen]


def _shifted(mnist: data.Dataset, seed: int) -> tuple[Tensor, Tensor]:
    images, labels = _real(mnist, seed)
    return images, (labels + 1) % CLASSES


def _repeated(mnist: data.Dataset, seed: int) -> tuple[Tensor, Tensor]:
    images, labels = _real(mnist, seed)
    one = torch.stack([images[labels == label][0] for label in range(CLASSES)])
    return one.repeat(TAUGHT // CLASSES, 1, 1, 1), torch.arange(TAUGHT) % CLASSES


#: real images, and two controls made of them
CONTROLS = {"as they are": _real, "labels shifted by one": _shifted, "one image a class": _repeated}


def first_steps() -> dict[str, Any]:
    """Where the first steps of each run lead, and what is measured of real images: a fingerprint of this code."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    found: dict[str, Any] = {}
    for recipe, way in RUNS:
        gan = conditional(recipe, way, 0)
        batches: Iterator[Any] = Minibatches(mnist.train_images, mnist.train_labels, batch_size=128, seed=0)
        log = [gan.step(batches) for _ in range(FIRST)][-1]
        spread = fakes_of(gan, 0, n=1000)[0].std()
        found[f"{recipe}, {way}"] = rounded({name: v.item() for name, v in (log | {"spread": spread}).items()})
    found["real images"] = rounded(report(mnist, *_real(mnist, 0), 0))
    return found
