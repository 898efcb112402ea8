"""Answers to the exercises of lesson 04: right ones in unusual styles, a twin of each mistake, and other mistakes."""

import contextlib
import copy
import io
import math

import idx_files
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import logsigmoid, softplus
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from ganlib import data, losses, models, training
from ganlib.exercises import lesson_04
from ganlib.gan import GAN

SEEDS = (0, 1, 8)
RIGHT, TWINS, OTHERS = {}, {}, {}


def ones(s, label=1.0):
    return torch.full_like(s, label)


def bce(s, label):
    return F.binary_cross_entropy_with_logits(s, ones(s, label))


class LossOfG(nn.Module):
    def forward(self, fake_logits):
        return nn.Softplus()(-fake_logits).mean()


RIGHT["04.generator_loss"] = {
    "a module": LossOfG(),
    "BCEWithLogitsLoss, labels of another shape": lambda s: nn.BCEWithLogitsLoss()(s, torch.ones(len(s), 1)),
    "float64": lambda s: -logsigmoid(s.double()).sum() / len(s),
    "logaddexp of squeezed logits": lambda s: torch.logaddexp(torch.zeros(len(s)), -s.squeeze(1)).mean(),
    "two classes": lambda s: F.cross_entropy(torch.hstack([s, 0 * s]), torch.zeros(len(s), dtype=torch.long)),
    "by hand": lambda s: ((-s).clamp(min=0) + torch.log1p(torch.exp(-s.abs()))).mean(),
    "a loop": lambda s: sum(softplus(-logit) for logit in s.flatten()) / s.numel(),
}
TWINS["04.generator_loss"] = {
    "The sign is wrong": lambda s: -bce(s, 1.0),
    "This is the saturating loss": lambda s: torch.log(1 - torch.sigmoid(s)).mean(),
    "The labels are swapped": lambda s: bce(s, 0.0),
    "The sigmoid is applied twice": lambda s: bce(s.sigmoid(), 1.0),
    "This is the sum": lambda s: nn.BCEWithLogitsLoss(reduction="sum")(s, ones(s)),
    "The logarithm has base 2": lambda s: bce(s, 1.0) / math.log(2),
    "The logarithm is missing: this is E (1": lambda s: 1 - torch.sigmoid(s).mean(),
    "This is the mean of relu": lambda s: -s.clamp(max=0).mean(),
    "The logarithm is missing: this is -E": lambda s: (-1 / (1 + torch.exp(-s))).mean(),
    "This is the mean of -s": lambda s: -s.sum() / len(s),
    "You took the logit": lambda s: -torch.log(s).sum() / len(s),
    "This is the logarithm of a mean": lambda s: torch.log(len(s) / (1 / (1 + torch.exp(-s))).sum()),
    "The labels are smoothed": lambda s: bce(s, 0.9),
    "These are logits": lambda s: nn.BCELoss()(s, torch.ones(len(s), 1)),
    "At a logit of -95": lambda s: torch.log(1 + torch.exp(-s)).mean(),
}
OTHERS["04.generator_loss"] = [
    (lambda s: softplus(-s).mean().item(), "type float"),
    (lambda s: print(softplus(-s).mean()), "returns nothing. Does generator_loss end with return?"),
    (lambda s: softplus(-s).mean(0), "shape (1,), but it must be one number"),
    (lambda s: nn.BCEWithLogitsLoss(reduction="none")(s, ones(s)), "it must be one number"),
    (lambda s: (s - 1).square().mean(), "where -E log D gives"),
    (lambda s: -torch.log(1 - s).mean(), "the loss or its slope is nan: a logarithm of 0"),
    (
        lambda s: -torch.log(torch.exp(s) / (1 + torch.exp(s))).mean(),
        "At a logit of 95 or -95 the loss or its slope is nan",
    ),
    (lambda s: -torch.log(s.sigmoid() + 1e-8).mean(), "Is there a clamp in it?"),
    (lambda s: softplus(-s.clamp(-50, 50)).mean(), "At a logit of 95 or -95 the loss is 50"),
    (lambda s: F.binary_cross_entropy(s.sigmoid(), ones(s)), "At a logit of -40 the gradient vanishes"),
    (lambda s: softplus(-s.detach()).mean(), "The loss has no gradient"),
    (lambda s: (softplus(-s) + 0.5 * s - 0.5 * s.detach()).mean(), "The value is right, but not the gradient"),
    (lambda s: softplus(-s @ s).mean(), "Your code raised RuntimeError"),
    (losses.LOSSES["non-saturating"].loss_G, "is ganlib's own function"),
    (nn.BCEWithLogitsLoss(), "The check calls your function with (fake_logits), but"),
    (LossOfG, "LossOfG is a class"),
]


