import numpy as np
import pytest
import torch
from torch import nn

from ganlib import models

PAIRS = {
    models.textbook_pair: (128, 566_800, 201_217),
    models.upgraded_pair: (128, 1_493_520, 1_460_225),
    models.better_pair: (32, 32 * 256 + 256 + 2 * 256 + 256 * 512 + 512 + 2 * 512 + 512 * 784 + 784, 233_985),
    models.convolutional_pair: (
        32,
        32 * 256 + 256 + 2 * 256 + 256 * 1568 + 1568 + 2 * 1568 + 32 * 16 * 4 * 4 + 16 + 2 * 16 + 16 * 4 * 4 + 1,
        16 * 4 * 4 + 16 + 16 * 32 * 4 * 4 + 32 + 1568 * 128 + 128 + 128 + 1,
    ),
}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda f: f.__name__)
def test_pair_counts_shapes_and_ranges(pair):
    latent_dim, parameters_G, parameters_D = PAIRS[pair]
    G, D = pair(seed=3)
    assert (models.count_parameters(G), models.count_parameters(D)) == (parameters_G, parameters_D)
    images = G(torch.randn(5, latent_dim))
    assert images.shape == (5, 1, 28, 28)
    assert images.abs().max() <= 1
    assert D(images).shape == (5, 1)


def layers(net):
    return [m.__class__.__name__ for m in net]


def test_textbook_pair_is_the_textbooks():
    G, D = models.textbook_pair()
    assert layers(G) == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Tanh", "Unflatten"]
    assert layers(D) == ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert D[3].p == 0.3


def test_upgraded_pair_has_leaky_relu_and_dropout():
    G, D = models.upgraded_pair()
    assert layers(G) == ["Linear", "LeakyReLU"] * 3 + ["Linear", "Tanh", "Unflatten"]
    assert layers(D) == ["Flatten"] + ["Linear", "LeakyReLU", "Dropout"] * 3 + ["Linear"]
    assert D[2].negative_slope == 0.2
    assert D[3].p == 0.3


def test_better_pair_has_batchnorm_in_the_generator_alone():
    G, D = models.better_pair()
    assert layers(G) == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear", "Tanh", "Unflatten"]
    assert layers(D) == ["Flatten", "Linear", "LeakyReLU", "Linear", "LeakyReLU", "Linear"]


def test_convolutional_pair_goes_from_7_to_14_to_28_pixels_and_back():
    G, D = models.convolutional_pair()
    sizes = []
    for module in (*G, *D):
        if isinstance(module, nn.ConvTranspose2d | nn.Conv2d):
            module.register_forward_hook(lambda _, args, y: sizes.append((args[0].shape[-1], y.shape[-1])))
    D(G(torch.randn(2, 32)))
    assert sizes == [(7, 14), (14, 28), (28, 14), (14, 7)]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda f: f.__name__)
def test_latent_dim_and_dtype_are_free(pair):
    G, D = pair(7, dtype=torch.float64)
    images = G(torch.randn(3, 7, dtype=torch.float64))
    assert images.dtype == D(images).dtype == torch.float64


@pytest.mark.parametrize("pair", PAIRS, ids=lambda f: f.__name__)
def test_seed_alone_decides_the_weights(pair):
    torch.manual_seed(11)
    a, _ = pair(seed=5)
    torch.manual_seed(12)
    before = torch.get_rng_state()
    b, _ = pair(seed=5)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    c, _ = pair(seed=6)
    assert not torch.equal(a[0].weight, c[0].weight)


def test_sizes_of_numpy_are_sizes_like_pythons():
    net, same = (models.mlp(*map(kind, (2, 3, 1)), copies=kind(2)) for kind in (np.int64, int))
    assert str(net) == str(same)
    assert all(map(torch.equal, net.parameters(), same.parameters()))
    assert "np." not in str(models.mlp(np.int64(2), np.int32(3)))
    for latent in (models.NormalLatent, models.UniformLatent):
        assert repr(latent(np.int64(4))) == repr(latent(4))


@pytest.mark.parametrize("size", [0, -1, 2.5, "4", None])
def test_latents_refuse_sizes_that_are_no_counts(size):
    for make in (models.NormalLatent, models.UniformLatent):
        with pytest.raises(ValueError, match="latent_dim must be a whole number of at least 1, got"):
            make(size)
    if size is not None:
        with pytest.raises(ValueError, match="copies must be a whole number of at least 1, got"):
            models.NormalLatent(2, copies=size)


def test_mlp_order_of_layers():
    net = models.mlp(2, 3, 1, activation=nn.Tanh, batchnorm=True, dropout=0.1)
    assert layers(net) == ["Linear", "BatchNorm1d", "Tanh", "Dropout", "Linear"]


