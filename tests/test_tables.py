"""The committed tables: their format, and a spot-check against the lesson as it is stored."""

import json
import re
from pathlib import Path

import make_tables
import nbformat
import pytest
from run_notebooks import NOTEBOOKS, claims

TABLES = sorted((NOTEBOOKS / "tables").glob("*.json"))


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
    lessons = {path.name[:2] for path in NOTEBOOKS.glob("*.ipynb")}
    assert lessons == {path.name[:2] for path in TABLES if path.name.endswith("_claims.json")}


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_a_table_says_how_it_was_made(path):
    table = read(path)
    assert table.keys() == {"about", "seeds", "versions", "code", "rows"}
    assert set(table["versions"]) == set(make_tables.PACKAGES)
    data_sets = {row["data"] for row in table["rows"]}
    assert data_sets in ({"MNIST", "stand-in"}, {"none"})
    assert sorted((r["data"], r["seed"]) for r in table["rows"]) == [
        (name, seed) for name in sorted(data_sets) for seed in range(table["seeds"])
    ]


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_every_claim_held_under_every_seed(path):
    for row in read(path)["rows"]:
        assert all(holds for holds, _ in row["claims"].values()), row


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_the_stored_lesson_agrees_with_its_row(path):
    assert not disagreements(read(path), claims(nbformat.read(lesson_of(path), as_version=4)))


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_table_was_made_by_this_code(path):
    if read(path)["code"] != make_tables.code_hash(lesson_of(path)):
        pytest.skip(f"{path.name} was made by earlier code: `make tables` would measure it again")


def test_the_spot_check_notices():
    row = {"data": "MNIST", "seed": 0, "claims": {"a": [True, "0.50"], "b": [True, ""]}}
    table = {"rows": [row]}
    assert not disagreements(table, [(True, "a", "0.52"), (True, "b", "")])
    assert not close("0.1% of 9%", "0.1% of 5%")
    assert disagreements(table, [(True, "a", "0.70"), (True, "b", "")]) == ["a"]
    assert disagreements(table, [(False, "a", "0.50"), (True, "b", "")]) == ["a"]
    assert disagreements(table, [(True, "a", "0.50"), (True, "c", "")]) == ["b", "c"]


def test_hash_ignores_comments_and_docstrings_only(tmp_path, monkeypatch):
    monkeypatch.setattr(make_tables, "PACKAGE", tmp_path)
    lesson = tmp_path / "09_x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]), lesson)

    def hash_of(source):
        (tmp_path / "module.py").write_text(source, encoding="utf-8")
        return make_tables.code_hash(lesson)

    first = hash_of('def f():\n    """Say."""\n    return 1\n')
    assert first == hash_of('def f():\n    """Say more."""\n    return 1  # why\n')
    assert first != hash_of('def f():\n    """Say."""\n    return 2\n')


def test_an_interrupted_table_goes_on(tmp_path, monkeypatch):
    lesson = tmp_path / "09_x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]), lesson)
    ran = []

    def fake_execute(nb, folder, *, seed):
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(seed)
        return nb

    monkeypatch.setattr(make_tables, "execute", fake_execute)
    monkeypatch.setattr(make_tables, "claims", lambda nb: [(True, "one is one", "1")])
    with pytest.raises(KeyboardInterrupt):
        make_tables.claims_table(lesson, 3, tmp_path)
    assert [row["seed"] for row in read(tmp_path / "09_claims.json")["rows"]] == [0, 1]
    monkeypatch.setattr(make_tables, "execute", lambda nb, folder, *, seed: ran.append(seed) or nb)
    make_tables.claims_table(lesson, 3, tmp_path)
    assert ran == [0, 1, 2]
    table = read(Path(tmp_path / "09_claims.json"))
    assert table["rows"][2] == {"data": "none", "seed": 2, "claims": {"one is one": [True, "1"]}}
