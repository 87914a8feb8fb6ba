"""Facts whose values have other types than their fields, or cannot be stored."""

from typing import Any

import pytest
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
from trunkwatch.domain.suspects import UNREADABLE_FILES, ChangedFiles, Span
from trunkwatch.engine.facts import AddedCommits, Cursor, Fact, FilesReport
from trunkwatch.engine.storable import UNREADABLE, is_storable, storable_part
from trunkwatch.store.sqlite import SqliteStore

from tests.support.examples import examples

TRUNK = Trunk("o/r", "main")
SHA = "a" * 40
ROW = Observation(
    TRUNK, SHA, RawJob("CI", ".github/ci.yml", "test é"), "completed", "failure",
    run_id=1, job_id="j", run_number=7, started_at=1.0, url="https://x", annotations=("no",),
)  # fmt: skip
POISON = st.sampled_from([2**63, -(2**70), "\ud800", ["x"], {"a": 1}, True, None, 1.5])


@given(st.sampled_from(Observation.__struct_fields__[1:]), POISON)
@settings(max_examples=examples(60), deadline=None)
def test_the_storable_part_of_a_row_can_be_stored(name: str, poison: Any) -> None:
    """Whichever one of its values is poisoned."""
    values: dict[str, Any] = {name: poison}
    if name == "job":
        values = {"job": ROW.job._replace(job_name=poison)}
    if name == "annotations":
        values = {"annotations": (poison,)}
    row = ROW.changed(**values)
    part = storable_part(row)
    if part is not None:
        SqliteStore().apply("ci", [part], None)


def test_each_kind_of_fact_is_checked() -> None:
    """Good facts pass; one text that is none does not."""
    good, bad = Commit(SHA, 1.0, "me", "title"), Commit(SHA, 1.0, "me", "\udc00")
    facts: list[tuple[Fact, bool]] = [
        (ROW, True),
        (ROW.changed(run_id=2**63), False),
        (TrunkOrder(TRUNK, (good, Commit(SHA))), True),
        (TrunkOrder(TRUNK, (bad,)), False),
        (AddedCommits(TrunkOrder(TRUNK, (good,))), True),
        (AddedCommits(TrunkOrder(TRUNK, (bad,))), False),
        (WorkflowReport(TRUNK, "ci.yml", WorkflowState.ACTIVE), True),
        (WorkflowReport(TRUNK, "\ud800", WorkflowState.ACTIVE), False),
        (FilesReport(TRUNK, Span(SHA), ChangedFiles(("a.py",), is_complete=True)), True),
        (FilesReport(TRUNK, Span(SHA, "\ud800"), UNREADABLE_FILES), False),
        (FilesReport(TRUNK, Span(SHA), ChangedFiles(("\ud800",), is_complete=True)), False),
        (Cursor("x"), True),
    ]
    assert [is_storable(fact) for fact, _ in facts] == [storable for _, storable in facts]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"url": ["x"], "started_at": 2**70}, {"url": None, "started_at": None}),
        ({"completed_at": float("inf")}, {"completed_at": None}),
        ({"annotations": ("ok", "\ud800")}, {"annotations": ("ok",)}),
        ({"infra": 1, "run_number": "7"}, {"infra": False, "run_number": None}),
        ({"conclusion": "\ud800"}, {"conclusion": None, "status": UNREADABLE}),
        ({"status": ["completed"]}, {"conclusion": None, "status": UNREADABLE}),
    ],
)
def test_a_row_counts_without_what_cannot_be_read(
    values: dict[str, Any], found: dict[str, Any]
) -> None:
    """Without a readable result, it neither passed nor failed."""
    assert storable_part(ROW.changed(**values)) == ROW.changed(**found)


@pytest.mark.parametrize("values", [{"sha": 7}, {"run_id": 2**63}, {"attempt": None}])
def test_a_row_without_identity_is_dropped(values: dict[str, Any]) -> None:
    """Its result may be that of any job."""
    assert storable_part(ROW.changed(**values)) is None


def test_an_order_keeps_each_commit_or_is_dropped() -> None:
    """A commit counts without its author and title; without its hash its neighbours would seem
    adjacent.
    """
    odd, lost = Commit(SHA, float("nan"), "\udc00", "title"), Commit("\udc00")
    order = TrunkOrder(TRUNK, (Commit("b" * 40), odd))
    mended = TrunkOrder(TRUNK, (Commit("b" * 40), Commit(SHA, None, None, "title")))
    assert storable_part(order) == mended
    assert storable_part(AddedCommits(order)) == AddedCommits(mended)
    assert storable_part(TrunkOrder(TRUNK, (odd, lost))) is None
    assert storable_part(WorkflowReport(TRUNK, "\ud800", WorkflowState.ACTIVE)) is None
