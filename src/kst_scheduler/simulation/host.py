"""The zone that a simulated host reports, in each of the three places where code asks for it.

Naive ``datetime.now()`` and ``time.localtime()`` ask the C library, which reads TZ. APScheduler
asks tzlocal, which reads TZ too, and remembers.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from datetime import datetime
from typing import TYPE_CHECKING

import tzlocal

from kst_scheduler.errors import TimezoneError
from kst_scheduler.timezone import as_zone

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def host_timezone(name: str) -> Iterator[None]:
    """Let the process report the zone ``name``, and put its own back at the end.

    Raises:
        TimezoneError: the zone is unknown to Python, or to this machine's C library.

    """
    zone = as_zone(name)
    before = os.environ.get("TZ")
    _set(name)
    try:
        _check_c_library(name, datetime.now(zone))
        yield
    finally:
        _set(before)


def _set(name: str | None) -> None:
    if name is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = name
    if hasattr(time, "tzset"):
        time.tzset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tzlocal doubts a zone that the C library does not have
        tzlocal.reload_localzone()


def _check_c_library(name: str, now: datetime) -> None:
    """Fail where the C library silently answers UTC, as it does without zone files."""
    if not hasattr(time, "tzset"):
        return  # Windows: naive times keep the real host's zone
    if now.replace(tzinfo=None) != datetime.fromtimestamp(now.timestamp()):  # noqa: DTZ006 - the point
        raise TimezoneError(
            f"this machine has no zone data for {name!r}, so naive times in a job would be wrong; "
            "install the system's tzdata package, or simulate host_timezone='UTC'"
        )
