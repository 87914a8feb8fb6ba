"""Authentication and rate limits: tokens, the App, and hourly quotas in simulated time."""

import hashlib
import json
from collections import defaultdict, deque
from dataclasses import dataclass
from http import HTTPStatus

import jwt

from tests.github.fake import FakeGitHub
from tests.github.responses import ErrorResponse

HOUR = 3600.0
MINUTE = 60.0
CORE, GRAPHQL = "core", "graphql"
POINTS_A_MINUTE = {CORE: 900, GRAPHQL: 2000}
"""The secondary limits of one token: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"""

CONCURRENT_REQUESTS = 100
"""The secondary limit of requests at once, REST and GraphQL together."""

ANONYMOUS = "anonymous"
JWT_LIFETIME_LIMIT_SECONDS = 600.0
"""The longest validity of an App's JWT, in seconds."""

CLOCK_SKEW_SECONDS = 60.0
"""How far an App's clock may be ahead of GitHub's, in seconds."""

SECONDARY_LIMIT = ErrorResponse(
    HTTPStatus.FORBIDDEN,
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
)
BAD_CREDENTIALS = ErrorResponse(HTTPStatus.UNAUTHORIZED, "Bad credentials")


@dataclass(slots=True)
class Bucket:
    """The quota of one token in the current hour.

    Attributes:
        resource: `core` or `graphql`.
        limit: requests or points an hour.
        reset: when the hour ends (seconds since the epoch).
        used: counted requests or points so far.
    """

    resource: str
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
        headers = {f"x-ratelimit-{key}": str(value) for key, value in self.document().items()}
        return {**headers, "x-ratelimit-resource": self.resource}


class AccessControl:
    """The credentials and quotas of a fake GitHub."""

    def __init__(self, fake: FakeGitHub) -> None:
        """Args:
        fake: provides the tokens, limits and time.
        """
        self._fake = fake
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._lately: dict[tuple[str, str], deque[tuple[float, int]]] = defaultdict(deque)
        self._installed: dict[str, float] = {}

    def who(self, authorization: str | None) -> str | None:
        """Return the user of an Authorization header; None if it is invalid."""
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() not in ("bearer", "token"):
            return None
        if token in self._fake.tokens:
            return self._fake.tokens[token]
        if self._installed.get(token, 0.0) > self._fake.now:
            return f"installation-{self._fake.installation}"
        return None

    def is_app(self, authorization: str | None) -> bool:
        """Return whether a header holds a JWT that the App signed and that is valid now."""
        scheme, _, token = (authorization or "").partition(" ")
        if self._fake.app is None or scheme.lower() != "bearer":
            return False
        identity, key = self._fake.app
        try:
            # The library would use the real clock; the times are compared below.
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            issued, expires = float(claims["iat"]), float(claims["exp"])
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            return False
        now = self._fake.now
        return (
            str(claims.get("iss")) == identity
            and issued <= now + CLOCK_SKEW_SECONDS
            and now < expires <= now + JWT_LIFETIME_LIMIT_SECONDS + CLOCK_SKEW_SECONDS
            and expires - issued <= JWT_LIFETIME_LIMIT_SECONDS + CLOCK_SKEW_SECONDS
        )

    def issue_token(self) -> tuple[str, float]:
        """Return a new installation token and when it expires (seconds since the epoch)."""
        text = json.dumps([len(self._installed), self._fake.now])
        token = f"installed-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
        expires = self._fake.now + HOUR
        self._installed[token] = expires
        return token, expires

    def bucket(self, who: str, resource: str = CORE) -> Bucket:
        """Return a user's bucket, a new one if the hour is over."""
        bucket = self._buckets.get((who, resource))
        if bucket is None or self._fake.now >= bucket.reset:
            limit = self._fake.graphql_limit if resource == GRAPHQL else self._fake.limit
            limit = self._fake.anonymous_limit if who == ANONYMOUS else limit
            bucket = Bucket(resource, limit, self._fake.now + HOUR)
            self._buckets[who, resource] = bucket
        return bucket

    def exceeds_minute(self, who: str, resource: str, points: int) -> bool:
        """Record a request, and return whether it exceeds the secondary limit of a minute.

        Unlike the hourly quota, this limit includes requests that answer 304.
        """
        lately = self._lately[who, resource]
        while lately and lately[0][0] <= self._fake.now - MINUTE:
            lately.popleft()
        lately.append((self._fake.now, points))
        return self._fake.limited and sum(used for _, used in lately) > POINTS_A_MINUTE[resource]

    def limit_error(self, who: str) -> ErrorResponse | None:
        """Return the error for a user whose quota is used up."""
        if not self._fake.limited or self.bucket(who).remaining:
            return None
        name = "127.0.0.1" if who == ANONYMOUS else f"user ID {who}"
        return ErrorResponse(HTTPStatus.FORBIDDEN, f"API rate limit exceeded for {name}.")
