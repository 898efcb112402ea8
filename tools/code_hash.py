"""A hash of the code that a run uses, however it is imported.

It covers each definition that is reached, with the full names of what it uses: what is added elsewhere changes nothing.
Comments, layout, docstrings and the words of errors do not count. What is found by a name that is computed while
running, or registered by a decorator, is missed.
"""

import ast
import functools
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPT = "__main__"


def code_hash(script: str, *places: Path) -> str:
    """Return a hash of ``script`` and of what it reaches in ``places``: folders of packages, or single files."""
    return code_hashes(script, *places)[0]


def code_hashes(script: str, *places: Path) -> tuple[str, dict[str, str]]:
    """The same, and beside it a hash of what is reached in each module by itself: it tells where a change was made."""
    program = Program(script, *places)
    strings: set[str] = set()
    # Strings say which entries of a registry are used, and these entries bring strings of their own.
    while new := set().union(*(code.strings for code in program.reached(strings).values())) - strings:
        strings |= new
    reached = program.reached(strings)
    modules: dict[str, list[str]] = defaultdict(list)
    for key in sorted(reached):
        modules[key.partition(":")[0]] += [key, reached[key].text]
    hashes = {module: _hash(*texts)[:8] for module, texts in modules.items()}
    return _hash(repr(hashes)), {module: one for module, one in hashes.items() if module != SCRIPT}


def _hash(*texts: str) -> str:
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


@dataclass
class Code:
    """Code as text, the keys of the definitions that it names, and the strings in it."""

    text: str = ""
    names: list[str] = field(default_factory=list)
    strings: set[str] = field(default_factory=set)


class Module:
    """The top-level statements of one file, and what its names mean."""

    def __init__(self, name: str, source: str) -> None:
        tree = ast.parse(source)
        self.name = name.removesuffix(".__init__")
        self.origins: dict[str, set[str]] = defaultdict(set)  # of imported names, as full dotted names
        self.definitions: dict[str, list[Any]] = defaultdict(list)
        self.effects: list[ast.stmt] = []  # what an import runs beside definitions; of the script everything
        self.looked_up: set[ast.AST] = set()  # x of x[key] and of `key in x`
        runs = {self.name}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                base = [*name.split(".")[: -node.level], node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for alias in node.names:
                    first, origin = alias.name.partition(".")[0], ".".join(filter(None, [*base, alias.name]))
                    self.origins[alias.asname or first].add(origin if base or alias.asname else first)
                    runs.add(origin)
            elif isinstance(node, ast.Subscript):
                self.looked_up.add(node.value)
            elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
                self.looked_up.add(node.comparators[0])
        self.runs = {start for dotted in runs for start in _starts(dotted)}  # an import runs the packages around it too
        for statement in tree.body:
            names = _defined(statement) if name != SCRIPT else []
            if not names:
                self.effects.append(statement)
            for place, one in enumerate(names):
                self.definitions[one] += [place, statement]  # the place tells the names in a, b = 1, 2 apart


_module = functools.cache(Module)  # several programs look at the same files


class Program:
    """A script, and the modules from which it may import."""

    def __init__(self, script: str, *places: Path) -> None:
        self.modules = {SCRIPT: Module(SCRIPT, script)}
        self.written: dict[str, Code] = {}  # what no string changes
        for place in places:
            for path in place.rglob("*.py") if place.is_dir() else [place]:
                dotted = ".".join(path.relative_to(place.parent).with_suffix("").parts)
                module = _module(dotted, path.read_text(encoding="utf-8"))
                self.modules[module.name] = module

    def reached(self, strings: set[str]) -> dict[str, Code]:
        """Return the code that the script reaches, when ``strings`` are the keys of registries that it may use.

        A key here is "module:name", or "module:name[]" for a look-up, "module:*" for all names, "module:" for effects.
        """
        reached: dict[str, Code] = {}
        todo = [f"{SCRIPT}:"]
        while todo:
            key = todo.pop()
            if key not in reached:
                module = self.modules[key.partition(":")[0]]
                code = self.written.get(key) or self._code(module, key.partition(":")[2], strings)
                reached[key] = code
                if not key.endswith("[]"):
                    self.written[key] = code
                todo += reached[key].names + [f"{name}:" for name in module.runs & self.modules.keys()]
        return {key: code for key, code in reached.items() if code.text != "[]"}  # most modules have no effects

    def _code(self, module: Module, name: str, strings: set[str]) -> Code:
        if name == "*":
            names = sorted(module.definitions)
            return Code(repr(names), [f"{module.name}:{one}" for one in names])
        body = module.definitions[name.removesuffix("[]")] if name else module.effects
        table = getattr(body[-1], "value", None) if name.endswith("[]") else None
        if isinstance(table, ast.Dict) and self._written(table.values, module).names:  # a registry
            keys = [getattr(key, "value", None) for key in table.keys]
            if all(isinstance(key, str) for key in keys):
                body = [part for entry in zip(keys, table.values) if entry[0] in strings for part in entry]
        return self._written(body, module)

    def _written(self, body: list[Any], module: Module) -> Code:
        code = Code()
        code.text = self._text(body, module, code)
        return code

    def _text(self, node: Any, module: Module, code: Code) -> str:
        if isinstance(node, list):
            return f"[{', '.join(self._text(one, module, code) for one in node if not _idle(one))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        dotted = _dotted(node)
        if {dotted.partition(".")[0]} & (module.definitions.keys() | module.origins.keys()):
            return self._reference(f"{module.name}.{dotted}", node in module.looked_up, code)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            code.strings.add(node.value)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node = ast.Raise(exc=node.exc.func, cause=node.cause)
        # Empty fields are left out, since Python releases differ in which there are.
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return f"{type(node).__name__}({', '.join(f'{n}={self._text(value, module, code)}' for n, value in fields)})"

    def _reference(self, dotted: str, looked_up: bool, code: Code) -> str:
        """Text for a dotted name: the full name of what it means."""
        name = next((start for start in _starts(dotted) if start in self.modules), "")
        if not name:
            return dotted
        what, _, rest = dotted[len(name) + 1 :].partition(".")
        module = self.modules[name]
        # A name may have several origins, such as one for each branch of a `try`.
        origins = [f"{origin}.{rest}".rstrip(".") for origin in sorted(module.origins.get(what, ()))]
        texts = [self._reference(origin, looked_up, code) for origin in origins]
        if what in module.definitions or not origins:
            entry = "[]" if rest == "get" or (looked_up and not rest) else ""
            code.names.append(f"{name}:{what}{entry}" if what in module.definitions else f"{name}:*")
            texts.append(f"{name}:{what}.{rest}")
        return " or ".join(texts)


def _defined(statement: Any) -> list[str]:
    """The names to which a top-level statement gives a meaning; a single one is no part of what it means."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        name, statement.name = statement.name, ""
        return [name]
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return []
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    return [node.id for node in names if isinstance(node.ctx, ast.Store)]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return base and f"{base}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _starts(dotted: str) -> list[str]:
    """A dotted name and the packages around it, the longest first."""
    parts = dotted.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]


def _idle(node: Any) -> bool:
    """Whether a statement does nothing by itself: imports count where they are used."""
    lone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return lone or isinstance(node, ast.Import | ast.ImportFrom)
