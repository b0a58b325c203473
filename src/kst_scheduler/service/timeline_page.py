"""GET /timeline: what ran in the last hours, as a picture and a table, on one small page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from kst_scheduler.service.auth import by_basic
from kst_scheduler.service.reading import ReadersDep  # noqa: TC001 - FastAPI reads it
from kst_scheduler.service.responses import UNAVAILABLE, Problem
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kst_scheduler.ledger import LedgerRow

MAX_HOURS: Final = 7 * 24
MAX_DRAWN: Final = 2_000
"""Runs on a page; of more, the latest."""

_HEADERS: Final = {
    # The picture is an image, so nothing on the page is a script, and none may become one.
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

router = APIRouter(
    tags=["pages"],
    dependencies=[Depends(by_basic)],
    responses={401: {"model": Problem}, 403: {"model": Problem}},
)


class Window(BaseModel):
    """How much to show."""

    model_config = ConfigDict(extra="forbid")

    hours: int = Field(24, ge=1, le=MAX_HOURS)


@router.get(
    "/timeline",
    response_class=Response,  # has no type of its own: 200 is HTML, the errors are JSON
    responses={200: {"content": {"text/html": {}}}, **UNAVAILABLE},
)
async def timeline(readers: ReadersDep, window: Annotated[Window, Query()]) -> Response:
    """Show the runs of the last hours, of all replicas, for a browser."""
    end = datetime.now(KST)
    start = end - timedelta(hours=window.hours)
    async with readers.turn():
        rows = await readers.ledger.rows(since=start, limit=MAX_DRAWN + 1)
        page = await readers.in_thread(_drawn, rows, start, end)
    return HTMLResponse(page, headers=_HEADERS)


def _drawn(rows: Sequence[LedgerRow], start: datetime, end: datetime) -> str:
    from kst_scheduler.service.page import draw_page  # noqa: PLC0415 - matplotlib is slow to load

    return draw_page(rows[:MAX_DRAWN], start, end, complete=len(rows) <= MAX_DRAWN)
