"""Each figure and each printed number of a lesson is held against formulas, recorded tables and settings.

Read are the stored outputs: the lessons' own run sees to it that the code gives them. The oracle `lesson_NN` yields
what each cell should show, after a line with its name: the facts of its figures (`ganlib.show.facts`), and what it
prints. Numbers are compared as far as the stored ones have digits; 0.7~0.01 has a tolerance, … is anything.
"""

import functools
import itertools
import math
import re

import anatomy
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from run_notebooks import unwrapped
from scipy.linalg import sqrtm
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import entr, expit, logsumexp, ndtr, ndtri
from scipy.stats import beta, multivariate_normal, norm
from threadpoolctl import threadpool_limits

from ganlib import tables

LESSONS = {path.name[:2]: nbformat.read(path, as_version=4) for path in anatomy.lessons()}
NUMBER = r"[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?"
WHAT_TO_DO = "Which is right? Mend the cell and run make notebooks, or mend the oracle in tests/lessons/test_figures.py"


def shown(cell):
    """What a cell shows, line by line: facts of figures, and what is printed beside captions and claims."""
    lines, captions = [], set()
    for output in cell.get("outputs", []):
        said = output.get("data", {}).get("text/plain", "") if "image/png" in output.get("data", {}) else ""
        captions |= set(said.split("\n")[:1])
        lines += said.split("\n") + unwrapped(output.get("text", "")).split("\n")
    kept = [line for k, line in enumerate(lines) if line not in captions or line not in lines[:k]]
    return [line for line in kept if line.strip() and not line.startswith(("✓", "legend:"))]


def needs_an_oracle(cell):
    """Whether a cell shows a figure or prints a number; what `check` prints are words of the exercise."""
    pictures = any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    return pictures or ("check(" not in cell.source and any(re.search(r"\d", line) for line in shown(cell)))


@functools.cache
def is_said(stored, expected):
    """Whether a stored line says what is expected."""
    parts = re.split(rf"({NUMBER}(?:~{NUMBER})?|…)", expected)
    words = [r"\s*".join(map(re.escape, part.split())) for part in parts[::2]]
    holes = ["[^|]*?" if part == "…" else f"({NUMBER})" for part in parts[1::2]] + [""]
    found = re.fullmatch("".join(rf"\s*{word}\s*{hole}" for word, hole in zip(words, holes)), stored)
    wanted = [part for part in parts[1::2] if part != "…"]
    return bool(found) and all(is_rounded(*pair) for pair in zip(found.groups(), wanted))


def is_rounded(stored, wanted):
    """Whether a stored number is the wanted one, as far as it has digits; a whole one has at least four."""
    stored, wanted = (number.replace("−", "-").replace(",", "") for number in (stored, wanted))
    wanted, _, tolerance = wanted.partition("~")
    digits, _, power = stored.partition("e")
    first = math.floor(math.log10(abs(float(stored)) or 1e-9))
    last = int(power or 0) - len(digits.partition(".")[2]) if "." in digits or power else min(max(first - 3, -6), 0)
    return abs(float(stored) - float(wanted)) <= float(tolerance or 0.51 * 10.0**last)


def fault(lesson, cell, lines):
    """What a cell shows and its oracle does not say, in words; None when they agree."""
    expected = oracles(lesson)[cell]
    for stored, wanted in zip(lines, expected):
        if not is_said(stored, wanted):
            return f"shown is\n{stored}\nbut the oracle says\n{wanted}\n{WHAT_TO_DO}"
    if len(lines) != len(expected):
        return f"{len(lines)} lines are shown, the oracle says {len(expected)}\n{WHAT_TO_DO}"
    return None


@functools.cache
def oracles(lesson):
    """Cell -> lines, as the function lesson_NN yields them."""
    cells = {}
    for line in globals().get(f"lesson_{lesson}", list)():
        if line.startswith("# "):
            cells[line[2:]] = []
        else:
            cells[[*cells][-1]].append(line)
    return cells


def curve(name, n, xs, y, tolerance=""):
    """The facts of a curve of n points, of which five are known."""
    return f"line {name}: …; {n} points" + "".join(f" ({x}, {y(x)}{tolerance})" for x in xs)


def path(name, points):
    """The facts of an orbit."""
    few = [points[round(k)] for k in np.linspace(0, len(points) - 1, 5)]
    return f"line {name}: …; {len(points)} points" + "".join(f" ({x}, {y})" for x, y in few)


def mark(x, y):
    """The facts of a dotted line at the place x, or at the height y."""
    return f"#767676 : …; 2 points ({x}, 0) ({x}, 1)" if y is None else f"#767676 : …; 2 points (0, {y}) (1, {y})"


def normals(rng, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=rng).numpy()


def painted(side, n, rng):
    """Paintings of painter A, on the side -1, or of B: their covariance is [[1, 0.6], [0.6, 1]]."""
    return normals(rng, n, 2) @ [[1, 0.6], [0, 0.8]] + (side, 0)


def paintings(n, rng):
    """What lesson 01 draws; all that it makes of them is computed anew, with numpy and scipy."""
    y = torch.randint(2, (n,), generator=rng).numpy()
    both = [painted(side, n, rng) for side in (-1, 1)]
    return np.where(y[:, None], both[1], both[0]), y


def two_subjects(n, rng):
    y = torch.randint(2, (n,), generator=rng).numpy()
    usual = torch.rand(n, dtype=torch.float64, generator=rng).numpy() >= 0.25
    return np.c_[2 * y - 1, np.where(usual == (y == 0), 2, -2)] + 0.8 * normals(rng, n, 2), y


def logistic(x, y):
    """The log-odds of places (n, 2), by logistic regression."""
    ones, signs = np.c_[x, np.ones(len(x))], 2 * y - 1

    def loss(w):
        odds = signs * (ones @ w)
        return np.logaddexp(0, -odds).sum() + w[:2] @ w[:2] / 2e6, (-signs * expit(-odds)) @ ones + w * (1, 1, 0) / 1e6

    w = minimize(loss, np.zeros(3), jac=True, tol=1e-7).x
    return lambda x: x @ w[:2] + w[2]


def class_gaussians(x, y, ddof=1):
    """The log-odds of places (n, 2), by two Gaussians; each x belongs to the second one in the share y."""
    A, B = (multivariate_normal(s @ x / s.sum(), np.cov(x.T, aweights=s, ddof=ddof)) for s in (1 - y, y))
    return lambda x: B.logpdf(x) - A.logpdf(x) + math.log(y.sum() / (1 - y).sum())


def em(x, y, more):
    odds = class_gaussians(x, y)
    for _ in range(30):
        odds = class_gaussians(np.r_[x, more], np.r_[y, expit(odds(more))], ddof=0)
    return odds


def neighbours(k, x, y):
    """The votes of the nearest k, above 0 for the second class."""
    return lambda asked: y[cKDTree(x).query(asked, [*range(1, k + 1)])[1]].mean(1) - 0.5


def errors(odds, x, y):
    """The share of errors, in percent."""
    return 100 * np.mean((odds(x) > 0) != y)


def frechet(a, b):
    covariances = np.cov(a.T), np.cov(b.T)
    return sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(sum(covariances) - 2 * sqrtm(covariances[0] @ covariances[1]))


STEPS = np.linspace(-4, 4, 161)
PLACES = np.stack(np.meshgrid(STEPS, STEPS), 2)  # (161, 161, 2), a row for each y


def contour(values, *levels):
    """The facts of lines at these levels, of values at PLACES."""
    said = []
    for level, line in zip(levels, Figure().subplots().contour(STEPS, STEPS, values, levels).get_paths()):
        places = line.vertices @ (1, 1j)
        length = np.r_[0, abs(np.diff(places)).cumsum()]
        five = np.interp(np.linspace(0, length[-1], 5), length, places)
        said.append(f" {level}" + "".join(f" ({at.real}~0.0006, {at.imag}~0.0006)" for at in five))
    return f"contour{','.join(said)}"


