"""The benchmark: it runs, compares equal things, and counts the right products. Nothing is timed here."""

import importlib.util
import json
from itertools import islice
from pathlib import Path

import nbformat
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ganlib import models
from ganlib.training import Minibatches

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
spec = importlib.util.spec_from_file_location("bench", BENCHMARKS / "bench.py")
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


def images(n=512):
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1


def flops(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def test_the_products_alone_are_those_of_one_step():
    products = sum(2 * bench.BATCH * n_in * n_out * sum(counts) for n_in, n_out, *counts in bench.PRODUCTS)
    gan, batches, alone = (bench.textbook_gan(), Minibatches(images(), batch_size=bench.BATCH), bench.products_alone())
    gan.step(batches)  # the first one tries the networks as well
    assert products == flops(lambda: gan.step(batches)) == flops(lambda: next(alone))


def test_the_plain_loop_is_the_same_algorithm():
    steps = 8
    gan, batches = bench.textbook_gan(), Minibatches(images(), batch_size=bench.BATCH)
    ours = [(log["loss_D"].item(), log["loss_G"].item()) for log in (gan.step(batches) for _ in range(steps))]

    same_batches = Minibatches(images(), batch_size=bench.BATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the seed of textbook_gan
        plain = list(islice(bench.plain_loop(*models.textbook_pair(), same_batches), steps))
    torch.testing.assert_close(torch.tensor(plain), torch.tensor(ours), rtol=0, atol=1e-4)


def test_ratios_are_taken_within_a_round(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])

    def run(seconds):
        for turn in range(100):
            now[0] += seconds * (1 + turn // 2)  # the machine slows down from chunk to chunk, for all alike
            yield

    found = bench.compare({"ours": run(2), "plain": run(5), "products": run(1), "better": run(3)}, rounds=4, chunk=2)
    assert found["speed_to_plain"] == {"median": 2.5, "low": 2.5, "high": 2.5}
    assert found["time_to_products"]["median"] == 2
    assert found["plain_time_to_products"]["median"] == 5
    assert found["per_second"]["ours"] == pytest.approx(1 / (2 * 3.5))  # rounds 2, 3, 4, 5 times slower; 1 warmed up


def test_a_quick_run_writes_the_figures_and_their_table(tmp_path, capsys):
    threads, state = torch.get_num_threads(), torch.get_float32_matmul_precision()
    bench.main(["--quick", "--no-lessons", "--out", str(tmp_path)])
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (threads, state)

    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(results) == {"machine", "images", "steps", "latency_ms", "import_seconds", "lessons"}
    per_second = results["steps"]["1"]["per_second"]
    assert {"ours", "plain", "products", "better"} <= set(per_second)
    assert ("bf16" in per_second) == results["machine"]["bf16"]
    assert results["latency_ms"].keys() == results["steps"].keys()
    assert set(results["import_seconds"]) == {"torch", *(f"ganlib.{part}" for part in bench.PARTS)}
    figures = [*per_second.values(), *results["import_seconds"].values()]
    assert all(figure > 0 for figure in figures)
    assert results["lessons"] == {}

    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert table == bench.table(results) + "\n"
    assert table in capsys.readouterr().out


def test_a_lesson_is_timed_and_left_alone(tmp_path):
    cells = [
        "from IPython.display import display\nwatch = print\nwatch('its picture comes later')\n"
        "bundle = {'image/png': 'aaaa', 'text/plain': 'a picture'}\ndisplay(bundle, raw=True)",
        f"bundle['{bench.WIDGET}'] = {{}}\ndisplay(bundle, raw=True)  # another widget",
        "import time\ntime.sleep(0.5)\nopen('left_over.txt', 'w', encoding='utf-8').close()\n"
        "watch('here it is')\ndisplay(bundle, raw=True)",
    ]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    path = tmp_path / "lesson.ipynb"
    nbformat.write(nb, path)
    before = path.read_bytes()

    found = bench.lesson(path)
    assert 0 < found["first_picture"] + 0.5 <= found["first_grid"] <= found["wall"]
    assert found["cpu"] >= 0
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["lesson.ipynb"]


def test_the_committed_table_is_made_from_the_committed_figures():
    results = json.loads((BENCHMARKS / "results.json").read_text(encoding="utf-8"))
    assert bench.table(results) + "\n" == (BENCHMARKS / "results.md").read_text(encoding="utf-8")
