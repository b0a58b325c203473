"""What the nodes of a notebook share in objects: each program is a cell, run as in ``__main__``."""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from lessons import MORNING, NIGHT

from kst_scheduler import simulate
from kst_scheduler.simulation import Crash
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESTART = [Crash("A", kst(2026, 5, 10, 1, 30), timedelta(minutes=1))]
REGISTER = """
def register(scheduler):
    scheduler.add_job(job, "cron", hour="*", id="job")
"""
GUARD = """
class Guard:
    done = set()
    def __init__(self):
        self.seen = set()
        self.__own = set()
    def first(self, night):
        if night in self.seen:
            return False
        self.seen.add(night)
        return True
    def first_of_all(self, night):
        if night not in type(self).done:
            self.done.add(night)
    def hidden(self):
        if not self.__own:
            self.__own.add(1)
guard = Guard()
"""
RECORDER = """
class Recorder:
    kinds = set()
    def __init__(self):
        self.seen = []
        self.runs = 0
    def note(self):
        self.seen.append(1)
        self.kinds.add("x")
        self.runs += 1
    def show(self):
        return len(self.seen), self.kinds, self.runs, self.count()
    def count(self):
        return self.show()
recorder = Recorder()
"""


def _programs(text: str) -> dict[str, tuple[str, str]]:
    """Return each program and the name that it is about, by its heading."""
    found = {}
    for part in text.split("\n## ")[1:]:
        heading, _, program = part.partition("\n")
        kind, _, name = heading.partition(": ")
        for preamble in ("GUARD", "RECORDER"):
            program = program.replace(f"{preamble}\n", globals()[preamble])
        found[kind] = name, program
    return found


