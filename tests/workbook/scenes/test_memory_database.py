from __future__ import annotations

import sqlite3
import warnings

import pytest

from kst_workbook.scenes.memory_database import connect_in_memory
from kst_workbook.scenes.recorded_nights import LessonDatabase


class Owner:
    """What has a database."""


def test_the_database_is_closed_with_its_owner() -> None:
    """Nobody has to think of it, and no Python warns."""
    owner = Owner()
    database = connect_in_memory(owner)
    database.execute("SELECT 1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del owner
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.execute("SELECT 1")


def test_the_lessons_database_is() -> None:
    """As its owner is the object that a notebook names ``db``."""
    lesson = LessonDatabase()
    database = lesson._sqlite
    lesson.clear()
    assert lesson._sqlite is database
    del lesson
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.execute("SELECT 1")
