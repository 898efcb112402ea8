"""The exercises of lesson 04: what each probe looks at, what each verdict says, and one right answer to each."""

import math
from contextlib import ExitStack
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from . import models, training
from .checks import LOGITS, NOT_PROBABILITIES, Check, Mistake, Plain, Verdict, attempted, diagnosis, near, sigmoid
from .gan import GAN

_yes, _no = partial(Verdict, True), partial(Verdict, False)

NO_GRAD = "Only G(z) belongs under no_grad; the loss of D needs gradients."


def generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """Return the non-saturating loss of G, a scalar, from D's logits (n, 1) on the fakes."""
    return softplus(-fake_logits).mean()  # -E log D(G(z))


def discriminator_step(
    G: nn.Module, D: nn.Module, opt_D: torch.optim.Optimizer, x: torch.Tensor, z: torch.Tensor
) -> None:
    """Move D once, on real images x (n, 1, 28, 28) and on the fakes that G makes of z (n, 128)."""
    with torch.no_grad():  # the loss of D must not reach G
        fake = G(z)
    loss = softplus(-D(x)).mean() + softplus(D(fake)).mean()
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()


def deeper_pair() -> tuple[nn.Module, nn.Module]:
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


def gan_with_noise(latent_dim: int) -> GAN:
    """Return an untrained textbook GAN whose noise has latent_dim numbers."""
    G, D = models.textbook_pair(latent_dim)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D))
    return GAN(G, D, opt_G, opt_D, models.NormalLatent(latent_dim))


def train_on(images: torch.Tensor, steps: int) -> GAN:
    """Return a new textbook GAN after ``steps`` steps on images (n, 1, 28, 28) in [-1, 1]."""
    G, D = models.textbook_pair()
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D))
    gan = GAN(G, D, opt_G, opt_D, models.NormalLatent(128))
    for _ in training.train(gan, training.Minibatches(images, batch_size=128), until=steps):
        pass  # train does a step each time that the loop asks for one
    return gan


def upgraded_pair() -> tuple[nn.Module, nn.Module]:
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


def _inputs_generator_loss(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    steep = [-rng.uniform(700, 900), -rng.uniform(35, 45), rng.uniform(35, 45), rng.uniform(700, 900)]
    return {"logits": rng.uniform(-4, 4, (rng.integers(5, 10), 1)), "steep": np.array(steep)[:, None]}


def _probe_generator_loss(answer: Any, inputs: Plain) -> Plain:
    seen: Plain = {}
    for name, logits in inputs.items():
        s = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
        try:
            loss = attempted(answer(s))
        except RuntimeError as error:
            if NOT_PROBABILITIES in str(error):
                raise Mistake(f"{LOGITS} softplus(-s).") from error
            raise
        if not isinstance(loss, torch.Tensor):
            return {"kind": type(loss).__name__}
        seen |= {"kind": "Tensor", name: loss.detach().double().numpy(), f"{name}_gradient": np.zeros(0)}
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss.sum(), s, allow_unused=True)
            seen[f"{name}_gradient"] = np.zeros(0) if gradient is None else gradient.double().numpy()
    return seen


