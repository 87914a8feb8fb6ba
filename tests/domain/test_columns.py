"""A job's history as columns: one per commit, or one per run."""

from trunkwatch.domain.columns import Column, Count, build_columns
from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.model import Evidence, Observation

from tests.domain.builders import NOW, RULES, history, length, row, trunk, unfinished


def columns(text: str, count: Count = Count.COMMITS) -> list[Column]:
    return build_columns(history(text), trunk(length(text)), RULES, count, NOW)


def verdicts(text: str, count: Count = Count.COMMITS) -> str:
    return " ".join(column.verdict for column in columns(text, count))


def of_rows(rows: list[Observation], count: Count, commits: int = 3) -> list[Column]:
    return build_columns(rows, trunk(commits), RULES, count, NOW)


def test_one_column_per_commit() -> None:
    """All runs and attempts at one commit are one column; a commit without a row has none."""
    assert verdicts("P F/F . FP P/?") == "PASS FAIL FLAKY PASS"
    assert [column.commit_index for column in columns("P F/F . FP P/?")] == [0, 1, 3, 4]


def test_one_column_per_run() -> None:
    """Counted by runs, every run of a commit is a column, its attempts and shards are not."""
    assert verdicts("P/F/F FP P|F/P|P", Count.RUNS) == "PASS FAIL FAIL FLAKY FAIL PASS"


def test_columns_are_in_trunk_order() -> None:
    """Columns are in the order of the trunk, never by the start of a run."""
    late = row(0, started_at=NOW)
    early = row(2, conclusion="failure", started_at=NOW - 9)
    assert [c.commit_index for c in of_rows([late, early], Count.COMMITS)] == [0, 2]


def test_runs_are_ordered_within_a_commit() -> None:
    """Runs of one commit are ordered by number, then by id; a run without a number comes first."""
    rows = [
        row(1, run_id=5, run_number=2),
        row(1, run_id=9, run_number=1),
        row(1, run_id=11, run_number=1),
        row(1, run_id=99),
        row(0, run_id=77, run_number=50),
    ]
    assert [c.run_id for c in of_rows(rows, Count.RUNS)] == [77, 99, 9, 11, 5]


def test_a_runs_highest_number_places_it() -> None:
    """Of two run numbers of one run the higher one is used."""
    rows = [row(1, run_id=5, run_number=1), row(1, "b", run_id=5, run_number=3)]
    rows += [row(1, run_id=9, run_number=2)]
    assert [c.run_id for c in of_rows(rows, Count.RUNS)] == [9, 5]


def test_run_ids_may_be_texts() -> None:
    """Run ids may be missing, numbers or texts, all within one commit: they sort in that order."""
    rows = [row(1, run_id="b"), row(1, run_id=10), row(1, run_id=None), row(1, run_id=9)]
    assert [c.run_id for c in of_rows(rows, Count.RUNS)] == [None, 9, 10, "b"]


def test_a_run_is_of_one_commit() -> None:
    """One run id at two commits is two columns."""
    rows = [row(0, run_id=1), row(1, run_id=1)]
    assert [c.commit_index for c in of_rows(rows, Count.RUNS)] == [0, 1]


def test_shards_are_evaluated_apart() -> None:
    """A pass of one shard and a failure of another are no flake."""
    (column,) = columns("P|F")
    assert column.verdict == "FAIL"
    assert [(shard.name, shard.result.verdict) for shard in column.shards] == [
        ("job [shard 1]", "PASS"),
        ("job [shard 2]", "FAIL"),
    ]


def test_a_column_gives_its_rows() -> None:
    """The rows of a column are selected by their evidence."""
    (column,) = columns("FP|F")
    assert len(column.rows(Evidence.FAIL)) == 2
    assert len(column.rows(Evidence.PASS, Evidence.FAIL)) == 3
    assert column.rows(Evidence.SKIP) == []


def test_a_column_changes_by_time() -> None:
    """A column changes when its first pending row expires."""
    rows = [unfinished(created_at=NOW - 5), unfinished(created_at=NOW - 9, run_id=8), row(1)]
    pending, done = of_rows(rows, Count.COMMITS)
    assert pending.changes_at == NOW - 9 + PENDING_LIMIT
    assert done.changes_at is None


def test_a_superseded_report_changes_nothing() -> None:
    """A superseded pending report does not expire."""
    (column,) = of_rows([unfinished(created_at=NOW), row()], Count.COMMITS)
    assert (column.verdict, column.changes_at) == ("PASS", None)
