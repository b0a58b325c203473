from __future__ import annotations

import pytest
from pydantic import SecretStr

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.service import Settings
from kst_scheduler.service.components import _make_ledger

GOOD_KEY = "0123456789abcdef"


def test_without_anything_it_is_the_nightly_crawl_with_its_ledger_in_memory() -> None:
    """Nothing has to be set, and nothing is open: there is no admin key."""
    settings = Settings()
    assert settings.jobs is None
    assert settings.admin_key is settings.database_url is settings.redis_url is None
    assert (settings.start_timeout, settings.drain_timeout) == (30, 20)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its variable, the two addresses without the prefix."""
    monkeypatch.setenv("KST_SCHEDULER_JOBS", "mine:jobs")
    monkeypatch.setenv("KST_SCHEDULER_ADMIN_KEY", GOOD_KEY)
    monkeypatch.setenv("KST_SCHEDULER_DRAIN_TIMEOUT", "1.5")
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hidden@db/crawl")
    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/0")
    settings = Settings()
    assert (settings.jobs, settings.drain_timeout) == ("mine:jobs", 1.5)
    assert settings.admin_key == SecretStr(GOOD_KEY)
    assert settings.database_url == SecretStr("postgresql://app:hidden@db/crawl")
    assert settings.redis_url == SecretStr("redis://cache:6379/0")


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it says that there is none."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/crawl")
    monkeypatch.setenv("KST_SCHEDULER_JOBS", "mine:jobs")
    settings = Settings(database_url=None, jobs=print)
    assert settings.database_url is None
    assert settings.jobs is print


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_an_empty_address_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As an unset variable of a compose file arrives."""
    monkeypatch.setenv(name, " ")
    assert getattr(Settings(), name.lower()) is None


def test_secrets_are_in_no_repr() -> None:
    """A settings object may be logged."""
    settings = Settings(
        admin_key=SecretStr(GOOD_KEY),
        database_url=SecretStr("postgresql://app:hidden@db/crawl"),
        redis_url=SecretStr("redis://:hidden@cache"),
        alert_url=SecretStr("https://hooks.invalid/hidden"),
    )
    for text in (repr(settings), str(settings)):
        assert "hidden" not in text
        assert GOOD_KEY not in text


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "it has 0 characters"),
        ("fifteen-letters", "it has 15 characters"),
        ("sixteen and a blank", "it has a blank or a character beyond ASCII"),
        ("열여섯자가넘는관리자열쇠입니다만", "it has a blank or a character beyond ASCII"),
        ("line-feed-at-the-end\n", "it has a blank or a character beyond ASCII"),
    ],
)
def test_a_weak_admin_key_is_refused(monkeypatch: pytest.MonkeyPatch, key: str, said: str) -> None:
    """An empty one does not mean that there is none; the message names the variable only."""
    monkeypatch.setenv("KST_SCHEDULER_ADMIN_KEY", key)
    with pytest.raises(InvalidArgumentError, match=f"^KST_SCHEDULER_ADMIN_KEY: {said}") as caught:
        Settings()
    assert not key or key not in str(caught.value)
    assert "openssl rand -hex 32" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KST_SCHEDULER_ADMINKEY", "KST_SCHEDULER_ADMIN_KEY"),
        ("KST_SCHEDULER_REDIS_URL", "REDIS_URL"),
        ("KST_SCHEDULER_DRAIN_TIMEOUTS", "KST_SCHEDULER_DRAIN_TIMEOUT"),
        ("kst_scheduler_job", "KST_SCHEDULER_JOBS"),
    ],
)
def test_a_misspelt_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    """With the nearest known one, and without its value."""
    monkeypatch.setenv(name, "what-it-holds")
    with pytest.raises(InvalidArgumentError, match=f"{name} is unknown; did you mean {meant}$"):
        Settings()


def test_a_variable_unlike_any_other_is_named_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is near, the message lists them."""
    monkeypatch.setenv("KST_SCHEDULER_XYZ", "1")
    with pytest.raises(InvalidArgumentError, match=r"XYZ is unknown; known are DATABASE_URL, KST_"):
        Settings()


def test_an_unknown_argument_is_named() -> None:
    """As for KSTScheduler's options."""
    with pytest.raises(InvalidArgumentError, match=r"no setting 'adminkey'; did you mean 'admin_k"):
        Settings(adminkey=GOOD_KEY)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REDIS_URL", "cache:hidden@6379", "it is no address"),
        ("DATABASE_URL", "hidden", "it is no address"),
        ("KST_SCHEDULER_START_TIMEOUT", "hidden", "valid number"),
        ("KST_SCHEDULER_START_TIMEOUT", "nan", "finite number"),
        ("KST_SCHEDULER_DRAIN_TIMEOUT", "-1", "greater than or equal to 0"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """The message names the variable; the value may be a password in the wrong place."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError, match=f"^{name}: .*{said}") as caught:
        Settings()
    assert "hidden" not in str(caught.value)


def test_a_namespace_reaches_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two services share a database, and each has its own part of it."""
    monkeypatch.setenv("KST_SCHEDULER_NAMESPACE", "billing")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///ledger.db")
    assert repr(_make_ledger(Settings())) == "SqlLedger('sqlite:///ledger.db', namespace='billing')"
    with pytest.raises(InvalidArgumentError, match="KST_SCHEDULER_NAMESPACE: namespace="):
        Settings(namespace="a\0b")
