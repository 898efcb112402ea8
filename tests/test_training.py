"""The loop: leaving it, stopping it and coming back change nothing."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small_gans import run, same, small

from ganlib.training import Minibatches, train


@pytest.fixture(autouse=True)
def python_handles_ctrl_c():
    """A shell starts its background jobs with SIGINT ignored: the tests must not depend on that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# ---- minibatches


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.int64])
@pytest.mark.parametrize("shape", [(50,), (50, 2), (50, 1, 4, 4)])
def test_minibatches_of_any_shape_and_dtype(shape, dtype):
    x = torch.arange(50).reshape(50, *[1] * (len(shape) - 1)).expand(shape).to(dtype)
    (batch,) = next(Minibatches(x, batch_size=8))
    assert batch.shape == (8, *shape[1:])
    assert batch.dtype == dtype


def test_an_epoch_shows_every_row_once_and_labels_stay_with_their_images():
    x = torch.arange(48).float().reshape(48, 1)
    labels = torch.arange(48) * 10
    batches = Minibatches(x, labels, batch_size=16)
    epochs = [[next(batches) for _ in range(3)] for _ in range(2)]
    orders = [torch.cat([b[0] for b in epoch]).flatten().tolist() for epoch in epochs]
    assert all(sorted(order) == list(range(48)) for order in orders)
    assert orders[0] != orders[1] != list(range(48))
    assert all(torch.equal(b[0].flatten() * 10, b[1].float()) for epoch in epochs for b in epoch)


def test_minibatches_never_end_and_are_always_full():
    batches = Minibatches(torch.arange(10), batch_size=4)
    assert [len(next(batches)[0]) for _ in range(9)] == [4] * 9


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
    with pytest.raises(TypeError, match=r"tensors must be torch tensors, got ndarray: torch.from_numpy makes them"):
        Minibatches(torch.zeros(200, 2), np.zeros(200))
    with pytest.raises(TypeError, match="must be torch tensors, got list, ndarray:"):
        Minibatches([1.0] * 200, np.zeros(200))


# ---- train


def test_until_is_a_total_and_every_step_is_yielded():
    gan, batches = small()
    assert [step for step, _ in run(gan, batches, 7)] == [1, 2, 3, 4, 5, 6, 7]
    assert [step for step, _ in run(gan, batches, 9)] == [8, 9]


def test_a_finished_model_says_so(capsys):
    gan, batches = small()
    run(gan, batches, 3)
    assert run(gan, batches, 3) == []
    assert capsys.readouterr().out == "already at step 3: raise until to go on, build the model anew to start over\n"


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
    assert gan.steps_done == 5


def test_train_refuses(capsys):
    gan, batches = small()
    with pytest.raises(ValueError, match="until must be the total number of steps.*got 0"):
        train(gan, batches, until=0)
    with pytest.raises(ValueError, match=r"until must be the total number of steps.*got 1.5"):
        train(gan, batches, until=1.5)
    with pytest.raises(TypeError, match="batches must be an iterator of tuples, got list: use Minibatches"):
        train(gan, [torch.zeros(8, 2)], until=5)
    with pytest.raises(ValueError, match="batches ended at step 2: use Minibatches"):
        run(gan, iter([(torch.randn(8, 2),)] * 2), 5)


def test_progress_bar_shows_steps_and_losses(capfd):
    gan, batches = small()
    list(train(gan, batches, until=60))
    shown = capfd.readouterr().err
    assert "60/60" in shown
    assert "loss_D=" in shown
    assert "loss_G=" in shown


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


def test_an_interrupt_waits_for_the_end_of_the_step():
    model = Interrupted()
    for attempt in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(model, iter([]), 10)
        assert (model.steps_done, model.halves) == (attempt, 2 * attempt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_record_of_the_step_that_was_waited_for_is_kept():
    model, seen = Interrupted(), []
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            for step, _ in train(model, iter([]), until=10, progress=False):
                seen.append(step)
    assert seen == [1, 2, 3]


def test_stop_pressed_twenty_times_at_random_moments_never_tears_a_step():
    expected, gan = small(), small()
    rng, stops = random.Random(0), 0
    while stops < 20:
        timer = threading.Timer(rng.uniform(0.0, 0.05), os.kill, (os.getpid(), signal.SIGINT))
        try:  # before the timer starts: a busy machine may run it at once
            timer.start()
            for _ in train(*gan, until=10**9, progress=False):
                pass
        except KeyboardInterrupt:
            stops += 1
        timer.join()
        updates = {int(s["step"]) for opt in (gan[0].opt_G, gan[0].opt_D) for s in opt.state.values()}
        assert updates in ({gan[0].steps_done}, set())
    until = gan[0].steps_done + 10
    run(*gan, until)
    run(*expected, until)
    assert until > 30
    assert same(expected[0].state_dict(), gan[0].state_dict())


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
