"""What the gates of the exercises have in common."""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def nothing_left(
    asyncio_log: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail if an answer leaves a task or a coroutine that is reported later, in some other cell.

    What is older than the test is frozen: looking through it all took half of the gate's time.
    """
    gc.freeze()
    yield
    assert asyncio_log() == []  # a coroutine that nobody has awaited makes a warning: an error
    # What an answer logged has tracebacks, which keep its coroutines; only pytest keeps them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        caplog.get_records("call").clear()
        gc.collect()
