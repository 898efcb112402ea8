"""The networks and latents of the course: plain ``torch.nn`` modules that map z to images and images to logits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from .images import IMAGE_SHAPE


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


def _whole(name: str, value: Any) -> int:
    if not _is_count(value):
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


@dataclass(frozen=True)
class _Latent:
    latent_dim: int
    dtype: torch.dtype = torch.float32
    copies: int | None = None

    def __post_init__(self) -> None:
        for name in ("latent_dim",) if self.copies is None else ("latent_dim", "copies"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))

    def _shape(self, n: int) -> tuple[int, ...]:
        return (n, self.latent_dim) if self.copies is None else (n, self.copies, self.latent_dim)


class NormalLatent(_Latent):
    """Draw z from N(0, I): calling it with n and a random generator gives a tensor (n, latent_dim) on its device.

    With ``copies`` it is (n, copies, latent_dim), noise of its own for each copy of a network. Raises ValueError for
    sizes that are no whole numbers of at least 1. Lesson 03.
    """

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(self._shape(n), generator=rng, device=rng.device, dtype=self.dtype)


class UniformLatent(_Latent):
    """Draw z uniformly from [-1, 1), otherwise as ``NormalLatent``. Lesson 03."""

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        return 2 * torch.rand(self._shape(n), generator=rng, device=rng.device, dtype=self.dtype) - 1


@dataclass(frozen=True, kw_only=True)
class CodeLatent(NormalLatent):
    """Draw z with a code before the noise: ``scale`` at the place of one of ``codes``, else 0, then N(0, I).

    z is (n, codes + latent_dim), or (n, copies, codes + latent_dim). A network can send each code to a part of its own,
    which it could only join by a bridge when z is continuous. Errors as in ``NormalLatent``. Lesson 03.
    """

    codes: int
    scale: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "codes", _whole("codes", self.codes))

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        noise = super().__call__(n, rng)
        code = torch.randint(self.codes, noise.shape[:-1], generator=rng, device=rng.device)
        return torch.cat([self.scale * nn.functional.one_hot(code, self.codes).to(noise), noise], -1)


def mlp(
    *widths: int,
    activation: Callable[[], nn.Module] = nn.ReLU,
    batchnorm: bool = False,
    dropout: float = 0.0,
    copies: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Return linear layers of the given widths, with activation (BatchNorm before, dropout after) between them.

    ``widths`` are at least two positive counts, input first; ``dropout`` is a probability in [0, 1). The weights are
    PyTorch's default draw for Linear from ``seed`` alone; the global random generator is left as it was. With
    ``copies`` the network takes x (n, copies, d), and copy k begins with the weights of ``seed`` + k. Raises
    ValueError for other widths or probabilities, and for copies of layers that would mix them. Lesson 03.
    """
    if len(widths) < 2 or not all(map(_is_count, widths)):
        raise ValueError(f"widths must be two or more positive integers (input, hidden ..., output), got {widths}")
    widths = tuple(map(int, widths))  # numpy's would be among the settings of a saved model
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be a probability in [0, 1), got {dropout}")
    if copies is not None:
        if not _is_count(copies):
            raise ValueError(f"copies must be a whole number of at least 1, or None, got {copies!r}")
        make = partial(mlp, *widths, activation=activation, batchnorm=batchnorm, dropout=dropout, dtype=dtype)
        return nn.Sequential(*map(_in_parallel, zip(*(make(seed=seed + k) for k in range(copies)), strict=True)))
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for n_in, n_out in zip(widths[:-2], widths[1:-1], strict=True):
            layers += [nn.Linear(n_in, n_out, dtype=dtype)]
            layers += [nn.BatchNorm1d(n_out, dtype=dtype)] if batchnorm else []
            layers += [activation()]
            layers += [nn.Dropout(dropout)] if dropout else []
        layers += [nn.Linear(widths[-2], widths[-1], dtype=dtype)]
    return nn.Sequential(*layers)


