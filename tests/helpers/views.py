"""Small images, and what the tests of `ganlib.show` and of the playgrounds ask of a view."""

import io

import ipywidgets
import numpy as np
import torch
from PIL import Image

from ganlib import plots


def pixels(png):
    """The picture in a PNG, as an array."""
    return np.asarray(Image.open(io.BytesIO(png)))


def images(n=25, value=0.0):
    """Images of one grey."""
    return torch.full((n, 1, 28, 28), value)


def enlarged(images):
    """The grid of five columns that a view should show of these images."""
    return plots.tile(images, 5).repeat(6, 0).repeat(6, 1)


def everything(widget):
    """A widget and all that is in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def assert_known_to_ipywidgets_7(widget):
    old = {"VBox", "HBox", "Image", "HTML", "FloatSlider", "BoundedFloatText", "Dropdown", "Button", "ToggleButtons"}
    for part in everything(widget):
        assert type(part).__name__ in old
        assert isinstance(part, ipywidgets.DOMWidget)
        # Version 8 gave these to all widgets; version 7 refuses them, or has them under other names.
        assert {getattr(part, name, None) for name in ("tooltip", "tabbable")} <= {None, ""}
        assert not getattr(part, "description_allow_html", False)
