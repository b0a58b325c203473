"""A timeline in JupyterLab: it fits its cell, tells its runs, and no bar is left above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lab_page import VIEW, write_notebook

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from lab_page import Reader

SOURCE: Final = """
import asyncio
import os
import matplotlib.pyplot as plt
from kst_scheduler import cron, kst, plot_timeline, simulate
from kst_scheduler.simulation import progress

def register(scheduler):
    scheduler.add_job(asyncio.sleep, cron(hour=3), args=[3600], id="crawl")

os.environ["TQDM_DISABLE"] = ""
progress.PATIENCE = progress.STEP = 0
plot_timeline(simulate(register, kst(2026, 5, 10), kst(2026, 8, 10), nodes=9), end=kst(2026, 5, 11))
plt.show()
"""
LOOK: Final = """() => {
  const area = document.querySelector('.jp-OutputArea-output:has(svg[role=img])');
  const picture = area.querySelector('svg[role=img]');
  picture.scrollIntoView();
  const run = [...picture.querySelectorAll('rect')].find(each => each.querySelector('title'));
  const box = run.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const outputs = [...area.closest('.jp-OutputArea').children].filter(
    each => !each.matches('.jp-OutputArea-promptOverlay'));
  return {
    title: picture.getAttribute('aria-label'),
    told: top.querySelector('title')?.textContent ?? top.outerHTML,
    fits: picture.getBoundingClientRect().right <= area.getBoundingClientRect().right + 1,
    colour: getComputedStyle(picture).backgroundColor,
    heights: outputs.map(each => each.getBoundingClientRect().height),
    red: document.querySelectorAll('[data-mime-type$=stderr]').length,
  };
}"""


def test_a_timeline_tells_its_runs_in_a_narrow_window(
    folder: Path, reader: Reader, loop: asyncio.Runner
) -> None:
    """What lies under the pointer is the run; the bar of the simulation takes no room any more."""
    write_notebook(folder / "timeline.ipynb", SOURCE)
    seen = loop.run(look(reader, "timeline.ipynb"))
    assert seen["told"].startswith("crawl on A\nok\nscheduled 10 May 03:00\n")
    assert seen["title"] == "1 occurrence ran 9 times; 9 ok"
    assert seen["fits"]
    assert seen["colour"] == "rgb(255, 255, 255)"
    assert seen["red"] == 0
    bar, picture = seen["heights"]
    assert (bar, picture > 100) == (0, True)


async def look(reader: Reader, name: str) -> dict[str, Any]:
    """Return what is seen of the picture in a window of 1024 pixels."""
    async with reader.open(name) as notebook:
        await notebook.page.set_viewport_size({"width": 1024, "height": 768})
        await notebook.run_all()
        await notebook.wait_for("() => document.querySelector('svg[role=img]')")
        seen: dict[str, Any] = await notebook.page.evaluate(LOOK)
        await notebook.page.set_viewport_size(VIEW)
        return seen
