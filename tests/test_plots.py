import functools
import inspect
import itertools

import matplotlib
import numpy as np
import pytest
import torch
from gallery import (
    EXAMPLES,
    LOSSES,
    PATHS,
    PLACES,
    ROLE_OF,
    ROLES,
    SEVEN,
    drawn,
    example,
    fault,
    public,
    recorded,
    sheet,
    strangers,
)
from gallery import X as FOUR
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb

from ganlib import plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def images(n):
    return torch.linspace(-1, 1, n * 784).reshape(n, 1, 28, 28)


def history(n=200):
    step = np.arange(1, n + 1)
    return {
        "step": step,
        "loss_D": 1 + step / n,
        "loss_G": 2 - step / n,
        "real_prob": step / n,
        "fake_prob": 1 - step / n,
    }


def records(columns):
    """The columns of a history as the list of records that a loop appends."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def lines(ax, role):
    return [line for line in ax.lines if to_hex(line.get_color()) == plots.STYLE[role]["color"]]


def test_each_image_lies_in_its_place_as_dark_ink_on_white():
    sheet = plots.tile(images(7), columns=3)
    assert sheet.shape == (3 * 29 + 1, 3 * 29 + 1)
    assert sheet.dtype == np.uint8
    for k, image in enumerate(images(7)):
        y, x = 1 + 29 * (k // 3), 1 + 29 * (k % 3)
        expected = np.round((1 - image[0].numpy()) / 2 * 255)
        np.testing.assert_array_equal(sheet[y : y + 28, x : x + 28], expected)
    assert (sheet[59:87, 30:58] == 255).all()
    assert (sheet[59:87, 59:87] == 255).all()
    for edge in (0, 29, 58, 87):
        assert (sheet[edge] == plots.GREY).all()
        assert (sheet[:, edge] == plots.GREY).all()


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
        (torch.full((2, 28, 28), torch.nan), "got NaN or infinity: the model .* has diverged"),
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


def test_one_nan_among_good_pixels_is_refused():
    bad = images(2).clone()
    bad[1, 0, 3, 4] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        plots.tile(bad)


def test_scores_are_no_probabilities():
    scores = {"real_score": [0.3, 0.4], "fake_score": [-0.3, -0.2]}
    with pytest.raises(ValueError, match=r"got real_score and fake_score: least squares and hinge give scores"):
        plots.probabilities(records({"step": [1, 2]} | scores))


def test_columns_must_be_positive():
    with pytest.raises(ValueError, match="columns must be 1 or more, got 0"):
        plots.tile(images(2), 0)


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (5, 1, 5), (6, 2, 3), (8, 2, 4)])
def test_progress_puts_each_step_over_its_block(n, rows, columns):
    grids = [torch.full((4, 1, 28, 28), 2 * k / n - 1) for k in range(n)]
    ax = plots.progress(grids, range(n))
    sheet, places = np.asarray(ax.images[0].get_array()), np.transpose([text.get_position() for text in ax.texts])
    assert [len(set(axis)) for axis in places] == [columns, rows]
    for (x, y), grid in zip(places.T.astype(int), grids, strict=True):
        assert (sheet[y - 12 : y, x - 20 : x + 20] == 255).all()  # the label stands on white
        np.testing.assert_array_equal(sheet[y + 3 : y + 3 + 59, x - 29 : x + 30], plots.tile(grid))


def test_progress_refuses_lengths_that_differ():
    with pytest.raises(ValueError, match="equally long and not empty, got 2 and 1:"):
        plots.progress([images(4)] * 2, [0])
    with pytest.raises(ValueError, match="equally long and not empty, got 0 and 0:"):
        plots.progress([], [])
    with pytest.raises(ValueError, match=r"equally many images each, got \[4, 9\]"):
        plots.progress([images(4), images(9)], [0, 1])


def test_by_default_a_fiftieth_is_averaged_and_a_short_history_not_at_all():
    assert [len(line.get_xdata()) for line in lines(plots.losses(records(history(200))), "D")] == [200, 197]
    assert [len(line.get_xdata()) for line in lines(plots.losses(records(history(30))), "D")] == [30]


def test_neither_a_spike_nor_a_sign_takes_the_losses_out_of_the_picture():
    assert plots.losses(records(history())).get_ylim()[0] == 0
    assert plots.losses([record | {"loss_G": 3800.4} for record in records(history(9))]).get_ylim() == (0, 10)
    low, high = plots.losses([record | {"loss_G": -record["loss_G"]} for record in records(history())]).get_ylim()
    assert -2.2 < low < -1.9 < 2 < high < 2.2
    low, high = kept("losses of a training that fails").get_ylim()
    assert -1 < low < -0.7 < high == 10  # a minimax loss, and a spike


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([{"step": 1, "loss_D": 1}], "loss_G not found among step, loss_D: append"),
        ([], "a record of at least one step, got none"),
    ],
)
def test_a_bad_history_is_refused_with_the_cause(bad, message):
    with pytest.raises(ValueError, match="history must hold") as error:
        plots.losses(bad)
    assert error.match(message)


@pytest.mark.parametrize("smooth", [0, -1, 31])
def test_smooth_must_fit_the_history(smooth):
    with pytest.raises(ValueError, match="smooth must lie between 1 and the 30 values"):
        plots.losses(records(history(30)), smooth=smooth)


def runs(recipe, values):
    """Rows of a recipe: for each step a list with one (seconds, distance) for each seed."""
    return [
        {"recipe": recipe, "seed": k, "step": step, "cpu_s": seconds, "weights": weights, "frechet": distance * factor}
        for step, of_seeds in values.items()
        for k, (seconds, distance) in enumerate(of_seeds)
        for weights, factor in (("averaged", 1), ("raw", 2))
    ]


def test_quality_refuses_a_fourth_recipe():
    rows = [row for name in "abcd" for row in runs(name, {1: [(1, 1)]})]
    plots.quality(rows, ["a", "b", "c"])
    figures = plt.get_fignums()
    with pytest.raises(ValueError, match="recipes must hold at most 3 new names, got a, b, c, d: draw two figures"):
        plots.quality(rows, list("abcd"))
    assert plt.get_fignums() == figures  # no empty figure is left behind


@pytest.mark.parametrize(("recipes", "metric"), [(["b"], "frechet"), (["a"], "recal")])
def test_quality_without_rows_is_refused(recipes, metric):
    with pytest.raises(ValueError, match="rows must hold"):
        plots.quality(runs("a", {1: [(1, 1)]}), recipes, metric=metric)


X = np.linspace(-3, 3, 61)


def hills(*names):
    """A curve for each name, all different."""
    return {name: np.exp(-((X - k) ** 2)) for k, name in enumerate(names)}


def test_curves_refuse_a_fourth_new_name():
    plots.curves(X, hills("p", "p_g", "D", "D*", "a", "b", "c"))
    figures = plt.get_fignums()
    with pytest.raises(ValueError, match="named must hold at most 3 new names, got a, b, c, d: draw two figures"):
        plots.curves(X, hills("p", "a", "b", "c", "d"))
    assert plt.get_fignums() == figures


@pytest.mark.parametrize("yscale", ["linear", "log"])
def test_a_place_has_its_label_above_the_curves(yscale):
    ax = plots.curves(X, {"p": 1 + 0 * X, "p_g": 2 + X / 4}, at={"here": 0}, yscale=yscale)
    ax.figure.draw_without_rendering()
    top = max(ax.transData.transform(line.get_xydata())[:, 1].max() for line in ax.lines[:2])
    assert ax.texts[0].get_window_extent().y0 > top


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="named must hold at most 3 new names, got a, b, c, d"):
        plots.orbits(dict.fromkeys("abcd", PATHS["a"]))
    with pytest.raises(ValueError, match="sizes of 'one' must be one for each of the 6 places, got 1: put"):
        plots.slope_shares(PLACES, {"one": [1]})
    with pytest.raises(ValueError, match="equally many images each, got 9 of 'A', 5 of 'B': take the first"):
        plots.image_rows({"A": images(9), "B": images(5)})


def long_names(ax):
    return plots.curves(X, hills("minimax", "non-saturating", "minimax, lr 1"), ax, title="SGD", at={"here": 2})


def in_panels(draw):
    axes = plots.panels(3, sharey=True)
    return [draw(ax=ax) for ax in axes]


def spiral(ax):
    return plots.orbits({f"γ = {k}": np.transpose([k + X, X**2]) for k in range(3)}, ax, title="orbits", ylabel="y")


CROWDED = {"names in panels": example(in_panels, long_names), "orbits in panels": example(in_panels, spiral)}
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


@pytest.mark.parametrize("name", FIGURES)
def test_a_role_has_one_colour_in_every_figure(name):
    assert list(strangers(figure_of(kept(name)))) == []


def test_the_data_given_are_the_data_drawn():
    given = {
        "curves": {name: np.transpose([FOUR, y]) for name, y in SEVEN.items()},
        "orbits": PATHS,
        "losses without fixed points": {
            key: [(log["step"], log[key]) for log in LOSSES] for key in ("loss_D", "loss_G")
        },
    }
    for name, expected in given.items():
        found = {line.get_label(): line.get_xydata() for line in kept(name).lines}
        for label, places in expected.items():
            np.testing.assert_array_equal(found[label], places, err_msg=f"{name}, {label}")


def turned(value):
    """Numbers as tensors with gradients, as a lesson has them."""
    if isinstance(value, dict):
        return {key: turned(part) for key, part in value.items()}
    return torch.tensor(np.asarray(value, float)).requires_grad_()


@pytest.mark.parametrize("name", ["curves", "orbits", "slope_shares"])
def test_tensors_and_lists_give_the_same_figure(name):
    draw, arguments, settings = EXAMPLES[name]
    assert sheet(draw(*map(turned, arguments), **settings)) == sheet(kept(name))


def exchange(read, write):
    """A slip: two things of a list get each other's look, words or place."""

    def plant(a, b):
        a_has, b_has = (getattr(it, read)() for it in (a, b))
        getattr(a, write)(b_has), getattr(b, write)(a_has)

    return plant


