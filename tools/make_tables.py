"""Make the committed tables in notebooks/tables/: what takes too long for a reader to run.

    python tools/make_tables.py              all tables
    python tools/make_tables.py 04           those of lesson 04
    python tools/make_tables.py --seeds 3    fewer seeds than ten, for a trial

A table is a JSON file: ``about``, ``seeds``, ``versions``, ``code`` (a hash of what it ran) and ``rows``. Each row is
written as soon as it is there, so an interrupted run goes on where it stopped; rows made by other code are dropped.

``NN_claims.json`` holds every claim of lesson NN under every seed, on MNIST and on the offline stand-in: the
measurements behind the thresholds in the lesson.
"""

import argparse
import ast
import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import nbformat
from run_notebooks import NOTEBOOKS, claims, execute, find, loads_mnist
from tqdm import tqdm

PACKAGE = NOTEBOOKS.parent / "ganlib"
PACKAGES = ("torch", "numpy")


def code_hash(lesson: Path) -> str:
    """A hash of the code of ``lesson`` and of ganlib; comments, layout and docstrings do not count."""
    cells = [c.source for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "code"]
    sources = ["\n".join(cells), *(p.read_text(encoding="utf-8") for p in sorted(PACKAGE.glob("*.py")))]
    return hashlib.sha256("\n".join(_bare(source) for source in sources).encode()).hexdigest()[:16]


def _bare(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                del body[0]
    return ast.dump(tree)


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


def claims_table(lesson: Path, seeds: int, folder: Path, jobs: int = 1) -> None:
    """Run ``lesson`` under seeds 0, 1, ... on each data set, and record whether each claim holds and what it saw."""
    path = folder / f"{lesson.name[:2]}_claims.json"
    table: dict[str, Any] = {
        "about": f"every claim of {lesson.name} under GANLIB_SEED, on MNIST and on the offline stand-in",
        "seeds": seeds,
        "versions": {name: importlib.metadata.version(name).partition("+")[0] for name in PACKAGES},
        "code": code_hash(lesson),
        "rows": [],
    }
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        if (old["code"], old["versions"]) == (table["code"], table["versions"]):
            table["rows"] = old["rows"]
    done = {(row["data"], row["seed"]) for row in table["rows"]}
    data_sets = ("MNIST", "stand-in") if loads_mnist(nbformat.read(lesson, as_version=4)) else ("none",)
    runs = [(name, seed) for seed in range(seeds) for name in data_sets if (name, seed) not in done]
    if not runs:
        return
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        rows = (pool.map if pool else map)(_row, *zip(*((lesson, name, seed) for name, seed in runs), strict=True))
        for row in tqdm(rows, desc=path.name, unit="run", total=len(runs)):
            table["rows"].append(row)
            table["rows"].sort(key=lambda r: (r["data"], r["seed"]))
            _write(table, path)


def _row(lesson: Path, name: str, seed: int) -> dict[str, Any]:
    with _data(name):
        nb = execute(nbformat.read(lesson, as_version=4), lesson.parent, seed=seed)
    return {"data": name, "seed": seed, "claims": {s: [holds, measured] for holds, s, measured in claims(nb)}}


def _write(table: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    os.replace(part, path)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="*", help='"04" or a file name; none means all')
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; lessons use one thread each")
    options = parser.parse_args(arguments)
    from ganlib import data

    if data.load("mnist").name != "MNIST":
        print("Tables need MNIST itself, here it would be the stand-in: name the folder in GANLIB_DATA.")
        return 1
    for lesson in find(options.lesson, NOTEBOOKS):
        claims_table(lesson, options.seeds, NOTEBOOKS / "tables", options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
