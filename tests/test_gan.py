"""The step: who moves, on how many batches, by which formula, and from which random numbers."""

import copy
import itertools
import pickle
import threading

import numpy as np
import pytest
import torch
from scipy import stats
from small_gans import After, adam, gan_of, images, stream
from test_losses import relativistic_D, relativistic_G
from torch import nn
from torch.nn.functional import relu, softplus

from ganlib import losses, models
from ganlib.gan import GAN, MismatchedGAN
from ganlib.losses import LOSSES, Pair
from ganlib.training import Minibatches


def small_pair(seed=0, dtype=torch.float32):
    """Dropout in D and BatchNorm in both: all that could leak from one player to the other."""
    G = models.mlp(3, 8, 8, 2, batchnorm=True, seed=seed, dtype=dtype)
    D = models.mlp(2, 8, 1, dropout=0.3, batchnorm=True, seed=seed + 1, dtype=dtype)
    return G, D


def small_gan(seed=0, dtype=torch.float32, **settings):
    G, D = small_pair(seed, dtype)
    return GAN(G, D, adam(G), adam(D), models.NormalLatent(3, dtype), seed=seed, **settings)


def points(seed=0, dtype=torch.float32):
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(99), dtype=dtype)
    return Minibatches(x, batch_size=16, seed=seed)


