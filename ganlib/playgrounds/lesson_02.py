"""The playground of lesson 02: the value of the game, with p_g and D moved by hand."""

import math
from functools import lru_cache, partial
from typing import Any

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.nn.functional import softplus

from .. import metrics
from ..plots import FIXED_POINT, STYLE, curves, on_white
from ..show import SHARP, slider
from ..targets import Mixture, normal
from . import Playground, State, film, narrow, with_tasks

CAPTION = "The cross is the largest V that a D can get, the square is your V, or a triangle where it lies far below."
TASKS = (
    "You are D: with <i>tilt of D</i> and <i>D = ½ at</i>, lift the square as near to the cross as you can.",
    "You are G: with <i>centre</i>, lower the cross as far as you can. Where is p_g then?",
    "Set <i>centre</i> to 3 again, and <i>tilt of D</i> to 0. Compare your V with the cross of task 2.",
    "Set <i>centre</i> to 0 and <i>split</i> to 2. Which <i>centre</i> is best for G now? And with <i>width</i> 2?",
)
CENTRES = torch.linspace(-5, 5, 61, dtype=torch.float64)  # of p_g, for the curve of max V
LOWEST = -3  # V that is drawn
MOVING = ("D*", "D", "p_g", "max V for each centre", "_missing", "your V", "max V")


def value_playground() -> Playground:
    """Move p_g with sliders, be D by hand, and watch V, its maximum over D, and the divergences from p = N(0, 1).

    Two halves of equal weight make p_g: "centre", "width" and "split" move it. D(x) is the sigmoid of "tilt" times
    (x - "place"). These are the names of the `controls`. Introduced in lesson 02.
    """
    x = torch.linspace(-18, 18, 721, dtype=torch.float64)  # holds p_g at all ends of the sliders
    log_p = normal().log_density(x)
    ranges = {"centre": (3, -5, 5), "width": (1, 0.5, 2), "split": (0, 0, 2), "tilt": (-1, -5, 5), "place": (0, -5, 5)}
    labels = {"tilt": "tilt of D", "place": "D = ½ at"}
    sliders = {name: slider(labels.get(name, name), *of, step=0.1) for name, of in ranges.items()}
    controls = {name: control for name, (control, _) in sliders.items()}

    @lru_cache(maxsize=1)  # the sliders of D leave it as it is
    def tops(half: Mixture) -> torch.Tensor:  # max V for each centre
        log_q = half.log_density(x - CENTRES[:, None])
        s = log_p - log_q
        return -torch.trapezoid(log_p.exp() * softplus(-s) + log_q.exp() * softplus(s), x)

    def now() -> tuple[State, str]:
        centre, width, split, tilt, place = (round(control.value, 1) + 0.0 for control in controls.values())
        half = Mixture((-split, split), (width, width))
        log_q, mine = half.log_density(x - centre), tilt * (x - place)
        p, q, best = log_p.exp(), log_q.exp(), log_p - log_q
        top, own = (metrics.value_function(logits, p, q, x) for logits in (best, mine))
        kl, jsd = metrics.kl_divergence(p, q, x), metrics.js_divergence(p, q, x)
        heights = {"max V": top, "your V": max(own, LOWEST)}
        state: dict[str, Any] = {name: {"data": ([centre], [height])} for name, height in heights.items()}
        state["your V"]["marker"] = STYLE["D"]["marker"] if own > LOWEST else "v"  # it is further down
        state["_missing"] = {"data": ([centre] * 2, list(heights.values()))}
        moved = {"p_g": q, "D*": best.sigmoid(), "D": mine.sigmoid(), "max V for each centre": tops(half)}
        state |= {name: {"ydata": y} for name, y in moved.items()}
        sentence = (
            f"p_g: centre {centre:.1f}, width {width:.1f}, split {split:.1f}. KL(p‖p_g) = {kl:.3f}, JSD = {jsd:.3f}, "
            f"max V = {top:.3f}. Your D gets V = {own:.3f}, so {round(top, 3) - round(own, 3) + 0.0:.3f} is missing."
        )
        if (centre, width, split) == (0, 1, 0):
            sentence += " p_g lies on p, and no D does better than a coin."
        return state, sentence.replace("-", "−")

    view = Playground(film(partial(_stage, x, log_p.exp())), now, controls, CAPTION, scale=SHARP)
    rows = [narrow(row, name=65, width=290) for _, row in sliders.values()]
    names = (ipywidgets.HTML("<b>You are G: move p_g</b>"), ipywidgets.HTML("<b>You are D: tilt D</b>"))
    return with_tasks(view, [ipywidgets.VBox([names[0], *rows[:3]]), ipywidgets.VBox([names[1], *rows[3:]])], *TASKS)


@on_white
def _stage(x: torch.Tensor, p: torch.Tensor, fig: Figure) -> list[Axes]:
    """D above, the densities below, the values to the right: what stands still, and what moves in a first place."""
    grid = fig.add_gridspec(2, 2, width_ratios=(1.1, 1))
    above, below, right = (fig.add_subplot(grid[place]) for place in ((0, 0), (1, 0), (slice(None), 1)))
    curves(x, {"D*": p, "D": p}, above, xlim=(-7, 7), ylim=(-0.02, 1.02), xlabel="", ylabel="D(x)", xticklabels=[])
    curves(x, {"p": p, "p_g": p}, below, xlim=(-7, 7), ylim=(-0.02, 0.85), ylabel="density")
    below.fill_between(x, p, color=STYLE["real"]["color"], alpha=0.2, linewidth=0)
    right.plot(CENTRES, 0 * CENTRES, color=STYLE["D*"]["color"], linewidth=2, label="max V for each centre")
    right.plot([0, 0], [0, 0], color=STYLE["D"]["color"], linewidth=1, label="_missing")
    for name, label, size in (("D", "your V", 9), ("D*", "max V", 12)):
        look = {"color": STYLE[name]["color"], "marker": STYLE[name]["marker"], "linestyle": "", "markersize": size}
        look |= {"markeredgewidth": 2, "markerfacecolor": "none", "clip_on": False}  # both are seen where they meet
        right.plot([0], [0], **look, label=label)
    for height, words, up in ((0.0, "0: nothing in common", 3), (-2 * math.log(2), "−1.386 = −log 4", -13)):
        right.axhline(height, **FIXED_POINT)
        right.annotate(words, (-4.9, height), xytext=(0, up), textcoords="offset points", fontsize=10)
    right.set(xlim=(-5, 5), ylim=(LOWEST, 0.25), xlabel="centre of p_g", ylabel="V(D, G)")
    right.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=9, columnspacing=0.9,
        handlelength=1.4, handletextpad=0.4, borderaxespad=0.2,
    )  # fmt: skip
    for line in (*above.lines, *below.lines, *right.lines):
        line.set_animated(line.get_label() in MOVING)
    return [above, below, right]
