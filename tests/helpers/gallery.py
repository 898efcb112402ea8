"""An example of each figure and each playground, and its sheet: what a reader sees, line by line.

The sheets stand in tests/figures.txt. After a change that is meant, `.venv/bin/python tests/helpers/gallery.py` writes
them anew: read what has moved, and look at the picture.
"""

import difflib
import inspect
import math
from pathlib import Path
from unittest import mock

import ipywidgets
import matplotlib
import numpy as np
import torch
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator, LogLocator
from views import everything

from ganlib import plots
from ganlib.playgrounds.lesson_01 import likelihood_playground, models_playground
from ganlib.playgrounds.lesson_02 import value_playground
from ganlib.playgrounds.lesson_03 import training_playground
from ganlib.playgrounds.lesson_04 import latent_explorer
from ganlib.playgrounds.lesson_05 import blur_slider, map_explorer
from ganlib.playgrounds.lesson_06 import digit_explorer

SHEETS = Path(__file__).parents[1] / "figures.txt"
# What readers have learnt to see, written down apart from the code: colour, line, width and marker of each role.
ROLES = {
    "real": ("#3f90da", "-", 2.5, "o"),  # blue
    "fake": ("#e76300", "--", 1.7, "^"),  # orange
    "D": ("#832db6", "-.", 1.7, "s"),  # violet
    "D*": ("#8f8f8f", "-", 5, "x"),  # grey
    "first": ("#1f9e89", "-", 3.5, "v"),  # green, of what has no role
    "second": ("#b0102e", "--", 1.7, "D"),  # red
    "third": ("#1a1a3e", "-.", 1.2, "P"),  # night
    "fixed point": ("#767676", ":", 1.2, ""),
}
COLOURS = {color: role for role, (color, *_) in ROLES.items()} | {"#000000": "ink", "#ffffff": "white"}


def inked(n, shift=0):
    """White images, each with a black and a grey pixel at places of its own."""
    images = -torch.ones(n, 1, 28, 28)
    for k in range(n):
        images[k, 0, 2 + k, 20 - shift], images[k, 0, 9, 3 + k + shift] = 1, 0.5
    return images


def history(**columns):
    """What a loop appends at the steps 10, 20, 30 and 40."""
    return [{"step": 10 * (k + 1)} | dict(zip(columns, row)) for k, row in enumerate(zip(*columns.values()))]


def of_recipe(name, step, *runs):
    """Rows of one step: (seconds, distance, distance with raw weights) of each seed."""
    for seed, (seconds, averaged, raw) in enumerate(runs):
        for weights, value in (("averaged", averaged), ("raw", raw)):
            row = {"recipe": name, "seed": seed, "step": step, "cpu_s": seconds, "weights": weights}
            yield row | {"frechet": value, "recall": 1 / value}


ROWS = [
    *of_recipe("a", 20, (2, 40, 50), (3, 60, 70), (10, 50, 90)),
    *of_recipe("a", 10, (1, 100, 200), (1.5, 300, 600), (5, 110, 220)),
    *of_recipe("a", 25, (12, 30, 28)),
    *of_recipe("b", 1000, (4, 20, 10)),
    *of_recipe("b", 3000, (9, 5, 9)),
    {"recipe": "a", "seed": 0, "epoch": 1, "loss_D": 1.0},  # a row without quality
]
LOSSES = history(loss_D=[1.5, 1.1, 1.3, 0.9], loss_G=[0.7, 0.9, 0.5, 1.7])
FAILED = history(loss_D=[1.5, 1.1, 1.3, 0.9], loss_G=[-0.7, 3800.4, 0.5, 1.7])
MEANS = history(real_prob=[0.9, 0.6, 0.8, 0.7], fake_prob=[0.1, 0.3, 0.2, 0.4])
X = np.array([0, 1, 3, 4])
SEVEN = {"D*": X**2, "new": X + 5, "p_g": 3 - X, "p": 2 * X, "other": -X, "D": X - 1, "last": 7 - X}
PATHS = {"a": [(1, 2), (3, 0)], "b": [(4, -1), (2, 2)], "c": [(0, 5), (1, 1)]}
CLASSES = {"a": [(0, 0), (1, 2.5), (2, 1)], "b": [(4, 1), (3, 2)]}
GROUND = X, [0, 1, 3], [[0.9, 0.6, 0.2, 0.1], [1, 0.8, 0.6, 0.3], [0.9, 0.9, 0.7, 0.4]]  # x, y, and a row for each y
HILLS = {
    "a": (X, [0, 1, 2], [[0, 1, 2, 1], [0, 3, 9, 2], [0, 0, 1, 3]]),
    "c": (X, X, torch.eye(4).requires_grad_() / 4 + 0.01),
}
PLACES = {"near": [0, 0, 1, 0], "far": [6, 5.5]}
CODES = [(0.5, 1), (-1, 2.5), (3, -0.5), (0.2, -1), (-2, 0.1), (1, 1.5)]
SPREADS = [(0.5, -1), (2, 1)], [(0.1, 0.3), (0.4, 0.2)]  # centres and standard deviations
SLOPES = {"one": [1, 3, 0, 2, 2, 2], "other": [0, 0, 1, 0, 4, 3]}
ROW_NUMBERS = {"A": {"one two": 0.3456, "recall": "all"}, "B": {"one two": -1234.5, "recall": 12.34}}
GRID_NUMBERS = {"A": {"loss_D": 1.381, "distance": 216.6}, "B": {"loss_D": "−", "distance": 0.5}}
SEEDS = np.array([[0.2, 1], [0.3, 2], [2.5, 2], [0.1, 2.8]])
MARKS = {"dots": {"counted": ([0, 2], [5, 6])}, "at": {"here": 1, "there": 3.5}, "level": {"goal": 4}}


