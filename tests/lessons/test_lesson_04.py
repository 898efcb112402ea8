"""Lesson 04 broken on purpose: each of a learner's usual mistakes makes a claim, a part of it or an error say so."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.data]

LESSON = "04_mnist_gan.ipynb"
SIZES = "G has 566,800 parameters and D has 201,217, as in models.textbook_pair"
OWN_PLAYER = "Each update moved its own player alone, and the loss of D did not reach G"
JUDGE = "The judge reads nearly all test images right"
FLAWS = "Each number notices its flaw: blur and noise, the missing digit, the copies"
FAKES = "The fakes are nearer to digits than noise is, and not all of one class"
AB = "The losses of A and B lie near the fixed points, A's nearer, and A's distance is over four times B's"
SAME = "After 50 steps the package has the weights of our own loop, bit for bit"
RECORDED = "Recorded: 1,000 steps of the better recipe beat 43 epochs of the textbook's, over 15 times sooner"
AGREES = "The run above agrees with the recorded ones"
RESUMED = "The resumed run ends where the unbroken one does, bit for bit"

FEW_STEPS = (
    "STEPS, history, grids = 1500",
    "STEPS, history, grids = 301",
)  # of the textbook's GAN, where it is not asked
DETACHED = "    with torch.no_grad():  # the loss of D must not reach G\n        fake"
PLAYERS = "    return G, D, adam(G), adam(D)"
BOTH = "    both = adam(nn.ModuleList([G, D]))\n    return G, D, "
ROWS = 'rows = tables.load("04_quality")["rows"]'
POOR = f'{ROWS}\nfor row in rows:\n    if row["recipe"] == "better":\n        row.update(frechet=5.0, cpu_s=40)'
SWAPPED = ("softplus(-D(x)).mean() + softplus(D(fake)).mean()", "softplus(D(x)).mean() + softplus(-D(fake)).mean()")


WRONG_STEPS = {
    "update_D moved D": [("    opt_D.step()", "")],
    "update_D left G alone": [(DETACHED, "    fake"), (PLAYERS, f"{BOTH}adam(G), both")],
    "the loss of D did not reach G": [(DETACHED, "    fake")],
    "update_G moved G": [("    opt_G.step()", "")],
    "update_G left D alone": [(PLAYERS, f"{BOTH}both, both")],
}


@pytest.mark.parametrize("part", WRONG_STEPS)
def test_a_wrong_step_is_noticed(run, part):
    printed, false = run("move-answer", *WRONG_STEPS[part])
    assert false == [OWN_PLAYER]
    assert part in printed


# Several claims can be false in one run, which takes long: the cell to run to, the changes, and the parts by claim.
BROKEN = {
    "other networks": (
        "pair-claim",
        [("nn.Linear(128, 256)", "nn.Linear(128, 250)"), ("nn.Linear(784, 256)", "nn.Linear(784, 250)")],
        {SIZES: ("G has as many", "D has as many", "the layers are those of models.textbook_pair")},
    ),
    "flaws that are none, an upset judge, a learning rate a hundred times too large": (
        "textbook-claim",
        [
            FEW_STEPS,
            ("lr=2e-4", "lr=2e-2"),
            ("accuracy(mnist.test_images,", "accuracy(mnist.test_images.flip(3),"),
            ("nn.functional.avg_pool2d(train[:10_000] + 1, 3, stride=1, padding=1) - 1", "train[:10_000]"),
            ("2 * torch.rand(10_000, 1, 28, 28, generator=rng) - 1", "train[:10_000]"),
            ("train[labels != 3][:10_000]", "train[:10_000]"),
            ("train[:100].repeat(100, 1, 1, 1)", "train[:1_000].repeat(10, 1, 1, 1)"),
            ('"real images": train[:10_000]', '"real images": train[:100].repeat(100, 1, 1, 1)'),
        ],
        {
            JUDGE: (),
            FLAWS: (
                "blur has over three times the distance of real images",
                "noise has over five times that of blur",
                "without the 3, the divergence is over ten times that of real images",
                "the recall of copies is below 0.1",
                "the recall of real images is above 0.7",
            ),
            FAKES: ("their Fréchet distance is below 55", "their class divergence is below 1.6"),
        },
    ),
    "the better recipe trained for 200 steps, a poor record of it, a package with other steps": (
        "resume-claim",
        [
            FEW_STEPS,
            ('{"A": 100, "B": 2000}', '{"A": 100, "B": 200}'),
            ("    update_D(x)\n    update_G(len(x))", "    update_G(len(x))\n    update_D(x)"),
            (ROWS, POOR),
            ("numbers(better.sample(10_000, seed=SEED + 1))", "numbers(train[:10_000])"),
            ("resumed = go_on(again, again_batches)", "resumed = go_on(again, our_batches)"),
        ],
        {
            AB: ("A's Fréchet distance is over four times B's", "B's is below 5"),
            SAME: ("the weights of G", "the weights of D"),
            RECORDED: ("the Fréchet distance is no larger", "over 15 times sooner"),
            AGREES: ("at least half as large",),
            RESUMED: (),
        },
    ),
    "A after B, images too poor for the record": (
        "live-claim",
        [
            FEW_STEPS,
            ('{"A": 100, "B": 2000}', '{"B": 100, "A": 1200}'),
            ('until=moments["B"]', 'until=moments["A"]'),
            ("numbers(better.sample(10_000, seed=SEED + 1))", 'numbers(flawed["blurred"])'),
        ],
        {AB: ("A's losses are nearer",), AGREES: ("at most twice as large",)},
    ),
    "a learning rate five times too large": (
        "ab-answer",
        [FEW_STEPS, ('{"A": 100, "B": 2000}', '{"A": 100, "B": 200}'), ("lr=1e-3, betas", "lr=5e-3, betas")],
        {AB: ("both are off by less than 0.3",)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_every_part_of_a_claim_can_be_false(run, misplaced_in, name):
    cell, changes, claims = BROKEN[name]
    printed, false = run(cell, *changes)
    assert set(claims) <= set(false)
    broken = [(sentence, part) for sentence, parts in claims.items() for part in parts or [""]]
    assert [part for _, part in broken if part not in printed] == []
    assert [fault for claim in broken for fault in misplaced_in(*claim)] == []


def test_each_part_of_a_claim_is_broken_once(parts):
    broken = {OWN_PLAYER: set(WRONG_STEPS)}
    for _, _, claims in BROKEN.values():
        for sentence, said in claims.items():
            broken[sentence] = broken.get(sentence, set()) | set(said)
    assert parts.keys() == broken.keys()
    assert {
        sentence: set(names) - broken[sentence] for sentence, names in parts.items() if set(names) - broken[sentence]
    } == {}


def test_swapped_labels_reach_the_training_that_the_lesson_shows(run):
    assert FAKES in run("textbook-claim", SWAPPED)[1]


def test_a_training_that_was_stopped_is_told_how_to_go_on(run):
    with pytest.raises(AssertionError, match="no 100 steps up to 300 among the 199 trained: train on"):
        run("loss", ("range(len(history) + 1, STEPS + 1)", "range(len(history) + 1, 200)"))
    with pytest.raises(AssertionError, match="step 300 is compared with a later one: set STEPS above 300"):
        run("loss", (FEW_STEPS[0], "STEPS, history, grids = 300"))
    with pytest.raises(AssertionError, match="no 100 steps up to 2,000 among the 150 trained: train on"):
        run("better-loop", FEW_STEPS, ('until=moments["B"]', "until=150"))


def test_images_up_to_255_are_refused(run):
    with pytest.raises(ValueError, match="images must"):
        run("images-show", ("images = mnist.train_images.to(device)", "images = 127.5 * mnist.train_images + 127.5"))
