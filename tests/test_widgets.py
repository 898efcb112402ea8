import base64
import io
import math
import re

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from ganlib import plots, widgets

CAPTION = "25 digits, four of them blurred."


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def displayed(monkeypatch):
    """The bundles that a notebook would receive."""
    calls = []
    monkeypatch.setattr(widgets, "get_ipython", object)
    monkeypatch.setattr(widgets, "display", lambda it, raw, metadata: calls.append((it, raw, metadata)))
    return calls


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def shown(displayed):
    """The newest picture that a notebook would receive, in RGB."""
    png = base64.b64decode(displayed[-1][0]["image/png"])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def images(n=25, value=0.0):
    return torch.full((n, 1, 28, 28), value)


def sample(z):
    """The simplest generator: the first two numbers of z are the greys of the upper and the lower half."""
    return torch.tanh(z[:, :2]).repeat_interleave(14, 1)[:, None, :, None].expand(-1, 1, 28, 28)


def latents(seed=0, n=2, latent_dim=10):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(25, latent_dim, generator=rng) for _ in range(n)]


def enlarged(images):
    return plots.tile(images, 5).repeat(3, 0).repeat(3, 1)


def assert_shows(view, z):
    np.testing.assert_array_equal(pixels(view.png), enlarged(sample(z)))


def test_a_figure_is_shown_once_with_its_sentence(displayed, capsys):
    figure = plots.image_grid(images()).figure
    widgets.show(figure, CAPTION)
    [(bundle, raw, metadata)] = displayed
    assert raw
    assert metadata == {"image/png": {"alt": CAPTION}}
    assert set(bundle) == {"image/png", "text/plain"}
    assert bundle["text/plain"] == CAPTION
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert capsys.readouterr().out == CAPTION + "\n"
    assert plt.get_fignums() == []  # closed, so that the notebook does not draw it again


def test_an_unchanged_figure_is_an_unchanged_file(displayed):
    for _ in range(2):
        widgets.show(plots.image_grid(images()).figure, CAPTION)
    first, second = (base64.b64decode(bundle["image/png"]) for bundle, _, _ in displayed)
    assert first == second
    assert b"matplotlib" not in first.lower()


def test_a_figure_keeps_the_texts_outside_its_axes(displayed):
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.text(1.02, 0.5, "a sentence beside the axes", transform=ax.transAxes)
    widgets.show(figure, CAPTION)
    ink = shown(displayed).min(axis=(0, 2)) < 250
    assert len(ink) > 4 * 90  # wider than the figure was asked to be
    assert not ink[-3:].any()  # nothing is cut


def test_the_colours_of_a_figure_stay_what_they_mean(displayed):
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.imshow(np.linspace(0, 1, 4096).reshape(64, 64))
    for k, look in enumerate(plots.STYLE.values()):
        ax.axhline(10 * k, color=look["color"], linewidth=1.5)
    file = io.BytesIO()
    figure.savefig(file, dpi=90, bbox_inches="tight")
    exact = np.asarray(Image.open(file).convert("RGB")).astype(int)
    widgets.show(figure, CAPTION)
    assert np.array_equal(shown(displayed), exact)


def test_a_grey_figure_is_stored_in_one_channel(displayed):
    widgets.show(plots.image_grid(images()).figure, CAPTION)
    assert Image.open(io.BytesIO(base64.b64decode(displayed[0][0]["image/png"]))).mode == "L"


def test_a_widget_is_shown_with_a_picture_for_viewers_without_a_kernel(displayed, capsys):
    view = widgets.live_grid(images(), "step 0")
    widgets.show(view.box, CAPTION, first_frame=view.png)
    [(bundle, raw, metadata)] = displayed
    assert raw
    assert metadata == {"image/png": {"alt": CAPTION}}
    assert bundle["text/plain"] == CAPTION
    assert bundle["application/vnd.jupyter.widget-view+json"] == {
        "version_major": 2,
        "version_minor": 0,
        "model_id": view.box.model_id,
    }
    assert base64.b64decode(bundle["image/png"]) == view.png
    assert capsys.readouterr().out == CAPTION + "\n"


