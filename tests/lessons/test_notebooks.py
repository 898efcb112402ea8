import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anatomy
import nbformat
import pytest
import run_notebooks
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted(anatomy.NOTEBOOKS.glob(anatomy.LESSONS))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TAGS = {"nbval-ignore-output", "raises-exception"}
# The cells whose outputs no run compares, and why they cannot be.
IGNORED = {
    ("04", "loop"): "a live picture, and a progress bar with seconds",
    ("04", "judge"): "a progress bar or a line, as the judge is in the cache or not",
    ("04", "better-loop"): "a live picture, a progress bar, and losses that differ between machines",
}
MAX_BYTES = 1_000_000
CLAIMS = range(6, 11)
ADDRESS = re.compile(r"\b0x[0-9a-f]{4,}")
# A folder of one machine: /home/me/course/, C:\Users, ~/course. Not 1/2, not https://a.b/c/.
LOCAL_PATH = re.compile(r"(?<![\w.:/<])/(?:[\w.-]+/)+|\b[A-Z]:\\\w|(?<!\w)~/|(?<![\w.:/])/tmp\b")


def outputs(cell):
    return cell.get("outputs", [])


def texts(output):
    """All that a reader may read in one output."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.evalue, *output.traceback]
    pictures = r"data:image/png;base64,[A-Za-z0-9+/=]+"
    return [re.sub(pictures, "", text) for kind, text in output.data.items() if kind.startswith("text/")]


def is_in_cp949(text):
    try:
        text.encode("cp949")
    except UnicodeEncodeError:
        return False
    return True


def printed_signs(source):
    """The texts that a cell prints, and that a Korean Windows console cannot."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic command
        return
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
            texts = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
            yield from (text for text in texts if isinstance(text, str) and not is_in_cp949(text))


def faults_of_cell(cell):
    tags = set(cell.metadata.get("tags", []))
    stdout = "".join(o.text for o in outputs(cell) if o.output_type == "stream" and o.name == "stdout")
    bundles = [output.get("data", {}) for output in outputs(cell)]
    kinds = {kind for data in bundles for kind in data}
    text = "\n".join(text for output in outputs(cell) for text in texts(output))
    error = any(output.output_type == "error" for output in outputs(cell))
    last = (cell.source.strip().splitlines() or [""])[-1]
    if tags - TAGS:
        yield f"unknown tags {sorted(tags - TAGS)}, known are {sorted(TAGS)}"
    if error and "raises-exception" not in tags:
        yield "a stored error without the tag raises-exception"
    if not error and "raises-exception" in tags:
        yield "the tag raises-exception, but nothing is raised"
    if "execution" in cell.metadata:
        yield "timing metadata: run make notebooks"
    if re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source):
        yield "a comment for nbval: use a tag"
    if re.search(r";\s*(#.*)?$", last):
        yield "a ';' at the end, which nbval does not understand: write _ = ..."
    for text in printed_signs(cell.source) if cell.cell_type == "code" else ():
        yield f"print of signs that some consoles lack, write say: {text!r}"
    if "image/svg+xml" in kinds:
        yield "an SVG, whose ids are random: use PNG"
    if "image/png" in kinds and not re.search(r"\.$", stdout, re.MULTILINE):
        yield "a figure without a printed caption that ends with a full stop"
    if any({"image/png"} == {*data} - {"text/plain"} and "\naxes:" not in data["text/plain"] for data in bundles):
        yield "a figure without facts: show(figure, caption) displays it"
    if re.search(r"^✗", text, re.MULTILINE):
        yield "a stored claim is false"
    if "offline stand-in" in text:
        yield "outputs of the offline stand-in: run make notebooks with MNIST"
    if found := ADDRESS.search(text) or LOCAL_PATH.search(text):
        yield f"an address or a local path in the outputs: {found[0]}"


def holding(n, sentence="claim"):
    """What n claims print, each broken in two lines."""
    return "".join(f"✓ {sentence} {k}\n    holds (1)\n" for k in range(n))


def faults_of_markdown(nb):
    level, titles = 0, 0
    for cell in nb.cells:
        if cell.cell_type != "markdown":
            continue
        source = re.sub(r"^(```|~~~).*?^\1", "", cell.source, flags=re.MULTILINE | re.DOTALL)
        for marks, heading in re.findall(r"^(#{1,6}) +(.+)$", source, re.MULTILINE):
            if len(marks) > level + 1:
                yield f"the heading {heading!r} jumps from level {level} to {len(marks)}"
            level = len(marks)
            titles += level == 1
        if re.search(r"!\[\s*\]|<img(?![^>]*\balt=\"[^\"]+\")", source):
            yield f"an image without alternative text: {source[:40]!r}"
    if titles != 1:
        yield f"{titles} headings of level 1, wanted one"


