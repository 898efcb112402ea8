"""The generative adversarial network as an object: two networks, two optimizers, and the step of Algorithm 1."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from . import checkup
from .losses import LOSSES, r1_penalty

Latent = Callable[[int, torch.Generator], Tensor]


class GAN:
    """Generator and discriminator that learn against each other, one call of ``step`` at a time.

    ``generator`` maps z (n, latent_dim) to samples, ``discriminator`` maps samples to logits; both get the batch's
    conditions ``*y`` after their first argument. ``opt_G`` and ``opt_D`` hold the parameters of one player each.
    ``latent(n, rng)`` draws n vectors z from the random generator it is handed. Keyword arguments:

    - ``loss``: the name of a pair in ``losses.LOSSES``
    - ``d_steps``: discriminator updates before each generator update, the k of Algorithm 1
    - ``r1``: gamma of the R1 penalty (0: none), computed on every ``r1_every``-th D update and weighted by it
    - ``average``: largest decay of the average of G's weights, in (0, 1), or None
    - ``seed``: fixes every random number of the training, dropout included

    Raises ValueError or TypeError for settings that cannot work. Goodfellow et al. 2014, Algorithm 1; R1: Mescheder
    et al. 2018; average: Yazici et al. 2019. Lesson 03 types it out, lesson 04 uses it.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        opt_G: torch.optim.Optimizer,
        opt_D: torch.optim.Optimizer,
        latent: Latent,
        *,
        loss: str = "non-saturating",
        d_steps: int = 1,
        r1: float = 0.0,
        r1_every: int = 1,
        average: float | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(loss, str) or loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        d_steps, r1_every = checkup.whole("d_steps", d_steps, 1), checkup.whole("r1_every", r1_every, 1)
        seed = checkup.whole("seed", seed)
        if not checkup.is_number(r1) or not 0 <= r1 < math.inf:
            raise ValueError(f"r1 must be 0 (no penalty) or positive, got {r1!r}")
        if average is not None and not (checkup.is_number(average) and 0 < average < 1):
            raise ValueError(f"average must be a decay in (0, 1) such as 0.998, or None, got {average!r}")
        r1, average = float(r1), None if average is None else float(average)  # numpy's are no plain values to save
        checkup.check_players(generator, discriminator, opt_G, opt_D)
        checkup.check_latent(latent)
        checkup.check_end(discriminator, LOSSES[loss].loss_D)

        self.G, self.D = generator, discriminator
        self.opt_G, self.opt_D = opt_G, opt_D
        self.latent = latent
        self.d_steps, self.r1, self.r1_every = d_steps, r1, r1_every
        self.device = next(generator.parameters()).device
        _check_device(self.device)
        self.averaged_G = None if average is None else _average_of(generator, average, self.device)
        self.pair = LOSSES[loss]
        self._compares = self.pair.compares
        self.steps_done = 0
        self._random_state = torch.Generator(self.device).manual_seed(seed).get_state()
        #: what a saved state must agree with before it is loaded
        self.settings: dict[str, Any] = {
            "generator": _describe(generator),
            "discriminator": _describe(discriminator),
            **_settings("opt_G", opt_G),
            **_settings("opt_D", opt_D),
            "latent": getattr(latent, "__qualname__", repr(latent)).partition(" at 0x")[0]
            + _draws(latent, self.device),
            "loss": loss,
            "d_steps": d_steps,
            "r1": r1,
            "r1_every": r1_every,
            "average": average,
            "seed": seed,
            "device": self.device.type,  # the random state of a GPU means nothing to a CPU
        }

    def step(self, batches: Iterator[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """Update D on each of ``d_steps`` minibatches taken from ``batches`` with next, then G once on fresh noise.

        A minibatch is a tuple of x (n, ...) and any conditions y. Returns detached scalars: ``loss_D`` (the last D
        update's, without penalty; 1.386 at the fixed point), ``loss_G`` (0.693 there), ``real_prob`` and
        ``fake_prob`` (the mean of D's answers to both in the last D update), or ``real_score`` and ``fake_score``
        where D gives scores. Raises ValueError or TypeError for data and networks that cannot train: their ranges are
        looked at in the first step alone. Goodfellow et al. 2014, Algorithm 1. Lesson 03.
        """
        if self.steps_done == 0:
            checkup.check_batches(batches)
        self.G.train(), self.D.train()
        # A cell may have left gradients off; inference_mode(False) turns them on.
        with torch.inference_mode(False), own_random_state(self._random_state, self.device) as rng:
            minibatches = [checkup.unpacked(next(batches)) for _ in range(self.d_steps)]
            for k, (x, *y) in enumerate(minibatches):
                z = self.latent(len(x), rng)
                if self.steps_done == 0:
                    self._check_first(x, z, *y)
                due = (self.steps_done * self.d_steps + k) % self.r1_every == 0
                r1 = self.r1_every * self.r1 if due else 0.0
                with frozen_statistics(self.G):
                    loss_D, real_logits, fake_logits = self._or_say_why(self.update_D, x, z, *y, r1=r1)
            with frozen_statistics(self.D):
                loss_G = self._or_say_why(self.update_G, x, self.latent(len(x), rng), *y)
            if self.averaged_G is not None:
                self.averaged_G.update_parameters(self.G)
        self.steps_done += 1
        answer = "prob" if self.pair.logits else "score"
        real, fake = (s.sigmoid() if self.pair.logits else s for s in (real_logits, fake_logits))
        return {"loss_D": loss_D, "loss_G": loss_G, f"real_{answer}": real.mean(), f"fake_{answer}": fake.mean()}

    def update_D(self, x: Tensor, z: Tensor, *y: Tensor, r1: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        """Move D once, to tell real ``x`` (n, ...) from G's samples of ``z`` (n, latent_dim), under ``*y``.

        ``r1`` weighs the R1 penalty. Returns the loss without it, the real and the fake logits, detached. Goodfellow
        et al. 2014, Algorithm 1, the inner loop. Lesson 03.
        """
        with torch.no_grad():
            fake = self.G(z, *y)
        x = x.detach().requires_grad_(r1 > 0)
        loss_D, real_logits, fake_logits = self.discriminator_loss(x, fake, *y)
        penalty = r1 * r1_penalty(real_logits, x) if r1 > 0 else 0.0
        self.opt_D.zero_grad()
        (loss_D + penalty).backward()
        self.opt_D.step()
        return loss_D.detach(), real_logits.detach(), fake_logits.detach()

    def update_G(self, x: Tensor, z: Tensor, *y: Tensor) -> Tensor:
        """Move G once, so that D takes its samples of ``z`` (n, latent_dim) under ``*y`` for real ones.

        Only a loss that compares looks at the real ``x`` (n, ...). Returns the loss, detached. Goodfellow et al. 2014,
        Algorithm 1, after the inner loop. Lesson 03.
        """
        loss_G = self.generator_loss(x, self.G(z, *y), *y)
        self.opt_G.zero_grad()
        loss_G.backward(inputs=[p for p in self.G.parameters() if p.requires_grad])
        self.opt_G.step()
        return loss_G.detach()

    def discriminator_loss(self, x: Tensor, fake: Tensor, *y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return D's loss on real ``x`` and ``fake`` (n, ...) under ``*y``, and the logits of both. Lesson 03."""
        real_logits, fake_logits = self.D(x, *y), self.D(fake, *y)
        return self.pair.loss_D(real_logits, fake_logits), real_logits, fake_logits

    def generator_loss(self, x: Tensor, fake: Tensor, *y: Tensor) -> Tensor:
        """Return G's loss on ``fake`` (n, ...) under ``*y``, beside real ``x`` where the loss compares. Lesson 03."""
        if not self._compares:
            return self.pair.loss_G(self.D(fake, *y))
        with torch.no_grad():
            real_logits = self.D(x, *y)
        return self.pair.loss_G(real_logits, self.D(fake, *y))

    def sample(self, n: int, *y: Tensor, seed: int, averaged: bool = True) -> Tensor:
        """Return n samples (n, ...) made from the noise of ``seed``, without a trace on the training. Lesson 04."""
        n, seed = checkup.whole("n", n, 0), checkup.whole("seed", seed)
        with own_random_state(torch.Generator(self.device).manual_seed(seed).get_state(), self.device) as rng:
            return self.generate(self.latent(n, rng), *y, averaged=averaged)

    @torch.no_grad()
    def generate(self, z: Tensor, *y: Tensor, averaged: bool = True) -> Tensor:
        """Return the samples (n, ...) that G makes of ``z`` (n, latent_dim), a tensor or an array.

        G runs in eval mode: BatchNorm uses its running statistics, dropout rests; the mode is restored. With
        ``averaged`` the average of G's weights is used where the model keeps one. Raises ValueError for z or y that G
        cannot take. Lesson 04.
        """
        G = self.averaged_G if averaged and self.averaged_G is not None else self.G
        z, y = self._as_tensor(z, "z"), tuple(self._as_tensor(t, "y") for t in y)
        modes = [(m, m.training) for m in G.modules()]
        G.eval()
        try:
            return G(z.clone(), *y)
        except Exception:
            with own_random_state(self._random_state.clone(), self.device):
                checkup.explain("generator", self.G, z, *y)
            raise
        finally:
            for m, mode in modes:
                m.training = mode

    def _as_tensor(self, value: Any, name: str) -> Tensor:
        if isinstance(value, Tensor):
            return value.to(self.device)
        try:
            t = torch.as_tensor(value, device=self.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name} must be a tensor or an array of numbers, got {type(value).__name__}") from error
        return t.to(next(self.G.parameters()).dtype) if t.is_floating_point() else t  # numpy draws float64

    def _check_first(self, x: Tensor, z: Tensor, *y: Any) -> None:
        """Notice before anybody moves what would fail, or would train in silence to nothing."""
        for role, net, first in (("generator", self.G, z), ("discriminator", self.D, x)):
            if not any(isinstance(p, nn.UninitializedParameter) for p in net.parameters()):
                continue
            with own_random_state(self._random_state.clone(), self.device):
                checkup.answer(role, net.eval(), first, *y)  # the first call gives lazy layers their weights
            net.train()
            if self.averaged_G is not None and net is self.G:
                self.averaged_G.module.load_state_dict(net.state_dict())
        self._look_at(x, z, *y, loss_D=self.pair.loss_D)

    def _or_say_why(self, update: Callable[..., Any], x: Tensor, z: Tensor, *y: Any, **settings: float) -> Any:
        try:
            return update(x, z, *y, **settings)
        except Exception:
            self._look_at(x, z, *y)  # raises an error that names the cause, where one can be named
            raise

    def _look_at(self, x: Tensor, z: Tensor, *y: Any, loss_D: Callable[..., Tensor] | None = None) -> None:
        checkup.check_batch(x, *y)
        with own_random_state(self._random_state.clone(), self.device):  # the training's own numbers are not spent
            checkup.look(self.G, self.D, z, x, *y, loss_D=loss_D)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, as tensors and plain values. Lesson 04."""
        for name, optimizer in (("opt_G", self.opt_G), ("opt_D", self.opt_D)):
            if not hasattr(optimizer, "state_dict"):
                raise TypeError(f"{name} must have a state_dict to be saved, got {type(optimizer).__name__}: write one")
        return {
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "opt_G": self.opt_G.state_dict(),
            "opt_D": self.opt_D.state_dict(),
            "averaged_G": self.averaged_G.state_dict() if self.averaged_G is not None else None,
            "random_state": self._random_state.clone(),
            "steps_done": self.steps_done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned from a model of the same settings. Lesson 04."""
        self.G.load_state_dict(state["G"])
        self.D.load_state_dict(state["D"])
        self.opt_G.load_state_dict(state["opt_G"])
        self.opt_D.load_state_dict(state["opt_D"])
        if self.averaged_G is not None:
            self.averaged_G.load_state_dict(state["averaged_G"])
        self._random_state.copy_(state["random_state"])
        self.steps_done = state["steps_done"]


class MismatchedGAN(GAN):
    """A conditional GAN whose D also sees real images beside a wrong label, and shall call these pairs fake.

    The wrong labels are drawn anew for each minibatch; those pairs and the fakes count half each, so that loss_D is
    still log 4 where D answers 1/2 to all. ``y`` is one tensor of labels (n,) from 0 to ``num_classes`` - 1. Other
    arguments as in ``GAN``. Reed et al. 2016, section 4.2. Lesson 06.
    """

    def __init__(self, *arguments: Any, num_classes: int = 10, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.num_classes = self.settings["num_classes"] = checkup.whole("num_classes", num_classes, 2)

    def discriminator_loss(self, x: Tensor, fake: Tensor, *y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return D's loss on real ``x`` and ``fake`` (n, ...) under labels, and the logits of both. Lesson 06."""
        if len(y) != 1:
            raise ValueError(
                f"y must be one tensor of labels, got {len(y)} conditions: a minibatch is (x, labels), as "
                "Minibatches(images, labels) gives it"
            )
        labels = y[0]
        wrong = (labels + torch.randint_like(labels, 1, self.num_classes)) % self.num_classes
        real_logits, fake_logits = self.D(x, labels), self.D(fake, labels)
        losses = [self.pair.loss_D(real_logits, logits) for logits in (fake_logits, self.D(x.detach(), wrong))]
        return sum(losses) / 2, real_logits, fake_logits  # type: ignore[return-value]


def _describe(network: nn.Module) -> str:
    return f"{' '.join(str(network).split())}, {next(network.parameters()).dtype}"


def _settings(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    defaults = getattr(optimizer, "defaults", {})  # a wrapper has none
    of_groups = {
        f"{name}.group {k}.{key}": value
        for k, group in enumerate(optimizer.param_groups)
        for key, value in group.items()
        if not key.startswith("param") and (key not in defaults or value != defaults[key])
    }
    return {name: type(optimizer).__name__, **{f"{name}.{key}": value for key, value in defaults.items()}, **of_groups}


def _draws(latent: Latent, device: torch.device) -> str:
    """The shape and the first numbers of a draw: latents of one name may be two distributions."""
    try:
        with own_random_state(torch.Generator(device).manual_seed(0).get_state(), device) as rng:
            z = copy.deepcopy(latent)(2, rng)
        return f", draws {tuple(z.shape)}: {' '.join(f'{number:.3f}' for number in z.flatten()[:4].tolist())}"
    except Exception:  # what cannot be copied or drawn from is found in the first step
        return ""


def _check_device(device: torch.device) -> None:
    if device.type not in ("cpu", "cuda"):
        raise ValueError(
            f"generator must lie on the CPU or on a GPU of CUDA, got the device {device}, whose random state cannot be "
            "kept here: G.cpu() and D.cpu(), before the optimizers are built, train on the CPU"
        )


def _average_of(generator: nn.Module, largest: float, device: torch.device) -> AveragedModel:
    try:
        average = AveragedModel(checkup.twin(generator), device=device, multi_avg_fn=RunningMean(largest))
        for p in average.parameters():
            p.requires_grad = False  # requires_grad_ refuses lazy ones
    except Exception as error:
        raise ValueError(
            f"average must be None for a generator that cannot be copied, got {largest} and the error '{error}': "
            "lazy layers can be copied after one call of G(z)"
        ) from error
    return average.eval()


@dataclass(frozen=True)
class RunningMean:
    """Weigh the past by min(largest, (1 + t) / (10 + t)): the first, poor weights are forgotten soon. Lesson 04."""

    largest: float

    @torch.no_grad()
    def __call__(self, averaged: Any, current: Any, t: Any) -> None:
        """Move the tensors ``averaged`` towards ``current``, after ``t`` updates. Lesson 04."""
        decay = min(self.largest, (1 + int(t)) / (10 + int(t)))
        torch._foreach_lerp_(averaged, current, 1 - decay)


@contextmanager
def frozen_statistics(player: nn.Module) -> Iterator[None]:
    """While the other player moves, BatchNorm normalises by the batch but leaves its running statistics alone."""
    norms = [m for m in player.modules() if getattr(m, "track_running_stats", False)]
    for m in norms:
        m.track_running_stats = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for m in norms:
            m.track_running_stats = True  # type: ignore[assignment]


@contextmanager
def resting(network: nn.Module) -> Iterator[nn.Module]:
    """Put ``network`` into eval mode, and give each of its parts the mode back that it had."""
    modes = [(m, m.training) for m in network.modules()]
    network.eval()
    try:
        yield network
    finally:
        for m, mode in modes:
            m.training = mode


def state_of(model: Any, *parts: str) -> dict[str, Any]:
    """Return all that the next step of ``model`` depends on: its ``parts``, average, random state and step."""
    return {
        **{name: getattr(model, name).state_dict() for name in parts},
        "averaged": model.averaged.state_dict() if model.averaged is not None else None,
        "random_state": model._random_state.clone(),
        "steps_done": model.steps_done,
    }


def restore(model: Any, state: dict[str, Any], *parts: str) -> None:
    """Put back into ``model`` what ``state_of`` returned."""
    for name in parts:
        getattr(model, name).load_state_dict(state[name])
    if model.averaged is not None:
        model.averaged.load_state_dict(state["averaged"])
    model._random_state.copy_(state["random_state"])
    model.steps_done = state["steps_done"]


@contextmanager
def own_random_state(state: Tensor, device: torch.device) -> Iterator[torch.Generator]:
    """Put ``state`` into torch's global generator, since dropout draws from that one, and take it back advanced.

    After an error ``state`` is what it was: a step that is refused and then mended draws what it would have drawn.
    """
    rng = torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator
    outside = rng.get_state()
    rng.set_state(state)
    try:
        yield rng
        state.copy_(rng.get_state())
    finally:
        rng.set_state(outside)
