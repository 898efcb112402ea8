"""The engine of the exercises, on small exercises of its own: return twice the numbers that came, and others."""

import functools
import io
import json
import random
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import run_notebooks
import torch
from torch import nn

from ganlib import exercises, metrics
from ganlib.exercises import NotAttempted, Verdict, decide, observe, run
from ganlib.exercises.engine import (
    UNREADABLE,
    Exercise,
    accepts,
    numbers,
    order_of,
    same,
    tensors,
    verdict_on_a_check,
)

ROOT = Path(__file__).resolve().parents[2]


def twice(x):
    """Return 2 x."""
    return 2 * x


def inputs_of_double(seed):
    rng = np.random.default_rng(seed)
    return {"": [(rng.uniform(1, 2, 3),)], "40": [(rng.uniform(40, 50, 3),)]}


DOUBLE = Exercise(
    name="00.double",
    task="twice the numbers x (3,).",
    solution=twice,
    inputs=inputs_of_double,
    probe=tensors,
    mistakes=[
        (lambda x: 3 * x, "This is three times x."),
        (lambda x: 3.0 * x, "This comes too late: the first mistake that agrees is named."),
        (lambda x: 2 * x.clamp(max=30), "At {group} this is clamped: {got}, not {expected}."),
        (lambda x: torch.ones(7) @ x, "A product of 7 and 3 numbers."),
    ],
    otherwise={
        "value": "Number {at} is {got}, not {expected}.",
        "value *": "At {group}, number {at} is {got}, not {expected}.",
        "not finite": "Number {at} is {got}.",
        "not finite *": "At {group} it is {got}.",
    },
    praise=lambda inputs, seen: f"It is twice x, such as {seen['value'][0]:.3g}.",
    hints=("Add.", "Add x to x."),
)
PRAISE = "It is twice x, such as 3.02."  # the second of two seeds speaks
RIGHT = observe(DOUBLE, lambda x: 2 * x, 0)


@pytest.fixture
def double(monkeypatch):
    """Makes the exercise known by its name."""
    monkeypatch.setattr("ganlib.exercises.lesson_04.EXERCISES", [DOUBLE])


def message(answer, exercise=DOUBLE, seed=0):
    outcome = run(exercise, answer, seed)
    assert isinstance(outcome, Verdict)
    assert not outcome.ok
    return outcome.message


def said(capsys, *args):
    outcome = exercises.check(*args)
    out, err = capsys.readouterr()
    assert err == ""
    assert outcome.message in out
    return out


# ---- the first fact that differs decides


def from_40(function):
    """Right below 40, and there this function."""
    return lambda x: function(x) if x.max() > 30 else 2 * x


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_a_right_answer_is_right(seed):
    assert run(DOUBLE, lambda x: x + x, seed).ok
    assert run(DOUBLE, lambda x: [2 * number for number in x.tolist()], seed).ok
    assert run(DOUBLE, lambda x: 2 * x.numpy(), seed).ok


@pytest.mark.parametrize("lucky", [0, 1])
def test_two_seeds_must_agree(lucky):
    known = {a[0][0][0]: 2 * torch.tensor(a[0][0]) for a in inputs_of_double(lucky).values()}
    assert "Number" in message(lambda x: next((y for k, y in known.items() if abs(k - x[0]) < 1e-5), x))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda x: "text", "The function returned an object of type str. Return a tensor."),
        (lambda x: [*(2 * x), "6"], "The function returned an object of type list. Return a tensor."),
        (lambda x: x.sum(), "The result has shape (), and it must be (3,)."),
        (lambda x: 2 * x + torch.tensor([0, 0.5, 0]), "Number 2 is 3.04, not 2.54."),
        (lambda x: 2 * x / torch.tensor([1, 1, 0]), "Number 3 is inf."),
        (from_40(lambda x: x), "At 40, number 3 is 49.13, not 98.26."),
        (from_40(lambda x: x / 0), "At 40 it is inf."),
        (from_40(lambda x: None), "Your function returns nothing. Does twice end with return?"),
        (from_40(lambda x: 3 * x), "At 40, number 3 is 147.4, not 98.26."),
    ],
)
def test_the_most_basic_fact_that_differs_gets_its_sentence(answer, sentence):
    assert message(answer) == sentence


