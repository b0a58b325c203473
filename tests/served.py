"""A service that runs inside a test, and a client that has its admin key."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import httpx

from kst_scheduler.scheduler.occurrence import Occurrence

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kst_scheduler.service import Service

KEY: Final = "a-key-for-these-tests-only"
BEARER: Final = f"Bearer {KEY}"


@dataclass
class Served:
    """A service that runs, and a client that has the admin key."""

    app: FastAPI
    client: httpx.AsyncClient

    @property
    def service(self) -> Service:
        """Its parts."""
        service: Service = self.app.state.service
        return service

    async def timeline(self, query: str = "") -> httpx.Response:
        """Ask for the page of the last runs, as a browser does."""
        return await self.client.get(f"/timeline{query}", auth=("reader", KEY))

    async def miss(
        self, job_id: str = "nightly", at: datetime | None = None, reason: str = "down"
    ) -> None:
        """Write the row of a run that was missed; now, unless told otherwise."""
        late = Occurrence(job_id, at or datetime.now(UTC))
        await self.service.ledger.record_missed(late, reason, "a")

    async def send(self, method: str, path: str, query: str = "") -> httpx.Response:
        """Send what httpx would not: addresses beyond 64 KB."""
        said: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("utf-8", "surrogatepass"),
            "query_string": query.encode(),
            "headers": [(b"authorization", BEARER.encode())],
        }
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        return httpx.Response(said[0]["status"], content=said[1]["body"])


Serve = Callable[..., AbstractAsyncContextManager[Served]]
"""Runs a service with a jobs function and settings: the fixture ``serve``."""
