from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.timeline import plot_fire_times
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import cron

DAY = kst(2026, 5, 10)
NEXT = kst(2026, 5, 11)
WEEK = DAY + timedelta(days=7)


def times(frequency: str, end: datetime = WEEK) -> pd.DatetimeIndex:
    """Return regular times from the tenth of May."""
    return pd.date_range(DAY, end, freq=frequency, inclusive="left")


def test_a_day_has_a_lane_for_each_trigger(see: Any) -> None:
    """Real triggers and ready fire times stand side by side; the end is not a fire."""
    triggers = {"nightly": cron(hour=3, minute=0), "at noon": pd.DatetimeIndex([DAY, NEXT])}
    ax = plot_fire_times(triggers, DAY, NEXT)
    assert list(see.lanes(ax)) == ["nightly", "at noon"]
    (line,) = [one for one in see.lines(ax) if one.get_label() == "ok"]
    assert line.get_xdata() == pytest.approx(see.days(kst(2026, 5, 10, 3), DAY))
    assert line.get_ydata() == pytest.approx(list(see.lanes(ax).values()))
    assert {"03:00", "00:00"} <= set(see.texts(ax))
    assert see.title(ax) == "fires in 1 day: nightly (1), at noon (1)"


def test_paydays_and_closing_days_have_their_lanes(see: Any) -> None:
    """Both end in May 2026 before the 25th, a substitute day, and the 31st, a Sunday."""
    triggers = {
        "payday": on_business_days(cron(day=25, hour=9), otherwise="previous"),
        "closing": on_business_days(cron(hour=18), nth_of_month=-1),
    }
    ax = plot_fire_times(triggers, kst(2026, 5, 22), kst(2026, 5, 30))
    rows = list(see.lanes(ax))
    payday, closing = see.line(ax, "payday"), see.line(ax, "closing")
    assert rows[round(float(payday.get_ydata()[0]))] == "Fri 22 May"
    assert rows[round(float(closing.get_ydata()[0]))] == "Fri 29 May"
    assert see.title(ax) == "fires in 8 days: payday (1), closing (1)"


def test_a_trigger_that_never_fires_says_so(see: Any) -> None:
    """An empty lane is an answer, and is said in words."""
    ax = plot_fire_times({"never": pd.DatetimeIndex([])}, DAY, NEXT)
    assert "no fire" in see.texts(ax)


def test_a_week_has_a_row_for_each_day(see: Any) -> None:
    """Days lie below one another, so that the same hour of each is compared."""
    triggers = {"nightly": times("24h") + timedelta(hours=3), "hourly": times("h")}
    ax = plot_fire_times(triggers, DAY, WEEK)
    lanes = see.lanes(ax)
    assert list(lanes)[:2] == ["Sun 10 May", "Mon 11 May"]
    assert len(lanes) == 7
    nightly, hourly = see.line(ax, "nightly"), see.line(ax, "hourly")
    assert nightly.get_xdata() == pytest.approx(see.days(kst(2026, 5, 10, 3)) * 7)
    assert np.round(nightly.get_ydata()) == pytest.approx(list(lanes.values()))
    assert len(hourly.get_xdata()) == 168
    assert nightly.get_marker() != hourly.get_marker()
    assert see.legend(ax) == ["nightly", "hourly"]


def test_utc_says_which_day_it_means() -> None:
    """For a day that stands for any, UTC counts from the day before."""
    ax = plot_fire_times({"nightly": times("24h")}, DAY, WEEK)
    above = [text.get_text() for text in ax.child_axes[0].get_xticklabels()]
    assert above[:4] == ["day before\n15:00", "18:00", "21:00", "same day\n00:00"]


def test_a_month_has_one_axis_again(see: Any) -> None:
    """Thirty rows of days would be a wall; the lanes return."""
    end = DAY + timedelta(days=31)
    ax = plot_fire_times({"nightly": times("24h", end), "minutely": times("min", end)}, DAY, end)
    assert list(see.lanes(ax)) == ["nightly", "minutely"]
    (band,) = [line for line in see.lines(ax) if line.get_linewidth() > 5]
    assert band.get_xdata()[:2] == pytest.approx(see.days(DAY, end), abs=0.1)


def test_a_few_fires_of_a_month_are_named_by_their_day(see: Any) -> None:
    """Over weeks a clock time would leave open which day is meant."""
    fires = pd.DatetimeIndex([kst(2026, 5, 12, 3), kst(2026, 5, 26, 3)])
    ax = plot_fire_times({"report": fires}, DAY, DAY + timedelta(days=31))
    assert {"12 May", "26 May"} <= set(see.texts(ax))
    assert "03:00" not in see.texts(ax)


def test_a_few_fires_of_several_years_are_named_with_their_year(see: Any) -> None:
    """Or two of them would have one name; those within a second have its fraction."""
    fires = pd.DatetimeIndex([kst(2026, 5, 12, 3), kst(2027, 5, 12, 3)])
    ax = plot_fire_times({"report": fires}, DAY, DAY + timedelta(days=400))
    assert {"12 May 2026", "12 May 2027"} <= set(see.texts(ax))
    fires = pd.DatetimeIndex([DAY, DAY + timedelta(milliseconds=500)])
    ax = plot_fire_times({"report": fires}, DAY, DAY + timedelta(seconds=1))
    assert {"00:00:00.000", "00:00:00.500"} & set(see.texts(ax))


def test_many_triggers_are_counted_rather_than_listed(see: Any) -> None:
    """A title of six names is not read."""
    triggers = {f"trigger {number}": times("24h") for number in range(6)}
    assert see.title(plot_fire_times(triggers, DAY, WEEK)) == "42 fires of 6 triggers in 7 days"
    assert see.title(plot_fire_times({}, DAY, NEXT)) == "no triggers"


def test_no_words_touch_in_a_week_of_several_triggers(see: Any) -> None:
    """Every text is within the figure."""
    ax = plot_fire_times({f"t{n}": times("h") for n in range(9)}, DAY, WEEK)
    page = ax.figure.bbox
    for text in see.words(ax):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text


def test_bad_input_is_named() -> None:
    """Each message says what to write."""
    with pytest.raises(InvalidArgumentError, match=r"a CronTrigger names no triggers; write \{"):
        plot_fire_times(cron(hour=3), DAY, NEXT)
    with pytest.raises(InvalidArgumentError, match=r"triggers\['a'\]=3 is no trigger"):
        plot_fire_times({"a": 3}, DAY, NEXT)
    with pytest.raises(NaiveDatetimeError, match=r"triggers\['a'\]=.* no time zone"):
        plot_fire_times({"a": pd.DatetimeIndex(["2026-05-10"])}, DAY, NEXT)
    with pytest.raises(InvalidArgumentError, match="is not after start="):
        plot_fire_times({"a": cron(hour=3)}, NEXT, DAY)
    assert times("h").tz == KST
