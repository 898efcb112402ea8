"""Each formula and each setting of the text has a twin in formulas.toml: an expression that must be true.

A formula is found in TeX and in plain signs: `D(x) = σ(s) = 1 / (1 + e⁻ˢ)`, `−γ/2 ± √(γ²/4 − 1/4)`, `a·log 2`.
"""

import ast
import difflib
import inspect
import re

import anatomy
import labels  # noqa: F401
import nbformat
import numpy as np
import pytest
import quality  # noqa: F401
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from scipy import integrate, linalg, special, stats
from scipy.spatial import distance  # noqa: F401
from sklearn import discriminant_analysis  # noqa: F401
from test_numbers import TWINS, blank

from ganlib import losses, metrics, models, targets  # noqa: F401
from ganlib.exercises import lesson_01, lesson_03, lesson_06  # noqa: F401

PAGES = sorted(anatomy.NOTEBOOKS.glob("*.ipynb"))
WHERE = "tests/lessons/formulas.toml"

TEX = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
NOT_TEXT = re.compile(  # code, addresses, tags, the title, names of exercises, menus and sliders in italics
    r"`[^`\n]*`|(?<=\])\([^\n]*?\)(?=\W*(?:\s|\||$))|<[^>\n]+>|https?://\S+|^# .*|\"\d\d\.\w+\""
    r"|(?<![\w*])\*[^*\n]*[→=][^*\n]*\*(?![\w*])",
    re.MULTILINE,
)
PART = re.compile(
    r"(?P<number>½|\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?: ?%)?)"
    r"|(?P<function>(?:log|exp|cos|sin|tanh|tr|softplus|sigmoid|KL|JSD|max V|𝔼)(?![A-Za-z_]))"
    rf"|(?P<name>(?:{'|'.join(TWINS['names'])})(?!\w)|(?:[pq]_\w+|P_\w+|loss_[DG]|[dg]_loss|xy)(?!\w)"
    r"|[A-Za-z](?:\*(?![\w*]))?(?![A-Za-z_\d'’])|[α-ωΣΔ∇∞])"
    r"|(?P<open>[(\[])|(?P<root>√)|(?P<sign>[−±])"
)
LINK = re.compile(r" ?[=≠<>≤≥~≈∈+−±·×/‖] ?| - ")
POWER = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ˢˣ]+")
START = re.compile(r"(?<![\w'’.])(?=[^\W_]|[−±√(\[∞½])")
LAYERS = re.compile(r"(?<![\w.-])\d+(?:-\d+){2,}(?![\w-])")
LEFT = re.compile(r"[→×±√‖]|(?<![가-힣])(?<![a-z]{2})·")  # a sign of mathematics that stands in no formula
# A value and a normal distribution are numbers: test_numbers looks for them.
VALUE = re.compile(r"(?:\w+\*? = )?(?:[−±]?[½\d.,/e-]+|(?:p|p_g) = N\(\d, \d²?\)|N\(\d, \d²?\))|p(_g)?\(0\) = [\d.]+")
MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
ROWS = re.compile(r"^\|.*\|$", re.MULTILINE)


class Reader:
    """Reads the longest expression from one place of a text on, and counts what makes it a formula."""

    def __init__(self, text):
        self.text, self.links, self.names, self.calls = text, 0, 0, 0

    def expression(self, at):
        """The end of the expression, or None."""
        end = self.term(at)
        while end is not None and (link := LINK.match(self.text, end)):
            after = self.term(link.end())
            if after is None:
                break
            self.links, end = self.links + 1, after
        return end

    def term(self, at):
        part = PART.match(self.text, at)
        if not part:
            return None
        kind, end = part.lastgroup, part.end()
        if kind in ("sign", "root"):
            end = self.term(end)
            self.links += end is not None
            return end
        if kind == "open":
            end = self.group(at)
            if end is None:
                return None
        self.names += kind in ("name", "function")
        while True:
            if power := POWER.match(self.text, end):
                self.links, end = self.links + 1, power.end()
            elif kind in ("name", "function") and self.text[end : end + 1] == "(" and (closed := self.group(end)):
                self.calls, end = self.calls + 1, closed
            else:
                return self.product(part, end)

    def product(self, part, end):
        """Goes on where a factor follows without a sign: 2 log 2, ψx, p log D, cos(πt/2) P."""
        spaced = self.text[end : end + 1] == " "
        after, kind = PART.match(self.text, end + spaced), part.lastgroup
        if not after or after.lastgroup == "sign":
            return end
        follows = after.lastgroup
        if not spaced:
            joined = follows in ("name", "function", "root") or (follows == "open" and kind == "number")
        elif kind == "function":
            a_factor = re.fullmatch("[B-Z]", after[0]) and self.text[end - 1] == ")"
            joined = bool(a_factor) if self.text[end - 1] == ")" else follows != "open"
        else:
            joined = follows == "function" and after[0] != "max V" and part[0] not in ("a", "A", "I")
        further = self.term(after.start()) if joined else None
        self.links += further is not None and "function" in (kind, follows)
        return further or end

    def group(self, at):
        """The end of what stands in brackets: expressions with commas between."""
        end = self.expression(at + 1)
        while end is not None and self.text[end : end + 2] == ", ":
            end = self.expression(end + 2)
        return end + 1 if end is not None and self.text[end : end + 1] in (")", "]") else None


