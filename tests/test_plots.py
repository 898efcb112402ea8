import math

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
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


def test_white_is_minus_one_and_black_is_plus_one():
    assert (plots.tile(-torch.ones(1, 28, 28))[1:-1, 1:-1] == 255).all()
    assert (plots.tile(torch.ones(1, 28, 28))[1:-1, 1:-1] == 0).all()


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


def test_image_grid_is_one_picture_on_the_ax_it_is_given():
    _, given = plt.subplots()
    ax = plots.image_grid(images(64), given, columns=16, title="64 images")
    assert ax is given
    assert len(ax.images) == 1
    assert ax.get_title() == "64 images"
    np.testing.assert_array_equal(ax.images[0].get_array(), plots.tile(images(64), 16))
    assert ax.images[0].get_clim() == (0, 255)
    assert ax.images[0].get_cmap().name == "gray"
    assert len(plots.image_grid(images(64)).figure.axes) == 1


def test_no_figure_is_wider_than_a_page():
    for ax in (
        plots.image_grid(images(300), columns=100),
        plots.progress([images(25)] * 8, range(8)),
        plots.losses(records(history())),
    ):
        assert ax.figure.get_size_inches()[0] <= 9


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (5, 1, 5), (6, 2, 3), (8, 2, 4)])
def test_progress_puts_each_block_under_its_step(n, rows, columns):
    steps = [1000 * k for k in range(n)]
    grids = [torch.full((4, 1, 28, 28), 2 * k / n - 1) for k in range(n)]
    ax = plots.progress(grids, steps)
    sheet = np.asarray(ax.images[0].get_array())
    assert len(ax.images) == 1
    assert len(ax.texts) == n
    assert [text.get_text() for text in ax.texts] == [f"step {step:,}" for step in steps]
    assert len({text.get_position()[1] for text in ax.texts}) == rows
    assert len({text.get_position()[0] for text in ax.texts}) == columns
    for text, grid in zip(ax.texts, grids, strict=True):
        x, y = (int(v) for v in text.get_position())
        assert (sheet[y - 15 : y, x - 20 : x + 20] == 255).all()  # the label stands on white
        block = plots.tile(grid)
        np.testing.assert_array_equal(sheet[y + 5 : y + 5 + 59, x - 29 : x + 30], block)


def test_progress_refuses_lengths_that_differ():
    with pytest.raises(ValueError, match="equally long and not empty, got 2 and 1:"):
        plots.progress([images(4)] * 2, [0])
    with pytest.raises(ValueError, match="equally long and not empty, got 0 and 0:"):
        plots.progress([], [])
    with pytest.raises(ValueError, match=r"equally many images each, got \[4, 9\]"):
        plots.progress([images(4), images(9)], [0, 1])


@pytest.mark.parametrize(
    ("draw", "curves"),
    [
        (plots.losses, {"loss_D": "D", "loss_G": "fake"}),
        (plots.probabilities, {"real_prob": "real", "fake_prob": "fake"}),
    ],
)
def test_each_curve_has_its_values_and_the_look_of_its_role(draw, curves):
    _, given = plt.subplots()
    ax = draw(records(history()), given, smooth=10)
    assert ax is given
    for key, role in curves.items():
        raw, mean = lines(ax, role)
        np.testing.assert_allclose(raw.get_ydata(), history()[key])
        np.testing.assert_allclose(raw.get_xdata(), history()["step"])
        windows = np.lib.stride_tricks.sliding_window_view(history()[key], 10)
        np.testing.assert_allclose(mean.get_ydata(), windows.mean(1))
        np.testing.assert_allclose(mean.get_xdata(), np.arange(1, 192) + 4.5)
        assert mean.get_linestyle() == plots.STYLE[role]["linestyle"]
        assert raw.get_alpha() < 0.5
    assert len(ax.get_legend().get_texts()) == 2


def test_by_default_a_fiftieth_is_averaged_and_a_short_history_not_at_all():
    assert [len(line.get_xdata()) for line in lines(plots.losses(records(history(200))), "D")] == [200, 197]
    assert [len(line.get_xdata()) for line in lines(plots.losses(records(history(30))), "D")] == [30]


