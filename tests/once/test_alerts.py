import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.ledger import LedgerRow
from kst_scheduler.once import alerts as module
from kst_scheduler.once.alerts import payload, webhook
from kst_scheduler.servers.local_server import serve_locally

HOOK = "/services/T0/B0/secret"


def missed(number: int = 0) -> LedgerRow:
    """Return a row that was missed, at 03:00 KST and so many seconds."""
    return LedgerRow(
        id=number,
        source="nps",
        scheduled_at=datetime(2026, 5, 9, 18, number // 60, number % 60, tzinfo=UTC),
        attempt=0,
        instance="A",
        status="missed",
        rows=None,
        duration_ms=None,
        error="0:12:00 late, catch-up window 0:05:00",
        trigger="schedule",
        claimed_at=None,
        lease_until=None,
        started_at=None,
        finished_at=None,
    )


class Chat:
    """A chat service on loopback: it keeps what it is sent, and answers as it is told."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.answering = asyncio.Event()
        self.answering.set()
        self.requests: list[Request] = []
        self.bodies: list[dict[str, Any]] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Listen, and yield the address of its hook."""
        app = FastAPI()
        app.add_api_route("/{path:path}", self._answer, methods=["POST"], response_model=None)
        async with serve_locally(app) as url:
            yield f"{url}{HOOK}"

    async def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        self.bodies.append(await request.json())
        await self.answering.wait()
        return Response(status_code=self.status)


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the errors that the hook has logged."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR and record.name == module.__name__
    ]


def test_the_text_is_for_people_and_the_runs_for_programs() -> None:
    """Times stand in KST, and the run under the key that every replica gives it."""
    assert payload([missed()]) == {
        "text": "1 run(s) did not happen\n"
        "nps at 2026-05-10 03:00:00 KST: missed, 0:12:00 late, catch-up window 0:05:00",
        "runs": [
            {
                "run": "nps@2026-05-09T18:00:00Z",
                "job_id": "nps",
                "scheduled_at": "2026-05-10T03:00:00+09:00",
                "status": "missed",
                "reason": "0:12:00 late, catch-up window 0:05:00",
                "instance": "A",
            }
        ],
    }


def test_many_runs_are_one_alert_of_a_bounded_size() -> None:
    """The latest are named, and how many came before."""
    body = payload([missed(number) for number in range(250)])
    assert body["text"].splitlines()[:2] == ["250 run(s) did not happen", "(150 more before)"]
    assert len(body["runs"]) == 100
    assert body["runs"][-1]["run"] == "nps@2026-05-09T18:04:09Z"


@in_loop
async def test_it_posts_json_to_the_whole_address() -> None:
    """The secret part of the address reaches the service."""
    chat = Chat()
    async with chat.open() as url:
        await webhook(url)([missed()])
    (request,) = chat.requests
    assert chat.bodies == [payload([missed()])]
    assert str(request.url) == url


@in_loop
async def test_the_address_is_in_no_line_of_the_log(our_log: pytest.LogCaptureFixture) -> None:
    """Neither of httpx's, at any level, nor of our own."""
    our_log.set_level(logging.DEBUG)
    async with Chat(404).open() as url:
        await webhook(url)([missed()])
    assert "HTTP Request: POST http://127.0.0.1" in our_log.text
    assert "secret" not in our_log.text


@in_loop
async def test_credentials_in_the_address_are_sent_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As HTTP Basic, which is what that form of an address stands for."""
    caplog.set_level(logging.DEBUG)
    chat = Chat()
    async with chat.open() as url:
        await webhook(url.replace("://", "://app:secret@"))([missed()])
    assert chat.requests[0].headers["authorization"] == "Basic YXBwOnNlY3JldA=="
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [302, 404, 500])
@in_loop
async def test_an_answer_that_is_no_success_is_logged(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, and nothing is raised; a redirection is not followed."""
    async with Chat(status).open() as url:
        await webhook(url)([missed(), missed(1)])
    (record,) = errors_in(caplog)
    assert record == f"the alert to 127.0.0.1 about 2 run(s) failed: HTTP {status}"


@in_loop
async def test_a_service_that_is_away_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing listens at the port any more."""
    async with Chat().open() as url:
        pass
    await webhook(url)([missed()])
    (record,) = errors_in(caplog)
    assert record.endswith("failed: ConnectError")


@in_loop
async def test_a_service_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After ten seconds, which are shorter here."""
    monkeypatch.setattr(module, "SECONDS", 0.2)
    chat = Chat()
    chat.answering.clear()
    async with chat.open() as url:
        await webhook(url)([missed()])
        chat.answering.set()
    (record,) = errors_in(caplog)
    assert record.endswith("failed: no answer within 0.2 s")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chat.example/hooks/secret",
        "ftp://chat.example/secret",
        "http://",
        "http://secret:port/",
    ],
)
def test_an_incomplete_address_is_refused_and_not_repeated(url: str) -> None:
    """It may be a secret."""
    with pytest.raises(InvalidArgumentError, match=r"needs a complete URL; write webhook\(") as e:
        webhook(url)
    assert "secret" not in str(e.value)
