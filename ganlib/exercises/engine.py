"""How an exercise is checked: answer, solution and listed mistakes are probed alike, and the first difference decides.

`observe` meets the answer and returns plain facts. `decide` never meets it: it may run in another process.
"""

import dis
import functools
import importlib
import inspect
import os
import random
import re
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganlib.claims import say, strict, wrap

#: names with arrays of bool, int or float, numbers and strings: what crosses the border between two processes
Plain = dict[str, Any]
Probe = Callable[[Any, Any], Iterator[tuple[str, Any]]]

UNREADABLE = "The check could not read what came from your code. Compare it with the task: it has the wrong form."
# Frames in these folders belong to the tools; the others are the learner's.
TOOLS = tuple(
    os.path.realpath(Path(file).parents[up]) + os.sep
    for file, up in ((__file__, 1), (torch.__file__, 1), (os.__file__, 0))
)
NUMBER = r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?"
#: the instructions of a function that does nothing yet
IDLE = ("RESUME", "NOP", "POP_TOP", "LOAD_CONST", "LOAD_FAST", "STORE_FAST", "RETURN_", "COPY_FREE_VARS")


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and the sentences that say why."""

    ok: bool
    message: str

    def _ipython_display_(self) -> None:
        """Show nothing: `check` has printed it."""


@dataclass(frozen=True)
class NotAttempted:
    """The outcome for a stub: None, ``...``, or a function that does nothing; ``ok`` is False."""

    message: str
    ok: bool = field(default=False, init=False)

    def _ipython_display_(self) -> None:
        """Show nothing: `check` has printed it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Exercise:
    """One exercise: what is asked, on which inputs an answer is probed, what is right, and which mistakes are known.

    ``probe(answer, inputs(seed))`` yields named facts, the most basic first. The first fact in which the answer differs
    from the ``solution`` decides: the first of the ``mistakes``, pairs of a wrong answer and a sentence, that agrees
    with the answer up to this fact names it, else ``otherwise`` has a sentence for the fact, with {got} and {expected},
    the place {at}, counted from 1, and the {group} of a fact such as "value 40". In ``free`` facts right answers may
    differ: they tell mistakes apart, and ``verdict(inputs, facts)``, if there is one, judges them.
    """

    name: str
    task: str
    solution: Callable[..., Any]
    inputs: Callable[[int], Any]
    probe: Probe
    mistakes: Sequence[tuple[Callable[..., Any], str]] = ()
    otherwise: dict[str, str]
    praise: Callable[[Any, Plain], str]
    hints: tuple[str, str]
    free: Sequence[str] = ()
    verdict: Callable[[Any, Plain], str] | None = None  # what is wrong, or ""
    dtype: torch.dtype = torch.float32  # the default of the lesson

    @property
    def call(self) -> str:
        """The function to write, such as "value(real_logits, fake_logits)"."""
        return f"{self.solution.__name__}({', '.join(inspect.signature(self.solution).parameters)})"


def check(name: str, answer: Any = None) -> Verdict | NotAttempted:
    """Print whether ``answer``, a function, solves the exercise ``name``, or what is wrong with it; return the outcome.

    A program reads ``ok`` and ``message`` of the outcome. Under GANLIB_STRICT=1 a wrong answer raises AssertionError;
    a stub does not, so that a lesson runs to its end. Raises ValueError for an unknown name. Used by every lesson.
    """
    outcome = run(find(name), answer)
    word = "not attempted yet" if isinstance(outcome, NotAttempted) else "right" if outcome.ok else "not yet"
    line = f"{name}: {word}. {outcome.message}"
    if word == "not yet" and strict():
        raise AssertionError(line)
    say("\n".join(map(wrap, line.splitlines())))
    return outcome


def hint(name: str, number: int = 1) -> None:
    """Print hint 1 or 2 of the exercise ``name``. Raises ValueError for another number or an unknown name."""
    hints = find(name).hints
    if number not in (1, 2):
        raise ValueError(f"number must be 1 or 2, got {number!r}: after both hints, solution({name!r}) shows an answer")
    then = f'hint("{name}", 2) says more.' if number == 1 else f'solution("{name}") shows an answer.'
    say("\n".join(map(wrap, [*hints[number - 1].splitlines(), then])))


