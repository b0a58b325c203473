from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from lessons import MORNING, NIGHT, hours, plain_scheduler

from kst_scheduler import MemoryLedger, SimulationError, simulate
from kst_scheduler.simulation import Crash, Node, current_node
from kst_scheduler.simulation.fresh_modules import Program
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[..., Any]

GUARDED = """
    from kst_scheduler.errors import LockedOutError

    done = set()

    async def crawl():
        from kst_scheduler.scheduler.occurrence import current_occurrence
        due = current_occurrence().scheduled_at
        if due in done:
            raise LockedOutError("done")
        done.add(due)

    def register(scheduler):
        scheduler.add_job(crawl, "cron", hour="1-3", id="crawl")
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return what writes files of a program into a folder, and imports one of their modules."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str = "", name: str = "reader_app", **files: str) -> Any:
        for file, text in {name.replace(".", "/") + ".py": source, **files}.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) is None or str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def test_a_guard_in_a_modules_memory_holds_on_no_other_node(make: Make) -> None:
    """It looks perfect where all nodes share it."""
    app = make(GUARDED)
    runs = simulate(app.register, NIGHT, MORNING, nodes=3).runs
    assert hours(runs, "ok") == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    shared = simulate(lambda given: _register(app, given), NIGHT, MORNING, nodes=3).runs
    assert hours(shared, "ok") == [1, 2, 3]


def _register(app: Any, scheduler: Any) -> None:
    app.register(scheduler)


def test_a_modules_memory_does_not_survive_a_crash(make: Make) -> None:
    """A new process begins with nothing, as after kill -9."""
    app = make("""
        runs = []

        def job():
            runs.append(1)
            if len(runs) > 2:
                raise RuntimeError("the third")

        def register(scheduler):
            scheduler.add_job(job, "cron", minute="0,30", id="job")
    """)
    crash = Crash("A", kst(2026, 5, 10, 1, 45), timedelta(minutes=1))
    runs = simulate(app.register, NIGHT, NIGHT + timedelta(hours=3), incidents=[crash]).runs
    assert list(runs["status"]) == ["ok", "ok", "error", "error", "ok", "ok"]
    assert app.runs == []


def test_the_callers_modules_are_what_they_were(make: Make) -> None:
    """Nothing in sys.modules is another object, nor has another attribute; nothing is left."""
    app = make(
        """
        import reader_tools
        from reader_package import part

        def job():
            import reader_late
            reader_late.seen.append(1)
            part.seen.append(1)
            reader_tools.count += 1
            from reader_package import late

        def register(scheduler):
            scheduler.add_job(job, "cron", hour="*", id="job")
        """,
        **{
            "reader_tools.py": "count = 0",
            "reader_late.py": "seen = []",
            "reader_package/__init__.py": "",
            "reader_package/part.py": "seen = []",
            "reader_package/late.py": "",
        },
    )
    before = dict(sys.modules)
    content = {name: dict(vars(before[name])) for name in before if name.startswith("reader_")}
    meta_path = list(sys.meta_path)
    runs = simulate(app.register, NIGHT, MORNING, nodes=2).runs
    assert set(runs["status"]) == {"ok"}
    assert dict(sys.modules) == before
    assert {name: dict(vars(before[name])) for name in content} == content
    assert app.part.seen == []
    assert sys.meta_path == meta_path


def test_they_are_so_when_a_simulation_fails(make: Make) -> None:
    """The error is of the class that the caller can name."""
    app = make("""
        class SettingsError(Exception):
            def __init__(self, name):
                super().__init__(f"no {name}")
                self.name = name

        def register(scheduler):
            raise SettingsError("url")
    """)
    before = dict(sys.modules)
    with pytest.raises(app.SettingsError, match="no url") as caught:
        simulate(app.register, NIGHT, MORNING, nodes=2)
    assert caught.value.name == "url"
    assert dict(sys.modules) == before


def test_modules_of_a_package_are_one_anothers(make: Make) -> None:
    """A node's modules see each other's memory and classes, and not another node's."""
    app = make(
        """
        from reader_service import memory
        from reader_service.kinds import Kind
        import reader_service.memory as same

        async def job():
            from reader_service.late import check
            memory.seen.append(check(Kind()))
            assert same is memory
            if len(memory.seen) > 6:
                raise RuntimeError("the memory of another node")

        def register(scheduler):
            scheduler.add_job(job, "cron", hour="*", id="job")
        """,
        name="reader_service.app",
        **{
            "reader_service/__init__.py": "from reader_service import memory",
            "reader_service/memory.py": "seen = []",
            "reader_service/kinds.py": "class Kind: pass",
            "reader_service/late.py": """
                from reader_service.kinds import Kind

                def check(kind):
                    assert isinstance(kind, Kind)
                    return kind
            """,
        },
    )
    importlib.import_module("reader_service.late")  # by the caller
    runs = simulate(app.register, NIGHT, MORNING, nodes=2).runs
    assert hours(runs, "ok") == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_a_module_is_executed_at_the_nodes_time_and_in_its_zone(make: Make) -> None:
    """So that what it works out then is what a process on that host works out."""
    app = make("""
        import time
        from datetime import datetime

        from kst_scheduler.simulation.clock import current_world

        STARTED = datetime.now().isoformat(timespec="milliseconds")
        if current_world():
            time.sleep(90)
        LATER = datetime.now().isoformat(timespec="milliseconds")

        def register(scheduler, into):
            into.append((STARTED, LATER))
    """)
    started: list[tuple[str, str]] = []
    simulate(
        functools.partial(app.register, into=started),
        NIGHT,
        MORNING,
        [Node("A"), Node("B", clock_offset=5)],
        [Crash("A", kst(2026, 5, 10, 1), timedelta(minutes=1))],
        host_timezone="America/New_York",
    )
    assert started == [
        ("2026-05-09T11:00:00.000", "2026-05-09T11:01:30.000"),
        ("2026-05-09T11:00:05.000", "2026-05-09T11:01:35.000"),
        ("2026-05-09T12:01:00.000", "2026-05-09T12:02:30.000"),
    ]


