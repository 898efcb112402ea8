"""The committed tables: their format, a spot-check against the lesson as it is stored, and the tools that make them."""

import functools
import json
import math
import os
import re
import shutil
import statistics
from collections import Counter
from pathlib import Path

import anatomy
import make_tables
import nbformat
import pytest
import quality
import torch
from run_notebooks import NOTEBOOKS, claims

from ganlib import data, judge, metrics, models
from ganlib.training import Minibatches

TABLES = sorted(make_tables.TABLES.glob("*.json"))
CLAIMS = [path for path in TABLES if path.name.endswith("_claims.json")]
QUALITY = make_tables.TABLES / "04_quality.json"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def lesson_of(path):
    return next(NOTEBOOKS.glob(f"{path.name[:2]}_*.ipynb"))


def close(a, b):
    """Whether two texts differ in nothing but numbers, and these by at most a fifth."""
    pattern = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
    if re.sub(pattern, "", a) != re.sub(pattern, "", b):
        return False
    pairs = zip(re.findall(pattern, a), re.findall(pattern, b), strict=True)
    return all(float(x) == pytest.approx(float(y), rel=0.2) for x, y in pairs)


def disagreements(table, stored):
    """Claims of the stored lesson that the table's row of MNIST, seed 0 does not confirm within a fifth."""
    (row,) = [row["claims"] for row in table["rows"] if (row["data"], row["seed"]) in (("MNIST", 0), ("none", 0))]
    if row.keys() != {sentence for _, sentence, _ in stored}:
        return sorted(row.keys() ^ {sentence for _, sentence, _ in stored})
    return [
        sentence
        for holds, sentence, measured in stored
        if row[sentence][0] != holds or not close(row[sentence][1], measured)
    ]


def test_every_lesson_has_a_table_of_its_claims():
    lessons = {path.name[:2] for path in NOTEBOOKS.glob(anatomy.LESSONS)}
    assert lessons == {path.name[:2] for path in CLAIMS}
    assert {*CLAIMS, QUALITY} == set(TABLES)


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_a_table_says_how_it_was_made(path):
    table = read(path)
    assert table.keys() == {"about", "versions", "code", "rows"}
    assert set(table["versions"]) == set(make_tables.PACKAGES)


@pytest.mark.parametrize("path", CLAIMS, ids=lambda p: p.stem)
def test_claims_were_run_under_every_seed_on_every_data_set(path):
    runs = [(row["data"], row["seed"]) for row in read(path)["rows"]]
    data_sets, seeds = {name for name, _ in runs}, {seed for _, seed in runs}
    assert data_sets in ({"MNIST", "stand-in"}, {"none"})
    assert seeds == set(range(max(3, len(seeds))))
    assert sorted(runs) == [(name, seed) for name in sorted(data_sets) for seed in sorted(seeds)]


@pytest.mark.parametrize("path", CLAIMS, ids=lambda p: p.stem)
def test_every_claim_held_under_every_seed(path):
    for row in read(path)["rows"]:
        assert all(holds for holds, _ in row["claims"].values()), row


@pytest.mark.parametrize("path", CLAIMS, ids=lambda p: p.stem)
def test_the_stored_lesson_agrees_with_its_row(path):
    assert not disagreements(read(path), claims(nbformat.read(lesson_of(path), as_version=4)))


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_table_was_made_by_this_code(path):
    code = make_tables.quality_hash() if path == QUALITY else make_tables.lesson_hash(lesson_of(path))
    if read(path)["code"] != code:
        pytest.skip(f"{path.name} was made by earlier code: `make tables` would measure it again")


def test_the_spot_check_notices():
    row = {"data": "MNIST", "seed": 0, "claims": {"a": [True, "0.50"], "b": [True, ""]}}
    table = {"rows": [row]}
    assert not disagreements(table, [(True, "a", "0.52"), (True, "b", "")])
    assert not close("0.1% of 9%", "0.1% of 5%")
    assert disagreements(table, [(True, "a", "0.70"), (True, "b", "")]) == ["a"]
    assert disagreements(table, [(False, "a", "0.50"), (True, "b", "")]) == ["a"]
    assert disagreements(table, [(True, "a", "0.50"), (True, "c", "")]) == ["b", "c"]


