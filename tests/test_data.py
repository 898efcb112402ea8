"""The data sets of the course, and the stand-in that takes MNIST's place; test_files has what is read and fetched."""

import inspect
import io
import os
import re
import sys
import zlib
from pathlib import Path
from unittest import mock

import idx_files
import numpy as np
import pytest
import torch
from idx_files import assert_is_the_small_set, packed, python, write
from scipy import ndimage

from ganlib import data, files

REAL_MNIST, REAL_FILES = files.ARCHIVES["mnist"], files.FILES
REAL_FOLDER = os.environ.get("GANLIB_DATA", "")
NO_REAL = "GANLIB_DATA has no mnist folder, so the test on the real MNIST has no files"
STAND_IN = "digits (offline stand-in for MNIST)"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    return idx_files.isolate(tmp_path, monkeypatch)


@pytest.fixture
def quick_digits(monkeypatch):
    idx_files.noise_for_the_stand_in(monkeypatch)


@pytest.mark.parametrize("name", ["cifar", "MNIST", "", None])
def test_an_unknown_name_is_refused_with_the_list(name):
    with pytest.raises(ValueError, match=r"name must be one of 'mnist', 'fashion-mnist', 'digits', got"):
        data.load(name)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_files_in_the_named_folder_are_used(name, tmp_path, monkeypatch, capsys):
    write(tmp_path / name, packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    dataset = data.load(name)
    assert_is_the_small_set(dataset)
    title = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}[name]
    line = f"{title}: 40 training and 20 test images of 28 x 28 pixels, from the folder GANLIB_DATA"
    assert str(dataset) == repr(dataset) == line
    assert dataset.classes == files.ARCHIVES[name].classes
    assert capsys.readouterr() == ("", "")


WRITTEN = ["{}", "{}/", '"{}"', "'{}/'", " {} ", '"{}" \n', "\u201c{}\u201d", "$SOMEWHERE/data", "~/data"]


@pytest.mark.parametrize("written", WRITTEN)
def test_quotes_spaces_and_short_forms_in_the_variable_do_no_harm(written, tmp_path, monkeypatch, capsys):
    for variable in ("SOMEWHERE", "HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    write(tmp_path / "data" / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", written.format(tmp_path / "data"))
    assert_is_the_small_set(data.load())
    assert data.load().source == "from the folder GANLIB_DATA"
    monkeypatch.delenv("GANLIB_DATA")
    write(tmp_path / "other" / "mnist", packed())
    monkeypatch.setenv("GANLIB_CACHE", written.format(tmp_path / "other").replace("/data", "/other"))
    assert data.load().source == "from the cache"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("folder", ["it's mine ", '"quoted"', "$cash"])
def test_a_folder_that_is_really_called_so_is_found(folder, tmp_path, monkeypatch):
    write(tmp_path / folder / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path / folder))
    assert_is_the_small_set(data.load())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLIB_DATA", folder)
    assert_is_the_small_set(data.load())


@pytest.mark.parametrize("kernel", [".", "notebooks", "notebooks/deep"])
def test_a_relative_path_is_looked_up_from_the_kernel_and_from_the_course(kernel, cache, tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / kernel)
    monkeypatch.setenv("GANLIB_DATA", "my/data")
    write(cache / "mnist", packed())
    assert data.load().source == "from the cache"
    places = list(dict.fromkeys([tmp_path / kernel / "my" / "data", tmp_path / "my" / "data"]))
    why = ", ".join(f"{place} does not exist" for place in places)
    assert capsys.readouterr().out == f"Note: GANLIB_DATA=my/data: {why}; the cache is tried next.\n"
    write(tmp_path / "my" / "data" / "mnist", packed())
    assert data.load().source == "from the folder GANLIB_DATA"
    assert capsys.readouterr().out == ""


def test_the_root_of_the_course_is_that_of_the_package_where_the_kernel_is_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLIB_DATA", "data")
    assert files.named_places() == [tmp_path / "data", Path(files.__file__).parents[1] / "data"]


