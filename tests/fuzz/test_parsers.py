"""Every parser of the table takes a few hundred inputs; `make fuzz` tries 10,000 of each."""

import pytest

from tests.fuzz.attempts import attempt
from tests.fuzz.targets import TARGETS, Target
from tests.github.graphql_schema import require_schema
from tests.support.examples import examples


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_no_input_raises_what_its_parser_does_not_document(target: Target) -> None:
    """A poisoned value, bytes in between or a part that is cut off are read or refused."""
    if "GraphQL" in target.name:
        require_schema()
    found = attempt(target, examples(100), number=1)
    assert found.failure == ""
    assert found.tries > 0
