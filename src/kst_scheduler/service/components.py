"""The components of a service, started one after another and stopped in the opposite order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError, LedgerUnavailableError
from kst_scheduler.extras import are_installed, require_extra
from kst_scheduler.ledger import MemoryLedger, SqlLedger
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.redaction import without_passwords
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.service.jobs import call_jobs_function, jobs_function

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from procrastinate import App
    from redis.asyncio import Redis

    from kst_scheduler.ledger import Ledger
    from kst_scheduler.service.settings import Settings

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_ATTEMPTS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a jobs function is given to add its jobs with."""

    scheduler: KSTScheduler
    """Not started yet: it starts once the jobs have been added."""
    ledger: Ledger
    """Open; for ``once(service.ledger)``."""
    redis: Redis | None = None
    """A client of the Redis that REDIS_URL names, if it names one; for ``redis_lock``."""
    tasks: App | None = None
    """The queue for ``hand_off``, which connects when it is first used; None where DATABASE_URL is
    no PostgreSQL, or the extra ``distributed`` is not installed."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """Start a service; on leaving, let its runs end within ``drain_timeout``.

    Runs that are cut are named in the log, and have a row like any other.

    Raises:
        LedgerUnavailableError: the database stayed away for ``start_timeout``.
        LedgerVersionError: a newer version of this package wrote the ledger.
        InvalidArgumentError: the jobs, or an address, cannot be meant.

    """
    jobs_function(settings.jobs)  # before anything is opened
    async with opened(settings) as service:
        reconciler = _reconciler(service, settings)
        add_jobs(service, settings)
        try:
            async with reconciler:
                service.scheduler.start()
                yield service
        finally:
            await service.scheduler.drain(settings.drain_timeout)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Service]:
    """Open the components of a service, whose scheduler has no jobs yet and does not run."""
    async with (
        _redis(settings) as redis,
        _ledger(settings) as ledger,
        _tasks(settings) as tasks,
    ):
        yield Service(KSTScheduler(), ledger, redis, tasks)


def add_jobs(service: Service, settings: Settings) -> None:
    """Add the jobs, and warn where a name has added none: the service would wait, and look well."""
    call_jobs_function(jobs_function(settings.jobs), service)
    if isinstance(settings.jobs, str) and not service.scheduler.get_jobs():
        logger.warning("there are no jobs: --jobs %s has added none", settings.jobs)


def _reconciler(service: Service, settings: Settings) -> Reconciler:
    alert = None
    if settings.alert_url is not None:
        from kst_scheduler.once.alerts import webhook  # noqa: PLC0415 - httpx is slow to load

        with _named("KST_SCHEDULER_ALERT_URL"):
            alert = webhook(settings.alert_url.get_secret_value())
    return Reconciler(service.scheduler, service.ledger, on_missing=alert)


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[Redis | None]:
    """Yield a client, which connects when it is first used."""
    if settings.redis_url is None:
        yield None
        return
    with require_extra("redis", "the server of REDIS_URL"):
        from redis.asyncio import Redis  # noqa: PLC0415 - a service without Redis does not need it

    with _named("REDIS_URL"):
        client = Redis.from_url(settings.redis_url.get_secret_value())
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[Ledger]:
    ledger = _make_ledger(settings)
    try:
        await _open(ledger, settings.start_timeout)
        yield ledger
    finally:
        await ledger.close()


def _make_ledger(settings: Settings) -> Ledger:
    if settings.database_url is not None:
        with _named("DATABASE_URL"):
            url = settings.database_url.get_secret_value()
            return SqlLedger(url, namespace=settings.namespace)
    logger.warning(
        "DATABASE_URL is not set: the ledger is in memory, so it is lost at the end, "
        "and another process would run the same occurrences again"
    )
    return MemoryLedger()


@asynccontextmanager
async def _tasks(settings: Settings) -> AsyncIterator[App | None]:
    """Yield the queue, where there can be one."""
    app = None
    # Most services hand nothing off, and procrastinate is an extra, and slow to load.
    if is_postgresql(settings) and are_installed("procrastinate"):
        from kst_scheduler.distributed import task_app  # noqa: PLC0415

        assert settings.database_url is not None  # noqa: S101 - it is PostgreSQL's
        url = settings.database_url.get_secret_value()
        app = task_app(url, namespace=settings.namespace)
    try:
        yield app
    finally:
        if app is not None:
            await app.close_async()


def is_postgresql(settings: Settings) -> bool:
    """Return whether DATABASE_URL is the address of a PostgreSQL."""
    address = settings.database_url.get_secret_value() if settings.database_url else ""
    return address.partition(":")[0].partition("+")[0] in {"postgresql", "postgres"}


async def _open(ledger: Ledger, patience: float) -> None:
    """Open a ledger, again and again while its database is away."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        try:
            return await ledger.open()
        except LedgerUnavailableError as error:
            left = deadline - clock()
            if left <= 0:
                raise LedgerUnavailableError(
                    f"the ledger could not be opened within {patience:g} s; is DATABASE_URL "
                    f"right, and does the database run? {error}"
                ) from None
            logger.warning("%s; trying for another %.0f s", error, left)
        await asyncio.sleep(min(SECONDS_BETWEEN_ATTEMPTS, left))


@contextmanager
def _named(variable: str) -> Iterator[None]:
    """Name the variable whose address was refused."""
    try:
        yield
    except ValueError as error:
        raise InvalidArgumentError(f"{variable}: {without_passwords(error)}") from None
