from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from in_loop import in_loop
from kst_scheduler.distributed import task_app
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.ledger.connection_string import (
    _ENVIRONMENT,
    ConnectionString,
    read_connection_string,
)
from ledgers import opened, request

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
VALUES = {
    "connect_timeout": st.integers(1, 99).map(str),
    "application_name": TEXTS,
    "options": TEXTS,
    "sslmode": st.sampled_from(["disable", "prefer", "require", "verify-full"]),
    "target_session_attrs": st.sampled_from(["any", "read-write", "primary"]),
    "channel_binding": st.just("prefer"),
    "passfile": TEXTS,
    "dbname": TEXTS,
    "host": st.sampled_from(["db", "a,b", "::1", "/run/postgresql"]),
    "user": TEXTS,
    "password": TEXTS,
}
HOSTS = st.lists(
    st.tuples(st.sampled_from(["db", "10.0.0.1", "[::1]", "%2Frun%2Fpg"]), st.integers(0, 65535)),
    min_size=1,
    max_size=3,
)


@st.composite
def uris(draw: st.DrawFn) -> str:
    """Return a URI that libpq and asyncpg both understand, of any shape."""
    encoded = TEXTS.map(lambda text: quote(text, safe=""))
    login = draw(st.none() | encoded | st.tuples(encoded, encoded).map(":".join))
    hosts = ",".join(f"{host}:{port}" if port else host for host, port in draw(HOSTS))
    database = draw(st.just("") | encoded.map("/{}".format))
    names = draw(st.lists(st.sampled_from(sorted(VALUES.keys() - {"host"})), max_size=3))
    query = "&".join(f"{name}={quote(draw(VALUES[name]), safe='')}" for name in names)
    at = "" if login is None else f"{login}@"
    return f"postgresql://{at}{hosts or 'db'}{database}{'?' + query if query else ''}"


@given(uris())
def test_it_is_read_as_libpq_reads_it(uri: str) -> None:
    """The same names and the same values, whatever is encoded in them."""
    theirs = {name: value for name, value in conninfo_to_dict(uri).items() if str(value).strip(",")}
    assert read_connection_string(uri).for_psycopg() == theirs


@pytest.mark.parametrize(
    ("uri", "arguments"),
    [
        ("postgresql://", [{}]),
        ("postgresql:///crawl", [{"database": "crawl"}]),
        (
            "postgresql://a%40b:p%2Fw+@db:5433/crawl",
            [{"user": "a@b", "password": "p/w+", "host": "db", "port": 5433, "database": "crawl"}],
        ),
        ("postgresql://db?connect_timeout=10", [{"host": "db", "timeout": 10.0}]),
        ("postgresql://db?connect_timeout=0&sslsni=1&application_name=", [{"host": "db"}]),
        (
            "postgresql://db?application_name=kst&options=-c%20jit%3Doff",
            [
                {
                    "host": "db",
                    "server_settings": {"application_name": "kst", "options": "-c jit=off"},
                }
            ],
        ),
        (
            "postgresql://db?fallback_application_name=kst",
            [{"host": "db", "server_settings": {"application_name": "kst"}}],
        ),
        (
            "postgresql://a:1,[::1]:2,c/x",
            [
                {"host": "a", "port": 1, "database": "x"},
                {"host": "::1", "port": 2, "database": "x"},
                {"host": "c", "database": "x"},
            ],
        ),
        ("postgresql://?host=a,b&port=7", [{"host": "a", "port": 7}, {"host": "b", "port": 7}]),
        ("postgresql://%2Frun%2Fpg/x", [{"host": "/run/pg", "database": "x"}]),
        (
            "postgresql://db?ssl=true&sslrootcert=/ca+1.pem",
            [{"host": "db", "dsn": "postgresql://?sslmode=require&sslrootcert=%2Fca%2B1.pem"}],
        ),
        ("postgresql://db?sslrootcert=system", [{"host": "db", "ssl": True}]),
        (
            "postgresql://db?target_session_attrs=read-write",
            [{"host": "db", "target_session_attrs": "read-write"}],
        ),
        ("postgresql://u@db/x?dbname=y&user=v", [{"host": "db", "database": "y", "user": "v"}]),
    ],
)
def test_what_asyncpg_is_told(uri: str, arguments: list[dict[str, Any]]) -> None:
    """What asyncpg cannot read from a URI is an argument of its own; each host has its turn."""
    assert read_connection_string(uri).for_asyncpg() == arguments


