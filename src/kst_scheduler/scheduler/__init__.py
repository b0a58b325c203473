"""The scheduler of a service: KSTScheduler, its executor, and the occurrence that a job runs."""

from kst_scheduler.scheduler.agreement import JobWarning
from kst_scheduler.scheduler.drain import DrainResult
from kst_scheduler.scheduler.executor import EVENT_JOB_LOCKED_OUT, OccurrenceExecutor
from kst_scheduler.scheduler.kst_scheduler import JOB_DEFAULTS, KSTScheduler
from kst_scheduler.scheduler.occurrence import AlreadyRunningError, Occurrence, current_occurrence

__all__ = [
    "EVENT_JOB_LOCKED_OUT",
    "JOB_DEFAULTS",
    "AlreadyRunningError",
    "DrainResult",
    "JobWarning",
    "KSTScheduler",
    "Occurrence",
    "OccurrenceExecutor",
    "current_occurrence",
]
