"""From a reply's bytes to rows, or to the error that the reply stands for.

Three shapes are met: the service's JSON envelope (``response.header.resultCode``), the gateway's
``OpenAPI_ServiceResponse`` as XML or JSON, whatever was asked for, and the gateway's plain text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kst_workbook.nps.errors import (
    KEY_ADVICE,
    InvalidKeyError,
    InvalidRequestError,
    NpsError,
    NpsReplyError,
    NpsServiceError,
    NpsUnavailableError,
    error_for,
)

if TYPE_CHECKING:
    import httpx

BUSINESS_NUMBER_DIGITS: Final = 6
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500
CLIENT_ERROR: Final = 400

# A pattern rather than an XML parser: two tags are wanted, and entities need never be expanded.
_XML_CODE: Final = re.compile(rb"<(?:returnReasonCode|resultCode)>\s*([0-9]{1,4})\s*<")
_MONTH: Final = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])")


class Workplace(NamedTuple):
    """One row of the search: a workplace as it was in one month.

    month is the 자료생성년월 (YYYYMM).
    status: 1 (등록) or 2 (탈퇴). form: 1 (법인) or 2 (개인).
    """

    month: str
    seq: int
    name: str
    business_number: str
    """The first six digits: the service publishes no more."""
    status: str
    form: str
    address: str

    @property
    def key(self) -> tuple[str, int]:
        """The natural key to upsert by: month and seq."""
        return self.month, self.seq


class Page(NamedTuple):
    """The rows of one page, and how many rows the whole search has."""

    rows: list[Workplace]
    total: int


def is_month(value: object) -> bool:
    """Tell whether ``value`` is a 자료생성년월, such as "202604"."""
    return isinstance(value, str) and _MONTH.fullmatch(value) is not None


def read_page(response: httpx.Response, number: int, page_size: int) -> Page:
    """Return page ``number`` (from 1) of a search, complete.

    Raises:
        NpsError: the reply stands for an error, or is not a whole page.

    """
    body = _body(response)
    try:
        total = int(body["totalCount"])
        rows = [_workplace(item) for item in _items(body)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NpsReplyError(
            f"page {number} lacks a field that the service's guide promises, or has it garbled"
        ) from error
    due = max(0, min(page_size, total - (number - 1) * page_size))
    if len(rows) != due:
        raise NpsReplyError(
            f"page {number} has {len(rows)} rows where {due} of {total} were due; run the crawl "
            f"again, with a smaller page_size than {page_size} if it stays so"
        )
    return Page(rows, total)


def _body(response: httpx.Response) -> dict[str, Any]:
    """Return ``response.body`` of the envelope; every other reply is an error."""
    document = _json(response.content)
    code = _code(document, response.content)
    if response.status_code >= CLIENT_ERROR or code != "00":
        raise _error(response, code)
    body = document.get("response", {}).get("body")
    if not isinstance(body, dict):
        raise NpsReplyError("the reply has no response.body")
    return body


def _error(response: httpx.Response, code: str | None) -> NpsError:
    error = None if code in {None, "00"} else error_for(str(code))
    status = response.status_code
    if b"quota exceeded" in response.content.lower():
        return error_for("22")
    if (status >= SERVER_ERROR or status == TOO_MANY_REQUESTS) and (
        error is None or isinstance(error, NpsServiceError)
    ):
        return NpsUnavailableError(f"HTTP {status}", code)
    return error or _plain_error(response)


def _plain_error(response: httpx.Response) -> NpsError:
    """Return the error of a reply without a code. Its text is not shown: it may echo the key."""
    status = response.status_code
    if status in {401, 403}:
        return InvalidKeyError(f"data.go.kr answered HTTP {status}: {KEY_ADVICE}")
    if status == 404:  # noqa: PLR2004 - the gateway's "API not found"
        return InvalidRequestError("data.go.kr answered HTTP 404: check NPS_BASE_URL")
    kind = response.headers.get("content-type", "no content type")
    return NpsReplyError(
        f"HTTP {status} with {len(response.content)} bytes of {kind[:40]} is not the JSON "
        "that was asked for"
    )


def _json(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _code(document: dict[str, Any], content: bytes) -> str | None:
    """Return the code as two digits, "00" for success, or None where there is none."""
    envelope, gateway = document.get("response"), document.get("OpenAPI_ServiceResponse")
    if isinstance(envelope, dict):
        value = _field(envelope, "header", "resultCode")
    elif isinstance(gateway, dict):
        value = _field(gateway, "cmmMsgHeader", "returnReasonCode")
    else:
        found = None if document else _XML_CODE.search(content)
        value = found.group(1).decode() if found else ""
    return f"{int(value):02d}" if re.fullmatch("[0-9]{1,4}", value) else None


def _field(document: dict[str, Any], part: str, name: str) -> str:
    inner = document.get(part)
    return str(inner.get(name, "")).strip() if isinstance(inner, dict) else ""


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the items: a list, a lone item without a list, or "" where there are none."""
    items = body["items"] or {}
    item = items.get("item") or []
    return item if isinstance(item, list) else [item]


def _workplace(item: dict[str, Any]) -> Workplace:
    month = str(item["dataCrtYm"])
    if not is_month(month):
        raise ValueError(month)
    return Workplace(
        month=month,
        seq=int(item["seq"]),
        name=str(item["wkplNm"]),
        business_number=str(item["bzowrRgstNo"])[:BUSINESS_NUMBER_DIGITS],
        status=str(item["wkplJnngStcd"]),
        form=str(item["wkplStylDvcd"]),
        address=str(item.get("wkplRoadNmDtlAddr") or ""),
    )
