"""The frame of an explorer's picture: lanes, Korean time below, UTC above, a title and a legend.

A picture of one explorer keeps its size whatever the controls say, so that the page does not jump:
the title has two lines, and so has the legend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kst_scheduler.timeline.kst_axis import PAD, TICK, any_day_labels, tick_labels, ticks
from kst_scheduler.timeline.style import FAINT, LINE, QUIET, TEXT, TITLE, text_width
from kst_scheduler.timeline.words import fitted
from kst_scheduler.timezone import UTC
from kst_workbook.explorers.drawing import WIDTH, Drawing, Lines, Shape, Spot, Words

if TYPE_CHECKING:
    import pandas as pd

    from kst_scheduler.timeline.style import Mark

LANE: Final = 32.4
"""Height of a lane in points."""
STRIP: Final = TEXT * LINE + 4
"""Height of the strip above the lanes, where incidents are named."""
MARK: Final = 8.5
_GAP: Final = 8.0
_MARGIN: Final = 0.2 * LANE
_BAND: Final = TICK + PAD + 2 * TEXT * LINE
"""What the ticks and their labels take on each side."""
_ROW: Final = TEXT * LINE + 4
_TOP: Final = _GAP + 2 * TITLE * LINE + _GAP + _BAND
_BELOW: Final = _BAND + _GAP + 2 * _ROW
_LEFT: Final = 66.0
_RIGHT: Final = 20.0
"""Room for half of the last tick's label."""
_EDGE: Final = 0.012
"""Free room before the first and after the last moment, as a share of the span."""

Sample = Callable[[float, float], Shape]
Entry = tuple[str, Sample]
"""Words of the legend, and what draws the sample before them, around a point."""


@dataclass(frozen=True)
class Lane:
    """What stands before a lane: its name, and a note in grey beneath it."""

    name: str
    note: str = ""


@dataclass(frozen=True)
class Frame:
    """Where moments and lanes lie in a drawing, in points."""

    drawing: Drawing
    start: pd.Timestamp
    end: pd.Timestamp
    left: float
    top: float
    bottom: float
    lane_height: float
    strip: float
    """Room above the lanes, where incidents are named."""

    @property
    def right(self) -> float:
        """The end of the axis."""
        return WIDTH - _RIGHT

    def x(self, moment: pd.Timestamp) -> float:
        """Return where a moment is; what lies outside is at the edge."""
        share = (moment - self.start) / (self.end - self.start)
        place = (max(-_EDGE, min(1 + _EDGE, share)) + _EDGE) / (1 + 2 * _EDGE)
        return self.left + place * (self.right - self.left)

    def y(self, lane: int) -> float:
        """Return the middle of a lane, counted from the top."""
        return self.top + self.strip + _MARGIN + (lane + 0.5) * self.lane_height


def open_frame(
    title: str,
    lanes: Sequence[Lane],
    start: pd.Timestamp,
    end: pd.Timestamp,
    *,
    lane_height: float = LANE,
    strip: float = 0.0,
    any_day: bool = False,
) -> Frame:
    """Return a frame with its title, its lanes and both scales.

    ``strip`` is the height of the room above the lanes, in points; ``any_day`` writes no dates.
    """
    inner = strip + len(lanes) * lane_height + 2 * _MARGIN
    drawing = Drawing(title, _TOP + inner + _BELOW)
    names = [text_width(text) for lane in lanes for text in (lane.name, lane.note)]
    left = max(_LEFT, *(width + 2 * _GAP for width in names))
    frame = Frame(drawing, start, end, left, _TOP, _TOP + inner, lane_height, strip)
    lines = fitted(title, WIDTH - 2 * _GAP, 2, TITLE, bold=True).split("\n")
    for number, line in enumerate(reversed(lines)):
        y = _TOP - _BAND - _GAP - (number + 0.2) * TITLE * LINE
        drawing.add(Words(_GAP, y, line, size=TITLE, bold=True))
    _draw_scales(frame, any_day=any_day)
    _draw_lanes(frame, lanes)
    return frame


def _draw_lanes(frame: Frame, lanes: Sequence[Lane]) -> None:
    for number, lane in enumerate(lanes):
        y, x = frame.y(number), frame.left - _GAP
        frame.drawing.add(Lines([[(frame.left, y), (frame.right, y)]], FAINT))
        up = TEXT * LINE / 2 if lane.note else 0
        frame.drawing.add(Words(x, y + 0.35 * TEXT - up, lane.name, "end"))
        if lane.note:
            frame.drawing.add(Words(x, y + 0.35 * TEXT + up, lane.note, "end", colour=QUIET))


def _draw_scales(frame: Frame, *, any_day: bool) -> None:
    moments = ticks(frame.start, frame.end, frame.right - frame.left)
    seconds = any(moment.second or moment.microsecond for moment in moments)
    if any_day:
        below, above = any_day_labels(moments, moments.tz_convert(UTC))
    else:
        below = tick_labels(moments, seconds)
        above = tick_labels(moments.tz_convert(UTC), seconds, upwards=True)
    places = [frame.x(moment) for moment in moments]
    grid = [[(x, frame.top), (x, frame.bottom)] for x in places]
    edges = [[(frame.left, y), (frame.right, y)] for y in (frame.top, frame.bottom)]
    outside = [[(x, frame.top), (x, frame.top - TICK)] for x in places]
    outside += [[(x, frame.bottom), (x, frame.bottom + TICK)] for x in places]
    frame.drawing.add(Lines(grid, FAINT), Lines(edges + outside, QUIET))
    under, over = frame.bottom + TICK + PAD + 0.8 * TEXT, frame.top - TICK - PAD - 0.2 * TEXT
    for x, low, high in zip(places, below, above, strict=True):
        _write(frame, x, under, low.split("\n"), 1)
        _write(frame, x, over, high.split("\n")[::-1], -1)
    label = places[0] - text_width(below[0]) / 2 if places else frame.left
    for name, y in (("KST", under), ("UTC", over)):
        frame.drawing.add(Words(min(label, frame.left) - 6, y, name, "end", bold=True))


def _write(frame: Frame, x: float, y: float, lines: Sequence[str], way: int) -> None:
    for number, line in enumerate(lines):
        frame.drawing.add(Words(x, y + way * number * TEXT * LINE, line, "middle"))


def draw_legend(frame: Frame, entries: Sequence[Entry]) -> None:
    """Write what was drawn below the axis, in two rows where one has no room."""
    x, y = _GAP + MARK / 2, frame.bottom + _BAND + _GAP + _ROW / 2
    for words, sample in entries:
        wide = MARK + 6 + text_width(words)
        if x + wide > WIDTH - _GAP:
            x, y = _GAP + MARK / 2, y + _ROW
        frame.drawing.add(sample(x, y), Words(x + MARK / 2 + 6, y + 0.35 * TEXT, words))
        x += wide + 16


def mark_entry(mark: Mark) -> Entry:
    """Return the legend's entry of a mark."""
    return mark.words, lambda x, y: Spot(x, y, mark, MARK)


def stroke_entry(
    words: str, colour: str, width: float, dashes: tuple[float, float] | None = None
) -> Entry:
    """Return the legend's entry of a line; one that is upright in the picture has dashes."""
    half = MARK / 2
    if dashes:
        return words, lambda x, y: Lines([[(x, y - half), (x, y + half)]], colour, width, dashes)
    return words, lambda x, y: Lines([[(x - half, y), (x + half, y)]], colour, width)
