"""What the gates of the exercises have in common."""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def collected_here() -> Iterator[None]:
    """Let coroutines that an answer never awaits end here, and not in whichever test comes next.

    What is older than the test is frozen: looking through it all took half of the gate's time.
    """
    gc.freeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
        gc.collect()
