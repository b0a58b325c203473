"""The responses of the service, also to what is wrong: these models are its OpenAPI schema."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from kst_scheduler.errors import (
    LedgerUnavailableError,
    NotRunningError,
    UnknownJobError,
)
from kst_scheduler.redaction import without_passwords
from kst_scheduler.scheduler.occurrence import AlreadyRunningError
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.wording import describe

if TYPE_CHECKING:
    from apscheduler.job import Job
    from fastapi import FastAPI, Request

    from kst_scheduler.ledger import LedgerRow
    from kst_scheduler.scheduler.occurrence import Occurrence

Status = Literal["ok", "error", "missed", "skipped", "cancelled", "running"]


class Problem(BaseModel):
    """What is wrong, and what to do instead."""

    detail: str


class Conflict(Problem):
    """What is in the way."""

    running: list[str]
    """The runs that have to end first."""


class Health(BaseModel):
    """Whether the service is well, and if not, why."""

    status: Literal["ok", "unavailable"]
    reasons: list[str]


class JobState(BaseModel):
    """A job as this process has it; times are Korean."""

    job_id: str
    schedule: str
    next_run_at: datetime | None
    paused: bool
    running: list[str]


class StartedRun(BaseModel):
    """A run that has been started by hand; GET /admin/runs shows what becomes of it."""

    run: str
    job_id: str
    scheduled_at: datetime


class Run(BaseModel):
    """A row of the ledger; times are Korean."""

    id: int
    run: str
    job_id: str
    scheduled_at: datetime
    trigger: Literal["schedule", "manual"]
    status: Status
    attempt: int
    instance: str
    rows: int | None
    duration_ms: int | None
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None


class Runs(BaseModel):
    """Runs, the latest row first; ``next_before_id`` asks for those after these."""

    runs: list[Run]
    next_before_id: int | None


def shown(text: object) -> str:
    """Return a text as JSON can hold it: half of a surrogate pair in a job's id is escaped."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def job_state(job: Job, running: tuple[Occurrence, ...]) -> JobState:
    """Return what to say about a job."""
    return JobState(
        job_id=shown(job.id),
        schedule=shown(describe(job.trigger)),
        next_run_at=job.next_run_time and job.next_run_time.astimezone(KST),
        paused=job.next_run_time is None,
        running=[shown(occurrence.key) for occurrence in running],
    )


def run_of(row: LedgerRow) -> Run:
    """Return what to say about a row."""
    same = {name: getattr(row, name) for name in Run.model_fields if hasattr(row, name)}
    for name, value in same.items():
        if isinstance(value, datetime):
            same[name] = value.astimezone(KST)
    return Run(**{**same, "run": row.occurrence.key, "job_id": row.source})


UNAVAILABLE: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Problem}}
"""For routes that ask the ledger."""


def answer_errors(app: FastAPI) -> None:
    """Let the package's own errors answer by their messages, with the status that fits."""
    for error, status in (
        (UnknownJobError, 404),
        (NotRunningError, 503),
        (LedgerUnavailableError, 503),
    ):
        app.add_exception_handler(error, _problem(status))
    app.add_exception_handler(AlreadyRunningError, _conflict)
    app.add_exception_handler(RequestValidationError, _invalid)


def _problem(status: int) -> Any:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": shown(without_passwords(error))}, status)

    return answer


async def _conflict(_: Request, error: Any) -> JSONResponse:
    running = [shown(occurrence.key) for occurrence in error.running]
    return JSONResponse({"detail": shown(error), "running": running}, 409)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    """Answer as FastAPI does, without sending back what was sent: it may be long, or a key."""
    said = [{name: each[name] for name in ("loc", "msg", "type")} for each in error.errors()]
    return JSONResponse({"detail": jsonable_encoder(said)}, 422)
