"""What the exercises say: the committed page of all messages, hints that run, and tasks that stand in the lesson."""

import ast
import difflib
import importlib.util
import inspect
import re
from dataclasses import replace

import messages
import nbformat
import pytest
import torch
from run_notebooks import NOTEBOOKS, unwrapped
from test_exercises import LESSONS, every_exercise, names_of_the_lesson, outcome

from ganlib.exercises import engine, find

MODULES = messages.lessons()
#: what may be code, a formula or a number in a sentence
CODE = re.compile(r"\d|\w\(|[=*/+^]|\w\.\w|\b[a-z]+_\w|(?<!\w)-\w| - ")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?!\w)")
SMALL, EPSILONS = {"0", "1", "2"}, {"1e-8"}  # those of formulas; what learners add to a probability
#: in hints, words of the theory that no program computes
THEORY = [
    "V is E log D(x) + E log(1 - D(G(z)))",
    "L_G = -E log D(G(z))",
    "x p_g(x) p(x) / p_g(x)",
    "KL(p || m)",
    "Where p is 0, its part is 0",
]


def differences(old, new):
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "messages.md", "said now", lineterm="", n=1)
    return list(lines)


def test_the_page_of_messages_is_up_to_date():
    found = differences(messages.MESSAGES.read_text(encoding="utf-8"), messages.page(MODULES))
    advice = "If each new line is true and stands beside the program that it is said of, run: python tools/messages.py"
    assert found == [], "\n".join([*found, "", advice])


@pytest.fixture(scope="module")
def said():
    """What each lesson says."""
    return {number: messages.page({number: module}) for number, module in MODULES.items()}


@pytest.fixture
def planted(tmp_path):
    """Returns the module of a lesson after some of its code is replaced."""

    def plant(number, *changes):
        source = inspect.getsource(MODULES[number])
        for old, new in changes:
            assert source.count(old) == 1, old
            source = source.replace(old, new)
        path = tmp_path / f"lesson_{number}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(f"ganlib.exercises.lesson_{number}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return plant


#: each changes one line of the page, or two
SAID = {
    "a sentence": ("02", [("This is V/2, the mean", "This is V, the mean")]),
    "a wrong program": ("02", [("(lambda p, q, a: p / q,", "(lambda p, q, a: q / p,")]),
    "a number in praise": ("02", [("{-math.log(4):.3f}", "{math.log(4):.3f}")]),
    "how many are asked": ("02", [("right=3,\n    enough=6", "right=3,\n    enough=5")]),
    "what a candidate is": ("02", [('"real and fake swapped"', '"log D on the fakes"')]),
    "a hint": ("02", [("log(1 - sigmoid(s)) is -softplus(s)", "log(1 - sigmoid(s)) is softplus(s)")]),
    "a shape in a task": ("02", [("logits on real samples (n, 1)", "logits on real samples (n,)")]),
    "a verdict": ("04", [("give it {least}.", "give it {least - 1}.")]),
}


@pytest.mark.parametrize("fault", SAID)
def test_a_change_in_what_is_said_is_seen(planted, said, fault):
    number, changes = SAID[fault]
    found = differences(said[number], messages.page({number: planted(number, *changes)}))
    assert 2 <= len([line for line in found[2:] if line[0] in "-+"]) <= 4, found


# ---- hints are programs


def faults_of_hints(exercise, program):
    """What is wrong with the program that a test made of an exercise's hints."""
    hints, advice = " ".join(exercise.hints), f"a changed hint of {exercise.name} needs its program in HINTED"
    pieces = re.findall(r"«(.*?)»", program)
    if missing := [piece for piece in pieces if piece.lower() not in hints.lower()]:
        yield f"{advice}: no hint says {', '.join(missing)}"
    rest = hints
    for piece in sorted([*pieces, *THEORY], key=len, reverse=True):
        rest = rest.replace(piece, "")
    if found := [word for word in rest.split() if CODE.search(word.strip("="))]:
        yield f"{advice}: it does not compute {' '.join(found)}"
    names = names_of_the_lesson(exercise.name[:2])
    exec(compile(re.sub("[«»]", "", program), "hint", "exec"), names)
    said = outcome(exercise.name, names[exercise.solution.__name__], 0)
    if not said.ok:
        yield f"who follows the hints of {exercise.name} is told: {said.message}"


