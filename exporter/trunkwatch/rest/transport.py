"""The transport of an HTTP client: an answer has a deadline, and a limit on its decoded bytes.

`requests` bounds each wait for a byte only, decodes a compressed body as a whole, and reads the
body of a redirect without any limit.
"""

import http.client
import io
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from socket import socket
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import HTTPResponse

CHUNK_BYTES = 64 * 1024

MAX_REDIRECTS = 3

GZIP_MAGIC = b"\x1f\x8b"

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
"""zlib's flag for a format that the data themselves name."""

_DECODED = ("", "identity", "gzip", "x-gzip", "deflate")

_current = threading.local()
"""`until`: the deadline of the request that this thread sends (seconds of the monotonic clock)."""


class AnswerTooLargeError(requests.RequestException):
    """The answer has more decoded bytes than it may have."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Limit the requests of this thread: waits for their answers end after some seconds in all."""
    _current.until = monotonic() + seconds
    try:
        yield
    finally:
        del _current.until


def has_passed() -> bool:
    """Return whether the deadline of this thread's request has passed."""
    until: float = _current.until
    return monotonic() >= until


class BoundedAdapter(HTTPAdapter):
    """Reads each answer to its end, redirects too, within the deadline and the limit of bytes."""

    def __init__(self, max_bytes: int) -> None:
        """Args:
        max_bytes: of a decoded body.
        """
        super().__init__()
        self._max_bytes = max_bytes

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool whose connections keep the deadline."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        secure = issubclass(pool.ConnectionCls, HTTPSConnection)
        pool.ConnectionCls = _SecureConnection if secure else _Connection
        return pool

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return an answer with its decoded body.

        Raises:
            AnswerTooLargeError: the body exceeds the limit.
            requests.RequestException: it ended early, or cannot be decoded.
        """
        response = super().build_response(req, resp)
        try:
            content = self._content(resp)
        except ReadTimeoutError as error:
            raise requests.Timeout(error, request=req) from None
        except requests.RequestException:
            raise
        except (HTTPError, OSError) as error:
            raise requests.ConnectionError(error, request=req) from None
        finally:
            # A connection whose body was read to its end is in the pool again; another one closes.
            resp.close()
        response.raw = io.BytesIO(content)
        return response

    def _content(self, resp: HTTPResponse) -> bytes:
        coding = resp.headers.get("Content-Encoding", "").strip().lower()
        if coding not in _DECODED:
            raise requests.exceptions.ContentDecodingError(
                f"the coding {coding[:60]!r} of the body"
            )
        chunks = resp.stream(CHUNK_BYTES, decode_content=False)
        content = bytearray()
        pieces = _decoded(chunks, self._max_bytes + 1) if coding not in _DECODED[:2] else chunks
        for piece in pieces:
            content += piece
            if len(content) > self._max_bytes:
                raise AnswerTooLargeError
        return bytes(content)


def _decoded(chunks: Iterable[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Decompress a body in pieces: a small chunk may hold gigabytes."""
    decoder = zlib.decompressobj(GZIP_OR_ZLIB)
    for chunk in chunks:
        left = chunk
        while left:
            if decoder.eof:
                if not left.startswith(GZIP_MAGIC):
                    return
                decoder = zlib.decompressobj(GZIP_OR_ZLIB)
            try:
                yield decoder.decompress(left, min(piece_bytes, CHUNK_BYTES))
            except zlib.error as error:
                raise requests.exceptions.ContentDecodingError(str(error)) from None
            left = decoder.unused_data if decoder.eof else decoder.unconsumed_tail


class _DeadlineReader(io.RawIOBase):
    """The bytes of a socket until the deadline."""

    def __init__(self, sock: socket, raw: io.RawIOBase, until: float) -> None:
        self._sock = sock
        self._raw = raw
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError
        timeout = self._sock.gettimeout()
        self._sock.settimeout(left if timeout is None else min(timeout, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        until = getattr(_current, "until", None)
        if until is not None:
            self.fp = io.BufferedReader(_DeadlineReader(sock, self.fp.detach(), until))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response
