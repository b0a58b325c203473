from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from in_loop import in_loop
from kst_scheduler import KSTScheduler, cron
from kst_scheduler.scheduler import drain
from kst_scheduler.service import cli, stopping
from kst_scheduler.service.stopping import StopLimit
from served import BEARER, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the exit codes with which the process would have ended, and let the limit be short."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    for name in ("SECONDS_FOR_REQUESTS", "SECONDS_FOR_THE_REST"):
        monkeypatch.setattr(stopping, name, 0)
    monkeypatch.setattr(drain, "CLEAN_UP_SECONDS", 0.01)
    return codes


def test_the_limit_is_what_the_deployment_guide_says() -> None:
    """3 s for requests, drain_timeout for runs, 5 s for their clean-up, and one for the rest."""
    assert StopLimit(20.0).seconds == 29


@in_loop
async def test_what_is_still_running_is_named(
    ended: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """In one line, and the process ends with the code of the deployment guide."""
    stop = threading.Event()
    scheduler = KSTScheduler()
    scheduler.add_job(stop.wait, cron(hour=3), id="deaf")
    scheduler.start()
    run = scheduler.run_now("deaf")
    limit = StopLimit(0)
    limit.scheduler, limit.loop = scheduler, asyncio.get_running_loop()
    limit.begin()
    timer = limit._timer
    limit.begin()  # a second signal
    assert limit._timer is timer
    await scheduler.drain(0)
    assert timer is not None
    timer.join()
    assert ended == [3]
    (line,) = [r.getMessage() for r in caplog.records if r.name == stopping.__name__]
    assert line == (
        f"still running 0.01 s after the stop began, so the process ends with exit code 3: {run}"
    )
    stop.set()


@in_loop
async def test_without_a_run_tasks_and_threads_are_named(
    ended: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """What a job has left behind keeps a process, too."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="left-behind")
    thread.start()
    task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
    limit = StopLimit(0)
    limit.loop = asyncio.get_running_loop()
    limit.begin()
    assert limit._timer is not None
    limit._timer.join()
    assert ended == [3]
    assert "task 'forgotten'" in caplog.text
    assert "thread 'left-behind'" in caplog.text
    task.cancel()
    stop.set()
    thread.join()


def test_a_log_that_blocks_does_not_keep_the_process(
    ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads the pipe at its other end, say, or the frozen thread holds the lock."""
    monkeypatch.setattr(stopping, "SECONDS_TO_LOG", 0.01)
    free = threading.Event()

    class Blocked(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            free.wait()

    handler = Blocked()
    stopping.logger.addHandler(handler)
    try:
        limit = StopLimit(0)
        limit.begin()
        assert limit._timer is not None
        limit._timer.join()
        assert ended == [3]
    finally:
        free.set()
        stopping.logger.removeHandler(handler)


@posix
def test_a_command_that_is_called_as_a_function_ends_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither after a signal, nor where it fails: the program that called it lives on."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.setattr(cli, "log_to_stderr", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    timers: list[threading.Timer] = []
    begin = StopLimit.begin

    def note(limit: StopLimit) -> None:
        begin(limit)
        assert limit._timer is not None
        timers.append(limit._timer)

    monkeypatch.setattr(StopLimit, "begin", note)

    def add(_: object) -> None:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()

    monkeypatch.setattr(cli, "jobs_function", lambda _: add)
    monkeypatch.setattr("kst_scheduler.service.components.jobs_function", lambda _: add)
    try:
        assert cli.main(["serve", "--port=0"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    (timer,) = set(timers)
    timer.join()  # it was cancelled: otherwise this process would have ended
    assert stopping._begun == []

    def fail(_: object) -> None:
        raise ValueError("wrong")

    monkeypatch.setattr("kst_scheduler.service.components.jobs_function", lambda _: fail)
    assert cli.main(["serve", "--port=0"]) == 1
    signal.signal(signal.SIGTERM, before)
    assert len(set(timers)) == 1


JOBS = """\
import asyncio, collections, itertools, os, threading, time
from kst_scheduler import cron, once
from kst_scheduler.scheduler import drain
from kst_scheduler.service import stopping

stopping.SECONDS_FOR_REQUESTS = stopping.SECONDS_FOR_THE_REST = drain.CLEAN_UP_SECONDS = 0.2

def add(service):
    def thread():
        print("at work", flush=True)
        time.sleep(75)

    async def deaf():
        print("at work", flush=True)
        while True:
            try:
                await asyncio.sleep(75)
            except asyncio.CancelledError:
                pass

    async def left_behind():
        await asyncio.to_thread(thread)

    async def blocking():
        thread()

    async def left_behind_without_once():
        await asyncio.to_thread(thread)

    def keeps_the_lock():
        print("at work", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.01)
        print("the lock is kept", flush=True)
        collections.deque(itertools.repeat(None), maxlen=0)  # in C, without an end

    async def keeps_the_lock_in_the_loop():
        print("at work", flush=True)
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        print("the lock is kept", flush=True)
        collections.deque(itertools.repeat(None), maxlen=0)  # in C, without an end

    for job in (thread, left_behind_without_once, keeps_the_lock, keeps_the_lock_in_the_loop):
        service.scheduler.add_job(job, cron(hour=3), id=job.__name__)
    for job in (deaf, left_behind, blocking):
        service.scheduler.add_job(once(service.ledger)(job), cron(hour=3), id=job.__name__)
"""

FORGETFUL = """\
import asyncio
from datetime import timedelta
from kst_scheduler import cron, once
from kst_scheduler.scheduler import drain, kept_writes
from kst_scheduler.service import stopping

stopping.SECONDS_FOR_REQUESTS = drain.CLEAN_UP_SECONDS = 0.2
stopping.SECONDS_FOR_THE_REST = 5
kept_writes.LAST_WRITE_SECONDS = 40

def add(service):
    async def finish(*_arguments):
        await asyncio.sleep(75)

    async def forgetful():
        service.ledger.finish = finish
        # Not before: the claim, too, has no longer than this, and a busy machine needs longer.
        object.__setattr__(job.once, "patience", timedelta(seconds=0.01))
        print("at work", flush=True)

    job = once(service.ledger)(forgetful)
    service.scheduler.add_job(job, cron(hour=3), id="forgetful")
"""


SERVE = ("kst_scheduler.service.cli", "serve", "--port=0")


@contextmanager
def at_work(
    tmp_path: Path, jobs: str, job_id: str, *words: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve the jobs by a command, and yield its process and the run of one, at work."""
    (tmp_path / "deaf_jobs.py").write_text(jobs)
    environment = os.environ | {
        "KST_SCHEDULER_ADMIN_KEY": KEY,
        "KST_SCHEDULER_DRAIN_TIMEOUT": "0.2",
        "KST_SCHEDULER_JOBS": "./deaf_jobs.py:add",
        "DATABASE_URL": f"sqlite:///{tmp_path}/ledger.db",
    }
    with subprocess.Popen(  # noqa: S603 - this interpreter, on a module of ours
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            urls = (re.search(r"http://127.0.0.1:\d+", line) for line in process.stderr)
            url = next(url[0] for url in urls if url)
            run = httpx.post(f"{url}/admin/jobs/{job_id}/run", headers={"Authorization": BEARER})
            assert run.status_code == 202
            assert process.stdout.readline() == "at work\n"
            yield process, run.json()["run"]
        finally:
            process.kill()


@posix
@pytest.mark.parametrize(
    "job_id",
    [
        "thread",
        pytest.param("deaf", marks=pytest.mark.long),
        "left_behind",
        pytest.param("left_behind_without_once", marks=pytest.mark.long),
        pytest.param("blocking", marks=pytest.mark.long),
    ],
)
def test_sigterm_ends_a_process_whose_job_does_not_end(tmp_path: Path, job_id: str) -> None:
    """In a thread of its own or of asyncio.to_thread, deaf to cancelling, or blocking the loop."""
    with at_work(tmp_path, JOBS, job_id, *SERVE) as (process, run):
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(30) == stopping.EXIT_CODE
    (line,) = [line for line in said.splitlines() if "still running 0.8 s after" in line]
    assert run in line


@posix
@pytest.mark.parametrize(
    "job_id",
    ["keeps_the_lock", pytest.param("keeps_the_lock_in_the_loop", marks=pytest.mark.long)],
)
def test_a_job_that_keeps_pythons_lock_does_not_keep_the_process(
    tmp_path: Path, job_id: str
) -> None:
    """No Python code runs any more, be it the handler of the signal, so the process is killed."""
    with at_work(tmp_path, JOBS, job_id, *SERVE) as (process, _):
        assert process.stdout is not None
        assert process.stderr is not None
        (tmp_path / "go").touch()
        assert process.stdout.readline() == "the lock is kept\n"
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(30) == -signal.SIGKILL
    (line,) = [line for line in said.splitlines() if "still running" in line]
    assert "still running 2.3 s after a signal to stop" in line
    assert "is killed (SIGKILL, 137)" in line


FORKING = """\
import os, signal
from kst_scheduler.service import watchdog

for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda *_: None)
watchdog.start_watchdog(0)
(running,) = watchdog._running
os.kill(os.getpid(), signal.SIGUSR1)
if (fork := os.fork()) == 0:  # as ProcessPoolExecutor does, before it is told to end
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(len(watchdog._running))
assert os.waitpid(fork, 0) == (fork, 0)
watchdog.stop_watchdog()  # which waits for its end, and it would have killed before
try:
    os.waitpid(running.pid, 0)
except ChildProcessError:
    print("all ended")
"""


@posix
def test_a_signal_to_a_fork_does_not_end_its_parent() -> None:
    """Nor does another signal; and the watchdog of a function that is called ends with it."""
    done = subprocess.run(  # noqa: S603 - this interpreter, on a script of ours
        [sys.executable, "-c", FORKING], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "all ended\n", "")


@posix
def test_an_outcome_that_cannot_be_written_does_not_reach_past_the_limit(tmp_path: Path) -> None:
    """Its last try ends within the drain, so connections and servers have their second to close."""
    with at_work(tmp_path, FORGETFUL, "forgetful", *SERVE) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(30) == 0
    assert "1 outcome(s) are not written" in said


@posix
@pytest.mark.parametrize(
    "job_id",
    ["thread", *(pytest.param(job, marks=pytest.mark.long) for job in ("deaf", "left_behind"))],
)
def test_uvicorn_ends_by_the_signal_when_the_runs_are_drained(tmp_path: Path, job_id: str) -> None:
    """As the deployment guide says of the application without ``serve``: uvicorn's own doing."""
    uvicorn = ("uvicorn", "--factory", "kst_scheduler.service:create_app", "--port=0")
    with at_work(tmp_path, JOBS, job_id, *uvicorn, "--no-access-log") as (process, run):
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(30) == -signal.SIGTERM
    (line,) = [line for line in said.splitlines() if "still_running: " in line]
    assert run.partition("@")[0] in line


def test_a_start_that_fails_leaves_no_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would end a process that calls main() and lives on, as this one does."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/no-folder/runs.db")
    monkeypatch.setenv("KST_SCHEDULER_START_TIMEOUT", "0")
    before = threading.enumerate()
    assert cli.main(["serve", "--demo", "--port", "0"]) == 1
    assert "there is no folder" in capsys.readouterr().err
    new = [thread for thread in threading.enumerate() if thread not in before]
    assert [thread for thread in new if isinstance(thread, threading.Timer)] == []
