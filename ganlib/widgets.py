"""Pictures and sliders of the lessons, each with a sentence beside it; they work with ipywidgets 7 and 8."""

import base64
import html
import io
import math
from collections.abc import Callable
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython import get_ipython
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image
from torch.nn.functional import softplus
from traitlets import link

from ganlib import metrics
from ganlib.claims import say
from ganlib.plots import FIXED_POINT, STYLE, curves, tile
from ganlib.targets import Mixture, normal

ENLARGE = 3  # screen pixels for one pixel of an image


def show(thing: Figure | ipywidgets.DOMWidget, caption: str, *, first_frame: bytes | None = None) -> None:
    """Display a figure or a widget once, and print the sentence that says what is seen.

    `caption`: one sentence made from the data. `first_frame`: the PNG of a widget's first state, shown
    where there is no kernel. The figure is closed. Raises ValueError for a caption without a full stop and
    a widget without first frame, TypeError for other things. Used by every lesson.
    """
    if not isinstance(caption, str) or not caption.endswith(".") or "\n" in caption:
        raise ValueError(
            f"caption must be one sentence that ends with a full stop, got {caption!r}: "
            "say in words what the picture shows, with its numbers"
        )
    # One bundle: the viewer takes the richest form it can, and strict comparisons see the sentence alone.
    bundle: dict[str, Any] = {"text/plain": caption}
    if isinstance(thing, Figure):
        if first_frame is not None:
            raise ValueError("first_frame is for widgets, got one with a figure: leave it out")
        drawn, small = io.BytesIO(), io.BytesIO()
        thing.savefig(drawn, dpi=90, bbox_inches="tight")
        plt.close(thing)  # the notebook would draw an open figure a second time
        # A grey picture needs one channel, and a third of the bytes. Matplotlib's version leaves the file, so that an
        # unchanged figure stays an unchanged file.
        picture = Image.open(drawn).convert("RGB")
        red, green, blue = picture.split()
        (red if red.tobytes() == green.tobytes() == blue.tobytes() else picture).save(small, "PNG", optimize=True)
        first_frame = small.getvalue()
    elif isinstance(thing, ipywidgets.DOMWidget):
        if first_frame is None:
            raise ValueError("first_frame must be the PNG of the first state, got None: pass view.png")
        bundle["application/vnd.jupyter.widget-view+json"] = {
            "version_major": 2,
            "version_minor": 0,
            "model_id": thing.model_id,
        }
    else:
        raise TypeError(
            f"thing must be a matplotlib Figure or a widget, got {type(thing).__name__}: "
            "pass ax.figure for an axes and view.box for a view"
        )
    bundle["image/png"] = base64.b64encode(first_frame).decode()
    if get_ipython() is not None:  # in a plain program only the sentence is of use
        display(bundle, raw=True, metadata={"image/png": {"alt": caption}})
    say(caption)


class View:
    """A picture and a sentence under it, replaced in place by `update`; it needs no screen.

    `draw` makes the PNG of what is shown. `box` is the widget to show; `picture`, `sentence` and the
    `controls` by name are its parts. Introduced in lesson 02.
    """

    def __init__(self, draw: Callable[[Any], bytes], what: Any, sentence: str):
        self.draw = draw
        self.controls: dict[str, Any] = {}
        self.picture = ipywidgets.Image(format="png")
        self.sentence = ipywidgets.HTML()
        self.update(what, sentence)
        # A box would stretch the picture over the whole width of the cell, and blur it.
        width = f"{Image.open(io.BytesIO(self.png)).width}px"
        self.picture.layout = ipywidgets.Layout(width=width, align_self="flex-start")
        self.box = ipywidgets.VBox([self.picture, self.sentence])

    @property
    def png(self) -> bytes:
        """The picture as it is now."""
        return self.picture.value

    def update(self, what: Any, sentence: str) -> None:
        """Replace the picture, drawn of `what`, and the sentence."""
        self.picture.value = self.draw(what)
        self.sentence.value = html.escape(sentence)


def live_grid(images: torch.Tensor, sentence: str, *, columns: int = 5) -> View:
    """A grid that a training loop redraws: `view.update(images, "step 500: ...")`.

    `images`: (N, 1, 28, 28) in [-1, 1]; `sentence` stands under them. Show it with `show(view.box, caption,
    first_frame=view.png)`. Introduced in lesson 04.
    """
    return View(lambda images: _png(tile(images, columns)), images, sentence)


