"""The statements of a ledger in a database: each a single one, each with bound parameters only.

They are built once; SQLAlchemy compiles each once for an engine, and asyncpg prepares it once for a
connection. A parameter whose name begins with ``seen_`` is part of a fence: what the caller saw.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from kst_scheduler.ledger.contract import LedgerRow
from kst_scheduler.ledger.history import FIELDS
from kst_scheduler.ledger.schema import RUNS, SOURCES, LedgerNow, Moment, lease_end

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

_INSERT: Final[dict[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_RUN: Final = RUNS.c
ROW: Final = tuple(_RUN[name] for name in LedgerRow.__dataclass_fields__)
"""The columns of a LedgerRow, in its order."""

_TRIAL_LENGTH: Final = 5_000

_FENCE: Final = and_(
    _RUN.id == bindparam("seen_id", type_=BigInteger),
    _RUN.attempt == bindparam("seen_attempt", type_=Integer),
)
_NAMESPACE: Final = bindparam("namespace", type_=Text)
_HERE: Final = _RUN.namespace == _NAMESPACE
# Literally, as in the index of what is running: no plan could use that for a parameter.
_RUNNING: Final = _RUN.status == literal_column("'running'", Text)
# It holds for each source. Without it SQLite reads all rows of the namespace for the running ones:
# it takes an index of which it knows one column for as good as another.
_OF_ANY_SOURCE: Final = _RUN.source >= literal_column("''", Text)
_OVER: Final = and_(_RUNNING, _RUN.lease_until <= LedgerNow())
# As LedgerRow.is_untimely: by the clock of this moment, whichever wrote the row.
_UNTIMELY: Final = and_(
    _RUN.status == "missed",
    or_(_RUN.written_at > LedgerNow(), _RUN.written_at < _RUN.scheduled_at),
)
_LEASE_AS_SEEN: Final = _RUN.lease_until.is_not_distinct_from(bindparam("seen_lease", type_=Moment))

OBSTACLES: Final = select(
    *ROW,
    (_RUN.lease_until <= LedgerNow()).label("lease_is_over"),
    (_RUN.token == bindparam("token", type_=Text)).label("is_same_claim"),
    _UNTIMELY.label("is_untimely"),
    _RUN.function,
).where(
    _HERE,
    _RUN.source == bindparam("source"),
    or_(
        and_(
            _RUN.scheduled_at == bindparam("scheduled_at"),
            _RUN.trigger == bindparam("trigger"),
        ),
        _RUNNING,
    ),
)
RETAKE: Final = (
    update(RUNS)
    .where(_FENCE, _RUN.status == bindparam("seen_status", type_=Text), _LEASE_AS_SEEN)
    .values(
        attempt=bindparam("attempt"),
        instance=bindparam("instance"),
        status="running",
        rows=null(),
        duration_ms=null(),
        error=bindparam("error"),
        claimed_at=bindparam("claimed_at"),
        lease_until=lease_end(),
        started_at=bindparam("claimed_at"),
        finished_at=null(),
        lost=_RUN.lost + bindparam("newly_lost", type_=Integer),
        token=bindparam("token"),
        function=bindparam("function"),
        written_at=null(),
    )
)
RENEW: Final = (
    update(RUNS).where(_FENCE, _RUNNING).values(lease_until=lease_end()).returning(_RUN.id)
)
_STATUS: Final = bindparam("status", type_=Text)
_FINISHED_AT: Final = bindparam("finished_at", type_=Moment)
FINISH: Final = (
    update(RUNS)
    .where(_FENCE, or_(_RUNNING, and_(_RUN.status == _STATUS, _RUN.finished_at == _FINISHED_AT)))
    .values(
        status=_STATUS,
        rows=bindparam("rows"),
        duration_ms=bindparam("duration_ms"),
        error=func.coalesce(bindparam("error", type_=Text), _RUN.error),
        lease_until=null(),
        started_at=case((_STATUS == "skipped", null()), else_=_RUN.started_at),
        finished_at=_FINISHED_AT,
    )
    .returning(_RUN.id)
)
NOW: Final = select(LedgerNow().label("now"))
ABANDONED: Final = select(*ROW).where(_HERE, _OF_ANY_SOURCE, _OVER).order_by(_RUN.id)
CLOSE: Final = (
    update(RUNS)
    .where(_FENCE, _OVER, _LEASE_AS_SEEN)
    .values(
        status="error",
        error=bindparam("error"),
        lease_until=null(),
        finished_at=_RUN.lease_until,
        lost=_RUN.lost + 1,
    )
    .returning(*ROW)
)
# FOR UPDATE keeps PostgreSQL from reading the batch more than once, and SKIP LOCKED lets another
# replica that deletes take the next one. SQLite has one writer, and no such clause.
_OLD: Final = (
    select(_RUN.id)
    .where(
        _HERE,
        _RUN.scheduled_at >= bindparam("since"),
        _RUN.scheduled_at < bindparam("before"),
        ~_RUNNING,
    )
    .order_by(_RUN.scheduled_at)
    .limit(bindparam("batch", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("old")
)
DELETE_OLD: Final = delete(RUNS).where(_RUN.id.in_(select(_OLD.c.id))).returning(_RUN.scheduled_at)
WATERMARK: Final = select(SOURCES.c.watermark).where(
    SOURCES.c.namespace == _NAMESPACE, SOURCES.c.source == bindparam("source")
)

RESET_WATERMARK: Final = (
    update(SOURCES)
    .where(
        SOURCES.c.namespace == bindparam("seen_namespace", type_=Text),
        SOURCES.c.source == bindparam("seen_source", type_=Text),
        SOURCES.c.watermark == bindparam("seen_until", type_=Moment),
    )
    .values(watermark=bindparam("until", type_=Moment))
)


def insert_claim(dialect: str) -> Any:
    """Return the insert that claims: it returns the id, or nothing when any row is in the way."""
    names = ("namespace", "source", "scheduled_at", "instance", "trigger", "claimed_at")
    values: dict[str, Any] = {name: bindparam(name) for name in (*names, "token", "function")}
    claim = _INSERT[dialect](RUNS).values(
        **values,
        attempt=1,
        status="running",
        lease_until=lease_end(),
        started_at=bindparam("claimed_at"),
    )
    return claim.on_conflict_do_nothing().returning(_RUN.id)


def insert_unclaimed(dialect: str) -> Any:
    """Return the insert of a row that did not run; it replaces one that is untimely."""
    names = ("namespace", "source", "scheduled_at", "instance", "trigger", "status", "error")
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    row = _INSERT[dialect](RUNS).values(attempt=0, **values, written_at=LedgerNow())
    replaced = ("instance", "status", "error", "written_at")
    return row.on_conflict_do_update(
        index_elements=[_RUN.namespace, _RUN.source, _RUN.scheduled_at, _RUN.trigger],
        set_={name: row.excluded[name] for name in replaced},
        where=_UNTIMELY,
    ).returning(*ROW)


def upsert_watermark(dialect: str) -> Any:
    """Return the write that moves a source's ``watermark`` on, and never back."""
    names = ("namespace", "source", "watermark")
    row = _INSERT[dialect](SOURCES).values({name: bindparam(name) for name in names})
    later = row.excluded.watermark
    return row.on_conflict_do_update(
        index_elements=[SOURCES.c.namespace, SOURCES.c.source],
        set_={"watermark": later},
        where=SOURCES.c.watermark < later,
    )


