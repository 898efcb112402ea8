"""The images of the course, MNIST, Fashion-MNIST and a stand-in that needs no network; and how to split data."""

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from . import files
from .claims import say
from .files import ARCHIVES as ARCHIVES
from .files import FILES as FILES  # the two tables, for who writes or looks at files of his own
from .files import DataError


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled images, split into training and test; `print` shows one line. Lesson 04.

    Images: float32 (N, 1, 28, 28) in [-1, 1]. Labels: int64 (N,), each an index into `classes`.
    `name` belongs on every figure, since the offline stand-in may take MNIST's place.
    """

    name: str
    source: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        sizes = f"{len(self.train_labels):,} training and {len(self.test_labels):,} test images"
        return f"{self.name}: {sizes} of 28 x 28 pixels, {self.source}"


def load(name: str = "mnist") -> Dataset:
    """Load "mnist", "fashion-mnist" or "digits", the stand-in for an MNIST out of reach. Lesson 04.

    The files are taken from $GANLIB_DATA, there from <name>/, MNIST/raw/ as torchvision has it, or the folder itself;
    else from the user's cache (or $GANLIB_CACHE), else from the network unless GANLIB_OFFLINE=1. Printed sentences
    announce the stand-in, and files that cannot be verified. Raises ValueError for an unknown name, DataError for a
    bad file in $GANLIB_DATA or when Fashion-MNIST is out of reach.
    """
    if name not in (*files.ARCHIVES, "digits"):
        known = ", ".join(map(repr, (*files.ARCHIVES, "digits")))
        raise ValueError(f"name must be one of {known}, got {name!r}: check the spelling")
    if name == "digits":
        return _load_digits()
    archive = files.ARCHIVES[name]
    arrays: dict[str, np.ndarray] = {}
    verified: list[bool] = []
    reasons = []
    for place in files.named_places():
        folder, reason = files.find_folder(name, place)
        if folder is not None:
            for stem in files.FILES:
                arrays[stem], sure = files.read_idx(folder, archive, stem)
                verified.append(sure)
            _say_unverified(archive, folder, arrays, verified)
            return _dataset(archive.title, "from the folder GANLIB_DATA", archive.classes, arrays)
        reasons.append(reason)
    if reasons:
        named, looked = os.environ["GANLIB_DATA"], ", ".join(reasons)
        start = "" if looked.startswith(named) else f"{named}: "  # the paths below may be others than was written
        say(f"Note: GANLIB_DATA={start}{looked}; the cache is tried next.")
    folder, source = files.cache_folder() / name, "from the cache"
    for stem in files.FILES:
        with contextlib.suppress(DataError):  # what is missing or damaged is downloaded afresh
            arrays[stem], sure = files.read_idx(folder, archive, stem)
            verified.append(sure)
    if len(arrays) < len(files.FILES):
        try:
            host, unwritable = files.download(name, folder, arrays)
        except DataError as error:
            problem = f"{archive.title} is not in the cache and cannot be downloaded: {error}."
            if name != "mnist":
                remedy = f"Put {', '.join(files.FILES)}, each with .gz, in a folder {name!r} inside $GANLIB_DATA."
                raise DataError(f"{problem} {remedy}") from None
            say(f"Note: {problem} The offline stand-in, digits from scikit-learn, takes its place.")
            return _load_digits()
        source = f"from {host}"
        if unwritable:
            say(f"Note: the cache {folder} cannot be written ({unwritable}): the next load downloads again.")
    _say_unverified(archive, folder, arrays, verified)
    return _dataset(archive.title, source, archive.classes, arrays)


def split(x: Tensor, y: Tensor, shares: Sequence[float], seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Shuffle labelled examples and return a part (x, y) for each of the ``shares``, such as (0.6, 0.2, 0.2).

    ``x``: (n, ...), finite; ``y``: integer classes (n,) from 0 on, two or more. The ``shares`` sum to 1; ``seed`` alone
    decides which example comes into which part. Raises ValueError for others, and where a part would be empty or lack
    a class of the whole. Lesson 01.
    """
    x, y, given = torch.as_tensor(x), torch.as_tensor(y), torch.as_tensor(shares, dtype=torch.float64).reshape(-1)
    _check_examples(x, y)
    if not (given > 0).all():
        raise ValueError(f"shares must be positive, got {given.tolist()}: leave out a part that shall have nothing")
    if abs(given.sum() - 1) > 1e-6:
        raise ValueError(
            f"shares must sum to 1, got {given.tolist()}, in sum {given.sum():.4g}: write a fraction for each part"
        )
    order = torch.randperm(len(y), device="cpu", generator=torch.Generator("cpu").manual_seed(seed))
    parts = order.tensor_split((given.cumsum(0)[:-1] * len(y)).round().long().tolist())
    classes = [*zip(*(found.tolist() for found in y.unique(return_counts=True)), strict=True)]
    for k, rows in enumerate(parts, 1):
        if not len(rows):
            mend = "take more examples, or a larger share for it"
            raise ValueError(f"shares must leave each part an example, got none of {len(y)} for part {k}: {mend}")
        for label, n in classes:
            if not (y[rows] == label).any():
                mend = f"each part needs one, so collect {len(parts)} or more"
                mend = mend if n < len(parts) else "try another seed, or a larger share for it"
                raise ValueError(f"part {k} must hold each class, got none of class {label} ({n} in all): {mend}")
    return [(x[rows], y[rows]) for rows in parts]


