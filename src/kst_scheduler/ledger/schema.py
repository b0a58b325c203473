"""The tables of a ledger in a database: how they look, how they are made, and their version."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn
from sqlalchemy.sql.functions import FunctionElement

from kst_scheduler.errors import InvalidArgumentError, LedgerVersionError
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

VERSION: Final = 3
"""The version of the schema that this package writes; it upgrades those before it."""


class Moment(TypeDecorator[datetime]):
    """An aware time: timestamptz in PostgreSQL; in SQLite text of one length, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the value as the driver takes it."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the driver's value, which is in UTC, as such."""
        return value and value.replace(tzinfo=UTC)


class LedgerNow(FunctionElement[datetime]):
    """The ledger's own clock: the server's for PostgreSQL, the host's for SQLite."""

    type = Moment()
    inherit_cache = True


class LeaseEnd(FunctionElement[datetime]):
    """The moment of the ledger's clock at which a lease of so many seconds is over."""

    type = Moment()
    inherit_cache = True


@compiles(LedgerNow)
def _now(_element: LedgerNow, _compiler: SQLCompiler, **_: Any) -> str:
    return "clock_timestamp()"  # now() would be the time at which the transaction began


@compiles(LeaseEnd)
def _lease_end(element: LeaseEnd, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"clock_timestamp() + make_interval(secs => {seconds})"


@compiles(LedgerNow, "sqlite")
def _now_sqlite(_element: LedgerNow, _compiler: SQLCompiler, **_: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"  # %f is in milliseconds, Moment in micro


@compiles(LeaseEnd, "sqlite")
def _lease_end_sqlite(element: LeaseEnd, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.6f seconds', {seconds}))"


def lease_end() -> LeaseEnd:
    """Return the end of a lease of as many seconds as the parameter ``lease`` says."""
    return LeaseEnd(bindparam("lease", type_=Float))


METADATA: Final = MetaData()

RUNS: Final = Table(
    "crawl_runs",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("source", Text, nullable=False),
    Column("scheduled_at", Moment, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("instance", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("rows", BigInteger),
    Column("duration_ms", BigInteger),
    Column("error", Text),
    Column("trigger", Text, nullable=False),
    Column("claimed_at", Moment),
    Column("lease_until", Moment),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("token", Text),
    Column("namespace", Text, nullable=False, server_default=""),
    Column("written_at", Moment),
    Column("function", Text),
    sqlite_autoincrement=True,  # an id that is used again could be mistaken for a claim
)
SOURCES: Final = Table(
    "crawl_sources",
    METADATA,
    Column("namespace", Text, primary_key=True, server_default=""),
    Column("source", Text, primary_key=True),
    Column("watermark", Moment, nullable=False),
)
SCHEMA: Final = Table("crawl_schema", METADATA, Column("version", Integer, nullable=False))

# Each occurrence once: a manual run's microseconds are its own key.
_OCCURRENCE: Final = Index(
    "crawl_runs_occurrence",
    *(RUNS.c.namespace, RUNS.c.source, RUNS.c.scheduled_at, RUNS.c.trigger),
    unique=True,
)
_RUNNING: Final = text("status = 'running'")
# No overlap; and the few rows that are running are found at once.
_RUNNING_ROW: Final = Index(
    "crawl_runs_running",
    *(RUNS.c.namespace, RUNS.c.source),
    unique=True,
    sqlite_where=_RUNNING,
    postgresql_where=_RUNNING,
)
# What is old, and what is shown of some days. Namespace and time in one index: given each alone,
# SQLite takes the namespace, and reads all of its rows.
_TIMES: Final = Index("crawl_runs_times", RUNS.c.namespace, RUNS.c.scheduled_at)

LOCKS: Final = {
    "sqlite": ("BEGIN IMMEDIATE",),
    # Any number that others are unlikely to lock: the letters of "kst-led".
    "postgresql": ("BEGIN", f"SELECT pg_advisory_xact_lock({int.from_bytes(b'kst-led')})"),
}
"""What begins a transaction in which nobody else creates the tables."""


def is_current(connection: Connection, where: str) -> bool:
    """Return whether the tables are there, and of this version.

    Raises:
        LedgerVersionError: a newer version of this package made them.

    """
    return _version(connection, where) == VERSION


def create_or_upgrade(connection: Connection, where: str) -> None:
    """Create the tables, or add what an older version lacks, unless another process has done so.

    All of it is one transaction: the tables are of one version or the other. Processes of the older
    version, which looked at the version when they started, still claim and finish runs; only their
    looks fail.

    Raises:
        InvalidArgumentError: there is a table of the same name that no ledger made.

    """
    for statement in LOCKS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    version = _version(connection, where)
    if version is None:
        _create(connection, where)
    else:
        _upgrade(connection, version)
    connection.exec_driver_sql("COMMIT")


def _version(connection: Connection, where: str) -> int | None:
    if not inspect(connection).has_table(SCHEMA.name):
        return None
    version: int | None = connection.scalar(select(func.max(SCHEMA.c.version)))
    if version is not None and version > VERSION:
        raise LedgerVersionError(
            f"the ledger in {where} has the schema version {version}, and this kst-scheduler knows "
            f"versions up to {VERSION}; update the package"
        )
    return version


def _create(connection: Connection, where: str) -> None:
    if inspect(connection).has_table(RUNS.name):
        raise InvalidArgumentError(
            f"{where} has a table {RUNS.name} that no ledger made; rename it, or give the "
            "ledger a database of its own"
        )
    METADATA.create_all(connection)
    connection.execute(insert(SCHEMA).values(version=VERSION))


def _upgrade(connection: Connection, version: int) -> None:
    if version < 2:  # noqa: PLR2004 - the first version: each service had a database of its own
        _add(connection, RUNS.c.lost, RUNS.c.token, RUNS.c.namespace, RUNS.c.written_at)
        for index in (_OCCURRENCE, _RUNNING_ROW):
            index.drop(connection)
            index.create(connection)
        connection.exec_driver_sql(f"ALTER TABLE {SOURCES.name} RENAME TO {SOURCES.name}_1")
        SOURCES.create(connection)
        connection.exec_driver_sql(
            f"INSERT INTO {SOURCES.name} (source, watermark) "  # noqa: S608 - our own names
            f"SELECT source, watermark FROM {SOURCES.name}_1"
        )
        connection.exec_driver_sql(f"DROP TABLE {SOURCES.name}_1")
    if version < 3:  # noqa: PLR2004 - the second version: each look read all rows of a namespace
        _add(connection, RUNS.c.function)
        connection.exec_driver_sql("DROP INDEX crawl_runs_scheduled_at")
        _TIMES.create(connection)
    connection.execute(update(SCHEMA).values(version=VERSION))


def _add(connection: Connection, *columns: Column[Any]) -> None:
    for column in columns:
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {RUNS.name} ADD COLUMN {definition}")
