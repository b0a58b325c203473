"""What a connection string of PostgreSQL means: to libpq, and to asyncpg in the same way.

The ledger connects by asyncpg, the queue by psycopg, which is libpq. asyncpg takes what it does not
know for a setting of the server, and libpq refuses it; asyncpg ignores most of a service. So the
string is read here, by libpq's rules (PostgreSQL 18, "Database Connection Control Functions"), and
what one of the two cannot honour is refused by name before anything connects.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlencode

from kst_scheduler.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE: Final = "postgresql://user:password@host:5432/database"
UNREADABLE: Final = (
    f"the ledger's URL cannot be read; write sqlite:///folder/ledger.db or {EXAMPLE}, with %40 for "
    "an @ and %2F for a / in the password"
)

# As libpq reads it: a user and a password are there only where an @ comes before the first slash.
_URI: Final = re.compile(
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^/@]*))?@)?"
    r"(?P<hosts>[^/?]*)(?:/(?P<dbname>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[^\]@]+)\]|(?P<name>[^:\[\]@]*))(?::(?P<port>\d*))?")

_TLS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _TLS,
    "ssl_max_protocol_version": _TLS,
    # A ledger and a queue write.
    "target_session_attrs": ("any", "read-write", "primary"),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8"),
    # What asyncpg does without being told.
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "gssdelegation": ("0",),
    "load_balance_hosts": ("disable",),
    "replication": ("0", "off", "no", "false"),
    "sslcertmode": ("allow",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
}
"""The values that both honour."""
_ASYNCPG_ARGUMENTS: Final = {
    "user": "user",
    "password": "password",
    "dbname": "database",
    "passfile": "passfile",
    "target_session_attrs": "target_session_attrs",
    "krbsrvname": "krbsrvname",
}
_ASYNCPG_SETTINGS: Final = ("options", "application_name")
_ASYNCPG_QUERY: Final = (
    *("sslmode", "sslnegotiation", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
"""asyncpg takes these only from a URI."""
_HONOURED: Final = {
    *(*_VALUES, *_ASYNCPG_ARGUMENTS, *_ASYNCPG_SETTINGS, *_ASYNCPG_QUERY),
    *("host", "port", "service", "connect_timeout", "fallback_application_name"),
}
_LIBPQ_ONLY: Final = {
    *("hostaddr", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    *("tcp_user_timeout", "sslcrldir", "requirepeer", "require_auth", "min_protocol_version"),
    *("max_protocol_version", "gsslib", "scram_client_key", "scram_server_key", "oauth_issuer"),
    *("oauth_client_id", "oauth_client_secret", "oauth_scope", "sslkeylogfile", "servicefile"),
}
_OF_ONE_NAME: Final = (
    *("host", "hostaddr", "port", "user", "password", "passfile", "options", "requirepeer"),
    *("krbsrvname", "gssencmode", "gssdelegation", "sslmode", "sslnegotiation", "sslcompression"),
    *("sslcert", "sslkey", "sslcertmode", "sslrootcert", "sslcrl", "sslcrldir", "sslsni"),
)
_ENVIRONMENT: Final = {
    **{name: f"PG{name.upper()}" for name in _OF_ONE_NAME},
    "dbname": "PGDATABASE",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "require_auth": "PGREQUIREAUTH",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
"""The variables that libpq reads (PostgreSQL 18, "Environment Variables"), of which
asyncpg reads about half. PGGSSLIB is left to the drivers, which both read it."""
_SESSION: Final = {"PGDATESTYLE": "datestyle", "PGTZ": "timezone", "PGGEQO": "geqo"}
"""Those that libpq sends as settings of the session."""


@dataclass(frozen=True, repr=False)
class ConnectionString:
    """What a connection string says, checked: libpq's parameters by their names."""

    parameters: Mapping[str, str]
    session: Mapping[str, str] = field(default_factory=dict)
    """Settings of the session that libpq takes from the environment by itself."""

    drivername = "postgresql"

    def __repr__(self) -> str:
        return f"ConnectionString({self.shown()!r})"

    def shown(self) -> str:
        """Return it as messages show it, without password and options."""
        user = quote(self.parameters.get("user", ""), safe="")
        password = ":***" if "password" in self.parameters else ""
        at = "@" if user or password else ""
        hosts = ",".join(
            (f"[{host}]" if ":" in host else quote(host, safe="")) + (f":{port}" if port else "")
            for host, port in self._places()
        )
        database = self.parameters.get("dbname")
        path = "" if database is None else f"/{quote(database, safe='')}"
        return f"postgresql://{user}{password}{at}{hosts}{path}"

    def for_psycopg(self) -> dict[str, str]:
        """Return the keyword arguments of ``psycopg.conninfo.make_conninfo``."""
        return dict(self.parameters)

    def for_asyncpg(self) -> list[dict[str, Any]]:
        """Return the keyword arguments of ``asyncpg.connect``, once for each host in turn.

        asyncpg tries several hosts by itself, but within one timeout, which a host that does not
        answer would use up. ``timeout`` is ``connect_timeout``, where that is given.
        """
        given = self.parameters
        common: dict[str, Any] = {
            argument: given[name] for name, argument in _ASYNCPG_ARGUMENTS.items() if name in given
        }
        settings = dict(self.session)
        settings |= {name: given[name] for name in _ASYNCPG_SETTINGS if name in given}
        if "fallback_application_name" in given:
            settings.setdefault("application_name", given["fallback_application_name"])
        if settings:
            common["server_settings"] = settings
        if given.get("sslrootcert") == "system":
            common["ssl"] = True  # the system's certificates, and verify-full, as in libpq
        elif query := {name: given[name] for name in _ASYNCPG_QUERY if name in given}:
            common["dsn"] = f"postgresql://?{urlencode(query)}"
        if "connect_timeout" in given:
            common["timeout"] = float(given["connect_timeout"])
        return [common | _place(host, port) for host, port in self._places()]

    def _places(self) -> list[tuple[str, str]]:
        """Return the hosts and their ports; "" where there is none."""
        hosts = self.parameters.get("host", "").split(",")
        ports = self.parameters.get("port", "").split(",")
        return list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True))


