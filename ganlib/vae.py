"""The variational autoencoder as an object: encoder, decoder, one optimizer, and the bound that all three raise."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import checkup, gan
from .images import as_probabilities, check_images, check_not_0_to_1

MOST = 80.0  # of log_var at the first step: exp(89) is infinite in float32


def kl_to_prior(mu: Tensor, log_var: Tensor) -> Tensor:
    """Return KL(N(mu, exp(log_var)) ‖ N(0, I)) of each row in nats (n,), for ``mu`` and ``log_var`` (n, latent_dim).

    The result is >= 0, and 0 where mu = 0 and log_var = 0. Raises ValueError when the shapes differ. Kingma and
    Welling 2014, appendix B. Lesson 05.
    """
    _check_code(mu, log_var)
    return 0.5 * (mu.square() + log_var.exp() - log_var - 1).flatten(1).sum(1)


def reparameterise(mu: Tensor, log_var: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Return z = mu + exp(log_var / 2) · eps (n, latent_dim), with eps from N(0, I): a draw that lets gradients pass.

    ``mu`` and ``log_var`` (n, latent_dim) are the mean and the logarithm of the variance; eps comes from ``rng``, else
    from torch's own generator. Raises ValueError when the shapes differ. Kingma and Welling 2014, section 2.4.
    Lesson 05.
    """
    _check_code(mu, log_var)
    eps = torch.randn(mu.shape, generator=rng, device=mu.device, dtype=mu.dtype)
    return mu + (log_var / 2).exp() * eps


def _check_code(mu: Tensor, log_var: Tensor) -> None:
    if mu.shape != log_var.shape or mu.ndim < 2:
        raise ValueError(
            f"mu and log_var must be of one shape (n, latent_dim), got {tuple(mu.shape)} and {tuple(log_var.shape)}: "
            "mu, log_var = encoder(x).chunk(2, 1) takes both from one answer"
        )


