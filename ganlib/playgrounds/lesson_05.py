"""The playgrounds of lesson 05: a walk over the map of a latent space, and thirty digits that become sharp."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from ipywidgets import VBox
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..images import IMAGE_SHAPE
from ..metrics import sharpness
from ..plots import GAP, latent_map, on_white, tile
from ..show import SHARP, SHRINK, png, slider
from . import Playground, State, film, narrow, with_tasks

CAPTION = "Left, the codes of images on the map of z, and the star at your z; right, what the decoder makes of it."
TASKS = (
    "Find a place between the 4s and the 9s. Is the digit there a 4, a 9, or neither?",
    "Set <i>z1</i> and <i>z2</i> to 0, the middle of the prior. Which digit is there?",
    "Go to a corner, far beyond the dotted circle. Is there a digit, and is any code near?",
)
NEAREST = 20  # codes that are counted
EDGE = 3.2  # of the map, at least

BLUR_CAPTION = "Thirty digits in three rows: each place of the grid keeps its z while the share moves."
BLUR_TASKS = (
    "Move <i>share</i> from 0 to 1, and watch one digit. Does it become another one?",
    "Is there a <i>share</i> at which the digits are as sharp as real ones?",
    "Set <i>share</i> to 0.5, then to 1. Is half of the change done at 0.5?",
)
THIRTY = 30


def map_explorer(generate: Callable[[Tensor], Tensor], mu: Any, labels: Any, *, seed: int = 0) -> Playground:
    """Walk over the map of a latent space of two numbers, and see what the decoder makes of each place.

    `generate` maps z (1, 2) to an image (1, 1, 28, 28) in [-1, 1]; `mu` (n, 2) are the codes of images, and `labels`
    (n,) their digits; 400 can be told apart. `controls`: "z1" and "z2". They start at a draw from the prior N(0, I);
    equal seeds give equal starts. Raises ValueError when `generate` does not return one image, and as
    `plots.latent_map`. Introduced in lesson 05.
    """
    codes, digits = (torch.as_tensor(each).detach() for each in (mu, labels))
    stage = film(partial(_stage, codes, digits))
    start = torch.randn(2, generator=torch.Generator().manual_seed(seed)).clamp(-3, 3)
    (z1, z1_row), (z2, z2_row) = (
        slider(name, round(20 * value) / 20, -3, 3) for name, value in zip(("z1", "z2"), start.tolist(), strict=True)
    )

    def now() -> tuple[State, str]:
        place = [round(control.value, 2) + 0.0 for control in (z1, z2)]
        z = torch.tensor([place])
        with torch.no_grad():
            image = generate(z)
        if len(image) != 1:
            raise ValueError(f"generate must return one image for one z, got {len(image)}: pass a function of z (1, 2)")
        near = (codes - z.to(codes)).norm(dim=1).sort()
        counts = Counter(digits[near.indices[:NEAREST]].tolist())
        most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        parts = [f"{n} of {_named(int(label), n)}" for label, n in most]
        listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])).replace(" of", " are of", 1)
        sentence = (
            f"z = ({place[0]:.2f}, {place[1]:.2f}) is {float(z.norm()):.2f} from the middle. Of the "
            f"{sum(counts.values())} nearest codes, {listed}. The nearest is {float(near.values[0]):.2f} away."
        ).replace("-", "−")
        pixels = tile(image, 1)[GAP:-GAP, GAP:-GAP]
        return {"z": {"data": (place[:1], place[1:])}, "decoded": {"data": pixels}}, sentence

    view = Playground(stage, now, {"z1": z1, "z2": z2}, CAPTION, scale=SHARP)
    return with_tasks(view, [VBox([narrow(row, name=65, width=350) for row in (z1_row, z2_row)])], *TASKS)


def blur_slider(generate_at: Callable[[float], Tensor], *, real_sharpness: float) -> Playground:
    """Move thirty digits from blurred to sharp, and compare their sharpness with that of real images.

    `generate_at` maps a share in [0, 1] to the images (30, 1, 28, 28) in [-1, 1] of thirty z, the same for each share;
    `real_sharpness` is `metrics.sharpness` of real images. `controls`: "share". Raises ValueError for another number
    of images, and for a sharpness that is not positive. Introduced in lesson 05.
    """
    if not real_sharpness > 0:
        raise ValueError(f"real_sharpness must be positive, got {real_sharpness}: it is metrics.sharpness(real_images)")
    share, row = slider("share", 0, 0, 1)

    def images_at(place: float) -> Tensor:
        with torch.no_grad():
            images = generate_at(place)
        if len(images) != THIRTY:
            raise ValueError(f"generate_at must return {THIRTY} images, three rows of ten, got {len(images)}")
        return images

    def now() -> tuple[Tensor, str]:
        place = round(share.value, 2)
        images = images_at(place)
        return images, (
            f"At share {place:.2f}, the digits are {sharpness(images) / real_sharpness:.2f} times as sharp as real "
            f"ones. They differ by {float((images - first).abs().mean()) / 2:.1%} of full contrast from those at 0."
        )

    first = images_at(0.0)
    view = Playground(lambda images: png(tile(images, 10)), now, {"share": share}, BLUR_CAPTION, scale=SHRINK)
    return with_tasks(view, [VBox([narrow(row, name=65, width=350)])], *BLUR_TASKS)


def _named(digit: int, n: int) -> str:
    return f"{digit}s" if n > 1 else f"{'an' if digit == 8 else 'a'} {digit}"


@on_white
def _stage(codes: Tensor, digits: Tensor, fig: Figure) -> list[Axes]:
    """The map, whose star moves, and the digit."""
    left, right = fig.subplots(1, 2)
    reach = max(EDGE, 1.05 * float(codes.abs().max()))
    axis: dict[str, Any] = {"lim": (-reach, reach), "ticks": range(-3, 4)}
    settings: Any = {x + name: value for x in "xy" for name, value in axis.items()}
    latent_map(codes, digits, left, at=(0, 0), **settings)
    for line in left.lines:
        line.set_animated(line.get_label() == "z")
    look: Any = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}
    right.imshow(np.full(IMAGE_SHAPE[1:], 255, np.uint8), **look, label="decoded", animated=True)
    right.set(xticks=[], yticks=[], title="decoded at the star")
    return [left, right]
