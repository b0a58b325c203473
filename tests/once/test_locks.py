from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis
from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError

from in_loop import in_loop
from kst_scheduler.errors import (
    InvalidArgumentError,
    LeaseLostError,
    LockedOutError,
    MissingExtraError,
)
from kst_scheduler.once import locks
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Connect = Callable[[], Redis]

NAME = "lock:nps"


@pytest.fixture(params=["fakeredis", "valkey"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Return what makes a client of one and the same empty server: a stand-in, and a real one."""
    if request.param == "fakeredis":
        server = FakeServer()
        return lambda: FakeAsyncRedis(server=server)
    url: str = request.getfixturevalue("valkey_url")
    return lambda: Redis.from_url(url)


@in_loop
async def test_held_inside_and_free_afterwards(connect: Connect) -> None:
    """The key is there while the block runs, with its time to live, and gone when it ends."""
    async with connect() as client:
        async with redis_lock(NAME, ttl=30, client=client):
            assert 29_000 < await client.pttl(NAME) <= 30_000
        assert await client.exists(NAME) == 0


@in_loop
async def test_busy_lock_is_locked_out_at_once(connect: Connect) -> None:
    """The second one does not wait, is told which lock, and leaves the first one's lock alone."""
    async with connect() as client, connect() as other:
        async with redis_lock(NAME, ttl=30, client=client):
            with pytest.raises(LockedOutError, match="lock 'lock:nps' is held by another run"):
                async with redis_lock(NAME, ttl=30, client=other):
                    pytest.fail("two hold it")
            async with redis_lock("lock:other", ttl=30, client=other):
                pass
            assert await client.exists(NAME) == 1
        async with redis_lock(NAME, ttl=30, client=other):
            pass


@in_loop
async def test_lock_is_not_reentrant(connect: Connect) -> None:
    """The holder itself is locked out as well: each attempt has a token of its own."""
    async with connect() as client, redis_lock(NAME, ttl=30, client=client):
        with pytest.raises(LockedOutError):
            async with redis_lock(NAME, ttl=30, client=client):
                pytest.fail("held twice")
        assert await client.exists(NAME) == 1


@in_loop
async def test_waits_when_asked_to(connect: Connect) -> None:
    """With ``wait`` the second one gets the lock soon after the first one has let go."""
    async with connect() as client:
        task = asyncio.create_task(hold(client, seconds=0.3))
        await until_held(client)
        async with redis_lock(NAME, ttl=30, wait=timedelta(seconds=20), client=client):
            await task  # it has let go


@in_loop
async def test_waiting_has_an_end(connect: Connect) -> None:
    """After ``wait`` it is locked out all the same, and told how long it waited."""
    async with connect() as client, redis_lock(NAME, ttl=30, client=client):
        with pytest.raises(LockedOutError, match=r"held by another run, and was for 0\.15 s"):
            async with redis_lock(NAME, ttl=30, wait=0.15, client=client):
                pytest.fail("two hold it")


@in_loop
async def test_job_longer_than_the_time_to_live_keeps_its_lock(connect: Connect) -> None:
    """Renewals hold a lock of 1 s through a job of 2.5 s; nobody else gets it in between."""
    async with connect() as client, connect() as other:
        async with redis_lock(NAME, ttl=1, client=client):
            for _ in range(25):
                await asyncio.sleep(0.1)
                with pytest.raises(LockedOutError):
                    async with redis_lock(NAME, ttl=30, client=other):
                        pytest.fail("two hold it")
        assert await client.exists(NAME) == 0


@in_loop
async def test_stopped_when_another_has_the_lock(connect: Connect) -> None:
    """The next renewal finds another's token: the job is stopped, the other's lock stays."""
    async with connect() as client:
        task = asyncio.create_task(hold(client, ttl=0.6, seconds=30))
        await until_held(client)
        await client.set(NAME, "another's token")
        with pytest.raises(LeaseLostError, match="the lease of lock 'lock:nps' was lost"):
            await task
        assert await client.get(NAME) == b"another's token"


@in_loop
async def test_stopped_when_the_server_has_forgotten_the_lock(connect: Connect) -> None:
    """A server that came back empty is a lost lock, too."""
    async with connect() as client:
        task = asyncio.create_task(hold(client, ttl=0.6, seconds=30))
        await until_held(client)
        await client.flushall()
        with pytest.raises(LeaseLostError, match="another has it, or it is gone"):
            await task


@in_loop
async def test_lost_before_a_renewal_could_tell(connect: Connect) -> None:
    """A block that ended while another had the lock is told so; the other's lock stays."""
    async with connect() as client:
        with pytest.raises(LeaseLostError, match="no longer held when the work ended"):
            async with redis_lock(NAME, ttl=30, client=client):
                await client.set(NAME, "another's token")
        assert await client.get(NAME) == b"another's token"


@in_loop
async def test_blocked_event_loop_is_told_in_the_end(connect: Connect) -> None:
    """A block that lets nothing else run for longer than its lease has lost the lock."""

    async def blocked(client: Redis) -> None:
        async with redis_lock(NAME, ttl=30, client=client):
            await client.pexpire(NAME, 1)  # 29.999 s of the fault go by here
            time.sleep(0.01)  # noqa: ASYNC251 - the fault itself

    async with connect() as client:
        with pytest.raises(LeaseLostError, match="blocked for longer than ttl=30 s"):
            await blocked(client)


@in_loop
async def test_error_of_the_block_comes_out_and_frees_the_lock(connect: Connect) -> None:
    """An exception passes unchanged, LockedOutError and LeaseLostError included."""
    async with connect() as client:
        for error in (ValueError("its own"), LockedOutError("its own"), LeaseLostError("its own")):
            with pytest.raises(type(error), match="its own"):
                async with redis_lock(NAME, ttl=30, client=client):
                    raise error
            assert await client.exists(NAME) == 0


@in_loop
async def test_cancelled_block_frees_the_lock(connect: Connect) -> None:
    """A job that is cancelled leaves no lock behind."""
    async with connect() as client:
        task = asyncio.create_task(hold(client, seconds=30))
        await until_held(client)
        task.cancel("drained")
        with pytest.raises(asyncio.CancelledError, match="drained"):
            await task
        assert await client.exists(NAME) == 0


@in_loop
async def test_cancelled_while_acquiring(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that was granted, and whose answer was cut off by the cancellation, is given back."""
    async with connect() as client:
        really_set, granted = client.set, asyncio.Event()

        async def set_and_hang(*args: Any, **kwargs: Any) -> None:
            await really_set(*args, **kwargs)
            granted.set()
            await asyncio.sleep(30)

        monkeypatch.setattr(client, "set", set_and_hang)
        task = asyncio.create_task(hold(client))
        await granted.wait()
        assert await client.exists(NAME) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.exists(NAME) == 0


@pytest.mark.parametrize("times", [1, 2])
@in_loop
async def test_cancelled_while_releasing(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The release that is under way is brought to its end, and the cancellation raised then."""
    async with connect() as client:
        await hold(client)  # so that the server knows the script
        really_evalsha, releasing = client.evalsha, asyncio.Event()

        async def slowly(*args: Any) -> Any:
            releasing.set()
            await asyncio.sleep(0.1)
            return await really_evalsha(*args)

        monkeypatch.setattr(client, "evalsha", slowly)
        task = asyncio.create_task(hold(client))
        await releasing.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        if times > 1:  # whoever cancels again does not want to wait
            await everything_else_has_ended()
        assert await client.exists(NAME) == 0


@in_loop
async def test_granted_lock_whose_answer_was_lost_is_recognised(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py repeats a request whose answer was lost, and is refused its own lock."""
    async with connect() as client:
        really_set = client.set

        async def set_twice(*args: Any, **kwargs: Any) -> Any:
            await really_set(*args, **kwargs)
            return await really_set(*args, **kwargs)

        monkeypatch.setattr(client, "set", set_twice)
        async with redis_lock(NAME, ttl=30, client=client):
            assert await client.exists(NAME) == 1
        assert await client.exists(NAME) == 0


@in_loop
async def test_failed_release_is_logged_and_loses_no_result(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Redis being away at the end is a line in the log; the job's result or error is kept."""
    async with connect() as client:
        monkeypatch.setattr(client, "evalsha", unreachable)
        with caplog.at_level(logging.WARNING, "kst_scheduler.once.locks"):
            await hold(client)
        (line,) = caplog.messages
        assert "lock 'lock:nps' could not be released, and expires within 30 s: " in line
        assert "ConnectionError: Error 111 connecting to redis://app:***@db:6379" in line
        await client.delete(NAME)
        with pytest.raises(ValueError, match="its own"):
            async with redis_lock(NAME, ttl=30, client=client):
                raise ValueError("its own")


@in_loop
async def test_clients_that_decode_their_answers(connect: Connect) -> None:
    """``decode_responses=True`` makes no difference to the tokens that are compared."""
    async with connect() as client:
        client.connection_pool.connection_kwargs["decode_responses"] = True
        async with redis_lock(NAME, ttl=1.2, client=client):
            assert isinstance(await client.get(NAME), str)
            await asyncio.sleep(0.6)  # it has been renewed once
            with pytest.raises(LockedOutError):
                await hold(client)
        assert await client.exists(NAME) == 0


@in_loop
async def test_lock_leaves_no_key_without_a_time_to_live(connect: Connect) -> None:
    """Whatever is left of a lock expires by itself: no holder that dies locks for ever."""
    async with connect() as client, redis_lock(NAME, ttl=1.2, client=client):
        await asyncio.sleep(0.6)  # it has been renewed once
        for key in await client.keys():
            assert 0 < await client.pttl(key) <= 1200


@in_loop
async def test_client_from_the_environment(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a client, REDIS_URL says where the server is; the connection is closed at the end."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    async with Redis.from_url(valkey_url) as client:
        before = len(await client.client_list())
        async with redis_lock(NAME, ttl=30):
            assert await client.exists(NAME) == 1
            with pytest.raises(LockedOutError):
                async with redis_lock(NAME, ttl=30):
                    pytest.fail("two hold it")
        assert await client.exists(NAME) == 0

        async def closed() -> bool:
            return len(await client.client_list()) == before

        await until(closed)


@in_loop
async def test_server_that_hangs_stops_the_job_before_the_lock_expires(valkey_url: str) -> None:
    """A real server that answers nobody for 3 s: a job under a lease of 0.9 s is stopped."""
    async with Redis.from_url(valkey_url) as client, Redis.from_url(valkey_url) as other:
        stopped: list[float] = []

        async def work() -> None:
            async with redis_lock(NAME, ttl=0.9, client=client):
                await other.client_pause(3000)
                try:
                    await asyncio.sleep(30)
                finally:
                    stopped.append(time.monotonic())

        started = time.monotonic()
        with pytest.raises(LeaseLostError, match=r"not renewed for 0\.9 s; .* no answer in time"):
            await work()
        assert 0.9 <= stopped[0] - started < 3


@in_loop
async def test_server_that_hangs_for_a_moment_does_no_harm(valkey_url: str) -> None:
    """A real server that answers nobody for 0.5 s: a lease of 1.8 s outlives that."""
    async with Redis.from_url(valkey_url) as client, Redis.from_url(valkey_url) as other:
        async with redis_lock(NAME, ttl=1.8, client=client):
            await asyncio.sleep(0.5)  # the first renewal is due at 0.6
            await other.client_pause(500)
            await asyncio.sleep(2)
            assert await other.exists(NAME) == 1
        assert await other.exists(NAME) == 0


@in_loop
async def test_connections_that_are_cut_do_no_harm(valkey_url: str) -> None:
    """A real server that cuts all connections: the renewal and the release connect anew."""
    async with Redis.from_url(valkey_url) as client, Redis.from_url(valkey_url) as other:
        async with redis_lock(NAME, ttl=1, client=client):
            for _ in range(5):
                await other.client_kill_filter(_type="normal", skipme=True)
                await asyncio.sleep(0.25)
            # Each of them may be the one that a release is sent on.
            await asyncio.gather(*(client.ping() for _ in range(4)))
            await other.client_kill_filter(_type="normal", skipme=True)
        assert await other.exists(NAME) == 0


@in_loop
async def test_wrong_password_is_told_without_it(valkey_url: str) -> None:
    """A server that refuses the password: redis-py's own error, in which it does not stand."""
    address = urlsplit(valkey_url)
    retry = Retry(NoBackoff(), 0)
    async with Redis(port=address.port or 0, password="hunter2", retry=retry) as client:  # noqa: S106
        with pytest.raises(AuthenticationError) as caught:
            await hold(client)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", [None, ""])
def test_no_server_named(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    """Without a client and REDIS_URL the error says what to set."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    if url is not None:
        monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(InvalidArgumentError, match="set the environment variable REDIS_URL, such"):
        asyncio.run(hold(None))


@pytest.mark.parametrize("url", ["http://app:hunter2@db", "redis://:hunter2/9@db", "hunter2"])
def test_url_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A malformed REDIS_URL is refused, and neither it nor its password is repeated."""
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(InvalidArgumentError, match="write redis://:PASSWORD@HOST:6379/0") as caught:
        asyncio.run(hold(None))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name='' names no lock; write a key, such as 'lock:crawl'"),
        ({"name": b"x"}, "name=b'x' names no lock"),
        ({"ttl": 0}, "ttl=0 must be between 0.001 s and a year; write seconds, such as 30"),
        ({"ttl": -1.5}, "ttl=-1.5 must be"),
        ({"ttl": timedelta(0)}, r"ttl=datetime.timedelta\(0\) must be"),
        ({"ttl": float("nan")}, "ttl=nan must be"),
        ({"ttl": float("inf")}, "ttl=inf must be"),
        ({"ttl": 1e30}, r"ttl=1e\+30 must be"),
        ({"ttl": None}, "ttl=None is no time; write seconds or a timedelta"),
        ({"ttl": "30"}, "ttl='30' is no time"),
        ({"ttl": True}, "ttl=True is no time"),
        ({"wait": -1}, "wait=-1 must be between 0 s and a year"),
        ({"wait": float("inf")}, "wait=inf must be"),
        ({"wait": None}, "wait=None is no time"),
        ({"ttl": timedelta(days=366, seconds=1)}, "ttl=.* must be between 0.001 s and a year"),
    ],
)
def test_values_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    """A wrong name, ttl or wait is refused before anything is asked of the server."""

    async def lock() -> None:
        given = {"name": NAME, "ttl": 30, **arguments}
        async with redis_lock(**given, client=FakeAsyncRedis()):
            pytest.fail("held")

    with pytest.raises(InvalidArgumentError, match=f"^{message}"):
        asyncio.run(lock())


@in_loop
async def test_a_lock_may_last_a_leap_year() -> None:
    """The longest that makes sense."""
    client = FakeAsyncRedis()
    async with redis_lock(NAME, ttl=timedelta(days=366), client=client):
        assert await client.ttl(NAME) == 366 * 86_400


@pytest.mark.parametrize("client", [redis.Redis(password="hunter2"), "redis://:hunter2@db"])  # noqa: S106
def test_client_of_the_wrong_kind(client: Any) -> None:
    """A client that would block the loop, or is none, is named by its type alone."""
    with pytest.raises(
        InvalidArgumentError, match=r"^client= is a .*; write redis\.asyncio\.Redis"
    ) as e:
        asyncio.run(hold(client))
    assert "hunter2" not in str(e.value)


def test_without_the_package_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    for name in ("redis", "redis.asyncio"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kst-scheduler\[redis\]'"):
        asyncio.run(hold(None))


def test_redis_py_keeps_the_token_where_it_is_set() -> None:
    """redis-py's Lock still compares ``local.token``, which is not documented."""
    client = FakeAsyncRedis()

    async def look() -> None:
        lock = client.lock(NAME, timeout=30, blocking=False)
        lock.local.token = b"mine"
        await client.set(NAME, "mine")
        assert await lock.owned()
        await lock.reacquire()
        assert await client.pttl(NAME) > 0
        await lock.release()
        assert await client.exists(NAME) == 0
        assert await lock.acquire(token=b"next")
        assert lock.local.token == b"next"

    asyncio.run(look())


async def hold(client: Redis | None, ttl: float = 30, seconds: float = 0) -> None:
    """Hold the lock for some time."""
    async with redis_lock(NAME, ttl=ttl, client=client):
        await asyncio.sleep(seconds)


@in_loop
async def test_a_failover_cuts_no_command_of_another_task(valkey_url: str) -> None:
    """Only connections that nobody uses are closed: the others find out by themselves."""
    async with Redis.from_url(valkey_url) as client:
        pool: Any = client.connection_pool
        in_use = await pool.get_connection()
        answers: list[Exception | int] = [1, ReadOnlyError("You can't write against a replica")]

        async def command() -> int:
            answer = answers.pop()
            if isinstance(answer, Exception):
                raise answer
            return answer

        assert await locks._Lock(client, NAME, 30)._on_the_primary(command) == 1
        assert in_use.is_connected
        await pool.release(in_use)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so, and at most ten seconds."""
    async with asyncio.timeout(10):
        while not await is_so():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


async def until_held(client: Redis) -> None:
    """Wait until somebody holds the lock."""

    async def held() -> bool:
        return bool(await client.exists(NAME))

    await until(held)


async def unreachable(*_args: Any) -> None:
    """Stand in for a command that finds no server."""
    raise RedisConnectionError("Error 111 connecting to redis://app:secret@db:6379")


async def everything_else_has_ended() -> None:
    """Wait for every task but this one."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*others)


@pytest.mark.parametrize("when", ["before it is taken", "while it is held"])
@in_loop
async def test_a_failover_heals_by_itself(when: str) -> None:
    """The pooled connection is on a server that became a replica; a new one is on the primary."""
    with EmbeddedServer(Valkey()) as old, EmbeddedServer(Valkey()) as new:
        client = Redis.from_url(old.url, retry=Retry(NoBackoff(), 0))

        async def fail_over() -> None:
            """Make a replica of the old primary, and let its name lead to the new one."""
            admin: Any = Redis.from_url(old.url)
            async with admin:
                await admin.replicaof("127.0.0.1", "1")
            pool: Any = client.connection_pool
            pool.connection_kwargs["port"] = port = urlsplit(new.url).port
            for connection in pool._available_connections:
                connection.port = port

        async with client, Redis.from_url(new.url) as other:
            await other.config_set("requirepass", urlsplit(old.url).password or "")
            await client.ping()
            if when == "before it is taken":
                await fail_over()
            async with redis_lock(NAME, ttl=0.6, client=client):
                if when == "while it is held":
                    async with Redis.from_url(old.url) as replicated:
                        token = await replicated.get(NAME)
                    assert token is not None
                    await other.set(NAME, token, px=600)
                    await fail_over()
                await asyncio.sleep(0.7)  # it is renewed meanwhile
                assert await other.exists(NAME) == 1
            assert await other.exists(NAME) == 0
