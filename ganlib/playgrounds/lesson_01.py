"""The playgrounds of lesson 01: two models see the same paintings, and a normal distribution is fitted by hand."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ipywidgets import Layout, ToggleButtons, VBox
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from ..plots import FIXED_POINT, INK, SERIES, STYLE, curves, on_white, plane
from ..show import SHARP, slider
from ..targets import Gaussian, normal
from . import Playground, State, film, narrow, with_tasks

CAPTION = "Left, what the chosen model knows; right, both errors, pale where you have been."
TASKS = (
    "Set <i>labels</i> to 6. Which model errs less in most draws? And with 400?",
    "Set <i>labels</i> to 20. In which draws do the models disagree at the star?",
    "Set <i>distance</i> to 0. Do more <i>labels</i> help? Which model calls the star unusual?",
)
MODELS = {"logistic regression": STYLE["D"], "class Gaussians": STYLE["fake"]}  # one judges, the other can draw
LOGISTIC, GAUSSIANS = MODELS
LABELS = (6, 10, 20, 40, 100, 200, 400)
FACTOR = torch.tensor([[1, 0], [0.6, 0.8]], dtype=torch.float64)  # S = FACTOR @ FACTOR.T
STAR = torch.tensor([4, -4], dtype=torch.float64)
HEIGHTS = torch.linspace(-8, 8, 1601, dtype=torch.float64)  # places x2
TENTHS = torch.linspace(0, 1, 11, dtype=torch.float64)  # of p(B | x)
CIRCLE = torch.view_as_real((1j * torch.linspace(0, 2 * math.pi, 61, dtype=torch.float64)).exp())
POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

FIT_CAPTION = "The black curve is your model; a thin line leads from each point up to its density."
FIT_TASKS = ("Climb as high as you can. Is the best <i>centre</i> that of the truth?",)
POINTS = normal().sample(20, torch.Generator().manual_seed(2863))[:, 0]  # mean 0.35, standard deviation 0.85
FIT = normal(float(POINTS.mean()), float(POINTS.std(correction=0)))
BEST, TRUTH = (float(model.log_density(POINTS).mean()) for model in (FIT, normal()))
X, CENTRES = torch.linspace(-4, 4, 401, dtype=torch.float64), torch.linspace(-3, 3, 121, dtype=torch.float64)
LOWEST = -6  # mean log-likelihood that is drawn

LogOdds = Callable[[torch.Tensor], torch.Tensor]  # log p(B | x) - log p(A | x) of places x (..., 2)


def models_playground() -> Playground:
    """See one sample of paintings as logistic regression and as class Gaussians do, and how often both are wrong.

    Each painter makes half of the paintings; A is N((-distance/2, 0), S) and B is N((distance/2, 0), S), with S =
    [[1, 0.6], [0.6, 1]]. `controls`: "distance", "draw" (another sample), "labels" (the number of labelled paintings)
    and "model" (whose knowledge is drawn). Introduced in lesson 01.
    """
    from sklearn.linear_model import LogisticRegression

    distance, distance_row = slider("distance", 2, 0, 4, step=0.5)
    draw, draw_row = slider("draw", 1, 1, 10, step=1)
    # Buttons, no menus: JupyterLab takes the arrow keys of a menu.
    look: Any = {"style": {"description_width": "65px", "button_width": "auto"}, "layout": Layout(display="flex")}
    labels = ToggleButtons(options=LABELS, value=40, description="labels", **look)
    model = ToggleButtons(options=tuple(MODELS), description="model", **look)
    seen: dict[tuple[float, int, int], list[float]] = {}

    def now() -> tuple[State, str]:
        apart, n, k = distance.value, labels.value, round(draw.value)
        rng = torch.Generator().manual_seed(130 + k)  # these ten show in which share of 200 draws each model is better
        noise = torch.randn(200, 2, 2, dtype=torch.float64, generator=rng)[: n // 2]  # of A and B
        x = noise @ FACTOR.T + torch.tensor([[-apart / 2, 0], [apart / 2, 0]])
        judge = LogisticRegression(C=1e6, tol=1e-8).fit(x.flatten(0, 1), np.arange(n) % 2)  # C: almost no penalty
        weights, bias = torch.from_numpy(judge.coef_[0]), float(judge.intercept_[0])
        gaussians = [Gaussian(of_one.mean(0), of_one.T.cov()) for of_one in x.unbind(1)]
        rules = lambda x: x @ weights + bias, lambda x: gaussians[1].log_density(x) - gaussians[0].log_density(x)
        errors = seen[apart, n, k] = [100 * _error(rule, apart) for rule in rules]
        best = 50 * math.erfc(apart / math.sqrt(5.12))  # Φ(-apart / 1.6), along the line that tells them best apart
        sure = [float(rule(STAR).sigmoid()) for rule in rules]
        places = torch.stack([gaussians[1].mean, STAR])
        rare = float(torch.stack([g.log_density(places) for g in gaussians]).logsumexp(0).diff()) / math.log(10)
        sentence = (
            f"Distance {apart:.1f}, {n} labels, draw {k}. Of new paintings, {LOGISTIC} gets {errors[0]:.1f} % wrong, "
            f"{GAUSSIANS} {errors[1]:.1f} %, the best rule {best:.1f} %. At the star, {LOGISTIC} says p(B | x) = "
            f"{sure[0]:.3f}, {GAUSSIANS} say {sure[1]:.3f}. Only {GAUSSIANS} know p(x): at the star, "
            f"10{f'{rare:.0f}'.translate(POWERS)} times its value at their mean of B."
        )
        shaded = model.value == LOGISTIC
        state: dict[str, Any] = {
            "best rule": {"ydata": [best, best]},
            "boundary": {"data": _boundary(rules[not shaded])},
        }
        state["_shades"] = {"verts": _strips(weights, bias) if shaded else []}
        for name, dots, gaussian in zip("AB", x.unbind(1), gaussians):
            ring = CIRCLE @ torch.linalg.cholesky(gaussian.covariance).T
            # As in `plots.plane`, where the density is 1/2 and 1/20 of its largest value.
            rings = [gaussian.mean + math.sqrt(2 * math.log(share)) * ring for share in (2, 20)]
            state[f"_density of {name}"] = {"data": _pieces([] if shaded else rings)}
            state[f"painter {name}"] = {"data": dots.T}
        here = torch.tensor([(size, *both) for (place, size, _), both in seen.items() if place == apart]).T
        for which, (name, aside) in enumerate(zip(MODELS, (0.95, 1.05))):
            state[name] = {"data": ([n * aside], [errors[which]])}
            state[f"_{name} before"] = {"data": (here[0] * aside, here[1 + which])}
        return state, sentence

    controls = {"distance": distance, "draw": draw, "labels": labels, "model": model}
    view = Playground(film(_stage_of_models), now, controls, CAPTION, scale=SHARP)
    rows = [narrow(row, name=65, width=350) for row in (distance_row, draw_row)]
    return with_tasks(view, [VBox([*rows, labels, model])], *TASKS)


def likelihood_playground() -> Playground:
    """Fit N(centre, width²) to 20 points of N(0, 1) by hand, so that the mean of its log density there is largest.

    `controls`: "centre" and "width". Introduced in lesson 01.
    """
    centre, centre_row = slider("centre", -1.5, -3, 3)
    width, width_row = slider("width", 2, 0.4, 3)

    def now() -> tuple[State, str]:
        place, size = round(centre.value, 2) + 0.0, round(width.value, 2)
        model = normal(place, size)
        own = float(model.log_density(POINTS).mean())
        sentence = (
            f"Centre {place:.2f}, width {size:.2f}: the mean log-likelihood is {own:.3f}. "
            f"The truth has {TRUTH:.3f}, the best model {BEST:.3f}, so {round(BEST, 3) - round(own, 3):.3f} is missing."
        ).replace(" -", " −")
        if BEST - own < 1e-3:
            sentence += " Your centre is the mean of the points, and your width their standard deviation."
        stems = [[(x, 0), (x, y)] for x, y in zip(POINTS, model.density(POINTS))]
        state: dict[str, Any] = {"model": {"data": (X, model.density(X))}, "_stems": {"data": _pieces(stems)}}
        state["with your width"] = {"data": (CENTRES, normal(0, size).log_density(POINTS - CENTRES[:, None]).mean(1))}
        state["you"] = {"data": ([place], [max(own, LOWEST)]), "marker": "s" if own > LOWEST else "v"}  # further down
        return state, sentence

    view = Playground(film(_stage_of_a_fit), now, {"centre": centre, "width": width}, FIT_CAPTION, scale=SHARP)
    return with_tasks(view, [VBox([narrow(row, name=65, width=350) for row in (centre_row, width_row)])], *FIT_TASKS)


def _zeros(rule: LogOdds) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where a log-odds of degree one or two is 0, two x1 for each of `HEIGHTS` or none (NaN); and its factor of x1²."""
    left, mid, right = (rule(torch.stack([torch.full_like(HEIGHTS, x1), HEIGHTS], 1)) for x1 in (-1, 0, 1))
    a, b = (left + right) / 2 - mid + 1e-9, (right - left) / 2  # a straight line is a parabola too, a wide one
    root = (b.square() - 4 * a * mid).sqrt()
    return (-b - root) / (2 * a), (-b + root) / (2 * a), a


