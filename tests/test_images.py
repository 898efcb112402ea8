import subprocess
import sys

import numpy as np
import pytest
import torch

from ganlib import models
from ganlib.images import IMAGE_SHAPE, as_probabilities, check_images, check_not_0_to_1


def grey(n=2, low=-1.0, high=1.0):
    return torch.linspace(low, high, n * 784).reshape(n, 1, 28, 28)


def test_one_shape_of_the_course():
    assert models.IMAGE_SHAPE is IMAGE_SHAPE == (1, 28, 28)


@pytest.mark.parametrize(
    "good",
    [grey(), grey().double(), grey().half(), grey().bfloat16(), grey(1), grey(2, -1.0009, 1.0009),
     grey().requires_grad_(), grey() * 0],
)  # fmt: skip
def test_tensors_and_arrays_of_images_pass(good):
    check_images(good)
    if good.dtype != torch.bfloat16:
        check_images(good.detach().numpy())
    check_images(good.reshape(-1, 2, 14, 28), shape=(2, 14, 28))


PIXELS = "divide pixels of 0 to 255 by 127.5 and subtract 1"
FLAT = r"give flat images their shape with .reshape\(-1, 1, 28, 28\)"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (127.5 * (grey() + 1), rf"lie in \[-1, 1\], got 0 to 255: {PIXELS}"),
        (grey(2, -1.002, 1), rf"lie in \[-1, 1\], got -1.002 to 1: {PIXELS}"),
        ((127.5 * (grey() + 1)).byte(), rf"be floats in \[-1, 1\], got (torch.)?uint8 from 0 to 255: {PIXELS}"),
        (grey().flatten(1), rf"have shape \(n, 1, 28, 28\) with n of at least 1, got \(2, 784\): {FLAT}"),
        (grey()[:, 0], r"have shape .* got \(2, 28, 28\)"),
        (grey()[:0], r"have shape .* n of at least 1, got \(0, 1, 28, 28\)"),
        (grey().expand(-1, 3, -1, -1), r"have shape .* got \(2, 3, 28, 28\)"),
    ],
)
def test_what_are_no_images_is_refused_with_the_cause(bad, words):
    for form in (bad, bad.numpy()):
        with pytest.raises(ValueError, match=f"^images must {words}"):
            check_images(form)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_has_its_own_cause(number):
    bad = grey()
    bad[1, 0, 3, 4] = number
    for form in (bad, bad.numpy()):
        with pytest.raises(ValueError, match=r"fakes must hold finite numbers, .*diverged; if they are data, look at"):
            check_images(form, "fakes")


def test_another_shape_can_be_asked_for():
    with pytest.raises(ValueError, match=r"must have shape \(n, 3, 8, 8\) .*\.reshape\(-1, 3, 8, 8\)"):
        check_images(grey(), shape=(3, 8, 8))


@pytest.mark.parametrize("bad", [grey(2, 0), grey(2, 0, 1 / 255), grey(2, 0.3), grey(2, 0).bfloat16()])
def test_images_without_a_negative_pixel_are_taken_for_0_to_1(bad):
    for form in (bad, bad.float().numpy()):
        with pytest.raises(ValueError, match=r"^fakes must lie in .* no negative pixel.*: multiply by 2 and"):
            check_not_0_to_1(form, "fakes")


@pytest.mark.parametrize("good", [grey(), grey(2, -0.01), grey(2, 0.9), grey() * 0, grey() * 0 + 0.2, grey(2, -1, 0)])
def test_images_with_one_negative_pixel_white_ones_and_those_without_contrast_pass(good):
    check_not_0_to_1(good)
    check_not_0_to_1(good.numpy())


def test_pixels_as_shares_of_white():
    assert as_probabilities(torch.tensor([[-1.0, 0.0], [0.5, 1.0]])).tolist() == [[0, 0.5], [0.75, 1]]
    assert as_probabilities(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 0.5, 1]
    assert as_probabilities(grey().double()).dtype == torch.float64
    x = grey().requires_grad_()
    as_probabilities(x).sum().backward()
    assert (x.grad == 0.5).all()
    torch.testing.assert_close(2 * as_probabilities(grey()) - 1, grey())


def test_the_module_stands_alone():
    program = "import sys; from ganlib import images; print(*{'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8").stdout == "\n"