def example(draw, *arguments, **settings):
    return draw, arguments, settings


# Each function has an example, and each of its settings stands in one.
EXAMPLES = {
    "panels": example(plots.panels, 2, height=2, sharey=True),
    "curves": example(plots.curves, X, SEVEN, **MARKS, title="T"),
    "curves with a spread": example(plots.curves, X, {"D": X, "a": 9 - X}, spread={"a": (8 - X, 9 + X)}),
    "curves on a log scale": example(plots.curves, X, {"p": X + 1.0}, at={"here": 1}, yscale="log", xlabel="s"),
    "orbits": example(plots.orbits, PATHS, title="T", ylabel="y"),
    "plane": example(
        plots.plane,
        CLASSES,
        shade=GROUND,
        contours=HILLS,
        boundary=GROUND,
        at={"here": (1, 1), "there": (3.5, 2.5)},
        title="T",
        xlabel="warmth",
    ),
    "plane without a line": example(
        plots.plane, {"a": [(0, 1)], "b": np.zeros((0, 2))}, boundary=(X, [0, 1], np.ones((2, 4)))
    ),
    "latent_map": example(
        plots.latent_map, CODES, [7, 4, 7, 9, 0, 4], ellipses=SPREADS, at=(1.5, -1), title="T", xlim=(-3, 4)
    ),
    "latent_map without more": example(plots.latent_map, CODES[:2], [3, 12]),
    "seed_rows": example(
        plots.seed_rows, {"a": SEEDS, "b": SEEDS + 1}, X, [0.1, 0.4, 0.2, 0.1], good={"a": [True, False]}
    ),
    "seed_rows, one": example(plots.seed_rows, {"a": SEEDS}, X, [0.1, 0.4, 0.2, 0.1]),
    "spots": example(
        plots.spots, {"a": SEEDS, "b": SEEDS[:2]}, [(0, 1), (3, -2)], {"a": {"covered": "1 of 2", "on": 0.25}}
    ),
    "slope_shares": example(plots.slope_shares, PLACES, SLOPES, at={"data": 2}),
    "dot_plot": example(plots.dot_plot, {"a": [1, 2, 40], "b": [8]}, at={"none": 3}, xscale="log", xlabel="distance"),
    "tile": example(plots.tile, inked(5), columns=3),
    "image_grid": example(plots.image_grid, inked(3), columns=2, title="three"),
    "image_rows": example(plots.image_rows, {"A": inked(4), "B": inked(4, 1)}, numbers=ROW_NUMBERS),
    "image_grids": example(plots.image_grids, {"A": inked(4), "B": inked(2)}, numbers=GRID_NUMBERS, columns=2),
    "progress": example(plots.progress, [inked(2, k) for k in range(6)], [0, 1, 20, 300, 4000, 50000]),
    "losses": example(plots.losses, LOSSES, smooth=2, at={"A": 20}),
    "losses without fixed points": example(plots.losses, LOSSES, fixed_points=False),
    "losses of a training that fails": example(plots.losses, FAILED),
    "probabilities": example(plots.probabilities, MEANS, smooth=3),
    "quality": example(plots.quality, ROWS, ["b", "a"], epochs={"a": 10}),
    "quality by recall": example(plots.quality, ROWS, ["a"], metric="recall"),
}


