"""Exercise 6.2: a button without five faults."""

from __future__ import annotations

import asyncio
import inspect
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    pictures,
    require_function,
)
from kst_workbook.exercises.questions.button_presses import (
    BUTTON,
    BUTTON_LATER,
    DAY,
    simulated,
    times_due,
    without_button,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

GUIDE: Final = "https://apscheduler.readthedocs.io/en/3.x/userguide.html#modifying-jobs"
SHOWN: Final = {"start": kst(2026, 5, 11, 13, 50), "end": DAY[1]}
FIVE: Final = ("report", "paused", "token", "crawl", "nightly")


@exercise(
    "6.2",
    title="A button without five faults",
    variable="trigger",
    hints=(
        "Each fault of sections 6.2 to 6.6 comes from a change of the job's next run time.",
        "A `KSTScheduler` has a method that changes none, and raises where a run is in the way.",
        "Section 6.7 calls it in an endpoint. Here nothing else is needed.",
    ),
    solution="""
        def trigger(scheduler, job_id):
            return scheduler.run_now(job_id).key
    """,
    link=GUIDE,
)
def run_without_faults(trigger: Any) -> Right:
    """Run five jobs by hand, and leave their schedule alone."""
    require_function(trigger, "trigger", "scheduler", "job_id")
    mine = Afternoon(trigger)
    shots = pictures(
        without_button(mine.day), without_button(Afternoon(KSTScheduler.run_now).day), **SHOWN
    )
    faults = [fault for fault in mine.faults() if fault]
    if faults:
        fixed = f"Fixed: {5 - len(faults)} of 5 faults. Left: {len(faults)}."
        lines = "\n".join(f"- {fault}" for fault in faults)
        raise NotYetError(f"{fixed}\n\n{lines}", shots)
    why = "Each idle job has one run at 14:20, and otherwise the schedule it had."
    return Right(why, shots[:1])


class Afternoon:
    """An afternoon on which five jobs are run by hand at 14:20, and what comes of it."""

    def __init__(self, trigger: Callable[..., Any]) -> None:
        self.calls: list[tuple[str, str]] = []
        """Each call of a job's function, by the scheduler or past it: its id and the time."""
        self.raised: dict[str, str] = {}
        """What the function raised, by the job that it was called for at 14:20."""
        self.raised_later: list[str] = []
        """The same at 16:30, when the crawl is idle and is run by hand once more."""
        self._trigger = trigger
        self.day = simulated(self._add_jobs, self._press, KSTScheduler)

    def _add_jobs(self, scheduler: AsyncIOScheduler) -> None:
        add = scheduler.add_job
        add(self._work, "date", run_date=kst(2026, 5, 11, 15), id="report", args=["report"])
        add(self._work, "cron", minute=0, next_run_time=None, id="paused", args=["paused"])
        start = kst(2026, 5, 11, 13)
        add(self._work, "interval", hours=1, start_date=start, id="token", args=["token"])
        add(self._work, "cron", hour=14, id="crawl", args=["crawl", 50])
        add(self._work, "cron", hour=3, id="nightly", args=["nightly"])
        add(self._press_later, "cron", hour=16, minute=30, args=[scheduler], id=BUTTON_LATER)

    async def _work(self, job_id: str, minutes: float = 5) -> None:
        self.calls.append((job_id, f"{datetime.now(KST):%H:%M}"))
        await asyncio.sleep(minutes * 60)

    async def _press(self, scheduler: AsyncIOScheduler) -> None:
        for job_id in FIVE:
            try:
                await self._run_by_hand(scheduler, job_id)
            except Exception as error:  # noqa: BLE001 - said to the reader
                self.raised[job_id] = f"{type(error).__name__}: {error}"

    async def _press_later(self, scheduler: AsyncIOScheduler) -> None:
        try:
            await self._run_by_hand(scheduler, "crawl")
        except Exception as error:  # noqa: BLE001 - said to the reader
            self.raised_later.append(f"{type(error).__name__}: {error}")

    async def _run_by_hand(self, scheduler: AsyncIOScheduler, job_id: str) -> None:
        result = self._trigger(scheduler, job_id)
        if inspect.isawaitable(result):
            await asyncio.wait_for(result, 60)

    def faults(self) -> list[str | None]:
        """Return a sentence for each of the five faults that is left, and None for the others."""
        schedules = self._of_the_one_shot(), self._of_the_paused(), self._of_the_interval()
        return [*schedules, self._of_the_running(), self._of_the_idle()]

    def _of_the_one_shot(self) -> str | None:
        times = self._times("report")
        if "15:00" in times:
            return None
        return f"6.2: the report of 15:00 is not made. It runs {_listed(times)}."

    def _of_the_paused(self) -> str | None:
        times = [time for time in self._times("paused") if time != "14:20"]
        return (
            f"6.3: the paused job is no longer paused. It runs {_listed(times)}." if times else None
        )

    def _of_the_interval(self) -> str | None:
        times = [time for time in self._times("token") if time > "14:20"]
        if times == ["15:00", "16:00", "17:00"]:
            return None
        return f"6.4: the token, due on the hour, is renewed {_listed(times)}."

    def _of_the_running(self) -> str | None:
        if ("crawl", "14:20") in self.calls:
            return (
                "6.5: the crawl runs since 14:00, and your function starts a second one beside it."
            )
        if "crawl" not in self.raised:
            return "6.5: the crawl runs since 14:00, and your function raises nothing."
        return None

    def _of_the_idle(self) -> str | None:
        idle = ("report", "paused", "token", "nightly")
        still = [job_id for job_id in idle if "14:20" not in self._times(job_id)]
        if still:
            return f"6.6: `{still[0]}` does not run at 14:20.{self._instead(still[0])}"
        for job_id in idle:
            if job_id in self.raised:
                return (
                    f"6.6: `{job_id}` runs at 14:20, and your function raises "
                    f"`{self.raised[job_id][:200]}` all the same."
                )
        if "16:30" not in self._times("crawl"):
            error = f": `{self.raised_later[0][:200]}`" if self.raised_later else "."
            return f"6.6: the crawl is idle at 16:30, and does not run then{error}"
        return None

    def _instead(self, job_id: str) -> str:
        if error := self.raised.get(job_id):
            return f" Your function raises `{error[:200]}`"
        known = {*FIVE, BUTTON, BUTTON_LATER}
        others = [id_ for id_ in self.day.runs["job_id"].unique() if id_ not in known]
        if others:
            return f" What runs is another job, such as `{others[0]}`."
        if (job_id, "14:20") in self.calls:
            return " Its function is called, but the scheduler has no run of that id."
        return ""

    def _times(self, job_id: str) -> list[str]:
        runs = self.day.runs
        return [f"{at:%H:%M}" for at in times_due(runs[runs["status"] == "ok"], job_id)]


def _listed(times: list[str]) -> str:
    return f"at {', '.join(times)}" if times else "never"
