"""The exercises of lesson 04, each in one block: solution, inputs, mistakes, sentences, hints."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise, repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import softplus
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim.optimizer import register_optimizer_step_post_hook

from ganlib import models, training
from ganlib.gan import GAN
from ganlib.losses import minimax_D

from .engine import Exercise, Plain, tensors, write_the_check

LARGE = 40, 95, 800  # logits where 1e-8 hides all, exp(-s) is infinite, and D is 0
# exp(-s) and sigmoid(s) leave float32 at the same logits: no fact tells them apart
INFINITE = f"At a logit of -{LARGE[1]} the loss is inf: exp(-s) is too large, or sigmoid(s) is 0. Take softplus(-s)."
SMOOTHED = (0.7, 0.8, 0.9, 0.95)  # labels that are often taken in the place of 1


# ---- 04.generator_loss


def generator_loss(fake_logits):
    """Return the non-saturating loss of G, a scalar, from D's logits (n, 1) on the fakes."""
    return softplus(-fake_logits).mean()  # -E log D(G(z))


def logits_on_fakes(seed: int) -> dict[str, list[tuple[np.ndarray]]]:
    rng = np.random.default_rng(seed)
    logits = rng.uniform(0.2, 4, (rng.integers(5, 10), 1))
    logits[::2] *= -1
    groups = {"": [(logits,), (logits[1:2],), (logits[:1],)]}
    for size in LARGE:
        groups[str(size)] = [(rng.uniform(size - 4, size + 4, (1, 1)) * sign,) for sign in (-1, 1)]
    return groups


GENERATOR_LOSS = Exercise(
    name="04.generator_loss",
    task="the non-saturating loss of G as one number, from D's logits (n, 1) on its fakes, also large ones.",
    solution=generator_loss,
    inputs=logits_on_fakes,
    probe=partial(tensors, gradient=True),
    mistakes=[
        (lambda s: -softplus(-s).mean(), "The sign is wrong: this is +E log D. A small loss would be a small D(G(z))."),
        (lambda s: -softplus(s).mean(), "This is the saturating loss E log(1 - D). Its slope vanishes while D wins."),
        (lambda s: softplus(s).mean(), "The labels are swapped: this is -E log(1 - D). G wants the answer 1, real."),
        (lambda s: softplus(-s.sigmoid()).mean(), "The sigmoid is applied twice: softplus(-s) has it inside already."),
        (lambda s: softplus(-s).sum(), "This is the sum over the images, so it grows with the batch. Take the mean."),
        (lambda s: -s.sigmoid().log2().mean(), "The logarithm has base 2. Take the natural one, as softplus does."),
        (lambda s: -s.sigmoid().mean(), "The logarithm is missing: this is -E D(G(z)), and not -E log D(G(z))."),
        (lambda s: (-s).sigmoid().mean(), "The logarithm is missing: this is E (1 - D(G(z))), and not -E log D(G(z))."),
        (lambda s: (-s).relu().mean(), "This is the mean of relu(-s), which has a corner at 0. Take softplus(-s)."),
        (lambda s: -s.mean(), "This is the mean of -s, but a logit is no log of a probability. Take softplus(-s)."),
        (lambda s: -s.log().mean(), "You took the logit for a probability, and it may be negative. Take softplus(-s)."),
        (lambda s: -s.sigmoid().mean().log(), "This is the logarithm of a mean. E stands outside: log first."),
        *(
            (lambda s, a=a: (softplus(-s) + (1 - a) * s).mean(), "The labels are smoothed. For G it is 1.")
            for a in SMOOTHED
        ),
        (lambda s: F.binary_cross_entropy(s, torch.ones_like(s)), "These are logits, no probabilities: softplus(-s)."),
        (lambda s: torch.log1p(torch.exp(-s)).mean(), INFINITE),
        (lambda s: -s.sigmoid().log().mean(), INFINITE),
    ],
    otherwise={
        "type": "The loss is of type {got}, so it has no gradient. Return a tensor, without .item().",
        "shape": "The loss has shape {got}, but it must be one number. Write .mean() without an axis.",
        "value": "The loss is {got} where -E log D gives {expected}. Compare it with the formula of L_G.",
        "value *": "At a logit of {group} or -{group} the loss is {got} and not {expected}. Is there a clamp in it?",
        "not finite": "At an ordinary logit the loss or its slope is {got}: a logarithm of 0 or below, or 0/0.",
        "not finite *": "At a logit of {group} or -{group} the loss or its slope is {got}. Take softplus(-s).",
        "gradient": "The loss has no gradient, so G could not learn. Leave out .detach() and torch.no_grad().",
        "slope": "The value is right, but not the gradient. Compute all of the loss from fake_logits.",
        "slope *": "At a logit of -{group} the gradient vanishes. No clamp, no 1e-8, no sigmoid: take softplus(-s).",
    },
    praise=lambda inputs, seen: (
        f"Value and gradient are those of -E log D, also at a logit of {inputs[str(LARGE[-1])][0][0].item():.0f}."
    ),
    hints=(
        "Start from L_G = -E log D(G(z)), and put D = sigmoid(s) in. E is a mean over the batch.",
        "-log sigmoid(s) is softplus(-s), which is finite for every s. Take its mean over all logits.",
    ),
)


