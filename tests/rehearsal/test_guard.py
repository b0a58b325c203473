"""What a job of the reader's must not do to the world outside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.rehearsal import rehearse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kst_scheduler.rehearsal import Rehearsal

SERVICE = """
import os, shutil, socket, sqlite3, subprocess, tempfile
from pathlib import Path
from kst_scheduler import KSTScheduler, cron

scheduler = KSTScheduler()
here = Path({folder!r})

def job(line):
    exec(line, globals())

for number, line in enumerate({lines!r}):
    scheduler.add_job(job, cron(hour=3, minute=number), args=[line], id=line)
"""

REFUSED = {
    "(here / 'precious').unlink()": "change {folder}/precious (os.remove)",
    "os.remove(here / 'precious')": "change {folder}/precious (os.remove)",
    "shutil.rmtree(here)": "change {folder} (shutil.rmtree)",
    "os.rename(here / 'precious', here / 'gone')": "change {folder}/precious (os.rename)",
    "(here / 'new').write_text('x')": "write {folder}/new",
    "(here / 'precious').open('a')": "write {folder}/precious",
    "os.open(here / 'precious', os.O_WRONLY | os.O_TRUNC)": "write {folder}/precious",
    "(here / 'new').mkdir()": "change {folder}/new (os.mkdir)",
    "os.fchmod(os.open(here / 'precious', os.O_RDONLY), 0)": (
        "change {folder}/precious (os.chmod)"
    ),
    "socket.socket(socket.AF_UNIX).bind(str(here / 'new'))": "write {folder}/new",
    "os.truncate(here / 'precious', 0)": "change {folder}/precious (os.truncate)",
    "sqlite3.connect(here / 'new.db')": "open the database {folder}/new.db",
    "subprocess.run(['touch', here / 'new'])": "start or stop a process (subprocess.Popen: touch)",
    "os.system('true')": "start or stop a process (os.system: true)",
    "os.fork()": "start or stop a process (os.fork: )",
    "socket.create_connection(('192.0.2.1', 80), 1)": "connect to 192.0.2.1",
    "socket.create_connection(('example.invalid', 80), 1)": "look up the host example.invalid",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))": (
        "connect to 192.0.2.1"
    ),
}
ALLOWED = (
    "(here / 'precious').read_text()",
    "Path('beside').write_text('x')",
    "sqlite3.connect(':memory:')",
    "sqlite3.connect('beside.db')",
    "shutil.rmtree(tempfile.mkdtemp())",
    "tempfile.NamedTemporaryFile().close()",
    "file = tempfile.TemporaryFile(); os.fchmod(file.fileno(), 0o600)",
    "socket.socket(socket.AF_UNIX).bind('socket')",
    "socket.socket(socket.AF_UNIX).bind('\\0kst-rehearsal')",
    "socket.create_server(('127.0.0.1', 0)).close()",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, in which a file lies that nobody may change."""
    (tmp_path / "precious").write_text("precious", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _rehearsed(folder: Path, lines: Iterable[str], *, run_jobs: bool) -> Rehearsal:
    """Rehearse a service of which each job is one line; nothing is left of it."""
    text = SERVICE.format(folder=str(folder), lines=[*lines])
    (folder / "app.py").write_text(text, encoding="utf-8")
    found = rehearse("app.py:scheduler", nights=1, nodes=1, run_jobs=run_jobs)
    assert sorted(each.name for each in folder.iterdir()) == ["app.py", "precious"]
    assert (folder / "precious").read_text(encoding="utf-8") == "precious"
    return found


def test_it_is_refused_and_named(folder: Path) -> None:
    """Also where the reader asks that the jobs themselves are run."""
    found = _rehearsed(folder, REFUSED, run_jobs=True)
    assert sorted(found.refused) == sorted(
        {each.format(folder=folder) for each in REFUSED.values()}
    )
    assert dict(zip(found.runs["job_id"], found.runs["status"], strict=True)) == dict.fromkeys(
        REFUSED, "error"
    )


def test_it_is_refused_at_the_end_of_the_process_too(folder: Path) -> None:
    """Where the interpreter calls what was registered."""
    lines = ("import atexit", f"atexit.register(lambda: open({str(folder / 'left')!r}, 'w'))")
    (folder / "app.py").write_text(SERVICE.format(folder=str(folder), lines=[]), encoding="utf-8")
    with (folder / "app.py").open("a", encoding="utf-8") as file:
        file.write("\n".join((*lines, "scheduler.add_job(print, cron(hour=3), id='job')")))
    rehearse("app.py:scheduler", nights=1, nodes=1)
    assert sorted(each.name for each in folder.iterdir()) == ["app.py", "precious"]


def test_a_file_that_is_there_already_may_be_written_as_a_copy(folder: Path) -> None:
    """A log, say, of an application that has run before."""
    (folder / "logs").mkdir()
    (folder / "logs" / "run.log").write_text("before", encoding="utf-8")
    lines = ["open('precious', 'a').write('x')", "open('logs/run.log', 'a').write('x')"]
    (folder / "app.py").write_text(SERVICE.format(folder=str(folder), lines=lines), "utf-8")
    found = rehearse("app.py:scheduler", nights=1, nodes=1, run_jobs=True)
    assert found.refused == {}
    assert set(found.runs["status"]) == {"ok"}
    assert (folder / "precious").read_text(encoding="utf-8") == "precious"
    assert (folder / "logs" / "run.log").read_text(encoding="utf-8") == "before"


def test_a_folder_may_have_what_cannot_be_copied(folder: Path) -> None:
    """The pipe or the socket of a server that runs, and a link to nothing."""
    (folder / "run").mkdir()
    os.mkfifo(folder / "run" / "pipe")
    (folder / "run" / "nothing").symlink_to("nowhere")
    lines = ["open('run/log', 'w').close()", "os.readlink('run/nothing')"]
    (folder / "app.py").write_text(SERVICE.format(folder=str(folder), lines=lines), "utf-8")
    found = rehearse("app.py:scheduler", nights=1, nodes=1, run_jobs=True)
    assert set(found.runs["status"]) == {"ok"}


def test_what_harms_nobody_is_allowed(folder: Path) -> None:
    """To read, to write beside itself, and to listen on loopback."""
    found = _rehearsed(folder, ALLOWED, run_jobs=True)
    assert found.refused == {}
    assert dict(zip(found.runs["job_id"], found.runs["detail"], strict=True)) == dict.fromkeys(
        ALLOWED, ""
    )


def test_a_stand_in_does_none_of_it(folder: Path) -> None:
    """Nothing of a job is run unless it is asked for."""
    found = _rehearsed(folder, REFUSED, run_jobs=False)
    assert found.refused == {}
    assert set(found.runs["status"]) == {"ok"}
