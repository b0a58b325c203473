from __future__ import annotations

from typing import Any

import httpx
import pytest

from kst_workbook.nps.errors import (
    InvalidKeyError,
    InvalidRequestError,
    NpsError,
    NpsReplyError,
    NpsServiceError,
    NpsUnavailableError,
    QuotaExceededError,
)
from kst_workbook.nps.replies import Workplace, is_month, read_page

ITEM = {
    "bzowrRgstNo": "123456****",
    "dataCrtYm": "202604",
    "seq": 7,
    "wkplJnngStcd": "1",
    "wkplNm": "가상제조 0001",
    "wkplRoadNmDtlAddr": "가상시 견본로 1",
    "wkplStylDvcd": "2",
}
GATEWAY_XML = (
    "<OpenAPI_ServiceResponse>\n<cmmMsgHeader>\n<errMsg>SERVICE ERROR</errMsg>\n"
    "<returnAuthMsg>ANY_NAME</returnAuthMsg>\n<returnReasonCode>{}</returnReasonCode>\n"
    "</cmmMsgHeader>\n</OpenAPI_ServiceResponse>"
)


def envelope(items: Any, total: Any, code: Any = "00") -> dict[str, Any]:
    """Return the service's envelope around the items."""
    body = {"items": items, "pageNo": 1, "numOfRows": 10, "totalCount": total}
    return {"response": {"header": {"resultCode": code, "resultMsg": "any"}, "body": body}}


def error_of(response: httpx.Response) -> NpsError:
    """Return the error that the reply stands for."""
    with pytest.raises(NpsError) as caught:
        read_page(response, 1, 10)
    return caught.value


def test_a_row_is_read_into_its_fields() -> None:
    """The business number keeps its six published digits."""
    page = read_page(httpx.Response(200, json=envelope({"item": [ITEM]}, 1)), 1, 10)
    assert page == (
        [Workplace("202604", 7, "가상제조 0001", "123456", "1", "2", "가상시 견본로 1")],
        1,
    )
    assert page.rows[0].key == ("202604", 7)


def test_a_full_business_number_is_cut_to_six_digits() -> None:
    """Even if the service published more, no more is kept."""
    item = {**ITEM, "bzowrRgstNo": "1234567890"}
    page = read_page(httpx.Response(200, json=envelope({"item": item}, "1")), 1, 10)
    assert page.rows[0].business_number == "123456"


@pytest.mark.parametrize("code", ["00", "0", 0, "0000", " 00 "])
def test_success_has_several_spellings(code: Any) -> None:
    """data.go.kr's services do not agree on how many zeros mean success."""
    response = httpx.Response(200, json=envelope({"item": [ITEM]}, 1, code))
    assert len(read_page(response, 1, 10).rows) == 1


@pytest.mark.parametrize("items", ["", {}, None, {"item": ""}, {"item": []}])
def test_an_empty_page_has_several_shapes(items: Any) -> None:
    """No items may be an empty string, an empty object, or null."""
    assert read_page(httpx.Response(200, json=envelope(items, 0)), 1, 10) == ([], 0)


@pytest.mark.parametrize("status", [200, 403, 500])
@pytest.mark.parametrize("code", ["22", "30", "12"])
def test_the_gateways_xml_is_understood(code: str, status: int) -> None:
    """The gateway answers XML where JSON was asked for, under any status."""
    response = httpx.Response(status, text=GATEWAY_XML.format(code))
    kinds = {"22": QuotaExceededError, "30": InvalidKeyError, "12": InvalidRequestError}
    error = error_of(response)
    assert (type(error), error.code) == (kinds[code], code)


def test_the_gateways_json_is_understood() -> None:
    """The same header comes as JSON, too."""
    header = {"errMsg": "SERVICE ERROR", "returnReasonCode": "30"}
    response = httpx.Response(403, json={"OpenAPI_ServiceResponse": {"cmmMsgHeader": header}})
    assert isinstance(error_of(response), InvalidKeyError)


def test_the_services_own_xml_is_understood() -> None:
    """A service that answers its error as XML names it resultCode."""
    text = "<response><header><resultCode>99</resultCode></header></response>"
    error = error_of(httpx.Response(200, text=text))
    assert (type(error), error.code) == (NpsServiceError, "99")


