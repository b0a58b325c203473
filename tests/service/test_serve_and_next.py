from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from kst_scheduler.errors import ServerError
from kst_scheduler.servers.given import GivenServer
from kst_scheduler.service import Settings, cli
from served import BEARER, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.servers import Server

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")

JOBS = """\
import asyncio
from kst_scheduler import cron
from kst_scheduler.once.decorator import once

def add(service):
    @once(service.ledger)
    async def slow():
        await asyncio.sleep(float({seconds}))
    service.scheduler.add_job(slow, cron(hour=3), id="slow")
"""


class Command:
    """A running ``kst-scheduler serve``, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read its log until a line has the pattern."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"it ended without {pattern!r}:\n{self.said}")

    def client(self) -> httpx.Client:
        """Return a client with the admin key, once it serves."""
        url = self.until(r"serving on (http://\S+)")[1]
        return httpx.Client(base_url=url, headers={"Authorization": BEARER})

    def end(self, number: int) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        self.rest()
        return self.process.returncode

    def rest(self) -> str:
        """Wait for its end; return all that it said."""
        assert self.process.stderr is not None
        self.said += self.process.stderr.read()
        self.process.wait(30)
        return self.said


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Command]:
    """Run the command in a folder, on any free port."""
    words = [sys.executable, "-W", "error", "-m", "kst_scheduler.service.cli", "serve", "--port=0"]
    environment = os.environ | {"KST_SCHEDULER_ADMIN_KEY": KEY, "HOME": str(folder)} | environment
    with subprocess.Popen(  # noqa: S603 - this interpreter, on a module of ours
        [*words, *options], stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    ) as process:
        try:
            yield Command(process)
        finally:
            process.kill()


def sqlite(folder: Path) -> str:
    """Return the address of a ledger in a folder."""
    return f"sqlite:///{folder}/ledger.db"


def test_next_shows_as_many_fire_times_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Here of the demonstration; nothing is started."""
    assert cli.main(["next", "--demo", "-n", "3"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "daily-nps-crawl: every day at 03:00 KST"
    assert len(said) == 4
    assert all(re.search(r"03:00:00 KST .* 18:00:00 UTC$", line) for line in said[1:])


def test_next_takes_the_jobs_that_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the option, or by the environment."""
    (tmp_path / "slow_jobs.py").write_text(JOBS.format(seconds=0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    assert cli.main(["next", "--jobs", "slow_jobs:add", "-n1"]) == 0
    monkeypatch.setenv("KST_SCHEDULER_JOBS", "slow_jobs:add")
    assert cli.main(["next", "-n1"]) == 0
    del sys.modules["slow_jobs"]
    assert capsys.readouterr().out.count("slow: every day at 03:00 KST") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["next", "-n", "0"], "-n 0 shows no fire time"),
        (
            ["serve"],
            "no jobs are named; write --jobs my_service.jobs:register (KST_SCHEDULER_JOBS)",
        ),
        (["next"], "or --demo to see a nightly crawl of a sandbox"),
        (["worker"], "no jobs are named"),
        (["next", "--jobs", "nonsense"], "write module:function"),
        (["serve", "--jobs", "no_such_module:add"], "there is no module 'no_such_module'"),
        (
            ["serve", "--demo", "--host", "no.such.host.invalid"],
            "cannot listen on no.such.host.invalid",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """On stderr, without a traceback."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert cli.main(words) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    error = capsys.readouterr().err
    assert error.startswith("kst-scheduler: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--port", "65536"], "65536 is no port"),
        (["serve", "--port", "http"], "invalid _port value: 'http'"),
        (["stop"], "invalid choice: 'stop'"),
        (["serve", "--demo", "--jobs", "a:b"], "not allowed with argument --demo"),
        ([], "the following arguments are required"),
    ],
)
def test_a_wrong_word_shows_the_usage(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """As argparse does it, with exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(words)
    error = capsys.readouterr().err
    assert error.startswith("usage: kst-scheduler")
    assert said in error


def test_a_misspelt_variable_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would otherwise be a setting that silently does nothing."""
    monkeypatch.setenv("KST_SCHEDULER_ADMINKEY", "hidden")
    assert cli.main(["serve"]) == 1
    error = capsys.readouterr().err
    assert "KST_SCHEDULER_ADMINKEY is unknown; did you mean KST_SCHEDULER_ADMIN_KEY" in error
    assert "hidden" not in error


def test_a_taken_port_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Before a scheduler is started, which would run jobs beside the other's."""
    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["serve", "--demo", "--port", str(port)]) == 1
    signal.signal(signal.SIGTERM, before)
    error = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1, port {port}: " in error
    assert "write --port 0 for any free one" in error


