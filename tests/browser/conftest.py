"""One JupyterLab and one Chromium for all tests of this folder, or the reason why there is none."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from kst_workbook.jupyter.folder import FIRST_NOTEBOOK
from lab_page import chromium
from lab_server import running_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_page import Reader

NOTEBOOKS: Final = Path(__file__).parents[2] / "notebooks"
HOW: Final = (
    "KST_WORKBOOK_BROWSER=/usr/bin/chromium uv run --group browser pytest -n 2 tests/browser"
)


@pytest.fixture(scope="session")
def program() -> str:
    """Return the browser's program; skip where it is not asked for, or cannot be driven."""
    named = os.environ.get("KST_WORKBOOK_BROWSER")
    if not named:
        pytest.skip(f"no browser is asked for; write: {HOW}")
    if find_spec("playwright") is None:
        pytest.skip(f"playwright is not installed here; write: {HOW}")
    if shutil.which(named) is None:
        pytest.skip(f"KST_WORKBOOK_BROWSER={named} is no program; install Chromium, then: {HOW}")
    return named


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Yield the folder that JupyterLab serves, with a copy of the notebooks."""
    with tempfile.TemporaryDirectory(prefix="lab-") as name:  # short, for the kernels' sockets
        copy = Path(name, "notebooks")
        shutil.copytree(NOTEBOOKS, copy, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        yield copy


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.Runner]:
    """Yield what the tests run their coroutines in: the browser's connection belongs to it."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def reader(program: str, folder: Path, loop: asyncio.Runner) -> Iterator[Reader]:
    """Yield one who opens notebooks of the folder, four at once at most."""
    options = ["--expose-app-in-browser", "--KernelManager.transport=ipc"]
    with running_lab(folder / FIRST_NOTEBOOK, folder.parent, *options) as url:
        stack = AsyncExitStack()
        yield loop.run(stack.enter_async_context(chromium(program, url, tabs=4)))
        loop.run(stack.aclose())
