"""A trigger that keeps another one to Korean business days."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.errors import InvalidArgumentError, TimezoneError
from kst_scheduler.timezone import as_zone
from kst_scheduler.triggers.holidays import BusinessDays, check_nth
from kst_scheduler.triggers.trigger_parts import own_zone, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

Otherwise = Literal["skip", "next", "previous"]

SEARCH_YEARS: Final = 20
"""How far ahead a trigger with "skip" looks for a business day before it ends."""

_MAX_WEEKDAYS: Final = 23
"""No month has more of them."""
_ONE_DAY: Final = timedelta(days=1)
_NEXT_MOMENT: Final = timedelta(microseconds=1)


def on_business_days(
    trigger: BaseTrigger,
    calendar: BusinessDays | None = None,
    otherwise: Otherwise = "skip",
    *,
    nth_of_month: int | None = None,
) -> BusinessDayTrigger:
    """Return a trigger that fires when ``trigger`` does, but only on Korean business days.

    ``otherwise`` says what happens to a fire time on another day. "skip" drops it. "next" and
    "previous" move it to the same clock time on the next or the previous business day; if there is
    a fire time already, the two are one. ``nth_of_month`` keeps one business day of each month: 1
    is the first, -1 the last. In a month with too few business days, nothing fires. The date is
    that of the trigger's own zone. ``calendar`` is ``BusinessDays()`` by default; pass your own to
    add or remove days.

    - payday on the 25th or the business day before:
      ``on_business_days(cron(day=25, hour=9), otherwise="previous")``
    - the last business day of a month: ``on_business_days(cron(hour=9), nth_of_month=-1)``

    With "skip", the trigger ends if it finds no such day within 20 years (``SEARCH_YEARS``).

    Raises:
        InvalidArgumentError: ``calendar`` is not a BusinessDays; ``otherwise`` is not one of the
            three; ``nth_of_month`` is a place that no month has, or is combined with "next"
            or "previous"; the trigger has jitter, which can move a run into the next day; or
            it has no zone.
        TimezoneError: the trigger combines triggers of different zones.
        MissingExtraError: the package ``holidays`` is not installed.

    """
    calendar = BusinessDays() if calendar is None else calendar
    return BusinessDayTrigger(trigger, calendar, otherwise, nth_of_month=nth_of_month)


class BusinessDayTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
    """What ``on_business_days`` returns; its attributes are ``on_business_days``'s arguments.

    ``timezone`` is the zone of the trigger inside.
    """

    __slots__ = ("calendar", "nth_of_month", "otherwise", "timezone", "trigger")

    def __init__(
        self,
        trigger: BaseTrigger,
        calendar: BusinessDays,
        otherwise: Otherwise = "skip",
        *,
        nth_of_month: int | None = None,
    ) -> None:
        _check_calendar(calendar)
        _check_choice(otherwise, nth_of_month)
        _check_that_it_fires(calendar, nth_of_month)
        _refuse_jitter(trigger)
        self.trigger = trigger
        self.calendar = calendar
        self.otherwise = otherwise
        self.nth_of_month = nth_of_month
        self.timezone = _zone_of(trigger)

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the next fire time, which depends on the arguments alone."""
        if self.otherwise == "skip":
            return self._next_kept(previous_fire_time, now)
        if previous_fire_time is not None:
            return self._next_moved(previous_fire_time.astimezone(UTC) + _NEXT_MOMENT)
        return self._next_moved(self._begin(now))

    def _next_kept(self, previous: datetime | None, now: datetime) -> datetime | None:
        fire = self.trigger.get_next_fire_time(previous, now)
        last_year = fire.year + SEARCH_YEARS if fire else 0
        while fire is not None and fire.year <= last_year:
            day = self._day_of(fire)
            if self._keeps(day):
                return fire  # type: ignore[no-any-return] # APScheduler ships no types
            following = self._kept_day_after(day)
            fire = self._after_day_off(fire, following) if following else None
        return None

    def _keeps(self, day: date) -> bool:
        if self.nth_of_month is None:
            return self.calendar.is_business_day(day)
        return day == self.calendar.nth_business_day(day.year, day.month, self.nth_of_month)

    def _kept_day_after(self, day: date) -> date | None:
        if self.nth_of_month is None:
            return self.calendar.next_business_day(day)
        for months in range(SEARCH_YEARS * 12):
            years, month = divmod(day.month - 1 + months, 12)
            found = self.calendar.nth_business_day(day.year + years, month + 1, self.nth_of_month)
            if found is not None and found > day:
                return found
        return None

    def _after_day_off(self, fire: datetime, kept_day: date) -> datetime | None:
        """Return the inner trigger's next fire, leaping over days off where that is the same."""
        morning = self._at(kept_day)
        # Across a change of the clock APScheduler's cron search depends on where it begins
        # (3.11.3), and other triggers cannot begin anywhere but at their last fire.
        if _can_begin_anywhere(self.trigger) and self._steady(fire, morning):
            return self.trigger.get_next_fire_time(None, morning)  # type: ignore[no-any-return]
        return self.trigger.get_next_fire_time(fire, fire)  # type: ignore[no-any-return]

    def _begin(self, now: datetime) -> datetime:
        """Return the moment from which fires count for a process that starts now."""
        first: datetime | None = self.trigger.get_next_fire_time(None, now)
        if first is None:
            return now.astimezone(UTC)
        # A date trigger answers with its date even when that is past, so that it can be late. One
        # of a Saturday was due on Friday, and can be late from then on.
        if self.otherwise == "previous" and _is_a_date(self.trigger, first, now):
            day = self._lands_on(self._day_of(first))
            first = self._at(day, first.astimezone(self.timezone).time())
        return min(now.astimezone(UTC), first.astimezone(UTC))

    def _next_moved(self, earliest: datetime) -> datetime | None:
        day = self._business_day_from(self._day_of(earliest))
        while True:
            fires = [fire.astimezone(UTC) for fire in self._fires_on_business_day(day, earliest)]
            if fires:
                return min(fires).astimezone(self.timezone)
            # What a day off moves to the day before it has been looked at with that day.
            passed = self.otherwise == "previous"
            earliest = self._at(self.calendar.next_business_day(day) if passed else day + _ONE_DAY)
            fire = _first_fire(self.trigger, earliest)
            if fire is None:
                return None
            day = self._lands_on(self._day_of(fire))

    def _fires_on_business_day(self, day: date, earliest: datetime) -> Iterator[datetime]:
        """Yield fires of ``day`` from ``earliest`` on, own and moved ones; the first is among them.

        ``earliest`` is not later than ``day``.
        """
        start = max(earliest, self._at(day))
        yield from itertools.islice(self._fires_of(day, start), 1)
        clock = start.astimezone(self.timezone).time()
        step = _ONE_DAY if self.otherwise == "previous" else -_ONE_DAY
        origin = day + step
        while not self.calendar.is_business_day(origin):
            first, last = sorted((origin, day))
            steady = self._steady(self._at(first), self._at(last + _ONE_DAY))
            fires = self._fires_of(origin, self._at(origin, clock if steady else time()))
            moved = (self._at(day, fire.astimezone(self.timezone).time()) for fire in fires)
            counting = (fire for fire in moved if fire >= earliest)
            # Where the clock changes, moving does not keep the order of fires.
            yield from itertools.islice(counting, 1 if steady else None)
            origin += step

    def _fires_of(self, day: date, start: datetime) -> Iterator[datetime]:
        fire = _first_fire(self.trigger, start)
        while fire is not None and self._day_of(fire) == day:
            yield fire
            fire = _first_fire(self.trigger, fire.astimezone(UTC) + _NEXT_MOMENT)

    def _lands_on(self, day: date) -> date:
        """Return the business day that a fire on ``day`` is moved to, or ``day`` if it is one."""
        if self.otherwise == "previous":
            return self.calendar.previous_business_day(day + _ONE_DAY)
        return self._business_day_from(day)

    def _business_day_from(self, day: date) -> date:
        return self.calendar.next_business_day(day - _ONE_DAY)

    def _day_of(self, moment: datetime) -> date:
        # By UTC: within one zone nothing is converted, and a time that no clock shows would stay.
        return moment.astimezone(UTC).astimezone(self.timezone).date()

    def _at(self, day: date, clock: time = time()) -> datetime:
        """Return an instant, in UTC, where comparing never meets a clock hour that occurs twice."""
        return datetime.combine(day, clock, tzinfo=self.timezone).astimezone(UTC)

    def _steady(self, start: datetime, end: datetime) -> bool:
        zone = self.timezone
        return start.astimezone(zone).utcoffset() == end.astimezone(zone).utcoffset()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "version": 2,
            "trigger": self.trigger,
            "calendar": self.calendar,
            "otherwise": self.otherwise,
            "nth_of_month": self.nth_of_month,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Version 1 had no place in the month.
        self.__init__(  # type: ignore[misc]
            state["trigger"],
            state["calendar"],
            state["otherwise"],
            nth_of_month=state.get("nth_of_month"),
        )

    def __str__(self) -> str:
        return f"business_days[{self.trigger}, {self._choice()}]"

    def __repr__(self) -> str:
        return f"<BusinessDayTrigger ({self.trigger!r}, {self.calendar!r}, {self._choice()})>"

    def _choice(self) -> str:
        if self.nth_of_month is None:
            return f"otherwise={self.otherwise!r}"
        return f"nth_of_month={self.nth_of_month}"