# ---- 04.discriminator_step


def discriminator_step(G, D, opt_D, x, z):
    """Move D once, on real images x (n, 1, 28, 28) and on the fakes that G makes of z (n, 128)."""
    with torch.no_grad():  # the loss of D must not reach G
        fake = G(z)
    loss = softplus(-D(x)).mean() + softplus(D(fake)).mean()
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()


def images_noise_and_weights(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 7))
    return {
        "x": np.kron(rng.uniform(-1, 1, (n, 1, 4, 4)), np.ones((7, 7))),
        "z": rng.normal(size=(n, 128)),
        "G": rng.normal(size=128 * 16 + 16) / 8,
        "D": rng.normal(size=16 + 1) / 2,
        "stale": rng.normal(size=16 + 1) / 4,  # what an earlier update_G left in D's gradients
        "lr": float(rng.uniform(0.2, 1)),
    }


def one_step(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    """What a step of D does to two small networks that take and make images as the lesson's do, flat ones too."""
    x, z, *vectors = (torch.tensor(inputs[name], dtype=torch.float32) for name in ("x", "z", "G", "D", "stale"))
    G = nn.Sequential(nn.Linear(128, 16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4)), nn.Upsample(scale_factor=7))
    D = nn.Sequential(
        nn.Flatten(), nn.Unflatten(1, models.IMAGE_SHAPE), nn.AvgPool2d(7), nn.Flatten(), nn.Linear(16, 1)
    )
    for net, vector in ((G, vectors[0]), (D, vectors[1])):
        vector_to_parameters(vector.clone(), net.parameters())  # the parameters become views of what it is given
    weight, bias = D.parameters()
    weight.grad, bias.grad = vectors[2][None, :16].clone(), vectors[2][16:].clone()
    drawn, noise, gradients_on, stepped, failure = z.clone(), [], [], [], None
    G.register_forward_pre_hook(
        lambda _, args: noise.append(isinstance(args[0], Tensor) and torch.equal(args[0], drawn))
    )
    D.register_forward_pre_hook(lambda *_: gradients_on.append(torch.is_grad_enabled()))
    opt_D = torch.optim.SGD(D.parameters(), inputs["lr"])
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: stepped.append(optimizer is opt_D))
    try:
        answer(G, D, opt_D, x, z)
    except Exception as error:
        failure = error
    finally:
        hook.remove()
    # a third time without gradients, to watch D, is no mistake
    yield "asked without gradients", not all(gradients_on) and sum(gradients_on) < 2
    if failure:
        raise failure
    before, after = vectors[1], parameters_to_vector(D.parameters()).detach()
    grads = [p.grad for p in D.parameters() if p.grad is not None]
    left = torch.cat([g.flatten() for g in grads]) if grads else torch.zeros(0)
    yield "noise", all(noise)
    yield "G moved", not torch.equal(parameters_to_vector(G.parameters()), vectors[0])
    yield "G has gradients", any(p.grad is not None for p in G.parameters())
    for name, net in (("G", G), ("D", D)):
        yield f"{name} frozen", not all(p.requires_grad for p in net.parameters())
        yield f"{name} resting", not all(m.training for m in net.modules())
    new = len(left) > 0 and not torch.equal(left, vectors[2])
    yield (
        "D",
        "moved" if not torch.equal(after, before) else f"stands still with {'new' if new else 'no new'} gradients",
    )
    yield "steps", f"{sum(stepped)} steps of opt_D and {len(stepped) - sum(stepped)} of another optimizer"
    yield "gradient", ((before - after) / inputs["lr"]).double().numpy()


def step_with(loss: Callable[[Tensor, Tensor], Tensor], fakes: Any = None, order: str = "zero backward step") -> Any:
    """A step of D with this loss of real and fake logits, these fakes, and this order of calls."""

    def wrong_step(G: Any, D: Any, opt_D: Any, x: Tensor, z: Tensor) -> None:
        total = loss(D(x), D(fakes(G, x, z) if fakes else G(z).detach()))
        for call in order.split():
            {"zero": opt_D.zero_grad, "backward": total.backward, "step": opt_D.step}[call]()

    return wrong_step


def bce(r: Tensor, f: Tensor) -> Tensor:
    return F.binary_cross_entropy(r, torch.ones_like(r)) + F.binary_cross_entropy(f, torch.zeros_like(f))


def without_gradients(G: Any, D: Any, opt_D: Any, x: Tensor, z: Tensor) -> None:
    with torch.no_grad():
        loss = minimax_D(D(x), D(G(z)))
    opt_D.zero_grad()
    loss.backward()


def half_without_gradients(real: bool) -> Any:
    def wrong_step(G: Any, D: Any, opt_D: Any, x: Tensor, z: Tensor) -> None:
        with torch.no_grad():
            lost = D(x if real else G(z))
        kept = D(G(z).detach() if real else x)
        loss = minimax_D(lost, kept) if real else minimax_D(kept, lost)
        opt_D.zero_grad()
        loss.backward()
        opt_D.step()

    return wrong_step


