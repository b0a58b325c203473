from __future__ import annotations

import psycopg
import pytest
import redis


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_an_empty_valkey(valkey_url: str, turn: int) -> None:
    """What one test writes, the next one does not see."""
    with redis.from_url(valkey_url) as client:
        assert client.keys() == []
        client.set("turn", turn)


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_an_empty_database(postgres_url: str, turn: int) -> None:
    """What one test writes, the next one does not see."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE turns (turn int)")
        connection.execute("INSERT INTO turns VALUES (%s)", [turn])
