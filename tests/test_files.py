"""The files of the data sets, read and fetched through `data.load` as a lesson does, and the whole-file writer."""

import contextlib
import errno
import gzip
import math
import os
import re
import shutil
import socket
import struct
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import crash
import idx_files
import numpy as np
import pytest
import requests  # noqa: F401  (its import takes longer than a short wait lasts)
from idx_files import assert_is_the_small_set, left_over, packed, payloads, python, write

from ganlib import data, files

REAL_PATIENCE, REAL_STALL, REAL_FILES, REAL_ARCHIVES = files.PATIENCE, files.STALL, files.FILES, files.ARCHIVES
REAL_FASHION = files.ARCHIVES["fashion-mnist"]._replace(mirrors=())
PUBLISHED = tomllib.loads(Path(__file__).parent.joinpath("helpers", "published.toml").read_text(encoding="utf-8"))
STAND_IN = "digits (offline stand-in for MNIST)"
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = idx_files.SHAPES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    return idx_files.isolate(tmp_path, monkeypatch)


@pytest.fixture
def quick_digits(monkeypatch):
    idx_files.noise_for_the_stand_in(monkeypatch)


@contextlib.contextmanager
def mirror(answer, contents=None):
    """Serve on 127.0.0.1; yield the address and the list of the paths that were asked for."""
    asked = []
    contents = packed() if contents is None else contents

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def do_GET(self):
            asked.append(self.path)
            with contextlib.suppress(ConnectionError):
                answer(self, contents[self.path[1:].removesuffix(".gz")])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


def start(handler, length, **headers):
    handler.send_response(200)
    for name, value in {"Content-Length": length, **headers}.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def good(handler, raw):
    start(handler, len(raw))
    handler.wfile.write(raw)


def web_page(handler, raw):
    good(handler, b"<!DOCTYPE html><title>Sign in</title>")


