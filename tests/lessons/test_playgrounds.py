"""The playgrounds: what they draw and say is compared with quadrature by scipy and with the latents themselves."""

import importlib
import itertools
import math
import pkgutil
import re
import unittest.mock

import anatomy
import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from gallery import (
    CODED,
    CODES_OF,
    PLAYGROUNDS,
    barred,
    bars_read,
    decoded,
    fault,
    public,
    recorded,
    sample,
    sharpened,
    sheet,
    staged,
)
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.path import Path
from scipy import integrate, ndimage, optimize, spatial, special, stats
from views import assert_known_to_ipywidgets_7, enlarged, everything, pixels

from ganlib import playgrounds
from ganlib.gan import GAN
from ganlib.models import NormalLatent, mlp
from ganlib.playgrounds.lesson_03 import training_playground
from ganlib.playgrounds.lesson_04 import latent_explorer
from ganlib.playgrounds.lesson_05 import blur_slider, map_explorer
from ganlib.playgrounds.lesson_06 import digit_explorer
from ganlib.plots import tile
from ganlib.targets import Mixture, Uniform, normal

MODULES = [
    importlib.import_module(f"{playgrounds.__name__}.{module.name}")
    for module in pkgutil.iter_modules(playgrounds.__path__)
]


def sliders_of(view):
    return {name: it for name, it in view.controls.items() if isinstance(it, ipywidgets.FloatSlider)}


def move(view, **to):
    """Set controls, to values that a reader can set them to."""
    for name, value in to.items():
        control = view.controls[name]
        control.value = value
        assert control.value == value, f"{name} cannot be set to {value}"
        steps = (value - control.min) / control.step if hasattr(control, "step") else 0
        assert abs(steps - round(steps)) < 1e-9, f"{name} cannot be set to {value}: its steps are {control.step}"


@pytest.fixture(scope="module")
def made():
    """Each playground, its figures, and where its controls start."""
    before = plt.get_fignums()
    stages = {name: staged(name) for name in PLAYGROUNDS}
    assert plt.get_fignums() == before  # a notebook would draw an open figure a second time
    starts = {
        name: {control: it.value for control, it in view.controls.items() if hasattr(it, "value")}
        for name, (view, _) in stages.items()
    }
    return {name: (stages[name], starts[name]) for name in stages}


@pytest.fixture(params=PLAYGROUNDS)
def stage(request, made):
    """A playground and its figures, as a reader meets it."""
    found, start = made[request.param]
    move(found[0], **start)
    return found


only = {name: pytest.mark.parametrize("stage", [name], indirect=True) for name in PLAYGROUNDS}
models_stage, fit_stage = only["models_playground"], only["likelihood_playground"]
value_stage, latent_stage = only["value_playground"], only["latent_explorer"]
digit_stage, map_stage, blur_stage = only["digit_explorer"], only["map_explorer"], only["blur_slider"]


@pytest.fixture
def view(stage):
    return stage[0]


# What holds of every playground.
@pytest.mark.parametrize("name", PLAYGROUNDS)
def test_a_playground_is_what_its_sheet_says(name):
    wrong = fault(name, sheet(staged(name)), recorded())
    assert not wrong, wrong


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_playground_is_tested(module):
    missing = set(public(module)) - set(PLAYGROUNDS)
    assert not missing, f"{module.__name__}: give {sorted(missing)} in PLAYGROUNDS of tests/helpers/gallery.py"


def rows_of(view):
    """The number and the slider of each row, by the name that is read out."""
    rows = [part.children for part in everything(view.box) if len(getattr(part, "children", ())) == 2]
    return {row[0].description: row for row in rows if isinstance(row[1], ipywidgets.FloatSlider)}


def test_each_slider_has_a_number_with_its_name_and_its_range(view):
    rows = rows_of(view)
    for (number, slider), (name, control) in zip(rows.values(), sliders_of(view).items(), strict=True):
        assert slider is control, name
        assert (number.min, number.max, number.step) == (slider.min, slider.max, slider.step)
        here, there = (round(slider.min + k * slider.step, 6) for k in (3, 4))
        number.value = here
        assert slider.value == here
        slider.value = there + 1e-12  # such as 6 * 0.1, which is 0.6000000000000001
        assert slider.value != there == number.value  # a number is rounded
    assert view.box.children[-1] is view.sentence


def tasks_of(view):
    (listed,) = [part for part in everything(view.box) if isinstance(part, ipywidgets.HTML) and "<ol" in part.value]
    return listed, re.findall("<li>(.*?)</li>", listed.value)


def test_tasks_stand_beside_the_sliders_and_keep_the_answers(view):
    listed, tasks = tasks_of(view)
    lines = [re.sub("<.*?>", "", line) for line in tasks]
    assert 1 <= len(lines) <= 4
    assert max(map(len, lines)) <= 95  # two lines of 330 pixels
    (with_sliders,) = [part for part in view.box.children if listed in everything(part)]
    assert set(view.controls.values()) <= set(everything(with_sliders))
    assert not re.search(r"1\.386|log|blur|−", " ".join(lines))
    named = {name.strip() for name in re.findall("<i>(.*?)</i>", listed.value)}
    names = {part.description for part in everything(view.box) if getattr(part, "description", "")}
    assert {name for name in named if not any(name in known for known in names)} == set()


def test_a_caption_is_one_sentence_and_stays(view):
    first, state = (view.caption, view.sentence.value), torch.manual_seed(5).get_state()
    move(view, **{name: slider.max for name, slider in sliders_of(view).items()})
    assert torch.equal(torch.get_rng_state(), state)  # it touches no other random numbers
    assert view.caption == first[0]
    assert view.sentence.value != first[1]
    assert re.fullmatch(r"[^.\n]+\.", view.caption)
    assert not set(re.findall(r"\d+", view.caption)) - {"25"}  # 25 images are always there


def test_the_playgrounds_keep_to_what_ipywidgets_7_knows(view):
    assert_known_to_ipywidgets_7(view.box)


SLIPS = {
    "a range": lambda view, _: view.controls["width"].set_trait("max", 3.0),
    "a start": lambda view, _: view.controls["centre"].set_trait("value", 2.0),
    "a name": lambda view, _: rows_of(view)["D = ½ at"][0].set_trait("description", "D = 1 at"),
    "a caption": lambda view, _: setattr(view, "caption", "The square is the largest V that a D can get."),
    "a task": lambda view, _: tasks_of(view)[0].set_trait("value", tasks_of(view)[0].value.replace("to 2", "to 3")),
    "a mark at another value": lambda _, figure: part(figure, "max V").set_ydata([-0.5]),
    "a note": lambda _, figure: figure.axes[2].texts[1].set_text("−1.386 = −log 2"),
}


@pytest.mark.parametrize("what", SLIPS)
def test_a_slip_in_a_playground_is_noticed(what):
    view, (figure,) = thing = staged("value_playground")
    SLIPS[what](view, figure)
    assert "value_playground is not what its sheet" in fault("value_playground", sheet(thing), recorded())


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAYGROUNDS)
def test_a_dark_style_changes_nothing_of_a_playground(name):
    with plt.style.context("dark_background"):
        dark = PLAYGROUNDS[name]().png
    assert dark == PLAYGROUNDS[name]().png


# The tasks: what a reader is asked to do can be done, and shows what the lesson's fold says.
TWINS = {}


def does(task):
    return lambda twin: TWINS.setdefault(task, twin)


def test_each_task_has_a_twin_that_does_it(made):
    tasks = [(re.sub("<.*?>", "", task), view) for (view, _), _ in made.values() for task in tasks_of(view)[1]]
    assert {task for task, _ in tasks} == set(TWINS), "write a twin, in this file, that does what the task says"
    for task, view in tasks:
        TWINS[task](view)


def test_a_lesson_counts_its_tasks():
    words = dict(zip(("two", "three", "four", "five"), range(2, 6)))
    modules = {module.__name__[-2:]: module for module in filter(public, MODULES)}
    for path in (path for path in anatomy.NOTEBOOKS.glob("[0-9]*.ipynb") if path.name[:2] in modules):
        module = modules[path.name[:2]]
        text = " ".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
        assert {words[word] for word in re.findall(rf"\b({'|'.join(words)}) tasks\b", text)} <= {len(module.TASKS)}


