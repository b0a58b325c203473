from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from kst_scheduler.cron_fields import values
from kst_scheduler.crontab_line import cron_fields_of
from kst_scheduler.errors import InvalidArgumentError


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
        ("@Hourly", "0 * * * *"),
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
        ("0 0 * * fri-sun", "the range runs backwards; write 5-7$"),
        ("0 0 * * sat-mon", "the range runs backwards; write 6-7,1-1$"),
        ("5/15 * * * *", "a step needs a range; write 5-59/15$"),
        ("*/90 * * * *", r"a step is 1 to 60;.*every\(minutes=90\)"),
        ("*/0 * * * *", "a step is 1 to 60"),
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
        ("0 0 LW * *", r"write on_business_days"),
        ("0 0 * * wednesday", "it takes 0 to 7"),
    ],
)
def test_what_crontab_does_not_know_is_refused(expression: str, message: str) -> None:
    """The message says which part is wrong, and what to write instead."""
    with pytest.raises(InvalidArgumentError, match=message):
        cron_fields_of(expression)


@pytest.mark.parametrize("value", [None, 5, ["0", "3", "*", "*", "*"]])
def test_what_is_no_text_is_refused(value: Any) -> None:
    """A list of fields, say."""
    with pytest.raises(InvalidArgumentError, match=r"write crontab\('0 3 \* \* \*'\)"):
        cron_fields_of(value)