def step_by_another(G: Any, D: Any, opt_D: Any, x: Tensor, z: Tensor) -> None:
    step_with(minimax_D, order="zero backward")(G, D, opt_D, x, z)
    torch.optim.Adam(D.parameters()).step()


NO_GRAD = "Only G(z) belongs under no_grad; the loss of D needs gradients."
LOGARITHM = "You took the logit for a probability: D(x) may be negative. Take softplus(-D(x)) and softplus(D(fake))."
ONE_SIGN = "The sign of one half is wrong. Add softplus(-D(x)).mean() and softplus(D(fake)).mean()."
ONE_SUM = "One half is a sum over the images, the other a mean. Take means of both halves."
SMOOTHING = "The labels are smoothed, here {a:g} for real and {b:g} for fake. The lesson takes 1 and 0."


def smoothed(a: float, b: float) -> tuple[Any, str]:
    return step_with(lambda r, f: minimax_D(r, f) + (1 - a) * r.mean() - b * f.mean()), SMOOTHING.format(a=a, b=b)


DISCRIMINATOR_STEP = Exercise(
    name="04.discriminator_step",
    task="one update of D on real images x (n, 1, 28, 28) and on the fakes G(z), with opt_D, and of nothing else.",
    solution=discriminator_step,
    inputs=images_noise_and_weights,
    probe=one_step,
    free=("asked without gradients",),
    mistakes=[
        (step_with(lambda r, f: minimax_D(f, r)), "The labels are swapped: D learns to call fakes real."),
        (
            step_with(lambda r, f: minimax_D(r, -f)),
            "D learns to call all images real. The fake half is softplus(D(fake)).",
        ),
        (step_with(lambda r, f: -minimax_D(r, f)), "The sign of the whole loss is wrong, so D gets worse."),
        *((half_without_gradients(real), NO_GRAD) for real in (True, False)),
        (without_gradients, NO_GRAD),
        (
            step_with(lambda r, f: softplus(-r).mean()),
            "Only the real half reaches D. Is softplus(D(fake)) there, and not detached?",
        ),
        (
            step_with(lambda r, f: softplus(f).mean()),
            "Only the fake half reaches D. Is softplus(-D(x)) there, and not detached?",
        ),
        (step_with(lambda r, f: softplus(-r).mean() - softplus(f).mean()), ONE_SIGN),
        (step_with(lambda r, f: softplus(f).mean() - softplus(-r).mean()), ONE_SIGN),
        (
            step_with(lambda r, f: softplus(r).mean() + softplus(f).mean()),
            "D learns to call all fake: softplus(-D(x)).",
        ),
        (step_with(lambda r, f: softplus(-r).sum() + softplus(f).mean()), ONE_SUM),
        (step_with(lambda r, f: softplus(-r).mean() + softplus(f).sum()), ONE_SUM),
        (step_with(lambda r, f: softplus(-f).mean()), "This is the loss of G. D has a half on real images too."),
        (step_with(lambda r, f: minimax_D(r, r)), "Both halves look at the real images. The second one takes D(fake)."),
        (step_with(lambda r, f: minimax_D(f, f)), "Both halves look at the fakes. The first one takes D(x)."),
        (step_with(lambda r, f: minimax_D(r.sigmoid(), f.sigmoid())), "The sigmoid is applied twice: softplus has it."),
        (step_with(lambda r, f: -r.log().mean() - (1 - f).log().mean()), LOGARITHM),
        (step_with(lambda r, f: -r.log().mean() + softplus(f).mean()), LOGARITHM),
        (step_with(lambda r, f: softplus(-r).mean() - (1 - f).log().mean()), LOGARITHM),
        (step_with(bce), "These are logits, not probabilities: use binary_cross_entropy_with_logits, or softplus."),
        (step_with(lambda r, f: len(r) * minimax_D(r, f)), "This is a sum over the images. Take means of both halves."),
        (step_with(lambda r, f: minimax_D(r, f) / 2), "This is half the update: a mean of both halves. Add the means."),
        *(smoothed(a, b) for a in SMOOTHED for b in (0.0, 1 - a)),
        (step_with(minimax_D, order="backward step"), "Old gradients were added. Call zero_grad() before backward()."),
        (step_with(minimax_D, order="zero backward"), "D has new gradients but did not move. Call opt_D.step() last."),
        (
            step_with(minimax_D, order="zero step"),
            "D had no new gradients at step(): backward() comes after zero_grad() and before it.",
        ),
        (lambda G, D, opt_D, x, z: opt_D.step(), "D moved by old gradients. Call zero_grad(), backward(), step()."),
        (step_by_another, "Another optimizer moved D. Your function is given opt_D, which keeps D's memory."),
        (lambda G, D, opt_D, x, z: D(G(z).detach), "The fake is no tensor: write .detach() with brackets."),
    ],
    otherwise={
        "noise": "G got other numbers than z. Make the fakes from the z that your function is given.",
        "G moved": "G moved, but this step is for D alone. Only opt_D may step.",
        "G has gradients": "Gradients reached G. Make the fakes under torch.no_grad(), or write G(z).detach().",
        "G frozen": "G still has requires_grad False after your step, so it cannot learn. Leave it True.",
        "D frozen": "D still has requires_grad False after your step, so it cannot learn. Leave it True.",
        "G resting": "G is in eval mode after your step, and it was in train mode. Leave out G.eval().",
        "D resting": "D is in eval mode after your step, and it was in train mode. Leave out D.eval().",
        "D": "D {got}. Call opt_D.zero_grad(), loss.backward() and opt_D.step(), in this order.",
        "steps": "D moved by {got}. One loss of both halves and one opt_D.step() must move it.",
        "gradient": "D moved, but not against the gradient of L_D. Compare your loss with the formula of L_D.",
        "not finite": "D moved to NaN or infinity. A logit may be any number, also 0 or below.",
    },
    praise=lambda inputs, seen: "D moved by its own gradient, on both halves of the loss. No gradient reached G.",
    hints=(
        "Four parts: the fakes without a gradient for G, the loss of both halves, its gradient, the step.",
        "The loss is softplus(-D(x)).mean() + softplus(D(fake)).mean(). Then: zero_grad(), backward(), step().",
    ),
)