def _verdict_generator_loss(inputs: Plain, observed: Plain) -> Verdict:
    if observed["kind"] != "Tensor":
        return _no(f"The loss is of type {observed['kind']}, so it has no gradient. Return a tensor, without .item().")
    loss, gradient, s = observed["logits"], observed["logits_gradient"], inputs["logits"]
    if loss.shape != ():
        return _no(f"The loss has shape {loss.shape}, but it must be one number. Write .mean() without an axis.")
    if gradient.size == 0:
        return _no("The loss has no gradient, so G could not learn. Leave out .detach() and torch.no_grad().")
    wanted, saturating = np.logaddexp(0, -s).mean(), -np.logaddexp(0, s).mean()
    mistakes = [
        (-wanted, "The sign is wrong: this is +E log D. The optimizer makes a loss small, so D(G(z)) would fall."),
        (saturating, "This is the saturating loss E log(1 - D). Its gradient vanishes while D wins. Take -E log D."),
        (-saturating, "The labels are swapped: this is -E log(1 - D). G wants D to answer 1, real."),
        (np.logaddexp(0, -sigmoid(s)).mean(), "The sigmoid is applied twice: softplus(-s) has it inside already."),
        (wanted * s.size, "This is the sum over the images, so it grows with the batch. Take the mean."),
        (wanted / np.log(2), "The logarithm has base 2. Take the natural one, as torch.log and softplus do."),
        (-sigmoid(s).mean(), "The logarithm is missing: this is the mean of -D(G(z)), not of -log D(G(z))."),
        (-s.mean(), "This is the mean of -s, but a logit is no logarithm of a probability. Take softplus(-s)."),
    ]
    if np.isnan(loss):
        return _no("You took the logit for a probability: the logarithm of a negative s is NaN. Take softplus(-s).")
    if not near(loss, wanted):
        unknown = f"The loss is {loss:.4g} where -E log D gives {wanted:.4g}. Compare it with the formula of L_G."
        return _no(diagnosis(loss, mistakes, unknown))
    if not near(gradient, -sigmoid(-s) / s.size):
        return _no("The value is right, but not the gradient. Compute all of the loss from fake_logits.")
    steep, gradient, s = observed["steep"], observed["steep_gradient"], inputs["steep"]
    if not np.isfinite(steep):
        return _no(f"At a logit of {s.min():.0f} the loss is not finite: log(sigmoid(s)) is log 0. Take softplus(-s).")
    if not np.all(gradient[s < 0] < -0.5 / s.size):
        return _no("At logits of -40 and less the gradient vanishes. No clamp, no 1e-8, no sigmoid: softplus(-s).")
    if not (near(steep, np.logaddexp(0, -s).mean()) and near(gradient, -sigmoid(-s) / s.size)):
        return _no("The loss is right for small logits only. Is there a clamp or an epsilon in it?")
    return _yes(f"Value and gradient are those of -E log D, also at a logit of {s.min():.0f}.")


def _inputs_discriminator_step(seed: int) -> Plain:
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


def _probe_discriminator_step(answer: Any, inputs: Plain) -> Plain:
    x, z, *vectors = (torch.tensor(inputs[name], dtype=torch.float32) for name in ("x", "z", "G", "D", "stale"))
    G = nn.Sequential(nn.Linear(128, 16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4)), nn.Upsample(scale_factor=7))
    D = nn.Sequential(nn.AvgPool2d(7), nn.Flatten(), nn.Linear(16, 1))
    for net, vector in ((G, vectors[0]), (D, vectors[1])):
        vector_to_parameters(vector.clone(), net.parameters())  # the parameters become views of what it is given
    weight, bias = D.parameters()
    weight.grad, bias.grad = vectors[2][None, :16].clone(), vectors[2][16:].clone()
    drawn, steps = z.clone(), []
    noise: list[torch.Tensor] = []
    asked: list[tuple[Any, bool]] = []
    G.register_forward_pre_hook(lambda _, args: noise.extend(arg.detach().clone() for arg in args[:1]))
    D.register_forward_pre_hook(lambda _, args: asked.extend((arg, torch.is_grad_enabled()) for arg in args[:1]))
    opt_D = torch.optim.SGD(D.parameters(), inputs["lr"])
    opt_D.register_step_post_hook(lambda *_: steps.append(True))
    try:
        result = answer(G, D, opt_D, x, z)
    except (RuntimeError, TypeError) as error:
        if sentence := _explanation(str(error), asked):
            raise Mistake(sentence) from error
        raise
    after = parameters_to_vector(D.parameters()).detach().double().numpy()
    if not asked and not noise and np.array_equal(after, vectors[1].double().numpy()):
        attempted(result)
    gradients = [p.grad for p in D.parameters() if p.grad is not None]
    return {
        "D": after,
        "D_gradient": torch.cat([g.flatten() for g in gradients]).double().numpy() if gradients else np.zeros(0),
        "G_moved": not torch.equal(parameters_to_vector(G.parameters()), vectors[0]),
        "G_gradient": any(p.grad is not None for p in G.parameters()),
        "other_noise": any(not torch.equal(seen, drawn) for seen in noise),
        "D_under_no_grad": not all(grad for _, grad in asked),
        "steps": len(steps),
        **{f"{name}_frozen": not all(p.requires_grad for p in net.parameters()) for name, net in (("G", G), ("D", D))},
        **{f"{name}_eval": not all(m.training for m in net.modules()) for name, net in (("G", G), ("D", D))},
    }


