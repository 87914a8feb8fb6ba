"""The errors of GitHub's GraphQL API, which come with status 200."""

from typing import Any

from graphql import GraphQLError


class ApiError(Exception):
    """An error of one field, or of the whole query.

    Attributes:
        kind: the error's `type`.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Args:
        kind: the error's `type`.
        message: GitHub's text.
        """
        super().__init__(message)
        self.kind = kind


def as_member(error: GraphQLError | ApiError) -> dict[str, Any]:
    """Return an error as `errors` contains it."""
    if isinstance(error, ApiError):
        return {"type": error.kind, "message": str(error)}
    member: dict[str, Any] = {"path": error.path} if error.path else {}
    if isinstance(error.original_error, ApiError):
        member["type"] = error.original_error.kind
    places = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    return {**member, "locations": places, "message": error.message}
