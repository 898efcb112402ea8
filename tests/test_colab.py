"""Lessons that are opened alone: what their setup cell says and does, their copies, and the run of these copies."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace

import anatomy
import colab
import nbformat
import pytest
from run_notebooks import normalise

LESSONS = anatomy.lessons()
ANYWHERE = "https://example.invalid/course"
STRICT = ["-q", "--nbval", "--nbval-cell-timeout=60"]


def fault_of_setup(nb):
    """What is wrong with the first code cell of a lesson, or None."""
    first = next(cell for cell in nb.cells if cell.cell_type == "code")
    if first.id != "setup":
        return "the first code cell is not the setup"
    if first.source != colab.setup_cell():
        return "another setup cell: python tools/colab.py setup"
    folded = anatomy.is_folded(first) and first.metadata.get("cellView") == "form"
    return None if folded else "the setup cell is not folded"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_begins_with_the_setup_cell(path):
    assert fault_of_setup(nbformat.read(path, as_version=4)) is None


def lesson(*sources):
    """A notebook whose code cells have these sources; the first is the setup."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    cells[0].id = "setup"
    return normalise(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title", id="title"), *cells]))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda nb: nb.cells[1].update(id="other"), "the first code cell is not the setup"),
        (lambda nb: nb.cells[1].update(source=f"{colab.setup_cell()}  # mine"), "another setup cell"),
        (lambda nb: nb.cells[1].metadata.pop("cellView"), "the setup cell is not folded"),
        (lambda nb: nb.cells[1].metadata.jupyter.update(source_hidden=False), "the setup cell is not folded"),
    ],
)
def test_a_lesson_with_another_beginning_is_noticed(spoil, fault):
    nb = colab.with_setup(lesson("an older setup"))
    assert fault_of_setup(nb) is None
    spoil(nb)
    assert fault_of_setup(nb).startswith(fault)


def test_the_setup_cell_is_written_once_and_nothing_else_is_touched(tmp_path, capsys):
    path = tmp_path / "01_lesson.ipynb"
    colab.store(lesson("an older setup", "x = 1"), path)
    colab.write_setup(tmp_path)
    written = path.read_bytes()
    assert capsys.readouterr().out == "01_lesson.ipynb: the setup cell is new\n"
    assert [cell.source for cell in nbformat.read(path, as_version=4).cells] == ["# Title", colab.setup_cell(), "x = 1"]
    colab.write_setup(tmp_path)
    assert (path.read_bytes(), capsys.readouterr().out) == (written, "")


def test_a_lesson_without_a_setup_cell_is_refused():
    nb = lesson("x = 1")
    nb.cells[1].id = "first"
    with pytest.raises(ValueError, match="the first code cell of a lesson must have the id 'setup', got 'first'"):
        colab.with_setup(nb)
    with pytest.raises(ValueError, match="got None"):
        colab.with_setup(nbformat.v4.new_notebook())


@pytest.mark.parametrize("address", [None, ANYWHERE])
def test_the_setup_cell_is_short_and_has_the_layout_of_the_project(address):
    source = colab.setup_cell(address)
    assert source.startswith("# @title Setup: run this cell first\n")
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 28
    for rest in (["format", "--check"], ["check", "--ignore", "E402,F401"]):
        command = [sys.executable, "-m", "ruff", *rest, "--stdin-filename", "setup.py", "-"]
        ran = subprocess.run(command, cwd=colab.ROOT, input=f"{source}\n", capture_output=True, encoding="utf-8")
        assert ran.returncode == 0, ran.stdout


def test_an_address_is_written_only_where_one_is_set():
    assert ("git+" in colab.setup_cell()) == bool(colab.PROJECT.get("urls", {}).get("Repository"))
    assert f"git+{ANYWHERE}@v{colab.PROJECT['version']}" in colab.setup_cell(ANYWHERE)


@pytest.fixture
def away(monkeypatch):
    """A set of top-level packages that this process does not find, at first ganlib alone."""
    missing, find_spec = {"ganlib"}, importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find_spec(name))
    return missing


