"""The exercises of lesson 03, each in one block: solution, inputs, mistakes, sentences, hints."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import softplus
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim.optimizer import register_optimizer_step_post_hook

from ganlib import models, tables
from ganlib.gan import GAN
from ganlib.losses import minimax_D, non_saturating_G

from .engine import Exercise, Plain, tensors, write_the_check

in_double_precision = partial(Exercise, dtype=torch.float64)

# ---- 03.gan_step


def gan_step(G, D, opt_G, opt_D, x, z_D, z_G):
    """Move D once on real x (n, d) and on the fakes of z_D, then G once on the fakes of z_G (n, latent_dim)."""
    loss_D = softplus(-D(x)).mean() + softplus(D(G(z_D).detach())).mean()
    opt_D.zero_grad()  # also of what the last step of G left in D
    loss_D.backward()
    opt_D.step()

    loss_G = softplus(-D(G(z_G))).mean()  # from the D that has just moved
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()


def two_batches(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 8))
    noise = {name: rng.normal(size=(2, n, 2)) for name in ("z_D", "z_G")}
    weights = {"D": rng.normal(size=4 + 4 + 4 + 1), "G": rng.normal(size=2 * 4 + 4 + 4 + 1)}
    return {"x": rng.normal(1, 1, (2, n, 1)), **noise, **weights, "lr": rng.uniform(0.2, 1, 2)}


def two_rounds(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    """What two rounds do to small networks: only the second one shows what the first one has left behind."""
    x, z_D, z_G = (torch.tensor(inputs[name]) for name in ("x", "z_D", "z_G"))
    nets = {name: nn.Sequential(nn.Linear(k, 4), nn.Tanh(), nn.Linear(4, 1)) for name, k in (("D", 1), ("G", 2))}
    for name, net in nets.items():
        vector_to_parameters(torch.tensor(inputs[name]), net.parameters())
    opts = {name: torch.optim.SGD(nets[name].parameters(), float(lr)) for name, lr in zip(nets, inputs["lr"])}
    noise, calls, last = torch.cat([z_D, z_G]).flatten(0, 1), list[str](), dict[str, Tensor]()

    def look_at(_: Any, args: tuple[Any, ...]) -> None:
        calls.extend("other noise" for z in args if isinstance(z, Tensor) and not in_rows(z, noise))

    def note(optimizer: Any, *_: Any) -> None:
        now = places(nets)
        moved = " and ".join(n for n in nets if not np.array_equal(now[n], last[n], equal_nan=True)) or "nothing"
        who = next((f"opt_{name}" for name, known in opts.items() if known is optimizer), "another optimizer")
        calls.append(f"{who} moves {moved}")
        last.update(now)

    nets["G"].register_forward_pre_hook(look_at)
    for k, round_2 in enumerate(("", " in round 2")):
        before = places(nets)
        last.update(before)
        hook = register_optimizer_step_post_hook(note)
        try:
            answer(nets["G"], nets["D"], opts["G"], opts["D"], x[k], z_D[k], z_G[k])
        finally:
            hook.remove()
        if not round_2:
            yield "noise", "other noise" in calls
            yield "left", " and ".join(odd(nets)) or "both as they were"
            yield "calls", " and then ".join(calls) or "no step() moves a network"
        for (name, after), lr in zip(places(nets).items(), inputs["lr"]):
            yield f"gradient {name}{round_2}", ((before[name] - after) / lr).numpy()


def in_rows(z: Tensor, noise: Tensor) -> bool:
    return bool((z[..., None, :] == noise).all(-1).any(-1).all())


def places(nets: dict[str, nn.Sequential]) -> dict[str, Tensor]:
    return {name: parameters_to_vector(net.parameters()).detach().clone() for name, net in nets.items()}


def odd(nets: dict[str, nn.Sequential]) -> Iterator[str]:
    for name, net in nets.items():
        if not all(m.training for m in net.modules()):
            yield f"{name} in eval mode"
        if not all(p.requires_grad for p in net.parameters()):
            yield f"{name} with requires_grad False"


def bce(r: Tensor, f: Tensor) -> Tensor:
    return F.binary_cross_entropy(r, torch.ones_like(r)) + F.binary_cross_entropy(f, torch.zeros_like(f))


def round_of(
    calls: str = "zero_D-D-step_D-zero_G-ask-G-step_G",
    on_D: Callable[[Tensor, Tensor], Tensor] = minimax_D,
    on_G: Callable[[Tensor], Tensor] = non_saturating_G,
    to_D: Callable[[Tensor], Tensor] = Tensor.detach,
    to_G: Callable[[Tensor], Tensor] = lambda fake: fake,
    noise: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda z_D, z_G: (z_D, z_G),
) -> Any:
    """A round of these calls, losses, fakes and noise; "ask" computes G's loss, "G" and "D" are backward()."""

    def another_round(G: Any, D: Any, opt_G: Any, opt_D: Any, x: Tensor, z_D: Tensor, z_G: Tensor) -> None:
        losses: list[Tensor] = []
        (z_D, z_G), of_D = noise(z_D, z_G), lambda: on_D(D(x), D(to_D(G(z_D))))
        does: dict[str, Callable[[], Any]] = {
            "zero_D": opt_D.zero_grad, "zero_G": opt_G.zero_grad, "step_D": opt_D.step, "step_G": opt_G.step,
            "ask": lambda: losses.append(on_G(D(to_G(G(z_G))))), "G": lambda: losses.pop().backward(),
            "D": lambda: of_D().backward(), "both": lambda: (of_D() + losses.pop()).backward(),
        }  # fmt: skip
        for call in calls.split("-"):
            does[call]()

    return another_round


