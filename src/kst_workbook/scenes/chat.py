"""A chat service that alerts are posted to."""

from __future__ import annotations

from typing import Any

from fastapi import Body, FastAPI


def chat_service() -> tuple[FastAPI, list[dict[str, Any]]]:
    """Return an application with the path ``/hooks/crawl``, and the messages posted there."""
    app, posted = FastAPI(openapi_url=None), []

    @app.post("/hooks/crawl")
    async def hear(message: dict[str, Any] = Body()) -> None:  # noqa: B008, FAST002 - FastAPI's way
        posted.append(message)

    return app, posted