def test_the_first_mistake_that_agrees_up_to_this_fact_is_named():
    assert message(lambda x: x + x + x) == "This is three times x."
    assert message(from_40(lambda x: torch.full((3,), 60.0))) == "At 40 this is clamped: 60, not 98.26."


def test_a_sentence_that_no_one_wrote_is_the_last_resort():
    assert message(lambda x: x, replace(DOUBLE, otherwise={})) == UNREADABLE


@pytest.mark.parametrize(
    ("otherwise", "sentence"),
    [
        ({"value 40": "A", "value *": "B", "value": "C", "not finite": "D", "not finite *": "E"}, "E"),
        ({"value 40": "A", "value *": "B", "value": "C"}, "A"),
        ({"value *": "B", "value": "C"}, "B"),
        ({"slope": "F", "value 4": "G"}, UNREADABLE),
    ],
)
def test_a_fact_of_a_later_group_takes_the_nearest_sentence(otherwise, sentence):
    exercise = replace(DOUBLE, otherwise=otherwise)
    assert message(from_40(lambda x: x / 0), exercise) == sentence
    if "not finite" not in otherwise:
        assert message(from_40(lambda x: x), exercise) == sentence


def test_places_in_a_list_of_words_are_counted_from_1():
    words = replace(
        DOUBLE,
        solution=lambda: "ReLU, ReLU, none",
        inputs=lambda seed: {},
        probe=lambda answer, inputs: iter([("layers", answer())]),
        mistakes=[],
        otherwise={"layers": "Layer {at} is {got}, not {expected}."},
        praise=lambda inputs, seen: "",
    )
    assert message(lambda: "ReLU, tanh, none", words) == "Layer 2 is tanh, not ReLU."
    assert message(lambda: "ReLU, none", words) == "Layer 1 is ReLU, none, not ReLU, ReLU, none."
    assert message(lambda: "(1, ReLU, 3)", words) == "Layer 1 is (1, ReLU, 3), not ReLU, ReLU, none."  # a shape


# ---- errors


def fails(x):
    total = 0
    return x / total["a"]


def fails_below(x):
    return nn.Linear(5, 5)(x)


def imports(x):
    import nothing_of_this_name  # noqa: F401


class NoForward(nn.Module):
    pass


LINE = fails.__code__.co_firstlineno + 2
FAILS = rf"Your code raised TypeError \('int' .*\), in line {LINE}: return x / total\[\"a\"\]"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (fails, FAILS),
        (from_40(fails), FAILS),
        (fails_below, r"Your code raised RuntimeError \(.*\), in line \d+: return nn.Linear\(5, 5\)\(x\)"),
        (imports, r"Your code raised ModuleNotFoundError \(No module .*\), in line \d+: import nothing.*"),
        (lambda x: NoForward()(x), r"Your code raised NotImplementedError \(Module \[NoForward\].*\), in line \d+: .*"),
        (NoForward(), r"Your code raised NotImplementedError \(Module \[NoForward\] is missing.*\)"),
        (lambda x: sys.exit(), r"Your code raised SystemExit, in line \d+: .*sys.exit.*"),
        (lambda x: int("a" * 999), r"Your code raised ValueError \(invalid literal .*\.\.\.\), in line \d+: .*"),
        (torch.add, r"Your code raised TypeError \(add\(\) .*\)"),
        ([].append, r"The function returned an object of type NoneType.*|Your function returns nothing.*"),
        (lambda: 1, r"The check calls your function with \(x\), but it is written with \(\)\."),
        (nn.Bilinear(3, 3, 3), r"The check calls .* with \(x\), but it is written with \(input1, input2\)\."),
        (3, r"The answer must be a function, got int\. Pass its name alone, without brackets\."),
        (nn.Identity, r"Identity is a class\. Pass an instance of it: Identity\(\)"),
        (metrics.js_divergence, r"js_divergence is ganlib's own function\. Write yours, and then compare the two\."),
    ],
)
def test_what_goes_wrong_is_a_sentence(answer, sentence):
    found = message(answer)
    assert re.fullmatch(sentence, found)
    assert len(found) <= 400


