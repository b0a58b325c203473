from __future__ import annotations

import asyncio
import inspect
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.timezone import UTC, kst
from kst_workbook.nps import (
    CrawlResult,
    NpsClient,
    QuotaExceededError,
    crawl_nps,
    current_settings,
)
from kst_workbook.nps.replies import read_page
from kst_workbook.nps.sandbox import Sandbox, create_sandbox, use_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

NIGHT = kst(2026, 5, 10, 3)


class Clock:
    """Shows the time that it was set to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def get(sandbox: Sandbox, operation: str, **query: Any) -> httpx.Response:
    """Return the sandbox's answer to one call."""

    async def call() -> httpx.Response:
        async with NpsClient(sandbox.settings()) as client:
            return await client.get(operation, params=query)

    return asyncio.run(call())


def body(response: httpx.Response) -> dict[str, Any]:
    """Return the envelope's body."""
    found: dict[str, Any] = response.json()["response"]["body"]
    return found


def code(response: httpx.Response) -> str:
    """Return the code that the answer stands for, in the envelope or as the gateway's XML."""
    text = response.text
    if text.startswith("<OpenAPI_ServiceResponse>"):
        return text.partition("<returnReasonCode>")[2].partition("<")[0]
    found: str = response.json()["response"]["header"]["resultCode"]
    return found


def test_it_is_a_fastapi_application_of_async_endpoints() -> None:
    """No endpoint runs in a thread pool."""
    app = create_sandbox().app
    assert isinstance(app, FastAPI)
    endpoints = [getattr(route, "endpoint", None) for route in app.routes]
    assert endpoints
    assert all(inspect.iscoroutinefunction(endpoint) for endpoint in endpoints)


def test_the_search_answers_in_the_services_envelope() -> None:
    """One item, spelt out: names, types and the masked business number are the service's."""
    response = get(create_sandbox(clock=lambda: NIGHT), "getBassInfoSearchV2", numOfRows=1)
    header = response.json()["response"]["header"]
    assert header == {"resultCode": "00", "resultMsg": "NORMAL_CODE"}
    found = body(response)
    assert {name: found[name] for name in ("pageNo", "numOfRows", "totalCount")} == {
        "pageNo": 1,
        "numOfRows": 1,
        "totalCount": 250,
    }
    (item,) = found["items"]["item"]
    assert item.keys() == {
        "dataCrtYm",
        "seq",
        "wkplNm",
        "bzowrRgstNo",
        "wkplJnngStcd",
        "wkplStylDvcd",
        "ldongAddrMgplDgCd",
        "wkplRoadNmDtlAddr",
    }
    assert (item["dataCrtYm"], item["wkplNm"]) == ("202603", "가상제조 0001")
    assert len(item["bzowrRgstNo"].removesuffix("****")) == 6


def test_a_page_beyond_the_end_is_empty() -> None:
    """It has no items, and still the total."""
    found = body(get(create_sandbox(), "getBassInfoSearchV2", pageNo=4, numOfRows=100))
    assert (found["items"], found["totalCount"]) == ("", 250)


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({"wkplNm": "정보"}, lambda item: "정보" in item["wkplNm"]),
        ({"ldongAddrMgplDgCd": "11"}, lambda item: item["ldongAddrMgplDgCd"] == "11"),
    ],
)
def test_a_search_finds_what_fits(
    query: dict[str, str], fits: Callable[[dict[str, Any]], bool]
) -> None:
    """Searching gives what filtering all rows gives."""
    sandbox = create_sandbox(clock=lambda: NIGHT)
    rows = body(get(sandbox, "getBassInfoSearchV2", numOfRows=250))["items"]["item"]
    found = body(get(sandbox, "getBassInfoSearchV2", numOfRows=250, **query))
    assert found["items"]["item"] == [row for row in rows if fits(row)]
    assert 0 < found["totalCount"] < 250