# The digits are computed in float32: their decimals are not among the facts.
def lesson_01():
    rng, of_split = (torch.Generator().manual_seed(0) for _ in range(2))
    order = torch.randperm(1000, generator=of_split).numpy()
    x, y = (rows[order] for rows in paintings(1000, rng))
    train, validation, test = zip(np.split(x, (600, 800)), np.split(y, (600, 800)))
    of_one = [train[0][train[1] == c] for c in (0, 1)]
    densities = [multivariate_normal(rows.mean(0), np.cov(rows.T)) for rows in of_one]
    rules = {"logistic regression": logistic(*train), "class Gaussians": class_gaussians(*train)}
    p_B, hills = [expit(odds(PLACES)) for odds in rules.values()], [density.pdf(PLACES) for density in densities]
    shade = ", ".join(f"{p}" for p in p_B[0][26:135:54, 26:135:54].flat)
    ring_A, ring_B = (contour(hill, hill.max() / 20, hill.max() / 2) for hill in hills)
    seen = [path(f"painter {name}", rows[:120]) for name, rows in zip("AB", of_one)]
    warmth, strokes = "x: warmth of the colours, linear", "y: length of the strokes, linear"
    black = "line boundary: p = 1/2: …; 0 points"
    yield "# fit-show"
    yield "Left: logistic regression, p(B|x) as shades. Right: class Gaussians; the rings hold 50 and 95 %."
    yield from ("axes:", f"{warmth}, -4 to 4", f"{strokes}, -4 to 4", *seen, black)
    yield f"others: shade #c7e7e2 to #ebc3cb (161, 161) ({shade}) | #000000 - 2, {contour(p_B[0], 0.5)}"
    yield from ("axes:", f"{warmth}, -4 to 4", "y: , linear, -4 to 4", *seen, black)
    yield f"others: #1f9e89 - 2, {ring_A} | #b0102e -- 1.7, {ring_B} | #000000 - 2, {contour(p_B[1], 0.5)}"
    fresh = paintings(20_000, torch.Generator().manual_seed(1))
    errs = zip(("logistic regression errs", "class Gaussians err"), rules.values())
    yield from (f"{name} in {errors(odds, *fresh)} % of 20,000 new paintings" for name, odds in errs)

    new = densities[1].mean + normals(rng, 600, 2) @ np.linalg.cholesky(densities[1].cov).T
    of_B, of_A = (painted(side, 20_000, rng) for side in (1, -1))
    apart = f"new paintings {frechet(of_B, new)}, paintings of painter A {frechet(of_B, of_A)}"
    yield from ("# questions-show", "your guess: none yet, measured: ('sure', 'sure')")
    for place in ((0.3, 0.0), (4.0, -4.0)):
        usual = sum(len(rows) / 600 * density.pdf(place) for rows, density in zip(of_one, densities))
        both = ", ".join(f"{expit(odds(place))} by {name}" for name, odds in rules.items())
        yield f"p(B|x) at {place}: {both}. p(x), by class Gaussians alone: {usual}"
    yield f"Fréchet distance to painter B: {apart}"
    yield "Left: paintings of both. Right: the ones of painter B are new, drawn by class Gaussians."
    yield from ("axes:", f"{warmth}, -4 to 5", f"{strokes}, -5 to 4", *seen)
    yield from ("others: #000000 … *; 1 points (4, -4)", "notes: (4, −4) (4, -4)")
    yield from ("axes:", f"{warmth}, -4 to 5", "y: , linear, -5 to 4", seen[0], path("new, like painter B", new[:120]))
    yield from ("# playground", "Left, what the chosen model knows; right, both errors, pale where you have been.")

    tries, best_rule = (1, 3, 9, 27, 81, 243), ndtr(-1.25)
    asked = {"new paintings": fresh, "the validation part": validation, "the training part": train}
    share = {of: {k: errors(neighbours(k, *train), *asked[of]) / 100 for k in tries} for of in asked}
    picked, k = (min(tries, key=share[of].get) for of in ("the training part", "the validation part"))
    leaky, promised = errors(neighbours(1, x, y), *fresh), errors(neighbours(k, *train), *test)
    kept, on_validation = (100 * share[of][k] for of in ("new paintings", "the validation part"))
    yield from ("# test-show", *(f"your guess: none yet, measured: {errs / 100}" for errs in (0, leaky)))
    yield f"The training part would pick k = {picked}, the validation part picks k = {k}."
    axes = "x: k, neighbours that vote, log, …; 1; 3; 9; 27; 81; 243", "y: share of errors, linear, -0.01 to 0.2"
    yield from ("axes:", *axes, *(curve(f"on {of}", 6, (1, 3, 9, 81, 243), its.get) for of, its in share.items()))
    yield from (f"others: {mark(None, best_rule)}", f"notes: the best rule (1, {best_rule})")
    yield f"knows all, k = 1: the test promises 0 % errors, new paintings have {leaky} %"
    yield f"properly split, k = {k}: the test promises {promised} % errors, new paintings have {kept} %"
    yield f"k = {k} on the validation part: {on_validation} %; the best rule on new paintings: {100 * best_rule} %"

    yield from ("# draw-show", "your guess: none yet, measured: 50")
    yield "New digits: eight for each class. None of them is in the data."
    yield from ("axes: drawn by ten Gaussians, learnt from MNIST", sheet(8, 10))

    yield from ("# seven-show", "your guess: none yet, measured: 1")
    yield from ("Draw a 7. Each number is the mean over its row; learnt from MNIST.", "axes:", sheet(4, 10, 20))
    rows = "drawn by class Gaussians | # | # | drawn by the judge | # | # | an empty page | # | #"
    yield f"notes: real | # | judge: / p(7|x) | # | Gaussians: / log / p(code) | {rows}"

    yield from ("# numbers-show", "your guess: none yet, measured: False")
    yield "How far from real: Fréchet distances in the judge's features, MNIST."
    yield from ("axes:", "x: Fréchet distance to the test images, log")
    yield "y: , linear; other real images; class Gaussians; the judge; noise"
    yield "others: " + " | ".join(f"… o; 1 points (#, {k})" for k in range(4))

    rng = torch.Generator().manual_seed(0)
    (x, y), asked = paintings(2000, rng), paintings(200_000, rng)
    means = np.array([x[y == c].mean(0) for c in (0, 1)])
    covariance = np.cov((x - means[y]).T)
    slopes = [np.linalg.solve(its, means[1] - means[0]) for its in (covariance, covariance * np.eye(2))]
    LDA, naive = (lambda x, w=w: (x - means.mean(0)) @ w for w in slopes)
    rules = {"QDA": class_gaussians(x, y), "LDA": LDA, "logistic regression": logistic(x, y), "naive Bayes": naive}
    yield "# kinds-show"
    yield from (f"{name} errs in {errors(odds, *asked)} % of new paintings" for name, odds in rules.items())

    yield from ("# regimes-show", "your guess: none yet, measured: hundreds")
    yield "Mean errors over 20 draws, and bands with 8 of 10 draws, MNIST."
    its = [f"line {name}: …; 7 points" for name in ("naive Bayes", "logistic regression", "the same with a penalty")]
    labels, bands = "x: labels, log; 20; 80; 320; 1280", "#1f9e89 | #b0102e"
    yield from ("axes: 5 or 8", labels, "y: share of errors, linear", *its, f"others: {mark('#', None)} | {bands}")
    yield "notes: overtaken"
    for title in ("5 or 8, shuffled", "1 or 2"):
        yield from (f"axes: {title}", labels, "y: , linear", *its, f"others: {bands}")

    rng, wrong = torch.Generator().manual_seed(0), []
    for draw in (paintings, two_subjects):
        asked = draw(4000, rng)
        for _ in range(20):
            x, y = draw(200, rng)
            few = np.r_[np.flatnonzero(y == 0)[:10], np.flatnonzero(y)[:10]]
            x, y = x[few], y[few]
            rules = logistic(x, y), class_gaussians(x, y), em(x, y, draw(1000, rng)[0])
            wrong.append([errors(odds, *asked) for odds in rules])
    wrong = np.reshape(wrong, (2, 20, 3)).swapaxes(1, 2)
    kinds = ("logistic regression", "class Gaussians", "class Gaussians + 1,000 unsigned")
    rows = [f"{world}: {kind}" for world in ("one Gaussian each", "two subjects") for kind in kinds]
    dots = [path("", [(f"{share / 100}~0.0003", k) for share in its]) for k, its in enumerate(wrong.reshape(6, 20))]
    yield from ("# unlabelled-show", "your guess: none yet, measured: ('fall', 'rise')")
    yield "A circle for each draw of paintings: its errors on 4,000 new ones."
    yield from ("axes:", "x: share of errors, linear, …", f"y: , linear, 5.5 to -0.5; {'; '.join(rows)}")
    yield f"others: {' | '.join(dots).replace('line : …', '… o')}"
    yield from (f"{name} {percent:.0f} % errors" for name, percent in zip(rows, wrong.mean(2).flat))

    yield from ("# likelihood", "The black curve is your model; a thin line leads from each point up to its density.")
    rng, power, minutes = torch.Generator().manual_seed(0), 784 * math.log10(2), 60_000**2 * 784 / 1e9 / 60
    yield "# count-show"
    for n in (1, 2, 3, 4):
        half = np.reshape(np.meshgrid(1, *[(-1, 1)] * (n**2 - 1)), (n**2, -1))  # a negative has the score of its image
        scores = np.einsum("ik,ik->k", half, normals(rng, n**2, n**2) / n @ half)
        yield f"{n} x {n} pixels: {2**n**2} images, log of the normaliser {LOG_2 + logsumexp(scores)}"
    yield f"28 x 28 pixels: 2^784 = 10^{power} images; at a billion per second 10^{power - 9} seconds"
    yield f"all {60_000**2} pairs of 60,000 images, 784 products each: {minutes:.0f} minutes"

    yield from ("# beyond-show", "Ten of each row, from thin to bold, and the shares of three kinds, MNIST.")
    rows = "".join(f" | new, {name} ones hidden | # | # | #" for name in ("no", "medium", "bold"))
    yield from ("axes:", sheet(4, 10, 20), f"notes: real sevens | # | thin | # | medium | # | bold{rows}")


