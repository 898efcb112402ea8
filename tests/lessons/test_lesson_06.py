"""Lesson 06 broken on purpose: each part of each of its claims fails when what it says is no longer so."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.data]

LESSON = "06_conditional_gan.ipynb"
START = ("setup", "ways", "make", "judge")
LOOP = (*START, "loop")

# The cells that each claim rests on: to run all takes two minutes.
CELLS = {
    "loop-show": (*START, "loop-guess", "loop"),
    "cannot-show": (*LOOP, "cannot-guess", "cannot"),
    "grid-show": (*LOOP, "grid"),
    "card-show": (*LOOP, "grid", "card-guess", "card"),
    "trade-show": (*LOOP, "grid", "grid-show", "trade-guess", "trade"),
    "few-show": ("setup", "few-guess", "few"),
    "help-show": ("setup", "few", "help-guess", "help"),
    "memory-show": (*LOOP, "memory"),
    "number-show": (*START, "number"),
    "half-show": (*START, "half"),
}
SHORT = ("until=300", "until=3")  # where the first three GANs are not asked
SOON = ("until=2000", "until=4")
ONE_EACH = "(one_each.repeat(1000, 1, 1, 1), torch.arange(10_000) % 10)"
SHIFTED = "(real_x, (real_y + 1) % 10)"
NO_NUMBER = ("torch.cat([z, y[:, None]], 1)", "torch.cat([z, 0 * y[:, None]], 1)")

# For each claim, named by the cell that makes it: changes that make parts of it false, and these parts.
BROKEN = {
    "loop-show": [
        (("conditional_gan(LabelInput, better=False)", "conditional_gan(LabelOutput)"), "hardly better than chance"),
        (('"better, label at the input": conditional_gan(LabelInput)',
          '"better, label at the input": conditional_gan(LabelOutput)'), "not half of the fakes"),
        ((".gather(1, labels[:, None])", ".mean(1, keepdim=True)"), "better, at the output: most"),
    ],
    "cannot-show": [
        (SHORT, ("conditional_gan(LabelAdded)", "conditional_gan(LabelOutput)"),
         "the slope of D is the same for two labels", "the label accuracy stays near chance"),
        (SHORT, ("until=600", "until=20"), ("(200, 600)", "(19, 20)"),
         "the Fréchet distance falls all the same", "no class is missing"),
        (SHORT, ("until=600", "until=20"), ("(200, 600)", "(19, 20)"),
         ('gans["better, label at the output"].D', "added.D"), "with ten outputs it is another one"),
    ],
    "grid-show": [(SHORT, ("until=2000", "until=150"), "label accuracy", "that of the worst class")],
    "card-show": [
        (SHORT, SOON, (SHIFTED, "(real_x.flip(2), (real_y + 1) % 10)"), "shifted labels: the Fréchet distance stays"),
        (SHORT, SOON, (SHIFTED, ONE_EACH), "shifted labels: the spread stays"),
        (SHORT, SOON, (SHIFTED, "(real_x, real_y)"), "shifted labels: the label accuracy falls",
         "shifted labels: what it teaches falls"),
        (SHORT, SOON, ("real_y == label][0]", "real_y == (label + 1) % 10][0]"),
         "one image a class: the label accuracy stays"),
        (SHORT, SOON, (ONE_EACH, "(real_x, real_y)"), "one image a class: the spread is zero",
         "one image a class: the Fréchet distance rises", "one image a class: what it teaches falls"),
        (SHORT, SOON, "our GAN teaches"),
        (SHORT, SOON, ('"our GAN": (fakes.cpu(), asked.cpu())', '"our GAN": (real_x, real_y)'),
         "less well than real images"),
    ],
    "trade-show": [
        (SHORT, SOON, ('"classifier": "classifier"', '"classifier": "glued"'), "they err less than half as often"),
        (SHORT, SOON, ('"mismatched pairs": "mismatched"', '"mismatched pairs": "outputs"'),
         "who learns from them errs more",
         "their spread is smaller", "it is smaller than with projection alone"),
        (SHORT, SOON, ('== "as they are"', '== "one image a class"'), "real images teach best"),
    ],
    "few-show": [(('accuracies(600, "nothing")', 'accuracies(100, "nothing")'),)],
    "help-show": [
        (('gains("augmentation", "nothing")', 'gains("fakes", "nothing")'), "augmentation gains more than fakes"),
        (('gains("fakes", "nothing"), "augm', 'gains("augmentation", "nothing"), "augm'),
         "fakes gain less than a point"),
        (('gains("both", "augmentation")', 'gains("both", "nothing")'), "they lose in most comparisons"),
    ],
    "memory-show": [
        (SHORT, ("== label][:10]", "== label][:300]"), "nearer than the nearest 1 % of new images"),
        (SHORT, ("small = conditional_gan(LabelOutput)", "small = conditional_gan(LabelInput, better=False)"),
         "its label accuracy sees nothing of it"),
    ],
    "number-show": [(NO_NUMBER,)],
    "half-show": [
        (("upper.flatten(1)], 1)", "0 * upper.flatten(1)], 1)"), "read right more often than paper",
         "read right more often than the half of another digit", "so is another half, of another z"),
        (("until=400", "until=5"), ("seed=SEED + k", "seed=SEED"), "another z draws another half"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("until", "case"), [(until, case) for until, broken in BROKEN.items() for case in broken])
def test_a_part_of_a_claim_fails_when_its_point_is_lost(still_true, until, case):
    changes, said = ([one for one in case if isinstance(one, kind)] for kind in (tuple, str))
    assert still_true(until, *changes, parts=said or [""], only=CELLS[until]) == []


def test_each_part_of_a_claim_is_broken_once(claimed, parts):
    assert claimed.keys() == BROKEN.keys() == CELLS.keys()
    for until, broken in BROKEN.items():
        said = [one for case in broken for one in case if isinstance(one, str)]
        assert [part for part in parts[claimed[until]] if not any(one in part for one in said)] == []


def test_images_up_to_255_and_labels_out_of_range_are_refused(run):
    with pytest.raises(ValueError, match="images must"):
        run("loop", ("mnist.train_images.to(device)", "127.5 * mnist.train_images + 127.5"), only=LOOP)
    with pytest.raises(ValueError, match="y must hold labels that the generator knows"):
        run("loop", ("mnist.train_labels.to(device)", "mnist.train_labels + 1"), only=LOOP)
