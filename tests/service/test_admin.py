from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from in_loop import in_loop
from kst_scheduler import KST, at, cron, every, kst
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import ClaimRequest, Outcome
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.occurrence import Occurrence
from served import KEY

if TYPE_CHECKING:
    from kst_scheduler.ledger import Claim, Ledger
    from kst_scheduler.service import Service
    from served import Serve


FAR = kst(2999, 1, 1, 3)
TODAY = datetime.now(KST).replace(hour=3, minute=0, second=0, microsecond=0)
"""Rows of long ago would be deleted by the service."""


class Jobs:
    """A jobs function whose one function runs until it is let go."""

    def __init__(self, *others: str) -> None:
        self.others = others
        self.started = asyncio.Event()
        self.let_go = asyncio.Event()
        self.ran = 0

    def __call__(self, service: Service) -> None:
        """Add the jobs."""

        @once(service.ledger)
        async def crawl() -> int:
            self.started.set()
            await self.let_go.wait()
            self.ran += 1
            return 7

        add = service.scheduler.add_job
        add(crawl, cron(hour=3), id="nightly")
        add(crawl, at(FAR), id="once-only")
        add(crawl, every(hours=1), id="hourly")
        add(crawl, cron(hour=3), id="paused", next_run_time=None)
        add(crawl, cron(hour=3), id="nps/사업장 %2F?#")
        for job_id in self.others:
            add(crawl, cron(hour=3), id=job_id)

    async def ended(self, service: Service) -> None:
        """Let the runs go on, and wait for their end."""
        self.let_go.set()
        while service.scheduler.running_occurrences():  # noqa: ASYNC110 - the library has no event
            await asyncio.sleep(0.001)


async def claim(
    ledger: Ledger, job_id: str = "nightly", *, lease: float = 60, **occurrence: Any
) -> Claim:
    """Claim an occurrence as another replica does."""
    due = Occurrence(job_id, **{"scheduled_at": TODAY, **occurrence})
    return await ledger.claim(
        ClaimRequest(due, "replica-b", timedelta(seconds=lease), datetime.now(UTC))
    )


@in_loop
async def test_jobs_are_listed_with_their_schedules(serve: Serve) -> None:
    """By id, with a sentence, the next time in Korea, and whether they are paused."""
    async with serve(Jobs()) as it:
        jobs = {job["job_id"]: job for job in (await it.client.get("/admin/jobs")).json()}
    assert list(jobs) == sorted(jobs)
    assert jobs["nightly"]["schedule"] == "every day at 03:00 KST"
    assert jobs["nightly"]["next_run_at"].endswith("T03:00:00+09:00")
    assert jobs["once-only"]["next_run_at"] == "2999-01-01T03:00:00+09:00"
    assert jobs["paused"] | {"schedule": ""} == {
        "job_id": "paused",
        "schedule": "",
        "next_run_at": None,
        "paused": True,
        "running": [],
    }


@in_loop
async def test_a_run_is_started_and_has_its_row(serve: Serve) -> None:
    """202 at once, with the run's id, under which the ledger has it when it has ended."""
    jobs = Jobs()
    async with serve(jobs) as it:
        answer = await it.client.post("/admin/jobs/nightly/run")
        assert answer.status_code == 202
        run = answer.json()["run"]
        assert run.startswith("nightly@")
        assert run.endswith("Z/manual")
        await jobs.started.wait()
        listed = (await it.client.get("/admin/jobs")).json()
        assert [job["running"] for job in listed if job["job_id"] == "nightly"] == [[run]]
        await jobs.ended(it.service)
        rows = (await it.client.get("/admin/runs")).json()["runs"]
    assert [(row["run"], row["status"], row["rows"]) for row in rows] == [(run, "ok", 7)]
    assert rows[0]["trigger"] == "manual"
    assert rows[0]["scheduled_at"] == answer.json()["scheduled_at"]


