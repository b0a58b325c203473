from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.servers.child import finish, spawn

if TYPE_CHECKING:
    from pathlib import Path

SLEEP = "import time; print('up', flush=True); time.sleep(60); print('awake')"
SLEEPER = [sys.executable, "-c", SLEEP]


def test_a_child_outlives_the_thread_that_asked_for_it() -> None:
    """Linux signals a child when its thread ends: this thread does not."""
    children: list[subprocess.Popen[bytes]] = []
    ask = threading.Thread(
        target=lambda: children.append(
            spawn(SLEEPER, ends_by=signal.SIGKILL, stdout=subprocess.PIPE)
        )
    )
    ask.start()
    ask.join()
    with children[0] as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None
        child.kill()


def test_a_child_has_a_session_of_its_own() -> None:
    """Ctrl-C in a terminal reaches the session of the terminal only."""
    with spawn(SLEEPER, ends_by=signal.SIGKILL, stdout=subprocess.PIPE) as child:
        assert os.getsid(child.pid) == child.pid
        child.kill()


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The error of the thread is raised to whoever asked, and the thread works on."""
    with pytest.raises(FileNotFoundError, match="nothing"):
        spawn([str(tmp_path / "nothing")], ends_by=signal.SIGKILL)
    assert finish(spawn([sys.executable, "-c", ""], ends_by=signal.SIGKILL)) == 0


def test_an_interrupted_wait_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever interrupts initdb does not leave it running."""
    child = spawn(SLEEPER, ends_by=signal.SIGKILL, stdout=subprocess.DEVNULL)
    wait = child.wait
    answers = iter([KeyboardInterrupt()])

    def interrupted_once() -> int:
        for answer in answers:
            raise answer
        return wait()

    monkeypatch.setattr(child, "wait", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        finish(child)
    assert child.returncode == -signal.SIGKILL


SPAWN_AND_DIE = """
import signal, sys
from kst_scheduler.servers.child import spawn
child = spawn(sys.argv[1:], ends_by=signal.SIGKILL)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children of the killed")
def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    """Kill -9 of the parent ends the child, which holds the other end of a pipe."""
    reading, writing = os.pipe()
    parent = subprocess.Popen(  # noqa: S603 - this very Python
        [sys.executable, "-c", SPAWN_AND_DIE, *SLEEPER],
        stdout=writing,
    )
    os.close(writing)
    with parent, os.fdopen(reading) as output:
        first = output.readline()
        parent.kill()
        # read() returns when nobody holds the pipe any more.
        assert (first, output.read()) == ("up\n", "")