def step(loss, fakes=lambda G, z: G(z).detach(), calls="zero backward step", then=lambda G, D: None):
    """A step with this loss of real and fake logits, these fakes, this order of calls, and what comes after it."""

    def discriminator_step(G, D, opt_D, x, z):
        total = loss(D(x), D(fakes(G, z)))
        for call in calls.split():
            {"zero": D.zero_grad, "backward": total.backward, "step": opt_D.step}[call]()
        then(G, D)

    return discriminator_step


def L_D(r, f):
    return bce(r, 1.0) + bce(f, 0.0)


def watched(step_of_D):
    def discriminator_step(G, D, opt_D, x, z):
        step_of_D(G, D, opt_D, x, z)
        with torch.no_grad():
            return D(x).sigmoid().mean().item()

    return discriminator_step


class StepOfD(nn.Module):
    def forward(self, G, D, opt_D, x, z):
        watched(step(L_D))(G, D, opt_D, x, z)


def both_in_one_batch(G, D, opt_D, x, z):
    opt_D.zero_grad()
    L_D(*D(torch.cat([x, G(z).detach()])).chunk(2)).backward()


def frozen_for_a_while(G, D, opt_D, x, z):
    G.requires_grad_(False).eval()
    step(L_D, lambda G, z: G(z))(G, D, opt_D, x, z)
    G.requires_grad_(True).train()


def flattened_and_halved(G, D, opt_D, x, z):
    opt_D.zero_grad(set_to_none=False)
    for images, label in ((x, 1.0), (G(z).detach(), 0.0)):
        bce(D(images.flatten(1)).squeeze(), label).backward()
    opt_D.step()


def by_a_closure(G, D, opt_D, x, z):
    def closure():
        opt_D.zero_grad()
        loss = L_D(*D(torch.cat([x, G(z).detach()])).double().chunk(2))
        loss.backward()
        return loss

    opt_D.step(closure)


def by_autograd(G, D, opt_D, x, z):
    weights = list(D.parameters())
    for p, slope in zip(weights, torch.autograd.grad(L_D(D(x), D(G(z))), weights)):
        p.grad = slope
    opt_D.step()


RIGHT["04.discriminator_step"] = {
    "a module, and then a look at D(x)": StepOfD(),
    "cross-entropy": step(L_D),
    "G frozen for a while": frozen_for_a_while,
    "images flattened, squeezed logits, two backwards": flattened_and_halved,
    "one batch of both, float64, a closure": by_a_closure,
    "autograd.grad": by_autograd,
    "G's gradients wiped": step(L_D, lambda G, z: G(z), then=lambda G, D: G.zero_grad()),
}


@torch.no_grad()
def all_under_no_grad(G, D, opt_D, x, z):
    opt_D.zero_grad()
    L_D(D(x), D(G(z))).backward()


def by_an_own_optimizer(G, D, opt_D, x, z):
    own = torch.optim.SGD(D.parameters(), 0.1, momentum=0.9)
    step(L_D)(G, D, own, x, z)


TWINS["04.discriminator_step"] = {
    "The labels are swapped": step(lambda r, f: bce(r, 0.0) + bce(f, 1.0)),
    "D learns to call all images": step(lambda r, f: bce(r, 1.0) + bce(f, 1.0)),
    "The sign of the whole": step(lambda r, f: (logsigmoid(r) + logsigmoid(-f)).mean()),
    "Only G(z) belongs": all_under_no_grad,
    "Only the real half": lambda G, D, o, x, z: (o.zero_grad(), bce(D(x), 1.0).backward(), o.step()),
    "Only the fake half": lambda G, D, o, x, z: (o.zero_grad(), bce(D(G(z).detach()), 0.0).backward(), o.step()),
    "The sign of one half": step(lambda r, f: bce(r, 1.0) + logsigmoid(-f).mean()),
    "D learns to call all fake": step(lambda r, f: bce(torch.cat([r, f]), 0.0) * 2),
    "One half is a sum": step(lambda r, f: bce(r, 1.0) * len(r) + bce(f, 0.0)),
    "This is the loss of G": step(lambda r, f: -logsigmoid(f).mean()),
    "Both halves look at the real": lambda G, D, o, x, z: step(L_D, lambda G, z: x)(G, D, o, x, z),
    "Both halves look at the fakes": lambda G, D, o, x, z: step(L_D)(G, D, o, G(z).detach(), z),
    "The sigmoid is applied twice": step(lambda r, f: L_D(torch.sigmoid(r), torch.sigmoid(f))),
    "You took the logit": step(lambda r, f: -(torch.log(r) + torch.log(1 - f)).mean()),
    "These are logits": step(lambda r, f: nn.BCELoss()(r, ones(r)) + nn.BCELoss()(f, 0 * f)),
    "This is a sum": step(lambda r, f: softplus(-r).sum() + softplus(f).sum()),
    "This is half the update": step(lambda r, f: softplus(torch.cat([-r, f])).mean()),
    "Old gradients were added": step(L_D, calls="backward step"),
    "D has new gradients": step(L_D, calls="zero step backward"),
    "D had no new gradients": step(L_D, calls="backward zero step"),
    "D moved by old gradients": step(L_D, calls="step"),
    "Another optimizer moved D": by_an_own_optimizer,
    "The fake is no tensor": lambda G, D, o, x, z: L_D(D(x), D(G(z).detach)).backward(),
} | {
    f"The labels are smoothed, here {a:g} for real and {b:g} for": step(lambda r, f, a=a, b=b: bce(r, a) + bce(f, b))
    for a in (0.7, 0.8, 0.9, 0.95)
    for b in (0.0, 1 - a)
}


