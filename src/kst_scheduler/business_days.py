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
from kst_scheduler.holidays import BusinessDays
from kst_scheduler.timezone import as_zone
from kst_scheduler.trigger_parts import own_zone, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

Otherwise = Literal["skip", "next"]

SEARCH_YEARS: Final = 20
"""How long a trigger that skips looks for a business day before it counts as finished."""

_ONE_DAY: Final = timedelta(days=1)
_NEXT_MOMENT: Final = timedelta(microseconds=1)


def on_business_days(
    trigger: BaseTrigger,
    calendar: BusinessDays | None = None,
    otherwise: Otherwise = "skip",
) -> BusinessDayTrigger:
    """Return a trigger that fires when ``trigger`` does, and only on Korean business days.

    ``otherwise`` says what becomes of a fire on another day: "skip" drops it; "next" moves it to
    the same clock time on the next business day, where it is one run with any other fire at that
    time. The day is judged by the clock of the trigger's own zone. ``calendar`` is
    ``BusinessDays()`` unless the reader has days of their own.

    A trigger that skips is finished when it finds no business day within ``SEARCH_YEARS``.

    Raises:
        InvalidArgumentError: ``otherwise`` is neither of the two, the trigger has jitter (which
            can carry a run into the next day), or it does not say its zone.
        TimezoneError: the trigger combines others of different zones.
        MissingExtraError: the package ``holidays`` is not installed.

    """
    return BusinessDayTrigger(trigger, calendar or BusinessDays(), otherwise)


class BusinessDayTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
    """What ``on_business_days`` returns; its attributes are ``on_business_days``'s arguments.

    ``timezone`` is the zone of the trigger inside.
    """

    __slots__ = ("calendar", "otherwise", "timezone", "trigger")

    def __init__(
        self, trigger: BaseTrigger, calendar: BusinessDays, otherwise: Otherwise = "skip"
    ) -> None:
        if otherwise not in get_args(Otherwise):
            raise InvalidArgumentError(
                f"otherwise={otherwise!r} is unknown; write 'skip' to drop a run on a day off, "
                "or 'next' to move it to the next business day"
            )
        _refuse_jitter(trigger)
        self.trigger = trigger
        self.calendar = calendar
        self.otherwise = otherwise
        self.timezone = _zone_of(trigger)

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the next fire time, which depends on the arguments alone."""
        if self.otherwise == "skip":
            return self._next_kept(previous_fire_time, now)
        if previous_fire_time is not None:
            return self._next_moved(previous_fire_time.astimezone(UTC) + _NEXT_MOMENT)
        # A date trigger answers with its date even when that is past, so that it can be late.
        first = self.trigger.get_next_fire_time(None, now) or now
        return self._next_moved(min(now.astimezone(UTC), first.astimezone(UTC)))

    def _next_kept(self, previous: datetime | None, now: datetime) -> datetime | None:
        fire = self.trigger.get_next_fire_time(previous, now)
        last_year = fire.year + SEARCH_YEARS if fire else 0
        while fire is not None and fire.year <= last_year:
            day = self._day_of(fire)
            if self.calendar.is_business_day(day):
                return fire  # type: ignore[no-any-return] # APScheduler ships no types
            fire = self._after_day_off(fire, self.calendar.next_business_day(day))
        return None

    def _after_day_off(self, fire: datetime, business_day: date) -> datetime | None:
        """Return the inner trigger's next fire, leaping over days off where that is the same."""
        morning = self._at(business_day)
        # Across a change of the clock APScheduler's cron search depends on where it begins
        # (3.11.3), and other triggers cannot begin anywhere but at their last fire.
        if _can_begin_anywhere(self.trigger) and self._steady(fire, morning):
            return self.trigger.get_next_fire_time(None, morning)  # type: ignore[no-any-return]
        return self.trigger.get_next_fire_time(fire, fire)  # type: ignore[no-any-return]

    def _next_moved(self, earliest: datetime) -> datetime | None:
        day = self._business_day_from(self._day_of(earliest))
        while True:
            fires = [fire.astimezone(UTC) for fire in self._fires_on_business_day(day, earliest)]
            if fires:
                return min(fires).astimezone(self.timezone)
            earliest = self._at(day + _ONE_DAY)
            fire = _first_fire(self.trigger, earliest)
            if fire is None:
                return None
            day = self._business_day_from(self._day_of(fire))

    def _fires_on_business_day(self, day: date, earliest: datetime) -> Iterator[datetime]:
        """Yield fires of ``day`` from ``earliest`` on, own and moved ones; the first is among them.

        ``earliest`` is not later than ``day``.
        """
        start = max(earliest, self._at(day))
        yield from itertools.islice(self._fires_of(day, start), 1)
        clock = start.astimezone(self.timezone).time()
        origin = day - _ONE_DAY
        while not self.calendar.is_business_day(origin):
            steady = self._steady(self._at(origin), self._at(day + _ONE_DAY))
            fires = self._fires_of(origin, self._at(origin, clock if steady else time()))
            moved = (self._at(day, fire.astimezone(self.timezone).time()) for fire in fires)
            counting = (fire for fire in moved if fire >= earliest)
            # Where the clock changes, moving does not keep the order of fires.
            yield from itertools.islice(counting, 1 if steady else None)
            origin -= _ONE_DAY

    def _fires_of(self, day: date, start: datetime) -> Iterator[datetime]:
        fire = _first_fire(self.trigger, start)
        while fire is not None and self._day_of(fire) == day:
            yield fire
            fire = _first_fire(self.trigger, fire.astimezone(UTC) + _NEXT_MOMENT)

    def _business_day_from(self, day: date) -> date:
        return self.calendar.next_business_day(day - _ONE_DAY)

    def _day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.timezone).date()

    def _at(self, day: date, clock: time = time()) -> datetime:
        """Return an instant, in UTC, where comparing never meets a clock hour that occurs twice."""
        return datetime.combine(day, clock, tzinfo=self.timezone).astimezone(UTC)

    def _steady(self, start: datetime, end: datetime) -> bool:
        zone = self.timezone
        return start.astimezone(zone).utcoffset() == end.astimezone(zone).utcoffset()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "version": 1,
            "trigger": self.trigger,
            "calendar": self.calendar,
            "otherwise": self.otherwise,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["trigger"], state["calendar"], state["otherwise"])  # type: ignore[misc]

    def __str__(self) -> str:
        return f"business_days[{self.trigger}, otherwise={self.otherwise!r}]"

    def __repr__(self) -> str:
        return f"<BusinessDayTrigger ({self.trigger!r}, {self.calendar!r}, {self.otherwise!r})>"


def _first_fire(trigger: BaseTrigger, moment: datetime) -> datetime | None:
    """Return the first fire at or after ``moment``."""
    fire = trigger.get_next_fire_time(None, moment)
    # Date and calendar-interval triggers begin at their own start, whatever the time is (3.11.3).
    while fire is not None and fire < moment:
        fire = trigger.get_next_fire_time(fire, fire)
    return fire  # type: ignore[no-any-return]


def _can_begin_anywhere(trigger: BaseTrigger) -> bool:
    """Say whether the fires after a moment are the same, whatever fire was the last before it."""
    if isinstance(trigger, OrTrigger):
        return all(isinstance(part, CronTrigger) for part in trigger.triggers)
    return isinstance(trigger, CronTrigger | IntervalTrigger)


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
