"""What every test run has in common, the kernels that nbval starts included: they inherit this."""

from __future__ import annotations

import os

# As where the stored outputs are made (kst_scheduler.workbook.refresh.ENVIRONMENT), except for the
# hash seed: an output that depends on it shall be noticed.
os.environ.update(SOURCE_DATE_EPOCH="0", TQDM_DISABLE="1")
