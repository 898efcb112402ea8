"""Answers to the exercises of lesson 03: right ones in other styles, twins of the listed mistakes, and others.

`test_exercises` judges them all. A twin is the mistake of the module, written in another way.
"""

import copy
from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import logsigmoid, softplus

from ganlib import metrics, models
from ganlib.exercises import lesson_03
from ganlib.gan import GAN

SEEDS = (0, 1, 8)  # a learner meets the first two
NOTHING = "Your function returns nothing"
RIGHT, TWINS, OTHERS = {}, {}, {}
ones, zeros, full = torch.ones_like, torch.zeros_like, torch.full_like

# ---- 03.gan_step


def L_D(r, f):
    return bce(r, ones(r)) + bce(f, zeros(f))


def L_G(f):
    return bce(f, ones(f))


def rounds(of_D=L_D, of_G=L_G, *, attached=False, again=False, order="dDgG", before="dg", opts="DG"):
    """Rounds of these losses: "d" and "g" compute gradients, after zero_grad where ``before`` has them; "D", "G" move.

    ``attached``: D's loss goes through G; ``again``: both steps have one noise; ``opts``: who is called for D and G.
    """

    def gan_step(G, D, opt_G, opt_D, x, z_D, z_G):
        known = dict(zip("DG", ({"D": opt_D, "G": opt_G}[name] for name in opts)))
        for call in order:
            if call in "DG":
                known[call].step()
                continue
            if call in before:
                (D if call == "d" else G).zero_grad(set_to_none=False)
            if call == "d":
                fake = G(z_D) if attached else G(z_D).data
                of_D(D(x), D(fake)).backward()
            else:
                of_G(D(G(z_D if again else z_G))).backward()

    return gan_step


class Round(nn.Module):
    def forward(self, G, D, opt_G, opt_D, x, z_D, z_G):
        real, fake = D(x), D(G(z_D).detach())
        loss_D = -logsigmoid(real).mean() - logsigmoid(-fake).mean()
        opt_D.zero_grad(), loss_D.backward(), opt_D.step()
        loss_G = -logsigmoid(D(G(z_G))).mean()
        opt_G.zero_grad(), loss_G.backward(inputs=list(G.parameters())), opt_G.step()
        return {"loss_D": loss_D.item(), "loss_G": loss_G.item()}


def two_backwards_and_zero_at_the_end(G, D, opt_G, opt_D, x, z_D, z_G):
    with torch.no_grad():
        fake = G(z_D)
    for batch, label in ((x, 1.0), (fake, 0.0)):
        logits = D(batch)
        nn.BCEWithLogitsLoss()(logits, full(logits, label)).backward()
    opt_D.step()
    L_G(D(G(z_G))).backward()
    opt_G.step()
    opt_D.zero_grad(), opt_G.zero_grad()


def frozen_in_turn(G, D, opt_G, opt_D, x, z_D, z_G):
    G.requires_grad_(False)
    opt_D.zero_grad()
    L_D(D(x), D(G(z_D))).backward()
    opt_D.step()
    G.requires_grad_(True), D.requires_grad_(False)
    opt_G.zero_grad()
    softplus(-D(G(z_G))).mean().backward()
    opt_G.step()
    D.requires_grad_(True)


def by_autograd(G, D, opt_G, opt_D, x, z_D, z_G):
    weights = list(D.parameters())
    for p, slope in zip(weights, torch.autograd.grad(L_D(D(x), D(G(z_D))), weights)):
        p.grad = slope
    opt_D.step()
    weights = list(G.parameters())
    for p, slope in zip(weights, torch.autograd.grad(L_G(D(G(z_G))), weights)):
        p.grad = slope
    opt_G.step()


def fakes_made_at_once(G, D, opt_G, opt_D, x, z_D, z_G):
    first, second = G(torch.cat([z_D, z_G])).chunk(2)
    opt_D.zero_grad()
    L_D(*D(torch.cat([x, first.detach()])).chunk(2)).backward()
    opt_D.step()
    opt_G.zero_grad()
    L_G(D(second)).backward()
    opt_G.step()


