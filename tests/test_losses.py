"""Every loss against its formula in float64, and its gradient where a sigmoid is flat."""

import math

import pytest
import torch

from ganlib import losses

REAL = torch.tensor([[-1.3], [0.2], [2.7]], dtype=torch.float64)
FAKE = torch.tensor([[0.4], [-2.1], [1.9]], dtype=torch.float64)
REALS, FAKES = REAL.flatten().tolist(), FAKE.flatten().tolist()


def sigmoid(logits):
    return [1 / (1 + math.exp(-s)) for s in logits]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


FORMULAS = {
    losses.minimax_D: -mean(math.log(d) for d in sigmoid(REALS)) - mean(math.log(1 - d) for d in sigmoid(FAKES)),
    losses.minimax_G: mean(math.log(1 - d) for d in sigmoid(FAKES)),
    losses.non_saturating_G: -mean(math.log(d) for d in sigmoid(FAKES)),
    losses.least_squares_D: (mean((s - 1) ** 2 for s in REALS) + mean(s**2 for s in FAKES)) / 2,
    losses.least_squares_G: mean((s - 1) ** 2 for s in FAKES) / 2,
    losses.hinge_D: mean(max(0, 1 - s) for s in REALS) + mean(max(0, 1 + s) for s in FAKES),
    losses.hinge_G: -mean(FAKES),
}


#: d loss / d each logit at s = -40, 0, 40, from pencil and paper, real before fake; sigmoid(-40) is 4.2e-18
TINY = 1 / (1 + math.exp(40))
GRADIENTS = {
    losses.minimax_D: ((-1.0, -0.5, -TINY), (TINY, 0.5, 1.0)),
    losses.minimax_G: ((-TINY, -0.5, -1.0),),
    losses.non_saturating_G: ((-1.0, -0.5, -TINY),),
    losses.least_squares_D: ((-41.0, -1.0, 39.0), (-40.0, 0.0, 40.0)),
    losses.least_squares_G: ((-41.0, -1.0, 39.0),),
    losses.hinge_D: ((-1.0, -1.0, 0.0), (0.0, 1.0, 1.0)),
    losses.hinge_G: ((-1.0, -1.0, -1.0),),
}


def gradients(loss, count, s):
    """d loss / d logit of each of the `count` arguments when all hold `s`."""
    logits = [torch.tensor([s], dtype=torch.float64, requires_grad=True) for _ in range(count)]
    loss(*logits).backward()
    return [t.grad.item() for t in logits]


def check_value(name, player):
    loss = getattr(losses.LOSSES[name], player)
    assert loss in FORMULAS, f"{loss.__name__} needs a line in FORMULAS"
    real_too = player == "loss_D" or losses.LOSSES[name].compares
    assert loss(*((REAL, FAKE) if real_too else (FAKE,))).item() == pytest.approx(FORMULAS[loss], rel=1e-12)


def check_gradient(name, player):
    loss = getattr(losses.LOSSES[name], player)
    assert loss in GRADIENTS, f"{loss.__name__} needs a line in GRADIENTS"
    for k, s in enumerate((-40.0, 0.0, 40.0)):
        expected = [at[k] for at in GRADIENTS[loss]]
        assert gradients(loss, len(expected), s) == pytest.approx(expected, rel=1e-9)


def check_direction(name, player):
    """Whatever the formula: D raises the real logit and lowers the fake one, and G raises the fake one."""
    pair = losses.LOSSES[name]
    if player == "loss_D":
        real, fake = gradients(pair.loss_D, 2, 0.5)  # least squares has its rests at 0 and 1
        assert real < 0, "D must gain from a higher real logit"
        assert fake > 0, "D must gain from a lower fake logit"
    else:
        assert gradients(pair.loss_G, 1 + pair.compares, 0.5)[-1] < 0, "G must gain from a higher fake logit"


CHECKS = [check_value, check_gradient, check_direction]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("player", ["loss_D", "loss_G"])
@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_pair_stands_up_to(check, name, player):
    check(name, player)


def added(monkeypatch, loss_D, loss_G):
    monkeypatch.setitem(losses.LOSSES, "added", losses.Pair(loss_D, loss_G))


