"""Exercise 7.3: Write a lock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import LockNotOwnedError

from kst_scheduler.errors import LockedOutError
from kst_scheduler.simulation import Crash, Freeze, Node, current_node, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.crawl_nights import CrawlError, Night, Played
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import pictures, require_function, shown
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from redis.asyncio import Redis

SET: Final = "https://redis.io/docs/latest/commands/set/"
TTL: Final = 3000
"""Seconds, 50 minutes: longer than the crawls of most of these nights."""
HALF: Final = TTL // 2
"""The ttl of one more night: the lock must hold as long as it is told, and no other time."""
PATIENCE: Final = 1
"""Seconds after which a lock that has not said whether it is held is one that waits."""
Errors = list[Exception]
TRAVEL: Final = 0.001
"""Seconds that a command needs to Redis, and its answer back."""
THREE: Final = kst(2026, 5, 10, 3)
FOUR: Final = kst(2026, 5, 10, 4)
TWO: Final = Night("two replicas")
NIGHTS: Final = (
    Night("one replica", nodes=1),
    TWO,
    Night("a crawl that fails", nodes=1, fails=True),
    Night("B's clock 55 minutes ahead", nodes=(Node("A"), Node("B", 3300))),
    Night("A dead from 03:10 on", incidents=(Crash("A", kst(2026, 5, 10, 3, 10)),)),
    Night(
        "A dead between your first two commands",
        incidents=(Crash("A", kst(2026, 5, 10, 3) + timedelta(microseconds=2500)),),
    ),
)
"""In these each crawl that the expected lock lets through has to take place."""
OUTLIVED: Final = (
    Night("a crawl of 100 minutes", pages=100),
    Night(
        "A frozen from 03:10 to 04:05",
        pages=48,
        incidents=(Freeze("A", kst(2026, 5, 10, 3, 10), timedelta(minutes=55)),),
    ),
)
"""In these A works longer than its lock holds, which a lock may prevent, by renewals, or not."""
HUNG: Final = Night(
    "A's connection hangs for 20 minutes after the first command that releases the lock", 49
)
"""Its lock is over meanwhile, and B's: what A sends at last must not take that one away."""
SHORT_LIVED: Final = Night(
    "A dead from 03:10 on, and a ttl of 1,500 seconds",
    incidents=(Crash("A", kst(2026, 5, 10, 3, 10)),),
)
ALL: Final = (*NIGHTS, SHORT_LIVED, *OUTLIVED, HUNG)


@exercise(
    "7.3",
    title="Write a lock",
    variable="own_lock",
    hints=(
        "Decorate it with `contextlib.asynccontextmanager`: take the lock, `yield`, give it back.",
        "One command takes it, and lets it expire: `client.set(..., nx=True, px=...)`.",
        "The value says whose lock it is. A script compares it and deletes: `client.eval(...)`.",
    ),
    solution='''
        import contextlib
        import secrets

        from kst_scheduler import LockedOutError

        OWN = """
        if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
        """


        @contextlib.asynccontextmanager
        async def own_lock(client, name, ttl):
            token = secrets.token_hex(16)
            if not await client.set(name, token, nx=True, px=ttl * 1000):
                raise LockedOutError(f"{name} is held by another run")
            try:
                yield
            finally:
                await client.eval(OWN, 1, name, token)
    ''',
    link=SET,
)
def write_a_lock(own_lock: Any) -> Right:
    """Write a lock on Redis, and let it go through several nights."""
    require_function(own_lock, "own_lock", "client", "name", "ttl")
    _check_it_is_one(own_lock)
    with each_replica_for_itself(own_lock):
        _check_it_is_in_redis(own_lock)
        played = [_judge(own_lock, night) for night in ALL]
        _check_it_has_a_name(own_lock)
        _check_it_passes_errors_on(own_lock)
        _check_it_is_given_back(own_lock)
    last = played[ALL.index(OUTLIVED[-1])]
    return Right(
        f"{len(played)} nights, and nobody got the lock while it held. Below is the one in which A "
        "freezes: it wakes when its lock is over, and goes on beside B. No lock stops its holder. "
        "`redis_lock` does: it renews the lock, and stops a job that has lost it.",
        pictures(last.result, last.result)[:1],
    )


def _check_it_is_one(own_lock: Any) -> None:
    lock = own_lock(_far_away(SimulatedRedis().client()), "lock:daily-nps-crawl", TTL)
    if asyncio.iscoroutine(lock):
        lock.close()
    if not hasattr(lock, "__aenter__") or not hasattr(lock, "__aexit__"):
        raise NotYetError(
            f"`own_lock(client, name, ttl)` returns {shown(lock)}, and `async with` takes no such "
            "thing."
        )


