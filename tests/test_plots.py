import functools
import inspect
import itertools

import matplotlib
import numpy as np
import pytest
import torch
from gallery import (
    CLASSES,
    CODES,
    EXAMPLES,
    GROUND,
    PATHS,
    PLACES,
    ROLES,
    SPREADS,
    drawn,
    example,
    fault,
    of_recipe,
    public,
    recorded,
    sheet,
    staged,
)
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb

from ganlib import plots, targets


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def images(n):
    return torch.linspace(-1, 1, n * 784).reshape(n, 1, 28, 28)


def logs(n=200):
    return [{"step": k, "loss_D": 1 + k / n, "loss_G": 2 - k / n} for k in range(1, n + 1)]


def lines(ax, role):
    return [line for line in ax.lines if to_hex(line.get_color()) == plots.STYLE[role]["color"]]


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (2, (1, 2)), (5, (2, 3)), (25, (5, 5)), (26, (5, 6))])
def test_the_grid_is_about_square(n, shape):
    assert plots.tile(images(n)).shape == tuple(29 * k + 1 for k in shape)


def test_every_kind_of_batch_gives_the_same_picture():
    sheet = plots.tile(images(4))
    for same in (
        images(4)[:, 0],
        images(4).numpy(),
        images(4).double(),
        images(4).requires_grad_(),
        images(4) * 1.0005,
    ):
        assert np.abs(plots.tile(same).astype(int) - sheet).max() <= 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (127.5 * (images(2) + 1), r"lie in \[-1, 1\], got 0 to 255: divide .* by 127.5"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), r"floats in \[-1, 1\], got uint8"),
        (-1.1 * images(2), r"lie in \[-1, 1\], got -1.1 to 1.1"),
        (torch.where(images(2) == images(2).max(), torch.nan, images(2)), "got NaN or infinity: the model .* diverged"),
        (torch.zeros(2, 784), r"got \(2, 784\): give flat images their shape"),
        (torch.zeros(28, 28), "have shape"),
        (torch.zeros(2, 3, 28, 28), "have shape"),
        (torch.zeros(0, 1, 28, 28), "n of at least 1"),
    ],
)
def test_bad_images_are_refused_with_the_cause(bad, message):
    for draw in (plots.tile, plots.image_grid):
        with pytest.raises(ValueError, match="images must .*" + message):
            draw(bad)


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (5, 1, 5), (6, 2, 3), (8, 2, 4)])
def test_progress_has_one_row_or_two(n, rows, columns):
    ax = plots.progress([images(4)] * n, range(n))
    assert [len(set(axis)) for axis in zip(*(text.get_position() for text in ax.texts))] == [columns, rows]


def test_by_default_a_fiftieth_is_averaged_and_a_short_history_not_at_all():
    assert [len(line.get_xdata()) for line in lines(plots.losses(logs(200)), "D")] == [200, 197]
    assert [len(line.get_xdata()) for line in lines(plots.losses(logs(30)), "D")] == [30]


def test_neither_a_spike_nor_a_sign_takes_the_losses_out_of_the_picture():
    assert plots.losses(logs()).get_ylim()[0] == 0
    assert plots.losses([record | {"loss_G": 3800.4} for record in logs(9)]).get_ylim() == (0, 10)
    low, high = plots.losses([record | {"loss_G": -record["loss_G"]} for record in logs()]).get_ylim()
    assert -2.2 < low < -1.9 < 2 < high < 2.2


X = np.linspace(-3, 3, 61)


def hills(*names):
    """A curve for each name, all different."""
    return {name: np.exp(-((X - k) ** 2)) for k, name in enumerate(names)}


@pytest.mark.parametrize("yscale", ["linear", "log"])
def test_a_place_has_its_label_above_the_curves(yscale):
    ax = plots.curves(X, {"p": 1 + 0 * X, "p_g": 2 + X / 4}, at={"here": 0}, yscale=yscale)
    ax.figure.draw_without_rendering()
    top = max(ax.transData.transform(line.get_xydata())[:, 1].max() for line in ax.lines[:2])
    assert ax.texts[0].get_window_extent().y0 > top


