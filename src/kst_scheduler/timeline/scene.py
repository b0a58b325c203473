"""The input of a picture, a simulation's result or a table of runs: checked and cut to the span.

Everything is checked before anything is drawn, so an error leaves no figure behind.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.runs.table import NODE_DOWN, STATUSES, TIME_COLUMNS, check_runs, time_dtype
from kst_scheduler.timeline.days import day, days
from kst_scheduler.timeline.style import DOWN, OUTCOMES
from kst_scheduler.timeline.words import A_YEAR, Clock
from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

_RUNNING: Final = STATUSES.index("running")
INCIDENT_KINDS: Final = ("freeze", "crash", "clock_jump")
_INCIDENT_COLUMNS: Final = ("node", "kind", "start", "end")
_A_DAY_AND_A_BIT: Final = pd.Timedelta(hours=30)
_ALONE: Final = pd.Timedelta(seconds=30)
"""Shown on each side of a moment that has no span of its own."""


@dataclass(frozen=True)
class Rows:
    """The runs of a picture as arrays of one length; times are matplotlib's days, NaN if never."""

    node: NDArray[np.intp]
    job: NDArray[np.intp]
    status: NDArray[np.intp]
    scheduled: NDArray[np.float64]
    started: NDArray[np.float64]
    finished: NDArray[np.float64]
    down: NDArray[np.bool_]
    """Whether the run was missed because its node was down: no grace time would have helped."""
    detail: NDArray[np.object_]
    """Why the run has its status, as far as it is known."""

    @property
    def outcome(self) -> NDArray[np.intp]:
        """The codes of the outcomes, which have a mark each (``style.OUTCOMES``)."""
        return np.where(self.down, OUTCOMES.index(DOWN), self.status)

    @property
    def place(self) -> NDArray[np.float64]:
        """Where a run's mark stands: at its start, or where it should have started."""
        return np.where(np.isnan(self.started), self.scheduled, self.started)

    def ended(self, still: float) -> NDArray[np.float64]:
        """Return when each run ended; what is running lasts until ``still``.

        A running row may have a ``finished`` all the same: the moment up to which it was seen.
        """
        running = (self.status == _RUNNING) & np.isnan(self.finished)
        return np.where(running, still, self.finished)

    def where(self, chosen: NDArray[Any]) -> Rows:
        """Return the rows at a mask or at positions."""
        return Rows(*(getattr(self, each.name)[chosen] for each in fields(self)))


@dataclass(frozen=True)
class Scene:
    """All that a picture of runs shows; ``start`` and ``end`` are None when nothing gives them."""

    rows: Rows
    nodes: list[str]
    jobs: list[str]
    incidents: pd.DataFrame
    start: pd.Timestamp | None
    end: pd.Timestamp | None
    grace: Mapping[str, timedelta | None]
    node_order: tuple[str, ...] = ()
    """The names in the order of the reader's code, as far as it is known ..."""
    job_order: tuple[str, ...] = ()
    """... and the jobs' ids."""
    cut_at: pd.Timestamp | None = None
    """When an interrupt ended the simulation, if it is within the picture."""

    def counts(self) -> dict[str, int]:
        """Return how many rows each outcome has; only outcomes that occur."""
        numbers = np.bincount(self.rows.outcome, minlength=len(OUTCOMES))
        return {name: int(number) for name, number in zip(OUTCOMES, numbers, strict=True) if number}

    def due(self) -> list[NDArray[np.float64]]:
        """Return the scheduled times of each job, in matplotlib's days."""
        return [self.rows.scheduled[self.rows.job == number] for number in range(len(self.jobs))]

    @property
    def clock(self) -> Clock:
        """Writes the times of the span: each with its date, and year, where it needs one."""
        length = self.end - self.start if self.start and self.end else timedelta(0)
        return Clock(dated=length > _A_DAY_AND_A_BIT, with_year=length > A_YEAR)

    def latest(self) -> timedelta:
        """Return by how much the latest run started late."""
        late = self.rows.started - self.rows.scheduled
        return timedelta(days=float(np.nanmax(np.append(late, 0.0))))


def gather_scene(
    source: Any,
    *,
    incidents: pd.DataFrame | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    grace: Mapping[str, timedelta | None] | None = None,
    moments: Iterable[pd.Timestamp] = (),
) -> Scene:
    """Gather what ``source`` holds; what is given beside it takes the place of its own.

    ``moments`` are times that the picture must hold beyond those of the runs.

    Raises:
        InvalidArgumentError: when something does not fit; the message says what.
        NaiveDatetimeError: when a time has no zone.

    """
    runs = _runs(source)
    incidents = _incidents(getattr(source, "incidents", None) if incidents is None else incidents)
    grace = _grace(getattr(source, "grace", None) if grace is None else grace)
    if not isinstance(source, pd.DataFrame):
        start = getattr(source, "start", None) if start is None else start
        end = getattr(source, "end", None) if end is None else end
    known = [runs[name] for name in TIME_COLUMNS]
    first, last = span([*known, incidents["start"], incidents["end"]], moments, start, end)
    rows, nodes, jobs = _rows(runs)
    cut_at = None if isinstance(source, pd.DataFrame) else _cut(source, last)
    if cut_at is not None:  # a run in progress was seen up to there
        rows = replace(rows, finished=rows.ended(day(cut_at)))
    if first is not None and last is not None:
        rows = _within(rows, day(first), day(last))
        apart = (incidents["start"] > last) | (incidents["end"] < first)
        incidents = incidents[~apart]
    whole = not isinstance(source, pd.DataFrame)
    node_order, job_order = (
        tuple(getattr(source, name, ())) if whole else () for name in ("nodes", "jobs")
    )
    return Scene(rows, nodes, jobs, incidents, first, last, grace, node_order, job_order, cut_at)


