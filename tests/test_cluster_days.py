"""Random days on which nothing may run twice, vanish or wait in vain, and proof that a fault shows.

More of them: ``uv run python benchmarks/cluster_days.py --seeds 1000``.
"""

from __future__ import annotations

import contextlib
import importlib
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings

from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import Claim, MemoryLedger
from kst_scheduler.ledger.clock_watch import ClockWatch, Reading
from kst_scheduler.once import lease as lease_module
from kst_scheduler.once.reconcile.job_reconciler import JobReconciler
from kst_scheduler.once.reconcile.overdue import Overdue
from kst_scheduler.simulation import Crash
from random_days.invariants import faults
from random_days.marks import Mark, Marks, wrapped
from random_days.plan import MIDNIGHT, Day, JobPlan, Strike
from random_days.play import play
from random_days.search import search
from random_days.sightings import sightings
from random_days.strategies import KINDS_OF_DAYS
from random_days.tally import DAYS_FOR_ALL_MARKS, Tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kst_scheduler.ledger import ClaimRequest, Outcome
    from random_days.play import Story

# The package has a function of that name, too.
once_module = importlib.import_module("kst_scheduler.once.decorator")

DAYS = 100
FOUND_WITHIN = 200
"""Days after which a safeguard that is missing has been noticed."""


