"""Rare states that a search has to reach: what is never reached is not tested.

Each is seen from outside: by the ledger, the Redis and the witness of the days, in the story of a
day that is over (``sightings``), or by a wrapper round one function of the product (``wrapped``).
"""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch
from weakref import WeakSet

from redis.asyncio.lock import Lock

from kst_scheduler.errors import LedgerUnavailableError, LockedOutError
from kst_scheduler.ledger.clock_watch import ClockWatch
from kst_scheduler.once import decorator as decorator_module
from kst_scheduler.once import lease as lease_module
from kst_scheduler.once import locks as locks_module
from kst_scheduler.once.reconcile import job_reconciler as job_reconciler_module
from kst_scheduler.once.reconcile import reconciler as reconciler_module
from kst_scheduler.once.reconcile.job_reconciler import JobReconciler
from kst_scheduler.once.takeover import Takeover, _PutOffError
from kst_scheduler.simulation import current_node
from random_days.plan import END, true_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Mark(StrEnum):
    """A rare state, in words."""

    # --- the claim
    CLAIM_KNOWN_AGAIN = "a claim's answer is lost, and the claim is known again"
    CLAIM_ASKED_AGAIN = "a claim is asked again, and had"
    CLAIM_GIVEN_UP = "a claim is given up after its patience"
    CLAIM_TOO_EARLY = "a claim is refused, as its time has not come by the ledger's clock"
    CLAIM_TWICE = "a process claims an occurrence again that it has run, after its clock was set"
    CLAIM_WAITS_FOR_OUTCOME = "a claim waits for an earlier outcome that its process keeps"
    CLAIM_CARRIED_OUT_LATE = "a claim is carried out when its process has given it up"
    CLAIM_NOT_REPEATED = "a claim leaves a lost run alone that is not to be repeated"
    CLAIM_USES_UP = "attempts are used up, and a claim closes the row"
    CLAIM_CLOSES_OTHER = "a claim closes the lost run of another occurrence"
    SKIPPED = "an occurrence is skipped, as another one of its job runs"
    SKIPPED_IS_RUN = "an occurrence that was skipped is run later"
    UNTIMELY_IS_RUN = "an occurrence that was called missed before its time is run"
    MISSED_IN_TIME_STANDS = "a row that was missed in its time stands, though the clock is behind"
    EARLY = "a run is early by a clock of its host that is ahead"

    # --- taking over
    TAKEN_OVER = "a lost run is taken over"
    TAKEN_OVER_AGAIN = "the takeover of a takeover"
    TAKEN_FROM_FROZEN = "a run is taken over whose process is frozen"
    TAKEN_FROM_DEAD = "a run is taken over whose process is dead"
    TAKEN_FROM_HUNG = "a run is taken over that has hung its process"
    TAKEN_OF_JOB_THAT_IS_OVER = "a lost run of a job of one date is taken over"
    TOO_LATE_FOR_A_TAKEOVER = "two takeovers of one run: the second is too late"
    ENDED_BEFORE_TAKEOVER = "a run ends, or is renewed, while its takeover is on its way"
    PUT_OFF_AFTER_OUTAGE = "a takeover is put off, as the ledger was away"
    PUT_OFF_BY_CLOCK = "a lease that is over is not believed, as the clock was set"
    KILLED_IN_A_CLAIM = "a process is killed in the middle of a claim"

    # --- the lease
    RENEWAL_ASKED_AGAIN = "a renewal fails, and is had later"
    RENEWAL_REFUSED = "a renewal is refused, as another holds the row"
    RENEWAL_AT_FREEZE = "a renewal is in flight when a freeze begins"
    RENEWAL_AT_CRASH = "a renewal is in flight when the process is killed"
    RENEWAL_CARRIED_OUT_LATE = "a renewal is carried out when its process has given it up"
    LEASE_RAN_OUT = "the lease of a row runs out"
    LEASE_OVER_AT_START = "a lease is over before the work begins"
    LEASE_OVER_AT_THAW = "a run is stopped when its process thaws"
    LEASE_EXTENDED_WHILE_DOWN = "a run goes on beyond its lease, as the ledger says that it is down"

    # --- the last write
    WRITE_ASKED_AGAIN = "a last write fails, and is had later"
    WRITE_TWICE = "a last write whose answer was lost is the same write"
    WRITE_REFUSED = "a last write is refused after a takeover"
    WRITE_REFUSED_CLOSED = "a last write is refused, as the row was closed"
    WRITE_CARRIED_OUT_LATE = "a last write is carried out when its process has given it up"
    WRITE_KEPT = "an outcome cannot be written, and is kept"
    KEPT_WRITTEN = "an outcome that was kept is written later"
    KEPT_TWICE = "an outcome that was kept had been written: its answer was lost"
    KEPT_REFUSED = "an outcome that was kept is refused, as another has the row"
    KILLED_AFTER_CLAIM = "a process is killed between its claim and its work"
    KILLED_AFTER_WORK = "a process is killed between its work and its row"
    KILLED_WITH_KEPT = "a process is killed that keeps an outcome"
    ERROR_RAISES = "an error that cannot be shown ends a run"

    # --- the lock
    LOCK_BUSY = "a lock is held by another run"
    LOCK_AWAY = "a run is skipped, as its lock could not be had"
    LOCK_KNOWN_AGAIN = "a lock's answer is lost, and it is known by its token"
    LOCK_EMPTIED = "Redis forgets a lock while its run works"
    LOCK_LOST = "a lock is lost to another run, or is gone"
    LOCK_RAN_OUT = "a lock cannot be renewed before it expires"
    LOCK_GONE_AT_END = "a lock has gone when its work ends"
    LOCK_LEFT = "a lock that cannot be given back is left to expire"
    LOCK_GIVEN_BACK_AGAIN = "a lock's giving back fails, and is done later"

    # --- the look
    CAUGHT_UP = "a run is caught up"
    CAUGHT_UP_LATE = "a run is caught up at the edge of its window"
    CAUGHT_UP_WHILE_FROZEN = "a run is caught up that fell due on a node which is frozen still"
    CAUGHT_UP_AFTER_ALL = "a run is caught up that fell due when no node was up"
    CANNOT_CATCH_UP = "a look finds a run in the way of what it would catch up"
    LOOK_LEAVES_SOME = "a look leaves an occurrence to a later one"
    TOO_LATE = "an occurrence is missed, as its window is over"
    FOLDED = "an occurrence is folded into a newer one"
    LOOKS_RACE = "two looks write one missed row"
    CLOSED_NOT_REPEATED = "a look closes a lost run that is not to be repeated"
    CLOSED_TOO_LATE = "a look closes a lost run whose window is over"
    CLOSED_FOLDED = "a look closes a lost run that is folded into a newer one"
    CLOSED_USED_UP = "attempts are used up, and a look closes the row"
    CLOSE_RACES_CLOSE = "a row is closed twice at once, by looks or claims"
    CLOSE_RACES_RUN = "a look closes a row that was renewed, ended or taken over meanwhile"
    LOST_LEFT_AFTER_OUTAGE = "the first look after an outage leaves a lost run alone"
    LOST_OF_FUTURE = "a lost run lies in the future of the host that finds it"
    MARK_SET_BACK = "a mark that a clock ahead has moved is set back"
    CLOCK_DOUBTED = "a look does nothing, as the ledger's clock was set"
    CLOCK_BACK = "the ledger's clock is back where it was, and is trusted"
    LOOK_PUT_OFF = "a look is put off, as the ledger is away"
    LOOK_CUT = "a look is cut by a crash"
    LOOK_FROZEN = "a look is frozen in the middle"
    LOOKS_AT_ONCE = "two nodes look at the same time"
    MISSED_AND_KILLED = "a process is killed between a missed row and its alert"
    CLOSED_BY_CLAIM_TOLD = "what a claim has closed is alerted"
    AWAY_AT_BOOT = "the ledger is away when a process starts"

    # --- clocks and pauses
    SET_BACK_OVER_FIRE = "a clock is set back over a fire time"
    SET_FORWARD_OVER_FIRE = "a clock is set forward over a fire time"
    PAUSED_EVERYWHERE = "an occurrence falls due while its job is paused on all nodes"
    PAUSE_NOTED = "a pause is noted for other replicas"
    PAUSE_READ = "a pause that another replica has noted ends"
    ALL_STOPPED = "an occurrence falls due while no node is up"


