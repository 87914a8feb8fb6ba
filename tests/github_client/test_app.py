"""GitHub Apps: the JWT, the installation, the token and its end."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from trunkwatch.config.sources import GithubSource
from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    NoAnswerError,
    RateLimitedError,
    SourceError,
)
from trunkwatch.github.auth import (
    MAX_USE_SECONDS,
    MIN_USE_SECONDS,
    RENEW_BEFORE_SECONDS,
    AppToken,
    authorization_of,
)
from trunkwatch.rest.credentials import FIRST_RETRY_SECONDS
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.limits import UNKNOWN_WAIT_SECONDS

from tests.rest.server import Reply, Request, Server

NOW = 1_800_000_000.0
HOUR = 3600.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
INSTALLATION = ("GET", "/repos/o/r/installation")
TOKENS = ("POST", "/app/installations/7/access_tokens")


class Github(Server):
    """Answers the two requests that lead to an installation token, on loopback.

    Attributes:
        now: its clock (seconds since the epoch), from which a token's end is counted.
        replies: instead of the usual answers, by method and path.
    """

    def __init__(self) -> None:
        self.now = NOW
        self.replies: dict[tuple[str, str], Reply] = {}
        super().__init__(self.reply)

    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.path) for request in self.requests]

    def token(self) -> str:
        """The token that was given last: each has the number of its request."""
        return f"ghs_secret{self.asked().count(TOKENS)}"

    def reply(self, request: Request) -> Reply:
        known = self.replies.get((request.method, request.path))
        if known is not None:
            return known
        if (request.method, request.path) == INSTALLATION:
            return Reply(200, b'{"id": 7}')
        return Reply(201, granted(self.token(), self.now + HOUR))


def granted(token: str, end: float) -> bytes:
    moment = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"token": token, "expires_at": moment, "permissions": {}}).encode()


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.TraditionalOpenSSL, pem.NoEncryption()
    )


@pytest.fixture
def github() -> Iterator[Github]:
    server = Github()
    yield server
    server.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(pem_of(KEY))
    return path


@pytest.fixture
def codes() -> list[str]:
    return []


MakeApp = Callable[..., AppToken]


@pytest.fixture
def make_app(github: Github, key_file: Path, codes: list[str]) -> MakeApp:
    """Return a function that makes an App of the configuration's keys."""

    def make(url: str = "", repos: Sequence[str] = ("o/r", "o/s"), **keys: object) -> AppToken:
        app = {"app_id": 12, "private_key_file": str(key_file), **keys}
        fields = {"name": "gh", "type": "github", "repos": list(repos), "timeout": "5s"}
        config = GithubSource.model_validate({**fields, "app": app, "api_url": url or github.url})
        made = authorization_of(config, HttpContext(count_request=codes.append, clock=lambda: NOW))
        assert isinstance(made, AppToken)
        return made

    return make


def test_a_token_takes_two_requests(github: Github, make_app: MakeApp, codes: list[str]) -> None:
    """The installation is looked up by the first repository, its token is asked for and used."""
    app = make_app()
    assert app.header(NOW) == "Bearer ghs_secret1"
    assert github.asked() == [INSTALLATION, TOKENS]
    assert codes == ["200", "201"]
    app.header(NOW + 60)
    assert len(github.requests) == 2


def test_a_known_installation_is_not_looked_up(github: Github, make_app: MakeApp) -> None:
    """With `installation_id` one request is enough."""
    assert make_app(installation_id=7).header(NOW) == "Bearer ghs_secret1"
    assert github.asked() == [TOKENS]


@pytest.mark.parametrize("kind", ["orgs", "users"])
def test_an_installation_is_looked_up_by_the_owner_of_a_glob(
    github: Github, make_app: MakeApp, kind: str
) -> None:
    """The owner may be an organization or a person."""
    github.replies["GET", "/orgs/acme/installation"] = Reply(404, b"{}")
    github.replies["GET", f"/{kind}/acme/installation"] = Reply(200, b'{"id": 7}')
    assert make_app(repos=["acme/*"]).header(NOW) == "Bearer ghs_secret1"
    asked = [("GET", f"/{each}/acme/installation") for each in dict.fromkeys(["orgs", kind])]
    assert github.asked() == [*asked, TOKENS]


@pytest.mark.parametrize(("app_id", "issuer"), [(12, "12"), ("Iv23liAbC", "Iv23liAbC")])
def test_the_jwt_is_signed_by_the_key(
    github: Github, make_app: MakeApp, app_id: int | str, issuer: str
) -> None:
    """It names the App, begins a minute ago, and ends before the ten minutes that are allowed."""
    make_app(app_id=app_id).header(NOW)
    for request in github.requests:
        kind, signed = request.headers["Authorization"].split()
        options: Any = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(signed, KEY.public_key(), algorithms=["RS256"], options=options)
        assert kind == "Bearer"
        assert claims == {"iss": issuer, "iat": NOW - 60, "exp": NOW + 540}
        assert request.headers["Accept"] == "application/vnd.github+json"
        assert request.headers["X-GitHub-Api-Version"] == "2022-11-28"
        assert request.headers["User-Agent"] == "trunkwatch"


