"""Make the committed tables in ganlib/tables/: what takes too long for a reader to run.

    python tools/make_tables.py              all tables
    python tools/make_tables.py 04           those of lesson 04
    python tools/make_tables.py --seeds 3    fewer seeds than ten, for a trial
    python tools/make_tables.py --confirm    after a change that should move no number: run a sample of what was
                                             recorded; when it is the same, the table is that of today's code
    python tools/make_tables.py 04 --confirm --before REVISION
                                             the same on another machine than that of the table: the sample is compared
                                             with that of the code of the table, a revision of git, which runs here too

A table is a JSON file: ``about``, ``versions``, ``code`` (a hash of what it ran), ``modules`` (the same for each file
and cell), ``minutes`` and ``rows``. Rows are written as soon as a run is done, so an interrupted run goes on where it
stopped; rows made by other code are dropped.

``NN_claims.json`` holds every claim of lesson NN under every seed, on MNIST and on the offline stand-in: the
measurements behind the thresholds in the lesson. ``conditions`` are the parts of each claim as the lesson has them, a
row has the two sides of each comparison. ``04_quality.json`` holds the recipes of lesson 04, see quality.py, and
``03_toys.json`` the sweeps of lesson 03, see toys.py, ``06_labels.json`` and ``06_few.json`` the conditional GANs of
lesson 06, see labels.py and few.py; ``first`` is where their first steps lead.
"""

import argparse
import ast
import datetime
import functools
import importlib.metadata
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import conditions
import few
import labels
import nbformat
import quality
import toys
import tuning
import vaes
from code_hash import code_hashes
from run_notebooks import NOTEBOOKS, claims, execute, find, loads_mnist
from tqdm import tqdm

from ganlib.files import write_whole

PACKAGE = NOTEBOOKS.parent / "ganlib"
TABLES = PACKAGE / "tables"
EXERCISE = re.compile(r'^check\("\d\d\.', re.MULTILINE)
PACKAGES = ("torch", "numpy")
Work = Callable[..., list[dict[str, Any]]]
Table = dict[str, Any]
#: the tables of recipes, and what trains and measures them
RECIPES: dict[str, Any] = {
    "04_quality": quality,
    "03_toys": toys,
    "05_tuning": tuning,
    "05_vaes": vaes,
    "06_labels": labels,
    "06_few": few,
}
#: By how much values of first_steps may differ, as a share, else by 0.001. On one machine none does; between
#: AVX-512, AVX2 and SSE they did by 0.0006, those of convolutions by 0.012, those of a judge trained there by 0.063.
TOLERANCE = {"convolutional": 0.03, "real images": 0.15, "runs": 0.03}


def code_of_lesson(lesson: Path) -> Table:
    """Hashes of the code of ``lesson`` and of what it uses in ganlib; its exercises take no part in a claim."""
    cells = {c.id: c.source for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "code"}
    cells = {id: source for id, source in cells.items() if not EXERCISE.search(source)}
    code, modules = code_hashes("\n".join(cells.values()), PACKAGE)
    lines = {f"cell {id}": f"{zlib.crc32(ast.unparse(ast.parse(source)).encode()):08x}" for id, source in cells.items()}
    return {"code": code, "modules": lines | modules}


def code_of_recipes(name: str) -> Table:
    """Hashes of the code that the numbers of a table of recipes depend on."""
    module = RECIPES[name]
    files = (Path(one.__file__) for one in RECIPES.values())  # one may use another
    code, modules = code_hashes(f"import {module.__name__}\n{module.__name__}.run", PACKAGE, *files)
    return {"code": code, "modules": modules}


def conditions_of(lesson: Path) -> dict[str, dict[str, str]]:
    """The parts of each claim of ``lesson``, as they are written."""
    cells = [cell.source for cell in nbformat.read(lesson, as_version=4).cells if cell.cell_type == "code"]
    return {sentence: parts for cell in cells for sentence, parts in conditions.written(cell).items()}


def staleness(path: Path, table: Table, today: Table) -> str:
    """What to do about a table that was not made by the code of ``today``, or "" when it was."""
    if table["code"] == today["code"]:
        return ""
    old, new = table.get("modules", {}), today["modules"]
    places = [name for name in old | new if old.get(name) != new.get(name)] if old else ["it does not say where"]
    command = f".venv/bin/python tools/make_tables.py {path.name[:2]} --only {path.stem[3:]}"
    return (
        f"{path.name} was made by other code. What differs: {', '.join(places)}. If no number should move, "
        f"`{command} --confirm` tries a sample. If one should, `{command}` measures all again: about "
        f"{table.get('minutes', '?')} minutes on a machine that does nothing else."
    )


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