def formulas(raw):
    """The places (start, end) of the formulas of a text in Markdown."""

    text = NOT_TEXT.sub(blank, anatomy.without_fences(raw))
    for pattern in (TEX, LAYERS):
        yield from (found.span() for found in pattern.finditer(text))
        text = pattern.sub(blank, text)
    left, at = list(text), 0
    while start := START.search(text, at):
        reader, at = Reader(text), start.start()
        end = reader.expression(at)
        if end is None:
            at += 1
            continue
        run = text[at:end]
        arithmetic = re.search(r" [-+−·×/] |√", run)
        left[at:end] = " " * (end - at)
        if not VALUE.fullmatch(run) and (reader.calls or arithmetic or (reader.links and reader.names)):
            yield at, end
        at = end
    yield from (found.span() for found in LEFT.finditer("".join(left)))


def without_twin(nb, twins):
    """The formulas and the rows of tables that no entry explains, each in words that say what to do."""
    for section in anatomy.sections(nb):
        for text, cell in section.pieces:
            explained = [found.span() for phrase in twins for found in re.finditer(re.escape(phrase), text)]
            explained += [(a, b) for a, b in formulas(text) if text[a:b] in TWINS["notation"]]
            wanted = [(*span, "formula") for span in formulas(text)]
            rows = [found.span() for found in ROWS.finditer(anatomy.without_fences(text))]
            free = False
            for i, (a, b) in enumerate(rows):
                if i == 0 or rows[i - 1][1] + 1 != a:
                    free = text[a:b] in TWINS["free_tables"]
                elif not free and not re.fullmatch(r"[-| :]+", text[a:b]):
                    wanted.append((a, b, "row"))
            for a, b, kind in wanted:
                if any(start <= a and b <= end for start, end in explained):
                    continue
                near = difflib.get_close_matches(text[max(a - 20, 0) : b + 20], twins, 1)
                yield (
                    f"cell {cell.id} of {section.heading!r}: no twin for the {kind} {text[a:b]!r} in "
                    f"'{text[max(a - 30, 0) : b + 20]}': correct it, or give it one in {WHERE}"
                    + (f"; the nearest there is {near[0]!r}" if near else "")
                    + (", or list the table as free_tables" if kind == "row" else "")
                )


class Code(dict):
    """The names of a lesson, each computed when it is first asked for, by the first statement that defines it."""

    def __init__(self, nb, **given):
        super().__init__(given, __name__="lesson")
        self.cells = {cell.id: cell.source for cell in nb.cells if cell.cell_type == "code"}
        self.trees = {id: ast.parse(MAGIC.sub(r"\1pass", source)) for id, source in self.cells.items()}
        self.statements, self.cell_of = {}, {}
        for id, tree in self.trees.items():
            for node in tree.body:
                for name in defined_by(node):
                    self.statements.setdefault(name, node)
                    self.cell_of.setdefault(name, id)

    def __missing__(self, name):
        if name not in self.statements:
            raise KeyError(name)
        exec(compile(ast.Module([self.statements[name]], []), self.cell_of[name], "exec"), self)
        return dict.__getitem__(self, name)

    def source(self, name):
        """The source of the function called `name`."""
        return ast.get_source_segment(self.cells[self.cell_of[name]], self.statements[name])


