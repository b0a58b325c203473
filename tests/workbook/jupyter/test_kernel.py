from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import KernelManager

from kst_workbook.jupyter.kernel import CurrentInterpreter, use_socket_files

OTHER_INTERPRETER = "another-project-python"


@pytest.fixture(autouse=True)
def other_kernelspecs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a python3 and an other kernelspec of another project, ahead of all others."""
    for name in ("python3", "other"):
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": [OTHER_INTERPRETER], "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))


def test_python3_is_the_current_interpreter_whatever_else_is_installed() -> None:
    """A python3 kernelspec of another project is passed over, where Jupyter itself takes it."""
    assert KernelSpecManager().get_kernel_spec("python3").argv == [OTHER_INTERPRETER]
    assert CurrentInterpreter().get_kernel_spec("python3").argv[0] == sys.executable


def test_other_kernels_stay_as_they_are() -> None:
    """A reader's other kernels can still be chosen, and an unknown one is still unknown."""
    assert CurrentInterpreter().get_kernel_spec("other").argv == [OTHER_INTERPRETER]
    with pytest.raises(NoSuchKernel):
        CurrentInterpreter().get_kernel_spec("unheard-of")


def test_jupyterlab_is_offered_the_current_interpreter() -> None:
    """The list that JupyterLab shows names the same interpreter."""
    specs = CurrentInterpreter().get_all_specs()
    assert specs["python3"]["spec"]["argv"][0] == sys.executable


@pytest.mark.skipif(os.name == "nt", reason="Windows has no socket files for kernels")
def test_socket_files_take_the_place_of_ports_and_go_with_the_manager() -> None:
    """A kernel answers over its own files, and nothing of them is left behind."""
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=CurrentInterpreter())
    use_socket_files(manager)
    folder = Path(manager.connection_file).parent
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        assert manager.transport == "ipc"
        assert any(each.is_socket() for each in folder.iterdir())
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    del client, manager
    gc.collect()
    assert not folder.exists()