class ParallelLinear(nn.Module):
    """Apply several linear layers of one size at once, each to a slice of its own: (n, copies, d) to (n, copies, d').

    ``layers`` give the weights. A loss that is a mean over n and copies trains every copy as its mean over n would
    train it alone. Lesson 03.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))  # (copies, d', d)
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))  # (copies, d')

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, copies, d') of ``x`` (n, copies, d). Lesson 03."""
        weight, bias = (_OwnMean.apply(p, len(p)) for p in (self.weight, self.bias))
        return torch.baddbmm(bias[:, None], x.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)

    def extra_repr(self) -> str:
        """Return the sizes, which are among the settings of a saved model. Lesson 03."""
        copies, n_out, n_in = self.weight.shape
        return f"in_features={n_in}, out_features={n_out}, copies={copies}"


class Packed(nn.Module):
    """Let a discriminator see ``m`` samples at once, side by side: it can tell whether samples of a batch are alike.

    ``discriminator`` takes x (n, ..., m * d) for samples (n, ..., d), and its logit stands for each member of a pack:
    (n, ..., 1). So an R1 penalty counts m times. Raises ValueError for a batch that m does not divide. Lin et al.
    2018, section 3. Lesson 03.
    """

    def __init__(self, discriminator: nn.Module, m: int) -> None:
        super().__init__()
        self.discriminator, self.m = discriminator, _whole("m", m)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, ..., 1) of ``x`` (n, ..., d). Lesson 03."""
        if len(x) % self.m:
            raise ValueError(f"x must hold a multiple of m = {self.m} samples, got {len(x)}: change the batch size")
        packs = x.unflatten(0, (-1, self.m)).movedim(1, -2).flatten(-2)  # (n / m, ..., m * d)
        return self.discriminator(packs).repeat_interleave(self.m, 0)


class _OwnMean(torch.autograd.Function):
    """Hand on a parameter; multiply its gradient by the number of copies.

    The mean over n and copies divides each copy's part of the loss by the copies. A copy's parameters see no other
    part, so this gives them the gradient of the copy's own mean. It is done at the parameters, where a gradient arrives
    once, and not at the layer's output, where every layer would multiply again and R1, the gradient at x, would too.
    """

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, copies: int) -> Tensor:
        ctx.copies = copies
        return parameter.view_as(parameter)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.copies * gradient, None


def _in_parallel(layers: Sequence[nn.Module]) -> nn.Module:
    """One layer that does what each of ``layers`` does to its slice of (n, copies, d)."""
    if isinstance(layers[0], nn.Linear):
        return ParallelLinear(layers)  # type: ignore[arg-type]
    if layers[0].state_dict():
        raise ValueError(
            f"copies can hold linear layers, dropout and activations without weights, got {layers[0]}: "
            "its numbers would be shared; batchnorm=False, or train the networks one by one"
        )
    return layers[0]


def one_hot(labels: Tensor, num_classes: int = 10) -> Tensor:
    """Return rows (n, num_classes) of zeros, with a 1 at the place of each of the ``labels`` (n,).

    Labels are whole numbers from 0 to num_classes - 1; the rows are float32. Raises TypeError for floats and for
    anything but a tensor, ValueError for other shapes and for labels out of range. Lesson 06.
    """
    _check_labels(labels, num_classes)
    return nn.functional.one_hot(labels.long(), num_classes).float()


def _check_labels(labels: Any, num_classes: int) -> None:
    if not isinstance(labels, Tensor):
        raise TypeError(
            f"labels must be a tensor of whole numbers, got {type(labels).__name__}: torch.tensor([7]) is one label, "
            "and torch.full((n,), 7) asks for n times the same"
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        mend = "rows of a one-hot become labels by .argmax(1)" if labels.ndim > 1 else "labels.long() makes them so"
        raise TypeError(f"labels must be whole numbers, got {labels.dtype} of shape {tuple(labels.shape)}: {mend}")
    if labels.ndim != 1:
        mend = "one label for all n samples is torch.full((n,), label)" if not labels.ndim else "take labels[:, 0]"
        mend = mend if labels.ndim < 2 or labels.shape[1:] == (1,) else "rows of a one-hot become labels by .argmax(1)"
        raise ValueError(f"labels must have shape (n,), one for each sample, got {tuple(labels.shape)}: {mend}")
    if labels.numel() and not 0 <= labels.min() <= labels.max() < num_classes:
        span = f"{labels.min().item()} to {labels.max().item()}"
        cause = "classes that are counted from 1 need labels - 1" if labels.min() > 0 else "look at the data"
        cause = cause if labels.min() >= 0 else "leave out samples without a label"
        raise ValueError(f"labels must lie between 0 and {num_classes - 1}, got {span}: {cause}")


def _check_pairs(x: Tensor, labels: Tensor) -> None:
    if len(x) != len(labels):
        raise ValueError(
            f"labels must hold one for each of the {len(x)} samples, got {len(labels)}: "
            "one label for all of them is torch.full((n,), label)"
        )


class LabelInput(nn.Module):
    """Tell a network the label at its input: it gets x, flattened, and beside it the label's one-hot times ``scale``.

    ``network`` takes (n, d + num_classes) for x (n, ...) of d numbers; it may be a generator, whose x is z, or a
    discriminator. Errors as in ``one_hot``, and ValueError unless there is a label for each sample. Mirza and Osindero
    2014, section 3.2. Lesson 06.
    """

    def __init__(self, network: nn.Module, num_classes: int = 10, scale: float = 1.0) -> None:
        super().__init__()
        self.network, self.num_classes, self.scale = network, _whole("num_classes", num_classes), scale

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return what the network makes of ``x`` (n, ...) and ``labels`` (n,). Lesson 06."""
        code = one_hot(labels, self.num_classes).to(x)
        _check_pairs(x, labels)
        return self.network(torch.cat([x.flatten(1), self.scale * code], 1))

    def extra_repr(self) -> str:
        """Return the sizes, which are among the settings of a saved model. Lesson 06."""
        return f"num_classes={self.num_classes}, scale={self.scale}"