@pytest.mark.parametrize("widths", [(), (5,), (5, 0, 1), (5, 2.0, 1)])
def test_mlp_refuses_widths(widths):
    with pytest.raises(ValueError, match="widths must be two or more positive integers"):
        models.mlp(*widths)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_copy_k_has_the_weights_of_seed_plus_k(dtype):
    net = models.mlp(2, 5, 3, activation=nn.Tanh, copies=4, seed=7, dtype=dtype)
    assert layers(net) == ["ParallelLinear", "Tanh", "ParallelLinear"]
    x = torch.randn(6, 4, 2, dtype=dtype)
    y = net(x)
    assert y.shape == (6, 4, 3)
    for k in range(4):
        lone = models.mlp(2, 5, 3, activation=nn.Tanh, seed=7 + k, dtype=dtype)
        assert all(torch.equal(p[k], q) for p, q in zip(net.parameters(), lone.parameters(), strict=True))
        torch.testing.assert_close(y[:, k], lone(x[:, k]))
    assert models.count_parameters(net) == 4 * models.count_parameters(lone)
    assert "in_features=2, out_features=5, copies=4" in str(net)


def test_one_copy_is_a_dimension_too_and_draws_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    net = models.mlp(2, 3, 1, copies=1)
    assert torch.equal(before, torch.get_rng_state())
    assert net(torch.zeros(5, 1, 2)).shape == (5, 1, 1)
    assert models.NormalLatent(2, copies=1)(5, torch.Generator()).shape == (5, 1, 2)


def test_gradients_of_copies_are_those_of_each_copys_own_mean_and_can_be_differentiated_again():
    net = models.mlp(2, 4, 1, activation=nn.Tanh, copies=3, dtype=torch.float64)
    x = torch.randn(5, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net(x).square().mean().backward()
    for k in range(3):
        lone = models.mlp(2, 4, 1, activation=nn.Tanh, seed=k, dtype=torch.float64)
        lone(x[:, k]).square().mean().backward()
        for p, q in zip(net.parameters(), lone.parameters(), strict=True):
            torch.testing.assert_close(p.grad[k], q.grad, rtol=1e-13, atol=1e-15)
    # The gradient at x is the ordinary one, and its own gradient at the weights exists.
    x.requires_grad_()
    (g,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    with torch.no_grad():
        h = 1e-6
        step = torch.zeros_like(x)
        step[2, 1, 0] = h
        slope = (net(x + step) - net(x - step)).sum() / (2 * h)
    assert g[2, 1, 0].item() == pytest.approx(slope.item(), rel=1e-7)
    (second,) = torch.autograd.grad(g.square().mean(), net[0].weight)
    assert second.abs().min() > 0


@pytest.mark.parametrize("copies", [0, -1, 2.0, "3"])
def test_mlp_refuses_copies_that_are_no_count(copies):
    with pytest.raises(ValueError, match="copies must be a whole number of at least 1, or None, got"):
        models.mlp(2, 3, 1, copies=copies)


@pytest.mark.parametrize(
    ("settings", "layer"), [({"batchnorm": True}, "BatchNorm1d"), ({"activation": nn.PReLU}, "PReLU")]
)
def test_copies_refuse_layers_that_they_would_share(settings, layer):
    with pytest.raises(ValueError, match=rf"copies can hold linear layers.*got {layer}\(.*batchnorm=False"):
        models.mlp(2, 3, 1, copies=2, **settings)


def test_latent_of_copies_draws_noise_for_each():
    z = models.NormalLatent(6, torch.float64, copies=4)(5000, torch.Generator().manual_seed(0))
    assert z.shape == (5000, 4, 6)
    assert z.dtype == torch.float64
    assert z.flatten(1).T.corrcoef().fill_diagonal_(0).abs().max() < 0.07


def test_mlp_refuses_dropout_in_percent():
    with pytest.raises(ValueError, match=r"dropout must be a probability in \[0, 1\), got 30"):
        models.mlp(2, 3, 1, dropout=30)


@pytest.mark.parametrize("latent", [models.NormalLatent(6), models.UniformLatent(6, torch.float64)])
def test_latents_draw_from_the_generator_they_get(latent):
    z = latent(20_000, torch.Generator().manual_seed(0))
    assert z.shape == (20_000, 6)
    assert z.dtype == latent.dtype
    assert torch.equal(z, latent(20_000, torch.Generator().manual_seed(0)))
    variance = 1.0 if isinstance(latent, models.NormalLatent) else 1 / 3
    assert abs(z.mean()) < 0.02
    assert abs(z.var() - variance) < 0.02
    if isinstance(latent, models.UniformLatent):
        assert -1 <= z.min() < -0.99
        assert 0.99 < z.max() < 1
