"""The lines of a log, taken from the real library, in each format, and the code of each."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytz
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from kst_scheduler import Freeze, MemoryLedger, cron, kst, once, simulate
from kst_scheduler.rehearsal import log_faults
from kst_scheduler.rehearsal.log_faults import explain_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KST = pytz.timezone("Asia/Seoul")
lesson = partial(AsyncIOScheduler, timezone=KST)
PAUSE = [Freeze("A", kst(2026, 5, 10, 3, 59, 50), timedelta(seconds=15))]


async def crawl(minutes: float = 0) -> None:
    """Take a while."""
    await asyncio.sleep(minutes * 60)


async def parse() -> None:
    """Hold the event loop."""
    time.sleep(120)  # noqa: ASYNC251 - this is the fault


async def failing() -> None:
    """Fail."""
    raise ConnectionError("503 Service Unavailable")


async def stuck() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


class Records(logging.Handler):
    """Keeps what the library logs, with its tracebacks; the time is that of the simulation."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        record.exc_text = (
            logging.Formatter().formatException(record.exc_info) if (record.exc_info) else None
        )
        record.exc_info = None
        self.all.append(record)


def records_of(register: Callable[[Any], object], hours: float = 5, **options: Any) -> Records:
    """Return what one process logs."""
    kept = Records()
    loggers = [
        logging.getLogger(f"apscheduler.{name}")
        for name in ("scheduler", "executors.default", "executors.threads", "jobstores.default")
    ]
    for logger in loggers:
        logger.addHandler(kept)
        logger.setLevel(logging.INFO)
    try:
        start = kst(2026, 5, 10)
        options = {"scheduler": lesson} | options
        simulate(register, start, start + timedelta(hours=hours), **options)
    finally:
        for logger in loggers:
            logger.removeHandler(kept)
            logger.setLevel(logging.NOTSET)
    return kept


def plain(form: str, records: Iterable[logging.LogRecord]) -> str:
    """Return the lines of a plain format."""
    formatter = logging.Formatter(form)
    return "".join(f"{formatter.format(each)}\n" for each in records)


def findings(text: str | bytes) -> list[tuple[str, str, int]]:
    """Return the code, job and count of each finding."""
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return [(each.code, each.job, each.count) for each in explain_log(stream).findings]


def kept_with(name: str, **options: Any) -> Callable[[Any], object]:
    """Return a function that adds one job."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(crawl, name=name, **options)

    return register


def in_mean_time(scheduler: Any) -> None:
    """G2."""
    nine = datetime(2026, 5, 10, 3, 0, tzinfo=KST)  # the fault
    scheduler.add_job(crawl, DateTrigger(nine), name="G2")


def late(scheduler: Any) -> None:
    """G10."""
    scheduler.add_job(parse, "cron", hour=3, name="parse")
    scheduler.add_job(crawl, "cron", hour=3, minute=1, name="G10")


def twelve(scheduler: Any) -> None:
    """G9."""
    for number in range(1, 13):
        scheduler.add_job(time.sleep, "cron", hour=3, args=[1.5], name=f"report {number}")


def two_ids(scheduler: Any) -> None:
    """G13."""
    scheduler.add_job(crawl, "cron", hour=3, args=[40], id="a")
    scheduler.add_job(crawl, "cron", hour=3, minute=30, id="b")


def cut(scheduler: Any) -> None:
    """G15."""
    scheduler.add_job(crawl, "cron", hour=3, args=[40], name="G15")
    asyncio.get_running_loop().call_later(3 * 3600 + 600, scheduler.shutdown)


def released(scheduler: Any) -> None:
    """G17."""
    scheduler.start(paused=True)
    globals()["old_name"] = renamed
    scheduler.add_job(f"{__name__}:old_name", "cron", hour=3, id="G17")
    del globals()["old_name"]
    scheduler.get_jobs()


async def renamed() -> None:
    """Be the next release's."""


store = partial(lesson, jobstores={"default": SQLAlchemyJobStore(url="sqlite://")})
pool = partial(lesson, executors={"default": ThreadPoolExecutor(10)})

