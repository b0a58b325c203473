"""Faults on demand: what the sandbox does instead of answering as it should."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from kst_scheduler.errors import InvalidArgumentError

KINDS: Final = ("slow", "malformed_json", "truncated_page", "http_503", "code_22")
_STATUS_OR_CODE: Final = re.compile(r"http_[45][0-9]{2}|code_[0-9]{2}")


@dataclass(frozen=True)
class Fault:
    """One call's fault; seconds matters to "slow" alone."""

    kind: str
    seconds: float = 0.0

    @property
    def number(self) -> str:
        """The status of "http_503", the code of "code_22"."""
        return self.kind.rpartition("_")[2]


class Faults:
    """A queue of faults: each call takes the next one, and the calls after the last are well."""

    def __init__(self) -> None:
        self._queue: deque[Fault] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, kind: str, times: int = 1, *, seconds: float = 60.0) -> None:
        """Let the next ``times`` calls fail.

        Args:
            kind: "http_503" or any status from 400; "code_22" or any code of data.go.kr; "slow",
                which answers only after ``seconds``; "malformed_json"; "truncated_page".
            times: how many calls.
            seconds: for "slow", measured by the event loop, and so virtual in a simulation.

        Raises:
            InvalidArgumentError: the kind is unknown, or times or seconds is out of range.

        """
        if kind not in KINDS and not _STATUS_OR_CODE.fullmatch(kind):
            raise InvalidArgumentError(
                f"unknown fault {kind!r}; write one of {', '.join(KINDS)}, or another status or "
                "code of that form"
            )
        if times < 1 or seconds < 0:
            raise InvalidArgumentError(
                f"times={times!r}, seconds={seconds!r} is no fault; write times=1 or more and "
                "seconds=0 or more"
            )
        self._queue.extend([Fault(kind, seconds)] * times)

    def clear(self) -> None:
        """Forget the faults that are still to come."""
        self._queue.clear()

    def take(self) -> Fault | None:
        """Return the fault of the call that has just come in, or None."""
        return self._queue.popleft() if self._queue else None
