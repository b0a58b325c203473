"""What every picture has in common: colours, shapes, text sizes, and a style of its own.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), which people with any kind
of colour vision can tell apart. No picture depends on colour alone: each status has its own shape.
"""

from __future__ import annotations

import unicodedata
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import matplotlib.style
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, fontManager

from kst_scheduler.caller import stack_level
from kst_scheduler.runs.table import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

BLACK: Final = "#000000"
ORANGE: Final = "#E69F00"
SKY_BLUE: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"

INK: Final = "#222222"
FAINT: Final = "#E4E4E4"
THIN: Final = "#B4B4B4"
QUIET: Final = "#6B6B6B"

TEXT: Final = 9.0
"""Size of all text but titles, in points."""
TITLE: Final = 11.0
LINE: Final = 1.25
"""Height of a line of text, in text sizes."""
DPI: Final = 100

_BOXES: Final = 1.16
"""How much wider than Hangul the boxes are that stand for it where no font has it."""
_FIRST, _LAST = "\uac00", "\ud7a3"  # Hangul
_hangul_drawn: ContextVar[bool] = ContextVar("_hangul_drawn", default=False)
"""Whether words of the picture that is being drawn have Hangul."""
_drawn_elsewhere: ContextVar[bool] = ContextVar("_drawn_elsewhere", default=False)


class FontWarning(UserWarning):
    """Warns that words of a picture cannot be read, as no font of this machine has their letters.

    It comes once, as the fonts are looked up once.
    """


@dataclass(frozen=True)
class Mark:
    """How one status is drawn; ``size`` is relative, so that all shapes look equally large."""

    shape: str
    face: str
    edge: str
    size: float
    layer: float
    words: str

    @property
    def bar(self) -> tuple[float, float, float]:
        """The colour of a bar that shows how long such a run took."""
        return tint(BLUE if self.face == "none" else self.face, 0.7 if self.face == YELLOW else 0.4)

    def line(self, points: float) -> dict[str, Any]:
        """Return the properties of a Line2D that shows this mark, ``points`` large."""
        return {
            "linestyle": "none",
            "marker": self.shape,
            "markersize": points * self.size,
            "markerfacecolor": self.face,
            "markeredgecolor": self.edge,
            "markeredgewidth": 1.5 if self.face == "none" else 0.8,
            "zorder": self.layer,
        }

    def small(self, points: float) -> dict[str, Any]:
        """Return the same without the dark edge, which would be all that is seen of many."""
        edge = self.edge if self.face == "none" else self.face
        return self.line(points) | {"markeredgecolor": edge, "markeredgewidth": 0.4}


DOWN: Final = "down"
"""What is missed because its node was down: no process knew it, so it was not late."""

# What went wrong lies above what went well.
MARKS: Final = {
    "ok": Mark("o", BLUE, BLUE, 1.0, 3.0, "ok"),
    "error": Mark("s", PURPLE, BLACK, 1.0, 3.7, "error"),
    "missed": Mark("X", VERMILLION, BLACK, 1.25, 3.8, "missed"),
    "coalesced": Mark(">", ORANGE, BLACK, 1.05, 3.4, "coalesced"),
    "skipped": Mark("v", SKY_BLUE, BLACK, 1.1, 3.5, "skipped"),
    "locked_out": Mark("d", "none", GREEN, 1.05, 3.1, "locked out"),
    "cancelled": Mark("P", YELLOW, BLACK, 1.2, 3.6, "cancelled"),
    "running": Mark("*", BLUE, BLACK, 1.5, 3.2, "running"),
}
"""The mark of each status."""
OUTCOMES: Final = (*STATUSES, DOWN)
"""The statuses of a table of runs by their codes, and what else has a mark of its own."""
DOWN_MARK: Final = Mark("x", "none", BLACK, 1.05, 3.8, "due while down")
OUTCOME_MARKS: Final = (*(MARKS[status] for status in STATUSES), DOWN_MARK)
"""The marks of the outcomes, in their order."""

_FIRES: Final = "osD^vPX"
_FIRE_COLOURS: Final = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, INK)


