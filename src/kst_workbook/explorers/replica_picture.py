"""The picture of a night of replicas: their runs, their clocks, and who held the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from kst_scheduler.timeline.hover import when
from kst_scheduler.timeline.style import GREEN, QUIET, TEXT, VERMILLION, text_width
from kst_scheduler.timeline.words import duration
from kst_workbook.explorers.drawing import Box, Lines, Words
from kst_workbook.explorers.frame import LANE, MARK, Lane, draw_legend, stroke_entry
from kst_workbook.explorers.replica_night import JOB_ID, NO_LOCK
from kst_workbook.explorers.timeline import draw_incidents, draw_runs, open_runs

if TYPE_CHECKING:
    from kst_workbook.explorers.drawing import Drawing
    from kst_workbook.explorers.frame import Entry, Frame
    from kst_workbook.explorers.lock_log import Holding
    from kst_workbook.explorers.replica_night import Night, PlayedNight

_OWN_TIME: Final = "due by its own clock"
_DASHES: Final = (2.0, 2.0)
_HELD: Final = "lock held"
_RAN_OUT: Final = "its lease ended"


def draw(night: Night, played: PlayedNight) -> Drawing:
    """Draw a lane for each replica, with its clock, and one for the lock."""
    lanes = {
        (name, JOB_ID): Lane(f"{name}  {JOB_ID}", _clock_words(offset))
        for name, offset in night.offsets.items()
    }
    lock = Lane("no lock" if night.lock == NO_LOCK else "lock held by")
    result = played.result
    frame = open_runs(result.runs, lanes, result.start, result.end, more=[lock])
    draw_incidents(frame, result.incidents, list(lanes))
    entries = _draw_own_times(frame, night, result.runs)
    entries += _draw_holdings(frame, played.holdings, len(lanes))
    draw_legend(frame, draw_runs(frame, result.runs, list(lanes)) + entries)
    return frame.drawing


def _clock_words(offset: int) -> str:
    return f"clock {duration(-offset)} late" if offset else "clock right"


def _draw_own_times(frame: Frame, night: Night, runs: pd.DataFrame) -> list[Entry]:
    """Draw when each replica whose clock is off believes that the job is due."""
    for lane, (name, offset) in enumerate(night.offsets.items()):
        if offset:
            for due in runs["scheduled_at"].unique():
                x, y = frame.x(due - pd.Timedelta(seconds=offset)), frame.y(lane)
                words = f"{name}'s clock reads {when(due)} here"
                stroke = [(x, y - 0.4 * LANE), (x, y + 0.4 * LANE)]
                frame.drawing.add(Lines([stroke], QUIET, 1.2, _DASHES, words))
    return [stroke_entry(_OWN_TIME, QUIET, 1.2, _DASHES)] if any(night.offsets.values()) else []


def _draw_holdings(frame: Frame, holdings: list[Holding], lane: int) -> list[Entry]:
    """Draw a box for each time for which a replica held the lock, and its name in it."""
    y, tall = frame.y(lane), 1.8 * MARK
    ends = []
    for held in holdings:
        left, right = frame.x(held.begin), frame.x(held.end)
        words = _holding_words(held)
        frame.drawing.add(Box(left, y - tall / 2, max(1, right - left), tall, GREEN, 0.35, words))
        if text_width(held.node) + 2 < right - left:
            middle = (left + right) / 2
            frame.drawing.add(Words(middle, y + 0.35 * TEXT, held.node, "middle", bold=True))
        if held.released is None and held.lease_end <= frame.end:
            ends.append([(right, y - 0.7 * tall), (right, y + 0.7 * tall)])
    if ends:
        frame.drawing.add(Lines(ends, VERMILLION, 2))
    held_entry = (_HELD, lambda x, y: Box(x - MARK / 2, y - MARK / 2, MARK, MARK, GREEN, 0.35))
    entries: list[Entry] = [held_entry] if holdings else []
    return entries + ([stroke_entry(_RAN_OUT, VERMILLION, 2)] if ends else [])


def _holding_words(held: Holding) -> str:
    lease = when(held.lease_end)
    lines = [f"{held.node} held the lock", f"from {when(held.begin)} to {when(held.end)}"]
    if held.released is None:
        return "\n".join([*lines, "then its lease ended, and it had not released the lock"])
    return "\n".join([*lines, f"released; its lease would have ended at {lease}"])
