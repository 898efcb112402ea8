"""The committed tables: their format, a spot-check against the lesson as it is stored, and the tools that make them."""

import ast
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
import conditions
import few
import labels
import make_tables
import nbformat
import pytest
import quality
import torch
import toys
import tuning
import vaes
from run_notebooks import NOTEBOOKS, claims

from ganlib import data, judge, metrics, models
from ganlib.training import Minibatches

TABLES = sorted(make_tables.TABLES.glob("*.json"))
CLAIMS = [path for path in TABLES if path.name.endswith("_claims.json")]
QUALITY, TOYS = (make_tables.TABLES / f"{name}.json" for name in ("04_quality", "03_toys"))
TUNING, VAES = (make_tables.TABLES / f"{name}.json" for name in ("05_tuning", "05_vaes"))
LABELS, FEW = (make_tables.TABLES / f"{name}.json" for name in ("06_labels", "06_few"))


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
    measured = {sentence: claim[1] for sentence, claim in row.items()}
    if row.keys() != {sentence for _, sentence, _ in stored}:
        return sorted(row.keys() ^ {sentence for _, sentence, _ in stored})
    return [
        sentence
        for holds, sentence, value in stored
        if row[sentence][0] != holds or not close(measured[sentence], value)
    ]


def test_every_lesson_has_a_table_of_its_claims():
    lessons = {path.name[:2] for path in anatomy.lessons()}
    assert lessons == {path.name[:2] for path in CLAIMS}
    assert {path.stem for path in CLAIMS} | make_tables.RECIPES.keys() == {path.stem for path in TABLES}


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_a_table_says_how_it_was_made(path):
    table = read(path)
    own = "first" if path.stem in make_tables.RECIPES else "conditions"
    assert table.keys() - {"confirmed"} == {"about", "versions", "code", "modules", "minutes", own, "rows"}
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
        assert all(claim[0] for claim in row["claims"].values()), row


@pytest.mark.parametrize("path", CLAIMS, ids=lambda p: p.stem)
def test_the_stored_lesson_agrees_with_its_row(path):
    assert not disagreements(read(path), claims(nbformat.read(lesson_of(path), as_version=4)))


def faults_of_conditions(table, now):
    """Parts of claims that are not as the table has them, and thresholds that a run of the table all but misses."""
    then = table.get("conditions", {})
    for sentence in then | now:
        for part in then.get(sentence, {}) | now.get(sentence, {}):
            old, new = (ast.parse(one.get(sentence, {}).get(part, "nothing")) for one in (then, now))
            if ast.dump(old) != ast.dump(new):
                told = f"measured with `{ast.unparse(old)}`, the lesson has `{ast.unparse(new)}`"
                yield f"{sentence}: {part}: {told}. Take it back, or make the table again"
                continue
            seen = [conditions.comparisons(row["claims"][sentence][2].get(part, "")) for row in table["rows"]]
            if {len(one) for one in seen} != {sum(type(op) in conditions.ORDER for op in ops(new))}:
                yield f"{sentence}: {part}: a comparison of no single number: reduce it, with .max() or .min()"
            near = [f"{a:g} {sign} {b:g}" for one in seen for a, sign, b in one if near_miss(a, sign, b)]
            if near:
                yield f"{sentence}: {part}: {near[0]} is within a tenth of its threshold, so some seed will miss it"


def ops(tree):
    return [op for node in ast.walk(tree) if isinstance(node, ast.Compare) for op in node.ops]


def outcome(node):
    """Whether an expression is an ordered comparison, or holds the outcome of one."""
    inner = [getattr(node, field, []) for field in ("elt", "elts", "operand", "values")]
    inner = [one for part in inner for one in (part if isinstance(part, list) else [part])]
    ordered = isinstance(node, ast.Compare) and {*map(type, node.ops)} & conditions.ORDER.keys()
    return not isinstance(node, ast.Dict) and bool(ordered or any(map(outcome, inner)))


def hidden(sources):
    """Parts of claims that are a name for a comparison: its sides are not seen."""
    assigned = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign)]
    targets = [name for node in assigned if outcome(node.value) for name in ast.walk(ast.Tuple(node.targets))]
    named = {name.id for name in targets if isinstance(name, ast.Name)}
    for parts in (parts for source in sources for parts in conditions.conditions(source).values()):
        for part, one in parts.items():
            for name in {node.id for node in ast.walk(one) if isinstance(node, ast.Name)} & named:
                yield f"{part}: {name} holds the outcome of a comparison: write the comparison into the claim"


def near_miss(*comparison):
    return not conditions.exact(*comparison) and abs(conditions.margin(*comparison)) < 0.1


