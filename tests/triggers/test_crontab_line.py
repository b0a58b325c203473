import re
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.cron_fields import values
from kst_scheduler.triggers.crontab_line import cron_fields_of
from kst_scheduler.triggers.factories import cron, crontab


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * *", "0 3 * * *"),
        ("*/15 9-17 * * mon-fri", "*/15 9,10,11,12,13,14,15,16,17 * * mon,tue,wed,thu,fri"),
        ("0 0 * * 0", "0 0 * * sun"),
        ("0 0 * * 7", "0 0 * * sun"),
        ("0 0 * * 5-7", "0 0 * * fri,sat,sun"),
        ("0 0 * * 0-2", "0 0 * * mon,tue,sun"),
        ("0 0 * * 1-5/2", "0 0 * * mon,wed,fri"),
        ("0 0 * * */2", "0 0 * * tue,thu,sat,sun"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 * JAN,Dec *", "0 0 * 1,12 *"),
        ("0 0 * feb-apr *", "0 0 * 2,3,4 *"),
        ("0-59 0-23 1-31 1-12 *", "* * * * *"),
        ("5,5,1-3 0 * * *", "1,2,3,5 0 * * *"),
        ("*/59 */8 */15 * *", "0,59 */8 */15 * *"),
        ("*/60 */24 */31 */12 *", "0 0 1 1 *"),
        ("007 03 * * *", "7 3 * * *"),
        ("  0   3\t*  * * ", "0 3 * * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * sun"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("0 0 * * fri-sun", "0 0 * * fri,sat,sun"),
        ("0 0 * * 6-0", "0 0 * * sat,sun"),
        ("0 0 * * 3-Sun,1", "0 0 * * mon,wed,thu,fri,sat,sun"),
        ("0 0 * * sun-sun", "0 0 * * sun"),
        ("0 9 */100,1-7 * MON", "0 9 1,2,3,4,5,6,7 * mon"),
        ("*/90,30 0 * * *", "0,30 0 * * *"),
        ("1-7/20 0 * * *", "1 0 * * *"),
    ],
)
def test_a_line_becomes_the_fields_of_one_trigger(expression: str, expected: str) -> None:
    """Steps stay steps, weekdays become names, doubles vanish."""
    (fields,) = cron_fields_of(expression)
    assert " ".join(fields.values()) == expected
    assert list(fields) == ["minute", "hour", "day", "month", "day_of_week"]


@pytest.mark.parametrize(
    ("expression", "either"),
    [
        ("0 0 1,15 * 5", True),
        ("0 0 1-31/2 * sat", True),
        ("0 0 1-31 * 0-6", True),
        ("0 0 10,*/31 * 2", True),
        ("0 0 * * 5", False),
        ("0 0 13 * *", False),
        ("0 0 */2 * sat", False),
        ("0 0 13 * */2", False),
        ("0 0 *,10 * 2", False),
    ],
)
def test_either_day_is_enough_where_no_day_field_begins_with_a_star(
    expression: str, either: bool
) -> None:
    """The first character decides, as in Vixie cron: ``*/2`` and ``1-31/2`` differ."""
    sets = cron_fields_of(expression)
    assert len(sets) == (2 if either else 1)
    if either:
        by_day, by_weekday = sets
        assert by_day["day_of_week"] == by_weekday["day"] == "*"


