"""create_app(): the service as a FastAPI application, for uvicorn or any other ASGI server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.extras import require_extra

with require_extra("service", "the service"):
    from fastapi import APIRouter, FastAPI, Request, Response

    from kst_scheduler.service import admin, timeline_page
    from kst_scheduler.service.components import running
    from kst_scheduler.service.health import (
        LedgerWatch,
        QueueWatch,
        SchedulerWatch,
        reasons_not_alive,
        reasons_not_ready,
        watched,
    )
    from kst_scheduler.service.reading import readers
    from kst_scheduler.service.responses import Health, answer_errors
    from kst_scheduler.service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ABOUT: Final = "Runs jobs on Korean time, each occurrence once. All times carry their zone."

router = APIRouter()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service; without settings, that of the environment.

    Its lifespan starts the scheduler and brings it to rest, so serve it by one worker process:
    each one is a scheduler.

    Raises:
        InvalidArgumentError: the environment has a setting that cannot be meant.

    """
    settings = settings or Settings()
    app = FastAPI(
        title="kst-scheduler",
        description=ABOUT,
        version=version("kst-scheduler"),
        lifespan=lifespan,
        docs_url="/docs" if settings.docs else None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.settings = settings
    for each in (router, admin.router, timeline_page.router):
        app.include_router(each)
    answer_errors(app)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the service while the application is served; errors as of ``components.running``."""
    async with running(app.state.settings) as service:
        state = app.state
        state.service = service
        state.watch, state.queue_watch = LedgerWatch(service.ledger), QueueWatch(service.scheduler)
        state.scheduler_watch = SchedulerWatch(service.scheduler)
        async with (
            readers(service.ledger) as state.readers,
            watched(state.watch, state.queue_watch, state.scheduler_watch),
        ):
            yield


UNHEALTHY: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Health}}


@router.head("/livez", include_in_schema=False)
@router.get("/livez", responses=UNHEALTHY)
async def livez(request: Request, response: Response) -> Health:
    """Tell whether the process is alive: the event loop turns, and the scheduler has not stopped.

    When it is not, a restart helps.
    """
    return _health(response, _not_alive(request))


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=UNHEALTHY)
async def readyz(request: Request, response: Response) -> Health:
    """Tell whether jobs that are due would run: the ledger takes writes, and the queue answers.

    When they would not, a restart does not help; what does is named in the log.
    """
    return _health(response, _not_ready(request))


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", responses=UNHEALTHY)
async def healthz(request: Request, response: Response) -> Health:
    """Tell both: what /livez and what /readyz tell."""
    return _health(response, [*_not_alive(request), *_not_ready(request)])


def _not_alive(request: Request) -> list[str]:
    state = request.app.state
    return reasons_not_alive(state.service.scheduler, state.scheduler_watch)


def _not_ready(request: Request) -> list[str]:
    state = request.app.state
    return reasons_not_ready(state.service.scheduler, (state.watch, state.queue_watch))


def _health(response: Response, reasons: list[str]) -> Health:
    response.status_code = 503 if reasons else 200
    return Health(status="unavailable" if reasons else "ok", reasons=reasons)
