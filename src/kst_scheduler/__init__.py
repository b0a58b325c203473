"""Run Python jobs with APScheduler 3.11 on Korean time."""

from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    NaiveDatetimeError,
    TimezoneError,
)
from kst_scheduler.timezone import KST, kst

__all__ = [
    "KST",
    "InvalidArgumentError",
    "KSTSchedulerError",
    "NaiveDatetimeError",
    "TimezoneError",
    "kst",
]
