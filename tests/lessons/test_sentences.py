"""No loose direction: each sentence that says which way, or whether, stands in sentences.toml under what shows it.

Of two opposites the lexicon needs one: whoever turns the other one round writes it.
"""

import ast
import functools
import inspect
import math
import re
import tomllib
from collections import namedtuple
from pathlib import Path

import anatomy
import pytest
import test_numbers
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from test_numbers import PAGES, cells, code, printed, shown

from ganlib import gan, judge, losses, metrics, models, targets
from ganlib.playgrounds import lesson_01, lesson_03

LIST = tomllib.loads((Path(__file__).parent / "sentences.toml").read_text(encoding="utf-8"))
GROUNDS = ("computed", "claimed", "argued")
LEXICON = r"""above alone although away bad before behind below better beyond cancel\w* cannot circle\w* decreas\w+
    differ\w* discriminative divides doubl\w+ down downhill easily ends equal\w* fall\w* false far farther fast\w*
    fell few\w* flat\w* frequent further grew grow\w* half hardly high\w* increas\w+ keeps larg\w+ last later latest
    least left less longer lose\w* lost low\w* maximis\w+ minimis\w+ misses more most moves multipl\w+
    must narrow\w* near\w* negative neither never no nobody none nor not nothing \w+n't once one-sided
    only opposite outside pale\w* positive precision rare\w* real recall rise\w* rising rose roughly
    saturating second SGD sharp\w* short\w* shrank shrink\w* simultaneous\w* slow\w* small\w* sometimes
    sooner stays? steep\w* strong\w* (?<!-)sums? thick thin towards unless until uphill weak\w* wide\w*
    win winning wins without won worse worst wrong"""
ACTOR = r"\b[DG]\b(?= (?:[a-z]+s|may|must|can|could|said|gave)\b)|(?<=\bfor )[DG]\b"  # who does it, or for whom
DIRECTION = re.compile(rf"\b(?:{'|'.join(LEXICON.split())})\b|{ACTOR}|[✓✗]", re.IGNORECASE)
NO_PROSE = re.compile(
    r"`[^`\n]*`|\$\$?[^$]+\$\$?|(?<=\])\([^)]*\)|Go further|^\|.*[가-힣] *\|$|^\*\*Further reading(?s:.*)", re.MULTILINE
)
# Of a sentence, a line, a cell of a table, whose rule stands between spaces.
END = re.compile(r"(?<=[.?!])[*\")]*\s+(?=[^a-z0-9\s])|\n+|(?<!\S)\|(?!\S)|</?\w+>")


def directed(sections):
    """The sentences that say a direction, with their cell and heading; a short cell of a table has its row's head."""
    for section in sections:
        for raw, cell in section.pieces:
            text, start = NO_PROSE.sub(test_numbers.blank, anatomy.without_fences(raw)), 0
            for end, after in [*(found.span() for found in END.finditer(text)), (len(raw), 0)]:
                if DIRECTION.search(text[start:end]):
                    one, row = raw[start:end].strip(" -"), raw[raw.rfind("\n", 0, start) + 1 : start]
                    if row.startswith("|") and len(one.split()) < 4 and (head := row.split("|")[1].strip()):
                        one = f"{head}: {one}"
                    yield one, cell.id, section.heading
                start = after


def quality(recipe, step, weights="averaged", column="frechet"):
    rows = test_numbers.recorded("04_quality", column, recipe=recipe, step=step, weights=weights)
    return test_numbers.NAMES["median"](rows)


def toys(sweep, setting):
    """The Wasserstein-1 distances of 03_toys, of all seeds."""
    rows = test_numbers.recorded("03_toys", "wasserstein", sweep=sweep, setting=setting)
    return [distance for row in rows for distance in row]


def source(cell, page=None):
    """The code of a cell, of this page where two have its name."""
    if page is None:
        return code(cell).source
    return next(one.source for section in cells(page) for one in section.code if one.id == cell)


def split(centre, s, width):
    return targets.Mixture((centre - s, centre + s), (width, width))


def best(p, q):
    return p.log_density(x) - q.log_density(x)


@functools.cache
def V(p, q, logits=None):
    """V(D, G) of the logits on the line, or of the best D."""
    return metrics.value_function(best(p, q) if logits is None else logits, p.density(x), q.density(x), x)


def bend(p, q):
    """How far the logit of the best D is from a straight line."""
    return torch.diff(best(p, q)[::20], n=2).abs().max()


def truth(x1, x2):
    """p(B|x) of the painters."""
    return (B.log_density(t((x1, x2))) - A.log_density(t((x1, x2)))).sigmoid()


@functools.cache
def overlap():
    """The errors of the best rule: each place belongs to the painter who is more likely there."""
    steps = torch.linspace(-7, 7, 281, dtype=torch.float64)
    places = torch.cartesian_prod(steps, steps)
    return torch.minimum(A.density(places), B.density(places)).sum() / 2 * 0.05**2


