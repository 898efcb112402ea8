"""The checks of lesson 04: each passes what is right, and tells each mistake of a list by a sentence of its own."""

import contextlib
import io

import idx_files
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import logsigmoid, softplus

from ganlib import checks_04, data, models, training
from ganlib.gan import GAN

CHECKS = checks_04.CHECKS
SEEDS = (3, 8)
LONGEST_SOLUTION = 20  # lines


def bce_of_logits(s):
    return F.binary_cross_entropy(s, torch.ones_like(s))


def generator_loss():
    """The right answers and the mistakes of 04.generator_loss."""
    right = {
        "bce with logits": lambda s: F.binary_cross_entropy_with_logits(s, torch.ones_like(s)),
        "bce with float32 ones": lambda s: F.binary_cross_entropy_with_logits(s, torch.ones(len(s), 1)),
        "logsigmoid": lambda s: -logsigmoid(s).mean(),
        "sum over n": lambda s: softplus(-s).sum() / len(s),
        "logaddexp": lambda s: torch.logaddexp(torch.zeros_like(s), -s).mean(),
        "BCEWithLogitsLoss": lambda s: nn.BCEWithLogitsLoss()(s, torch.ones_like(s)),
    }
    wrong = {
        "wrong sign": (lambda s: -softplus(-s).mean(), "The sign is wrong"),
        "saturating": (lambda s: -softplus(s).mean(), "saturating loss"),
        "labels swapped": (lambda s: softplus(s).mean(), "labels are swapped"),
        "sigmoid twice": (lambda s: softplus(-s.sigmoid()).mean(), "sigmoid is applied twice"),
        "sum": (lambda s: softplus(-s).sum(), "sum over the images"),
        "mean over axis 1": (lambda s: softplus(-s).mean(1), "it must be one number"),
        "mean over axis 0": (lambda s: softplus(-s).mean(0), r"has shape (1,)"),
        "no mean": (lambda s: softplus(-s), "it must be one number"),
        "log of sigmoid": (lambda s: -torch.log(torch.sigmoid(s)).mean(), "not finite: log(sigmoid(s)) is log 0"),
        "bce of sigmoid": (lambda s: F.binary_cross_entropy(s.sigmoid(), torch.ones_like(s)), "gradient vanishes"),
        "epsilon": (lambda s: -torch.log(s.sigmoid() + 1e-8).mean(), "gradient vanishes"),
        "clamped probability": (lambda s: -s.sigmoid().clamp(1e-7, 1).log().mean(), "gradient vanishes"),
        "clamped logits": (lambda s: softplus(-s.clamp(-50, 50)).mean(), "gradient vanishes"),
        "right for small logits alone": (
            lambda s: softplus(-s).mean() + 1e-5 * s.relu().square().mean(),
            "right for small logits",
        ),
        "item": (lambda s: softplus(-s).mean().item(), "type float"),
        "numpy": (lambda s: np.mean(softplus(-s.detach()).numpy()), "type float32"),
        "detach": (lambda s: softplus(-s.detach()).mean(), "The loss has no gradient"),
        "another leaf": (lambda s: softplus(-torch.tensor(s.tolist(), requires_grad=True)).mean(), "has no gradient"),
        "half detached": (
            lambda s: (softplus(-s) + 0.5 * s - 0.5 * s.detach()).mean(),
            "The value is right, but not the gradient",
        ),
        "bce of logits": (bce_of_logits, "These are logits, not probabilities: use binary_cross_entropy_with_logits"),
        "logarithm of logits": (lambda s: -s.log().mean(), "You took the logit for a probability"),
        "base 2": (lambda s: -torch.log2(s.sigmoid()).mean(), "base 2"),
        "no logarithm": (lambda s: -s.sigmoid().mean(), "logarithm is missing"),
        "logits alone": (lambda s: -s.mean(), "mean of -s"),
        "least squares": (lambda s: (s - 1).square().mean(), "where -E log D gives"),
    }
    return right, wrong


