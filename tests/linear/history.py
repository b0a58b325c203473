"""Calls with their times and answers, and the notes that outlive the process that makes them.

Clients note each call to a ledger before it and after it (``clients``). Processes of clients are
killed, and so is the server (``crowd``). Then each row's calls are checked against the model of a
row (``check``, ``leases``; ``model`` is the same model as plain states and answers). Used by the
tests of the ledger and by ``benchmarks/linear_histories.py``.

A note is one line, written by one system call before the next statement of the client: ``kill -9``
loses none. A call without an answer is *unknown*: it may have taken effect at any moment after it
was made, or never.

All times are of the host's monotonic clock, which its processes share. Leases are given by the
ledger's clock, which is the host's wall clock. So each answer is noted with that clock, too, and
``Clocks`` converts one into the other, and says how far the wall clock was moved.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from kst_scheduler.ledger import LedgerRow

RESOLUTION = 0.001
"""Seconds: SQLite's clock counts milliseconds."""


class Seen(NamedTuple):
    """What a call saw of a row."""

    attempt: int
    holder: str
    """The instance, which each claim has for itself."""
    status: str
    lease: float | None
    """When it is over, in seconds since 1970 by the ledger's clock."""
    finished: float | None
    """In seconds since 1970; each outcome has another one."""
    error: str


class Locked(NamedTuple):
    """The answer to a claim that was locked out."""

    holder: str
    status: str
    is_over: bool
    """Whether the holder's lease is over; the claim must not take over."""


@dataclass(slots=True)
class Call:
    """One call of a client to a ledger, about one row."""

    name: str
    """Of this call alone; the first call of a claim gives the claim its instance."""
    row: str
    kind: str
    """claim, renew, finish, miss, look or close."""
    called: float
    returned: float = math.inf
    """Infinite while the answer is unknown."""
    answer: Any = None
    """Of a claim the attempt, or Locked; of renew and finish a bool; else Seen, or None."""
    holder: str = ""
    """The instance of the claim that the call is about; of a miss its own."""
    attempt: int = 0
    """Which attempt is renewed, finished or closed."""
    lease: float = 0
    """Seconds for which a claim or a renewal asks; when the lease that is closed was over."""
    retry: bool = False
    take_over: bool = True
    status: str = ""
    """How it is finished."""
    finished: float = 0

    @property
    def is_known(self) -> bool:
        """Whether the answer is known."""
        return self.returned < math.inf


class Clocks(NamedTuple):
    """How the ledger's clock stood to the monotonic one."""

    offset: float = 0
    """Seconds that the ledger's clock was ahead."""
    slack: float = RESOLUTION
    """Seconds by which that may be wrong: the clock's resolution, and how far it was moved."""

    @classmethod
    def of(cls, readings: Iterable[tuple[float, float, float]]) -> Clocks:
        """Return what follows from readings of the wall clock, between two of the monotonic one.

        Each gives bounds of the offset. If they contradict each other, the clock was moved.
        """
        low, high = -math.inf, math.inf
        for before, wall, after in readings:
            low, high = max(low, wall - after), min(high, wall - before)
        return cls((low + high) / 2, RESOLUTION + abs(high - low))


@dataclass
class History:
    """The calls of all clients, by the row that they are about."""

    rows: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    readings: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        """All calls."""
        return [call for calls in self.rows.values() for call in calls]

    def add(self, notes: Iterable[bytes], who: str) -> None:
        """Add what one process noted. What comes after the last whole line was never finished."""
        calls: dict[int, Call] = {}
        for line in notes:
            if not line.endswith(b"\n"):
                break
            number, *rest = json.loads(line)
            if number in calls:
                answer, *reading = rest
                call = calls[number]
                call.answer, call.returned = _answer(call.kind, answer), reading[0]
                self.readings.append(tuple(reading))
            else:
                row, kind, called, asked = rest
                call = calls[number] = Call(f"{who}.{number}", row, kind, called, **asked)
                self.rows[row].append(call)


def read_notes(folder: Path) -> History:
    """Return what all processes noted in files of a folder."""
    history = History()
    for path in sorted(folder.glob("*.notes")):
        with path.open("rb") as file:
            history.add(file, path.stem)
    return history


class Sink(Protocol):
    """Takes the lines of notes."""

    def __call__(self, line: bytes, /) -> object:
        """Keep one line."""


def file_sink(path: Path) -> Sink:
    """Return a sink that appends to a file, each line by one system call."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return lambda line: os.write(file, line)


class Notes:
    """What one process notes."""

    def __init__(self, sink: Sink, who: str) -> None:
        self._sink = sink
        self._who = who
        self.number = 0

    def next_name(self) -> str:
        """Return the name that the next call will have."""
        return f"{self._who}.{self.number + 1}"

    def call(self, row: str, kind: str, asked: dict[str, Any]) -> int:
        """Note a call that is about to be made; return its number."""
        self.number += 1
        self._write([self.number, row, kind, time.monotonic(), asked])
        return self.number

    def answer(self, number: int, answer: Any) -> None:
        """Note an answer that has just come."""
        before, wall, after = time.monotonic(), time.time(), time.monotonic()
        self._write([number, answer, before, wall, after])

    def _write(self, note: list[Any]) -> None:
        self._sink(json.dumps(note).encode() + b"\n")


def seen(row: LedgerRow | None) -> Seen | None:
    """Return what a history keeps of a row."""
    if row is None:
        return None
    lease, finished = _seconds(row.lease_until), _seconds(row.finished_at)
    return Seen(row.attempt, row.instance, row.status, lease, finished, row.error or "")


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _answer(kind: str, answer: Any) -> Any:
    if not isinstance(answer, list):
        return answer
    return Locked(*answer) if kind == "claim" else Seen(*answer)