def step_for_each_half(G, D, opt_D, x, z):
    for images, label in ((x, 1.0), (G(z).detach(), 0.0)):
        opt_D.zero_grad()
        bce(D(images), label).backward()
        opt_D.step()


def half_under_no_grad(G, D, opt_D, x, z):
    with torch.no_grad():
        fake_logits = D(G(z))
    opt_D.zero_grad()
    L_D(D(x), fake_logits).backward()
    opt_D.step()


def moves_both(G, D, opt_D, x, z):
    opt_D.add_param_group({"params": list(G.parameters())})
    step(L_D, lambda G, z: G(z))(G, D, opt_D, x, z)


@torch.no_grad()
def move_by_hand(D):
    for p in D.parameters():
        p -= 0.1 * p.grad


OTHERS["04.discriminator_step"] = [
    (step(L_D, lambda G, z: G(z)), "Gradients reached G"),
    (step(L_D, lambda G, z: G(torch.randn(64, 128)).detach()), "other numbers than z"),
    (moves_both, "G moved"),
    (step(L_D, then=lambda G, D: G.requires_grad_(False)), "G still has requires_grad False"),
    (step(L_D, then=lambda G, D: D[4].weight.requires_grad_(False)), "D still has requires_grad False"),
    (step(L_D, then=lambda G, D: G.eval()), "G is in eval mode after your step"),
    (step(L_D, then=lambda G, D: D[0].eval()), "D is in eval mode after your step"),
    (step(L_D, calls="zero backward step step"), "D moved by 2 steps of opt_D"),
    (step_for_each_half, "D moved by 2 steps of opt_D and 0 of another optimizer"),
    (step(L_D, calls="zero backward", then=lambda G, D: move_by_hand(D)), "D moved by 0 steps of opt_D"),
    (step(lambda r, f: (1 - r).relu().mean() + (1 + f).relu().mean()), "not against the gradient of L_D"),
    (step(lambda r, f: -torch.log(0 * r).mean() + bce(f, 0.0)), "D moved to NaN or infinity"),
    (step(lambda r, f: L_D(r, f).detach()), "Your code raised RuntimeError (element 0"),
    (watched(both_in_one_batch), "D stands still with new gradients. Call"),
    (watched(step(L_D, calls="zero backward")), "D has new gradients but did not move"),
    (half_under_no_grad, "Only G(z) belongs under no_grad"),
    (lambda G, D, opt_D, x, z: 1.0, "D had no new gradients"),
    (lambda G, D, x, z: L_D(D(x), D(G(z))).backward(), "but it is written with (G, D, x, z)"),
    (GAN.update_D, "is ganlib's own function"),
]


HIGH = (128, 99, 99, 99, 784)


def layers(widths, activation=nn.ReLU, *more, linear=nn.Linear):
    """Linear layers, and between them an activation and what else is given: classes, or functions that make layers."""
    made = [layer for n, m in zip(widths, widths[1:]) for layer in (linear(n, m), *(f() for f in (activation, *more)))]
    return made[: -1 - len(more)]


def image(*net, tail=nn.Tanh):
    return nn.Sequential(*net, tail(), nn.Unflatten(1, (1, 28, 28)))


def G_of(*widths, **kwargs):
    return image(*layers(widths or HIGH, **kwargs))


def D_of(*widths, **kwargs):
    return nn.Sequential(nn.Flatten(), *layers(widths or (784, 50, 50, 1), **kwargs))


def lazy(n, m):
    return nn.LazyLinear(m)


def without_bias(n, m):
    return nn.Linear(n, m, bias=False)


class Functional(nn.Module):
    """A network as a class, its activations as functions."""

    def __init__(self, widths, tail, slope=0.0, rate=0.0, always=False):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(*pair) for pair in zip(widths, widths[1:])])
        self.tail, self.slope, self.rate, self.always = tail, slope, rate, always

    def forward(self, t):
        t = t.flatten(1)
        for layer in self.layers[:-1]:
            t = F.dropout(F.leaky_relu(layer(t), self.slope), self.rate, self.training or self.always)
        return self.tail(self.layers[-1](t))


def tanh_image(t):
    return torch.tanh(t).view(-1, 1, 28, 28)


