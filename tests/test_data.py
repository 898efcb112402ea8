import contextlib
import errno
import gzip
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import idx_files
import numpy as np
import pytest
import requests  # noqa: F401  (its import takes longer than a short wait lasts)
import torch
from idx_files import packed, payloads

from ganlib import data

REAL_MNIST, REAL_FILES, REAL_PATIENCE = data.ARCHIVES["mnist"], data.FILES, data.PATIENCE
REAL_FOLDER = os.environ.get("GANLIB_DATA", "")
NO_REAL = "GANLIB_DATA has no mnist folder, so the test on the real MNIST has no files"
STAND_IN = "digits (offline stand-in for MNIST)"
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = idx_files.SHAPES
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own, small files, short waits and no mirror."""
    for name in ("GANLIB_DATA", "GANLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GANLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    idx_files.install((), monkeypatch.setattr)
    monkeypatch.setattr(data, "PATIENCE", 2.0)
    monkeypatch.setattr(data, "STALL", 1.0)
    return tmp_path / "cache"


@pytest.fixture
def quick_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test that is not about the stand-in the second that drawing it takes."""
    rng = np.random.default_rng(2)
    noise = {stem: rng.integers(0, 10, shape, np.uint8) for stem, shape in idx_files.SHAPES.items()}
    monkeypatch.setattr(data, "_draw_digits", lambda: noise)


