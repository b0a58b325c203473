"""The table of runs: what became of every due occurrence, one row for each node that handled it.

Simulated, live and recorded runs share this one schema, so that one picture, one query and one
test serves all three.
"""

from __future__ import annotations

import copy
from array import array
from functools import cache
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_tables
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

STATUSES: Final = (
    "ok",
    "error",
    "missed",
    "coalesced",
    "skipped",
    "locked_out",
    "cancelled",
    "running",
)
"""What can become of an occurrence.

missed: beyond the grace time, or due while the node was down (detail says which). coalesced:
folded into a later run. skipped: max_instances reached. locked_out: another node has claimed it.
cancelled: cut short. running: not finished when the table was made.
"""

COLUMNS: Final = (
    "node",
    "job_id",
    "scheduled_at",
    "started_at",
    "finished_at",
    "status",
    "detail",
)
NODE_DOWN: Final = "the node was down"
"""The detail of a run that was missed because nothing was there to look at it."""

DUPLICATES_COLUMNS: Final = ["job_id", "scheduled_at", "runs", "nodes"]
TEXT_COLUMNS: Final = ("node", "job_id", "detail")
TIME_COLUMNS: Final = ("scheduled_at", "started_at", "finished_at")

NAT: Final = -(2**63)
"""The integer that numpy reads as "not a time"."""


@cache
def status_dtype() -> pd.CategoricalDtype:
    """Return the dtype of the column status."""
    import pandas as pd  # noqa: PLC0415 - slow to load

    return pd.CategoricalDtype(list(STATUSES), ordered=True)


@cache
def time_dtype() -> pd.DatetimeTZDtype:
    """Return the dtype of the columns of times."""
    import pandas as pd  # noqa: PLC0415 - slow to load

    return pd.DatetimeTZDtype("us", KST)


class RunLog:
    """Rows of the table of runs, gathered one at a time and cheaply.

    Times are integers: microseconds since 1970 in UTC, or ``NAT``.

    Args:
        max_rows: how many rows are kept, the last ones; None: all. Up to a quarter more are there
            at times, as the oldest are dropped in one go.

    """

    def __init__(self, max_rows: int | None = None) -> None:
        self._max_rows = max_rows
        self._labels: dict[tuple[str, str, int, str], int] = {}
        """What a row says beside its times: node, job, code of the status, detail. Equal ones are
        kept once, with a number each."""
        self._numbers = array("i")
        """Each row's label."""
        self._scheduled_at, self._started_at = array("q"), array("q")
        self._finished_at = array("q")

    def __len__(self) -> int:
        return len(self._numbers)

    def add(
        self,
        node: str,
        job_id: str,
        scheduled_at: int,
        status: str,
        started_at: int = NAT,
        finished_at: int = NAT,
        detail: str = "",
    ) -> bool:
        """Append one row; return whether the oldest were dropped."""
        label = node, job_id, _STATUS_CODE[status], detail
        self._numbers.append(self._labels.setdefault(label, len(self._labels)))
        self._scheduled_at.append(scheduled_at)
        self._started_at.append(started_at)
        self._finished_at.append(finished_at)
        if self._max_rows is None or len(self) <= self._max_rows * 5 // 4:
            return False
        self._keep(self._max_rows)
        return True

    def job_ids(self) -> set[str]:
        """Return the jobs that have had a row lately."""
        return {job_id for _, job_id, _, _ in self._labels}

    def _keep(self, count: int) -> None:
        """Drop all but the last rows, and the labels that only the others had."""
        for column in (self._numbers, self._scheduled_at, self._started_at, self._finished_at):
            del column[:-count]
        labels = list(self._labels)
        numbers = {old: new for new, old in enumerate(dict.fromkeys(self._numbers))}
        self._labels = {labels[old]: new for old, new in numbers.items()}
        self._numbers = array("i", map(numbers.__getitem__, self._numbers))

    def copy(self) -> RunLog:
        """Return a log of the same rows, to which others can be added."""
        return copy.deepcopy(self)

    def table(self) -> pd.DataFrame:
        """Return the rows as a table of runs, ordered by scheduled time, node and job."""
        require_tables("the table of runs")
        import numpy as np  # noqa: PLC0415 - slow to load
        import pandas as pd  # noqa: PLC0415 - slow to load

        scheduled_at, started_at, finished_at = self._times()
        order = np.lexsort((self._lanes(), scheduled_at))
        numbers = np.frombuffer(self._numbers, np.int32)[order]
        nodes, job_ids, codes, details = (
            zip(*self._labels, strict=True) if self._labels else [()] * 4
        )
        return pd.DataFrame(
            {
                "node": _texts(nodes).take(numbers),
                "job_id": _texts(job_ids).take(numbers),
                "scheduled_at": moments(scheduled_at[order]),
                "started_at": moments(started_at[order]),
                "finished_at": moments(finished_at[order]),
                "status": pd.Categorical.from_codes(
                    np.array(codes, np.int8)[numbers], dtype=status_dtype()
                ),
                "detail": _texts(details).take(numbers),
            },
            copy=False,
        )

    def _times(self) -> list[NDArray[np.int64]]:
        """Return the columns of times, as they are to be shown."""
        import numpy as np  # noqa: PLC0415 - slow to load

        columns = (self._scheduled_at, self._started_at, self._finished_at)
        return [np.frombuffer(column, np.int64) for column in columns]

    def _lanes(self) -> NDArray[np.int32]:
        """Return the place of each row's node and job in alphabetical order."""
        import numpy as np  # noqa: PLC0415 - slow to load

        lanes = [label[:2] for label in self._labels]
        places = {lane: place for place, lane in enumerate(sorted(set(lanes)))}
        of_label = np.array([places[lane] for lane in lanes], np.int32)
        return of_label[np.frombuffer(self._numbers, np.int32)]


