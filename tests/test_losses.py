"""Every loss against its formula in float64, and its gradient where a sigmoid is flat."""

import math

import pytest
import torch

from ganlib import losses

REAL = torch.tensor([[-1.3], [0.2], [2.7]], dtype=torch.float64)
FAKE = torch.tensor([[0.4], [-2.1], [1.9]], dtype=torch.float64)


def sigmoid(logits):
    return [1 / (1 + math.exp(-s)) for s in logits.flatten().tolist()]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


FORMULAS = {
    losses.minimax_D: -mean(math.log(d) for d in sigmoid(REAL)) - mean(math.log(1 - d) for d in sigmoid(FAKE)),
    losses.minimax_G: mean(math.log(1 - d) for d in sigmoid(FAKE)),
    losses.non_saturating_G: -mean(math.log(d) for d in sigmoid(FAKE)),
    losses.least_squares_D: (mean((s - 1) ** 2 for s in REAL.flatten().tolist())
                             + mean(s**2 for s in FAKE.flatten().tolist())) / 2,
    losses.least_squares_G: mean((s - 1) ** 2 for s in FAKE.flatten().tolist()) / 2,
    losses.hinge_D: mean(max(0, 1 - s) for s in REAL.flatten().tolist())
    + mean(max(0, 1 + s) for s in FAKE.flatten().tolist()),
    losses.hinge_G: -mean(FAKE.flatten().tolist()),
}  # fmt: skip


@pytest.mark.parametrize("loss", FORMULAS, ids=lambda f: f.__name__)
def test_value_is_the_formula(loss):
    arguments = (REAL, FAKE) if loss.__name__.endswith("_D") else (FAKE,)
    assert loss(*arguments).item() == pytest.approx(FORMULAS[loss], rel=1e-12)


#: d loss / d logit at s = -40, 0, 40, from pencil and paper; sigmoid(-40) is 4.2e-18
TINY = 1 / (1 + math.exp(40))
GRADIENTS = {
    losses.minimax_G: (-TINY, -0.5, -1.0),
    losses.non_saturating_G: (-1.0, -0.5, -TINY),
    losses.least_squares_G: (-41.0, -1.0, 39.0),
    losses.hinge_G: (-1.0, -1.0, -1.0),
}


@pytest.mark.parametrize("loss", GRADIENTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("k", range(3), ids=["-40", "0", "40"])
def test_gradient_of_generator_loss(loss, k):
    s = torch.tensor([-40.0, 0.0, 40.0], dtype=torch.float64)[k].requires_grad_()
    loss(s).backward()
    assert s.grad.item() == pytest.approx(GRADIENTS[loss][k], rel=1e-9)


#: (d loss / d real logit, d loss / d fake logit) at s = -40, 0, 40
GRADIENTS_D = {
    losses.minimax_D: ((-1.0, -0.5, -TINY), (TINY, 0.5, 1.0)),
    losses.least_squares_D: ((-41.0, -1.0, 39.0), (-40.0, 0.0, 40.0)),
    losses.hinge_D: ((-1.0, -1.0, 0.0), (0.0, 1.0, 1.0)),
}


@pytest.mark.parametrize("loss", GRADIENTS_D, ids=lambda f: f.__name__)
@pytest.mark.parametrize("k", range(3), ids=["-40", "0", "40"])
def test_gradient_of_discriminator_loss(loss, k):
    s = torch.tensor([-40.0, 0.0, 40.0], dtype=torch.float64)[k]
    real, fake = s.clone().requires_grad_(), s.clone().requires_grad_()
    loss(real, fake).backward()
    assert real.grad.item() == pytest.approx(GRADIENTS_D[loss][0][k], rel=1e-9)
    assert fake.grad.item() == pytest.approx(GRADIENTS_D[loss][1][k], rel=1e-9)


def test_fixed_points():
    half = torch.zeros(5, 1, dtype=torch.float64)  # logit 0 is D = 1/2
    assert losses.minimax_D(half, half).item() == pytest.approx(2 * math.log(2), rel=1e-12)
    assert losses.minimax_G(half).item() == pytest.approx(-math.log(2), rel=1e-12)
    assert losses.non_saturating_G(half).item() == pytest.approx(math.log(2), rel=1e-12)
    assert losses.least_squares_D(half + 0.5, half + 0.5).item() == pytest.approx(0.25, rel=1e-12)
    assert losses.hinge_D(half, half).item() == pytest.approx(2, rel=1e-12)


def test_table_names_the_pairs():
    expected = {
        "minimax": (losses.minimax_D, losses.minimax_G),
        "non-saturating": (losses.minimax_D, losses.non_saturating_G),
        "least-squares": (losses.least_squares_D, losses.least_squares_G),
        "hinge": (losses.hinge_D, losses.hinge_G),
    }
    assert expected == losses.LOSSES


def test_r1_of_a_linear_discriminator_is_half_its_squared_weights():
    w = torch.tensor([[0.5, -2.0, 1.5, 0.25]], dtype=torch.float64, requires_grad=True)
    x = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    penalty = losses.r1_penalty(x @ w.T + 3, x)
    assert penalty.item() == pytest.approx(w.square().sum().item() / 2, rel=1e-12)
    (gradient,) = torch.autograd.grad(penalty, w)  # d/dw of |w|^2 / 2
    torch.testing.assert_close(gradient, w.detach(), rtol=1e-12, atol=0)


def test_r1_takes_one_norm_per_sample():
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    logits = (x**2).sum(1, keepdim=True)  # gradient 2x: squared norms 4 and 36
    assert losses.r1_penalty(logits, x).item() == pytest.approx((4 + 36) / 2 / 2)


def test_r1_of_images_sums_over_all_pixels():
    x = torch.full((3, 1, 2, 2), 0.5, dtype=torch.float64, requires_grad=True)
    assert losses.r1_penalty(x.square().sum((1, 2, 3)), x).item() == pytest.approx(4 * 1.0**2 / 2)


def test_r1_says_what_is_missing():
    with pytest.raises(ValueError, match=r"x must require gradients.*requires_grad_\(\)"):
        losses.r1_penalty(REAL, FAKE)