@contextlib.contextmanager
def mirror(answer: Answer, files: dict[str, bytes] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve on 127.0.0.1; yield the address and the list of the paths that were asked for."""
    asked: list[str] = []
    contents = packed() if files is None else files

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


def write(folder: Path, files: dict[str, bytes], suffix: str = ".gz") -> Path:
    folder.mkdir(parents=True)
    for stem, raw in files.items():
        (folder / f"{stem}{suffix}").write_bytes(raw)
    return folder


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def assert_is_the_small_set(dataset: data.Dataset) -> None:
    images = np.frombuffer(payloads()[TEST_IMAGES], np.uint8, offset=16).reshape(20, 1, 28, 28)
    labels = np.frombuffer(payloads()[TEST_LABELS], np.uint8, offset=8)
    assert dataset.train_images.shape == (40, 1, 28, 28)
    assert dataset.train_images.dtype == dataset.test_images.dtype == torch.float32
    assert (dataset.train_images.min(), dataset.train_images.max()) == (-1, 1)
    torch.testing.assert_close(dataset.test_images, torch.tensor(images / 127.5 - 1).float())
    assert dataset.train_labels.dtype == torch.int64
    assert dataset.test_labels.tolist() == labels.tolist()


@pytest.mark.parametrize("name", ["cifar", "MNIST", "", None])
def test_an_unknown_name_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(ValueError, match=r"name must be one of 'mnist', 'fashion-mnist', 'digits', got"):
        data.load(name)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_files_in_the_named_folder_are_used(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / name, packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    dataset = data.load(name)
    assert_is_the_small_set(dataset)
    title = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}[name]
    line = f"{title}: 40 training and 20 test images of 28 x 28 pixels, from the folder GANLIB_DATA"
    assert str(dataset) == repr(dataset) == line
    assert len(dataset.classes) == 10
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("suffix", [".gz", "", "dotted"])
def test_mnist_may_be_packed_in_any_way(
    level: int, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {stem: gzip.compress(raw, level) if suffix == ".gz" else raw for stem, raw in payloads().items()}
    if suffix == "dotted":
        files, suffix = {stem.replace("-idx", ".idx"): raw for stem, raw in files.items()}, ""
    write(tmp_path / "mnist", files, suffix)
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


def test_a_named_folder_without_the_data_set_is_said(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(cache / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    assert data.load().source == "from the cache"
    out, err = capsys.readouterr()
    assert out == f"Note: GANLIB_DATA={tmp_path} has no folder 'mnist' in it; the cache is tried next.\n"
    assert err == ""


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
    assert time.monotonic() - begin < 2.5 * data.PATIENCE  # all mirrors share one wait
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
    assert time.monotonic() - begin < data.PATIENCE


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


@pytest.mark.parametrize("fault", BAD_MIRRORS)
def test_a_bad_mirror_is_passed_over(fault: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = time.monotonic()
    with mirror(*BAD_MIRRORS[fault]) as (bad, asked_bad), mirror(good) as (url, asked):
        use(monkeypatch, bad, url)
        monkeypatch.setattr(data, "_answering", lambda mirrors: iter(mirrors))  # the bad one first
        assert_is_the_small_set(data.load())
        assert len(asked_bad) == 1
        assert len(asked) == 4
    assert time.monotonic() - begin < 10
    assert left_over(cache) == sorted(f"{stem}.gz" for stem in packed())


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
    monkeypatch.setattr(data, "PATIENCE", 8.0)
    begin = time.monotonic()
    with mirror(good) as (url, _):
        use(monkeypatch, black_hole, url)
        assert_is_the_small_set(data.load())
    assert time.monotonic() - begin < 6


def test_a_slow_download_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PATIENCE", 1.0)
    begin = time.monotonic()
    with mirror(slow) as (url, _):
        use(monkeypatch, url)
        assert_is_the_small_set(data.load())
    assert time.monotonic() - begin > data.PATIENCE


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
def test_a_bad_cache_without_a_network_gives_the_stand_in(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(cache / "mnist", dict.fromkeys(packed(), b"rubbish"))
    assert data.load().name == STAND_IN
    assert "takes its place" in capsys.readouterr().out


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


def run(script: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="cp949" if variables.get("PYTHONIOENCODING") == "cp949" else "utf-8",
    )


def test_two_processes_at_once(cache: Path) -> None:
    with mirror(slow) as (url, _):
        script = f"import idx_files; from ganlib import data; idx_files.install(({url!r},)); print(data.load())"
        both = [run(script), run(script)]
        for process in both:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            assert out.startswith("MNIST: 40 training and 20 test images")
    assert left_over(cache) == sorted(f"{stem}.gz" for stem in packed())


def test_a_hangul_path_on_a_korean_console(tmp_path: Path) -> None:
    home = tmp_path / "한글 사용자 é"  # cp949 has no e with an accent
    script = "import idx_files; from ganlib import data; idx_files.install(()); [print(data.load()) for _ in 'ab']"
    process = run(
        script,
        PYTHONIOENCODING="cp949",
        GANLIB_DATA=str(home),
        GANLIB_CACHE=str(home / "cache"),
        GANLIB_OFFLINE="1",
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "한글 사용자 \\xe9 has no folder 'mnist'" in out
    assert [line for line in out.splitlines() if not line.startswith("Note: ")] == [
        f"{STAND_IN}: 40 training and 20 test images of 28 x 28 pixels, {source}"
        for source in ("from scikit-learn", "from the cache")
    ]


def test_in_a_notebook_the_error_is_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.run_cell("from ganlib import data; data.load('fashion-mnist')")
    finally:
        InteractiveShell.clear_instance()
    out = "".join(capsys.readouterr())
    assert "DataError: Fashion-MNIST is not in the cache" in out
    assert "Traceback" not in out
    assert "data.py" not in out


def test_the_stand_in_looks_like_mnist_from_afar(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {stem: (3000 if "train" in stem else 1000, *shape[1:]) for stem, shape in idx_files.SHAPES.items()}
    monkeypatch.setattr(data, "FILES", shapes)
    first, second = data.load("digits"), data.load("digits")
    assert (first.name, first.source, second.source) == (STAND_IN, "from scikit-learn", "from the cache")
    assert torch.equal(first.train_images, second.train_images)
    assert torch.equal(first.test_labels, second.test_labels)
    images = first.train_images
    assert images.shape == (3000, 1, 28, 28)
    assert (images.min(), images.max()) == (-1, 1)
    # MNIST: ink 0.131 on average, background 81 %, and a frame of four pixels that is almost empty.
    ink = (images + 1) / 2
    assert ink.mean().item() == pytest.approx(0.137, abs=0.006)
    assert (images == -1).float().mean().item() == pytest.approx(0.81, abs=0.02)
    assert ink[:, :, 4:24, 4:24].sum() / ink.sum() > 0.95
    for labels in (first.train_labels, first.test_labels):
        shares = labels.bincount(minlength=10) / len(labels)
        assert shares.min() > 0.09
        assert shares.max() < 0.11
    # Near the class means of its own training images: 81 % of the test images; by chance 10 %.
    means = torch.stack([images[first.train_labels == c].mean(0).flatten() for c in range(10)])
    nearest = torch.cdist(first.test_images.flatten(1), means).argmin(1)
    assert (nearest == first.test_labels).float().mean() > 0.7


def test_no_original_digit_is_in_both_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    drawn: list[np.ndarray] = []

    def record(big: torch.Tensor, choice: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        drawn.append(choice)
        return np.zeros((len(choice), 28, 28), np.uint8)

    monkeypatch.setattr(data, "FILES", REAL_FILES)
    monkeypatch.setattr(data, "_warp", record)
    arrays = data._draw_digits()
    train, test = map(set, drawn)
    assert not train & test
    assert (len(train), len(test)) == (1497, 300)
    digits = load_digits()
    assert np.array_equal(arrays[TEST_LABELS], digits.target[drawn[1]])
    assert np.bincount(digits.target[sorted(test)]).tolist() == [30] * 10
    # scikit-learn's set itself holds no picture twice.
    assert len(np.unique(digits.images.reshape(1797, 64), axis=0)) == 1797


@pytest.mark.usefixtures("quick_digits")
def test_a_damaged_stand_in_is_drawn_again(cache: Path) -> None:
    first = data.load("digits")
    (path,) = (cache / "digits").iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damage in (b"", whole[: len(whole) // 2], bytes(flipped), b"rubbish"):
        path.write_bytes(damage)
        again = data.load("digits")
        assert again.source == "from scikit-learn"
        assert torch.equal(first.train_images, again.train_images)
    assert path.read_bytes() == whole
    assert data.load("digits").source == "from the cache"


@pytest.mark.skipif(not (REAL_FOLDER and Path(REAL_FOLDER, "mnist").is_dir()), reason=NO_REAL)
def test_the_real_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "ARCHIVES", {"mnist": REAL_MNIST})
    monkeypatch.setattr(data, "FILES", REAL_FILES)
    monkeypatch.setenv("GANLIB_DATA", REAL_FOLDER)
    mnist = data.load()
    line = "MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from the folder GANLIB_DATA"
    assert str(mnist) == line
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.train_labels.bincount().tolist()[:3] == [5923, 6742, 5958]
    assert ((mnist.train_images + 1) / 2).mean().item() == pytest.approx(0.1307, abs=1e-4)
