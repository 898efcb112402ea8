"""What a GAN looks at before it trains, and when a step has failed: settings, minibatches, what the networks return.

What works is let through. The cause of an error is found by trying: if the network works once one thing is changed,
that thing is named. All is tried on copies of the networks, inside a random state that the caller puts back.
"""

import copy
import inspect
import math
import operator
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import product
from numbers import Real
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any

import torch
from torch import Tensor, nn

from .images import SLACK, check_images, check_not_0_to_1

Loss = Callable[[Tensor, Tensor], Tensor]
OPTIMIZER = ("step", "zero_grad", "param_groups")
SCORES = (-100.0, -10.0, -1.0, 0.0, 1.0, 10.0, 100.0)


# ---- settings


def whole(name: str, value: Any, least: int | None = None) -> int:
    """Return ``value`` as an int, whether it is Python's, numpy's or torch's; ValueError names it ``name``."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f" of at least {least}"
        raise ValueError(f"{name} must be a whole number{bound}, got {value!r}")
    return number


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a number, Python's or numpy's."""
    return isinstance(value, Real)


def check_players(G: Any, D: Any, opt_G: Any, opt_D: Any) -> None:
    """Raise TypeError or ValueError unless ``G`` and ``D`` can learn, each by an optimizer of its own."""
    for role, network in (("generator", G), ("discriminator", D)):
        if not isinstance(network, nn.Module):
            raise TypeError(f"{role} must be a network, an nn.Module, got {_kind(network)}")
        if not any(p.requires_grad for p in network.parameters()):
            raise ValueError(f"{role} must have parameters that can learn, got a network without: is all of it frozen?")
        made = [p for p in network.parameters() if not isinstance(p, nn.UninitializedParameter)]
        if any(p.is_inference() or p.is_meta for p in made):
            raise ValueError(
                f"{role} must have parameters that can learn, got a network made under torch.inference_mode or on the "
                "device meta: build it outside of it"
            )
    for name, optimizer in (("opt_G", opt_G), ("opt_D", opt_D)):
        if isinstance(optimizer, type) or not all(hasattr(optimizer, part) for part in OPTIMIZER):
            raise TypeError(
                f"{name} must be a torch.optim.Optimizer, got {_kind(optimizer)}: "
                f"it needs {', '.join(OPTIMIZER)}, as torch.optim.Adam(G.parameters()) has them"
            )
        # of the class, since a scheduler wraps the step of the object
        if not (
            _binds(type(optimizer).step, optimizer) if hasattr(type(optimizer), "step") else _binds(optimizer.step)
        ):
            raise TypeError(
                f"{name} must move at a call of step(), got {type(optimizer).__name__}, whose step needs a closure: "
                "take Adam, SGD or another without"
            )
    of_G, of_D = ({id(p) for p in net.parameters() if p.requires_grad} for net in (G, D))
    in_G, in_D = (_held(optimizer) for optimizer in (opt_G, opt_D))
    if of_D <= in_G and of_G <= in_D and not (in_G & of_G or in_D & of_D):
        raise ValueError(
            "opt_G must hold the parameters of the generator, got those of the discriminator, and opt_D the reverse: "
            "networks or optimizers are swapped, write GAN(G, D, opt_G, opt_D, latent)"
        )
    _check_optimizer("opt_G", in_G, "generator", G, D)
    _check_optimizer("opt_D", in_D, "discriminator", D, G)


def _check_optimizer(name: str, held: set[int], role: str, own: nn.Module, other: nn.Module) -> None:
    """A shared optimizer would move the opponent too, with its stale momentum."""
    foreign = len(held & {id(p) for p in other.parameters()})
    missing = len({id(p) for p in own.parameters() if p.requires_grad} - held)
    if missing and not foreign and not held & {id(p) for p in own.parameters()}:
        raise ValueError(
            f"{name} must hold the parameters of the {role}, got an optimizer of neither player's: "
            "build it after the networks, and again whenever they are built anew"
        )
    if foreign:
        raise ValueError(
            f"{name} must hold the parameters of the {role} and of nobody else, got an optimizer that lacks {missing} "
            f"of its tensors and holds {foreign} of the other player's: give each player an optimizer of its own"
        )
    if missing:
        raise ValueError(
            f"{name} must hold the parameters of the {role}, got an optimizer that lacks {missing} of its tensors: "
            "give it all of .parameters(), and freeze with requires_grad_(False) what shall not learn"
        )


