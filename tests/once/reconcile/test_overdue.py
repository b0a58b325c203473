from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from kst_scheduler.ledger import LedgerRow
from kst_scheduler.once.reconcile.overdue import Overdue, nominal_time
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import UTC, kst

HOURS = [Occurrence("nps", kst(2026, 5, 10, hour)) for hour in range(4)]
NOW = kst(2026, 5, 10, 3, 10)


def running(hour: int, *, manual: bool = False) -> LedgerRow:
    """Return a row whose run lost its lease."""
    moment = HOURS[hour].scheduled_at.astimezone(UTC)
    return LedgerRow(
        id=hour,
        source="nps",
        scheduled_at=moment,
        attempt=1,
        instance="A",
        status="running",
        rows=None,
        duration_ms=None,
        error=None,
        trigger="manual" if manual else "schedule",
        claimed_at=moment,
        lease_until=moment + timedelta(minutes=1),
        started_at=moment,
        finished_at=None,
    )


def overdue(
    statuses: dict[int, str] | None = None,
    abandoned: tuple[LedgerRow, ...] = (),
    window: timedelta = timedelta(hours=2),
    *,
    repeatable: bool = True,
    in_flight: tuple[int, ...] = (),
    waiting: tuple[int, ...] = (),
) -> Overdue:
    """Return what is known at 03:10 of a job that should have run at 0, 1, 2 and 3 o'clock."""
    return Overdue(
        now=NOW,
        due={nominal_time(each): each for each in HOURS},
        newest=HOURS[-1],
        statuses={nominal_time(HOURS[hour]): each for hour, each in (statuses or {}).items()},
        abandoned=abandoned,
        in_flight={nominal_time(HOURS[hour]) for hour in in_flight},
        window=window,
        repeatable=repeatable,
        max_attempts=3,
        waiting={nominal_time(HOURS[hour]) for hour in waiting},
    )


def hours(pairs: object) -> list[tuple[int, str]]:
    """Return the hours of occurrences, and the reasons."""
    return [(each.scheduled_at.hour, reason) for each, reason in pairs]  # type: ignore[attr-defined]


def test_the_newest_runs_and_the_others_have_reasons() -> None:
    """Two are too late, and one gives way."""
    it = overdue()
    assert it.candidate() is HOURS[3]
    assert hours(it.too_late()) == [
        (0, "3:10:00 late, catch-up window 2:00:00"),
        (1, "2:10:00 late, catch-up window 2:00:00"),
    ]
    assert hours(it.folded()) == [(2, "folded into the run of 2026-05-10 03:00:00 KST")]
    assert list(it.left_alone()) == []


def test_a_window_that_just_ends_is_not_over() -> None:
    """So a job with a grace time of 600 s runs at 03:10:00, and not a second later."""
    it = overdue(window=timedelta(minutes=10))
    assert it.candidate() is HOURS[3]
    assert replace(it, now=NOW + timedelta(seconds=1)).candidate() is None


def test_an_occurrence_with_an_end_is_not_run_again() -> None:
    """Only a skipped one is open."""
    for status in ("ok", "error", "cancelled", "missed", "running"):
        assert overdue({3: status}).candidate() is None
    assert overdue({3: "skipped"}).candidate() is HOURS[3]


def test_a_run_in_progress_here_is_left_alone() -> None:
    """It may have no row yet: it claims, and the ledger is away."""
    it = overdue(in_flight=(1, 3))
    assert it.candidate() is None
    assert [hour for hour, _ in hours(it.too_late())] == [0]
    assert list(it.left_alone()) == [HOURS[1], HOURS[3]]
    assert list(overdue({3: "running"}, in_flight=(3,)).left_alone()) == []


def test_a_lost_run_is_repeated_if_it_is_the_newest_and_may_be() -> None:
    """Each other one is given up, with the reason."""
    assert overdue({3: "running"}, (running(3),)).candidate() is HOURS[3]
    given_up = {
        "2:10:00 late, catch-up window 2:00:00": overdue({1: "running"}, (running(1),)),
        "folded into the run of 2026-05-10 03:00:00 KST": overdue({2: "running"}, (running(2),)),
        "the job is not to be repeated": overdue({3: "running"}, (running(3),), repeatable=False),
        "a run by hand is not repeated": overdue({}, (running(3, manual=True),)),
    }
    for why, it in given_up.items():
        ((_, reason),) = it.given_up()
        assert reason == f"abandoned: attempt 1 on A lost its lease; {why}"
    assert list(overdue({3: "running"}, (running(3),)).given_up()) == []


def test_what_was_lost_too_often_is_given_up() -> None:
    """Its attempts are used up, also where a later occurrence would have it folded."""
    lost = replace(running(3), attempt=3, lost=2)
    it = overdue({3: "running"}, (lost,))
    assert it.candidate() is None
    ((row, reason),) = it.given_up()
    assert row is lost
    assert reason.startswith("abandoned: not run again, as max_attempts=3: attempt 3 on A lost its")
    assert overdue({3: "running"}, (replace(lost, lost=1),)).candidate() is HOURS[3]
    ((_, reason),) = overdue({2: "running"}, (replace(running(2), lost=2),)).given_up()
    assert "max_attempts=3" in reason


def test_a_run_by_hand_at_the_same_second_is_no_scheduled_run() -> None:
    """So the occurrence is still open."""
    assert overdue({}, (running(3, manual=True),), repeatable=False).candidate() is HOURS[3]


def test_nothing_due_is_nothing_to_do() -> None:
    """A job whose trigger has been exchanged may have an abandoned row and no fire time."""
    it = replace(overdue(), due={}, newest=None, abandoned=[running(3)])
    assert it.candidate() is None
    assert [*it.too_late(), *it.folded(), *it.given_up()] == []


def test_what_waits_for_a_worker_in_time_is_left_alone() -> None:
    """It does not run here, gives way to none, and is looked at again."""
    it = overdue(waiting=(2, 3))
    assert it.candidate() is None
    assert list(it.folded()) == []
    assert list(it.left_alone()) == HOURS[2:]


def test_what_waits_for_too_long_is_missed() -> None:
    """So that somebody hears of it where no worker is left."""
    it = overdue(waiting=(1, 3))
    assert [reason for _, reason in it.too_late()] == [
        "3:10:00 late, catch-up window 2:00:00",
        "2:10:00 late, catch-up window 2:00:00; it waits for a worker",
    ]
    assert list(it.left_alone()) == HOURS[3:]


def test_what_waits_to_be_taken_over_is_not_started_again() -> None:
    """The task of a worker that died is in the queue again, or that of an earlier look."""
    statuses = dict.fromkeys(range(3), "ok") | {3: "running"}
    assert overdue(statuses, (running(3),)).candidate() is HOURS[3]
    it = overdue(statuses, (running(3),), waiting=(3,))
    assert it.candidate() is None
    assert list(it.given_up()) == []
