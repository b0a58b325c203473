"""An afternoon on which somebody presses a service's button, a POST that runs a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from kst_scheduler.simulation import SimulationResult, simulate
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from fastapi import FastAPI

BUTTON: Final = "button"
"""The id of the job that presses, so that a picture shows when."""
START: Final = kst(2026, 5, 11)
END: Final = kst(2026, 5, 11, 17, 30)


@dataclass(frozen=True)
class Afternoon:
    """The day of the press, and what the service responded."""

    day: SimulationResult
    answers: list[str]
    """The status and the text of each response."""


def press(
    add_job: Callable[[Any], object],
    make_app: Callable[[Any], FastAPI],
    scheduler: Callable[[], AsyncIOScheduler],
    minute: str = "20",
) -> Afternoon:
    """Simulate 11 May 2026 until 17:30, with a press shortly after 14:00.

    Args:
        add_job: adds the one job of the service, which the button runs.
        make_app: makes the service's application for a scheduler.
        scheduler: makes that scheduler.
        minute: when the button is pressed: one minute, or several with commas.

    """
    answers: list[str] = []

    async def click(app: FastAPI, job_id: str) -> None:
        answer = await post_run(app, job_id)
        answers.append(f"{answer.status_code} {answer.text}")
        answer.raise_for_status()

    def register(scheduler: AsyncIOScheduler) -> None:
        add_job(scheduler)
        (job,) = scheduler.get_jobs()
        args = [make_app(scheduler), job.id]
        scheduler.add_job(click, "cron", hour=14, minute=minute, args=args, id=BUTTON)

    return Afternoon(simulate(register, START, END, scheduler=scheduler), answers)


async def post_run(app: FastAPI, job_id: str) -> httpx.Response:
    """Press the button of an application in this process, and return its response."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.post(f"/admin/jobs/{job_id}/run")