def step(loss, G_of=lambda G, z: G(z).detach(), order="zero backward step"):
    """A discriminator step with this loss of (real logits, fake logits), these fakes and this order of calls."""

    def discriminator_step(G, D, opt_D, x, z):
        fake = G_of(G, z)
        total = loss(D(x), D(fake))
        for call in order.split():
            {"zero": opt_D.zero_grad, "backward": total.backward, "step": opt_D.step, "no": lambda: None}[call]()

    return discriminator_step


def lesson_loss(r, f):
    return softplus(-r).mean() + softplus(f).mean()


def with_bce(G, D, opt_D, x, z):
    real, fake = D(x), D(G(z).detach())
    bce = nn.BCEWithLogitsLoss()
    loss = bce(real, torch.ones(len(x), 1)) + bce(fake, torch.zeros(len(x), 1))
    D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


def backward_twice(G, D, opt_D, x, z):
    opt_D.zero_grad()
    softplus(-D(x)).mean().backward()
    softplus(D(G(z).detach())).mean().backward()
    opt_D.step()
    return softplus(-D(x)).mean()


def only_inputs(G, D, opt_D, x, z):
    opt_D.zero_grad()
    lesson_loss(D(x), D(G(z))).backward(inputs=list(D.parameters()))
    opt_D.step()


def moves_both(G, D, opt_D, x, z):
    opt_D.add_param_group({"params": list(G.parameters())})
    step(lesson_loss, lambda G, z: G(z))(G, D, opt_D, x, z)


def asks_first(G, D, opt_D, x, z):
    D(x)


def steps_with_old_gradients(G, D, opt_D, x, z):
    lesson_loss(D(x), D(G(z).detach()))
    opt_D.step()


def step_for_each_half(G, D, opt_D, x, z):
    r, f = D(x), D(G(z).detach())
    for half in (softplus(-r), softplus(f)):
        opt_D.zero_grad()
        half.mean().backward()
        opt_D.step()


def moved_by_hand(G, D, opt_D, x, z):
    step(lesson_loss, order="zero backward")(G, D, opt_D, x, z)
    with torch.no_grad():
        for p in D.parameters():
            p -= opt_D.param_groups[0]["lr"] * p.grad


def then(change):
    """A right step, and then a change of G or D."""

    def discriminator_step(G, D, opt_D, x, z):
        step(lesson_loss)(G, D, opt_D, x, z)
        change(G, D)

    return discriminator_step


def frozen_for_a_while(G, D, opt_D, x, z):
    G.requires_grad_(False).eval()
    step(lesson_loss, lambda G, z: G(z))(G, D, opt_D, x, z)
    G.requires_grad_(True).train()


def watched(G, D, opt_D, x, z):
    step(lesson_loss)(G, D, opt_D, x, z)
    with torch.no_grad():
        return D(x).sigmoid().mean()


def all_under_no_grad(G, D, opt_D, x, z):
    with torch.no_grad():
        loss = lesson_loss(D(x), D(G(z)))
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()


def half_under_no_grad(G, D, opt_D, x, z):
    with torch.no_grad():
        f = D(G(z))
    step(lambda r, _: lesson_loss(r, f))(G, D, opt_D, x, z)


def other_half_under_no_grad(G, D, opt_D, x, z):
    with torch.no_grad():
        r = D(x)
    step(lambda _, f: lesson_loss(r, f))(G, D, opt_D, x, z)


def detach_without_brackets(G, D, opt_D, x, z):
    fake = G(z).detach
    lesson_loss(D(x), D(fake)).backward()


def asks_of_none(G, D, opt_D, x, z):
    return D(None)


def bce_of_probabilities(r, f):
    return F.binary_cross_entropy(r, torch.ones_like(r)) + F.binary_cross_entropy(f, torch.zeros_like(f))