def _error(rule: LogOdds, distance: float) -> float:
    """The share of all new paintings that such a log-odds puts to the wrong painter: x1 is normal where x2 is given."""
    *zeros, a = _zeros(rule)
    centres = torch.tensor([[-distance / 2], [distance / 2]])
    low, high = (torch.special.ndtr((x1 - centres - 0.6 * HEIGHTS) / 0.8) for x1 in zeros)
    between = (high - low).abs().nan_to_num(0)
    says_B = torch.where(a < 0, between, 1 - between) * normal().density(HEIGHTS)
    return float(1 - torch.trapezoid(says_B, HEIGHTS).diff()) / 2


def _boundary(rule: LogOdds) -> np.ndarray:
    """The curve on which such a log-odds is 0, up along its smaller zeros and down along the others."""
    low, high, _ = _zeros(rule)
    up, down = (torch.stack([x1.clamp(-99, 99), HEIGHTS], 1) for x1 in (low, high))
    runs = np.split(np.arange(len(low)), np.flatnonzero(low.isnan().diff()) + 1)
    return _pieces([torch.cat([up[run], down[run].flip(0), up[run[:1]]]) for run in runs if not low[run[0]].isnan()])


def _strips(weights: torch.Tensor, bias: float) -> np.ndarray:
    """Where a logistic regression says a p(B | x) between two `TENTHS`: the corners (10, 4, 2) of long rectangles."""
    along = weights / weights.norm()
    aside = 40 * torch.stack([-along[1], along[0]])
    middles = ((TENTHS.logit() - bias) / weights.norm()).clamp(-40, 40)[:, None] * along
    ends = torch.stack([middles - aside, middles + aside], 1)
    return torch.cat([ends[:-1], ends[1:].flip(1)], 1).numpy()


