"""What the source github reads of the files of suspects, when, and at what cost."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from trunkwatch.domain.columns import build_columns
from trunkwatch.domain.suspects import NO_FILES, UNREADABLE_FILES, ChangedFiles, Span
from trunkwatch.report.document import document
from trunkwatch.report.walk import walk
from trunkwatch.rest.limits import RefreshBudget
from trunkwatch.sources.github.commit_files import FILES_LIMIT

from tests.github.commits import ChangedFile
from tests.github.content_endpoints import ContentEndpoints
from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.fake import FakeGitHub
from tests.github.faults import Kind
from tests.github.responses import NOT_FOUND
from tests.github.workflows import Job
from tests.sources.github.stories import CI, HOUR, MINUTE, Story, asked, check_truth, spoilt

COMPARE = "/compare/"
NAMED = "test/test_ops.py"
FAILS = Job("test", conclusion="failure", annotations=("expected 3, got 4",), annotation_path=NAMED)


def broken(untested: Mapping[int, str], failures: int = 3, fake: FakeGitHub | None = None) -> Story:
    """Return a trunk with an open outage.

    Args:
        untested: the changed file of each untested suspect, by its place after last good.
        failures: commits that failed after them.
        fake: the fake GitHub; a new one by default.
    """
    story = Story(f"P{' .' * len(untested)}", fake=fake)
    for place, path in untested.items():
        story.repo.files[story.commits[place].sha] = [ChangedFile(path)]
    for _ in range(failures):
        story.jobs(story.push(), [FAILS])
        story.fake.now += HOUR
    return story


def span_of(story: Story, until: int, since: int | None = None) -> Span:
    return Span(story.commits[until].sha, None if since is None else story.commits[since].sha)


def requests(exporter: SimulatedExporter) -> tuple[int, int]:
    """Return the numbers of requests about several commits together, and about single ones."""
    single = [entry for entry in exporter.server.log if "/commits/" in entry.path]
    return len(asked(exporter, COMPARE)), len(single)


@contextmanager
def settled(story: Story, **options: Any) -> Iterator[SimulatedExporter]:
    """Run an exporter until it has read all that there is."""
    with running_exporter(story.fake, **options) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        yield exporter


def evidence(exporter: SimulatedExporter) -> list[tuple[str, str | None]]:
    """Return the titles of the suspects by rank, each with the reason, from the JSON object."""
    (job,) = document(exporter.engine.snapshot, {}, exporter.fake.now)["jobs"]
    ranked = sorted(job["suspect_commits"], key=lambda each: each["rank"])
    return [(each["title"], each["reason"]) for each in ranked]


def test_the_suspect_that_changes_the_named_file_comes_first(graphql: bool) -> None:
    """One comparison finds a named file, and the files of each suspect find whose it is."""
    story = broken({1: NAMED, 2: "README.md", 3: CI.path})
    story.repo.files[story.commits[4].sha] = [ChangedFile("notes/a.txt")]
    with settled(story, graphql=graphql) as exporter:
        nothing = "changes no file that the failure names, nor CI's configuration"
        assert evidence(exporter) == [
            ("Change 4", f"failed there; {nothing}"),
            ("Change 1", f"changes {NAMED}, which the failure names"),
            ("Change 3", f"changes {CI.path}, which configures CI"),
            ("Change 2", nothing),
        ]
        assert requests(exporter) == (1, 4)
        check_truth(exporter)


def test_explain_lists_the_suspects_by_evidence() -> None:
    """The conclusion of `explain` has the suspects in the order of the evidence, with reasons."""
    with settled(broken({1: NAMED, 2: "README.md"})) as exporter:
        job, trunk = exporter.job("test"), exporter.trunk
        rows, policy = exporter.engine.rows_of(job.key), exporter.engine.policy
        columns = build_columns(rows, trunk.order, policy.evidence, job.group.count, 0.0)
        lines = list(walk(job, columns, trunk.order, files=trunk.files))
        first = next(place for place, line in enumerate(lines) if line.startswith("Suspect"))
        shown = [line.split("Change ")[-1].strip() for line in lines[first : first + 6]]
        assert [shown[0], shown[2], shown[4]] == ["3", "1", "2"]
        assert shown[3] == f"changes {NAMED}, which the failure names"


def test_nothing_of_interest_costs_one_request() -> None:
    """If all suspects together change no file of interest, none of them is read."""
    with settled(broken({1: "README.md", 2: "notes/a.txt"})) as exporter:
        assert requests(exporter) == (1, 0)
        nothing = "changes no file that the failure names, nor CI's configuration"
        assert [reason for _, reason in evidence(exporter)][1:] == [nothing, nothing]


def test_files_are_read_once() -> None:
    """Neither time, nor another failure, nor a restart asks again."""
    story = broken({1: NAMED})
    with settled(story) as exporter:
        known, cost = exporter.trunk.files, requests(exporter)
        assert len(known) == 3
        exporter.restart()
        exporter.advance(2 * HOUR)
        story.jobs(story.push(), [FAILS])
        exporter.advance(HOUR)
        assert (exporter.trunk.files, requests(exporter)) == (known, cost)


def test_a_result_at_a_suspect_costs_one_more_comparison() -> None:
    """The suspects that are left are compared once, and the files of none are read again."""
    story = broken({1: NAMED, 2: NAMED, 3: NAMED})
    with settled(story) as exporter:
        assert requests(exporter) == (1, 4)
        story.run(story.commits[1], "P")
        exporter.advance(2 * HOUR)
        assert [title for title, _ in evidence(exporter)] == ["Change 4", "Change 3", "Change 2"]
        assert requests(exporter) == (2, 4)


@pytest.mark.parametrize("letters", ["P . . F F P", "P . . F F", "P F F F", "F F F F"])
def test_without_an_outage_of_several_suspects_nothing_is_read(letters: str) -> None:
    """A streak, a single suspect and unknown suspects cost no request, nor does a green trunk."""
    with settled(Story(letters)) as exporter:
        assert requests(exporter) == (0, 0)
        assert exporter.trunk.files == NO_FILES


def test_many_repositories_are_ranked_too() -> None:
    """A repository without news is read on until its suspects are ranked."""
    fake = FakeGitHub()
    stories = [Story("P", fake=fake, repo=f"o/r{number}") for number in range(12)]
    story = broken({1: NAMED}, fake=fake)
    names = ["o/r", *(each.repo.full_name for each in stories)]
    with running_exporter(fake, names) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(10 * MINUTE)
        assert requests(exporter) == (1, 2)
        (state,) = (s for s in exporter.engine.snapshot.trunks if s.trunk.repo == "o/r")
        assert state.files[span_of(story, 1)] == ChangedFiles((NAMED,), is_complete=True)


def test_a_former_path_and_a_full_page() -> None:
    """The former path of a renamed file counts, and a full page may lack files."""
    story = broken({1: NAMED})
    renamed = ChangedFile("new.py", "renamed", NAMED)
    story.repo.files[story.commits[1].sha] = [renamed]
    many = [ChangedFile(f"{number}") for number in range(FILES_LIMIT)]
    story.repo.files[story.commits[2].sha] = many
    with settled(story) as exporter:
        files = exporter.trunk.files
        assert files[span_of(story, 1)] == ChangedFiles(("new.py", NAMED), is_complete=True)
        assert not files[span_of(story, 2)].is_complete
        assert not files[span_of(story, 2, 0)].is_complete
        assert len(files[span_of(story, 2)].paths) == FILES_LIMIT


@pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.TRUNCATED])
def test_files_that_cannot_be_read_now_are_asked_for_an_hour_later(kind: Kind) -> None:
    """Meanwhile they are unknown, with a limitation; it is no error and delays nothing."""
    story = broken({1: NAMED})
    with running_exporter(story.fake) as exporter:
        exporter.server.fail_next(kind, COMPARE, 3)
        done = [*exporter.refresh_until_idle(), *exporter.advance(HOUR / 2)]
        assert all(each.ok for each in done)
        assert "files" in exporter.engine.snapshot.sources[0].limitations
        asked_before = requests(exporter)
        exporter.advance(HOUR / 4)
        assert requests(exporter) == asked_before
        exporter.advance(HOUR / 2)
        assert exporter.trunk.files[span_of(story, 1)].paths == (NAMED,)
        assert "files" not in exporter.engine.snapshot.sources[0].limitations
        check_truth(exporter)


def test_files_of_commits_that_are_gone_are_unknown_for_good() -> None:
    """404 is an answer, as for commits without a common ancestor."""
    story = broken({1: NAMED})
    with running_exporter(story.fake) as exporter:
        with mock.patch.object(ContentEndpoints, "comparison", return_value=NOT_FOUND):
            exporter.refresh_until_idle()
            exporter.advance(10 * MINUTE)
        exporter.advance(2 * HOUR)
        assert exporter.trunk.files[span_of(story, 2, 0)] == UNREADABLE_FILES
        assert exporter.engine.snapshot.sources[0].limitations == {}


@pytest.mark.parametrize("value", [None, {"a": 1}, [None], [{}], [{"filename": 7}], ["a"]])
def test_files_of_another_form_are_unknown(value: object) -> None:
    """A list that GitHub does not document is not taken for one without files."""
    story = broken({1: NAMED})
    with running_exporter(story.fake) as exporter:
        with spoilt(exporter, COMPARE, lambda document: document.update(files=value)):
            exporter.refresh_until_idle()
            exporter.advance(10 * MINUTE)
        assert not exporter.trunk.files[span_of(story, 2, 0)].is_complete
        assert requests(exporter) == (1, 2)


def test_a_limit_puts_it_off() -> None:
    """A rate limit stops reading files, and they are read after it; the results are there."""
    story = broken({1: NAMED})
    with running_exporter(story.fake) as exporter:
        exporter.server.fail_next(Kind.TOO_MANY, COMPARE)
        exporter.refresh_until_idle()
        exporter.advance(10 * MINUTE)
        assert len(exporter.trunk.files) == 3
        assert len(asked(exporter, COMPARE)) == 2


def test_files_wait_for_requests_that_nothing_else_needs() -> None:
    """While only current events may be read, results are there and files are not asked for."""
    with running_exporter(broken({1: NAMED}).fake) as exporter:
        with mock.patch.object(RefreshBudget, "for_history", return_value=False):
            exporter.advance(30 * MINUTE)
            assert exporter.job("test").broken
            assert requests(exporter) == (0, 0)
        exporter.advance(10 * MINUTE)
        assert requests(exporter) == (1, 2)
