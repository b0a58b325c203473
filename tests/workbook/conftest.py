"""What the gates of the exercises have in common."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def nothing_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if an answer leaves a task or a coroutine that is reported later, in some other cell.

    What is older than the test is frozen: looking through it all took half of the gate's time.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.collect()  # a coroutine that nobody has awaited makes a warning, which is an error
    records = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [each.getMessage() for each in records if each.name == "asyncio"] == []
