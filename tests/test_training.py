"""The loop: leaving it, stopping it and coming back change nothing."""

import copy
import itertools
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_gans import run, same, small
from torch.utils.data import DataLoader, Dataset, TensorDataset

from ganlib.training import Minibatches, train


@pytest.fixture(autouse=True)
def python_handles_ctrl_c():
    """A shell starts its background jobs with SIGINT ignored: the tests must not depend on that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# ---- minibatches


FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64]


@pytest.mark.parametrize("dtype", [*FLOATS, torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(50,), (50, 2), (50, 1, 4, 4)])
def test_minibatches_of_any_shape_and_dtype(shape, dtype):
    x = torch.arange(50).reshape(50, *[1] * (len(shape) - 1)).expand(shape).to(dtype)
    (batch,) = next(Minibatches(x, batch_size=8))
    assert batch.shape == (8, *shape[1:])
    assert batch.dtype == dtype


FORMS = {
    "that learn": lambda x: x.clone().requires_grad_(),
    "parameters": torch.nn.Parameter,
    "computed from such": lambda x: x.clone().requires_grad_() * 1,
    "not contiguous": lambda x: x.T.contiguous().T,
    "one column of many": lambda x: torch.stack([x, x], 2)[..., 0],
    "channels last": lambda x: x.reshape(50, 2, 1, 1).contiguous(memory_format=torch.channels_last).reshape(50, 2),
    "inference": lambda x: torch.inference_mode()(x.clone)(),
}


@pytest.mark.parametrize("form", FORMS)
def test_minibatches_of_tensors_of_any_kind(form):
    x = torch.arange(100.0).reshape(50, 2)
    of_plain, batches = Minibatches(x, batch_size=8), Minibatches(FORMS[form](x), batch_size=8)
    assert batches.settings == of_plain.settings
    (batch,) = next(batches)
    assert torch.equal(batch, next(of_plain)[0])
    assert not batch.requires_grad
    assert not batch.is_inference()
    assert type(batch) is torch.Tensor


def test_a_conjugate_view_has_its_own_fingerprint():
    x = torch.rand(50, 2, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    conjugate = Minibatches(x.conj(), batch_size=8).settings
    assert conjugate == Minibatches(x.conj().resolve_conj(), batch_size=8).settings
    assert conjugate != Minibatches(x, batch_size=8).settings


def test_the_fingerprint_is_that_of_checkpoints_saved_before():
    rows = np.arange(300, dtype=np.float32)[::4]
    settings = Minibatches(torch.arange(300.0), batch_size=8).settings
    assert settings["data"] == [("torch.float32", (300,), zlib.crc32(rows.tobytes()))]


def test_a_default_device_that_somebody_has_set_moves_nothing():
    x = torch.arange(100.0)
    torch.set_default_device("meta")
    try:
        batches = [next(Minibatches(x, batch_size=16, seed=1))[0] for _ in range(2)]
    finally:
        torch.set_default_device(None)
    assert torch.equal(batches[0], next(Minibatches(x, batch_size=16, seed=1))[0])


@pytest.mark.parametrize("number", [np.int64, np.uint8, torch.tensor, np.array])
def test_whole_numbers_of_numpy_and_torch_are_whole_numbers(number):
    batches = Minibatches(torch.arange(50), batch_size=number(16), seed=number(3))
    assert batches.settings == Minibatches(torch.arange(50), batch_size=16, seed=3).settings
    assert all(type(batches.settings[name]) is int for name in ("batch_size", "seed"))
    gan, batches = small()
    assert [step for step, _ in run(gan, batches, number(2))] == [1, 2]


@pytest.mark.parametrize("copy_of", [lambda b: pickle.loads(pickle.dumps(b)), copy.deepcopy])
def test_a_copy_of_minibatches_goes_on_where_they_are(copy_of):
    batches = Minibatches(torch.arange(50), batch_size=16, seed=3)
    for _ in range(4):
        next(batches)
    twin = copy_of(batches)
    expected = [next(batches)[0].tolist() for _ in range(9)]
    assert [next(twin)[0].tolist() for _ in range(9)] == expected


def test_an_epoch_shows_every_row_once_and_labels_stay_with_their_images():
    x = torch.arange(48).float().reshape(48, 1)
    labels = torch.arange(48) * 10
    batches = Minibatches(x, labels, batch_size=16)
    epochs = [[next(batches) for _ in range(3)] for _ in range(2)]
    orders = [torch.cat([b[0] for b in epoch]).flatten().tolist() for epoch in epochs]
    assert all(sorted(order) == list(range(48)) for order in orders)
    assert orders[0] != orders[1] != list(range(48))
    assert all(torch.equal(b[0].flatten() * 10, b[1].float()) for epoch in epochs for b in epoch)


def test_minibatches_resume_anywhere():
    x = torch.arange(100)
    for steps in (0, 1, 6, 7, 20):
        a = Minibatches(x, batch_size=16, seed=3)
        for _ in range(steps):
            next(a)
        state = a.state_dict()
        expected = [next(a)[0].tolist() for _ in range(10)]
        b = Minibatches(x, batch_size=16, seed=3)
        b.load_state_dict(state)
        assert [next(b)[0].tolist() for _ in range(10)] == expected


def test_minibatches_refuse():
    with pytest.raises(ValueError, match=r"tensors must be one or more of equal length, got lengths \[5, 6\]"):
        Minibatches(torch.zeros(5), torch.zeros(6))
    with pytest.raises(ValueError, match="batch_size must lie between 1 and the 5 rows there are, got 128"):
        Minibatches(torch.zeros(5))
    with pytest.raises(ValueError, match="tensors must be one or more"):
        Minibatches()
    with pytest.raises(ValueError, match=r"tensors must have rows, got 0 of them"):
        Minibatches(torch.zeros(0, 2))
    with pytest.raises(ValueError, match=r"tensors must hold numbers, got one on the device meta"):
        Minibatches(torch.zeros(200, device="meta"))
    with pytest.raises(ValueError, match=r"seed must fit in 64 bits"):
        Minibatches(torch.zeros(200), seed=2**64)


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (16.0, r"got 16.0: int\(16.0\) is one$"),
        (16.5, "got 16.5$"),
        (math.inf, "got inf$"),
        (np.True_, "got np.True_$"),
        (torch.tensor(True), r"got tensor\(True\)$"),
        ("16", "got '16'$"),
        (None, "got None$"),
        (np.array([16, 17]), "got array"),
    ],
)
def test_what_is_no_whole_number_is_refused_by_name(wrong, got):
    with pytest.raises(ValueError, match=f"batch_size must be a whole number, {got}"):
        Minibatches(torch.zeros(200), batch_size=wrong)
    with pytest.raises(ValueError, match=f"seed must be a whole number, {got}"):
        Minibatches(torch.zeros(200), seed=wrong)
    with pytest.raises(ValueError, match=f"until must be the total number of steps, a whole number .*{got}"):
        train(*small(), until=wrong)


IMAGES = torch.zeros(200, 2)
NO_TENSORS = {
    "a number": (16, "int: numbers are named, .*batch_size=16"),
    "numpy's number": (np.int64(16), "batch_size=16"),
    "an array": (np.zeros(200), "ndarray: torch.from_numpy makes them"),
    "an array of another byte order": (np.zeros(200, ">f4"), r"array of >f4 must .*\.astype\(np.float32\)"),
    "an array of objects": (np.array([None]), r"array of object must"),
    "a data set of the course": (SimpleNamespace(train_images=IMAGES), r"Minibatches\(dataset.train_images\)"),
    "a data set of tensors": (TensorDataset(IMAGES), r"Minibatches\(\*dataset.tensors\)"),
    "another data set": (type("Set", (Dataset,), {})(), r"torch.stack\(\[dataset\[k\]\[0\]"),
    "a loader": (DataLoader(TensorDataset(IMAGES)), "a DataLoader makes minibatches itself"),
    "minibatches": (Minibatches(IMAGES), "it is made of tensors already"),
    "an iterator": (iter([IMAGES]), "an iterator goes to train"),
    "a list of tensors": ([IMAGES, IMAGES], r"Minibatches\(\*tensors\)"),
    "a list of arrays": ([np.zeros(2)] * 2, "numpy.stack"),
    "a list of numbers": ([1.0] * 200, "list: torch.tensor makes them of lists"),
    "a dict": ({"x": IMAGES}, r"batch.values\(\)"),
    "a table": (SimpleNamespace(to_numpy=None), r"torch.from_numpy\(table.to_numpy\(\)\)"),
    "a picture": (SimpleNamespace(__array__=None), "whatever numpy can read"),
    "nothing": (None, "leave it out"),
    "a name": ("mnist", "give the images as one tensor"),
}


@pytest.mark.parametrize("kind", NO_TENSORS)
def test_what_is_no_tensor_gets_a_remedy_of_its_own(kind):
    wrong, remedy = NO_TENSORS[kind]
    for tensors in [(wrong,), (IMAGES, wrong)]:
        with pytest.raises(TypeError, match=f"tensors must be torch tensors, got .*{remedy}") as error:
            Minibatches(*tensors)
        assert ("from_numpy" in str(error.value)) == (kind in ("an array", "a list of arrays", "a table", "a picture"))
    with pytest.raises(TypeError, match="got ndarray, int: torch.from_numpy makes them of arrays; numbers are named"):
        Minibatches(np.zeros(200), 16)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.eye(200).to_sparse(), r"tensors must be dense, got sparse_coo: \.to_dense\(\)"),
        (lambda: torch.eye(200).to_sparse_csr(), r"tensors must be dense, got sparse_csr: \.to_dense\(\)"),
        (lambda: torch.nested.nested_tensor([IMAGES[0], IMAGES[0]]), "got a nested one: torch.stack"),
        (lambda: torch.tensor(3.0), r"must have rows, .*single number 3.0: t\[None\] is a row, .*batch_size=128"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(prototype|beta state|stable yet)")
def test_tensors_without_dense_rows_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        Minibatches(make())


# ---- train


def test_until_is_a_total_and_every_step_is_yielded():
    gan, batches = small()
    assert [step for step, _ in run(gan, batches, 7)] == [1, 2, 3, 4, 5, 6, 7]
    assert [step for step, _ in run(gan, batches, 9)] == [8, 9]


def test_a_finished_model_says_so(capsys):
    gan, batches = small()
    run(gan, batches, 3)
    assert run(gan, batches, 3) == []
    said = "already at step 3: for more, set a larger until; to start over, build the model anew\n"
    assert capsys.readouterr().out == said


def test_leaving_the_loop_and_coming_back_is_the_same_run():
    a, b = small(), small()
    run(*a, 60)
    for step, _ in train(*b, until=60, progress=False):
        if step in (13, 44):
            break
    for step, _ in train(*b, until=60, progress=False):
        if step == 44:
            break
    run(*b, 60)
    assert same(a[0].state_dict(), b[0].state_dict())


def test_any_iterator_of_tuples_will_do():
    gan, _ = small()
    run(gan, iter([(torch.randn(8, 2),)] * 5), 5)
    loader = DataLoader(TensorDataset(torch.randn(20, 2)), batch_size=8, drop_last=True)
    run(gan, (batch for _ in itertools.count() for batch in loader), 10)  # as the error says
    assert gan.steps_done == 10


def test_train_refuses(capsys):
    gan, batches = small()
    with pytest.raises(ValueError, match="until must be the total number of steps.*got 0"):
        train(gan, batches, until=0)
    with pytest.raises(
        TypeError, match=r"got DataLoader: a DataLoader ends after an epoch, \(batch for _ in itertools"
    ):
        train(gan, DataLoader(TensorDataset(IMAGES)), until=5)
    with pytest.raises(TypeError, match=r"got Tensor: use Minibatches\(images, batch_size=128\)"):
        train(gan, IMAGES, until=5)
    with pytest.raises(TypeError, match=r"model must have step .* got Minibatches: model comes first, train\(gan"):
        train(batches, gan, until=5)
    with pytest.raises(TypeError, match=r"model must have step and steps_done, as a GAN has, got Sequential$"):
        train(gan.G, batches, until=5)
    with pytest.raises(TypeError, match="batches must be an iterator of tuples, got list: use Minibatches"):
        train(gan, [torch.zeros(8, 2)], until=5)
    with pytest.raises(ValueError, match="batches ended at step 2: use Minibatches"):
        run(gan, iter([(torch.randn(8, 2),)] * 2), 5)


def test_progress_bar_shows_steps_and_losses(capfd):
    gan, batches = small()
    list(train(gan, batches, until=60))
    shown = capfd.readouterr().err
    assert all(word in shown for word in ("60/60", "loss_D=", "loss_G="))
    list(train(gan, batches, until=120))  # resumed: the bar begins where the training does
    shown = capfd.readouterr().err
    assert " 60/120" in shown
    assert "120/120" in shown


@pytest.mark.slow
def test_a_korean_console_shows_what_training_prints():
    script = "from small_gans import small, train\nmodel = small()\nfor _ in range(2): list(train(*model, until=3))\n"
    folder = str(Path(__file__).parent / "helpers")
    env = {**os.environ, "PYTHONPATH": folder, "PYTHONIOENCODING": "cp949:strict"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, timeout=120)
    out, err = done.stdout.decode("cp949"), done.stderr.decode("cp949")
    assert done.returncode == 0, err
    assert out.startswith("already at step 3")
    assert "3/3" in err


class Diverging:
    """A model whose loss is infinite from step 120 on."""

    steps_done, settings = 0, {}

    def step(self, batches):
        self.steps_done += 1
        return {"loss_D": torch.tensor(1.0 if self.steps_done < 120 else float("inf")), "loss_G": torch.tensor(0.7)}


@pytest.mark.parametrize(("until", "stops_at"), [(1000, 150), (130, 130)])
def test_a_run_that_diverges_stops_at_the_next_test(until, stops_at):
    model, seen = Diverging(), []
    with pytest.raises(FloatingPointError, match=rf"loss_D = inf at step {stops_at}.*smaller learning rate"):
        for step, _ in train(model, iter([]), until=until, progress=False):
            seen.append(step)
    assert seen[-1] == stops_at - 1


# ---- the stop button


class Interrupted(Diverging):
    """A model that is interrupted in the middle of every step."""

    halves = 0

    def step(self, batches):
        self.halves += 1
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # a signal that is not held back would be raised here
        self.halves += 1
        self.steps_done += 1
        return {"loss_D": torch.tensor(1.0)}


def test_an_interrupt_waits_for_the_end_of_the_step_and_its_record_is_kept():
    model, seen = Interrupted(), []
    for attempt in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            for step, _ in train(model, iter([]), until=10, progress=False):
                seen.append(step)
        assert (model.steps_done, model.halves) == (attempt, 2 * attempt)
    assert seen == [1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_stop_pressed_twenty_times_at_random_moments_never_tears_a_step():
    expected, (gan, batches) = small(), small()
    rng, stops = random.Random(0), 0

    def press(at_step):
        while gan.steps_done < at_step:  # steps are waited for, not seconds: a busy machine stops no earlier
            time.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)

    while stops < 20:
        thread = threading.Thread(target=press, args=(gan.steps_done + rng.randint(1, 5),), daemon=True)
        try:
            thread.start()
            for _ in train(gan, batches, until=10**9, progress=False):
                pass
        except KeyboardInterrupt:
            stops += 1
        thread.join()
        updates = {int(s["step"]) for opt in (gan.opt_G, gan.opt_D) for s in opt.state.values()}
        assert updates == {gan.steps_done}
    until = gan.steps_done + 10
    run(gan, batches, until)
    run(*expected, until)
    assert until > 30
    assert same(expected[0].state_dict(), gan.state_dict())


@pytest.mark.slow
def test_jupyters_stop_button_ends_the_cell_and_the_cell_goes_on():
    script = Path(__file__).parent / "helpers" / "stopped_kernel.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_off_the_main_thread_no_handler_is_installed():
    gan, batches = small()
    handlers = []
    gan.step = lambda b, step=gan.step: handlers.append(signal.getsignal(signal.SIGINT)) or step(b)
    thread = threading.Thread(target=run, args=(gan, batches, 3))
    thread.start()
    thread.join()
    assert gan.steps_done == 3
    assert set(handlers) == {signal.getsignal(signal.SIGINT)}
