from __future__ import annotations

import importlib.util
import os
import socket
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from kst_scheduler.errors import ServerError
from kst_scheduler.servers import embedded, embedded_postgres, embedded_valkey
from kst_scheduler.servers.ports import free_port
from server_kinds import KINDS, Kind, command_lines, listens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kst_scheduler.servers.embedded import EmbeddedServer


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Yield a socket that takes connections on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_server_without_a_folder_leaves_nothing(kind: Kind, temporary: Path) -> None:
    """Its state is in a temporary folder, which is gone with the server."""
    with kind.make(None) as server:
        kind.write(server.url, "word")
        assert server.embedded
        assert server.folder is not None
        assert server.folder.parent == temporary
        port = server.port
    assert server.folder is None
    assert list(temporary.iterdir()) == []
    assert not listens(port)


def test_a_folder_is_kept(kind: Kind, tmp_path: Path) -> None:
    """What was written is there, under the same password, when the folder is used again."""
    folder = tmp_path / "국민연금 '사업장' \"상태\""
    with kind.make(folder) as server:
        kind.write(server.url, "연금")
        before = server.url.replace(str(server.port), "PORT")
    with kind.make(folder) as server:
        assert server.folder == folder
        assert kind.read(server.url) == ["연금"]
        assert server.url.replace(str(server.port), "PORT") == before


def test_data_survive_kill_and_restart(kind: Kind) -> None:
    """After kill -9 the server comes back with the same port, password and data."""
    with kind.make(None) as server:
        url = server.url
        kind.write(url, "first")
        server.kill()
        assert not listens(server.port)
        assert server.restart().url == url
        kind.write(url, "second")
        assert server.restart().url == url
        server.kill()
        assert server.start().url == url
        assert server.start().url == url
        assert kind.read(url) == ["first", "second"]


def test_stop_and_start_begin_anew(kind: Kind) -> None:
    """A server that was stopped can be started again; stopping twice is harmless."""
    server = kind.make(None).start()
    kind.write(server.url, "word")
    server.stop()
    server.stop()
    with server:
        assert kind.read(server.url) == []


def test_a_taken_port_is_passed_over(
    kind: Kind, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that somebody takes before the server can is given up for another."""
    taken: int = listener.getsockname()[1]
    ports = iter([taken, taken])
    monkeypatch.setattr(embedded, "free_port", lambda: next(ports, None) or free_port())
    with kind.make(None) as server:
        assert server.port != taken
        assert kind.read(server.url) == []


def test_restart_waits_for_its_own_port(kind: Kind) -> None:
    """It does not move to another port; when the port is free again, the data are there."""
    with kind.make(None) as server:
        kind.write(server.url, "word")
        server.kill()
        with (
            socket.create_server(("127.0.0.1", server.port)),
            pytest.raises(ServerError, match=f"another program uses its port {server.port}\n"),
        ):
            server.restart()
        server.restart()
        assert kind.read(server.url) == ["word"]


def test_two_servers_at_once(kind: Kind) -> None:
    """Each has its own port, password and data."""
    with kind.make(None) as one, kind.make(None) as other:
        kind.write(one.url, "word")
        assert one.port != other.port
        assert one.url.replace(str(one.port), "") != other.url.replace(str(other.port), "")
        assert kind.read(other.url) == []


def test_a_folder_serves_one_at_a_time(tmp_path: Path) -> None:
    """The second server on a folder is refused, and the first one works on."""
    valkey = KINDS["valkey"]
    with valkey.make(tmp_path) as server:
        with pytest.raises(ServerError, match=f"in use by process {os.getpid()}: stop"):
            valkey.make(tmp_path).start()
        assert valkey.read(server.url) == []


def test_the_password_is_wanted(valkey_url: str, postgres_url: str) -> None:
    """Without the password, or with another one, nobody gets in."""
    port = urlsplit(valkey_url).port or 0
    with (
        redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    with pytest.raises(psycopg.OperationalError, match="no password"):
        psycopg.connect(user="postgres", host="127.0.0.1", port=urlsplit(postgres_url).port)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(postgres_url, password="wrong")  # noqa: S106 - this is the point


def test_the_password_is_shown_nowhere(running: EmbeddedServer) -> None:
    """It is in the URL and in one file for its owner only; not in ps, repr, logs or data."""
    password = running.url.split("@")[0].rpartition(":")[2]
    assert str(running.port) in repr(running)
    assert password not in repr(running)
    assert str(running.port) in command_lines()
    assert password not in command_lines()
    assert running.folder is not None
    files = [path for path in running.folder.rglob("*") if path.is_file()]
    holders = [path for path in files if password.encode() in path.read_bytes()]
    assert [path.name for path in holders] == ["password"]
    assert holders[0].stat().st_mode & 0o777 == 0o600


def test_a_server_that_is_not_started_has_no_url(kind: Kind, tmp_path: Path) -> None:
    """The message says what to call; a folder that was asked for is known all the same."""
    server = kind.make(tmp_path)
    for ask in (lambda: server.url, lambda: server.port, server.restart):
        with pytest.raises(ServerError, match=r"has not been started: call start\(\) first"):
            ask()
    assert "not started" in repr(server)
    assert server.folder == tmp_path
    server.kill()


def test_a_missing_wheel_names_the_variable(
    kind: Kind, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the wheel is not installed, the message says what to set, and nothing is left."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ServerError, match=rf"not installed.* Set {kind.variable}=\w+://"):
        kind.make(None).start()
    assert list(temporary.iterdir()) == []


def test_a_server_that_does_not_start_says_why(kind: Kind, tmp_path: Path) -> None:
    """Its last words are in the message, and so is the variable to set."""
    (tmp_path / kind.name).mkdir()
    (tmp_path / kind.name / "data").write_text("not a folder")
    with pytest.raises(ServerError, match=rf"(?s)did not start: .*data.*set {kind.variable}="):
        kind.make(tmp_path).start()


def test_a_folder_that_cannot_be_made_is_named(kind: Kind, tmp_path: Path) -> None:
    """A path below a file is refused with its name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match=r"Not a directory: '.*/file/"):
        kind.make(tmp_path / "file").start()


def test_a_forked_child_owns_no_server(kind: Kind, running: EmbeddedServer) -> None:
    """stop() in a child that was forked leaves the parent's server alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12: there are threads
        child = os.fork()
    if child == 0:
        running.stop()
        os._exit(0)
    os.waitpid(child, 0)
    kind.write(running.url, "after the fork")


def test_what_is_kept_is_synced(tmp_path: Path) -> None:
    """One folder holds the state of both kinds, and PostgreSQL waits for the disk."""
    with (
        embedded_valkey(tmp_path),
        embedded_postgres(tmp_path) as server,
        psycopg.connect(server.url) as connection,
    ):
        assert {path.name for path in tmp_path.iterdir()} == {"valkey", "postgresql"}
        assert connection.execute("SHOW fsync").fetchall() == [("on",)]


def test_throw_away_servers_are_set_up_for_speed_and_this_machine(
    valkey_url: str, postgres_url: str
) -> None:
    """They listen on the loopback address alone, and PostgreSQL does not wait for the disk."""
    with redis.from_url(valkey_url) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchall() == [("127.0.0.1",)]
        assert connection.execute("SHOW fsync").fetchall() == [("off",)]
        assert connection.execute("SHOW timezone").fetchall() == [("UTC",)]