A_GRID, RUNS = images(4), [row for name in "abcd" for row in of_recipe(name, 1, (1, 1, 2))]
SCORES = [{"step": 1, "real_score": 0.3, "fake_score": -0.3}]
FOURTH = "must hold at most 3 new names, got a, b, c, d: draw two figures"
REFUSED = [
    (plots.tile, (A_GRID, 0), "columns must be 1 or more, got 0"),
    (plots.progress, ([A_GRID] * 2, [0]), "equally long and not empty, got 2 and 1:"),
    (plots.progress, ([], []), "equally long and not empty, got 0 and 0:"),
    (plots.progress, ([A_GRID, images(9)], [0, 1]), r"equally many images each, got \[4, 9\]"),
    (plots.probabilities, (SCORES,), "got real_score and fake_score: least squares and hinge give scores"),
    (
        plots.losses,
        ([{"step": 1, "loss_D": 1}],),
        "history must hold records with .*, loss_G not found among step, loss_D",
    ),
    (plots.losses, ([],), "history must hold a record of at least one step, got none"),
    *(
        (functools.partial(plots.losses, smooth=k), (logs(30),), "smooth must lie between 1 and the 30 values")
        for k in (0, -1, 31)
    ),
    (plots.quality, (RUNS, list("abcd")), f"recipes {FOURTH}"),
    (plots.quality, (RUNS, ["e"]), "rows must hold"),
    (functools.partial(plots.quality, metric="recal"), (RUNS, ["a"]), "rows must hold"),
    (plots.curves, (X, hills("p", "a", "b", "c", "d")), f"named {FOURTH}"),
    (functools.partial(plots.curves, spread={"b": (X, X)}), (X, hills("a")), "names of curves, got b: curves are a"),
    (plots.orbits, (dict.fromkeys("abcd", PATHS["a"]),), f"named {FOURTH}"),
    (functools.partial(plots.plane, contours=dict.fromkeys("bcd", GROUND)), (CLASSES,), f"points {FOURTH}"),
    (plots.plane, ({"a": X},), r"points of 'a' must have shape \(n, 2\), got \(61,\): choose two columns"),
    *(
        (
            functools.partial(plots.plane, **{name: given}),
            (CLASSES,),
            f"{words} must be x .w,., y .h,. and values .h, w",
        )
        for name, given, words in (
            ("shade", (GROUND[1], GROUND[0], GROUND[2]), "shade"),
            ("boundary", (X, X, X), "boundary"),
            ("contours", {"b": (*np.meshgrid(X, X), np.outer(X, X))}, "contours of 'b'"),
        )
    ),
    (
        plots.latent_map,
        (np.zeros((4, 3)), [0] * 4),
        r"mu must have shape \(n, 2\), got \(4, 3\): a map is flat, so train",
    ),
    (plots.latent_map, ([1.0, 2], [0, 1]), r"mu must have shape \(n, 2\), got \(2,\)"),
    (plots.latent_map, (CODES, [0] * 5), r"labels must have shape \(n,\), one for each of the 6 codes, got \(5,\)"),
    (plots.latent_map, (CODES, np.eye(6)), r"one for each of the 6 codes, got \(6, 6\)"),
    (plots.latent_map, (CODES, [0, 1, 2, 2.5, 4, 5]), "labels must be whole numbers, got 2.5"),
    *(
        (functools.partial(plots.latent_map, **{name: given}), (CODES, range(6)), words)
        for name, given, words in (
            ("ellipses", (SPREADS[0], SPREADS[1][:1]), r"ellipses must be centres .* got \(2, 2\) and \(1, 2\): take"),
            ("ellipses", ([1, 2], [1, 2]), r"ellipses must be centres .*, got \(2,\) and \(2,\)"),
            ("ellipses", (SPREADS[0], [(0.1, 2), (-1.5, 0.3)]), r"must be positive, got -1.5: \(log_var / 2\).exp"),
            ("at", [(1, 2)], r"at must be one place \(2,\), got \(1, 2\): of z \(1, 2\) take z\[0\]"),
        )
    ),
    (plots.slope_shares, (PLACES, {"one": [1]}), "sizes of 'one' must be one for each of the 6 places, got 1: put"),
    (plots.image_rows, ({"A": A_GRID, "B": images(5)},), "equally many images each, got 4 of 'A', 5 of 'B': take the"),
]


