"""Flow matching as an object: a network of velocities that carries noise to data along straight lines."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from . import checkup, gan

WAVES = 8  # sines and cosines of the time that the network is told


class TimeInput(nn.Module):
    """Tell a network the time t in [0, 1] at its input: it gets x (n, d), and beside it 16 sines and cosines of t.

    ``network`` takes (n, d + 16). Lesson 05.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.waves: Tensor
        self.register_buffer("waves", math.pi * torch.arange(1, WAVES + 1), persistent=False)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return what the network makes of ``x`` (n, d) at the times ``t`` (n,). Lesson 05."""
        angles = t[:, None] * self.waves
        return self.network(torch.cat([x, angles.sin().to(x), angles.cos().to(x)], 1))


class Flow:
    """A velocity v(x, t) that moves noise at t = 0 to data at t = 1, learnt one call of ``step`` at a time.

    ``velocity`` maps x (n, d) and times t (n,) in [0, 1] to velocities (n, d); ``optimizer`` holds its parameters.
    Data should have a mean near 0 and a standard deviation near 1. Keyword arguments:

    - ``average``: largest decay of the average of the weights, in (0, 1), or None
    - ``seed``: fixes every random number of the training

    Raises ValueError or TypeError for settings that cannot work. Lipman et al. 2023, equation 23; Liu et al. 2023,
    equation 1. Lesson 05.
    """

    def __init__(
        self,
        velocity: nn.Module,
        optimizer: torch.optim.Optimizer,
        dim: int,
        *,
        average: float | None = None,
        seed: int = 0,
    ) -> None:
        self.dim, seed = checkup.whole("dim", dim, 1), checkup.whole("seed", seed)
        _check_parts(velocity, optimizer)
        average = checkup.check_average(average, "velocity(x, t)", velocity)
        self.velocity, self.optimizer = velocity, optimizer
        self.device = next(velocity.parameters()).device
        self.averaged = None if average is None else gan._average_of(velocity, average, self.device)
        self.steps_done = 0
        self._random_state = torch.Generator(self.device).manual_seed(seed).get_state()
        #: what a saved state must agree with before it is loaded
        self.settings: dict[str, Any] = {
            "velocity": gan._describe(velocity),
            **gan._settings("optimizer", optimizer),
            "dim": self.dim,
            "average": average,
            "seed": seed,
            "device": self.device.type,
        }

    def step(self, batches: Iterator[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """Move the velocity once, on a minibatch (x,) of data (n, d) taken from ``batches`` with next.

        Noise x0 and data x1 are joined by a line, x_t = (1 - t) x0 + t x1; the velocity shall be x1 - x0 there. Returns
        ``loss``, the mean squared error. Raises ValueError or TypeError for data and networks that cannot train.
        Liu et al. 2023, algorithm 1. Lesson 05.
        """
        if self.steps_done == 0:
            checkup.check_batches(batches)
        self.velocity.train()
        with torch.inference_mode(False), gan.own_random_state(self._random_state, self.device):
            x1, *y = checkup.unpacked(next(batches))
            if self.steps_done == 0:
                self._check_first(x1, *y)
            x0, t = torch.randn_like(x1), torch.rand(len(x1), device=x1.device, dtype=x1.dtype)
            x_t = x0 + t[:, None] * (x1 - x0)
            loss = (self.velocity(x_t, t) - (x1 - x0)).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.averaged is not None:
                self.averaged.update_parameters(self.velocity)
        self.steps_done += 1
        return {"loss": loss.detach()}

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, calls: int = 16) -> Tensor:
        """Return n samples (n, dim): noise of ``seed``, moved in ``calls`` equal steps of time (Euler). Lesson 05."""
        n, calls = checkup.whole("n", n, 0), checkup.whole("calls", calls, 1)
        velocity = self.velocity if self.averaged is None else self.averaged.module
        rng = torch.Generator(self.device).manual_seed(checkup.whole("seed", seed))
        dtype = next(velocity.parameters()).dtype
        x = torch.randn(n, self.dim, generator=rng, device=self.device, dtype=dtype)
        with gan.resting(velocity):
            for k in range(calls):
                x = x + velocity(x, torch.full((n,), k / calls, device=self.device, dtype=dtype)) / calls
        return x

    def _check_first(self, x: Tensor, *y: Any) -> None:
        """Notice before anything moves what would fail, or would train in silence to nothing."""
        checkup.check_batch(x, *y)
        if y:
            raise ValueError(
                f"a minibatch must hold x alone, got {1 + len(y)} tensors: a flow takes no labels, Minibatches(x)"
            )
        if x.shape[1:] != (self.dim,):
            mends = {1: "numbers need .reshape(-1, 1)", 2: "build velocity and flow with the width of the data"}
            raise ValueError(
                f"a minibatch must hold rows of dim = {self.dim} numbers, got x of {tuple(x.shape)}: "
                + mends.get(x.ndim, "images need .flatten(1)")
            )
        weight = next(self.velocity.parameters())
        if x.dtype != weight.dtype:
            raise ValueError(
                f"a minibatch must have the dtype of the velocity, {weight.dtype}, got {x.dtype}: "
                f"give both one dtype, x.to({weight.dtype})"
            )
        with torch.no_grad(), gan.own_random_state(self._random_state.clone(), self.device):
            made = self._answer(checkup.twin(self.velocity), x)
        if not isinstance(made, Tensor) or made.shape != x.shape:
            raise ValueError(
                f"velocity must return velocities of the shape of x, {tuple(x.shape)}, got {checkup._form(made)}: "
                f"its last layer needs dim = {self.dim} outputs"
            )

    def _answer(self, velocity: nn.Module, x: Tensor) -> Any:
        t, must = x.new_zeros(len(x)), f"velocity must take x {tuple(x.shape)} and t ({len(x)},)"
        try:
            return velocity(x, t)
        except Exception as error:
            got = f"got {type(velocity).__name__} and the error '{' '.join(str(error).split())}'"
            if not checkup._binds(velocity.forward, x, t):
                raise ValueError(f"{must}, {got}: TimeInput(network) takes both") from error
            width = self.dim + 2 * WAVES
            if isinstance(velocity, TimeInput) and not checkup.takes(velocity.network, x.new_zeros(len(x), width)):
                mend = f"its first layer needs dim + {2 * WAVES} = {width} inputs"
                raise ValueError(f"{must}, {got}: {mend}") from error
            raise

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, as tensors and plain values. Lesson 05."""
        return gan.state_of(self, "velocity", "optimizer")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned from a model of the same settings. Lesson 05."""
        gan.restore(self, state, "velocity", "optimizer")


def _check_parts(velocity: Any, optimizer: Any) -> None:
    checkup.check_network("velocity", velocity)
    if (device := next(velocity.parameters()).device).type not in ("cpu", "cuda"):
        raise ValueError(
            f"velocity must lie on the CPU or on a GPU of CUDA, got the device {device}: "
            "velocity.cpu(), before the optimizer is built, trains on the CPU"
        )
    such_as = "torch.optim.Adam(velocity.parameters())"
    held = checkup.check_only_optimizer(optimizer, such_as)
    if missing := sum(p.requires_grad and id(p) not in held for p in velocity.parameters()):
        raise ValueError(
            f"optimizer must hold the parameters of the velocity, got one that lacks {missing} of its tensors: "
            f"build it after the network, {such_as}"
        )