# ---- pairs of networks: what is looked at in any, however they are written


def noise_and_images(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 16))
    return {"z": rng.normal(size=(n, 128)), "x": rng.uniform(-1, 1, (n, 1, 28, 28))}


def pair_of_networks(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    pair = answer()
    is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(isinstance(net, nn.Module) for net in pair)
    yield (
        "pair",
        "two networks"
        if is_pair
        else "two classes"
        if isinstance(pair, tuple) and all(isinstance(p, type) for p in pair)
        else type(pair).__name__,
    )
    if not is_pair:
        return
    (G, D), z, x = pair, *(torch.tensor(inputs[name], dtype=torch.float32) for name in ("z", "x"))
    taken = takes(G, z), takes(D, x)
    yield "order", "D first" if not any(taken) and takes(G, x) and takes(D, z) else "G first"
    for name, yes in zip(("G takes z", "D takes images"), taken):
        yield name, yes
    yield "layers", "shared" if shared(G, D) else "apart"
    for name, net, t in (("G", G, z), ("D", D, x)):
        for fact, value in anatomy(net, t):
            yield f"{name} {fact}", value


def shared(*networks: nn.Module) -> bool:
    held = [id(p) for net in networks for p in net.parameters()]
    return len(set(held)) < len(held)


def placed(t: Tensor, net: nn.Module) -> Tensor:
    like = next(net.parameters(), t)
    return t.to(like.device, like.dtype)


@torch.no_grad()
def takes(net: nn.Module, t: Tensor) -> bool:
    try:
        return isinstance(net.eval()(placed(t, net)), Tensor)  # lazy layers get sizes here
    except (RuntimeError, ValueError):
        return False


@torch.no_grad()
def anatomy(net: nn.Module, t: Tensor) -> Iterator[tuple[str, Any]]:
    """What ``net`` returns, and what it does between its layers with weights: found by running it."""
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(layer: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> Tensor:
        # Spread out: on small numbers tanh and Hardtanh change nothing, whatever the weights are.
        y = 3 * (y - y.mean()) / (y.std() + 1e-12)
        calls.append((layer, args[0].flatten(1).cpu(), y.flatten(1).cpu().clone()))  # an activation may write into y
        return y

    t = placed(t, net)
    yield "shape", str(tuple(net.eval()(t).shape))
    with ExitStack() as hooks:
        for layer in net.modules():
            if getattr(getattr(layer, "weight", None), "ndim", 0) >= 2:
                hooks.enter_context(layer.register_forward_hook(note))
        y, again, trained = net(t), net(t), net.train()(t)
    n = len(calls) // 3
    yield "weights", "some" if n else "none"
    if not n:
        return
    resting, training_ = calls[:n], calls[2 * n :]
    yield "tail", tail(resting[-1][2], y)
    yield "rests", torch.equal(y, again)
    yield "tail in training", tail(training_[-1][2], trained)
    yield "first input", "as given" if torch.equal(resting[0][1], training_[0][1]) else "changed"
    yield "hidden layers", len({id(layer) for layer, _, _ in resting}) - 1
    yield "widths", "-".join(str(width) for width in [resting[0][1].shape[1], *(h.shape[1] for _, _, h in resting)])
    yield "activations", ", ".join(activation(h, a) for (_, _, h), (_, a, _) in pairwise(resting))
    yield "in training", ", ".join(dropout(h, a) for (_, _, h), (_, a, _) in pairwise(training_))
    yield "parameters", models.count_parameters(net)


def tail(last: Tensor, y: Tensor) -> str:
    """What made the output ``y`` of the last layer's."""
    tails = {"nothing": last, "tanh": last.tanh(), "sigmoid": last.sigmoid()}
    y = y.cpu().reshape(last.shape)
    return next((name for name, values in tails.items() if torch.allclose(y, values, atol=1e-4)), "something else")


def activation(h: Tensor, a: Tensor) -> str:
    """What made ``a`` of ``h``, by the factors on either side of 0."""
    if h.shape != a.shape:
        return "something else"
    up, down = (a / h)[h > 0.1], (a / h)[h < -0.1]
    slope = down.mean().item()
    if (up - 1).abs().max() > 1e-3 or (down - slope).abs().max() > 1e-3:
        return "something else"
    return "nothing" if abs(slope - 1) < 1e-3 else "ReLU" if abs(slope) < 1e-3 else f"LeakyReLU {slope:.2g}"


def dropout(h: Tensor, a: Tensor) -> str:
    """What else made ``a`` of ``h`` in training: dropout multiplies what it leaves by 1 / (1 - rate)."""
    if h.shape != a.shape:
        return "something else"
    factors = (a / h)[h > 0.1]
    left = factors[factors != 0]
    factor = left.mean().item() if len(left) else float("nan")
    if not (len(left) and (left - factor).abs().max() < 1e-3):
        return "normalisation or another change"
    return (
        f"dropout {1 - 1 / factor:.2g}"
        if len(left) < len(factors)
        else "nothing"
        if abs(factor - 1) < 1e-3
        else "a factor"
    )


PAIR = {
    "pair": "The function must return two networks, the generator first, not {got}. End it with: return G, D",
    "order": "The two networks are in the wrong order. Write return G, D",
    "G takes z": "G cannot take z of shape (n, 128). Look at its first layer, and at the widths that must meet.",
    "D takes images": "D cannot take images of shape (n, 1, 28, 28). Begin with nn.Flatten(), and look at the widths.",
    "layers": "G and D share parameters, so one step would move both. Give each player layers of its own.",
    "G shape": "G returns the shape {got}, and it must be {expected}. End it with nn.Unflatten(1, (1, 28, 28)).",
    "D shape": "D returns the shape {got}, and it must be {expected}: one output at the end, and no squeeze after it.",
    "G weights": "G has no layer that the check can see: take nn.Linear or a convolution.",
    "D weights": "D has no layer that the check can see: take nn.Linear or a convolution.",
    "G tail": "G does not end in tanh but in {got}. The images lie in [-1, 1], so the fakes must lie there too.",
    "D tail": "D ends in {got} after its last linear layer. Leave it out: a logit may be any number.",
    "G rests": "In eval mode G gives two answers to one z. F.dropout needs training=self.training.",
    "D rests": "In eval mode D gives two answers to one image. F.dropout needs training=self.training.",
    "G tail in training": "While G trains, something else changes its images at the end. Dropout comes earlier.",
    "D tail in training": "While D trains, something changes its logits at the end. Dropout comes earlier.",
    "G first input": "While G trains, something changes z before its first layer.",
    "D first input": "While D trains, something changes the images before its first layer. Dropout comes later.",
}


# ---- 04.deeper_pair


def deeper_pair():
    """Return G with three hidden layers and D with two."""
    G = nn.Sequential(  # z (n, 128) -> images (n, 1, 28, 28)
        nn.Linear(128, 256), nn.ReLU(),
        nn.Linear(256, 512), nn.ReLU(),
        nn.Linear(512, 512), nn.ReLU(),
        nn.Linear(512, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)),
    )  # fmt: skip
    D = nn.Sequential(  # images (n, 1, 28, 28) -> logits (n, 1)
        nn.Flatten(),
        nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(256, 1),
    )  # fmt: skip
    return G, D


def is_deeper(inputs: Plain, seen: Plain) -> str:
    for name, least in (("G", 3), ("D", 2)):
        made = seen[f"{name} activations"].split(", ")
        if "nothing" in made:
            place = made.index("nothing") + 1
            return f"In {name} no activation follows hidden layer {place}. Two linear layers in a row are only one."
        hidden = seen[f"{name} hidden layers"]
        if type(hidden) is not int:
            raise TypeError
        if hidden < least:
            count = f"{hidden} hidden layer{'s' * (hidden != 1)}"
            return f"{name} has {count} with weights of its own. The textbook has {least - 1}, so give it {least}."
    return ""


DEEPER_PAIR = Exercise(
    name="04.deeper_pair",
    task="return G and D, each with more hidden layers than in the textbook pair.",
    solution=deeper_pair,
    inputs=noise_and_images,
    probe=pair_of_networks,
    free=[
        f"{net} {fact}"
        for net in "GD"
        for fact in ("hidden layers", "widths", "activations", "in training", "parameters")
    ],
    verdict=is_deeper,
    otherwise=PAIR,
    praise=lambda inputs, seen: (
        f"G has {seen['G hidden layers']} hidden layers and D has {seen['D hidden layers']}, each with an activation."
    ),
    hints=(
        "The textbook G has two hidden layers and its D has one. A hidden layer is nn.Linear and an activation.",
        "Copy both lists of layers. Add nn.Linear(512, 512), nn.ReLU() to G. Do the same with 256 in D.",
    ),
)


# ---- 04.upgraded_pair


def upgraded_pair():
    """Return G 128-256-512-1024-784 and D 784-1024-512-256-1 with LeakyReLU 0.2, and dropout 0.3 in D."""
    G = nn.Sequential(  # z (n, 128) -> images (n, 1, 28, 28)
        nn.Linear(128, 256), nn.LeakyReLU(0.2),
        nn.Linear(256, 512), nn.LeakyReLU(0.2),
        nn.Linear(512, 1024), nn.LeakyReLU(0.2),
        nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)),
    )  # fmt: skip
    D = nn.Sequential(  # images (n, 1, 28, 28) -> logits (n, 1)
        nn.Flatten(),
        nn.Linear(784, 1024), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Linear(1024, 512), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Linear(512, 256), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Linear(256, 1),
    )  # fmt: skip
    return G, D


