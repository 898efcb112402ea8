"""Lesson 02 broken on purpose: each part of each of its claims fails when what it says is no longer so."""

import math
import re

import pytest

pytestmark = pytest.mark.slow

LESSON = "02_minimax_value_function.ipynb"
QUICK = ("in range(800)", "in range(1)")  # where the trained D is not asked for

# For each claim, named by the cell that makes it: changes that make one of its parts false, and that part.
BROKEN = {
    "minmax": [
        (("[[2, 3], [1, 4]]", "[[3, 4], [1, 4]]"), "both orders give 2 in game A"),
        (("score.max(0).values.min()", "score.max(1).values.min()"), "both orders give 2 in game A"),
        (("[[1, -1], [-1, 1]]", "[[1, -1], [1, -1]]"), "they give 1 and −1 in game B"),
        (("[[2, 3], [1, 4]]", "[[2, 1], [1, 2]]"), "taking turns comes to rest in game A"),
        (("score[row].argmin()", "score[row].argmax()"), "taking turns goes round in game B"),
    ],
    "signs": [
        (("V_here = D_real.log()", "V_here = (1 - D_real).log()"), "pushes real logits up and fake ones down"),
        (("(1 - D_fake).log().mean()  #", "D_fake.log().mean()  #"), "pushes real logits up and fake ones down"),
        (('"minimax": (1 - D_fake)', '"minimax": D_fake'), "both losses of G push fake logits up"),
        (("-D_fake.log().mean()}", "D_fake.log().mean()}"), "both losses of G push fake logits up"),
        (("losses.minimax_D(real, fake), losses", "losses.minimax_D(real, fake) / 2, losses"), "computes the same"),
    ],
    "bayes": [
        (("share = count_p / (count_p + count_p_g)", "share = count_p / count_p_g"), None),
        (("sample(200_000", "sample(2_000"), None),
    ],
    "train-show": [
        (("(1 - D_tried).log()", "D_tried.log()"), "the best of the tried values is D*"),
        (("in range(800)", "in range(20)"), "the network is within a hundredth of D*"),
        (("    opt_D.zero_grad()\n", ""), "the network is within a hundredth of D*"),
        (("minimax_D(D(", "hinge_D(D("), "the network is within a hundredth of D*"),
        (("top, by_network, by_argmax = (", "by_argmax, by_network, top = ("), "the tried values reach"),
        (("top, by_network, by_argmax = (", "by_network, top, by_argmax = ("), "the network reaches"),
    ],
    "jsd": [
        (("-math.log(4) + 2 * jsd", "-math.log(2) + 2 * jsd"), "max V is −log 4 + 2 JSD"),
        (("-math.log(4) + 2 * jsd", "-math.log(4) + jsd"), "max V is −log 4 + 2 JSD"),
        (("(metrics.kl_divergence, m", "(metrics.js_divergence, m"), "KL is half of μ²"),
    ],
    "fixed": [
        (("s = torch.zeros(100, 1)", "s = torch.full((100, 1), 0.5)"), "V is −1.386, and the sum of the means 1.386"),
        (("losses.minimax_D(s, s) / 2", "losses.minimax_D(s, s)"), "the mean of the means is 0.693"),
        (("losses.minimax_G(s)", "losses.non_saturating_G(s)"), "the losses of G are 0.693 and −0.693"),
        (("of_real * tried.log()", "tried.log()"), "the best D is 1/2 for one real sample per fake, 2/3 for two"),
    ],
    "wrong": [
        (("still = best_logit(two)", "still = best_logit(two) / 10"), "V is below −10 while D stands still"),
        (("V(best_logit(q), q) for", "V(best_logit(q) / 10, q) for"), "V is near 0 after the answer of D"),
        (("V(0 * x, two)", "V(0 * x - 0.1, two)"), "saying 1/2 gives −1.386"),
        (("still = best_logit(two)", "still = 0 * x"), "saying 1/2 is worse than the best D"),
    ],
    "shares": [
        (("torch.cat([1 + z, 6 + z])", "torch.cat([1 + z, 2 + z])"), "under 1 % with the minimax loss"),
        (("torch.cat([1 + z, 6 + z])", "torch.cat([6 + z, 1 + z])"), "over half with the non-saturating loss"),
        (("loss_G(s) * len(s)", "loss_G(s)"), "the sizes of the slopes are D and 1 − D"),
    ],
    "adam": [
        (("optimizer([theta]", "torch.optim.Adam([theta]"), "SGD with the minimax loss and small steps is far away"),
        (("optimizer([theta]", "torch.optim.SGD([theta]"), "the other three of the four have arrived"),
        (("optim.SGD, lr=1.0", "optim.SGD, lr=0.1"), "SGD with a learning rate of 1 has arrived"),
    ],
    "xy-show": [
        (("v[1] + eta * v[0]", "v[1] - eta * v[0]"), "simultaneous steps grow by the root of 1 + η² each"),
        (("math.sqrt(1 + eta**2)) <", "math.sqrt(1 - eta**2)) <"), "so says their spectral radius"),
        (("return torch.stack([x, v[1] + eta * x])", "return simultaneous(v)"), "alternating steps circle"),
        (("v[1] + eta * ahead[0]", "v[1] + eta * v[0]"), "extragradient steps shrink"),
    ],
}


def test_the_lesson_as_it_is_makes_ten_true_claims(run, claimed):
    printed, false = run("xy-show")
    assert false == []
    assert claimed.keys() == BROKEN.keys()
    assert printed.count("✓ ") == 10
    assert all(f"✓ {sentence}" in printed for sentence in claimed.values())


@pytest.mark.parametrize(
    ("until", "change", "part"),
    [(until, *case) for until, broken in BROKEN.items() for case in broken],
)
def test_a_part_of_a_claim_fails_when_its_point_is_lost(still_true, until, change, part):
    quick = () if until in ("minmax", "signs", "bayes", "train-show") else (QUICK,)
    # a claim without parts has none to name
    assert still_true(until, change, *quick, parts=[part or ""]) == []


def test_each_part_of_a_claim_is_broken_once(claimed, parts):
    for until, broken in BROKEN.items():
        for part in parts[claimed[until]]:
            assert any(said and said in part for _, said in broken), (until, part)


def test_the_further_sections_print_what_theory_gives(run):
    printed, false = run("descend-show", QUICK)
    assert [sentence for sentence in false if "network" not in sentence] == []
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
    assert "At p_g = p: loss_G, non-saturating 0.693; its distance 0.000" in printed
