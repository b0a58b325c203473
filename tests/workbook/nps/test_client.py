from __future__ import annotations

import asyncio
import logging
import selectors
import threading
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.servers.ports import free_port
from kst_scheduler.timezone import kst
from kst_workbook.nps import (
    CrawlResult,
    NoDataError,
    NpsClient,
    NpsError,
    NpsReplyError,
    NpsSettings,
    NpsUnavailableError,
    QuotaExceededError,
    Workplace,
    crawl_nps,
    use_settings,
)
from kst_workbook.nps.data import Workplaces
from kst_workbook.nps.errors import CODES, error_for
from kst_workbook.nps.sandbox import Sandbox, create_sandbox, use_sandbox
from kst_workbook.nps.server import serve_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

KEY = "AbC+d/Ef123=="
NIGHT = kst(2026, 5, 10, 3)


class _InstantSelector(selectors.DefaultSelector):
    """Lets the time pass, rather than waiting for it, when nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            self.now += timeout or 0.0
        return ready


class _InstantLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _InstantSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def instantly(main: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    """Run on a loop whose time is virtual; return the result or NpsError, and the seconds."""
    with asyncio.Runner(loop_factory=_InstantLoop) as runner:
        try:
            result: Any = runner.run(main)
        except NpsError as error:
            result = error
        return result, runner.get_loop().time()


@pytest.fixture
def sandbox() -> Sandbox:
    """Return a sandbox in whose world it is 10 May 2026, 03:00 KST, for ever."""
    return create_sandbox(clock=lambda: NIGHT)


def calls(sandbox: Sandbox) -> int:
    """Return how many calls the sandbox has counted."""
    return sandbox.calls.total()


class Store:
    """Keeps the pages that it is given."""

    def __init__(self) -> None:
        self.pages: list[list[Workplace]] = []

    async def __call__(self, rows: list[Workplace]) -> None:
        """Keep one page."""
        self.pages.append(rows)

    @property
    def rows(self) -> list[Workplace]:
        """All rows so far."""
        return [row for page in self.pages for row in page]


def answering(handler: Callable[[httpx.Request], httpx.Response]) -> NpsSettings:
    """Return settings whose service is ``handler``."""
    return NpsSettings(service_key=KEY, transport=lambda: httpx.MockTransport(handler))


# Paging


@pytest.mark.parametrize(
    ("workplaces", "page_size", "sizes"),
    [(250, 100, [100, 100, 50]), (200, 100, [100, 100]), (1, 100, [1]), (7, 3, [3, 3, 1])],
)
def test_every_row_is_stored_once(workplaces: int, page_size: int, sizes: list[int]) -> None:
    """Full, last and lone pages together hold every workplace, each key once."""
    sandbox, store = create_sandbox(workplaces=workplaces, clock=lambda: NIGHT), Store()
    result = asyncio.run(crawl_nps(settings=sandbox.settings(page_size=page_size), store=store))
    assert [len(page) for page in store.pages] == sizes
    assert len({row.key for row in store.rows}) == workplaces
    pages = len(sizes)
    assert result == CrawlResult("202603", rows=workplaces, pages=pages, calls=pages)
    assert calls(sandbox) == pages


def test_the_result_counts_as_its_rows(sandbox: Sandbox) -> None:
    """int(await crawl_nps()) is what a table of runs stores."""
    assert int(asyncio.run(crawl_nps(settings=sandbox.settings()))) == 250


def test_a_known_month_costs_one_call(sandbox: Sandbox) -> None:
    """On most days nothing has changed: one call shows it, and nothing is stored."""
    store = Store()
    settings = sandbox.settings()
    result = asyncio.run(crawl_nps(settings=settings, store=store, known_month="202603"))
    assert result == CrawlResult("202603", rows=0, pages=1, calls=1, unchanged=True)
    assert not store.pages
    result = asyncio.run(crawl_nps(settings=settings, store=store, known_month="202602"))
    assert (result.rows, result.calls, result.unchanged) == (250, 3, False)


def test_a_year_of_nights_crawls_twelve_months() -> None:
    """365 crawls at 03:00 that remember the month cost 12 full crawls and one call a night."""
    nights = [
        kst(2026, 1, 1, 3).replace(month=m, day=d) for m in range(1, 13) for d in range(1, 29)
    ]
    now = nights[0]
    sandbox = create_sandbox(workplaces=250, clock=lambda: now)
    known, full = "202511", []
    for now in nights:
        result = asyncio.run(crawl_nps(settings=sandbox.settings(), known_month=known))
        known = result.month
        full += [] if result.unchanged else [(now.day, result.month)]
    assert full == [(16, "202512"), *((16, f"2026{month:02d}") for month in range(1, 12))]
    assert calls(sandbox) == len(nights) + 12 * 2


def test_a_search_narrows_the_crawl(sandbox: Sandbox) -> None:
    """The settings' search goes into every call."""
    store = Store()
    settings = sandbox.settings(search={"wkplNm": "가상제조"}, page_size=10)
    assert asyncio.run(crawl_nps(settings=settings, store=store)).rows == 25
    assert {row.name[:4] for row in store.rows} == {"가상제조"}


