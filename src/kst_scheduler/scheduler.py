"""KSTScheduler: an AsyncIOScheduler on Korean time that honours every option it is given."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.base import BaseTrigger
from apscheduler.util import asbool, maybe_ref, undefined

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.guards import (
    check_awaited,
    check_moments,
    check_options,
    check_trigger,
    check_trigger_arguments,
)
from kst_scheduler.run_control import RunControl
from kst_scheduler.timezone import KST, as_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import tzinfo

    from apscheduler.job import Job

JOB_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "max_instances": 1,
        "coalesce": True,
        "misfire_grace_time": 300,
        "replace_existing": True,
    }
)
"""The four options that make a job safe to repeat, as KSTScheduler gives them to every job."""


class KSTScheduler(RunControl):
    """An AsyncIOScheduler for Korean time; it takes the same arguments, and means them.

    Its zone is KST unless ``timezone=`` names another one. ``job_defaults`` are laid over
    JOB_DEFAULTS, and ``replace_existing`` among them is honoured, also for jobs that are added
    before ``start()``; an argument of ``add_job`` wins. (The decorator ``scheduled_job`` always
    passes ``replace_existing=True``.) Unless one is configured, the default executor is
    OccurrenceExecutor, so a job can ask for its ``current_occurrence()``.

    It refuses what AsyncIOScheduler would silently get wrong: options and job defaults it does
    not know, naive datetimes, triggers in another zone, coroutine jobs on executors that cannot
    await them, and arguments for a trigger beside a finished trigger object. A trigger named by a
    string (``"cron"``) is in the scheduler's zone; a trigger object must be. Where another zone
    is meant, ``allow_timezone="America/New_York"`` says so: then the trigger must be in that one.

    Like those of AsyncIOScheduler, its methods are to be called in the thread of its event loop.

    It notices within a minute that the host's clock was set (kst_scheduler.wall_clock).

    ``run_now``, ``running_occurrences`` and ``drain`` come from ``kst_scheduler.run_control``.

    Of APScheduler's private names it uses ``_configure``, ``_create_trigger`` and ``_executors``;
    checked on 3.11.3.

    Raises:
        InvalidArgumentError: an unknown option or job default, named with the nearest known one.
        TimezoneError: ``timezone`` is unknown.

    """

    def start(self, paused: bool = False) -> None:
        """Start processing jobs in the running event loop.

        Raises:
            InvalidArgumentError: a coroutine job waits for an executor that cannot await it.

        """
        for job in self.get_jobs():
            check_awaited(job.id, job.func, job.executor, self._executors.get(job.executor))
        super().start(paused)

    def add_job(
        self,
        func: Callable[..., object] | str,
        trigger: BaseTrigger | str | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002 - APScheduler's name
        name: str | None = None,
        misfire_grace_time: int | None = undefined,
        coalesce: bool = undefined,
        max_instances: int = undefined,
        next_run_time: datetime | str | None = undefined,
        jobstore: str = "default",
        executor: str = "default",
        replace_existing: bool = undefined,
        *,
        allow_timezone: str | tzinfo | None = None,
        **trigger_args: Any,
    ) -> Job:
        """Add a job, as AsyncIOScheduler does, once its zone and its executor have been checked.

        ``allow_timezone`` names the zone of the trigger where it is not the scheduler's.

        Raises:
            InvalidArgumentError: a coroutine job on an executor that cannot await it, or arguments
                for a trigger beside a trigger object.
            NaiveDatetimeError: a date has no zone.
            TimezoneError: the trigger is in another zone.
            apscheduler.jobstores.base.ConflictingIdError: the id is taken, and
                ``replace_existing`` is false; at start when the scheduler does not run yet.

        """
        check_moments({"next_run_time": next_run_time})
        job_name = id or name or str(getattr(func, "__qualname__", func))
        check_awaited(job_name, maybe_ref(func), executor, self._executors.get(executor))
        return super().add_job(
            func,
            self._checked_trigger(trigger, trigger_args, allow_timezone),
            args,
            kwargs,
            id,
            name,
            misfire_grace_time,
            coalesce,
            max_instances,
            next_run_time,
            jobstore,
            executor,
            self._replace_existing if replace_existing is undefined else replace_existing,
        )

    def reschedule_job(
        self,
        job_id: str,
        jobstore: str | None = None,
        trigger: BaseTrigger | str | None = None,
        *,
        allow_timezone: str | tzinfo | None = None,
        **trigger_args: Any,
    ) -> Job:
        """Give a job another trigger, and its next run time from it.

        Raises:
            NaiveDatetimeError, TimezoneError: as for ``add_job``.

        """
        checked = self._checked_trigger(trigger, trigger_args, allow_timezone)
        next_run_time = checked.get_next_fire_time(None, datetime.now(self.timezone))
        return super().modify_job(job_id, jobstore, trigger=checked, next_run_time=next_run_time)

    def modify_job(
        self,
        job_id: str,
        jobstore: str | None = None,
        *,
        allow_timezone: str | tzinfo | None = None,
        **changes: Any,
    ) -> Job:
        """Change attributes of a job; to run it now, use ``run_now``, which leaves its schedule.

        Raises:
            InvalidArgumentError, NaiveDatetimeError, TimezoneError: as for ``add_job``.

        """
        check_moments(changes)
        if "trigger" in changes:
            self._checked_trigger(changes["trigger"], {}, allow_timezone)
        job = self.get_job(job_id, jobstore)
        if job and changes.keys() & {"func", "executor"}:
            function, alias = changes.get("func", job.func), changes.get("executor", job.executor)
            check_awaited(job_id, maybe_ref(function), alias, self._executors.get(alias))
        return super().modify_job(job_id, jobstore, **changes)

    def _checked_trigger(
        self,
        trigger: BaseTrigger | str | None,
        trigger_args: dict[str, Any],
        allow_timezone: str | tzinfo | None,
    ) -> BaseTrigger:
        zone = as_zone(allow_timezone) if allow_timezone else self.timezone
        if not isinstance(trigger, BaseTrigger):
            check_trigger_arguments(trigger_args, zone)
            return self._create_trigger(trigger, {"timezone": zone, **trigger_args})
        if trigger_args:
            raise InvalidArgumentError(
                f"{', '.join(trigger_args)} would be ignored: the trigger {trigger} is complete; "
                "no option of a job has that name"
            )
        check_trigger(trigger, zone)
        return trigger

    def _configure(self, config: dict[str, Any]) -> None:
        check_options(config)
        config["timezone"] = as_zone(config.get("timezone") or KST)
        config["job_defaults"] = {**JOB_DEFAULTS, **config.get("job_defaults", {})}
        self._replace_existing = asbool(config["job_defaults"]["replace_existing"])
        super()._configure(config)
