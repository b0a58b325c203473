"""Each simulated process has its own copy of the user's modules, as each real process has.

All nodes live in one real process. Without copies they would share each global set or lock of the
user's module, and it would survive a crash. So each process of a node executes a fresh copy of that
module, and of the modules beside it that it imports. While a node runs, ``sys.modules`` holds its
copies::

    node A runs          sys.modules["app"] is A's copy     import app, pickles, "app:job" find it
    node B runs          sys.modules["app"] is B's copy
    the simulation ends  sys.modules["app"] is the caller's, which nothing has touched
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import importlib
import inspect
import logging
import sys
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_STOPPED

from kst_scheduler.errors import SimulationError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.simulation.shared_memory import SharedMemory
from kst_scheduler.simulation.sources import PROGRAMS, folder_of, is_user_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.machinery import ModuleSpec

    from kst_scheduler.simulation.process import SimulatedNode

    MakeScheduler = Callable[[], AsyncIOScheduler]
    Register = Callable[[AsyncIOScheduler], object]

_logger = logging.getLogger(__name__)


class Program:
    """What every node runs: a scheduler, and the code that gives it its jobs.

    Args:
        scheduler: returns an AsyncIOScheduler.
        register: adds jobs to it.
        processes_differ: there is more than one process, so that a server which a module makes
            would be several.
        folder: each process has modules of its own of what lies below it; empty: of what lies
            beside the modules of ``scheduler`` and ``register``.

    """

    def __init__(
        self,
        scheduler: MakeScheduler,
        register: Register,
        *,
        processes_differ: bool = False,
        folder: str = "",
    ) -> None:
        self._given = scheduler, register
        self.register = register
        self._processes_differ = processes_differ
        self._trees: list[str] = []
        self._roots: list[str] = []
        self._callers: set[str] = set()
        self._of: dict[object, dict[str, ModuleType]] = {}
        """The modules of each node, and the caller's under None."""
        self._inside: object = None
        """The node whose modules sys.modules holds; None: the caller's."""
        self._names: list[str] = []
        """The reader's modules, as far as anybody has imported them."""
        self._looked_at: set[str] = set()
        self._not_the_readers: set[str] = set()
        self._size = -1
        self._is_checked = False
        self._shared: SharedMemory | None = None
        """What all processes share; None: each has modules of its own, or there is only one."""
        if folder:
            self._trees.append(folder)
        else:
            self._find()

    @property
    def is_fresh(self) -> bool:
        """Whether each process has modules of its own; otherwise all share the caller's."""
        return bool(self._trees)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let nodes have modules of their own, and give the caller's back at the end."""
        if not self.is_fresh:
            self._share()
            yield
            return
        finder: Any = _Finder(self)
        sys.meta_path.insert(0, finder)
        try:
            yield
        except BaseException as error:
            self._make_the_callers(error)
            raise
        finally:
            self.enter(None)
            sys.meta_path.remove(finder)
            self._of.clear()

    def enter(self, node: object) -> None:
        """Let ``sys.modules`` hold the modules of ``node``; those of the caller for None."""
        if node is self._inside or not self.is_fresh:
            return
        self._of[self._inside] = self._take()
        sys.modules.update(self._of.setdefault(node, {}))
        self._size = len(sys.modules)
        self._inside = node

    def start(self, node: object) -> tuple[MakeScheduler, Register]:
        """Return what a new process of ``node`` runs, from modules that are executed now."""
        if not self.is_fresh:
            return self._given
        self.enter(None)
        self._of[node] = {}
        self.enter(node)
        try:
            for name in self._roots:
                importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a module raises
            _logger.warning(
                "%s cannot be executed once more (%s: %s), so the nodes share its "
                "memory; real replicas have one each",
                *(", ".join(self._roots), type(error).__name__, error),
            )
            return self._end_with_the_callers()
        for name in self._callers & self._of[None].keys():
            sys.modules.setdefault(name, self._of[None][name])
        fresh = self._fresh()
        try:
            if not self._is_checked:
                self._check_replaced(fresh)
            scheduler, register = (self._renewed(each, fresh) for each in self._given)
        except _NotTheSameError:
            return self._end_with_the_callers()
        if self._processes_differ and not self._is_checked:
            _refuse_servers(fresh)
        self._is_checked = True
        return scheduler, register

    def boot(self, node: SimulatedNode) -> None:
        """Begin a new process of ``node``, inside its event loop."""
        make_scheduler, register = self.start(node)
        scheduler = make_scheduler()
        _check_scheduler(scheduler)
        node.watch(scheduler)
        _check_registered(register(scheduler))
        self.registered(scheduler)
        if scheduler.state != STATE_STOPPED:
            node.take_time_to_start()
        # Later, for a task that register made may start it: the lifespan of an application.
        asyncio.get_running_loop().call_soon(_start_unless_started, node, scheduler)

    def original(self, name: str) -> ModuleType | None:
        """Return the caller's module of that name, while a node is inside."""
        return None if self._inside is None else self._of[None].get(name)

    def _find(self) -> None:
        """Find the modules to execute: none where a fresh one could not give ``register``."""
        scheduler, register = self._given
        if not self._finds(register):
            return
        # Whose functions may be among the arguments, and are run as they are.
        if not self._finds(scheduler):
            self._callers.add(_module_name(scheduler))
        frame = inspect.currentframe()
        while frame is not None:
            self._callers.add(frame.f_globals.get("__name__", ""))
            frame = frame.f_back

    def _finds(self, function: Any) -> bool:
        module = _module_of(function)
        tree = "" if module is None or _path_of(function, module) is None else folder_of(module)
        if module is None or not tree:
            return False
        self._trees.append(tree)
        if not self._is_user_module(module.__name__, module):
            self._trees.remove(tree)
            return False
        self._roots.append(module.__name__)
        return True

    def _renewed(self, value: Any, fresh: dict[str, ModuleType]) -> Any:
        """Return what a fresh module has where the caller's has ``value``; else ``value`` itself.

        Raises:
            _NotTheSameError: it came out of one of those modules, and has no name there.

        """
        if isinstance(value, functools.partial):
            arguments = [self._renewed(each, fresh) for each in value.args]
            named = {name: self._renewed(each, fresh) for name, each in value.keywords.items()}
            return functools.partial(self._renewed(value.func, fresh), *arguments, **named)
        if isinstance(value, MethodType):
            return getattr(self._renewed(value.__self__, fresh), value.__func__.__name__)
        if isinstance(value, list | tuple | set | dict):
            inside = value.values() if isinstance(value, dict) else value
            if any(_module_name(each) in fresh for each in inside):
                raise _NotTheSameError
            return value
        name = _module_name(value)
        if name not in fresh:
            return value
        path = _path_of(value, self._of[None].get(name))
        if path is None:
            raise _NotTheSameError
        return functools.reduce(getattr, path, fresh[name])

    def _is_user_module(self, name: str, module: Any) -> bool:
        """Tell whether a module is one of those that each process has for itself."""
        if name in PROGRAMS or not any(is_user_module(module, tree) for tree in self._trees):
            return False
        # A fresh module becomes an attribute of its package, so that must be a fresh one too.
        package = name.rpartition(".")[0]
        return not package or self._is_user_module(package, sys.modules.get(package))

    def _take(self) -> dict[str, ModuleType]:
        """Take the reader's modules out of ``sys.modules``."""
        self._look()
        return {name: sys.modules.pop(name) for name in self._names if name in sys.modules}

    def _look(self) -> None:
        """Find the reader's modules among those that were imported since the last look."""
        if len(sys.modules) == self._size:
            return
        new = sys.modules.keys() - self._looked_at
        self._looked_at |= new
        for name in sorted(new):
            package = name.partition(".")[0]
            if package in self._not_the_readers:
                continue  # most are
            if self._is_user_module(name, sys.modules[name]):
                self._names.append(name)
            else:
                self._not_the_readers.add(name)

    def _end_with_the_callers(self) -> tuple[MakeScheduler, Register]:
        """Give all nodes the caller's modules from here on."""
        self.enter(None)
        self._roots.clear()
        self._trees.clear()
        self._share()
        return self._given

    def _share(self) -> None:
        if self._processes_differ:
            # An object that makes schedulers keeps what they need, job stores say, and no guard.
            maker = [self._given[0].__self__] if isinstance(self._given[0], MethodType) else []
            self._shared = SharedMemory(self._given, handed=maker)

    def registered(self, scheduler: AsyncIOScheduler) -> None:
        """Look at the jobs that ``register`` has added."""
        if self._shared:
            with contextlib.suppress(Exception):  # the job store of one that was started is down
                self._shared.look_at(scheduler.get_jobs())

    def ended(self) -> None:
        """Log what the nodes have shared, if real replicas would miss it."""
        if self._shared:
            self._shared.warn()

    def _check_replaced(self, fresh: dict[str, ModuleType]) -> None:
        """Look whether the caller has replaced something in its modules: a function by a stub.

        Raises:
            _NotTheSameError: it has, and the fresh modules would call the real one.

        """
        for name, module in fresh.items():
            original = self._of[None].get(name, module)
            for each, value in list(vars(module).items()):
                if _is_other(vars(original).get(each, value), value):
                    raise _NotTheSameError

    def _fresh(self) -> dict[str, ModuleType]:
        """Return the modules that the node inside has for itself."""
        self._look()
        inside = {name: sys.modules[name] for name in self._names if name in sys.modules}
        return {name: each for name, each in inside.items() if each is not self._of[None].get(name)}

    def _make_the_callers(self, error: BaseException) -> None:
        """Give an error of a fresh module the caller's class of that name, which it may expect."""
        self.enter(None)
        name = type(error).__module__
        path = type(error).__qualname__.split(".")
        if name in self._names:
            with contextlib.suppress(AttributeError, TypeError):  # it has no such class
                error.__class__ = functools.reduce(getattr, path, sys.modules.get(name))  # type: ignore[assignment]


