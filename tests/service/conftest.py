"""What the tests of the service have in common: no settings of the host's, and a way to run one."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from kst_scheduler.service import Settings, create_app
from kst_scheduler.service.app import lifespan
from served import BEARER, KEY, Serve, Served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kst_scheduler.service import Service


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of the host's reach a test."""
    for name in os.environ:
        if name.upper().startswith("KST_SCHEDULER_") or name in {"REDIS_URL", "DATABASE_URL"}:
            monkeypatch.delenv(name)
    monkeypatch.delenv("NPS_BASE_URL", raising=False)
    monkeypatch.delenv("NPS_SERVICE_KEY", raising=False)


@pytest.fixture
def serve() -> Serve:
    """Return a context manager that runs a service with these jobs and settings."""

    @asynccontextmanager
    async def run(
        jobs: Callable[[Service], object] = lambda _: None, **settings: Any
    ) -> AsyncIterator[Served]:
        app = create_app(Settings(jobs=jobs, **{"admin_key": SecretStr(KEY), **settings}))
        async with (
            lifespan(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://service",
                headers={"Authorization": BEARER},
            ) as client,
        ):
            yield Served(app, client)

    return run