def sample(z):
    """The simplest generator: two numbers of z are the greys of the upper and the lower half, paler to the right."""
    return torch.tanh(z[:, :2]).repeat_interleave(14, 1)[:, None, :, None] * torch.linspace(1, 0.5, 28)


def barred(z, code):
    """Images of z, with a bar for each digit at the right: the share of the digit in the code is its grey."""
    images = sample(z)
    images[:, 0, :20, 20:] = (2 * code - 1).repeat_interleave(2, 1)[:, :, None]
    return images


def bars_read(images):
    """The shares of the digits, as their bars say them; where the lower half is dark, one digit further."""
    shares = (images[:, 0, 0:20:2, 24] + 1) / 2
    return torch.where(images[:, 0, 27, :1] < 0, shares.roll(1, 1), shares)


ORDER = 0, 6, 2, 8, 3, 5, 1, 7, 9, 4  # of the digits around the middle of a made-up map
ANGLES = 2 * np.pi * np.argsort(ORDER) / 10
ANCHORS = torch.tensor(1.5 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)).float()  # the place of each digit
CODED = torch.arange(120) % 10
CODES_OF = ANCHORS[CODED] + 0.25 * torch.tensor(np.random.default_rng(5).normal(size=(120, 2))).float()


def decoded(z):
    """Images of places (n, 2) on the made-up map: a bar for each digit, whose grey says how near its place is."""
    images, shares = -torch.ones(len(z), 1, 28, 28), (-3 * torch.cdist(z, ANCHORS).square()).softmax(1)
    images[:, 0, 4:24, 2:20] = (2 * shares - 1).repeat_interleave(2, 1)[:, :, None]
    return images


def sharpened(share):
    """Thirty images, each with a square of its own: blurred at share 0, with hard edges at share 1."""
    sharp = -torch.ones(30, 1, 28, 28)
    for k in range(30):
        sharp[k, 0, 5 + k % 10 : 15 + k % 7, 6 + k // 3 : 12 + k // 2] = 1
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)
    return (blurred + share * (sharp - blurred)).tanh() / math.tanh(1)


def trained(*clicks, frame=0):
    """The playground of lesson 03 after some clicks, with an earlier frame in the picture."""
    view = training_playground()
    for name in clicks:
        view.controls[name].click()
    view.controls["replay"].value = frame
    return view


PLAYGROUNDS = {
    "models_playground": models_playground,
    "likelihood_playground": likelihood_playground,
    "value_playground": value_playground,
    "training_playground": lambda: trained(*5 * ["step D"], *2 * ["step G"], "both", frame=6),
    "latent_explorer": lambda: latent_explorer(sample, 10),
    "map_explorer": lambda: map_explorer(decoded, CODES_OF, CODED),
    "blur_slider": lambda: blur_slider(sharpened, real_sharpness=0.3),
    "digit_explorer": lambda: digit_explorer(barred, bars_read, 10),
}


def drawn(name):
    draw, arguments, settings = EXAMPLES[name]
    return draw(*arguments, **settings)


def staged(name):
    """A playground, and the figures that it draws on."""
    made, begin = [], Figure.__init__

    def watched(self, *args, **settings):
        begin(self, *args, **settings)
        made.append(self)

    with mock.patch.object(Figure, "__init__", watched):
        return PLAYGROUNDS[name](), made


def public(module):
    """The functions that a module defines for others."""
    found = {name: thing for name, thing in vars(module).items() if inspect.isfunction(thing) and name[0] != "_"}
    return {name: thing for name, thing in found.items() if thing.__module__ == module.__name__}


def short(value):
    return f"{round(float(value), 9) + 0.0:.4g}"


def points(pairs):
    """At most nine of the points, the first and the last among them."""
    pairs = np.asarray(pairs, float).reshape(-1, 2)
    few = pairs[np.linspace(0, len(pairs) - 1, min(9, len(pairs))).round().astype(int)]
    words = " ".join(f"({short(x)}, {short(y)})" for x, y in few)
    return words if len(few) == len(pairs) else f"{len(pairs)} points, {words}"


def colour(value):
    """The role that has this colour."""
    return "none" if isinstance(value, str) and value == "none" else COLOURS.get(to_hex(value), to_hex(value))