def test_a_business_number_finds_by_its_six_published_digits() -> None:
    """The digits beyond the sixth are not looked at, as they are not published."""
    sandbox = create_sandbox(clock=lambda: NIGHT)
    row = body(get(sandbox, "getBassInfoSearchV2", numOfRows=1))["items"]["item"][0]
    number = row["bzowrRgstNo"][:6] + "9999"
    found = body(get(sandbox, "getBassInfoSearchV2", bzowrRgstNo=number))["items"]["item"]
    assert row in found


def test_seq_leads_to_detail_and_period() -> None:
    """The two other operations answer for the seq that the search gave."""
    sandbox = create_sandbox(clock=lambda: NIGHT)
    seq = body(get(sandbox, "getBassInfoSearchV2", numOfRows=1))["items"]["item"][0]["seq"]
    detail = body(get(sandbox, "getDetailInfoSearchV2", seq=seq))["items"]["item"][0]
    assert detail["wkplNm"] == "가상제조 0001"
    assert detail["jnngpCnt"] >= 3
    assert int(detail["crrmmNtcAmt"]) > 0
    period = body(get(sandbox, "getPdAcctoSttusInfoSearchV2", seq=seq, dataCrtYm="202603"))
    assert period["items"]["item"][0].keys() == {"nwAcqzrCnt", "lssJnngpCnt"}
    other = body(get(sandbox, "getPdAcctoSttusInfoSearchV2", seq=seq, dataCrtYm="202602"))
    assert (other["items"], other["totalCount"]) == ("", 0)


def test_a_seq_of_another_time_is_unknown() -> None:
    """A month that is still to come, or over a year old, has no details."""
    clock = Clock(NIGHT)
    sandbox = create_sandbox(clock=clock)
    seq = body(get(sandbox, "getBassInfoSearchV2", numOfRows=1))["items"]["item"][0]["seq"]
    for moment, total in [
        (NIGHT - timedelta(days=30), 0),
        (NIGHT, 1),
        (NIGHT + timedelta(days=330), 1),
        (NIGHT + timedelta(days=365), 0),
    ]:
        clock.now = moment
        assert body(get(sandbox, "getDetailInfoSearchV2", seq=seq))["totalCount"] == total


@pytest.mark.parametrize(
    ("operation", "query", "expected"),
    [
        ("getBassInfoSearchV2", {"pageNo": 0}, "10"),
        ("getBassInfoSearchV2", {"pageNo": "x"}, "10"),
        ("getBassInfoSearchV2", {"pageNo": "٣"}, "10"),
        ("getBassInfoSearchV2", {"numOfRows": -1}, "10"),
        ("getBassInfoSearchV2", {"numOfRows": "9" * 5000}, "10"),
        ("getBassInfoSearchV2", {"dataType": "xml"}, "10"),
        ("getDetailInfoSearchV2", {}, "11"),
        ("getPdAcctoSttusInfoSearchV2", {}, "11"),
        ("getDetailInfoSearchV2", {"seq": "x"}, "10"),
        ("getBassInfoSearch", {}, "12"),
    ],
)
def test_a_wrong_call_is_told_its_code(
    operation: str, query: dict[str, Any], expected: str
) -> None:
    """Wrong, missing and unknown things have data.go.kr's codes, and no HTTP error."""
    response = get(create_sandbox(), operation, **query)
    assert (response.status_code, code(response)) == (200, expected)


def test_a_wrong_key_is_refused_and_not_counted() -> None:
    """The answer is the gateway's XML, though JSON was asked for, and repeats no key."""
    sandbox = create_sandbox(service_key="right")

    async def call(key: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=sandbox.app)
        async with httpx.AsyncClient(transport=transport) as client:
            address = f"{sandbox.settings().base_url}/getBassInfoSearchV2"
            return await client.get(address, params={"serviceKey": key, "dataType": "json"})

    for key in ("wrong", ""):
        response = asyncio.run(call(key))
        assert response.headers["content-type"].startswith("application/xml")
        assert code(response) == "30"
        assert "wrong" not in response.text
    assert not sandbox.calls