@dataclass
class Marks:
    """Which marks a day has reached, and what tells of others when it is over."""

    seen: set[Mark] = field(default_factory=set)
    renewals: list[Span] = field(default_factory=list)
    """Each renewal from its request to its answer."""
    stops: list[tuple[str, datetime]] = field(default_factory=list)
    """Where and when a run was stopped, its lease being over."""
    keeping: dict[int, Span] = field(default_factory=dict)
    """Each outcome that a process keeps, by the id of its row."""

    def add(self, mark: Mark) -> None:
        """Note that a mark is reached."""
        self.seen.add(mark)


@dataclass
class Span:
    """What a process did, and for how long; when it has died, to the end of the day."""

    node: str
    start: datetime
    end: datetime = END

    def covers(self, moment: datetime) -> bool:
        """Tell whether the process was at it."""
        return self.start <= moment < self.end


IS_KEPT: Final[ContextVar[bool]] = ContextVar("is_kept", default=False)
"""Whether an outcome is written that was kept."""

IS_ASKED_AGAIN: Final[ContextVar[bool]] = ContextVar("is_asked_again", default=False)
"""Whether the ledger is asked again, as it gave no answer before."""


@contextlib.contextmanager
def wrapped(marks: Marks) -> Iterator[None]:
    """Wrap functions of the product that tell of a mark, while a day is played."""
    changes: list[tuple[object, str, Callable[..., Any]]] = [
        (decorator_module, "retry_while_unavailable", _retry),
        (decorator_module, "was_in_time", _was_in_time),
        (decorator_module, "_write_again", _write_again),
        (Takeover, "may_take", _may_take),
        (ClockWatch, "add_reading", _add_reading),
        (lease_module._Renewals, "_try", _try),
        (lease_module._Renewals, "_extend_lease", _extend_lease),
        (lease_module._Renewals, "why", _why),
        (locks_module._Lock, "acquire", _acquire),
        (locks_module._Lock, "_retry_release", _retry_release),
        (Lock, "owned", _owned),
        (JobReconciler, "reconcile", _reconcile),
        (JobReconciler, "_start", _start),
        (job_reconciler_module, "noted_pause", _noted_pause),
        (reconciler_module, "trusted_time", _trusted_time),
    ]
    with contextlib.ExitStack() as stack:
        for place, name, wrapper in changes:
            original = getattr(place, name)
            stack.enter_context(patch.object(place, name, wrapper(marks, original)))
        yield


