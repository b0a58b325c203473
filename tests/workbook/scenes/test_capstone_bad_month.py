from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.simulation.incidents import ClockJump, Crash, Freeze, check_incidents
from kst_scheduler.timezone import kst
from kst_workbook.scenes.capstone import BadMonth, bad_month


def nights(month: BadMonth) -> dict[str, set[date]]:
    """Return the nights with a trouble of their own, by what it is."""
    at_three = [each for each in month.incidents if each.at.hour < 4]
    struck: dict[str, set[date]] = {}
    for kind in (Crash, Freeze):
        days = [each.at.date() for each in at_three if type(each) is kind]
        struck[kind.__name__] = {day for day in days if days.count(day) == 3}
    return struck | {
        "redis": {start.date() for start, _ in month.redis_away},
        "quota": set(month.spent),
    }


@settings(max_examples=50)
@given(seed=st.integers(), days=st.sampled_from([7, 8, 31]))
def test_every_month_can_be_simulated_and_has_its_troubles(seed: int, days: int) -> None:
    """Incidents fit the nodes and the span; the troubles fall on nights of their own."""
    month = bad_month(seed, days=days)
    check_incidents(month.incidents, month.nodes, month.start, month.end)
    found = nights(month)
    assert min(map(len, found.values())) >= 1
    assert sorted(month.spent.values()) == [6_000, 10_000]
    special = set().union(*found.values())
    assert month.start.date() not in special
    (away,) = month.redis_away
    assert away[0] < away[1] < month.end


@given(seed=st.integers())
def test_a_seed_is_a_month(seed: int) -> None:
    """The same seed gives the same month, and another one another."""
    assert bad_month(seed) == bad_month(seed)
    assert bad_month(seed) != bad_month(seed + 1)


def test_the_worst_night_has_all_kinds_of_incidents() -> None:
    """One replica is frozen, one has a wrong clock, and the one that crawls dies."""
    month = bad_month(1)
    worst = month.worst_night()
    struck = [each for each in month.incidents if each.at.date() == worst and each.at.hour < 12]
    assert {type(each) for each in struck} == {ClockJump, Crash, Freeze}
    (crash,) = [each for each in struck if isinstance(each, Crash)]
    assert crash.node == max(month.nodes, key=lambda node: node.clock_offset).name


def test_the_table_tells_everything() -> None:
    """A row for each incident, the outage and both days of quota, in the order of time."""
    month = bad_month(1)
    table = month.table()
    assert len(table) == len(month.incidents) + 3
    assert table["start"].is_monotonic_increasing
    assert set(table["what"]) == {"clock_jump", "crash", "freeze", "redis away", "quota spent"}
    quota = table[table["what"] == "quota spent"]
    assert sorted(quota["detail"]) == ["10,000 calls", "6,000 calls"]
    assert str(table["end"].dtype) == str(table["start"].dtype)


def test_another_month_may_be_asked_for() -> None:
    """By its first midnight and its number of days."""
    month = bad_month(3, kst(2026, 9, 21), days=7)
    assert (month.start, month.end) == (kst(2026, 9, 21), kst(2026, 9, 28))
    assert all(month.start <= each.at < month.end for each in month.incidents)


def test_bad_input_is_named() -> None:
    """Six nights need seven days, and a month begins at a moment in a zone."""
    with pytest.raises(InvalidArgumentError, match=r"days=6 is not from 7 to 366.*write days=7"):
        bad_month(1, days=6)
    with pytest.raises(NaiveDatetimeError, match="start"):
        bad_month(1, datetime(2026, 5, 1) + timedelta(0))  # noqa: DTZ001
