from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter, deque
from datetime import timedelta
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from lessons import MORNING, NIGHT

from kst_scheduler import MemoryLedger, once, simulate
from kst_scheduler.simulation import Crash, current_node
from kst_scheduler.simulation.reach import Reach
from kst_scheduler.simulation.shared_memory import _MAX_COMPARED, _contents, is_read
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[..., object]

RESTART = [Crash("A", kst(2026, 5, 10, 1, 30), timedelta(minutes=1))]

done: set[str] = set()
count = 0
runs_of: Counter[str] = Counter()
lock = threading.Lock()
LIMIT = 3


def _guarded() -> None:
    if "tonight" not in done:
        done.add("tonight")


def _counted() -> None:
    global count  # noqa: PLW0603 - what is looked for
    count += 1
    if count > LIMIT:
        return


def _looked_up() -> None:
    runs_of[current_node()] += 1
    if runs_of.total() > LIMIT:
        return


def _in_a_function_inside() -> None:
    def inside() -> bool:
        return "tonight" in done

    if not inside():
        done.add("tonight")


def _through_another() -> None:
    _guarded()


def _by_default(known: list[int] = []) -> None:  # noqa: B006 - what is looked for
    if len(known) < 1000:
        known.append(1)


def _through_its_module() -> None:
    here = sys.modules[__name__]
    here._guarded()


def _closing_over() -> Job:
    seen: list[int] = []

    def job() -> None:
        if len(seen) < 1000:
            seen.append(1)

    return job


def _rebinding() -> Job:
    last = ""

    def job() -> None:
        nonlocal last
        if last != current_node():
            last = current_node()

    return job


def _wrapped() -> Job:
    """A decorator that lets a function run once."""
    ran: dict[str, bool] = {}

    @wraps(_nothing)
    def job() -> None:
        if current_node() not in ran or len(ran) < 1000:
            ran[f"{len(ran)}"] = True

    return job


def _nothing() -> None:
    """Do nothing."""


def _warnings(job: Job, *, nodes: int = 2, incidents: Any = ()) -> list[str]:
    done.clear()
    runs_of.clear()

    def register(scheduler: Any) -> None:
        scheduler.add_job(job, "cron", hour="*", id="job")

    log = simulate(register, NIGHT, MORNING, nodes, incidents).log
    return list(log.loc[log["level"] == "WARNING", "message"])


@pytest.mark.parametrize(
    ("job", "name"),
    [
        (_guarded, "`done`"),
        (_counted, "`count`"),
        (_looked_up, "`runs_of`"),
        (_in_a_function_inside, "`done`"),
        (_through_another, "`done`"),
        (_by_default, "a default argument"),
        (_closing_over(), "`seen`"),
        (_rebinding(), "`last`"),
        (_wrapped(), "`ran`"),
        (partial(_guarded), "`done`"),
    ],
)
def test_memory_that_could_be_a_guard_is_named_once(job: Job, name: str) -> None:
    """On several nodes, and where one process follows another."""
    for message in (_warnings(job), _warnings(job, nodes=1, incidents=RESTART)):
        assert len(message) == 1
        assert message[0].startswith(f"{name}: all nodes of this simulation share it")
        assert "ledger" in message[0]
        assert "top level of a module" in message[0]
    assert _warnings(job, nodes=1) == []


def test_a_job_in_a_librarys_decorator_is_looked_at() -> None:
    """The decorator is the library's; what it holds is the reader's."""
    assert _warnings(once(MemoryLedger())(_awaited))[0].startswith("`done`")


async def _awaited() -> None:
    _guarded()


def test_the_row_has_the_time_of_the_end_and_no_node() -> None:
    """It is about all of them."""
    done.clear()

    def register(scheduler: Any) -> None:
        scheduler.add_job(_guarded, "cron", hour=1)

    log = simulate(register, NIGHT, MORNING, nodes=2).log
    row = log[log["level"] == "WARNING"].iloc[0]
    assert (row["time"], row["node"]) == (MORNING, "")


