"""Tokens: their places, their fingerprints, and refusals."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from trunkwatch.config.sources import GithubSource
from trunkwatch.errors import CredentialsError
from trunkwatch.github.auth import AppToken, authorization_of
from trunkwatch.rest.credentials import (
    FIRST_RETRY_SECONDS,
    MAX_RETRY_SECONDS,
    MAX_SECRET_BYTES,
    Authorization,
    EnvToken,
    FileToken,
    NoToken,
    read_secret,
)
from trunkwatch.rest.http import HttpContext
from trunkwatch.sources import SourceContext
from trunkwatch.sources.github.source import Github

from tests.support.irregular import IRREGULAR

NOW = 1_800_000_000.0
TOKEN = "github_pat_11AAAAAAA0bbbbbbbbbbbbbb_cccccccccccccccc"
OTHER = "github_pat_11AAAAAAA0dddddddddddddd_eeeeeeeeeeeeeeee"

Place = Callable[[str], Authorization]
"""Puts a token somewhere, and returns what reads it there."""


@pytest.fixture(params=["file", "env"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A file or an environment variable, as the place of a token."""
    environ: dict[str, str] = {}
    path = tmp_path / "token"
    made: Authorization = (
        FileToken(str(path)) if request.param == "file" else EnvToken("TOKEN", environ)
    )

    def put(token: str) -> Authorization:
        path.write_text(token, encoding="utf-8")
        environ["TOKEN"] = token
        return made

    return put


def source(**fields: object) -> GithubSource:
    return GithubSource.model_validate({"name": "gh", "type": "github", "repo": "o/r", **fields})


def problem_of(authorization: Authorization, now: float = NOW) -> str:
    with pytest.raises(CredentialsError) as caught:
        authorization.header(now)
    assert caught.value.reason == "auth"
    assert caught.value.__cause__ is None
    return str(caught.value)


# ---------------------------------------------------------------------- where it comes from


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, NoToken),
        ({"token_file": "/token"}, FileToken),
        ({"token_env": "TOKEN"}, EnvToken),
        ({"app": {"app_id": 1, "private_key_file": "/key"}}, AppToken),
    ],
    ids=["none", "file", "environment", "app"],
)
def test_each_way_is_chosen_by_its_key(fields: dict[str, object], kind: type) -> None:
    """What the configuration names is what a source authenticates with."""
    assert type(authorization_of(source(**fields), HttpContext())) is kind


def test_without_a_token_nobody_asks() -> None:
    """No header is sent, and ETags belong to no token."""
    nobody = authorization_of(source(), HttpContext())
    assert nobody.header(NOW) is None
    assert nobody.fingerprint(NOW) == ""


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n", f" {TOKEN}\r\n\n", f"\ufeff{TOKEN}\r\n"])
def test_a_token_is_sent_without_white_space(place: Place, text: str) -> None:
    """An editor's last line break is no part of it."""
    assert place(text).header(NOW) == f"Bearer {TOKEN}"


def test_a_new_token_is_used_at_once(place: Place) -> None:
    """A rotated token needs no restart, and has a fingerprint of its own."""
    authorization = place(TOKEN)
    first = authorization.fingerprint(NOW)
    place(OTHER)
    assert authorization.header(NOW) == f"Bearer {OTHER}"
    assert authorization.fingerprint(NOW) != first
    place(TOKEN)
    assert authorization.fingerprint(NOW) == first


def test_a_fingerprint_is_the_same_after_a_restart(place: Place, tmp_path: Path) -> None:
    """ETags that were stored are found again by it, and it holds nothing of the token."""
    found = place(TOKEN).fingerprint(NOW)
    (tmp_path / "copy").write_text(TOKEN)
    assert FileToken(str(tmp_path / "copy")).fingerprint(NOW + 9e6) == found
    assert re.fullmatch("[0-9a-f]{8}", found)
    assert found not in TOKEN