def random_affine(images: Tensor, rng: torch.Generator) -> Tensor:
    """Turn each of the ``images`` (n, 1, h, w) in [-1, 1] by up to 15°, scale it by up to 10 %, shift it by up to 2/28.

    The usual augmentation of digits; what comes in from outside is paper, -1. ``rng`` lies on their device. Lesson 06.
    """
    turn, scale, right, down = 2 * torch.rand(4, len(images), generator=rng, device=rng.device) - 1
    turn, scale = math.radians(15) * turn, 1 + 0.1 * scale
    cos, sin = scale * turn.cos(), scale * turn.sin()
    affine = torch.stack([cos, -sin, right / 7, sin, cos, down / 7], 1).view(-1, 2, 3).to(images)  # 2 pixels of 28
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1


def _check_examples(x: Tensor, y: Tensor) -> None:
    if y.ndim != 1:
        mend = "take y[:, 0]" if y.shape[1:] == (1,) else "one label an example; of one-hot rows make y.argmax(1)"
        raise ValueError(f"y must have shape (n,), got {tuple(y.shape)}: {mend}")
    if x.shape[:1] != y.shape:
        mend = "leave out the same examples of both"
        raise ValueError(f"x and y must be equally long, got {tuple(x.shape)} and {tuple(y.shape)}: {mend}")
    if y.is_floating_point() or y.dtype == torch.bool:
        cause = "a comparison gives bools" if y.dtype == torch.bool else "a table read from a CSV file holds floats"
        raise ValueError(f"y must hold integers, got {y.dtype}: {cause}, write y.long()")
    classes = y.unique().tolist()
    if len(classes) < 2:
        mend = "shuffle a file that is sorted by class before you cut it"
        raise ValueError(f"y must hold two classes or more, got {classes} in {len(y)} examples: {mend}")
    if classes[0] < 0:
        mend = "of -1 and 1 make (y > 0).long()" if classes == [-1, 1] else "leave out examples without a label"
        raise ValueError(f"y must hold classes from 0 on, got {classes[0]}: {mend}")
    if len(bad := (~x.isfinite()).reshape(len(x), -1).any(1).nonzero()):
        where = f"{len(bad)} of {len(x)} rows, first in row {int(bad[0])}"
        raise ValueError(f"x must be finite, got NaN or infinity in {where}: an empty cell of a table becomes NaN")


def _say_unverified(archive: files.Archive, folder: Path, arrays: dict[str, np.ndarray], verified: list[bool]) -> None:
    if all(verified):
        return
    text = (
        f"Note: {archive.title} in {folder} is unpacked: form and size are right, but no sum of unpacked files is "
        "known, so it could not be verified."
    )
    ink = arrays[next(iter(files.FILES))].mean() / 255
    if abs(ink - archive.ink) > 0.001:
        text += f" Its mean ink is {ink:.3f}, that of {archive.title} is {archive.ink:.3f}: is it another data set?"
    say(text)


