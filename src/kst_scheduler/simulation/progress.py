"""A progress bar for simulations that take longer than two seconds; nothing is left of it."""

from __future__ import annotations

import builtins
import contextlib
import os
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times.instants import HOUR
from kst_scheduler.simulation.clock import real_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.simulation.world import World

PATIENCE: Final = 2.0
"""Real seconds before the bar shows."""
STEP: Final = 0.2
"""Real seconds from one picture of it to the next."""


@contextlib.contextmanager
def progress(world: World) -> Iterator[None]:
    """Show how far ``world`` has come, in a terminal or in a page, and nowhere else.

    TQDM_DISABLE=1 in the environment turns it off.
    """
    watch = _Watch(world)
    world.on_look = watch.look
    try:
        yield
    finally:
        watch.close()


class _Watch:
    def __init__(self, world: World) -> None:
        self._world = world
        self._hours = (world.end - world.start) // HOUR
        self._next = perf_counter() + PATIENCE  # the real one, under a name of its own
        self._bar: _InPage | _InTerminal | None = None

    def look(self) -> None:
        if perf_counter() < self._next or _disabled():
            return
        self._next = perf_counter() + STEP
        with real_time():
            self._bar = self._bar or _bar(self._hours)
            if self._bar is None:
                self._next = float("inf")
            else:
                self._bar.show((self._world.now - self._world.start) // HOUR)

    def close(self) -> None:
        if self._bar is not None:
            with real_time():
                self._bar.close()


def _bar(hours: int) -> _InPage | _InTerminal | None:
    """Return the bar for where somebody looks: nobody does at a log file, or a pipe."""
    # A shell puts both there; one in a terminal shows no HTML (checked on 9.18).
    shell: Any = getattr(builtins, "get_ipython", lambda: None)()
    if shell is not None and hasattr(shell, "kernel"):
        return _InPage(hours)
    return _InTerminal(hours) if sys.stderr.isatty() else None


class _InTerminal:
    """One line of standard error."""

    def __init__(self, hours: int) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - slow to import, and seldom shown

        class Bar(tqdm):  # type: ignore[type-arg]
            monitor_interval = 0  # or tqdm starts a thread, which it never ends

        self._bar = Bar(desc="simulated", total=hours, unit="h", leave=False, disable=False)

    def show(self, done: int) -> None:
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _InPage:
    """An output of the cell, which is emptied: standard error would leave a red strip."""

    def __init__(self, hours: int) -> None:
        self._hours = hours
        self._handle: Any = None

    def show(self, done: int) -> None:
        words = f"simulated {done:,} of {self._hours:,} h"
        bar = f'<progress max="{self._hours}" value="{done}"></progress> {words}'
        self._publish({"text/html": bar, "text/plain": words})

    def close(self) -> None:
        self._publish({})

    def _publish(self, data: dict[str, str]) -> None:
        if self._handle is None:
            show: Any = builtins.display  # type: ignore[attr-defined]
            self._handle = show(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def _disabled() -> bool:
    """Ask tqdm's own variable, which tqdm itself reads only when it is imported."""
    return os.environ.get("TQDM_DISABLE", "") not in {"", "0"}