def discriminator_step():
    """The right answers and the mistakes of 04.discriminator_step."""
    right = {
        "detach": step(lesson_loss),
        "bce, returns the loss": with_bce,
        "two backwards": backward_twice,
        "backward into D alone": only_inputs,
        "G frozen for a while": frozen_for_a_while,
        "watched under no_grad": watched,
        "zero first": lambda G, D, opt, x, z: (
            opt.zero_grad(),
            step(lesson_loss, order="backward step")(G, D, opt, x, z),
        ),
        "set_to_none=False": lambda G, D, opt, x, z: (
            opt.zero_grad(set_to_none=False),
            step(lesson_loss, order="backward step")(G, D, opt, x, z),
        ),
    }
    wrong = {
        "no detach": (step(lesson_loss, lambda G, z: G(z)), "Gradients reached G"),
        "labels swapped": (step(lambda r, f: softplus(r).mean() + softplus(-f).mean()), "labels are swapped"),
        "x and fake mixed up": (
            lambda G, D, opt, x, z: step(lesson_loss, lambda *_: x)(G, D, opt, G(z).detach(), z),
            "labels are swapped",
        ),
        "wrong sign": (step(lambda r, f: -lesson_loss(r, f)), "The sign of the whole loss is wrong"),
        "only real": (step(lambda r, f: softplus(-r).mean()), "Only the real half"),
        "only fake": (step(lambda r, f: softplus(f).mean()), "Only the fake half"),
        "G never asked": (
            lambda G, D, opt, x, z: (opt.zero_grad(), softplus(-D(x)).mean().backward(), opt.step()),
            "Only the real half",
        ),
        "loss of G": (step(lambda r, f: softplus(-f).mean()), "This is the loss of G"),
        "real twice": (
            lambda *args: step(lesson_loss, lambda *_: args[3])(*args),
            "Both halves look at the real images",
        ),
        "fake twice": (step(lambda r, f: softplus(-f).mean() + softplus(f).mean()), "Both halves look at the fakes"),
        "sigmoid twice": (step(lambda r, f: lesson_loss(r.sigmoid(), f.sigmoid())), "sigmoid is applied twice"),
        "sum": (step(lambda r, f: softplus(-r).sum() + softplus(f).sum()), "sum over the images"),
        "mean of both": (step(lambda r, f: lesson_loss(r, f) / 2), "half the update"),
        "mean of all": (step(lambda r, f: softplus(torch.cat([-r, f])).mean()), "half the update"),
        "no zero_grad": (step(lesson_loss, order="backward step"), "Old gradients were added"),
        "no step": (step(lesson_loss, order="zero backward"), "Call opt_D.step() after loss.backward()"),
        "neither zero_grad nor step": (step(lesson_loss, order="backward"), "Call opt_D.step() after"),
        "step first": (step(lesson_loss, order="zero step backward"), "Call opt_D.step() after loss.backward()"),
        "no backward": (step(lesson_loss, order="zero step"), "it had no new gradients"),
        "nothing after the loss": (step(lesson_loss, order="no"), "it had no new gradients"),
        "zero after backward": (step(lesson_loss, order="backward zero step"), "it had no new gradients"),
        "asks D alone": (asks_first, "it had no new gradients"),
        "old gradients": (steps_with_old_gradients, "D moved by old gradients alone"),
        "G in opt_D": (moves_both, "G moved"),
        "own noise": (step(lesson_loss, lambda G, z: G(torch.randn(len(z), 128)).detach()), "other numbers than z"),
        "own batch size": (step(lesson_loss, lambda G, z: G(torch.randn(64, 128)).detach()), "other numbers than z"),
        "two steps": (step(lesson_loss, order="zero backward step step"), "called opt_D.step() 2 times"),
        "a step for each half": (step_for_each_half, "called opt_D.step() 2 times"),
        "moved by hand": (moved_by_hand, "D moved without opt_D.step()"),
        "G stays frozen": (then(lambda G, D: G.requires_grad_(False)), "G still has requires_grad False"),
        "one weight of G stays frozen": (
            then(lambda G, D: G[0].weight.requires_grad_(False)),
            "G still has requires_grad False",
        ),
        "D stays frozen": (then(lambda G, D: D.requires_grad_(False)), "D still has requires_grad False"),
        "G stays in eval": (then(lambda G, D: G.eval()), "G is in eval mode after your step"),
        "D stays in eval": (then(lambda G, D: D.eval()), "D is in eval mode after your step"),
        "one layer of D stays in eval": (then(lambda G, D: D[0].eval()), "D is in eval mode after your step"),
        "all under no_grad": (all_under_no_grad, "Only G(z) belongs under no_grad; the loss of D needs gradients."),
        "D(fake) under no_grad": (half_under_no_grad, "Only G(z) belongs under no_grad"),
        "D(x) under no_grad": (other_half_under_no_grad, "Only G(z) belongs under no_grad"),
        "all detached": (step(lambda r, f: lesson_loss(r, f).detach()), "Your code raised RuntimeError (element 0"),
        "detach without brackets": (detach_without_brackets, "fake is no tensor: write .detach() with brackets."),
        "D of None": (asks_of_none, "D takes a tensor of images, but got an object of type NoneType. Look at line"),
        "bce of logits": (step(bce_of_probabilities), "These are logits, not probabilities: use binary_cross_entropy"),
        "logarithm of logits": (
            step(lambda r, f: -r.log().mean() - (1 - f).log().mean()),
            "You took the logit for a probability",
        ),
        "logarithm of a logit in one half": (
            step(lambda r, f: -r.log().mean() + softplus(f).mean()),
            "You took the logit for a probability",
        ),
        "hinge": (step(lambda r, f: (1 - r).relu().mean() + (1 + f).relu().mean()), "not against the gradient"),
        "fakes alone": (lambda G, D, opt, x, z: [None for _ in G(z)].clear(), "it had no new gradients"),
        "step alone": (lambda G, D, opt, x, z: opt.step(), "D moved by old gradients alone"),
        "returns a loss alone": (lambda G, D, opt, x, z: 1.0, "it had no new gradients"),
    }
    return right, wrong