TWICE = "D moves twice. One backward() of both halves and one opt_D.step() move it; in G's step only opt_G moves."
GAN_STEP = in_double_precision(
    name="03.gan_step",
    task="one round of Algorithm 1: D moves once on x and fakes of z_D, then G on fakes of z_G. "
    "The loss of G is the non-saturating one.",
    solution=gan_step,
    inputs=two_batches,
    probe=two_rounds,
    mistakes=[
        (round_of("zero_G-ask-G-step_G-zero_D-D-step_D"), "G moves first. In Algorithm 1 it comes after D."),
        (
            round_of(to_G=Tensor.detach),
            "No gradient reached G, so it stands still. Its own step needs attached fakes, and backward() first.",
        ),
        (round_of("zero_D-D-step_D-zero_G-ask-G-step_D"), TWICE),
        (round_of("zero_D-D-step_D-zero_G-ask-G-step_D-step_G"), TWICE),
        (round_of("zero_D-D-step_G-zero_G-ask-G-step_D"), "The optimizers are swapped: opt_D belongs to D's loss."),
        (round_of(on_D=lambda r, f: minimax_D(f, r)), "D's labels are swapped: it learns to call fakes real."),
        (round_of(on_D=lambda r, f: minimax_D(r, f) / 2), "D makes half of its step: a mean. Add both halves."),
        *(
            (round_of(on_D=wrong), "D's loss, or a half of it, is a sum over the batch. Take the mean of each half.")
            for wrong in (
                lambda r, f: len(r) * minimax_D(r, f),
                lambda r, f: softplus(-r).sum() + softplus(f).mean(),
                lambda r, f: softplus(-r).mean() + softplus(f).sum(),
            )
        ),
        *(
            (round_of(on_D=wrong), "Only one half reaches D. Its loss has softplus(-D(x)) and softplus(D(fake)).")
            for wrong in (lambda r, f: softplus(-r).mean(), lambda r, f: softplus(f).mean())
        ),
        *(
            (round_of(on_D=wrong), "A sign in D's loss is wrong. Add softplus(-D(x)) and softplus(D(fake)).")
            for wrong in (
                lambda r, f: -minimax_D(r, f),
                lambda r, f: softplus(-r).mean() - softplus(f).mean(),
                lambda r, f: softplus(f).mean() - softplus(-r).mean(),
                lambda r, f: softplus(r).mean() + softplus(f).mean(),
            )
        ),
        (
            round_of(on_D=lambda r, f: minimax_D(r.sigmoid(), f.sigmoid())),
            "The sigmoid is there twice: softplus has it.",
        ),
        (round_of(on_D=bce), "These are logits, no probabilities: binary_cross_entropy_with_logits, or softplus."),
        (
            round_of("zero_D-zero_G-ask-both-step_D-step_G"),
            "G's loss is in D's gradient too. Give each loss a backward() of its own, after its zero_grad().",
        ),
        (round_of(on_G=lambda f: -softplus(f).mean()), "G's loss is the minimax one. Non-saturating is -log D."),
        (round_of(on_G=lambda f: softplus(f).mean()), "G learns to make fakes that D calls fake. Its label is 1."),
        (round_of(on_G=lambda f: softplus(-f).sum()), "G's loss is a sum over the batch. Take the mean."),
        *(
            (round_of(noise=noise), "D's step takes z_G. Its fakes are those of z_D.")
            for noise in (lambda z_D, z_G: (z_G, z_G), lambda z_D, z_G: (z_G, z_D))
        ),
        (
            round_of(noise=lambda z_D, z_G: (z_D, z_D)),
            "G's step takes z_D again. Many programs do, but Algorithm 1 draws new noise: z_G.",
        ),
        (
            round_of("zero_D-zero_G-D-step_D-ask-G-step_G", to_D=lambda fake: fake),
            "G's gradient holds that of D's loss too. Detach the fakes in D's step, or call opt_G.zero_grad() later.",
        ),
        (
            round_of("zero_G-ask-G-zero_D-D-step_D-step_G"),
            "G's gradient comes from the D of before. Compute G's loss after opt_D.step().",
        ),
        (
            round_of("zero_D-D-ask-step_D-zero_G-G-step_G"),
            "D moved between G's loss and its backward(). Compute G's loss after opt_D.step().",
        ),
        (
            round_of("D-step_D-zero_G-ask-G-step_G"),
            "In round 2, D's gradient holds old ones, also of G's loss. Call opt_D.zero_grad() before backward().",
        ),
        (
            round_of("zero_D-D-step_D-ask-G-step_G"),
            "In round 2, G's gradient holds that of round 1. Call opt_G.zero_grad() before backward().",
        ),
    ],
    otherwise={
        "noise": "G got other numbers than z_D and z_G. Make all fakes from the noise that your function is given.",
        "left": "Your round leaves {got}. It must leave both networks as they were.",
        "calls": "This is what your round does: {got}. It should do this: {expected}.",
        "gradient": "{group} moved, but not against the gradient of its loss. Compare it with the formula.",
        "gradient D in round 2": "In round 2 D's gradient is not that of its loss. Is something left of round 1?",
        "gradient G in round 2": "In round 2 G's gradient is not that of its loss. Is something left of round 1?",
        "not finite *": "{group} moved to NaN or infinity. A logit may be any number, also 0 or below.",
    },
    praise=lambda inputs, seen: (
        "D moved first, and then G. Their first gradients have the lengths "
        f"{np.linalg.norm(seen['gradient D']):.2f} and {np.linalg.norm(seen['gradient G']):.2f}."
    ),
    hints=(
        "Two halves, each with a loss, its zero_grad(), backward() and step(). Which gradients must not reach G?",
        "D: softplus(-D(x)).mean() + softplus(D(G(z_D).detach())).mean(). Then G: softplus(-D(G(z_G))).mean().",
    ),
)


