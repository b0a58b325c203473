"""Kernels that nothing else on the machine can mix up with its own.

A ``python3`` kernelspec that another project has left in the user's folders would start an
interpreter without this package. A TCP port that was free when a kernel was given it may be taken
before the kernel listens there, and then the kernel dies at its start.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager

if TYPE_CHECKING:
    from jupyter_client.manager import KernelManager


def use_socket_files(manager: KernelManager) -> None:
    """Let a kernel that has not started yet be reached by socket files of its own, not by ports.

    Windows has none (jupyter_client 8): there the ports stay.
    """
    if os.name == "nt":
        return
    folder = tempfile.mkdtemp(prefix="kernel-")  # short: a socket's path ends at 104 bytes
    weakref.finalize(manager, shutil.rmtree, folder, ignore_errors=True)
    manager.transport = "ipc"
    manager.connection_file = str(Path(folder) / "k.json")


class CurrentInterpreter(KernelSpecManager):
    """The kernelspecs of this machine, with python3 replaced by the current interpreter."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the kernelspec of that name; python3 starts ``sys.executable``."""
        if kernel_name != NATIVE_KERNEL_NAME:
            return super().get_kernel_spec(kernel_name)
        # Otherwise each start warns that the kernel's loopback sockets are not encrypted.
        quiet = ["--log-level=ERROR"]
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(extra_arguments=quiet))
