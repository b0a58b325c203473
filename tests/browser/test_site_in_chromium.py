"""The static site as files, in Chromium."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from kst_workbook.jupyter.folder import all_notebooks
from kst_workbook.page import build_site, write_site
from kst_workbook.page.links import linked_file
from lab_page import PATIENCE, VIEW, running_browser

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from playwright.async_api import Browser, Page, ViewportSize

    Visit = Callable[[Callable[[Page], Coroutine[Any, Any, None]]], None]

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
TABLET: Final[ViewportSize] = {"width": 1024, "height": 768}
LOCKS: Final = "notebooks/07_distributed_lock.html"
WIDER_THAN_THE_SCREEN: Final = "document.documentElement.scrollWidth > innerWidth"
LOST: Final = """anchors => anchors.filter(anchor => {
  location.hash = "";
  location.hash = "#" + anchor;
  const target = document.querySelector(":target");
  const { scrollY, innerHeight } = window;
  const atTheEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
  const top = target?.getBoundingClientRect().top;
  const bar = document.querySelector("header").offsetHeight;
  return target === null || top < bar || (top > bar + 100 && !atTheEnd);
})"""
"""Returns the anchors that do not lead to where the reader looks."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, build_site(all_notebooks()))
    return folder


@pytest.fixture(scope="module")
def browser(program: str, loop: asyncio.Runner) -> Iterator[Browser]:
    """Yield a browser without JupyterLab."""
    stack = AsyncExitStack()
    yield loop.run(stack.enter_async_context(running_browser(program)))
    loop.run(stack.aclose())