def functional_D(tail=lambda t: t, widths=(784, 50, 50, 1), **kwargs):
    return Functional(widths, tail, **kwargs)


def convolutional_pair():
    up, down = (lambda n, m: nn.ConvTranspose2d(n, m, 4, 2, 1)), (lambda n, m: nn.Conv2d(n, m, 4, 2, 1))
    G = nn.Sequential(nn.Linear(128, 784), nn.BatchNorm1d(784), nn.ReLU(), nn.Unflatten(1, (16, 7, 7)))
    G.extend([up(16, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), up(8, 1), nn.Tanh()])
    D = nn.Sequential(down(1, 8), nn.LeakyReLU(0.2), down(8, 16), nn.InstanceNorm2d(16), nn.LeakyReLU(0.2))
    return G, nn.Sequential(D, nn.Dropout2d(0.3), nn.Flatten(), nn.Linear(784, 1))


def small_weights(*pair, scale=1e-3):
    for p in (p for net in pair for p in net.parameters()):
        nn.init.normal_(p, std=scale)
    return pair


RIGHT["04.deeper_pair"] = {
    "lazy layers": lambda: (G_of(linear=lazy), D_of(linear=lazy)),
    "very deep with tanh": lambda: (G_of(128, *[64] * 9, 784, activation=nn.Tanh), D_of(784, *[64] * 9, 1)),
    "Hardtanh, and GELU in a list": lambda: [G_of(activation=nn.Hardtanh), D_of(activation=nn.GELU)],
    "Softplus, ELU in place": lambda: (G_of(activation=nn.Softplus), D_of(activation=lambda: nn.ELU(inplace=True))),
    "classes": lambda: (Functional(HIGH, tanh_image), functional_D(lambda t: t.view(-1, 1), slope=0.1, rate=0.5)),
    "convolutions, BatchNorm, InstanceNorm": convolutional_pair,
    "spectral norm in D": lambda: (G_of(), D_of(linear=lambda n, m: spectral_norm(nn.Linear(n, m)))),
    "weight norm, no biases": lambda: (
        G_of(linear=without_bias),
        D_of(linear=lambda *w: weight_norm(without_bias(*w))),
    ),
    "BatchNorm in G, LayerNorm in D": lambda: (
        image(*layers((128, 64, 64, 64), nn.ReLU), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 784)),
        nn.Sequential(D_of(784, 64, 64)[:-1], nn.ReLU(), nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU(), D_of(64, 1)),
    ),
    "very small initial weights": lambda: small_weights(G_of(activation=nn.Tanh), D_of(activation=nn.Hardtanh)),
    "default arguments, float64": lambda latent_dim=128, seed=0: (G_of().double(), D_of().double()),
}
TWINS["04.deeper_pair"] = {}


def shared_layer():
    both = nn.Linear(784, 784)
    G = image(*layers((128, 99, 99, 784)), nn.ReLU(), both)
    return G, nn.Sequential(nn.Flatten(), both, nn.ReLU(), *layers((784, 99, 1)))


def one_layer_thrice():
    again = [nn.Linear(99, 99), nn.ReLU()] * 3
    return image(nn.Linear(128, 99), nn.ReLU(), *again, nn.Linear(99, 784)), D_of()


OTHERS["04.deeper_pair"] = [
    (models.textbook_pair, "is ganlib's own function"),
    (lambda: models.textbook_pair(), "G has 2 hidden layers with weights of its own. The textbook has 2, so give it 3"),
    (lambda: (G_of(), D_of(784, 50, 1)), "D has 1 hidden layer with"),
    (one_layer_thrice, "G has 2 hidden layers with weights of its own"),
    (lambda: (image(nn.Linear(128, 128), *layers(HIGH)), D_of()), "In G no activation follows hidden layer 1"),
    (lambda: (G_of(), D_of(activation=nn.Dropout)), "In D no activation follows hidden layer 1"),
    (lambda: (D_of(), G_of()), "in the wrong order"),
    (G_of, "must return two networks"),
    (lambda: print(G_of(), D_of()), "must return two networks"),
    (lambda: (G_of(100, 99, 99, 99, 784), D_of()), "G cannot take z of shape (n, 128)"),
    (lambda: (G_of(), D_of()[1:]), "D cannot take images"),
    (shared_layer, "G and D share parameters"),
    (lambda: (G_of()[:-1], D_of()), "784), and it must be"),
    (lambda: (G_of(), nn.Sequential(D_of(), nn.Flatten(0))), "one output at the end, and no squeeze"),
    (lambda: (G_of(), D_of(784, 50, 50, 2)), "D returns the shape"),
    (lambda: (G_of(), functional_D(lambda t: t.mean())), "D returns the shape (), and it must be"),
    (lambda: (image(nn.ZeroPad1d((0, 656))), D_of()), "G has no layer that the check can see"),
    (lambda: (image(*layers(HIGH), tail=nn.Identity), D_of()), "not end in tanh but in nothing"),
    (lambda: (image(*layers(HIGH), tail=nn.Sigmoid), D_of()), "not end in tanh but in sigmoid"),
    (lambda: (G_of(), functional_D(torch.sigmoid)), "D ends in sigmoid after its last linear layer"),
    (lambda: (G_of(), nn.Sequential(D_of(), nn.ReLU())), "D ends in something else"),
    (lambda: (G_of(), functional_D(rate=0.3, always=True)), "In eval mode D gives two answers"),
    (lambda: (Functional(HIGH, tanh_image, rate=0.3, always=True), D_of()), "In eval mode G gives two"),
    (lambda: (G_of(), nn.Sequential(D_of(), nn.Dropout(0.3))), "something changes its logits at the end"),
    (lambda: (nn.Sequential(G_of(), nn.Dropout(0.3)), D_of()), "something else changes its images at the end"),
    (lambda: (G_of(), nn.Sequential(nn.Dropout(0.3), D_of())), "something changes the images before"),
    (lambda: (image(nn.BatchNorm1d(128), *layers(HIGH)), D_of()), "something changes z before"),
]