def sentence_of(source):
    """The text of the error that a cell raises; it must be one line, and must not come from pip or from an import."""
    with pytest.raises(RuntimeError) as caught:
        exec(source, {})
    [line] = str(caught.value).splitlines()
    assert caught.value.__context__ is None
    return line


def test_without_ganlib_and_without_an_address_the_setup_cell_says_how_to_get_it(away):
    sentence = sentence_of(colab.setup_cell(None))
    assert sentence.startswith("ganlib is not here: ")
    assert all(way in sentence for way in ("`make lab`", "pip install", "`make colab`"))


def test_without_ganlib_and_without_a_network_the_setup_cell_says_so(away, monkeypatch):
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command) or SimpleNamespace(returncode=1))
    package = f"git+{ANYWHERE}@v{colab.PROJECT['version']}"
    assert sentence_of(colab.setup_cell(ANYWHERE)).endswith(f"PyTorch and a network: pip install '{package}'")
    assert [command[-1] for command in asked] == [package]
    away.add("torch")  # the wrong kernel on a learner's machine: no gigabytes are fetched
    assert "PyTorch" in sentence_of(colab.setup_cell(ANYWHERE))
    assert len(asked) == 1


@pytest.mark.parametrize("address", [None, ANYWHERE])
def test_where_ganlib_is_the_setup_cell_fetches_nothing_and_runs_twice(address, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setenv("GANLIB_SEED", "3")
    names = {}
    for _ in range(2):
        exec(colab.setup_cell(address), names)
    assert names["SEED"] == 3
    assert names["device"].type in ("cpu", "cuda")
    assert callable(names["watch"])


def test_only_closed_outputs_leave_a_copy():
    shown = nbformat.v4.new_output("stream", text="4\n")
    nb = lesson("1", "2", "3")
    for cell, metadata in zip(nb.cells[1:], ({"outputs_hidden": True}, {"source_hidden": True}, {})):
        cell.update(outputs=[shown], execution_count=1)
        cell.metadata["jupyter"] = metadata
    nb = colab.without_answers(nb)
    nbformat.validate(nb)
    assert [len(cell.outputs) for cell in nb.cells[1:]] == [0, 1, 1]
    assert [cell.execution_count for cell in nb.cells[1:]] == [None, 1, 1]


def test_each_lesson_has_a_copy(tmp_path):
    wheel = tmp_path / "ganlib-0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    assert sorted(colab.make_copies(wheel)) == [path.name for path in LESSONS]


def test_what_changed_beside_ganlib_is_noticed():
    ours, before = f"ganlib=={colab.PROJECT['version']}", {"numpy==2.1.3", "torch==2.11.0"}
    assert colab.changes(before, before | {ours}) == []
    assert colab.changes(before, before) == [f"never installed: {ours}"]
    assert colab.changes(before | {ours}, before | {ours}) == [f"never installed: {ours}"]
    assert colab.changes(before, {"numpy==2.2", "torch==2.11.0", ours}) == ["- numpy==2.1.3", "+ numpy==2.2"]
    assert colab.changes(before, before | {ours, "a 1 requires b, which is not installed."}) != []


# From here on with a real pip, in an environment that lacks nothing but ganlib.


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return colab.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def python(tmp_path):
    """The interpreter of a new environment that sees every package of this one but ganlib."""
    folder, others = tmp_path / "environment", tmp_path / "others"
    venv.create(folder, with_pip=False)
    others.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "ganlib" not in entry.name:
            (others / entry.name).symlink_to(entry)
    scheme = {"base": str(folder), "platbase": str(folder)}
    Path(sysconfig.get_path("purelib", "venv", scheme), "others.pth").write_text(f"{others}\n", encoding="utf-8")
    return Path(sysconfig.get_path("scripts", "venv", scheme), "python")


def ran(python, source, folder, **env):
    """Run a program, which is too long for a command line where it holds a wheel."""
    command = [python, "-"]
    return subprocess.run(
        command, input=source, cwd=folder, env=os.environ | env, capture_output=True, encoding="utf-8"
    )


@pytest.mark.slow
def test_a_copy_installs_what_it_holds_once(python, wheel, tmp_path):
    nb = colab.with_wheel(lesson("an older setup"), wheel)
    nbformat.validate(nb)
    assert [cell.id for cell in nb.cells] == ["title", "install", "setup"]
    source = nb.cells[1].source
    assert b64decode(source.split('"""')[1]) == wheel.read_bytes()
    assert source.startswith("# @title ")
    assert "ModuleNotFoundError" in ran(python, "import ganlib", tmp_path).stderr
    show = "\nimport ganlib.tables\nprint(ganlib.__file__)"
    first = ran(python, source + show, tmp_path, PIP_INDEX_URL=ANYWHERE)
    assert first.returncode == 0, first.stderr
    assert Path(first.stdout.strip()).is_relative_to(python.parent.parent)
    again = ran(python, f"import subprocess\nsubprocess.run = None\n{source}{show}", tmp_path)
    assert again.stdout == first.stdout


@pytest.mark.slow
def test_the_setup_cell_fetches_the_tag_of_its_version(python, tmp_path):
    source = colab.setup_cell((tmp_path / "course").as_uri())
    nothing = ran(python, source, tmp_path)
    assert nothing.stderr.splitlines()[-1].startswith("RuntimeError: ganlib is missing, and to fetch it takes PyTorch")

    course = tmp_path / "course"
    shutil.copytree(colab.ROOT / "ganlib", course / "ganlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(colab.ROOT / name, course)
    git = ["git", "-C", course, "-c", "user.name=me", "-c", "user.email=me@example.invalid"]
    tag = ["tag", f"v{colab.PROJECT['version']}"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"], tag):
        subprocess.run([*git, *command], check=True)
    (course / "ganlib" / "__init__.py").unlink()  # after the tag: not in what is fetched
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "broken"], check=True)

    # No build environment is made, which would need a network; the name of this option means its opposite.
    fetched = ran(python, f"{source}\nimport ganlib\nprint(ganlib.__file__)", tmp_path, PIP_NO_BUILD_ISOLATION="0")
    assert fetched.returncode == 0, fetched.stderr
    assert Path(fetched.stdout.strip()).is_relative_to(python.parent.parent)


def copy_with(wheel, source, text):
    """A copy of a lesson of one cell, and what it printed when it was stored."""
    nb = lesson("import ganlib", source)
    nb.cells[-1].update(outputs=[nbformat.v4.new_output("stream", text=text)], execution_count=1)
    return colab.with_wheel(nb, wheel)


PLANT = """
from pathlib import Path
folder = Path(ganlib.__file__).parent.parent / "planted-1.dist-info"
folder.mkdir()
(folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: planted\\nVersion: 1\\nRequires-Dist: nowhere\\n")
"""


@pytest.mark.slow
def test_copies_are_run_strictly_and_leave_the_environment_as_it_was(python, wheel, tmp_path):
    copies = {
        "good.ipynb": copy_with(wheel, "import os\nprint(os.listdir())", "['good.ipynb']\n"),
        "output.ipynb": copy_with(wheel, "print(5)", "4\n"),
        "without.ipynb": lesson("print(4)"),
        "planted.ipynb": copy_with(wheel, f"{PLANT}print(4)", "4\n"),
    }
    assert colab.run_copies(copies, wheel, python, STRICT) == [
        "output.ipynb does not run as it is stored",
        f"without.ipynb: never installed: ganlib=={colab.PROJECT['version']}",
        "planted.ipynb: + planted 1 requires nowhere, which is not installed.",
        "planted.ipynb: + planted==1",
    ]
    assert "ModuleNotFoundError" in ran(python, "import ganlib", tmp_path).stderr


@pytest.mark.slow
def test_an_environment_that_ganlib_does_not_fit_is_noticed(python, wheel, tmp_path):
    [found] = colab.run_copies({}, wheel, Path(sys.executable), STRICT)
    assert found.endswith("finds ganlib before a copy installs it: make this environment anew")

    (tmp_path / "others" / "pooch").unlink()
    [metadata] = (tmp_path / "others").glob("pooch-*.dist-info")
    metadata.unlink()
    [fault] = colab.run_copies({}, wheel, python, STRICT)
    assert fault.startswith("ganlib does not fit in, pip would install: ")
    assert "pooch" in fault
