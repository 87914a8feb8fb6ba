"""The two ways in which the source github reads jobs."""

import pytest

from tests.github.graphql_schema import require_schema


@pytest.fixture(
    params=[
        pytest.param(True, id="graphql"),
        # `make check` reads through REST alone only where a test names it.
        pytest.param(False, id="rest", marks=pytest.mark.slow),
    ]
)
def graphql(request: pytest.FixtureRequest) -> bool:
    """Return whether GraphQL may be used; a test that takes this runs both ways."""
    if request.param:
        require_schema()
    return bool(request.param)
