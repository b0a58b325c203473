"""What every test run has in common, the kernels that nbval starts included: they inherit this."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import nbval.kernel
import nbval.plugin
import pytest
from jupyter_client.manager import KernelManager

from kst_workbook.jupyter.kernel import use_socket_files

if TYPE_CHECKING:
    from collections.abc import Generator

# Nothing of what is imported and collected is garbage: each worker spent a third of its start on
# looking for some.
gc.disable()

# As where the stored outputs are made (kst_workbook.jupyter.refresh.ENVIRONMENT), except for the
# hash seed: an output that depends on it shall be noticed.
os.environ.update(
    SOURCE_DATE_EPOCH="0",
    TQDM_DISABLE="1",
    KST_WORKBOOK_PROGRESS="",
    KST_PICTURES="png",
)

# Nothing is compiled when it is installed, so the first of some hundred processes that imports a
# module compiles it for the others. Images of containers often forbid it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - Linux's file system in memory
_ROOM: Final = 4 * 2**30
"""Bytes that must be free there; a container gets 64 MB unless it is given more."""


def _use_memory_for_temporary_files() -> None:
    """Let the temporary folders of the tests and of their processes be in memory, if it has room.

    The tests make and remove some 40 database clusters of 1,000 files each. An ext4 without a
    journal gives no inode away again for five minutes, but looks at it each time that a file is
    made (``recently_deleted`` in fs/ext4/ialloc.c): there a cluster takes 0.3 s of CPU time at
    first, and three times as long after some thousand files were removed.
    """
    may_execute = _MEMORY.is_dir() and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    if may_execute and "TMPDIR" not in os.environ and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = os.fspath(_MEMORY)


_use_memory_for_temporary_files()

# A shell lets what it starts in the background ignore Ctrl-C, and a child inherits that: a service
# that a test interrupts would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _SocketFileKernelManager(KernelManager):
    """Two workers start kernels at the same time, and must not give both the same port."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        use_socket_files(self)


class _QueueingKernel(nbval.kernel.RunningKernel):  # type: ignore[misc] # the library is untyped
    """A kernel that is sent all cells at once, as by Run All.

    nbval 0.11 sends a cell when the one before has ended, and so does not see what hangs only
    while others wait: a nested run of the kernel's own event loop.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sent: deque[tuple[str, str]] = deque()

    def send(self, sources: list[str]) -> None:
        """Send cells; nbval asks for each when its turn comes."""
        for source in sources:
            self._sent.append((source, super().execute_cell_input(source, allow_stdin=False)))

    def execute_cell_input(self, cell_input: str, allow_stdin: bool | None = None) -> Any:
        """Return the id of the message by which a cell was sent."""
        if self._sent and self._sent[0][0] == cell_input:
            return self._sent.popleft()[1]
        return super().execute_cell_input(cell_input, allow_stdin=allow_stdin)


_set_up = nbval.plugin.IPyNbFile.setup


def _set_up_and_send(notebook: nbval.plugin.IPyNbFile) -> None:
    """Start the kernel and send it all cells, unless only some of them are asked for."""
    _set_up(notebook)
    cells = [cell.source for cell in notebook.nb.cells if cell.cell_type == "code"]
    asked_for = [item.cell.source for item in notebook.session.items if item.parent is notebook]
    if asked_for == cells:
        notebook.kernel.send(cells)


# nbval 0.11 has no options for these; tests/notebooks/test_run_all.py fails when they are not used.
nbval.kernel.KernelManager = _SocketFileKernelManager
nbval.plugin.RunningKernel = _QueueingKernel
nbval.plugin.IPyNbFile.setup = _set_up_and_send


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Accept the options of pytest-xdist in pyproject.toml where ``-p no:xdist`` leaves it out."""
    if pluginmanager.is_blocked("xdist"):
        # Private in pytest 9.2, and pytest-xdist 3.8 uses it too: addoption refuses such letters.
        group = parser.getgroup("xdist")
        for option in ("-n", "--dist", "--max-worker-restart"):
            group._addoption(option, help="no effect: pytest-xdist is left out")  # noqa: SLF001


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Compile the tests once where that was never done, not in each process at the same time."""
    if not (Path(__file__).parent / "tests" / "__pycache__").exists():
        collect = [sys.executable, "-m", "pytest", "-n0", "--collect-only", "-q", *config.args]
        subprocess.run(collect, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - as here


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, and let it look only at what the tests make."""
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
