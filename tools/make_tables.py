"""Make the committed tables in notebooks/tables/: what takes too long for a reader to run.

    python tools/make_tables.py              all tables
    python tools/make_tables.py 04           those of lesson 04
    python tools/make_tables.py --seeds 3    fewer seeds than ten, for a trial

A table is a JSON file: ``about``, ``versions``, ``code`` (a hash of what it ran) and ``rows``. Rows are written as soon
as a run is done, so an interrupted run goes on where it stopped; rows made by other code are dropped.

``NN_claims.json`` holds every claim of lesson NN under every seed, on MNIST and on the offline stand-in: the
measurements behind the thresholds in the lesson. ``04_quality.json`` holds the recipes of lesson 04, see quality.py.
"""

import argparse
import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import quality
from run_notebooks import NOTEBOOKS, claims, execute, find, loads_mnist
from tqdm import tqdm

PACKAGE = NOTEBOOKS.parent / "ganlib"
PACKAGES = ("torch", "numpy")
Work = Callable[..., list[dict[str, Any]]]


def code_hash(lesson: Path) -> str:
    """A hash of the code of ``lesson``, and of what it reaches in ganlib."""
    cells = [c.source for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "code"]
    return _hash("\n".join(cells))


def quality_hash() -> str:
    """A hash of the code that the numbers of the quality table depend on."""
    return _hash(Path(quality.__file__).read_text(encoding="utf-8"))


def _hash(source: str) -> str:
    """A hash of ``source`` and of the top-level statements of ganlib that it reaches, directly or not.

    So a new function makes no table stale. Comments, layout, docstrings and the words of errors do not count; what is
    imported under a name that is computed while running is missed.
    """
    trees = {path.stem: _bare(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.glob("*.py"))}
    trees[""] = _bare(source)
    scopes = {module: _scope(module, tree) for module, tree in trees.items()}
    reached: dict[tuple[str, int], str] = {}
    todo = {("", name) for statement in trees[""].body for name in _binds(statement) or {""}}
    seen: set[tuple[str, str]] = set()
    while todo:
        module, name = todo.pop()
        seen.add((module, name))
        for i, statement in enumerate(trees[module].body if module in trees else ()):
            if name in _binds(statement) or not _binds(statement):
                reached[module, i] = ast.dump(statement)
                todo |= _mentions(statement, scopes[module]) - seen
    return hashlib.sha256("\n".join(text for _, text in sorted(reached.items())).encode()).hexdigest()[:16]


def _scope(module: str, tree: ast.Module) -> dict[str, tuple[str, str]]:
    """What the names of a module mean: (module, definition), where "" stands for a module of ganlib as a whole."""
    scope = {name: (module, name) for statement in tree.body for name in _binds(statement)}
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            parent = (node.module or "").removeprefix("ganlib").strip(".")
            scope[alias.asname or alias.name] = (parent, alias.name) if parent else (alias.name, "")
    return scope


def _mentions(statement: ast.stmt, scope: dict[str, tuple[str, str]]) -> set[tuple[str, str]]:
    """The definitions that a statement names: ``f`` or ``module.f``."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in scope:
            found.add(scope[node.id])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = scope.get(node.value.id, ("", "."))
            found |= set() if name else {(module, node.attr)}
    return found


def _binds(statement: ast.stmt) -> set[str]:
    """The names to which a top-level statement gives a meaning; imports count where they are used."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {"import"}
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _bare(source: str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            node.exc = None  # nor do the words of an error
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                del body[0]
    return tree


@contextmanager
def _data(name: str) -> Iterator[None]:
    """Let lessons find MNIST where the user has it, or nothing but the stand-in."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as empty:
        if name == "stand-in":
            os.environ.pop("GANLIB_DATA", None)
            os.environ.update(GANLIB_OFFLINE="1", GANLIB_CACHE=empty)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def make(path: Path, about: str, code: str, units: list[dict[str, Any]], work: Work, jobs: int) -> None:
    """Fill the table at ``path`` with the rows of ``work(**unit)``; units whose rows are there are skipped."""
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in PACKAGES}
    table: dict[str, Any] = {"about": about, "versions": versions, "code": code, "rows": []}
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        if (old["code"], old["versions"]) == (code, versions):
            table["rows"] = [row for row in old["rows"] if any(unit.items() <= row.items() for unit in units)]
    left = [unit for unit in units if not any(unit.items() <= row.items() for row in table["rows"])]
    running: set[Future[list[dict[str, Any]]]] = set()
    error: BaseException | None = None
    with ProcessPoolExecutor(jobs) as pool, tqdm(desc=path.name, unit="run", total=len(left)) as bar:
        # No more units than can run: what waits in the pool's queue would still run after an interrupt.
        while running := running | {pool.submit(work, **left.pop(0)) for _ in left[: jobs - len(running)]}:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if future.exception():
                    error, left = future.exception(), []  # the others that run are still waited for and kept
                    continue
                table["rows"] += future.result()
                table["rows"].sort(key=lambda row: [unit.items() <= row.items() for unit in units].index(True))
                _write(table, path)
                bar.update()
    if error:
        raise error


def claims_table(lesson: Path, seeds: int, folder: Path, jobs: int = 1) -> None:
    """Run ``lesson`` under seeds 0, 1, ... on each data set, and record whether each claim holds and what it saw."""
    data_sets = ("MNIST", "stand-in") if loads_mnist(nbformat.read(lesson, as_version=4)) else ("none",)
    units = [{"data": name, "seed": seed} for name in data_sets for seed in range(seeds)]
    about = f"every claim of {lesson.name} under GANLIB_SEED, on MNIST and on the offline stand-in"
    work = functools.partial(_claims_of_a_run, lesson)
    make(folder / f"{lesson.name[:2]}_claims.json", about, code_hash(lesson), units, work, jobs)


def _claims_of_a_run(lesson: Path, data: str, seed: int) -> list[dict[str, Any]]:
    # A folder of its own: runs at the same time would take each other's checkpoints.
    with _data(data), tempfile.TemporaryDirectory() as folder:
        if (lesson.parent / "tables").exists():
            shutil.copytree(lesson.parent / "tables", Path(folder, "tables"))
        nb = execute(nbformat.read(lesson, as_version=4), Path(folder), seed=seed)
    return [{"data": data, "seed": seed, "claims": {s: [holds, measured] for holds, s, measured in claims(nb)}}]


def quality_table(folder: Path, jobs: int = 1) -> None:
    """Train the recipes of lesson 04 under several seeds, and measure them on the way."""
    about = (
        "recipes of lesson 04 on MNIST: quality of 10,000 samples against CPU seconds of training on one thread; "
        "'textbook with' one change and 'better without' one; losses are means over the last 100 steps"
    )
    make(folder / "04_quality.json", about, quality_hash(), quality.units(), quality.run, jobs)


def _write(table: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    os.replace(part, path)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="*", help='"04" or a file name; none means all')
    parser.add_argument("--only", choices=("claims", "quality"), help="make this kind of table alone")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; lessons use one thread each")
    options = parser.parse_args(arguments)
    from ganlib import data

    if data.load("mnist").name != "MNIST":
        print("Tables need MNIST itself, here it would be the stand-in: name the folder in GANLIB_DATA.")
        return 1
    for lesson in find(options.lesson, NOTEBOOKS):
        if options.only != "quality":
            claims_table(lesson, options.seeds, NOTEBOOKS / "tables", options.jobs)
        if options.only != "claims" and lesson.name.startswith("04"):
            quality_table(NOTEBOOKS / "tables", options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
