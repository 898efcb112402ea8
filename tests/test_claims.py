import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import run_notebooks
import torch

from ganlib.claims import WIDTH, claim, guess, wrap

NOT_SO = "  If you changed a setting, this is what it did. If not, run the lesson again from its top."


def printed(capsys, *args, **kwargs):
    claim(*args, **kwargs)
    return capsys.readouterr().out


@pytest.mark.parametrize("true", [True, np.True_, torch.tensor(True)])
def test_a_true_claim_prints_the_sentence_and_what_was_measured(capsys, true):
    assert printed(capsys, "p_g covers 8 of 8 modes", true, 8) == "✓ p_g covers 8 of 8 modes (8)\n"


@pytest.mark.parametrize("false", [False, np.False_, np.array(False), torch.tensor(False)])
def test_a_false_claim_says_what_was_expected_and_goes_on(capsys, false):
    lines = printed(capsys, "p_g covers 8 of 8 modes", false, measured=5, expected=8).splitlines()
    assert lines == ["✗ p_g covers 8 of 8 modes (5; expected 8)", NOT_SO]
    assert printed(capsys, "it holds", false, why="The seed decides.") == "✗ it holds\n  The seed decides.\n"


def test_a_claim_of_several_conditions_names_the_false_ones(capsys):
    both = {"KL rises": True, "JSD is at most log 2": np.True_}
    assert printed(capsys, "KL rises, JSD does not", both, 3) == "✓ KL rises, JSD does not (3)\n"
    for false in ("KL rises", "JSD is at most log 2"):
        lines = printed(capsys, "KL rises, JSD does not", both | {false: False}).splitlines()
        assert lines == ["✗ KL rises, JSD does not", f"  Not so: {false}.", NOT_SO]
    none = printed(capsys, "it holds", dict.fromkeys(both, torch.tensor(False)), why="The seed decides.").splitlines()
    assert none == ["✗ it holds", "  Not so: KL rises; JSD is at most log 2.", "  The seed decides."]


@pytest.mark.parametrize(
    ("ok", "error", "says"),
    [({}, ValueError, "ok must hold a condition"), ({"KL rises": 1}, TypeError, "got int 1 for 'KL rises'")],
)
def test_a_named_condition_is_a_bool(ok, error, says):
    with pytest.raises(error, match=says):
        claim("a sentence", ok)


def test_a_long_line_breaks_at_spaces_and_can_be_put_together_again(capsys):
    sentence = "the far half gets under one per cent of the slope with the minimax loss, and over half without it, " * 2
    shown = printed(capsys, sentence.strip(), True, "0.2 and 68.4")
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert len(shown.splitlines()) == 3
    assert run_notebooks.claims_in(f"a table\n{shown}    1   2\n") == [(True, sentence.strip(), "0.2 and 68.4")]
    assert wrap("word" * WIDTH) == "word" * WIDTH


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (0.123456, " (0.123)"),
        (np.float32(1.38629), " (1.39)"),
        (torch.tensor(-2.5), " (-2.5)"),
        (12345, " (12345)"),
        (torch.tensor(10), " (10)"),
        (0, " (0)"),
        (True, " (True)"),
        ("8.69 and 0.69", " (8.69 and 0.69)"),
        (None, ""),
    ],
)
def test_measured_is_printed_shortly(capsys, measured, text):
    assert printed(capsys, "a sentence", True, measured) == f"✓ a sentence{text}\n"


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


@pytest.mark.parametrize(("measured", "expected"), [("3 (of 4)", 4), (3, "4 (of 4)")])
def test_the_bracket_can_be_masked(measured, expected):
    with pytest.raises(ValueError, match="stand in brackets themselves"):
        claim("a sentence", False, measured, expected=expected)


def masked(text):
    rules = (Path(__file__).parent / "helpers" / "nbval_sanitize.cfg").read_text(encoding="utf-8")
    for mask, kept in re.findall(r"regex: (.*)\nreplace: (.*)", rules):
        text = re.sub(mask, kept, text)
    return text


def test_the_mask_keeps_the_sentence_alone(capsys):
    first, second = (
        printed(capsys, "8 modes are covered", True, value) + printed(capsys, "it is so", True)
        for value in (8, "8.1 and 7")
    )
    assert first != second
    assert masked(first) == masked(second) == "✓ 8 modes are covered (...)\n✓ it is so\n"


