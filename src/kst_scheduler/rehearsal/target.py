"""What is rehearsed: find it by its name, and begin it as a process of a service does."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import traceback
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler

from kst_scheduler.errors import InvalidArgumentError, KSTSchedulerError, TargetError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.module_files import (
    check_is_of_file,
    check_module_name,
    is_file_name,
    module_file,
)
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.rehearsal.import_advice import advice
from kst_scheduler.rehearsal.place import shown
from kst_scheduler.scheduler.executor import returns_awaitable
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation.clock import real_time
from kst_scheduler.simulation.sources import is_library_path
from kst_scheduler.user_values import text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kst_scheduler.simulation.redis_server import SimulatedRedis

NO_LOOP: Final = "no running event loop"
ASYNCIO_RUN: Final = "asyncio.run() cannot be called from a running event loop"
ASGI_ARGUMENTS: Final = 3
"""scope, receive and send (ASGI specification 3.0)."""
PATIENCE: Final = 30
"""Seconds in which a service adds its first job, and starts its scheduler."""
NOT_FOUND: Final = object()


@dataclass(frozen=True)
class Target:
    """A target as it is named: "module:name", or "path/to/file.py:name"."""

    text: str
    module: str
    name: str
    folder: str
    """The folder from which the module is imported."""
    file: str
    """That of the module; empty: the text names the module."""
    current: str
    """The folder from which files are named."""

    @classmethod
    def named(cls, text: str) -> Target:
        """Find the module that a text names, without importing it.

        Raises:
            InvalidArgumentError: it names no module or file, or no object in it.

        """
        module, _, name = text.rpartition(":")
        if not module or not name or not all(part.isidentifier() for part in name.split(".")):
            raise InvalidArgumentError(
                f"target {text!r} does not name a scheduler; write module:name, such as "
                "my_service.app:scheduler, or file.py:name"
            )
        here = str(Path.cwd())
        if is_file_name(module):
            file = module_file(module, f"target {text!r}")
            return cls(text, file.module, name, file.folder, str(file.path), here)
        check_module_name(module, f"target {text!r}")
        return cls(text, module, name, here, "", here)


class Servers:
    """What all processes of a rehearsal share: a ledger and a Redis in memory."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()

    @cached_property
    def redis(self) -> SimulatedRedis:
        """Make the Redis: it is slow to import, and few services ask for it."""
        with real_time():
            from kst_scheduler.simulation.redis_server import SimulatedRedis  # noqa: PLC0415

            return SimulatedRedis()


class ServiceScheduler(KSTScheduler):
    """What a function ``register(scheduler)`` is given, or ``add_jobs(service)``."""

    def __init__(self, servers: Servers) -> None:
        super().__init__()
        self.ledger = servers.ledger
        self.tasks = None
        self._servers = servers

    @cached_property
    def redis(self) -> Any:
        """Return a client of the Redis."""
        return self._servers.redis.client()

    @property
    def scheduler(self) -> ServiceScheduler:
        """Return itself, for ``service.scheduler``."""
        return self


