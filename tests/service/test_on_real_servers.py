"""The service on a real PostgreSQL and a real Valkey: two replicas, and odd input."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from in_loop import in_loop
from kst_scheduler import cron
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock

if TYPE_CHECKING:
    from kst_scheduler.service import Service
    from served import Serve


class Jobs:
    """A job under a lock on Redis as well, which runs until it is let go."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = asyncio.Event()
        self.let_go = asyncio.Event()

    def __call__(self, service: Service) -> None:
        """Add it."""

        def lock() -> Any:
            return redis_lock("lock:nightly", ttl=30, client=service.redis)

        @once(service.ledger, lock, instance=self.name)
        async def crawl() -> int:
            self.started.set()
            await self.let_go.wait()
            return 7

        service.scheduler.add_job(crawl, cron(hour=3), id="nightly")


@in_loop
async def test_a_run_on_one_replica_is_seen_by_the_other(
    serve: Serve, postgres_url: str, valkey_url: str
) -> None:
    """409 while it runs, with the replica's name; both show the same runs afterwards."""
    there = {"database_url": SecretStr(postgres_url), "redis_url": SecretStr(valkey_url)}
    jobs = Jobs("replica-a")
    async with serve(jobs, **there) as a, serve(Jobs("replica-b"), **there) as b:
        run = (await a.client.post("/admin/jobs/nightly/run")).json()["run"]
        await jobs.started.wait()
        refused = await b.client.post("/admin/jobs/nightly/run")
        assert (refused.status_code, refused.json()["running"]) == (409, [run])
        assert f"{run} on replica-a" in refused.json()["detail"]
        assert b.service.redis is not None
        assert await b.service.redis.exists("lock:nightly")
        jobs.let_go.set()
        while a.service.scheduler.running_occurrences():  # noqa: ASYNC110 - the library has no event
            await asyncio.sleep(0.01)
        shown = [(await of.client.get("/admin/runs")).json() for of in (a, b)]
        page = (await b.timeline()).text
    assert shown[0] == shown[1]
    assert [(row["run"], row["status"], row["rows"]) for row in shown[0]["runs"]] == [
        (run, "ok", 7)
    ]
    assert "<td>nightly<td>ok<td>" in page


@in_loop
async def test_nothing_odd_reaches_the_database(serve: Serve, postgres_url: str) -> None:
    """It takes no NUL, no number beyond 64 bits, no time beyond the calendar."""
    async with serve(database_url=SecretStr(postgres_url)) as it:
        for query, status in {
            "job_id=%00": 422,
            "job_id=%FF%FE%ED%A0%80": 200,
            "job_id='; DROP TABLE crawl_runs; --": 200,
            f"before_id={2**63 - 1}": 200,
            f"before_id={2**63}": 422,
            "since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z": 200,
            "until=9999-12-31T23:59:59-01:00": 422,
            "status=cancelled&limit=1000": 200,
        }.items():
            answer = await it.client.get(f"/admin/runs?{query}")
            assert answer.status_code == status, query
        assert await it.service.ledger.rows() == []
