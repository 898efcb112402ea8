"""Figures of the lessons: each function takes data and an optional `ax`, and returns the `ax` it drew on."""

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .images import IMAGE_SHAPE, check_images

if TYPE_CHECKING:
    import torch

    Images = torch.Tensor | np.ndarray

History = Sequence[Mapping[str, Any]]  # what a training loop appends: {"step": step, **log}

# One look for each role in every figure: colours of petroff10, which colour-blind readers can tell apart, and
# a line style and a marker for prints without colour. The generator's curves look like the fakes it makes.
STYLE: dict[str, dict[str, Any]] = {
    "real": {"color": "#3f90da", "linestyle": "-", "marker": "o"},
    "fake": {"color": "#e76300", "linestyle": "--", "marker": "^"},
    "D": {"color": "#832db6", "linestyle": "-.", "marker": "s"},
    "D*": {"color": "#717581", "linestyle": ":", "marker": "x"},
}
# Recipes that are compared get three more colours, which differ in brightness too.
SERIES = (("#ffa90e", "v"), ("#94a4a2", "D"), ("#bd1f01", "P"))
LINES = ("-", "--", "-.")
NEUTRAL = "#767676"  # a grey with a contrast of 4.5 to white paper, and to black under a dark style
FIXED_POINT: dict[str, Any] = {"color": NEUTRAL, "linestyle": ":", "linewidth": 1.2}
GAP = 1  # pixels between two images
GREY, PAPER = 200, 255  # of the gap and of an empty place


ROLES = {"p": "real", "p_g": "fake", "D": "D", "D*": "D*"}  # curves that are known by their names


