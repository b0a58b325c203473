from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import pytz

from kst_scheduler.errors import NaiveDatetimeError, NoOccurrenceError
from kst_scheduler.scheduler.occurrence import RUNNING, Occurrence, current_occurrence
from kst_scheduler.timezone import kst

THREE = kst(2026, 5, 10, 3)


@pytest.mark.parametrize(
    "same_moment",
    [
        THREE,
        datetime(2026, 5, 9, 18, tzinfo=UTC),
        datetime(2026, 5, 9, 14, tzinfo=ZoneInfo("America/New_York")),
        datetime(2026, 5, 10, 3, tzinfo=timezone(timedelta(hours=9))),
        pytz.timezone("Asia/Seoul").localize(datetime(2026, 5, 10, 3)),  # noqa: DTZ001
    ],
)
def test_every_zone_gives_the_same_occurrence_and_key(same_moment: datetime) -> None:
    """Replicas agree on an occurrence in whatever zone each of them writes it."""
    occurrence = Occurrence("daily-nps-crawl", same_moment)
    assert occurrence.key == "daily-nps-crawl@2026-05-09T18:00:00Z"
    assert occurrence == Occurrence("daily-nps-crawl", THREE)
    assert hash(occurrence) == hash(Occurrence("daily-nps-crawl", THREE))


def test_the_key_is_in_whole_seconds() -> None:
    """A fraction of a second, on which replicas may disagree, is not part of the key."""
    late = THREE + timedelta(microseconds=999_999)
    assert Occurrence("a", late).key == Occurrence("a", THREE).key


def test_the_two_passes_of_a_repeated_hour_have_two_keys() -> None:
    """When a clock is turned back, 01:30 comes twice, and each is an occurrence of its own."""
    new_york = ZoneInfo("America/New_York")
    first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=new_york, fold=fold) for fold in (0, 1))
    assert Occurrence("a", first).key == "a@2026-11-01T05:30:00Z"
    assert Occurrence("a", second).key == "a@2026-11-01T06:30:00Z"


def test_a_manual_run_has_a_key_of_its_own() -> None:
    """A run asked for at 03:00 sharp is not the scheduled run of 03:00."""
    manual = Occurrence("a", THREE, manual=True)
    assert manual.key == "a@2026-05-09T18:00:00.000000Z/manual"
    assert manual != Occurrence("a", THREE)
    assert Occurrence("a", THREE + timedelta(microseconds=1), manual=True).key != manual.key


def test_an_occurrence_is_written_as_its_key() -> None:
    """Messages and logs name an occurrence by its key."""
    assert str(Occurrence("a", THREE)) == "a@2026-05-09T18:00:00Z"


def test_a_naive_time_is_refused() -> None:
    """The message names the argument and says what to write."""
    with pytest.raises(NaiveDatetimeError, match=r"scheduled_at=.* write kst\(2026, 5, 10, 3"):
        Occurrence("a", datetime(2026, 5, 10, 3))  # noqa: DTZ001


def test_outside_a_job_there_is_no_current_occurrence() -> None:
    """The message says where to call it."""
    with pytest.raises(NoOccurrenceError, match="where no job runs; call it inside a job"):
        current_occurrence()


def test_tasks_and_threads_of_a_job_see_its_occurrence() -> None:
    """What a job starts inherits the occurrence, as context variables do."""

    async def job() -> list[Occurrence]:
        RUNNING.set(("a", THREE, False))

        async def part() -> Occurrence:
            return current_occurrence()

        return [*await asyncio.gather(part(), part()), await asyncio.to_thread(current_occurrence)]

    assert asyncio.run(job()) == [Occurrence("a", THREE)] * 3
