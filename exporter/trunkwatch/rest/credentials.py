"""Tokens and secrets: reading them, and not repeating a refused one.

No error holds any of them: errors name the place where the secret is stored.
"""

import hashlib
import hmac
import os
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from trunkwatch.errors import CredentialsError
from trunkwatch.textfiles import open_regular, without_mark

MAX_SECRET_BYTES = 16_384
"""Bytes of a file with a token, a key or a secret; a longer one is the wrong file."""

FINGERPRINT_CHARACTERS = 8
"""Enough to distinguish a few tokens, too few to guess one by."""

BEARER = "Bearer "
"""The beginning of the header of a token."""

TOKEN_KEYS = "token_file or token_env"
"""The keys of every source that name a token, for errors."""

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 15.0, 3600.0
"""Seconds after which a refused credential is sent again, doubled by each further refusal: servers
that were out of order have refused good ones, so that the next poll tries again; and one request
an hour is no load."""


def read_secret(where: str, path: str) -> bytes:
    """Return the content of a file without byte order mark and white space at its ends.

    Args:
        where: the key and the place, for errors.
        path: the file.

    Raises:
        CredentialsError: the file cannot be read, is no regular file, is empty, or is far too long.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise CredentialsError(f"{where} cannot be read ({problem})") from None
    if len(content) > MAX_SECRET_BYTES:
        raise CredentialsError(f"{where} is longer than any; is it the right file?")
    with suppress(UnicodeDecodeError):  # then it is no text, and its two first bytes are no mark
        content = without_mark(content)
    if not content.strip():
        raise CredentialsError(f"{where} is empty")
    return content.strip()


def read_variable(where: str, name: str, environ: Mapping[str, str]) -> bytes:
    """Return the value of an environment variable, as `read_secret` does of a file.

    Raises:
        CredentialsError: it is not set, or is empty.
    """
    # `TOKEN=$(cat FILE)` copies a byte order mark.
    value = environ.get(name, "").removeprefix("\ufeff").strip()
    if not value:
        raise CredentialsError(f"{where}: this variable is not set, or is empty")
    return value.encode("utf-8", "surrogateescape")


def fingerprint_of(secret: bytes) -> str:
    """Return a few characters that distinguish secrets and reveal nothing of them."""
    return hashlib.sha256(b"trunkwatch:" + secret).hexdigest()[:FINGERPRINT_CHARACTERS]


def is_header_word(token: bytes) -> bool:
    """Return whether a token can be sent; requests quotes in full a header that it refuses."""
    return token != b"" and all(0x21 <= byte <= 0x7E for byte in token)


def has_signature(body: bytes, secret: bytes, signature: bytes) -> bool:
    """Return whether `sha256=` and a body's HMAC is the signature; compares in constant time."""
    expected = b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(expected, signature)


class Authorization(Protocol):
    """The source of the Authorization header."""

    def header(self, now: float) -> str | None:
        """Return the value of the Authorization header; None for anonymous requests.

        Args:
            now: seconds since the epoch.

        Raises:
            CredentialsError: there is no token, or the server refused it recently.
            RequestError: the server was asked for a token and gave none.
        """

    def fingerprint(self, now: float) -> str:
        """Return 8 characters that distinguish tokens and reveal nothing; "" without a token.

        Raises:
            RequestError: as for `header`.
        """

    def refused(self, header: str | None) -> None:
        """Record that the server answered a header with 401."""


