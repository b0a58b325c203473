"""Notebooks as a reader sees them: open in JupyterLab, in Chromium."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from kst_workbook.jupyter.refresh import METADATA
from lab_server import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, BrowserContext, Page, ViewportSize

VIEW: Final[ViewportSize] = {"width": 1280, "height": 900}
PATIENCE: Final = 300
"""Seconds after which a notebook, or what is waited for in one, counts as hung: a busy machine that
runs several at once took more than 90 for the capstone."""

WATCH: Final = """
window.appeared = [];
new MutationObserver(changes => {
  const kinds = '.jp-Dialog, .Toastify__toast';
  for (const node of changes.flatMap(change => [...change.addedNodes]))
    if (node.querySelectorAll) window.appeared.push(
      ...[node, ...node.querySelectorAll(kinds)].filter(element => element.matches(kinds)));
}).observe(document, {childList: true, subtree: true});
"""
"""Notes each dialog and each toast, also those that go away by themselves."""

HAS_OPENED: Final = "() => document.querySelector('.jp-mod-restoring') === null"
"""JupyterLab has opened what the page's address names. The layout of the page before may have
opened the same notebook earlier; on a busy machine this one shows it again, on top of what was
opened since.
"""

IS_READY: Final = """name => {
  const kernel = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel;
  return window.jupyterapp?.shell?.currentWidget?.context?.path === name
    && kernel?.status === 'idle' && kernel.connectionStatus === 'connected';
}"""
"""Before that, Run All would open a dialog that asks for a kernel."""

CELLS: Final = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => ({
  type: cell.model.type,
  source: cell.model.sharedModel.getSource(),
  tags: cell.model.getMetadata('tags') ?? [],
  prompt: cell.node.querySelector('.jp-InputPrompt')?.textContent ?? '',
  shown: cell.node.querySelector('.jp-OutputArea')?.textContent ?? '',
  outputs: (cell.model.type === 'code' ? cell.model.outputs.toJSON() : []).map(
    ({data, ename, evalue}) => ({kinds: Object.keys(data ?? {}), ename, evalue})),
  pictures: [...cell.node.querySelectorAll(
    '.jp-OutputArea-output img, .jp-OutputArea-output svg[role=img]')].map(
    picture => picture.naturalWidth ?? picture.viewBox.baseVal.width),
}))"""

HAVE_RUN: Final = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(
    cell => cell.model.type === 'code');
  const hasRun = cell => /\\d/.test(cell.node.querySelector('.jp-InputPrompt')?.textContent);
  const types = outputs => Array.from({length: outputs.length}, (_, i) => outputs.get(i).type);
  const hasFailed = ({model}) => types(model.outputs).includes('error')
    && !(model.getMetadata('tags') ?? []).includes('raises-exception');
  return cells.every(hasRun) || cells.some(hasFailed);
}"""
"""The command of the menu says that it is done at the first error, even one that is announced."""

HAVE_COME: Final = f"""() => ({CELLS})().every(({{outputs, pictures}}) =>
  pictures.length >= outputs.filter(({{kinds}}) => kinds.includes('image/png')).length
  && pictures.every(width => width > 0))"""

TO_THE_TOP: Final = """async () => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0;
  const view = document.querySelector(
    '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer');
  view.scrollTop = 0;
  await new Promise(requestAnimationFrame);
  return view.scrollHeight;
}"""

EXECUTE: Final = """async ([name, options]) => {
  await window.jupyterapp.commands.execute(name, options);
}"""

STATE: Final = """() => ({
  address: location.pathname,
  open: [...window.jupyterapp?.shell.widgets('main') ?? []].map(panel => ({
    path: panel.context?.path, isRead: panel.context?.isReady, isVisible: panel.isVisible,
    kernel: panel.sessionContext?.kernelDisplayStatus,
    connection: panel.sessionContext?.session?.kernel?.connectionStatus,
    undrawn: panel.content?.widgets?.filter(cell => cell.isPlaceholder?.()).length,
    scrolled: panel.node.querySelector('.jp-WindowedPanel-outer')?.scrollTop})),
  appeared: window.appeared?.map(element => element.textContent),
})"""
"""What the page shows, printed when a wait has timed out."""

CLOSE: Final = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.sessionContext.shutdown();
  panel.context.model.dirty = false;
  panel.close();
}"""
"""As the menu does, but without its question whether to save."""