def test_an_error_is_named_by_a_mistake_that_raises_it_with_other_numbers():
    assert message(lambda x: torch.matmul(torch.zeros(11), x)) == "A product of 7 and 3 numbers."
    assert message(lambda x: torch.zeros(9) @ x.tile(2)) == "A product of 7 and 3 numbers."


def test_an_error_of_another_kind_or_at_another_place_is_not_named_by_it():
    assert message(lambda x: torch.zeros(11, 11) @ x).startswith("Your code raised RuntimeError (size mismatch")
    assert message(from_40(lambda x: torch.zeros(7) @ x)).startswith("Your code raised RuntimeError (inconsistent")
    assert message(lambda x: torch.zeros(11) @ x, replace(DOUBLE, mistakes=[])).startswith("Your code raised Runtime")


def test_errors_with_long_words_are_compared_whatever_their_numbers():
    def too_wide(x, width=1000):
        raise ValueError(f"{width} columns " + "and more " * 40)

    assert message(too_wide, replace(DOUBLE, mistakes=[(lambda x: too_wide(x, 9), "Too wide.")])) == "Too wide."


def test_the_stop_button_still_stops():
    def stopped(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(DOUBLE, stopped)


# ---- facts in which right answers may differ


def probe_of_any(answer, inputs):
    made = np.asarray(answer(inputs["size"]), np.float64)
    yield "method", "sorted" if (np.diff(made) >= 0).all() else "mixed"
    yield "size", len(made)
    yield "made", made


ANY = Exercise(
    name="00.any",
    task="any numbers above 0.",
    solution=lambda size: np.ones(size),
    inputs=lambda seed: {"size": 3 + seed},
    probe=probe_of_any,
    free=("method", "made"),
    mistakes=[
        (lambda size: np.arange(2), "Two are always too few."),
        (lambda size: [1, 0], "Two are too few, and mixed."),
    ],
    otherwise={"size": "There are {got} numbers, not {expected}."},
    verdict=lambda inputs, seen: "" if (seen["made"] > 0).all() else f"The least is {seen['made'].min():g}.",
    praise=lambda inputs, seen: f"All {inputs['size']} are above 0, {seen['method']}.",
    hints=("Which?", "Any."),
)


def test_free_facts_may_differ_and_the_verdict_judges_them():
    assert run(ANY, lambda size: 5 + np.arange(size)) == Verdict(True, "All 4 are above 0, sorted.")
    assert run(ANY, lambda size: 5 - np.arange(size) / size).ok
    assert message(lambda size: np.arange(size), ANY) == "The least is 0."
    assert message(lambda size: np.ones(size + 1), ANY) == "There are 4 numbers, not 3."


def test_free_facts_tell_mistakes_apart():
    assert message(lambda size: np.array([5, 6]), ANY) == "Two are always too few."
    assert message(lambda size: np.array([6, 5]), ANY) == "Two are too few, and mixed."


@pytest.mark.parametrize("verdict", [lambda inputs, seen: seen["missing"], lambda inputs, seen: 1 / 0])
def test_a_verdict_that_cannot_read_the_facts_refuses_them(verdict):
    assert message(lambda size: np.ones(size), replace(ANY, verdict=verdict)) == UNREADABLE


# ---- two processes


def through_bytes(observed):
    plain = {k: v for k, v in observed.items() if not isinstance(v, np.ndarray)}
    arrays = {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in observed.items() if isinstance(v, np.ndarray)}
    received = {k: np.frombuffer(raw, dtype).reshape(shape) for k, (dtype, shape, raw) in arrays.items()}
    return json.loads(json.dumps(plain)) | received


@pytest.mark.parametrize("answer", [lambda x: x + x, lambda x: 3 * x, lambda x: x / 0, fails, None, 3, lambda: 1])
def test_facts_may_be_judged_in_another_process(answer):
    observed = observe(DOUBLE, answer, 0)
    assert decide(DOUBLE, 0, through_bytes(observed)) == decide(DOUBLE, 0, observed)


def test_the_decision_never_meets_the_answer():
    met = []
    observed = observe(DOUBLE, lambda x: met.append(x) or 2 * x, 0)
    assert len(met) == 2
    assert decide(DOUBLE, 0, observed).ok
    assert len(met) == 2


def test_inputs_changed_in_place_do_not_reach_the_decision():
    def cheats(answer, inputs):
        inputs[""][0][0][:] = 0
        return tensors(answer, inputs)

    assert not decide(DOUBLE, 0, observe(replace(DOUBLE, probe=cheats), lambda x: 2 * x, 0)).ok


class Always(np.ndarray):
    """Claims to equal all."""

    def __eq__(self, other):
        return True

    __hash__ = None


V = RIGHT["value"]
FORGED = [
    None,
    [],
    V,
    {},
    {"z": V},
    *(
        {**RIGHT, "value": forged}
        for forged in (None, V.tolist(), V.astype(object), V.astype(complex), V.view(Always), V[:2], V[None], V[:0])
    ),
    *({**RIGHT, "value": forged} for forged in (V * [1, 1, np.nan], V * np.inf, np.nan, 10**400, "text", V > 0, True)),
    *({**RIGHT, "type": forged} for forged in (V, V[:0], V[:1], np.zeros(()), 1.0, True, "NoneType", "list")),
    *({**RIGHT, "shape": forged} for forged in (V, 3, "{at}", "(3,), (3,)", "3")),
    {**RIGHT, "more": object()},
    {**RIGHT, "more": 3},
    {**RIGHT, "untouched": True},
    {**RIGHT, "refused": "It broke."},
    {**RIGHT, "error": 3},
    {**RIGHT, "error": V, "raised": V},
    {"error": "", "raised": "a\n  b " * 500},
    type("Mapping", (dict,), {})(RIGHT),
]


@pytest.mark.parametrize("observed", FORGED, ids=str)
def test_forged_observations_are_never_right(observed):
    assert decide(DOUBLE, 0, RIGHT).ok
    outcome = decide(DOUBLE, 0, observed)
    assert isinstance(outcome, NotAttempted) or not outcome.ok
    assert outcome.message
    assert len(outcome.message) <= 400
    assert "\n" not in outcome.message


# ---- stubs


def dots(x): ...


def empty_return(x):
    """Return 2 x."""
    return


def keeps_nothing(x):
    y = None
    return y


def raises(x):
    raise NotImplementedError("later")


class Unwritten(nn.Module):
    def forward(self, x): ...


STUBS = [None, ..., dots, empty_return, keeps_nothing, raises, Unwritten(), lambda *_: (None, None)]


@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_attempted(stub):
    assert run(DOUBLE, stub) == NotAttempted('Write twice(x): twice the numbers x (3,). hint("00.double") helps.')
    assert not run(DOUBLE, stub).ok


def forgets(x):
    x  # noqa: B018


class Forgets(nn.Module):
    def forward(self, x):
        self.y = 2 * x


@pytest.mark.parametrize("answer", [forgets, Forgets(), lambda x: print(2 * x), lambda x: [].append(x)])
def test_a_forgotten_return_is_no_stub(answer):
    assert message(answer) == "Your function returns nothing. Does twice end with return?"


def test_an_answer_may_be_anything_that_is_called():
    assert run(DOUBLE, functools.partial(torch.mul, 2)).ok
    assert isinstance(run(DOUBLE, np.negative), Verdict)


# ---- what an answer prints and changes


def loud(x):
    print("a print")
    print("an error", file=sys.stderr)
    warnings.warn("a warning", stacklevel=1)
    return 2 * x


def test_prints_and_warnings_are_held_back(double, capsys):
    assert said(capsys, "00.double", loud) == f"00.double: right. {PRAISE}\n"


@pytest.mark.slow
def test_a_notebook_shows_one_line_as_well():
    program = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell('''
import warnings
from IPython.display import display
from ganlib.exercises import check
def generator_loss(fake_logits):
    print("a print"); display("a display"); warnings.warn("a warning")
    return fake_logits.missing
check("04.generator_loss", generator_loss)
''')
shell.run_cell('check("04.generator_loss")')
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, cwd=ROOT)
    # a terminal shows its prompt, even if the outcome shows nothing; a notebook does not
    first, second = run_notebooks.unwrapped(re.sub(r"Out\[0\]: ", "", ran.stdout)).splitlines()
    said = "04.generator_loss: not yet. Your code raised AttributeError ('Tensor' object has no attribute 'missing')"
    assert first == f"{said}, in line 6: return fake_logits.missing"
    assert second.startswith("04.generator_loss: not attempted yet. Write generator_loss(fake_logits): the non-sat")
    assert ran.stderr == ""


