"""The variational autoencoder: its formulas, its step, its bound, and what is refused."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_gans import After, same
from torch import nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from ganlib import checkpoints, models
from ganlib.gan import GAN, RunningMean
from ganlib.losses import LOSSES
from ganlib.training import Minibatches, train
from ganlib.vae import MOST, VAE, Bernoulli, Gaussian, kl_to_prior, reparameterise

SHAPE = (1, 4, 4)
double = torch.float64


def rng(seed):
    return torch.Generator().manual_seed(seed)


def images(n=60, seed=0):
    return 2 * torch.rand(n, *SHAPE, generator=rng(seed), dtype=double) - 1


def networks(latent_dim=3, seed=0, end=(), dtype=double):
    encoder = nn.Sequential(nn.Flatten(), *models.mlp(16, 8, 2 * latent_dim, seed=seed + 1, dtype=dtype))
    decoder = nn.Sequential(*models.mlp(latent_dim, 8, 16, seed=seed, dtype=dtype), *end, nn.Unflatten(1, SHAPE))
    return encoder, decoder


def adam(*nets, lr=1e-2):
    return torch.optim.Adam([p for net in nets for p in net.parameters()], lr=lr)


def make(latent_dim=3, nets=None, lr=1e-2, **settings):
    encoder, decoder = nets or networks(latent_dim)
    return VAE(encoder, decoder, adam(encoder, decoder, lr=lr), latent_dim, **settings)


def labelled(latent_dim=2):
    encoder = models.LabelInput(models.mlp(26, 8, 2 * latent_dim, seed=1, dtype=double))
    inner = nn.Sequential(*models.mlp(latent_dim + 10, 8, 16, dtype=double), nn.Unflatten(1, SHAPE))
    return encoder, models.LabelInput(inner)


def batches(seed=0):
    return Minibatches(images(), batch_size=20, seed=seed)


def after(vae, n, stream=None):
    stream = stream or batches()
    return [vae.step(stream) for _ in range(n)][-1]


def weights(vae):
    return torch.cat([p.detach().flatten() for net in (vae.encoder, vae.decoder) for p in net.parameters()])


# ---- the two formulas


def test_the_kl_divergence_is_that_of_torch_and_of_draws():
    mu, log_var = (2 * torch.randn(5, 3, generator=rng(k), dtype=double) for k in (1, 2))
    q, p = Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu))
    found = kl_to_prior(mu, log_var)
    torch.testing.assert_close(found, kl_divergence(q, p).sum(1), rtol=1e-12, atol=0)
    z = mu + (log_var / 2).exp() * torch.randn(100_000, 5, 3, generator=rng(0), dtype=double)
    torch.testing.assert_close(found, (q.log_prob(z) - p.log_prob(z)).sum(2).mean(0), rtol=0.01, atol=0)
    assert kl_to_prior(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0.0, 0.0]
    assert kl_to_prior(mu[:, :, None], log_var[:, :, None]).shape == (5,)


def test_a_reparameterised_draw_has_the_distribution_and_leads_gradients_back():
    mu, log_var = torch.tensor([[1.0, -2.0]], dtype=double), torch.tensor([[0.5, -1.0]], dtype=double)
    many = mu.expand(100_000, -1), log_var.expand(100_000, -1)
    z = reparameterise(*many, rng(0))
    torch.testing.assert_close(z.mean(0), mu[0], atol=0.02, rtol=0)
    torch.testing.assert_close(z.var(0), log_var[0].exp(), rtol=0.02, atol=0)
    assert torch.equal(z, reparameterise(*many, rng(0)))
    assert not torch.equal(z, reparameterise(*many, rng(1)))
    mu.requires_grad_(), log_var.requires_grad_()
    reparameterise(mu, log_var, rng(3)).sum().backward()
    eps = torch.randn(1, 2, generator=rng(3), dtype=double)
    assert torch.equal(mu.grad, torch.ones(1, 2, dtype=double))
    torch.testing.assert_close(log_var.grad, 0.5 * (log_var / 2).exp() * eps, rtol=1e-12, atol=0)
    torch.manual_seed(6)
    z = reparameterise(mu, log_var)  # without a generator it is torch's own
    torch.manual_seed(6)
    assert torch.equal(z, mu + (log_var / 2).exp() * torch.randn(1, 2, dtype=double))


@pytest.mark.parametrize("of", [kl_to_prior, reparameterise])
@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2, 3), (1, 3)), ((3,), (3,))])
def test_a_mean_and_a_variance_of_other_shapes_are_refused(of, shapes):
    with pytest.raises(
        ValueError, match=r"^mu and log_var must be of one shape \(n, latent_dim\), got \(.*chunk\(2, 1"
    ):
        of(*(torch.zeros(shape) for shape in shapes))


# ---- likelihoods


def test_likelihoods_are_those_of_torch():
    answers, x = 3 * torch.randn(6, *SHAPE, generator=rng(0), dtype=double), images(6)
    close = {"rtol": 1e-12, "atol": 0}
    expected = TorchBernoulli(logits=answers).log_prob((x.sign() + 1) / 2).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().log_prob(answers, x.sign()), expected, **close)
    grey = -F.binary_cross_entropy(answers.sigmoid(), (x + 1) / 2, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().log_prob(answers, x), grey, **close)
    for sigma in (0.4, 2.0):
        expected = Normal(answers.tanh(), sigma).log_prob(x).flatten(1).sum(1)
        torch.testing.assert_close(Gaussian(sigma).log_prob(answers, x), expected, **close)
    extreme = torch.full((1, 2), 1e4)
    assert Bernoulli().log_prob(extreme, -torch.ones(1, 2)).tolist() == [-2e4]  # no logarithm of a rounded 0


def test_means_and_draws_of_pixels():
    answers = torch.tensor([-3.0, 0.0, 1.0]).repeat(20_000, 1)
    for likelihood in (Bernoulli(), Gaussian(0.05)):
        mean, drawn = likelihood.mean(answers), likelihood.draw(answers, rng(0))
        assert mean.abs().max() <= 1
        assert drawn.abs().max() <= 1
        torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.02, rtol=0)
        assert torch.equal(drawn, likelihood.draw(answers, rng(0)))
    torch.testing.assert_close(Bernoulli().mean(answers), (answers / 2).tanh(), atol=1e-6, rtol=0)
    assert torch.equal(Gaussian().mean(answers), answers.tanh())
    assert Bernoulli().draw(answers, rng(0)).unique().tolist() == [-1, 1]
    assert Gaussian(0.05).draw(torch.zeros(20_000, 1), rng(0)).std().item() == pytest.approx(0.05, rel=0.02)
    assert Gaussian(0.5).draw(torch.full((999, 1), 9.0), rng(0)).max() == 1


@pytest.mark.parametrize("sigma", [0, -1.0, math.inf, math.nan, "0.3"])
def test_a_sigma_that_is_no_standard_deviation_is_refused(sigma):
    with pytest.raises(ValueError, match="^sigma must be a positive number, got .*: it is the standard deviation"):
        Gaussian(sigma)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian()])
def test_answers_of_another_shape_than_x_are_not_broadcast(likelihood):
    with pytest.raises(
        ValueError, match=r"^answers and x must be of one shape \(n, ...\), got \(3, 1, 2, 2\) and \(3,"
    ):
        likelihood.log_prob(torch.zeros(3, 1, 2, 2), torch.zeros(3, 2, 2))


# ---- the step


def by_hand(n, likelihood, beta, average):
    """The same training typed out; the last log, encoder and decoder, averaged if asked."""
    encoder, decoder = networks()
    optimizer, stream = adam(encoder, decoder), batches()
    averaged = copy.deepcopy((encoder, decoder))
    torch.manual_seed(5)
    for t in range(n):
        (x,) = next(stream)
        mu, log_var = encoder(x)[:, :3], encoder(x)[:, 3:]
        z = mu + log_var.div(2).exp() * torch.randn(20, 3, dtype=double)
        if likelihood == "Bernoulli":
            reconstruction = F.binary_cross_entropy_with_logits(decoder(z), (x + 1) / 2, reduction="sum") / 20
        else:
            reconstruction = -Normal(decoder(z).tanh(), 0.3).log_prob(x).sum() / 20
        kl = kl_divergence(Normal(mu, log_var.div(2).exp()), Normal(0.0, 1.0)).sum() / 20
        optimizer.zero_grad()
        (reconstruction + beta * kl).backward()
        optimizer.step()
        if average:
            share = 0.0 if t == 0 else min(average, (1 + t) / (10 + t))
            for net, own in zip(averaged, (encoder, decoder), strict=True):
                for a, p in zip(net.parameters(), own.parameters(), strict=True):
                    a.data.lerp_(p.data, 1 - share)
    return {"reconstruction": reconstruction, "kl": kl}, averaged if average else (encoder, decoder)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.3)])
@pytest.mark.parametrize("beta", [1.0, 0.2])
@pytest.mark.parametrize("average", [None, 0.6])
def test_a_step_is_the_one_that_is_typed_out(likelihood, beta, average):
    vae = make(likelihood=likelihood, beta=beta, average=average, seed=5)
    vae.networks.eval()  # a step does not ask in which mode they were left
    with torch.no_grad():  # nor whether a cell has left gradients off
        log = after(vae, 20)
    assert vae.encoder.training
    assert vae.decoder.training
    expected, (encoder, decoder) = by_hand(20, type(likelihood).__name__, beta, average)
    expected = {name: value.item() for name, value in expected.items()}
    expected["loss"] = expected["reconstruction"] + beta * expected["kl"]
    assert {name: value.item() for name, value in log.items()} == pytest.approx(expected, abs=1e-12, rel=1e-12)
    assert all(value.ndim == 0 and not value.requires_grad for value in log.values())
    assert vae.steps_done == 20
    x = images(7, seed=9)
    with torch.no_grad():
        mu, log_var = encoder(x).chunk(2, 1)
        mean = 2 * decoder(mu).sigmoid() - 1 if likelihood == Bernoulli() else decoder(mu).tanh()
    close = {"atol": 1e-12, "rtol": 0}
    torch.testing.assert_close(vae.encode(x), (mu, log_var), **close)
    torch.testing.assert_close(vae.generate(mu), mean, **close)
    torch.testing.assert_close(vae.reconstruct(x), mean, **close)


def test_the_bound_is_the_formula_and_rises_with_k():
    vae = make(seed=1)
    after(vae, 30)
    x = images(40, seed=4)
    with torch.no_grad():
        mu, log_var = vae.encoder(x).chunk(2, 1)
        q, p = Normal(mu, (log_var / 2).exp()), Normal(0.0, 1.0)
        stream, found = rng(3), []
        for _ in range(4):
            z = mu + (log_var / 2).exp() * torch.randn(40, 3, generator=stream, dtype=double)
            given = TorchBernoulli(logits=vae.decoder(z), validate_args=False).log_prob((x + 1) / 2).flatten(1).sum(1)
            found.append(given + p.log_prob(z).sum(1) - q.log_prob(z).sum(1))
    close = {"atol": 1e-10, "rtol": 0}
    torch.testing.assert_close(vae.bound(x, seed=3), found[0], **close)
    torch.testing.assert_close(vae.bound(x, k=4, seed=3), torch.stack(found).exp().mean(0).log(), **close)
    means = [torch.stack([vae.bound(x, k=k, seed=s).mean() for s in range(20)]).mean().item() for k in (1, 5, 50)]
    assert means[0] < means[1] < means[2]
    other = make(seed=1, beta=0.1, nets=(vae.encoder, vae.decoder))
    assert torch.equal(other.bound(x, seed=3), vae.bound(x, seed=3))  # beta takes no part
    assert vae.bound(x.numpy(), seed=3).tolist() == vae.bound(x, seed=3).tolist()


def test_the_elbo_is_the_mean_of_the_terms():
    vae, x = make(), images(5)
    after(vae, 10)
    torch.manual_seed(0)
    terms = torch.stack([sum(vae.terms(x)) for _ in range(500)]).mean().item()
    bounds = torch.stack([vae.bound(x, seed=seed).mean() for seed in range(500)]).mean().item()
    assert -terms == pytest.approx(bounds, abs=0.05)


def test_the_bound_is_exact_where_the_code_says_nothing():
    encoder, decoder = networks()
    for p in [*encoder[-1].parameters(), decoder[0].weight]:
        p.data.zero_()  # q is the prior, and the decoder does not look at z
    vae, x = make(nets=(encoder, decoder)), images(5)
    exact = Bernoulli().log_prob(decoder(torch.zeros(5, 3, dtype=double)), x)
    for k in (1, 7):
        torch.testing.assert_close(vae.bound(x, k=k, seed=k), exact, atol=1e-10, rtol=0)


def test_the_bound_reaches_the_true_likelihood_where_that_is_an_integral():
    """One latent, a wrong posterior: log p(x) by the trapezoidal rule over z."""
    encoder = nn.Sequential(nn.Flatten(), *models.mlp(16, 2, dtype=double))
    decoder = nn.Sequential(*models.mlp(1, 16, dtype=double), nn.Unflatten(1, SHAPE))
    for p, value in zip(encoder[1].parameters(), (torch.zeros(2, 16), torch.tensor([0.3, 0.2])), strict=True):
        p.data.copy_(value)
    vae, x = make(1, nets=(encoder, decoder)), images(4)
    grid = torch.linspace(-8, 8, 2001, dtype=double)
    with torch.no_grad():
        given = torch.stack([Bernoulli().log_prob(decoder(grid[:, None]), one.expand(2001, *SHAPE)) for one in x])
        true = torch.trapezoid((given + Normal(0.0, 1.0).log_prob(grid)).exp(), grid).log()
    found = vae.bound(x, k=2000, seed=0)
    torch.testing.assert_close(found, true, atol=0.03, rtol=0)
    elbo = torch.stack([vae.bound(x, seed=seed) for seed in range(100)]).mean(0)
    assert (elbo < true).all()


def test_it_learns_to_give_images_back_and_draws_such():
    kinds = images(2, seed=8).sign()
    x = kinds[torch.arange(60) % 2]
    vae = make(lr=2e-2)
    start = (vae.reconstruct(x) - x).square().mean()
    for _ in train(vae, Minibatches(x, batch_size=20), until=300, progress=False):
        pass
    assert vae.steps_done == 300
    assert (vae.reconstruct(x) - x).square().mean() < 0.1 * start
    nearest = torch.cdist(vae.sample(500, seed=0).flatten(1), kinds.flatten(1)).min(1).values
    assert (nearest < 1).double().mean() > 0.8


# ---- the contract


def test_a_resumed_training_goes_on_bit_by_bit(tmp_path):
    def dropping(seed=0):
        encoder, decoder = networks(seed=seed, end=(nn.Dropout(0.1),))
        return make(average=0.9, seed=3, nets=(encoder, decoder)), batches(seed=2)

    whole, stream = dropping()
    after(whole, 12, stream)
    half, stream = dropping()
    after(half, 5, stream)
    checkpoints.save(tmp_path / "vae.pt", half, stream)
    again, stream = dropping(seed=7)
    checkpoints.load(tmp_path / "vae.pt", again, stream)
    assert again.steps_done == 5
    after(again, 7, stream)
    assert same(again.state_dict(), whole.state_dict())
    assert torch.equal(again.sample(4, seed=0), whole.sample(4, seed=0))


def test_what_happens_in_between_leaves_no_trace():
    alone = [make(seed=seed, average=0.9, nets=networks(end=(nn.Dropout(0.3),))) for seed in (1, 2)]
    for seed, vae in enumerate(alone):
        after(vae, 6, batches(seed))
    torch.manual_seed(11)
    outside = torch.get_rng_state()
    both = [make(seed=seed, average=0.9, nets=networks(end=(nn.Dropout(0.3),))) for seed in (1, 2)]
    streams, x = [batches(0), batches(1)], images(2)
    for _ in range(6):
        for vae, stream in zip(both, streams, strict=True):
            vae.step(stream)
            vae.sample(3, seed=0), vae.sample(3, seed=0, pixels=True), vae.encode(x), vae.generate(torch.zeros(2, 3))
            vae.reconstruct(x), vae.reconstruct(x, seed=1), vae.bound(x, k=2, seed=0)
    assert torch.equal(torch.get_rng_state(), outside)
    for vae, expected in zip(both, alone, strict=True):
        assert same(vae.state_dict(), expected.state_dict())
    assert not torch.equal(weights(both[0]), weights(both[1]))


def test_samples_are_means_or_drawn_pixels_and_networks_rest():
    encoder, decoder = networks(end=(nn.Dropout(0.5),))
    encoder.insert(1, nn.Dropout(0.5))
    vae = make(nets=(encoder, decoder))
    encoder.train(), decoder.train()
    decoder[0].eval()  # each part gets its own mode back
    assert torch.equal(vae.sample(5, seed=2), vae.sample(5, seed=2))
    assert not torch.equal(vae.sample(5, seed=2), vae.sample(5, seed=3))
    z = torch.randn(5, 3, generator=rng(2), dtype=double)
    assert torch.equal(vae.sample(5, seed=2), vae.generate(z))
    drawn = vae.sample(5, seed=2, pixels=True)
    assert drawn.unique().tolist() == [-1, 1]
    mean = torch.stack([vae.sample(5, seed=s, pixels=True) for s in range(500)]).mean((0, 1))
    torch.testing.assert_close(mean, vae.sample(2000, seed=0).mean(0), atol=0.1, rtol=0)
    x = images(5)
    assert torch.equal(vae.reconstruct(x), vae.generate(vae.encode(x)[0]))
    drawn = vae.generate(reparameterise(*vae.encode(x), rng(4)))
    assert torch.equal(vae.reconstruct(x, seed=4), drawn)
    assert not torch.equal(vae.reconstruct(x, seed=0), vae.reconstruct(x))
    assert not any(t.requires_grad for t in (drawn, *vae.encode(x), vae.sample(2, seed=0), vae.bound(x, seed=0)))
    assert not vae.bound(x.requires_grad_(), seed=0).requires_grad
    assert encoder[1].training
    assert decoder[3].training
    assert not decoder[0].training
    assert vae.sample(0, seed=0).shape == (0, *SHAPE)
    with torch.inference_mode():
        assert vae.step(batches())["loss"].isfinite()
    with pytest.raises(ValueError, match="decoder"):
        vae._answers(torch.zeros(2, 3), torch.zeros(2))
    assert decoder[3].training  # after an error too


@pytest.mark.parametrize("kind", [torch.Tensor.numpy, torch.Tensor.float, torch.Tensor.tolist, torch.Tensor.long])
def test_codes_of_any_kind_are_taken(kind):
    vae, z = make(), torch.tensor([[1.0, -2.0, 0.0]], dtype=double)
    assert torch.equal(vae.generate(kind(z)), vae.generate(z))
    torch.testing.assert_close(vae.encode(X.float().numpy()), vae.encode(X), atol=1e-6, rtol=0)


def test_both_networks_get_the_conditions_of_a_minibatch():
    x, labels = images(), torch.arange(60) % 10
    vae = make(latent_dim=2, nets=labelled())
    log = after(vae, 3, Minibatches(x, labels, batch_size=20))
    assert log["loss"].isfinite()
    z = torch.zeros(2, 2, dtype=double)
    zero, one = vae.generate(z, torch.tensor([0, 1]))
    assert not torch.equal(zero, one)
    assert torch.equal(vae.generate(z, np.array([0, 1]))[1], one)
    assert vae.sample(3, torch.tensor([0, 1, 1]), seed=0).shape == (3, *SHAPE)
    assert vae.sample(3, torch.tensor([0, 1, 1]), seed=0, pixels=True).shape == (3, *SHAPE)
    assert not torch.equal(vae.encode(x, labels)[0], vae.encode(x, 0 * labels)[0])
    assert not torch.equal(vae.reconstruct(x, labels), vae.reconstruct(x, 0 * labels))
    assert not torch.equal(vae.bound(x, labels, seed=0), vae.bound(x, 0 * labels, seed=0))
    with pytest.raises(ValueError, match=r"^labels must hold one for each of the 3 samples, got 2"):  # its own words
        vae.sample(3, torch.tensor([0, 1]), seed=0)
    with pytest.raises(ValueError, match=r"^labels must lie between 0 and 9"):
        vae.reconstruct(x, labels + 5)


def test_conditions_are_the_batchs_own():
    vae, seen = make(latent_dim=2, nets=labelled()), []
    for net in (vae.encoder, vae.decoder):
        net.register_forward_pre_hook(lambda net, given: seen.append(given[1]))
    x, labels = images(), torch.randperm(10, generator=rng(0)).repeat(6)
    vae.step(iter([(x, labels)]))
    assert all(torch.equal(one, labels) for one in seen)
    assert len(seen) >= 2


def test_the_average_is_warmed_up_as_in_a_gan_and_is_what_draws():
    vae = make(average=0.9)
    after(vae, 3)
    assert vae.averaged.multi_avg_fn == RunningMean(0.9)
    encoder, decoder = (vae.averaged.module[name] for name in ("encoder", "decoder"))
    assert not torch.equal(decoder[0].weight, vae.decoder[0].weight)
    x, z = images(3), torch.zeros(1, 3, dtype=double)
    with torch.no_grad():
        assert torch.equal(vae.generate(z), 2 * decoder(z).sigmoid() - 1)
        assert torch.equal(torch.cat(vae.encode(x), 1), encoder(x))
    assert not any(m.training for m in vae.averaged.modules())


def test_numbers_that_are_no_pixels_may_all_be_positive():
    x = images(20).flatten(1).abs()
    encoder, decoder = networks()
    vae = make(nets=(encoder, decoder[:-1]), likelihood=Gaussian())
    vae.step(iter([(x,)]))
    assert vae.reconstruct(x[:1]).shape == (1, 16)


class Cauchy:
    """A likelihood of one's own, without a repr, whose mean is the answer itself."""

    def mean(self, answers):
        return answers

    def log_prob(self, answers, x):
        return -torch.log1p((x - answers).square()).flatten(1).sum(1)

    def draw(self, answers, rng):
        return answers


