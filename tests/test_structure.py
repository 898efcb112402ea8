import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ganlib"
FIRST = {"data", "targets", "models", "losses", "metrics", "plots", "claims"}
SECOND = {"gan", "vae", "training"}
THIRD = {"judge", "widgets", "lab", "checks", "checks_02", "checks_04"}
# What each module may import of ours; a new module needs a line here.
ALLOWED = (
    {name: set() for name in FIRST | {"training", "__init__"}}
    | {name: {"losses"} for name in ("gan", "vae")}
    | dict.fromkeys(THIRD, FIRST | SECOND)
    | dict.fromkeys(("checks_02", "checks_04"), FIRST | SECOND | {"checks"})
)
DRAWS = {"plots", *THIRD}  # matplotlib is for these alone
HEAVY = ("matplotlib", "scipy", "sklearn", "pooch", "ipywidgets", "tqdm", "IPython")


def imports(source):
    """The modules that a source text of the package imports, anywhere in it: "ganlib.losses", "torch", ..."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = ".".join(["ganlib"] * (node.level > 0) + [node.module] * (node.module is not None))
            # "from ganlib import gan" names a module, "from ganlib.gan import GAN" what is in it.
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "ganlib" else {module}
    return found


def faults(name, source):
    """What is wrong with the imports of the module `name` of the package."""
    if name not in ALLOWED:
        return [f"{name} is on no storey: give it one in tests/test_structure.py and in the README"]
    found = imports(source)
    ours = {module.split(".")[1] if "." in module else "ganlib" for module in found if module.split(".")[0] == "ganlib"}
    wrong = [f"{name} imports {other}" for other in sorted(ours - ALLOWED[name])]
    if name not in DRAWS and any(module.split(".")[0] == "matplotlib" for module in found):
        wrong.append(f"{name} imports matplotlib")
    if name != "__init__" and not any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.parse(source).body
    ):
        wrong.append(f"{name} defines nothing")
    return wrong


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("**/*.py")), ids=lambda path: path.stem)
def test_imports_go_down_only(path):
    assert path.parent == PACKAGE, "the package is flat: one file per idea"
    assert faults(path.stem, path.read_text(encoding="utf-8")) == []


F = "\ndef f(): pass"


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        ("models", "from ganlib.losses import minimax" + F, "models imports losses"),
        ("models", "import ganlib.losses as losses" + F, "models imports losses"),
        ("models", "from .losses import minimax" + F, "models imports losses"),
        ("models", "from . import losses" + F, "models imports losses"),
        ("models", "from ganlib import losses, data" + F, "models imports data"),
        ("models", "def f():\n    from ganlib import losses", "models imports losses"),
        ("models", "import ganlib" + F, "models imports ganlib"),
        ("gan", "from ganlib.models import generator" + F, "gan imports models"),
        ("vae", "from ganlib.gan import GAN" + F, "vae imports gan"),
        ("training", "from ganlib.gan import GAN" + F, "training imports gan"),
        ("__init__", "from ganlib import gan", "__init__ imports gan"),
        ("widgets", "from ganlib.lab import lab" + F, "widgets imports lab"),
        ("checks", "from ganlib.checks_04 import CHECKS" + F, "checks imports checks_04"),
        ("checks_04", "from .widgets import show" + F, "checks_04 imports widgets"),
        ("gan", "import matplotlib.pyplot as plt" + F, "gan imports matplotlib"),
        ("data", "def f():\n    from matplotlib import pyplot", "data imports matplotlib"),
        ("losses", '"""Nothing."""\nx = 1', "losses defines nothing"),
        ("utils", F, "utils is on no storey: give it one in tests/test_structure.py and in the README"),
    ],
)
def test_a_wrong_arrow_is_noticed(name, source, fault):
    assert fault in faults(name, source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gan", "from ganlib.losses import r1" + F),
        ("gan", "from ganlib import losses" + F),
        ("checks_04", "from .checks import Check\nfrom .gan import GAN" + F),
        ("widgets", "from ganlib import plots, gan\nimport matplotlib" + F),
    ],
)
def test_a_right_arrow_is_accepted(name, source):
    assert faults(name, source) == []


def loaded_by(statement):
    """The heavy packages that `statement` loads in a fresh interpreter, beyond those that torch loads."""
    program = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        f"print(*(set({HEAVY!r}) & (set(sys.modules) - before)))"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.split()


def test_importing_the_lower_storeys_loads_nothing_heavy():
    names = [path.stem for path in PACKAGE.glob("*.py") if path.stem in (FIRST | SECOND) - {"plots"}]
    assert loaded_by(f"import ganlib\nfrom ganlib import {', '.join(sorted(names))}") == []


def test_a_heavy_import_is_noticed():
    assert "scipy" in loaded_by("import scipy")


FORBIDDEN = ("/work" + "/", ".." + "/shared", "issue" + " #")


def tracked():
    """The text files that git tracks, or would track after the next `git add .`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def words(name, text):
    """The words in `text` that speak of something outside the project."""
    found = [word for word in FORBIDDEN if word in text.lower()]
    return [word for word in found if not (name == ".ci/run" and word == FORBIDDEN[1])]


def test_the_files_speak_of_the_project_alone():
    files = tracked()
    assert len(files) > 20
    texts = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files}
    found = {name: words(name, text.decode("utf-8", "ignore")) for name, text in texts.items()}
    assert {name: bad for name, bad in found.items() if bad} == {}
    assert [name for name, text in texts.items() if b"\r\n" in text and b"\0" not in text] == []


def test_a_word_from_outside_is_noticed():
    assert words("README.md", "as Issue" + " #12 asks, see .." + "/shared") == [FORBIDDEN[1], FORBIDDEN[2]]
    assert words(".ci/run", "cd .." + "/shared") == []
    assert words(".ci/run", "cd /work" + "/main") == [FORBIDDEN[0]]
