"""Spread jobs that would all start at once over some minutes, the same way on every replica."""

from __future__ import annotations

from typing import Final, TypedDict

from kst_scheduler.errors import InvalidArgumentError

MAX_MINUTES: Final = 60
"""More would need another hour than the one that the trigger names."""


class MinuteAndSecond(TypedDict):
    """Two fields of ``cron``."""

    minute: int
    second: int


def spread(job_id: str, minutes: int) -> MinuteAndSecond:
    """Return the minute and the second at which this job starts, for ``cron``.

    ``cron(hour=3, **spread("crawl-042", minutes=10))`` fires at one fixed time from 03:00:00 to
    03:09:59. A job's time follows from its id alone, by a hash, so all replicas agree on it, after
    every restart; a hundred jobs are spread about evenly. Jitter spreads them as well, but by
    chance: each replica has another time, and one occurrence becomes several.

    Args:
        job_id: the id that the job is added with.
        minutes: the length of the span, 1 to 60, from the full hour.

    Raises:
        InvalidArgumentError: ``minutes`` is no whole number from 1 to 60, or the id is empty.

    """
    is_whole = isinstance(minutes, int) and not isinstance(minutes, bool)
    if not is_whole or not 1 <= minutes <= MAX_MINUTES:
        raise InvalidArgumentError(
            f"minutes={minutes!r} is no span within an hour; write a whole number from 1 to "
            f"{MAX_MINUTES}, such as minutes=10"
        )
    if not isinstance(job_id, str) or not job_id:
        raise InvalidArgumentError(
            f"job_id={job_id!r} names no job; write the id that it is added with, such as "
            '"crawl-042"'
        )
    import hashlib  # noqa: PLC0415 - only here

    # Not hash(): Python seeds that anew in every process.
    digest = hashlib.blake2b(job_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    minute, second = divmod(int.from_bytes(digest, "big") % (minutes * 60), 60)
    return {"minute": minute, "second": second}
