"""The playgrounds: what they draw and say is compared with quadrature by scipy and with the latents themselves."""

import importlib
import itertools
import math
import pkgutil
import re

import anatomy
import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from gallery import PLAYGROUNDS, fault, public, recorded, sample, sheet, staged
from matplotlib import pyplot as plt
from scipy import integrate, special, stats
from views import assert_known_to_ipywidgets_7, enlarged, everything, pixels

from ganlib import playgrounds
from ganlib.playgrounds.lesson_02 import value_playground
from ganlib.playgrounds.lesson_04 import latent_explorer

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
        assert control.value == value, f"{name} cannot be set to {value}: it goes from {control.min} to {control.max}"
        steps = (value - control.min) / control.step if isinstance(value, (int, float)) else 0
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
value_stage, latent_stage = only["value_playground"], only["latent_explorer"]


@pytest.fixture
def view(stage):
    return stage[0]


# What holds of every playground.
def test_a_playground_is_what_its_sheet_says(stage, request):
    name = request.node.callspec.params["stage"]
    wrong = fault(name, sheet(stage), recorded())
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
        number.value = 0.7
        assert slider.value == 0.7
        slider.value = 6 * 0.1  # 0.6000000000000001
        assert slider.value != 0.6 == number.value  # a number is rounded
    assert view.box.children[-1] is view.sentence


def tasks_of(view):
    (listed,) = [part for part in everything(view.box) if isinstance(part, ipywidgets.HTML) and "<ol" in part.value]
    return listed, re.findall("<li>(.*?)</li>", listed.value)


def test_tasks_stand_beside_the_sliders_and_keep_the_answers(view):
    listed, tasks = tasks_of(view)
    lines = [re.sub("<.*?>", "", line) for line in tasks]
    assert 3 <= len(lines) <= 4
    assert max(map(len, lines)) <= 95  # two lines of 330 pixels
    (with_sliders,) = [part for part in view.box.children if listed in everything(part)]
    assert set(view.controls.values()) <= set(everything(with_sliders))
    assert not re.search(r"1\.386|log|blur|−", " ".join(lines))
    named = {name.strip() for name in re.findall("<i>(.*?)</i>", listed.value)}
    names = {part.description for part in everything(view.box) if getattr(part, "description", "")}
    assert {name for name in named if not any(name in known for known in names)} == set()


def test_a_caption_is_one_sentence_and_stays(view):
    first = view.caption, view.sentence.value
    move(view, **{name: slider.max for name, slider in sliders_of(view).items()})
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
    for module in filter(public, MODULES):
        (path,) = anatomy.NOTEBOOKS.glob(f"{module.__name__[-2:]}_*.ipynb")
        text = " ".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
        assert {words[word] for word in re.findall(rf"\b({'|'.join(words)}) tasks\b", text)} <= {len(module.TASKS)}


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
    picture = pixels(view.png).astype(int)
    # Pixels of the right colour near the data; the cross of max V lies on a curve that has 20 of its colour there.
    for name, least in {"p_g": 50, "D": 50, "D*": 50, "max V for each centre": 300, "your V": 30, "max V": 50}.items():
        line = part(figure, name)
        colour = np.array([int(line.get_color()[k : k + 2], 16) for k in (1, 3, 5)])
        places = line.axes.transData.transform(line.get_xydata())
        near = np.zeros(picture.shape[:2], bool)
        for x, y in places[abs(places - places.mean(0)).max(1) < 120].round().astype(int):
            near[len(near) - y - 9 : len(near) - y + 9, x - 9 : x + 9] = True
        assert (near & (abs(picture - colour).max(-1) < 40)).sum() > least, name


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


@pytest.mark.slow
@value_stage
def test_a_dark_style_changes_nothing_of_the_playground(view):
    usual = view.png
    with plt.style.context("dark_background"):
        assert value_playground().png == usual


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


def test_a_playground_fits_a_laptop_with_the_file_browser_open(made):
    """1366 x 768 leave 930 x 600 pixels to an output; measured in JupyterLab, a row of sliders is 32 pixels high."""
    for name, ((view, _), _) in made.items():
        width, height = (side / view.scale for side in pixels(view.png).shape[1::-1])
        rows = max(sum(int(part.layout.width[:-2]) for part in row) for row in rows_of(view).values())
        if name == "value_playground":  # the sliders stand above the picture
            assert width <= 930
            assert rows <= 290
            assert 5 * 32 + height + 2 * 28 <= 600  # nine lines of tasks are as high as five rows
        else:
            assert width + rows <= 930
            assert height + 2 * 28 <= 600
