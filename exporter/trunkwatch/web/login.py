"""Basic authentication with bcrypt hashes.

A check takes 50 ms or more of a CPU, and a scrape sends its password each time: an accepted one is
recognised by a keyed hash, which is kept in memory instead of the password.
"""

import asyncio
import binascii
import hashlib
import hmac
import secrets
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import bcrypt

CHECK_THREADS = 2
"""Checks at once; bcrypt needs a whole CPU for each."""

MAX_CHECKS, MAX_CHECKS_PER_CLIENT = 16, 4
"""Checks that wait or run: in all, and from one address, so that one guesser does not
refuse all others."""

BCRYPT_BYTES = 72
"""bcrypt uses no more of a password; tools that make hashes cut it there too."""


class Login(Enum):
    """The result of a check."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    BUSY = "busy"


class Checks:
    """The threads of bcrypt, for one listener. For use in its event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(CHECK_THREADS, "web-login")
        self._waiting: Counter[str] = Counter()

    async def is_password(self, client: str, password: bytes, hashed: bytes) -> bool | None:
        """Return whether a password has a hash; None if too many checks wait.

        Args:
            client: its address.
            password: as given.
            hashed: of the configuration.
        """
        if self._waiting.total() >= MAX_CHECKS or self._waiting[client] >= MAX_CHECKS_PER_CLIENT:
            return None
        self._waiting[client] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, _is_password, password, hashed
            )
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def close(self) -> None:
        """Start no more checks."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Logins:
    """The users of one configuration. For use in one event loop."""

    def __init__(self, hashes: Mapping[str, str], checks: Checks) -> None:
        """Args:
        hashes: bcrypt hashes by user.
        checks: threads.
        """
        self._hashes = {user.encode(): text.encode() for user, text in hashes.items()}
        self._checks = checks
        self._key = secrets.token_bytes(32)
        # One password a user: guesses cannot displace it.
        self._accepted: dict[bytes, bytes] = {}

    def __bool__(self) -> bool:
        """Return whether a password is needed."""
        return bool(self._hashes)

    async def check(self, header: str, client: str) -> Login:
        """Check the Authorization header of a request.

        Args:
            header: its value, decoded as latin-1; empty without one.
            client: the address of the client.
        """
        found = _user_and_password(header)
        if found is None:
            return Login.REFUSED
        user, password = found
        digest = self._digest(user, password)
        if hmac.compare_digest(self._accepted.get(user, b""), digest):
            return Login.ACCEPTED
        is_right = await self._checks.is_password(client, password, self._hash_for(user))
        if is_right is None:
            return Login.BUSY
        if not is_right or user not in self._hashes:
            return Login.REFUSED
        self._accepted[user] = digest
        return Login.ACCEPTED

    def _hash_for(self, user: bytes) -> bytes:
        """Return the hash of a user; for an unknown one that of another, which costs as much."""
        hashes = list(self._hashes.values())
        place = int.from_bytes(self._digest(user, b"")[:8], "big") % len(hashes)
        return self._hashes.get(user, hashes[place])

    def _digest(self, user: bytes, password: bytes) -> bytes:
        text = b"%d:%b%b" % (len(user), user, password)
        return hmac.new(self._key, text, hashlib.sha256).digest()


def _user_and_password(header: str) -> tuple[bytes, bytes] | None:
    """Return the user and the password of a header (RFC 7617); None if it is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
    except (ValueError, binascii.Error):
        return None
    return (user, password) if colon else None


def _is_password(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], hashed)
    except ValueError:  # a password with a NUL, in some versions
        return False
