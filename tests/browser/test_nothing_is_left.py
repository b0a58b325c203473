from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Final

import psutil

from lab_page import write_notebook

TESTS: Final = Path(__file__).parents[1]
RUN: Final = """
import asyncio, pathlib, sys
from lab_page import chromium
from lab_server import fetch, running_lab

async def read(url):
    async with chromium(sys.argv[1], url, tabs=1):
        fetch(f"{url}/api/kernels", b"{}")
        print("open", flush=True)
        await asyncio.sleep(600)

home = pathlib.Path(sys.argv[2])
with running_lab(home / "idle.ipynb", home) as url:
    asyncio.run(read(url))
"""


def test_a_run_that_is_cut_off_leaves_no_process(program: str, tmp_path: Path) -> None:
    """Neither JupyterLab nor its kernel nor the browser outlives it, even if it is killed."""
    write_notebook(tmp_path / "idle.ipynb", "1 + 1")
    command = [sys.executable, "-c", RUN, program, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    with Popen(command, env=environment, stdout=PIPE, stderr=DEVNULL) as run:  # noqa: S603
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == b"open\n"
            family = psutil.Process(run.pid).children(recursive=True)
            started = [words(each) for each in family]
            run.kill()
            run.wait(timeout=60)
        finally:
            run.kill()
    assert {"kst-workbook", "ipykernel_launcher", "chromium"} <= set().union(*started)
    left = [each for each in psutil.wait_procs(family, timeout=30)[1] if words(each)]
    for each in left:
        each.kill()
    assert not left


def words(process: psutil.Process) -> list[str]:
    """Return the last parts of what a process was called with; a zombie has none."""
    try:
        return [Path(word).name for word in process.cmdline()]
    except psutil.Error:
        return []