@pytest.mark.parametrize("path", CLAIMS, ids=lambda p: p.stem)
def test_each_condition_is_the_one_that_was_measured_and_stands_off_its_threshold(path):
    assert list(faults_of_conditions(read(path), make_tables.conditions_of(lesson_of(path)))) == []


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_table_was_made_by_this_code(path):
    recipes = path.stem in make_tables.RECIPES
    today = make_tables.code_of_recipes(path.stem) if recipes else make_tables.code_of_lesson(lesson_of(path))
    stale = make_tables.staleness(path, read(path), today)
    assert not stale, stale


@pytest.mark.parametrize("path", CLAIMS, ids=lambda p: p.stem)
def test_each_threshold_stands_in_its_claim(path):
    cells = nbformat.read(lesson_of(path), as_version=4).cells
    assert list(hidden([cell.source for cell in cells if cell.cell_type == "code"])) == []


CELL = """
ok = {"a": x < 5, "b": all(y > 0.5 for y in ys), "c": 0 < x < z, "d": w == 2, "e": v <= u}
claim("S", ok)
claim("T", not x > 9)
"""
VALUES = {"x": 2.0, "ys": [0.9, 0.7], "z": 4, "w": 2, "v": 1.0, "u": 1.0}
LOOSER = {
    "x < 5": ("x < 50", "S: a: measured with `x < 5`, the lesson has `x < 50`."),
    "y > 0.5": ("y >= 0.5", "S: b: measured with `all((y > 0.5 for y in ys))`"),
    "all(": ("any(", "S: b: measured with `all((y > 0.5 for y in ys))`, the lesson has `any("),
    '"d": w == 2, ': ("", "S: d: measured with `w == 2`, the lesson has `nothing`"),
    '"e": v <= u': ('"e": v <= u, "f": True', "S: f: measured with `nothing`, the lesson has `True`"),
    "not x > 9": ("True", "T: : measured with `not x > 9`"),
}


def table_of_cell(cell, **changes):
    seen = conditions.measured(cell, VALUES | changes)
    return {"conditions": conditions.written(cell), "rows": [{"claims": {s: [True, "", seen[s]] for s in seen}}]}


def test_the_sides_of_each_comparison_are_seen():
    assert conditions.measured(CELL, VALUES) == {
        "S": {"a": "2 < 5", "b": "0.7 > 0.5", "c": "0 < 2; 2 < 4", "d": "", "e": "1 <= 1"},
        "T": {"": "2 > 9"},
    }
    assert conditions.measured('claim("S", (x < 5).all())', {"x": torch.ones(2)}) == {"S": {"": ""}}


def test_a_condition_without_faults_has_none():
    assert list(faults_of_conditions(table_of_cell(CELL), conditions.written(CELL))) == []
    assert (
        list(
            faults_of_conditions(
                table_of_cell(CELL), conditions.written(CELL.replace(" < 5", "<5").replace("0 < x < z", "0<(x) < z"))
            )
        )
        == []
    )


@pytest.mark.parametrize("old", LOOSER)
def test_a_loosened_condition_is_noticed(old):
    new, fault = LOOSER[old]
    (found,) = faults_of_conditions(table_of_cell(CELL), conditions.written(CELL.replace(old, new)))
    assert found.startswith(fault)


def test_a_threshold_that_is_nearly_missed_is_noticed():
    (found,) = faults_of_conditions(table_of_cell(CELL, x=4.6, z=10), conditions.written(CELL))
    assert found.startswith("S: a: 4.6 < 5 is within a tenth of its threshold")
    unseen = CELL.replace("x < 5", "(xs < 5).all()")
    (found,) = faults_of_conditions(table_of_cell(unseen, xs=torch.ones(2)), conditions.written(unseen))
    assert found.startswith("S: a: a comparison of no single number")


def test_a_threshold_outside_of_its_claim_is_noticed():
    assert list(hidden([CELL])) == []
    (found,) = hidden(["near, far = [a < 1 for a in b]", 'claim("S", {"p": not far})'])
    assert found.startswith("p: far holds the outcome of a comparison")


