from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from kst_scheduler.simulation.fast_triggers import ASKED_OFTEN, fast_triggers
from kst_scheduler.timezone import KST, kst

ZONES = [KST, ZoneInfo("America/New_York"), ZoneInfo("Europe/London")]

number = st.integers(0, 23)
field = st.one_of(
    st.just("*"),
    number.map(str),
    st.integers(1, 12).map("*/{}".format),
    st.lists(number, min_size=1, max_size=4).map(lambda values: ",".join(map(str, values))),
)
weekday = st.sampled_from(["*", "mon-fri", "sun", "tue,thu"])
moment = st.datetimes(datetime(2025, 12, 1), datetime(2027, 2, 1), timezones=st.sampled_from(ZONES))  # noqa: DTZ001


@settings(deadline=None, max_examples=150)
@given(
    hour=field,
    minute=field,
    day_of_week=weekday,
    zone=st.sampled_from(ZONES),
    start_date=st.none() | moment,
    end_date=st.none() | moment,
    now=moment,
    steps=st.lists(st.sampled_from(["same", "late", "early", "restart"]), max_size=60),
)
def test_answers_are_the_librarys(
    hour: str,
    minute: str,
    day_of_week: str,
    zone: ZoneInfo,
    start_date: datetime | None,
    end_date: datetime | None,
    now: datetime,
    steps: list[str],
) -> None:
    """Asked as a scheduler asks, and asked oddly, a fast trigger says what the library's says."""

    def trigger() -> CronTrigger:
        return CronTrigger(
            hour=hour,
            minute=minute,
            day_of_week=day_of_week,
            timezone=zone,
            start_date=start_date,
            end_date=end_date,
        )

    plain, fast = trigger(), trigger()
    library = CronTrigger.get_next_fire_time
    previous = None
    with fast_triggers():
        for step in ["same"] * (ASKED_OFTEN + 5) + steps:
            asked_at = now + timedelta(hours={"late": 30, "early": -30}.get(step, 0))
            previous = None if step == "restart" else previous
            expected = library(plain, previous, asked_at)
            # A scheduler asks twice, with the same objects.
            answers = [fast.get_next_fire_time(previous, asked_at) for _ in range(2)]
            assert [_wall(answer) for answer in answers] == [_wall(expected)] * 2
            previous = expected
            now = now if previous is None else max(now, previous)
    assert CronTrigger.get_next_fire_time is library


def test_a_long_chain_is_the_librarys() -> None:
    """Every fire of a month, asked for one after the other, is the library's."""
    trigger = CronTrigger(minute="*/10", day_of_week="mon-fri", timezone=KST)
    library = CronTrigger.get_next_fire_time
    fire = expected = trigger.get_next_fire_time(None, kst(2026, 5, 1))
    with fast_triggers():
        while expected < kst(2026, 6, 1):
            expected = library(trigger, expected, expected)
            fire = trigger.get_next_fire_time(fire, fire)
            assert fire == expected


def test_jitter_is_left_to_the_library() -> None:
    """A trigger with jitter is never answered from a table."""
    trigger = CronTrigger(minute="*", jitter=20, timezone=KST)
    with fast_triggers():
        fire = trigger.get_next_fire_time(None, kst(2026, 5, 1))
        fires = set()
        for _ in range(ASKED_OFTEN * 3):
            fire = trigger.get_next_fire_time(fire, fire)
            fires.add(fire.second)
    assert len(fires) > 1


def _wall(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.isoformat()} fold={moment.fold}"
