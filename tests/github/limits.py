"""Who asks, and how much they may: tokens, the App, and the hourly limit in virtual time."""

import hashlib
import json
from dataclasses import dataclass
from http import HTTPStatus

import jwt

from tests.github.fake import FakeGitHub
from tests.github.responses import ErrorResponse

HOUR = 3600.0
ANONYMOUS = "anonymous"
JWT_LIFETIME_LIMIT_SECONDS = 600.0
"""Seconds that a JWT of an App may be good for."""

CLOCK_SKEW_SECONDS = 60.0
"""Seconds by which an App's clock may be ahead of GitHub's."""

BAD_CREDENTIALS = ErrorResponse(HTTPStatus.UNAUTHORIZED, "Bad credentials")


@dataclass(slots=True)
class Bucket:
    """Requests of one token in its hour.

    Attributes:
        limit: requests an hour.
        reset: when the hour ends (seconds since the epoch).
        used: requests so far.
    """

    limit: int
    reset: float
    used: int = 0

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def document(self) -> dict[str, int]:
        return {"limit": self.limit, "used": self.used, "remaining": self.remaining,
                "reset": int(self.reset)}  # fmt: skip

    def headers(self) -> dict[str, str]:
        said = {f"x-ratelimit-{key}": str(value) for key, value in self.document().items()}
        return {**said, "x-ratelimit-resource": "core"}


class AccessControl:
    """Knows every token of a world and counts what it asks."""

    def __init__(self, fake: FakeGitHub) -> None:
        """Args:
        world: whose tokens and time count.
        """
        self._world = fake
        self._buckets: dict[str, Bucket] = {}
        self._installed: dict[str, float] = {}

    def who(self, authorization: str | None) -> str | None:
        """Return who a header speaks for; None where it is not accepted."""
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() not in ("bearer", "token"):
            return None
        if token in self._world.tokens:
            return self._world.tokens[token]
        if self._installed.get(token, 0.0) > self._world.now:
            return f"installation-{self._world.installation}"
        return None

    def is_app(self, authorization: str | None) -> bool:
        """Whether a header holds a JWT that the App has signed, and that is good now."""
        scheme, _, token = (authorization or "").partition(" ")
        if self._world.app is None or scheme.lower() != "bearer":
            return False
        identity, key = self._world.app
        try:
            # The time is the world's, so it is looked at below.
            said = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            issued, expires = float(said["iat"]), float(said["exp"])
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            return False
        now = self._world.now
        return (
            str(said.get("iss")) == identity
            and issued <= now + CLOCK_SKEW_SECONDS
            and now < expires <= now + JWT_LIFETIME_LIMIT_SECONDS + CLOCK_SKEW_SECONDS
            and expires - issued <= JWT_LIFETIME_LIMIT_SECONDS + CLOCK_SKEW_SECONDS
        )

    def issue_token(self) -> tuple[str, float]:
        """Return a new token of the installation, and when it ends (seconds since the epoch)."""
        text = json.dumps([len(self._installed), self._world.now])
        token = f"installed-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
        expires = self._world.now + HOUR
        self._installed[token] = expires
        return token, expires

    def bucket(self, who: str) -> Bucket:
        """Return the bucket of somebody, a fresh one when the hour is over."""
        known = self._buckets.get(who)
        if known is None or self._world.now >= known.reset:
            limit = self._world.anonymous_limit if who == ANONYMOUS else self._world.limit
            known = self._buckets[who] = Bucket(limit, self._world.now + HOUR)
        return known

    def limit_error(self, who: str) -> ErrorResponse | None:
        """Return the refusal of somebody who has nothing left."""
        if not self._world.limited or self.bucket(who).remaining:
            return None
        name = "127.0.0.1" if who == ANONYMOUS else f"user ID {who}"
        return ErrorResponse(HTTPStatus.FORBIDDEN, f"API rate limit exceeded for {name}.")