def versions() -> dict[str, str]:
    """The versions of the packages that numbers depend on."""
    return {name: importlib.metadata.version(name).partition("+")[0] for name in PACKAGES}


def make(path: Path, head: Table, units: list[dict[str, Any]], work: Work, jobs: int) -> None:
    """Fill the table at ``path`` with the rows of ``work(**unit)``; units whose rows are there are skipped."""
    table = {**head, "versions": versions(), "minutes": 0.0, "rows": []}
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        if all(old[name] == table[name] for name in ("code", "versions")):
            table["rows"] = [row for row in old["rows"] if any(unit.items() <= row.items() for unit in units)]
            table["minutes"] = old["minutes"]
    left = [unit for unit in units if not any(unit.items() <= row.items() for row in table["rows"])]
    running: set[Future[tuple[float, list[dict[str, Any]]]]] = set()
    error: BaseException | None = None
    with ProcessPoolExecutor(jobs) as pool, tqdm(desc=path.name, unit="run", total=len(left)) as bar:
        # No more units than can run: what waits in the pool's queue would still run after an interrupt.
        while running := running | {pool.submit(_timed, work, left.pop(0)) for _ in left[: jobs - len(running)]}:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if future.exception():
                    error, left = future.exception(), []  # the others that run are still waited for and kept
                    continue
                minutes, rows = future.result()
                table["minutes"] = round(table["minutes"] + minutes, 1)
                table["rows"] += rows
                table["rows"].sort(key=lambda row: [unit.items() <= row.items() for unit in units].index(True))
                _write(path, table)
                bar.update()
    if error:
        raise error


def _timed(work: Work, unit: dict[str, Any]) -> tuple[float, list[dict[str, Any]]]:
    begun, rows = time.monotonic(), work(**unit)
    return (time.monotonic() - begun) / 60, rows


def _write(path: Path, table: Table) -> None:
    with write_whole(path) as part:
        part.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def confirm(path: Path, head: Table, sample: str, differences: Callable[[Table], list[str]]) -> bool:
    """Call the table at ``path`` that of the code of ``head`` when a sample comes out the same. Returns whether."""
    table = json.loads(path.read_text(encoding="utf-8"))
    if found := differences(table):
        print(f"{path.name} is left as it is: it was measured with other results.", *found, sep="\n  ")
        return False
    table |= head | {"versions": versions(), "confirmed": f"{datetime.date.today()}, by {sample}"}
    _write(path, {**table, "rows": table.pop("rows")})
    print(f"{path.name}: confirmed by {sample}")
    return True


def differing(recorded: Any, again: Any, tolerance: float = 0.0, place: str = "") -> list[str]:
    """Where two values in nested dicts and lists differ: numbers by more than ``tolerance``, as a share."""
    if isinstance(recorded, list) and isinstance(again, list):
        recorded, again = (dict(enumerate(one)) for one in (recorded, again))
    if isinstance(recorded, dict) and isinstance(again, dict):
        pairs = {key: (recorded.get(key), again.get(key)) for key in recorded | again}
        return [d for key, pair in pairs.items() for d in differing(*pair, tolerance, f"{place} / {key}")]
    if isinstance(recorded, float) and isinstance(again, float) and math.isclose(recorded, again, rel_tol=tolerance):
        return []
    return [] if recorded == again else [f"{place.removeprefix(' / ')}: recorded {recorded}, now {again}"]


