"""What a lesson is made of: its minutes, its two kinds of cells, its guesses, its headings, the page of corrections."""

import ast
import re
from urllib.parse import unquote

import anatomy
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

LESSONS = anatomy.lessons()
CORRECTIONS = anatomy.NOTEBOOKS / "corrections.ipynb"
MAX_CORE, MAX_WORDS, MAX_VISIBLE, MAX_CELL = 45, 4_500, 130, 30  # minutes, words, lines of the core, lines of a cell
ROWS = range(3, 6)
MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
DRAWS = re.compile(r"(?:plt|ax|axes)\b|.*\.(?:plot|subplots)$")
CODE_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
TABLE_OF_CORRECTIONS = re.compile(r"^\| you may read \|.*\n\|[-:| ]+\|\n((?:\|.*\n?)+)", re.MULTILINE)
# A heading that the text names: in italics, from a capital on, of several words. A title of the literature follows its
# year, a menu has an arrow, a slider an equals sign. A number before it names another lesson: 04, *Watch it learn*.
NAMED = re.compile(
    r"(?:\b(?P<lesson>0\d)[,:]? )?(?<!\d{4}, )(?<![\w*\\])\*(?P<heading>[A-Z][^*\n→=]* [^*\n→=]+)\*(?![\w*])"
)
LINK = re.compile(r"\[(?P<lesson>\d\d), \*(?P<heading>[^\]]+)\*\]\((?P<file>[^)#]+)#(?P<anchor>[^)]+)\)")


def read(path):
    return nbformat.read(path, as_version=4)