def solution(name: str) -> None:
    """Print the source of one right answer to the exercise ``name``. Raises ValueError for an unknown name."""
    say(inspect.getsource(find(name).solution).rstrip())


def find(name: str) -> Exercise:
    """Return the exercise called ``name``, such as "04.generator_loss". Raises ValueError listing those that exist."""
    known: list[str] = []
    for path in sorted(Path(__file__).parent.glob("lesson_*.py")):
        for found in importlib.import_module(f"{__package__}.{path.stem}").EXERCISES:
            if found.name == name:
                return found
            known.append(found.name)
    raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}: check the spelling")


def run(exercise: Exercise, answer: Any, seed: int = 0) -> Verdict | NotAttempted:
    """Return the outcome on the inputs of ``seed`` and ``seed + 1``: a lucky answer to one fails the other."""
    for s in (seed, seed + 1):
        outcome = decide(exercise, s, observe(exercise, answer, s))
        if not outcome.ok:
            break
    return outcome


def observe(exercise: Exercise, answer: Any, seed: int) -> Plain:
    """Return the facts that the probe sees of ``answer``, or why it saw none; only KeyboardInterrupt passes through."""
    if answer is None or answer is ... or _does_nothing(answer):
        return {"untouched": True}
    if problem := _unfit(exercise, answer):
        return {"refused": problem}
    return facts(exercise, answer, seed)


