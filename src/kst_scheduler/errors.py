"""One family of errors: each message names the value, what is wrong, and what to write instead."""

from __future__ import annotations

from datetime import UTC, datetime

from apscheduler.jobstores.base import ConflictingIdError


class KSTSchedulerError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidArgumentError(KSTSchedulerError, ValueError):
    """Raised when an argument has the wrong value; the message says what to write instead."""


class NaiveDatetimeError(InvalidArgumentError):
    """Raised when a datetime has no zone, or a zone that pytz has not resolved."""


class TimezoneError(InvalidArgumentError):
    """Raised when a zone is unknown, or is not the one that the scheduler keeps."""


class JobConflictError(InvalidArgumentError, ConflictingIdError):  # type: ignore[misc] # untyped
    """Raised when an id belongs to a job with another function, which would vanish silently."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would quote it


class MissingExtraError(KSTSchedulerError, ImportError):
    """Raised when an optional package is not installed; the message says what to install."""


class LockedOutError(KSTSchedulerError):
    """Raised when another node holds the occurrence or the lock; recorded as locked_out."""


class SimulationError(KSTSchedulerError):
    """Raised when something cannot be simulated; the message says what to do instead."""


class SimulationStuckError(SimulationError):
    """Raised when simulated code loops and lets no time pass."""

    def __init__(self, node: str, now: int, did: str = "ran 100,000 steps") -> None:
        moment = datetime.fromtimestamp(now / 1_000_000, UTC).isoformat()
        loop = "looks at the clock" if "clock" in did else "waits by asyncio.sleep(0)"
        super().__init__(
            f"node {node} {did} at {moment} and let no time pass; a loop that only {loop} never "
            "ends in virtual time: write asyncio.sleep(0.1), or wait for an event"
        )


class SimulationBlockedError(SimulationError):
    """Raised when simulated code waits too long for something real, or computes without end."""

    def __init__(self, place: str = "a job", *, waits: bool = False) -> None:
        why = (
            "waits for something real, and no other job can run meanwhile; create a lock or event "
            "inside register or the job, and replace a slow process or server by time.sleep"
            if waits
            else "has run for 9 seconds of CPU time without waiting, and no other job can run "
            "meanwhile; add a wait to a loop, and replace long work by time.sleep"
        )
        super().__init__(f"the simulation cannot go on; {place}: {why}")


class NoOccurrenceError(KSTSchedulerError, LookupError):
    """Raised when the current occurrence is asked for where no job runs."""


class UnknownJobError(KSTSchedulerError, LookupError):
    """Raised when no job of the scheduler has the given id."""


class NotRunningError(KSTSchedulerError):
    """Raised when a run is asked of a scheduler that has not been started, or that is draining."""


class AttemptsUsedUpError(LockedOutError):
    """Raised when an occurrence is not run again: too many of its attempts lost their lease."""


class LeaseLostError(KSTSchedulerError):
    """Raised when a lease was lost while its holder worked; recorded as cancelled."""


class LedgerUnavailableError(KSTSchedulerError):
    """Raised when the ledger's database cannot be reached, is full, or does not answer in time.

    ``is_down``: the database itself answered that it takes no write now, or nothing listens at its
    address. So no other replica can claim there either. Without an answer nobody knows: it may be
    this replica alone that is cut off.
    """

    def __init__(self, message: str, *, is_down: bool = False) -> None:
        super().__init__(message)
        self.is_down = is_down


class LedgerVersionError(KSTSchedulerError):
    """Raised when the ledger was written by a newer version of this package."""


class ServerError(KSTSchedulerError):
    """Raised when an embedded server cannot be started; the message says what to set instead."""


class TargetError(KSTSchedulerError):
    """Raised when a service cannot be rehearsed; the message says what to write instead."""


class RefusedError(KSTSchedulerError, PermissionError):
    """Raised in a service that is rehearsed, where it would change the world outside."""
