"""Name the line of the reader's own code at which something happened."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenlet import GreenletExit

from kst_workbook.exercises.exercise import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PACKAGE: Final = Path(__file__).parents[2]


def their_place(frames: Iterable[traceback.FrameSummary]) -> str:
    """Return the innermost line of the reader's own code; "" where there is none."""
    theirs = [
        frame
        for frame in frames
        if frame.line
        and _PACKAGE not in Path(frame.filename).parents
        and "site-packages" not in frame.filename
        and "lib/python" not in frame.filename
    ]
    return f"line {theirs[-1].lineno}: `{theirs[-1].line}`" if theirs else ""


@contextlib.contextmanager
def blocked_to_the_end(note: Callable[[NotYetError], object]) -> Iterator[None]:
    """Note what to refuse where the block is an ``async def`` that blocks its event loop.

    When a simulation is over it ends, by a GreenletExit, each call that still blocks. A coroutine
    that awaits something is closed instead.
    """
    try:
        yield
    except GreenletExit as end:
        place = their_place(traceback.extract_tb(end.__traceback__))
        note(
            NotYetError(
                f"Your job blocks the event loop{place and f' in {place}'}. While that waits, "
                "nothing else runs, and it would wait for ever: `await` what can be awaited."
            )
        )
        raise
