"""Who may come in: the admin key, as a Bearer token; for reading the timeline, by HTTP Basic.

A browser sends Basic credentials along with whatever form another site makes it submit. So no
route that changes anything takes them: those take a Bearer token, which no form can send.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import (
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
)

_BEARER = HTTPBearer(auto_error=False, description="The admin key.")
_BASIC = HTTPBasic(auto_error=False, description="Any name, and the admin key as the password.")


async def by_bearer(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> None:
    """Let a request pass that brings the admin key as a Bearer token."""
    _check(
        request,
        given.credentials if given else None,
        scheme="Bearer",
        remedy="send the header Authorization: Bearer KEY",
    )


async def by_basic(
    request: Request,
    given: Annotated[HTTPBasicCredentials | None, Depends(_BASIC)],
) -> None:
    """Let a request pass that brings the admin key as the password of HTTP Basic."""
    _check(
        request,
        given.password if given else None,
        scheme='Basic realm="kst-scheduler"',
        remedy="log in with any name, and the key as the password",
    )


def _check(request: Request, given: str | None, *, scheme: str, remedy: str) -> None:
    key = request.app.state.settings.admin_key
    if key is None:
        raise HTTPException(
            403, "this is off, because there is no admin key; set KST_SCHEDULER_ADMIN_KEY"
        )
    # As bytes: compare_digest takes no text beyond ASCII, which a wrong key may well have.
    if given is None or not hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), key.get_secret_value().encode()
    ):
        wrong = "no admin key was sent" if given is None else "the admin key is wrong"
        raise HTTPException(401, f"{wrong}; {remedy}", headers={"WWW-Authenticate": scheme})