@pytest.fixture(autouse=True)
def _no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show no progress of a simulation that takes long on a busy machine."""
    monkeypatch.setenv("TQDM_DISABLE", "1")


AT_LEAST_JUDGED = {"calm": 25, "one fault": 5}
"""How many runs of ten days are untouched at least: one fault, as a slow ledger, may touch all."""


TENS = range(0, DAYS, 10)
"""The first of each ten days."""
SOME_TENS = [pytest.param(each, marks=[pytest.mark.long] if each else []) for each in TENS]
"""The same; all but the first take long."""


@pytest.mark.parametrize("first", TENS)
def test_nothing_runs_twice_or_vanishes_on_random_days(first: int) -> None:
    """Ten days each, always the same; one that fails is shrunk, and told in words."""
    tally = Tally()
    for number in range(first, first + 10):
        failure = search(number, seen=tally.add)
        assert not failure, f"day {number}: {failure.faults[0]}\n{failure.story.day.words()}"
    assert len(tally.marks) > len(Mark) / 5


@pytest.mark.parametrize("days", list(AT_LEAST_JUDGED))
@pytest.mark.parametrize("first", SOME_TENS)
def test_what_no_fault_touches_runs_at_its_time(days: str, first: int) -> None:
    """Days on which little or nothing goes wrong are those on which most must get done."""
    judged = 0
    for number in range(first, first + 10):
        stories: list[Story] = []
        failure = search(number, days=days, seen=stories.append)
        assert not failure, f"day {number}: {failure.faults[0]}\n{failure.story.day.words()}"
        judged += len(stories[0].judged)
    assert judged >= AT_LEAST_JUDGED[days]


@pytest.mark.parametrize("first", TENS)
def test_nothing_wrong_is_done_where_nothing_ever_calms_down(first: int) -> None:
    """There nothing need get done; but what is done, and what is written, is right.

    The same number draws the same begin of a day as in the other mode, so these are others.
    """
    for number in range(DAYS + first, DAYS + first + 10):
        failure = search(number, days="no calm")
        assert not failure, f"day {number}: {failure.faults[0]}\n{failure.story.day.words()}"


def test_a_number_is_always_the_same_day() -> None:
    """Two plays of a day give equal tables, so a failure can be played again."""
    tables = []
    for _ in range(2):
        search(3, seen=lambda story: tables.append(story.result.runs))
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("days", ["calm", "all faults", "no calm"])
def test_on_the_simplest_day_nothing_goes_wrong(days: str) -> None:
    """So what is left of a day that fails, when it has been shrunk, is what makes it fail."""
    drawn: list[Day] = []

    @settings(max_examples=1, database=None, phases=[Phase.generate])
    @given(day=KINDS_OF_DAYS[days])
    def draw_the_simplest(day: Day) -> None:
        drawn.append(day)

    draw_the_simplest()
    facts = drawn[0].words().splitlines()
    assert [fact.partition(": ")[0] for fact in facts] == ["node A", "node B", "job-1"]


# --- rare states ------------------------------------------------------------------------------


def quiet_day() -> Day:
    """Return a day of two nodes on which nothing goes wrong."""
    job = JobPlan(
        every_hours=6,
        minute=15,
        seconds=2400,
        guard="once and lock",
        blocks=False,
        fails=False,
        window=300,
        repeatable=True,
    )
    return Day(offsets=(0.0, 0.0), jobs=(job,), incidents=(), outages=())


@pytest.mark.parametrize(
    ("strike", "mark"),
    [
        (Strike("A", "claim", 1, True, "lost", 1), Mark.CLAIM_KNOWN_AGAIN),
        (Strike("A", "renew", 1, False, "late", 1), Mark.RENEWAL_CARRIED_OUT_LATE),
        (Strike("A", "claim", 1, True, "crash", 20), Mark.KILLED_AFTER_CLAIM),
        (Strike("A", "insert", 1, True, "crash", 20), Mark.KILLED_IN_A_CLAIM),
        (Strike("A", "renew", 1, False, "freeze", 7200), Mark.RENEWAL_AT_FREEZE),
        (Strike("A", "renew", 1, True, "lost", 1), Mark.RENEWAL_ASKED_AGAIN),
        (Strike("A", "finish", 1, False, "crash", 20), Mark.KILLED_AFTER_WORK),
        (Strike("A", "finish", 1, False, "freeze", 7200), Mark.WRITE_REFUSED),
        (Strike("A", "finish", 1, True, "lost", 1), Mark.WRITE_TWICE),
        (Strike("A", "finish", 1, False, "lost", 1), Mark.WRITE_ASKED_AGAIN),
        (Strike("A", "SET", 1, True, "lost", 1), Mark.LOCK_KNOWN_AGAIN),
        (Strike("A", "rows", 1, False, "crash", 20), Mark.LOOK_CUT),
        (Strike("A", "work begins", 1, False, "freeze", 7200), Mark.LEASE_OVER_AT_THAW),
    ],
)
def test_a_fault_inside_a_step_reaches_a_rare_state(strike: Strike, mark: Mark) -> None:
    """One fault at the first call of a kind; without it the day reaches no rare state."""
    quiet = quiet_day()
    assert sightings(play(quiet)) == set()
    story = play(replace(quiet, strikes=(strike,)))
    assert mark in sightings(story)
    assert faults(story) == []


def test_a_last_write_whose_answer_was_lost_is_not_had_later() -> None:
    """It was had at first."""
    day = replace(quiet_day(), strikes=(Strike("A", "finish", 1, True, "lost", 1),))
    assert Mark.WRITE_ASKED_AGAIN not in sightings(play(day))


def test_a_clock_that_is_set_back_in_a_look_is_no_run_in_its_way() -> None:
    """A is down from 06:14 on, B for two minutes; its clock is set back in the look after that."""
    at = MIDNIGHT + timedelta(hours=6, minutes=14)
    crashes = (Crash("A", at, timedelta(hours=2)), Crash("B", at, timedelta(minutes=2)))
    day = replace(quiet_day(), incidents=crashes)
    assert Mark.CAUGHT_UP in sightings(play(day))
    found = sightings(play(replace(day, strikes=(Strike("B", "rows", 2, True, "clock", -3600),))))
    assert not {Mark.CAUGHT_UP, Mark.CANNOT_CATCH_UP} & found


@pytest.mark.parametrize(("last", "shown", "is_back"), [(4, 4, True), (902, 4502, False)])
def test_a_clock_that_has_stood_where_it_was_set_is_not_back(
    last: float, shown: float, is_back: bool
) -> None:
    """It is trusted after 15 minutes, too."""
    marks, watch = Marks(), ClockWatch()
    with wrapped(marks):
        answers = [
            watch.add_reading(Reading(MIDNIGHT + timedelta(seconds=shows), at, at))
            for at, shows in ((0, 0), (2, 3602), (last, shown))
        ]
    assert answers == [True, False, True]
    assert (Mark.CLOCK_BACK in marks.seen) == is_back


def test_a_rare_state_that_is_never_reached_is_a_fault_of_the_search() -> None:
    """Of so many days, that is; fewer need not reach all."""
    tally = Tally(days=DAYS_FOR_ALL_MARKS, marks=Counter(Mark))
    assert tally.unreached() == []
    del tally.marks[Mark.WRITE_TWICE]
    assert tally.unreached() == ["a last write whose answer was lost is the same write"]
    assert replace(tally, days=DAYS_FOR_ALL_MARKS - 1).unreached() == []


# --- a safeguard that is taken out is noticed -------------------------------------------------


class Unclaimed(MemoryLedger):
    """Lets everybody have the row."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """Claim, also what is taken."""
        try:
            return await super().claim(request)
        except LockedOutError:
            for row in await self.rows(request.occurrence.job_id):
                if row.occurrence == request.occurrence and row.attempt:
                    return Claim(row.id, row.attempt, request)
            raise


class Unrenewed(MemoryLedger):
    """Says that it has extended a lease, and has not."""

    async def renew(self, claim: Claim) -> bool:
        """Do nothing."""
        return claim.row_id > 0


class Unfenced(MemoryLedger):
    """Lets a holder write that was taken over."""

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Finish, whatever the attempt."""
        (attempt,) = [row.attempt for row in await self.rows() if row.id == claim.row_id]
        return await super().finish(Claim(claim.row_id, attempt, claim.request), outcome)


