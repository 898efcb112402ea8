"""The conditions of the claims of a cell, as they are written, and the two sides of each comparison when it runs.

Only order counts: == and bools have nothing to measure. A comparison that runs several times, as in `all(...)`, keeps
the time at which it was nearest to being false.
"""

import ast
import math
import operator
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MIME = "application/x-conditions+json"
ORDER = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
SEEN = re.compile(r"(\S+) ([<>]=?) ([^\s;]+)")


def conditions(source: str) -> dict[str, dict[str, ast.expr]]:
    """The named parts of each claim in the code of a cell, by its sentence; a lone condition has no name."""
    tree = ast.parse(source)
    named = {n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign) and hasattr(n.targets[0], "id")}
    found = {}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "claim":
            sentence, ok = call.args[:2]
            ok = named.get(getattr(ok, "id", None), ok)
            parts = zip(map(_text, ok.keys), ok.values) if isinstance(ok, ast.Dict) else [("", ok)]
            found[_text(sentence)] = dict(parts)
    return found


def written(source: str) -> dict[str, dict[str, str]]:
    """The same as text, in one form whatever the layout."""
    return {s: {name: ast.unparse(one) for name, one in parts.items()} for s, parts in conditions(source).items()}


def measured(source: str, namespace: dict[str, Any]) -> dict[str, dict[str, str]]:
    """What each comparison of each part compares in ``namespace``, after the cell has run: "36.9 < 55; 0.4 < 1.6"."""
    return {s: {name: _sides(one, namespace) for name, one in parts.items()} for s, parts in conditions(source).items()}


def watched(source: str) -> str:
    """The code of a cell that also shows, as an output of the type MIME, what its conditions compare."""
    here = f"__import__('sys').path.append({str(Path(__file__).parent)!r})"
    show = (
        f"__import__('IPython').display.display({{{MIME!r}: __import__('conditions').measured({source!r}, globals())}}"
    )
    return f"{source}\n{here}\n{show}, raw=True)" if conditions(source) else source


def comparisons(seen: str) -> list[tuple[float, str, float]]:
    """The comparisons in a text that `measured` made."""
    return [(float(left), sign, float(right)) for left, sign, right in SEEN.findall(seen)]


def holds(left: Any, sign: str, right: Any) -> Any:
    """Whether a comparison is true."""
    return HOLDS[sign](left, right)


def margin(left: float, sign: str, right: float) -> float:
    """How far the sides of a comparison lie apart, as a share of the larger one; negative where it is false."""
    apart = abs(left - right) / (max(abs(left), abs(right)) or 1)
    return apart if holds(left, sign, right) else -apart


def exact(left: float, sign: str, right: float) -> bool:
    """Whether a comparison has no threshold that someone chose: a bound, with <= or >=, or equality up to rounding."""
    return "=" in sign or abs(right) <= 1e-6


def misplaced(recorded: list[str], broken: str) -> list[str]:
    """The thresholds that ``broken`` passes but that hug it, or the worst of the ``recorded`` runs.

    A threshold hugs one of them when it lies within a tenth of the way between both, whether the way is measured in
    differences or in ratios.
    """
    found = []
    for number, bad in enumerate(comparisons(broken)):
        good = min((comparisons(text)[number] for text in recorded), key=lambda one: abs(margin(*one)))
        if exact(*good) or holds(*good) == holds(*bad):
            continue
        ways = [(abs(good[0] - good[2]), abs(bad[0] - bad[2]))]
        if good[0] * good[2] > 0 and bad[0] * bad[2] > 0:
            ways.append((abs(math.log(good[0] / good[2])), abs(math.log(bad[0] / bad[2]))))
        shares = [to_good / (to_good + to_bad) for to_good, to_bad in ways]
        if max(shares) < 0.1 or min(shares) > 0.9:
            (run, much), sides = [("good", "less"), ("broken", "more")][min(shares) > 0.9], (*good, *bad)
            found.append(
                "worst good run {:g} {} {:g}, broken {:g} {} {:g}: ".format(*sides)
                + f"the threshold hugs the {run} run, so move it, or break the lesson {much}"
            )
    return found


def _sides(condition: ast.expr, namespace: Mapping[str, Any]) -> str:
    watch = _Watch()
    tree = ast.fix_missing_locations(ast.Expression(watch.visit(condition)))
    eval(compile(tree, "condition", "eval"), {**namespace, "_saw": watch.saw})
    return "; ".join(f"{left:.6g} {sign} {right:.6g}" for _, (left, sign, right) in sorted(watch.seen.items()))


class _Watch(ast.NodeTransformer):
    """Puts a call of `_saw` in the place of each comparison, so that its sides are known."""

    def __init__(self) -> None:
        self.count = 0
        self.seen: dict[int, tuple[float, str, float]] = {}

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        pairs: list[ast.expr] = []
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators):
            if sign := ORDER.get(type(op)):
                self.count += 1
                arguments = [ast.Constant(self.count), left, ast.Constant(sign), right]
                pairs.append(ast.Call(ast.Name("_saw", ast.Load()), arguments, []))
            else:
                pairs.append(ast.Compare(left, [op], [right]))
        return pairs[0] if len(pairs) == 1 else ast.BoolOp(ast.And(), pairs)

    def saw(self, number: int, left: Any, sign: str, right: Any) -> bool:
        try:
            sides = _number(left), sign, _number(right)
        except (TypeError, ValueError, RuntimeError):  # arrays, or no numbers at all
            return holds(left, sign, right)
        self.seen[number] = min(self.seen.get(number, sides), sides, key=lambda one: margin(*one))
        return holds(*sides)


def _number(value: Any) -> float:
    return float(value.detach() if hasattr(value, "detach") else value)


def _text(node: ast.expr | None) -> str:
    return str(ast.literal_eval(node)) if node else ""
