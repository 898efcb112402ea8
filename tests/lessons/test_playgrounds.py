"""The playgrounds: what they draw and say is compared with adaptive quadrature and with the latents themselves."""

import itertools
import math
import re

import ipywidgets
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import integrate, stats
from views import assert_known_to_ipywidgets_7, enlarged, everything, pixels

from ganlib import plots
from ganlib.playgrounds import lesson_02
from ganlib.playgrounds.lesson_02 import value_playground
from ganlib.playgrounds.lesson_04 import latent_explorer


def sample(z):
    """The simplest generator: the first two numbers of z are the greys of the upper and the lower half."""
    return torch.tanh(z[:, :2]).repeat_interleave(14, 1)[:, None, :, None].expand(-1, 1, 28, 28)


def latents(seed=0, n=2, latent_dim=10):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(25, latent_dim, generator=rng) for _ in range(n)]


def assert_shows(view, z):
    np.testing.assert_array_equal(pixels(view.png), enlarged(sample(z)))


def test_the_explorer_walks_from_a_to_b():
    A, B = latents()
    view = latent_explorer(sample, 10)
    assert_shows(view, A)
    for t in (0.25, 0.5, 1.0):
        view.controls["t"].value = t
        assert_shows(view, math.cos(t * math.pi / 2) * A + math.sin(t * math.pi / 2) * B)
    view.controls["path"].value = "straight"
    assert_shows(view, B)
    view.controls["t"].value = 0.25
    assert_shows(view, 0.75 * A + 0.25 * B)
    view.controls["stretch"].value = 2.0
    assert_shows(view, 1.5 * A + 0.5 * B)


def test_walk_on_starts_from_b_towards_a_new_b():
    _, _B, C = latents(n=3)
    view = latent_explorer(sample, 10)
    view.controls["t"].value = 1.0
    picture = view.png
    view.controls["walk on"].click()
    assert view.controls["t"].value == 0.0
    assert view.png == picture  # no jump: the walk goes on
    view.controls["t"].value = 1.0
    assert_shows(view, C)


def test_a_seed_gives_a_walk_and_touches_no_other_random_numbers():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, same, other = (latent_explorer(sample, 10, seed=seed).png for seed in (1, 1, 2))
    assert first == same != other
    assert torch.equal(torch.get_rng_state(), state)


def test_the_sentence_says_what_is_seen():
    A, B = latents()
    view = latent_explorer(sample, 10)

    def numbers():
        pattern = (
            r"At t = (\S+), z is (\S+) long\. The images differ by (\d+)% of full contrast "
            r"from those at P, (\d+)% from those at Q, (\d+)% from each other\."
        )
        return [float(v) for v in re.fullmatch(pattern, view.sentence.value).groups()]

    t, length, from_A, from_B, from_others = numbers()
    gap = 50 * float((sample(A) - sample(B)).abs().mean())
    assert (t, from_A) == (0, 0)
    assert abs(length - A.norm(dim=1).mean()) < 0.06
    assert abs(from_B - gap) <= 0.5
    assert abs(from_others - 50 * float((sample(A) - sample(A.roll(1, 0))).abs().mean())) <= 0.5
    view.controls["t"].value = 1.0
    assert numbers()[2] == from_B
    assert numbers()[3] == 0
    view.controls["stretch"].value = 0.0
    assert numbers()[1] == 0
    assert numbers()[4] == 0


def test_the_middle_of_the_straight_path_is_short():
    view = latent_explorer(sample, 100)
    view.controls["t"].value = 0.5
    assert "z is 10." in view.sentence.value or "z is 9.9" in view.sentence.value
    view.controls["path"].value = "straight"
    assert "z is 7." in view.sentence.value


def rows_of(view):
    """The number and the slider of each row, by the name that is read out."""
    rows = [part.children for part in everything(view.box) if len(getattr(part, "children", ())) == 2]
    return {row[0].description: row for row in rows if isinstance(row[1], ipywidgets.FloatSlider)}


