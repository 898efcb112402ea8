"""Files: the user's cache, whole-file writes, and the idx files of MNIST, read, checked and downloaded."""

import contextlib
import gzip
import hashlib
import io
import math
import os
import queue
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

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


def cache_folder() -> Path:
    """Return where downloads and trained models of this user are kept: $GANLIB_CACHE or the system's place."""
    import pooch

    return Path(os.environ.get("GANLIB_CACHE") or pooch.os_cache("ganlib")).expanduser()


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a path aside to write to; when the block ends well, that file takes the place of ``path`` in one move.

    Another process, or a crash at any moment, sees the old file or the whole new one. After an error nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        with part.open("rb+") as file:  # or a power cut after the move could leave an empty file
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_idx(folder: Path, archive: Archive, stem: str) -> np.ndarray:
    """Return the uint8 array in the file ``stem`` of ``folder``, packed or not, of the shape in `FILES`.

    Raises DataError when it is missing, unreadable, or not the file that ``archive`` knows.
    """
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


def download(name: str, folder: Path, arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    """Add to ``arrays`` the files that it lacks and store them in ``folder``.

    Returns the host that gave them, and why the folder could not be written ("" when it could). Raises DataError when
    no mirror gives them.
    """
    if name in _network_failed:
        raise DataError(f"{_network_failed[name]} (the network is tried again after a restart)")
    if os.environ.get("GANLIB_OFFLINE", "0") not in ("", "0"):
        raise DataError("GANLIB_OFFLINE=1 forbids it")
    import pooch
    from tqdm.auto import tqdm

    archive, problem, lost, unwritable = ARCHIVES[name], "no mirror answers", list(ARCHIVES), ""
    for mirror in _fastest_mirrors(archive.mirrors):
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
                    with write_whole(folder / f"{stem}.gz") as part:
                        part.write_bytes(buffer.getvalue())
                except OSError as error:
                    unwritable = error.strerror or type(error).__name__
        except DataError as error:
            problem = str(error)
        except OSError as error:  # all exceptions of requests are; their texts hold addresses of objects
            problem = f"{host} broke off ({type(error).__name__})"
        else:
            return host, unwritable
    _network_failed.update(dict.fromkeys(lost, problem))
    raise DataError(problem)


def _fastest_mirrors(mirrors: tuple[str, ...]) -> Iterator[str]:
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
