"""One name for a term: each Korean word stands for the English one that notebooks/glossary.md gives it."""

import re
from pathlib import Path

import anatomy
import pytest
from test_numbers import texts
from test_sentences import PAGES

FILE = anatomy.NOTEBOOKS / "glossary.md"
SUMMARIES = Path(__file__).parent / "summaries.md"
README = anatomy.NOTEBOOKS.parent / "README.md"
TABLE = re.compile(r"^\| (?:English|한국어) \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", re.MULTILINE)
SUMMARY = re.compile(r"^\*\*한국어 요약\*\*\n+((?:\d\. .*\n)+)", re.MULTILINE)
LINE = re.compile(r"^\d\. (.*)$", re.MULTILINE)
KOREAN = re.compile(r"(?:(?<=\()[A-Z]\w* )?[가-힣]+(?:[ –][가-힣]+)*")
NEAR = 8  # words before a bracket, among which its English term stands


def text_of(page):
    if page == "README":
        return README.read_text(encoding="utf-8")
    return "\n\n".join(texts(PAGES[page]))


TEXTS = {page: text_of(page) for page in (*PAGES, "README")}


def variants(cell):
    return [one.strip() for one in cell.split("·")]


def rows(table):
    return [[cell.strip() for cell in line.strip(" |").split("|")] for line in table.splitlines()]


class Glossary:
    """What the two files say: the terms, other words of the summaries, and the summaries word for word."""

    def __init__(self, text):
        terms, words = (rows(table) for table in TABLE.findall(text))
        self.terms = [(variants(english), variants(korean), pages) for english, korean, pages in terms]
        self.english = {k: english for english, korean, _ in self.terms for k in korean}
        self.words = dict(words) | {k: english[0] for k, english in self.english.items()}
        self.summaries = {part[:2]: LINE.findall(part) for part in text.split("\n### ")[1:]}

    def word_for_word(self, line):
        """A Korean line with each word in English, in its order; a word that is not known stays as it is."""
        endings = {k[1:]: e for k, e in self.words.items() if k[0] == "-"}
        stems = sorted((k for k in self.words if k[0] != "-"), key=len, reverse=True)

        def translate(found):
            english, text = [], found[0]
            joined = re.match(r"[^\s(]", line[found.start() - 1 : found.start()])  # to a sign: an ending at first
            while text := text.lstrip():
                stem = next((stem for stem in stems if text.startswith(stem)), "")
                rest = re.match(r"[가-힣]*", text[len(stem) :])[0]
                english += [self.words[stem]] if stem else [] if joined else [rest]
                english += [e for k, e in endings.items() if rest.endswith(k)]
                text, joined = text[len(stem) + len(rest) :], None
            return f" {' '.join(english)}"

        return re.sub(r" +", " ", re.sub(r"[가-힣]+(?: [가-힣]+)*", translate, line)).strip()


def faults_of_glossary(glossary, texts):
    for of in (0, 1):
        all_ = [one for term in glossary.terms for one in term[of]]
        twice = sorted({one for one in all_ if all_.count(one) > 1})
        yield from (f"{one!r} stands in two rows of the glossary" for one in twice)
    for english, korean, pages in glossary.terms:
        name = rf"(?<![가-힣])(?:{'|'.join(korean)})"  # no end of a longer word
        used = ", ".join(page for page, text in texts.items() if re.search(name, text))
        if pages != used:
            what = "correct the row or the page" if used else "delete the row"
            yield f"the row of {english[0]!r} names the pages {pages!r}, its Korean name stands on {used!r}: {what}"


def beginnings(text):
    """How the words of a text begin; a single letter is a symbol and no word."""
    return [word[:4].rstrip("s").lower() for word in re.findall(r"[^\W\d_]+\d?", text) if word[1:]]


