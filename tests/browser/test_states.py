"""A picture in every state: a lesson in a real browser, from the fresh clone to the next day and the exported page.

They need Chromium and the packages of `ganlib[browser]`. `lesson.py` is the lesson; `conftest.py` opens it.
"""

import base64
import copy
import io

import anatomy
import lesson
import nbformat
import numpy as np
import pytest
from pages import page
from PIL import Image
from run_notebooks import NOTEBOOKS, execute, normalise
from seen import CHROMIUM, LAPTOP, ask, violations

pytest.importorskip("playwright", reason="browser tests need the packages of ganlib[browser]")
if CHROMIUM is None:
    pytest.skip("browser tests need Chromium: apt-get install chromium", allow_module_level=True)
pytestmark = [pytest.mark.browser, pytest.mark.slow]

FOLDED = ("setup", "figure", "answer", "play")
OURS = ".jp-OutputArea, .jp-MarkdownOutput"
LOST = ("model not found", "Error displaying", "0%|", "/11")
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The lesson as the project stores it."""
    return normalise(execute(lesson.make(), tmp_path_factory.mktemp("stored")))


@pytest.fixture(scope="module")
def running(stored, lab, chromium):
    """The lesson after Run All, in a window of its own."""
    window = chromium.new_page(viewport=LAPTOP)
    window.set_default_timeout(60_000)
    it = lab.open(window, copy.deepcopy(stored), trusted=False)
    it.run_all()
    yield it
    window.close()


@pytest.fixture(scope="module")
def saved(running):
    """The lesson as JupyterLab saves it after that."""
    running.command("docmanager:save")
    return nbformat.read(running.path, as_version=4)


def problems(it, *, live, answered):
    """What a reader misses, or should not see. `live`: widgets live; `answered`: the answer's cell has run."""
    seen = {name: it.cell(name) for name in lesson.SENTENCES}
    if not answered:
        seen.pop("answer")
    found = [f"{name}: unfolded" for name in FOLDED if it.cell(name)["code"]]
    found += ["answer: seen"] if not answered and it.cell("answer")["text"] else []
    for name, cell in seen.items():
        one = int(name in ("play", "train"))
        shown = {"pictures": int(name != "setup"), "live": one * live, "still": one * (not live)}
        found += [f"{name}: {cell[what]} {what}" for what, n in shown.items() if cell[what] != n]
        for sentence in lesson.SENTENCES[name]:
            times = sum(text.count(sentence) for text in cell["text"])
            found += [f"{name}: {times} times {sentence!r}"] if times != 1 else []
        if one and not live and cell["words"] != lesson.SENTENCES[name][-1:]:
            found.append(f"{name}: its still picture has the words {cell['words']}")
        found += [f"{name}: {text}" for text in cell["text"] for lost in LOST if lost in text and not live]
    return found


def test_a_fresh_clone_shows_every_picture_and_no_answer(stored, lab, window):
    it = lab.open(window, copy.deepcopy(stored), trusted=False)
    assert problems(it, live=False, answered=False) == []


def test_run_all_makes_widgets_live_and_opens_the_answer(running):
    assert problems(running, live=True, answered=True) == []


def test_a_slider_moves_by_keyboard_and_changes_picture_and_sentence(running):
    def now():
        return ask(
            running.window, "() => [document.querySelector('.ganlib-live img').src, all('.ganlib-live')[0].innerText]"
        )

    before = now()
    running.window.locator(".ganlib-live .noUi-handle").first.press("ArrowLeft")
    running.window.wait_for_timeout(700)
    assert "centre 3.0" in before[1]
    assert "centre 2.9" in now()[1]
    assert now()[0] != before[0]
    running.window.locator(".ganlib-live .noUi-handle").first.press("ArrowRight")


@pytest.mark.parametrize(
    "how",
    [{"trusted": True}, {"trusted": True, "kernel": False}, {"trusted": False}],
    ids=["a new kernel", "no kernel", "not trusted"],
)
def test_the_next_day(saved, lab, window, how):
    it = lab.open(window, copy.deepcopy(saved), **how)
    found = problems(it, live=False, answered=True)
    if not how["trusted"]:  # then a progress bar is the text that it began with
        found = [problem for problem in found if "0%|" not in problem]
    assert found == []