def adams(*networks, lr=2e-4, betas=(0.5, 0.999)):
    return [torch.optim.Adam(net.parameters(), lr=lr, betas=betas) for net in networks]


def gan_of(G, D, latent, lr=2e-4, **kwargs):
    return GAN(G, D, *adams(G, D, lr=lr), latent, **kwargs)


def trained(gan, images, steps):
    for _ in training.train(gan, training.Minibatches(images, batch_size=32), until=steps, progress=False):
        pass
    return gan


def dcgan(latent_dim):
    G = nn.Sequential(nn.ConvTranspose2d(latent_dim, 8, 7), nn.BatchNorm2d(8), nn.ReLU())
    G.extend([nn.ConvTranspose2d(8, 1, 4, 4), nn.Tanh()])
    return gan_of(G, D_of(), lambda n, rng: torch.randn(n, latent_dim, 1, 1, generator=rng))


def in_float64(k):
    return gan_of(G_of(k, 9, 784).double(), D_of().double(), models.NormalLatent(k, torch.float64))


def trained_if(gan, condition):
    return trained(gan, torch.zeros(64, 1, 28, 28).double(), 1) if condition else gan


D_ONCE = D_of()
RIGHT["04.noise_size"] = {
    "the better recipe": lambda k: gan_of(*models.better_pair(k), models.NormalLatent(k), r1=0.1, average=0.998),
    "z of shape (n, latent_dim, 1, 1)": dcgan,
    "float64": in_float64,
    "own latent": lambda k: gan_of(G_of(k, 9, 784), functional_D(), lambda n, rng: torch.rand(n, k, generator=rng)),
    "default arguments": lambda k=128, seed=0: gan_of(*models.textbook_pair(k, seed=seed), models.UniformLatent(k)),
    "lazy layers, SGD": lambda k: sgd_of(G_of(k, 9, 784, linear=lazy), k),
}
TWINS["04.noise_size"] = {
    "Networks or optimizers": lambda k: (lambda G, D: GAN(G, D, *adams(D, G), models.NormalLatent(k)))(G_of(), D_of()),
    "Neither the latent nor G": lambda k: gan_of(G_of(), D_ONCE, models.UniformLatent(128)),
    "The latent draws latent_dim": lambda k: gan_of(G_of(100, 9, 784), D_of(), models.UniformLatent(k)),
    "G takes latent_dim": lambda k: gan_of(G_of(k, 9, 784), D_of(), lambda n, rng: torch.randn(n, 100, generator=rng)),
}
OTHERS["04.noise_size"] = [
    (lambda k: gan_of(*models.textbook_pair(k), k), "latent must be a function that draws z"),
    (lambda k: gan_of(*models.textbook_pair(k), models.NormalLatent), "latent must be a function that draws z"),
    (lambda k: models.textbook_pair(k), "of type tuple. Return a GAN"),
    (lambda k: print(gan_of(*models.textbook_pair(k), models.NormalLatent(k))), "Your function returns nothing"),
    (lambda k: trained_if(in_float64(k), k < 60), "have trained already, 1 steps each"),
    (lambda k: gan_of(G_of(k, 784), D_of(), models.NormalLatent(k, torch.float64)), "draws z of dtype torch.float64"),
    (lambda k: gan_of(G_of(k, 9, 784), D_ONCE, models.NormalLatent(k)), "Two calls share parameters"),
    (lambda k: gan_of(nn.Linear(k, 784), D_of(), models.NormalLatent(k)), "The samples have the shapes [(4, 784)"),
    (lambda k: gan_of(G_of(k, 9, 784), D_of()[1:], models.NormalLatent(k)), "Your code raised"),
    (lambda: gan_of(*models.textbook_pair(), models.NormalLatent(128)), "it is written with ()"),
]


