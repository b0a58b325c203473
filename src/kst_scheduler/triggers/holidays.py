"""Korean business days: the public holidays of the ``holidays`` package and the reader's own dates.

A package knows the holidays that were law when it was released. Temporary holidays (임시공휴일) and
elections are announced weeks ahead, so an installed version grows stale: add such days as
``extra_holidays``.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_extra, require_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

_SATURDAY: Final = 5
_MAX_MONTH_DAYS: Final = 31
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, init=False)
class BusinessDays:
    """The days that are neither a weekend nor a public holiday in South Korea.

    Holidays are the ``PUBLIC`` ones of ``holidays.country_holidays("KR")``, with substitute days.
    In 2026 they include 1 May, 3 June and 17 July. Days are plain dates of the Korean calendar.

    Add further days off of a company or a bank as ``extra_holidays``. ``extra_business_days`` are
    worked although they are a holiday or a weekend.

    Raises:
        InvalidArgumentError: a value is not a date, a date is in both lists, or the package
            ``holidays`` does not know the year (0.109 knows 1948 to 2100).
        MissingExtraError: the package is not installed.

    """

    extra_holidays: tuple[date, ...]
    extra_business_days: tuple[date, ...]

    def __init__(
        self,
        *,
        extra_holidays: Iterable[date] = (),
        extra_business_days: Iterable[date] = (),
    ) -> None:
        off = {_require_date(day, "extra_holidays") for day in extra_holidays}
        worked = {_require_date(day, "extra_business_days") for day in extra_business_days}
        if both := sorted(off & worked):
            raise InvalidArgumentError(
                f"{both[0].isoformat()} is in extra_holidays and in extra_business_days; "
                "leave it in one of them"
            )
        _korean_holidays(2000)  # a missing package is said here, not at the first run of a job
        # Sorted, so that equal calendars are shown and stored alike.
        object.__setattr__(self, "extra_holidays", tuple(sorted(off)))
        object.__setattr__(self, "extra_business_days", tuple(sorted(worked)))

    def is_business_day(self, day: date) -> bool:
        """Say whether ``day`` is worked."""
        _require_date(day, "day")
        return bool(_worked(self, day.year)[day.timetuple().tm_yday - 1])

    def are_business_days(self, days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Say for each of many days whether it is worked; ``days`` has the dtype datetime64[D]."""
        require_tables("are_business_days()")
        import numpy as np  # noqa: PLC0415 - slow to load

        if days.dtype != np.dtype("datetime64[D]"):
            raise InvalidArgumentError(
                f"days has the dtype {days.dtype}; write the Korean dates as datetime64[D], "
                "such as index.tz_convert('Asia/Seoul').tz_localize(None).values.astype('M8[D]')"
            )
        if not days.size:
            return np.zeros(days.shape, np.bool_)
        first, last = days.min().astype("M8[Y]"), days.max().astype("M8[Y]")
        years = range(first.astype(int) + 1970, last.astype(int) + 1971)
        worked = np.frombuffer(b"".join(_worked(self, year) for year in years), np.bool_)
        answer: NDArray[np.bool_] = worked[(days - first.astype("M8[D]")).astype(int)]
        return answer

    def next_business_day(self, day: date) -> date:
        """Return the first business day after ``day``."""
        day = _require_date(day, "day") + _ONE_DAY
        while not self.is_business_day(day):
            day += _ONE_DAY
        return day

    def previous_business_day(self, day: date) -> date:
        """Return the last business day before ``day``."""
        day = _require_date(day, "day") - _ONE_DAY
        while not self.is_business_day(day):
            day -= _ONE_DAY
        return day

    def nth_business_day(self, year: int, month: int, nth: int) -> date | None:
        """Return the n-th business day of a month, or None where the month has fewer.

        Counted from 1, and from the month's end where ``nth`` is negative: -1 is the last one.

        Raises:
            InvalidArgumentError: ``nth`` is no place in a month.

        """
        check_nth(nth, "nth")
        first, length = date(year, month, 1), monthrange(year, month)[1]
        before = first.timetuple().tm_yday - 1
        worked = _worked(self, year)[before : before + length]
        places = [place for place, is_worked in enumerate(worked) if is_worked]
        if len(places) < abs(nth):
            return None
        return first + timedelta(days=places[nth - 1 if nth > 0 else nth])

    def holiday_name(self, day: date) -> str | None:
        """Return the English name of the holiday on ``day``, or None; weekends have no name."""
        return self.holidays(_require_date(day, "day").year).get(day)

    def holidays(self, year: int) -> dict[date, str]:
        """Return the holidays of a year and their English names, in the order of dates.

        Those on a weekend are included, ``extra_business_days`` are not.
        """
        named = {day: "Extra holiday" for day in self.extra_holidays if day.year == year}
        named |= _korean_holidays(year)
        return {day: named[day] for day in sorted(named.keys() - self.extra_business_days)}


def check_nth(nth: int, name: str) -> None:
    """Refuse what is no place among the business days of a month.

    Raises:
        InvalidArgumentError: with the values that ``name`` takes.

    """
    is_whole = isinstance(nth, int) and not isinstance(nth, bool)
    if not is_whole or not 1 <= abs(nth) <= _MAX_MONTH_DAYS:
        raise InvalidArgumentError(
            f"{name}={nth!r} is no place among the business days of a month; write 1 for the "
            "first one, 2 for the second, or -1 for the last"
        )


def _worked(calendar: BusinessDays, year: int) -> bytes:
    """Return a flag for each day of the year.

    Only a plain calendar is remembered: two of a subclass are equal when these fields are, and may
    have other ``holidays``.
    """
    return (
        _worked_once(calendar, year) if type(calendar) is BusinessDays else _flags(calendar, year)
    )


def _flags(calendar: BusinessDays, year: int) -> bytes:
    first = date(year, 1, 1)
    weekdays = range(first.weekday(), first.weekday() + (date(year, 12, 31) - first).days + 1)
    flags = bytearray(weekday % 7 < _SATURDAY for weekday in weekdays)
    for day in calendar.holidays(year):
        flags[(day - first).days] = False
    for day in calendar.extra_business_days:
        if day.year == year:
            flags[(day - first).days] = True
    return bytes(flags)


_worked_once = lru_cache(maxsize=1024)(_flags)


@cache
def _korean_holidays(year: int) -> Mapping[date, str]:
    with require_extra("holidays", "the calendar of Korean business days"):
        import holidays  # noqa: PLC0415 - slow to import
    # The language is fixed, or the names would follow the host's locale.
    korea = holidays.country_holidays("KR", years=year, language="en_US")
    if not korea.start_year <= year <= korea.end_year:
        raise InvalidArgumentError(
            f"Korean holidays of the year {year} are not known: the package holidays "
            f"{version('holidays')} has {korea.start_year} to {korea.end_year}"
        )
    return dict(korea)


def _require_date(day: date, name: str) -> date:
    if isinstance(day, datetime):
        raise InvalidArgumentError(
            f"{name}: {day!r} is a datetime, whose date depends on its zone; "
            "write moment.astimezone(KST).date()"
        )
    if not isinstance(day, date):
        raise InvalidArgumentError(f"{name}: {day!r} is not a date; write date(2026, 5, 1)")
    return day