IMAGE = (1, 28, 28)


def chain(widths, activation=nn.ReLU, dropout=0.0):
    """Linear layers with an activation and dropout between them."""
    layers = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.Linear(n_in, n_out), activation(), *([nn.Dropout(dropout)] if dropout else [])]
    return layers[: -1 - bool(dropout)]


def G_of(*widths, **kwargs):
    return nn.Sequential(*chain(widths, **kwargs), nn.Tanh(), nn.Unflatten(1, IMAGE))


def D_of(*widths, **kwargs):
    return nn.Sequential(nn.Flatten(), *chain(widths, **kwargs))


class Functional(nn.Module):
    """A network as a class, its activations as functions."""

    def __init__(self, *widths, tail, slope=0.0, dropout=0.0):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(*pair) for pair in zip(widths, widths[1:])])
        self.tail, self.slope, self.dropout = tail, slope, dropout

    def forward(self, t):
        t = t.flatten(1)
        for layer in self.layers[:-1]:
            t = F.dropout(F.leaky_relu(layer(t), self.slope), self.dropout, self.training)
        return self.tail(self.layers[-1](t))


def tanh_image(t):
    return t.tanh().view(-1, *IMAGE)


def same(t):
    return t


def sharing_pair():
    shared = nn.Linear(784, 784)
    G = nn.Sequential(*chain((128, 256, 512, 784)), nn.ReLU(), shared, nn.Tanh(), nn.Unflatten(1, IMAGE))
    return G, nn.Sequential(nn.Flatten(), shared, nn.ReLU(), *chain((784, 256, 1)))


def one_layer_thrice():
    middle = nn.Linear(256, 256)
    again = [middle, nn.ReLU()] * 3
    G = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), *again, nn.Linear(256, 784), nn.Tanh(), nn.Unflatten(1, IMAGE))
    return G, D_of(784, 256, 256, 1)


def unused_layers():
    G = Functional(128, 256, 512, 784, tail=tanh_image)
    G.more = nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)])
    return G, D_of(784, 256, 256, 1)


def good_G():
    return G_of(128, 256, 512, 512, 784)


def good_D():
    return D_of(784, 256, 256, 1)


def convolutional_pair():
    G = nn.Sequential(
        nn.Linear(128, 64 * 7 * 7), nn.BatchNorm1d(64 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(16, 1, 3, 1, 1), nn.Tanh(),
    )  # fmt: skip
    D = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 3, 1, 1), nn.LeakyReLU(0.2), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 7 * 7, 1),
    )  # fmt: skip
    return G, D


