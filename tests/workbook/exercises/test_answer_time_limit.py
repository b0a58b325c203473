from __future__ import annotations

import asyncio
import signal
import threading
import time
from itertools import accumulate

import pytest

from kst_scheduler import cron, kst, simulate
from kst_workbook.exercises import time_limit as module
from kst_workbook.exercises.time_limit import TimeUse, TookTooLongError, time_limit


def _never_end() -> None:
    while True:
        pass


def _work(seconds: float) -> None:
    """Use so much of the processor, however many others want it."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_a_busy_loop_is_stopped() -> None:
    """One that never calls anything; after its CPU time, and with the line that it was in."""
    began = time.process_time()
    with pytest.raises(TookTooLongError) as stopped, time_limit(0.2, waiting=60):
        _never_end()
    assert time.process_time() - began >= 0.2
    assert not stopped.value.waited
    assert stopped.value.where[-1].name == "_never_end"


def test_a_wait_is_stopped() -> None:
    """One in C, such as for a lock that nobody gives back; it is told that it waits, and where."""
    lock = threading.Lock()
    lock.acquire()
    with pytest.raises(TookTooLongError) as stopped, time_limit(60, waiting=0.2):
        lock.acquire()
    assert stopped.value.waited
    assert stopped.value.where[-1].line == "lock.acquire()"


def test_looking_now_and_then_is_waiting() -> None:
    """A loop that sleeps most of the time does not use up its CPU time."""

    def look() -> None:
        while True:
            time.sleep(0.02)

    with pytest.raises(TookTooLongError) as stopped, time_limit(60, waiting=0.5):
        look()
    assert stopped.value.waited


def test_what_gets_the_processor_now_and_then_only_is_not_stopped() -> None:
    """As on a busy machine: it takes three times its limit by the clock, and half of it in CPU."""
    began = time.monotonic()
    with time_limit(0.4, waiting=60):
        while time.monotonic() - began < 1.2:
            _work(0.002)
            time.sleep(0.018)
    assert time.monotonic() - began > 1


@pytest.mark.parametrize(
    ("used", "verdict"),
    [
        ([1.0] * 5, (2, "busy")),
        ([0.0] * 9, (5, "waiting")),
        ([0.3, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0], (7, "waiting")),
        ([0.0625] * 60, (47, "busy")),
        ([0.04] * 60, (5, "waiting")),
    ],
    ids=["busy", "idle", "now and then", "starved", "polls"],
)
def test_cpu_time_and_waiting_are_counted_apart(
    used: list[float], verdict: tuple[int, str]
) -> None:
    """Three seconds of CPU or six of waiting, looked at each second: which look is the last."""
    use = TimeUse(seconds=3.0, waiting=6.0, tick=1.0)
    looks = [use.look(total) for total in accumulate(used)]
    ended = next(place for place, found in enumerate(looks) if found)
    assert (ended, looks[ended]) == verdict


def test_what_swallows_the_first_interrupt_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop around a bare except comes to its end all the same."""
    monkeypatch.setattr(module, "AGAIN", 0.05)
    swallowed: list[BaseException] = []

    def swallow() -> None:
        while len(swallowed) < 2:
            try:
                time.sleep(60)
            except BaseException as error:  # noqa: BLE001 - that is the point
                swallowed.append(error)
        time.sleep(60)

    with pytest.raises(TookTooLongError), time_limit(60, waiting=0.1):
        swallow()
    assert len(swallowed) == 2


def test_a_job_that_never_ends_is_stopped_within_a_simulation() -> None:
    """APScheduler catches what is raised in a job; the clock is back afterwards."""

    def register(scheduler: object) -> None:
        scheduler.add_job(job, cron(hour=3), id="job")  # type: ignore[attr-defined]

    async def job() -> None:
        _never_end()

    with pytest.raises(TookTooLongError) as stopped, time_limit(0.3):
        simulate(register, kst(2026, 5, 10), kst(2026, 5, 11))
    assert stopped.value.where[-1].name == "_never_end"
    assert time.time() > kst(2026, 5, 11).timestamp()
    assert asyncio.run(asyncio.sleep(0, "works")) == "works"


def test_a_job_that_waits_in_real_time_is_stopped_within_a_simulation() -> None:
    """Such as for a lock of threads, which no virtual time gives back."""
    lock = threading.Lock()
    lock.acquire()

    def register(scheduler: object) -> None:
        scheduler.add_job(lock.acquire, cron(hour=3), id="job")  # type: ignore[attr-defined]
        scheduler.add_job(_waits, cron(hour=2), args=[lock], id="own")  # type: ignore[attr-defined]

    with pytest.raises(TookTooLongError) as stopped, time_limit(60, waiting=0.3):
        simulate(register, kst(2026, 5, 10), kst(2026, 5, 11))
    assert stopped.value.waited
    assert stopped.value.where[-1].line == "lock.acquire()"


async def _waits(lock: threading.Lock) -> None:
    lock.acquire()


def test_what_ends_in_time_is_left_alone() -> None:
    """No interrupt comes later, and the handler of Ctrl-C is the one from before."""
    before = signal.getsignal(signal.SIGINT)
    with time_limit(0.05):
        pass
    assert signal.getsignal(signal.SIGINT) is before
    time.sleep(0.1)


def test_ctrl_c_of_the_reader_stays_one() -> None:
    """It is not taken for the limit."""
    with pytest.raises(KeyboardInterrupt), time_limit(60):
        signal.raise_signal(signal.SIGINT)


def test_it_works_where_signals_cannot_be_sent_to_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows."""
    monkeypatch.delattr(signal, "pthread_kill")
    with pytest.raises(TookTooLongError), time_limit(0.05):
        _never_end()


def test_outside_the_main_thread_there_is_no_limit() -> None:
    """Only the main thread is interrupted; another runs on, without an error."""
    done = []

    def run() -> None:
        with time_limit(0.01):
            time.sleep(0.05)
        done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done