def _cut(source: Any, last: pd.Timestamp | None) -> pd.Timestamp | None:
    """Return when the simulation was interrupted, if that is before the end of the picture."""
    cut: datetime | None = getattr(source, "cut_at", None)
    if cut is None or last is None or cut >= last:
        return None
    return pd.Timestamp(cut).tz_convert(KST)


def _runs(source: Any) -> pd.DataFrame:
    runs = source if isinstance(source, pd.DataFrame) else getattr(source, "runs", None)
    if not isinstance(runs, pd.DataFrame):
        raise InvalidArgumentError(
            f"a {type(source).__name__} has no runs to draw; "
            "give a table of runs, or the result of simulate(...)"
        )
    return check_runs(runs)


def _incidents(incidents: pd.DataFrame | None) -> pd.DataFrame:
    if incidents is None:
        empty = pd.Series([], dtype=time_dtype())
        return pd.DataFrame({"node": [], "kind": [], "start": empty, "end": empty, "detail": []})
    missing = [name for name in _INCIDENT_COLUMNS if name not in incidents.columns]
    if missing:
        raise InvalidArgumentError(
            f"a table of incidents lacks the column(s) {', '.join(missing)}; "
            f"it needs {', '.join(_INCIDENT_COLUMNS)}"
        )
    unknown = sorted({str(kind) for kind in incidents["kind"]} - set(INCIDENT_KINDS))
    if unknown:
        raise InvalidArgumentError(
            f"unknown kind of incident {', '.join(map(repr, unknown))}; "
            f"a table of incidents knows {', '.join(INCIDENT_KINDS)}"
        )
    detail = incidents["detail"] if "detail" in incidents.columns else ""
    return incidents.assign(
        start=_aware(incidents["start"], "start"),
        end=_aware(incidents["end"], "end"),
        detail=detail,
    )


def _aware(times: pd.Series[Any], name: str) -> pd.Series[Any]:
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        return pd.Series(times.dt.tz_convert(KST))
    for time in times.dropna():
        require_aware(time, f"incidents[{name!r}]")
    return pd.to_datetime(times, utc=True).dt.tz_convert(KST)


def _grace(grace: Mapping[str, timedelta | None] | None) -> Mapping[str, timedelta | None]:
    for job_id, limit in (grace or {}).items():
        if limit is not None and not isinstance(limit, timedelta):
            raise InvalidArgumentError(
                f"grace[{job_id!r}]={limit!r} is not a timedelta; "
                "write timedelta(seconds=300), or None for no limit"
            )
    return grace or {}


def span(
    columns: list[pd.Series[Any]],
    moments: Iterable[pd.Timestamp],
    start: datetime | None,
    end: datetime | None,
) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Return the first and last time to show: those asked for, else those that the tables hold."""
    first = None if start is None else pd.Timestamp(require_aware(start, "start")).tz_convert(KST)
    last = None if end is None else pd.Timestamp(require_aware(end, "end")).tz_convert(KST)
    if first is not None and last is not None and last <= first:
        raise InvalidArgumentError(
            f"end={last:%Y-%m-%d %H:%M:%S} KST is not after start={first:%Y-%m-%d %H:%M:%S} KST"
        )
    held = [
        *moments,
        *(edge for column in columns if len(column) for edge in (column.min(), column.max())),
    ]
    held = [pd.Timestamp(edge).tz_convert(KST) for edge in held if not pd.isna(edge)]
    if not held and (first is None or last is None):
        return first, last
    first = min(held) if first is None else first
    last = max(held) if last is None else last
    return (first - _ALONE, first + _ALONE) if last <= first else (first, last)


def _rows(runs: pd.DataFrame) -> tuple[Rows, list[str], list[str]]:
    node, nodes = pd.factorize(runs["node"], use_na_sentinel=False)
    job, jobs = pd.factorize(runs["job_id"], use_na_sentinel=False)
    scheduled, started, finished = (days(runs[name]) for name in TIME_COLUMNS)
    status = np.asarray(runs["status"].cat.codes, np.intp)
    missed = status == STATUSES.index("missed")
    down = np.asarray(runs["detail"] == NODE_DOWN, np.bool_) & missed
    detail = runs["detail"].to_numpy(object)
    rows = Rows(node, job, status, scheduled, started, finished, down, detail)
    return rows, list(nodes), list(jobs)


def _within(rows: Rows, first: float, last: float) -> Rows:
    begin = np.fmin(rows.scheduled, rows.started)
    finish = np.fmax(np.fmax(rows.scheduled, rows.started), rows.ended(np.inf))
    inside = (begin <= last) & (finish >= first)
    return rows if inside.all() else rows.where(inside)