def test_a_netrc_does_not_take_the_jwt_s_place(
    github: Github, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of the host in ~/.netrc do not replace the header."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert requests.get(github.url, timeout=5).request.headers["Authorization"].startswith("Basic")
    github.requests.clear()
    make_app().header(NOW)
    assert all(r.headers["Authorization"].startswith("Bearer ey") for r in github.requests)


# ---------------------------------------------------------------------- its end


def test_a_token_is_replaced_five_minutes_before_its_end(github: Github, make_app: MakeApp) -> None:
    """It is used up to then, and the new one at once."""
    app = make_app(installation_id=7)
    app.header(NOW)
    first = app.fingerprint(NOW)
    assert app.header(NOW + HOUR - RENEW_BEFORE_SECONDS - 1) == "Bearer ghs_secret1"
    github.now = NOW + HOUR - RENEW_BEFORE_SECONDS
    assert app.header(github.now) == "Bearer ghs_secret2"
    assert app.fingerprint(github.now) != first
    assert len(first) == 8
    assert github.asked() == [TOKENS] * 2


@pytest.mark.parametrize(
    ("skew", "use"), [(-2 * HOUR, MIN_USE_SECONDS), (2 * HOUR, MAX_USE_SECONDS)]
)
def test_a_wrong_clock_neither_asks_at_each_request_nor_never(
    github: Github, make_app: MakeApp, skew: float, use: float
) -> None:
    """Where the clocks are hours apart, a token is used a minute at least and 55 at most."""
    github.now = NOW + skew
    app = make_app(installation_id=7)
    app.header(NOW)
    assert app.header(NOW + use - 1) == "Bearer ghs_secret1"
    assert app.header(NOW + use) == "Bearer ghs_secret2"


def test_a_failed_replacement_leaves_no_old_token(github: Github, make_app: MakeApp) -> None:
    """A token near its end is not used on when no new one can be had; the next try gets one."""
    app = make_app(installation_id=7)
    app.header(NOW)
    github.replies[TOKENS] = Reply(502)
    for _ in range(2):
        with pytest.raises(BadAnswerError, match="HTTP 502"):
            app.header(NOW + HOUR)
    github.replies.clear()
    github.now = NOW + HOUR
    assert app.header(NOW + HOUR) == "Bearer ghs_secret4"


def test_many_threads_ask_for_one_token(github: Github, make_app: MakeApp) -> None:
    """Whoever needs a token while it is being got waits for that one."""
    app = make_app(installation_id=7)
    threads = [threading.Thread(target=app.header, args=(NOW,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert github.asked() == [TOKENS]


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("place", "status", "said"),
    [
        (INSTALLATION, 401, "app_id and private_key_file do not belong together, or the clock"),
        (INSTALLATION, 404, "the App is not installed where o/r is"),
        (TOKENS, 401, "app_id and private_key_file do not belong together, or the clock"),
        (TOKENS, 403, "the App's installation is suspended"),
        (TOKENS, 404, "or installation_id is that of another App"),
    ],
)
def test_a_refusal_is_explained_and_not_repeated(
    github: Github, make_app: MakeApp, place: tuple[str, str], status: int, said: str
) -> None:
    """What asking again does not change is asked again after a pause, and not before."""
    github.replies[place] = Reply(status)
    app = make_app()
    for later in (0.0, FIRST_RETRY_SECONDS - 1):
        with pytest.raises(CredentialsError) as caught:
            app.header(NOW + later)
        assert said in str(caught.value)
        assert f"{place[0]} {github.url}{place[1]}: HTTP {status}: " in str(caught.value)
        assert github.asked().count(place) == 1
    github.replies.clear()
    assert app.header(NOW + FIRST_RETRY_SECONDS).startswith("Bearer ghs_")


def test_a_new_key_ends_the_wait(github: Github, make_app: MakeApp, key_file: Path) -> None:
    """Whoever puts the right key into its place does not have to wait."""
    github.replies[INSTALLATION] = Reply(401)
    app = make_app()
    with pytest.raises(CredentialsError):
        app.header(NOW)
    github.replies.clear()
    key_file.write_bytes(pem_of(OTHER_KEY))
    assert app.header(NOW + 1) == "Bearer ghs_secret1"


def test_a_refused_installation_token_is_replaced_later(github: Github, make_app: MakeApp) -> None:
    """A 401 ends a token that was used for half an hour; the next one comes after a pause."""
    app = make_app(installation_id=7)
    app.header(NOW)
    app.refused(app.header(NOW + 1800))
    for later in (0.0, FIRST_RETRY_SECONDS - 1):
        with pytest.raises(CredentialsError, match="the App was suspended or removed"):
            app.header(NOW + 1800 + later)
    assert github.asked() == [TOKENS]
    assert app.header(NOW + 1800 + FIRST_RETRY_SECONDS) == "Bearer ghs_secret2"


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {}, UNKNOWN_WAIT_SECONDS),
        (429, {"Retry-After": "17"}, 17.0),
        (403, {"Retry-After": "90"}, 90.0),
        (403, {"Retry-After": "soon"}, UNKNOWN_WAIT_SECONDS),
        (403, {"X-RateLimit-Remaining": "0"}, UNKNOWN_WAIT_SECONDS),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 600)}, 600.0),
        (
            403,
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) - 600)},
            UNKNOWN_WAIT_SECONDS,
        ),
    ],
)
def test_a_rate_limit_is_no_refusal(
    github: Github, make_app: MakeApp, status: int, headers: dict[str, str], wait: float
) -> None:
    """The error has the time to wait for, and the App is used again then."""
    github.replies[TOKENS] = Reply(status, headers=tuple(headers.items()))
    app = make_app(installation_id=7)
    with pytest.raises(RateLimitedError) as caught:
        app.header(NOW)
    assert caught.value.until == NOW + wait
    github.replies.clear()
    assert app.header(NOW + wait) == "Bearer ghs_secret2"


