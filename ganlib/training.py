"""The loop around ``step``: minibatches, and a generator of (step, log)."""

import math
import operator
import signal
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

CHECK_EVERY = 50  # steps between two tests for finiteness; reading a number each step costs speed on a GPU

ENDLESS = "(batch for _ in itertools.count() for batch in loader)"  # a loader as train can use it


class Model(Protocol):
    """What can be trained: a GAN, or any object with a ``step`` that counts in ``steps_done``."""

    steps_done: int

    def step(self, batches: Any) -> dict[str, Tensor]: ...


class Minibatches:
    """Iterate without end over minibatches of tensors that share their first dimension, as tuples.

    ``tensors`` (N, ...) may have any shapes and dtypes, for example images and labels; each minibatch holds
    ``batch_size`` rows of all, drawn without replacement in a fresh order from ``seed`` in every epoch. Rows left
    over at the end of an order wait for the next one. Raises TypeError for anything but tensors, ValueError for tensors
    without rows that can be drawn, if N differ or are below ``batch_size``. Lesson 04.
    """

    def __init__(self, *tensors: Tensor, batch_size: int = 128, seed: int = 0) -> None:
        if others := [t for t in tensors if not isinstance(t, Tensor)]:
            got = ", ".join(type(t).__name__ for t in others)
            remedies = "; ".join(dict.fromkeys(map(_remedy, others)))
            raise TypeError(f"tensors must be torch tensors, got {got}: {remedies}")
        for t in tensors:
            if t.layout != torch.strided or t.is_nested:
                kind = "a nested one" if t.is_nested else str(t.layout).removeprefix("torch.")
                remedy = "torch.stack makes one of tensors of one shape" if t.is_nested else ".to_dense() makes it so"
                raise ValueError(f"tensors must be dense, got {kind}: {remedy}")
            if not t.ndim:
                raise ValueError(
                    f"tensors must have rows, shape (N, ...), got the single number {t}: t[None] is a row, and the "
                    "size of a minibatch is named, batch_size=128"
                )
            if t.is_meta:
                raise ValueError("tensors must hold numbers, got one on the device meta, which has shapes alone")
        sizes = [len(t) for t in tensors]
        if len(set(sizes)) != 1:
            raise ValueError(
                f"tensors must be one or more of equal length, got lengths {sizes}: "
                "images and labels of one split have one length"
            )
        if not sizes[0]:
            raise ValueError("tensors must have rows, got 0 of them: was a selection left empty?")
        batch_size, seed = _whole("batch_size", batch_size), _whole("seed", seed)
        if not 1 <= batch_size <= sizes[0]:
            raise ValueError(f"batch_size must lie between 1 and the {sizes[0]} rows there are, got {batch_size!r}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"seed must fit in 64 bits, got {seed}: take a smaller one")
        self.tensors, self.batch_size = tuple(t.detach() if t.requires_grad else t for t in tensors), batch_size
        self._rng = torch.Generator("cpu").manual_seed(seed)
        self.settings = {
            "batch_size": batch_size,
            "seed": seed,
            "data": [(str(t.dtype), tuple(t.shape), _fingerprint(t)) for t in tensors],
        }
        self._shuffle()

    def _shuffle(self) -> None:
        self._state_before = self._rng.get_state()
        order = torch.randperm(len(self.tensors[0]), generator=self._rng, device="cpu")  # whatever the default device
        self._order = order.to(self.tensors[0].device)
        self._position = 0

    def __iter__(self) -> "Minibatches":
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        if self._position + self.batch_size > len(self._order):
            self._shuffle()
        rows = self._order[self._position : self._position + self.batch_size]
        self._position += self.batch_size
        return tuple(t.index_select(0, rows.to(t.device)) for t in self.tensors)

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
    until = _whole("until", until, "the total number of steps, a whole number of at least 1")
    if until < 1:
        raise ValueError(f"until must be the total number of steps, a whole number of at least 1, got {until!r}")
    if not (hasattr(model, "step") and hasattr(model, "steps_done")):
        swapped = ": model comes first, train(gan, batches, until=...)" if hasattr(batches, "steps_done") else ""
        raise TypeError(f"model must have step and steps_done, as a GAN has, got {type(model).__name__}{swapped}")
    if not hasattr(batches, "__next__"):
        raise TypeError(f"batches must be an iterator of tuples, got {type(batches).__name__}: {_endless(batches)}")
    return _steps(model, batches, until, progress)


def _endless(batches: Any) -> str:
    if isinstance(batches, DataLoader):
        return f"a DataLoader ends after an epoch, {ENDLESS} does not"
    if isinstance(batches, Tensor):
        return "use Minibatches(images, batch_size=128)"
    return "use Minibatches(images), or iter(...) of a loader that never ends"


def _whole(name: str, value: Any, what: str = "a whole number") -> int:
    """Return ``value`` as an int, whether it is Python's, numpy's or torch's; ValueError names it ``name``."""
    is_bool = isinstance(value, bool) or "bool" in str(getattr(value, "dtype", ""))
    try:
        if not is_bool:
            return operator.index(value)
    except TypeError:
        pass
    whole = not is_bool and hasattr(value, "is_integer") and value.is_integer()
    remedy = f": int({value}) is one" if whole else ""
    raise ValueError(f"{name} must be {what}, got {value!r}{remedy}")


def _remedy(value: Any) -> str:
    """What to hand to Minibatches in the place of ``value``."""
    if isinstance(value, int | float | np.generic):
        return f"numbers are named, Minibatches(images, batch_size={value})"
    if isinstance(value, Minibatches):
        return "it is made of tensors already, hand it to train as it is"
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc" and value.dtype.isnative:
            return "torch.from_numpy makes them of arrays"
        return f"an array of {value.dtype} must be one of numbers first, .astype(np.float32)"
    if isinstance(value, DataLoader):
        return f"a DataLoader makes minibatches itself, so take the tensors of its data set, or give train {ENDLESS}"
    if hasattr(value, "train_images"):
        return "name the part, Minibatches(dataset.train_images) or with dataset.train_labels after it"
    if isinstance(value, TensorDataset):
        return "take its tensors, Minibatches(*dataset.tensors)"
    if isinstance(value, Dataset):
        return "take its tensors, or torch.stack([dataset[k][0] for k in range(len(dataset))]) where those are tensors"
    if isinstance(value, dict):
        return "take the tensors out of the dict, Minibatches(*batch.values())"
    if isinstance(value, list | tuple):
        if value and all(isinstance(t, Tensor) for t in value):
            return "a star unpacks images and labels, Minibatches(*tensors); torch.stack makes one of single images"
        if value and all(isinstance(t, np.ndarray) for t in value):
            return "torch.from_numpy(numpy.stack(...)) makes one of a list of arrays"
        return "torch.tensor makes them of lists of numbers"
    if hasattr(value, "to_numpy"):
        return "torch.from_numpy(table.to_numpy()) makes them of tables"
    if hasattr(value, "__array__"):
        return "torch.from_numpy(numpy.array(...)) makes them of whatever numpy can read"
    if hasattr(value, "__next__"):
        return "an iterator goes to train as it is"
    if value is None:
        return "leave it out where there are no labels"
    return "give the images as one tensor, (N, 1, 28, 28) or any (N, ...)"


def _steps(
    model: Model, batches: Iterator[tuple[Tensor, ...]], until: int, progress: bool
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    from tqdm.auto import tqdm

    if model.steps_done >= until:
        print(
            f"already at step {model.steps_done:,}: for more, set a larger until; to start over, build the model anew"
        )
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
    rows = t[:: max(1, len(t) // 64)].detach().cpu().resolve_conj().resolve_neg().contiguous()
    return zlib.crc32(rows.reshape(-1).view(torch.uint8).numpy().tobytes())  # as bytes, since numpy has no bfloat16
