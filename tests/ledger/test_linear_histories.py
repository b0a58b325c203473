"""Whether what many clients see of a real database is linearizable, and whether a fault shows.

A million calls: ``uv run python benchmarks/linear_histories.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import literal_column, or_
from sqlalchemy.sql import operators

from kst_scheduler.ledger import SqlLedger, statements
from kst_scheduler.ledger.claiming import Obstacles
from kst_scheduler.ledger.sql import SqlClaims
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from ledgers import opened
from linear.check import check
from linear.clients import Client
from linear.crowd import make_history
from linear.history import History, Notes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from sqlalchemy import ColumnElement

    from kst_scheduler.ledger import ClaimRequest

    Look = Callable[[SqlClaims, ClaimRequest], Coroutine[Any, Any, Obstacles]]

CALLS = 1_000
MANY = 5_000


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """Start a PostgreSQL of this module's own, to be killed."""
    with EmbeddedServer(Postgres()) as server:
        yield server


def check_well(history: History, calls: int) -> None:
    """Nothing contradicts, and the history has what is to be checked."""
    assert check(history) == []
    made = history.calls
    assert len(made) >= calls
    kinds = Counter(call.kind for call in made)
    assert min(kinds[kind] for kind in ("claim", "renew", "finish", "look", "close")) > 0
    assert any(not call.is_known for call in made)
    assert max(call.attempt for call in made) > 1


def test_calls_to_an_sqlite_file_are_linearizable(tmp_path: Path) -> None:
    """Four processes, of which one is killed; answers are dropped."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    check_well(make_history(url, tmp_path, CALLS, 1, kills=1), CALLS)


def test_calls_to_postgresql_are_linearizable(server: EmbeddedServer, tmp_path: Path) -> None:
    """The server is killed as well, and connections are cut."""
    history = make_history(server.url, tmp_path, CALLS, 1, kills=1, server=server, crashes=1)
    check_well(history, CALLS)


@pytest.mark.long
def test_many_calls_to_an_sqlite_file(tmp_path: Path) -> None:
    """Longer, and with more that are killed."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    check_well(make_history(url, tmp_path, MANY, 2, kills=10), MANY)


@pytest.mark.long
def test_many_calls_to_postgresql(server: EmbeddedServer, tmp_path: Path) -> None:
    """Longer, and with more that are killed."""
    history = make_history(server.url, tmp_path, MANY, 2, kills=10, server=server, crashes=3)
    check_well(history, MANY)


# Does it notice? Each condition of a WHERE is dropped, one at a time.

ALWAYS = literal_column("1") == literal_column("1")
"""A condition that holds for every row."""
DROPPED = {
    "RENEW": {"id": 0, "attempt": 1, "running": 2},
    "FINISH": {"id": 0, "attempt": 1, "running or ended so": 2},
    "CLOSE": {"over": 3, "lease as seen": 4},
    "RETAKE": {"id": 0, "attempt": 1, "lease as seen": 3},
}
"""Conditions of each statement, and their places. Those that others imply are left out: a lease is
given to one attempt of one row, and while it runs; so a row that is closed is known by the lease
that was seen, and one that is taken by its attempt, and by whether it has a lease."""
AT_ONCE = {("RENEW", "attempt"), ("FINISH", "attempt"), ("CLOSE", "over")}
"""These are tried each time, the others with the long tests."""
ROUNDS = 100
ENDLESS = ("RETAKE", "id")
"""A claim that writes two rows at once tries again for ever; its round is cut after two seconds."""


def without(name: str, place: int) -> Any:
    """Return a statement whose condition of that place is dropped."""
    statement = copy.copy(getattr(statements, name))
    every: list[ColumnElement[bool]] = []
    for each in statement._where_criteria:
        every += each.clauses if each.operator is operators.and_ else [each]
    every[place] = or_(every[place], ALWAYS)  # its parameters are still bound
    statement._where_criteria = tuple(every)
    return statement


async def first_fault(url: str, seconds: float | None = None) -> str | None:
    """Let the clients of two ledgers call until something is wrong; return what."""
    for number in range(ROUNDS):
        history = await play(url, number, seconds)
        faults = check(history)
        if faults:
            return faults[0]
    return None


def hot(number: int, random: Random) -> str:
    """Return the name of one of two rows."""
    return f"{number}-{random.randrange(2)}"


async def play(url: str, number: int, seconds: float | None) -> History:
    """Let eight clients make 300 calls about two rows, or stop them after so many seconds."""
    history = History()
    async with opened(SqlLedger(url)) as one, opened(SqlLedger(url)) as other:
        clients = []
        lines: dict[str, list[bytes]] = {"p0": [], "p1": []}
        for (who, noted), ledger in zip(lines.items(), (one, other), strict=True):
            notes = Notes(noted.append, who)
            random = Random(f"{number} {who}")  # noqa: S311 - no secret
            clients += [Client(ledger, notes, random, partial(hot, number)) for _ in range(4)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(client.run(150) for client in clients))
    for who, noted in lines.items():
        history.add(noted, who)
    return history


def look_and_hesitate(change: Callable[[Obstacles], Obstacles]) -> Look:
    """Return the look of a claim, after which its process is sometimes slow."""
    look, random = SqlClaims.obstacles, Random(0)  # noqa: S311 - no secret

    async def obstacles(claims: SqlClaims, request: ClaimRequest) -> Obstacles:
        found = await look(claims, request)
        await asyncio.sleep(random.choice([0, 0.03]))
        return change(found)

    return obstacles


@pytest.mark.parametrize(
    ("statement", "condition"),
    [
        pytest.param(name, what, marks=() if (name, what) in AT_ONCE else pytest.mark.long)
        for name, places in DROPPED.items()
        for what in places
    ],
)
def test_a_dropped_condition_is_found(
    statement: str, condition: str, sql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the statements that renew, finish, close and take a row, one condition at a time."""
    mutant = without(statement, DROPPED[statement][condition])
    monkeypatch.setattr(statements, statement, mutant)
    monkeypatch.setattr(SqlClaims, "obstacles", look_and_hesitate(lambda found: found))
    seconds = 2 if (statement, condition) == ENDLESS else None
    assert asyncio.run(first_fault(sql_url, seconds))


def test_a_claim_that_ignores_the_lease_is_found(
    sql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To it, the lease of every run is over."""

    def as_over(found: Obstacles) -> Obstacles:
        return Obstacles(*(each and each._replace(lease_is_over=True) for each in found))

    monkeypatch.setattr(SqlClaims, "obstacles", look_and_hesitate(as_over))
    assert asyncio.run(first_fault(sql_url))


@pytest.mark.long
def test_a_write_of_missed_over_any_row_is_found(
    sql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if each row that there is were one that was called missed before its time."""
    monkeypatch.setattr(statements, "_UNTIMELY", ALWAYS)
    assert asyncio.run(first_fault(sql_url))
