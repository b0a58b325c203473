"""GET /timeline: what ran in the last hours, as a picture and a table, on one small page."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import datetime, timedelta
from html import escape
from operator import attrgetter
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from kst_scheduler.ledger.history import FIELDS, history_table
from kst_scheduler.service.admin import TheService  # noqa: TC001 - FastAPI reads it
from kst_scheduler.service.answers import UNAVAILABLE, Problem
from kst_scheduler.service.auth import by_basic
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kst_scheduler.ledger import LedgerRow

LONGEST: Final = 7 * 24
MOST_DRAWN: Final = 2_000
"""Runs in the picture; of more, the latest."""
MOST_LISTED: Final = 200

_PAGE: Final = Template(Path(__file__).with_name("timeline.html").read_text(encoding="utf-8"))
_ROW: Final = Template(
    '<tr class="$status"><td>$when<td>$job_id<td>$status<td>$took<td>$rows<td>$instance<td>$error'
)
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

    hours: int = Field(24, ge=1, le=LONGEST)


@router.get(
    "/timeline",
    response_class=Response,  # has no type of its own: 200 is HTML, the errors are JSON
    responses={200: {"content": {"text/html": {}}}, **UNAVAILABLE},
)
async def timeline(service: TheService, window: Annotated[Window, Query()]) -> Response:
    """Show the runs of the last hours, of all replicas, for a browser."""
    end = datetime.now(KST)
    start = end - timedelta(hours=window.hours)
    rows = await service.ledger.rows(since=start, limit=MOST_DRAWN)
    page = await asyncio.to_thread(draw_page, rows, start, end)
    return HTMLResponse(page, headers=_HEADERS)


def draw_page(rows: Sequence[LedgerRow], start: datetime, end: datetime) -> str:
    """Return the page as HTML; in a thread, for it takes its time."""
    from kst_scheduler.service.picture import (  # noqa: PLC0415 - matplotlib is slow to load
        NARROW,
        WIDE,
        timeline_svg,
    )

    runs = history_table(map(attrgetter(*FIELDS), rows))
    latest = sorted(rows, key=lambda row: (row.scheduled_at, row.id), reverse=True)
    title, wide = timeline_svg(runs, start, end, WIDE)
    _, narrow = timeline_svg(runs, start, end, NARROW)
    return _PAGE.substitute(
        title=escape(title),
        start=f"{start:%Y-%m-%d %H:%M}",
        end=f"{end:%Y-%m-%d %H:%M}",
        wide=_address(wide),
        narrow=_address(narrow),
        note=_note(len(rows)),
        rows="\n".join(map(_row, latest[:MOST_LISTED])),
    )


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _note(count: int) -> str:
    if not count:
        return "The ledger has no row of that time."
    drawn = f"The picture shows the latest {count:,} runs. " if count == MOST_DRAWN else ""
    listed = f"The table lists the latest {MOST_LISTED}." if count > MOST_LISTED else ""
    return drawn + listed


def _row(row: LedgerRow) -> str:
    """Return a line of the table; a job's id and error may hold anything, so all is escaped."""
    fields = {
        "when": f"{row.scheduled_at.astimezone(KST):%m-%d %H:%M:%S}",
        "job_id": row.source,
        "status": row.status,
        "took": "" if row.duration_ms is None else f"{row.duration_ms / 1000:,.1f} s",
        "rows": "" if row.rows is None else f"{row.rows:,}",
        "instance": row.instance,
        "error": row.error or "",
    }
    return _ROW.substitute({name: escape(text) for name, text in fields.items()})
