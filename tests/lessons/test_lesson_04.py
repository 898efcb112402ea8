"""Lesson 04 broken on purpose: each of a learner's usual mistakes makes a claim or an error say so."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.data]

LESSON = "04_mnist_gan.ipynb"
OWN_PLAYER = "Each update moved its own player alone, and the loss of D did not reach G"
SAME = "After 50 steps the package has the weights of our own loop, bit for bit"
SWAPPED = ("softplus(-D(x)).mean() + softplus(D(fake)).mean()", "softplus(D(x)).mean() + softplus(-D(fake)).mean()")
SHARED = (
    "    return GAN(G, D, adam(G), adam(D)",
    "    both = torch.optim.Adam([*D.parameters(), *G.parameters()])\n    return GAN(G, D, adam(G), both",
)


def test_the_lesson_as_it_is_makes_no_false_claim(run):
    assert run("same")[1] == []


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        (SWAPPED, SAME),
        (("    opt_G.step()", ""), OWN_PLAYER),
        (("    with torch.no_grad():  # the loss of D must not reach G\n        fake", "    fake"), OWN_PLAYER),
    ],
    ids=["labels swapped", "no step of G", "no detach"],
)
def test_a_wrong_step_is_noticed(run, change, claim):
    assert claim in run("same", change)[1]


def test_a_learning_rate_a_hundred_times_too_large_is_noticed(run):
    _, false = run("textbook-numbers", ("lr=2e-4", "lr=2e-2"))
    assert "The textbook's fakes are nearer to digits than noise is, and not all of one class" in false


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("images = mnist.train_images.to(device)", "images = 127.5 * mnist.train_images.to(device) + 127.5"),
            "images must",
        ),
        (SHARED, "opt_D must hold the parameters of the discriminator and of nobody else"),
    ],
    ids=["images up to 255", "one optimizer for both"],
)
def test_what_cannot_work_is_refused(run, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        run("same", change)
