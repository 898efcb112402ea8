"""The recipes of lesson 04, trained and measured: quality against CPU seconds, and which change does it."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from ganlib import data, judge, metrics, models
from ganlib.gan import GAN
from ganlib.training import Minibatches

ABOUT = (
    "recipes of lesson 04 on MNIST: quality of 10,000 samples against CPU seconds of training on one thread; "
    "'textbook with' one change and 'better without' one; losses are means over the last 100 steps"
)
EPOCH = 469  # steps of 128 images that hold 60,000
SAMPLES, FEW = 10_000, 3_000  # for the Fréchet distance; for precision and recall, whose cost is quadratic
TEXTBOOK_LR = 2e-4
EPOCHS_OF_LOSSES = (1, 10, 30, 50, 70, 100)
FIRST = 8  # steps, with R1 on two of them: what they lead to hardly depends on the machine
AND = " and the measures of real images"  # what first_steps tells besides

#: what the better recipe changes in the textbook's; the average of the weights is measured in each run
CHANGES = {
    "latent": "z of 32 numbers instead of 128",
    "network": "D with a second hidden layer and LeakyReLU",
    "batchnorm": "BatchNorm in G",
    "dropout": "no dropout in D",
    "adam": "Adam with 1e-3 and (0.0, 0.99)",
    "r1": "R1 on every fourth step",
}


def build(changes: set[str], seed: int) -> GAN:
    """The textbook's GAN with the named changes: with none the textbook's own, with all of them the better recipe."""
    latent_dim = 32 if "latent" in changes else 128
    G = models.mlp(latent_dim, 256, 512, 784, batchnorm="batchnorm" in changes, seed=seed)
    widths, activation = (784, 256, 1), nn.ReLU
    if "network" in changes:
        widths, activation = (784, 256, 128, 1), partial(nn.LeakyReLU, 0.2)
    D = models.mlp(*widths, activation=activation, dropout=0.0 if "dropout" in changes else 0.3, seed=seed + 1)
    G, D = nn.Sequential(*G, nn.Tanh(), nn.Unflatten(1, models.IMAGE_SHAPE)), nn.Sequential(nn.Flatten(), *D)
    lr = 1e-3 if "adam" in changes else TEXTBOOK_LR
    return _gan(G, D, models.NormalLatent(latent_dim), seed, lr=lr, r1="r1" in changes)


def _gan(G: nn.Module, D: nn.Module, latent: models.NormalLatent, seed: int, *, lr: float, r1: bool) -> GAN:
    betas = (0.5, 0.999) if lr == TEXTBOOK_LR else (0.0, 0.99)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=lr, betas=betas, fused=True) for net in (G, D))
    penalty = {"r1": 0.1, "r1_every": 4} if r1 else {}
    # The average does not touch the training, so every run can be measured with it and without.
    return GAN(G, D, opt_G, opt_D, latent, **penalty, average=0.998, seed=seed)


def recipe_of(name: str, seed: int) -> tuple[GAN, list[int]]:
    """The GAN that ``name`` means, and the steps at which it is measured."""
    everything = set(CHANGES)
    if name == "textbook":
        return build(set(), seed), [EPOCH, 2 * EPOCH, 5 * EPOCH, 3000, 10 * EPOCH, 20 * EPOCH, 30 * EPOCH, 43 * EPOCH]
    if name == "upgraded":  # the deeper pair under the textbook's other settings, for about as many CPU seconds
        gan = _gan(*models.upgraded_pair(seed=seed), models.NormalLatent(128), seed, lr=TEXTBOOK_LR, r1=False)
        return gan, [EPOCH, 2 * EPOCH, 5 * EPOCH, 10 * EPOCH]
    if name == "better":
        return build(everything, seed), [250, 500, 1000, 1500, 2000, 3000, 4500, 6000]
    if name == "convolutional":
        gan = _gan(*models.convolutional_pair(seed=seed), models.NormalLatent(32), seed, lr=2e-3, r1=True)
        return gan, [250, 500, 1000, 2000, 3000]
    if name == "better with uniform z":
        gan = _gan(*models.better_pair(seed=seed), models.UniformLatent(32), seed, lr=1e-3, r1=True)  # type: ignore[arg-type]
        return gan, [3000]
    sign, change = name.split()[1:]
    return build({change} if sign == "with" else everything - {change}, seed), [3000]


def units() -> list[dict[str, Any]]:
    """Every run of the table: five seeds of the main recipes, three of the others."""
    changes = [f"textbook with {c}" for c in CHANGES] + [f"better without {c}" for c in CHANGES]
    runs = [(name, seed) for seed in range(5) for name in ("better", "textbook")]
    runs += [(name, seed) for seed in range(3) for name in changes]
    runs += [("upgraded", seed) for seed in range(5)]
    runs += [(name, seed) for seed in range(3) for name in ("convolutional", "better with uniform z")]
    return [{"recipe": name, "seed": seed} for name, seed in runs]


def run(recipe: str, seed: int) -> list[dict[str, Any]]:
    """Train one recipe, and measure the raw and the averaged generator at each of its steps."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    the_judge, real = judged(mnist)
    gan, moments = recipe_of(recipe, seed)
    batches = _batches(recipe, mnist, seed)
    rows, logs, seconds = [], [], 0.0
    for moment in moments:
        begun = time.process_time()
        logs += [gan.step(batches) for _ in range(moment - gan.steps_done)]
        seconds += time.process_time() - begun
        losses = _mean_losses(logs[-100:])
        for weights in ("raw", "averaged"):
            fakes = gan.sample(SAMPLES, seed=seed + 1000, averaged=weights == "averaged")
            row = {"recipe": recipe, "seed": seed, "step": moment, "cpu_s": seconds, "weights": weights}
            rows.append(rounded(row | losses | measure(real, the_judge.read(fakes))))
    if (recipe, seed) == ("textbook", 0):
        rows += _losses_of_epochs(logs, gan, batches)
    return rows


