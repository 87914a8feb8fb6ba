"""Facts whose values have other types than their fields, or cannot be stored."""

from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from trunkwatch.domain.model import (
    Commit,
    Observation,
    RawJob,
    Trunk,
    TrunkOrder,
    WorkflowReport,
    WorkflowState,
)
from trunkwatch.engine.facts import AddedCommits, Cursor, Fact
from trunkwatch.engine.storable import is_storable
from trunkwatch.store.sqlite import SqliteStore

from tests.support.examples import examples

TRUNK = Trunk("o/r", "main")
SHA = "a" * 40
ROW = Observation(
    TRUNK, SHA, RawJob("CI", ".github/ci.yml", "test é"), "completed", "failure",
    run_id=1, job_id="j", run_number=7, started_at=1.0, url="https://x", annotations=("no",),
)  # fmt: skip
POISON = st.sampled_from([2**63, -(2**70), "\ud800", ["x"], {"a": 1}, True, None, 1.5])


@given(st.sampled_from([field.name for field in fields(Observation)][1:]), POISON)
@settings(max_examples=examples(60), deadline=None)
def test_whatever_is_storable_can_be_stored(name: str, poison: Any) -> None:
    """A row that passes is stored with any one of its values poisoned."""
    values: dict[str, Any] = {name: poison}
    if name == "job":
        values = {"job": ROW.job._replace(job_name=poison)}
    if name == "annotations":
        values = {"annotations": (poison,)}
    row = replace(ROW, **values)
    if is_storable(row):
        SqliteStore().apply("ci", [row], None)


def test_each_kind_of_fact_is_checked() -> None:
    """Good facts pass; one text that is none does not."""
    good, bad = Commit(SHA, 1.0, "me", "title"), Commit(SHA, 1.0, "me", "\udc00")
    facts: list[tuple[Fact, bool]] = [
        (ROW, True),
        (replace(ROW, run_id=2**63), False),
        (TrunkOrder(TRUNK, (good, Commit(SHA))), True),
        (TrunkOrder(TRUNK, (bad,)), False),
        (AddedCommits(TrunkOrder(TRUNK, (good,))), True),
        (AddedCommits(TrunkOrder(TRUNK, (bad,))), False),
        (WorkflowReport(TRUNK, "ci.yml", WorkflowState.ACTIVE), True),
        (WorkflowReport(TRUNK, "\ud800", WorkflowState.ACTIVE), False),
        (Cursor("x"), True),
    ]
    assert [is_storable(fact) for fact, _ in facts] == [storable for _, storable in facts]
