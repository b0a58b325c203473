from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.service import Settings
from kst_scheduler.service.cli import DEMO
from kst_scheduler.service.components import Service, running
from kst_workbook.nps.sandbox import create_sandbox
from kst_workbook.nps.server import serve_sandbox

if TYPE_CHECKING:
    from kst_scheduler.ledger import LedgerRow


async def one_night(service: Service) -> LedgerRow:
    """Run the crawl by hand, and return its row."""
    service.scheduler.run_now("daily-nps-crawl")
    while service.scheduler.running_occurrences():  # noqa: ASYNC110 - the library has no event
        await asyncio.sleep(0.001)
    (row,) = await service.ledger.rows()
    return row


@in_loop
async def test_it_crawls_a_sandbox(caplog: pytest.LogCaptureFixture) -> None:
    """At 03:00 KST, with the number of its rows in the ledger; the log says what it crawls."""
    caplog.set_level("INFO")
    async with running(Settings(jobs=DEMO)) as service:
        (job,) = service.scheduler.get_jobs()
        assert f"{job.next_run_time:%H:%M:%S %Z}" == "03:00:00 KST"
        row = await one_night(service)
    assert (row.status, row.rows) == ("ok", 250)
    assert "crawling a built-in sandbox of synthetic workplaces" in caplog.text


@in_loop
async def test_it_crawls_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """NPS_BASE_URL and NPS_SERVICE_KEY lead it to the real service, or to another sandbox."""
    async with serve_sandbox(create_sandbox(workplaces=3)) as there:
        monkeypatch.setenv("NPS_BASE_URL", there.base_url)
        async with running(Settings(jobs=DEMO)) as service:
            row = await one_night(service)
    assert (row.status, row.rows) == ("ok", 3)


@in_loop
async def test_an_address_without_its_key_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at 03:00, but where somebody reads it."""
    monkeypatch.setenv("NPS_BASE_URL", "https://apis.data.go.kr/B552015/NpsBplcInfoInqireServiceV2")
    with pytest.raises(InvalidArgumentError, match="NPS_SERVICE_KEY is not set"):
        async with running(Settings(jobs=DEMO)):
            pytest.fail("started without a key")