def reversed_D():
    return upgraded_pair()[0], nn.Sequential(nn.Flatten(), *models.mlp(784, 256, 512, 1024, 1))


UPGRADED_PAIR = Exercise(
    name="04.upgraded_pair",
    task="G 128-256-512-1024-784 and D 784-1024-512-256-1, LeakyReLU 0.2 after hidden layers, and dropout 0.3 in D.",
    solution=upgraded_pair,
    inputs=noise_and_images,
    probe=pair_of_networks,
    mistakes=[(reversed_D, "The hidden layers of D are in reverse order: it narrows from 1024 to 256.")],
    otherwise=PAIR
    | {
        "G hidden layers": "G has {got} hidden layers with weights of its own, and {expected} are asked.",
        "D hidden layers": "D has {got} hidden layers with weights of its own, and {expected} are asked.",
        "G widths": "The widths differ. G is {got}, and it must be {expected}.",
        "D widths": "The widths differ. D is {got}, and it must be {expected}.",
        "G activations": "After hidden layer {at} of G stands {got}, and it must be {expected}: nn.LeakyReLU(0.2).",
        "D activations": "After hidden layer {at} of D stands {got}, and it must be {expected}: nn.LeakyReLU(0.2).",
        "G in training": "While G trains, {got} follows hidden layer {at}. Only D has dropout, and no layer BatchNorm.",
        "D in training": "While D trains, {got} follows hidden layer {at}. It must be {expected}, and nothing else.",
        "G parameters": "G has {got} parameters, not {expected}. Each layer has a bias, and no more.",
        "D parameters": "D has {got} parameters, not {expected}. Each layer has a bias, and no more.",
    },
    praise=lambda inputs, seen: (
        f"G has {seen['G parameters']:,} parameters and D has {seen['D parameters']:,}, each layer as in the task."
    ),
    hints=(
        "nn.LeakyReLU(0.2) comes after each hidden layer. In D, nn.Dropout(0.3) follows it.",
        "G ends in nn.Tanh() and nn.Unflatten(1, (1, 28, 28)). D begins with nn.Flatten() and ends in one logit.",
    ),
)


