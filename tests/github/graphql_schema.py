"""GitHub's published GraphQL schema, which `make schema` unpacks."""

from functools import cache
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema

SCHEMA_FILE = Path(__file__).parents[2] / ".schema" / "schema.graphql"
REASON = f"{SCHEMA_FILE.parent.name}/ has no GraphQL schema of GitHub: run 'make schema'"


def require_schema() -> None:
    """Skip the current test where the schema is missing."""
    if not SCHEMA_FILE.exists():
        pytest.skip(REASON)


@cache
def schema() -> GraphQLSchema:
    """Return the schema, with 64 bit for `Int`.

    Building it takes half a second. It declares `databaseId` as Int, although GitHub's ids exceed
    32 bit.
    """
    made = build_schema(
        SCHEMA_FILE.read_text(encoding="utf-8"),
        assume_valid=True,
        assume_valid_sdl=True,
        no_location=True,
    )
    made.type_map["Int"].coerce_output_value = int  # type: ignore[attr-defined]
    return made
