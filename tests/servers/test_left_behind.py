"""Whole processes with both servers: how they end, and that nothing stays."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from kst_scheduler.servers.lock import take
from kst_scheduler.servers.temporary import remove_left_behind
from server_kinds import KINDS, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parent.parent

NOTEBOOK = """
import os, signal, sys
from pathlib import Path
from kst_scheduler.servers.lock import take
from kst_scheduler.servers.temporary import remove_left_behind
from server_kinds import KINDS
folder = Path(sys.argv[1]) if sys.argv[1:] else None
servers = [kind.make(folder).start() for kind in KINDS.values()]
for kind, server in zip(KINDS.values(), servers):
    kind.write(server.url, str(os.getpid()))
print(*(server.port for server in servers), *(server.folder for server in servers), flush=True)
for line in sys.stdin:
    print(*(kind.read(server.url) for kind, server in zip(KINDS.values(), servers)), flush=True)
"""

TEST_RUN = """
import sys
from conftest import _database, _postgres, _valkey, postgres_url, valkey_url
from urllib.parse import urlsplit

def test_with_both(valkey_url, postgres_url):
    print("\\n", urlsplit(valkey_url).port, urlsplit(postgres_url).port, flush=True)
    sys.stdin.read()
"""

NO_ZOMBIE = """
import os
from kst_scheduler.servers.lock import take
from kst_scheduler.servers.temporary import remove_left_behind
from server_kinds import KINDS
for kind in KINDS.values():
    with kind.make(None) as server:
        server.kill()
        server.restart()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no children")
"""


@contextlib.contextmanager
def python(*arguments: str | Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run another Python, which finds the helpers of these tests; it is killed in the end."""
    with subprocess.Popen(  # noqa: S603 - this very Python
        [sys.executable, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
        env={**os.environ, **variables},
    ) as process:
        yield process
        process.kill()


def line(stream: IO[str] | None) -> list[str]:
    """Return the words of the next line that is not empty."""
    assert stream is not None
    return next(words for words in map(str.split, stream) if words)


def is_held(folder: Path) -> bool:
    """Return whether a process has the temporary folder locked."""
    with (folder / "lock").open() as file:
        return not take(file.fileno())


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until ``holds``, and fail with ``what`` after half a minute."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children of the killed")
def test_nothing_outlives_a_process_that_is_killed(number: signal.Signals, temporary: Path) -> None:
    """Its servers end, its temporary folders go when the next server is started."""
    with python("-c", NOTEBOOK, TMPDIR=str(temporary)) as notebook:
        *ports, _, _ = line(notebook.stdout)
        assert all(listens(int(port)) for port in ports)
        notebook.send_signal(number)
        wait_until(lambda: not any(listens(int(port)) for port in ports), "the servers live")
    left = list(temporary.iterdir())
    assert len(left) == 2
    for folder in left:
        os.utime(folder, (0, 0))
    wait_until(lambda: not any(map(is_held, left)), "processes of the servers live")
    remove_left_behind()
    assert list(temporary.iterdir()) == []


def test_a_process_that_ends_stops_its_servers(tmp_path: Path) -> None:
    """Nobody called stop(): the folders are gone all the same."""
    with python("-c", NOTEBOOK, TMPDIR=str(tmp_path)) as notebook:
        *ports, _, _ = line(notebook.stdout)
        notebook.communicate()
        assert notebook.returncode == 0
        assert not any(listens(int(port)) for port in ports)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children of the killed")
def test_a_kept_folder_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    """A moment later another process has it, with the data."""
    with python("-c", NOTEBOOK, tmp_path) as notebook:
        line(notebook.stdout)
        notebook.kill()
        for kind in KINDS.values():
            with kind.make(tmp_path) as server:
                assert kind.read(server.url) == [str(notebook.pid)]


def test_two_notebooks_at_once(tmp_path: Path) -> None:
    """Each has servers of its own, and reads what it wrote itself."""
    with (
        python("-c", NOTEBOOK, TMPDIR=str(tmp_path)) as one,
        python("-c", NOTEBOOK, TMPDIR=str(tmp_path)) as other,
    ):
        about = line(one.stdout) + line(other.stdout)
        assert len(set(about)) == 8  # each two ports and two folders
        for notebook in (one, other):
            print("read", file=notebook.stdin, flush=True)
            assert line(notebook.stdout) == [f"['{notebook.pid}']"] * 2


def test_no_zombie_stays() -> None:
    """After kill(), restart() and stop() the process has no children left to wait for."""
    with python("-c", NO_ZOMBIE) as process:
        assert process.communicate()[0] == "no children\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children of the killed")
def test_a_test_run_that_is_killed_leaves_no_servers(tmp_path: Path) -> None:
    """The fixtures' servers end with their process."""
    (tmp_path / "test_run.py").write_text(TEST_RUN)
    options = ["-s", "-c", os.devnull, str(tmp_path / "test_run.py")]
    variables = {"TMPDIR": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with python("-m", "pytest", *options, **variables) as run:
        ports = next(words for words in iter(lambda: line(run.stdout), []) if words[0].isdigit())
        assert all(listens(int(port)) for port in ports)
        run.kill()
        wait_until(lambda: not any(listens(int(port)) for port in ports), "the servers live")
