"""What the gates of the exercises have in common."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def nothing_left(asyncio_log: Callable[[], list[str]]) -> Iterator[None]:
    """Fail if an answer leaves a task or a coroutine that is reported later, in some other cell.

    What is older than the test is frozen: looking through it all took half of the gate's time.
    """
    gc.freeze()
    yield
    assert asyncio_log() == []  # a coroutine that nobody has awaited makes a warning: an error
