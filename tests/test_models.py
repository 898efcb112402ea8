"""The networks against the same layers written out by hand, and what is drawn from which seed."""

import inspect
import math
import re

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from ganlib import losses, models
from ganlib.judge import Judge


def image(*layers):
    return nn.Sequential(*layers, nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))


def flat(*layers):
    return nn.Sequential(nn.Flatten(), *layers)


def leaky():
    return nn.LeakyReLU(0.2)


def half(n_in, n_out):
    return nn.Conv2d(n_in, n_out, 4, 2, 1)


def double(n_in, n_out):
    return nn.ConvTranspose2d(n_in, n_out, 4, 2, 1)


#: each network of the course layer by layer, G under seed 0 and D under seed 1
BY_HAND = {
    "textbook_pair": (
        lambda: image(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 784)),
        lambda: flat(nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 1)),
    ),
    "upgraded_pair": (
        lambda: image(nn.Linear(128, 256), leaky(), nn.Linear(256, 512), leaky(), nn.Linear(512, 1024), leaky(),
                      nn.Linear(1024, 784)),
        lambda: flat(nn.Linear(784, 1024), leaky(), nn.Dropout(0.3), nn.Linear(1024, 512), leaky(), nn.Dropout(0.3),
                     nn.Linear(512, 256), leaky(), nn.Dropout(0.3), nn.Linear(256, 1)),
    ),
    "better_pair": (
        lambda: image(nn.Linear(32, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 512), nn.BatchNorm1d(512),
                      nn.ReLU(), nn.Linear(512, 784)),
        lambda: flat(nn.Linear(784, 256), leaky(), nn.Linear(256, 128), leaky(), nn.Linear(128, 1)),
    ),
    "convolutional_pair": (
        lambda: nn.Sequential(nn.Linear(32, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 1568),
                              nn.BatchNorm1d(1568), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)), double(32, 16),
                              nn.BatchNorm2d(16), nn.ReLU(), double(16, 1), nn.Tanh()),
        lambda: nn.Sequential(half(1, 16), leaky(), half(16, 32), leaky(), nn.Flatten(), nn.Linear(1568, 128), leaky(),
                              nn.Linear(128, 1)),
    ),
    "conditional_pair": (
        lambda: models.LabelInput(image(nn.Linear(42, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 512),
                                        nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 784))),
        lambda: models.LabelOutput(flat(nn.Linear(784, 256), leaky(), nn.Linear(256, 128), leaky(),
                                        nn.Linear(128, 10))),
    ),
    "vae_pair": (  # the decoder, then the encoder
        lambda: nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 784),
                              nn.Unflatten(1, (1, 28, 28))),
        lambda: flat(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 40)),
    ),
}  # fmt: skip
PAIRS = {name: function for name, function in vars(models).items() if name.endswith("_pair") and name[0] != "_"}
EACH_PAIR = pytest.mark.parametrize("name", PAIRS)


def players(name, *arguments, **settings):
    """What makes images of z, and what looks at images: of a VAE the decoder and the encoder."""
    pair = PAIRS[name](*arguments, **settings)
    return pair[::-1] if name == "vae_pair" else pair


def beside(name, n):
    """What the networks of a pair take beside z and the images."""
    return [torch.arange(n)] if name == "conditional_pair" else []


def assert_same_network(net, by_hand, seed, *x):
    """The same layers with the same settings, the same weights, and the same answers, dropout included."""
    torch.manual_seed(seed)
    expected = by_hand()
    # sizes, slopes, probabilities, strides, biases
    assert str(net) == str(expected), "other layers than those written out in test_models.py: if so meant, change both"
    assert net.state_dict().keys() == expected.state_dict().keys()
    assert all(map(torch.equal, net.state_dict().values(), expected.state_dict().values()))
    answers = []
    for one in (net, expected):
        torch.manual_seed(5)
        answers.append(one(*x))
    assert torch.equal(*answers)
    return answers[0]


