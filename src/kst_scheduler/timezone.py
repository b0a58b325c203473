"""Korean time, said where the time is said.

Every function of this package takes and returns aware datetimes. A naive one is refused: whose
03:00 it means depends on the host, and that is how a 03:00 job comes to run at noon.
"""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kst_scheduler.errors import NaiveDatetimeError, TimezoneError

KST: Final = ZoneInfo("Asia/Seoul")
"""Korean Standard Time: UTC+9, without daylight saving since 1988 (IANA tzdata, Asia/Seoul)."""

UTC: Final = ZoneInfo("UTC")


def kst(
    year: int,
    month: int,
    day: int,
    hour: int = 0,
    minute: int = 0,
    second: int = 0,
    microsecond: int = 0,
) -> datetime:
    """Return the aware datetime that a clock in Seoul shows."""
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=KST)


def as_zone(timezone: str | tzinfo) -> tzinfo:
    """Return a zone for its IANA name, and a pytz zone as the zoneinfo zone of the same name.

    APScheduler does the same to pytz zones since 3.11.0 (``apscheduler.util.astimezone``).

    Raises:
        TimezoneError: when the name is unknown, or the value is no zone at all.

    """
    name = getattr(timezone, "zone", None) or timezone  # a pytz zone carries its name in .zone
    if isinstance(name, tzinfo):
        return name
    if not isinstance(name, str):
        raise TimezoneError(
            f"{timezone!r} is not a time zone; write a name such as 'Asia/Seoul', or a tzinfo"
        )
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimezoneError(
            f"unknown time zone {name!r}; write an IANA name such as 'Asia/Seoul' or 'UTC'"
        ) from error


def require_aware(moment: datetime, name: str) -> datetime:
    """Return ``moment`` unchanged when it names one instant.

    ``name`` is what the message calls the value, as the caller wrote it.

    Raises:
        NaiveDatetimeError: when it has no zone, or when pytz's zone was passed as ``tzinfo=``:
            that is local mean time, +08:28 for Seoul (pytz documentation, "Localized times").

    """
    if not isinstance(moment, datetime):
        raise NaiveDatetimeError(
            f"{name}={moment!r} is not a datetime; write kst(2026, 5, 10, 3) for 03:00 KST"
        )
    if moment.utcoffset() is None:
        raise NaiveDatetimeError(
            f"{name}={moment!r} has no time zone, so the host would choose one; "
            f"write {as_kst_call(moment)} for Korean time"
        )
    zone = getattr(moment.tzinfo, "zone", None)
    if zone and _is_unresolved(moment.tzinfo, zone):
        raise NaiveDatetimeError(
            f"{name}={moment.isoformat()} has the offset of local mean time, because a pytz zone "
            f"was passed as tzinfo=; write pytz.timezone({zone!r}).localize(...) "
            f"or {as_kst_call(moment)}"
        )
    return moment


def _is_unresolved(zone: tzinfo | None, name: str) -> bool:
    """Tell whether a zone is the one object that pytz returns for a name, before localize()."""
    import pytz  # noqa: PLC0415 - only for the zones of those who use it

    return isinstance(zone, pytz.tzinfo.DstTzInfo) and zone is pytz.timezone(name)


def with_fixed_offset(moment: datetime) -> datetime:
    """Return an aware moment with its offset in place of its zone, and the zone's short name.

    Of a moment at UTC-05:00 it is plain which instant it is. A host's zone is never one of these:
    it has a name (tzlocal 5).
    """
    offset = moment.utcoffset()
    if offset is None or isinstance(moment.tzinfo, timezone):
        return moment
    return moment.replace(tzinfo=timezone(offset, moment.tzname() or str(offset)), fold=0)


def as_kst_call(moment: datetime, min_parts: int = 3) -> str:
    """Return the call of ``kst`` for what a clock shows, without its last zeros.

    ``min_parts`` arguments always stand: year, month and day.
    """
    parts = list(moment.timetuple()[:6])
    while len(parts) > min_parts and parts[-1] == 0:
        parts.pop()
    return f"kst({', '.join(map(str, parts))})"


def in_milliseconds(moment: datetime) -> datetime:
    """Return a moment without its microseconds, as tables show it.

    A simulated job looks at the clock a tenth of a millisecond after it is woken, and the tables
    of a simulation leave that out.
    """
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