def by_closures(G, D, opt_G, opt_D, x, z_D, z_G):
    def closure_D():
        opt_D.zero_grad()
        loss = L_D(D(x).float().squeeze(), D(G(z_D).detach()).float().squeeze())
        loss.backward()
        return loss

    def closure_G():
        opt_G.zero_grad()
        loss = L_G(D(G(z_G)))
        loss.backward()
        return loss

    return opt_D.step(closure_D), opt_G.step(closure_G)


RIGHT["03.gan_step"] = {
    "a module that returns the losses": Round(),
    "two backwards, zero_grad at the end": two_backwards_and_zero_at_the_end,
    "each frozen in turn": frozen_in_turn,
    "autograd.grad": by_autograd,
    "all fakes made at once": fakes_made_at_once,
    "closures, float32, squeezed logits": by_closures,
    "D's loss through G, whose gradients are wiped later": rounds(attached=True),
}


def losses_first(G, D, opt_G, opt_D, x, z_D, z_G):
    loss_D, loss_G = L_D(D(x), D(G(z_D).detach())), L_G(D(G(z_G)))
    slopes = torch.autograd.grad(loss_D, list(D.parameters())), torch.autograd.grad(loss_G, list(G.parameters()))
    for net, found, opt in zip((D, G), slopes, (opt_D, opt_G)):
        for p, slope in zip(net.parameters(), found):
            p.grad = slope
        opt.step()


def graph_kept_too_long(G, D, opt_G, opt_D, x, z_D, z_G):
    loss_D, loss_G = L_D(D(x), D(G(z_D).detach())), L_G(D(G(z_G)))
    for loss, opt in ((loss_D, opt_D), (loss_G, opt_G)):
        opt.zero_grad(), loss.backward(), opt.step()


def one_backward(G, D, opt_G, opt_D, x, z_D, z_G):
    G.zero_grad(), D.zero_grad()
    (L_D(D(x), D(G(z_D))) + L_G(D(G(z_G)))).backward()
    opt_D.step(), opt_G.step()


def half_by_half(G, D, opt_G, opt_D, x, z_D, z_G):
    for batch, label in ((x, 1.0), (G(z_D).detach(), 0.0)):
        opt_D.zero_grad()
        bce(D(batch), torch.full((len(batch), 1), label)).backward()
        opt_D.step()
    opt_G.zero_grad(), L_G(D(G(z_G))).backward(), opt_G.step()


def G_under_no_grad(G, D, opt_G, opt_D, x, z_D, z_G):
    rounds(order="dD")(G, D, opt_G, opt_D, x, z_D, z_G)
    with torch.no_grad():
        fake = G(z_G)
    opt_G.zero_grad(), L_G(D(fake)).backward(), opt_G.step()


def as_in_many_programs(G, D, opt_G, opt_D, x, z_D, z_G):
    fake = G(z_D)
    opt_D.zero_grad(), L_D(D(x), D(fake.detach())).backward(), opt_D.step()
    opt_G.zero_grad(), L_G(D(fake)).backward(), opt_G.step()


def all_zero_first(G, D, opt_G, opt_D, x, z_D, z_G):
    opt_G.zero_grad()
    rounds(attached=True, before="d")(G, D, opt_G, opt_D, x, z_D, z_G)


TWINS["03.gan_step"] = {
    "G moves first": rounds(order="gGdD"),
    "No gradient reached G": G_under_no_grad,
    "D moves twice": half_by_half,
    "The optimizers are swapped": rounds(opts="GD"),
    "D's labels are swapped": rounds(lambda r, f: bce(r, zeros(r)) + bce(f, ones(f))),
    "D makes half of its step": rounds(lambda r, f: softplus(torch.cat([-r, f])).mean()),
    "D's loss, or a half of it": rounds(lambda r, f: softplus(-r).sum() + softplus(f).sum()),
    "Only one half": rounds(lambda r, f: bce(r, ones(r))),
    "A sign in D's loss": rounds(lambda r, f: bce(r, ones(r)) + logsigmoid(-f).mean()),
    "The sigmoid is there twice": rounds(lambda r, f: L_D(torch.sigmoid(r), torch.sigmoid(f))),
    "These are logits": rounds(lambda r, f: nn.BCELoss()(r, ones(r)) + nn.BCELoss()(f, zeros(f))),
    "G's loss is in D's gradient": one_backward,
    "G's loss is the minimax one": rounds(of_G=lambda f: torch.log(1 - torch.sigmoid(f)).mean()),
    "G learns to make fakes": rounds(of_G=lambda f: bce(f, zeros(f))),
    "G's loss is a sum": rounds(of_G=lambda f: nn.BCEWithLogitsLoss(reduction="sum")(f, ones(f))),
    "D's step takes z_G": lambda G, D, opt_G, opt_D, x, z, w: rounds(again=True)(G, D, opt_G, opt_D, x, w, z),
    "G's step takes z_D again": as_in_many_programs,
    "G's gradient holds that of D's loss": all_zero_first,
    "G's gradient comes from the D of before": losses_first,
    "D moved between G's loss": graph_kept_too_long,
    "In round 2, D's gradient": rounds(before="g"),
    "In round 2, G's gradient": rounds(before="d"),
}


