"""A local stand-in for the workplace API of data.go.kr: synthetic rows, its quota, its faults.

In a simulation it answers in-process; otherwise ``serve_sandbox()`` (in ``server``) or
``python -m kst_workbook.nps.server`` serves it on a loopback port. Its only clocks are the
``clock`` it is given and ``asyncio.sleep``; nothing runs in a thread.

It is simpler than the real service, or a guess: it lists one month, where users of the real one
report about twelve, newest first; it answers JSON only; its quota counts every call with the right
key and starts anew at midnight KST, which is common belief.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import httpx
from fastapi import FastAPI, Request, Response

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timezone import KST, require_aware
from kst_workbook.nps import responses
from kst_workbook.nps.client import SEARCH
from kst_workbook.nps.data import Workplaces, is_kept, published_month
from kst_workbook.nps.faults import Fault, Faults
from kst_workbook.nps.settings import BASE_PATH, SANDBOX_KEY, NpsSettings, use_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DETAIL: Final = "getDetailInfoSearchV2"
PERIOD: Final = "getPdAcctoSttusInfoSearchV2"
DAILY_QUOTA: Final = 10_000
"""Calls a day on a development key of data.go.kr."""

MAX_WORKPLACES: Final = 999_999
_WELL: Final = Fault("none")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


def korean_now() -> datetime:
    """Return what this process's clock says, as Korean time."""
    return datetime.now(KST)


class Sandbox:
    """The sandbox's state and rules; ``app`` is the FastAPI application that answers by them.

    faults: what goes wrong with the next calls. calls: how many came in with the right key, by
    Korean day, those refused for the quota included. quota may be changed at any time.
    """

    def __init__(
        self,
        workplaces: int,
        quota: int,
        service_key: str,
        seed: int,
        clock: Callable[[], datetime],
    ) -> None:
        self.quota = quota
        self.faults = Faults()
        self.calls: Counter[date] = Counter()
        self.app = FastAPI(openapi_url=None)
        self._service_key = service_key
        self._workplaces = Workplaces(workplaces, seed)
        self._clock = clock
        self._listed: tuple[str, list[tuple[dict[str, Any], str]]] = ("", [])

    def settings(self, **changes: Any) -> NpsSettings:
        """Return settings that reach this sandbox in-process, with the ``changes`` asked for."""
        settings = NpsSettings(
            service_key=self._service_key,
            base_url=f"http://sandbox.invalid{BASE_PATH}",
            transport=lambda: httpx.ASGITransport(app=self.app),
        )
        return replace(settings, **changes)

    def now(self) -> datetime:
        """Return the sandbox's own Korean time."""
        return require_aware(self._clock(), "clock()").astimezone(KST)

    async def answer(self, operation: str, query: Mapping[str, str]) -> Response:
        """Answer one call: key, then quota, then the fault that is due, then the operation."""
        try:
            now = self._admit(query)
            fault = self.faults.take() or _WELL
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            truncated = fault.kind == "truncated_page"
            return _broken(fault) or self._operate(operation, query, now, truncated=truncated)
        except _RefusedError as refusal:
            return responses.error(refusal.code)

    def _admit(self, query: Mapping[str, str]) -> datetime:
        """Check the key, count the call, and return the time at which it came in."""
        if query.get("serviceKey") != self._service_key:
            raise _RefusedError("30")
        now = self.now()
        self.calls[now.date()] += 1
        if self.calls[now.date()] > self.quota:
            raise _RefusedError("22")
        return now

    def _operate(
        self, operation: str, query: Mapping[str, str], now: datetime, *, truncated: bool
    ) -> Response:
        if operation not in {SEARCH, DETAIL, PERIOD}:
            raise _RefusedError("12")
        if query.get("dataType") != "json":
            raise _RefusedError("10")
        page, size = _number(query, "pageNo", 1), _number(query, "numOfRows", 10)
        found = (
            self._search(query, now) if operation == SEARCH else self._one(operation, query, now)
        )
        items = found[(page - 1) * size : page * size]
        return responses.rows(
            items[: len(items) // 2] if truncated else items, page, size, len(found)
        )

    def _search(self, query: Mapping[str, str], now: datetime) -> list[str]:
        name, region = query.get("wkplNm", ""), query.get("ldongAddrMgplDgCd", "")
        number = query.get("bzowrRgstNo", "")[:6]
        return [
            text
            for item, text in self._month(published_month(now))
            if name in item["wkplNm"]
            and region in {"", item["ldongAddrMgplDgCd"]}
            and item["bzowrRgstNo"].startswith(number)
        ]

    def _month(self, month: str) -> list[tuple[dict[str, Any], str]]:
        """Return the month's items, each with its JSON; the newest month is kept ready."""
        if self._listed[0] != month:
            items = (self._workplaces.basic(month, i) for i in range(self._workplaces.count))
            self._listed = (month, [(item, _json(item)) for item in items])
        return self._listed[1]

    def _one(self, operation: str, query: Mapping[str, str], now: datetime) -> list[str]:
        if not query.get("seq"):
            raise _RefusedError("11")
        located = self._workplaces.locate(_number(query, "seq", 0))
        if located is None or not is_kept(located[0], now):
            return []
        if operation == PERIOD and query.get("dataCrtYm", located[0]) != located[0]:
            return []
        answer = self._workplaces.detail if operation == DETAIL else self._workplaces.period
        return [_json(answer(*located))]


def create_sandbox(
    *,
    workplaces: int = 250,
    quota: int = DAILY_QUOTA,
    service_key: str = SANDBOX_KEY,
    seed: int = 0,
    clock: Callable[[], datetime] = korean_now,
) -> Sandbox:
    """Return a sandbox; ``.app`` is its FastAPI application.

    Args:
        workplaces: how many there are, at most 999,999.
        quota: calls a Korean day.
        service_key: the only key that it knows.
        seed: another seed, other workplaces.
        clock: returns an aware datetime. In a simulation the default reads the clock of the node
            that calls, its skew included.

    Raises:
        InvalidArgumentError: a number is out of range.

    """
    if not 0 <= workplaces <= MAX_WORKPLACES:
        raise InvalidArgumentError(
            f"workplaces={workplaces!r} is out of range; write 0 to {MAX_WORKPLACES:,}"
        )
    if quota < 0:
        raise InvalidArgumentError(f"quota={quota!r} is negative; write 0 or more calls a day")
    sandbox = Sandbox(workplaces, quota, service_key, seed, clock)

    @sandbox.app.get(BASE_PATH + "/{operation}")
    async def call(operation: str, request: Request) -> Response:
        return await sandbox.answer(operation, request.query_params)

    return sandbox


@contextmanager
def use_sandbox(sandbox: Sandbox | None = None) -> Iterator[Sandbox]:
    """Let every ``crawl_nps()`` of this process go to a sandbox, in-process, for a while."""
    sandbox = create_sandbox() if sandbox is None else sandbox
    with use_settings(sandbox.settings()):
        yield sandbox


class _RefusedError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _broken(fault: Fault) -> Response | None:
    """Return the answer that the fault puts in place of the right one, if it does."""
    if fault.kind.startswith("http_"):
        return responses.failure(int(fault.number))
    if fault.kind.startswith("code_"):
        return responses.error(fault.number)
    return responses.malformed() if fault.kind == "malformed_json" else None


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not _NUMBER.fullmatch(text):
        raise _RefusedError("10")
    return int(text)


def _json(item: dict[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))