@pytest.mark.parametrize("job_id", ["nightly", "once-only", "hourly", "paused"])
@in_loop
async def test_a_run_leaves_the_schedule_as_it_is(serve: Serve, job_id: str) -> None:
    """Paused jobs stay paused, one-shot jobs are not consumed, no interval moves its phase."""
    jobs = Jobs()
    async with serve(jobs) as it:
        before = (await it.client.get("/admin/jobs")).json()
        assert (await it.client.post(f"/admin/jobs/{job_id}/run")).status_code == 202
        await jobs.ended(it.service)
        assert jobs.ran == 1
        assert (await it.client.get("/admin/jobs")).json() == before


@in_loop
async def test_a_job_that_runs_here_is_not_started_again(serve: Serve) -> None:
    """409, with the run that has to end first; afterwards it can be started."""
    jobs = Jobs()
    async with serve(jobs) as it:
        run = (await it.client.post("/admin/jobs/nightly/run")).json()["run"]
        for wait in (asyncio.sleep(0), jobs.started.wait()):  # before the claim, and after it
            answer = await it.client.post("/admin/jobs/nightly/run")
            assert answer.status_code == 409
            assert answer.json()["running"] == [run]
            assert run in answer.json()["detail"]
            await wait
        assert (await it.client.post("/admin/jobs/hourly/run")).status_code == 202
        await jobs.ended(it.service)
        assert (await it.client.post("/admin/jobs/nightly/run")).status_code == 202
        await jobs.ended(it.service)
    assert jobs.ran == 3


@in_loop
async def test_a_job_that_runs_on_another_replica_is_not_started(serve: Serve) -> None:
    """409, with its run and where that is, until it has ended."""
    jobs = Jobs()
    async with serve(jobs) as it:
        claimed = await claim(it.service.ledger)
        answer = await it.client.post("/admin/jobs/nightly/run")
        assert answer.status_code == 409
        run = Occurrence("nightly", TODAY).key
        assert answer.json()["running"] == [run]
        assert f"{run} on replica-b" in answer.json()["detail"]
        assert (await it.client.post("/admin/jobs/hourly/run")).status_code == 202
        await it.service.ledger.finish(
            claimed, Outcome("ok", datetime.now(UTC), timedelta(seconds=1))
        )
        assert (await it.client.post("/admin/jobs/nightly/run")).status_code == 202
        await jobs.ended(it.service)


@in_loop
async def test_a_run_whose_lease_is_over_blocks_nothing(serve: Serve) -> None:
    """Its replica has died: the new run closes its row."""
    jobs = Jobs()
    async with serve(jobs) as it:
        await claim(it.service.ledger, lease=0.001)
        await asyncio.sleep(0.01)
        assert (await it.client.post("/admin/jobs/nightly/run")).status_code == 202
        await jobs.ended(it.service)
        rows = (await it.client.get("/admin/runs?job_id=nightly")).json()["runs"]
    assert [row["status"] for row in rows] == ["ok", "error"]


@in_loop
async def test_pause_and_resume(serve: Serve) -> None:
    """A paused job has no next run; resumed, it has the same one as before."""
    async with serve(Jobs()) as it:
        before = (await it.client.get("/admin/jobs")).json()
        for job in before:
            where = f"/admin/jobs/{job['job_id'].replace('%', '%25').replace('?', '%3F')}"
            where = where.replace("#", "%23")
            paused = (await it.client.post(f"{where}/pause")).json()
            assert paused == job | {"paused": True, "next_run_at": None}
            assert (await it.client.post(f"{where}/pause")).json() == paused
            resumed = (await it.client.post(f"{where}/resume")).json()
            assert not resumed["paused"]
            assert (await it.client.post(f"{where}/resume")).json() == resumed
        after = (await it.client.get("/admin/jobs")).json()
    assert [job for job in after if job["job_id"] != "paused"] == [
        job for job in before if job["job_id"] != "paused"
    ]


