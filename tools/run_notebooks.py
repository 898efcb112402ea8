"""Run lessons and store their outputs in one fixed form, so that an unchanged lesson stays an unchanged file.

    python tools/run_notebooks.py                    all lessons
    python tools/run_notebooks.py 04 05              these lessons
    python tools/run_notebooks.py changed            the lessons that differ from the last commit
    python tools/run_notebooks.py --check-seeds 10   count false claims over seeds 1 to 10; nothing is stored
    python tools/run_notebooks.py --html pages 04    write stored lessons as web pages; nothing is run

The exit status is 1 when a cell fails or a claim is false. A lesson in which a cell fails is not stored.
"""

import argparse
import asyncio
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anatomy
import nbformat
from anatomy import NOTEBOOKS, WIDGET
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from ganlib.files import write_whole

CELL_SECONDS = 600  # the time that a cell of a lesson may take; the Makefile reads this line
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
LOADS_MNIST = re.compile(r"\bdata\.load\(|\bfrom ganlib\.data import\b")
BAR = re.compile(r"(?:[^|\n]+: )? *\d+%\|")  # with or without what it counts
SANITIZE = NOTEBOOKS.parent / "tests" / "helpers" / "nbval_sanitize.cfg"
CLAIM = re.compile(r"^(✓|✗) ([^(\n]*?)(?: \((.*)\))?$", re.MULTILINE)


def execute(nb: NotebookNode, folder: Path, *, seed: int | None = None) -> NotebookNode:
    """Run all cells of `nb` in `folder` with this environment's kernel; a false claim prints ✗ and no more.

    Raises CellExecutionError, CellTimeoutError or DeadKernelError, all of them with the cell in the message.
    """
    env = {name: value for name, value in os.environ.items() if name not in ("GANLIB_STRICT", "GANLIB_SEED")}
    if seed is not None:
        env["GANLIB_SEED"] = str(seed)
    client = NotebookClient(
        nb,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
    )
    return asyncio.run(client.async_execute(env=env))  # execute() would leave its event loop open


def normalise(nb: NotebookNode) -> NotebookNode:
    """Remove from `nb` all that differs between two runs or two machines but says nothing, and return it.

    Widget ids are made from the id of their cell; errors keep one line, since a traceback holds paths.
    """
    nb.metadata = nbformat.from_dict(METADATA)
    nb.nbformat, nb.nbformat_minor = 4, 5
    count = 0
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        cell.outputs = _join_streams(cell.outputs)
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            # A stored progress bar would stand at 0 % for ever.
            cell.outputs = [o for o in cell.outputs if not BAR.match(o.get("data", {}).get("text/plain", ""))]
        widgets: dict[str, str] = {}
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]
            view = output.get("data", {}).get(WIDGET)
            if view:
                name = f"{cell.id}/{len(widgets)}"
                view.model_id = widgets.setdefault(view.model_id, uuid.uuid5(uuid.NAMESPACE_OID, name).hex)
    return nb