@pytest.mark.parametrize(
    ("good", "broken", "fault"),
    [
        (["1 < 5", "4 < 5"], "12 < 5", None),
        (["1 < 5", "4.9 < 5"], "12 < 5", "worst good run 4.9 < 5, broken 12 < 5: the threshold hugs the good run"),
        (["1 < 5"], "5.1 < 5", "worst good run 1 < 5, broken 5.1 < 5: the threshold hugs the broken run"),
        (["0 < 5"], "5.1 < 5", "worst good run 0 < 5, broken 5.1 < 5: the threshold hugs the broken run"),
        (["1e-18 < 0.1"], "5.7 < 0.1", None),  # in ratios
        (["-18 < -10"], "-2 < -10", None),
        (["1 <= 1"], "1.01 <= 1", None),  # a bound
        (["1e-15 < 1e-09"], "0.5 < 1e-09", None),  # equality up to rounding
        (["2 > 9"], "9.1 > 9", "worst good run 2 > 9, broken 9.1 > 9: the threshold hugs the broken run"),  # of a `not`
        (["1 < 5; 4.9 < 5"], "12 < 5; 1 < 5", None),  # the first comparison alone is broken
    ],
)
def test_a_threshold_that_hugs_a_run_is_noticed(good, broken, fault):
    found = conditions.misplaced(good, broken)
    assert found == [] if fault is None else found[0].startswith(fault)


def test_a_stale_table_says_what_differs_and_what_to_do():
    table = {"code": "a", "modules": {"cell x": "1", "ganlib.gan": "2", "ganlib.gone": "3"}, "minutes": 12}
    assert not make_tables.staleness(QUALITY, table, {"code": "a", "modules": {}})
    told = make_tables.staleness(
        QUALITY, table, {"code": "b", "modules": {"cell x": "1", "ganlib.gan": "4", "new": "5"}}
    )
    assert "What differs: ganlib.gan, ganlib.gone, new." in told
    assert "`.venv/bin/python tools/make_tables.py 04 --only quality --confirm`" in told
    assert "about 12 minutes" in told


def test_the_spot_check_notices():
    row = {"data": "MNIST", "seed": 0, "claims": {"a": [True, "0.50", {}], "b": [True, "", {}]}}
    table = {"rows": [row]}
    assert not disagreements(table, [(True, "a", "0.52"), (True, "b", "")])
    assert not close("0.1% of 9%", "0.1% of 5%")
    assert disagreements(table, [(True, "a", "0.70"), (True, "b", "")]) == ["a"]
    assert disagreements(table, [(False, "a", "0.50"), (True, "b", "")]) == ["a"]
    assert disagreements(table, [(True, "a", "0.50"), (True, "c", "")]) == ["b", "c"]


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
    make_tables.make(folder / "t.json", {"code": code}, units, functools.partial(square, folder), jobs)
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


def write_lesson(folder, *cells):
    cells = [nbformat.v4.new_code_cell(source, id=f"c{n}") for n, source in enumerate(cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "09_x.ipynb")
    return folder / "09_x.ipynb"


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("x = 1", [("none", 0), ("none", 1)]),
        ('data.load("mnist")', [(d, s) for d in ("MNIST", "stand-in") for s in (0, 1)]),
    ],
)
def test_the_runs_of_a_table_of_claims(source, runs, tmp_path, monkeypatch):
    lesson, seen, made = write_lesson(tmp_path, source, 'claim("S", seed < 2)'), [], {}

    def fake_execute(nb, folder, *, seed):
        seen.append([seed, *map(os.environ.get, ("GANLIB_DATA", "GANLIB_OFFLINE"))])
        shown = nbformat.v4.new_output("display_data", {conditions.MIME: {"S": {"": f"{seed} < 2"}}})
        printed = nbformat.v4.new_output("stream", text=f"{'✗' if seed else '✓'} S ({seed})\n")
        nb.cells[1].outputs = [shown, printed]
        return nb

    def fake_make(path, head, units, work, jobs):
        made.update(path=path, code=head["code"], rows=[row for unit in units for row in work(**unit)])

    monkeypatch.setenv("GANLIB_DATA", "here")
    monkeypatch.setattr(make_tables, "execute", fake_execute)
    monkeypatch.setattr(make_tables, "make", fake_make)
    make_tables.claims_table(lesson, 2, tmp_path)
    assert made == {
        "path": tmp_path / "09_claims.json",
        "code": make_tables.code_of_lesson(lesson)["code"],
        "rows": [{"data": d, "seed": s, "claims": {"S": [s == 0, str(s), {"": f"{s} < 2"}]}} for d, s in runs],
    }
    assert seen == [[s, None, "1"] if d == "stand-in" else [s, "here", None] for d, s in runs]
    assert [os.environ.get(name) for name in ("GANLIB_DATA", "GANLIB_OFFLINE")] == ["here", None]


@pytest.mark.slow
def test_a_run_records_the_sides_of_comparisons(tmp_path):
    cells = ("from ganlib.claims import claim\nx, y = 1, 2.0", 'z = 3\nclaim("S", {"a": x < y, "b": z == 3}, x)')
    (row,) = make_tables._claims_of_a_run(write_lesson(tmp_path, *cells), "none", 0)
    assert row == {"data": "none", "seed": 0, "claims": {"S": [True, "1", {"a": "1 < 2"}]}}


