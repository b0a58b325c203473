"""APScheduler's own tests, with this package's classes in the place of the library's.

Purpose: shows that what works with APScheduler works with KSTScheduler, OccurrenceExecutor,
  TurnByTurnJobStore and cron(). Fetches the source distribution of the pinned version, which holds
  the tests, runs those of schedulers, executors, job stores and triggers twice (with the library's
  classes, and with these), and prints the table of those that end otherwise, each with the reason.
  Fails when another one differs, and when one of the table does not differ any more.
Limits: tests of services that are not there (Redis, MongoDB, ...) are left out, and so are those
  that fail or are skipped with the library's own classes. KSTScheduler stands in for
  AsyncIOScheduler, and as the base of the tests' own dummy; the other schedulers stay.
Run: ``uv run python benchmarks/apscheduler_tests.py``; a minute, most of it the download.
  ``--sdist FILE`` takes a source distribution that is there already
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path
from typing import Final

PINNED: Final = "apscheduler==3.11.3"
MODULES: Final = ("test_schedulers.py", "test_executors.py", "test_jobstores.py", "triggers")
LEFT_OUT: Final = (
    "mongodb",
    "redis",
    "rethinkdb",
    "zookeeper",
    "etcd",
    "processpool",
    "broken_pool",
)
"""Parts of the names of tests that need a service, or the processor of a quiet machine."""

NAIVE: Final = ("a naive datetime is refused", "NaiveDatetimeError")
NO_FIELD: Final = ("'cron' without a field is refused", "it would fire every second")
KOREAN: Final = ("without a zone it is Korean, not the host's (here Berlin's)", "Asia/Seoul|KST")
_BASE: Final = "test_schedulers.TestBaseScheduler."
_CRON: Final = "triggers.test_cron."

DIFFERENT: Final[dict[str, tuple[str, str]]] = {
    f"{_BASE}test_add_job_return_value": NAIVE,
    f"{_BASE}test_modify_job": NAIVE,
    f"{_BASE}test_job_submitted_event": NAIVE,
    f"{_BASE}test_job_max_instances_event": NAIVE,
    f"{_BASE}test_print_jobs": KOREAN,
    f"{_BASE}test_export_import_jobs": KOREAN,
    f"{_BASE}test_add_job_replace": NO_FIELD,
    f"{_BASE}test_add_job_id_conflict": (
        "a job that is added again replaces itself; write replace_existing=False for the error",
        "DID NOT RAISE",
    ),
    f"{_BASE}test_scheduled_job": (
        "the decorator passes allow_timezone on to add_job",
        "allow_timezone=None",
    ),
    f"{_BASE}test_reschedule_job": (
        "modify_job works out the next run, so reschedule_job hands it the trigger alone",
        "{'next_run_time': 1}",
    ),
    f"{_BASE}test_configure_private": (
        "the zone 'UTC' is zoneinfo's, which is not equal to datetime.timezone.utc",
        "ZoneInfo.key='UTC'. == datetime.timezone.utc",
    ),
    "test_executors.test_asyncio_executor_shutdown": (
        "the futures are in OccurrenceExecutor.batches, not in the private _pending_futures",
        "_pending_futures|assert 0 == 1",
    ),
    "test_jobstores.test_repr_memjobstore": ("the store has another name", "TurnByTurnJobStore"),
    f"{_CRON}test_start_end_times_string": NO_FIELD,
    f"{_CRON}test_cron_start_date": (
        "cron() takes datetimes, no text; add_job('cron') takes both",
        "is not a datetime",
    ),
    f"{_CRON}test_cron_weekday_nomatch": (
        "fields that no date can match are refused",
        "no date in any year matches",
    ),
    f"{_CRON}test_timezone_from_start_date": KOREAN,
    f"{_CRON}test_end_date": KOREAN,
}
"""Tests that end otherwise with this package's classes, by their names without parameters: the
reason, and what each of their failures must show (a regular expression)."""

SETTINGS: Final = """
[pytest]
filterwarnings = default
addopts = -q -vv --tb=short -p no:cacheprovider -p no:xdist -p no:looptime_plugin
markers = external_service: needs a service that is not here
"""

# Put in front of the tests' conftest. The classes are exchanged before the tests import them, and
# after this package has taken the library's as its bases.
EXCHANGE: Final = '''
import time
from unittest.mock import Mock

import apscheduler.executors.asyncio
import apscheduler.jobstores.memory
import apscheduler.schedulers.asyncio
import apscheduler.schedulers.base
import apscheduler.triggers.cron
from kst_scheduler import KSTScheduler, OccurrenceExecutor, cron
from kst_scheduler.scheduler.job_store import TurnByTurnJobStore

_library_cron = apscheduler.triggers.cron.CronTrigger


class OurCron(_library_cron):
    """Makes what cron() makes, wherever a test writes CronTrigger(...)."""

    def __new__(cls, **fields):
        return cron(**fields)


class WithoutLoop(KSTScheduler):
    """A KSTScheduler for tests that have no event loop: what is handed to it runs at once."""

    def _configure(self, config):
        super()._configure(config)
        at_once = {"call_soon_threadsafe": lambda function: function(), "is_closed": lambda: False}
        self._eventloop = Mock(**at_once, time=time.monotonic)


apscheduler.schedulers.asyncio.AsyncIOScheduler = KSTScheduler
apscheduler.executors.asyncio.AsyncIOExecutor = OccurrenceExecutor
apscheduler.jobstores.memory.MemoryJobStore = TurnByTurnJobStore
'''
DUMMY: Final = "class DummyScheduler(BaseScheduler)"
OUR_DUMMY: Final = "from tests.conftest import WithoutLoop\n\n\nclass DummyScheduler(WithoutLoop)"
OUR_TRIGGERS: Final = "from tests.conftest import OurCron as CronTrigger"
LIBRARY_TRIGGERS: Final = "from apscheduler.triggers.cron import CronTrigger"


def main() -> int:
    """Run the tests twice, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sdist", type=Path, help="the source distribution, if it is here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="apscheduler-tests-") as folder:
        sdist = chosen.sdist or fetch(Path(folder))
        library = outcomes(unpack(sdist, Path(folder) / "library"))
        ours = outcomes(with_our_classes(unpack(sdist, Path(folder) / "ours")))
    return compare(library, ours)