def check_latent(latent: Any) -> None:
    """Raise TypeError unless ``latent`` can be called with n and a random generator."""
    builtin = isinstance(latent, BuiltinFunctionType)  # such as torch.randn, whose arguments are others
    if isinstance(latent, type) or not callable(latent) or builtin or not _binds(latent, 2, None):
        taken = f", which takes {inspect.signature(latent)}" if inspect.isfunction(latent) else ""
        raise TypeError(
            f"latent must be a function that draws z, latent(n, rng) -> (n, latent_dim), got {_kind(latent)}{taken}: "
            "NormalLatent(latent_dim) is one, and lambda n, rng: torch.randn(n, 128, generator=rng)"
        )


def check_network(role: str, network: Any) -> None:
    """Raise TypeError or ValueError unless ``network`` is one that can learn."""
    if not isinstance(network, nn.Module):
        raise TypeError(f"{role} must be a network, an nn.Module, got {_kind(network)}")
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError(f"{role} must have parameters that can learn, got a network without: is all of it frozen?")


def check_only_optimizer(optimizer: Any, such_as: str) -> set[int]:
    """Raise TypeError unless ``optimizer`` moves at a call of step(); return the ids of its parameters."""
    if isinstance(optimizer, type) or not all(hasattr(optimizer, part) for part in OPTIMIZER):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer, got {_kind(optimizer)}: {such_as} is one")
    of_class = getattr(type(optimizer), "step", None)  # since a scheduler wraps the step of the object
    if not (_binds(of_class, optimizer) if of_class else _binds(optimizer.step)):
        raise TypeError(
            f"optimizer must move at a call of step(), got {type(optimizer).__name__}, whose step needs a closure: "
            "take Adam, SGD or another without"
        )
    return _held(optimizer)


def check_average(average: Any, call: str, *networks: nn.Module) -> float | None:
    """Return the largest decay of an average of ``networks``, or None; ``call`` gives lazy layers their weights."""
    if average is None:
        return None
    if not is_number(average) or not 0 < average < 1:
        raise ValueError(f"average must be a decay in (0, 1) such as 0.998, or None, got {average!r}")
    if any(isinstance(p, nn.UninitializedParameter) for network in networks for p in network.parameters()):
        raise ValueError(
            f"average must be None for lazy layers, which have no weights yet, got {average!r}: "
            f"they have some after one call of {call}"
        )
    return float(average)  # numpy's is no plain value to save


# ---- minibatches


def check_batches(batches: Any) -> None:
    """Raise TypeError unless ``batches`` gives minibatches to next."""
    if not hasattr(batches, "__next__"):
        raise TypeError(
            f"batches must be an iterator of tuples, got {_kind(batches)}: "
            "use Minibatches(images), or iter(...) of a loader that never ends"
        )


def unpacked(batch: Any) -> tuple[Any, ...]:
    """Return the minibatch ``batch``, a tuple or list of samples (n, ...) and any conditions, with n of at least 1."""
    if not isinstance(batch, tuple | list) or not batch or not isinstance(batch[0], Tensor):
        inside = f" of {type(batch[0]).__name__}" if isinstance(batch, tuple | list) and batch else ""
        raise TypeError(
            f"a minibatch must be a tuple of tensors, (x,) or (x, labels), got {type(batch).__name__}{inside}: "
            "use Minibatches(images), or DataLoader(TensorDataset(images))"
        )
    if not batch[0].ndim or not len(batch[0]):
        raise ValueError(f"a minibatch must hold at least one sample x (n, ...), got x of {tuple(batch[0].shape)}")
    return tuple(batch)