def _dataset(name: str, source: str, classes: tuple[str, ...], arrays: dict[str, np.ndarray]) -> Dataset:
    def images(split: str) -> Tensor:
        pixels = torch.from_numpy(arrays[f"{split}-images-idx3-ubyte"].astype(np.float32))
        return pixels.div_(127.5).sub_(1).unsqueeze(1)

    def labels(split: str) -> Tensor:
        return torch.from_numpy(arrays[f"{split}-labels-idx1-ubyte"].astype(np.int64))

    return Dataset(name, source, images("train"), labels("train"), images("t10k"), labels("t10k"), classes)


def _load_digits() -> Dataset:
    path = files.cache_folder() / "digits" / "digits-1.npz"  # raise the number when the drawing below changes
    try:
        with path.open("rb") as cached, np.load(cached) as stored:  # a zip file: its checksums tell of damage
            source, arrays = "from the cache", {stem: stored[stem] for stem in files.FILES}
    except Exception:  # missing, or damaged in one of many ways
        source, arrays = "from scikit-learn", _draw_digits()
        # Without a cache it is drawn again next time.
        with contextlib.suppress(OSError), files.write_whole(path) as part, part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # mypy takes one for allow_pickle
    return _dataset("digits (offline stand-in for MNIST)", source, tuple("0123456789"), arrays)


def _draw_digits() -> dict[str, np.ndarray]:
    """Enlarge, split and then warp the 1,797 digits of 8 x 8 pixels (Alpaydin and Kaynak 1998)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images.astype(np.float32) / 16).unsqueeze(1)
    big = F.interpolate(F.pad(small, (1, 1, 1, 1)), scale_factor=4, mode="bicubic", align_corners=False)
    # Thin strokes are faint in 8 x 8 pixels: measured against the ink around them they become solid.
    ink = F.avg_pool2d(F.max_pool2d(big, 11, 1, 5), 11, 1, 5, count_include_pad=False)
    big = big / ink.clamp(min=0.4)
    # 30 test originals of each class, evenly spread because the file is sorted by writer.
    members = [np.flatnonzero(digits.target == c) for c in range(10)]
    test = np.concatenate([m[np.linspace(0, len(m) - 1, 30).astype(int)] for m in members])
    train = np.setdiff1d(np.arange(len(small)), test)
    arrays, rng = {}, np.random.default_rng(0)
    for split, originals in (("train", train), ("t10k", test)):
        labels = f"{split}-labels-idx1-ubyte"
        choice = np.resize(rng.permutation(originals), files.FILES[labels])
        arrays[f"{split}-images-idx3-ubyte"] = _warp(big, choice, rng)
        arrays[labels] = digits.target[choice].astype(np.uint8)
    return arrays


def _warp(big: Tensor, choice: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw big[choice], each a little turned, slanted, bent and thinned: uint8 (n, 28, 28)."""
    n = len(choice)
    chance = torch.from_numpy(rng.uniform(-1, 1, (7, n)).astype(np.float32))
    turn, slant, wide, tall, right, down, thin = chance
    # Coordinates run from -1 to 1 over both pictures, so 1.12 makes a digit 20 pixels high, as in MNIST.
    sin, cos, wide, tall = (0.15 * turn).sin(), (0.15 * turn).cos(), 0.98 + 0.14 * wide, 1.12 + 0.09 * tall
    across = [cos * wide, (0.2 * slant * cos - sin) * tall, 0.045 * right]
    along = [sin * wide, (0.2 * slant * sin + cos) * tall, 0.045 * down]
    affine = torch.stack(across + along, 1).view(n, 2, 3)
    bend = torch.from_numpy(rng.normal(0, 0.05, (n, 2, 4, 4)).astype(np.float32))
    images = np.empty((n, 28, 28), np.uint8)
    for part in np.array_split(np.arange(n), n // 2000 + 1):
        grid = F.affine_grid(affine[part], [len(part), 1, 28, 28], align_corners=False)
        grid += F.interpolate(bend[part], size=28, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        ink = F.grid_sample(big[choice[part]], grid, mode="bilinear", align_corners=False).squeeze(1)
        ink = (ink - 0.5 - 0.08 * thin[part, None, None]) / 0.28
        images[part] = (ink.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return images
