"""Lessons that are opened alone, as in Google Colab: their setup cell, and copies that carry the package inside.

    python tools/colab.py setup                   write the setup cell into every lesson
    python tools/colab.py copies FOLDER           write a copy of each lesson, with the package inside
    python tools/colab.py test PYTHON OPTION ...  run such copies strictly in the environment of that interpreter

`test` gives the options to pytest. The exit status is 1 when a copy does not run as its lesson is stored, or when the
package does more to the environment than to add itself.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import nbformat
from anatomy import NOTEBOOKS, is_closed, lessons
from nbformat import NotebookNode
from run_notebooks import store

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT.get("urls", {}).get("Repository")
FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # in JupyterLab and in Colab
SETUP = """\
# @title Setup: run this cell first
{imports}

{find}
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from ganlib import checkpoints, data, judge, losses, metrics, models, plots, tables, targets, training
from ganlib.claims import claim, guess, say
from ganlib.exercises import check, hint, solution
from ganlib.gan import GAN
from ganlib.show import show, watch

SEED = int(os.environ.get("GANLIB_SEED", 0))  # every random number of this lesson comes from it
torch.set_num_threads(1)  # two are faster on an idle machine, and far slower on a busy one
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")"""
# Where PyTorch is missing nothing is fetched: this kernel is the wrong one, and PyTorch takes gigabytes.
FETCH = """\
if not find_spec("ganlib"):  # the lesson came alone, as in Colab: fetch the package that belongs to it
    package = "git+{address}@v{version}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", package]
    if not find_spec("torch") or subprocess.run(command, capture_output=True).returncode:
        raise RuntimeError(f"ganlib is missing, and to fetch it takes PyTorch and a network: pip install '{{package}}'")
    invalidate_caches()
"""
ASK = """\
if not find_spec("ganlib"):  # the lesson came alone, as in Colab
    raise RuntimeError(
        "ganlib is not here: start the course with `make lab`, or pip install its folder, "
        "or open the copy of this lesson that `make colab` makes"
    )
"""
INSTALL = '''\
# @title Install: ganlib is inside of this notebook, no network is needed
import subprocess
import sys
import tempfile
from base64 import b64decode
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

WHEEL = """
{wheel}"""
if not find_spec("ganlib"):
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder, "{name}")
        wheel.write_bytes(b64decode(WHEEL))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*command, wheel], check=True)  # without the network, and nothing else is installed
    invalidate_caches()'''


def setup_cell(address: str | None = ADDRESS) -> str:
    """The first code cell of every lesson; `address` is that of the repository, from pyproject.toml."""
    names = ["math", "os", *["subprocess", "sys"] * bool(address)]
    imports = [f"import {name}" for name in names] + ["from importlib import invalidate_caches"] * bool(address)
    imports += ["from importlib.util import find_spec", "from pathlib import Path"]
    find = FETCH.format(address=address, version=PROJECT["version"]) if address else ASK
    return SETUP.format(imports="\n".join(imports), find=find)


def with_setup(nb: NotebookNode) -> NotebookNode:
    """Put the setup cell into a lesson, whose first code cell has the id "setup", and return the lesson."""
    first = next((cell for cell in nb.cells if cell.cell_type == "code"), {"id": None})
    if first["id"] != "setup":
        raise ValueError(f"the first code cell of a lesson must have the id 'setup', got {first['id']!r}")
    first.source = setup_cell()
    first.metadata.update(FOLDED)
    return nb


