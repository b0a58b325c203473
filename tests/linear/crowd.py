"""Processes of clients on one ledger, some of which are killed while they work.

``make_history`` starts this module as a program, which forks the processes of clients. A fork has
all modules loaded, so a process that was killed is replaced quickly.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger
from linear.clients import Client, cutter, hot_row
from linear.history import Call, History, Notes, file_sink, read_notes, seen

if TYPE_CHECKING:
    from kst_scheduler.servers import Server

PROCESSES: Final = 4
TASKS: Final = 8
"""Clients in each process."""
ROW_SECONDS: Final = 1.0
"""How long the same few rows are fought for."""
_BYTES: Final = 120
"""Of the notes of a call and its answer, at least."""
_POLL: Final = 0.005
_STDIN: Final = 0


def make_history(
    url: str,
    folder: Path,
    calls: int,
    seed: int,
    *,
    kills: int = 0,
    server: Server | None = None,
    crashes: int = 0,
) -> History:
    """Let a crowd of processes make calls to an empty ledger; return what they noted.

    Args:
        url: of the ledger.
        folder: for the notes; it is empty.
        calls: how many are made, about.
        seed: of what the clients do, and of which of them is killed when.
        kills: how many client processes are killed, and replaced.
        server: the PostgreSQL that is killed, and restarted.
        crashes: how often it is.

    """
    asyncio.run(_create(url))
    words = [sys.executable, __file__, url, folder, calls, seed, kills]
    # Its end tells the crowd that this process is gone.
    crowd = subprocess.Popen([*map(str, words)], stdin=subprocess.PIPE)  # noqa: S603 - this file
    with crowd:
        try:
            for number in range(crashes):
                share = (number + 1) / (crashes + 1)
                while crowd.poll() is None and _size(folder) < share * calls * _BYTES:
                    time.sleep(_POLL)
                assert server
                assert crowd.poll() is None, f"the crowd ended before crash {number + 1}"
                server.kill()
                server.restart()
            assert crowd.wait() == 0
        except BaseException:
            crowd.kill()
            raise
    history = read_notes(folder)
    asyncio.run(look_at_all(url, history))
    return history


async def look_at_all(url: str, history: History) -> None:
    """Look at each row that a history is about, and add what is seen."""
    ledger = SqlLedger(url)
    await ledger.open()
    called = time.monotonic()
    rows = {row.source: row for row in await ledger.rows()}
    returned = time.monotonic()
    await ledger.close()
    for name, calls in history.rows.items():
        calls.append(Call("the end", name, "look", called, returned, seen(rows.get(name))))


async def _create(url: str) -> None:
    ledger = SqlLedger(url)
    await ledger.open()
    await ledger.close()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.notes"))


# The program


@dataclass(frozen=True)
class _Process:
    pid: int
    path: Path
    """Of its notes."""
    calls: int
    """How many it has to make."""


class _Crowd:
    """The processes; ``run`` waits until they have made their calls, and kills some before."""

    def __init__(self, url: str, folder: Path, calls: int, seed: int, kills: int) -> None:
        self._url = url
        self._folder = folder
        self._random = Random(seed)  # noqa: S311 - no secret
        self._began = time.monotonic()
        self._forks = 0
        self._kill_at = [
            _BYTES * calls * (number + 1) / (kills + 1) for number in reversed(range(kills))
        ]
        """How much was noted by all when one of them is killed; the next such size is the last."""
        self._processes = [self._fork(calls // PROCESSES) for _ in range(PROCESSES)]

    def run(self) -> None:
        """Raise SystemExit where a client fails, or the process that started the crowd is gone."""
        try:
            while self._processes:
                if select.select([_STDIN], [], [], _POLL)[0]:
                    raise SystemExit("the process that started the crowd is gone")
                self._processes = [each for each in self._processes if not self._has_ended(each)]
                if self._kill_at and self._processes and _size(self._folder) >= self._kill_at[-1]:
                    self._kill_at.pop()
                    self._kill()
        finally:
            for each in self._processes:
                os.kill(each.pid, signal.SIGKILL)
        if self._kill_at:
            raise SystemExit(f"{len(self._kill_at)} clients were not killed: notes are too short")

    def _has_ended(self, process: _Process) -> bool:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if status:
            self._processes.remove(process)
            raise SystemExit(f"a client process ended with status {status}")
        return bool(pid)

    def _kill(self) -> None:
        """Kill a process, and start one for the calls that it has not made."""
        process = self._random.choice(self._processes)
        os.kill(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)
        self._processes.remove(process)
        history = History()
        with process.path.open("rb") as notes:
            history.add(notes, process.path.stem)
        self._processes.append(self._fork(process.calls - len(history.calls)))

    def _fork(self, calls: int) -> _Process:
        self._forks += 1
        path = self._folder / f"p{self._forks}.notes"
        seed = self._random.getrandbits(64)
        pid = os.fork()
        if not pid:
            self._be_client(path, calls, seed)
        return _Process(pid, path, calls)

    def _be_client(self, path: Path, calls: int, seed: int) -> None:
        status = 1
        # asyncpg leaves a future with an error behind when its connection is cut.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        try:
            notes = Notes(file_sink(path), path.stem)
            asyncio.run(self._visit(notes, calls, Random(seed)))  # noqa: S311 - no secret
            status = 0
        except BaseException:  # noqa: BLE001 - it would go on as the crowd's process
            traceback.print_exc()
        os._exit(status)

    async def _visit(self, notes: Notes, calls: int, random: Random) -> None:
        """Be one process: some clients on one ledger."""
        asyncio.get_running_loop().add_reader(_STDIN, os._exit, 1)
        ledger = SqlLedger(self._url)
        cut = cutter(ledger)
        while True:
            with contextlib.suppress(LedgerUnavailableError):  # the server was just killed
                await ledger.open()
                break
            await asyncio.sleep(_POLL)
        row = partial(hot_row, self._began, ROW_SECONDS)
        clients = [Client(ledger, notes, random, row, cut) for _ in range(TASKS)]
        await asyncio.gather(*(client.run(calls) for client in clients))
        await ledger.close()


if __name__ == "__main__":
    url, folder, calls, seed, kills = sys.argv[1:]
    _Crowd(url, Path(folder), int(calls), int(seed), int(kills)).run()
