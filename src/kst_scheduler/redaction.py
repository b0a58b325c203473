"""Take secrets out of texts that are about to be logged, stored or shown.

A text is cut first, so the work is bounded however long it is. Each rule is linear in what is left:
no rule reads a character more than a bounded number of times. Where it is unclear at which
character a secret ends, more is taken out rather than less.
"""

from __future__ import annotations

import re
import traceback
from functools import partial
from typing import TYPE_CHECKING, Final

from kst_scheduler.user_values import describe

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

MAX_LENGTH: Final = 20_000
"""Characters of one text. Of a longer one the beginning and the last lines are kept: in the log of
an exception they show where it was raised, and what it was."""

_HIDDEN: Final = "***"
_CUT: Final = "…"

_WEB: Final = "(?:(?<=http)|(?<=https))"
_URL: Final = re.compile(r"://\S*")
_USER: Final = re.compile(
    rf"""
    {_WEB}://(?!\[)[^/?#:]*:(?!\d{{1,5}}[/?#"'<>),])  # digits and a slash are a port
    | {_WEB}://(?=[^/?#:@]+(?:@|\Z))                  # a token alone
    | (?<!http)(?<!https)://(?!\[)[^/?#:]*:
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PERCENT: Final = "%(?:25){0,3}"  # a percent sign that was encoded up to three times more
_ENCODED_URL: Final = re.compile(rf"{_PERCENT}3A(?:{_PERCENT}2F){{2}}[^\s&]*", re.IGNORECASE)
_ENCODED_ENDS: Final = ("%40", "%2540", "%252540")
_ENCODED_USER: Final = re.compile(
    rf"{_PERCENT}3A(?:{_PERCENT}2F){{2}}(?:(?!{_PERCENT}(?:2F|3A))[^/?#:])*(?::|{_PERCENT}3A)",
    re.IGNORECASE,
)

# Of a name only the end counts: POSTGRES_PASSWORD, X-Api-Key, spring.datasource.password.
_NAME: Final = r"""
    (?=[acdekmpstuㄱ-힣])  # most characters begin none of them
    (?: pass(?:word|wd|phrase|code) | pwd | (?:pass|pw)(?=[\\"'=%])
      | secret | token | credentials? | signature | (?<=[?&])(?:key|sig|auth)
      | (?:access|account|admin|api|auth|client|consumer|crypt|encryption|license|master|private
          |secret|service|shared|signing|subscription|user)[-_ ]?key
      | 비밀번호 | 암호 | (?:인증|서비스|비밀|api)[ ]?키 )
    \d{0,3}
"""
_WORDS: Final = (
    *("pass", "pw", "secret", "token", "credential", "sig", "key", "auth", "cookie", "bearer"),
    *("비밀", "암호", "키"),
)
"""Every name has one of them, and most texts have none: they are not searched for the names."""
_HEADER: Final = r"(?=[ac])(?:authorization|cookie)"
_SEPARATOR: Final = rf"""
    (?: \\{{0,3}}["'] | {_PERCENT}2[27] )? (?: \] | {_PERCENT}5D )? [^\S\n]{{0,20}}
    (?: [=:]{{1,2}}>? | {_PERCENT}3[AD] | (?<=["']),(?=\s{{0,20}}[bru]{{0,2}}\\{{0,3}}["']) )
    (?: \s{{0,20}}(?=[bru]{{0,2}}\\{{0,3}}["']) | [^\S\n]{{0,20}} )
"""
# Within quotes, up to the same quote; \" does not end it, nor does "" (in SQL and CSV).
_QUOTED: Final = r"""
    (?(quote) (?>(?:(?!(?P=quote)|\\).|\\.|(?P=quote){2})*)
    | (?(escaped) (?>(?:(?!(?<!\\)(?P=escaped)).)*) | BARE ))
    (?P<end>\\{0,3}["'])?
"""
_TO_THE_END_OF_LINE: Final = r"[^\r\n]+"
# As in libpq a backslash quotes a blank; as in a query an ampersand ends it where a name follows.
_TO_THE_NEXT_BLANK: Final = r"(?>(?:\\[^\n]?|[^\s&\\]|&(?![\w.%\[\]-]{1,40}=))+)"
_BEARER: Final = re.compile(r"(?<=\bbearer)(\s{1,5})[\w.~+/-]{8,}=*", re.IGNORECASE)


def _named(name: str, bare: str) -> re.Pattern[str]:
    """Return the pattern of a name, what separates it from its value, and that."""
    opening = r"""(?: [bru]{0,2}(?P<quote>["']) | (?P<escaped>\\{1,3}["']) | )"""
    pattern = f"(?P<begin>{name}{_SEPARATOR}{opening}){_QUOTED.replace('BARE', bare)}"
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE | re.DOTALL)


_NAMED_HEADER: Final = _named(_HEADER, _TO_THE_END_OF_LINE)
_NAMED_VALUE: Final = _named(_NAME, _TO_THE_NEXT_BLANK)


def without_passwords(text: object, limit: int = MAX_LENGTH) -> str:
    """Return a text of at most ``limit`` characters with ``***`` in the place of each secret.

    Secrets are the passwords of URLs, whatever characters they have; the value of what is named
    like one, as in ``serviceKey=``, ``password=``, ``"token": "..."`` or ``Authorization: ...``;
    and all that percent-encoded. A secret is taken out although the cut has divided it.

    Example: ``postgresql://app:secret@db:5432/crawl`` becomes ``postgresql://app:***@db:5432/crawl``.
    """
    text = _as_text(text)
    if len(text) > limit:
        return _shorten(text, limit)
    return _limited(hide_secrets(text), limit)


def hide_secrets(text: str) -> str:
    """Return a text, however long, with ``***`` in the place of each secret."""
    text = _URL.sub(partial(_hide_password, _USER, ("@", _CUT)), text)
    text = _ENCODED_URL.sub(
        partial(_hide_password, _ENCODED_USER, (*_ENCODED_ENDS, "@", _CUT)), text
    )
    lowered = text.lower()
    if not any(word in lowered for word in _WORDS):
        return text
    text = _NAMED_HEADER.sub(rf"\g<begin>{_HIDDEN}\g<end>", text)
    text = _NAMED_VALUE.sub(rf"\g<begin>{_HIDDEN}\g<end>", text)
    return _BEARER.sub(rf"\1{_HIDDEN}", text)


MAX_PARTS: Final = 1_000
"""How many notes of an error, and how many errors before it and within it, are read."""


def hide_in_traceback(record: logging.LogRecord) -> bool:
    """Let handlers show the traceback of a record without secrets, and cut, where it has any.

    The filter of a logger, which keeps every record. A ``logging.Formatter`` takes ``exc_text`` as
    it is, and formats ``exc_info`` where it is empty. An error that cannot be read is named in its
    place: whatever it raises, it raises it here.
    """
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return True
    try:
        if any(without_passwords(text) != text for text in _texts(error)):
            text = "".join(traceback.format_exception(error)).rstrip("\n")
            record.exc_text = without_passwords(text)
    except BaseException:  # noqa: BLE001 - the end of a run must not depend on its error
        record.exc_text = f"{without_passwords(describe(error))} (its traceback cannot be shown)"
        record.exc_info = None
    return True


def _texts(error: BaseException) -> Iterator[str]:
    """Yield what a traceback shows of an error and of those before it."""
    left, seen = [error], set[int]()
    kept: list[BaseException] = []  # or an error that is made anew each time has the id of another
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        kept.append(each)
        notes = getattr(each, "__notes__", [])
        group = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        # What has no end, or none in sight, would be read for ever, here and by a Formatter.
        if type(notes) not in {list, tuple} or max(len(notes), len(group), len(kept)) > MAX_PARTS:
            raise ValueError("it has too many notes, causes or errors within it")
        yield from map(_as_text, (each, *notes))
        left += [cause for cause in (each.__cause__, each.__context__, *group) if cause]


def _hide_password(user: re.Pattern[str], ends: tuple[str, ...], url: re.Match[str]) -> str:
    """Hide what is between the user and the last ``@`` of a URL, or the mark where it was cut."""
    text, (begin, stop) = url.string, url.span()
    end = max(text.rfind(mark, begin, stop) for mark in ends)
    found = user.search(text, begin, max(end, 0))
    return text[begin : found.end()] + _HIDDEN + text[end:stop] if found else url[0]


def _shorten(text: str, limit: int) -> str:
    """Keep the beginning and the last whole lines: the rest of a line may begin within a secret."""
    last_lines = "".join(text[-(limit // 2) :].partition("\n")[1:])
    hidden = hide_secrets(last_lines)
    room = limit - max(len(last_lines), len(hidden)) - len(_CUT)
    # The mark ends a secret that the cut has divided.
    begin = hide_secrets(text[:room] + _CUT).removesuffix(_CUT)
    return begin[:room] + _CUT + hidden


def _limited(text: str, limit: int) -> str:
    """Cut a text that has no secrets any more."""
    return text if len(text) <= limit else text[: limit - 1] + _CUT


def _as_text(value: object) -> str:
    try:
        return str(value)
    except BaseException as error:  # noqa: BLE001 - sys.exit() in a __str__ ends no process
        return f"<{type(value).__name__}, whose text raised {type(error).__name__}>"