@pytest.fixture
def visit(
    request: pytest.FixtureRequest, browser: Browser, loop: asyncio.Runner
) -> Iterator[Visit]:
    """Yield what gives a coroutine a page; fail if it loads anything but files, or has an error.

    The test's marker ``parametrize`` may give the options of the browser's context.
    """
    options = {"viewport": VIEW} | getattr(request, "param", {})
    asked: list[str] = []
    errors: list[str] = []

    async def run(use: Callable[[Page], Coroutine[Any, Any, None]]) -> None:
        context = await browser.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        page = await context.new_page()
        page.on("request", lambda each: asked.append(each.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        await use(page)
        await context.close()

    yield lambda use: loop.run(run(use))
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    assert not errors


def links_with_anchors(site: Path) -> dict[str, set[str]]:
    """Return all anchors that links of notebooks lead to, by page."""
    anchors = defaultdict(set)
    for path in all_notebooks():
        page = f"notebooks/{path.stem}.html"
        for href in re.findall(r'<a [^>]*href="([^"]*)"', (site / page).read_text("utf-8")):
            if (found := linked_file(page, href)) and found[1]:
                anchors[found[0]].add(found[1])
    return anchors


@pytest.mark.parametrize("visit", [{"viewport": PHONE}, {}], indirect=True)
def test_each_link_lands_on_its_section(site: Path, visit: Visit) -> None:
    """On the heading, not beneath the bar at the top, which a narrow screen has."""

    async def use(page: Page) -> None:
        lost = {}
        for path, anchors in links_with_anchors(site).items():
            await page.goto((site / path).as_uri())
            lost[path] = await page.evaluate(LOST, sorted(anchors))
        assert not any(lost.values()), lost

    visit(use)


@pytest.mark.parametrize("visit", [{"viewport": PHONE}, {"viewport": TABLET}, {}], indirect=True)
def test_no_page_is_wider_than_the_screen(site: Path, visit: Visit) -> None:
    """What is wider, such as a picture on a phone, is moved in its own place."""
    addresses = [path.as_uri() for path in site.rglob("*.html")]

    async def use(page: Page) -> None:
        wide = {}
        for address in addresses:
            await page.goto(address)
            wide[address] = await page.evaluate(WIDER_THAN_THE_SCREEN)
        assert wide == dict.fromkeys(addresses, False)

    visit(use)


def test_the_keyboard_searches_all_notebooks(site: Path, visit: Visit) -> None:
    """A slash begins, arrows choose, Enter goes there; Escape shows the notebooks again."""

    async def use(page: Page) -> None:
        await page.goto((site / "notebooks/00_start_here.html").as_uri())
        await page.keyboard.press("/")
        await page.keyboard.type("LEASE lock")
        await page.wait_for_selector(".results a")
        assert not await page.locator(".pages").is_visible()
        await page.keyboard.press("Escape")
        assert await page.locator(".pages").is_visible()
        await page.keyboard.type("LEASE lock")
        await page.keyboard.press("ArrowDown")
        chosen = await page.evaluate("document.activeElement.href")
        await page.keyboard.press("Enter")
        await page.wait_for_url(chosen)
        assert await page.locator(":target").is_visible()

    visit(use)


def test_the_search_finds_korean_and_counts(site: Path, visit: Visit) -> None:
    """A word of Korean has its ending behind it, so its beginning is enough."""

    async def use(page: Page) -> None:
        await page.goto((site / "index.html").as_uri())
        await page.fill("#page-query", "스케줄러")
        await page.wait_for_selector(".results a")
        assert re.fullmatch(r"\d+ sections?.*", await page.locator("[role=status]").inner_text())
        assert "스케줄러" in await page.locator(".results mark").first.inner_text()
        await page.fill("#page-query", "no such words anywhere")
        assert await page.locator("[role=status]").inner_text() == "0 sections"

    visit(use)


@pytest.mark.parametrize(
    "visit", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True
)
def test_a_button_copies_the_code_of_its_cell(site: Path, visit: Visit) -> None:
    """As it is in the notebook, and says so."""

    async def use(page: Page) -> None:
        await page.goto((site / LOCKS).as_uri())
        block = page.locator(".highlight", has_text="replica_explorer()")
        await block.hover()
        await block.locator(".copy").click()
        await page.wait_for_function("document.activeElement.textContent === 'Copied'", polling=20)
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == "from kst_workbook.explorers import replica_explorer\n\nreplica_explorer()"

    visit(use)


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_settings_can_be_chosen(site: Path, visit: Visit) -> None:
    """With the keyboard too: the buttons are radio buttons. The search is not offered."""

    async def use(page: Page) -> None:
        await page.goto((site / LOCKS).as_uri())
        pictures = page.locator(".setting")
        assert await pictures.nth(0).is_visible()
        assert not await pictures.nth(1).is_visible()
        await page.locator(".settings input").first.focus()
        await page.keyboard.press("ArrowRight")
        assert not await pictures.nth(0).is_visible()
        assert await pictures.nth(1).is_visible()
        assert not await page.locator("#page-query").is_visible()

    visit(use)


@pytest.mark.parametrize(
    "visit", [{"viewport": PHONE, "java_script_enabled": False}], indirect=True
)
def test_a_button_opens_the_menu_on_a_phone(site: Path, visit: Visit) -> None:
    """Without a script too."""

    async def use(page: Page) -> None:
        await page.goto((site / LOCKS).as_uri())
        assert not await page.locator("#page-menu").is_visible()
        await page.get_by_role("button", name="Menu").click()
        await page.locator("#page-menu").get_by_text("1. Install").click()
        await page.wait_for_url("**/01_install.html")

    visit(use)


def test_korean_breaks_between_words(site: Path, visit: Visit) -> None:
    """A narrow screen would else break within them."""

    async def use(page: Page) -> None:
        await page.goto((site / "README.ko.html").as_uri())
        style = "getComputedStyle(document.querySelector('main p')).wordBreak"
        assert await page.evaluate(style) == "keep-all"

    visit(use)


@pytest.mark.parametrize("visit", [{"viewport": VIEW}], indirect=True)
def test_a_printed_page_is_its_text(site: Path, visit: Visit) -> None:
    """Without the menu and the buttons, and with all settings of an explorer."""

    async def use(page: Page) -> None:
        await page.emulate_media(media="print")
        await page.goto((site / LOCKS).as_uri())
        for left_out in ("#page-menu", "header", ".ways", ".copy"):
            assert not await page.locator(left_out).first.is_visible()
        assert await page.locator(".setting").last.is_visible()

    visit(use)