def test_a_plain_program_prints_the_sentence_alone(capsys):
    view = widgets.live_grid(images(), "step 0")
    widgets.show(view.box, CAPTION, first_frame=view.png)
    widgets.show(plots.image_grid(images()).figure, CAPTION)
    assert capsys.readouterr().out == 2 * (CAPTION + "\n")


@pytest.mark.parametrize("caption", ["no stop", "", "two.\nlines.", None])
def test_the_caption_is_a_sentence(displayed, caption):
    with pytest.raises(ValueError, match="caption must be one sentence that ends with a full stop"):
        widgets.show(plots.image_grid(images()).figure, caption)
    assert not displayed


def test_show_refuses_what_it_cannot_show(displayed):
    view = widgets.live_grid(images(), "step 0")
    with pytest.raises(ValueError, match=r"first_frame must be the PNG .* got None: pass view\.png"):
        widgets.show(view.box, CAPTION)
    with pytest.raises(ValueError, match="first_frame is for widgets"):
        widgets.show(plots.image_grid(images()).figure, CAPTION, first_frame=view.png)
    for thing in (plots.image_grid(images()), view, "a string"):
        with pytest.raises(TypeError, match="thing must be a matplotlib Figure or a widget, got "):
            widgets.show(thing, CAPTION)
    assert not displayed


def test_a_live_grid_shows_the_newest_images_and_sentence():
    view = widgets.live_grid(images(10, -1.0), "step 0: noise", columns=5)
    assert view.box.children == (view.picture, view.sentence)
    for value, step in ((-1.0, 0), (1.0, 500)):
        view.update(images(10, value), f"step {step}: D < 1 & G")
        np.testing.assert_array_equal(pixels(view.png), enlarged(images(10, value)))
        assert view.sentence.value == f"step {step}: D &lt; 1 &amp; G"
    assert view.picture.layout.width == f"{3 * (5 * 29 + 1)}px"
    assert view.picture.layout.align_self == "flex-start"


def test_a_bad_image_leaves_the_last_picture():
    view = widgets.live_grid(images(4), "step 0")
    before = view.png, view.sentence.value
    with pytest.raises(ValueError, match=r"images must be floats in \[-1, 1\]"):
        view.update(images(4, 255.0), "step 1")
    assert (view.png, view.sentence.value) == before


def test_the_explorer_walks_from_a_to_b():
    A, B = latents()
    view = widgets.latent_explorer(sample, 10)
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
    view = widgets.latent_explorer(sample, 10)
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
    first, same, other = (widgets.latent_explorer(sample, 10, seed=seed).png for seed in (1, 1, 2))
    assert first == same != other
    assert torch.equal(torch.get_rng_state(), state)


def test_the_sentence_says_what_is_seen():
    A, B = latents()
    view = widgets.latent_explorer(sample, 10)

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
    view = widgets.latent_explorer(sample, 100)
    view.controls["t"].value = 0.5
    assert "z is 10." in view.sentence.value or "z is 9.9" in view.sentence.value
    view.controls["path"].value = "straight"
    assert "z is 7." in view.sentence.value


def test_each_slider_has_a_number_with_a_name_beside_it():
    view = widgets.latent_explorer(sample, 10)
    for row, name in zip(view.box.children, ("t", "stretch"), strict=False):
        number, slider = row.children
        assert slider is view.controls[name]
        assert number.description
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

    widgets.latent_explorer(watched, 10)
    assert seen
    assert not any(out.requires_grad for out in seen)


def test_the_explorer_refuses_what_it_cannot_walk():
    with pytest.raises(ValueError, match="sample must return one image for each z, 25, got 1"):
        widgets.latent_explorer(lambda z: sample(z)[:1], 10)
    with pytest.raises(ValueError, match=r"images must have shape"):
        widgets.latent_explorer(lambda z: torch.zeros(25, 784), 10)
    with pytest.raises(ValueError, match="latent_dim must be 1 or more, got 0"):
        widgets.latent_explorer(sample, 0)