def test_a_likelihood_of_ones_own_may_ask_for_tanh_and_is_saved(tmp_path):
    def vae():
        return make(nets=networks(end=(nn.Tanh(),)), likelihood=Cauchy())

    one = vae()
    after(one, 2)
    checkpoints.save(tmp_path / "vae.pt", one)
    again = vae()
    checkpoints.load(tmp_path / "vae.pt", again)
    assert torch.equal(weights(again), weights(one))


def test_the_settings_name_all_that_a_training_depends_on():
    settings = make(beta=0.5, average=0.9, likelihood=Gaussian(np.float32(0.25)), seed=np.int64(8)).settings
    expected = {"latent_dim": 3, "beta": 0.5, "average": 0.9, "seed": 8, "device": "cpu", "optimizer": "Adam"}
    assert {name: settings[name] for name in expected} == expected
    assert settings["likelihood"] == "Gaussian(sigma=0.25)"
    defaults = {"beta": 1.0, "average": None, "seed": 0, "likelihood": "Bernoulli()"}
    assert {name: make().settings[name] for name in defaults} == defaults
    assert settings["optimizer.lr"] == 0.01
    assert "Linear(in_features=16" in settings["encoder"]
    assert "Unflatten" in settings["decoder"]


# ---- settings that cannot work


