"""What `show` displays of figures and widgets, and the view that a training loop redraws."""

import base64
import io
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image
from views import assert_known_to_ipywidgets_7, enlarged, images, pixels

from ganlib import plots
from ganlib.show import SHARP, View, facts, live_grid, live_seeds, png, show, slider, watch

CAPTION = "25 digits, four of them blurred."


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def displayed(monkeypatch):
    """The bundles that a notebook would receive."""
    calls = []
    monkeypatch.setattr("ganlib.show.get_ipython", object)
    monkeypatch.setattr("ganlib.show.display", lambda it, raw, metadata: calls.append((it, raw, metadata)))
    return calls


def shown(displayed):
    """The newest picture that a notebook would receive, in RGB."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(displayed[-1][0]["image/png"]))).convert("RGB"))


def test_a_figure_is_shown_once_with_its_sentence(displayed, capsys):
    figure = plots.image_grid(images()).figure
    show(figure, CAPTION)
    [(bundle, raw, metadata)] = displayed
    assert raw
    pixels = shown(displayed).shape
    size = {"width": round(pixels[1] / SHARP), "height": round(pixels[0] / SHARP)}  # sharp at a zoom of 150 %
    assert metadata == {"image/png": {"alt": CAPTION} | size}
    assert set(bundle) == {"image/png", "text/plain"}
    assert bundle["text/plain"] == f"{CAPTION}\naxes:\nothers: image (146, 146)"
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert capsys.readouterr().out == CAPTION + "\n"
    assert plt.get_fignums() == []  # closed, so that the notebook does not draw it again


def test_an_unchanged_figure_is_an_unchanged_file(displayed):
    for _ in range(2):
        show(plots.image_grid(images()).figure, CAPTION)
    first, second = (base64.b64decode(bundle["image/png"]) for bundle, _, _ in displayed)
    assert first == second
    assert b"matplotlib" not in first.lower()


def test_a_figure_keeps_the_texts_outside_its_axes(displayed):
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.text(1.02, 0.5, "a sentence beside the axes", transform=ax.transAxes)
    show(figure, CAPTION)
    ink = shown(displayed).min(axis=(0, 2)) < 250
    assert len(ink) > 4 * 96 * SHARP  # wider than the figure was asked to be
    assert not ink[-3:].any()  # nothing is cut


def test_the_colours_of_a_figure_stay_what_they_mean(displayed):
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.imshow(np.linspace(0, 1, 4096).reshape(64, 64))
    for k, look in enumerate(plots.STYLE.values()):
        ax.axhline(10 * k, color=look["color"], linewidth=1.5)
    file = io.BytesIO()
    figure.savefig(file, dpi=96 * SHARP, bbox_inches="tight")
    exact = np.asarray(Image.open(file).convert("RGB")).astype(int)
    show(figure, CAPTION)
    off = np.abs(shown(displayed) - exact).max(axis=2)
    assert off.max() <= 10  # 255 colours have to do


def test_a_figure_of_a_dark_style_stands_on_white_paper(displayed):
    with plt.style.context("dark_background"):
        show(plt.figure(), CAPTION)
    assert (shown(displayed)[0] == 255).all()


def test_a_grey_picture_is_stored_in_sixteen_greys(displayed):
    shades = torch.linspace(-1, 1, 25)[:, None, None, None].expand(25, 1, 28, 28)
    for thing in (plots.image_grid(shades).figure, live_grid(shades, "step 0")):
        show(thing, CAPTION)
        assert len(np.unique(shown(displayed))) == 16
    off = np.abs(shown(displayed)[:, :, 0].astype(int) - enlarged(shades))
    assert off.max() <= 8
    assert len(base64.b64decode(displayed[-1][0]["image/png"])) < 2000


def test_a_widget_is_followed_by_a_still_picture_of_its_own(displayed, capsys):
    view = live_grid(images(), "step 0")
    caption = 'Nine "fakes" & one < 1.'
    show(view, caption)
    (live, _, _), (still, _, metadata) = displayed
    assert live == {
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2,
            "version_minor": 0,
            "model_id": view.box.model_id,
        },
    }
    assert still.keys() == {"text/plain", "text/html", "image/png"}
    np.testing.assert_allclose(shown(displayed)[:, :, 0], pixels(view.png), atol=8)
    height, width = (side // 2 for side in pixels(view.png).shape)
    assert metadata == {"image/png": {"alt": caption, "width": width, "height": height}}
    assert f"data:image/png;base64,{still['image/png']}" in still["text/html"]
    assert f'alt="Nine &quot;fakes&quot; &amp; one &lt; 1." width="{width}"' in still["text/html"]
    assert capsys.readouterr().out == caption + "\n"


def test_the_still_picture_hides_beside_a_live_widget_alone(displayed):
    view = live_grid(images(), "step 0")
    show(view, CAPTION)
    html = displayed[-1][0]["text/html"]
    assert "ganlib-live" in view.box._dom_classes
    assert '<div class="ganlib-still">' in html
    child = ".jp-OutputArea-child"
    assert f"{child}:has(.ganlib-live) ~ {child}:has(.ganlib-still)" in html
    assert f"{child}:has(> .jp-OutputArea-output.jupyter-widgets):has(~ {child} .ganlib-still)" in html


@pytest.mark.parametrize("stopped", [False, True])
def test_a_watched_training_leaves_its_last_picture_also_when_it_is_stopped(displayed, capsys, stopped):
    view = live_grid(images(9, -1.0), "step 0")
    with pytest.raises(KeyboardInterrupt) if stopped else nullcontext(), watch(view, CAPTION):
        assert len(displayed) == 1  # the widget alone: there is nothing to keep yet
        view.update(images(9, 0.5), "step 1")
        if stopped:
            raise KeyboardInterrupt
    np.testing.assert_allclose(shown(displayed)[:, :, 0], enlarged(images(9, 0.5)), atol=8)
    assert capsys.readouterr().out == CAPTION + "\n"


def test_a_sharp_view_is_as_wide_as_its_scale_says(displayed):
    view = View(lambda value: png(np.full((10, 15), value, np.uint8)), 0, "black", scale=1.5)
    show(view, CAPTION)
    assert view.picture.layout.width == "60px"
    assert displayed[-1][2]["image/png"] == {"alt": CAPTION, "width": 60, "height": 40}


@pytest.mark.slow
def test_ipython_in_a_terminal_prints_the_sentence_once():
    program = (
        "import matplotlib; matplotlib.use('Agg')\nimport matplotlib.pyplot as plt\nfrom ganlib.show import show\n"
        f"show(plt.subplots()[0], {CAPTION!r})"
    )
    command = [sys.executable, "-m", "IPython", "--no-banner", "--quick", "-c", program]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert ran.stdout.count(CAPTION) == 1


def test_a_plain_program_prints_the_sentence_alone(capsys):
    view = live_grid(images(), "step 0")
    show(view, CAPTION)
    show(plots.image_grid(images()).figure, CAPTION)
    assert capsys.readouterr().out == 2 * (CAPTION + "\n")


RISING = np.linspace(0.25, 2.25, 9)


def named_curves(p=RISING):
    ax = plots.curves(range(9), {"p": p, "k": range(9)}, at={"here": 0.5}, ylabel="2.5 y")
    ax.set_title("0.5 or step 10")
    return ax.figure


def test_the_facts_of_curves():
    exact = """axes: 0.5 or step 10