colours_of, words_of = exchange("get_color", "set_color"), exchange("get_text", "set_text")
PLANTED = {
    "two roles exchange their colours": ("curves", lambda axes: colours_of(*axes[0].lines[2:4])),
    "two curves exchange their data": ("losses", lambda axes: exchange("get_data", "set_data")(*axes[0].lines[2:4])),
    "x for y": ("orbits", lambda axes: axes[0].lines[2].set_data(axes[0].lines[2].get_data()[::-1])),
    "entries of a legend": ("probabilities", lambda axes: words_of(*axes[0].get_legend().get_texts())),
    "an axis label": ("losses", lambda axes: axes[0].set_ylabel("value")),
    "a scale": ("quality", lambda axes: axes[0].set_yscale("linear")),
    "a limit": ("slope_shares", lambda axes: axes[0].set_ylim(1)),
    "a bar starts elsewhere": ("slope_shares", lambda axes: axes[1].patches[-3].set_y(1)),
    "a hatch": ("slope_shares", lambda axes: axes[0].containers[0][0].set_hatch("o")),
    "a line style": ("quality", lambda axes: axes[0].lines[1].set_linestyle("-")),
    "a marker": ("quality", lambda axes: axes[0].lines[0].set_marker("s")),
    "a mark": ("dot_plot", lambda axes: axes[0].lines[-1].set_xdata([4, 4])),
    "names of rows": ("dot_plot", lambda axes: axes[0].set_yticks([0, 1], ["b", "a"])),
    "a transposed picture": ("image_grid", lambda axes: redraw(axes[0], np.transpose)),
    "a flipped picture": ("image_rows", lambda axes: redraw(axes[0], np.flipud)),
    "a negative": ("progress", lambda axes: redraw(axes[0], lambda sheet: 255 - sheet)),
    "a label over another block": ("progress", lambda axes: words_of(*axes[0].texts[1:3])),
    "a number beside another row": ("image_rows", lambda axes: words_of(axes[0].texts[1], axes[0].texts[-2])),
    "a title over another picture": ("image_grids", lambda axes: words_of(axes[0].title, axes[1].title)),
    "a curve behind another": ("curves", lambda axes: axes[0].lines[0].set_zorder(9)),
}


