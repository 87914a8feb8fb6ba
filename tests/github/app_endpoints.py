"""The endpoints of the rate limit and of the GitHub App's installation tokens."""

from http import HTTPStatus
from typing import NamedTuple

from tests.github.json_parts import dumps, time_text, with_members
from tests.github.limits import BAD_CREDENTIALS, GRAPHQL, AccessControl
from tests.github.render import Renderer
from tests.github.repo import Repo
from tests.github.responses import NOT_FOUND, Document, ErrorResponse, Response


class Caller(NamedTuple):
    """The sender of a request.

    Attributes:
        who: the token's user, or `anonymous`.
        authorization: the header.
    """

    who: str
    authorization: str | None


class AppEndpoints:
    """The endpoints that a client uses before it reads a repository."""

    def __init__(self, renderer: Renderer, access: AccessControl) -> None:
        """Args:
        renderer: renders the documents.
        access: the rate limits and the App's credentials.
        """
        self._renderer = renderer
        self._access = access
        self._fake = renderer.fake

    def rate_limit(self, caller: Caller) -> Response:
        if not self._fake.limited:
            return ErrorResponse(HTTPStatus.NOT_FOUND, "Rate limiting is not enabled.")
        core = self._access.bucket(caller.who).document()
        graphql = self._access.bucket(caller.who, GRAPHQL).document()
        search = {"limit": 30, "used": 0, "remaining": 30, "reset": core["reset"]}
        document = dumps(
            {"resources": {"core": core, "search": search, "graphql": graphql}, "rate": core}
        )
        return Document(self._renderer.validator.check("RateLimitOverview", document))

    def installation(self, repo: Repo | None, caller: Caller) -> Response:
        if not self._access.is_app(caller.authorization):
            return BAD_CREDENTIALS
        if repo is None:
            return NOT_FOUND
        number, owner = self._fake.installation, repo.full_name.partition("/")[0]
        parts = self._renderer.parts
        document = {
            "id": number,
            "repository_selection": "selected",
            "access_tokens_url": f"{parts.api}/app/installations/{number}/access_tokens",
            "repositories_url": f"{parts.api}/installation/repositories",
            "html_url": f"{parts.html}/settings/installations/{number}",
            "app_id": int(self._fake.app[0]) if self._fake.app else 0,
            "app_slug": "trunkwatch",
            "target_id": 1,
            "target_type": "Organization",
            "permissions": self._fake.rights.granted,
            "events": [],
            "created_at": "2024-01-01T00:00:00Z",
            "updated_at": "2024-01-01T00:00:00Z",
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": None,
        }
        text = with_members(document, account=self._renderer.user(owner))
        return Document(self._renderer.validator.check("Installation", text))

    def access_token(self, number: str, caller: Caller) -> Response:
        if not self._access.is_app(caller.authorization):
            return BAD_CREDENTIALS
        if number != str(self._fake.installation):
            return NOT_FOUND
        token, expires = self._access.issue_token()
        document = {
            "token": token,
            "expires_at": time_text(expires),
            "permissions": self._fake.rights.granted,
            "repository_selection": "selected",
        }
        text = self._renderer.validator.check("InstallationToken", dumps(document))
        return Document(text, HTTPStatus.CREATED)