def check_batch(x: Tensor, *y: Any) -> None:
    """Raise ValueError for samples ``x`` (n, ...) that would train in silence to nothing, or that torch cannot use."""
    form = f"{x.dtype} of shape {tuple(x.shape)}"
    if not x.is_floating_point():
        if x.ndim < 2 or (y and isinstance(y[0], Tensor) and y[0].is_floating_point()):
            raise ValueError(
                f"a minibatch must begin with float samples x (n, ...), got {form}: "
                "images come first and labels second, Minibatches(images, labels)"
            )
        if x.ndim == 2 or x.is_complex():
            raise ValueError(f"a minibatch must begin with float samples x (n, ...), got {form}: x.float() makes them")
        mend = "2 * x.float() - 1" if x.max() <= 1 else "x.float() / 127.5 - 1"
        mend = f"({mend})[:, None]" if x.ndim == 3 else mend
        raise ValueError(
            f"images must be floats in [-1, 1], got {form} from {x.min().item()} to {x.max().item()}: "
            f"divide pixels of 0 to 255 by 127.5 and subtract 1, here {mend}"
        )
    if not x.isfinite().all():
        raise ValueError("a minibatch must hold finite numbers, got NaN or inf: look at the data before the training")
    if x.is_inference():
        raise ValueError(
            "a minibatch must hold tensors that can be trained on, got some made under torch.inference_mode: "
            "make them outside of it, or x.clone()"
        )


def check_range(x: Tensor, low: float, high: float) -> None:
    """Raise ValueError for images ``x`` (n, c, h, w) beside a generator that cannot leave [``low``, ``high``]."""
    lowest, highest = x.min().item(), x.max().item()
    if low >= 0 and -1 - SLACK <= lowest < -SLACK and highest <= 1 + SLACK:
        raise ValueError(
            f"images must lie in the range of the generator, got {lowest:.4g} to {highest:.4g} beside a generator "
            "that never goes below 0: let it end in nn.Tanh()"
        )
    if low >= -1 and high <= 1:
        check_images(x, shape=x.shape[1:])
        if low < 0:
            check_not_0_to_1(x)
    elif lowest >= 0 and highest > 100:  # bytes, whatever the generator can do; standardised data go below 0
        check_images(x, shape=x.shape[1:])


# ---- what the networks return


def twin(network: nn.Module) -> nn.Module:
    """Return a copy of ``network``, of a compiled one the network inside."""
    network = getattr(network, "_orig_mod", network)
    # The old weight_norm and spectral_norm keep a computed weight beside the parameters, which deepcopy refuses.
    computed = [
        (vars(m), name, value)
        for m in network.modules()
        for name, value in vars(m).items()
        if isinstance(value, Tensor) and value.grad_fn is not None
    ]
    try:
        for members, name, value in computed:
            members[name] = value.detach()
        return copy.deepcopy(network)
    finally:
        for members, name, value in computed:
            members[name] = value


