from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kernels import running_kernel

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

SETUP = """
import asyncio, os, time
from kst_scheduler import cron, kst, simulate

clock, zone = time.sleep, os.environ.get("TZ")

def register(scheduler):
    scheduler.add_job(asyncio.sleep, cron(minute="*"), args=[1], id="minutely")
"""
ENDLESS = """
print("begun", flush=True)
simulate(register, kst(1970, 1, 1), kst(2070, 1, 1), nodes=3, host_timezone="America/New_York")
"""
AFTER = """
assert abs(time.time() - {now}) < 600
assert (time.sleep, os.environ.get("TZ")) == (clock, zone)
await asyncio.sleep(0.01)
assert len(simulate(register, kst(2026, 5, 10), kst(2026, 5, 10, 1)).runs) == 60
"""


def reply(kernel: BlockingKernelClient, sent: str) -> str:
    """Return how a cell ended: ok, or the name of its error."""
    while True:
        message = kernel.get_shell_msg(timeout=60)
        if message["parent_header"].get("msg_id") == sent:
            content = message["content"]
            return str(content.get("ename") or content["status"])


def test_interrupting_a_simulation_leaves_the_kernel_usable(tmp_path: Path) -> None:
    """Interrupt Kernel ends a simulation of a century; clock, zone and loop are as before."""
    with running_kernel(tmp_path) as kernel:
        assert reply(kernel, kernel.execute(SETUP)) == "ok"
        # Without stop_on_error=False the kernel may still be refusing what comes after an error.
        sent = kernel.execute(ENDLESS, stop_on_error=False)
        while True:
            message = kernel.get_iopub_msg(timeout=60)
            if message["msg_type"] == "stream" and "begun" in message["content"]["text"]:
                break
        kernel.control_channel.send(kernel.session.msg("interrupt_request"))
        assert reply(kernel, sent) == "KeyboardInterrupt"
        assert reply(kernel, kernel.execute(AFTER.format(now=time.time()))) == "ok"