def rude(x):
    torch.manual_seed(99), np.random.seed(99), random.seed(99)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float16)
    warnings.simplefilter("ignore")
    np.seterr(all="raise")
    x += 1
    return 2 * (x - 1)


def rude_and_wrong(x):
    return rude(x) / 0 + [][1]


def state():
    np_state = np.random.get_state()
    return [
        torch.get_rng_state().tolist(),
        (np_state[1].tolist(), *np_state[2:]),
        random.getstate(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        np.geterr(),
        list(warnings.filters),
        sys.stdout,
        sys.stderr,
    ]


@pytest.mark.parametrize("answer", [lambda x: 2 * x, rude, rude_and_wrong])
@pytest.mark.parametrize("grad", [True, False])
def test_an_answer_leaves_no_trace(answer, grad):
    with torch.set_grad_enabled(grad):
        before = state()
        outcome = run(DOUBLE, answer)
        assert state() == before
    assert outcome.ok == (answer is not rude_and_wrong)
    assert run(DOUBLE, lambda x: 2 * x).ok


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_answer_finds_the_usual_settings_and_the_same_random_numbers(dtype):
    seen = []

    def looks(x):
        seen.append((torch.is_grad_enabled(), torch.rand(()).item(), np.random.rand(), random.random()))
        assert x.dtype == torch.zeros(1).dtype == dtype
        return 2 * x

    exercise = replace(DOUBLE, dtype=dtype)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            assert run(exercise, looks).ok
    finally:
        torch.set_default_dtype(torch.float32)
    torch.rand(5), np.random.rand(5), random.random()
    assert run(exercise, looks).ok
    half = len(seen) // 2
    assert seen[:half] == seen[half:]
    assert seen[0][0] is True
    assert seen[0] != seen[2]


# ---- check, hint, solution, find


def test_the_three_outcomes_are_printed_and_returned(double, capsys):
    assert said(capsys, "00.double", lambda x: 2 * x) == f"00.double: right. {PRAISE}\n"
    assert said(capsys, "00.double", lambda x: x * 3) == "00.double: not yet. This is three times x.\n"
    for nothing in ((), (None,), (...,), (dots,)):
        line = '00.double: not attempted yet. Write twice(x): twice the numbers x (3,). hint("00.double") helps.\n'
        assert said(capsys, "00.double", *nothing) == line


def test_a_strict_run_stops_at_a_wrong_answer_and_not_at_a_stub(double, capsys, monkeypatch):
    monkeypatch.setenv("GANLIB_STRICT", "1")
    with pytest.raises(AssertionError, match=re.escape("00.double: not yet. This is three times x.")):
        exercises.check("00.double", lambda x: 3 * x)
    assert capsys.readouterr().out == ""
    assert exercises.check("00.double", dots).ok is False
    assert exercises.check("00.double", lambda x: 2 * x).ok is True
    monkeypatch.setenv("GANLIB_STRICT", "0")
    assert exercises.check("00.double", lambda x: 3 * x).ok is False


def test_no_outcome_looks_like_a_claim_of_the_lesson(double, capsys):
    text = "".join(said(capsys, "00.double", answer) for answer in (lambda x: 2 * x, torch.sin, None))
    assert run_notebooks.CLAIM.findall("✓ a claim\n") != []
    assert run_notebooks.CLAIM.findall(text) == []


def test_hints_and_the_solution_are_printed(double, capsys):
    exercises.hint("00.double")
    exercises.hint("00.double", 2)
    exercises.solution("00.double")
    assert capsys.readouterr().out == (
        'Add.\nhint("00.double", 2) says more.\nAdd x to x.\nsolution("00.double") shows an answer.\n'
        'def twice(x):\n    """Return 2 x."""\n    return 2 * x\n'
    )


@pytest.mark.parametrize("number", [0, 3, "first"])
def test_there_are_two_hints(double, number):
    with pytest.raises(ValueError, match=r"number must be 1 or 2, got .* solution\('00.double'\)"):
        exercises.hint("00.double", number)


def test_an_exercise_is_found_by_its_name(double):
    assert exercises.find("00.double") is DOUBLE
    assert exercises.find("02.value").name == "02.value"


@pytest.mark.parametrize("call", [exercises.check, exercises.hint, exercises.solution, exercises.find])
@pytest.mark.parametrize("name", ["04.generator_los", "99.x", "", twice])
def test_an_unknown_name_lists_the_known_ones(call, name):
    with pytest.raises(ValueError, match=r"must be one of 01\.fit_.*, 04\.generator_loss, .*: check the sp") as error:
        call(name)
    assert f"got {name!r}" in str(error.value)


def test_a_console_without_the_signs_still_prints(double, monkeypatch):
    def korean(x):
        raise ValueError("✓ é 판별자")

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp949", newline="\n"))
    exercises.check("00.double", korean)
    sys.stdout.flush()
    assert raw.getvalue().decode("cp949").startswith("00.double: not yet. Your code raised ValueError ([ok] e 판별자)")


# ---- functions of tensors


SLOPE = replace(
    DOUBLE,
    solution=lambda x: (x**2).sum(),
    probe=functools.partial(tensors, gradient=True),
    mistakes=[(lambda x: (x**2).sum() + 0 * x.sum().sqrt().detach() + x[0] - x[0].detach(), "One slope is off.")],
    otherwise={"gradient": "It has no gradient.", "slope": "Slope {at} is {got}, not {expected}."},
    praise=lambda inputs, seen: "Value and slope.",
)


def test_a_slope_is_a_fact_after_the_value():
    assert run(SLOPE, lambda x: x @ x).ok
    assert run(SLOPE, lambda x: x.double().square().sum()).ok
    assert message(lambda x: (x @ x).item(), SLOPE) == "The function returned an object of type float. Return a tensor."
    assert message(lambda x: (x @ x).detach(), SLOPE) == "It has no gradient."
    assert message(lambda x: (x * x.detach()).sum(), SLOPE) == "Slope 1 is 1.637, not 3.274."
    assert message(lambda x: x @ x + x[0] - x.detach()[0], SLOPE) == "One slope is off."


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (torch.ones(2, requires_grad=True), [1, 1]),
        (torch.tensor([True, False]), [1, 0]),
        ((torch.tensor(1), np.float32(2)), [1, 2]),
        ([[1, 2], np.array([3.0, 4.0])], [[1, 2], [3, 4]]),
        (None, None),
        ("1.5", None),
        ([1, "2"], None),
        ({"a": 1}, None),
        (1j, None),
    ],
)
def test_what_counts_as_numbers(result, wanted):
    found = numbers(result)
    assert found is None if wanted is None else found.dtype == np.float64 and np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("got", "wanted", "answer"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.001]), True),
        (np.array([1.0, 2.0]), np.array([1.0, 2.01]), False),
        (np.array([0.001, 2.0]), np.array([0.0, 2.0]), True),
        (1.0, np.array([1.0]), False),
        (np.array(1.0), 1.0, True),
        (np.array([np.nan, 1]), np.array([np.nan, 1]), True),
        (np.array([np.inf, 1]), np.array([np.inf, 1]), True),
        (np.array([-np.inf]), np.array([np.inf]), False),
        (np.array([np.inf, 1]), np.array([1.0, 1]), False),
        (np.array([1, 2]), np.array([1, 3]), False),
        (np.array([1.0, 2.0]), np.array([1, 2]), False),
        (1e-9, 0.0, False),
        (1, 1.0, False),
        ("a", "b", False),
    ],
)
def test_facts_agree_to_a_tolerance_and_are_strict_about_shapes_and_types(got, wanted, answer):
    assert same(got, wanted) is answer