def _first_fire(trigger: BaseTrigger, moment: datetime) -> datetime | None:
    """Return the first fire at or after ``moment``."""
    fire = trigger.get_next_fire_time(None, moment)
    # Date and calendar-interval triggers begin at their own start, whatever the time is (3.11.3).
    while fire is not None and fire < moment:
        fire = trigger.get_next_fire_time(fire, fire)
    return fire  # type: ignore[no-any-return]


def _is_a_date(trigger: BaseTrigger, fire: datetime, now: datetime) -> bool:
    """Say whether a trigger fires once, and answers with that time even when it is past."""
    later = max(fire.astimezone(UTC) + _NEXT_MOMENT, now)
    return (
        trigger.get_next_fire_time(None, later) == fire
        and trigger.get_next_fire_time(fire, fire) is None
    )


def _can_begin_anywhere(trigger: BaseTrigger) -> bool:
    """Say whether the fires after a moment are the same, whatever fire was the last before it."""
    if isinstance(trigger, OrTrigger):
        return all(isinstance(part, CronTrigger) for part in trigger.triggers)
    return isinstance(trigger, CronTrigger | IntervalTrigger)


def _check_calendar(calendar: object) -> None:
    if not isinstance(calendar, BusinessDays):
        raise InvalidArgumentError(
            f"calendar={calendar!r} is not a BusinessDays; write otherwise='previous' or 'next' by "
            "its name, or calendar=BusinessDays(extra_holidays=[date(2026, 5, 1)])"
        )


