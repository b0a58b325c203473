"""The responses of the sandbox, in the shapes of data.go.kr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from fastapi import Response

from kst_workbook.nps.errors import CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON: Final = "application/json"
GATEWAY_CODES: Final = frozenset({"12", "20", "21", "22", "30", "31", "32", "33"})
"""Answered by the portal's gateway, as XML even where JSON was asked for."""

_GATEWAY_ERROR: Final = (
    "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>"
    "<returnAuthMsg>{name}</returnAuthMsg><returnReasonCode>{code}</returnReasonCode>"
    "</cmmMsgHeader></OpenAPI_ServiceResponse>"
)


def rows(items: Sequence[str], page: int, size: int, total: int) -> Response:
    """Return a page of items, each of them JSON already."""
    listed = f'{{"item":[{",".join(items)}]}}' if items else '""'
    return Response(
        '{"response":{"header":{"resultCode":"00","resultMsg":"NORMAL_CODE"},"body":'
        f'{{"items":{listed},"pageNo":{page},"numOfRows":{size},"totalCount":{total}}}}}}}',
        media_type=JSON,
    )


def error(code: str) -> Response:
    """Return the answer that stands for one of data.go.kr's codes."""
    name = CODES[code][1] if code in CODES else "UNLISTED_ERROR"
    if code in GATEWAY_CODES:
        return Response(_GATEWAY_ERROR.format(name=name, code=code), media_type="application/xml")
    header = {"resultCode": code, "resultMsg": name}
    return Response(json.dumps({"response": {"header": header}}), media_type=JSON)


def failure(status: int) -> Response:
    """Return the gateway's plain text under an HTTP status."""
    return Response("Unexpected errors", status_code=status, media_type="text/plain")


def malformed() -> Response:
    """Return JSON that ends in the middle."""
    return Response('{"response":{"header":{"resultCode":"00"', media_type=JSON)