def judged(mnist: data.Dataset) -> tuple[judge.Judge, torch.Tensor]:
    """The judge, and its features of the test images."""
    the_judge = judge.load(mnist, progress=False)
    shuffled = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(0))  # the first 5,000 are cleaner
    return the_judge, the_judge.read(mnist.test_images[shuffled]).features


def _batches(recipe: str, mnist: data.Dataset, seed: int) -> Minibatches:
    return Minibatches(mnist.train_images, batch_size=64 if recipe == "convolutional" else 128, seed=seed)


def first_steps() -> dict[str, dict[str, float]]:
    """Where the first steps of each recipe lead, and what is measured of real images: a fingerprint of this code."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    found = {}
    for recipe in dict.fromkeys(unit["recipe"] for unit in units()):
        gan, _ = recipe_of(recipe, 0)
        batches = _batches(recipe, mnist, 0)
        losses = [gan.step(batches) for _ in range(FIRST)][-1]
        spread = {f"spread, {w}": gan.sample(1000, seed=0, averaged=w == "averaged").std() for w in ("raw", "averaged")}
        found[recipe] = {name: float(f"{value:.6g}") for name, value in (losses | spread).items()}
    the_judge, real = judged(mnist)
    found["real images"] = rounded(measure(real, the_judge.read(mnist.train_images[:SAMPLES])))
    return found


def measure(real: torch.Tensor, fakes: judge.Reading) -> dict[str, float]:
    """All that the table holds of one set of fakes."""
    precision, recall = metrics.precision_recall(real[:FEW], fakes.features[:FEW])
    return {
        "frechet": metrics.frechet_distance(real, fakes.features),
        "score": metrics.inception_score(fakes.probabilities),
        "certain": metrics.certain_share(fakes.probabilities),
        "divergence": metrics.divergence_from_uniform(metrics.class_shares(fakes.probabilities)),
        "precision": precision,
        "recall": recall,
    }


def _losses_of_epochs(logs: list[Any], gan: GAN, batches: Iterator[Any]) -> list[dict[str, Any]]:
    """Go on to epoch 100 for the losses alone: their means over the epochs that the textbook prints."""
    logs += [gan.step(batches) for _ in range(EPOCH * max(EPOCHS_OF_LOSSES) - gan.steps_done)]
    return [
        rounded({"recipe": "textbook", "seed": 0, "epoch": n} | _mean_losses(logs[EPOCH * (n - 1) : EPOCH * n]))
        for n in EPOCHS_OF_LOSSES
    ]


def _mean_losses(logs: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    return {name: torch.stack([log[name] for log in logs]).mean().item() for name in ("loss_D", "loss_G")}


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in row.items()}
