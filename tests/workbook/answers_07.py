"""Typical wrong answers to the exercises of notebook 07, and a part of what each is told."""

from __future__ import annotations

LOCK = """
import contextlib
import secrets

from kst_scheduler import LockedOutError


@contextlib.asynccontextmanager
async def own_lock(client, name, ttl):
    token = secrets.token_hex(16)
    if not await client.set(name, token, nx=True, px=ttl * 1000):
        raise LockedOutError(name)
    try:
        yield
    finally:
        if await client.get(name) == token.encode():
            await client.delete(name)
"""
"""Right but for its last two commands, between which the lock may run out."""
SET = "not await client.set(name, token, nx=True, px=ttl * 1000)"
TWO_STEPS = "not (await client.setnx(name, token) and await client.expire(name, ttl))"
GIVE_BACK = LOCK[LOCK.index("        if await client.get") :]
TRY = "    try:\n        yield\n    finally:\n"
WAITS = LOCK.replace("    if not await", "    while not await").replace(
    "raise LockedOutError(name)", "pass"
)
ONE_NAME = LOCK.replace("    token =", '    name = "lock"\n    token =').replace(
    GIVE_BACK,
    """\
        own = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
        await client.eval(own, 1, name, token)
""",
)
RIGHT = ONE_NAME.replace('    name = "lock"\n', "")
IN_A_TASK = "import asyncio\n" + RIGHT.replace(
    "await client.eval(own, 1, name, token)",
    "asyncio.create_task(client.eval(own, 1, name, token))",
)
UNCANCELLED = RIGHT.replace(
    "await client.eval(",
    "with contextlib.suppress(BaseException):\n            await client.eval(",
)
SWALLOWS = RIGHT.replace(
    "        yield\n", "        yield\n    except BaseException:\n        pass\n"
)
CANCELLED = SWALLOWS.replace("except BaseException", "except asyncio.CancelledError")
IN_MEMORY = """
import contextlib

from kst_scheduler import LockedOutError

held = set()


@contextlib.asynccontextmanager
async def own_lock(client, name, ttl):
    if name in held:
        raise LockedOutError(name)
    held.add(name)
    try:
        yield
    finally:
        held.discard(name)
"""

REGISTER = """
from datetime import timedelta

from kst_scheduler import MemoryLedger, current_occurrence, once

book, seen = MemoryLedger(), set()


def register(scheduler, crawl, ledger):
    scheduler.add_job(JOB, "cron", hour="3,4", id="nps")
"""
REMEMBERS = """

    async def job():
        if (key := current_occurrence().key) not in seen:
            seen.add(key)
            await crawl()

    scheduler.add_job(job,"""

HOLD = """
from kst_scheduler import LockedOutError


async def test_lock(own_lock, client):
    async def hold(seconds):
        async with own_lock(client, "lock:test", ttl=60):
            await asyncio.sleep(seconds)

    async def is_busy():
        try:
            await hold(0)
        except LockedOutError:
            return True
        return False

    first = asyncio.create_task(hold(90))
    await asyncio.sleep(50)
"""
"""How a test of a lock begins: the first holds it for longer than its ttl."""
SECOND = """
    await asyncio.sleep(20)
    second = asyncio.create_task(hold(45))
    await asyncio.sleep(30)
"""
BUSY = "    assert await is_busy()\n"
FREE = "    assert not await is_busy()\n"
LATER = "    await asyncio.sleep(20)\n"
FIRST_ENDS = "    await asyncio.wait([first])\n"
LOOKS_INTO_REDIS = """
async def test_lock(own_lock, client):
    async with own_lock(client, "lock:test", 60):
        assert 0 < await client.ttl("lock:test") <= 60
    assert not await client.exists("lock:test")
"""

