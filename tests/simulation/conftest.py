"""What the tests of the simulation have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _closed_job_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what simulated processes leave open when they end: Python 3.13 began to warn of it."""
    made: list[Any] = []
    make = SQLAlchemyJobStore.__init__

    def note(store: Any, *args: Any, **kwargs: Any) -> None:
        make(store, *args, **kwargs)
        made.append(store)

    monkeypatch.setattr(SQLAlchemyJobStore, "__init__", note)
    yield
    for store in made:
        store.engine.dispose()
