"""What the tests of the embedded servers have in common."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from server_kinds import KINDS, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from kst_scheduler.servers.embedded import EmbeddedServer


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of server in turn."""
    return KINDS[request.param]


@pytest.fixture
def running(kind: Kind, request: pytest.FixtureRequest) -> EmbeddedServer:
    """Return the server of each kind that this process has anyway, emptied."""
    name = {"valkey": "valkey", "postgresql": "postgres"}[kind.name]
    request.getfixturevalue(f"{name}_url")
    server: EmbeddedServer = request.getfixturevalue(f"_{name}")
    return server


@pytest.fixture(autouse=True)
def _no_servers_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no server of the machine that runs the tests stand in for an embedded one."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which temporary folders are made during this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(folder))
    return folder
