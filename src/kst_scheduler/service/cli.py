"""The command kst-scheduler: serves a service, rehearses one, begins one, explains a log.

What needs an extra is imported by the verb that needs it, so `--help` needs none.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError, KSTSchedulerError, ServerError
from kst_scheduler.extras import require_extra
from kst_scheduler.redaction import without_passwords
from kst_scheduler.servers import embedded_postgres, embedded_valkey
from kst_scheduler.service.explain_command import add_explain
from kst_scheduler.service.init_command import add_init
from kst_scheduler.service.jobs import JobsExitError, jobs_function, place_of
from kst_scheduler.service.logs import log_to_stderr
from kst_scheduler.service.rehearse_command import add_rehearse
from kst_scheduler.service.stopping import StopLimit, end_limits
from kst_scheduler.timezone import KST
from kst_scheduler.user_values import text_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import FrameType

    from kst_scheduler.servers import Server
    from kst_scheduler.service.settings import Settings

logger = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
PORT: Final = 8000
DEMO: Final = "kst_workbook.nps.nightly:register"
"""Jobs to look at, where the workbook is installed."""
MAX_ERROR_LENGTH: Final = 2_000
"""Characters of the line that says why the command failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or the process's own; return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return _run(chosen)
    finally:
        if arguments is not None:  # this process is not the command's own, and lives on
            end_limits()


def _run(chosen: argparse.Namespace) -> int:
    try:
        code: int = chosen.verb(chosen)
    except KeyboardInterrupt:
        interrupted: int = getattr(chosen, "interrupted", 0)  # of a verb that had not done its work
        return interrupted
    except BaseException as error:
        if sys.flags.dev_mode and not isinstance(error, KSTSchedulerError | SystemExit):
            raise  # python -X dev -m kst_scheduler.service.cli shows the traceback
        if isinstance(error, SystemExit):  # of a module of the reader's
            error = JobsExitError(error)
        sys.stderr.write(f"kst-scheduler: {_in_one_line(error)}\n")
        if isinstance(error, JobsExitError):
            return error.code
        failed: int = getattr(chosen, "failed", 1)  # of a verb to which 1 means something else
        return failed
    return code


def _in_one_line(error: BaseException) -> str:
    """Return an error as one line without passwords, and where it happened if it is not ours."""
    text = text_of(error)
    if isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {text}"  # it says where by itself
    elif not isinstance(error, KSTSchedulerError):
        text = f"{type(error).__name__}: {text}{place_of(error)}"
    return " ".join(without_passwords(text, MAX_ERROR_LENGTH).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kst-scheduler", description="Runs jobs on Korean time, each occurrence once."
    )
    verbs = parser.add_subparsers(
        required=True, metavar="{serve,worker,next,rehearse,explain,init}"
    )
    serve = verbs.add_parser("serve", help="run the scheduler and its admin API")
    worker = verbs.add_parser("worker", help="run what the schedulers of a service hand off")
    next_ = verbs.add_parser("next", help="show the coming fire times in KST and UTC")
    for verb in (serve, worker, next_):
        jobs = verb.add_mutually_exclusive_group()
        jobs.add_argument(
            "--jobs",
            metavar="MODULE:FUNCTION",
            help="adds the jobs, also as FILE.py:FUNCTION (KST_SCHEDULER_JOBS)",
        )
        jobs.add_argument(
            "--demo",
            action="store_const",
            const=DEMO,
            dest="jobs",
            help="the workbook's own job, a nightly crawl of a sandbox, instead of yours",
        )
    serve.add_argument("--host", default=LOOPBACK, help=f"where to listen (default {LOOPBACK})")
    serve.add_argument("--port", type=_port, default=PORT, help=f"0: any free one (default {PORT})")
    serve.add_argument(
        "--data",
        type=Path,
        default=_data_folder(),
        help="where the embedded servers keep their state, when DATABASE_URL is not set "
        "(default %(default)s)",
    )
    serve.set_defaults(verb=_serve)
    worker.add_argument(
        "--concurrency", type=_count, default=1, help="how many runs at once (default 1)"
    )
    worker.set_defaults(verb=_work)
    next_.add_argument("-n", type=int, default=5, help="how many of each job (default 5)")
    next_.set_defaults(verb=_next)
    add_rehearse(verbs)
    add_explain(verbs)
    add_init(verbs)
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise argparse.ArgumentTypeError(f"{port} is no port; write one from 0 to 65535")
    return port


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} runs nothing; write 1 or more")
    return count


