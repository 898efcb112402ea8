"""The playground of lesson 03: figure 1 of the first GAN paper, and its reader trains."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from ipywidgets import Button, HBox, Layout, VBox
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import softplus
from traitlets import link

from .. import checkup, metrics
from ..gan import GAN
from ..models import NormalLatent, mlp
from ..plots import FIXED_POINT, INK, STYLE, curves, on_white
from ..show import SHARP, slider
from ..targets import Mixture, normal
from . import Playground, State, film, narrow, with_tasks

CAPTION = "From above: D and the best D for this p_g; both densities; how G moves z to x, and where its loss pushes x."
TASKS = (
    "Click <i>step D</i> ten times, while G rests. Which curve does D come close to?",
    "Now <i>step G</i> thirty times, while D rests. Does D believe the fakes? Do they lie on p?",
    "Click <i>start again</i>, then <i>run</i> twice. Where is p_g now? What does D say of the fakes?",
)
# What a button does: updates of D and of G in a round, rounds from frame to frame, and frames.
BUTTONS = {"step D": (1, 0, 1, 1), "step G": (0, 1, 1, 1), "both": (1, 1, 1, 1), "run": (1, 1, 4, 25)}
WORDS = {"both": "both: a round", "run": "run: 100 rounds"}
PEAK = normal(2, 0.5)  # of the data
FAKES, DRAWN, BIN = 20_000, 15, 0.02  # z that make p_g, those with an arrow, and the width of a bin of x
SEEN = 0.05  # p + p_g where D* is drawn
MOVING = ("D*", "D", "p_g", "_from z to x", "fakes x = G(z)", "push of the loss of G")


def _on_a_line(seed: int) -> GAN:
    """A GAN that needs no penalty here: with each of ten seeds W1 stays below 0.15 from round 140 to 600."""
    G = mlp(1, 16, 1, activation=nn.ELU, seed=seed, dtype=torch.float64)
    D = mlp(1, 32, 32, 1, activation=partial(nn.LeakyReLU, 0.2), seed=seed + 1000, dtype=torch.float64)
    adam = partial(torch.optim.Adam, betas=(0.0, 0.99))
    return GAN(G, D, adam(G.parameters(), 5e-3), adam(D.parameters(), 2e-2), NormalLatent(1, torch.float64))


def training_playground(
    target: Mixture = PEAK, make: Callable[[int], GAN] = _on_a_line, *, batch: int = 256, seed: int = 384
) -> Playground:
    """Train a GAN on the line click by click: see D, D*, p, p_g, G's arrows from z to x, and what its loss does to x.

    `make(seed)` builds the GAN, whose latent draws z (n, 1); `target` gives the data. `controls`: "step D", "step G",
    "both" (a round), "run" (a hundred), "start again", and "replay", a slider over the frames so far. Equal seeds and
    clicks give equal frames. Raises TypeError and ValueError for what cannot be drawn on a line. Goodfellow et al.
    2014, algorithm 1 and figure 1. Introduced in lesson 03.
    """
    batch, rng = checkup.whole("batch", batch, 1), torch.Generator().manual_seed(seed)
    truth = target.sample(FAKES, rng)
    floor = metrics.wasserstein_to(truth, target)
    gan = _checked(make(seed), truth[:4])
    # Every 50th of a million sorted z: as even as quantiles, so that p_g is as smooth as G.
    z = gan.latent(50 * FAKES, rng).sort(0).values[25::50].clone()
    few = z[FAKES // DRAWN // 2 :: FAKES // DRAWN][:DRAWN]
    tails = target.quantile(torch.tensor([0.001, 0.999], dtype=torch.float64))
    low, high = torch.cat([few[:, 0], tails]).aminmax()
    # G may leave what is shown.
    x = torch.arange(float(low) - 10, float(high) + 10, BIN, dtype=torch.float64)
    p, shown = target.density(x), (x > low - 0.6) & (x < high + 0.9)
    done = {"D": 0, "G": 0}

    def frame() -> tuple[State, str]:
        # In parts, because the memory of small ones is used again: half the time.
        fakes = torch.cat([gan.generate(part, averaged=False) for part in z.chunk(4)])[:, 0]
        bins = ((fakes - x[0]) / BIN).round().long().clamp(0, len(x) - 1)
        p_g = bins.bincount(minlength=len(x)).double() / (FAKES * BIN)
        with torch.no_grad():
            logits = gan.D(x[:, None].to(z))[:, 0].double()
        D, best = logits.sigmoid(), (p / (p + p_g)).where(p + p_g > SEEN, math.nan)
        own = -BIN * float(p @ softplus(-logits) + p_g @ softplus(logits))
        top = 2 * metrics.js_divergence(p, p_g, x) - math.log(4)
        at = gan.generate(few, averaged=False).requires_grad_()
        (slope,) = torch.autograd.grad(gan.generator_loss(at.detach(), at), at)
        heights = {"D": D, "D*": best, "p_g": p_g}
        state: dict[str, Any] = {name: {"ydata": y[shown].numpy()} for name, y in heights.items()}
        sentence = (
            f"Steps of D: {done['D']}, of G: {done['G']}. Wasserstein-1 distance of p_g to p: "
            f"{metrics.wasserstein_to(fakes, target):.3f} ({FAKES:,} draws of p have {floor:.3f}). V = {own:.3f}, "
            f"max V = {top:.3f}. Mean D on the fakes: {BIN * float(p_g @ D):.2f}."
        )
        return state | _arrows(few, at.detach(), -DRAWN * slope), sentence.replace(" -", " −")  # the loss is a mean

    def now() -> tuple[State, str]:
        return frames[min(round(replay.value), len(frames) - 1)]

    def to_the_end() -> None:
        last = len(frames) - 1
        replay.max = max(1, last)  # a slider must have a length
        if replay.value == last:
            view.update(*now())
        replay.value = last

    def press(what: str, _: Any) -> None:
        of_D, of_G, rounds, shots = BUTTONS[what]
        update_D = partial(gan.update_D, r1=gan.r1)
        updates = [("D", update_D)] * (of_D * gan.d_steps if of_G else of_D) + [("G", gan.update_G)] * of_G
        for _ in range(shots):
            for player, update in updates * rounds:
                update(target.sample(batch, rng).to(z), gan.latent(batch, rng))
                done[player] += 1
            frames.append(frame())
            to_the_end()

    def start_again(_: Any) -> None:
        nonlocal gan
        gan = make(seed)
        rng.manual_seed(seed)
        done.update(D=0, G=0)
        frames[:] = [frame()]
        to_the_end()

    frames = [frame()]
    rng.manual_seed(seed)
    replay, row = slider("replay", 0, 0, 1, step=1)
    link((replay, "max"), (row.children[0], "max"))
    does = {name: partial(press, name) for name in BUTTONS} | {"start again": start_again}
    buttons = {name: Button(description=WORDS.get(name, name), layout=Layout(width="auto")) for name in does}
    stage = film(partial(_stage, x[shown], p[shown], few[:, 0]))
    view = Playground(stage, now, buttons | {"replay": replay}, CAPTION, scale=SHARP)
    for name, button in buttons.items():
        button.on_click(does[name])
    first, second = [*buttons.values()][:3], [*buttons.values()][3:]
    column = VBox([HBox(first), HBox(second), narrow(row, name=65, width=350)])
    return with_tasks(view, [column], *TASKS)


def _checked(gan: Any, x: Tensor) -> GAN:
    """The GAN, if it can be drawn and learns from `x` (n, 1)."""
    if not isinstance(gan, GAN):
        raise TypeError(f"make must return a GAN, got {type(gan).__name__}: return GAN(G, D, ...), not its networks")
    z = gan.latent(len(x), torch.Generator().manual_seed(0))
    if z.shape != x.shape:
        raise ValueError(
            f"make must build a GAN whose latent draws z (n, 1), got {tuple(z.shape)} for n = {len(x)}: "
            "an arrow starts on a line, take NormalLatent(1)"
        )
    if not gan.pair.logits:
        raise ValueError(
            "make must build a GAN whose D gives logits, got scores: D* is a probability, take loss='non-saturating'"
        )
    checkup.look(gan.G, gan.D, z, x.to(z), loss_D=gan.pair.loss_D)
    return gan


def _arrows(z: Tensor, at: Tensor, push: Tensor) -> dict[str, Any]:
    """The lines from `z` (n, 1) up to the fakes `at` (n, 1), and a wedge above each for its `push` (n, 1)."""
    tip = at + push / (push.abs() + 0.5)  # at most 1 long, so that the strongest stays in the picture
    heights = 1.2 + 0.15 * (torch.arange(len(at))[:, None] % 3)  # neighbours stay apart
    sides = heights + torch.tensor([-0.06, 0.06, 0])
    return {
        "_from z to x": {"xdata": torch.cat([z, at, at * math.nan], 1).flatten().numpy()},
        "fakes x = G(z)": {"xdata": at[:, 0].numpy()},
        "push of the loss of G": {"verts": torch.stack([torch.cat([at, at, tip], 1), sides], 2).numpy()},
    }


@on_white
def _stage(x: Tensor, p: Tensor, z: Tensor, fig: Figure) -> list[Axes]:
    """D, the densities and the arrows over one x: what stands still, and what moves in a first place."""
    above, middle, below = fig.subplots(3, 1, sharex=True, height_ratios=(1.25, 1, 1.4))
    curves(x, {"D*": p, "D": p}, above, xlim=x[[0, -1]].tolist(), ylim=(-0.07, 1.4), xlabel="", ylabel="D(x)")
    above.axhline(0.5, **FIXED_POINT)
    curves(x, {"p": p, "p_g": p}, middle, ylim=(0, 1.5 * float(p.max())), xlabel="", ylabel="density")
    middle.fill_between(x, p, color=STYLE["real"]["color"], alpha=0.2, linewidth=0)
    fake = STYLE["fake"]
    places, heights = z.repeat_interleave(3), torch.tensor([0, 1, math.nan]).repeat(len(z))
    for height in (0, 1):
        below.axhline(height, color=INK, linewidth=0.8)
    below.plot(places, heights, color=fake["color"], linewidth=1, label="_from z to x")
    look = {"color": fake["color"], "marker": fake["marker"], "linestyle": "", "markersize": 5}
    below.plot(z, 0 * z + 1, **look, label="fakes x = G(z)")
    wedges = PolyCollection([[(0, 1)] * 3] * len(z), facecolors=[INK] * len(z), lw=0, label=MOVING[-1])
    below.add_collection(wedges)
    below.set(ylim=(-0.15, 1.7), yticks=(0, 1), yticklabels=("z", "x"))
    inside: dict[str, Any] = {"frameon": False, "fontsize": 9, "borderaxespad": 0.2}
    above.legend(loc="upper left", ncols=2, **inside)
    middle.legend(loc="upper left", ncols=2, **inside)
    below.legend(loc="center right", bbox_to_anchor=(1, 0.35), **inside)  # between z and x
    for ax in (above, middle, below):
        for it in (*ax.lines, *ax.collections):
            it.set_animated(it.get_label() in MOVING)
    return [above, middle, below]
