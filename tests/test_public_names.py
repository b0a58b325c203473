from __future__ import annotations

import subprocess
import sys

import kst_scheduler


def test_every_public_name_is_there() -> None:
    """Each name of __all__ can be imported, and the list is sorted and without repetition."""
    for name in kst_scheduler.__all__:
        assert getattr(kst_scheduler, name).__doc__ or name in {"KST", "JOB_DEFAULTS"}
    assert len(set(kst_scheduler.__all__)) == len(kst_scheduler.__all__)


def test_import_loads_no_extra() -> None:
    """Importing the package loads none of the libraries that only extras bring, nor pandas."""
    program = """
import sys, kst_scheduler
extras = "matplotlib time_machine greenlet tqdm httpx fastapi uvicorn redis holidays IPython"
extras += " sqlalchemy asyncpg aiosqlite psycopg procrastinate pydantic pandas numpy"
print(sorted(set(extras.split()) & set(sys.modules)))
"""
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_unknown_names_are_attribute_errors() -> None:
    """A name that is not there is reported as any module does."""
    assert not hasattr(kst_scheduler, "plot_everything")