def small_gan(lr=5e-3, k=16):
    return gan_of(G_of(k, 64, 784), D_of(784, 64, 1), models.NormalLatent(k), lr)


def better_recipe(images, steps):
    G, D = models.better_pair()
    opts = adams(G, D, lr=1e-3, betas=(0.0, 0.99))
    return trained(GAN(G, D, *opts, models.NormalLatent(32), r1=0.1, r1_every=4, average=0.998), images, steps)


def own_loop(images, steps):
    gan, batches = small_gan(), training.Minibatches(images, batch_size=64)
    while gan.steps_done < steps:
        gan.step(batches)
    return gan


def forged(images, steps):
    gan = small_gan()
    gan.steps_done = steps
    return gan


def on(change, lr=5e-3):
    return lambda images, steps: trained(small_gan(lr), change(images), steps)


OTHER_IMAGES = F.pad(torch.ones(64, 1, 8, 8), (10, 10, 10, 10), value=-1.0)
ONCE = small_gan()
RIGHT["04.fashion_mnist"] = {"the better recipe": better_recipe, "own loop": own_loop, "small GAN": on(lambda x: x)}
TWINS["04.fashion_mnist"] = {
    "The images were scaled again": on(lambda x: (x - 127.5) / 127.5),
    "The GAN did no step": lambda images, steps: (
        training.train(gan := small_gan(), training.Minibatches(images), until=steps) and gan
    ),
}
OTHERS["04.fashion_mnist"] = [
    (on(lambda x: OTHER_IMAGES), "do not look like the given images"),
    (on(lambda x: -x), "do not look like the given images"),
    (on(lambda x: (x + 1) / 2), "GAN refused them. Leave the range alone"),
    (on(lambda x: x / 255), "hardly any contrast. Leave the range alone"),
    (on(lambda x: x, lr=1e-5), "The learning rate 1e-05 is too small"),
    (forged, "hardly any contrast"),
    (lambda images, steps: trained(small_gan(), images, 7), "The GAN did 7 steps, and it was asked for 1"),
    (lambda images, steps: trained(small_gan(), images, steps - 1), "Write until=steps"),
    (lambda images, steps: trained(ONCE, images, ONCE.steps_done + steps), "went on with the networks of the first"),
    (lambda images, steps: models.textbook_pair(), "of type tuple. Return the trained GAN"),
    (lambda images, steps: print(trained(small_gan(), images, steps)), "Your function returns nothing"),
    (lambda images, steps: trained(small_gan(), images[:3], steps), "Your code raised ValueError (batch_size"),
]

UP_G, UP_D, LEAKY = (128, 256, 512, 1024, 784), (784, 1024, 512, 256, 1), lambda: nn.LeakyReLU(0.2)


def up_G(widths=UP_G, activation=LEAKY, *more, **kwargs):
    return image(*layers(widths, activation, *more, **kwargs))


def up_D(widths=UP_D, activation=LEAKY, rate=0.3, at=None, layer=None, **kwargs):
    net = nn.Sequential(nn.Flatten(), *layers(widths, activation, lambda: nn.Dropout(rate), **kwargs))
    if at is not None:
        net[at] = layer
    return net


RIGHT["04.upgraded_pair"] = {
    "the package's own, called": lambda: models.upgraded_pair(),
    "classes": lambda: (Functional(UP_G, tanh_image, 0.2), functional_D(widths=UP_D, slope=0.2, rate=0.3)),
    "dropout first": lambda: (up_G(), D_of(*UP_D, activation=lambda: nn.Sequential(nn.Dropout(0.3), LEAKY()))),
    "lazy layers in a list": lambda: [up_G(linear=lazy), up_D(linear=lazy)],
    "in place, very small weights": lambda: small_weights(up_G(), up_D(activation=lambda: nn.LeakyReLU(0.2, True))),
    "RReLU of one slope, nested": lambda: (up_G(activation=lambda: nn.RReLU(0.2, 0.2)), nn.Sequential(up_D())),
}
TWINS["04.upgraded_pair"] = {"The hidden layers of D": lambda: (up_G(), up_D((784, 256, 512, 1024, 1)))}
OTHERS["04.upgraded_pair"] = [
    (models.upgraded_pair, "is ganlib's own function"),
    (lambda: (up_G(activation=nn.LeakyReLU), up_D()), "After hidden layer 1 of G stands LeakyReLU 0.01, and it"),
    (lambda: (up_G(), up_D(at=8, layer=nn.LeakyReLU())), "After hidden layer 3 of D stands LeakyReLU 0.01"),
    (lambda: (up_G(), up_D(at=2, layer=nn.Identity())), "After hidden layer 1 of D stands nothing"),
    (lambda: (up_G(), up_D(rate=0.0)), "While D trains, nothing follows hidden layer 1. It must be dropout 0.3"),
    (lambda: (up_G(), up_D(at=6, layer=nn.Dropout(0.5))), "dropout 0.5 follows hidden layer 2"),
    (lambda: (up_G(UP_G, LEAKY, lambda: nn.Dropout(0.3)), up_D()), "While G trains, dropout 0.3 follows hidden"),
    (lambda: (image(up_G()[0], nn.BatchNorm1d(256), up_G()[1:-2]), up_D()), "normalisation or another change follows"),
    (lambda: (up_G(), up_D(at=2, layer=nn.LayerNorm(1024))), "After hidden layer 1 of D stands something else"),
    (lambda: (up_G((128, 1024, 512, 256, 784)), up_D()), "The widths differ. G is 128-1024-512-256-784"),
    (lambda: (up_G(), up_D((784, 1024, 500, 256, 1))), "The widths differ. D is 784-1024-500-256-1"),
    (lambda: (up_G((128, 256, 512, 784)), up_D()), "G has 2 hidden layers with weights of its own, and 3"),
    (lambda: (up_G(linear=without_bias), up_D()), "G has 1490944 parameters, not 1493520"),
    (lambda: (up_G(), up_D(at=1, layer=nn.Linear(784, 1024, bias=False))), "D has 1459201 parameters, not 1460225"),
    (lambda: (up_G(), nn.Sequential(up_D(), nn.Sigmoid())), "D ends in sigmoid"),
]