def test_fixed_points_stand_at_their_values_and_say_which_they_are():
    ax = plots.losses(records(history()))
    labels = {text.get_text(): text.xy[1] for text in ax.texts}
    assert labels == {"D: 2 log 2 = 1.386": math.log(4), "G: log 2 = 0.693": math.log(2)}
    heights = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    assert heights == [math.log(4), math.log(2)]
    assert not plots.losses(records(history()), fixed_points=False).texts
    ax = plots.probabilities(records(history()))
    assert [(text.get_text(), text.xy[1]) for text in ax.texts] == [("1/2", 0.5)]
    assert ax.get_ylim() == (0, 1)


def test_negative_losses_stay_in_the_picture():
    minimax = {**history(), "loss_G": -history()["loss_G"]}
    assert plots.losses(records(minimax)).get_ylim()[0] < -1.9
    assert plots.losses(records(history())).get_ylim()[0] == 0


def test_a_history_of_tensors_is_drawn_too():
    ax = plots.losses([{key: torch.tensor(float(v)) for key, v in record.items()} for record in records(history(20))])
    np.testing.assert_allclose(lines(ax, "D")[0].get_ydata(), history(20)["loss_D"], rtol=1e-6)


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


def test_each_role_has_a_look_of_its_own():
    for part in ("color", "linestyle", "marker"):
        assert len({look[part] for look in plots.STYLE.values()}) == len(plots.STYLE) == 4
    petroff10 = plt.style.library["petroff10"]["axes.prop_cycle"].by_key()["color"]
    assert {look["color"] for look in plots.STYLE.values()} <= set(petroff10)


def test_drawing_uses_no_random_numbers():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    plots.progress([images(4)] * 2, [0, 1])
    plots.losses(records(history()))
    plots.probabilities(records(history()))
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_every_text_can_be_read():
    for ax in (
        plots.losses(records(history())),
        plots.probabilities(records(history())),
        plots.progress([images(4)], [0]),
        plots.image_grid(images(4), title="four"),
    ):
        texts = [text for text in ax.figure.findobj(matplotlib.text.Text) if text.get_text().strip()]
        assert texts
        assert min(text.get_fontsize() for text in texts) >= 9
        assert all(text.get_text().isascii() or "−" in text.get_text() for text in texts)


def runs(recipe, values):
    """Rows of a recipe: for each step a list with one (seconds, distance) for each seed."""
    return [
        {"recipe": recipe, "seed": k, "step": step, "cpu_s": seconds, "weights": weights, "frechet": distance * factor}
        for step, of_seeds in values.items()
        for k, (seconds, distance) in enumerate(of_seeds)
        for weights, factor in (("averaged", 1), ("raw", 2))
    ]


def test_quality_draws_medians_and_the_range_over_seeds():
    rows = runs("a", {200: [(4, 3), (5, 5), (9, 4)], 100: [(2, 10), (1, 30), (3, 20)]})
    rows += [{"recipe": "a", "seed": 0, "epoch": 1, "loss_D": 1.0}]  # a row without quality
    ax = plots.quality(rows, ["a"])
    averaged, raw = ax.lines[:2]
    np.testing.assert_array_equal(averaged.get_xydata(), [(2, 20), (5, 4)])
    np.testing.assert_array_equal(raw.get_xydata(), [(2, 40), (5, 8)])
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
    assert corners == {(2, 10), (2, 30), (5, 3), (5, 5)}
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_quality_tells_recipes_and_weights_apart():
    names = ["a", "b", "c"]
    ax = plots.quality([row for name in names for row in runs(name, {1: [(1, 1)], 2: [(2, 2)]})], names)
    lines = ax.lines[:6]
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 3
    assert [line.get_linestyle() for line in lines] == ["-", "--"] * 3
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["a", "averaged weights", "b", "raw weights", "c"]


def test_quality_refuses_a_fourth_recipe():
    rows = [row for name in "abcd" for row in runs(name, {1: [(1, 1)]})]
    plots.quality(rows, ["a", "b", "c"])
    figures = plt.get_fignums()
    with pytest.raises(ValueError, match="recipes must be at most 3, got a, b, c, d: draw two figures"):
        plots.quality(rows, list("abcd"))
    assert plt.get_fignums() == figures  # no empty figure is left behind


@pytest.mark.parametrize(("recipes", "metric"), [(["b"], "frechet"), (["a"], "recal")])
def test_quality_without_rows_is_refused(recipes, metric):
    with pytest.raises(ValueError, match="rows must hold"):
        plots.quality(runs("a", {1: [(1, 1)]}), recipes, metric=metric)


ROLES = {"p": "real", "p_g": "fake", "D": "D", "D*": "D*"}
X = np.linspace(-3, 3, 61)


