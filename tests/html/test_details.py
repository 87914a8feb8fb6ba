"""The attempts behind a cell."""

from dataclasses import replace

import pytest
from trunkwatch.domain.columns import Count, build_columns
from trunkwatch.domain.model import Observation
from trunkwatch.html.details import ATTEMPTS_SHOWN, Detail, details

from tests.domain.builders import NOW, RULES, history, row, trunk, unfinished


def detail(*rows: Observation) -> Detail:
    order = trunk(1)
    (found,) = details(build_columns(rows, order, RULES, Count.COMMITS, NOW), order)
    return found


def test_failures_lead() -> None:
    """Failed attempts come before passed ones, with their number, step, time and messages."""
    found = detail(
        row(conclusion="success", job="job (1, 2)", url="https://ci/1"),
        row(conclusion="timed_out", job="job (2, 2)", attempt=2, failed_step="Test", infra=True,
            started_at=NOW, completed_at=NOW + 7200, annotations=("boom",), url="https://ci/2"),
    )  # fmt: skip
    assert (found.letter, found.words, found.url) == ("F", "failed", "https://ci/2")
    assert [(each.words, each.more) for each in found.attempts] == [
        ("timed_out", "shard 2 of 2, attempt 2, at the step Test, after 2 h, infrastructure"),
        ("success", "shard 1 of 2"),
    ]
    assert found.attempts[0].annotations == ("boom",)


def test_a_column_is_of_the_commit_of_its_rows() -> None:
    """Older commits may have been read since the page's state: the columns' indexes are others."""
    newer = trunk(3)
    older, known, _ = newer.commits
    page = replace(newer, commits=newer.commits[1:])
    rows = [row(sha=older.sha), row(sha=known.sha)]
    found = details(build_columns(rows, newer, RULES, Count.COMMITS, NOW), page)
    assert [each.commit for each in found] == [known]


@pytest.mark.parametrize(("shards", "left_out"), [(ATTEMPTS_SHOWN, 0), (ATTEMPTS_SHOWN + 1, 1)])
def test_many_shards_are_counted(shards: int, left_out: int) -> None:
    """At most twelve attempts are listed; the number of the others is shown."""
    found = detail(*(row(job=f"job ({n}, 20)") for n in range(shards)))
    assert (len(found.attempts), found.left_out) == (ATTEMPTS_SHOWN, left_out)


def test_the_words_are_those_of_the_ci() -> None:
    """An unfinished attempt has its status, and one without a conclusion names that."""
    queued, running = unfinished(status="queued"), unfinished(status="in_progress", job="job (2)")
    assert detail(queued).attempts[0].words == "queued"
    assert [detail(queued).words, detail(queued, running).words] == ["queued", "running"]
    assert detail(row(conclusion=None)).attempts[0].words == "no conclusion"
    assert detail(row(conclusion="skipped")).letter == "S"
    assert [each.words for each in detail(*history("FP")).attempts] == ["failure", "success"]
