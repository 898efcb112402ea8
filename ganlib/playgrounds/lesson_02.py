"""The playground of lesson 02: the value of the game, with p_g and D moved by hand."""

import io
import math
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image
from torch.nn.functional import softplus

from .. import metrics
from ..plots import FIXED_POINT, STYLE, curves
from ..show import View, slider
from ..targets import Mixture, normal


def value_playground() -> View:
    """Move p_g with sliders, be D by hand, and watch V, its maximum over D, and the divergences from p = N(0, 1).

    Two halves of equal weight make p_g: "centre", "width" and "split" move it. D(x) is the sigmoid of "tilt" times
    (x - "place"). These are the names of the `controls`. Introduced in lesson 02.
    """
    x = torch.linspace(-18, 18, 721, dtype=torch.float64)  # holds p_g at all ends of the sliders
    log_p = normal().log_density(x)
    ranges = {"centre": (3, -5, 5), "width": (1, 0.5, 2), "split": (0, 0, 2), "tilt": (0, -5, 5), "place": (0, -5, 5)}
    labels = {"tilt": "tilt of D", "place": "D = ½ at"}
    sliders = {name: slider(labels.get(name, name), *of, step=0.1) for name, of in ranges.items()}
    controls = {name: control for name, (control, _) in sliders.items()}

    def now() -> tuple[dict[str, Any], str]:
        centre, width, split, tilt, place = (round(control.value, 1) + 0.0 for control in controls.values())
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
