"""A cluster of its own for each test: the servers are killed, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from kst_scheduler.servers.valkey import Valkey
from real_cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def seconds_between_fires() -> int:
    """Return how often each job is due; a test may set another number."""
    return 1


@pytest.fixture
def cluster(
    tmp_path: Path, seconds_between_fires: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """Yield three replicas that are up, on servers of their own."""
    monkeypatch.setenv("SECONDS_BETWEEN_FIRES", str(seconds_between_fires))
    with (
        EmbeddedServer(Postgres()) as postgres,
        EmbeddedServer(Valkey()) as valkey,
        Cluster(postgres, valkey, tmp_path) as cluster,
    ):
        cluster.wait_until_up()
        yield cluster