# ---- 03.wasserstein


def wasserstein(samples, quantiles):
    """Return the Wasserstein-1 distance, a scalar, of samples (n,) and rising quantiles (n,) of the target."""
    return (samples.sort().values - quantiles).abs().mean()


def samples_and_quantiles(seed: int) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    rng = np.random.default_rng(seed)
    cases = []
    for n, way in zip(rng.permutation([rng.integers(7, 10), rng.integers(12, 16)]), (-1, 1)):
        quantiles = np.sort(rng.choice([-2, 2], n, p=(0.4, 0.6)) + rng.normal(size=n) / 2)
        samples = rng.gumbel(size=n)  # skewed, so that no two summaries of the differences agree
        # One mean lies below that of the target and one above: so a lost sign shows.
        cases.append((samples - samples.mean() + quantiles.mean() + way * rng.uniform(0.1, 0.2), quantiles))
    return {"": cases}


def in_order(summary: Callable[[Tensor], Any]) -> Any:
    """This summary of the differences of both in order."""
    return lambda s, q: summary(s.sort().values - q)


WASSERSTEIN = in_double_precision(
    name="03.wasserstein",
    task="the Wasserstein-1 distance as one number, of samples (n,) and the n quantiles of the target, which rise.",
    solution=wasserstein,
    inputs=samples_and_quantiles,
    probe=tensors,
    mistakes=[
        (
            lambda s, q: (s - q).abs().mean(),
            "The samples come in any order. Sort them: the smallest goes to the first.",
        ),
        (
            lambda s, q: (s.sort(descending=True).values - q).abs().mean(),
            "The samples fall while the quantiles rise. Sort both the same way.",
        ),
        (lambda s, q: (s.argsort() - q).abs().mean(), "These are places, not samples. Take sort().values."),
        (
            lambda s, q: (s - q[s.argsort()]).abs().mean(),
            "You put the quantiles in the order of argsort. Put the samples in order, and leave the quantiles.",
        ),
        (in_order(torch.mean), "The differences have no abs(), so those of both signs cancel."),
        (lambda s, q: (s.mean() - q.mean()).abs(), "This is the difference of the means. Equal means hide two peaks."),
        (in_order(lambda d: d.square().mean()), "The differences are squared. Take abs()."),
        (in_order(lambda d: d.square().mean().sqrt()), "This is Wasserstein-2: squares and a root. Take abs()."),
        (in_order(lambda d: d.abs().sum()), "This is a sum, so it grows with n. Take the mean."),
        (in_order(lambda d: d.abs().max()), "This is the largest way that one sample must go. Take the mean."),
        (in_order(lambda d: d.abs().median()), "This is the median of the ways. A distance counts all of them: mean."),
        (
            lambda s, q: (s[:, None] - q).abs().mean(),
            "Each sample is compared with every quantile. It has one partner: that of its own rank.",
        ),
        (
            lambda s, q: (s[:, None] - q).abs().amin(1).mean(),
            "Each sample goes to the nearest quantile, so a lost peak costs nothing. Each has one partner.",
        ),
        (in_order(lambda d: -d.abs().mean()), "The sign is wrong: a distance is never below 0."),
        *(
            (wrong, "Samples and quantiles are added, or one is missing. Subtract: how far is each from its partner?")
            for wrong in (
                lambda s, q: (s.sort().values + q).abs().mean(),
                lambda s, q: s.abs().mean(),
                lambda s, q: q.abs().mean(),
            )
        ),
    ],
    otherwise={
        "type": "The function returned an object of type {got}. Return the distance, one number.",
        "shape": "The result has shape {got}, but a distance is one number. Write .mean() without an axis.",
        "value": "The distance is {got}, and it must be {expected}. How far must each sample go, on average?",
        "not finite": "The result is {got}: look at each division and logarithm.",
    },
    praise=lambda inputs, seen: (
        f"The samples must go {seen['value'][0]:.3f} on average. Their means differ by "
        f"{abs(inputs[''][0][0].mean() - inputs[''][0][1].mean()):.3f} only."
    ),
    hints=(
        "On the line nobody overtakes: the smallest sample goes to the smallest quantile, and so on.",
        "samples.sort().values puts them in order. Take the mean of the absolute differences, by abs().",
    ),
)