@EACH_PAIR
def test_each_pair_is_the_one_written_out_by_hand_bit_for_bit(name):
    assert name in BY_HAND, f"{name} is new in ganlib/models.py: write its layers out in BY_HAND"
    (G, D), y = players(name), beside(name, 5)
    latent_dim = inspect.signature(PAIRS[name]).parameters["latent_dim"].default
    images = assert_same_network(G, BY_HAND[name][0], 0, torch.randn(5, latent_dim), *y)
    assert images.shape == (5, 1, 28, 28)
    assert images.abs().max() <= 1
    answers = assert_same_network(D, BY_HAND[name][1], 1, images.detach(), *y)
    assert answers.shape == (5, 2 * latent_dim if name == "vae_pair" else 1)
    assert G.training
    assert D.training


def test_the_judge_is_the_network_written_out_by_hand():
    torch.manual_seed(3)
    one = Judge()
    body = lambda: nn.Sequential(  # noqa: E731
        nn.Conv2d(1, 16, 5, 2, 2), leaky(), nn.Conv2d(16, 32, 5, 2, 2), leaky(), nn.Flatten(), nn.Linear(1568, 64),
        leaky(),
    )  # fmt: skip
    assert_same_network(one.body, body, 3, torch.randn(2, 1, 28, 28))
    assert str(one.head) == str(nn.Linear(64, 10))


@pytest.mark.parametrize(
    ("layer", "attribute", "value"),
    [(1, "out_features", 1025), (2, "negative_slope", 0.3), (3, "p", 0.2), (0, "start_dim", 2), (1, "bias", None)],
)
def test_a_changed_layer_is_noticed(layer, attribute, value):
    D = models.upgraded_pair()[1]
    setattr(D[layer], attribute, value)
    with pytest.raises(AssertionError):
        assert_same_network(D, BY_HAND["upgraded_pair"][1], 1, torch.zeros(2, 1, 28, 28))


def test_parameters_are_counted_as_the_textbook_and_the_docstrings_do():
    counts = {"textbook_pair": (566_800, 201_217), "upgraded_pair": (1_493_520, 1_460_225)}
    for name, (parameters_G, parameters_D) in counts.items():
        G, D = PAIRS[name]()
        assert (models.count_parameters(G), models.count_parameters(D)) == (parameters_G, parameters_D)
        assert all(f"{count:,}" in " ".join(PAIRS[name].__doc__.split()) for count in (parameters_G, parameters_D))
        G[0].requires_grad_(False)
        assert models.count_parameters(G) == parameters_G - (128 * 256 + 256)