def without_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a frozen holder that lost its lease go on where it was, beside its successor."""

    @contextlib.asynccontextmanager
    async def not_stopped(*_arguments: object, **_options: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(once_module, "renewed", not_stopped)


def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a paused replica move the shared mark: what another one does not run has no row then."""

    async def move_on(reconciler: JobReconciler, _mark: object) -> bool:
        look = reconciler.look
        await look.ledger.advance_watermark(reconciler.job.id, look.until)
        return True

    monkeypatch.setattr(JobReconciler, "_leave_paused", move_on)


def with_late_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew after more than a lease: each run that is longer is cut, on a healthy node."""
    keep = lease_module._Renewals.keep

    async def keep_late(renewals: lease_module._Renewals, sent: float) -> None:
        await keep(renewals, sent + renewals._seconds)

    monkeypatch.setattr(lease_module._Renewals, "keep", keep_late)


def without_catching_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Reconciler write off whatever it finds."""
    monkeypatch.setattr(Overdue, "candidate", lambda _overdue: None)


def first_day_that_fails(
    ledger: type[MemoryLedger], begin: int, days: str = "all faults"
) -> int | None:
    """Return the first day on which something does not hold."""
    numbers = range(begin, begin + FOUND_WITHIN)
    found = (number for number in numbers if search(number, ledger, days=days, shrink=False))
    return next(found, None)


LEDGERS = [(Unclaimed, 0), (Unrenewed, 0), (Unfenced, 45)]
CHANGES = [(without_stop, 0), (without_pause, 131)]
"""With a day that shows it; with another version of hypothesis than drew it, a later day does."""


@pytest.mark.parametrize(("ledger", "begin"), LEDGERS)
def test_a_ledger_without_one_of_its_safeguards_is_found_out(
    ledger: type[MemoryLedger], begin: int
) -> None:
    """Without the claim, the renewal or the fence a day goes wrong."""
    assert first_day_that_fails(ledger, begin) is not None


@pytest.mark.parametrize(("ledger", "begin"), LEDGERS)
def test_days_without_calm_show_the_lack_of_a_safeguard(
    ledger: type[MemoryLedger], begin: int
) -> None:
    """Safety is asked of them as of all others."""
    assert first_day_that_fails(ledger, begin, "no calm") is not None


@pytest.mark.parametrize(("change", "begin"), CHANGES)
def test_a_replica_without_one_of_its_safeguards_is_found_out(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None], begin: int
) -> None:
    """The same, where code of a process is without it."""
    change(monkeypatch)
    assert first_day_that_fails(MemoryLedger, begin) is not None


@pytest.mark.parametrize("change", [with_late_renewals, without_catching_up])
def test_a_cluster_that_gets_nothing_done_is_found_out(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Nothing runs twice there, and nothing vanishes."""
    change(monkeypatch)
    assert first_day_that_fails(MemoryLedger, 0, "one fault") is not None


@pytest.mark.long
@pytest.mark.parametrize("ledger", [ledger for ledger, _ in LEDGERS])
def test_any_days_show_the_lack_in_a_ledger(ledger: type[MemoryLedger]) -> None:
    """Before long, whatever the days are."""
    assert first_day_that_fails(ledger, 0) is not None


@pytest.mark.long
@pytest.mark.parametrize("change", [change for change, _ in CHANGES])
def test_any_days_show_the_lack_in_a_replica(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """The same, where code of a process is without it."""
    change(monkeypatch)
    assert first_day_that_fails(MemoryLedger, 0) is not None


def test_a_day_that_fails_is_shrunk_and_told_in_words() -> None:
    """What is left is the simplest day but one: that of two nodes is passed over."""
    failure = search(5, Unclaimed)
    assert failure is not None
    assert failure.faults
    facts = failure.story.day.words().splitlines()
    assert [fact.partition(": ")[0] for fact in facts] == ["node A", "node B", "node C", "job-1"]