class LabelOutput(nn.Module):
    """Tell a discriminator the label at its output: it has one logit for each class, and only the label's is read.

    ``network`` maps x (n, ...) to logits (n, num_classes): each is real or fake *for its class*, and none a class
    score. Errors as in ``LabelInput``. Mescheder et al. 2018, in their code; Liu et al. 2019, section 3. Lesson 06.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (n, 1) of ``x`` (n, ...) for its ``labels`` (n,). Lesson 06."""
        logits = self.network(x)
        if logits.ndim != 2 or logits.shape[1] < 2:
            raise ValueError(
                f"network must return a logit for each class, (n, num_classes), got {tuple(logits.shape)}: "
                "let its last layer have as many outputs as there are classes"
            )
        _check_labels(labels, logits.shape[1])
        _check_pairs(x, labels)
        return logits.gather(1, labels.long()[:, None])


def _image_pair(G: nn.Sequential, D: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    return nn.Sequential(*G, nn.Tanh(), nn.Unflatten(1, IMAGE_SHAPE)), nn.Sequential(nn.Flatten(), *D)


def textbook_pair(
    latent_dim: int = 128, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the generator 128-256-512-784 and the discriminator 784-256-1 of the usual first MNIST GAN.

    G maps z (n, latent_dim) to images (n, 1, 28, 28) in [-1, 1]: ReLU, then tanh; 566,800 parameters at 128. D maps
    images to logits (n, 1): ReLU and dropout 0.3; 201,217 parameters. Lesson 04.
    """
    return _image_pair(
        mlp(latent_dim, 256, 512, 784, seed=seed, dtype=dtype),
        mlp(784, 256, 1, dropout=0.3, seed=seed + 1, dtype=dtype),
    )


def upgraded_pair(
    latent_dim: int = 128, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the deeper pair 128-256-512-1024-784 and 784-1024-512-256-1 with LeakyReLU 0.2.

    Shapes and ranges are those of ``textbook_pair``; D has dropout 0.3 after each hidden layer. 1,493,520 and
    1,460,225 parameters. Lesson 04, exercise 5.
    """
    leaky = partial(nn.LeakyReLU, 0.2)
    return _image_pair(
        mlp(latent_dim, 256, 512, 1024, 784, activation=leaky, seed=seed, dtype=dtype),
        mlp(784, 1024, 512, 256, 1, activation=leaky, dropout=0.3, seed=seed + 1, dtype=dtype),
    )


def better_pair(
    latent_dim: int = 32, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the pair of the course's better recipe: BatchNorm in G 32-256-512-784, a plain D 784-256-128-1.

    Shapes and ranges are those of ``textbook_pair``; D has LeakyReLU 0.2 and no dropout. It is meant for Adam with
    learning rate 1e-3 and betas (0.0, 0.99), R1 with gamma 0.1 every fourth step and the average of G. Lesson 04.
    """
    return _image_pair(
        mlp(latent_dim, 256, 512, 784, batchnorm=True, seed=seed, dtype=dtype),
        mlp(784, 256, 128, 1, activation=partial(nn.LeakyReLU, 0.2), seed=seed + 1, dtype=dtype),
    )


def vae_pair(
    latent_dim: int = 20, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the encoder 784-512-256-2L and the decoder L-256-512-784 of a VAE with L = ``latent_dim``, with ReLU.

    The encoder maps images (n, 1, 28, 28) to mu and log_var in one tensor (n, 2 · latent_dim). The decoder maps z
    (n, latent_dim) to one answer for each pixel, (n, 1, 28, 28): a logit, or what tanh makes a mean of. It has the
    widths of the generator in ``better_pair``. Lesson 05.
    """
    encoder = mlp(784, 512, 256, 2 * _whole("latent_dim", latent_dim), seed=seed + 1, dtype=dtype)
    decoder = mlp(latent_dim, 256, 512, 784, seed=seed, dtype=dtype)
    return nn.Sequential(nn.Flatten(), *encoder), nn.Sequential(*decoder, nn.Unflatten(1, IMAGE_SHAPE))


def convolutional_pair(
    latent_dim: int = 32, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[nn.Sequential, nn.Sequential]:
    """Return a small convolutional pair, transposed convolutions in G and strided ones in D.

    Shapes and ranges are those of ``textbook_pair``. G goes from 256 to 32 x 7 x 7, 16 x 14 x 14 and 1 x 28 x 28, with
    BatchNorm and ReLU; D goes back, with LeakyReLU 0.2. After DCGAN (Radford et al. 2016, section 3). Lesson 04.
    """
    leaky = partial(nn.LeakyReLU, 0.2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = nn.Sequential(
            *(nn.Linear(latent_dim, 256), nn.BatchNorm1d(256), nn.ReLU()),
            *(nn.Linear(256, 32 * 7 * 7), nn.BatchNorm1d(32 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (32, 7, 7))),
            *(nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1), nn.Tanh()),
        )
        torch.manual_seed(seed + 1)
        D = nn.Sequential(
            *(nn.Conv2d(1, 16, 4, stride=2, padding=1), leaky()),
            *(nn.Conv2d(16, 32, 4, stride=2, padding=1), leaky()),
            *(nn.Flatten(), nn.Linear(32 * 7 * 7, 128), leaky(), nn.Linear(128, 1)),
        )
    return G.to(dtype), D.to(dtype)


def conditional_pair(
    latent_dim: int = 32, num_classes: int = 10, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[LabelInput, LabelOutput]:
    """Return ``better_pair`` with labels: G is told them at its input, and D has an output for each class.

    G maps z (n, latent_dim) and labels (n,) to images (n, 1, 28, 28) in [-1, 1]; D maps images and labels to logits
    (n, 1). The settings of ``better_pair`` hold for it. Lesson 06.
    """
    G, D = _image_pair(
        mlp(latent_dim + num_classes, 256, 512, 784, batchnorm=True, seed=seed, dtype=dtype),
        mlp(784, 256, 128, num_classes, activation=partial(nn.LeakyReLU, 0.2), seed=seed + 1, dtype=dtype),
    )
    return LabelInput(G, num_classes), LabelOutput(D)


def count_parameters(module: nn.Module) -> int:
    """Return how many numbers the optimizer may change in ``module``. Lesson 04."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
