"""How long a lesson takes to read: its words, visible lines of code, pictures and guesses, section by section.

    python tools/anatomy.py             all lessons
    python tools/anatomy.py 02 04       these lessons
    python tools/anatomy.py --write     write the minutes into the tables of their title cells, too

A minute is 150 words, 6 visible lines of code or 2 pictures; a guess takes 45 seconds.
"""

import argparse
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,3}) +(.+?) *$", re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*(?:\n|\Z))+", re.MULTILINE)
# The table of the title cell: its columns 1, 2 and 4 are computed.
MINUTES = re.compile(
    r"^\| core \| \*Go further\* \| to run on two cores \| exercises \| you need \| level \|\n\|[-|: ]+\|\n"
    r"\|(?P<core>[^|\n]*)\|(?P<further>[^|\n]*)\|(?P<run>[^|\n]*)\|(?P<exercises>[^|\n]*)\|",
    re.MULTILINE,
)
GUESS = re.compile(r"^my_guess\w* = None\b", re.MULTILINE)
EXERCISE = re.compile(r"\*\(\w+, (\d+) minutes?\)\*")
PARTS = {"Try it yourself": "exercises", "Go further": "further", "Summary": "summary"}
# Blocks of the summary that are looked up and not read through; each begins with a line in bold type or a heading.
BLOCK = re.compile(r"^(?=\*\*[^\n]+\*\*$|#+ )", re.MULTILINE)
LOOKED_UP = re.compile(r"[*#]+ ?.*(?:[가-힣]|[Ff]urther reading|[Gg]lossary)")


@dataclass
class Section:
    """From one heading of level 1 to 3 to the next: pieces of text, each with its cell, and cells of code."""

    heading: str
    part: str  # "core", "exercises", "further" or "summary"
    pieces: list[tuple[str, NotebookNode]] = field(default_factory=list)  # (text, its markdown cell)
    code: list[NotebookNode] = field(default_factory=list)

    @property
    def words(self) -> int:
        return sum(count_words(self._read_through(text)) for text, _ in self.pieces)

    def _read_through(self, text: str) -> str:
        """`text` without the table of minutes and without what a summary holds for looking up."""
        if self.part == "summary":
            read = [block for block in BLOCK.split(text) if not LOOKED_UP.match(block)]
            return TABLE.sub("", "".join(read))
        found = MINUTES.search(text)
        return TABLE.sub("", text[found.start() :], count=1) + text[: found.start()] if found else text

    @property
    def visible_lines(self) -> int:
        return sum(lines_of(cell) for cell in self.code if not is_folded(cell))

    @property
    def folded_lines(self) -> int:
        return sum(lines_of(cell) for cell in self.code if is_folded(cell))

    @property
    def pictures(self) -> int:
        return sum("image/png" in output.get("data", {}) for cell in self.code for output in cell.outputs)

    @property
    def guesses(self) -> int:
        return sum(bool(GUESS.search(cell.source)) for cell in self.code)

    @property
    def exercise_minutes(self) -> int:
        return sum(int(minutes) for text, _ in self.pieces for minutes in EXERCISE.findall(text))

    @property
    def minutes(self) -> float:
        return self.words / 150 + self.visible_lines / 6 + self.pictures / 2 + self.guesses * 0.75


@dataclass(frozen=True)
class Minutes:
    """What the title cell of a lesson says: whole minutes, rounded up."""

    core: int
    further: int
    exercises: int


def lessons(folder: Path = NOTEBOOKS) -> list[Path]:
    """The files of the lessons, in their order."""
    return sorted(folder.glob("0[1-6]_*.ipynb"))


def said(output: NotebookNode) -> str:
    """What an output prints, or the text that stands for its picture."""
    text: str = output.get("text") or output.get("data", {}).get("text/plain", "")
    return text


def is_folded(cell: NotebookNode) -> bool:
    """Whether JupyterLab shows the output of a code cell and not its source."""
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def is_closed(cell: NotebookNode) -> bool:
    """Whether the stored output of a code cell is hidden until the cell runs, since it answers a guess."""
    return cell.metadata.get("jupyter", {}).get("outputs_hidden", False)