def test_each_slider_of_the_explorer_has_a_number_with_a_name():
    view = latent_explorer(sample, 10)
    rows = rows_of(view)
    assert list(rows) == ["t: P to Q", "stretch z by"]
    for (number, slider), name in zip(rows.values(), ("t", "stretch"), strict=True):
        assert slider is view.controls[name]
        number.value = 0.35
        assert slider.value == 0.35
        slider.value = 0.6
        assert number.value == 0.6
        assert (number.min, number.max) == (slider.min, slider.max)


def test_no_gradient_is_kept():
    generator = torch.nn.Linear(10, 2)
    seen = []

    def watched(z):
        seen.append(generator(z))
        return sample(seen[-1])

    latent_explorer(watched, 10)
    assert seen
    assert not any(out.requires_grad for out in seen)


def test_the_explorer_refuses_what_it_cannot_walk():
    with pytest.raises(ValueError, match="sample must return one image for each z, 25, got 1"):
        latent_explorer(lambda z: sample(z)[:1], 10)
    with pytest.raises(ValueError, match=r"images must have shape"):
        latent_explorer(lambda z: torch.zeros(25, 784), 10)
    with pytest.raises(ValueError, match="latent_dim must be 1 or more, got 0"):
        latent_explorer(sample, 0)


SLIDERS = {"centre": 3, "width": 1, "split": 0, "tilt": -1, "place": 0}
PLACES = [
    SLIDERS,
    {"centre": -1.2, "width": 0.6, "split": 1.5, "tilt": 0.7, "place": -0.4},
    {"centre": 0.3, "width": 2, "split": 0.2, "tilt": -0.3, "place": 4.1},
    {"centre": 5, "width": 0.5, "split": 0, "tilt": -5, "place": 2.4},  # p_g underflows on the left
    {"centre": 5, "width": 2, "split": 2, "tilt": 5, "place": -5},  # half of p_g reaches to 13
]


@pytest.fixture
def figures(monkeypatch):
    """The figures that the playground draws on."""
    made = []

    class Seen(Figure):
        def __init__(self, **settings):
            super().__init__(**settings)
            made.append(self)

    monkeypatch.setattr(lesson_02, "Figure", Seen)
    return made


def move(view, **to):
    for name, value in to.items():
        view.controls[name].value = value


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
    p, halves = stats.norm(), [stats.norm(centre + side, width) for side in (-split, split)]

    def log_q(x):
        return np.logaddexp(*(half.logpdf(x) for half in halves)) - math.log(2)

    def best(x):
        return p.logpdf(x) - log_q(x)

    def value(logit):
        return integral(lambda x: -p.pdf(x) * np.logaddexp(0, -logit(x)) - np.exp(log_q(x)) * np.logaddexp(0, logit(x)))

    def integral(f):
        return integrate.quad(f, -25, 25, points=[-5, 0, 5, *(half.mean() for half in halves), place], limit=500)[0]

    top, own = value(best), value(lambda x: tilt * (x - place))
    return {
        "KL": integral(lambda x: p.pdf(x) * best(x)),
        "JSD": math.log(2) + top / 2,
        "top": top,
        "own": own,
        "missing": top - own,
    }


def parts_of(figure):
    """The lines of the figure by their labels, and the one from max V down to your V."""
    found = {line.get_label(): line for ax in figure.axes for line in ax.lines}
    return found | {"missing": figure.axes[2].lines[1]}


def test_the_playground_starts_with_a_picture_and_its_sentence():
    view = value_playground()
    assert {name: slider.value for name, slider in view.controls.items()} == SLIDERS
    picture = pixels(view.png)
    assert picture.std() > 10
    assert view.picture.layout.width == f"{picture.shape[1] / lesson_02.SHARP:.0f}px"
    # Two normals of width 1, three apart: KL = 9/2; the JSD is a number from a table.
    own = round(by_quadrature(**SLIDERS)["own"], 3)
    assert numbers_of(view) == {
        **{"centre": 3, "width": 1, "split": 0, "KL": 4.5, "JSD": 0.527, "coin": False},
        **{"top": -0.333, "own": own, "missing": pytest.approx(-0.333 - own)},
    }
    assert own != -1.386  # else it would open in its own trap
    assert "-" not in view.sentence.value  # a minus sign is one


