"""The engine of the self-checks, on an exercise of its own: return twice the numbers that came."""

import io
import os
import random
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from ganlib import checks
from ganlib.checks import (
    Check,
    Mistake,
    NotAttempted,
    Verdict,
    attempted,
    decide,
    diagnosis,
    near,
    observe,
    run,
    sigmoid,
)

ROOT = Path(__file__).resolve().parent.parent


def twice(x):
    """Return 2 x."""
    return 2 * x


def inputs_of_double(seed):
    return {"x": np.random.default_rng(seed).normal(size=3)}


def probe_of_double(answer, inputs):
    return {"y": attempted(answer(torch.tensor(inputs["x"]))).numpy()}


def verdict_of_double(inputs, observed):
    if near(observed["y"], 2 * inputs["x"]):
        return Verdict(True, "It is twice x.")
    return Verdict(False, f"It is {observed['y'][0]:.3g}, not {2 * inputs['x'][0]:.3g}.")


DOUBLE = Check(
    "00.double",
    "Write double(x).",
    ("x",),
    inputs_of_double,
    probe_of_double,
    verdict_of_double,
    ("Add.", "Add x to x."),
    twice,
)


@pytest.fixture
def double(monkeypatch):
    """Makes the exercise known by its name."""
    monkeypatch.setattr("ganlib.checks_04.CHECKS", [DOUBLE])


def said(capsys, *args):
    assert checks.check(*args) is None
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_a_right_answer_is_right(seed):
    assert run(DOUBLE, twice, seed) == Verdict(True, "It is twice x.")


def test_a_wrong_answer_is_not_yet():
    outcome = run(DOUBLE, lambda x: 3 * x)
    assert isinstance(outcome, Verdict)
    assert not outcome.ok
    assert outcome.message == f"It is {3 * inputs_of_double(0)['x'][0]:.3g}, not {2 * inputs_of_double(0)['x'][0]:.3g}."


@pytest.mark.parametrize("lucky", [0, 1])
def test_two_seeds_must_agree(lucky):
    constant = 2 * torch.tensor(inputs_of_double(lucky)["x"])
    assert not run(DOUBLE, lambda x: constant).ok


def dots(x): ...


def raises(x):
    raise NotImplementedError("later")


@pytest.mark.parametrize("stub", [None, ..., dots, raises, lambda x: ..., lambda x: (None, None)])
def test_a_stub_is_not_attempted(stub):
    assert run(DOUBLE, stub) == NotAttempted('Write double(x). hint("00.double") helps.')


def test_the_three_outcomes_are_printed(double, capsys):
    assert said(capsys, "00.double", twice) == "00.double: right. It is twice x.\n"
    assert said(capsys, "00.double", torch.sin).startswith("00.double: not yet. It is ")
    for nothing in ((), (None,), (...,)):
        line = '00.double: not attempted yet. Write double(x). hint("00.double") helps.\n'
        assert said(capsys, "00.double", *nothing) == line


def test_no_outcome_looks_like_a_claim_of_the_lesson(double, capsys):
    import run_notebooks

    text = "".join(said(capsys, "00.double", answer) for answer in (twice, torch.sin, None))
    assert run_notebooks.CLAIM.findall("✓ a claim\n") != []
    assert run_notebooks.CLAIM.findall(text) == []


def fails(x):
    total = 0
    return x / total["a"]


def fails_below(x):
    return nn.Linear(5, 5)(x)


def imports(x):
    import nothing_of_this_name  # noqa: F401


class NoForward(nn.Module):
    pass


def asks_torch(x):
    return NoForward()(x)


LINE = fails.__code__.co_firstlineno + 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (fails, rf"Your code raised TypeError \('int' .*\), in line {LINE}: return x / total\[\"a\"\]"),
        (fails_below, r"Your code raised RuntimeError \(.*\), in line \d+: return nn.Linear\(5, 5\)\(x\)"),
        (imports, r"Your code raised ModuleNotFoundError \(No module .*\), in line \d+: import nothing.*"),
        (asks_torch, r"Your code raised NotImplementedError \(Module \[NoForward\].*\), in line \d+: .*"),
        (lambda x: sys.exit(), r"Your code raised SystemExit, in line \d+: .*sys.exit.*"),
        (lambda x: fails("a\nb" * 500), r"Your code raised TypeError .*"),
        (lambda x: int("a" * 999), r"Your code raised ValueError \(invalid literal .*\.\.\.\), in line \d+: .*"),
        (lambda x: x.foo(), r"Your code raised AttributeError \('Tensor' .*\), in line \d+: .*"),
        (lambda x: "text", r"Your code raised AttributeError \('str' object has no attribute 'numpy'\), in line .*"),
        (lambda: 1, r"The check calls your function with \(x\), but it is written with \(\)\."),
        (lambda a, b: 1, r"The check calls your function with \(x\), but it is written with \(a, b\)\."),
        (3, r"The answer must be a function, got int\. Pass its name alone, without brackets\."),
        (torch.zeros(3), r"The answer must be a function, got Tensor\. .*"),
        (nn.Linear(3, 3), r"The answer must be a function, got Linear\. .*"),
    ],
)
def test_what_goes_wrong_is_a_sentence(answer, message):
    outcome = run(DOUBLE, answer)
    assert isinstance(outcome, Verdict)
    assert not outcome.ok
    assert re.fullmatch(message, outcome.message)
    assert len(outcome.message) <= 400