CANNOT = "the connection string's {} cannot be honoured: "
REFUSED = [
    (
        "channel_binding=require",
        CANNOT.format("channel_binding='require'") + "it can be disable, pr",
    ),
    ("target_session_attrs=standby", CANNOT.format("target_session_attrs='standby'")),
    ("load_balance_hosts=random", CANNOT.format("load_balance_hosts='random'")),
    ("sslmode=required", CANNOT.format("sslmode='required'") + "it can be disable, allow, prefer"),
    ("client_encoding=EUC_KR", CANNOT.format("client_encoding='EUC_KR'")),
    ("connect_timeout=2.5", CANNOT.format("connect_timeout='2.5'") + "it is whole seconds"),
    ("connect_timeout=-1", CANNOT.format("connect_timeout='-1'")),
    ("hostaddr=10.0.0.1", CANNOT.format("hostaddr") + "asyncpg, by which the ledger connects"),
    ("keepalives_idle=30", CANNOT.format("keepalives_idle")),
    ("require_auth=scram-sha-256", CANNOT.format("require_auth")),
    ("sslpassword=hidden&tcp_user_timeout=1", CANNOT.format("tcp_user_timeout")),
    ("jit=off", CANNOT.format("jit") + "libpq has no such parameter; a setting of the server is"),
    ("statement_cache_size=0", CANNOT.format("statement_cache_size")),
    ("Host=db", CANNOT.format("Host")),
    ("port=0", CANNOT.format("port") + "a port is a number from 1 to 65535"),
    ("port=65536", CANNOT.format("port")),
    ("port=x", CANNOT.format("port")),
    ("host=a,b&port=1,2,3", CANNOT.format("port") + "there are 2 hosts, and 3 ports"),
    ("host=a,,b", CANNOT.format("host") + "one of several hosts is empty"),
    ("sslrootcert=system&sslmode=require", CANNOT.format("sslrootcert='system'")),
    ("service=nowhere", "service='nowhere' is in none of "),
    ("hidden", "is not name=value"),
    ("options=-c%20x=y", "is not name=value"),
]