def failures():
    """The checks that the added pair fails, by name and player."""
    found = set()
    for check in CHECKS:
        for player in ("loss_D", "loss_G"):
            try:
                check("added", player)
            except AssertionError:
                found.add((check.__name__, player))
    return found


EVERY = {(check.__name__, player) for check in CHECKS for player in ("loss_D", "loss_G")}


def relativistic_D(real_logits, fake_logits):
    return torch.nn.functional.softplus(fake_logits - real_logits).mean()


def relativistic_G(real_logits, fake_logits):
    return torch.nn.functional.softplus(real_logits - fake_logits).mean()


def test_a_pair_without_expected_values_fails(monkeypatch):
    added(monkeypatch, relativistic_D, relativistic_G)
    assert failures() == {k for k in EVERY if k[0] != "check_direction"}


def test_a_pair_with_expected_values_passes_and_with_wrong_signs_fails(monkeypatch):
    pairs = list(zip(REALS, FAKES, strict=True))
    monkeypatch.setitem(FORMULAS, relativistic_D, mean(math.log1p(math.exp(f - r)) for r, f in pairs))
    monkeypatch.setitem(FORMULAS, relativistic_G, mean(math.log1p(math.exp(r - f)) for r, f in pairs))
    monkeypatch.setitem(GRADIENTS, relativistic_D, ((-0.5,) * 3, (0.5,) * 3))
    monkeypatch.setitem(GRADIENTS, relativistic_G, ((0.5,) * 3, (-0.5,) * 3))
    added(monkeypatch, relativistic_D, relativistic_G)
    assert failures() == set()
    added(monkeypatch, relativistic_G, relativistic_D)  # each has the sign of the other
    assert failures() == {("check_direction", "loss_D"), ("check_direction", "loss_G")}


def test_table_names_the_pairs():
    expected = {
        "minimax": (losses.minimax_D, losses.minimax_G, True),
        "non-saturating": (losses.minimax_D, losses.non_saturating_G, True),
        "least-squares": (losses.least_squares_D, losses.least_squares_G, False),
        "hinge": (losses.hinge_D, losses.hinge_G, False),
    }
    assert expected == losses.LOSSES


def test_r1_of_a_linear_discriminator_is_half_its_squared_weights():
    w = torch.tensor([[0.5, -2.0, 1.5, 0.25]], dtype=torch.float64, requires_grad=True)
    x = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    penalty = losses.r1_penalty(x @ w.T + 3, x)
    assert penalty.item() == pytest.approx(w.square().sum().item() / 2, rel=1e-12)
    (gradient,) = torch.autograd.grad(penalty, w)  # d/dw of |w|^2 / 2
    torch.testing.assert_close(gradient, w.detach(), rtol=1e-12, atol=0)


def test_r1_takes_one_norm_for_each_copy():
    w = torch.tensor([[0.5, -2.0], [3.0, 1.0], [0.0, 0.25]], dtype=torch.float64)  # three linear discriminators
    x = torch.randn(7, 3, 2, dtype=torch.float64, requires_grad=True)
    penalty = losses.r1_penalty((x * w).sum(2, keepdim=True), x)
    assert penalty.item() == pytest.approx(w.square().sum(1).mean().item() / 2, rel=1e-12)


def test_r1_of_one_logit_per_sample_is_what_it_was_bit_for_bit():
    x = torch.randn(9, 1, 5, 5, requires_grad=True)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(25, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    (g,) = torch.autograd.grad(net(x).sum(), x)
    assert losses.r1_penalty(net(x), x) == g.flatten(1).square().sum(1).mean() / 2
    assert losses.r1_penalty(net(x)[:, 0], x) == g.flatten(1).square().sum(1).mean() / 2


@pytest.mark.parametrize("shape", [(4, 3), (4, 1, 2, 2), (4, 2), ()])
def test_r1_refuses_several_logits_of_one_sample(shape):
    x = torch.randn(4, 1, 6, 6, requires_grad=True)
    logits = x.sum() * torch.ones(shape)
    with pytest.raises(ValueError, match=r"one logit for each sample of x, got \(.* x of \(4, 1, 6, 6\): average"):
        losses.r1_penalty(logits, x)


def test_r1_says_what_is_missing():
    with pytest.raises(ValueError, match=r"x must require gradients.*requires_grad_\(\)"):
        losses.r1_penalty(REAL, FAKE)