def _texts(texts: Iterable[str]) -> pd.api.extensions.ExtensionArray:
    """Return texts as a column, in which equal ones are the same object."""
    import numpy as np  # noqa: PLC0415 - slow to load
    import pandas as pd  # noqa: PLC0415 - slow to load

    known: dict[str, str] = {}
    return pd.array(
        np.array([known.setdefault(each, each) for each in texts], dtype=object), dtype="str"
    )


def duplicates(runs: pd.DataFrame) -> pd.DataFrame:
    """List the occurrences that ran more than once, over all nodes.

    Returns one row an occurrence: job_id, scheduled_at, runs (how many started), nodes (their
    names in the order in which they started).
    """
    runs = check_runs(runs)
    occurrence = ["scheduled_at", "job_id"]
    # A run that was locked out began its function and did none of its work.
    started = runs[runs["started_at"].notna() & (runs["status"] != "locked_out")]
    repeated = started[started.duplicated(occurrence, keep=False)].sort_values(
        ["started_at", "node"]
    )
    groups = repeated.groupby(occurrence)["node"]
    return groups.agg(runs="size", nodes=", ".join).reset_index()[DUPLICATES_COLUMNS]


def lateness(runs: pd.DataFrame) -> pd.Series[pd.Timedelta]:
    """Return started_at - scheduled_at for each row; NaT where the run never started."""
    runs = check_runs(runs)
    return (runs["started_at"] - runs["scheduled_at"]).rename("lateness")


def check_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return ``runs`` with this schema's dtypes, or say what does not fit it.

    Raises:
        InvalidArgumentError: a column is missing, a time has no zone, or a status is unknown.

    """
    require_tables("a table of runs")
    import pandas as pd  # noqa: PLC0415 - slow to load

    missing = [name for name in COLUMNS if name not in runs.columns]
    if missing:
        raise InvalidArgumentError(
            f"a table of runs lacks the column(s) {', '.join(missing)}; "
            f"it has {', '.join(map(str, runs.columns)) or 'none'}"
        )
    unknown = sorted({str(status) for status in runs["status"].unique()} - set(STATUSES))
    if unknown:
        raise InvalidArgumentError(
            f"unknown status {', '.join(map(repr, unknown))}; "
            f"a table of runs knows {', '.join(STATUSES)}"
        )
    fixed: dict[str, pd.Series] = {}
    for name in TIME_COLUMNS:
        if not isinstance(runs[name].dtype, pd.DatetimeTZDtype) and len(runs):
            raise InvalidArgumentError(
                f"the column {name} has the dtype {runs[name].dtype}, without a time zone; write "
                f"runs[{name!r}].dt.tz_localize('Asia/Seoul') if it holds Korean times"
            )
        if runs[name].dtype != time_dtype():
            fixed[name] = runs[name].astype(time_dtype())
    if runs["status"].dtype != status_dtype():
        fixed["status"] = runs["status"].astype(status_dtype())
    return runs.assign(**fixed) if fixed else runs


def moments(microseconds: NDArray[np.int64]) -> pd.DatetimeIndex:
    """Return integers, microseconds since 1970 in UTC or NAT, as times in KST."""
    import pandas as pd  # noqa: PLC0415 - slow to load

    return pd.DatetimeIndex(microseconds.view("M8[us]")).tz_localize("UTC").tz_convert(KST)


_STATUS_CODE: Final = {status: code for code, status in enumerate(STATUSES)}