def latent_explorer(sample: Callable[[torch.Tensor], torch.Tensor], latent_dim: int, *, seed: int = 0) -> View:
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
    t, t_row = _slider("t: P to Q", 0.0, 0.0, 1.0)
    stretch, stretch_row = _slider("stretch z by", 1.0, 0.0, 3.0)
    path = ipywidgets.Dropdown(options=["round", "straight"], description="path")
    walk_on = ipywidgets.Button(description="walk on: Q is the new P", layout=ipywidgets.Layout(width="auto"))

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
    view = View(lambda images: _png(tile(images, 5)), *now())
    view.controls = {"t": t, "stretch": stretch, "path": path, "walk on": walk_on}
    view.box.children = (t_row, stretch_row, ipywidgets.HBox([path, walk_on]), *view.box.children)
    for control in (t, stretch, path):
        control.observe(lambda _: view.update(*now()), "value")
    walk_on.on_click(walk)
    return view


def value_playground() -> View:
    """Move p_g with sliders, be D by hand, and watch V, its maximum over D, and the divergences from p = N(0, 1).

    Two halves of equal weight make p_g: "centre", "width" and "split" move it. D(x) is the sigmoid of "tilt" times
    (x - "place"). These are the names of the `controls`. Introduced in lesson 02.
    """
    x = torch.linspace(-18, 18, 721, dtype=torch.float64)  # holds p_g at all ends of the sliders
    log_p = normal().log_density(x)
    ranges = {"centre": (3, -5, 5), "width": (1, 0.5, 2), "split": (0, 0, 2), "tilt": (0, -5, 5), "place": (0, -5, 5)}
    labels = {"tilt": "tilt of D", "place": "D = ½ at"}
    sliders = {name: _slider(labels.get(name, name), *of, step=0.1) for name, of in ranges.items()}
    controls = {name: slider for name, (slider, _) in sliders.items()}

    def now() -> tuple[dict[str, Any], str]:
        centre, width, split, tilt, place = (round(slider.value, 1) + 0.0 for slider in controls.values())
        half = Mixture((-split, split), (width, width))
        log_q, mine = half.log_density(x - centre), tilt * (x - place)
        p, q, best = log_p.exp(), log_q.exp(), log_p - log_q
        top, own = (metrics.value_function(logits, p, q, x) for logits in (best, mine))
        kl, jsd = metrics.kl_divergence(p, q, x), metrics.js_divergence(p, q, x)
        state = {"p_g": q, "D*": best.sigmoid(), "D": mine.sigmoid(), "centre": centre, "top": top, "own": own}
        sentence = (
            f"p_g: centre {centre:.1f}, width {width:.1f}, split {split:.1f}. KL(p‖p_g) = {kl:.3f}, JSD = {jsd:.3f}, "
            f"max V = {top:.3f}. Your D gets V = {own:.3f}, so {round(top, 3) - round(own, 3) + 0.0:.3f} is missing."
        )
        if (centre, width, split) == (0, 1, 0):
            sentence += " p_g lies on p, and no D does better than a coin."
        return state | {"half": half}, sentence.replace("-", "−")

    view = View(_drawing_of_the_game(x, log_p.exp()), *now())
    view.controls = controls
    rows = [row for _, row in sliders.values()]
    names = (ipywidgets.HTML("<b>You are G: move p_g</b>"), ipywidgets.HTML("<b>You are D: tilt D</b>"))
    columns = [ipywidgets.VBox([names[0], *rows[:3]]), ipywidgets.VBox([names[1], *rows[3:]])]
    view.box.children = (ipywidgets.HBox(columns), *view.box.children)
    for control in controls.values():
        control.observe(lambda _: view.update(*now()), "value")
    return view