X, LOG_2 = np.linspace(-40, 40, 80_001), math.log(2)


def logit(q, x=X):
    """The best logit for the data N(0, 1) and fakes q."""
    return norm.logpdf(x) - q.logpdf(x)


def value(logits, q):
    """V by quadrature, of a D with these logits on X."""
    return -np.trapezoid(norm.pdf(X) * np.logaddexp(0, -logits) + q.pdf(X) * np.logaddexp(0, logits), X)


def jsd(q):
    """The Jensen-Shannon divergence of N(0, 1) and q, by quadrature."""
    log_m = np.logaddexp(norm.logpdf(X), q.logpdf(X)) - LOG_2
    return sum(np.trapezoid(np.exp(a) * (a - log_m), X) for a in (norm.logpdf(X), q.logpdf(X))) / 2


def descended(of, adam, lr=0.1):
    """θ over 200 steps of SGD or Adam from 6: the slope of the loss by the logit is `of(D)`, that of the logit -θ."""
    z, path, m, v = ndtri((np.arange(1000) + 0.5) / 1000), [6.0], 0.0, 0.0
    for k in range(1, 201):
        theta = path[-1]
        slope = theta * of(expit(theta**2 / 2 - theta * (z + theta))).mean()
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
        divided = m / (1 - 0.9**k) / (math.sqrt(v / (1 - 0.999**k)) + 1e-8)
        path.append(theta - lr * (divided if adam else slope))
    return path


def dirac(gamma):
    """The path of (θ, ψ) from (1, -1), both moved at once by 0.1, and the matrix of a step at (0, 0), where D = 1/2."""
    path = [np.array([1.0, -1.0])]
    for _ in range(500):
        (theta, psi), D = path[-1], expit(path[-1].prod())
        path.append(path[-1] + 0.1 * np.array([psi * D, -theta * D - gamma * psi]))
    return path, np.array([[1, 0.05], [-0.05, 1 - 0.1 * gamma]])


def radius(matrix):
    return abs(np.linalg.eigvals(matrix)).max()


