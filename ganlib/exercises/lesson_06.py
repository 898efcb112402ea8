"""The exercises of lesson 06, each in one block: solution, inputs, mistakes, sentences, hints."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlib import models
from ganlib.losses import minimax_D

from .engine import Exercise, Plain, tensors, write_the_check
from .lesson_03 import GAN_STEP, gan_step, round_of, two_batches, two_rounds

# ---- 06.label_planes


def label_planes(labels):
    """Return floats (n, 10, 28, 28) for labels (n,): the plane of an image's label is 1, and its other planes are 0."""
    return models.one_hot(labels)[:, :, None, None].expand(-1, -1, 28, 28)


def some_labels(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    return {"labels": rng.permutation([0, 9, *rng.integers(1, 9, rng.integers(3, 6))])}


def ten_planes(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    planes = answer(torch.tensor(inputs["labels"]))
    yield "type", "Tensor" if isinstance(planes, Tensor) else type(planes).__name__
    if not isinstance(planes, Tensor):
        return
    yield "dtype", "floats" if planes.is_floating_point() else str(planes.dtype)
    yield "shape", str(tuple(planes.shape))
    if planes.shape != (len(inputs["labels"]), 10, 28, 28):
        return
    pixels = planes.detach().double().flatten(2)
    yield "uneven", (pixels - pixels[..., :1]).abs().mean(2).numpy()
    yield "value", pixels[..., 0].numpy()


def only(*where: Any) -> Any:
    """A part of each plane, and 0 elsewhere."""

    def in_part(labels: Tensor) -> Tensor:
        planes = torch.zeros(len(labels), 10, 28, 28)
        planes[:, :, *where] = label_planes(labels)[:, :, *where]
        return planes

    return in_part


LABEL_PLANES = Exercise(
    name="06.label_planes",
    task="ten planes for each of the labels (n,), as floats (n, 10, 28, 28). "
    "Plane c of an image is 1 everywhere if c is its label, and 0 everywhere if not.",
    solution=label_planes,
    inputs=some_labels,
    probe=ten_planes,
    mistakes=[
        (
            lambda y: models.one_hot(y).repeat(1, 784).view(-1, 10, 28, 28),
            "The planes are scrambled: numbers of all classes stand in each. Give the one-hot two axes, and expand it.",
        ),
        (lambda y: label_planes(y).long(), "These are whole numbers. Networks compute with floats: write float()."),
        (lambda y: label_planes(y).movedim(1, 3), "The planes are the last axis. They are channels, and come second."),
        (lambda y: models.one_hot(y)[:, :, None, None], "Each plane is one pixel. Expand it to the size of an image."),
        *((only(*part), "Only a part of the plane is 1. Fill all its pixels.") for part in ((0, 0), (0,), (..., 0))),
        *(
            (wrong, "The planes hold the label's number. Write 1 in the label's plane, and 0 in the others.")
            for wrong in (
                lambda y: y[:, None, None, None] * label_planes(y),
                lambda y: y[:, None, None, None].float().expand(-1, 10, 28, 28),
            )
        ),
        *(
            (wrong, "Labels are counted from 1 here. They begin at 0, so plane 0 belongs to label 0.")
            for wrong in (
                lambda y: label_planes((y - 1) % 10),
                lambda y: label_planes((y - 1) % 10) * y.sign()[:, None, None, None],
            )
        ),
    ],
    otherwise={
        "dtype": "The planes are of {got}, and a network takes floats.",
        "shape": "The planes have shape {got}, and it must be {expected}.",
        "uneven": "In some planes the pixels differ. A plane is 1 everywhere, or 0 everywhere.",
        "value": "A plane holds {got}, and it must hold {expected}. Plane c is 1 if c is the label of its image.",
        "not finite": "A plane holds NaN or infinity. It must hold 1 or 0 alone.",
    },
    praise=lambda inputs, seen: (
        f"All {seen['value'].size} planes are right. "
        f"Joined to an image, they give D {1 + seen['value'].shape[1]} channels."
    ),
    hints=(
        "A plane is one number, repeated. Which ten numbers does an image need?",
        "models.one_hot(labels) has the ten numbers. [:, :, None, None] adds two axes. "
        "Then expand(-1, -1, 28, 28) fills them.",
    ),
)


# ---- 06.conditional_step


def conditional_step(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    """Move D once on real x (n, ...) and the fakes of z_D, then G once on those of z_G, all with the labels (n,)."""
    fake = G(z_D, labels).detach()
    loss_D = softplus(-D(x, labels)).mean() + softplus(D(fake, labels)).mean()
    opt_D.zero_grad()  # also of what the last step of G left in D
    loss_D.backward()
    opt_D.step()

    loss_G = softplus(-D(G(z_G, labels), labels)).mean()  # D is told what G was asked for
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()


def two_labelled_batches(seed: int) -> Plain:
    batches = {name: numbers.astype(np.float32) for name, numbers in two_batches(seed).items()}
    rng = np.random.default_rng([seed, 6])
    labels = np.stack([rng.permutation(10)[: batches["x"].shape[1]] for _ in range(2)])
    return batches | {"labels": labels, "shifts": rng.normal(size=(2, 10, 1)).astype(np.float32)}


class Labelled(nn.Module):
    """A network with a label, which shifts what comes in or what goes out; ``look`` sees both, and the labels."""

    def __init__(self, net: nn.Module, before: Tensor, after: Tensor, look: Callable[..., None]) -> None:
        super().__init__()
        self.net, self.before, self.after, self.look = net, before, after, look

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        code = models.one_hot(labels)
        if len(x) != len(code):
            raise ValueError(f"{len(x)} rows came with {len(code)} labels")
        result = self.net(x + code @ self.before) + code @ self.after
        self.look(x.detach(), labels, result.detach())
        return result


def two_labelled_rounds(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    """The facts of `two_rounds`, and which rows came with labels that are not theirs."""
    rounds, astray = iter(torch.tensor(inputs["labels"])), set[str]()
    shift_G, shift_D = torch.tensor(inputs["shifts"])

    def with_labels(G: Any, D: Any, opt_G: Any, opt_D: Any, x: Tensor, z_D: Tensor, z_G: Tensor) -> None:
        labels = next(rounds)
        known = [("x", x, labels), ("z_D", z_D, labels), ("z_G", z_G, labels)]

        def look(rows: Tensor, told: Tensor, result: Tensor) -> None:
            for name, others, own in [pair for pair in known if pair[1].shape[1:] == rows.shape[1:]]:
                i, j = (rows[:, None] == others).all(-1).nonzero().T
                if (told[i] != own[j]).any():
                    astray.add(name)
                if name in ("z_D", "z_G"):  # D must be told what G was asked for
                    known.append((f"G({name})", result[i], told[i]))

        G, D = Labelled(G, 0 * shift_G, shift_G, look), Labelled(D, shift_D, 0 * shift_D, look)
        answer(G, D, opt_G, opt_D, x, labels, z_D, z_G)

    for name, fact in two_rounds(with_labels, inputs):
        if name == "gradient D":
            yield "labels", " and ".join(sorted(astray)) or "nothing"
        yield name, fact


def labelled(step: Any, told: str = "own-own-own-own-own") -> Any:
    """This round without labels, with own or other ones for D(x), G(z_D), D(G(z_D)), G(z_G) and D(G(z_G))."""

    def another_round(G: Any, D: Any, opt_G: Any, opt_D: Any, x: Tensor, labels: Tensor, *noise: Tensor) -> None:
        given = iter([labels if word == "own" else labels.roll(1) for word in told.split("-")])
        step(lambda z: G(z, next(given)), lambda rows: D(rows, next(given)), opt_G, opt_D, x, *noise)

    return another_round


CONDITIONAL_STEP = Exercise(
    name="06.conditional_step",
    task="one round with labels: D moves once on x and fakes of z_D, then G on fakes of z_G. "
    "The labels of x are those of all fakes too. The loss of G is the non-saturating one.",
    solution=conditional_step,
    inputs=two_labelled_batches,
    probe=two_labelled_rounds,
    mistakes=[
        (lambda G, D, opt_G, opt_D, x, *rest: D(x), "Both networks take labels too: G(z, labels) and D(x, labels)."),
        *(
            (
                labelled(gan_step, told),
                "D is told other labels for the fakes than G was asked for. Give both the labels of x.",
            )
            for told in ("own-own-other-own-own", "own-own-other-own-other")
        ),
        *(
            (
                labelled(gan_step, told),
                "G is asked for labels of its own, and D is told those of x. Give both the labels of x.",
            )
            for told in ("own-other-own-own-own", "own-other-own-other-own", "own-own-own-other-own")
        ),
        *(
            (
                labelled(gan_step, told),
                "G and D get labels of the fakes' own. Many programs do that, but here take those of x.",
            )
            for told in ("own-other-other-own-own", "own-other-other-other-other", "own-own-own-other-other")
        ),
        (
            labelled(gan_step, "other-own-own-own-own"),
            "The real samples stand beside labels of others. So D learns wrong pairs.",
        ),
        (
            labelled(gan_step, "own-own-own-own-other"),
            "In G's step D is told other labels than G was asked for. So G learns to make other classes.",
        ),
        # Here "label" means a class, so two sentences of lesson 03 have other words.
        (
            labelled(round_of(on_D=lambda r, f: minimax_D(f, r))),
            "Real and fake are swapped: D learns to call fakes real.",
        ),
        (
            labelled(round_of(on_G=lambda f: softplus(f).mean())),
            "G learns to make fakes that D calls fake. Check the sign.",
        ),
        *((labelled(step), sentence) for step, sentence in GAN_STEP.mistakes if "label" not in sentence),
    ],
    otherwise={
        **GAN_STEP.otherwise,
        "labels": "Labels of others came with {got}. G and D get the labels of x, row by row, in each call.",
    },
    praise=lambda inputs, seen: (
        "D was told what G was asked for. Their first gradients have the lengths "
        f"{np.linalg.norm(seen['gradient D']):.2f} and {np.linalg.norm(seen['gradient G']):.2f}."
    ),
    hints=(
        "It is the round of a GAN, with labels in each call. How many calls of G and D are there?",
        "D: softplus(-D(x, labels)).mean() + softplus(D(fake, labels)).mean(). "
        "Then G: softplus(-D(G(z_G, labels), labels)).mean().",
    ),
)


# ---- 06.mend_last_layer

BIAS = "with a bias"  # the other inputs have a bias of 0, and show the products alone


def logits(features, labels, weight, bias):
    """Return D's logits (n,) from features (n, d), labels (n,), and a weight (10, d) and bias (10,) for ten classes."""
    return (features * weight[labels]).sum(1) + bias[labels]


def last_layer(seed: int) -> dict[str, list[tuple[np.ndarray, ...]]]:
    rng = np.random.default_rng(seed)
    n, d = rng.permutation([rng.integers(4, 6), rng.integers(6, 8)])
    features, labels, weight = rng.normal(size=(n, d)), rng.permutation(10)[:n], rng.normal(1, 1, (10, d))
    return {
        group: [(features, labels, weight, bias)] for group, bias in (("", np.zeros(10)), (BIAS, rng.normal(size=10)))
    }


def of_the_first(inputs: Plain) -> np.ndarray:
    """The logits of the first image under each label."""
    features, _, weight, bias = inputs[BIAS][0]
    return weight @ features[0] + bias


MEND_LAST_LAYER = Exercise(
    name="06.mend_last_layer",
    task="D's last layer, mended: a logit for each image, (n,), which is that of its label. "
    "Class c has the row weight[c] of weight (10, d), and bias[c].",
    solution=logits,
    inputs=last_layer,
    probe=tensors,
    mistakes=[
        *(
            (
                lambda f, y, w, b, of=of: f @ of(w) + b[y],
                "The label only adds a number: the weights are the same for all labels. Take the label's row.",
            )
            for of in (lambda w: w[0], lambda w: w.mean(0), lambda w: w.sum(0))
        ),
        (lambda f, y, w, b: (f * w[y]).sum(1), "The bias is missing. Add that of the label."),
        (lambda f, y, w, b: f @ w.T + b, "These are the logits of all classes. Take that of the label."),
        (lambda f, y, w, b: f @ w[y].T + b[y], "Each image met the rows of all images. Multiply it by its own row."),
        (lambda f, y, w, b: (f @ w.T + b).amax(1), "This is the largest logit, whatever the label is. Take its own."),
        (lambda f, y, w, b: y * (f @ w[0] + b[0]), "The label is a name, not a number to multiply by. Take its row."),
        (lambda f, y, w, b: (f * w[y]).mean(1) + b[y], "This is a mean over the features. A linear layer sums them."),
        (lambda f, y, w, b: (f * w[y]).sum() + b[y], "The sum goes over the batch too. Sum the features: sum(1)."),
        *(
            (wrong, "Only the features are summed, or only the row. Multiply them first.")
            for wrong in (lambda f, y, w, b: f.sum(1) + b[y], lambda f, y, w, b: w[y].sum(1) + b[y])
        ),
        (lambda f, y, w, b: -logits(f, y, w, b), "The sign is wrong. Add the products, and the bias."),
    ],
    otherwise={
        "shape": "The result has shape {got}, and it must be {expected}: one logit for each image.",
        "value": "Logit {at} is {got}, and it must be {expected}. Multiply its features by the row of its label.",
        "value *": "The products are right. But {group}, logit {at} is {got}, and it must be {expected}.",
        "not finite": "The result is {got}: look at each division and logarithm.",
    },
    praise=lambda inputs, seen: (
        "Now the label decides how D looks at an image. Under the ten labels, the first one has logits "
        f"from {of_the_first(inputs).min():.2f} to {of_the_first(inputs).max():.2f}."
    ),
    hints=(
        "What changes in the broken program when an image gets another label? Its weights must change too.",
        "weight[labels] has a row for each image. Multiply by features, take sum(1), and add bias[labels].",
    ),
)


# ---- 06.uses_label: write the check


def uses_label(D):
    """Return whether any two labels make a difference in D(x, labels) that depends on the image."""
    x = 2 * torch.rand(10, 1, 28, 28) - 1
    table = torch.cat([D(x, torch.full((10,), label)) for label in range(10)], 1)  # a row for each image
    mixed = D(x, torch.arange(10)).flatten()
    if not torch.allclose(mixed, table.diagonal()):
        return False  # the label of another image is read
    difference = table[:, :, None] - table[:, None]  # (images, labels, labels)
    return bool((difference.std(0) > 1e-6).sum() == 10 * 9)


HALF = 5  # of the ten labels


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def seen_by_D(x: Tensor, shift: Tensor | float = 0.0) -> Tensor:
    """Features (n, 16); float64, so that equal ones are equal to the last digits."""
    return softplus(x.double().flatten(1) @ drawn(784, 16) / 28 + shift)


def in_code(labels: Tensor, width: int) -> Tensor:
    """What numbers (n, width) a label is told by."""
    return models.one_hot(labels).double() @ drawn(10, width)


def by_projection(x: Tensor, labels: Tensor) -> Tensor:
    return seen_by_D(x) @ drawn(16, 1) + (seen_by_D(x) * in_code(labels, 16)).sum(1, keepdim=True)


def by_outputs(x: Tensor, labels: Tensor, read: Callable[[Tensor], Tensor] = lambda labels: labels) -> Tensor:
    return (seen_by_D(x) @ drawn(16, 10) * models.one_hot(read(labels))).sum(1, keepdim=True)


DISCRIMINATORS: list[tuple[Any, str]] = [
    (by_outputs, "ten outputs, of which that of the label is read"),
    (by_projection, "a projection: the features times a row of the label"),
    (lambda x, labels: seen_by_D(x, in_code(labels, 16)) @ drawn(16, 1), "the label glued to the image"),
    (lambda x, labels: seen_by_D(x) @ drawn(16, 1) + 0 * in_code(labels, 1), "the label times 0, so it is not read"),
    (lambda x, labels: seen_by_D(x) @ drawn(16, 1) + in_code(labels, 1), "the label only adds a number to the logit"),
    (lambda x, labels: in_code(labels, 1) + 0 * seen_by_D(x) @ drawn(16, 1), "the image is not looked at"),
    (partial(by_outputs, read=lambda labels: labels % 2), "of the label, only odd or even is read"),
    (partial(by_outputs, read=lambda labels: labels % HALF), f"labels that differ by {HALF} are the same"),
    (partial(by_outputs, read=lambda labels: labels.clamp(max=HALF)), f"all labels from {HALF} on are the same"),
    (partial(by_outputs, read=lambda labels: labels.roll(1)), "the label of the neighbour in the batch is read"),
    (partial(by_outputs, read=lambda labels: labels[:1].expand_as(labels)), "the batch's first label is read for all"),
]
USES_LABEL = write_the_check(
    DISCRIMINATORS,
    right=3,
    enough=6,
    arguments=("x", "labels"),
    name="06.uses_label",
    task="return True if D(x, labels) uses the label to tell which image fits it, and False if not.",
    solution=uses_label,
    otherwise={"type": "Your check returned an object of type {got}. Return True or False for each discriminator."},
    hints=(
        "Show D the same images under each label. By how much does a logit change, and is it equal for all images?",
        "torch.cat([D(x, torch.full((10,), label)) for label in range(10)], 1) has a column for each label. "
        "Then mix labels in a batch, by torch.arange(10).",
    ),
)

EXERCISES = [LABEL_PLANES, CONDITIONAL_STEP, MEND_LAST_LAYER, USES_LABEL]
