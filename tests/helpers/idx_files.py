"""A small data set in the four files of MNIST's format, for the tests of `ganlib.files` and `ganlib.data`."""

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from ganlib import data, files

SHAPES = {
    "train-images-idx3-ubyte": (40, 28, 28),
    "train-labels-idx1-ubyte": (40,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}


def payloads():
    """Return the unpacked bytes of the four files, the same in every process."""
    rng = np.random.default_rng(1)
    made = {}
    for stem, shape in SHAPES.items():
        values = rng.integers(0, 10 if len(shape) == 1 else 256, shape, dtype=np.uint8)
        if len(shape) == 3:
            values[0, 0, :2] = 0, 255  # both ends of the range, whatever the dice say
        made[stem] = np.array([0x800 + len(shape), *shape], ">i4").tobytes() + values.tobytes()
    return made


def packed():
    """Return the four files as they travel: gzip, without a time stamp."""
    return {stem: gzip.compress(raw, mtime=0) for stem, raw in payloads().items()}


def install(mirrors, set_attribute=setattr):
    """Make `ganlib.files` take these files for MNIST and Fashion-MNIST, and `mirrors` for their home."""
    sha256 = tuple(hashlib.sha256(raw).hexdigest() for raw in payloads().values())
    md5 = tuple(hashlib.md5(raw).hexdigest() for raw in packed().values())
    archives = {
        "mnist": files.ARCHIVES["mnist"]._replace(mirrors=mirrors, sums=sha256),
        "fashion-mnist": files.ARCHIVES["fashion-mnist"]._replace(mirrors=mirrors, sums=md5),
    }
    set_attribute(files, "FILES", SHAPES)
    set_attribute(files, "ARCHIVES", archives)
    set_attribute(files, "_network_failed", {})


def isolate(tmp_path, monkeypatch):
    """Give a test a cache of its own, these small files, short waits and no mirror; return the cache."""
    for name in ("GANLIB_DATA", "GANLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GANLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    install((), monkeypatch.setattr)
    monkeypatch.setattr(files, "PATIENCE", 2.0)
    monkeypatch.setattr(files, "STALL", 1.0)
    return tmp_path / "cache"


def noise_for_the_stand_in(monkeypatch):
    """Spare a test that is not about the stand-in the second that drawing it takes."""
    rng = np.random.default_rng(2)
    noise = {stem: rng.integers(0, 10, shape, np.uint8) for stem, shape in SHAPES.items()}
    monkeypatch.setattr(data, "_draw_digits", lambda: noise)


def write(folder, files, suffix=".gz"):
    """Write the four files to a new folder."""
    folder.mkdir(parents=True)
    for stem, raw in files.items():
        (folder / f"{stem}{suffix}").write_bytes(raw)
    return folder


def left_over(folder):
    """Return the names of all files below the folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def assert_is_the_small_set(dataset):
    """Compare with the files, as images in [-1, 1] and labels."""
    images = np.frombuffer(payloads()["t10k-images-idx3-ubyte"], np.uint8, offset=16).reshape(20, 1, 28, 28)
    labels = np.frombuffer(payloads()["t10k-labels-idx1-ubyte"], np.uint8, offset=8)
    assert dataset.train_images.shape == (40, 1, 28, 28)
    assert dataset.train_images.dtype == dataset.test_images.dtype == torch.float32
    assert (dataset.train_images.min(), dataset.train_images.max()) == (-1, 1)
    torch.testing.assert_close(dataset.test_images, torch.tensor(images / 127.5 - 1).float())
    assert dataset.train_labels.dtype == torch.int64
    assert dataset.test_labels.tolist() == labels.tolist()


def python(script, **variables):
    """Start a script that may import this module."""
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="cp949" if variables.get("PYTHONIOENCODING") == "cp949" else "utf-8",
    )
