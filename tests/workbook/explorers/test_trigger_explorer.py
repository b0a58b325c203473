from __future__ import annotations

from base64 import b64decode
from datetime import date

import pytest

from kst_scheduler import kst
from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.explorers import trigger_explorer
from kst_workbook.explorers.trigger import (
    Question,
    draw,
    next_fires,
    read,
    say,
)


def title_of(question: Question) -> str:
    """Return the title of the week's picture, which counts the fires of both readings."""
    return draw(question, read(question)).title


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        ("0 3 * * *", 7, 7),
        ("0 9 * * 7", 1, 0),
        ("hour='*/6', day_of_week='mon'", 4, 4),
    ],
)
def test_the_week_shows_both_readings(text: str, ours: int, theirs: int) -> None:
    """What is meant in Seoul stands beside what a UTC host does, with the number of its fires."""
    expected = f"fires in 7 days: in KST ({ours}), on a UTC host ({theirs})"
    assert title_of(Question(text)) == expected


def test_the_words_tell_both_readings_and_the_next_ten() -> None:
    """03:00 in Seoul is 18:00 of the day before, and a UTC host fires at noon."""
    question = Question("0 3 * * *")
    said = say(question, read(question))
    assert said.startswith("<b>every day at 03:00 KST</b><br>on a UTC host: every day at 03:00 UTC")
    assert said.count("<tr>") == 11
    row = "<td>Mon 4 May 2026 03:00</td><td>Sun 3 May 2026 18:00</td><td>Mon 4 May 2026 12:00</td>"
    assert row in said


def test_the_next_fires_end_where_a_trigger_ends() -> None:
    """A trigger that fires once more than never has a table of one row."""
    trigger = read(Question("year=2026, month=5, day=5")).trigger
    assert next_fires(trigger, kst(2026, 5, 4)) == [kst(2026, 5, 5)]


def test_what_apscheduler_refuses_is_said_beside_what_is_meant() -> None:
    """A line that only crontab's own daemon reads is drawn all the same."""
    question = Question("@daily")
    said = say(question, read(question))
    assert said.startswith("<b>every day at 00:00 KST</b>")
    assert "on a UTC host: APScheduler does not read &#x27;@daily&#x27;" in said


def test_the_week_can_be_another_one() -> None:
    """Any date of Korea begins it; none, the usual Monday."""
    assert "fires in 7 days: in KST (1)" in title_of(Question("0 9 29 2 *", date(2028, 2, 28)))
    assert Question(start=None).midnight == kst(2026, 5, 4)
    with pytest.raises(InvalidArgumentError, match="the year 1066 is not from 1970 to 2200"):
        read(Question(start=date(1066, 10, 14)))


def test_the_last_good_picture_stays_while_one_types() -> None:
    """The error stands below it, and is gone with the next letter."""
    explorer = trigger_explorer()
    first = explorer.picture.value
    explorer.controls["text"].value = "0 3 * * <b>"
    assert first in explorer.picture.value
    assert explorer.picture.value != first  # it is faded
    assert "&#x27;&lt;b&gt;&#x27; in &#x27;0 3 * * &lt;b&gt;&#x27; is no" in explorer.sentence.value
    explorer.controls["text"].value = "0 3 * * *"
    assert explorer.picture.value == first


def test_each_control_changes_the_picture() -> None:
    """The text and the date draw anew at once."""
    explorer = trigger_explorer("30 9 * * mon")
    first = explorer.picture.value
    explorer.controls["start"].value = date(2026, 5, 5)
    second = explorer.picture.value
    explorer.controls["text"].value = "hour=9, day_of_week='tue'"
    assert len({first, second, explorer.picture.value}) == 3


def test_a_bad_first_line_does_not_raise() -> None:
    """Not even letters for which the machine may have no font."""
    explorer = trigger_explorer("매일 3시")
    assert "매일 3시" in explorer.sentence.value
    assert explorer.picture.value == ""
    shown, _ = explorer._repr_mimebundle_()
    assert b64decode(shown["image/png"]).startswith(b"\x89PNG")


def test_a_line_that_is_refused_cannot_be_pinned() -> None:
    """What is pinned is the last picture, with the line that made it."""
    explorer = trigger_explorer("0 3 * * mon-fri")
    good = explorer.picture.value
    explorer.controls["text"].value = "0 3 * *"
    explorer.pin.value = True
    explorer.controls["text"].value = "0 4 * * *"
    assert "<b>0 3 * * mon-fri</b> (now 0 4 * * *)" in explorer.pinned.value
    assert good in explorer.pinned.value
    assert "<b>0 3 * *</b>" not in explorer.pinned.value