def test_a_mistake_that_the_probe_knows_replaces_the_error_and_keeps_its_line():
    def explains(answer, inputs):
        try:
            return probe_of_double(answer, inputs)
        except TypeError as error:
            raise Mistake("You took an int for a dict.") from error

    outcome = run(replace(DOUBLE, probe=explains), fails)
    assert outcome == Verdict(False, f'You took an int for a dict. Look at line {LINE}: return x / total["a"]')
    assert run(replace(DOUBLE, probe=explains), lambda x: len(3)).message.startswith("You took an int for a dict. Look")
    assert run(replace(DOUBLE, probe=explains), fails_below).message.startswith("Your code raised RuntimeError")


def test_the_stop_button_still_stops():
    def stopped(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(DOUBLE, stopped)


def loud(x):
    print("a print")
    print("an error", file=sys.stderr)
    warnings.warn("a warning", stacklevel=1)
    return 2 * x


def test_prints_and_warnings_are_held_back(double, capsys):
    assert said(capsys, "00.double", loud) == "00.double: right. It is twice x.\n"


def test_a_notebook_shows_one_line_as_well():
    program = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell('''
import warnings
from IPython.display import display
from ganlib.checks import check
def generator_loss(fake_logits):
    print("a print"); display("a display"); warnings.warn("a warning")
    return fake_logits.missing
check("04.generator_loss", generator_loss)
''')
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, cwd=ROOT)
    said = "04.generator_loss: not yet. Your code raised AttributeError ('Tensor' object has no attribute 'missing')"
    assert ran.stdout == f"{said}, in line 6: return fake_logits.missing\n"
    assert ran.stderr == ""


def rude(x):
    torch.manual_seed(99), np.random.seed(99), random.seed(99)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float16)
    warnings.simplefilter("ignore")
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
        list(warnings.filters),
        sys.stdout,
        sys.stderr,
    ]


@pytest.mark.parametrize("answer", [twice, rude, rude_and_wrong])
@pytest.mark.parametrize("grad", [True, False])
def test_an_answer_leaves_no_trace(answer, grad):
    with torch.set_grad_enabled(grad):
        before = state()
        outcome = run(DOUBLE, answer)
        assert state() == before
    assert outcome.ok == (answer is not rude_and_wrong)
    assert run(DOUBLE, twice).ok


def test_an_answer_finds_the_usual_settings_and_the_same_random_numbers():
    seen = []

    def looks(x):
        seen.append((torch.is_grad_enabled(), torch.rand(()).item(), np.random.rand(), random.random()))
        assert torch.zeros(1).dtype == torch.float32
        return 2 * x

    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            assert run(DOUBLE, looks).ok
    finally:
        torch.set_default_dtype(torch.float32)
    torch.rand(5), np.random.rand(5), random.random()
    assert run(DOUBLE, looks).ok
    assert seen[:2] == seen[2:]
    assert seen[0][0] is True
    assert seen[0] != seen[1]


def test_inputs_changed_in_place_do_not_reach_the_verdict():
    def cheats(answer, inputs):
        inputs["x"][:] = 0
        return {"y": np.zeros(3)}

    assert not run(replace(DOUBLE, probe=cheats), twice).ok


RIGHT = {"y": 2 * inputs_of_double(0)["x"]}


class Always(np.ndarray):
    """Claims to equal all."""

    def __eq__(self, other):
        return True

    __hash__ = None


@pytest.mark.parametrize(
    "observed",
    [
        None,
        [],
        RIGHT["y"],
        {},
        {"z": RIGHT["y"]},
        {"y": None},
        {"y": RIGHT["y"].tolist()},
        {"y": RIGHT["y"].astype(object)},
        {"y": RIGHT["y"].astype(complex)},
        {"y": RIGHT["y"].view(Always)},
        {"y": RIGHT["y"][:2]},
        {"y": RIGHT["y"][None]},
        {"y": RIGHT["y"] + [0, 0, np.nan]},
        {"y": np.full(3, np.inf)},
        {"y": np.zeros(0)},
        {"y": float("nan")},
        {"y": 10**400},
        {"y": "text"},
        {**RIGHT, "more": object()},
        {**RIGHT, 3: 4},
        {**RIGHT, "untouched": True},
        {**RIGHT, "raised": "It broke."},
        type("Mapping", (dict,), {})(RIGHT),
    ],
    ids=str,
)
def test_forged_observations_are_never_right(observed):
    assert decide(DOUBLE, 0, RIGHT).ok
    outcome = decide(DOUBLE, 0, observed)
    assert isinstance(outcome, NotAttempted) or not outcome.ok
    assert outcome.message


