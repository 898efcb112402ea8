"""Make the committed tables in ganlib/tables/: what takes too long for a reader to run.

    python tools/make_tables.py              all tables
    python tools/make_tables.py 04           those of lesson 04
    python tools/make_tables.py --seeds 3    fewer seeds than ten, for a trial

A table is a JSON file: ``about``, ``versions``, ``code`` (a hash of what it ran) and ``rows``. Rows are written as soon
as a run is done, so an interrupted run goes on where it stopped; rows made by other code are dropped.

``NN_claims.json`` holds every claim of lesson NN under every seed, on MNIST and on the offline stand-in: the
measurements behind the thresholds in the lesson. ``04_quality.json`` holds the recipes of lesson 04, see quality.py.
"""

import argparse
import functools
import importlib.metadata
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import quality
from code_hash import code_hash
from run_notebooks import NOTEBOOKS, claims, execute, find, loads_mnist
from tqdm import tqdm

from ganlib.files import write_whole

PACKAGE = NOTEBOOKS.parent / "ganlib"
TABLES = PACKAGE / "tables"
EXERCISE = re.compile(r'^check\("\d\d\.', re.MULTILINE)
PACKAGES = ("torch", "numpy")
Work = Callable[..., list[dict[str, Any]]]


def lesson_hash(lesson: Path) -> str:
    """A hash of the code of ``lesson`` and of what it uses in ganlib; its exercises take no part in a claim."""
    cells = [cell.source for cell in nbformat.read(lesson, as_version=4).cells if cell.cell_type == "code"]
    return code_hash("\n".join(cell for cell in cells if not EXERCISE.search(cell)), PACKAGE)


def quality_hash() -> str:
    """A hash of the code that the numbers of the quality table depend on."""
    return code_hash("import quality\nquality.run", PACKAGE, Path(quality.__file__))


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
                with write_whole(path) as part:
                    text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
                    part.write_text(text, encoding="utf-8", newline="\n")
                bar.update()
    if error:
        raise error


def claims_table(lesson: Path, seeds: int, folder: Path, jobs: int = 1) -> None:
    """Run ``lesson`` under seeds 0, 1, ... on each data set, and record whether each claim holds and what it saw."""
    data_sets = ("MNIST", "stand-in") if loads_mnist(nbformat.read(lesson, as_version=4)) else ("none",)
    units = [{"data": name, "seed": seed} for name in data_sets for seed in range(seeds)]
    about = f"every claim of {lesson.name} under GANLIB_SEED, on MNIST and on the offline stand-in"
    work = functools.partial(_claims_of_a_run, lesson)
    make(folder / f"{lesson.name[:2]}_claims.json", about, lesson_hash(lesson), units, work, jobs)


def _claims_of_a_run(lesson: Path, data: str, seed: int) -> list[dict[str, Any]]:
    # A folder of its own: runs at the same time would take each other's checkpoints.
    with _data(data), tempfile.TemporaryDirectory() as folder:
        nb = execute(nbformat.read(lesson, as_version=4), Path(folder), seed=seed)
    return [{"data": data, "seed": seed, "claims": {s: [holds, measured] for holds, s, measured in claims(nb)}}]


def quality_table(folder: Path, jobs: int = 1) -> None:
    """Train the recipes of lesson 04 under several seeds, and measure them on the way."""
    about = (
        "recipes of lesson 04 on MNIST: quality of 10,000 samples against CPU seconds of training on one thread; "
        "'textbook with' one change and 'better without' one; losses are means over the last 100 steps"
    )
    make(folder / "04_quality.json", about, quality_hash(), quality.units(), quality.run, jobs)


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
            claims_table(lesson, options.seeds, TABLES, options.jobs)
        if options.only != "claims" and lesson.name.startswith("04"):
            quality_table(TABLES, options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