def test_a_search_that_finds_nothing_is_an_error(sandbox: Sandbox) -> None:
    """A crawl of nothing is a mistake, and no success with 0 rows."""
    with pytest.raises(NoDataError, match="finds no workplace"):
        asyncio.run(crawl_nps(settings=sandbox.settings(search={"wkplNm": "없음"})))


@pytest.mark.parametrize("month", ["2026-04", "202613", "", 202604])
def test_a_known_month_that_is_none_is_refused(month: Any) -> None:
    """Otherwise it would never match, and each night would crawl everything."""
    with pytest.raises(InvalidArgumentError, match=r"known_month=.*'202604'"):
        asyncio.run(crawl_nps(known_month=month))


def test_a_month_that_turns_while_it_is_read_is_not_mixed() -> None:
    """A crawl over the midnight of the 16th stops: its pages would be of two months."""
    now = kst(2026, 5, 15, 23, 59, 59)
    sandbox = create_sandbox(clock=lambda: now)

    async def store(rows: list[Workplace]) -> None:
        nonlocal now
        assert rows
        now = kst(2026, 5, 16)

    with pytest.raises(NpsReplyError, match=r"page 1 was of 202603 .* page 2 of 202604"):
        asyncio.run(crawl_nps(settings=sandbox.settings(), store=store))


def test_rows_that_vanish_while_they_are_read_are_noticed() -> None:
    """A later page that counts fewer rows in all, and so is empty itself, ends the crawl."""
    totals = iter((12, 6))

    def handler(request: httpx.Request) -> httpx.Response:
        page, total = int(request.url.params["pageNo"]), next(totals)
        places = Workplaces(total, seed=0)
        items = [places.basic("202603", i) for i in range((page - 1) * 10, min(page * 10, total))]
        body = {"items": {"item": items}, "totalCount": total}
        return httpx.Response(
            200, json={"response": {"header": {"resultCode": "00"}, "body": body}}
        )

    settings = NpsSettings(
        service_key=KEY, page_size=10, transport=lambda: httpx.MockTransport(handler)
    )
    with pytest.raises(NpsReplyError, match=r"with 12 rows in all, page 2 of 202603 with 6"):
        asyncio.run(crawl_nps(settings=settings))


# Where to


def test_the_lessons_call_needs_no_argument(sandbox: Sandbox) -> None:
    """Inside use_sandbox(), await crawl_nps() goes to the sandbox, from any loop and thread."""
    results = []
    with use_sandbox(sandbox):
        thread = threading.Thread(target=lambda: results.append(asyncio.run(crawl_nps())))
        thread.start()
        thread.join()
        results.append(asyncio.run(crawl_nps()))
    assert [result.rows for result in results] == [250, 250]
    assert calls(sandbox) == 6


def test_the_environment_leads_to_a_sandbox_on_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """NPS_BASE_URL alone is enough to leave data.go.kr for a local sandbox."""

    async def main() -> CrawlResult:
        async with serve_sandbox() as settings:
            monkeypatch.setenv("NPS_BASE_URL", settings.base_url)
            monkeypatch.delenv("NPS_SERVICE_KEY", raising=False)
            return await crawl_nps()

    assert asyncio.run(main()).rows == 250


def test_a_client_is_shared_among_crawls(sandbox: Sandbox) -> None:
    """A client that the caller made is used as it is, and stays open."""

    async def main() -> list[int]:
        async with NpsClient(sandbox.settings()) as client:
            first = await crawl_nps(client)
            second = await crawl_nps(client, settings=sandbox.settings(page_size=250))
            assert not client.is_closed
            return [first.calls, second.calls]

    assert asyncio.run(main()) == [3, 1]


def test_a_foreign_client_is_refused() -> None:
    """A plain httpx client has no key to send, and would log the one it were given."""
    client: Any = httpx.AsyncClient()
    with pytest.raises(InvalidArgumentError, match=r"write NpsClient\(settings\)"):
        asyncio.run(crawl_nps(client))


