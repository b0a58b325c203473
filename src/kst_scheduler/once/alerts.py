"""Tell somebody of runs that did not happen: hooks for a Reconciler's ``on_missing``.

The URL of a webhook is often a secret in itself, and httpx writes the addresses it asks into its
log at INFO (encode/httpx, issue 2760). So httpx is told the host alone, and the rest is put in
below it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_extra
from kst_scheduler.timezone import KST

with require_extra("service", "webhook()"):
    import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kst_scheduler.ledger import LedgerRow

SECONDS: Final = 10.0
"""How long one alert may take in all."""

MAX_RUNS: Final = 100
"""How many runs one alert names; of more, the latest."""

_LOGGER: Final = logging.getLogger(__name__)


def webhook(url: str) -> Callable[[Sequence[LedgerRow]], Awaitable[None]]:
    """Return a hook that posts rows to ``url`` as JSON: ``text``, for people, and ``runs``.

    Chat services show the ``text``. ``runs`` has an object for each row: run (the occurrence's
    key), job_id, scheduled_at (ISO 8601, KST), status, reason, instance. An alert that cannot be
    delivered within 10 seconds, or is not answered by HTTP 2xx, is one line of the log at ERROR;
    it is not tried again, and nothing is raised.

    Example: ``Reconciler(scheduler, ledger, on_missing=webhook("https://chat.example/hooks/..."))``

    Raises:
        InvalidArgumentError: ``url`` is not a complete http or https URL.

    """
    address = _checked(url)

    async def post(rows: Sequence[LedgerRow]) -> None:
        failure = await _post(address, payload(rows))
        if failure:
            host = address.host
            _LOGGER.error("the alert to %s about %d run(s) failed: %s", host, len(rows), failure)

    return post


def payload(rows: Sequence[LedgerRow]) -> dict[str, Any]:
    """Return what an alert says about rows."""
    named = rows[-MAX_RUNS:]
    left_out = [f"({len(rows) - MAX_RUNS} more before)"] if len(rows) > MAX_RUNS else []
    lines = [f"{len(rows)} run(s) did not happen", *left_out, *map(_line, named)]
    return {"text": "\n".join(lines), "runs": list(map(_run, named))}


def _line(row: LedgerRow) -> str:
    moment = row.scheduled_at.astimezone(KST)
    return (
        f"{row.source} at {moment:%Y-%m-%d %H:%M:%S} KST: {row.status}, {row.error or 'no reason'}"
    )


def _run(row: LedgerRow) -> dict[str, Any]:
    return {
        "run": row.occurrence.key,
        "job_id": row.source,
        "scheduled_at": row.scheduled_at.astimezone(KST).isoformat(),
        "status": row.status,
        "reason": row.error,
        "instance": row.instance,
    }


async def _post(address: httpx.URL, body: dict[str, Any]) -> str | None:
    """Post a body; return why that failed, without the address."""
    auth = (address.username, address.password) if address.userinfo else None
    host = f"{address.scheme}://{address.netloc.decode()}"
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(transport=_Addressed(address), auth=auth, timeout=SECONDS) as client,
        ):
            response = await client.post(host, json=body)
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - an alert that fails must not fail anything else
        return type(error).__name__
    return None if response.is_success else f"HTTP {response.status_code}"


class _Addressed(httpx.AsyncBaseTransport):
    """Sends each request to one address, of which httpx itself knows the host only."""

    def __init__(self, address: httpx.URL) -> None:
        self._address = address
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                self._address,
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


def _checked(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        address = httpx.URL("")
    if address.scheme not in {"http", "https"} or not address.host:
        # The value is not repeated: it may be a secret.
        raise InvalidArgumentError(
            "webhook() needs a complete URL; write webhook('https://chat.example/hooks/...')"
        )
    return address