def claims_table(
    lesson: Path, seeds: int, folder: Path, jobs: int = 1, *, confirming: bool = False, before: str | None = None
) -> bool:
    """Run ``lesson`` under seeds 0, 1, ... on each data set, and record whether each claim holds and what it saw."""
    data_sets = ("MNIST", "stand-in") if loads_mnist(nbformat.read(lesson, as_version=4)) else ("none",)
    units: list[dict[str, Any]] = [{"data": name, "seed": seed} for name in data_sets for seed in range(seeds)]
    about = f"every claim of {lesson.name} under GANLIB_SEED, on MNIST and on the offline stand-in"
    head = {"about": about, **code_of_lesson(lesson), "conditions": conditions_of(lesson)}
    path, work = folder / f"{lesson.name[:2]}_claims.json", functools.partial(_claims_of_a_run, lesson)
    if not confirming:
        make(path, head, units, work, jobs)
        return True

    def differences(table: Table) -> list[str]:
        found = differing(table.get("conditions", {}), head["conditions"])
        rows = [] if found else rows_of(before, lesson, table["code"]) if before else table["rows"]
        for unit in [] if found else [unit for unit in units if unit["seed"] == 0]:
            recorded = [row for row in rows if unit.items() <= row.items()]
            found += differing(recorded, work(**unit), place=str(unit["data"]))
        return found

    sample = "the run of seed 0 on each data set, equal in each digit"
    return confirm(path, head, sample + (f" to that of {before} on one machine" if before else ""), differences)


def rows_of(revision: str, lesson: Path, code: str) -> list[dict[str, Any]]:
    """Run seed 0 of ``lesson`` on each data set with the code of a revision; it must be the one with hash ``code``."""
    git = ["git", "-C", str(NOTEBOOKS.parent), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "add", "--detach", str(tree), revision], check=True)
        try:
            path = tree / "ganlib" / "tables" / f"{lesson.name[:2]}_claims.json"
            path.unlink()
            again = [
                sys.executable,
                str(tree / "tools" / "make_tables.py"),
                lesson.name[:2],
                "--only=claims",
                "--seeds=1",
            ]
            subprocess.run(again, env=os.environ | {"PYTHONPATH": str(tree)}, check=True)
            made = json.loads(path.read_text(encoding="utf-8"))
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    if made["code"] != code:
        raise ValueError(f"before must be the revision whose code made {path.name}, got {revision}: see git log")
    return made["rows"]  # type: ignore[no-any-return]


def _claims_of_a_run(lesson: Path, data: str, seed: int) -> list[dict[str, Any]]:
    nb = nbformat.read(lesson, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.source = conditions.watched(cell.source)
    # A folder of its own: runs at the same time would take each other's checkpoints.
    with _data(data), tempfile.TemporaryDirectory() as folder:
        nb = execute(nb, Path(folder), seed=seed)
    shown = [o.get("data", {}).get(conditions.MIME, {}) for cell in nb.cells for o in cell.get("outputs", [])]
    seen = {sentence: parts for one in shown for sentence, parts in one.items()}
    rows = {s: [held, value, {k: v for k, v in seen[s].items() if v}] for held, s, value in claims(nb)}
    return [{"data": data, "seed": seed, "claims": rows}]


def recipes_table(name: str, folder: Path, jobs: int = 1, *, confirming: bool = False) -> bool:
    """Train the recipes of a lesson under several seeds, and measure them on the way."""
    module = RECIPES[name]
    path, head, first = folder / f"{name}.json", {"about": module.ABOUT, **code_of_recipes(name)}, module.first_steps()
    if not confirming:
        make(path, head | {"first": first}, module.units(), module.run, jobs)
        return True

    def differences(table: Table) -> list[str]:
        old = table["first"]  # what was recorded stays
        return [d for n in old | first for d in differing(old.get(n), first.get(n), TOLERANCE.get(n, 1e-3), n)]

    sample = f"the first {module.FIRST} steps of each recipe{module.AND}"
    return confirm(path, head, sample, differences)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="*", help='"04" or a file name; none means all')
    parser.add_argument(
        "--only", choices=("claims", *(name[3:] for name in RECIPES)), help="make this kind of table alone"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; lessons use one thread each")
    parser.add_argument("--confirm", action="store_true", help="try a sample of what was recorded, see above")
    parser.add_argument("--before", metavar="REVISION", help="with --confirm, see above")
    options = parser.parse_args(arguments)
    from ganlib import data

    if data.load("mnist").name != "MNIST":
        print("Tables need MNIST itself, here it would be the stand-in: name the folder in GANLIB_DATA.")
        return 1
    done = []
    for lesson in find(options.lesson, NOTEBOOKS):
        if options.only in (None, "claims"):
            settings = {"confirming": options.confirm, "before": options.before}
            done.append(claims_table(lesson, options.seeds, TABLES, options.jobs, **settings))
        for name in RECIPES:
            if lesson.name[:2] == name[:2] and options.only in (None, name[3:]):
                done.append(recipes_table(name, TABLES, options.jobs, confirming=options.confirm))
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