# ---- write the check: a function that judges candidates

CANDIDATES = [(lambda x: x + x, "a sum"), (lambda x: x * 2, "a product"), (lambda x: 3 * x, "three times")]
CANDIDATES += [(lambda x: x**2, "a square"), (lambda x: -2 * x, "a sign")]


def is_twice(candidate):
    """Return whether candidate(x) is 2 x."""
    return candidate(5) == 10


IS_TWICE = Exercise(
    name="00.is_twice",
    task="return True if candidate(x) is 2 x.",
    solution=is_twice,
    inputs=order_of(CANDIDATES),
    probe=accepts(CANDIDATES),
    otherwise={"type": "Your check returned an object of type {got}."},
    free=("said",),
    verdict=verdict_on_a_check(CANDIDATES, 2, 2),
    praise=lambda inputs, seen: f"It refuses {3 - seen['said'][2:].sum()} of 3.",
    hints=("Call it.", "Call it on 5."),
)


def asserts(candidate):
    assert candidate(5) == 10


@pytest.mark.parametrize(
    "judge",
    [
        is_twice,
        asserts,
        lambda candidate: np.isclose(candidate(5), 10),
        lambda candidate: torch.tensor(candidate(5)) == 10,
    ],
)
def test_a_check_returns_a_truth_or_asserts(judge):
    assert run(IS_TWICE, lambda candidate: judge(candidate)) == Verdict(True, "It refuses 3 of 3.")


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        (lambda candidate: True, "It refuses 0 of 3 broken ones, 2 are asked. One slips through: three times."),
        (lambda candidate: False, "It refuses a right one: a sum. Right programs may differ in form"),
        (lambda candidate: candidate(5), "Your check returned an object of type int."),
        (lambda candidate: torch.ones(2) > 0, "Your check returned an object of type Tensor."),
        (lambda candidate: print(candidate(5) == 10), "Your function returns nothing. Does is_twice end with return?"),
        (lambda candidate: True if candidate(5) == 10 else None, "Your check returned an object of type NoneType for"),
        (lambda candidate: candidate(), "Your code raised TypeError"),
        (lambda candidate: candidate.__name__ in ("twice", "<lambda>"), "It refuses a right one"),
    ],
)
def test_a_check_that_is_wrong_is_told_what_slips_through(judge, sentence):
    assert message(judge, IS_TWICE).startswith(sentence)


def test_one_that_slips_through_is_enough_if_enough_are_refused():
    assert run(IS_TWICE, lambda candidate: candidate(2) == 4) == Verdict(True, "It refuses 2 of 3.")


def test_the_candidates_come_in_an_order_of_the_seed_and_without_their_names():
    met = []
    for seed in (0, 0, 1, 2, 3):
        met.append([])
        observe(IS_TWICE, lambda candidate: met[-1].append((candidate(5), candidate.__name__)), seed)
    assert met[0] == met[1]
    assert len({str(order) for order in met}) > 2
    assert {name for order in met for _, name in order} == {"candidate"}