def _data_folder() -> Path:
    """Return the user's folder for data (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME") or Path("~", ".local", "share")
    try:
        return Path(base).expanduser() / "kst-scheduler"
    except RuntimeError:  # the account has no home, which is a fault where the folder is used
        return Path(base) / "kst-scheduler"


def _settings(chosen: argparse.Namespace, extra: str = "service") -> Settings:
    with require_extra(extra, "the settings of a service"):
        from kst_scheduler.service.settings import Settings  # noqa: PLC0415

    settings = Settings() if chosen.jobs is None else Settings(jobs=chosen.jobs)
    jobs_function(settings.jobs)  # before any server is started
    return settings


def _next(chosen: argparse.Namespace) -> int:
    with require_extra("service", "kst-scheduler next"):
        from kst_scheduler.service.next_fires import next_fires  # noqa: PLC0415

    if chosen.n < 1:
        raise InvalidArgumentError(f"-n {chosen.n} shows no fire time; write -n 5, say")
    sys.stdout.write(next_fires(_settings(chosen).jobs, chosen.n, datetime.now(KST)))
    return 0


def _serve(chosen: argparse.Namespace) -> int:
    with require_extra("service", "kst-scheduler serve"):
        from kst_scheduler.service.serving import serve_until_signal  # noqa: PLC0415

    log_to_stderr()
    settings = _settings(chosen)
    limit = StopLimit(settings.drain_timeout)
    # From here on SIGTERM ends the process as Ctrl-C does: by way of every finally.
    signal.signal(signal.SIGTERM, limit.interrupt)
    limit.watch()
    with _listener(chosen.host, chosen.port) as listener, ExitStack() as servers:
        kept: list[Server] = []
        if settings.database_url is None:
            settings = _embedded(settings, chosen.data, servers, kept)
        asyncio.run(serve_until_signal(settings, listener, limit, kept))
    return 0


def _work(chosen: argparse.Namespace) -> int:
    with require_extra("distributed", "kst-scheduler worker"):
        from kst_scheduler.service.components import is_postgresql  # noqa: PLC0415

    log_to_stderr()
    settings = _settings(chosen, "distributed")
    if not is_postgresql(settings):
        raise InvalidArgumentError(
            "a worker takes its work from the PostgreSQL of the schedulers it works for; set "
            "DATABASE_URL to theirs, which begins with postgresql://"
        )
    asyncio.run(_work_until_signal(settings, chosen.concurrency))
    return 0


async def _work_until_signal(settings: Settings, concurrency: int) -> None:
    from kst_scheduler.distributed import work  # noqa: PLC0415
    from kst_scheduler.service.components import add_jobs, opened  # noqa: PLC0415

    loop, here = asyncio.get_running_loop(), asyncio.current_task()
    assert here is not None  # noqa: S101 - this is a coroutine
    limit = StopLimit(settings.drain_timeout)
    limit.loop = loop

    def stop(_number: int, _frame: FrameType | None) -> None:
        limit.begin()  # here, as the loop may be blocked
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(here.cancel)

    # Not by loop.add_signal_handler: its handlers wait for a blocked loop.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    limit.watch()
    with suppress(asyncio.CancelledError):
        async with opened(settings) as service:
            assert service.tasks is not None  # noqa: S101 - it is PostgreSQL, and work is there
            add_jobs(service, settings)
            await work(
                service.tasks,
                service.scheduler,
                concurrency=concurrency,
                drain_timeout=settings.drain_timeout,
            )


def _listener(host: str, port: int) -> socket.socket:
    """Take the port before anything is started: a second service on it must not run a job."""
    from kst_scheduler.servers.local_server import listening  # noqa: PLC0415

    try:
        return listening(host, port)
    except OSError as error:
        raise ServerError(
            f"cannot listen on {host}, port {port}: {error}; write --port 0 for any free one"
        ) from None


def _embedded(
    settings: Settings, folder: Path, servers: ExitStack, kept: list[Server] | None = None
) -> Settings:
    """Start the servers that the environment does not name, and note in ``kept`` which.

    Valkey only beside an embedded PostgreSQL: to replicas that share a database, a Redis that is
    known to one host only would be no lock.
    """
    from pydantic import SecretStr  # noqa: PLC0415

    folder = _made(folder)
    postgres = servers.enter_context(embedded_postgres(folder))
    embedded = [postgres]
    started, addresses = "PostgreSQL", {"database_url": SecretStr(postgres.url)}
    if settings.redis_url is None:
        try:
            valkey = servers.enter_context(embedded_valkey(folder))
        except ServerError as error:
            logger.warning("jobs get no Redis: %s", error)
        else:
            embedded.append(valkey)
            started, addresses["redis_url"] = "PostgreSQL and Valkey", SecretStr(valkey.url)
    logger.info("DATABASE_URL is not set: %s run(s) here, with state in %s", started, folder)
    if kept is not None:
        kept += embedded
    return settings.model_copy(update=addresses)


def _made(folder: Path) -> Path:
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:  # also: no home, NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise ServerError(
            f"DATABASE_URL is not set, and no state can be kept in {str(folder)!r}: {reason}; "
            "write --data FOLDER, with a folder that is writable, or set DATABASE_URL"
        ) from None
    return folder


if __name__ == "__main__":
    sys.exit(main())
