"""Flow matching: its step, its Euler steps, where they lead, and what is refused."""

import copy
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_gans import gan_of, same
from torch import nn

from ganlib import checkpoints, models
from ganlib.flow import Flow, TimeInput
from ganlib.gan import RunningMean
from ganlib.training import Minibatches, train

double = torch.float64


def network(dim=2, seed=0, dtype=double, out=None, **settings):
    return TimeInput(models.mlp(dim + 16, 8, out or dim, activation=nn.SiLU, seed=seed, dtype=dtype, **settings))


def adam(net, lr=1e-2):
    return torch.optim.Adam(net.parameters(), lr=lr)


def make(dim=2, velocity=None, lr=1e-2, **settings):
    velocity = velocity or network(dim)
    return Flow(velocity, adam(velocity, lr), dim, **settings)


def points(n=60, d=2, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=double)


def batches(seed=0, batch_size=20):
    return Minibatches(points(), batch_size=batch_size, seed=seed)


def after(flow, n, stream=None):
    stream = stream or batches()
    return [flow.step(stream) for _ in range(n)][-1]


# ---- the time


def test_the_time_comes_beside_x_as_eight_sines_and_cosines():
    net, x, t = network(3, dtype=torch.float32), torch.randn(5, 3), torch.rand(5)
    angles = np.pi * np.outer(t.numpy().astype(float), np.arange(1, 9))
    by_hand = np.hstack([x.numpy(), np.sin(angles), np.cos(angles)]).astype(np.float32)
    torch.testing.assert_close(net(x, t), net.network(torch.from_numpy(by_hand)), atol=1e-5, rtol=0)
    assert net.state_dict().keys() == {f"network.{name}" for name in net.network.state_dict()}  # no waves
    assert network(3)(x.double(), t.double()).dtype == double


# ---- the step


def by_hand(n, average):
    """The same training typed out; the last loss and the network, averaged if asked."""
    net = network()
    averaged, optimizer, stream = copy.deepcopy(net), adam(net), batches()
    torch.manual_seed(5)
    for k in range(n):
        (x1,) = next(stream)
        x0, t = torch.randn(20, 2, dtype=double), torch.rand(20, dtype=double)
        x_t = (1 - t)[:, None] * x0 + t[:, None] * x1
        loss = (net(x_t, t) - (x1 - x0)).pow(2).sum() / 40
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        share = 0.0 if k == 0 else min(average or 0, (1 + k) / (10 + k))
        for a, p in zip(averaged.parameters(), net.parameters(), strict=True):
            a.data.lerp_(p.data, 1 - share)
    return loss, averaged if average else net


@pytest.mark.parametrize("average", [None, 0.6])
def test_a_step_is_the_one_that_is_typed_out(average):
    flow = make(average=average, seed=5)
    flow.velocity.eval()  # a step does not ask in which mode it was left
    with torch.inference_mode():  # nor whether a cell has left gradients off
        log = after(flow, 20)
    assert flow.velocity.training
    loss, net = by_hand(20, average)
    assert log.keys() == {"loss"}
    assert log["loss"].item() == pytest.approx(loss.item(), abs=1e-12)
    assert log["loss"].ndim == 0
    assert not log["loss"].requires_grad
    assert flow.steps_done == 20
    drawn = flow.averaged.module if average else flow.velocity
    for a, b in zip(drawn.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)
    assert flow.averaged is None or flow.averaged.multi_avg_fn == RunningMean(0.6)


# ---- samples


@pytest.mark.parametrize("average", [None, 0.6])
@pytest.mark.parametrize("calls", [1, 3, 16])
def test_samples_go_with_the_velocity_in_equal_steps_of_time(calls, average):
    flow = make(average=average)
    after(flow, 5)
    net = flow.averaged.module if average else flow.velocity
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(3), dtype=double)
    with torch.no_grad():
        for k in range(calls):
            x = x + net(x, torch.full((7,), k / calls, dtype=double)) / calls
    found = flow.sample(7, seed=3, calls=calls)
    assert torch.equal(found, x)
    assert not found.requires_grad
    if calls == 16:
        assert torch.equal(found, flow.sample(7, seed=3))
        assert not torch.equal(found, flow.sample(7, seed=4))
    assert flow.sample(0, seed=3).shape == (0, 2)