def test_the_environment_is_the_process_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """`token_env` names a variable that the program was started with."""
    monkeypatch.setenv("TRUNKWATCH_TEST_TOKEN", TOKEN)
    fields = {"token_env": "TRUNKWATCH_TEST_TOKEN"}
    authorization = authorization_of(source(**fields), HttpContext())
    assert authorization.header(NOW) == f"Bearer {TOKEN}"


# ---------------------------------------------------------------------- invalid tokens


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error names the key and the file, and why it cannot be read."""
    path = tmp_path / "absent"
    said = problem_of(FileToken(str(path)))
    assert said == f"token_file {path} cannot be read (No such file or directory)"


@pytest.mark.parametrize(("make", "problem"), IRREGULAR.values(), ids=IRREGULAR)
def test_what_is_no_file_is_no_token_file(
    tmp_path: Path, make: Callable[[Path], object], problem: str
) -> None:
    """A folder, a FIFO, a socket or a device is one clear line too, and not waited for."""
    path = tmp_path / "token"
    make(path)
    said = problem_of(FileToken(str(path)))
    assert said == f"token_file {path} cannot be read ({problem})"


def test_a_link_to_a_token_file_is_read(tmp_path: Path) -> None:
    """Kubernetes mounts secrets as links to links."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "token").write_text(TOKEN)
    path = tmp_path / "token"
    path.symlink_to("..data/token")
    assert FileToken(str(path)).header(NOW) == f"Bearer {TOKEN}"


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_file_is_named(tmp_path: Path, text: str) -> None:
    """A file that holds nothing is an error, and not a request without a token."""
    path = tmp_path / "token"
    path.write_text(text)
    assert problem_of(FileToken(str(path))) == f"token_file {path} is empty"


@pytest.mark.parametrize("environ", [{}, {"TOKEN": ""}, {"TOKEN": " \n"}])
def test_a_missing_variable_is_named(environ: dict[str, str]) -> None:
    """A variable that is not set is an error, and not a request without a token."""
    said = problem_of(EnvToken("TOKEN", environ))
    assert said == "token_env TOKEN: this variable is not set, or is empty"


@pytest.mark.parametrize(
    "text", [f"{TOKEN}\n{OTHER}", f"TOKEN={TOKEN} x", f"{TOKEN}\x07", f"{TOKEN}é", "\udc80ab"]
)
def test_what_cannot_be_sent_is_refused_here(text: str) -> None:
    """Two lines, or letters that no header may hold, are refused before a library quotes them."""
    authorization = EnvToken("TOKEN", {"TOKEN": text})
    said = problem_of(authorization)
    assert said == "token_env TOKEN holds no token: one is one word"
    with pytest.raises(CredentialsError, match="holds no token"):
        authorization.fingerprint(NOW)


@pytest.mark.parametrize("length", [MAX_SECRET_BYTES, MAX_SECRET_BYTES + 1])
def test_a_file_of_another_kind_is_not_read_to_its_end(tmp_path: Path, length: int) -> None:
    """A log that was named by mistake is refused by its size."""
    path = tmp_path / "token"
    path.write_text("a" * length)
    authorization = FileToken(str(path))
    if length > MAX_SECRET_BYTES:
        assert "is longer than any; is it the right file?" in problem_of(authorization)
    else:
        assert authorization.header(NOW) == f"Bearer {'a' * length}"


# ---------------------------------------------------------------------- a refused token


def test_a_refused_token_is_not_sent_again(place: Place) -> None:
    """After a 401 the same token is an error that names its place, for a while."""
    authorization = place(TOKEN)
    sent = authorization.header(NOW)
    authorization.refused(sent)
    for later in (0.0, 1.0, FIRST_RETRY_SECONDS - 1):
        said = problem_of(authorization, NOW + later)
        assert re.match(r"the server refuses the token of token_(file|env) ", said)
        assert TOKEN not in said
    assert authorization.header(NOW + FIRST_RETRY_SECONDS) == f"Bearer {TOKEN}"