WRONG = {
    "7.1": [
        (HOLD, "passes on a lock that keeps nobody out"),
        (LOOKS_INTO_REDIS, "passes on a lock that waits"),
        (HOLD + BUSY, "passes on a lock that never expires"),
        (HOLD.replace("(50)", "(0.01)") + BUSY + LATER.replace("20", "70") + FREE,
         "takes its `ttl` for milliseconds"),
        (HOLD + BUSY + SECOND + BUSY, "passes on a lock that is not released"),
        (HOLD + BUSY + LATER + FREE + FIRST_ENDS + FREE, "releases the lock of another"),
        (HOLD + FREE, "fails on a lock with a token, which is right"),
        (HOLD + "    await first\n" + FREE, "LockNotOwnedError"),
        (HOLD + "    await asyncio.Event().wait()\n", "not ended after 3 simulated hours"),
        (HOLD + "    return await is_busy()\n", "pytest looks at no result"),
        ("def test_lock(own_lock, client):\n    assert own_lock", "nobody can await that"),
        ("async def test_lock(lock):\n    assert lock", "called as `test_lock(own_lock, client)`"),
    ],
    "7.2": [
        ("ttl = 3600", "lock expires at 04:00. B crawls from 05:00"),
        ("ttl = 86_400", "is valid until Mon 03:00"),
        ("ttl = 30", "lock expires at 03:00"),
        ("ttl = 0.5", "from 1 to a year"),
        ('ttl = "3h"', "a str. Expected a number of seconds"),
    ],
    "7.3": [
        (LOCK.replace(GIVE_BACK, "        await client.delete(name)\n"), "it deleted that lock"),
        (LOCK, "A's connection hangs for 20 minutes"),
        (WAITS, "B finds the lock held at 03:00, and 1 second later your lock still waits"),
        (LOCK.replace("px=ttl * 1000", "px=3_000_000"), "a ttl of 1,500 seconds"),
        (IN_A_TASK, "nobody awaits the command that gives it back"),
        (UNCANCELLED, "A drain cancels a run while it gives your lock back"),
        (ONE_NAME, "While `lock:one` is held, nobody gets `lock:another`"),
        (LOCK.replace(", px=ttl * 1000", ""), "3,000 s expired at 03:50"),
        (LOCK.replace(SET, TWO_STEPS), "A dead between your first two commands"),
        (LOCK.replace("px=ttl * 1000", "px=ttl"), "until 04:35. Nevertheless A crawls from 04:00"),
        (LOCK.replace(SET, "await client.get(name)"), "B crawls from 03:00"),
        (LOCK.replace("raise LockedOutError(name)", "raise OSError(name)"), "`OSError("),
        (LOCK.replace(GIVE_BACK, "        pass\n"), "one replica. At 03:45 nobody crawls"),
        (LOCK.replace(TRY, "    yield\n    if True:\n"), "ended with an error"),
        (LOCK.replace("@contextlib.asynccontextmanager\n", ""), "takes no such thing"),
        (IN_MEMORY, "a Redis each"),
        (SWALLOWS, "A crawl raises `OSError` in the block of your lock, and the lock keeps it"),
        (f"import asyncio\n{CANCELLED}", "A crawl raises `CancelledError` in the block"),
        ("def own_lock(client, name): return client.lock(name)", "cannot be: too many"),
    ],
    "7.4": [
        (REGISTER.replace("JOB", "crawl"), "of 03:00 runs 3 times"),
        (REGISTER.replace("JOB", "once(ledger, lease=timedelta(hours=3))(crawl)"), "has not ended"),
        (REGISTER.replace("JOB", "once(book)(crawl)"), "holds 0 rows"),
        (REGISTER.replace("JOB", "once(ledger)(crawl)").replace("3,4", "*"), "due at 05:00"),
        (REGISTER.replace("JOB", "once(ledger)(crawl)").replace("3,4", "3"), "at 03:00 alone"),
        (REGISTER.replace("\n    scheduler.add_job(JOB,", REMEMBERS), "something in `seen`"),
        ("def register(scheduler, crawl, ledger): return once(ledger)(crawl)", "No job is due"),
    ],
}  # fmt: skip
