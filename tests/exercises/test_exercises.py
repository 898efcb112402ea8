"""What holds for every exercise of every lesson: the right pass, a mistake gets its sentence, forged facts never pass.

The answers stand in test_exercises_NN: RIGHT, TWINS (by the start of the sentence), OTHERS, and the tested SEEDS.
"""

import ast
import functools
import inspect
import json
import pickle
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from run_notebooks import NOTEBOOKS
from test_engine import through_bytes

from ganlib import exercises
from ganlib.exercises import Verdict, decide, find, observe
from ganlib.exercises.engine import UNREADABLE, facts


def lesson(number):
    return import_module(f"ganlib.exercises.lesson_{number}")


LESSONS = {path.stem[-2:]: import_module(path.stem) for path in Path(__file__).parent.glob("test_exercises_[0-9]*.py")}
NAMES = [exercise.name for number in sorted(LESSONS) for exercise in lesson(number).EXERCISES]
TRAINS = ["04.fashion_mnist"]  # seconds per check
#: free facts that no verdict looks at, or only for one word
UNJUDGED = {
    "03.pack": ["places"],
    "04.discriminator_step": ["asked without gradients"],
    "04.deeper_pair": [
        f"{net} {fact}" for net in "GD" for fact in ("widths", "activations", "in training", "parameters")
    ],
    "04.fashion_mnist": ["lr"],
}
#: exercises whose solution gives the same facts under many seeds, because the inputs hardly show in them
ALIKE = [
    *("01.is_split", "02.is_value", "03.is_gan_step", "03.sick_runs", "04.is_step"),
    *("04.deeper_pair", "04.upgraded_pair", "04.noise_size", "06.uses_label"),
]
GARBAGE = {
    "NaN": lambda v: v * float("nan") if not isinstance(v, (str, bool)) else float("nan"),
    "infinity": lambda v: np.full_like(v, np.inf, np.float64) if isinstance(v, np.ndarray) else float("inf"),
    "two in place of one": lambda v: np.stack([v, v]),
    "object array": lambda v: np.array([v, None], object),
    "list": lambda v: [v],
    "None": lambda v: None,
    "text": lambda v: "text",
    "empty": lambda v: np.zeros(0),
}
every_exercise = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in TRAINS)) for name in NAMES]
)


def listed(kind):
    """A parameter for each answer that the lessons list; those that train for seconds are slow."""
    for name in NAMES:
        answers = getattr(LESSONS[name[:2]], kind)[name]
        pairs = answers.items() if isinstance(answers, dict) else ((part, answer) for answer, part in answers)
        for k, (key, answer) in enumerate(pairs):
            marks = [pytest.mark.slow] * (name in TRAINS)
            yield pytest.param(name, key, answer, id=f"{name}-{k}-{key}", marks=marks)


def seeds(name):
    return LESSONS[name[:2]].SEEDS[: 1 if name in ALIKE else 2 if name in TRAINS else None]


def outcome(name, answer, seed):
    """What is said of an answer whose facts came from another process."""
    return decide(find(name), seed, through_bytes(observe(find(name), answer, seed)))


def too_long(text):
    """The sentences of more than twenty words; a shape such as (n, 1) is no word."""
    found = re.split(r"(?<=[.?!])\s", re.sub(r" \(\w+,[\w, ]*\)", "", text))
    return [sentence for sentence in found if len(sentence.split()) > 20]


def assert_well_written(text, name):
    assert len(text) < 400
    assert "\n" not in text
    assert too_long(text) == []
    first = re.match(r"-?(\w*)", text)[1]  # a name in the code is no capital
    assert text[0].isupper() or text[0] == "{" or first in re.findall(r"\w+", inspect.getsource(find(name).solution))


def test_every_exercise_has_its_lists():
    package = Path(exercises.__file__).parent
    assert {path.stem[-2:] for path in package.glob("lesson_*.py")} == set(LESSONS)
    for number, lists in LESSONS.items():
        names = {exercise.name for exercise in lesson(number).EXERCISES}
        assert lists.RIGHT.keys() == lists.TWINS.keys() == lists.OTHERS.keys() == names
        assert all(name.startswith(f"{number}.") for name in names)
        assert {0, 1} < set(lists.SEEDS)  # a learner meets them
        assert all(len(answers) >= (3 if name in TRAINS else 5) for name, answers in lists.RIGHT.items())


@functools.cache
def honest(name):
    """What the probe sees of the solution under seed 3."""
    return facts(find(name), find(name).solution, 3)


@every_exercise
def test_the_solution_is_right(name):
    for seed in seeds(name):
        found = decide(find(name), seed, through_bytes(facts(find(name), find(name).solution, seed)))
        assert found.ok, found.message
        assert_well_written(found.message, name)