def deeper_pair():
    """The right answers and the mistakes of 04.deeper_pair."""
    right = {
        "upgraded pair": models.upgraded_pair,
        "classes": lambda: (
            Functional(128, 200, 200, 200, 784, tail=tanh_image),
            Functional(784, 200, 200, 1, tail=same, slope=0.1, dropout=0.5),
        ),
        "very deep": lambda: (G_of(128, *[64] * 9, 784), D_of(784, *[64] * 9, 1, dropout=0.3)),
        "gelu, in place, a list": lambda: [
            G_of(128, 256, 512, 512, 784, activation=nn.GELU),
            D_of(784, 256, 256, 1, activation=lambda: nn.ReLU(inplace=True)),
        ],
        "convolutions": convolutional_pair,
        "default arguments": lambda latent_dim=128, seed=0: models.upgraded_pair(latent_dim, seed=seed),
    }
    wrong = {
        "sigmoid in D": (lambda: (good_G(), nn.Sequential(good_D(), nn.Sigmoid())), "D ends in a sigmoid"),
        "sigmoid as a function": (
            lambda: (good_G(), Functional(784, 9, 9, 1, tail=torch.sigmoid)),
            "D ends in a sigmoid",
        ),
        "activation after D": (lambda: (good_G(), nn.Sequential(good_D(), nn.Tanh())), "Something follows the last"),
        "no activation in G": (
            lambda: (nn.Sequential(nn.Linear(128, 128), good_G()), good_D()),
            "In G no activation follows hidden layer 1.",
        ),
        "no activation in D": (
            lambda: (
                good_G(),
                nn.Sequential(
                    nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 9), nn.Dropout(), nn.Linear(9, 1)
                ),
            ),
            "In D no activation follows hidden layer 2.",
        ),
        "G not deeper": (lambda: (G_of(128, 256, 512, 784), good_D()), "G has 2 hidden layers"),
        "D not deeper": (lambda: (good_G(), D_of(784, 256, 1)), "D has 1 hidden layer with"),
        "textbook pair": (models.textbook_pair, "G has 2 hidden layers"),
        "one layer thrice": (one_layer_thrice, "G has 2 hidden layers with weights of its own"),
        "layers that are not used": (unused_layers, "G has 2 hidden layers"),
        "no tanh": (
            lambda: (nn.Sequential(*chain((128, 99, 99, 99, 784)), nn.Unflatten(1, IMAGE)), good_D()),
            "G does not end in tanh",
        ),
        "sigmoid in G": (
            lambda: (Functional(128, 99, 99, 99, 784, tail=lambda t: t.sigmoid().view(-1, *IMAGE)), good_D()),
            "G does not end in tanh",
        ),
        "flat images": (lambda: (nn.Sequential(*good_G()[:-1]), good_D()), "784), but it must be"),
        "flat logits": (lambda: (good_G(), nn.Sequential(good_D(), nn.Flatten(0))), "Its last layer has one output"),
        "two logits": (lambda: (good_G(), D_of(784, 256, 256, 2)), "D returns the shape"),
        "swapped": (lambda: (good_D(), good_G()), "wrong order"),
        "shared layer": (sharing_pair, "G and D share parameters"),
        "only G": (good_G, "must return two networks"),
        "two tensors": (lambda: (torch.ones(1), torch.ones(1)), "must return two networks"),
        "three things": (lambda: (good_G(), good_D(), 128), "must return two networks"),
        "no Flatten": (lambda: (good_G(), nn.Sequential(*good_D()[1:])), "D cannot take images"),
        "widths that do not meet": (lambda: (nn.Sequential(nn.Linear(128, 9), good_G()), good_D()), "G cannot take z"),
        "no layers": (lambda: (nn.Flatten(), good_D()), "a network without layers"),
    }
    return right, wrong