@every_exercise
def test_who_follows_the_hints_is_right(name):
    assert list(faults_of_hints(find(name), LESSONS[name[:2]].HINTED[name])) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("02.optimal_D", "(1 - share_real) * p_g", "(1 - share_real) / p_g", "no hint says (1 - share_real) * p_g"),
        ("02.optimal_D", "D is real", "D is 2 real", "it does not compute 2"),
        ("04.generator_loss", "softplus(-s)", "softplus(s)", "no hint says softplus(-s)"),
    ],
)
def test_a_hint_that_says_another_thing_is_noticed(name, old, new, fault):
    exercise = replace(find(name), hints=tuple(hint.replace(old, new) for hint in find(name).hints))
    assert fault in next(faults_of_hints(exercise, LESSONS[name[:2]].HINTED[name]))


def test_a_hint_that_does_not_help_is_noticed():
    exercise = replace(find("04.generator_loss"), hints=("softplus(s)", "It is a mean."))
    program = "def generator_loss(fake_logits):\n    s = fake_logits\n    return «softplus(s)».mean()"
    assert "04.generator_loss is told: The labels are swapped" in next(faults_of_hints(exercise, program))


# ---- numbers


def faults_of_numbers(number, module):
    """Numbers that are typed in what an exercise says, and stand neither in its solution nor in its hints' program."""
    source, names = messages.Source(module), {id(value): name for name, value in vars(module).items()}
    for exercise in module.EXERCISES:
        block = source.assigned[names[id(exercise)]]
        constants = [source.assigned[n.id] for n in ast.walk(block) if getattr(n, "id", "") in source.assigned]
        code = inspect.getsource(exercise.solution) + LESSONS[number].HINTED[exercise.name]
        for sentence in (sentence for node in (block, *constants) for sentence in source.sentences(node)):
            computed = NUMBER.findall(" ".join(re.findall(r"\{.*?\}", sentence)) + code)
            typed = NUMBER.findall(re.sub(r"\{.*?\}", "", sentence))
            if unknown := sorted({*typed} - {*computed} - SMALL - EPSILONS):
                yield f"{exercise.name}: {', '.join(unknown)} in {sentence}: fill it in from what the check holds"


@pytest.mark.parametrize("number", MODULES)
def test_numbers_in_messages_are_those_of_the_check(number):
    assert list(faults_of_numbers(number, MODULES[number])) == []


@pytest.mark.parametrize(
    ("number", "old", "new", "fault"),
    [
        ("02", "logits of 60 or more", "logits of 70 or more", "02.is_value: 70 in"),
        ("04", "784-1024-512-256-1, Leaky", "784-1024-512-128-64-1, Leaky", "04.upgraded_pair: 64 in"),
    ],
)
def test_a_number_from_nowhere_is_noticed(planted, number, old, new, fault):
    assert next(faults_of_numbers(number, planted(number, (old, new)))).startswith(fault)


# ---- the text of the lesson

HEAD = r"(?P<number>\d+)(?P<part>[a-z]?)\*\* \*\((?:easy|medium|hard), \d+ minutes\)\*\. [A-Z]"
EXERCISE = re.compile(rf"\*\*Exercise (?:{HEAD})?|<summary>Exercise (?P<answered>\w+)")


