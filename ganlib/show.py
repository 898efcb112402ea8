"""Pictures and widgets, each with a sentence beside it; they work with ipywidgets 7 and 8."""

import base64
import html
import io
from collections.abc import Callable
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image
from traitlets import link

from .claims import say
from .plots import tile

ENLARGE = 3  # screen pixels for one pixel of an image
STILL = "A still picture. Run this cell for the sliders or the training."
# JupyterLab: the still picture hides beside a live widget, and the error of a lost widget hides beside the picture.
HIDE = """<style>
.jp-OutputArea-child:has(.ganlib-live) + .jp-OutputArea-child:has(.ganlib-still),
.jp-OutputArea-child:has(+ .jp-OutputArea-child .ganlib-still):not(:has(.ganlib-live)) {display: none}
</style>"""


def show(thing: Figure | ipywidgets.DOMWidget, caption: str, *, first_frame: bytes | None = None) -> None:
    """Display a figure or a widget once, and print the sentence that says what is seen.

    `caption`: one sentence made from the data. `first_frame`: the PNG of a widget's first state, shown
    where the widget does not live. The figure is closed. Raises ValueError for a caption without a full stop and
    a widget without first frame, TypeError for other things. Used by every lesson.
    """
    if not isinstance(caption, str) or not caption.endswith(".") or "\n" in caption:
        raise ValueError(
            f"caption must be one sentence that ends with a full stop, got {caption!r}: "
            "say in words what the picture shows, with its numbers"
        )
    if isinstance(thing, Figure):
        if first_frame is not None:
            raise ValueError("first_frame is for widgets, got one with a figure: leave it out")
        picture = _drawn(thing)
    elif isinstance(thing, ipywidgets.DOMWidget):
        if first_frame is None:
            raise ValueError("first_frame must be the PNG of the first state, got None: pass view.png")
        picture = first_frame
    else:
        raise TypeError(
            f"thing must be a matplotlib Figure or a widget, got {type(thing).__name__}: "
            "pass ax.figure for an axes and view.box for a view"
        )
    # The viewer takes the richest form of a bundle that it can, and strict comparisons see the sentence alone.
    still = {"text/plain": caption, "image/png": base64.b64encode(picture).decode()}
    # A plain program prints the sentence alone, and so does IPython in a terminal, which shows text/plain as well.
    if get_ipython() is not None and type(get_ipython()).__name__ != "TerminalInteractiveShell":
        if isinstance(thing, ipywidgets.DOMWidget):
            # In an output of its own: a notebook that is opened again shows an error in the place of a lost widget, and
            # never the picture beside it in one bundle. While the widget lives, its style hides the picture.
            thing.add_class("ganlib-live")
            view = {"version_major": 2, "version_minor": 0, "model_id": thing.model_id}
            display({"text/plain": caption, "application/vnd.jupyter.widget-view+json": view}, raw=True, metadata={})
            alt = html.escape(caption, quote=True)
            image = f'<img alt="{alt}" src="data:image/png;base64,{still["image/png"]}">'
            still["text/html"] = f'{HIDE}<div class="ganlib-still">{image}<br><small>{STILL}</small></div>'
        display(still, raw=True, metadata={"image/png": {"alt": caption}})
    say(caption)


def _drawn(figure: Figure) -> bytes:
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=90, bbox_inches="tight")
    plt.close(figure)  # the notebook would draw an open figure a second time
    # A grey picture needs one channel, and a third of the bytes. Matplotlib's version leaves the file, so that an
    # unchanged figure stays an unchanged file.
    picture = Image.open(drawn).convert("RGB")
    red, green, blue = picture.split()
    (red if red.tobytes() == green.tobytes() == blue.tobytes() else picture).save(small, "PNG", optimize=True)
    return small.getvalue()


class View:
    """A picture and a sentence under it, replaced in place by `update`; it needs no screen.

    `draw` makes the PNG of what is shown. `box` is the widget to show; `picture`, `sentence` and the
    `controls` by name are its parts. Introduced in lesson 02.
    """

    def __init__(self, draw: Callable[[Any], bytes], what: Any, sentence: str):
        self.draw = draw
        self.controls: dict[str, Any] = {}
        self.picture = ipywidgets.Image(format="png")
        self.sentence = ipywidgets.HTML()
        self.update(what, sentence)
        # A box would stretch the picture over the whole width of the cell, and blur it.
        width = f"{Image.open(io.BytesIO(self.png)).width}px"
        self.picture.layout = ipywidgets.Layout(width=width, align_self="flex-start")
        self.box = ipywidgets.VBox([self.picture, self.sentence])

    @property
    def png(self) -> bytes:
        """The picture as it is now."""
        return self.picture.value

    def update(self, what: Any, sentence: str) -> None:
        """Replace the picture, drawn of `what`, and the sentence."""
        self.picture.value = self.draw(what)
        self.sentence.value = html.escape(sentence)


def live_grid(images: torch.Tensor, sentence: str, *, columns: int = 5) -> View:
    """A grid that a training loop redraws: `view.update(images, "step 500: ...")`.

    `images`: (N, 1, 28, 28) in [-1, 1]; `sentence` stands under them. Show it with `show(view.box, caption,
    first_frame=view.png)`. Introduced in lesson 04.
    """
    return View(lambda images: png(tile(images, columns)), images, sentence)


def slider(
    name: str, value: float, minimum: float, maximum: float, step: float = 0.05
) -> tuple[ipywidgets.FloatSlider, ipywidgets.HBox]:
    """Return a slider, and a row with it and a number to type, whose name a screen reader finds; a slider has none."""
    control = ipywidgets.FloatSlider(value, min=minimum, max=maximum, step=step, readout=False)
    number = ipywidgets.BoundedFloatText(value, min=minimum, max=maximum, step=step, description=name)
    link((control, "value"), (number, "value"))
    return control, ipywidgets.HBox([number, control])


def png(sheet: np.ndarray) -> bytes:
    """Return a grey picture (height, width), uint8, as a PNG enlarged with sharp pixels."""
    file = io.BytesIO()
    Image.fromarray(sheet.repeat(ENLARGE, 0).repeat(ENLARGE, 1)).save(file, "PNG", compress_level=1)
    return file.getvalue()
