"""Days made by hand: each is clean, and shows the lack of the safeguard that it is made for."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from kst_scheduler.ledger import Claim, MemoryLedger, Outcome
from kst_scheduler.ledger.memory import MemoryRows
from kst_scheduler.once import lease as lease_module
from kst_scheduler.once.locks import _Lock
from kst_scheduler.once.reconcile import reconciler as reconciler_module
from kst_scheduler.once.reconcile.job_reconciler import Look
from kst_scheduler.once.reconcile.overdue import Overdue
from kst_scheduler.once.reconcile.reconciler import Reconciler
from kst_scheduler.once.takeover import Takeover
from kst_scheduler.scheduler import drain, run_control
from kst_scheduler.scheduler.kept_writes import KeptWrites
from kst_scheduler.simulation import Crash, Freeze
from random_days.invariants import faults
from random_days.plan import DRAIN, MIDNIGHT, Day, JobPlan, Outage, Strike, WrongClock
from random_days.play import play

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[pytest.MonkeyPatch], None]

# The package has a function of that name, too.
once_module = importlib.import_module("kst_scheduler.once.decorator")

FIRE: Final = MIDNIGHT + timedelta(hours=4)
JOB: Final = JobPlan(
    *(4, 0, 300), guard="once", blocks=False, fails=False, window=90, repeatable=True
)
LONG: Final = replace(JOB, seconds=6000)


def after(seconds: float) -> Any:
    """Return a moment by its seconds after the second fire."""
    return FIRE + timedelta(seconds=seconds)


def day(*jobs: JobPlan, outage: tuple[str, float, float] | None = None) -> Day:
    """Return a day of two nodes, of which B comes first with its claims."""
    away = () if outage is None else (Outage("ledger", outage[0], *map(after, outage[1:])),)
    return Day((0.0, 0.3), jobs, (), away)


def deployed(begin: float, *jobs: JobPlan) -> Day:
    """Return a day on which node B is drained and started again."""
    crash = Crash("B", after(begin) + DRAIN, DRAIN)
    return replace(day(*jobs), incidents=(crash,), is_drained=True)


def crashed(*jobs: JobPlan) -> Day:
    """Return a day on which node B dies in a run, for good."""
    return replace(day(*jobs), incidents=(Crash("B", after(900)),))


CUT_OFF: Final = replace(
    day(LONG),
    offsets=(0.0, 20.0),
    outages=(
        Outage("ledger", "slow", after(-40), after(60), "B"),
        Outage("ledger", "away", after(60), after(4000), "B"),
    ),
)
"""B gets its claim late, and no answer after it."""


def asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the ledger without patience."""

    async def ask_once(ask: Any, _patience: object, _what: str) -> Any:
        return await ask()

    monkeypatch.setattr(once_module, "retry_while_unavailable", ask_once)


def unknown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not know a claim again whose answer was lost."""
    met = MemoryRows._obstacle

    def obstacle(rows: MemoryRows, *arguments: Any) -> Any:
        found = met(rows, *arguments)
        return found and found._replace(is_same_claim=False)

    monkeypatch.setattr(MemoryRows, "_obstacle", obstacle)


def finished_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse an end that is written already."""
    finish = MemoryLedger.finish

    async def finish_once(ledger: MemoryLedger, claim: Claim, outcome: Outcome) -> bool:
        row = ledger._rows.get(claim.row_id)
        return bool(row and row.status == "running") and await finish(ledger, claim, outcome)

    monkeypatch.setattr(MemoryLedger, "finish", finish_once)


def not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no outcome that could not be written."""
    monkeypatch.setattr(KeptWrites, "keep", lambda *_arguments: False)


def not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a drain cut at once."""
    finish = drain.finish
    monkeypatch.setattr(
        run_control, "finish", lambda batches, others, _seconds: finish(batches, others, 0.0)
    )


