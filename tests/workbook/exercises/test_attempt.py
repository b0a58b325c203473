from __future__ import annotations

from typing import Any

import pytest

from kst_workbook.exercises.attempt import untouched


def _dots(scheduler: Any) -> None: ...


def _documented(scheduler: Any, *, hour: int = 3) -> None:
    """Register the crawl."""


async def _coroutine(occurrence: Any) -> None: ...


def _half(scheduler: Any) -> None:
    scheduler.pause()


async def _awaiting() -> None:
    await _coroutine(1)


@pytest.mark.parametrize("answer", [..., _dots, _documented, _coroutine])
def test_what_the_notebook_ships_is_no_attempt(answer: Any) -> None:
    """An ellipsis, and functions with nothing in them, whatever their parameters."""
    assert untouched(answer)


@pytest.mark.parametrize(
    "answer", [lambda: "text", None, 0, "...", _half, _awaiting, lambda: 5, print, pytest]
)
def test_everything_else_is_one(answer: Any) -> None:
    """Also what is wrong, or does not make sense."""
    assert not untouched(answer)
