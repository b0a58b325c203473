"""What the unit tests have in common."""

from __future__ import annotations

import os

import matplotlib as mpl
from hypothesis import settings

# By a call and not by MPLBACKEND: the notebooks' kernels would inherit the variable, and lose
# their inline pictures.
mpl.use("Agg")

# No deadline: a machine that is busy with something else is no defect.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