@functools.cache
def gap(k):
    """How much more often k neighbours, who know 1,000 paintings, err on 1,000 new ones than on these."""
    rng, y = torch.Generator().manual_seed(0), torch.arange(1000) // 500
    known, new = (torch.cat([A.sample(500, rng), B.sample(500, rng)]) for _ in range(2))
    nearest = (torch.cdist(asked, known).topk(k, largest=False).indices for asked in (known, new))
    on_known, on_new = ((y[which].double().mean(1).round() != y).double().mean() for which in nearest)
    return on_new - on_known


@functools.cache
def playground():
    view = lesson_01.models_playground()
    view.draw = lambda _: view.png  # nobody looks at its pictures here
    return view


Said = namedtuple("Said", "distance labels draw logistic gaussians best logistic_at_star gaussians_at_star usual")


@functools.cache
def play(labels, draw, distance=2):
    """What the playground of lesson 01 says: the errors of both models, p(B|x) at the star, and how usual it is."""
    for name, value in (("distance", distance), ("draw", draw), ("labels", labels)):
        playground().controls[name].value = value
    text = playground().sentence.value.translate({new: old for old, new in lesson_01.POWERS.items()})
    return Said(*(one.value for one in test_numbers.numbers(text.replace("star, 10", "star, 1e"))))


def likelihood(centre, width):
    """The mean log-likelihood of the points in "Fit a Gaussian by hand"."""
    return N(centre, width).log_density(lesson_01.POINTS).mean()


def slope(loss, logit):
    s = torch.tensor(float(logit), requires_grad=True)
    return torch.autograd.grad(loss(s), s)[0].item()


N, t = targets.normal, torch.tensor
A, B = (targets.Gaussian((mean, 0), ((1, 0.6), (0.6, 1))) for mean in (-1, 1))  # the painters of lesson 01
x = torch.linspace(-40, 40, 2001, dtype=torch.float64)
OTHERS = ("latent", "network", "batchnorm", "dropout", "r1")  # changes of the recipe beside Adam's settings
NAMES = test_numbers.NAMES | {
    "__builtins__": __builtins__,  # which torch looks for
    "helps": lambda change: quality("textbook", 3000, "raw") / quality(f"textbook with {change}", 3000, "raw"),
    "missed": lambda change: quality(f"better without {change}", 3000) / quality("better", 3000),
    "size": lambda name: sum(map(models.count_parameters, getattr(models, f"{name}_pair")())),
    "sigmoid": lambda s: 1 / (1 + math.exp(-s)),
    "KL": lambda p, q: metrics.kl_divergence(p.density(x), q.density(x), x),
    "JSD": lambda p, q: metrics.js_divergence(p.density(x), q.density(x), x),
    "cloud": torch.randn(300, 2, generator=torch.Generator().manual_seed(0)),
}
for one in (printed, shown, source, quality, toys, split, best, bend, V, truth, overlap, gap, play, likelihood, slope):
    NAMES[one.__name__] = one
for one in (gan, inspect, judge, lesson_01, lesson_03, losses, metrics, models, targets, torch):
    NAMES[one.__name__.rpartition(".")[2]] = one
NAMES |= {"A": A, "B": B, "N": N, "t": t, "x": x, "OTHERS": OTHERS}
TURNED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.In: ast.NotIn}
TURNED |= {ast.NotEq: ast.Eq, ast.NotIn: ast.In}


def value(tree):
    return bool(eval(compile(tree, "<expr>", "eval"), dict(NAMES)))


def faults_of_expression(expr):
    """Whether an expression is false, or holds as well when one of its comparisons is turned round."""
    tree = ast.parse(expr, mode="eval")
    try:
        if not value(tree):
            yield f"{expr} is false: correct the sentences listed under it, or what should show them"
    except Exception as error:
        yield f"{expr} cannot be computed, {error!r}: correct it"
        return
    comparisons = [(node, k) for node in ast.walk(tree) if isinstance(node, ast.Compare) for k in range(len(node.ops))]
    if not comparisons:
        yield f"{expr} compares nothing"
    for node, k in comparisons:
        kept, node.ops[k] = node.ops[k], TURNED[type(node.ops[k])]()
        if value(tree):
            yield f"{expr} shows no direction: {ast.unparse(tree)} is true as well"
        node.ops[k] = kept


def claims(sections):
    """The sentences of the claims in the code, and the names of their parts."""
    for section in sections:
        for node in (node for cell in section.code for node in ast.walk(ast.parse(cell.source))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim":
                yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))


def sentences(grounds):
    """The listed sentences, each with what shows it and the kind of that."""
    return [(one, ground, kind) for kind, of in grounds.items() for ground, listed in of.items() for one in listed]


