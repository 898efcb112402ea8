"""A small lesson with one of each: a figure, a playground, a training view with a bar, folds and an answer."""

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}
ANSWER = {"jupyter": {"source_hidden": True, "outputs_hidden": True}, "cellView": "form"}
SETUP = """\
# @title Set-up
import torch
from tqdm.auto import tqdm
from ganlib import plots
from ganlib.claims import claim
from ganlib.playgrounds.lesson_02 import value_playground
from ganlib.show import live_grid, show, watch
greys = torch.linspace(-1, 1, 12).reshape(12, 1, 1, 1).expand(12, 1, 28, 28)  # -1 is drawn white"""
FIGURE = """\
# @title Draw twelve squares
show(plots.image_grid(greys).figure, "Twelve squares, from white to black.")
claim("a sentence that is longer than a line of the output breaks between two words and goes on in the next", True)"""
ANSWERED = """\
# @title Which square is black?
print("The last one.")
show(plots.image_grid(greys[6:]).figure, "The six darker squares; the last one is black.")"""
PLAY = """\
# @title A playground
print("Printed before the playground.")
show(value_playground(), "The value of the game, for one normal distribution and another.")"""
TRAIN = """\
view = live_grid(greys[:1].repeat(10, 1, 1, 1), "step 0")
with watch(view, "Ten squares, which become darker."):
    for step in tqdm(range(1, 12)):
        view.update(greys[step : step + 1].repeat(10, 1, 1, 1), f"step {step}")"""
SENTENCES = {
    "setup": [],
    "figure": ["Twelve squares, from white to black.", "✓ a sentence that is longer"],
    "answer": ["The last one.", "The six darker squares; the last one is black."],
    "play": ["Printed before the playground.", "The value of the game, for one normal distribution and another."],
    "train": ["Ten squares, which become darker."],
}


def make() -> NotebookNode:
    """The lesson, not run."""
    cells = [
        new_markdown_cell("# Lesson 00 · Squares\n\nWhich of the squares is black? $x^2 < 1$", id="title"),
        new_code_cell(SETUP, id="setup", metadata=FOLDED),
        new_code_cell(FIGURE, id="figure", metadata=FOLDED),
        new_code_cell(ANSWERED, id="answer", metadata=ANSWER),
        new_code_cell(PLAY, id="play", metadata=FOLDED),
        new_code_cell(TRAIN, id="train", metadata={"tags": ["nbval-ignore-output"]}),
    ]
    return new_notebook(cells=cells)
