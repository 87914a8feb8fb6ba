"""Every parser of the table takes a few hundred inputs; `make fuzz` tries 10,000 of each."""

import pytest
from trunkwatch.sources.github.source import SPENT_KEY

from tests.fuzz.attempts import attempt
from tests.fuzz.poison import MISSING, Place, Poison
from tests.fuzz.targets import GRAPHQL, REST, TARGETS, Target
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


@pytest.mark.parametrize(
    ("path", "place", "text"),
    [
        ("/check-runs", ("check_runs", 3, "app"), "0"),
        ("/check-runs", ("check_runs", 3, "app"), '{"a":1}'),
        ("/commits", (0, "sha"), MISSING),
        ("/commits", (0, "parents", 0), MISSING),
        ("/runs", ("workflow_runs", 0, "head_repository"), "false"),
    ],
)
def test_a_value_that_was_believed_or_ended_a_refresh(path: str, place: Place, text: str) -> None:
    """Findings of `make fuzz`: the row is counted as dropped, and the others count."""
    exchange = next(each for each in REST.exchanges if each.request[1].endswith(path))
    REST.try_one((exchange, Poison(place, text)))


@pytest.mark.parametrize(("place", "text"), [((0,), "null"), ((), "{}")])
def test_a_job_with_an_unreadable_annotation_is_read_through_rest(place: Place, text: str) -> None:
    """A finding of `make fuzz`: the annotation may name the time limit that ended the job."""
    require_schema()
    exchange = next(each for each in GRAPHQL.exchanges if b"annotations" in each.request[3])
    nodes = ("data", "nodes", 0, "annotations", "nodes")
    GRAPHQL.try_one((exchange, Poison((*nodes, *place), text)))


def test_a_stored_run_with_another_field_is_dropped() -> None:
    """A finding of `make fuzz`: its content is read again."""
    key, text = next(each for each in REST.state.items() if " run_2 " in each[0])
    REST.try_state((key, text.replace('"changed"', '"changedNaN"').encode()))


@pytest.mark.parametrize("digits", ["9" * 4000, "9" * 5000, f"-{'9' * 4000}"])
def test_a_stored_quota_of_an_absurd_minute_is_dropped(digits: str) -> None:
    """A finding of `make fuzz`: Python converts no number of so many digits."""
    REST.try_state((SPENT_KEY, f'{{"{digits}": 1}}'.encode()))