class Likelihood(Protocol):
    """What the decoder's answers say about the pixels: p(x|z). Lesson 05."""

    def mean(self, answers: Tensor) -> Tensor: ...
    def log_prob(self, answers: Tensor, x: Tensor) -> Tensor: ...
    def draw(self, answers: Tensor, rng: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Bernoulli:
    """Each pixel is white with the probability sigmoid(answer), else black: answers (n, ...) are logits.

    A grey pixel x in [-1, 1] counts as the share (x + 1) / 2 of white: then its ``log_prob`` is a cross-entropy, and
    no longer the logarithm of a probability. Kingma and Welling 2014, appendix C.1. Lesson 05.
    """

    def mean(self, answers: Tensor) -> Tensor:
        """Return the mean pixels (n, ...) in [-1, 1]. Lesson 05."""
        return 2 * answers.sigmoid() - 1

    def log_prob(self, answers: Tensor, x: Tensor) -> Tensor:
        """Return log p(x|z) of each image in nats (n,), for ``x`` (n, ...) in [-1, 1]; ValueError for other shapes.

        Lesson 05.
        """
        _check_pair(answers, x)
        return -F.binary_cross_entropy_with_logits(answers, as_probabilities(x), reduction="none").flatten(1).sum(1)

    def draw(self, answers: Tensor, rng: torch.Generator) -> Tensor:
        """Return pixels (n, ...) of -1 or 1 drawn from p(x|z). Lesson 05."""
        return 2 * torch.bernoulli(answers.sigmoid(), generator=rng) - 1


@dataclass(frozen=True)
class Gaussian:
    """Each pixel is normal with the mean tanh(answer) and the standard deviation ``sigma``, in units of [-1, 1].

    -log p(x|z) is the squared error over 2 sigma², plus a constant: so a squared error alone has chosen a sigma. Raises
    ValueError unless sigma is positive. Kingma and Welling 2014, appendix C.2. Lesson 05.
    """

    sigma: float = 0.3

    def __post_init__(self) -> None:
        if not checkup.is_number(self.sigma) or not 0 < self.sigma < math.inf:
            raise ValueError(
                f"sigma must be a positive number, got {self.sigma!r}: it is the standard deviation of a pixel, "
                "not its logarithm"
            )
        object.__setattr__(self, "sigma", float(self.sigma))

    def mean(self, answers: Tensor) -> Tensor:
        """Return the mean pixels (n, ...) in [-1, 1]. Lesson 05."""
        return answers.tanh()

    def log_prob(self, answers: Tensor, x: Tensor) -> Tensor:
        """Return log p(x|z) of each image in nats (n,), for ``x`` (n, ...) in [-1, 1]; ValueError for other shapes.

        Lesson 05.
        """
        _check_pair(answers, x)
        errors = (x - answers.tanh()) / self.sigma
        return -(0.5 * errors.square() + math.log(self.sigma) + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)

    def draw(self, answers: Tensor, rng: torch.Generator) -> Tensor:
        """Return pixels (n, ...) drawn from p(x|z), clipped to [-1, 1]. Lesson 05."""
        noise = torch.randn(answers.shape, generator=rng, device=answers.device, dtype=answers.dtype)
        return (answers.tanh() + self.sigma * noise).clamp(-1, 1)


def _check_pair(answers: Tensor, x: Tensor) -> None:
    """Two shapes would be broadcast in silence."""
    if answers.shape != x.shape:
        raise ValueError(
            f"answers and x must be of one shape (n, ...), got {tuple(answers.shape)} and {tuple(x.shape)}: "
            "there is one answer for each number of x"
        )


class VAE:
    """Encoder and decoder that learn together to describe data through a latent z, one call of ``step`` at a time.

    ``encoder`` maps x (n, ...) to (n, 2 · latent_dim): mu, then log_var, of q(z|x). ``decoder`` maps z (n, latent_dim)
    to one answer for each number of x, without a sigmoid or tanh at its end; ``likelihood`` says what it means. Both
    get the batch's conditions ``*y`` after their first argument. ``optimizer`` holds the parameters of both. x lies in
    [-1, 1]. Keyword arguments:

    - ``likelihood``: ``Bernoulli()`` or ``Gaussian(sigma)``
    - ``beta``: weight of the KL divergence in the loss; with 1 the loss is the negative ELBO
    - ``average``: largest decay of the average of all weights, in (0, 1), or None
    - ``seed``: fixes every random number of the training

    Raises ValueError or TypeError for settings that cannot work. Kingma and Welling 2014, equation 10; beta: Higgins
    et al. 2017. Lesson 05.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        optimizer: torch.optim.Optimizer,
        latent_dim: int,
        *,
        likelihood: Likelihood = Bernoulli(),
        beta: float = 1.0,
        average: float | None = None,
        seed: int = 0,
    ) -> None:
        self.latent_dim, seed = checkup.whole("latent_dim", latent_dim, 1), checkup.whole("seed", seed)
        if isinstance(likelihood, type) or not all(hasattr(likelihood, part) for part in ("mean", "log_prob", "draw")):
            raise TypeError(f"likelihood must be Bernoulli() or Gaussian(sigma), got {likelihood!r}")
        if not checkup.is_number(beta) or not 0 <= beta < math.inf:
            raise ValueError(f"beta must be 0 (no KL divergence) or positive, got {beta!r}")
        _check_parts(encoder, decoder, optimizer)
        average = checkup.check_average(average, "encoder(x) and decoder(z)", encoder, decoder)
        self.encoder, self.decoder, self.optimizer, self.likelihood = encoder, decoder, optimizer, likelihood
        self.beta = float(beta)
        self.device = next(decoder.parameters()).device
        self.networks = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.averaged = None if average is None else gan._average_of(self.networks, average, self.device)
        self.steps_done = 0
        self._random_state = torch.Generator(self.device).manual_seed(seed).get_state()
        #: what a saved state must agree with before it is loaded
        self.settings: dict[str, Any] = {
            "encoder": gan._describe(encoder),
            "decoder": gan._describe(decoder),
            **gan._settings("optimizer", optimizer),
            "latent_dim": self.latent_dim,
            "likelihood": repr(likelihood).partition(" at 0x")[0],
            "beta": self.beta,
            "average": average,
            "seed": seed,
            "device": self.device.type,
        }

    def step(self, batches: Iterator[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """Move encoder and decoder once, on a minibatch taken from ``batches`` with next.

        A minibatch is a tuple of x (n, ...) in [-1, 1] and any conditions. Returns detached scalars in nats for each
        image: ``reconstruction``, the mean of -log p(x|z), ``kl``, that of KL(q(z|x) ‖ p(z)), and ``loss``, their sum
        with kl weighted by beta. Raises ValueError or TypeError for data and networks that cannot train, and
        FloatingPointError before a loss that is not finite moves a weight. Kingma and Welling 2014, algorithm 1.
        Lesson 05.
        """
        if self.steps_done == 0:
            checkup.check_batches(batches)
        self.networks.train()
        with torch.inference_mode(False), gan.own_random_state(self._random_state, self.device):
            x, *y = checkup.unpacked(next(batches))
            if self.steps_done == 0:
                self._check_first(x, *y)
            reconstruction, kl = self.terms(x, *y)
            loss = reconstruction + self.beta * kl
            if not loss.isfinite():
                raise FloatingPointError(self._why_not_finite(x, reconstruction, kl))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.averaged is not None:
                self.averaged.update_parameters(self.networks)
        self.steps_done += 1
        return {"loss": loss.detach(), "reconstruction": reconstruction.detach(), "kl": kl.detach()}

    def terms(self, x: Tensor, *y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of -log p(x|z), for one z of each image, and of KL(q(z|x) ‖ p(z)), in nats. Lesson 05."""
        mu, log_var = self.encoder(x, *y).chunk(2, 1)
        z = reparameterise(mu, log_var)
        return -self.likelihood.log_prob(self.decoder(z, *y), x).mean(), kl_to_prior(mu, log_var).mean()

    @torch.no_grad()
    def encode(self, x: Tensor, *y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and log_var (n, latent_dim) of q(z|x), for ``x`` (n, ...) in [-1, 1], a tensor or an array.

        Raises ValueError or TypeError for x or y that the encoder cannot take. Lesson 05.
        """
        x, y = self._as_tensor(x, "x"), tuple(self._as_tensor(t, "y") for t in y)
        _check_range(x)
        with gan.resting(self._network("encoder")) as encoder:
            mu, log_var = self._code(encoder, x, *y).chunk(2, 1)
        return mu, log_var

    def reconstruct(self, x: Tensor, *y: Tensor, seed: int | None = None) -> Tensor:
        """Return what the decoder makes (n, ...) of the code of ``x`` (n, ...): of mu, or of a z drawn with ``seed``.

        The pixels are means, in [-1, 1]. Lesson 05.
        """
        mu, log_var = self.encode(x, *y)
        if seed is not None:
            mu = reparameterise(mu, log_var, torch.Generator(self.device).manual_seed(checkup.whole("seed", seed)))
        return self.generate(mu, *y)

    def sample(self, n: int, *y: Tensor, seed: int, pixels: bool = False) -> Tensor:
        """Return n samples (n, ...) of z from N(0, I), made from ``seed``, without a trace on the training.

        They are the means of p(x|z); with ``pixels`` they are drawn from it. Lesson 05.
        """
        n, seed = checkup.whole("n", n, 0), checkup.whole("seed", seed)
        rng = torch.Generator(self.device).manual_seed(seed)
        z = torch.randn(n, self.latent_dim, generator=rng, device=self.device, dtype=self._dtype)
        return self.likelihood.draw(self._answers(z, *y), rng) if pixels else self.generate(z, *y)

    def generate(self, z: Tensor, *y: Tensor) -> Tensor:
        """Return the mean of p(x|z) (n, ...) in [-1, 1], for ``z`` (n, latent_dim), a tensor or an array.

        Raises ValueError or TypeError for z or y that the decoder cannot take. Lesson 05.
        """
        return self.likelihood.mean(self._answers(z, *y))

    @torch.no_grad()
    def bound(self, x: Tensor, *y: Tensor, k: int = 1, seed: int) -> Tensor:
        """Return a lower bound of log p(x) for each image of ``x`` (n, ...), in nats (n,): the ELBO, or IWAE's.

        It is the logarithm of the mean of ``k`` weights p(x, z) / q(z|x), z drawn with ``seed``; on average it rises
        with k. Beta takes no part. Raises ValueError for k below 1. Burda et al. 2016, equation 8. Lesson 05.
        """
        k = checkup.whole("k", k, 1)
        rng = torch.Generator(self.device).manual_seed(checkup.whole("seed", seed))
        x, y = self._as_tensor(x, "x"), tuple(self._as_tensor(t, "y") for t in y)
        mu, log_var = self.encode(x, *y)
        weights = []
        for _ in range(k):
            z = reparameterise(mu, log_var, rng)
            log_prior = -0.5 * z.square().sum(1)  # the constants of both normal densities cancel
            log_q = -0.5 * ((z - mu).square() / log_var.exp() + log_var).sum(1)
            weights.append(self.likelihood.log_prob(self._answers(z, *y), x) + log_prior - log_q)
        return torch.stack(weights).logsumexp(0) - math.log(k)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.decoder.parameters()).dtype

    def _network(self, name: str) -> nn.Module:
        networks = self.networks if self.averaged is None else self.averaged.module
        return networks[name]  # type: ignore[index]

    @torch.no_grad()
    def _answers(self, z: Tensor, *y: Tensor) -> Tensor:
        z, y = self._as_tensor(z, "z").to(self._dtype), tuple(self._as_tensor(t, "y") for t in y)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(
                f"z must have shape (n, {self.latent_dim}), got {tuple(z.shape)}: it is a code of this VAE, which has "
                f"latent_dim {self.latent_dim}; one code is z[None]"
            )
        with gan.resting(self._network("decoder")) as decoder:
            return _answer("decoder", decoder, z, *y)

    def _as_tensor(self, value: Any, name: str) -> Tensor:
        try:
            t = value if isinstance(value, Tensor) else torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name} must be a tensor or an array of numbers, got {type(value).__name__}") from error
        return t.to(self.device, self._dtype) if t.is_floating_point() else t.to(self.device)

    def _code(self, encoder: nn.Module, x: Tensor, *y: Any) -> Tensor:
        """The encoder's answer, mu and log_var in one tensor."""
        code, width = _answer("encoder", encoder, x, *y), 2 * self.latent_dim
        must = f"encoder must return mu and log_var in one tensor, (n, {width}) for latent_dim {self.latent_dim}"
        if not isinstance(code, Tensor):
            raise TypeError(f"{must}, got {checkup._form(code)}: torch.cat([mu, log_var], 1) makes one of two")
        if code.shape != (len(x), width):
            mend = "its last layer needs 2 · latent_dim outputs"
            if code.ndim == 2 and code.shape[1] % 2 == 0 and code.shape[1] != self.latent_dim:
                mend = f"build networks and VAE with one latent_dim, {code.shape[1] // 2} fits this encoder"
            raise ValueError(f"{must}, got {tuple(code.shape)}: {mend}")
        return code

    def _check_first(self, x: Tensor, *y: Any) -> None:
        """Notice before anything moves what would fail, or would train in silence to nothing."""
        checkup.check_batch(x, *y)
        _check_range(x)
        encoder, decoder = checkup.twin(self.encoder), checkup.twin(self.decoder)
        with torch.no_grad():
            try:
                mu, log_var = self._code(encoder, x, *y).chunk(2, 1)
            except Exception:
                z = torch.zeros(len(x), self.latent_dim, device=self.device, dtype=self._dtype)
                if checkup.takes(decoder, x, *y) and checkup.takes(encoder, z, *y):
                    raise ValueError(
                        "encoder must map x to mu and log_var, got a network that takes z, and a decoder that takes x: "
                        "networks are swapped, write VAE(encoder, decoder, optimizer, latent_dim)"
                    ) from None
                raise
            if log_var.max() > MOST:
                raise ValueError(
                    f"encoder must begin with a log_var of at most {MOST:g}, which exp can take, got up to "
                    f"{log_var.max():.4g}: let it end in nn.Linear, whose own draw of weights is small enough"
                )
            self._check_answers(_answer("decoder", decoder, mu, *y), x)
        self._check_end(decoder, mu, *y)

    def _check_answers(self, answers: Any, x: Tensor) -> None:
        must = f"decoder must answer in the shape of the data, {tuple(x.shape)}"
        if not isinstance(answers, Tensor):
            raise TypeError(f"{must}, got {checkup._form(answers)}: return one tensor")
        if answers.shape != x.shape:
            mend = (
                f"let it end in nn.Unflatten(1, {tuple(x.shape[1:])})" if x.ndim > 2 else "let it end in nn.Flatten()"
            )
            if answers.numel() != x.numel():
                mend = f"its last layer needs one output for each number of x, {x[0].numel()}"
            raise ValueError(f"{must}, got {tuple(answers.shape)}: {mend}")

    def _check_end(self, decoder: nn.Module, mu: Tensor, *y: Any) -> None:
        """Sigmoid and tanh stay in the decoder where a GAN's generator becomes one; twice they train to grey."""
        applied = {Bernoulli: "sigmoid", Gaussian: "tanh"}.get(type(self.likelihood))
        if applied is None:
            return
        with gan.own_random_state(self._random_state.clone(), self.device):  # the training's own numbers are not spent
            low, high = checkup.reach(decoder, mu, *y)
        for (least, most), end in checkup.ENDS:
            if least <= low < high <= most < math.inf and least > -math.inf:
                raise ValueError(
                    f"decoder must answer with any numbers, got a network that ends in {end} whatever its weights are. "
                    f"Leave that end out: {self.likelihood!r} applies the {applied} itself"
                )

    def _why_not_finite(self, x: Tensor, reconstruction: Tensor, kl: Tensor) -> str:
        when = f"at step {self.steps_done + 1:,}, which has moved nothing"
        slower = "Build the model anew with a smaller learning rate, 1e-3 is a safe start"
        if not x.isfinite().all():
            return f"images must hold finite numbers, got NaN or inf {when}: look at the data"
        if not kl.isfinite():
            return (
                f"kl must be finite, got {kl.item()} {when}: mu or log_var has grown beyond what squares and exp can "
                f"hold. {slower}"
            )
        if reconstruction.isfinite():
            parts = f"{reconstruction.item():.4g} + beta · {kl.item():.4g}"
            return f"loss must be finite, got {parts} {when}: beta, {self.beta}, is too large"
        must = f"reconstruction must be finite, got {reconstruction.item()} {when}"
        if isinstance(self.likelihood, Gaussian) and reconstruction.isinf():  # tanh keeps the answers small
            return (
                f"{must}: the squares of errors over sigma, {self.likelihood.sigma}, are too large, take a larger one"
            )
        return f"{must}: the decoder's answers have grown beyond all bounds. {slower}"

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, as tensors and plain values. Lesson 05."""
        return gan.state_of(self, "encoder", "decoder", "optimizer")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned from a model of the same settings. Lesson 05."""
        gan.restore(self, state, "encoder", "decoder", "optimizer")


def _check_parts(encoder: Any, decoder: Any, optimizer: Any) -> None:
    networks = {"encoder": encoder, "decoder": decoder}
    for role, network in networks.items():
        checkup.check_network(role, network)
    devices = {p.device for network in networks.values() for p in network.parameters()}
    if len(devices) > 1 or devices.pop().type not in ("cpu", "cuda"):
        where = " and ".join(f"{role} on {next(network.parameters()).device}" for role, network in networks.items())
        raise ValueError(
            f"encoder and decoder must lie on one device, the CPU or a GPU of CUDA, got {where}: "
            "encoder.cpu() and decoder.cpu(), before the optimizer is built, train on the CPU"
        )
    such_as = "torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])"
    held = checkup.check_only_optimizer(optimizer, such_as)
    if not held & {id(p) for network in networks.values() for p in network.parameters()}:
        raise ValueError(
            "optimizer must hold the parameters of encoder and decoder, got one that holds none of them: "
            "build it after the networks, and again whenever they are built anew"
        )
    for role, network in networks.items():
        if missing := sum(p.requires_grad and id(p) not in held for p in network.parameters()):
            raise ValueError(
                f"optimizer must hold the parameters of both networks, got one that lacks {missing} tensors of the "
                f"{role}: {such_as}"
            )


def _check_range(x: Tensor) -> None:
    check_images(x, shape=x.shape[1:])
    if x.ndim != 4:  # numbers that are no pixels may all be positive
        return
    try:
        check_not_0_to_1(x)
    except ValueError as error:  # which speaks of generators too
        raise ValueError(str(error).partition(", or let a generator")[0]) from None


def _answer(role: str, network: nn.Module, first: Tensor, *y: Any) -> Any:
    """What the network makes of its arguments; an error names its cause, as in a GAN."""
    try:
        return network(first, *y)
    except Exception as error:
        like = "discriminator" if role == "encoder" else "generator"
        cause = "" if checkup._ours(error) else checkup._cause(like, network, first, y, error)
        if not cause:
            raise
        cause = cause.replace("latent and generator", "encoder and decoder").replace(like, role)
        raise ValueError(cause) from error
