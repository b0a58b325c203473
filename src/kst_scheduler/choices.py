"""What an option of the command can be, and what it commands knows by the same name.

It stands apart because ``--help`` shows it, which needs no extra.
"""

from __future__ import annotations

from typing import Final

LEVELS: Final = ("note", "warning", "error")
"""Of a finding, from the lowest."""
FORMS: Final = ("text", "json", "github", "sarif")
"""In which a rehearsal is printed."""
LOG_FORMS: Final = ("text", "json")
"""In which is printed what a log means."""
UNITS: Final = {"s": 1, "m": 60, "h": 3600}
"""The seconds of each unit of a span, such as 20m."""