PLACES = {
    "missing": (lambda path: None, "does not exist"),
    "a file": (lambda path: path.write_bytes(b"PK"), "is a file, and a folder is wanted"),
    "mnist is a file": (lambda path: write(path, {"mnist": b"PK"}, ""), "has a file 'mnist', and a folder is wanted"),
    "empty": (lambda path: path.mkdir(), "has no folder 'mnist' in it"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_place_without_the_data_set_is_said(kind, cache, tmp_path, monkeypatch, capsys):
    make, why = PLACES[kind]
    make(tmp_path / "place")
    write(cache / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path / "place"))
    assert data.load().source == "from the cache"
    assert capsys.readouterr().out == f"Note: GANLIB_DATA={tmp_path / 'place'} {why}; the cache is tried next.\n"


def test_a_folder_that_may_not_be_looked_into_is_said_and_used_where_it_can_be(cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "listdir", mock.Mock(side_effect=PermissionError(13, "Permission denied")))
    place = tmp_path / "place"
    place.mkdir()
    write(cache / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(place))
    assert data.load().source == "from the cache"
    note = f"Note: GANLIB_DATA={place} cannot be looked into (Permission denied); the cache is tried next.\n"
    assert capsys.readouterr().out == note
    write(place / "mnist", packed())
    assert data.load().source == "from the folder GANLIB_DATA"


@pytest.mark.parametrize("setting", [("set_default_device", "meta"), ("set_default_dtype", torch.float64)])
@pytest.mark.slow
def test_a_default_that_somebody_has_set_changes_no_image(setting, tmp_path, monkeypatch):
    write(tmp_path / "mnist", packed())
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    digits = data.load("digits")
    monkeypatch.setenv("GANLIB_CACHE", str(tmp_path / "second"))
    switch, value = getattr(torch, setting[0]), setting[1]
    switch(value)
    try:
        loaded, drawn = data.load(), data.load("digits")
    finally:
        switch(None if value == "meta" else torch.float32)
    assert_is_the_small_set(loaded)
    assert torch.equal(drawn.train_images, digits.train_images)


@pytest.mark.usefixtures("quick_digits")
def test_a_bad_cache_without_a_network_gives_the_stand_in(cache, capsys):
    write(cache / "mnist", dict.fromkeys(packed(), b"rubbish"))
    assert data.load().name == STAND_IN
    assert "takes its place" in capsys.readouterr().out


@pytest.mark.slow
def test_a_hangul_path_on_a_korean_console(tmp_path):
    home = tmp_path / "한글 사용자 é"  # cp949 has no e with an accent
    script = "import idx_files; from ganlib import data; idx_files.install(()); [print(data.load()) for _ in 'ab']"
    folders = {"GANLIB_DATA": str(home), "GANLIB_CACHE": str(home / "cache")}
    process = python(script, PYTHONIOENCODING="cp949", GANLIB_OFFLINE="1", **folders)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "한글 사용자 e does not exist" in out
    assert [line for line in out.splitlines() if not line.startswith("Note: ")] == [
        f"{STAND_IN}: 40 training and 20 test images of 28 x 28 pixels, {source}"
        for source in ("from scikit-learn", "from the cache")
    ]


def test_in_a_notebook_the_error_is_one_line_without_a_traceback(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.run_cell("from ganlib import data; data.load('fashion-mnist')")
    finally:
        InteractiveShell.clear_instance()
    out = "".join(capsys.readouterr())
    assert "DataError: Fashion-MNIST is not in the cache" in out
    assert not any(word in out for word in ("Traceback", "data.py", "files.py"))


def test_in_a_console_the_error_has_plain_letters(monkeypatch):
    korean = io.TextIOWrapper(io.BytesIO(), encoding="cp949")
    monkeypatch.setattr(sys, "stdout", korean)
    (line,) = data.DataError("/home/한글 é/mnist")._render_traceback_()
    assert line == r"DataError: /home/한글 \xe9/mnist"
    print(line)


def test_the_stand_in_looks_like_mnist_from_afar(monkeypatch):
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


def test_no_original_digit_is_in_both_splits(monkeypatch):
    from sklearn.datasets import load_digits

    drawn = []

    def record(big, choice, rng):
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


def test_another_drawing_of_the_stand_in_has_another_number_in_the_cache():
    drawing = (inspect.getsource(function) for function in (data._draw_digits, data._warp))
    code = "".join(re.sub(r"\s|#.*", "", source) for source in drawing)
    (number,) = re.findall(r"digits-(\d+)\.npz", inspect.getsource(data._load_digits))
    assert (number, zlib.crc32(code.encode())) == ("1", 1344845653), (
        "data.py draws the stand-in in another way: raise the number of digits-N.npz, and write both numbers here"
    )


@pytest.mark.usefixtures("quick_digits")
def test_a_damaged_stand_in_is_drawn_again(cache):
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
def test_the_real_mnist(monkeypatch):
    monkeypatch.setattr(files, "ARCHIVES", {"mnist": REAL_MNIST})
    monkeypatch.setattr(files, "FILES", REAL_FILES)
    monkeypatch.setenv("GANLIB_DATA", REAL_FOLDER)
    mnist = data.load()
    line = "MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, from the folder GANLIB_DATA"
    assert str(mnist) == line
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.train_labels.bincount().tolist()[:3] == [5923, 6742, 5958]
    assert ((mnist.train_images + 1) / 2).mean().item() == pytest.approx(0.1307, abs=1e-4)


# ---- augmentation


def moved(images, seed=0):
    return data.random_affine(images, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_are_moved_as_scipy_moves_them(dtype):
    images = 2 * torch.rand(20, 1, 28, 28, dtype=dtype, generator=torch.Generator().manual_seed(1)) - 1
    found, before = moved(images), images.clone()
    drawn = 2 * torch.rand(4, 20, generator=torch.Generator().manual_seed(0)).double().numpy() - 1
    for k, (turn, scale, right, down) in enumerate(drawn.T):
        cos, sin = (1 + scale / 10) * np.cos(np.radians(15) * turn), (1 + scale / 10) * np.sin(np.radians(15) * turn)
        matrix = np.array([[cos, sin], [-sin, cos]])  # of (row, column), around the middle at 13.5
        place = 13.5 - matrix @ [13.5, 13.5] + [2 * down, 2 * right]
        expected = ndimage.affine_transform(images[k, 0].numpy(), matrix, place, order=1, mode="grid-constant", cval=-1)
        np.testing.assert_allclose(found[k, 0], expected, atol=2e-5)
    assert found.dtype == dtype
    assert found.abs().max() <= 1 + 1e-6
    assert torch.equal(images, before)


def test_the_generator_alone_decides_how_images_are_moved():
    images, state = torch.linspace(-1, 1, 784).reshape(1, 1, 28, 28).repeat(3, 1, 1, 1), torch.get_rng_state()
    assert torch.equal(moved(images), moved(images))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(moved(images), moved(images, 1))
    assert not torch.equal(*moved(images)[:2])  # each in a way of its own
    rng = torch.Generator().manual_seed(0)
    assert not torch.equal(data.random_affine(images, rng), data.random_affine(images, rng))


def test_a_moved_blob_stays_near_and_paper_stays_paper():
    assert torch.equal(moved(torch.full((50, 1, 28, 28), -1.0)), torch.full((50, 1, 28, 28), -1.0))
    row, column = torch.meshgrid(torch.arange(28.0) - 13.5, torch.arange(28.0) - 13.5, indexing="ij")
    blob = 2 * torch.exp(-(row**2 + column**2) / 18) - 1
    ink = (moved(blob.repeat(1000, 1, 1, 1))[:, 0] + 1).flatten(1)
    centres = torch.stack([(ink * place.flatten()).sum(1) / ink.sum(1) for place in (row, column)])
    assert centres.abs().amax(1).tolist() == pytest.approx([2.2, 2.2], abs=0.3)  # two pixels, a little more when shrunk
    assert centres.mean(1).abs().max() < 0.15
    sizes = ink.sum(1) / (blob + 1).sum()
    assert (sizes.min().item(), sizes.max().item()) == pytest.approx((1.1**-2, 0.9**-2), abs=0.02)


N = 50
X, Y = torch.arange(2.0 * N).reshape(N, 2), torch.arange(N) % 2


@pytest.mark.parametrize(
    ("n", "shares", "sizes"),
    [
        (N, (0.6, 0.2, 0.2), [30, 10, 10]),
        (33, (0.6, 0.2, 0.2), [20, 6, 7]),  # 19.8 and 26.4 are rounded, so all are there
        (N, torch.full((3,), 1 / 3), [17, 16, 17]),
        (N, [1], [N]),
    ],
)
def test_the_parts_have_their_shares_and_together_are_all_examples(n, shares, sizes):
    parts = data.split(X[:n], Y[:n], shares)
    assert [len(x) for x, _ in parts] == [len(y) for _, y in parts] == sizes
    rows = torch.cat([x[:, 0] for x, _ in parts]).long() // 2
    assert sorted(rows.tolist()) == [*range(n)] != rows.tolist()
    assert torch.equal(torch.cat([x for x, _ in parts]), X[rows])
    assert torch.equal(torch.cat([y for _, y in parts]), Y[rows])


def test_the_seed_alone_decides_who_comes_where():
    state = torch.get_rng_state()
    halves = [data.split(X, Y, (0.5, 0.5), seed)[1][0] for seed in range(400)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    assert torch.equal(data.split(X, Y, (0.5, 0.5))[1][0], halves[0])
    assert not torch.equal(halves[1], halves[0])
    often = torch.stack(halves)[..., 0].long().flatten().bincount()[::2] / 400  # each example, in the second half
    assert often.tolist() == pytest.approx([0.5] * N, abs=0.1)


def test_images_and_numpy_arrays_keep_their_form():
    (x, y), _ = data.split(torch.zeros(N, 1, 28, 28), Y.to(torch.uint8), (0.5, 0.5))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((25, 1, 28, 28), torch.float32, (25,), torch.uint8)
    ours, theirs = (data.split(x, y, (0.5, 0.5))[0] for x, y in ((X, Y), (X.numpy(), Y.numpy())))
    assert all(map(torch.equal, ours, theirs))


HOLES, RARE = X.clone(), Y.clone()
HOLES[7, 1], HOLES[9], RARE[3] = np.nan, np.inf, 2
NO_CLASS, NO_NUMBER = "y must hold two classes or more, got", "x must be finite, got NaN or infinity in"
NOT_SPLIT = [
    ({"y": Y[1:]}, "x and y must be equally long, got (50, 2) and (49,): leave out the same examples of both"),
    ({"x": HOLES}, f"{NO_NUMBER} 2 of 50 rows, first in row 7: an empty cell of a table becomes NaN"),
    (
        {"y": Y.float()},
        "y must hold integers, got torch.float32: a table read from a CSV file holds floats, write y.long()",
    ),
    ({"y": Y > 0}, "y must hold integers, got torch.bool: a comparison gives bools, write y.long()"),
    ({"y": Y[:, None]}, "y must have shape (n,), got (50, 1): take y[:, 0]"),
    (
        {"y": torch.eye(2)[Y]},
        "y must have shape (n,), got (50, 2): one label an example; of one-hot rows make y.argmax(1)",
    ),
    ({"y": 2 * Y - 1}, "y must hold classes from 0 on, got -1: of -1 and 1 make (y > 0).long()"),
    ({"y": Y - 1}, "y must hold classes from 0 on, got -1: leave out examples without a label"),
    ({"y": 0 * Y + 4}, f"{NO_CLASS} [4] in 50 examples: shuffle a file that is sorted by class before you cut it"),
    ({"x": X[:0], "y": Y[:0]}, f"{NO_CLASS} [] in 0 examples"),
    ({"shares": (80, 20)}, "shares must sum to 1, got [80.0, 20.0], in sum 100: write a fraction for each part"),
    ({"shares": 0.2}, "shares must sum to 1, got [0.2], in sum 0.2"),
    ({"shares": (1.2, -0.2)}, "shares must be positive, got [1.2, -0.2]: leave out a part that shall have nothing"),
    ({"shares": (1, 0)}, "shares must be positive, got [1.0, 0.0]"),
    ({"shares": (0.5, 0.495, 0.005)}, "shares must leave each part an example, got none of 50 for part 3: take more"),
    (
        {"y": RARE},
        "part 1 must hold each class, got none of class 2 (1 in all): each part needs one, so collect 2 or more",
    ),
    (
        {"shares": (0.98, 0.02)},
        "part 2 must hold each class, got none of class 1 (25 in all): try another seed, or a larger",
    ),
]


@pytest.mark.parametrize(("given", "words"), NOT_SPLIT)
def test_what_cannot_be_split_is_refused_with_a_sentence(given, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        data.split(**{"x": X, "y": Y, "shares": (0.6, 0.4)} | given)