def upgraded_pair():
    """The right answers and the mistakes of 04.upgraded_pair."""
    G_widths, D_widths = (128, 256, 512, 1024, 784), (784, 1024, 512, 256, 1)

    def leaky(slope=0.2):
        return lambda: nn.LeakyReLU(slope)

    def G(widths=G_widths, activation=None, **kwargs):
        return G_of(*widths, activation=activation or leaky(), **kwargs)

    def D(widths=D_widths, activation=None, dropout=0.3, at=None, layer=None):
        net = D_of(*widths, activation=activation or leaky(), dropout=dropout)
        if at is not None:
            net[at] = layer
        return net

    right = {
        "the package's": models.upgraded_pair,
        "classes": lambda: (
            Functional(*G_widths, tail=tanh_image, slope=0.2),
            Functional(*D_widths, tail=same, slope=0.2, dropout=0.3),
        ),
        "dropout before the activation": lambda: (
            G(),
            nn.Sequential(
                nn.Flatten(),
                *[nn.Sequential(nn.Linear(a, b), nn.Dropout(0.3), nn.LeakyReLU(0.2, inplace=True))
                  for a, b in zip(D_widths[:-2], D_widths[1:-1])],
                nn.Linear(256, 1),
            ),
        ),
    }  # fmt: skip
    wrong = {
        "slope 0.01 in G": (lambda: (G(activation=nn.LeakyReLU), D()), "1 of G has slope 0.01, PyTorch's default"),
        "slope 0.01 in D": (lambda: (G(), D(at=8, layer=nn.LeakyReLU())), "hidden layer 3 of D has slope 0.01"),
        "ReLU": (lambda: (G(activation=nn.ReLU), D()), "ReLU follows hidden layer 1 of G"),
        "ReLU in D": (lambda: (G(), D(activation=nn.ReLU)), "ReLU follows hidden layer 1 of D"),
        "slope 2": (lambda: (G(activation=leaky(2.0)), D()), "not LeakyReLU with slope 0.2"),
        "ELU": (lambda: (G(), D(at=5, layer=nn.ELU())), "What follows hidden layer 2 of D is not LeakyReLU"),
        "negated": (
            lambda: (Functional(*G_widths, tail=tanh_image, slope=0.2), Functional(*D_widths, tail=same, slope=-0.2)),
            "What follows hidden layer 1 of D is not LeakyReLU",
        ),
        "no activation": (lambda: (G(), D(at=2, layer=nn.Identity())), "In D no activation follows hidden layer 1"),
        "no dropout": (lambda: (G(), D(dropout=0.0)), "No dropout follows hidden layer 1 of D"),
        "dropout missing once": (lambda: (G(), D(at=9, layer=nn.Identity())), "No dropout follows hidden layer 3 of D"),
        "another rate": (lambda: (G(), D(at=6, layer=nn.Dropout(0.5))), "rate after hidden layer 2 of D is 0.5"),
        "dropout in G": (lambda: (G(dropout=0.3), D()), "Only D has dropout"),
        "other widths": (lambda: (G((128, 256, 784)), D()), "The widths differ. G is 128-256-784, and"),
        "BatchNorm in G": (
            lambda: (nn.Sequential(G()[0], nn.BatchNorm1d(256), *G()[1:]), D()),
            "Something else than LeakyReLU follows hidden layer 1 of G while it trains",
        ),
        "LayerNorm in D": (
            lambda: (
                Functional(*G_widths, tail=tanh_image, slope=0.2),
                nn.Sequential(D()[0], D()[1], nn.LayerNorm(1024), *D()[2:]),
            ),
            "What follows hidden layer 1 of D is not LeakyReLU",
        ),
        "sigmoid in D": (lambda: (G(), nn.Sequential(D(), nn.Sigmoid())), "D ends in a sigmoid"),
        "D reversed": (lambda: (G(), D((784, 256, 512, 1024, 1))), "in reverse order. D is 784-256-512-1024-1"),
        "G reversed": (lambda: (G((128, 1024, 512, 256, 784)), D()), "in reverse order. G is 128-1024"),
        "G without 1024": (lambda: (G((128, 256, 512, 784)), D()), "The widths differ. G is 128-256-512-784"),
        "no tanh": (lambda: (nn.Sequential(*G()[:-2], G()[-1]), D()), "G does not end in tanh"),
        "no bias": (
            lambda: (G(), D(at=1, layer=nn.Linear(784, 1024, bias=False))),
            "D has 1,459,201 parameters, not 1,460,225",
        ),
        "dropout when D rests": (
            lambda: (
                G(),
                nn.Sequential(
                    *D()[:3], type("Always", (nn.Module,), {"forward": lambda _, t: F.dropout(t, 0.3)})(), *D()[4:]
                ),
            ),
            "What follows hidden layer 1 of D is not LeakyReLU",
        ),
        "swapped": (lambda: (D(), G()), "wrong order"),
    }
    return right, wrong


