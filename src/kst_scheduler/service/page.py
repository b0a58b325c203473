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
from kst_scheduler.timeline.runs_picture import timeline_title
from kst_scheduler.timeline.words import duration
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd

    from kst_scheduler.ledger import LedgerRow

MAX_LISTED: Final = 200
"""Runs in the table; of more, the latest."""
MAX_JOBS: Final = 100
"""Jobs in the picture; of more, those with a run that went wrong, then those that ran last."""
MAX_REASON_LENGTH: Final = 300
"""Characters of a reason in the table; GET /admin/runs has the whole."""
_WRONG: Final = {"missed", "error", "cancelled", "skipped"}

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
    latest = sorted(rows, key=lambda row: (row.scheduled_at, row.id), reverse=True)
    jobs = list(dict.fromkeys(row.source for row in latest))
    drawn = _drawn(rows, latest, jobs)
    title, wide = timeline_svg(_table(drawn), start, end, WIDE)
    _, narrow = timeline_svg(_table(drawn), start, end, NARROW)
    if len(drawn) < len(rows):  # what is not drawn is counted all the same
        title = timeline_title(_table(rows).assign(node=""), start, end)
    return _PAGE.substitute(
        title=escape(title),
        start=f"{start:%Y-%m-%d %H:%M}",
        end=f"{end:%Y-%m-%d %H:%M}",
        wide=_address(wide),
        narrow=_address(narrow),
        note=_note(len(rows), len(jobs), complete=complete),
        rows="\n".join(map(_row, latest[:MAX_LISTED])),
    )


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _note(count: int, jobs: int, *, complete: bool) -> str:
    if not count:
        return "The ledger has no row of that time."
    notes = []
    if not complete:
        notes.append(f"The picture shows the latest {count:,} runs only.")
    if jobs > MAX_JOBS:
        notes.append(
            f"It shows {MAX_JOBS} of {jobs:,} jobs: first those with a run that went wrong."
        )
    if count > MAX_LISTED:
        notes.append(f"The table lists the latest {MAX_LISTED}.")
    return " ".join(notes)


def _drawn(
    rows: Sequence[LedgerRow], latest: Sequence[LedgerRow], jobs: Sequence[str]
) -> Sequence[LedgerRow]:
    """Return the rows of as many jobs as a picture has room for."""
    if len(jobs) <= MAX_JOBS:
        return rows
    wrong = (row.source for row in latest if row.status in _WRONG)
    kept = set([*dict.fromkeys([*wrong, *jobs])][:MAX_JOBS])
    return [row for row in rows if row.source in kept]


def _table(rows: Sequence[LedgerRow]) -> pd.DataFrame:
    return history_table(map(attrgetter(*FIELDS), rows))


def _row(row: LedgerRow) -> str:
    """Return a line of the table; a job's id and error may hold anything, so all is escaped."""
    fields = {
        "when": f"{row.scheduled_at.astimezone(KST):%m-%d %H:%M:%S}",
        "job_id": row.source,
        "status": row.status,
        "took": "" if row.duration_ms is None else duration(row.duration_ms / 1000),
        "rows": "" if row.rows is None else f"{row.rows:,}",
        "instance": row.instance,
        "error": _cut(row.error or ""),
    }
    return _ROW.substitute({name: escape(text) for name, text in fields.items()})


def _cut(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON_LENGTH else f"{reason[: MAX_REASON_LENGTH - 1]}…"