class Process:
    """One process of the reader's service: what it is made of, and how it is stopped."""

    def __init__(self, target: Target, servers: Servers, stubs: Sequence[str] = ()) -> None:
        self._target = target
        self._stubs = stubs
        self._servers = servers
        self.schedulers: list[BaseScheduler] = []
        """Those that it has made, in order."""
        self.fault_of_start: RuntimeError | None = None
        """Why its module cannot be imported where no event loop runs."""
        self._lifespan: _Lifespan | None = None

    @property
    def not_started(self) -> list[BaseScheduler]:
        """Those that have jobs, and that nobody has started."""
        return [each for each in self.schedulers if each.state == STATE_STOPPED and each.get_jobs()]

    @property
    def is_still_starting(self) -> bool:
        """Whether its application has not yet said that it has started."""
        return self._lifespan is not None and not self._lifespan.has_started

    async def start(self) -> None:
        """Begin as uvicorn, or a program with ``asyncio.run``, begins.

        Raises:
            TargetError: it cannot be imported, or is nothing that can be rehearsed.

        """
        await self._begin(self._found())
        if not any(scheduler.get_jobs() for scheduler in self.schedulers):
            await asyncio.sleep(PATIENCE)  # a thread, or a task, may be about to make one
        if not self.schedulers:
            raise TargetError(
                f"{self._target.text} makes no APScheduler, so nothing can be rehearsed"
            )
        if not any(scheduler.get_jobs() for scheduler in self.schedulers):
            raise TargetError(f"{self._target.text} adds no jobs, so nothing can be rehearsed")

    async def stop(self) -> None:
        """End as on SIGTERM: an application's lifespan ends, and nothing else is told."""
        if self._lifespan is not None:
            await self._lifespan.stop()

    def _found(self) -> Any:
        """Import the module in this process, and return what the target names in it."""
        name = self._target.module
        try:
            for stub in self._stubs:
                _put_stub(stub)
            module = self._imported(name)
        except TargetError:  # a stub that is none
            raise
        except ModuleNotFoundError as error:
            if error.name and f"{name}.".startswith(f"{error.name}."):
                raise TargetError(
                    f"{self._target.text}: there is no module {error.name!r} in this folder or "
                    "among the installed packages"
                ) from None
            raise TargetError(self._at_import(error)) from error
        except Exception as error:
            raise TargetError(self._at_import(error)) from error
        if self._target.file:
            check_is_of_file(module, Path(self._target.file), f"target {self._target.text!r}")
        found: Any = module
        for part in self._target.name.split("."):
            found = getattr(found, part, NOT_FOUND)
            if found is NOT_FOUND:
                raise TargetError(f"{self._target.text}: {name} has no {part!r}")
        return found

    def _imported(self, name: str) -> Any:
        """Import without a running loop, as a program does; then with one, as uvicorn does."""
        before, made = set(sys.modules), len(self.schedulers)
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)  # noqa: SLF001 - checked on 3.11 to 3.15
        try:
            return importlib.import_module(name)
        except RuntimeError as error:
            if NO_LOOP not in str(error):
                raise
            self.fault_of_start = error
        finally:
            asyncio._set_running_loop(loop)  # noqa: SLF001
        for each in set(sys.modules) - before:
            if each == name or each.startswith(f"{name}."):
                del sys.modules[each]
        del self.schedulers[made:]
        return importlib.import_module(name)

    def _at_import(self, error: BaseException) -> str:
        where = line_of(error, self._target.current)
        text = said(error)
        return f"{self._target.text} cannot be imported: {text}{where}{advice(error)}"

    async def _begin(self, found: Any) -> None:
        if isinstance(found, BlockingScheduler) and not isinstance(found, BackgroundScheduler):
            raise TargetError(
                f"{self._target.text} is a BlockingScheduler, whose start() never returns; "
                "rehearse a function that adds its jobs: def register(scheduler): ..."
            )
        if isinstance(found, BaseScheduler):
            if found not in self.schedulers:
                self.schedulers.append(found)
            if found.state == STATE_STOPPED:
                found.start()
        elif _is_asgi(found):
            self._lifespan = _Lifespan(found)
            await self._lifespan.start()
        elif inspect.isroutine(found):
            await self._call(found)
        elif not (callable(found) and self.schedulers):  # a WSGI application, which has no start
            raise TargetError(
                f"{self._target.text} is {_a(type(found).__name__)}, and neither a scheduler, nor "
                "a function that adds jobs to one, nor an application that starts one"
            )

    async def _call(self, function: Callable[..., Any]) -> None:
        wanted = _positional(function)
        if wanted > 1:
            raise TargetError(
                f"{self._target.text} takes {wanted} arguments; write def register(scheduler): "
                "..., or a function without arguments that returns the scheduler"
            )
        if wanted == 0:
            made = self._called(function)
            made = await made if inspect.isawaitable(made) else made
            if made is not None:
                await self._begin(made)
            return
        scheduler = ServiceScheduler(self._servers)
        try:
            result = function(scheduler)
            if inspect.isawaitable(result):
                await result
        except KSTSchedulerError as error:
            raise TargetError(
                f"{self._target.text} was given a KSTScheduler, and raised {said(error)}"
                f"{line_of(error, self._target.current)}; to rehearse another scheduler, name a "
                "function that returns it"
            ) from error
        if any(hasattr(job.func, "once") for job in scheduler.get_jobs()):
            Reconciler(scheduler, scheduler.ledger).start()
        if scheduler.state == STATE_STOPPED:
            scheduler.start()

    def _called(self, function: Callable[..., Any]) -> Any:
        try:
            return function()
        except RuntimeError as error:
            if ASYNCIO_RUN not in str(error):
                raise
            raise TargetError(
                f"{self._target.text} calls asyncio.run(){line_of(error, self._target.current)}; "
                "name the coroutine function that it runs, such as app.py:main"
            ) from None


