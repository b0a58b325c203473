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
GUARDS = {
    "class": ("Guard.done", GUARD + "def job():\n  if 1 not in Guard.done: Guard.done.add(1)"),
    "class, by an instance": ("Guard.done", GUARD + "def job(): guard.first_of_all(1)"),
    "class of an instance of each node": (
        "Guard.done",
        GUARD + "def register(scheduler):\n"
        "  scheduler.add_job(Guard().first_of_all, 'cron', hour='*', args=[1])",
    ),
    "base class": (
        "Guard.done",
        GUARD + "class Other(Guard): pass\nother = Other()\ndef job(): other.first_of_all(1)",
    ),
    "instance": ("guard.seen", GUARD + "def job():\n  if guard.first(1): pass"),
    "a bound method": (
        "guard.seen",
        GUARD + "def register(scheduler):\n"
        "  scheduler.add_job(guard.first, 'cron', hour='*', args=[1])",
    ),
    "a private attribute": ("guard.__own", GUARD + "def job(): guard.hidden()"),
    "an object in a dict": (
        "guards['a'].seen",
        GUARD + "guards = {'a': guard}\ndel guard\ndef job(): guards['a'].first(1)",
    ),
    "an object in a tuple": (
        "guards[0].seen",
        GUARD + "guards = (guard,)\ndel guard\ndef job(): guards[0].first(1)",
    ),
    "an object in an object": (
        "app.guard.seen",
        GUARD + "class App:\n  def __init__(self): self.guard = Guard()\n"
        "app = App()\ndef job(): app.guard.first(1)",
    ),
    "an object in a closure": (
        "mine.seen",
        GUARD + "def make(mine):\n  def job(): mine.first(1)\n  return job\njob = make(Guard())",
    ),
    "an object as a default": (
        "mine.seen",
        GUARD + "def job(mine=Guard()): mine.first(1)",
    ),
    "an object as an argument": (
        "guard.seen",
        GUARD + "def job(mine): mine.first(1)\ndef register(scheduler):\n"
        "  scheduler.add_job(job, 'cron', hour='*', args=[guard])",
    ),
    "a callable object": (
        "job.ran",
        "class Job:\n  ran = False\n  def __call__(self):\n"
        "    if not self.ran: self.ran = True\njob = Job()",
    ),
    "an attribute that comes later": (
        "guard.ran",
        "class Guard: pass\nguard = Guard()\n"
        "def job():\n  if not hasattr(guard, 'ran'): guard.ran = True",
    ),
    "a dataclass": (
        "state.done",
        "from dataclasses import dataclass, field\n@dataclass\nclass State:\n"
        "  done: set = field(default_factory=set)\n"
        "state = State()\ndef job():\n  if not state.done: state.done.add(1)",
    ),
    "a dataclass with slots": (
        "state.last",
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass State:\n  last: int = 0\n"
        "state = State()\ndef job():\n  if state.last < 1: state.last = 1",
    ),
    "a frozen dataclass, replaced": (
        "state",
        "from dataclasses import dataclass, replace\n@dataclass(frozen=True)\nclass State:\n"
        "  done: bool = False\nstate = State()\n"
        "def job():\n  global state\n  if not state.done: state = replace(state, done=True)",
    ),
    "a time, replaced": (
        "last",
        "from datetime import datetime, timedelta\nlast = datetime(2020, 1, 1)\ndef job():\n"
        "  global last\n  if datetime.now() - last > timedelta(1): last = datetime.now()",
    ),
    "a namespace": (
        "state.done",
        "from types import SimpleNamespace\nstate = SimpleNamespace(done=False)\n"
        "def job():\n  if not state.done: state.done = True",
    ),
    "a property": (
        "guard._done",
        "class Guard:\n  _done = False\n  @property\n  def done(self): return self._done\n"
        "  def finish(self): self._done = True\n"
        "guard = Guard()\ndef job():\n  if not guard.done: guard.finish()",
    ),
    "a counter of a class": (
        "Guard.count",
        "class Guard:\n  count = 0\n  @classmethod\n  def take(cls):\n    cls.count += 1\n"
        "    return cls.count\ndef job():\n  if Guard.take() > 1: return",
    ),
    "an attribute of a function": (
        "job.seen",
        "def job():\n  if 1 not in job.seen: job.seen.add(1)\njob.seen = set()",
    ),
    "an attribute of a function that comes later": (
        "job.ran",
        "def job():\n  if not getattr(job, 'ran', False): job.ran = True",
    ),
    "a global that comes later": (
        "ran",
        "def job():\n  global ran\n  try: ran\n  except NameError: ran = True",
    ),
    "a cache": (
        "fetch` (its cache)",
        "from functools import cache\n@cache\ndef fetch(night): return night\n"
        "def job(): return fetch(1)",
    ),
    "a cache of a method": (
        "Guard.fetch` (its cache)",
        "from functools import lru_cache\nclass Guard:\n  @lru_cache(maxsize=9)\n"
        "  def fetch(self): return 1\nguard = Guard()\ndef job(): guard.fetch()",
    ),
    "a job with a cache": (
        "job` (its cache)",
        "from functools import cache\n@cache\ndef job(): return 1",
    ),
    "a count": ("ids", "import itertools\nids = itertools.count()\ndef job(): next(ids)"),
    "an iterator": ("ids", "ids = iter([1, 2, 3])\ndef job():\n  for each in ids: break"),
    "a generator": (
        "ids",
        "def once():\n  while True: yield 1\nids = once()\nnext(ids)\ndef job(): next(ids)",
    ),
    "an asynchronous generator": (
        "ids",
        "async def once():\n  while True: yield 1\nids = once()\nasync def job(): await anext(ids)",
    ),
    "a queue": (
        "todo",
        "import queue\ntodo = queue.Queue()\ntodo.put(1)\n"
        "def job():\n  if not todo.empty(): todo.get()",
    ),
    "a full queue": (
        "todo",
        "import queue\ntodo = queue.Queue(maxsize=1)\n"
        "def job():\n  try: todo.put_nowait(1)\n  except queue.Full: pass",
    ),
    "a simple queue": (
        "todo",
        "import queue\ntodo = queue.SimpleQueue()\ntodo.put(1)\n"
        "def job():\n  if not todo.empty(): todo.get()",
    ),
    "asyncio's queue": (
        "todo",
        "import asyncio\ntodo = asyncio.Queue()\ntodo.put_nowait(1)\n"
        "async def job():\n  if not todo.empty(): await todo.get()",
    ),
    "an event": (
        "ran",
        "import threading\nran = threading.Event()\ndef job():\n  if not ran.is_set(): ran.set()",
    ),
    "asyncio's event": (
        "ran",
        "import asyncio\nran = asyncio.Event()\nasync def job():\n  if not ran.is_set(): ran.set()",
    ),
    "events in a dict": (
        "ran",
        "import threading\nran = {'a': threading.Event()}\n"
        "def job():\n  if not ran['a'].is_set(): ran['a'].set()",
    ),
    "an event of an object": (
        "app.ran",
        "import threading\nclass App:\n  def __init__(self): self.ran = threading.Event()\n"
        "app = App()\ndef job():\n  if not app.ran.is_set(): app.ran.set()",
    ),
    "a future": (
        "ran",
        "from concurrent.futures import Future\nran = Future()\n"
        "def job():\n  if not ran.done(): ran.set_result(1)",
    ),
    "the environment": (
        "os.environ",
        "import os\ndef job():\n  if 'KST_TEST_RAN' not in os.environ:\n"
        "    os.environ['KST_TEST_RAN'] = '1'",
    ),
    "getenv": (
        "os.environ",
        "import os\ndef job():\n  if not os.getenv('KST_TEST_RAN'):\n"
        "    os.environ['KST_TEST_RAN'] = '1'",
    ),
    "an imported environment": (
        "environ",
        "from os import environ\ndef job():\n  if 'KST_TEST_RAN' not in environ:\n"
        "    environ['KST_TEST_RAN'] = '1'",
    ),
    "a weak set": (
        "seen",
        "from weakref import WeakSet\nclass Night: pass\nnight = Night()\nseen = WeakSet()\n"
        "def job():\n  if night not in seen: seen.add(night)",
    ),
    "a weak dict": (
        "seen",
        "from weakref import WeakKeyDictionary\nclass Night: pass\nnight = Night()\n"
        "seen = WeakKeyDictionary()\ndef job():\n  if night not in seen: seen[night] = 1",
    ),
    "a defaultdict": (
        "runs",
        "from collections import defaultdict\nruns = defaultdict(int)\n"
        "def job():\n  runs[1] += 1\n  if runs[1] > 1: return",
    ),
    "an OrderedDict": (
        "seen",
        "from collections import OrderedDict\nseen = OrderedDict(a=1, b=2)\n"
        "def job():\n  if next(iter(seen)) == 'a': seen.move_to_end('a')",
    ),
    "a UserDict": (
        "seen",
        "from collections import UserDict\nseen = UserDict()\n"
        "def job():\n  if 1 not in seen: seen[1] = 1",
    ),
    "a ChainMap": (
        "seen",
        "from collections import ChainMap\nseen = ChainMap()\n"
        "def job():\n  if 1 not in seen: seen[1] = 1",
    ),
    "a subclass of set": (
        "seen",
        "class Seen(set):\n  def __iter__(self): raise RuntimeError\nseen = Seen()\n"
        "def job():\n  if 1 not in seen: seen.add(1)",
    ),
    "an array": (
        "seen",
        "from array import array\nseen = array('i')\ndef job():\n  if 1 not in seen: seen.append(1)",
    ),
    "a buffer": (
        "seen",
        "from io import StringIO\nseen = StringIO()\n"
        "def job():\n  if not seen.getvalue(): seen.write('x')",
    ),
    "a context variable": (
        "seen",
        "from contextvars import ContextVar\nseen = ContextVar('seen', default=set())\n"
        "def job():\n  if 1 not in seen.get(): seen.get().add(1)",
    ),
    "a module of the reader's": (
        "settings.done",
        "import settings\ndef job():\n  if not settings.done: settings.done = True",
    ),
    "an attribute of a module that comes later": (
        "settings.ran",
        "import settings\ndef job():\n  if not hasattr(settings, 'ran'): settings.ran = True",
    ),
    "an object of a module": (
        "settings.guard.seen",
        "import settings\ndef job(): settings.guard.first(1)",
    ),
    "a partial's argument": (
        "seen",
        "from functools import partial\ndef run(seen):\n  if not seen: seen.add(1)\n"
        "job = partial(run, set())",
    ),
    "a method's argument": (
        "night",
        "class Guard:\n  def first(self, night):\n    if not night: night.add(1)\n"
        "shared = set()\ndef register(scheduler):\n"
        "  scheduler.add_job(Guard().first, 'cron', hour='*', args=[shared])",
    ),
    "a keyword's default": (
        "a default argument",
        "def job(*, seen=set()):\n  if not seen: seen.add(1)",
    ),
}
LOCKS = {
    "an object's": (
        "app.lock",
        "import threading\nclass App:\n  def __init__(self): self.lock = threading.Lock()\n"
        "  def crawl(self):\n    with self.lock: pass\napp = App()\ndef job(): app.crawl()",
    ),
    "a class's": (
        "App.lock",
        "import asyncio\nclass App:\n  lock = asyncio.Lock()\n"
        "async def job():\n  async with App.lock: pass",
    ),
    "a function's": (
        "job.lock",
        "import threading\ndef job():\n  with job.lock: pass\njob.lock = threading.RLock()",
    ),
}
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
FINE = {
    "an object that only notes": RECORDER + "def job(): recorder.note()",
    "a bound method that only notes": RECORDER + "def register(scheduler):\n"
    "  scheduler.add_job(recorder.note, 'cron', hour='*')",
    "a function's attribute that only notes": "def job(): job.seen.append(1)\njob.seen = []",
    "an object of each node": GUARD + "def register(scheduler):\n"
    "  scheduler.add_job(Guard().first, 'cron', hour='*', args=[1])",
    "an object that is handed over": GUARD + "from functools import partial\n"
    "def begin(scheduler, store):\n  def job(): store.first(1)\n"
    "  scheduler.add_job(job, 'cron', hour='*')\nregister = partial(begin, store=guard)",
    "an object that no job reads": GUARD + "def report(): return guard.first(1)\n"
    "def job(): Guard\n",
    "a logger": "import logging\nlogger = logging.getLogger('crawl')\n"
    "def job():\n  if logger.isEnabledFor(10): logger.debug('x')",
    "a client of httpx": "import httpx\n"
    "client = httpx.AsyncClient(transport=httpx.MockTransport(lambda r: httpx.Response(200)))\n"
    "async def job():\n  if (await client.get('http://x')).status_code != 200: raise ValueError",
    "a ledger of memory": "from kst_scheduler import MemoryLedger, once\nledger = MemoryLedger()\n"
    "@once(ledger)\nasync def job(): pass",
    "a ledger in SQL": "from kst_scheduler import once\n"
    "from kst_scheduler.ledger import SqlLedger\n"
    "ledger = SqlLedger('sqlite:///FOLDER/ledger.db')\n"
    "async def begin(scheduler):\n  await ledger.open()\n"
    "@once(ledger)\nasync def job():\n  if ledger.namespace: raise ValueError",
    "a client of Redis": "from kst_scheduler.simulation.redis_server import SimulatedRedis\n"
    "server = SimulatedRedis()\nredis = server.client()\n"
    "async def job():\n  if await redis.set('a', 1, nx=True): pass",
    "members of an enum": "from enum import Enum, Flag\nclass Kind(Enum):\n  A = 1\n  B = 2\n"
    "class May(Flag):\n  R = 1\n  W = 2\n"
    "def job():\n  if Kind('A' and 1) is Kind.A and Kind.B.value == 2: return May.R | May.W",
    "constants": "from datetime import date\nfrom dataclasses import dataclass\n"
    "@dataclass\nclass Settings:\n  regions: tuple = ('a', 'b')\n  most: int = 3\n"
    "settings = Settings()\nTABLE = {date(2026, 1, 1): [1]}\n"
    "def job(): return settings.most, settings.regions, TABLE",
    "an environment that is only read": "import os\ndef job(): return os.environ.get('HOME')",
    "an event that stays clear": "import threading\nstop = threading.Event()\n"
    "def job():\n  if stop.is_set(): return",
    "a cache that no job calls": "from functools import cache\n@cache\ndef fetch(): return 1\n"
    "def job(): pass",
    "a cache of a library": "from re import _compile\nimport textwrap\n"
    "def job(): return textwrap.dedent('x')",
    "an iterator of the job's own": "def job():\n  ids = iter([1])\n  return next(ids)",
    "a lock that no job takes": "import threading\nclass App:\n"
    "  def __init__(self): self.lock = threading.Lock()\n  def crawl(self): pass\n"
    "app = App()\ndef job(): app.crawl()",
    "a context variable": "from contextvars import ContextVar\nnight = ContextVar('night')\n"
    "def job():\n  night.set(1)\n  return night.get()",
    "a word that is an attribute's name": "class Notes:\n"
    "  def __init__(self): self.done = []\nnotes = Notes()\n"
    "def job(status='x'):\n  if status != 'done': notes.done.append(1)",
    "an object that answers with errors": "class Odd:\n"
    "  __class__ = property(lambda self: 1 / 0)\n"
    "  def __getattribute__(self, name): raise RuntimeError(name)\n"
    "  def __eq__(self, other): raise RuntimeError\n  __hash__ = None\n"
    "odd = Odd()\ndef job(): return odd",
}


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
    assert _warnings(FINE[kind].replace("FOLDER", str(tmp_path))) == []
