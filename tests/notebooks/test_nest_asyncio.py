"""What notebook 02 says of nest-asyncio: a second loop is safe, the kernel's own hangs Run All."""

from __future__ import annotations

from queue import Empty
from typing import TYPE_CHECKING, Final

import pytest
from kernels import running_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

APPLY: Final = "import asyncio, nest_asyncio\nnest_asyncio.apply()"
NESTED: Final = "asyncio.run(asyncio.sleep(0.2))"
AFTERWARDS: Final = ("x = 1", "await asyncio.sleep(0.1)")

SAFE: Final = (
    "second = asyncio.new_event_loop()",
    "second.run_until_complete(asyncio.sleep(0.2))",
    "second.close()",
    "await asyncio.sleep(0.2)",
    "await asyncio.to_thread(asyncio.run, asyncio.sleep(0.2))",
)

SIMULATE: Final = """\
from kst_scheduler import cron, kst, simulate

def register(scheduler):
    scheduler.add_job(asyncio.sleep, cron(minute=0), args=[60], id="hourly")

{name} = simulate(register, kst(2026, 5, 10), kst(2026, 5, 11)).runs
"""
COMPARE: Final = "assert len(before) == 24 and before.equals(after)"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[BlockingKernelClient]:
    """Start the current interpreter as a kernel of its own: nest-asyncio cannot be taken back."""
    with running_kernel(tmp_path) as client:
        yield client


def ends(kernel: BlockingKernelClient, cells: Sequence[str], patience: float) -> list[str]:
    """Queue all cells, as Run All does, and return how each ended; "never" if it did not."""
    sent = [kernel.execute(source) for source in cells]
    statuses: dict[str, str] = {}
    while not statuses.keys() >= set(sent):
        try:
            reply = kernel.get_shell_msg(timeout=patience)
        except Empty:
            break
        statuses[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
    return [statuses.get(message, "never") for message in sent]


def test_nested_on_the_kernels_own_loop_run_all_never_ends(kernel: BlockingKernelClient) -> None:
    """The cells behind stay at [*]; nbval alone, one cell at a time, sees nothing of it."""
    assert ends(kernel, [APPLY, NESTED, *AFTERWARDS], patience=2)[-1] == "never"


def test_a_second_loop_an_await_and_a_thread_end_when_all_cells_are_queued(
    kernel: BlockingKernelClient,
) -> None:
    """So nest-asyncio itself is safe; and simulations say the same before and after apply()."""
    before, after = SIMULATE.format(name="before"), SIMULATE.format(name="after")
    cells = ["import asyncio", before, APPLY, *SAFE, after, *SAFE, COMPARE, *AFTERWARDS]
    assert ends(kernel, cells, patience=60) == ["ok"] * len(cells)