ODD = {
    "no json": b"<html>",
    "a list": b"[]",
    "nothing": b"{}",
    "null": b'{"token": null, "expires_at": null, "id": null}',
    "no date": b'{"token": "ghs_secret9", "expires_at": "soon"}',
    "no word": b'{"token": "ghs_secret9\\nX: y", "expires_at": "2027-01-15T08:00:00Z"}',
    "empty": b'{"token": "", "expires_at": "2027-01-15T08:00:00Z"}',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("place", [INSTALLATION, TOKENS], ids=["installation", "token"])
def test_an_odd_answer_is_not_quoted(
    github: Github, make_app: MakeApp, place: tuple[str, str], body: bytes
) -> None:
    """An answer that is not what GitHub documents is an error that holds nothing of it."""
    github.replies[place] = Reply(200, body)
    with pytest.raises(BadAnswerError) as caught:
        make_app().header(NOW)
    assert str(caught.value).endswith(
        f"{place[0]} {github.url}{place[1]}: not what GitHub documents"
    )
    assert caught.value.__cause__ is None


def test_no_answer_is_unreachable(make_app: MakeApp, codes: list[str]) -> None:
    """An unreachable server is reported, and the request is counted as an error."""
    with pytest.raises(NoAnswerError, match=r"POST http://127\.0\.0\.1:1/app/inst.* refused"):
        make_app(url="http://127.0.0.1:1", installation_id=7).header(NOW)
    assert codes == ["error"]


# ---------------------------------------------------------------------- the key and the extra


WRONG_KEYS = {
    "text": b"hello",
    "public": KEY.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.PKCS1),
    "curve": pem_of(ec.generate_private_key(ec.SECP256R1())),
    "cut off": pem_of(KEY)[:600],
    "encrypted": KEY.private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"x")
    ),
}


@pytest.mark.parametrize("content", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_file_that_is_no_key_is_named(
    github: Github, make_app: MakeApp, key_file: Path, content: bytes
) -> None:
    """The error names the file and what would be right, and nothing is asked."""
    key_file.write_bytes(content)
    with pytest.raises(CredentialsError, match=f"private_key_file {key_file} holds no private RSA"):
        make_app().header(NOW)
    assert github.requests == []


def test_a_missing_key_is_named(make_app: MakeApp, key_file: Path) -> None:
    """A key that cannot be read is one clear line."""
    key_file.unlink()
    with pytest.raises(CredentialsError, match=f"private_key_file {key_file} cannot be read"):
        make_app().header(NOW)


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_a_missing_extra_is_named(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Without the packages that an App needs, the error names the extra to install."""
    if missing == "jwt":
        monkeypatch.setitem(sys.modules, "jwt", None)
    else:
        monkeypatch.setattr(jwt.api_jws._jws_global_obj, "_algorithms", {})
    with pytest.raises(CredentialsError, match=r"pip install 'trunkwatch\[github-app\]'$"):
        make_app().header(NOW)


@pytest.mark.parametrize("status", [200, 201, 401, 404, 429, 500])
def test_no_key_and_no_token_shows_in_a_text(
    github: Github, make_app: MakeApp, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Neither the repr of an App nor its errors nor the log contain key, JWT or token."""
    caplog.set_level(logging.DEBUG)
    github.replies[TOKENS] = Reply(status, granted("ghs_secret9", NOW + HOUR))
    app = make_app()
    shown = []
    try:
        app.refused(app.header(NOW))
        app.header(NOW)
    except SourceError as error:
        shown.append(str(error))
    signed = github.requests[0].headers["Authorization"].split()[1]
    lines = pem_of(KEY).decode().splitlines()[1:-1]
    text = "\n".join([*shown, repr(app), str(app), caplog.text])
    assert shown
    assert not any(secret in text for secret in ["ghs_secret", signed, *lines])
