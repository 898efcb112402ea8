"""README.md and CONTRIBUTING.md keep their promises: commands, files, links, programs, numbers and tables.

Each check takes the texts, so that a slip planted in them shows that it is noticed.
"""

import ast
import contextlib
import importlib.util
import io
import json
import math
import re
import shlex
import tokenize
import tomllib
from pathlib import Path

import anatomy
import nbformat
import pytest
import quality
import torch
import yaml
from sklearn.datasets import load_digits

from ganlib import metrics

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
MAKEFILE, CI, IGNORED = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", ".ci/run", ".gitignore"))
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, EXTRAS = TOML["project"], TOML["project"]["optional-dependencies"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
SPEED = json.loads((ROOT / "benchmarks/results.json").read_text(encoding="utf-8"))
TITLES = {
    path: nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
    for path in sorted(anatomy.NOTEBOOKS.glob("*.ipynb"))
}
SOURCES = "".join(p.read_text(encoding="utf-8") for f in ("ganlib", "tools", "tests") for p in (ROOT / f).rglob("*.py"))
OWN = Path(__file__).read_text(encoding="utf-8")  # of it only the names of lists count: it holds slips on purpose
WORDS = set(re.findall(r"\w+", SOURCES.replace(OWN, ""))) | set(re.findall("^[A-Z]+", OWN, re.MULTILINE))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


# Commands


def commands(text):
    """What a page tells to type: the lines of its shell blocks, and what stands in backticks and begins so."""
    lines = [line for kind, block in FENCE.findall(text) if kind in ("sh", "powershell") for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    lines += [span for span in spans if re.match(r"(make|pip|git|apt-get|jupyter|conda|\S*python)( |$)", span)]
    for line in lines:
        yield from (shlex.split(part) for part in re.split("&&", re.sub(r"\s#.*", "", line)))


def fault_of_command(words):
    """What is wrong with a command, or None."""
    name, *rest = words
    plain = [word for word in rest if not word.startswith("-")]
    if name == "make":
        for word in rest:
            variable, _, value = word.partition("=")
            if not re.search(rf"^{variable} \?=" if "=" in word else rf"^{word}:", MAKEFILE, re.MULTILINE):
                return f"the Makefile knows no {word}"
            if variable == "LESSON" and value not in ("NN", "changed", *(path.name[:2] for path in TITLES)):
                return f"there is no lesson {value}"
    elif name.endswith(("python", "python3")) or name == "py":
        script = next((word for word in plain if word.endswith(".py")), None)
        if script and not (ROOT / script).is_file():
            return f"there is no {script}"
        if script:
            source = (ROOT / script).read_text(encoding="utf-8")
            lost = [w for w in rest if w.startswith("--") and f'("{w}"' not in source]
            return f"{script} knows no {lost[0]}" if lost else None
        module = rest[rest.index("-m") + 1]
        if not importlib.util.find_spec(module):
            return f"there is no module {module}"
        return fault_of_command(["pip", *rest[rest.index("pip") + 1 :]]) if module == "pip" else None
    elif name == "pip":
        for word in plain[1:]:
            if extra := re.fullmatch(r"\.\[(\w+)\]", word):
                if extra[1] not in EXTRAS:
                    return f"pyproject.toml has no extra {extra[1]}"
            elif word != "torch" and not (ROOT / word).exists():
                return f"there is no {word}"
    elif name == "conda":
        if not (rest[-1] == CONDA["name"] if rest[0] == "activate" else (ROOT / rest[-1]).is_file()):
            return f"conda finds no {rest[-1]}"
    elif name == "apt-get":
        return None if f"{rest[-1]};" in CI else f".ci/run installs no {rest[-1]}"
    elif name in ("jupyter", "cp"):
        paths = [word for word in plain if word != "lab" and not word.startswith("mine/")]
        return next((f"there is no {path}" for path in paths if not (ROOT / path).exists()), None)
    elif name == "mkdir":
        return None if f"{rest[-1]}/\n" in IGNORED else f"git does not leave {rest[-1]} alone"
    elif name == "cd":
        return None if rest == [PROJECT["name"]] else f"a clone is not called {rest}"
    elif name == "git":
        known = {"clone ADDRESS ganlib", "pull", "checkout notebooks", "add .", ""}
        return None if " ".join(rest) in known else f"nobody has tried git {' '.join(rest)}"
    else:
        return "nobody has tried it: say in fault_of_command of test_readme.py how to"
    return None


def faults_of_installs(text):
    """What a block runs after it has installed ganlib, without the extra that brings it."""
    for _, block in FENCE.findall(text):
        for extra in re.findall(r"-e \"?\.(?:\[(\w+)\])?", block):
            brought = " ".join(EXTRAS.get(extra, [])) + " pip venv"
            ran = re.findall(r"-m (\w+)", block)
            yield from (f"-e .[{extra}] does not bring {module}" for module in ran if module not in brought)


# Names, links, numbers


def slug(heading):
    """The anchor of a heading, as a forge writes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def faults_of_links(text):
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)}
    for words, target in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", FENCE.sub("", text)):
        title = TITLES.get(ROOT / target, words)
        if target.startswith("#") and (target[1:] not in anchors or target[1:] != slug(words)):
            yield f"[{words}]({target}) leads to no heading of this name"
        elif not target.startswith(("#", "https://")) and not (ROOT / target).is_file():
            yield f"[{words}]({target}): there is no such file"
        elif "corrections" not in target and title.partition(" · ")[2] not in ("", words):
            yield f"[{words}]({target}): its title is {title}"
        elif words.endswith(".md") and words != target:
            yield f"[{words}]({target}): another file than it says"


def faults_of_names(text):
    """Names in backticks that are no file, and are no word of the code either."""
    for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
        place = re.sub("NN_name|NN|NAME", "*", span)
        if re.fullmatch(r"[\w./*-]*(?:/[\w.*-]*|\.(?:md|py|toml|lock|yml|json|ipynb))", place):
            bases = ("", "tests", "tests/lessons", "tests/exercises", "notebooks")
            known = [*IGNORED.split(), "mine/", "mnist/", "fashion-mnist/", "MNIST/raw/"]
            if span not in known and not any(True for base in bases for _ in (ROOT / base).glob(place.lstrip("/"))):
                yield f"`{span}`: there is no such file"
        elif not next((word for word in commands(f"`{span}`")), None):
            parts = set(re.findall(r"[A-Za-z_]\w+", re.sub(r'"[^"]*"|#.*|\$', "", span)))
            if lost := parts - WORDS - {"N", "CITATION", *re.findall(r"[\w-]+", MAKEFILE + IGNORED)}:
                yield f"`{span}`: no program of the project holds {sorted(lost)}"


NUMBER = (
    r"(?<![\w.])[−-]?\d[\w.,]*(?<![.,])|\b(?:one|two|three|ten) (?:minutes?|seconds?|hours?)\b|an? (?:minute|hour)\b"
)
PYTHON = PROJECT["requires-python"].removeprefix(">=")
UNWRITTEN = [f"0{n}" for n in range(1, 7) if not list(anatomy.NOTEBOOKS.glob(f"0{n}_*"))]
MACHINE = SPEED["machine"]
FACTS = {  # what a page says, with each number of its prose -> whether it is true, or what shows it
    "README.md": {
        "On Linux or macOS, with Python 3.11 or newer": PYTHON == "3.11" and "(3, 11)" in MAKEFILE,
        "It takes two or three minutes the first time, and about 1.1 GB of disk": "timed, and du -sh .venv, on Linux",
        "Nothing is installed outside the folder": "VENV in the Makefile",
        "the answers are closed": "tests/lessons/test_anatomy.py",
        "Lesson 05 (a VAE compared) is being written": UNWRITTEN == ["05"],
        "may print ✗ instead of ✓. That is no error": "tests/test_claims.py",
        "In one exercise of each lesson you write such a check yourself": "tests/exercises/test_exercises.py",
        "A lesson runs from any folder": "tests/test_wheel.py",
        "A copy carries the package inside, so it needs no repository": "tests/test_colab.py",
        "The answers to guesses are left out of it, and none of Colab's own packages is replaced": True,
        "made from the 1,797 handwritten digits that scikit-learn ships": len(load_digits().target) == 1797,
        "does the same, without a stand-in": "tests/test_data.py",
        "Imports go down only": "tests/test_structure.py",
        "goes on bit for bit, or gives its weights alone": "tests/test_checkpoints.py",
        "is trained once (about 10 seconds) and kept in the cache": "tests/test_judge.py; timed on two cores",
        "densities are exact, and integrals are computed on a grid": "tests/test_targets.py, tests/test_metrics.py",
        "a wrong answer raises `AssertionError`; a stub does not": "tests/exercises/test_engine.py",
        "since the second never meets the answer": "tests/exercises/test_engine.py",
        f"Measured on {MACHINE['cpu']} ({MACHINE['instructions']}, {MACHINE['cores']} cores), torch "
        f"{MACHINE['torch'].partition('+')[0]}, one thread, {SPEED['images']}, batches of 128.": True,
        "the linter, the type checker, the unit tests with coverage, and every lesson": "tests/test_guards.py",
        "It says which data it uses, and what it skips and why": "tests/test_guards.py",
        "It takes about ten minutes on two cores once it is installed": "timed",
        "no training and no Jupyter kernel, in less than a minute": "in a minute" in MAKEFILE,
        "Code: MIT. Text and figures of the lessons: CC BY 4.0.": PROJECT["license"] == "MIT AND CC-BY-4.0"
        and PROJECT.get("license-files") == ["LICENSE"]
        and all(words in (ROOT / "LICENSE").read_text(encoding="utf-8") for words in ("\nMIT License\n", "CC BY 4.0")),
    },
    "CONTRIBUTING.md": {
        "`make test` installs everything into `.venv` and runs every check": "tests/test_guards.py",
        "`make quick` runs in less than a minute": "in a minute" in MAKEFILE,
        "adds nbdime": any("nbdime" in line for line in EXTRAS["dev"]),
        "Real comes before fake. Training is counted in steps": "tests/test_losses.py",
        "0-dim tensors": "tests/test_gan.py",
        "Images are floats (n, 1, 28, 28) in [-1, 1]": "tests/test_images.py",
        "gradients at −40, 0 and 40": "tests/test_losses.py",
        "Sentences have at most twenty words": "tests/lessons/test_anatomy.py",
        "midway between the worst good run and the best bad run": "tests/lessons/test_lesson_02.py",
        "half as fast again (81 against 54 steps per second)": 1.4 < 81 / 54 < 1.6,
        "to 6 steps per second": "timed beside one other program",
        "Lesson 02 computes in float64": "float64" in next(anatomy.NOTEBOOKS.glob("02_*")).read_text(encoding="utf-8"),
    },
}


def prose(text):
    """A page without programs, tables, code, targets of links and numbers of lists, in one line."""
    text = re.sub(r"^\|.*$|^\d+\. |\]\([^)]*\)", "", FENCE.sub("", text), flags=re.MULTILINE)
    return re.sub(r"\s+", " ", text)


def faults_of_numbers(page, text):
    text = bare = prose(text)
    for phrase, fact in FACTS[page].items():
        gone = any(not (ROOT / name).exists() for name in re.findall(r"tests/[\w/]+[.]py", str(fact)))
        if fact is False or gone or phrase not in text:
            yield f"{phrase!r} is not true, not tested, or not said any more: see FACTS of test_readme.py"
        bare = bare.replace(phrase, "")
    for number in re.finditer(NUMBER, re.sub(r"`[^`]*`", "", bare)):
        near = number.string[max(0, number.start() - 30) : number.end() + 20]
        yield f"{number[0]!r} near {near!r} is not in FACTS of test_readme.py: say there what shows it"


# Tables and pictures of the README


def table(text, heading):
    """The rows of the table that follows a line beginning with `heading`."""
    rows = re.findall(r"^\|(.*)\|$", text.partition(heading)[2].partition("\n#")[0], re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows]


def readers_of_settings():
    """The environment variables that the package and the lessons read."""
    return set(re.findall(r"""(?:environ\b[^"'\n]*|_setting\()["'](GANLIB_\w+)["']""", SOURCES_OF_SETTINGS))


SOURCES_OF_SETTINGS = "".join(
    path.read_text(encoding="utf-8") for path in [*(ROOT / "ganlib").rglob("*.py"), ROOT / "tools/colab.py"]
)
MEANINGS = {  # tried in test_files.py, test_data.py, test_colab.py and test_claims.py
    "GANLIB_DATA": "a folder with `mnist/` or `fashion-mnist/` inside, looked at first",
    "GANLIB_CACHE": "another folder for the cache",
    "GANLIB_OFFLINE=1": "never use the network",
    "GANLIB_SEED=3": "shift every seed of a lesson",
    "GANLIB_STRICT=1": "a false claim raises an error; the tests set it",
}


def faults_of_tables(text):
    settings = {name.strip("`"): meaning for name, meaning in table(text, "without a stand-in.")[2:]}
    if settings != MEANINGS or {name.split("=")[0] for name in settings} != readers_of_settings():
        yield f"the table of variables says {settings}, the code reads {readers_of_settings()}: see MEANINGS"
    one, steps = SPEED["latency_ms"]["1"], SPEED["steps"]["1"]
    speed, products = steps["per_second"], steps["time_to_products"]["median"]
    textbook = f"{speed['ours']:.0f} steps/s, {products:.2f} ×"
    beyond = sum(SPEED["import_seconds"].values()) - SPEED["import_seconds"]["torch"]
    walls = ", ".join(f"{lesson['wall']:.0f} s" for lesson in SPEED["lessons"].values())
    numbers = " and ".join(name[:2] for name in SPEED["lessons"])
    wanted = [
        ["textbook GAN, `GAN.step`, and the time over its matrix products alone", textbook],
        ["better recipe (BatchNorm, R1, average), `GAN.step`", f"{speed['better']:.0f} steps/s"],
        ["slider of the slowest playground to new picture, kernel CPU", f"{max(one.values()):.1f} ms"],
        ["import of ganlib beyond torch", f"{beyond:.2f} s"],
        [f"lessons {numbers}, *Run All*, start of the kernel included", walls],
    ]
    found = table(text, "## Speed")[2:]
    yield from (f"speed: {row} is not in benchmarks/results.json, {wanted}" for row in found if row not in wanted)
    lessons = {int(row[0]): row for row in table(text, "## Lessons")[2:]}
    files_of = {int(path.name[:2]): path.name for path in anatomy.lessons()}
    if {n: re.search(r"\(notebooks/(.*)\)", row[1])[1] for n, row in lessons.items()} != files_of:
        yield f"the table of lessons has {list(lessons)}, notebooks/ has {files_of}"
    places = " ".join(re.findall(r"^\d\. (.*)$", text.partition("in this order")[2].partition("\n|")[0], re.MULTILINE))
    order = ["$GANLIB_DATA", "mnist/", "MNIST/raw/", "folder itself", "cache", "network", "stand-in"]
    if [places.find(word) for word in order] != sorted(places.find(word) for word in order) or places.find("$") < 0:
        yield f"the places of the data are not told in the order of data.load: {order}"


# The programs of the README, as one program


def run(source, names, mode="exec"):
    """The value of a piece of a program, and what it prints, in one line."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        value = eval(compile(source, "README.md", mode), names)
    return value, " ".join(out.getvalue().split())


def is_image(name, count):
    def holds(names, value, out):
        x = names[name]
        return x.shape == (count, 1, 28, 28) and -1 <= x.min() < 0 and x.max() <= 1

    return holds


def densities(n):
    return n["p"].density(n["x"]), n["p_g"].density(n["x"])


COMMENTS = {  # what a comment of a program says -> whether it holds after its line
    "not yet. The sign is wrong ...": lambda n, v, out: "not yet. The sign is wrong" in out,
    'a first hint; hint("04.generator_loss", 2) says more': lambda n, v, out: (
        out != run('hint("04.generator_loss", 2)', n)[1]
    ),
    "one way to do it": lambda n, v, out: "def " in out and "return" in out,
    "(60000, 1, 28, 28) in [-1, 1]": is_image("images", 60000),
    "(10000, 1, 28, 28) in [-1, 1]": is_image("fakes", 10000),
    "all of it, under equal settings": lambda n, v, out: n["gan"].steps_done == 2,
    "the networks, also those of a GPU on a CPU": lambda n, v, out: True,
    "in our judge's features, not the FID of papers": lambda n, v, out: v > 0,
    "does each digit appear?": lambda n, v, out: v >= 0,
    "label accuracy: how many look like a 7?": lambda n, v, out: (
        v == (n["the_judge"].read(n["sevens"]).probabilities.argmax(1) == 7).double().mean().item()
    ),
    "what they teach": lambda n, v, out: 0 < v < 1,
    "logits of p / (p + p_g)": lambda n, v, out: torch.allclose(
        n["best_D"].sigmoid() * sum(densities(n)), densities(n)[0]
    ),
    "-log 4 + 2 JSD": lambda n, v, out: math.isclose(
        v, -math.log(4) + 2 * metrics.js_divergence(*densities(n), n["x"]), abs_tol=1e-9
    ),
    "here runs the answer: names with numbers, arrays and strings": lambda n, v, out: all(
        isinstance(name, str) for name in n["facts"]
    ),
    "False": lambda n, v, out: v is False,
}


def faults_of_programs(blocks, names):
    """Run the blocks in order, with two steps of training, and hold each comment against what its line did."""
    for block in blocks:
        block = re.sub(r"until=\d+", "until=2", block)
        tokens = tokenize.generate_tokens(io.StringIO(block).readline)
        said = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
        for node in ast.parse(block).body:
            comment, source = said.get(node.end_lineno), ast.get_source_segment(block, node)
            try:
                value, printed = run(source, names, "eval" if isinstance(node, ast.Expr) else "exec")
            except Exception as error:
                yield f"{source!r} raises {error!r}"
                return
            if comment in COMMENTS and not COMMENTS[comment](names, value, printed):
                yield f"{source!r} does not do what its comment says: {comment!r}"


def programs(text):
    """All programs of a page, and those that need no training and no data."""
    blocks = [block for kind, block in FENCE.findall(text) if kind == "python"]
    return blocks, [block for block in blocks if not re.search(r"\bgan\b|judge", block)]


def faults_of_order(blocks):
    """Calls that take fakes before real samples: nothing would stop, and precision would be called recall."""
    calls = (node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call))
    for call in calls:
        first, second = [*map(ast.unparse, call.args[:2]), "", ""][:2]
        if first.startswith("fake") and second.startswith("real"):
            yield f"real comes before fake, and not {ast.unparse(call)}"


def faults_of_recipe(text):
    """Whether the GAN of the README is the better recipe, whose record the lesson shows."""
    block = next(block for block in programs(text)[0] if "GAN(" in block)
    names, (recipe, steps) = {}, quality.recipe_of("better", seed=0)
    try:
        exec(block.partition("for step")[0].replace('data.load("mnist").train_images', "None"), names)
    except Exception as error:
        yield f"the program with GAN(...) raises {error!r}"
        return
    ours, theirs = names["gan"].settings.items(), recipe.settings.items()
    differ = {name: value for name, value in ours if (name, value) not in theirs and not name.endswith("fused")}
    if differ or int(re.search(r"until=(\d+)", block)[1]) not in steps or "batch_size=128" not in block:
        yield f"the README trains another GAN than the better recipe of tools/quality.py: see {differ or block}"


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.data
def test_the_programs_of_the_readme_run_one_after_the_other():
    assert list(faults_of_programs(programs(PAGES["README.md"])[0], {})) == []


# All of it


def faults(page, text):
    yield from (f"{' '.join(c)}: {fault}" for c in commands(text) if c and (fault := fault_of_command(c)))
    yield from faults_of_installs(text)
    yield from faults_of_links(text)
    yield from faults_of_names(text)
    yield from faults_of_numbers(page, text)
    if page == "README.md":
        yield from faults_of_tables(text)
        said = re.findall(r"  # (.*)", "\n".join(programs(text)[0]))
        yield from (f"nobody tests the comment {line!r}: see COMMENTS" for line in said if line not in COMMENTS)
        yield from faults_of_recipe(text)
        yield from faults_of_order(programs(text)[0])
        yield from faults_of_programs(programs(text)[1], {"torch": torch})


@pytest.mark.parametrize("page", PAGES)
def test_a_page_keeps_its_promises(page):
    assert [f"{page}: {fault}" for fault in faults(page, PAGES[page])] == []


def test_the_first_version_of_the_changelog_is_that_of_the_package():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert newest == PROJECT["version"]


SLIPS = [  # (page, what stands there, what a slip makes of it, a word of the message)
    ("README.md", "make lab\n", "make start\n", "knows no start"),
    ("README.md", "cd ganlib", "cd gan-lib", "a clone"),
    ("README.md", '".[lab]"', '".[notebooks]"', "no extra notebooks"),
    ("README.md", '".[lab]"', '"."', "does not bring jupyterlab"),
    ("README.md", "-m jupyterlab notebooks", "-m jupyter_lab notebooks", "no module jupyter_lab"),
    ("README.md", "environment.yml\n", "environment.yaml\n", "conda finds no"),
    ("README.md", "mkdir -p mine", "mkdir -p my", "git does not leave my alone"),
    ("README.md", "apt-get install chromium", "apt-get install chrome", "installs no chrome"),
    ("CONTRIBUTING.md", "--html pages", "--web pages", "knows no --web"),
    ("CONTRIBUTING.md", "LESSON=04", "LESSON=10", "no lesson 10"),
    ("CONTRIBUTING.md", "`tests/test_targets.py`", "`tests/test_target.py`", "no such file"),
    ("CONTRIBUTING.md", "`load_state_dict`", "`load_state`", "no program"),
    ("README.md", "[Data](#data)", "[Data](#the-data)", "no heading"),
    ("README.md", "(notebooks/corrections.ipynb)", "(notebooks/errata.ipynb)", "no such file"),
    ("README.md", "[The minimax value function]", "[The minimax function]", "its title is"),
    ("README.md", "[CHANGELOG.md](CHANGELOG.md)", "[CHANGELOG.md](CONTRIBUTING.md)", "another file"),
    ("README.md", "without a stand-in.", "with a stand-in.", "not said any more"),
    ("README.md", "1,797", "1,979", "not in FACTS"),
    ("README.md", "`GANLIB_CACHE` | another", "`GANLIB_CACHES` | another", "the table of variables"),
    ("README.md", "1.46 ×", "1.64 ×", "is not in benchmarks/results.json"),
    ("README.md", "2. the cache of your", "2. the network, then the cache of your", "the places of the data"),
    ("README.md", "return fake_logits.sigmoid().log().mean()", "return -fake_logits.sigmoid().log().mean()", "comment"),
    ("README.md", "lr=1e-3", "lr=1e-2", "another GAN"),
    ("README.md", "(real.features, fake.features)", "(fake.features, real.features)", "real comes before fake"),
    ("README.md", "check, hint, solution\n", "check, hints, solution\n", "raises ImportError"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "old", "new", "message"), SLIPS)
def test_a_slip_is_noticed(page, old, new, message):
    assert old in PAGES[page], "plant this slip in what now stands there"
    assert any(message in fault for fault in faults(page, PAGES[page].replace(old, new, 1)))