@in_loop
async def test_resuming_what_is_not_paused_does_nothing(serve: Serve) -> None:
    """APScheduler would compute the next time anew, and jump one that is due this instant."""
    async with serve(Jobs()) as it:
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        it.service.scheduler.modify_job("nightly", next_run_time=due)
        await it.client.post("/admin/jobs/nightly/resume")
        job = it.service.scheduler.get_job("nightly")
        assert job is not None
        assert job.next_run_time == due


@in_loop
async def test_a_job_whose_schedule_has_ended_is_not_resumed(serve: Serve) -> None:
    """APScheduler would remove it without a word."""

    def jobs(service: Service) -> None:
        ended = cron(hour=3, end_date=kst(2020, 1, 1))
        service.scheduler.add_job(asyncio.sleep, ended, [0], id="ended", next_run_time=None)

    async with serve(jobs) as it:
        answer = await it.client.post("/admin/jobs/ended/resume")
        assert answer.status_code == 409
        assert "'ended' never fires again" in answer.json()["detail"]
        assert it.service.scheduler.get_job("ended")


@pytest.mark.parametrize("verb", ["run", "pause", "resume"])
@pytest.mark.parametrize(
    "job_id",
    [
        "nightlx",
        "",
        "%0A%0D%00%1B%7F",
        "%FF%FE%ED%A0%80",
        "..%2F..%2Fetc",
        "%2F",
        "nightly%2Frun",
        "nightly%00",
        "%EC%82%AC%EC%97%85%EC%9E%A5",
        "'; DROP TABLE crawl_runs; --",
    ],
    ids=["near", "empty", "control", "no UTF-8", "dots", "/", "run", "NUL", "ko", "SQL"],
)
@in_loop
async def test_an_unknown_job_is_404(serve: Serve, verb: str, job_id: str) -> None:
    """Whatever its id is made of; the answer is short."""
    async with serve(Jobs()) as it:
        answer = await it.client.post(f"/admin/jobs/{job_id}/{verb}")
    assert answer.status_code == 404
    assert len(answer.text) < 400
    assert isinstance(answer.json()["detail"], str)


@in_loop
async def test_a_megabyte_is_no_id(serve: Serve) -> None:
    """Neither as a job to run nor as one to look for, and the answer is short."""
    async with serve(Jobs()) as it:
        answer = await it.send("POST", f"/admin/jobs/{'x' * 1_000_000}/run")
        assert answer.status_code == 404
        assert len(answer.content) < 400
        answer = await it.send("GET", "/admin/runs", f"job_id={'x' * 1_000_000}")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["msg"] == "String should have at most 500 characters"


@in_loop
async def test_the_nearest_job_is_named(serve: Serve) -> None:
    """A misspelt id is told from one that has been removed."""
    async with serve(Jobs()) as it:
        answer = await it.client.post("/admin/jobs/nightlx/run")
    assert answer.json() == {"detail": "no job has the id 'nightlx'; did you mean 'nightly'?"}


@in_loop
async def test_any_id_that_a_job_may_have_can_be_run(serve: Serve) -> None:
    """Slashes, blanks, Hangul and percent signs, encoded as for any address."""
    jobs = Jobs()
    async with serve(jobs) as it:
        path = "/admin/jobs/nps%2F%EC%82%AC%EC%97%85%EC%9E%A5%20%252F%3F%23/run"
        answer = await it.client.post(path)
        assert answer.json()["job_id"] == "nps/사업장 %2F?#"
        await jobs.ended(it.service)


@in_loop
async def test_an_id_of_several_lines_names_its_job(serve: Serve) -> None:
    """It is accepted and listed, so it can be run, paused and resumed."""
    jobs = Jobs("two\nlines\r\n")
    async with serve(jobs) as it:
        path = "/admin/jobs/two%0Alines%0D%0A"
        for verb, status in {"pause": 200, "resume": 200, "run": 202}.items():
            answer = await it.client.post(f"{path}/{verb}")
            assert (answer.status_code, answer.json()["job_id"]) == (status, "two\nlines\r\n")
        await jobs.ended(it.service)
        runs = (await it.client.get("/admin/runs?job_id=two%0Alines%0D%0A")).json()["runs"]
        assert [run["status"] for run in runs] == ["ok"]


