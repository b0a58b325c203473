from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from matplotlib import pyplot as plt
from matplotlib.image import imread

from kst_scheduler import cron, kst, simulate
from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.judging import (
    compare_fires,
    moment,
    pictures,
    png,
    require_function,
    require_trigger,
    shown,
)

WEEK = (kst(2026, 5, 4), kst(2026, 5, 11))


def test_a_trigger_is_asked_for() -> None:
    """Not a class, not a line of crontab; the reader's own value is named."""
    trigger = cron(hour=3)
    assert require_trigger(trigger, "trigger") is trigger
    with pytest.raises(NotYetError, match="`trigger` is the class `CronTrigger`"):
        require_trigger(CronTrigger, "trigger")
    with pytest.raises(NotYetError, match=r"`trigger` is `'0 3 \* \* \*'`, a str\."):
        require_trigger("0 3 * * *", "trigger")


def test_a_function_is_asked_for() -> None:
    """Not its result, and not one of Python's own classes."""
    assert require_function(print, "register") is print
    for answer in (None, 5, int):
        with pytest.raises(NotYetError, match="Expected a function"):
            require_function(answer, "register")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5, "`5`, an int"),
        (None, "`None`, a NoneType"),
        ("x" * 80, f"`'{'x' * 56}...`, a str"),
    ],
)
def test_a_value_is_shown_short(value: Any, words: str) -> None:
    """With its type, and within a line."""
    assert shown(value) == words


def test_a_moment_is_said_with_its_day() -> None:
    """And with seconds where it has some."""
    assert moment(kst(2026, 5, 10, 3)) == "Sun 10 May 03:00"
    assert moment(kst(2026, 5, 10, 3, 0, 1)) == "Sun 10 May 03:00:01"


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (cron(hour=3), "fires 7 times .*; it should not fire at Sat 9 May 03:00"),
        (cron(day_of_week="mon-thu", hour=3), "fires 4 times .*; 1 fire is missing"),
        (cron(hour=18, timezone="UTC", day_of_week="sun"), "4 fires are missing"),
    ],
)
def test_other_fires_than_expected_are_named(trigger: Any, words: str) -> None:
    """The first that is too many, and how many are missing; a picture of both."""
    with pytest.raises(NotYetError, match=words) as caught:
        compare_fires(trigger, cron(day_of_week="mon-fri", hour=3), *WEEK)
    mine, expected = caught.value.pictures
    assert mine().startswith(b"\x89PNG")
    assert mine() != expected()


def test_a_trigger_of_another_zone_may_be_right() -> None:
    """Its fires count, and not how it is written."""
    mine, _ = compare_fires(cron(hour=18, timezone="UTC"), cron(hour=3), *WEEK)
    assert mine().startswith(b"\x89PNG")
    assert datetime(2026, 5, 9, 18, tzinfo=UTC) == kst(2026, 5, 10, 3)


def test_both_pictures_show_the_same_span(tmp_path: Any) -> None:
    """One for the answer, one for what is asked for; neither is left to be shown again."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(print, cron(hour=3), id="crawl")

    result = simulate(register, *WEEK)
    drawn = [draw() for draw in pictures(result, result)]
    assert drawn[0] == drawn[1]
    (tmp_path / "x.png").write_bytes(drawn[0])
    assert imread(tmp_path / "x.png").shape[1] > 500
    assert plt.get_fignums() == []


def test_what_is_drawn_becomes_a_png_file() -> None:
    """Of whatever axes."""
    assert png(lambda: plt.figure().add_subplot()).startswith(b"\x89PNG")
    assert plt.get_fignums() == []