def trial(dialect: str) -> str:
    """Return a transaction that writes a row like that of a claim, and takes it back.

    Its id is random and below zero: it takes none from a run, and no two replicas wait for each
    other. Its text is longer than a page, so that a file which cannot grow fails it.
    """
    number = -1 - secrets.randbits(62)
    begin, commit = ("BEGIN IMMEDIATE;", "COMMIT;") if dialect == "sqlite" else ("", "")
    return (
        f"{begin} INSERT INTO {RUNS.name}"  # noqa: S608 - nothing in it comes from outside
        ' (id, source, scheduled_at, attempt, instance, status, "trigger", error)'
        f" VALUES ({number}, 'heartbeat {number}', CURRENT_TIMESTAMP, 0, 'heartbeat', 'skipped',"
        f" 'manual', '{'.' * _TRIAL_LENGTH}');"
        f" DELETE FROM {RUNS.name} WHERE id = {number}; {commit}"
    )


def select_rows(
    namespace: str,
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    status: str | None,
    before_id: int | None,
    limit: int | None,
) -> Select[Any]:
    """Return the query of ``Ledger.rows``; SQLAlchemy caches each form of it."""
    is_page = source is None and since is None and until is None and status != "running"
    filters = [
        *([_paged(namespace)] if is_page else _span(namespace, source, since, until)),
        *([_RUNNING, _OF_ANY_SOURCE] if status == "running" else []),
        *([] if status in {None, "running"} else [_RUN.status == status]),
        *([] if before_id is None else [_RUN.id < before_id]),
    ]
    return select(*ROW).where(*filters).order_by(_RUN.id.desc()).limit(limit)


def select_history(
    namespace: str, source: str | None, since: datetime | None, until: datetime | None
) -> Select[Any]:
    """Return the query of ``Ledger.history``."""
    return select(*(_RUN[name] for name in FIELDS)).where(*_span(namespace, source, since, until))


def _paged(namespace: str) -> ColumnElement[bool]:
    """Return the namespace's rows as a condition that no index serves.

    A page is read by the primary key, which has its order, up to its limit. By an index of the
    namespace, SQLite would read and sort all rows for it.
    """
    return func.coalesce(_RUN.namespace, "") == namespace


def _span(
    namespace: str, source: str | None, since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    return [
        _RUN.namespace == namespace,
        *([] if source is None else [_RUN.source == source]),
        *([] if since is None else [_RUN.scheduled_at >= since]),
        *([] if until is None else [_RUN.scheduled_at < until]),
    ]
