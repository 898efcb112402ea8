"""Small GANs for the tests of training, checkpoints and `GAN`, what compares two of them, and a network with an end."""

import itertools

import torch
from torch import nn

from ganlib import models
from ganlib.gan import GAN
from ganlib.training import Minibatches, train


def small(seed=0, lr=1e-3, batch_size=16, data_seed=0, **settings):
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(data_seed))
    G = models.mlp(3, 16, 2, batchnorm=True, seed=seed)
    D = models.mlp(2, 16, 1, dropout=0.3, seed=seed + 1)
    optimizers = [torch.optim.Adam(net.parameters(), lr=lr) for net in (G, D)]
    gan = GAN(G, D, *optimizers, models.NormalLatent(3), seed=seed, **{"average": 0.9} | settings)
    return gan, Minibatches(x, batch_size=batch_size, seed=seed)


def toy(seed=0):
    """One dimension, float64, no conditions: what the toy lessons train."""
    x = 3 + 0.5 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    G = models.mlp(2, 8, 8, 1, seed=seed, dtype=torch.float64)
    D = models.mlp(1, 8, 8, 1, seed=seed + 1, dtype=torch.float64)
    optimizers = [torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.0, 0.99)) for net in (G, D)]
    latent = models.NormalLatent(2, torch.float64)
    return GAN(G, D, *optimizers, latent, r1=0.5, average=0.99, seed=seed), Minibatches(x, batch_size=64, seed=seed)


def adam(net):
    return torch.optim.Adam(net.parameters(), lr=2e-4)


def gan_of(G=None, D=None, latent=None, **settings):
    """An image GAN of which some parts are given."""
    g, d = models.textbook_pair(4)
    G, D = g if G is None else G, d if D is None else D
    return GAN(G, D, adam(G), adam(D), latent or models.NormalLatent(4), **settings)


def images(n=8, seed=0):
    """Noise that has the shape and the range of images."""
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def stream(*batch):
    """The same minibatch for ever, by default of `images`."""
    return itertools.repeat(batch or (images(),))


def run(gan, batches, until):
    return list(train(gan, batches, until=until, progress=False))


def flat(state, prefix=""):
    """A nested state as {path: tensor or value}."""
    if isinstance(state, dict):
        return {k: v for key, value in state.items() for k, v in flat(value, f"{prefix}.{key}").items()}
    return {prefix: state}


def same(a, b):
    a, b = flat(a), flat(b)
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a
    )


class After(nn.Module):
    """A network and something done to what it returns."""

    def __init__(self, net, function):
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x):
        return self.function(self.net(x))
