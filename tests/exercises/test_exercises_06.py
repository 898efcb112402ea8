"""Answers to the exercises of lesson 06: right ones in other styles, twins of the listed mistakes, and others.

`test_exercises` judges them all. A twin is the mistake of the module, written in another way.
"""

import numpy as np
import pytest
import test_exercises_03
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid, softplus

from ganlib import models
from ganlib.exercises import lesson_06

SEEDS = (0, 1, 8)  # a learner meets the first two
NOTHING = "Your function returns nothing"
RIGHT, TWINS, OTHERS = {}, {}, {}
ones, zeros = torch.ones_like, torch.zeros_like

# ---- 06.label_planes


class Planes(nn.Module):
    def forward(self, labels):
        return torch.eye(10)[labels].view(-1, 10, 1, 1).repeat(1, 1, 28, 28)


def filled(value=lambda c: 1.0, part=(...,), first=0):
    """Planes that a loop fills, in this part, with this value for label c; classes are counted from ``first``."""

    def label_planes(labels):
        planes = torch.zeros(len(labels), 10, 28, 28)
        for image, c in zip(planes, labels.tolist()):
            image[c - first][part] = value(c)
        return planes

    return label_planes


def scattered(labels):
    return torch.zeros(len(labels), 10, 28, 28).scatter_(1, labels.view(-1, 1, 1, 1).expand(-1, 1, 28, 28), 1)


def compared(first=0):
    return lambda labels: (
        (labels[:, None, None, None] == torch.arange(first, 10 + first).view(10, 1, 1)).float() * torch.ones(28, 28)
    )


def repeated(labels):
    return F.one_hot(labels, 10).repeat_interleave(784, 1).view(-1, 10, 28, 28)


RIGHT["06.label_planes"] = {
    "a module, rows of eye": Planes(),
    "a loop": filled(),
    "scatter": scattered,
    "compared with arange, and multiplied": compared(),
    "repeat_interleave, float64": lambda labels: repeated(labels).double(),
    "einsum, half precision": lambda y: torch.einsum("nc,hw->nchw", models.one_hot(y), torch.ones(28, 28)).half(),
    "numpy": lambda y: torch.from_numpy(np.kron(np.eye(10)[y][..., None, None], np.ones((28, 28)))),
}
TWINS["06.label_planes"] = {
    "The planes are scrambled": lambda y: torch.eye(10)[y].tile(784).reshape(len(y), 10, 28, 28),
    "These are whole numbers": repeated,
    "The planes are the last axis": lambda y: models.one_hot(y)[:, None, None].repeat(1, 28, 28, 1),
    "Each plane is one pixel": lambda y: torch.eye(10)[y].reshape(-1, 10, 1, 1),
    "Only a part of the plane": filled(part=(slice(0, 1), slice(0, 1))),
    "The planes hold the label's number": filled(value=float),
    "Labels are counted from 1": compared(first=1),
}
OTHERS["06.label_planes"] = [
    (filled(part=(0,)), "Only a part of the plane is 1. Fill all its pixels."),
    (filled(first=1), "Labels are counted from 1"),
    (lambda y: y.view(-1, 1, 1, 1) * torch.ones(10, 28, 28), "The planes hold the label's number"),
    (lambda y: scattered(y).bool(), "The planes are of torch.bool, and a network takes floats."),
    (lambda y: scattered(y)[:, :1], "The planes have shape ("),
    (lambda y: scattered(y).transpose(0, 1), "28, 28), and it must be ("),
    (lambda y: scattered(y) + torch.rand(28, 28), "In some planes the pixels differ."),
    (lambda y: 1 - scattered(y), "Plane c is 1 if c is the label of its image."),
    (lambda y: scattered(y).log(), "A plane holds NaN or infinity. It must hold 1 or 0 alone."),
    (lambda y: scattered(y).tolist(), "an object of type list. Return a tensor."),
    (lambda y: print(scattered(y)), f"{NOTHING}. Does label_planes end with return?"),
    (lambda y: F.one_hot(y - 1, 10), "Your code raised RuntimeError (Class values must be non-negative.)"),
    (models.one_hot, "is ganlib's own function"),
]

# ---- 06.conditional_step


def L_D(r, f):
    return bce(r, ones(r)) + bce(f, zeros(f))