def lesson_02():
    yield from ("# minmax", "your guess: none yet, measured: (1, -1)")
    for name, score in {"A": np.array([[2, 3], [1, 4]]), "B": np.array([[1, -1], [-1, 1]])}.items():
        column, turns = 1, ""
        for _ in range(5):
            row = np.argmax(score[:, column])
            column = np.argmin(score[row])
            turns += f" ({row}, {column})"
        orders = f"min max {min(score.max(0))}, max min {max(score.min(1))}"
        yield f"game {name}: {orders}; (row, column) by turns:{turns}"

    real, fake = expit([1.5, 0.3, -0.2]), expit([-1.0, 0.4, -2.0])
    V = np.log(real).mean() + np.log(1 - fake).mean()
    yield from ("# signs", f"loss of D {-V} pushes real logits up fake logits down")
    yield f"loss of G, minimax {np.log(1 - fake).mean()} pushes real logits - fake logits up"
    yield f"loss of G, non-saturating {-np.log(fake).mean()} pushes real logits - fake logits up"
    yield f"V = {V}. At s = -800: log(sigmoid(s)) = -inf, -softplus(-s) = -800.0"

    q, near, far, zero = norm(1, 2), (-16, -8, 0, 8, 16), (-12, -6, 0, 6, 12), mark(0, None)

    def best(x):
        return expit(logit(q, x))

    yield from ("# bayes", f"your guess: none yet, measured: {best(0)}")
    yield "The share of real samples, counted bin by bin, and the curve D* = p/(p + p_g)."
    yield from ("axes:", "x: x, linear, -5 to 7", "y: density; probability, linear, …")
    yield from (curve(name, 3201, near, f) for name, f in {"p": norm.pdf, "p_g": q.pdf, "D*": best}.items())
    yield curve("counted share of real samples", 48, (-4.875, -1.875, 1.125, 3.875, 6.875), best, "~0.03")
    yield from (f"others: {zero}", "notes: x = 0 (0, 1)")

    yield "# train-show"
    yield f"Left: D as a probability, found in three ways. Right: as a logit; … -12 … -15~5, … {logit(q, -12)}."
    yield from ("axes:", "x: x, linear, -6 to 8", "y: D(x), linear, …", curve("D*", 3201, near, best))
    yield curve("D", 3201, near, best, "~0.01")
    yield curve("argmax", 81, near, lambda x: max(best(x), 0.001), "~0.00051")
    yield from ("axes:", "x: x, linear, …", "y: logit, linear, …", curve("D*", 2401, far, lambda x: logit(q, x)))
    yield f"line D: …; 2401 points (-12, …) (-6, …) (0, {logit(q, 0)}~0.1) (6, …) (12, …)"

    yield from ("# slide", f"your guess: none yet, measured: {-2 * LOG_2}")
    yield "The cross is the largest V that a D can get, the square is your V, or a triangle where it lies far below."

    yield from ("# jsd", "μ KL JSD max V −log 4 + 2 JSD")
    for mu in (0, 0.5, 1, 2, 4, 8):
        q = norm(mu, 1)
        yield f"{mu} {mu**2 / 2} {jsd(q)} {value(logit(q), q)} {-2 * LOG_2 + 2 * jsd(q)}"

    yield from ("# fixed", "your guess: none yet, measured: 0.67", f"V(D, G) {-2 * LOG_2}")
    yield from (f"loss_D, {name} of the means on real and fake {k * LOG_2}" for name, k in (("sum", 2), ("mean", 1)))
    yield from (f"loss_G, non-saturating {LOG_2}", f"loss_G, minimax {-LOG_2}")
    yield f"best D, as many real samples as fakes {1 / 2}"
    yield f"best D, two real samples for each fake {2 / 3}"

    still, fakes = logit(norm(2, 1)), {place: norm(place, 1) for place in (4, 0, -4, -8)}
    yield "# wrong"
    yield f"your guess: none yet, measured: {min((4, 0, -4), key=lambda place: value(still, fakes[place]))}"
    for place, q in fakes.items():
        yield f"fakes at {place}: V {value(still, q)} while D stands still, {value(logit(q), q)} after D's answer"
    yield f"the fakes it knows: V {-2 * LOG_2} if D says 1/2 everywhere, {value(still, norm(2, 1))} for the best D"

    z = ndtri((np.arange(1000) + 0.5) / 1000)
    fakes = np.concatenate([1 + z, 6 + z])
    D = 1 / (1 + (norm.pdf(fakes, 1) + norm.pdf(fakes, 6)) / 2 / norm.pdf(fakes))
    yield from ("# shares", f"your guess: none yet, measured: {100 * D[1000:].sum() / D.sum()}")
    yield "Outline: all fakes. Filled: the same, each counted by the size of its slope."
    for name, size, x in (("minimax", D, ""), ("non-saturating", 1 - D, "x")):
        yield from (f"axes: {name}", f"x: {x}, linear, …", "y: fakes, linear, 0 to …")
        for group, its, places in zip(("near the data", "far away"), np.split(size, 2), np.split(fakes, 2)):
            yield f"bars slope: {group}: …; 60 bars, sum {its.sum()} about {its @ places / its.sum()}~0.03"
        near, far = (100 * its.sum() / size.sum() for its in np.split(size, 2))
        yield f"others: {zero} | fake … | fake …"
        yield f"notes: {near} % of the slope (1, …) | {far} % of the slope (6, …) | centre of the data (0, 1)"

    ratio = math.expm1(8.6927)
    s, places = -math.log(ratio), (-12, -7.5, -3, 1.5, 6)
    yield from ("# slope", f"your guess: none yet, measured: {ratio:.0f}")
    yield f"At g_loss 8.6927, D(G(z)) is {math.exp(-8.6927)}; one slope is {ratio:.0f} times the other."
    yield from ("axes:", "x: logit s of a fake, linear, …", "y: size of the slope, log, …")
    yield curve("minimax", 181, places, expit)
    yield curve("non-saturating", 181, places, lambda s: expit(-s))
    yield from (f"others: {mark(s, None)}", f"notes: g_loss 8.6927 ({s}, 1)")

    losses = {"minimax": lambda D: D, "non-saturating": lambda D: 1 - D}
    runs = {f"{name} {loss}": descended(of, name == "Adam") for name in ("SGD", "Adam") for loss, of in losses.items()}
    yield from ("# adam", f"your guess: none yet, measured: {sum(abs(theta[-1]) < 0.1 for theta in runs.values())}")
    runs["SGD extra run: minimax, lr 1"] = descended(losses["minimax"], False, lr=1.0)
    ends = ", ".join(f"{name[4:]} {theta[-1]}" for name, theta in runs.items() if name.startswith("SGD"))
    yield f"θ over the steps of SGD and of Adam; after the last step of SGD: {ends}."
    for name in ("SGD", "Adam"):
        yield from ("axes:", f"x: step of {name}, linear, …", "y: θ: where the fakes are, linear, …")
        its = {run.removeprefix(f"{name} "): theta for run, theta in runs.items() if run.startswith(name)}
        yield from (path(run, list(enumerate(theta))) for run, theta in its.items())
        yield from (f"others: {mark(None, 0)}", "notes: data (1, 0)")

    step = {"simultaneous": [[1, -0.1], [0.1, 1]], "alternating": [[1, -0.1], [0.1, 0.99]]}
    step |= {"extragradient": [[0.99, -0.1], [0.1, 0.99]]}
    cross = f"others: {mark(None, 0)} | {mark(0, None)}"
    orbits = {name: [np.linalg.matrix_power(A, k) @ (1, 1) for k in range(1001)] for name, A in step.items()}
    yield "# xy-show"
    for name, places in orbits.items():
        ends = [np.linalg.norm(places[k]) for k in (100, 1000)]
        yield f"{name} spectral radius {radius(step[name])}, distance {ends[0]} at step 100, {ends[1]} at 1,000"
    yield "The first 300 steps of three ways to play f = xy from (1, 1), with their spectral radii."
    for name, places in orbits.items():
        yield from ("axes:", "x: x, linear, -7 to 7", "y: y, linear, -7 to 7")
        yield path(f"{name}, {radius(step[name])}", places[:301])
        yield f"{cross} | #000000 … o; 1 points (1, 1)"

    smallest = min(np.linspace(0, 3, 121), key=lambda gamma: radius(dirac(gamma)[1]))
    yield "# dirac-show"
    yield f"Orbits of the Dirac-GAN, and its spectral radius, smallest at γ = {smallest}."
    yield from ("axes:", "x: θ: the fakes, linear, …", "y: ψ: slope of D's logit, linear, …")
    yield from (path(f"γ = {gamma}", dirac(gamma)[0][:201]) for gamma in (0.0, 0.3, 1.0))
    yield cross + " | #000000 … o; 1 points (1, -1)" * 3
    yield from ("axes:", "x: γ, linear, …", "y: , linear, …")
    yield curve("spectral radius", 121, (0, 0.75, 1.5, 2.25, 3), lambda gamma: radius(dirac(gamma)[1]))
    yield from (f"others: {mark(None, 1)}", "notes: 1 (1, 1)")
    for gamma in (0.0, 0.1, 0.3, 1.0, 2.0):
        ends = [np.linalg.norm(dirac(gamma)[0][k]) for k in (100, 500)]
        its = radius(dirac(gamma)[1])
        yield f"γ = {gamma}: spectral radius {its}, distance {ends[0]} at step 100, {ends[1]} at 500"

    yield "# smoothing-show"
    a, b = norm.pdf(6), norm.pdf(0)  # of p and of p_g = N(6, 1) at 6, where p falls by 6 p and p_g is flat
    for name, on_real, on_fake in (("none", 1, 0), ("one-sided", 0.9, 0), ("two-sided", 0.9, 0.1)):
        D = (on_real + on_fake) / 2
        loss = -2 * (D * math.log(D) + (1 - D) * math.log(1 - D))
        says_real, says_fake = on_real * a + on_fake * b, (1 - on_real) * a + (1 - on_fake) * b
        slope = -6 * a * (on_real / says_real - (1 - on_real) / says_fake)
        yield f"{name} best D {D}, loss_D {loss}; slope of the logit at 6: {slope}"

    shifts = (0, 0.6, 1.2, 1.9, 2.5)
    yield from ("# disjoint-show", f"From a = 1 on the JSD stays at {LOG_2}; Wasserstein-1 goes on to 2.5.")
    yield from ("axes:", "x: shift a of p_g, linear, …", "y: distance, linear, …")
    yield from (curve("JSD", 26, shifts, lambda a: min(a, 1) * LOG_2), curve("Wasserstein-1", 26, shifts, float))
    yield from (f"others: {mark(1, None)}", "notes: a = 1 (1, 1)", "KL(p‖p_g) is 0 at a = 0 and inf at a = 0.1")

    jsds = [jsd(norm(mu, 1)) for mu in (1.999, 2.001)]
    of_jsd = (jsds[1] - jsds[0]) / 0.002
    D = expit(logit(norm(2, 1), X + 2))  # D* at the fakes 2 + z; its logit has the slope -2, and the KL is half of μ²
    gradients = [np.trapezoid(norm.pdf(X) * 2 * of, X) for of in (D, 1 - D)]
    yield from ("# descend-show", f"minimax gradient of the loss {gradients[0]}, slope of the distance {2 * of_jsd}")
    yield f"non-saturating gradient of the loss {gradients[1]}, slope of the distance {2 - 2 * of_jsd}"
    yield f"At p_g = p: loss_G, non-saturating {LOG_2}; its distance 0"


def two_peaks(n, rng, means=(-2, 2)):
    which = torch.multinomial(torch.full((len(means),), 1 / len(means), dtype=torch.float64), n, True, generator=rng)
    return (np.array(means)[which] + 0.5 * normals(rng, n))[:, None]


def dense(*widths, seed, dtype=torch.float64):
    """The first weights of a network, as torch draws them."""
    rng, sizes = torch.Generator().manual_seed(seed), [*zip(widths, widths[1:])]
    empty = [(torch.empty(shape, dtype=dtype), n**-0.5) for n, m in sizes for shape in ((m, n), (m,))]
    return [one.uniform_(-bound, bound, generator=rng).numpy() for one, bound in empty]


def layers(net, x):
    """What goes into each layer, and what comes out of the last one."""
    seen = [x]
    for k in range(0, len(net), 2):
        s = seen[-1] @ net[k].T + net[k + 1]
        seen.append(np.maximum(s, 0.2 * s) if k < len(net) - 2 else s)
    return seen