# ---- a table is confirmed by a sample

CONFIRMED = {  # the cells of the lesson, what its sample gives, and what is told
    "nothing moved": (("y = 1", CELL), VALUES, "confirmed by the run of seed 0"),
    "a number moved": (
        ("y = 1", CELL),
        VALUES | {"x": 2.1},
        "none / 0 / claims / S / 2 / a: recorded 2 < 5, now 2.1 < 5",
    ),
    "a looser part": (("x = 1", CELL.replace("5", "50")), VALUES, "S / a: recorded x < 5, now x < 50"),
    "a part less": (("x = 1", CELL.replace('"d": w == 2, ', "")), VALUES, "S / d: recorded w == 2, now None"),
}


@pytest.mark.parametrize("case", CONFIRMED)
def test_a_table_of_claims_is_confirmed_when_nothing_moved(case, tmp_path, monkeypatch, capsys):
    rows = [{"data": "none", "seed": s, **table_of_cell(CELL)["rows"][0]} for s in (0, 1)]
    before = {**make_tables.code_of_lesson(write_lesson(tmp_path, "x = 1", CELL)), "minutes": 1.0, "rows": rows}
    before["conditions"] = conditions.written(CELL)
    table = tmp_path / "09_claims.json"
    table.write_text(json.dumps(before), encoding="utf-8")
    cells, values, told = CONFIRMED[case]
    lesson = write_lesson(tmp_path, *cells)

    def sample(lesson, data, seed):
        return [{"data": data, "seed": seed, **table_of_cell(CELL, **values)["rows"][0]}]

    monkeypatch.setattr(make_tables, "_claims_of_a_run", sample)
    done = make_tables.claims_table(lesson, 2, tmp_path, confirming=True)
    assert told in capsys.readouterr().out
    assert done == (case == "nothing moved")
    if done:
        assert read(table)["code"] == make_tables.code_of_lesson(lesson)["code"] != before["code"]
        assert read(table)["rows"] == rows
    else:
        assert read(table) == before


@pytest.mark.parametrize(
    ("recipe", "factor", "held"),
    [
        ("better", 1.0, True),
        ("better", 1.0005, True),  # another machine
        ("better", 1.002, False),
        ("convolutional", 1.02, True),
        ("real images", 1.1, True),
        ("real images", 1.2, False),
    ],
)
def test_the_quality_table_is_confirmed_by_its_first_steps(recipe, factor, held, tmp_path, monkeypatch, capsys):
    table = tmp_path / QUALITY.name
    shutil.copy(QUALITY, table)
    first = read(table)["first"]
    name = next(iter(first[recipe]))
    now = first | {recipe: first[recipe] | {name: factor * first[recipe][name]}}
    monkeypatch.setattr(quality, "first_steps", lambda: now)
    monkeypatch.setattr(make_tables, "code_of_recipes", lambda name: {"code": "new", "modules": {}})
    assert make_tables.recipes_table("04_quality", tmp_path, confirming=True) == held
    assert held or f"{recipe} / {name}: recorded" in capsys.readouterr().out
    assert read(table)["first"] == first
    assert (read(table)["code"] == "new") == held
    assert held or table.read_bytes() == QUALITY.read_bytes()


def test_the_first_steps_of_each_recipe_are_recorded_and_differ():
    first = read(QUALITY)["first"]
    assert first.keys() == {unit["recipe"] for unit in quality.units()} | {"real images"}
    assert len({tuple(values.values()) for values in first.values()}) == len(first)


def uneven(wanted, found):
    """What one Counter has and the other has not."""
    return [f"missing: {key}" for key in wanted - found] + [f"too many: {key}" for key in found - wanted]


# ---- a sample on another machine, beside the code that made the table


@pytest.fixture
def revision(monkeypatch):
    """The program of a revision, which writes the table that it makes; `made` is what that holds."""
    made, commands = {}, []

    def run(command, check, env=None):
        commands.append([*map(str, command)])
        if "add" in command:
            (Path(command[-2]) / "ganlib" / "tables").mkdir(parents=True)
            (Path(command[-2]) / "ganlib" / "tables" / "02_claims.json").write_text("{}")
        if env:
            assert command[1].startswith(env["PYTHONPATH"])  # its own package, not the installed one
            (Path(env["PYTHONPATH"]) / "ganlib" / "tables" / "02_claims.json").write_text(json.dumps(made))

    monkeypatch.setattr(make_tables.subprocess, "run", run)
    yield made
    assert [next(word for word in ("add", "--seeds=1", "remove") if word in one) for one in commands] == [
        "add", "--seeds=1", "remove",
    ]  # fmt: skip