# Lesson 01.
# Distance, labels and draw; in the last, a line parts the painters, and one covariance is nearly singular.
PAINTINGS = [(2, 40, 1), (1, 10, 6), (1, 10, 4), (0, 20, 9), (4, 400, 6), (2, 6, 10)]
LABELS, DRAWS, SPREAD, STAR = (6, 10, 20, 40, 100, 200, 400), range(1, 11), np.array([[1, 0.6], [0.6, 1]]), (4, -4)
CELLS = special.ndtri((np.arange(600) + 0.5) / 600)  # equally probable
NEW = np.stack(np.meshgrid(CELLS, CELLS), -1).reshape(-1, 2) @ np.linalg.cholesky(SPREAD).T
PLANE = np.stack(np.meshgrid(np.linspace(-5.9, 5.9, 60), np.linspace(-4.9, 3.9, 45)), -1).reshape(-1, 2)


def models_of(view):
    """The numbers of the sentence, whose words are in the sheet."""
    names = ("distance", "labels", "draw", "logistic", "gaussians", "best", "p logistic", "p gaussians")
    numbers = map(float, re.findall(r"\d+\.?\d*", view.sentence.value))
    power = re.search(r"10⁻(\S+) times", view.sentence.value)[1].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))
    return dict(zip(names, numbers)) | {"power": -int(power)}


def models_over(view, **choices):
    """The same for each of several settings."""
    for values in itertools.product(*choices.values()):
        move(view, **dict(zip(choices, values)))
        yield models_of(view)


def drawn_of(figure):
    """The paintings of A and of B, the pieces of the boundary and of both rings, and the shades."""
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    pieces = [lines[name] for name in ("boundary", "_density of A", "_density of B")]
    pieces = [[piece[1:] for piece in np.split(xy, np.flatnonzero(np.isnan(xy[:, 0])))[1:-1]] for xy in pieces]
    return [lines["painter A"], lines["painter B"]], *pieces, figure.axes[0].collections[0].get_paths()


@models_stage
@pytest.mark.parametrize("place", PAINTINGS, ids=str)
def test_what_both_models_say_and_show_is_what_scipy_finds(stage, place):
    view, (figure,) = stage
    place = dict(zip(("distance", "labels", "draw"), place))
    move(view, **place, model="class Gaussians")
    found, (painters, loops, *rings, shades) = models_of(view), drawn_of(figure)
    assert {name: found[name] for name in place} == place
    assert [2 * len(points) for points in painters] == [place["labels"]] * 2
    fits = [stats.multivariate_normal(points.mean(0), np.cov(points.T)) for points in painters]

    def log_odds(x):
        return fits[1].logpdf(x) - fits[0].logpdf(x)

    half = np.array([place["distance"] / 2, 0])
    wrong = (log_odds(NEW - half) > 0).mean() / 2 + (log_odds(NEW + half) < 0).mean() / 2
    assert found["gaussians"] == pytest.approx(100 * wrong, abs=0.06)
    assert found["p gaussians"] == pytest.approx(special.expit(log_odds(STAR)), abs=0.00051)
    log_p = [special.logsumexp([fit.logpdf(x) for fit in fits]) for x in (STAR, fits[1].mean)]
    assert found["power"] == round((log_p[0] - log_p[1]) / math.log(10))
    for fit, both in zip(fits, rings, strict=True):
        heights = [fit.pdf(ring) / fit.pdf(fit.mean) for ring in both]
        np.testing.assert_allclose(heights, np.repeat([[0.5], [0.05]], 61, axis=1))
    inside = np.any([Path(loop).contains_points(PLANE) for loop in loops], axis=0)
    assert len(set((inside ^ (log_odds(PLANE) > 0))[abs(log_odds(PLANE)) > 0.1])) == 1
    assert shades == []

    move(view, model="logistic regression")
    assert models_of(view) == found
    _, (loop,), *rings, shades = drawn_of(figure)
    # The error of the line that is drawn. The star lies on the side of the more probable painter.
    start, end = loop[abs(loop[:, 0]) < 98][[600, 1000]]
    across = (end - start)[::-1] * (1, -1)
    across *= np.sign(across @ (STAR - start)) * np.sign(found["p logistic"] - 0.5)
    far = np.array([across @ (start - half), across @ (-start - half)]) / math.sqrt(across @ SPREAD @ across)
    assert found["logistic"] == pytest.approx(100 * stats.norm.cdf(far).mean(), abs=0.051)
    assert (len(shades), rings) == (10, [[], []])
    if place["labels"] > 6:
        x, y = np.concatenate(painters), np.repeat([-1, 1], len(painters[0]))
        w = optimize.minimize(lambda w: np.logaddexp(0, -y * (x @ w[:2] + w[2])).sum(), np.zeros(3)).x
        assert found["p logistic"] == pytest.approx(special.expit(STAR @ w[:2] + w[2]), abs=1e-3)
        tenths = 10 * special.expit(PLANE @ w[:2] + w[2])
        for k, shade in enumerate(shades):
            clear = abs(tenths - np.round(tenths)) > (0.1 if 0 < k < 9 else 0)
            assert (shade.contains_points(PLANE) == (np.floor(tenths) == k))[clear].all(), k


def test_marks_are_the_errors_here_and_pale_where_a_reader_has_been():
    view, (figure,) = staged("models_playground")
    places = [{}, {"draw": 2}, {"labels": 100}, {"distance": 3}, {"distance": 2, "labels": 6}]
    been = [models_of(view) for place in places if move(view, **place) is None]
    for name, key, aside in (("logistic regression", "logistic", 0.95), ("class Gaussians", "gaussians", 1.05)):
        at = [(aside * one["labels"], one[key]) for one in been if one["distance"] == 2]
        np.testing.assert_allclose(part(figure, f"_{name} before").get_xydata(), at, atol=0.051)
        np.testing.assert_allclose(part(figure, name).get_xydata(), at[-1:], atol=0.051)
    left, right = (line for ax in figure.axes for line in ax.lines if line.get_label() == "best rule")
    np.testing.assert_allclose(right.get_ydata(), 100 * stats.norm.cdf(-1.25))
    np.testing.assert_allclose(left.get_xydata() @ np.linalg.solve(SPREAD, (1, 0)), 0, atol=1e-12)


@pytest.mark.slow
@models_stage
def test_all_settings_of_the_models_give_numbers(view, monkeypatch):
    monkeypatch.setattr(view, "draw", lambda state: view.png)
    for found in models_over(view, distance=np.arange(9) / 2, labels=LABELS, draw=DRAWS):
        assert found["best"] == pytest.approx(100 * stats.norm.cdf(-found["distance"] / 1.6), abs=0.051)
        assert found["best"] <= min(found["logistic"], found["gaussians"])
        assert found["power"] <= -4  # the star is far from all data


@models_stage
def test_the_models_are_seen(stage):
    view, (figure,) = stage
    names = {"painter A": 50, "painter B": 50, "boundary": 300, "logistic regression": 30, "class Gaussians": 30}
    places = figure.axes[0].transData.transform([(-5, 3), (5, -2)]).round().astype(int)
    for model, more in (("logistic regression", {}), ("class Gaussians", {"_density of A": 150, "_density of B": 100})):
        move(view, model=model)
        for name, least in (names | more).items():
            assert pixels_like(view, part(figure, name)) > least, (model, name)
        tints = [pixels(view.png)[-y, x].tolist() for x, y in places]  # a pale green, a pale red, or white
        np.testing.assert_allclose(tints, 255 if more else [(214, 237, 233), (240, 211, 217)], atol=1)


@does("Set labels to 6. Which model errs less in most draws? And with 400?")
def few_and_many_labels(view):
    few, many = (list(models_over(view, labels=[labels], draw=DRAWS)) for labels in (6, 400))
    assert sum(one["logistic"] < one["gaussians"] for one in few) == 9
    assert all(max(one["logistic"], one["gaussians"]) < one["best"] + 0.5 for one in many)