@pytest.mark.parametrize(("query", "message"), REFUSED, ids=[query for query, _ in REFUSED])
def test_what_cannot_be_honoured_is_refused_by_name(
    query: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the ledger and by the queue alike, before anything connects, and without a secret."""
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    uri = f"postgresql://app:hidden@db/crawl?{query}"
    for open_ in (SqlLedger, task_app):
        with pytest.raises(InvalidArgumentError) as caught:
            open_(uri)
        assert message in str(caught.value)
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://app:hid@den@db/crawl",
        "postgresql://app:hid/den@db/crawl",
        "postgresql://app:hid%4@db/crawl",
        "postgresql://app:hid%00den@db/crawl",
        "postgresql://app:hidden%ff@db/crawl",
        "postgresql://app:hidden@[::1/crawl",
        "postgresql://app:hidden@::1/crawl",
    ],
)
def test_a_password_that_is_not_encoded(uri: str) -> None:
    """Where it would mean something else to libpq, the message says how to write it."""
    with pytest.raises(InvalidArgumentError, match=r"cannot be read; .* %40 for an @ and %2F") as e:
        SqlLedger(uri)
    assert "hid" not in str(e.value)


def test_messages_show_no_secret() -> None:
    """Neither the repr nor what is shown has the password or an option."""
    said = read_connection_string("postgresql://a%40b:hidden@[::1]:5,c/x?sslpassword=hidden")
    assert said.shown() == "postgresql://a%40b:***@[::1]:5,c/x"
    assert repr(said) == "ConnectionString('postgresql://a%40b:***@[::1]:5,c/x')"
    assert read_connection_string("postgresql://?password=hidden").shown() == "postgresql://:***@"
    assert str(said) == repr(said)


def test_a_service_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the string says itself wins; what cannot be honoured is refused there, too."""
    file = tmp_path / "services"
    file.write_text(
        "# ours\n[crawl]\nhost=db\nport=6432\ndbname=crawl\npassword=p%w#d\nconnect_timeout=3\n"
        "[old]\nhost=db\nkeepalives=1\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    expected = {
        "host": "db",
        "port": "6432",
        "dbname": "other",
        "password": "p%w#d",
        "connect_timeout": "3",
    }
    said = read_connection_string("postgresql:///other?service=crawl")
    assert said.for_psycopg() == expected
    monkeypatch.setenv("PGSERVICE", "crawl")
    assert read_connection_string("postgresql:///other").for_psycopg() == expected
    with pytest.raises(InvalidArgumentError, match="keepalives cannot be honoured"):
        read_connection_string("postgresql://?service=old")


def test_a_service_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the home folder, where no variable names a file; what is no text there is named."""
    monkeypatch.delenv("PGSERVICEFILE", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    file = tmp_path / ".pg_service.conf"
    file.write_text("[crawl]\nhost=db\n")
    assert read_connection_string("postgresql://?service=crawl").for_psycopg() == {"host": "db"}
    file.write_bytes(b"[crawl]\nhost=\xff\n")
    with pytest.raises(InvalidArgumentError, match=r"services .*pg_service.conf cannot be read"):
        read_connection_string("postgresql://?service=crawl")
    file.unlink()
    file.mkdir()
    with pytest.raises(InvalidArgumentError, match=r"services .*pg_service.conf cannot be read"):
        read_connection_string("postgresql://?service=crawl")


def test_a_service_of_the_whole_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is looked for after that of the user."""
    (tmp_path / "pg_service.conf").write_text("[crawl]\nhost=db\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "none"))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path))
    assert read_connection_string("postgresql://?service=crawl").for_psycopg() == {"host": "db"}
    (tmp_path / "pg_service.conf").write_text("host=db\n")
    with pytest.raises(InvalidArgumentError, match=r"services .*pg_service.conf cannot be read"):
        read_connection_string("postgresql://?service=crawl")


def test_the_environment_of_libpq_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asyncpg does not read it by itself."""
    monkeypatch.setenv("PGOPTIONS", "-c search_path=crawl")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "4")
    monkeypatch.setenv("PGAPPNAME", "kst")
    (told,) = read_connection_string("postgresql://db?application_name=mine").for_asyncpg()
    assert told["timeout"] == 4
    assert told["server_settings"] == {
        "application_name": "mine",
        "options": "-c search_path=crawl",
    }


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PGHOSTADDR", "127.0.0.9", "asyncpg, by which the ledger connects, cannot do that"),
        ("PGREQUIREAUTH", "scram-sha-256", "asyncpg, by which"),
        ("PGREQUIREPEER", "postgres", "asyncpg, by which"),
        ("PGSSLCRLDIR", "/crl", "asyncpg, by which"),
        ("PGMINPROTOCOLVERSION", "3.2", "asyncpg, by which"),
        ("PGMAXPROTOCOLVERSION", "3.2", "asyncpg, by which"),
        ("PGCHANNELBINDING", "require", "it can be disable, prefer"),
        ("PGCLIENTENCODING", "EUC_KR", "it can be utf8"),
        ("PGGSSENCMODE", "require", "it can be disable, prefer"),
        ("PGGSSDELEGATION", "1", "it can be 0"),
        ("PGSSLCERTMODE", "require", "it can be allow"),
        ("PGSSLCOMPRESSION", "1", "it can be 0"),
        ("PGSSLSNI", "0", "it can be 1"),
        ("PGSSLMODE", "required", "it can be disable"),
        ("PGTARGETSESSIONATTRS", "standby", "it can be any, read-write, primary"),
        ("PGLOADBALANCEHOSTS", "random", "it can be disable"),
        ("PGCONNECT_TIMEOUT", "2.5", "it is whole seconds"),
        ("PGPORT", "1,2", "there are 1 hosts, and 2 ports"),
    ],
)
def test_a_variable_that_cannot_be_honoured_is_refused_by_name(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that only the queue would follow, say; an empty one is the default."""
    monkeypatch.setenv(variable, value)
    for open_ in (SqlLedger, task_app):
        with pytest.raises(InvalidArgumentError) as caught:
            open_("postgresql://app:hidden@db/crawl")
        said = str(caught.value)
        assert said.startswith(f"the environment's {variable}")
        assert message in said
    monkeypatch.setenv(variable, "")
    assert read_connection_string("postgresql://db").for_psycopg() == {"host": "db"}


def test_every_variable_of_libpq_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the installed libpq, so that a new one is not overlooked."""
    known = {
        default.envvar.decode(): default.keyword.decode()
        for default in Conninfo.get_defaults()
        if default.envvar
    }
    assert len(known) > 30
    for variable in known.keys() - {"PGSERVICE", "PGSERVICEFILE", "PGGSSLIB"}:
        assert _ENVIRONMENT[known[variable]] == variable
    for variable, name in known.items():
        monkeypatch.delenv(variable, raising=False)
        if name in {"user", "password", "dbname", "host", "sslcert", "krbsrvname", "passfile"}:
            monkeypatch.setenv(variable, f"of-{name}")
    (told,) = read_connection_string("postgresql://u@/").for_asyncpg()
    assert told == {
        "user": "u",
        "password": "of-password",
        "database": "of-dbname",
        "host": "of-host",
        "passfile": "of-passfile",
        "krbsrvname": "of-krbsrvname",
        "dsn": "postgresql://?sslcert=of-sslcert",
    }


def test_the_old_variable_for_tls_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else says what it shall be."""
    monkeypatch.setenv("PGREQUIRESSL", "1")
    assert read_connection_string("postgresql://").for_psycopg() == {"sslmode": "require"}
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert read_connection_string("postgresql://").for_psycopg() == {"sslmode": "disable"}


def test_a_service_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And the connection string over both, as in libpq."""
    (tmp_path / "services").write_text("[crawl]\nhost=db\nuser=ours\noptions=-c jit=off\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    for variable, value in {"PGUSER": "theirs", "PGOPTIONS": "-c a=b", "PGHOST": "h"}.items():
        monkeypatch.setenv(variable, value)
    said = read_connection_string("postgresql://mine@/?service=crawl").for_psycopg()
    assert said == {"host": "db", "user": "mine", "options": "-c jit=off"}


def test_a_file_of_services_is_read_as_libpq_reads_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its lines may be indented, of two values the first counts, and of two sections as well."""
    file = tmp_path / "services"
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    file.write_text(
        "[other]\nhost=no\nnonsense\n  [crawl] \nhost=db\n  user=app\n\tpassword= hid # den \r\n"
        "   # a note\n\nuser=b\n[crawl]\nport=7\n"
    )
    said = read_connection_string("postgresql:///x?service=crawl")
    expected = {"host": "db", "user": "app", "password": " hid # den", "dbname": "x"}
    assert said.for_psycopg() == expected
    for text in ("host=db\nhidden\n", "service=other\n", " service=other", "servicefile=/x"):
        file.write_text(f"[crawl]\n{text}")
        with pytest.raises(InvalidArgumentError, match=r"cannot be read: line \d is not") as caught:
            read_connection_string("postgresql:///x?service=crawl")
        assert "hidden" not in str(caught.value)
    file.write_text("[crawl]\nhost = db\n")  # to libpq the name is "host "
    with pytest.raises(InvalidArgumentError, match="libpq has no such parameter"):
        read_connection_string("postgresql:///x?service=crawl")


def test_an_ipv6_address_has_its_zone() -> None:
    """Encoded in the string, as its percent sign must be."""
    uri = "postgresql://[fe80::1%25eth0]:5/x"
    said = read_connection_string(uri)
    assert said.for_psycopg() == conninfo_to_dict(uri)
    assert said.for_asyncpg() == [{"host": "fe80::1%eth0", "port": 5, "database": "x"}]
    with pytest.raises(InvalidArgumentError):
        read_connection_string("postgresql://[fe80::1%eth0]/x")  # nor does libpq read it


SETTINGS = (
    "SELECT current_setting('application_name') AS name, current_setting('work_mem') AS memory, "
    "current_setting('client_encoding') AS encoding, current_setting('timezone') AS zone, "
    "current_setting('datestyle') AS style, current_setting('geqo') AS geqo"
)


@in_loop
async def test_both_drivers_do_what_it_says(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger and a queue are opened by one string, and have the same session."""
    for variable, value in {"PGTZ": "Asia/Tokyo", "PGDATESTYLE": "SQL", "PGGEQO": "off"}.items():
        monkeypatch.setenv(variable, value)
    uri = (
        f"{postgres_url}?connect_timeout=10&application_name=%EC%95%BC%EA%B0%84+1&sslmode=prefer"
        "&options=-c%20work_mem%3D1234kB&target_session_attrs=read-write&channel_binding=prefer"
        "&client_encoding=UTF8&gssencmode=disable"
    )
    async with opened(SqlLedger(uri)) as ledger, task_app(uri).open_async() as app:
        assert (await ledger.claim(request())).attempt == 1
        (ours,) = await ledger._database._fetch_by_driver(SETTINGS, [])
        (theirs,) = await app.connector.execute_query_all_async(SETTINGS)
        assert dict(ours) == theirs
        assert (ours["memory"], ours["encoding"]) == ("1234kB", "UTF8")
        assert (ours["zone"], ours["style"][:3], ours["geqo"]) == ("Asia/Tokyo", "SQL", "off")


@in_loop
async def test_hosts_are_tried_in_turn(postgres_url: str) -> None:
    """One that is down, and one that never answers, cost their time and no more."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        port = silent.getsockname()[1]
        login, _, place = postgres_url.partition("@")
        uri = f"{login}@127.0.0.1:9,127.0.0.1:{port},{place}?connect_timeout=1"
        async with opened(SqlLedger(uri)) as ledger, task_app(uri).open_async():
            assert (await ledger.claim(request())).attempt == 1


def test_a_connection_string_is_a_value() -> None:
    """Two that say the same are equal."""
    assert read_connection_string("postgresql://db") == ConnectionString({"host": "db"})
