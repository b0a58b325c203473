"""Messages of a logger are collected as they come."""

from __future__ import annotations

import logging

from kst_workbook.scenes.log_messages import messages_of


def test_later_warnings_are_in_the_list_and_nothing_else() -> None:
    """Neither earlier ones, nor those below WARNING, nor those of other loggers."""
    logger = logging.getLogger("tests.log_messages")
    logger.warning("before")
    messages = messages_of("tests.log_messages")
    try:
        logger.info("below")
        logging.getLogger("tests.another").warning("elsewhere")
        logger.warning("attempt %d failed", 1)
    finally:
        logger.handlers.clear()
    assert messages == ["attempt 1 failed"]
