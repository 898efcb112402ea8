"""The checks stay strict: what they must run, refuse and compare, read from the files that set them up.

Each guard takes the text of a file, so that a planted loss shows that it is noticed without touching the file.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest
from anatomy import NOTEBOOKS, lessons
from nbval.plugin import get_sanitize_patterns
from run_notebooks import CELL_SECONDS, loads_mnist, unwrapped

ROOT = Path(__file__).resolve().parent.parent
LESSON_FILES = lessons()
NOTEBOOK_OF = {path.name[:2]: nbformat.read(path, as_version=4) for path in LESSON_FILES}
LESSON_CELLS = {n: [cell for cell in nb.cells if cell.cell_type == "code"] for n, nb in NOTEBOOK_OF.items()}
IMAGES = [n for n, nb in NOTEBOOK_OF.items() if loads_mnist(nb)]
CLEAN = {name: value for name, value in os.environ.items() if not re.match(r"GANLIB_|M?A?K?E?FLAGS|MAKELEVEL", name)}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


# The Makefile

STATIC = ["python -m ruff check .", "python -m ruff format --check .", "python -m mypy"]
NBVAL = f"--nbval-cell-timeout={CELL_SECONDS} --nbval-sanitize-with=tests/helpers/nbval_sanitize.cfg"
STRICT = "env -u GANLIB_SEED GANLIB_STRICT=1 python"
LESSON_RUN = f"{STRICT} -m pytest -rs --nbval --nbval-current-env {NBVAL} lessons"
SAYS_DATA = """echo Lessons run on: && python -c from ganlib import data; print(data.load("mnist"))"""
WANTED = {
    "lab": ["python -m jupyterlab lessons 04"],
    "colab": ["python tools/colab.py copies colab"],
    "quick": [*STATIC, "python -m pytest -m not slow tests"],
    "test": [SAYS_DATA, *STATIC, "python -m pytest -rs --cov=ganlib tests", f"{LESSON_RUN} {' '.join(LESSON_CELLS)}"],
    "test-data": [SAYS_DATA, "python -m pytest -rs -m data tests", f"{LESSON_RUN} {' '.join(IMAGES)}"],
    "test-exact": [f"{LESSON_RUN} {' '.join(n for n in LESSON_CELLS if n not in IMAGES)}"],
    "test-colab": [SAYS_DATA, f"{STRICT} tools/colab.py test .venv-colab/bin/python -rs --nbval {NBVAL}"],
    "browser": ["python -m pytest -rs tests/browser"],
    "notebooks": ["python tools/colab.py setup", "python tools/run_notebooks.py 04"],
    "tables": ["python tools/make_tables.py 04"],
    "bench": ["python benchmarks/bench.py"],
    "format": ["python -m ruff check --fix .", "python -m ruff format ."],
}
COLAB = "tests/helpers/colab.txt"
INSTALLS = ["-m pip install --retries 1 --no-deps torch==", "python -m pip install -c requirements.lock -e "]


def normal(line):
    """A command in one form: without quotes and harmless options, its lessons by number."""
    words = [word for word in shlex.split(line.replace(".venv/bin/python", "python")) if word not in ("-q", "-v")]
    paths = [word for word in words if word == "notebooks" or word.startswith("notebooks/")]
    held = [p.name[:2] for p in LESSON_FILES if any(fnmatch(f"notebooks/{p.name}", f"{w}*") for w in paths)]
    return " ".join([word for word in words if word not in paths] + (["lessons", *held] if paths else []))


def commands(text, *options):
    """Verb -> the commands that make would run for it, by the text of a Makefile; an error of make raises."""
    marks = "".join(f"\n.PHONY: at-{verb}\nat-{verb}:\n\t@echo at {verb}\n" for verb in WANTED)
    goals = [goal for verb in WANTED for goal in (f"at-{verb}", verb)]
    make = ["make", "-n", "-f", "-", "LESSON=04", *options, *goals]
    run = subprocess.run(make, cwd=ROOT, env=CLEAN, input=text + marks, capture_output=True, encoding="utf-8")
    if run.returncode:
        raise ValueError(run.stderr.strip())
    parts = re.split(r"^echo at (\S+)\n", run.stdout, flags=re.MULTILINE)
    return {verb: [normal(line) for line in part.splitlines()] for verb, part in zip(parts[1::2], parts[2::2])}


def faults_of_makefile(text):
    for line in text.replace("\\\n", " ").splitlines():
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line)
        bare = re.sub(r"\|\| \{[^{}]*exit 1; \}|&&", "", bare)
        if line.startswith("\t") and (re.match(r"\t\s*@?[-+]", line) or re.search(r"[|;&]", bare)):
            yield f"a failure of {line.strip()!r} would pass: give it a line without '-', '|', ';' and '||'"
    stray = r"^ *(?:override )?(?:(?:un)?export|MAKEFLAGS|SHELL|\.\w*SHELL\w*|\.IGNORE|PYTEST_\w+|PYTHON\w+).*"
    yield from (f"{line!r} changes how every check runs: take it out" for line in re.findall(stray, text, re.MULTILINE))
    verbs = set(re.findall(r"^([a-z][\w-]*):(?!=)", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY:(.*)", text, re.MULTILINE)[1].split())
    yield from (f"{verb} is not in .PHONY: a file of its name would stop it" for verb in sorted(verbs - phony))
    try:
        found = commands(text)
        renewed = [line for lines in commands(text, "-W", "pyproject.toml", "-W", COLAB).values() for line in lines]
    except ValueError as error:
        yield f"make refuses it: {error}"
        return
    for verb, wanted in WANTED.items():
        left = iter(found[verb])
        missing = [step for step in wanted if step not in left]
        if missing:
            yield f"make {verb} lacks the step {missing[0]!r} in its place; its steps are {found[verb]}"
    stamps = re.search(r"^\$\(VENV\)/\.lab[^|\n]*", text, re.MULTILINE)[0].split()
    if not {"pyproject.toml", "requirements.lock"} <= set(stamps):
        yield "a change of pyproject.toml or requirements.lock must install again: the stamps depend on both"
    for extra in ("lab", "test", "browser"):
        if f"{INSTALLS[1]}.[{extra}]" not in renewed:
            yield f"a change of pyproject.toml no longer installs .[{extra}] by the lock"
    torch_lines = [line for line in renewed if INSTALLS[0] in line]
    if not any(line.endswith("-m pip install -r .venv-colab/requirements.txt") for line in renewed):
        yield f"a change of {COLAB} no longer installs the packages of Colab"
    if len(torch_lines) < 4 or (sys.platform == "linux" and not all("/whl/cpu" in line for line in torch_lines)):
        yield "PyTorch is no longer installed first, as its CPU build"


# .ci/run, in a world of stubs that write down how they are called

STUB = """#!/bin/sh
call="${0##*/} $*"
[ "$call" = "make -n test test-colab" ] && echo "$SECOND"
[ "${0##*/} $1" = "git clone" ] && mkdir -p "$4"
settings="$GANLIB_DATA ${GANLIB_CACHE##*/} $GANLIB_OFFLINE $GANLIB_STRICT $GANLIB_SEED"
echo "$call|${PWD##*/}|$settings $ATEN_CPU_CAPABILITY $MKL_CBWR $ONEDNN_MAX_CPU_ISA $OMP_NUM_THREADS" >>"$CALLS"
case "$call" in "$FAILS"*) exit 1 ;; esac
"""
RUNS = {  # each call -> the settings it must see; in this order
    "make test": "DATA cache-1",
    "make test-colab": "DATA cache-1",
    "make browser": "DATA",
    "make test-data": "cache-2 1",
    "make test-exact": "default COMPATIBLE SSE41 2",
    "git diff --exit-code": None,
}


def faults_of_ci(text, folder):
    shutil.rmtree(folder, ignore_errors=True)
    stubs, script, temporary, data = (folder / name for name in ("bin", "course/.ci/run", "tmp", "shared/data"))
    for path in (stubs, script.parent, temporary, data):
        path.mkdir(parents=True)
    script.write_text(text, encoding="utf-8")
    for name in ("bash", "sh", "mktemp", "rm", "mkdir", "grep", "dirname"):
        (stubs / name).symlink_to(shutil.which(name))
    for name in ("git", "make", "apt-get"):
        (stubs / name).write_text(STUB, encoding="utf-8")
        (stubs / name).chmod(0o755)

    def run(fails="nothing", second="", **settings):
        (folder / "calls").write_text("")
        env = {"PATH": str(stubs), "TMPDIR": str(temporary), "CALLS": str(folder / "calls"), "FAILS": fails}
        settings = {"GANLIB_STRICT": "1", "GANLIB_SEED": "3", "GANLIB_OFFLINE": "1", **settings, "SECOND": second}
        ended = subprocess.run(["bash", script], cwd=folder, env=env | settings, capture_output=True)
        calls = [line.split("|") for line in (folder / "calls").read_text().splitlines()]
        return ended.returncode, calls

    if "\nset -euo pipefail\n" not in text:
        yield "it must begin with `set -euo pipefail`"
    status, calls = run(GANLIB_DATA="DATA")
    seen = [name for name, *_ in calls if name in RUNS]
    if status or list(temporary.iterdir()):
        yield f"it ends with status {status}, and leaves {list(temporary.iterdir())}: both must be nothing"
    if not any(f"git clone --quiet {folder / 'course'}" in name for name, *_ in calls[:1]):
        yield "it must begin with a fresh clone of the checkout"
    if seen != list(RUNS):
        yield f"its runs are {seen}, wanted {list(RUNS)}"
    for name, place, settings in calls:
        if RUNS.get(name) is not None and (place, settings.split()) != ("ganlib", RUNS[name].split()):
            yield f"{name!r} runs in {place} with the settings {settings.split()}, wanted {RUNS[name].split()}"
    if not any(str(data) in settings for _, _, settings in run()[1]):
        yield "without GANLIB_DATA it must take the data beside the checkout"
    for name in RUNS:
        status, calls = run(f"{name}", GANLIB_DATA="DATA")
        if not status or not calls or not calls[-1][0].startswith(name):
            yield f"a failure of {name!r} must end it with an error: keep `set -euo pipefail`, and nothing after `||`"
    if not run(second="pip install something")[0]:
        yield "a second run that would install again must be an error"
    if run("apt-get install")[0]:
        yield "without Chromium it must go on"


# pyproject.toml

UNTYPED = {"ipywidgets", "pooch", "scipy.*", "sklearn.*", "tqdm.*"}
TYPED = "disallow_untyped_defs disallow_incomplete_defs check_untyped_defs warn_redundant_casts warn_unused_ignores"
SETTINGS = {  # how the checks are set up, with nothing beside it; a set may come in any order
    "pytest.ini_options.addopts": {"--strict-markers", "--strict-config"},
    "pytest.ini_options.filterwarnings": {"error"},
    "pytest.ini_options.testpaths": {"tests"},
    "pytest.ini_options.pythonpath": {"tools", "tests/helpers"},
    "pytest.ini_options.markers": {"slow", "data", "browser"},
    "pytest.ini_options.xfail_strict": True,
    "pytest.ini_options.empty_parameter_set_mark": "fail_at_collect",
    "ruff.line-length": 120,
    "ruff.target-version": "py311",
    "ruff.lint.select": {"E", "F", "W", "I", "UP", "B", "C4", "SIM", "PT", "RUF"},
    "ruff.lint.ignore": {"B905", "RUF001", "RUF002", "RUF003", "PT012", "RUF043", "RUF007", "RUF012"},
    "ruff.lint.per-file-ignores": {"*.ipynb": ["E402", "F401"]},
    "mypy.files": {"ganlib"},
    **{f"mypy.{name}": True for name in [*TYPED.split(), "warn_unreachable"]},
    "coverage.run.branch": True,
    "coverage.report.show_missing": True,
    "coverage.report.skip_covered": True,
    "coverage.report.exclude_also": {"if TYPE_CHECKING:", "\\.\\.\\.$"},
}


def flat(table, prefix=""):
    """The settings of a TOML table, by their dotted names."""
    for name, value in table.items():
        if isinstance(value, dict) and name != "per-file-ignores":
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, {v.split(": ")[0] for v in value} if isinstance(value, list) else value


def faults_of_pyproject(text):
    tool = tomllib.loads(text)["tool"]
    untyped = {name for o in tool["mypy"]["overrides"] if "ignore_missing_imports" in o for name in o["module"]}
    loose = {name for o in tool["mypy"].pop("overrides") for name in o["module"]} - untyped
    if not (untyped <= UNTYPED and loose <= {f"ganlib.exercises.lesson_{n}" for n in LESSON_CELLS}):
        yield f"mypy looks away from {sorted(untyped | loose)}: only solutions and packages without types may be loose"
    found = dict(flat({name: tool[name] for name in ("pytest", "ruff", "mypy", "coverage")}))
    for name in sorted(found.keys() | SETTINGS.keys()):
        if found.get(name) != SETTINGS.get(name):
            yield f"{name} is {found.get(name)}, wanted {SETTINGS.get(name)}: if that is meant, say so in SETTINGS"


# .gitignore

WRITTEN = [".venv/x", ".venv-colab/x", "colab/02.ipynb", "mine/02.ipynb", "ganlib/__pycache__/x", "x.egg-info/x"]
WRITTEN += ["notebooks/.ipynb_checkpoints/x", ".pytest_cache/x", ".ruff_cache/x", ".mypy_cache/x", ".coverage"]


def faults_of_gitignore(text, folder):
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text(text, encoding="utf-8")
    git = ["git", "-C", folder]
    subprocess.run([*git, "init", "--quiet"], check=True, env=CLEAN)
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8").stdout.splitlines()
    check = [*git, "check-ignore", "--no-index", "--stdin"]
    names = "\n".join([*WRITTEN, *kept])
    found = subprocess.run(check, input=names, env=CLEAN, capture_output=True, encoding="utf-8").stdout.splitlines()
    yield from (f"{name} must be ignored: the course or its checks write it" for name in set(WRITTEN) - set(found))
    yield from (f"{name} must not be ignored: it is a file of the project" for name in set(kept) & set(found))


# tests/conftest.py, and what a test may be excused from

SWITCHES = {"GANLIB_STRICT", "GANLIB_SEED", "GANLIB_OFFLINE"}
EXCUSES = {  # what a test is excused from -> where
    "skipif: needs fork, which Windows lacks": "tests/test_checkpoints.py",
    "importorskip: browser tests need the packages of ganlib[browser]": "tests/browser/test_states.py",
    "skip: browser tests need Chromium: apt-get install chromium": "tests/browser/test_states.py",
    "skipif: only .venv is installed from the lock": "tests/test_environment.py",
    "skipif: NO_REAL": "tests/test_data.py",
    "xfail: torch.load does not look at the checksums of its file": "tests/test_judge.py",
    "skipif: make, bash and git are missing": "tests/test_guards.py",
    "filterwarnings: ignore:.*(prototype|beta state|stable yet)": "tests/test_training.py",
    "filterwarnings: ignore:.*weight_norm. is deprecated:FutureWarning": "tests/test_gan.py",
    "filterwarnings: ignore": "tests/test_gan.py",
    "simplefilter: ignore": "tests/exercises/test_engine.py",
    "simplefilter: error": "tests/test_checkup.py",
}
MUST_NOT_RAISE = {  # tests of what is let through, which assert nothing
    "test_noise_that_is_added_to_a_copy_is_allowed",
    "test_data_that_the_generator_can_match_train",
    "test_flat_data_have_any_range",
    "test_a_list_is_a_minibatch_too",
}
WAYS = {"skip", "skipif", "importorskip", "xfail", "filterwarnings", "simplefilter"}
HOOKS = re.compile(r"\bcollect_ignore\w*|\bdef pytest_\w+|\bpytest_plugins\b|# (?:ruff: noqa|mypy: \w+|noqa$)", re.M)


def faults_of_conftest(text):
    tree = ast.parse(text)
    plain = [
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and "pytest.fixture(autouse=True)" in map(ast.unparse, node.decorator_list)
    ]
    for name in SWITCHES:
        if not any(repr(name) in source and "monkeypatch.delenv(name" in source for source in plain):
            yield f"an autouse fixture must take {name} out of each test's environment"
    for line in ("matplotlib.use('Agg')", "torch.set_num_threads(1)"):
        if line not in map(ast.unparse, tree.body):
            yield f"every test needs {line}"


def calls_in(tree):
    """The names of what is called in a part of a program."""
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {getattr(func, "attr", getattr(func, "id", "")) for func in called}


def faults_of_suite(files):
    """What keeps a test from running or failing; `files` is a dict of name -> text of all files below tests/."""
    words = set().union(*(re.findall(r"(?<!def )\b\w+", text) for text in files.values()))
    for name, text in ((name, text) for name, text in files.items() if name.endswith(".py")):
        if found := HOOKS.search(text):
            yield f"{name}: {found[0]!r} can switch off what it does not name: do without"
        tree = ast.parse(text)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        tests = [node for node in functions if node.name.startswith("test_")]
        if tests and not Path(name).name.startswith("test_"):
            yield f"{name}: pytest looks for tests in files named test_*.py alone"
        asserting = {node.name for node in functions if any(isinstance(n, ast.Assert) for n in ast.walk(node))}
        for node in tests:
            called = calls_in(node)
            known = node.name in asserting | MUST_NOT_RAISE or called & (asserting | {"raises", "warns"})
            if not known and not any(re.match("assert|check", call) for call in called):
                yield f"{name}: {node.name} asserts nothing"
        others = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node not in tests}
        for unused in sorted(others.keys() - words):
            decorators = map(ast.unparse, others[unused].decorator_list)
            if all(decorator.startswith("pytest.mark") for decorator in decorators):  # another one keeps it
                yield f"{name}: nobody calls {unused}: the name of a test begins with test_"
        for node in ast.walk(tree) if re.search(rf"\b({'|'.join(WAYS)})\(", text) else ():
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in WAYS:
                reason = next((word.value for word in node.keywords if word.arg == "reason"), (*node.args, None)[0])
                reason = getattr(reason, "value", ast.unparse(reason) if reason else "")
                excuse = f"{node.func.attr}: {reason}"
                if EXCUSES.get(excuse) != name:
                    yield f"{name}: a new excuse, {excuse!r}: let the test run, or name it in EXCUSES of test_guards.py"


# The sanitiser: what the stored lessons print is compared word by word

MASKS = {"MNIST", r"\1: \2", r"\1", r"\1 (...)", "data:image/png;base64,..."}
OPEN = re.compile(r"^✓ [^(\n]+(\(.*\))$|^MNIST: .* pixels, (from .*)$")  # what a lesson prints, and may differ


def printed(cell):
    """The lines that a cell shows as text, pictures left out."""
    for output in cell.outputs:
        shown = [output.text] if "text" in output else [t for k, t in output.get("data", {}).items() if "text/" in k]
        for text in shown:
            yield from unwrapped(re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)).splitlines()


LINES = sorted({line for cells in LESSON_CELLS.values() for cell in cells for line in printed(cell)})


def faults_of_sanitizer(text):
    patterns = [(re.compile(regex), new) for regex, new in get_sanitize_patterns(text)]
    if new := {replace for _, replace in patterns} ^ MASKS:
        yield f"its masks are not those in MASKS of test_guards.py: {sorted(new)}"

    def sanitized(line):
        for regex, new in patterns:
            line = regex.sub(new, line)
        return line

    for line in LINES:
        as_it_is, may = sanitized(line), OPEN.match(line)
        free = range(*may.span(1 if may[1] else 2)) if may else ()
        for word in re.finditer(r"\w+|[✓✗]", line):
            if word.start() not in free and sanitized(f"{line[: word.start()]}§{line[word.end() :]}") == as_it_is:
                yield f"it hides {word[0]!r} in {line!r}, which a reader sees and a test must compare"
                break


SUITE_FILES = [path for path in (ROOT / "tests").rglob("*.*") if path.suffix in (".py", ".toml")]
SUITE = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in SUITE_FILES}
GUARDS = {
    "Makefile": faults_of_makefile,
    ".ci/run": faults_of_ci,
    "pyproject.toml": faults_of_pyproject,
    ".gitignore": faults_of_gitignore,
    "tests/conftest.py": faults_of_conftest,
    "tests/helpers/nbval_sanitize.cfg": faults_of_sanitizer,
}
tools_there = all(map(shutil.which, ("make", "bash", "git")))
pytestmark = pytest.mark.skipif(not tools_there, reason="make, bash and git are missing")


def faults(name, text, folder):
    guard = GUARDS[name]
    return guard(text, folder / "world") if guard in (faults_of_ci, faults_of_gitignore) else guard(text)


@pytest.mark.parametrize("name", GUARDS)
def test_nothing_is_lost(name, tmp_path):
    assert [f"{name}: {fault}" for fault in faults(name, read(name), tmp_path)] == []


def test_the_suite_keeps_no_test_from_running_or_failing():
    assert list(faults_of_suite(SUITE)) == []
    gone = {excuse: name for excuse, name in EXCUSES.items() if excuse.split(": ", 1)[1] not in SUITE[name]}
    assert gone == {}, "take these excuses out of EXCUSES"


def test_every_notebook_is_a_lesson_that_is_checked():
    others = {path.name for path in NOTEBOOKS.glob("*.ipynb")} - {path.name for path in LESSON_FILES}
    assert others == {"corrections.ipynb"}, "lessons() in tools/anatomy.py finds the lessons for every guard"


def test_make_lists_its_verbs():
    printed = subprocess.run(["make"], cwd=ROOT, env=CLEAN, capture_output=True, encoding="utf-8").stdout
    assert re.findall(r"^  make (\S+) +\S", printed, re.MULTILINE) == re.findall(
        r"^(\w+):.*## ", read("Makefile"), re.MULTILINE
    )


def test_no_other_file_overrules_pyproject():
    names = ("pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", ".coveragerc", "ruff.toml", ".ruff.toml", "mypy.ini")
    assert [name for name in (*names, ".mypy.ini", "GNUmakefile", "makefile") if (ROOT / name).exists()] == []


LOSSES = [  # (file, what stands there, what a slip makes of it, a word of the message)
    ("Makefile", "ruff format --check .", "ruff format .", "make quick lacks"),
    ("Makefile", "\t$(RUN) -m mypy", "\t-$(RUN) -m mypy", "would pass"),
    ("Makefile", "--cov=ganlib tests", "--cov=ganlib tests | tail -20", "would pass"),
    ("Makefile", "$(NBVAL) notebooks\n", "$(NBVAL) notebooks/02*.ipynb\n", "lessons 01 02 03 04"),
    ("Makefile", "browser notebooks tables", "browser tables", "notebooks is not in .PHONY"),
    ("Makefile", "$(VENV)/.%: pyproject.toml requirements.lock", "$(VENV)/.%: pyproject.toml", "must install again"),
    ("Makefile", '"$(TORCH)" $(TORCH_INDEX)', '"$(TORCH)"', "CPU build"),
    ("Makefile", "pip install -r $(COLAB)/requirements.txt", "pip install numpy", "packages of Colab"),
    ("Makefile", "VENV := .venv\n", "VENV := .venv\nexport PYTHONWARNINGS := ignore\n", "every check runs"),
    ("Makefile", "quick: $(VENV)/.test", "quick: $(VENV)/.tests", "make refuses it"),
    (".ci/run", "set -euo pipefail\n", "", "a failure of"),
    (".ci/run", '"$work/cache-1" make test\n', '"$work/cache-1" make quick\n', "its runs are"),
    (".ci/run", '"$work/cache-1" make test-colab\n', '"$work/cache-1" make test-colab || true\n', "make test-colab"),
    (".ci/run", "GANLIB_OFFLINE=1 GANLIB_CACHE", "GANLIB_CACHE", "'make test-data' runs in"),
    (".ci/run", 'cd "$work/ganlib"', "cd ganlib || true", "runs in"),
    (".ci/run", "rm -rf", "ls", "it ends with status"),
    (".ci/run", "    exit 1\n", "", "a second run"),
    (".ci/run", ' ||\n        echo "Chromium', '\n        echo "Chromium', "without Chromium"),
    ("pyproject.toml", 'filterwarnings = ["error"]', 'filterwarnings = ["default"]', "filterwarnings is"),
    ("pyproject.toml", "xfail_strict", 'norecursedirs = ["browser"]\nxfail_strict', "norecursedirs is"),
    ("pyproject.toml", '"B", "C4"', '"C4"', "select is"),
    ("pyproject.toml", '"ganlib.exercises.lesson_06"]', '"ganlib.exercises.lesson_06", "ganlib.gan"]', "looks away"),
    (".gitignore", "mine/\n", "", "mine/02.ipynb must be ignored"),
    (".gitignore", "results/\n", "*.json\n", "04_claims.json must not be ignored"),
    ("tests/conftest.py", "(autouse=True)", "", "environment"),
    ("tests/conftest.py", "torch.set_num_threads(1)", "torch.set_num_threads(2)", "every test needs"),
    ("tests/helpers/nbval_sanitize.cfg", r"^(\u2713 [^(\n]+) \(.*\)$", r"^(\u2713 ).*$", "it hides"),
    ("tests/helpers/nbval_sanitize.cfg", r"replace: \1 (...)", "replace: N", "masks"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "old", "new", "message"), LOSSES)
def test_a_loss_is_noticed(name, old, new, message, tmp_path):
    text = read(name)
    assert old in text, "plant this loss in what now stands there"
    assert any(message in fault for fault in faults(name, text.replace(old, new, 1), tmp_path))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("def test_a():\n    run()", "asserts nothing"),
        ("def tset_a():\n    assert True", "nobody calls tset_a"),
        ("import pytest\npytest.skip('later')", "a new excuse, 'skip: later'"),
        ("import pytest\n\n@pytest.mark.xfail(reason='hard')\ndef test_a():\n    assert 0", "'xfail: hard'"),
        ("import warnings\nwarnings.simplefilter('ignore')", "a new excuse, 'simplefilter: ignore'"),
        (f"def {'pytest'}_collection_modifyitems(items):\n    items.clear()", "can switch off"),
    ],
)
def test_a_test_that_cannot_fail_is_noticed(text, fault):
    assert any(fault in found for found in faults_of_suite({"tests/test_new.py": text}))
    assert list(faults_of_suite({"tests/test_new.py": "def test_a():\n    assert True"})) == []
    assert any("named test_*.py" in found for found in faults_of_suite({"tests/gan.py": "def test_a():\n    assert 1"}))