@pytest.mark.parametrize("length", [WIDTH - 15, WIDTH - 8, WIDTH + 10])
def test_the_mask_does_not_see_where_the_bracket_breaks(capsys, length):
    sentence = ("ab " * length)[: length - 1] + "b"
    shown = [printed(capsys, sentence, True, value) for value in (8, "8.13 and 7.5, which is a good deal more " * 3)]
    assert len(set(map(masked, shown))) == 1
    assert masked(printed(capsys, sentence.replace("ab", "ac"), True, 8)) != masked(shown[0])


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
        "from ganlib.claims import claim; claim('Fr\u00e9chet at \u22121', True, 8);"
        "claim('\ud310\ubcc4\uc790 is 1/2', False, why='D at \u00b1 1.')"
    )
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=env)
    assert run.stderr == b""
    assert run.stdout.decode(encoding).splitlines() == expected


@pytest.mark.parametrize(
    ("mine", "measured", "verdict"),
    [
        (550_000, 566_800, "right"),
        ("566,800", 566_800, "right"),
        (100_000, 566_800, "5.7 times too small"),
        (700_000, 566_800, "near, 1.2 times too large"),
        (1.09, 1.0, "right"),  # within a tenth of what was measured
        (1.105, 1.0, "near, 1.1 times too large"),
        (0.895, 1.0, "near, 1.1 times too small"),
        ("a lot", 566_800, 'write a number, such as 0.5 or "1/2"'),
        (float("nan"), 566_800, 'write a number, such as 0.5 or "1/2"'),
        (True, 566_800, 'write a number, such as 0.5 or "1/2"'),
        ("2/3", 0.67, "right"),
        ("67 %", 0.67, "right"),
        ("1/0", 0.67, 'write a number, such as 0.5 or "1/2"'),
        (0.5, 0.694, "1.4 times too small"),
        ("−4", -4, "right"),
        (1.386, -1.386, "the size is right, the sign is not"),
        (1.0, -1.386, "2.39 away"),
        (0, 0.5, "0.5 away"),
        (4, 3, "1 too many"),
        (1, 3, "2 too few"),
        ("−4", "-4", "right"),
        (0, "-4", "not this time"),
        (-0.693, -1.386, "its size is 2.0 times too small"),
        (True, False, "not this time"),
        ("No.", False, "right"),
        (0, False, "right"),
        ("perhaps", True, "write True or False"),
        ("lower", "higher", "not this time"),
        (" Higher", "higher", "right"),
        ([1, -1], (1, -1), "right"),
        ("(1, -1)", (1, -1), "right"),
        ((-1, 1), (1, -1), "the right numbers in another order"),
        ((1, 1), (1, -1), "1 of 2 right"),
        (1, (1, -1), "write 2 values in brackets"),
    ],
)
def test_a_guess_gets_a_fair_verdict(mine, measured, verdict, capsys):
    guess(mine, measured)
    assert capsys.readouterr().out.endswith(f": {verdict}\n")


@pytest.mark.parametrize(
    ("mine", "verdict"), [("Higher ", "right"), ("lower", "not this time"), ("heigher", 'write "lower" or "higher"')]
)
def test_a_guess_among_words_is_one_of_them(mine, verdict, capsys):
    guess(mine, "higher", choices=("lower", "higher"))
    assert capsys.readouterr().out.endswith(f": {verdict}\n")


@pytest.mark.parametrize("mine", [1000, 10_000, "10^3", "10**4", "1e4", 5000, 6_000])
def test_the_power_of_ten_is_enough_where_it_is_asked_for(mine, capsys):
    guess(mine, 5958, power_of_ten=True)
    assert "measured: 5,958: right" in capsys.readouterr().out


@pytest.mark.parametrize("mine", [3, 4, 100, 100_000, 0, -3])
def test_another_power_of_ten_is_not(mine, capsys):
    guess(mine, 5958, power_of_ten=True)
    assert "right" not in capsys.readouterr().out


def test_a_guess_stands_beside_the_measurement(capsys):
    guess(None, 566_800)
    guess("(-1, 1)", (1, -1))
    assert capsys.readouterr().out.splitlines() == [
        "your guess: none yet, measured: 566,800",
        "your guess: (-1, 1), measured: (1, -1): the right numbers in another order",
    ]
