"""The chat service keeps what is posted to it."""

from __future__ import annotations

import httpx

from in_loop import in_loop
from kst_workbook.scenes.chat import chat_service


@in_loop
async def test_a_posted_message_is_kept() -> None:
    """As it came."""
    app, posted = chat_service()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://chat.invalid") as client:
        response = await client.post("/hooks/crawl", json={"text": "a run is missing"})
    assert response.status_code == 200
    assert posted == [{"text": "a run is missing"}]
