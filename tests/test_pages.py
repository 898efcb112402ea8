"""The web page of a lesson: folds, words for each picture, and no request but the one for formulas."""

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pages import WIDGET, page, write_html
from run_notebooks import NOTEBOOKS

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
STILL = f'<div class="ganlib-still"><img alt="One wave &amp; a grey one." src="data:image/png;base64,{PNG}"></div>'
FOLDED = {"source_hidden": True}
ANSWER = {"source_hidden": True, "outputs_hidden": True}


def lesson():
    """A lesson with what a page must treat: a figure, a playground, a progress bar, folds and an answer."""
    figure = {"image/png": PNG, "text/plain": "facts"}
    words = {"image/png": {"alt": 'Real "a" <b> lies on top.', "width": 321}}
    view = {WIDGET: {"model_id": "1", "version_major": 2, "version_minor": 0}, "text/plain": "a dead widget"}
    bar = {WIDGET: {"model_id": "2"}, "text/plain": "  0%|          | 0/5"}
    still = {"text/html": STILL, "image/png": PNG, "text/plain": "facts"}
    text = new_output("stream", name="stdout", text="What is seen.\n")

    def shown(*bundles, **metadata):
        return [*(new_output("display_data", data=b, metadata=metadata.get("of", {})) for b in bundles), text]

    cells = [
        new_markdown_cell("# Lesson 07 · Waves & particles\n\n$x < 1$"),
        new_code_cell("# @title Set-up\nimport os", metadata={"jupyter": FOLDED}),
        new_code_cell("visible = 1", outputs=[text]),
        new_code_cell("draw()", outputs=shown(figure, of=words)),
        new_code_cell("# @title A & B\nplay()", metadata={"jupyter": FOLDED}, outputs=shown(view, bar, still)),
        new_code_cell("#@title Was it 3?\nclaim()", metadata={"jupyter": ANSWER}, outputs=shown(figure, of=words)),
        new_code_cell("no_title()", metadata={"jupyter": FOLDED}),
    ]
    nb = new_notebook(cells=cells)
    nb.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"1": {}}}}
    return nb


def faults(html):
    """What is wrong with a page, in words."""
    soup = BeautifulSoup(html, "html.parser")
    found = [f"no words for picture {n}" for n, img in enumerate(soup("img"), 1) if no_words(img.get("alt"))]
    if not soup.title or soup.title.text != soup.h1.text.strip("¶"):
        found.append(f"title {soup.title.text}")
    if soup.html.get("lang") != "en":
        found.append("no language")
    found += [f"asks for {tag['src']}" for tag in soup("script", src=True) if "mathjax" not in tag["src"]]
    found += [f"a script of {tag['type']}" for tag in soup("script", type=True) if "widget" in tag["type"]]
    found += ["import of a script" for tag in soup("script") if "import(" in tag.text]
    found += ["a dead widget" for pre in soup("pre") if "dead widget" in pre.text or "0%|" in pre.text]
    found += ["an open fold" for fold in soup("details", open=True)]
    return found


def no_words(alt):
    return not alt or alt.startswith("No description")


def folds(html):
    """The names of the folds of a page, each with the text inside."""
    soup = BeautifulSoup(html, "html.parser")
    return [(fold.summary.text, fold.text.removeprefix(fold.summary.text).strip()) for fold in soup("details")]


def test_a_page_has_no_fault():
    assert faults(page(lesson())) == []


def test_the_page_of_nbconvert_has_many():
    from nbconvert import HTMLExporter

    found = faults(HTMLExporter().from_notebook_node(lesson())[0].replace("</body>", "<details open>", 1))
    wanted = [
        "no words for picture 1",
        "title Notebook",
        "asks for",
        f"a script of {WIDGET}",
        "import of",
        "an open fold",
    ]
    assert [start for start in wanted if not any(fault.startswith(start) for fault in found)] == []


def test_folded_cells_and_answers_are_closed_folds():
    names, inside = zip(*folds(page(lesson())))
    assert names == ("Set-up", "A & B", "Was it 3?", "Answer: guess first, then open", "Code")
    assert "play()" in inside[1]
    assert "What is seen." not in inside[1]  # what a folded cell shows is not folded with it
    assert inside[3] == "What is seen."
    answer = BeautifulSoup(page(lesson()), "html.parser")("details")[3]
    assert answer.img["alt"].startswith("Real")


def test_each_picture_appears_once_with_its_words_and_width():
    real, wave = ('Real "a" <b> lies on top.', "321"), ("One wave & a grey one.", None)
    pictures = BeautifulSoup(page(lesson()), "html.parser")("img")
    assert [(img["alt"], img.get("width")) for img in pictures] == [real, wave, real]


def test_code_is_coloured_and_formulas_stay_as_written():
    html = page(lesson())
    assert '<span class="kn">import</span>' in html
    assert "$x &lt; 1$" in html


def test_a_lesson_without_title_is_refused():
    nb = lesson()
    nb.cells[0].source = "## Waves"
    with pytest.raises(ValueError, match=r"nb must have a heading '# \.\.\.', got none"):
        page(nb)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_pages_of_the_lessons(path):
    nb = nbformat.read(path, as_version=4)
    code = [(cell.metadata.get("jupyter", {}), cell.outputs) for cell in nb.cells if cell.cell_type == "code"]
    folded = sum("source_hidden" in how for how, _ in code)
    answers = sum("outputs_hidden" in how and outputs != [] for how, outputs in code)
    html = page(nb)
    assert faults(html) == []
    assert html.count("Answer: guess first, then open</summary>") == answers
    assert html.count('class="lesson-fold"') == folded + answers


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_each_widget_has_a_still_picture_after_it_that_needs_no_html(path):
    for cell in nbformat.read(path, as_version=4).cells:
        bundles = [output.data for output in cell.get("outputs", []) if "data" in output]
        stills = [n for n, data in enumerate(bundles) if "ganlib-still" in data.get("text/html", "")]
        views = [n for n, data in enumerate(bundles) if WIDGET in data]
        assert len(stills) == len(views), cell.id
        assert all(view < still for view, still in zip(views, stills))
        assert all(bundles[n]["image/png"] in bundles[n]["text/html"] for n in stills)


def test_a_page_is_a_file_of_the_lesson_s_name(tmp_path, capsys):
    path = tmp_path / "07_waves.ipynb"
    path.write_text(nbformat.writes(lesson()), encoding="utf-8")
    write_html(path, tmp_path / "new" / "pages")
    target = tmp_path / "new" / "pages" / "07_waves.html"
    assert "Waves &amp; particles" in target.read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"{target}\n"