def faults(raw, ignored=()):
    """What is wrong with a stored lesson, in words; nbval passes all of this in silence."""
    content = json.loads(raw)
    ids = [cell.get("id") for cell in content["cells"]]
    if len(set(ids)) < len(ids):
        return ["cell ids are missing or given twice"]
    if not nbformat.validator.isvalid(content):
        return ["not a valid notebook"]
    nb = nbformat.v4.reads(raw.decode())  # this alone: nbformat.reads would repair what is wrong
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    found = [f"cell {i}: {fault}" for i, cell in enumerate(nb.cells) for fault in faults_of_cell(cell)]
    found += faults_of_markdown(nb)
    if len(raw) > MAX_BYTES:
        found.append(f"{len(raw):,} bytes, at most {MAX_BYTES:,}")
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("execution counts are not 1 to n: run make notebooks")
    if not any(map(outputs, code)):
        found.append("no outputs: run make notebooks")
    if "widgets" in nb.metadata:
        found.append("widget states are stored: run make notebooks")
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3: run make notebooks")
    untold = {cell.id for cell in code if "nbval-ignore-output" in cell.metadata.get("tags", [])} ^ {*ignored}
    found += [f"cell {id}: nbval-ignore-output or its reason is missing: see IGNORED in {__file__}" for id in untold]
    sentences = [sentence for _, sentence, _ in run_notebooks.claims(nb)]
    if len(set(sentences)) < len(sentences):
        found.append("a claim is made twice in the same words: say what differs")
    held = sum(ok for ok, _, _ in run_notebooks.claims(nb))
    if held not in CLAIMS:
        found.append(f"{held} claims that hold, wanted {CLAIMS[0]} to {CLAIMS[-1]}")
    if run_notebooks.serialise(run_notebooks.normalise(nb)) != raw:
        found.append("not in the form that make notebooks stores")
    return found


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_stored_lesson_is_whole(path):
    assert faults(path.read_bytes(), [cell for lesson, cell in IGNORED if lesson == path.name[:2]]) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_moved_outputs_are_announced(path):
    moved = run_notebooks.unannounced(nbformat.read(path, as_version=4), path)
    assert not moved, moved


def good():
    """A small notebook without faults."""
    v4 = nbformat.v4
    figure = v4.new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "A line rises.\naxes:"})
    cells = [
        v4.new_markdown_cell("# Title\n\n```\n# no heading\n```\n![a line](line.png)"),
        v4.new_code_cell("show(figure)", outputs=[figure, v4.new_output("stream", text="A line rises.\n")]),
        v4.new_markdown_cell("## Part\n### Detail\n## Part two"),
        v4.new_code_cell("claims()", outputs=[v4.new_output("stream", text=holding(6))]),
        v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}),
        v4.new_code_cell("x = 1", metadata={"tags": ["nbval-ignore-output"]}),
    ]
    cells[4].outputs = [v4.new_output("error", ename="ZeroDivisionError", evalue="division by zero")]
    for i, cell in enumerate(cells):
        cell.id = f"cell-{i}"
        if cell.cell_type == "code":
            cell.execution_count = i  # normalise makes these 1 to n
    return run_notebooks.normalise(v4.new_notebook(cells=cells))


def test_a_lesson_without_faults_passes():
    assert faults(run_notebooks.serialise(good()), ["cell-5"]) == []


def say(nb, text):
    nb.cells[3].outputs[0].text += text