x: x, linear, -0.4 to 8.4
y: 2.5 y, linear, -0.4 to 9.5
line p: real #3f90da - 2.5; 9 points (0, 0.25) (2, 0.75) (4, 1.25) (6, 1.75) (8, 2.25)
line k: #1f9e89 - 3.5; 9 points (0, 0) (2, 2) (4, 4) (6, 6) (8, 8)
others: #767676 : 1.2; 2 points (0.5, 0) (0.5, 1)
notes: here (0.5, 1)
legend: p: real #3f90da - 2.5 | k: #1f9e89 - 3.5"""
    trained = """axes: # or step #
x: x, linear
y: # y, linear
line p: real #3f90da - 2.5; 9 points
line k: #1f9e89 - 3.5; 9 points
others: #767676 : 1.2; 2 points (#, 0) (#, 1)
notes: here
legend: p: real #3f90da - 2.5 | k: #1f9e89 - 3.5"""
    assert facts(named_curves(), exact=True) == exact
    assert facts(named_curves(), exact=False) == trained


def test_the_facts_of_bars_shapes_and_named_rows():
    axes = plots.slope_shares({"a": [1, 1, 1], "b": [4, 5, 6]}, {"m": [0.5] * 6})
    assert "bars slope: b: #b0102e ...; 60 bars, sum 1.5 about 5" in facts(axes[0].figure, exact=True)
    assert "others: fake #e76300 | fake #e76300\nnotes: 50.0 % of the slope (1, 3)" in facts(axes[0].figure, exact=True)
    assert "bars slope: b: #b0102e ...; 60 bars\n" in facts(axes[0].figure, exact=False)
    figure = plots.dot_plot({"one": [1], "two": [2, 3]}, xscale="log", xlabel="q").figure
    assert "x: q, log\ny: , linear; one; two\nothers: #b0102e 1.5 o; 1 points (1, 0) | " in facts(figure, exact=False)


def plane(slope=0.5, width=1.0, names=("a", "b"), error=0.0, turn=1):
    """A shade, two lines of a density and a straight boundary through the middle of the grid."""
    x, y = np.linspace(-2, 2, 25), np.linspace(-1, 1, 13)
    p = 1 / (1 + np.exp(slope * y[:, None] - x)) + error
    density = np.exp(-8 * y[:, None] ** 2 - x**2 / width)
    return plots.plane(
        {name: [(0, 1)] for name in names}, shade=(x, y, p[::turn]), contours={"b": (x, y, density)}, boundary=(x, y, p)
    ).figure


