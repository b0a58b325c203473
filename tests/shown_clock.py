"""A clock that shows what a test says, to the microsecond."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def clock_showing(moment: Callable[[], datetime]) -> type[datetime]:
    """Return what stands in for a module's ``datetime``: its ``now`` is that moment."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment().astimezone(tz)

    return Clock