def look(G: nn.Module, D: nn.Module, z: Any, x: Tensor, *y: Any, loss_D: Loss | None = None) -> None:
    """Raise ValueError or TypeError when ``G`` and ``D`` cannot train on ``x`` (n, ...) under ``y`` from ``z``.

    With ``loss_D`` the ranges of data, samples and logits are looked at too, which takes longer.
    """
    if not isinstance(z, Tensor) or z.ndim < 1 or len(z) != len(x):
        raise TypeError(f"latent must draw a tensor z (n, latent_dim), got {_form(z)} for n = {len(x)}")
    try:
        G, D = twin(G), twin(D)
    except Exception:  # a network that cannot be copied trains without being looked at
        return
    try:
        fake = answer("generator", G, z, *y)
    except Exception:
        if takes(D, z) and takes(G, x):
            raise ValueError(
                "generator must map z to samples, got a network that takes samples, and a discriminator that takes z: "
                "networks are swapped, write GAN(G, D, opt_G, opt_D, latent)"
            ) from None
        raise
    if not isinstance(fake, Tensor):
        raise TypeError(f"generator must return one tensor of samples, got {_form(fake)}")
    if fake.shape != x.shape:
        raise ValueError(
            f"generator must make samples of the shape of the data, got {tuple(fake.shape)} beside {tuple(x.shape)}: "
            "reshape one of them"
        )
    for samples in (x, fake):
        _check_logits(answer("discriminator", D, samples, *y), samples)
    if loss_D is None:
        return
    for role, network, first in (("generator", G, z), ("discriminator", D, x)):
        with torch.enable_grad():
            if not network(first.clone(), *map(_clone, y)).requires_grad:
                raise ValueError(
                    f"{role} must lead the gradient from its answers back to its weights, got answers without one: "
                    "leave out .detach(), .data and torch.no_grad() in its forward"
                )
    if x.ndim == 4:
        check_range(x, *reach(G, z, *y, draws=4))
    _check_reach(loss_D, *reach(D, torch.cat([x, fake.to(x.dtype)]), *(_twice(t) for t in y)))


def answer(role: str, network: nn.Module, first: Tensor, *y: Any) -> Any:
    """Return what ``network``, a copy, makes of z or x (n, ...) under ``y``; an error names its cause.

    ``role`` is generator or discriminator. Errors without a cause that can be named stay what they are.
    """
    given = [t.clone() if isinstance(t, Tensor) else t for t in (first, *y)]
    try:
        with torch.no_grad():
            made = network(*given)
    except Exception as error:
        if _ours(error):  # a network of the course has named the cause
            raise
        cause = _cause(role, network, first, y, error)
        if not cause:
            raise
        raise ValueError(cause) from error
    for k, (was, now) in enumerate(zip((first, *y), given)):
        if role == "generator" and k == 0:  # z is nobody else's
            continue
        if isinstance(was, Tensor) and (now._version or not torch.equal(was, now)):
            raise ValueError(
                f"{role} must leave its arguments as they are, got one that changes a tensor of {tuple(was.shape)} in "
                "place, which the other player and the next step need: write x = x + noise, not x += noise"
            )
    return made


def _ours(error: BaseException) -> bool:
    places = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    return isinstance(error, ValueError | TypeError) and Path(places[-1]).parent == Path(__file__).parent


def explain(role: str, network: nn.Module, first: Tensor, *y: Any) -> None:
    """Raise ValueError when ``network``, in eval mode, stops at z or x (n, ...) under ``y`` for a known cause."""
    with suppress(Exception):  # in eval mode one that cannot be copied can be tried itself
        network = twin(network)
    answer(role, network, first, *y)


def reach(network: nn.Module, *arguments: Any, draws: int = 32) -> tuple[float, float]:
    """Return the least and the greatest number that ``network``, a copy, returns while its weights are drawn anew.

    A network that ends in a linear layer answers below -1 and above 1 after a few draws: its range is no matter of what
    it has learnt. One that ends in a sigmoid stays in [0, 1], in each of the ``draws``. The copy is of no use later.
    """
    rng = torch.Generator(next(network.parameters()).device).manual_seed(0)
    scales = [(p, p.detach().float().square().mean().sqrt() + 0.05) for p in network.parameters()]
    low, high, alive = math.inf, -math.inf, 0
    network.train()  # in eval mode a spectral norm would divide a change of sign out again
    for k in range(draws):
        with torch.no_grad():
            for p, scale in scales:
                p.copy_(3.0 ** (k % 12) * scale * torch.randn(p.shape, generator=rng, device=p.device))
            for factor in (1, 100):  # a spectral norm makes the answers small
                try:
                    made = network(*(factor * t if t is arguments[0] else _clone(t) for t in arguments))
                except Exception:  # a network that stops at such weights is let through
                    return -math.inf, math.inf
                made = made[made.isfinite()]
                alive += bool(made.any())
                if made.numel():
                    low, high = min(low, made.min().item()), max(high, made.max().item())
        if low < -1 and high > 1:
            break
    # Where ReLUs are mostly dead, answers of 0 tell nothing about the end.
    if alive < draws / 4 or (-1 <= low < 0 < high <= 1 and _ends_in_a_layer(network, arguments)):
        return -math.inf, math.inf
    return low, high