def test_the_facts_of_a_plane():
    found = facts(plane(), exact=True)
    nine = [1 / (1 + np.exp(y / 2 - x)) for y in (-2 / 3, 0, 2 / 3) for x in (-4 / 3, 0, 4 / 3)]
    assert f"others: shade #c7e7e2 to #ebc3cb (13, 25) ({', '.join(f'{p:.4g}' for p in nine)}) | " in found
    assert "| #b0102e -- 1.7, contour 0.05 (-0.8333, -0.555) " in found
    assert "| #000000 - 2, contour 0.5 (0.5, 1) (0.25, 0.5) (0, 0) (-0.25, -0.5) (-0.5, -1)\n" in found
    others = (plane(slope=0.4), plane(width=1.1), plane(names=("b", "a")), plane(turn=-1))
    assert len({found, *(facts(figure, exact=True) for figure in others)}) == 5
    assert {facts(plane(error=e), exact=True) for e in (1e-15, -1e-15)} == {found}  # where the line meets the grid
    trained = facts(plane(), exact=False)
    assert "shade #c7e7e2 to #ebc3cb (13, 25) | #b0102e -- 1.7, contour | #000000 - 2, contour\n" in trained


def test_facts_are_the_same_where_arithmetic_differs_a_little():
    for p in (1.0005, 0.12345, 5e-7, 0):
        assert len({facts(named_curves(np.full(9, p + e)), exact=True) for e in (0, 1e-14, -1e-14)}) == 1


@pytest.mark.parametrize(("dtype", "exact", "shown"), [(64, None, True), (32, None, False), (32, True, True)])
def test_decimals_are_stored_where_they_agree(displayed, dtype, exact, shown):
    torch.set_default_dtype(getattr(torch, f"float{dtype}"))
    try:
        show(named_curves(), CAPTION, exact=exact)
    finally:
        torch.set_default_dtype(torch.float32)
    assert ("0.25" in displayed[0][0]["text/plain"]) is shown


@pytest.mark.parametrize("caption", ["no stop", "two.\nlines.", None])
def test_the_caption_is_a_sentence(displayed, caption):
    with pytest.raises(ValueError, match="caption must be one sentence that ends with a full stop"):
        show(plots.image_grid(images()).figure, caption)
    assert not displayed


def test_show_refuses_what_it_cannot_show(displayed):
    with pytest.raises(TypeError, match="thing must be a Figure or a View, got "):
        show(plots.image_grid(images()), CAPTION)
    with pytest.raises(TypeError, match="thing must be a View, got Figure"), watch(plt.figure(), CAPTION):
        pass
    with pytest.raises(ValueError, match="caption must be one sentence"), watch(live_grid(images(), "a"), "no stop"):
        pass
    assert not displayed


def test_a_live_grid_shows_the_newest_images_and_sentence():
    view = live_grid(images(10, -1.0), "step 0: noise", columns=5)
    assert view.box.children == (view.picture, view.sentence)
    for value, step in ((-1.0, 0), (1.0, 500)):
        view.update(images(10, value), f"step {step}: D < 1 & G")
        np.testing.assert_array_equal(pixels(view.png), enlarged(images(10, value)))
        assert view.sentence.value == f"step {step}: D &lt; 1 &amp; G"
    assert view.picture.layout.width == f"{3 * (5 * 29 + 1)}px"
    assert view.picture.layout.align_self == "flex-start"


def test_live_seeds_are_filled_once_they_are_judged():
    x, p = torch.linspace(-4, 4, 9), torch.ones(9) / 8
    rows, good = {"a": torch.zeros(50, 3), "b": torch.tensor([[-2.0, 0, 2]]).repeat(50, 1)}, {}
    view = live_seeds(rows, "step 0", x=x, p=p, good=good)
    plt.close("all")
    for name in ("a", "b"):
        good[name] = [False, True, name == "a"]
        rows = {"a": rows["b"], "b": rows["a"]}
        view.update(rows, "step 20")
        assert plt.get_fignums() == []  # its own are closed
        figure, file = plots.seed_rows(rows, x, p, good=good).figure, io.BytesIO()
        figure.savefig(file, dpi=96 * SHARP)
        np.testing.assert_array_equal(pixels(view.png), pixels(file.getvalue()))
        plt.close(figure)
    assert_known_to_ipywidgets_7(view.box)


def test_a_bad_image_leaves_the_last_picture():
    view = live_grid(images(4), "step 0")
    before = view.png, view.sentence.value
    with pytest.raises(ValueError, match=r"images must lie in \[-1, 1\]"):
        view.update(images(4, 255.0), "step 1")
    assert (view.png, view.sentence.value) == before


def test_a_slider_and_its_number_are_one_value():
    control, row = slider("width", 1.0, 0.5, 2.0)
    number, same = row.children
    assert same is control
    assert number.description == "width"
    for moved, follows, value in ((control, number, 1.75), (number, control, 0.6), (control, number, 0.65)):
        moved.value = value
        assert follows.value == value
    control.value = 0.1 + 0.7 + 0.1  # 0.8999999999999999
    assert repr(number.value) == "0.9"


def test_a_live_grid_keeps_to_what_ipywidgets_7_knows():
    assert_known_to_ipywidgets_7(live_grid(images(), "step 0").box)
