"""Checked sentences: what a lesson says about its numbers, compared with the numbers each time it runs."""

import math
import os
import sys
import textwrap
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

# Korean Windows consoles use cp949, which lacks these signs; every other sign falls back on its plain letter.
ASCII = {"✓": "[ok]", "✗": "[no]", "−": "-", "–": "-"}
WIDTH = 96  # signs in a line: JupyterLab would break a longer one inside a word
NOT_SO = "If you changed a setting, this is what it did. If not, run the lesson again from its top."
YES_NO = {"true": True, "yes": True, "false": False, "no": False}


def claim(text: str, ok: Any, measured: Any = None, *, expected: Any = None, why: str | None = None) -> None:
    """Print `text` with ✓ when `ok` is true, otherwise with ✗, what is not so, what was expected and what to do.

    `ok`: one bool (Python, numpy or torch), or a dict of several that names each; the names of the false ones are
    printed. What was measured stands in brackets at the end, so a comparison of outputs can mask it: `measured` and
    `expected` are numbers or strings. With the environment variable GANLIB_STRICT=1 a false claim raises
    AssertionError. Raises TypeError for an `ok` that is no bool, ValueError for text that cannot be masked, for no
    condition at all and for NaN in a true claim. Used by every lesson.
    """
    if "(" in text or "\n" in text or text.endswith("."):
        raise ValueError(
            f"text must be one line without '(' and without a final '.', got {text!r}: "
            "pass the number as measured=, it is printed in brackets"
        )
    false = [name for name, truth in _conditions(ok).items() if not truth]
    value = _item(measured)
    if not false and isinstance(value, float) and math.isnan(value):
        raise ValueError(
            f"measured is NaN in a claim that holds ({text}): no sentence about NaN is true, "
            "look for a division 0/0 or a training that diverged"
        )
    facts = [] if measured is None else [_short(value)]
    if false and expected is not None:
        facts.append(f"expected {_short(_item(expected))}")
    lines = [("✗ " if false else "✓ ") + text + (f" ({'; '.join(facts)})" if facts else "")]
    if false:
        lines += [f"  Not so: {'; '.join(false)}."] if isinstance(ok, Mapping) else []
        lines += [f"  {why or NOT_SO}"]
        if strict():
            raise AssertionError("\n".join(lines))
    for line in lines:
        say(wrap(line))


def _conditions(ok: Any) -> dict[str, bool]:
    """The named conditions of a claim; a lone one has no name."""
    named = {name: _item(one) for name, one in (ok if isinstance(ok, Mapping) else {"": ok}).items()}
    if not named:
        raise ValueError("ok must hold a condition, got an empty dict: name what the sentence says")
    for name, truth in named.items():
        if not isinstance(truth, bool):
            raise TypeError(
                f"ok must be one bool, got {type(truth).__name__} {truth!r}{f' for {name!r}' if name else ''}: "
                "write a comparison, and reduce an array with .all()"
            )
    return named


def wrap(line: str) -> str:
    """Return `line` broken at spaces, continued with an indent of four, by which a claim is put together again."""
    if len(line) <= WIDTH:  # also the lines of a program in a hint, with their indents
        return line
    return textwrap.fill(line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def guess(mine: Any, measured: Any, *, power_of_ten: bool = False, choices: tuple[str, ...] = ()) -> None:
    """Print a reader's guess beside what was measured, and how near it was; None is no guess. Used by every lesson.

    Text counts as what it says: "2/3", "-4", "1,000", "yes". A number is right within a tenth; with `power_of_ten`
    also from the power of ten below it to the one above it. `choices`: the words to choose from.
    """
    value = _item(measured)
    shown = f"{value:,}" if type(value) is int else str(value)
    if mine is None:
        say(wrap(f"your guess: none yet, measured: {shown}"))
        return
    meant = _meant(mine, value)
    if choices and meant not in choices:
        verdict = "write " + " or ".join(f'"{choice}"' for choice in choices)
    else:
        verdict = _verdict(meant, value, power_of_ten)
    say(wrap(f"your guess: {mine}, measured: {shown}: {verdict}"))


def _meant(mine: Any, value: Any) -> Any:
    """What a reader meant, in the kind of `value`; what cannot be read stays as it is."""
    if isinstance(value, tuple):
        parts = mine.strip("()[] ").split(",") if isinstance(mine, str) else mine
        same = isinstance(parts, (list, tuple)) and len(parts) == len(value)
        return tuple(map(_meant, parts, value)) if same else mine
    mine = _item(mine)
    if isinstance(value, str):
        return str(mine).strip().lower().replace("−", "-")
    if isinstance(mine, str):
        text = mine.strip().lower().replace("−", "-").replace(",", "").replace("_", "").removesuffix(".")
        if isinstance(value, bool):
            return YES_NO.get(text, mine)
        text = text.replace("10^", "1e").replace("10**", "1e").replace(" ", "")
        try:
            return float(Fraction(text.removesuffix("%"))) / (100 if text.endswith("%") else 1)
        except (ValueError, ZeroDivisionError):
            return mine
    return bool(mine) if isinstance(value, bool) and mine in (0, 1) else mine


def _verdict(mine: Any, value: Any, power_of_ten: bool = False) -> str:
    if isinstance(value, tuple):
        if not isinstance(mine, tuple) or len(mine) != len(value):
            return f"write {len(value)} values in brackets"
        right = sum(_verdict(m, v) == "right" for m, v in zip(mine, value))
        if right < len(value) and all("right" in [_verdict(m, v) for m in mine] for v in value):
            return "the right numbers in another order"
        return "right" if right == len(value) else f"{right} of {len(value)} right"
    if isinstance(value, bool) and not isinstance(mine, bool):
        return "write True or False"
    if isinstance(value, (bool, str)):
        return "right" if mine == (value.strip().lower() if isinstance(value, str) else value) else "not this time"
    if isinstance(mine, bool) or not isinstance(mine, (int, float)) or not math.isfinite(mine):
        return 'write a number, such as 0.5 or "1/2"'
    if abs(mine - value) <= 0.1 * abs(value):
        return "right"
    if power_of_ten and value > 0:
        low, high = 10 ** math.floor(math.log10(value)), 10 ** math.ceil(math.log10(value))
        if 0.9 * low <= mine <= 1.1 * high:
            return "right, that is the power of ten"
    if isinstance(value, int) and abs(value) <= 10 and mine == int(mine):  # a count
        return f"{abs(int(mine) - value)} too {'many' if mine > value else 'few'}"
    if mine * value > 0:
        factor = max(mine / value, value / mine)
        size = "its size is " if value < 0 else ""
        much = f"{size}{factor:.1f} times too {'large' if abs(mine) > abs(value) else 'small'}"
        near = abs(mine - value) < 0.05 if 0 < value < 1 else factor <= 1.5  # 1/2 is not near to 2/3
        return f"near, {much}" if near else much
    if value and abs(mine + value) <= 0.1 * abs(value):
        return "the size is right, the sign is not"
    return f"{abs(mine - value):.3g} away"


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
