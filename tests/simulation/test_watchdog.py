from __future__ import annotations

import io
import pdb  # noqa: T100 - what is proved of it
import sys

import pytest
from IPython.core import debugger

from kst_scheduler.simulation.watchdog import _is_debugged


class Answers(io.StringIO):
    """What a user types: it goes on at once, and notes what the watchdog sees meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    def readline(self, _size: int | None = -1, /) -> str:  # type: ignore[override] # as StringIO
        """Answer the debugger."""
        self.seen.append(_is_debugged(sys._getframe()))
        return "continue\n"


@pytest.mark.parametrize("kind", [pdb.Pdb, debugger.Pdb], ids=["pdb", "IPython"])
def test_a_debugged_job_is_not_blocked(kind: type[pdb.Pdb]) -> None:
    """A user may look at it for minutes, in IPython's debugger as in Python's."""
    answers = Answers()
    held = kind(stdin=answers, stdout=io.StringIO(), nosigint=True)
    held.use_rawinput = False
    trace = sys.gettrace()
    try:
        held.set_trace()
        assert not _is_debugged(sys._getframe())
    finally:
        sys.settrace(trace)
    assert answers.seen == [True]


@pytest.mark.parametrize("kind", [pdb.Pdb, debugger.Pdb], ids=["pdb", "IPython"])
def test_an_error_that_is_looked_at_is_not_blocked(kind: type[pdb.Pdb]) -> None:
    """This is what %debug does."""
    answers = Answers()
    held = kind(stdin=answers, stdout=io.StringIO(), nosigint=True)
    held.use_rawinput = False
    try:
        int("none")
    except ValueError as error:
        held.reset()
        held.interaction(None, error.__traceback__)
    assert answers.seen == [True]
