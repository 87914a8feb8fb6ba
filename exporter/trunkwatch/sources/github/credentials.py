"""Tokens, keys and secrets: reading them, telling them apart, and not repeating a refused one.

None of them gets into a text: errors name the place where it stands.
"""

import hashlib
from pathlib import Path

from trunkwatch.errors import SourceAuthError

LONGEST_FILE = 16_384
"""Bytes of a file with a token, a key or a secret; a longer one is the wrong file."""

FINGERPRINT = 8
"""Characters of a fingerprint: enough to tell a few tokens apart, too few to guess one by."""


def content_of(source: str, where: str, path: str) -> bytes:
    """Return what a file holds, without white space at its ends.

    Args:
        source: its name, for errors.
        where: the key and the place, for errors.
        path: the file.

    Raises:
        SourceAuthError: it cannot be read, or holds nothing, or far too much.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LONGEST_FILE + 1)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise SourceAuthError(source, f"{where} cannot be read ({problem})") from None
    if len(content) > LONGEST_FILE:
        raise SourceAuthError(source, f"{where} is longer than any; is it the right file?")
    if not content.strip():
        raise SourceAuthError(source, f"{where} is empty")
    return content.strip()


def fingerprint_of(secret: bytes) -> str:
    """Return a few characters that tell secrets apart and give nothing away."""
    return hashlib.sha256(b"trunkwatch:" + secret).hexdigest()[:FINGERPRINT]


def is_header_word(token: bytes) -> bool:
    """Whether a token can be sent; requests quotes in full what it refuses to send."""
    return token != b"" and all(0x21 <= byte <= 0x7E for byte in token)


class Refusal:
    """Remembers what the server refused, so that it is not sent again at once."""

    def __init__(self, source: str, patience: float) -> None:
        """Args:
        source: its name, for errors.
        patience: seconds until the same is tried again.
        """
        self._source = source
        self._patience = patience
        self._sent = ""
        self._sent_at = 0.0
        self._refused: str | None = None
        self._why = ""

    def check(self, fingerprint: str, now: float) -> None:
        """Take note of what is about to be sent.

        Raises:
            SourceAuthError: it was refused a while ago.
        """
        # A clock that was set back ends the wait too, or it might last for years.
        if fingerprint == self._refused and 0 <= now - self._sent_at < self._patience:
            raise SourceAuthError(self._source, self._why)
        self._refused, self._sent, self._sent_at = None, fingerprint, now

    def refuse(self, why: str) -> SourceAuthError:
        """Take note that what was sent last is refused; return the error that says so."""
        self._refused, self._why = self._sent, why
        return SourceAuthError(self._source, why)