def _retry(marks: Marks, original: Any) -> Any:
    async def retry(ask: Any, patience: Any, what: str) -> Any:
        async def ask_and_note() -> Any:
            try:
                answer = await ask()
            except _PutOffError:  # the ledger has answered
                raise
            except LedgerUnavailableError:
                IS_ASKED_AGAIN.set(True)
                raise
            if is_claim and IS_ASKED_AGAIN.get():
                marks.add(Mark.CLAIM_ASKED_AGAIN)
            return answer

        is_claim = what.startswith("the claim")
        IS_ASKED_AGAIN.set(False)
        try:
            return await original(ask_and_note, patience, what)
        except LedgerUnavailableError:
            if is_claim:
                marks.add(Mark.CLAIM_GIVEN_UP)
            raise

    return retry


def _was_in_time(marks: Marks, original: Any) -> Any:
    async def was_in_time(*arguments: Any) -> bool:
        answer: bool = await original(*arguments)
        if answer:
            marks.add(Mark.MISSED_IN_TIME_STANDS)
        return answer

    return was_in_time


def _write_again(marks: Marks, original: Any) -> Any:
    async def write_again(ledger: Any, claim: Any, *arguments: Any) -> Any:
        marks.keeping.setdefault(claim.row_id, Span(current_node(), true_time()))
        token = IS_KEPT.set(True)
        try:
            is_done = await original(ledger, claim, *arguments)
        finally:
            IS_KEPT.reset(token)
        if is_done:
            marks.keeping[claim.row_id].end = true_time()
        return is_done

    return write_again


