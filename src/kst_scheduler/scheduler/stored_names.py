"""Names that every ledger can hold: job ids, instances, namespaces."""

from __future__ import annotations

import re
from typing import Final

from kst_scheduler.errors import InvalidArgumentError

MAX_NAME_LENGTH: Final = 500
"""Characters of a job id or of an instance: PostgreSQL indexes at most 2,704 bytes (its btree)."""

_CANNOT_BE_STORED: Final = re.compile("[\0\ud800-\udfff]")


def require_name(text: str, name: str) -> str:
    """Return a job id or an instance unchanged when every store can hold it.

    ``name`` is what the message calls the value.

    Raises:
        InvalidArgumentError: it is not a text, is longer than 500 characters, or has a character
            that a database cannot store: NUL (PostgreSQL, "Character Types"), or half of a
            surrogate pair.

    """
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{name}={text!r} is not a text; write {name}={str(text)!r}")
    if len(text) > MAX_NAME_LENGTH:
        raise InvalidArgumentError(
            f"{name}={text[:20]!r}... has {len(text):,} characters; "
            f"a ledger takes at most {MAX_NAME_LENGTH}"
        )
    if bad := _CANNOT_BE_STORED.search(text):
        raise InvalidArgumentError(
            f"{name}={text!r} has the character {bad[0]!r}, which a ledger cannot store; "
            "leave it out"
        )
    return text