def _ends_in_a_layer(network: nn.Module, arguments: tuple[Any, ...]) -> bool:
    """Whether the answers come from a linear layer: one that a norm keeps small has no end to leave out."""
    made: list[Tensor] = []
    for m in network.modules():
        if isinstance(m, nn.Linear | nn.Conv2d):
            m.register_forward_hook(lambda m, given, out: made.append(out.flatten().clone()))
    with torch.no_grad():
        answers = network(*map(_clone, arguments)).flatten()
    return bool(made) and torch.equal(made[-1], answers)


def _check_logits(made: Any, x: Tensor) -> None:
    if not isinstance(made, Tensor):
        raise TypeError(
            f"discriminator must return one tensor of logits, got {_form(made)}: "
            "a second answer, such as a class, has no place in these losses"
        )
    n, copies = len(x), x.ndim == 3 and made.shape[1:] == (x.shape[1], 1)
    patches = made.ndim == 4 and made.shape[1] == 1 and made.shape[3] > 1  # a map of logits for each sample
    rows = made.ndim == x.ndim > 2 and made.shape[:-1] == x.shape[:-1]  # each row of pixels was taken for a sample
    mend = "begin it with nn.Flatten()" if rows else "one output, and no mean over the minibatch"
    if made.shape[:1] != (n,) or not (made.numel() == n or copies or patches):
        raise ValueError(
            f"discriminator must return one logit for each sample, shape (n, 1) or (n,), got {tuple(made.shape)} for "
            f"x of {tuple(x.shape)}: {mend}"
        )


def check_end(D: nn.Module, loss_D: Loss) -> None:
    """Raise ValueError for a ``D`` made of layers in a row that ends in Sigmoid, when ``loss_D`` asks for logits."""
    while isinstance(D, nn.Sequential) and len(D):
        D = D[-1]
    if isinstance(D, nn.Sigmoid):
        _check_reach(loss_D, 0.0, 1.0, warn=False)


ENDS = (
    ((0.0, 1.0), "Sigmoid, or in a softmax or clamp: its answers stay in [0, 1]"),
    ((-1.0, 1.0), "Tanh or the like: its answers stay in [-1, 1]"),
    ((0.0, math.inf), "ReLU or the like: its answers are never negative"),
    ((-math.inf, 0.0), "LogSigmoid or the like: its answers are never positive"),
)


def _check_reach(loss_D: Loss, low: float, high: float, warn: bool = True) -> None:
    """Whether the loss asks for answers that D cannot give, whatever its weights are."""
    bounds, end = next(((b, end) for b, end in ENDS if b[0] <= low and high <= b[1]), ((low, high), ""))
    if not end or low == high == 0:  # as on data that are 0 throughout, without a bias
        return
    of = partial(torch.full, (1, 1), device="cpu")
    best, best_here = (
        min(loss_D(of(real), of(fake)).item() for real, fake in product(scores, repeat=2))
        for scores in (SCORES, [s for s in SCORES if bounds[0] <= s <= bounds[1]])
    )
    if best_here > best + 1e-3 and math.isinf(bounds[1] - bounds[0]):  # a sum of many exponentials is positive too
        warnings.warn(
            f"discriminator should return logits, got a network that seems to end in {end} whatever its weights are. "
            "A logit may be any number: leave that end out if it is there",
            stacklevel=2,
        )
    elif best_here > best + 1e-3:
        raise ValueError(
            f"discriminator must return logits, got a network that ends in {end} whatever its weights are. "
            "Leave that end out: losses apply the sigmoid themselves"
        )
    elif warn and bounds == (0.0, 1.0):  # least squares ask for 0 and 1
        warnings.warn(
            f"discriminator should return scores, got a network that ends in {end}. This loss can train so, but its "
            "gradient vanishes where D is sure; without that end it does not",
            stacklevel=2,
        )


