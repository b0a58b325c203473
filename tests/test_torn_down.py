from __future__ import annotations

import asyncio

import pytest

from in_loop import in_loop
from kst_scheduler.torn_down import is_torn_down, running_task


async def job(seen: list[bool], error: BaseException | None) -> None:
    """Note whether what ends it is a closing from outside."""
    task = running_task()
    try:
        if error is not None:
            raise error  # noqa: TRY301 - it stands for a job's
        await asyncio.sleep(60)
    except BaseException as ended:
        seen.append(is_torn_down(ended, task))
        raise


@pytest.mark.parametrize("error", [GeneratorExit(), ValueError(), asyncio.CancelledError()])
def test_what_a_job_raises_tears_nothing_down(error: BaseException) -> None:
    """Also GeneratorExit."""
    seen: list[bool] = []

    async def watch() -> None:  # a task of its own: a GeneratorExit closes what another one awaits
        with pytest.raises(type(error)):
            await asyncio.create_task(job(seen, error))

    asyncio.run(watch())
    assert seen == [False]


def test_a_coroutine_that_is_closed_with_its_loop_is_torn_down() -> None:
    """No loop runs then, and no task."""
    seen: list[bool] = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(job(seen, None))
    loop.run_until_complete(asyncio.sleep(0))
    task.get_coro().close()
    assert seen == [True]
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


@in_loop
async def test_a_coroutine_that_another_task_closes_is_torn_down() -> None:
    """As where the garbage collector closes it, in whichever task runs then."""
    seen: list[bool] = []
    task = asyncio.create_task(job(seen, None))
    await asyncio.sleep(0)
    task.get_coro().close()
    assert seen == [True]
    task.cancel()
    await asyncio.wait([task])


def test_a_coroutine_without_a_task_can_only_be_torn_down() -> None:
    """Code that steps it by hand may close it."""
    assert is_torn_down(GeneratorExit(), None)
    assert not is_torn_down(ValueError(), None)
    assert running_task() is None
