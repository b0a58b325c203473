"""The table of runs: what became of every due occurrence, one row for each node that handled it.

Simulated, live and recorded runs share this one schema, so that one picture, one query and one
test serves all three.
"""

from __future__ import annotations

import copy
from array import array
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_tables
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
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
        self._texts: dict[str, dict[str, int]] = {name: {} for name in TEXT_COLUMNS}
        self._codes = {name: array("i") for name in TEXT_COLUMNS}
        self._times = {name: array("q") for name in TIME_COLUMNS}
        self._status = array("b")

    def __len__(self) -> int:
        return len(self._status)

    def add(
        self,
        node: str,
        job_id: str,
        scheduled_at: int,
        status: str,
        started_at: int = NAT,
        finished_at: int = NAT,
        detail: str = "",
    ) -> None:
        """Append one row."""
        self._status.append(_STATUS_CODE[status])
        for name, text in zip(TEXT_COLUMNS, (node, job_id, detail), strict=True):
            known = self._texts[name]
            self._codes[name].append(known.setdefault(text, len(known)))
        scheduled, started, finished = self._times.values()
        scheduled.append(scheduled_at)
        started.append(started_at)
        finished.append(finished_at)
        if self._max_rows is not None and len(self) > self._max_rows * 5 // 4:
            self._keep(self._max_rows)

    def knows(self, job_id: str) -> bool:
        """Tell whether a job has had a row lately."""
        return job_id in self._texts["job_id"]

    def _keep(self, count: int) -> None:
        """Drop all but the last rows, and the texts that only the others had."""
        del self._status[:-count]
        for times in self._times.values():
            del times[:-count]
        for name, codes in self._codes.items():
            texts, known = list(self._texts[name]), dict[str, int]()
            kept = (known.setdefault(texts[code], len(known)) for code in codes[-count:])
            self._codes[name] = array("i", kept)
            self._texts[name] = known

    def copy(self) -> RunLog:
        """Return a log of the same rows, to which others can be added."""
        return copy.deepcopy(self)

    def table(self) -> pd.DataFrame:
        """Return the rows as a table of runs, ordered by scheduled time, node and job."""
        require_tables("the table of runs")
        import numpy as np  # noqa: PLC0415 - slow to load
        import pandas as pd  # noqa: PLC0415 - slow to load

        order = self._order()
        columns: dict[str, Any] = {
            name: _texts(self._texts[name], np.frombuffer(codes, np.int32)[order])
            for name, codes in self._codes.items()
        }
        for name, times in self._times.items():
            columns[name] = moments(np.frombuffer(times, np.int64)[order])
        columns["status"] = pd.Categorical.from_codes(
            np.frombuffer(self._status, np.int8)[order], dtype=status_dtype()
        )
        return pd.DataFrame(columns, columns=list(COLUMNS), copy=False)

    def _order(self) -> NDArray[np.intp]:
        """Return the places of the rows in the order of the table."""
        import numpy as np  # noqa: PLC0415 - slow to load

        lanes = np.zeros(len(self), np.int32)
        for name in ("node", "job_id"):
            ranks = _ranks(self._texts[name])
            lanes *= len(ranks)
            lanes += ranks[np.frombuffer(self._codes[name], np.int32)]
        return np.lexsort((lanes, np.frombuffer(self._times["scheduled_at"], np.int64)))


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


def _ranks(texts: dict[str, int]) -> NDArray[np.int32]:
    """Return, for each text's code, its place in alphabetical order."""
    import numpy as np  # noqa: PLC0415 - slow to load

    ranks = np.empty(len(texts), np.int32)
    ranks[[texts[text] for text in sorted(texts)]] = np.arange(len(texts), dtype=np.int32)
    return ranks


def _texts(texts: dict[str, int], codes: NDArray[np.int32]) -> pd.api.extensions.ExtensionArray:
    """Return a column of texts in which equal ones are the same object."""
    import numpy as np  # noqa: PLC0415 - slow to load
    import pandas as pd  # noqa: PLC0415 - slow to load

    return pd.array(np.array(list(texts), dtype=object), dtype="str").take(codes)
