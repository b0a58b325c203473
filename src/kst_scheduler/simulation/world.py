"""Virtual time: strands of real code, one heap of wake-ups, and not a second waited.

A strand is a greenlet: the event loop of one node, or one of its threads. All strands share one
operating-system thread, and only one runs at a time, until it waits. Then the world moves its clock
to the next wake-up. So a strand that blocks stops no other, cause comes before effect between
nodes, and the same code gives the same order every time.

Times are integers: microseconds since 1970 in UTC.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

from kst_scheduler.errors import SimulationStuckError
from kst_scheduler.fire_times.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS_AT_ONE_INSTANT: Final = 100_000
"""How often strands may run without time going on before the simulation calls itself stuck."""

STEPS_BETWEEN_LOOKS: Final = 1_000
"""How often strands run between two looks at whether all is well."""


MOST_EXITS: Final = 1_000
"""How often code that swallows its end is told to end."""

NO_HOOKS: Final[tuple[Any, Any]] = (None, None)
"""Hooks for asynchronous generators, as a new thread has them.

What sys.get_asyncgen_hooks() returns is unseen by the garbage collector (CPython 3.11), and
a loop's hooks hold the loop: so no strand keeps it when it has ended.
"""


class Host(Protocol):
    """What the world asks of the node that a strand belongs to."""

    name: str
    skew: int
    frozen_until: int

    def next_jump(self, since: int) -> int | None:
        """Return when its clock is set the next time, from a moment on; None: never."""


class Strand:
    """One line of execution: a node's event loop, or one of its threads."""

    __slots__ = ("greenlet", "hooks", "host", "loop", "selecting", "token")

    def __init__(self, host: Host, run: greenlet, loop: asyncio.AbstractEventLoop | None) -> None:
        self.host = host
        self.greenlet = run
        self.loop = loop
        self.hooks = NO_HOOKS
        self.token = 0
        """Grows at each resumption, so that an older wake-up in the heap counts for nothing."""
        self.selecting = False
        """True while an event loop waits for its next timer, and may be woken before."""