def test_the_key_is_quoted_once() -> None:
    """The key arrives as data.go.kr issued it, whichever form of it was set."""
    sandbox = create_sandbox(service_key=KEY)
    for form in (KEY, quote(KEY, safe="")):
        assert asyncio.run(crawl_nps(settings=sandbox.settings(service_key=form))).rows == 250


# Retries


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_http_5xx_and_429_are_asked_again(sandbox: Sandbox, status: int) -> None:
    """Three failures of one page cost three calls and 1 + 2 + 4 virtual seconds."""
    sandbox.faults.add(f"http_{status}", times=3)
    result, seconds = instantly(crawl_nps(settings=sandbox.settings()))
    assert (result.rows, result.calls, calls(sandbox)) == (250, 6, 6)
    assert seconds == 7


def test_attempts_are_bounded(sandbox: Sandbox) -> None:
    """The fourth failure of a page ends the crawl, with the last failure in the message."""
    sandbox.faults.add("http_503", times=99)
    error, seconds = instantly(crawl_nps(settings=sandbox.settings()))
    assert isinstance(error, NpsUnavailableError)
    assert str(error) == "page 1: HTTP 503, 4 attempts in a row"
    assert (calls(sandbox), seconds) == (4, 7)


def test_each_page_has_its_own_attempts(sandbox: Sandbox) -> None:
    """A failure of page 1 leaves page 2 all its attempts."""

    async def store(_: list[Workplace]) -> None:
        if calls(sandbox) == 3:
            sandbox.faults.add("http_503", times=3)

    sandbox.faults.add("http_503", times=2)
    result, seconds = instantly(crawl_nps(settings=sandbox.settings(), store=store))
    assert (result.calls, seconds) == (3 + 2 + 3, 3 + 7)


def test_a_late_answer_is_a_failed_attempt(sandbox: Sandbox) -> None:
    """Each call is cut after the time-out, in-process too; the next one may be answered."""
    sandbox.faults.add("slow", seconds=3600, times=2)
    result, seconds = instantly(crawl_nps(settings=sandbox.settings(timeout=5)))
    assert (result.rows, result.calls) == (250, 5)
    assert seconds == 5 + 1 + 5 + 2


def test_a_slow_answer_in_time_is_an_answer(sandbox: Sandbox) -> None:
    """A page that takes nine seconds of ten is no failure."""
    sandbox.faults.add("slow", seconds=9)
    result, seconds = instantly(crawl_nps(settings=sandbox.settings()))
    assert (result.calls, seconds) == (3, 9)


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectTimeout]
)
def test_broken_connections_are_tried_again(error: type[httpx.TransportError]) -> None:
    """Connections that fail, break off or time out are tried as often as the settings say."""
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        raise error("no", request=request)

    result, _ = instantly(crawl_nps(settings=answering(handler)))
    assert isinstance(result, NpsUnavailableError)
    assert len(seen) == 4


def test_the_wait_is_the_callers_to_choose(sandbox: Sandbox) -> None:
    """The delay function is asked once for each failed attempt that another follows."""
    asked = []

    def delay(attempt: int) -> float:
        asked.append(attempt)
        return 0.25

    sandbox.faults.add("http_503", times=99)
    settings = sandbox.settings(attempts=3, delay=delay)
    _, seconds = instantly(crawl_nps(settings=settings))
    assert (asked, seconds, calls(sandbox)) == ([1, 2], 0.5, 3)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_an_error_and_never_asked_again(sandbox: Sandbox, code: str) -> None:
    """Each of data.go.kr's codes raises its own exception after one call, 22 above all."""
    sandbox.faults.add(f"code_{code}", times=99)
    error, seconds = instantly(crawl_nps(settings=sandbox.settings()))
    assert (type(error), error.code) == (type(error_for(code)), code)
    assert (calls(sandbox), seconds) == (1, 0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("malformed_json", "not the JSON that was asked for"),
        ("truncated_page", "page 1 has 50 rows where 100 of 250 were due"),
        ("http_404", "check NPS_BASE_URL"),
        ("http_401", "check NPS_SERVICE_KEY"),
    ],
)
def test_a_wrong_reply_is_an_error_at_once(sandbox: Sandbox, fault: str, message: str) -> None:
    """Replies that another attempt would hardly mend end the crawl."""
    sandbox.faults.add(fault)
    error, _ = instantly(crawl_nps(settings=sandbox.settings()))
    assert message in str(error)
    assert calls(sandbox) == 1


