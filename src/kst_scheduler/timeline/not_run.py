"""Times at which a run was expected, and the table has none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timeline.days import day, days
from kst_scheduler.timeline.hover import MAX_AREAS, Area, when
from kst_scheduler.timeline.lane_words import LaneWords
from kst_scheduler.timeline.style import BLACK
from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from kst_scheduler.timeline.lanes import Lanes
    from kst_scheduler.timeline.marks import Field
    from kst_scheduler.timeline.scene import Scene
    from kst_scheduler.timeline.words import Clock

NOT_RUN_WORDS: Final = "expected, nothing ran"
_NEAR: Final = 60 / 86_400
"""A run counts as the expected one when it is at most a minute off, in days."""
_MAX_WORDS: Final = 3


class NotRun(NamedTuple):
    """A run of a job that was expected at a moment and is not in the table."""

    job_id: str
    moment: pd.Timestamp


Moments = datetime | pd.DatetimeIndex | list[datetime]


def expected_times(expected: Any) -> dict[str | None, pd.DatetimeIndex]:
    """Return the expected times of each job; the key None stands for every job of the picture.

    Raises:
        InvalidArgumentError: when it is neither a time, nor times, nor a dict of them by job id.
        NaiveDatetimeError: when a time has no zone.

    """
    if expected is None:
        return {}
    if isinstance(expected, Mapping):
        return {
            job_id: _moments(times, f"expected[{job_id!r}]") for job_id, times in expected.items()
        }
    return {None: _moments(expected, "expected")}


def _moments(times: Any, name: str) -> pd.DatetimeIndex:
    if isinstance(times, datetime):
        times = [times]
    if isinstance(times, (str, bytes)) or not hasattr(times, "__iter__"):
        raise InvalidArgumentError(
            f"{name}={times!r} is no time; write kst(2026, 5, 10, 3) for 03:00 KST, a list of such "
            "times, or a dict of them by job id"
        )
    if isinstance(times, pd.DatetimeIndex) and times.tz is not None:
        return times.tz_convert(KST)
    moments = [require_aware(moment, name) for moment in times]
    return pd.DatetimeIndex(pd.to_datetime(moments, utc=True)).tz_convert(KST)


def find_not_run(expected: Mapping[str | None, pd.DatetimeIndex], scene: Scene) -> list[NotRun]:
    """Return the expected runs of which the table knows nothing, in the order of time.

    A run that was missed, coalesced or locked out has its own mark, so it is not among them.
    """
    if scene.start is None or scene.end is None:
        return []
    found = []
    for job_id, moments in expected.items():
        known_until = scene.end if scene.cut_at is None else scene.cut_at
        inside = moments[(moments >= scene.start) & (moments <= known_until)]
        for job in [job_id] if job_id is not None else scene.jobs or [""]:
            found += [NotRun(job, moment) for moment in _unanswered(inside, job, scene)]
    return sorted(found, key=lambda one: (one.moment, one.job_id))


def _unanswered(moments: pd.DatetimeIndex, job_id: str, scene: Scene) -> Iterable[pd.Timestamp]:
    if job_id not in scene.jobs or moments.empty:
        return moments
    rows = scene.rows.where(scene.rows.job == scene.jobs.index(job_id))
    wanted = days(moments)
    gaps = np.diff(np.unique(wanted))
    near = min(_NEAR, gaps.min() / 2) if len(gaps) else _NEAR
    known = np.sort(np.concatenate([rows.scheduled, rows.started]))
    return moments[_distance(wanted, known[~np.isnan(known)]) > near]


def _distance(wanted: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each wanted time is from the nearest known one."""
    padded = np.r_[-np.inf, known, np.inf]
    place = np.searchsorted(known, wanted)
    apart: NDArray[np.float64] = np.minimum(wanted - padded[place], padded[place + 1] - wanted)
    return apart


def draw_not_run(missing: list[NotRun], lanes: Lanes, field: Field) -> Line2D | None:
    """Draw a hollow ring on a dotted line in each lane of the job; return it for the legend."""
    if not missing:
        return None
    spots = [(day(one.moment), lane) for one in missing for lane in lanes.of_job(one.job_id)]
    x = np.array([spot[0] for spot in spots])
    y = field.y[[spot[1] for spot in spots]]
    field.page.ax.vlines(x, y - 0.46, y + 0.46, color=BLACK, ls=":", lw=1.2, zorder=1.5)
    (line,) = field.page.ax.plot(
        x,
        y,
        linestyle="none",
        marker="o",
        markersize=field.largest * 1.25,
        markerfacecolor="white",
        markeredgecolor=BLACK,
        markeredgewidth=1.4,
        zorder=3.9,
        label=NOT_RUN_WORDS,
    )
    return line


def not_run_words(missing: list[NotRun], lanes: Lanes, *, clock: Clock) -> list[LaneWords]:
    """Return the words beside the rings, in the job's first lane; none where there are many."""
    if len(missing) > _MAX_WORDS:
        return []
    return [
        LaneWords(f"expected {clock(one.moment)}: nothing ran", day(one.moment), lane)
        for one in missing
        for lane in lanes.of_job(one.job_id)[:1]
    ]


def not_run_areas(missing: list[NotRun], lanes: Lanes, half: float) -> list[Area]:
    """Return what each ring tells; ``half`` is half the size of a mark in points."""
    y = lanes.y
    return [
        Area(
            at,
            at,
            y[lane],
            y[lane],
            half,
            f"{one.job_id}\nexpected {when(one.moment)}: nothing ran",
        )
        for one in missing[:MAX_AREAS]
        for at in [day(one.moment)]
        for lane in lanes.of_job(one.job_id)
    ]
