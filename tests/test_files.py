"""The files of the data sets, read and fetched through `data.load` as a lesson does, and the whole-file writer."""

import contextlib
import errno
import gzip
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import idx_files
import numpy as np
import pytest
import requests  # noqa: F401  (its import takes longer than a short wait lasts)
from idx_files import assert_is_the_small_set, left_over, packed, payloads, python, write

from ganlib import data, files

REAL_PATIENCE = files.PATIENCE
STAND_IN = "digits (offline stand-in for MNIST)"
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = idx_files.SHAPES
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return idx_files.isolate(tmp_path, monkeypatch)


@pytest.fixture
def quick_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    idx_files.noise_for_the_stand_in(monkeypatch)


@contextlib.contextmanager
def mirror(answer: Answer, contents: dict[str, bytes] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve on 127.0.0.1; yield the address and the list of the paths that were asked for."""
    asked: list[str] = []
    contents = packed() if contents is None else contents

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            asked.append(self.path)
            with contextlib.suppress(ConnectionError):
                answer(self, contents[self.path[1:].removesuffix(".gz")])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


def start(handler: BaseHTTPRequestHandler, length: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


def good(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
    start(handler, len(raw))
    handler.wfile.write(raw)


def web_page(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
    good(handler, b"<!DOCTYPE html><title>Sign in</title>")


def breaks_off(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
    start(handler, len(raw))
    handler.wfile.write(raw[: len(raw) // 2])


def stalls(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
    breaks_off(handler, raw)
    time.sleep(20)


def unpacks_for_the_reader(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
    handler.send_response(200)
    if "gzip" in handler.headers.get("Accept-Encoding", ""):
        handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw)


def slow(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
    start(handler, len(raw))
    for part in np.array_split(np.frombuffer(raw, np.uint8), 4):
        handler.wfile.write(part.tobytes())
        time.sleep(0.12)


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def no_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Hang where no time limit of the client reaches, in the look-up of the name, each mirror for longer."""
    over, seconds = threading.Event(), iter((0.9, 1.8, 30))

    def hangs(*args: object, **kwargs: object) -> bool:
        over.wait(next(seconds))
        return False

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", hangs)
    yield "http://nowhere.invalid/"
    over.set()


def use(monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    idx_files.install(mirrors, monkeypatch.setattr)


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("suffix", [".gz", "", "dotted"])
def test_mnist_may_be_packed_in_any_way(
    level: int, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {stem: gzip.compress(raw, level) if suffix == ".gz" else raw for stem, raw in payloads().items()}
    if suffix == "dotted":
        made, suffix = {stem.replace("-idx", ".idx"): raw for stem, raw in made.items()}, ""
    write(tmp_path / "mnist", made, suffix)
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    assert_is_the_small_set(data.load())


def shorter(raw: bytes) -> bytes:
    return gzip.compress(raw[:-1])


def one_bit(raw: bytes) -> bytes:
    return gzip.compress(raw[:-1] + bytes([raw[-1] ^ 1]))


FAULTS = {
    "truncated gzip": (TRAIN_IMAGES, packed()[TRAIN_IMAGES][:-20], "expected a whole gzip file"),
    "damaged gzip": (TRAIN_IMAGES, packed()[TRAIN_IMAGES][:2] + b"\xff" * 50, "expected a whole gzip file"),
    "empty": (TRAIN_IMAGES, b"", "web page"),
    "web page": (TRAIN_IMAGES, b"<!DOCTYPE html>", "got b'<!DOCTYPE html>'.*web page"),
    "wrong magic": (
        TRAIN_LABELS,
        gzip.compress(b"\0\0\x0d\x01" + payloads()[TRAIN_LABELS][4:]),
        "idx format",
    ),
    "test labels": (TRAIN_LABELS, packed()[TEST_LABELS], f"got the contents of {TEST_LABELS}.*swapped"),
    "labels as images": (TEST_IMAGES, packed()[TEST_LABELS], f"got the contents of {TEST_LABELS}.*swapped"),
    "cut short": (TEST_LABELS, shorter(payloads()[TEST_LABELS]), "expected 28 bytes, got 27"),
    "too long": (TEST_LABELS, gzip.compress(payloads()[TEST_LABELS] + b"!"), "expected 28 bytes, got 29"),
    "one bit": (TEST_IMAGES, one_bit(payloads()[TEST_IMAGES]), "expected (SHA-256|MD5).*usually a damaged"),
    "missing": (TEST_LABELS, None, f"has no file {TEST_LABELS}.gz"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_bad_file_in_the_named_folder_is_an_error(
    name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem, raw, message = FAULTS[fault]
    folder = write(tmp_path / name, packed())
    path = folder / f"{stem}.gz"
    path.unlink() if raw is None else path.write_bytes(raw)
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match=message) as caught:
        data.load(name)
    assert (str(folder) if raw is None else str(path)) in str(caught.value)


def test_an_unpacked_fashion_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fashion-mnist", payloads(), "")
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match=r"MD5 of the \.gz file .* one that was unpacked"):
        data.load("fashion-mnist")


def test_an_unreadable_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "mnist", packed())
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    (folder / f"{TRAIN_IMAGES}.gz").mkdir()
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match=r"gz cannot be read \(.+\): check"):
        data.load()


@pytest.mark.parametrize("answer", [good, unpacks_for_the_reader])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_download_is_cached(name: str, answer: Answer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mirror(answer) as (url, asked):
        use(monkeypatch, url)
        dataset = data.load(name)
        assert_is_the_small_set(dataset)
        assert dataset.source == "from 127.0.0.1"
        assert data.load(name).source == "from the cache"
        assert len(asked) == 4
    assert left_over(cache) == sorted(f"{stem}.gz" for stem in packed())


@pytest.mark.slow
@pytest.mark.usefixtures("quick_digits")
@pytest.mark.parametrize("kind", ["refused", "black_hole", "no_name_server"])
def test_without_a_network_the_stand_in_is_used_and_said(
    kind: str,
    request: pytest.FixtureRequest,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
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
    # The failure holds for every data set, and for as long as the process lives.
    begin = time.monotonic()
    assert data.load().name == STAND_IN
    with pytest.raises(data.DataError, match=r"no mirror answers .* Put train-images-idx3-ubyte, .*'fashion-mnist'"):
        data.load("fashion-mnist")
    assert time.monotonic() - begin < files.PATIENCE


def test_a_missing_network_costs_less_than_five_seconds() -> None:
    assert REAL_PATIENCE < 4.5


@pytest.mark.usefixtures("quick_digits")
def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
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


BAD_MIRRORS: dict[str, tuple[Answer, dict[str, bytes] | None]] = {
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
def test_a_bad_mirror_is_passed_over(fault: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_bad_mirrors_alone_leave_nothing_behind(
    fault: str, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mirror(*BAD_MIRRORS[fault]) as (bad, asked):
        use(monkeypatch, bad)
        assert data.load().name == STAND_IN
        assert data.load().name == STAND_IN
        assert len(asked) == 1  # remembered
    assert not (cache / "mnist").exists()
    out = capsys.readouterr().out
    assert re.match(r"Note: MNIST .* cannot be downloaded: .*127\.0\.0\.1.*takes its place\.\n", out)
    assert "0x" not in out


def test_the_quickest_mirror_is_used_at_once(black_hole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 8.0)
    begin = time.monotonic()
    with mirror(good) as (url, _):
        use(monkeypatch, black_hole, url)
        assert_is_the_small_set(data.load())
    assert time.monotonic() - begin < 6


@pytest.mark.slow
def test_a_slow_download_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 1.0)
    begin = time.monotonic()
    with mirror(slow) as (url, _):
        use(monkeypatch, url)
        assert_is_the_small_set(data.load())
    assert time.monotonic() - begin > files.PATIENCE


def test_an_interrupted_download_goes_on_where_it_stopped(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def until_the_third(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
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
def test_a_bad_file_in_the_cache_is_fetched_afresh(fault: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_cache_that_cannot_be_written_is_said_and_does_no_harm(
    reason: str, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(number: int) -> Callable[..., None]:
        def raises(*args: object, **kwargs: object) -> None:
            raise OSError(number, os.strerror(number))

        return raises

    def half(path: Path, raw: bytes) -> int:
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
def test_two_processes_at_once(cache: Path) -> None:
    with mirror(slow) as (url, _):
        script = f"import idx_files; from ganlib import data; idx_files.install(({url!r},)); print(data.load())"
        both = [python(script), python(script)]
        for process in both:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            assert out.startswith("MNIST: 40 training and 20 test images")
    assert left_over(cache) == sorted(f"{stem}.gz" for stem in packed())


def test_a_whole_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"
    for text in ("first", "second"):
        with files.write_whole(path) as part:
            assert part.parent == path.parent
            assert part.suffix == ".part"
            part.write_text(text, encoding="utf-8")
            assert not path.exists() or path.read_text(encoding="utf-8") == "first"
        assert path.read_text(encoding="utf-8") == text
        assert left_over(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(error), files.write_whole(path) as part:
        part.write_text("half", encoding="utf-8")
        raise error
    assert path.read_text(encoding="utf-8") == "old"
    assert left_over(tmp_path) == ["a.txt"]


def test_a_whole_file_is_on_the_disk_before_it_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *of, name=name, real=real: (done.append(name), real(*of)))
    with files.write_whole(tmp_path / "a.txt") as part:
        part.write_text("text", encoding="utf-8")
    assert done == ["fsync", "replace"]


def test_the_module_needs_no_torch() -> None:
    out, err = python("import sys; from ganlib import files; print('torch' in sys.modules)").communicate(timeout=60)
    assert (out, err) == ("False\n", "")
