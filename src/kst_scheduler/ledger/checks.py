"""What a ledger takes: texts cut to a length, aware times, counts that a database can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.redaction import without_passwords
from kst_scheduler.timezone import UTC, require_aware

if TYPE_CHECKING:
    from datetime import datetime

    from kst_scheduler.scheduler.occurrence import Occurrence

MAX_TEXT_LENGTH: Final = 2_000
"""Characters of an error or a reason; longer ones are cut."""
MAX_INTEGER: Final = 2**63 - 1
"""What fits a database's bigint."""


def stored_text(text: str) -> str:
    """Return a text as a ledger stores it: without passwords, storable, 2,000 characters at most.

    Unlike a name, it is never refused: that an error was written matters more than its spelling.
    """
    text = without_passwords(text, MAX_TEXT_LENGTH)
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return text if len(text) <= MAX_TEXT_LENGTH else text[: MAX_TEXT_LENGTH - 1] + "…"


def in_utc(moment: datetime, name: str) -> datetime:
    """Return an aware moment in UTC.

    Raises:
        NaiveDatetimeError: it has no zone.
        InvalidArgumentError: in UTC it is before the year 1, or after the year 9999.

    """
    try:
        return require_aware(moment, name).astimezone(UTC)
    except OverflowError as error:
        raise InvalidArgumentError(
            f"{name}={moment.isoformat()} is outside the years 1 to 9999 in UTC"
        ) from error


def require_count(number: int | None, name: str) -> int | None:
    """Return an id or a limit unchanged when a database's bigint holds it.

    Raises:
        InvalidArgumentError: it is negative, or above 2**63 - 1.

    """
    if number is not None and not 0 <= number <= MAX_INTEGER:
        raise InvalidArgumentError(f"{name} must be from 0 to 2**63 - 1")
    return number


def occurrence_key(occurrence: Occurrence) -> tuple[str, datetime, str]:
    """Return what an occurrence's row is known by: source, scheduled_at and trigger.

    The time is in UTC, in whole seconds unless the run is manual, as in ``Occurrence.key``.
    """
    moment = occurrence.scheduled_at.astimezone(UTC)
    if occurrence.manual:
        return occurrence.job_id, moment, "manual"
    return occurrence.job_id, moment.replace(microsecond=0), "schedule"
