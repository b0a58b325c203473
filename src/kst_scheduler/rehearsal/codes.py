"""All kinds of findings: each module has them as data, beside the checks that find them.

KST001 to KST020 are the gotchas of notebook 10, with its numbers.
"""

from __future__ import annotations

from kst_scheduler.rehearsal import run_codes, service_codes, trigger_codes

__all__ = ["run_codes", "service_codes", "trigger_codes"]
