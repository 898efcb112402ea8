"""Measure speed on this machine: print one table, and write it as results.md and results.json.

    python benchmarks/bench.py                all, about ten minutes; leave the machine alone meanwhile
    python benchmarks/bench.py --no-lessons   without the run times of the lessons
    python benchmarks/bench.py --quick        a trial whose figures mean nothing

Steps per second move with temperature and neighbours, so the variants take turns in short chunks. A ratio is
the median over all rounds of the ratio within one round, with the tenth and ninetieth percentile beside it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import nbformat
import torch
from nbclient import NotebookClient
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ganlib import data, models, training
from ganlib.gan import GAN
from ganlib.playgrounds.lesson_02 import value_playground
from ganlib.playgrounds.lesson_04 import latent_explorer
from ganlib.show import live_grid

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tools"))
from anatomy import WIDGET, lessons  # noqa: E402
from run_notebooks import CELL_SECONDS  # noqa: E402

PACKAGE = HERE.parent / "ganlib"
BATCH, LATENT = 128, 128
THREADS = (1, 2)  # the lessons use one
PARTS = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.glob("**/*.py")
    if path.stem != "__init__"
)
GOALS = {"products": 1.5, "import": 2.0, "slider": 25.0, "first picture": 5.0}

# The matrix products that one step needs, by layer: inputs, outputs; forward, weight and input gradients.
# G runs twice, for D's fakes and for its own update; only the second needs gradients. D runs three times, on
# real images, on fakes, and in G's update. There its weights need no gradients but its input does, on the way
# to G. Elsewhere a first layer has no input gradient: images and z are given.
PRODUCTS = (
    (128, 256, 2, 1, 0),  # G
    (256, 512, 2, 1, 1),
    (512, 784, 2, 1, 1),
    (784, 256, 3, 2, 1),  # D
    (256, 1, 3, 2, 3),
)


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps on random images: a trial")
    parser.add_argument("--lessons", action=argparse.BooleanOptionalAction, default=True, help="run each lesson")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where the results are written")
    options = parser.parse_args(arguments)
    rounds, chunk, moves, processes = (2, 2, 3, 1) if options.quick else (40, 40, 200, 5)

    dataset = None if options.quick else data.load("mnist")
    images = torch.rand(256, 1, 28, 28) * 2 - 1 if dataset is None else dataset.train_images
    before = torch.get_num_threads()
    results: dict[str, Any] = {"machine": machine(), "images": dataset.name if dataset else "random pixels"}
    results |= {"steps": {}, "latency_ms": {}}
    try:
        for threads in THREADS[:1] if options.quick else THREADS:
            torch.set_num_threads(threads)
            better = better_gan()
            results["steps"][str(threads)] = compare(variants(images, better), rounds, chunk)
            results["latency_ms"][str(threads)] = latencies(better, moves)
    finally:
        torch.set_num_threads(before)
    results["import_seconds"] = import_times(processes)
    results["lessons"] = {path.stem: lesson(path) for path in lessons() if options.lessons}

    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in (("results.json", json.dumps(results, indent=2)), ("results.md", table(results))):
        (options.out / name).write_text(text.rstrip() + "\n", encoding="utf-8", newline="\n")
    print(table(results))


def machine() -> dict[str, Any]:
    """Name what the figures depend on."""
    found = torch.cpu.get_capabilities()
    return {
        "cpu": found.get("cpu_name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16": any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16")),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }


# Steps per second. Each variant is an iterator that does one step each time it is asked.


def variants(images: Tensor, better: GAN) -> dict[str, Iterator[Any]]:
    """The runs that are compared; "bf16" only where the processor has such products."""
    runs: dict[str, Iterator[Any]] = {
        "ours": ours(textbook_gan(), images),
        "plain": plain_loop(*models.textbook_pair(), DataLoader(TensorDataset(images), batch_size=BATCH, shuffle=True)),
        "products": products_alone(),
        "better": ours(better, images),
    }
    if machine()["bf16"]:
        runs["bf16"] = in_bf16(ours(textbook_gan(), images))
    return runs


def adam(net: nn.Module, lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999)) -> torch.optim.Adam:
    return torch.optim.Adam(net.parameters(), lr=lr, betas=betas, fused=True)


def textbook_gan() -> GAN:
    """Lesson 04's first GAN."""
    G, D = models.textbook_pair()
    return GAN(G, D, adam(G), adam(D), models.NormalLatent(LATENT))


def better_gan() -> GAN:
    """Lesson 04's better recipe."""
    G, D = models.better_pair()
    opt_G, opt_D = (adam(net, lr=1e-3, betas=(0.0, 0.99)) for net in (G, D))
    return GAN(G, D, opt_G, opt_D, models.NormalLatent(32), r1=0.1, r1_every=4, average=0.998)