@pytest.mark.slow
def test_hash_of_the_quality_table_covers_its_recipes_and_what_they_stand_on(tmp_path, monkeypatch):
    before, source = make_tables.quality_hash(), Path(quality.__file__).read_text(encoding="utf-8")
    for name, changed in (("a", source.replace("EPOCH = 469", "EPOCH = 468")), ("b", source + "\n\nNEW = 1\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "quality.py").write_text(changed, encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(quality, "__file__", str(tmp_path / name / "quality.py"))
            assert (make_tables.quality_hash() == before) == (name == "b")
    shutil.copytree(make_tables.PACKAGE, tmp_path / "ganlib")
    monkeypatch.setattr(make_tables, "PACKAGE", tmp_path / "ganlib")
    assert make_tables.quality_hash() == before
    losses = tmp_path / "ganlib" / "losses.py"  # gan stands on losses
    source = losses.read_text(encoding="utf-8")
    losses.write_text(source.replace("softplus(-fake_logits)", "softplus(fake_logits)"), encoding="utf-8")
    assert make_tables.quality_hash() != before


# ---- making a table: works run in other processes, so they leave their marks in files


def square(folder, n):
    with (folder / "ran").open("a", encoding="utf-8") as file:
        file.write(f"{n}\n")
    if (folder / f"stop at {n}").exists():
        raise KeyboardInterrupt
    return [{"n": n, "power": k, "value": n**k} for k in (1, 2)]


def make(folder, *numbers, code="a", jobs=1):
    """Make the table of the squares of ``numbers`` in ``folder``. Returns its rows and the units that ran."""
    (folder / "ran").write_text("", encoding="utf-8")
    units = [{"n": n} for n in numbers]
    make_tables.make(folder / "t.json", "squares", code, units, functools.partial(square, folder), jobs)
    return read(folder / "t.json")["rows"], numbers_in(folder / "ran")


def numbers_in(path):
    return [int(line) for line in path.read_text(encoding="utf-8").split()]


def rows_of(*numbers):
    return [{"n": n, "power": k, "value": n**k} for n in numbers for k in (1, 2)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_table_goes_on(jobs, tmp_path):
    units = 4, 3, 2, 1, 0
    (tmp_path / "stop at 2").touch()
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, *units, jobs=jobs)
    ran, kept = numbers_in(tmp_path / "ran"), read(tmp_path / "t.json")["rows"]
    assert {4, 3, 2} <= set(ran)
    assert jobs > 1 or ran == [4, 3, 2]  # no unit begins after the interrupt
    assert kept == rows_of(*(n for n in units if n in ran and n != 2))  # and what was done is kept
    (tmp_path / "stop at 2").unlink()
    rows, again = make(tmp_path, *units, jobs=jobs)
    assert sorted(again) == sorted({0, 1, 2, 3, 4} - {row["n"] for row in kept})
    assert rows == rows_of(*units)  # in the order of the units
    assert make(tmp_path, *units, jobs=jobs) == (rows, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ran", "t.json"]


@pytest.mark.parametrize("change", ["code", "versions"])
def test_rows_of_other_code_are_dropped(change, tmp_path, monkeypatch):
    make(tmp_path, 0, 1)
    if change == "versions":
        monkeypatch.setattr(make_tables, "PACKAGES", ("torch",))
    assert make(tmp_path, 0, 1, 2, code="b" if change == "code" else "a") == (rows_of(0, 1, 2), [0, 1, 2])


def test_rows_of_units_that_are_wanted_no_more_are_dropped(tmp_path):
    make(tmp_path, 0, 1, 2)
    assert make(tmp_path, 3, 1) == (rows_of(3, 1), [3])


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("x = 1", [("none", 0), ("none", 1)]),
        ('data.load("mnist")', [(d, s) for d in ("MNIST", "stand-in") for s in (0, 1)]),
    ],
)
def test_the_runs_of_a_table_of_claims(source, runs, tmp_path, monkeypatch):
    lesson, seen, made = tmp_path / "09_x.ipynb", [], {}
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), lesson)

    def fake_execute(nb, folder, *, seed):
        seen.append([seed, *map(os.environ.get, ("GANLIB_DATA", "GANLIB_OFFLINE"))])
        return seed

    def fake_make(path, about, code, units, work, jobs):
        made.update(path=path, code=code, rows=[row for unit in units for row in work(**unit)])

    monkeypatch.setenv("GANLIB_DATA", "here")
    monkeypatch.setattr(make_tables, "execute", fake_execute)
    monkeypatch.setattr(make_tables, "claims", lambda seed: [(seed == 0, "the seed is zero", str(seed))])
    monkeypatch.setattr(make_tables, "make", fake_make)
    make_tables.claims_table(lesson, 2, tmp_path)
    assert made == {
        "path": tmp_path / "09_claims.json",
        "code": make_tables.lesson_hash(lesson),
        "rows": [{"data": d, "seed": s, "claims": {"the seed is zero": [s == 0, str(s)]}} for d, s in runs],
    }
    assert seen == [[s, None, "1"] if d == "stand-in" else [s, "here", None] for d, s in runs]
    assert [os.environ.get(name) for name in ("GANLIB_DATA", "GANLIB_OFFLINE")] == ["here", None]


