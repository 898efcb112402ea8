"""No orphan numbers: each number of a lesson's prose stands in what the lesson computes, or in constants.toml.

A small number is found nearly anywhere. So it counts only in the same company: near the same words, or beside the same
number, as in the code or the output of its section. A number of three significant digits may stand in another section.
"""

import functools
import math
import re
import statistics
import tomllib
from dataclasses import dataclass
from pathlib import Path

import anatomy
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from run_notebooks import unwrapped

from ganlib import tables

LESSONS = anatomy.lessons()
PAGES = {path.stem[:2]: path for path in LESSONS} | {"corrections": anatomy.NOTEBOOKS / "corrections.ipynb"}
CONSTANTS = tomllib.loads((Path(__file__).parent / "constants.toml").read_text(encoding="utf-8"))
TWINS = tomllib.loads((Path(__file__).parent / "formulas.toml").read_text(encoding="utf-8"))  # what they say is checked
CITED = "algorithm|chapter|equation|example|exercise|figure|lemma|lesson|page|proposition|section|theorem"
NOT_PROSE = [
    anatomy.MINUTES,
    re.compile(r"^[ >|]*\d+\. |<summary>\d+\.|^\|[-:| ]+\|$", re.MULTILINE),  # marks of lists, rules of tables
    re.compile(r"(?<=\])\([^)]*\)|<[^>]+>|https?://\S+"),  # addresses
    re.compile(r"`(?:hint|solution|check)\([^`]*`|\"\d\d\.\w+\""),  # names of exercises
    re.compile(r"^# .*$|\*\(\w+, \d+ minutes?\)\*", re.MULTILINE),  # the title; minutes of an exercise
    re.compile(rf"\b(?:{CITED})s? \d+[a-z]?(?:\.\d+)*(?:(?:, | and )\d+(?:\.\d+)*)*", re.IGNORECASE),
    re.compile(
        r"(?<=\w )(?:18|19|20)\d\d(?= \([A-Z])|(?:\b[A-Z]\w+|\bal\.),? \(?(?:18|19|20)\d\d\b"
    ),  # a year and a name
    re.compile(r"\^(?:\d|\{(?:-1|1/2)\})(?!\d)"),  # exponents of a formula
]
NUMBER = re.compile(
    r"(?:(?<![\w)\]])(?P<sign>[-−±]))?(?<![A-Za-z_\d])(?<!\d[.,/])(?=\.?\d|½|\\)"
    r"(?:(?P<half>½)|(?:(?P<over>\d+)/|\\[td]?frac(?P<top>\d))(?P<under>\d+)"
    r"|(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?P<point>\.\d+)?(?P<exponent>(?<=\d)[eE][-+]?\d+)?)"
    r"(?P<percent>(?<=\d) ?%)?(?<=[\d½%])(?![A-Za-z_\d]|[./]\d|,\d\d\d)"
)
TOKEN = re.compile(rf"(?P<number>{NUMBER.pattern})|(?P<word>[^\W\d_]+)|(?P<end>[.:;?!](?=\s)|\n)")
GREEK = {"β": "beta", "γ": "gamma", "ε": "eps", "η": "eta", "θ": "theta", "μ": "mu", "σ": "sigma", "ψ": "psi"}
EMPTY = """a an and are as at be but by for from has have in is it not of on one or so than that the then they to with
    def frac if print range return self tensor text tfrac torch"""
EMPTY = frozenset(EMPTY.split())  # words that are no company
NEAR = 3  # words on either side are company


@dataclass(frozen=True)
class Number:
    """A number of a text, as exact as it is written there."""

    value: float
    decimals: float  # infinite for a fraction
    written: int  # digits
    significant: int  # without the zeros at the end of a whole number
    sign: str  # "-", "" or "±", which is both
    span: tuple[int, int]
    company: frozenset = frozenset()  # words near it; (side, word or number) of what stands directly beside it

    def is_rounded(self, exact):
        """Whether this number is `exact`, rounded; 2/3 is 0.667 too."""
        if self.sign != exact.sign and "±" not in (self.sign, exact.sign):
            return False
        if self.value == exact.value:
            return self.decimals <= exact.decimals or math.isinf(self.decimals)
        if self.decimals > exact.decimals and not (math.isinf(self.decimals) and exact.decimals > 1):
            return False
        return abs(self.value - exact.value) <= 0.500001 * 10 ** -min(self.decimals, exact.decimals)

    def company_with(self, other):
        """How much company two numbers share: a word near both counts one, what is directly beside both two more."""
        return sum(2 if isinstance(one, tuple) else 1 for one in self.company & other.company)