def copied(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ---- against a loop written by hand


def non_saturating_D(real_logits, fake_logits):
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def non_saturating_G(fake_logits):
    return softplus(-fake_logits).mean()


#: name -> formulas of both players, and whether G's looks at the real logits, before the fake ones
FORMULAS = {
    "non-saturating": (non_saturating_D, non_saturating_G, False),
    "relativistic": (relativistic_D, relativistic_G, True),  # Jolicoeur-Martineau 2018, equations 3 and 4
}


def plain_loop(G, D, batches, *, loss, steps, latent_dim, d_steps, gamma, every, largest, seed):
    """Algorithm 1 with R1 and an average, in nothing but PyTorch, from torch's global generator."""
    torch.manual_seed(seed)
    (formula_D, formula_G, compares), opt_G, opt_D = FORMULAS[loss], adam(G), adam(D)
    average, updates_D = None, 0
    for t in range(steps):
        for _ in range(d_steps):
            (x,) = next(batches)
            with torch.no_grad():
                fake = G(torch.randn(len(x), latent_dim))
            x.requires_grad_(gamma > 0 and updates_D % every == 0)
            real_logits, fake_logits = D(x), D(fake)
            loss_D = penalised = formula_D(real_logits, fake_logits)
            if x.requires_grad:
                (g,) = torch.autograd.grad(real_logits.sum(), x, create_graph=True)
                penalised = loss_D + every * gamma * (g.flatten(1).square().sum(1).mean() / 2)
            opt_D.zero_grad()
            penalised.backward()
            opt_D.step()
            updates_D += 1
        fake = G(torch.randn(len(x), latent_dim))
        loss_G = formula_G(D(x).detach(), D(fake)) if compares else formula_G(D(fake))
        opt_G.zero_grad()
        loss_G.backward()
        opt_G.step()
        now = [p.detach().clone() for p in G.parameters()]
        factor = min(largest, (1 + t) / (10 + t))
        average = now if average is None else [torch.lerp(a, p, 1 - factor) for a, p in zip(average, now, strict=True)]
    probabilities = {"real_prob": real_logits.sigmoid().mean(), "fake_prob": fake_logits.sigmoid().mean()}
    return average, {"loss_D": loss_D, "loss_G": loss_G, **probabilities}


@pytest.mark.parametrize("loss", FORMULAS)
@pytest.mark.parametrize(("d_steps", "gamma", "every"), [(1, 0.0, 1), (1, 0.1, 4), (2, 0.5, 3)])
def test_step_equals_a_loop_written_by_hand_bit_for_bit(loss, d_steps, gamma, every, monkeypatch):
    monkeypatch.setitem(LOSSES, "relativistic", Pair(relativistic_D, relativistic_G))
    (G, D), (hand_G, hand_D) = (models.textbook_pair(12, seed=4) for _ in range(2))
    gan = GAN(G, D, adam(G), adam(D), models.NormalLatent(12), loss=loss, d_steps=d_steps, r1=gamma, r1_every=every,
              average=0.9, seed=7)  # fmt: skip
    batches, same_batches = (Minibatches(images(300), batch_size=32, seed=2) for _ in range(2))
    G.eval(), D.eval()  # a step does not ask in which mode they were left
    logs = [gan.step(batches) for _ in range(13)]  # the last update of D has a penalty
    settings = {"d_steps": d_steps, "gamma": gamma, "every": every, "largest": 0.9, "seed": 7}
    average, log = plain_loop(hand_G, hand_D, same_batches, loss=loss, steps=13, latent_dim=12, **settings)
    assert equal(copied(G), copied(hand_G))
    assert equal(copied(D), copied(hand_D))
    assert all(torch.equal(a, b) for a, b in zip(gan.averaged_G.parameters(), average, strict=True))
    assert equal(logs[-1], log)  # without penalty
    assert all(value.ndim == 0 and not value.requires_grad for value in logs[-1].values())


# ---- mock players


class Recorder(nn.Module):
    """A player with one weight that writes down what it is called with."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.calls = []

    def forward(self, x, *y):
        self.calls.append((x.detach().clone(), *y))
        return self.weight * x


class RecordingSGD(torch.optim.SGD):
    """Note, at each update, which gradients of the other player are there."""

    def __init__(self, own, other, name, diary):
        super().__init__(own.parameters(), lr=0.1)
        self.other, self.name, self.diary = other, name, diary

    def step(self):
        gradients = [p.grad is not None for p in self.other.parameters()]
        self.diary.append((self.name, any(gradients)))
        super().step()


def mock_gan(**settings):
    G, D, diary = Recorder(1.0), Recorder(1.0), []
    gan = GAN(G, D, RecordingSGD(G, D, "G", diary), RecordingSGD(D, G, "D", diary), models.NormalLatent(1), **settings)
    return gan, diary


@pytest.mark.parametrize("d_steps", [1, 3])
def test_one_g_update_after_d_steps_d_updates_each_on_a_batch_of_its_own(d_steps):
    gan, diary = mock_gan(d_steps=d_steps)
    stream = iter([(torch.full((4, 1), float(i)),) for i in range(10)])
    gan.step(stream)
    assert [name for name, _ in diary] == ["D"] * d_steps + ["G"]
    assert next(stream)[0][0] == d_steps  # batches taken
    real_seen = [call[0] for call in gan.D.calls[0::2][:d_steps]]
    assert [x[0].item() for x in real_seen] == list(range(d_steps))
    assert gan.steps_done == 1


def test_no_gradient_reaches_g_in_the_d_update():
    gan, diary = mock_gan()
    gan.step(itertools.repeat((torch.ones(4, 1),)))
    assert diary[0] == ("D", False)  # when D moves, G's gradients are still empty


def test_g_update_leaves_no_gradient_on_d():
    gan, _ = mock_gan()
    kept = []
    gan.opt_D.register_step_post_hook(lambda *_: kept.append(gan.D.weight.grad.clone()))
    gan.step(itertools.repeat((torch.ones(4, 1),)))
    assert torch.equal(gan.D.weight.grad, kept[0])


def test_conditions_reach_both_players():
    gan, _ = mock_gan()
    x, y, w = torch.ones(4, 1), torch.arange(4), torch.rand(4, 2)
    gan.step(iter([(x, y, w)]))
    assert all(len(call) == 3 and call[1] is y and call[2] is w for call in gan.G.calls + gan.D.calls)
    gan.sample(4, y, w, seed=0)
    assert gan.G.calls[-1][1] is y


def test_batch_norm_statistics_move_only_with_their_player():
    gan = small_gan()
    seen = {}
    gan.opt_D.register_step_pre_hook(lambda *_: seen.update(G=copied(gan.G), D=copied(gan.D)))
    gan.opt_G.register_step_pre_hook(lambda *_: seen.update(D_later=copied(gan.D)))
    before = copied(gan.G)
    gan.step(points())
    statistics = [k for k in before if "running" in k or "tracked" in k]
    assert statistics
    assert equal(before, seen["G"])  # D's update: nothing of G moved
    D_statistics = [k for k in seen["D"] if "running" in k or "tracked" in k]
    assert all(torch.equal(seen["D"][k], seen["D_later"][k]) for k in D_statistics)  # G's update: nothing of D
    assert all(not torch.equal(before[k], gan.G.state_dict()[k]) for k in statistics)  # G's own update: all of G
    assert gan.G[1].track_running_stats


# ---- randomness


def test_two_models_trained_in_turns_give_what_each_gives_alone():
    def alone(seed):
        gan, batches = small_gan(seed), points(seed)
        for _ in range(20):
            gan.step(batches)
        return copied(gan.G), copied(gan.D)

    expected = alone(1), alone(2)
    torch.manual_seed(1234)
    models_, streams = (small_gan(1), small_gan(2)), (points(1), points(2))
    for _ in range(20):
        for gan, batches in zip(models_, streams, strict=True):
            gan.step(batches)
            gan.sample(5, seed=3)
            torch.rand(7)  # somebody draws in between
    for gan, (G, D) in zip(models_, expected, strict=True):
        assert equal(copied(gan.G), G)
        assert equal(copied(gan.D), D)


def test_step_and_sample_leave_the_global_generator_alone():
    gan, batches = small_gan(), points()
    before = torch.get_rng_state()
    gan.step(batches)
    gan.sample(3, seed=0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("average", [None, 0.9])
def test_sample_is_reproducible_in_eval_mode_and_restores_the_mode(average):
    gan, batches = small_gan(average=average), points()
    for _ in range(3):  # after one the average is G itself
        gan.step(batches)
    if average:
        assert equal(dict(gan.averaged_G.module.named_buffers()), dict(gan.G.named_buffers()))
    state = copied(gan.G)
    a = gan.sample(4, seed=1)
    assert torch.equal(a, gan.sample(4, seed=1))
    assert not torch.equal(a, gan.sample(4, seed=2))
    assert gan.G.training
    assert gan.averaged_G is None or not gan.averaged_G.training
    assert equal(state, copied(gan.G))
    assert not a.requires_grad
    gan.sample(4, seed=1, averaged=False)
    assert gan.G.training
    gan.G.eval()
    gan.sample(4, seed=1, averaged=False)
    assert not gan.G.training
    raw = gan.sample(4, seed=1, averaged=False)
    z = models.NormalLatent(3)(4, torch.Generator().manual_seed(1))
    torch.testing.assert_close(raw, gan.G(z).detach())
    averaged = gan.averaged_G if average else gan.G
    torch.testing.assert_close(a, averaged.eval()(z).detach())
    assert torch.equal(a, gan.generate(z))
    assert torch.equal(a, raw) == (average is None)
    assert torch.equal(raw, gan.generate(z, averaged=False))
    torch.testing.assert_close(gan.generate(z[:1]), a[:1])  # the others in a batch do not count


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_can_be_named(loss):
    log = small_gan(loss=loss).step(points())
    assert all(v.isfinite() for v in log.values())


@pytest.mark.parametrize("loss", ["least-squares", "hinge"])
def test_scores_are_logged_as_scores(loss):
    gan, x = small_gan(loss=loss), next(points())[0]
    kept = []
    whole = gan.discriminator_loss
    gan.discriminator_loss = lambda *arguments: kept.append(whole(*arguments)) or kept[-1]
    log = gan.step(iter([(x,)]))
    assert log.keys() == {"loss_D", "loss_G", "real_score", "fake_score"}
    assert (log["real_score"], log["fake_score"]) == tuple(scores.mean() for scores in kept[0][1:])


# ---- the two blocks of Algorithm 1, and a pair of losses that is added


@pytest.mark.parametrize("r1", [0.0, 0.4])
def test_a_step_is_an_update_of_d_and_one_of_g(r1):
    nets = [models.textbook_pair(4, seed=3) for _ in range(2)]
    one, two = (GAN(G, D, adam(G), adam(D), models.NormalLatent(4), r1=r1, seed=6) for G, D in nets)
    x = torch.rand(8, 1, 28, 28) * 2 - 1
    log = one.step(iter([(x,)]))
    torch.manual_seed(6)
    loss_D, real_logits, fake_logits = two.update_D(x, torch.randn(8, 4), r1=r1)
    loss_G = two.update_G(x, torch.randn(8, 4))
    assert equal(copied(one.G), copied(two.G))
    assert equal(copied(one.D), copied(two.D))
    prob = real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()
    assert [*log.values()] == [loss_D, loss_G, *prob]
    assert not any(t.requires_grad for t in (x, loss_D, loss_G, real_logits, fake_logits))


def test_real_logits_come_before_the_fake_ones_and_without_a_graph(monkeypatch):
    seen = []
    pair = Pair(losses.minimax_D, lambda real, fake: seen.append((real, fake)) or fake.mean())
    monkeypatch.setitem(LOSSES, "spy", pair)
    gan, _ = mock_gan(loss="spy")
    gan.opt_D.param_groups[0]["lr"] = 0.0
    gan.step(iter([(torch.full((4, 1), 5.0),)]))
    ((real, fake),) = seen
    assert real.tolist() == [[5.0]] * 4
    assert not real.requires_grad
    assert fake.requires_grad


def test_an_argument_with_a_default_is_no_second_one():
    assert not Pair(losses.minimax_D, lambda fake, margin=1.0: fake.mean()).compares
    assert Pair(losses.minimax_D, lambda real, fake, margin=1.0: fake.mean()).compares


# ---- labels

LABELS = torch.tensor([7, 0, 7, 9, 1, 1, 3, 0])


def test_a_conditional_pair_trains_and_draws_what_is_asked_for():
    gan = gan_of(*models.conditional_pair(4), average=0.9, r1=0.1)
    before = copied(gan.D)
    for _ in range(2):
        log = gan.step(stream(images(), LABELS))
    assert all(value.isfinite() for value in log.values())
    learnt = (gan.D.network[5].weight != before["network.5.weight"]).any(1)
    assert learnt.nonzero().flatten().tolist() == LABELS.unique().tolist()  # the outputs of other labels stay
    sevens = gan.sample(3, torch.full((3,), 7), seed=1)
    z = models.NormalLatent(4)(3, torch.Generator().manual_seed(1))
    assert torch.equal(sevens, gan.averaged_G.eval()(z, torch.full((3,), 7)))
    assert torch.equal(sevens, gan.sample(3, [7, 7, 7], seed=1))
    assert not torch.equal(sevens, gan.sample(3, torch.full((3,), 6), seed=1))


def mismatched(num_classes=10, seed=0, **settings):
    """A GAN whose D moves by its gradient, and what D is called with."""
    G, D = models.conditional_pair(4, num_classes)
    latent, seen = models.NormalLatent(4), []
    gan = MismatchedGAN(G, D, adam(G), sgd(D), latent, num_classes=num_classes, seed=seed, **settings)
    D.register_forward_pre_hook(lambda _, given: seen.append(given))
    return gan, seen


HALVES = {
    "non-saturating": (lambda real: softplus(-real), softplus),
    "hinge": (lambda real: relu(1 - real), lambda fake: relu(1 + fake)),
    "least-squares": (lambda real: (real - 1).square() / 2, lambda fake: fake.square() / 2),
}


@pytest.mark.parametrize("r1", [0.0, 0.5])
@pytest.mark.parametrize("loss", HALVES)
def test_a_wrong_label_counts_like_a_fake_and_r1_is_that_of_the_right_ones(loss, r1):
    (gan, seen), x, z = mismatched(loss=loss), images(), torch.randn(8, 4)
    twin = copy.deepcopy(gan.D)
    found, real_logits, fake_logits = gan.update_D(x, z, LABELS, r1=r1)
    (_, right), (fake, same), (again, wrong) = seen
    assert right is same is LABELS
    assert torch.equal(again, x)
    x.requires_grad_()
    real, other, third = twin(x, LABELS), twin(fake, LABELS), twin(x.detach(), wrong)
    of_real, of_fake = HALVES[loss]
    by_hand = of_real(real).mean() + (of_fake(other).mean() + of_fake(third).mean()) / 2
    torch.testing.assert_close((found, real_logits, fake_logits), (by_hand.detach(), real.detach(), other.detach()))
    (g,) = torch.autograd.grad(real.sum(), x, create_graph=True)
    (by_hand + r1 * g.flatten(1).square().sum(1).mean() / 2).backward()
    sgd(twin).step()
    torch.testing.assert_close(copied(gan.D), copied(twin))


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_wrong_labels_are_all_others_equally_often(num_classes):
    gan, seen = mismatched(num_classes)
    x, right = images(16).repeat(200, 1, 1, 1), torch.arange(3200) % num_classes
    counts = torch.zeros(num_classes)
    for seed in range(20):
        torch.manual_seed(seed)
        gan.update_D(x, torch.randn(3200, 4), right)
        wrong = seen[-1][1]
        assert (wrong.min(), wrong.max()) == (0, num_classes - 1)
        counts += ((wrong - right) % num_classes).bincount(minlength=num_classes)
    none, *others = counts.tolist()
    assert none == 0
    assert num_classes == 2 or stats.chisquare(others).pvalue > 0.01


def test_a_d_that_answers_one_half_has_the_loss_log_4():
    gan, _ = mismatched()
    with torch.no_grad():
        for p in gan.D.parameters():
            p.zero_()
    log = gan.step(stream(images(), LABELS))
    assert log["loss_D"].item() == pytest.approx(np.log(4))


def test_the_seed_decides_the_wrong_labels_too():
    ends = []
    for number, seed in enumerate((3, 3, 4)):
        torch.manual_seed(number)
        before = torch.get_rng_state()
        (gan, seen), wrong = mismatched(seed=seed, r1=0.1), []
        for _ in range(3):
            gan.step(stream(images(), LABELS))
            wrong.append(seen[-2][1])  # after it comes G's turn
        assert torch.equal(before, torch.get_rng_state())
        ends.append((torch.stack(wrong), copied(gan.D)))
    (one, D), (two, same), (other, _) = ends
    assert torch.equal(one, two)
    assert equal(D, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])  # drawn anew for each minibatch
    assert not (one == LABELS).any()


@pytest.mark.parametrize("num_classes", [1, 2.5])
def test_wrong_labels_need_two_classes(num_classes):
    G, D = models.conditional_pair(4)
    with pytest.raises(ValueError, match="num_classes must be a whole number of at least 2, got"):
        MismatchedGAN(G, D, adam(G), adam(D), models.NormalLatent(4), num_classes=num_classes)


# ---- ten at once: copies in one network

COPIES = 3


class Slice:
    """A latent that replays the noise of one copy: it draws all copies' noise and gives slice k."""

    def __init__(self, k, seed):
        self.k, self.rng = k, torch.Generator().manual_seed(seed)

    def __call__(self, n, rng):
        return models.NormalLatent(2, torch.float64, copies=COPIES)(n, self.rng)[:, self.k]


def toy(latent, optimizer, *, seed=0, copies=None, **settings):
    shape = {"activation": lambda: nn.LeakyReLU(0.2), "copies": copies, "dtype": torch.float64}
    G, D = models.mlp(2, 12, 12, 1, seed=seed, **shape), models.mlp(1, 16, 16, 1, seed=seed + 50, **shape)
    return GAN(G, D, optimizer(G), optimizer(D), latent, average=0.9, seed=5, **settings)


def parallel_toy(optimizer=adam, **settings):
    return toy(models.NormalLatent(2, torch.float64, copies=COPIES), optimizer, copies=COPIES, **settings)


def slices(seed=0):
    """Data (600, copies, 1), another sample of the same two modes for each copy."""
    rng = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (600, COPIES, 1), generator=rng).double() * 2 - 1
    return 2 * signs + 0.5 * torch.randn(600, COPIES, 1, generator=rng, dtype=torch.float64)