@pytest.mark.parametrize("place", PLACES)
def test_the_numbers_of_the_playground_are_those_of_adaptive_quadrature(place):
    view = value_playground()
    move(view, **place)
    found = numbers_of(view)
    for name, number in by_quadrature(**place).items():
        assert abs(found[name] - number) <= (0.00101 if name == "missing" else 0.00051), name
    assert found["missing"] == pytest.approx(found["top"] - found["own"], abs=1e-9)  # the reader can do the sum


def test_at_p_the_best_discriminator_is_a_coin():
    view = value_playground()
    assert not numbers_of(view)["coin"]
    move(view, centre=0, tilt=0)
    assert numbers_of(view) == {
        **{"centre": 0, "width": 1, "split": 0, "KL": 0, "JSD": 0, "coin": True},
        **{"top": -1.386, "own": -1.386, "missing": 0},
    }
    for name, value in (("centre", 0.2), ("width", 1.2), ("split", 0.6)):
        move(view, **{name: value})
        assert not numbers_of(view)["coin"]
        move(view, **{name: (SLIDERS | {"centre": 0})[name]})
        assert numbers_of(view)["coin"]


@pytest.mark.slow
def test_the_best_discriminator_can_be_found_by_hand():
    view = value_playground()
    for tenths in range(-50, 51, 4):
        # log p - log p_g of two normals of width 1 is a straight line through 0 halfway between them.
        move(view, centre=tenths / 10, tilt=-tenths / 10, place=tenths / 20)
        assert "so 0.000 is missing" in view.sentence.value  # and not -0.000
        assert numbers_of(view)["own"] == numbers_of(view)["top"]
    move(view, centre=3, tilt=-3, place=1.5)
    assert numbers_of(view)["missing"] == 0
    move(view, tilt=3)
    assert numbers_of(view)["missing"] > 1


@pytest.mark.slow
def test_all_ends_of_all_sliders_give_numbers():
    view = value_playground()
    size = pixels(view.png).shape
    for ends in itertools.product(*((slider.min, slider.max) for slider in view.controls.values())):
        place = dict(zip(view.controls, ends, strict=True))
        move(view, **place)
        found = numbers_of(view)
        assert {name: found[name] for name in ("centre", "width", "split")}.items() <= place.items()
        assert all(map(math.isfinite, found.values()))
        assert 0 <= found["JSD"] <= 0.694
        assert -1.387 < found["top"] <= 0
        assert found["missing"] == pytest.approx(found["top"] - found["own"], abs=1e-9)
        assert pixels(view.png).shape == size


@pytest.mark.slow
def test_each_slider_moves_the_picture_and_back():
    view = value_playground()
    move(view, tilt=-1)  # a flat D has no place
    first = view.png, view.sentence.value
    for name in view.controls:
        before = view.controls[name].value
        move(view, **{name: before + 0.5})
        assert view.png != first[0]
        assert view.sentence.value != first[1]
        move(view, **{name: before})
        assert (view.png, view.sentence.value) == first
    assert value_playground().png == value_playground().png


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_what_is_drawn_is_what_is_said(figures, place):
    view = value_playground()
    move(view, **place)
    parts, (centre, width, split, tilt, at) = parts_of(figures[0]), place.values()
    x = parts["p"].get_xdata()
    q = sum(stats.norm.pdf(x, centre + side, width) for side in (-split, split)) / 2
    np.testing.assert_allclose(parts["p"].get_ydata(), stats.norm.pdf(x), atol=1e-12)
    np.testing.assert_allclose(parts["p_g"].get_ydata(), q, atol=1e-12)
    seen = abs(x) < 7
    np.testing.assert_allclose(parts["D*"].get_ydata()[seen], (stats.norm.pdf(x) / (stats.norm.pdf(x) + q))[seen])
    np.testing.assert_allclose(parts["D"].get_ydata(), 1 / (1 + np.exp(-tilt * (x - at))), atol=1e-12)
    exact = by_quadrature(**place)
    np.testing.assert_allclose(parts["max V"].get_xydata(), [(centre, exact["top"])], atol=1e-6)
    own = max(exact["own"], -3)  # the marker stays in the picture
    np.testing.assert_allclose(parts["your V"].get_xydata(), [(centre, own)], atol=1e-6)
    ends = [(centre, exact["top"]), (centre, own)]
    np.testing.assert_allclose(parts["missing"].get_xydata(), ends, atol=1e-6)
    assert parts["your V"].get_marker() == ("s" if exact["own"] > -3 else "v")
    # The curve is max V of the same p_g with other centres, and the marker lies on it.
    curve = parts["max V for each centre"]
    for there, height in curve.get_xydata()[::20]:
        assert height == pytest.approx(by_quadrature(**place | {"centre": there})["top"], abs=1e-6)
    assert np.interp(centre, *curve.get_data()) == pytest.approx(exact["top"], abs=5e-3)
    assert figures[0].axes[2].get_ylim()[0] <= -3
    assert figures[0].axes[2].get_ylim()[1] >= 0


