"""Every ledger that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kst_scheduler.ledger import MemoryLedger, SqlLedger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kst_scheduler.ledger import Ledger

    NewLedger = Callable[[], Ledger]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def new_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> NewLedger:
    """Return a maker of a ledger of one store."""
    if request.param == "memory":
        return MemoryLedger
    if request.param == "sqlite":
        return lambda: SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    url = request.getfixturevalue("postgres_url")
    return lambda: SqlLedger(url)
