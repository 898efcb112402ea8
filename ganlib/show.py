"""Pictures and widgets, each with a sentence beside it; they work with ipywidgets 7 and 8."""

import base64
import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython import get_ipython
from IPython.display import display
from matplotlib.collections import Collection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator
from PIL import Image
from traitlets import link

from .claims import say, wrap
from .plots import STYLE, seed_rows, tile

ENLARGE, SHRINK = 6, 2  # a pixel of an image is 6 wide in the file, and 3 on the page: sharp when a reader zooms in
SHARP = 1.5  # pixels of a drawing for one of the page, so that it is sharp when a reader zooms in
STILL = "A still picture. For a live one, choose Run → Run All Above Selected Cell, then run this cell."
# JupyterLab: the still picture hides beside a live widget. Beside the still picture hides what has lost its kernel, a
# progress bar between them included: there would stand "model not found".
CHILD = ".jp-OutputArea-child"
HIDE = f"""<style>
{CHILD}:has(.ganlib-live) ~ {CHILD}:has(.ganlib-still),
{CHILD}:has(> .jp-OutputArea-output.jupyter-widgets):has(~ {CHILD} .ganlib-still) {{display: none}}
</style>"""


def show(thing: "Figure | View", caption: str, *, exact: bool | None = None) -> None:
    """Display a figure or a view once, and print the sentence that says what is seen.

    `caption`: one sentence made from the data, true also after a slider has moved. The figure is closed. Its `facts`
    are stored beside the picture, where tests find them; `exact`: with their decimals, by default where torch computes
    in float64. Raises ValueError for a caption without a full stop, TypeError for other things. Used by every lesson.
    """
    _check(thing, caption, (Figure, View))
    if isinstance(thing, View):
        _display_live(thing)
        _display_still(thing.png, caption, thing.scale, in_html=True)
    else:
        plt.close(thing)  # the notebook would draw an open figure a second time
        if _in_a_notebook():
            exact = torch.get_default_dtype() is torch.float64 if exact is None else exact
            _display_still(_drawn(thing), caption, SHARP, said=facts(thing, exact=exact))
    say(wrap(caption))


@contextmanager
def watch(view: "View", caption: str) -> Iterator[None]:
    """Display a view while the block runs that updates it; its last picture is what the notebook stores.

    `caption` and errors as in `show`. An interrupted block leaves its last picture too. Introduced in lesson 04.
    """
    _check(view, caption, (View,))
    _display_live(view)
    try:
        yield
    finally:
        _display_still(view.png, caption, view.scale, in_html=True)
        say(wrap(caption))


