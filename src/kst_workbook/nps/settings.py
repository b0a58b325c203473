"""Where a crawl goes, with which key, and how patiently."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import httpx

from kst_scheduler.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BASE_PATH: Final = "/B552015/NpsBplcInfoInqireServiceV2"
REAL_BASE_URL: Final = f"https://apis.data.go.kr{BASE_PATH}"
SANDBOX_KEY: Final = "sandbox-key"
"""The key of the local sandbox, taken when NPS_BASE_URL leads elsewhere than to data.go.kr."""

MAX_DELAY: Final = 30.0


def exponential_delay(attempt: int) -> float:
    """Return the seconds to wait after failed attempt 1, 2, 3, ...: 1, 2, 4, ... and at most 30.

    There is no jitter, so that two runs are alike; pass ``delay=`` to add your own.
    """
    return float(min(2 ** (attempt - 1), MAX_DELAY))


@dataclass(frozen=True, kw_only=True)
class NpsSettings:
    """Everything that a crawl needs to know.

    Args:
        service_key: data.go.kr's key, the "Decoding" or the "Encoding" form of it. It is in no
            repr, log line or exception.
        base_url: the address up to and without the operation.
        search: further search parameters, such as ``{"ldongAddrMgplDgCd": "36"}`` for Sejong. All
            of Korea is about 594,000 rows a month: 5,940 calls of a day's 10,000, for one month.
        page_size: rows a call, ``numOfRows``.
        timeout: seconds for each call as a whole.
        attempts: how often each page is asked for at most; every attempt is a call of the quota.
        delay: seconds to wait after the first, second, ... failed attempt.
        transport: makes the httpx transport, once for each client.

    Raises:
        InvalidArgumentError: a value cannot be meant.

    """

    service_key: str = field(repr=False)
    base_url: str = REAL_BASE_URL
    search: Mapping[str, str] = field(default_factory=dict)
    page_size: int = 100
    timeout: float = 10.0
    attempts: int = 4
    delay: Callable[[int], float] = exponential_delay
    transport: Callable[[], httpx.AsyncBaseTransport] = httpx.AsyncHTTPTransport

    def __post_init__(self) -> None:
        # No message shows the address or the key: pasted into the wrong variable, one is the other.
        if not is_web_address(self.base_url):
            raise InvalidArgumentError(
                "base_url (NPS_BASE_URL) is not a plain http or https address, without user, "
                f"query and operation; write {REAL_BASE_URL}"
            )
        if not self.service_key.strip():
            raise InvalidArgumentError(
                "service_key (NPS_SERVICE_KEY) is empty; write the key that data.go.kr gave you"
            )
        for name, minimum in (("page_size", 1), ("attempts", 1)):
            if getattr(self, name) < minimum:
                raise InvalidArgumentError(
                    f"{name}={getattr(self, name)!r} asks for nothing; write {minimum} or more"
                )
        if not self.timeout > 0:
            raise InvalidArgumentError(
                f"timeout={self.timeout!r} leaves no time to answer; write seconds, such as 10"
            )

    @classmethod
    def from_environment(cls) -> NpsSettings:
        """Return the settings that NPS_BASE_URL and NPS_SERVICE_KEY ask for.

        Without NPS_BASE_URL the address is data.go.kr's, and a key is needed; any other address
        is taken for a sandbox, whose key is known.

        Raises:
            InvalidArgumentError: NPS_SERVICE_KEY is missing, or NPS_BASE_URL is not an address.

        """
        base_url = os.environ.get("NPS_BASE_URL", "").strip() or REAL_BASE_URL
        key = os.environ.get("NPS_SERVICE_KEY", "").strip()
        if not key and is_real(base_url):
            raise InvalidArgumentError(
                "NPS_SERVICE_KEY is not set, and the real service needs it; set it to your key "
                "from data.go.kr, or run `python -m kst_workbook.nps.server` and set "
                "NPS_BASE_URL to the address that it shows"
            )
        return cls(service_key=key or SANDBOX_KEY, base_url=base_url)

    def plain_key(self) -> str:
        """Return the key unquoted: httpx quotes it once, and "%2B" twice quoted is code 30."""
        return unquote(self.service_key.strip())


def is_web_address(address: str) -> bool:
    """Tell whether ``address`` is an http or https address with a host, a path and no more."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    plain = not (url.query or url.userinfo or url.fragment)
    return url.scheme in {"http", "https"} and bool(url.host) and plain


def is_real(base_url: str) -> bool:
    """Tell whether the address leads to data.go.kr itself."""
    return is_web_address(base_url) and httpx.URL(base_url).host == httpx.URL(REAL_BASE_URL).host


_in_use: list[NpsSettings] = []


def current_settings() -> NpsSettings:
    """Return what ``crawl_nps()`` uses by default: ``use_settings()``, else the environment."""
    return _in_use[-1] if _in_use else NpsSettings.from_environment()


@contextmanager
def use_settings(settings: NpsSettings) -> Iterator[NpsSettings]:
    """Let every ``crawl_nps()`` of this process use ``settings`` for a while.

    It holds for the whole process rather than for a context: the jobs of a scheduler, and still
    more those of a simulated one, run in contexts that the caller never sees. Such blocks nest.
    """
    _in_use.append(settings)
    try:
        yield settings
    finally:
        _in_use.pop()
