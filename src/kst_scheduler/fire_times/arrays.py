"""Instants in arrays: apart from the integers, which a process without numpy has use for, too."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.int64]

NONE: Final[Instants] = np.empty(0, dtype=np.int64)