# ---- 04.noise_size


def gan_with_noise(latent_dim):
    """Return an untrained GAN of the better recipe whose noise has latent_dim numbers."""
    G, D = models.better_pair(latent_dim)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.0, 0.99)) for net in (G, D))
    return GAN(G, D, opt_G, opt_D, models.NormalLatent(latent_dim), r1=0.1, r1_every=4, average=0.998)


def sizes_and_images(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    return {
        "latent_dims": np.array([rng.integers(2, 10), rng.integers(10, 60), rng.integers(60, 120)]),
        "images": rng.uniform(-1, 1, (8, 1, 28, 28)),
    }


def gans_of_sizes(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    sizes = [int(size) for size in inputs["latent_dims"]]
    gans = [answer(size) for size in sizes]
    yield "type", next((type(gan).__name__ for gan in gans if not isinstance(gan, GAN)), "GAN")
    yield "steps", max(gan.steps_done for gan in gans)
    latents: list[Any] = [gan.latent for gan in gans]  # GAN does not look at their type
    drawn = [
        latent(4, torch.Generator(gan.device).manual_seed(0)) for latent, gan in zip(latents, gans) if callable(latent)
    ]
    yield "latent", len(drawn) == len(gans) and all(isinstance(z, Tensor) and z.ndim > 1 for z in drawn)
    own = [next(gan.G.parameters()).dtype for gan in gans]
    odd = (f"{z.dtype} for a G in {dtype}" for z, dtype in zip(drawn, own) if z.dtype != dtype)
    yield "dtype", next(odd, "that of G")
    right = all(z.shape[1] == size for z, size in zip(drawn, sizes))
    taken = all(
        takes(gan.G.train(), torch.zeros(4, size, *z.shape[2:], dtype=z.dtype))
        for gan, z, size in zip(gans, drawn, sizes)
    )
    yield "latent_dim", " and ".join(["the latent"] * right + ["G"] * taken) or "neither"
    yield "networks", "shared" if shared(*(net for gan in gans for net in (gan.G, gan.D))) else "new"
    images = torch.tensor(inputs["images"], dtype=own[0], device=gans[0].device)
    yield "shape", str([tuple(gan.sample(4, seed=0).shape) for gan in gans])
    for gan in gans:
        gan.step(repeat((images,)))
    yield "learns", len(gans)


def gan_of(of_G: int, of_latent: int, order: str = "G D opt_G opt_D latent") -> GAN:
    G, D = models.textbook_pair(of_G)
    opt_G, opt_D = (torch.optim.Adam(net.parameters()) for net in (G, D))
    parts: dict[str, Any] = {"G": G, "D": D, "opt_G": opt_G, "opt_D": opt_D, "latent": models.NormalLatent(of_latent)}
    return GAN(*(parts[name] for name in order.split()))


SWAPPED = "Networks or optimizers are swapped. Write GAN(G, D, opt_G, opt_D, latent), where opt_G has G.parameters()."


NOISE_SIZE = Exercise(
    name="04.noise_size",
    task="return an untrained GAN whose noise has latent_dim numbers.",
    solution=gan_with_noise,
    inputs=sizes_and_images,
    probe=gans_of_sizes,
    otherwise={
        "type": "The function returned an object of type {got}. Return a GAN: GAN(G, D, ...).",
        "steps": "The GANs have trained already, {got} steps each. Return them untrained: the lesson trains them next.",
        "latent": "The latent must be a function that draws z: pass models.NormalLatent(latent_dim).",
        "dtype": "The latent draws z of dtype {got}. Give both one dtype: models.NormalLatent draws float32.",
        "latent_dim": "{got} follows latent_dim, and both must.",
        "networks": "Two calls share parameters: one GAN would train the other. Build both networks in the function.",
        "learns": "A step on images of the lesson's shape is not possible with one of the GANs.",
        "shape": "The samples have the shapes {got}, and they must have {expected}.",
    },
    mistakes=[
        (lambda latent_dim: gan_of(latent_dim, latent_dim, "D G opt_G opt_D latent"), SWAPPED),
        (lambda latent_dim: gan_of(latent_dim, latent_dim, "G D opt_D opt_G latent"), SWAPPED),
        (lambda latent_dim: gan_of(latent_dim, latent_dim, "G opt_G D opt_D latent"), SWAPPED),
        (lambda latent_dim: gan_of(128, 128), "Neither the latent nor G has latent_dim numbers. Give it to both."),
        (
            lambda latent_dim: gan_of(128, latent_dim),
            "The latent draws latent_dim numbers, which G cannot take. Give latent_dim to G too.",
        ),
        (
            lambda latent_dim: gan_of(latent_dim, 128),
            "G takes latent_dim numbers, the latent draws others. Give latent_dim to the latent too.",
        ),
    ],
    praise=lambda inputs, seen: f"The GAN works with noise of {', '.join(map(str, inputs['latent_dims']))} numbers.",
    hints=(
        "Two places must know the size: the first layer of G, and the latent that draws z.",
        "models.better_pair and models.NormalLatent both take latent_dim as their first argument.",
    ),
)


# ---- 04.fashion_mnist


def train_on(images, steps):
    """Return a new textbook GAN after ``steps`` steps on images (n, 1, 28, 28) in [-1, 1]."""
    G, D = models.textbook_pair()
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D))
    gan = GAN(G, D, opt_G, opt_D, models.NormalLatent(128))
    for _ in training.train(gan, training.Minibatches(images, batch_size=128), until=steps):
        pass  # train does a step each time that the loop asks for one
    return gan


