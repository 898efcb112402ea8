import ast
import re
import sys
import sysconfig
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from rattler import MatchSpec

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}  # the variants without CUDA and without Qt


def locked(text):
    """Name -> version of a lock file; any line but a comment or name==version fails."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pins = [re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][\w.]*)", line) for line in lines]
    assert None not in pins, f"not name==version: {[line for line, pin in zip(lines, pins) if pin is None]}"
    return {canonicalize_name(pin[1]): pin[2] for pin in pins}


# What Colab has installed: what it lacks may be added, what it has must stay.
COLAB = locked((ROOT / "tests/helpers/colab.txt").read_text(encoding="utf-8"))
COLAB_PYTHON = "3.13.15"


def ranges(requirements):
    """Name -> version range, of PEP 508 lines; references to extras of ganlib itself are left out."""
    parsed = [Requirement(line) for line in requirements]
    return {canonicalize_name(r.name): r.specifier for r in parsed if r.name != PROJECT["name"]}


BASE = ranges(PROJECT["dependencies"])
LAB = ranges(PROJECT["optional-dependencies"]["lab"])
DIRECT = BASE | {
    name: specifier for extra in PROJECT["optional-dependencies"].values() for name, specifier in ranges(extra).items()
}


def differences(environment, wanted):
    """What an environment.yml says otherwise than `wanted`, a dict of name -> version range."""
    content = yaml.safe_load(environment)
    assert set(content) == {"name", "channels", "dependencies"}
    assert content["channels"] == ["conda-forge", "nodefaults"]
    lines = content["dependencies"]
    [pip] = [line["pip"] for line in lines if isinstance(line, dict)]
    specs = [MatchSpec(line, strict=True) for line in lines if isinstance(line, str)]
    texts = {spec.name.normalized: str(spec.version or "") for spec in specs}
    assert len(texts) == len(specs), "a package is listed twice"
    faults = [] if pip == ["-e .[lab]"] else [f"pip: expected '-e .[lab]' alone, got {pip}"]
    python = texts.pop("python", "missing")
    pinned = re.fullmatch(r"(3\.\d+)\.\*", python)
    if not (pinned and pinned[1] in SpecifierSet(PROJECT["requires-python"])):
        faults.append(f"python: expected one minor version that pyproject.toml allows, got {python}")
    if texts.pop("pip", None) is None:
        faults.append("pip: missing, but there is a pip section")
    found = {name: SpecifierSet(text) for name, text in texts.items()}
    expected = {CONDA_NAMES.get(name, name): specifier for name, specifier in wanted.items()}
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            faults.append(f"{name}: missing")
        elif name not in expected:
            faults.append(f"{name}: not in pyproject.toml")
        elif found[name] != expected[name]:
            faults.append(f"{name}: {found[name]} here, {expected[name]} in pyproject.toml")
    return faults


def test_conda_environment_is_in_step_with_pyproject():
    assert differences(ENVIRONMENT, BASE | LAB) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("numpy >=2.0,<3", "numpy >=2.1,<3", "numpy: <3,>=2.1 here"),
        ("  - pip:", "  - pandas >=2\n  - pip:", "pandas: not in pyproject.toml"),
        ("  - scipy >=1.13,<2\n", "", "scipy: missing"),
        ("python=3.12", "python=3.10", "python: expected one minor version"),
        ("  - pip\n", "", "pip: missing"),
        ("-e .[lab]", "-e .", "pip: expected '-e .[lab]' alone"),
    ],
)
def test_a_conda_environment_out_of_step_is_noticed(old, new, fault):
    assert old in ENVIRONMENT
    assert any(line.startswith(fault) for line in differences(ENVIRONMENT.replace(old, new), BASE | LAB))


def not_in_range(versions, wanted):
    """The packages of `wanted` that `versions` lacks, or holds in a version out of range."""
    return [
        f"{name} {versions.get(name, 'missing')}, wanted {specifier}"
        for name, specifier in wanted.items()
        if name not in versions or versions[name] not in specifier
    ]


def test_installing_the_base_in_colab_replaces_nothing():
    assert not_in_range(COLAB, BASE) == []
    assert COLAB_PYTHON in SpecifierSet(PROJECT["requires-python"])


def test_a_range_that_colab_does_not_satisfy_is_noticed():
    assert not_in_range(COLAB, BASE | ranges(["ipywidgets>=8"])) == ["ipywidgets 7.7.1, wanted >=8"]
    assert not_in_range(COLAB, BASE | LAB) == [f"jupyterlab missing, wanted {LAB['jupyterlab']}"]


def test_each_extra_builds_on_the_one_before():
    """`make browser` runs tests, and `make test` lessons: a stamp of the one stands for the other."""
    extras = PROJECT["optional-dependencies"]
    assert [extras[extra][0] for extra in ("test", "browser", "dev")] == [
        "ganlib[lab]",
        "ganlib[test]",
        "ganlib[browser]",
    ]


def test_every_direct_dependency_is_locked_within_its_range():
    assert not_in_range(locked(LOCK), DIRECT) == []


def test_a_lock_out_of_step_is_noticed():
    assert not_in_range(locked(LOCK.replace("numpy==2", "numpy==1")), DIRECT)
    assert not_in_range(locked(LOCK), DIRECT | ranges(["pandas>=2"])) == ["pandas missing, wanted >=2"]
    for line in ("numpy>=2", "torch==2.13.0+cpu", "-e ."):
        with pytest.raises(AssertionError, match="not name==version"):
            locked(f"{LOCK}{line}\n")


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="only .venv is installed from the lock")
def test_what_is_installed_is_what_is_locked():
    pins = locked(LOCK)
    folders = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}  # sys.path may have got others meanwhile
    here = {canonicalize_name(d.name): d.version.removesuffix("+cpu") for d in distributions(path=list(folders))}
    here = {name: version for name, version in here.items() if name not in ("ganlib", "pip", "setuptools", "wheel")}
    assert {name: version for name, version in here.items() if pins.get(name) != version} == {}


# Parts of what is declared, and a module that a test misses on purpose.
PARTS = {"ipython", "traitlets", "requests", "jupyter-client", "nothing-of-this-name"}
NEVER_IMPORTED = {"jupyterlab", "pytest-cov", "ruff", "mypy", "nbdime"}  # they are run


def imported(folder):
    """The packages that the programs in a folder import, by the names under which they are installed."""
    found, known = set(), packages_distributions()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            found |= {name.split(".")[0] for name in names}
    ours = {path.stem for name in ("tools", "tests") for path in (ROOT / name).rglob("*.py")} | {"ganlib"}
    return {canonicalize_name(known.get(name, [name])[0]) for name in found - sys.stdlib_module_names - ours} - PARTS


@pytest.mark.slow
def test_what_is_imported_is_declared_and_the_reverse():
    ours = imported("ganlib")
    all_of_it = ours.union(*map(imported, ("tests", "tools", "benchmarks")))
    assert ours == set(BASE), "the package imports what pyproject.toml does not declare as its dependencies"
    assert all_of_it == set(DIRECT) - NEVER_IMPORTED, "what tests and tools import stands in the extras, and no more"
