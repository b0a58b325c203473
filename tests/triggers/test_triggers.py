import contextlib
import pickle
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytz
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError, TimezoneError
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import ANCHOR, TriggerWarning, at, cron, crontab, every

NAIVE = datetime(2026, 5, 10, 3)  # noqa: DTZ001


def _fires(trigger: Any, now: datetime, count: int) -> list[datetime]:
    found = [trigger.get_next_fire_time(None, now)]
    while len(found) < count and found[-1] is not None:
        found.append(trigger.get_next_fire_time(found[-1], found[-1]))
    return found


class TestCron:
    """A cron trigger that says its zone and is checked before it is asked."""

    def test_it_is_a_cron_trigger_on_korean_time(self) -> None:
        """03:00 means 03:00 in Seoul, whatever the host's zone is."""
        trigger = cron(hour=3, minute=0)
        assert type(trigger) is CronTrigger
        assert trigger.timezone == KST
        assert _fires(trigger, kst(2026, 5, 10), 2) == [kst(2026, 5, 10, 3), kst(2026, 5, 11, 3)]

    @pytest.mark.parametrize("zone", ["America/New_York", pytz.timezone("America/New_York")])
    def test_another_zone_can_be_named(self, zone: Any) -> None:
        """A name and a pytz zone give the zoneinfo zone."""
        trigger = cron(hour=3, timezone=zone)
        assert trigger.timezone == ZoneInfo("America/New_York")

    def test_it_builds_what_cron_trigger_builds(self) -> None:
        """All fields and options are handed on unchanged."""
        options: dict[str, Any] = {
            "year": "2026-2030",
            "month": "jan-mar",
            "day": "last",
            "week": "1-20",
            "day_of_week": "mon-fri",
            "hour": "9-17/2",
            "minute": "*/15",
            "second": 30,
            "start_date": kst(2026, 1, 1),
            "end_date": datetime(2030, 1, 1, tzinfo=UTC),
            "jitter": 20,
        }
        assert repr(cron(**options)) == repr(CronTrigger(**options, timezone=KST))

    def test_day_and_day_of_week_must_both_match(self) -> None:
        """The first Monday of a month is day 1 to 7 and a Monday."""
        trigger = cron(day="1-7", day_of_week="mon", hour=9)
        assert _fires(trigger, kst(2026, 5, 1), 2) == [kst(2026, 5, 4, 9), kst(2026, 6, 1, 9)]

    @pytest.mark.parametrize("name", ["start_date", "end_date"])
    def test_a_naive_bound_is_refused(self, name: str) -> None:
        """The message names the argument and writes it as Korean time."""
        with pytest.raises(NaiveDatetimeError, match=rf"^{name}=.*kst\(2026, 5, 10, 3\)"):
            cron(hour=3, **{name: NAIVE})  # type: ignore[arg-type]

    def test_an_end_before_the_start_is_refused(self) -> None:
        """Such a trigger would be accepted by the library and never fire."""
        with pytest.raises(InvalidArgumentError, match=r"end_date=.* lies before start_date="):
            cron(hour=3, start_date=kst(2026, 5, 2), end_date=kst(2026, 5, 1))

    def test_no_field_at_all_is_refused(self) -> None:
        """The library's own CronTrigger() fires every second."""
        with pytest.raises(InvalidArgumentError, match=r"no field.*cron\(hour=3, minute=0\)"):
            cron()

    @pytest.mark.parametrize(
        ("fields", "written"),
        [
            ({"month": 2, "day": 30}, r"cron\(month=2, day=30\)"),
            ({"week": 53, "month": 6}, r"cron\(month=6, week=53\)"),
        ],
    )
    def test_an_impossible_date_is_refused(self, fields: dict[str, int], written: str) -> None:
        """The library would search to the year 9999 and find nothing."""
        with pytest.raises(InvalidArgumentError, match=f"^{written} never fires"):
            cron(**fields)  # type: ignore[arg-type]

    def test_a_wrong_value_is_named_with_its_field(self) -> None:
        """The message says what the field takes."""
        with pytest.raises(InvalidArgumentError, match=r"^cron\(hour=25\).*hour takes 0 to 23"):
            cron(hour=25)

    def test_negative_jitter_is_refused(self) -> None:
        """APScheduler would run the job early."""
        with pytest.raises(InvalidArgumentError, match=r"jitter=-5 .* before its time"):
            cron(hour=3, jitter=-5)

    def test_an_unknown_zone_is_refused(self) -> None:
        """The message repeats the name."""
        with pytest.raises(TimezoneError, match="unknown time zone 'Asia/Soul'"):
            cron(hour=3, timezone="Asia/Soul")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            (
                {"hour": 3, "second": 0},
                (
                    r"^cron\(hour=3, second=0\) leaves minute open, so it fires 60 times an hour; "
                    r"write minute=0, or minute='\*' if you mean it$"
                ),
            ),
            ({"hour": "9-17", "second": "*/30"}, "fires 120 times an hour; write minute=0"),
            ({"day": 1, "minute": 30}, "leaves hour open, so it fires 24 times a day; write hour"),
            (
                {"day_of_week": "mon", "second": 0},
                "hour and minute open, so it fires 1440 times a day; write hour=0, minute=0",
            ),
        ],
    )
    def test_a_field_left_open_in_between_is_warned_of(
        self, fields: dict[str, Any], message: str
    ) -> None:
        """The warning counts the fires, gives the repair and points at the caller's line."""
        with pytest.warns(TriggerWarning, match=message) as caught:
            trigger = cron(**fields)
        assert caught[0].filename == __file__
        assert type(trigger) is CronTrigger

    def test_the_warning_counts_right(self) -> None:
        """hour=3, second=0 fires 60 times between 03:00 and 04:00."""
        with pytest.warns(TriggerWarning, match="60 times an hour"):
            trigger = cron(hour=3, second=0)
        found = _fires(trigger, kst(2026, 5, 10), 61)
        assert (found[59], found[60]) == (kst(2026, 5, 10, 3, 59), kst(2026, 5, 11, 3))

    @pytest.mark.parametrize(
        "fields",
        [
            {"hour": 3, "minute": "*", "second": 0},
            {"day_of_week": "mon", "hour": "*", "minute": 0},
            {"month": 5, "hour": 3},
            {"year": 2026, "day": 1},
            {"day": "1-7", "day_of_week": "mon"},
            {"minute": 0, "second": 0},
            {"second": "*/10"},
        ],
    )
    def test_no_warning_where_the_meaning_is_plain(self, fields: dict[str, Any]) -> None:
        """A star that was written, open dates, and fields above the first one stay silent."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cron(**fields)


class TestEvery:
    """An interval trigger whose phase is the same everywhere."""

    def test_it_is_an_interval_trigger_on_korean_midnight(self) -> None:
        """Six hours means 00:00, 06:00, 12:00 and 18:00 in Seoul."""
        trigger = every(hours=6)
        assert type(trigger) is IntervalTrigger
        assert trigger.timezone == KST
        assert _fires(trigger, kst(2026, 5, 10, 1), 3) == [
            kst(2026, 5, 10, 6),
            kst(2026, 5, 10, 12),
            kst(2026, 5, 10, 18),
        ]

    def test_weeks_begin_on_monday(self) -> None:
        """The anchor is a Monday's midnight in Seoul."""
        assert (ANCHOR, ANCHOR.weekday()) == (kst(2001, 1, 1), 0)
        assert _fires(every(weeks=1), kst(2026, 5, 10), 1) == [kst(2026, 5, 11)]

    @given(
        st.integers(1, 10 * 86_400),
        st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001
        st.sampled_from([0, 1, -1]),
    )
    def test_the_phase_is_exact_for_ninety_years(
        self, seconds: int, moment: datetime, shift: int
    ) -> None:
        """The first fire at or after any microsecond is the one that integers give.

        IntervalTrigger counts in floating-point seconds; this proves that whole seconds hide it.
        """
        interval = timedelta(seconds=seconds)
        moment = moment.replace(tzinfo=UTC)
        near = ANCHOR + (moment - ANCHOR) // interval * interval
        for now in (moment, max(near + timedelta(microseconds=shift), ANCHOR)):
            expected = ANCHOR + -((ANCHOR - now) // interval) * interval
            assert every(seconds=seconds).get_next_fire_time(None, now) == expected

    @given(st.integers(1, 100_000), st.datetimes(datetime(2026, 1, 1), datetime(2060, 1, 1)))  # noqa: DTZ001
    def test_replicas_and_restarts_agree(self, seconds: int, moment: datetime) -> None:
        """One that runs on and one that starts later name the same times."""
        start = moment.replace(tzinfo=UTC)
        running = _fires(every(seconds=seconds), start, 5)
        assert _fires(every(seconds=seconds), running[2], 3) == running[2:]

    def test_it_agrees_after_a_restart_from_a_job_store(self) -> None:
        """The anchor survives pickling."""
        trigger = pickle.loads(pickle.dumps(every(hours=5)))  # noqa: S301
        now = kst(2026, 5, 10, 1)
        assert _fires(trigger, now, 3) == _fires(every(hours=5), now, 3)

    def test_another_anchor_is_first_fire_and_phase(self) -> None:
        """Nothing fires before it."""
        trigger = every(hours=1, anchor=kst(2026, 6, 1, 0, 7), end_date=kst(2026, 6, 1, 1, 7))
        first = kst(2026, 6, 1, 0, 7)
        assert _fires(trigger, kst(2026, 5, 10), 3) == [first, first + timedelta(hours=1), None]

    def test_another_zone_shows_the_same_instants(self) -> None:
        """The anchor stays Korean midnight; only the clock that shows it changes."""
        trigger = every(hours=6, timezone="America/New_York")
        assert trigger.timezone == ZoneInfo("America/New_York")
        now = kst(2026, 5, 10, 1)
        assert _fires(trigger, now, 3) == _fires(every(hours=6), now, 3)

    @pytest.mark.parametrize("arguments", [{}, {"hours": 0}, {"minutes": -5}])
    def test_an_interval_that_does_not_move_on_is_refused(self, arguments: dict[str, int]) -> None:
        """The library makes one second of zero, and goes backwards for a negative one."""
        with pytest.raises(InvalidArgumentError, match=r"would never move on; write .*hours=1"):
            every(**arguments)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "arguments", [{"seconds": 0.5}, {"hours": 1, "anchor": kst(2026, 1, 1, 0, 0, 0, 1)}]
    )
    def test_fractions_of_a_second_are_refused(self, arguments: dict[str, Any]) -> None:
        """Two runs in one second would share an occurrence."""
        with pytest.raises(InvalidArgumentError, match="needs whole seconds"):
            every(**arguments)

    @pytest.mark.parametrize("name", ["anchor", "end_date"])
    def test_a_naive_bound_is_refused(self, name: str) -> None:
        """The message names the argument."""
        with pytest.raises(NaiveDatetimeError, match=f"^{name}="):
            every(hours=1, **{name: NAIVE})  # type: ignore[arg-type]

    def test_an_end_before_the_anchor_is_refused(self) -> None:
        """Such a trigger would never fire."""
        with pytest.raises(InvalidArgumentError, match="lies before anchor="):
            every(hours=1, end_date=kst(2000, 1, 1))


