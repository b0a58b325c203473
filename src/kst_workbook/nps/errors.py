"""What data.go.kr answers when it does not answer: its error codes as exceptions.

The codes are those of the "OpenAPI error codes" table that data.go.kr prints in every service's
guide; a service answers them in its own envelope, the portal's gateway as XML.
"""

from __future__ import annotations

from typing import Final

from kst_scheduler.errors import KSTSchedulerError


class NpsError(KSTSchedulerError):
    """Base of every error of a crawl; ``code`` is data.go.kr's two-digit code, when it gave one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class QuotaExceededError(NpsError):
    """Raised when the day's calls are used up (code 22): every further call would be refused."""


class InvalidKeyError(NpsError):
    """Raised when the service key is unknown, expired, suspended, or not approved for this API."""


class InvalidRequestError(NpsError):
    """Raised when the service does not know the operation, or refuses a parameter."""


class NoDataError(NpsError):
    """Raised when the search matches no workplace at all: a crawl of nothing is a mistake."""


class NpsServiceError(NpsError):
    """Raised when the service reports an error of its own; no repair lies with the caller."""


class NpsReplyError(NpsError):
    """Raised when a reply is not what was asked for: no JSON, fields missing, rows missing."""


class NpsUnavailableError(NpsError):
    """Raised when no attempt got an answer: time-outs, broken connections, HTTP 5xx and 429."""


KEY_ADVICE: Final = "check NPS_SERVICE_KEY, and the state of your application at data.go.kr"

CODES: Final[dict[str, tuple[type[NpsError], str, str]]] = {
    "01": (NpsServiceError, "APPLICATION_ERROR", "run the crawl again later"),
    "02": (NpsServiceError, "DB_ERROR", "run the crawl again later"),
    "03": (NoDataError, "NODATA_ERROR", "check the settings' search"),
    "04": (NpsServiceError, "HTTP_ERROR", "run the crawl again later"),
    "05": (NpsServiceError, "SERVICETIMEOUT_ERROR", "run the crawl again later"),
    "10": (InvalidRequestError, "INVALID_REQUEST_PARAMETER_ERROR", "check the settings' search"),
    "11": (
        InvalidRequestError,
        "NO_MANDATORY_REQUEST_PARAMETERS_ERROR",
        "send the parameter that the operation requires",
    ),
    "12": (InvalidRequestError, "NO_OPENAPI_SERVICE_ERROR", "check NPS_BASE_URL"),
    "20": (InvalidKeyError, "SERVICE_ACCESS_DENIED_ERROR", KEY_ADVICE),
    "21": (InvalidKeyError, "TEMPORARILY_DISABLE_THE_SERVICEKEY_ERROR", KEY_ADVICE),
    "22": (
        QuotaExceededError,
        "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR",
        "the day's calls are used up; wait for the next day, or ask data.go.kr for more",
    ),
    "30": (InvalidKeyError, "SERVICE_KEY_IS_NOT_REGISTERED_ERROR", KEY_ADVICE),
    "31": (InvalidKeyError, "DEADLINE_HAS_EXPIRED_ERROR", KEY_ADVICE),
    "32": (InvalidKeyError, "UNREGISTERED_IP_ERROR", KEY_ADVICE),
    "33": (InvalidKeyError, "UNSIGNED_CALL_ERROR", KEY_ADVICE),
    "99": (NpsServiceError, "UNKNOWN_ERROR", "run the crawl again later"),
}
"""data.go.kr's code: the exception, the code's name there, and what to do about it."""


def error_for(code: str) -> NpsError:
    """Return the exception of one of data.go.kr's codes."""
    known = CODES.get(code)
    if known is None:
        return NpsServiceError(f"data.go.kr answered code {code}, which its guide lacks", code)
    kind, name, advice = known
    return kind(f"data.go.kr answered code {code}, {name}: {advice}", code)