def faults_of_the_lesson(number, nb):
    """Where the exercises of a lesson and their checks disagree."""
    known, last = [exercise.name for exercise in MODULES[number].EXERCISES], (0, "")
    dtype = getattr(torch, "float64" if "set_default_dtype(torch.float64)" in str(nb.cells) else "float32")
    for exercise in MODULES[number].EXERCISES:
        if exercise.dtype != dtype:
            yield f"{exercise.name} is checked in {exercise.dtype}, but the lesson computes in {dtype}"
        check = f'check("{exercise.name}", {exercise.solution.__name__})'
        places = [k for k, cell in enumerate(nb.cells) if cell.cell_type == "code" and check in cell.source]
        if len(places) != 1:
            yield f"{len(places)} cells hold {check}, and one must"
            continue
        text, code = (nb.cells[places[0] + k] for k in (-1, 0))
        if f"`{exercise.call}`: {exercise.task}" not in text.source:
            yield f"cell {text.id} must hold the task of the check word for word: `{exercise.call}`: {exercise.task}"
        if code.source != f"def {exercise.call}:\n    # your answer\n    ...\n\n\n{check}":
            yield f"cell {code.id} must be a stub, def {exercise.call}: ..., and its check"
        said = f"{exercise.name}: not attempted yet. {engine.run(exercise, None).message}\n"
        if [unwrapped(output.get("text", "")) for output in code.outputs] != [said]:
            yield f"the stored output of cell {code.id} is not what the check says: run make notebooks LESSON={number}"
    for cell in (cell for cell in nb.cells if cell.cell_type == "markdown"):
        for found in EXERCISE.finditer(cell.source):
            n, part = int(found["number"] or 0), found["part"] or ""
            if found["answered"] and found["answered"] != f"{last[0]}{last[1]}":
                yield f"cell {cell.id} answers exercise {found['answered']} after exercise {last[0]}{last[1]}"
            elif not found["answered"] and (n, part) not in [(last[0] + 1, ""), (last[0] + 1, "a"), after(*last)]:
                yield f"cell {cell.id}: after {last[0]}{last[1]} comes **Exercise 1** *(easy, 5 minutes)*. Words"
            last = last if found["answered"] else (n, part)
        if wrong := set(re.findall(r'\b(?:hint|solution|check)\("([^"]*)"', cell.source)) - {*known}:
            yield f"cell {cell.id} names {', '.join(wrong)}, but the exercises of this lesson are {', '.join(known)}"


def after(n, part):
    return n, chr(ord(part) + 1) if part else "a"


def lesson_file(number):
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("number", MODULES)
def test_the_lesson_and_its_checks_agree(number):
    assert list(faults_of_the_lesson(number, lesson_file(number))) == []


@pytest.mark.parametrize(
    ("id", "old", "new", "fault"),
    [
        ("ex1b-text", "(n, 1, 28, 28)", "(n, 28, 28)", "cell ex1b-text must hold the task"),
        ("ex4", "(images, steps)", "(images, until)", "cell ex4 must be a stub"),
        ("ex5", '"04.upgraded_pair"', '"04.deeper_pair"', "0 cells hold check("),
        ("ex2-text", "easy, 10 minutes", "simple, 10 minutes", "cell ex2-text: after 1c comes **Exercise 1**"),
        ("ex2-text", "Exercise 2", "Exercise 3", "cell ex2-text: after 1c comes"),
        ("ex4-text-fold", "Exercise 3", "Exercise 4", "cell ex4-text-fold answers exercise 4 after exercise 3"),
        ("exercises", 'hint("04.gen', 'hint("02.gen', "cell exercises names 02.generator_loss"),
        ("ex1a", "the non-saturating", "the saturating", "the stored output of cell ex1a"),
    ],
)
def test_a_lesson_that_disagrees_with_its_checks_is_noticed(id, old, new, fault):
    nb = lesson_file("04")
    cell = next(cell for cell in nb.cells if cell.id == id)
    places = [place for place in (cell, *cell.get("outputs", [])) if old in str(place.get("source", place.get("text")))]
    for place in places:
        key = "source" if "source" in place else "text"
        place[key] = place[key].replace(old, new)
    assert places
    assert any(found.startswith(fault) for found in faults_of_the_lesson("04", nb))