def code_of(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def texts_of(nb):
    return [anatomy.without_fences(cell.source) for cell in nb.cells if cell.cell_type == "markdown"]


def plain(heading):
    """A heading as its anchor names it: the text that a reader sees."""
    return re.sub(r"[*`$]", "", heading).strip()


def headings_of(nb):
    return {plain(heading) for text in texts_of(nb) for heading in re.findall(r"^#+ +(.+)$", text, re.MULTILINE)}


def tree(cell):
    return ast.parse(MAGIC.sub(r"\1pass", cell.source))


def calls(cell):
    """What a cell calls, as it is written: "claim", "axes[0].plot"."""
    return {ast.unparse(node.func) for node in ast.walk(tree(cell)) if isinstance(node, ast.Call)}


def faults_of_minutes(nb):
    counted = anatomy.minutes(nb)
    written = anatomy.written_minutes(nb)
    if written is None:
        yield "the title cell lacks the table | core | *Go further* | to run on two cores | exercises | ..."
    for name, number in vars(counted).items() if written else ():
        if written[name] != f"{number} minutes":
            yield f"the title says {written[name]!r} for {name}, computed are {number} minutes: run make notebooks"
    if counted.core > MAX_CORE:
        yield f"the core takes {counted.core} minutes, at most {MAX_CORE}: see tools/anatomy.py"
    sections = anatomy.sections(nb)
    words = sum(section.words for section in sections)
    visible = sum(section.visible_lines for section in sections if section.part == "core")
    if words > MAX_WORDS:
        yield f"{words:,} words, at most {MAX_WORDS:,}"
    if visible > MAX_VISIBLE:
        yield f"{visible} visible lines of code in the core, at most {MAX_VISIBLE}"
    for cell in code_of(nb):
        if not anatomy.is_folded(cell) and anatomy.lines_of(cell) > MAX_CELL:
            yield f"cell {cell.id}: {anatomy.lines_of(cell)} visible lines, at most {MAX_CELL}"


def faults_of_folds(nb):
    code = code_of(nb)
    if not code or code[0].id != "setup" or not anatomy.is_folded(code[0]):
        yield "the first code cell is not the folded setup cell"
    spans = " ".join(span for text in texts_of(nb) for span in CODE_SPAN.findall(text))
    for i, cell in enumerate(code):
        folded = anatomy.is_folded(cell)
        title = re.match(r"# @title \S", cell.source) is not None
        if not folded == title == (cell.metadata.get("cellView") == "form"):
            yield f"cell {cell.id}: source_hidden, cellView: form and a first line # @title go together"
        if folded:
            defined = {node.name for node in tree(cell).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
            later = {
                n.id for c in code[i + 1 :] if not anatomy.is_folded(c) for n in ast.walk(tree(c)) if hasattr(n, "id")
            }
            for name in sorted(defined & (later | set(re.findall(r"\w+", spans)))):
                yield f"cell {cell.id}: {name} is defined in a folded cell, but the text or a visible cell names it"
            continue
        if "claim" in calls(cell):
            yield f"cell {cell.id}: a visible cell computes, a folded one claims"
        for name in sorted(filter(DRAWS.match, calls(cell))):
            yield f"cell {cell.id}: a visible cell computes, a folded one draws: {name}"


def faults_of_guesses(nb):
    code, may_be_closed = code_of(nb), set()
    answers = [cell.id for cell in code if "guess" in calls(cell)]
    for i, cell in enumerate(code):
        if not anatomy.GUESS.search(cell.source):
            continue
        if anatomy.lines_of(cell) > 2:
            yield f"cell {cell.id}: {anatomy.lines_of(cell)} lines, a guess has at most 2"
        after = code[i + 1 : i + 3]
        if after and after[0].id not in answers and not anatomy.is_folded(after[0]):
            between = after.pop(0)
            may_be_closed.add(between.id)
            if between.outputs and not anatomy.is_closed(between):
                yield f"cell {between.id}: its stored output may tell the answer before it is run: set outputs_hidden"
        if not after or after[0].id not in answers:
            yield f"cell {cell.id}: no cell answers this guess, at once or after one visible cell"
            continue
        answers.remove(after[0].id)
        may_be_closed.add(after[0].id)
        if not anatomy.is_folded(after[0]) or not anatomy.is_closed(after[0]):
            yield f"cell {after[0].id}: it answers a guess, so its source and its outputs are hidden"
    for cell, after in zip(nb.cells, nb.cells[1:]):
        answers_here = cell.cell_type == "code" and "guess" in calls(cell)
        if answers_here and after.cell_type == "markdown" and not after.source.startswith(("<details>", "#")):
            yield f"cell {after.id}: it tells the answer of the guess above, so it begins with a fold: <details>"
    for cell in code:
        if cell.id in answers:
            yield f"cell {cell.id}: it answers, but no cell asks for a guess"
        if anatomy.is_closed(cell) and cell.id not in may_be_closed:
            yield f"cell {cell.id}: its outputs are hidden, and it answers no guess"


def faults_of_text(nb, headings):
    """`headings`: lesson, such as "04", -> its headings; of lessons that are not written yet nothing is known."""
    here = headings_of(nb)
    first = next((i for i, c in enumerate(nb.cells) if c.cell_type == "code" and "claim" in calls(c)), len(nb.cells))
    before = [cell.source for cell in nb.cells[:first] if cell.cell_type == "markdown"]
    if not any("✓" in text and "✗" in text for text in before):
        yield "no text before the first claim says what ✓ and ✗ mean"
    tables = [rows for text in texts_of(nb) for rows in TABLE_OF_CORRECTIONS.findall(text)]
    rows = sum(table.strip().count("\n") + 1 for table in tables)
    if len(tables) != 1 or rows not in ROWS:
        yield f"{len(tables)} tables | you may read | with {rows} rows, wanted one of {ROWS[0]} to {ROWS[-1]} rows"
    for text in texts_of(nb):
        for named in NAMED.finditer(text):
            there = headings.get(named["lesson"], {named["heading"]}) if named["lesson"] else here
            if plain(named["heading"]) not in there:
                yield f"{named[0]} names no heading of {named['lesson'] or 'this lesson'}: give it in full"


def faults(nb, headings):
    """What is wrong with a lesson, in words."""
    all_of_them = (faults_of_minutes(nb), faults_of_folds(nb), faults_of_guesses(nb), faults_of_text(nb, headings))
    return [fault for some in all_of_them for fault in some]


def faults_of_corrections(nb, headings, folder):
    if code_of(nb):
        yield "the page of corrections has cells of code"
    rows = [row for text in texts_of(nb) for table in TABLE_OF_CORRECTIONS.findall(text) for row in table.splitlines()]
    if not rows:
        yield "the page has no table | you may read | what is so | where you see it |"
    for row in rows:
        where = row.strip("| ").split(" | ")[-1]
        links = list(LINK.finditer(where))
        if not links or len(links) != where.count("]("):
            yield f"no link of the form [02, *Heading*](02_name.ipynb#Heading) in {where!r}"
        for link in links:
            if not link["file"].startswith(link["lesson"]) or not (folder / link["file"]).exists():
                yield f"{link[0]}: no such lesson"
            elif plain(link["heading"]) not in headings[link["lesson"]]:
                yield f"{link[0]}: lesson {link['lesson']} has no such heading"
            elif unquote(link["anchor"]) != plain(link["heading"]).replace(" ", "-"):
                yield f"{link[0]}: the anchor of a heading is its text with - for each space"


def faults_of_readme(readme):
    for path in LESSONS:
        counted = anatomy.minutes(read(path))
        row = re.search(rf"^\| {path.name[:2]} \| .*\(notebooks/{path.name}\).*\| (.*) \|$", readme, re.MULTILINE)
        wanted = ", ".join(str(number) for number in vars(counted).values())
        if not row or row[1] != wanted:
            yield f"the README gives {row and row[1]} minutes for {path.name}, counted are {wanted}"


def test_the_readme_gives_the_minutes_of_each_lesson():
    readme = (anatomy.NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    assert list(faults_of_readme(readme)) == []
    assert len(list(faults_of_readme(readme.replace(", 50 |", ", 51 |")))) == 1
    assert len(list(faults_of_readme(""))) == len(LESSONS)


@pytest.fixture(scope="module")
def headings():
    return {path.name[:2]: headings_of(read(path)) for path in LESSONS}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_made_as_a_lesson_should_be(path, headings):
    found = faults(read(path), headings)
    assert not found, "\n".join(found)


def test_each_correction_leads_to_the_cells_that_show_it(headings):
    found = list(faults_of_corrections(read(CORRECTIONS), headings, anatomy.NOTEBOOKS))
    assert not found, "\n".join(found)


PICTURE = new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "A line."})
HEAD = "| core | *Go further* | to run on two cores | exercises | you need | level |\n|---|---|---|---|---|---|\n"


def cell(name, source, *outputs, folded=False, closed=False):
    made = new_code_cell(source, id=name, outputs=list(outputs))
    if folded:
        made.metadata.update(jupyter={"source_hidden": True}, cellView="form")
        made.source = f"# @title {name}\n{source}"
    if closed:
        made.metadata.setdefault("jupyter", {})["outputs_hidden"] = True
    return made


def good():
    """A small lesson without faults; its core has 300 words."""
    title = f"# Lesson 09\n\n✓ and ✗.\n\n{HEAD}| 1 | 2 | under 1 minute | 3 | a | b |\n\nRead *The first part*."
    summary = "## Summary\nTwo words.\n\n**한국어 요약**\n\n1. 요약.\n\n| you may read | what is so |\n|---|---|\n"
    part = "## The first part\n`area(x)` is 04, *Watch it learn*.\n\n" + "word " * 280
    return anatomy.write_minutes(
        new_notebook(
            cells=[
                new_markdown_cell(title, id="title"),
                cell("setup", "import torch", folded=True),
                new_markdown_cell(part, id="part"),
                cell("ask", "my_guess = None  # how large?"),
                cell("compute", "def area(x):\n    return x\n\n\na = area(1)"),
                cell("show", "guess(my_guess, a)\nclaim('b', True)\nax.plot(a)", PICTURE, folded=True, closed=True),
                cell("after", "%timeit a\nb = a", new_output("stream", text="1\n")),
                new_markdown_cell("## Try it yourself\n**Exercise 1** *(easy, 5 minutes)*. Do it.", id="ex"),
                cell("stub", "def answer(x): ..."),
                new_markdown_cell("## Go further\n### One more\n" + "word " * 150, id="more"),
                cell("curve", "plots.curves(a)", PICTURE, PICTURE, folded=True),
                new_markdown_cell(summary + "| a | b |\n" * 3, id="summary"),
            ]
        )
    )


HEADINGS = {"04": {"Watch it learn"}}


def test_a_lesson_without_faults_passes():
    assert faults(good(), HEADINGS) == []


def test_the_minutes_are_those_of_the_rule():
    sections = {section.heading: section for section in anatomy.sections(good())}
    first = sections["The first part"]
    assert (first.words, first.visible_lines, first.folded_lines, first.pictures, first.guesses) == (289, 6, 4, 1, 1)
    assert first.minutes == pytest.approx(289 / 150 + 6 / 6 + 1 / 2 + 0.75)
    assert (sections["Summary"].words, sections["Lesson 09"].words) == (3, 7)
    assert [section.part for section in sections.values()] == ["core", "core", "exercises", *["further"] * 2, "summary"]
    assert anatomy.minutes(good()) == anatomy.Minutes(core=5, further=3, exercises=5)
    assert anatomy.minutes(good(), run=1.5) == anatomy.Minutes(core=6, further=3, exercises=5)


def test_the_minutes_are_written_where_they_stand():
    title = good().cells[0].source
    assert "\n|---|---|---|---|---|---|\n| 5 minutes | 3 minutes | under 1 minute | 5 minutes | a | b |\n" in title
    without = new_notebook(cells=[new_markdown_cell("# No table")])
    assert anatomy.write_minutes(without).cells[0].source == "# No table"
    assert anatomy.write_minutes(new_notebook()).cells == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("One two-part [link here](https://a.b/c) – end.", 5),
        ("| a | b |\n|---|---|\n| 1 | $x + y$ |", 5),
        ("<details><summary>One</summary>two</details>", 2),
        ("one\n```python\nx = 1\n```\n적대적 (G)", 3),
    ],
)
def test_words_are_what_is_read(text, words):
    assert anatomy.count_words(text) == words


