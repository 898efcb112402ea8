"""Checkpoints: a run that is saved and loaded goes on bit for bit as if it had never stopped."""

import copy
import os
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from .files import describe, write_whole

NETWORKS = {"generator", "discriminator"}  # the settings that say which weights fit
ZIP = b"PK\3\4"  # how the files of torch.save begin
PLAIN = {str, bytes, int, float, complex, bool, type(None)}


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
    path = _file(path)
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
            odd = ", ".join(_not_plain(state))
            if not odd:
                raise
            raise ValueError(
                f"settings must be plain Python values, got {odd} that could not be read again: "
                "a learning rate from numpy, say, needs float(...)"
            ) from error
        if path.exists():
            with write_whole(_previous(path)) as old:
                shutil.copyfile(path, old)


def load(path: str | os.PathLike[str], model: Model, batches: Any = None, *, weights_only: bool = False) -> None:
    """Bring ``model`` and ``batches`` to the state that ``save`` wrote to ``path``.

    With ``weights_only`` the networks alone are taken, to draw with ``sample``: also into a model of other optimizers
    and settings, and from a GPU to a CPU. Optimizers, random state and steps stay. A model that keeps an average gets
    the saved one, or starts it at the saved G. Raises FileNotFoundError when there is no file, ValueError when it is no
    whole checkpoint or was saved under other settings; the model is then left as it was. Lesson 04.
    """
    path = _file(path)
    rest = f"; the one before it is {_previous(path)}" if _previous(path).exists() else ""
    if not path.exists():
        raise FileNotFoundError(f"path must name a checkpoint, got {path.absolute()}, which is not there{rest}")
    with path.open("rb"):  # a file that cannot be opened says so itself, while torch has an OSError for a cut one too
        pass
    try:
        settings, model_state, batches_state = _read(path)
    except Exception as error:
        what, whole = _what_it_is(path, model)
        rest = "" if whole else rest
        raise ValueError(
            f"path must name a whole checkpoint, as checkpoints.save writes it, got {path}, which is {what}{rest}"
        ) from error
    here = _all_settings(model, batches)
    compared = {*settings, *here}
    if str(here.get("latent")).startswith(f"{settings.get('latent')}, draws "):  # from before it told what is drawn
        compared.discard("latent")
    if weights_only:
        compared &= NETWORKS
    differences = [
        f"{name}: saved {settings.get(name)!r}, now {here.get(name)!r}"
        for name in sorted(compared)
        if settings.get(name) != here.get(name)
    ]
    if differences:
        what = f"model and batches must be built as those saved in {path}, got other settings:"
        if not weights_only:
            if batches is None and any(name.startswith("batches.") for name in settings):
                differences.append("The minibatches come third: load(path, model, batches).")
            differences.append("To draw only, load(path, model, weights_only=True) takes the networks alone.")
        raise ValueError("\n  ".join([what, *differences]))
    before_load = copy.deepcopy(model.state_dict())
    if weights_only:
        model_state, batches_state = _networks(model_state, before_load), None
    if batches_state is not None and not hasattr(batches, "load_state_dict"):
        raise ValueError(
            f"batches must have a load_state_dict, since their place is saved in {path}, got {type(batches).__name__}: "
            "load(path, model, batches)"
        )
    try:
        model.load_state_dict(model_state)
        if batches_state is not None:
            batches.load_state_dict(batches_state)
    except Exception as error:
        model.load_state_dict(before_load)
        raise ValueError(
            f"model must be built as the one saved in {path}, got one that cannot take it: {error}"
        ) from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], Any]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise TypeError("no dict")
    return state["settings"], state["model"], state["batches"]


