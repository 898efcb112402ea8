import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from run_notebooks import CLAIM, NOTEBOOKS

matplotlib.use("Agg")  # no window, whatever the machine offers
torch.set_num_threads(1)  # small tensors: threads cost more than they give, and toys promise equal digits on one


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch):
    """Tests see the defaults, not what the caller's shell sets; only where the data lie is taken from it."""
    for name in ("GANLIB_STRICT", "GANLIB_SEED", "GANLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(request, tmp_path, monkeypatch, capsys):
    """Run the module's LESSON up to a cell with changes in its code; return what it printed and its false claims."""
    notebook = nbformat.read(NOTEBOOKS / request.module.LESSON, as_version=4)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)

    def until(last, *changes):
        namespace, left = {"__name__": "lesson"}, list(changes)
        for cell in [cell for cell in notebook.cells if cell.cell_type == "code"]:
            source = cell.source
            for change in [c for c in left if c[0] in source]:
                source = source.replace(*change)
                left.remove(change)
            exec(compile(source, cell.id, "exec"), namespace)
            if cell.id == last:
                break
        assert left == [], "the lesson no longer holds the lines that are to be changed"
        printed = capsys.readouterr().out
        return printed, [sentence for mark, sentence, _ in CLAIM.findall(printed) if mark == "✗"]

    yield until
    plt.close("all")
    torch.set_default_dtype(torch.float32)  # a lesson may have changed it