def test_what_was_stored_before_an_error_stays(sandbox: Sandbox) -> None:
    """A crawl that fails on page 2 has stored page 1; the next one stores it again."""
    store = Store()

    async def main() -> None:
        async def count(rows: list[Workplace]) -> None:
            await store(rows)
            sandbox.faults.add("code_22")

        with pytest.raises(QuotaExceededError):
            await crawl_nps(settings=sandbox.settings(), store=count)
        sandbox.faults.clear()
        await crawl_nps(settings=sandbox.settings(), store=store)

    asyncio.run(main())
    assert len(store.rows) == 350
    assert len({row.key: row for row in store.rows}) == 250


def test_a_cancelled_crawl_is_no_failed_attempt(sandbox: Sandbox) -> None:
    """Cancelling the job cancels the call, and no other follows."""
    sandbox.faults.add("slow", seconds=9)

    async def main() -> None:
        task = asyncio.create_task(crawl_nps(settings=sandbox.settings()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    _, seconds = instantly(main())
    assert (calls(sandbox), seconds) == (1, 1)


def test_no_thread_takes_part(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """An in-process crawl starts no thread: a simulation could not hold it still."""

    def start(_: threading.Thread) -> None:
        pytest.fail("a thread was started")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert asyncio.run(crawl_nps(settings=sandbox.settings())).rows == 250


# The key


async def _in_process(settings: NpsSettings, sandbox: Sandbox) -> object:
    sandbox.faults.add("http_503", times=2)
    return await crawl_nps(settings=settings)


async def _on_a_socket(settings: NpsSettings, sandbox: Sandbox) -> object:
    async with serve_sandbox(sandbox) as served:
        with use_settings(served):
            assert served.service_key == settings.service_key
            sandbox.faults.add("http_503")
            return await crawl_nps(settings=sandbox.settings(base_url=served.base_url, **_SOCKET))


async def _nobody_listens(settings: NpsSettings, sandbox: Sandbox) -> object:
    address = f"http://127.0.0.1:{free_port()}/x"
    assert settings.service_key
    return await crawl_nps(settings=sandbox.settings(base_url=address, **_SOCKET))


async def _too_slow(settings: NpsSettings, sandbox: Sandbox) -> object:
    assert settings.service_key
    async with serve_sandbox(sandbox) as served:
        sandbox.faults.add("slow", times=4, seconds=0.2)
        address = served.base_url
        return await crawl_nps(settings=sandbox.settings(base_url=address, timeout=0.05, **_SOCKET))


async def _echoed(settings: NpsSettings, _: Sandbox) -> object:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=str(request.url))

    return await crawl_nps(
        settings=NpsSettings(
            service_key=settings.service_key, transport=lambda: httpx.MockTransport(echo)
        )
    )


async def _transport_tells(settings: NpsSettings, _: Sandbox) -> object:
    def tell(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url}", request=request)

    return await crawl_nps(
        settings=NpsSettings(
            service_key=settings.service_key,
            transport=lambda: httpx.MockTransport(tell),
            delay=lambda _: 0.0,
        )
    )


async def _quota(settings: NpsSettings, sandbox: Sandbox) -> object:
    sandbox.quota = 1
    return await crawl_nps(settings=settings)


_SOCKET: dict[str, Any] = {"transport": httpx.AsyncHTTPTransport, "delay": lambda _: 0.0}


@pytest.mark.parametrize(
    "crawl",
    [_in_process, _on_a_socket, _nobody_listens, _too_slow, _echoed, _transport_tells, _quota],
)
def test_the_key_is_nowhere(
    crawl: Callable[[NpsSettings, Sandbox], Coroutine[Any, Any, object]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With every logger at DEBUG, the key is in no log line, repr, exception or traceback."""
    caplog.set_level(logging.DEBUG)
    sandbox = create_sandbox(service_key=KEY)
    settings = sandbox.settings(delay=lambda _: 0.0)
    said = [repr(settings), str(settings), repr(NpsClient(settings))]
    try:
        said.append(repr(asyncio.run(crawl(settings, sandbox))))
    except NpsError as error:
        said += [repr(error), str(error), *_told(error)]
    said += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    assert any("HTTP Request" in text for text in said) or crawl in {
        _nobody_listens,
        _too_slow,
        _transport_tells,
    }
    for form in (KEY, quote(KEY, safe=""), quote(KEY)):
        assert not [text for text in said if form in text]


def _told(error: BaseException) -> list[str]:
    """Return the traceback with the local variables of every frame, hidden causes included."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return [
        "".join(traceback.TracebackException.from_exception(link, capture_locals=True).format())
        for link in chain
    ]


def test_the_key_does_reach_the_service() -> None:
    """The test above would be worth nothing if the key were not sent at all."""
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params["serviceKey"])
        return httpx.Response(500)

    instantly(crawl_nps(settings=answering(handler)))
    assert seen == [KEY] * 4
