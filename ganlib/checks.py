"""Self-checks of the exercises: a probe looks at the answer, a verdict that never meets it decides.

The two halves share plain data only, so that they may run in two processes: `observe` where the answer is, `decide`
where it is not.
"""

import importlib
import inspect
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .claims import say

#: what crosses the border between probe and verdict: names with arrays of bool, int or float, numbers and strings
Plain = dict[str, Any]

NOT_PROBABILITIES = "all elements of input should be between 0 and 1"  # torch, where logits meet a loss of D(x)
LOGITS = "These are logits, not probabilities: use binary_cross_entropy_with_logits, or"
UNREADABLE = "The check could not read what came from your code. Compare it with the task: it has the wrong form."
# Frames in these folders belong to the tools; the others are the learner's.
TOOLS = tuple(
    os.path.realpath(Path(file).parents[up]) + os.sep
    for file, up in ((__file__, 0), (torch.__file__, 1), (os.__file__, 0))
)


class Untouched(Exception):
    """The answer is still the stub that the exercise started with; probes raise it."""


class Mistake(Exception):
    """A sentence that tells more than the error of the answer; probes raise it from that error."""


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and the sentences that say why."""

    ok: bool
    message: str


@dataclass(frozen=True)
class NotAttempted:
    """The outcome for a stub: None, ``...``, or a function that does nothing."""

    message: str


@dataclass(frozen=True)
class Check:
    """One exercise: its inputs for a seed, the probe, the verdict, two hints and a solution.

    ``inputs(seed)`` and what ``probe(answer, inputs)`` returns are Plain; only the probe touches the answer, a function
    of ``arguments``. ``verdict(inputs, observed)`` may fail on forged data, which `decide` turns into "not yet".
    """

    name: str
    task: str
    arguments: tuple[str, ...]
    inputs: Callable[[int], Plain]
    probe: Callable[[Any, Plain], Plain]
    verdict: Callable[[Plain, Plain], Verdict]
    hints: tuple[str, str]
    solution: Callable[..., Any]


def check(name: str, answer: Any = None) -> None:
    """Print whether ``answer``, a function, solves the exercise ``name``, and otherwise what is wrong with it.

    Raises ValueError for an unknown name. Every lesson with exercises uses it.
    """
    outcome = run(find(name), answer)
    if isinstance(outcome, NotAttempted):
        say(f"{name}: not attempted yet. {outcome.message}")
    else:
        say(f"{name}: {'right' if outcome.ok else 'not yet'}. {outcome.message}")


def hint(name: str, number: int = 1) -> None:
    """Print hint 1 or 2 of the exercise ``name``. Raises ValueError for another number or an unknown name."""
    hints = find(name).hints
    if number not in (1, 2):
        raise ValueError(f"number must be 1 or 2, got {number!r}: after both hints, solution({name!r}) shows an answer")
    then = f'hint("{name}", 2) says more.' if number == 1 else f'solution("{name}") shows an answer.'
    say(f"{hints[number - 1]}\n{then}")


def solution(name: str) -> None:
    """Print the source of one right answer to the exercise ``name``. Raises ValueError for an unknown name."""
    say(inspect.getsource(find(name).solution).rstrip())


def find(name: str) -> Check:
    """Return the check called ``name``, such as "04.generator_loss". Raises ValueError listing those that exist."""
    known: list[str] = []
    for path in sorted(Path(__file__).parent.glob("checks_*.py")):
        for found in importlib.import_module(f"{__package__}.{path.stem}").CHECKS:
            if found.name == name:
                return found
            known.append(found.name)
    raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}: check the spelling")


def run(check: Check, answer: Any, seed: int = 0) -> Verdict | NotAttempted:
    """Return the outcome on the inputs of ``seed`` and ``seed + 1``: a lucky answer to one fails the other."""
    for s in (seed, seed + 1):
        outcome = decide(check, s, observe(check, answer, s))
        if isinstance(outcome, NotAttempted) or not outcome.ok:
            break
    return outcome


def observe(check: Check, answer: Any, seed: int) -> Plain:
    """Return what the probe sees of ``answer``, or why it saw nothing; KeyboardInterrupt alone passes through."""
    if answer is None or answer is ...:
        return {"untouched": True}
    if not callable(answer) or isinstance(answer, nn.Module):
        kind = type(answer).__name__
        return {"raised": f"The answer must be a function, got {kind}. Pass its name alone, without brackets."}
    if problem := _wrong_arguments(check, answer):
        return {"raised": problem}
    try:
        with _undisturbed(seed):
            return check.probe(answer, check.inputs(seed))
    except KeyboardInterrupt:
        raise
    except Untouched:
        return {"untouched": True}
    except BaseException as error:  # SystemExit too: an exercise must not end the kernel
        return _raised(error)


def decide(check: Check, seed: int, observed: Any) -> Verdict | NotAttempted:
    """Return the outcome for what `observe` saw on the inputs of ``seed``; data of a wrong form are never right."""
    if not _plain(observed):
        return Verdict(False, UNREADABLE)
    if "untouched" in observed:
        return NotAttempted(f'{check.task} hint("{check.name}") helps.')
    if "raised" in observed:
        return Verdict(False, _one_line(str(observed["raised"])))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            # An older numpy only warns where an empty array is taken for a truth value, and says False.
            warnings.simplefilter("error", DeprecationWarning)
            outcome = check.verdict(check.inputs(seed), observed)
    except Exception:  # a missing name or a wrong shape: the probe would not have sent it
        return Verdict(False, UNREADABLE)
    return Verdict(outcome.ok is True, _one_line(outcome.message))


def attempted(result: Any) -> Any:
    """Return what an answer returned, or raise Untouched when it is None, ``...`` or a tuple of these; for probes."""
    parts = result if isinstance(result, tuple) and result else (result,)
    if all(part is None or part is ... for part in parts):
        raise Untouched
    return result


def near(got: Any, wanted: Any, tolerance: float = 1e-3) -> bool:
    """Return whether two arrays have one shape and differ by less than ``tolerance`` of the largest wanted number."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return False
    return bool(np.abs(got - wanted).max(initial=0) <= tolerance * np.abs(wanted).max(initial=0))