@does("Set labels to 20. In which draws do the models disagree at the star?")
def find_a_quarrel(view):
    found = list(models_over(view, labels=[20], draw=DRAWS))
    assert [one["draw"] for one in found if one["p logistic"] > 0.999 > 0.001 > one["p gaussians"]] == [6, 7]
    assert sum(min(one["p logistic"], one["p gaussians"]) > 0.5 for one in found) == 8


@does("Set distance to 0. Do more labels help? Which model calls the star unusual?")
def nothing_to_tell_apart(view):
    for found in models_over(view, distance=[0], labels=LABELS, draw=(1, 6)):
        assert (found["logistic"], found["gaussians"], found["best"]) == (50, 50, 50)
        assert found["power"] < -8


def fit_of(view):
    numbers = map(float, re.findall(r"-?\d+\.\d+", view.sentence.value.replace("−", "-")))
    return dict(zip(("centre", "width", "own", "truth", "best", "missing"), numbers, strict=True))


@fit_stage
@pytest.mark.parametrize("place", [(-1.5, 2), (0.35, 0.85), (3, 0.4)], ids=str)
def test_a_fit_by_hand_is_what_scipy_finds(stage, place):
    view, (figure,) = stage
    move(view, centre=place[0], width=place[1])
    found, points = fit_of(view), part(figure, "20 points").get_xdata()
    own, truth, best = (stats.norm.logpdf(points, *model).mean() for model in (place, (0, 1), stats.norm.fit(points)))
    expected = dict(zip(found, (*place, own, truth, best, best - own)))
    assert found == pytest.approx(expected, abs=0.00101)
    assert found["missing"] == pytest.approx(found["best"] - found["own"], abs=1e-9)
    assert ("the mean of the points" in view.sentence.value) == (place == (0.35, 0.85))
    x, y = part(figure, "model").get_data()
    np.testing.assert_allclose(y, stats.norm.pdf(x, *place), atol=1e-12)
    stems = [points, 0 * points, points, stats.norm.pdf(points, *place)]
    np.testing.assert_allclose(part(figure, "_stems").get_xydata()[1:].reshape(-1, 6)[:, :4].T, stems, atol=1e-12)
    for there, height in part(figure, "with your width").get_xydata()[::15]:
        assert height == pytest.approx(stats.norm.logpdf(points, there, place[1]).mean())
    np.testing.assert_allclose(part(figure, "you").get_xydata(), [(place[0], max(own, -6))])
    assert part(figure, "you").get_marker() == ("s" if own > -6 else "v")
    for name in ("model", "20 points", "you", "with your width", "truth (unknown in practice)"):
        assert pixels_like(view, part(figure, name)) > 30, name


@does("Climb as high as you can. Is the best centre that of the truth?")
def climb(view):
    heights = {}
    for place in itertools.product((-0.05, 0, 0.15, 0.3, 0.35, 0.4, 1), (0.6, 0.8, 0.85, 0.9, 1)):
        move(view, centre=place[0], width=place[1])
        heights[place] = fit_of(view)["own"]
    assert max(heights, key=heights.get) == (0.35, 0.85)  # the centre of the truth is 0
    assert heights[0.35, 0.85] == fit_of(view)["best"]


# Lesson 02.
SLIDERS = {"centre": 3, "width": 1, "split": 0, "tilt": -1, "place": 0}
PLACES = [
    SLIDERS,
    {"centre": -1.2, "width": 0.6, "split": 1.5, "tilt": 0.7, "place": -0.4},
    {"centre": 0.3, "width": 2, "split": 0.2, "tilt": -0.3, "place": 4.1},
    {"centre": 5, "width": 0.5, "split": 0, "tilt": -5, "place": 2.4},  # p_g underflows on the left
    {"centre": 5, "width": 2, "split": 2, "tilt": 5, "place": -5},  # half of p_g reaches to 13
]
GRID = np.linspace(-25, 25, 2001)
at_places = pytest.mark.parametrize("place", PLACES, ids=str)


def numbers_of(view):
    """The sentence taken apart."""
    words = view.sentence.value.replace("−", "-")
    names = ("centre", "width", "split", "KL", "JSD", "top", "own", "missing")
    pattern = (
        r"p_g: centre (\S+), width (\S+), split (\S+)\. KL\(p‖p_g\) = (\S+), JSD = (\S+), max V = (\S+)\. "
        r"Your D gets V = (\S+), so (\S+) is missing\.( p_g lies on p, and no D does better than a coin\.)?"
    )
    *numbers, coin = re.fullmatch(pattern, words).groups()
    return {name: float(number) for name, number in zip(names, numbers, strict=True)} | {"coin": coin is not None}


def by_quadrature(centre, width, split, tilt, place):
    """KL, JSD, the best value and the value of the D by hand, from densities of scipy."""
    log_p = stats.norm.logpdf(GRID)
    log_q = np.logaddexp(*(stats.norm.logpdf(GRID, centre + side, width) for side in (-split, split))) - math.log(2)

    def value(logit):
        inside = np.exp(log_p) * special.log_expit(logit) + np.exp(log_q) * special.log_expit(-logit)
        return integrate.simpson(inside, x=GRID)

    top, own = value(log_p - log_q), value(tilt * (GRID - place))
    kl = integrate.simpson(np.exp(log_p) * (log_p - log_q), x=GRID)
    return {"KL": kl, "JSD": math.log(2) + top / 2, "top": top, "own": own, "missing": top - own}


def tops(**place):
    """max V for each centre that the slider can be set to."""
    return {c / 10: by_quadrature(**SLIDERS | place | {"centre": c / 10})["top"] for c in range(-50, 51)}


def pixels_like(view, line):
    """How many pixels near the data of a line have its colour."""
    picture = pixels(view.png).astype(int)
    colour = np.round(255 * np.array(to_rgb(line.get_color())))
    places = line.axes.transData.transform(line.get_xydata())
    places = places[line.axes.patch.contains_points(places, radius=20)]
    near = np.zeros(picture.shape[:2], bool)
    for x, y in places[abs(places - places.mean(0)).max(1) < 120].round().astype(int):
        near[len(near) - y - 9 : len(near) - y + 9, x - 9 : x + 9] = True
    return (near & (abs(picture - colour).max(-1) < 40)).sum()


def part(figure, label):
    """The line of the figure with this label; "_missing" leads from max V down to your V."""
    (found,) = [line for ax in figure.axes for line in ax.lines if line.get_label() == label]
    return found


@value_stage
@at_places
def test_what_is_said_and_drawn_is_what_quadrature_gives(stage, place):
    view, (figure,) = stage
    move(view, **place)
    found, exact, (centre, width, split, tilt, at) = numbers_of(view), by_quadrature(**place), place.values()
    assert (found["centre"], found["width"], found["split"]) == (centre, width, split)
    for name, number in exact.items():
        assert abs(found[name] - number) <= (0.00101 if name == "missing" else 0.00051), name
    assert found["missing"] == pytest.approx(found["top"] - found["own"], abs=1e-9)  # the reader can do the sum
    x = part(figure, "p").get_xdata()
    p, q = stats.norm.pdf(x), sum(stats.norm.pdf(x, centre + side, width) for side in (-split, split)) / 2
    curves = {"p": p, "p_g": q, "D": special.expit(tilt * (x - at)), "D*": np.where(abs(x) < 7, p / (p + q), math.nan)}
    for name, y in curves.items():
        line = part(figure, name)
        np.testing.assert_array_equal(line.get_xdata(), x)
        np.testing.assert_allclose(np.where(np.isnan(y), y, line.get_ydata()), y, atol=1e-12)
    own = max(exact["own"], -3)  # the marker stays in the picture
    np.testing.assert_allclose(part(figure, "max V").get_xydata(), [(centre, exact["top"])], atol=1e-6)
    np.testing.assert_allclose(part(figure, "your V").get_xydata(), [(centre, own)], atol=1e-6)
    np.testing.assert_allclose(
        part(figure, "_missing").get_xydata(), [(centre, exact["top"]), (centre, own)], atol=1e-6
    )
    # The caption: the cross is max V, the square your V, or a triangle where it lies far below.
    below = {"s": "square", "v": "triangle"}[part(figure, "your V").get_marker()]
    assert below == ("square" if exact["own"] > -3 else "triangle")
    # The curve is max V of the same p_g with other centres, and the cross lies on it.
    for there, height in part(figure, "max V for each centre").get_xydata()[::15]:
        assert height == pytest.approx(by_quadrature(**place | {"centre": there})["top"], abs=1e-6)
    assert np.interp(centre, *part(figure, "max V for each centre").get_data()) == pytest.approx(exact["top"], abs=5e-3)


