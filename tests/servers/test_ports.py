from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kst_scheduler.errors import ServerError
from kst_scheduler.servers import ports
from kst_scheduler.servers.ports import free_port, is_taken


def test_a_free_port_can_be_listened_on() -> None:
    """It is free when it is returned, and taken while somebody listens, or is about to."""
    port = free_port()
    assert not is_taken(port)
    with socket.create_server(("127.0.0.1", port)):
        assert is_taken(port)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", port))
        assert is_taken(port)
    assert not is_taken(port)


def test_no_connection_gets_the_port_of_a_server_that_is_stopped() -> None:
    """Linux gives connections the ports of this range, and it would be taken at the restart."""
    path = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not path.exists():
        pytest.skip("macOS and Windows begin at 49152")
    first, last = map(int, path.read_text(encoding="ascii").split())
    assert not {free_port() for _ in range(50)} & set(range(first, last + 1))


def test_when_all_are_taken_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is tried."""
    tried: set[int] = set()

    def note(port: int) -> bool:
        tried.add(port)
        return True

    monkeypatch.setattr(ports, "is_taken", note)
    with pytest.raises(ServerError, match="no port between 20000 and 32767 is free"):
        free_port()
    assert len(tried) == 12_768