def test_a_verdict_that_is_not_plainly_true_is_false():
    assert not decide(replace(DOUBLE, verdict=lambda *_: Verdict("yes", "It is.")), 0, RIGHT).ok


def test_a_message_is_one_short_line():
    message = decide(DOUBLE, 0, {"raised": "a\n  b " * 500}).message
    assert message.startswith("a b a b")
    assert len(message) == 400
    assert message.endswith("...")
    assert "\n" not in decide(replace(DOUBLE, verdict=lambda *_: Verdict(False, "a\nb")), 0, RIGHT).message


def test_the_verdict_never_meets_the_answer():
    met = []

    def verdict(inputs, observed):
        met.extend([*inputs.values(), *observed.values()])
        return verdict_of_double(inputs, observed)

    assert run(replace(DOUBLE, verdict=verdict), twice).ok
    assert len(met) == 4
    assert {type(value) for value in met} == {np.ndarray}
    assert observe(DOUBLE, twice, 0).keys() == {"y"}


@pytest.mark.parametrize(
    ("got", "wanted", "answer"),
    [
        ([1.0, 2.0], [1.0, 2.001], True),
        ([1.0, 2.0], [1.0, 2.01], False),
        ([0.001, 2.0], [0.0, 2.0], True),
        ([1.0], [1.0, 1.0], False),
        (1.0, [1.0], False),
        ([np.nan], [np.nan], False),
        ([np.inf], [np.inf], False),
        (0.0, 0.0, True),
        (1e-9, 0.0, False),
    ],
)
def test_near_is_strict_about_shapes_and_numbers(got, wanted, answer):
    assert near(got, wanted) is answer


def test_hints_and_the_solution_are_printed(double, capsys):
    checks.hint("00.double")
    checks.hint("00.double", 2)
    checks.solution("00.double")
    assert capsys.readouterr().out == (
        'Add.\nhint("00.double", 2) says more.\nAdd x to x.\nsolution("00.double") shows an answer.\n'
        'def twice(x):\n    """Return 2 x."""\n    return 2 * x\n'
    )


@pytest.mark.parametrize("number", [0, 3, "first"])
def test_there_are_two_hints(double, number):
    with pytest.raises(ValueError, match=r"number must be 1 or 2, got .* solution\('00.double'\)"):
        checks.hint("00.double", number)


@pytest.mark.parametrize("call", [checks.check, checks.hint, checks.solution])
@pytest.mark.parametrize("name", ["04.generator_los", "99.x", "", twice])
def test_an_unknown_name_lists_the_known_ones(call, name):
    with pytest.raises(ValueError, match=r"must be one of 02\.value, .*04\.generator_loss, .*: check the sp") as error:
        call(name)
    assert f"got {name!r}" in str(error.value)


def test_a_console_without_the_signs_still_prints(double, monkeypatch):
    def korean(x):
        raise ValueError("✓ é 판별자")

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp949", newline="\n"))
    checks.check("00.double", korean)
    sys.stdout.flush()
    assert raw.getvalue().decode("cp949").startswith("00.double: not yet. Your code raised ValueError ([ok] e 판별자)")


def test_importing_the_engine_loads_no_lesson():
    program = "import sys, ganlib.checks; print([name for name in sys.modules if name.startswith('ganlib.')])"
    command = [sys.executable, "-W", "error", "-c", program]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env={**os.environ})
    assert ran.stdout == "['ganlib.claims', 'ganlib.checks']\n"


def test_a_diagnosis_names_the_first_mistake_that_gives_the_same():
    mistakes = [(1.0, "one"), (np.array([2.0, 3.0]), "two"), ([2, 3], "again")]
    assert diagnosis([2.0, 3.0], mistakes, "unknown") == "two"
    assert diagnosis(1.0004, mistakes, "unknown") == "one"
    assert diagnosis(1.1, mistakes, "unknown") == "unknown"
    assert diagnosis(np.nan, mistakes, "unknown") == "unknown"


def test_the_sigmoid_of_large_logits_neither_overflows_nor_rounds_to_nothing():
    s = np.array([-700.0, -40.0, 0.0, 40.0, 800.0])
    with np.errstate(over="raise"):
        assert sigmoid(s) == pytest.approx(special.expit(s), rel=1e-12)