@value_stage
def test_only_at_p_the_best_discriminator_is_a_coin(view):
    move(view, centre=0)
    for name, value in (("centre", 0.2), ("width", 1.2), ("split", 0.6)):
        assert numbers_of(view)["coin"]
        move(view, **{name: value})
        assert not numbers_of(view)["coin"]
        move(view, **{name: (SLIDERS | {"centre": 0})[name]})


@value_stage
def test_all_ends_of_all_sliders_give_numbers(view, monkeypatch):
    monkeypatch.setattr(view, "draw", lambda state: view.png)
    for ends in itertools.product(*((slider.min, slider.max) for slider in view.controls.values())):
        move(view, **dict(zip(view.controls, ends, strict=True)))
        found = numbers_of(view)
        assert all(map(math.isfinite, found.values()))
        assert -1.387 < found["top"] <= 0 <= found["JSD"] <= 0.694


@value_stage
def test_each_slider_moves_the_picture_and_back(view):
    first = view.png, view.sentence.value
    for name in view.controls:
        before = view.controls[name].value
        move(view, **{name: before + 0.5})
        assert view.png != first[0]
        assert view.sentence.value != first[1]
        move(view, **{name: before})
        assert (view.png, view.sentence.value) == first


@value_stage
def test_the_playground_shows_what_moves(stage):
    view, (figure,) = stage
    move(view, centre=-2, tilt=2, place=-1.5)
    # The cross of max V lies on a curve that has 20 of its colour there.
    for name, least in {"p_g": 50, "D": 50, "D*": 50, "max V for each centre": 300, "your V": 30, "max V": 50}.items():
        assert pixels_like(view, part(figure, name)) > least, name


@does("You are D: with tilt of D and D = ½ at, lift the square as near to the cross as you can.")
def lift_the_square(view):
    for centre in (3, -5, 0.4, 5):  # log p - log p_g is a straight line through 0, halfway between them
        move(view, centre=centre, tilt=-centre, place=centre / 2)
        assert "so 0.000 is missing" in view.sentence.value  # and not -0.000
    move(view, tilt=5)
    assert numbers_of(view)["missing"] > 1
    for other in ({"width": 0.5}, {"width": 2}, {"split": 1}):  # the fold: then no tilt and no place are enough
        found = [
            by_quadrature(**SLIDERS | other | {"tilt": tilt, "place": place})["missing"]
            for tilt, place in itertools.product(np.linspace(-5, 0, 11), np.linspace(0, 3, 7))
        ]
        assert min(found) > 0.003  # and none is above the cross


@does("You are G: with centre, lower the cross as far as you can. Where is p_g then?")
def lower_the_cross(view):
    of_centre = tops()
    lowest = min(of_centre, key=of_centre.get)
    move(view, centre=lowest)
    assert (lowest, numbers_of(view)["top"], numbers_of(view)["coin"]) == (0, -1.386, True)


@does("Set centre to 3 again, and tilt of D to 0. Compare your V with the cross of task 2.")
def fall_into_the_trap(view):
    assert SLIDERS["centre"] == 3
    move(view, centre=3, tilt=0)
    assert numbers_of(view)["own"] == round(min(tops().values()), 3) == -1.386
    assert numbers_of(view)["top"] == -0.333


@does("Set centre to 0 and split to 2. Which centre is best for G now? And with width 2?")
def split_p_g(view):
    move(view, centre=0, split=2)
    narrow, wide = tops(split=2), tops(split=2, width=2)
    assert 1.5 < abs(min(narrow, key=narrow.get)) < 2.5  # one half nearly on p
    move(view, width=2)
    assert min(wide, key=wide.get) == 0
    assert numbers_of(view)["top"] == round(min(wide.values()), 3) > -1.386


# Lesson 03.
MIDDLES = (np.arange(20_000) + 0.5) / 20_000
Z, X = special.ndtri(MIDDLES), stats.norm.ppf(MIDDLES, 2, 0.5)  # of the noise, and of the data
NOISE = NormalLatent(1, torch.float64)
CLICKS = ["step D", "step G", "both", "run", "start again"]


def players(G=(1, 16, 1), D=(1, 32, 32, 1), latent=NOISE, dtype=torch.float64, **settings):
    """The GAN that the playground trains, typed anew."""
    G = mlp(*G, activation=torch.nn.ELU, seed=384, dtype=dtype)
    D = mlp(*D, activation=lambda: torch.nn.LeakyReLU(0.2), seed=1384, dtype=dtype)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr, (0.0, 0.99)) for net, lr in ((G, 5e-3), (D, 2e-2)))
    return GAN(G, D, opt_G, opt_D, latent, **settings)


def trained(*clicks, seed=384, **settings):
    """The playground after some clicks, the states that it would have drawn, and its GANs."""
    states, gans = [], []
    view = training_playground(make=lambda seed: gans.append(players(**settings)) or gans[-1], seed=seed)
    picture = view.png
    view.draw = lambda state: states.append(state) or picture  # a tenth of the time
    click(view, *clicks)
    return view, states, gans


def click(view, *names):
    for name in names:
        view.controls[name].click()


def training_of(view):
    """The sentence taken apart."""
    names = ("D", "G", "W1", "floor", "own", "top", "on fakes")
    pattern = (
        r"Steps of D: (\S+), of G: (\S+)\. Wasserstein-1 distance of p_g to p: (\S+) "
        r"\(20,000 draws of p have (\S+)\)\. V = (\S+), max V = (\S+)\. Mean D on the fakes: (\S+)\."
    )
    numbers = re.fullmatch(pattern, view.sentence.value.replace("−", "-")).groups()
    return dict(zip(names, map(float, numbers), strict=True))


def weights(gan):
    return [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (gan.G, gan.D)]


def answers(net, x):
    with torch.no_grad():
        return net(torch.tensor(x)[:, None])[:, 0].numpy()


@pytest.mark.parametrize("clicks", [["step D"], 9 * ["step D"] + ["step G"], 4 * ["both"], ["run"]], ids=len)
def test_a_training_says_and_draws_what_its_networks_do(made, clicks):
    x = part(made["training_playground"][0][1][0], "p").get_xdata()
    view, states, (gan, *_) = trained(*clicks)
    found, state, fakes = training_of(view), states[-1], answers(gan.G, Z)
    slope = np.gradient(fakes, Z)
    assert slope.min() > 0  # so that each x has one z, and the density of G(z) is that of z over the slope
    p_of_fakes, p_g_of_fakes = stats.norm.pdf(fakes, 2, 0.5), stats.norm.pdf(Z) / slope
    p, p_g = stats.norm.pdf(x, 2, 0.5), np.interp(x, fakes, p_g_of_fakes, 0, 0)
    p_g_of_data = np.interp(X, fakes, p_g_of_fakes, 0, 0)
    p_of_data = stats.norm.pdf(X, 2, 0.5)
    heights = {name: state[name]["ydata"] for name in ("D", "D*", "p_g")}
    np.testing.assert_allclose(heights["D"], special.expit(answers(gan.D, x)), atol=1e-12)
    np.testing.assert_allclose(heights["p_g"], p_g, atol=0.05)
    drawn = ~np.isnan(heights["D*"])
    np.testing.assert_allclose(heights["D*"][drawn], (p / (p + p_g))[drawn], atol=0.04)
    assert drawn[p + p_g > 0.06].all()
    assert not drawn[p + p_g < 0.04].any()
    on_fakes, on_data = special.expit(answers(gan.D, fakes)), special.expit(answers(gan.D, X))
    exact = {
        "W1": stats.wasserstein_distance(fakes, X),
        "own": np.log(on_data).mean() + np.log1p(-on_fakes).mean(),
        "top": np.log(p_of_data / (p_of_data + p_g_of_data)).mean()
        + np.log(p_g_of_fakes / (p_of_fakes + p_g_of_fakes)).mean(),
        "on fakes": on_fakes.mean(),
    }
    for name, number in exact.items():
        assert found[name] == pytest.approx(number, abs=0.006), name
    # From each z a line to its fake, and there a wedge as the loss of G falls.
    z = special.ndtri((2 * np.arange(15) + 1) / 30)
    ends = state["_from z to x"]["xdata"].reshape(15, 3)
    np.testing.assert_allclose(ends[:, 0], z, atol=0.02)
    at = ends[:, 1]
    np.testing.assert_allclose(at, answers(gan.G, ends[:, 0]))
    np.testing.assert_array_equal(state["fakes x = G(z)"]["xdata"], at)
    before, after = (np.logaddexp(0, -answers(gan.D, at + shift)) for shift in (-1e-6, 1e-6))
    push = (before - after) / 2e-6
    wedges = state["push of the loss of G"]["verts"]
    np.testing.assert_allclose(wedges[:, :2, 0], np.stack([at, at], 1))
    np.testing.assert_allclose(wedges[:, 2, 0] - at, push / (abs(push) + 0.5), atol=1e-5)