def sgd_of(G, k):
    D = D_of()
    G(torch.zeros(2, k))
    return GAN(G, D, *(torch.optim.SGD(net.parameters(), 0.1) for net in (G, D)), models.NormalLatent(k))


def moved(step, old=0.0, n=6):
    """How far D is from where the step should bring it, and what else it left: G's gradients, D's mode."""
    G, D, x, z = nn.Linear(3, 4), nn.Linear(4, 1), torch.randn(n, 4), torch.randn(n, 3)
    wanted = torch.autograd.grad(L_D(D(x), D(G(z))), list(D.parameters()))
    before = [p.detach().clone() for p in D.parameters()]
    for p in D.parameters():
        p.grad = torch.full_like(p, old)
    step(G, D, torch.optim.SGD(D.parameters(), 0.1), x, z)
    off = max((b - 0.1 * w - p).abs().max() for b, w, p in zip(before, wanted, D.parameters()))
    return off.item(), G.weight.grad, D.training


def like_the_lesson(step):
    G, D, made = G_of(128, 9, 784), D_of(784, 9, 1), []
    for program in (lesson_04.discriminator_step, step):
        g, d = copy.deepcopy((G, D))
        bce(d(torch.zeros(2, 1, 28, 28)), 0.5).backward()
        program(g, d, torch.optim.SGD(d.parameters(), 0.1), OTHER_IMAGES[:4], torch.ones(4, 128))
        made.append([*d.parameters(), *g.parameters()])
    return all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*made))


def asserts(step):
    off, left_in_G, training = moved(step, 1.0)
    assert off < 1e-5, "D"
    assert left_in_G is None
    assert training, "D rests"


def wants_none(step):
    D = nn.Linear(4, 1)
    return step(nn.Linear(3, 4), D, torch.optim.SGD(D.parameters(), 0.1), torch.ones(6, 4), torch.ones(6, 3)) is None


class IsStep(nn.Module):
    def forward(self, step):
        return torch.tensor(all(moved(step, old)[0] < 1e-4 for old in (0.0, 0.5)))


RIGHT["04.is_step"] = {
    "asserts": asserts,
    "a module that returns a tensor": IsStep(),
    "against the step of the lesson": like_the_lesson,
    "numpy's bool": lambda step: np.bool_(moved(step, 1.0)[0] < 1e-4 and moved(step)[2]),
    "a default argument": lambda step, close=1e-5: moved(step, -1.0)[0] < close and moved(step)[1] is None,
}
TWINS["04.is_step"] = {}
OTHERS["04.is_step"] = [
    (lambda step: step is not None, "It refuses 0 of 8 broken ones, 6 are asked. One slips through: the labels"),
    (lambda step: moved(step)[0] < 0, "It refuses a right one: the step of the lesson."),
    (lambda step: moved(step, n=1)[0] < 1e-4, "It refuses 4 of 8"),
    (wants_none, "It refuses a right one: cross-entropy"),
    (lambda step: print(moved(step)), "returns nothing. Does is_step end with return?"),
    (lambda step: "right" if moved(step)[0] < 1e-4 else "wrong", "an object of type str. Return True or False"),
    (lambda step: step(nn.Linear(3, 4), nn.Linear(4, 1)), "Your code raised TypeError"),
    (lambda step, pair: True, "it is written with (step, pair)"),
]


# ---- hints as programs: what stands between « and » are words of the hints