def _join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """`outputs` with neighbouring pieces of one stream made one: where a text is cut depends on timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def serialise(nb: NotebookNode) -> bytes:
    """The bytes of the file that holds `nb`: UTF-8, line feeds, one at the end."""
    return nbformat.v4.writes(nb).rstrip("\n").encode() + b"\n"


def store(nb: NotebookNode, path: Path) -> bool:
    """Write `nb` to `path` in one move, only when that changes the file. Returns whether it did."""
    new = serialise(nb)
    if path.exists() and path.read_bytes() == new:
        return False
    with write_whole(path) as part:
        part.write_bytes(new)
    return True


def claims(nb: NotebookNode) -> list[tuple[bool, str, str]]:
    """The claims in the outputs of `nb`: whether each held, its sentence, what was measured (or "")."""
    return claims_in("\n".join(o.text for c in nb.cells for o in c.get("outputs", []) if o.output_type == "stream"))


def claims_in(printed: str) -> list[tuple[bool, str, str]]:
    """The same for a text that was printed."""
    return [(mark == "✓", sentence, measured) for mark, sentence, measured in CLAIM.findall(unwrapped(printed))]


def unwrapped(printed: str) -> str:
    """A text that was printed, with the sentences in one line that `ganlib.claims.wrap` has broken."""
    lines, full = [""], False
    for line in printed.split("\n"):
        if full and re.match(r" {4}\S", line):
            lines[-1] += line[3:]
        else:
            lines.append(line)
        full = len(line) > 70  # only such a line is ever continued: a row of a table may be indented as well
    return "\n".join(lines[1:])


@functools.cache
def rules() -> list[tuple[str, str]]:
    """The pairs (pattern, replacement) with which nbval masks what may differ between two runs."""
    return re.findall(r"^regex: (.*)\nreplace: (.*)$", SANITIZE.read_text(encoding="ascii"), re.MULTILINE)


def sanitized(text: str) -> str:
    """`text` as nbval compares it."""
    for pattern, new in rules():
        text = re.sub(pattern, new, text)
    return text


def digest(nb: NotebookNode) -> str:
    """Eight digits that change when a checked output of `nb` does: what is printed, and the facts of its figures."""
    checked = [cell for cell in nb.cells if "nbval-ignore-output" not in cell.metadata.get("tags", [])]
    said = []
    for output in (output for cell in checked for output in cell.get("outputs", [])):
        # Sorted, as they are in the file: a kernel gives them in an order of its own.
        texts = [text for kind, text in sorted(output.get("data", {}).items()) if kind.startswith("text/")]
        said += map(sanitized, [output.get("text", ""), output.get("evalue", ""), *texts])
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:8]


def unannounced(nb: NotebookNode, path: Path) -> str:
    """What to do when the newest line of CHANGELOG.md on this lesson does not name its outputs; "" when it does."""
    changelog, lesson, now = path.parent.parent / "CHANGELOG.md", path.name[:2], digest(nb)
    if not changelog.exists():
        return ""
    named = re.search(rf"Lesson {lesson} \(outputs `(\w+)`\): \w", changelog.read_text(encoding="utf-8"))
    if named and named[1] == now:
        return ""
    return (
        f"The outputs of lesson {lesson} moved: their digest is {now}. Look at them (git diff), and say in "
        f"CHANGELOG.md, above older lines, what a reader sees change: - Lesson {lesson} (outputs `{now}`): ..."
    )


def loads_mnist(nb: NotebookNode) -> bool:
    """Whether a cell of `nb` asks ganlib for a data set, which may then be the stand-in."""
    return any(cell.cell_type == "code" and LOADS_MNIST.search(cell.source) for cell in nb.cells)


def run(path: Path) -> bool:
    """Execute and store one lesson. Returns whether every claim held."""
    print(f"{path.name}: ", end="", flush=True)
    nb = anatomy.write_minutes(normalise(execute(nbformat.read(path, as_version=4), path.parent)))
    changed = store(nb, path)
    found = claims(nb)
    false = [sentence for held, sentence, _ in found if not held]
    print(f"{'stored' if changed else 'unchanged'}, {len(found) - len(false)} of {len(found)} claims hold")
    for sentence in false:
        print(f"  ✗ {sentence}")
    if sentence := unannounced(nb, path):
        print(sentence)
    return not false


def check_seeds(path: Path, seeds: Iterable[int]) -> bool:
    """Execute one lesson once per seed, store nothing, print how often each claim was false."""
    false: dict[str, list[int]] = defaultdict(list)
    measured: dict[str, list[str]] = defaultdict(list)
    seeds = list(seeds)
    stopped = {}
    for seed in seeds:
        try:
            nb = execute(nbformat.read(path, as_version=4), path.parent, seed=seed)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            stopped[seed] = str(error).strip().splitlines()[-1]
            continue
        for held, sentence, value in claims(nb):
            measured[sentence].append(value)
            if not held:
                false[sentence].append(seed)
    print(f"{path.name}, seeds {seeds[0]} to {seeds[-1]}\n   ✗ of  claim")
    for sentence, values in measured.items():
        seeds_false = f" [✗ for seeds {', '.join(map(str, false[sentence]))}]" if false[sentence] else ""
        print(f"{len(false[sentence]):4} {len(values):2}  {sentence}: {', '.join(values)}{seeds_false}")
    for seed, reason in stopped.items():
        print(f"  seed {seed} stopped: {reason}")
    return not any(false.values()) and not stopped


def find(names: list[str], folder: Path) -> list[Path]:
    """The lessons that `names` mean: all for none, those that begin with a name, or the word "changed".

    Raises ValueError for a name that no lesson begins with.
    """
    lessons = anatomy.lessons(folder)
    if not names:
        return lessons
    if names == ["changed"]:
        command = ["git", "status", "--porcelain", "-z", "--untracked-files=all", "--", "."]
        status = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout
        return [path for path in lessons if any(entry.endswith(path.name) for entry in status.split("\0"))]
    chosen = []
    for name in names:
        matches = [path for path in lessons if path.name.startswith(Path(name).name)]
        if not matches:
            there = ", ".join(path.stem for path in lessons) or "none"
            raise ValueError(f"lesson must be one of those in {folder.name} ({there}), got {name!r}")
        chosen += matches
    return chosen


def main(arguments: list[str] | None = None, folder: Path = NOTEBOOKS) -> int:
    """Do what the command line asks. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="*", help='"04", a file name, or the word "changed"; none means all')
    parser.add_argument("--allow-stand-in", action="store_true", help="store outputs although MNIST is not there")
    parser.add_argument("--check-seeds", type=int, metavar="N", help="count false claims over seeds 1 to N")
    parser.add_argument("--html", type=Path, metavar="DIR", help="write stored lessons as web pages")
    options = parser.parse_args(arguments)
    try:
        paths = find(options.lesson, folder)
    except ValueError as error:
        parser.error(str(error))
    if options.html:
        from pages import write_html  # nbconvert takes a second to import

        for path in paths:
            write_html(path, options.html)
        return 0
    if options.check_seeds:
        held = [check_seeds(path, range(1, options.check_seeds + 1)) for path in paths]
        return 0 if all(held) else 1
    if not options.allow_stand_in and any(loads_mnist(nbformat.read(path, as_version=4)) for path in paths):
        name = _data_name()
        if name != "MNIST":
            print(
                f"Nothing was run: stored outputs are made with MNIST, here it would be {name}. "
                "Name the folder that holds mnist/ in GANLIB_DATA, or add --allow-stand-in for a trial."
            )
            return 1
    status = 0
    for path in paths:
        try:
            if not run(path):
                status = 1
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"not stored, a cell failed\n{error}")
            status = 1
    return status


def _data_name() -> Any:
    from ganlib import data

    return data.load("mnist").name


if __name__ == "__main__":
    sys.exit(main())
