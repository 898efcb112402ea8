"""Figures of the lessons: each function takes data and an optional `ax`, and returns the `ax` it drew on.

They are dark ink on white paper, also under a dark style of matplotlib, and at most as wide as a page.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.ticker import LogLocator, NullLocator

from .images import IMAGE_SHAPE, check_images

if TYPE_CHECKING:
    import torch

    Images = torch.Tensor | np.ndarray

P = ParamSpec("P")
Drawn = TypeVar("Drawn", bound=Axes | list[Axes])
Grid = tuple[Any, Any, Any]  # x (w,), y (h,) and values (h, w)
History = Sequence[Mapping[str, Any]]  # what a training loop appends: {"step": step, **log}

# One look for each role in every figure. Each colour has a contrast of 3 or more to white, and colour-blind readers
# can tell it from the others; line, width and marker do it without colour. The thin lines lie on the wide ones, so
# that curves which agree are all seen: D runs on D* as on a road. The generator's curves look like the fakes it makes.
STYLE: dict[str, dict[str, Any]] = {
    "real": {"color": "#3f90da", "linestyle": "-", "linewidth": 2.5, "marker": "o"},
    "fake": {"color": "#e76300", "linestyle": "--", "linewidth": 1.7, "marker": "^"},
    "D": {"color": "#832db6", "linestyle": "-.", "linewidth": 1.7, "marker": "s"},
    "D*": {"color": "#8f8f8f", "linestyle": "-", "linewidth": 5.0, "marker": "x"},
}
ROLES = {"p": "real", "p_g": "fake", "D": "D", "D*": "D*", "loss_D": "D", "loss_G": "fake"}  # curves known by name
# What has no role gets three more looks, from a wide bright line to a thin dark one.
SERIES: tuple[dict[str, Any], ...] = (
    {"color": "#1f9e89", "linestyle": "-", "linewidth": 3.5, "marker": "v"},
    {"color": "#b0102e", "linestyle": "--", "linewidth": 1.7, "marker": "D"},
    {"color": "#1a1a3e", "linestyle": "-.", "linewidth": 1.2, "marker": "P"},
)
# Of digits by label: 4, 7 and 9, 3, 5 and 8, and 0, 2 and 6, which are neighbours in many latent spaces, differ.
OF_DIGITS = tuple(SERIES[k]["color"] for k in (0, 0, 1, 0, 1, 1, 2, 2, 2, 0))
INK, NEUTRAL = "black", "#767676"  # of words and counted dots, and of what stands back
FIXED_POINT: dict[str, Any] = {"color": NEUTRAL, "linestyle": ":", "linewidth": 1.2}
WIDTH = 8.6  # inches of a page
SMALL = 9  # the smallest letters, in points
MEASURES = {"frechet": "Fréchet distance (our judge's features, 10,000 samples)"}  # as axes name them
PALE = 0.25  # of a colour in white paper: what lies on it has a dark edge
GAP = 1  # pixels between two images
GREY, PAPER = 200, 255  # of the gap and of an empty place


def on_white(draw: Callable[P, Drawn]) -> Callable[P, Drawn]:
    """Let a function draw in matplotlib's default style on white, whatever the style in force and of the axes given."""

    @wraps(draw)
    def drawn(*args: P.args, **settings: P.kwargs) -> Drawn:
        with plt.style.context("default"):
            axes = draw(*args, **settings)
        for ax in axes if isinstance(axes, list) else [axes]:
            ax.figure.set_facecolor("white")
            ax.set_facecolor("white")
            ax.tick_params(which="both", colors=INK)
            ax.spines[:].set_edgecolor(INK)
            for words in (ax.title, ax.xaxis.label, ax.yaxis.label):
                words.set_color(INK)
        return axes

    return drawn


@on_white
def panels(n: int, *, height: float = 3.2, **settings: Any) -> list[Axes]:
    """Make ``n`` axes side by side, over the width of a page, for the other functions to draw on.

    ``settings`` are those of ``plt.subplots``, such as ``sharey=True`` and ``width_ratios``. Introduced in lesson 02.
    """
    # "constrained" lets the legend of axes with an equal aspect run off the page
    return list(plt.subplots(1, n, figsize=(WIDTH, height), layout="compressed", squeeze=False, **settings)[1][0])


