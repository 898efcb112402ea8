import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import anatomy
import nbformat
import pytest
import run_notebooks
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).resolve().parents[2]
LESSONS = anatomy.lessons()
TAGS = {"nbval-ignore-output", "raises-exception"}
# The cells whose outputs no run compares, and why they cannot be.
IGNORED = {
    ("01", "judge"): "a progress bar or a line, as the judge is in the cache or not",
    ("03", "ten-run"): "a live picture, and a progress bar with seconds",
    ("03", "ten-show"): "distances and a count after trainings in float32, which differ between machines",
    ("03", "r1-run"): "a live picture, and a progress bar with seconds",
    ("03", "r1-show"): "distances and counts after trainings in float32, which differ between machines",
    ("03", "told-show"): "a ratio of distances after a training in float32, which differs between machines",
    ("03", "first-show"): "gradients after a training in float32, which differ between machines",
    ("03", "heart-show"): "a ratio of small logits after a training in float32, which differs between machines",
    ("03", "ring-show"): "counts after trainings in float32, which differ between machines",
    ("03", "grid-show"): "a share of hits after a training in float32, which differs between machines",
    ("04", "loop"): "a live picture, and a progress bar with seconds",
    ("04", "judge"): "a progress bar or a line, as the judge is in the cache or not",
    ("04", "better-loop"): "a live picture, a progress bar, and losses that differ between machines",
    ("06", "ways"): "a note, where MNIST is out of reach, and nothing else",
    ("06", "loop"): "a progress bar and nothing else",
    ("06", "cannot"): "a progress bar and nothing else",
    ("06", "grid"): "a progress bar and nothing else",
    ("06", "memory"): "a progress bar and nothing else",
    ("06", "number"): "a progress bar and nothing else",
    ("06", "half"): "a progress bar and nothing else",
    ("06", "judge"): "a progress bar or a line, as the judge is in the cache or not",
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


def printed_signs(source):
    """The texts that a cell prints, and that a Korean Windows console cannot."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic command
        return
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
            texts = [str(node.value) for node in ast.walk(call) if isinstance(node, ast.Constant)]
            yield from (text for text in texts if text.encode("cp949", "ignore").decode("cp949") != text)


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
    "cell 1: unknown tags ['slow']": lambda nb: nb.cells[1].metadata.update(tags=["slow"]),
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
    "cell 3: an address or a local path in the outputs: C:\\U": lambda nb: say(nb, "saved to C:\\Users\\me\n"),
    "cell 3: an address or a local path in the outputs: ~/": lambda nb: say(nb, "saved to ~/x.pt\n"),
    "the heading 'Deep' jumps": lambda nb: nb.cells[2].update(source="## Part\n#### Deep"),
    "2 headings of level 1": lambda nb: nb.cells[2].update(source="# Again"),
    "an image without alternative text": lambda nb: nb.cells[0].update(source="# Title\n![](line.png)"),
    "an image without alternative text: '<img": lambda nb: nb.cells[2].update(source='<img src="line.png">'),
    "execution counts": lambda nb: nb.cells[3].update(execution_count=7),
    "no outputs": lambda nb: [cell.update(outputs=[]) for cell in nb.cells if "outputs" in cell],
    "cell ids": lambda nb: nb.cells[1].update(id="cell-0"),
    "widget states": lambda nb: nb.metadata.update(widgets={}),
    "the kernel is not python3": lambda nb: nb.metadata.kernelspec.update(name="my-env"),
    "cell cell-3: nbval-ignore-output": lambda nb: nb.cells[3].metadata.update(tags=["nbval-ignore-output"]),
    "cell 1: a figure without facts": lambda nb: nb.cells[1].outputs[0].data.update({"text/plain": "<Figure>"}),
    "5 claims": lambda nb: nb.cells[3].outputs[0].update(text=holding(5)),
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


def test_the_tools_read_the_sanitiser_as_nbval_does():
    text = run_notebooks.SANITIZE.read_text(encoding="ascii")
    assert run_notebooks.rules() == get_sanitize_patterns(text)
    assert text.count("\nregex: ") == len(run_notebooks.rules()), "nbval drops a line in silence"


MNIST = "MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from the cache\n"
STAND_IN = MNIST.replace("MNIST", "digits (offline stand-in for MNIST)").replace("the cache", "scikit-learn")


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("✓ p_g covers 8 of 8 modes (8)\n✓ b (1)\n", "✓ p_g covers 8 of 8 modes (7.5)\n✓ b (0.1 (low))\n"),
        ("✓ a long one\n    holds (8)\n✓ b\n", "✓ a long one\n    holds (7.5 of\n    9)\n✓ b\n"),
        (MNIST, MNIST.replace("the cache", "the folder GANLIB_DATA")),
        (MNIST, f"Note: no mirror answers.\nNote: the stand-in takes its place.\n{STAND_IN}"),
        ("A and B of MNIST, by loss.\n", "A and B of digits (offline stand-in for MNIST),\n    by loss.\n"),
        ('<img alt="A." src="data:image/png;base64,aB+/=">', '<img alt="A." src="data:image/png;base64,cD0=">'),
    ],
)
def test_what_may_differ_is_masked(stored, now):
    assert run_notebooks.sanitized(stored) == run_notebooks.sanitized(now)


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("✓ a (8)\nb\n", "✓ a (8)\nc\n"),
        ("✓ a long one\n    holds (8)\n", "✓ a long one\n    fails (8)\n"),
        (MNIST, f"Fashion-{MNIST}"),
        (f"{MNIST}a\n", f"{MNIST}b\n"),
        ("Note: a\n", "Note: b\n"),
        ('<img alt="A." src="data:image/png;base64,aB">', '<img alt="B." src="data:image/png;base64,aB">'),
    ],
)
def test_what_must_not_differ_is_not_masked(stored, now):
    assert run_notebooks.sanitized(stored) != run_notebooks.sanitized(now)


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        (lambda nb: nb.cells[1].outputs[0].data.update({"text/plain": "A line rises.\naxes: x"}), True),
        (lambda nb: nb.cells[4].outputs[0].update(evalue="overflow"), True),
        (lambda nb: nb.cells[3].outputs[0].update(text=holding(6).replace("(1)", "(2)")), False),
        (lambda nb: nb.cells[1].outputs[0].data.update({"image/png": "other"}), False),
        (lambda nb: nb.cells[5].outputs.append(nbformat.v4.new_output("stream", text="a bar")), False),
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


def test_the_digest_is_that_of_the_file():
    nb = good()
    nb.cells[1].outputs[0].data = nbformat.from_dict({"text/plain": "A line rises.", "text/html": "<b>A</b>"})
    assert run_notebooks.digest(nb) == run_notebooks.digest(nbformat.reads(run_notebooks.serialise(nb).decode(), 4))


@pytest.mark.slow
def test_the_strict_run_of_the_lessons_can_fail(tmp_path):
    options = re.search(r"^NBVAL := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    options = options.replace("$(CELL_SECONDS)", str(run_notebooks.CELL_SECONDS))
    cases = {"masked": ("True", "✓ it is (1)\n"), "changed": ("True", "✓ it is not\n"), "false": ("False", "✗ it is\n")}
    for name, (condition, text) in cases.items():
        source = f"from ganlib.claims import claim\nclaim('it is', {condition}, 2)"
        shown = nbformat.v4.new_output("stream", text=text)
        cell = nbformat.v4.new_code_cell(source, execution_count=1, outputs=[shown])
        run_notebooks.store(run_notebooks.normalise(nbformat.v4.new_notebook(cells=[cell])), tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *options.split(), str(tmp_path)]
    env = os.environ | {"GANLIB_STRICT": "1"}
    printed = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8").stdout
    outcomes = {name: outcome for outcome, name in re.findall(r"^([A-Z]+) .*?(\w+)\.ipynb::", printed, re.MULTILINE)}
    assert outcomes == {"masked": "PASSED", "changed": "FAILED", "false": "FAILED"}
