"""The dependencies of an HTTP client, its answers, and the rules of one vendor's API."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import requests

from trunkwatch.errors import BadAnswerError, NotFoundError, RequestError
from trunkwatch.rest.json_text import decode_json, object_or_empty
from trunkwatch.rest.limits import RateLimitHeaders

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of a decompressed body; a larger one is no answer of any API that is read here."""

MAX_LIST_PAGES = 300
"""Pages of a list; without a limit, a server that repeats a page would be read for ever."""

MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN)
"""The status codes of what does not exist, or may not be read."""


@dataclass(frozen=True, slots=True)
class HttpContext:
    """The dependencies of an HTTP client, as arguments.

    Attributes:
        session: makes a session.
        max_answer_bytes: of a decompressed body.
        max_list_pages: of a list.
        count_request: counts a request by the status code of its answer, or by `error` for none.
        clock: returns the time (seconds since the epoch).
        sleep: waits (seconds).
    """

    session: Callable[[], requests.Session] = requests.Session
    max_answer_bytes: int = MAX_ANSWER_BYTES
    max_list_pages: int = MAX_LIST_PAGES
    count_request: Callable[[str], None] = lambda _code: None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, read to its end.

    Attributes:
        status: the status code.
        headers: by name, in any case.
        content: the body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def text(self, length: int) -> str:
        """Return the first characters of the body."""
        return self.content[: 4 * length].decode(errors="replace")[:length]


class ApiRules:
    """How a JSON API is read; a vendor's own rules override this where they differ.

    Attributes:
        vendor: its name in errors.
        headers: sent with every request.
        rate_limit: the headers that report the vendor's rate limit.
        quotes_body: whether the log quotes a body that is not JSON; it must not where such a body
            may hold a secret.
        message_keys: keys of an error's JSON object whose values are messages.
        advice: what an operator can do about a path that is missing or forbidden, which vendors
            answer for what a token may not see; None where such an answer means something else.
        conflict: what an operator can do about HTTP 409; None where that has no usual cause.
    """

    vendor: str = "the server"
    headers: Mapping[str, str] = MappingProxyType({"Accept": "application/json"})
    rate_limit: RateLimitHeaders = RateLimitHeaders("RateLimit-")
    quotes_body: bool = True
    message_keys: tuple[str, ...] = ()
    advice: str | None = None
    conflict: str | None = None

    def is_limit(self, answer: Answer) -> bool:
        """Return whether an answer refuses a request because there were too many."""
        return answer.status == HTTPStatus.TOO_MANY_REQUESTS

    def is_refusal(self, answer: Answer) -> bool:
        """Return whether an answer refuses the credentials."""
        return answer.status == HTTPStatus.UNAUTHORIZED

    def message(self, answer: Answer) -> str:
        """Return the vendor's error message, for the log; empty without one."""
        if not self.message_keys:
            return ""
        try:
            document = object_or_empty(decode_json(answer.content))
            texts = [str(text) for key in self.message_keys if (text := document.get(key))]
        except (ValueError, RecursionError):
            return ""
        return "; ".join(texts)

    def known_error(self, answer: Answer, problem: str) -> RequestError | None:
        """Return the error for an answer whose cause the vendor names, whatever its status is."""
        del answer, problem
        return None

    def not_json(self, answer: Answer) -> str:
        """Return why a successful answer is not the JSON that it should be."""
        del answer
        return "the answer is not JSON"

    def error(self, answer: Answer, problem: str) -> RequestError:
        """Return the error for an answer that is neither a success nor a rate limit."""
        status, detail = answer.status, self.message(answer)
        if self.advice is not None and status in MISSING:
            return NotFoundError(f"{problem}; {self.advice}", status=status, detail=detail)
        if self.conflict is not None and status == HTTPStatus.CONFLICT:
            problem += f"; {self.conflict}"
        return BadAnswerError(problem, status=status, detail=detail)