def lines_of(cell: NotebookNode) -> int:
    """The lines of a cell that are not blank."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def without_fences(text: str) -> str:
    """`text` with each fenced block of code blanked, so that all else stays where it was."""
    return FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)


def count_words(text: str) -> int:
    """The words of a text in Markdown: formulas count as they are written, tags and addresses of links do not."""
    text = re.sub(r"<[^>]+>|(?<=\])\([^)]*\)", " ", without_fences(text))
    return len(re.findall(r"\S*\w\S*", text))


def sections(nb: NotebookNode) -> list[Section]:
    """The sections of a lesson, in order. What stands before the first heading has the heading ""."""
    found, part = [Section("", "core")], "core"
    for cell in nb.cells:
        if cell.cell_type == "code":
            found[-1].code.append(cell)
        if cell.cell_type != "markdown":
            continue
        headings = list(HEADING.finditer(without_fences(cell.source)))
        ends = [*(heading.start() for heading in headings), len(cell.source)]
        found[-1].pieces.append((cell.source[: ends[0]], cell))
        for heading, end in zip(headings, ends[1:]):
            if len(heading[1]) <= 2:
                part = PARTS.get(heading[2], "core")
            found.append(Section(heading[2], part, [(cell.source[heading.start() : end], cell)]))
    return [section for section in found if section.heading or section.code or section.words]


def minutes(nb: NotebookNode, run: float = 0.0) -> Minutes:
    """The minutes that a lesson takes. The summary is of the core; `run` minutes of waiting are added to the core."""
    parts: dict[str, float] = {"core": run, "summary": 0.0, "further": 0.0, "exercises": 0.0}
    for section in sections(nb):
        parts[section.part] += section.exercise_minutes if section.part == "exercises" else section.minutes
    core, further = (math.ceil(round(m, 6)) for m in (parts["core"] + parts["summary"], parts["further"]))
    return Minutes(core, further, int(parts["exercises"]))


def written_minutes(nb: NotebookNode) -> dict[str, str] | None:
    """The four columns of the title's table as they stand there, by name; None without such a table."""
    found = MINUTES.search(nb.cells[0].source) if nb.cells else None
    return found and {name: text.strip() for name, text in found.groupdict().items()}


def write_minutes(nb: NotebookNode) -> NotebookNode:
    """Write the computed minutes into the title's table, and return `nb`. A notebook without one stays as it is."""
    if written_minutes(nb):
        counted = minutes(nb)

        def row(found: re.Match[str]) -> str:
            head = found[0][: found.start("core") - found.start() - 1]
            columns = (f"{counted.core} minutes", f"{counted.further} minutes", found["run"].strip())
            return f"{head}| {' | '.join(columns)} | {counted.exercises} minutes |"

        nb.cells[0].source = MINUTES.sub(row, nb.cells[0].source, count=1)
    return nb


def report(nb: NotebookNode) -> Iterator[str]:
    """The lines of a table: each section, each part, the whole."""
    yield f"{'':44} words  visible  folded  pictures  guesses  minutes"
    parts: dict[str, list[Section]] = {}

    def line(name: str, of: list[Section]) -> str:
        counts = [
            sum(getattr(one, of_what) for one in of)
            for of_what in ("words", "visible_lines", "folded_lines", "pictures", "guesses", "minutes")
        ]
        return "{:44.44} {:5} {:8} {:7} {:9} {:8} {:8.1f}".format(name, *counts)

    for section in sections(nb):
        parts.setdefault(section.part, []).append(section)
        yield line(section.heading, [section])
    for part, of in parts.items():
        yield line(f"all of: {part}", of)
    yield line("the lesson", [section for of in parts.values() for section in of])
    counted = minutes(nb)
    yield f"core {counted.core} minutes, Go further {counted.further}, exercises {counted.exercises}"


def main(arguments: list[str] | None = None, folder: Path = NOTEBOOKS) -> int:
    """Do what the command line asks. Returns the exit status."""
    from run_notebooks import store  # which imports this file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="*", help='"04" or the beginning of a file name; none means all')
    parser.add_argument("--write", action="store_true", help="write the minutes into the title cells")
    options = parser.parse_args(arguments)
    wanted = tuple(options.lesson)
    paths = [path for path in lessons(folder) if not wanted or path.name.startswith(wanted)]
    if not paths:
        parser.error(f"lesson must begin the name of a file in {folder.name}, got {' '.join(wanted) or 'none'}")
    for path in paths:
        nb = nbformat.read(path, as_version=4)
        print(path.stem, *report(nb), "", sep="\n")
        if options.write:
            store(write_minutes(nb), path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
