"""A GitHub of its own: repositories, commits, runs and time, all written down by a test."""

from itertools import count

from trunkwatch.domain.model import Observation, Trunk, TrunkOrder

from tests.github.expected import observations, order
from tests.github.repo import Repo

T0 = 1_790_000_000.0
"""When a world begins by default (seconds since the epoch)."""

TOKEN = "token-of-the-stand-in"
"""The token that every world accepts."""


class FakeGitHub:
    """All that the stand-in plays.

    Attributes:
        now: the virtual time (seconds since the epoch); a test moves it.
        tokens: who each accepted token is.
        limit: requests an hour that a token has; without one it is `anonymous_limit`.
        anonymous_limit: requests an hour that an address has.
        limited: whether there is a rate limit at all; GHES can do without.
        weak_etags: whether an ETag begins with `W/`.
        app: what is known of the GitHub App, as (app id, public key in PEM); None for no App.
        installation: the id of the App's installation.
    """

    def __init__(self, now: float = T0, *, limit: int = 5000, limited: bool = True) -> None:
        """Args:
        now: when it begins (seconds since the epoch).
        limit: requests an hour of a token.
        limited: whether there is a rate limit.
        """
        self.now = now
        self.limit = limit
        self.anonymous_limit = 60
        self.limited = limited
        self.weak_etags = True
        self.tokens = {TOKEN: "user-1"}
        self.app: tuple[str, str] | None = None
        self.installation = 7
        self.repos: dict[str, Repo] = {}
        self._ids = count(4_000_001)

    def repo(self, full_name: str, *, default_branch: str = "main", private: bool = False) -> Repo:
        """Add a repository."""
        repo = Repo(lambda: self.now, self.next_id, full_name, default_branch, private)
        self.repos[full_name] = repo
        return repo

    def next_id(self) -> int:
        """Return an id that nothing else has."""
        return next(self._ids)

    def expected_facts(
        self, repo: Repo | str, branch: str | None = None
    ) -> tuple[TrunkOrder, list[Observation]]:
        """Return what an ideal source would have said by now."""
        found = self.repos[repo] if isinstance(repo, str) else repo
        trunk = Trunk(found.full_name, branch or found.default_branch)
        chain = order(trunk, found.head(trunk.branch, self.now))
        return chain, observations(chain, found.runs, self.now)