@pytest.mark.parametrize(("draw", "arguments", "message"), REFUSED)
def test_what_cannot_be_drawn_is_refused(draw, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(*arguments)
    assert plt.get_fignums() == [] or draw not in (plots.curves, plots.latent_map)  # no empty figure is left behind


def long_names(ax):
    return plots.curves(X, hills("minimax", "non-saturating", "minimax, lr 1"), ax, title="SGD", at={"here": 2})


def in_panels(draw):
    axes = plots.panels(3, sharey=True)
    return [draw(ax=ax) for ax in axes]


def spiral(ax):
    return plots.orbits({f"γ = {k}": np.transpose([k + X, X**2]) for k in range(3)}, ax, title="orbits", ylabel="y")


def painters(ax):
    """As the lesson has them, with a line for a class that has no points."""
    hills = {"new": (X, X, np.exp(-np.add.outer(X**2, X**2)))}
    names = {"title": "two painters", "xlabel": "warmth"}
    return plots.plane({"painter A": PATHS["a"], "painter B": PATHS["b"]}, ax, contours=hills, boundary=GROUND, **names)


CROWDED = {f"{draw.__name__} in panels": example(in_panels, draw) for draw in (long_names, spiral, painters)}
FIGURES = {name: it for name, it in (EXAMPLES | CROWDED).items() if name not in ("tile", "panels")}
ON_AXES = [name for name, (draw, *_) in EXAMPLES.items() if "ax" in inspect.signature(draw).parameters]


@functools.cache
def kept(name):
    """What an example draws, made once; tests look at it, and leave it as it is."""
    draw, arguments, settings = (EXAMPLES | CROWDED)[name]
    return draw(*arguments, **settings)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_figure_is_what_its_sheet_says(name):
    wrong = fault(name, sheet(kept(name)), recorded())
    assert not wrong, wrong


def test_each_function_and_each_of_its_settings_has_an_example():
    shown = {}
    for draw, arguments, settings in EXAMPLES.values():
        bound = inspect.signature(draw).bind(*arguments, **settings).arguments
        shown.setdefault(draw.__name__, {"ax"}).update(bound)
    for name, function in public(plots).items():
        missing = set(inspect.signature(function).parameters) - shown.get(name, set())
        assert not missing or name == "on_white", f"no example in tests/helpers/gallery.py: {name}, {sorted(missing)}"


def test_each_role_has_the_look_that_readers_know():
    looks = plots.STYLE | dict(zip(("first", "second", "third"), plots.SERIES)) | {"fixed point": plots.FIXED_POINT}
    keys = ("color", "linestyle", "linewidth", "marker")
    assert {role: tuple(look.get(key, "") for key in keys) for role, look in looks.items()} == ROLES
    colours, _, _, markers = zip(*ROLES.values())
    assert len(set(colours)) == len(set(markers)) == len(ROLES)


def turned(value):
    """Numbers as tensors with gradients, as a lesson has them."""
    if isinstance(value, dict):
        return {key: turned(part) for key, part in value.items()}
    return torch.tensor(np.asarray(value, float)).requires_grad_()


@pytest.mark.parametrize("name", ["curves", "orbits", "plane", "latent_map", "slope_shares"])
def test_tensors_and_lists_give_the_same_figure(name):
    draw, arguments, settings = EXAMPLES[name]
    assert sheet(draw(*map(turned, arguments), **settings)) == sheet(kept(name))


def swap(a, b, what):
    """A slip: two things of a figure get each other's look, words or place."""
    of_a, of_b = (getattr(it, f"get_{what}")() for it in (a, b))
    a.set(**{what: of_b}), b.set(**{what: of_a})


PLANTED = {
    "two roles exchange their colours": ("curves", lambda ax: swap(*ax.lines[2:4], "color")),
    "two curves exchange their data": ("losses", lambda ax: swap(*ax.lines[2:4], "data")),
    "entries of a legend": ("probabilities", lambda ax: swap(*ax.get_legend().get_texts(), "text")),
    "an axis label": ("losses", lambda ax: ax.set_ylabel("value")),
    "a limit": ("slope_shares", lambda ax, _: ax.set_ylim(1)),
    "a shade upside down": ("plane", lambda ax: ax.collections[0].set_array(ax.collections[0].get_array()[::-1])),
    "a contour elsewhere": ("plane", lambda ax: ax.collections[1].set_paths(ax.collections[2].get_paths())),
    "the look of a boundary": ("plane", lambda ax: ax.collections[3].set_edgecolor(plots.NEUTRAL)),
    "two digits exchange their markers": ("latent_map", lambda ax: swap(*ax.lines[:2], "marker")),
    "an outline elsewhere": ("latent_map", lambda ax: ax.lines[5].set_xdata(ax.lines[5].get_xdata() + 0.1)),
    "a bar starts elsewhere": ("slope_shares", lambda _, ax: ax.patches[-3].set_y(1)),
    "a hatch": ("slope_shares", lambda ax, _: ax.containers[0][0].set_hatch("o")),
    "names of rows": ("dot_plot", lambda ax: ax.set_yticks([0, 1], ["b", "a"])),
    "a transposed picture": ("image_grid", lambda ax: ax.images[0].set_data(np.transpose(ax.images[0].get_array()))),
    "a label over another block": ("progress", lambda ax: swap(*ax.texts[1:3], "text")),
    "a title over another picture": ("image_grids", lambda a, b: swap(a.title, b.title, "text")),
    "a curve behind another": ("curves", lambda ax: ax.lines[0].set_zorder(9)),
}


@pytest.mark.parametrize("slip", PLANTED)
def test_a_slip_in_a_figure_is_noticed(slip):
    name, plant = PLANTED[slip]
    thing = drawn(name)
    plant(*figure_of(thing).axes)
    assert f"{name} is not what its sheet in tests/figures.txt says" in fault(name, sheet(thing), recorded())


def figure_of(drawn):
    return (drawn[0] if isinstance(drawn, list) else drawn).figure


@pytest.mark.parametrize("name", ON_AXES)
def test_a_figure_is_drawn_on_the_axes_given_and_nowhere_else(name):
    draw, arguments, settings = EXAMPLES[name]
    _, given = plt.subplots()
    assert draw(*arguments, ax=given, **settings) is given
    assert plt.get_fignums() == [given.figure.number]


def rendered(figure):
    canvas = FigureCanvasAgg(figure)  # a figure that was closed has lost its own
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def visible(figure):
    """All words that are drawn; an axis keeps labels for ticks beyond its ends, and an axes that is off all of them."""
    hidden = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden += [tick.label1 for tick in ticks if not (ax.axison and low <= tick.get_loc() <= high)]
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in texts if text not in hidden]


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_is_wider_than_a_page_and_every_text_can_be_read(name):
    figure = figure_of(kept(name))
    assert figure.get_size_inches()[0] <= plots.WIDTH
    texts = visible(figure)
    assert min(text.get_fontsize() for text in texts) >= plots.SMALL >= 9
    assert all(text.get_text().isascii() or set(text.get_text()) & set("−γé") for text in texts)
    assert min(contrast(text.get_color()) for text in texts) > 4.5


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.slow
def test_a_dark_style_changes_nothing(name):
    usual = rendered(figure_of(kept(name)))
    with plt.style.context("dark_background"):
        figure = figure_of(kept.__wrapped__(name))
    np.testing.assert_array_equal(rendered(figure), usual)