def faults(grounds, sections, everywhere=(), of_course=()):
    """What is wrong with a page and its list; `everywhere`: sections of other pages whose claims it may lean on."""
    said, listed = set(claims([*sections, *everywhere])), sentences(grounds)
    here = [one for one, _, _ in directed(sections)]
    for one, cell, heading in directed(sections):
        if one not in {*(sentence for sentence, _, _ in listed), *of_course}:
            yield (
                f"cell {cell} of {heading!r}: {one!r} is not in tests/lessons/sentences.toml: turn it back if it was "
                "right before, or list it under what shows it, in the place of the old one"
            )
    for one, ground, kind in listed:
        if (n := here.count(one)) != 1:
            what = "correct the sentence, or delete it there" if n == 0 else "say it in other words"
            yield f"{one!r}, listed under {ground!r}, stands {n} times among the sentences that say a direction: {what}"
        if kind == "claimed" and ground not in said:
            yield f"{one!r} leans on {ground!r}, which no claim says"
    yield from (f"unknown list {kind!r}" for kind in grounds if kind not in GROUNDS)
    for expr in grounds.get("computed", ()):
        yield from faults_of_expression(expr)


OF_COURSE = [one for one, _, _ in sentences(LIST["course"])]


@pytest.mark.parametrize("page", PAGES)
def test_each_direction_of_the_prose_is_shown(page):
    everywhere = [section for name in PAGES for section in cells(name)] if page == "corrections" else ()
    found = list(faults(LIST[page], cells(page), everywhere, OF_COURSE))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "corrections"])
def test_the_sentences_of_the_course_stand_in_every_lesson(page):
    missing = set(OF_COURSE) - {one for one, _, _ in directed(cells(page))}
    assert not missing, f"correct {sorted(missing)}, or list it for its lessons alone"


SMALL = """## Part
- Both losses fall when D rises. Which is *never* bad (for G).

| you may read | what is so |
|---|---|
| the loss grows | it shrinks, see *Part* |
| D | real, or fake |
| G | p(y\\|x) never |

`no word` of $x\\text{ below }0$ in [a link](page.html#far-away). Nothing is lost.
"""
LISTED = ["Both losses fall when D rises.", "Which is *never* bad (for G).", "the loss grows", "it shrinks, see *Part*"]
LISTED += ["D: real, or fake", "G: p(y\\|x) never"]
CLAIM = 'claim("both fall", {"D wins": a < b, "G loses": b < a}, "no claim")'


def found_in(text, grounds):
    cells = [new_markdown_cell(text, id="text"), new_code_cell(CLAIM)]
    return list(faults(grounds, anatomy.sections(new_notebook(cells=cells)), of_course=["Nothing is lost."]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("D rises", "D falls"),
        ("D rises", "G rises"),
        ("*never* bad (for G)", "always good"),
        ("Nothing", "All"),
        ("lost.", "lost. It is Lower."),
        ("| D | real, or fake |\n| G | p(y\\|x) never |", "| G | real, or fake |\n| D | p(y\\|x) never |"),
    ],
)
def test_a_turned_direction_is_noticed(old, new):
    assert found_in(SMALL, {"argued": {"a source": LISTED}}) == []
    found = found_in(SMALL.replace(old, new), {"argued": {"a source": LISTED}})
    assert any(one.startswith("cell text of 'Part': ") or "stands 0 times" in one for one in found)


@pytest.mark.parametrize(
    ("fault", "kind", "ground"),
    [
        (None, "computed", "len([1]) < 2 and all(x > 0 for x in (1, 2))"),
        (None, "claimed", "G loses"),
        ("log(2) < 0 is false", "computed", "log(2) < 0"),
        ("1 < 2 or 2 < 3 shows no direction: 1 > 2 or 2 < 3 is true", "computed", "1 < 2 or 2 < 3"),
        ("all((x > 0 for x in ())) shows no direction", "computed", "all((x > 0 for x in ()))"),
        ("True compares nothing", "computed", "True"),
        ("> 0 cannot be computed, ValueError('substring not found')", "computed", 'shown("fixed", "W") > 0'),
        ("leans on 'G wins', which no claim says", "claimed", "G wins"),
        ("unknown list 'agued'", "agued", "a source"),
    ],
)
def test_a_wrong_ground_is_noticed(fault, kind, ground):
    found = found_in(SMALL, {kind: {ground: LISTED}})
    assert any(fault in one for one in found) if fault else found == []


def test_a_sentence_that_stands_twice_is_noticed():
    found = found_in(f"{SMALL}\n{LISTED[0]}", {"argued": {"a source": LISTED}})
    assert [one.split("among")[0] for one in found] == [
        "'Both losses fall when D rises.', listed under 'a source', stands 2 times "
    ]
