from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from kst_scheduler.workbook.kernel import CurrentInterpreter

if TYPE_CHECKING:
    from pathlib import Path

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