def _explanation(error: str, asked: list[tuple[Any, bool]]) -> str:
    """The likely cause of an error in a step of D, from what D was given and whether gradients were on; or nothing."""
    given = asked[-1][0] if asked else torch.empty(0)
    if getattr(given, "__name__", "") == "detach":
        return "The fake is no tensor: write .detach() with brackets."
    if not isinstance(given, torch.Tensor):
        return f"D takes a tensor of images, but got an object of type {type(given).__name__}."
    if "does not require grad" in error and not all(grad for _, grad in asked):
        return NO_GRAD
    return f"{LOGITS} softplus." if NOT_PROBABILITIES in error else ""


def _verdict_discriminator_step(inputs: Plain, observed: Plain) -> Verdict:
    # D is linear in the means of 7 x 7 pixels, so pencil and paper give its gradient.
    real = inputs["x"][:, 0, ::7, ::7].reshape(-1, 16)
    weight, bias = inputs["G"][: 16 * 128].reshape(16, 128), inputs["G"][16 * 128 :]
    fake = np.tanh(inputs["z"] @ weight.T + bias)
    r, f = (batch @ inputs["D"][:16] + inputs["D"][16] for batch in (real, fake))
    n, stale, none = len(r), inputs["stale"], np.zeros(len(r))

    def gradient(on_real: np.ndarray, on_fake: np.ndarray) -> np.ndarray:
        """From the derivatives of the loss by each logit."""
        return np.append(on_real @ real + on_fake @ fake, on_real.sum() + on_fake.sum()) / n

    R, F = sigmoid(r), sigmoid(f)  # D(x) and D(G(z))
    wanted = gradient(R - 1, F)
    cut = NO_GRAD if observed["D_under_no_grad"] else ""
    log = "You took the logit for a probability: D(x) may be negative. Take softplus(-D(x)) and softplus(D(fake))."
    mistakes = [
        (gradient(R, F - 1), "The labels are swapped: D learns to call fakes real. It must be softplus(-D(x)) on x."),
        (-wanted, "The sign of the whole loss is wrong, so D gets worse. The optimizer makes a loss small."),
        (gradient(R - 1, none), cut or "Only the real half of the loss is there. Add softplus(D(fake)).mean()."),
        (gradient(none, F), cut or "Only the fake half of the loss is there. Add softplus(-D(x)).mean()."),
        (gradient(none, F - 1), "This is the loss of G. D has a half on real images, and softplus(D(fake))."),
        (gradient(R - 1 + R, none), "Both halves look at the real images. The second one takes D(fake)."),
        (gradient(none, F + F - 1), "Both halves look at the fakes. The first one takes D(x)."),
        (
            gradient(-sigmoid(-R) * R * (1 - R), sigmoid(F) * F * (1 - F)),
            "The sigmoid is applied twice: D returns logits, and softplus has the sigmoid inside.",
        ),
        *((gradient(a, b), log) for a in (R - 1, -1 / r) for b in (F, 1 / (1 - f), 1 / f)),
        (n * wanted, "This is the sum over the images, so the step grows with the batch. Take the mean of each half."),
        (wanted / 2, "This is half the update: your loss is the mean of both means. The lesson takes their sum."),
        (wanted + stale, "Old gradients were added to the new ones. Call opt_D.zero_grad() before loss.backward()."),
        (stale, "D moved by old gradients alone. Call opt_D.zero_grad(), then loss.backward(), then opt_D.step()."),
    ]
    if observed["other_noise"] is not False:
        return _no("G got other numbers than z. Make the fakes from the z that your function is given.")
    if observed["G_moved"] is not False:
        return _no("G moved, but this step is for D alone. Only opt_D may step.")
    if observed["G_gradient"] is not False:
        return _no("Gradients reached G. Make the fakes under torch.no_grad(), or write G(z).detach().")
    for name in "GD":
        if observed[f"{name}_frozen"] is not False:
            return _no(f"{name} still has requires_grad False after your step, so it cannot learn. Leave it True.")
        if observed[f"{name}_eval"] is not False:
            return _no(f"{name} is in eval mode after your step, and it was in train mode. Leave out {name}.eval().")
    if (steps := _count(observed["steps"])) > 1:
        return _no(f"Your code called opt_D.step() {steps} times. Add both halves of the loss, and step once.")
    moved = (inputs["D"] - observed["D"]) / inputs["lr"]
    if near(moved, wanted):
        if steps == 0:
            return _no("D moved without opt_D.step(). Let the optimizer move it.")
        return _yes("D moved by its own gradient, on both halves of the loss. No gradient reached G.")
    if near(observed["D"], inputs["D"], 1e-6):
        ready = any(near(observed["D_gradient"], g) for g in (wanted, wanted + stale))
        step = "D has its new gradients but did not move. Call opt_D.step() after loss.backward()."
        lost = "D did not move, as it had no new gradients. loss.backward() comes after zero_grad() and before step()."
        return _no(step if ready else lost)
    unknown = "D moved, but not against the gradient of L_D. Compare your loss with the formula of L_D."
    return _no(diagnosis(moved, mistakes, unknown))


