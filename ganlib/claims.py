"""Checked sentences: what a lesson says about its numbers, compared with the numbers each time it runs."""

import math
import os
import sys
import unicodedata
from typing import Any

# Korean Windows consoles use cp949, which lacks these signs; every other sign falls back on its plain letter.
ASCII = {"✓": "[ok]", "✗": "[no]", "−": "-", "–": "-"}
CHANGED = "A setting was changed: that is fine, and this is what the change did."


def claim(text: str, ok: Any, measured: Any = None, *, expected: Any = None, why: str | None = None) -> None:
    """Print `text` with ✓ when `ok` is true, otherwise with ✗, what was expected and why it may have failed.

    What was measured stands in brackets at the end of the line, so a comparison of outputs can mask it.
    `ok`: one bool (Python, numpy or torch); `measured` and `expected`: numbers or strings. With the
    environment variable GANLIB_STRICT=1 a false claim raises AssertionError. Raises TypeError for an `ok`
    that is no bool, ValueError for text that cannot be masked and for NaN in a true claim. Lesson 01
    introduces it.
    """
    if "(" in text or "\n" in text or text.endswith("."):
        raise ValueError(
            f"text must be one line without '(' and without a final '.', got {text!r}: "
            "pass the number as measured=, it is printed in brackets"
        )
    truth = _item(ok)
    if not isinstance(truth, bool):
        raise TypeError(
            f"ok must be one bool, got {type(ok).__name__} {ok!r}: write a comparison, and reduce an array with .all()"
        )
    value = _item(measured)
    if truth and isinstance(value, float) and math.isnan(value):
        raise ValueError(
            f"measured is NaN in a claim that holds ({text}): no sentence about NaN is true, "
            "look for a division 0/0 or a training that diverged"
        )
    facts = [] if measured is None else [_short(value)]
    if not truth and expected is not None:
        facts.append(f"expected {_short(_item(expected))}")
    line = ("✓ " if truth else "✗ ") + text + (f" ({'; '.join(facts)})" if facts else "")
    if not truth:
        line += f"\n  {why or CHANGED}"
        if strict():
            raise AssertionError(line)
    say(line)


def guess(mine: Any, measured: Any) -> None:
    """Print a reader's guess beside what was measured, and whether they agree; None is no guess. Used by every lesson.

    Numbers agree within a tenth of what was measured; anything else must be equal.
    """
    value = _item(measured)
    shown = f"{value:,}" if type(value) is int else str(value)
    if mine is None:
        say(f"your guess: none yet, measured: {shown}")
        return
    mine = tuple(mine) if isinstance(mine, list) else mine
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        right = isinstance(mine, (int, float)) and abs(mine - value) <= 0.1 * abs(value)
    else:
        right = mine == value
    say(f"your guess: {mine}, measured: {shown}: {'right' if right else 'not quite'}")


def strict() -> bool:
    """Return whether GANLIB_STRICT=1 asks for an error where a sentence is false. Used by claims and exercises."""
    return os.environ.get("GANLIB_STRICT", "0") not in ("", "0")


def say(text: str) -> None:
    """Print `text`, with plain letters for signs that the output's encoding lacks. Used by every lesson."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = "".join(_plain(sign, encoding) for sign in text)
    print(text)


def _plain(sign: str, encoding: str) -> str:
    try:
        sign.encode(encoding)
        return sign
    except UnicodeEncodeError:
        letters = unicodedata.normalize("NFKD", sign)  # é becomes e and an accent
        return ASCII.get(sign, letters.encode("ascii", "ignore").decode() or "?")


def _item(value: Any) -> Any:
    """The Python number or bool in a numpy scalar or a 0-dim array or tensor; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _short(value: Any) -> str:
    """An int or a string as it is, a float with three significant digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, str) and ("(" in value or "\n" in value):
        raise ValueError(
            f"measured and expected must be one line without '(', got {value!r}: they stand in brackets themselves"
        )
    if isinstance(value, (int, str)):
        return str(value)
    raise TypeError(
        f"measured and expected must be numbers or strings, got {type(value).__name__}: "
        "use .item(), .mean() or an f-string"
    )
