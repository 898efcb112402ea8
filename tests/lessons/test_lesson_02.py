"""Lesson 02 broken on purpose: each of its claims fails when what it says is no longer so."""

import math
import re

import pytest

pytestmark = pytest.mark.slow

LESSON = "02_minimax_value_function.ipynb"

GAMES = "Both orders give 2 in game A, but 1 and −1 in game B, where taking turns goes round"
SIGNS = "The loss of D is −V and pushes fakes down, both losses of G push them up"
COUNTED = "The counted shares are within a hundredth of D*, on average over the samples"
FOUND = "Trying 999 values and training a network both find D*, and neither V is above its V"
DIVERGENCE = "In each row max V is −log 4 + 2 JSD, and KL is half of μ², to six digits"
FIXED = "At D = 1/2 a program prints ±1.386 or ±0.693, and 2/3 is best for two real samples per fake"
STILL = "At −8 V is below −10 as D stands still and near 0 after its answer, and saying 1/2 is worse than the best D"
SLOPES = "The slopes are −D and D − 1, at g_loss 8.6927 a factor of 5,958"
FAR = "Only SGD with the minimax loss and small steps is still far away"
GROW = "Simultaneous steps grow as the root of 1 + η², alternating ones circle, extragradient ones shrink"
ALL = [GAMES, SIGNS, COUNTED, FOUND, DIVERGENCE, FIXED, STILL, SLOPES, FAR, GROW]

UPSIDE_DOWN = ("return p.log_density(x) - p_g.log_density(x)", "return p_g.log_density(x) - p.log_density(x)")
SWAPPED = (
    "losses.minimax_D(D(p.sample(512, rng)), D(p_g.sample(512, rng)))",
    "losses.minimax_D(D(p_g.sample(512, rng)), D(p.sample(512, rng)))",
)


def test_the_lesson_as_it_is_makes_ten_true_claims(run):
    printed, false = run("xy")
    assert false == []
    assert all(f"✓ {sentence}" in printed for sentence in ALL)
    assert printed.count("✓ ") == len(ALL)


@pytest.mark.parametrize(
    ("until", "change", "claim"),
    [
        ("minmax", ("[[2, 3], [1, 4]]", "[[2, 1], [1, 4]]"), GAMES),
        ("minmax", ("pay.max(0).values.min()", "pay.max(1).values.min()"), GAMES),
        ("minmax", ("pay[row].argmin()", "pay[row].argmax()"), GAMES),
        ("signs", ("losses.minimax_G(fake)", "-losses.minimax_G(fake)"), SIGNS),
        ("signs", ("losses.non_saturating_G(fake)", "losses.minimax_G(fake)"), SIGNS),
        ("signs", ("(1 - fake.sigmoid()).log()", "fake.sigmoid().log()"), SIGNS),
        ("signs", ("losses.minimax_D(real, fake)", "losses.minimax_D(fake, real)"), SIGNS),
        ("bayes", UPSIDE_DOWN, COUNTED),
        ("bayes", ("share = of_p / (of_p + of_p_g)", "share = of_p / of_p_g"), COUNTED),
        ("bayes", ("sample(200_000", "sample(2_000"), COUNTED),
        ("train-show", SWAPPED, FOUND),
        ("train-show", ("in range(800)", "in range(20)"), FOUND),
        ("train-show", ("    opt_D.zero_grad()\n", ""), FOUND),
        ("train-show", ("minimax_D(D(", "hinge_D(D("), FOUND),
        ("train-show", ("(1 - tried).log()", "tried.log()"), FOUND),
        ("jsd", ("2 * jsd - math.log(4)", "2 * jsd - math.log(2)"), DIVERGENCE),
        ("jsd", ("2 * jsd - math.log(4)", "jsd - math.log(4)"), DIVERGENCE),
        ("jsd", ("metrics.kl_divergence(*pair, x)", "metrics.js_divergence(*pair, x)"), DIVERGENCE),
        ("fixed", ("losses.minimax_D(s, s) / 2", "losses.minimax_D(s, s)"), FIXED),
        ("fixed", ("s = torch.zeros(100, 1)", "s = torch.full((100, 1), 0.5)"), FIXED),
        ("fixed", ("of_real * tried.log()", "tried.log()"), FIXED),
        ("wrong", ("still = best_logit(two)", "still = 0 * x"), STILL),
        ("wrong", ("V(0 * x, two)", "V(0 * x + 2, two)"), STILL),
        ("slope", ("loss_G(s) * len(s)", "loss_G(s)"), SLOPES),
        ("slope", ("math.exp(8.6927)", "math.exp(8.5)"), SLOPES),
        ("adam", ("optimizer([theta]", "torch.optim.Adam([theta]"), FAR),
        ("adam", ("optimizer([theta]", "torch.optim.SGD([theta]"), FAR),
        ("adam", ('"minimax": losses.minimax_G', '"minimax": losses.hinge_G'), FAR),
        ("xy", ("v[1] + eta * v[0]", "v[1] - eta * v[0]"), GROW),
        ("xy", ("return torch.stack([x, v[1] + eta * x])", "return simultaneous(v)"), GROW),
        ("xy", ("v[1] + eta * ahead[0]", "v[1] + eta * v[0]"), GROW),
    ],
)
def test_a_claim_fails_when_its_point_is_lost(run, until, change, claim):
    quick = () if until in ("minmax", "signs", "bayes", "train-show") else (("in range(800)", "in range(1)"),)
    assert claim in run(until, change, *quick)[1]


def test_the_numbers_in_the_text_are_those_of_the_formulas():
    def density(x, mean, sd):
        return math.exp(-(((x - mean) / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi))

    assert (round(density(0, 0, 1), 3), round(density(0, 1, 2), 3)) == (0.399, 0.176)
    assert round(math.log(0.5), 3) == -0.693
    assert round(2 * math.log(0.5), 3) == -1.386
    assert round(math.expm1(8.6927)) == 5958


def test_the_further_sections_print_what_theory_gives(run):
    printed, false = run("descend")
    assert false == []
    assert [float(radius) for radius in re.findall(r"^γ = .*radius (\S+),", printed, re.MULTILINE)] == [
        round(radius, 5)
        for radius in (
            math.sqrt(1 + 0.05**2),
            math.sqrt(0.99 + 0.05**2),
            math.sqrt(0.97 + 0.05**2),
            0.95,
            1 - 0.1 * (1 - math.sqrt(0.75)),
        )
    ]
    smoothed = re.findall(r"best D (\S+), loss_D (\S+); slope of the logit at 6: (\S+)$", printed, re.MULTILINE)
    assert smoothed == [
        ("0.5000", "1.386294", "-6.000000"),
        ("0.4500", "1.376278", "-6.000000"),
        ("0.5000", "1.386294", "-0.000001"),
    ]
    pairs = re.findall(r"gradient of the loss (\S+), slope of the distance (\S+)$", printed, re.MULTILINE)
    assert pairs == [("0.44960", "0.44960"), ("1.55040", "1.55040")]