class World:
    """The clock that all simulated nodes share, and the order in which they run."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.now = start
        self.current: Strand | None = None
        self.thread_id = threading.get_ident()
        self.running = False
        self.failure: BaseException | None = None
        self.on_look: Callable[[], object] = _nothing
        self.on_host: Callable[[Host], object] = _nothing
        """Called when another node is the one that runs."""
        self._host: Host | None = None
        self._heap: list[tuple[int, int, Strand | Callable[[], object], int]] = []
        self._pushed = 0
        self._steps = 0
        self._look_at = STEPS_BETWEEN_LOOKS
        self._instant = start
        self._instant_began = 0
        self._strands: dict[Strand, None] = {}  # in the order in which they were spawned
        self._main = getcurrent()
        self._hooks = sys.get_asyncgen_hooks()

    def call_at(self, when: int, function: Callable[[], object]) -> None:
        """Run ``function`` at ``when``, outside any node."""
        self._push(when, function, 0)

    def spawn(
        self, host: Host, function: Callable[[], Any], loop: asyncio.AbstractEventLoop | None = None
    ) -> Strand:
        """Start a strand of ``host`` now; ``loop`` is the event loop that it will run, if any."""
        strand = Strand(host, greenlet(self._guarded(function), self._main), loop)
        # A greenlet starts with an empty context; a thread or a process would see its creator's.
        strand.greenlet.gr_context = contextvars.copy_context()
        self._strands[strand] = None
        self._push(self.now, strand, 0)
        return strand

    def park(self, until: int | None) -> None:
        """Let the running strand wait until ``until``, or until it is woken when that is None."""
        strand = self.current
        if strand is None:
            raise RuntimeError("only a simulated node can wait in virtual time")
        self.step()
        if until is not None:
            until = max(until, self.now)
            if until < self.end and (not self._heap or until < self._heap[0][0]):
                self.now = until  # nobody else is due before: go on without a switch
                return
            self._push(until, strand, strand.token)
        self._main.switch()

    def sleep(self, seconds: float) -> None:
        """Block the running strand, as ``time.sleep`` blocks a thread, and so an event loop."""
        strand = self.current
        until = self.now + max(0, round(seconds * SECOND))
        task = asyncio.current_task(strand.loop) if strand and strand.loop else None
        if strand is None or task is None:
            self.park(until)
            return
        # Its task must not stand in the way of other loops' tasks (one a thread in 3.14).
        asyncio._leave_task(task.get_loop(), task)
        self.park(until)
        asyncio._enter_task(task.get_loop(), task)

    def step(self) -> None:
        """Count a step of the running strand, and leave it for good when the world has failed."""
        self._steps += 1
        if self._steps >= self._look_at:
            self._look()

    def wake(self, strand: Strand) -> None:
        """Let a strand that waits for its next timer look again now."""
        if strand.selecting and strand is not self.current:
            self._push(self.now, strand, strand.token)

    def fail(self, error: BaseException) -> None:
        """End the simulation with ``error`` as soon as the running strand waits."""
        self.failure = self.failure or error
        self._look_at = 0

    def run(self) -> None:
        """Run every strand until the end, which itself is not reached."""
        self.running = True
        try:
            self._run()
        finally:
            self.running = False
        if self.failure:
            raise self.failure
        self.now = self.end

    def bury(self, host: Host) -> None:
        """Never run a strand of ``host`` again, as after kill -9: no ``finally`` runs either."""
        for strand in self._strands:
            if strand.host is host:
                strand.token += 1
                strand.selecting = False

    def close(self) -> None:
        """Unwind every strand, so that nothing of it outlives the simulation."""
        self.fail(GreenletExit())
        for strand in self._strands:
            self.current = strand
            self.on_host(strand.host)
            if strand.loop is not None:
                strand.loop.stop()
            for _ in range(MOST_EXITS):  # jobs and callbacks swallow the exit: throw again
                if strand.greenlet.dead:
                    break
                strand.greenlet.throw(GreenletExit)
            strand.hooks = NO_HOOKS
        self.current = None
        self._strands.clear()
        self._heap.clear()
        sys.set_asyncgen_hooks(*self._hooks)

    def _run(self) -> None:
        while self._heap and not self.failure:
            when, _, target, token = self._heap[0]
            if when >= self.end:
                break
            heappop(self._heap)
            if not isinstance(target, Strand):
                self.now = max(self.now, when)
                target()
            elif token != target.token or target.greenlet.dead:
                continue
            elif target.host.frozen_until > when:
                self._push(target.host.frozen_until, target, token)
            else:
                self.now = max(self.now, when)
                self._resume(target)

    def _look(self) -> None:
        if self.failure:
            self._main.switch()
        self._look_at = self._steps + STEPS_BETWEEN_LOOKS
        if self.now != self._instant:
            self._instant, self._instant_began = self.now, self._steps
        elif self._steps - self._instant_began > STEPS_AT_ONE_INSTANT:
            name = self.current.host.name if self.current else "?"
            self.fail(SimulationStuckError(name, self._instant))
            self._main.switch()
        self.on_look()

    def _resume(self, strand: Strand) -> None:
        self.current = strand
        if strand.host is not self._host:
            self._host = strand.host
            self.on_host(strand.host)
        strand.token += 1
        loop = strand.loop
        asyncio._set_running_loop(loop if loop is not None and loop.is_running() else None)
        sys.set_asyncgen_hooks(*strand.hooks)  # a loop's own, one set a thread
        strand.greenlet.switch()
        strand.hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(None)
        self.current = None
        if strand.greenlet.dead:
            strand.hooks = NO_HOOKS
            del self._strands[strand]

    def _push(self, when: int, target: Strand | Callable[[], object], token: int) -> None:
        self._pushed += 1
        heappush(self._heap, (when, self._pushed, target, token))

    def _guarded(self, function: Callable[[], Any]) -> Callable[[], None]:
        def body() -> None:
            try:
                function()
            except GreenletExit:
                raise
            except BaseException as error:  # noqa: BLE001 - raised again by run()
                self.fail(error)

        return body


def _nothing(*_: object) -> None:
    """Do nothing."""