def _check_choice(otherwise: str, nth_of_month: int | None) -> None:
    if otherwise not in get_args(Otherwise):
        raise InvalidArgumentError(
            f"otherwise={otherwise!r} is unknown; write 'skip' to drop a run on a day off, 'next' "
            "to move it to the next business day, or 'previous' to move it to the one before"
        )
    if nth_of_month is None:
        return
    check_nth(nth_of_month, "nth_of_month")
    if otherwise != "skip":
        raise InvalidArgumentError(
            f"nth_of_month={nth_of_month} keeps one day of each month and drops the fires of all "
            f"others, so otherwise={otherwise!r} cannot move them; leave one of the two out"
        )


def _check_that_it_fires(calendar: BusinessDays, nth: int | None) -> None:
    """Refuse a place that no month has, where the days are not those of the reader's own class."""
    if nth is None or abs(nth) <= _MAX_WEEKDAYS or type(calendar) is not BusinessDays:
        return
    months = {(day.year, day.month) for day in calendar.extra_business_days}
    if all(calendar.nth_business_day(*month, nth) is None for month in months):
        raise InvalidArgumentError(
            f"nth_of_month={nth} never fires: no month has so many business days, and none has "
            f"more than {_MAX_WEEKDAYS} without extra_business_days; write -1 for the last one"
        )


def _refuse_jitter(trigger: BaseTrigger) -> None:
    for part in walk(trigger):
        if getattr(part, "jitter", None):
            raise InvalidArgumentError(
                f"{part!r} has jitter, which can carry a run into the next day; build it without "
                "jitter, and shift its minutes if the load must be spread"
            )


def _zone_of(trigger: BaseTrigger) -> tzinfo:
    zones: dict[str, tzinfo] = {}
    for part in walk(trigger):
        zone = own_zone(part)
        if zone is not None:
            zones[str(zone)] = as_zone(zone)
    if not zones:
        raise InvalidArgumentError(
            f"{trigger!r} does not say its zone, so its days are unknown; "
            "give it the attribute timezone"
        )
    if len(zones) > 1:
        raise TimezoneError(
            f"{trigger!r} combines the zones {', '.join(sorted(zones))}, whose days differ; "
            "build all of its triggers with one timezone="
        )
    return zones.popitem()[1]