LESSON_02 = lesson_of(make_tables.TABLES / "02_claims.json")


def test_rows_of_another_revision_are_those_of_the_code_of_the_table(revision):
    revision |= {"code": "old", "rows": [{"data": "none", "seed": 0}]}
    assert make_tables.rows_of("abc", LESSON_02, "old") == revision["rows"]


def test_another_revision_than_that_of_the_table_is_refused(revision):
    revision |= {"code": "other", "rows": []}
    with pytest.raises(ValueError, match=r"before must be the revision whose code made 02_claims.json, got abc"):
        make_tables.rows_of("abc", LESSON_02, "old")


@pytest.mark.parametrize("same", [True, False])
def test_a_table_is_confirmed_beside_another_revision_on_one_machine(same, tmp_path, monkeypatch, capsys):
    path = tmp_path / "02_claims.json"
    shutil.copy(make_tables.TABLES / path.name, path)
    now = {"data": "none", "seed": 0, "claims": {"a": [True, "0.51", {}]}}  # of another machine than the table's
    before = now if same else now | {"claims": {"a": [True, "0.52", {}]}}
    monkeypatch.setattr(make_tables, "_claims_of_a_run", lambda lesson, data, seed: [now])
    monkeypatch.setattr(make_tables, "rows_of", lambda revision, lesson, code: [before])
    assert make_tables.claims_table(LESSON_02, 10, tmp_path, confirming=True, before="abc") == same
    assert ("beside" if same else "recorded 0.52, now 0.51") in capsys.readouterr().out.replace("to that of", "beside")
    assert ("abc on one machine" in read(path).get("confirmed", "")) == same


# ---- the toys of lesson 03


def faults_of_toys(rows):
    """What a table of toys lacks, has too much of, or holds that is no possible number."""
    wanted = Counter(tuple(unit.values()) for unit in toys.units() if unit["sweep"] != "runs")
    found = Counter((row["sweep"], row["setting"], row["seed"]) for row in rows if row["sweep"] != "runs")
    bad = uneven(wanted, found)
    steps = {
        fault: [row["step"] for row in rows if (row["sweep"], row["setting"]) == ("runs", fault)] for fault in "ABCDE"
    }
    bad += [f"steps of run {fault}: {of}" for fault, of in steps.items() if of != [*range(25, 1201, 25)]]
    for row in rows:
        place = f"{row['sweep']}, {row['setting']}, {row['seed']}"
        of_copies = {"wasserstein", "covered", "on", "spread"} if row["sweep"] != "runs" else set()
        for name in row.keys() & of_copies:
            values = row[name]
            if len(values) != toys.COPIES or not all(value >= 0 or name == "spread" for value in values):
                bad.append(f"no ten numbers >= 0: {name} in {place}")
        if row.get("step") == 1200 and sum(row["histogram"]) != toys.SEEN:
            bad.append(f"a histogram of other fakes in {place}")
    return bad


def test_the_toys_table_is_complete():
    assert faults_of_toys(read(TOYS)["rows"]) == []


def test_faults_of_a_toys_table_are_noticed():
    rows = read(TOYS)["rows"]
    assert faults_of_toys(rows[1:]) == ["missing: ('steps of D', 'k = 1, without R1', 0)"]
    assert faults_of_toys([*rows, rows[0]]) == ["too many: ('steps of D', 'k = 1, without R1', 0)"]
    for wrong in ([0.1] * 9, [0.1] * 9 + [-0.1], [0.1] * 9 + [math.nan]):
        assert len(faults_of_toys([rows[0] | {"wasserstein": wrong}, *rows[1:]])) == 1
    [fault] = faults_of_toys([*rows[:-1], rows[-1] | {"histogram": [1] * 60}])
    assert fault.startswith("a histogram")
    assert faults_of_toys(rows[:-1])[0].startswith("steps of run E")


def test_the_first_steps_of_each_toy_are_recorded():
    names = {f"{unit['sweep']}, {unit['setting']}" for unit in toys.units() if unit["sweep"] != "runs"}
    assert read(TOYS)["first"].keys() == names | {"runs"}


