"""A progress bar for simulations that take longer than two seconds."""

from __future__ import annotations

import contextlib
import os
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times.instants import HOUR
from kst_scheduler.simulation.clock import real_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.simulation.world import World

PATIENCE: Final = 2.0
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
        self._began = perf_counter()  # the real one, under a name of its own
        self._bar: Any = None

    def look(self) -> None:
        if perf_counter() - self._began > PATIENCE and not _disabled():
            with real_time():
                self._show()

    def close(self) -> None:
        if self._bar is not None:
            with real_time():
                self._bar.close()

    def _show(self) -> None:
        if self._bar is None:
            from tqdm import tqdm  # noqa: PLC0415 - slow to import, and seldom shown

            self._bar = tqdm(
                desc="simulated",
                total=(self._world.end - self._world.start) // HOUR,
                unit="h",
                leave=False,
                disable=False,
            )
        self._bar.update((self._world.now - self._world.start) // HOUR - self._bar.n)


def _disabled() -> bool:
    """Ask tqdm's own variable, which tqdm itself reads only when it is imported."""
    return os.environ.get("TQDM_DISABLE", "") not in {"", "0"}