@pytest.mark.parametrize("name", ON_AXES)
def test_axes_of_a_caller_in_a_dark_style_become_white(name):
    draw, arguments, settings = EXAMPLES[name]
    usual = rendered(draw(*arguments, ax=plt.subplots()[1], **settings).figure)
    with plt.style.context("dark_background"):
        dark = rendered(draw(*arguments, ax=plt.subplots()[1], **settings).figure)
    np.testing.assert_array_equal(dark, usual)


def boxes_that_overlap(figure):
    """Words, legends and frames that lie on each other: pairs of what they say."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    legends = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    inside = {text for legend in legends for text in legend.get_texts()}
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in visible(figure) if text not in inside]
    boxes += [("legend", legend.get_window_extent(renderer)) for legend in legends]
    # A label of a place stands inside the frame, a legend and a title do not.
    frames = [("frame", ax.get_window_extent()) for ax in figure.axes]
    outside = [("legend", box) for name, box in boxes if name == "legend"]
    outside += [(ax.get_title(), ax.title.get_window_extent(renderer)) for ax in figure.axes if ax.get_title()]
    page = figure.bbox
    found = [(a, "edge") for a, box in boxes if not (page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= page.y1)]
    pairs = [*itertools.combinations(boxes, 2), *itertools.product(outside, frames)]
    for (a, one), (b, other) in pairs:
        both = one.intersection(one, other)
        if both and both.width > 1 and both.height > 1:
            found.append((a, b))
    return found


PANELLED = "models_playground", "likelihood_playground", "value_playground", "map_explorer"


@pytest.mark.parametrize("name", [*FIGURES, *PANELLED])
def test_words_and_legends_stand_in_their_panels_and_on_nothing_else(name):
    assert boxes_that_overlap(figure_of(kept(name)) if name in FIGURES else staged(name)[1][0]) == []


def test_a_legend_on_a_title_or_beyond_its_panel_is_noticed():
    left, _ = map(long_names, plots.panels(2))
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
    left.legend(**above, ncols=2)
    left.set_title("SGD", pad=6)
    assert ("SGD", "legend") in boxes_that_overlap(left.figure)
    left.set_title("")
    left.legend(**above, ncols=3).set_in_layout(False)
    left.get_legend().set_bbox_to_anchor((0.5, 1.0))
    assert ("legend", "legend") in boxes_that_overlap(left.figure)


# Machado, Oliveira and Fernandes 2009: linear RGB as it is seen without one of the three kinds of cones.
SIGHT = {
    "all cones": np.eye(3),
    "no red": [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)],
    "no green": [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)],
    "no blue": [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)],
}


def linear(color):
    return np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(color)])


def contrast(color, ground="white"):
    """The contrast of two colours as WCAG 2 defines it: 1 for equal ones, 21 for black and white."""
    lights = sorted(0.05 + linear(c) @ (0.2126, 0.7152, 0.0722) for c in (color, ground))
    return lights[1] / lights[0]


def oklab(rgb):
    """Linear RGB in Ottosson's space (2020), where equal distances look equally large."""
    to_cones = [(0.41222, 0.53633, 0.05145), (0.21190, 0.68070, 0.10740), (0.08830, 0.28172, 0.62998)]
    to_lab = [(0.21045, 0.79362, -0.00407), (1.97800, -2.42859, 0.45059), (0.02590, 0.78277, -0.80868)]
    return to_lab @ np.cbrt(to_cones @ np.clip(rgb, 0, 1))