def test_state_is_kept_in_the_user_s_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """XDG_DATA_HOME says where that is."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert cli._data_folder() == tmp_path / "kst-scheduler"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert cli._data_folder() == Path.home() / ".local" / "share" / "kst-scheduler"


def absent(folder: Path) -> Server:
    """Stand in for a server that has no wheel here."""
    raise ServerError(f"there is no wheel, so nothing is in {folder}; set THIS_URL")


class Present(GivenServer):
    """Stands in for a server that starts."""

    def __init__(self, folder: Path) -> None:
        super().__init__("DATABASE_URL", f"postgresql://app:hidden@{folder.name}/crawl")


def test_where_there_is_no_valkey_jobs_get_no_redis(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on Windows: the ledger alone gives both guarantees, and the log says what to set."""
    caplog.set_level("INFO")
    monkeypatch.setattr(cli, "embedded_postgres", Present)
    monkeypatch.setattr(cli, "embedded_valkey", absent)
    with ExitStack() as servers:
        settings = cli._embedded(Settings(), tmp_path / "state", servers)
    assert settings.redis_url is None
    assert settings.database_url == SecretStr("postgresql://app:hidden@state/crawl")
    assert "jobs get no Redis: there is no wheel" in caplog.text
    assert f"PostgreSQL run(s) here, with state in {tmp_path}/state" in caplog.text
    assert "hidden" not in caplog.text


