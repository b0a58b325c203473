"""Moments as matplotlib counts them: days since its epoch, as floats.

For today's dates such a float is exact to a third of a microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.dates import date2num

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from numpy.typing import NDArray


def day(moment: datetime) -> float:
    """Return the days of one moment."""
    return float(date2num(moment))  # type: ignore[no-untyped-call]


def days(moments: pd.Series[Any] | pd.DatetimeIndex) -> NDArray[np.float64]:
    """Return the days of aware moments; NaN for one that never came."""
    if not len(moments):
        return np.empty(0)  # the column of an empty table may have no zone
    times: Any = moments.dt if hasattr(moments, "dt") else moments
    instants = times.tz_convert(None).to_numpy()
    return np.asarray(date2num(instants), np.float64)  # type: ignore[no-untyped-call]
