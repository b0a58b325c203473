from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

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
simulate(register, kst(1970, 1, 1), kst(2070, 1, 1), nodes=3, host_timezone="America/New_York")
"""
SHOW_BARS = """
os.environ["TQDM_DISABLE"] = ""
from kst_scheduler.simulation import progress
progress.PATIENCE = progress.STEP = 0
"""
LONG = "simulate(register, kst(2026, 5, 10), kst(2026, 5, 12));"
AFTER = """
assert abs(time.time() - {now}) < 600
assert (time.sleep, os.environ.get("TZ")) == (clock, zone)
await asyncio.sleep(0.01)
assert len(simulate(register, kst(2026, 5, 10), kst(2026, 5, 10, 1)).runs) == 60
"""


DRAWN = """
import sys
from kst_scheduler import plot_timeline
plot_timeline(sys.last_value.result).get_title(loc="left")
"""
LIVE = """
from kst_workbook.explorers import live_timeline
await live_timeline(seconds=60)
"""
BEGUN = "A real scheduler runs"


def reply(kernel: BlockingKernelClient, sent: str) -> dict[str, Any]:
    """Return how a cell ended."""
    while True:
        message = kernel.get_shell_msg(timeout=60)
        if message["parent_header"].get("msg_id") == sent:
            content: dict[str, Any] = message["content"]
            return content


def outputs(kernel: BlockingKernelClient, sent: str, until: str = "") -> list[dict[str, Any]]:
    """Return what a cell shows, until it has shown those words, or has ended."""
    found: list[dict[str, Any]] = []
    while True:
        message = kernel.get_iopub_msg(timeout=60)
        content: dict[str, Any] = message["content"]
        if message["parent_header"].get("msg_id") != sent:
            continue
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return found
        if message["msg_type"] in {"status", "execute_input"}:
            continue
        found.append(content | {"kind": message["msg_type"]})
        if until and until in str(content):
            return found


def interrupt(kernel: BlockingKernelClient, source: str, until: str) -> list[dict[str, Any]]:
    """Interrupt a cell once it has shown those words, and return what it shows afterwards."""
    # Without stop_on_error=False the kernel may still be refusing what comes after an error.
    sent = kernel.execute(source, stop_on_error=False)
    outputs(kernel, sent, until)
    kernel.control_channel.send(kernel.session.msg("interrupt_request"))
    shown = outputs(kernel, sent)
    assert reply(kernel, sent)["status"] == "error"
    return shown


def test_interrupting_a_simulation_leaves_the_kernel_usable(tmp_path: Path) -> None:
    """Interrupt Kernel ends a simulation of a century; clock, zone and loop are as before.

    The cell ends in one line, and the picture of what was simulated says where it was cut.
    """
    with running_kernel(tmp_path) as kernel:
        assert reply(kernel, kernel.execute(SETUP + SHOW_BARS))["status"] == "ok"
        *_, bar, error = interrupt(kernel, ENDLESS, "<progress")
        assert bar["data"] == {}
        (line,) = error["traceback"]
        assert "\n" not in line
        assert line.startswith("interrupted at 19")
        assert reply(kernel, kernel.execute(AFTER.format(now=time.time())))["status"] == "ok"
        sent = kernel.execute(DRAWN)
        title = str(outputs(kernel, sent))
        assert "interrupted at " in title
        assert reply(kernel, sent)["status"] == "ok"


def test_a_long_simulation_shows_a_bar_that_leaves_nothing(tmp_path: Path) -> None:
    """No output is left that shows anything, and standard error is not written to."""
    with running_kernel(tmp_path) as kernel:
        assert reply(kernel, kernel.execute(SETUP + SHOW_BARS))["status"] == "ok"
        shown = outputs(kernel, kernel.execute(LONG))
    kinds = [each["kind"] for each in shown]
    assert kinds[0] == "display_data"
    assert set(kinds[1:]) == {"update_display_data"}
    assert "<progress" in shown[0]["data"]["text/html"]
    assert shown[-1]["data"] == {}


def test_interrupting_a_live_timeline_ends_in_one_line(tmp_path: Path) -> None:
    """And the sentence beneath its picture says after how long it was cut."""
    with running_kernel(tmp_path) as kernel:
        shown = interrupt(kernel, LIVE, BEGUN)
    (line,) = shown[-1]["traceback"]
    assert "\n" not in line
    assert line.startswith("interrupted after ")
    sentences = [str(each) for each in shown if "Interrupted after " in str(each)]
    assert sentences