def test_copies_of_a_toy_are_measured_one_by_one(monkeypatch):
    monkeypatch.setattr(toys, "COPIES", 3)
    monkeypatch.setattr(toys, "SAMPLES", 200)
    for sweep, setting in (("steps of D", "k = 3, with R1"), ("ring", "fast G, packed D"), ("grid", "code")):
        monkeypatch.setitem(toys.SWEEPS[sweep], setting, toys.SWEEPS[sweep][setting] | {"steps": 4})
        [row] = toys.run(sweep, setting, 5)
        gan, batches, scale, steps = toys.toy(5, **toys.SWEEPS[sweep][setting])
        assert steps == 4
        for _ in range(4):
            gan.step(batches)
        for k in range(3):
            fakes = gan.sample(200, seed=6)[:, k] * scale
            if "wasserstein" in row:
                assert row["wasserstein"][k] == pytest.approx(metrics.wasserstein_to(fakes, toys.PEAKS), rel=1e-3)
            else:
                target = toys.RING if sweep == "ring" else toys.GRID
                assert row["covered"][k] == metrics.modes(fakes, target).covered
                assert row["on"][k] == pytest.approx(metrics.modes(fakes, target).on, rel=1e-3)


# ---- the search and the comparison of lesson 05

OF_SAMPLES = {"certain", "precision", "recall", "coverage"}  # shares
SIZES = {"frechet", "score", "divergence", "density", "sharpness"}
OF_MODELS = {"cpu_s", "per_second", "parameters", "given_back"}
OF_CODES = {"decoded", "bound", "pixels"}
OF_A_LEARNT_PRIOR = {"plain_prior", "calls"}
MOMENTS = {  # rows of one run, by its kind
    "compare": ("share", [0.25, 1.0]),
    "control": ("share", [None]),
    "pixel flow": ("share", [None]),
    "elbo": ("step", [*vaes.ELBO_STEPS]),
    "parzen": (
        "source",
        ["10,000 real images", "1,000 real images", "1,000 k-means centroids", "GAN", "VAE"],
    ),
}


def measures_of(row):
    """The names that a row of the comparison has besides those of its run."""
    if row["kind"] == "compare":
        of_codes = set() if row["name"] == "GAN" else OF_CODES
        of_a_prior = OF_A_LEARNT_PRIOR if "prior" in row["name"] else set()
        return {"share"} | OF_SAMPLES | SIZES | OF_MODELS | of_codes | of_a_prior
    return {
        "control": OF_SAMPLES | SIZES,
        "pixel flow": {"cpu_s", "calls"},
        "elbo": {"step", "cpu_s", "elbo", "bound_50", "kl", "active"},
        "parzen": {"source", "sigma", "log_likelihood"},
    }[row["kind"]]


def faults_of_vaes(rows):
    """What the table of the comparison lacks, has too much of, or holds that is no possible number."""
    wanted = Counter()
    for unit in vaes.units():
        wanted.update((*unit.values(), moment) for moment in MOMENTS[unit["kind"]][1])
    found = Counter(
        (*(row[name] for name in ("kind", "name", "seed")), row.get(MOMENTS[row["kind"]][0])) for row in rows
    )
    bad = uneven(wanted, found)
    for row in rows:
        place = f"{row['kind']}, {row['name']}, {row['seed']}"
        if row.keys() != measures_of(row) | {"kind", "name", "seed"}:
            bad.append(f"other measures in {place}")
        if not all(0 <= row[name] <= 1 for name in OF_SAMPLES & row.keys()):
            bad.append(f"no share in {place}")
        sizes = [row[name] for name in (SIZES | OF_MODELS | {"decoded", "pixels", "plain_prior", "kl"}) & row.keys()]
        if not all(0 <= size < math.inf for size in [*sizes, *row.get("calls", {}).values()]):
            bad.append(f"no number >= 0 in {place}")
        if "bound_50" in row and not row["elbo"] < row["bound_50"] < 0:
            bad.append(f"no tighter bound in {place}")
    return bad


def test_the_tables_of_lesson_05_are_complete():
    assert faults_of_vaes(read(VAES)["rows"]) == []
    assert [(row["model"], row["setting"]) for row in read(TUNING)["rows"]] == [
        (model, setting) for model, settings in tuning.SETTINGS.items() for setting in settings
    ]
    assert {len(settings) for settings in tuning.SETTINGS.values()} == {6}


def test_faults_of_the_comparison_are_noticed():
    rows = read(VAES)["rows"]
    first = "('compare', 'GAN', 0, 0.25)"
    assert faults_of_vaes(rows[1:]) == [f"missing: {first}"]
    assert faults_of_vaes([*rows, rows[0]]) == [f"too many: {first}"]
    for name, value in [("recall", 1.2), ("frechet", math.nan), ("given_back", -1.0), ("bound", -100.0)]:
        assert len(faults_of_vaes([rows[0] | {name: value}, *rows[1:]])) == 1, name
    elbo = next(k for k, row in enumerate(rows) if row["kind"] == "elbo")
    assert len(faults_of_vaes([*rows[:elbo], rows[elbo] | {"bound_50": -500.0}, *rows[elbo + 1 :]])) == 1