def left(change):
    """A right round after which this is done to G and D."""

    def gan_step(G, D, opt_G, opt_D, x, z_D, z_G):
        rounds()(G, D, opt_G, opt_D, x, z_D, z_G)
        change(G, D)

    return gan_step


def noise_of_its_own(G, D, opt_G, opt_D, x, z_D, z_G):
    rounds()(G, D, opt_G, opt_D, x, z_D, torch.randn_like(z_G))


def other_optimizers(G, D, opt_G, opt_D, x, z_D, z_G):
    rounds()(G, D, *(torch.optim.Adam(net.parameters()) for net in (G, D)), x, z_D, z_G)


@torch.no_grad()
def by_hand(G, D, opt_G, opt_D, x, z_D, z_G):
    for p in D.parameters():
        p -= 0.1


ROUNDS = []


def right_once(G, D, opt_G, opt_D, x, z_D, z_G):
    ROUNDS.append(len(ROUNDS) % 2)
    of_D, of_G = ((L_D, L_G), (L_D, lambda f: L_G(f) / 2))[ROUNDS[-1]]
    rounds(of_D, of_G)(G, D, opt_G, opt_D, x, z_D, z_G)


OTHERS["03.gan_step"] = [
    (noise_of_its_own, "G got other numbers than z_D and z_G"),
    (left(lambda G, D: D.requires_grad_(False)), "Your round leaves D with requires_grad False. It must"),
    (left(lambda G, D: (G.eval(), G[0].bias.requires_grad_(False))), "G in eval mode and G with requires_grad False"),
    (
        other_optimizers,
        "another optimizer moves D and then another optimizer moves G. It should do this: opt_D moves D",
    ),
    (by_hand, "This is what your round does: no step() moves a network."),
    (rounds(order="dDgGgG"), "opt_D moves D and then opt_G moves G and then opt_G moves G. It should"),
    (rounds(order="dDg"), "This is what your round does: opt_D moves D. It should"),
    (rounds(order="dDgDG"), "D moves twice"),
    (rounds(lambda r, f: (1 - r).square().mean() + f.square().mean()), "D moved, but not against the gradient of"),
    (rounds(of_G=lambda f: -f.mean()), "G moved, but not against the gradient of its loss. Compare"),
    (rounds(lambda r, f: L_D(r, f) + torch.log(0 * r).mean()), "D moved to NaN or infinity"),
    (rounds(of_G=lambda f: torch.log(0 * f).mean()), "G moved to NaN or infinity"),
    (right_once, "In round 2 G's gradient is not that of its loss. Is something left of round 1?"),
    (rounds(lambda r, f: L_D(r, f).detach()), "Your code raised RuntimeError (element 0"),
    (lambda G, D, opt_G, opt_D, x, z: opt_D.step(), "but it is written with (G, D, opt_G, opt_D, x, z)"),
    (GAN.step, "is ganlib's own function"),
]

# ---- 03.wasserstein


def paired(summary, key=None, reverse=False):
    """A summary of the differences of samples in this order and of the quantiles."""
    return lambda s, q: summary(np.array(sorted(s.tolist(), key=key, reverse=reverse)) - q.numpy())


def between_the_steps(s, q):
    """The area between the two cumulated shares."""
    places = torch.cat([s, q]).sort().values
    below = [(sample[:, None] <= places[:-1]).float().mean(0) for sample in (s, q)]
    return ((below[0] - below[1]).abs() * places.diff()).sum()


