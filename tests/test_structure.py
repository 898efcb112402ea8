import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ganlib"
# Three storeys: a module may import those below its own, and of its own what is named beside it.
FIRST = {"losses", "targets", "models", "metrics", "plots", "claims", "files", "tables"}
SECOND = {
    "gan": {"losses", "checkup"},
    "vae": {"gan", "checkup"},
    "flow": {"gan", "checkup"},
    "checkup": set(),
    "training": {"files"},
    "checkpoints": {"files"},
}
THIRD = {
    "data": set(),
    "judge": {"data"},
    "show": set(),
    "playgrounds": {"show"},
    "playgrounds.lesson_01": {"show", "playgrounds"},
    "playgrounds.lesson_02": {"show", "playgrounds"},
    "playgrounds.lesson_03": {"show", "playgrounds"},
    "playgrounds.lesson_04": {"show", "playgrounds"},
    "playgrounds.lesson_05": {"show", "playgrounds"},
    "playgrounds.lesson_06": {"show", "playgrounds"},
    "exercises": {"exercises.engine"},
    "exercises.engine": set(),
    "exercises.lesson_01": {"exercises.engine"},
    "exercises.lesson_02": {"exercises.engine"},
    "exercises.lesson_03": {"exercises.engine"},
    "exercises.lesson_04": {"exercises.engine"},
    "exercises.lesson_06": {"exercises.engine", "exercises.lesson_03"},
}
EVERYWHERE = {"images"}  # what an image of the course is
ALLOWED = (
    {"ganlib": set(), "images": set()}
    | dict.fromkeys(FIRST, EVERYWHERE)
    | {name: EVERYWHERE | others for name, others in SECOND.items()}
    | {name: EVERYWHERE | FIRST | set(SECOND) | others for name, others in THIRD.items()}
)
DRAWS = ("plots", "show", "playgrounds")  # matplotlib is for these alone
HEAVY = ("matplotlib", "scipy", "sklearn", "pooch", "ipywidgets", "tqdm", "IPython")


