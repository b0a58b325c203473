"""Try the test that a reader wrote, on what is right and on what has a fault."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kst_workbook.exercises.exercise import NotYetError, error_in_words
from kst_workbook.exercises.judging import require_function, shown
from kst_workbook.exercises.place import their_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kst_workbook.exercises.exercise import Picture


class Candidate(Protocol):
    """What a test is tried on."""

    @property
    def what(self) -> str:
        """A name for messages, such as "a service that leaves 18:00 out"."""

    @property
    def is_right(self) -> bool:
        """Whether the test should pass."""


Tried = TypeVar("Tried", bound=Candidate)


def require_test(
    answer: Any,
    variable: str,
    argument: str,
    candidates: Sequence[Tried],
    given: Callable[[Tried], Any],
    drawn: Callable[[Tried], tuple[Picture, ...]] = lambda _: (),
) -> int:
    """Return how many faults the reader's test finds: all of them.

    Args:
        answer: the reader's test, a function of one argument.
        variable: what the notebook's cell calls it.
        argument: the name of its argument, for the message about another signature.
        candidates: the right ones first, so that a test that always fails hears of these.
        given: what the test is called with, made anew for each call.
        drawn: pictures of a candidate, shown with the message about it.

    Raises:
        NotYetError: the answer is not such a function, fails on a right candidate, or passes on
            one with a fault.

    """
    test = require_function(answer, variable, argument)
    for candidate in candidates:
        failure = _failure(test, variable, given(candidate))
        if candidate.is_right and failure:
            raise NotYetError(
                f"Your test fails on what is right: {candidate.what}.\n\n{failure}",
                drawn(candidate),
            )
        if not candidate.is_right and not failure:
            raise NotYetError(f"Your test passes on {candidate.what}.", drawn(candidate))
    return sum(not candidate.is_right for candidate in candidates)


def _failure(test: Callable[..., Any], variable: str, given: Any) -> str:
    """Return what a test raises; empty: it passes."""
    try:
        returned = test(given)
    except Exception as error:  # noqa: BLE001 - a test may fail by whatever it likes
        place = their_place(traceback.extract_tb(error.__traceback__))
        return f"`{error_in_words(error)}`{place and f' in {place}'}"
    if inspect.isawaitable(returned):
        getattr(returned, "close", lambda: None)()
        raise NotYetError(
            f"`{variable}` is an `async def`: called, it does nothing. A plain function will do."
        )
    if returned is not None:
        raise NotYetError(
            f"`{variable}` returns {shown(returned)}. pytest looks at no result: use `assert`."
        )
    return ""