class Towards(nn.Module):
    """The velocity that leads to one point."""

    def __init__(self, *point):
        super().__init__()
        self.point = nn.Parameter(torch.tensor(point, dtype=double))

    def forward(self, x, t):
        return (self.point - x) / (1 - t)[:, None]


@pytest.mark.parametrize("calls", [1, 2, 7, 50])
def test_the_velocity_towards_one_point_lands_on_it(calls):
    found = make(velocity=Towards(3.0, -1.0)).sample(5, seed=0, calls=calls)
    torch.testing.assert_close(found, torch.tensor([[3.0, -1.0]], dtype=double).expand(5, -1), atol=1e-12, rtol=0)


class Best(nn.Module):
    """The velocity that is best for N(m, s²) at t = 1: by hand, of two normal densities."""

    def __init__(self, m, s):
        super().__init__()
        self.m, self.s = nn.Parameter(torch.tensor(m, dtype=double)), s

    def forward(self, x, t):
        t = t[:, None]
        return self.m + (t * self.s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * self.s**2) * (x - t * self.m)


def test_no_velocity_has_a_smaller_loss_than_the_best_one_and_that_one_makes_the_data():
    m, s = 0.5, 0.7
    x = m + s * points(50_000, 1)
    losses = {}
    for shift in (0.0, 0.1, -0.1):
        velocity = Best(m + shift, s)
        frozen = Flow(velocity, torch.optim.SGD(velocity.parameters(), lr=0.0), 1)
        losses[shift] = frozen.step(iter([(x,)]))["loss"].item()
    assert losses[0.0] < min(losses[0.1], losses[-0.1])
    drawn = make(1, Best(m, s)).sample(50_000, seed=0, calls=100)
    assert drawn.mean().item() == pytest.approx(m, abs=0.02)
    assert drawn.std().item() == pytest.approx(s, abs=0.02)


def test_a_trained_flow_makes_samples_of_the_data():
    m, s = 0.5, 0.7
    x = m + s * points(5000, 1)
    velocity = network(1)
    flow = Flow(velocity, adam(velocity), 1, average=0.98)
    for _ in train(flow, Minibatches(x, batch_size=256), until=500, progress=False):
        pass
    drawn = flow.sample(5000, seed=0, calls=32)
    assert drawn.mean().item() == pytest.approx(m, abs=0.08)
    assert drawn.std().item() == pytest.approx(s, abs=0.08)


# ---- the contract


@pytest.mark.parametrize("average", [None, 0.9])
def test_a_resumed_training_goes_on_bit_by_bit(average, tmp_path):
    def build(seed=0):
        return make(velocity=network(seed=seed, dropout=0.1), average=average, seed=3), batches(seed=2)

    whole, stream = build()
    after(whole, 12, stream)
    half, stream = build()
    after(half, 5, stream)
    checkpoints.save(tmp_path / "flow.pt", half, stream)
    again, stream = build(seed=7)
    checkpoints.load(tmp_path / "flow.pt", again, stream)
    assert again.steps_done == 5
    after(again, 7, stream)
    assert same(again.state_dict(), whole.state_dict())
    assert torch.equal(again.sample(4, seed=0), whole.sample(4, seed=0))


def test_what_happens_in_between_leaves_no_trace():
    def build(seed):
        return make(velocity=network(dropout=0.3), seed=seed)

    alone = [build(seed) for seed in (1, 2)]
    for seed, flow in enumerate(alone):
        after(flow, 6, batches(seed))
    torch.manual_seed(11)
    outside = torch.get_rng_state()
    both, streams = [build(seed) for seed in (1, 2)], [batches(0), batches(1)]
    for _ in range(6):
        for flow, stream in zip(both, streams, strict=True):
            flow.step(stream)
            flow.sample(3, seed=0)
    assert torch.equal(torch.get_rng_state(), outside)
    for flow, expected in zip(both, alone, strict=True):
        assert same(flow.state_dict(), expected.state_dict())
    assert not same(both[0].velocity.state_dict(), both[1].velocity.state_dict())


class Stops(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, dtype=double))

    def forward(self, x, t):
        raise KeyError("mine")