class TestAt:
    """A date trigger that cannot be naive."""

    @pytest.mark.parametrize(
        "moment",
        [
            kst(2026, 5, 10, 9),
            datetime(2026, 5, 10, tzinfo=UTC),
            pytz.timezone("Asia/Seoul").localize(datetime(2026, 5, 10, 9)),  # noqa: DTZ001
        ],
    )
    def test_it_fires_once_at_that_instant(self, moment: datetime) -> None:
        """09:00 KST, written in three ways."""
        trigger = at(moment)
        assert type(trigger) is DateTrigger
        assert _fires(trigger, kst(2026, 5, 1), 3) == [kst(2026, 5, 10, 9), None]
        assert trigger.run_date.tzinfo is moment.tzinfo

    @pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Europe/Berlin", "Asia/Tokyo"])
    @pytest.mark.parametrize("fold", [0, 1])
    def test_a_scheduler_takes_a_moment_of_any_zone(self, zone: str, fold: int) -> None:
        """By its instant, in the hour that comes twice as well, by name and as a pytz zone."""
        for moment in (
            datetime(2099, 11, 1, 1, 30, tzinfo=ZoneInfo(zone), fold=fold),
            datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo(zone), fold=fold),
            pytz.timezone(zone).localize(datetime(2026, 11, 1, 1, 30), is_dst=not fold),  # noqa: DTZ001
        ):
            trigger = at(moment)
            assert trigger.run_date.timestamp() == moment.timestamp()
            assert trigger.run_date.utcoffset() == moment.utcoffset()
            assert trigger.run_date.tzname() == moment.tzname()
            for keeps in ("Asia/Seoul", "UTC", zone):
                job = KSTScheduler(timezone=keeps).add_job(print, trigger)
                assert job.trigger is trigger

    def test_a_naive_moment_is_refused(self) -> None:
        """On a UTC host the lesson's 09:00 would be 18:00 KST."""
        with pytest.raises(NaiveDatetimeError, match=r"kst\(2026, 5, 10, 3\)"):
            at(NAIVE)

    def test_a_pytz_zone_as_tzinfo_is_refused(self) -> None:
        """It would fire at 09:32 KST."""
        with pytest.raises(NaiveDatetimeError, match="local mean time"):
            at(datetime(2026, 5, 10, 9, tzinfo=pytz.timezone("Asia/Seoul")))