def _place(host: str, port: str) -> dict[str, Any]:
    return ({"host": host} if host else {}) | ({"port": int(port)} if port else {})


def read_connection_string(text: str) -> ConnectionString:
    """Return what ``postgresql://...`` says, by libpq's rules, with what its service adds.

    Raises:
        InvalidArgumentError: it cannot be read, or asyncpg or libpq could not honour it; the
            message names the parameter, and shows no secret.

    """
    uri = _URI.fullmatch(text.partition("://")[2])
    if uri is None:
        raise InvalidArgumentError(UNREADABLE)
    given = {
        name: _decoded(uri[name])
        for name in ("user", "password", "dbname")
        if uri[name] is not None
    }
    given |= _hosts(uri["hosts"]) | _query(uri["query"] or "")
    environment = os.environ
    # In libpq's order: the string, its service, the environment. An empty value is the default of
    # everything but a password.
    if service := given.pop("service", "") or environment.get("PGSERVICE", ""):
        given = _service(service) | {name: value for name, value in given.items() if value}
    given = {name: value for name, value in given.items() if value}
    variables = {
        name: variable
        for name, variable in _ENVIRONMENT.items()
        if name not in given and environment.get(variable)
    }
    given |= {name: environment[variable] for name, variable in variables.items()}
    if environment.get("PGREQUIRESSL", "").startswith("1"):
        given.setdefault("sslmode", "require")
    try:
        _check(given)
    except _RefusedError as error:
        name, value, reason = error.args
        variable = variables.get(name)
        whose = f"the environment's {variable}" if variable else f"the connection string's {name}"
        raise InvalidArgumentError(
            f"{whose}{value} cannot be honoured: {reason}; change it, or leave it out"
        ) from None
    if int(given.get("connect_timeout", "0")) == 0:  # "wait without an end", which nobody here does
        given.pop("connect_timeout", None)
    session = {_SESSION[name]: environment[name] for name in _SESSION if environment.get(name)}
    return ConnectionString(given, session)


def _decoded(text: str) -> str:
    """Decode %40 and its like; unlike in a form, a plus sign is a plus sign."""
    if re.search("%(?![0-9A-Fa-f]{2})|%00", text):
        raise InvalidArgumentError(UNREADABLE)
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgumentError(UNREADABLE) from None


def _hosts(text: str) -> dict[str, str]:
    """Return host and port of ``a:1,b:2``; each a list as long as there are hosts."""
    found = [_HOST.fullmatch(each) for each in text.split(",")]
    if not all(found):
        raise InvalidArgumentError(UNREADABLE)
    places = [
        (_decoded(each["ipv6"] or each["name"]), each["port"] or "") for each in found if each
    ]
    hosts, ports = (",".join(part) for part in zip(*places, strict=True))
    return {"host": hosts} | ({"port": ports} if ports.strip(",") else {})


