"""Endpoints that are about no repository's contents: the rate limit, and what an App needs."""

from http import HTTPStatus
from typing import NamedTuple

from tests.github.limits import BAD_CREDENTIALS, Gate
from tests.github.render import Renderer
from tests.github.repo import Repo
from tests.github.results import NOT_FOUND, Document, Refusal, Result
from tests.github.shapes import dumps, time_text, with_parts

PERMISSIONS = {"actions": "read", "checks": "read", "contents": "read", "metadata": "read"}


class Caller(NamedTuple):
    """Who asks.

    Attributes:
        who: a token's name, or `anonymous`.
        authorization: the header.
    """

    who: str
    authorization: str | None


class AppEndpoints:
    """Answers what is asked before anything can be read."""

    def __init__(self, renderer: Renderer, gate: Gate) -> None:
        """Args:
        renderer: makes the documents.
        gate: knows the limits and the App.
        """
        self._r = renderer
        self._gate = gate
        self._world = renderer.world

    def rate_limit(self, caller: Caller) -> Result:
        if not self._world.limited:
            return Refusal(HTTPStatus.NOT_FOUND, "Rate limiting is not enabled.")
        core = self._gate.bucket(caller.who).document()
        search = {"limit": 30, "used": 0, "remaining": 30, "reset": core["reset"]}
        document = dumps({"resources": {"core": core, "search": search}, "rate": core})
        return Document(self._r.validator.check("RateLimitOverview", document))

    def installation(self, repo: Repo | None, caller: Caller) -> Result:
        if not self._gate.is_app(caller.authorization):
            return BAD_CREDENTIALS
        if repo is None:
            return NOT_FOUND
        number, owner = self._world.installation, repo.full_name.partition("/")[0]
        shapes = self._r.shapes
        document = {
            "id": number,
            "repository_selection": "selected",
            "access_tokens_url": f"{shapes.api}/app/installations/{number}/access_tokens",
            "repositories_url": f"{shapes.api}/installation/repositories",
            "html_url": f"{shapes.html}/settings/installations/{number}",
            "app_id": int(self._world.app[0]) if self._world.app else 0,
            "app_slug": "trunkwatch",
            "target_id": 1,
            "target_type": "Organization",
            "permissions": PERMISSIONS,
            "events": [],
            "created_at": "2024-01-01T00:00:00Z",
            "updated_at": "2024-01-01T00:00:00Z",
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": None,
        }
        text = with_parts(document, account=self._r.user(owner))
        return Document(self._r.validator.check("Installation", text))

    def access_token(self, number: str, caller: Caller) -> Result:
        if not self._gate.is_app(caller.authorization):
            return BAD_CREDENTIALS
        if number != str(self._world.installation):
            return NOT_FOUND
        token, expires = self._gate.install()
        document = {
            "token": token,
            "expires_at": time_text(expires),
            "permissions": PERMISSIONS,
            "repository_selection": "selected",
        }
        text = self._r.validator.check("InstallationToken", dumps(document))
        return Document(text, HTTPStatus.CREATED)
