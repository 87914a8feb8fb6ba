"""Faults that random histories have found (`tests.confirm.histories`)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.confirm.plan import FOLD
from tests.confirm.stage import ALL, MINUTE, REPO, Stage, stage
from tests.github.fake import T0, FakeGitHub
from tests.github.runs import Run
from tests.github.workflows import Job, Workflow, skipped, superseded

CI = Workflow("ci", ".github/workflows/ci.yml")
PLANS: dict[str, list[Job]] = {
    "P": [Job("test")],
    "F": [Job("test", conclusion="failure")],
    "C": [superseded("test")],
    "S": [skipped("test"), superseded("other")],
}


def push(fake: FakeGitHub, letters: str, *, culprit: int) -> None:
    """Push a commit for each letter, and let the job fail from the culprit on if it runs again."""
    repo = fake.repos[REPO]
    for number, letter in enumerate(letters):
        at = T0 - (len(letters) - number) * 30 * MINUTE
        repo.run(repo.commit(f"change {number}", at=at), CI, PLANS[letter], at=at + 5)
    order = list(repo.commits)

    def outcome(run: Run, job: Job) -> Job:
        is_bad = job.name == "test" and order.index(run.commit.sha) >= culprit
        return Job(job.name, conclusion="failure" if is_bad else "success")

    repo.outcome = outcome


Staged = Callable[..., Stage]


@pytest.fixture
def staged(fake: FakeGitHub) -> Iterator[Staged]:
    """Return a function that pushes a history, and plays two hours."""
    with ExitStack() as stages:

        def play(letters: str, culprit: int) -> Stage:
            push(fake, letters, culprit=culprit)
            made = stages.enter_context(stage(fake, questions=ALL))
            made.exporter.refresh_until_idle()
            made.advance(120)
            return made

        yield play


def kinds(made: Stage) -> list[str]:
    """Return the kinds of the questions and their states, oldest first."""
    return [f"{each.question.kind} {each.state}" for each in made.questions()]


@pytest.mark.slow
def test_an_outside_cause_is_blamed_on_no_commit(staged: Staged) -> None:
    """Where every suspect fails when it runs again, last good is run again, and fails as well."""
    made = staged("PCCFFF", 0)
    assert kinds(made) == ["which answered", "which answered", "real answered", "outside answered"]
    blame = made.job().blame
    assert blame is not None
    assert blame.suspects is None


@pytest.mark.slow
def test_a_pass_in_between_shows_that_the_cause_is_not_outside(staged: Staged) -> None:
    """Where a suspect passes when it runs again, last good is not run again."""
    made = staged("PCCCFFF", 2)
    assert kinds(made) == ["which answered", "which answered", "real answered"]


@pytest.mark.slow
def test_a_job_that_its_run_leaves_out_is_not_waited_for(staged: Staged) -> None:
    """A cancelled run in which the job was skipped by its own condition is repeated without it."""
    made = staged("PCSCFFF", 3)
    assert [(str(each.state), each.reason) for each in made.questions()] == [
        ("expired", "it ended without a result of the job"),
        ("answered", ""),
        ("answered", ""),
        ("answered", ""),
    ]


@pytest.mark.slow
def test_the_pass_of_another_shard_excludes_no_outside_cause(fake: FakeGitHub) -> None:
    """A suspect passes by its repeated shard; the one that fails had passed before it began to."""
    repo = fake.repos[REPO]
    for number, results in enumerate(("PP", "CP", "PF", "PF", "PF")):
        at = T0 - (5 - number) * 30 * MINUTE
        jobs = [
            replace(PLANS[letter][0], name=f"test [shard {shard}]")
            for shard, letter in enumerate(results)
        ]
        repo.run(repo.commit(f"change {number}", at=at), CI, jobs, at=at + 5)
    repo.outcome = lambda _run, job: replace(
        job, end=300.0, conclusion="failure" if job.name == "test [shard 1]" else "success"
    )
    with stage(fake, jobs=FOLD, questions=ALL) as made:
        made.exporter.refresh_until_idle()
        made.advance(60)
        assert kinds(made) == ["which answered", "outside answered"]
        blame = made.job().blame
    assert blame is not None
    assert blame.suspects is None


@pytest.mark.slow
def test_a_run_for_another_job_excludes_no_outside_cause(fake: FakeGitHub) -> None:
    """A suspect fails when its run is repeated for another job, and last good is run again."""
    repo = fake.repos[REPO]
    names = ("test", "lint [shard 1]", "lint [shard 2]")
    for number, letters in enumerate(("PPP", "CCC", "CFF", "CFF", "FFF", "FFF", "FFF")):
        at = T0 - (7 - number) * 30 * MINUTE
        jobs = [
            replace(PLANS[letter][0], name=name)
            for name, letter in zip(names, letters, strict=True)
        ]
        repo.run(repo.commit(f"change {number}", at=at), CI, jobs, at=at + 5)
    repo.outcome = lambda _run, job: replace(job, end=300.0, conclusion="failure")
    with stage(fake, jobs=FOLD, questions=ALL) as made:
        made.exporter.refresh_until_idle()
        made.advance(120)
        for name in ("test", "lint"):
            blame = made.job(name).blame
            assert blame is not None
            assert blame.suspects is None
