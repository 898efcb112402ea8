"""The toy GANs of lesson 03, ten seeds at once: sweeps too long for a reader, and five runs to diagnose."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlib import losses, metrics, models, targets
from ganlib.gan import GAN

ABOUT = (
    "toy GANs of lesson 03, ten seeds at once: Wasserstein-1 distances to two peaks after 1,000 steps, or what "
    "metrics.modes counts in the plane, for 20,000 samples of the averaged G; and five runs, each with at most one "
    "fault: means over 25 steps, the distance of 2,000 fakes, and the last of their histograms, of 60 bins on [-6, 6], "
    "whose outer bins hold what lies beyond"
)
PEAKS, RING, GRID = targets.Mixture((-2.0, 2.0), (0.5, 0.5)), targets.ring(), targets.grid()
COPIES, SAMPLES, DRAWN = 10, 20_000, 500  # of one copy in the plane, to be seen
FIRST = 8  # steps, with R1 where there is one: what they lead to hardly depends on the machine
AND = " and of the five runs"  # what first_steps tells besides
R1 = {"without R1": {}, "with R1": {"r1": 0.5}}
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
# The ring and the grid: wider networks; on the ring G is too fast for D, until one setting is changed.
FAST_G = {"target": RING, "hidden": (64, 64), "rates": (5e-3, 1e-4), "betas": (0.5, 0.999), "steps": 1750}
CALM = {"hidden": (64, 64, 64), "r1": 0.1, "average": 0.995, "batch": 256}
# On the grid G is slow, and three steps of D come before each of it: that keeps more of the spread.
SLOW_G = {"target": GRID, "rates": (5e-4, 1e-3), "steps": 1500, **CALM}
CODE = partial(models.CodeLatent, 2, codes=50)

#: the settings of each sweep, by their names
SWEEPS: dict[str, dict[str, dict[str, Any]]] = {
    "steps of D": {f"k = {k}, {name}": {"d_steps": k, **r1} for k in (1, 3) for name, r1 in R1.items()},
    **{f"losses, {name}": {loss: {"loss": loss, **r1} for loss in losses.LOSSES} for name, r1 in R1.items()},
    **{
        f"noise, {name}": {
            f"{kind}, {n} number{'s' * (n > 1)}": {"latent": partial(latent, n), **r1}
            for kind, latent in (("normal", models.NormalLatent), ("uniform", models.UniformLatent))
            for n in (1, 2)
        }
        for name, r1 in R1.items()
    },
    **{
        f"learning rates, {name}": {f"{a:g}, {b:g}": {"rates": (a, b), **r1} for a in RATES for b in RATES}
        for name, r1 in R1.items()
    },
    "ring": {
        "balanced": {"target": RING, "steps": 2500, "rates": (2e-3, 2e-3), **CALM},
        "fast G": FAST_G,
        "fast G, packed D": {"pack": 4, **FAST_G},
        "fast G, R1": {"r1": 1.0, **FAST_G},
        "equal rates": FAST_G | {"rates": (5e-3, 5e-3)},
    },
    "grid": {
        "plain z": SLOW_G | {"d_steps": 3},
        "code": SLOW_G | {"d_steps": 3, "latent": CODE},
        "code, k = 1": SLOW_G | {"latent": CODE},
    },
}


def units() -> list[dict[str, Any]]:
    """Every run of the table; the losses are compared over thirty seeds, all else over ten."""
    runs = [
        {"sweep": sweep, "setting": setting, "seed": seed}
        for sweep, settings in SWEEPS.items()
        for seed in ((0, 100, 200) if "losses" in sweep else (0,))
        for setting in settings
    ]
    return runs + [{"sweep": "runs", "setting": run, "seed": 4} for run in FAULTS]


def toy(
    seed: int,
    *,
    target: Any = PEAKS,
    hidden: tuple[int, ...] = (),
    rates: tuple[float, float] = (1e-3, 3e-3),
    betas: tuple[float, float] = (0.0, 0.99),
    latent: Any = None,
    pack: int = 1,
    batch: int = 128,
    steps: int = 1000,
    average: float = 0.99,
    **settings: Any,
) -> tuple[GAN, Iterator[tuple[Tensor]], float, int]:
    """Ten GANs with seeds from ``seed`` on, their data, the scale to draw samples on, and the number of steps."""
    z, d = (latent or partial(models.NormalLatent, 2))(copies=COPIES), 1 if target is PEAKS else 2
    scale = 1.0 if target is not GRID else GRID.centres.square().mean().sqrt().item()
    width = z(1, torch.Generator()).shape[-1]
    make = partial(models.mlp, activation=partial(nn.LeakyReLU, 0.2), copies=COPIES)
    G = make(width, *(hidden or (32, 32)), d, seed=seed)
    D: nn.Module = make(pack * d, *(hidden or (64, 64)), 1, seed=seed + 50)
    D = models.Packed(D, pack) if pack > 1 else D
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr, betas) for net, lr in zip((G, D), rates, strict=True))
    rng = torch.Generator().manual_seed(seed + 7)
    batches = iter(lambda: ((target.sample(COPIES * batch, rng) / scale).view(batch, COPIES, d).float(),), None)
    return GAN(G, D, opt_G, opt_D, z, average=average, seed=seed, **settings), batches, scale, steps


def run(sweep: str, setting: str, seed: int) -> list[dict[str, Any]]:
    """Train ten copies in one setting, and measure each; or one of the five runs."""
    torch.set_num_threads(1)
    unit = {"sweep": sweep, "setting": setting, "seed": seed}
    if sweep == "runs":
        return [unit | row for row in faulty(setting, seed)]
    settings = SWEEPS[sweep][setting]
    gan, batches, scale, steps = toy(seed, **settings)
    for _ in range(steps):
        gan.step(batches)
    # what has left the numbers of a computer is far away
    samples = (gan.sample(SAMPLES, seed=seed + 1).double() * scale).nan_to_num(1e6, 1e6, -1e6)
    target = settings.get("target", PEAKS)
    if target is PEAKS:
        found = [metrics.wasserstein_to(copy, target) for copy in samples[..., 0].T]
        return [unit | {"wasserstein": [_rounded(distance) for distance in found]}]
    counted = [metrics.modes(copy, target) for copy in samples.transpose(0, 1)]
    row = unit | {name: [_rounded(getattr(one, name)) for one in counted] for name in ("covered", "on", "spread")}
    return [row | {"samples": [[round(at, 2) for at in place] for place in samples[:DRAWN, 0].tolist()]}]


def first_steps() -> dict[str, Any]:
    """Where the first steps of each setting lead: a fingerprint of this code."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for sweep, settings in SWEEPS.items():
        for setting, chosen in settings.items():
            gan, batches, *_ = toy(0, **chosen)
            logs = [gan.step(batches) for _ in range(FIRST)][-1]
            spread = gan.sample(1000, seed=0, averaged=False).std()
            found[f"{sweep}, {setting}"] = {name: _rounded(v.item()) for name, v in (logs | {"spread": spread}).items()}
    found["runs"] = {f"{fault}, spread": _rounded(faulty(fault, 4, steps=25)[-1]["wasserstein"]) for fault in FAULTS}
    return found