def hills(*names):
    """A curve for each name, all different."""
    return {name: np.exp(-((X - k) ** 2)) for k, name in enumerate(names)}


@pytest.mark.parametrize("names", [("p", "p_g", "D", "D*"), ("D*", "p_g"), ("D",)])
def test_curves_have_the_looks_of_their_roles(names):
    ax = plots.curves(X, hills(*names))
    assert [line.get_label() for line in ax.lines] == list(names)
    for line, name in zip(ax.lines, names, strict=True):
        look = plots.STYLE[ROLES[name]]
        assert to_hex(line.get_color()) == look["color"]
        assert line.get_linestyle() == look["linestyle"]


def test_other_curves_get_looks_to_tell_apart():
    ax = plots.curves(X, hills("KL", "p", "JSD", "D*", "W1"))
    looks = {line.get_label(): (to_hex(line.get_color()), line.get_linestyle()) for line in ax.lines}
    others = [looks[name] for name in ("KL", "JSD", "W1")]
    assert [color for color, _ in others] == [color for color, _ in plots.SERIES]
    assert len({line for _, line in others}) == 3
    assert looks["p"] == (plots.STYLE["real"]["color"], plots.STYLE["real"]["linestyle"])
    assert looks["D*"] == (plots.STYLE["D*"]["color"], plots.STYLE["D*"]["linestyle"])
    assert len(set(looks.values())) == 5


def test_the_looks_of_curves_are_no_looks_of_roles():
    assert not {color for color, _ in plots.SERIES} & {look["color"] for look in plots.STYLE.values()}
    assert len({color for color, _ in plots.SERIES}) == len(set(plots.LINES)) == 3


@pytest.mark.parametrize(
    "kind", [np.asarray, np.ndarray.tolist, torch.tensor, lambda v: torch.tensor(v, requires_grad=True)]
)
def test_curves_are_the_data_given(kind):
    named = hills("p", "new", "p_g")
    ax = plots.curves(kind(X), {name: kind(y) for name, y in named.items()})
    assert len(ax.lines) == 3
    for line, y in zip(ax.lines, named.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), X)
        np.testing.assert_array_equal(line.get_ydata(), y)


def test_the_text_of_curves_can_be_read():
    ax = plots.curves(X, hills("p", "p_g", "guess"))
    texts = [text for text in ax.figure.findobj(matplotlib.text.Text) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 9


def test_curves_use_the_ax_and_say_what_is_drawn():
    _, given = plt.subplots()
    ax = plots.curves(X, hills("p", "p_g", "guess"), given, xlabel="height", ylim=(-1, 4))
    assert ax is given
    assert plt.get_fignums() == [given.figure.number]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["p", "p_g", "guess"]
    assert ax.get_xlabel() == "height"
    assert ax.get_ylim() == (-1, 4)
    own = plots.curves(X, hills("p"))
    assert own is not given
    assert own.get_xlabel() == "x"
    assert own.figure.get_size_inches()[0] <= 9


def test_curves_refuse_a_fourth_new_name():
    plots.curves(X, hills("p", "p_g", "D", "D*", "a", "b", "c"))
    figures = plt.get_fignums()
    with pytest.raises(ValueError, match="named must hold at most 3 new curves, got a, b, c, d: draw two figures"):
        plots.curves(X, hills("p", "a", "b", "c", "d"))
    assert plt.get_fignums() == figures


def contrast(color, ground):
    """The contrast of two colours as WCAG 2 defines it: 1 for equal ones, 21 for black and white."""
    lights = []
    for c in (color, ground):
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(c)]
        lights.append(0.05 + np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return max(lights) / min(lights)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_lines_and_words_are_seen_under_a_dark_style_too(style):
    x = np.linspace(-1, 1, 9)
    with plt.style.context(style):
        axes = [
            plots.losses(records(history())),
            plots.probabilities(records(history())),
            plots.curves(x, {name: x + k for k, name in enumerate(plots.ROLES)}),
        ]
        for ax in axes:
            whole = [line.get_color() for line in ax.lines if line.get_alpha() is None]
            words = [text.get_color() for text in [*ax.texts, *ax.get_legend().get_texts(), ax.xaxis.label]]
            assert len(whole) >= 3
            assert min(contrast(color, ax.get_facecolor()) for color in whole + words) >= 3
        sheet = plots.progress([images(9)] * 2, [0, 100])
        assert all(contrast(text.get_color(), "white") >= 3 for text in sheet.texts)  # they stand on the white sheet
