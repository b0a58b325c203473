from __future__ import annotations

import pytest

from kst_scheduler.errors import KSTSchedulerError
from kst_workbook.nps.errors import (
    CODES,
    InvalidKeyError,
    InvalidRequestError,
    NoDataError,
    NpsError,
    NpsServiceError,
    QuotaExceededError,
    error_for,
)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (NpsServiceError, {"01", "02", "04", "05", "99"}),
        (NoDataError, {"03"}),
        (InvalidRequestError, {"10", "11", "12"}),
        (QuotaExceededError, {"22"}),
        (InvalidKeyError, {"20", "21", "30", "31", "32", "33"}),
    ],
)
def test_each_code_has_its_exception(kind: type[NpsError], codes: set[str]) -> None:
    """data.go.kr's codes fall into five kinds, and no code is of two."""
    assert {code for code in CODES if type(error_for(code)) is kind} == codes


def test_one_except_clause_catches_them_all() -> None:
    """Every code's exception is an NpsError, and so one of this package's errors."""
    assert all(isinstance(error_for(code), NpsError) for code in CODES)
    assert issubclass(NpsError, KSTSchedulerError)


def test_a_message_names_code_name_and_repair() -> None:
    """The quota's message says what ran out and what to do."""
    error = error_for("22")
    assert error.code == "22"
    assert "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR" in str(error)
    assert "wait for the next day" in str(error)


def test_a_code_of_no_table_is_still_an_error() -> None:
    """A code that data.go.kr's guide lacks is reported with its number."""
    error = error_for("77")
    assert isinstance(error, NpsServiceError)
    assert "code 77" in str(error)