GUARDS = _programs("""
## class: Guard.done
GUARD
def job():
    if 1 not in Guard.done: Guard.done.add(1)

## class, by an instance: Guard.done
GUARD
def job(): guard.first_of_all(1)

## class of an instance of each node: Guard.done
GUARD
def register(scheduler):
    scheduler.add_job(Guard().first_of_all, 'cron', hour='*', args=[1])

## base class: Guard.done
GUARD
class Other(Guard): pass
other = Other()
def job(): other.first_of_all(1)

## instance: guard.seen
GUARD
def job():
    if guard.first(1): pass

## a bound method: guard.seen
GUARD
def register(scheduler):
    scheduler.add_job(guard.first, 'cron', hour='*', args=[1])

## a private attribute: guard.__own
GUARD
def job(): guard.hidden()

## an object in a dict: guards['a'].seen
GUARD
guards = {'a': guard}
del guard
def job(): guards['a'].first(1)

## an object in a tuple: guards[0].seen
GUARD
guards = (guard,)
del guard
def job(): guards[0].first(1)

## an object in an object: app.guard.seen
GUARD
class App:
    def __init__(self): self.guard = Guard()
app = App()
def job(): app.guard.first(1)

## an object in a closure: mine.seen
GUARD
def make(mine):
    def job(): mine.first(1)
    return job
job = make(Guard())

## an object as a default: mine.seen
GUARD
def job(mine=Guard()): mine.first(1)

## an object as an argument: guard.seen
GUARD
def job(mine): mine.first(1)
def register(scheduler):
    scheduler.add_job(job, 'cron', hour='*', args=[guard])

## a callable object: job.ran
class Job:
    ran = False
    def __call__(self):
        if not self.ran: self.ran = True
job = Job()

## an attribute that comes later: guard.ran
class Guard: pass
guard = Guard()
def job():
    if not hasattr(guard, 'ran'): guard.ran = True

## a dataclass: state.done
from dataclasses import dataclass, field
@dataclass
class State:
    done: set = field(default_factory=set)
state = State()
def job():
    if not state.done: state.done.add(1)

## a dataclass with slots: state.last
from dataclasses import dataclass
@dataclass(slots=True)
class State:
    last: int = 0
state = State()
def job():
    if state.last < 1: state.last = 1

## a frozen dataclass, replaced: state
from dataclasses import dataclass, replace
@dataclass(frozen=True)
class State:
    done: bool = False
state = State()
def job():
    global state
    if not state.done: state = replace(state, done=True)

## a time, replaced: last
from datetime import datetime, timedelta
last = datetime(2020, 1, 1)
def job():
    global last
    if datetime.now() - last > timedelta(1): last = datetime.now()

## a namespace: state.done
from types import SimpleNamespace
state = SimpleNamespace(done=False)
def job():
    if not state.done: state.done = True

## a property: guard._done
class Guard:
    _done = False
    @property
    def done(self): return self._done
    def finish(self): self._done = True
guard = Guard()
def job():
    if not guard.done: guard.finish()

## a counter of a class: Guard.count
class Guard:
    count = 0
    @classmethod
    def take(cls):
        cls.count += 1
        return cls.count
def job():
    if Guard.take() > 1: return

## an attribute of a function: job.seen
def job():
    if 1 not in job.seen: job.seen.add(1)
job.seen = set()

## an attribute of a function that comes later: job.ran
def job():
    if not getattr(job, 'ran', False): job.ran = True

## a global that comes later: ran
def job():
    global ran
    try: ran
    except NameError: ran = True

## a cache: fetch` (its cache)
from functools import cache
@cache
def fetch(night): return night
def job(): return fetch(1)

## a cache of a method: Guard.fetch` (its cache)
from functools import lru_cache
class Guard:
    @lru_cache(maxsize=9)
    def fetch(self): return 1
guard = Guard()
def job(): guard.fetch()

## a job with a cache: job` (its cache)
from functools import cache
@cache
def job(): return 1

## a count: ids
import itertools
ids = itertools.count()
def job(): next(ids)

## an iterator: ids
ids = iter([1, 2, 3])
def job():
    for each in ids: break

## a generator: ids
def once():
    while True: yield 1
ids = once()
next(ids)
def job(): next(ids)

## an asynchronous generator: ids
async def once():
    while True: yield 1
ids = once()
async def job(): await anext(ids)

## a queue: todo
import queue
todo = queue.Queue()
todo.put(1)
def job():
    if not todo.empty(): todo.get()

## a full queue: todo
import queue
todo = queue.Queue(maxsize=1)
def job():
    try: todo.put_nowait(1)
    except queue.Full: pass

## an attribute of a metaclass: Kind.made
class Kind(type):
    made = set()
class Night(metaclass=Kind): pass
def job():
    if 1 not in Night.made: Night.made.add(1)

## a cached property: guard.first
from functools import cached_property
class Guard:
    @cached_property
    def first(self): return object()
guard = Guard()
def job(): return guard.first

## an object that is compared with errors: guard.seen
class Guard:
    def __init__(self): self.seen = set()
    def __eq__(self, other): raise RuntimeError
    __hash__ = None
guard = Guard()
def job():
    if not guard.seen: guard.seen.add(1)

## the only instance of a class: Guard._one
class Guard:
    _one = None
    def __new__(cls):
        if cls._one is None: cls._one = super().__new__(cls)
        return cls._one
def job(): Guard()

## an attribute that is deleted: guard.token
class Guard: token = 1
guard = Guard()
guard.token = 2
def job():
    try: del guard.token
    except AttributeError: pass

## a simple queue: todo
import queue
todo = queue.SimpleQueue()
todo.put(1)
def job():
    if not todo.empty(): todo.get()

## asyncio's queue: todo
import asyncio
todo = asyncio.Queue()
todo.put_nowait(1)
async def job():
    if not todo.empty(): await todo.get()

## an event: ran
import threading
ran = threading.Event()
def job():
    if not ran.is_set(): ran.set()

## asyncio's event: ran
import asyncio
ran = asyncio.Event()
async def job():
    if not ran.is_set(): ran.set()

## events in a dict: ran
import threading
ran = {'a': threading.Event()}
def job():
    if not ran['a'].is_set(): ran['a'].set()

## an event of an object: app.ran
import threading
class App:
    def __init__(self): self.ran = threading.Event()
app = App()
def job():
    if not app.ran.is_set(): app.ran.set()

## a future: ran
from concurrent.futures import Future
ran = Future()
def job():
    if not ran.done(): ran.set_result(1)

## the environment: os.environ
import os
def job():
    if 'KST_TEST_RAN' not in os.environ:
        os.environ['KST_TEST_RAN'] = '1'

## getenv: os.environ
import os
def job():
    if not os.getenv('KST_TEST_RAN'):
        os.environ['KST_TEST_RAN'] = '1'

## an imported environment: environ
from os import environ
def job():
    if 'KST_TEST_RAN' not in environ:
        environ['KST_TEST_RAN'] = '1'

## a weak set: seen
from weakref import WeakSet
class Night: pass
night = Night()
seen = WeakSet()
def job():
    if night not in seen: seen.add(night)

## a weak dict: seen
from weakref import WeakKeyDictionary
class Night: pass
night = Night()
seen = WeakKeyDictionary()
def job():
    if night not in seen: seen[night] = 1

## a defaultdict: runs
from collections import defaultdict
runs = defaultdict(int)
def job():
    runs[1] += 1
    if runs[1] > 1: return

## an OrderedDict: seen
from collections import OrderedDict
seen = OrderedDict(a=1, b=2)
def job():
    if next(iter(seen)) == 'a': seen.move_to_end('a')

## a UserDict: seen
from collections import UserDict
seen = UserDict()
def job():
    if 1 not in seen: seen[1] = 1

## a ChainMap: seen
from collections import ChainMap
seen = ChainMap()
def job():
    if 1 not in seen: seen[1] = 1

## a subclass of set: seen
class Seen(set):
    def __iter__(self): raise RuntimeError
seen = Seen()
def job():
    if 1 not in seen: seen.add(1)

## an array: seen
from array import array
seen = array('i')
def job():
    if 1 not in seen: seen.append(1)

## a buffer: seen
from io import StringIO
seen = StringIO()
def job():
    if not seen.getvalue(): seen.write('x')

## a context variable: seen
from contextvars import ContextVar
seen = ContextVar('seen', default=set())
def job():
    if 1 not in seen.get(): seen.get().add(1)

## a module of the reader's: settings.done
import settings
def job():
    if not settings.done: settings.done = True

## an attribute of a module that comes later: settings.ran
import settings
def job():
    if not hasattr(settings, 'ran'): settings.ran = True

## an object of a module: settings.guard.seen
import settings
def job(): settings.guard.first(1)

## a partial's argument: seen
from functools import partial
def run(seen):
    if not seen: seen.add(1)
job = partial(run, set())

## a method's argument: night
class Guard:
    def first(self, night):
        if not night: night.add(1)
shared = set()
def register(scheduler):
    scheduler.add_job(Guard().first, 'cron', hour='*', args=[shared])

## a keyword's default: a default argument
def job(*, seen=set()):
    if not seen: seen.add(1)
""")
LOCKS = _programs("""
## an object's: app.lock
import threading
class App:
    def __init__(self): self.lock = threading.Lock()
    def crawl(self):
        with self.lock: pass
app = App()
def job(): app.crawl()

## a class's: App.lock
import asyncio
class App:
    lock = asyncio.Lock()
async def job():
    async with App.lock: pass

## a function's: job.lock
import threading
def job():
    with job.lock: pass
job.lock = threading.RLock()
""")
FINE = _programs("""
## an object that only notes
RECORDER
def job(): recorder.note()

## a bound method that only notes
RECORDER
def register(scheduler):
    scheduler.add_job(recorder.note, 'cron', hour='*')

## a function's attribute that only notes
def job(): job.seen.append(1)
job.seen = []

## an object of each node
GUARD
def register(scheduler):
    scheduler.add_job(Guard().first, 'cron', hour='*', args=[1])

## an object that is handed over
GUARD
from functools import partial
def begin(scheduler, store):
    def job(): store.first(1)
    scheduler.add_job(job, 'cron', hour='*')
register = partial(begin, store=guard)

## a dataclass that only notes
from dataclasses import dataclass, field
@dataclass(order=True, slots=True)
class Notes:
    seen: list = field(default_factory=list)
notes = Notes()
def job(): notes.seen.append(1)

## a class that shows what it has noted
class Notes:
    def __init__(self): self.seen = []
    def __repr__(self): return f"{self.seen}"
notes = Notes()
def job(): notes.seen.append(1)

## a queue that the jobs only fill
import queue, asyncio
todo, later = queue.Queue(), asyncio.Queue()
async def job():
    todo.put(1)
    await later.put(1)

## a closure with the name of an attribute
def make():
    done = []
    def job(night=1):
        done.append(getattr(night, 'done', 0))
    return job
job = make()

## an object that no job reads
GUARD
def report(): return guard.first(1)
def job(): Guard

## a logger
import logging
logger = logging.getLogger('crawl')
def job():
    if logger.isEnabledFor(10): logger.debug('x')

## a client of httpx
import httpx
client = httpx.AsyncClient(transport=httpx.MockTransport(lambda r: httpx.Response(200)))
async def job():
    if (await client.get('http://x')).status_code != 200: raise ValueError

## a ledger of memory
from kst_scheduler import MemoryLedger, once
ledger = MemoryLedger()
@once(ledger)
async def job(): pass

## a ledger in SQL
from kst_scheduler import once
from kst_scheduler.ledger import SqlLedger
ledger = SqlLedger('sqlite:///FOLDER/ledger.db')
async def begin(scheduler):
    await ledger.open()
@once(ledger)
async def job():
    if ledger.namespace: raise ValueError

## a client of Redis
from kst_scheduler.simulation.redis_server import SimulatedRedis
server = SimulatedRedis()
redis = server.client()
async def job():
    if await redis.set('a', 1, nx=True): pass

## members of an enum
from enum import Enum, Flag
class Kind(Enum):
    A = 1
    B = 2
class May(Flag):
    R = 1
    W = 2
def job():
    if Kind('A' and 1) is Kind.A and Kind.B.value == 2: return May.R | May.W

## constants
from datetime import date
from dataclasses import dataclass
@dataclass
class Settings:
    regions: tuple = ('a', 'b')
    most: int = 3
settings = Settings()
TABLE = {date(2026, 1, 1): [1]}
def job(): return settings.most, settings.regions, TABLE

## an environment that is only read
import os
def job(): return os.environ.get('HOME')

## an event that stays clear
import threading
stop = threading.Event()
def job():
    if stop.is_set(): return

## a cache that no job calls
from functools import cache
@cache
def fetch(): return 1
def job(): pass

## a cache of a library
from re import _compile
import textwrap
def job(): return textwrap.dedent('x')

## an iterator of the job's own
def job():
    ids = iter([1])
    return next(ids)

## a lock that no job takes
import threading
class App:
    def __init__(self): self.lock = threading.Lock()
    def crawl(self): pass
app = App()
def job(): app.crawl()

## a context variable
from contextvars import ContextVar
night = ContextVar('night')
def job():
    night.set(1)
    return night.get()

## a word that is an attribute's name
class Notes:
    def __init__(self): self.done = []
notes = Notes()
def job(status='x'):
    if status != 'done': notes.done.append(1)

## an object that answers with errors
class Odd:
    __class__ = property(lambda self: 1 / 0)
    def __getattribute__(self, name): raise RuntimeError(name)
    def __eq__(self, other): raise RuntimeError
    __hash__ = None
odd = Odd()
def job(): return odd
""")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KST_TEST_RAN", "")
    monkeypatch.delenv("KST_TEST_RAN")
    yield
    monkeypatch.delenv("KST_TEST_RAN", raising=False)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the notebooks import a module of the reader's."""
    (tmp_path / "settings.py").write_text(f"done = False\n{GUARD}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "settings", raising=False)


def _warnings(program: str, nodes: int = 3, incidents: Any = ()) -> list[str]:
    cell: dict[str, Any] = {"__name__": "__main__"}
    exec(REGISTER + program, cell)  # noqa: S102 - as a notebook does
    log = simulate(partial(cell["register"]), NIGHT, MORNING, nodes, incidents).log
    return list(log.loc[log["level"] == "WARNING", "message"])


@pytest.mark.parametrize("kind", GUARDS)
def test_a_guard_in_an_object_is_named_as_the_reader_writes_it(kind: str) -> None:
    """On several nodes; on one it is right."""
    name, program = GUARDS[kind]
    (message,) = _warnings(program)
    shown = name if name.startswith("a default") else f"`{name.rstrip(')')}"
    assert message.startswith(shown), message
    assert ": all nodes of this simulation share it" in message
    assert _warnings(program, nodes=1) == []


@pytest.mark.parametrize("kind", ["class", "instance", "an attribute of a function", "a cache"])
def test_a_guard_in_an_object_survives_a_crash(kind: str) -> None:
    """So one node with a restart shares it with itself."""
    name, program = GUARDS[kind]
    (message,) = _warnings(program, nodes=1, incidents=RESTART)
    assert message.startswith(f"`{name}")


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_of_an_object_is_named(kind: str) -> None:
    """Where a job takes it."""
    name, program = LOCKS[kind]
    (message,) = _warnings(program)
    assert message.startswith(f"`{name}`: a lock that excludes within one process only")


@pytest.mark.parametrize("kind", FINE)
def test_an_object_that_is_no_guard_is_not_named(kind: str, tmp_path: Path) -> None:
    """It is only written to, a library's, each node's own, or stays as it is."""
    assert _warnings(FINE[kind][1].replace("FOLDER", str(tmp_path))) == []