def backwards(net, seen, slope):
    """The slopes of a loss by the weights and by x, from that by the output."""
    slopes = []
    for k in range(len(net) - 2, -1, -2):
        slopes = [slope.T @ seen[k // 2], slope.sum(0), *slopes]
        slope = slope @ net[k] * (np.where(seen[k // 2] > 0, 1, 0.2) if k else 1)
    return slopes, slope


@functools.cache
@threadpool_limits.wrap(limits=1)  # such small matrices wait for each other on several threads
def typed_loop(rounds=1000, n=128):
    """The fakes before and after the loop of lesson 03, whose slopes are written out."""
    G, D = dense(2, 32, 32, 1, seed=0), dense(1, 64, 64, 1, seed=50)
    squares = {id(w): 0.0 for w in (*G, *D)}
    z = normals(torch.Generator().manual_seed(0), 100_000, 2)
    rng, data_rng = (torch.Generator().manual_seed(k) for k in (0, 1))
    before = layers(G, z)[-1]

    def adam(net, slopes, lr, k):
        for w, slope in zip(net, slopes):
            squares[id(w)] = 0.99 * squares[id(w)] + 0.01 * slope**2
            w -= lr * slope / (np.sqrt(squares[id(w)] / (1 - 0.99**k)) + 1e-8)

    for k in range(1, rounds + 1):
        seen = layers(D, np.r_[two_peaks(n, data_rng), layers(G, normals(rng, n, 2))[-1]])
        adam(D, backwards(D, seen, (expit(seen[-1]) - np.repeat([[1], [0]], n, 0)) / n)[0], 3e-3, k)
        by_G = layers(G, normals(rng, n, 2))
        seen = layers(D, by_G[-1])
        adam(G, backwards(G, by_G, backwards(D, seen, (expit(seen[-1]) - 1) / n)[1])[0], 1e-3, k)
    return before, layers(G, z)[-1]


def two(x, of=norm.pdf):
    """The density of the data of lesson 03, or its cdf."""
    return (of(x, -2, 0.5) + of(x, 2, 0.5)) / 2


def heights(samples):
    """Of a histogram over the bins of lesson 03."""
    return np.histogram(samples, np.linspace(-4, 4, 161), density=True)[0]


def moved(samples):
    """The Wasserstein-1 distance to the data, as the area between two cdfs."""
    x = np.linspace(-9, 9, 180_001)
    return np.trapezoid(abs(np.searchsorted(np.sort(samples.ravel()), x) / samples.size - two(x, norm.cdf)), x)


def apart(samples):
    """The JSD of a histogram and the data, by entropies; what lies beyond -4 and 4 counts for nothing."""
    x = (np.arange(160) - 79.5) / 20
    a, b = heights(samples), two(x)
    return LOG_2 + np.trapezoid(entr(a + b) - entr(a) - entr(b), x) / 2


def of_toys(sweep):
    """The recorded rows of lesson 03 by setting, those of several seeds joined."""
    found = {}
    for row in tables.load("03_toys")["rows"]:
        if row["sweep"] == sweep:
            found.setdefault(row["setting"], []).append(row)
    return found


def distances(sweep):
    return {setting: np.concatenate([row["wasserstein"] for row in rows]) for setting, rows in of_toys(sweep).items()}


def successes(found):
    return np.count_nonzero(found < 0.15)


def told(found):
    return f"{successes(found)} of {len(found)}, median {np.median(found)}"


def seeds_of(name, found):
    """What is said of ten seeds, here of those of the recorded runs: other steps in float32 lead elsewhere."""
    return f"{name}: Wasserstein-1 " + ", ".join(f"{one}~{0.01 + one / 2}" for one in np.sort(found))


def counted(cell, label):
    """The number that stands after a label where a line of a cell of lesson 03 begins."""
    (line,) = (line for line in shown(CELLS["03", cell]) if re.match(rf"{label}\d", line))
    return int(re.search(r"\d+", line[len(label) :])[0])


def signed_ranks(differences):
    """The p-value of Wilcoxon's test: how often random signs give rank sums so far from their mean."""
    ranks, sums = np.argsort(np.argsort(abs(differences))) + 1, np.ones(1)
    for rank in ranks:
        sums = np.convolve(sums, [0.5, *[0] * (rank - 1), 0.5])
    far = abs(np.arange(len(sums)) - sum(ranks) / 2)
    return sums[far >= abs(ranks[differences > 0].sum() - sum(ranks) / 2)].sum()


def first_gradients():
    """The length of the first gradient of an untrained G in front of an untrained D, the median of ten seeds."""
    rng = torch.Generator().manual_seed(0)
    *_, z, of_the_other = (torch.randn(64, 10, 2, generator=rng).double().numpy() for _ in range(1001 + 2))
    for noise, of in ((z, lambda s: -expit(s)), (of_the_other, lambda s: -expit(-s))):
        lengths = []
        for k in range(10):
            G, D = (dense(d, n, n, 1, seed=seed + k, dtype=torch.float32) for d, n, seed in ((2, 32, 0), (1, 64, 50)))
            by_G = layers(G, noise[:, k])
            seen = layers(D, by_G[-1])
            slopes, _ = backwards(G, by_G, backwards(D, seen, of(seen[-1]) / 64)[1])
            lengths.append(math.hypot(*np.concatenate([slope.ravel() for slope in slopes])))
        yield np.sort(lengths)[4]  # the lower middle, as torch takes it


def lesson_03():
    before, after = typed_loop()
    places, axes = (-3.975, -1.975, 0.025, 1.975, 3.975), ("axes:", "x: x, linear, …")

    def hill(samples):
        its = dict(zip(np.round((np.arange(160) - 79.5) / 20, 3), heights(samples)))
        return its.get

    yield from ("# world-show", "Two peaks of data, and between them the fakes of a generator that has not learnt yet.")
    yield from (*axes, "y: density, linear, 0 to 2", curve("p", 160, places, two))
    yield curve("p_g", 160, places, hill(before))
    left, right = (f"{100 * np.mean(abs(after - peak) < 1):.0f}" for peak in (-2, 2))
    yield from ("# loop-show", "your guess: none yet, measured: 2")
    yield f"After 1,000 rounds {left}% of the fakes lie near the left peak, {right}% near the right one."
    yield from (*axes, "y: density, linear, …", curve("p", 160, places, two), curve("p_g", 160, places, hill(after)))
    yield "# same-show"
    yield f"{linear(2, 32, 32, 1) + linear(1, 64, 64, 1)} weights, largest difference 0.0"
    yield "# figure1"
    yield "From above: D and the best D for this p_g; both densities; how G moves z to x, and where its loss pushes x."

    rng = torch.Generator().manual_seed(2)
    right = two_peaks(100_000, rng, means=(2,))
    compared = {"true samples": two_peaks(100_000, rng), "right peak only": right, "your loop": after}
    yield from ("# near-show", f"your guess: none yet, measured: {(0 + 4) / 2}")
    for name, samples in (compared | {"untrained G": before}).items():
        yield f"{name} Wasserstein-1 {moved(samples)} JSD {apart(samples)}"

    ten, calm = (distances("steps of D")[f"k = 1, {name}"] for name in ("without R1", "with R1"))
    yield "# ten-run"
    yield "Ten GANs that differ in their seed alone, redrawn while they train."
    yield from ("# ten-show", seeds_of("without R1", ten), f"your guess: none yet, measured: {successes(ten)}~4")
    yield "# r1-run"
    yield "Twenty GANs: the ten of before, and the same ten seeds with R1. Filled: success by the rule."
    yield from ("# r1-show", seeds_of("with R1", calm), f"your guess: none yet, measured: {successes(calm)}~2")
    for name in ("without R1", "with R1"):
        k = counted("r1-show", f"{name}: ")
        low, high = 100 * beta.ppf(0.025, k, 11 - k), 100 * beta.ppf(0.975, k + 1, 10 - k) if k < 10 else 100
        yield f"{name}: {k} of 10, so with 95 % confidence {low:.0f}% to {high:.0f}% of all seeds succeed"
    yield "with R1, but by the last weights in the place of their average: 6~4 of 10"

    yield from ("# told-show", "your guess: none yet, measured: 6~4")
    yield "Ten seeds: the loss finds the worst, and says little of the others."
    yield from ("axes:", "x: loss_D at the end, linear", "y: Wasserstein-1, linear", "line one seed: …; 10 points")
    yield from (f"others: {mark('#', None)}", "notes: fixed point #")

    pairs = [f"{loss} {name}" for loss in ("minimax", "non-saturating") for name in ("SGD", "Adam")]
    yield from ("# first-show", "your guess: none yet, measured: minimax sgd")
    gradients = [(f"{one}~0.0006" for one in first_gradients()), ("0.3~0.2", "1~0.8"), ("0~0.0003", "12~9")]
    for step, (minimax, other) in zip((0, 10, "1,000"), gradients):
        yield f"D trained {step} steps: size of G's first gradient: minimax {minimax}, non-saturating {other}"
    yield "Ten seeds for each pair of loss and optimizer, without and with a head start of D."
    yield from ("axes:", "x: Wasserstein-1 after 200 rounds, linear")
    yield "y: , linear; " + "; ".join(f"{pair}, D trained {k} steps" for pair in pairs for k in ("0", "1,000"))
    yield from (f"others: {'… o; 10 points | ' * 8}{mark(4, None)}", "notes: G has not moved")

    for run, rows in of_toys("runs").items():
        if run == "A":
            yield "# runs-show"
        its = {name: [(row["step"], row[name]) for row in rows] for name in rows[0] if name not in ("seed", "setting")}
        yield f"Run {run}: wasserstein goes from {rows[0]['wasserstein']:.3f} to {rows[-1]['wasserstein']:.3f}."
        for names, top in ((("loss_D", "loss_G"), 4), (("real_prob", "fake_prob"), 1), (("wasserstein",), 2.5)):
            yield from ("axes:", "x: step, linear, …", f"y: , linear, 0 to {top}")
            yield from (path(name, its[name]) for name in names)
        bars = np.array(rows[-1]["histogram"]) / 2000 * 5
        yield from (*axes, "y: , linear, 0 to 1", path("p_g", [*zip(np.linspace(-5.9, 5.9, 60), bars)]))

    yield "# failed-show"
    yield "The share of fakes to the right of 0: in the best run, in the worst, and in the worst with R1."
    yield from ("axes:", "x: step, linear", "y: share right of 0, linear")
    yield from (f"line {name}: …; 20 points" for name in ("best seed", "worst seed", "worst seed, with R1"))
    yield from (f"others: {mark(None, '#')}", "notes: data")

    yield from ("# k-show", "your guess: none yet, measured: no")
    yield from (f"recorded, {setting} {told(found)}" for setting, found in distances("steps of D").items())

    yield "# losses-show"
    for name in ("without R1", "with R1"):
        found = distances(f"losses, {name}")
        yield f"recorded, {name}:"
        yield from (f"{loss} {told(its)}" for loss, its in found.items())
        pairs = sorted((signed_ranks(found[a] - found[b]), a, b) for a, b in itertools.combinations(found, 2))
        luck = [k for k, (share, *_) in enumerate(pairs) if share >= 0.05 / (len(pairs) - k)]
        better = [sorted(pair, key=lambda loss: np.median(found[loss])) for _, *pair in pairs[: min([*luck, 6])]]
        yield f"more than luck:{'' if better else ' nothing'}"
        yield from map(" before ".join, better)

    yield from ("# heart-show", "your guess: none yet, measured: 10~7")
    yield "Ten discriminators for each number of real samples: with few samples, they know what they have seen."
    yield from ("axes:", "x: logit on seen minus logit on unseen real samples, linear")
    yield "y: , linear; 100 samples; 1,000 samples; 60,000 samples"
    yield from (f"others: {'… o; 10 points | ' * 3}{mark(0, None)}", "notes: no difference")

    yield "# map"
    for name in ("without R1", "with R1"):
        found = {tuple(map(float, one.split(", "))): its for one, its in distances(f"learning rates, {name}").items()}
        rates = sorted({rate for one in found for rate in one})
        yield f"recorded, {name}: G {' '.join(map('{:g}'.format, rates))}"
        for rate in rates:
            yield f"D {rate:g} {' '.join(str(successes(found[other, rate])) for other in rates)}"

    yield "# noise"
    for name in ("without R1", "with R1"):
        yield from (f"recorded, {name} {kind} {told(its)}" for kind, its in distances(f"noise, {name}").items())

    def square(name, spots, *numbers):
        yield from (f"axes: {name}", "x: , linear", "y: , linear")
        yield f"others: real … +; {spots} points | fake … .; 500 points"
        yield f"notes: {' / '.join(numbers)}"

    yield from ("# ring-show", "your guess: none yet, measured: (1~1, 8~1)")
    yield "500 fakes of one seed each: a collapse, two changes of one setting, and noise."
    for name in ("plain D", "packed D", "noise", "equal rates, recorded"):
        yield from square(name, 8, "covered # of #", "on #")
    for setting, (row,) in of_toys("ring").items():
        n = np.array(row["covered"])
        counts = f"two spots or fewer in {sum(n <= 2)} of 10 seeds, all eight in {sum(n > 7)}"
        yield f"recorded, {setting}: {counts}, on {min(row['on'])} to {max(row['on'])}"

    rows = {setting: row for setting, (row,) in of_toys("grid").items()}
    yield from ("# grid-show", f"your guess: none yet, measured: ({np.mean(rows['plain z']['on'])}, 0.8~0.2)")
    yield "500 fakes each: without a code, as recorded, and with one."
    for name in ("plain z, recorded", "code"):
        yield from square(name, 25, "covered # of #", "on #", "spread #")
    for setting, row in rows.items():
        of = (f"{name} {min(row[name])} to {max(row[name])}" for name in ("covered", "on", "spread"))
        yield f"recorded, {setting}: {', '.join(of)}"


def of_runs(recipe, step, weights, *columns):
    """The columns of the recorded runs, one row for each seed."""
    wanted = {"recipe": recipe, "step": step, "weights": weights}.items()
    rows = tables.load("04_quality")["rows"]
    return np.array([[row[column] for column in columns] for row in rows if wanted <= row.items()])


def median(recipe, step, weights="averaged", column="frechet"):
    return np.median(of_runs(recipe, step, weights, column))


def linear(*sizes):
    """The parameters of such layers."""
    return sum(a * b + b for a, b in zip(sizes, sizes[1:]))


def sheet(rows, columns, label=0):
    """The size of a picture of images of 28 pixels with a grey line around each."""
    return f"others: image ({rows * (29 + label) + (1 if not label else 0)}, {columns * 29 + 1})"


# Trained decimals are not among the facts of lesson 04; recorded ones are.
def lesson_04():
    rows = tables.load("04_quality")["rows"]
    yield from ("# images", "MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from …")
    yield from ("# images-show", "The first 60 real images, as floats from -1 to 1.", "axes:", sheet(3, 20))
    yield from ("# pair-claim", f"both together: {linear(128, 256, 512, 784) + linear(784, 256, 1)}")
    yield from ("# loop", "25 fakes of G, redrawn while it trains.")
    yield from ("# progress", "The same 9 latent vectors at 5 moments of the training.", "axes:")
    yield from ("others: image (118, …)", "notes: step 0 | step 100 | step 300 | step 700 | step 1,500")

    yield from ("# loss-answer", "your guess: none yet, measured: higher")
    yield "The losses of both players; compared are the means over the 100 steps before each mark."
    yield from ("axes:", "x: step (lines: mean of 30 values), linear", "y: loss, linear")
    yield from ("line loss_D: D …; 1471 points", "line loss_G: fake …; 1471 points")
    levels = " | #767676 : …; 2 points (0, #) (1, #)" * 2
    yield f"others: D … 1500 points | fake … 1500 points{levels} | {mark(300, None)} | {mark(1500, None)}"
    yield "notes: D: # log # = # | G: log # = # | step 300 | step 1,500"

    yield from ("# flawed-answer", "your guess: none yet, measured: class divergence")
    yield "Real images and four flawed sets of 10,000: twelve of each, and their three numbers."
    flaws = "".join(f" | {name} | # | # | #" for name in ("blurred", "noise", "without the digit 3"))
    heads = "real images | # | Fréchet / distance | # | class / divergence | # | recall"
    yield from ("axes:", sheet(5, 12, 20), f"notes: {heads}{flaws} | 100 images, each 100 times | # | # | #")

    yield from ("# better-loop", "20 fakes of the better recipe, drawn while it trains.")
    yield from (f"{name} loss_D {2 * LOG_2}~0.2 loss_G {LOG_2}~0.2" for name in "AB")
    yield f"fixed point loss_D {2 * LOG_2} loss_G {LOG_2}"

    yield from ("# ab-answer", "Fakes of A and of B, trained on MNIST, over their losses and Fréchet distances.")
    for name in ("A: step 100", "B: step 2,000"):
        yield from (f"axes: {name}", sheet(5, 8), "notes: loss_D # / loss_G # / Fréchet distance #")
    yield from ("# explorer", "25 images on a walk through latent space, from P to Q.")

    yield from ("# printed-show", "d_loss g_loss on fakes", "epoch textbook ours textbook ours textbook ours")
    printed = {1: (0.0270, 8.6927), 10: (0.1355, 4.1075), 30: (0.4582, 1.9975)}
    printed |= {50: (0.4299, 1.9539), 70: (0.5931, 1.2700), 100: (0.5965, 1.1995)}
    for row in (row for row in rows if "epoch" in row):
        (d, g), ours_d, ours_g = printed[row["epoch"]], row["loss_D"] / 2, row["loss_G"]
        yield f"{row['epoch']} {d} {ours_d} {g} {ours_g} {math.exp(-g)} {math.exp(-ours_g)}"
    yield from (f"fixed point {LOG_2} {LOG_2} 0.5", "our Fréchet distance, median of five seeds, without averaging:")
    yield f"{median('textbook', 4690, 'raw')} at epoch 10, {median('textbook', 20_167, 'raw')} at epoch 43"

    yield "# quality"
    yield "Fréchet distance against CPU seconds of three recipes, recorded with five seeds on MNIST."
    yield from ("axes:", "x: CPU seconds of training, log, …")
    yield "y: Fréchet distance (our judge's features, 10,000 samples), log, …"
    notes, others = [], []
    for recipe, unit, word in (("textbook", 469, " epoch"), ("upgraded", 469, " epoch"), ("better", 1, " steps")):
        steps = sorted({row["step"] for row in rows if row["recipe"] == recipe and "weights" in row})
        drawn = {}
        for weights in ("averaged", "raw"):
            points = [np.median(of_runs(recipe, step, weights, "cpu_s", "frechet"), axis=0) for step in steps]
            few = [points[round(k)] for k in np.linspace(0, len(points) - 1, min(5, len(points)))]
            drawn[weights] = f"…; {len(points)} points" + "".join(f" ({x}, {y})" for x, y in few)
            marked = [(step // unit, *point) for step, point in zip(steps, points) if step % unit == 0]
            if weights == "averaged":
                notes += [f"{n:,}{'' if k else word} ({x}, {y})" for k, (n, x, y) in enumerate(marked)]
        yield f"line {recipe}: {drawn['averaged']}"
        others.append(drawn["raw"])
    yield from ("line averaged weights: … - …; 0 points", "line raw weights: … : …; 0 points")
    yield from (f"others: {' | '.join(others)} | … | … | …", f"notes: {' | '.join(notes)}")
    for step in (1000, 6000):
        loss_D, loss_G, its = (median("better", step, "raw", column) for column in ("loss_D", "loss_G", "frechet"))
        yield f"better, {step:,} steps: loss_D {loss_D}, loss_G {loss_G}, distance without averaging {its}"

    changes = {"latent": "z of 32 numbers", "network": "D: 2 layers, LeakyReLU", "batchnorm": "BatchNorm in G"}
    changes |= {"dropout": "no dropout in D", "adam": "Adam 1e-3, (0, 0.99)", "r1": "R1", "average": "average"}
    yield "# ablation"
    yield "Fréchet distances of the textbook's recipe with one change, and of the better one without it."
    recipes = {"textbook": ("with", "raw", "averaged"), "better": ("without", "averaged", "raw")}
    for recipe, (word, weights, other) in recipes.items():
        yield from (f"axes: {recipe} {word} ...", "x: Fréchet distance, log, …")
        ticks = "; ".join(["", *changes.values()]) if recipe == "textbook" else ""  # both have the same
        yield f"y: , linear, 6.5 to -1.375{ticks}"
        dots, x = "", median(recipe, 3000, weights)
        for k, change in enumerate(changes):
            run = (recipe, 3000, other) if change == "average" else (f"{recipe} {word} {change}", 3000, weights)
            dots += "… o; 3 points" + "".join(f" ({x}, {k})" for (x,) in of_runs(*run, "frechet")[:3]) + " | "
        yield from (f"others: {dots}{mark(x, None)}", f"notes: {recipe} ({x}, 1)")
    steps = [median("textbook", 3000, "raw"), median("textbook with adam", 3000, "raw"), median("better", 3000)]
    factors = f"factors {steps[0] / steps[1]} and {steps[1] / steps[2]}"
    yield f"textbook {steps[0]}, with Adam's settings {steps[1]}, better {steps[2]}: {factors}"

    yield from ("# copies-show", "Twelve fakes of the averaged G, and under each the training image nearest to it.")
    shares = "nearer than the nearest # % of new real images: fakes #%, copies #%, moved copies #%"
    yield from (f"axes: {shares} / precision # recall # density # coverage #", sheet(2, 12, 20))
    yield "notes: fakes | the training image nearest to each"

    yield from ("# module", "the class draws the same images as the list: True")
    yield "five pairs of images in, logits out: 5 1"

    yield from ("# conv-recorded", "recorded step Fréchet distance recall CPU seconds")
    runs = [(recipe, step) for step in (1000, 2000, 3000) for recipe in ("better", "convolutional")]
    for recipe, step in [*runs, ("better with uniform z", 3000)]:
        its = [median(recipe, step, "averaged", column) for column in ("frechet", "recall", "cpu_s")]
        yield f"{recipe} {step} {its[0]} {its[1]} {its[2]:.0f}"


# Trained decimals are not among the facts of lesson 06; recorded ones are.
def lesson_06():
    rows, few = (tables.load(name)["rows"] for name in ("06_labels", "06_few"))

    def of(way, step=None, column="accuracy", recipe="better"):
        return [r[column] for r in rows if (r["recipe"], r["way"], r.get("step")) == (recipe, way, step)]

    def dots(*rows):
        return "others: " + " | ".join(
            f"… o; {len(values)} points" + "".join(f" ({x}, {k})" for x in values[:5]) for k, values in enumerate(rows)
        )

    yield from ("# ways-show", "MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from …")
    yield "three labels and their one-hot vectors:"
    yield from (f"{k} {np.eye(10, dtype=int)[k].tolist()}" for k in (5, 0, 4))
    yield f"at the input, a network gets {28 * 28 + 10} numbers for each image"
    for row, k in enumerate((5, 0, 4)):
        yield f"at the output, of the logits {[*range(10 * row, 10 * row + 10)]} label {k} reads {10 * row + k}"

    yield from ("# loop-show", "your guess: none yet, measured: (False, False, True)")
    yield from ("Three conditional GANs after 300 steps, asked for the digits from 0 to 9.", "axes:", sheet(3, 10, 20))
    names = ("textbook, label at the input", "better, label at the input", "better, label at the output")
    yield f"notes: {names[0]} | # | label / accuracy | {names[1]} | # | {names[2]} | #"

    yield from ("# cannot-show", "your guess: none yet, measured: 0.1")
    yield from ("A GAN whose label is added at the end, asked for the digits from 0 to 9.", "axes:", sheet(2, 10, 20))
    heads = "# | label / accuracy | # | Fréchet / distance | # | rarest / class"
    yield f"notes: 200 steps | {heads} | 600 steps | # | # | #"

    yield from ("# grid-show", "A column for each label, a row for each z: the same style in ten digits.", "axes:")
    yield from (sheet(6, 10), f"notes: {' | '.join('#' * 10)}")
    yield "recorded, median label accuracy after 500 2,500 steps, and later"
    runs = {("textbook", "glued"): (4690, 9380), ("better", "glued"): (), ("textbook", "outputs"): ()}
    for (recipe, way), later in {**runs, ("better", "outputs"): (6000,)}.items():
        shares = {step: f"{100 * np.median(of(way, step, recipe=recipe))}%" for step in (500, 2500, *later)}
        end = ", ".join(f"{shares[step]} at {step:,}" for step in later)
        place = {"glued": "input", "outputs": "output"}[way]
        yield f"{recipe}, label at the {place} {shares[500]} {shares[2500]} {end}".rstrip()
    yield from ("# ask-show", "The digits that you asked for, each from a z of its own.", "axes:", sheet(1, 10))

    yield from ("# card-show", "your guess: none yet, measured: (2, 3)")
    yield from ("An image of each label, 0 to 9, and the report card of 10,000.", "axes:", sheet(4, 10, 20))
    heads = "# | label / accuracy | # | Fréchet / distance | # | spread | # | CAS"
    others = "".join(f" | {name} | # | # | # | #" for name in ("labels shifted by one", "one image a class", "our GAN"))
    yield f"notes: real | {heads}{others}"

    ways = {"ten outputs": "outputs", "at the input": "glued", "projection": "projection"}
    ways |= {"mismatched pairs": "mismatched", "classifier": "classifier"}
    of_three = ("ten outputs", "classifier", "mismatched pairs")
    best = max(of_three, key=lambda name: sorted(of(ways[name], 2500, "taught"))[1])
    yield from ("# trade-show", f"your guess: none yet, measured: {best}")
    yield "Recorded runs of 2,500 steps: each dot is one seed."
    ticks = "; ".join(["", "real images", *ways])
    for title, column in {"label accuracy": "accuracy", "spread within a class": "spread", "CAS": "taught"}.items():
        yield from (f"axes: {title}", "x: , linear, …", f"y: , linear, 5.5 to -0.5{ticks}")
        yield dots(of("as they are", None, column, "real"), *(of(way, 2500, column) for way in ways.values()))
        ticks = ""
    yield from ("# play", "Ten digits in five styles: a column is one label, a row is one z.")

    def accuracy(size, name):
        return [row[name] for row in few if row["per_class"] == size]

    tenth, sizes, names = accuracy(600, "nothing"), (10, 30, 100, 300), ("nothing", "augmentation", "fakes", "both")
    yield from ("# few-show", f"your guess: none yet, measured: {round(sorted(tenth)[2], 2)}")
    yield f"recorded, five seeds: {100 * min(tenth)}% to {100 * max(tenth)}%"
    yield f"the same with augmentation, median: {100 * sorted(accuracy(600, 'augmentation'))[2]}%"

    change = {
        name: [100 * (a - b) for size in sizes for a, b in zip(accuracy(size, one), accuracy(size, other))]
        for name, one, other in (
            ("fakes", "fakes", "nothing"),
            ("augmentation", "augmentation", "nothing"),
            ("fakes beside augmentation", "both", "augmentation"),
        )
    }
    mean = {name: sum(points) / 20 for name, points in change.items()}
    rounded = ", ".join(f"{mean[name]:.1f}" for name in ("fakes", "augmentation"))
    yield from ("# help-show", f"your guess: none yet, measured: ({rounded})")
    yield f"images a class {' '.join(names)} copies among the fakes"
    for n in sizes:
        line = " ".join(f"{100 * sorted(accuracy(n, name))[2]}%" for name in names)
        yield f"{n} {line} {100 * sorted(accuracy(n, 'copied'))[2]:.0f}%"
    for name, points in change.items():
        low, high, middle = (f"{'+' * (n > 0)}{n}" for n in (min(points), max(points), mean[name]))
        yield f"{name}: better in {sum(p > 0 for p in points)} of 20, {low} to {high} points, {middle} on average"
    yield "Recorded: accuracy on test images, for so many labels of each class; each dot is one seed."
    ticks = "; ".join(["", *names])
    for n in sizes:
        yield from (f"axes: {n} a class", "x: , linear, …", f"y: , linear, 3.5 to -0.5{ticks}")
        yield dots(*(accuracy(n, name) for name in names))
        ticks = ""

    yield from (
        "# memory-show",
        "A GAN that has seen ten images of each class, and its nearest training images.",
        "axes:",
    )
    yield from (sheet(2, 10, 20), "notes: fakes, asked for 0 to 9 | the training image nearest to each")

    named = {
        "at the input": "glued",
        "at the input × 9": "glued x 9",
        "embedding": "embedding",
        "ten outputs": "outputs",
    }
    named |= {"projection": "projection", "mismatched pairs": "mismatched", "classifier": "classifier"}
    yield from ("# ways-all", "label accuracy at 500 2,500 Fréchet spread CAS")
    for name, way in {**named, "added at the end": "last layer", "real images": None}.items():
        which = ("as they are", None) if way is None else (way, 2500)
        recipe = "real" if way is None else "better"
        its = [np.median(of(*which, column, recipe)) for column in ("accuracy", "frechet", "spread", "taught")]
        first = f"{100 * np.median(of(way, 500))}% " if way else ""
        yield f"{name} {first}{100 * its[0]}% {its[1]} {its[2]} {100 * its[3]}%"

    yield from ("# mismatch", f"D = {2 / 3}, loss_D = {math.log(1.5) + math.log(3) / 2}, loss_G = {math.log(1.5)}")
    yield from ("# number-show", "Four z, one in each row, asked for nine slants.")
    yield from ("axes: from left to right: slants from −2 to 2", sheet(4, 9))
    yield from ("# half-show", "Upper halves of test images, two lower halves that G drew, and the real ones.", "axes:")
    yield from (
        sheet(4, 10, 20),
        "notes: the upper half | # | read / right | G, one z | # | G, another z | # | the real image | #",
    )


# What holds for each figure of each lesson.
ROLES = {"p": "real", "p_g": "fake", "D": "D", "D*": "D*", "loss_D": "D", "loss_G": "fake", "fakes": "fake"}
ROLES |= {"D on real images": "real", "D on fake images": "fake"}
LOOK = r"(?:\S+ )?#[0-9a-f]{6}[^;,|(]*"


def faults_of_looks(facts):
    """What is wrong with the looks of a figure: a name has one look, a role its own, and a legend says it."""
    drawn = re.findall(rf"^(?:line|bars) (.+): ({LOOK});", facts, re.MULTILINE)
    entries = [entry for line in re.findall(r"^legend: (.+)$", facts, re.MULTILINE) for entry in line.split(" | ")]
    legend = [re.fullmatch(rf"(.+?): ({LOOK})", entry).groups() for entry in entries]
    for name, look in drawn:
        if (name, look) not in legend:
            yield f"{name!r} is drawn as {look!r}, and the legend does not say so: {legend}"
    for name, look in [*drawn, *legend]:
        role = None if look.startswith("#") else look.split()[0]
        if role != ROLES.get(name):
            yield f"{name!r} has the look of {role}, wanted {ROLES.get(name)}: draw it in another, or add it to ROLES"
    for axes in facts.split("axes:"):
        looks = re.findall(rf"^(?:line|bars) .+: ({LOOK});", axes, re.MULTILINE)
        if len(set(looks)) < len(looks):
            yield f"two things have one look in one axes: {looks}"


CELLS = {
    (lesson, cell.id): cell for lesson, nb in sorted(LESSONS.items()) for cell in nb.cells if needs_an_oracle(cell)
}


@pytest.mark.parametrize(("lesson", "cell"), CELLS)
def test_a_cell_shows_what_its_oracle_says(lesson, cell):
    lines = shown(CELLS[lesson, cell])
    assert cell in oracles(lesson), (
        f"lesson {lesson}, cell {cell} shows a figure or prints numbers, and has no oracle: compute in another way, in "
        f"lesson_{lesson} of tests/lessons/test_figures.py, what it shows:\n" + "\n".join(lines)
    )
    wrong = [fault(lesson, cell, lines) or ""]
    for output in CELLS[lesson, cell].outputs:
        wrong += faults_of_looks(output.get("data", {}).get("text/plain", ""))
    assert not any(wrong), f"lesson {lesson}, cell {cell}: " + "\n".join(wrong)


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_oracle_has_its_cell(lesson):
    idle = [cell for cell in oracles(lesson) if (lesson, cell) not in CELLS]
    assert not idle, f"these cells of lesson {lesson} show nothing any more: delete their oracles"


def mistakes(lines):
    """What is shown with one mistake each; looks and limits that matplotlib has chosen stay."""
    for k, line in enumerate(lines):
        before, after = lines[:k], lines[k + 1 :]
        yield before + after
        yield [*before, line, line, *after]
        kept = [found.span() for found in re.finditer(rf"{LOOK}|\S+ to \S+", line)]
        said = re.finditer(rf"{NUMBER}|\w+", line)
        said = [found for found in said if not any(a <= found.start() < b for a, b in kept)]
        for found, other in zip(said, said[1:]):
            between = line[found.end() : other.start()]
            yield [*before, line[: found.start()] + other[0] + between + found[0] + line[other.end() :], *after]
            wrong = re.sub(r"[1-9]|0$", lambda digit: str((int(digit[0]) + 3) % 10), found[0], count=1)
            yield [*before, line[: found.start()] + wrong + line[found.end() :], *after]


@pytest.mark.parametrize("lesson", LESSONS)
def test_mistakes_are_noticed(lesson):
    cells = {cell: shown(CELLS[lesson, cell]) for of, cell in CELLS if of == lesson}
    planted = [(cell, wrong) for cell, lines in cells.items() for wrong in mistakes(lines) if wrong != lines]
    missed = [(cell, wrong) for cell, wrong in planted if not fault(lesson, cell, wrong)]
    assert len(missed) < len(planted) / 50, missed  # a trained value has a tolerance, and some phrases are free


GOOD = """axes:
line p: real #3f90da - 2.5; 2 points
line γ = 1: #767676 : 1.5; 2 points
legend: p: real #3f90da - 2.5 | γ = 1: #767676 : 1.5"""


@pytest.mark.parametrize(
    ("fault", "right", "wrong"),
    [
        ("'p' is drawn as 'real #3f90da - 2.5', and the legend", "legend: p:", "legend: q:"),
        ("'p' has the look of fake, wanted real", "real", "fake"),
        ("'γ = 1' has the look of D*, wanted None", "1: #", "1: D* #"),
        ("two things have one look", "#767676 : 1.5", "real #3f90da - 2.5"),
    ],
)
def test_a_wrong_look_is_noticed(fault, right, wrong):
    assert list(faults_of_looks(GOOD)) == []
    assert any(found.startswith(fault) for found in faults_of_looks(GOOD.replace(right, wrong)))


@pytest.mark.parametrize(
    ("stored", "expected", "same"),
    [
        ("0.3989", "0.39894", True),
        ("−1,386.3 5,958", "-1386.29 5957.6", True),
        ("5,958", "5957.4", False),
        ("8e-06 inf", "7.99e-06 inf", True),
        ("0.7 a b", "0.75~0.06 …", True),
    ],
)
def test_a_number_is_compared_as_far_as_it_has_digits(stored, expected, same):
    assert is_said(stored, expected) is same