@st.composite
def _crontab_fields(draw: Any, low: int, high: int) -> tuple[str, set[int]]:
    """Draw a field of crontab as text, with the values that it means."""
    everything = range(low, high + 1)
    texts, meant = [], set()
    for _ in range(draw(st.integers(1, 2))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, high - low + 1))
        text, means = draw(
            st.sampled_from(
                [
                    ("*", everything),
                    (f"*/{step}", everything[::step]),
                    (f"{first}", [first]),
                    (f"{first}-{last}", range(first, last + 1)),
                    (f"{first}-{last}/{step}", range(first, last + 1, step)),
                ]
            )
        )
        texts.append(text)
        meant.update(means)
    return ",".join(texts), meant


class TestCrontab:
    """What crontab's own daemon would run, on Korean time."""

    @pytest.mark.parametrize(
        ("expression", "first"),
        [
            ("0 9 * * 0", kst(2026, 5, 17, 9)),
            ("0 9 * * 7", kst(2026, 5, 17, 9)),
            ("0 9 * * sun", kst(2026, 5, 17, 9)),
            ("0 9 * * 1", kst(2026, 5, 11, 9)),
            ("30 4 1,15 * 5", kst(2026, 5, 15, 4, 30)),
            ("0 0 13 * 5", kst(2026, 5, 13)),
            ("@weekly", kst(2026, 5, 17)),
        ],
    )
    def test_weekdays_are_numbered_as_crontab_does(self, expression: str, first: datetime) -> None:
        """Asked on Monday, 11 May 2026: 0 and 7 are Sunday, 1 is Monday."""
        assert crontab(expression).get_next_fire_time(None, kst(2026, 5, 11)) == first

    @given(_crontab_fields(1, 31), _crontab_fields(1, 12), _crontab_fields(0, 7))
    def test_days_of_a_year_are_those_of_a_matcher_that_tries_each(
        self, day: Any, month: Any, weekday: Any
    ) -> None:
        """Vixie cron's rule, applied day by day, gives the same dates, each once."""
        stars = day[0].startswith("*"), weekday[0].startswith("*")
        expected = []
        for moment in (kst(2028, 1, 1, 12, 30) + timedelta(days=days) for days in range(366)):
            number = moment.isoweekday()  # 7 is Sunday, which 0 means too
            on_day, on_weekday = moment.day in day[1], bool({number, number % 7} & weekday[1])
            both = any(stars)
            due = (on_day and on_weekday) if both else (on_day or on_weekday)
            if due and moment.month in month[1]:
                expected.append(moment)
        line = f"30 12 {day[0]} {month[0]} {weekday[0]}"
        if not expected:  # 2028 has every date, but not every date on every weekday
            with contextlib.suppress(InvalidArgumentError):
                trigger = crontab(line)
                found = trigger.get_next_fire_time(None, kst(2028, 1, 1))
                assert found is None or found >= kst(2029, 1, 1)
            return
        found = _fires(crontab(line), kst(2028, 1, 1), len(expected) + 1)
        assert found[:-1] == expected
        assert found[-1] is None or found[-1] >= kst(2029, 1, 1)

    @settings(max_examples=50)
    @given(_crontab_fields(0, 59), _crontab_fields(0, 23), st.sampled_from(["*", "1-31"]))
    def test_minutes_of_a_day_are_those_of_a_matcher_that_tries_each(
        self, minute: Any, hour: Any, day: str
    ) -> None:
        """The same for the clock; where both triggers of the line fire, it is one fire."""
        moments = (kst(2026, 5, 10) + timedelta(minutes=count) for count in range(1440))
        expected = [m for m in moments if m.hour in hour[1] and m.minute in minute[1]]
        trigger = crontab(f"{minute[0]} {hour[0]} {day} * {'*' if day == '*' else '0-6'}")
        found = _fires(trigger, kst(2026, 5, 10), len(expected) + 1)
        assert found[:-1] == expected
        assert found[-1] >= kst(2026, 5, 11)

    def test_another_zone_can_be_named(self) -> None:
        """Both halves of a line carry it."""
        assert crontab("0 3 * * *", timezone="UTC").get_next_fire_time(
            None, kst(2026, 5, 10)
        ) == kst(2026, 5, 10, 12)
        zones = {part.timezone for part in crontab("0 3 1 * 1", "America/New_York").triggers}
        assert zones == {ZoneInfo("America/New_York")}

    def test_a_day_that_cannot_be_leaves_the_other_half(self) -> None:
        """30 February or a Monday in February is a Monday in February."""
        trigger = crontab("0 0 30 2 1")
        assert type(trigger) is CronTrigger
        assert trigger.get_next_fire_time(None, kst(2026, 1, 1)) == kst(2026, 2, 2)

    def test_a_line_that_never_fires_is_refused(self) -> None:
        """30 February alone."""
        with pytest.raises(InvalidArgumentError, match=r"^crontab\('0 0 30 2 \*'\) never fires"):
            crontab("0 0 30 2 *")

    def test_the_librarys_own_reading_is_another(self) -> None:
        """Why it is not used: 0 is Monday there, and both days must match (APScheduler 3.11.3)."""
        now = kst(2026, 5, 11)
        library = CronTrigger.from_crontab("0 9 * * 0", timezone=KST)
        assert library.get_next_fire_time(None, now) == kst(2026, 5, 11, 9)
        library = CronTrigger.from_crontab("0 0 13 * fri", timezone=KST)
        assert library.get_next_fire_time(None, now) == kst(2026, 11, 13)

    def test_a_wrong_line_or_zone_is_refused(self) -> None:
        """With the message of the part that is wrong."""
        with pytest.raises(InvalidArgumentError, match="is no minute of crontab"):
            crontab("60 * * * *")
        with pytest.raises(TimezoneError, match="'Asia/Soul'"):
            crontab("0 3 * * *", timezone="Asia/Soul")


def test_no_trigger_asks_the_host_for_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building all of them works on a host whose zone cannot be found."""

    def no_zone() -> None:
        raise AssertionError

    for module in ("cron", "interval", "date"):
        monkeypatch.setattr(f"apscheduler.triggers.{module}.get_localzone", no_zone)
    assert all([cron(hour=3), every(hours=1), at(kst(2026, 5, 10)), crontab("0 3 1 * 1")])
