"""create_app(): the service as a FastAPI application, for uvicorn or any other ASGI server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from kst_scheduler.extras import require_extra

with require_extra("service", "the service"):
    from fastapi import APIRouter, FastAPI, Request, Response

    from kst_scheduler.service import admin, timeline_page
    from kst_scheduler.service.answers import Health, answer_errors
    from kst_scheduler.service.health import reasons_against, watched
    from kst_scheduler.service.parts import running
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
    app = FastAPI(
        title="kst-scheduler",
        description=ABOUT,
        version=version("kst-scheduler"),
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.settings = settings or Settings()
    for each in (router, admin.router, timeline_page.router):
        app.include_router(each)
    answer_errors(app)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the service while the application is served; errors as of ``parts.running``."""
    async with running(app.state.settings) as service, watched(service.ledger) as watch:
        app.state.service, app.state.watch = service, watch
        yield


@router.get("/healthz", responses={503: {"model": Health}})
async def healthz(request: Request, response: Response) -> Health:
    """Tell whether the scheduler runs and the ledger answered when it was last looked at."""
    state = request.app.state
    reasons = reasons_against(state.service.scheduler, state.watch)
    response.status_code = 503 if reasons else 200
    return Health(status="unavailable" if reasons else "ok", reasons=reasons)