def _drawing_of_the_game(x: torch.Tensor, p: torch.Tensor) -> Callable[[dict[str, Any]], bytes]:
    """Draw once what stands still; the returned function adds what moves: 9 ms, where all would take 90."""
    fig = Figure(figsize=(8.6, 3.8), dpi=90, layout=ConstrainedLayoutEngine(w_pad=0.12))
    canvas = FigureCanvasAgg(fig)
    grid = fig.add_gridspec(2, 2, width_ratios=(1.1, 1))
    above, below, right = (fig.add_subplot(grid[place]) for place in ((0, 0), (1, 0), (slice(None), 1)))
    moving: dict[str, Any] = {}
    for ax, names, top in ((above, ("D", "D*"), 1.02), (below, ("p_g",), 0.85)):
        curves(x, dict.fromkeys(("p", *names) if ax is below else names, p), ax)
        ax.set(xlim=(-7, 7), ylim=(-0.02, top), ylabel="density" if ax is below else "D(x)")
        moving |= dict(zip(names, ax.lines[-len(names) :]))
    above.set(xlabel="", xticklabels=[])
    below.fill_between(x, p, color=STYLE["real"]["color"], alpha=0.2, linewidth=0)
    centres = torch.linspace(-5, 5, 61, dtype=torch.float64)
    (moving["curve"],) = right.plot(centres, 0 * centres, color=STYLE["D*"]["color"], label="max V for each centre")
    (moving["missing"],) = right.plot([0, 0], [0, 0], color=STYLE["D"]["color"], linewidth=1)
    for name, label, size in (("D", "your V", 9), ("D*", "max V", 12)):
        look = {"color": STYLE[name]["color"], "marker": STYLE[name]["marker"], "linestyle": "", "markersize": size}
        look |= {"markeredgewidth": 2, "markerfacecolor": "none", "clip_on": False}  # both are seen where they meet
        (moving[label],) = right.plot([0], [0], **look, label=label)
    for height, words, up in ((0.0, "0: nothing in common", 3), (-2 * math.log(2), "−1.386: p_g = p", -13)):
        right.axhline(height, **FIXED_POINT)
        right.annotate(words, (-4.9, height), xytext=(0, up), textcoords="offset points", fontsize=10)
    right.set(xlim=(-5, 5), ylim=(-3, 0.25), xlabel="centre of p_g", ylabel="V(D, G)")
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, columnspacing=1, handletextpad=0.3)
    for artist in moving.values():
        artist.set_animated(True)
    canvas.draw()
    still = canvas.copy_from_bbox(fig.bbox)
    shapes: dict[Mixture, torch.Tensor] = {}

    def draw(state: dict[str, Any]) -> bytes:
        half = state["half"]
        if half not in shapes:  # max V for each centre
            shapes.clear()
            q = half.log_density(x - centres[:, None])
            s = p.log() - q
            shapes[half] = -torch.trapezoid(p * softplus(-s) + q.exp() * softplus(s), x)
        for name in ("p_g", "D*", "D"):
            moving[name].set_ydata(state[name])
        moving["curve"].set_ydata(shapes[half])
        ends = {"max V": state["top"], "your V": max(state["own"], -3)}
        moving["your V"].set_marker(STYLE["D"]["marker"] if state["own"] > -3 else "v")  # it is further down
        for label, value in ends.items():
            moving[label].set_data([state["centre"]], [value])
        moving["missing"].set_data([state["centre"]] * 2, list(ends.values()))
        canvas.restore_region(still)
        for artist in moving.values():
            artist.axes.draw_artist(artist)
        file = io.BytesIO()
        Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(file, "PNG", compress_level=1)
        return file.getvalue()

    return draw


def _slider(
    name: str, value: float, minimum: float, maximum: float, step: float = 0.05
) -> tuple[ipywidgets.FloatSlider, ipywidgets.HBox]:
    """A slider, and a row with it and a named number to type: a screen reader finds no name on a slider."""
    slider = ipywidgets.FloatSlider(value, min=minimum, max=maximum, step=step, readout=False)
    number = ipywidgets.BoundedFloatText(value, min=minimum, max=maximum, step=step, description=name)
    link((slider, "value"), (number, "value"))
    return slider, ipywidgets.HBox([number, slider])


def _png(sheet: np.ndarray) -> bytes:
    """A grey picture (height, width) as PNG, enlarged with sharp pixels."""
    file = io.BytesIO()
    Image.fromarray(sheet.repeat(ENLARGE, 0).repeat(ENLARGE, 1)).save(file, "PNG", compress_level=1)
    return file.getvalue()