def faults(page, text, glossary):
    """Where a page names a term in another way than the glossary, in words that say what to do."""
    table, summary = TABLE.search(text), SUMMARY.search(text)
    for english, korean in rows(table[1]) if table else ():
        left, right = english.split(", "), korean.split(", ")
        if len(left) != len(right):
            yield f"{page}: its glossary has {len(left)} terms for {len(right)} in | {english} | {korean} |"
        for e, k in zip(left, right):
            if not any(set(variants(e)) <= set(of[0]) and set(variants(k)) <= set(of[1]) for of in glossary.terms):
                yield f"{page}: its glossary has {e!r} for {k!r}, and notebooks/glossary.md has not: correct one"
    said = [glossary.word_for_word(line) for line in LINE.findall(summary[1])] if summary else []
    listed = glossary.summaries.get(page, [])
    for n in range(max(len(said), len(listed))):
        here, there = (lines[n] if n < len(lines) else "nothing" for lines in (said, listed))
        if here != there:
            yield (
                f"{page}: line {n + 1} of the Korean summary says {here!r}, "
                f"its line in tests/lessons/summaries.md {there!r}: correct one"
            )
    for part in filter(None, (table, summary)):
        text = text.replace(part[0], "\n")
    for found in KOREAN.finditer(text):
        before, english = text[: found.start()], glossary.english.get(found[0])
        if not english:
            yield f"{page}: '{before[-40:]}{found[0]}' is no term of notebooks/glossary.md: correct it, or add a row"
        elif re.search(r"\([^()]*$", before):
            near = beginnings(before[-100:])[-NEAR:]
            if not any({*near[-1:]} <= {*beginnings(e)} <= {*near} for e in english):
                yield f"{page}: '{before[-40:]}{found[0]}': {found[0]} is {english[0]!r} in notebooks/glossary.md"


GLOSSARY = Glossary("\n".join(file.read_text(encoding="utf-8") for file in (FILE, SUMMARIES)))


def test_the_glossary_has_one_row_for_a_term_and_no_idle_one():
    found = list(faults_of_glossary(GLOSSARY, TEXTS))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", TEXTS)
def test_a_page_names_terms_as_the_glossary_does(page):
    found = list(faults(page, TEXTS[page], GLOSSARY))
    assert not found, "\n".join(found)


SMALL = """| English | 한국어 | pages |
|---|---|---|
| generator | 생성자 · 생성기 | 02 |
| discriminator | 판별자 | 02 |
| loss | 손실 | 02 |

| 한국어 | English |
|---|---|
| 커지 | grows |
| 작아지 | shrinks |
| 합 | sum |
| 평균 | mean |
| 일 때 | when |
| -만 | only |

### 02

1. generator G loss D when grows, sum only 1.386.
"""
PAGE = """The *generators* G (생성자) and a discriminator D (판별자).

**한국어 요약**

1. 생성자 G의 손실은 D일 때 커지고, 합만 1.386.

| English | 한국어 |
|---|---|
| generator, discriminator | 생성자·생성기, 판별자 |
| loss | 손실 |
"""


def turned(text, old, new):
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("fault", "old", "new"),
    [
        (None, "and a", "and one"),
        ("'The *generators* G (판별자': 판별자 is 'discriminator'", "G (생성자)", "G (판별자)"),
        ("G (생산자' is no term of", "(생성자)", "(생산자)"),
        ("its glossary has 'generator' for '판별자'", "생성자·생성기, 판별자 |", "판별자, 생성자 |"),
        ("its glossary has 1 terms for 2", "generator, discriminator |", "generator |"),
        ("when shrinks, sum only 1.386.'", "커지고", "작아지고"),
        ("grows, sum 1.386.'", "합만", "합은"),
        ("grows, 곱만 only sum only", "합만", "곱만 합만"),
        ("line 2 of the Korean summary says 'sum', its line", "1.386.\n", "1.386.\n2. 합\n"),
        ("line 1 of the Korean summary says 'nothing'", "요약", "개요"),
    ],
)
def test_another_name_is_noticed(fault, old, new):
    found = list(faults("02", turned(PAGE, old, new), Glossary(SMALL)))
    assert any(fault in one for one in found) if fault else found == []


@pytest.mark.parametrize(
    ("fault", "old", "new"),
    [
        (None, "generator", "generator"),
        ("'generator' stands in two rows", "| loss |", "| loss · generator |"),
        ("'loss' names the pages '02', its Korean name stands on '': delete", "| 손실 | 02", "| 손실값 | 02"),
        ("'loss' names the pages '04', its Korean name stands on '02': correct", "| 손실 | 02", "| 손실 | 04"),
    ],
)
def test_a_wrong_row_is_noticed(fault, old, new):
    text = SMALL if old == new else turned(SMALL, old, new)
    found = list(faults_of_glossary(Glossary(text), {"02": PAGE}))
    assert any(fault in one for one in found) if fault else found == []
