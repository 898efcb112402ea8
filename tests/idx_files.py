"""A small data set in the four files of MNIST's format, for the tests of `ganlib.data`."""

import gzip
import hashlib
from collections.abc import Callable

import numpy as np

from ganlib import data

SHAPES = {
    "train-images-idx3-ubyte": (40, 28, 28),
    "train-labels-idx1-ubyte": (40,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}


def payloads() -> dict[str, bytes]:
    """Return the unpacked bytes of the four files, the same in every process."""
    rng = np.random.default_rng(1)
    made = {}
    for stem, shape in SHAPES.items():
        values = rng.integers(0, 10 if len(shape) == 1 else 256, shape, dtype=np.uint8)
        if len(shape) == 3:
            values[0, 0, :2] = 0, 255  # both ends of the range, whatever the dice say
        made[stem] = np.array([0x800 + len(shape), *shape], ">i4").tobytes() + values.tobytes()
    return made


def packed() -> dict[str, bytes]:
    """Return the four files as they travel: gzip, without a time stamp."""
    return {stem: gzip.compress(raw, mtime=0) for stem, raw in payloads().items()}


def install(mirrors: tuple[str, ...], set_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """Make `ganlib.data` take these files for MNIST and Fashion-MNIST, and `mirrors` for their home."""
    sha256 = tuple(hashlib.sha256(raw).hexdigest() for raw in payloads().values())
    md5 = tuple(hashlib.md5(raw).hexdigest() for raw in packed().values())
    archives = {
        "mnist": data.ARCHIVES["mnist"]._replace(mirrors=mirrors, sums=sha256),
        "fashion-mnist": data.ARCHIVES["fashion-mnist"]._replace(mirrors=mirrors, sums=md5),
    }
    set_attribute(data, "FILES", SHAPES)
    set_attribute(data, "ARCHIVES", archives)
    set_attribute(data, "_network_failed", {})
