"""The hash of the code that a run uses: what must not change it, and what must."""

import re
import shutil

import anatomy
import make_tables
import nbformat
import pytest
from code_hash import code_hash
from run_notebooks import NOTEBOOKS

pytestmark = pytest.mark.slow

SCRIPT = """
from ganlib import figures
from ganlib.training import GAN, fit

gan = GAN("first")
limit = fit(gan, steps=20)
figures.draw(limit, {"x": 1})
"""
FILES = {
    "__init__.py": '"""A package."""\n',
    "data.py": """
def load(name):
    return name + "!"
""",
    "judge.py": """
import math

def load(name):
    return name * 2
""",
    "losses.py": """
from torch.nn.functional import softplus as f

def loss_D(s):
    return f(s)

def loss_G(s):
    return -s

def other_G(s):
    return s

LOSSES = {
    "first": (loss_D, loss_G),
    "second": (loss_D, other_G),
}
""",
    "training.py": '''
import math
from typing import Any

from . import data, judge
from .losses import LOSSES

LIMIT, MARGIN = 3, 3
SIZES = {"first": 1, "small": 2}

class GAN:
    """A pair."""

    def __init__(self, loss="first"):
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}")
        self.loss_D, self.loss_G = LOSSES[loss]  # both
        self.size = SIZES[loss]

    def step(self, n=1):
        return self.loss_G(n) + math.pi

def fit(gan, steps, rate=0.1):
    """Train."""
    if steps < LIMIT:
        raise ValueError("too few steps")
    return even(steps) * rate + len(data.load("mnist"))

def even(n):
    return True if n == 0 else odd(n - 1)

def odd(n):
    return False if n == 0 else even(n - 1)

def unused(n):
    return n
''',
    "figures/__init__.py": "from .lines import draw\n",
    "figures/lines.py": """
from math import sqrt as root

from ..training import MARGIN

def draw(y, table):
    return root(y) + MARGIN + table.get("x")
""",
}


def changed(files, *changes):
    """``files`` with texts replaced (file, old, new), or with a file added (file, text)."""
    files = dict(files)
    for name, *texts in changes:
        if len(texts) == 2:
            assert texts[0] in files[name], texts[0]
            files[name] = files[name].replace(*texts)
        else:
            files[name] = texts[0]
    return files


@pytest.fixture
def hash_of(tmp_path):
    """The hash of SCRIPT with the synthetic package, after changes."""

    def value(*changes):
        files = changed({"script": SCRIPT, **FILES}, *changes)
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "ganlib"
        script = files.pop("script")
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return code_hash(script, folder)

    return value


LOSSES = '    "second": (loss_D, other_G),\n'
SAME = {
    "new loss": [
        ("losses.py", LOSSES, LOSSES + '    "third": (other_G, new),\n'),
        ("losses.py", "LOSSES =", "def new(s):\n    return 0\n\nLOSSES ="),
    ],
    "new function": [("training.py", "def unused", "def new():\n    pass\n\ndef unused")],
    "function that nobody names changed": [("training.py", "return n\n", "return n + 1\n")],
    "comment": [("training.py", "# both", "# the two")],
    "docstrings": [("training.py", '"""Train."""', '"""Go."""'), ("training.py", '    """A pair."""\n', "")],
    "words of errors": [("training.py", "too few steps", "more steps"), ("training.py", "must be one", "is one")],
    "name instead of module": [
        ("training.py", "from . import data, judge", "from . import judge\nfrom .data import load"),
        ("training.py", "data.load", "load"),
    ],
    "module instead of name": [
        ("training.py", "from .losses import LOSSES", "from ganlib import losses"),
        ("training.py", "LOSSES", "losses.LOSSES"),
    ],
    "import of a whole module": [
        ("training.py", "from .losses import LOSSES", "import ganlib.losses"),
        ("training.py", "LOSSES", "ganlib.losses.LOSSES"),
    ],
    "import inside of a function": [
        ("training.py", "from . import data, judge", "from . import judge"),
        ("training.py", "    if steps", "    from ganlib import data\n\n    if steps"),
    ],
    "past the package": [("script", "from ganlib import figures", "import ganlib.figures.lines as figures")],
}
OTHER = {
    "constant": [("training.py", "LIMIT, MARGIN = 3, 3", "LIMIT, MARGIN = 4, 3")],
    "constant of a pair taken for the other": [("training.py", "< LIMIT", "< MARGIN")],
    "function called by one in a circle": [("training.py", "return False", "return None")],
    "function of the same last name": [("training.py", "data.load", "judge.load")],
    "function of a package": [("figures/lines.py", "+ MARGIN", "- MARGIN")],
    "import of another package": [("losses.py", "softplus", "relu")],
    "attribute of another package": [("training.py", "math.pi", "math.tau")],
    "loss that is used": [("losses.py", '"first": (loss_D, loss_G)', '"first": (loss_D, other_G)')],
    "loss chosen by the script": [("script", 'GAN("first")', 'GAN("second")')],
    "loss chosen by default": [("training.py", 'loss="first"', 'loss="second"')],
    "dict without definitions": [("training.py", '"small": 2', '"small": 3')],
    "kind of error": [("training.py", 'raise ValueError("too', 'raise RuntimeError("too')],
    "decorator": [("training.py", "def even", "@staticmethod\ndef even")],
    "effect that defines": [("training.py", "import math\n", "import math\n\nfor i in range(3):\n    print(i)\n")],
    "effect in a package": [("__init__.py", "\n", "\nprint(1)\n")],
    "effect in an imported module": [("judge.py", "import math\n", "import math\n\nmath.tau = 6\n")],
    "entry added to a registry": [("losses.py", LOSSES + "}\n", LOSSES + '}\nLOSSES["third"] = 3\n')],
    "fallback for an import": [
        ("training.py", "import math\n", "try:\n    import math\nexcept ImportError:\n    math = None\n")
    ],
}
SECOND = ("losses.py", "return s\n", "return 2 * s\n")  # changes the loss of the entry "second"


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_what_a_run_does_not_use_leaves_the_hash(changes, hash_of):
    assert hash_of(*changes) == hash_of()


