"""Take secrets out of texts that are about to be logged, stored or shown.

A text is cut first, so the work is bounded however long it is. Each rule is linear in what is left:
no rule reads a character more than a bounded number of times. Where it is unclear at which
character a secret ends, more is taken out rather than less.
"""

from __future__ import annotations

import re
import traceback
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from kst_scheduler.user_values import describe

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

MAX_LENGTH: Final = 20_000
"""Characters of one text. Of a longer one the beginning and the last lines are kept: in the log of
an exception they show where it was raised, and what it was."""

_HIDDEN: Final = "***"
_CUT: Final = "…"


class _Pattern:
    """A pattern that is compiled at its first use: all of them take a tenth of a second."""

    def __init__(self, text: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._text = text
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self._text, self._flags)

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Return the text with each match replaced."""
        return self._compiled.sub(replacement, text)

    def search(self, text: str, begin: int, end: int) -> re.Match[str] | None:
        """Return the first match between two places."""
        return self._compiled.search(text, begin, end)


_WEB: Final = "(?:(?<=http)|(?<=https))"
_URL: Final = _Pattern(r"://\S*")
_USER: Final = _Pattern(
    rf"""
    {_WEB}://(?!\[)[^/?#:]*:(?!\d{{1,5}}[/?#"'<>),])  # digits and a slash are a port
    | {_WEB}://(?=[^/?#:@]+(?:@|\Z))                  # a token alone
    | (?<!http)(?<!https)://(?!\[)[^/?#:]*:
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PERCENT: Final = "%(?:25){0,3}"  # a percent sign that was encoded up to three times more
_ENCODED_URL: Final = _Pattern(rf"{_PERCENT}3A(?:{_PERCENT}2F){{2}}[^\s&]*", re.IGNORECASE)
_ENCODED_ENDS: Final = ("%40", "%2540", "%252540")
_ENCODED_USER: Final = _Pattern(
    rf"{_PERCENT}3A(?:{_PERCENT}2F){{2}}(?:(?!{_PERCENT}(?:2F|3A))[^/?#:])*(?::|{_PERCENT}3A)",
    re.IGNORECASE,
)