def fire_mark(number: int, words: str) -> Mark:
    """Return the mark of the fires of one trigger among several; the eighth begins anew."""
    colour = _FIRE_COLOURS[number % len(_FIRE_COLOURS)]
    return Mark(_FIRES[number % len(_FIRES)], colour, colour, 0.9, 3.0, words)


def tint(colour: str, share: float = 0.4) -> tuple[float, float, float]:
    """Return ``colour`` mixed with white; ``share`` is how much of it is left."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with matplotlib's defaults and this package's own, whatever the reader has set.

    The reader's settings are back afterwards. What they set for ``savefig`` still applies when
    they save a picture.
    """
    own = {
        "font.family": _font_families(),
        "font.size": TEXT,
        "text.color": INK,
        # A job id is text, also when it holds dollar signs.
        "text.parse_math": False,
        "axes.edgecolor": QUIET,
        "axes.labelcolor": INK,
        "axes.titlesize": TITLE,
        "axes.titleweight": "bold",
        "axes.titlecolor": INK,
        "axes.axisbelow": True,
        "xtick.color": QUIET,
        "xtick.labelcolor": INK,
        "ytick.color": QUIET,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "figure.dpi": DPI,
        "hatch.linewidth": 0.6,
    }
    _hangul_drawn.set(False)
    with mpl.style.context(["default", own]):
        yield
        is_interactive = mpl.is_interactive()
    # The first figure of a kernel makes it interactive, so that the next ones are shown, too.
    mpl.interactive(is_interactive)
    if _hangul_drawn.get() and len(_font_families()) == 1:
        _warn_of_boxes()


@contextmanager
def drawn_elsewhere() -> Iterator[None]:
    """Leave no room for boxes: the picture keeps its words, and a browser has the fonts."""
    token = _drawn_elsewhere.set(True)
    try:
        yield
    finally:
        _drawn_elsewhere.reset(token)


def text_width(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """Return the width of the widest line of ``text`` in points."""
    return max(_line_width(line, size, bold) for line in text.split("\n"))


def boxes(text: str) -> float:
    """Return how much wider than ``text_width`` the text may be where no font has its letters."""
    return _BOXES if any(map(_is_wide, text)) and not _drawn_elsewhere.get() else 1.0


def drawn_width(text: str) -> float:
    """Return the width of ``text`` in points at the most, also where boxes stand for letters."""
    return text_width(text) * boxes(text)


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def _line_width(line: str, size: float, bold: bool) -> float:
    """Return the width of a line; a wide letter is an em, also where no font here has it.

    The picture may be drawn elsewhere: the SVG of a service has words, and the browser's fonts.
    """
    if line.isascii():
        return _measured_width(line, size, bold)
    if any(_FIRST <= letter <= _LAST for letter in line):
        _hangul_drawn.set(True)
    wide = "".join(letter for letter in line if _is_wide(letter))
    narrow = "".join(letter for letter in line if letter not in wide)
    return _measured_width(narrow, size, bold) + len(wide) * size


@lru_cache(maxsize=4096)
def _measured_width(line: str, size: float, bold: bool) -> float:
    font = FontProperties(
        family=list(_font_families()), size=size, weight="bold" if bold else "normal"
    )
    measure: Any = _measure()
    width, _, _ = measure.get_text_width_height_descent(line, font, ismath=False)
    return float(width) * 72 / DPI


@lru_cache(maxsize=1)
def _measure() -> RendererAgg:
    return RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]


def _warn_of_boxes() -> None:
    # matplotlib's own warning comes once for each letter, whenever a picture is drawn.
    warnings.filterwarnings("ignore", r"Glyph \d+ \(\\N\{HANGUL", UserWarning)
    _say_which_font()


@lru_cache(maxsize=1)
def _say_which_font() -> None:
    warnings.warn(
        "no font here has Hangul, so pictures show boxes; install one (Debian and Ubuntu: apt "
        f"install fonts-nanum), delete {mpl.get_cachedir()}, and start Python anew",
        FontWarning,
        stacklevel=stack_level(),
    )


@lru_cache(maxsize=1)
def _font_families() -> tuple[str, ...]:
    """DejaVu Sans ships with matplotlib; Hangul comes from whichever of these the machine has."""
    korean = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "AppleGothic")
    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in korean if name in installed))