class Distance(nn.Module):
    def forward(self, samples, quantiles):
        return nn.L1Loss()(samples.sort()[0], quantiles)


def by_ranks(s, q):
    return sum(abs(a - q[(s < a).sum()]) for a in s) / len(s)


RIGHT["03.wasserstein"] = {
    "scipy": lambda s, q: stats.wasserstein_distance(s.numpy(), q.numpy()),
    "numpy": paired(lambda d: np.abs(d).mean()),
    "a module": Distance(),
    "the area between the steps": between_the_steps,
    "each sample and its rank": by_ranks,
    "argsort twice": lambda s, q: (s - q[s.argsort().argsort()]).abs().mean().item(),
    "both falling, float32": lambda s, q: (s.float().sort(descending=True)[0] - q.flip(0)).abs().sum() / len(s),
}
TWINS["03.wasserstein"] = {
    "The samples come in any order": lambda s, q: nn.L1Loss()(s, q),
    "The samples fall": paired(lambda d: abs(d).mean(), reverse=True),
    "These are places": lambda s, q: nn.L1Loss()(s.sort()[1], q),
    "You put the quantiles": lambda s, q: sum(abs(a - q[k]) for a, k in zip(s, s.argsort())) / len(s),
    "The differences have no abs()": paired(np.mean),
    "This is the difference of the means": lambda s, q: abs(sum(s) - sum(q)) / len(s),
    "The differences are squared": lambda s, q: nn.MSELoss()(s.sort()[0], q),
    "This is Wasserstein-2": paired(lambda d: np.linalg.norm(d) / len(d) ** 0.5),
    "This is a sum": lambda s, q: torch.dist(s.sort()[0], q, 1),
    "This is the largest way": lambda s, q: torch.dist(s.sort()[0], q, torch.inf),
    "This is the median": lambda s, q: abs(s.sort()[0] - q).sort()[0][(len(s) - 1) // 2],
    "Each sample is compared": lambda s, q: sum(abs(a - q).mean() for a in s) / len(s),
    "Each sample goes to the nearest": lambda s, q: torch.cdist(s[:, None], q[:, None]).min(1).values.mean(),
    "Samples and quantiles are added": lambda s, q: nn.L1Loss()(s, 0 * q),
    "The sign is wrong": lambda s, q: -nn.L1Loss()(s.sort()[0], q),
}
OTHERS["03.wasserstein"] = [
    (lambda s, q: stats.ks_2samp(s.numpy(), q.numpy()).statistic, "How far must each sample go, on average?"),
    (lambda s, q: s.sort()[0] - q, "but a distance is one number. Write .mean() without an axis."),
    (lambda s, q: (s.sort()[0] - q).abs().mean() / (q - q).sum(), "The result is inf: look at each division"),
    (lambda s, q: str(nn.L1Loss()(s.sort()[0], q)), "an object of type str. Return the distance, one number."),
    (lambda s, q: (s.sort() - q).abs().mean(), "Your code raised TypeError"),
    (lambda s, q: print(s.sort()), f"{NOTHING}. Does wasserstein end with return?"),
    (metrics.wasserstein_to, "is ganlib's own function"),
]

# ---- 03.pack


class Pack(nn.Module):
    def forward(self, x, m):
        return torch.stack([row.flatten() for row in x.split(m)])


def shuffled(x, m):
    return torch.cat(x[torch.randperm(len(x))].chunk(m), 1)


def nested_lists(x, m):
    return torch.tensor([[number for row in part for number in row] for part in x.split(m)])


RIGHT["03.pack"] = {
    "a module": Pack(),
    "view": lambda x, m: x.contiguous().view(-1, m * x.size(1)),
    "parts of the batch, side by side": lambda x, m: torch.hstack(x.chunk(m)),
    "every m-th sample": lambda x, m: torch.cat([x[k::m] for k in range(m)], dim=1),
    "drawn at random": shuffled,
    "stacked and flattened": lambda x, m: torch.stack(x.flip(0).split(len(x) // m), 1).flatten(1),
    "unflatten": lambda x, m: x.unflatten(0, (-1, m)).flatten(1),
}
TWINS["03.pack"] = {
    "Samples are averaged": lambda x, m: torch.stack([part.mean(0) for part in x.split(m)]),
    "These are m packs": lambda x, m: torch.stack([part.flatten() for part in x.chunk(m)]),
    "The samples of a pack have a dimension": lambda x, m: torch.stack(x.split(m)),
    "Each row holds m numbers": lambda x, m: torch.stack(x.flatten().split(m)),
    "Each sample stands beside": lambda x, m: torch.cat([x] * m, 1),
    "The other samples are dropped": lambda x, m: x[::m],
    "Nothing is packed": lambda x, m: torch.cat(x.split(m)),
    "All numbers are in one row": lambda x, m: torch.cat(list(x)),
    "The packs overlap": lambda x, m: x.unfold(0, m, 1).mT.flatten(1),
    "A pack holds one number": lambda x, m: torch.stack(x.T.flatten().split(m * x.shape[1])),
    "Each pack holds one sample": lambda x, m: torch.stack([part[0].repeat(m) for part in x.split(m)]),
    "The coordinates are interleaved": lambda x, m: torch.stack([part.T.flatten() for part in x.split(m)]),
    "The packs have no gradient, so G could not learn. Leave": lambda x, m: x.data.unflatten(0, (-1, m)).flatten(1),
}
OTHERS["03.pack"] = [
    (nested_lists, "Leave out detach()"),
    (lambda x, m: Pack()(x, m) + 1, "numbers are not those of x. Move samples"),
    (lambda x, m: Pack()(x, m)[1:], "n / m rows of m * d numbers"),
    (lambda x, m: Pack()(x, m)[None], "The packs have shape (1, "),
    (lambda x, m: Pack()(x, m).flatten().sort()[0].view(-1, m * x.shape[1]), "and it must hold"),
    (lambda x, m: Pack()(x, m).flip(1), "samples stand whole in a row. Keep their numbers together, in their order"),
    (lambda x, m: torch.cat([x[k : k + len(x) // m] for k in range(m)], 1), "samples are in a pack. Each belongs to"),
    (lambda x, m: Pack()(x, m).tolist(), "an object of type list. Return a tensor."),
    (lambda x, m: print(Pack()(x, m)), NOTHING),
    (models.mlp, "is ganlib's own function"),
]

# ---- 03.sick_runs

RUNS = {run: {key: [row[key] for row in rows] for key in rows[0]} for run, rows in lesson_03.recorded().items()}
TRUE = {
    "A": "swapped labels",
    "B": "healthy",
    "C": "one peak in the batches",
    "D": "learning rate too large",
    "E": "G does not move",
}


def naming(named, change=lambda named: named):
    return lambda: change(dict(named))


class Diagnosis(nn.Module):
    def forward(self):
        return OrderedDict(sorted(TRUE.items(), reverse=True))


def with_a_note(named):
    print("B looks bad, but is not")
    return named


RIGHT["03.sick_runs"] = {
    "a module, in another order": Diagnosis(),
    "keyword arguments": lambda: dict(**TRUE),
    "capital letters and spaces": naming({run: f" {cause.upper()} " for run, cause in TRUE.items()}),
    "small letters as keys": naming({run.lower(): cause.lower() for run, cause in TRUE.items()}),
    "numpy's texts": lambda: dict(zip(np.array([*TRUE]), np.array([*TRUE.values()]))),
    "it prints too": naming(TRUE, with_a_note),
}
TWINS["03.sick_runs"] = {
    lesson_03.evidence(run, cause): naming({**TRUE, run: cause.upper()})
    for run in TRUE
    for cause in lesson_03.CAUSES
    if cause != TRUE[run]
}
OTHERS["03.sick_runs"] = [
    (naming(TRUE, lambda named: [*named.values()]), "of type list. Return a dict that names a cause for each run."),
    (
        naming(TRUE, lambda named: named.pop("E") and named),
        "Your dict names the runs A B C D, and it must name A B C D E",
    ),
    (naming({**TRUE, "F": "healthy"}), "Your dict names the runs A B C D E F, and"),
    (naming({}), "Your dict names the runs none, and"),
    (naming({**TRUE, "B": "starved G"}), "The cause 'starved G' of run B is none of the six. Copy its words"),
    (naming({**TRUE, "C": None}), "The cause 'None' of run C is none of the six"),
    (naming(dict.fromkeys(TRUE, "healthy")), "In a healthy run wasserstein comes near 0"),
    (naming(TRUE, print), f"{NOTHING}. Does diagnosis end with return?"),
    (lambda runs: TRUE, "it is written with (runs)"),
]


def test_each_cause_can_be_told_from_what_is_recorded():
    real, fake = ({run: seen[f"{name}_prob"][-1] for run, seen in RUNS.items()} for name in ("real", "fake"))
    late = {run: seen["wasserstein"][-lesson_03.LATE :] for run, seen in RUNS.items()}
    jumps = {run: max(abs(a - b) for a, b in pairwise(way)) for run, way in late.items()}
    assert lesson_03.diagnosis() == TRUE
    assert {run for run in RUNS if max(late[run]) < 0.3} == {"B"}  # healthy
    assert {run for run in RUNS if fake[run] > real[run] + 0.5} == {"A"}  # swapped labels
    assert {run for run, seen in RUNS.items() if len({*seen["wasserstein"]}) == 1} == {"E"}  # G does not move
    assert {run for run in RUNS if jumps[run] > 0.5} == {"D"}  # learning rate too large
    assert max(jumps[run] for run in "ABCE") < 0.25
    rests = {run for run in RUNS if min(late[run]) > 1.5 and abs(real[run] - 0.5) + abs(fake[run] - 0.5) < 0.02}
    assert rests == {"C"}  # one peak in the batches
    collapsed = {run for run in RUNS if abs(real[run] - 2 / 3) < 0.1 and abs(fake[run] - 1 / 3) < 0.1}
    assert collapsed == set()  # mode collapse


def test_the_healthy_run_looks_bad():
    B = RUNS["B"]
    assert B["loss_G"][1] > B["loss_G"][0] + 0.3
    assert B["loss_D"][-1] > B["loss_D"][0] + 0.5
    assert B["wasserstein"][-1] < B["wasserstein"][1] < B["wasserstein"][0]
    assert all(max(RUNS["A"][name][-10:]) < 0.2 for name in ("loss_D", "loss_G"))  # and a sick one looks good


@pytest.mark.parametrize(
    ("run", "cause", "words"),
    [
        ("B", "mode collapse", "With fakes on one peak, wasserstein stays near 2. Here it lies between 0.09 and"),
        ("C", "mode collapse", "it would answer 0.67 and 0.33. Here real_prob ends at 0.50, and fake_prob at 0.50."),
        ("D", "one peak in the batches", "With fakes on one peak, wasserstein stays near 2."),
        (
            "E",
            "one peak in the batches",
            "D would answer 1/2 to both. Here real_prob ends at 0.92, and fake_prob at 0.08.",
        ),
    ],
)
def test_evidence_depends_on_the_run(run, cause, words):
    assert words in lesson_03.evidence(run, cause)


# ---- 03.is_gan_step


def distance(step, again=2, old=None):
    """How far a step ends from a right one, after so many rounds."""
    G, D = nn.Linear(2, 1), nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))
    pairs = (G, D), copy.deepcopy((G, D))
    batches = [(torch.randn(6, 1), torch.randn(6, 2), torch.randn(6, 2)) for _ in range(again)]
    for program, (g, d) in zip((rounds(), step), pairs):
        opts = [torch.optim.SGD(net.parameters(), 0.3) for net in (g, d)]
        for p in (*g.parameters(), *d.parameters()):
            p.grad = None if old is None else full(p, old)
        for batch in batches:
            program(g, d, *opts, *batch)
    return max((p - q).abs().max().item() for a, b in zip(*pairs) for p, q in zip(a.parameters(), b.parameters()))


def asserts(step):
    assert distance(step) < 1e-5, "two rounds"


def wants_none(step):
    G, D = nn.Linear(2, 1), nn.Linear(1, 1)
    opts = [torch.optim.SGD(net.parameters(), 0.3) for net in (G, D)]
    return step(G, D, *opts, torch.ones(3, 1), torch.ones(3, 2), torch.ones(3, 2)) == 0


class IsRound(nn.Module):
    def forward(self, step):
        return torch.tensor(distance(step, 3) < 1e-4)


RIGHT["03.is_gan_step"] = {
    "asserts": asserts,
    "a module that returns a tensor": IsRound(),
    "old gradients in one round": lambda step: distance(step, 1, old=1.0) < 1e-5,
    "numpy's bool": lambda step: np.bool_(distance(step, 5) < 1e-4),
    "a default argument": lambda step, close=1e-5: distance(step) < close,
    "the first round alone": lambda step: distance(step, 1) < 1e-5,
}
TWINS["03.is_gan_step"] = {}
OTHERS["03.is_gan_step"] = [
    (lambda step: step is not None, "It refuses 0 of 8 broken ones, 6 are asked. One slips through: the labels of D's"),
    (lambda step: distance(step) < 0, "It refuses a right one: the round of the lesson."),
    (wants_none, "It refuses a right one"),
    (lambda step: print(distance(step)), f"{NOTHING}. Does is_gan_step end with return?"),
    (lambda step: "right" if distance(step) < 1e-5 else "wrong", "an object of type str. Return True or False"),
    (lambda step: step(nn.Linear(2, 1), nn.Linear(1, 1)), "Your code raised"),
    (lambda step, rounds: True, "it is written with (step, rounds)"),
]


# ---- hints as programs: what stands between « and » are words of the hints

HINTED = {}
HINTED["03.gan_step"] = """
def gan_step(G, D, opt_G, opt_D, x, z_D, z_G):
    loss = «softplus(-D(x)).mean() + softplus(D(G(z_D).detach())).mean()»
    opt_D.«zero_grad()», loss.«backward()», opt_D.«step()»
    loss = «softplus(-D(G(z_G))).mean()»
    opt_G.zero_grad(), loss.backward(), opt_G.step()
"""
HINTED["03.wasserstein"] = """
def wasserstein(samples, quantiles):
    in_order = «samples.sort().values»
    return (in_order - quantiles).«abs()».mean()  # «the mean of the absolute differences»
"""
HINTED["03.pack"] = """
def pack(x, m):
    «n, d = x.shape»
    packs = «x.reshape(n // m, m * d)»
    assert packs.shape[1] == «m * d»
    return packs
"""
HINTED["03.sick_runs"] = """
def diagnosis():
    named = {}
    rows = [row for row in tables.load("03_toys")["rows"] if row["sweep"] == "runs"]
    for run in "ABCDE":
        own = [row for row in rows if row["setting"] == run]
        way, real, fake = [row["«wasserstein»"] for row in own], own[-1]["«real_prob»"], own[-1]["«fake_prob»"]
        if len({*way}) == 1:
            named[run] = "G does not move"  # «never change»
        elif max(way[-10:]) < 0.3:
            named[run] = "healthy"  # «fall»
        elif max(abs(a - b) for a, b in zip(way[30:], way[31:])) > 0.5:
            named[run] = "learning rate too large"  # «jump»
        elif fake > real + 0.1:
            named[run] = "swapped labels"
        elif abs(real - «1/2») + abs(fake - 1/2) < 0.02:
            named[run] = "one peak in the batches"
    return named
"""
HINTED["03.is_gan_step"] = """
def is_gan_step(step):
    ends = []
    for ours in (True, False):
        G, D = «models.mlp(2, 8, 1, dtype=torch.float64)», models.mlp(1, 8, 1, dtype=torch.float64)
        rng = torch.Generator().manual_seed(1)  # «equal numbers»
        opts = [torch.optim.«SGD»(net.parameters(), lr=1.0) for net in (G, D)]
        for _ in range(2):  # «two rounds»
            x, z_D, z_G = (torch.randn(5, d, generator=rng) for d in (1, 2, 2))
            if not ours:
                step(G, D, *opts, x, z_D, z_G)
                continue
            for net, opt in ((D, opts[1]), (G, opts[0])):
                loss = softplus(-D(x)).mean() + softplus(D(G(z_D))).mean() if net is D else softplus(-D(G(z_G))).mean()
                for p, slope in zip(net.parameters(), torch.autograd.grad(loss, list(net.parameters()))):
                    p.grad = slope
                opt.step()
        ends.append([*G.parameters(), *D.parameters()])
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*ends))
"""
