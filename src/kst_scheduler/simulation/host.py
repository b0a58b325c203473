"""The zone that a simulated host reports, in each of the three places where code looks for it.

Naive ``datetime.now()`` and ``time.localtime()`` use the C library, which reads TZ. APScheduler
uses tzlocal, which reads TZ too, and caches the zone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from datetime import datetime
from typing import TYPE_CHECKING

import tzlocal

from kst_scheduler.errors import TimezoneError
from kst_scheduler.timezone import as_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

_tzlocal = sys.modules[tzlocal.get_localzone.__module__]
_REMEMBERED = ("_cache_tz", "_cache_tz_name")
"""Private names of tzlocal 5.4.5, on Unix and on Windows: what it remembers of the host."""


@contextlib.contextmanager
def set_host_timezone(name: str) -> Iterator[None]:
    """Let the process report the zone ``name``, and put its own back at the end.

    Raises:
        TimezoneError: the zone is unknown to Python, or to this machine's C library.

    """
    zone = as_zone(name)
    before = os.environ.get("TZ")
    # To ask tzlocal again at the end would read the host's files each time, and that takes as long
    # as a short simulation.
    remembered = [getattr(_tzlocal, each) for each in _REMEMBERED]
    try:
        _set(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tzlocal doubts a zone that the C library has not
            tzlocal.reload_localzone()
        _check_c_library(name, datetime.now(zone))
        yield
    finally:
        _set(before)
        for each, value in zip(_REMEMBERED, remembered, strict=True):
            setattr(_tzlocal, each, value)


def begin_in_zone(name: str) -> None:
    """Let a process that begins find the host's zone, whatever another has set or looked up.

    A service may set TZ itself. tzlocal has the answer then, if nobody has called it before.
    """
    _set(name)
    for each in _REMEMBERED:
        setattr(_tzlocal, each, None)


def _set(name: str | None) -> None:
    if name is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = name
    if hasattr(time, "tzset"):
        time.tzset()


def _check_c_library(name: str, now: datetime) -> None:
    """Fail where the C library silently answers UTC, as it does without zone files."""
    if not hasattr(time, "tzset"):
        return  # Windows: naive times keep the real host's zone
    if now.replace(tzinfo=None) != datetime.fromtimestamp(now.timestamp()):  # noqa: DTZ006 - the point
        raise TimezoneError(
            f"this machine has no zone data for {name!r}, so naive times in a job would be wrong; "
            "install the system's tzdata package, or simulate host_timezone='UTC'"
        )