@pytest.mark.parametrize(("name", "style", "answer"), list(listed("RIGHT")))
def test_another_right_answer_is_right(name, style, answer):
    for seed in seeds(name):
        found = outcome(name, answer, seed)
        assert found.ok, found.message


@pytest.mark.parametrize(("name", "start", "twin"), list(listed("TWINS")))
def test_the_twin_of_a_mistake_gets_its_sentence(name, start, twin):
    (sentence,) = {sentence for _, sentence in find(name).mistakes if sentence.startswith(start)}
    for seed in seeds(name):
        found = outcome(name, twin, seed)
        assert not found.ok
        assert found.message == sentence if "{" not in sentence else found.message.startswith(start)


@every_exercise
def test_every_mistake_has_a_twin_and_gets_its_own_sentence(name):
    exercise, starts = find(name), tuple(LESSONS[name[:2]].TWINS[name])
    for wrong, sentence in exercise.mistakes:
        assert sentence.startswith(starts)
        said = decide(exercise, 0, facts(exercise, wrong, 0)).message
        assert re.fullmatch(re.sub(r"\\{\w+\\}", ".*", re.escape(sentence)), said), "another one agrees with it"


@pytest.mark.parametrize(("name", "part", "answer"), list(listed("OTHERS")))
def test_another_wrong_answer_is_told_what_came(name, part, answer):
    for seed in seeds(name):
        found = outcome(name, answer, seed)
        assert not found.ok
        assert part in found.message
        if "raised" not in found.message and "own function" not in found.message:  # then it holds words of a program
            assert_well_written(found.message, name)


@pytest.mark.slow
@every_exercise
def test_every_fact_has_a_sentence_or_is_free(name):
    exercise = find(name)
    for fact, value in honest(name).items():
        if fact in exercise.free:
            continue
        others = [not value] if isinstance(value, bool) else ["another"] if isinstance(value, str) else [value + 9]
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            others.append(value + np.inf)
        for other in others:
            message = decide(exercise, 3, honest(name) | {fact: other}).message
            assert message != UNREADABLE, fact


@pytest.mark.slow
@every_exercise
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_in_any_place_is_never_right(name, garbage):
    assert decide(find(name), 3, honest(name)).ok
    passed = []
    for fact, value in honest(name).items():
        with np.errstate(all="ignore"):
            found = decide(find(name), 3, {**honest(name), fact: GARBAGE[garbage](value)})
        assert isinstance(found, Verdict)
        assert found.message
        assert len(found.message) <= 400
        passed += [fact] if found.ok else []
    assert set(passed) <= set(UNJUDGED.get(name, []))


@every_exercise
def test_a_missing_fact_or_one_too_many_is_never_right(name):
    seen = honest(name)
    for forged in [*({k: v for k, v in seen.items() if k != fact} for fact in seen), seen | {"more": 1.0}]:
        found = decide(find(name), 3, forged)
        assert isinstance(found, Verdict)
        assert not found.ok


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALIKE + TRAINS])
def test_what_was_seen_under_one_seed_is_wrong_under_another(name):
    assert not decide(find(name), 4, honest(name)).ok


@every_exercise
def test_inputs_and_facts_are_fixed_by_the_seed(name):
    first, again, other = (pickle.dumps(find(name).inputs(seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other
    again = facts(find(name), find(name).solution, 3)
    assert again.keys() == honest(name).keys()
    assert all(np.array_equal(again[fact], value) for fact, value in honest(name).items())


def names_of_the_lesson(number):
    """What the first cell of the lesson imports, which the printed solutions may use."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    first = next(cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code")
    imports = [n for n in ast.parse("".join(first["source"])).body if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {"__name__": "lesson"}
    exec(compile(ast.Module(imports, []), "lesson", "exec"), names)
    return names


@every_exercise
def test_the_printed_solution_is_short_and_runs_in_the_lesson(name, capsys):
    exercises.solution(name)
    source, names = capsys.readouterr().out, names_of_the_lesson(name[:2])
    exec(compile(source, "solution", "exec"), names)
    found = outcome(name, names[find(name).solution.__name__], 2)
    assert found.ok, found.message
    assert len(source.splitlines()) <= 20


@every_exercise
def test_task_hints_and_sentences_are_short(name):
    exercise = find(name)
    assert len(set(exercise.hints)) == 2
    for text in (exercise.task, *exercise.hints):
        assert too_long(text) == []
        assert text.endswith((".", "?"))
    for text in (*exercise.hints, *(text for _, text in exercise.mistakes), *exercise.otherwise.values()):
        assert_well_written(text, name)