def not_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a scheduler that drains start what is due."""
    monkeypatch.setattr(run_control.RunControl, "pause", lambda _scheduler: None)


def not_extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lease run out while the ledger answers that it is down."""
    monkeypatch.setattr(lease_module._Renewals, "_extend_lease", lambda *_arguments: None)


def counted_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count a lease from the answer of the claim, four seconds after it was asked for."""
    renewed = lease_module.renewed
    monkeypatch.setattr(
        once_module,
        "renewed",
        lambda *arguments, since: renewed(*arguments, since=since + 4),
    )


def not_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a lock when the run has ended."""

    async def keep(_lock: _Lock) -> bool:
        return True

    monkeypatch.setattr(_Lock, "release", keep)


def not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a run that was lost without an end."""
    monkeypatch.setattr(Overdue, "given_up", lambda _overdue: iter(()))


def not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send no alert."""

    async def say_nothing(*_arguments: object) -> None:
        pass

    monkeypatch.setattr(Reconciler, "_report_missing", say_nothing)


def due_by_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is due be judged by the ledger's clock alone."""

    def look(**fields: Any) -> Look:
        return Look(**fields | {"until": fields["now"]})

    monkeypatch.setattr(reconciler_module, "Look", look)


def outages_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let looks and claims take what is lost right after an outage."""
    never = property(lambda _self: False, lambda _self, _value: None)
    for noticing in (Reconciler, Takeover):
        monkeypatch.setattr(noticing, "_was_away", never, raising=False)


BACK_AT_A_LOOK: Final = day(replace(LONG, repeatable=False), outage=("down", 600, 3600))
BACK_AT_A_CLAIM: Final = day(replace(JOB, seconds=15_000), outage=("down", 12_000, 14_420))
STARTED_BY_A_WRONG_CLOCK: Final = replace(
    day(replace(JOB, window=15)),
    incidents=(Crash("B", after(5940), timedelta(seconds=65)),),
    wrong_clocks=(WrongClock(after(6000), after(6600), 11_000),),
)
"""B starts at 05:40, when the ledger's clock shows 08:43; its own is right."""
LOST: Final = crashed(replace(LONG, repeatable=False))
LOCKED: Final = day(replace(JOB, every_hours=0, minute=23 * 60 + 45, guard="once and lock"))

CASES: Final = [
    (day(JOB, outage=("away", -5, 20)), asked_once, "began 0:1"),
    (day(JOB, outage=("deaf", -1, 4)), unknown_again, "is ok in attempt 2"),
    (day(JOB, outage=("deaf", 299, 304)), finished_once, "the scheduler was told: LeaseLostError"),
    (day(JOB, outage=("away", 295, 695)), not_kept, "did its work by 04:0"),
    (day(LONG, outage=("down", 900, 3300)), not_extended, "was stopped at"),
    (deployed(290, JOB), not_waited_for, "after the drain began"),
    (deployed(-5, JOB, replace(JOB, minute=45, seconds=12_600)), not_paused, "that drained"),
    (CUT_OFF, counted_late, "was stopped at"),
    (LOCKED, not_released, "is held at the end of the day"),
    (LOST, not_closed, "was left until"),
    (LOST, not_told, "nobody was told"),
    (STARTED_BY_A_WRONG_CLOCK, due_by_the_ledger, "by the clock of B"),
]
IDS: Final = [change.__name__ for _, change, _ in CASES]


@pytest.fixture(autouse=True)
def _no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.mark.parametrize(("a_day", "change", "said"), CASES, ids=IDS)
def test_a_day_shows_the_lack_of_one_safeguard_and_is_clean_with_it(
    monkeypatch: pytest.MonkeyPatch, a_day: Day, change: Change, said: str
) -> None:
    """Each thing that is asked of a day can fail, for the reason that it is asked for."""
    assert faults(play(a_day)) == []
    change(monkeypatch)
    assert any(said in each for each in faults(play(a_day)))