@in_loop
async def test_a_draining_service_starts_nothing(serve: Serve) -> None:
    """503, rather than a run that would be cut."""
    jobs = Jobs()
    async with serve(jobs) as it:
        await it.client.post("/admin/jobs/nightly/run")
        await jobs.started.wait()
        draining = asyncio.create_task(it.service.scheduler.drain(5))
        await asyncio.sleep(0)
        answer = await it.client.post("/admin/jobs/hourly/run")
        assert answer.status_code == 503
        assert "draining" in answer.json()["detail"]
        jobs.let_go.set()
        assert (await draining).complete


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/runs"),
        ("POST", "/admin/jobs/nightly/run"),
    ],
)
@in_loop
async def test_a_ledger_that_is_away_is_503(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    """With the reason, and without a password."""

    async def away(*_: object, **__: object) -> None:
        raise LedgerUnavailableError("postgresql://app:hidden@db:5432 refused")

    jobs = Jobs()
    async with serve(jobs) as it:
        monkeypatch.setattr(it.service.ledger, "rows", away)
        answer = await it.client.request(method, path)
        monkeypatch.undo()
    assert answer.status_code == 503
    assert answer.json() == {"detail": "postgresql://app:***@db:5432 refused"}
    assert not jobs.started.is_set()


@in_loop
async def test_runs_are_filtered_and_paged(serve: Serve) -> None:
    """By job, status and scheduled time; pages join without a gap or an overlap."""
    async with serve() as it:
        days = [TODAY - timedelta(days=day) for day in range(7)]
        for day in reversed(days):
            await it.miss(at=day)
        await it.miss("hourly", days[3])
        running = await claim(it.service.ledger, "hourly")

        async def found(**query: object) -> list[datetime]:
            answer = await it.client.get(
                "/admin/runs", params={k: str(v) for k, v in query.items()}
            )
            assert answer.status_code == 200, answer.text
            return [datetime.fromisoformat(row["scheduled_at"]) for row in answer.json()["runs"]]

        assert await found(job_id="nightly") == days
        assert await found(job_id="no-such-job") == []
        assert await found(status="running") == [TODAY]
        assert await found(job_id="nightly", status="running") == []
        span = {"since": days[4].astimezone(UTC).isoformat(), "until": days[2].isoformat()}
        assert await found(job_id="nightly", **span) == days[3:5]

        seen, query, pages = [], {"limit": 4}, 0
        while query.get("before_id", 1):
            page = (await it.client.get("/admin/runs", params=query)).json()
            seen += [row["id"] for row in page["runs"]]
            pages += 1
            query["before_id"] = page["next_before_id"]
    assert seen == sorted(seen, reverse=True)
    assert (len(set(seen)), len(seen), pages) == (9, 9, 3)
    assert seen[0] == running.row_id


@in_loop
async def test_a_run_is_told_in_full(serve: Serve) -> None:
    """In Korean time, with what a reader of logs and a dashboard need."""
    async with serve() as it:
        await it.miss(at=TODAY)
        answer = (await it.client.get("/admin/runs")).json()
    assert answer == {
        "runs": [
            {
                "id": 1,
                "run": Occurrence("nightly", TODAY).key,
                "job_id": "nightly",
                "scheduled_at": TODAY.isoformat(),
                "trigger": "schedule",
                "status": "missed",
                "attempt": 0,
                "instance": "a",
                "rows": None,
                "duration_ms": None,
                "error": "down",
                "started_at": None,
                "finished_at": None,
            }
        ],
        "next_before_id": None,
    }


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=2026-05-10T03:00:00", "a time without a zone.*write 2026-05-10T03:00:00%2B09:00"),
        ("until=2026-05-10", "a time without a zone"),
        ("since=2026-05-10T03:00:00+09:00", "a plus sign in an address is %2B"),
        ("since=yesterday", "not a time"),
        ("since=1700000000", "not a time"),
        ("since=0001-01-01T00:00:00%2B09:00", "beyond the calendar"),
        ("until=9999-12-31T23:59:59-09:00", "beyond the calendar"),
        ("limit=0", "greater than or equal to 1"),
        ("limit=1001", "less than or equal to 1000"),
        (f"limit={'9' * 10_000}", "Unable to parse"),
        ("limit=1e3", "valid integer"),
        ("before_id=0", "greater than or equal to 1"),
        (f"before_id={2**63}", "less than or equal to"),
        ("status=done", "'ok', 'error'"),
        ("job_id=", "at least 1 character"),
        ("job_id=%00", "pattern"),
        ("statu=ok", "Extra inputs are not permitted"),
    ],
    ids=lambda text: text[:24],
)
@in_loop
async def test_a_filter_that_cannot_be_meant_is_422(serve: Serve, query: str, said: str) -> None:
    """The answer says how to write it, and does not send back what was sent."""
    async with serve() as it:
        answer = await it.client.get(f"/admin/runs?{query}")
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["query", query.partition("=")[0]]
    assert re.search(said, problem["msg"])
    assert len(answer.text) < 600