@given(
    st.sampled_from([("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12)]),
    st.data(),
)
def test_apscheduler_reads_what_is_written(field: tuple[str, int, int], data: Any) -> None:
    """Any set of values comes back from APScheduler's own field as it was given."""
    name, low, high = field
    chosen = data.draw(st.sets(st.integers(low, high), min_size=1))
    texts = {"minute": "0", "hour": "0", "day": "*", "month": "*", "day_of_week": "*"}
    texts[name] = ",".join(map(str, chosen))
    (fields,) = cron_fields_of(" ".join(texts.values()))
    assert values(CronTrigger.FIELDS_MAP[name](name, fields[name])) == sorted(chosen)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 3 * *", "has 4 fields, crontab has five: minute, hour"),
        ("0 0 3 * * *", r"has 6 fields.*cron\(second=\.\.\., \.\.\.\) for seconds"),
        ("0 3 * * * /usr/bin/crawl", "has 6 fields.*leave out user and command"),
        ("", "has 0 fields"),
        ("@reboot", "'@reboot' names no time.*call the job where the service starts"),
        ("@every 5m", "is unknown; crontab has @yearly"),
        ("60 * * * *", r"^'60' in '60 \* \* \* \*' is no minute of crontab: it takes 0 to 59"),
        ("0 24 * * *", "is no hour of crontab: it takes 0 to 23"),
        ("0 0 0 * *", "is no day of crontab: it takes 1 to 31"),
        ("0 0 * 13 *", "it takes 1 to 12 or jan to dec"),
        ("0 0 * * 8", "is no day_of_week of crontab: it takes 0 to 7 or sun to sat"),
        ("0 0 * * monday", "it takes 0 to 7 or sun to sat"),
        ("0 0 * january *", "it takes 1 to 12 or jan to dec"),
        ("mon 0 * * *", "it takes 0 to 59"),
        ("0 22-2 * * *", "the range runs backwards; write 22-23,0-2$"),
        ("0 0 * * fri-sun/2", "the range runs backwards; write 5-7/2$"),
        ("5-0 * * * *", "the range runs backwards; write 5-59,0-0$"),
        ("0 0 * * tue-mon", "the range runs backwards; write 2-7,1-1$"),
        ("0 0 * * sat-mon", "the range runs backwards; write 6-7,1-1$"),
        ("5/15 * * * *", "a step needs a range; write 5-59/15$"),
        ("*/90 * * * *", r"a step is 1 to 60;.*every\(minutes=90\)"),
        ("*/0 * * * *", "a step is 1 to 60$"),
        (
            "1-5/99 * * * *",
            r"1 to 60; write every\(minutes=99\) for an interval, or 1 for the first one alone$",
        ),
        ("0 0 1 3-5/24 *", "a step is 1 to 12; write 3 for the first one alone$"),
        ("0 0 * * tue-thu/14", "or 2 for the first one alone$"),
        ("*/99999999999999999999 * * * *", "a step is 1 to 60; write 0 for the first minute$"),
        ("0 0 1-9/99999 * *", "a step is 1 to 31; write 1 for the first one alone$"),
        ("0 */36 * * *", r"a step is 1 to 24; write every\(hours=36\)"),
        ("0 0 */100 * MON", r"a step is 1 to 31; write every\(days=100\).*or 1 for the first day"),
        ("0 0 1 */24 *", "a step is 1 to 12; write 1 for January"),
        ("0 0 * * */14", r"a step is 1 to 8; write every\(days=14\)"),
        ("@DAILY", r"'@DAILY': crontab knows it in small letters only; write crontab\('@daily'\)"),
        ("@daily /usr/bin/crawl", r"leave out the command; write crontab\('@daily'\)"),
        ("@every 5m", r"write every\(minutes=5\)"),
        ("@", "is unknown; crontab has @yearly"),
        (
            "CRON_TZ=Asia/Seoul 0 3 * * *",
            r"write crontab\('0 3 \* \* \*', timezone='Asia/Seoul'\)",
        ),
        (
            "CRON_TZ='America/New_York'\n30 9 * * 1-5\n",
            r"write crontab\('30 9 \* \* 1-5', timezone='America/New_York'\)",
        ),
        ("TZ = UTC", r"write crontab\('0 3 \* \* \*', timezone='UTC'\)"),
        ("cron_tz=UTC 0 3 * * *", r"write crontab\('0 3 \* \* \*', timezone='UTC'\)"),
        (
            "0 3\n* * *",
            r"has '\\n' in it; crontab takes spaces and tabs",
        ),
        ("0\xa03 * * *", r"has '\\xa0' in it"),
        ("\xa00 3 * * *", r"has '\\xa0' in it"),
        ("@daily\u3000", r"has '\\u3000' in it"),
        ("0~59 3 * * *", r"draws such a time for itself.*\*\*spread\(job_id, minutes=10\)"),
        ("~ 3 * * *", "draws such a time"),
        ("H H(1-5)/2 * * *", r"^'H' in 'H H.*draws such a time"),
        ("1,,2 * * * *", "^'' in '1,,2"),
        ("1- * * * *", "^'1-' in"),
        ("-5 * * * *", "it takes 0 to 59"),
        ("1-2-3 * * * *", "it takes 0 to 59"),
        ("٣ * * * *", "it takes 0 to 59"),
        ("0 0 ? * mon", r"write \* for any day"),
        ("0 0 L * *", r"write cron\(day='last'\)"),
        ("0 0 * * 5L", r"write cron\(day='last'\)"),
        ("0 0 * * 5#2", r"write cron\(day='2nd fri'\)"),
        ("0 0 15W * *", r"write on_business_days"),
        ("0 0 05W * *", r"write on_business_days\(cron\(day=5\)"),
        ("0 0 99W * *", "is no day of crontab: it takes 1 to 31"),
        ("0 0 0W * *", "is no day of crontab: it takes 1 to 31"),
        ("0 0 LW * *", r"write on_business_days"),
        ("0 0 L-3 * *", "write on_business_days.* to count business days"),
        ("0 0 W * *", r"write on_business_days\(cron\(\.\.\.\)\) for business days"),
        ("0 0 * * wednesday", "it takes 0 to 7"),
    ],
)
def test_what_crontab_does_not_know_is_refused(expression: str, message: str) -> None:
    """The message says which part is wrong, and what to write instead."""
    with pytest.raises(InvalidArgumentError, match=message):
        cron_fields_of(expression)


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 9 LW * *", ["30 Jan", "27 Feb", "31 Mar", "30 Apr", "29 May"]),
        ("0 9 25W * *", ["23 Jan", "25 Feb", "25 Mar", "24 Apr", "22 May"]),
        ("0 9 L * *", ["30 Jan", "27 Feb", "31 Mar", "30 Apr", "29 May"]),
    ],
)
def test_what_the_message_says_to_write_is_what_was_meant(expression: str, days: list[str]) -> None:
    """The call in the message, with the clock time filled in, gives the days of 2026."""
    with pytest.raises(InvalidArgumentError) as caught:
        crontab(expression)
    written = re.search(r"on_business_days\(.*?\)(?= for)", str(caught.value))
    assert written
    call = written[0].replace("...", "hour=9").replace("day=25", "day=25, hour=9")
    names = {"on_business_days": on_business_days, "cron": cron}
    trigger = eval(call, names)  # noqa: S307 - it is this package's own message
    fires = fire_times(trigger, kst(2026, 1, 1), kst(2026, 6, 1))
    assert [f"{fire:%-d %b}" for fire in fires] == days
    assert set(fires.hour) == {9}


def test_the_first_monday_as_crontab_users_write_it() -> None:
    """The star at the front has both day fields required; the step keeps it to one more day."""
    trigger = crontab("0 9 */100,1-7 * MON")
    year = kst(2026, 1, 1), kst(2027, 1, 1)
    meant = cron(day="1-7", day_of_week="mon", hour=9)
    assert fire_times(trigger, *year).equals(fire_times(meant, *year))


@pytest.mark.parametrize("value", [None, 5, ["0", "3", "*", "*", "*"]])
def test_what_is_no_text_is_refused(value: Any) -> None:
    """A list of fields, say."""
    with pytest.raises(InvalidArgumentError, match=r"write crontab\('0 3 \* \* \*'\)"):
        cron_fields_of(value)