def test_modes_are_restored_part_by_part_and_after_an_error():
    net = network(dropout=0.5)
    flow = make(velocity=net)
    net.train()
    net.network[0].eval()
    assert torch.equal(flow.sample(3, seed=0), flow.sample(3, seed=0))  # dropout rests
    assert [m.training for m in (net, net.network, *net.network)] == [True, True, False, True, True, True]
    stops = make(velocity=Stops())
    with pytest.raises(KeyError, match="mine"):
        stops.sample(3, seed=0)
    assert stops.velocity.training
    with pytest.raises(KeyError, match="mine"):  # no known cause
        stops.step(batches())


def test_the_settings_name_all_that_a_training_depends_on():
    settings = make(average=np.float64(0.9), seed=np.int64(8)).settings
    expected = {"dim": 2, "average": 0.9, "seed": 8, "device": "cpu", "optimizer": "Adam", "optimizer.lr": 0.01}
    assert {name: settings[name] for name in expected} == expected
    assert type(settings["average"]) is float
    assert "Linear(in_features=18" in settings["velocity"]


# ---- what cannot work


def of(velocity, optimizer=None, dim=2, **settings):
    return lambda: Flow(velocity, optimizer or adam(velocity), dim, **settings)


SETTINGS = [
    (of(nn.Linear, adam(network())), "velocity must be a network, an nn.Module, got the class Linear"),
    (of(gan_of(), adam(network())), "velocity must be a network, an nn.Module, got GAN"),
    (of(nn.Flatten(), adam(network())), "velocity must have parameters that can learn, got a network without: is all"),
    (of(network().requires_grad_(False)), "velocity must have parameters that can learn"),
    (of(network().to("meta")), "velocity must lie on the CPU or on a GPU of CUDA, got the device meta: velocity.cpu()"),
    (of(network(), adam(network())), "optimizer must hold the parameters of the velocity, got one that lacks 4 of its"),
    (of(network(), torch.optim.Adam), "optimizer must be a torch.optim.Optimizer, got the class Adam: "),
    (of(network(), "Adam"), "optimizer must be a torch.optim.Optimizer, got str: "),
    (of(network(), torch.optim.LBFGS(network().parameters())), "optimizer must move at a call of step(), got LBFGS"),
    (of(network(), dim=0), "dim must be a whole number of at least 1, got 0"),
    (of(network(), dim=2.5), "dim must be a whole number of at least 1, got 2.5"),
    (of(network(), average=1.0), "average must be a decay in (0, 1) such as 0.998, or None, got 1.0"),
    (of(network(), average="0.9"), "average must be a decay in (0, 1) such as 0.998, or None, got '0.9'"),
    (of(network(), seed=0.5), "seed must be a whole number, got 0.5"),
]


@pytest.mark.parametrize(("build", "words"), SETTINGS, ids=range(len(SETTINGS)))
def test_settings_that_cannot_work_are_refused(build, words):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(words)}"):
        build()


def test_an_optimizer_with_a_scheduler_or_around_another_is_taken():
    velocity = network()
    optimizer, inner = adam(velocity), adam(velocity)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)  # which wraps the step
    rate = optimizer.param_groups[0]["lr"]
    assert after(Flow(velocity, optimizer, 2), 2)["loss"].isfinite()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == rate / 2
    whole = SimpleNamespace(**{name: getattr(inner, name) for name in ("step", "zero_grad", "param_groups")})
    assert after(Flow(velocity, whole, 2), 2)["loss"].isfinite()
    whole.step = lambda closure: closure()
    with pytest.raises(TypeError, match="got SimpleNamespace, whose step needs a closure"):
        Flow(velocity, whole, 2)


@pytest.mark.parametrize("average", [None, 0.9])
def test_lazy_layers_train_and_have_an_average_after_one_call(average):
    velocity = TimeInput(nn.LazyLinear(2, dtype=double))
    if average:
        with pytest.raises(ValueError, match="average must be None for lazy layers, .*, got 0.9: .* after one call"):
            make(velocity=velocity, average=average)
        velocity(X, X[:, 0])
    assert after(make(velocity=velocity, average=average), 2)["loss"].isfinite()


X = points(20)


def two_answers(x, t):
    return x, t


class Velocity(nn.Module):
    """A network of velocities of which nothing is known."""

    def __init__(self, function):
        super().__init__()
        self.weight, self.function = nn.Parameter(torch.ones(2, dtype=double)), function

    def forward(self, x, t):
        return self.function(x, t)


