"""Two services in one namespace whose jobs have one id, and one whose function is renamed."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.job_functions import full_name_of
from kst_scheduler.simulation import Node, current_node, simulate
from kst_scheduler.triggers.factories import cron
from ledgers import occurrence, opened, outcome, request
from replicas import NIGHT, night

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger
    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
    from ledgers import NewLedger

CRAWL, BILL = "crawls.jobs:nightly", "billing.jobs:nightly"


async def is_locked_out(ledger: Ledger, function: str, minute: int, instance: str = "B") -> bool:
    """Tell whether a claim is."""
    try:
        await ledger.claim(replace(request(occurrence(minute), instance), function=function))
    except LockedOutError:
        return True
    return False


@in_loop
async def test_a_lock_out_by_another_function_is_a_warning_once(
    new_ledger: NewLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """By a row of the occurrence itself, or by a run that is in the way."""
    async with opened(new_ledger()) as ledger:
        first = replace(request(), function=CRAWL)
        claim = await ledger.claim(first)
        assert await is_locked_out(ledger, BILL, 1)
        assert len(caplog.records) == 1
        assert await is_locked_out(ledger, BILL, 0)
        assert await ledger.finish(claim, outcome())
        assert await is_locked_out(ledger, BILL, 0)
        assert await is_locked_out(ledger, "", 0)
        assert await is_locked_out(ledger, CRAWL, 0)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "job 'nps' is billing.jobs:nightly here and crawls.jobs:nightly on A, which has claimed "
        "nps@2026-05-09T18:00:00Z: in one namespace they count as replicas, and each occurrence is "
        "run by one of them alone. Give each of two services a namespace (SqlLedger(url, "
        "namespace=...), KST_SCHEDULER_NAMESPACE); where the function was renamed, this ends with "
        "the deploy"
    )


@in_loop
async def test_replicas_of_one_function_say_nothing(
    new_ledger: NewLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a claim that meets a row of an older version, which names no function."""
    async with opened(new_ledger()) as ledger:
        await ledger.claim(replace(request(), function=CRAWL))
        assert await is_locked_out(ledger, CRAWL, 0)
        other = occurrence(job_id="older")
        await ledger.claim(request(other))
        with pytest.raises(LockedOutError):
            await ledger.claim(replace(request(other, "B"), function=CRAWL))
    assert caplog.records == []


@in_loop
async def test_a_takeover_names_the_function_that_runs_now(
    new_ledger: NewLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """After a deploy, what is claimed again is of the new name, and nobody is warned of the old."""
    async with opened(new_ledger()) as ledger:
        claim = await ledger.claim(replace(request(), function=CRAWL))
        await ledger.finish(claim, outcome("error"))
        again = replace(request(instance="B", retry=True), function=BILL)
        assert (await ledger.claim(again)).attempt == 2
        assert len(caplog.records) == 1
        caplog.clear()
        assert await is_locked_out(ledger, BILL, 0, "C")
    assert caplog.records == []


def test_two_services_are_told_of_each_other() -> None:
    """As whole services, with schedulers of their own; one night would be run by A alone."""

    async def crawl() -> None:
        """Crawl."""

    async def bill() -> None:
        """Bill."""

    ledger = MemoryLedger()

    def register(scheduler: KSTScheduler) -> None:
        function = crawl if current_node() == "A" else bill
        job = once(ledger, instance=current_node())(function)
        scheduler.add_job(job, cron(hour=3), id="nightly")

    result = simulate(register, NIGHT, night(4), [Node("A"), Node("B", clock_offset=-1)])
    (said,) = result.log[result.log["level"] == "WARNING"].itertuples()
    here = "test_other_functions:test_two_services_are_told_of_each_other.<locals>"
    assert said.node == "B"
    assert f"job 'nightly' is {here}.bill here and {here}.crawl on A" in str(said.message)


async def module_job() -> None:
    """Do nothing."""


def test_the_full_name_of_a_function() -> None:
    """As other processes of the service name it, whatever is around it."""
    assert full_name_of(module_job) == f"{__name__}:module_job"
    assert full_name_of(partial(partial(module_job))) == f"{__name__}:module_job"
    assert once(MemoryLedger())(module_job).once.function == f"{__name__}:module_job"


def test_a_script_is_known_by_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each script is "__main__" to itself; two scripts are two services."""
    import __main__

    monkeypatch.setattr(__main__, "__file__", "/srv/crawl/crawl.py", raising=False)
    monkeypatch.setattr(module_job, "__module__", "__main__")
    assert full_name_of(module_job) == "crawl:module_job"
    monkeypatch.delattr(__main__, "__file__")
    assert full_name_of(module_job) == "__main__:module_job"
