"""Write stored lessons as web pages; nothing is run. `tools/run_notebooks.py --html pages` calls it."""

import re
from pathlib import Path

import nbformat
from anatomy import WIDGET
from jinja2 import FileSystemLoader
from nbconvert import HTMLExporter
from nbformat import NotebookNode

TEMPLATE = Path(__file__).with_suffix(".html.j2")
HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
NAME_OF_FOLD = re.compile(r"# *@title (.+)")


def write_html(path: Path, folder: Path) -> None:
    """Write the stored lesson as one web page to `folder`.

    Folded cells and answers are closed folds, and a widget's place is taken by its still picture. The page asks the
    network for nothing but the script that sets formulas, and can be read without it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.stem}.html"
    target.write_text(page(nbformat.read(path, as_version=4)), encoding="utf-8", newline="\n")
    print(target)


def page(nb: NotebookNode) -> str:
    """The lesson `nb` as a web page; `nb` is changed on the way. Raises ValueError for one without a title."""
    headings = [found for cell in nb.cells if cell.cell_type == "markdown" for found in HEADING.findall(cell.source)]
    if not headings:
        raise ValueError("nb must have a heading '# ...', got none: it becomes the title of the page")
    nb.metadata["title"] = headings[0]
    nb.metadata.pop("widgets", None)  # states of widgets would ask for a script
    for cell in nb.cells:
        # A slider or a progress bar does nothing here; its still picture is an output of its own.
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    exporter = HTMLExporter(
        extra_loaders=[FileSystemLoader(TEMPLATE.parent)],
        template_file=TEMPLATE.name,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    exporter.register_filter("name_of_fold", _name_of_fold)
    return exporter.from_notebook_node(nb)[0]


def _name_of_fold(source: str) -> str:
    found = NAME_OF_FOLD.match(source)
    return found[1].strip() if found else "Code"