def _check(thing: Any, caption: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(caption, str) or not caption.endswith(".") or "\n" in caption:
        raise ValueError(
            f"caption must be one sentence that ends with a full stop, got {caption!r}: "
            "say in words what the picture shows, with its numbers"
        )
    if not isinstance(thing, kinds):
        raise TypeError(
            f"thing must be a {' or a '.join(kind.__name__ for kind in kinds)}, got {type(thing).__name__}: "
            "pass ax.figure for an axes, and a view itself, not its box"
        )


def _in_a_notebook() -> bool:
    """Whether bundles are seen: a program prints the sentence alone, and so does IPython in a terminal."""
    return get_ipython() is not None and type(get_ipython()).__name__ != "TerminalInteractiveShell"


# A view is two outputs: a notebook that is opened again shows an error in the place of a lost widget, and never the
# picture beside it in one bundle. A notebook that is not trusted would show a text/plain beside the widget.
def _display_live(view: "View") -> None:
    if _in_a_notebook():
        view.box.add_class("ganlib-live")
        model = {"version_major": 2, "version_minor": 0, "model_id": view.box.model_id}
        display({"application/vnd.jupyter.widget-view+json": model}, raw=True, metadata={})


def _display_still(picture: bytes, caption: str, scale: float, *, said: str = "", in_html: bool = False) -> None:
    if not _in_a_notebook():
        return
    width, height = (round(pixels / scale) for pixels in Image.open(io.BytesIO(picture)).size)
    encoded = base64.b64encode(_small(picture)).decode()
    bundle = {"text/plain": f"{caption}\n{said}".strip(), "image/png": encoded}
    if in_html:
        alt = html.escape(caption, quote=True)
        image = f'<img alt="{alt}" width="{width}" src="data:image/png;base64,{encoded}">'
        bundle["text/html"] = f'{HIDE}<div class="ganlib-still">{image}<br><small>{STILL}</small></div>'
    display(bundle, raw=True, metadata={"image/png": {"alt": caption, "width": width, "height": height}})


def facts(figure: Figure, *, exact: bool) -> str:
    """What a figure says, in lines that a test can compare; beside the picture nobody sees them.

    For each axes its words and limits, then what is drawn, in which look, with a few of its points. Unless `exact`, "#"
    stands for decimals: after a training in float32 they differ between machines. Introduced in lesson 02.
    """

    def number(value: Any) -> str:
        if not exact:
            return f"{value:.0f}" if float(value).is_integer() else "#"
        return f"{round(value * (1 + 1e-9) + 1e-12, 6) + 0.0:.4g}"  # a half goes up, on every machine

    def words(text: str) -> str:
        if not exact and re.search(r"\d\.\d|^[-−]?[\d,]+$", text):
            text = re.sub(r"[-−]?\d[\d,.]*(e[-+]\d+)?", "#", text)
        return text.replace("\n", " / ")

    def at(place: Any) -> str:
        return f" ({', '.join(map(number, place))})"

    def drawn(line: Any) -> str:
        points = np.transpose(line.get_data())
        few = np.linspace(0, len(points) - 1, min(len(points), 5)).round().astype(int)
        shown = points[few] if exact or len(points) < 3 else ()
        return f"{_look(line)}; {len(points)} points{''.join(map(at, shown))}"

    def shape(artist: Any) -> str:
        if isinstance(artist, QuadMesh):
            values = np.asarray(artist.get_array())
            nine = values[np.ix_(*((n // 6, n // 2, 5 * n // 6) for n in values.shape))]
            ends = " to ".join(to_hex(artist.cmap(end)) for end in (0.0, 1.0))
            return f"shade {ends} {values.shape}{at(nine.flat) * exact}"
        if isinstance(artist, ContourSet):
            lines = zip(artist.levels, artist.get_paths(), strict=True)
            levels = [f" {number(level)}{''.join(map(at, _along(path.vertices)))}" for level, path in lines]
            return f"{_look(artist)}, contour{','.join(levels) * exact}"
        return _look(artist)

    def said(ax: Any) -> Iterator[str]:
        yield f"axes: {words(' / '.join(filter(None, map(ax.get_title, ('left', 'center')))))}"
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            ends = f", {' to '.join(map(number, axis.get_view_interval()))}" if exact else ""
            named = isinstance(axis.get_major_locator(), FixedLocator)
            ticks = [tick.get_text() for tick in axis.get_majorticklabels()] if named else []
            yield "; ".join([f"{axis.axis_name}: {words(axis.get_label_text())}, {axis.get_scale()}{ends}", *ticks])
        nameless = [line for line in ax.lines if str(line.get_label()).startswith("_")]
        yield from (f"line {line.get_label()}: {drawn(line)}" for line in ax.lines if line not in nameless)
        for bars in ax.containers:
            tops, places = np.transpose([(bar.get_height(), bar.get_x() + bar.get_width() / 2) for bar in bars])
            of = f", sum {number(tops.sum())} about {number(tops @ places / tops.sum())}" if exact else ""
            yield f"bars {bars[0].get_label()}: {_look(bars[0])}; {len(bars)} bars{of}"
        shapes = [*ax.collections, *(one for one in ax.patches if not any(one in bars for bars in ax.containers))]
        legend = ax.get_legend()
        entries = zip(legend.get_texts(), legend.legend_handles, strict=True) if legend else ()
        rest = {
            "others": [*map(drawn, nameless), *map(shape, shapes), *(f"image {i.get_size()}" for i in ax.images)],
            "notes": [words(t.get_text()) + at(getattr(t, "xy", t.get_position())) * exact for t in ax.texts],
            "legend": [f"{words(text.get_text())}: {_look(handle)}" for text, handle in entries],
        }
        yield from (f"{kind}: {' | '.join(found)}" for kind, found in rest.items() if found)

    return "\n".join(line.rstrip() for ax in figure.axes for line in said(ax))


def _along(places: Any) -> Any:
    """Five places (5, 2), evenly spaced along a path (n, 2): rounding may add to its places, not to its length."""
    length = np.r_[0, np.linalg.norm(np.diff(places, axis=0), axis=1).cumsum()]
    return np.transpose([np.interp(np.linspace(0, length[-1], 5), length, axis) for axis in np.transpose(places)])


def _look(artist: Any) -> str:
    """The role of a colour, if it has one, the colour, and the style."""
    colour: Any
    if isinstance(artist, Line2D):
        colour, *style = artist.get_color(), artist.get_linestyle(), f"{artist.get_linewidth():g}", artist.get_marker()
    elif isinstance(artist, ContourSet):
        colour, style = artist.get_edgecolor()[0], [str(artist.linestyles), f"{np.max(artist.get_linewidth()):g}"]
    elif isinstance(artist, PolyCollection) and len(artist.get_paths()) > 1:  # one shape for each seed
        filled = int((np.reshape(artist.get_facecolor(), (-1, 4))[:, 3] > 0).sum())
        colour, style = artist.get_edgecolor()[0], [f"{len(artist.get_paths())} shapes, {filled} filled"]
    elif isinstance(artist, Collection):
        colour, style = artist.get_facecolor()[0], []
    else:
        colour, style = artist.get_facecolor() if artist.get_fill() else artist.get_edgecolor(), [artist.get_hatch()]
    role = [role for role, look in STYLE.items() if look["color"] == to_hex(colour)]
    return " ".join([*role, to_hex(colour), *(str(part) for part in style if part not in (None, "None", ""))])


def _drawn(figure: Figure, *, tight: bool = True) -> bytes:
    drawn, cut = io.BytesIO(), "tight" if tight else None
    figure.savefig(drawn, dpi=96 * SHARP, bbox_inches=cut, facecolor="white")  # dark themes need the paper too
    return drawn.getvalue()


def _small(picture: bytes) -> bytes:
    """The picture in 16 greys when it is grey, otherwise in 255 colours: a third of the bytes, and the same to the eye.

    Matplotlib's version leaves the file, so that an unchanged figure stays an unchanged file.
    """
    small, colours = io.BytesIO(), Image.open(io.BytesIO(picture)).convert("RGB")
    pixels = np.asarray(colours)
    if (pixels == pixels[:, :, :1]).all():
        greys = Image.fromarray(np.round(pixels[:, :, 0] / 17).astype(np.uint8), "P")
        greys.putpalette([17 * (k // 3) for k in range(48)])
        greys.save(small, "PNG", optimize=True, bits=4)
    else:
        few = colours.quantize(255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(small, "PNG", optimize=True)
    return small.getvalue()


class View:
    """A picture and a sentence under it, replaced in place by `update`; it needs no screen.

    `draw` makes the PNG of what is shown, `scale` is the number of its pixels for one of the page. `box` is the widget
    to show; `picture` and `sentence` are its parts. Introduced in lesson 02.
    """

    def __init__(self, draw: Callable[[Any], bytes], what: Any, sentence: str, *, scale: float = 1.0):
        self.draw, self.scale = draw, scale
        self.picture = ipywidgets.Image(format="png")
        self.sentence = ipywidgets.HTML()
        self.update(what, sentence)
        # A box would stretch the picture over the whole width of the cell, and blur it.
        width = f"{round(Image.open(io.BytesIO(self.png)).width / scale)}px"
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

    `images`: (N, 1, 28, 28) in [-1, 1]; `sentence` stands under them. Show it with `with watch(view, caption):` around
    the loop. Introduced in lesson 04.
    """
    return View(lambda images: png(tile(images, columns)), images, sentence, scale=SHRINK)


def live_seeds(
    rows: Mapping[str, Any], sentence: str, *, x: Any, p: Any, good: Mapping[str, Any] | None = None
) -> View:
    """Rows of small histograms, one for each seed, that a training loop redraws: `view.update(rows, "step 20: ...")`.

    The arguments are those of `plots.seed_rows`; what is added to `good` on the way is drawn from the next update on.
    Show it as `live_grid`. Introduced in lesson 03.
    """

    def draw(rows: Mapping[str, torch.Tensor]) -> bytes:
        figure = seed_rows(rows, x, p, good=good).figure
        plt.close(figure)  # type: ignore[arg-type]
        return _drawn(figure, tight=False)  # type: ignore[arg-type]

    return View(draw, rows, sentence, scale=SHARP)


def slider(
    name: str, value: float, minimum: float, maximum: float, step: float = 0.05
) -> tuple[ipywidgets.FloatSlider, ipywidgets.HBox]:
    """Return a slider, and a row with it and a number to type, whose name a screen reader finds; a slider has none."""
    control = ipywidgets.FloatSlider(value, min=minimum, max=maximum, step=step, readout=False)
    number = ipywidgets.BoundedFloatText(value, min=minimum, max=maximum, step=step, description=name)
    # A slider counts in steps of a binary fraction: the box would show 0.30000000000000004.
    link((control, "value"), (number, "value"), transform=(lambda value: round(value, 6), lambda value: value))
    return control, ipywidgets.HBox([number, control])


def png(sheet: np.ndarray) -> bytes:
    """Return a grey picture (height, width), uint8, as a PNG enlarged with sharp pixels."""
    file = io.BytesIO()
    Image.fromarray(sheet.repeat(ENLARGE, 0).repeat(ENLARGE, 1)).save(file, "PNG", compress_level=1)
    return file.getvalue()