def name_of(path):
    """The module in the file: "ganlib" for the package itself, else "losses", "exercises", "exercises.engine", ..."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "ganlib"


MODULES = {name_of(path): path for path in sorted(PACKAGE.glob("**/*.py"))}


def imports(name, source, is_package=False):
    """The modules that the source text of `name` imports, anywhere in it: "ganlib.losses", "torch", ..."""
    inside = ["ganlib", *name.split(".")] if name != "ganlib" else ["ganlib"]
    package = inside if is_package else inside[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *[node.module] * (node.module is not None)])
            for alias in node.names:
                # "from ganlib import gan" names a module, "from ganlib.gan import GAN" what is in it.
                inner = f"{module}.{alias.name}"
                found.add(inner if module == "ganlib" or inner.removeprefix("ganlib.") in ALLOWED else module)
    return found


def faults(name, source, is_package=False):
    """What is wrong with the imports of the module `name` of the package."""
    if name not in ALLOWED:
        return [f"{name} is on no storey: name it in FIRST, SECOND or THIRD of test_structure.py and in the README"]
    found = imports(name, source, is_package)
    ours = {module.removeprefix("ganlib.") for module in found if module.split(".")[0] == "ganlib"}
    wrong = [f"{name} imports {other}" for other in sorted(ours - ALLOWED[name])]
    if name.split(".")[0] not in DRAWS and any(module.split(".")[0] == "matplotlib" for module in found):
        wrong.append(f"{name} imports matplotlib")
    if not is_package and not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.parse(source).body):
        wrong.append(f"{name} defines nothing")
    return wrong


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down_only(name):
    path = MODULES[name]
    assert faults(name, path.read_text(encoding="utf-8"), path.stem == "__init__") == []


def test_every_module_that_is_named_here_exists():
    named = {"ganlib", *EVERYWHERE, *FIRST, *SECOND, *THIRD}
    assert named - MODULES.keys() == set(), "take the name out of test_structure.py until the module is there"
    assert set(DRAWS) <= named


F = "\ndef f(): pass"


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        ("models", "from ganlib.losses import minimax" + F, "models imports losses"),
        ("models", "from .losses import minimax" + F, "models imports losses"),
        ("models", "from . import losses" + F, "models imports losses"),
        ("models", "def f():\n    from ganlib import losses", "models imports losses"),
        ("models", "import ganlib" + F, "models imports ganlib"),
        ("gan", "from ganlib.training import train" + F, "gan imports training"),
        ("playgrounds.lesson_04", "from ..data import load" + F, "playgrounds.lesson_04 imports data"),
        ("playgrounds.lesson_04", "from . import lesson_02" + F, "playgrounds.lesson_04 imports playgrounds.lesson_02"),
        ("data", "def f():\n    from matplotlib import pyplot", "data imports matplotlib"),
        ("losses", '"""Nothing."""\nx = 1', "losses defines nothing"),
        ("utils", F, "utils is on no storey: name it in FIRST, SECOND or THIRD of test_structure.py and in the README"),
    ],
)
def test_a_wrong_arrow_is_noticed(name, source, fault):
    assert fault in faults(name, source, name in ("ganlib", "playgrounds", "exercises"))


README, CONTRIBUTING = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))


def faults_of_pictures(readme, contributing):
    """Where the two pictures of the package contradict the lists above."""
    storeys = [{name for name in THIRD if "." not in name}, set(SECOND), FIRST]
    picture = readme.partition("```text\n")[2].partition("```")[0]
    for wanted, part in zip(storeys, re.split(r"^ *\| *$", picture, flags=re.MULTILINE), strict=True):
        drawn = {name.rstrip("/") for line in part.splitlines() for name in re.split(" {4,}", line.strip())[0].split()}
        if drawn != wanted:
            yield f"README.md draws {sorted(drawn ^ wanted)} on another storey"
    sentences = (
        "judge uses data",
        "playgrounds use show",
        "gan uses losses and checkup",
        "vae and flow use gan and checkup",
    )
    for sentence in sentences:
        names, uses = (part.split(" and ") for part in re.split(" uses? ", sentence))
        if sentence not in picture or any((THIRD | SECOND)[name] != set(uses) for name in names):
            yield f"README.md must say what {' and '.join(names)} imports"
    parts = re.split(r"storey (\d)", contributing.partition("ganlib/\n")[2].partition("```")[0])
    for wanted, number, part in zip(storeys, parts[1::2], parts[2::2], strict=True):
        if lost := wanted - set(re.findall(r"\w+", part)):
            yield f"CONTRIBUTING.md does not draw {sorted(lost)} on storey {number}"
        arrows = [(a, b) for b, a in re.findall(r"(\w+)/? <- (\w+)", part.replace("exercises/ ", ""))]
        arrows += [(a, b) for a, names in re.findall(r"(\w+) -> ((?:\w+, )*\w+)", part) for b in names.split(", ")]
        for a, b in arrows:
            known = ALLOWED.get(a, ALLOWED.get(f"exercises.{a.replace('NN', '02')}", set()))
            if b not in {name.split(".")[-1] for name in known}:
                yield f"CONTRIBUTING.md draws {a} -> {b}"


def test_the_pictures_of_the_package_are_true():
    assert list(faults_of_pictures(README, CONTRIBUTING)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("data  judge  show", "data  show", "README.md draws ['judge']"),
        ("judge uses data", "judge uses show", "what judge imports"),
        ("gan -> losses, checkup", "gan -> losses, models", "draws gan -> models"),
        ("vae and flow use gan and checkup", "vae and flow use gan", "what vae and flow imports"),
        ("flow -> gan, checkup", "flow -> gan, losses", "draws flow -> losses"),
        ("vae -> gan, checkup", "vaes -> gan", "does not draw ['vae']"),
        ("data <- judge", "judge <- data", "draws data -> judge"),
        ("training, checkpoints -> files", "training -> files", "does not draw ['checkpoints']"),
    ],
)
def test_a_false_picture_is_noticed(old, new, fault):
    assert old in README + CONTRIBUTING
    assert any(fault in found for found in faults_of_pictures(README.replace(old, new), CONTRIBUTING.replace(old, new)))


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


@pytest.mark.slow
def test_importing_the_lower_storeys_loads_nothing_heavy():
    names = sorted({*EVERYWHERE, *FIRST, *SECOND} - {"plots"})
    assert loaded_by(f"import ganlib\nfrom ganlib import {', '.join(names)}") == []


@pytest.mark.slow
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
