"""Rows that cannot be read: the others count, and a missing one is neither passed nor gone."""

from collections.abc import Callable
from typing import Any

import pytest
from trunkwatch.sources.github.workflows import FOLDER

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.workflows import Job
from tests.sources.github.stories import (
    CI,
    HOUR,
    LINT,
    MINUTE,
    Story,
    asked,
    check_truth,
    reading,
    spoilt,
)

OTHER = Job("other")


def poisoned(key: str, place: int, **values: Any) -> Callable[[Any], None]:
    """Change one row of each answer.

    Args:
        key: of its list; empty where the page is the list.
        place: of the row.
        values: its new values.
    """

    def change(document: Any) -> None:
        (document[key] if key else document)[place].update(values)

    return change


def then(story: Story, letters: str) -> None:
    """Let commits come whose runs have the job `test`, and another one that passes."""
    for letter in letters.split():
        conclusion = "failure" if letter == "F" else "success"
        jobs = [Job("test", conclusion=conclusion), OTHER]
        commit = story.push()
        story.runs[len(story.commits) - 1] = story.jobs(commit, jobs)
        story.fake.now += 5 * MINUTE


def dropped(exporter: SimulatedExporter) -> int:
    """Return how many rows were counted as dropped."""
    return sum(exporter.engine.snapshot.sources[0].dropped.values())


@pytest.mark.parametrize(
    "values", [{"status": 5}, {"conclusion": ["x"]}, {"name": None}, {"id": 0}]
)
def test_a_job_that_cannot_be_read_may_be_the_pass_between_two_failures(
    values: dict[str, Any],
) -> None:
    """Its siblings count at once; newer commits wait half an hour for it,
    which is read again for an hour."""
    story = Story()
    then(story, "P F F")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        then(story, "P F F")
        path = f"{story.runs[3].id}/jobs$"
        with spoilt(exporter, path, poisoned("jobs", 0, **values), times=99):
            for minutes in (0, 1, 20):
                exporter.fake.now += minutes * MINUTE
                exporter.refresh()
                assert not exporter.job("test").broken
                assert len(exporter.job("other").verdicts) == 4
                assert exporter.trunk.problems
            exporter.advance(15 * MINUTE, every=5 * MINUTE)
            found = [each.name for each in exporter.job("test").verdicts if each.name != "NONE"]
            assert found == ["PASS", "FAIL", "FAIL", "FAIL", "FAIL"]
        exporter.advance(8 * MINUTE)
        check_truth(exporter)


def test_a_row_of_a_file_that_cannot_be_read_deletes_no_workflow() -> None:
    """It may be the file of any workflow, and an outage must not end as removed."""
    story = Story("F F F")
    story.run(story.commits[-1], "P", LINT, "lint")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        with spoilt(exporter, "/contents/", poisoned("", 0, path=7), times=99):
            exporter.advance(HOUR, every=10 * MINUTE)
            assert exporter.job("test").broken
        assert dropped(exporter)


def test_a_file_that_the_list_lacks_is_asked_for_before_its_workflow_is_deleted() -> None:
    """A list that is incomplete every time ends no outage; the workflow whose file is gone ends."""
    story = Story("F F F")
    story.run(story.commits[-1], "P", LINT, "lint")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        with spoilt(exporter, f"/contents/{FOLDER}$", list.clear, times=99):
            exporter.advance(HOUR, every=10 * MINUTE)
            assert exporter.job("test").broken
            story.repo.deleted_files.add(CI.path)
            exporter.advance(11 * MINUTE)
            assert [job.key.job_name for job in exporter.trunk.jobs] == ["lint"]
        files = [entry.status for entry in asked(exporter, f"/contents/{CI.path}")]
        assert files.count(404) == 1


def test_a_row_that_cannot_be_read_brings_no_deleted_workflow_back() -> None:
    """What a list shows no more is as it was before."""
    story = Story("F F F")
    story.run(story.commits[-1], "P", LINT, "lint")
    with running_exporter(story.fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        story.repo.deleted_files.add(CI.path)
        exporter.advance(11 * MINUTE)
        with spoilt(exporter, f"/contents/{FOLDER}$", poisoned("", 0, path=7), times=99):
            exporter.advance(HOUR, every=10 * MINUTE)
            assert [job.key.job_name for job in exporter.trunk.jobs] == ["lint"]


def test_a_row_of_a_branch_that_cannot_be_read_ends_no_trunk() -> None:
    """The branches of a glob that were read before stay."""
    story = Story("F F F")
    section = "repos: [o/r], branches: ['ma*'], token_env: STANDIN_TOKEN, graphql: false"
    with reading(story.fake, section) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("test").broken
        with spoilt(exporter, "/matching-refs/", poisoned("", 0, ref=None), times=99):
            exporter.advance(2 * HOUR, every=30 * MINUTE)
            assert exporter.job("test").broken
        assert dropped(exporter)
