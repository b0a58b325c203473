from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.triggers.factories import cron, crontab
from kst_workbook.explorers.trigger_text import calls, fields_of, in_seoul, on_utc_host


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("hour=3, day_of_week='mon'", {"hour": 3, "day_of_week": "mon"}),
        ("hour='*/2',minute=30", {"hour": "*/2", "minute": 30}),
        ("cron(day='last', hour=6)", {"day": "last", "hour": 6}),
    ],
)
def test_fields_are_read_as_cron_would_take_them(text: str, fields: dict[str, int | str]) -> None:
    """What stands between cron's brackets, or all of the call, gives the same trigger."""
    assert fields_of(text) == fields
    trigger, warnings = in_seoul(text)
    assert str(trigger) == str(cron(**fields))  # type: ignore[arg-type]
    assert warnings == []


def test_a_crontab_line_is_read_as_crontab_does() -> None:
    """The package's reading has crontab's weekdays; the lesson's has APScheduler's, in UTC."""
    ours, _ = in_seoul(" 0 9 * * 1 ")
    theirs = on_utc_host("0 9 * * 1")
    assert str(ours) == str(crontab("0 9 * * 1"))
    assert "day_of_week='1'" in str(theirs)
    assert str(theirs.timezone) == "UTC"


def test_a_field_left_open_is_told() -> None:
    """The warning that cron() gives is handed on, not lost and not raised."""
    _, warnings = in_seoul("hour=3, second=0")
    (warning,) = warnings
    assert "leaves minute open, so it fires 60 times an hour" in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no schedule; write a line of crontab"),
        ("x" * 201, "a text of 201 characters is no schedule"),
        ("0 3 * *", "'0 3 \\* \\*' has 4 fields, crontab has five"),
        ("0 99 * * *", "'99' in '0 99 \\* \\* \\*' is no hour of crontab"),
        ("hour=25", "25"),
        ("hour=", "'hour=' cannot be read; write a line of crontab"),
        ("CRON_TZ=Asia/Seoul 0 3 * * *", r"write crontab\('0 3 \* \* \*', timezone='Asia/Seoul'\)"),
        ("hours=3", "'hours' is no field of cron\\(\\); did you mean hour\\?"),
        ("zone='UTC'", "'zone' is no field of cron\\(\\); the fields are year, month"),
        ("day_of_week=mon", "day_of_week=mon has no value that cron\\(\\) takes; write a number"),
        ("hour=True", "hour=True has no value"),
        ("hour=3, hour=4", "hour is given twice"),
        ("hour=__import__('os').getpid()", "has no value that cron\\(\\) takes"),
        ("hour=3), print(minute=1", "cannot be read"),
        ("**{'hour': 3}, minute=1", "'\\*\\*' is no field"),
    ],
)
def test_a_text_that_is_no_schedule_says_what_to_write(text: str, message: str) -> None:
    """Each names what is wrong with it, and nothing of it is evaluated."""
    with pytest.raises(InvalidArgumentError, match=message):
        in_seoul(text)


def test_what_apscheduler_does_not_read_is_an_error_of_ours() -> None:
    """Its crontab has no 7 for Sunday."""
    with pytest.raises(InvalidArgumentError, match="APScheduler does not read '0 3 \\* \\* 7': "):
        on_utc_host("0 3 * * 7")


@settings(max_examples=150)
@given(st.text("0123 */,-=()'\"[]{}hourminute@#L?", max_size=24) | st.text(max_size=12))
@example("hour=" + "(" * 190)
@example("hour=9" + "9" * 180)
@example("minute='*/0'")
def test_whatever_is_typed_no_other_error_comes_out(text: str) -> None:
    """A reader who is still typing sees messages, never a traceback."""
    for read in (in_seoul, on_utc_host):
        try:
            read(text)
        except InvalidArgumentError:
            continue


def test_the_calls_are_those_that_make_the_triggers() -> None:
    """A line is one argument, fields are several; nothing but them is evaluated."""
    assert calls("0 3 * * 1") == (
        "crontab('0 3 * * 1')",
        "CronTrigger.from_crontab('0 3 * * 1', timezone=\"UTC\")",
    )
    assert calls("cron(hour=3, day_of_week='mon')") == (
        "cron(hour=3, day_of_week='mon')",
        "CronTrigger(hour=3, day_of_week='mon', timezone=\"UTC\")",
    )
