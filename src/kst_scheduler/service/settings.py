"""What a service gets from the environment: where its components are, and its key."""

from __future__ import annotations

import os
from collections.abc import Callable  # noqa: TC003 - pydantic reads the annotations
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_extra
from kst_scheduler.scheduler.guards import nearest
from kst_scheduler.scheduler.stored_names import require_name

with require_extra("service", "the settings of a service"):
    from pydantic import AfterValidator, Field, SecretStr, ValidationError
    from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

PREFIX: Final = "KST_SCHEDULER_"
MIN_KEY_LENGTH: Final = 16
"""An admin key has as many characters or more."""


def _check_admin_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < MIN_KEY_LENGTH:
        raise ValueError(
            f"it has {len(text)} characters, and a key that short can be guessed; write "
            f"{MIN_KEY_LENGTH} or more, such as the output of: openssl rand -hex 32"
        )
    if not all("!" <= letter <= "~" for letter in text):
        raise ValueError(
            "it has a blank or a character beyond ASCII, which clients send in several ways; "
            "write letters, digits and punctuation, such as the output of: openssl rand -hex 32"
        )
    return key


def _check_address(address: SecretStr) -> SecretStr | None:
    """Take an empty address for none, as a compose file's ``${REDIS_URL:-}`` gives it."""
    text = address.get_secret_value().strip()
    if text and "://" not in text:
        raise ValueError("it is no address; write scheme://user:password@host:port/name")
    return SecretStr(text) if text else None


def _check_namespace(namespace: str) -> str:
    return require_name(namespace, "namespace")


AdminKey = Annotated[SecretStr, AfterValidator(_check_admin_key)]
Address = Annotated[SecretStr, AfterValidator(_check_address)]
Namespace = Annotated[str, AfterValidator(_check_namespace)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Named(BaseSettings):
    """Settings whose errors name the environment's variable, and never show its value."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_name=True,
    )

    def __init__(self, **values: Any) -> None:
        for name in sorted(values.keys() - type(self).model_fields.keys()):
            raise InvalidArgumentError(
                f"there is no setting {name!r}{nearest(name, type(self).model_fields)}"
            )
        _check_environment({name.upper(): _variable(name) for name in type(self).model_fields})
        try:
            super().__init__(**values)
        except ValidationError as error:
            said = "; ".join(map(_in_words, error.errors(include_url=False, include_input=False)))
            raise InvalidArgumentError(said) from None


class Settings(_Named):
    """Everything that a service needs to know; what is not given is read from the environment.

    Each setting is the environment's KST_SCHEDULER_ and its name in capitals, but for REDIS_URL
    and DATABASE_URL, which have no prefix. Keys and addresses are in no repr and in no error.

    Raises:
        InvalidArgumentError: a value cannot be meant, or a KST_SCHEDULER_ variable is unknown; the
            message names the nearest known one.

    """

    jobs: str | Callable[..., object] | None = None
    """A function that is called with the ``Service`` and adds its jobs, or "module:function".

    A service without one is not opened."""

    admin_key: AdminKey | None = None
    """Opens the admin API and the timeline page; without a key both are off."""

    database_url: Address | None = Field(default=None, validation_alias="DATABASE_URL")
    """Where the ledger is: postgresql://... or sqlite:///...; without it, in memory."""

    namespace: Namespace = ""
    """The service's own part of a ledger that it shares with other services."""

    redis_url: Address | None = Field(default=None, validation_alias="REDIS_URL")
    """A Redis for jobs that lock; without it, ``Service.redis`` is None."""

    alert_url: Address | None = None
    """Is sent what should have run and did not, as a POST of JSON."""

    docs: bool = False
    """Whether /docs shows the API; its page loads a script from another site (cdn.jsdelivr.net)."""

    start_timeout: Seconds = 30.0
    """How many seconds to wait for a database that is away when the service starts."""

    drain_timeout: Seconds = 20.0
    """How many seconds the runs in progress have to end when the service stops."""


def _check_environment(variables: Mapping[str, str]) -> None:
    """Refuse a variable that nothing would read; ``variables`` holds the known ones by setting."""
    for given in os.environ:
        name = given.upper()
        if name.startswith(PREFIX) and name not in variables.values():
            # The prefix, which all have in common, would make any two look alike.
            found = get_close_matches(name.removeprefix(PREFIX), variables, n=1)
            known = variables[found[0]] if found else ", ".join(sorted(variables.values()))
            raise InvalidArgumentError(
                f"the environment variable {given} is unknown; "
                f"{'did you mean' if found else 'known are'} {known}"
            )


def _variable(field: str) -> str:
    """Return the environment's variable of a setting."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias) if alias else PREFIX + field.upper()


def _in_words(error: ErrorDetails) -> str:
    name = str(error["loc"][0])
    variable = _variable(name) if name in Settings.model_fields else name
    return f"{variable}: {error['msg'].removeprefix('Value error, ')}"
