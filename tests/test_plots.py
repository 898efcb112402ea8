import itertools
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
        assert (sheet[y - 12 : y, x - 20 : x + 20] == 255).all()  # the label stands on white
        block = plots.tile(grid)
        np.testing.assert_array_equal(sheet[y + 3 : y + 3 + 59, x - 29 : x + 30], block)


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


def test_one_spike_does_not_flatten_the_losses():
    history = [{"step": step, "loss_D": 1.4, "loss_G": 3800.4 if step == 7 else 0.7} for step in range(1, 101)]
    ax = plots.losses(history)
    assert ax.get_ylim() == (0, 10)
    assert ax.get_ylabel() == "loss (the largest: 3,800)"
    assert plots.losses([record | {"loss_G": 0.7} for record in history]).get_ylabel() == "loss"


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
    roles = plots.STYLE.values()
    assert len({look["color"] for look in roles}) == len({look["marker"] for look in roles}) == len(roles) == 4
    assert len({(look["linestyle"], look["linewidth"]) for look in roles}) == 4


def test_drawing_uses_no_random_numbers():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    plots.progress([images(4)] * 2, [0, 1])
    plots.losses(records(history()))
    plots.probabilities(records(history()))
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


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
    assert [line.get_linestyle() for line in lines] == ["-", ":"] * 3
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["a", "b", "c", "averaged weights", "raw weights"]


def test_each_marker_of_quality_carries_its_step_or_its_epoch():
    rows = runs("a", {469: [(2, 20)], 938: [(4, 10)], 1000: [(5, 8)], 4690: [(20, 5)]})
    rows += runs("b", {1000: [(3, 2)], 4500: [(9, 1)]})
    rows += [row | {"recipe": "c", "frechet": 100 / row["frechet"]} for row in runs("b", {1: [(3, 2)], 2: [(9, 1)]})]
    ax = plots.quality(rows, ["a", "b", "c"], epochs={"a": 469})
    labels = {text.get_text(): (tuple(text.xy), text.get_verticalalignment()) for text in ax.texts}
    assert labels == {
        **{"1 epoch": ((2, 20), "top"), "2": ((9, 100), "bottom"), "10": ((20, 5), "top")},
        **{"1,000 steps": ((3, 2), "top"), "4,500": ((9, 1), "top"), "1 steps": ((3, 50), "bottom")},
    } | {"2": labels["2"]}
    assert [text.get_text() for text in ax.texts].count("2") == 2  # an epoch of a, and a step of c
    assert ax.get_ylabel() == "Fréchet distance (our judge's features, 10,000 samples)"
    assert plots.quality([row | {"recall": 1} for row in rows], ["a"], metric="recall").get_ylabel() == "recall"


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


ROLES = {"p": "real", "p_g": "fake", "D": "D", "D*": "D*"}
LOOK = ("color", "linestyle", "linewidth")
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
    looks = {line.get_label(): {key: getattr(line, f"get_{key}")() for key in LOOK} for line in ax.lines}
    expected = dict(zip(("KL", "JSD", "W1"), plots.SERIES)) | {"p": plots.STYLE["real"], "D*": plots.STYLE["D*"]}
    assert looks == {name: {key: look[key] for key in LOOK} for name, look in expected.items()}
    for key in ("color", "linestyle", "linewidth", "marker"):
        assert len({look[key] for look in plots.SERIES}) == 3
    assert not {look["color"] for look in plots.SERIES} & {look["color"] for look in plots.STYLE.values()}


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
    with pytest.raises(ValueError, match="named must hold at most 3 new names, got a, b, c, d: draw two figures"):
        plots.curves(X, hills("p", "a", "b", "c", "d"))
    assert plt.get_fignums() == figures