class RefusedCredential:
    """The credential that the server refused last: it is not sent again for a while.

    Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = ""
        self._sent_at = 0.0
        self._refused: str | None = None
        self._refused_at = 0.0
        self._wait = 0.0
        self._why = ""

    def check(self, fingerprint: str, now: float) -> None:
        """Record the credential that is about to be sent.

        Raises:
            CredentialsError: it was refused recently.
        """
        with self._lock:
            # A clock that was set back ends the wait too, or it might last for years.
            if fingerprint == self._refused and 0 <= now - self._refused_at < self._wait:
                raise CredentialsError(self._why)
            # Accepted last time, or another one: the next refusal is a first one again.
            if self._refused is None or fingerprint != self._sent:
                self._wait = 0.0
            self._refused, self._sent, self._sent_at = None, fingerprint, now

    def refuse(self, fingerprint: str, why: str) -> CredentialsError:
        """Record that a credential is refused; return the error to raise.

        Of concurrent requests, only the first refusal counts; one of a credential that has been
        replaced since does not concern the new one.
        """
        with self._lock:
            if fingerprint == self._sent and self._refused is None:
                self._wait = min(max(2 * self._wait, FIRST_RETRY_SECONDS), MAX_RETRY_SECONDS)
                self._refused, self._refused_at, self._why = fingerprint, self._sent_at, why
        return CredentialsError(why)


class NoToken:
    """Anonymous requests, of which servers answer few."""

    def __init__(self, keys: str = TOKEN_KEYS) -> None:
        """Args:
        keys: of the configuration that name a token, for errors.
        """
        self._keys = keys
        self._refusal = RefusedCredential()

    def header(self, now: float) -> None:
        """Return no header."""
        self._refusal.check("", now)

    def fingerprint(self, now: float) -> str:
        """Return an empty text."""
        del now
        return ""

    def refused(self, header: str | None) -> None:
        """Record that the server refuses anonymous requests."""
        self._refusal.refuse(
            header or "",
            f"the server asks for a token (HTTP 401); name one by {self._keys}",
        )


class Token:
    """A token that is read each time that it is used, so that a rotated one needs no restart."""

    def __init__(self, where: str, read: Callable[[], bytes]) -> None:
        """Args:
        where: the key and the place, for errors.
        read: returns the token; raises CredentialsError.
        """
        self._where = where
        self._read = read
        self._refusal = RefusedCredential()

    def header(self, now: float) -> str:
        """Return the token as a header."""
        token = self._token()
        self._refusal.check(fingerprint_of(token), now)
        return f"{BEARER}{token.decode('ascii')}"

    def fingerprint(self, now: float) -> str:
        """Return the token's fingerprint."""
        del now
        return fingerprint_of(self._token())

    def refused(self, header: str | None) -> None:
        """Record that the server refuses a token."""
        self._refusal.refuse(
            fingerprint_of((header or "").removeprefix(BEARER).encode()),
            f"the server refuses the token of {self._where} (HTTP 401): it is wrong, revoked or"
            " expired; a new one is tried at once, the same one again after a pause",
        )

    def _token(self) -> bytes:
        token = self._read()
        if not is_header_word(token):
            raise CredentialsError(f"{self._where} holds no token: one is one word")
        return token


class FileToken(Token):
    """A token in a file."""

    def __init__(self, path: str) -> None:
        where = f"token_file {path}"
        super().__init__(where, lambda: read_secret(where, path))


class EnvToken(Token):
    """A token in an environment variable."""

    def __init__(self, name: str, environ: Mapping[str, str] = os.environ) -> None:
        where = f"token_env {name}"
        super().__init__(where, lambda: read_variable(where, name, environ))


class Login:
    """A user's name and password as HTTP basic authentication; the password is read each time."""

    def __init__(self, user: str, password_file: str | None, password_env: str | None) -> None:
        """Args:
        user: the name.
        password_file: a file that contains the password.
        password_env: an environment variable that contains it; without either it is empty.
        """
        self._user = user
        self._where = "an empty password"
        self._read: Callable[[], bytes] = bytes
        if password_file is not None:
            self._where = f"password_file {password_file}"
            self._read = partial(read_secret, self._where, password_file)
        elif password_env is not None:
            self._where = f"password_env {password_env}"
            self._read = partial(read_variable, self._where, password_env, os.environ)
        self._refusal = RefusedCredential()

    def header(self, now: float) -> str:
        """Return name and password as a header."""
        header = b"Basic " + b64encode(self._user.encode() + b":" + self._read())
        self._refusal.check(fingerprint_of(header), now)
        return header.decode()

    def fingerprint(self, now: float) -> str:
        """Return the fingerprint of the password."""
        del now
        return fingerprint_of(self._read())

    def refused(self, header: str | None) -> None:
        """Record that the server refuses the login."""
        self._refusal.refuse(
            fingerprint_of((header or "").encode()),
            f"the server refuses the user {self._user} with {self._where}: one of them is wrong;"
            " a new password is tried at once, the same one again after a pause",
        )


def token_of(
    token_file: str | None, token_env: str | None, keys: str = TOKEN_KEYS
) -> Authorization:
    """Return the token that a configuration names, if it names one.

    Args:
        token_file: a file that contains it.
        token_env: an environment variable that contains it.
        keys: of the configuration that name a token, for errors.
    """
    if token_file is not None:
        return FileToken(token_file)
    return EnvToken(token_env) if token_env is not None else NoToken(keys)