def curves(x: Any, named: Mapping[str, Any], ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw named curves over ``x``: p, p_g, D and D* in their own looks, up to three others in looks to tell apart.

    ``named``: values (n,) by name, for the places ``x`` (n,); ``settings`` such as ``ylabel`` are for the axes. Raises
    ValueError for more than three other names. Introduced in lesson 02.
    """
    others = [name for name in named if name not in ROLES]
    if len(others) > len(SERIES):
        raise ValueError(f"named must hold at most {len(SERIES)} new curves, got {', '.join(others)}: draw two figures")
    looks = {name: (STYLE[role]["color"], STYLE[role]["linestyle"]) for name, role in ROLES.items()}
    looks |= {name: (color, line) for name, (color, _), line in zip(others, SERIES, LINES)}
    ax = ax or _axes((7, 3.2))
    for name, y in named.items():
        color, line = looks[name]
        data = (values.detach() if hasattr(values, "detach") else values for values in (x, y))
        ax.plot(*data, label=name, color=color, linestyle=line)
    ax.set(**{"xlabel": "x"} | settings)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(named), frameon=False)
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


def image_grid(
    images: "Images", ax: Axes | None = None, *, columns: int | None = None, title: str | None = None
) -> Axes:
    """Draw images as one grid, dark ink on white.

    `images`, `columns` and errors as in `tile`. Introduced in lesson 04.
    """
    return _picture(tile(images, columns), ax, pixels_per_inch=36, title=title)


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
    label, space = 22, 8  # pixels above a block for its label, and around it
    blocks = np.stack([np.pad(tile(images), ((label, 0), (0, 0)), constant_values=PAPER) for images in grids])
    rows = math.ceil(len(steps) / 5)  # five blocks fill the width of a notebook
    columns = math.ceil(len(steps) / rows)
    ax = _picture(_sheet(blocks, columns, gap=space, ground=PAPER), ax, pixels_per_inch=50)
    height, width = blocks.shape[1:]
    for k, step in enumerate(steps):
        x, y = space + (k % columns) * (width + space), space + (k // columns) * (height + space)
        # black also under a dark style: the sheet is white
        ax.text(x + width / 2, y + label - 5, f"step {step:,}", ha="center", va="bottom", fontsize=10, color="black")
    return ax


def losses(
    history: History,
    ax: Axes | None = None,
    *,
    fixed_points: bool = True,
    smooth: int | None = None,
) -> Axes:
    """Draw the losses of D and G over the steps, each value pale and a running mean on top.

    `history`: a record with "step", "loss_D" (sum of both means) and "loss_G" for each step. `smooth`: values in one
    running mean, by default a fiftieth of all. `fixed_points` marks the losses at p_g = p and D = 1/2: 2 log 2 for D
    and, with the non-saturating loss, log 2 for G (Goodfellow et al. 2014, section 4.1). Raises ValueError for missing
    keys and an empty history. Introduced in lesson 04.
    """
    step, loss_D, loss_G = _series(history, "step", "loss_D", "loss_G")
    ax = _curves(step, {"loss_D": (loss_D, "D"), "loss_G": (loss_G, "fake")}, ax, smooth)
    if fixed_points:
        _fixed_point(ax, 2 * math.log(2), "D: 2 log 2 = 1.386")
        _fixed_point(ax, math.log(2), "G: log 2 = 0.693")
    if min(loss_D.min(), loss_G.min()) >= 0:  # G's minimax loss is negative
        ax.set_ylim(bottom=0)
    ax.set_ylabel("loss")
    return ax


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


def quality(
    rows: Sequence[Mapping[str, Any]],
    recipes: Sequence[str],
    ax: Axes | None = None,
    *,
    metric: str = "frechet",
) -> Axes:
    """Draw a metric against CPU seconds for up to three recipes: medians over seeds, and a band from best to worst.

    `rows`: records with "recipe", "seed", "step", "cpu_s", "weights" ("raw" or "averaged") and `metric`, as in
    `tables.load("04_quality")`. Raises ValueError for a recipe or metric without rows. Introduced in lesson 04.
    """
    if len(recipes) > len(SERIES):
        raise ValueError(f"recipes must be at most {len(SERIES)}, got {', '.join(recipes)}: draw two figures")
    ax = ax or _axes((7, 4))
    for name, (color, marker) in zip(recipes, SERIES, strict=False):
        for weights, line in (("averaged", "-"), ("raw", "--")):
            of_step: dict[int, list[tuple[float, float]]] = {}
            for row in rows:
                if (row["recipe"], row.get("weights")) == (name, weights) and metric in row:
                    of_step.setdefault(row["step"], []).append((row["cpu_s"], row[metric]))
            if not of_step:
                raise ValueError(
                    f"rows must hold {metric!r} of {name!r} with {weights} weights, got none: check the spelling"
                )
            x, y = np.transpose([np.median(of_step[step], axis=0) for step in sorted(of_step)])
            look: dict[str, Any] = {"color": color, "linestyle": line, "marker": marker, "markersize": 5}
            if weights == "averaged":
                values = [[value for _, value in of_step[step]] for step in sorted(of_step)]
                ax.fill_between(x, list(map(min, values)), list(map(max, values)), color=color, alpha=0.2, linewidth=0)
                look["label"] = name
            ax.plot(x, y, **look)
    ax.plot([], [], color=NEUTRAL, label="averaged weights")
    ax.plot([], [], color=NEUTRAL, linestyle="--", label="raw weights")
    handles, n = ax.get_legend_handles_labels()[0], len(recipes)
    by_column = [handle for pair in zip_longest(handles[:n], handles[n:]) for handle in pair if handle]
    ax.set(xscale="log", yscale="log", xlabel="CPU seconds of training", ylabel=metric)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
    ax.legend(handles=by_column, loc="lower left", bbox_to_anchor=(0, 1), ncols=max(n, 2), frameon=False)
    return ax


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


def _picture(sheet: np.ndarray, ax: Axes | None, *, pixels_per_inch: float, title: str | None = None) -> Axes:
    """One array as one picture: sixty-four axes for sixty-four images would cost a hundred times as much."""
    if ax is None:
        height, width = sheet.shape
        scale = min(1 / pixels_per_inch, 8.5 / width)  # a notebook page is about 9 inches wide
        ax = _axes((width * scale, height * scale))
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255)
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
        look = {key: STYLE[role][key] for key in ("color", "linestyle")}
        if width > 1:
            ax.plot(step, values, color=look["color"], alpha=0.25, linewidth=0.8)
        ax.plot(np.convolve(step, window, "valid"), np.convolve(values, window, "valid"), label=name, **look)
    ax.set_xlabel("step" if width == 1 else f"step (lines: mean of {width} values)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(curves), frameon=False)
    return ax


def _fixed_point(ax: Axes, height: float, label: str) -> None:
    """A dotted line with its label at its right end, outside the axes, where no curve can cover it."""
    ax.axhline(height, **FIXED_POINT)
    ax.annotate(
        label,
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=10,
        annotation_clip=False,
    )
