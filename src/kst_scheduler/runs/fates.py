"""What became of every occurrence that somebody meant, whichever trigger fired it.

A table of runs knows what fired. Whether that is what was wanted, it cannot know: a job in the
wrong zone fires every day, and is late every day. So what was wanted is said here by itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.extras import require_tables
from kst_scheduler.runs.table import check_runs, time_dtype
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

FATES: Final = ("ok", "late", "duplicated", "lost", "unwanted")
"""ok: it ran, once and on time. late: once, and later. duplicated: it ran more than once. lost: no
run of it ended well. unwanted: it ran, and nobody had asked for it."""

FATES_COLUMNS: Final = ("job_id", "scheduled_at", "fate", "runs", "started_at", "reason")

_DONE: Final = "ok"


def fates(
    runs: pd.DataFrame,
    wanted: Mapping[str, pd.DatetimeIndex],
    *,
    on_time: timedelta = timedelta(minutes=5),
    history: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return one row an occurrence that was wanted, and what became of it.

    A run belongs to the last wanted time that is not after its own scheduled time, on the same
    Korean day; a run of a day or an hour without one is ``unwanted``. Runs of other jobs are left
    out. What was wanted after the last run began has a row, too: nothing ran.

    Returns the columns job_id, scheduled_at (when it was wanted), fate (an ordered categorical of
    FATES), runs (how many ended well), started_at (when the first of those began, NaT if none
    did) and reason ("" where the fate is ok), in the order of time.

    Args:
        runs: a table of runs (``kst_scheduler.runs``), such as a simulation's or a ledger's.
        wanted: the times at which each job should run: ``fire_times(cron(hour=3), start, end)``.
        on_time: how late a run may begin and still be on time.
        history: the ledger's, whose reasons are cited where it has one.

    Raises:
        InvalidArgumentError: ``runs`` is no table of runs, or the times are no DatetimeIndex.
        NaiveDatetimeError: the times of a job have no zone.

    """
    require_tables("fates()")
    import pandas as pd  # noqa: PLC0415 - slow to load

    times = {job: _checked(job, moments) for job, moments in wanted.items()}
    reasons = {} if history is None else _reasons(history)
    found: dict[Any, list[Any]] = {(job, each): [] for job in times for each in times[job]}
    unasked: dict[Any, list[Any]] = defaultdict(list)
    runs = check_runs(runs)
    for job, index in times.items():
        of_job = runs[runs["job_id"] == job]
        meant = _meant(index, of_job["scheduled_at"])
        for row, moment in zip(of_job.itertuples(index=False), meant, strict=True):
            if pd.isna(moment):
                unasked[job, row.scheduled_at].append(row)
            else:
                found[job, moment].append(row)
    rows = [(*key, *_fate(key, seen, on_time, reasons.get(key, ""))) for key, seen in found.items()]
    rows += [(*key, *_unwanted(seen)) for key, seen in unasked.items() if _done(seen)]
    return _table(rows)


def broken_promises(judged: pd.DataFrame, history: pd.DataFrame) -> dict[str, int]:
    """Count the occurrences for which a service with a ledger has not done what it promises.

    That is: none runs twice, each has a row, and a row that is not ok says why. Late and lost are
    no broken promise: a night without power is one that nobody can run.

    Args:
        judged: what ``fates`` returned.
        history: the ledger's, of the same jobs.

    """
    require_tables("broken_promises()")
    import pandas as pd  # noqa: PLC0415 - slow to load

    rows = history.set_index(["job_id", "scheduled_at"])
    asked = judged[judged["fate"] != "unwanted"]
    keys = pd.MultiIndex.from_frame(asked[["job_id", "scheduled_at"]])
    silent = rows[~rows["status"].isin(["ok", "running"]) & (rows["detail"] == "")]
    return {
        "ran more than once": int((judged["fate"] == "duplicated").sum()),
        "has no row": int((~keys.isin(rows.index)).sum()),
        "is not ok, and no reason": len(silent),
    }


