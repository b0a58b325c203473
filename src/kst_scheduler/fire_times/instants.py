"""Instants as integers: microseconds since 1970 in UTC, as the table of runs holds them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from kst_scheduler.timezone import UTC

MICROSECOND: Final = timedelta(microseconds=1)
SECOND: Final = 1_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
NEVER: Final = 2**63 - 1
"""Later than every instant that a datetime can name."""
MAX_INSTANT: Final = 253_402_000_000 * SECOND
"""Three days before the year 9999 ends, so that zones and margins still have room."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Return the instant that an aware datetime names, also inside a gap or a repeated hour."""
    return (moment - _EPOCH) // MICROSECOND


def moment_at(instant: int) -> datetime:
    """Return an instant as a datetime in UTC."""
    return _EPOCH + instant * MICROSECOND