RARE: Final = {
    "the only node left is behind by more than a lease": replace(
        crashed(replace(LONG, max_attempts=1)), offsets=(-2400.0, 0.0)
    ),
    "the last renewal is late": replace(
        day(LONG),
        outages=(
            Outage("ledger", "away", after(60), after(1680), "B"),
            Outage("ledger", "late", after(1680), after(1920), "B"),
        ),
    ),
    "a look comes right after an outage": day(LONG, outage=("down", 600, 3600)),
    "the next occurrence waits for a long run": day(
        replace(JOB, every_hours=2, seconds=15_000, window=300)
    ),
    "a process is frozen in a claim for longer than a lease": Day(
        (0.0,) * 4,
        (replace(JOB, every_hours=2, seconds=15_000, blocks=True),),
        (),
        (Outage("ledger", "away", after(-13_200), after(-8300), "C"),),
        strikes=(Strike("A", "insert", 1, is_done=False, kind="freeze", seconds=7200),),
    ),
    "a clock is set back in a look, before it writes what was missed": replace(
        day(replace(JOB, window=15)),
        incidents=(
            Crash("A", after(-60), timedelta(hours=3)),
            Crash("B", after(-60), timedelta(hours=1)),
        ),
        strikes=(Strike("B", "record_missed", 1, is_done=False, kind="clock", seconds=-11_000),),
    ),
    "a process starts, by a clock that is behind, minutes before the ledger's is set back": Day(
        (0.0, 0.0, -4000.0),
        (replace(JOB, seconds=5, window=15),),
        (Crash("C", after(-12_600), timedelta(seconds=16_200)),),
        (Outage("ledger", "away", after(-30), after(1800)),),
        wrong_clocks=(WrongClock(after(3940), after(4540), -2400),),
    ),
    "a process is frozen until its lease is over, and is drained as it wakes": replace(
        deployed(2700, replace(JOB, seconds=2400, repeatable=False)),
        incidents=(
            Crash("B", after(2699) + DRAIN, DRAIN),
            Freeze("B", after(600), timedelta(seconds=2100)),
        ),
    ),
    "a claim is had when the drain has begun": replace(
        deployed(1, replace(JOB, seconds=5)),
        outages=(Outage("ledger", "down", after(-1), after(1.1)),),
    ),
}
"""Days that show a small fault of benchmarks/mutants.py, or of which too much was asked once."""


@pytest.mark.parametrize("a_day", [BACK_AT_A_LOOK, BACK_AT_A_CLAIM], ids=["look", "claim"])
def test_what_is_taken_right_after_an_outage_is_seen(
    monkeypatch: pytest.MonkeyPatch, a_day: Day
) -> None:
    """By a look, and by a claim."""
    assert faults(play(a_day)) == []
    outages_unnoticed(monkeypatch)
    assert any("had noticed an outage just before" in each for each in faults(play(a_day)))


def test_a_claim_that_is_refused_to_itself_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer was lost, and it is not known again."""
    unknown_again(monkeypatch)
    found = faults(play(day(JOB, outage=("deaf", -1, 4))))
    assert any("was refused to the claim that has it" in each for each in found)


@pytest.mark.parametrize("name", RARE)
def test_a_rare_state_is_clean(name: str) -> None:
    """Random days come into them seldom."""
    assert faults(play(RARE[name])) == []


@pytest.mark.parametrize("kind", ["away", "down", "read-only", "deaf", "late"])
@pytest.mark.parametrize("start", [-14, -1, 0, 286, 299])
def test_an_outage_within_the_patience_costs_nothing(kind: str, start: int) -> None:
    """The runs that it touches end in their first attempt, and each fire is judged."""
    seconds = 15 if kind in {"deaf", "late"} else 25
    story = play(day(JOB, outage=(kind, start, start + seconds)))
    assert faults(story) == []
    assert ("job-1", FIRE) in story.judged
