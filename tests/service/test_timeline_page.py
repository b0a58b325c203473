from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.service import timeline_page

if TYPE_CHECKING:
    from served import Serve


@in_loop
async def test_the_page_shows_the_hours_asked_for(serve: Serve) -> None:
    """A day unless told otherwise; it loads nothing and runs nothing."""
    async with serve() as it:
        now = datetime.now(UTC)
        for hours in (1, 12, 100):
            await it.miss(f"{hours}-hours-ago", now - timedelta(hours=hours))

        async def shown(query: str) -> list[str]:
            answer = await it.timeline(query)
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
            assert answer.headers["Cache-Control"] == "no-store"
            assert not re.search(r"<script|<link|<iframe|(src|href)=\"(?!data:|\?)", answer.text)
            return re.findall(r"<td>(\d+-hours-ago)<td>", answer.text)

        assert await shown("") == ["1-hours-ago", "12-hours-ago"]
        assert await shown("?hours=6") == ["1-hours-ago"]
        assert await shown("?hours=168") == ["1-hours-ago", "12-hours-ago", "100-hours-ago"]


@pytest.mark.parametrize("query", ["hours=0", "hours=169", "hours=", "hours=x", "hour=6"])
@in_loop
async def test_hours_that_cannot_be_meant_are_422(serve: Serve, query: str) -> None:
    """As for the admin API."""
    async with serve() as it:
        answer = await it.timeline(f"?{query}")
    assert answer.status_code == 422


@in_loop
async def test_without_its_ledger_the_page_is_503(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason, as the admin API gives it."""

    async def away(*_: object, **__: object) -> None:
        raise LedgerUnavailableError("postgresql://app:hidden@db:5432 refused")

    async with serve() as it:
        monkeypatch.setattr(it.service.ledger, "rows", away)
        answer = await it.timeline()
        monkeypatch.undo()
    assert (answer.status_code, "hidden" in answer.text) == (503, False)


@in_loop
async def test_pages_are_drawn_beside_each_other(serve: Serve) -> None:
    """Several readers at once get whole pages; matplotlib's settings belong to all threads."""
    async with serve() as it:
        await it.miss()
        answers = await asyncio.gather(*(it.timeline() for _ in range(6)))
    drawn = [re.findall(r'"(data:image/svg[^"]+)"', answer.text) for answer in answers]
    assert [len(pictures) for pictures in drawn] == [2] * 6
    assert all(answer.text.count("<td>missed<td>") == 1 for answer in answers)


@in_loop
async def test_more_runs_than_fit_a_page_are_said_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest are shown, and no more are asked of the ledger."""
    monkeypatch.setattr(timeline_page, "MAX_DRAWN", 2)
    async with serve() as it:
        for count, said in ((1, False), (2, False), (3, True)):
            await it.miss(at=datetime.now(UTC) - timedelta(minutes=count))
            answer = await it.timeline()
            assert ("The picture shows the latest 2 runs only." in answer.text) == said