@on_white
def curves(
    x: Any,
    named: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    dots: Mapping[str, tuple[Any, Any]] | None = None,
    at: Mapping[str, float] | None = None,
    level: Mapping[str, float] | None = None,
    spread: Mapping[str, tuple[Any, Any]] | None = None,
    **settings: Any,
) -> Axes:
    """Draw named curves over ``x``: p, p_g, D and D* in their own looks, up to three others in looks to tell apart.

    ``named``: values (n,) by name, for the places ``x`` (n,); ``dots``: pairs (x, y) by name, drawn as black dots.
    ``at`` and ``level`` mark places and heights by name, with a dotted line. ``spread``: pairs (low, high) of values
    (n,) by the name of a curve, a pale band behind it. ``settings`` such as ``ylabel`` are for the axes. Raises
    ValueError for more than three other names, and for a band without a curve. Introduced in lesson 02.
    """
    looks = {name: STYLE[role] for name, role in ROLES.items()}
    looks |= _looks("named", [name for name in named if name not in ROLES])
    if alone := [name for name in spread or {} if name not in named]:
        raise ValueError(f"spread must hold names of curves, got {', '.join(alone)}: curves are {', '.join(named)}")
    ax = ax or _axes((7, 3.2))
    for name, (low, high) in (spread or {}).items():
        ax.fill_between(_array(x), _array(low), _array(high), color=looks[name]["color"], alpha=PALE, linewidth=0)
    for name, y in named.items():
        _line(ax, x, y, looks[name] | {"marker": ""}, label=name)
    for name, (x_of_dots, y) in (dots or {}).items():
        _line(ax, x_of_dots, y, {"color": INK, "linestyle": "", "marker": ".", "markersize": 5}, label=name)
    ax.set(**{"xlabel": "x"} | settings)
    _places(ax, at)
    for label, height in (level or {}).items():
        _fixed_point(ax, float(height), label)
    _legend(ax)
    return ax


