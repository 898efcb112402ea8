"""Checkpoints: a run that is saved, killed and resumed is the same run; what is damaged or does not fit is refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_gans import flat, run, same, small, toy

from ganlib import checkpoints
from ganlib.checkpoints import load, save


@pytest.mark.parametrize(("build", "dtype"), [(small, torch.float32), (toy, torch.float64)])
def test_resumed_run_is_bit_identical(build, dtype, tmp_path):
    gan, batches = build()
    log = dict(run(gan, batches, 30))[30]
    assert all(value.dtype == dtype for value in log.values())
    save(tmp_path / "gan.pt", gan, batches)
    run(gan, batches, 60)
    again, stream = build()
    load(tmp_path / "gan.pt", again, stream)
    run(again, stream, 60)
    assert same(gan.state_dict(), again.state_dict())
    assert gan.sample(5, seed=0).dtype == dtype


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows lacks")
def test_killed_twenty_times_and_resumed_is_bit_identical(tmp_path):
    script = Path(__file__).parent / "helpers" / "killed_run.py"
    done = subprocess.run([sys.executable, script, tmp_path, "20", "0"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    reached = [int(s) for s in done.stdout.split()]
    assert len(reached) == 20
    assert reached[-1] >= 100, f"too few steps between the kills to show anything: {reached}"
    killed, unbroken = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("killed", "unbroken"))
    assert same(killed, unbroken)


def test_a_checkpoint_cut_off_is_refused_and_the_one_before_is_there(tmp_path):
    path = tmp_path / "gan.pt"
    gan, batches = small()
    run(gan, batches, 10)
    save(path, gan, batches)
    run(gan, batches, 20)
    save(path, gan, batches)
    whole = path.read_bytes()
    for part in (0, 0.01, 0.5, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        other = small()
        before = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in flat(other[0].state_dict()).items()}
        with pytest.raises(
            ValueError, match=r"gan\.pt, which is cut off or damaged; the one before .*gan\.pt\.previous"
        ):
            load(path, *other)
        assert same(before, flat(other[0].state_dict()))
    other, stream = small()
    load(tmp_path / "gan.pt.previous", other, stream)
    assert other.steps_done == 10
    run(other, stream, 20)
    assert same(other.state_dict(), gan.state_dict())


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "a.pt").write_text("hello", encoding="utf-8")
    torch.save({"weights": 1}, tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ValueError, match="path must name a whole checkpoint"):
            load(tmp_path / name, *small())
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.pt", *small())


def test_saving_that_fails_leaves_the_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "gan.pt"
    gan, batches = small()
    run(gan, batches, 10)
    save(path, gan, batches)

    def disk_full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", disk_full)
    run(gan, batches, 20)
    with pytest.raises(OSError, match="No space left"):
        save(path, gan, batches)
    assert [file.name for file in tmp_path.iterdir()] == ["gan.pt"]
    other, stream = small()
    load(path, other, stream)
    assert other.steps_done == 10


def test_other_settings_are_refused_with_a_list(tmp_path):
    path = tmp_path / "gan.pt"
    save(path, *small())
    with pytest.raises(ValueError, match="other settings") as error:
        load(path, *small(lr=1e-4, batch_size=8, data_seed=1, d_steps=2))
    message = str(error.value)
    assert message.count("saved") == 1 + 5  # the sentence, and opt_G.lr, opt_D.lr, batch_size, data, d_steps
    assert "opt_G.lr: saved 0.001, now 0.0001" in message
    assert "d_steps: saved 1, now 2" in message
    assert "batches.batch_size: saved 16, now 8" in message
    assert "batches.data" in message
    with pytest.raises(ValueError, match=r"seed: saved 0, now 5"):
        load(path, *small(seed=5))


def test_a_load_that_fails_half_way_leaves_the_model_as_it_was(tmp_path):
    path = tmp_path / "gan.pt"
    gan, batches = small()
    run(gan, batches, 5)
    save(path, gan, batches)
    other, stream = small()
    other.opt_D.add_param_group({"params": [torch.zeros(1, requires_grad=True)]})
    before = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in flat(other.state_dict()).items()}
    with pytest.raises(ValueError, match="model must be built as the one saved in .*parameter groups"):
        load(path, other, stream)
    assert same(before, flat(other.state_dict()))


def test_what_could_not_be_read_again_is_not_saved(tmp_path):
    gan, batches = small(lr=np.float64(1e-3))
    with pytest.raises(ValueError, match="settings must be plain Python values.*needs float"):
        save(tmp_path / "gan.pt", gan, batches)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    gan, batches = small()
    run(gan, batches, 3)
    with torch.no_grad():
        gan.D[0].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="model must have finite weights to be saved, got NaN or inf at step 3"):
        save(tmp_path / "gan.pt", gan, batches)
    assert list(tmp_path.iterdir()) == []


def test_a_path_in_hangul_works(tmp_path):
    path = tmp_path / "사용자" / "생성자.pt"
    gan, batches = small()
    run(gan, batches, 3)
    save(path, gan, batches)
    other, stream = small()
    load(path, other, stream)
    assert other.steps_done == 3