def adams(*networks, lr=2e-4, betas=(0.5, 0.999)):
    return [torch.optim.Adam(net.parameters(), lr=lr, betas=betas) for net in networks]


def gan_of(G, D, latent):
    return GAN(G, D, *adams(G, D), latent)


def noise_size():
    """The right answers and the mistakes of 04.noise_size."""

    def better(latent_dim):
        G, D = models.better_pair(latent_dim)
        return GAN(
            G, D, *adams(G, D, lr=1e-3, betas=(0.0, 0.99)), models.NormalLatent(latent_dim), r1=0.1, average=0.998
        )

    def own_latent(latent_dim):
        G = Functional(latent_dim, 50, 784, tail=tanh_image)
        return gan_of(G, D_of(784, 9, 1), lambda n, rng: torch.randn(n, latent_dim, generator=rng))

    D_once, pair_once = D_of(784, 9, 1), models.textbook_pair()
    right = {
        "better recipe": better,
        "own latent": own_latent,
        "uniform": lambda k: gan_of(*models.textbook_pair(k), models.UniformLatent(k)),
        "default arguments": lambda latent_dim=128, seed=0: gan_of(
            *models.textbook_pair(latent_dim, seed=seed), models.NormalLatent(latent_dim)
        ),
    }
    wrong = {
        "a number as the latent": (
            lambda k: gan_of(*models.textbook_pair(k), k),
            "latent must be a function that draws z: pass models.NormalLatent(latent_dim)",
        ),
        "the class as the latent": (
            lambda k: gan_of(*models.textbook_pair(k), models.NormalLatent),
            "latent must be a function that draws z",
        ),
        "argument ignored": (
            lambda k: gan_of(*models.textbook_pair(), models.NormalLatent(128)),
            "The noise has 128 numbers whatever latent_dim is",
        ),
        "ignored, networks reused": (lambda k: gan_of(*pair_once, models.NormalLatent(128)), "whatever latent_dim is"),
        "only the latent": (
            lambda k: gan_of(*models.textbook_pair(), models.NormalLatent(k)),
            "numbers, but G cannot take",
        ),
        "only G": (lambda k: gan_of(*models.textbook_pair(k), models.NormalLatent(128)), "but the latent draws 128"),
        "the pair": (lambda k: models.textbook_pair(k), "of type tuple. Return a GAN"),
        "one D for all": (
            lambda k: gan_of(models.textbook_pair(k)[0], D_once, models.NormalLatent(k)),
            "Two calls share parameters",
        ),
        "the layers of one D for all": (
            lambda k: gan_of(models.textbook_pair(k)[0], nn.Sequential(D_once), models.NormalLatent(k)),
            "Two calls share parameters",
        ),
        "flat samples": (
            lambda k: gan_of(nn.Sequential(nn.Linear(k, 784)), D_of(784, 9, 1), models.NormalLatent(k)),
            "generator must make samples of the shape of the data",
        ),
    }
    return right, wrong


def small_gan():
    """A GAN that learns a bright patch in 100 quick steps."""
    G, D = G_of(16, 64, 784), D_of(784, 64, 1)
    return GAN(G, D, *adams(G, D, lr=5e-3), models.NormalLatent(16))


def trained(gan, images, steps, batch_size=32):
    for _ in training.train(gan, training.Minibatches(images, batch_size=batch_size), until=steps):
        pass
    return gan


