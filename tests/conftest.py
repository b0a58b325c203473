"""What the unit tests have in common."""

from __future__ import annotations

import matplotlib as mpl
from hypothesis import settings

# By a call and not by MPLBACKEND: the notebooks' kernels would inherit the variable, and lose
# their inline pictures.
mpl.use("Agg")

# No deadline: a machine that is busy with something else is no defect. The same examples every
# time: a test does not depend on luck. `--hypothesis-profile=fresh` draws new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("fresh", deadline=None)
settings.load_profile("fixed")