def test_the_quota_starts_anew_at_midnight_in_seoul() -> None:
    """At 14:59:59 UTC the day's calls are used up, and a second later there are new ones."""
    clock = Clock(datetime(2026, 5, 10, 14, 59, 59, tzinfo=UTC))
    sandbox = create_sandbox(quota=4, clock=clock)
    assert asyncio.run(crawl_nps(settings=sandbox.settings())).calls == 3
    with pytest.raises(QuotaExceededError):
        asyncio.run(crawl_nps(settings=sandbox.settings()))
    clock.now += timedelta(seconds=1)
    assert asyncio.run(crawl_nps(settings=sandbox.settings())).calls == 3
    assert sandbox.calls == {kst(2026, 5, 10).date(): 5, kst(2026, 5, 11).date(): 3}


def test_two_replicas_burn_the_quota_twice() -> None:
    """A duplicate crawl is no harmless repetition: it may leave none for the next."""
    sandbox = create_sandbox(quota=6, clock=lambda: NIGHT)

    async def replicas() -> list[CrawlResult | BaseException]:
        crawls = (crawl_nps(settings=sandbox.settings()) for _ in range(3))
        return await asyncio.gather(*crawls, return_exceptions=True)

    kinds = [type(result) for result in asyncio.run(replicas())]
    assert kinds == [CrawlResult, CrawlResult, QuotaExceededError]


def test_the_quota_can_be_changed_while_it_serves() -> None:
    """Setting the quota to 0 closes the service for the day."""
    sandbox = create_sandbox()
    sandbox.quota = 0
    with pytest.raises(QuotaExceededError):
        asyncio.run(crawl_nps(settings=sandbox.settings()))


def test_a_refused_call_takes_no_fault() -> None:
    """Faults wait for calls that would have been answered."""
    sandbox = create_sandbox(quota=0)
    sandbox.faults.add("http_503")
    assert code(get(sandbox, "getBassInfoSearchV2")) == "22"
    assert len(sandbox.faults) == 1


def test_a_new_month_changes_every_seq() -> None:
    """On the 16th the search lists the next month, and nothing of the last one."""
    clock = Clock(kst(2026, 5, 15, 23, 59))
    sandbox = create_sandbox(clock=clock, workplaces=5)
    march = read_page(get(sandbox, "getBassInfoSearchV2", numOfRows=5), 1, 5).rows
    clock.now = kst(2026, 5, 16)
    april = read_page(get(sandbox, "getBassInfoSearchV2", numOfRows=5), 1, 5).rows
    assert {row.month for row in march} == {"202603"}
    assert {row.month for row in april} == {"202604"}
    assert not {row.key for row in march} & {row.key for row in april}
    assert [row.name for row in march] == [row.name for row in april]


def test_a_naive_clock_is_refused() -> None:
    """A sandbox whose clock has no zone could not tell the Korean day."""
    sandbox = create_sandbox(clock=lambda: datetime(2026, 5, 10))  # noqa: DTZ001 - the point
    with pytest.raises(NaiveDatetimeError, match=r"clock\(\)="):
        asyncio.run(crawl_nps(settings=sandbox.settings()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workplaces": -1}, "workplaces=-1 is out of range; write 0 to 999,999"),
        ({"workplaces": 1_000_000}, "workplaces=1000000 is out of range"),
        ({"quota": -1}, "quota=-1 is negative"),
    ],
)
def test_numbers_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    """The message names the number and the range."""
    with pytest.raises(InvalidArgumentError, match=message):
        create_sandbox(**change)


def test_use_sandbox_makes_one_of_its_own() -> None:
    """Without an argument the block gets a new sandbox, and leaves the settings as they were."""
    with use_sandbox() as sandbox:
        assert asyncio.run(crawl_nps()).rows == 250
        assert current_settings().base_url.startswith("http://sandbox.invalid/")
    assert sandbox.calls.total() == 3
