import subprocess
import types

import nbformat
import pytest
import run_notebooks
from run_notebooks import WIDGET, main, normalise, serialise

pytestmark = pytest.mark.slow

SLIDER = """\
import io, os, warnings
import ipywidgets
from IPython.display import Image, display
from PIL import Image as Picture
from tqdm.auto import tqdm
file = io.BytesIO()
Picture.new("L", (8, 8), 255).save(file, format="png")
for number in tqdm(range(3)):
    print("step", number)
slider = ipywidgets.IntSlider(3)
display(slider, Image(file.getvalue()), slider, ipywidgets.IntSlider(4))
print(os.environ.get("GANLIB_SEED", "no seed"), os.environ.get("GANLIB_STRICT", "not strict"))"""
CLAIM = """\
import os
from ganlib.claims import claim
seed = int(os.environ.get("GANLIB_SEED", "0"))
claim("the seed is below two", seed < 2, measured=seed)
claim("é is a letter", True)"""


def write(path, *sources):
    """A notebook as an editor may leave it: with timing, widget states and another kernel."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        cell.metadata = {"execution": {"iopub.execute_input": "2026"}, "slideshow": {"slide_type": "slide"}}
    cells.insert(0, nbformat.v4.new_markdown_cell("# 제목 −", id="title"))
    metadata = {"widgets": {}, "kernelspec": {"name": "mine", "display_name": "Mine"}}
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata)), encoding="utf-8")
    return path


def test_a_second_run_leaves_the_same_bytes(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "01_slider.ipynb", SLIDER, CLAIM)
    monkeypatch.setenv("GANLIB_STRICT", "1")
    monkeypatch.setenv("GANLIB_SEED", "5")
    assert main([], tmp_path) == 0
    first, written = path.read_bytes(), path.stat().st_mtime_ns
    assert main(["01"], tmp_path) == 0
    assert path.read_bytes() == first
    assert path.stat().st_mtime_ns == written
    assert capsys.readouterr().out == (
        "01_slider.ipynb: stored, 2 of 2 claims hold\n01_slider.ipynb: unchanged, 2 of 2 claims hold\n"
    )
    assert list(tmp_path.glob("*")) == [path]

    nb = nbformat.reads(first.decode(), as_version=4)
    assert first.endswith(b"\n}\n")
    assert b"\r" not in first
    assert "제목 −".encode() in first
    assert set(nb.metadata) == {"kernelspec", "language_info"}
    assert nb.metadata.kernelspec.name == "python3"
    assert [cell.metadata for cell in nb.cells[1:]] == [{"slideshow": {"slide_type": "slide"}}] * 2
    assert [cell.execution_count for cell in nb.cells[1:]] == [1, 2]
    assert nb.cells[1].outputs[-1].text.endswith("no seed not strict\n")
    views = [output.data[WIDGET].model_id for output in nb.cells[1].outputs if WIDGET in output.get("data", {})]
    bar, slider, again, other = views
    assert slider == again
    assert len({bar, slider, other}) == 3


def test_moved_outputs_are_to_be_announced(tmp_path, capsys):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "CHANGELOG.md").write_text("- Lesson 01 (outputs `00000000`): it prints 2.")
    write(tmp_path / "notebooks" / "01_a.ipynb", "print(1)")
    for message in ("say in CHANGELOG.md, above older lines,", ""):
        assert main([], tmp_path / "notebooks") == 0
        printed = capsys.readouterr().out
        assert message in printed
        (tmp_path / "CHANGELOG.md").write_text(printed.partition("change: ")[2].replace("...", "it prints 1."))
    assert printed == "01_a.ipynb: unchanged, 0 of 0 claims hold\n"


def test_widget_ids_depend_on_the_cell_alone():
    def notebook(cell, *models):
        data = [{WIDGET: {"model_id": model}, "text/plain": "a slider"} for model in models]
        outputs = [nbformat.v4.new_output("display_data", bundle) for bundle in data]
        code = nbformat.v4.new_code_cell("slider", execution_count=9, outputs=outputs, id=cell)
        return serialise(normalise(nbformat.v4.new_notebook(cells=[code])))

    assert notebook("a", "1", "2", "1") == notebook("a", "8", "9", "8")
    assert notebook("a", "1", "2", "1") != notebook("a", "1", "2", "2")
    assert notebook("a", "1") != notebook("b", "1")


def test_pieces_of_a_text_are_joined_and_stay_in_their_place():
    def stream(text, name="stdout"):
        return nbformat.v4.new_output("stream", text=text, name=name)

    picture = nbformat.v4.new_output("display_data", {"text/plain": "a picture"})
    outputs = [stream("a"), stream("b\n"), stream("c", "stderr"), stream("d"), picture, stream("e"), stream("f")]
    code = nbformat.v4.new_code_cell("f()", execution_count=1, outputs=outputs)
    nb = normalise(nbformat.v4.new_notebook(cells=[code]))
    assert [output.get("text", "-") for output in nb.cells[0].outputs] == ["ab\n", "c", "d", "-", "ef"]


def test_an_error_keeps_one_line():
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="too big", traceback=["/home/me/x.py", "…"])
    code = nbformat.v4.new_code_cell("f()", execution_count=1, outputs=[error])
    nb = normalise(nbformat.v4.new_notebook(cells=[code]))
    assert nb.cells[0].outputs[0].traceback == ["ValueError: too big"]


def test_a_false_claim_is_stored_and_reported(tmp_path, capsys):
    path = write(tmp_path / "01_false.ipynb", CLAIM.replace("True", "False"))
    assert main([], tmp_path) == 1
    assert "stored, 1 of 2 claims hold\n  ✗ é is a letter" in capsys.readouterr().out
    assert "✗ é is a letter" in path.read_text(encoding="utf-8")


def test_a_lesson_that_fails_is_not_stored_and_the_next_one_runs(tmp_path, capsys):
    path = write(tmp_path / "01_fails.ipynb", "1 / 0")
    other = write(tmp_path / "02_works.ipynb", "print(1)")
    before = path.read_bytes()
    assert main([], tmp_path) == 1
    assert path.read_bytes() == before
    assert b"print(1)" in other.read_bytes()
    out = capsys.readouterr().out
    assert "01_fails.ipynb: not stored, a cell failed" in out
    assert "ZeroDivisionError" in out
    assert "02_works.ipynb: stored" in out


def test_an_announced_error_is_no_failure(tmp_path):
    path = write(tmp_path / "01_raises.ipynb", "1 / 0")
    nb = nbformat.read(path, as_version=4)
    nb.cells[1].metadata.tags = ["raises-exception"]
    path.write_bytes(serialise(nb))
    assert main([], tmp_path) == 0


def test_false_claims_are_counted_over_seeds(tmp_path, capsys):
    path = write(tmp_path / "01_seeds.ipynb", CLAIM)
    before = path.read_bytes()
    assert main(["--check-seeds", "2"], tmp_path) == 1
    assert path.read_bytes() == before
    out = capsys.readouterr().out
    assert "   1  2  the seed is below two: 1, 2 [✗ for seeds 2]" in out
    assert "   0  2  é is a letter" in out
    assert main(["--check-seeds", "1"], tmp_path) == 0


@pytest.mark.parametrize("source", ["images = data.load('mnist')", "from ganlib.data import load"])
def test_outputs_of_the_stand_in_are_refused(tmp_path, monkeypatch, capsys, source):
    path = write(tmp_path / "01_mnist.ipynb", f"if False:\n    {source}")
    before = path.read_bytes()
    stand_in = types.SimpleNamespace(name="digits (offline stand-in for MNIST)")
    monkeypatch.setattr("ganlib.data.load", lambda name: stand_in)
    assert main([], tmp_path) == 1
    assert path.read_bytes() == before
    assert "GANLIB_DATA" in capsys.readouterr().out
    assert main(["--allow-stand-in"], tmp_path) == 0
    assert path.read_bytes() != before


def test_lessons_are_found_by_name_and_by_change(tmp_path, capsys):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    paths = [write(tmp_path / name, "print(1)") for name in ("01_a.ipynb", "02_b.ipynb")]
    git("init")
    git("add", ".")
    git("commit", "-m", "two lessons")
    new = write(tmp_path / "03_c.ipynb", "print(1)")
    write(paths[1], "print(2)")
    find = run_notebooks.find
    assert find([], tmp_path) == [*paths, new]
    assert find(["changed"], tmp_path) == [paths[1], new]
    assert find(["notebooks/02_b.ipynb", "01"], tmp_path) == paths[::-1]
    with pytest.raises(SystemExit):
        main(["07"], tmp_path)
    assert "(01_a, 02_b, 03_c), got '07'" in capsys.readouterr().err


def test_a_stored_lesson_becomes_a_web_page(tmp_path):
    write(tmp_path / "01_a.ipynb", "print(1)")
    assert main(["--html", str(tmp_path / "pages")], tmp_path) == 0
    assert "제목 −" in (tmp_path / "pages" / "01_a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["  0%|          | 0/1400 [00:00<?, ?step/s]", "judge:  10%|#         | 140/1400"])
def test_a_progress_bar_is_not_stored(text):
    bar = nbformat.v4.new_output("display_data", {"text/plain": text})
    later = nbformat.v4.new_output("display_data", {"text/plain": "140 steps"})
    tags = {"tags": ["nbval-ignore-output"]}
    cell = nbformat.v4.new_code_cell("train()", execution_count=1, metadata=tags, outputs=[bar, later])
    assert normalise(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs == [later]