def ours(gan: GAN, images: Tensor) -> Iterator[Any]:
    batches = training.Minibatches(images, batch_size=BATCH)
    return training.train(gan, batches, until=sys.maxsize, progress=False)


def plain_loop(G: nn.Module, D: nn.Module, loader: Iterable[list[Tensor]]) -> Iterator[tuple[float, float]]:
    """The same algorithm as a tutorial writes it; yields loss_D and loss_G."""
    opt_G = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_D = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    while True:
        for (x,) in loader:
            ones, zeros = torch.ones(len(x), 1), torch.zeros(len(x), 1)

            fake = G(torch.randn(len(x), LATENT))
            opt_D.zero_grad()
            loss_D = criterion(D(x), ones) + criterion(D(fake.detach()), zeros)
            loss_D.backward()
            opt_D.step()

            opt_G.zero_grad()
            loss_G = criterion(D(G(torch.randn(len(x), LATENT))), ones)
            loss_G.backward()
            opt_G.step()
            yield loss_D.item(), loss_G.item()


def products_alone() -> Iterator[None]:
    """The products of one step, in the memory layouts of nn.Linear, and nothing else."""
    calls: list[Callable[[], Tensor]] = []
    for n_in, n_out, forward, weights, inputs in PRODUCTS:
        x, W, b, g = (torch.randn(*s) for s in ((BATCH, n_in), (n_out, n_in), (n_out,), (BATCH, n_out)))
        calls += [lambda x=x, W=W, b=b: torch.addmm(b, x, W.t())] * forward
        calls += [lambda x=x, g=g: torch.mm(g.t(), x)] * weights
        calls += [lambda g=g, W=W: torch.mm(g, W)] * inputs
    while True:
        for call in calls:
            call()
        yield


def in_bf16(run: Iterator[Any]) -> Iterator[None]:
    while True:
        torch.set_float32_matmul_precision("medium")
        try:
            next(run)
        finally:
            torch.set_float32_matmul_precision("highest")
        yield


def compare(runs: dict[str, Iterator[Any]], rounds: int, chunk: int) -> dict[str, Any]:
    """Time all runs in turns: steps per second of each, and how "ours" compares with the others."""
    names, seconds = list(runs), {name: [] for name in runs}
    for turn in range(-1, rounds):  # the first turn warms up
        first = turn % len(names)  # nobody always runs after the same neighbour
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            for _ in islice(runs[name], chunk):
                pass
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)

    def ratio(above: str, below: str) -> dict[str, float]:
        each = [a / b for a, b in zip(seconds[above], seconds[below])]
        deciles = statistics.quantiles(each, n=10, method="inclusive")
        return {"median": statistics.median(each), "low": deciles[0], "high": deciles[-1]}

    result: dict[str, Any] = {
        "rounds": rounds,
        "chunk": chunk,
        "per_second": {name: chunk / statistics.median(times) for name, times in seconds.items()},
        "speed_to_plain": ratio("plain", "ours"),
        "time_to_products": ratio("ours", "products"),
        "plain_time_to_products": ratio("plain", "products"),
    }
    if "bf16" in runs:
        result["bf16_speed_to_ours"] = ratio("ours", "bf16")
    return result


# Latency, imports, lessons


def latencies(gan: GAN, moves: int) -> dict[str, float]:
    """Median CPU milliseconds of one move of each slider, and of one new live grid."""
    explorer = latent_explorer(gan.generate, 32)
    slider, centre = explorer.controls["t"], value_playground().controls["centre"]
    view, fakes = live_grid(gan.sample(25, seed=0), "step 0"), gan.sample(25, seed=1)
    places = cycle([k / 20 for k in [*range(1, 21), *range(19, -1, -1)]])  # there and back, never twice at one place

    def milliseconds(action: Callable[[], None]) -> float:
        times = []
        for _ in range(moves + 3):  # the first three warm up
            start = time.process_time()
            action()
            times.append(time.process_time() - start)
        return 1000 * statistics.median(times[3:])

    return {
        "latent_explorer": milliseconds(lambda: setattr(slider, "value", next(places))),
        "value_playground": milliseconds(lambda: setattr(centre, "value", next(places))),
        "live_grid": milliseconds(lambda: view.update(fakes, "step 1")),
    }


def import_times(processes: int) -> dict[str, float]:
    """Median seconds to import torch, then each part of ganlib beyond those before it, in fresh processes."""
    code = (
        "import importlib, json, time\n"
        "seconds = {}\n"
        f"for name in {['torch', *(f'ganlib.{part}' for part in PARTS)]}:\n"
        "    start = time.perf_counter()\n"
        "    importlib.import_module(name)\n"
        "    seconds[name] = time.perf_counter() - start\n"
        "print(json.dumps(seconds))"
    )
    command = [sys.executable, "-c", code]
    runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(processes)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


