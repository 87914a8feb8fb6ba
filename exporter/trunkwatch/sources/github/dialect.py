"""How GitHub is spoken to, and what its refusals say; for all who ask it."""

import json
from http import HTTPStatus

import requests

from trunkwatch.sources.http import USER_AGENT

HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": USER_AGENT,
}

PER_PAGE = 100
"""Rows of a page, the most that GitHub gives."""

TEXT_SEARCHED = 1000
"""Characters of an answer in which a limit is looked for."""

MESSAGE_QUOTED = 120
"""Characters of GitHub's own words that an error quotes."""


def as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Change nothing: as `auth` of a request, it keeps a ~/.netrc from replacing the header."""
    return request


def retry_after(answer: requests.Response) -> float | None:
    """Return the seconds that an answer asks to wait, if it asks."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def is_limit(answer: requests.Response) -> bool:
    """Whether a refusal is of too many requests: 403 may also be a missing right.

    GitHub tells these apart by headers and in the text of the answer only.
    """
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    if answer.status_code != HTTPStatus.FORBIDDEN:
        return False
    spent = answer.headers.get("x-ratelimit-remaining") == "0"
    said = answer.text[:TEXT_SEARCHED].lower()
    return spent or retry_after(answer) is not None or "rate limit" in said


def quoted(answer: requests.Response) -> str:
    """Quote what GitHub says about an error, in a few words; empty when it says nothing."""
    try:
        message = json.loads(answer.content)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {' '.join(str(message).split())[:MESSAGE_QUOTED]}"