def test_the_table_of_a_lesson_is_printed_and_written(tmp_path, capsys):
    path = tmp_path / "02_small.ipynb"
    nb = good()
    nb.cells[0].source = nb.cells[0].source.replace("5 minutes", "9 minutes")
    nbformat.write(nb, path)
    assert anatomy.main(["02"], tmp_path) == 0
    assert "9 minutes" in path.read_text(encoding="utf-8")
    assert "core 5 minutes, Go further 3, exercises 5" in capsys.readouterr().out
    assert anatomy.main(["--write"], tmp_path) == 0
    assert "9 minutes" not in path.read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        anatomy.main(["07"], tmp_path)
    assert "lesson must begin the name of a file" in capsys.readouterr().err


def change(name, **new):
    """A fault: the cell `name` with another source, other outputs or other metadata."""

    def plant(nb):
        found = next(cell for cell in nb.cells if cell.id == name)
        found.update({key: nbformat.from_dict(value) for key, value in new.items()})
        return nb

    return plant


def add(name, text):
    def plant(nb):
        next(cell for cell in nb.cells if cell.id == name).source += text
        return nb

    return plant


def longer(name, text):
    """A fault that leaves the written minutes true."""
    return lambda nb: anatomy.write_minutes(add(name, text)(nb))


CLOSED = {"jupyter": {"outputs_hidden": True}}
FOLDED = {"jupyter": {"source_hidden": True}}
PLANTED = [
    ("the title says '5 minutes' for core, computed are 6", add("part", "word " * 150)),
    ("the title cell lacks the table", change("title", source="# Lesson 09\n✓ ✗")),
    ("the core takes 46 minutes, at most 45", longer("part", "word " * 150 * 41)),
    ("4,563 words, at most 4,500", longer("more", "word " * 4100)),
    ("131 visible lines of code in the core", longer("after", "\nx = 1" * 125)),
    ("cell after: 31 visible lines, at most 30", longer("after", "\nx = 1" * 29)),
    ("the first code cell is not the folded setup cell", change("setup", metadata={}, source="import torch")),
    ("cell show: source_hidden, cellView: form and", change("show", metadata={"jupyter": {"source_hidden": True}})),
    ("cell show: area is defined in a folded cell", add("show", "\ndef area(x): ...")),
    ("cell after: a visible cell computes, a folded one claims", add("after", "\nclaim('c', True)")),
    ("cell after: a visible cell computes, a folded one draws: axes[0].set", add("after", "\naxes[0].set(x=1)")),
    ("cell after: a visible cell computes, a folded one draws: left.plot", add("after", "\nleft.plot(a)")),
    ("cell ask: 3 lines, a guess has at most 2", add("ask", "\na = 1\nb = 1")),
    ("cell compute: its stored output may tell", change("compute", outputs=[PICTURE])),
    ("cell ask: no cell answers this guess", change("show", source="# @title show\nclaim('b', True)")),
    ("cell show: it answers a guess, so its source", change("show", metadata=CLOSED, source="guess(my_guess, a)")),
    ("cell curve: it answers, but no cell asks", add("curve", "\nguess(my_guess, a)")),
    ("cell after: it tells the answer of the guess above", change("after", cell_type="markdown", source="It is 1.")),
    ("cell after: its outputs are hidden, and it answers no guess", change("after", metadata=CLOSED)),
    ("no text before the first claim says what", change("title", source=good().cells[0].source.replace("✗", ""))),
    ("1 tables | you may read | with 6 rows", add("summary", "| a | b |\n" * 3)),
    ("*The second part* names no heading of this lesson", add("part", "See *The second part*.")),
    ("04, *Watch it fall* names no heading of 04", add("part", "See 04, *Watch it fall*.")),
]