_KOREAN: Final = (
    "비밀번호",
    "비번",
    "암호",
    "패스워드",
    "토큰",
    "시크릿",
    "인증키",
    "서비스키",
    "비밀키",
)
# As json.dumps writes them, perhaps within a text of JSON: \ube44, \\ube44.
_ESCAPED: Final = "|".join(
    "".join(rf"\\{{1,3}}u{ord(letter):04x}" for letter in word) for word in _KOREAN
)
# Of a name only the end counts: POSTGRES_PASSWORD, X-Api-Key, spring.datasource.password.
_NAME: Final = rf"""
    (?=[acdeklmpstu비암패토시인서\\])  # most characters begin none of them
    (?: pass(?:word|wd|phrase|code) | pwd | (?:pass|pw)(?=[\\"'=%])
      | secret | token | credentials? | signature | (?<=[?&])(?:key|sig|auth)
      | (?:access|account|admin|api|app|auth|cert(?:ification)?|client|confm|consumer|crtfc|crypt
          |encryption|license|master|private|secret|service|shared|signing|storage|subscription
          |user)[-_ ]?key
      | 비밀번호 | 비번 | 암호 | 패스워드 | 토큰 | 시크릿 | (?:인증|서비스|비밀|api)[ ]?키
      | {_ESCAPED} )
    \d{{0,3}}
"""
_WORDS: Final = (
    *("pass", "pw", "secret", "token", "credential", "sig", "key", "auth", "cookie", "bearer"),
    *("비밀", "비번", "암호", "패스", "토큰", "시크릿", "키", "\\u", " -u", "-user"),
    *("/bot", "hooks.slack", "/webhooks/", "openapi.seoul", "ecos.bok"),
)
"""Every name has one of them, and most texts have none: they are not searched for the names."""
_HEADER: Final = r"(?=[ac])(?:authorization|cookie)"
_SEPARATOR: Final = rf"""
    (?: \\{{0,3}}["'] | {_PERCENT}2[27] )? (?: \] | {_PERCENT}5D )? [^\S\n]{{0,20}}
    (?: [=:\uFF1D\uFF1A]{{1,2}}>? | {_PERCENT}3[AD]
      | (?<=["']),(?=\s{{0,20}}[bru]{{0,2}}\\{{0,3}}["']) )
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
_TO_THE_NEXT_BLANK: Final = (
    r"(?![>|][+-]?\d?[^\S\n]{0,20}\n)(?>(?:\\[^\n]?|[^\s&\\]|&(?![\w.%\[\]-]{1,40}=))+)"
)
_BEARER: Final = _Pattern(r"(?<=\bbearer)(\s{1,5})[\w.~+/-]{8,}=*", re.IGNORECASE)


def _named(name: str, bare: str) -> _Pattern:
    """Return the pattern of a name, what separates it from its value, and that."""
    opening = r"""(?: [bru]{0,2}(?P<quote>["']) | (?P<escaped>\\{1,3}["']) | )"""
    pattern = f"(?P<begin>{name}{_SEPARATOR}{opening}){_QUOTED.replace('BARE', bare)}"
    return _Pattern(pattern, re.IGNORECASE | re.VERBOSE | re.DOTALL)


def _form(pattern: str) -> _Pattern:
    return _Pattern(pattern, re.IGNORECASE | re.VERBOSE)


# Up to the line END, or to the end of the text, where it was cut.
_PRIVATE_KEY: Final = _Pattern(
    r"(?P<begin>-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----[ \t]{0,20}"
    r"(?:\r?\n|\\{1,3}[nr]|(?=[A-Za-z0-9+/]{16})))"
    r"(?>(?:[^-\s]|(?>\s+)(?!-----|\Z)|-(?!----))*)",
    re.IGNORECASE,
)
_REST_OF_PRIVATE_KEY: Final = _Pattern(
    r"\A[A-Za-z0-9+/=\s]+(?=-----END [A-Z0-9 ]{0,30}PRIVATE KEY)"
)
# In YAML, a value on the lines that follow, which are indented.
_BLOCK: Final = _form(
    rf"(?P<begin>{_NAME}{_SEPARATOR}[>|][+-]?\d?[^\S\n]{{0,20}}\n(?P<indent>[ \t]{{1,40}}))"
    r"[^\n]*(?:\n(?P=indent)[^\n]*)*"
)
# In XML: <password>SECRET</password>, also within other XML.
_ELEMENT: Final = _form(
    rf"""
    (?P<begin> (?:(?P<tag><)|&lt;) [\w:.-]{{0,40}}? {_NAME} (?:\s[^<>&]{{0,200}})? (?:>|&gt;)
      (?:<!\[CDATA\[)? )
    (?(tag) (?>[^<{_CUT}]+)(?=</|{_CUT}) | (?>(?:[^&{_CUT}]|&(?!lt;))+)(?=&lt;/|{_CUT}) )
    """
)
# What is no value after the name of an option: another one, a placeholder, a word of a sentence.
_SENTENCE: Final = r"""
    (?: [-<\[({*] | [^!-~] | (?: a|an|and|are|argument|as|asks?|by|can|cannot|does|flag|for|from|has
      |if|in|instead|is|key|may|must|needs?|not|of|on|option|or|password|prompts?|reads?|requires?
      |should|so|takes?|text|that|the|then|to|token|value|was|were|when|will|with|without
      |works )\b )
"""
_OPTION: Final = _form(
    rf"""
    (?P<begin> (?<![\w-])--(?!no-)[\w-]{{0,40}}? (?:{_NAME}|pass) [ \t]{{1,20}}
      (?:(?P<quote>["'])|) )
    (?(quote) (?:(?!(?P=quote))[^\n])* | (?!{_SENTENCE})\S+ )
    """
)
# curl -u admin:SECRET; two numbers are the ids of a user and a group.
_OF_USER: Final = _form(
    r"""
    (?P<begin> (?<![\w-])(?:-u|--user|--proxy-user) (?:["'],[ \t]{0,20}|[ \t=]{1,20})
      (?:(?P<quote>["'])|) (?!\d{1,10}:\d{1,10}\b) (?![a-z]:\\) [^\s:"'/]{1,100}: (?!//) )
    (?(quote) (?:(?!(?P=quote))[^\n])+ | \S+ )
    """
)
# 비밀번호는 SECRET 입니다: what begins with another letter than a Korean one, and ends the clause.
_CLAUSE: Final = _form(
    rf"""
    (?P<begin> (?=[비암패토시인서]) (?:{"|".join(_KOREAN)}) (?:은|는|이|가) [ \t]{{1,5}} )
    (?> ["'\u201C\u2018]?[!-~]+ ) (?: (?={_CUT}) | (?<=.{{6}}) (?=["'\u201D\u2019]?
      (?:[ \t]{{0,3}}(?:입니다|이다|였|이었|이고|이며)|[ \t]{{0,20}}(?:\n|\Z))) )
    """
)
_IN_PATH: Final = _form(
    r"""
    (?P<begin> /bot\d{3,15}: | hooks\.slack\.com/services/(?:\w{1,40}/){2}
      | discord(?:app)?\.com/api/webhooks/\d{1,30}/ | openapi\.seoul\.go\.kr(?::\d{1,5})?/
      | ecos\.bok\.or\.kr/api/\w{1,40}/ )
    [\w%+=-]+
    """
)
_FORMS: Final[tuple[tuple[_Pattern, *tuple[str, ...]], ...]] = (
    (_PRIVATE_KEY, "private key"),
    (_BLOCK, "|", ">"),
    (_ELEMENT, "</", "&lt;/", _CUT),
    (_OPTION, "--"),
    (_OF_USER, "-u"),
    (_CLAUSE, *(f"{word}{particle}" for word in _KOREAN for particle in "은는이가")),
    (_IN_PATH, "/bot", "hooks.slack", "/webhooks/", "openapi.seoul", "ecos.bok"),
)
"""Other forms of secrets, each with what a text has in which it can occur."""
_NAMED_HEADER: Final = _named(_HEADER, _TO_THE_END_OF_LINE)
_NAMED_VALUE: Final = _named(_NAME, _TO_THE_NEXT_BLANK)


def without_passwords(text: object, limit: int = MAX_LENGTH) -> str:
    """Return a text of at most ``limit`` characters with ``***`` in the place of each secret.

    Secrets are the passwords of URLs, whatever characters they have; the value of what is named
    like one, as in ``serviceKey=``, ``password=``, ``"token": "..."``, ``Authorization: ...``,
    ``--password ...``, ``<password>`` or ``비밀번호는 ... 입니다``; all that percent-encoded;
    private keys, and the keys in the paths of some APIs. A secret is taken out although the cut
    has divided it.

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
    for pattern, *marks in _FORMS:
        if any(mark in lowered for mark in marks):
            text = pattern.sub(rf"\g<begin>{_HIDDEN}", text)
    for pattern in (_NAMED_HEADER, _NAMED_VALUE):
        text = pattern.sub(rf"\g<begin>{_HIDDEN}\g<end>", text)
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


def _hide_password(user: _Pattern, ends: tuple[str, ...], url: re.Match[str]) -> str:
    """Hide what is between the user and the last ``@`` of a URL, or the mark where it was cut."""
    text, (begin, stop) = url.string, url.span()
    end = max(text.rfind(mark, begin, stop) for mark in ends)
    found = user.search(text, begin, max(end, 0))
    return text[begin : found.end()] + _HIDDEN + text[end:stop] if found else url[0]


def _shorten(text: str, limit: int) -> str:
    """Keep the beginning and the last whole lines: the rest of a line may begin within a secret."""
    last_lines = "".join(text[-(limit // 2) :].partition("\n")[1:])
    hidden = hide_secrets(_REST_OF_PRIVATE_KEY.sub(f"{_HIDDEN}\n", last_lines))
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