# ---- 03.pack


def pack(x, m):
    """Return packs (n / m, m * d): each row holds m samples of x (n, d), one beside the other."""
    n, d = x.shape
    return x.reshape(n // m, m * d)


def samples_and_size(seed: int) -> Plain:
    rng = np.random.default_rng(seed)
    m, rows, d = int(rng.integers(2, 4)), int(rng.integers(6, 9)), int(rng.integers(4, 6))  # all different
    return {"x": rng.normal(size=(m * rows, d)), "m": m}


def whole_samples(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    """Where each number of the packs stands in x: right answers may choose which samples share a pack."""
    x = torch.tensor(inputs["x"], requires_grad=True)
    (n, d), packs = x.shape, answer(x, inputs["m"])
    yield "type", "Tensor" if isinstance(packs, Tensor) else type(packs).__name__
    if not isinstance(packs, Tensor):
        return
    equal = packs.detach().double().flatten()[:, None] == x.detach().double().flatten()
    yield "others", int((~equal.any(1)).sum())
    yield "shape", str(tuple(packs.shape))
    if packs.shape != (n // inputs["m"], inputs["m"] * d):
        return
    places = equal.int().argmax(1)
    yield "places", places.numpy()
    samples, blocks = places // d, places.reshape(n, d)
    yield "members", max(len(set(row)) for row in samples.reshape(len(packs), -1).tolist())
    yield "whole", int((blocks == blocks[:, :1] // d * d + torch.arange(d)).all(1).sum())
    yield "used", len(set(samples.tolist()))
    yield "gradient", packs.requires_grad


PACK = in_double_precision(
    name="03.pack",
    task="m samples of x (n, d) side by side in each row, (n / m, m * d). "
    "Each sample is in one row, and keeps its gradient.",
    solution=pack,
    inputs=samples_and_size,
    probe=whole_samples,
    free=("places",),
    mistakes=[
        (lambda x, m: x.reshape(-1, m, x.shape[1]).mean(1), "Samples are averaged. Keep all numbers, side by side."),
        (lambda x, m: x.reshape(m, -1), "These are m packs of n / m samples. Make n / m rows of m samples."),
        (
            lambda x, m: x.reshape(-1, m, x.shape[1]),
            "The samples of a pack have a dimension of their own. D takes rows: flatten(1) puts them side by side.",
        ),
        (lambda x, m: x.reshape(-1, m), "Each row holds m numbers. It must hold m samples of d numbers."),
        (lambda x, m: x.repeat(1, m), "Each sample stands beside copies of itself. It needs other samples there."),
        (lambda x, m: x[: len(x) // m], "The other samples are dropped. Each belongs to one pack."),
        (lambda x, m: x, "Nothing is packed: x has its old shape. Join samples along dimension 1."),
        (lambda x, m: x.flatten(), "All numbers are in one row. Make n / m rows."),
        (
            lambda x, m: torch.cat([x[k : len(x) - m + 1 + k] for k in range(m)], 1),
            "The packs overlap, so most samples are in m packs. Each belongs to one.",
        ),
        (lambda x, m: x.T.reshape(-1, m * x.shape[1]), "A pack holds one number of many samples. Leave out the .T."),
        *(
            (
                lambda x, m, one=one: one(x, m).repeat(1, m),
                "Each pack holds one sample m times. D wants different ones.",
            )
            for one in (lambda x, m: x[::m], lambda x, m: x[: len(x) // m])
        ),
        *(
            (
                lambda x, m, of=of: of(x, m).flatten(1),
                "The coordinates are interleaved. Keep those of a sample together.",
            )
            for of in (lambda x, m: x.reshape(-1, m, x.shape[1]).mT, lambda x, m: torch.stack(x.chunk(m), 2))
        ),
        (lambda x, m: pack(x, m).detach(), "The packs have no gradient, so G could not learn. Leave out detach()."),
    ],
    otherwise={
        "others": "In the packs {got} numbers are not those of x. Move samples, and change nothing in them.",
        "shape": "The packs have shape {got}, and it must be {expected}: n / m rows of m * d numbers.",
        "members": "A pack holds numbers of {got} samples, and it must hold {expected} whole samples.",
        "whole": "Only {got} of {expected} samples stand whole in a row. Keep their numbers together, in their order.",
        "used": "Only {got} of {expected} samples are in a pack. Each belongs to exactly one.",
        "gradient": "The packs have no gradient, so G could not learn. Compute them from x, without torch.tensor.",
    },
    praise=lambda inputs, seen: (
        f"All {seen['used']} samples are in packs of {inputs['m']}. So D can see whether fakes of a batch are alike."
    ),
    hints=(
        "A tensor keeps its numbers row after row. So m rows of d numbers are one row of m * d numbers.",
        "n, d = x.shape, and x.reshape(n // m, m * d) puts m rows side by side.",
    ),
)


# ---- 03.sick_runs


def diagnosis():
    """Return the cause of each recorded run."""
    return {
        "A": "swapped labels",  # both losses fall, but fake_prob is near 1
        "B": "healthy",  # loss_D rises, because wasserstein falls
        "C": "one peak in the batches",  # D answers 1/2 to both, and wasserstein stays at 2
        "D": "learning rate too large",  # wasserstein jumps
        "E": "G does not move",  # wasserstein is one number
    }


CAUSES = (
    "healthy", "swapped labels", "G does not move", "learning rate too large", "one peak in the batches",
    "mode collapse",
)  # fmt: skip
LATE = 10  # rows at the end of a run


def recorded() -> dict[str, list[dict[str, Any]]]:
    """The rows of each run."""
    rows = [row for row in tables.load("03_toys")["rows"] if row["sweep"] == "runs"]
    return {run: [row for row in rows if row["setting"] == run] for run in sorted({row["setting"] for row in rows})}


RUNS = recorded()


def evidence(run: str, named: str) -> str:
    """What speaks against a cause that was named for a run: what it would do, and what the run does."""
    way, last = [row["wasserstein"] for row in RUNS[run]], RUNS[run][-1]
    low, high = min(way[-LATE:]), max(way[-LATE:])
    answers = f"Here real_prob ends at {last['real_prob']:.2f}, and fake_prob at {last['fake_prob']:.2f}."
    places = f"Here it lies between {low:.2f} and {high:.2f} in the last {LATE} rows."
    half = f"With fakes on one peak, wasserstein stays near 2. {places}" if low < 1.5 else ""
    against = {
        "healthy": f"In a healthy run wasserstein comes near 0. {places}",
        "swapped labels": f"With swapped labels, D would call fakes real and real samples fake. {answers}",
        "G does not move": f"If G stood still, fakes and wasserstein would never change. "
        f"Here wasserstein lies between {min(way):.3f} and {max(way):.3f}.",
        "learning rate too large": "Steps that are too large make wasserstein jump. From row to row, "
        f"it differs by at most {max(abs(a - b) for a, b in pairwise(way[-LATE:])):.2f} in the last {LATE} rows.",
        "one peak in the batches": half or f"If D saw one peak, and G made it, D would answer 1/2 to both. {answers}",
        "mode collapse": half
        or f"If D saw both peaks, and fakes on one, it would answer {2 / 3:.2f} and {1 / 3:.2f}. {answers}",
    }
    return f"Run {run}: {against[named]}"


def mistaken(run: str) -> list[tuple[Any, str]]:
    """A diagnosis with another cause of this run, and what speaks against it, for each other cause."""
    others = [cause for cause in CAUSES if cause != diagnosis()[run]]
    return [(lambda cause=cause: diagnosis() | {run: cause}, evidence(run, cause)) for cause in others]


def order_of_runs(seed: int) -> Plain:
    return {"order": np.random.default_rng(seed).permutation(len(RUNS))}


def causes(answer: Any, inputs: Plain) -> Iterator[tuple[str, Any]]:
    named = answer()
    yield "type", "dict" if isinstance(named, Mapping) else type(named).__name__
    if not isinstance(named, Mapping):
        return
    said = {str(run).strip().upper(): str(cause) for run, cause in named.items()}
    yield "runs", " ".join(sorted(said)) or "none"
    known = {cause.lower(): cause for cause in CAUSES}
    found = {run: known.get(" ".join(cause.lower().split()), "") for run, cause in said.items()}
    yield "unknown", next((f"{said[run]!r} of run {run}" for run in sorted(found) if not found[run]), "none")
    for k in inputs["order"]:
        run = list(RUNS)[k]
        yield f"cause {run}", found.get(run, "")


SICK_RUNS = in_double_precision(
    name="03.sick_runs",
    task='a dict from each run, "A" to "E", to its cause, one of the six in the table.',
    solution=diagnosis,
    inputs=order_of_runs,
    probe=causes,
    mistakes=[*mistaken("A"), *mistaken("B"), *mistaken("C"), *mistaken("D"), *mistaken("E")],
    otherwise={
        "type": "The function returned an object of type {got}. Return a dict that names a cause for each run.",
        "runs": "Your dict names the runs {got}, and it must name {expected}.",
        "unknown": "The cause {got} is none of the six. Copy its words from the table.",
        "cause": "The cause of run {group} is another one.",
    },
    praise=lambda inputs, seen: (
        f"All {len(RUNS)} are right. In run B loss_D rose from {RUNS['B'][0]['loss_D']:.2f} to "
        f"{RUNS['B'][-1]['loss_D']:.2f}, and wasserstein fell to {RUNS['B'][-1]['wasserstein']:.2f}."
    ),
    hints=(
        "Begin with wasserstein, which compares the fakes with both peaks. Where does it fall, jump, or never change?",
        "Then read D's answers. Is fake_prob above real_prob? Where both stay at 1/2, which data has D seen?",
    ),
)


# ---- 03.is_gan_step: write the check


def is_gan_step(step):
    """Return whether step(G, D, opt_G, opt_D, x, z_D, z_G) does two right rounds, compared with those of GAN."""
    ends = []
    for ours in (True, False):
        G, D = (models.mlp(d, 8, 1, dtype=torch.float64) for d in (2, 1))  # both times the same weights
        opt_G, opt_D = (torch.optim.SGD(net.parameters(), lr=0.5) for net in (G, D))
        gan, rng = GAN(G, D, opt_G, opt_D, models.NormalLatent(2, torch.float64)), torch.Generator().manual_seed(0)
        for _ in range(2):  # old gradients show in the second round
            x, z_D, z_G = (torch.randn(8, d, generator=rng) for d in (1, 2, 2))
            if ours:
                gan.update_D(x, z_D), gan.update_G(x, z_G)
            else:
                step(G, D, opt_G, opt_D, x, z_D, z_G)
        ends.append([*G.parameters(), *D.parameters()])
    return all(torch.allclose(a, b) for a, b in zip(*ends))


def with_a_frozen_D(G: Any, D: Any, opt_G: Any, opt_D: Any, x: Tensor, z_D: Tensor, z_G: Tensor) -> None:
    opt_D.zero_grad()
    for logits, label in ((D(x), 1.0), (D(G(z_D).detach()), 0.0)):
        F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label)).backward()
    opt_D.step()
    D.requires_grad_(False)
    opt_G.zero_grad()
    non_saturating_G(D(G(z_G))).backward()
    opt_G.step()
    D.requires_grad_(True)


def by_autograd(G: Any, D: Any, opt_G: Any, opt_D: Any, x: Tensor, z_D: Tensor, z_G: Tensor) -> None:
    for net, opt, loss in (
        (D, opt_D, lambda: minimax_D(D(x), D(G(z_D)))),
        (G, opt_G, lambda: non_saturating_G(D(G(z_G)))),
    ):
        weights = list(net.parameters())
        for p, slope in zip(weights, torch.autograd.grad(loss(), weights)):
            p.grad = slope
        opt.step()


CANDIDATES: list[tuple[Any, str]] = [
    (gan_step, "the round of the lesson"),
    (with_a_frozen_D, "cross-entropy of each half, and D frozen while G moves"),
    (by_autograd, "gradients from torch.autograd.grad, and no zero_grad"),
    (round_of(on_D=lambda r, f: minimax_D(f, r)), "the labels of D's loss swapped"),
    (round_of(on_G=lambda f: -softplus(f).mean()), "the minimax loss of G"),
    (round_of("D-step_D-zero_G-ask-G-step_G"), "no opt_D.zero_grad(), which shows in the second round"),
    (round_of("zero_G-ask-G-step_G-zero_D-D-step_D"), "G before D"),
    (round_of(noise=lambda z_D, z_G: (z_D, z_D)), "z_D again in the step of G"),
    (round_of(to_G=Tensor.detach), "the fakes detached in the step of G"),
    (round_of("zero_G-ask-G-zero_D-D-step_D-step_G"), "the gradient of G from the D of before"),
    (round_of("zero_D-zero_G-D-step_D-ask-G-step_G", to_D=lambda fake: fake), "the loss of D in the gradient of G"),
]
IS_GAN_STEP = write_the_check(
    CANDIDATES,
    right=3,
    enough=6,
    arguments=("G", "D", "opt_G", "opt_D", "x", "z_D", "z_G"),
    name="03.is_gan_step",
    task="return True if step(G, D, opt_G, opt_D, x, z_D, z_G) is a right round, and False if not.",
    solution=is_gan_step,
    dtype=torch.float64,
    otherwise={"type": "Your check returned an object of type {got}. Return True or False for each program."},
    hints=(
        "Give a right program and the candidate equal networks and equal numbers. Do both end at the same weights?",
        "models.mlp(2, 8, 1, dtype=torch.float64) has equal weights each time. Two rounds of SGD show old gradients.",
    ),
)

EXERCISES = [GAN_STEP, WASSERSTEIN, PACK, SICK_RUNS, IS_GAN_STEP]
