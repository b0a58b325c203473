from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from kst_scheduler.timezone import kst
from kst_workbook.nps import Workplace, crawl_nps
from kst_workbook.nps.client import NpsClient
from kst_workbook.nps.sandbox import create_sandbox
from kst_workbook.nps.server import serve_sandbox
from kst_workbook.nps.settings import NpsSettings


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_socket_and_the_process_give_the_same_rows() -> None:
    """What the simulation's crawl stores is what a crawl over TCP stores."""
    sandbox = create_sandbox(clock=lambda: kst(2026, 5, 10, 3))

    async def rows(settings: NpsSettings) -> list[Workplace]:
        stored: list[Workplace] = []

        async def store(page: list[Workplace]) -> None:
            stored.extend(page)

        await crawl_nps(settings=settings, store=store)
        return stored

    async def main() -> None:
        async with serve_sandbox(sandbox) as settings:
            over_tcp = await rows(settings)
        assert len(over_tcp) == 250
        assert over_tcp == await rows(sandbox.settings())

    asyncio.run(main())


def test_serving_leaves_nothing_behind() -> None:
    """The signals stay the caller's, and afterwards no port, task or logger's change is left."""
    access = logging.getLogger("uvicorn.access")
    before = (access.handlers[:], access.propagate, access.level)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def main() -> int:
        mine = signal.getsignal(signal.SIGINT)  # asyncio.run()'s own
        async with serve_sandbox() as settings:
            port = httpx.URL(settings.base_url).port
            assert port is not None
            assert _connects(port)
            assert signal.getsignal(signal.SIGINT) is mine
            assert signal.getsignal(signal.SIGTERM) is handlers[1]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return port

    assert not _connects(asyncio.run(main()))
    assert (access.handlers, access.propagate, access.level) == before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_an_error_inside_the_block_closes_the_port() -> None:
    """The server stops on every way out."""
    ports: list[int] = []

    async def main() -> None:
        async with serve_sandbox() as settings:
            ports.append(httpx.URL(settings.base_url).port or 0)
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(main())
    assert not _connects(ports[0])


def test_the_access_log_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """A caller's key would stand in it; the attribute is H11Protocol's, seen in uvicorn 0.54."""
    caplog.set_level(logging.INFO)

    async def main() -> int:
        async with serve_sandbox() as settings, NpsClient(settings) as client:
            return (await client.get("getBassInfoSearchV2")).status_code

    assert asyncio.run(main()) == 200
    assert not [record for record in caplog.records if record.name == "uvicorn.access"]


def test_a_taken_port_is_an_error() -> None:
    """A port that another program has is not waited for."""

    async def main(port: int) -> None:
        async with serve_sandbox(port=port):
            pytest.fail("served on a taken port")

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        asyncio.run(main(taken.getsockname()[1]))


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_the_command_shows_its_address_and_stops_on_ctrl_c() -> None:
    """The line that it writes can be pasted into a shell."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "kst_workbook.nps.server",
        "--workplaces",
        "5",
    ]
    with subprocess.Popen(  # noqa: S603 - this interpreter, on a module of ours
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("export NPS_BASE_URL=http://127.0.0.1:")
            address = line.strip().partition("=")[2]
            settings = NpsSettings(service_key="sandbox-key", base_url=address)
            assert asyncio.run(crawl_nps(settings=settings)).rows == 5
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
