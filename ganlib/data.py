"""The images of the course: MNIST, Fashion-MNIST, and a stand-in for MNIST that needs no network."""

import contextlib
import gzip
import hashlib
import io
import math
import os
import queue
import secrets
import struct
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Name and shape of the four files of a data set, in the order of the tensors of a `Dataset`.
FILES: dict[str, tuple[int, ...]] = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
PATIENCE = 4.0  # seconds in which one of all mirrors must answer: a missing network costs less than 5
STALL = 10.0  # seconds without a byte after which a running download is given up


class Archive(NamedTuple):
    """Where a data set lies and how its files are recognised; `sums` are in the order of `FILES`."""

    title: str
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    sums: tuple[str, ...]


ARCHIVES = {
    "mnist": Archive(
        "MNIST",
        tuple("0123456789"),
        (
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        # SHA-256 of the unpacked files: mirrors pack them differently.
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion-mnist": Archive(
        "Fashion-MNIST",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        # MD5 of the packed files, as the authors publish them (github.com/zalandoresearch/fashion-mnist).
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
}
_network_failed: dict[str, str] = {}  # data set -> reason; the network is not tried again in this process


class DataError(RuntimeError):
    """The images cannot be loaded; the message names the file, what is wrong with it and what to do."""

    def _render_traceback_(self) -> list[str]:
        # IPython calls this: a reader without network sees one sentence and no traceback.
        return [f"DataError: {self}"]


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

    The files are taken from $GANLIB_DATA/<name>/, else from the user's cache (or $GANLIB_CACHE), else from
    the network unless GANLIB_OFFLINE=1. A printed sentence announces the stand-in. Raises ValueError for an
    unknown name, DataError for a bad file in $GANLIB_DATA or when Fashion-MNIST is out of reach.
    """
    if name not in (*ARCHIVES, "digits"):
        known = ", ".join(map(repr, (*ARCHIVES, "digits")))
        raise ValueError(f"name must be one of {known}, got {name!r}: check the spelling")
    if name == "digits":
        return _load_digits()
    archive = ARCHIVES[name]
    if root := os.environ.get("GANLIB_DATA"):
        folder = Path(root).expanduser() / name
        if os.path.isdir(folder):
            arrays = {stem: _read(folder, archive, stem) for stem in FILES}
            return _dataset(archive.title, "from the folder GANLIB_DATA", archive.classes, arrays)
        _say(f"GANLIB_DATA={root} has no folder {name!r} in it; the cache is tried next.")
    folder, source, arrays = cache_folder() / name, "from the cache", {}
    for stem in FILES:
        with contextlib.suppress(DataError):  # what is missing or damaged is downloaded afresh
            arrays[stem] = _read(folder, archive, stem)
    if len(arrays) < len(FILES):
        try:
            source = f"from {_download(name, folder, arrays)}"
        except DataError as error:
            problem = f"{archive.title} is not in the cache and cannot be downloaded: {error}."
            if name != "mnist":
                remedy = f"Put {', '.join(FILES)}, each with .gz, in a folder {name!r} inside $GANLIB_DATA."
                raise DataError(f"{problem} {remedy}") from None
            _say(f"{problem} The offline stand-in, digits from scikit-learn, takes its place.")
            return _load_digits()
    return _dataset(archive.title, source, archive.classes, arrays)


def _dataset(name: str, source: str, classes: tuple[str, ...], arrays: dict[str, np.ndarray]) -> Dataset:
    def images(split: str) -> Tensor:
        pixels = torch.from_numpy(arrays[f"{split}-images-idx3-ubyte"].astype(np.float32))
        return pixels.div_(127.5).sub_(1).unsqueeze(1)

    def labels(split: str) -> Tensor:
        return torch.from_numpy(arrays[f"{split}-labels-idx1-ubyte"].astype(np.int64))

    return Dataset(name, source, images("train"), labels("train"), images("t10k"), labels("t10k"), classes)


def _say(text: str) -> None:
    # A path may hold letters that the console's encoding lacks.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print("Note: " + text.encode(encoding, "backslashreplace").decode(encoding))


def cache_folder() -> Path:
    """Return where downloads and trained models of this user are kept: $GANLIB_CACHE or the system's place."""
    import pooch

    return Path(os.environ.get("GANLIB_CACHE") or pooch.os_cache("ganlib")).expanduser()


def write_whole(path: Path, raw: bytes) -> None:
    """Write ``raw`` to ``path`` aside and rename it: another process sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(raw)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _read(folder: Path, archive: Archive, stem: str) -> np.ndarray:
    for path in (folder / f"{stem}.gz", folder / stem, folder / stem.replace("-idx", ".idx")):
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
        return _decode(raw, archive, stem, str(path))
    raise DataError(f"{folder} has no file {stem}.gz: all of {', '.join(FILES)} are needed")


def _decode(raw: bytes, archive: Archive, stem: str, where: str) -> np.ndarray:
    """Return the uint8 array in the bytes of a file of MNIST's idx format, or raise DataError."""

    def wrong(expected: str, got: str, cause: str) -> DataError:
        return DataError(f"{where}: expected {expected}, got {got}: usually {cause}")

    payload, header = raw, _header(FILES[stem])
    if raw.startswith(b"\x1f\x8b"):
        try:
            payload = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error):
            raise wrong("a whole gzip file", "a damaged one", "a download that broke off") from None
    if not payload.startswith(header):
        for other, shape in FILES.items():
            if payload.startswith(_header(shape)):
                raise wrong(stem, f"the contents of {other}", "two files that were swapped")
        raise wrong(f"{stem} in idx format", f"{payload[:16]!r}...", "a web page saved under this name")
    size = len(header) + math.prod(FILES[stem])
    if len(payload) != size:
        raise wrong(f"{size:,} bytes", f"{len(payload):,}", "a copy that broke off")
    kind, digest, cause = "SHA-256", hashlib.sha256(payload), "a damaged file"
    wanted = archive.sums[list(FILES).index(stem)]
    if len(wanted) == 32:
        kind, digest = "MD5 of the .gz file", hashlib.md5(raw, usedforsecurity=False)
        cause = "a damaged file, or one that was unpacked"
    if digest.hexdigest() != wanted:
        raise wrong(f"{kind} {wanted}", digest.hexdigest(), cause)
    return np.frombuffer(payload, np.uint8, offset=len(header)).reshape(FILES[stem])


def _header(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)


def _download(name: str, folder: Path, arrays: dict[str, np.ndarray]) -> str:
    """Add the files that `arrays` lacks, store them in the folder and return the host that gave them."""
    if name in _network_failed:
        raise DataError(f"{_network_failed[name]} (the network is tried again after a restart)")
    if os.environ.get("GANLIB_OFFLINE", "0") not in ("", "0"):
        raise DataError("GANLIB_OFFLINE=1 forbids it")
    import pooch
    from tqdm.auto import tqdm

    archive, problem, lost, unwritable = ARCHIVES[name], "no mirror answers", list(ARCHIVES), ""
    for mirror in _answering(archive.mirrors):
        lost, host = [name], str(urlsplit(mirror).hostname)
        try:
            for stem in [stem for stem in FILES if stem not in arrays]:
                url, buffer = f"{mirror}{stem}.gz", io.BytesIO()
                with tqdm(desc=stem, total=1, unit="B", unit_scale=True, leave=False) as bar:
                    pooch.HTTPDownloader(
                        progressbar=bar,
                        chunk_size=2**16,
                        timeout=(PATIENCE, STALL),
                        headers={"Accept-Encoding": "identity"},  # or requests unpacks some files
                    )(url, buffer, None)
                arrays[stem] = _decode(buffer.getvalue(), archive, stem, url)
                try:
                    write_whole(folder / f"{stem}.gz", buffer.getvalue())
                except OSError as error:
                    unwritable = error.strerror or type(error).__name__
        except DataError as error:
            problem = str(error)
        except OSError as error:  # all exceptions of requests are; their texts hold addresses of objects
            problem = f"{host} broke off ({type(error).__name__})"
        else:
            if unwritable:
                _say(f"the cache {folder} cannot be written ({unwritable}): the next load downloads again.")
            return host
    _network_failed.update(dict.fromkeys(lost, problem))
    raise DataError(problem)


def _answering(mirrors: tuple[str, ...]) -> Iterator[str]:
    """Yield the mirrors that answer, the quickest first; all of them together have PATIENCE seconds."""
    import pooch

    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(mirror: str) -> None:
        url = f"{mirror}{next(iter(FILES))}.gz"
        try:
            found = pooch.HTTPDownloader(timeout=PATIENCE)(url, None, None, check_only=True)
        except OSError:
            found = False
        answers.put(mirror if found else "")

    # Threads, since nothing else bounds the wait for a name server that never answers.
    deadline = time.monotonic() + PATIENCE
    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    for _ in mirrors:
        try:
            mirror = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
        if mirror:
            yield mirror


def _load_digits() -> Dataset:
    path = cache_folder() / "digits" / "digits-1.npz"  # raise the number when the drawing below changes
    try:
        with path.open("rb") as file, np.load(file) as stored:  # a zip file: its checksums tell of damage
            source, arrays = "from the cache", {stem: stored[stem] for stem in FILES}
    except Exception:  # missing, or damaged in one of many ways
        source, arrays = "from scikit-learn", _draw_digits()
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # mypy takes one for allow_pickle
        with contextlib.suppress(OSError):  # without a cache it is drawn again next time
            write_whole(path, buffer.getvalue())
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
        choice = np.resize(rng.permutation(originals), FILES[labels])
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