def _inputs_pair(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 16))
    return {"z": rng.normal(size=(n, 128)), "x": rng.uniform(-1, 1, (n, 1, 28, 28))}


def _probe_pair(answer: Any, inputs: Plain) -> Plain:
    pair = attempted(answer())
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and all(isinstance(net, nn.Module) for net in pair)):
        return {"pair": False}
    (G, D), z, x = pair, *(torch.tensor(inputs[name], dtype=torch.float32) for name in ("z", "x"))
    seen: Plain = {"pair": True, "shared": _shared(G, D)}
    for name, net, t, other in (("G", G, z, x), ("D", D, x, z)):
        try:
            seen |= {f"{name}_{fact}": value for fact, value in _look(net, t).items()}
        except RuntimeError:
            seen[f"{name}_fits"], seen[f"{name}_swapped"] = False, _accepts(net, other)
    return seen


def _shared(*networks: nn.Module) -> bool:
    held = [id(p) for net in networks for p in net.parameters()]
    return len(set(held)) < len(held)


def _accepts(net: nn.Module, t: torch.Tensor) -> bool:
    try:
        return isinstance(net(t), torch.Tensor)
    except RuntimeError:
        return False


@torch.no_grad()
def _look(net: nn.Module, t: torch.Tensor) -> Plain:
    """What ``net`` does between its layers with weights, found by running it: any nn.Module may be written there."""
    calls: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []

    def note(module: nn.Module, args: tuple[torch.Tensor, ...], y: torch.Tensor) -> None:
        calls.append((module, args[0].flatten(1).cpu(), y.flatten(1).cpu().clone()))  # an activation may write into y

    t = t.to(next(net.parameters(), t).device)
    with ExitStack() as hooks:
        for module in net.modules():
            if getattr(getattr(module, "weight", None), "ndim", 0) >= 2:
                hooks.enter_context(module.register_forward_hook(note))
        y = net.eval()(t).cpu()
        resting = calls.copy()
        calls.clear()
        net.train()(t)
    if not resting:
        raise ValueError("a network without layers that have weights")
    last = resting[-1][2]
    tails = {"none": last, "tanh": last.tanh(), "sigmoid": last.sigmoid()}
    between = [(before[2], after[1]) for before, after in zip(resting, resting[1:])]
    in_training = [(before[2], after[1]) for before, after in zip(calls, calls[1:])]
    return {
        "fits": True,
        "shape": np.array(y.shape),
        "tail": next((name for name, wanted in tails.items() if near(y.reshape(len(y), -1), wanted, 1e-5)), "other"),
        "layers": len({id(module) for module, _, _ in resting}),
        "widths": np.array([resting[0][1].shape[1]] + [h.shape[1] for _, _, h in resting]),
        "slopes": np.array([_factor(h, a, -1) for h, a in between]),
        "gains": np.array([_factor(h, a, 1) for h, a in between]),
        "training_gains": np.array([_factor(h, a, 1) for h, a in in_training]),  # 1 / (1 - rate of the dropout)
        "parameters": models.count_parameters(net),
    }


