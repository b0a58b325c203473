from __future__ import annotations

import socket

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
