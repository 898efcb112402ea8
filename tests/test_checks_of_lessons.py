"""What holds for the checks of every lesson: the right pass, each listed mistake gets its sentence, forgeries fail.

The lists of right and wrong answers stand in test_checks_NN.
"""

import ast
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from ganlib import checks
from ganlib.checks import NotAttempted, Verdict, decide, observe

TESTS = Path(__file__).resolve().parent
LESSONS = {
    path.stem[-2:]: importlib.import_module(path.stem) for path in sorted(TESTS.glob("test_checks_[0-9][0-9].py"))
}
CHECKS = {check.name: check for lesson in LESSONS.values() for check in lesson.CHECKS}
LISTS = {name: lists for lesson in LESSONS.values() for name, lists in lesson.LISTS.items()}
#: Facts that can make no wrong answer right.
FREE = {name: facts for lesson in LESSONS.values() for name, facts in getattr(lesson, "FREE", {}).items()}
RIGHT = [
    pytest.param(name, answer, id=f"{name}-{k}") for name, (right, _) in LISTS.items() for k, answer in right.items()
]
WRONG = [
    pytest.param(name, answer, sentence, id=f"{name}-{mistake}")
    for name, (_, wrong) in LISTS.items()
    for mistake, (answer, sentence) in wrong.items()
]
NAMES = pytest.mark.parametrize("name", CHECKS)
GARBAGE = {
    "NaN": lambda v: v * float("nan") if not isinstance(v, (str, bool)) else float("nan"),
    "infinity": lambda v: np.full_like(v, np.inf, np.float64) if isinstance(v, np.ndarray) else float("inf"),
    "one axis more": lambda v: np.asarray(v)[None],
    "object array": lambda v: np.array([v, None], object),
    "list": lambda v: [v],
    "None": lambda v: None,
    "text": lambda v: "text",
    "empty": lambda v: np.zeros(0),
    "doubled": lambda v: np.concatenate([np.ravel(v)] * 2) if not isinstance(v, str) else v * 2,
}


def through_bytes(observed):
    """What arrives in another process: numbers and strings as JSON, arrays as dtype, shape and bytes."""
    plain = {k: v for k, v in observed.items() if not isinstance(v, np.ndarray)}
    arrays = {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in observed.items() if isinstance(v, np.ndarray)}
    received = {k: np.frombuffer(raw, dtype).reshape(shape) for k, (dtype, shape, raw) in arrays.items()}
    return json.loads(json.dumps(plain)) | received


def outcome(name, answer, seed):
    """What the engine says, the same here and across a border between processes."""
    check = CHECKS[name]
    observed = observe(check, answer, seed)
    here, there = decide(check, seed, observed), decide(check, seed, through_bytes(observed))
    assert here == there
    return here


def too_long(text):
    """The sentences of more than twenty words."""
    return [sentence for sentence in re.split(r"(?<=[.?!])\s", text) if len(sentence.split()) > 20]


def seeds(name):
    return LESSONS[name[:2]].SEEDS


def names_in_code(name):
    """Words with which a message may begin although they are not capitals."""
    return getattr(LESSONS[name[:2]], "NAMES_IN_CODE", ())


def test_every_check_has_its_lists():
    assert list(LISTS) == list(CHECKS)
    assert all(name.startswith(number) for number, lesson in LESSONS.items() for name in lesson.LISTS)
    assert {path.stem for path in Path(checks.__file__).parent.glob("checks_*.py")} == {f"checks_{n}" for n in LESSONS}


@NAMES
def test_the_solution_is_right(name):
    for seed in (*seeds(name), 2**31):
        found = outcome(name, CHECKS[name].solution, seed)
        assert isinstance(found, Verdict)
        assert found.ok, found.message
        assert too_long(found.message) == []
        assert "behind" not in found.message


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_another_right_answer_is_right(name, answer):
    for seed in seeds(name):
        found = outcome(name, answer, seed)
        assert isinstance(found, Verdict)
        assert found.ok, found.message