@in_loop
async def test_odd_filters_are_taken_as_they_are(serve: Serve) -> None:
    """Whatever an id may hold is looked for, and harms nothing."""
    async with serve() as it:
        for job_id in ("%FF%FE", "%0A%1B", "'; DROP TABLE crawl_runs; --", "%25", "_%25"):
            answer = await it.client.get(f"/admin/runs?job_id={job_id}")
            assert (answer.status_code, answer.json()["runs"]) == (200, [])


@in_loop
async def test_no_error_is_logged_with_what_was_sent(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Wrong requests leave the key, and what was wrong, out of the log."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpx")  # the client of these tests
    async with serve(Jobs()) as it:
        await it.client.get("/admin/runs?since=hidden")
        await it.client.get("/admin/runs", headers={"Authorization": "Bearer hidden"})
        await it.client.post("/admin/jobs/hidden/run")
    assert KEY not in caplog.text
    assert "hidden" not in caplog.text


ODD_IDS = ("NUL \0", "half a pair \ud800", "long " * 120, "Korean 국민연금")


@pytest.mark.parametrize("verb", ["run", "pause", "resume"])
@in_loop
async def test_what_is_no_text_names_no_job(serve: Serve, verb: str) -> None:
    """NUL and surrogates: a job store of a database would fail on them."""

    def add(service: Service) -> None:
        service.scheduler.add_job(asyncio.sleep, cron(hour=3), [0], id="half a pair \ud800 more")

    async with serve(add) as it:
        for job_id in ("\0", "\ud800", "half a pair \ud800", "half a pair \ud800 more"):
            answer = await it.send("POST", f"/admin/jobs/{job_id}/{verb}")
            assert answer.status_code == 404, ascii(job_id)
        answer = await it.send("POST", f"/admin/jobs/half a pair/{verb}")  # it has a suggestion
        assert answer.status_code == 404


@in_loop
async def test_one_odd_job_spoils_the_list_for_nobody(serve: Serve) -> None:
    """Of a job that no ledger takes, none is running elsewhere."""

    def add(service: Service) -> None:
        for job_id in ODD_IDS:
            service.scheduler.add_job(asyncio.sleep, cron(hour=3), [0], id=job_id)

    async with serve(add) as it:
        listed = (await it.client.get("/admin/jobs")).json()
        expected = sorted(ODD_IDS)
        assert [job["job_id"] for job in listed] == [
            job_id.replace("\ud800", "\\ud800") for job_id in expected
        ]
        answer = await it.send("POST", f"/admin/jobs/{ODD_IDS[2]}/run")
        assert answer.status_code == 202
        it.service.scheduler.run_now(ODD_IDS[1])
        assert (await it.client.get("/admin/jobs")).status_code == 200
