from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest

from lab_page import write_notebook

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lab_page import OpenNotebook, Reader

PICTURE: Final = ".jp-OutputArea-output .kst-picture svg"
IS_ANOTHER: Final = f"""before => {{
  const picture = document.querySelector('{PICTURE}');
  return picture && picture.outerHTML !== before && picture.clientWidth > 0;
}}"""
SAYS: Final = f"""words =>
  document.querySelector('{PICTURE}')?.textContent.includes(words)"""


@asynccontextmanager
async def explorer(name: str, folder: Path, reader: Reader) -> AsyncIterator[OpenNotebook]:
    """Open a notebook with one explorer, and run it; nothing went wrong in the end."""
    write_notebook(
        folder / f"{name}.ipynb", f"from kst_workbook.explorers import {name}\n\n{name}()"
    )
    async with reader.open(f"{name}.ipynb") as notebook:
        await notebook.run_all()
        await notebook.wait_for(IS_ANOTHER, "")
        yield notebook
        assert await notebook.appeared() == []
        assert notebook.page_errors == []


@pytest.mark.parametrize("name", ["misfire_explorer", "replica_explorer"])
def test_a_slider_moves_and_the_picture_follows(
    name: str, folder: Path, reader: Reader, loop: asyncio.Runner
) -> None:
    """The arrow key changes the value beside the slider, and another picture is shown."""

    async def values_beside_the_slider() -> tuple[str, str]:
        async with explorer(name, folder, reader) as notebook:
            slider = notebook.page.locator(".widget-hslider").first
            value = slider.locator(".widget-readout")
            before = await value.inner_text()
            picture = await notebook.page.locator(PICTURE).evaluate("svg => svg.outerHTML")
            await slider.locator(".noUi-handle").press("ArrowRight")
            await notebook.wait_for(IS_ANOTHER, picture)
            return before, await value.inner_text()

    before, after = loop.run(values_beside_the_slider())
    assert before != after


def test_the_last_value_of_a_drag_is_drawn(
    folder: Path, reader: Reader, loop: asyncio.Runner
) -> None:
    """The mouse passes many values on its way, faster than they can be drawn."""

    async def drag() -> None:
        async with explorer("misfire_explorer", folder, reader) as notebook:
            page = notebook.page
            slider = page.locator(".widget-hslider", has_text="frozen")
            box = await slider.locator(".noUi-handle").bounding_box()
            assert box
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            await page.mouse.move(x, y)
            await page.mouse.down()
            await page.mouse.move(x + 60, y, steps=30)
            await page.mouse.move(x - 30, y, steps=30)
            await page.mouse.up()
            minutes = await slider.locator(".widget-readout").inner_text()
            assert 0 < int(minutes) < 47
            await notebook.wait_for(SAYS, f"A frozen {minutes} min")

    loop.run(drag())


def test_a_picture_is_pinned_and_compared(
    folder: Path, reader: Reader, loop: asyncio.Runner
) -> None:
    """The pinned one stays above while the slider moves, and the code is that of the other."""

    async def pin() -> None:
        async with explorer("misfire_explorer", folder, reader) as notebook:
            page = notebook.page
            await page.get_by_role("button", name="pin and compare").click()
            await page.get_by_role("button", name="as code").click()
            slider = page.locator(".widget-hslider", has_text="frozen")
            await slider.locator(".noUi-handle").press("ArrowRight")
            await page.get_by_text("(now 48)").wait_for()
            assert await page.locator("svg", has_text="A frozen 47 min").count() == 1
            assert await page.locator("svg", has_text="A frozen 48 min").count() == 1
            await page.get_by_text("timedelta(minutes=48)").wait_for()

    loop.run(pin())


def test_the_last_good_picture_stays_while_one_types(
    folder: Path, reader: Reader, loop: asyncio.Runner
) -> None:
    """A line that is not finished shows its error below the picture."""

    async def type_a_line() -> None:
        async with explorer("trigger_explorer", folder, reader) as notebook:
            page = notebook.page
            text = page.get_by_label("crontab line or fields")
            await text.press("End")
            await text.press("Backspace")
            await page.get_by_text("has 4 fields").wait_for()
            await notebook.wait_for(SAYS, "fires in 7 days: in KST (7)")
            await text.press("End")
            await text.press("1")
            await notebook.wait_for(SAYS, "fires in 7 days: in KST (1)")

    loop.run(type_a_line())
