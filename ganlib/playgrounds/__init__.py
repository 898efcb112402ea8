"""The playgrounds: what a reader turns with sliders, one file for each lesson."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from ..show import SHARP, View

State = Mapping[str, Mapping[str, Any]]  # what moves in a picture: new properties by label


class Playground(View):
    """A view with its `controls` by name, and a `caption` that stays true when they move: `show(it, it.caption)`."""

    def __init__(
        self,
        draw: Callable[[Any], bytes],
        now: Callable[[], tuple[Any, str]],
        controls: dict[str, Any],
        caption: str,
        *,
        scale: float = 1.0,
    ):
        super().__init__(draw, *now(), scale=scale)
        self.controls, self.caption = controls, caption
        for control in controls.values():
            control.observe(lambda _: self.update(*now()), "value")


def tasks(*lines: str) -> ipywidgets.HTML:
    """Return a numbered list of what to try, to stand beside the sliders."""
    items = "".join(f"<li>{line}</li>" for line in lines)
    # A widget's lines are as high as a button.
    beside = ipywidgets.Layout(min_width="280px", flex="1 1 280px")
    return ipywidgets.HTML(f'<ol style="line-height: 1.35; margin: 0; padding-left: 1.6em">{items}</ol>', layout=beside)


def narrow(row: ipywidgets.HBox, *, name: int, width: int) -> ipywidgets.HBox:
    """Give a row of `slider` a width, with so many pixels for its name: two rows and the tasks share a page."""
    number, control = row.children
    number.style.description_width = f"{name}px"
    number.layout.width, control.layout.width = f"{name + 70}px", f"{width - name - 70}px"
    number.layout.flex = control.layout.flex = "0 0 auto"
    return row


def with_tasks(view: Playground, columns: Sequence[ipywidgets.VBox], *lines: str) -> Playground:
    """Put columns of controls, and beside them the tasks, above the picture; at a zoom of 150 % the tasks go below."""
    for column in columns:
        column.layout.flex = "0 0 auto"
    wrapping = ipywidgets.Layout(flex_flow="row wrap")
    view.box.children = (ipywidgets.HBox([*columns, tasks(*lines)], layout=wrapping), *view.box.children)
    return view


def film(stage: Callable[[Figure], list[Axes]]) -> Callable[[State], bytes]:
    """Draw once what stands still; the returned function adds what is `animated`: a tenth of the time."""
    fig = Figure(figsize=(8.6, 3.6), dpi=96 * SHARP, layout=ConstrainedLayoutEngine(w_pad=0.12))
    canvas, axes = FigureCanvasAgg(fig), stage(fig)
    moving = sorted((it for ax in axes for it in ax.get_children() if it.get_animated()), key=lambda it: it.zorder)
    parts = {artist.get_label(): artist for artist in moving}
    canvas.draw()
    still = canvas.copy_from_bbox(fig.bbox)

    def draw(state: State) -> bytes:
        for label, properties in state.items():
            parts[label].set(**properties)
        canvas.restore_region(still)
        for artist in moving:
            fig.draw_artist(artist)
        file = io.BytesIO()
        Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(file, "PNG", compress_level=1)
        return file.getvalue()

    return draw
