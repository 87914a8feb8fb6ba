"""HTTP answers, and sending them by WSGI (PEP 3333)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from trunkwatch.blocks import Parts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """One HTTP answer; a large body comes in parts."""

    status: str
    content_type: str
    body: bytes | Parts
    headers: tuple[tuple[str, str], ...] = ()


Endpoint = Callable[["WSGIEnvironment"], Answer]
"""Answers the requests to one path."""

NOT_FOUND = Answer("404 Not Found", TEXT, b"no such page; see /\n")


def method_not_allowed(*allowed: str) -> Answer:
    """Return the answer to a method that a path does not support."""
    text = f"only {' and '.join(allowed)}\n".encode()
    return Answer("405 Method Not Allowed", TEXT, text, (("Allow", ", ".join(allowed)),))


def path_of(environ: "WSGIEnvironment") -> str:
    """Return the path of a request; WSGI decodes its bytes as latin-1."""
    path: str = environ["PATH_INFO"]
    return path.encode("latin-1").decode("utf-8", "replace")


def respond(
    answer: Answer, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """Send an answer; to HEAD without its body."""
    body = (
        answer.body if isinstance(answer.body, Parts) else Parts(len(answer.body), (answer.body,))
    )
    start_response(
        answer.status,
        [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(body.size)),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers,
        ],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else body.chunks()
