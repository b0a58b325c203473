from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from lab_page import write_notebook

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from lab_page import Reader

PICTURE: Final = "() => document.querySelector('.jp-OutputArea-output img.widget-image')?.src"
IS_ANOTHER: Final = """before => {
  const picture = document.querySelector('.jp-OutputArea-output img.widget-image');
  return picture && picture.src !== before && picture.complete && picture.naturalWidth > 0;
}"""


@pytest.mark.parametrize("name", ["misfire_explorer", "replica_explorer"])
def test_a_slider_moves_and_the_picture_follows(
    name: str, folder: Path, reader: Reader, loop: asyncio.Runner
) -> None:
    """The arrow key changes the value beside the slider, and another picture is shown."""
    source = f"from kst_workbook.explorers import {name}\n\n{name}()"
    write_notebook(folder / f"{name}.ipynb", source)
    before, after = loop.run(values_beside_the_slider(reader, f"{name}.ipynb"))
    assert before != after


async def values_beside_the_slider(reader: Reader, name: str) -> tuple[str, str]:
    """Move the first slider by one step; return what stands beside it, before and after."""
    async with reader.open(name) as notebook:
        await notebook.run_all()
        slider = notebook.page.locator(".widget-hslider").first
        handle, value = slider.locator(".noUi-handle"), slider.locator(".widget-readout")
        await notebook.wait_for(IS_ANOTHER, "")
        before, picture = await value.inner_text(), await notebook.page.evaluate(PICTURE)
        await handle.press("ArrowRight")
        await notebook.wait_for(IS_ANOTHER, picture)
        assert await notebook.appeared() == []
        assert notebook.page_errors == []
        return before, await value.inner_text()