NIGHTS: dict[str, tuple[Callable[[Any], object], dict[str, Any], list[tuple[str, str, int]]]] = {
    "KST001": (
        kept_with("G1", trigger="cron", hour=18),
        {"scheduler": partial(AsyncIOScheduler, timezone="UTC")},
        [("KST001", "G1", 1)],
    ),
    "KST002": (in_mean_time, {}, [("KST002", "G2", 1)]),
    "KST004": (kept_with("G4", trigger="cron", hour=3, second=0), {}, [("KST004", "G4", 60)]),
    "KST008": (
        kept_with("G8", trigger="cron", hour=4),
        {"incidents": PAUSE},
        [("KST008", "G8", 1)],
    ),
    "KST009": (
        twelve,
        {"scheduler": pool},
        [("KST009", "report 8", 1), ("KST009", "report 9", 1)],
    ),
    "KST010": (late, {}, [("KST010", "G10", 1)]),
    "KST013": (two_ids, {}, [("KST013", "crawl", 1)]),
    "KST014": (
        lambda scheduler: scheduler.add_job(stuck, "cron", hour="1-4", name="G14"),
        {},
        [("KST014", "G14", 3)],
    ),
    "KST015": (cut, {}, [("KST015", "G15", 1)]),
    "KST017": (released, {"scheduler": store}, [("KST017", "G17", 1)]),
    "KST019": (
        lambda scheduler: scheduler.add_job(failing, "cron", hour="1-4", name="G19"),
        {},
        [("KST019", "G19", 4)],
    ),
}


@pytest.fixture(scope="module")
def nights() -> dict[str, list[logging.LogRecord]]:
    """Run each night once."""
    return {
        code: records_of(register, **options).all for code, (register, options, _) in NIGHTS.items()
    }


def as_json(record: logging.LogRecord, **names: str) -> str:
    """Return a record as python-json-logger writes it, or structlog, by other names."""
    fields = {
        names.get("time", "asctime"): datetime.fromtimestamp(record.created, UTC).isoformat(),
        names.get("level", "levelname"): record.levelname,
        names.get("logger", "name"): record.name,
        names.get("message", "message"): record.getMessage(),
    }
    if record.exc_text:
        fields[names.get("error", "exc_info")] = record.exc_text
    return json.dumps(fields)


LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def carried(form: str, begin: Callable[[datetime], str]) -> Callable[..., str]:
    """Return a format in which something stands before each line, those of tracebacks too."""

    def write(records: Iterable[logging.LogRecord]) -> str:
        return "".join(
            f"{begin(datetime.fromtimestamp(each.created, UTC))}{line}\n"
            for each in records
            for line in plain(form, [each]).splitlines()
        )

    return write


def docker(at: datetime) -> str:
    """Return what ``docker logs -t`` writes."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}789Z "


def json_file(records: Iterable[logging.LogRecord]) -> str:
    """Return the file of Docker's log driver."""
    return "".join(
        json.dumps(
            {
                "log": f"{line}\n",
                "stream": "stderr",
                "time": f"{datetime.fromtimestamp(each.created, UTC):%Y-%m-%dT%H:%M:%S.%f}789Z",
            }
        )
        + "\n"
        for each in records
        for line in plain(LINE, [each]).splitlines()
    )