def build_wheel(folder: Path) -> Path:
    """Build ganlib into `folder`, from a copy, since a build leaves folders behind."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        shutil.copytree(ROOT / "ganlib", Path(copy, "ganlib"), ignore=shutil.ignore_patterns("__pycache__"))
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*command, "--wheel-dir", folder, copy], check=True)
    [wheel] = folder.glob("ganlib-*.whl")
    return wheel


def with_wheel(nb: NotebookNode, wheel: Path) -> NotebookNode:
    """Put a cell that installs `wheel`, which it holds, before the first code cell of a lesson."""
    text = base64.encodebytes(wheel.read_bytes()).decode()
    cell = nbformat.v4.new_code_cell(INSTALL.format(wheel=text, name=wheel.name), id="install", metadata=FOLDED)
    first = next(n for n, cell in enumerate(nb.cells) if cell.cell_type == "code")
    nb.cells.insert(first, cell)
    return nb


def without_answers(nb: NotebookNode) -> NotebookNode:
    """Drop the outputs that a lesson keeps closed, since they answer a guess and Colab would show them."""
    for cell in nb.cells:
        if is_closed(cell):
            cell.outputs, cell.execution_count = [], None
    return nb


def write_setup(folder: Path = NOTEBOOKS) -> None:
    """Write the setup cell into every lesson of a folder; one that has it stays untouched."""
    for path in lessons(folder):
        if store(with_setup(nbformat.read(path, as_version=4)), path):
            print(f"{path.name}: the setup cell is new")


def make_copies(wheel: Path) -> dict[str, NotebookNode]:
    """Name -> copy of each lesson, with the wheel and with all stored outputs."""
    paths = lessons()
    return {path.name: with_wheel(nbformat.read(path, as_version=4), wheel) for path in paths}


class Environment:
    """The environment of another interpreter, used from an empty folder."""

    def __init__(self, python: Path, folder: Path) -> None:
        # Not resolved: the interpreter of a virtual environment is a link to another.
        self.python, self.folder = Path(os.path.abspath(python)), folder
        self.env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(self, *arguments: Any) -> "subprocess.CompletedProcess[str]":
        command = [self.python, *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, encoding="utf-8")

    def finds_ganlib(self) -> bool:
        program = "import sys, importlib.util; sys.exit(importlib.util.find_spec('ganlib') is None)"
        return self.run("-c", program).returncode == 0

    def packages(self) -> set[str]:
        """What is installed, as name==version, and what `pip check` says of conflicts."""
        listed, checked = self.run("-m", "pip", "list", "--format=freeze"), self.run("-m", "pip", "check")
        if listed.returncode:
            raise RuntimeError(f"{self.python} cannot list its packages: {listed.stderr}")
        return {*listed.stdout.splitlines(), *checked.stdout.splitlines() * checked.returncode}

    def would_install(self, wheel: Path) -> list[str]:
        """The packages that pip would install for `wheel`, or what pip says when some cannot be had here."""
        ran = self.run("-m", "pip", "install", "--quiet", "--no-index", "--dry-run", "--report", "-", wheel)
        return [ran.stderr] if ran.returncode else [i["metadata"]["name"] for i in json.loads(ran.stdout)["install"]]


def run_copies(copies: dict[str, NotebookNode], wheel: Path, python: Path, options: list[str]) -> list[str]:
    """Run each copy where ganlib is not installed, and return what went wrong.

    `wheel` is what the copies hold, `python` the interpreter of an environment with ipykernel and pip.
    """
    with tempfile.TemporaryDirectory() as kernels, tempfile.TemporaryDirectory() as empty:
        there = Environment(python, Path(empty))
        if there.finds_ganlib():
            return [f"{python} finds ganlib before a copy installs it: make this environment anew"]
        faults = []
        if (needed := there.would_install(wheel)) != ["ganlib"]:
            faults.append(f"ganlib does not fit in, pip would install: {', '.join(needed)}")
        kernel = Path(kernels, "kernels", "colab", "kernel.json")
        kernel.parent.mkdir(parents=True)
        argv = [str(there.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel.write_text(json.dumps({"argv": argv, "display_name": "colab", "language": "python"}), encoding="utf-8")
        pytest = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider", *options]
        for name, copy in copies.items():
            path, before = there.folder / name, there.packages()
            store(copy, path)
            try:
                env = there.env | {"JUPYTER_PATH": kernels}
                ran = subprocess.run([*pytest, "--nbval-kernel-name=colab", path], cwd=ROOT, env=env)
                faults += [f"{name} does not run as it is stored"] * bool(ran.returncode)
                faults += [f"{name}: {change}" for change in changes(before, there.packages())]
            finally:
                there.run("-m", "pip", "uninstall", "--yes", "ganlib")
            path.unlink()
    return faults


def changes(before: set[str], after: set[str]) -> list[str]:
    """What changed among the packages, beside ganlib that came."""
    ours = {f"ganlib=={PROJECT['version']}"}
    signed = {"-": before - after, "+": after - before - ours, "never installed:": ours - (after - before)}
    return [f"{sign} {line}" for sign, lines in signed.items() for line in sorted(lines)]


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("setup")
    verbs.add_parser("copies").add_argument("folder", type=Path)
    verbs.add_parser("test").add_argument("python", type=Path)
    options, others = parser.parse_known_args(arguments)
    if others and options.verb != "test":
        parser.error(f"unknown: {' '.join(others)}")
    if options.verb == "setup":
        write_setup()
        return 0
    faults = []
    with tempfile.TemporaryDirectory() as place:
        wheel = build_wheel(Path(place))
        copies = make_copies(wheel)
        if options.verb == "test":
            faults = run_copies(copies, wheel, options.python, others)
    if options.verb == "copies":
        for name, copy in copies.items():
            store(without_answers(copy), options.folder / name)
            print(options.folder / name)
    for fault in faults:
        print(f"✗ {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