def L_G(f):
    return bce(f, ones(f))


def own(labels):
    return labels


def rounds(of_D=L_D, of_G=L_G, *, real=own, asked=own, told=own, late=(own, own), attached=False, before="dg"):
    """Rounds of these losses, with labels for D(x), G(z_D) and D of it, and ``late`` those of G(z_G) and D of it.

    ``attached``: D's loss goes through G; ``before``: the gradients that zero_grad empties, "g" before those of D.
    """

    def conditional_step(G, D, opt_G, opt_D, x, labels, z_D, z_G):
        G.zero_grad() if "g" in before else None
        D.zero_grad() if "d" in before else None
        fake = G(z_D, asked(labels))
        of_D(D(x, real(labels)), D(fake if attached else fake.data, told(labels))).backward()
        opt_D.step()
        of_G(D(G(z_G, late[0](labels)), late[1](labels))).backward()
        opt_G.step()

    return conditional_step


class Round(nn.Module):
    def forward(self, G, D, opt_G, opt_D, x, labels, z_D, z_G):
        real, fake = D(x, labels), D(G(z_D, labels).detach(), labels)
        loss_D = -logsigmoid(real).mean() - logsigmoid(-fake).mean()
        opt_D.zero_grad(), loss_D.backward(), opt_D.step()
        loss_G = -logsigmoid(D(G(z_G, labels), labels)).mean()
        opt_G.zero_grad(), loss_G.backward(inputs=list(G.parameters())), opt_G.step()
        return {"loss_D": loss_D.item(), "loss_G": loss_G.item()}