# ---- causes of an error


def takes(network: nn.Module, *arguments: Any) -> bool:
    """Return whether ``network``, a copy, works on ``arguments``."""
    try:
        with torch.no_grad():
            network(*map(_clone, arguments))
    except Exception:
        return False
    return True


def _cause(role: str, network: nn.Module, first: Tensor, y: tuple[Any, ...], error: Exception) -> str:
    """What must be mended, or nothing where that cannot be told."""
    name, words = "z" if role == "generator" else "x", " ".join(str(error).split())
    got = f"got {name} of {' and y of '.join(_form(t) for t in (first, *y))} and the error '{words}'"
    if not _binds(network.forward, first, *y) or (y and isinstance(error, TypeError) and takes(network, first)):
        if y and _binds(network.forward, first):
            return (
                f"{role} must take the conditions y of a minibatch, {got}: leave out the labels, Minibatches(images), "
                f"or let both networks take them, forward(self, {name}, labels)"
            )
        return (
            f"{role} must be given what it takes, forward{inspect.signature(network.forward)}, {got}: "
            "conditions come after the images, Minibatches(images, labels)"
        )
    if others := [t for t in y if isinstance(t, Tensor) and t.shape[:1] != first.shape[:1]]:
        came = f"{len(others[0])} came" if others[0].ndim else "a single number came"
        mend = f"torch.full(({len(first)},), label) asks for one label that often"
        return f"y must hold one row for each of the {len(first)} samples, {got}: {came}, {mend}"
    for must, mend, arguments in _trials(role, name, network, first, y):
        if takes(network, *arguments):
            return f"{must}, {got}: {mend}"
    return _cause_in_a_layer(role, name, network, first, y, error, got)


def _trials(
    role: str, name: str, network: nn.Module, first: Tensor, y: tuple[Any, ...]
) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """What must hold, how to mend it, and arguments that work if that is the cause."""
    weight = next(p for p in network.parameters() if p.is_floating_point())
    if first.device != weight.device:
        moved = tuple(t.to(weight.device) if isinstance(t, Tensor) else t for t in (first, *y))
        yield f"{name} must lie on the device of the {role}, {weight.device}", "move the data there, .to(device)", moved
    if first.dtype != weight.dtype:
        must = f"{name} must have the dtype of the {role}, {weight.dtype}, and it has {first.dtype}"
        yield must, f"give both one dtype, {name}.to({weight.dtype})", (first.to(weight.dtype), *y)
    whole_y = tuple(t.long() if isinstance(t, Tensor) else t for t in y)
    if any(isinstance(t, Tensor) and t.dtype != torch.long for t in y):
        yield "y must hold whole numbers, torch.int64", "labels.long()", (first, *whole_y)
    if spans := [f"{t.min().item()} to {t.max().item()}" for t in whole_y if isinstance(t, Tensor) and t.numel()]:
        zeros = tuple(torch.zeros_like(t) if isinstance(t, Tensor) else t for t in whole_y)
        must = f"y must hold labels that the {role} knows"
        yield must, f"labels of 10 classes lie between 0 and 9, here {' and '.join(spans)} came", (first, *zeros)
    if any(isinstance(t, Tensor) and t.ndim == 2 for t in y):
        rows = [t.argmax(1) if t.shape[1] > 1 else t[:, 0] for t in whole_y if isinstance(t, Tensor) and t.ndim == 2]
        mend = "rows of a one-hot become labels by .argmax(1), a column by [:, 0]"
        yield "y must have shape (n,), one label for each sample", mend, (first, *rows)
    if len(first) == 1 and network.training:
        mend = "drop_last=True in a DataLoader leaves out a last batch of one"
        yield (
            "a minibatch must hold two samples or more, since BatchNorm trains on their spread",
            mend,
            tuple(map(_twice, (first, *y))),
        )
    if first.ndim == 1:
        yield (
            f"{name} must have shape (n, ...), one row for each sample",
            f"{name}[None] is a batch of one",
            (
                first[None],
                *y,
            ),
        )
    elif role == "generator":
        yield (
            "z must have shape (n, latent_dim, 1, 1) for this generator",
            ("begin it with nn.Unflatten(1, (latent_dim, 1, 1)), or draw such z"),
            (first[:, :, None, None] if first.ndim == 2 else first, *y),
        )
        yield (
            "z must have shape (n, latent_dim) for this generator",
            "draw such z, or .flatten(1)",
            (first.flatten(1), *y),
        )
    else:
        mend = "begin the discriminator with nn.Flatten()"
        yield "discriminator must take samples of the shape of the data", mend, (first.flatten(1), *y)
        side = math.isqrt(first.shape[1])
        square = first.ndim == 2 and side**2 == first.shape[1]
        image = first[:, None] if first.ndim == 3 else first.reshape(len(first), 1, side, side) if square else first
        mend = "give the images their channel, .reshape(-1, 1, 28, 28)"
        yield "x must have shape (n, 1, height, width) for this discriminator", mend, (image, *y)


