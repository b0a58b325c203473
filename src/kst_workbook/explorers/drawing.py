"""A drawing of a few plain shapes, which becomes an SVG quickly, and a PNG for where none is shown.

matplotlib needs a tenth of a second for a figure, and a PNG says nothing where a mouse rests on it.
So a picture that follows a slider is a list of shapes, in points from its upper left corner. The
marks have the outlines that matplotlib gives them, so that all pictures of the house agree.
"""

from __future__ import annotations

import textwrap
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.markers import MarkerStyle

from kst_scheduler.timeline.style import INK, LINE, TEXT, TITLE, house_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from kst_scheduler.timeline.style import Mark

WIDTH: Final = 648.0
"""Points: 900 pixels of a screen."""
PIXELS: Final = 100 / 72
"""Pixels of a point where the picture has all the room it wants."""
_SHARP: Final = 2
"""Dots of the PNG in a pixel: screens of today have so many."""
_LETTERS: Final = 80
"""In a line of a message, which breaks words that are longer."""
_FONTS: Final = "DejaVu Sans, Verdana, Noto Sans KR, NanumGothic, sans-serif"
_COMMANDS: Final = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
"""matplotlib.path.Path's codes, and SVG's letters for them."""

Colour = str | tuple[float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A filled rectangle; ``hover`` is shown where the mouse rests on it."""

    x: float
    y: float
    width: float
    height: float
    fill: Colour
    opacity: float = 1.0
    hover: str = ""

    def svg(self) -> str:
        """Return the element."""
        faint = f' fill-opacity="{self.opacity:g}"' if self.opacity < 1 else ""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" width="{self.width:.1f}"'
        more = f' height="{self.height:.1f}" fill="{to_hex(self.fill)}"{faint}'
        return _element("rect", place + more, self.hover)

    def paint(self, ax: Axes) -> None:
        """Draw the same with matplotlib."""
        ends = [self.x, self.x + self.width]
        bottom = self.y + self.height
        ax.fill_between(ends, self.y, bottom, color=self.fill, alpha=self.opacity, lw=0)


@dataclass(frozen=True)
class Lines:
    """Strokes of one look: each a list of points that are joined."""

    strokes: Sequence[Sequence[Point]]
    colour: Colour
    width: float = 0.8
    dashes: tuple[float, float] | None = None
    hover: str = ""

    def svg(self) -> str:
        """Return the element."""
        path = "".join(
            "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in stroke) for stroke in self.strokes
        )
        dashes = ' stroke-dasharray="{:g} {:g}"'.format(*self.dashes) if self.dashes else ""
        look = f' stroke="{to_hex(self.colour)}" stroke-width="{self.width:g}"{dashes}'
        return _element("path", f'd="{path}" fill="none"{look}', self.hover)

    def paint(self, ax: Axes) -> None:
        """Draw the same with matplotlib."""
        style = (0, self.dashes) if self.dashes else "-"
        for stroke in self.strokes:
            x, y = zip(*stroke, strict=True)
            ax.plot(x, y, color=self.colour, lw=self.width, ls=style, solid_capstyle="butt")


@dataclass(frozen=True)
class Spot:
    """A mark of the house, so many points large."""

    x: float
    y: float
    mark: Mark
    size: float
    hover: str = ""

    def svg(self) -> str:
        """Return the element; a hollow mark is hit in its middle, too."""
        look = self.mark.line(self.size)
        path = outline(self.mark.shape, look["markersize"])
        fill = "none" if self.mark.face == "none" else to_hex(self.mark.face)
        edge = f'stroke="{to_hex(self.mark.edge)}" stroke-width="{look["markeredgewidth"]}"'
        place = f'transform="translate({self.x:.1f} {self.y:.1f})" d="{path}"'
        return _element("path", f'{place} fill="{fill}" {edge} pointer-events="all"', self.hover)

    def paint(self, ax: Axes) -> None:
        """Draw the same with matplotlib."""
        look = self.mark.line(self.size)
        del look["zorder"]  # what is later in the list lies above
        ax.plot([self.x], [self.y], **look)


@dataclass(frozen=True)
class Words:
    """A line of text on the base line ``y``; ``anchor`` is start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    size: float = TEXT
    bold: bool = False
    colour: Colour = INK

    def svg(self) -> str:
        """Return the element."""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}"'
        anchor = f' text-anchor="{self.anchor}"' if self.anchor != "start" else ""
        size = f' font-size="{self.size:g}"' if self.size != TEXT else ""
        bold = ' font-weight="bold"' if self.bold else ""
        look = f'{anchor}{size}{bold} fill="{to_hex(self.colour)}"'
        return f"<text {place}{look}>{escape(self.text, quote=False)}</text>"

    def paint(self, ax: Axes) -> None:
        """Draw the same with matplotlib."""
        weight = "bold" if self.bold else "normal"
        side = {"start": "left", "middle": "center", "end": "right"}[self.anchor]
        look: dict[str, Any] = {"size": self.size, "color": self.colour, "weight": weight}
        ax.text(self.x, self.y, self.text, ha=side, va="baseline", **look)


