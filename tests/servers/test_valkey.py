from __future__ import annotations

import os
from pathlib import Path

import pytest

from kst_scheduler.errors import ServerError
from kst_scheduler.servers.valkey import find_binary


def test_the_binary_is_that_of_the_wheel() -> None:
    """It is found without importing the package, whose own start is not used."""
    binary = find_binary()
    assert binary.name == "valkey-server"
    assert os.access(binary, os.X_OK)


def test_windows_has_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says so, and what to set instead."""
    monkeypatch.setattr(Path, "glob", lambda _path, _pattern: iter(()))
    with pytest.raises(ServerError, match=r"none for Windows\). Set REDIS_URL=redis://"):
        find_binary()