class OnGPU(nn.Module):
    """As if its weights lay there."""

    def parameters(self, recurse=True):
        yield SimpleNamespace(requires_grad=True, device=torch.device("cuda", 0))


def frozen(net):
    return net.requires_grad_(False)


SETTINGS = [
    (lambda e, d: VAE(e, d, adam(e), 3), "optimizer must hold the parameters of both networks, got one that lacks 4 "
     r"tensors of the decoder: torch.optim.Adam\(\[\*encoder"),
    (lambda e, d: VAE(e, d, adam(d), 3), "both networks, got one that lacks 4 tensors of the encoder: "),
    (lambda e, d: VAE(e, d, adam(*networks()), 3), "optimizer must hold the .* got one that holds none of them: build"),
    (lambda e, d: VAE(nn.Linear, d, adam(d), 3), "encoder must be a network, an nn.Module, got the class Linear$"),
    (lambda e, d: VAE(e, gan(), adam(e), 3), "decoder must be a network, an nn.Module, got GAN$"),
    (lambda e, d: VAE(e, nn.Flatten(), adam(e), 3), "decoder must have parameters that can learn, .* all of it frozen"),
    (lambda e, d: VAE(frozen(e), d, adam(e, d), 3), "encoder must have parameters that can learn, .* all of it frozen"),
    (lambda e, d: VAE(e, d, torch.optim.Adam, 3), "optimizer must be a torch.optim.Optimizer, got the class Adam: "),
    (lambda e, d: VAE(e, d, 3, adam(e, d)), "latent_dim must be a whole number of at least 1, got Adam"),
    (lambda e, d: VAE(e, d, "Adam", 3), "optimizer must be a torch.optim.Optimizer, got str: "),
    (lambda e, d: VAE(e, d, torch.optim.LBFGS(e.parameters()), 3), "optimizer must move .* got LBFGS, .* a closure"),
    (lambda e, d: VAE(e, d.to("meta"), adam(e, d), 3), "must lie on one device, .* got encoder on cpu and decoder on"),
    (lambda e, d: VAE(e.to("meta"), d.to("meta"), adam(e, d), 3), "must lie on one device, .* encoder on meta and "),
    (lambda e, d: VAE(OnGPU(), d, adam(d), 3), "lie on one device, .* got encoder on cuda:0 and decoder on cpu"),
    (lambda e, d: VAE(e, d, adam(e, d), 0), "latent_dim must be a whole number of at least 1, got 0"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, seed=0.5), "seed must be a whole number, got 0.5"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, beta=-1), r"beta must be 0 \(no KL divergence\) or positive, got -1"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, beta=math.nan), "beta must be 0 .* or positive, got nan"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, beta="1"), "beta must be 0 .* or positive, got '1'"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, average=1.0), r"average must be a decay in \(0, 1\) .*, or None, got 1.0"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, average=True), r"average must be a decay in \(0, 1\) .*, or None, got True"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, likelihood=Gaussian), r"likelihood must be Bernoulli\(\) or Gaussian\(sig"),
    (lambda e, d: VAE(e, d, adam(e, d), 3, likelihood="mse"), r"likelihood must be .* or Gaussian\(sigma\), got 'mse'"),
]  # fmt: skip


