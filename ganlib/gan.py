"""The generative adversarial network as an object: two networks, two optimizers, and the step of Algorithm 1."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from .images import check_images
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
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        for name, count in (("d_steps", d_steps), ("r1_every", r1_every)):
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
        if not r1 >= 0:
            raise ValueError(f"r1 must be 0 (no penalty) or positive, got {r1}")
        if average is not None and not 0 < average < 1:
            raise ValueError(f"average must be a decay in (0, 1) such as 0.998, or None, got {average}")
        if isinstance(list(discriminator.modules())[-1], nn.Sigmoid):
            raise ValueError(
                "discriminator must return logits, got a network that ends in Sigmoid: leave it out, losses apply it"
            )
        _check_optimizer("opt_G", opt_G, "generator", generator, discriminator)
        _check_optimizer("opt_D", opt_D, "discriminator", discriminator, generator)

        self.G, self.D = generator, discriminator
        self.opt_G, self.opt_D = opt_G, opt_D
        self.latent = latent
        self.d_steps, self.r1, self.r1_every = d_steps, r1, r1_every
        self.averaged_G: AveragedModel | None = None
        if average is not None:
            self.averaged_G = AveragedModel(generator, multi_avg_fn=_running_mean(average)).requires_grad_(False).eval()
        self.pair = LOSSES[loss]
        self._compares = self.pair.compares
        self.steps_done = 0
        self.device = next(generator.parameters()).device
        self._random_state = torch.Generator(self.device).manual_seed(seed).get_state()
        #: what a saved state must agree with before it is loaded
        self.settings: dict[str, Any] = {
            "generator": _describe(generator),
            "discriminator": _describe(discriminator),
            **_settings("opt_G", opt_G),
            **_settings("opt_D", opt_D),
            "latent": getattr(latent, "__qualname__", repr(latent)).partition(" at 0x")[0],
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
        where D gives scores. Raises ValueError in the first step for data that cannot train. Goodfellow et al. 2014,
        Algorithm 1. Lesson 03.
        """
        self.G.train(), self.D.train()
        with own_random_state(self._random_state, self.device) as rng:
            for k, (x, *y) in enumerate([next(batches) for _ in range(self.d_steps)]):
                z = self.latent(len(x), rng)
                if self.steps_done == 0:
                    self._check_first(x, z, *y)
                due = (self.steps_done * self.d_steps + k) % self.r1_every == 0
                r1 = self.r1_every * self.r1 if due else 0.0
                with frozen_statistics(self.G):
                    loss_D, real_logits, fake_logits = self.update_D(x, z, *y, r1=r1)
            with frozen_statistics(self.D):
                loss_G = self.update_G(x, self.latent(len(x), rng), *y)
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
        loss_G.backward(inputs=list(self.G.parameters()))
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
        with own_random_state(torch.Generator(self.device).manual_seed(seed).get_state(), self.device) as rng:
            return self.generate(self.latent(n, rng), *y, averaged=averaged)

    @torch.no_grad()
    def generate(self, z: Tensor, *y: Tensor, averaged: bool = True) -> Tensor:
        """Return the samples (n, ...) that G makes of ``z`` (n, latent_dim).

        G runs in eval mode: BatchNorm uses its running statistics, dropout rests; the mode is restored. With
        ``averaged`` the average of G's weights is used where the model keeps one. Raises ValueError for z of a shape
        that G cannot take. Lesson 04.
        """
        G = self.averaged_G if averaged and self.averaged_G is not None else self.G
        was_training = G.training
        G.eval()
        try:
            return _through(G, z.to(self.device), *y)
        finally:
            G.train(was_training)

    def _check_first(self, x: Tensor, z: Tensor, *y: Tensor) -> None:
        _check_batch(x)
        with own_random_state(self._random_state.clone(), self.device):  # the training's own numbers are not spent
            fake = self.generate(z, *y, averaged=False)
        if fake.shape != x.shape:
            raise ValueError(
                f"generator must make samples of the shape of the data, got {tuple(fake.shape)} beside "
                f"{tuple(x.shape)}: reshape one of them"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, as tensors and plain values. Lesson 04."""
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


def _check_optimizer(name: str, optimizer: torch.optim.Optimizer, role: str, own: nn.Module, other: nn.Module) -> None:
    """One optimizer per player: a shared one would move the opponent too, with its stale momentum."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"{name} must be a torch.optim.Optimizer, got {type(optimizer).__name__}")
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    foreign = len(held & {id(p) for p in other.parameters()})
    missing = len({id(p) for p in own.parameters() if p.requires_grad} - held)
    if foreign or missing:
        raise ValueError(
            f"{name} must hold the parameters of the {role} and of nobody else, got an optimizer that lacks {missing} "
            f"of its tensors and holds {foreign} of the other player's: give each player an optimizer of its own"
        )


def _through(generator: nn.Module, z: Tensor, *y: Tensor) -> Tensor:
    """Call G; torch's own message about two matrices would not name z."""
    try:
        return generator(z, *y)
    except RuntimeError as error:
        if "shape" not in str(error) and "size" not in str(error):
            raise
        shapes = " and y of ".join(str(tuple(t.shape)) for t in (z, *y))
        raise ValueError(
            f"z must be of a shape that the generator takes, (n, latent_dim), got z of {shapes} and the error "
            f"'{error}': build latent and generator with one latent_dim"
        ) from error


def _check_batch(x: Tensor) -> None:
    """Notice in the first step what would otherwise train in silence to nothing."""
    if not x.is_floating_point():
        raise ValueError(
            f"a minibatch must begin with float samples x (n, ...), got {x.dtype} of shape {tuple(x.shape)}: "
            "images come first and labels second, Minibatches(images, labels)"
        )
    if not x.isfinite().all():
        raise ValueError("a minibatch must hold finite numbers, got NaN or inf: look at the data before the training")
    if x.ndim == 4:
        check_images(x, shape=x.shape[1:])


def _describe(network: nn.Module) -> str:
    return f"{' '.join(str(network).split())}, {next(network.parameters()).dtype}"


def _settings(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return {name: type(optimizer).__name__, **{f"{name}.{key}": value for key, value in optimizer.defaults.items()}}


def _running_mean(largest: float) -> Callable[[Any, Any, Any], None]:
    """Weigh the past by min(largest, (1 + t) / (10 + t)): the first, poor weights are forgotten soon."""

    @torch.no_grad()
    def update(averaged: Any, current: Any, t: Any) -> None:
        decay = min(largest, (1 + int(t)) / (10 + int(t)))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    return update


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