@pytest.mark.parametrize("changes", OTHER.values(), ids=OTHER)
def test_what_a_run_uses_changes_the_hash(changes, hash_of):
    assert hash_of(*changes) != hash_of()


@pytest.mark.parametrize(
    "before",
    [
        [("script", SCRIPT + "from ganlib import losses\nprint(losses.LOSSES.items())\n")],
        [("script", SCRIPT + "from ganlib import losses\nprint([*losses.LOSSES])\n")],
        [("script", SCRIPT + 'from ganlib import losses\nprint(getattr(losses, "other_G"))\n')],
        [("losses.py", '"second":', '"sec" + "ond":')],
        [("losses.py", "return -s", 'return LOSSES["second"]')],
    ],
    ids=["method", "all of it", "module", "computed key", "named by an entry"],
)
def test_each_entry_of_a_registry_counts_where_it_may_be_used(before, hash_of):
    assert hash_of(*before, SECOND) != hash_of(*before)


@pytest.mark.parametrize("use", ['losses.LOSSES["{}"]', 'losses.LOSSES.get("{}")', '"{}" in losses.LOSSES'])
def test_the_entry_counts_that_is_looked_up(use, hash_of):
    for name, same in (("first", True), ("second", False)):
        script = ("script", SCRIPT + f"from ganlib import losses\nprint({use.format(name)})\n")
        assert (hash_of(script, SECOND) == hash_of(script)) == same


def test_the_attribute_of_a_definition_counts(hash_of):
    step, size = (("script", "fit(gan, steps=20)", f"GAN.{name}") for name in ("step", "size"))
    assert hash_of(step) != hash_of(size)


def test_each_origin_of_a_name_counts(hash_of):
    branches = "try:\n    import math\nexcept ImportError:\n    import cmath as math\n"
    before = ("training.py", "import math\n", branches)
    for old, new in (("import math", "import numpy as math"), ("import cmath", "import numpy")):
        assert hash_of(before, ("training.py", old, new)) != hash_of(before)
    # a function that imports what another function of the module is called
    before = ("training.py", "return n\n", "from .judge import even\n    return even(n)\n")
    assert hash_of(before, ("training.py", "return True if", "return None if")) != hash_of(before)


# ---- the real tree

LESSONS = anatomy.lessons()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of ganlib and of the lessons, which make_tables takes for the real ones."""
    folder = tmp_path / "ganlib"
    shutil.copytree(make_tables.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    monkeypatch.setattr(make_tables, "PACKAGE", folder)
    return tmp_path


def hashes(tree):
    lessons = {path.name[:2]: make_tables.code_of_lesson(tree / "notebooks" / path.name)["code"] for path in LESSONS}
    return lessons | {name: make_tables.code_of_recipes(name)["code"] for name in make_tables.RECIPES}


def edit(path, pattern, new):
    text, count = re.subn(pattern, new, path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert count, f"{path.name} no longer holds {pattern}"
    path.write_text(text, encoding="utf-8")


def edit_cell(path, new, *, exercise):
    """Add ``new`` to one code cell: to an exercise, or to one that is none."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    cell = [cell for cell in cells if ("check(" in cell.source) == exercise][-1]
    cell.source = f"{new}\n{cell.source}"
    nbformat.write(notebook, path)


def test_a_changed_loss_changes_the_tables_that_stand_on_it(tree):
    before, modules = hashes(tree), make_tables.code_of_recipes("04_quality")["modules"]
    edit(tree / "ganlib" / "losses.py", r"softplus\(-fake_logits\)\.mean", "softplus(fake_logits).mean")
    changed = modules.items() ^ make_tables.code_of_recipes("04_quality")["modules"].items()
    assert {name for name, _ in changed} == {"ganlib.losses"}
    assert {name for name, value in hashes(tree).items() if value != before[name]} == {
        "02",
        "03",
        "03_toys",
        "04",
        "04_quality",
        "05_tuning",
        "05_vaes",
        "06",
        "06_few",
        "06_labels",
    }
    before = hashes(tree)
    edit(tree / "ganlib" / "losses.py", r"return -fake_logits.mean\(\)", "return fake_logits.mean()")
    changed = {name for name, value in hashes(tree).items() if value != before[name]}
    assert changed == {"03_toys"}  # no other run uses the hinge loss


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.name[:2])
def test_an_exercise_cell_leaves_the_table_and_another_cell_does_not(lesson, tree):
    path, before = tree / "notebooks" / lesson.name, hashes(tree)
    edit_cell(path, "answer = 1", exercise=True)
    assert hashes(tree) == before
    edit_cell(path, "answer = 1", exercise=False)
    assert {name for name, value in hashes(tree).items() if value != before[name]} == {lesson.name[:2]}
