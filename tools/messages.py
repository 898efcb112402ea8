"""All that the exercises say, in one file to read: tasks, hints, praise, and each wrong answer with its sentence.

`python tools/messages.py` writes tests/exercises/messages.md.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
from confusion import SEED, TABLE, TRAINS
from run_notebooks import NOTEBOOKS

from ganlib.exercises import engine

MESSAGES = TABLE.with_name("messages.md")
HEADING = "## Try it yourself"
HEAD = """\
# What the exercises say

Made by `python tools/messages.py`. A line that differs is read by a learner: is it true, and beside the right program?
"""


def lessons() -> dict[str, ModuleType]:
    """The modules of exercises by the number of their lesson."""
    paths = sorted(Path(engine.__file__).parent.glob("lesson_*.py"))
    return {path.stem[-2:]: import_module(f"ganlib.exercises.{path.stem}") for path in paths}


class Source:
    """A module as code: what is assigned to its names, and the text of each node in one line."""

    def __init__(self, module: ModuleType) -> None:
        self.names, source = vars(module), inspect.getsource(module)
        self.lines, self.body = source.encode().splitlines(keepends=True), ast.parse(source).body
        self.assigned: dict[str, Any] = {}
        for node in self.body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                self.assigned[ast.unparse(target)] = node.value

    def text(self, node: Any) -> str:
        """The code of a node in one line; as it is written, since ast.unparse depends on the Python."""
        *lines, last = self.lines[node.lineno - 1 : node.end_lineno]
        code = b"".join([*lines, last[: node.end_col_offset]])[node.col_offset :]
        return " ".join(code.decode().split())

    def sentences(self, tree: ast.AST) -> Iterator[str]:
        """The strings of several words in a piece of code, as they are written; no docstrings."""
        nodes = list(ast.walk(tree))
        inside = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in list(ast.walk(node))[1:]}
        inside |= {node.value for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            is_text = isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)
            if is_text and node not in inside and self.text(node).count(" ") > 2:
                yield self.text(node)

    def programs(self, block: Any) -> Iterator[tuple[str, str]]:
        """The code of each program that a block lists, as a mistake or as a candidate, and what is said of it."""
        listed = [self.assigned[argument.id] for argument in block.args]
        listed += [keyword.value for keyword in block.keywords if keyword.arg == "mistakes"]
        for item in (item for found in listed for item in found.elts):
            code = self.text(item.elts[0] if isinstance(item, ast.Tuple) else item)
            for sentence in self.sentences(item):
                code = code.replace(sentence, "...")
            said = dict.fromkeys(sentence for _, sentence in eval(f"[{ast.unparse(item)}]", self.names))
            yield code, " / ".join(said)


def in_the_lesson(number: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each cell under the heading of the exercises."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    here = False
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            here = HEADING in cell.source or (here and not cell.source.startswith("## "))
            if here:
                yield cell.id, cell.source


def page(modules: dict[str, ModuleType]) -> str:
    """The text of the file: what these modules say, the text of their lessons, and what the engine says."""
    text, functions = HEAD, "\n## In functions\n\n"
    for number, module in modules.items():
        source, names = Source(module), {id(value): name for name, value in vars(module).items()}
        for exercise in module.EXERCISES:
            block = source.assigned[names[id(exercise)]]
            if exercise.name in TRAINS:
                praise = next(source.text(keyword.value) for keyword in block.keywords if keyword.arg == "praise")
            else:
                praise = engine.decide(exercise, SEED, engine.facts(exercise, exercise.solution, SEED)).message
            text += f"\n## {exercise.name}\n\n- task: `{exercise.call}`: {exercise.task}\n- right: {praise}\n"
            text += "".join(f"- hint {k}: {hint}\n" for k, hint in enumerate(exercise.hints, 1))
            text += "".join(f"- `{code}`\n  {said}\n" for code, said in source.programs(block))
            text += "".join(f"- {fact}: {sentence}\n" for fact, sentence in exercise.otherwise.items())
        text += f"\n## The text of lesson {number}\n"
        for name, cell in in_the_lesson(number):
            for exercise in module.EXERCISES:
                cell = cell.replace(f"`{exercise.call}`: {exercise.task}", f"[{exercise.name}: call and task]")
            text += f"\n### {name}\n\n{cell}\n"
    for module in (*modules.values(), engine):
        source = Source(module)
        for function in (node for node in source.body if isinstance(node, ast.FunctionDef)):
            where = f"{module.__name__.rpartition('.')[2]}.{function.name}"
            functions += "".join(f"- {where}: `{said}`\n" for said in source.sentences(function))
    return text + functions


if __name__ == "__main__":
    MESSAGES.write_text(page(lessons()), encoding="utf-8")
