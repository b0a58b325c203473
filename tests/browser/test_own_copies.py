"""What a reader sees who writes kst-workbook for the first time."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import pytest

from kst_workbook.jupyter.folder import FIRST_NOTEBOOK
from lab_page import EXECUTE, IS_READY, OpenNotebook, chromium, wait_for
from lab_server import fetch, running_lab

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from playwright.async_api import Page

    from lab_page import Reader

DOCUMENT: Final = "13_rehearse_your_own_service.ipynb"
"""A notebook with a link to a section of a document."""

LINKS: Final = """() => {
  const link = /\\]\\(([^)\\s]+)#([^)\\s]+)\\)/g;
  return window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
    .filter(cell => cell.cell_type === 'markdown')
    .flatMap(cell => [...cell.source.matchAll(link)].map(found => found.slice(1)));
}"""
"""Each link to a section of another file, as its file and its section."""

CLICK: Final = """([file, section]) => {
  const link = [...window.jupyterapp.shell.currentWidget.node.querySelectorAll('a')].find(link =>
    link.pathname === `/files/${file}`
    && decodeURIComponent(link.hash) === `#${decodeURIComponent(section)}`);
  link?.click();
  return link !== undefined;
}"""
"""A link is JupyterLab's own as soon as it points to /files; before, the browser opens a tab."""

HAS_LANDED: Final = """([file, section]) => {
  const panel = window.jupyterapp.shell.currentWidget;
  if (panel?.context?.path !== file) return false;
  const same = text => text.toLowerCase().replace(/[^\\p{L}\\p{N}_-]/gu, '');
  const heading = [...panel.node.querySelectorAll('h1, h2, h3')].find(
    heading => same(heading.dataset.jupyterId ?? '') === same(section));
  const view = panel.node.querySelector('.jp-WindowedPanel-outer') ?? panel.content.node;
  const away = heading?.getBoundingClientRect().top - view.getBoundingClientRect().top;
  const cells = panel.content.widgets ?? [];
  return Math.abs(away) < 60 && !cells.some(cell => cell.isPlaceholder());
}"""
"""The heading is at the top, and no cell is left to be drawn, which might move it."""

PANELS: Final = """() => Object.fromEntries(['.jp-TableOfContents', '.jp-FileBrowser'].map(
  kind => [kind, document.querySelector(kind)?.checkVisibility() ?? false]))"""

WORD_BREAK: Final = """() =>
  getComputedStyle(document.querySelector('.jp-RenderedMarkdown blockquote p')).wordBreak"""

IS_SHOWN: Final = """name => {
  const context = window.jupyterapp.shell.currentWidget?.context;
  return context?.path === name && context.isReady;
}"""
HAS_NO_SESSION: Final = "async url => (await (await fetch(url)).json()).length === 0"
UNSAVED: Final = """() => [...window.jupyterapp.shell.widgets('main')]
  .filter(panel => panel.context?.model.dirty).map(panel => panel.context.path)"""
IS_DIRTY: Final = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
HAS_DIALOG: Final = "() => document.querySelector('.jp-Dialog') !== null"
HAS_NO_NOTEBOOK: Final = "() => !window.jupyterapp.shell.currentWidget?.context"


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """Yield the address of a JupyterLab that was started for the first time."""
    options = ["--expose-app-in-browser", "--KernelManager.transport=ipc"]
    with TemporaryDirectory(prefix="lab-") as home:  # short: a socket's path has 107 bytes at most
        folder = str(Path(home, "내 노트"))
        with running_lab(None, Path(home), *options, KST_WORKBOOK_FOLDER=folder) as url:
            yield url


@pytest.fixture(scope="module")
def newcomer(program: str, lab: str, loop: asyncio.Runner) -> Iterator[Reader]:
    """Yield the reader of that JupyterLab."""
    stack = AsyncExitStack()
    yield loop.run(stack.enter_async_context(chromium(program, lab, tabs=1)))
    loop.run(stack.aclose())


async def first_page(newcomer: Reader) -> Page:
    """Return the page at the address that the terminal shows, with its kernel ready."""
    page = await newcomer.page_at(f"/lab/tree/{FIRST_NOTEBOOK}")
    await wait_for(page, IS_READY, FIRST_NOTEBOOK)
    return page


async def close(page: Page) -> None:
    """Click on the cross of the tab."""
    await page.locator(".jp-mod-current .lm-TabBar-tabCloseIcon").click()


def test_the_first_screen_and_an_untouched_notebook_that_is_closed(
    newcomer: Reader, lab: str, loop: asyncio.Runner
) -> None:
    """The contents are open, the files are not; closing asks nothing, and ends the kernel.

    Korean is broken between words.
    """

    async def look() -> None:
        page = await first_page(newcomer)
        shown = await page.evaluate(PANELS)
        assert shown == {".jp-TableOfContents": True, ".jp-FileBrowser": False}
        assert not await page.locator("details[open]").count()
        assert await page.evaluate(WORD_BREAK) == "keep-all"  # of the Korean summary
        assert len(fetch(f"{lab}/api/sessions")) == 1
        assert not await page.evaluate(IS_DIRTY)
        await close(page)
        await wait_for(page, HAS_NO_NOTEBOOK)
        await wait_for(page, HAS_NO_SESSION, f"{lab}/api/sessions")
        assert await page.evaluate("() => appeared.length") == 0
        await page.close()

    loop.run(look())


def test_a_notebook_that_was_run_asks_before_it_is_closed(
    newcomer: Reader, lab: str, loop: asyncio.Runner
) -> None:
    """Its outputs are the reader's. Its kernel ends, before another page could find it dying."""

    async def look() -> None:
        page = await first_page(newcomer)
        await OpenNotebook(page, FIRST_NOTEBOOK).run_all()
        await close(page)
        await wait_for(page, HAS_DIALOG)
        assert "Save your work" in await page.locator(".jp-Dialog").inner_text()
        await page.locator(".jp-Dialog button", has_text="Discard").click()
        await wait_for(page, HAS_NO_NOTEBOOK)
        await wait_for(page, HAS_NO_SESSION, f"{lab}/api/sessions")
        await page.close()

    loop.run(look())


async def show(page: Page, name: str) -> None:
    """Open a notebook, or come back to it."""
    await page.evaluate(EXECUTE, ["docmanager:open", {"path": name}])
    await wait_for(page, IS_SHOWN, name)


def test_links_lead_to_their_sections(newcomer: Reader, loop: asyncio.Runner) -> None:
    """Into notebooks that are not open yet, and that are; and into a document. None is changed."""

    async def follow_all(page: Page, name: str) -> int:
        await show(page, name)
        links = await page.evaluate(LINKS)
        for file, section in links:
            await show(page, name)
            await wait_for(page, CLICK, [file, section])
            await wait_for(page, HAS_LANDED, [unquote(file), unquote(section)])
        return len(links)

    async def look() -> None:
        page = await first_page(newcomer)
        assert await follow_all(page, FIRST_NOTEBOOK) >= 12
        assert await follow_all(page, FIRST_NOTEBOOK) >= 12
        assert await follow_all(page, DOCUMENT) >= 1
        assert await page.evaluate("() => appeared.length") == 0
        assert await page.evaluate(UNSAVED) == []
        await page.close()

    loop.run(look())
