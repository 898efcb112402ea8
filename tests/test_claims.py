import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ganlib.claims import claim, guess


def printed(capsys, *args, **kwargs):
    claim(*args, **kwargs)
    return capsys.readouterr().out


@pytest.mark.parametrize("true", [True, np.True_, np.array(True), torch.tensor(True)])
def test_a_true_claim_prints_the_sentence_and_what_was_measured(capsys, true):
    assert printed(capsys, "p_g covers 8 of 8 modes", true, 8) == "✓ p_g covers 8 of 8 modes (8)\n"


@pytest.mark.parametrize("false", [False, np.False_, np.array(False), torch.tensor(False)])
def test_a_false_claim_says_what_was_expected_and_goes_on(capsys, false):
    lines = printed(capsys, "p_g covers 8 of 8 modes", false, measured=5, expected=8).splitlines()
    assert lines == [
        "✗ p_g covers 8 of 8 modes (5; expected 8)",
        "  A setting was changed: that is fine, and this is what the change did.",
    ]
    assert printed(capsys, "it holds", false, why="The seed decides.") == "✗ it holds\n  The seed decides.\n"


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (0.123456, "0.123"),
        (np.float32(1.38629), "1.39"),
        (torch.tensor(-2.5), "-2.5"),
        (12345, "12345"),
        (np.int64(7), "7"),
        (torch.tensor(10), "10"),
        (0, "0"),
        (True, "True"),
        ("8.69 and 0.69", "8.69 and 0.69"),
    ],
)
def test_measured_is_printed_shortly(capsys, measured, text):
    assert printed(capsys, "a sentence", True, measured) == f"✓ a sentence ({text})\n"


def test_nothing_measured_no_bracket(capsys):
    assert printed(capsys, "a sentence", True) == "✓ a sentence\n"


@pytest.mark.parametrize(
    "ok", [1, 0.0, None, "yes", np.array([True]), torch.tensor([True, False]), np.float64(1), torch.tensor(1)]
)
def test_ok_must_be_one_bool(ok):
    with pytest.raises(TypeError, match="ok must be one bool"):
        claim("a sentence", ok)


@pytest.mark.parametrize("nan", [float("nan"), np.float32("nan"), torch.tensor(float("nan"))])
def test_no_true_claim_about_nan(capsys, nan):
    with pytest.raises(ValueError, match="measured is NaN"):
        claim("the loss is small", True, nan)
    assert printed(capsys, "the loss is small", False, nan).startswith("✗ the loss is small (nan)\n")


@pytest.mark.parametrize("measured", [np.zeros(2), torch.zeros(1), [1, 2], {}])
def test_measured_must_be_a_number_or_a_string(measured):
    with pytest.raises(TypeError, match="must be numbers or strings"):
        claim("a sentence", True, measured)


@pytest.mark.parametrize("text", ["ends with a stop.", "covers (8 of 8) modes", "two\nlines"])
def test_the_sentence_can_be_masked(text):
    with pytest.raises(ValueError, match="text must be one line"):
        claim(text, True)


@pytest.mark.parametrize(("measured", "expected"), [("3 (of 4)", 4), ("two\nlines", 4), (3, "4 (of 4)")])
def test_the_bracket_can_be_masked(measured, expected):
    with pytest.raises(ValueError, match="stand in brackets themselves"):
        claim("a sentence", False, measured, expected=expected)


def test_the_mask_keeps_the_sentence_alone(capsys):
    rules = (Path(__file__).parent / "helpers" / "nbval_sanitize.cfg").read_text(encoding="utf-8")
    [(mask, kept)] = re.findall(r"regex: (.*2713.*)\nreplace: (.*)", rules)
    first, second = (
        printed(capsys, "8 modes are covered", True, value) + printed(capsys, "it is so", True)
        for value in (8, "8.1 and 7")
    )
    assert first != second
    assert re.sub(mask, kept, first) == re.sub(mask, kept, second) == "✓ 8 modes are covered (...)\n✓ it is so\n"


def test_strict_raises_a_false_claim_with_the_same_text(monkeypatch, capsys):
    text = printed(capsys, "a sentence", False, 3, expected=4)
    monkeypatch.setenv("GANLIB_STRICT", "1")
    with pytest.raises(AssertionError) as error:
        claim("a sentence", False, 3, expected=4)
    assert str(error.value) == text.rstrip("\n")
    assert printed(capsys, "a sentence", True, 3) == "✓ a sentence (3)\n"
    monkeypatch.setenv("GANLIB_STRICT", "0")
    assert printed(capsys, "a sentence", False, 3, expected=4) == text


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", ["✓ Fréchet at −1 (8)", "✗ 판별자 is 1/2", "  D at ± 1."]),
        ("cp949", ["[ok] Frechet at -1 (8)", "[no] 판별자 is 1/2", "  D at ± 1."]),
        ("latin-1", ["[ok] Fréchet at -1 (8)", "[no] ??? is 1/2", "  D at ± 1."]),
    ],
)
def test_signs_that_the_console_lacks_become_plain_letters(encoding, expected):
    program = (
        "from ganlib.claims import claim\n"
        "claim('Fr\u00e9chet at \u22121', True, 8)\n"
        "claim('\ud310\ubcc4\uc790 is 1/2', False, why='D at \u00b1 1.')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )
    assert run.stderr == b""
    assert run.stdout.decode(encoding).splitlines() == expected


@pytest.mark.parametrize(
    ("mine", "measured", "said"),
    [
        (None, 566_800, "your guess: none yet, measured: 566,800"),
        (550_000, 566_800, "your guess: 550000, measured: 566,800: right"),
        (100_000, 566_800, "your guess: 100000, measured: 566,800: not quite"),
        ("a lot", 566_800, "your guess: a lot, measured: 566,800: not quite"),
        (True, False, "your guess: True, measured: False: not quite"),
        ([1, -1], (1, -1), "your guess: (1, -1), measured: (1, -1): right"),
        ((-1, 1), (1, -1), "your guess: (-1, 1), measured: (1, -1): not quite"),
        (-1.4, -1.386, "your guess: -1.4, measured: -1.386: right"),
        (False, False, "your guess: False, measured: False: right"),
        ("lower", "higher", "your guess: lower, measured: higher: not quite"),
    ],
)
def test_a_guess_stands_beside_the_measurement(mine, measured, said, capsys):
    guess(mine, measured)
    assert capsys.readouterr().out == said + "\n"