def number(found, company=frozenset()):
    sign = (found["sign"] or "").replace("−", "-")
    if under := (found["half"] and 2) or int(found["under"] or 0):
        value = int(found["over"] or found["top"] or 1) / under
        return Number(value, math.inf, 1, 1, sign, found.span(), company)
    whole, point = (found["whole"] or "").replace(",", ""), found["point"] or ""
    digits = (whole + point[1:]).lstrip("0") or "0"
    decimals = max(len(point) - 1, 0) - int((found["exponent"] or "e0")[1:]) + (2 if found["percent"] else 0)
    value = float(f"{whole or 0}{point}{found['exponent'] or ''}") / (100 if found["percent"] else 1)
    significant = len(digits if point else digits.rstrip("0")) or 1
    return Number(value, max(decimals, 0), len(digits), significant, sign, found.span(), company)


def name(token):
    """A word or a number as company: the same for θ, theta and thetas."""
    if token["number"]:
        return token["number"].strip("-−±").replace(",", "")
    word = token["word"].lower()
    word = word[:-1] if word.endswith("s") and len(word) > 3 else word
    return "" if word in EMPTY else GREEK.get(word, word)


def numbers(text):
    """The numbers of a text, each with its company."""
    tokens = [token for token in TOKEN.finditer(text) if token["end"] or name(token)]
    for i, token in enumerate(tokens):
        if not token["number"]:
            continue
        company = set()
        for side, around in ((-1, tokens[max(i - NEAR, 0) : i][::-1]), (1, tokens[i + 1 : i + 1 + NEAR])):
            for distance, near in enumerate(around):
                if near["end"]:
                    break
                if distance == 0:
                    company.add((side, name(near)))
                if near["word"]:
                    company.add(name(near))
        yield number(token, frozenset(company))


def blank(found):
    return re.sub(r"[^\n]", " ", found[0])


def prose(text):
    """`text` with all that is no prose blanked, so that each number stays where it was."""
    text = anatomy.without_fences(text)
    for pattern in NOT_PROSE:
        text = pattern.sub(blank, text)
    return text


def computed(cells):
    """The numbers in the code and the outputs of cells. Those of code are exact; a minus there may be a difference."""
    for cell in cells:
        for found in numbers(re.sub(r"(?<=\d)_(?=\d)", "", cell.source)):
            yield Number(**vars(found) | {"sign": "±", "decimals": math.inf})
        for output in cell.outputs:
            shown = output.get("data", {}).get("text/plain", "").partition("\n")[0]  # then come the facts of the figure
            yield from numbers(output.get("text") or shown)


def is_found(one, here, lesson):
    """Whether a number of the prose is among those of its section, or of the whole lesson."""
    shown, elsewhere = ([other for other in all_ if one.is_rounded(other)] for all_ in (here, lesson))
    if one.significant >= 3:
        return bool(shown or elsewhere)
    if shown and (one.written >= 4 or (one.written == 3 and one.significant == 2)):
        return True
    if one.written >= 2:
        return any(one.company_with(other) for other in shown or elsewhere)
    if here:
        return any(one.company_with(other) >= 2 for other in shown)
    return any(one.company_with(other) >= 4 for other in elsewhere)  # the title and the summary


def orphans(nb, phrases):
    """The numbers of the prose that come from nowhere, each in words that say what to do."""
    lesson = list(computed(cell for cell in nb.cells if cell.cell_type == "code"))
    for section in anatomy.sections(nb):
        here = list(computed(section.code))
        for raw, cell in section.pieces:
            text = prose(raw)
            explained = [found.span() for phrase in phrases for found in re.finditer(re.escape(phrase), raw)]
            for one in numbers(text):
                start, end = one.span
                if any(a <= start and end <= b for a, b in explained) or is_found(one, here, lesson):
                    continue
                before, after = re.split(r"[.?!] |\n", raw[:start])[-1], re.split(r"[.?!] |\n", raw[end:])[0]
                sentence = f"{before[-60:]}>>{raw[start:end]}<<{after[:60]}"
                yield (
                    f"cell {cell.id} of {section.heading!r}: an orphan in '{sentence}': correct it, "
                    "let a cell of the section print it, or explain it in tests/lessons/constants.toml"
                )


