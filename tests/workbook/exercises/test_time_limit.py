from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest

from kst_scheduler import cron, kst, simulate
from kst_scheduler.workbook.exercises import time_limit as module
from kst_scheduler.workbook.exercises.time_limit import TookTooLongError, time_limit


def _never_end() -> None:
    while True:
        pass


def test_a_busy_loop_is_stopped() -> None:
    """One that never calls anything."""
    with pytest.raises(TookTooLongError), time_limit(0.05):
        _never_end()


def test_a_wait_is_stopped() -> None:
    """One in C, such as for a lock that nobody gives back."""
    lock = threading.Lock()
    lock.acquire()
    with pytest.raises(TookTooLongError), time_limit(0.05):
        lock.acquire()


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

    with pytest.raises(TookTooLongError), time_limit(0.05):
        swallow()
    assert len(swallowed) == 2


def test_a_job_that_never_ends_is_stopped_within_a_simulation() -> None:
    """APScheduler catches what is raised in a job; the clock is back afterwards."""

    def register(scheduler: object) -> None:
        scheduler.add_job(job, cron(hour=3), id="job")  # type: ignore[attr-defined]

    async def job() -> None:
        _never_end()

    with pytest.raises(TookTooLongError), time_limit(0.3):
        simulate(register, kst(2026, 5, 10), kst(2026, 5, 11))
    assert time.time() > kst(2026, 5, 11).timestamp()
    assert asyncio.run(asyncio.sleep(0, "works")) == "works"


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
