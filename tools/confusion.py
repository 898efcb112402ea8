"""The confusion table of the exercises: what right answers, mutants of the solution and twins of mistakes are told.

`python tools/confusion.py` writes tests/exercises/confusion.md.
"""

import ast
import copy
import difflib
import inspect
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

from ganlib.exercises import NotAttempted, find, run
from ganlib.exercises.engine import UNREADABLE, Exercise

TABLE = Path(__file__).resolve().parent.parent / "tests" / "exercises" / "confusion.md"
TRAINS = ("04.fashion_mnist",)
SEED, SECONDS = 0, 20  # a mutant that does not end is stopped
#: the fact that only says "another result": elsewhere, "value"
CATCH_ALL = dict.fromkeys(("03.gan_step", "04.discriminator_step", "06.conditional_step"), "gradient")
OTHERS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or,
    ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.Eq: ast.NotEq, ast.Is: ast.IsNot,
}  # fmt: skip
NAMES = {
    "mean": ["sum"], "sum": ["mean"], "exp": ["log"], "all": ["any"], "xlogy": ["mul"], "no_grad": ["enable_grad"],
    "softplus": ["torch.sigmoid", "torch.relu", "torch.log"], "NormalLatent": ["UniformLatent"],
    "ReLU": ["Sigmoid", "Identity"], "LeakyReLU": ["ReLU", "Dropout"], "Tanh": ["Sigmoid", "ReLU"],
    "Dropout": ["Identity"],
}  # fmt: skip
#: mutants that are right still, with the reason: by what changes, without the number of equal ones
SHAPES = {
    "nn.Tanh(), nn.Unflatten(1, (1, 28, 28))) → nn.Unflatten(1, (1, 28, 28)), nn.Tanh())": "Tanh acts on each pixel",
    "nn.Linear( → nn.Flatten(), nn.Linear(": "what is flat stays flat",
}
FREE = "the task leaves it free"
EQUIVALENT: dict[str, dict[str, str]] = {
    "01.draw": dict.fromkeys((
        "y] + ( → y] - (", "+ (L[ → + (-L[", "+ (L[y] @ z[:, :, None])[ → + (-(L[y] @ z[:, :, None]))[",
    ), "the noise is symmetric"),
    "02.js_divergence": {
        "= (p + q) / 2 kl_p = torch.x ... ) - torch.xlogy(q, m) return → "
        "= (q + p) / 2 kl_p = torch.x ... ) - torch.xlogy(p, m) return": "it is symmetric",
    },
    "03.gan_step": {"G(z_D).detach()) → G(z_D))": "opt_G.zero_grad() comes later"},
    "03.wasserstein": {
        "return (samples.sort().values - quantiles).abs → return (-(samples.sort().values - quantiles)).abs":
        "abs() has no sign",
    },
    "04.deeper_pair": SHAPES | dict.fromkeys((
        ", 256), → , 256), nn.ReLU(),", ", 512), → , 512), nn.ReLU(),", "nn.ReLU() → nn.Sigmoid()",
        "nn.Dropout( → nn.ReLU(), nn.Dropout(", "nn.ReLU(), nn.Dropout(0.3), → nn.Dropout(0.3), nn.ReLU(),",
        "nn.Dropout(0.3), nn.Linear( → nn.Linear(", "nn.Linear( → nn.Dropout(0.3), nn.Linear(",
        "nn.Dropout(0.3), nn.Linear(256, 256), → nn.Linear(256, 256), nn.Dropout(0.3),",
        ".Dropout(0.3), → .Dropout(),", "(0.3), → (0.015),", "(0.3), → (0.6),", "nn.Dropout(0 → nn.Identity(0",
    ), FREE),
    "04.upgraded_pair": SHAPES | {
        "nn.LeakyReLU(0.2), nn.Dropout(0.3), → nn.Dropout(0.3), nn.LeakyReLU(0.2),": "the two commute",
    },
    "04.noise_size": dict.fromkeys((
        "), r1=0.1, r1_every= → ), r1_every=", "1, r1_every=4, average= → 1, average=",
        "r1_every=4, average=0.998) → r1_every=4)", "parameters(), lr=0.001, → parameters(),",
        "0.001, betas=(0.0, 0.99)) → 0.001)", "=0.1, → =0.005,", "=0.1, → =0.2,", "r1_every=4, → r1_every=5,",
        "=0.998) → =0.0499)", "lr=0.001, → lr=5e-05,", "=0.001, → =0.002,", "(0.0, 0.99)) → (0.99, 0.0))",
        "0.99)) → 0.0495))", "models.NormalLatent(latent_dim → models.UniformLatent(latent_dim",
    ), FREE),
    "06.conditional_step": {", labels).detach() → , labels)": "opt_G.zero_grad() comes later"},
}  # fmt: skip
HEAD = """\
# What the checks say

Made by `python tools/confusion.py`. Exercises that train are left out.

- **Right**: answers in unusual styles, and how many of them are refused.
- **Twins**: wrong answers, one for each listed mistake and written in another way, and how many get its sentence.
- **Mutants**: the solution after one mechanical change, such as another sign or a line less. Stubs are not counted.
- **Right still**: mutants that the tool lists with a reason, or that pass as a check that a learner wrote.
- **Refused**: a share of all other mutants.
- **Stopped**: refused mutants that raised an error which no listed mistake raises. They get its text and its line.
- **Named**: refused mutants with the sentence of a listed mistake, or of the fact that differs.
  The sentence that only calls a result another one does not count. Shares of those not stopped, and of all refused.
- **Listed**: of these, mutants with the sentence of a listed mistake.

| exercise | right | refused | twins | hit | mutants | right still | refused | stopped | named | of all | listed |
|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""


def negative(node: Any) -> ast.UnaryOp:
    return ast.UnaryOp(ast.USub(), node)


def changes(node: Any) -> Iterator[Callable[[Any], Any]]:
    """Functions that return what replaces a node of the solution, or None to drop it."""
    if type(getattr(node, "op", None)) in OTHERS:
        yield lambda n: setattr(n, "op", OTHERS[type(n.op)]()) or n
    if isinstance(node, ast.UnaryOp):
        yield lambda n: n.operand
    elif isinstance(node, ast.BinOp):
        yield from (lambda n: n.left, lambda n: n.right, negative)
        yield lambda n: setattr(n, "left", negative(n.left)) or n
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) not in ("nn", "torch", "models"):
            yield lambda n: n.func.value
        for k in range(len(node.args)):
            yield lambda n, k=k: n.args.pop(k) and n
            if len(node.args) > 2:  # layers
                yield lambda n, k=k: n.args.insert(k, n.args[k]) or n
            if k:
                yield lambda n, k=k: n.args.insert(k - 1, n.args.pop(k)) or n
        yield from (lambda n, k=k: n.keywords.pop(k) and n for k in range(len(node.keywords)))
    elif isinstance(node, ast.Attribute):
        yield from (lambda n, name=name: setattr(n, "attr", name) or n for name in NAMES.get(node.attr, []))
    elif isinstance(node, ast.Name):
        yield from (lambda n, name=name: ast.Name(name, n.ctx) for name in NAMES.get(node.id, []))
    elif isinstance(node, ast.Constant) and isinstance(v := node.value, bool | int | float):
        others = [not v] if isinstance(v, bool) else [v + 1] if isinstance(v, int) else [v / 20, 2 * v]
        yield from (lambda n, other=other: ast.Constant(other) for other in others)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHERS:
        yield lambda n: setattr(n, "ops", [OTHERS[type(n.ops[0])]()]) or n
    elif isinstance(node, ast.BoolOp):
        yield from (lambda n, k=k: n.values.pop(k) and n for k in range(len(node.values)))
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        yield lambda n: ast.Tuple(n.elts[::-1], n.ctx)
    elif isinstance(node, ast.Dict):
        for k in range(len(node.keys)):
            yield lambda n, k=k: n.keys.pop(k) and n.values.pop(k) and n
            if k:
                yield lambda n, k=k: n.values.insert(k - 1, n.values.pop(k)) or n
    elif isinstance(node, ast.FunctionDef):
        for a, b in combinations([argument.arg for argument in node.args.args], 2):
            names = {a: b, b: a}
            yield (
                lambda n, names=names: (
                    [setattr(m, "id", names.get(m.id, m.id)) for m in ast.walk(n) if isinstance(m, ast.Name)] and n
                )
            )
    elif isinstance(node, ast.stmt):
        yield lambda n: ast.Pass()
        if isinstance(node, ast.With):
            yield lambda n: n.body
        if isinstance(node, ast.Return) and not isinstance(node.value, ast.Tuple):
            yield lambda n: ast.Return(negative(n.value))


def mutants(exercise: Exercise) -> dict[str, Any]:
    """The mutants of the solution by what changes, such as "softplus(-fake → softplus(fake"."""
    tree: Any = ast.parse(inspect.getsource(exercise.solution))
    tree.body[0].body.pop(0)  # the docstring
    seen = {whole := ast.unparse(tree)}
    made: dict[str, Any] = {}
    for k, node in enumerate(ast.walk(tree)):
        for change in changes(node):
            changed = copy.deepcopy(tree)
            target, replacer = list(ast.walk(changed))[k], ast.NodeTransformer()
            replacer.visit = lambda n: change(n) if n is target else replacer.generic_visit(n)  # noqa: B023
            source = ast.unparse(ast.fix_missing_locations(replacer.visit(changed)))
            if source not in seen:
                seen.add(source)
                namespace = exercise.solution.__globals__ | {"__name__": "learner"}
                exec(compile(source, "mutant", "exec"), namespace)
                label = difference(whole, source)
                number = sum(known.partition(" #")[0] == label for known in made) + 1
                made[f"{label} #{number}"] = namespace[exercise.solution.__name__]
    return made


def difference(old: str, new: str) -> str:
    """What differs between two programs, in a few words."""
    a, b = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (old, new))
    parts = [op for op in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes() if op[0] != "equal"]
    ends = (a, parts[0][1], parts[-1][2]), (b, parts[0][3], parts[-1][4])
    texts = (" ".join("".join(tokens[max(0, begin - 3) : end + 2]).split()) for tokens, begin, end in ends)
    return " → ".join(text if len(text) < 60 else f"{text[:28]} ... {text[-28:]}" for text in texts)


def told(exercise: Exercise, answer: Any) -> tuple[str, str]:
    """What an answer is told: right, stub, listed, stopped, fact or another result; and the sentence."""

    def stop(*_: Any) -> None:
        raise TimeoutError("it does not end")

    def fits(*sentences: str) -> bool:
        return any(re.fullmatch(re.sub(r"\\{\w+\\}", ".*", re.escape(s)), outcome.message) for s in sentences)

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        outcome = run(exercise, answer, SEED)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    vague = UNREADABLE, exercise.otherwise.get(CATCH_ALL.get(exercise.name, "value"), UNREADABLE)
    kinds = {
        "right": outcome.ok,
        "stub": isinstance(outcome, NotAttempted),
        "listed": fits(*(sentence for _, sentence in exercise.mistakes)),
        "stopped": outcome.message.startswith("Your code raised"),
        "another result": fits(*vague),
    }
    return next((kind for kind, yes in kinds.items() if yes), "fact"), outcome.message


def confusion(name: str, lists: Any) -> dict[str, Any]:
    """The counts of one exercise, and its mutants that are accepted or get no name."""
    exercise, labels = find(name), set(EQUIVALENT.get(name, {}))
    found = {label: told(exercise, mutant) for label, mutant in mutants(exercise).items()}
    kinds = {label: kind for label, (kind, _) in found.items() if kind != "stub"}
    passed = [label for label, kind in kinds.items() if kind == "right"]
    still = [label for label in passed if "said" in exercise.free or label.partition(" #")[0] in labels]
    counts = Counter(kind for label, kind in kinds.items() if label not in still)
    return {
        "right": len(lists.RIGHT[name]),
        "right refused": sum(told(exercise, answer)[0] != "right" for answer in lists.RIGHT[name].values()),
        "twins": len(lists.TWINS[name]),
        "hit": sum(told(exercise, twin)[1].startswith(start) for start, twin in lists.TWINS[name].items()),
        "mutants": len(kinds),
        "still": len(still),
        "refused": counts.total() - counts["right"],
        "stopped": counts["stopped"],
        "named": counts["listed"] + counts["fact"],
        "listed": counts["listed"],
        "accepted": [label for label in passed if label not in still],
        "no name": [label for label, kind in kinds.items() if kind == "another result"],
        "not seen": sorted(labels - {label.partition(" #")[0] for label in still}),
    }


def all_counts() -> dict[str, dict[str, Any]]:
    """The counts of all exercises that have lists of answers and do not train."""
    sys.path[:0] = [str(folder) for folder in (TABLE.parent, TABLE.parent.parent / "helpers")]
    modules = [import_module(path.stem) for path in sorted(TABLE.parent.glob("test_exercises_[0-9]*.py"))]
    return {name: confusion(name, lists) for lists in modules for name in lists.RIGHT if name not in TRAINS}


def table(found: dict[str, dict[str, Any]]) -> str:
    """The table in Markdown, and the mutants that get no name."""
    text = HEAD
    for name, c in found.items():
        refused, named = c["refused"] / (c["mutants"] - c["still"]), c["named"] / (c["refused"] - c["stopped"])
        cells = [name, *(c[k] for k in ("right", "right refused", "twins", "hit", "mutants", "still"))]
        cells += [f"{c['refused']} ({refused:.0%})", c["stopped"], f"{c['named']} ({named:.0%})"]
        cells += [f"{c['named'] / c['refused']:.0%}", c["listed"]]
        text += f"| {' | '.join(map(str, cells))} |\n"
    for title, key in (
        ("Accepted, but not right", "accepted"),
        ("Told only that the result is another one", "no name"),
    ):
        lines = [f"- {name}: `{label.removesuffix(' #1')}`\n" for name, c in found.items() for label in c[key]]
        text += f"\n## {title}\n\n{''.join(lines) or 'None.' + chr(10)}"
    return text


if __name__ == "__main__":
    TABLE.write_text(table(all_counts()), encoding="utf-8")
