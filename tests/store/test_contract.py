"""The contract of every store (the docstrings of `trunkwatch.store.port`)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trunkwatch.domain.model import (
    Observation,
    RawJob,
    RunId,
    Trunk,
    TrunkOrder,
    WorkflowReport,
    WorkflowState,
)
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.facts import Cursor, Fact, FilesReport, ReportedState, TrunkRemoved
from trunkwatch.store import MEMORY, STORES, Store
from trunkwatch.store.port import SPANS_KEPT

from tests.store.conftest import OpenStore
from tests.support.examples import examples
from tests.support.rows import JOB, NOW, TRUNK, commit, history, named, order, pending, run, sha

OTHER = Trunk("o/r", "release/1.0")


class BrokenSourceError(Exception):
    """Raised by a source in the middle of its facts."""


def rows_of(store: Store, trunk: Trunk = TRUNK) -> set[Observation]:
    rows = list(store.observations(trunk))
    assert len(rows) == len(set(rows))
    return set(rows)


def breaks_after(facts: Iterable[Fact]) -> Iterator[Fact]:
    yield from facts
    raise BrokenSourceError


# ---------------------------------------------------------------------- rows


def test_a_row_comes_back_as_it_was_given(store: Store) -> None:
    """Every field of an observation is stored, missing values included."""
    full = run(
        0,
        "failure",
        job=RawJob("ci", ".github/workflows/ci.yml", "test (a, 1)"),
        attempt=3,
        job_id="0x7",
        created_at=1.5,
        started_at=2.25,
        completed_at=3.125,
        failed_step="Run tests — ünï",
        infra=True,
        annotations=("1 test failed: ünï", "expected 3"),
        run_completed=True,
        event="schedule",
        head_branch="topic",
        head_repo="fork/r",
    )
    bare = run(1, None, run_id=None, run_number=None, url=None)
    store.apply("ci", [full, bare], NOW)
    assert rows_of(store) == {full, bare}


def test_the_same_refresh_twice_changes_nothing(store: Store) -> None:
    """A refresh that is applied again adds no row and touches no job."""
    facts = [*history("P F K ?"), Cursor("7")]
    store.apply("ci", facts, NOW)
    before = rows_of(store)
    again = store.apply("ci", facts, NOW + 1)
    assert rows_of(store) == before
    assert not again.touched
    assert not again.orders


def test_completed_takes_the_place_of_unfinished(store: Store) -> None:
    """A completed report of an attempt deletes its unfinished ones."""
    store.apply("ci", [pending(0, "queued"), pending(0, "in_progress")], NOW)
    store.apply("ci", [run(0, "failure")], NOW)
    assert rows_of(store) == {run(0, "failure")}


def test_completed_stays_when_unfinished_comes_later(store: Store) -> None:
    """An unfinished report that arrives late does not replace the completed one."""
    store.apply("ci", [run(0, "failure")], NOW)
    store.apply("ci", [pending(0, "in_progress")], NOW)
    assert rows_of(store) == {run(0, "failure")}


def test_another_attempt_that_runs_stays_beside_the_one_that_ended(store: Store) -> None:
    """A completed report leaves unfinished reports of other attempts in place."""
    rows = [run(0, "failure"), pending(0, attempt=2), pending(0, job_id=5), pending(0, run_id=9)]
    store.apply("ci", rows, NOW)
    assert rows_of(store) == set(rows)


def test_two_different_answers_of_one_attempt_are_both_kept(store: Store) -> None:
    """Two reports of one attempt with different conclusions are both stored, for the policy."""
    rows = {run(0, "failure"), run(0, "success"), run(0, None)}
    store.apply("ci", rows, NOW)
    assert rows_of(store) == rows


@pytest.mark.parametrize("name", ["event", "head_branch", "head_repo"])
def test_contradicting_origins_are_both_kept(store: Store, name: str) -> None:
    """Whether a run counts must not depend on which of two reports came first."""
    other: dict[str, Any] = {name: "other"}
    rows = {run(0), run(0, **other)}
    store.apply("ci", rows, NOW)
    assert rows_of(store) == rows


def test_fields_of_one_answer_are_united(store: Store) -> None:
    """Two reports with the same conclusion become one row with the fields of both."""
    store.apply("ci", [run(0, "failure", started_at=5.0, url=None, run_number=None)], NOW)
    store.apply("ci", [run(0, "failure", completed_at=9.0, failed_step="Test")], NOW)
    united = run(0, "failure", started_at=5.0, completed_at=9.0, failed_step="Test")
    assert rows_of(store) == {united}


def test_annotations_of_one_answer_are_united(store: Store) -> None:
    """Annotations survive a report without them, and do not depend on the order of reports."""
    texts: list[tuple[str, ...]] = [(), ("b", "a"), ("a", "z"), ("b",), ()]
    for lines in texts:
        store.apply("ci", [run(0, "failure", annotations=lines)], NOW)
    assert rows_of(store) == {run(0, "failure", annotations=("b", "a"))}


@pytest.mark.parametrize("name", ["run_id", "job_id"])
def test_ids_keep_their_type(store: Store, name: str) -> None:
    """The number 7, the text '7' and the text '07' are three ids."""
    ids: list[RunId] = [7, "7", "07", -1, 2**62]
    as_changes: list[dict[str, Any]] = [{name: value} for value in ids]
    rows = {run(0, **changes) for changes in as_changes}
    store.apply("ci", rows, NOW)
    found = [getattr(row, name) for row in store.observations(TRUNK)]
    assert sorted(map(repr, found)) == sorted(map(repr, ids))


def test_texts_with_odd_characters_survive(store: Store) -> None:
    """Quotes, NUL, line breaks and any script are stored as they are."""
    odd = run(0, job=named("a'\"\\;--\0\n\u2028雪"), failed_step="\0")
    store.apply("ci", [odd], NOW)
    assert rows_of(store) == {odd}


# ---------------------------------------------------------------------- arrival

_words = st.sampled_from([("completed", "success"), ("completed", "failure"), ("completed", None),
                          ("completed", ""), ("queued", None), ("in_progress", None)])  # fmt: skip
_times = st.one_of(st.none(), st.sampled_from([10.0, 20.0]))
_reports = st.builds(
    lambda place, name, word, run_id, attempt, began, ended, url, infra, said: run(
        place,
        word[1],
        status=word[0],
        job=named(name),
        run_id=run_id,
        attempt=attempt,
        started_at=began,
        completed_at=ended,
        url=url,
        infra=infra,
        annotations=said,
    ),
    st.integers(0, 1),
    st.sampled_from("ab"),
    _words,
    st.sampled_from([None, 1, "1"]),
    st.integers(1, 2),
    _times,
    _times,
    st.sampled_from([None, "https://a.example", "https://b.example"]),
    st.booleans(),
    st.sampled_from([(), ("a",), ("a", "b"), ("a b",)]),
)


@given(
    reports=st.lists(_reports, max_size=12),
    shuffled=st.randoms(use_true_random=False),
    refreshes=st.integers(1, 4),
)
@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # stores are opened afresh
)
def test_any_order_of_arrival_gives_the_same_rows(
    open_store: OpenStore,
    reports: list[Observation],
    shuffled: Random,
    refreshes: int,
) -> None:
    """Shuffled, repeated and cut into refreshes at other places, reports end as the same rows."""
    at_once, in_parts = open_store(), open_store()
    at_once.apply("ci", [order(2), *reports], NOW)
    again = [*reports, *reports[: len(reports) // 2]]
    shuffled.shuffle(again)
    for part in range(refreshes):
        in_parts.apply("ci", again[part::refreshes], NOW)
    assert rows_of(in_parts) == rows_of(at_once)


@given(known=st.lists(_reports, max_size=8), fresh=st.lists(_reports, max_size=8))
@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # stores are opened afresh
)
def test_touched_names_every_changed_job(
    open_store: OpenStore, known: list[Observation], fresh: list[Observation]
) -> None:
    """Exactly the jobs and commits whose rows changed are touched, except that an unfinished report
    which arrives after the completed one may add its own.
    """
    store = open_store()
    store.apply("ci", [order(2), *known], NOW)
    before = rows_of(store)
    applied = store.apply("ci", fresh, NOW)
    changed = {(row.job, row.sha) for row in before ^ rows_of(store)}
    named_ = {(job, at) for job, shas in applied.touched.get(TRUNK, {}).items() for at in shas}
    overtaken = {(row.job, row.sha) for row in fresh if not row.finished}
    assert changed <= named_ <= changed | overtaken
    assert set(applied.touched) <= {TRUNK}


@given(refreshes=st.lists(st.lists(_reports, max_size=6), max_size=4))
@settings(max_examples=examples(100))
def test_every_kind_of_store_keeps_the_same_rows(refreshes: list[list[Observation]]) -> None:
    """The stores differ in nothing but their speed: all queries return the same rows."""
    stores = [open_(MEMORY) for open_ in STORES.values()]
    for facts in refreshes:
        for store in stores:
            store.apply("ci", [order(2), *facts], NOW)
        assert len({repr(rows_by(store)) for store in stores}) == 1
    for store in stores:
        store.close()


def rows_by(store: Store) -> list[list[str]]:
    """Return the rows of several queries."""
    queries: list[dict[str, Any]] = [
        {}, {"jobs": [named("a")]}, {"shas": [sha(0)]}, {"jobs": [named("b")], "shas": [sha(1)]},
    ]  # fmt: skip
    return [sorted(map(repr, store.observations(TRUNK, **query))) for query in queries]


# ---------------------------------------------------------------------- queries


def test_rows_of_some_jobs_come_together(store: Store) -> None:
    """A query by jobs returns only their rows, those of one job adjacent."""
    a, b, c = named("a"), named("b"), named("c")
    store.apply("ci", [*history("P F", a), *history("F P", b), *history("P P", c)], NOW)
    rows = list(store.observations(TRUNK, jobs=[b, a, named("unheard of")]))
    assert len(rows) == 4
    assert len({row.job for row in rows[:2]}) == len({row.job for row in rows[2:]}) == 1
    assert {row.job for row in rows} == {a, b}


def test_rows_at_some_commits_come_together(store: Store) -> None:
    """A query by commits returns only their rows, those of one commit adjacent."""
    store.apply("ci", [*history("P F P", named("a")), *history("F P F", named("b"))], NOW)
    rows = list(store.observations(TRUNK, shas=[sha(2), sha(0), "0" * 40]))
    assert [row.sha for row in rows[:2]] == [rows[0].sha] * 2
    assert [row.sha for row in rows[2:]] == [rows[2].sha] * 2
    assert {row.sha for row in rows} == {sha(0), sha(2)}


def test_rows_of_some_jobs_at_some_commits(store: Store) -> None:
    """A query by jobs and commits returns every row of these pairs, those of one job adjacent."""
    a, b, c = named("a"), named("b"), named("c")
    rerun = run(2, "failure", job=a, run_id=7)
    store.apply("ci", [*history("P F P", a), *history("F . F", b), *history("P P P", c)], NOW)
    store.apply("ci", [rerun, *history("F F F", a, OTHER)], NOW)
    jobs, shas = [b, a, named("unheard of")], [sha(2), sha(1), "0" * 40]
    rows = list(store.observations(TRUNK, jobs, shas))
    expected = {row for row in rows_of(store) if row.job in jobs and row.sha in shas}
    assert rerun in expected
    assert len(rows) == len(expected) == 4
    assert set(rows) == expected
    assert len({row.job for row in rows[:3]}) == 1 or len({row.job for row in rows[1:]}) == 1


@pytest.mark.parametrize(("jobs", "shas"), [([], [sha(0)]), ([JOB], []), ([], [])])
def test_no_job_or_no_commit_has_no_rows(store: Store, jobs: list[RawJob], shas: list[str]) -> None:
    """A query by jobs and commits of which one is empty returns nothing."""
    store.apply("ci", history("P F"), NOW)
    assert list(store.observations(TRUNK, jobs, shas)) == []


def test_an_unknown_trunk_has_no_rows(store: Store) -> None:
    """A query for a trunk without facts returns nothing and is no error."""
    assert list(store.observations(TRUNK)) == []
    assert list(store.observations(TRUNK, jobs=[JOB])) == []
    assert list(store.observations(TRUNK, shas=[sha(0)])) == []
    assert list(store.observations(TRUNK, jobs=[JOB], shas=[sha(0)])) == []


def test_two_trunks_with_the_same_commit_stay_apart(store: Store) -> None:
    """Results of one commit on main and on a release branch stay apart."""
    store.apply("ci", [*history("P P"), *history("F F", trunk=OTHER)], NOW)
    assert {row.conclusion for row in store.observations(TRUNK)} == {"success"}
    assert {row.conclusion for row in store.observations(OTHER)} == {"failure"}
    assert {row.trunk for row in store.observations(OTHER, shas=[sha(0)])} == {OTHER}
    assert {row.trunk for row in store.observations(OTHER, jobs=[JOB])} == {OTHER}


# ---------------------------------------------------------------------- all or nothing


def test_facts_that_raise_leave_nothing(store: Store) -> None:
    """A refresh that raises stores no row, order, cursor or source."""
    store.apply("ci", [*history("P"), Cursor("1")], NOW)
    stored = store.load()
    rows = rows_of(store)
    facts = [*history("F F", named("new")), *history("F", trunk=OTHER), Cursor("2")]
    with pytest.raises(BrokenSourceError):
        store.apply("ci", breaks_after(facts), NOW + 60)
    with pytest.raises(BrokenSourceError):
        store.apply("other", breaks_after(facts), NOW + 60)
    assert store.load() == stored
    assert rows_of(store) == rows
    assert rows_of(store, OTHER) == set()


def test_a_broken_refresh_can_be_repeated(store: Store) -> None:
    """Jobs and trunks of a refresh that raised are new again in the next one."""
    facts = [*history("P F", named("new"), OTHER), Cursor("2")]
    with pytest.raises(BrokenSourceError):
        store.apply("ci", breaks_after(facts), NOW)
    applied = store.apply("ci", facts, NOW)
    assert applied.touched == {OTHER: {named("new"): {sha(0), sha(1)}}}
    assert applied.orders == {OTHER: order(2, OTHER)}
    assert len(rows_of(store, OTHER)) == 2


# ---------------------------------------------------------------------- orders


def test_an_order_is_kept_whole(store: Store) -> None:
    """Commits are returned in trunk order with all their fields."""
    known = order(3, older_unread=True)
    bare = TrunkOrder(OTHER, (replace(commit(0, 1), committed_at=None, author=None, title=None),))
    applied = store.apply("git", [known, bare], NOW)
    assert applied.orders == store.load().orders == {TRUNK: known, OTHER: bare}
    assert applied.rewritten == frozenset()


def test_an_order_that_grows_is_spliced(store: Store) -> None:
    """An order of only the newest commits does not delete older ones."""
    long, count = order(5), 7
    store.apply("git", [long], NOW)
    newest = TrunkOrder(TRUNK, order(count).commits[3:], older_unread=True)
    newest = replace(newest, commits=(*long.commits[3:], *newest.commits[2:]))
    applied = store.apply("git", [newest], NOW)
    assert [c.sha for c in applied.orders[TRUNK].commits] == [sha(place) for place in range(count)]
    assert applied.orders[TRUNK].older_unread is False
    assert applied.rewritten == frozenset()
    assert store.load().orders == applied.orders


def test_a_force_push_is_reported_as_a_rewrite(store: Store) -> None:
    """An order without the last tip replaces it and reports the trunk as rewritten."""
    store.apply("git", [order(4)], NOW)
    other_tip = replace(commit(3, 4), sha="f" * 40)
    rewritten = TrunkOrder(TRUNK, (*order(4).commits[1:3], other_tip))
    applied = store.apply("git", [rewritten], NOW)
    assert applied.rewritten == {TRUNK}
    wanted = [sha(0), sha(1), sha(2), "f" * 40]
    assert [c.sha for c in store.load().orders[TRUNK].commits] == wanted


def test_an_order_without_a_common_commit_replaces_the_known_one(store: Store) -> None:
    """An order without a common commit replaces the stored one."""
    store.apply("git", [order(2)], NOW)
    fresh = TrunkOrder(TRUNK, (replace(commit(0, 1), sha="e" * 40),), older_unread=True)
    applied = store.apply("git", [fresh], NOW)
    assert applied.orders == store.load().orders == {TRUNK: fresh}
    assert applied.rewritten == {TRUNK}


def test_an_order_that_is_known_is_no_news(store: Store) -> None:
    """Only trunks whose commits changed are reported."""
    store.apply("git", [order(3), order(3, OTHER)], NOW)
    applied = store.apply("git", [order(3), order(4, OTHER)], NOW)
    assert set(applied.orders) == {OTHER}


def test_an_empty_order_takes_nothing_away(store: Store) -> None:
    """An order without commits deletes none of the stored ones."""
    store.apply("git", [order(3)], NOW)
    applied = store.apply("git", [TrunkOrder(TRUNK, ())], NOW)
    assert not applied.orders
    assert store.load().orders == {TRUNK: order(3)}


# ---------------------------------------------------------------------- workflows

STATES = tuple(WorkflowState)


def report(
    state: WorkflowState, workflow: str = "w/ci.yml", trunk: Trunk = TRUNK
) -> WorkflowReport:
    return WorkflowReport(trunk, workflow, state)


def test_the_end_of_an_attempt_is_stored_later(store: Store) -> None:
    """A later report that the attempt has ended changes the stored row, an earlier one does not."""
    store.apply("ci", [order(1), pending(0)], NOW)
    applied = store.apply("ci", [pending(0, run_completed=True)], NOW)
    assert applied.touched[TRUNK] == {JOB: {sha(0)}}
    assert not store.apply("ci", [pending(0)], NOW).touched
    assert rows_of(store) == {pending(0, run_completed=True)}


@pytest.mark.parametrize("state", STATES)
def test_the_state_of_a_workflow_is_stored(store: Store, state: WorkflowState) -> None:
    """A state is stored with the newest commit, whether it comes before the order or after it."""
    applied = store.apply("ci", [report(state), order(2), report(state, "other")], NOW)
    expected = ReportedState(state, sha(1))
    assert applied.workflow_states == {TRUNK: {"w/ci.yml": expected, "other": expected}}
    assert store.load().workflow_states == applied.workflow_states


def test_a_state_is_as_of_its_first_report(store: Store) -> None:
    """A repeated state changes nothing, another one has the newest commit of its own report."""
    store.apply("ci", [order(1), report(WorkflowState.DELETED)], NOW)
    again = store.apply("ci", [order(2), report(WorkflowState.DELETED)], NOW)
    assert not again.workflow_states
    assert store.load().workflow_states[TRUNK]["w/ci.yml"].tip == sha(0)
    other = store.apply("ci", [report(WorkflowState.ACTIVE)], NOW)
    active = {"w/ci.yml": ReportedState(WorkflowState.ACTIVE, sha(1))}
    assert other.workflow_states == {TRUNK: active}


# ---------------------------------------------------------------------- changed files


def of_files(
    place: int, *paths: str, since: int | None = None, is_complete: bool = True
) -> FilesReport:
    span = Span(sha(place), None if since is None else sha(since))
    return FilesReport(TRUNK, span, ChangedFiles(paths, is_complete=is_complete))


def test_changed_files_are_stored(store: Store) -> None:
    """Those of a commit and of several together are stored, and repeating them changes nothing."""
    reports = [of_files(1, "a.py", "b c.py"), of_files(1), of_files(1, since=0, is_complete=False)]
    applied = store.apply("ci", [reports[0], reports[2]], NOW)
    expected = {TRUNK: {each.span: each.files for each in (reports[0], reports[2])}}
    assert applied.files == store.load().files == expected
    assert not store.apply("ci", reports, NOW).files
    assert store.load().files == expected


def test_complete_files_replace_incomplete_ones(store: Store) -> None:
    """Of two reports the complete one is kept, whatever comes first."""
    some, every = of_files(1, "z", is_complete=False), of_files(1, "a")
    for reports in ([some, every], [every, some]):
        store.apply("ci", reports, NOW)
        assert store.load().files[TRUNK] == {every.span: every.files}


def test_files_are_bounded(store: Store) -> None:
    """Beyond the limit the first ones that were reported are dropped."""
    reports = [of_files(place, "a") for place in range(SPANS_KEPT + 2)]
    store.apply("ci", reports[:-1], NOW)
    applied = store.apply("ci", reports[-1:], NOW)
    assert store.load().files == applied.files
    assert list(applied.files[TRUNK]) == [each.span for each in reports[2:]]


def test_a_state_without_commits(store: Store) -> None:
    """A state of a trunk without commits is stored without a commit, for that trunk only."""
    store.apply("ci", [order(1), report(WorkflowState.DELETED, trunk=OTHER)], NOW)
    deleted = {"w/ci.yml": ReportedState(WorkflowState.DELETED, None)}
    assert store.load().workflow_states == {OTHER: deleted}


def test_labels_are_stored(store: Store) -> None:
    """Labels are stored per trunk and workflow; a new one replaces the old one."""
    store.put_evaluated({TRUNK: {"a": "CI", "b": "docs"}, OTHER: {"a": "CI"}})
    store.put_evaluated({TRUNK: {"a": "Build"}})
    assert store.load().labels == {TRUNK: {"a": "Build", "b": "docs"}, OTHER: {"a": "CI"}}


# ---------------------------------------------------------------------- sources


def test_a_removed_trunk_is_not_fed(store: Store) -> None:
    """A source that removes a trunk does not feed it any more, until it has a fact of it again."""
    store.apply("ci", [order(1), order(1, OTHER)], NOW)
    store.apply("git", [order(1)], NOW)
    assert store.apply("ci", [TrunkRemoved(TRUNK)], NOW).source.trunks == {OTHER}
    assert store.load().sources["git"].trunks == {TRUNK}
    assert store.apply("ci", [order(1)], NOW).source.trunks == {TRUNK, OTHER}
    back = store.apply("ci", [TrunkRemoved(TRUNK), run(0)], NOW)
    assert back.source.trunks == {TRUNK, OTHER}
    assert rows_of(store) == {run(0)}


def test_a_source_is_stored(store: Store) -> None:
    """Cursor, last success and trunks are stored per source."""
    applied = store.apply("git", [order(1), Cursor("a"), Cursor("b")], NOW)
    assert applied.source == store.load().sources["git"]
    assert applied.source.cursor == "b"
    assert applied.source.last_success == NOW
    assert applied.source.trunks == {TRUNK}
    store.apply("ci", history("P", trunk=OTHER), NOW + 1)
    sources = store.load().sources
    assert sources["git"] == applied.source
    assert sources["ci"].trunks == {OTHER}
    assert sources["ci"].cursor is None


def test_a_refresh_without_news_is_a_success_all_the_same(store: Store) -> None:
    """An empty refresh updates the last success and keeps cursor and trunks."""
    store.apply("ci", [*history("P"), Cursor("a")], NOW)
    applied = store.apply("ci", [], NOW + 60)
    assert applied.source.last_success == NOW + 60
    assert applied.source.cursor == "a"
    assert applied.source.trunks == {TRUNK}
    assert not applied.touched
