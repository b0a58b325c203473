"""No figure is left, and what looks at pictures."""

from __future__ import annotations

from seen_pictures import no_figure_left, see

__all__ = ["no_figure_left", "see"]