def test_a_floor_is_the_distance_of_as_many_true_samples():
    floors = [training_of(training_playground(seed=seed))["floor"] for seed in range(4)]
    rng = np.random.default_rng(0)
    usual = [stats.wasserstein_distance(rng.normal(2, 0.5, 20_000), X) for _ in range(20)]
    assert min(usual) / 2 < min(floors) <= max(floors) < 2 * max(usual)


@pytest.mark.parametrize("settings", [{}, {"r1": 0.5, "d_steps": 2, "average": 0.9}], ids=str)
def test_a_click_is_algorithm_1(settings):
    view, _, (gan,) = trained(*3 * ["both"], "step D", "step G", **settings)
    same, rng = players(), torch.Generator().manual_seed(384)
    once = settings.get("d_steps", 1) * "D" + "G"
    for player in 3 * once + "DG":
        x, z = normal(2, 0.5).sample(256, rng), torch.randn(256, 1, dtype=torch.float64, generator=rng)
        if player == "D":
            x.requires_grad_()
            real = same.D(x)
            (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
            loss = -real.sigmoid().log().mean() - (1 - same.D(same.G(z).detach()).sigmoid()).log().mean()
            loss = loss + settings.get("r1", 0) / 2 * slope.square().mean()
        else:
            loss = -same.D(same.G(z)).sigmoid().log().mean()
        opt = same.opt_D if player == "D" else same.opt_G
        opt.zero_grad()
        loss.backward()
        opt.step()
    for own, other in zip(weights(gan), weights(same), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-9)
    assert (training_of(view)["D"], training_of(view)["G"]) == (3 * once.count("D") + 1, 4)
    # The fakes are those of G itself, also where an average is kept.
    assert training_of(view)["W1"] == pytest.approx(stats.wasserstein_distance(answers(same.G, Z), X), abs=0.006)


def test_each_button_moves_whom_it_names():
    view, states, (gan,) = trained()
    for name, moves in {"step D": (0, 1), "step G": (1, 0), "both": (1, 1)}.items():
        before, drawn = weights(gan), len(states)
        click(view, name)
        assert [not torch.equal(*pair) for pair in zip(before, weights(gan))] == [bool(move) for move in moves]
        assert len(states) == drawn + 1
    drawn = len(states)
    click(view, "run")  # live: a hundred rounds, in frames that a reader sees meanwhile
    assert len(states) == drawn + 25
    assert (training_of(view)["D"], training_of(view)["G"]) == (102, 102)


def test_a_reader_can_go_back_and_go_on():
    view, _ = staged("training_playground")
    click(view, "start again")
    first = view.png, view.sentence.value
    assert (view.controls["replay"].value, view.controls["replay"].max) == (0, 1)
    seen = [first]
    for name in ("step D", "both", "step G", "step D"):
        click(view, name)
        seen.append((view.png, view.sentence.value))
    assert len(set(seen)) == 5
    for k in (2, 0, 3, 4, 1):
        move(view, replay=k)
        assert (view.png, view.sentence.value) == seen[k]
    click(view, "step G")  # from the last frame, not from the one that is seen
    assert view.controls["replay"].value == view.controls["replay"].max == 5
    assert (training_of(view)["D"], training_of(view)["G"]) == (3, 3)
    click(view, "start again")
    assert (view.png, view.sentence.value) == first
    move(view, replay=1)  # there is no such frame yet
    assert (view.png, view.sentence.value) == first
    click(view, "step D")
    assert (view.png, view.sentence.value) == seen[1]  # the same numbers again
    assert training_playground().png == first[0]  # and what the lesson stores


def test_a_training_touches_no_other_random_numbers():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    view, *_ = trained(*CLICKS)
    assert torch.equal(torch.get_rng_state(), state)
    assert training_of(view)["D"] == 0


def test_frames_are_light():
    _, states, _ = trained("run")
    size = sum(np.asarray(value).nbytes for state in states for part in state.values() for value in part.values())
    assert size / len(states) < 12_000  # 600 rounds: 150 frames, less than 2 MB


def test_a_training_is_seen():
    view, (figure,) = staged("training_playground")
    for clicks, names in ((4 * ["step D"], ("D*", "D", "p_g")), (["run"], ("D*", "D", "p", "p_g"))):
        click(view, *clicks)
        for name in (*names, "fakes x = G(z)"):
            assert pixels_like(view, part(figure, name)) > 50, name
        black = (pixels(view.png)[-200:-120].astype(int).max(-1) < 60).sum()  # the wedges above the line of x
        assert black > 300


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_the_tasks_are_true_for_other_seeds(seed):
    view = training_playground(seed=seed)
    picture, states = view.png, []
    view.draw = lambda state: states.append(state) or picture
    first = train_D(view)
    apart = [abs(state["D"]["ydata"] - state["D*"]["ydata"]) for state in (states[0], states[-1])]
    assert np.nanmean(apart[1]) < np.nanmean(apart[0]) / 4
    train_G(view)
    train_both(view)
    click(view, *4 * ["run"])
    near = []
    for frame in range(50, 151):  # from round 200 to round 600
        move(view, replay=frame)
        near.append(training_of(view)["W1"])
    assert max(near) < 0.15
    assert first["G"] == 0


@does("Click step D ten times, while G rests. Which curve does D come close to?")
def train_D(view):
    click(view, "start again", "step D")
    before = training_of(view)
    click(view, *9 * ["step D"])
    found = training_of(view)
    assert (found["D"], found["G"]) == (10, 0)
    # The largest V belongs to D* alone.
    assert found["top"] - found["own"] < 0.2 < 0.5 < before["top"] - before["own"]
    assert (found["W1"], found["top"]) == (before["W1"], before["top"])
    return found


@does("Now step G thirty times, while D rests. Does D believe the fakes? Do they lie on p?")
def train_G(view):
    before = training_of(view)
    click(view, *30 * ["step G"])
    found = training_of(view)
    assert (found["D"], found["G"]) == (10, 30)
    assert before["on fakes"] < 0.2 < 0.6 < found["on fakes"]  # it believes them
    assert 0.3 < found["W1"] < before["W1"]  # and they lie elsewhere


@does("Click start again, then run twice. Where is p_g now? What does D say of the fakes?")
def train_both(view):
    click(view, "start again", "run", "run")
    found = training_of(view)
    assert (found["D"], found["G"]) == (200, 200)
    assert found["W1"] < 0.15
    assert abs(found["on fakes"] - 0.5) < 0.08
    assert found["own"] == pytest.approx(-2 * math.log(2), abs=0.03)


def test_other_data_and_a_float32_gan_are_drawn_too():
    dtype = torch.float32
    view = training_playground(
        Mixture((-1, 3), (0.5, 1)), lambda seed: players(latent=NormalLatent(1), dtype=dtype), batch=8
    )
    click(view, *CLICKS[:3])
    assert training_of(view)["D"] == 2
    assert len(pixels(view.png))


SCORES = "D gives logits, got scores: D* is a probability, take loss='non-saturating'"
REFUSED = {
    "z in the plane": (
        {"make": lambda seed: players((2, 16, 1), latent=NormalLatent(2, torch.float64))},
        ValueError,
        "make must build a GAN whose latent draws z (n, 1), got (4, 2) for n = 4: an arrow starts on a line, "
        "take NormalLatent(1)",
    ),
    "fakes in the plane": (
        {"make": lambda seed: players((1, 16, 2))},
        ValueError,
        "generator must make samples of the shape of the data, got (4, 2) beside (4, 1)",
    ),
    "two networks": (
        {"make": lambda seed: (players().G, players().D)},
        TypeError,
        "make must return a GAN, got tuple: return GAN(G, D, ...), not its networks",
    ),
    "scores": ({"make": lambda seed: players(loss="hinge")}, ValueError, f"make must build a GAN whose {SCORES}"),
    "two kinds of floats": ({"make": lambda seed: players(latent=NormalLatent(1))}, ValueError, "torch.float32"),
    "no quantiles": ({"target": Uniform()}, TypeError, "target must have quantiles, got Uniform"),
    "no batch": ({"batch": 0}, ValueError, "batch must be a whole number of at least 1, got 0"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_training_refuses_what_cannot_be_drawn(what):
    settings, error, words = REFUSED[what]
    with pytest.raises(error, match=re.escape(words)):
        training_playground(**settings)


# Lesson 04.
def latents(seed=0, n=2, latent_dim=10):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(25, latent_dim, generator=rng) for _ in range(n)]


P, Q, NEXT = latents(n=3)


def assert_shows(view, z):
    np.testing.assert_array_equal(pixels(view.png), enlarged(sample(z)))


@latent_stage
@pytest.mark.parametrize(
    ("t", "stretch", "path", "of_P", "of_Q"),
    [
        (0, 1, "round", 1, 0),
        (0.25, 1, "round", 0.9238795, 0.3826834),
        (0.5, 1, "round", 0.7071068, 0.7071068),
        (1, 3, "round", 0, 3),
        (1, 1, "straight", 0, 1),
        (0.25, 2, "straight", 1.5, 0.5),
        (0.6, 0, "straight", 0, 0),
    ],
)
def test_the_explorer_shows_and_says_where_it_is(view, t, stretch, path, of_P, of_Q):
    move(view, t=t, stretch=stretch, path=path)
    z = of_P * P + of_Q * Q
    np.testing.assert_allclose(pixels(view.png).astype(int), enlarged(sample(z)).astype(int), atol=1)
    seen, at_P, at_Q = (sample(latent).numpy() for latent in (z, P, Q))
    apart = [100 * np.abs(seen - other).mean() / 2 for other in (at_P, at_Q, np.roll(seen, 1, 0))]
    length = np.linalg.norm(z.numpy(), axis=1).mean()
    assert view.sentence.value == (
        f"At t = {t:.2f}, z is {length:.1f} long. The images differ by {apart[0]:.0f}% of full contrast "
        f"from those at P, {apart[1]:.0f}% from those at Q, {apart[2]:.0f}% from each other."
    )


def test_walk_on_starts_from_q_towards_a_new_q():
    view = latent_explorer(sample, 10)
    move(view, t=1)
    picture = view.png
    view.controls["walk on"].click()
    assert view.controls["t"].value == 0.0
    assert view.png == picture  # no jump: the walk goes on
    assert "differ by 0% of full contrast from those at P" in view.sentence.value
    move(view, t=1)
    assert_shows(view, NEXT)

    view = latent_explorer(sample, 10)
    view.controls["walk on"].click()  # at t = 0 no slider moves, and P is another one
    assert_shows(view, Q)


def test_a_seed_gives_a_walk_and_touches_no_other_random_numbers():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, same, other = (latent_explorer(sample, 10, seed=seed).png for seed in (1, 1, 2))
    assert first == same != other
    assert torch.equal(torch.get_rng_state(), state)


def said(view):
    """How long z is, and how far the images are from each other."""
    return [float(re.search(pattern, view.sentence.value)[1]) for pattern in (r"z is (\S+) long", r"(\d+)% from each")]


@does("Move t from 0 to 1, and watch one image. Does it jump anywhere?")
def walk(view):
    frames = []
    for step in range(21):
        move(view, t=step / 20)
        frames.append(pixels(view.png)[60, 60].astype(int))
    assert_shows(view, Q)
    steps = np.abs(np.diff(frames))
    assert steps.sum() > 10 * steps.max() > 0  # it never jumps


@does("What does G draw when z is twice as long? Guess first, then set stretch z by to 2.")
def stretch(view):
    move(view, t=0)
    length, pure = said(view)[0], [np.isin(pixels(view.png), range(20, 236)).mean()]
    move(view, stretch=2)
    pure.append(np.isin(pixels(view.png), range(20, 236)).mean())
    assert said(view)[0] == pytest.approx(2 * length, abs=0.11)
    assert pure[1] < pure[0]  # the fold: grey gets rare
    assert (view.controls["stretch"].min, view.controls["stretch"].max) == (0, 3)


@does("Set the stretch to 1 and t to 0.5. What changes when the path is straight?")
def straight(view):
    move(view, stretch=1, t=0.5)
    around = said(view)
    move(view, path="straight")
    assert said(view)[0] == pytest.approx(around[0] / math.sqrt(2), abs=0.11)  # the fold: shorter, and more alike
    assert said(view)[1] < around[1]


def test_no_gradient_is_kept():
    generator, seen = torch.nn.Linear(10, 2), []
    latent_explorer(lambda z: seen.append(generator(z)) or sample(seen[-1]), 10)
    assert [out.requires_grad for out in seen] == [False] * len(seen) != []


def test_the_explorer_refuses_what_it_cannot_walk():
    with pytest.raises(ValueError, match="sample must return one image for each z, 25, got 1"):
        latent_explorer(lambda z: sample(z)[:1], 10)
    with pytest.raises(ValueError, match=r"images must have shape"):
        latent_explorer(lambda z: torch.zeros(25, 784), 10)
    with pytest.raises(ValueError, match="latent_dim must be 1 or more, got 0"):
        latent_explorer(sample, 0)


# Lesson 05.
TREE = spatial.KDTree(CODES_OF.numpy())


def map_of(view):
    """The sentence taken apart: the place, how far it is from the middle, the digits of near codes, the nearest."""
    pattern = (
        r"z = \((\S+), (\S+)\) is (\S+) from the middle\. "
        r"Of the (\d+) nearest codes, (.*)\. The nearest is (\S+) away\."
    )
    x, y, far, n, listed, nearest = re.fullmatch(pattern, view.sentence.value.replace("−", "-")).groups()
    counts = {int(digit): int(of) for of, digit in re.findall(r"(\d+) (?:are )?of (?:an? )?(\d+)", listed)}
    assert sum(counts.values()) == int(n)
    return {"place": (float(x), float(y)), "far": float(far), "counts": counts, "nearest": float(nearest)}


def strengths(figure):
    """How dark the bar of each digit is in the decoded image, from 0 to 1."""
    return 1 - figure.axes[1].images[0].get_array()[5:25:2, 10].astype(float) / 255


def assert_shows_what_is_decoded(view, figure, place):
    """The square of the picture, a pixel for one of the image, and the star."""
    (image,), whole = figure.axes[1].images, pixels(view.png)
    box, (high, _, _) = image.get_window_extent(), whole.shape
    middles = (np.arange(28) + 0.5) / 28
    rows, columns = high - box.y1 + middles * box.height, box.x0 + middles * box.width
    seen = whole[np.ix_(rows.astype(int), columns.astype(int))]
    expected = 127.5 * (1 - decoded(torch.tensor([place]))[0, 0].numpy())
    np.testing.assert_allclose(seen, np.repeat(expected[..., None], 3, 2), atol=1)
    np.testing.assert_array_equal(part(figure, "z").get_xydata(), [place])
    x, y = figure.axes[0].transData.transform(place).round().astype(int)
    assert whole[high - y, x].tolist() == [0, 0, 0]


@map_stage
@pytest.mark.parametrize("place", [(1.55, -0.3), (0, 0), (-0.45, -1), (1.2, -0.9), (-3, 3), (2.95, -2.05)], ids=str)
def test_the_map_shows_and_says_what_is_near(stage, place):
    view, (figure,) = stage
    move(view, z1=place[0], z2=place[1])
    found = map_of(view)
    assert found["place"] == place
    assert found["far"] == pytest.approx(math.hypot(*place), abs=0.0051)
    lengths, which = TREE.query(place, 20)
    assert found["nearest"] == pytest.approx(lengths[0], abs=0.0051)
    assert found["counts"] == dict(zip(*(one.tolist() for one in np.unique(CODED[which], return_counts=True))))
    order = [(-n, digit) for digit, n in found["counts"].items()]
    assert order == sorted(order)  # the most frequent first
    assert_shows_what_is_decoded(view, figure, tuple(map(float, place)))


@map_stage
def test_the_map_words_its_counts_as_one_reads_them(view):
    move(view, z1=-0.45, z2=-1)
    assert "Of the 20 nearest codes, 11 are of 7s, 8 of 1s and 1 of a 9. The" in view.sentence.value
    few = map_explorer(decoded, [(0.0, 1), (0, 2), (0, 3)], [8, 8, 8])
    assert "Of the 3 nearest codes, 3 are of 8s. The" in few.sentence.value
    eight = map_explorer(decoded, [(0.0, 1), (0, 2), (0, 3)], [4, 4, 8])
    assert "Of the 3 nearest codes, 2 are of 4s and 1 of an 8. The" in eight.sentence.value


@map_stage
def test_only_the_star_of_the_map_moves(stage):
    view, (figure,) = stage
    move(view, z1=2, z2=2)
    before = pixels(view.png).astype(int)
    move(view, z1=-2.5)
    after = pixels(view.png).astype(int)
    edge = round(figure.axes[1].get_window_extent().x0) - 10
    changed = np.abs(after - before)[:, :edge].max(-1) > 0
    for x, y in figure.axes[0].transData.transform([(2, 2), (-2.5, 2)]).round().astype(int):
        star = (slice(len(changed) - y - 20, len(changed) - y + 20), slice(x - 20, x + 20))
        assert changed[star].sum() > 100
        changed[star] = False
    assert not changed.any()


def test_each_seed_starts_a_walk_at_its_own_draw_from_the_prior():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, same, other = (map_explorer(decoded, CODES_OF, CODED, seed=seed) for seed in (1, 1, 2))
    assert first.png == same.png != other.png
    assert torch.equal(torch.get_rng_state(), state)
    draws = {seed: torch.randn(2, generator=torch.Generator().manual_seed(seed)).numpy() for seed in range(500)}
    np.testing.assert_allclose(map_of(first)["place"], draws[1], atol=0.0251)  # at a step of the sliders
    far = next(seed for seed, z in draws.items() if abs(z).max() > 3)
    assert max(map(abs, map_of(map_explorer(decoded, CODES_OF, CODED, seed=far))["place"])) == 3  # where they end


def test_a_map_holds_all_codes():
    with unittest.mock.patch.dict(PLAYGROUNDS, {"wide": lambda: map_explorer(decoded, 3 * CODES_OF, CODED)}):
        _, (figure,) = staged("wide")
    (low, high), (lowest, highest) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert low == lowest == -high == -highest < -3 * CODES_OF.abs().max()


@does("Find a place between the 4s and the 9s. Is the digit there a 4, a 9, or neither?")
def between(_):
    view, (figure,) = staged("map_explorer")
    of_4, of_9 = (CODES_OF[digit == CODED].double().mean(0).numpy() for digit in (4, 9))
    clear = {}
    for share in (0, 0.25, 0.5, 0.75, 1):
        place = np.round(20 * (of_4 + share * (of_9 - of_4))) / 20
        move(view, z1=place[0], z2=place[1])
        clear[share] = strengths(figure)[[4, 9]]
    assert clear[0][0] > 0.8 > 0.2 > clear[0][1]  # a 4
    assert clear[1][1] > 0.8 > 0.2 > clear[1][0]  # a 9
    assert max(clear[0.5]) < 0.7  # neither
    move(view, z1=1.05, z2=-1.25)
    assert set(list(map_of(view)["counts"])[:2]) == {4, 9}


@does("Set z1 and z2 to 0, the middle of the prior. Which digit is there?")
def middle(view):
    move(view, z1=0, z2=0)
    found = map_of(view)
    assert (found["place"], found["far"]) == ((0, 0), 0)
    assert len(found["counts"]) == 10  # on this ring of digits it is none; in the lesson, the sentence names the digits


@does("Go to a corner, far beyond the dotted circle. Is there a digit, and is any code near?")
def corner(_):
    view, (figure,) = staged("map_explorer")
    for x, y in itertools.product((-3, 3), (-3, 3)):
        move(view, z1=x, z2=y)
        found = map_of(view)
        assert found["far"] > 4  # twice as far as the circle
        assert found["nearest"] > 1.5  # none is near
        assert strengths(figure).max() > 0.8  # and still there is a digit


def test_no_gradient_of_a_map_is_kept_and_one_image_is_asked_for():
    generator, seen = torch.nn.Linear(2, 10), []
    codes = CODES_OF.clone().requires_grad_()
    map_explorer(lambda z: seen.append(generator(z)) or decoded(z), codes, CODED)
    assert [out.requires_grad for out in seen] == [False] * len(seen) != []
    with pytest.raises(ValueError, match="generate must return one image for one z, got 2: pass a function of z"):
        map_explorer(lambda z: decoded(z.repeat(2, 1)), CODES_OF, CODED)
    with pytest.raises(ValueError, match=r"mu must have shape \(n, 2\), got \(120, 10\)"):
        map_explorer(decoded, torch.zeros(120, 10), CODED)


def blur_of(view):
    """The sentence taken apart: the share, the sharpness, and the difference in percent."""
    pattern = (
        r"At share (\S+), the digits are (\S+) times as sharp as real ones\. "
        r"They differ by (\S+)% of full contrast from those at 0\."
    )
    return dict(zip(("share", "sharp", "moved"), map(float, re.fullmatch(pattern, view.sentence.value).groups())))


@blur_stage
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.85, 1])
def test_the_blur_slider_shows_and_says_how_sharp_it_is(view, share):
    move(view, share=share)
    images = sharpened(share)
    np.testing.assert_array_equal(pixels(view.png), tile(images, 10).repeat(6, 0).repeat(6, 1))
    edges = [ndimage.laplace(image)[1:-1, 1:-1].var(ddof=1) for image in images[:, 0].double().numpy()]
    moved = np.abs(images.numpy() - sharpened(0).numpy()).mean() / 2
    assert blur_of(view) == pytest.approx(
        {"share": share, "sharp": np.mean(edges) / 0.3, "moved": 100 * moved}, abs=0.051
    )
    assert blur_of(view)["sharp"] == pytest.approx(np.mean(edges) / 0.3, abs=0.0051)