def recorded(table, column, **wanted):
    """A column of a recorded table, of the rows in which all that is wanted stands."""
    return [row[column] for row in tables.load(table)["rows"] if wanted.items() <= row.items() and column in row]


@functools.cache
def cells(page):
    return anatomy.sections(nbformat.read(PAGES[page], as_version=4))


def code(wanted):
    """The code cell of this id, of any lesson, that has an output if one has."""
    of_id = [cell for page in PAGES for one in cells(page) for cell in one.code if cell.id == wanted]
    return max(of_id, key=lambda cell: len(cell.outputs))


def printed(cell):
    """What a cell has stored, with broken lines joined."""
    return unwrapped("\n".join(map(anatomy.said, code(cell).outputs)))


def shown(cell, label, k=0):
    """The k-th number after a label in what a cell has stored."""
    text = printed(cell)
    one = list(numbers(text[text.index(label) + len(label) :]))[k]
    return -one.value if one.sign == "-" else one.value


NAMES = {name: getattr(math, name) for name in dir(math) if name[0] != "_"}
NAMES |= {"median": statistics.median, "mean": statistics.mean, "recorded": recorded, "shown": shown}
NAMES |= {"abs": abs, "round": round, "min": min, "max": max, "len": len, "sum": sum, "all": all, "__builtins__": {}}


def faults_of_constant(phrase, why, texts):
    """What is wrong with an entry of constants.toml: a phrase, and a source or a table of source and expr."""
    here = list(numbers(phrase))
    if not any(phrase in text for text in texts):
        yield f"{phrase!r} stands nowhere in the prose: delete it"
    if not here:
        yield f"{phrase!r} holds no number"
    if NUMBER.fullmatch(phrase) and here[0].significant < 3:
        yield f"{phrase!r} would explain too much: take the words beside it along"
    if isinstance(why, str):
        why = {"source": why}
    if not why.get("source") or why.keys() - {"source", "expr"}:
        yield f"{phrase!r} needs a source, and may have an expr: got {why}"
    if "expr" not in why:
        return
    value = eval(why["expr"], dict(NAMES))
    if isinstance(value, bool):
        inside = [one.value for one in numbers(why["expr"])]
        if not value or any(one.value not in inside for one in here):
            yield f"{phrase!r}: {why['expr']} is false, or does not hold the numbers of the phrase"
        return
    values = value if isinstance(value, tuple) else (value,)
    for one, exact in zip(here[-len(values) :], values):
        signed = -one.value if one.sign == "-" else one.value
        if abs(signed - exact) > max(0.500001 * 10**-one.decimals, 1e-12):
            yield f"{phrase!r}: {why['expr']} is {exact:.6g}"


def constants(path):
    """The constants of the whole course, and of a lesson alone."""
    return CONSTANTS["course"], CONSTANTS.get(path.stem[:2], {})


def formulas(path):
    """The formulas of the whole course and of a lesson, each with its twin."""
    return TWINS["course"] | TWINS.get(path.stem[:2], {}) | dict.fromkeys(TWINS["notation"])


