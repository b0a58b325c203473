"""crawl_nps(): every workplace that a search finds, once a month, with the quota in mind.

The key goes into the query, as data.go.kr wants it, but only below httpx: httpx itself writes
addresses into its log at INFO and into its exceptions (encode/httpx, issue 2760).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.nps.errors import NoDataError, NpsReplyError, NpsUnavailableError
from kst_workbook.nps.replies import Page, Workplace, is_month, read_page
from kst_workbook.nps.settings import NpsSettings, current_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Store = Callable[[list[Workplace]], Awaitable[object]]

SEARCH: Final = "getBassInfoSearchV2"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrawlResult:
    """What a crawl came to; ``int(result)`` is its number of rows.

    calls counts every attempt, as the quota does. unchanged: the month was known already, and
    nothing was read beyond the first page.
    """

    month: str
    rows: int
    pages: int
    calls: int
    unchanged: bool = False

    def __int__(self) -> int:
        return self.rows


async def crawl_nps(
    client: NpsClient | None = None,
    *,
    settings: NpsSettings | None = None,
    store: Store | None = None,
    known_month: str | None = None,
) -> CrawlResult:
    """Read every workplace that the search finds, page by page.

    Without arguments the address and the key come from NPS_BASE_URL and NPS_SERVICE_KEY. A page
    is asked for again, after ``settings.delay``, when it timed out, the connection failed, or the
    service answered HTTP 5xx or 429; any other error ends the crawl at once. Pages stored before
    an error stay stored, so ``store`` must upsert by ``Workplace.key``.

    Args:
        client: an NpsClient to share among crawls on one event loop; by default one is made.
        settings: where to crawl; the client's, else ``current_settings()``, by default.
        store: awaited with the rows of each page.
        known_month: the 자료생성년월 that is stored already, such as "202604". The service changes
            once a month, so most days one call shows that there is nothing to do. This trusts
            the service to list its newest month first.

    Raises:
        NpsError: one of its kinds, by data.go.kr's code.
        InvalidArgumentError: known_month is not a month, or the settings are wrong.

    """
    if known_month is not None and not is_month(known_month):
        raise InvalidArgumentError(
            f"known_month={known_month!r} is not a month; write year and month, such as '202604'"
        )
    if client is not None:
        return await _crawl(_Reader(client, settings or _settings_of(client)), store, known_month)
    async with NpsClient(settings) as own:
        return await _crawl(_Reader(own, own.settings), store, known_month)


class NpsClient(httpx.AsyncClient):
    """An httpx client that knows the address and the key; use it on one event loop only.

    Paths are operations: ``await client.get("getDetailInfoSearchV2", params={"seq": 1})``.
    Without settings it takes those of ``current_settings()``.
    """

    def __init__(self, settings: NpsSettings | None = None) -> None:
        self.settings = settings or current_settings()
        super().__init__(
            base_url=self.settings.base_url,
            params={"dataType": "json"},
            timeout=self.settings.timeout,
            transport=_KeyTransport(self.settings.transport(), self.settings.plain_key()),
        )


def _settings_of(client: NpsClient) -> NpsSettings:
    if isinstance(client, NpsClient):
        return client.settings
    raise InvalidArgumentError(
        f"client={client!r} does not know the key; write NpsClient(settings), or leave it out"
    )


class _KeyTransport(httpx.AsyncBaseTransport):
    """Puts the key into the query of each request on its way out."""

    def __init__(self, inner: httpx.AsyncBaseTransport, key: str) -> None:
        self._inner = inner
        self._key = key

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                request.url.copy_merge_params({"serviceKey": self._key}),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _crawl(reader: _Reader, store: Store | None, known_month: str | None) -> CrawlResult:
    page = await reader.page(1)
    if not page.rows:
        raise NoDataError("the search finds no workplace; check the settings' search")
    month, total = max(row.month for row in page.rows), page.total
    if month == known_month:
        return CrawlResult(month, rows=0, pages=1, calls=reader.calls, unchanged=True)
    pages = -(-total // reader.settings.page_size)
    for number in range(1, pages + 1):
        if number > 1:
            page = await reader.page(number)
            _check_same(page, number, month, total)
        if store is not None:
            await store(page.rows)
    return CrawlResult(month, rows=total, pages=pages, calls=reader.calls)


def _check_same(page: Page, number: int, month: str, total: int) -> None:
    """Refuse to join pages of two months: rows would be missing, or there twice."""
    newest = max((row.month for row in page.rows), default=month)
    if newest > month or page.total != total:
        raise NpsReplyError(
            f"the data changed while it was read: page 1 was of {month} with {total} rows in all, "
            f"page {number} of {newest} with {page.total}; run the crawl again"
        )


class _Reader:
    """Asks for pages, again and again if need be, and counts the calls."""

    def __init__(self, client: NpsClient, settings: NpsSettings) -> None:
        self._client = client
        self.settings = settings
        self.calls = 0

    async def page(self, number: int) -> Page:
        attempts = self.settings.attempts
        for attempt in range(1, attempts + 1):
            try:
                return await self._ask(number)
            except NpsUnavailableError as error:
                failure, code = str(error), error.code
            if attempt < attempts:
                logger.info("page %d: %s; attempt %d failed", number, failure, attempt)
                await asyncio.sleep(self.settings.delay(attempt))
        # A new exception: the ones above have httpx's as their context, whose frames know the key.
        raise NpsUnavailableError(f"page {number}: {failure}, {attempts} attempts in a row", code)

    async def _ask(self, number: int) -> Page:
        size = self.settings.page_size
        self.calls += 1
        try:
            # asyncio's clock bounds the call as a whole, also where httpx's own time-outs do not
            # hold: ASGITransport has none, and a reply may trickle.
            async with asyncio.timeout(self.settings.timeout):
                response = await self._client.get(
                    SEARCH, params={**self.settings.search, "pageNo": number, "numOfRows": size}
                )
        except (TimeoutError, httpx.TimeoutException):
            reason = f"no answer within {self.settings.timeout:g} s"
            raise NpsUnavailableError(reason) from None
        except httpx.RequestError as error:
            raise NpsUnavailableError(f"no answer: {type(error).__name__}") from None
        return read_page(response, number, size)
