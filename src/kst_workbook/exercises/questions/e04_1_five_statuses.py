"""Exercise 4.1: the fate of five late reports."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    mapping_of,
    pictures,
    require_time,
    shown,
    values_of,
)
from kst_workbook.exercises.questions.apscheduler_docs import USER_GUIDE
from kst_workbook.exercises.questions.late_reports import hourly

MISFIRES: Final = f"{USER_GUIDE}#missed-job-executions-and-coalescing"
STATUSES: Final = ("ok", "missed", "coalesced", "skipped")
HOURS: Final = range(1, 6)
GUESSED_IN_VAIN: Final = {
    "ok": "How late is it when its turn comes, and is the job at work then?",
    "missed": "How late is it when its turn comes? The grace time is 1 h 40 min.",
    "skipped": "Does another run of the job hold the only instance when its turn comes?",
}


@exercise(
    "4.1",
    title="The fate of five late reports",
    variable="statuses",
    hints=(
        "Section 4.9 has the order of the checks. Here the first lets all pass.",
        "Write down when each turn comes. The runs of one batch start one after another.",
        "01:00, 02:00 and 03:00 are one batch, at 03:10. Is it done by 04:00, and by 05:00?",
    ),
    solution="""
        statuses = ["missed", "ok", "ok", "skipped", "ok"]
    """,
    link=MISFIRES,
)
def five_statuses(statuses: Any) -> Right:
    """Say what becomes of five run times without coalesce."""
    said = _five_words(statuses)
    night = hourly(kst(2026, 5, 10, 3, 10), 40, coalesce=False, misfire_grace_time=100 * 60)
    true = night.runs["status"].tolist()[:5]
    if "coalesced" in said:
        raise NotYetError(
            f"You say `coalesced` at {said.index('coalesced') + 1:02}:00. With `coalesce=False` "
            "nothing is merged: each run time is checked by itself."
        )
    wrong = [place for place in range(5) if said[place] != true[place]]
    if wrong:
        word = said[wrong[0]]
        raise NotYetError(
            f"{5 - len(wrong)} of 5 are right. The first that is not is {wrong[0] + 1:02}:00, "
            f"where you say `{word}`. {GUESSED_IN_VAIN[word]}"
        )
    why = (
        "01:00 was 2 h 10 min late. The reports of 02:00 and 03:00 were one batch, which held the "
        "only instance from 03:10 to 04:30, so that 04:00 found none."
    )
    return Right(why, pictures(night, night)[:1])


def _five_words(statuses: Any) -> list[Any]:
    said = _in_order(statuses)
    if said is None:
        raise NotYetError(f"`statuses` is {shown(statuses)}. Expected a list of five words.")
    if len(said) != len(HOURS):
        raise NotYetError(
            f"`statuses` has {len(said)} words. Expected five, one for each run time."
        )
    for word in said:
        if word not in STATUSES:
            raise NotYetError(f"{shown(word)}, is no status. They are {', '.join(STATUSES)}.")
    return said


def _in_order(statuses: Any) -> list[Any] | None:
    """Return the words in the order of their run times, which a dict or a Series may name."""
    named = mapping_of(statuses)
    counted = isinstance(getattr(statuses, "index", None), pd.RangeIndex)
    if named is None or counted:
        return values_of(statuses)
    hours = {_hour(key): word for key, word in named.items()}
    if len(hours) == len(HOURS) and set(hours) != set(HOURS):
        raise NotYetError(f"`statuses` has {_listed(named)}. Write the run times, 01:00 to 05:00.")
    return [hours[hour] for hour in sorted(hours, key=str)]


def _hour(key: Any) -> Any:
    """Return the hour that a key names, as 3, "03:00" or a moment; what names none, as it is."""
    try:
        text = require_time(key, "")
    except NotYetError:
        return key
    return int(text[:2]) if text[2:] == ":00" else text


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
