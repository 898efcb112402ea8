"""What the text of a lesson names is there: code, files, exercises, sliders, columns. Its blocks of code run."""

import ast
import builtins
import contextlib
import inspect
import keyword
import re
from pathlib import Path

import anatomy
import messages
import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_anatomy import plain
from test_formulas import TEX, Code

from ganlib import playgrounds
from ganlib.gan import GAN

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.stem[:2]: path for path in anatomy.lessons()}
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
ITALICS = re.compile(r"(?<![\w*\\])\*([^*\n→]+)\*(?![\w*])")
SHOWN = re.compile(r"\b(?:columns?|rows?) \*([^*\n]+)\*")  # a cell prints or draws it under this name
FILE = re.compile(r"[\w./-]+\.(?:py|md|ipynb|json|toml)|[\w-]+/[\w./-]*")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Names of other programs, which the text quotes; and of the data sets.
FOREIGN = {"Discriminator", "initVariable", "inputX", "buildModel", "lossFunction", "Loss", "trainModel", "trainable"}
STANDARD = {*dir(builtins), *keyword.kwlist, *dir(torch.Tensor), *dir(GAN), "_", "self", "fashion-mnist"}
STANDARD |= {"P_data", "P_z"}
VERBS = {f"make {verb}" for verb in re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)}
STRESSED = {"Model"}  # a word in italics that is no name


def exercises_of(lesson):
    return getattr(messages.lessons().get(lesson), "EXERCISES", [])


def texts_in(tree):
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