noted: list[str] = []
notes: dict[str, str] = {}
last_noted: deque[str] = deque(maxlen=3)
kinds: set[str] = set()
counted: Counter[str] = Counter()
total = 0


def _notes_everywhere() -> None:
    global total  # noqa: PLW0603 - a reader counts
    name = current_node()
    noted.append(name or "nobody")
    noted.extend([name] * 2)
    notes[name] = name
    notes[name + "!"] = "x" if name else "y"
    notes.update(a=name)
    last_noted.append(name)
    kinds.add(name)
    counted[name] += 1
    counted.update([name])
    total += 1


def _notes_in_closures() -> Job:
    seen: list[str] = []
    by_node: dict[str, list[int]] = {}
    number = 0

    async def job() -> None:
        nonlocal number, seen
        number += 1
        seen.append(current_node())
        seen += ["more"]
        by_node[current_node()] = [number for _ in range(2)]

    return job


def _notes_by_default(into: list[str] = noted) -> None:
    into.append(current_node())


@pytest.mark.parametrize("job", [_notes_everywhere, _notes_by_default])
def test_what_is_only_written_to_is_no_guard(job: Job) -> None:
    """So a reader sees what has happened, in a test or a notebook."""
    noted.clear()
    assert _warnings(job) == []
    assert noted


def test_closures_that_only_note_are_no_guards() -> None:
    """A number that the job itself puts into its notes is one that it reads."""
    assert [each.split(":")[0] for each in _warnings(_notes_in_closures())] == ["`number`"]


class _Schedulers:
    """Makes schedulers, and keeps them so that something of theirs can be closed."""

    def __init__(self) -> None:
        self.made: list[AsyncIOScheduler] = []

    def make(self) -> AsyncIOScheduler:
        self.made.append(AsyncIOScheduler(timezone=KST))
        return self.made[-1]


