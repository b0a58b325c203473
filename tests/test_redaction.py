from __future__ import annotations

import pytest

from kst_scheduler.redaction import without_passwords


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://app:s3:cr=t@db/crawl", "postgresql://app:***@db/crawl"),
        ("redis://:secret@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        (
            "postgresql+asyncpg://a:b@h/x and redis://:c@h",
            "postgresql+asyncpg://a:***@h/x and redis://:***@h",
        ),
        ("https://example.org:8000/a?b=c@d", "https://example.org:8000/a?b=c@d"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
        ("no URL: a@b", "no URL: a@b"),
    ],
)
def test_only_passwords_go(text: str, clean: str) -> None:
    """The password of every URL is replaced, and nothing else is."""
    assert without_passwords(text) == clean


def test_any_object_will_do() -> None:
    """An exception can be given as it is."""
    assert without_passwords(OSError("redis://u:p@h is down")) == "redis://u:***@h is down"