def test_job_stores_and_textual_references_find_a_nodes_own_functions(make: Make) -> None:
    """A job is pickled by the name of its function, and found by it after a restart."""
    app = make("""
        seen = []

        def job(known):
            seen.append(1)
            assert known() is seen

        def known():
            return seen

        def register(scheduler):
            again = {"args": [known], "replace_existing": True}
            scheduler.add_job(job, "cron", hour="*", id="pickled", **again)
            scheduler.add_job("reader_app:job", "cron", minute=30, id="by its name", **again)
    """)
    stores = {"default": SQLAlchemyJobStore(url="sqlite://")}
    runs = simulate(
        app.register,
        NIGHT,
        MORNING,
        incidents=[Crash("A", kst(2026, 5, 10, 2, 15), timedelta(minutes=5))],
        scheduler=lambda: plain_scheduler(jobstores=stores),
    ).runs
    assert list(runs["status"]) == ["ok"] * 12
    assert app.seen == []


IN_MANY_PLACES = """
    from functools import partial
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    class Service:
        where = "reader_app"
        names = []

        @classmethod
        def add_jobs(cls, scheduler):
            cls.names.append(1)
            scheduler.add_job(print, "cron", hour=1, args=[], id=f"job {len(cls.names)}")

        @staticmethod
        def add_them(scheduler):
            Service.add_jobs(scheduler)

        def add_mine(self, scheduler):
            Service.add_jobs(scheduler)

        def __call__(self, scheduler):
            Service.add_jobs(scheduler)

    def add(scheduler, more=None):
        Service.add_jobs(scheduler)

    def decorated(function):
        def wrapper(scheduler):
            function(scheduler)
        return wrapper

    service = Service()
    add_more = decorated(add)
    bound = partial(add, more=1)
"""