def _start_unless_started(node: SimulatedNode, scheduler: AsyncIOScheduler) -> None:
    try:
        if scheduler.state == STATE_STOPPED:
            scheduler.start()
            node.take_time_to_start()
    except BaseException as error:  # noqa: BLE001 - raised again by World.run
        node.fail(error)


def _check_scheduler(scheduler: object) -> None:
    if not isinstance(scheduler, AsyncIOScheduler):
        raise SimulationError(
            f"scheduler= returned {type(scheduler).__name__}, and a simulation runs an "
            "AsyncIOScheduler; pass a function that returns one, such as KSTScheduler"
        )


def _check_registered(result: object) -> None:
    if asyncio.iscoroutine(result):
        result.close()
        raise SimulationError(
            "register is an async function, and nobody awaits it; "
            "write def register(scheduler), and let it add the jobs"
        )


class _Finder:
    """Finds a fresh module where the caller's was found, also if no path leads there any more."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        original = self._program.original(name)
        if original is None or original.__spec__ is None or original.__spec__.origin is None:
            return None
        spec = copy.copy(original.__spec__)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations = list(spec.submodule_search_locations)
        return spec


class _NotTheSameError(Exception):
    """Raised where fresh modules would not do what the caller's do; all nodes then share those."""


def _module_of(function: Any) -> ModuleType | None:
    """Return the module in which a function is defined, or the class of an object."""
    while isinstance(function, functools.partial | MethodType):
        function = function.func if isinstance(function, functools.partial) else function.__self__
    name = _module_name(function)
    return None if name in PROGRAMS else sys.modules.get(name)