def _pieces(pieces: Sequence[Any]) -> np.ndarray:
    """The data (2, n) with which one line shows several pieces (k, 2)."""
    gap = [(math.nan, math.nan)]
    return np.concatenate([gap, *(part for piece in pieces for part in (piece, gap))]).T


def _add(ax: Any, label: str, color: str, **look: Any) -> None:
    """A line that moves."""
    ax.plot([], [], label=label, color=color, **look, animated=True)


@on_white
def _stage_of_models(fig: Figure) -> list[Any]:
    """The plane, and the errors."""
    left, right = fig.subplots(1, 2, width_ratios=(1.1, 1))
    tints = [(SERIES[int(p > 0.5)]["color"], 0.4 * abs(p - 0.5)) for p in (TENTHS[:-1] + 0.05).tolist()]
    left.add_collection(PolyCollection([], facecolors=tints, lw=0, aa=False, animated=True, label="_shades"))
    for name, look in zip("AB", SERIES):
        _add(left, f"_density of {name}", look["color"], linestyle=look["linestyle"], linewidth=1.7, zorder=3)
    _add(left, "boundary", INK, linewidth=2, zorder=3)
    best = FIXED_POINT | {"linewidth": 1.7, "label": "best rule"}
    left.plot([-3, 2.4], [-5, 4], **best)
    left.set(xlim=(-6, 6), ylim=(-5, 4), xlabel="warmth of the colours", ylabel="length of the strokes")
    plane({f"painter {name}": np.zeros((0, 2)) for name in "AB"}, left, at={"star": (4, -4)})
    for line in left.lines:
        line.set_animated(line.get_animated() or line.get_label().startswith("painter"))
    for name, look in MODELS.items():
        _add(right, f"_{name} before", look["color"], marker=look["marker"], linestyle="", ms=6, mew=0, alpha=0.3)
        _add(right, name, look["color"], marker=look["marker"], linestyle="", ms=9, mew=2, mfc="none")
    right.plot([5, 480], [50, 50], **best, animated=True)
    right.set(xscale="log", yscale="log", xlim=(5, 480), ylim=(0.45, 70), ylabel="wrong of new paintings (%)")
    for axis, ticks in ((right.xaxis, LABELS), (right.yaxis, (0.5, 1, 2, 5, 10, 20, 50))):
        axis.set_ticks(ticks, ticks)
    right.minorticks_off()
    curves([], {}, right, xlabel="labelled paintings")
    return [left, right]


@on_white
def _stage_of_a_fit(fig: Figure) -> list[Any]:
    """The points, and the likelihood."""
    left, right = fig.subplots(1, 2, width_ratios=(1.3, 1))
    _add(left, "_stems", INK, linewidth=0.8)
    _add(left, "model", INK, linewidth=2)
    left.plot(POINTS, 0 * POINTS, color=SERIES[1]["color"], marker="o", linestyle="", markersize=5, label="20 points")
    left.set(xlim=(-4, 4), ylim=(-0.03, 1.05), ylabel="density")
    curves(X, {"truth (unknown in practice)": normal().density(X)}, left)
    _add(right, "with your width", INK, linewidth=2)
    _add(right, "you", INK, marker="s", linestyle="", markersize=9)
    right.set(xlim=(-3, 3), ylim=(LOWEST, -0.8), ylabel="mean log-likelihood")
    curves([], {}, right, level={"best": BEST}, xlabel="centre")
    return [left, right]
