"""Checkpoints: a run that is saved and loaded goes on bit for bit as if it had never stopped."""

import copy
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from .files import write_whole


class Model(Protocol):
    """What can be saved and loaded: a GAN, or any object with these members."""

    steps_done: int
    settings: dict[str, Any]

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def save(path: str | os.PathLike[str], model: Model, batches: Any = None) -> None:
    """Write model, place in the minibatches and settings to ``path``; the file that was there becomes *.previous.

    The new file replaces the old one in one move, so that a crash at any moment leaves a whole checkpoint. ``batches``
    is kept when it has a ``state_dict``. Raises ValueError when a weight is not finite, or when a setting is no plain
    Python value, so that the file could not be read again. Lesson 04.
    """
    path = Path(path)
    state = {
        "settings": _all_settings(model, batches),
        "model": model.state_dict(),
        "batches": batches.state_dict() if hasattr(batches, "state_dict") else None,
    }
    if not all(t.isfinite().all() for t in _tensors(state["model"])):
        raise ValueError(f"model must have finite weights to be saved, got NaN or inf at step {model.steps_done:,}")
    with write_whole(path) as new:
        with new.open("wb") as file:
            torch.save(state, file)
        try:
            _read(new)
        except Exception as error:
            raise ValueError(
                "settings must be plain Python values, got some that could not be read again: "
                "a learning rate from numpy, say, needs float(...)"
            ) from error
        if path.exists():
            with write_whole(_previous(path)) as old:
                shutil.copyfile(path, old)


def load(path: str | os.PathLike[str], model: Model, batches: Any = None) -> None:
    """Bring ``model`` and ``batches`` to the state that ``save`` wrote to ``path``.

    Raises FileNotFoundError when there is none, ValueError when the file is damaged or was saved under other settings;
    the model is then left as it was. Lesson 04.
    """
    path = Path(path)
    try:
        settings, model_state, batches_state = _read(path)
    except FileNotFoundError:
        raise
    except Exception as error:
        rest = f"; the one before it is {_previous(path)}" if _previous(path).exists() else ""
        raise ValueError(f"path must name a whole checkpoint, got {path}, which is cut off or damaged{rest}") from error
    here = _all_settings(model, batches)
    differences = [
        f"{name}: saved {settings.get(name)!r}, now {here.get(name)!r}"
        for name in sorted(settings.keys() | here.keys())
        if settings.get(name) != here.get(name)
    ]
    if differences:
        what = f"model and batches must be built as those saved in {path}, got other settings:"
        raise ValueError("\n  ".join([what, *differences]))
    before = copy.deepcopy(model.state_dict())
    try:
        model.load_state_dict(model_state)
        if batches_state is not None:
            batches.load_state_dict(batches_state)
    except Exception as error:
        model.load_state_dict(before)
        raise ValueError(
            f"model must be built as the one saved in {path}, got one that cannot take it: {error}"
        ) from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], Any]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state["settings"], state["model"], state["batches"]


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def _all_settings(model: Model, batches: Any) -> dict[str, Any]:
    of_batches = getattr(batches, "settings", {})
    return {**model.settings, **{f"batches.{name}": value for name, value in of_batches.items()}}


def _tensors(state: Any) -> Iterator[Tensor]:
    """Walk the floating-point tensors of a nested state."""
    if isinstance(state, Tensor) and state.is_floating_point():
        yield state
    elif isinstance(state, dict):
        for value in state.values():
            yield from _tensors(value)
