"""What the source github reads of a failed job's annotations, how often, and at what cost."""

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.sources.github.jobs.annotations import Annotation, failure_lines
from trunkwatch.sources.github.jobs.failure_details import MAX_ANNOTATED_JOBS

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.faults import Kind
from tests.github.workflows import Job
from tests.sources.github.stories import HOUR, MINUTE, REPO, Story, asked, check_truth

ANNOTATIONS = "/annotations"
SAID = ("expected 3, got 4\ntest_sum", "lint: 2 problems")
LINES = ("expected 3, got 4", "test_sum", "lint: 2 problems")
FAILS = Job("test", conclusion="failure", annotations=SAID)


def failing(commits: int, *jobs: Job) -> Story:
    """Return a trunk that passed once and has failed on some commits since."""
    story = Story("P")
    for _ in range(commits):
        story.jobs(story.push(), jobs or [FAILS])
        story.fake.now += HOUR
    return story


def said(exporter: SimulatedExporter, name: str = "test") -> tuple[str, ...]:
    blame = exporter.job(name).blame
    assert blame is not None
    return blame.annotations


def test_the_first_failure_says_why_and_is_asked_once() -> None:
    """Later failures of the streak are not asked, and neither a restart nor time asks again."""
    with running_exporter(failing(3).fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(10 * MINUTE)
        assert said(exporter) == LINES
        exporter.restart()
        exporter.advance(HOUR)
        assert said(exporter) == LINES
        assert len(asked(exporter, ANNOTATIONS)) == 1


def test_a_failure_that_says_nothing_is_asked_once() -> None:
    """The runner's own line names no cause, and nothing is made of it."""
    with running_exporter(Story("P F F").fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        assert said(exporter) == ()
        assert len(asked(exporter, ANNOTATIONS)) == 1
        check_truth(exporter)


def test_a_hang_says_so_without_another_request() -> None:
    """The annotations that mark a timed-out job are also its explanation."""
    with running_exporter(Story("P H").fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        assert "exceeded the maximum execution time" in said(exporter)[0]
        assert len(asked(exporter, ANNOTATIONS)) == 1
        check_truth(exporter)


@pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.TRUNCATED])
def test_an_error_puts_it_off(kind: Kind) -> None:
    """What could not be read is asked again, and the result itself is there meanwhile."""
    with running_exporter(failing(1).fake, graphql=False) as exporter:
        exporter.server.fail_next(kind, ANNOTATIONS)
        exporter.refresh_until_idle()
        exporter.advance(5 * MINUTE)
        assert exporter.job("test").consecutive_failures == 1
        assert said(exporter) == LINES
        assert len(asked(exporter, ANNOTATIONS)) == 2


def test_a_commit_that_breaks_many_jobs_is_asked_for_some_of_them() -> None:
    """At most as many jobs as a ticket shows are read, however many refreshes follow."""
    names = [f"t{number}" for number in range(MAX_ANNOTATED_JOBS + 5)]
    jobs = [Job(name, conclusion="failure", annotations=SAID) for name in names]
    with running_exporter(failing(1, *jobs).fake, graphql=False) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(HOUR)
        told = [said(exporter, name) for name in names]
        assert (told.count(LINES), told.count(())) == (MAX_ANNOTATED_JOBS, 5)
        assert len(asked(exporter, ANNOTATIONS)) == MAX_ANNOTATED_JOBS


def test_an_annotation_names_its_file(graphql: bool) -> None:
    """The file that an annotation is about stands before its message, unless it is in there."""
    story = Story("P")
    messages = ("expected 3, got 4", "a/b.py:3: no")
    located = Job("test", conclusion="failure", annotations=messages, annotation_path="a/b.py")
    story.jobs(story.push(), [located])
    story.fake.now += HOUR
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(10 * MINUTE)
        assert said(exporter) == ("a/b.py: expected 3, got 4", "a/b.py:3: no")


def test_annotations_are_kept_when_the_job_is_read_again(graphql: bool) -> None:
    """A list of jobs does not bring them; it takes nothing away."""
    story = failing(1)
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(10 * MINUTE)
        rows = list(exporter.store.observations(Trunk(REPO, "main")))
        assert [row.annotations for row in rows if row.conclusion == "failure"] == [LINES]
        story.then("F")
        exporter.advance(30 * MINUTE)
        assert said(exporter) == LINES


@pytest.mark.parametrize(
    ("level", "message", "lines"),
    [
        ("failure", "Process completed with exit code 1.", ()),
        ("failure", "Process completed with exit code 137", ()),
        ("failure", "Process completed with exit code 1. Why?", 1),
        ("failure", "The process '/usr/bin/git' failed with exit code 128", 1),
        ("failure", None, ()),
        ("failure", " \n", ()),
        ("warning", "Node 16 is deprecated.", ()),
        ("notice", "cache hit", ()),
        (None, "odd", ()),
    ],
)
def test_only_what_explains_a_failure_counts(
    level: str | None, message: str | None, lines: object
) -> None:
    """Warnings, notices and the runner's line about the exit code are left out."""
    expected = (message,) if lines else ()
    assert failure_lines([Annotation(level, message)]) == expected
    both = [Annotation(level, message), Annotation("failure", "after")]
    assert failure_lines(both) == (*expected, "after")
