"""Lesson 01 broken on purpose: each part of each of its claims fails when what it says is no longer so."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.data]

LESSON = "01_generative_vs_discriminative.ipynb"

# The cells that each claim rests on: to run all takes half a minute.
WORLD = ("setup", "paintings", "class-gaussians", "fit")
DIGITS = (*WORLD, "judge", "draw-fit")
CELLS = {
    "questions-show": (*WORLD, "fit-show", "questions-guess", "questions"),
    "test-show": (*WORLD, "test-guess", "test"),
    "judge-show": ("setup", "judge"),
    "draw-show": (*DIGITS, "draw-guess"),
    "seven-show": (*DIGITS, "seven-guess", "seven"),
    "numbers-show": (*DIGITS, "judge-show", "seven", "numbers-guess", "numbers"),
    "regimes-show": (*DIGITS, "kinds", "regimes-guess", "regimes"),
    "unlabelled-show": (*WORLD, "unlabelled-guess", "unlabelled"),
    "beyond-show": (*DIGITS, "beyond"),
}
UNTRAINED = ("for _ in range(300)", "for _ in range(1)")
QUICK = (UNTRAINED, ("for size in (5, 15, 50, 150)", "for size in (50,)"))  # where neither is asked
FAR = '"far": torch.tensor([[4.0, -4.0]])'
NOISE = '"noise": 2 * torch.rand(1000, 1, 28, 28, generator=rng) - 1'
DRAWN = "targets.Gaussian(known.mean(0), known.T.cov()).sample(1000, rng)"

# For each claim, named by the cell that makes it: changes that make parts of it false, and these parts.
BROKEN = {
    "questions-show": [
        (("LogisticRegression(C=1e6, tol=1e-8)", "LogisticRegression(C=1e-4)"), "near the true p(B|x) in between"),
        ((FAR, '"far": torch.tensor([[0.5, 0.0]])'), "logistic regression is sure", "so are class Gaussians"),
        ((FAR, '"far": torch.tensor([[2.0, 0.0]])'), "less than a millionth"),
        (("gaussians.sample(1, 600", "gaussians.sample(0, 600"), "are like those of painter B"),
    ],
    "test-show": [
        (("KNeighborsClassifier(1).fit(x, y)", "KNeighborsClassifier(1).fit(x_train, y_train)"), "promises no error"),
        (("KNeighborsClassifier(1).fit(x, y)", "KNeighborsClassifier(27).fit(x, y)"), "errs in more than an eighth"),
        (("rules[best_k].score(x_test, y_test)", "rules[1].score(x_train, y_train)"), "promise and truth are near"),
        (("Classifier(k).fit(x_train, y_train)", "Classifier(k).fit(x_train, y_train.flip(0))"), "and it errs less"),
    ],
    "judge-show": [
        (("for _ in range(300)", "for _ in range(30)"), "the network after 300 steps does"),
        (UNTRAINED, ("accuracy(mnist.test_images,", "accuracy(mnist.test_images.flip(3),"), "the judge does"),
    ],
    "draw-show": [
        (UNTRAINED, ("labels_val, size) for", "labels_val.flip(0), size) for"), "15 numbers err", "150 numbers err"),
        (
            UNTRAINED,
            ("share_wrong(model, *known, n)", "share_wrong(tried[{50: 15}.get(n, n)], *known, {50: 15}.get(n, n))"),
            "errors rise on the training part",
        ),
    ],
    "seven-show": [
        (("steps=30", "steps=0"), "takes its own pictures for sevens"),
        (("digit_model.sample(7, 10", "digit_model.sample(1, 10"), "most of those that the Gaussians drew"),
        (("return x\n", "return -torch.ones_like(x)\n"), "of real sevens", "and of those that", "and of an empty page"),
    ],
    "numbers-show": [
        (
            ("right_of_judge,", "0.9,"),
            ("return x\n", "return digits_val[:len(labels)]\n"),
            (NOISE, '"noise": digits_val'),
            ("digits_train[:1000]", "digits_train[labels_train < 5][:1000]"),
            "the judge reads better", "draw better than the judge", "noise is further", "other real images are near",
        ),
        (("on_codes.score(encode(mnist.test_images, size),", "the_judge.accuracy(mnist.test_images,"), "they read"),
    ],
    "regimes-show": [
        (
            ("two_digits(5, 8, *part) for", "two_digits(5, 8, *part, True) for"),
            ("two_digits(1, 2", "two_digits(5, 8"),
            "with 1,280 logistic", "a penalty puts", "naive Bayes is behind from 40 labels on",
        ),
        (
            ('"logistic regression": searched', '"logistic regression": lambda x, y: searched(x, y, C=0.01)'),
            ("shuffled=True", "shuffled=False"),
            "with 80 and 160", "nowhere clearly behind",
        ),
    ],
    "unlabelled-show": [
        (("rounds=30", "rounds=0"), "where it is right", "there EM finds"),
        (("generator=rng) < 0.25", "generator=rng) < 0.0"), "where it is wrong"),
    ],
    "beyond-show": [
        (("y == 7", "y == 2"), (DRAWN, "known[:1000]"), "most medium", "no new image", "as sevens"),
        (("codes[third != hidden] if hidden else codes", "codes"), "few bold ones do"),
    ],
}  # fmt: skip


def test_the_lesson_as_it_is_makes_true_claims(run, cells, claimed):
    printed, false = run(list(cells)[-1])
    assert false == []
    assert claimed.keys() == BROKEN.keys()
    assert printed.count("✓ ") == len(claimed)
    assert all(f"✓ {sentence}" in printed for sentence in claimed.values())


@pytest.mark.parametrize(("until", "case"), [(until, case) for until, broken in BROKEN.items() for case in broken])
def test_a_part_of_a_claim_fails_when_its_point_is_lost(still_true, until, case):
    quick = QUICK if "draw-fit" in CELLS[until] and until != "draw-show" else ()
    changes, said = ([one for one in case if isinstance(one, kind)] for kind in (tuple, str))
    assert still_true(until, *quick, *changes, parts=said, only=CELLS[until]) == []


def test_each_part_of_a_claim_is_broken_once(claimed, parts):
    for until, broken in BROKEN.items():
        said = [one for case in broken for one in case if isinstance(one, str)]
        assert [part for part in parts[claimed[until]] if not any(one in part for one in said)] == []
