"""Lesson 01 broken on purpose: each part of each of its claims fails when what it says is no longer so."""

import re

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.data]

LESSON = "01_generative_vs_discriminative.ipynb"
CLAIMS = re.compile(r'^claim\(\s*"([^"]+)"', re.MULTILINE)
UNTRAINED = ("for _ in range(300)", "for _ in range(30)")

# For each claim, named by the cell that makes it: changes that make one of its parts false, and that part.
BROKEN = {
    "questions-show": [
        (("LogisticRegression(C=1e6, tol=1e-8)", "LogisticRegression(C=1e-4)"), "near the true p(B|x) in between"),
        (('"far": torch.tensor([[4.0, -4.0]])', '"far": torch.tensor([[0.5, 0.0]])'), "logistic regression is sure"),
        (('"far": torch.tensor([[4.0, -4.0]])', '"far": torch.tensor([[0.5, 0.0]])'), "so are class Gaussians"),
        (('"far": torch.tensor([[4.0, -4.0]])', '"far": torch.tensor([[2.0, 0.0]])'), "less than a millionth"),
        (("gaussians.sample(1, 600", "gaussians.sample(0, 600"), "are like those of painter B"),
    ],
    "test-show": [
        (("KNeighborsClassifier(1).fit(x, y)", "KNeighborsClassifier(1).fit(x_train, y_train)"), "promises no error"),
        (("KNeighborsClassifier(1).fit(x, y)", "KNeighborsClassifier(27).fit(x, y)"), "errs in more than an eighth"),
        (("rules[best_k].score(x_test, y_test)", "rules[1].score(x_train, y_train)"), "promise and truth are near"),
        (("np.argmin(errors[", "np.argmax(errors["), "and it errs less"),
    ],
    "judge-show": [
        (UNTRAINED, "the network after 300 steps does"),
        (("accuracy(mnist.test_images,", "accuracy(mnist.test_images.flip(3),"), "the judge does"),
    ],
    "seven-show": [
        (("labels, steps=60", "labels, steps=0"), "takes its own pictures for sevens"),
        (("digit_model.sample(7, 10", "digit_model.sample(1, 10"), "most of those that the Gaussians drew"),
        (("return x\n", "return digits_val[:10]\n"), "far below that of real sevens"),
    ],
    "numbers-show": [
        (("digit_model.posterior(encode(mnist.test_images, k))", "the_judge(mnist.test_images)"), "reads better"),
        (('"class Gaussians": decode(', '"class Gaussians": decode(5 * '), "the Gaussians draw better"),
        (('"noise": 2 * torch.rand(1000, 1, 28, 28, generator=rng) - 1', '"noise": digits_val'), "noise is far away"),
        (("digits_train[:10_000]", "digits_train[labels_train < 5][:10_000]"), "other real images are near"),
    ],
}  # fmt: skip


def test_the_lesson_as_it_is_makes_true_claims(run, cells):
    printed, false = run(list(cells)[-1])
    assert false == []
    made = {id: CLAIMS.findall(cells[id]) for id in cells if CLAIMS.search(cells[id])}
    assert made.keys() == BROKEN.keys()
    assert printed.count("✓ ") == len(made)
    assert all(f"✓ {sentence}" in printed for [sentence] in made.values())


@pytest.mark.parametrize(
    ("until", "change", "part"),
    [(until, *case) for until, broken in BROKEN.items() for case in broken],
)
def test_a_part_of_a_claim_fails_when_its_point_is_lost(run, cells, misplaced_in, until, change, part):
    printed, false = run(until, change)
    [sentence] = CLAIMS.findall(cells[until])
    assert sentence in false
    [not_so] = re.findall(r"  Not so: (.*)\.$", printed[printed.index("✗") :], re.MULTILINE)[-1:] or [""]
    assert part in not_so
    assert misplaced_in(sentence, part) == []


def test_each_part_of_a_claim_is_broken_once(cells, parts):
    for until, broken in BROKEN.items():
        [sentence] = CLAIMS.findall(cells[until])
        for part in parts[sentence]:
            assert any(said in part for _, said in broken), (until, part)