def test_places_heights_and_dots_are_marked_by_name():
    ax = plots.curves(
        X, {"p": X}, dots={"counted": ([0, 1], [2, 3])}, at={"a": torch.tensor(-2.0), "b": 2}, level={"goal": 1},
    )  # fmt: skip
    vertical = {line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":" and line.get_ydata()[0] == 0}
    assert vertical == {-2, 2}
    assert {text.get_text(): text.xy for text in ax.texts} == {"a": (-2, 1), "b": (2, 1), "goal": (1, 1)}
    sides = {text.get_text(): (text.get_horizontalalignment(), text.xyann[0] > 0) for text in ax.texts}
    assert sides == {"a": ("left", True), "b": ("right", False), "goal": ("left", True)}
    (dots,) = [line for line in ax.lines if line.get_marker() == "."]
    np.testing.assert_array_equal(dots.get_xydata(), [(0, 2), (1, 3)])
    assert (dots.get_linestyle(), dots.get_color()) == ("None", plots.INK)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["p", "counted"]


@pytest.mark.parametrize("yscale", ["linear", "log"])
def test_a_place_has_its_label_above_the_curves(yscale):
    ax = plots.curves(X, {"p": 1 + 0 * X, "p_g": 2 + X / 4}, at={"here": 0}, yscale=yscale)
    ax.figure.draw_without_rendering()
    top = max(ax.transData.transform(line.get_xydata())[:, 1].max() for line in ax.lines[:2])
    assert ax.texts[0].get_window_extent().y0 > top


def test_orbits_are_paths_with_a_start():
    turn = np.transpose([np.cos(X), np.sin(X)])
    ax = plots.orbits({"a": turn, "b": torch.tensor(turn / 2)}, xlabel="x", title="round")
    paths = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    np.testing.assert_array_equal(paths["a"].get_xydata(), turn)
    np.testing.assert_array_equal(paths["b"].get_xydata(), turn / 2)
    starts = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert starts == [[turn[0].tolist()], [(turn[0] / 2).tolist()]]
    assert (ax.get_aspect(), ax.get_xlabel(), ax.get_title()) == (1, "x", "round")
    with pytest.raises(ValueError, match="named must hold at most 3 new names, got a, b, c, d"):
        plots.orbits(dict.fromkeys("abcd", turn))