class _Service:
    """Registers its own method, which keeps what is done."""

    def __init__(self) -> None:
        self.done: set[str] = set()

    def crawl(self) -> None:
        if "tonight" not in self.done:
            self.done.add("tonight")

    def register(self, scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(self.crawl, "cron", minute=0, id="crawl")


def test_what_makes_the_schedulers_is_handed_over() -> None:
    """What it keeps is no guard of the jobs; a service that registers its own method has one."""

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(_notes_by_default, "cron", minute=0, id="crawl")

    night = NIGHT, NIGHT + timedelta(hours=3)
    assert simulate(register, *night, nodes=2, scheduler=_Schedulers().make).log.empty
    (message,) = simulate(_Service().register, *night, nodes=2).log["message"]
    assert message.startswith("`self.done`: all nodes of this simulation share it")


def test_what_does_not_change_is_no_guard() -> None:
    """Constants and tables are read by everybody."""
    assert _warnings(lambda: LIMIT if notes.get("nobody") else done) == []


def test_an_argument_of_a_job_is_looked_at_as_well() -> None:
    """One that is shared by the nodes; each may have its own."""
    shared: set[str] = set()

    def guarded(known: set[str]) -> None:
        if "tonight" not in known:
            known.add("tonight")

    def notes_only(known: set[str]) -> None:
        known.add(current_node())

    def own(known: set[str]) -> None:
        guarded(known)

    def register(scheduler: Any, job: Job) -> None:
        scheduler.add_job(job, "cron", hour="*", args=[shared], id="shared")
        scheduler.add_job(own, "cron", hour="*", args=[set()], id="own")

    quiet, loud = (
        simulate(partial(register, job=job), NIGHT, MORNING, nodes=2).log["message"]
        for job in (notes_only, guarded)
    )
    assert quiet.empty
    assert loud.item().startswith("`known`: all nodes of this simulation share it")


async def _awaits_a_lock() -> None:
    async with _async_lock:
        await asyncio.sleep(0)


_async_lock = asyncio.Lock()
_condition = threading.Condition()
_r_lock = threading.RLock()


def _locked() -> None:
    with lock:
        pass


@pytest.mark.parametrize(
    ("job", "name"),
    [
        (_locked, "`lock`"),
        (_awaits_a_lock, "`_async_lock`"),
        (lambda: _r_lock, "`_r_lock`"),
        (lambda: _condition, "`_condition`"),
    ],
)
def test_a_lock_within_one_process_is_named(job: Job, name: str) -> None:
    """It leaves no trace that could be compared."""
    (message,) = _warnings(job)
    assert message.startswith(f"{name}: a lock that excludes within one process only")
    assert "redis_lock" in message
    assert _warnings(job, nodes=1) == []


def test_a_lock_of_each_process_is_right() -> None:
    """Register makes it, so each node has its own."""

    def register(scheduler: Any) -> None:
        own = threading.Lock()
        seen: set[int] = set()

        def job() -> None:
            with own:
                if 1 not in seen:
                    seen.add(1)

        scheduler.add_job(job, "cron", hour=1)

    assert simulate(register, NIGHT, MORNING, nodes=2).log.empty


def test_a_large_memory_costs_little() -> None:
    """Its length is compared, and what comes first."""
    large = dict.fromkeys(range(100_000), 0)

    def job() -> None:
        if 5 in large:
            large[-1] = 1

    assert len(_warnings(job)) == 1
    assert len(_contents(large)) < 2 * _MAX_COMPARED


def test_values_that_cannot_be_compared_or_copied_are_no_trouble() -> None:
    """They are the same as long as they are the same objects."""

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("not to be compared")

        def __deepcopy__(self, memo: object) -> Odd:
            raise RuntimeError("not to be copied")

        __hash__ = object.__hash__

    odd = [Odd(), Odd()]
    odd.append(odd)  # type: ignore[arg-type]

    def job() -> None:
        if odd:
            odd[0] = odd[-2]

    assert _warnings(lambda: odd[0]) == []
    assert len(_warnings(job)) == 1


ONLY_WRITES = [
    "seen.append(1)",
    "seen.append(k if v else x)",
    "seen.extend([1])",
    "seen[k] = v",
    "seen[k] = v if x else k",
    "seen[k + 1] = v",
    "seen[k] += 1",
    "seen[k]['x'] = 1",
    "seen[k].append(1)",
    "seen.put(1)",
    "v(args=[seen])",
    "v(kwargs={'a': seen})",
]
READS = [
    "x in seen",
    "len(seen)",
    "v(seen)",
    "y = seen",
    "v.seen = seen",
    "v['x'] = seen.x",
    "with seen: pass",
    "y = f'{seen}'",
    "y = seen[0]",
    "y = [z for z in seen]",
    "v[k] = seen",
    "y = not seen",
    "y = seen or 1",
    "y = seen.get(1)",
    "seen.pop()",
    "y = seen == 3",
    "return seen",
    "assert not seen",
    "if seen: pass",
    "for z in seen: pass",
    "while seen: break",
    "if seen[k] > 2: pass",
    "(lambda: 1 in seen)()",
    "if 1 not in seen: seen.add(1)",
]


@pytest.mark.parametrize(
    ("statement", "reads"),
    [*((each, False) for each in ONLY_WRITES), *((each, True) for each in READS)],
)
def test_the_use_of_a_name_is_told_from_its_code(statement: str, reads: bool) -> None:
    """As a global, in a closure and as a default argument, on every Python."""
    sources = [
        f"seen = []\ndef f(k, v, x):\n  {statement}",
        f"def outer(seen):\n  def f(k, v, x):\n    {statement}\n  return f\nf = outer([])",
        f"def f(k, v, x, seen=[]):\n  {statement}",
    ]
    for source in sources:
        names: dict[str, Any] = {}
        exec(source, names)  # noqa: S102 - many small functions
        (seen,) = (slot for slot in Reach(names["f"]).slots if slot.key == "seen")
        assert is_read(seen) == reads, source