def test_planted_faults_are_seen(saved, lab, window):
    nb = copy.deepcopy(saved)
    for cell in nb.cells:
        cell.metadata.pop("jupyter", None)
        for output in cell.get("outputs", []):
            if "ganlib-still" in output.get("data", {}).get("text/html", ""):
                output.data["text/html"] = output.data["text/html"].split("</style>")[1].replace("alt=", "data-was=")
                output.data["text/html"] += '<a href="#nowhere"></a>'
            if "Twelve squares" in output.get("text", ""):
                output.text = "a line that is too long for any laptop " * 5
    it = lab.open(window, nb, trusted=True)
    found = problems(it, live=False, answered=False)
    assert {f"{name}: unfolded" for name in FOLDED} | {"answer: seen"} < set(found)
    assert "play: Error displaying widget: model not found" in found
    assert "figure: 0 times 'Twelve squares, from white to black.'" in found
    assert len(it.broken_lines()) == 1
    assert [fault.split(":")[0] for fault in violations(window, OURS)[0]] == ["link-name"] * 2
    assert "play: its still picture has the words ['Image']" in found  # what JupyterLab puts where there are none
    assert "play: 1 live" not in found
    assert "play: 1 still" not in found


def test_a_training_view_stores_its_last_frame_for_every_host(stored, saved):
    for nb in (stored, saved):
        bundles = [o.data for c in nb.cells if c.id == "train" for o in c.outputs if "image/png" in o.get("data", {})]
        assert len(bundles) == 1  # a host that shows no html finds the picture too
        assert bundles[0]["image/png"].replace("\n", "") in bundles[0]["text/html"]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(bundles[0]["image/png"]))))
        assert pixels[20, 20] == 0  # black, and the first frame was white


def test_a_playground_fits_on_the_screen_of_a_laptop(running):
    shown, room = running.heights()
    assert len(shown) == 2
    assert max(shown) <= room


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_no_fault_of_ours_keeps_anybody_out(running, theme):
    running.command("apputils:change-theme", theme=theme)
    running.window.wait_for_timeout(1000)
    ours, others = violations(running.window, OURS)
    running.command("apputils:change-theme", theme="JupyterLab Light")
    assert ours == []
    assert others != []  # else axe looked at nothing


def test_no_printed_line_is_broken_inside_a_word(running):
    assert "longer than a line" in running.texts()
    assert running.broken_lines() == []


def test_an_exported_page_shows_every_picture_and_no_answer(stored, window, tmp_path):
    asked = []
    window.on("request", lambda request: asked.append(request.url))
    file = tmp_path / "page.html"
    file.write_text(page(copy.deepcopy(stored)), encoding="utf-8")
    window.goto(file.as_uri())

    def shown():
        return ask(window, "() => all('img').filter(e => seen(e) && e.naturalWidth > 0).map(e => e.alt)")

    captions = [sentences[-1] for name, sentences in lesson.SENTENCES.items() if name not in ("setup", "figure")]
    captions.insert(0, lesson.SENTENCES["figure"][0])
    assert shown() == [captions[0], *captions[2:]]
    assert "The last one." not in window.inner_text("main")
    assert not any(lost in window.inner_text("main") for lost in LOST)
    assert window.title() == "Lesson 00 · Squares"
    assert [url for url in asked if not url.startswith(("file:", "data:")) and "mathjax" not in url] == []
    assert violations(window, "main")[0] == []
    window.get_by_text("Answer: guess first, then open").click()
    assert shown() == captions
    assert "The last one." in window.inner_text("main")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_fresh_clone_of_a_lesson(path, lab, window):
    nb = nbformat.read(path, as_version=4)
    shown = [cell.outputs for cell in nb.cells if cell.cell_type == "code" and not anatomy.is_closed(cell)]
    it = lab.open(window, nb, trusted=False)
    assert it.pictures() == sum("image/png" in output.get("data", {}) for outputs in shown for output in outputs)
    assert not any(lost in it.texts() for lost in LOST)
    assert (it.broken_lines(), violations(window, OURS)[0]) == ([], [])
