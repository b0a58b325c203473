"""Every fire time of a trigger in a span: the answers of APScheduler's own loop, at once.

For cron and interval triggers they are computed as arrays, thousands of times faster than by
asking; other triggers are asked. What is returned is what the library answers, its faults around
daylight saving time included.
"""

from kst_scheduler.fire_times.spans import fire_times

__all__ = ["fire_times"]