def _checked(job: str, moments: pd.DatetimeIndex) -> pd.DatetimeIndex:
    import pandas as pd  # noqa: PLC0415 - slow to load

    if not isinstance(moments, pd.DatetimeIndex):
        raise InvalidArgumentError(
            f"wanted[{job!r}] is {type(moments).__name__}, no DatetimeIndex; "
            "write fire_times(cron(hour=3), start, end)"
        )
    if moments.tz is None:
        raise NaiveDatetimeError(
            f"wanted[{job!r}] has no time zone; write .tz_localize('Asia/Seoul') if it is Korean"
        )
    return moments.tz_convert(KST).as_unit("us").unique().sort_values()


def _meant(times: pd.DatetimeIndex, scheduled_at: pd.Series) -> pd.Series:
    """Return for each scheduled time the wanted one that it stands for; NaT: nobody asked."""
    import numpy as np  # noqa: PLC0415 - slow to load
    import pandas as pd  # noqa: PLC0415 - slow to load

    if not len(times):
        return pd.Series(pd.NaT, index=scheduled_at.index, dtype=time_dtype())
    place = np.searchsorted(times.asi8, pd.DatetimeIndex(scheduled_at).as_unit("us").asi8, "right")
    meant = pd.Series(times[np.maximum(place - 1, 0)], index=scheduled_at.index)
    same_day = meant.dt.normalize() == scheduled_at.dt.normalize()
    return meant.where((place > 0) & same_day)


def _reasons(history: pd.DataFrame) -> dict[Any, str]:
    """Return what the ledger says of each occurrence that it says something of."""
    told: list[Any] = [row for row in history.itertuples(index=False) if row.detail]
    return {
        (row.job_id, row.scheduled_at): row.detail
        if row.status == _DONE
        else f"{row.status}: {row.detail}"
        for row in told
    }


def _done(rows: Sequence[Any]) -> list[Any]:
    """Return the runs that ended well, the first to begin first."""
    return sorted((row for row in rows if row.status == _DONE), key=lambda row: row.started_at)


def _fate(
    key: Any, rows: Sequence[Any], on_time: timedelta, reason: str
) -> tuple[str, int, Any, str]:
    import pandas as pd  # noqa: PLC0415 - slow to load

    done = _done(rows)
    if not done:
        said = reason or _what_happened(rows) or ("locked out" if rows else "nothing ran")
        return "lost", 0, pd.NaT, said
    late = done[0].started_at - key[1]
    said = f"{_whole_seconds(late)} late" if late > on_time else ""
    fate = "late" if said else "ok"
    if len(done) > 1:
        fate, said = "duplicated", _comma([f"ran on {_nodes(done)}", said])
    elif said:
        said = _comma([said, reason or _what_happened(rows)])
    return fate, len(done), done[0].started_at, said


def _unwanted(rows: Sequence[Any]) -> tuple[str, int, Any, str]:
    done = _done(rows)
    return "unwanted", len(done), done[0].started_at, f"nobody asked for it; ran on {_nodes(done)}"


def _what_happened(rows: Sequence[Any]) -> str:
    """Say why the runs that did not end well did not, those alike together."""
    alike: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        if row.status not in {_DONE, "locked_out"}:
            alike[row.status, row.detail].append(row)
    said = [
        f"{status.replace('_', ' ')} on {_nodes(same)}" + (f": {detail}" if detail else "")
        for (status, detail), same in alike.items()
    ]
    return "; ".join(said)


def _nodes(rows: Iterable[Any]) -> str:
    """Return the names of the nodes, and how often where one ran it again."""
    often = Counter(row.node for row in rows)
    return ", ".join(f"{node} {n} times" if n > 1 else node for node, n in often.items())


def _comma(parts: Iterable[str]) -> str:
    return ", ".join(part for part in parts if part)


def _whole_seconds(span: timedelta) -> timedelta:
    return timedelta(seconds=span // timedelta(seconds=1))


def _table(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - slow to load

    table = pd.DataFrame(rows, columns=list(FATES_COLUMNS))
    table["fate"] = table["fate"].astype(pd.CategoricalDtype(list(FATES), ordered=True))
    for name in ("scheduled_at", "started_at"):
        table[name] = pd.to_datetime(table[name], utc=True).astype(time_dtype())
    for name in ("job_id", "reason"):
        table[name] = table[name].astype("str")
    return table.sort_values(["scheduled_at", "job_id"], kind="stable", ignore_index=True)