@pytest.mark.parametrize(("fault", "plant"), PLANTED, ids=[fault for fault, _ in PLANTED])
def test_a_fault_is_noticed(fault, plant):
    found = faults(plant(good()), HEADINGS)
    assert any(one.startswith(fault) for one in found), found


def page(where):
    table = f"| you may read | what is so | where you see it |\n|---|---|---|\n| a | b | {where} |"
    return new_notebook(cells=[new_markdown_cell(f"# Corrections\n\n{table}")])


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (None, "[02, *Does it learn?*](02_small.ipynb#Does-it-learn?)"),
        (None, "[02, *Does it learn?*](02_small.ipynb#Does-it-learn%3F)"),
        ("no link of the form", "[02, *Does it learn?*](02_small.ipynb#Does-it-learn?) and [03](03_toy.ipynb)"),
        ("[03, *Why?*](03_toy.ipynb#Why?): no such lesson", "[03, *Why?*](03_toy.ipynb#Why?)"),
        ("[02, *Why?*](02_small.ipynb#Why?): lesson 02 has no such heading", "[02, *Why?*](02_small.ipynb#Why?)"),
        ("[02, *Does it learn?*](02_small.ipynb#Does): the anchor", "[02, *Does it learn?*](02_small.ipynb#Does)"),
    ],
)
def test_a_wrong_link_of_the_corrections_is_noticed(tmp_path, fault, where):
    (tmp_path / "02_small.ipynb").touch()
    found = list(faults_of_corrections(page(where), {"02": {"Does it learn?"}}, tmp_path))
    assert [one[: len(fault)] for one in found] == [fault] if fault else not found


def test_the_page_of_corrections_is_one_of_text_with_a_table(tmp_path):
    found = list(faults_of_corrections(new_notebook(cells=[new_code_cell("1")]), {}, tmp_path))
    assert [one[:8] for one in found] == ["the page", "the page"]