def _put_stub(stub: str) -> None:
    """Let a function of a module do nothing, in this process."""
    module_name, _, name = stub.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise TargetError(f"--stub {stub}: there is no module {error.name!r}") from None
    if not hasattr(module, name):
        raise TargetError(f"--stub {stub}: the module {module_name} has no {name!r}")
    setattr(module, name, lambda *_args, **_kwargs: None)


class _Lifespan:
    """The lifespan of an ASGI application, as a server runs it (ASGI specification, lifespan)."""

    def __init__(self, application: Callable[..., Awaitable[object]]) -> None:
        self._application = application
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self.has_started = False
        """Whether it has said so, or has ended."""

    async def start(self) -> None:
        await self._asked.put({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._started

    async def stop(self) -> None:
        await self._asked.put({"type": "lifespan.shutdown"})
        await self._stopped

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._application(scope, self._asked.get, self._send)
            self.has_started = True
        except Exception as error:  # noqa: BLE001 - also: it has no lifespan, which a server allows
            self.has_started = True
            if not self._started.done() and not _has_no_lifespan(error):
                self._started.set_exception(
                    TargetError(f"the application does not start: {said(error)}")
                )
        finally:
            for each in (self._started, self._stopped):
                if not each.done():
                    each.set_result(None)

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        self.has_started = True
        if kind == "lifespan.startup.failed" and not self._started.done():
            last = str(message.get("message", "")).strip().splitlines()
            self._started.set_exception(
                TargetError(f"the application does not start: {last[-1] if last else kind}")
            )
        elif kind.startswith("lifespan.startup") and not self._started.done():
            self._started.set_result(None)
        elif kind.startswith("lifespan.shutdown") and not self._stopped.done():
            self._stopped.set_result(None)


def _has_no_lifespan(error: BaseException) -> bool:
    return isinstance(error, AssertionError | NotImplementedError | KeyError)


def _is_asgi(found: Any) -> bool:
    if isinstance(found, type):
        return False
    if inspect.isroutine(found):
        return _positional(found) == ASGI_ARGUMENTS
    return callable(found) and returns_awaitable(found)


def _positional(function: Callable[..., Any]) -> int:
    """Return how many arguments a function must be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    return sum(
        each.default is each.empty
        and each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}
        for each in parameters
    )


def line_of(error: BaseException, current: str) -> str:
    """Return the reader's line at which an error was raised, as " (app.py, line 7)"."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        each
        for each in frames
        if not each.filename.startswith("<") and not is_library_path(each.filename)
    ]
    return f" ({shown(own[-1].filename, current)}, line {own[-1].lineno})" if own else ""


def said(error: BaseException) -> str:
    """Return an error as Python prints it, in one line."""
    return " ".join(f"{type(error).__name__}: {text_of(error)}".split()).removesuffix(":")


def _a(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"
