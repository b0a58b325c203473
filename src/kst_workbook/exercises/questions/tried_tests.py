"""Try a reader's test on code that is right, and on code with a fault each."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kst_workbook.exercises.exercise import NotYetError, error_in_words
from kst_workbook.exercises.judging import shown
from kst_workbook.exercises.place import their_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kst_workbook.exercises.exercise import Picture


class Tried(Protocol):
    """What a test is tried on."""

    @property
    def what(self) -> str:
        """Return its name in a message."""

    @property
    def is_right(self) -> bool:
        """Tell whether the test should pass."""


T = TypeVar("T", bound=Tried)


def _nothing_drawn(_each: object) -> tuple[Picture, ...]:
    return ()


def require_catches(
    name: str,
    run: Callable[[T], Any],
    all_tried: Iterable[T],
    drawn: Callable[[T], tuple[Picture, ...]] = _nothing_drawn,
) -> int:
    """Return how many faults a test catches, if it catches all of them, and passes otherwise.

    Args:
        name: of the test, for messages.
        run: runs it on one of those that it is tried on, and returns what the test returns.
        all_tried: the right ones first, for a test that fails on these is told so before all else.
        drawn: returns the pictures beside a message about one of them.

    Raises:
        NotYetError: the test fails on what is right, passes on what is not, or returns something.

    """
    faults = 0
    for each in all_tried:
        failure = _failure(name, run, each)
        if each.is_right and failure:
            words = f"Your test fails on {each.what}, which is right.\n\n{failure}"
            raise NotYetError(words, drawn(each))
        if not each.is_right and not failure:
            raise NotYetError(f"Your test passes on {each.what}.", drawn(each))
        faults += not each.is_right
    return faults


def call_plain(name: str, test: Callable[..., Any], given: object) -> Any:
    """Call a test that is a plain function; return what it returns, raise what it raises.

    Raises:
        NotYetError: it is an ``async def``.

    """
    returned = test(given)
    if inspect.isawaitable(returned):
        getattr(returned, "close", lambda: None)()
        raise NotYetError(
            f"`{name}` is an `async def`: called, it does nothing. A plain function will do."
        )
    return returned


def _failure(name: str, run: Callable[[T], Any], each: T) -> str:
    """Return what a test raises; empty: it passes."""
    try:
        returned = run(each)
    except (NotYetError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - pytest.fail() raises no Exception
        place = their_place(traceback.extract_tb(error.__traceback__))
        return f"`{error_in_words(error)}`{place and f' in {place}'}"
    if returned is not None:
        raise NotYetError(
            f"`{name}` returns {shown(returned)}. pytest looks at no result: use `assert`."
        )
    return ""
