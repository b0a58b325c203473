"""How a kernel shows a picture: to a reader what can be pointed at, to a file a sharp PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
from kernels import running_kernel
from nbformat.v4 import new_code_cell, new_notebook

from kst_workbook.jupyter.refresh import refresh

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

DRAW = """
import asyncio
import matplotlib.pyplot as plt
from kst_scheduler import cron, kst, plot_timeline, simulate

def register(scheduler):
    scheduler.add_job(asyncio.sleep, cron(hour=3), args=[600], id="crawl")

plot_timeline(simulate(register, kst(2026, 5, 10), kst(2026, 5, 11)))
plt.show()
"""
UNSET = "import os\ndel os.environ['KST_PICTURES']\n"
OTHER = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"


def shown(kernel: BlockingKernelClient, source: str) -> list[dict[str, Any]]:
    """Return what a cell displays; anything else that it says is a failure."""
    found: list[dict[str, Any]] = []

    def keep(message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        assert kind in {"status", "execute_input", "display_data"}, content
        if kind == "display_data":
            found.append(content)

    kernel.execute_interactive(source, timeout=60, output_hook=keep)
    return found


def test_a_reader_gets_an_svg_that_tells_each_run(tmp_path: Path) -> None:
    """Once, in place of matplotlib's PNG; figures of others are shown as ever."""
    with running_kernel(tmp_path) as kernel:
        (picture,) = shown(kernel, UNSET + DRAW)
        (other,) = shown(kernel, OTHER)
    assert picture["data"].keys() == {"text/html", "text/plain"}
    assert picture["data"]["text/plain"] == "1 ok"
    assert "<title>crawl on A\nok\nscheduled 10 May 03:00" in picture["data"]["text/html"]
    assert other["data"].keys() == {"image/png", "text/plain"}


def test_a_stored_notebook_holds_a_sharp_png_with_its_title(tmp_path: Path) -> None:
    """Twice the pixels that it is shown with; no markup that a viewer may drop."""
    path = tmp_path / "drawn.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(DRAW)]), path)
    refresh(path)
    (output,) = nbformat.read(path, as_version=4).cells[0].outputs
    assert output.data.keys() == {"image/png", "text/plain"}
    assert output.data["text/plain"] == output.metadata["image/png"]["alt"] == "1 ok"
    assert output.metadata["image/png"]["width"] == 840
    before = path.read_bytes()
    refresh(path)
    assert path.read_bytes() == before


def test_each_picture_of_a_kernel_is_shown_also_where_nobody_shows_it(tmp_path: Path) -> None:
    """The first one makes matplotlib show what a cell draws, and must not undo that."""
    drawn = DRAW.replace("plt.show()", "").replace("plot_timeline(sim", "ax = plot_timeline(sim")
    again = "ax = plot_timeline(simulate(register, kst(2026, 5, 10), kst(2026, 5, 11)))"
    with running_kernel(tmp_path) as kernel:
        for source in (drawn, again, "_ = plt.plot([1, 2])"):
            assert len(shown(kernel, source)) == 1, source