def _file(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must name a file, got {type(path).__name__}: it comes first, save(path, model, batches)")
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"path must name a file, got the folder {path}: name a file in it, {path / 'gan.pt'}")
    return path


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def _networks(saved: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """The state ``here`` with the networks of ``saved``: what is a dict, but not that of an optimizer."""
    new = dict(here)
    for name, part in saved.items():
        if isinstance(part, dict) and "param_groups" not in part:
            new[name] = part
    if saved.get("averaged_G") is None and isinstance(here.get("averaged_G"), dict):
        own = here["averaged_G"]  # drawn from the average: that of the first weights would be noise
        new["averaged_G"] = {key: saved["G"].get(key.removeprefix("module."), own[key]) for key in own}
    elif isinstance(saved.get("averaged_G"), dict) and here.get("averaged_G", {}) is None:
        print(
            "Note: the checkpoint holds an average of G's weights, and this model keeps none: it draws with G itself."
        )
    return new


def _what_it_is(path: Path, model: Model) -> tuple[str, bool]:
    """What lies at ``path`` in the place of a checkpoint and what helps, and whether it is whole."""
    with path.open("rb") as file:
        start = file.read(300)
    if not start:
        return "an empty file", False
    if ZIP.startswith(start):
        return "cut off after the first bytes", False
    if start.startswith(ZIP):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                if archive.testzip():
                    return "damaged", False
        except Exception:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 65_557))  # the farthest place where the end can begin
                _, found, last = file.read().rpartition(b"PK\5\6")
            ends = found and len(last) >= 18  # the record that ends a zip file
            return "damaged" if ends else "cut off: the end of the file is missing", False
        if not any(name.endswith("data.pkl") for name in names):
            return f"a zip archive of something else, with {', '.join(names[:3])} in it", True
        if any("/code/" in name for name in names):
            return "a network that torch.jit saved: torch.jit.load reads it", True
    elif start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**32:
        return (
            "a safetensors file, which holds weights alone: gan.G.load_state_dict(safetensors.torch.load_file(path)) "
            "loads those of G"
        ), True
    elif start[:1] != b"\x80":
        what, cause = describe(start)
        return f"{what}: usually {cause}", True
    try:
        with warnings.catch_warnings(action="ignore"):
            return _what_it_holds(torch.load(path, map_location="cpu", weights_only=True), model), True
    except Exception as error:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            pickled = start[:1] == b"\x80" and file.read() == b"."  # a plain pickle ends in its STOP
        if pickled or (isinstance(error, pickle.UnpicklingError) and "global" in str(error).lower()):
            reader = "pickle.load" if pickled else "torch.load with weights_only=False"
            return (
                f"a whole Python object, not its state: {reader} reads it, which runs code of whoever made it; "
                "then save its state with checkpoints.save"
            ), True
        return "cut off or damaged", False


def _what_it_holds(state: Any, model: Model) -> str:
    """What was saved by torch.save in the place of a checkpoint, and how to load it."""
    if isinstance(state, dict) and "param_groups" in state:
        return "the state_dict of an optimizer: gan.opt_G.load_state_dict(torch.load(path)), or opt_D, loads it"
    if isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values()):
        shapes = {name: value.shape for name, value in state.items()}
        for name, part in model.state_dict().items():
            if isinstance(part, dict) and shapes == {key: getattr(value, "shape", None) for key, value in part.items()}:
                return f"the state_dict of {name} alone: gan.{name}.load_state_dict(torch.load(path)) loads it"
        names = ", ".join([*list(state)[:3], "..."])
        return (
            f"the state_dict of a network, with {names}: gan.G.load_state_dict(torch.load(path)) loads that of a G of "
            "the same layers"
        )
    if isinstance(state, dict) and model.state_dict().keys() <= state.keys():
        return (
            "the state_dict of a whole model, without its settings: gan.load_state_dict(torch.load(path)) loads it, if "
            "gan is built as that one was"
        )
    if isinstance(state, dict):
        names = ", ".join(map(str, list(state)[:6]))
        return f"a dict of another form, with the keys {names}: torch.load(path) shows it"
    return f"a {type(state).__name__} that torch.save wrote: torch.load(path) shows it"


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


def _not_plain(value: Any, name: str = "") -> Iterator[str]:
    """Name the values of a nested state that torch would not read again, with their types."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_plain(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for k, inner in enumerate(value):
            yield from _not_plain(inner, f"{name}[{k}]")
    elif not isinstance(value, Tensor | torch.dtype | torch.device) and type(value) not in PLAIN:
        yield f"{name} of type {type(value).__name__}"
