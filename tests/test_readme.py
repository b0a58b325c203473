from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from in_loop import in_loop
from kst_scheduler import KSTScheduler, MemoryLedger
from kst_scheduler.distributed import task_app
from kst_scheduler.servers.local_server import serve_locally
from kst_scheduler.service import Service, Settings, create_app
from kst_scheduler.service.cli import DEMO
from kst_scheduler.service.settings import PREFIX

if TYPE_CHECKING:
    from procrastinate import App

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIELDS = Settings.model_fields
PORT_8000 = "http://127.0.0.1:8000"
PICTURE = ROOT / "notebooks" / "pictures" / "one_bad_night.png"


def blocks(language: str) -> list[str]:
    """Return the code blocks of the README in this language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_ten_lines_print_what_the_readme_says() -> None:
    """The example runs as it stands, and prints the output below it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(blocks("python")[0], {})  # noqa: S102 - the README's own code
    expected = [line.rstrip() for line in blocks("text")[0].splitlines()]
    assert [line.rstrip() for line in printed.getvalue().splitlines()] == expected


def test_jobs_example_adds_its_job() -> None:
    """The example of a jobs function is one that `serve --jobs` can take."""
    names: dict[str, Any] = {}
    exec(blocks("python")[1], names)  # noqa: S102 - the README's own code
    service = Service(KSTScheduler(), MemoryLedger())
    names["register"](service)
    assert [job.id for job in service.scheduler.get_jobs()] == ["nightly-crawl"]


def test_scheduler_example_runs() -> None:
    """The example for the reader's own process registers its job."""
    names: dict[str, Any] = {}
    exec(blocks("python")[2], names)  # noqa: S102 - the README's own code
    assert [job.id for job in names["scheduler"].get_jobs()] == ["nightly-crawl"]


@pytest.mark.parametrize(
    "tasks", [None, task_app("postgresql://app@db/app")], ids=["none", "queue"]
)
def test_hand_off_example_adds_its_job(tasks: App | None) -> None:
    """With a queue and without one."""
    names: dict[str, Any] = {}
    exec(blocks("python")[3], names)  # noqa: S102 - the README's own code
    service = Service(KSTScheduler(), MemoryLedger(), tasks=tasks)
    names["register"](service)
    (job,) = service.scheduler.get_jobs()
    assert (job.id, hasattr(job.func, "handed_off")) == ("nightly-crawl", tasks is not None)


@in_loop
async def test_curl_lines_answer_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request of the README is sent, and answered so, but for the moments and the host."""
    for variable in ("NPS_BASE_URL", "NPS_SERVICE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    (begin,) = (block for block in blocks("sh") if "ADMIN_KEY" in block)
    key = SecretStr(begin.split("=")[1].split()[0])
    runs = SecretStr(f"sqlite:///{tmp_path / 'runs.db'}")
    settings = Settings(jobs=DEMO, admin_key=key, database_url=runs)
    (console,) = blocks("console")
    async with serve_locally(create_app(settings)) as url, httpx.AsyncClient() as client:
        for command, answer in re.findall(r"^\$ curl (.*)\n(.*)$", console, flags=re.MULTILINE):
            if "/admin/runs" in command:
                await all_runs_ended(client, url, key)
            method, address, headers = parsed(command)
            said = await client.request(method, address.replace(PORT_8000, url), headers=headers)
            assert timeless(said.text) == timeless(answer)


async def all_runs_ended(client: httpx.AsyncClient, url: str, key: SecretStr) -> None:
    """Return when nothing is running any more, as is so by the time one has read on."""
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
    for _ in range(500):
        jobs = (await client.get(f"{url}/admin/jobs", headers=headers)).json()
        if not any(job["running"] for job in jobs):
            return
        await asyncio.sleep(0.01)
    pytest.fail("the crawl of the sandbox does not end")


def parsed(command: str) -> tuple[str, str, dict[str, str]]:
    """Return what curl would send: the method, the address and the headers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-X", default="GET")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("address")
    chosen = parser.parse_args(shlex.split(command))
    return chosen.X, chosen.address, dict(header.split(": ", 1) for header in chosen.H)


def timeless(answer: str) -> str:
    """Return an answer without what differs from run to run."""
    answer = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+09:00)", "MOMENT", answer)
    answer = re.sub(r'"instance":"[^"]+"', '"instance":"HOST"', answer)
    return re.sub(r'"duration_ms":\d+', '"duration_ms":0', answer)


def test_deployment_names_every_setting() -> None:
    """The table of variables is complete, and names none that is unknown."""
    page = (ROOT / "DEPLOYMENT.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([A-Z_]+)` \|", page, flags=re.MULTILINE)
    known = {field.validation_alias or PREFIX + name.upper() for name, field in FIELDS.items()}
    assert set(named) == known


def test_links_lead_somewhere() -> None:
    """Every file that the README names is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_picture_is_the_notebooks() -> None:
    """The picture on the first screen is the one that notebook 00 stores.

    REDRAW_PICTURES=1 copies it from there.
    """
    notebook = json.loads((ROOT / "notebooks" / "00_start_here.ipynb").read_text("utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    first = next(o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {}))
    if os.environ.get("REDRAW_PICTURES"):
        PICTURE.write_bytes(base64.b64decode(first))
    assert PICTURE.read_bytes() == base64.b64decode(first)


KOREAN = (ROOT / "README.ko.md").read_text(encoding="utf-8")


def test_the_korean_readme_is_complete() -> None:
    """The same code, the same links and as many chapters, in the same order."""
    pieces = (r"```\w*\n.*?```", r"\]\((?!README)([^)]+)\)", r"^(#+) ")
    for piece in pieces:
        both = [re.findall(piece, text, re.DOTALL | re.MULTILINE) for text in (README, KOREAN)]
        assert both[0] == both[1]