def _check_it_is_in_redis(own_lock: Any) -> None:
    """Refuse a lock that holds between two replicas which have not even the same Redis."""
    errors = Errors()
    apart = _play(own_lock, TWO, errors, apart=True)
    if sum(crawl.due == THREE for crawl in apart.crawls) == 1:
        theirs = _play(_as_it_should_be, TWO, errors, apart=True)
        raise NotYetError(
            "Two replicas that have a Redis each, and your lock lets only one of them crawl. It "
            "keeps something in Python, which the simulated replicas share, as they live in one "
            "process. Real replicas do not.",
            pictures(apart.result, theirs.result),
        )


def _check_it_has_a_name(own_lock: Any) -> None:
    """Refuse a lock that is one and the same for all jobs."""
    client, locked_out = SimulatedRedis().client(), list[LockedOutError]()

    async def both() -> None:
        async with own_lock(client, "lock:one", TTL):
            try:
                async with own_lock(client, "lock:another", TTL):
                    pass
            except LockedOutError as error:
                locked_out.append(error)

    simulate(
        lambda scheduler: scheduler.add_job(both, "cron", hour=3),
        THREE - timedelta(minutes=1),
        THREE + timedelta(minutes=1),
    )
    if locked_out:
        raise NotYetError(
            "While `lock:one` is held, nobody gets `lock:another`: two jobs that have nothing to "
            "do with each other would wait for each other. `name` is the lock's name."
        )


def _check_it_passes_errors_on(own_lock: Any) -> None:
    """Refuse a lock that makes a good run of one that failed or was cancelled."""
    client, kept = SimulatedRedis().client(), list[str]()

    async def fail_twice() -> None:
        for error in (OSError("no answer"), asyncio.CancelledError()):
            name = type(error).__name__
            with contextlib.suppress(type(error)):
                async with own_lock(client, f"lock:{name}", TTL):
                    raise error
                kept.append(name)

    simulate(
        lambda scheduler: scheduler.add_job(fail_twice, "cron", hour=3),
        THREE - timedelta(minutes=1),
        THREE + timedelta(minutes=1),
    )
    if kept:
        raise NotYetError(
            f"A crawl raises `{kept[0]}` in the block of your lock, and the lock keeps it: the run "
            "is ok, and nobody learns that it is not."
        )


def _check_it_is_given_back(own_lock: Any) -> None:
    """Refuse a lock whose block does not wait until it is given back, or lets no drain end that."""
    server, faults = SimulatedRedis(), list[str]()
    near, far = server.client(), _far_away(server.client())

    async def work(name: str, leaving: asyncio.Event) -> None:
        async with own_lock(far, name, TTL):
            leaving.set()

    async def work_twice() -> None:
        leaving = asyncio.Event()
        await work("lock:one", asyncio.Event())
        if await near.exists("lock:one"):
            faults.append(
                "The block of your lock is over, and the lock is still in Redis: nobody awaits the "
                "command that gives it back."
            )
        run = asyncio.create_task(work("lock:two", leaving))
        await leaving.wait()
        await asyncio.sleep(TRAVEL / 2)
        may_be_cut = run.cancel()
        await asyncio.wait([run])
        if may_be_cut and not run.cancelled():
            faults.append(
                "A drain cancels a run while it gives your lock back, and the lock keeps the "
                "`CancelledError`: the run goes on."
            )

    simulate(
        lambda scheduler: scheduler.add_job(work_twice, "cron", hour=3),
        THREE - timedelta(minutes=1),
        THREE + timedelta(minutes=1),
    )
    for fault in faults:
        raise NotYetError(fault)


def _judge(own_lock: Any, night: Night) -> Played:
    """Return the night as it went; raise what the lock should not have done in it."""
    errors = Errors()
    ttl = HALF if night is SHORT_LIVED else TTL
    mine = _play(own_lock, night, errors, ttl=ttl)
    held = timedelta(seconds=ttl)
    fault = _waits(errors) or _failed(mine, night, errors) or _at_once(mine, night, held)
    if fault is None and night not in (*OUTLIVED, HUNG):
        fault = _nobody(mine, _expected(night, ttl), night, held)
    if fault:
        shown_below = pictures(mine.result, _expected(night, ttl).result)
        raise NotYetError(f"The night: {night.title}. {fault}", shown_below)
    return mine


@cache
def _expected(night: Night, ttl: int) -> Played:
    return _play(_as_it_should_be, night, Errors(), ttl=ttl)


def _waits(errors: Errors) -> str | None:
    """Say who waits: by the time that it gets the lock it would repeat the work."""
    for error in errors:
        if isinstance(error, _WaitsError):
            return (
                f"{error.node} finds the lock held at {error.at:%H:%M}, and {PATIENCE} second "
                "later your lock still waits for it. A replica that waits gets the lock later, and "
                "repeats the work: raise `LockedOutError` at once."
            )
    return None


def _failed(mine: Played, night: Night, errors: Errors) -> str | None:
    """Say which run failed by the lock; an error of a lock that was outlived is in order."""
    wrote = {(crawl.node, crawl.due) for crawl in mine.crawls}
    runs = mine.result.runs.query("status == 'error'")[["node", "scheduled_at", "detail"]]
    for node, due, detail in runs.itertuples(index=False, name=None):
        worked = (node, due) in wrote
        if "CrawlError" in detail or (worked and night in (*OUTLIVED, HUNG)):
            continue
        if worked or not wrote:
            raise errors[0]
        return (
            f"{node} found the lock busy at {due:%H:%M}, and its run ended as an error: "
            f"`{detail}`. That would be an alarm every night; raise `LockedOutError`."
        )
    return None