def test_the_compared_settings_are_the_best_of_the_search():
    for model, setting in vaes.BEST.items():
        found = {row["setting"]: row["frechet"] for row in read(TUNING)["rows"] if row["model"] == model}
        assert setting == min(found, key=lambda name: found[name])


def test_the_first_steps_of_lesson_05_are_recorded_and_differ():
    names = {f"{model}, {setting}" for model, settings in tuning.SETTINGS.items() for setting in settings}
    for path, wanted in ((TUNING, names), (VAES, {*vaes.BEST, "elbo", "real images"})):
        first = read(path)["first"]
        assert first.keys() == wanted
        assert (
            len({str(values) for values in first.values()}) >= len(first) - 2
        )  # settings of a flow, and of R1 at 8 steps


def test_a_parzen_window_agrees_with_another_program():
    from sklearn.neighbors import KernelDensity

    rng = torch.Generator().manual_seed(0)
    samples, tests = (torch.rand(n, 5, generator=rng, dtype=torch.float64) for n in (40, 7))
    by_sklearn = KernelDensity(bandwidth=0.2).fit(samples.numpy()).score_samples(tests.numpy()).mean()
    assert vaes.parzen(samples, tests, 0.2) == pytest.approx(by_sklearn, rel=1e-9)


def test_a_learnt_prior_draws_codes_that_look_like_those_of_images():
    noise = torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    vae = tuning.vae_of(3, latent_dim=4)
    prior = tuning.LearntPrior(vae, noise, 3, lr=2e-3)
    codes = vae.encode(noise)[0]
    assert torch.allclose(prior.mean, codes.mean(0), atol=0.3)
    (batch,) = next(prior.batches)
    assert batch.shape == (256, 4)
    assert abs(batch.mean()) < 0.2
    assert abs(batch.std() - 1) < 0.1
    drawn = prior.sample(20, seed=1, calls=2)
    by_hand = vae.generate(prior.mean + prior.sd * prior.flow.sample(20, seed=1, calls=2))
    assert torch.equal(drawn, by_hand)