def diagnosis(got: Any, mistakes: list[tuple[Any, str]], unknown: str) -> str:
    """Return the sentence of the first mistake whose value is ``near`` what was got, or ``unknown``; for verdicts."""
    return next((sentence for value, sentence in mistakes if near(got, value)), unknown)


def sigmoid(s: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-s)), of the shape of ``s``, without an overflow at logits such as -800; for verdicts."""
    return np.exp(-np.logaddexp(0, -s))


def _plain(observed: Any) -> bool:
    def fits(value: Any) -> bool:
        return value.dtype.kind in "biuf" if type(value) is np.ndarray else type(value) in (bool, int, float, str)

    return type(observed) is dict and all(type(name) is str and fits(value) for name, value in observed.items())


def _wrong_arguments(check: Check, answer: Any) -> str:
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):  # some builtins have none
        return ""
    try:
        signature.bind(*check.arguments)
    except TypeError:
        wanted, has = (f"({', '.join(names)})" for names in (check.arguments, signature.parameters))
        return f"The check calls your function with {wanted}, but it is written with {has}."
    return ""


@contextmanager
def _undisturbed(seed: int) -> Iterator[None]:
    """Hold back what an answer prints and warns, give it random numbers of its own, and restore what it may change."""
    states, dtype = (random.getstate(), np.random.get_state()), torch.get_default_dtype()
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=cuda))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            if "IPython" in sys.modules:  # a progress bar of a notebook is displayed, not printed
                from IPython.utils.capture import capture_output

                stack.enter_context(capture_output())
            else:
                stack.enter_context(redirect_stdout(StringIO()))
                stack.enter_context(redirect_stderr(StringIO()))
            # torch.manual_seed would also seed a GPU that the learner starts only later.
            torch.default_generator.manual_seed(seed), np.random.seed(seed), random.seed(seed)
            torch.set_default_dtype(torch.float32)
            yield
    finally:
        torch.set_default_dtype(dtype)
        random.setstate(states[0]), np.random.set_state(states[1])


def _raised(error: BaseException) -> Plain:
    cause = error.__cause__ if isinstance(error, Mistake) and error.__cause__ else error
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if not os.path.realpath(frame.filename).startswith(TOOLS)]
    if isinstance(error, NotImplementedError) and own and own[-1] is frames[-1]:  # torch raises it too, further down
        return {"untouched": True}
    text = str(error).strip()
    line = f"line {own[-1].lineno}: {own[-1].line}" if own else ""
    if isinstance(error, Mistake):
        return {"raised": f"{text} Look at {line}" if line else text}
    what = f"{type(error).__name__}{f' ({_one_line(text, 200)})' if text else ''}"
    return {"raised": f"Your code raised {what}{f', in {line}' if line else ''}"}


def _one_line(text: str, length: int = 400) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."
