"""Take passwords out of texts that are about to be logged, stored or shown."""

from __future__ import annotations

import re
from typing import Final

_PASSWORD: Final = re.compile(r"(?P<before>\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@:]*:)[^\s/@]+(?=@)")


def without_passwords(text: object) -> str:
    """Return the text with the password of each URL in it replaced by ``***``.

    Example: ``postgresql://app:secret@db:5432/crawl`` becomes ``postgresql://app:***@db:5432/crawl``.
    """
    return _PASSWORD.sub(r"\g<before>***", str(text))
