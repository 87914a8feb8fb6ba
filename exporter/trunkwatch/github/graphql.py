"""GitHub's GraphQL API: one request for many objects, with a budget of points of its own.

https://docs.github.com/en/graphql/overview/rate-limits-and-node-limits-for-the-graphql-api
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from trunkwatch.config.sources import ENTERPRISE_API
from trunkwatch.errors import BadAnswerError, NoAnswerError, RateLimitedError, RequestError
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.json_text import int_or_none, list_or_empty, object_or_empty
from trunkwatch.rest.limits import UNKNOWN_WAIT_SECONDS, Quota

COST = "rateLimit { cost }"
"""To be part of every query, so that its points are recorded."""

MAX_COST = 1000
"""Points that one query is believed to cost; ours cost ten at most."""

_LIMITED = frozenset({"RATE_LIMIT", "RATE_LIMITED"})
_TOO_LARGE = frozenset({"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"})


class GraphError(NamedTuple):
    """One entry of `errors` beside the data.

    Attributes:
        type: such as `FORBIDDEN` or `NOT_FOUND`; empty where GitHub leaves it out.
        message: for people.
    """

    type: str
    message: str


class GraphAnswer(NamedTuple):
    """The answer of a query; what `data` holds is good whatever the errors are.

    Attributes:
        data: by the names and aliases of the query.
        errors: of the parts that are null.
    """

    data: Mapping[str, Any]
    errors: tuple[GraphError, ...]

    def has(self, kind: str) -> bool:
        """Return whether an error has a type."""
        return any(error.type == kind for error in self.errors)


class TooLargeError(BadAnswerError):
    """The query asks for more than GitHub answers within its ten seconds: ask for less."""


def graphql_url(api_url: str) -> str:
    """Return the address below which `/graphql` lies, given that of the REST API."""
    base = api_url.rstrip("/")
    return base.removesuffix("/v3") if base.endswith(ENTERPRISE_API) else base


class GraphClient:
    """Sends queries, and records their points."""

    def __init__(self, client: RestClient, quota: Quota) -> None:
        """Args:
        client: of the address that `graphql_url` gives; it must not repeat requests, since a query
            that is too large fails each time.
        quota: of the points.
        """
        self._client = client
        self._quota = quota

    @property
    def max_list_pages(self) -> int:
        """Pages that a connection may have."""
        return self._client.max_list_pages

    @property
    def quota(self) -> Quota:
        """The points that were used, and those that are left."""
        return self._quota

    def query(self, text: str, variables: Mapping[str, Any]) -> GraphAnswer:
        """Send a query, which must contain `COST`.

        Raises:
            TooLargeError: it asks for too much at once.
            RateLimitedError: the points of this hour are used up.
            BadAnswerError: GitHub refuses the query itself.
            RequestError: as for `RestClient.request`.
        """
        body = {"query": text, "variables": dict(variables)}
        try:
            document = self._client.object("POST", "/graphql", body=body)
        except NoAnswerError as error:
            if not error.retryable:
                raise
            # A query that takes too long ends without an answer, or with a 502.
            raise TooLargeError(str(error), retryable=True, detail=error.detail) from None
        except RequestError as error:
            if (error.status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise TooLargeError(
                    str(error), status=error.status, retryable=True, detail=error.detail
                ) from None
            raise
        data = document.get("data")
        errors = tuple(_errors(document.get("errors")))
        if isinstance(data, dict):
            self._quota.add_cost(_cost(data))
        self._check(data, errors)
        assert isinstance(data, dict)
        return GraphAnswer(data, errors)

    def _check(self, data: object, errors: tuple[GraphError, ...]) -> None:
        kinds = {error.type for error in errors}
        named = f"POST {self._client.address('/graphql')}"
        detail = errors[0].message if errors else ""
        if kinds & _LIMITED:
            until = max(self._quota.free_at(), self._client.now() + UNKNOWN_WAIT_SECONDS)
            self._quota.block(until)
            problem = f"{named}: the points of this hour are used up"
            raise RateLimitedError(problem, until, status=HTTPStatus.OK, detail=detail)
        if kinds & _TOO_LARGE:
            raise TooLargeError(f"{named}: too much at once", status=HTTPStatus.OK, detail=detail)
        if not isinstance(data, dict):
            problem = f"{named}: {'an error instead of data' if errors else 'no data'}"
            raise BadAnswerError(problem, status=HTTPStatus.OK, detail=detail)


def _errors(rows: object) -> list[GraphError]:
    found = []
    for row in list_or_empty(rows):
        if not isinstance(row, dict):
            continue
        code = object_or_empty(row.get("extensions")).get("code")
        kind = "RATE_LIMIT" if code == "graphql_rate_limit" else str(row.get("type") or "")
        found.append(GraphError(kind, " ".join(str(row.get("message") or "").split())[:200]))
    return found


def _cost(data: Mapping[str, Any]) -> int:
    cost = int_or_none(object_or_empty(data.get("rateLimit")).get("cost"))
    return 1 if cost is None else min(cost, MAX_COST)
