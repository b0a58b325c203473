"""Exercise 11.1: Save what can be saved."""

from __future__ import annotations

from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.runs.fates import FATES, broken_promises
from kst_scheduler.simulation import current_node
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.holidays import BusinessDays
from kst_workbook.exercises.exercise import NotYetError, Right, as_pasted, exercise
from kst_workbook.exercises.judging import moment, png, require_function
from kst_workbook.scenes.capstone import (
    CRAWL,
    REPORT,
    TOKEN,
    Replay,
    bad_month,
    crawl_nps,
    renew_token,
    replay,
    send_report,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    import pandas as pd
    from matplotlib.axes import Axes

    from kst_workbook.exercises.exercise import Picture
    from kst_workbook.scenes.capstone import Service

WEEK: Final = bad_month(7, days=7)
"""The six troubles of the month, in a week."""
DOCS: Final = (
    "https://apscheduler.readthedocs.io/en/3.x/userguide.html#missed-job-executions-and-coalescing"
)
_RANK: Final = {fate: place for place, fate in enumerate(FATES)}
_WORDS: Final = {
    "late": "late",
    "duplicated": "run more than once",
    "lost": "lost",
    "unwanted": "run, and not asked for",
}


def register(service: Service) -> None:
    """Save what can be saved: a longer window, and nothing that the work does not need."""
    run = partial(once, service.ledger, lease=timedelta(minutes=10), instance=current_node())
    add = service.scheduler.add_job
    add(run(catch_up=timedelta(hours=12))(crawl_nps), cron(hour=3), id=CRAWL)
    add(run(catch_up=timedelta(minutes=50))(renew_token), cron(minute=0), id=TOKEN)
    add(run(catch_up=timedelta(hours=3))(send_report), on_business_days(cron(hour=9)), id=REPORT)
    add(Reconciler(service.scheduler, service.ledger).reconcile, cron(minute="5,35"), id="look")


def _locked(service: Service) -> None:
    """Do the same under a lock; it is the least that the judge expects."""

    def lock() -> AbstractAsyncContextManager[None]:
        return redis_lock("lock:daily-nps-crawl", ttl=300, client=service.redis)

    register(service)
    crawl = once(service.ledger, lock, lease=timedelta(minutes=10), catch_up=timedelta(hours=12))
    service.scheduler.modify_job(CRAWL, func=crawl(crawl_nps))


@exercise(
    "11.1",
    title="Save what can be saved",
    variable="register",
    hints=(
        "Read the reasons of the three lost nights in the table of 11.8.",
        "After noon there was power again, and Redis too. How late may this crawl begin?",
        "One number is enough. And what does the lock add to the row? See the table in 7.9.",
    ),
    solution=as_pasted(register),
    link=DOCS,
    seconds=40.0,  # a month on two replicas, with looks as often as the answer says
)
def save_what_can_be_saved(answer: Any) -> Right:
    """Run the reader's service through a bad week, and list the fates that need not be."""
    replayed = replay(require_function(answer, "register", "service"), WEEK)
    drawn = _calendars(replayed)
    if left := list(_left(replayed)):
        raise NotYetError("\n\n".join(["Your week is not as good as it can be.", *left]), drawn)
    lost = replayed.fates[(replayed.fates["job_id"] == CRAWL) & (replayed.fates["fate"] == "lost")]
    return Right(
        f"Of seven nights one is lost, {moment(lost['scheduled_at'].iloc[0])} KST: others had "
        "spent the quota of that day. Nothing ran twice, and each row says what became of it.",
        drawn[:1],
    )


def _left(replayed: Replay) -> Iterator[str]:
    """Yield what is worse than it need be, a line for each job and fate."""
    mine = replayed.fates
    allowed = _least().set_index(["job_id", "scheduled_at"])["fate"]
    keys = zip(mine["job_id"], mine["scheduled_at"], strict=True)
    best = [_RANK[str(allowed.get(key, "ok"))] for key in keys]
    worse = mine[mine["fate"].cat.codes > best]
    for (job, fate), rows in worse.groupby(["job_id", "fate"], observed=True):
        first: Any = next(rows.itertuples(index=False))
        yield (
            f"`{job}`: {len(rows)} {_WORDS[str(fate)]}; the first on "
            f"{moment(first.scheduled_at)}: {_short(first.reason)}."
        )
    if without := broken_promises(mine, replayed.history)["has no row"]:
        yield f"{without} of {len(mine)} occurrences have no row in the ledger."


@cache
def _least() -> pd.DataFrame:
    return replay(_locked, WEEK).fates


def _calendars(replayed: Replay) -> tuple[Picture, ...]:
    """Draw the reader's nights above the expected ones."""
    draw: list[Callable[[], Axes]] = [
        partial(_calendar, replayed.fates),
        lambda: _calendar(_least()),
    ]
    return tuple(partial(png, each) for each in draw)


def _calendar(fates: pd.DataFrame) -> Axes:
    from kst_scheduler.timeline import plot_month  # noqa: PLC0415 - only when it is shown

    return plot_month(fates[fates["job_id"] == CRAWL], holidays=BusinessDays().holidays(2026))


def _short(reason: str) -> str:
    return reason if len(reason) <= 90 else f"{reason[:87]}..."  # noqa: PLR2004 - a line