def fetch(folder: Path) -> Path:
    """Return the source distribution of the pinned version."""
    with_pip = [sys.executable]
    if importlib.util.find_spec("pip") is None:
        with_pip = ["uv", "run", "--quiet", "--no-project", "--with", "pip", "python"]
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
    subprocess.run([*with_pip, "-m", "pip", "download", *options, PINNED], check=True)  # noqa: S603
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def unpack(sdist: Path, folder: Path) -> Path:
    """Return the folder of the tests of a source distribution."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    shutil.move(tests, folder / "tests")
    (folder / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    return folder


def with_our_classes(folder: Path) -> Path:
    """Exchange the library's classes for this package's in what the tests import."""
    tests = folder / "tests"
    rewrite(tests / "conftest.py", "", EXCHANGE)
    rewrite(tests / "test_schedulers.py", DUMMY, OUR_DUMMY)
    rewrite(tests / "triggers" / "test_cron.py", LIBRARY_TRIGGERS, OUR_TRIGGERS)
    return folder


def rewrite(path: Path, old: str, new: str) -> None:
    """Replace the first ``old`` of a file, which has it; an empty one stands at its beginning."""
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"{path.name} of {PINNED} has no line {old!r}; look at its tests anew")
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def outcomes(folder: Path) -> dict[str, str]:
    """Return by its full name how each test ended: nothing if it passed, or what it shows."""
    report = folder / "report.xml"
    chosen = " and ".join(f"not {part}" for part in LEFT_OUT)
    options = [f"--junitxml={report}", "-k", chosen, *(f"tests/{module}" for module in MODULES)]
    command = [sys.executable, "-m", "pytest", *options]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)  # noqa: S603 - no input
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - pytest has just written it
    return {
        f"{case.get('classname', '').removeprefix('tests.')}.{case.get('name')}": "\n".join(
            f"{child.tag}: {child.get('message')} {child.text}"
            for child in case
            if child.tag in {"failure", "error", "skipped"}
        )
        for case in cases
    }


def compare(library: dict[str, str], ours: dict[str, str]) -> int:
    """Print the table of what differs; return 1 where that is not what is known."""
    fair = [name for name, shown in library.items() if not shown]
    different: dict[str, list[str]] = defaultdict(list)
    for name in fair:
        if ours.get(name, "not run"):
            different[name.partition("[")[0]].append(name)
    count = sum(map(len, different.values()))
    print(
        f"{PINNED}: {len(fair)} tests pass with its own classes, {len(fair) - count} of them with "
        f"this package's; {count} differ, in {len(different)} functions\n"
    )
    faults = []
    for function, names in different.items():
        reason, shows = DIFFERENT.get(function, ("not known to differ", "(?!)"))
        print(f"{len(names):3}  {function}\n       {reason}")
        unlike = [name for name in names if not re.search(shows, ours.get(name, "not run"))]
        faults += [f"{name}: {ours.get(name, 'not run')[-400:]}" for name in unlike]
    alike = {name.partition("[")[0] for name in fair} - different.keys()
    faults += [f"{name} differs no more: strike it out" for name in DIFFERENT.keys() & alike]
    print("", *faults, sep="\n")
    return 1 if faults or not fair else 0


if __name__ == "__main__":
    sys.exit(main())
