"""Controls to move in JupyterLab, and a picture of what the real scheduler makes of them."""

from __future__ import annotations

from kst_scheduler.extras import require_extra

with require_extra("workbook", "the explorers"):
    from kst_workbook.explorers.live import live_timeline
    from kst_workbook.explorers.misfire import misfire_explorer
    from kst_workbook.explorers.replica import replica_explorer
    from kst_workbook.explorers.trigger import trigger_explorer

__all__ = ["live_timeline", "misfire_explorer", "replica_explorer", "trigger_explorer"]