def _factor(h: torch.Tensor, a: torch.Tensor, sign: int) -> float:
    """The mean factor from h to a where h has this sign and a is not dropped; NaN if their shapes differ."""
    if h.shape != a.shape:
        return math.nan
    where = (h * sign > 0) & (a != 0)
    return float((a / h)[where].mean()) if where.any() else 0.0


def _fault_of_pair(inputs: Plain, observed: Plain) -> str:
    """What makes a pair useless for a GAN on images, or nothing."""
    if observed["pair"] is not True:
        return "The function must return two networks, the generator first. End it with: return G, D"
    n = len(inputs["z"])
    fits = {name: observed[f"{name}_fits"] is True for name in "GD"}
    if not any(fits.values()) and observed["G_swapped"] and observed["D_swapped"]:
        return "The two networks are in the wrong order. Write return G, D"
    if not fits["G"]:
        return f"G cannot take z of shape ({n}, 128). Look at its first layer, and at the widths that must meet."
    if not fits["D"]:
        return f"D cannot take images of shape ({n}, 1, 28, 28). Begin with nn.Flatten(), and look at the widths."
    if observed["shared"] is not False:
        return "G and D share parameters, so one step would move both. Give each player layers of its own."
    for name, shape, remedy in (
        ("G", (n, 1, 28, 28), "End it with nn.Unflatten(1, (1, 28, 28))"),
        ("D", (n, 1), "Its last layer has one output"),
    ):
        got = tuple(int(size) for size in observed[f"{name}_shape"])
        if got != shape:
            return f"{name} returns the shape {got}, but it must be {shape}. {remedy}."
    if observed["D_tail"] == "sigmoid":
        return "D ends in a sigmoid. Leave it out: D returns logits, and the loss has the sigmoid inside."
    if observed["D_tail"] != "none":
        return "Something follows the last linear layer of D. Leave it out: a logit may be any number."
    if observed["G_tail"] != "tanh":
        return "G does not end in tanh. The images lie in [-1, 1], so the fakes must lie there too."
    for name in "GD":
        slopes, gains, widths = (observed[f"{name}_{fact}"] for fact in ("slopes", "gains", "widths"))
        for k, (slope, gain, _) in enumerate(zip(slopes, gains, list(map(int, widths))[1:-1], strict=True), 1):
            if near([slope, gain], [1, 1]):
                return f"In {name} no activation follows hidden layer {k}. Two linear layers in a row are only one."
    return ""


def _verdict_deeper_pair(inputs: Plain, observed: Plain) -> Verdict:
    if fault := _fault_of_pair(inputs, observed):
        return _no(fault)
    hidden = {name: _count(observed[f"{name}_layers"]) - 1 for name in "GD"}
    for name, least in (("G", 3), ("D", 2)):
        if not hidden[name] >= least:
            count = f"{hidden[name]} hidden layer{'s' * (hidden[name] != 1)}"
            return _no(f"{name} has {count} with weights of its own. The textbook has {least - 1}, so give it {least}.")
    return _yes(f"G has {hidden['G']} hidden layers and D has {hidden['D']}, with an activation after each.")