def _cause_in_a_layer(
    role: str, name: str, network: nn.Module, first: Tensor, y: tuple[Any, ...], error: Exception, got: str
) -> str:
    if not isinstance(error, RuntimeError | IndexError | ValueError):
        return ""
    under_way: list[tuple[nn.Module, tuple[Any, ...]]] = []
    done: list[nn.Module] = []
    hooks = []
    for m in network.modules():
        hooks.append(m.register_forward_pre_hook(lambda m, given: under_way.append((m, given))))
        hooks.append(m.register_forward_hook(lambda *_: done.append(under_way.pop()[0])))
    takes(network, first, *y)
    for hook in hooks:
        hook.remove()
    layer, given = under_way[-1] if under_way else (network, (first,))
    fed = given[0] if given and isinstance(given[0], Tensor) else first
    if not re.search("shape|size|dim|channel", got.lower().partition("error")[2]):
        return ""
    wanted = getattr(layer, "in_features", getattr(layer, "in_channels", None))
    width = first.shape[1] + wanted - fed.shape[-1 if hasattr(layer, "in_features") else 1] if wanted else 0
    where = "" if layer is network else f" in its layer {' '.join(str(layer).split())}, fed with {tuple(fed.shape)}"
    if not y and any(isinstance(m, nn.Linear) for m in done):  # which takes one width alone, and took this one
        return f"the {role}'s own layers must fit one another, {got}{where}: no {name} of another shape mends this"
    if role == "discriminator":
        return f"discriminator must take samples of the shape of the data, {got}{where}: mend the layers or the shape"
    if width > 0 and takes(network, first.new_zeros(len(first), width, *first.shape[2:]), *y):
        mend = f"build latent and generator with one latent_dim, {width} fits"
        if len(y) == 1 and isinstance(y[0], Tensor) and y[0].ndim == 2:
            mend += f"; or is y of another width, {y[0].shape[1] + width - first.shape[1]}?"
        return f"z must be of a shape that the generator takes, (n, latent_dim), {got}: {mend}"
    return f"generator must take its arguments, {got}{where}: look at latent_dim, at y and at its layers"


def _binds(function: Any, *arguments: Any) -> bool:
    """Whether ``function`` takes so many arguments; where that is not known, yes."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _held(optimizer: Any) -> set[int]:
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def _twice(t: Any) -> Any:
    return torch.cat([t, t]) if isinstance(t, Tensor) and t.ndim else t


def _clone(t: Any) -> Any:
    return t.clone() if isinstance(t, Tensor) else t


def _form(t: Any) -> str:
    return str(tuple(t.shape)) if isinstance(t, Tensor) else f"type {type(t).__name__}"


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
