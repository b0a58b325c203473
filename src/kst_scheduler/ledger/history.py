"""Rows of a ledger as the table of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.extras import require_tables
from kst_scheduler.runs.table import COLUMNS, TEXT_COLUMNS, TIME_COLUMNS, status_dtype, time_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

FIELDS: Final = (
    "instance",
    "source",
    "scheduled_at",
    "started_at",
    "finished_at",
    "status",
    "error",
    "attempt",
    "rows",
    "trigger",
    "duration_ms",
)
"""The fields of a LedgerRow that the table shows, in its order."""
HISTORY_COLUMNS: Final = (*COLUMNS, "attempt", "rows", "trigger", "duration_ms")


def history_table(records: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """Return records of ``FIELDS`` as a table of runs, then attempt, rows, trigger and duration_ms.

    ``rows`` and ``duration_ms`` are Int64, which knows missing values; ``detail`` is "" where there
    is no error. A scheduled run begins and ends in whole milliseconds. ``duration_ms`` is by a
    monotonic clock, so it is right where a clock was set.
    """
    require_tables("history()")
    import pandas as pd  # noqa: PLC0415 - slow to load

    columns = dict(zip(HISTORY_COLUMNS, zip(*records, strict=True), strict=False))
    table = pd.DataFrame({name: _series(name, columns.get(name, ())) for name in HISTORY_COLUMNS})
    is_manual = table["trigger"] == "manual"  # and known by its microsecond, before which it is not
    for name in ("started_at", "finished_at"):
        table[name] = table[name].where(is_manual, table[name].dt.floor("ms"))
    order = ["scheduled_at", "node", "job_id", "trigger"]
    return table.sort_values(order, kind="stable", ignore_index=True)


def _series(name: str, values: tuple[Any, ...]) -> pd.Series:
    import pandas as pd  # noqa: PLC0415 - slow to load

    if name in TIME_COLUMNS:
        return pd.Series(pd.to_datetime(list(values), utc=True).astype(time_dtype()))
    if name == "detail":
        values = tuple(value or "" for value in values)
    dtypes: dict[str, Any] = {
        "status": status_dtype(),
        "attempt": "int64",
        "rows": "Int64",
        "duration_ms": "Int64",
    }
    return pd.Series(list(values), dtype="str" if name in TEXT_COLUMNS else dtypes.get(name, "str"))