def test_where_there_is_no_postgresql_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service needs its ledger."""
    monkeypatch.setattr(cli, "embedded_postgres", absent)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["serve", "--demo", "--port=0", "--data", str(tmp_path)]) == 1
    signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.endswith("set THIS_URL\n")


@posix
def test_sigterm_lets_runs_end_and_is_exit_code_0(tmp_path: Path) -> None:
    """The run in progress is waited for; no traceback, no key in the log."""
    (tmp_path / "slow_jobs.py").write_text(JOBS.format(seconds=0.5))
    with serving(tmp_path, "--jobs=slow_jobs:add", DATABASE_URL=sqlite(tmp_path)) as command:
        with command.client() as client:
            assert client.get("/healthz").json()["status"] == "ok"
            assert client.post("/admin/jobs/slow/run").status_code == 202
        assert command.end(signal.SIGTERM) == 0
    assert "Drained the scheduler: every run ended by itself" in command.said
    assert "with state in" not in command.said  # no Valkey beside somebody else's database
    assert "Traceback" not in command.said
    assert KEY not in command.said


@posix
def test_ctrl_c_cuts_a_run_that_takes_too_long_and_is_exit_code_0(tmp_path: Path) -> None:
    """The run is named, and it was asked to stop."""
    (tmp_path / "slow_jobs.py").write_text(JOBS.format(seconds=60))
    environment = {"DATABASE_URL": sqlite(tmp_path), "KST_SCHEDULER_DRAIN_TIMEOUT": "0"}
    with serving(tmp_path, "--jobs=slow_jobs:add", **environment) as command:
        with command.client() as client:
            run = client.post("/admin/jobs/slow/run").json()["run"]
        assert command.end(signal.SIGINT) == 0
    assert f"Drained the scheduler: cancelled: {run}" in command.said
    assert "Traceback (most recent call last):\n" not in command.said.partition("DrainResult")[2]


@posix
def test_a_database_that_stays_away_is_exit_code_1(tmp_path: Path) -> None:
    """With one line that says what to look at, and no password."""
    with serving(
        tmp_path,
        "--demo",
        DATABASE_URL="postgresql://app:hidden@127.0.0.1:1/crawl",
        KST_SCHEDULER_START_TIMEOUT="0.1",
    ) as command:
        said = command.rest()
        assert command.process.returncode == 1
    last = said.splitlines()[-1]
    assert last.startswith("kst-scheduler: the ledger could not be opened within 0.1 s; ")
    assert "app:***@127.0.0.1:1/crawl" in last
    assert "Traceback" not in said
    assert "hidden" not in said


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_waiting_for_a_database_can_be_given_up(tmp_path: Path, number: int) -> None:
    """A signal does not wait for start_timeout."""
    away = "postgresql://app:hidden@127.0.0.1:1/crawl"
    with serving(
        tmp_path, "--demo", DATABASE_URL=away, KST_SCHEDULER_START_TIMEOUT="600"
    ) as command:
        command.until("trying for another")
        began = time.monotonic()
        assert command.end(number) == 0
        assert time.monotonic() - began < 30
    assert "Traceback" not in command.said


@posix
def test_without_a_database_it_runs_its_own_and_keeps_its_state(tmp_path: Path) -> None:
    """The nightly crawl of a sandbox, by hand; its row is still there after a restart."""
    for expected in (0, 1):
        with serving(tmp_path, "--demo", f"--data={tmp_path}/state") as command:
            command.until(r"DATABASE_URL is not set: PostgreSQL and Valkey run\(s\) here, with")
            with command.client() as client:
                assert len(client.get("/admin/runs").json()["runs"]) == expected
                if not expected:
                    assert client.post("/admin/jobs/daily-nps-crawl/run").status_code == 202
            assert command.end(signal.SIGTERM) == 0
        assert "Traceback" not in command.said
    assert (tmp_path / "state").is_dir()


@posix
def test_an_embedded_postgresql_that_is_killed_is_started_again(tmp_path: Path) -> None:
    """With its rows; and when it cannot be, the process ends with 1 and one line."""
    state = tmp_path / "state"
    lock = state / "postgresql" / "data" / "postmaster.pid"
    with serving(tmp_path, "--demo", f"--data={state}") as command:
        with command.client() as client:
            assert client.post("/admin/jobs/daily-nps-crawl/run").status_code == 202
            while client.get("/admin/runs?status=ok").json()["runs"] == []:
                time.sleep(0.05)
            os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
            command.until("PostgreSQL was killed by signal 9; it is started again")
            command.until("PostgreSQL on 127.0.0.1:[0-9]+> runs again")
            assert len(client.get("/admin/runs").json()["runs"]) == 1
        postgres = int(lock.read_text().split()[0])
        (state / "postgresql" / "data" / "PG_VERSION").unlink()  # it cannot start on that
        os.kill(postgres, signal.SIGKILL)
        said = command.rest()
        assert command.process.returncode == 1
    last = said.splitlines()[-1]
    assert last.startswith(
        "kst-scheduler: PostgreSQL was killed by signal 9, and could not be started again: "
    )
    assert "Traceback" not in said


BROKEN_JOBS = {
    "no_argument": ("def add(): ...", "cannot be called with the service alone"),
    "syntax": ("def add(service)\n    pass", "SyntaxError: expected ':' (syntax_jobs.py, line 1)"),
    "import": (
        "import not_installed_anywhere\ndef add(service): ...",
        "No module named 'not_installed_anywhere' ({here}/import_jobs.py, line 1)",
    ),
    "raises": (
        "def add(service):\n    raise ValueError('postgresql://app:hidden@db/crawl is wrong')",
        "ValueError: postgresql://app:***@db/crawl is wrong ({here}/raises_jobs.py, line 2)",
    ),
    "long": ("def add(service):\n    raise ValueError('x' * 5_000_000)", "ValueError: xxx"),
    "unreadable": (
        "class AnswerError(Exception):\n    def __str__(self): raise KeyError('message')\n"  # noqa: ISC004
        "def add(service):\n    raise AnswerError('password=hidden')",
        "AnswerError, which cannot be shown: KeyError ({here}/unreadable_jobs.py, line 4)",
    ),
    "cancelled": (
        "import asyncio\ndef add(service):\n    raise asyncio.CancelledError('password=hidden')",
        "raised CancelledError('password=*** ({here}/cancelled_jobs.py, line 3)",
    ),
    "generator": ("def add(service):\n    raise GeneratorExit", "raised GeneratorExit() ("),
    "base": (
        "class Stop(BaseException): ...\ndef add(service):\n    raise Stop('redis://:hidden@h')",
        "Stop('redis://:***@h') ({here}/base_jobs.py, line 3)",
    ),
    "import_base": (
        "class Stop(BaseException): ...\nraise Stop('redis://:hidden@h')",
        "Stop: redis://:***@h ({here}/import_base_jobs.py, line 2)",
    ),
    "lines": ("def add(service):\n    raise ValueError('one\\ntwo')", "ValueError: one two ("),
}


EXITS = {
    "seven": ("def add(service):\n    raise SystemExit(7)", 7, "sys.exit(7) was called ({here}/"),
    "nothing": ("import sys\ndef add(service):\n    sys.exit()", 0, "sys.exit() was called ("),
    "text": (
        "import sys\ndef add(service):\n    sys.exit('password=hidden is wrong')",
        1,
        "sys.exit('password=*** is wrong') was called ({here}/text_jobs.py, line 3)",
    ),
    "import": ("raise SystemExit(7)\ndef add(service): ...", 7, "sys.exit(7) was called ({here}/"),
}


@pytest.mark.parametrize("verb", ["serve", "next"])
@pytest.mark.parametrize("name", EXITS)
def test_jobs_that_end_the_process_say_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    verb: str,
) -> None:
    """The exit code is theirs."""
    text, code, said = EXITS[name]
    assert jobs_of(text, name, verb, tmp_path, monkeypatch) == code
    error = capsys.readouterr().err
    assert error.startswith(f"kst-scheduler: {said.replace('{here}', str(tmp_path))}")
    assert error.count("\n") == 1


def jobs_of(text: str, name: str, verb: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a verb with a module of jobs in the current folder; return its exit code."""
    (folder / f"{name}_jobs.py").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("DATABASE_URL", sqlite(folder))
    monkeypatch.setattr(cli, "log_to_stderr", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    options = ["--port=0"] if verb == "serve" else []
    try:
        return cli.main([verb, f"--jobs={name}_jobs:add", *options])
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.modules.pop(f"{name}_jobs", None)


@pytest.mark.parametrize("verb", ["serve", "next"])
@pytest.mark.parametrize("name", BROKEN_JOBS)
def test_what_is_wrong_in_the_jobs_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    verb: str,
) -> None:
    """With the place in the reader's file, and without a password; -X dev shows the traceback."""
    code, said = BROKEN_JOBS[name]
    assert jobs_of(code, name, verb, tmp_path, monkeypatch) == 1
    error = capsys.readouterr().err
    assert error.startswith("kst-scheduler: ")
    assert said.replace("{here}", str(tmp_path)) in error
    assert "hidden" not in error
    assert error.count("\n") == 1
    assert len(error) < 2_100