def apart(*colors):
    """The smallest distance of two of the colours to any eye."""
    seen = [[oklab(np.array(eye) @ linear(color)) for color in colors] for eye in SIGHT.values()]
    return min(np.linalg.norm(a - b) for eye in seen for a, b in itertools.combinations(eye, 2))


def test_every_colour_is_seen_on_white_and_told_apart_by_every_eye():
    roles, series = ([look["color"] for look in looks] for looks in (plots.STYLE.values(), plots.SERIES))
    assert min(map(contrast, (*roles, *series, plots.NEUTRAL, plots.INK))) >= 3
    assert apart(*roles) > 0.1  # blue and grey to an eye without red; grey is three times as wide
    assert apart(*series) > 0.14
    for one, other in itertools.pairwise(series):
        assert contrast(one, other) > 2  # in grey print too
    assert contrast("#ffa90e") < 2  # two colours of the palette "petroff10"
    assert apart("#7a9e1f", "#e76300") < 0.1  # green and orange


def seen(figure, color):
    return (abs(rendered(figure).astype(int) - np.round(255 * np.array(to_rgb(color)))).max(-1) < 30).sum()


@pytest.mark.parametrize("names", [("D", "D*"), ("D*", "D"), ("p", "p_g"), ("p_g", "p"), ("a", "b", "c")])
def test_curves_that_agree_are_all_seen(names):
    ax = plots.curves(X, dict.fromkeys(names, np.sin(X)))
    ax.set_axis_off()  # the edges of letters are grey too
    ax.get_legend().remove()
    role = {"p": "real", "p_g": "fake"}
    looks = plots.SERIES if "a" in names else [plots.STYLE[role.get(name, name)] for name in names]
    for look in looks:
        assert seen(ax.figure, look["color"]) > 150, look
    ax.lines[0].set(linewidth=9, zorder=9, linestyle="-")  # one that covers the others
    assert seen(ax.figure, looks[1]["color"]) < 10