def look(it):
    """The role of a line where all of its look is that of the role, else part by part; of a bar, colours and hatch."""
    if isinstance(it, Patch):
        face = colour(it.get_facecolor()) if it.get_fill() else "not filled"
        return f"{face}, edge {colour(it.get_edgecolor())} {short(it.get_linewidth())}, hatch {it.get_hatch()}"
    parts = to_hex(it.get_color()), it.get_linestyle(), it.get_linewidth()
    words = [next((role for role in ROLES if ROLES[role][:3] == parts), f"{colour(parts[0])} {parts[1]} {parts[2]:g}")]
    if it.get_marker() not in ("", "None"):
        words += [f"marker {it.get_marker()} {it.get_markersize():g} {it.get_markeredgewidth():g} thick"]
        words += [f"in {colour(it.get_markerfacecolor())}"]
    return ", ".join(words + [f"alpha {it.get_alpha()}"] * (it.get_alpha() is not None))


def ink(sheet):
    """The shape of a picture, how many pixels of each grey it has, and where the black ones are."""
    sheet = np.asarray(sheet)
    greys = ", ".join(f"{n} of {grey}" for grey, n in zip(*np.unique(sheet, return_counts=True)))
    return f"{sheet.shape} {sheet.dtype}: {greys}; black at {' '.join(map(str, np.argwhere(sheet == 0).tolist()))}"


def turns(corners):
    """The corners of an outline, without those where it goes straight on."""
    corners, n = np.asarray(corners), len(corners)
    return corners[[k for k in range(1, n - 1) if abs(np.linalg.det(np.diff(corners[k - 1 : k + 2], axis=0))) > 1e-9]]


def words_of(artist):
    """What kind of thing it is, how it looks and where it is; None for the bars, which are told together."""
    if isinstance(artist, Line2D):
        return f"line, {look(artist)}: {points(artist.get_xydata())}"
    if isinstance(artist, PolyCollection) and len(artist.get_paths()) > 1:
        given = artist.get_facecolor() if len(artist.get_facecolor()) else np.zeros((1, 4))
        faces = [f"{colour(face[:3])} {short(face[3])}" for face in np.resize(given, (len(artist.get_paths()), 4))]
        areas = zip(faces, artist.get_paths(), strict=True)
        edge = " ".join([*(colour(one[:3]) for one in artist.get_edgecolor()[:1]), f"{artist.get_linewidth()[0]:g}"])
        return f"areas, edge {edge}: {', '.join(f'{a} {points(b.vertices)}' for a, b in areas)}"
    if isinstance(artist, PolyCollection):
        face = (
            f"{colour(artist.get_facecolor()[0][:3])}, alpha {artist.get_alpha()}, edge {artist.get_linewidth()[0]:g}"
        )
        return f"area, {face}: {points(artist.get_paths()[0].vertices)}"
    if isinstance(artist, QuadMesh):
        ends = ", ".join(to_hex(artist.cmap(end)) for end in (0.0, 0.5, 1.0))
        values = " ".join(map(short, artist.get_array().flat))
        corners = artist.get_coordinates().reshape(-1, 2)
        return f"shade, {ends} for {artist.get_clim()}: {values} from {points(corners[:1])} to {points(corners[-1:])}"
    if isinstance(artist, ContourSet):
        look_of = f"{colour(artist.get_edgecolor()[0])} {artist.linestyles} {np.max(artist.get_linewidth()):g}"
        lines = (f"{short(at)} {points(path.vertices)}" for at, path in zip(artist.levels, artist.get_paths()))
        return f"contour, {look_of}: {', '.join(lines)}"
    if isinstance(artist, AxesImage):
        way = f"{artist.get_cmap().name} {artist.get_clim()} {artist.origin} {artist.get_interpolation()}"
        return f"picture, {way}: {ink(artist.get_array())}"
    if isinstance(artist, Annotation):
        where = f"{points([artist.xy])} {artist.xycoords}, {artist.xyann} {artist.anncoords} from there"
    elif isinstance(artist, Text):
        where = points([artist.get_position()])
    else:
        return f"outline, {look(artist)}: {points(turns(artist.get_xy()))}" if isinstance(artist, Polygon) else None
    font = f"{artist.get_ha()} {artist.get_va()} {artist.get_fontsize():g} {artist.get_fontweight()}"
    return f"words {artist.get_text()!r}, {font} {colour(artist.get_color())}: {where}"


