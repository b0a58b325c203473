"""What APScheduler logs in a simulation: kept as a table, out of the process's own handlers."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kst_scheduler.runs import moments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.simulation.world import World


class LogCapture(logging.Handler):
    """Keeps the records of APScheduler's loggers, with the node that logged them."""

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
        """Stand between APScheduler's loggers and the process's own handlers."""
        logger = logging.getLogger("apscheduler")
        propagated, logger.propagate = logger.propagate, False
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate = propagated

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