@does("Move share from 0 to 1, and watch one digit. Does it become another one?")
def watch_one(view):
    for share in np.arange(21) / 20:
        move(view, share=share)
        grid = pixels(view.png)[::6, ::6][1:, 1:].astype(int).reshape(3, 29, 10, 29).swapaxes(1, 2)[:, :, :28, :28]
        dark = grid.reshape(30, 28, 28) < 100
        for k in range(30):  # the ink stays in the place of its own square
            rows, columns = np.nonzero(dark[k]) if dark[k].any() else ([], [])
            assert not len(rows) or (min(rows) >= 5 + k % 10 - 2 and max(columns) <= 12 + k // 2 + 2)


@does("Is there a share at which the digits are as sharp as real ones?")
def as_sharp(view):
    ratios = {}
    for share in np.arange(21) / 20:
        move(view, share=share)
        ratios[share] = blur_of(view)["sharp"]
    assert list(ratios.values()) == sorted(ratios.values())
    assert min(ratios.values()) < 0.1 < 1 < max(ratios.values())
    assert min(ratios, key=lambda share: abs(ratios[share] - 1)) == 0.75


@does("Set share to 0.5, then to 1. Is half of the change done at 0.5?")
def half_way(view):
    found = {}
    for share in (0, 0.5, 1):
        move(view, share=share)
        found[share] = blur_of(view)
    assert found[0]["moved"] == 0 < found[0.5]["moved"] < found[1]["moved"]
    assert found[0.5]["moved"] > 0.55 * found[1]["moved"]  # here more than half
    assert found[0.5]["sharp"] - found[0]["sharp"] < 0.4 * (
        found[1]["sharp"] - found[0]["sharp"]
    )  # of the sharpness, less


def test_the_blur_slider_keeps_no_gradient_and_refuses_what_it_cannot_compare():
    weight, seen = torch.ones(1, requires_grad=True), []
    blur_slider(lambda share: seen.append(weight * sharpened(share)) or seen[-1], real_sharpness=0.3)
    assert [out.requires_grad for out in seen] == [False] * len(seen) != []
    with pytest.raises(ValueError, match="generate_at must return 30 images, three rows of ten, got 29"):
        blur_slider(lambda share: sharpened(share)[:29], real_sharpness=0.3)
    for wrong in (0, -0.1, math.nan):
        with pytest.raises(ValueError, match=f"real_sharpness must be positive, got {wrong}: it is metrics.sharpness"):
            blur_slider(sharpened, real_sharpness=wrong)


# Lesson 06.
def styles(seed=0, n=2, latent_dim=10):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(5, latent_dim, generator=rng) for _ in range(n)]


