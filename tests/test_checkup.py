"""What a GAN looks at: settings, minibatches, the answers of the networks, and the cause of an error."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from small_gans import After, adam, gan_of, images, same, stream
from torch import nn
from torch.nn import functional as F

from ganlib import checkup, models
from ganlib.gan import GAN
from ganlib.losses import LOSSES


def step(gan, *batch):
    return gan.step(stream(*batch))


def trains(gan, *batch):
    step(gan, *batch)
    return gan.steps_done == 1


class Before(After):
    """A network and something done before it."""

    def forward(self, x):
        return self.net(self.function(x))


def D_with(function):
    return After(models.textbook_pair(4)[1], function)


def G_with(function):
    return After(models.mlp(4, 16, 784), lambda x: function(x).reshape(-1, 1, 28, 28))


# ---- what the constructor takes


def parts():
    G, D = models.textbook_pair(4)
    return {"G": G, "D": D, "opt_G": adam(G), "opt_D": adam(D), "latent": models.NormalLatent(4)}


class NeedsClosure(torch.optim.SGD):
    def step(self, closure):
        return super().step(closure)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda p: {"G": None}, TypeError, "generator must be a network, an nn.Module, got NoneType"),
        (lambda p: {"D": nn.Linear}, TypeError, "discriminator must be a network, .* got the class Linear"),
        (lambda p: {"D": p["opt_G"]}, TypeError, "discriminator must be a network, .* got Adam"),
        (lambda p: {"G": nn.Identity()}, ValueError, "generator must have parameters that can learn"),
        (lambda p: {"D": p["D"].requires_grad_(False)}, ValueError, "discriminator must have parameters that can"),
        (lambda p: {"G": p["G"].to("meta")}, ValueError, "generator must have parameters .* device meta"),
        (lambda p: {"opt_G": None}, TypeError, "opt_G must be a torch.optim.Optimizer, got NoneType: it needs step"),
        (lambda p: {"opt_D": torch.optim.Adam}, TypeError, "opt_D must be .* got the class Adam"),
        (lambda p: {"opt_G": torch.optim.LBFGS(p["G"].parameters())}, TypeError, r"opt_G must move at .* LBFGS, whose"),
        (lambda p: {"opt_D": NeedsClosure(p["D"].parameters())}, TypeError, "opt_D must .* got NeedsClosure, whose"),
        (lambda p: {"opt_G": p["opt_D"], "opt_D": p["opt_G"]}, ValueError, "opt_G must .* optimizers are swapped"),
        (lambda p: {"G": p["D"], "D": p["G"]}, ValueError, "opt_G must .*: networks or optimizers are swapped"),
        (
            lambda p: {"opt_G": parts()["opt_G"]},
            ValueError,
            "opt_G must hold .* optimizer of neither player's: build it after",
        ),
        (lambda p: {"opt_G": adam(p["G"][0])}, ValueError, "opt_G must hold .* lacks 4 of its tensors: give it all of"),
        (lambda p: {"latent": 128}, TypeError, r"latent must be a function that draws z, latent\(n, rng\).* got int"),
        (lambda p: {"latent": models.NormalLatent}, TypeError, "latent must .* got the class NormalLatent"),
        (lambda p: {"latent": lambda n: n}, TypeError, r"latent must .* got function, which takes \(n\): NormalLatent"),
        (lambda p: {"latent": torch.randn}, TypeError, "latent must be a function that draws z"),
        (
            lambda p: {"opt_G": adam(nn.ModuleList([p["G"], p["D"]]))},
            ValueError,
            "opt_G must .* 4 of the other player's",
        ),
        (lambda p: {"opt_D": p["opt_G"]}, ValueError, "opt_D must .* and of nobody else, .* an optimizer of its own"),
        (lambda p: {"loss": ["minimax"]}, ValueError, "loss must be one of"),
        (lambda p: {"loss": "bce"}, ValueError, "loss must be one of minimax, non-saturating, .*, got 'bce'"),
        (lambda p: {"d_steps": 0}, ValueError, "d_steps must be a whole number of at least 1, got 0"),
        (lambda p: {"r1_every": 2.5}, ValueError, "r1_every must be a whole number of at least 1, got 2.5"),
        (lambda p: {"r1": -1}, ValueError, r"r1 must be 0 \(no penalty\) or positive, got -1"),
        (lambda p: {"average": 1.0}, ValueError, r"average must be a decay in \(0, 1\).*got 1"),
        (lambda p: {"seed": 1.5}, ValueError, "seed must be a whole number, got 1.5"),
        (lambda p: {"r1": "0.1"}, ValueError, "r1 must be 0 .* got '0.1'"),
        (lambda p: {"r1": float("nan")}, ValueError, "r1 must be 0 .* got nan"),
        (lambda p: {"average": "0.9"}, ValueError, "average must be a decay .* got '0.9'"),
    ],
)
def test_the_constructor_refuses_what_cannot_work(change, error, words):
    given = parts()
    given |= change(given)
    args = [given.pop(name) for name in ("G", "D", "opt_G", "opt_D", "latent")]
    with pytest.raises(error, match=f"^{words}"):
        GAN(*args, **given)


def test_networks_swapped_with_their_optimizers_are_told_in_the_first_step():
    p = parts()
    gan = GAN(p["D"], p["G"], p["opt_D"], p["opt_G"], p["latent"])
    with pytest.raises(ValueError, match="generator must map z to samples, .* networks are swapped"):
        step(gan)


@pytest.mark.parametrize(("z", "words"), [(np.zeros((8, 4)), "type ndarray"), (torch.zeros(4), r"\(4,\)")])
def test_a_latent_that_draws_something_else_is_named(z, words):
    with pytest.raises(TypeError, match=rf"latent must draw a tensor z \(n, latent_dim\), got {words} for n = 8"):
        step(gan_of(latent=lambda n, rng: z))


# ---- what D returns

BOUNDED = {
    "sigmoid": (torch.sigmoid, "Sigmoid"),
    "written out": (lambda s: 1 / (1 + torch.exp(-s)), "Sigmoid"),
    "clamp": (lambda s: s.clamp(0, 1), "Sigmoid"),
    "softmax of one": (lambda s: s.softmax(1), "Sigmoid"),
    "sigmoid, then flattened": (lambda s: s.sigmoid().flatten(), "Sigmoid"),
    "tanh": (torch.tanh, "Tanh"),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_a_d_whose_answers_are_bounded_is_refused_in_the_first_step(name):
    function, end = BOUNDED[name]
    gan = gan_of(D=D_with(function))
    before = [p.clone() for p in gan.D.parameters()]
    with pytest.raises(ValueError, match=f"discriminator must return logits, got a network that ends in {end}"):
        step(gan)
    assert all(map(torch.equal, before, gan.D.parameters()))


@pytest.mark.parametrize(("function", "end"), [(torch.relu, "ReLU"), (F.logsigmoid, "LogSigmoid")])
def test_a_d_whose_answers_have_one_sign_is_told_and_trains(function, end):
    gan = gan_of(D=D_with(function))
    with pytest.warns(UserWarning, match=f"got a network that seems to end in {end}"):
        step(gan)
    assert gan.steps_done == 1


def test_a_sigmoid_that_is_made_first_or_stands_before_flatten_is_found():
    class Early(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.net = nn.Sigmoid(), models.textbook_pair(4)[1]

        def forward(self, x):
            return self.act(self.net(x))

    for D in (Early(), nn.Sequential(*models.textbook_pair(4)[1], nn.Sigmoid(), nn.Flatten())):
        with pytest.raises(ValueError, match="discriminator must return logits"):
            step(gan_of(D=D))
    nested = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(784, 1), nn.Sigmoid()))
    with pytest.raises(ValueError, match="ends in Sigmoid"):
        gan_of(D=nested)  # no step is needed


class Gate(nn.Module):
    """A sigmoid inside, made last."""

    def __init__(self, gates):
        super().__init__()
        self.body, self.logit, self.gate, self.act = (
            nn.Linear(784, 9),
            nn.Linear(9, 1),
            nn.Linear(9, gates),
            nn.Sigmoid(),
        )

    def forward(self, x):
        h = self.body(x.flatten(1))
        gate = self.act(self.gate(h))
        return self.logit(h) * gate if gate.shape[1] == 1 else self.logit(h * gate)


def with_weights(factor, last):
    D = models.textbook_pair(4)[1]
    with torch.no_grad():
        for p in D.parameters():
            p.mul_(factor)
        D[-1].bias.fill_(last)
    return D


ALLOWED = {
    "gate inside": lambda: Gate(9),
    "gate at the end": lambda: Gate(1),
    "answers of shape (n,)": lambda: D_with(lambda s: s.squeeze(1)),
    "answers of shape (n, 1, 1, 1)": lambda: D_with(lambda s: s[:, :, None, None]),
    "a map of logits": lambda: nn.Sequential(nn.Conv2d(1, 4, 4, 2), nn.ReLU(), nn.Conv2d(4, 1, 4, 2)),
    "tiny weights": lambda: with_weights(1e-4, 0.5),  # all first answers lie in [0, 1]
    "weights of 0": lambda: with_weights(0, 0),
    "tanh inside": lambda: nn.Sequential(nn.Flatten(), models.mlp(784, 9, 9, 1, activation=nn.Tanh)),
    "10 tanh": lambda: D_with(lambda s: 10 * torch.tanh(s / 10)),
    "spectral norm, one tanh": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 1), nn.Tanh(), nn.utils.parametrizations.spectral_norm(nn.Linear(1, 1, bias=False))
    ),
    "BatchNorm": lambda: nn.Sequential(nn.Flatten(), models.mlp(784, 9, 1, batchnorm=True)),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_d_that_gives_logits_trains(name):
    gan = gan_of(D=ALLOWED[name]())
    step(gan), step(gan)
    assert gan.steps_done == 2


def test_scores_in_0_to_1_are_a_matter_of_the_loss():
    """Least squares ask D for 0 and 1: a sigmoid can give them. The hinge loss asks for -1 and 1."""
    with pytest.warns(UserWarning, match="discriminator should return scores, got .* gradient vanishes"):
        step(gan_of(D=D_with(torch.sigmoid), loss="least-squares"))
    with pytest.raises(ValueError, match="discriminator must return logits"):
        step(gan_of(D=D_with(torch.sigmoid), loss="hinge"))
    for loss in ("least-squares", "hinge"):
        step(gan_of(D=D_with(torch.tanh), loss=loss))
    assert all(pair.loss_D(torch.ones(1, 1), torch.zeros(1, 1)).ndim == 0 for pair in LOSSES.values())


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda s: torch.cat([s, -s], 1), ValueError, r"one logit for each sample, .* got \(8, 2\)"),
        (lambda s: s.mean(0), ValueError, r"one logit for each sample, .* got \(1,\)"),
        (lambda s: (s, s), TypeError, "one tensor of logits, got type tuple"),
        (lambda s: None, TypeError, "one tensor of logits, got type NoneType"),
    ],
)
def test_answers_of_another_form_are_named(function, error, words):
    with pytest.raises(error, match=f"discriminator must return {words}"):
        step(gan_of(D=D_with(function)))


def test_samples_of_another_form_are_named():
    with pytest.raises(TypeError, match="generator must return one tensor of samples, got type tuple"):
        step(gan_of(G=After(models.textbook_pair(4)[0], lambda x: (x, x))))


@pytest.mark.parametrize("change", [lambda x: x.add_(torch.randn_like(x)), lambda x: x.data.mul_(0.9), torch.relu_])
@pytest.mark.parametrize("r1", [0.0, 0.1])
def test_a_d_that_changes_its_input_is_named_and_the_data_stay(change, r1):
    x = images()
    with pytest.raises(ValueError, match=r"discriminator must leave its arguments .* not x \+= noise"):
        step(gan_of(D=Before(models.textbook_pair(4)[1], lambda x: (change(x), x)[1]), r1=r1), x)
    assert torch.equal(x, images())


def test_noise_that_is_added_to_a_copy_is_allowed():
    assert trains(gan_of(D=Before(models.textbook_pair(4)[1], lambda x: x + torch.randn_like(x)), r1=0.1))


def test_the_look_leaves_networks_and_global_generator():
    gan = gan_of(*models.better_pair(4))
    x, z, state = images(), torch.randn(8, 4), [v.clone() for n in (gan.G, gan.D) for v in n.state_dict().values()]
    gan._look_at(x, z, loss_D=gan.pair.loss_D)  # the outer one puts the global generator back
    assert all(map(torch.equal, state, [v for n in (gan.G, gan.D) for v in n.state_dict().values()]))
    before = torch.get_rng_state()
    step(gan)
    assert torch.equal(before, torch.get_rng_state())


# ---- ranges


def scaled(low, high):
    return low + (high - low) * (images() + 1) / 2


TANH, SIGMOID, LINEAR = torch.tanh, torch.sigmoid, lambda x: x


@pytest.mark.parametrize(
    ("end", "x", "words"),
    [
        (TANH, scaled(0, 1), r"images must lie in \[-1, 1\], .* no negative pixel, .*: multiply by 2 and subtract 1"),
        (TANH, scaled(0, 255), r"images must lie in \[-1, 1\], got .* to 255: divide"),
        (LINEAR, scaled(0, 255), r"images must lie in \[-1, 1\], got .* to 255: divide"),
        (SIGMOID, scaled(-1, 1), "images must lie in the range of the generator, .* never goes below 0: .*Tanh"),
    ],
)
def test_data_that_the_generator_cannot_match_are_named(end, x, words):
    with pytest.raises(ValueError, match=words):
        step(gan_of(G=G_with(end)), x)


@pytest.mark.parametrize(
    ("end", "x"),
    [
        (SIGMOID, scaled(0, 1)),
        (LINEAR, scaled(0, 1)),
        (LINEAR, scaled(-0.42, 2.82)),
        (lambda x: 3 * torch.tanh(x), scaled(-3, 3)),
        (TANH, scaled(-1.0005, 1)),
        (TANH, scaled(-0.01, 1)),
        (TANH, torch.zeros(8, 1, 28, 28)),
    ],
)
def test_data_that_the_generator_can_match_train(end, x):
    assert trains(gan_of(G=G_with(end)), x)


def test_flat_data_have_any_range():
    D = models.mlp(2, 8, 1)
    assert trains(gan_of(G=After(models.mlp(4, 8, 2), torch.tanh), D=D), torch.rand(8, 2))


# ---- minibatches


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        (images(), TypeError, r"a minibatch must be a tuple of tensors, \(x,\) or \(x, labels\), got Tensor: use"),
        ({"image": images()}, TypeError, "a minibatch must be a tuple of tensors, .* got dict"),
        ((images().numpy(),), TypeError, "a minibatch must be a tuple of tensors, .* got tuple of ndarray"),
        (((images(), 1),), TypeError, "a minibatch must be a tuple of tensors, .* got tuple of tuple"),
        ((images()[:0],), ValueError, r"a minibatch must hold at least one sample .* got x of \(0, 1, 28, 28\)"),
        ((torch.tensor(1.0),), ValueError, r"a minibatch must hold at least one sample .* got x of \(\)"),
        (
            (((images() + 1) * 127).byte()[:, 0],),
            ValueError,
            r"must be floats .* torch.uint8 .* \(x.float\(\) / 127.5 - 1\)",
        ),
        ((images() > 0,), ValueError, r"images must be floats .* got torch.bool .* here 2 \* x.float\(\) - 1"),
        ((torch.ones(8, 2).long(),), ValueError, r"must begin with float samples .*: x.float\(\) makes them"),
        ((images().to(torch.complex64),), ValueError, "must begin with float samples"),
        ((torch.arange(8), images()), ValueError, r"must begin with float samples .* \(8,\): images come first"),
        ((images(), torch.arange(8)), ValueError, r"conditions y .* y of \(8,\).*leave out the"),
        ((images(), ["a"] * 8), ValueError, "generator must take the conditions y .* y of type list"),
        (
            (images().double(),),
            ValueError,
            "x must have the dtype of the discriminator, torch.float32, .* torch.float64",
        ),
        ((images() * math.nan,), ValueError, "a minibatch must hold finite numbers, got NaN or inf: look at"),
        ((images().index_fill(0, torch.tensor(3), math.inf),), ValueError, "a minibatch must hold finite numbers"),
        ((images()[:, 0],), ValueError, r"got \(8, 1, 28, 28\) beside \(8, 28, 28\)"),
    ],
)
def test_a_minibatch_of_another_form_is_named(batch, error, words):
    gan, other = gan_of(), gan_of()
    with pytest.raises(error, match=words):
        gan.step(itertools.repeat(batch))
    assert gan.steps_done == 0
    assert same(gan.state_dict(), other.state_dict())


def test_float32_data_beside_float64_networks_are_named():
    nets = models.textbook_pair(4, dtype=torch.float64)
    with pytest.raises(ValueError, match="x must have the dtype of the discriminator, torch.float64"):
        step(gan_of(*nets, models.NormalLatent(4, torch.float64)))


@pytest.mark.parametrize("batches", [[(images(),)], torch.utils.data.DataLoader(images())])
def test_batches_must_be_an_iterator(batches):
    with pytest.raises(TypeError, match=r"batches must be an iterator of tuples, got .*: use Minibatches"):
        gan_of().step(batches)


def test_a_list_is_a_minibatch_too():
    log = gan_of().step(iter(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images()), batch_size=8)))
    assert log == gan_of().step(stream())


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (images(1), "a minibatch must hold two samples or more, since BatchNorm .*drop_last=True"),
        (images()[:0], "a minibatch must hold at least one sample"),
        (images().double(), "x must have the dtype of the discriminator"),
    ],
)
def test_a_later_minibatch_is_named_as_well(later, words):
    gan = gan_of(*models.better_pair(4))
    with pytest.raises(ValueError, match=words):
        for x in (images(), images(), later):
            gan.step(iter([(x,)]))
    assert gan.steps_done == 2


# ---- z, y, the layers and the data are told apart


class Conditional(nn.Module):
    """Labels through an embedding, or conditions as they are, beside the first argument."""

    def __init__(self, n_in, n_out, classes=10, embed=True, shape=(-1, 1)):
        super().__init__()
        self.embed = nn.Embedding(classes, classes) if embed else nn.Identity()
        self.linear, self.shape = nn.Linear(n_in + classes, n_out), shape

    def forward(self, first, y):
        return torch.tanh(self.linear(torch.cat([first.flatten(1), self.embed(y)], 1))).reshape(self.shape) * 2


def conditional(**settings):
    G = Conditional(4, 784, shape=(-1, 1, 28, 28), **settings)
    return G, Conditional(784, 1, **settings)


LABELS = torch.arange(8)
TAKES_BOTH = r"generator must take its arguments, got z of \(8, 4\) and y of \(8,\) .*look at latent_dim, at y"
WIDTH_OF_Y = r"z must be of a shape .* one latent_dim, 2 fits; or is y of another width, 10\?"


@pytest.mark.parametrize(
    ("nets", "latent_dim", "batch", "words"),
    [
        (
            conditional(),
            4,
            (images(),),
            r"generator must be given what it takes, forward\(first, y\), got z of \(8, 4\)",
        ),
        (conditional(), 4, (images(), LABELS[:5]), r"y must hold one row for each of the 8 samples, .*: 5 came, "),
        (conditional(), 4, (images(), LABELS + 5), r"y must hold labels that the generator knows, .* 5 to 12 came"),
        (conditional(), 4, (images(), LABELS.float()), r"y must hold whole numbers, .*: labels.long\(\)"),
        (conditional(), 9, (images(), LABELS), r"z must be of a shape .* got z of \(8, 9\).* one latent_dim, 4 fits"),
        (conditional(embed=False), 4, (images(), torch.ones(8, 12)), WIDTH_OF_Y),
        (conditional(embed=False), 4, (images(), LABELS), TAKES_BOTH),
        ((conditional()[0], None), 4, (images(), LABELS), "discriminator must take the conditions y"),
        ((models.mlp(4, 256), None), 4, (images(),), r"generator must make samples of the shape .* got \(8, 256\)"),
        (
            (models.mlp(4, 784), models.convolutional_pair()[1]),
            4,
            (images().flatten(1),),
            r"\.reshape\(-1, 1, 28, 28\)",
        ),
        (
            (nn.ConvTranspose2d(4, 1, 28), None),
            4,
            (images(),),
            r"z must have shape .*Unflatten\(1, \(latent_dim, 1, 1\)",
        ),
    ],
)
def test_the_cause_of_an_error_is_the_one_that_is_named(nets, latent_dim, batch, words):
    with pytest.raises(ValueError, match=words):
        step(gan_of(*nets, models.NormalLatent(latent_dim)), *batch)


class OfLabel(nn.Linear):
    """A player as learners write it: the label glued on as a one-hot, read at its output, or left aside."""

    def forward(self, first, y):
        first = first.flatten(1)
        if self.in_features > first.shape[1]:
            return torch.tanh(super().forward(torch.cat([first, F.one_hot(y, 10)], 1))).reshape(-1, 1, 28, 28)
        logits = super().forward(first)
        return logits.gather(1, y[:, None]) if self.out_features == 10 else torch.tanh(logits).reshape(-1, 1, 28, 28)


UNKNOWN = r"y must hold labels that the {role} knows, .*: labels of 10 classes lie between 0 and 9, here {span} came"
WHOLE = r"y must hold whole numbers, torch.int64, .*: labels.long\(\)"
ONE_EACH = (
    r"y must have shape \(n,\), one label for each sample, .*: rows of a one-hot become labels by .argmax\(1\), a col"
)
EACH = r"y must hold one row for each of the 8 samples, .*: {came} came, torch.full\(\(8,\), label\) asks for one label"
NO_LABELS = {
    "out of range": (LABELS + 5, UNKNOWN.replace("{span}", "5 to 12")),
    "below 0": (LABELS - 1, UNKNOWN.replace("{span}", "-1 to 6")),
    "floats": (LABELS.float(), WHOLE),
    "bytes": (LABELS.byte(), WHOLE),
    "bytes out of range": ((LABELS + 5).byte(), UNKNOWN.replace("{span}", "5 to 12")),
    "bools": (LABELS > 3, WHOLE),
    "a one-hot": (F.one_hot(LABELS, 10), ONE_EACH),
    "a one-hot of floats": (F.one_hot(LABELS, 10).float(), ONE_EACH),
    "a column": (LABELS[:, None], ONE_EACH),
    "one label": (torch.tensor([7]), EACH.replace("{came}", "1")),
    "too few": (LABELS[:5], EACH.replace("{came}", "5")),
    "a number": (torch.tensor(7), EACH.replace("{came}", "a single number")),
}


@pytest.mark.parametrize("role", ["generator", "discriminator"])
@pytest.mark.parametrize("kind", NO_LABELS)
def test_what_are_no_labels_is_named_to_networks_of_learners(kind, role):
    y, words = NO_LABELS[kind]
    if role == "discriminator" and len(y.shape) == 1 and len(y) < 8:
        words = r"discriminator must return one logit for each sample"  # gather takes fewer, and answers for these
    G = OfLabel(14 if role == "generator" else 4, 784)  # the other takes labels, and does not look at them
    gan = gan_of(G, OfLabel(784, 10))
    with pytest.raises(ValueError, match="^" + words.replace("{role}", role)):
        step(gan, images(), y)
    assert gan.steps_done == 0
    assert trains(gan, images(), LABELS)


@pytest.mark.parametrize(("y", "came"), [(torch.tensor([7]), "1"), (7, "a single number")])
def test_one_label_for_all_samples_is_named_when_they_are_drawn(y, came):
    gan = gan_of(OfLabel(14, 784), OfLabel(784, 10))
    with pytest.raises(ValueError, match="^" + EACH.replace("{came}", came)):
        gan.sample(8, y, seed=0)
    assert gan.sample(8, torch.full((8,), 7), seed=0).shape == (8, 1, 28, 28)


@pytest.mark.parametrize("kind", NO_LABELS)
def test_networks_of_the_course_name_the_cause_themselves(kind):
    y, gan = NO_LABELS[kind][0], gan_of(*models.conditional_pair(4))
    if kind == "bytes":  # which they take
        assert trains(gan, images(), y)
        return
    kinds = TypeError if y.is_floating_point() or y.dtype == torch.bool else ValueError
    for act in (lambda: step(gan, images(), y), lambda: gan.sample(8, y, seed=0)):
        with pytest.raises(kinds, match=r"^labels must (be whole|have shape|lie between|hold one)") as caught:
            act()
        assert type(caught.value) is kinds


def test_what_a_network_inside_one_of_the_course_raises_is_looked_into():
    class Fussy(nn.Linear):
        def forward(self, x):
            raise ValueError("my own")

    with pytest.raises(ValueError, match="^my own$"):
        step(gan_of(models.LabelInput(Fussy(14, 784)), OfLabel(784, 10)), images(), LABELS)
    with pytest.raises(ValueError, match=r"^z must be of a shape .* got z of \(8, 5\) .* one latent_dim, 4 fits"):
        step(gan_of(*models.conditional_pair(4), models.NormalLatent(5)), images(), LABELS)
    with pytest.raises(ValueError, match=r"^x must hold a multiple of m = 3 samples, got 8: change the batch size$"):
        step(gan_of(models.mlp(4, 2), models.Packed(models.mlp(6, 1), 3)), torch.randn(8, 2))


@pytest.mark.parametrize(
    ("D", "words"),
    [
        (
            [nn.Flatten(), nn.Linear(784, 9), nn.Linear(8, 1)],
            r"discriminator's own layers must fit .* fed with \(8, 9\)",
        ),
        ([nn.Flatten(), nn.Linear(1024, 1)], r"must take samples .* got x of \(8, 1, 28, 28\) .*mend the layers or"),
        ([nn.Linear(784, 1)], r"discriminator must take samples .*: begin the discriminator with nn.Flatten\(\)"),
        ([nn.Linear(28, 8), nn.Linear(8, 1)], r"one logit .* got \(8, 1, 28, 1\) .* begin it with nn.Flatten"),
    ],
)
def test_the_cause_in_the_layers_of_d_is_named(D, words):
    with pytest.raises(ValueError, match=words):
        step(gan_of(D=nn.Sequential(*D)))


def test_layers_of_g_that_do_not_fit_one_another_are_named():
    G = nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(8, 784))
    with pytest.raises(ValueError, match=r"generator's own layers must fit .* Linear\(in_features=8, .* with \(8, 9\)"):
        step(gan_of(G))


def test_conditions_train_and_may_be_arrays_or_lists_when_sampling():
    gan = gan_of(*conditional())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(gan, images(), LABELS)
    expected = gan.sample(3, torch.tensor([1, 2, 3]), seed=0)
    assert torch.equal(gan.sample(3, [1, 2, 3], seed=0), expected)
    assert torch.equal(gan.sample(3, np.array([1, 2, 3]), seed=0), expected)
    with pytest.raises(TypeError, match="y must be a tensor or an array of numbers, got str"):
        gan.sample(3, "123", seed=0)


def test_the_reach_is_that_of_the_end_whatever_the_weights_are():
    net, x = models.mlp(3, 8, 1), torch.randn(9, 3)
    assert checkup.reach(checkup.twin(After(net, torch.sigmoid)), x) == pytest.approx((0, 1), abs=0.01)
    assert checkup.reach(checkup.twin(After(net, torch.tanh)), x) == pytest.approx((-1, 1), abs=0.01)
    low, high = checkup.reach(checkup.twin(net), x)
    assert low < -1
    assert high > 1


def test_another_device_is_named():
    with pytest.raises(ValueError, match=r"z must lie on the device of the generator, meta, .*\.to\(device\)"):
        checkup.explain("generator", nn.Linear(4, 2, device="meta"), torch.zeros(3, 4))


def test_an_optimizer_with_a_scheduler_is_one_still():
    given = parts()
    for optimizer in (given["opt_G"], given["opt_D"]):
        torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    assert GAN(*given.values()).steps_done == 0


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_network_that_cuts_its_gradient_is_named(player):
    nets = {name: net for name, net in parts().items() if name in ("G", "D")}
    nets[player[0].upper()] = After(nets[player[0].upper()], torch.Tensor.detach)
    with pytest.raises(ValueError, match=rf"{player} must lead the gradient .* leave out \.detach\(\)"):
        step(gan_of(**nets))


@pytest.mark.parametrize("width", [5, 10])
def test_samples_that_are_no_square_get_the_cause_of_the_error(width):
    with pytest.raises(ValueError, match="discriminator must take samples of the shape of the data"):
        step(gan_of(models.mlp(4, 8, width), models.mlp(2, 8, 1)), torch.randn(8, width))


@pytest.mark.parametrize("end", [nn.Identity, nn.Softplus])
def test_maps_that_are_no_images_train(end):
    G = nn.Sequential(nn.Linear(4, 64), end(), nn.Unflatten(1, (1, 8, 8)))
    assert trains(gan_of(G, nn.Sequential(nn.Flatten(), nn.Linear(64, 1))), 10 * torch.rand(8, 1, 8, 8))
