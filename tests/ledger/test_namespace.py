from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from handed_off import NOWHERE
from in_loop import in_loop
from kst_scheduler.distributed import hand_off, task_app
from kst_scheduler.errors import InvalidArgumentError, LockedOutError
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from ledgers import HOUR, THREE, expire, occurrence, opened, outcome, request


@in_loop
async def test_two_services_with_a_job_of_one_id_run_both(sql_url: str) -> None:
    """Neither sees what the other claims, skips, loses, closes or forgets."""
    async with opened(SqlLedger(sql_url)) as first, opened(_other(sql_url)) as second:
        mine, theirs = await first.claim(request()), await second.claim(request())
        assert mine.row_id != theirs.row_id
        with pytest.raises(LockedOutError, match="was running"):
            await second.claim(request(occurrence(1)))
        assert [row.status for row in await first.rows()] == ["running"]
        await expire(first, mine)
        assert await second.abandoned() == []
        assert await second.close_abandoned((await first.abandoned())[0], "to hold")  # by its id
        assert await second.finish(theirs, outcome())
        assert [row.status for row in await first.rows()] == ["error"]
        assert [row.status for row in await second.rows()] == ["skipped", "ok"]
        assert list((await second.history())["status"]) == ["ok", "skipped"]
        assert await second.delete_before(THREE + HOUR) == 2
        assert len(await first.rows()) == 1


@in_loop
async def test_each_service_looks_for_itself(sql_url: str) -> None:
    """How far one has looked says nothing of the other; each mark moves on by itself."""
    async with opened(SqlLedger(sql_url)) as first, opened(_other(sql_url)) as second:
        await first.advance_watermark("nps", THREE)
        assert await second.watermark("nps") is None
        await second.advance_watermark("nps", THREE + HOUR)
        await second.advance_watermark("nps", THREE)
        assert await first.watermark("nps") == THREE
        assert await second.watermark("nps") == THREE + HOUR


@in_loop
async def test_replicas_share_their_namespace(sql_url: str) -> None:
    """One of five gets the row."""
    ledgers = [_other(sql_url) for _ in range(5)]
    await asyncio.gather(*(each.open() for each in ledgers))
    requests = [replace(request(), token=str(number)) for number in range(5)]
    claims = await asyncio.gather(
        *(each.claim(of) for each, of in zip(ledgers, requests, strict=True)),
        return_exceptions=True,
    )
    assert sorted(type(claim).__name__ for claim in claims) == ["Claim"] + ["LockedOutError"] * 4
    for each in ledgers:
        await each.close()


def test_a_ledger_names_its_namespace() -> None:
    """In its repr, without the password."""
    ledger = SqlLedger("postgresql://app:secret@db/crawl", namespace="billing")
    assert repr(ledger) == "SqlLedger('postgresql://app:***@db/crawl', namespace='billing')"
    assert repr(SqlLedger("sqlite:///ledger.db")) == "SqlLedger('sqlite:///ledger.db')"


@pytest.mark.parametrize("namespace", ["a\0b", "x" * 501])
def test_a_namespace_that_cannot_be_stored_is_refused(namespace: str) -> None:
    """As a job's id is."""
    with pytest.raises(InvalidArgumentError, match="namespace="):
        SqlLedger("sqlite:///ledger.db", namespace=namespace)


def test_a_job_is_handed_off_in_the_namespace_of_its_ledger() -> None:
    """In the queue of another one, another service's worker would take it."""

    async def crawl() -> None:
        """Do nothing."""

    job = once(SqlLedger("sqlite:///ledger.db", namespace="billing"), lease=timedelta(60))(crawl)
    said = (
        r"is run on a ledger with namespace='billing', and the app has the queue 'kst_scheduler', "
        r".*; write task_app\(database_url, namespace='billing'\)"
    )
    with pytest.raises(InvalidArgumentError, match=said):
        hand_off(job, task_app(NOWHERE))
    other = once(SqlLedger("sqlite:///ledger.db"))(crawl)
    with pytest.raises(InvalidArgumentError, match="namespace=''"):
        hand_off(other, task_app(NOWHERE, namespace="billing"))
    hand_off(job, task_app(NOWHERE, namespace="billing"))
    hand_off(job, None)
    with pytest.raises(InvalidArgumentError, match="namespace="):
        task_app(NOWHERE, namespace="a\0b")


def _other(url: str) -> SqlLedger:
    return SqlLedger(url, namespace="billing")
