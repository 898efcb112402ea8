"""The playground of lesson 06: ten digits in five styles, and labels between two digits."""

import math
from collections.abc import Callable

import ipywidgets
import torch
from torch.nn.functional import one_hot

from ..plots import tile
from ..show import SHRINK, png, slider
from . import Playground, narrow, with_tasks

CAPTION = "Ten digits in five styles: a column is one label, a row is one z."
TASKS = (
    "Move <i>t</i>. Look along a row: what do its ten digits share, and what changes in all of them?",
    "Can you find a row of bold digits, or of slanted ones? Walk on, if not.",
    "Set <i>m</i> to 0.5: a label between a digit and the next one. What is half a 3 and half a 4?",
)


def digit_explorer(
    sample: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    read: Callable[[torch.Tensor], torch.Tensor],
    latent_dim: int,
    *,
    seed: int = 0,
) -> Playground:
    """Draw each digit in five styles, walk from one style to the next, and ask for labels between two digits.

    `sample` maps z (50, latent_dim) and codes (50, 10), the one-hot labels, to images (50, 1, 28, 28) in [-1, 1];
    `read` maps these to the judge's probabilities (50, 10). `controls`: "t" goes from the five z to five others, along
    cos(πt/2) P + sin(πt/2) Q; "m" is the share of the next digit in the code; "walk on" makes the others the first.
    Equal seeds give equal walks. Introduced in lesson 06.
    """
    rng = torch.Generator().manual_seed(seed)
    t, t_row = slider("t: from style to style", 0.0, 0.0, 1.0)
    m, m_row = slider("m: to the next digit", 0.0, 0.0, 1.0)
    walk_on = ipywidgets.Button(description="walk on: five new styles", layout=ipywidgets.Layout(width="auto"))
    labels = torch.arange(10).repeat(5)

    def fresh() -> torch.Tensor:
        return torch.randn(5, latent_dim, generator=rng).repeat_interleave(10, 0)  # one z for a row

    def now() -> tuple[torch.Tensor, str]:
        angle = math.pi / 2 * t.value
        z = math.cos(angle) * ends[0] + math.sin(angle) * ends[1]
        code = (1 - m.value) * one_hot(labels, 10) + m.value * one_hot((labels + 1) % 10, 10)
        with torch.no_grad():
            images = sample(z, code)
            found = read(images).argmax(1)
        asked, after = ((found == label).double().mean().item() for label in (labels, (labels + 1) % 10))
        return images, (
            f"At t = {t.value:.2f} and m = {m.value:.2f}, the judge reads {asked:.0%} as the digit of the column, "
            f"and {after:.0%} as the next one."
        )

    def walk(_: object) -> None:
        ends[:] = ends[1], fresh()
        t.value = 0.0
        view.update(*now())

    ends = [fresh(), fresh()]
    controls = {"t": t, "m": m, "walk on": walk_on}
    view = Playground(lambda images: png(tile(images, 10)), now, controls, CAPTION, scale=SHRINK)
    rows = [narrow(row, name=150, width=400) for row in (t_row, m_row)]
    with_tasks(view, [ipywidgets.VBox([*rows, walk_on])], *TASKS)
    walk_on.on_click(walk)
    return view