def defined_by(node):
    """The names that a statement of a lesson defines at the top."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    inner = (n for n in ast.walk(node) if not isinstance(node, ast.Expr))
    return [n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


# What expressions are made of. Integrals, maxima, slopes and divergences are computed in another way than in ganlib.
rng = np.random.default_rng(0)
x, inner = np.linspace(-30, 30, 6001), slice(2700, 3300)
s, real, fake = rng.normal(size=(3, 200))


def normal(mean, sd=1.0):
    return stats.norm(mean, sd).pdf(x)


def close(*values, tolerance=1e-5):
    return all(np.allclose(values[0], other, rtol=tolerance, atol=tolerance / 10) for other in values[1:])


def integral(y):
    return integrate.simpson(y, x=x)


def KL(p, q):
    return integral(special.rel_entr(p, q))


def JSD(p, q):
    """By entropies: that of the mean, less the mean of both."""
    H = [integral(special.entr(density)) for density in ((p + q) / 2, p, q)]
    return H[0] - (H[1] + H[2]) / 2


def best(score):
    """The D in (0, 1) with the largest score(D), place by place, by thirds."""
    low, high = np.zeros_like(x) + 1e-12, np.ones_like(x) - 1e-12
    for _ in range(70):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        rises = score(a) < score(b)
        low, high = np.where(rises, a, low), np.where(rises, high, b)
    return (low + high) / 2


p, p_g = normal(-0.3), normal(0.9, 1.7)
D_star = best(lambda D: p * np.log(D) + p_g * np.log1p(-D))


def V(D, p=p, q=p_g):
    return integral(special.xlogy(p, D) + special.xlog1py(q, -D))


def slope(f, at):
    """By a step along the imaginary axis."""
    return np.imag(f(at + 1e-30j)) / 1e-30


def change(f, at):
    return (f(at + 1e-4) - f(at - 1e-4)) / 2e-4


def gradient_G(loss):
    """The slope in mu of the mean of loss(logit) over N(mu, 1), while D stands still, the best against N(2, 1)."""
    return change(lambda mu: integral(normal(0) * loss(2 - 2 * (x + mu))), 2)


def eigenvalues(step):
    return np.linalg.eigvals(torch.autograd.functional.jacobian(step, torch.zeros(2)).numpy())


def softplus(s):
    return torch.nn.functional.softplus(torch.tensor(s)).numpy()


def cross_entropy(logits, target):
    logits = torch.tensor(logits)
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target)).item()


def loss(name, *logits):
    return getattr(losses, name)(*(torch.tensor(one)[:, None] for one in logits)).item()


def value(logits):
    return metrics.value_function(*map(torch.tensor, (logits, p, p_g, x)))


def course_r1(gamma, weights):
    """The penalty of the course for the logit weights · x."""
    at = torch.ones(6, len(weights), requires_grad=True)
    return gamma * losses.r1_penalty(at @ torch.tensor(weights)[:, None], at).item()


def layers(net):
    """A network in short: "784-256 ReLU Dropout(0.3) 256-1"."""
    shown = {torch.nn.Linear: "{0.in_features}-{0.out_features}", torch.nn.Dropout: "Dropout({0.p})"}
    shown |= {torch.nn.LeakyReLU: "LeakyReLU({0.negative_slope})"}
    modules = [m for m in net if not isinstance(m, torch.nn.Flatten | torch.nn.Unflatten)]
    return " ".join(shown.get(type(m), type(m).__name__).format(m) for m in modules)


def defaults(function):
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


R, F, shares = rng.normal(size=(300, 3)), 1 + 2 * rng.normal(size=(200, 3)), np.arange(1, 11) / 55
m, expit, sqrtm = (p + p_g) / 2, special.expit, linalg.sqrtm
X, Y = torch.tensor(np.concatenate([R, F])), torch.arange(500) // 300  # two classes
S = np.cov(np.concatenate([R - R.mean(0), F - F.mean(0)]).T)  # one covariance for both
STEPS = torch.arange(6.0, dtype=torch.float64)[:, None].expand(-1, 3)  # places of equal distance on a line


def log_density(of, covariance=None):
    """At X, of the Gaussian with the mean and the covariance of these rows, or with another covariance."""
    return stats.multivariate_normal(of.mean(0), np.cov(of.T) if covariance is None else covariance).logpdf(X)


of_numpy = ("pi", "inf", "sqrt", "exp", "log", "cos", "sin", "mean", "trace")
NAMES = {name: getattr(np, name) for name in of_numpy} | globals()


def faults_of_twin(phrase, why, texts, code=None):
    """What is wrong with an entry: a phrase, and an expression that is true, or {source = "why it needs none"}."""
    if not any(phrase in text for text in texts):
        yield f"{phrase!r} stands nowhere in the text: correct the text, or change or delete the entry of {WHERE}"
    if isinstance(why, dict):
        if not why.get("source") or set(why) != {"source"}:
            yield f"{phrase!r} needs an expression, or a source alone: got {why}"
        return
    if len(phrase) < 11 and [*formulas(phrase)] == [(0, len(phrase))] and not set("=‖~") & set(phrase):
        yield f"{phrase!r} would explain too much: take the words beside it along"
    try:
        with np.errstate(all="ignore"):
            true = eval(why, NAMES | {"code": code})
    except Exception as error:
        true = f"{type(error).__name__}: {error}"
    if true is not True and true is not np.True_:
        yield f"{phrase!r}: its twin {why} is {true}: correct the text, the code or the twin in {WHERE}"


def texts_of(nb):
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


@pytest.fixture(scope="module")
def pages():
    return {path.stem: nbformat.read(path, 4) for path in PAGES}


def own(stem):
    return TWINS.get(stem[:2] if stem[0].isdigit() else stem, {})


@pytest.mark.parametrize("stem", [path.stem for path in PAGES])
def test_each_formula_of_a_page_has_a_twin_that_is_true(pages, stem):
    nb, code = pages[stem], Code(pages[stem])
    found = list(without_twin(nb, TWINS["course"] | own(stem)))
    found += [fault for phrase, why in own(stem).items() for fault in faults_of_twin(phrase, why, texts_of(nb), code)]
    assert not found, "\n".join(found)


def test_the_twins_of_the_course_are_true(pages):
    texts = [text for nb in pages.values() for text in texts_of(nb)]
    found = [fault for phrase, why in TWINS["course"].items() for fault in faults_of_twin(phrase, why, texts)]
    found += [
        f"{one!r} stands nowhere: delete it from {WHERE}"
        for one in TWINS["notation"] + TWINS["free_tables"]
        if not any(one in text for text in texts)
    ]
    assert not found, "\n".join(found)


SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.IsNot: ast.Is, ast.Gt: ast.Lt}


def can_be_false(expression, code):
    """Whether some small change makes a twin false: another sign, number or text; else it would prove nothing."""
    for place, _ in enumerate(ast.walk(ast.parse(expression, mode="eval"))):
        tree = ast.parse(expression, mode="eval")
        node = list(ast.walk(tree))[place]
        if isinstance(node, ast.Constant) and not isinstance(node.value, str):
            node.value += 1
        elif isinstance(node, ast.Constant):
            node.value += "?"
        elif isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
            node.op = SWAPPED[type(node.op)]()
        elif isinstance(node, ast.UnaryOp):
            node.op = ast.UAdd()
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
            node.ops[0] = SWAPPED[type(node.ops[0])]()
        else:
            continue
        try:
            with np.errstate(all="ignore"):
                if not eval(compile(tree, "twin", "eval"), NAMES | {"code": code}):
                    return True
        except Exception:
            continue
    return False


@pytest.mark.parametrize("part", [part for part in TWINS if isinstance(TWINS[part], dict)])
def test_each_twin_can_be_false(pages, part):
    code = next((Code(nb) for stem, nb in pages.items() if own(stem) is TWINS[part]), None)
    idle = [phrase for phrase, why in TWINS[part].items() if isinstance(why, str) and not can_be_false(why, code)]
    assert idle == [], f"these twins are true after any change: let them compute two sides in {WHERE}"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("D(x) = σ(s) = 1 / (1 + e⁻ˢ). So", ["D(x) = σ(s) = 1 / (1 + e⁻ˢ)"]),
        ("p log D + p_g log(1 − D), then p/D − p_g/(1 − D).", ["p log D + p_g log(1 − D)", "p/D − p_g/(1 − D)"]),
        ("are −γ/2 ± √(γ²/4 − 1/4), and γψ²/2", ["−γ/2 ± √(γ²/4 − 1/4)", "γψ²/2"]),
        ("the path cos(πt/2) P + sin(πt/2) Q.", ["cos(πt/2) P + sin(πt/2) Q"]),
        ("V(D*, G) = −log 4 + 2·JSD이므로 a·log 2", ["V(D*, G) = −log 4 + 2·JSD", "a·log 2"]),
        ("another: KL(p_g‖p) − 2 JSD (Arjovsky), is −D.", ["KL(p_g‖p) − 2 JSD", "−D"]),
        ("**softplus**(s) = log(1 + eˢ) and 2 log 2", ["(s) = log(1 + eˢ)", "2 log 2"]),
        ("z → 256 · 2 + 2, a 784-256-1 net", ["784-256-1", "256 · 2 + 2", "→"]),
        ("$x^2$ and\n$$\\int p\n= 1$$", ["$x^2$", "$$\\int p\n= 1$$"]),
        ("D = 1/2, N(6, 1), p = N(1, 2²), s = −800, 1:1, 60,000 images, (n, 1, 28, 28) in [−1, 1], 99 %, 1 a D", []),
        ("`x = 2 * y`, *Run → Run All*, *D = ½ at*, [a](b.ipynb#x-=-y), 생성자·생성기, exercise 1a, G's, 2014", []),
    ],
)
def test_a_formula_is_found(text, wanted):
    assert sorted(text[a:b] for a, b in formulas(text)) == sorted(wanted)


SMALL = (
    "## Part\nD* is p/(p + p_g). The slope of −log D is −(1 − D), at 0 $\\tfrac12$.\n\n| layers |\n|---|\n| 2 wide |"
)
KNOWN = {"p/(p + p_g)": "True", "of −log D is −(1 − D)": "True", "at 0 $\\tfrac12$": "True", "| 2 wide |": "True"}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("p/(p + p_g)", "p/(p − p_g)", "formula 'p/(p − p_g)'"),
        ("is −(1 − D)", "is −D", "formula '−D'"),
        ("tfrac12", "tfrac13", "formula '$\\\\tfrac13$'"),
        ("| 2 wide |", "| 3 wide |", "row '| 3 wide |'"),
    ],
)
def test_a_changed_formula_is_noticed(old, new, fault):
    before, after = (
        list(without_twin(new_notebook(cells=[new_markdown_cell(text, id="text")]), KNOWN))
        for text in (SMALL, SMALL.replace(old, new))
    )
    assert before == []
    assert any(one.startswith(f"cell text of 'Part': no twin for the {fault}") for one in after), after


@pytest.mark.parametrize(
    ("phrase", "why", "fault"),
    [
        ("p/(p − p_g)", "True", "'p/(p − p_g)' stands nowhere in the text"),
        ("p/(p + p_g)", "1 > 2", "'p/(p + p_g)': its twin 1 > 2 is False"),
        ("p/(p + p_g)", "nowhere", "'p/(p + p_g)': its twin nowhere is NameError"),
        ("p/(p + p_g)", {"source": ""}, "'p/(p + p_g)' needs an expression, or a source alone"),
        ("−log D", "True", "'−log D' would explain too much"),
    ],
)
def test_a_wrong_twin_is_noticed(phrase, why, fault):
    assert [one[: len(fault)] for one in faults_of_twin(phrase, why, [SMALL])] == [fault]


def test_a_twin_that_nothing_makes_false_is_noticed():
    assert [can_be_false(one, None) for one in ("True or s is x", "close(2 * s, s + s)")] == [False, True]


def test_a_name_of_a_lesson_is_what_its_cells_make_of_it():
    cells = [
        new_code_cell("import math\n\ndef f(x):\n    return rate * x", id="a"),
        new_code_cell("rate = 3\n1 / 0", id="b"),
    ]
    code = Code(new_notebook(cells=cells))
    assert (code["f"](2), code.source("f"), code.cell_of["rate"]) == (6, "def f(x):\n    return rate * x", "b")
    with pytest.raises(KeyError):
        code["x"]