# ---- the recipes of lesson 04


def weights(pair):
    return [w for net in pair for w in net.state_dict().values()]


@pytest.mark.parametrize(
    ("changes", "pair", "latent_dim"),
    [(set(), models.textbook_pair, 128), (set(quality.CHANGES), models.better_pair, 32)],
)
def test_the_ends_of_the_ablation_are_the_two_pairs(changes, pair, latent_dim):
    gan, nets = quality.build(changes, seed=3), pair(seed=3)
    assert (str(gan.G), str(gan.D)) == tuple(map(str, nets))
    assert all(map(torch.equal, weights((gan.G, gan.D)), weights(nets)))
    assert gan.latent == models.NormalLatent(latent_dim)
    assert (gan.settings["average"], gan.settings["seed"]) == (0.998, 3)


TEXTBOOK = {"lr": 2e-4, "betas": (0.5, 0.999), "r1": 0.0, "batch": 128, "latent": models.NormalLatent(128)}
BETTER = {"lr": 1e-3, "betas": (0.0, 0.99), "r1": 0.1, "batch": 128, "latent": models.NormalLatent(32)}
PAIRS = {
    "textbook": (models.textbook_pair, TEXTBOOK),
    "upgraded": (models.upgraded_pair, TEXTBOOK),
    "better": (models.better_pair, BETTER),
    "better with uniform z": (models.better_pair, BETTER | {"latent": models.UniformLatent(32)}),
    "convolutional": (models.convolutional_pair, BETTER | {"lr": 2e-3, "batch": 64}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_recipe_is_trained_as_it_should_be(name):
    pair, expected = PAIRS[name]
    gan, moments = quality.recipe_of(name, seed=1)
    assert all(map(torch.equal, weights((gan.G, gan.D)), weights(pair(seed=1))))
    for optimizer in (gan.opt_G, gan.opt_D):
        group = optimizer.param_groups[0]
        assert (group["lr"], group["betas"], group["fused"]) == (expected["lr"], expected["betas"], True)
    assert (gan.r1, gan.r1_every) == (expected["r1"], 4 if expected["r1"] else 1)
    assert gan.latent == expected["latent"]
    assert gan.settings["average"] == 0.998
    assert 3000 in moments or name == "upgraded"  # where recipes are compared
    assert moments == sorted(moments)


#: the settings that each change alone changes
SETTINGS = {
    "latent": {"generator", "latent"},
    "network": {"discriminator"},
    "batchnorm": {"generator"},
    "dropout": {"discriminator"},
    "adam": {"opt_G.lr", "opt_G.betas", "opt_D.lr", "opt_D.betas"},
    "r1": {"r1", "r1_every"},
}


@pytest.mark.parametrize("change", quality.CHANGES)
@pytest.mark.parametrize(("name", "whole"), [("textbook with", "textbook"), ("better without", "better")])
def test_one_change_changes_one_thing(name, whole, change):
    (one, moments), (base, _) = quality.recipe_of(f"{name} {change}", 0), quality.recipe_of(whole, 0)
    assert {key for key in base.settings if describe(one, key) != describe(base, key)} == SETTINGS[change]
    assert moments == [3000]


def describe(gan, key):
    return str(gan.latent) if key == "latent" else gan.settings[key]


def test_the_units_are_all_there():
    seeds = Counter(unit["recipe"] for unit in quality.units())
    alone = [f"{name} {change}" for name in ("textbook with", "better without") for change in quality.CHANGES]
    assert seeds == (
        dict.fromkeys(("textbook", "better", "upgraded"), 5)
        | dict.fromkeys(alone, 3)
        | dict.fromkeys(("convolutional", "better with uniform z"), 3)
    )
    assert len({(unit["recipe"], unit["seed"]) for unit in quality.units()}) == seeds.total()
    assert all(unit["seed"] < seeds[unit["recipe"]] for unit in quality.units())


NUMBERS = {"cpu_s", "loss_D", "loss_G", "frechet", "score", "certain", "divergence", "precision", "recall"}


@functools.cache
def moments(recipe):
    return quality.recipe_of(recipe, 0)[1]


def faults(rows):
    """What a quality table lacks, has too much of, or holds that is no possible number."""
    wanted = Counter()
    for unit in quality.units():
        wanted.update((*unit.values(), step, w) for step in moments(unit["recipe"]) for w in ("raw", "averaged"))
        if unit == {"recipe": "textbook", "seed": 0}:
            wanted.update((*unit.values(), "epoch", n) for n in quality.EPOCHS_OF_LOSSES)

    def place(row):
        return (
            row["recipe"],
            row["seed"],
            *(("epoch", row["epoch"]) if "epoch" in row else (row["step"], row["weights"])),
        )

    found = Counter(map(place, rows))
    bad = [f"missing: {key}" for key in wanted - found] + [f"too many: {key}" for key in found - wanted]
    for row in rows:
        numbers = {"loss_D", "loss_G"} if "epoch" in row else NUMBERS
        shares = [row[name] for name in ("certain", "precision", "recall") if name in row]
        if not all(math.isfinite(row.get(name, math.nan)) and row[name] >= 0 for name in numbers):
            bad.append(f"no number >= 0 in {place(row)}")
        elif not (all(share <= 1 for share in shares) and 1 <= row.get("score", 1) <= 10):
            bad.append(f"out of range in {place(row)}")
    return bad


def test_the_quality_table_is_complete():
    assert faults(read(QUALITY)["rows"]) == []


def test_faults_of_a_quality_table_are_noticed():
    row = {"loss_D": 1.2, "loss_G": 0.8}
    full = row | dict.fromkeys(NUMBERS - row.keys(), 0.5) | {"score": 9.0}
    rows = [
        unit | {"step": step, "weights": w} | full
        for unit in quality.units()
        for step in moments(unit["recipe"])
        for w in ("raw", "averaged")
    ]
    rows += [{"recipe": "textbook", "seed": 0, "epoch": n} | row for n in quality.EPOCHS_OF_LOSSES]
    assert faults(rows) == []
    assert faults(rows[1:]) == ["missing: ('better', 0, 250, 'raw')"]
    assert faults(rows[:-1]) == ["missing: ('textbook', 0, 'epoch', 100)"]
    assert faults([*rows, rows[0]]) == ["too many: ('better', 0, 250, 'raw')"]
    for name, value in [("frechet", math.nan), ("loss_G", -1.0), ("recall", 1.2), ("score", 11.0)]:
        assert len(faults([rows[0] | {name: value}, *rows[1:]])) == 1, name
    del rows[-1]["loss_D"]
    assert faults(rows) == ["no number >= 0 in ('textbook', 0, 'epoch', 100)"]


def test_a_run_records_what_its_generators_make(monkeypatch, tmp_path):
    for name, value in {"SAMPLES": 90, "FEW": 30, "EPOCH": 4, "EPOCHS_OF_LOSSES": (1, 3)}.items():
        monkeypatch.setattr(quality, name, value)
    monkeypatch.setenv("GANLIB_CACHE", str(tmp_path))
    monkeypatch.setattr(judge, "STEPS", 2)
    noise = torch.rand(400, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.arange(400) % 10
    small = data.Dataset("small", "", noise[:300], labels[:300], noise[300:390], labels[300:390], tuple("0123456789"))
    monkeypatch.setattr(data, "load", lambda name: small)
    monkeypatch.setattr(quality, "recipe_of", lambda name, seed: (quality.build({"r1"}, seed), [2, 5]))
    rows = quality.run("textbook", 0)
    assert [(row.get("step"), row.get("weights"), row.get("epoch")) for row in rows] == [
        *((step, w, None) for step in (2, 5) for w in ("raw", "averaged")),
        *((None, None, n) for n in (1, 3)),
    ]

    gan, batches = quality.build({"r1"}, 0), Minibatches(small.train_images, batch_size=128, seed=0)
    logs = [gan.step(batches) for _ in range(5)]
    the_judge = judge.load(small, progress=False)
    real = the_judge.read(small.test_images).features
    for row in rows[2:4]:
        fakes = the_judge.read(gan.sample(90, seed=1000, averaged=row["weights"] == "averaged"))
        # the order of the real images decides only which are among the few
        assert row["frechet"] == pytest.approx(metrics.frechet_distance(real, fakes.features), rel=1e-3)
        assert row["score"] == pytest.approx(metrics.inception_score(fakes.probabilities), rel=1e-3)
        assert row["loss_D"] == pytest.approx(sum(log["loss_D"].item() for log in logs) / 5, rel=1e-3)
    assert rows[2]["frechet"] != rows[3]["frechet"]
    assert 0 < rows[0]["cpu_s"] < rows[2]["cpu_s"]
    logs += [gan.step(batches) for _ in range(7)]
    for row, first in zip(rows[4:], (0, 8)):
        assert row["loss_G"] == pytest.approx(
            sum(log["loss_G"].item() for log in logs[first : first + 4]) / 4, rel=1e-3
        )


def recorded(recipe, step, weights="averaged", column="frechet"):
    """One value for each seed, in the order of the seeds."""
    wanted = {"recipe": recipe, "step": step, "weights": weights}.items()
    rows = sorted((row for row in read(QUALITY)["rows"] if wanted <= row.items()), key=lambda row: row["seed"])
    return [row[column] for row in rows]


@pytest.mark.parametrize(
    ("step", "column", "low", "high"),
    [
        (3000, "frechet", 0, 1.3),
        (3000, "recall", 0.75, 1),
        (3000, "certain", 0.74, 1),
        (6000, "frechet", 0, 0.7),
    ],
)
def test_the_better_recipe_reaches_its_quality(step, column, low, high):
    assert low <= statistics.median(recorded("better", step, column=column)) <= high


def test_the_textbooks_quality_is_reached_fifteen_times_sooner():
    goal = statistics.median(recorded("textbook", 20_167, "raw"))
    step = next(s for s in moments("better") if statistics.median(recorded("better", s)) <= goal)
    seconds = (("textbook", 20_167, "raw"), ("better", step, "averaged"))
    slow, quick = (statistics.median(recorded(*run, "cpu_s")) for run in seconds)
    assert slow / quick >= 15


def test_recorded_losses_stay_while_the_distance_falls_to_a_quarter():
    for column in ("loss_D", "loss_G"):
        early, end = (recorded("better", step, column=column) for step in (1000, 6000))
        assert all(abs(a - b) < 0.02 for a, b in zip(early, end, strict=True))
    assert all(b < a / 4 for a, b in zip(recorded("better", 1000), recorded("better", 6000), strict=True))
