"""The data sets of the course, and the stand-in that takes MNIST's place; test_files has what is read and fetched."""

import os
from pathlib import Path

import idx_files
import numpy as np
import pytest
import torch
from idx_files import assert_is_the_small_set, packed, python, write

from ganlib import data, files

REAL_MNIST, REAL_FILES = files.ARCHIVES["mnist"], files.FILES
REAL_FOLDER = os.environ.get("GANLIB_DATA", "")
NO_REAL = "GANLIB_DATA has no mnist folder, so the test on the real MNIST has no files"
STAND_IN = "digits (offline stand-in for MNIST)"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return idx_files.isolate(tmp_path, monkeypatch)


@pytest.fixture
def quick_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    idx_files.noise_for_the_stand_in(monkeypatch)


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


def test_a_named_folder_without_the_data_set_is_said(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(cache / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    assert data.load().source == "from the cache"
    out, err = capsys.readouterr()
    assert out == f"Note: GANLIB_DATA={tmp_path} has no folder 'mnist' in it; the cache is tried next.\n"
    assert err == ""


@pytest.mark.usefixtures("quick_digits")
def test_a_bad_cache_without_a_network_gives_the_stand_in(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(cache / "mnist", dict.fromkeys(packed(), b"rubbish"))
    assert data.load().name == STAND_IN
    assert "takes its place" in capsys.readouterr().out


@pytest.mark.slow
def test_a_hangul_path_on_a_korean_console(tmp_path: Path) -> None:
    home = tmp_path / "한글 사용자 é"  # cp949 has no e with an accent
    script = "import idx_files; from ganlib import data; idx_files.install(()); [print(data.load()) for _ in 'ab']"
    process = python(
        script,
        PYTHONIOENCODING="cp949",
        GANLIB_DATA=str(home),
        GANLIB_CACHE=str(home / "cache"),
        GANLIB_OFFLINE="1",
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "한글 사용자 e has no folder 'mnist'" in out
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
    assert "files.py" not in out


def test_the_stand_in_looks_like_mnist_from_afar(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {stem: (3000 if "train" in stem else 1000, *shape[1:]) for stem, shape in idx_files.SHAPES.items()}
    monkeypatch.setattr(files, "FILES", shapes)
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

    monkeypatch.setattr(files, "FILES", REAL_FILES)
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
    monkeypatch.setattr(files, "ARCHIVES", {"mnist": REAL_MNIST})
    monkeypatch.setattr(files, "FILES", REAL_FILES)
    monkeypatch.setenv("GANLIB_DATA", REAL_FOLDER)
    mnist = data.load()
    line = "MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from the folder GANLIB_DATA"
    assert str(mnist) == line
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.train_labels.bincount().tolist()[:3] == [5923, 6742, 5958]
    assert ((mnist.train_images + 1) / 2).mean().item() == pytest.approx(0.1307, abs=1e-4)