def _at_once(mine: Played, night: Night, held: timedelta) -> str | None:
    """Say who got a lock that another held: one that it had taken less than its ttl ago."""
    for earlier, later in itertools.combinations(mine.crawls, 2):
        over = earlier.begin + held
        died = earlier.node == "A" and "dead" in night.title
        if later.begin < over and (died or later.begin <= earlier.last_page):
            ended = [
                crawl for crawl in mine.crawls if earlier.begin < crawl.last_page < later.begin
            ]
            lost = (
                f" When the crawl of {ended[0].due:%H:%M} ended, it deleted that lock."
                if ended
                else ""
            )
            return (
                f"{earlier}, and its lock is valid until {over:%H:%M}. Nevertheless {later}."
                f"{'' if died else lost}"
            )
    return None


def _nobody(mine: Played, theirs: Played, night: Night, held: timedelta) -> str | None:
    """Say which crawl found a lock busy that nobody held any more."""
    seen = {crawl.due for crawl in mine.crawls}
    dead = "A" if "dead" in night.title else ""
    missing = [crawl for crawl in theirs.crawls if crawl.due not in seen and crawl.node != dead]
    if not missing:
        return None
    due = missing[0]
    if due is theirs.crawls[0]:
        return f"At {due.begin:%H:%M} the lock is free, and nobody gets it."
    before = theirs.crawls[theirs.crawls.index(due) - 1]
    what = "ended with an error" if night.fails else "ended"
    why = f"the crawl of {before.due:%H:%M} {what} at {before.last_page:%H:%M}"
    if dead:
        why = f"A is dead, and its {held.seconds:,} s expired at {before.begin + held:%H:%M}"
    return f"At {due.begin:%H:%M} nobody crawls, because the lock is still held. But {why}."


class _WaitsError(Exception):
    """Raised in a job whose lock waits."""

    def __init__(self, node: str, at: datetime) -> None:
        super().__init__("the lock waits")
        self.node, self.at = node, at


def _play(
    own_lock: Any, night: Night, errors: Errors, *, apart: bool = False, ttl: int = TTL
) -> Played:
    """Play a night under a lock, on one Redis, or on one that each replica has for itself."""
    servers: dict[str, SimulatedRedis] = defaultdict(SimulatedRedis)

    async def job(crawl: Callable[[], Awaitable[int]]) -> None:
        client = _far_away(servers[current_node() if apart else ""].client())
        begun = datetime.now(KST)
        hangs = night is HUNG and current_node() == "A" and begun < FOUR
        try:
            async with asyncio.timeout(PATIENCE) as patience:
                async with own_lock(client, "lock:daily-nps-crawl", ttl):
                    patience.reschedule(None)
                    await crawl()
                    if hangs:
                        _hang_after_one_command(client)
        except Exception as error:  # noqa: BLE001 - raised again
            failure = _WaitsError(current_node(), begun) if patience.expired() else error
            if not isinstance(failure, LockedOutError | CrawlError):
                errors.append(failure)
            raise failure from None

    due = {"hour": "3,4", "minute": "0,45", "id": "daily-nps-crawl"}
    return night.play(lambda scheduler, crawl: scheduler.add_job(job, "cron", args=[crawl], **due))


def _far_away(client: Redis) -> Redis:
    """Let each command travel, so that two replicas can come between each other's commands."""
    execute: Callable[..., Awaitable[Any]] = client.execute_command

    async def execute_far_away(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(TRAVEL)
        answer = await execute(*arguments, **options)
        await asyncio.sleep(TRAVEL)
        return answer

    client.execute_command = execute_far_away  # type: ignore[method-assign]
    return client


def _hang_after_one_command(client: Redis) -> None:
    """Let the first command that gives the lock back pass, and keep each later one for a while.

    A:     03:49 GET, it is mine .......... (hangs) ..... 04:09 DEL       04:45 crawls
    lock:  03:50 A's is over   04:00 B's, until 04:50           gone
    """
    execute: Callable[..., Awaitable[Any]] = client.execute_command
    passed: list[object] = []

    async def execute_late(*arguments: Any, **options: Any) -> Any:
        if passed:
            await asyncio.sleep(20 * 60)
        passed.append(arguments)
        return await execute(*arguments, **options)

    client.execute_command = execute_late  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def _as_it_should_be(client: Redis, name: str, ttl: int) -> AsyncIterator[None]:
    lock = client.lock(name, timeout=ttl, blocking=False)
    if not await lock.acquire():
        raise LockedOutError(f"{name} is held by another run")
    try:
        yield
    finally:
        with contextlib.suppress(LockNotOwnedError):
            await lock.release()
