"""What can be rehearsed, and what is said of what cannot."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import KST, InvalidArgumentError, TargetError
from kst_scheduler.rehearsal import rehearse
from kst_scheduler.rehearsal.asking import ask
from kst_scheduler.rehearsal.rehearse import question_of, rehearsal_of
from kst_scheduler.rehearsal.report import as_text

if TYPE_CHECKING:
    from pathlib import Path

    from kst_scheduler.rehearsal.question import Question

JOB = """
from kst_scheduler import KSTScheduler, cron

async def crawl(): ...
"""
KINDS = {
    "a scheduler": "found = KSTScheduler()\nfound.add_job(crawl, cron(hour=3), id='crawl')",
    "a function with a scheduler": (
        "def found(scheduler): scheduler.add_job(crawl, cron(hour=3), id='crawl')"
    ),
    "a function with a service": (
        "def found(service): service.scheduler.add_job(crawl, cron(hour=3), id='crawl')"
    ),
    "a function that returns a scheduler": (
        "def found():\n s = KSTScheduler()\n s.add_job(crawl, cron(hour=3), id='crawl')\n return s"
    ),
    "an async function": (
        "async def found():\n s = KSTScheduler()\n s.add_job(crawl, cron(hour=3), id='crawl')\n"
        " return s"
    ),
    "an ASGI function": (
        "async def found(scope, receive, send):\n"
        " s = KSTScheduler()\n s.add_job(crawl, cron(hour=3), id='crawl')\n"
        " await receive()\n s.start()\n await send({'type': 'lifespan.startup.complete'})\n"
        " await receive()\n s.shutdown()\n await send({'type': 'lifespan.shutdown.complete'})"
    ),
    "a name in a class": (
        "class House: found = KSTScheduler()\n"
        "House.found.add_job(crawl, cron(hour=3), id='crawl')\nfound = House.found"
    ),
}
REFUSED = {
    "found = 1": "is an int, and neither a scheduler, nor a function",
    "found = KSTScheduler()": "adds no jobs",
    "def found(a, b): ...": "takes 2 arguments",
    "import asyncio\nasync def found(scope, receive, send):\n"
    " KSTScheduler().add_job(crawl, cron(hour=3), id='crawl')\n await asyncio.Event().wait()": (
        "has not started after a minute"
    ),
    "import os\nos.write(2, '한글'.encode('euc-kr'))\nfound = 1": "is an int",
    "def found(scheduler): raise OSError('no')": "OSError: no",
    "from apscheduler.schedulers.blocking import BlockingScheduler\nfound = BlockingScheduler()": (
        "is a BlockingScheduler"
    ),
    "def found(): return None": "makes no APScheduler",
    "import asyncio\nasync def main(): ...\ndef found(): asyncio.run(main())": (
        "calls asyncio.run() ({file}, line 7); name the coroutine function that it runs"
    ),
    "import os\nfound = os.environ['NOT_THERE']": "line 6); set it by --set NOT_THERE=VALUE",
    "import nothing_of_this_name": "; install the package that has 'nothing_of_this_name' beside",
    "def broken(:": "cannot be imported: SyntaxError",
    "import socket\ndef connect(): socket.create_connection(('10.0.0.5', 5432))\nconnect()": (
        "refuses to connect to 10.0.0.5 ({file}, line 6); set a variable by --set NAME=VALUE, or "
        "replace a function by --stub socket:create_connection"
    ),
    "import socket\ndef found(): return socket.create_connection(('10.0.0.5', 5432))": (
        "refuses to connect to 10.0.0.5 ({file}, line 6); set a variable by --set NAME=VALUE, or "
        "replace a function by --stub socket:create_connection"
    ),
    "from sqlalchemy import create_engine\n"
    "create_engine('postgresql+psycopg://db.invalid/runs').connect()": (
        "set a variable by --set NAME=VALUE, or replace a function by --stub MODULE:FUNCTION"
    ),
    "import os, sqlite3\nsqlite3.connect(os.getenv('URL_OF_RUNS'))": (
        "line 6); set a variable by --set NAME=VALUE (the file reads URL_OF_RUNS), or replace a "
    ),
    "raise SystemExit(3)": "called sys.exit(3)",
    "other = 1": "has no 'found'",
}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Question, Any]]:
    """Rehearse them all in one process; return question and answer by the source."""
    folder, sources = tmp_path_factory.mktemp("targets"), [*KINDS.values(), *REFUSED]
    questions = []
    for number, source in enumerate(sources):
        file = folder / f"app{number}.py"
        file.write_text(JOB + source, encoding="utf-8")
        questions.append(question_of(f"{file}:found", nights=1, nodes=1))
    return dict(zip(sources, zip(questions, ask(questions), strict=True), strict=True))


@pytest.mark.parametrize("source", KINDS.values(), ids=[*KINDS])
def test_it_is_rehearsed(source: str, answered: dict[str, tuple[Question, Any]]) -> None:
    """As it is."""
    found = rehearsal_of(*answered[source])
    assert found.runs["job_id"].tolist() == ["crawl"]
    assert found.runs["status"].tolist() == ["ok"]


@pytest.mark.parametrize(("source", "text"), REFUSED.items(), ids=[*REFUSED])
def test_it_is_refused_in_one_line(
    source: str, text: str, answered: dict[str, tuple[Question, Any]]
) -> None:
    """That names what to write instead."""
    with pytest.raises(TargetError) as error:
        rehearsal_of(*answered[source])
    file = answered[source][0].file
    assert text.format(file=file) in str(error.value)
    assert "\n" not in str(error.value)
    assert "SyntaxError" not in text or "--" not in str(error.value)


@pytest.mark.parametrize("target", ["", "app", "app:", ":found", "app:1", "no-name:found"])
def test_a_name_that_is_none_is_refused(target: str) -> None:
    """Before anything is started."""
    with pytest.raises(InvalidArgumentError, match="write"):
        rehearse(target)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"nights": 4, "only": ["cut", "crash"]},
            "the night 'crash' is number 5, and nights=4 ends before it; write 5",
        ),
        (
            {"start": datetime(1969, 5, 4, tzinfo=KST)},
            "start=1969-05-04.* is not from 1970 to 9000",
        ),
        ({"start": datetime(9999, 12, 25, tzinfo=KST)}, "is not from 1970 to 9000"),
    ],
)
def test_nights_that_would_not_come_are_refused(arguments: dict[str, Any], text: str) -> None:
    """They would end without a finding, as if all were well."""
    with pytest.raises(InvalidArgumentError, match=text):
        question_of("kst_scheduler.service:serve", **arguments)


def test_a_module_is_found_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a package, whose modules import one another; as ``--jobs`` finds it."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("from shop.app import found", encoding="utf-8")
    (package / "names.py").write_text("NAME = 'crawl'", encoding="utf-8")
    (package / "app.py").write_text(
        JOB + "from .names import NAME\n"
        "def found(scheduler): scheduler.add_job(crawl, cron(hour=3), id=NAME)",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    names = ("shop.app", "shop/app.py", "./shop/app", "./shop", "shop/", "shop/__init__.py")
    questions = [question_of(f"{name}:found", nights=2, nodes=1) for name in names]
    for question, answer in zip(questions, ask(questions), strict=True):
        found = rehearsal_of(question, answer)
        assert set(found.runs["job_id"]) == {"crawl"}
        assert "  shop/app.py:6  " in as_text(found)


def test_another_module_of_the_name_is_refused(tmp_path: Path) -> None:
    """As a file ``queue.py`` would not be what is imported."""
    file = tmp_path / "queue.py"
    file.write_text(JOB, encoding="utf-8")
    question = question_of(f"{file}:crawl")
    with pytest.raises(TargetError, match=r"another module has the name 'queue', .*; rename the"):
        rehearsal_of(question, ask([question])[0])


def test_the_main_task_lives_as_long_as_its_process(tmp_path: Path) -> None:
    """As ``asyncio.run`` holds it: the loop alone would let the garbage collector end it."""
    file = tmp_path / "app.py"
    file.write_text(
        JOB + "import asyncio, gc\n"
        "class Service:\n"
        "    async def __aenter__(self):\n"
        "        self.scheduler = KSTScheduler()\n"
        "        self.scheduler.add_job(crawl, cron(hour=3), id='crawl')\n"
        "        self.scheduler.start()\n"
        "    async def __aexit__(self, *_): self.scheduler.shutdown()\n"
        "async def found():\n"
        "    asyncio.get_running_loop().call_later(600, gc.collect)\n"
        "    async with Service():\n"
        "        await asyncio.Event().wait()\n",
        encoding="utf-8",
    )
    assert set(rehearse(f"{file}:found", nights=1, nodes=1).runs["status"]) == {"ok"}


def test_it_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No file, no thread, no variable, no module, nothing printed, and no handler of a log."""
    (tmp_path / "settings.json").write_text(json.dumps({"hour": 3}), encoding="utf-8")
    (tmp_path / "traceless.py").write_text(
        "import json, logging, os, threading\n"
        "from kst_scheduler import cron\n"
        "async def crawl(): ...\n"
        "os.environ['LEFT_BEHIND'] = '1'\n"
        "open('left_behind', 'w').close()\n"
        "logging.basicConfig(level=logging.DEBUG, filename='left.log')\n"
        "logging.getLogger().addHandler(logging.StreamHandler())\n"
        "logging.error('logged')\n"
        "print('printed')\n"
        "os.write(1, b'written')\n"
        "for each in (True, False):\n"
        "    threading.Thread(target=threading.Event().wait, daemon=each).start()\n"
        "def register(scheduler):\n"
        "    hour = json.load(open('settings.json'))['hour']\n"
        "    scheduler.add_job(crawl, cron(hour=hour), id='crawl')\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ), threading.active_count(), [*logging.root.handlers], [*sys.path]
    found = rehearse("traceless:register", nights=1, nodes=1)
    assert found.runs["status"].tolist() == ["ok"]
    after = dict(os.environ), threading.active_count(), [*logging.root.handlers], [*sys.path]
    assert after == before
    assert "traceless" not in sys.modules
    assert sorted(each.name for each in tmp_path.iterdir()) == ["settings.json", "traceless.py"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_nothing_is_left_where_the_asking_process_is_ended(tmp_path: Path, name: str) -> None:
    """Neither the process of the service nor its folder, also on Ctrl-C in the middle."""
    temporary, file = tmp_path / "temporary", tmp_path / "endless.py"
    temporary.mkdir()
    file.write_text(
        "import os\nfrom pathlib import Path\n"
        "Path(os.environ['TMPDIR'], 'number').write_text(str(os.getpid()))\nwhile True: pass",
        encoding="utf-8",
    )
    program = f"from kst_scheduler.rehearsal import rehearse\nrehearse({f'{file}:found'!r})"
    environment = {**os.environ, "TMPDIR": str(temporary)}
    asking = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL
    )
    while not any(each.read_text() for each in temporary.glob("*/number")):  # it has begun
        assert asking.poll() is None
        time.sleep(0.05)
    (begun,) = temporary.glob("*/number")
    service = int(begun.read_text())
    asking.send_signal(getattr(signal, name))
    asking.wait()
    if name == "SIGINT":  # it has waited for the end of the other
        assert [*temporary.iterdir()] == []
        with pytest.raises(ProcessLookupError):
            os.kill(service, 0)
    deadline = time.monotonic() + 60
    while [*temporary.iterdir()]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_variables_and_stubs_let_it_be_imported(tmp_path: Path) -> None:
    """Where a module connects to a database that is not there."""
    (tmp_path / "connecting.py").write_text(
        "def connect(address): raise OSError('no route to host')", encoding="utf-8"
    )
    file = tmp_path / "app.py"
    file.write_text(
        JOB + "import os, connecting\nconnecting.connect(os.environ['DATABASE_URL'])\n"
        "def found(scheduler): scheduler.add_job(crawl, cron(hour=3), id='crawl')",
        encoding="utf-8",
    )
    variables, stub = {"DATABASE_URL": "sqlite://"}, "connecting:connect"
    target = f"{file}:found"
    wrong = {
        r"KeyError: 'DATABASE_URL'.*; set it by --set DATABASE_URL=VALUE$": question_of(target),
        rf"no route to host.*--stub {stub}$": question_of(target, variables=variables),
        "^--stub connecting:conect: the module connecting has no 'conect'$": question_of(
            target, variables=variables, stubs=["connecting:conect"]
        ),
        "^--stub conecting:connect: there is no module 'conecting'$": question_of(
            target, variables=variables, stubs=["conecting:connect"]
        ),
    }
    right = question_of(target, nights=1, variables=variables, stubs=[stub])
    *answers, last = ask([*wrong.values(), right])
    for (text, question), answer in zip(wrong.items(), answers, strict=True):
        with pytest.raises(TargetError, match=text):
            rehearsal_of(question, answer)
    assert set(rehearsal_of(right, last).runs["status"]) == {"ok"}
