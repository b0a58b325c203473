"""The model of a row: what each call may answer, and the row after it.

It is the contract of ``kst_scheduler.ledger.contract`` in a few lines, for one row whose job has no
other. The tests make legal histories with it. They also search it for an order of the calls, and
compare the result with that of ``linear.check``, which does not search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from linear.history import Locked, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linear.history import Call

_RETRIED = {"error", "cancelled"}
Next = tuple[Any, "Row"]
"""An answer, and the row after it."""


@dataclass(frozen=True)
class Row:
    """A row; ``status`` is empty while there is none."""

    attempt: int = 0
    holder: str = ""
    status: str = ""
    lease: float | None = None
    finished: float | None = None
    error: str = ""

    def answers(self, call: Call, at: float | None) -> Iterator[Next]:
        """Yield each answer that a call may get at a moment.

        Where no moment is given, each lease may be over or may hold, and each end of one is 0.
        """
        return getattr(self, f"_{call.kind}")(call, at)  # type: ignore[no-any-return]

    @property
    def seen(self) -> Seen:
        """What a look sees."""
        return Seen(self.attempt, self.holder, self.status, self.lease, self.finished, self.error)

    def _is_over(self, at: float | None) -> tuple[bool, ...]:
        if self.lease is None:
            return (False,)
        return (False, True) if at is None else (self.lease <= at,)

    def _claim(self, call: Call, at: float | None) -> Iterator[Next]:
        if not self.status or self.status == "skipped":
            yield self._claimed(call, at, self.attempt + 1, "")
        elif self.status in _RETRIED and call.retry:
            note = f"attempt {self.attempt} on {self.holder} ended as {self.status}: {self.error}"
            yield self._claimed(call, at, self.attempt + 1, note)
        elif self.status != "running":
            yield Locked(self.holder, self.status, is_over=False), self
        elif self.holder == call.holder:
            yield self._claimed(call, at, self.attempt, self.error)
        else:
            for is_over in self._is_over(at):
                yield self._claim_of_running(call, at, is_over=is_over)

    def _claim_of_running(self, call: Call, at: float | None, *, is_over: bool) -> Next:
        if is_over and call.take_over:
            note = f"{self.error}; attempt {self.attempt} on {self.holder} lost its lease"
            return self._claimed(call, at, self.attempt + 1, note)
        return Locked(self.holder, "running", is_over=is_over), self

    def _claimed(self, call: Call, at: float | None, attempt: int, error: str) -> Next:
        return attempt, Row(attempt, call.holder, "running", _end(call, at), None, error)

    def _renew(self, call: Call, at: float | None) -> Iterator[Next]:
        if (self.attempt, self.status) == (call.attempt, "running"):
            yield True, replace(self, lease=_end(call, at))
        else:
            yield False, self

    def _finish(self, call: Call, _at: float | None) -> Iterator[Next]:
        end = (call.status, call.finished)
        if self.attempt != call.attempt or (
            self.status != "running" and (self.status, self.finished) != end
        ):
            yield False, self
        else:
            yield True, replace(self, status=end[0], finished=end[1], lease=None)

    def _miss(self, call: Call, _at: float | None) -> Iterator[Next]:
        if self.status:
            yield None, self
        else:
            row = Row(0, call.holder, "missed")
            yield row.seen, row

    def _look(self, _call: Call, _at: float | None) -> Iterator[Next]:
        yield self.seen if self.status else None, self

    def _close(self, call: Call, at: float | None) -> Iterator[Next]:
        is_as_seen = (self.attempt, self.lease) == (call.attempt, call.lease)
        for is_over in self._is_over(at):
            # Without moments, the lease that was seen may be another one.
            if not (is_as_seen and is_over) or at is None:
                yield None, self
            if is_as_seen and is_over:
                row = replace(self, status="error", finished=self.lease, lease=None)
                yield row.seen, row


def _end(call: Call, at: float | None) -> float:
    return 0.0 if at is None else at + call.lease