def _verdict_upgraded_pair(inputs: Plain, observed: Plain) -> Verdict:
    if fault := _fault_of_pair(inputs, observed):
        return _no(fault)
    players = {
        "G": ([128, 256, 512, 1024, 784], 0.0, 1_493_520),
        "D": ([784, 1024, 512, 256, 1], 0.3, 1_460_225),
    }
    for name, (widths, rate, parameters) in players.items():
        got = [int(width) for width in observed[f"{name}_widths"]]
        if got != widths:
            mirrored = got == [widths[0], *widths[-2:0:-1], widths[-1]]
            why = "The hidden layers are in reverse order." if mirrored else "The widths differ."
            return _no(f"{why} {name} is {_chain(got)}, and it must be {_chain(widths)}.")
        slopes, gains = observed[f"{name}_slopes"], observed[f"{name}_gains"]
        rates = 1 - 1 / observed[f"{name}_training_gains"]
        for k, (slope, gain, dropped) in enumerate(zip(slopes, gains, rates, strict=True), 1):
            if fault := _fault_of_layer(f"hidden layer {k} of {name}", slope, gain, dropped, rate):
                return _no(fault)
        if (count := _count(observed[f"{name}_parameters"])) != parameters:
            return _no(f"{name} has {count:,} parameters, not {parameters:,}. Each layer has a bias, and no more.")
    return _yes("G has 1,493,520 parameters and D has 1,460,225, each layer as in the task.")