FORMATS: dict[str, Callable[[Iterable[logging.LogRecord]], str]] = {
    "plain": partial(plain, LINE),
    "dashes": partial(plain, "%(asctime)s - %(name)s - %(levelname)s - %(message)s"),
    "no logger": partial(plain, "%(asctime)s %(levelname)s %(message)s"),
    "bars": partial(plain, "%(asctime)s | %(levelname)-8s | %(name)s:%(lineno)d | %(message)s"),
    "verbose": partial(
        plain,
        "{levelname} {asctime} {module} {process:d} {thread:d} {message}".replace("{", "%(")
        .replace(":d}", ")d")
        .replace("}", ")s"),
    ),
    "places": partial(
        plain,
        "%(asctime)s [%(process)d] [%(threadName)s] %(name)s %(filename)s:%(lineno)d %(funcName)s "
        "%(levelname)s: %(message)s",
    ),
    "gunicorn": partial(plain, "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"),
    "python-json-logger": lambda records: "".join(f"{as_json(each)}\n" for each in records),
    "structlog": lambda records: "".join(
        as_json(
            each,
            time="timestamp",
            level="level",
            logger="logger",
            message="event",
            error="exception",
        )
        + "\n"
        for each in records
    ),
    "structlog's console": partial(
        plain, "%(asctime)s [\033[32m%(levelname)-9s\033[0m] %(message)s  [%(name)s]"
    ),
    "colours": partial(
        plain, "\033[2m%(asctime)s\033[0m \033[31;1m%(levelname)s\033[0m %(message)s"
    ),
    "journal short": carried(
        "%(levelname)s:%(name)s:%(message)s", lambda at: f"{at:%b %d %H:%M:%S} web-1 app[712]: "
    ),
    "journal short-iso": carried(
        "%(levelname)s:%(name)s:%(message)s",
        lambda at: f"{at:%Y-%m-%dT%H:%M:%S}+0000 web-1 app[712]: ",
    ),
    "docker -t": carried("%(levelname)s:%(name)s:%(message)s", docker),
    "docker -t, twice": carried(LINE, docker),
    "docker's file": json_file,
    "compose": carried(LINE, lambda _: "web-1  | "),
    "containerd": carried(LINE, lambda at: f"{docker(at)}stderr F "),
    "kubectl --prefix": carried(LINE, lambda at: f"[pod/web-7d9f-x2/app] {docker(at)}"),
    "windows": lambda records: plain(LINE, records).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_night_is_known_in_each_format(
    name: str, nights: dict[str, list[logging.LogRecord]]
) -> None:
    """One finding, of its code, with its count, and no other."""
    for code, (_, _, wanted) in NIGHTS.items():
        text = FORMATS[name](nights[code])
        found = findings(text)
        if code == "KST009":  # which two of the twelve is not told
            assert [each[0] for each in found] == ["KST009", "KST009"], text
        else:
            assert found == wanted, text


def drained(scheduler: Any, ledger: MemoryLedger | None = None) -> None:
    """Be a service in which all is well, with a ledger."""
    work = once(ledger)(crawl) if ledger else crawl
    scheduler.add_job(work, cron(hour=3), args=[1], id="crawl", name="crawl")
    asyncio.get_running_loop().call_later(4 * 3600, asyncio.ensure_future, later(scheduler))


async def later(scheduler: Any) -> None:
    """Stop it as it should be stopped."""
    await scheduler.drain(30)


BY_NODE: dict[str, Callable[[datetime, str, str], str]] = {
    "pid": lambda at, node, message: (
        f"{at:%F %T},{at.microsecond // 1000:03} [{ord(node)}] INFO apscheduler.x: {message}"
    ),
    "compose": lambda at, node, message: f"app-{node}  | {at:%F %T} INFO {message}",
    "kubectl": lambda _, node, message: f"[pod/app-{node}/app] INFO:apscheduler.x:{message}",
    "stern": lambda at, node, message: f"app-{node} app {at:%F %T} INFO apscheduler.x {message}",
    "journal": lambda at, node, message: f"{at:%b %d %T} {node} app[7]: INFO {message}",
    "json": lambda at, node, message: json.dumps(
        {"event": message, "logger": "apscheduler.x", "timestamp": f"{at}", "hostname": node}
    ),
    "kubernetes": lambda at, node, message: json.dumps(
        {"log": f"INFO {message}", "time": f"{at}", "kubernetes": {"pod_name": node}}
    ),
    "ecs": lambda at, node, message: json.dumps(
        {
            "@timestamp": f"{at}",
            "message": message,
            "log": {"logger": "apscheduler.x"},
            "process": {"pid": ord(node)},
        }
    ),
}


def log_of(form: Callable[[datetime, str, str], str], register: Any, **options: Any) -> str:
    """Return the log of two replicas."""
    start = kst(2026, 5, 10)
    logger = logging.getLogger("apscheduler")
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        night = simulate(register, start, start + timedelta(hours=5), nodes=2, **options)
    finally:
        logger.setLevel(level)
    rows = zip(night.log["time"], night.log["node"], night.log["message"], strict=True)
    return "".join(f"{form(at, node, message)}\n" for at, node, message in rows)


@pytest.mark.parametrize("form", BY_NODE.values(), ids=[*BY_NODE])
def test_two_replicas_run_it(form: Callable[[datetime, str, str], str]) -> None:
    """Where the log says which process wrote a line; not where one was locked out."""
    text = log_of(form, drained)
    assert findings(text) == [("KST012", "crawl", 1)], text
    text = log_of(form, partial(drained, ledger=MemoryLedger()))
    assert "was locked out" in text
    assert findings(text) == [], text


DESCRIBED = "crawl (trigger: cron[hour='3'], next run at: 2026-05-11 03:00:00 KST)"
RUNNING = f'Running job "{DESCRIBED}" (scheduled at 2026-05-10 03:00:00+09:00)'
EXECUTED = f'Job "{DESCRIBED}" executed successfully'
RAISED = f'Job "{DESCRIBED}" raised an exception'
MISSED = f'Run time of job "{DESCRIBED}" was missed by 0:00:05'
CONFLICT = "'Job identifier (crawl) conflicts with an existing job'"
NO_LOOP = "RuntimeError: no running event loop"
NEVER = "/usr/lib/python3.13/concurrent/futures/thread.py:85: RuntimeWarning: coroutine 'crawl' "
NEVER += "was never awaited"
OWN = '  File "/srv/.venv/lib/python3.13/site-packages/apscheduler/schedulers/asyncio.py", line 36'
TRACEBACK = "Traceback (most recent call last):"

TEXTS = {
    f"INFO:apscheduler.executors.default:{RUNNING}\n"
    f"INFO:apscheduler.executors.default:{EXECUTED}\n{NEVER}\n": [("KST018", "crawl", 1)],
    f"2026-05-10 03:00:00,001 INFO {RUNNING}\n2026-05-10 03:00:00,002 INFO {EXECUTED}\n": [],
    f"2026-05-10 03:00:00,001 INFO {RUNNING}\n2026-05-10 03:40:00,002 INFO {EXECUTED}\n{NEVER}": [],
    f"WARNING:py.warnings:{NEVER}\n": [],
    f"{TRACEBACK}\n{OWN}\napscheduler.jobstores.base.ConflictingIdError: {CONFLICT}\n": [
        ("KST011", "crawl", 1)
    ],
    f"{TRACEBACK}\n{OWN}, in start\n    x\n{NO_LOOP}\n": [("KST016", "", 1)],
    f"{NO_LOOP}\n": [("KST016", "", 1)],
    f'{TRACEBACK}\n  File "/srv/app.py", line 1, in main\n    x\n{NO_LOOP}\n': [],
    json.dumps(
        {"message": "boom", "name": "uvicorn.error", "exc_info": f"{TRACEBACK}\n{OWN}\n{NO_LOOP}"}
    ): [("KST016", "", 1)],
    json.dumps({"message": NO_LOOP, "name": "app"}): [],
    "ValueError: This Job cannot be serialized since the reference to its callable (<l>) could": [
        ("KST017", "", 1)
    ],
    f"WARNING:apscheduler.executors.default:{MISSED}\n": [("KST008", "crawl", 1)],
    # lines of others
    f"WARNING:myapp:{MISSED}\n": [],
    f"WARNING:root:{MISSED}\n": [],
    f"2026-05-10 03:00:00,001 WARNING myapp.audit: {MISSED}\n": [],
    f"2026-05-10 03:00:00,001 WARNING [myapp.audit] {MISSED}\n": [],
    f"2026-05-10 03:00:00,001 [warning  ] {MISSED}  [myapp]\n": [],
    f"2026-05-10 WARNING the user wrote: {MISSED}\n": [],
    f"WARNING myapp: apscheduler said: {MISSED}\n": [],
    f'level=warning logger=myapp msg="{MISSED}"\n': [],
    json.dumps({"message": MISSED, "name": "myapp", "level": "WARNING"}): [],
    json.dumps({"message": f"I saw {MISSED}", "level": "WARNING"}): [],
    json.dumps({"message": "hello", "data": MISSED, "name": "apscheduler.x"}): [],
    # JSON that is cut
    json.dumps({"name": "apscheduler.x", "message": MISSED})[:-1]: [("KST008", "crawl", 1)],
    json.dumps({"message": MISSED, "name": "apscheduler.x"})[:-4]: [("KST008", "crawl", 1)],
    json.dumps({"name": "myapp", "message": MISSED})[:-1]: [],
    json.dumps({"message": "hello", "data": MISSED})[:-1]: [],
    "[" * 100_000: [],
    '{"a":' * 30_000 + f'"{MISSED}"': [],
    "": [],
    "\n\n": [],
    'level=warning msg="' + MISSED.replace('"', '\\"') + '"': [("KST008", "crawl", 1)],
    f"{'x' * 70_000} {MISSED}": [],
    # more headers
    f"[2026-05-10 03:00:00,123: WARNING/ForkPoolWorker-1] {MISSED}": [("KST008", "crawl", 1)],
    f"05/10/2026 03:00:00 AM {MISSED}": [("KST008", "crawl", 1)],
    f"2026-05-10 03:00:00.000 | WARNING  | apscheduler.executors.base:run_job:126 - {MISSED}": [
        ("KST008", "crawl", 1)
    ],
    f"2026-05-10T03:00:00.123+00:00 app/web/f3a WARNING:apscheduler.x:{MISSED}": [
        ("KST008", "crawl", 1)
    ],
    f"2026-05-10T03:00:00.123+00:00 app[worker.1]: WARNING {MISSED}": [("KST008", "crawl", 1)],
    f"Sun 2026-05-10 03:00:00 KST web-1 app[7]: WARNING {MISSED}": [("KST008", "crawl", 1)],
    f"2026-05-10 03:00:00 WARNING myapp[7]: {MISSED}": [],
    f"WARNING:     {MISSED}": [("KST008", "crawl", 1)],
    MISSED: [("KST008", "crawl", 1)],
    # times that are none
    f'{{"message": {json.dumps(MISSED)}, "time": Infinity}}': [("KST008", "crawl", 1)],
    f'{{"message": {json.dumps(MISSED)}, "time": 1{"0" * 400}}}': [("KST008", "crawl", 1)],
    f"9999-12-31 23:59:59-09:00 WARNING {MISSED}": [("KST008", "crawl", 1)],
    f"2026-99-99 23:59:59 WARNING {MISSED}": [("KST008", "crawl", 1)],
    f"WARNING {MISSED.replace('0:00:05', 'inf')}": [("KST008", "crawl", 1)],
    f"INFO {RUNNING.replace('2026-05-10 03:00:00+09:00', '9999-12-31 23:00:00+00:00')}": [],
    # a shutdown, and what was not cut by it
    f"2026-05-10 03:00:00 INFO Scheduler has been shut down\n2026-05-10 03:00:01 ERROR {RAISED}\n"
    f"{TRACEBACK}\nValueError: x\n": [("KST019", "crawl", 1)],
    f"2026-05-10 03:00:00 ERROR {RAISED}\n{TRACEBACK}\nasyncio.exceptions.CancelledError\n"
    "2026-05-10 03:00:01 INFO Scheduler has been shut down\n": [("KST015", "crawl", 1)],
    f"2026-05-10 03:00:00 ERROR {RAISED}\n{TRACEBACK}\nasyncio.exceptions.CancelledError\n"
    "2026-05-10 04:00:01 INFO Scheduler has been shut down\n": [("KST019", "crawl", 1)],
    f"2026-05-10 03:00:00 INFO Scheduler has been shut down\n2026-05-10 03:00:00 ERROR {RAISED}": [
        ("KST015", "crawl", 1)
    ],
    f"2026-05-10 03:00:00 [1] ERROR {RAISED}\n{TRACEBACK}\nasyncio.exceptions.CancelledError\n"
    "2026-05-10 03:00:01 [2] INFO Scheduler has been shut down\n"
    "2026-05-10 03:00:02 [1] INFO Scheduler has been shut down\n": [("KST015", "crawl", 1)],
    # two handlers write each line; a retry after a failure; a crash
    f"INFO:apscheduler.x:{RUNNING}\nINFO:apscheduler.x:{RUNNING}\n": [],
    f"2026-05-10 03:00:00,001 INFO {RUNNING}\n2026-05-10 03:00:00,001 INFO {RUNNING}\n": [],
    f"2026-05-10 03:00:00,001 INFO {RUNNING}\n2026-05-10 03:00:00,009 INFO {RUNNING}\n": [
        ("KST012", "crawl", 1)
    ],
    f"2026-05-10 03:00:00,001 [1] INFO {RUNNING}\n2026-05-10 03:05:00,001 [2] INFO {RUNNING}\n"
    f"2026-05-10 03:06:00,001 [2] INFO {EXECUTED}\n": [],
}


@pytest.mark.parametrize(("text", "wanted"), TEXTS.items(), ids=range(len(TEXTS)))
def test_each_text_gives_what_is_in_it(text: str, wanted: list[tuple[str, str, int]]) -> None:
    """A false alarm is as bad as a missed line."""
    assert findings(text) == wanted


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp949", "latin-1"])
def test_any_encoding_is_read(encoding: str) -> None:
    """Bytes that cannot be decoded are no error."""
    text = f"é\nWARNING:apscheduler.x:{MISSED.replace('crawl', 'tägliche')}\n"
    ((code, _, count),) = findings(text.encode(encoding, errors="replace"))
    assert (code, count) == ("KST008", 1)


def test_healthy_triggers_give_nothing() -> None:
    """UTC that was not meant for an hour of the day, another zone, every minute."""
    forms = [
        ("interval[0:10:00]", "2026-05-10 03:00:00+00:00", "UTC"),
        ("cron[minute='*/5']", "2026-05-10 03:00:00+00:00", "UTC"),
        ("cron[hour='3', minute='0']", "2026-05-10 03:00:00-04:00", "EDT"),
        ("cron[hour='3', minute='0']", "2026-01-10 03:00:00+00:00", "GMT"),
    ]
    lines = [
        f'INFO:apscheduler.x:Running job "j{number} (trigger: {trigger}, next run at: 2026-05-11 '
        f'00:00:00 {zone})" (scheduled at {at})'
        for number, (trigger, at, zone) in enumerate(forms)
    ]
    for minute in range(60):
        described = f"m (trigger: cron[minute='*'], next run at: 2026-05-11 03:{minute:02}:00 KST)"
        lines.append(
            f'INFO:apscheduler.x:Running job "{described}" (scheduled at 2026-05-10 '
            f"03:{minute:02}:00+09:00)"
        )
        lines.append(f'INFO:apscheduler.x:Job "{described}" executed successfully')
    assert findings("\n".join(lines)) == []


def test_jobs_of_one_function_may_run_at_once() -> None:
    """By max_instances, or as one-shot jobs with other arguments; two ids of an interval do not."""
    form = (
        'INFO:apscheduler.x:Running job "mail (trigger: {0}, next run at: 2026-05-11 03:00:00 KST)'
        '" (scheduled at 2026-05-10 {1}+09:00)\n'
    )
    often, dates = "cron[minute='*']", "date[2026-05-10 03:0{}:00 KST]"
    assert findings(form.format(often, "03:00:00") + form.format(often, "03:01:00")) == []
    dated = form.format(dates.format(0), "03:00:00") + form.format(dates.format(1), "03:01:00")
    assert findings(dated) == []
    each = "interval[0:10:00]"
    assert findings(form.format(each, "03:00:00") + form.format(each, "03:10:00")) == []
    found = findings(form.format(each, "03:00:00") + form.format(each, "03:00:00.001"))
    assert found == [("KST013", "mail", 1)]


class Endless(io.RawIOBase):
    """A log of so many bytes that it is not kept."""

    def __init__(self, block: Callable[[int], bytes], count: int) -> None:
        super().__init__()
        self._blocks = (block(number) for number in range(count))
        self._rest = b""

    def readable(self) -> bool:
        """Be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give what comes next."""
        self._rest = self._rest or next(self._blocks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


@pytest.mark.parametrize("kind", ["one line", "many jobs", "other lines", "compressed"])
def test_memory_does_not_grow_with_the_log(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one line without an end, of jobs that each have a name of their own, of other loggers."""
    megabyte = gzip.compress(b"x" * 999_999 + b"\n")

    def block(number: int) -> bytes:
        if kind == "compressed":
            return megabyte
        if kind == "one line":
            return b"x" * 10_000
        if kind == "other lines":
            return b"2026-05-10 03:00:00,000 INFO uvicorn.access: GET /jobs 200 OK\n" * 100
        at = datetime(2026, 5, 10, tzinfo=UTC) + timedelta(seconds=number)
        job = f"mail {number} (trigger: cron[hour='3'], next run at: {at:%F %T} KST)"
        lines = (
            f'Running job "{job}" (scheduled at {at})\n',
            f'Run time of job "{job}" was missed by',
        )
        return f"{at:%F %T} INFO {lines[0]}{at:%F %T} INFO {lines[1]} 0:00:05\n".encode()

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            explain_log(io.BufferedReader(Endless(block, count)))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    monkeypatch.setattr(log_faults, "MAX_KEPT", 20)
    few = 60
    assert peak(2 * few) < 1.3 * peak(few) + 100_000


HOSTILE = [
    'Running job "' * 5_000,
    f'Job "{" (trigger: " * 6_000}" raised an exception',
    "2026-05-10 03:00:00 " * 3_000 + RUNNING,
    "[" * 60_000 + RUNNING,
    "a." * 30_000 + "py " + RUNNING,
    "\033[1" * 15_000 + RUNNING,
    '{"message": "' * 5_000 + RUNNING,
    'File "' * 10_000,
    "Error" + "a." * 30_000,
    "pid " * 15_000 + RUNNING,
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_is_read_in_linear_time(line: str) -> None:
    """Each is 64 kB: where a pattern were quadratic, this test would take minutes."""
    assert len(line) > 45_000
    assert findings(line) == findings(f"{{{line}") == []
