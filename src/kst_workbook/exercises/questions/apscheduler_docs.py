"""Pages of APScheduler's documentation that several exercises name."""

from __future__ import annotations

from typing import Final

USER_GUIDE: Final = "https://apscheduler.readthedocs.io/en/3.x/userguide.html"
TROUBLESHOOTING: Final = f"{USER_GUIDE}#troubleshooting"
CRON_TRIGGER: Final = "https://apscheduler.readthedocs.io/en/3.x/modules/triggers/cron.html"
