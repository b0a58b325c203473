"""Exercises that answer at once: check, hint, solution and progress.

An exercise is a judge: a function of the reader's answer that runs it, mostly in a simulation, and
says what it does. Each is a module of ``questions``, named by its number and its subject.
"""

from kst_scheduler.extras import require_extra

with require_extra("workbook", "the exercises"):
    from kst_workbook.exercises.commands import check, hint, progress, solution

__all__ = ["check", "hint", "progress", "solution"]