def facts(exercise: Exercise, answer: Any, seed: int) -> Plain:
    """Return what the probe sees of ``answer``; an error is a fact too, after those before it."""
    seen: Plain = {}
    with _isolation(exercise, seed):
        try:
            seen.update(exercise.probe(answer, exercise.inputs(seed)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: an exercise must not end the kernel
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if not os.path.realpath(frame.filename).startswith(TOOLS)]
            # torch raises NotImplementedError too, further down
            if isinstance(error, NotImplementedError) and own and own[-1] is frames[-1]:
                return {"untouched": True}
            text = f" ({_one_line(str(error), 200)})" if str(error).strip() else ""
            line = f", in line {own[-1].lineno}: {own[-1].line}" if own else ""
            seen |= {"error": _kind(error), "raised": f"Your code raised {type(error).__name__}{text}{line}"}
    return seen


def decide(exercise: Exercise, seed: int, observed: Any) -> Verdict | NotAttempted:
    """Return the outcome for what `observe` saw on the inputs of ``seed``; data of a wrong form are never right."""
    if not _plain(observed):
        return Verdict(False, UNREADABLE)
    if "untouched" in observed:
        return NotAttempted(f'Write {exercise.call}: {exercise.task} hint("{exercise.name}") helps.')
    if "refused" in observed:
        return Verdict(False, _one_line(str(observed["refused"])))
    wanted = _known_facts(exercise, exercise.solution, seed)
    deciding = next((n for n, v in wanted.items() if n not in observed or not _fits(exercise, n, observed[n], v)), None)
    if deciding not in observed and "error" in observed:
        deciding = "error"
    if deciding is None:
        return _last_word(exercise, seed, wanted, observed)
    if deciding not in observed:
        return Verdict(False, UNREADABLE)
    if deciding.partition(" ")[0] == "type" and same(observed[deciding], "NoneType"):
        return Verdict(False, f"Your function returns nothing. Does {exercise.solution.__name__} end with return?")
    for wrong, sentence in exercise.mistakes:
        if _agrees(exercise, wrong, seed, observed, deciding):
            return Verdict(False, _filled(sentence, deciding, observed, wanted))
    if deciding == "error":
        return Verdict(False, _one_line(str(observed.get("raised", UNREADABLE))))
    return Verdict(False, _filled(_sentence(exercise, deciding, observed[deciding]), deciding, observed, wanted))


def same(got: Any, wanted: Any, tolerance: float = 1e-3) -> bool:
    """Return whether two facts agree: floats to ``tolerance`` of the largest, NaN and inf at the same places."""
    if not isinstance(wanted, float | np.ndarray):
        return type(got) is type(wanted) and got == wanted
    if not isinstance(got, float | np.ndarray):
        return False
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape or got.dtype.kind != wanted.dtype.kind:
        return False
    if wanted.dtype.kind != "f":
        return bool((got == wanted).all())
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return False
    differences = np.abs(got[finite] - wanted[finite])
    return bool(differences.max(initial=0) <= tolerance * np.abs(wanted[finite]).max(initial=0))


def tensors(answer: Any, inputs: dict[str, list[tuple[Any, ...]]], *, gradient: bool = False) -> Iterator[Any]:
    """Probe a function of tensors: type, shape and values of what it returns in each case of each group of inputs.

    With ``gradient`` it must return a tensor, whose slope by the first argument is a fact too.
    """
    for group, cases in inputs.items():
        results: list[np.ndarray] = []
        slopes: list[Tensor | None] = []
        kinds: list[str] = []
        for case in cases:
            arguments = [torch.tensor(a, dtype=_dtype(a)) if isinstance(a, np.ndarray) else a for a in case]
            if gradient:
                arguments[0].requires_grad_()
            result = answer(*arguments)
            values = None if gradient and not isinstance(result, Tensor) else numbers(result)
            kinds.append(type(result).__name__ if values is None else "numbers")
            results += [] if values is None else [values]
            if gradient and isinstance(result, Tensor) and result.requires_grad:
                slopes.append(torch.autograd.grad(result.sum(), arguments[0], allow_unused=True)[0])
        yield f"type {group}".strip(), next((kind for kind in kinds if kind != "numbers"), "numbers")
        if len(results) < len(cases):
            return
        yield f"shape {group}".strip(), str(results[0].shape)
        yield f"value {group}".strip(), np.concatenate([np.ravel(values) for values in results])
        if gradient:
            found = [slope.double().cpu().numpy().ravel() for slope in slopes if slope is not None]
            yield f"gradient {group}".strip(), len(found) == len(cases)
            yield f"slope {group}".strip(), np.concatenate([np.zeros(0), *found])


#: what `tensors` says where an exercise has no sentence of its own
TENSORS = {
    "type": "The function returned an object of type {got}. Return a tensor.",
    "shape": "The result has shape {got}, and it must be {expected}.",
}


def numbers(result: Any) -> np.ndarray | None:
    """Return a tensor, an array, a number or nested lists of these as float64 array (...), or None for other things."""
    if isinstance(result, Tensor):
        return result.detach().cpu().double().numpy()
    try:
        if isinstance(result, tuple | list):
            parts = [numbers(part) for part in result]
            return None if any(part is None for part in parts) else np.array(parts, np.float64)
        # numpy would read a number from a text, and NaN from None
        return None if result is None or isinstance(result, str | bytes) else np.asarray(result, np.float64)
    except (TypeError, ValueError):
        return None


def accepts(candidates: Sequence[tuple[Callable[..., Any], str]], *names: str) -> Probe:
    """Return the probe of a check that a learner wrote: whether it accepts each candidate, a program of ``names``.

    The check returns True or False; an AssertionError counts as False. Candidates come in the order of ``inputs``.
    """

    def probe(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
        said = np.zeros(len(candidates), np.int64)
        silent, asserts, kind = [], False, "bool"
        for k in inputs["order"]:
            try:
                result = answer(_nameless(candidates[k][0], names))
            except AssertionError:
                asserts = True
                continue
            truth = result.item() if isinstance(result, Tensor | np.ndarray) and result.ndim == 0 else result
            if truth is None:
                silent.append(k)
            elif isinstance(truth, bool | np.bool_):
                said[k] = int(truth)
            else:
                kind = type(result).__name__
        if silent and not asserts:  # without an assert, None is no answer
            kind = "NoneType" if len(silent) == len(candidates) else "NoneType for some programs"
        said[silent] = 1
        yield "type", kind
        yield "said", said

    return probe


def verdict_on_a_check(candidates: Sequence[tuple[Callable[..., Any], str]], right: int, enough: int) -> Any:
    """Return the verdict on "said": the first ``right`` candidates are accepted, ``enough`` of the others refused."""

    def verdict(inputs: Plain, seen: Plain) -> str:
        said = seen["said"].astype(bool)
        good, broken = candidates[:right], candidates[right:]
        if len(said) != len(candidates):
            raise ValueError
        if not said[:right].all():
            name = next(name for (_, name), yes in zip(good, said) if not yes)
            return f"It refuses a right one: {name}. Right programs may differ in form and in the last digits."
        refused = int((~said[right:]).sum())
        if refused < enough:
            name = next(name for (_, name), yes in zip(broken, said[right:]) if yes)
            return f"It refuses {refused} of {len(broken)} broken ones, {enough} are asked. One slips through: {name}."
        return ""

    return verdict


def order_of(candidates: Sequence[Any]) -> Callable[[int], Plain]:
    """Return the inputs of a check that a learner wrote: the order in which the candidates come, by seed."""
    return lambda seed: {"order": np.random.default_rng(seed).permutation(len(candidates))}


def write_the_check(
    candidates: Sequence[tuple[Callable[..., Any], str]],
    *,
    right: int,
    enough: int,
    arguments: Sequence[str],
    **block: Any,
) -> Exercise:
    """Return the exercise to write a check that accepts the first ``right`` programs and refuses ``enough`` others.

    ``candidates`` are programs of ``arguments`` with their descriptions; ``block`` is the rest of an `Exercise`, whose
    task goes on with the numbers of programs.
    """
    meets = f"It meets {right} right programs and {len(candidates) - right} broken ones."
    asked = f"Accept all right ones, and refuse at least {enough} of the broken ones."
    return Exercise(
        **block | {"task": f"{block['task']} {meets} {asked}"},
        inputs=order_of(candidates),
        probe=accepts(candidates, *arguments),
        free=("said",),
        verdict=verdict_on_a_check(candidates, right, enough),
        praise=lambda inputs, seen: _praise_of_a_check(candidates[right:], seen["said"][right:]),
    )


def _praise_of_a_check(broken: Sequence[tuple[Callable[..., Any], str]], said: np.ndarray) -> str:
    praise = f"It accepts all right programs, and refuses {int((said == 0).sum())} of {len(broken)} broken ones."
    passed = [words for (_, words), accepted in zip(broken, said) if accepted]
    return f"{praise} Still accepted: {'; '.join(passed)}." if passed else praise


def _nameless(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    def candidate(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, *(named[name] for name in names[len(arguments) :]))

    return candidate


def _dtype(a: np.ndarray) -> torch.dtype | None:
    return torch.get_default_dtype() if a.dtype.kind == "f" else None


_known_facts = functools.lru_cache(maxsize=1024)(facts)  # of the solution and the mistakes, which do not change


def _fits(exercise: Exercise, name: str, got: Any, wanted: Any) -> bool:
    return name in exercise.free or same(got, wanted)


def _agrees(exercise: Exercise, wrong: Any, seed: int, observed: Plain, deciding: str) -> bool:
    """Whether a listed mistake gives the same facts as the answer, up to the deciding one."""
    known = _known_facts(exercise, wrong, seed)
    if deciding not in known:
        return False
    names = list(known)
    names = names[: names.index(deciding) + 1]
    if deciding == "error" and known.keys() != observed.keys():  # other facts before it
        return False
    return all(name in observed and same(observed[name], known[name]) for name in names)


def _last_word(exercise: Exercise, seed: int, wanted: Plain, observed: Plain) -> Verdict:
    if observed.keys() != wanted.keys():
        return Verdict(False, UNREADABLE)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            # An older numpy only warns where an empty array is taken for a truth value, and says False.
            warnings.simplefilter("error", DeprecationWarning)
            wrong = exercise.verdict(exercise.inputs(seed), observed) if exercise.verdict else ""
            return Verdict(not wrong, _one_line(wrong or exercise.praise(exercise.inputs(seed), observed)))
    except Exception:  # a wrong shape or type: the probe would not have sent it
        return Verdict(False, UNREADABLE)


def _sentence(exercise: Exercise, name: str, got: Any) -> str:
    """What ``otherwise`` has for a fact: by name, as "value *" for all later groups, or by kind."""
    kind, _, group = name.partition(" ")
    names = [name, *([f"{kind} *"] if group else []), kind]
    if isinstance(got, float | np.ndarray) and not np.isfinite(got).all():
        names = [*(["not finite *"] if group else []), "not finite", *names]
    known = TENSORS | exercise.otherwise
    return next((known[n] for n in names if n in known), UNREADABLE)


def _filled(sentence: str, name: str, observed: Plain, wanted: Plain) -> str:
    got, expected, at = observed[name], wanted.get(name, ""), 1
    if isinstance(got, str) and isinstance(expected, str):
        parts = got.split(", "), expected.split(", ")
        if "(" not in got + expected and len(parts[0]) == len(parts[1]):
            at = next(k for k, (a, b) in enumerate(zip(*parts), 1) if a != b)
            got, expected = (part[at - 1] for part in parts)
    elif isinstance(got, np.ndarray) and isinstance(expected, np.ndarray) and got.shape == expected.shape and got.size:
        off = np.abs(np.where(np.isfinite(got), got, np.inf) - expected.astype(float)).ravel()
        at = int(off.argmax()) + 1
        got, expected = got.ravel()[at - 1], expected.ravel()[at - 1]
    fields = {"at": at, "group": name.partition(" ")[2], "got": _short(got), "expected": _short(expected)}
    return _one_line(sentence.format(**fields))


def _short(value: Any) -> str:
    return f"{value + 0.0:.4g}" if isinstance(value, float | np.floating) else str(value)


def _plain(observed: Any) -> bool:
    def fits(value: Any) -> bool:
        return value.dtype.kind in "biuf" if type(value) is np.ndarray else type(value) in (bool, int, float, str)

    return type(observed) is dict and all(type(name) is str and fits(value) for name, value in observed.items())


def _unfit(exercise: Exercise, answer: Any) -> str:
    """Why an answer cannot be probed, or nothing."""
    kind = type(answer).__name__
    if isinstance(answer, type):
        return f"{answer.__name__} is a class. Pass an instance of it: {answer.__name__}()"
    if not callable(answer):
        return f"The answer must be a function, got {kind}. Pass its name alone, without brackets."
    if (getattr(answer, "__module__", "") or "").partition(".")[0] == "ganlib" and not isinstance(answer, nn.Module):
        return f"{getattr(answer, '__name__', kind)} is ganlib's own function. Write yours, and then compare the two."
    try:
        signature = inspect.signature(answer.forward if isinstance(answer, nn.Module) else answer)
    except (TypeError, ValueError):  # some builtins have none
        return ""
    arguments = inspect.signature(exercise.solution).parameters
    try:
        signature.bind(*arguments)
    except TypeError:
        wanted, has = (f"({', '.join(names)})" for names in (arguments, signature.parameters))
        return f"The check calls your function with {wanted}, but it is written with {has}."
    return ""


def _does_nothing(answer: Any) -> bool:
    """Whether a function only passes None and ``...`` around: a stub. One that forgets its return does more."""
    function = answer.forward if isinstance(answer, nn.Module) else answer
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return False
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for step in dis.get_instructions(code):
        loaded = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        if not step.opname.startswith(IDLE):
            return False
        if step.opname.startswith("LOAD_FAST") and set(loaded) & set(arguments):
            return False
        if step.opname.endswith("_CONST") and not all(value is None or value is ... for value in loaded):
            return False
    return True


@contextmanager
def _isolation(exercise: Exercise, seed: int) -> Iterator[None]:
    """Hold back what an answer prints and warns, give it random numbers of its own, and restore what it may change."""
    states, dtype = (random.getstate(), np.random.get_state()), torch.get_default_dtype()
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=cuda))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(np.errstate(all="ignore"))
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
            torch.set_default_dtype(exercise.dtype)
            yield
    finally:
        torch.set_default_dtype(dtype)
        random.setstate(states[0]), np.random.set_state(states[1])


def _kind(error: BaseException) -> str:
    """An error without its numbers: two answers with one mistake raise it alike, whatever torch's words are."""
    return f"{type(error).__name__}: {_one_line(re.sub(NUMBER, '#', str(error)), 200)}"


def _one_line(text: str, length: int = 400) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."
