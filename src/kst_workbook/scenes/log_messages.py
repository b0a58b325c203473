"""What a logger has said, for a cell that waits for it."""

from __future__ import annotations

import logging


def messages_of(name: str) -> list[str]:
    """Return a list to which each later message of the logger is added, from WARNING on."""
    messages: list[str] = []
    logging.getLogger(name).addHandler(_Collector(messages))
    return messages


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())
