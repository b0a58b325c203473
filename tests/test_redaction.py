from __future__ import annotations

import itertools
import json
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kst_scheduler.redaction import MAX_LENGTH, hide_in_traceback, hide_secrets, without_passwords

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_BLANK = st.characters(min_codepoint=33, max_codepoint=0xD7FF, exclude_categories=["Z", "C"])
SECRETS = st.text(NOT_BLANK, min_size=6).map(lambda text: f"q{text}Zq")
"""Passwords as they come: any letters, slashes, quotes, ampersands and at signs among them."""


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://app:s3:cr=t@db/crawl", "postgresql://app:***@db/crawl"),
        ("redis://:secret@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        (
            "postgresql+asyncpg://a:b@h/x and redis://:c@h",
            "postgresql+asyncpg://a:***@h/x and redis://:***@h",
        ),
        ("postgresql://app:se/cr@et@db/crawl", "postgresql://app:***@db/crawl"),
        ("postgresql://app:12/34?#@db/crawl", "postgresql://app:***@db/crawl"),
        ("https://user:pass/word@example.org/a", "https://user:***@example.org/a"),
        ("HTTPS://token@example.org/a", "HTTPS://***@example.org/a"),
        (
            "next=postgresql%3A%2F%2Fapp%3As%40cret%40db%2Fx&page=2",
            "next=postgresql%3A%2F%2Fapp%3A***%40db%2Fx&page=2",
        ),
        (
            "next=postgresql%253A%252F%252Fapp%253Asecret%2540db",
            "next=postgresql%253A%252F%252Fapp%253A***%2540db",
        ),
        (
            "GET https://apis.data.go.kr/x?serviceKey=a%2Fb%3D%3D&pageNo=3 failed",
            "GET https://apis.data.go.kr/x?serviceKey=***&pageNo=3 failed",
        ),
        ("serviceKey%3Da%252Fb failed", "serviceKey%3D*** failed"),
        ("?page=2&key=secret&x=1", "?page=2&key=***&x=1"),
        ("host=db password=secret dbname=crawl", "host=db password=*** dbname=crawl"),
        ("password = 'se cr\\'et' dbname=crawl", "password = '***' dbname=crawl"),
        ("password=se\\ cret dbname=crawl", "password=*** dbname=crawl"),
        ("password=s&cret dbname=crawl", "password=*** dbname=crawl"),
        ("PGPASSWORD=secret psql", "PGPASSWORD=*** psql"),
        ('{"password": "se\\"cret", "user": "app"}', '{"password": "***", "user": "app"}'),
        ('{"api_key":"secret","user":"app"}', '{"api_key":"***","user":"app"}'),
        (
            '{\\"password\\": \\"se cret\\", \\"user\\": 1}',
            '{\\"password\\": \\"***\\", \\"user\\": 1}',
        ),
        ("{'client_secret': b'secret', 'x': 1}", "{'client_secret': b'***', 'x': 1}"),
        ("connect(user='app', password='se cret')", "connect(user='app', password='***')"),
        ("Authorization: Bearer a.b.c\nHost: example.org", "Authorization: ***\nHost: example.org"),
        (
            "{'authorization': 'Basic YTpi', 'accept': 'x'}",
            "{'authorization': '***', 'accept': 'x'}",
        ),
        (
            "[(b'Authorization', b'Bearer a'), (b'a', b'x')]",
            "[(b'Authorization', b'***'), (b'a', b'x')]",
        ),
        ('Authorization: Digest username="app", response="a"', "Authorization: ***"),
        ("was refused: bearer abcdefgh.ijk", "was refused: bearer ***"),
        ("비밀번호: 가나다 틀림", "비밀번호: *** 틀림"),
        *(
            (f"?a=1&{name}=se%2Fcret&x=1", f"?a=1&{name}=***&x=1")
            for name in ["crtfc_key", "confmKey", "appkey", "certKey", "license_key", "app_key"]
        ),
        *(
            (f"{name}: secret 틀림", f"{name}: *** 틀림")
            for name in ["패스워드", "비번", "토큰", "시크릿", "인증 키", "암호1"]
        ),
        ("비밀번호\uff1asecret, 이름\uff1da", "비밀번호\uff1a*** 이름\uff1da"),
        ("password\uff1dsecret", "password\uff1d***"),
        ("비밀번호는 Secret12 입니다", "비밀번호는 *** 입니다"),
        ("인증키가 'Secret12'입니다", "인증키가 ***입니다"),
        ("오류: 토큰은 Secret12\n다음", "오류: 토큰은 ***\n다음"),
        ("psql --password secret -h db", "psql --password *** -h db"),
        ("crawl --api-token 'se cret' -v", "crawl --api-token '***' -v"),
        ("crawl --pass secret", "crawl --pass ***"),
        ("curl -u admin:secret http://x", "curl -u admin:*** http://x"),
        ("curl --user 'admin:se cret' http://x", "curl --user 'admin:***' http://x"),
        ("['curl', '-u', 'admin:secret', 'x']", "['curl', '-u', 'admin:***', 'x']"),
        ("<password>se cret</password>", "<password>***</password>"),
        ('<db:Password a="b">s&amp;t</db:Password>', '<db:Password a="b">***</db:Password>'),
        ("&lt;token&gt;secret&lt;/token&gt;", "&lt;token&gt;***&lt;/token&gt;"),
        ("<pw><token><![CDATA[secret]]></token>", "<pw><token><![CDATA[***</token>"),
        (json.dumps({"비밀번호": "secret", "a": 1}), json.dumps({"비밀번호": "***", "a": 1})),
        (
            json.dumps(json.dumps({"토큰": "secret"})),
            json.dumps(json.dumps({"토큰": "***"})),
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nse/\ncr+et=\n-----END RSA PRIVATE KEY-----\nx",
            "-----BEGIN RSA PRIVATE KEY-----\n***\n-----END RSA PRIVATE KEY-----\nx",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\\nsecret\\n-----END PRIVATE KEY-----\\n",
            "-----BEGIN PRIVATE KEY-----\\n***-----END PRIVATE KEY-----\\n",
        ),
        ("-----BEGIN PRIVATE KEY-----\nsecret\n", "-----BEGIN PRIVATE KEY-----\n***\n"),
        (
            "db:\n  password: >-\n    se\n    cret\n  user: app",
            "db:\n  password: >-\n    ***\n  user: app",
        ),
        ("token: |\n  secret", "token: |\n  ***"),
        (
            "https://api.telegram.org/bot12345:secret/sendMessage",
            "https://api.telegram.org/bot12345:***/sendMessage",
        ),
        (
            "https://hooks.slack.com/services/T000/B000/secret",
            "https://hooks.slack.com/services/T000/B000/***",
        ),
        (
            "http://openapi.seoul.go.kr:8088/secret/json/x",
            "http://openapi.seoul.go.kr:8088/***/json/x",
        ),
        ("https://example.org:8000/a?b=c@d", "https://example.org:8000/a?b=c@d"),
        ("https://example.org/@user/a:b@c", "https://example.org/@user/a:b@c"),
        ("http://[::1]:8000/a@b", "http://[::1]:8000/a@b"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
        ("no URL: a@b", "no URL: a@b"),
        ("nps@2026-05-09T18:00:00Z was claimed by A", "nps@2026-05-09T18:00:00Z was claimed by A"),
        (
            'password authentication failed for user "app"',
            'password authentication failed for user "app"',
        ),
        ("5 tokens, 3 secrets; the key=lock:nps", "5 tokens, 3 secrets; the key=lock:nps"),
    ],
)
def test_only_secrets_go(text: str, clean: str) -> None:
    """Each secret is replaced, nothing else is, and a second time changes nothing."""
    assert without_passwords(text) == clean
    assert without_passwords(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "비밀번호가 틀렸습니다",
        "비밀번호는 8자 이상이어야 합니다",
        "비밀번호는 PostgreSQL 이 확인합니다",
        "토큰이 2026-05-10T03:00:00Z 에 만료되었습니다",
        "인증키가 등록되지 않았습니다 (SERVICE_KEY_IS_NOT_REGISTERED_ERROR)",
        "서비스키는 data.go.kr 에서 받습니다",
        "암호화: AES-256, 토큰화: 형태소",
        "5 토큰, 3 비번",
        "the password is wrong; the token expired at 03:00",
        "write --password or --token",
        "usage: crawl [--password PASSWORD] [--token TOKEN] --api-key <key>",
        "psql --password asks for it, and --no-password does not",
        "--password-file /run/secrets/db, --token-ttl 30, --tokens 5",
        "--password 옵션이 필요합니다",
        "docker run -u 1000:1000 x",
        "journalctl -u kst.service: no entries",
        "python -u my_jobs.py",
        "<label for='password'>비밀번호</label>",
        "mysql -u <user> -p <password> <database>",
        "<p>the password</p><b>token</b>",
        "no -----BEGIN PRIVATE KEY----- in /etc/tls/key.pem",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "a monkey: 3, a keyboard: 4, the primary key: id, sort_key=name",
        "approve: yes, certificate: /etc/x.pem, application: crawl",
        "C:\\users\\app, \\u00e9, \\ubc88",
        "/bot/12:30, https://example.org/bots/7:8",
        "tokenizer: a > b",
        "nps (trigger: cron[hour='3', minute='0'], next run at: 2026-05-10 03:00:00 KST)",
        'Traceback (most recent call last):\n  File "a.py", line 3, in password\n    raise',
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    """Words, options and tags that name no secret hide nothing."""
    assert without_passwords(text) == text


def test_a_private_key_that_is_cut_is_taken_out() -> None:
    """At its beginning and in its last lines."""
    lines = "SECRETsecret+/\n" * 10_000
    text = f"-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\nit failed"
    shown = without_passwords(text)
    assert "SECRET" not in shown
    assert shown.endswith("***\n-----END PRIVATE KEY-----\nit failed")


WAYS: list[Callable[[str], str]] = [
    lambda secret: f"cannot reach postgresql://app:{secret}@db:5432/crawl today",
    lambda secret: f"https://app:{secret}@example.org/x",
    lambda secret: (
        f"x https://example.org/x?{urlencode({'a': 'b', 'serviceKey': secret, 'c': 1})} x"
    ),
    lambda secret: quote(f"postgresql://app:{quote(secret)}@db:5432/crawl", safe=""),
    lambda secret: json.dumps({"user": "app", "password": secret, "host": "db"}),
    lambda secret: json.dumps({"body": json.dumps({"token": secret, "host": "db"})}),
    lambda secret: repr({"user": "app", "password": secret, "host": "db"}),
    lambda secret: repr(ValueError(f"Authorization: Bearer {secret} was refused")),
    lambda secret: json.dumps({"user": "app", "비밀번호": secret, "host": "db"}),
    lambda secret: f"crawl --password {secret} --verbose",
    lambda secret: f"curl -u admin:{secret} http://db",
    lambda secret: f"<a><password>{escape(secret)}</password></a>",
    lambda secret: f"db:\n  password: |\n    {secret}\n  user: app",
    lambda secret: f"GET / HTTP/1.1\nAuthorization: Basic {secret}\nHost: example.org",
    lambda secret: "user=app password='{}' host=db".format(
        secret.replace("\\", "\\\\").replace("'", "\\'")
    ),
]


@pytest.mark.parametrize("way", WAYS)
@given(secret=SECRETS)
def test_no_secret_is_left(way: Callable[[str], str], secret: str) -> None:
    """Whatever characters it has, neither its beginning nor its end is shown."""
    shown = without_passwords(way(secret))
    assert secret[:3] not in shown
    assert secret[-3:] not in shown
    assert without_passwords(shown) == shown


@pytest.mark.parametrize("way", WAYS[:3])
def test_a_secret_that_is_cut_is_taken_out(way: Callable[[str], str]) -> None:
    """Wherever the cut divides it, none of its characters is left."""
    text = "x " * 60 + way("SSSSSSSSSS")
    for limit in range(90, 180):
        shown = without_passwords(text + " x" * 60, limit)
        assert "S" not in shown.replace("HTTPS", "")
        assert len(shown) <= limit


def test_a_long_text_keeps_its_beginning_and_its_last_lines() -> None:
    """A traceback shows where the error was raised, and what it was."""
    frames = "".join(f'  File "a.py", line {number}\n' for number in range(10_000))
    shown = without_passwords(f"Traceback\n{frames}ValueError: password=secret of redis://:s@h")
    assert len(shown) <= MAX_LENGTH
    assert shown.startswith('Traceback\n  File "a.py", line 0\n')
    assert "…\n" in shown
    assert shown.endswith('line 9999"\nValueError: password=*** of redis://:***@h'.replace('"', ""))


def test_a_long_line_is_cut() -> None:
    """It has no last line of its own, so its beginning is kept."""
    shown = without_passwords("x" * 5_000_000)
    assert shown == "x" * (MAX_LENGTH - 1) + "…"


def test_what_is_hidden_may_make_a_text_longer() -> None:
    """The limit holds all the same."""
    assert len(without_passwords("pw=a " * 400, 2_000)) == 2_000
    assert len(without_passwords("pw=a\n" * 4_000, 2_000)) <= 2_000


HOSTILE = [
    *("a.a.a.", "://a:", "://a:b@", "://", "%3A%2F%2F", "%3A%2F%2Fa%3A", "%25", "@", "\\", "…"),
    *("password", "password=", "password=a&", "'password':'", '"password":"\\', "key=", "&a"),
    *('\\"password\\":\\"', 'password=""', "password                    ", "token,  '"),
    *("Authorization: ", "authorization", "bearer ", "비밀번호", "\n", "postgresql://a:/"),
    *("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN ", "-----", "--password ", "--a-", '--token "'),
    *(
        "<password>",
        "<password>a",
        "&lt;token&gt;&",
        "<token a",
        "<a",
        "curl -u a:b ",
        "-u a",
        "-u '",
    ),
    *(
        "비밀번호는 a",
        "비밀번호는 ",
        "토큰이 aaaaaaa",
        "password: >\n  a",
        "pw: |\n \n",
        "/bot123:a",
    ),
    *(
        "\\ube44",
        "\\\\ube44\\\\ubc00",
        "hooks.slack.com/services/a/",
        "SECRETsecret\n",
        "\uff1a",
        "비밀번호\uff1a",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_time_is_linear_in_the_length(unit: str) -> None:
    """Eight times the text takes eight times the CPU time; were it quadratic, it would be 64 times.

    What else a busy machine does makes a part of that difference, so the limit lies between.
    """
    short, long = (
        min(_seconds(unit * (n // len(unit))) for _ in range(3)) for n in (10_000, 80_000)
    )
    assert long < 24 * short


def _seconds(text: str) -> float:
    text = f"key {text}"  # or the names are not looked for
    began = time.process_time()
    hide_secrets(text)
    return time.process_time() - began


def test_any_object_will_do() -> None:
    """An exception can be given as it is."""
    assert without_passwords(OSError("redis://u:p@h is down")) == "redis://u:***@h is down"


def record_of(error: BaseException) -> logging.LogRecord:
    """Return the record of a raised error."""
    try:
        raise error
    except type(error) as raised:
        info = (type(raised), raised, raised.__traceback__)
        return logging.LogRecord("name", logging.ERROR, __file__, 1, "it failed", (), info)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    """Return an error that another one has caused."""
    error.__cause__ = cause
    return error


def noted(error: BaseException, note: str) -> BaseException:
    """Return an error with a note."""
    error.add_note(note)
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("redis://:secret@h is away"),
        caused(ValueError("no rows"), OSError("serviceKey=secret")),
        noted(ValueError("no rows"), "password: secret"),
        ExceptionGroup("two", [KeyError("x"), OSError("redis://:secret@h")]),
    ],
    ids=["its own", "of its cause", "of a note", "of a group"],
)
def test_a_traceback_is_shown_without_secrets(error: BaseException) -> None:
    """All that a traceback shows is looked through."""
    record = record_of(error)
    hide_in_traceback(record)
    shown = logging.Formatter().format(record)
    assert "record_of" in shown
    assert "secret" not in shown


def test_a_traceback_without_secrets_is_left_alone() -> None:
    """It costs no formatting where no handler shows it."""
    record = record_of(ValueError("no rows"))
    record.exc_info[1].__context__ = record.exc_info[1]  # type: ignore[index,union-attr]
    hide_in_traceback(record)
    assert record.exc_text is None


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_an_error_that_lies_about_itself(failure: type[BaseException]) -> None:
    """Whatever it raises when it is read, it stops no run that is about to be logged."""

    def fail(_self: object) -> str:
        raise failure

    lies = {"__str__": fail, "__notes__": property(fail)}
    record = record_of(type("LyingError", (Exception,), lies)())
    hide_in_traceback(record)
    assert record.exc_text == "LyingError() (its traceback cannot be shown)"
    assert without_passwords(type("SilentError", (Exception,), {"__str__": fail})()) == (
        f"<SilentError, whose text raised {failure.__name__}>"
    )


def endless_error(**parts: Any) -> Any:
    """Return an error some of whose parts are properties."""
    return type("EndlessError", (Exception,), {k: property(v) for k, v in parts.items()})()


@pytest.mark.parametrize(
    "error",
    [
        endless_error(__notes__=lambda _self: itertools.count()),
        endless_error(__notes__=lambda _self: range(10**12)),
        endless_error(__notes__=lambda _self: ["page"] * 5_000_000),
        endless_error(__context__=lambda _self: type(_self)()),
        ExceptionGroup("pages", [ValueError(number) for number in range(20_000)]),
    ],
    ids=["endless notes", "many notes", "a list of notes", "endless contexts", "a group"],
)
def test_an_error_without_an_end_is_named(error: BaseException) -> None:
    """What it brings with it is read so far and no further."""
    record = record_of(error)
    begun = time.process_time()
    hide_in_traceback(record)
    assert time.process_time() - begun < 5
    assert record.exc_text is not None
    assert record.exc_text.endswith("(its traceback cannot be shown)")
    assert record.exc_info is None


def test_a_long_traceback_is_cut() -> None:
    """An error of five megabytes is a few kilobytes in the log."""
    record = record_of(ValueError("x" * 5_000_000))
    hide_in_traceback(record)
    assert len(logging.Formatter().format(record)) < MAX_LENGTH + 100