def test_one_refusal_costs_one_poll_and_a_lasting_one_an_hour(place: Place) -> None:
    """A good token that was refused once is sent at the next poll; a bad one ever less often."""
    authorization = place(TOKEN)
    sent = []
    for minute in range(600):
        try:
            header = authorization.header(NOW + 60 * minute)
        except CredentialsError:
            continue
        sent.append(minute)
        authorization.refused(header)
    assert sent[:2] == [0, 1]
    assert sent[-1] - sent[-2] == MAX_RETRY_SECONDS / 60


def test_a_token_that_was_accepted_since_is_tried_again_as_soon(place: Place) -> None:
    """A server that refuses a good token now and then does not make the pauses longer."""
    authorization = place(TOKEN)
    for hour in range(5):
        now = NOW + 3600 * hour
        sent = authorization.header(now)
        authorization.refused(sent)
        problem_of(authorization, now + FIRST_RETRY_SECONDS - 1)
        assert authorization.header(now + FIRST_RETRY_SECONDS) == f"Bearer {TOKEN}"


def test_a_new_token_ends_the_wait(place: Place) -> None:
    """Whoever puts a good token into its place does not have to wait."""
    authorization = place(TOKEN)
    sent = authorization.header(NOW)
    authorization.refused(sent)
    problem_of(authorization)
    place(OTHER)
    assert authorization.header(NOW) == f"Bearer {OTHER}"


def test_a_clock_that_is_set_back_ends_the_wait(place: Place) -> None:
    """A wrong clock must not keep a token from being tried for years."""
    authorization = place(TOKEN)
    sent = authorization.header(NOW)
    authorization.refused(sent)
    assert authorization.header(NOW - 1) == f"Bearer {TOKEN}"


def test_a_server_that_wants_a_token_is_not_asked_again_without() -> None:
    """Without a token, the error of a 401 names the keys that configure one."""
    nobody = authorization_of(source(), HttpContext())
    nobody.header(NOW)
    nobody.refused(None)
    said = problem_of(nobody, NOW + FIRST_RETRY_SECONDS - 1)
    assert "(HTTP 401); name one by token_file, token_env or app" in said
    nobody.header(NOW + FIRST_RETRY_SECONDS)


def test_no_token_shows_in_a_text(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Neither its repr nor its errors nor the log contain the token."""
    caplog.set_level(logging.DEBUG)
    authorization = place(TOKEN)
    sent = authorization.header(NOW)
    authorization.refused(sent)
    shown = [repr(authorization), str(authorization), problem_of(authorization), caplog.text]
    assert all(TOKEN not in text for text in shown)


# ---------------------------------------------------------------------- the webhooks' secret


def test_webhooks_without_a_secret_are_off() -> None:
    """A source without `webhook_secret_file` takes no webhooks."""
    assert not Github(source(), SourceContext()).webhook_enabled


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_secret_is_read_as_windows_writes_it(tmp_path: Path, encoding: str) -> None:
    """Without its byte order mark and line end, from UTF-8 or UTF-16; other bytes are kept."""
    path = tmp_path / "secret"
    path.write_bytes("pässword\r\n".encode(encoding))
    assert read_secret("secret", str(path)) == "pässword".encode()
    path.write_bytes(b"\xff\xfe\x00")
    assert read_secret("secret", str(path)) == b"\xff\xfe\x00"


def test_a_rotated_secret_needs_no_restart(tmp_path: Path) -> None:
    """A secret is read for each delivery, without the line break at its end."""
    path = tmp_path / "secret"
    for secret in ("first", "sécond"):
        path.write_text(f"{secret}\n", encoding="utf-8")
        assert read_secret("webhook_secret_file", str(path)) == secret.encode()


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_a_secret_that_cannot_be_read_is_an_error(tmp_path: Path, text: str | None) -> None:
    """A delivery for an unreadable secret is neither ignored nor verified with an empty one."""
    path = tmp_path / "secret"
    if text is not None:
        path.write_text(text)
    github = Github(source(webhook_secret_file=str(path)), SourceContext())
    with pytest.raises(CredentialsError, match=f"^webhook_secret_file {path} "):
        github.parse_delivery({"x-hub-signature-256": "sha256=0"}, b"{}")
