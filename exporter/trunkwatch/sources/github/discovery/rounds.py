"""One round over the repositories of a source: which of them are read, and in which order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil

from trunkwatch.errors import (
    CredentialsError,
    NoAnswerError,
    NotFoundError,
    RateLimitedError,
    RequestError,
    SourceError,
)
from trunkwatch.github.graphql import GraphClient, TooLargeError
from trunkwatch.rest.limits import Quota, RefreshBudget
from trunkwatch.sources.github.discovery.heads import REPOS_LIMIT, Head, HeadRequest, ask_heads
from trunkwatch.sources.github.pool import in_parallel

MAX_PLAIN_REPOS = 10
"""Repositories up to which each is read in every refresh, for free by ETags."""

REPO_REQUESTS = 4
"""Requests that reading a repository without news takes, at most."""

HEADS_SHARE = 0.5
"""Share of the usable points that the heads of repositories may cost."""

HOUR = 3600.0

REFUSED_SECONDS = 3600.0
"""Seconds for which the heads of a repository are not asked for after they were not answered."""

MAX_UNREACHABLE = 3
"""Repositories in a row that give no answer, after which the others are not tried."""


def interval_for(repos: int, points: Quota | None, interval: float) -> float:
    """Return the seconds from one round to the next that the points allow.

    Args:
        repos: their number.
        points: the quota of GraphQL; None where it is not used.
        interval: seconds that are wanted.
    """
    if points is None or repos <= MAX_PLAIN_REPOS or not points.budget:
        return interval
    queries = ceil(repos / REPOS_LIMIT)
    return max(interval, HOUR * queries / (HEADS_SHARE * points.budget))


class HeadReader:
    """Asks for heads, fewer at once while GitHub does not answer.

    Attributes:
        is_refused: whether the heads of most repositories cannot be read.
    """

    def __init__(self, graph: GraphClient, clock: Callable[[], float], *, statuses: bool) -> None:
        """Args:
        graph: the API.
        clock: seconds since the epoch.
        statuses: whether commit statuses are results.
        """
        self._graph = graph
        self._clock = clock
        self._statuses = statuses
        self._size = REPOS_LIMIT
        self._refused: dict[str, float] = {}
        self.is_refused = False

    def read(self, requests: Sequence[HeadRequest]) -> dict[str, Head]:
        """Return the heads of repositories; one that is missing has to be read to see its news.

        Raises:
            CredentialsError: the token is refused.
        """
        now = self._clock()
        self._refused = {repo: at for repo, at in self._refused.items() if self._is_late(now, at)}
        wanted = [request for request in requests if request.repo not in self._refused]
        chunks = [wanted[at : at + self._size] for at in range(0, len(wanted), self._size)]
        found: dict[str, Head] = {}
        failed = False
        for heads, error in in_parallel(self._task(chunk) for chunk in chunks):
            found |= heads
            failed = failed or isinstance(error, NotFoundError)
            if isinstance(error, CredentialsError):
                raise error
        self._size = min(REPOS_LIMIT, self._size + 5)
        for request in wanted:
            head = found.get(request.repo)
            if failed if head is None else head.default and not head.tips:
                self._refused[request.repo] = now
        self.is_refused = 2 * len(self._refused) > len(requests)
        return found

    @staticmethod
    def _is_late(now: float, at: float) -> bool:
        return 0 <= now - at < REFUSED_SECONDS

    def _task(
        self, chunk: Sequence[HeadRequest]
    ) -> Callable[[], tuple[dict[str, Head], RequestError | None]]:
        return lambda: self._ask(chunk)

    def _ask(self, chunk: Sequence[HeadRequest]) -> tuple[dict[str, Head], RequestError | None]:
        try:
            return ask_heads(self._graph, chunk, statuses=self._statuses), None
        except TooLargeError as error:
            if len(chunk) == 1:
                return {}, error
            middle = len(chunk) // 2
            self._size = max(1, min(self._size, middle))
            first, problem = self._ask(chunk[:middle])
            # GitHub does not answer at all: one such query is enough.
            if problem is not None:
                return first, problem
            rest, problem = self._ask(chunk[middle:])
            return first | rest, problem
        except RequestError as error:
            return {}, error


@dataclass
class Gate:
    """Decides whether a repository may be begun now.

    Attributes:
        quota: of REST.
        budget: of this refresh.
        stopped: the error that every further repository would meet too.
    """

    quota: Quota
    budget: RefreshBudget
    stopped: SourceError | None = None
    _unreachable: int = field(default=0, repr=False)

    def may_begin(self, *, cold: bool) -> bool:
        """Return whether a repository may be read; a cold one has never been."""
        allowed = self.budget.for_history() if cold else self.budget.for_news()
        return allowed and self.quota.pause(REPO_REQUESTS) == 0.0

    def note(self, errors: Sequence[SourceError]) -> None:
        """Record the errors of a repository."""
        unreachable = any(isinstance(error, NoAnswerError) for error in errors)
        self._unreachable = self._unreachable + 1 if unreachable else 0
        for error in errors:
            lasting = isinstance(error, CredentialsError | RateLimitedError)
            if lasting or self._unreachable >= MAX_UNREACHABLE:
                self.stopped = self.stopped or error