def of_copy(net, k):
    """The weights of copy k, as those of a lone network."""
    return [p[k].detach() for p in net.parameters()]


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.05)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (adam, {}),
        (adam, {"r1": 0.5}),
        (sgd, {}),
        (sgd, {"r1": 0.5}),
        (sgd, {"r1": 0.5, "r1_every": 3, "d_steps": 2, "loss": "minimax"}),
        (sgd, {"r1": 0.2, "loss": "least-squares"}),
        (sgd, {"loss": "hinge"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
@pytest.mark.slow
def test_each_copy_ends_where_the_same_gan_ends_alone(optimizer, settings):
    data = slices()
    together, batches = parallel_toy(optimizer, **settings), Minibatches(data, batch_size=20, seed=1)
    logs = [together.step(batches) for _ in range(40)]
    close, alone_logs = {"rtol": 1e-12, "atol": 1e-12}, []
    for k in range(COPIES):
        alone = toy(Slice(k, seed=5), optimizer, seed=k, **settings)
        start = copied(alone.D)
        stream = Minibatches(data[:, k], batch_size=20, seed=1)
        alone_logs.append([alone.step(stream) for _ in range(40)])
        for net in ("G", "D", "averaged_G"):
            expected = [p.detach() for p in getattr(alone, net).parameters()]
            torch.testing.assert_close(of_copy(getattr(together, net), k), expected, **close)
        assert max((start[key] - p).abs().max() for key, p in alone.D.state_dict().items()) > 0.005  # it has learnt
    for key in logs[0]:  # what is logged is the mean over the copies
        mean = torch.stack([log[-1][key] for log in alone_logs]).mean()
        torch.testing.assert_close(logs[-1][key], mean, rtol=1e-10, atol=1e-10)


def test_the_copies_do_not_see_each_other():
    ends = []
    for data in (slices(), slices().index_fill(1, torch.tensor([1]), 7.0)):
        gan, batches = parallel_toy(r1=0.5), Minibatches(data, batch_size=20)
        for _ in range(20):
            gan.step(batches)
        ends.append(gan)
    for net in ("G", "D", "averaged_G"):
        same = [all(map(torch.equal, *(of_copy(getattr(gan, net), k) for gan in ends))) for k in range(COPIES)]
        assert same == [True, False, True]


def test_samples_and_state_of_copies():
    gan, batches = parallel_toy(), Minibatches(slices(), batch_size=20)
    for _ in range(3):
        gan.step(batches)
    samples = gan.sample(7, seed=0)
    assert samples.shape == (7, COPIES, 1)
    assert not torch.equal(samples[:, 0], samples[:, 1])
    state, other = copy.deepcopy(gan.state_dict()), parallel_toy()
    other.load_state_dict(state)
    assert torch.equal(other.sample(7, seed=0), samples)
    twin = copy.deepcopy(gan.G)
    assert equal(copied(twin), copied(gan.G))
    z = torch.ones(1, COPIES, 2, dtype=torch.float64)
    assert torch.equal(twin(z), gan.G(z))
    gan.step(batches)
    assert not equal(copied(twin), copied(gan.G))
    assert gan.settings != toy(gan.latent, adam, copies=2).settings  # a state of other copies is refused


def test_a_kept_state_starts_each_run_at_the_same_place():
    gan, batches = parallel_toy(), Minibatches(slices(), batch_size=20)
    state, place, ends = copy.deepcopy(gan.state_dict()), copy.deepcopy(batches.state_dict()), []
    for _ in range(2):
        gan.load_state_dict(state)
        batches.load_state_dict(place)
        gan.step(batches)
        ends.append(copied(gan.G))
    assert equal(*ends)


# ---- what cannot work is refused


def test_a_refused_first_step_spends_no_random_numbers():
    gan, other = small_gan(), small_gan()
    with pytest.raises(ValueError, match="reshape one of them"):
        gan.step(iter([(torch.zeros(8, 5),)]))
    gan.step(points()), other.step(points())
    assert equal(copied(gan.G), copied(other.G))


def test_the_look_at_the_first_samples_spends_no_random_numbers():
    class Noisy(nn.Linear):  # noise of its own, in eval mode too
        def forward(self, z):
            out = super().forward(z)
            return out + torch.randn_like(out)

    def end(steps_done):
        torch.manual_seed(0)
        G, D = Noisy(3, 2), models.mlp(2, 4, 1)
        gan = GAN(G, D, adam(G), adam(D), models.NormalLatent(3))
        gan.steps_done = steps_done
        gan.step(points())
        return copied(G)

    assert equal(end(0), end(1))


@pytest.mark.parametrize("average", [None, 0.9])
def test_z_of_a_wrong_width_is_named_and_no_mode_is_left_behind(average):
    G, D = small_pair()
    gan = GAN(G, D, adam(G), adam(D), models.NormalLatent(5), average=average)
    words = r"z must be of a shape that the generator takes, .* got z of \(16, 5\) and the error .*mat.*: build latent"
    for act in (lambda: gan.step(points()), lambda: gan.sample(16, seed=0), lambda: gan.generate(torch.zeros(16, 5))):
        with pytest.raises(ValueError, match=words):
            act()
        assert gan.G.training
        assert all(m.track_running_stats for m in gan.G if isinstance(m, nn.BatchNorm1d))


def test_other_errors_of_the_networks_stay_what_they_are():
    class Broken(nn.Linear):
        def forward(self, x):
            raise RuntimeError("my own")

    for G, D in ((Broken(3, 2), small_pair()[1]), (small_pair()[0], Broken(2, 1))):
        with pytest.raises(RuntimeError, match="^my own$"):
            GAN(G, D, adam(G), adam(D), models.NormalLatent(3)).step(points())


def test_a_stream_that_ends_leaves_d_alone():
    gan = small_gan(d_steps=3)
    before = copied(gan.D)
    with pytest.raises(StopIteration):
        gan.step(iter([(torch.randn(8, 2),)] * 2))
    assert equal(before, copied(gan.D))


# ---- what a step needs, and what it leaves


def test_a_frozen_layer_of_g_stays_and_the_rest_learns():
    G, D = models.textbook_pair(4)
    G[0].requires_grad_(False)
    frozen, moving = G[0].weight.clone(), G[2].weight.clone()
    opt_G = torch.optim.Adam([p for p in G.parameters() if p.requires_grad])
    gan = GAN(G, D, opt_G, adam(D), models.NormalLatent(4), average=0.9)
    gan.step(stream()), gan.step(stream())
    assert torch.equal(frozen, G[0].weight)
    assert not torch.equal(moving, G[2].weight)


def test_a_step_learns_where_gradients_were_left_off():
    gan, other = gan_of(), gan_of()
    with torch.no_grad():
        gan.step(stream())
        assert not torch.is_grad_enabled()
    other.step(stream())
    assert equal(copied(gan.G), copied(other.G))


def test_a_step_learns_under_inference_mode_and_bad_tensors_are_named():
    gan, other, x = gan_of(), gan_of(), images()
    with torch.inference_mode():
        gan.step(iter([(x,)]))
        made_inside = x * 1
        pair = models.textbook_pair(4)
    other.step(iter([(x,)]))
    assert equal(copied(gan.G), copied(other.G))
    with pytest.raises(ValueError, match=r"made under torch.inference_mode: make them outside of it, or x.clone\(\)"):
        gan_of().step(stream(made_inside))
    with pytest.raises(ValueError, match="generator must have parameters that can learn, .*inference_mode"):
        gan_of(*pair)


def test_default_dtype_and_device_do_not_reach_in():
    plain, x = gan_of(average=0.9, r1=0.1), images()
    plain.step(stream(x))
    nets = models.textbook_pair(4)
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        gan = gan_of(*nets, average=0.9, r1=0.1)
        gan.step(stream(x))
        sample = gan.sample(2, seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert equal(copied(gan.averaged_G.module), copied(plain.averaged_G.module))
    assert torch.equal(sample, plain.sample(2, seed=0))


def test_numbers_of_numpy_are_settings_like_pythons():
    whole, real = {"d_steps": np.int64(2), "r1_every": np.int32(3)}, {"r1": np.float32(0.5), "average": np.float64(0.9)}
    gan = gan_of(seed=np.int8(4), **whole, **real)
    same = gan_of(d_steps=2, r1=0.5, r1_every=3, average=0.9, seed=4)
    assert gan.settings == same.settings
    assert {type(gan.settings[name]) for name in (*whole, "seed")} == {int}
    assert {type(gan.settings[name]) for name in real} == {float}
    gan.step(stream()), same.step(stream())
    assert torch.equal(gan.sample(np.int64(3), seed=np.int64(1)), same.sample(3, seed=1))


def test_a_model_with_an_average_can_be_pickled_and_copied_and_goes_on():
    gan = gan_of(average=0.9, r1=0.1)
    gan.step(stream())
    twins = [pickle.loads(pickle.dumps(gan)), copy.deepcopy(gan)]
    for one in (gan, *twins):
        one.step(stream(images(seed=5)))
    for twin in twins:
        assert equal(copied(twin.averaged_G), copied(gan.averaged_G))
        assert equal(copied(twin.D), copied(gan.D))


OLD, NEW = nn.utils, nn.utils.parametrizations


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("norm", [OLD.weight_norm, OLD.spectral_norm, NEW.weight_norm, NEW.spectral_norm])
def test_networks_with_a_norm_can_be_averaged(norm):
    G, D = (
        nn.Sequential(*(norm(m) if isinstance(m, nn.Linear) else m for m in net)) for net in models.textbook_pair(4)
    )
    G(torch.randn(2, 4)), D(images())  # the old norms then hold a weight that deepcopy refuses
    gan = gan_of(G, D, average=0.9, r1=0.1)
    for _ in range(3):
        gan.step(stream())
    for p, q in zip(gan.averaged_G.parameters(), G.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=2e-3, rtol=0)
    assert gan.sample(2, seed=0).isfinite().all()


def test_lazy_layers_and_layers_without_use_can_be_averaged():
    G = nn.Sequential(nn.LazyLinear(9), nn.ReLU(), nn.LazyLinear(784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    D = nn.Sequential(nn.Flatten(), nn.LazyLinear(9), nn.ReLU(), nn.LazyLinear(1))
    G.idle = nn.Identity()
    gan = gan_of(G, D, average=0.9)
    gan.step(stream())
    assert equal(copied(gan.averaged_G.module), copied(gan.G))  # the first average is G itself
    lazy = nn.Sequential(nn.LazyLinear(9), nn.LazyBatchNorm1d())
    with pytest.raises(ValueError, match=r"average must be None for a generator that cannot be copied.*call of G\(z\)"):
        gan_of(lazy, average=0.9)


def test_a_network_that_cannot_be_copied_trains_and_names_z():
    G = models.textbook_pair(4)[0]
    G.lock = threading.Lock()
    gan = gan_of(G)
    gan.step(stream())
    with pytest.raises(ValueError, match=r"got z of \(2, 3\).*one latent_dim, 4 fits"):
        gan.generate(torch.zeros(2, 3))
    assert not G[0]._forward_hooks


def test_bfloat16_and_networks_that_cast():
    G, D = models.textbook_pair(4, dtype=torch.bfloat16)
    gan = gan_of(G, D, models.NormalLatent(4, torch.bfloat16), r1=0.1, average=0.9)
    assert gan.step(stream(images().bfloat16()))["loss_D"].isfinite()
    with torch.autocast("cpu", torch.bfloat16):
        gan_of().step(stream())
    double = models.textbook_pair(4, dtype=torch.float64)[1]
    gan_of(D=nn.Sequential(After(nn.Identity(), torch.Tensor.double), double)).step(stream())


class Wrapper:
    """All that a step needs of an optimizer."""

    def __init__(self, net):
        self.inner = torch.optim.SGD(net.parameters(), lr=0.1)
        self.param_groups = self.inner.param_groups

    def step(self):
        self.inner.step()

    def zero_grad(self):
        self.inner.zero_grad()


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "AdamW", "NAdam", "Wrapper"])
def test_any_optimizer_that_steps_will_do(name):
    make = Wrapper if name == "Wrapper" else lambda net: getattr(torch.optim, name)(net.parameters(), lr=1e-3)
    G, D = models.textbook_pair(4)
    before = copied(G)
    gan = GAN(G, D, make(G), make(D), models.NormalLatent(4))
    gan.step(stream())
    assert not equal(before, copied(G))
    if name == "Wrapper":
        with pytest.raises(TypeError, match="opt_G must have a state_dict to be saved, got Wrapper"):
            gan.state_dict()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_train_and_are_looked_at():
    G, D = models.textbook_pair(4)
    gan = gan_of(*(torch.compile(net, backend="eager") for net in (G, D)), average=0.9)
    assert gan.step(stream())["loss_D"].isfinite()
    with pytest.raises(ValueError, match="ends in Sigmoid"):
        gan_of(D=torch.compile(After(models.textbook_pair(4)[1], torch.sigmoid), backend="eager")).step(stream())


def test_z_may_be_an_array_and_stays_as_it_is():
    class Normalising(nn.Linear):
        def forward(self, z):
            z /= z.norm(dim=1, keepdim=True)
            return super().forward(z)

    gan, z = gan_of(), torch.randn(3, 4)
    array = z.double().numpy()
    assert torch.equal(gan.generate(array), gan.generate(z))
    assert torch.equal(gan.generate(array.tolist()), gan.generate(z))
    before = z.clone()
    gan_of(Normalising(4, 2)).generate(z)
    assert torch.equal(before, z)


@pytest.mark.parametrize(
    ("z", "error", "words"),
    [
        (
            torch.zeros(4),
            ValueError,
            r"z must have shape \(n, ...\), one row .* got z of \(4,\).*: z\[None\] is a batch",
        ),
        (torch.zeros(3, 4).double(), ValueError, r"z must have the dtype of the generator, torch.float32, .*float64"),
        ("noise", TypeError, "z must be a tensor or an array of numbers, got str"),
    ],
)
def test_z_of_other_forms_is_named(z, error, words):
    with pytest.raises(error, match=words):
        gan_of().generate(z)


@pytest.mark.parametrize("n", [-1, 2.5, "4", None])
def test_the_number_of_samples_is_whole(n):
    with pytest.raises(ValueError, match="n must be a whole number of at least 0, got"):
        gan_of().sample(n, seed=0)


def test_pictures_leave_the_mode_of_each_layer():
    G, D = models.better_pair(4)
    gan = gan_of(G, D)
    G[1].eval()
    gan.sample(2, seed=0)
    assert [k for k, m in enumerate(G) if not m.training] == [1]
