"""A wheel, installed where ganlib is not: it holds every module and table, and the lessons run from an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import anatomy
import colab
import nbformat
import pytest
from run_notebooks import loads_mnist
from test_structure import ROOT, tracked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return colab.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter that finds the dependencies installed here, and ganlib from the wheel alone."""
    folder = tmp_path_factory.mktemp("empty environment")
    venv.create(folder, with_pip=False)
    scheme = {"base": str(folder), "platbase": str(folder)}
    executable = Path(sysconfig.get_path("scripts", "venv", scheme), Path(sys.executable).name)
    packages = Path(sysconfig.get_path("purelib", "venv", scheme))
    # Of a folder that is named here, no .pth file is read: an editable ganlib beside the dependencies stays unseen.
    here = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(here)) + "\n", encoding="utf-8")
    program = [executable, "-I", "-c", "import torch, ganlib"]
    before = subprocess.run(program, cwd=folder, capture_output=True, encoding="utf-8")
    assert before.stderr.endswith("ModuleNotFoundError: No module named 'ganlib'\n"), before.stderr
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", packages]
    subprocess.run([*command, wheel], check=True)
    return executable


def test_the_wheel_holds_every_module_and_every_table(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    names = {path.relative_to(ROOT).as_posix() for path in tracked()}
    assert held == {name for name in names if name.startswith("ganlib/")}


# The lessons that need no images: the copies for Colab run the others outside of the repository, too.
@pytest.mark.parametrize(
    "path", [path for path in anatomy.lessons() if not loads_mnist(nbformat.read(path, as_version=4))]
)
def test_a_lesson_runs_from_an_empty_folder(path, python, tmp_path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    script, empty = tmp_path / "lesson.py", tmp_path / "empty"
    script.write_text("\n\n".join([*cells, "import ganlib\nprint(ganlib.__file__)\n"]), encoding="utf-8")
    empty.mkdir()
    command, env = [python, "-I", "-X", "utf8", script], os.environ | {"MPLBACKEND": "Agg", "GANLIB_STRICT": "1"}
    run = subprocess.run(command, cwd=empty, env=env, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    assert Path(run.stdout.splitlines()[-1]).is_relative_to(python.parent.parent)
    assert sum(line.startswith("✓ ") for line in run.stdout.splitlines()) >= 6