def joined_batches(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    twice = torch.cat([labels, labels])
    first, second = G(torch.cat([z_D, z_G]), twice).chunk(2)
    opt_D.zero_grad()
    L_D(*D(torch.cat([x, first.detach()]), twice).chunk(2)).backward()
    opt_D.step()
    opt_G.zero_grad()
    L_G(D(second, labels)).backward()
    opt_G.step()


def shuffled_rows(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    order, again = torch.randperm(len(x)), torch.randperm(len(x))
    opt_D.zero_grad()
    L_D(D(x[order], labels[order]), D(G(z_D[again], labels[again]).detach(), labels[again])).backward()
    opt_D.step()
    opt_G.zero_grad()
    L_G(D(G(z_G.flip(0), labels.flip(0)), labels.flip(0))).backward()
    opt_G.step()


def by_keyword_and_two_backwards(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    with torch.no_grad():
        fake = G(z_D, labels=labels)
    for batch, truth in ((x, 1.0), (fake, 0.0)):
        logits = D(batch, labels=labels)
        nn.BCEWithLogitsLoss()(logits, torch.full((len(x), 1), truth)).backward()
    opt_D.step()
    L_G(D(x=G(x=z_G, labels=labels), labels=labels)).backward()
    opt_G.step()
    opt_D.zero_grad(), opt_G.zero_grad()


def by_autograd_and_frozen(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    weights = list(D.parameters())
    for p, slope in zip(weights, torch.autograd.grad(L_D(D(x, labels), D(G(z_D, labels), labels)), weights)):
        p.grad = slope
    opt_D.step()
    D.requires_grad_(False)
    opt_G.zero_grad()
    softplus(-D(G(z_G, labels.int()), labels.int())).mean().backward()
    opt_G.step()
    D.requires_grad_(True)


RIGHT["06.conditional_step"] = {
    "a module that returns the losses": Round(),
    "joined batches": joined_batches,
    "rows in other orders": shuffled_rows,
    "keywords, two backwards, zero_grad at the end": by_keyword_and_two_backwards,
    "autograd.grad, D frozen, int32": by_autograd_and_frozen,
}


def drawn_anew(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    labels_of_fakes = torch.randint(0, 10, (len(x),))
    chosen = {"asked": lambda y: labels_of_fakes, "late": (lambda y: labels_of_fakes, own)}
    rounds(**chosen)(G, D, opt_G, opt_D, x, labels, z_D, z_G)


class Told(nn.Module):
    def __init__(self, net, labels):
        super().__init__()
        self.net, self.labels = net, labels

    def forward(self, rows):
        return self.net(rows, self.labels)


def with_own_labels(gan_step):
    """A round of lesson 03, for networks that are told the labels of x."""
    return lambda G, D, opt_G, opt_D, x, labels, z_D, z_G: gan_step(
        *(Told(G, labels), Told(D, labels), opt_G, opt_D, x, z_D, z_G)
    )


def without_labels(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    opt_D.zero_grad(), L_D(D(x, labels), D(G(z_D))).backward(), opt_D.step()


def drawn_and_told(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    drawn = torch.randint(10, labels.shape)
    rounds(asked=lambda y: drawn, told=lambda y: drawn, late=(lambda y: drawn,) * 2)(
        *(G, D, opt_G, opt_D, x, labels, z_D, z_G)
    )


TWINS["06.conditional_step"] = {
    "Both networks take labels too": without_labels,
    "D is told other labels for the fakes": rounds(told=lambda y: y.flip(0)),
    "G is asked for labels of its own": drawn_anew,
    "G and D get labels of the fakes' own": drawn_and_told,
    "The real samples stand": rounds(real=lambda y: y.flip(0)),
    "In G's step D is told": rounds(late=(own, zeros)),
    "Real and fake are swapped": rounds(lambda r, f: bce(r, zeros(r)) + bce(f, ones(f))),
    "G learns to make fakes": rounds(of_G=lambda f: bce(f, zeros(f))),
    **{
        start: with_own_labels(twin)
        for start, twin in test_exercises_03.TWINS["03.gan_step"].items()
        if start not in ("D's labels are swapped", "G learns to make fakes")
    },
}


def left(change):
    """A right round after which this is done to G and D."""

    def conditional_step(G, D, *others):
        rounds()(G, D, *others)
        change(G, D)

    return conditional_step


def noise_of_its_own(*before):
    rounds()(*before[:-1], torch.randn_like(before[-1]))


def only_D(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    opt_D.zero_grad(), L_D(D(x, labels), D(G(z_D, labels), labels)).backward(), opt_D.step()


ROUNDS = []


def right_once(*given):
    ROUNDS.append(len(ROUNDS) % 2)
    rounds(of_G=(L_G, lambda f: L_G(f) / 2)[ROUNDS[-1]])(*given)


OTHERS["06.conditional_step"] = [
    (rounds(told=zeros), "D is told other labels for the fakes than G was asked for"),
    (rounds(asked=zeros), "G is asked for labels of its own, and D is told those of x"),
    (rounds(late=(zeros, zeros)), "G and D get labels of the fakes' own"),
    (rounds(real=zeros, told=zeros, late=(own, zeros)), "Labels of others came with G(z_D) and G(z_G) and x."),
    (noise_of_its_own, "G got other numbers than z_D and z_G"),
    (left(lambda G, D: D.requires_grad_(False)), "Your round leaves D with requires_grad False. It must"),
    (left(lambda G, D: G.eval()), "Your round leaves G in eval mode"),
    (only_D, "This is what your round does: opt_D moves D. It should do this: opt_D moves D and then opt_G moves G."),
    (rounds(lambda r, f: (1 - r).square().mean() + f.square().mean()), "D moved, but not against the gradient of"),
    (rounds(of_G=lambda f: -f.mean()), "G moved, but not against the gradient of its loss. Compare"),
    (rounds(of_G=lambda f: torch.log(0 * f).mean()), "G moved to NaN or infinity"),
    (right_once, "In round 2 G's gradient is not that of its loss. Is something left of round 1?"),
    (rounds(real=models.one_hot), "Your code raised TypeError (labels must be whole numbers, got torch.float32"),
    (rounds(real=lambda y: y[:1]), "Your code raised ValueError ("),
    (
        lambda G, D, opt_G, opt_D, x, labels, z: opt_D.step(),
        "but it is written with (G, D, opt_G, opt_D, x, labels, z)",
    ),
]


# ---- 06.mend_last_layer


def as_rows(change=lambda logits: logits, bias=lambda b, y: b[y]):
    """All logits, each computed on its own, of which a label picks one."""

    def logits(features, labels, weight, bias_):
        found = [sum(a * b for a, b in zip(f, weight[y])) for f, y in zip(features, labels)]
        return change(torch.stack(found) + bias(bias_, labels))

    return logits


class Layer(nn.Module):
    def forward(self, features, labels, weight, bias):
        return F.linear(features, weight, bias).gather(1, labels[:, None]).squeeze(1)


RIGHT["06.mend_last_layer"] = {
    "a module, gather": Layer(),
    "a loop": as_rows(),
    "einsum": lambda f, y, w, b: torch.einsum("nd,nd->n", f, w[y]) + b.take(y),
    "the one-hot of the label": lambda f, y, w, b: ((f @ w.T + b) * models.one_hot(y)).sum(-1),
    "the diagonal": lambda f, y, w, b: (f @ w[y].T).diagonal() + b[y],
    "numpy": lambda f, y, w, b: (f.numpy() @ w.numpy().T + b.numpy())[range(len(y)), y],
    "bmm": lambda f, y, w, b: torch.baddbmm(b[y, None, None], f[:, None], w[y, :, None]).flatten(),
    "bilinear": lambda f, y, w, b: F.bilinear(f, models.one_hot(y), torch.diag_embed(w.T)[None].sum(2))[:, 0] + b[y],
}
TWINS["06.mend_last_layer"] = {
    "The label only adds a number": lambda f, y, w, b: F.linear(f, w[:1])[:, 0] + b.gather(0, y),
    "The bias is missing": as_rows(bias=lambda b, y: 0 * y),
    "These are the logits of all classes": lambda f, y, w, b: F.linear(f, w, b),
    "Each image met the rows of all": lambda f, y, w, b: F.linear(f, w[y], b[y]),
    "This is the largest logit": lambda f, y, w, b: F.linear(f, w, b).max(1).values,
    "The label is a name": lambda f, y, w, b: F.linear(f, w, b)[:, 0] * y,
    "The sum goes over the batch": lambda f, y, w, b: torch.einsum("nd,nd->", f, w[y]) + b[y],
    "Only the features are summed": lambda f, y, w, b: f @ ones(f[0]) + b[y],
    "The sign is wrong": as_rows(torch.neg),
    "This is a mean over the features": lambda f, y, w, b: torch.einsum("nd,nd->n", f, w[y]) / f.shape[1] + b[y],
}
OTHERS["06.mend_last_layer"] = [
    (lambda f, y, w, b: f @ w[0] + b[y], "The label only adds a number"),  # the program in the lesson
    (lambda f, y, w, b: f @ w.mean(0) + b[y], "The label only adds a number"),
    (as_rows(lambda s: s[:, None]), ", 1), and it must be ("),
    (as_rows(torch.sum), "The result has shape (), and it must be ("),
    (as_rows(lambda s: 2 * s), "Multiply its features by the row of its label."),
    (as_rows(bias=lambda b, y: b[:1]), "The products are right. But with a bias, logit "),
    (lambda f, y, w, b: w[y].mv(ones(f[0])) + b[y], "Only the features are summed, or only the row."),
    (as_rows(lambda s: s / 0), "look at each division and logarithm"),
    (lambda f, y, w, b: (f * w[y]).sum(0) + b[y], "Your code raised RuntimeError (The size of tensor a"),
    (as_rows(str), "an object of type str. Return a tensor."),
    (as_rows(print), f"{NOTHING}. Does logits end with return?"),
    (F.linear, "Your code raised"),
]


# ---- 06.uses_label


def table_of(D, images=4):
    """The logits of random images, a row for each, under the labels from 0 to 9; and those of labels in one batch."""
    x = torch.randn(images, 1, 28, 28)
    table = torch.cat([D(x, torch.tensor([y] * images)) for y in range(10)], 1)
    return table, D(x.repeat(10, 1, 1, 1), torch.arange(10).repeat_interleave(images))


def asserts(D):
    table, mixed = table_of(D)
    assert (mixed.view(10, -1).T - table).abs().max() < 1e-9
    for a in range(10):
        for b in range(a):
            assert (table[:, a] - table[:, b]).std() > 1e-9


def by_slopes(D):
    """Whether the slope at one image is another one under each label."""
    x = torch.rand(10, 1, 28, 28)[:1].repeat(10, 1, 1, 1).requires_grad_()
    (slopes,) = torch.autograd.grad(D(x, torch.arange(10)).sum(), x)
    return len({tuple(row) for row in (slopes.flatten(1) / slopes.std()).mul(1e4).round().tolist()}) == 10


class UsesLabel(nn.Module):
    def forward(self, D):
        table, mixed = table_of(D)
        centred = table - table.mean(0)
        distances = torch.cdist(centred.T, centred.T) + torch.eye(10)
        return (distances > 1e-8).all() & torch.isclose(mixed.view(10, -1).T, table).all()


def constant_labels(D, pairs=None):
    """A weaker check, which cannot see that labels are mixed up within a batch."""
    table, _ = table_of(D)
    return all(
        (table[:, a] - table[:, b]).std().item() > 1e-9 for a, b in pairs or torch.combinations(torch.arange(10))
    )


RIGHT["06.uses_label"] = {
    "asserts": asserts,
    "a module that returns a tensor": UsesLabel(),
    "slopes": by_slopes,
    "one label for the batch": constant_labels,
    "numpy's bool, two images": lambda D: (
        np.bool_(np.ptp(np.diff(table_of(D, 2)[0].numpy()), 0).min() > 1e-9) and constant_labels(D)
    ),
    "a default argument": lambda D, images=30: (
        table_of(D, images)[0].diff(dim=1).std(0).min() > 1e-9 and constant_labels(D)
    ),
}
TWINS["06.uses_label"] = {}
OTHERS["06.uses_label"] = [
    (lambda D: D is not None, "It refuses 0 of 8 broken ones, 6 are asked. One slips through: the label times 0, so"),
    (lambda D: constant_labels(D, [(0, 1)]), "One slips through: of the label, only odd or even is read."),
    (lambda D: table_of(D)[0].std(1).min() > 1e-9, "One slips through: the label only adds a number to the logit."),
    (lambda D: D is None, "It refuses a right one: ten outputs, of which that of the label is read."),
    (lambda D: print(table_of(D)), f"{NOTHING}. Does uses_label end with return?"),
    (lambda D: table_of(D)[0].std(), "an object of type Tensor. Return True or False for each discriminator."),
    (lambda D: D(torch.rand(3, 1, 28, 28), models.one_hot(torch.arange(3))), "Your code raised TypeError (labels must"),
    (lambda D, G: True, "it is written with (D, G)"),
]


@pytest.mark.parametrize("program", lesson_06.DISCRIMINATORS, ids=lambda program: program[1])
def test_right_discriminators_alone_tell_which_image_fits_which_label(program):
    D, words = program
    x = torch.rand(50, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    table = torch.cat([D(x, torch.full((50,), y)) for y in range(10)], 1)
    assert table.shape == (50, 10)
    assert table.dtype == torch.float64
    double = (table - table.mean(0) - table.mean(1, keepdim=True) + table.mean()).T  # what no sum a(x) + b(y) gives
    apart = torch.pdist(double) > 1e-3
    mixed = D(x, torch.arange(50) % 10).flatten() - table[range(50), torch.arange(50) % 10]
    found = bool(apart.all() and mixed.abs().max() < 1e-9)
    assert found == (program in lesson_06.DISCRIMINATORS[:3]), words


# ---- hints as programs: what stands between « and » are words of the hints

HINTED = {}
HINTED["06.label_planes"] = """
def label_planes(labels):
    code = «models.one_hot(labels)»«[:, :, None, None]»
    return code.«expand(-1, -1, 28, 28)»
"""
HINTED["06.conditional_step"] = """
def conditional_step(G, D, opt_G, opt_D, x, labels, z_D, z_G):
    fake = G(z_D, labels).detach()
    loss = «softplus(-D(x, labels)).mean() + softplus(D(fake, labels)).mean()»
    opt_D.zero_grad(), loss.backward(), opt_D.step()
    loss = «softplus(-D(G(z_G, labels), labels)).mean()»
    opt_G.zero_grad(), loss.backward(), opt_G.step()
"""
HINTED["06.mend_last_layer"] = """
def logits(features, labels, weight, bias):
    rows = «weight[labels]»
    return (rows * features).«sum(1)» + «bias[labels]»
"""
HINTED["06.uses_label"] = """
def uses_label(D):
    x = torch.rand(10, 1, 28, 28)
    table = «torch.cat([D(x, torch.full((10,), label)) for label in range(10)], 1)»
    mixed = D(x, «torch.arange(10)»)
    if not torch.equal(mixed.round(decimals=9)[:, 0], table.round(decimals=9).diag()):
        return False
    return all((table[:, a] - table[:, b]).std() > 1e-9 for a in range(10) for b in range(a))
"""