FROM, TO, AFTER = styles(n=3)


def grid_of(z, m):
    """Ten digits in the five styles z, row by row, each drawn by itself: its code has 1 - m, and m for the next."""
    rows = []
    for style in z:
        for digit in range(10):
            code = torch.zeros(1, 10)
            code[0, digit], code[0, (digit + 1) % 10] = 1 - m, m
            rows.append(barred(style[None], code))
    return torch.cat(rows)


def assert_shows_digits(view, z, m=0.0):
    whole = tile(grid_of(z, m), 10).repeat(6, 0).repeat(6, 1).astype(int)
    np.testing.assert_allclose(pixels(view.png).astype(int), whole, atol=1)


def shares(view):
    """How many of the digits are read as that of the column, and as the next one, in percent."""
    return [int(share) for share in re.findall(r"(\d+)%", view.sentence.value)]


@digit_stage
@pytest.mark.parametrize(
    ("t", "m", "of_first", "of_second"),
    [
        (0, 0, 1, 0),
        (0.25, 0.2, 0.9238795, 0.3826834),
        (0.5, 1, 0.7071068, 0.7071068),
        (0.75, 0.45, 0.3826834, 0.9238795),
        (1, 0.75, 0, 1),
    ],
)
def test_the_digit_explorer_shows_and_says_what_is_read(view, t, m, of_first, of_second):
    move(view, t=t, m=m)
    z = of_first * FROM + of_second * TO
    assert_shows_digits(view, z, m)
    further = int((z[:, 1] < 0).sum())  # rows whose lower half is dark: the judge reads one digit further
    asked_for, after = (5 - further, further) if m < 0.5 else (0, 5 - further)
    assert 0 < further < 5
    assert view.sentence.value == (
        f"At t = {t:.2f} and m = {m:.2f}, the judge reads {20 * asked_for}% as the digit of the column, "
        f"and {20 * after}% as the next one."
    )


