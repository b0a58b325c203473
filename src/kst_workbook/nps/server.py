"""The sandbox behind a real socket, for clients that are no part of this process."""

from __future__ import annotations

import argparse
import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx

from kst_scheduler.servers.local_server import serve_locally
from kst_workbook.nps.sandbox import DAILY_QUOTA, Sandbox, create_sandbox
from kst_workbook.nps.settings import BASE_PATH, NpsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logger = logging.getLogger(__name__)


@asynccontextmanager
async def serve_sandbox(
    sandbox: Sandbox | None = None, *, port: int = 0
) -> AsyncIterator[NpsSettings]:
    """Serve a sandbox from the running event loop, on loopback, and yield settings that reach it.

    Port 0 takes any free one; ``settings.base_url`` tells which. On leaving, the port is closed
    and calls that are still waiting are cut after a second.

    Raises:
        OSError: the port is taken.

    """
    sandbox = create_sandbox() if sandbox is None else sandbox
    async with serve_locally(sandbox.app, port=port) as url:
        yield sandbox.settings(
            base_url=f"{url}{BASE_PATH}",
            transport=httpx.AsyncHTTPTransport,
        )


def main(arguments: list[str] | None = None) -> None:
    """Serve a sandbox until Ctrl-C, and show how to reach it."""
    parser = argparse.ArgumentParser(
        prog="python -m kst_workbook.nps.server",
        description="A local stand-in for data.go.kr's National Pension Service workplaces.",
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free one")
    parser.add_argument("--workplaces", type=int, default=250)
    parser.add_argument("--quota", type=int, default=DAILY_QUOTA, help="calls a Korean day")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    sandbox = create_sandbox(workplaces=chosen.workplaces, quota=chosen.quota)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve_for_ever(sandbox, chosen.port))


async def _serve_for_ever(sandbox: Sandbox, port: int) -> None:
    async with serve_sandbox(sandbox, port=port) as settings:
        logger.info("export NPS_BASE_URL=%s", settings.base_url)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
