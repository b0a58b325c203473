from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)


def test_what_was_expected_and_did_not_run_is_drawn(bad_night: Any, see: Any) -> None:
    """A hollow ring stands in the lanes of the job at the expected time, and words say so."""
    ax = plot_timeline(bad_night, expected={"daily-nps-crawl": kst(2026, 5, 10, 3)})
    ring = see.line(ax, "expected, nothing ran")
    assert ring.get_xdata() == pytest.approx(see.days(kst(2026, 5, 10, 3)) * 2)
    lanes = [see.lanes(ax)["A  daily-nps-crawl"], see.lanes(ax)["B  daily-nps-crawl"]]
    assert ring.get_ydata() == pytest.approx(lanes)
    assert ring.get_markerfacecolor() == "white"
    assert "expected 03:00: nothing ran" in see.texts(ax)
    assert see.title(ax).startswith("daily-nps-crawl did not run at 03:00, ")


def test_a_bare_time_is_expected_of_every_job(bad_night: Any, see: Any) -> None:
    """The hourly job ran at 03:00, so only the crawl has a ring."""
    ax = plot_timeline(bad_night, expected=kst(2026, 5, 10, 3))
    heights = set(see.line(ax, "expected, nothing ran").get_ydata())
    assert heights == {see.lanes(ax)["A  daily-nps-crawl"], see.lanes(ax)["B  daily-nps-crawl"]}


def test_what_ran_as_expected_has_no_ring(bad_night: Any, see: Any) -> None:
    """Whoever expects what the table has, started, missed or folded, sees no ring."""
    hours = pd.date_range(DAY, periods=18, freq="h")
    ax = plot_timeline(bad_night, expected={"hourly-token": hours})
    assert "expected, nothing ran" not in see.legend(ax)


def test_a_job_that_never_ran_has_a_lane_to_be_missed_in(bad_night: Any, see: Any) -> None:
    """What is expected of a job that the table does not know is seen too."""
    ax = plot_timeline(bad_night, expected={"weekly-report": [kst(2026, 5, 10, 9)]})
    assert see.lanes(ax)["A  weekly-report"] < see.lanes(ax)["B  weekly-report"]
    assert "weekly-report did not run at 09:00" in see.title(ax)


def test_many_absent_runs_are_counted_in_the_title(bad_night: Any, see: Any) -> None:
    """A schedule that never fired is one statement, not a heap of words."""
    expected = {"report": [DAY + timedelta(hours=hour) for hour in range(10)]}
    ax = plot_timeline(bad_night, expected=expected)
    assert see.title(ax).startswith("10 expected runs did not happen, ")
    assert not any("nothing ran" in words for words in see.texts(ax))


def test_nothing_ran_at_all_is_drawn_as_what_was_expected(table: Any, see: Any) -> None:
    """An empty night with an expectation shows the expectation."""
    ax = plot_timeline(
        table().table(), expected=kst(2026, 5, 10, 3), start=DAY, end=kst(2026, 5, 11)
    )
    assert see.line(ax, "expected, nothing ran").get_xdata() == pytest.approx(
        see.days(kst(2026, 5, 10, 3))
    )
    assert see.title(ax) == "nothing ran at 03:00; none ok"