async def wait_for(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until that function says true in the page; fail with what the page shows instead."""
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError

    try:
        await page.wait_for_function(condition, arg=argument, polling=100)
    except PlaywrightTimeoutError:
        pytest.fail(
            f"{argument or ''}: timed out waiting for {condition}; {await page.evaluate(STATE)}"
        )


def write_notebook(path: Path, *sources: str) -> None:
    """Write a notebook that has not been run, with a code cell for each of the sources."""
    cells = [new_code_cell(source) for source in sources]
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), path)


@dataclass(frozen=True)
class OpenNotebook:
    """A notebook in a tab of the browser, with a kernel that is ready."""

    page: Page
    name: str
    page_errors: list[str] = field(default_factory=list)
    """What went wrong in JupyterLab's own code, and not in a cell."""

    async def command(self, name: str) -> None:
        """Carry out a command of JupyterLab's menus, to its end."""
        async with asyncio.timeout(PATIENCE):
            await self.page.evaluate(EXECUTE, [name, {}])

    async def run_all(self) -> None:
        """Run all cells, as the menu does, until the last has run or one has failed."""
        await self.command("notebook:clear-all-cell-outputs")
        await self.command("notebook:run-all-cells")
        await self.wait_for(HAVE_RUN)

    async def cells(self) -> list[dict[str, Any]]:
        """Return each cell: what its outputs are, and the width in pixels of each picture shown."""
        cells: list[dict[str, Any]] = await self.page.evaluate(CELLS)
        return cells

    async def wait_for_pictures(self) -> None:
        """Wait until each picture that the kernel has sent is shown, and has a width."""
        await self.wait_for(HAVE_COME)

    async def wait_for(self, condition: str, argument: Any = None) -> None:
        """Wait until that function says true in the page."""
        await wait_for(self.page, condition, argument)

    async def appeared(self) -> list[str]:
        """Return the text of each dialog and each toast since the notebook was opened."""
        texts: list[str] = await self.page.evaluate("() => appeared.map(e => e.textContent)")
        return texts

    async def save_picture(self, path: Path, *, whole: bool) -> None:
        """Save the beginning of the notebook as a picture, or all of it."""
        height = await self.page.evaluate(TO_THE_TOP)
        if whole:
            await self.page.set_viewport_size({**VIEW, "height": height + 200})
            await self.page.evaluate(TO_THE_TOP)
        await self.page.screenshot(path=path)
        await self.page.set_viewport_size(VIEW)


class Reader:
    """Opens notebooks one after another, in a few tabs of one browser."""

    def __init__(self, context: BrowserContext, url: str, tabs: int) -> None:
        self._context = context
        self._url = url
        self._count = count()
        self._tabs: asyncio.LifoQueue[Page | None] = asyncio.LifoQueue()
        for _ in range(tabs):
            self._tabs.put_nowait(None)

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[OpenNotebook]:
        """Open a notebook of the server's folder when a tab is free; close it, kernel and all."""
        page = await self._tabs.get()
        try:
            async with asyncio.timeout(PATIENCE):
                page = page or await self.page_at(f"/lab/workspaces/{id(self)}-{next(self._count)}")
                notebook = OpenNotebook(page, name)
                page.on("pageerror", note := lambda error: notebook.page_errors.append(str(error)))
                await self._show(page, name)
            yield notebook
            async with asyncio.timeout(PATIENCE):
                await page.evaluate(CLOSE)
            page.remove_listener("pageerror", note)
        except BaseException:
            if page is not None:
                await page.close()
            page = None
            raise
        finally:
            self._tabs.put_nowait(page)

    async def page_at(self, path: str) -> Page:
        """Return another page of the browser, at a path of JupyterLab, when that has started."""
        page = await self._context.new_page()
        await page.add_init_script(WATCH)
        await page.goto(f"{self._url}{path}?token={TOKEN}")
        await wait_for(page, "() => window.jupyterapp?.restored")
        await page.evaluate("async () => { await window.jupyterapp.restored; }")
        await wait_for(page, HAS_OPENED)
        return page

    async def _show(self, page: Page, name: str) -> None:
        await page.evaluate("() => { window.appeared = []; }")
        await page.evaluate(EXECUTE, ["docmanager:open", {"path": name}])
        await wait_for(page, IS_READY, name)


@asynccontextmanager
async def running_browser(program: str) -> AsyncIterator[Browser]:
    """Start the browser of that program, and end it."""
    from playwright.async_api import async_playwright  # not installed everywhere

    # It asks nobody for news; as root, which a container's user is, it has no sandbox.
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", *quiet]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        await browser.close()


@asynccontextmanager
async def chromium(program: str, url: str, tabs: int) -> AsyncIterator[Reader]:
    """Start the browser of that program for a JupyterLab at that address, and end it."""
    async with running_browser(program) as browser:
        context = await browser.new_context(viewport=VIEW)
        # JupyterLab's first pages too: eight at once, beside mypy, took more than 30 s to start.
        context.set_default_timeout(PATIENCE * 1000)
        yield Reader(context, url, tabs)
