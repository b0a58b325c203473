"""The button is pressed in the afternoon, through the service's own application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import FastAPI

from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import kst
from kst_workbook.scenes.button import BUTTON, press

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler


def button_app(scheduler: KSTScheduler) -> FastAPI:
    """Return an application whose button runs a job, and says so."""
    app = FastAPI()

    @app.post("/admin/jobs/{job_id}/run")
    async def run(job_id: str) -> str:
        return scheduler.run_now(job_id).key

    return app


def nightly(scheduler: AsyncIOScheduler) -> None:
    """Add a job that runs at night, for half an hour."""
    scheduler.add_job(asyncio.sleep, "cron", hour=3, args=[30 * 60], id="nps")


def test_each_press_has_a_response_and_a_run_in_the_picture() -> None:
    """The job runs at the press as well as at night."""
    pressed = press(nightly, button_app, KSTScheduler, "20,55")
    runs = pressed.day.runs
    assert list(runs[runs["job_id"] == BUTTON]["scheduled_at"]) == [
        kst(2026, 5, 11, 14, minute) for minute in (20, 55)
    ]
    assert [each[:3] for each in pressed.answers] == ["200", "200"]
    assert (runs["job_id"] == "nps").sum() == 3


def test_a_refused_press_is_an_error_of_the_button() -> None:
    """Its response is kept."""
    pressed = press(nightly, lambda _: FastAPI(), KSTScheduler)
    runs = pressed.day.runs
    assert list(runs[runs["job_id"] == BUTTON]["status"]) == ["error"]
    assert pressed.answers == ['404 {"detail":"Not Found"}']
