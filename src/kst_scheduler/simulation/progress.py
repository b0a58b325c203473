"""A progress bar for simulations that take longer than a second."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation.clock import real_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.simulation.world import World

PATIENCE: Final = 1.0
"""Real seconds before the bar shows."""


@contextlib.contextmanager
def progress(world: World) -> Iterator[None]:
    """Show how far ``world`` has come; TQDM_DISABLE=1 in the environment turns it off."""
    bar = _Bar(world)
    world.on_look = bar.look
    try:
        yield
    finally:
        bar.close()


class _Bar:
    def __init__(self, world: World) -> None:
        self._world = world
        self._began = time.perf_counter()  # perf_counter stays real in a simulation
        self._bar: Any = None

    def look(self) -> None:
        if time.perf_counter() - self._began > PATIENCE:
            with real_time():
                self._show()

    def close(self) -> None:
        if self._bar is not None:
            with real_time():
                self._bar.close()

    def _show(self) -> None:
        if self._bar is None:
            from tqdm import tqdm  # noqa: PLC0415 - slow to import, and seldom shown

            days = (self._world.end - self._world.start) / 86_400e6
            self._bar = tqdm(total=round(days, 2), unit="day", desc="simulated", leave=False)
        done = (self._world.now - self._world.start) / 86_400e6
        self._bar.update(done - self._bar.n)
