"""What every test run has in common, the kernels that nbval starts included: they inherit this."""

from __future__ import annotations

import os
from typing import Any

import nbval.kernel
from jupyter_client.manager import KernelManager

from kst_scheduler.workbook.kernel import use_socket_files

# As where the stored outputs are made (kst_scheduler.workbook.refresh.ENVIRONMENT), except for the
# hash seed: an output that depends on it shall be noticed.
os.environ.update(SOURCE_DATE_EPOCH="0", TQDM_DISABLE="1")


class _SocketFileKernelManager(KernelManager):
    """Two workers start kernels at the same time, and must not give both the same port."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        use_socket_files(self)


nbval.kernel.KernelManager = _SocketFileKernelManager  # nbval 0.11 has no option for it