def test_the_controls_of_lesson_05_are_spoilt_as_they_say():
    images = torch.rand(vaes.SAMPLES, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    small = data.Dataset("small", "", images, torch.zeros(len(images)), images, torch.zeros(len(images)), ("0",))
    real, blurred, noise = (vaes.CONTROLS[name](small, 1) for name in vaes.CONTROLS)
    assert torch.equal(real.sum((1, 2, 3)).sort().values, images.sum((1, 2, 3)).sort().values)
    assert torch.allclose(blurred[:, 0, 5, 7], real[:, 0, 4:7, 6:9].mean((1, 2)), atol=1e-6)
    assert noise.shape == real.shape
    assert noise.min() < -0.99
    assert noise.max() > 0.99
    assert set(vaes.binarised(images[:50], 3).unique().tolist()) == {-1.0, 1.0}
    assert abs(vaes.binarised(images[:50], 3).mean() - images[:50].mean()) < 0.02


# ---- the conditional GANs and the few labels of lesson 06

SHARES = {"accuracy", "certain", "precision", "recall", "taught"}
HELPS = {"nothing", "augmentation"}
WITH_FAKES = {"fakes", "both", "fakes alone", "right", "copied"}


def faults_of_labels(rows):
    """What a table of labels lacks, has too much of, or holds that is no possible number."""
    wanted = Counter()
    for unit in labels.units():
        moments = labels.RUNS[unit["recipe"], unit["way"]][0] if unit["recipe"] != "real" else [None]
        wanted.update((*unit.values(), step) for step in moments)
    bad = uneven(wanted, Counter((row["recipe"], row["way"], row["seed"], row.get("step")) for row in rows))
    for row in rows:
        place = f"{row['recipe']}, {row['way']}, {row['seed']}, {row.get('step')}"
        shares = [*(row.get(name, math.nan) for name in SHARES), *row["accuracies"]]
        if not all(0 <= share <= 1 for share in shares) or len(row["accuracies"]) != 10:
            bad.append(f"no share in {place}")
        elif abs(statistics.mean(row["accuracies"]) - row["accuracy"]) > 0.01:
            bad.append(f"the accuracies have another mean in {place}")
        if not all(0 <= row.get(name, math.nan) < math.inf for name in ("frechet", "spread", "divergence")):
            bad.append(f"no number >= 0 in {place}")
    return bad


def faults_of_few(rows):
    """The same of a table of few labels."""
    wanted = Counter(tuple(unit.values()) for unit in few.units())
    bad = uneven(wanted, Counter((row["per_class"], row["seed"]) for row in rows))
    for row in rows:
        names = HELPS if row["per_class"] == 600 else HELPS | WITH_FAKES  # a tenth of the labels: no GAN
        if row.keys() != names | {"per_class", "seed"} or not all(0 <= row[name] <= 1 for name in names):
            bad.append(f"no shares in {row['per_class']}, {row['seed']}")
    return bad


def test_the_tables_of_lesson_06_are_complete():
    assert faults_of_labels(read(LABELS)["rows"]) == []
    assert faults_of_few(read(FEW)["rows"]) == []


def test_faults_of_a_table_of_labels_are_noticed():
    rows = read(LABELS)["rows"]
    assert faults_of_labels(rows[1:]) == ["missing: ('real', 'as they are', 0, None)"]
    assert faults_of_labels([*rows, rows[0]]) == ["too many: ('real', 'as they are', 0, None)"]
    for name, value in [("taught", 1.2), ("accuracies", [1.0] * 9), ("accuracy", 0.5), ("frechet", math.nan)]:
        assert len(faults_of_labels([rows[0] | {name: value}, *rows[1:]])) == 1, name


def test_faults_of_a_table_of_few_labels_are_noticed():
    rows = read(FEW)["rows"]
    assert faults_of_few(rows[1:]) == ["missing: (10, 0)"]
    assert faults_of_few([*rows, rows[0]]) == ["too many: (10, 0)"]
    for name, value in [("both", 1.2), ("copied", math.nan), ("more", 0.5)]:
        assert len(faults_of_few([rows[0] | {name: value}, *rows[1:]])) == 1, name


def test_the_first_steps_of_lesson_06_are_recorded_and_differ():
    for path, names in (
        (LABELS, {f"{recipe}, {way}" for recipe, way in labels.RUNS} | {"real images"}),
        (FEW, {"GAN", "classifier, real", "classifier, moved", "classifier, both"}),
    ):
        first = read(path)["first"]
        assert first.keys() == names
        assert len({str(values) for values in first.values()}) == len(first)


@pytest.mark.parametrize("way", labels.WAYS)
def test_a_way_to_tell_d_gives_one_logit_and_no_more_than_it_says(way):
    D = labels.conditional("better", way, 3).D.eval()
    with torch.no_grad():
        for weight in D.parameters():  # an embedding of zeros would hide the label
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    x = (2 * torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(1)) - 1).requires_grad_()
    at_3, at_8 = (D(x, torch.full((6,), label)) for label in (3, 8))
    assert at_3.shape == at_8.shape == (6, 1)
    assert torch.equal(at_3, at_8) == (way == "classifier")  # it reads the label from the image
    slopes = [torch.autograd.grad(out.sum(), x)[0] for out in (at_3, at_8)]
    assert torch.allclose(*slopes, atol=1e-6) == (way in ("classifier", "last layer"))  # these meet no image


def test_the_controls_of_lesson_06_are_spoilt_as_they_say():
    noise = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    small = data.Dataset("small", "", noise, torch.arange(40) % 10, noise, torch.arange(40) % 10, tuple("0123456789"))
    images, own = labels.CONTROLS["as they are"](small, 2)
    where = [int((noise == image).flatten(1).all(1).nonzero()) for image in images]
    assert sorted(where) == list(range(40))
    assert own.tolist() == [k % 10 for k in where]
    same, shifted = labels.CONTROLS["labels shifted by one"](small, 2)
    assert torch.equal(same, images)
    assert shifted.tolist() == [(k + 1) % 10 for k in where]
    repeated, of = labels.CONTROLS["one image a class"](small, 2)
    assert len(repeated) == len(of) == labels.TAUGHT
    first = {label: images[own == label][0] for label in range(10)}
    assert all(torch.equal(image, first[k % 10]) for k, image in enumerate(repeated[:50]))


def test_few_labels_are_so_many_of_each_class_and_mix_half_and_half():
    noise, of = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 10
    small = data.Dataset("small", "", noise, of, noise, of, tuple("0123456789"))
    images, own = few.chosen(small, 3, 1)
    assert own.bincount().tolist() == [3] * 10
    assert all((noise[of == label] == image).flatten(1).all(1).sum() == 1 for image, label in zip(images, own))
    assert not torch.equal(images, few.chosen(small, 3, 2)[0])
    fakes, asked = -torch.ones(70, 1, 28, 28), torch.arange(70) % 10
    x, y = few.mixed(images, own, fakes, asked)
    assert torch.equal(x, torch.cat([images, images, images[:10], fakes]))
    assert torch.equal(y, torch.cat([own, own, own[:10], asked]))


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
    bad = uneven(wanted, found)
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