def texts(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_number_of_the_prose_is_an_orphan(path):
    of_course, of_lesson = constants(path)
    found = list(orphans(nbformat.read(path, as_version=4), of_course | of_lesson | formulas(path)))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_constants_of_a_lesson_are_right(path):
    _, of_lesson = constants(path)
    found = [f for phrase, why in of_lesson.items() for f in faults_of_constant(phrase, why, texts(path))]
    assert not found, "\n".join(found)


def test_the_constants_of_the_course_are_right():
    everywhere = [text for path in LESSONS for text in texts(path)]
    found = [f for phrase, why in CONSTANTS["course"].items() for f in faults_of_constant(phrase, why, everywhere)]
    assert not found, "\n".join(found)


def lesson(text, source="", printed=""):
    """A lesson whose only section holds a text and a cell."""
    output = [new_output("stream", text=printed)] if printed else []
    cells = [new_markdown_cell(f"## Part\n{text}", id="text"), new_code_cell(source, outputs=output)]
    return new_notebook(cells=[*cells, new_markdown_cell("## Next"), new_code_cell("x = 8.6927")])


@pytest.mark.parametrize(
    ("text", "source", "printed"),
    [
        ("V is −1.386 there.", "", "-1.386294"),
        ("It falls to −18.", "", "falls to -18.3563"),
        ("dropout 30 %", "nn.Dropout(0.3)", ""),
        ("A rate of 2e-4 is used", "rate = 2e-4", ""),
        ("D = ½", "", "D = 0.5"),
        (r"$D=\tfrac12$", "D = 0.5", ""),
        ("the mean of 8.6927", "", ""),  # of the next section
        ("Goodfellow et al. 2014, equation 1; sections 3.2 and 4.2; lesson 03", "", ""),
        ('1. one\n\n| 2. two |\n\n[a](b_1.html#3) `hint("04.step", 2)` $x^2$ D_1 R1\n```\nx = 7\n```', "", ""),
    ],
)
def test_a_number_that_a_cell_shows_is_found(text, source, printed):
    assert list(orphans(lesson(text, source, printed), {})) == []


@pytest.mark.parametrize(
    ("text", "source", "printed"),
    [
        ("V is >>−1.387<< there.", "", "-1.386294"),
        ("V is >>1.386<< there.", "", "-1.386294"),
        ("V is >>−1.3861<< there.", "", "-1.386"),
        ("It falls to >>−17<<.", "", "falls to -18.3563"),
        (">>50,000<< images", "n = 60_000  # images", ""),
        ("two of three: D = >>1/3<<", "", "D = 0.66667"),
        ("theta = >>6<<", "steps = 6", ""),
        ("`lr=>>2e-3<<`", "lr = 2e-4", ""),
    ],
)
def test_a_changed_number_is_an_orphan(text, source, printed):
    (found,) = orphans(lesson(text.replace(">>", "").replace("<<", ""), source, printed), {})
    assert found.startswith(f"cell text of 'Part': an orphan in '{text.split('.', 9)[0][:9]}")
    assert re.search(">>.*<<", text)[0] in found


def test_a_phrase_explains_its_number_alone():
    nb = lesson("The density is 0.399 at 0. And p(0) = 0.398.")
    assert len(list(orphans(nb, {}))) == 4
    assert [one.split(": ")[1] for one in orphans(nb, {"is 0.399 at 0": "", "p(0)": ""})] == [
        "an orphan in 'And p(0) = >>0.398<<.'"
    ]


TEXT = "The density is 0.399 at 0, less than 0.4; 2/3 and −0.693; 30 %; 7."


@pytest.mark.parametrize(
    ("fault", "phrase", "why"),
    [
        (None, "0.399 at 0", {"source": "N(0, 1)", "expr": "1 / sqrt(2 * pi), 0"}),
        (None, "2/3 and −0.693", {"source": "a", "expr": "2 / (1 + 2), -log(2)"}),
        ("'0.398' stands nowhere in the prose: delete it", "0.398", "a source"),
        ("'7' would explain too much", "7", "a source"),
        ("'density' holds no number", "density", "a source"),
        ("'0.399' needs a source", "0.399", {"expr": "0.399"}),
        ("'0.399' needs a source", "0.399", {"source": "a", "exp": "0.399"}),
        ("'is 0.399': 2 / sqrt(2 * pi) is 0.797885", "is 0.399", {"source": "a", "expr": "2 / sqrt(2 * pi)"}),
        ("'−0.693': log(2) is 0.693147", "−0.693", {"source": "a", "expr": "log(2)"}),
        ("'less than 0.4': 1 < 2 is false, or", "less than 0.4", {"source": "a", "expr": "1 < 2"}),
    ],
)
def test_a_wrong_constant_is_noticed(fault, phrase, why):
    found = list(faults_of_constant(phrase, why, [TEXT]))
    assert [one[: len(fault)] for one in found] == [fault] if fault else not found