#: what is wrong with each of the five runs: what D is told, its data, what reaches G, and the learning rates
FAULTS: dict[str, dict[str, Any]] = {
    "A": {"told": lambda real, fake: (fake, real)},  # swapped labels
    "B": {},  # healthy
    "C": {"data": torch.abs},  # one peak in the batches
    "D": {"factor": 60},  # learning rate too large
    "E": {"to_D": torch.Tensor.detach},  # G does not move
}
EVERY, SEEN = 25, 2000


def faulty(run: str, seed: int, steps: int = 1200) -> list[dict[str, Any]]:
    """A row every 25 steps of a GAN on two peaks with R1 and one fault; the last has a histogram of its fakes."""
    fault = {"told": lambda *of: of, "data": lambda x: x, "to_D": lambda fake: fake, "factor": 1} | FAULTS[run]
    make = partial(models.mlp, activation=partial(nn.LeakyReLU, 0.2))
    G, D = make(2, 32, 32, 1, seed=seed), make(1, 64, 64, 1, seed=seed + 1)
    rates = zip((G, D), (5e-4, 3e-3), strict=True)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr * fault["factor"], (0.0, 0.99)) for net, lr in rates)
    rng = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, generator=rng)
    z_seen, rows, log = draw(SEEN, 2), [], torch.zeros(4)
    for step in range(1, steps + 1):
        x = fault["data"](PEAKS.sample(128, rng).float()).requires_grad_()
        with torch.no_grad():
            fake = G(draw(128, 2))
        real_logits, fake_logits = D(x), D(fake)
        loss_D = losses.minimax_D(*fault["told"](real_logits, fake_logits))
        opt_D.zero_grad()
        (loss_D + 0.1 * losses.r1_penalty(real_logits, x)).backward()
        opt_D.step()
        loss_G = softplus(-D(fault["to_D"](G(draw(128, 2))))).mean()
        opt_G.zero_grad()
        loss_G.backward()
        opt_G.step()
        with torch.no_grad():
            log += torch.stack([loss_D, loss_G, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()]) / EVERY
            if step % EVERY == 0:
                fakes = G(z_seen)
                row = dict(zip(("loss_D", "loss_G", "real_prob", "fake_prob"), log.tolist(), strict=True))
                row |= {"wasserstein": metrics.wasserstein_to(fakes, PEAKS)}
                rows.append({"step": step, **{name: round(value, 4) for name, value in row.items()}})
                log = torch.zeros(4)
    rows[-1]["histogram"] = torch.histc(fakes.clamp(-6, 6), 60, -6, 6).int().tolist()
    return rows


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
