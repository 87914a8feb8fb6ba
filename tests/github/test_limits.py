"""The fake GitHub counts, limits and authorizes requests as GitHub does."""

import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.github.client import Client
from tests.github.fake import T0, TOKEN, FakeGitHub
from tests.github.server import GitHubServer, serving_github

HOUR = 3600.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def _one_commit(fake: FakeGitHub) -> None:
    fake.repo("o/r").commit("first")
    fake.repo("o/secret", private=True).commit("first")


@pytest.mark.parametrize("weak", [True, False])
def test_an_unchanged_document_costs_nothing(
    fake: FakeGitHub, server: GitHubServer, client: Client, weak: bool
) -> None:
    """A request with the current ETag answers 304 and is not counted."""
    fake.weak_etags = weak
    etag = client.response("/commits").headers["ETag"]
    assert etag.startswith("W/") is weak
    same = client.response("/commits", etag=etag)
    assert (same.status_code, same.content, server.counted()) == (304, b"", 1)
    assert same.headers["x-ratelimit-used"] == "1"
    fake.repos["o/r"].commit("second")
    assert client.response("/commits", etag=etag).status_code == 200
    assert (server.counted(), server.sent()) == (2, 3)


def test_an_unchanged_document_counts_without_a_token(server: GitHubServer) -> None:
    """GitHub counts a 304 of a request without a token."""
    client = Client(server, token=None)
    etag = client.response("").headers["ETag"]
    assert client.response("", etag=etag).status_code == 304
    assert server.counted() == 2
    client.close()


def test_an_etag_is_good_for_one_token(
    fake: FakeGitHub, server: GitHubServer, client: Client
) -> None:
    """The ETag of one token does not match for another token."""
    fake.tokens["another"] = "user-2"
    other = Client(server, "another")
    etag = client.response("").headers["ETag"]
    assert other.response("", etag=etag).status_code == 200
    other.close()


def test_a_spent_limit_refuses_until_its_hour_is_over(
    fake: FakeGitHub, server: GitHubServer
) -> None:
    """A used-up quota answers 403 with nothing remaining, and is not counted further."""
    fake.limit = 2
    client = Client(server)
    assert [client.response("").status_code for _ in range(3)] == [200, 200, 403]
    refused = client.response("")
    assert refused.json()["message"].startswith("API rate limit exceeded")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert float(refused.headers["x-ratelimit-reset"]) == T0 + HOUR
    assert server.counted() == 2
    fake.now = T0 + HOUR - 1
    assert client.response("").status_code == 403
    fake.now = T0 + HOUR
    assert client.response("").status_code == 200
    client.close()


def test_without_a_token_there_are_sixty_an_hour(server: GitHubServer) -> None:
    """The headers of a response without a token have a limit of 60."""
    client = Client(server, token=None)
    headers = client.response("").headers
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("60", "59")
    client.close()


def test_the_limit_can_be_asked_for_free(server: GitHubServer, client: Client) -> None:
    """`/rate_limit` returns the remaining quota and does not count."""
    client.get("")
    document = client.session.get(f"{server.url}/rate_limit").json()
    assert document["resources"]["core"]["remaining"] == 4999
    assert server.counted() == 1


def test_ghes_may_have_no_limit_and_another_path(fake: FakeGitHub) -> None:
    """Without a rate limit there are no such headers and no `/rate_limit`."""
    fake.limited = False
    with serving_github(fake, prefix="/api/v3") as server:
        assert server.url.endswith("/api/v3")
        client = Client(server)
        answer = client.response("")
        assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]
        assert answer.json()["url"].startswith(server.url)
        assert client.session.get(f"{server.url}/rate_limit").status_code == 404
        client.close()


@pytest.mark.parametrize(
    ("token", "repo", "status", "message"),
    [
        ("wrong", "o/r", 401, "Bad credentials"),
        (TOKEN, "o/none", 404, "Not Found"),
        (None, "o/secret", 404, "Not Found"),
        (TOKEN, "o/secret", 200, None),
    ],
)
def test_who_may_see_what(
    server: GitHubServer, token: str | None, repo: str, status: int, message: str | None
) -> None:
    """A private repository answers 404 to a request without access."""
    client = Client(server, token, repo)
    answer = client.response("")
    assert (answer.status_code, answer.json().get("message")) == (status, message)
    client.close()


# ---------------------------------------------------------------------- the App


def signed(key: rsa.RSAPrivateKey, **changes: object) -> str:
    """Return a JWT of the App."""
    claims = {"iat": T0 - 60, "exp": T0 + 540, "iss": "12", **changes}
    return jwt.encode(claims, key, algorithm="RS256")


def install(fake: FakeGitHub, server: GitHubServer, token: str) -> requests.Response:
    """Request an installation token."""
    public = KEY.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    fake.app = ("12", public.decode())
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        found = session.get(f"{server.url}/repos/o/r/installation", timeout=10)
        if found.status_code != requests.codes.ok:
            return found
        return session.post(found.json()["access_tokens_url"], timeout=10)


def test_an_app_gets_a_token_for_an_hour(fake: FakeGitHub, server: GitHubServer) -> None:
    """An installation token is refused after one hour."""
    answer = install(fake, server, signed(KEY))
    assert answer.status_code == 201
    client = Client(server, answer.json()["token"])
    fake.now = T0 + HOUR - 1
    assert client.response("").status_code == 200
    fake.now = T0 + HOUR
    assert client.response("").status_code == 401
    client.close()


@pytest.mark.parametrize(
    "token",
    [
        signed(OTHER_KEY),
        signed(KEY, iss="13"),
        signed(KEY, exp=T0 - 1),
        signed(KEY, exp=T0 + 700),
        signed(KEY, iat=T0 + 120),
        "no.jwt.atall",
    ],
    ids=["other key", "other app", "expired", "valid for too long", "in the future", "no JWT"],
)
def test_a_jwt_that_is_not_right_is_refused(
    fake: FakeGitHub, server: GitHubServer, token: str
) -> None:
    """The key, the issuer and both times are checked, in simulated time."""
    assert abs(time.time() - T0) > HOUR
    assert install(fake, server, token).status_code == 401
