"""Lesson 03 broken on purpose: each part of each of its claims fails when what it says is no longer so."""

import pytest

pytestmark = pytest.mark.slow

LESSON = "03_toy_1d_gan.ipynb"
WORLD = ("setup", "world", "near", "rule", "ten")

# The cells that each claim rests on: to run all takes a minute.
CELLS = {
    "same-show": ("setup", "world", "loop", "same"),
    "near-show": ("setup", "world", "loop", "near-guess", "near"),
    "ten-show": ("loop", *WORLD, "ten-guess", "ten-run"),
    "r1-show": ("loop", *WORLD, "ten-guess", "ten-run", "ten-show", "r1-guess", "r1-run"),
    "told-show": ("loop", *WORLD, "ten-guess", "ten-run", "ten-show", "told-guess", "told"),
    "first-show": ("loop", *WORLD, "first-guess", "first"),
    "k-show": ("setup", "world", "rule", "k-guess", "k"),
    "heart-show": ("setup", "world", "heart-guess", "heart"),
    "ring-show": ("setup", "world", "ring-guess", "ring"),
    "grid-show": ("setup", "world", "grid-guess", "grid"),
}
FEW = ("for _ in range(1000):\n    # D", "for _ in range(40):\n    # D")
AGAIN = ("range(1000):\n    gan.step", "range(40):\n    gan.step")
QUICK = dict.fromkeys(("ten-show", "r1-show", "told-show", "first-show"), (FEW,))
CALM = ('train_row("without R1", view)', 'train_row("without R1", view, r1=0.5)')
COUNTED = ("steps_of_D = of(", 'worked = {"without R1": 3, "with R1": 10}\nsteps_of_D = of(')
RECORDED = ("latent = models", 'recorded = tables.load("03_toys")["rows"]\nlatent = models')
RING = ("fakes, rng = {}", 'ring, recorded = targets.ring(), tables.load("03_toys")["rows"]\nfakes, rng = {}')

# For each claim, named by the cell that makes it: changes that make parts of it false, and these parts.
BROKEN = {
    "same-show": [
        (("float64), seed=SEED)", "float64), seed=SEED + 1)"), FEW, AGAIN, "no weight differs"),
        (FEW, (AGAIN[0], AGAIN[1].replace("40", "39")), "no weight differs"),
        ((FEW[0], FEW[1].replace("40", "0")), AGAIN, "they have moved"),
    ],
    "near-show": [
        (("targets.normal(2, 0.5)", "p"), "one missing peak costs a half of 4"),
        (("p.sample(100_000, rng)", "right"), "the floor of Wasserstein-1", "the floor of JSD"),
    ],
    "ten-show": [(CALM,)],
    "r1-show": [(("view, r1=0.5)", "view)"), "at least eight succeed", "at least three more than without it")],
    "told-show": [
        (CALM, "another one is further"),
        (("now = torch.tensor([", "now = 3 * torch.tensor(["), "one of them is nearer"),
    ],
    "first-show": [
        (("rounds=200", "rounds=5"), "all four pairs come near", "the other three have moved"),
        (("trained_D[start])\n    if", "trained_D[0])\n    if"), "G stands where it was"),
        (("of_each.median().item()", "of_each.median().item() * (50 if start else 1)"), "a thousand times smaller"),
    ],
    "k-show": [
        (COUNTED, ('of("steps of D")', 'dict(zip(of("steps of D"), [*of("steps of D").values()][::-1]))'),
         "differ by four", "differ by two", "k = 3 with R1 works"),
        (COUNTED, ('of("steps of D")', '{name: of("steps of D")["k = 3" in name and "k = 3, with R1" or name] for name '
         'in of("steps of D")}'), "k = 3 without R1 is no better"),
    ],
    "heart-show": [
        (("for n in (N, 2000)", "for n in (60_000, 2000)"), "nine of ten D prefer what they have seen"),
        (("for n in (N, 2000)", "for n in (100, 2000)"), "three times smaller", "none of ten differs"),
    ],
    "ring-show": [
        (RING, ("(D, 1e-4)", "(D, 5e-3)"), "the plain D covers two of eight at most"),
        (RING, ('{"pack": 4}', "{}"), "the packed D covers nearly all"),
        (RING, ("(D, 1e-4)", "(D, 5e-3)"), ('{"pack": 4}', "{}"), "few of its fakes are hits"),
        (RING, ("range(1750)", "range(2)"), ('equal = of_ring["equal rates"]', 'equal = of_ring["fast G"]'),
         "equal learning rates cover", "most of their fakes are hits"),
        (RING, ("range(1750)", "range(2)"), ('of_ring["fast G"]["covered"]', 'of_ring["balanced"]["covered"]'),
         "nine of ten recorded ones"),
        (RING, ("range(1750)", "range(2)"), ("= 6 * torch.rand", "= 0.6 * torch.rand"), "noise covers all eight"),
    ],
    "grid-show": [
        (RECORDED, ("range(1500)", "range(60)"), "three times as many are hits", "covers nearly all spots"),
        (RECORDED, ("range(1500)", "range(2)"), ('of_ten["code"]["on"]', 'of_ten["plain z"]["on"]'),
         "most fakes are hits in all ten seeds"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("until", "case"), [(until, case) for until, broken in BROKEN.items() for case in broken])
def test_a_part_of_a_claim_fails_when_its_point_is_lost(still_true, until, case):
    changes, said = ([one for one in case if isinstance(one, kind)] for kind in (tuple, str))
    assert still_true(until, *QUICK.get(until, ()), *changes, parts=said or [""], only=CELLS[until]) == []


def test_each_part_of_a_claim_is_broken_once(claimed, parts):
    assert claimed.keys() == BROKEN.keys() == CELLS.keys()
    for until, broken in BROKEN.items():
        said = [one for case in broken for one in case if isinstance(one, str)]
        assert [part for part in parts[claimed[until]] if not any(one in part for one in said)] == []