def _may_take(marks: Marks, original: Any) -> Any:
    async def may_take(takeover: Any) -> bool:
        try:
            answer: bool = await original(takeover)
        except LedgerUnavailableError as error:
            if "the replica whose lease is over" in str(error):
                marks.add(Mark.PUT_OFF_AFTER_OUTAGE)
            raise
        if not answer:
            marks.add(Mark.PUT_OFF_BY_CLOCK)
        return answer

    return may_take


def _add_reading(marks: Marks, original: Any) -> Any:
    def add_reading(watch: Any, reading: Any) -> bool:
        was_doubted = bool(watch._untrusted)
        is_trusted: bool = original(watch, reading)
        # One that has stood where it was set is trusted from its first reading there on.
        if was_doubted and is_trusted and watch.steady_since == reading.shown:
            marks.add(Mark.CLOCK_BACK)
        return is_trusted

    return add_reading


def _try(marks: Marks, original: Any) -> Any:
    failed: WeakSet[Any] = WeakSet()

    async def try_once(renewals: Any) -> bool | None:
        span = Span(current_node(), true_time())
        marks.renewals.append(span)
        try:
            held: bool | None = await original(renewals)
        except asyncio.CancelledError:
            span.end = true_time()
            raise
        span.end = true_time()
        if held is None:
            failed.add(renewals)
        elif held and renewals in failed:
            marks.add(Mark.RENEWAL_ASKED_AGAIN)
        return held

    return try_once


def _extend_lease(marks: Marks, original: Any) -> Any:
    def extend_lease(renewals: Any, next_at: float) -> None:
        before = renewals._lease.when()
        original(renewals, next_at)
        if renewals._lease.when() != before:
            marks.add(Mark.LEASE_EXTENDED_WHILE_DOWN)

    return extend_lease


def _why(marks: Marks, original: Any) -> Any:
    def why(renewals: Any) -> str:
        marks.stops.append((current_node(), true_time()))
        is_lock = renewals._what.startswith("lock ")
        if renewals._lost:
            marks.add(Mark.LOCK_LOST if is_lock else Mark.RENEWAL_REFUSED)
        else:
            marks.add(Mark.LOCK_RAN_OUT if is_lock else Mark.LEASE_RAN_OUT)
        return str(original(renewals))

    return why


def _acquire(marks: Marks, original: Any) -> Any:
    async def acquire(lock: Any, patience: float) -> float:
        try:
            since: float = await original(lock, patience)
        except LockedOutError:
            marks.add(Mark.LOCK_BUSY)
            raise
        return since

    return acquire


def _retry_release(marks: Marks, original: Any) -> Any:
    async def retry_release(lock: Any) -> bool:
        began = true_time()
        is_held: bool = await original(lock)
        if is_held and lock._granted and true_time() > began and lock._lock.local.token is None:
            marks.add(Mark.LOCK_GIVEN_BACK_AGAIN)
        return is_held

    return retry_release


def _owned(marks: Marks, original: Any) -> Any:
    async def owned(lock: Any) -> bool:
        answer: bool = await original(lock)
        if answer:
            marks.add(Mark.LOCK_KNOWN_AGAIN)
        return answer

    return owned


def _reconcile(marks: Marks, original: Any) -> Any:
    async def reconcile(reconciler: Any) -> bool:
        is_done: bool = await original(reconciler)
        if not is_done:
            marks.add(Mark.LOOK_LEAVES_SOME)
        return is_done

    return reconcile


def _start(marks: Marks, original: Any) -> Any:
    async def start(reconciler: Any, candidate: Any) -> bool:
        is_started: bool = await original(reconciler, candidate)
        is_due = candidate.scheduled_at <= datetime.now(UTC)  # as its host shows it
        if not is_started and is_due and not reconciler.look.scheduler._draining:
            marks.add(Mark.CANNOT_CATCH_UP)
        return is_started

    return start


def _noted_pause(marks: Marks, original: Any) -> Any:
    async def noted_pause(*arguments: Any) -> Any:
        found = await original(*arguments)
        if found is not None:
            marks.add(Mark.PAUSE_READ)
        return found

    return noted_pause


def _trusted_time(marks: Marks, original: Any) -> Any:
    async def trusted_time(ledger: Any) -> Any:
        now = await original(ledger)
        if now is None:
            marks.add(Mark.CLOCK_DOUBTED)
        return now

    return trusted_time
