"""The playgrounds: what a reader turns with sliders, one file for each lesson."""

from collections.abc import Callable
from typing import Any

import ipywidgets

from ..show import View


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
