from __future__ import annotations

import pytest

from in_loop import in_loop
from kst_scheduler.errors import ServerError
from kst_scheduler.servers import embedded_postgres, embedded_valkey

MAKERS = {
    "REDIS_URL": (embedded_valkey, "redis://app:secret@cache:6380/1"),
    "DATABASE_URL": (embedded_postgres, "postgresql://app:secret@db:5433/crawl"),
}


@pytest.mark.parametrize("variable", list(MAKERS))
def test_a_variable_overrides_the_embedded_server(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL is the variable's, nothing is started, and nothing has to be there."""
    make, url = MAKERS[variable]
    monkeypatch.setenv(variable, url)
    with make() as server:
        assert (server.url, server.embedded, server.folder) == (url, False, None)
        assert server.port in {6380, 5433}
        assert repr(server) == f"<GivenServer from {variable}>"


@in_loop
async def test_it_is_used_in_the_same_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """``async with``, start() and stop() work on it, too."""
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    async with embedded_valkey() as server:
        assert server.start() is server
        server.stop()


@pytest.mark.parametrize("variable", list(MAKERS))
@pytest.mark.parametrize("verb", ["kill", "restart"])
def test_somebody_elses_server_is_never_killed(
    variable: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill() and restart() are refused, and the message says what to unset."""
    make, url = MAKERS[variable]
    monkeypatch.setenv(variable, url)
    with pytest.raises(ServerError, match=rf"{verb}\(\) is for embedded .*: unset {variable}"):
        getattr(make(), verb)()


@pytest.mark.parametrize(
    ("variable", "url", "port"),
    [
        ("REDIS_URL", "rediss://cache/0", 6379),
        ("DATABASE_URL", "postgres://db/crawl", 5432),
        ("DATABASE_URL", "postgresql+asyncpg://db/crawl", 5432),
    ],
)
def test_the_port_may_be_the_protocols_own(
    variable: str, url: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the URL names no port, the usual one is meant."""
    monkeypatch.setenv(variable, url)
    assert MAKERS[variable][0]().port == port


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("REDIS_URL", "http://app:secret@cache"),
        ("REDIS_URL", "cache:secret"),
        ("REDIS_URL", "redis://:secret@cache:port"),
        ("REDIS_URL", "redis://[secret"),
        ("DATABASE_URL", "sqlite:///secret"),
        ("DATABASE_URL", "postgresql://app:secret@db:99999/crawl"),
    ],
)
def test_another_url_is_refused(variable: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to write, and shows nothing of what may be a password."""
    monkeypatch.setenv(variable, url)
    with pytest.raises(ServerError, match=rf"{variable} is .*: write \w+://.* or unset") as caught:
        MAKERS[variable][0]()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("variable", list(MAKERS))
def test_an_empty_variable_is_none(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable counts as unset."""
    monkeypatch.setenv(variable, "")
    assert MAKERS[variable][0]().embedded
