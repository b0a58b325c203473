"""What a simulation logs, APScheduler and this package: kept as a table, out of other handlers."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from kst_scheduler.runs import moments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.simulation.world import World

LOGGERS: Final = ("apscheduler", "kst_scheduler")
"""Whose records are kept; those below them included."""


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
        self._rows.append((self._world.now, node, record.levelname, record.getMessage()))

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
