"""Tracebacks of jobs in a simulation: each is formatted once, and cached.

APScheduler formats the traceback of every run that raises, even if nobody reads it. When replicas
are locked out, or a source is down, it formats the same few thousands of times. That took a fifth
of the time of a simulated month.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import apscheduler.executors.base

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, TracebackType

MAX_TEXTS: Final = 1000
"""So many are remembered; a job that makes new code for each run would fill the memory."""


@contextlib.contextmanager
def remembered_tracebacks() -> Iterator[None]:
    """Let APScheduler format a traceback once for all runs that raise at the same place.

    ``apscheduler.executors.base.format_tb`` is traceback.format_tb under a name of APScheduler's
    own (3.11.3). Its text depends on nothing but the code and the place in it of each frame.
    """
    format_tb = apscheduler.executors.base.format_tb
    # The code stays here with its text: else its id could become that of another one.
    known: dict[tuple[int, ...], tuple[list[CodeType], list[str]]] = {}

    def remember(traceback: TracebackType) -> list[str]:
        codes, places = _way(traceback)
        key = (*map(id, codes), *places)
        if key not in known:
            if len(known) >= MAX_TEXTS:
                known.clear()
            known[key] = codes, format_tb(traceback)
        return known[key][1]

    apscheduler.executors.base.format_tb = remember
    try:
        yield
    finally:
        apscheduler.executors.base.format_tb = format_tb


def _way(traceback: TracebackType | None) -> tuple[list[CodeType], list[int]]:
    """Return the code of each frame, and the place in it."""
    codes, places = [], []
    while traceback is not None:
        codes.append(traceback.tb_frame.f_code)
        places.append(traceback.tb_lasti)
        traceback = traceback.tb_next
    return codes, places
