"""The reader's test is tried on what is right, then on each fault."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.questions.tried_tests import call_plain, require_catches

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Number:
    """A number on which a test is tried; a right one is even."""

    value: int

    @property
    def what(self) -> str:
        """Its name in messages."""
        return f"the number {self.value}"

    @property
    def is_right(self) -> bool:
        """Whether the test should pass."""
        return self.value % 2 == 0


NUMBERS = [Number(2), Number(3), Number(7)]


def tried(test: Callable[[int], Any]) -> int:
    """Try a test of even numbers."""
    return require_catches(
        "test_even", lambda number: call_plain("test_even", test, number.value), NUMBERS
    )


def test_a_test_that_finds_each_fault_is_right() -> None:
    """The number of faults is returned."""

    def test_even(number: int) -> None:
        assert number % 2 == 0

    assert tried(test_even) == 2


def test_a_test_that_fails_on_what_is_right_hears_of_its_error() -> None:
    """Before anything else, with what it raised."""

    def test_even(number: int) -> None:
        raise ValueError(f"not {number}")

    with pytest.raises(NotYetError, match=r"the number 2, which is right\.\s+`ValueError: not 2`"):
        tried(test_even)


def test_a_test_that_passes_on_a_fault_hears_which() -> None:
    """The first one of them."""

    def test_even(number: int) -> None:
        assert number != 3

    with pytest.raises(NotYetError, match="passes on the number 7"):
        tried(test_even)


def test_a_test_that_returns_something_or_is_async_does_not_count() -> None:
    """Pytest would pass it."""

    async def test_even(number: int) -> None:
        assert number % 2 == 0

    with pytest.raises(NotYetError, match="use `assert`"):
        tried(lambda number: number % 2 == 0)
    with pytest.raises(NotYetError, match="is an `async def`"):
        tried(test_even)


@pytest.mark.parametrize("fail", [lambda: pytest.fail("odd"), lambda: sys.exit("odd")])
def test_a_test_may_fail_by_what_is_no_exception(fail: Callable[[], Any]) -> None:
    """Pytest's own ``fail`` raises a BaseException, and so does ``raises``."""

    def test_even(number: int) -> None:
        if number % 2:
            fail()

    assert tried(test_even) == 2
