"""Exercise 2.1: 03:00 on three other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    mapping_of,
    moment,
    pictures,
    require_moment,
    shown,
)
from kst_workbook.exercises.questions.lesson_hosts import listed, on_hosts
from kst_workbook.exercises.serving import JOB, crawl

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler


DAY: Final = (kst(2026, 5, 10), kst(2026, 5, 11))
FAR: Final = ("Asia/Kolkata", "America/Los_Angeles", "Asia/Yakutsk")


@exercise(
    "2.1",
    title="03:00 on three other hosts",
    variable="starts",
    hints=(
        "The bare trigger waits for 03:00 on the host's own clock. When is that in Korea?",
        'Python knows: `pd.Timestamp("2026-05-10 03:00", tz="Asia/Kolkata").tz_convert(KST)`.',
        "03:00 in California is 16 hours later in Korea. On which day is it then 10 May there?",
    ),
    solution="""
        starts = {
            "Asia/Kolkata": kst(2026, 5, 10, 6, 30),
            "America/Los_Angeles": kst(2026, 5, 10, 19),
            "Asia/Yakutsk": kst(2026, 5, 10, 3),
        }
    """,
    link="https://apscheduler.readthedocs.io/en/3.x/modules/triggers/cron.html",
)
def starts_on_other_hosts(starts: Any) -> Right:
    """Predict when the lesson's crawl starts on 10 May, on hosts in three zones."""
    said = mapping_of(starts)
    if said is None:
        raise NotYetError(f"`starts` is {shown(starts)}. Expected a dict by host.")
    for host in FAR:
        if host not in said:
            raise NotYetError(f'`starts` has no "{host}". It has {listed(said)}.')
    if other := [host for host in said if host not in FAR]:
        raise NotYetError(f"`starts` has {shown(other[0])}, which is not one of the hosts.")
    runs = on_hosts(_lesson_job, FAR, DAY)
    theirs = runs.set_index("job_id")["started_at"]
    for host in FAR:
        mine = require_moment(said[host], f"`starts[{host!r}]`")
        if not DAY[0] <= mine < DAY[1]:
            raise NotYetError(f"`starts[{host!r}]` is {moment(mine)} KST, which is not on 10 May.")
        if mine != theirs[host]:
            there = mine.tz_convert(host)
            raise NotYetError(
                f"When it is {moment(mine)} KST, a clock in {host} shows {there:%H:%M}."
            )
    drawn = pictures(runs, runs, start=DAY[0], end=DAY[1], expected=kst(2026, 5, 10, 3))
    return Right(
        "Wherever the host stands, its clock shows 03:00 then. In Yakutsk that is 03:00 in Korea "
        "as well, so a test that runs there finds no fault.",
        drawn[1:],
    )


def _lesson_job(scheduler: AsyncIOScheduler) -> None:
    scheduler.add_job(crawl, CronTrigger(hour=3, minute=0), id=JOB)
