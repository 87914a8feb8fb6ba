"""HTTP answers: encoding, entity tags, and sending them by WSGI (PEP 3333)."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from trunkwatch.blocks import Parts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"

SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
)
"""Only files of this server run or style a page; no other site shows one in a frame or learns its
address."""


class Answer(NamedTuple):
    """One HTTP answer; a large body comes in parts."""

    status: str
    content_type: str
    body: bytes | Parts
    headers: tuple[tuple[str, str], ...] = ()


Endpoint = Callable[["WSGIEnvironment"], Answer]
"""Answers the requests to one path."""

URI_CHARACTERS = ":/?#[]@!$&'()*+,;=%~-._"
"""Characters that an address has as they are (RFC 3986)."""

NOT_MODIFIED = "304 Not Modified"

NOT_FOUND = Answer("404 Not Found", TEXT, b"no such page; see /\n")


def method_not_allowed(*allowed: str) -> Answer:
    """Return the answer to a method that a path does not support."""
    text = f"only {' and '.join(allowed)}\n".encode()
    return Answer("405 Method Not Allowed", TEXT, text, (("Allow", ", ".join(allowed)),))


def json_error(status: str, error: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return the answer of an address of JSON that has no object to return."""
    body = json.dumps({"error": error}, ensure_ascii=False)
    return Answer(status, JSON, f"{body}\n".encode("utf-8", "replace"), headers)


def redirect_to_shard(address: str, environ: "WSGIEnvironment") -> Answer:
    """Return the answer that leads a request to the same path of another exporter."""
    query = environ.get("QUERY_STRING", "")
    path = environ.get("REQUEST_URI", "") + (f"?{query}" if query else "")
    location = f"{address}{quote(path, safe=URI_CHARACTERS)}"
    body = b"another shard reads it, see the header Location\n"
    return Answer("307 Temporary Redirect", TEXT, body, (("Location", location),))


def health(dead_threads: Sequence[str]) -> Answer:
    """Return the answer of `/-/healthy`.

    Args:
        dead_threads: the names of threads that must run and do not.
    """
    if dead_threads:
        text = "".join(f"not healthy: the thread {name} has died\n" for name in dead_threads)
        return Answer("503 Service Unavailable", TEXT, text.encode())
    return Answer("200 OK", TEXT, b"healthy\n")


def readiness(problems: Sequence[str]) -> Answer:
    """Return the answer of `/-/ready`.

    Args:
        problems: the reasons for not being ready.
    """
    if problems:
        text = "".join(f"not ready: {problem}\n" for problem in problems)
        return Answer("503 Service Unavailable", TEXT, text.encode())
    return Answer("200 OK", TEXT, b"ready\n")


def path_of(environ: "WSGIEnvironment") -> str:
    """Return the path of a request; WSGI decodes its bytes as latin-1."""
    path: str = environ["PATH_INFO"]
    return path.encode("latin-1").decode("utf-8", "replace")


def is_at_most(digits: str, limit: int) -> bool:
    """Return whether a number is at most a limit; Python refuses one of thousands of digits."""
    return len(digits) <= len(str(limit)) and int(digits) <= limit


def respond(
    answer: Answer, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """Send an answer; to HEAD without its body."""
    body = (
        answer.body if isinstance(answer.body, Parts) else Parts(len(answer.body), (answer.body,))
    )
    about_body = [("Content-Type", answer.content_type), ("Content-Length", str(body.size))]
    is_unmodified = answer.status == NOT_MODIFIED  # its headers about a body would be of the body's
    start_response(
        answer.status,
        [
            *(() if is_unmodified else about_body),
            *((("Cache-Control", "no-store"),) if answer.content_type == JSON else ()),
            *answer.headers,
        ],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else body.chunks()


def with_security(
    headers: Iterable[tuple[bytes, bytes]], configured: Iterable[tuple[str, str]]
) -> list[tuple[bytes, bytes]]:
    """Return the headers of any answer, with those for security.

    Args:
        headers: of the answer.
        configured: by the web configuration; they replace others of their names.
    """
    kept = [(name.encode(), value.encode()) for name, value in configured]
    names = {name.lower() for name, _ in kept}
    defaults = ((name.encode(), value.encode()) for name, value in SECURITY_HEADERS)
    return [*kept, *(each for each in (*headers, *defaults) if each[0].lower() not in names)]


def negotiated(
    environ: "WSGIEnvironment",
    content_type: str,
    encodings: Mapping[str, Callable[[], Parts]],
    vary: str,
    etag: str | None = None,
) -> Answer:
    """Return a page in the encoding that the client accepts, or that it has not changed.

    Args:
        environ: the request.
        content_type: of the page.
        encodings: return the page, by `gzip` and `identity`.
        vary: the request's headers that the answer depends on.
        etag: of the page, if it has one.
    """
    encoding = "gzip" if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")) else "identity"
    headers = [("Vary", vary)]
    if etag is not None:
        headers.append(("ETag", etag))
        if is_known(environ.get("HTTP_IF_NONE_MATCH", ""), etag):
            return Answer(NOT_MODIFIED, content_type, b"", tuple(headers))
    if encoding != "identity":
        headers.append(("Content-Encoding", encoding))
    return Answer("200 OK", content_type, encodings[encoding](), tuple(headers))


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3).

    A weight of `gzip` itself counts more than one of `*`; one that cannot be read is 1.
    """
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights.setdefault(name, min(map(_weight, parameters), default=1.0))
    return weights.get("gzip", weights.get("*", 0.0)) > 0.0


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 1.0


def is_known(header: str, etag: str) -> bool:
    """Return whether an If-None-Match header lists a page's tag (RFC 9110, section 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return tags == ["*"] or etag.removeprefix("W/") in tags
