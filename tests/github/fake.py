"""The state of a fake GitHub: repositories, tokens, rate limits and a simulated clock."""

from itertools import count

from trunkwatch.domain.model import Observation, Trunk, TrunkOrder

from tests.github.expected import observations, order
from tests.github.repo import Repo
from tests.github.rights import CLASSIC
from tests.github.search_index import SearchIndex

T0 = 1_790_000_000.0
"""The default start of the simulated clock (seconds since the epoch)."""

TOKEN = "token-of-the-stand-in"
"""The token that every fake GitHub accepts."""


class FakeGitHub:
    """A fake GitHub, without its HTTP server.

    Attributes:
        now: the simulated time (seconds since the epoch); tests advance it.
        tokens: the user of each accepted token.
        limit: requests an hour per token.
        graphql_limit: points of GraphQL an hour per token.
        graphql_rows_limit: rows that a GraphQL query may return.
        graphql_times_out: whether a query beyond that limit ends with 502, or with an error for
            each further row.
        anonymous_limit: requests an hour per address without a token.
        limited: whether rate limits are enabled; GitHub Enterprise Server can disable them.
        rights: what every token may read in private repositories, and change in all.
        index: the search index of filtered lists of runs.
        run_order_jitter: by how much unfiltered lists of runs deviate from the order of time
            (seconds).
        moved: the former names of renamed repositories.
        people: the owners that are persons; the others are organizations.
        weak_etags: whether an ETag begins with `W/`.
        app: the GitHub App's (app id, public key in PEM); None for no App.
        installation: the id of the App's installation.
    """

    def __init__(self, now: float = T0, *, limit: int = 5000, limited: bool = True) -> None:
        """Args:
        now: the start of the simulated clock (seconds since the epoch).
        limit: requests an hour per token.
        limited: whether rate limits are enabled.
        """
        self.now = now
        self.limit = limit
        self.graphql_limit = 5000
        self.graphql_rows_limit = 20_000
        self.graphql_times_out = True
        self.anonymous_limit = 60
        self.limited = limited
        self.rights = CLASSIC
        self.index = SearchIndex()
        self.run_order_jitter = 0.0
        self.moved: dict[str, Repo] = {}
        self.people: set[str] = set()
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

    def rename(self, repo: Repo, full_name: str) -> None:
        """Rename or transfer a repository; requests for its former name are redirected."""
        self.moved[repo.full_name] = repo
        self.repos[full_name] = self.repos.pop(repo.full_name)
        repo.rename(full_name)

    def find(self, full_name: str) -> Repo | None:
        """Return a repository by its current name, in upper or lower case."""
        exact = self.repos.get(full_name)
        names = (name for name in self.repos if name.lower() == full_name.lower())
        return exact or self.repos.get(next(names, ""))

    def lacks(self, repo: Repo, permission: str) -> bool:
        """Return whether the tokens lack a permission for a repository."""
        return repo.private and permission not in self.rights.permissions

    def lacks_write(self, permission: str) -> bool:
        """Return whether the tokens lack a permission to write."""
        return permission not in self.rights.writable

    def next_id(self) -> int:
        """Return an unused id."""
        return next(self._ids)

    def expected_facts(
        self, repo: Repo | str, branch: str | None = None, *, since: float = 0.0
    ) -> tuple[TrunkOrder, list[Observation]]:
        """Return the order and the results that a source should have read by now.

        Args:
            repo: the repository, or its name.
            branch: the default branch by default.
            since: leaves out the runs without changes after it (seconds since the epoch).
        """
        found = self.repos[repo] if isinstance(repo, str) else repo
        trunk = Trunk(found.full_name, branch or found.default_branch)
        chain = order(trunk, found.head(trunk.branch, self.now))
        runs = (run for run in found.runs if run.changed_after(since, self.now))
        return chain, observations(chain, runs, self.now)

    def skip_ids(self, number: int) -> None:
        """Leave a number of ids unused."""
        self._ids = count(self.next_id() + number)