@pytest.mark.parametrize(
    "find",
    [
        lambda app: app.add,
        lambda app: app.Service.add_jobs,
        lambda app: app.Service.add_them,
        lambda app: app.service.add_mine,
        lambda app: app.service,
        lambda app: app.add_more,
        lambda app: app.bound,
        lambda app: functools.partial(app.add),
        lambda app: functools.partial(app.add, more=app.Service),
        lambda app: functools.partial(functools.partial(app.add, more=lambda: None)),
    ],
)
def test_what_a_fresh_module_can_give_is_taken_from_it(make: Make, find: Any) -> None:
    """A function, a method of a class or of an object of the module, and a partial of them."""
    app = make(IN_MANY_PLACES)
    runs = simulate(find(app), NIGHT, MORNING, nodes=2).runs
    assert list(runs["job_id"]) == ["job 1", "job 1"]
    assert app.Service.names == []


@pytest.mark.parametrize(
    "find",
    [
        lambda app: lambda scheduler: app.add(scheduler, more=2),
        lambda app: app.Service().add_mine,
        lambda app: app.Service(),
        lambda app: app.decorated(app.add),
        lambda app: functools.partial(app.add, more=app.Service()),
    ],
)
def test_what_it_cannot_give_runs_as_it_is(make: Make, find: Any) -> None:
    """An object that the caller has made is of the caller's class, and so are its modules."""
    app = make(IN_MANY_PLACES)
    runs = simulate(find(app), NIGHT, MORNING, nodes=2).runs
    assert list(runs["job_id"]) == ["job 1", "job 2"]
    assert app.Service.names == [1, 1]


def test_the_scheduler_is_a_fresh_modules_too(make: Make) -> None:
    """One that a module makes is one for each process."""
    app = make("""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        class Mine(AsyncIOScheduler):
            pass

        scheduler = Mine(timezone="Asia/Seoul")

        @scheduler.scheduled_job("cron", hour=1, id="job")
        def job():
            pass

        def make_scheduler():
            return scheduler

        def register(given):
            assert given is scheduler and isinstance(given, Mine)
    """)
    runs = simulate(app.register, NIGHT, MORNING, 2, scheduler=app.make_scheduler).runs
    assert hours(runs, "ok") == [1, 1]
    assert app.scheduler.state == 0


@pytest.mark.parametrize(
    "replace",
    [
        ("crawl", lambda: None),
        ("json", object()),
        ("Source", type("Source", (), {})),
        ("dumps", print),
    ],
)
def test_a_module_whose_functions_were_replaced_is_not_executed_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, replace: tuple[str, Any]
) -> None:
    """A test's stub stays where the test has put it, or the real source would be called."""
    app = make("""
        import json
        from json import dumps

        done = []

        class Source:
            def read(self):
                pass

        def crawl():
            raise RuntimeError("the real source")

        def register(scheduler):
            done.append(1)
            scheduler.add_job(crawl, "cron", hour=1, id="job")
    """)
    before = dict(sys.modules)
    monkeypatch.setattr(app, *replace)
    simulate(app.register, NIGHT, MORNING, nodes=3)
    assert app.done == [1, 1, 1]
    assert dict(sys.modules) == before


