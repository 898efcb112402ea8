"""What a reader sees in a window: of a notebook in JupyterLab, or of an exported page."""

import shutil
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LAPTOP = {"width": 1366, "height": 768}
# A part is seen when it takes room and nothing hides it or a part around it.
HELPERS = """
    const seen = e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().height > 0;
    const all = (css, root = document) => [...root.querySelectorAll(css)];
    const cells = () => jupyterapp.shell.currentWidget.content.widgets;
"""
# Faults that JupyterLab and ipywidgets 8 make and a lesson cannot mend: the sentence of each picture stands below it,
# and beside each slider a box with its name. All else in outputs and texts is ours.
NOT_OURS = {
    "image-alt": ".jp-RenderedImage > img, img.widget-image",
    "aria-input-field-name": ".widget-slider .noUi-handle, .jp-InputArea-editor .cm-content",
}


def ask(window, script: str, *arguments: Any) -> Any:
    """The value of a JavaScript function, called with the arguments."""
    return window.evaluate(f"async a => {{ {HELPERS} return await ({script})(...a) }}", arguments)


def violations(window, inside: str, *, rules: list[str] | None = None) -> tuple[list[str], list[str]]:
    """What axe-core finds in the parts `inside`: the faults that are ours, and those that are not."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    ours, others = [], []
    for fault in Axe().run(window, options=options).response["violations"]:
        for node in fault["nodes"]:
            within, excused = ask(
                window,
                "(css, inside, excused) => { const e = document.querySelector(css);"
                " return [!!e.closest(inside), excused && e.matches(excused)] }",
                node["target"][0],
                inside,
                NOT_OURS.get(fault["id"], ""),
            )
            (ours if within and not excused else others).append(f"{fault['id']}: {node['html'][:150]}")
    return ours, others


class Opened:
    """A notebook in a window of JupyterLab, and its file."""

    def __init__(self, window, path: Path):
        self.window, self.path = window, path

    def command(self, name: str, **arguments: Any) -> bool:
        """Run a command of JupyterLab and wait for its end; whether it says true."""
        return ask(
            self.window, "async (name, a) => await jupyterapp.commands.execute(name, a) === true", name, arguments
        )

    def run_all(self) -> None:
        """Run all cells. Raises AssertionError when one fails."""
        assert self.command("notebook:run-all-cells"), "a cell failed"
        self.settled()

    def settled(self, *, widgets: bool = True) -> "Opened":
        """Wait until pictures are there, and widgets or the errors in their place; return itself."""
        self.window.wait_for_timeout(700)
        self.window.wait_for_function("() => [...document.images].every(image => image.complete)")
        if widgets:
            self.window.wait_for_function(
                """() => [...document.querySelectorAll('.jp-OutputArea-output:not([data-mime-type])')].every(
                    output => output.matches('.jupyter-widgets') || output.querySelector('.jupyter-widgets'))"""
            )
        return self

    def cell(self, name: str) -> dict[str, Any]:
        """What is seen of the cell with that id."""
        return ask(
            self.window,
            """id => {
                const cell = cells().find(cell => cell.model.id === id).node;
                const out = cell.querySelector('.jp-Cell-outputWrapper');
                const there = css => all(css, out).filter(seen);
                return {
                    code: all('.jp-InputArea-editor', cell).some(seen),
                    pictures: there('img').filter(e => e.complete && e.naturalWidth > 0).length,
                    still: there('.ganlib-still').length,
                    words: there('.ganlib-still img').map(e => e.alt),
                    live: there('.ganlib-live').length,
                    text: there('.jp-OutputArea-output').map(e => e.innerText.trim()).filter(text => text),
                };
            }""",
            name,
        )

    def texts(self) -> str:
        """All that outputs say, as far as it is seen."""
        return "\n".join(ask(self.window, "() => all('.jp-OutputArea-output').filter(seen).map(e => e.innerText)"))

    def pictures(self) -> int:
        """The number of pictures that are seen in outputs."""
        return ask(self.window, "() => all('.jp-OutputArea img').filter(e => seen(e) && e.naturalWidth > 0).length")

    def broken_lines(self) -> list[str]:
        """The printed lines that take more than one row of the window."""
        return ask(
            self.window,
            """() => all('.jp-RenderedText pre').filter(seen).flatMap(pre => {
                const row = parseFloat(getComputedStyle(pre).lineHeight);
                const lines = pre.innerText.replace(/\\n$/, '').split('\\n');
                return pre.getBoundingClientRect().height < (lines.length + 0.6) * row ? [] : lines;
            })""",
        )

    def heights(self) -> tuple[list[float], float]:
        """The height of what each cell with a live widget shows, and the height of the room for all cells."""
        return ask(
            self.window,
            """() => [
                all('.jp-OutputArea:has(.ganlib-live)').map(e => e.getBoundingClientRect().height),
                document.querySelector('.jp-WindowedPanel-outer').clientHeight,
            ]""",
        )
