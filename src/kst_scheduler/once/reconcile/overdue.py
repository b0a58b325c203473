"""Judge what is to become of the occurrences of a job that should have run and have no end.

The newest of them is to run, if it is not too late; the others are not, each for a reason.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from kst_scheduler.ledger.checks import occurrence_key
from kst_scheduler.ledger.claiming import used_up

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from kst_scheduler.ledger import LedgerRow
    from kst_scheduler.scheduler.occurrence import Occurrence


@dataclass(frozen=True, slots=True)
class Overdue:
    """What is known of one job at one look; times of rows are in UTC and whole seconds."""

    now: datetime
    due: Mapping[datetime, Occurrence]
    """What should have run since the last look, in order, each by its nominal time."""
    newest: Occurrence | None
    """The last that should have run, since the last look or before."""
    statuses: Mapping[datetime, str]
    """The status of each row of a scheduled run, by its scheduled time."""
    abandoned: Sequence[LedgerRow]
    """The rows whose run lost its lease, and which nobody has taken over."""
    in_flight: Collection[datetime]
    """The scheduled times of the runs in progress here; one that claims has no row yet."""
    window: timedelta
    """How long after its time an occurrence may still be run."""
    repeatable: bool
    """Whether a run that lost its lease may be run again."""
    max_attempts: int
    """How many attempts of an occurrence may lose their lease."""
    waiting: Collection[datetime] = frozenset()
    """The scheduled times of what was handed off, and waits for a worker."""

    def candidate(self) -> Occurrence | None:
        """Return the occurrence that is to run now: the newest, if it is open and in time."""
        newest = self.newest
        if newest is None or self._is_late(newest.scheduled_at):
            return None
        moment = nominal_time(newest)
        if moment in self.waiting:
            return None
        for row in self.abandoned:
            if _is_scheduled(row, moment):
                return None if self._why_given_up(row) else newest
        is_open = self.statuses.get(moment) in {None, "skipped"} and moment not in self.in_flight
        return newest if is_open and moment in self.due else None

    def too_late(self) -> Iterator[tuple[Occurrence, str]]:
        """Yield those without a row that are too late, and how late they are."""
        for moment, each in islice(self.due.items(), self._late()):
            if self._has_no_row(moment):
                waits = "; it waits for a worker" if moment in self.waiting else ""
                yield each, self._lateness(each.scheduled_at) + waits

    def folded(self) -> Iterator[tuple[Occurrence, str]]:
        """Yield those without a row that are in time, and give way to the newest."""
        for moment, each in islice(self.due.items(), self._late(), None):
            is_open = self._has_no_row(moment) and moment not in self.waiting
            if is_open and each is not self.newest:
                yield each, self._folding()

    def left_alone(self) -> Iterator[Occurrence]:
        """Yield those without a row that are in progress here, or wait for a worker in time."""
        for moment in sorted({*self.in_flight, *self.waiting} & self.due.keys()):
            each = self.due[moment]
            is_in_time = moment in self.in_flight or not self._is_late(each.scheduled_at)
            if is_in_time and moment not in self.statuses:
                yield each

    def given_up(self) -> Iterator[tuple[LedgerRow, str]]:
        """Yield the abandoned rows that are not to be taken over, and why."""
        for row in self.abandoned:
            if self.repeatable and self._is_used_up(row):
                yield row, used_up(row, self.max_attempts)
            elif why := self._why_given_up(row):
                lost = f"attempt {row.attempt} on {row.instance} lost its lease"
                earlier = f"{row.error}; " if row.error else ""
                yield row, f"abandoned: {earlier}{lost}; {why}"

    def _why_given_up(self, row: LedgerRow) -> str:
        if row.trigger == "manual":
            return "a run by hand is not repeated"
        if not self.repeatable:
            return "the job is not to be repeated"
        if self._is_late(row.scheduled_at):
            return self._lateness(row.scheduled_at)
        if self._is_used_up(row):
            return f"max_attempts={self.max_attempts}"
        is_newest = self.newest is None or _is_scheduled(row, nominal_time(self.newest))
        return "" if is_newest else self._folding()

    def _late(self) -> int:
        """Return how many of those due are too late; they come first."""
        times = [each.scheduled_at for each in self.due.values()]
        return bisect_left(times, self.now - self.window)

    def _has_no_row(self, moment: datetime) -> bool:
        return moment not in self.statuses and moment not in self.in_flight

    def _is_used_up(self, row: LedgerRow) -> bool:
        return row.lost + 1 >= self.max_attempts

    def _is_late(self, scheduled_at: datetime) -> bool:
        return self.now - scheduled_at > self.window

    def _lateness(self, scheduled_at: datetime) -> str:
        late = timedelta(seconds=(self.now - scheduled_at) // timedelta(seconds=1))
        return f"{late} late, catch-up window {self.window}"

    def _folding(self) -> str:
        newest = self.newest and f"{self.newest.scheduled_at:%Y-%m-%d %H:%M:%S %Z}"
        return f"folded into the run of {newest}"


def nominal_time(occurrence: Occurrence) -> datetime:
    """Return the time by which a row is known."""
    return occurrence_key(occurrence)[1]


def _is_scheduled(row: LedgerRow, moment: datetime) -> bool:
    return row.trigger == "schedule" and row.scheduled_at == moment
