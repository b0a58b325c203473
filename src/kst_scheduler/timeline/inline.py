"""Pictures within a page: an SVG whose marks tell what they stand for, or a sharp PNG.

A front end that runs Python shows a figure as a PNG in which nothing can be pointed at. A
``Picture`` shows itself as an SVG; where the environment has ``KST_PICTURES=png``, as a
PNG of twice the resolution, for files that are shown where no SVG is.
"""

from __future__ import annotations

import builtins
import hashlib
import os
import re
from base64 import b64encode
from html import escape
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from kst_scheduler.timeline.hover import areas_of, gathered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SETTING: Final = "KST_PICTURES"
"""The environment variable that asks for PNGs."""
_PIXELS: Final = 96 / 72
"""Of a page, in a point."""
_SHARP: Final = 2
"""Pixels of a PNG for each of the page."""
_COLOURS: Final = 128
"""Of a PNG. A picture has a dozen, and the others smooth its edges."""
_FONTS: Final = "'DejaVu Sans', Verdana, 'Noto Sans KR', 'Malgun Gothic', sans-serif"
"""Verdana has the same widths."""
_HEAD: Final = re.compile(r".*?<svg[^>]*>\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE: Final = re.compile(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>")
_IDS: Final = re.compile(r' id="(?:[\w.]+_\d+|legend|matplotlib[^"]*)"')
_FAMILY: Final = re.compile(r" font-family: [^;\"]*;?")
_SPACE: Final = re.compile(r"\s*\n\s*")
_UNSEEN: Final = re.compile(r"[^\n\x20-\uffff]|[\x7f-\x9f\ufffe\uffff]")
"""What no page may hold, and letters that few fonts have."""
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


class Picture(Figure):
    """A figure of pyplot that shows itself on a page; otherwise like any other."""

    def _ipython_display_(self) -> None:
        """Show the figure in place of the front end's own PNG, which it would make as well."""
        if not self.axes:
            return
        data, metadata = bundle(self)
        # The shell that calls this puts its function there (checked on 9.18): no import needed.
        show: Any = builtins.display  # type: ignore[attr-defined]
        show(data, metadata=metadata, raw=True)


def bundle(figure: Figure) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what a page shows of a figure, by its type, and the metadata of each."""
    words = alternative_text(figure)
    if os.environ.get(SETTING, "") != "png":
        return {"text/html": inline_svg(figure), "text/plain": words}, {}
    data = {"image/png": b64encode(sharp_png(figure)).decode(), "text/plain": words}
    return data, {"image/png": png_metadata(figure, words)}


def png_metadata(figure: Figure, words: str) -> dict[str, Any]:
    """Return how large a page shows the PNG of a figure, and its words."""
    width, height = (round(inches * 72 * _PIXELS) for inches in figure.get_size_inches())
    return {"width": width, "height": height, "alt": words}


def alternative_text(figure: Figure) -> str:
    """Return the titles of a figure in one line: what is read aloud in place of the picture."""
    titles = [figure.get_suptitle(), *(_title(ax) for ax in figure.axes)]
    return "; ".join(" ".join(title.split()) for title in titles if title) or repr(figure)


def inline_svg(figure: Figure) -> str:
    """Return a figure as an SVG element for a page.

    It is white also on a dark page, has its title as its label, and words for each mark that
    ``plot_timeline`` and others have drawn. Equal figures give equal texts.
    """
    words = alternative_text(figure)
    drawn = StringIO()
    # Ids that two pictures of one page share have the same meaning, unless one of them is hidden.
    salt = hashlib.sha256(f"{words}{figure.get_size_inches()}".encode()).hexdigest()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    width, height = (float(inches) * 72 for inches in figure.get_size_inches())
    body = _STYLE.sub("", _HEAD.sub("", drawn.getvalue(), count=1), count=1)
    body = _SPACE.sub(" ", _FAMILY.sub("", _IDS.sub("", body))).replace("> <", "><")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'role="img" aria-label="{escape(words)}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width * _PIXELS:.0f}" style="max-width: 100%; height: auto; '
        f"background: white; white-space: pre; font-family: {_FONTS}; stroke-linejoin: round; "
        f'stroke-linecap: butt">{body.strip().removesuffix("</svg>")}{_hover(figure)}</svg>'
    )


def sharp_png(figure: Figure) -> bytes:
    """Return a figure as a PNG with two pixels for each of a page, in few colours."""
    drawn, packed = BytesIO(), BytesIO()
    fast = {"compress_level": 1}
    figure.savefig(drawn, format="png", dpi=72 * _PIXELS * _SHARP, pil_kwargs=fast)
    few = (
        Image.open(drawn)
        .convert("RGB")
        .quantize(_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    )
    few.save(packed, "png")
    return packed.getvalue()


def _title(ax: Axes) -> str:
    return ax.get_title(loc="left") or ax.get_title()


def _hover(figure: Figure) -> str:
    """Return unseen rectangles above the marks, each with its words."""
    boxes = [box for ax in figure.axes for box in gathered(_boxes(ax, figure))]
    rectangles = "".join(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}">'
        f"<title>{escape(_UNSEEN.sub(_REPLACED, words))}</title></rect>"
        for (x, y, wide, tall), words in boxes
    )
    return f'<g fill="none" pointer-events="all">{rectangles}</g>' if boxes else ""


def _boxes(ax: Axes, figure: Figure) -> list[tuple[tuple[float, float, float, float], Any]]:
    """Return each area as x, y, width and height in points from the upper left corner."""
    areas = areas_of(ax)
    if not areas:
        return []
    scale, height = 72 / figure.dpi, figure.get_figheight() * 72
    first, last = ax.get_xlim()
    ends = [
        (min(max(x, first), last), y)
        for area in areas
        for x, y in ((area.begin, area.top), (area.end, area.bottom))
    ]
    points = (ax.transData.transform(ends) * scale).reshape(len(areas), 2, 2)
    return [
        (_grown((x0, height - y0, x1, height - y1), area.half), area)
        for area, ((x0, y0), (x1, y1)) in zip(areas, points.tolist(), strict=True)
    ]


def _grown(
    box: tuple[float, float, float, float], half: float
) -> tuple[float, float, float, float]:
    """Return x, y, width and height of a box that reaches ``half`` further on each side."""
    x0, y0, x1, y1 = box
    return x0 - half, y0 - half, x1 - x0 + 2 * half, y1 - y0 + 2 * half