def fashion_mnist():
    """The right answers and the mistakes of 04.fashion_mnist."""
    others = torch.full((128, *IMAGE), -1.0)
    others[:, :, 10:18, 10:18] = 1.0
    started = small_gan()
    once = small_gan()

    def better(images, steps):
        G, D = models.better_pair()
        opts = adams(G, D, lr=1e-3, betas=(0.0, 0.99))
        gan = GAN(G, D, *opts, models.NormalLatent(32), r1=0.1, r1_every=4, average=0.998)
        return trained(gan, images, steps)

    def own_loop(images, steps):
        gan = gan_of(*models.textbook_pair(), models.NormalLatent(128))
        batches = training.Minibatches(images, batch_size=32)
        while gan.steps_done < steps:
            gan.step(batches)
        return gan

    def not_consumed(images, steps):
        gan = small_gan()
        training.train(gan, training.Minibatches(images), until=steps)
        return gan

    def scaled(f):
        return lambda images, steps: trained(small_gan(), f(images), steps)

    def blind(images, steps):
        gan = small_gan()
        gan.steps_done = steps
        return gan

    right = {"better recipe": better, "own loop": own_loop}
    wrong = {
        "images ignored": (lambda images, n: trained(small_gan(), others, n), "do not look like the given images"),
        "train not consumed": (not_consumed, "The GAN did no step"),
        "no training": (lambda images, n: small_gan(), "The GAN did no step"),
        "steps ignored": (
            lambda images, n: trained(small_gan(), images, 7),
            "The GAN did 7 steps, and it was asked for",
        ),
        "one step less": (lambda images, n: trained(small_gan(), images, n - 1), "Write until=steps"),
        "goes on": (lambda images, n: trained(started, images, started.steps_done + n), "went on with the networks"),
        "trained before": (lambda images, n: trained(once, images, max(n, once.steps_done + 1)), "went on with"),
        "scaled as pixels": (scaled(lambda x: (x - 127.5) / 127.5), "The images were scaled again, and GAN refused"),
        "scaled to [-3, 1]": (scaled(lambda x: 2 * x - 1), "The images were scaled again, and GAN refused"),
        "divided by 255": (scaled(lambda x: x / 255), "hardly any contrast"),
        "scaled and clamped": (scaled(lambda x: ((x - 127.5) / 127.5).clamp(-1, 1)), "hardly any contrast"),
        "scaled to [0, 1]": (scaled(lambda x: (x + 1) / 2), "not near -1"),
        "inverted": (scaled(lambda x: -x), "do not look like the given images"),
        "steps forged": (blind, "hardly any contrast"),
        "the pair": (lambda images, n: models.textbook_pair(), "of type tuple. Return the trained GAN"),
        "too few images for a batch": (
            lambda images, n: trained(small_gan(), images[:3], n),
            "Your code raised ValueError (batch_size must lie between 1 and the 3 rows",
        ),
    }
    return right, wrong


LISTS = {
    "04.generator_loss": generator_loss(),
    "04.discriminator_step": discriminator_step(),
    "04.deeper_pair": deeper_pair(),
    "04.noise_size": noise_size(),
    "04.fashion_mnist": fashion_mnist(),
    "04.upgraded_pair": upgraded_pair(),
}
#: Facts that can make no wrong answer right: D's gradient and no_grad only choose between two sentences, "deeper"
#: lets all activations pass, and "upgraded" counts by the widths.
FREE = {
    "04.discriminator_step": r"D_gradient|D_under_no_grad",
    "04.deeper_pair": r"[GD]_(parameters|training_gains|slopes|gains)",
    "04.upgraded_pair": r"[GD]_layers",
}


def test_the_solution_trains_on_fashion_mnist(tmp_path, monkeypatch):
    shapes = {stem: (150 if "train" in stem else 20, *shape[1:]) for stem, shape in idx_files.SHAPES.items()}
    monkeypatch.setattr(idx_files, "SHAPES", shapes)
    idx_files.install((), monkeypatch.setattr)
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    (tmp_path / "fashion-mnist").mkdir()
    for stem, raw in idx_files.packed().items():
        (tmp_path / "fashion-mnist" / f"{stem}.gz").write_bytes(raw)
    images = data.load("fashion-mnist").train_images
    assert images.shape == (150, *IMAGE)
    with contextlib.redirect_stderr(io.StringIO()):
        gan = checks_04.train_on(images, 3)
    assert gan.steps_done == 3
    assert gan.sample(2, seed=0).shape == (2, *IMAGE)
