from __future__ import annotations

from datetime import datetime
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)
NAIVE = datetime(2026, 5, 10, 3)  # noqa: DTZ001 - what is refused


def test_a_bare_table_takes_its_span_from_its_times(bad_night: Any, see: Any) -> None:
    """A table without a simulation around it is drawn as well, and can be cut to a span."""
    ax = plot_timeline(bad_night.runs, incidents=bad_night.incidents, grace=bad_night.grace)
    first, last = see.days(DAY, kst(2026, 5, 10, 17, 0, 2))
    assert ax.get_xlim()[0] < first < last < ax.get_xlim()[1]
    cut = plot_timeline(bad_night.runs, start=kst(2026, 5, 10, 7), end=kst(2026, 5, 10, 8))
    assert see.title(cut) == "1 occurrence ran twice, 1 missed; 3 ok"


def test_one_moment_has_room_around_it(table: Any) -> None:
    """A single run has no span of its own, and is drawn nevertheless."""
    runs = table()
    runs.run("A", "job", DAY, "missed")
    ax = plot_timeline(runs.table())
    assert ax.get_xlim()[1] - ax.get_xlim()[0] == pytest.approx(60 / 86_400, rel=0.1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"start": NAIVE},
            NaiveDatetimeError,
            r"start=.* write kst\(2026, 5, 10, 3\)",
        ),
        ({"expected": NAIVE}, NaiveDatetimeError, r"expected=.* no time zone"),
        ({"expected": "03:00"}, InvalidArgumentError, r"expected='03:00' is no time; write kst\("),
        ({"expected": {"a": 3}}, InvalidArgumentError, r"expected\['a'\]=3 is no time"),
        ({"end": kst(2026, 5, 9)}, InvalidArgumentError, "end=2026-05-09 .* is not after start="),
        ({"grace": {"a": 300}}, InvalidArgumentError, r"grace\['a'\]=300 .* timedelta\(seconds="),
        ({"incidents": pd.DataFrame({"node": []})}, InvalidArgumentError, "lacks .* kind, start"),
    ],
)
def test_bad_options_are_named_and_leave_no_figure(
    bad_night: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Each message names the value and what to write; nothing is opened before all is checked."""
    with pytest.raises(error, match=message):
        plot_timeline(bad_night, **options)
    assert not plt.get_fignums()


def test_unknown_statuses_and_kinds_are_named(bad_night: Any) -> None:
    """A status that no picture knows is an error rather than a mark that lies."""
    strange = bad_night.runs.assign(status=["lost"] + ["ok"] * (len(bad_night.runs) - 1))
    with pytest.raises(InvalidArgumentError, match="unknown status 'lost'"):
        plot_timeline(strange)
    with pytest.raises(InvalidArgumentError, match=r"unknown kind of incident 'flood'.*freeze"):
        plot_timeline(bad_night, incidents=bad_night.incidents.assign(kind="flood"))


def test_what_holds_no_runs_is_refused() -> None:
    """A list is no table, and the message says what is."""
    with pytest.raises(InvalidArgumentError, match=r"a list has no runs to draw.*simulate"):
        plot_timeline([1, 2])


def test_incidents_need_zones(bad_night: Any) -> None:
    """A naive time of an incident would be drawn hours away."""
    naive = bad_night.incidents.assign(start=[NAIVE])
    with pytest.raises(NaiveDatetimeError, match=r"incidents\['start'\]"):
        plot_timeline(bad_night, incidents=naive)
