"""What a seed varies in a simulation: the order of threads, late wake-ups, and slow starts.

Each value is a hash of the seed and of the question, not the next number of a generator. So it is
the same on every machine and Python version, and does not depend on earlier questions.
"""

from __future__ import annotations

import hashlib
from typing import Final

from kst_scheduler.errors import InvalidArgumentError

MAX_LATENESS: Final = 2
"""Milliseconds by which a wake-up is late at most, in addition to the tick's 0.1."""
MAX_START_UP: Final = 499
"""Milliseconds that a process takes to start at most: less than APScheduler's grace time of 1 s."""


class Seed:
    """The answers of one seed; None: always the first of all possible ones.

    Raises:
        InvalidArgumentError: the seed is not an integer.

    """

    def __init__(self, seed: int | None) -> None:
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise InvalidArgumentError(f"seed={seed!r} is not an integer; write seed=1, or None")
        self._seed = seed

    def rank(self, strand: int, when: int) -> float:
        """Return the place of a strand among those that are due at one moment, from 0 to 1."""
        return self._draw("rank", strand, when)

    def lateness(self, strand: int, due: int) -> int:
        """Return how many milliseconds later than the tick a strand is woken."""
        return int(self._draw("lateness", strand, due) * (MAX_LATENESS + 1))

    def start_up(self, node: str, at: int) -> int:
        """Return how many milliseconds a process takes to start."""
        return int(self._draw("start", node, at) * (MAX_START_UP + 1))

    def _draw(self, *about: object) -> float:
        """Return a number from 0 to 1, without 1."""
        if self._seed is None:
            return 0.0
        text = repr((self._seed, *about))
        digest = hashlib.blake2b(text.encode(), digest_size=6).digest()
        return float(int.from_bytes(digest, "big") / 2**48)