def test_the_playground_has_the_looks_of_the_course(figures):
    value_playground()
    parts = parts_of(figures[0])
    for name, role in {"p": "real", "p_g": "fake", "D": "D", "D*": "D*"}.items():
        assert parts[name].get_color() == plots.STYLE[role]["color"]
        assert parts[name].get_linestyle() == plots.STYLE[role]["linestyle"]
    for name, role in {"max V": "D*", "your V": "D", "max V for each centre": "D*"}.items():
        assert parts[name].get_color() == plots.STYLE[role]["color"]
    assert [parts[name].get_marker() for name in ("max V", "your V")] == ["x", "s"]
    above, below, right = figures[0].axes
    labels = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in figures[0].axes]
    assert list(map(set, labels)) == [{"D", "D*"}, {"p", "p_g"}, {"max V", "your V", "max V for each centre"}]
    heights = {round(line.get_ydata()[0], 9) for line in right.lines if line.get_linestyle() == ":"}
    assert {0, round(-math.log(4), 9)} <= heights
    assert (above.get_ylabel(), below.get_ylabel(), right.get_ylabel()) == ("D(x)", "density", "V(D, G)")


def test_the_playground_shows_what_moves(figures):
    view = value_playground()
    move(view, centre=-2, tilt=2, place=-1.5)
    picture, parts = pixels(view.png).astype(int), parts_of(figures[0])
    # Pixels of the right colour near the data; the cross of max V lies on a curve that has 20 of its colour there.
    for name, least in {"p_g": 50, "D": 50, "D*": 50, "max V for each centre": 300, "your V": 30, "max V": 50}.items():
        colour = np.array([int(parts[name].get_color()[k : k + 2], 16) for k in (1, 3, 5)])
        places = parts[name].axes.transData.transform(parts[name].get_xydata())
        near = np.zeros(picture.shape[:2], bool)
        for x, y in places[abs(places - places.mean(0)).max(1) < 120].round().astype(int):
            near[len(near) - y - 9 : len(near) - y + 9, x - 9 : x + 9] = True
        assert (near & (abs(picture - colour).max(-1) < 40)).sum() > least, name


def test_the_playground_leaves_no_figure_open():
    plt.close("all")
    view = value_playground()
    move(view, centre=1)
    assert plt.get_fignums() == []


def test_each_slider_of_the_playground_has_a_number_with_a_name():
    view = value_playground()
    named = rows_of(view)
    assert list(named) == ["centre", "width", "split", "tilt of D", "D = ½ at"]
    for (number, slider), (name, control) in zip(named.values(), view.controls.items(), strict=True):
        assert slider is control
        assert (number.min, number.max, number.step) == (slider.min, slider.max, slider.step)
        assert (number.min, number.max, number.step) == {"width": (0.5, 2, 0.1), "split": (0, 2, 0.1)}.get(
            name, (-5, 5, 0.1)
        )
        number.value = 0.7
        assert slider.value == 0.7
    assert view.sentence.value.startswith("p_g: centre 0.7, width 0.7, split 0.7.")
    above, *below = view.box.children
    assert below == [view.picture, view.sentence]
    heads = [column.children[0].value for column in above.children[:2]]
    assert heads == ["<b>You are G: move p_g</b>", "<b>You are D: tilt D</b>"]


PLAYGROUNDS = {"value": value_playground, "latent": lambda: latent_explorer(sample, 10)}


