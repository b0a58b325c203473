"""The admin API: what jobs there are, run one now, pause and resume it, and what became of runs."""

from __future__ import annotations

import reprlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter
from starlette.convertors import Convertor, register_url_convertor

from kst_scheduler.errors import InvalidArgumentError, UnknownJobError
from kst_scheduler.scheduler.guards import nearest
from kst_scheduler.scheduler.occurrence import AlreadyRunningError
from kst_scheduler.scheduler.stored_names import MAX_NAME_LENGTH, require_name
from kst_scheduler.service.auth import by_bearer
from kst_scheduler.service.components import Service
from kst_scheduler.service.reading import Readers, ReadersDep  # noqa: TC001 - FastAPI reads it
from kst_scheduler.service.responses import (
    UNAVAILABLE,
    Conflict,
    JobState,
    Problem,
    Runs,
    StartedRun,
    Status,
    job_state,
    run_of,
    shown,
)
from kst_scheduler.timezone import KST, UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apscheduler.job import Job

    from kst_scheduler.ledger import Ledger
    from kst_scheduler.scheduler.occurrence import Occurrence

MAX_RUNS: Final = 1_000
_MAX_ID: Final = 2**63 - 1


class _AnyText(Convertor[str]):
    """A part of an address that may have slashes, as ``path``, and line breaks."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any_text", _AnyText())

router = APIRouter(
    prefix="/admin",
    tags=["admin"],
    dependencies=[Depends(by_bearer)],
    responses={401: {"model": Problem}, 403: {"model": Problem}},
)


async def service_of(request: Request) -> Service:
    """Return the service that answers a request."""
    service = request.app.state.service
    assert isinstance(service, Service)  # noqa: S101 - tells the type; the lifespan has set it
    return service


ServiceDep = Annotated[Service, Depends(service_of)]


def _moment(text: Any) -> datetime:
    """Read a time that names one instant, or say how to write one."""
    write = (
        "write 2026-05-10T03:00:00%2B09:00 (a plus sign in an address is %2B) "
        "or 2026-05-09T18:00:00Z"
    )
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"not a time; {write}") from None
    if moment.utcoffset() is None:
        raise ValueError(f"a time without a zone, which may be nine hours off; {write}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"a time beyond the calendar; {write}") from None


Moment = Annotated[datetime, BeforeValidator(_moment)]


@router.get("/jobs", response_model=list[JobState], responses=UNAVAILABLE)
async def list_jobs(service: ServiceDep, readers: ReadersDep) -> Response:
    """List the jobs of this process."""
    running: dict[str, list[Occurrence]] = {}
    for occurrence in service.scheduler.running_occurrences():
        running.setdefault(occurrence.job_id, []).append(occurrence)
    states = [(job, tuple(running.get(job.id, ()))) for job in service.scheduler.get_jobs()]
    async with readers.turn():
        return await _answer(readers, _JOB_STATES, lambda: _states(states))


@router.post(
    "/jobs/{job_id:any_text}/run",
    status_code=202,
    responses={404: {"model": Problem}, 409: {"model": Conflict}, **UNAVAILABLE},
)
async def run_job(job_id: str, service: ServiceDep, readers: ReadersDep) -> StartedRun:
    """Start a run at once, and leave the schedule as it is: paused jobs stay paused."""
    _job(service, job_id)
    async with readers.turn():
        await _check_not_running(readers.ledger, job_id)
    occurrence = service.scheduler.run_now(job_id)
    return StartedRun(
        run=shown(occurrence.key),
        job_id=job_id,
        scheduled_at=occurrence.scheduled_at.astimezone(KST),
    )


@router.post("/jobs/{job_id:any_text}/pause", responses={404: {"model": Problem}})
async def pause_job(job_id: str, service: ServiceDep) -> JobState:
    """Let a job not fire until it is resumed, in this process and as long as it lives."""
    _job(service, job_id)
    return _state(service, service.scheduler.pause_job(job_id))


@router.post(
    "/jobs/{job_id:any_text}/resume",
    responses={404: {"model": Problem}, 409: {"model": Problem}},
)
async def resume_job(job_id: str, service: ServiceDep) -> JobState:
    """Let a paused job fire again, from its next time on."""
    job = _job(service, job_id)
    if job.next_run_time is None:  # resuming one that is not paused could jump a time that is due
        if job.trigger.get_next_fire_time(None, datetime.now(KST)) is None:
            raise HTTPException(409, f"{job.id!r} never fires again: its schedule has ended")
        service.scheduler.resume_job(job_id)
    return _state(service, job)


class Filters(BaseModel):
    """Which runs to list; a filter that is unknown is refused, for it would be no filter."""

    model_config = ConfigDict(extra="forbid")

    job_id: str | None = Field(
        None, min_length=1, max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00]*$"
    )
    status: Status | None = None
    since: Moment | None = Field(None, description="the earliest scheduled time")
    until: Moment | None = Field(None, description="the end of the scheduled times, excluded")
    before_id: int | None = Field(
        None, ge=1, le=_MAX_ID, description="next_before_id of the page before"
    )
    limit: int = Field(100, ge=1, le=MAX_RUNS)


@router.get("/runs", response_model=Runs, responses=UNAVAILABLE)
async def list_runs(readers: ReadersDep, filters: Annotated[Filters, Query()]) -> Response:
    """List what the ledger holds about runs, of all replicas."""
    async with readers.turn():
        rows = await readers.ledger.rows(filters.job_id, **filters.model_dump(exclude={"job_id"}))
        before_id = rows[-1].id if len(rows) == filters.limit else None
        return await _answer(
            readers,
            _RUNS,
            lambda: Runs(runs=[run_of(row) for row in rows], next_before_id=before_id),
        )


async def _answer(
    readers: Readers, model: TypeAdapter[Any], content: Callable[[], object]
) -> Response:
    """Make a long answer in the readers' thread: its texts would hold the event loop."""
    body = await readers.in_thread(lambda: model.dump_json(content()))
    return Response(body, media_type="application/json")


