"""The page at /timeline, as HTML: two pictures, of which a browser shows the one that fits."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from operator import attrgetter
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from kst_scheduler.ledger.history import FIELDS, history_table
from kst_scheduler.service.picture import NARROW, WIDE, timeline_svg
from kst_scheduler.timeline.words import duration
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kst_scheduler.ledger import LedgerRow

MOST_LISTED: Final = 200
"""Runs in the table; of more, the latest."""

_PAGE: Final = Template(Path(__file__).with_name("timeline.html").read_text(encoding="utf-8"))
_ROW: Final = Template(
    '<tr class="$status"><td>$when<td>$job_id<td>$status<td>$took<td>$rows<td>$instance<td>$error'
)


def draw_page(
    rows: Sequence[LedgerRow], start: datetime, end: datetime, *, complete: bool = True
) -> str:
    """Return the page of these rows; in a thread, for it takes some tenths of a second.

    ``complete`` tells whether these are all rows of that time.
    """
    runs = history_table(map(attrgetter(*FIELDS), rows))
    title, wide = timeline_svg(runs, start, end, WIDE)
    _, narrow = timeline_svg(runs, start, end, NARROW)
    latest = sorted(rows, key=lambda row: (row.scheduled_at, row.id), reverse=True)
    return _PAGE.substitute(
        title=escape(title),
        start=f"{start:%Y-%m-%d %H:%M}",
        end=f"{end:%Y-%m-%d %H:%M}",
        wide=_address(wide),
        narrow=_address(narrow),
        note=_note(len(rows), complete=complete),
        rows="\n".join(map(_row, latest[:MOST_LISTED])),
    )


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _note(count: int, *, complete: bool) -> str:
    if not count:
        return "The ledger has no row of that time."
    drawn = "" if complete else f"The picture shows the latest {count:,} runs only. "
    listed = f"The table lists the latest {MOST_LISTED}." if count > MOST_LISTED else ""
    return drawn + listed


def _row(row: LedgerRow) -> str:
    """Return a line of the table; a job's id and error may hold anything, so all is escaped."""
    fields = {
        "when": f"{row.scheduled_at.astimezone(KST):%m-%d %H:%M:%S}",
        "job_id": row.source,
        "status": row.status,
        "took": "" if row.duration_ms is None else duration(row.duration_ms / 1000),
        "rows": "" if row.rows is None else f"{row.rows:,}",
        "instance": row.instance,
        "error": row.error or "",
    }
    return _ROW.substitute({name: escape(text) for name, text in fields.items()})
