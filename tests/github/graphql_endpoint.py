"""The GraphQL endpoint: it executes queries against GitHub's published schema."""

import json
import re
from http import HTTPStatus
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    parse,
    validate,
)

from tests.github.graphql_cost import QueryCost
from tests.github.graphql_errors import ApiError, as_member
from tests.github.graphql_objects import GraphqlObjects
from tests.github.graphql_pages import Pages
from tests.github.graphql_schema import SCHEMA_FILE, schema
from tests.github.json_parts import dumps, time_text
from tests.github.limits import Bucket
from tests.github.render import Renderer
from tests.github.responses import NOT_FOUND, Document, ErrorResponse, UnsupportedRequestError

TIMEOUT_SECONDS = 10.0
"""The time after which GitHub ends a query, in seconds."""

TIMED_OUT = ErrorResponse(
    HTTPStatus.BAD_GATEWAY, "Something went wrong while executing your query."
)


class GraphqlAnswer(NamedTuple):
    """The response to a query.

    Attributes:
        response: the HTTP response.
        points: what the query costs.
    """

    response: Document | ErrorResponse
    points: int


class GraphqlEndpoint:
    """The GraphQL endpoint of a fake GitHub."""

    def __init__(self, renderer: Renderer) -> None:
        """Args:
        renderer: the state to render, and the addresses of its pages.
        """
        self._renderer = renderer
        self._fake = renderer.fake

    def answer(self, body: bytes, bucket: Bucket) -> GraphqlAnswer:
        """Execute a query; without the schema, answer as a server that has no GraphQL.

        Args:
            body: of the request.
            bucket: the caller's quota, which is not charged here.

        Raises:
            UnsupportedRequestError: the fake GitHub does not support it.
        """
        if not SCHEMA_FILE.exists():
            return GraphqlAnswer(NOT_FOUND, 0)
        request = json.loads(body)
        variables = request.get("variables") or {}
        try:
            document = _parsed(request["query"])
            cost = QueryCost(schema(), document, variables)
        except _InvalidError as invalid:
            return _errors(invalid.errors)
        except ApiError as error:
            return _errors([error])
        pages = Pages(self._fake.graphql_rows_limit)
        root = GraphqlObjects(self._renderer, pages).query(_rate_limit(bucket, cost))
        result = execute_sync(schema(), document, root, None, variables, field_resolver=_resolve)
        _raise_internal(result.errors or [])
        if pages.exceeded and self._fake.graphql_times_out:
            self._fake.now += TIMEOUT_SECONDS
            # GitHub charges additional points for a query that times out.
            return GraphqlAnswer(TIMED_OUT, 2 * cost.points)
        return GraphqlAnswer(_document(result), cost.points)


def rate_limit_error(who: str) -> Document:
    """Return the answer to a user whose points are used up."""
    message = f"API rate limit exceeded for user ID {who}."
    error = {"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": message}
    return Document(dumps({"errors": [error]}))


class _InvalidError(Exception):
    """A query that the schema does not allow."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(*errors)
        self.errors = errors


_valid: set[str] = set()
"""Valid queries without their literals, such as ids, which all have the type of a text."""


def _parsed(query: str) -> DocumentNode:
    """Parse a query, and validate it unless another one differs in its literals only."""
    try:
        document = parse(query)
    except GraphQLError as error:
        raise _InvalidError([error]) from None
    shape = re.sub(r'"[^"]*"', '""', query)
    if shape in _valid:
        return document
    if found := validate(schema(), document):
        raise _InvalidError(found)
    (operation,) = (n for n in document.definitions if isinstance(n, OperationDefinitionNode))
    if operation.operation is not OperationType.QUERY:
        raise UnsupportedRequestError("a GraphQL operation that is no query")
    _valid.add(shape)
    return document


def _resolve(source: Any, info: Any, **arguments: Any) -> Any:
    if info.field_name not in source:
        raise UnsupportedRequestError(f"{info.parent_type.name}.{info.field_name} in GraphQL")
    value = source[info.field_name]
    return value(info, **arguments) if callable(value) else value


def _raise_internal(errors: list[GraphQLError]) -> None:
    """Raise errors of the fake itself, such as an unsupported field, argument or value."""
    for error in errors:
        cause = error.original_error
        if not isinstance(cause, ApiError | GraphQLError | None):
            raise UnsupportedRequestError(f"GraphQL {error.path}: {cause!r}") from cause


def _document(result: ExecutionResult) -> Document:
    document: dict[str, Any] = {"data": result.data}
    if result.errors:
        document["errors"] = [as_member(error) for error in result.errors]
    return Document(dumps(document))


def _errors(found: list[GraphQLError] | list[ApiError]) -> GraphqlAnswer:
    """Return the answer to a query that is not executed; it costs a point."""
    return GraphqlAnswer(Document(dumps({"errors": [as_member(error) for error in found]})), 1)


def _rate_limit(bucket: Bucket, cost: QueryCost) -> dict[str, Any]:
    used = bucket.used + cost.points
    return {
        "cost": cost.points,
        "limit": bucket.limit,
        "nodeCount": cost.nodes,
        "remaining": max(0, bucket.limit - used),
        "resetAt": time_text(bucket.reset),
        "used": used,
    }
