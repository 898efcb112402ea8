"""A JupyterLab server on a folder of its own, a Chromium, and what a reader sees in an opened notebook."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from seen import CHROMIUM, LAPTOP, Opened

SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # it would cover the lesson
    "apputils-extension/themes": {"theme": "JupyterLab Light", "adaptive-theme": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # what is below the window is drawn at once
}


class Lab:
    """A JupyterLab server whose notebooks, settings and trust lie in the folder `home`."""

    def __init__(self, home: Path):
        self.home, self.visits = home, 0
        for name, values in SETTINGS.items():
            file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values), encoding="utf-8")
        folders = {
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",  # which notebooks are trusted
            "JUPYTER_RUNTIME_DIR": "runtime",
            "IPYTHONDIR": "ipython",
        }
        for name in ("work", "data"):
            (home / name).mkdir()
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token="]
        options += ["--expose-app-in-browser", f"--ServerApp.root_dir={home / 'work'}"]
        with open(home / "log", "wb") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options],
                env=os.environ | {name: str(home / folder) for name, folder in folders.items()},
                stdout=log,
                stderr=log,
            )

    def address(self) -> str:
        """Where the server answers, once it does."""
        for _ in range(300):
            for file in (self.home / "runtime").glob("jpserver-*.json"):
                try:
                    return json.loads(file.read_text(encoding="utf-8"))["url"]
                except json.JSONDecodeError:
                    pass  # half written
            assert self.server.poll() is None, (self.home / "log").read_text(encoding="utf-8")
            time.sleep(0.1)
        raise TimeoutError("JupyterLab did not start in 30 seconds")

    def open(self, window, nb: nbformat.NotebookNode, *, trusted: bool, kernel: bool = True) -> Opened:
        """Write `nb` to the folder and open it in a fresh workspace; return when its kernel, if any, is idle."""
        self.visits += 1
        name = f"visit-{self.visits}"
        if not kernel:  # as on a machine that has no such kernel
            nb.metadata.kernelspec = {"name": "absent", "display_name": "Absent", "language": "absent"}
            nb.metadata.language_info = {"name": "absent"}
        path = self.home / "work" / f"{name}.ipynb"
        nbformat.write(nb, path)
        notary = NotebookNotary(data_dir=str(self.home / "data"))
        (notary.sign if trusted else notary.unsign)(nbformat.read(path, as_version=4))
        notary.store.close()
        window.goto(f"{self.address()}lab/workspaces/{name}/tree/{path.name}?reset")
        window.wait_for_selector(".jp-Notebook")
        if kernel:
            window.wait_for_function(
                "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
            )
        else:
            window.get_by_role("dialog").get_by_role("button", name="No Kernel").click()
        return Opened(window, path).settled(widgets=kernel)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab of which nothing outside a temporary folder is read or written."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.server.terminate()
    lab.server.wait(30)


@pytest.fixture(scope="module")
def chromium():
    """A browser that has no network but this machine."""
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium):
    """A window as large as a laptop's."""
    page = chromium.new_page(viewport=LAPTOP)
    page.set_default_timeout(60_000)
    yield page
    page.close()
