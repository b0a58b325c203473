"""Pictures of runs and fire times, in KST with UTC above.

matplotlib is imported here and nowhere else in this package.
"""

from __future__ import annotations

from kst_scheduler.extras import require_extra

with require_extra("plots", "a picture"):
    from kst_scheduler.timeline.calendar_picture import plot_month
    from kst_scheduler.timeline.fires_picture import plot_fire_times
    from kst_scheduler.timeline.lateness_picture import plot_lateness
    from kst_scheduler.timeline.runs_picture import plot_timeline
    from kst_scheduler.timeline.style import FontWarning
    from kst_scheduler.timeline.year_picture import plot_year

__all__ = [
    "FontWarning",
    "plot_fire_times",
    "plot_lateness",
    "plot_month",
    "plot_timeline",
    "plot_year",
]