Shape = Box | Lines | Spot | Words


@dataclass
class Drawing:
    """Shapes on a white page, the first of them at the back; ``title`` is its alternative text."""

    title: str
    height: float
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Lay shapes on top of those that are there."""
        self.shapes.extend(shapes)

    def svg(self) -> str:
        """Return an SVG element that can stand in a page, as wide as there is room for."""
        size = f'viewBox="0 0 {WIDTH:g} {self.height:.1f}" width="{WIDTH * PIXELS:.0f}"'
        style = 'style="max-width:100%;height:auto;display:block;background:white"'
        words = f'role="img" aria-label="{escape(self.title)}"'
        text = f'font-family="{_FONTS}" font-size="{TEXT:g}"'
        inside = "".join(shape.svg() for shape in self.shapes)
        space = 'xmlns="http://www.w3.org/2000/svg"'
        return f"<svg {space} {size} {style} {words} {text}>{inside}</svg>"

    def png(self) -> bytes:
        """Return the same as a PNG of twice as many dots."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - seldom used
        from matplotlib.figure import Figure  # noqa: PLC0415

        with house_style(), warnings.catch_warnings():
            # A message repeats what was typed, and the machine may have no font for it.
            warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            size = (WIDTH / 72, self.height / 72)
            figure = Figure(figsize=size, dpi=_SHARP * 72 * PIXELS, facecolor="white")
            ax = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(self.height, 0))
            ax.axis("off")
            for shape in self.shapes:
                shape.paint(ax)
            for layer, artist in enumerate(ax.get_children()):
                artist.set_zorder(layer)
            data = BytesIO()
            FigureCanvasAgg(figure).print_png(data)  # type: ignore[no-untyped-call]
        return data.getvalue()


def message(words: str) -> Drawing:
    """Return a drawing that says why there is none."""
    lines = textwrap.wrap(words, _LETTERS)
    drawing = Drawing(words, (len(lines) + 4) * TITLE * LINE)
    for number, line in enumerate(lines):
        y = (number + 2.8) * TITLE * LINE
        drawing.add(Words(WIDTH / 2, y, line, "middle", size=TITLE))
    return drawing


@lru_cache(maxsize=256)
def outline(shape: str, size: float) -> str:
    """Return the path of a marker of matplotlib's, so many points large, around 0 0."""
    style: Any = MarkerStyle(shape)
    parts = []
    path = style.get_path().transformed(style.get_transform())
    for points, code in path.iter_segments(simplify=False):
        # A marker's y grows upwards, an SVG's downwards.
        numbers = (np.asarray(points).reshape(-1, 2) * [size, -size]).ravel()
        command = _COMMANDS[int(code)]
        parts.append(command + " ".join(f"{n:.2f}" for n in numbers if command != "Z"))
    return "".join(parts)


def _element(name: str, attributes: str, hover: str) -> str:
    if not hover:
        return f"<{name} {attributes}/>"
    return f"<{name} {attributes}><title>{escape(hover, quote=False)}</title></{name}>"