def test_slope_shares_fill_each_outline_as_far_as_the_slopes_reach():
    places = {"near": np.linspace(-1, 1, 50), "far": torch.linspace(5, 7, 50)}
    sizes = {"one": torch.cat([torch.full((50,), 0.3), torch.full((50,), 0.1)]), "other": np.arange(100)}
    axes = plots.slope_shares(places, sizes, at={"data": 0})
    assert [ax.get_title("left") for ax in axes] == ["one", "other"]
    shares = [[text.get_text() for text in ax.texts if "%" in text.get_text()] for ax in axes]
    assert shares == [["75.0 % of the slope", "25.0 % of the slope"], ["24.7 % of the slope", "75.3 % of the slope"]]
    near, far = axes[0].containers
    assert sum(bar.get_height() for bar in near) == pytest.approx(15)  # of 50 fakes, each to three tenths
    assert sum(bar.get_height() for bar in far) == pytest.approx(5)
    assert all(bar.get_x() > 3 for bar in far if bar.get_height())
    outlines = [patch for patch in axes[0].patches if not patch.get_fill()]
    assert [to_hex(patch.get_edgecolor()) for patch in outlines] == [plots.STYLE["fake"]["color"]] * 2
    assert near[0].get_hatch() != far[0].get_hatch()
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert labels == ["fakes", "slope: near", "slope: far"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    with pytest.raises(ValueError, match="sizes of 'one' must be one for each of the 100 places, got 50: put"):
        plots.slope_shares(places, {"one": np.ones(50)})


def test_a_dot_plot_has_a_row_for_each_name():
    ax = plots.dot_plot({"a": [1, 2, 4], "b": [8.0]}, at={"none": 3}, xscale="log", title="with ...")
    rows = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert rows == [[[1, 0], [2, 0], [4, 0]], [[8, 1]]]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim()[0] > 1 > 0 > ax.get_ylim()[1]  # the first on top
    assert [text.get_text() for text in ax.texts] == ["none"]
    assert (ax.get_xscale(), ax.get_title()) == ("log", "with ...")


def test_rows_of_images_stand_beside_their_numbers():
    sets = {"real": images(12), "noise": -images(12)}
    measured = {
        "real": {"distance": 0.3456, "recall": "all"},
        "noise": {"distance": 1234.4, "recall": torch.tensor(0.0)},
    }
    ax = plots.image_rows(sets, measured)
    sheet, words = np.asarray(ax.images[0].get_array()), {text.get_text(): text for text in ax.texts}
    assert set(words) == {"real", "noise", "distance", "recall", "0.346", "all", "1,234", "0.000"}
    for name, numbers in (("real", ("0.346", "all")), ("noise", ("1,234", "0.000"))):
        strip = plots.tile(sets[name], 12)
        top = round(words[name].get_position()[1]) + 2
        np.testing.assert_array_equal(sheet[top : top + 30], strip)
        assert all(top < words[number].get_position()[1] < top + 30 for number in numbers)
    assert words["0.346"].get_position()[0] == words["1,234"].get_position()[0] == words["distance"].get_position()[0]
    assert {text.get_text() for text in plots.image_rows(sets).texts} == set(sets)
    with pytest.raises(ValueError, match="equally many images each, got 12 of 'real', 5 of 'noise': take the first"):
        plots.image_rows({"real": images(12), "noise": images(5)})


def test_grids_of_images_stand_over_their_numbers():
    sets = {"A": images(9), "B": -images(16)}
    axes = plots.image_grids(sets, {"A": {"loss_D": 1.381, "distance": 216.6}, "B": {"loss_D": "−", "distance": 0.5}})
    for ax, (name, batch), words in zip(axes, sets.items(), ("loss_D 1.38\ndistance 217", "loss_D −\ndistance 0.500")):
        np.testing.assert_array_equal(ax.images[0].get_array(), plots.tile(batch))
        assert (ax.get_title(), [text.get_text() for text in ax.texts]) == (name, [words])
    assert [ax.get_title() for ax in plots.image_grids(sets)] == ["A", "B"]


# What must hold of every figure.
def three(f):
    left, middle, right = plots.panels(3, sharey=True)
    for ax in (left, middle, right):
        f(ax)
    return [left, middle, right]


def long_names(ax):
    return plots.curves(X, hills("minimax", "non-saturating", "minimax, lr 1"), ax, title="SGD", at={"here": 2})


def spiral(ax=None):
    return plots.orbits({f"γ = {k}": np.transpose([k + X, X**2]) for k in range(3)}, ax, title="orbits", ylabel="y")


def some_quality(ax=None):
    rows = [
        row for k, name in enumerate("abc") for row in runs(name, {1: [(9, k + 1), (9, k + 2)], 2: [(20, 1 / (k + 1))]})
    ]
    return plots.quality(rows, list("abc"), ax)


ON_AXES = {  # these draw on axes of the caller too
    "curves": lambda ax=None: plots.curves(
        X, hills("p", "p_g", "D", "D*"), ax, dots={"n": (X, X)}, at={"x": 1}, level={"y": 0.5}, title="t"
    ),
    "long names": lambda ax=None: long_names(ax),
    "orbits": spiral,
    "dot_plot": lambda ax=None: plots.dot_plot(
        {"one": [1, 2], "two": [3]}, ax, at={"here": 2}, xscale="log", title="t"
    ),
    "image_grid": lambda ax=None: plots.image_grid(images(4), ax, title="four"),
    "progress": lambda ax=None: plots.progress([images(9)] * 3, [0, 100, 2000], ax),
    "losses": lambda ax=None: plots.losses(records(history()), ax, at={"A": 100}),
    "probabilities": lambda ax=None: plots.probabilities(records(history()), ax),
    "quality": some_quality,
}
GALLERY = ON_AXES | {
    "panels": lambda: three(long_names),
    "orbits in panels": lambda: three(spiral),
    "slope_shares": lambda: plots.slope_shares(
        {"near half": X, "far half": X + 6}, {"minimax": np.ones(122), "non-saturating": np.arange(122)}, at={"data": 0}
    ),
    "image_rows": lambda: plots.image_rows(
        {"real": images(12), "100 images": images(12)}, {"real": {"Fréchet distance": 1, "class divergence": 20}}
    ),
    "image_grids": lambda: plots.image_grids({"A": images(4), "B": images(4)}, {"A": {"loss_D": 1, "distance": 2}}),
}


def figure_of(drawn):
    return (drawn[0] if isinstance(drawn, list) else drawn).figure


def rendered(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


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


@pytest.mark.parametrize("name", GALLERY)
def test_no_figure_is_wider_than_a_page_and_every_text_can_be_read(name):
    figure = figure_of(GALLERY[name]())
    assert figure.get_size_inches()[0] <= plots.WIDTH
    texts = visible(figure)
    assert min(text.get_fontsize() for text in texts) >= plots.SMALL >= 9
    assert all(text.get_text().isascii() or set(text.get_text()) & set("−γé") for text in texts)
    assert min(contrast(text.get_color()) for text in texts) > 4.5


@pytest.mark.parametrize("name", GALLERY)
@pytest.mark.slow
def test_a_dark_style_changes_nothing(name):
    usual = rendered(figure_of(GALLERY[name]()))
    with plt.style.context("dark_background"):
        figure = figure_of(GALLERY[name]())
    np.testing.assert_array_equal(rendered(figure), usual)


@pytest.mark.parametrize("name", ON_AXES)
def test_axes_of_a_caller_in_a_dark_style_become_white(name):
    usual = rendered(figure_of(ON_AXES[name](plt.subplots()[1])))
    with plt.style.context("dark_background"):
        figure = figure_of(ON_AXES[name](plt.subplots()[1]))
        dark = rendered(figure)
    np.testing.assert_array_equal(dark, usual)


def test_without_the_white_paper_a_dark_style_would_show(monkeypatch):
    usual = rendered(plots.curves(X, hills("p")).figure)
    with plt.style.context("dark_background"):
        assert (rendered(plots.curves.__wrapped__(X, hills("p")).figure) != usual).any()


def boxes_that_overlap(figure):
    """Words, legends and frames that lie on each other: pairs of what they say."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
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


@pytest.mark.parametrize("name", GALLERY)
def test_words_and_legends_stand_in_their_panels_and_on_nothing_else(name):
    assert boxes_that_overlap(figure_of(GALLERY[name]())) == []


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


@pytest.mark.parametrize("name", GALLERY)
def test_every_line_and_marker_is_seen_on_white(name):
    figure = figure_of(GALLERY[name]())
    for ax in figure.axes:
        for line in ax.lines:
            if line.get_alpha() is None:  # pale ones have a line of means on top
                assert contrast(line.get_color()) >= 3
        for patch in ax.patches:
            assert contrast(patch.get_facecolor() if patch.get_fill() else patch.get_edgecolor()) >= 3


def seen(figure, color):
    return (abs(rendered(figure).astype(int) - np.round(255 * np.array(to_rgb(color)))).max(-1) < 30).sum()


@pytest.mark.parametrize("names", [("D", "D*"), ("D*", "D"), ("p", "p_g"), ("p_g", "p"), ("a", "b", "c")])
def test_curves_that_agree_are_all_seen(names):
    ax = plots.curves(X, dict.fromkeys(names, np.sin(X)))
    ax.set_axis_off()  # the edges of letters are grey too
    ax.get_legend().remove()
    looks = plots.SERIES if "a" in names else [plots.STYLE[ROLES[name]] for name in names]
    for look in looks:
        assert seen(ax.figure, look["color"]) > 150, look
    ax.lines[0].set(linewidth=9, zorder=9, linestyle="-")  # one that covers the others
    assert seen(ax.figure, looks[1]["color"]) < 10
