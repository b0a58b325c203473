"""The name of this replica, where it has not been given one."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from typing import Final
from weakref import WeakKeyDictionary

_numbers: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, int]] = WeakKeyDictionary()
_next_number: Final = itertools.count(1)


def this_replica() -> str:
    """Return host name and process id, and a number where the process has several event loops.

    Each simulated node has a loop. It is a name for people: containers on the network of their
    host may share it, so a claim is known by its token instead.
    """
    loop = asyncio.get_running_loop()
    if loop not in _numbers:
        _numbers[loop] = next(_next_number)
    number = _numbers[loop]
    suffix = f".{number}" if number > 1 else ""
    return f"{socket.gethostname()}-{os.getpid()}{suffix}"