class Names:
    """What lessons name: identifiers, texts that the code holds or prints, exercises, the labels of sliders."""

    def __init__(self, lessons):
        self.known, self.texts, self.printed, self.labels, self.functions = set(STANDARD), set(), "", set(), {}
        self.headings = {plain(section.heading) for nb in lessons.values() for section in anatomy.sections(nb)}
        self.codes, self.exercises = [], [one for lesson in lessons for one in exercises_of(lesson)]
        for one in self.exercises:
            self.functions[one.solution.__name__] = one.solution
            self.known |= {one.name, one.solution.__name__, *inspect.signature(one.solution).parameters}
        for lesson, nb in lessons.items():
            code = Code(nb)
            self.codes.append(code)
            for node in (node for tree in code.trees.values() for node in ast.walk(tree)):
                self.known |= {getattr(node, of, None) for of in ("id", "arg", "attr", "name", "asname")}
            self.texts |= {*getattr(messages.lessons().get(lesson), "CAUSES", ())}  # what an answer may say
            self.texts |= {text for tree in code.trees.values() for text in texts_in(tree)}
            outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
            self.printed += "\n".join(map(anatomy.said, outputs))
            module = Path(playgrounds.__file__).parent / f"lesson_{lesson}.py"
            if module.exists():
                self.labels |= texts_in(ast.parse(module.read_text(encoding="utf-8")))

    def value(self, node):
        """The module, class or function that an expression names, or None where it is computed."""
        if isinstance(node, ast.Attribute):
            return getattr(self.value(node.value), node.attr, None)
        if not isinstance(node, ast.Name) or node.id in self.functions:
            return self.functions.get(getattr(node, "id", None))
        for code in self.codes:
            if isinstance(code.statements.get(node.id), ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
                with contextlib.suppress(NameError):
                    return code[node.id]
        return None

    def faults_of_span(self, span, beside=""):
        """What is wrong with a span of code; `beside`: the text of its cell."""
        if FILE.fullmatch(span):
            if not (ROOT / span).exists():
                yield "the repository has no such file"
            return
        if span.startswith("make "):
            if span not in VERBS:
                yield "the Makefile has no such verb"
            return
        try:
            tree = ast.parse(f"_{span}" if span[0] == "." != span[1] else span)
        except SyntaxError:
            if not keyword.iskeyword(span):
                yield "this is neither Python nor a file"
            return
        made = {name for name in re.findall(r"`(\w+) = ", beside) if len(re.findall(rf"\b{name}\b", beside)) > 1}
        if "\n" in span:  # a block
            made |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(tree):
            name = getattr(node, "id", getattr(node, "attr", None))
            owner = self.value(node.value) if isinstance(node, ast.Attribute) else None
            if inspect.ismodule(owner) or inspect.isclass(owner):
                if not hasattr(owner, name):
                    yield f"{ast.unparse(node.value)} has no {name}"
            elif name and name not in self.known | FOREIGN | self.texts | made:
                yield f"no cell and no exercise knows {name}"
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node.value not in self.texts | self.known:
                    yield f"no cell holds the text {node.value!r}, and no exercise has this name"
            elif isinstance(node, ast.Call):
                yield from self.faults_of_call(node)

    def faults_of_call(self, call):
        function = self.value(call.func)
        if function is None or any(getattr(one, "value", None) is ... for one in call.args):
            return
        with contextlib.suppress(ValueError):  # some functions of torch do not say what they take
            signature = inspect.signature(function)
            takes = list(signature.parameters)
            try:
                signature.bind(*call.args, **{one.arg: one for one in call.keywords})
            except TypeError as error:
                yield f"{ast.unparse(call.func)}{signature} says: {error}"
            for i, one in enumerate(call.args):
                if getattr(one, "id", None) in takes and takes.index(one.id) != i:
                    yield f"{one.id} is not argument {i + 1} of {ast.unparse(call.func)}{signature}"

    def faults(self, nb):
        """Each name of the text that is not there, in words that say where it stands and what to do."""
        tasks = set(re.findall(r"\*\*Exercise (\w+)\*\*", "\n".join(cell.source for cell in nb.cells)))
        for section in anatomy.sections(nb):
            for raw, cell in section.pieces:
                text = re.sub(r"(?<=\])\([^)\n]*\)", "", anatomy.without_fences(raw))
                spans = SPAN.findall(text) + BLOCK.findall(raw)
                found = [(f"`{one}`", why) for one in spans for why in self.faults_of_span(one, text)]
                prose = TEX.sub("", SPAN.sub("", text))
                for word in re.findall(r"\b[A-Za-z]\w*_[A-Za-z]\w*", prose):
                    if word not in self.known and not re.search(rf"\b{word}\b", "\n".join(self.texts)):
                        found.append((word, "no cell and no exercise knows it"))
                for name in ITALICS.findall(prose) if self.labels else ():
                    is_name = re.fullmatch(r"[A-Z]\w+|.* = .*", name)
                    if is_name and not {name, name.lower()} & (self.headings | self.labels | STRESSED):
                        found.append((f"*{name}*", "no heading and no slider has this name"))
                for name in SHOWN.findall(prose):
                    if name not in self.printed and name not in self.texts:
                        found.append((f"*{name}*", "no cell prints it"))
                for number in re.findall(r"(?<!\*\*)\b[Ee]xercise (\d\w?)\b", prose):
                    if number not in tasks:
                        found.append((f"exercise {number}", "the lesson has no such exercise"))
                for name, why in found:
                    yield f"cell {cell.id} of {section.heading!r}: {name}: {why}. Name what is there, or restore it"


def names_of(*lessons):
    return Names({lesson: nbformat.read(PAGES[lesson], 4) for lesson in lessons})


@pytest.mark.parametrize("lesson", PAGES)
def test_what_the_text_of_a_lesson_names_is_there(lesson):
    found = list(names_of(lesson).faults(nbformat.read(PAGES[lesson], 4)))
    assert not found, "\n".join(found)


def test_what_the_corrections_name_is_there():
    found = list(names_of(*PAGES).faults(nbformat.read(anatomy.NOTEBOOKS / "corrections.ipynb", 4)))
    assert not found, "\n".join(found)


class Four(ast.NodeTransformer):
    """The same code with each whole number from 100 on as 4: a few steps, a few images."""

    def visit_Constant(self, node):
        is_large = isinstance(node.value, int) and node.value >= 100
        return ast.copy_location(ast.Constant(4), node) if is_large else node


GIVEN = {  # what a block needs and what takes long to compute
    "images": lambda: torch.rand(16, 1, 28, 28) * 2 - 1,
    "numbers": lambda: lambda images: {"Fréchet distance": images.mean().item()},
}


def run_blocks(nb, solutions):
    """Run the blocks of code of the text, with the names of the lesson and the answers to its exercises."""
    for cell in nb.cells:
        for block in BLOCK.findall(cell.source if cell.cell_type == "markdown" else ""):
            code = Code(nb, **{name: given() for name, given in GIVEN.items()}, **solutions)
            try:
                exec(compile(Four().visit(ast.parse(block)), cell.id, "exec"), code)
            except Exception as error:
                yield f"cell {cell.id}: its block of code fails: {type(error).__name__}: {error}. Correct the block"


@pytest.mark.parametrize("lesson", PAGES)
def test_the_blocks_of_code_in_the_text_run(lesson):
    solutions = {one.solution.__name__: one.solution for one in exercises_of(lesson)}
    assert list(run_blocks(nbformat.read(PAGES[lesson], 4), solutions)) == []


TEXT = """## Part
`update(x, rate)` and `torch.trapezoid(y, x)` use `rate=0.1`, `losses.minimax_D`, `optimizer.step()`, `"lower"`, `...`.
Write `both = update(1, 2)`, then `return both`; `hint("04.generator_loss")`, `CHANGELOG.md`, `trainable = False`.
*Split* and *D = ½ at* are sliders, *Part* is a heading, *so* is none, the column *on fakes* is printed, p_g is a name.

**Exercise 1** *(easy, 5 minutes)*. As in exercise 1.

```python
twice = update(update(1, rate=2), rate=500)
assert twice == 7
```
"""
CODE = """import torch
from ganlib import losses
from ganlib.exercises import hint
y, p_g, optimizer, answer = 1, 2, None, "lower"


def update(x, rate=0.1):
    return x + rate
"""


def planted(old="", new=""):
    """The faults of a small lesson in which one name of the text is changed; a lesson of the course lends sliders."""
    assert old in TEXT
    cells = [new_markdown_cell(TEXT.replace(old, new, 1), id="text"), new_code_cell(CODE)]
    cells[1].outputs = [new_output("stream", text="epoch  on fakes")]
    nb, names = new_notebook(cells=cells), Names({"04": new_notebook(cells=cells)})
    names.labels = {"split", "D = ½ at"}
    return [*names.faults(nb), *run_blocks(nb, {})]


def test_a_text_that_names_what_is_there_passes():
    assert planted() == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("update(x, rate)", "updated(x, rate)", "`updated(x, rate)`: no cell and no exercise knows updated"),
        ("update(x, rate)", "update(rate, x)", "`update(rate, x)`: rate is not argument 1 of update(x, rate=0.1)"),
        ("update(x, rate)", "update(x, rate, y)", "`update(x, rate, y)`: update(x, rate=0.1) says: too many"),
        ("losses.minimax_D", "losses.minmax_D", "`losses.minmax_D`: losses has no minmax_D"),
        ('"lower"', '"smaller"', "`\"smaller\"`: no cell holds the text 'smaller'"),
        ("`CHANGELOG.md`", "`make figs`", "`make figs`: the Makefile has no such verb"),
        ("CHANGELOG.md", "CHANGES.md", "`CHANGES.md`: the repository has no such file"),
        ("*D = ½ at*", "*D = ½ by*", "*D = ½ by*: no heading and no slider has this name"),
        ("*on fakes*", "*of fakes*", "*of fakes*: no cell prints it"),
        ("p_g is", "q_g is", "q_g: no cell and no exercise knows it"),
        ("in exercise 1", "in exercise 2", "exercise 2: the lesson has no such exercise"),
        ("twice = update(update", "twice = update(upgrade", "no cell and no exercise knows upgrade"),
        ("twice == 7", "twice == 8", "cell text: its block of code fails: AssertionError"),
    ],
)
def test_a_name_that_is_not_there_is_noticed(old, new, fault):
    found = planted(old, new)
    assert any(fault in one for one in found), found
