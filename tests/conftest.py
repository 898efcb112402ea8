import ast

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from run_notebooks import NOTEBOOKS, claims_in, unwrapped

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
def parts(cells):
    """The names of the conditions of each claim in the module's LESSON, by its sentence; one without names has none."""
    found = {}
    for source in cells.values():
        tree = ast.parse(source)
        named = {
            n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign) and hasattr(n.targets[0], "id")
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "claim":
                sentence, ok = call.args[:2]
                ok = named.get(getattr(ok, "id", None), ok)
                found[sentence.value] = [key.value for key in ok.keys] if isinstance(ok, ast.Dict) else []
    return found


@pytest.fixture
def run(cells, tmp_path, monkeypatch, capsys):
    """Run the module's LESSON up to a cell with changes in its code; return what it printed and its false claims."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)

    def until(last, *changes):
        namespace, left = {"__name__": "lesson"}, list(changes)
        for id, source in cells.items():
            for change in [c for c in left if c[0] in source]:
                source = source.replace(*change)
                left.remove(change)
            exec(compile(source, id, "exec"), namespace)
            if id == last:
                break
        assert left == [], "the lesson no longer holds the lines that are to be changed"
        printed = unwrapped(capsys.readouterr().out)
        return printed, [sentence for held, sentence, _ in claims_in(printed) if not held]

    yield until
    plt.close("all")
    torch.set_default_dtype(torch.float32)  # a lesson may have changed it