class Stopwatch(NotebookClient):
    """Executes a notebook, and notes when its first picture and its first grid of fakes arrive."""

    seen: dict[str, float]

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        bundle = msg["content"].get("data", {}) if msg["msg_type"] in ("display_data", "execute_result") else {}
        if "image/png" in bundle:
            self.seen.setdefault("first_picture", time.perf_counter())
        if WIDGET in bundle and "watch(" in cell.source:
            self.seen.setdefault("first_grid", time.perf_counter())
        return super().process_message(msg, cell, cell_index)


def lesson(path: Path) -> dict[str, float | None]:
    """Seconds of one run of a lesson, start of its kernel included; the file and its folder stay as they are.

    Raises CellExecutionError when a cell fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        client = Stopwatch(
            nbformat.read(path, as_version=4),
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )
        client.seen = {}
        env = {name: value for name, value in os.environ.items() if name not in ("GANLIB_STRICT", "GANLIB_SEED")}
        start, before = time.perf_counter(), os.times()
        client.execute(env=env)
        wall, after = time.perf_counter() - start, os.times()
    seen = {
        name: client.seen[name] - start if name in client.seen else None for name in ("first_picture", "first_grid")
    }
    cpu = sum(after[2:4]) - sum(before[2:4])  # user and system time of children; Windows counts none
    return {"wall": wall, "cpu": cpu, **seen}


# The table


def table(results: dict[str, Any]) -> str:
    """The results as markdown."""
    host, steps, latency, imports = (results[key] for key in ("machine", "steps", "latency_ms", "import_seconds"))
    lines = [
        f"Measured on {host['cpu']} ({host['instructions']}, {host['cores']} cores, "
        f"{'with' if host['bf16'] else 'without'} bf16 products), torch {host['torch']}, Python {host['python']}, "
        f"{host['system']}; {results['images']}, batches of {BATCH}. The lessons use one thread.",
        "",
        f"| what | {' | '.join(f'{n} thread' + 's' * (n != '1') for n in steps)} | goal |",
        "|---|" + "---|" * len(steps) + "---|",
    ]

    def row(what: str, measured: list[str], goal: str = "") -> None:
        lines.append(f"| {' | '.join([what, *measured, *[''] * (len(steps) - len(measured)), goal])} |")

    def speed(name: str) -> list[str]:
        return [f"{of['per_second'][name]:.0f} steps/s" if name in of["per_second"] else "no" for of in steps.values()]

    def spread(name: str) -> list[str]:
        return ["{median:.2f} × ({low:.2f} to {high:.2f})".format(**of[name]) for of in steps.values()]

    row("textbook GAN, `GAN.step` with fused Adam", speed("ours"))
    row("textbook GAN, a plain PyTorch loop with a DataLoader", speed("plain"))
    row("its matrix products alone", speed("products"))
    row("**speed of `GAN.step` against the plain loop**", spread("speed_to_plain"))
    row("**time of `GAN.step` against the products**", spread("time_to_products"), f"≤ {GOALS['products']} ×")
    row("time of the plain loop against the products, as PyTorch computes them", spread("plain_time_to_products"))
    row("textbook GAN, `GAN.step` with bf16 products, where the CPU has them", speed("bf16"))
    row("better recipe (BatchNorm, R1, average), `GAN.step`", speed("better"))
    goal = f"≤ {GOALS['slider']:.0f} ms"
    pictures = {
        "latent_explorer": "slider of `latent_explorer` to new picture",
        "value_playground": "slider of `value_playground` to new picture",
        "live_grid": "`live_grid`",
    }
    for name, what in pictures.items():
        row(f"{what}, kernel CPU", [f"{of[name]:.1f} ms" for of in latency.values()], goal)
    row("import of torch itself", [f"{imports['torch']:.2f} s"])
    beyond = sum(imports.values()) - imports["torch"]
    row("import of all of ganlib beyond torch", [f"{beyond:.2f} s"], f"< {GOALS['import']:.0f} s")
    for name, of in results["lessons"].items():
        row(f"lesson `{name}`, start of its kernel included", [f"{of['wall']:.0f} s, CPU {of['cpu']:.0f} s"])
        for seen, goal in (("first_picture", f"< {GOALS['first picture']:.0f} s"), ("first_grid", "< 10 s")):
            if of[seen] is not None:
                row(f"– {seen.replace('_', ' ')} after", [f"{of[seen]:.1f} s"], goal)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