def _count(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _chain(widths: list[int]) -> str:
    return "-".join(map(str, widths))


def _fault_of_layer(where: str, slope: float, gain: float, got: float, rate: float) -> str:
    if near(slope, 0.0) and near(gain, 1.0):
        return f"ReLU follows {where}. Take nn.LeakyReLU(0.2)."
    if near(slope, 0.01) and near(gain, 1.0):
        return f"The LeakyReLU after {where} has slope 0.01, PyTorch's default. Write nn.LeakyReLU(0.2)."
    if not (near(slope, 0.2) and near(gain, 1.0)):
        return f"What follows {where} is not LeakyReLU with slope 0.2. Take nn.LeakyReLU(0.2)."
    if abs(got - rate) < 1e-3:
        return ""
    if rate == 0:
        return f"Something else than LeakyReLU follows {where} while it trains. Only D has dropout."
    if abs(got) < 1e-3:
        return f"No dropout follows {where}. Put nn.Dropout({rate}) after its activation."
    return f"The dropout rate after {where} is {got:.2g}, and it must be {rate}."


def _inputs_noise_size(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    return {
        "latent_dims": np.array([rng.integers(2, 10), rng.integers(10, 60), rng.integers(60, 120)]),
        "images": rng.uniform(-1, 1, (8, 1, 28, 28)),
    }


def _probe_noise_size(answer: Any, inputs: Plain) -> Plain:
    images = torch.tensor(inputs["images"], dtype=torch.float32)
    drawn, taken, shapes, gans = [], [], [], []
    for latent_dim in map(int, inputs["latent_dims"]):
        gan = attempted(answer(latent_dim))
        if not isinstance(gan, GAN):
            return {"kind": type(gan).__name__}
        gans.append(gan)
        latent: Any = gan.latent  # GAN does not look at its type
        z = latent(4, torch.Generator(gan.device).manual_seed(0)) if callable(latent) else None
        if not isinstance(z, torch.Tensor):  # latent_dim, or NormalLatent without its brackets
            return {"kind": "GAN", "no_latent": True}
        drawn.append(z.shape[1])
        taken.append(_accepts(gan.G, torch.randn(4, latent_dim, dtype=z.dtype, device=gan.device)))
        if taken[-1] and drawn[-1] == latent_dim:
            shapes.append(tuple(gan.sample(4, seed=0).shape))
            gan.step(repeat((images.to(gan.device),)))
    return {
        "kind": "GAN",
        "drawn": np.array(drawn),
        "taken": np.array(taken),
        "shapes": np.array(shapes),
        "shared": _shared(*(net for gan in gans for net in (gan.G, gan.D))),
    }


def _verdict_noise_size(inputs: Plain, observed: Plain) -> Verdict:
    if observed["kind"] != "GAN":
        return _no(f"The function returned an object of type {observed['kind']}. Return a GAN: GAN(G, D, ...).")
    if "no_latent" in observed:
        return _no("The latent must be a function that draws z: pass models.NormalLatent(latent_dim).")
    wanted, drawn, taken = inputs["latent_dims"], observed["drawn"], observed["taken"]
    if taken.dtype != bool or not taken.shape == drawn.shape == wanted.shape:
        raise ValueError
    right = drawn == wanted
    if not right.any() and not taken.any():
        return _no(f"The noise has {drawn[0]} numbers whatever latent_dim is. Use the argument in G and in the latent.")
    for k, size in enumerate(wanted):
        if not taken[k]:
            return _no(f"The latent draws {drawn[k]} numbers, but G cannot take {size}. Give latent_dim to G too.")
        if not right[k]:
            return _no(f"G takes {size} numbers, but the latent draws {drawn[k]}. Give latent_dim to the latent too.")
    if observed["shared"] is not False:
        return _no("Two calls share parameters, so one GAN would train the other. Build both networks in the function.")
    if observed["shapes"].shape != (len(wanted), 4) or (observed["shapes"] != (4, 1, 28, 28)).any():
        return _no("The samples have another shape than (n, 1, 28, 28).")
    return _yes(f"The GAN works with noise of {', '.join(map(str, wanted))} numbers.")


def _inputs_fashion_mnist(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    corners = rng.permutation([(0, 0), (0, 14), (14, 0), (14, 14)])[:2] + rng.integers(1, 5, (2, 2))
    images = np.full((2, 512, 1, 28, 28), -1.0)
    for batch, (row, column) in zip(images, corners):
        batch[:, :, row : row + 9, column : column + 9] = rng.uniform(0.2, 1, (512, 1, 9, 9))
    return {"images": images[0], "others": images[1], "steps": int(rng.integers(100, 120))}


def _probe_fashion_mnist(answer: Any, inputs: Plain) -> Plain:
    others, images = (torch.tensor(inputs[name], dtype=torch.float32) for name in ("others", "images"))
    try:
        first = attempted(answer(others, 2))
        gan = attempted(answer(images, inputs["steps"]))
    except ValueError as error:
        if "images must lie in [-1, 1]" in str(error):
            return {"refused": True}
        raise
    if not (isinstance(first, GAN) and isinstance(gan, GAN)):
        return {"kind": type(gan).__name__}
    return {
        "kind": "GAN",
        "shared": _shared(first.G, first.D, gan.G, gan.D),
        "steps_done": int(gan.steps_done),
        "mean": gan.sample(128, seed=0).double().mean(0).cpu().numpy(),
    }


def _verdict_fashion_mnist(inputs: Plain, observed: Plain) -> Verdict:
    scaled = "Leave the range alone: the images lie in [-1, 1] already."
    if "refused" in observed:
        return _no(f"The images were scaled again, and GAN refused them. {scaled}")
    if observed["kind"] != "GAN":
        return _no(f"The function returned an object of type {observed['kind']}. Return the trained GAN.")
    if observed["shared"] is not False:
        return _no("The second call went on with the networks of the first. Build all of the GAN inside the function.")
    done, steps = _count(observed["steps_done"]), inputs["steps"]
    if done == 0:
        return _no("The GAN did no step. train steps only while a loop asks: for _ in train(...): pass")
    if done != steps:
        return _no(f"The GAN did {done} steps, and it was asked for {steps}. Write until=steps.")
    # Means of 7 x 7 pixels. Over 3 recipes and 5 seeds, right answers reached a relief of 0.64 and a correlation of
    # 0.96 at least and paper of -0.64 at most; wrong ones 0.17, or 0.00, or -0.01. The bounds lie midway.
    got, wanted = (_coarse(image) for image in (observed["mean"], inputs["images"].mean(0)))
    paper = got[wanted < -0.95].mean()
    if not np.ptp(got) > 0.4 * np.ptp(wanted):
        return _no(f"The samples have hardly any contrast. {scaled}")
    if not np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.5:
        return _no("The samples do not look like the given images. Train on the argument images, not on others.")
    if not paper < -0.3:
        return _no(f"The paper of the samples is at {paper:.1f} and not near -1. {scaled}")
    return _yes(f"After {steps} steps the samples look like the images that the check gave.")


def _coarse(image: np.ndarray) -> np.ndarray:
    if image.shape != models.IMAGE_SHAPE:
        raise ValueError
    return image.reshape(4, 7, 4, 7).mean((1, 3))


CHECKS = [
    Check(
        "04.generator_loss",
        "Write generator_loss(fake_logits): the non-saturating loss of G as one number, from logits (n, 1).",
        ("fake_logits",),
        _inputs_generator_loss,
        _probe_generator_loss,
        _verdict_generator_loss,
        (
            "Start from L_G = -E log D(G(z)), and put D = sigmoid(s) in. E is a mean over the batch.",
            "-log sigmoid(s) is softplus(-s), which is finite for every s. Take its mean over all logits.",
        ),
        generator_loss,
    ),
    Check(
        "04.discriminator_step",
        "Write discriminator_step(G, D, opt_D, x, z): one update of D on real images x and on the fakes G(z).",
        ("G", "D", "opt_D", "x", "z"),
        _inputs_discriminator_step,
        _probe_discriminator_step,
        _verdict_discriminator_step,
        (
            "Four parts: the fakes without a gradient for G, the loss of both halves, its gradient, the step.",
            "The loss is softplus(-D(x)).mean() + softplus(D(fake)).mean(). Then: zero_grad(), backward(), step().",
        ),
        discriminator_step,
    ),
    Check(
        "04.deeper_pair",
        "Write deeper_pair(): return G and D, each with more hidden layers than in the textbook pair.",
        (),
        _inputs_pair,
        _probe_pair,
        _verdict_deeper_pair,
        (
            "The textbook G has two hidden layers and its D has one. A hidden layer is nn.Linear and an activation.",
            "Copy both lists of layers. Add nn.Linear(512, 512), nn.ReLU() to G. Do the same with 256 in D.",
        ),
        deeper_pair,
    ),
    Check(
        "04.noise_size",
        "Write gan_with_noise(latent_dim): return an untrained GAN whose noise has latent_dim numbers.",
        ("latent_dim",),
        _inputs_noise_size,
        _probe_noise_size,
        _verdict_noise_size,
        (
            "Two places must know the size: the first layer of G, and the latent that draws z.",
            "models.textbook_pair and models.NormalLatent both take latent_dim as their first argument.",
        ),
        gan_with_noise,
    ),
    Check(
        "04.fashion_mnist",
        "Write train_on(images, steps): return a new GAN that has trained for steps steps on these images.",
        ("images", "steps"),
        _inputs_fashion_mnist,
        _probe_fashion_mnist,
        _verdict_fashion_mnist,
        (
            "Build everything inside the function: networks, optimizers, GAN and Minibatches(images).",
            "training.train(gan, batches, until=steps) does a step only when a for loop asks. Then return gan.",
        ),
        train_on,
    ),
    Check(
        "04.upgraded_pair",
        "Write upgraded_pair(): G 128-256-512-1024-784 and D 784-1024-512-256-1, LeakyReLU 0.2, dropout 0.3 in D.",
        (),
        _inputs_pair,
        _probe_pair,
        _verdict_upgraded_pair,
        (
            "nn.LeakyReLU(0.2) comes after each hidden layer. In D, nn.Dropout(0.3) follows it.",
            "G ends in nn.Tanh() and nn.Unflatten(1, (1, 28, 28)). D begins with nn.Flatten() and ends in one logit.",
        ),
        upgraded_pair,
    ),
]
