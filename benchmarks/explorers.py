"""How long an explorer takes from a key that moves its slider to the new picture in JupyterLab.

Purpose: opens a notebook with all explorers in a real JupyterLab, in Chromium, presses a key on a
control of each fifty times, and prints the median and the 95th percentile of the time until the new
picture is painted, by the browser's own clock. In turn with each key it presses one on a bare
slider, whose observer writes the value beside it and no more: that is the way to the kernel and
back, which no explorer can be faster than. So the ratio of both holds on a busy machine too.
Beside it stands the CPU time of one redraw in this process, without a browser: simulating, drawing,
and the words.
Limits: a key is pressed when the picture before it is painted. A drag sends more values than can be
drawn, of which the last is always drawn. Absolute times depend on the machine.
Run: ``uv run --group browser python benchmarks/explorers.py --browser /usr/bin/chromium`` (half a
minute). It ends with exit code 1 where a median is above the target.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from time import thread_time
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kst_workbook import explorers
from lab_page import chromium, write_notebook
from lab_server import running_lab

if TYPE_CHECKING:
    from playwright.async_api import Locator

TARGET: Final = 0.1
"""Seconds from a key to the new picture, at the median."""
CHANGES: Final = 50

TEXT: Final = "minute=30, hour=1"
"""Another digit at its end makes it another trigger, and none makes it wrong."""

CELL: Final = """
import kst_workbook.explorers
from IPython.display import display
from ipywidgets import HTML, IntSlider, VBox

bare, shown = IntSlider(), HTML("0")
shown.add_class("bare")
bare.observe(lambda change, shown=shown: setattr(shown, "value", str(change.new)), "value")
display(VBox([bare, shown]))
kst_workbook.explorers.{}({})
"""
"""Both stand in one cell: a notebook that scrolls between two keys is slower than either."""


@dataclass(frozen=True)
class Moved:
    """An explorer, the name of the control that is moved, and its place among those of its kind.

    The first slider of a cell is the bare one.
    """

    explorer: str
    control: str
    place: int
    keys: tuple[str, ...]
    """The keys that are pressed in turn; each brings another picture."""
    arguments: str = ""


_THERE_AND_BACK: Final = ("ArrowRight",) * (CHANGES // 2) + ("ArrowLeft",) * (CHANGES // 2)
MOVED: Final = (
    Moved("misfire_explorer", "freeze", 4, _THERE_AND_BACK),
    Moved("replica_explorer", "job", 4, _THERE_AND_BACK),
    Moved("trigger_explorer", "text", 0, ("0", "Backspace"), repr(TEXT)),
)

NEXT_PICTURE: Final = """(cell, name) => {
  const picture = cell.querySelector(name);
  window.painted = new Promise(resolve => {
    let pressed;
    cell.addEventListener('keydown', event => { pressed = event.timeStamp; },
      {capture: true, once: true});
    const observer = new MutationObserver(() => {
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - pressed)));
    });
    observer.observe(picture, {childList: true, subtree: true, characterData: true});
  });
}"""
"""The frame that a change of the document belongs to is painted before what it left for later."""


async def measure(program: str) -> dict[str, tuple[list[float], list[float]]]:
    """Return the seconds of each explorer's changes, and those of the bare slider's beside them."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        path = Path(folder, "notebooks", "explorers.ipynb")
        path.parent.mkdir()
        write_notebook(path, *(CELL.format(each.explorer, each.arguments) for each in MOVED))
        options = ["--expose-app-in-browser", "--KernelManager.transport=ipc"]
        with running_lab(path, Path(folder), *options) as url:
            async with (
                chromium(program, url, tabs=1) as reader,
                reader.open(path.name) as notebook,
            ):
                await notebook.run_all()
                cells = notebook.page.locator(".jp-CodeCell")
                return {
                    moved.explorer: await beside_the_bare(cells.nth(number), moved)
                    for number, moved in enumerate(MOVED)
                }


async def beside_the_bare(cell: Locator, moved: Moved) -> tuple[list[float], list[float]]:
    """Move the explorer's control and the bare slider in turn; return what each took."""
    found: tuple[list[float], list[float]] = ([], [])
    kind = "input[type=text]" if moved.control == "text" else ".noUi-handle"
    control, slider = cell.locator(kind).nth(moved.place), cell.locator(".noUi-handle").first
    await cell.locator(".kst-picture svg").wait_for()
    for key, back in zip(islice(cycle(moved.keys), CHANGES), _THERE_AND_BACK, strict=True):
        if moved.control == "text":
            await control.press("End")
        found[0].append(await press(cell, control, key, ".kst-picture"))
        found[1].append(await press(cell, slider, back, ".bare"))
    return found


async def press(cell: Locator, control: Locator, key: str, picture: str) -> float:
    """Press a key on a control; return the seconds until another picture is painted."""
    await cell.evaluate(NEXT_PICTURE, picture)
    await control.press(key)
    milliseconds: float = await cell.evaluate("() => window.painted")
    return milliseconds / 1000


def redraw(moved: Moved) -> float:
    """Return the CPU seconds of a redraw, the median of the same changes without a browser."""
    explorer = getattr(explorers, moved.explorer)()
    control, times = explorer.controls[moved.control], []
    for change in range(CHANGES):
        near = min(change, CHANGES - 1 - change) + 1
        far = near * getattr(control, "step", 1)
        value = TEXT + "0" * (near % 2) if moved.control == "text" else control.min + far
        began = thread_time()
        control.value = value
        times.append(thread_time() - began)
    return median(times)


def main() -> int:
    """Print the figures and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="chromium", help="the program of Chromium")
    found = asyncio.run(measure(parser.parse_args().browser))
    print(f"milliseconds from a key to the picture, {CHANGES} changes; beside a bare slider's")
    missed = 0
    for moved in MOVED:
        times, bare = found[moved.explorer]
        late = quantiles(times, n=20)[-1]
        print(
            f"  {moved.explorer:16}  median {1000 * median(times):4.0f}   p95 {1000 * late:4.0f}   "
            f"bare {1000 * median(bare):4.0f}   ratio {median(times) / median(bare):4.1f}   "
            f"CPU of a redraw {1000 * redraw(moved):4.0f}"
        )
        missed += median(times) > TARGET
    print(f"  target: {1000 * TARGET:.0f} at the median: {'missed' if missed else 'met'}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
