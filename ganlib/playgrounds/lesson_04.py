"""The playground of lesson 04: a walk through latent space."""

import math
from collections.abc import Callable
from typing import Any

import ipywidgets
import torch

from ..plots import tile
from ..show import SHRINK, png, slider
from . import Playground, narrow, tasks

CAPTION = "25 images on a walk through latent space, from P to Q."
TASKS = (
    "Move <i>t</i> from 0 to 1, and watch one image. Does it jump anywhere?",
    "What does G draw when z is twice as long? Guess first, then set <i>stretch z by</i> to 2.",
    "Set the stretch to 1 and <i>t</i> to 0.5. What changes when the <i>path</i> is straight?",
)


def latent_explorer(sample: Callable[[torch.Tensor], torch.Tensor], latent_dim: int, *, seed: int = 0) -> Playground:
    """Walk 25 latents from P to Q through a generator, and stretch or shrink them, with sliders.

    `sample` maps z (25, latent_dim), standard normal, to images (25, 1, 28, 28) in [-1, 1]. The round path
    cos(πt/2) P + sin(πt/2) Q is standard normal at each t; the straight path (1 - t) P + t Q is too short
    between its ends (White 2016, "Sampling generative networks"). `controls`: "t", "stretch", "path" and
    "walk on", which makes Q the new P. Equal seeds give equal walks. Raises ValueError when `sample` does
    not return one image for each z. Introduced in lesson 04.
    """
    if latent_dim < 1:
        raise ValueError(f"latent_dim must be 1 or more, got {latent_dim}: pass the length of one z")
    rng = torch.Generator().manual_seed(seed)
    t, t_row = slider("t: P to Q", 0.0, 0.0, 1.0)
    stretch, stretch_row = slider("stretch z by", 1.0, 0.0, 3.0)
    path = ipywidgets.Dropdown(options=["round", "straight"], description="path")
    path.style.description_width, path.layout.width = "100px", "220px"
    walk_on = ipywidgets.Button(description="walk on: Q is the new P", layout=ipywidgets.Layout(width="auto"))
    controls = {"t": t, "stretch": stretch, "path": path, "walk on": walk_on}

    def fresh() -> tuple[torch.Tensor, torch.Tensor]:
        z = torch.randn(25, latent_dim, generator=rng)
        return z, images_of(z)

    def images_of(z: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            images = sample(z)
        if len(images) != len(z):
            raise ValueError(
                f"sample must return one image for each z, {len(z)}, got {len(images)}: "
                "pass a function of z, not of a number of images"
            )
        return images

    def now() -> tuple[torch.Tensor, str]:
        (z_A, at_A), (z_B, at_B) = ends
        angle = math.pi / 2 * t.value
        a, b = (math.cos(angle), math.sin(angle)) if path.value == "round" else (1 - t.value, t.value)
        z = stretch.value * (a * z_A + b * z_B)
        images = images_of(z)
        apart = [float((images - others).abs().mean()) / 2 for others in (at_A, at_B, images.roll(1, 0))]
        length = float(z.norm(dim=1).mean())
        return images, (
            f"At t = {t.value:.2f}, z is {length:.1f} long. The images differ by {apart[0]:.0%} "
            f"of full contrast from those at P, {apart[1]:.0%} from those at Q, "
            f"{apart[2]:.0%} from each other."
        )

    def walk(_: Any) -> None:
        ends[:] = ends[1], fresh()
        t.value = 0.0
        view.update(*now())

    ends = [fresh(), fresh()]
    view = Playground(lambda images: png(tile(images, 5)), now, controls, CAPTION, scale=SHRINK)
    rows = [narrow(row, name=100, width=400) for row in (t_row, stretch_row)]
    beside = ipywidgets.VBox([tasks(*TASKS), *rows, ipywidgets.HBox([path, walk_on])])
    wrapping = ipywidgets.Layout(flex_flow="row wrap")  # at a zoom of 150 % the sliders go below the grid
    view.box.children = (ipywidgets.HBox([view.picture, beside], layout=wrapping), view.sentence)
    walk_on.on_click(walk)
    return view