def gan():
    G, D = models.mlp(3, 16), models.mlp(16, 1)
    return GAN(G, D, adam(G), adam(D), models.NormalLatent(3), loss=next(iter(LOSSES)))


@pytest.mark.parametrize(("build", "words"), SETTINGS, ids=range(len(SETTINGS)))
def test_settings_that_cannot_work_are_refused(build, words):
    with pytest.raises((TypeError, ValueError), match=words):
        build(*networks())


def test_what_is_frozen_needs_no_optimizer_and_beta_may_be_0():
    encoder, decoder = networks()
    encoder[1].requires_grad_(False)
    learning = [p for p in [*encoder.parameters(), *decoder.parameters()] if p.requires_grad]
    vae, before = VAE(encoder, decoder, torch.optim.Adam(learning), 3, beta=0), encoder[1].weight.clone()
    log = after(vae, 2)
    assert log["loss"] == log["reconstruction"]
    assert torch.equal(encoder[1].weight, before)


def test_an_optimizer_with_a_scheduler_or_around_another_is_taken():
    encoder, decoder = networks()
    optimizer, inner = adam(encoder, decoder), adam(encoder, decoder)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)  # which wraps the step
    rate = optimizer.param_groups[0]["lr"]
    assert after(VAE(encoder, decoder, optimizer, 3), 2)["loss"].isfinite()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == rate / 2
    whole = SimpleNamespace(**{name: getattr(inner, name) for name in ("step", "zero_grad", "param_groups")})
    assert after(VAE(encoder, decoder, whole, 3), 2)["loss"].isfinite()
    whole.step = lambda closure: closure()
    with pytest.raises(TypeError, match="got SimpleNamespace, whose step needs a closure"):
        VAE(encoder, decoder, whole, 3)


