from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.nps.settings import (
    REAL_BASE_URL,
    SANDBOX_KEY,
    NpsSettings,
    current_settings,
    exponential_delay,
    use_settings,
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NPS_BASE_URL", raising=False)
    monkeypatch.delenv("NPS_SERVICE_KEY", raising=False)


def test_the_key_alone_leads_to_the_real_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """NPS_SERVICE_KEY is all that the real service needs."""
    monkeypatch.setenv("NPS_SERVICE_KEY", "mine")
    assert NpsSettings.from_environment() == NpsSettings(
        service_key="mine", base_url="https://apis.data.go.kr/B552015/NpsBplcInfoInqireServiceV2"
    )


def test_the_real_service_without_a_key_is_refused() -> None:
    """The message names the variable, and the way to do without a key."""
    with pytest.raises(InvalidArgumentError, match=r"NPS_SERVICE_KEY is not set.*nps\.server"):
        NpsSettings.from_environment()


def test_the_real_service_named_by_hand_needs_the_key_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's key is never sent to data.go.kr."""
    monkeypatch.setenv("NPS_BASE_URL", REAL_BASE_URL.replace("https://apis", "http://APIS"))
    with pytest.raises(InvalidArgumentError, match="NPS_SERVICE_KEY is not set"):
        NpsSettings.from_environment()


def test_another_address_is_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NPS_BASE_URL elsewhere, the sandbox's key is taken."""
    monkeypatch.setenv("NPS_BASE_URL", "http://127.0.0.1:8000/x")
    settings = NpsSettings.from_environment()
    assert (settings.base_url, settings.service_key) == ("http://127.0.0.1:8000/x", SANDBOX_KEY)


@pytest.mark.parametrize(
    "address",
    [
        "apis.data.go.kr",
        "ftp://apis.data.go.kr",
        "http://",
        "http://host:port",
        "MYSECRET",
        "https://apis.data.go.kr/x?serviceKey=MYSECRET",
        "https://me:MYSECRET@apis.data.go.kr/x",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(address: str) -> None:
    """A key pasted into the address comes back in no message."""
    with pytest.raises(InvalidArgumentError, match="not a plain http") as caught:
        NpsSettings(service_key="k", base_url=address)
    assert "MYSECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"service_key": " "}, "NPS_SERVICE_KEY.* is empty"),
        ({"page_size": 0}, "page_size=0 asks for nothing; write 1"),
        ({"attempts": 0}, "attempts=0 asks for nothing; write 1"),
        ({"timeout": 0}, "timeout=0 leaves no time"),
        ({"timeout": float("nan")}, "timeout=nan leaves no time"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(change: dict[str, Any], message: str) -> None:
    """Each message names the value and what to write."""
    with pytest.raises(InvalidArgumentError, match=message):
        NpsSettings(**{"service_key": "k", **change})


def test_both_forms_of_the_key_are_one_key() -> None:
    """data.go.kr hands out the key plain and quoted; both are sent alike, quoted once."""
    plain = "AbC+d/Ef123=="
    quoted = "AbC%2Bd%2FEf123%3D%3D"
    assert NpsSettings(service_key=quoted).plain_key() == plain
    assert NpsSettings(service_key=f" {plain}\n").plain_key() == plain


def test_the_delays_double_up_to_half_a_minute() -> None:
    """The waits are 1, 2, 4, 8, 16 and then 30 seconds, without jitter."""
    assert [exponential_delay(attempt) for attempt in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert exponential_delay(10_000) == 30


def test_settings_in_use_go_before_the_environment_and_nest() -> None:
    """use_settings() holds inside its block only, also when the block fails."""
    outer, inner = NpsSettings(service_key="outer"), NpsSettings(service_key="inner")
    with use_settings(outer):
        with suppress(RuntimeError), use_settings(inner):
            assert current_settings() is inner
            raise RuntimeError
        assert current_settings() is outer
    with pytest.raises(InvalidArgumentError, match="NPS_SERVICE_KEY"):
        current_settings()
