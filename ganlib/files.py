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
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
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
    folders: tuple[str, ...]  # what others call its folder, in lower case and without signs
    ink: float  # mean of the training images, of 1: tells apart sets whose sums are not known


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
        ("mnist",),
        0.1307,
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
        ("fashionmnist", "fashion"),
        0.2860,
    ),
}
# What stands in other files' first bytes: what they are, and how they usually come under this name.
SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer", "a clone without Git LFS: 'git lfs pull' brings the file itself"),
    (b"PK\x03\x04", "a zip archive", "an archive that is still to be unpacked"),
    (b"7z\xbc\xaf", "a 7z archive", "an archive that is still to be unpacked"),
    (b"Rar!", "a rar archive", "an archive that is still to be unpacked"),
    (b"BZh", "a bzip2 archive", "an archive that is still to be unpacked"),
    (b"\xfd7zXZ", "an xz archive", "an archive that is still to be unpacked"),
    (b"\x1f\x8b", "a gzip file", "a file that is still to be unpacked"),
    (b"\x89PNG", "a PNG picture", "another form of what is wanted"),
    (b"\xff\xd8\xff", "a JPEG picture", "another form of what is wanted"),
    (b"\x93NUMPY", "an array that numpy saved", "another form of what is wanted"),
    (b"\x89HDF", "an HDF5 file", "another form of what is wanted"),
    (b"PAR1", "a Parquet table", "another form of what is wanted"),
    (b"%PDF", "a PDF document", "another file saved under this name"),
)
_network_failed: dict[str, str] = {}  # data set -> reason; the network is not tried again in this process


class DataError(RuntimeError):
    """The images cannot be loaded; the message names the file, what is wrong with it and what to do."""

    def _render_traceback_(self) -> list[str]:
        # IPython calls this: a reader without network sees one sentence and no traceback. It prints it too, and a path
        # may hold signs that the console lacks.
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        return [f"DataError: {self}".encode(encoding, "backslashreplace").decode(encoding)]


def cache_folder() -> Path:
    """Return where downloads and trained models of this user are kept: $GANLIB_CACHE or the system's place."""
    import pooch

    return Path(os.path.expanduser(_setting("GANLIB_CACHE") or pooch.os_cache("ganlib")))


def _setting(variable: str) -> str:
    """The path in an environment variable, without quotes and spaces that `set` of Windows or a .env file leave."""
    value = os.environ.get(variable, "")
    if not value.strip() or os.path.exists(value):
        return value.strip() and value
    return os.path.expandvars(value.strip(" \t\r\n\"'\u201c\u201d\u2018\u2019"))


def named_places() -> list[Path]:
    """Return the folders that $GANLIB_DATA can mean, the first choice first; none when it is not set.

    A relative path is looked up from the folder of the kernel, then from the root of the course.
    """
    value = _setting("GANLIB_DATA")
    if not value:
        return []
    here = Path(os.path.abspath("."))
    above = [folder for folder in (here, *here.parents, Path(__file__).parents[1]) if (folder / "notebooks").is_dir()]
    return list(dict.fromkeys(Path(os.path.abspath(root / os.path.expanduser(value))) for root in (here, *above[:1])))


def find_folder(name: str, place: Path) -> tuple[Path | None, str]:
    """Return the folder at or below ``place`` with files of the data set ``name``; or None, and why there is none.

    Files lie in mnist/, in MNIST/raw/ as torchvision stores them, or in ``place`` itself.
    """
    if os.path.isfile(place):
        return None, f"{place} is a file, and a folder is wanted"
    try:
        entries = sorted(os.listdir(place))
    except FileNotFoundError:
        return None, f"{place} does not exist"
    except OSError as error:
        if not os.path.isdir(place / name):
            return None, f"{place} cannot be looked into ({error.strerror})"
        entries = [name]
    named = [place / name, *(place / entry for entry in entries if _letters(entry) in ARCHIVES[name].folders)]
    own = [] if _is_of_another(place, name) else [place]
    for folder in [inner for outer in [*named, *own] for inner in (outer, outer / "raw")]:
        if any(path.is_file() for stem in FILES for path in _candidates(folder, stem) if os.path.exists(path)):
            return folder, ""
    if os.path.isdir(place / name):
        return place / name, ""
    if os.path.exists(place / name):
        return None, f"{place} has a file {name!r}, and a folder is wanted"
    return None, f"{place} has no folder {name!r} in it{_instead(entries, ', but ')}"