@on_white
def orbits(named: Mapping[str, Any], ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw the paths of points in the plane, from a black dot on; dotted lines cross at the fixed point (0, 0).

    ``named``: points (steps + 1, 2) by name, at most three. ``settings`` such as ``xlabel`` are for the axes.
    Introduced in lesson 02.
    """
    looks = _looks("named", list(named))
    ax = ax or _axes((5, 4.4))
    ax.axhline(0, **FIXED_POINT)
    ax.axvline(0, **FIXED_POINT)
    for name, points in named.items():
        x, y = np.transpose(_array(points))
        _line(ax, x, y, looks[name] | {"linewidth": min(looks[name]["linewidth"], 2), "marker": ""}, label=name)
        _line(ax, x[:1], y[:1], {"color": INK, "marker": "o"})
    ax.set(**{"aspect": "equal"} | settings)
    _legend(ax)
    return ax


@on_white
def plane(
    points: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    shade: Grid | None = None,
    contours: Mapping[str, Grid] | None = None,
    boundary: Grid | None = None,
    at: Mapping[str, tuple[float, float]] | None = None,
    **settings: Any,
) -> Axes:
    """Draw points in the plane by class, up to three classes, in looks to tell apart.

    ``points``: (n, 2) by the name of the class. A grid is x (w,), y (h,) and values (h, w). ``shade``: a grid of
    p(second class | x), white at 1/2, else the pale colour of the class that is more probable. ``contours``: grids of
    densities by the name of the class; lines at 1/2 and 1/20 of the largest value hold 50 % and 95 % of a Gaussian.
    ``boundary``: a grid, with a black line where it is 1/2. ``at``: places (x, y) by name, each a star. ``settings``
    such as ``xlabel`` are for the axes. Raises ValueError for more than three names and for other shapes. Introduced in
    lesson 01.
    """
    contours = contours or {}
    looks = _looks("points", list(dict.fromkeys([*points, *contours])))
    rows = {name: _array(pairs) for name, pairs in points.items()}
    for name, pairs in rows.items():
        if pairs.shape[1:] != (2,):
            raise ValueError(f"points of {name!r} must have shape (n, 2), got {pairs.shape}: choose two columns")
    asked = {"shade": shade, "boundary": boundary} | {f"contours of {name!r}": grid for name, grid in contours.items()}
    grids: dict[str, Any] = {kind: [*map(_array, grid)] for kind, grid in asked.items() if grid is not None}
    for kind, (x, y, values) in grids.items():
        if values.shape != (*y.shape, *x.shape):
            got = f"{x.shape}, {y.shape} and {values.shape}"
            raise ValueError(f"{kind} must be x (w,), y (h,) and values (h, w), got {got}: a row of values has one y")
    ax = ax or _axes((5.6, 4.8))
    if "shade" in grids:
        low, high = (1 - PALE * (1 - np.array(to_rgb(look["color"]))) for look in SERIES[:2])
        pale = LinearSegmentedColormap.from_list("pale", np.stack([low, np.ones(3), high]))
        ax.pcolormesh(*grids["shade"], cmap=pale, vmin=0, vmax=1, shading="nearest", zorder=0)
    for name, pairs in rows.items():
        look = looks[name] | {"linestyle": "", "markersize": 5, "markeredgecolor": INK, "markeredgewidth": 0.5}
        _line(ax, pairs[:, 0], pairs[:, 1], look, label=name)
    for name in contours:
        hill = grids[f"contours of {name!r}"]
        _level_lines(ax, hill, hill[2].max() / np.array([20, 2]), looks[name], None if name in points else name)
    if "boundary" in grids:
        fence = {"color": INK, "linestyle": "-", "linewidth": 2}
        _level_lines(ax, grids["boundary"], [0.5], fence, "boundary: p = 1/2")
    ax.set(**{"aspect": "equal"} | settings)
    for name, place in (at or {}).items():
        x, y = map(float, place)
        _line(ax, [x], [y], {"color": INK, "linestyle": "", "marker": "*", "markersize": 14})
        side, shift = ("right", -9) if x > np.mean(ax.get_xlim()) else ("left", 9)
        ax.annotate(
            name, (x, y), xytext=(shift, 0), textcoords="offset points", ha=side, va="center", fontsize=10,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    _legend(ax)
    return ax


@on_white
def latent_map(
    mu: Any,
    labels: Any,
    ax: Axes | None = None,
    *,
    ellipses: tuple[Any, Any] | None = None,
    at: Any = None,
    **settings: Any,
) -> Axes:
    """Draw the plane of a latent space: each code as the digit of its label, and a dotted circle for the prior.

    ``mu``: codes (n, 2), about 1,500 at most; ``labels``: whole numbers (n,). The circle has radius 2: two standard
    deviations of N(0, I) in each direction. ``ellipses``: centres (m, 2) and standard deviations (m, 2) of some q(z|x),
    an outline at two standard deviations for each. ``at``: a place (2,), a star. ``settings`` such as ``xlim`` are for
    the axes. Raises ValueError for other shapes, for labels that are not whole, and for standard deviations that are
    not positive. Introduced in lesson 05.
    """
    codes, digits = _array(mu), _array(labels)
    if codes.shape[1:] != (2,):
        raise ValueError(f"mu must have shape (n, 2), got {codes.shape}: a map is flat, so train with latent_dim=2")
    if digits.shape != codes.shape[:1]:
        raise ValueError(
            f"labels must have shape (n,), one for each of the {len(codes)} codes, got {digits.shape}: "
            "take those of the images that were encoded"
        )
    if (digits != np.round(digits)).any():
        raise ValueError(f"labels must be whole numbers, got {digits[digits != np.round(digits)][0]}")
    centres, sizes = (np.zeros((0, 2)),) * 2 if ellipses is None else map(_array, ellipses)
    if centres.shape[1:] != (2,) or sizes.shape != centres.shape:
        raise ValueError(
            f"ellipses must be centres (m, 2) and standard deviations (m, 2), got {centres.shape} and {sizes.shape}: "
            "take both of the same images"
        )
    if not (sizes > 0).all():
        raise ValueError(
            f"standard deviations of ellipses must be positive, got {sizes.min():.4g}: (log_var / 2).exp() makes them"
        )
    star = None if at is None else _array(at)
    if star is not None and star.shape != (2,):
        raise ValueError(f"at must be one place (2,), got {star.shape}: of z (1, 2) take z[0]")
    ax = ax or _axes((5.6, 5.4))
    for digit in np.unique(digits).astype(int):
        x, y = codes[digits == digit].T
        look = {"color": OF_DIGITS[digit % 10], "linestyle": "", "marker": f"${digit}$", "markersize": 6.5}
        _line(ax, x, y, look | {"markeredgewidth": 0.2, "zorder": 2})
    angle = np.linspace(0, 2 * np.pi, 61)
    ring_x, ring_y = 2 * np.cos(angle), 2 * np.sin(angle)
    outline = {"color": INK, "linestyle": "-", "linewidth": 0.8}
    for k, ((x, y), (wide, high)) in enumerate(zip(centres, sizes, strict=True)):
        name = None if k else "q(z|x), 2 standard deviations"
        _line(ax, x + wide * ring_x, y + high * ring_y, outline, label=name)
    _line(ax, ring_x, ring_y, FIXED_POINT, label="prior N(0, I), radius 2")
    if star is not None:
        shape = {"color": INK, "linestyle": "", "marker": "*", "markersize": 16, "markeredgecolor": "white"}
        _line(ax, star[:1], star[1:], shape | {"zorder": 3}, label="z")
    ax.set(**{"aspect": "equal", "xlabel": "z1", "ylabel": "z2"} | settings)
    _legend(ax)
    return ax


@on_white
def seed_rows(
    rows: Mapping[str, Any], x: Any, p: Any, ax: Axes | None = None, *, good: Mapping[str, Any] | None = None
) -> Axes:
    """Draw small histograms, a row for each name and one in it for each seed, and the density of the data behind each.

    ``rows``: samples (n, seeds) on the line by name, equally many seeds each; ``x`` and ``p`` (w,): places and the
    density there, the first and the last place are the ends of a histogram. ``good``: by name whether each seed has
    succeeded, for rows that are judged; those seeds are filled, and counted at the right. Raises ValueError for other
    shapes. Introduced in lesson 03.
    """
    x, p = _array(x), _array(p)
    samples = {name: _array(values) for name, values in rows.items()}
    seeds = next(iter(samples.values())).shape[-1]
    for name, values in samples.items():
        if values.ndim != 2 or values.shape[1] != seeds:
            raise ValueError(
                f"rows must hold samples (n, {seeds}) of equally many seeds, got {values.shape} of {name!r}: "
                "of samples (n, seeds, 1) take [..., 0]"
            )
    ax = ax or _axes((WIDTH, 0.5 + 0.9 * len(samples)))
    bins = np.linspace(x[0], x[-1], 41)
    scale = 0.45 / p.max()  # the data fill half of a row, since a collapsed generator is higher

    def polygons(base: float, at: np.ndarray, heights: np.ndarray) -> list[np.ndarray]:
        places = 0.92 * (at - x[0]) / (x[-1] - x[0])
        return [np.column_stack([k + places, base + np.minimum(scale * y, 0.9)]) for k, y in enumerate(heights)]

    edges = np.repeat(bins, 2)
    for base, (name, values) in zip(range(len(samples) - 1, -1, -1), samples.items()):
        passed = list((good or {}).get(name, [False] * seeds))
        counts = np.stack([np.histogram(column, bins, density=True)[0] for column in values.T])
        steps = np.pad(np.repeat(counts, 2, axis=1), ((0, 0), (1, 1)))
        fill = [(*to_rgb(STYLE["fake"]["color"]), PALE if one else 0) for one in passed]
        data = polygons(base, np.r_[x, x[::-1]], np.tile(np.r_[p, 0 * p], (seeds, 1)))
        road = {"facecolors": "none", "edgecolors": STYLE["real"]["color"], "linewidths": 2, "zorder": 1}
        ax.add_collection(PolyCollection(data, label="data" if not base else None, **road))
        edge = {"facecolors": fill, "edgecolors": STYLE["fake"]["color"], "linewidths": 1.2, "zorder": 2}
        ax.add_collection(PolyCollection(polygons(base, edges, steps), label="fakes" if not base else None, **edge))
        if name in (good or {}):
            count = f"{sum(map(bool, passed))} of {seeds}"
            ax.text(seeds + 0.05, base + 0.3, count, va="center", fontsize=13, fontweight="bold")
    ax.set(xlim=(-0.05, seeds + 0.9 * (good is not None)), ylim=(-0.05, len(samples)), xlabel="seed")
    ax.set_xticks(np.arange(seeds) + 0.46, [*map(str, range(seeds))])
    ax.set_yticks(np.arange(len(samples))[::-1] + 0.3, list(samples), fontsize=11)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


@on_white
def spots(named: Mapping[str, Any], centres: Any, numbers: Mapping[str, Mapping[str, Any]] | None = None) -> list[Axes]:
    """Draw samples in the plane side by side, a square for each name, with a cross on each of the ``centres`` (K, 2).

    ``named``: samples (n, 2) by name; ``numbers``: for each name the same measures, by name, in lines below. Returns
    the axes. Introduced in lesson 03.
    """
    numbers = numbers or {}
    longest = max(map(len, numbers.values()), default=0)
    axes = panels(len(named), height=WIDTH / len(named) + 0.5 + 0.22 * longest)
    centres = _array(centres)
    reach = 1.4 * np.abs(centres).max()
    for ax, (name, places) in zip(axes, named.items(), strict=True):
        x, y = np.transpose(_array(places))
        cross = {"color": STYLE["real"]["color"], "linestyle": "", "marker": "+", "markersize": 9}
        _line(ax, centres[:, 0], centres[:, 1], cross | {"markeredgewidth": 2})
        _line(ax, x, y, {"color": STYLE["fake"]["color"], "linestyle": "", "marker": ".", "markersize": 2, "zorder": 2})
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
        ax.set_title(name, fontsize=11, fontweight="bold")
        words = "\n".join(f"{measure} {_rounded(value)}" for measure, value in numbers.get(name, {}).items())
        ax.annotate(
            words, (0.5, 0), xycoords="axes fraction", xytext=(0, -6), textcoords="offset points", ha="center",
            va="top", fontsize=10, linespacing=1.3,
        )  # fmt: skip
    return axes


@on_white
def slope_shares(
    places: Mapping[str, Any], sizes: Mapping[str, Any], *, at: Mapping[str, float] | None = None
) -> list[Axes]:
    """Draw to which fakes G listens: a row for each loss, the fakes as an outline, filled as far as their slopes reach.

    ``places``: fakes (n,) by the name of their group; ``sizes``: for each loss the sizes of its slope at all fakes, in
    the order of ``places``. The share of a group in the whole slope stands above it. ``at`` marks places by name.
    Returns the axes, one for each loss. Introduced in lesson 02.
    """
    groups = {name: _array(values).ravel() for name, values in places.items()}
    slopes = {name: _array(values).ravel() for name, values in sizes.items()}
    everyone = np.concatenate(list(groups.values()))
    for name, values in slopes.items():
        if len(values) != len(everyone):
            raise ValueError(
                f"sizes of {name!r} must be one for each of the {len(everyone)} places, got {len(values)}: "
                "put the groups one after the other"
            )
    looks = _looks("places", list(groups))
    bins = np.linspace(everyone.min() - 0.25, everyone.max() + 0.25, 61)
    ends = np.cumsum([0, *map(len, groups.values())])
    grid = plt.subplots(
        len(slopes), 1, figsize=(WIDTH, 0.6 + 1.8 * len(slopes)), sharex=True, sharey=True, layout="constrained",
        squeeze=False,
    )[1]  # fmt: skip
    axes = list(grid[:, 0])
    top = max(np.histogram(x, bins)[0].max() for x in groups.values())
    for ax, (loss, size) in zip(axes, slopes.items(), strict=True):
        for k, x in enumerate(groups.values()):
            outline = {"histtype": "step", "color": STYLE["fake"]["color"], "linewidth": 1.5, "zorder": 3}
            ax.hist(x, bins, **outline, label=None if k else "fakes")
        for k, ((group, x), hatch) in enumerate(zip(groups.items(), ("///", "...", "xxx"))):
            own = size[ends[k] : ends[k + 1]]
            look = {"color": looks[group]["color"], "hatch": hatch, "edgecolor": "white", "linewidth": 0}
            ax.hist(x, bins, weights=own, **look, label=f"slope: {group}")
            ax.annotate(
                f"{100 * own.sum() / size.sum():.1f} % of the slope", (x.mean(), top), xytext=(0, 4),
                textcoords="offset points", ha="center", fontsize=13, fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0},
            )  # fmt: skip
        ax.set(ylabel="fakes", ylim=(0, 1.3 * top))
        ax.set_title(loss, loc="left", fontsize=12)
        _places(ax, at)
    axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=1 + len(groups), frameon=False, borderaxespad=0.2)
    axes[-1].set_xlabel("x")
    return axes


@on_white
def dot_plot(
    named: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    *,
    at: Mapping[str, float] | None = None,
    **settings: Any,
) -> Axes:
    """Draw a row of dots for each name, the first one on top.

    ``named``: numbers by name; ``at`` marks places by name; ``settings`` such as ``xscale`` are for the axes.
    Introduced in lesson 04.
    """
    ax = ax or _axes((7, 0.8 + 0.32 * len(named)))
    for height, values in enumerate(named.values()):
        look = {"color": SERIES[1]["color"], "linestyle": "", "marker": "o", "markersize": 6, "markerfacecolor": "none"}
        _line(ax, values, [height] * len(values), look)
    ax.set_yticks(range(len(named)), list(named))
    ax.set(**{"ylim": (len(named) - 0.5, -0.5)} | settings)
    ax.grid(axis="y", color=NEUTRAL, linewidth=0.3)
    ax.set_axisbelow(True)
    if ax.get_xscale() == "log":
        _plain_numbers(ax.xaxis)
    _places(ax, at)
    return ax


def tile(images: "Images", columns: int | None = None) -> np.ndarray:
    """Put images side by side, row by row, into one picture.

    `images`: (N, 1, 28, 28) or (N, 28, 28) floats in [-1, 1]; `columns`: images in a row, by default about
    sqrt(N). Returns uint8 (height, width). Raises ValueError for other shapes and ranges. Introduced in
    lesson 04.
    """
    pixels = _pixels(images)
    if columns is None:
        columns = math.ceil(math.sqrt(len(pixels)))
    if columns < 1:
        raise ValueError(f"columns must be 1 or more, got {columns}")
    # Dark ink on white paper: it prints well, and a thin grey line is enough to part the images.
    return _sheet(np.round(127.5 * (1 - pixels)).astype(np.uint8), columns, gap=GAP, ground=GREY)


@on_white
def image_grid(
    images: "Images", ax: Axes | None = None, *, columns: int | None = None, title: str | None = None
) -> Axes:
    """Draw images as one grid, dark ink on white.

    `images`, `columns` and errors as in `tile`. Introduced in lesson 04.
    """
    return _picture(tile(images, columns), ax, pixels_per_inch=36, title=title)


@on_white
def image_rows(named: "Mapping[str, Images]", numbers: Mapping[str, Mapping[str, Any]] | None = None) -> Axes:
    """Draw sets of images as rows under each other, the name above each, and its numbers as columns to the right.

    ``named``: equally many images by name; ``numbers``: for each name the same measures, by name. Raises ValueError
    for sets of different sizes. Introduced in lesson 04.
    """
    label = 16  # pixels above a row for its name
    rows = [np.pad(tile(images, len(images)), ((label, 3), (0, 0)), constant_values=PAPER) for images in named.values()]
    if len({row.shape for row in rows}) != 1:
        sizes = ", ".join(f"{len(images)} of {name!r}" for name, images in named.items())
        raise ValueError(f"named must hold equally many images each, got {sizes}: take the first of each")
    ax = _picture(np.concatenate(rows), None, pixels_per_inch=50, share=0.6 if numbers else 1.0)
    height, width = rows[0].shape
    for k, name in enumerate(named):
        ax.text(0, k * height + label - 2, name, va="bottom", fontsize=10, fontweight="bold")
        for column, (measure, value) in enumerate((numbers or {}).get(name, {}).items()):
            right = width * (1.16 + 0.24 * column)
            ax.text(right, (k + 0.5) * height + label / 2, _rounded(value), ha="right", va="center", fontsize=12)
            if k == 0:
                ax.text(right, label - 2, measure.replace(" ", "\n"), ha="right", va="bottom", fontsize=10)
    return ax


@on_white
def image_grids(
    named: "Mapping[str, Images]",
    numbers: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    columns: int | None = None,
) -> list[Axes]:
    """Draw sets of images as large grids side by side, the name above each and its numbers in lines below.

    ``named``: images by name; ``numbers``: for each name the same measures, by name; ``columns`` as in `tile`. Returns
    the axes. Introduced in lesson 04.
    """
    numbers = numbers or {}
    longest = max(map(len, numbers.values()), default=0)
    sheets = {name: tile(images, columns) for name, images in named.items()}
    tallest = max((sheet.shape[0] / sheet.shape[1] for sheet in sheets.values()), default=1)
    axes = panels(len(named), height=WIDTH / len(named) * tallest + 0.4 + 0.27 * longest)
    for ax, (name, sheet) in zip(axes, sheets.items(), strict=True):
        _picture(sheet, ax, pixels_per_inch=36)
        ax.set_title(name, fontsize=14, fontweight="bold")
        words = "\n".join(f"{measure} {_rounded(value)}" for measure, value in numbers.get(name, {}).items())
        ax.annotate(
            words, (0.5, 0), xycoords="axes fraction", xytext=(0, -6), textcoords="offset points", ha="center",
            va="top", fontsize=14, linespacing=1.3,
        )  # fmt: skip
    return axes


@on_white
def progress(grids: Sequence["Images"], steps: Sequence[int], ax: Axes | None = None) -> Axes:
    """Draw the samples of several moments of the training, one block for each, the step number above it.

    `grids`: one batch of images for each moment, equally many, from the same z; `steps`: their step
    numbers. Raises ValueError when the lengths differ. Introduced in lesson 04.
    """
    if len(grids) != len(steps) or not len(steps):
        raise ValueError(
            "grids and steps must be equally long and not empty, "
            f"got {len(grids)} and {len(steps)}: append to both in the same round of the loop"
        )
    sizes = sorted({len(images) for images in grids})
    if len(sizes) > 1:
        raise ValueError(f"grids must hold equally many images each, got {sizes}: use the same z")
    label, space = 18, 6  # pixels above a block for its label, and around it
    blocks = np.stack([np.pad(tile(images), ((label, 0), (0, 0)), constant_values=PAPER) for images in grids])
    rows = math.ceil(len(steps) / 5)  # five blocks fill the width of a notebook
    columns = math.ceil(len(steps) / rows)
    ax = _picture(_sheet(blocks, columns, gap=space, ground=PAPER), ax, pixels_per_inch=50)
    height, width = blocks.shape[1:]
    for k, step in enumerate(steps):
        x, y = space + (k % columns) * (width + space), space + (k // columns) * (height + space)
        ax.text(x + width / 2, y + label - 3, f"step {step:,}", ha="center", va="bottom", fontsize=10)
    return ax


@on_white
def losses(
    history: History,
    ax: Axes | None = None,
    *,
    fixed_points: bool = True,
    smooth: int | None = None,
    at: Mapping[str, float] | None = None,
) -> Axes:
    """Draw the losses of D and G over the steps, each value pale and a running mean on top.

    `history`: a record with "step", "loss_D" (sum of both means) and "loss_G" for each step. `smooth`: values in one
    running mean, by default a fiftieth of all; `at` marks steps by name. `fixed_points` marks the losses at p_g = p
    and D = 1/2: 2 log 2 for D and, with the non-saturating loss, log 2 for G (Goodfellow et al. 2014, section 4.1).
    Raises ValueError for missing keys and an empty history. Introduced in lesson 04.
    """
    step, loss_D, loss_G = _series(history, "step", "loss_D", "loss_G")
    ax = _curves(step, {"loss_D": (loss_D, "D"), "loss_G": (loss_G, "fake")}, ax, smooth)
    if fixed_points:
        _fixed_point(ax, 2 * math.log(2), "D: 2 log 2 = 1.386")
        _fixed_point(ax, math.log(2), "G: log 2 = 0.693")
    lowest, largest = min(loss_D.min(), loss_G.min()), max(loss_D.max(), loss_G.max())
    if lowest >= 0:  # G's minimax loss is negative
        ax.set_ylim(bottom=0)
    ax.set_ylabel("loss")
    if largest > 10:  # one spike of a training that fails would flatten all the rest
        ax.set_ylim(min(0, 1.05 * lowest), 10)
        ax.set_ylabel(f"loss (the largest: {largest:,.0f})")
    _places(ax, at)
    return ax


@on_white
def probabilities(history: History, ax: Axes | None = None, *, smooth: int | None = None) -> Axes:
    """Draw the mean of D on real and on fake images over the steps, with the fixed point 1/2.

    `history`: a record with "step", "real_prob" and "fake_prob" for each step. `smooth` and errors as in `losses`;
    ValueError too for the scores of least squares and hinge. Introduced in lesson 04.
    """
    if history and "real_score" in history[0]:
        raise ValueError(
            "history must hold real_prob and fake_prob, got real_score and fake_score: "
            "least squares and hinge give scores, no probabilities"
        )
    step, real, fake = _series(history, "step", "real_prob", "fake_prob")
    ax = _curves(step, {"D on real images": (real, "real"), "D on fake images": (fake, "fake")}, ax, smooth)
    _fixed_point(ax, 0.5, "1/2")
    ax.set_ylim(0, 1)
    ax.set_ylabel("mean of D")
    return ax


@on_white
def quality(
    rows: Sequence[Mapping[str, Any]],
    recipes: Sequence[str],
    ax: Axes | None = None,
    *,
    metric: str = "frechet",
    epochs: Mapping[str, int] | None = None,
) -> Axes:
    """Draw a metric against CPU seconds for up to three recipes: medians over seeds, and a band from best to worst.

    `rows`: records with "recipe", "seed", "step", "cpu_s", "weights" ("raw" or "averaged") and `metric`, as in
    `tables.load("04_quality")`. Each marker carries its step, or its epoch for the recipes in `epochs`, which gives
    their steps in an epoch. Raises ValueError for a recipe or metric without rows. Introduced in lesson 04.
    """
    looks = _looks("recipes", recipes)
    ax = ax or _axes((WIDTH, 4.6))
    for name, look in looks.items():
        look = look | {"linewidth": 1.7, "markersize": 6}
        medians = {}
        for weights in ("averaged", "raw"):
            of_step: dict[int, list[tuple[float, float]]] = {}
            for row in rows:
                if (row["recipe"], row.get("weights")) == (name, weights) and metric in row:
                    of_step.setdefault(row["step"], []).append((row["cpu_s"], row[metric]))
            if not of_step:
                raise ValueError(
                    f"rows must hold {metric!r} of {name!r} with {weights} weights, got none: check the spelling"
                )
            steps = sorted(of_step)
            x, y = np.transpose([np.median(of_step[step], axis=0) for step in steps])
            medians[weights] = dict(zip(steps, zip(x, y, strict=True), strict=True))
            if weights == "averaged":
                values = [[value for _, value in of_step[step]] for step in steps]
                band = list(map(min, values)), list(map(max, values))
                ax.fill_between(x, *band, color=look["color"], alpha=0.2, linewidth=0)
                _line(ax, x, y, look | {"linestyle": "-"}, label=name)
            else:
                _line(ax, x, y, look | {"linestyle": ":", "markerfacecolor": "white"})
        _name_markers(ax, medians["averaged"], medians["raw"], (epochs or {}).get(name))
    ax.plot([], [], color=NEUTRAL, label="averaged weights")
    ax.plot([], [], color=NEUTRAL, linestyle=":", label="raw weights")
    ax.set(xscale="log", yscale="log", xlabel="CPU seconds of training", ylabel=MEASURES.get(metric, metric))
    for axis in (ax.xaxis, ax.yaxis):
        _plain_numbers(axis)
    ax.margins(x=0.1)
    _legend(ax)
    return ax


def _name_markers(
    ax: Axes,
    averaged: Mapping[int, tuple[float, float]],
    raw: Mapping[int, tuple[float, float]],
    per_epoch: int | None,
) -> None:
    """The step, or the epoch, beside each marker, where no curve is; the first with its unit, parts of epochs none."""
    unit, divisor = (" steps", 1) if per_epoch is None else (" epoch", per_epoch)
    for k, (step, place) in enumerate(averaged.items()):
        if step % divisor:
            continue
        below = step not in raw or raw[step][1] > place[1]
        ax.annotate(
            f"{step // divisor:,}{'' if k else unit}", place, xytext=(-3, -4) if below else (3, 4),
            textcoords="offset points", ha="right" if below else "left", va="top" if below else "bottom",
            fontsize=SMALL,
        )  # fmt: skip


def _pixels(images: "Images") -> np.ndarray:
    """Images as a float array (N, 28, 28), checked."""
    array = images.detach().cpu().numpy() if hasattr(images, "detach") else np.asarray(images)
    check_images(array[:, None] if array.shape[1:] == IMAGE_SHAPE[1:] else array)
    return np.clip(array.reshape(-1, *IMAGE_SHAPE[1:]), -1, 1)


def _sheet(blocks: np.ndarray, columns: int, *, gap: int, ground: int) -> np.ndarray:
    """Equal blocks (N, h, w) row by row in one array; `ground` shows between them, paper in empty places."""
    n, height, width = blocks.shape
    rows = math.ceil(n / columns)
    sheet = np.full((rows * columns, height + gap, width + gap), ground, np.uint8)
    sheet[:, gap:, gap:] = PAPER
    sheet[:n, gap:, gap:] = blocks
    sheet = sheet.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap))
    return np.pad(sheet, ((0, gap), (0, gap)), constant_values=ground)


def _picture(
    sheet: np.ndarray, ax: Axes | None, *, pixels_per_inch: float, title: str | None = None, share: float = 1.0
) -> Axes:
    """One array as one picture: sixty-four axes for sixty-four images would cost a hundred times as much."""
    if ax is None:
        height, width = sheet.shape
        scale = min(1 / pixels_per_inch, WIDTH * share / width)
        ax = _axes((width * scale / share, height * scale))
    # Smoothed, it would be three times the bytes.
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set_axis_off()
    if title is not None:
        ax.set_title(title, fontsize=11)
    return ax


def _axes(inches: tuple[float, float]) -> Axes:
    return plt.subplots(figsize=inches, layout="constrained")[1]


def _series(history: History, *keys: str) -> list[np.ndarray]:
    if not history:
        raise ValueError("history must hold a record of at least one step, got none: run the training cell first")
    missing = [key for key in keys if key not in history[0]]
    if missing:
        raise ValueError(
            f"history must hold records with {', '.join(keys)}, {', '.join(missing)} not found among "
            f'{", ".join(history[0])}: append {{"step": step, **log}} in the loop'
        )
    return [np.array([float(record[key]) for record in history]) for key in keys]


def _curves(step: np.ndarray, curves: dict[str, tuple[np.ndarray, str]], ax: Axes | None, smooth: int | None) -> Axes:
    width = max(1, len(step) // 50) if smooth is None else smooth
    if not 1 <= width <= len(step):
        raise ValueError(f"smooth must lie between 1 and the {len(step)} values of the history, got {width}")
    ax = ax or _axes((7, 3.2))
    window = np.full(width, 1 / width)
    for name, (values, role) in curves.items():
        if width > 1:
            ax.plot(step, values, color=STYLE[role]["color"], alpha=0.25, linewidth=0.8)
        x, y = (np.convolve(data, window, "valid") for data in (step, values))
        _line(ax, x, y, STYLE[role] | {"marker": ""}, label=name)
    ax.set_xlabel("step" if width == 1 else f"step (lines: mean of {width} values)")
    _legend(ax)
    return ax


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.detach() if hasattr(values, "detach") else values)


def _level_lines(ax: Axes, grid: Grid, levels: Any, look: dict[str, Any], label: str | None) -> None:
    """Lines where a grid crosses levels, and their name; neither where it crosses none."""
    x, y, values = grid
    if crossed := [level for level in levels if values.min() < level < values.max()]:
        color, dashes, width = look["color"], look["linestyle"], min(look["linewidth"], 2)
        ax.contour(x, y, values, crossed, colors=color, linestyles=dashes, linewidths=width, zorder=3)
        if label:
            _line(ax, [], [], look | {"linewidth": width, "marker": ""}, label=label)


def _looks(argument: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A look of `SERIES` for each name."""
    if len(names) > len(SERIES):
        raise ValueError(
            f"{argument} must hold at most {len(SERIES)} new names, got {', '.join(names)}: draw two figures"
        )
    return dict(zip(names, SERIES, strict=False))


def _line(ax: Axes, x: Any, y: Any, look: Mapping[str, Any], **settings: Any) -> None:
    """A line in a look; the thinner it is, the higher it lies."""
    ax.plot(_array(x), _array(y), **{"zorder": 2.6 - look.get("linewidth", 1) / 10} | dict(look) | settings)


def _legend(ax: Axes) -> None:
    """The legend above the axes, in as many columns as fit over them; a title stands above it."""
    handles, names = ax.get_legend_handles_labels()
    for columns in range(len(names), 0, -1):
        legend = ax.legend(
            handles, names, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderaxespad=0.2,
            handlelength=2.4, columnspacing=1.2,
        )  # fmt: skip
        if legend.get_window_extent().width <= 1.15 * ax.get_window_extent().width:  # the layout widens the axes
            break
    if ax.get_title():
        pixels = legend.get_window_extent().height
        ax.set_title(ax.get_title(), pad=pixels * 72 / ax.figure.dpi + 8)


def _plain_numbers(axis: Any) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _rounded(value: Any) -> str:
    """A measured number in a picture: three digits, but none beyond a thousandth. Words stay words."""
    if isinstance(value, str):
        return value
    size = abs(float(value))
    return f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}".replace("-", "−")


def _places(ax: Axes, at: Mapping[str, float] | None) -> None:
    """Dotted lines at places, with their labels at the top, above the data, on the side where there is more room."""
    if not at:
        return
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(np.array(ax.get_ylim()))
    ax.set_ylim(top=float(scale.inverted().transform([high + (high - low) / 8])[0]))
    for label, x in at.items():
        x = float(x)
        ax.axvline(x, **FIXED_POINT)
        beyond = (ax.transData + ax.transAxes.inverted()).transform((x, ax.get_ylim()[0]))[0] > 0.5
        ax.annotate(
            label, (x, 1), xycoords=("data", "axes fraction"), xytext=(-4 if beyond else 4, -4),
            textcoords="offset points", ha="right" if beyond else "left", va="top", fontsize=10,
        )  # fmt: skip


def _fixed_point(ax: Axes, height: float, label: str) -> None:
    """A dotted line with its label at its right end, outside the axes, where no curve can cover it."""
    ax.axhline(height, **FIXED_POINT)
    ax.annotate(
        label, (1, height), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points", va="center",
        fontsize=10, annotation_clip=False,
    )  # fmt: skip
