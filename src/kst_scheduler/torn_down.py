"""Tell a coroutine that is closed from outside from a job that raises GeneratorExit itself.

Python closes a coroutine, as that of a run whose event loop has ended, by raising GeneratorExit
where it waits. It must not wait again then. A GeneratorExit that a job raises, as where it reads on
in a generator that was closed, is an error as any other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kst_scheduler.user_values import is_a

if TYPE_CHECKING:
    Task = asyncio.Task[Any] | None


def running_task() -> Task:
    """Return the task whose step runs now; None: there is none, or no event loop runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_torn_down(error: BaseException, task: Task) -> bool:
    """Tell whether an error closes a coroutine of a task, and is not raised by the task itself."""
    return is_a(error, GeneratorExit) and (task is None or running_task() is not task)
