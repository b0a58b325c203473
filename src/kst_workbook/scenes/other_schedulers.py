"""APScheduler beside cron, a systemd timer, a Kubernetes CronJob and Celery beat.

The first four cannot run in virtual time, so ``RULES`` has what their documentation says they do,
with its source at each. APScheduler, with and without a ledger, is simulated.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.scheduler import KSTScheduler
from kst_scheduler.simulation import Crash, current_node, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    Span = tuple[datetime, datetime]

BY_DOCUMENTATION: Final = "its documentation"
BY_RUN: Final = "a run"
AT_THREE: Final = (3,)
HOURLY: Final = (3, 4, 5)
NIGHT: Final = (kst(2026, 5, 10, 2, 30), kst(2026, 5, 10, 8))
DOWN: Final = (kst(2026, 5, 10, 2, 50), kst(2026, 5, 10, 3, 20))
LONG: Final = timedelta(minutes=90)
SHORT: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Night:
    """A night of one job: the hours at which it is due, and what is unusual."""

    hours: tuple[int, ...] = AT_THREE
    lasts: timedelta = SHORT
    hosts: int = 1
    down: Span | None = None


@dataclass(frozen=True)
class Rules:
    """What one scheduler does by its documentation; the defaults are those of cron.

    catches_up: a run that was due while the scheduler was down starts once, when it is back.
    each_host: each host that has the entry runs it. overlaps: a run starts although the one
    before it still works. retries: so often a run that fails is started again.
    """

    failure: str
    change: str
    catches_up: bool = False
    each_host: bool = True
    overlaps: bool = True
    retries: int = 0

    def runs(self, night: Night) -> list[Span]:
        """Return start and end of each run in a night."""
        due, down = [kst(2026, 5, 10, hour) for hour in night.hours], night.down
        missed = [at for at in due if down and down[0] <= at < down[1]]
        starts = [at for at in due if at not in missed]
        if down and missed and self.catches_up:
            starts = sorted([*starts, down[1]])
        runs: list[Span] = []
        for start in starts:
            if self.overlaps or not runs or runs[-1][1] <= start:
                runs.append((start, start + night.lasts))
        return runs * (night.hosts if self.each_host else 1)

    def attempts(self) -> int:
        """Return how often a run that always fails is started."""
        return 1 + self.retries


RULES: Final = {
    # cron(8): it wakes up every minute and starts what is due in that minute, mails the output,
    # and reloads a crontab that was changed. anacron(8) exists because it starts nothing later.
    "cron": Rules(failure="a mail", change="edit the crontab"),
    # systemd.timer(5): Persistent=true starts the service once if it was due while the timer was
    # inactive; a unit that is active when the timer elapses is left running, not started again.
    "systemd timer": Rules(
        failure="a failed unit",
        change="edit, daemon-reload",
        catches_up=True,
        overlaps=False,
    ),
    # kubernetes.io, CronJob: about one Job for each time, two or none are possible; without
    # startingDeadlineSeconds a missed Job starts later, unless more than 100 were missed;
    # concurrencyPolicy is Allow by default. Job: backoffLimit is 6 by default.
    "Kubernetes CronJob": Rules(
        failure="a failed Job",
        change="kubectl apply",
        catches_up=True,
        each_host=False,
        retries=6,
    ),
    # docs.celeryq.dev 5.6, Periodic Tasks: two beats send each task twice, tasks may overlap;
    # beat_cron_starting_deadline is None by default: a task that is past due is sent at once.
    # Tasks: a task is retried only if it says so.
    "Celery beat": Rules(failure="a log line", change="restart beat", catches_up=True),
}


@dataclass(frozen=True)
class Simulated:
    """APScheduler in virtual time; ``add`` adds a job that is due at these hours.

    Its ``scheduler`` is made on each host, and ``add`` also gets the ledger that the hosts share.
    """

    scheduler: Callable[[], AsyncIOScheduler]
    add: Callable[[AsyncIOScheduler, Callable[[], Any], str, MemoryLedger], object]
    failure: str
    change: str = "deploy the service"

    def runs(self, night: Night) -> list[Span]:
        """Return start and end of each run in a night."""

        async def work() -> None:
            await asyncio.sleep(night.lasts.total_seconds())

        runs = self._runs_of(work, night)
        return list(zip(runs["started_at"], runs["finished_at"], strict=True))

    def attempts(self) -> int:
        """Return how often a run that always fails is started."""

        async def fail() -> None:
            raise ConnectionError

        return len(self._runs_of(fail, Night()))

    def _runs_of(self, job: Callable[[], Any], night: Night) -> pd.DataFrame:
        ledger = MemoryLedger()
        hours = ",".join(map(str, night.hours))
        incidents = [Crash("A", night.down[0], night.down[1] - night.down[0])] if night.down else []
        runs = simulate(
            lambda scheduler: self.add(scheduler, job, hours, ledger),
            *NIGHT,
            nodes=night.hosts,
            scheduler=self.scheduler,
            incidents=incidents,
        ).runs
        return runs[runs["status"].isin(["ok", "error"])]


def _plain() -> AsyncIOScheduler:
    """Return a scheduler with the lesson's options of step 4."""
    defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": 300}
    return AsyncIOScheduler(timezone=KST, job_defaults=defaults)


def _add(scheduler: AsyncIOScheduler, job: Any, hours: str, _ledger: MemoryLedger) -> None:
    scheduler.add_job(job, cron(hour=hours), id="crawl")


def _add_once(scheduler: AsyncIOScheduler, job: Any, hours: str, ledger: MemoryLedger) -> None:
    one = once(ledger, catch_up=timedelta(hours=1), instance=current_node())(job)
    scheduler.add_job(one, cron(hour=hours), id="crawl")
    Reconciler(scheduler, ledger).start()


SIMULATED: Final = {
    "APScheduler": Simulated(_plain, _add, failure="a log line"),
    "APScheduler, once(ledger)": Simulated(KSTScheduler, _add_once, failure="a row, an alert"),
}


def compare_schedulers() -> pd.DataFrame:
    """Return what each scheduler does on five nights; one row a scheduler.

    The columns: a host that is down from 02:50 to 03:20 and a job due at 03:00; the same entry on
    two hosts; a job that takes 90 minutes and is due every hour; a job that raises; a change of
    the time; and where the row comes from.
    """
    said = {name: _nights(rules, BY_DOCUMENTATION) for name, rules in RULES.items()}
    seen = {name: _nights(scheduler, BY_RUN) for name, scheduler in SIMULATED.items()}
    return pd.DataFrame(said | seen).T


def _nights(scheduler: Rules | Simulated, source: str) -> dict[str, str]:
    late = [f"runs at {start:%H:%M}" for start, _ in scheduler.runs(Night(down=DOWN))]
    attempts = scheduler.attempts()
    return {
        "down at 03:00": ", ".join(late) or "lost",
        "on two hosts": _count(len(scheduler.runs(Night(hosts=2))), "run"),
        "90 min, hourly": f"{_most_concurrent(scheduler.runs(Night(HOURLY, LONG)))} concurrent",
        "it raises": f"{_count(attempts, 'attempt')}, {scheduler.failure}",
        "a new time": scheduler.change,
        "as said by": source,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _most_concurrent(runs: list[Span]) -> int:
    return max(sum(start <= at < end for start, end in runs) for at, _ in runs)