def _states(jobs: Sequence[tuple[Job, tuple[Occurrence, ...]]]) -> list[JobState]:
    return [
        job_state(job, running) for job, running in sorted(jobs, key=lambda each: str(each[0].id))
    ]


_RUNS: Final[TypeAdapter[Any]] = TypeAdapter(Runs)
_JOB_STATES: Final[TypeAdapter[Any]] = TypeAdapter(list[JobState])


def _job(service: Service, job_id: str) -> Job:
    # NUL, and half of a surrogate pair: the job store of a database fails on them.
    is_text = "\0" not in job_id and shown(job_id) == job_id
    job = service.scheduler.get_job(job_id) if is_text else None
    if job is None:
        known = nearest(job_id, (str(job.id) for job in service.scheduler.get_jobs()))
        raise UnknownJobError(f"no job has the id {reprlib.repr(job_id)}{known}")
    return job


def _state(service: Service, job: Job) -> JobState:
    return job_state(job, service.scheduler.running_occurrences(job.id))


async def _check_not_running(ledger: Ledger, job_id: str) -> None:
    """Refuse a run that the ledger would lock out: another goes on, here or on another replica."""
    try:
        require_name(job_id, "job_id")
    except InvalidArgumentError:
        return  # of a job that no ledger takes, none has a row
    rows = await ledger.rows(job_id, status="running")
    over = {row.id for row in await ledger.abandoned()} if rows else set()
    blocking = [row for row in rows if row.id not in over]
    if blocking:
        running = ", ".join(f"{row.occurrence} on {row.instance}" for row in blocking)
        raise AlreadyRunningError(
            f"job {job_id!r} runs already: {running}; wait until that has ended",
            tuple(row.occurrence for row in blocking),
        )
