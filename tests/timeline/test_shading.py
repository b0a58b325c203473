from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, LineCollection

from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)


def test_incidents_are_shaded_over_the_lanes_of_their_node_and_named(
    bad_night: Any, see: Any
) -> None:
    """The shade has the incident's times and covers the node's lanes and no other's."""
    ax = plot_timeline(bad_night)
    (shade,) = [one for one in ax.collections if isinstance(one, FillBetweenPolyCollection)]
    box = shade.get_paths()[0].get_extents()
    assert (box.x0, box.x1) == pytest.approx(
        tuple(see.days(kst(2026, 5, 10, 4, 58), kst(2026, 5, 10, 7, 18)))
    )
    assert see.lanes(ax)["A  hourly-token"] < box.y0 < see.lanes(ax)["B  daily-nps-crawl"] < box.y1
    assert "B frozen 2 h 20 min" in see.texts(ax)


def test_a_clock_jump_is_a_line_and_says_by_how_much(every_status: Any, see: Any) -> None:
    """An instant has no area to shade."""
    ax = plot_timeline(every_status)
    assert {"B clock +3 min", "A down 12 min", "A frozen 30 min"} <= set(see.texts(ax))
    (at,) = see.days(kst(2026, 5, 10, 0, 1))
    lines = [one for one in ax.collections if isinstance(one, LineCollection)]
    starts = [float(np.asarray(part)[0][0]) for one in lines for part in one.get_segments()]
    assert at in [pytest.approx(start) for start in starts]


def test_more_incidents_than_have_room_are_counted(month: Any, see: Any) -> None:
    """Fifteen notes would touch one another, so one says how many they were."""
    assert "C: frozen 15x" in see.texts(plot_timeline(month))
    assert "A down from 30 May 00:00 on" in see.texts(plot_timeline(month))
    assert "A clock -1 min 15 s" in see.texts(plot_timeline(month))


def test_a_node_without_runs_is_seen_when_something_befell_it(
    bad_night: Any, struck: Any, see: Any
) -> None:
    """A node that was down all night has a lane to be down in."""
    down = struck(("C", "crash", DAY, None, ""))
    ax = plot_timeline(bad_night, incidents=down)
    assert "C" in [text.get_text() for text in ax.get_yticklabels()]
    assert "C down from 00:00 on" in see.texts(ax)


def test_what_an_interrupt_cut_is_hatched_and_named(every_status: Any, see: Any) -> None:
    """From the cut to the frame; an expected run after it is not said to be lacking."""
    cut = replace(every_status, end=kst(2026, 5, 11), runs=every_status.runs[:8])
    cut.cut_at = kst(2026, 5, 10, 10)
    ax = plot_timeline(cut, expected=[kst(2026, 5, 10, 1), kst(2026, 5, 10, 20)])
    assert see.title(ax).startswith("interrupted at 10:00: nothing ran at 01:00, ")
    (hatched,) = [patch for patch in ax.patches if patch.get_hatch()]
    (left, right) = hatched.get_extents().transformed(ax.transData.inverted()).intervalx
    assert left == pytest.approx(see.days(kst(2026, 5, 10, 10))[0])
    assert right == pytest.approx(ax.get_xlim()[1])
    assert "not simulated" in see.texts(ax)


def test_what_lies_after_the_picture_is_not_named(bad_night: Any, see: Any) -> None:
    """A cut beyond the end that is shown, or none, changes nothing."""
    plain = see.pixels(plot_timeline(bad_night, end=kst(2026, 5, 10, 8)))
    bad_night.cut_at = kst(2026, 5, 10, 9)
    assert see.pixels(plot_timeline(bad_night, end=kst(2026, 5, 10, 8))) == plain
