"""KSTScheduler: an AsyncIOScheduler on Korean time that honours every option it is given."""

from __future__ import annotations

import functools
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.base import STATE_STOPPED
from apscheduler.triggers.base import BaseTrigger
from apscheduler.util import asbool, maybe_ref, undefined

from kst_scheduler.errors import InvalidArgumentError, JobConflictError
from kst_scheduler.scheduler.agreement import (
    check_executor,
    check_fire_times,
    check_id,
    check_named,
    check_next_run_time,
    warn_of_instances,
)
from kst_scheduler.scheduler.guards import (
    check_awaited,
    check_moments,
    check_options,
    check_trigger,
    check_trigger_arguments,
)
from kst_scheduler.scheduler.job_functions import (
    check_arguments,
    is_same_function,
    name_of,
    runs_once,
)
from kst_scheduler.scheduler.run_control import RunControl
from kst_scheduler.timezone import KST, as_zone
from kst_scheduler.triggers.named_triggers import named_trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import tzinfo

    from apscheduler.job import Job

    from kst_scheduler.scheduler.arguments import JobChanges, TriggerArguments

JobFunction = TypeVar("JobFunction", bound="Callable[..., object]")

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
    before ``start()``: a job that is added again replaces itself. Another function takes the id
    of a job of this process only where ``replace_existing=True`` stands at the call. (The
    decorator ``scheduled_job`` replaces in the same way, whatever the defaults are.) Unless one
    is configured, the default executor is OccurrenceExecutor, so a job can ask for its
    ``current_occurrence()``.

    It refuses what AsyncIOScheduler would silently get wrong: options and job defaults it does
    not know, naive datetimes, triggers in another zone, coroutine jobs on executors that cannot
    await them, arguments that a job's function does not take, and arguments for a trigger beside a
    finished trigger object. A trigger named by a string (``"cron"``) is checked as ``cron()`` and
    ``every()`` check theirs, and is in the scheduler's zone; a trigger object must be. Where
    another zone is meant, ``allow_timezone="America/New_York"`` says so: then the trigger must be
    in that one.

    A job of ``once`` needs an id, and a trigger by which all replicas mean the same occurrences:
    none with jitter, and no interval that counts from the start of each replica.

    Like those of AsyncIOScheduler, its methods are to be called in the thread of its event loop.

    It notices within a minute that the host's clock was set (scheduler.wall_clock).

    ``run_now``, ``running_occurrences`` and ``drain`` come from ``scheduler.run_control``.

    Of APScheduler's private names it uses ``_configure``, ``_create_trigger``,
    ``_create_plugin_instance``, ``_executors``, ``_logger`` and ``Job._jobstore_alias``; checked on
    3.11.3.

    Raises:
        InvalidArgumentError: an unknown option or job default, named with the nearest known one.
        TimezoneError: ``timezone`` is unknown.

    """

    def start(self, paused: bool = False) -> None:
        """Start processing jobs in the running event loop.

        A job whose trigger never fires again leaves the scheduler, as in ``add_job``.

        Raises:
            InvalidArgumentError: a coroutine job waits for an executor that cannot await it, or
                a job of ``once`` for one that does not tell it its occurrence.

        """
        jobs = self.get_jobs()
        for job in jobs:
            self._check_executor(job.id, job.func, job.executor)
        by_trigger = [job for job in jobs if not hasattr(job, "next_run_time")]
        super().start(paused)
        # A job that was added twice is there twice, and the last one is in the job store.
        stored = {(job._jobstore_alias, job.id): job for job in jobs}  # noqa: SLF001
        for job in by_trigger:
            if stored[job._jobstore_alias, job.id] is job:  # noqa: SLF001
                self._remove_if_over(job)

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
        **trigger_args: Unpack[TriggerArguments],
    ) -> Job:
        """Add a job, as AsyncIOScheduler does, once everything about it has been checked.

        ``allow_timezone`` names the zone of the trigger where it is not the scheduler's. Without
        ``replace_existing`` a job replaces itself, and no other function. A type checker does not
        compare ``args`` and ``kwargs`` with the function; what ``functools.partial`` binds it does.

        A job whose trigger never fires again leaves the scheduler at once, as any job does after
        its last run: the log warns of it, and the job that is returned is in no job store. A
        service must start again after its campaign, so that is no error. One with a
        ``next_run_time`` of its own, or paused by ``next_run_time=None``, is kept.

        Raises:
            InvalidArgumentError: a coroutine job on an executor that cannot await it, arguments
                that its function does not take, or arguments for a trigger beside a trigger
                object. A job of ``once`` without an id or with one that no ledger can hold, or with
                a trigger or an executor by which replicas would not mean the same occurrences.
            JobConflictError: another function has the id.
            NaiveDatetimeError: a date has no zone.
            TimezoneError: the trigger is in another zone.
            apscheduler.jobstores.base.ConflictingIdError: the id is taken, and
                ``replace_existing`` is false; at start when the scheduler does not run yet.

        Warns:
            JobWarning: a job of ``once`` with ``max_instances`` above one.
            TriggerWarning: as ``cron()`` does.

        """
        check_moments({"next_run_time": next_run_time})
        function = maybe_ref(func)
        job_name = id or name or name_of(function)
        args, kwargs = () if args is None else tuple(args), {} if kwargs is None else dict(kwargs)
        self._check_executor(job_name, function, executor)
        check_arguments(job_name, function, args, kwargs)
        checked = self._checked_trigger(trigger, trigger_args, allow_timezone)
        if runs_once(function):
            check_id(function, id)
            if not isinstance(trigger, BaseTrigger):
                check_named(job_name, trigger or "date", trigger_args)
            check_fire_times(job_name, checked, datetime.now(self.timezone))
            check_next_run_time(job_name, next_run_time)
            by_default = self._job_defaults["max_instances"]
            instances = by_default if max_instances is undefined else max_instances
            warn_of_instances(job_name, instances)
        if replace_existing is undefined:
            replace_existing = self._replace_existing
            if replace_existing:
                self._check_conflict(function, id, jobstore)
        job = super().add_job(
            func,
            checked,
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
            replace_existing,
        )
        self._added.add(job.id)
        if self.state != STATE_STOPPED and next_run_time is undefined:
            self._remove_if_over(job)
        return job

    def scheduled_job(
        self,
        trigger: BaseTrigger | str,
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
        *,
        replace_existing: bool = undefined,
        allow_timezone: str | tzinfo | None = None,
        **trigger_args: Unpack[TriggerArguments],
    ) -> Callable[[JobFunction], JobFunction]:
        """Return a decorator that adds a job: ``add_job``, with one difference.

        A job that is added again replaces itself, whatever the job defaults are.

        Raises:
            InvalidArgumentError, JobConflictError, NaiveDatetimeError, TimezoneError: as
                ``add_job`` does, where the function is decorated.

        """

        def add(function: JobFunction) -> JobFunction:
            replace = replace_existing
            if replace is undefined:
                self._check_conflict(function, id, jobstore)
                replace = True
            self.add_job(
                function,
                trigger,
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
                replace,
                allow_timezone=allow_timezone,
                **trigger_args,
            )
            return function

        return add

    def reschedule_job(
        self,
        job_id: str,
        jobstore: str | None = None,
        trigger: BaseTrigger | str | None = None,
        *,
        allow_timezone: str | tzinfo | None = None,
        **trigger_args: Unpack[TriggerArguments],
    ) -> Job:
        """Give a job another trigger, and its next run time from it; a paused one stays paused.

        Raises:
            InvalidArgumentError, NaiveDatetimeError, TimezoneError: as for ``modify_job``.

        """
        checked = self._checked_trigger(trigger, trigger_args, allow_timezone)
        job = self.get_job(job_id, jobstore)
        if job and runs_once(job.func) and not isinstance(trigger, BaseTrigger):
            check_named(job_id, trigger or "date", trigger_args)
        zone: dict[str, Any] = {"allow_timezone": allow_timezone} if allow_timezone else {}
        return self.modify_job(job_id, jobstore, trigger=checked, **zone)

    def modify_job(
        self,
        job_id: str,
        jobstore: str | None = None,
        *,
        allow_timezone: str | tzinfo | None = None,
        **changes: Unpack[JobChanges],
    ) -> Job:
        """Change attributes of a job; to run it now, use ``run_now``, which leaves its schedule.

        Another trigger gives the job its next run time, unless that is among the changes or the
        job is paused. Before ``start()`` it may be one that never fires again, as in ``add_job``.

        Raises:
            InvalidArgumentError, NaiveDatetimeError, TimezoneError: as for ``add_job``; or the new
                trigger never fires again, by which the job would look like a paused one.

        """
        check_moments(changes)
        trigger = changes.get("trigger")
        if isinstance(trigger, str):
            raise InvalidArgumentError(
                f"trigger={trigger!r} is the name of a trigger, and modify_job takes an object; "
                f"write reschedule_job({job_id!r}, trigger={trigger!r}, ...) with its fields"
            )
        if trigger is not None:
            self._checked_trigger(trigger, {}, allow_timezone)
        job = self.get_job(job_id, jobstore)
        if job:
            self._check_changes(job, changes)
        if job and isinstance(trigger, BaseTrigger) and "next_run_time" not in changes:
            fire = self._next_fire_time(job_id, trigger)
            # It has none before the start, which gives it one, and None while it is paused.
            if fire and getattr(job, "next_run_time", None):
                changes["next_run_time"] = fire
        return super().modify_job(job_id, jobstore, **changes)

    def add_executor(
        self, executor: BaseExecutor | str, alias: str = "default", **options: Any
    ) -> None:
        """Add an executor; where the scheduler runs, its jobs that name it must be able to use it.

        Raises:
            InvalidArgumentError: as in ``start``, which checks the jobs that are added before it.
            ValueError: there is an executor of this alias.

        """
        if self.state != STATE_STOPPED and alias not in self._executors:
            if isinstance(executor, str):
                executor = self._create_plugin_instance("executor", executor, options)
                options = {}
            if isinstance(executor, BaseExecutor):
                for job in self.get_jobs():
                    if job.executor == alias:
                        _check_runs(job.id, job.func, alias, executor)
        super().add_executor(executor, alias, **options)

    def remove_job(self, job_id: str, jobstore: str | None = None) -> None:
        """Remove a job; APScheduler calls it as well, when a job's last fire time has gone by."""
        super().remove_job(job_id, jobstore)
        self._added.discard(job_id)

    @functools.cached_property
    def _added(self) -> set[str]:
        """The ids of the jobs that this process has added."""
        return set()

    def _remove_if_over(self, job: Job) -> None:
        """Remove a job whose trigger gave it no next run time: it would look like a paused one."""
        if job.next_run_time is None:
            self._logger.warning(
                "Job %r is not scheduled: its trigger %r never fires again", job.id, job.trigger
            )
            self.remove_job(job.id, job._jobstore_alias)  # noqa: SLF001

    def _next_fire_time(self, job_id: str, trigger: BaseTrigger) -> datetime | None:
        fire: datetime | None = trigger.get_next_fire_time(None, datetime.now(self.timezone))
        if fire is None and self.state != STATE_STOPPED:
            raise InvalidArgumentError(
                f"the trigger {trigger} never fires again, so that the job {job_id!r} would look "
                f"like a paused one; write remove_job({job_id!r}) if it is to end"
            )
        return fire

    def _check_changes(self, job: Job, changes: Mapping[str, Any]) -> None:
        """Check what a job would be after a change, as far as the change concerns it."""
        function = maybe_ref(changes.get("func", job.func))
        if changes.keys() & {"func", "executor"}:
            self._check_executor(job.id, function, changes.get("executor", job.executor))
        if changes.keys() & {"func", "args", "kwargs"}:
            arguments = (changes.get(name, getattr(job, name)) for name in ("args", "kwargs"))
            check_arguments(job.id, function, *arguments)
        if runs_once(function) and "func" in changes:
            check_id(function, job.id)
        if runs_once(function) and changes.keys() & {"func", "trigger"}:
            now = datetime.now(self.timezone)
            check_fire_times(job.id, changes.get("trigger", job.trigger), now)
        if runs_once(function):
            check_next_run_time(job.id, changes.get("next_run_time"))
            warn_of_instances(job.id, changes.get("max_instances", 1))

    def _check_executor(self, job_name: str, function: Callable[..., object], alias: str) -> None:
        _check_runs(job_name, function, alias, self._executors.get(alias))

    def _check_conflict(
        self, function: Callable[..., object], job_id: str | None, jobstore: str
    ) -> None:
        """Refuse to put another function into the place of a job that this process has added.

        What an earlier process has left in a persistent job store may be replaced: the code may
        have changed since.
        """
        if job_id not in self._added:
            return
        # Not get_job: before the start, a job that was added twice is there twice, the last one
        # is what counts.
        of_this_id = [job for job in self.get_jobs(jobstore) if job.id == job_id]
        if of_this_id and not is_same_function(of_this_id[-1].func, function):
            raise JobConflictError(
                f"the id {job_id!r} belongs to the job {name_of(of_this_id[-1].func)}, which would "
                f"vanish; give {name_of(function)} an id of its own, or write "
                "replace_existing=True in this call if it is to take its place"
            )

    def _checked_trigger(
        self,
        trigger: BaseTrigger | str | None,
        trigger_args: Mapping[str, object],
        allow_timezone: str | tzinfo | None,
    ) -> BaseTrigger:
        zone = as_zone(allow_timezone) if allow_timezone else self.timezone
        if not isinstance(trigger, BaseTrigger):
            check_trigger_arguments(trigger_args, zone)
            if not isinstance(trigger, str | None):
                return self._create_trigger(trigger, {})  # which is refused
            return named_trigger(trigger or "date", trigger_args, zone, self._create_trigger)
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


def _check_runs(
    job_name: str, function: Callable[..., object], alias: str, executor: BaseExecutor | None
) -> None:
    """Refuse a job on an executor that cannot run it as it is meant.

    Raises:
        InvalidArgumentError: a coroutine on an executor that cannot await it, or a job of ``once``
            on one that does not tell it its occurrence.

    """
    check_awaited(job_name, function, alias, executor)
    if runs_once(function):
        check_executor(job_name, alias, executor)