def test_the_pair_of_a_vae_is_an_encoder_and_a_decoder_of_known_sizes():
    encoder, decoder = models.vae_pair()
    assert (models.count_parameters(encoder), models.count_parameters(decoder)) == (543_528, 539_152)
    better = models.better_pair()[0]
    widths = [[layer.out_features for layer in net if isinstance(layer, nn.Linear)] for net in (decoder, better)]
    assert widths[0] == widths[1] == [256, 512, 784]
    encoder, decoder = models.vae_pair(np.int64(5))
    assert encoder(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert (decoder(9 * torch.ones(3, 5)).abs() > 1).any()  # no end keeps the answers small
    for size in (0, 2.5, "20", None):
        with pytest.raises(ValueError, match="latent_dim must be a whole number of at least 1, got"):
            models.vae_pair(size)


@EACH_PAIR
def test_latent_dim_and_dtype_are_free(name):
    (G, D), y = players(name, 7, dtype=torch.float64), beside(name, 3)
    images = G(torch.randn(3, 7, dtype=torch.float64), *y)
    assert images.dtype == D(images, *y).dtype == torch.float64


@EACH_PAIR
def test_seed_alone_decides_the_weights(name):
    pair = PAIRS[name]
    torch.manual_seed(11)
    first = pair(seed=5)
    torch.manual_seed(12)
    before = torch.get_rng_state()
    again, other = pair(seed=5), pair(seed=6)
    assert torch.equal(before, torch.get_rng_state())
    for a, b, c in zip(first, again, other, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
        assert not torch.equal(*(next(net.parameters()) for net in (a, c)))


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


@pytest.mark.parametrize("widths", [(), (5,), (5, 0, 1), (5, 2.0, 1)])
def test_mlp_refuses_widths(widths):
    with pytest.raises(ValueError, match="widths must be two or more positive integers"):
        models.mlp(*widths)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_copy_k_has_the_weights_of_seed_plus_k(dtype):
    net = models.mlp(2, 5, 3, activation=nn.Tanh, copies=4, seed=7, dtype=dtype)
    assert [type(m).__name__ for m in net] == ["ParallelLinear", "Tanh", "ParallelLinear"]
    x = torch.randn(6, 4, 2, dtype=dtype)
    y = net(x)
    assert y.shape == (6, 4, 3)
    for k in range(4):
        lone = models.mlp(2, 5, 3, activation=nn.Tanh, seed=7 + k, dtype=dtype)
        assert all(torch.equal(p[k], q) for p, q in zip(net.parameters(), lone.parameters(), strict=True))
        torch.testing.assert_close(y[:, k], lone(x[:, k]))
    assert models.count_parameters(net) == 4 * models.count_parameters(lone)
    assert "in_features=2, out_features=5, copies=4" in str(net)


def test_each_setting_reaches_the_copies():
    settings = {"activation": nn.Tanh, "dropout": 0.25, "dtype": torch.float64}
    others = inspect.signature(models.mlp).parameters.keys() - settings.keys()
    assert others == {"widths", "batchnorm", "copies", "seed"}
    lone, both = models.mlp(2, 3, 1, **settings), models.mlp(2, 3, 1, copies=2, **settings)
    assert [str(layer) for layer in both if "Linear" not in str(layer)] == [str(lone[1]), str(lone[2])]
    assert both[0].weight.dtype == torch.float64


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


@pytest.mark.parametrize("copies", [None, 3])
def test_a_code_is_one_of_many_before_the_noise(copies):
    latent = models.CodeLatent(2, torch.float64, copies, codes=5, scale=4.0)
    z = latent(3000, torch.Generator().manual_seed(0))
    assert z.shape == ((3000, 7) if copies is None else (3000, 3, 7))
    assert z.dtype == torch.float64
    z = z.reshape(-1, 7)
    assert z[:, :5].sort(1).values.unique(dim=0).tolist() == [[0, 0, 0, 0, 4]]
    assert stats.chisquare(z[:, :5].argmax(1).bincount()).pvalue > 0.01
    assert stats.kstest(z[:, 5:].flatten().numpy(), "norm").pvalue > 0.01
    if copies:
        codes = z[:, :5].argmax(1).reshape(-1, 3)
        assert (codes[:, 0] == codes[:, 1]).double().mean() < 0.3  # each copy draws codes of its own


@pytest.mark.parametrize("codes", [0, 2.5, "5"])
def test_codes_that_are_no_count_are_refused(codes):
    with pytest.raises(ValueError, match="codes must be a whole number of at least 1, got"):
        models.CodeLatent(2, codes=codes)


@pytest.mark.parametrize("shape", [(6, 2), (6, 4, 2), (6, 1, 4, 4)])
def test_a_packed_discriminator_sees_neighbours_side_by_side(shape):
    x = torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)
    seen = []
    D = models.Packed(nn.Sequential(nn.Identity(), nn.Flatten(), nn.LazyLinear(1, dtype=torch.float64)), 3)
    if len(shape) == 3:
        D = models.Packed(models.mlp(6, 1, copies=4, dtype=torch.float64), 3)
    D.discriminator[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    logits = D(x)
    assert logits.shape == (*shape[: 2 if len(shape) == 3 else 1], 1)
    [packs] = seen
    for k in range(2):
        assert torch.equal(packs[k], torch.cat([*x[3 * k : 3 * k + 3]], -1))
        assert (logits[3 * k : 3 * k + 3] == logits[3 * k]).all()


def test_packing_is_checked_at_its_border():
    for m in (0, 1.5, "2"):
        with pytest.raises(ValueError, match="m must be a whole number of at least 1, got"):
            models.Packed(models.mlp(2, 1), m)
    with pytest.raises(ValueError, match="x must hold a multiple of m = 4 samples, got 6: change the batch size"):
        models.Packed(models.mlp(8, 1), 4)(torch.zeros(6, 2))


def test_r1_on_packs_counts_once_for_each_member():
    D = models.mlp(6, 5, 1, activation=nn.Tanh, dtype=torch.float64)
    x = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    packs = x.detach().reshape(2, 6).requires_grad_()
    packed = losses.r1_penalty(models.Packed(D, 3)(x), x)
    torch.testing.assert_close(packed, 3 * losses.r1_penalty(D(packs), packs))


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


# ---- labels

LABELS = [0, 3, 5, 5, 0, 3]  # no 1, 2 or 4


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_one_hot_is_the_row_of_the_identity(dtype):
    found = models.one_hot(torch.tensor(LABELS, dtype=dtype), 6)
    assert found.dtype == torch.float32
    assert np.array_equal(found, np.eye(6)[LABELS])
    assert models.one_hot(torch.tensor([], dtype=dtype)).shape == (0, 10)


@pytest.mark.parametrize("shape", [(6, 3), (6, 1, 4, 4)])  # z, images
@pytest.mark.parametrize("scale", [1.0, 9.0])
def test_a_label_at_the_input_is_a_one_hot_beside_the_numbers(shape, scale):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    by_hand = np.hstack([x.numpy().reshape(6, -1), scale * np.eye(6)[LABELS]])
    net = models.LabelInput(models.mlp(by_hand.shape[1], 5, 2, dtype=torch.float64), 6, scale)
    assert torch.equal(net(x, torch.tensor(LABELS)), net.network(torch.from_numpy(by_hand)))
    assert f"num_classes=6, scale={scale}" in str(net)  # so a saved model is loaded by its like alone


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_a_label_at_the_output_reads_its_logit_and_teaches_no_other(dtype):
    x = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    D = models.LabelOutput(nn.Sequential(nn.Flatten(), nn.Linear(9, 6)))
    logits = D(x, torch.tensor(LABELS, dtype=dtype))
    assert torch.equal(logits, D.network(x)[torch.arange(6), torch.tensor(LABELS)][:, None])
    logits.sum().backward()
    assert D.network[1].bias.grad.tolist() == np.bincount(LABELS, minlength=6).tolist()
    for label, found in enumerate(D.network[1].weight.grad):
        torch.testing.assert_close(found, x[[k for k in range(6) if LABELS[k] == label]].sum(0).flatten())


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ([7, 7, 7], TypeError, "a tensor of whole numbers, got list: torch.tensor([7]) is one label, and torch.full"),
        (torch.ones(3), TypeError, "whole numbers, got torch.float32 of shape (3,): labels.long() makes them so"),
        (torch.ones(3) > 0, TypeError, "whole numbers, got torch.bool of shape (3,): labels.long() makes them so"),
        (torch.eye(10)[:3], TypeError, "got torch.float32 of shape (3, 10): rows of a one-hot become labels by .argm"),
        (torch.eye(10).long()[:3], ValueError, "shape (n,), one for each sample, got (3, 10): rows of a one-hot bec"),
        (torch.ones(3, 1).long(), ValueError, "shape (n,), one for each sample, got (3, 1): take labels[:, 0]"),
        (torch.tensor(7), ValueError, "got (): one label for all n samples is torch.full((n,), label)"),
        (torch.tensor([0, 9, 12]), ValueError, "lie between 0 and 9, got 0 to 12: look at the data"),
        (torch.tensor([1, 2, 10]), ValueError, "between 0 and 9, got 1 to 10: classes that are counted from 1 need l"),
        (torch.tensor([-1, 0, 9]), ValueError, "between 0 and 9, got -1 to 9: leave out samples without a label"),
        (torch.tensor([7]), ValueError, "hold one for each of the 3 samples, got 1: one label for all of them is tor"),
    ],
)
def test_what_are_no_labels_is_refused_with_a_sentence(labels, error, words):
    G, D = models.conditional_pair(4)
    for take in (models.one_hot, lambda y: G(torch.zeros(3, 4), y), lambda y: D(torch.zeros(3, 1, 28, 28), y)):
        if take is models.one_hot and "3 samples" in words:  # it does not know how many there are
            continue
        with pytest.raises(error, match=f"^labels must .*{re.escape(words)}"):
            take(labels)


@pytest.mark.parametrize("num_classes", [0, 2.5, "10"])
def test_classes_that_are_no_count_are_refused(num_classes):
    with pytest.raises(ValueError, match="num_classes must be a whole number of at least 1, got"):
        models.LabelInput(models.mlp(12, 1), num_classes)