SVG = nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg/>"})
MUTANTS = {
    "cell 1: unknown tags ['nbval_ignore_output']": lambda nb: nb.cells[1].metadata.update(
        tags=["nbval_ignore_output"]
    ),
    "cell 4: a stored error without": lambda nb: nb.cells[4].metadata.update(tags=[]),
    "cell 3: the tag raises-exception": lambda nb: nb.cells[3].metadata.update(tags=["raises-exception"]),
    "cell 1: timing metadata": lambda nb: nb.cells[1].metadata.update(execution={"iopub.execute_input": "2026"}),
    "cell 1: a comment for nbval": lambda nb: nb.cells[1].update(source="# NBVAL_IGNORE_OUTPUT\nshow(figure)"),
    "cell 1: a ';' at the end": lambda nb: nb.cells[1].update(source="plot(x);  # a line\n"),
    "cell 5: print of signs": lambda nb: nb.cells[5].update(source="print(f'{x} − 1')"),
    "cell 5: an SVG": lambda nb: nb.cells[5].outputs.append(SVG),
    "cell 1: a figure without a printed caption": lambda nb: nb.cells[1].outputs[1].update(text="A line rises\n"),
    "cell 3: a stored claim is false": lambda nb: say(nb, "✗ it does not hold\n"),
    "cell 3: outputs of the offline stand-in": lambda nb: say(nb, "digits (offline stand-in for MNIST): 60,000\n"),
    "cell 3: an address or a local path in the outputs: 0x7f3a": lambda nb: say(nb, "<object at 0x7f3a>\n"),
    "cell 3: an address or a local path in the outputs: /home/me/": lambda nb: say(nb, "saved to /home/me/x.pt\n"),
    "cell 3: an address or a local path in the outputs: /tmp": lambda nb: say(nb, "saved to /tmp\n"),
    "cell 3: an address or a local path in the outputs: C:\\U": lambda nb: say(nb, "saved to C:\\Users\\me\n"),
    "cell 3: an address or a local path in the outputs: ~/": lambda nb: say(nb, "saved to ~/x.pt\n"),
    "the heading 'Deep' jumps": lambda nb: nb.cells[2].update(source="## Part\n#### Deep"),
    "2 headings of level 1": lambda nb: nb.cells[2].update(source="# Again"),
    "0 headings of level 1": lambda nb: nb.cells[0].update(source="No title"),
    "an image without alternative text": lambda nb: nb.cells[0].update(source="# Title\n![](line.png)"),
    "an image without alternative text: '<img": lambda nb: nb.cells[2].update(source='<img src="line.png">'),
    "execution counts": lambda nb: nb.cells[3].update(execution_count=7),
    "execution counts are not": lambda nb: nb.cells[5].update(execution_count=None),
    "no outputs": lambda nb: [cell.update(outputs=[]) for cell in nb.cells if "outputs" in cell],
    "cell ids": lambda nb: nb.cells[1].update(id="cell-0"),
    "widget states": lambda nb: nb.metadata.update(widgets={}),
    "the kernel is not python3": lambda nb: nb.metadata.kernelspec.update(name="my-env"),
    "cell cell-3: nbval-ignore-output": lambda nb: nb.cells[3].metadata.update(tags=["nbval-ignore-output"]),
    "cell cell-5: nbval-ignore-output": lambda nb: nb.cells[5].metadata.update(tags=[]),
    "cell 1: a figure without facts": lambda nb: nb.cells[1].outputs[0].data.update({"text/plain": "<Figure>"}),
    "5 claims": lambda nb: nb.cells[3].outputs[0].update(text=holding(5)),
    "11 claims": lambda nb: say(nb, holding(5, "again, claim")),
    "a claim is made twice": lambda nb: say(nb, holding(1)),
    "1,0": lambda nb: nb.cells[1].outputs[0].data.update({"image/png": "A" * MAX_BYTES}),
    "not a valid notebook": lambda nb: nb.cells[1].update(execution_count="one"),
    "not in the form that make notebooks stores": lambda nb: nb.metadata.language_info.update(version="3.11.7"),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_is_noticed(fault):
    nb = good()
    MUTANTS[fault](nb)
    assert any(found.startswith(fault) for found in faults(run_notebooks.serialise(nb), ["cell-5"]))


def patterns(text):
    """The pairs of a sanitiser file; fails where nbval would drop a line in silence."""
    found = get_sanitize_patterns(text)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == [line for regex, new in found for line in (f"regex: {regex}", f"replace: {new}")]
    assert all(new.strip() for _, new in found)
    return found


def test_the_tools_read_the_sanitiser_as_nbval_does():
    assert run_notebooks.rules() == patterns(run_notebooks.SANITIZE.read_text(encoding="ascii"))


@pytest.mark.parametrize("text", ["regex: a\n\nreplace: b\n", "regex: a\nreplace:\n", "regex: a\nreplace = b\n"])
def test_a_sanitiser_that_nbval_drops_is_noticed(text):
    with pytest.raises(AssertionError):
        patterns(text)


MNIST = "MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from the cache\n"
STAND_IN = MNIST.replace("MNIST", "digits (offline stand-in for MNIST)").replace("the cache", "scikit-learn")


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("✓ p_g covers 8 of 8 modes (8)\n✓ b (1)\n", "✓ p_g covers 8 of 8 modes (7.5)\n✓ b (0.1 (low))\n"),
        ("✓ a long one\n    holds (8)\n✓ b\n", "✓ a long one\n    holds (7.5 of\n    9)\n✓ b\n"),
        (MNIST, MNIST.replace("the cache", "the folder GANLIB_DATA")),
        (MNIST, f"Note: no mirror answers.\nNote: the stand-in takes its place.\n{STAND_IN}"),
        ("25 digits of MNIST.\n", "25 digits of digits (offline stand-in for MNIST).\n"),
        (
            "A and B of MNIST, over their losses.\n",
            "A and B of digits (offline stand-in for MNIST), over their\n    losses.\n",
        ),
        ('<img alt="A." src="data:image/png;base64,aB+/=">', '<img alt="A." src="data:image/png;base64,cD0=">'),
    ],
)
def test_what_may_differ_is_masked(stored, now):
    assert run_notebooks.sanitized(stored) == run_notebooks.sanitized(now)


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("✓ p_g covers 8 of 8 modes (8)\n", "✓ p_g covers 7 of 8 modes (8)\n"),
        ("✓ a (8)\n", "✗ a (8)\n"),
        ("✓ a (8)\n", "a (8)\n"),
        ("✓ a (8)\nb\n", "✓ a (8)\nc\n"),
        ("✓ a long one\n    holds (8)\n", "✓ a long one\n    fails (8)\n"),
        ("loss (8)\n", "loss (9)\n"),
        (MNIST, MNIST.replace("60,000", "50,000")),
        (MNIST, f"Fashion-{MNIST}"),
        (f"{MNIST}a\n", f"{MNIST}b\n"),
        ("Note: a\n", "Note: b\n"),
        ("500 steps took 3.2 s.\n", "500 steps took 12 s.\n"),
        ("✓ eight modes are covered (8)\n", "✓ eight modes are covered\n"),
        ("12 samples\n", "13 samples\n"),
        ("A line rises.\n", "A line falls.\n"),
        ('<img alt="A." src="data:image/png;base64,aB">', '<img alt="B." src="data:image/png;base64,aB">'),
    ],
)
def test_what_must_not_differ_is_not_masked(stored, now):
    assert run_notebooks.sanitized(stored) != run_notebooks.sanitized(now)


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        (lambda nb: nb.cells[1].outputs[0].data.update({"text/plain": "A line rises.\naxes: x"}), True),
        (lambda nb: nb.cells[1].outputs[1].update(text="A line falls.\n"), True),
        (lambda nb: nb.cells[4].outputs[0].update(evalue="overflow"), True),
        (lambda nb: say(nb, "✓ one more\n"), True),
        (lambda nb: nb.cells[3].outputs[0].update(text=holding(6).replace("(1)", "(2)")), False),
        (lambda nb: nb.cells[1].outputs[0].data.update({"image/png": "other"}), False),
        (lambda nb: nb.cells[5].outputs.append(nbformat.v4.new_output("stream", text="a bar")), False),
        (lambda nb: nb.cells[1].update(source="show(figure, caption)"), False),
    ],
)
def test_the_digest_of_a_lesson_moves_with_what_is_compared(tmp_path, change, moves):
    path, changelog = tmp_path / "notebooks" / "01_a.ipynb", tmp_path / "CHANGELOG.md"
    before, nb = run_notebooks.digest(good()), good()
    changelog.write_text(f"- Lesson 01 (outputs `{before}`): it is there.\n- Lesson 01 (outputs `0`): older.\n")
    assert run_notebooks.unannounced(nb, path) == ""
    change(nb)
    assert ("lesson 01 moved: their digest is" in run_notebooks.unannounced(nb, path)) is moves
    changelog.write_text(f"- Lesson 02 (outputs `{run_notebooks.digest(nb)}`): of another lesson.\n")
    assert run_notebooks.unannounced(nb, path)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_makefile_takes_the_time_of_a_cell_from_the_tools():
    command = ["make", "-n", "test-exact"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
    assert re.findall(r"--nbval-cell-timeout=(\S*)", printed) == [str(run_notebooks.CELL_SECONDS)]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """Name -> outcome of small notebooks, run with the options that the Makefile gives to nbval."""
    options = re.search(r"^NBVAL := (.*)$", MAKEFILE, re.MULTILINE)[1]
    options = options.replace("$(CELL_SECONDS)", str(run_notebooks.CELL_SECONDS))
    assert "$" not in options
    imported = "from ganlib.claims import claim\n"
    cases = {
        "masked": (f"{imported}claim('one is one', 1 == 1, 2)", "✓ one is one (1)\n"),
        "changed": (f"{imported}claim('one is one', 1 == 1)", "✓ one is two\n"),
        "false": (f"{imported}claim('one is two', 1 == 2, why='It is not')", "✗ one is two\n  It is not.\n"),
    }
    folder = tmp_path_factory.mktemp("lessons")
    for name, (source, text) in cases.items():
        shown = nbformat.v4.new_output("stream", text=text)
        cell = nbformat.v4.new_code_cell(source, execution_count=1, outputs=[shown])
        nb = run_notebooks.normalise(nbformat.v4.new_notebook(cells=[cell]))
        run_notebooks.store(nb, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *options.split(), str(folder)]
    env = os.environ | {"GANLIB_STRICT": "1"}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8")
    return {name: outcome for outcome, name in re.findall(r"^([A-Z]+) .*?(\w+)\.ipynb::", run.stdout, re.MULTILINE)}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "outcome"), [("masked", "PASSED"), ("changed", "FAILED"), ("false", "FAILED")])
def test_the_strict_run_of_the_lessons_can_fail(strict, name, outcome):
    assert strict[name] == outcome
