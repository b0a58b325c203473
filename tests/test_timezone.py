from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytz

from kst_scheduler.errors import NaiveDatetimeError, TimezoneError
from kst_scheduler.timezone import KST, as_zone, kst, require_aware


def test_kst_is_nine_hours_ahead_of_utc() -> None:
    """03:00 KST is 18:00 UTC of the day before."""
    assert kst(2026, 5, 10, 3).astimezone(UTC) == datetime(2026, 5, 9, 18, tzinfo=UTC)


def test_kst_takes_the_arguments_of_datetime() -> None:
    """Every part down to the microsecond is kept."""
    moment = kst(2026, 5, 10, 3, 4, 5, 6)
    assert moment.replace(tzinfo=None).isoformat() == "2026-05-10T03:04:05.000006"
    assert moment.tzinfo is KST


def test_kst_knows_the_daylight_saving_of_1988() -> None:
    """The zone is IANA's, with its history, and not a fixed offset."""
    assert kst(1988, 7, 1).utcoffset() == timedelta(hours=10)
    assert kst(1989, 7, 1).utcoffset() == timedelta(hours=9)


@pytest.mark.parametrize("value", ["Asia/Seoul", KST, pytz.timezone("Asia/Seoul")])
def test_as_zone_gives_the_same_zone_for_a_name_a_zone_and_a_pytz_zone(value: Any) -> None:
    """All three ways of writing Korea's zone give one zoneinfo zone."""
    assert as_zone(value) == ZoneInfo("Asia/Seoul")


def test_as_zone_takes_the_zone_of_a_localized_pytz_moment() -> None:
    """The zone that localize() leaves in a datetime carries its name as well."""
    moment = pytz.timezone("Asia/Seoul").localize(datetime(2026, 5, 10, 3))  # noqa: DTZ001
    assert moment.tzinfo is not None
    assert as_zone(moment.tzinfo) == KST


def test_as_zone_leaves_a_fixed_offset_as_it_is() -> None:
    """A zone without a name is a zone too."""
    offset = timezone(timedelta(hours=9))
    assert as_zone(offset) is offset


@pytest.mark.parametrize("name", ["Asia/Soul", "KST", "", "../etc/passwd", "Asia"])
def test_as_zone_names_an_unknown_zone(name: str) -> None:
    """The message repeats what was written and shows a name that works."""
    with pytest.raises(TimezoneError, match="'Asia/Seoul'"):
        as_zone(name)


@pytest.mark.parametrize("value", [9, None, 3.5])
def test_as_zone_refuses_what_is_no_zone(value: Any) -> None:
    """A number of hours, say, is not guessed at."""
    with pytest.raises(TimezoneError, match=f"^{value!r} is not a time zone; write a name"):
        as_zone(value)


def test_require_aware_returns_the_moment_itself() -> None:
    """A good value passes unchanged, whatever its zone."""
    for moment in (
        kst(2026, 5, 10, 3),
        datetime(2026, 5, 10, 3, tzinfo=UTC),
        pytz.timezone("Asia/Seoul").localize(datetime(2026, 5, 10, 3)),  # noqa: DTZ001
        datetime(2026, 5, 10, 3, tzinfo=pytz.utc),
        datetime(2026, 5, 10, 3, tzinfo=pytz.FixedOffset(540)),
    ):
        assert require_aware(moment, "start") is moment


@pytest.mark.parametrize(
    ("parts", "repair"),
    [
        ((2026, 5, 10), r"kst\(2026, 5, 10\)"),
        ((2026, 5, 10, 9), r"kst\(2026, 5, 10, 9\)"),
        ((2026, 5, 10, 9, 30, 1), r"kst\(2026, 5, 10, 9, 30, 1\)"),
    ],
)
def test_require_aware_says_how_to_write_a_naive_moment(
    parts: tuple[int, int, int], repair: str
) -> None:
    """The message is the argument's name, its value, and the call that repairs it."""
    with pytest.raises(NaiveDatetimeError, match=rf"^start=datetime.*no time zone.*{repair}"):
        require_aware(datetime(*parts), "start")  # noqa: DTZ001


def test_require_aware_refuses_local_mean_time() -> None:
    """A pytz zone as tzinfo= means +08:28 for Seoul, and the message shows localize()."""
    moment = datetime(2026, 5, 10, 9, tzinfo=pytz.timezone("Asia/Seoul"))
    with pytest.raises(NaiveDatetimeError, match=r"\+08:28.*timezone\('Asia/Seoul'\)\.localize"):
        require_aware(moment, "moment")


@pytest.mark.parametrize("value", ["2026-05-10", date(2026, 5, 10), 0, None])
def test_require_aware_refuses_what_is_no_datetime(value: Any) -> None:
    """A string or a date has no zone either."""
    with pytest.raises(NaiveDatetimeError, match=r"is not a datetime; write kst\("):
        require_aware(value, "start")