def test_points_and_words_are_seen_on_every_shade():
    ax = kept("plane")
    shades = ax.collections[0].cmap(np.linspace(0, 1, 101))
    edges = [line.get_markeredgecolor() for line in ax.lines if line.get_marker() not in ("", "None")]
    assert len(edges) == 4  # of two classes and two stars
    assert min(contrast(edge, shade[:3]) for edge in (*edges, plots.INK) for shade in shades) > 10
    assert apart(*(tuple(shades[k, :3]) for k in (0, 50, 100))) > 0.04
    for k, look in ((0, plots.SERIES[0]), (-1, plots.SERIES[1])):  # a quarter of the colour
        np.testing.assert_allclose(1 - shades[k, :3], (1 - np.array(to_rgb(look["color"]))) / 4, atol=1e-6)


def test_the_lines_of_a_gaussian_hold_half_and_95_percent():
    gaussian = targets.Gaussian((0.5, -0.3), ((1, 0.6), (0.6, 0.5)))
    x, y = torch.linspace(-5, 6, 221).double(), torch.linspace(-4, 4, 161).double()
    density = gaussian.density(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1))
    (hill,) = plots.plane({}, contours={"a": (x, y, density)}).collections
    draws = gaussian.sample(20_000, torch.Generator().manual_seed(0))
    held = [path.contains_points(draws).mean() for path in hill.get_paths()]
    assert held == pytest.approx([0.95, 0.5], abs=0.01)


def test_outlines_of_a_map_are_of_one_kind_and_hold_what_two_standard_deviations_hold():
    centres, sizes = np.array(SPREADS)
    ax = plots.latent_map(CODES, range(6), ellipses=SPREADS)
    *outlines, prior = [line for line in ax.lines if len(line.get_xdata()) > 1]
    assert (prior.get_linestyle(), {line.get_color() for line in outlines}) == (":", {plots.INK})
    draws = np.random.default_rng(0).standard_normal((20_000, 2))
    for line, centre, size in zip((prior, *outlines), (0, *centres), (1, *sizes), strict=True):
        path = matplotlib.path.Path(line.get_xydata())
        assert path.contains_points(centre + size * draws).mean() == pytest.approx(1 - np.exp(-2), abs=0.01)
        # No corner of the outline is nearer to the middle than another, in units of its own.
        np.testing.assert_allclose(np.linalg.norm((line.get_xydata() - centre) / size, axis=1), 2)


def test_a_map_of_many_codes_has_one_line_for_each_digit_and_its_star_on_top():
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=1500)
    ax = plots.latent_map(rng.standard_normal((1500, 2)), labels, at=torch.tensor([0.5, 1]))
    digits = [line for line in ax.lines if line.get_marker()[:1] == "$"]
    assert [line.get_marker() for line in digits] == [f"${k}$" for k in range(10)]
    assert [len(line.get_xdata()) for line in digits] == np.bincount(labels).tolist()
    assert len(ax.lines) == 12  # a line for each code would take seconds
    assert max(ax.lines, key=lambda line: line.zorder).get_marker() == "*"


def test_digits_are_seen_on_white_and_neighbours_differ():
    colours = dict(enumerate(plots.OF_DIGITS))
    assert len(colours) == 10
    assert min(contrast(colour) for colour in colours.values()) >= 3
    for neighbours in ((4, 7, 9), (3, 5, 8), (0, 2, 6)):
        assert apart(*(colours[k] for k in neighbours)) > 0.14
