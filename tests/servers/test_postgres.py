from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from kst_scheduler.errors import ServerError
from kst_scheduler.servers import embedded_postgres
from server_kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from kst_scheduler.servers.server import Server

BUSY = "SELECT count(*) FROM generate_series(1, 4000000)"
IS_BUSY = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND state = 'active'"


def keep_busy(server: Server) -> None:
    """Run a query that never looks whether its server is still there."""
    try:
        with psycopg.connect(server.url) as connection:
            connection.execute(BUSY)
    except psycopg.OperationalError:
        pass  # as the server was killed


def test_restart_waits_for_what_a_killed_server_left_running() -> None:
    """A query outlives the server that was killed; until it ends, no other may start."""
    with embedded_postgres() as server:
        query = threading.Thread(target=keep_busy, args=[server])
        with psycopg.connect(server.url, autocommit=True) as connection:
            query.start()
            while connection.execute(IS_BUSY, [BUSY]).fetchall() != [(1,)]:
                pass
        server.kill()
        server.restart()
        query.join()
        assert KINDS["postgresql"].read(server.url) == []


def test_a_cluster_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    """What an interrupted first start left behind is no obstacle to the next."""
    (tmp_path / "postgresql" / "data.new" / "base").mkdir(parents=True)
    with embedded_postgres(tmp_path) as server:
        KINDS["postgresql"].write(server.url, "word")
    assert not (tmp_path / "postgresql" / "data.new").exists()


def test_what_postgres_says_is_in_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words come first, then what to set."""
    monkeypatch.setattr("kst_scheduler.servers.postgres._SETTINGS", {"no_such_setting": "1"})
    with pytest.raises(ServerError, match=r"(?s)no_such_setting.*set DATABASE_URL=postgresql://"):
        embedded_postgres(tmp_path).start()


def test_a_lost_password_is_said(tmp_path: Path) -> None:
    """Each time, until it is back: the database remembers it, so a new one is of no use."""
    with embedded_postgres(tmp_path):
        pass
    password = tmp_path / "postgresql" / "password"
    kept = password.rename(tmp_path / "kept")
    for _ in range(2):
        with pytest.raises(
            ServerError, match=r"is lost: there is no file '.*password'; put it back"
        ):
            embedded_postgres(tmp_path).start()
    kept.rename(password)
    with embedded_postgres(tmp_path) as server:
        assert server.port
