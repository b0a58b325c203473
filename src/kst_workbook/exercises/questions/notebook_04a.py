"""Exercises of notebook 04: what becomes of runs that are late."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.runs.table import lateness
from kst_scheduler.simulation import Freeze, SimulationResult, simulate
from kst_scheduler.timeline.words import duration
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    mapping_of,
    pictures,
    require_time,
    shown,
    values_of,
)

if TYPE_CHECKING:
    from datetime import datetime

USER_GUIDE: Final = "https://apscheduler.readthedocs.io/en/3.x/userguide.html"
MISFIRES: Final = f"{USER_GUIDE}#missed-job-executions-and-coalescing"
INSTANCES: Final = f"{USER_GUIDE}#limiting-the-number-of-concurrently-executing-instances-of-a-job"
STATUSES: Final = ("ok", "missed", "coalesced", "skipped")
OPTIONS: Final = ("misfire_grace_time", "coalesce", "max_instances")
NIGHT: Final = kst(2026, 5, 10, 0, 30), kst(2026, 5, 10, 7)
STALE: Final = timedelta(hours=2, minutes=30)
WOKEN: Final = (kst(2026, 5, 10, 4, 10), kst(2026, 5, 10, 4, 29, 58), kst(2026, 5, 10, 4, 30, 2))
"""When the process of 4.2 wakes: the night that is asked for, and two that lie at the limit."""
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
        "Section 4.10 has the order of the gates. Here the first lets all pass.",
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
    night = _hourly(kst(2026, 5, 10, 3, 10), 40, coalesce=False, misfire_grace_time=100 * 60)
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


@exercise(
    "4.2",
    title="Options for reports with a deadline",
    variable="options",
    hints=(
        "A report can be folded away, come too late, or find no instance: an option for each.",
        "Each report has work of its own, so none may stand for another.",
        "The reports of the night are one batch, from 04:10 to 05:10. What is due meanwhile?",
    ),
    solution="""
        options = {"coalesce": False, "misfire_grace_time": 9000, "max_instances": 2}
    """,
    link=INSTANCES,
)
def options_for_reports(options: Any) -> Right:
    """Choose options that make every report in time, and none too late."""
    chosen = _job_options(options)
    good = {"coalesce": False, "misfire_grace_time": STALE.seconds, "max_instances": 2}
    for woken in WOKEN:
        mine, expected = _hourly(woken, 20, **chosen), _hourly(woken, 20, **good)
        _require_reports(mine, expected, woken, chosen)
    mine = _hourly(WOKEN[0], 20, **chosen)
    why = (
        "01:00 is 3 h 10 min late and is not made. The others of the night are made one after "
        "another, and 05:00 beside the last of them."
    )
    return Right(why, pictures(mine, mine)[:1])


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


def _job_options(options: Any) -> dict[str, Any]:
    chosen = mapping_of(options)
    if chosen is None:
        raise NotYetError(f"`options` is {shown(options)}. Expected a dict.")
    for name in chosen:
        if name not in OPTIONS:
            known = ", ".join(f"`{known}`" for known in OPTIONS)
            raise NotYetError(f"`{name}` is no option of a job here. There are {known}.")
    return chosen


def _require_reports(
    mine: SimulationResult, expected: SimulationResult, woken: datetime, chosen: dict[str, Any]
) -> None:
    """Raise NotYetError with the first report that goes another way than it should."""
    runs = mine.runs.assign(lateness=lateness)
    differs = runs["status"] != expected.runs["status"]
    if not differs.any():
        return
    stale = runs[(runs["status"] == "ok") & (runs["lateness"] > STALE)]
    folded = runs[runs["status"] == "coalesced"]
    if len(folded):
        hours = " and ".join(f"{at:%H:%M}" for at in folded["scheduled_at"])
        words = f"Your options fold the reports of {hours} into a later one, and nobody makes them."
    elif len(stale):
        words = (
            f"Your options make the report of {stale['scheduled_at'].iloc[0]:%H:%M} although it is "
            f"{_exactly(stale['lateness'].iloc[0])} late, which is of no use to anybody."
        )
    else:
        words = _lost(runs[differs].iloc[0], woken, chosen)
    if woken != WOKEN[0]:
        words = (
            "That night is well, but not one on which the process wakes at "
            f"{woken:%H:%M:%S}. {words}"
        )
    raise NotYetError(words, pictures(mine, expected))


def _exactly(late: pd.Timedelta) -> str:
    """Return a lateness to the second, where it is one of a few seconds more than the limit."""
    return duration(late) if late.components.seconds == 0 else str(late.floor("s").to_pytimedelta())


def _lost(run: pd.Series, woken: datetime, chosen: dict[str, Any]) -> str:
    due = f"{run['scheduled_at']:%H:%M}"
    if run["status"] == "skipped":
        return (
            f"Your options skip the report of {due}: at that time those of the night are still "
            "being made, and they hold the only instance."
        )
    grace = timedelta(seconds=chosen.get("misfire_grace_time", 1) or 0)
    return (
        f"Your options lose the report of {due}. The process wakes at {woken:%H:%M}; with a grace "
        f"time of {duration(grace)} that is too late, and it should not be."
    )


def _hourly(woken: datetime, minutes: int, **options: Any) -> SimulationResult:
    """Simulate hourly reports of a process that stands still from 00:45 until it is woken."""

    async def make_report() -> None:
        await asyncio.sleep(minutes * 60)

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(make_report, "cron", minute=0, id="hourly-report", **options)

    begin = kst(2026, 5, 10, 0, 45)
    return simulate(
        register,
        *NIGHT,
        incidents=[Freeze("A", begin, woken - begin)],
        scheduler=partial(AsyncIOScheduler, timezone=KST),
    )