HINTED = {}
HINTED["04.generator_loss"] = """
def generator_loss(fake_logits):
    s, log, sigmoid = torch.linspace(-3, 3, 7), torch.log, torch.sigmoid
    «D = sigmoid(s)»
    assert torch.allclose(«-log»(«sigmoid(s)»), «softplus(-s)»)
    s = fake_logits
    return «softplus(-s)».mean()  # «Take its mean»
"""
HINTED["04.discriminator_step"] = """
def discriminator_step(G, D, opt_D, x, z):
    fake = G(z).detach()  # «the fakes without a gradient for G»
    loss = «softplus(-D(x)).mean() + softplus(D(fake)).mean()»
    opt_D.«zero_grad()», loss.«backward()», opt_D.«step()»
"""
HINTED["04.deeper_pair"] = """
def deeper_pair():
    G, D = models.textbook_pair()  # «The textbook G has two hidden layers and its D has one»
    assert len([layer for layer in (*G, *D) if isinstance(layer, «nn.Linear»)]) == 3 + 2
    G = nn.Sequential(*G[:4], «nn.Linear(512, 512), nn.ReLU()», *G[4:])
    return G, nn.Sequential(*D[:4], nn.Linear(«256», 256), nn.ReLU(), *D[4:])
"""
HINTED["04.noise_size"] = """
def gan_with_noise(latent_dim):
    G, D = «models.better_pair»(latent_dim)
    opt_G, opt_D = (torch.optim.Adam(net.parameters()) for net in (G, D))
    return GAN(G, D, opt_G, opt_D, «models.NormalLatent»(«latent_dim»))
"""
HINTED["04.fashion_mnist"] = """
def train_on(images, steps):
    G, D = models.textbook_pair()
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D))
    gan, batches = GAN(G, D, opt_G, opt_D, models.NormalLatent(128)), training.«Minibatches(images)»
    for _ in «training.train(gan, batches, until=steps)»:
        pass
    «return gan»
"""
HINTED["04.upgraded_pair"] = """
def upgraded_pair():
    linear = lambda widths, *more: [layer for n, m in zip(widths, widths[1:]) for layer in (nn.Linear(n, m), *more)]
    G = linear((128, 256, 512, 1024), «nn.LeakyReLU(0.2)»)
    D = linear((784, 1024, 512, 256), nn.LeakyReLU(0.2), «nn.Dropout(0.3)»)
    G = nn.Sequential(*G, nn.Linear(1024, 784), «nn.Tanh()», «nn.Unflatten(1, (1, 28, 28))»)
    return G, nn.Sequential(«nn.Flatten()», *D, nn.Linear(256, 1))
"""
HINTED["04.is_step"] = """
def is_step(step):
    G, D = nn.Linear(2, 4), nn.Linear(4, 1)  # «a small G and D»
    x, z = torch.rand(8, 4), torch.randn(8, 2)
    loss = softplus(-D(x)).mean() + softplus(D(G(z))).mean()
    wanted = [p - slope for p, slope in zip(D.parameters(), torch.autograd.grad(loss, list(D.parameters())))]
    D.weight.grad = torch.ones(1, 4)  # «Old gradients must not count»
    step(G, D, torch.optim.«SGD»(D.parameters(), «lr=1»), x, z)
    return all(torch.allclose(p, w) for p, w in zip(D.parameters(), wanted)) and G.weight.grad is None
"""


@pytest.mark.parametrize(
    ("relief", "noise", "paper", "sentence"),
    [
        (0.64, 0.0, -0.64, ""),  # the worst of the right answers
        (0.17, 0.0, -0.64, "hardly any contrast"),
        (0.64, 1.0, -0.64, "do not look like"),
        (0.64, 0.0, 0.0, "The paper of the samples is at 0.0"),
    ],
)
def test_the_bounds_on_trained_samples_lie_between_right_and_wrong(relief, noise, paper, sentence):
    inputs = lesson_04.two_sets_of_patches(0)
    wanted = inputs["images"].mean(0)
    mean = paper + relief * (wanted + 1) + noise * (inputs["others"].mean(0) + 1)
    said = lesson_04.looks_like_the_images(inputs, {"mean": mean, "lr": 2e-4})
    assert sentence in said
    assert bool(said) == bool(sentence)


def test_the_solution_trains_on_fashion_mnist(tmp_path, monkeypatch):
    shapes = {stem: (150 if "train" in stem else 20, *shape[1:]) for stem, shape in idx_files.SHAPES.items()}
    monkeypatch.setattr(idx_files, "SHAPES", shapes)
    idx_files.install((), monkeypatch.setattr)
    idx_files.write(tmp_path / "fashion-mnist", idx_files.packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    images = data.load("fashion-mnist").train_images
    with contextlib.redirect_stderr(io.StringIO()):
        gan = lesson_04.train_on(images, 3)
    assert gan.steps_done == 3
    assert gan.sample(2, seed=0).shape == (2, *images.shape[1:]) == (2, 1, 28, 28)