def redraw(ax, change):
    ax.images[0].set_data(change(np.asarray(ax.images[0].get_array())))


@pytest.mark.parametrize("slip", PLANTED)
def test_a_slip_in_a_figure_is_noticed(slip):
    name, plant = PLANTED[slip]
    thing = drawn(name)
    plant(figure_of(thing).axes)
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


def test_without_the_white_paper_a_dark_style_would_show(monkeypatch):
    usual = rendered(plots.curves(X, hills("p")).figure)
    with plt.style.context("dark_background"):
        assert (rendered(plots.curves.__wrapped__(X, hills("p")).figure) != usual).any()


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


@pytest.mark.parametrize("name", FIGURES)
def test_words_and_legends_stand_in_their_panels_and_on_nothing_else(name):
    assert boxes_that_overlap(figure_of(kept(name))) == []


def test_a_legend_on_a_title_or_beyond_its_panel_is_noticed():
    left, right = plots.panels(2)
    for ax in (left, right):
        long_names(ax)
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
    assert contrast("#94a4a2") < 3
    assert apart("#3f90da", "#7f7fe0") < 0.1  # blue and violet
    assert apart("#7a9e1f", "#e76300") < 0.1  # green and orange


def seen(figure, color):
    return (abs(rendered(figure).astype(int) - np.round(255 * np.array(to_rgb(color)))).max(-1) < 30).sum()


@pytest.mark.parametrize("names", [("D", "D*"), ("D*", "D"), ("p", "p_g"), ("p_g", "p"), ("a", "b", "c")])
def test_curves_that_agree_are_all_seen(names):
    ax = plots.curves(X, dict.fromkeys(names, np.sin(X)))
    ax.set_axis_off()  # the edges of letters are grey too
    ax.get_legend().remove()
    looks = plots.SERIES if "a" in names else [plots.STYLE[ROLE_OF[name]] for name in names]
    for look in looks:
        assert seen(ax.figure, look["color"]) > 150, look
    ax.lines[0].set(linewidth=9, zorder=9, linestyle="-")  # one that covers the others
    assert seen(ax.figure, looks[1]["color"]) < 10