@pytest.mark.parametrize("make", PLAYGROUNDS.values(), ids=PLAYGROUNDS)
def test_numbers_are_rounded(make):
    for number, slider in rows_of(make()).values():
        slider.value = 7 * 0.1  # 0.7000000000000001
        assert slider.value != 0.7 == number.value


@pytest.mark.parametrize("make", PLAYGROUNDS.values(), ids=PLAYGROUNDS)
def test_a_caption_is_true_wherever_the_sliders_are(make):
    view = make()
    first = view.caption, view.sentence.value
    for control in view.controls.values():
        if isinstance(control, ipywidgets.FloatSlider):
            control.value = control.max / 2
    assert view.caption == first[0]
    assert view.sentence.value != first[1]
    assert re.fullmatch(r"[^.\n]+\.", view.caption)  # one sentence
    assert not set(re.findall(r"\d+", view.caption)) - {"25"}  # 25 images are always there


@pytest.mark.parametrize("make", PLAYGROUNDS.values(), ids=PLAYGROUNDS)
def test_tasks_stand_beside_the_sliders_and_keep_the_answers(make):
    view = make()
    (listed,) = [part for part in everything(view.box) if isinstance(part, ipywidgets.HTML) and "<ol" in part.value]
    lines = [re.sub("<.*?>", "", line) for line in re.findall("<li>(.*?)</li>", listed.value)]
    assert 3 <= len(lines) <= 4
    assert max(map(len, lines)) <= 95  # two lines of 330 pixels
    (with_sliders,) = [part for part in view.box.children if listed in everything(part)]
    assert set(view.controls.values()) <= set(everything(with_sliders))
    assert not re.search(r"1\.386|log|blur|−", " ".join(lines))
    named = {name.strip() for name in re.findall("<i>(.*?)</i>", listed.value)}
    names = {part.description for part in everything(view.box) if getattr(part, "description", "")}
    assert {name for name in named if not any(name in known for known in names)} == set()


def page(picture, scale=1.0):
    return [pixels_ / scale for pixels_ in pixels(picture).shape[1::-1]]


def test_a_playground_fits_a_laptop_with_the_file_browser_open():
    """1366 x 768 leave 930 x 600 pixels to an output; measured in JupyterLab, a row of sliders is 32 pixels high."""
    view = value_playground()
    width, height = page(view.png, view.scale)
    assert width <= 930
    assert 5 * 32 + height + 2 * 28 <= 600  # nine lines of tasks are as high as five rows; two lines of the sentence
    assert all(sum(int(part.layout.width[:-2]) for part in row) <= 290 for row in rows_of(view).values())
    view = latent_explorer(sample, 10)
    width, height = page(view.png, view.scale)
    assert height + 2 * 28 <= 600
    assert all(width + sum(int(part.layout.width[:-2]) for part in row) <= 930 for row in rows_of(view).values())


@pytest.mark.slow
def test_a_dark_style_changes_nothing_of_the_playground(monkeypatch):
    usual = value_playground().png
    with plt.style.context("dark_background"):
        assert value_playground().png == usual
        monkeypatch.setattr(lesson_02, "_stage", lesson_02._stage.__wrapped__)
        assert value_playground().png != usual


def test_the_legends_of_the_playground_stand_in_their_panels(figures):
    value_playground()
    (figure,) = figures
    renderer = figure.canvas.get_renderer()
    for ax in figure.axes:
        legend, frame = ax.get_legend().get_window_extent(renderer), ax.get_window_extent()
        assert frame.y1 <= legend.y0
        assert legend.y1 <= figure.bbox.y1
        assert frame.x0 - 2 <= legend.x0
        assert legend.x1 <= frame.x1 + 2


def test_both_curves_are_seen_where_d_is_the_best_one():
    view = value_playground()
    move(view, centre=3, tilt=-3, place=1.5)
    picture = pixels(view.png).astype(int)
    for name in ("D", "D*"):
        color = [int(plots.STYLE[name]["color"][k : k + 2], 16) for k in (1, 3, 5)]
        assert (abs(picture[:, : picture.shape[1] // 2] - color).max(-1) < 30).sum() > 500, name


def test_the_playgrounds_keep_to_what_ipywidgets_7_knows():
    for make in PLAYGROUNDS.values():
        assert_known_to_ipywidgets_7(make().box)