def _letters(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


def _is_of_another(folder: Path, name: str) -> bool:
    """Whether the name of ``folder``, or a small file in it, tells that its files are of another data set."""
    outer = folder.parent if folder.name == "raw" else folder
    if any(_letters(outer.name) in archive.folders for other, archive in ARCHIVES.items() if other != name):
        return True
    stem = list(FILES)[-1]
    for path in (path for inner in (folder, folder / "raw") for path in _candidates(inner, stem)):
        with contextlib.suppress(OSError, EOFError, zlib.error):
            owners = _owners(path.read_bytes(), stem)
            return bool(owners) and name not in owners
    return False


def _owners(raw: bytes, stem: str) -> list[str]:
    """The data sets whose file ``stem`` has these bytes, packed or not."""
    payload = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    sums = {hashlib.sha256(payload).hexdigest(), hashlib.md5(raw, usedforsecurity=False).hexdigest()}
    return [name for name, archive in ARCHIVES.items() if archive.sums[list(FILES).index(stem)] in sums]


def _instead(entries: list[str], before: str) -> str:
    """What else lies there that may have been meant for the data, and what is wanted; empty when nothing does."""
    other = (".csv", ".npz", ".npy", ".pkl", ".pickle", ".mat", ".h5", ".hdf5", ".parquet", ".arff", ".pt", ".png")
    packed = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2")
    found = [entry for entry in entries if entry.lower().endswith((*other, *packed, ".gz"))]
    found = [entry for entry in found if not any(entry in _names(stem) for stem in FILES)]
    if not found:
        return ""
    shown = ", ".join(found if len(found) < 5 else [*found[:3], f"{len(found) - 3} more"])
    unpack = "; unpack archives" if any(entry.lower().endswith(packed) for entry in found) else ""
    return f"{before}{shown}: wanted are the idx files {', '.join(FILES)}, packed by gzip or not{unpack}"


def _names(stem: str) -> list[str]:
    """What the file ``stem`` is called: packed or not, with a dot as some unpackers write it."""
    dotted = stem.replace("-idx", ".idx")
    return [f"{name}{end}" for end in (".gz", "") for name in (stem, dotted)]


def _candidates(folder: Path, stem: str) -> Iterator[Path]:
    """Where the file ``stem`` may lie; Kaggle has it in a folder of the file's name."""
    for path in (folder / name for name in _names(stem)):
        if os.path.isdir(path):
            yield from (path / name for name in _names(stem))
        yield path


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


def read_idx(folder: Path, archive: Archive, stem: str) -> tuple[np.ndarray, bool]:
    """Return the uint8 array in the file ``stem`` of ``folder``, of the shape in `FILES`, and whether its sum is known.

    Unpacked files of Fashion-MNIST have no known sum: they are taken by form and size. Raises DataError when the file
    is missing, unreadable, or not the one that ``archive`` knows.
    """
    problem = ""
    for path in _candidates(folder, stem):
        try:
            return _decode(path.read_bytes(), archive, stem, str(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except DataError as error:  # another form of it beside may be whole
            problem = problem or str(error)
        except OSError as error:
            if os.path.isdir(path):
                problem = problem or f"{path} is a folder without the file {stem} in it: put the file there"
            else:
                remedy = "check its permissions" if isinstance(error, PermissionError) else "copy it anew"
                problem = problem or f"{path} cannot be read ({error.strerror}): {remedy}"
    if not problem:
        entries: list[str] = []
        with contextlib.suppress(OSError):
            entries = sorted(os.listdir(folder))
        instead = _instead(entries, ", it holds ") or f": all of {', '.join(FILES)} are needed"
        problem = f"{folder} has no file {stem}.gz{instead}"
    raise DataError(problem)


def _decode(raw: bytes, archive: Archive, stem: str, where: str) -> tuple[np.ndarray, bool]:
    """Return the uint8 array in the bytes of a file of MNIST's idx format, and whether its sum is known."""

    def wrong(expected: str, got: str, cause: str) -> DataError:
        return DataError(f"{where}: expected {expected}, got {got}: usually {cause}")

    payload, header = raw, _header(FILES[stem])
    for _ in "ab":  # a browser or a server may have packed it once more
        if payload.startswith(b"\x1f\x8b"):
            raw = payload
            try:
                payload = gzip.decompress(raw)
            except EOFError:
                raise wrong("a whole gzip file", "one that is cut off", "a download that broke off") from None
            except (OSError, zlib.error):
                raise wrong("a whole gzip file", "a damaged one", "a copy with wrong bytes in it") from None
    if not payload.startswith(header):
        for other, shape in FILES.items():
            if payload.startswith(_header(shape)):
                raise wrong(stem, f"the contents of {other}", "two files that were swapped")
        if payload and (header.startswith(payload) or payload == b"\x1f"):
            raise wrong(f"{_size(stem):,} bytes", f"{len(payload)}", "a copy that was cut off")
        raise wrong(f"{stem} in idx format", *describe(payload))
    if len(payload) != _size(stem):
        cause = "a copy that was cut off" if len(payload) < _size(stem) else "a copy that something was appended to"
        raise wrong(f"{_size(stem):,} bytes", f"{len(payload):,}", cause)
    array = np.frombuffer(payload, np.uint8, offset=len(header)).reshape(FILES[stem])
    return array, _check_sum(raw, payload, array, archive, stem, wrong)


def _check_sum(
    raw: bytes, payload: bytes, array: np.ndarray, archive: Archive, stem: str, wrong: Callable[..., DataError]
) -> bool:
    """Return whether the sum of a file is known, and raise DataError when it is another than ``archive`` has."""
    wanted = archive.sums[list(FILES).index(stem)]
    packed = raw is not payload
    cause = "another data set of the same form, or a damaged file"
    if len(wanted) == 64:
        kind, got = "SHA-256", hashlib.sha256(payload).hexdigest()
    elif packed:
        kind, got = "MD5 of the .gz file", hashlib.md5(raw, usedforsecurity=False).hexdigest()
        cause += ", or one that was packed anew: unpacked it can be taken, unverified"
    else:
        kind, got = "", ""
    if got and got == wanted:
        return True
    if owners := [ARCHIVES[name].title for name in _owners(raw, stem) if ARCHIVES[name] is not archive]:
        raise wrong(f"{stem} of {archive.title}", f"that of {owners[0]}", "a file in the folder of another data set")
    if kind:
        raise wrong(f"{kind} {wanted}", got, cause)
    if array.ndim == 1 and array.max() >= len(archive.classes):
        raise wrong(f"labels from 0 to {len(archive.classes) - 1}", f"{array.max()}", cause)
    return False


def describe(start: bytes) -> tuple[str, str]:
    """Return what a file is that begins with these bytes, and how it usually comes in the place of another."""
    shown = f"{start[:16]!r}{'...' if len(start) > 16 else ''}, "
    if not start:
        return "an empty file", "a download or a copy that broke off"
    for signature, what, cause in SIGNATURES:
        if start.startswith(signature):
            return shown + what, cause
    text = start[:300].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        return f"{shown}a web page", "a page to sign in or to choose a download, saved under this name"
    if start[257:262] == b"ustar":
        return f"{shown}a tar archive", "an archive that is still to be unpacked"
    if start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5":
        return f"{shown}a pickle of Python", "another form of what is wanted"
    if len(start) >= 8 and start[:2] == b"\0\0" and start[2] in b"\x08\x09\x0b\x0c\x0d\x0e" and 0 < start[3] < 5:
        shape = [int.from_bytes(start[k : k + 4], "big") for k in range(4, 4 + 4 * start[3], 4)]
        return f"{shown}an idx file of type {start[2]} and shape {tuple(shape)}", "another data set, such as EMNIST"
    if not any(start[:300]):
        return f"{shown}zeros", "a download that was begun and never filled, or a file that the cloud still holds"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text):
        return f"{shown}a text", "a table such as .csv, or an error message, saved under this name"
    return f"{shown}bytes of another form", "another file saved under this name"


def _size(stem: str) -> int:
    return len(_header(FILES[stem])) + math.prod(FILES[stem])


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
                array, known = _decode(buffer.getvalue(), archive, stem, url)
                if not known:  # a server that unpacks: nobody knows what else it does
                    raise DataError(f"{url}: expected a .gz file, got an unpacked one, which cannot be verified")
                arrays[stem] = array
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
