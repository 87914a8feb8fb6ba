"""The facts of GitHub's REST API: headers, limits, errors and lists.

What to do about limits is described at
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
"""

from http import HTTPStatus
from types import MappingProxyType
from typing import TypeVar

from trunkwatch.errors import NotFoundError, RequestError
from trunkwatch.rest.http import Answer, ApiRules
from trunkwatch.rest.limits import RateLimitHeaders
from trunkwatch.rest.lists import ListClient

PER_PAGE = ListClient.per_page
"""Rows of a page, the most that GitHub gives."""

TOTAL = "total_count"
"""The key of the number of rows of a whole list."""

SEARCHED_CHARACTERS = 1000
"""Characters of an answer in which a rate limit is looked for."""

READ_ACCESS = (
    "the name is wrong, or the token may not read it"
    " (read-only Actions, Checks, Contents and Metadata)"
)
"""The advice of an error about a path that cannot be read."""

GITEA = (
    "this is a Gitea or Forgejo, which type: gitea reads, with url: the address of its start page"
)
"""The advice of an error about an answer of another kind of server."""

Row = TypeVar("Row")


class GithubRules(ApiRules):
    """How GitHub's API is read."""

    vendor = "GitHub"
    headers = MappingProxyType(
        {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    )
    rate_limit = RateLimitHeaders("x-ratelimit-")
    quotes_body = False  # the body of a token request holds the token
    message_keys = ("message",)
    conflict = "is the repository empty?"

    def __init__(self, advice: str = READ_ACCESS) -> None:
        """Args:
        advice: what an operator can do about a path that is missing or forbidden.
        """
        self.advice = advice

    def is_limit(self, answer: Answer) -> bool:
        """Return whether an answer is a rate limit.

        403 may also be a missing permission; only headers and text distinguish the two.
        """
        if answer.status != HTTPStatus.FORBIDDEN:
            return super().is_limit(answer)
        exhausted = answer.headers.get("x-ratelimit-remaining") == "0"
        text = answer.text(SEARCHED_CHARACTERS).lower()
        return exhausted or "Retry-After" in answer.headers or "rate limit" in text

    def not_json(self, answer: Answer) -> str:
        """Return why a successful answer is not JSON: Gitea may answer with its login page."""
        return GITEA if _is_of_gitea(answer) else super().not_json(answer)

    def error(self, answer: Answer, problem: str) -> RequestError:
        """Return the error for an answer that is no success; Gitea is named."""
        if _is_of_gitea(answer):
            return NotFoundError(f"{problem}; {GITEA}", status=answer.status)
        return super().error(answer, problem)


def _is_of_gitea(answer: Answer) -> bool:
    """Return whether Gitea or Forgejo sent an answer, which have their API at /api/v1 alone.

    Elsewhere they answer with a page, or with one line for a client that does not accept HTML:
    https://github.com/go-gitea/gitea/blob/main/services/context/context_response.go
    """
    text = answer.text(SEARCHED_CHARACTERS)
    if text.startswith("{"):
        return '/api/swagger"' in text  # the key `url` of each error of their API
    named = f"{answer.headers.get('Set-Cookie')} {text}".lower()
    return text == "Not found.\n" or "gitea" in named or "forgejo" in named
