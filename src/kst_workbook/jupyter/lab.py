"""JupyterLab as the command starts it: few words, an address that opens the notebook, an end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter.first_screen import lay_out
from kst_workbook.jupyter.folder import RECORD

if TYPE_CHECKING:
    from collections.abc import Sequence

JUPYTER_CONFIG: Final = Path(__file__).parent / "config"
"""Defaults for JupyterLab's settings, beneath the user's own: no news, no update check."""

JUPYTER_DATA: Final = Path(__file__).parent / "share"
"""An extension of JupyterLab that makes links to sections lead to them."""

KERNELS: Final = "kst_workbook.jupyter.kernel.CurrentInterpreter"


class WorkbookServer(ServerApp):
    """Jupyter's server, which says what it does also where its log says nothing."""

    def start(self) -> None:
        """Serve until Ctrl-C or SIGTERM."""
        _say(f"serving {self.root_dir}; Ctrl-C ends it, and the notebooks' kernels")
        # A token that was made up is printed, with the address, by the server itself.
        if not self.identity_provider.token_generated:
            _say(f"open {self.public_url}")
        with suppress(KeyboardInterrupt):  # which comes before the server listens to it
            super().start()
        _say("ended; what you saved is in the notebooks")


def start_lab(notebook: Path, options: Sequence[str]) -> None:
    """Serve a notebook and its folder until Ctrl-C; the options are JupyterLab's own."""
    if not os.access(notebook.parent, os.W_OK):
        _say(f"{notebook.parent} cannot be written to: notebooks can be run, and not saved")
    # JupyterLab asks whether to fetch news until a setting says so. As a default it can stand
    # on the configuration path, where it hides no setting of the user's own.
    _add_last("JUPYTER_CONFIG_PATH", JUPYTER_CONFIG)
    _add_last("JUPYTER_PATH", JUPYTER_DATA)
    LabApp.serverapp_class = WorkbookServer
    LabApp.launch_instance([*lab_options(notebook), *_layout_options(notebook.parent), *options])


def _add_last(variable: str, folder: Path) -> None:
    others = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join(filter(None, [others, str(folder)]))


def check_state_folder() -> None:
    """Make sure that JupyterLab can keep its state in the user's home folder.

    Raises:
        WorkbookError: when it cannot.

    """
    folder = Path(jupyter_runtime_dir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WorkbookError(
            f"{folder} cannot be written to ({error.strerror}), and JupyterLab keeps its state "
            "there; set HOME, or JUPYTER_RUNTIME_DIR, to a folder of yours with room in it"
        ) from None


def lab_options(notebook: Path) -> list[str]:
    """Return JupyterLab's options for a notebook, to which the reader's own are added."""
    options = [
        f"--ServerApp.kernel_spec_manager_class={KERNELS}",
        f"--ServerApp.root_dir={notebook.parent}",
        # Not as an argument: the address that is printed would open the launcher then.
        f"--LabApp.default_url=/lab/tree/{quote(notebook.name)}",
        "--ServerApp.answer_yes=True",  # to the question that Ctrl-C would ask
    ]
    # JupyterLab refuses to run as root, which is who a container's user is.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    return options


def _layout_options(folder: Path) -> list[str]:
    """Keep the layout of a reader's folder in it: other projects' tabs are not opened with it."""
    if (folder / RECORD).exists():
        with suppress(OSError):  # then JupyterLab keeps it where it does for other folders
            return [f"--LabApp.workspaces_dir={lay_out(folder)}"]
    return []


def _say(words: str) -> None:
    sys.stderr.write(f"kst-workbook: {words}\n")
    sys.stderr.flush()