RANGE = "Leave the range alone: they lie in [-1, 1] already."


def two_sets_of_patches(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    corners = rng.permutation([(0, 0), (0, 14), (14, 0), (14, 14)])[:2] + rng.integers(1, 5, (2, 2))
    images = np.full((2, 512, 1, 28, 28), -1.0)
    for batch, (row, column) in zip(images, corners):
        batch[:, :, row : row + 9, column : column + 9] = rng.uniform(0.2, 1, (512, 1, 9, 9))
    return {"images": images[0], "others": images[1], "steps": int(rng.integers(100, 120))}


def two_trainings(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    others, images = (torch.tensor(inputs[name], dtype=torch.float32) for name in ("others", "images"))
    first, gan = answer(others, 2), answer(images, inputs["steps"])
    yield "type", next((type(made).__name__ for made in (first, gan) if not isinstance(made, GAN)), "GAN")
    yield "networks", "shared" if shared(first.G, first.D, gan.G, gan.D) else "new"
    yield "steps", int(gan.steps_done)
    yield "lr", float(max(group["lr"] for group in gan.opt_G.param_groups))
    yield "mean", gan.sample(128, seed=0).double().mean(0).cpu().numpy()


def looks_like_the_images(inputs: Plain, seen: Plain) -> str:
    # Means of 7 x 7 pixels. Over 3 recipes and 5 seeds, right answers reached a relief of 0.64 and a correlation of
    # 0.96 at least and paper of -0.64 at most; wrong ones 0.17, or 0.00, or -0.01. The bounds lie midway.
    got, wanted = (coarse(image) for image in (seen["mean"], inputs["images"].mean(0)))
    paper = got[wanted < -0.95].mean()
    if not np.ptp(got) > 0.4 * np.ptp(wanted):
        slow = f"The learning rate {seen['lr']:.0e} is too small for {inputs['steps']} steps: take 2e-4."
        return f"The samples have hardly any contrast. {slow if seen['lr'] < 1e-4 else RANGE}"
    if not np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.5:
        return "The samples do not look like the given images. Train on the argument images, not on others."
    if not paper < -0.3:
        return f"The paper of the samples is at {paper:.1f} and not near -1. {RANGE}"
    return ""


def coarse(image: np.ndarray) -> np.ndarray:
    return image.reshape(4, 7, 4, 7).mean((1, 3))


FASHION_MNIST = Exercise(
    name="04.fashion_mnist",
    task="return a new GAN that has trained for steps steps on these images (N, 1, 28, 28) in [-1, 1].",
    solution=train_on,
    inputs=two_sets_of_patches,
    probe=two_trainings,
    free=("lr", "mean"),
    verdict=looks_like_the_images,
    mistakes=[
        *(
            (
                lambda images, steps, f=f: train_on(f(images), steps),
                f"The images were scaled again, and GAN refused them. {RANGE}",
            )
            for f in (lambda x: 2 * x - 1, lambda x: (x + 1) / 2)
        ),
        (
            lambda images, steps: gan_with_noise(128),
            "The GAN did no step. train steps only while a loop asks: for _ in train(...): pass",
        ),
    ],
    otherwise={
        "type": "The function returned an object of type {got}. Return the trained GAN.",
        "networks": "The second call went on with the networks of the first. Build all of the GAN inside the function.",
        "steps": "The GAN did {got} steps, and it was asked for {expected}. Write until=steps.",
    },
    praise=lambda inputs, seen: f"After {seen['steps']} steps the samples look like the images that the check gave.",
    hints=(
        "Build everything inside the function: networks, optimizers, GAN and Minibatches(images).",
        "training.train(gan, batches, until=steps) does a step only when a for loop asks. Then return gan.",
    ),
)


# ---- 04.is_step: write the check


def is_step(step):
    """Return whether step(G, D, opt_D, x, z) updates D once as it should, and nothing else."""
    G, D = nn.Sequential(nn.Linear(2, 4), nn.Tanh()), nn.Linear(4, 1)
    opt_D = torch.optim.SGD(D.parameters(), lr=1.0)
    x, z = torch.rand(8, 4), torch.randn(8, 2)
    loss = softplus(-D(x)).mean() + softplus(D(G(z).detach())).mean()
    wanted = [p.detach() - g for p, g in zip(D.parameters(), torch.autograd.grad(loss, list(D.parameters())))]
    for p in D.parameters():
        p.grad = torch.ones_like(p)  # as an earlier update of G may leave it
    step(G, D, opt_D, x, z)
    moved_right = all(torch.allclose(p, w, atol=1e-6) for p, w in zip(D.parameters(), wanted))
    return moved_right and all(p.grad is None for p in G.parameters()) and D.training


def with_cross_entropy(G: Any, D: Any, opt_D: Any, x: Tensor, z: Tensor) -> Tensor:
    real, fake = D(x), D(G(z).detach())
    loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    loss = loss + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.detach()


def in_two_halves(G: Any, D: Any, opt_D: Any, x: Tensor, z: Tensor) -> None:
    opt_D.zero_grad(set_to_none=False)
    softplus(-D(x)).mean().backward()
    softplus(D(G(z).detach())).mean().backward()
    opt_D.step()


def left_resting(G: Any, D: Any, opt_D: Any, x: Tensor, z: Tensor) -> None:
    D.eval()
    discriminator_step(G, D, opt_D, x, z)


CANDIDATES: list[tuple[Any, str]] = [
    (discriminator_step, "the step of the lesson"),
    (with_cross_entropy, "cross-entropy, and D.zero_grad() in the place of opt_D.zero_grad()"),
    (in_two_halves, "the halves one after the other, into one gradient"),
    (step_with(lambda r, f: minimax_D(f, r)), "the labels swapped"),
    (step_with(lambda r, f: softplus(-r).mean()), "the real half alone"),
    (step_with(lambda r, f: len(r) * minimax_D(r, f)), "sums in the place of means"),
    (step_with(minimax_D, order="backward step"), "no zero_grad, which shows where old gradients are left"),
    (step_with(minimax_D, order="zero backward"), "no opt_D.step()"),
    (step_with(minimax_D, lambda G, x, z: G(z)), "no detach, which shows in the gradients of G"),
    (step_with(minimax_D, lambda G, x, z: G(torch.randn_like(z)).detach()), "noise of its own in the place of z"),
    (left_resting, "D left in eval mode"),
]
IS_STEP = write_the_check(
    CANDIDATES,
    right=3,
    enough=6,
    arguments=("G", "D", "opt_D", "x", "z"),
    name="04.is_step",
    task="return True if step(G, D, opt_D, x, z) is a right update of D, and False if not.",
    solution=is_step,
    otherwise={"type": "Your check returned an object of type {got}. Return True or False for each program."},
    hints=(
        "Make a small G and D, call the step on them, and look: who moved, and where to? What must stay as it was?",
        "Compute D's gradient before the call: SGD with lr=1 moves D by minus that. Old gradients must not count.",
    ),
)

EXERCISES = [GENERATOR_LOSS, DISCRIMINATOR_STEP, DEEPER_PAIR, NOISE_SIZE, FASHION_MNIST, UPGRADED_PAIR, IS_STEP]
