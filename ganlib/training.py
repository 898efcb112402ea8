"""The loop around ``step``: minibatches, and a generator of (step, log)."""

import math
import signal
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

CHECK_EVERY = 50  # steps between two tests for finiteness; reading a number each step costs speed on a GPU


class Model(Protocol):
    """What can be trained: a GAN, or any object with a ``step`` that counts in ``steps_done``."""

    steps_done: int

    def step(self, batches: Any) -> dict[str, Tensor]: ...


class Minibatches:
    """Iterate without end over minibatches of tensors that share their first dimension, as tuples.

    ``tensors`` (N, ...) may have any shapes and dtypes, for example images and labels; each minibatch holds
    ``batch_size`` rows of all, drawn without replacement in a fresh order from ``seed`` in every epoch. Rows left
    over at the end of an order wait for the next one. Raises TypeError for anything but tensors, ValueError if N
    differ or are below ``batch_size``.
    Lesson 04.
    """

    def __init__(self, *tensors: Tensor, batch_size: int = 128, seed: int = 0) -> None:
        if others := [type(t).__name__ for t in tensors if not isinstance(t, Tensor)]:
            raise TypeError(
                f"tensors must be torch tensors, got {', '.join(others)}: torch.from_numpy makes them of arrays"
            )
        sizes = [len(t) for t in tensors]
        if len(set(sizes)) != 1:
            raise ValueError(f"tensors must be one or more of equal length, got lengths {sizes}")
        if not isinstance(batch_size, int) or not 1 <= batch_size <= sizes[0]:
            raise ValueError(f"batch_size must lie between 1 and the {sizes[0]} rows there are, got {batch_size!r}")
        self.tensors, self.batch_size = tensors, batch_size
        self._rng = torch.Generator().manual_seed(seed)
        self.settings = {
            "batch_size": batch_size,
            "seed": seed,
            "data": [(str(t.dtype), tuple(t.shape), _fingerprint(t)) for t in tensors],
        }
        self._shuffle()

    def _shuffle(self) -> None:
        self._state_before = self._rng.get_state()
        self._order = torch.randperm(len(self.tensors[0]), generator=self._rng).to(self.tensors[0].device)
        self._position = 0

    def __iter__(self) -> "Minibatches":
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        if self._position + self.batch_size > len(self._order):
            self._shuffle()
        rows = self._order[self._position : self._position + self.batch_size]
        self._position += self.batch_size
        return tuple(t.index_select(0, rows) for t in self.tensors)

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the stream of minibatches. Lesson 04."""
        return {"random_state": self._state_before, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place that ``state_dict`` returned. Lesson 04."""
        self._rng.set_state(state["random_state"])
        self._shuffle()
        self._position = state["position"]


def train(
    model: Model, batches: Iterator[tuple[Tensor, ...]], *, until: int, progress: bool = True
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Step ``model`` until it has done ``until`` steps in all, and yield (steps done, log) after each.

    A model that is there already is left alone, with a sentence. Ctrl-C or Jupyter's stop button waits for the end
    of the step under way: running the same loop again goes on. Every 50 steps and at the last the log is tested.
    Raises TypeError or ValueError for arguments that cannot work, FloatingPointError when a value of the log is not
    finite. Lesson 04.
    """
    if not isinstance(until, int) or until < 1:
        raise ValueError(f"until must be the total number of steps, a whole number of at least 1, got {until!r}")
    if not hasattr(batches, "__next__"):
        raise TypeError(
            f"batches must be an iterator of tuples, got {type(batches).__name__}: "
            "use Minibatches(images), or iter(...) of a loader that never ends"
        )
    return _steps(model, batches, until, progress)


def _steps(
    model: Model, batches: Iterator[tuple[Tensor, ...]], until: int, progress: bool
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    from tqdm.auto import tqdm

    if model.steps_done >= until:
        print(f"already at step {model.steps_done:,}: raise until to go on, build the model anew to start over")
        return
    with tqdm(total=until, initial=model.steps_done, unit="step", disable=not progress) as bar:
        while model.steps_done < until:
            with _deferred_interrupt() as interrupted:
                log = _step(model, batches)
            step = model.steps_done
            bar.update()
            if step % CHECK_EVERY == 0 or step == until:
                values = {name: value.item() for name, value in log.items()}
                bar.set_postfix({name: f"{value:.3f}" for name, value in values.items() if "loss" in name})
                _check_finite(step, values)
            yield step, log
            if interrupted:  # raised only now, or the record of this step would be lost
                signal.raise_signal(signal.SIGINT)


def _step(model: Model, batches: Iterator[tuple[Tensor, ...]]) -> dict[str, Tensor]:
    try:
        return model.step(batches)
    except StopIteration:
        raise ValueError(
            f"batches ended at step {model.steps_done:,}: use Minibatches, which starts a new order by itself"
        ) from None


def _check_finite(step: int, values: dict[str, float]) -> None:
    bad = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise FloatingPointError(
            f"training diverged: {', '.join(bad)} at step {step:,}. Build the model anew with a smaller learning rate "
            "(2e-4 is a safe start), and check that the images lie in [-1, 1]"
        )


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Collect SIGINT while the block runs: a step must not be torn. Only the main thread receives signals."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def _fingerprint(t: Tensor) -> int:
    """A check sum of about 64 rows: enough to notice that a checkpoint meets other data."""
    rows = t[:: max(1, len(t) // 64)].contiguous().cpu()
    return zlib.crc32(rows.numpy().tobytes())
