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


def test_mlp_order_of_layers():
    net = models.mlp(2, 3, 1, activation=nn.Tanh, batchnorm=True, dropout=0.1)
    assert layers(net) == ["Linear", "BatchNorm1d", "Tanh", "Dropout", "Linear"]


@pytest.mark.parametrize("widths", [(), (5,), (5, 0, 1), (5, 2.0, 1)])
def test_mlp_refuses_widths(widths):
    with pytest.raises(ValueError, match="widths must be two or more positive integers"):
        models.mlp(*widths)


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