@pytest.mark.parametrize(("name", "answer", "sentence"), WRONG)
def test_a_mistake_gets_its_sentence(name, answer, sentence):
    for seed in seeds(name):
        found = outcome(name, answer, seed)
        assert isinstance(found, Verdict)
        assert not found.ok
        assert sentence in found.message
        assert "behind" not in found.message
        assert len(found.message) < 400
        if "raised" not in found.message:  # then it holds the words of another program
            assert too_long(found.message) == []
            assert found.message[0].isupper() or found.message.split()[0] in names_in_code(name)


@NAMES
@pytest.mark.parametrize(
    "stub",
    [None, ..., lambda *_: None, lambda *_: ..., lambda *_: (None, None)],
    ids=["None", "...", "pass", "return ...", "pair"],
)
def test_the_stub_is_not_attempted(name, stub):
    found = outcome(name, stub, 3)
    assert isinstance(found, NotAttempted)
    assert found.message.startswith(f"Write {CHECKS[name].solution.__name__}(")


@pytest.fixture(scope="module")
def honest():
    """What the probes see of the solutions."""
    return {name: observe(check, check.solution, 3) for name, check in CHECKS.items()}


@NAMES
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_in_any_place_is_never_right(name, garbage, honest):
    check = CHECKS[name]
    assert decide(check, 3, honest[name]).ok
    passed = []
    for key, value in honest[name].items():
        with np.errstate(all="ignore"):
            forged = {**honest[name], key: GARBAGE[garbage](value)}
        found = decide(check, 3, forged)
        assert isinstance(found, Verdict)
        assert found.message
        if found.ok and not re.fullmatch(FREE.get(name, ""), key):
            passed.append(key)
    assert passed == []


@NAMES
def test_a_missing_fact_is_never_right(name, honest):
    for key in honest[name]:
        if not re.fullmatch(FREE.get(name, ""), key):
            found = decide(CHECKS[name], 3, {k: v for k, v in honest[name].items() if k != key})
            assert isinstance(found, Verdict)
            assert not found.ok, key


@pytest.mark.parametrize("name", [name for name in CHECKS if "pair" not in name])
def test_what_was_seen_under_one_seed_is_wrong_under_another(name, honest):
    assert not decide(CHECKS[name], 4, honest[name]).ok


@NAMES
def test_inputs_and_observations_are_plain_and_fixed_by_the_seed(name, honest):
    first, again, other = (CHECKS[name].inputs(seed) for seed in (5, 5, 6))
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert any(not np.array_equal(first[key], other[key]) for key in first)
    for value in [*first.values(), *honest[name].values()]:
        assert type(value) in (bool, int, float, str) or value.dtype.kind in "bif"


def lesson_imports(number):
    """What the first cell of the lesson imports, which the printed solutions may use."""
    (path,) = (TESTS.parent / "notebooks").glob(f"{number}_*.ipynb")
    cell = next(c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code")
    tree = ast.parse("".join(cell["source"]))
    names = {}
    wanted = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(wanted, []), "lesson", "exec"), names)
    return names


@NAMES
def test_the_printed_solution_runs_in_the_lesson(name, capsys):
    checks.solution(name)
    source, names = capsys.readouterr().out, lesson_imports(name[:2])
    exec(compile(source, "solution", "exec"), names)
    found = outcome(name, names[CHECKS[name].solution.__name__], 2)
    assert isinstance(found, Verdict)
    assert found.ok
    assert len(source.splitlines()) <= LESSONS[name[:2]].LONGEST_SOLUTION


@NAMES
def test_task_and_hints_are_short_and_speak_of_the_function(name):
    check = CHECKS[name]
    arguments = ", ".join(check.arguments)
    assert check.task.startswith(f"Write {check.solution.__name__}({arguments}): ")
    assert len(set(check.hints)) == 2
    for text in (check.task, *check.hints):
        assert "behind" not in text.lower()
        assert too_long(text) == []
        assert text.endswith(".")