def _query(text: str) -> dict[str, str]:
    """Return the parameters after the question mark; of two of a name the later one counts."""
    given: dict[str, str] = {}
    for part in text.split("&") if text else ():
        name, separator, value = map(_decoded, part.partition("="))
        if not separator or "=" in part.partition("=")[2]:
            raise InvalidArgumentError(
                "what comes after the ? of the connection string is not name=value&name=value; "
                "write %26 for an & and %3D for an = in a value"
            )
        if (name, value) == ("ssl", "true"):  # JDBC's, which libpq knows
            name, value = "sslmode", "require"
        given[name] = value
    return given


def _service(name: str) -> dict[str, str]:
    """Return the parameters of a service, from the file that libpq would read."""
    home = Path(os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf")
    files = [
        home,
        Path(os.environ.get("PGSYSCONFDIR", "/etc/postgresql-common"), "pg_service.conf"),
    ]
    for file in files:
        try:
            text = file.read_text("utf-8") if file.exists() else ""
        except (OSError, UnicodeDecodeError):
            raise InvalidArgumentError(f"the file of services {file} cannot be read") from None
        given = _section(text, name, file)
        if given is not None:
            return given
    raise InvalidArgumentError(
        f"the connection string's service={name!r} is in none of "
        f"{', '.join(map(str, files))}; write its section there, or leave it out"
    )


def _section(text: str, name: str, file: Path) -> dict[str, str] | None:
    """Return a section as libpq reads it: lines may be indented, and the first value counts."""
    given: dict[str, str] | None = None
    lines = [line.strip(" \t\n\r\v\f") for line in text.split("\n")]
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line[:1] not in {"", "#"}]
    for number, line in numbered:
        if line.startswith("["):
            if given is not None:
                break
            given = {} if line[1:].startswith(f"{name}]") else None
            continue
        key, separator, value = line.partition("=")
        is_readable = separator and key not in {"service", "servicefile"}
        if numbered[0][1][0] != "[" or (given is not None and not is_readable):
            raise InvalidArgumentError(
                f"the file of services {file} cannot be read: line {number} is not a [section], or "
                "a name=value that belongs into one"
            )
        if given is not None:
            given.setdefault(key, value)
    return given


class _RefusedError(Exception):
    """Raised with a parameter's name, its value as it is shown, and what is wrong with it."""


def _check(given: Mapping[str, str]) -> None:
    """Refuse what one of the two drivers could not honour."""
    for name, value in given.items():
        if name in _LIBPQ_ONLY:
            raise _RefusedError(name, "", "asyncpg, by which the ledger connects, cannot do that")
        if name not in _HONOURED:
            raise _RefusedError(
                name,
                "",
                "libpq has no such parameter; a setting of the server is options=-c name=value",
            )
        if name in _VALUES and value not in _VALUES[name]:
            raise _RefusedError(name, f"={value!r}", f"it can be {', '.join(_VALUES[name])}")
    timeout = given.get("connect_timeout", "0")
    if not re.fullmatch(r"\s*\d{1,9}\s*", timeout):
        raise _RefusedError("connect_timeout", f"={timeout!r}", "it is whole seconds")
    _check_places(given.get("host", ""), given.get("port", ""))
    if given.get("sslrootcert") == "system":
        others = {"sslcert", "sslkey", "sslcrl", "sslpassword"} & given.keys()
        if others or given.get("sslmode", "verify-full") != "verify-full":
            raise _RefusedError(
                "sslrootcert", "='system'", "it goes with sslmode=verify-full alone"
            )


def _check_places(host: str, port: str) -> None:
    hosts, ports = host.split(","), port.split(",")
    if len(ports) not in {1, len(hosts)}:
        raise _RefusedError("port", "", f"there are {len(hosts)} hosts, and {len(ports)} ports")
    if len(hosts) > 1 and not all(hosts):
        raise _RefusedError("host", "", "one of several hosts is empty")
    for each in ports:
        if each and not (re.fullmatch(r"\d{1,5}", each) and 0 < int(each) < 2**16):
            raise _RefusedError("port", "", "a port is a number from 1 to 65535")
