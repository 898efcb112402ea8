"""Few labels, of lesson 06: does a GAN that has seen the same few images help a classifier?"""

from typing import Any

import torch
from labels import CLASSES, conditional, fakes_of
from quality import rounded
from torch import Tensor

from ganlib import data, judge, metrics
from ganlib.training import Minibatches

ABOUT = (
    "classifiers of lesson 06 that know few labels of MNIST, with and without augmentation, and with fakes of a GAN "
    "that was trained on the same images alone: their accuracy on the 10,000 test images; right: label accuracy of "
    "the fakes by the judge; copied: the share of fakes nearer to a training image than the nearest 1 % of test images"
)
SIZES, SEEDS, STEPS = (10, 30, 100, 300), 5, 2000
LESSONS = 400  # steps of a classifier
FIRST = 8  # steps: what they lead to hardly depends on the machine
AND = " and of classifiers"  # what first_steps tells besides


def units() -> list[dict[str, Any]]:
    """Every run of the table: sizes and seeds."""
    runs = [{"per_class": size, "seed": seed} for seed in range(SEEDS) for size in SIZES]
    return runs + [{"per_class": 600, "seed": seed} for seed in range(SEEDS)]


def chosen(mnist: data.Dataset, per_class: int, seed: int) -> tuple[Tensor, Tensor]:
    """So many training images of each class, and their labels."""
    order = torch.randperm(len(mnist.train_labels), generator=torch.Generator().manual_seed(seed))
    labels = mnist.train_labels[order]
    rows = torch.cat([order[labels == label][:per_class] for label in range(CLASSES)])
    return mnist.train_images[rows], mnist.train_labels[rows]


def trained(images: Tensor, labels: Tensor, seed: int, steps: int) -> Any:
    """The conditional GAN of the better recipe with ten outputs, after some steps on these images alone."""
    gan = conditional("better", "outputs", seed)
    batches = Minibatches(images, labels, batch_size=min(128, len(images)), seed=seed)
    for _ in range(steps):
        gan.step(batches)
    return gan


def mixed(images: Tensor, labels: Tensor, fakes: Tensor, fake_labels: Tensor) -> tuple[Tensor, Tensor]:
    """Real images and fakes, as many of both: the real ones are repeated."""
    again = torch.arange(len(fakes)) % len(images)
    return torch.cat([images[again], fakes]), torch.cat([labels[again], fake_labels])


def run(per_class: int, seed: int, steps: int = STEPS, lessons: int = LESSONS) -> list[dict[str, Any]]:
    """Teach a classifier in six ways on what so many labels of each class allow."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    unit = {"per_class": per_class, "seed": seed}
    images, labels = chosen(mnist, per_class, seed)
    found: dict[str, float] = {}

    def teach(name: str, *of: Tensor, augment: Any = None) -> None:
        taught = judge.pupil(*of, steps=lessons, augment=augment, seed=seed)
        found[name] = taught.accuracy(mnist.test_images, mnist.test_labels)

    teach("nothing", images, labels)
    teach("augmentation", images, labels, augment=data.random_affine)
    if per_class == 600:  # a tenth of all labels: no GAN
        return [unit | rounded(found)]
    fakes, fake_labels = fakes_of(trained(images, labels, seed, steps), seed + 1000)
    teach("fakes", *mixed(images, labels, fakes, fake_labels))
    teach("both", *mixed(images, labels, fakes, fake_labels), augment=data.random_affine)
    teach("fakes alone", fakes, fake_labels)
    near, to_real = (metrics.nearest(x, images)[0] for x in (fakes[:1000], mnist.test_images[:1000]))
    found["right"] = judge.load(mnist, progress=False).accuracy(fakes, fake_labels)
    found["copied"] = metrics.share_closer(near, to_real)
    return [unit | rounded(found)]


def first_steps() -> dict[str, Any]:
    """Where the first steps of a GAN and of classifiers lead: a fingerprint of this code."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    images, labels = chosen(mnist, 10, 0)
    gan = trained(images, labels, 0, FIRST)
    fakes, fake_labels = fakes_of(gan, 0, n=1000)
    found: dict[str, Any] = {"GAN": rounded({"spread": fakes.std().item()})}
    sets = {"real": (images, labels, None), "moved": (images, labels, data.random_affine)}
    sets["both"] = (*mixed(images, labels, fakes, fake_labels), data.random_affine)
    for name, (x, y, augment) in sets.items():
        logits = judge.pupil(x, y, steps=FIRST, augment=augment)(mnist.test_images[:1000])
        found[f"classifier, {name}"] = rounded({"spread": logits.std().item()})
    return found
