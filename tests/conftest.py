import re

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from conditions import measured, misplaced, written
from run_notebooks import NOTEBOOKS, claims_in, unwrapped

from ganlib import tables

matplotlib.use("Agg")  # no window, whatever the machine offers
torch.set_num_threads(1)  # small tensors: threads cost more than they give, and toys promise equal digits on one


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch):
    """Tests see the defaults, not what the caller's shell sets; only where the data lie is taken from it."""
    for name in ("GANLIB_STRICT", "GANLIB_SEED", "GANLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cells(request):
    """The code of the module's LESSON by cell id."""
    notebook = nbformat.read(NOTEBOOKS / request.module.LESSON, as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


@pytest.fixture
def claimed(cells):
    """The sentence that a cell of the module's LESSON claims, by cell id; none claims two."""
    found = {id: [*written(source)] for id, source in cells.items()}
    return {id: sentence for id, sentences in found.items() if sentences for [sentence] in [sentences]}


@pytest.fixture
def parts(cells):
    """The names of the conditions of each claim in the module's LESSON, by its sentence; one without names has none."""
    found = {sentence: named for source in cells.values() for sentence, named in written(source).items()}
    return {sentence: [name for name in named if name] for sentence, named in found.items()}


@pytest.fixture
def run(cells, tmp_path, monkeypatch, capsys):
    """Run the module's LESSON up to a cell with changes in its code; return what it printed and its false claims."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)

    def until(last, *changes, only=None):
        """`only`: the cells that `last` rests on, where others would take long."""
        namespace, left = {"__name__": "lesson"}, list(changes)
        for id, source in cells.items():
            if only is not None and id not in (*only, last):
                continue
            for change in [c for c in left if c[0] in source]:
                source = source.replace(*change)
                left.remove(change)
            exec(compile(source, id, "exec"), namespace)
            until.seen |= measured(source, namespace)
            if "mnist" in namespace:
                until.data_set = "MNIST" if namespace["mnist"].name == "MNIST" else "stand-in"
            if id == last:
                break
        assert left == [], "the lesson no longer holds the lines that are to be changed"
        printed = unwrapped(capsys.readouterr().out)
        return printed, [sentence for held, sentence, _ in claims_in(printed) if not held]

    until.seen, until.data_set = {}, "none"  # the two sides of each comparison of each claim
    yield until
    plt.close("all")
    torch.set_default_dtype(torch.float32)  # a lesson may have changed it


@pytest.fixture
def misplaced_in(run, request):
    """What is wrong with the thresholds of a claim's part, which `run` has just broken, beside the recorded runs."""
    rows = tables.load(f"{request.module.LESSON[:2]}_claims")["rows"]

    def faults(sentence, part=""):
        on = {"none", run.data_set} if run.data_set != "none" else {row["data"] for row in rows}  # none is loaded yet
        recorded = [row["claims"][sentence][2] for row in rows if row["data"] in on]
        assert recorded, f"the table of claims has no run on {run.data_set}: make it again"
        names = [name for name in run.seen[sentence] if part in name]
        return [
            f"{name}: {fault}"
            for name in names
            for fault in misplaced([one.get(name, "") for one in recorded], run.seen[sentence][name])
        ]

    return faults


@pytest.fixture
def still_true(run, claimed, misplaced_in):
    """Return what still holds of the parts of a cell's claim, or fails by a hair, after changes to the lesson."""

    def found(cell, *changes, parts, only=None):
        printed, false = run(cell, *changes, only=only)
        if claimed[cell] not in false:
            return [claimed[cell]]
        [not_so] = re.findall(r"  Not so: (.*)\.$", printed[printed.index("✗") :], re.MULTILINE)[-1:] or [""]
        return [part for part in parts if part not in not_so or misplaced_in(claimed[cell], part)]

    return found