def test_a_method_that_was_replaced_counts_as_well(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a class the stub is one of its attributes."""
    app = make("""
        class Source:
            def read(self):
                raise RuntimeError("the real source")

        def register(scheduler):
            scheduler.add_job(Source().read, "cron", hour=1, id="job")
    """)
    monkeypatch.setattr(app.Source, "read", lambda _self: None)
    assert hours(simulate(app.register, NIGHT, MORNING, nodes=2).runs, "ok") == [1, 1]


def test_what_a_module_has_kept_since_its_import_does_not_count(make: Make) -> None:
    """Memory is what shall be fresh, whatever it is; nor do wrappers and generated classes."""
    app = make("""
        import functools
        import time
        from dataclasses import dataclass
        from enum import Enum

        client = None
        count = 0
        started = time.time()

        class Kind(Enum):
            ONE = 1

        @dataclass
        class Point:
            x: int = 0

        @functools.cache
        def cached():
            return 1

        def register(scheduler):
            global client, count
            assert client is None and count == 0
            client, count = cached, count + 1
    """)
    app.register(None)
    simulate(app.register, NIGHT, MORNING, nodes=2)
    assert app.count == 1


def test_a_module_that_cannot_be_executed_twice_is_shared_and_the_log_says_so(make: Make) -> None:
    """A registry of metrics refuses a name that it has."""
    app = make(
        """
        import sys

        done = []

        if hasattr(sys, "_reader_registry"):
            raise ValueError("duplicated: runs_total")
        sys._reader_registry = True

        def register(scheduler):
            done.append(1)
        """,
    )
    try:
        log = simulate(app.register, NIGHT, MORNING, nodes=2).log
    finally:
        del sys._reader_registry  # type: ignore[attr-defined]
    rows = log[log["level"] == "WARNING"]
    assert rows["message"].item() == (
        "reader_app cannot be executed once more (ValueError: duplicated: runs_total), so the "
        "nodes share its memory; real replicas have one each"
    )
    assert app.done == [1, 1]


@pytest.mark.parametrize("name", ["MemoryLedger", "SimulatedRedis"])
def test_a_server_that_would_be_one_for_each_process_is_refused(make: Make, name: str) -> None:
    """It is named, and where to make it; on one process that never restarts it is right."""
    app = make(f"""
        from kst_scheduler.ledger import MemoryLedger
        from kst_scheduler.simulation.redis_server import SimulatedRedis

        server = {name}()

        def register(scheduler):
            pass
    """)
    restart = [Crash("A", kst(2026, 5, 10, 1), timedelta(minutes=1))]
    for several in ({"nodes": 2}, {"incidents": restart}):
        with pytest.raises(SimulationError, match=rf"reader_app\.server is a {name}.*partial"):
            simulate(app.register, NIGHT, MORNING, **several)
    simulate(app.register, NIGHT, MORNING)


def test_a_server_that_is_handed_over_is_shared(make: Make) -> None:
    """As the message says."""
    app = make("""
        from kst_scheduler import once

        async def crawl():
            pass

        def register(scheduler, ledger):
            scheduler.add_job(once(ledger)(crawl), "cron", hour=1, id="crawl")
    """)
    register = functools.partial(app.register, ledger=MemoryLedger())
    runs = simulate(register, NIGHT, MORNING, nodes=3).runs
    assert sorted(runs["status"]) == ["locked_out", "locked_out", "ok"]


seen: list[str] = []


class _Recorder:
    """Something that all nodes share on purpose, as the caller hands it over."""

    def __init__(self) -> None:
        self.seen: list[int] = []


recorder = _Recorder()


def _stub() -> None:
    seen.append(current_node())


def test_what_the_caller_hands_over_stays_the_callers(make: Make) -> None:
    """A stub, an object, a method of one: each is run as it is, and notes what it sees."""
    app = make("""
        def register(scheduler, crawl, recorder, more):
            scheduler.add_job(crawl, "cron", hour=1, id="crawl")
            recorder.seen.append(1)
            more(2)
            scheduler.add_job("test_fresh_modules:_stub", "cron", hour=2, id="by name")
    """)
    handed: dict[str, Any] = {"crawl": _stub, "recorder": recorder, "more": recorder.seen.append}
    seen.clear()
    recorder.seen.clear()
    stores = {"default": SQLAlchemyJobStore(url="sqlite://")}
    register = functools.partial(app.register, **handed)
    scheduler = functools.partial(plain_scheduler, jobstores=stores)
    runs = simulate(register, NIGHT, MORNING, 1, scheduler=scheduler).runs
    assert hours(runs, "ok") == [1, 2]
    assert (seen, recorder.seen) == (["A", "A"], [1, 2])


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"a": one}])
def test_objects_of_a_module_that_would_be_fresh_are_of_the_callers(make: Make, wrap: Any) -> None:
    """A fresh module would not know them as its own, so all nodes share the caller's."""
    app = make("""
        class Settings:
            pass

        def register(scheduler, settings):
            for each in settings if isinstance(settings, list) else [settings]:
                each = each["a"] if isinstance(each, dict) else each
                assert isinstance(each, Settings)
    """)
    simulate(
        functools.partial(app.register, settings=wrap(app.Settings())), NIGHT, MORNING, nodes=2
    )


def test_a_module_that_no_path_leads_to_is_executed_again(tmp_path: Path) -> None:
    """It was loaded from its file, as a command does with the reader's."""
    file = tmp_path / "reader_loaded.py"
    file.write_text(
        "done = []\ndef register(scheduler):\n    done.append(1)\n    assert done == [1]\n"
    )
    spec = importlib.util.spec_from_file_location("reader_loaded", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["reader_loaded"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        simulate(module.register, NIGHT, MORNING, nodes=2)
        assert module.done == []
        assert sys.modules["reader_loaded"] is module
    finally:
        del sys.modules["reader_loaded"]


def test_installed_packages_and_this_one_are_shared(make: Make) -> None:
    """They are large, and hold no state of the reader's."""
    app = make(
        "def register(scheduler): pass",
        name="site-packages.reader_installed",
        **{"site-packages/__init__.py": ""},
    )
    assert not Program(plain_scheduler, app.register).is_fresh
    theirs: list[Any] = [simulate, textwrap.dedent]
    assert not any(Program(plain_scheduler, function).is_fresh for function in theirs)


def test_functions_of_the_caller_stay_the_callers(make: Make) -> None:
    """A module that calls simulate() is run as it is, also below the same folder."""
    caller = make(
        """
        from functools import partial
        from datetime import timedelta
        from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from kst_scheduler import simulate
        import reader_app

        seen = []

        def scheduler():
            store = SQLAlchemyJobStore(url="sqlite://")
            made = AsyncIOScheduler(timezone="Asia/Seoul", jobstores={"default": store})
            made.add_job(stub, "cron", hour=1, id="stub")
            return made

        def stub():
            seen.append(1)

        def run(start):
            return simulate(
                reader_app.register, start, start + timedelta(hours=3), 2,
                scheduler=lambda: scheduler(),
            )
        """,
        name="reader_caller",
        **{"reader_app.py": "def register(scheduler): pass"},
    )
    assert hours(caller.run(NIGHT).runs, "ok") == [1, 1]
    assert caller.seen == [1, 1]


def test_what_ends_with_the_simulation_finds_its_own_modules(make: Make) -> None:
    """A finally block that runs at the end imports from its own node's."""
    app = make(
        """
        import asyncio
        seen = []

        async def job(names):
            from kst_scheduler.simulation import current_node
            name = current_node()
            seen.append(name)
            try:
                await asyncio.sleep(9999999)
            finally:
                from reader_app import seen as found
                assert found is seen
                names.append(*found)

        def register(scheduler, names):
            scheduler.add_job(job, "cron", hour=1, args=[names], id="job")
        """
    )
    names: list[str] = []
    simulate(functools.partial(app.register, names=names), NIGHT, MORNING, nodes=2)
    assert sorted(names) == ["A", "B"]


def test_two_calls_give_equal_tables(make: Make) -> None:
    """What the first has left in a module's memory is not there for the second."""
    app = make(GUARDED)
    first, second = (simulate(app.register, NIGHT, MORNING, nodes=2) for _ in range(2))
    assert first.runs.equals(second.runs)
    assert first.log.equals(second.log)


def test_threads_and_loops_of_two_nodes_take_turns_with_their_own_modules(make: Make) -> None:
    """Each strand finds its node's module in sys.modules whenever it runs."""
    app = make("""
        import asyncio, sys, time
        me = object()

        def mine():
            return sys.modules["reader_app"].me is me

        def in_thread():
            for _ in range(5):
                assert mine()
                time.sleep(1)

        async def in_loop():
            for _ in range(5):
                assert mine()
                await asyncio.sleep(0.7)

        def register(scheduler):
            scheduler.add_job(in_thread, "cron", minute=0, id="thread")
            scheduler.add_job(in_loop, "cron", minute=0, id="loop")
    """)
    runs = simulate(app.register, NIGHT, MORNING, nodes=3).runs
    assert list(runs["status"]) == ["ok"] * 36
