from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from kst_scheduler.runs.table import STATUSES
from kst_scheduler.simulation import ClockJump, Crash, Node, simulate
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timeline.style import MARKS
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron

DAY = kst(2026, 5, 10)


def test_marks_stand_at_the_start_of_their_run_in_the_lane_of_node_and_job(
    bad_night: Any, see: Any
) -> None:
    """The picture's data are the table's: time, node, job and status of every run."""
    ax = plot_timeline(bad_night)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == [
        "A  daily-nps-crawl",
        "A  hourly-token",
        "B  daily-nps-crawl",
        "B  hourly-token",
    ]
    missed = see.line(ax, "missed")
    assert missed.get_xdata() == pytest.approx(see.days(kst(2026, 5, 10, 7)))
    assert missed.get_ydata() == pytest.approx([see.lanes(ax)["B  hourly-token"]])
    ok = see.line(ax, "ok")
    crawls = np.asarray(ok.get_ydata()) == see.lanes(ax)["A  daily-nps-crawl"]
    assert np.asarray(ok.get_xdata())[crawls] == pytest.approx(see.days(kst(2026, 5, 10, 12)))
    assert len(ok.get_xdata()) == 35


def test_only_the_statuses_that_occur_are_in_the_legend(
    bad_night: Any, every_status: Any, see: Any
) -> None:
    """A reader never looks for a mark that is not there."""
    assert see.legend(plot_timeline(bad_night))[:3] == ["ok", "missed", "coalesced"]
    assert see.legend(plot_timeline(every_status))[:8] == [MARKS[one].words for one in STATUSES]


def test_kst_stands_below_and_utc_above_at_the_same_ticks(bad_night: Any, see: Any) -> None:
    """03:00 in Seoul is 18:00 of the day before in UTC, and both dates are written."""
    ax = plot_timeline(bad_night)
    (above,) = ax.child_axes
    assert list(ax.get_xticks()) == list(above.get_xticks())
    below = [text.get_text() for text in ax.get_xticklabels()]
    utc = [text.get_text() for text in above.get_xticklabels()]
    assert below[:3] == ["00:00\n10 May 2026", "03:00", "06:00"]
    assert utc[:4] == ["9 May 2026\n15:00", "18:00", "21:00", "10 May\n00:00"]
    assert {"KST", "UTC"} <= set(see.texts(ax))


def test_the_title_says_what_went_wrong_or_that_nothing_did(
    bad_night: Any, table: Any, every_status: Any, see: Any
) -> None:
    """The point of the picture is its title, and the title can be replaced."""
    night = see.title(plot_timeline(bad_night))
    assert night == "16 occurrences ran twice, 1 missed, 2 coalesced; 35 ok"
    runs = table()
    for hour in range(24):
        runs.run("A", "hourly", DAY + timedelta(hours=hour))
    assert see.title(plot_timeline(runs.table())) == "all 24 ok"
    assert see.title(plot_timeline(runs.table()[:1])) == "1 ok"
    assert see.title(plot_timeline(every_status)) == (
        "2 missed, 2 errors, 2 cancelled, 2 skipped, 2 coalesced; "
        "2 ok, 2 locked out, 2 still running, up to 25 min late"
    )
    assert see.title(plot_timeline(bad_night, title="one bad night")) == "one bad night"


@pytest.mark.parametrize(
    ("end", "moment"),
    [(kst(2027, 5, 11), "10 May 2027 03:00"), (kst(2027, 1, 1), "10 Dec 03:00")],
)
def test_a_picture_of_more_than_a_year_names_years(
    table: Any, see: Any, struck: Any, end: datetime, moment: str
) -> None:
    """In the title, beside the ring of what did not run, and of an incident without an end."""
    runs = table()
    runs.run("A", "nightly", DAY)
    at = kst(2027 if end.day == 11 else 2026, 5 if end.day == 11 else 12, 10, 3)
    ax = plot_timeline(
        runs.table(),
        expected=at,
        incidents=struck(("A", "crash", at, None, "")),
        start=DAY,
        end=end,
    )
    assert see.title(ax) == f"nothing ran at {moment}; 1 ok"
    assert {f"expected {moment}: nothing ran", f"A down from {moment} on"} <= set(see.texts(ax))


def test_an_empty_table_is_an_empty_picture_that_says_so(table: Any, see: Any) -> None:
    """Nothing to draw is no error."""
    for ax in (
        plot_timeline(table().table(), start=DAY, end=kst(2026, 5, 11)),
        plot_timeline(table().table()),
    ):
        assert "no runs to draw" in see.texts(ax)
        assert see.title(ax) == "no runs"


def test_a_simulations_result_is_drawn_as_it_is(see: Any) -> None:
    """Real runs on two nodes, a real clock jump: the result brings all that the picture needs."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(asyncio.sleep, cron(minute=0), args=[600], id="hourly")

    end, jump = kst(2026, 5, 10, 6), ClockJump("B", kst(2026, 5, 10, 2, 30), 180)
    ax = plot_timeline(simulate(register, DAY, end, nodes=2, incidents=[jump]))
    assert list(see.lanes(ax)) == ["A  hourly", "B  hourly"]
    assert "B clock +3 min" in see.texts(ax)
    assert see.title(ax).startswith("6 occurrences ran twice; 12 ok")


def test_lanes_stand_in_the_order_of_the_code(see: Any) -> None:
    """Of nodes as they were given, of jobs as they were added; not of the alphabet, nor of time."""

    def register(scheduler: Any) -> None:
        for number, job_id in enumerate(("zebra", "nightly", "archive")):
            scheduler.add_job(asyncio.sleep, cron(hour=20 - number), [0], id=job_id)

    crash = Crash("web-1", kst(2026, 5, 10, 9), timedelta(hours=1))
    nodes = [Node("web-10"), Node("web-1")]
    result = simulate(register, kst(2026, 5, 10), kst(2026, 5, 11), nodes, [crash])
    assert (result.nodes, result.jobs) == (("web-10", "web-1"), ("zebra", "nightly", "archive"))
    each = ["zebra", "nightly", "archive"]
    in_code = [f"{node}  {job}" for node in ("web-10", "web-1") for job in each]
    assert list(see.lanes(plot_timeline(result))) == in_code
    # A bare table does not know it, and what is expected beyond the code comes last.
    natural = [f"{node}  {job}" for node in ("web-1", "web-10") for job in sorted(each)]
    assert list(see.lanes(plot_timeline(result.runs))) == natural
    more = plot_timeline(result, expected={"absent": kst(2026, 5, 10, 3)})
    assert list(see.lanes(more))[:4] == [*in_code[:3], "web-10  absent"]