def test_a_longer_code_is_not_cut_to_success() -> None:
    """Code 100 is an error, though it ends in 00."""
    assert error_of(httpx.Response(200, json=envelope("", 0, "100"))).code == "100"


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (401, "Unauthorized", InvalidKeyError),
        (403, "Forbidden", InvalidKeyError),
        (404, "API not found", InvalidRequestError),
        (429, "API rate limit exceeded", NpsUnavailableError),
        (429, "API token quota exceeded", QuotaExceededError),
        (200, "API token quota exceeded", QuotaExceededError),
        (500, "Unexpected errors", NpsUnavailableError),
        (503, "", NpsUnavailableError),
        (418, "", NpsReplyError),
        (302, "", NpsReplyError),
    ],
)
def test_the_gateways_plain_text_is_understood(
    status: int, text: str, kind: type[NpsError]
) -> None:
    """The gateway also answers plain text under an HTTP status, without a code."""
    assert type(error_of(httpx.Response(status, text=text))) is kind


def test_the_services_own_trouble_under_http_500_may_pass() -> None:
    """A 5xx with one of the service's own codes is worth another attempt, unlike with HTTP 200."""
    trouble = envelope("", 0, "05")
    assert type(error_of(httpx.Response(500, json=trouble))) is NpsUnavailableError
    assert type(error_of(httpx.Response(200, json=trouble))) is NpsServiceError


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "<html>", '{"response": 1}', '{"response": {}}', "[" * 100_000, "7"],
)
def test_what_is_no_answer_is_refused(text: str) -> None:
    """Neither nonsense nor an empty envelope passes for a page without rows."""
    with pytest.raises(NpsReplyError, match="not the JSON that was asked for"):
        read_page(httpx.Response(200, text=text), 1, 10)


def test_a_reply_of_success_without_a_body_is_refused() -> None:
    """A header alone, though of success, is no page."""
    with pytest.raises(NpsReplyError, match=r"no response\.body"):
        read_page(httpx.Response(200, json={"response": {"header": {"resultCode": "00"}}}), 1, 10)


@pytest.mark.parametrize(
    ("items", "total"),
    [
        ({"item": [{**ITEM, "dataCrtYm": "2026-4"}]}, 1),
        ({"item": [{**ITEM, "dataCrtYm": "202613"}]}, 1),
        ({"item": [{**ITEM, "seq": "x"}]}, 1),
        ({"item": [{"seq": 1}]}, 1),
        ({"item": ["row"]}, 1),
        ("rows", 1),
        ({"item": [ITEM]}, "many"),
        ({"item": [ITEM]}, None),
    ],
)
def test_a_garbled_page_is_refused(items: Any, total: Any) -> None:
    """A field that is missing or garbled ends the crawl, rather than leaving a hole."""
    with pytest.raises(NpsReplyError, match="page 1 lacks a field"):
        read_page(httpx.Response(200, json=envelope(items, total)), 1, 10)


@pytest.mark.parametrize(("number", "due"), [(1, 10), (2, 2), (3, 0)])
def test_a_page_must_have_the_rows_that_are_due(number: int, due: int) -> None:
    """Of 12 rows in pages of 10, page 2 has two; one more or less is refused."""
    whole = httpx.Response(200, json=envelope({"item": [ITEM] * due}, 12))
    assert len(read_page(whole, number, 10).rows) == due
    other = httpx.Response(200, json=envelope({"item": [ITEM] * (due + 1)}, 12))
    with pytest.raises(NpsReplyError, match=f"page {number} has {due + 1} rows where {due} of 12"):
        read_page(other, number, 10)


def test_the_text_of_an_unknown_reply_is_not_shown() -> None:
    """An error page may echo the address, and the key with it."""
    error = error_of(httpx.Response(200, text="you asked for ?serviceKey=MYSECRET"))
    assert "MYSECRET" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    ("value", "month"),
    [("202604", True), ("202600", False), ("2026-04", False), (202604, False), ("202604\n", False)],
)
def test_a_month_is_six_digits(value: object, month: bool) -> None:
    """자료생성년월 is written YYYYMM."""
    assert is_month(value) is month