def test_walk_on_starts_from_the_styles_that_it_came_to():
    view = digit_explorer(barred, bars_read, 10)
    move(view, t=1, m=0.25)
    picture = view.png
    view.controls["walk on"].click()
    assert (view.controls["t"].value, view.controls["m"].value) == (0, 0.25)
    assert view.png == picture  # no jump: the walk goes on
    assert "At t = 0.00 and m = 0.25" in view.sentence.value
    move(view, t=1)
    assert_shows_digits(view, AFTER, 0.25)

    view = digit_explorer(barred, bars_read, 10)
    view.controls["walk on"].click()  # at t = 0 no slider moves, and the first styles are others
    assert_shows_digits(view, TO)


def test_a_seed_gives_styles_and_touches_no_other_random_numbers():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, same, other = (digit_explorer(barred, bars_read, 10, seed=seed).png for seed in (1, 1, 2))
    assert first == same != other
    assert torch.equal(torch.get_rng_state(), state)


def test_no_gradient_of_digits_is_kept():
    generator, seen = torch.nn.Linear(10, 10), []
    digit_explorer(lambda z, code: seen.append(generator(z)) or barred(seen[-1], code), bars_read, 10)
    assert [out.requires_grad for out in seen] == [False] * len(seen) != []


def cells_of(view):
    """The picture as rows of ten digits, without the lines between them: (5, 10, 28, 28)."""
    picture = pixels(view.png)[::6, ::6].astype(int)
    return picture[1:, 1:].reshape(5, 29, 10, 29).swapaxes(1, 2)[:, :, :28, :28]


@does("Move t. Look along a row: what do its ten digits share, and what changes in all of them?")
def along_a_row(view):
    move(view, t=0, m=0)
    before = cells_of(view)
    move(view, t=0.6)
    after = cells_of(view)
    style, digit = (slice(None), slice(None), slice(20, None)), (slice(None), slice(None), slice(20), slice(20, None))
    for grid in (before, after):  # the fold: the style is shared along a row, the digit along a column
        assert (grid[style] == grid[style][:, :1]).all()
        assert (grid[digit] == grid[digit][:1]).all()
        assert len(np.unique(grid[digit][0].reshape(10, -1), axis=0)) == 10
    moved = np.abs(after - before)[style].max((2, 3))
    assert moved.min() > 0  # in all of them
    assert (after[digit] == before[digit]).all()


@does("Can you find a row of bold digits, or of slanted ones? Walk on, if not.")
def bold(_):
    view, darkest = digit_explorer(barred, bars_read, 10), []  # one of its own: a walk cannot go back
    for _ in range(8):
        darkest.append(cells_of(view)[:, :, 20:].mean((1, 2, 3)).min())  # black is 0
        view.controls["walk on"].click()
    assert len(set(darkest)) > 5  # other styles each time
    assert min(darkest) < darkest[0]


@does("Set m to 0.5: a label between a digit and the next one. What is half a 3 and half a 4?")
def half(view):
    move(view, t=0, m=0)
    assert sum(shares(view)) == 100
    bars = {m: [] for m in (0, 0.5, 1)}
    for m, seen in bars.items():
        move(view, m=m)
        seen += cells_of(view)[0, 3, 0:20:2, 24].tolist()  # the bars of the digits, in the column of 3
    assert np.argmin(bars[0]) == 3
    assert np.argmin(bars[1]) == 4
    assert bars[0.5][3] == bars[0.5][4] == pytest.approx(127.5, abs=1)  # both are half there, and neither is clear
    assert sorted(bars[0.5])[2:] == [255] * 8


def test_a_playground_fits_a_laptop_with_the_file_browser_open(made):
    """1366 x 768 leave 930 x 600 pixels to an output; measured in JupyterLab, a row of sliders is 32 pixels high."""
    for name, ((view, _), _) in made.items():
        width, height = (side / view.scale for side in pixels(view.png).shape[1::-1])
        rows = max(sum(int(part.layout.width[:-2]) for part in row) for row in rows_of(view).values())
        if name != "latent_explorer":  # the sliders stand above the picture
            assert width <= 930
            assert (1 + (name == "value_playground")) * rows + 280 <= 930  # columns of sliders, and the tasks
            above = 3 if name == "digit_explorer" else 5  # five lines of tasks are as high as three rows, nine as five
            assert above * 32 + height + 2 * 28 <= 600
        else:
            assert width + rows <= 930
            assert height + 2 * 28 <= 600
