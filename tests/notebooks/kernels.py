"""Kernels for the tests to talk to, without nbval between."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from jupyter_client.manager import KernelManager

from kst_workbook.jupyter.kernel import CurrentInterpreter, use_socket_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient


@contextmanager
def running_kernel(folder: Path) -> Iterator[BlockingKernelClient]:
    """Start the current interpreter as a kernel in that folder."""
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=CurrentInterpreter())
    use_socket_files(manager)
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
