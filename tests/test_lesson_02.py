"""Lesson 02 broken on purpose: each of its claims fails when what it says is no longer so."""

import math

import pytest

LESSON = "02_minimax_value_function.ipynb"

GAMES = "Only game A has the same value in both orders"
SIGNS = "The loss of D is −V and pushes fakes down, both losses of G push them up"
COUNTED = "The counted shares lie on D*, to a hundredth"
FOUND = "Trying 999 values and training a network both find D*, and no V is above its V"
DIVERGENCE = "In each row max V is −log 4 + 2 JSD, to six digits"
FIXED = "At the fixed point each printed number has a value of its own"
STILL = "A D that stands still can lose any amount, its next answer takes it back, and ½ is not its goal"
SLOPES = "The slopes are −D and D − 1, at g_loss 8.69 a factor of 5,958"
STUCK = "Only SGD with the minimax loss is stuck"
AWAY = "Simultaneous steps move away by the root of 1 + η², which is their spectral radius"
ALL = [GAMES, SIGNS, COUNTED, FOUND, DIVERGENCE, FIXED, STILL, SLOPES, STUCK, AWAY]

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
        ("signs", ("losses.minimax_G(fake)", "-losses.minimax_G(fake)"), SIGNS),
        ("signs", ("(1 - fake.sigmoid()).log()", "fake.sigmoid().log()"), SIGNS),
        ("signs", ("losses.minimax_D(real, fake)", "losses.minimax_D(fake, real)"), SIGNS),
        ("bayes", UPSIDE_DOWN, COUNTED),
        ("bayes", ("share = of_p / (of_p + of_p_g)", "share = of_p / of_p_g"), COUNTED),
        ("train-show", SWAPPED, FOUND),
        ("train-show", ("in range(800)", "in range(50)"), FOUND),
        ("train-show", ("(1 - tried).log()", "tried.log()"), FOUND),
        ("jsd", ("2 * jsd - math.log(4)", "2 * jsd - math.log(2)"), DIVERGENCE),
        ("jsd", ("2 * jsd - math.log(4)", "jsd - math.log(4)"), DIVERGENCE),
        ("fixed", ("losses.minimax_D(s, s) / 2", "losses.minimax_D(s, s)"), FIXED),
        ("fixed", ("s, tried = torch.zeros(100, 1)", "s, tried = torch.full((100, 1), 0.5)"), FIXED),
        ("wrong", ("still = D_star(two)", "still = 0 * x"), STILL),
        ("slope", ("s.detach()", "s.detach().sigmoid()"), SLOPES),
        ("slope", ("8.6927) - 1", "8.5) - 1"), SLOPES),
        ("adam", ("optimizer([theta]", "torch.optim.Adam([theta]"), STUCK),
        ("adam", ("lr=0.1", "lr=2.0"), STUCK),
        ("adam", ('"minimax": losses.minimax_G', '"minimax": losses.hinge_G'), STUCK),
        ("xy", ("v[1] + eta * v[0]", "v[1] - eta * v[0]"), AWAY),
    ],
)
def test_a_claim_fails_when_its_point_is_lost(run, until, change, claim):
    assert claim in run(until, change)[1]


def test_the_numbers_in_the_text_are_those_of_the_formulas():
    def density(x, mean, sd):
        return math.exp(-(((x - mean) / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi))

    assert (round(density(0, 0, 1), 3), round(density(0, 1, 2), 3)) == (0.399, 0.176)
    assert round(math.log(0.5), 3) == -0.693
    assert round(2 * math.log(0.5), 3) == -1.386
    assert round(math.expm1(8.6927)) == 5958