@pytest.mark.parametrize("data", ["a file", "a file/inside", "NUL \0"])
def test_a_folder_that_cannot_be_made_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    data: str,
) -> None:
    """It names the folder, and what to write instead."""
    (tmp_path / "a file").touch()
    monkeypatch.setattr(cli, "log_to_stderr", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["serve", "--demo", "--port=0", f"--data={tmp_path / data}"]) == 1
    signal.signal(signal.SIGTERM, before)
    error = capsys.readouterr().err
    assert error.startswith("kst-scheduler: DATABASE_URL is not set, and no state can be kept in ")
    assert "write --data FOLDER" in error
    assert error.count("\n") == 1


def test_an_account_without_a_home_needs_none_for_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only where state is to be kept there it is a fault, and one line says so."""

    def no_home(_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    monkeypatch.setattr(cli, "log_to_stderr", lambda: None)
    assert cli.main(["next", "--demo", "-n1"]) == 0
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["serve", "--demo", "--port=0"]) == 1
    signal.signal(signal.SIGTERM, before)
    error = capsys.readouterr().err
    assert "no state can be kept in '~/.local/share/kst-scheduler': Could not determine" in error
    assert error.count("\n") == 1


@posix
def test_a_service_without_jobs_says_so(tmp_path: Path) -> None:
    """It would wait for ever, and look well."""
    (tmp_path / "no_jobs.py").write_text("def add(service): ...")
    with serving(tmp_path, "--jobs=no_jobs:add", DATABASE_URL=sqlite(tmp_path)) as command:
        command.until("there are no jobs: --jobs no_jobs:add has added none")
        assert command.end(signal.SIGTERM) == 0