FIRST = [
    ((X[:, :1],), {}, "a minibatch must hold rows of dim = 2 numbers, got x of (20, 1): build velocity and flow with"),
    ((X.reshape(5, 1, 4, 2),), {}, "a minibatch must hold rows of dim = 2 numbers, got x of (5, 1, 4, 2): images need"),
    ((X.reshape(5, 2, 4),), {}, "a minibatch must hold rows of dim = 2 numbers, got x of (5, 2, 4): images need"),
    ((X[:, 0],), {}, "a minibatch must hold rows of dim = 2 numbers, got x of (20,): numbers need .reshape(-1, 1)"),
    ((X.float(),), {}, "a minibatch must have the dtype of the velocity, torch.float64, got torch.float32: give both"),
    ((X, torch.zeros(20).long()), {}, "a minibatch must hold x alone, got 2 tensors: a flow takes no labels, Minibatc"),
    ((X.byte(),), {}, "a minibatch must begin with float samples x (n, ...), got torch.uint8"),
    ((X / 0,), {}, "a minibatch must hold finite numbers, got NaN or inf"),
    ((X[:0],), {}, "a minibatch must hold at least one sample x"),
    (X, {}, "a minibatch must be a tuple of tensors"),
    (
        (X,),
        {"velocity": models.mlp(18, 2, dtype=double)},
        "velocity must take x (20, 2) and t (20,), got Sequential and the error '",
    ),
    (
        (X,),
        {"velocity": TimeInput(models.mlp(2, 2, dtype=double))},
        "velocity must take x (20, 2) and t (20,), got TimeInput and the error 'mat1",
    ),
    (
        (X,),
        {"velocity": network(out=1, dropout=0.5)},
        "velocity must return velocities of the shape of x, (20, 2), got (20, 1): its last layer needs dim = 2 outputs",
    ),
    (
        (X,),
        {"velocity": Velocity(two_answers)},
        "velocity must return velocities of the shape of x, (20, 2), got type tuple: its last layer needs",
    ),
]


@pytest.mark.parametrize(("batch", "settings", "words"), FIRST, ids=range(len(FIRST)))
def test_what_cannot_train_is_refused_before_anything_moves(batch, settings, words):
    flow = make(**{"average": 0.9} | settings)
    before, outside = copy.deepcopy(flow.state_dict()), torch.get_rng_state()
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(words)}"):
        flow.step(iter([batch]))
    assert same(flow.state_dict(), before)
    assert torch.equal(torch.get_rng_state(), outside)


@pytest.mark.parametrize(
    ("velocity", "mend"),
    [
        (models.mlp(18, 2, dtype=double), r": TimeInput\(network\) takes both$"),
        (TimeInput(models.mlp(2, 2, dtype=double)), r": its first layer needs dim \+ 16 = 18 inputs$"),
    ],
)
def test_how_a_network_is_told_the_time_is_said(velocity, mend):
    with pytest.raises(ValueError, match=mend):
        make(velocity=velocity).step(batches())


def test_batches_must_be_an_iterator():
    with pytest.raises(TypeError, match="batches must be an iterator of tuples, got Tensor"):
        make().step(X)


def test_the_look_at_the_first_minibatch_is_no_part_of_the_training():
    flow, hand = (make(velocity=network(dropout=0.5, batchnorm=True)) for _ in range(2))
    flow.step(iter([(X,)]))
    hand.steps_done = 1
    hand.step(iter([(X,)]))
    assert same(flow.velocity.state_dict(), hand.velocity.state_dict())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": -1}, "n must be a whole number of at least 0, got -1"),
        ({"calls": 0}, "calls must be a whole number of at least 1, got 0"),
        ({"seed": 0.5}, "seed must be a whole number, got 0.5"),
    ],
)
def test_samples_that_cannot_be_drawn_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        make().sample(**{"n": 2, "seed": 0} | arguments)


def test_training_that_diverges_is_noticed():
    velocity = network()
    flow = Flow(velocity, torch.optim.SGD(velocity.parameters(), lr=1e6), 2)
    with pytest.raises(FloatingPointError, match="training diverged: loss = "):
        for _ in train(flow, batches(), until=100, progress=False):
            pass
    assert not math.isfinite(flow.step(batches())["loss"])
