"""The log of a simulation as a table; other handlers get none of its records."""

from __future__ import annotations

import contextlib
import copy
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from kst_scheduler.runs.table import RunLog, moments
from kst_scheduler.simulation.world import shown, shown_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from kst_scheduler.simulation.world import World

LOGGERS: Final = ("apscheduler", "kst_scheduler")
"""Whose records are kept; those below them included."""


_MILLISECOND: Final = timedelta(milliseconds=1)


class ShownRunLog(RunLog):
    """The rows of a simulation's runs; a manual run was due when it was asked for, at a tick."""

    def _times(self) -> list[NDArray[np.int64]]:
        """Return the columns of times: no start before its due time, no end before its start."""
        scheduled_at, started_at, finished_at = super()._times()
        scheduled_at = shown(scheduled_at)
        started_at = shown_after(scheduled_at, started_at)
        return [scheduled_at, started_at, shown_after(started_at, finished_at)]


class RenamedRunLog(RunLog):
    """Rows that go to another log, by other names of their jobs.

    Args:
        log: where they go.
        name_of: returns the name of a job, by its id.

    """

    def __init__(self, log: RunLog, name_of: Callable[[str], str]) -> None:
        super().__init__()
        self._log = log
        self._name_of = name_of

    def add(self, node: str, job_id: str, *row: Any, **options: Any) -> bool:
        """Append one row to the other log."""
        return self._log.add(node, self._name_of(job_id), *row, **options)


class LogCapture(logging.Handler):
    """Keeps the records of the LOGGERS, with the node that logged them."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._rows: list[tuple[int, str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the true time, the node, the level and the message of one record."""
        strand = self._world.current
        node = strand.host.name if strand else ""
        self._rows.append((self._world.shown, node, record.levelname, _message(record)))

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Stand between the loggers and the process's own handlers."""
        loggers = [logging.getLogger(name) for name in LOGGERS]
        propagated = [logger.propagate for logger in loggers]
        for logger in loggers:
            logger.propagate = False
            logger.addHandler(self)
        try:
            yield
        finally:
            for logger, propagate in zip(loggers, propagated, strict=True):
                logger.removeHandler(self)
                logger.propagate = propagate

    def table(self) -> pd.DataFrame:
        """Return one row a record: time, node, level, message."""
        times, *texts = zip(*self._rows, strict=True) if self._rows else [()] * 4
        names = ("node", "level", "message")
        return pd.DataFrame(
            {
                "time": moments(np.array(times, dtype=np.int64)),
                **{
                    name: pd.array(list(column), dtype="str")
                    for name, column in zip(names, texts, strict=True)
                },
            }
        )


def _message(record: logging.LogRecord) -> str:
    """Return the message; how late a run was found is in whole milliseconds, as in the tables."""
    if isinstance(record.args, tuple):
        record = copy.copy(record)
        record.args = tuple(map(_in_milliseconds, record.args or ()))
    return record.getMessage()


def _in_milliseconds(argument: object) -> object:
    if type(argument) is not timedelta:
        return argument
    return argument // _MILLISECOND * _MILLISECOND
