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

from server_kinds import KINDS, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parent.parent

NOTEBOOK = """
import os, signal, sys
from pathlib import Path
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
from conftest import _postgres, _valkey, postgres_url, valkey_url
from urllib.parse import urlsplit

def test_with_both(valkey_url, postgres_url):
    print("\\n", urlsplit(valkey_url).port, urlsplit(postgres_url).port, flush=True)
    sys.stdin.read()
"""

NO_ZOMBIE = """
import os
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


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until ``holds``, and fail with ``what`` after half a minute."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children of the killed")
def test_nothing_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    """Its servers end, its temporary folders go when the next server is started."""
    with python("-c", NOTEBOOK, TMPDIR=str(tmp_path)) as notebook:
        *ports, _, _ = line(notebook.stdout)
        assert all(listens(int(port)) for port in ports)
        notebook.kill()
        wait_until(lambda: not any(listens(int(port)) for port in ports), "the servers live")
    left = list(tmp_path.iterdir())
    assert len(left) == 2
    for folder in left:
        os.utime(folder, (0, 0))
    with python("-c", NOTEBOOK, TMPDIR=str(tmp_path)) as notebook:
        line(notebook.stdout)
        assert not any(folder.exists() for folder in left)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children of the killed")
def test_nothing_outlives_a_process_that_is_terminated(
    number: signal.Signals, tmp_path: Path
) -> None:
    """The signals of a service manager and of Ctrl-C end the servers, too."""
    with python("-c", NOTEBOOK, TMPDIR=str(tmp_path)) as notebook:
        *ports, _, _ = line(notebook.stdout)
        notebook.send_signal(number)
        wait_until(lambda: not any(listens(int(port)) for port in ports), "the servers live")


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
    with python("-c", NOTEBOOK) as one, python("-c", NOTEBOOK, tmp_path) as other:
        about = line(one.stdout) + line(other.stdout)
        assert len(set(about)) == 7  # four ports, two temporary folders, one that is kept
        for notebook in (one, other):
            print("read", file=notebook.stdin, flush=True)
            assert line(notebook.stdout) == [f"['{notebook.pid}']"] * 2


def test_no_zombie_stays() -> None:
    """After kill(), restart() and stop() the process has no children left to wait for."""
    with python("-c", NO_ZOMBIE) as process:
        assert process.communicate()[0] == "no children\n"


@pytest.mark.parametrize("ending", ["end", "kill"])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children of the killed")
def test_the_fixtures_leave_nothing(ending: str, tmp_path: Path) -> None:
    """The servers of a test run end with it, whichever way it ends."""
    (tmp_path / "test_run.py").write_text(TEST_RUN)
    options = ["-s", "-c", os.devnull, str(tmp_path / "test_run.py")]
    with python("-m", "pytest", *options, TMPDIR=str(tmp_path)) as run:
        ports = next(words for words in iter(lambda: line(run.stdout), []) if words[0].isdigit())
        assert all(listens(int(port)) for port in ports)
        if ending == "kill":
            run.kill()
        else:
            run.communicate()
            assert run.returncode == 0
        wait_until(lambda: not any(listens(int(port)) for port in ports), "the servers live")