def breaks_off(handler, raw):
    start(handler, len(raw))
    handler.wfile.write(raw[: len(raw) // 2])


def stalls(handler, raw):
    breaks_off(handler, raw)
    time.sleep(20)


def unpacks_for_the_reader(handler, raw):
    start(handler, len(raw), **{"Content_Encoding": "gzip"} if "gzip" in handler.headers["Accept-Encoding"] else {})
    handler.wfile.write(raw)


def slow(handler, raw):
    start(handler, len(raw))
    for part in np.array_split(np.frombuffer(raw, np.uint8), 4):
        handler.wfile.write(part.tobytes())
        time.sleep(0.12)


@pytest.fixture
def black_hole():
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def no_name_server(monkeypatch):
    """Hang where no time limit of the client reaches, in the look-up of the name, each mirror for longer."""
    over, seconds = threading.Event(), iter((0.9, 1.8, 30))

    def hangs(*args, **kwargs):
        over.wait(next(seconds))
        return False

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", hangs)
    yield "http://nowhere.invalid/"
    over.set()


def use(monkeypatch, *mirrors):
    idx_files.install(mirrors, monkeypatch.setattr)


# ---- against what others publish


def assert_as_published(name, archive):
    """Compare with helpers/published.toml, which was not typed from `files`."""
    assert name in PUBLISHED, f"{name} is new in ARCHIVES: write into helpers/published.toml what its authors publish"
    other = PUBLISHED[name]
    own = archive._asdict() | {"sums": dict(zip(files.FILES, archive.sums))}
    own["mirrors"], own["classes"] = list(archive.mirrors), list(archive.classes)
    wrong = [key for key in own if key != "folders" and own[key] != other[key]]
    wrong += [folder for folder in other["folders"] if files._letters(folder) not in archive.folders]
    assert not wrong, f"{name}: {', '.join(wrong)} in ganlib/files.py differ from helpers/published.toml"


@pytest.mark.parametrize("name", REAL_ARCHIVES)
def test_data_sets_are_what_others_publish(name, monkeypatch):
    monkeypatch.setattr(files, "FILES", REAL_FILES)
    assert_as_published(name, REAL_ARCHIVES[name])


@pytest.mark.parametrize("field", files.Archive._fields)
def test_a_wrong_letter_in_a_data_set_is_noticed(field, monkeypatch):
    monkeypatch.setattr(files, "FILES", REAL_FILES)
    value = getattr(REAL_FASHION, field) or REAL_ARCHIVES["fashion-mnist"].mirrors
    if isinstance(value, tuple):
        typos = [(*value[:k], value[k] + "x", *value[k + 1 :]) for k in range(len(value))]
    else:
        typos = [value + ("x" if isinstance(value, str) else 0.01)]
    for typo in typos:
        with pytest.raises(AssertionError, match=field if field != "folders" else "fashion"):
            assert_as_published("fashion-mnist", REAL_ARCHIVES["fashion-mnist"]._replace(**{field: typo}))


def test_files_have_the_headers_that_are_published(monkeypatch):
    monkeypatch.setattr(files, "FILES", REAL_FILES)
    assert list(REAL_FILES) == list(PUBLISHED["header"])
    for stem, numbers in PUBLISHED["header"].items():
        assert files._header(REAL_FILES[stem]) == struct.pack(f">{len(numbers)}I", *numbers)
        assert files._size(stem) == 4 * len(numbers) + math.prod(numbers[1:])


def dotted(stem):
    return stem.replace("-idx", ".idx")


FORMS = {
    "packed": lambda stem, raw, gz: {f"{stem}.gz": gz},
    "plain": lambda stem, raw, gz: {stem: raw},
    "dotted": lambda stem, raw, gz: {dotted(stem): raw},
    "dotted and packed": lambda stem, raw, gz: {f"{dotted(stem)}.gz": gz},
    "both": lambda stem, raw, gz: {stem: raw, f"{stem}.gz": gz},
    "packed twice": lambda stem, raw, gz: {f"{stem}.gz": gzip.compress(gz)},
    "packed without the ending": lambda stem, raw, gz: {stem: gz},
    "unpacked without losing the ending": lambda stem, raw, gz: {f"{stem}.gz": raw},
    "Kaggle": lambda stem, raw, gz: {f"{stem}/{stem}": raw, dotted(stem): raw},
    "Kaggle's folders": lambda stem, raw, gz: {f"{stem}/{stem}": raw},
    "folders with a dot inside": lambda stem, raw, gz: {f"{dotted(stem)}/{dotted(stem)}.gz": gz},
}


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("form", FORMS)
def test_mnist_may_be_packed_in_any_way(level, form, tmp_path, monkeypatch, capsys):
    for stem, raw in payloads().items():
        for name, content in FORMS[form](stem, raw, gzip.compress(raw, level)).items():
            path = tmp_path / "mnist" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    assert_is_the_small_set(data.load())
    assert capsys.readouterr() == ("", "")


PLACES = {  # where the files lie below a folder, and which folder GANLIB_DATA names
    "torchvision": ("MNIST/raw", "."),
    "upper case": ("MNIST", "."),
    "the folder itself": (".", "."),
    "mnist itself": ("mnist", "mnist"),
    "raw itself": ("MNIST/raw", "MNIST/raw"),
    "torchvision's folder": ("MNIST/raw", "MNIST"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_files_may_lie_where_others_put_them(name, place, tmp_path, monkeypatch, capsys):
    if name == "fashion-mnist":
        archives = {"mnist": files.ARCHIVES["mnist"]._replace(sums=("0" * 64,) * 4), name: files.ARCHIVES[name]}
        monkeypatch.setattr(files, "ARCHIVES", archives)
    folder, named = (part.replace("MNIST", {"mnist": "MNIST"}.get(name, "FashionMNIST")) for part in PLACES[place])
    write(tmp_path / "data" / folder.replace("mnist", name), packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path / "data" / named.replace("mnist", name)))
    dataset = data.load(name)
    assert_is_the_small_set(dataset)
    assert dataset.source == "from the folder GANLIB_DATA"
    assert capsys.readouterr() == ("", "")


def test_an_empty_folder_does_not_hide_the_files_beside(tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    write(tmp_path / "MNIST!" / "raw", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    assert_is_the_small_set(data.load())


def test_a_damaged_file_does_not_hide_a_whole_one(tmp_path, monkeypatch):
    folder = write(tmp_path / "mnist", payloads(), "")
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(b"<html>")
    (folder / f"{TEST_LABELS}.gz").mkdir()
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    assert_is_the_small_set(data.load())


@pytest.mark.usefixtures("quick_digits")
@pytest.mark.parametrize("inside", ["mnist", "."])
def test_mnist_is_not_taken_for_another_data_set(inside, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(files.ARCHIVES, "fashion-mnist", REAL_FASHION)
    folder = write(tmp_path / "data" / inside, payloads(), "")
    monkeypatch.setenv("GANLIB_DATA", str(folder))
    assert data.load().name == "MNIST"
    with pytest.raises(data.DataError, match="Fashion-MNIST is not in the cache"):
        data.load("fashion-mnist")
    assert f"GANLIB_DATA={folder} has no folder 'fashion-mnist' in it" in capsys.readouterr().out


def shorter(raw):
    return gzip.compress(raw[:-1])


def one_bit(raw):
    return gzip.compress(raw[:-1] + bytes([raw[-1] ^ 1]))


FAULTS = {
    "truncated gzip": (TRAIN_IMAGES, packed()[TRAIN_IMAGES][:-20], "a whole gzip file, got one that is cut off"),
    "cut after a byte": (TRAIN_IMAGES, packed()[TRAIN_IMAGES][:1], "got 1: usually a copy that was cut off"),
    "cut in the header": (TRAIN_IMAGES, payloads()[TRAIN_IMAGES][:7], "got 7: usually a copy that was cut off"),
    "damaged gzip": (TRAIN_IMAGES, packed()[TRAIN_IMAGES][:2] + b"\xff" * 50, "a whole gzip file, got a damaged one"),
    "empty": (TRAIN_IMAGES, b"", "got an empty file: usually a download or a copy that broke off$"),
    "web page": (TRAIN_IMAGES, b"<!DOCTYPE html>", "got b'<!DOCTYPE html>', a web page"),
    "web page after a mark": (TRAIN_IMAGES, b"\xef\xbb\xbf\r\n <html>", "a web page"),
    "packed web page": (TRAIN_IMAGES, gzip.compress(b"<html>"), "a web page"),
    "pointer": (TRAIN_IMAGES, b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.*'git lfs pull'"),
    "zip": (TRAIN_IMAGES, b"PK\3\4rest", "a zip archive: usually an archive that is still to be unpacked"),
    "tar": (TRAIN_IMAGES, gzip.compress(b"a" * 257 + b"ustar" + bytes(250)), "a tar archive: .*to be unpacked"),
    "png": (TRAIN_IMAGES, b"\x89PNG\r\n\x1a\n", "a PNG picture: usually another form"),
    "numpy": (TRAIN_IMAGES, b"\x93NUMPY\1\0v\0", "an array that numpy saved"),
    "pickle": (TRAIN_IMAGES, b"\x80\4\x95", "a pickle of Python"),
    "table": (TRAIN_IMAGES, b"label,1x1\n5,0\n", "a text: usually a table such as .csv"),
    "zeros": (TRAIN_IMAGES, bytes(5000), "zeros: usually a download that was begun"),
    "wrong magic": (
        TRAIN_LABELS,
        gzip.compress(b"\0\0\x0d\x01" + payloads()[TRAIN_LABELS][4:]),
        r"idx format, .* an idx file of type 13 and shape \(40,\): usually another data set",
    ),
    "EMNIST": (TRAIN_IMAGES, b"\0\0\x08\x03\0\x03\xa9\x80\0\0\0\x1c\0\0\0\x1c", r"shape \(240000, 28, 28\): .*EMNIST"),
    "test labels": (TRAIN_LABELS, packed()[TEST_LABELS], f"got the contents of {TEST_LABELS}.*swapped"),
    "labels as images": (TEST_IMAGES, packed()[TEST_LABELS], f"got the contents of {TEST_LABELS}.*swapped"),
    "cut short": (TEST_LABELS, shorter(payloads()[TEST_LABELS]), "expected 28 bytes, got 27: .* cut off"),
    "too long": (TEST_LABELS, gzip.compress(payloads()[TEST_LABELS] + b"!"), "expected 28 bytes, got 29: .*appended"),
    "one bit": (
        TEST_IMAGES,
        one_bit(payloads()[TEST_IMAGES]),
        "expected (SHA-256|MD5).*of the same form, or a damaged",
    ),
    "missing": (TEST_LABELS, None, f"has no file {TEST_LABELS}.gz"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_bad_file_in_the_named_folder_is_an_error(name, fault, tmp_path, monkeypatch):
    stem, raw, message = FAULTS[fault]
    folder = write(tmp_path / name, packed())
    path = folder / f"{stem}.gz"
    path.unlink() if raw is None else path.write_bytes(raw)
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match=message) as caught:
        data.load(name)
    assert (str(folder) if raw is None else str(path)) in str(caught.value)


@pytest.fixture
def fashion(monkeypatch):
    """Return files of Fashion-MNIST's form, unpacked, of which nothing but the sums of the packed ones is known."""
    monkeypatch.setitem(files.ARCHIVES, "mnist", files.ARCHIVES["mnist"]._replace(sums=("0" * 64,) * 4))
    return payloads()


@pytest.mark.parametrize("place", ["fashion-mnist", "FashionMNIST/raw"])
def test_unpacked_fashion_files_are_taken_and_it_is_said_that_nobody_can_verify_them(
    place, fashion, tmp_path, monkeypatch, capsys
):
    folder = write(tmp_path / place, fashion, "")
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    ink = np.frombuffer(fashion[TRAIN_IMAGES], np.uint8, offset=16).mean() / 255
    monkeypatch.setitem(files.ARCHIVES, "fashion-mnist", files.ARCHIVES["fashion-mnist"]._replace(ink=ink))
    assert_is_the_small_set(data.load("fashion-mnist"))
    note = f"Note: Fashion-MNIST in {folder} is unpacked: form and size are right, .*it could not be verified\\."
    assert re.fullmatch(f"{note}\n", capsys.readouterr().out)
    # KMNIST has the same form: how much ink there is tells it apart, and it is said.
    monkeypatch.setitem(files.ARCHIVES, "fashion-mnist", REAL_FASHION)
    assert_is_the_small_set(data.load("fashion-mnist"))
    odd = f" Its mean ink is {ink:.3f}, that of Fashion-MNIST is 0.286: is it another data set\\?"
    assert re.fullmatch(f"{note}{odd}\n", capsys.readouterr().out)


def test_other_unpacked_files_under_fashion_names_are_errors(fashion, tmp_path, monkeypatch):
    folder = write(tmp_path / "fashion-mnist", fashion, "")
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    path = folder / TRAIN_LABELS
    path.write_bytes(fashion[TRAIN_LABELS][:-1] + b"\x0a")
    with pytest.raises(data.DataError, match="expected labels from 0 to 9, got 10: usually another data set"):
        data.load("fashion-mnist")
    path.write_bytes(fashion[TRAIN_LABELS][:-1])
    with pytest.raises(data.DataError, match="expected 48 bytes, got 47: usually a copy that was cut off"):
        data.load("fashion-mnist")
    path.write_bytes(fashion[TRAIN_LABELS])
    idx_files.install((), monkeypatch.setattr)  # MNIST has these sums
    with pytest.raises(data.DataError, match=f"expected {TRAIN_IMAGES} of Fashion-MNIST, got that of MNIST: usually"):
        data.load("fashion-mnist")


def test_a_mirror_must_give_fashion_files_that_can_be_verified(fashion, monkeypatch):
    with mirror(good, fashion) as (url, _):
        monkeypatch.setitem(files.ARCHIVES, "fashion-mnist", files.ARCHIVES["fashion-mnist"]._replace(mirrors=(url,)))
        with pytest.raises(data.DataError, match=r"expected a \.gz file, got an unpacked one"):
            data.load("fashion-mnist")


def test_an_unreadable_file_is_an_error(tmp_path, monkeypatch):
    folder = write(tmp_path / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    real, reasons = Path.read_bytes, []

    def read_bytes(path):
        if path.name == f"{TRAIN_IMAGES}.gz":
            raise reasons[-1]
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    for reason, remedy in (
        (PermissionError(errno.EACCES, "Permission denied"), r"\(Permission denied\): check its permissions"),
        (OSError(errno.EIO, "Input/output error"), r"\(Input/output error\): copy it anew"),
    ):
        reasons.append(reason)
        with pytest.raises(data.DataError, match=f"gz cannot be read {remedy}"):
            data.load()
    monkeypatch.undo()
    idx_files.isolate(tmp_path, monkeypatch)
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    (folder / f"{TRAIN_IMAGES}.gz").mkdir()
    with pytest.raises(data.DataError, match=rf"gz is a folder without the file {TRAIN_IMAGES} in it: put"):
        data.load()


ENDINGS = [
    *(".csv", ".npz", ".npy", ".pkl", ".pickle", ".mat", ".h5", ".hdf5", ".parquet", ".arff", ".pt", ".png"),
    *(".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.bz2", ".gz"),
]
INSTEAD = {
    "tables": (
        ["mnist_test.csv", "mnist_train.csv"],
        "mnist_test.csv, mnist_train.csv: wanted are the idx files train",
    ),
    "archive": (["archive.zip"], "archive.zip: wanted are .*; unpack archives"),
    "every form": ([f"a{end}" for end in ENDINGS], "a.7z, a.arff, a.csv, 16 more: wanted are the idx files"),
    "pictures": ([f"{k}.png" for k in range(99)], "0.png, 1.png, 10.png, 96 more: wanted are"),
    "a browser's second copy": ([f"{TRAIN_IMAGES} (1).gz"], r"train-images-idx3-ubyte \(1\).gz: wanted are"),
}


@pytest.mark.usefixtures("quick_digits")
@pytest.mark.parametrize("kind", INSTEAD)
def test_other_files_that_lie_there_are_named(kind, tmp_path, monkeypatch, capsys):
    names, sentence = INSTEAD[kind]
    write(tmp_path / "data", dict.fromkeys(names, b"?"), "")
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path / "data"))
    assert data.load().name == STAND_IN
    assert re.search(f"has no folder 'mnist' in it, but {sentence}.*; the cache is tried next", capsys.readouterr().out)
    write(tmp_path / "data" / "mnist", dict.fromkeys(names, b"?"), "")
    with pytest.raises(data.DataError, match=rf"mnist has no file {TRAIN_IMAGES}\.gz, it holds {sentence}"):
        data.load()


@pytest.mark.parametrize("answer", [good, unpacks_for_the_reader])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_download_is_cached(name, answer, cache, monkeypatch):
    with mirror(answer) as (url, asked):
        use(monkeypatch, url)
        dataset = data.load(name)
        assert_is_the_small_set(dataset)
        assert dataset.source == "from 127.0.0.1"
        assert data.load(name).source == "from the cache"
        assert asked == [f"/{stem}.gz" for stem in PUBLISHED["header"]]
    assert left_over(cache) == sorted(f"{stem}.gz" for stem in packed())


@pytest.mark.usefixtures("quick_digits")
def test_folder_cache_network_and_stand_in_come_in_this_order(cache, tmp_path, monkeypatch):
    for folder in (tmp_path / "data", cache):
        write(folder / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path / "data"))
    with mirror(good) as (url, _):
        use(monkeypatch, url)
        sources = [data.load().source]
        monkeypatch.delenv("GANLIB_DATA")
        sources.append(data.load().source)
        shutil.rmtree(cache / "mnist")
        sources.append(data.load().source)
        shutil.rmtree(cache / "mnist")
        monkeypatch.setenv("GANLIB_OFFLINE", "1")
        sources.append(data.load().source)
    assert sources == ["from the folder GANLIB_DATA", "from the cache", "from 127.0.0.1", "from scikit-learn"]


@pytest.mark.slow
@pytest.mark.usefixtures("quick_digits")
@pytest.mark.parametrize("kind", ["refused", "black_hole", "no_name_server"])
def test_without_a_network_the_stand_in_is_used_and_said(kind, request, cache, monkeypatch, capfd):
    url = request.getfixturevalue(kind)
    use(monkeypatch, url, url, url)
    begin = time.monotonic()
    assert data.load().name == STAND_IN
    assert time.monotonic() - begin < 2.5 * files.PATIENCE  # all mirrors share one wait
    out, err = capfd.readouterr()
    assert out == (
        "Note: MNIST is not in the cache and cannot be downloaded: no mirror answers. "
        "The offline stand-in, digits from scikit-learn, takes its place.\n"
    )
    assert err == ""
    assert not (cache / "mnist").exists()
    assert all(thread.daemon for thread in threading.enumerate()[1:])  # Python ends without waiting for an answer
    # The failure holds for every data set, and for as long as the process lives.
    begin = time.monotonic()
    assert data.load().name == STAND_IN
    with pytest.raises(data.DataError, match=r"no mirror answers .* Put train-images-idx3-ubyte, .*'fashion-mnist'"):
        data.load("fashion-mnist")
    assert time.monotonic() - begin < files.PATIENCE


def test_a_missing_network_costs_less_than_five_seconds_and_a_slow_one_is_waited_for():
    assert 2 < REAL_PATIENCE < 4.5
    assert 5 < REAL_STALL < 30


@pytest.mark.usefixtures("quick_digits")
def test_offline_asks_nobody(monkeypatch, capsys):
    monkeypatch.setenv("GANLIB_OFFLINE", "1")
    with mirror(good) as (url, asked):
        use(monkeypatch, url)
        assert data.load().name == STAND_IN
        assert asked == []
    assert "GANLIB_OFFLINE=1 forbids it." in capsys.readouterr().out
    monkeypatch.setenv("GANLIB_OFFLINE", "0")
    with mirror(good) as (url, asked):
        use(monkeypatch, url)
        assert data.load().name == "MNIST"


BAD_MIRRORS = {
    "web page": (web_page, None),
    "breaks off": (breaks_off, None),
    "stalls": (stalls, None),
    "other bytes": (good, dict.fromkeys(packed(), gzip.compress(b"no data"))),
    "swapped": (good, {stem: packed()[stem.replace("train", "t10k")] for stem in packed()}),
    "another version": (good, {stem: one_bit(raw) for stem, raw in payloads().items()}),
    "truncated": (good, {stem: raw[:-9] for stem, raw in packed().items()}),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BAD_MIRRORS)
def test_a_bad_mirror_is_passed_over(fault, cache, monkeypatch):
    begin = time.monotonic()
    with mirror(*BAD_MIRRORS[fault]) as (bad, asked_bad), mirror(good) as (url, asked):
        use(monkeypatch, bad, url)
        monkeypatch.setattr(files, "_fastest_mirrors", lambda mirrors: iter(mirrors))  # the bad one first
        assert_is_the_small_set(data.load())
        assert len(asked_bad) == 1
        assert len(asked) == 4
    assert time.monotonic() - begin < 10
    assert left_over(cache) == sorted(f"{stem}.gz" for stem in packed())


@pytest.mark.slow
@pytest.mark.usefixtures("quick_digits")
@pytest.mark.parametrize("fault", BAD_MIRRORS)
def test_bad_mirrors_alone_leave_nothing_behind(fault, cache, monkeypatch, capsys):
    with mirror(*BAD_MIRRORS[fault]) as (bad, asked):
        use(monkeypatch, bad)
        assert data.load().name == STAND_IN
        assert data.load().name == STAND_IN
        assert len(asked) == 1  # remembered
    assert not (cache / "mnist").exists()
    out = capsys.readouterr().out
    assert re.match(r"Note: MNIST .* cannot be downloaded: .*127\.0\.0\.1.*takes its place\.\n", out)
    assert "0x" not in out


@pytest.mark.usefixtures("quick_digits", "cache")
def test_bad_files_of_one_data_set_leave_the_other_its_network(monkeypatch):
    with mirror(*BAD_MIRRORS["other bytes"]) as (bad, _):
        use(monkeypatch, bad)
        data.load()
    assert files._network_failed.keys() == {"mnist"}


def test_the_quickest_mirror_is_used_at_once(black_hole, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 8.0)
    begin = time.monotonic()
    with mirror(good) as (url, _):
        use(monkeypatch, black_hole, url)
        assert_is_the_small_set(data.load())
    assert time.monotonic() - begin < 6


@pytest.mark.slow
def test_a_slow_download_is_not_cut_off(monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 1.0)
    begin = time.monotonic()
    with mirror(slow) as (url, _):
        use(monkeypatch, url)
        assert_is_the_small_set(data.load())
    assert time.monotonic() - begin > files.PATIENCE


def test_an_interrupted_download_goes_on_where_it_stopped(cache, monkeypatch):
    def until_the_third(handler, raw):
        (good if len(asked) < 3 else breaks_off)(handler, raw)

    with mirror(until_the_third) as (url, asked):
        use(monkeypatch, url)
        with pytest.raises(data.DataError, match=r"127\.0\.0\.1 broke off"):
            data.load("fashion-mnist")
    assert len(left_over(cache)) == 2
    with mirror(good) as (url, asked):
        use(monkeypatch, url)  # a new process has forgotten the failure
        assert_is_the_small_set(data.load("fashion-mnist"))
        assert len(asked) == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_in_the_cache_is_fetched_afresh(fault, cache, monkeypatch):
    stem, raw, _ = FAULTS[fault]
    folder = write(cache / "mnist", packed())
    path = folder / f"{stem}.gz"
    path.unlink() if raw is None else path.write_bytes(raw)
    with mirror(good) as (url, asked):
        use(monkeypatch, url)
        assert_is_the_small_set(data.load())
        assert asked == [f"/{stem}.gz"]
    assert path.read_bytes() == packed()[stem]


@pytest.mark.usefixtures("quick_digits")
@pytest.mark.parametrize("reason", ["a file in the way", "read-only", "disk full", "rename refused"])
def test_a_cache_that_cannot_be_written_is_said_and_does_no_harm(reason, cache, monkeypatch, capsys):
    def refuse(number):
        return mock.Mock(side_effect=OSError(number, os.strerror(number)))

    def half(path, raw):
        with path.open("wb") as file:
            file.write(raw[: len(raw) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    if reason == "a file in the way":
        cache.write_bytes(b"")
    elif reason == "read-only":
        monkeypatch.setattr(Path, "mkdir", refuse(errno.EROFS))
    elif reason == "disk full":
        monkeypatch.setattr(Path, "write_bytes", half)
    else:
        monkeypatch.setattr(os, "replace", refuse(errno.EACCES))
    with mirror(good) as (url, _):
        use(monkeypatch, url)
        assert_is_the_small_set(data.load())
    out = capsys.readouterr().out
    assert re.fullmatch(r"Note: the cache .* cannot be written \(.+\): the next load downloads again\.\n", out)
    assert left_over(cache) == []
    assert data.load("digits").source == "from scikit-learn"  # nor does the stand-in need a cache
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_two_processes_at_once(cache):
    with mirror(slow) as (url, _):
        script = f"import idx_files; from ganlib import data; idx_files.install(({url!r},)); print(data.load())"
        both = [python(script), python(script)]
        for process in both:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            assert out.startswith("MNIST: 40 training and 20 test images")
    assert left_over(cache) == sorted(f"{stem}.gz" for stem in packed())


def test_a_whole_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    for text in ("first", "second"):
        with files.write_whole(path) as part:
            assert part.parent == path.parent
            assert part.suffix == ".part"
            part.write_text(text, encoding="utf-8")
            assert not path.exists() or path.read_text(encoding="utf-8") == "first"
        assert path.read_text(encoding="utf-8") == text
        assert left_over(tmp_path) == ["a.txt"]


def check_moments(writer, folder):
    """Stop ``writer`` at each line and at each call of the system: a whole file must be there all the time."""
    path = folder / "a.txt"
    path.write_text("old", encoding="utf-8")

    def write_new():
        with writer(path) as part, part.open("w", encoding="utf-8") as file:
            file.write("new")
            file.flush()
            file.write("er")

    seen, deaths, failures = set(), crash.deaths(write_new, writer, write_new), crash.failures(write_new, folder)
    for moments, litter in ((deaths, True), (failures, False)):
        for moment in moments:
            assert path.exists(), f"no file after {moment}"
            text = path.read_text(encoding="utf-8")
            seen.add(text)
            assert text in ("old", "newer"), f"half a file after {moment}"
            assert litter or left_over(folder) == ["a.txt"], f"litter after {moment}"
            path.write_text("old", encoding="utf-8")
            for part in set(folder.iterdir()) - {path}:
                part.unlink()
    assert seen == {"old", "newer"}


def test_whatever_the_moment_of_a_crash_the_old_or_the_new_file_is_whole(tmp_path):
    check_moments(files.write_whole, tmp_path)
    with contextlib.suppress(KeyboardInterrupt), files.write_whole(tmp_path / "a.txt") as part:
        part.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert left_over(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


@contextlib.contextmanager
def in_place(path):
    yield path


@contextlib.contextmanager
def first_away(path):
    part = path.with_suffix(".part")
    yield part
    path.unlink(missing_ok=True)
    part.rename(path)


@pytest.mark.parametrize(("writer", "fault"), [(in_place, "half a file"), (first_away, "no file")])
def test_a_writer_that_is_not_safe_is_noticed(writer, fault, tmp_path):
    with pytest.raises(AssertionError, match=fault):
        check_moments(writer, tmp_path)


def test_a_whole_file_is_on_the_disk_before_it_is_moved(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *of, name=name, real=real: (done.append(name), real(*of)))
    with files.write_whole(tmp_path / "a.txt") as part:
        part.write_text("text", encoding="utf-8")
    assert done == ["fsync", "replace"]


def test_the_module_needs_no_torch():
    out, err = python("import sys; from ganlib import files; print('torch' in sys.modules)").communicate(timeout=60)
    assert (out, err) == ("False\n", "")
