import matplotlib
import pytest
import torch

matplotlib.use("Agg")  # no window, whatever the machine offers
torch.set_num_threads(1)  # small tensors: threads cost more than they give, and toys promise equal digits on one


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch):
    """Tests see the defaults, not what the caller's shell sets; only where the data lie is taken from it."""
    for name in ("GANLIB_STRICT", "GANLIB_SEED", "GANLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