@pytest.mark.parametrize("average", [None, 0.9])
def test_lazy_layers_train_and_have_an_average_after_one_call(average):
    encoder = nn.Sequential(nn.Flatten(), nn.LazyLinear(6, dtype=double))
    decoder = nn.Sequential(nn.LazyLinear(16, dtype=double), nn.Unflatten(1, SHAPE))
    if average:
        with pytest.raises(ValueError, match="average must be None for lazy layers, .*, got 0.9: .* after one call"):
            make(nets=(encoder, decoder), average=average)
        encoder(images(2)), decoder(torch.zeros(2, 3, dtype=double))
    assert after(make(nets=(encoder, decoder), average=average), 2)["loss"].isfinite()


# ---- data and networks that cannot train: (a first minibatch, networks, settings), and what is said

X = images(20)
ENCODER, DECODER = networks()
BYTES = (127.5 * X + 127.5).byte()


def ended(*end):
    return networks()[0], networks(end=end)[1]


def shifted(by):
    encoder, decoder = networks()
    encoder[-1].bias.data += by
    return encoder, decoder


def two_answers(x):
    return tuple(x.chunk(2, 1))


PIXELS = "divide pixels of 0 to 255 by 127.5 and subtract 1"
FIRST = [
    ((127.5 * X + 127.5,), {}, rf"images must lie in \[-1, 1\], got .* to .*: {PIXELS}$"),
    (((X + 1) / 2,), {}, r"images must lie in \[-1, 1\], got .* no negative pixel.*: multiply by 2 and subtract 1$"),
    ((BYTES,), {}, "images must be floats in .*uint8"),
    ((BYTES.flatten(1),), {}, r"must begin with float samples .*uint8 .*: x.float\(\) makes them"),
    ((torch.zeros(20).long(), X), {}, "float samples x .*: images come first and labels second"),
    ((X / 0,), {}, "a minibatch must hold finite numbers, got NaN or inf"),
    ((X.float(),), {}, "x must have the dtype of the encoder, torch.float64, and it has torch.float32, got .*: give"),
    ((X,), {"latent_dim": 4, "nets": networks()}, r"encoder must return mu and log_var in one tensor, "
     r"\(n, 8\) for latent_dim 4, got \(20, 6\): build networks and VAE with one latent_dim, 3 fits this encoder$"),
    ((X,), {"latent_dim": 6, "nets": networks()}, r"got \(20, 6\): its last layer needs 2 · latent_dim outputs$"),
    ((X,), {"nets": (nn.Sequential(nn.Flatten(), nn.Linear(16, 5, dtype=double)), DECODER)}, r"got \(20, 5\): its"),
    ((X,), {"nets": (After(ENCODER, two_answers), DECODER)}, r"got type tuple: torch.cat\(\[mu, log_var\], 1\)"),
    ((X,), {"nets": (After(ENCODER, torch.mean), DECODER)}, r"encoder must return .* got \(\): its last layer needs"),
    ((X,), {"nets": (ENCODER[1:], DECODER)}, r"encoder must take .* and the error 'mat1.*: begin the encoder with"),
    ((X,), {"nets": (networks()[0], networks(4)[1])}, r"z must be of a shape that the decoder takes, \(n, latent_"
     r"dim\), got z of \(20, 3\) and the error '.*': build encoder and decoder with one latent_dim, 4 fits$"),
    ((X[..., :3],), {}, r"encoder must take samples of the shape of the data, .* fed with \(20, 12\): mend the layers"),
    ((X,), {"nets": (DECODER, ENCODER)}, r"encoder must map x .*: networks are swapped, write VAE\(encoder, decoder"),
    ((X, torch.zeros(20).long()), {}, r"encoder must take the conditions y .*: leave out the labels, Minibatches\(i"),
    ((X, torch.zeros(20).long()), {"nets": (labelled(3)[0], DECODER)}, "decoder must take the conditions y .*: leave"),
    ((X,), {"nets": labelled(3)}, r"encoder must be given what it takes, forward.*labels.*: conditions come after the"),
    ((X, torch.full((20,), 12)), {"nets": labelled(3)}, "^labels must lie between 0 and 9, got 12 to 12"),
    ((X,), {"nets": (ENCODER, DECODER[:-1])}, r"decoder must answer in the shape of the data, \(20, 1, 4, 4\), got "
     r"\(20, 16\): let it end in nn.Unflatten\(1, \(1, 4, 4\)\)$"),
    ((X.flatten(1),), {}, r"decoder must answer .*, \(20, 16\), got \(20, 1, 4, 4\): let it end in nn.Flatten\(\)$"),
    ((X,), {"nets": (ENCODER, models.mlp(3, 15, dtype=double))}, r"got \(20, 15\): its last layer needs one .*, 16$"),
    ((X,), {"nets": (ENCODER, After(DECODER, two_answers))}, "decoder .* got type tuple: return one tensor$"),
    ((X,), {"nets": ended(nn.Sigmoid())}, r"decoder must answer with any numbers, got a .* ends in Sigmoid.* Leave "
     r"that end out: Bernoulli\(\) applies the sigmoid itself$"),
    ((X,), {"nets": ended(nn.Dropout(0.1), nn.Tanh())}, r"in Tanh .* out: Bernoulli\(\) applies the sigmoid itself$"),
    ((X,), {"nets": ended(nn.Tanh()), "likelihood": Gaussian()}, r"ends in Tanh .* Gaussian\(sigma=0.3\) applies"),
    ((X,), {"nets": ended(nn.Sigmoid()), "likelihood": Gaussian()}, "ends in Sigmoid.* applies the tanh itself$"),
    ((X,), {"nets": shifted(MOST + 1)}, r"encoder must begin with a log_var of at most 80, .* got up to 81.*: let it"),
    ((X[:0],), {}, "a minibatch must hold at least one sample"),
    (X, {}, "a minibatch must be a tuple of tensors, .* got Tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("batch", "settings", "words"), FIRST, ids=range(len(FIRST)))
def test_what_cannot_train_is_refused_before_anything_moves(batch, settings, words):
    vae = make(**{"average": 0.9} | settings)
    before, outside = copy.deepcopy(vae.state_dict()), torch.get_rng_state()
    with pytest.raises((TypeError, ValueError), match=words):
        vae.step(iter([batch]))
    assert same(vae.state_dict(), before)
    assert torch.equal(torch.get_rng_state(), outside)


def test_batches_must_be_an_iterator():
    with pytest.raises(TypeError, match="batches must be an iterator of tuples, got Tensor"):
        make().step(X)


def test_what_only_looks_odd_is_let_through():
    encoder, decoder = networks()
    decoder[2].bias.data += 0.5
    decoder[2].weight.data *= 1e-3  # answers between 0 and 1 from a linear layer
    for end in ((), (nn.Hardtanh(-9, 9),), (nn.LeakyReLU(),), (nn.ReLU(),)):
        nets = encoder, nn.Sequential(*decoder[:-1], *end, decoder[-1])
        assert 0 < nets[1](torch.zeros(2, 3, dtype=double)).min() < 1
        make(nets=nets).step(iter([(X,)]))
    make(nets=shifted(MOST - 1)).step(iter([(X,)]))
    white = X.abs() / 10 + 0.9  # brighter than images in [0, 1] are
    make().step(iter([(white,)]))


def test_the_look_at_the_first_minibatch_is_no_part_of_the_training():
    """The one that follows draws what the first would have drawn."""
    vae, hand = make(), make()
    vae.step(iter([(X,)]))
    hand.steps_done = 1
    hand.step(iter([(X,)]))
    assert torch.equal(weights(vae), weights(hand))


def test_an_error_that_has_no_known_cause_stays_what_it_is():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        make(nets=(After(ENCODER, broken), DECODER)).step(iter([(X,)]))


USES = [
    (lambda: make().generate(torch.zeros(2, 5)), r"z must have shape \(n, 3\), got \(2, 5\): .* has latent_dim 3"),
    (lambda: make().generate(torch.zeros(3)), r"z must have shape \(n, 3\), got \(3,\): .*one code is z\[None\]"),
    (lambda: make().generate("z"), "z must be a tensor or an array of numbers, got str"),
    (lambda: make().generate(torch.zeros(2, 3), "y"), "y must be a tensor or an array of numbers, got str"),
    (lambda: make().generate(torch.zeros(2, 3), torch.ones(2)), "decoder must take the conditions y"),
    (lambda: make(nets=labelled(3)).sample(2, seed=0), "decoder must be given what it takes, forward.*labels"),
    (lambda: make().bound(X, k=0, seed=0), "k must be a whole number of at least 1, got 0"),
    (lambda: make().bound(X, k=1.5, seed=0), "k must be a whole number of at least 1, got 1.5"),
    (lambda: make().bound(X, seed="a"), "seed must be a whole number, got 'a'"),
    (lambda: make().bound(BYTES, seed=0), "images must be floats in .*uint8"),
    (lambda: make().sample(-1, seed=0), "n must be a whole number of at least 0, got -1"),
    (lambda: make().sample(1, seed=None), "seed must be a whole number, got None"),
    (lambda: make().reconstruct(X, seed=0.5), "seed must be a whole number, got 0.5"),
    (lambda: make().encode(300 * X), rf"images must lie in \[-1, 1\], got .*: {PIXELS}$"),
    (lambda: make().reconstruct((X + 1) / 2), "with no negative pixel, .*: multiply by 2 and subtract 1$"),
    (lambda: make().encode(BYTES.numpy()), "images must be floats in .*uint8"),
    (lambda: make().encode(X / 0), "images must hold finite numbers"),
    (lambda: make(latent_dim=4, nets=networks()).encode(X), "encoder must return mu .* 3 fits this encoder"),
]


@pytest.mark.parametrize(("use", "words"), USES, ids=range(len(USES)))
def test_bad_input_to_a_trained_model_is_named(use, words):
    with pytest.raises((TypeError, ValueError), match=words):
        use()


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize(
    ("settings", "spoil", "x", "words"),
    [
        ({}, lambda vae: vae.encoder[-1].bias.data[:3].fill_(1e200), X,
         "kl must be finite, got inf at step STEP, which has moved nothing: mu or .*smaller learning rate"),
        ({}, lambda vae: vae.decoder[-2].bias.data.fill_(math.inf), X,
         "reconstruction must be finite, got (inf|nan) at step STEP, which has moved nothing: the decoder's .*smaller"),
        ({"likelihood": Gaussian(1e-200)}, lambda vae: None, X,
         "reconstruction must be finite, got inf at step STEP.*over sigma, 1e-200, are too large, take a larger one$"),
        ({"likelihood": Gaussian()}, lambda vae: vae.decoder[-2].bias.data.fill_(math.nan), X,
         "reconstruction must be finite, got nan at step STEP, .* the decoder's answers .* smaller learning rate"),
        ({"beta": 1e308}, lambda vae: vae.encoder[-1].bias.data.fill_(9.0), X,
         r"loss must be finite, got .* \+ beta · .* at step STEP, .* nothing: beta, 1e\+308, is too large$"),
    ],
)  # fmt: skip
def test_a_loss_that_is_not_finite_moves_nothing(steps, settings, spoil, x, words):
    vae = make(average=0.9, **settings)
    vae.steps_done = steps
    spoil(vae)
    before = copy.deepcopy(vae.state_dict())
    with pytest.raises(FloatingPointError, match=f"^{words.replace('STEP', str(steps + 1))}"):
        vae.step(iter([(x,)]))
    assert str(vae.state_dict()) == str(before)  # NaN is not equal to itself
    assert all(p.grad is None for p in vae.networks.parameters())


def test_a_minibatch_and_a_variance_that_are_not_finite_later_are_named():
    vae = make()
    vae.step(iter([(X,)]))
    before = weights(vae)
    with pytest.raises(
        FloatingPointError, match="^images must hold finite numbers, got NaN or inf at step 2, .* the data"
    ):
        vae.step(iter([(X / 0,)]))
    assert torch.equal(weights(vae), before)
    vae.encoder[-1].bias.data += 2000
    with pytest.raises(FloatingPointError, match="kl must be finite, got inf at step 2"):
        vae.step(iter([(X,)]))
    assert vae.steps_done == 1


def test_the_pair_of_the_course_trains():
    encoder, decoder = models.vae_pair(5, seed=2)
    x = 2 * torch.rand(3, 1, 28, 28, generator=rng(0)) - 1
    vae = VAE(encoder, decoder, adam(encoder, decoder), 5)
    assert vae.step(iter([(x,)])).keys() == {"loss", "reconstruction", "kl"}
    assert vae.sample(2, seed=0).shape == (2, 1, 28, 28)