def words_of_axis(axis):
    low, high = axis.get_view_interval()
    words = f"{axis.axis_name}: {axis.get_label_text()!r}, {axis.get_scale()}, {short(low)} to {short(high)}"
    if isinstance(axis.get_major_locator(), (FixedLocator, LogLocator)):
        ticks = zip(axis.get_ticklocs(), (tick.get_text() for tick in axis.get_ticklabels()))
        shown = [f"{word!r} at {short(at)}" for at, word in ticks if min(low, high) <= at <= max(low, high)]
        words += f", ticks {', '.join(shown)}"
    return words + ", grid" * any(line.get_visible() for line in axis.get_gridlines())


def sheet_of_axes(ax):
    yield from map(words_of_axis, (ax.xaxis, ax.yaxis) if ax.axison else ())
    yield from (f"title, {side}: {ax.get_title(side)!r}" for side in ("left", "center", "right") if ax.get_title(side))
    yield f"aspect: {ax.get_aspect()}"
    things = [*ax.lines, *ax.patches, *ax.collections, *ax.images, *ax.texts]
    for thing in sorted(things, key=lambda thing: thing.zorder):  # from the lowest to the top
        name, words = str(thing.get_label()), words_of(thing)
        if words and thing.get_visible():
            yield words if name[:1] in ("", "_") or name == "None" else f"{name!r}: {words}"
    for bars in ax.containers:
        high = [bar for bar in bars if bar.get_height()]
        ends = [[(bar.get_x(), bar.get_y()), (bar.get_width(), bar.get_height())] for bar in high]
        yield f"bars, {look(bars[0])}: {' '.join(f'{points(a[:1])} + {points(a[1:])},' for a in ends)}"
    if legend := ax.get_legend():
        names = [text.get_text() for text in legend.get_texts()]
        yield from (f"legend {name!r}: {look(it)}" for name, it in zip(names, legend.legend_handles, strict=True))
        spaces = ("columnspacing", "handlelength", "handletextpad", "borderaxespad")
        sizes = ", ".join(f"{name} {getattr(legend, name)}" for name in spaces)
        yield f"legend, frame {legend.get_frame_on()}: {sizes}"


def sheet(thing):
    """What is seen of an axes, of a list of them, of a picture, or of what `staged` returns."""
    if isinstance(thing, np.ndarray):
        return [ink(thing)]
    if isinstance(thing, tuple):
        view, figures = thing
        lines = [*map(words_of_widget, everything(view.box)), f"caption: {view.caption}"]
        return lines + [line for figure in figures for line in sheet(figure.axes)]
    axes = (thing[0] if isinstance(thing, list) else thing).figure.axes
    lines = [f"page: {' x '.join(map(short, axes[0].figure.get_size_inches()))} inches"]
    for k, ax in enumerate(axes, 1):
        spec = ax.get_subplotspec()
        place = f"rows {[*spec.rowspan]}, columns {[*spec.colspan]}, widths {spec.get_gridspec().get_width_ratios()}"
        lines += [f"axes {k} of {len(axes)}: {place}", *("  " + line for line in sheet_of_axes(ax))]
    return lines


def words_of_widget(widget):
    names = ("description", "min", "max", "step", "options", *["value"] * (not isinstance(widget, ipywidgets.Image)))
    parts = [f"{name} {getattr(widget, name)!r}" for name in names if getattr(widget, name, "") != ""]
    sizes = {name: getattr(widget.layout, name) for name in ("width", "min_width", "flex", "flex_flow")}
    return f"{type(widget).__name__}: {', '.join(parts + [f'{name} {size}' for name, size in sizes.items() if size])}"


def recorded():
    """The sheets of the file, by name."""
    parts = [part.splitlines() for part in SHEETS.read_text(encoding="utf-8").split("== ")[1:]]
    return {name: [line for line in lines if line] for name, *lines in parts}


def fault(name, lines, sheets):
    """How a figure differs from its sheet, in words, or None."""
    moved = [line for line in difflib.ndiff(sheets.get(name, []), lines) if line[0] in "-+"]
    if moved:
        return "\n".join(
            [
                f"{name} is not what its sheet in tests/{SHEETS.name} says. The sheet has -, what is drawn has +:",
                *moved,
                "Is it meant? Look at the picture, then write the sheets: .venv/bin/python tests/helpers/gallery.py",
            ]
        )


if __name__ == "__main__":
    matplotlib.use("Agg")
    sheets = {name: sheet(drawn(name)) for name in EXAMPLES} | {name: sheet(staged(name)) for name in PLAYGROUNDS}
    SHEETS.write_text("\n".join("\n".join([f"== {name}", *lines, ""]) for name, lines in sheets.items()), "utf-8")