def _module_name(value: Any) -> str:
    name = getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""


def _path_of(value: Any, module: ModuleType | None) -> list[str] | None:
    """Return by which names a module has this very function, class or object."""
    while isinstance(value, functools.partial | MethodType):
        value = value.func if isinstance(value, functools.partial) else value.__self__
    path = getattr(value, "__qualname__", "").split(".")
    with contextlib.suppress(AttributeError):
        if functools.reduce(getattr, path, module) is value:
            return path
    names = {} if module is None else vars(module)
    return next(([name] for name, each in names.items() if each is value), None)


def _is_other(old: Any, new: Any) -> bool:
    """Tell whether a name means another function, class or module than in the fresh module."""
    if isinstance(new, ModuleType):
        return not isinstance(old, ModuleType) or old.__name__ != new.__name__
    if isinstance(new, type):
        return not isinstance(old, type) or any(
            _is_other(vars(old).get(name), value)
            for name, value in vars(new).items()
            if isinstance(value, FunctionType)
        )
    code = _code_of(new)
    return code is not None and code != _code_of(old)


def _code_of(value: Any) -> Any:
    if not callable(value):
        return None
    with contextlib.suppress(ValueError):  # unwrap: it wraps itself
        value = inspect.unwrap(value)
    return getattr(value, "__code__", None)


def _refuse_servers(modules: dict[str, ModuleType]) -> None:
    """Refuse a server that would be one for each process.

    Raises:
        SimulationError: a module makes a server that all nodes are meant to share.

    """
    redis = sys.modules.get("kst_scheduler.simulation.redis_server")
    servers = (MemoryLedger, *((redis.SimulatedRedis,) if redis else ()))
    for name, module in modules.items():
        for each, value in vars(module).items():
            if isinstance(value, servers):
                raise SimulationError(
                    f"{name}.{each} is a {type(value).__name__}, which all nodes are meant to "
                    f"share, but each process executes {name} for itself, and would have its own; "
                    "make it where you call simulate, and give it to register: "
                    f"simulate(functools.partial(register, {each}={each}), ...)"
                )
