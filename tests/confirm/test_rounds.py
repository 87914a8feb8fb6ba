"""Rounds of confirm against a stand-in GitHub that runs jobs again."""

from collections.abc import Iterator

import pytest
from trunkwatch.confirm.model import State

from tests.confirm.builders import CI, accepted, breaks_at, history, suspects
from tests.confirm.stage import ALL, REPO, Stage, stage
from tests.github.fake import FakeGitHub
from tests.github.workflows import Job, superseded


@pytest.fixture
def made(fake: FakeGitHub) -> Iterator[Stage]:
    """Return the stage."""
    with stage(fake, questions=ALL) as made:
        yield made


@pytest.mark.parametrize("culprit", [1, 2, 3, 4])
def test_one_suspect_is_left(made: Stage, culprit: int) -> None:
    """Three cancelled suspects become one in two runs, and in three if none of them passes."""
    repo = made.fake.repos[REPO]
    history(repo, "PCCCFFF")
    breaks_at(repo, culprit)
    made.exporter.refresh_until_idle()
    assert len(suspects(made)) == 4
    made.advance(180)
    assert suspects(made) == [f"change {culprit}"]
    kinds = [str(asked.question.kind) for asked in made.questions()]
    assert kinds.count("which") <= 2
    assert kinds.count("outside") == (culprit == 1)
    assert len(made.server.reruns.accepted) == len(kinds)
    assert {asked.state for asked in made.questions()} == {State.ANSWERED}


def test_a_flake_ends_before_it_is_an_outage(made: Stage) -> None:
    """The job that failed once is run again, and passes: its streak ends."""
    repo = made.fake.repos[REPO]
    history(repo, "PPF")
    made.exporter.refresh_until_idle()
    assert made.job().consecutive_failures == 1
    made.advance(60)
    assert made.job().consecutive_failures == 0
    (asked,) = made.questions()
    assert (asked.question.kind, asked.answer) == ("real", "K")


def test_a_failure_is_confirmed(made: Stage) -> None:
    """The job that failed once fails again."""
    repo = made.fake.repos[REPO]
    history(repo, "PPF")
    breaks_at(repo, 2)
    made.exporter.refresh_until_idle()
    made.advance(60)
    blame = made.job().blame
    assert blame is not None
    assert blame.confirmed
    assert [each.answer for each in made.questions()] == ["F"]


def test_asking_sends_nothing(fake: FakeGitHub) -> None:
    """By default it only shows the question, with the run and the minutes."""
    with stage(fake, mode="ask") as made:
        runs = history(made.fake.repos[REPO], "PCCFFF")
        made.exporter.refresh_until_idle()
        made.advance(60)
        assert made.server.reruns.accepted == []
        (shown,) = made.listed()["questions"]
    assert shown["state"] == "proposed"
    assert (shown["run_id"], shown["minutes"], shown["reason"]) == (runs[2].id, 4.5, None)


def test_outages_with_the_same_commits_share_a_request(made: Stage) -> None:
    """One request repeats both jobs of the run, and answers both questions."""
    repo = made.fake.repos[REPO]
    history(repo, "PCFFF", names=("test", "other"))
    breaks_at(repo, 2, "test")
    made.exporter.refresh_until_idle()
    made.advance(60)
    assert made.server.reruns.accepted == [
        f"POST /repos/{REPO}/actions/runs/{repo.runs[1].id}/rerun-failed-jobs"
    ]
    answers = {asked.question.job.job_name: asked.answer for asked in made.questions()}
    assert answers == {"test": "P", "other": "P"}
    assert {asked.minutes for asked in made.questions()} == {9.0}


def test_all_cancelled_shards_of_a_folded_job_are_repeated(fake: FakeGitHub) -> None:
    """One shard alone would leave the commit without a result."""
    repo = fake.repos[REPO]
    history(repo, "PCFFF", names=("test (1, 2)", "test (2, 2)"))
    breaks_at(repo, 1)
    fold = "fold: [{match: 'test .*', to: test}]"
    with stage(fake, jobs=fold) as made:
        made.exporter.refresh_until_idle()
        made.advance(60)
        assert accepted(made) == 1
        assert suspects(made) == ["change 1"]


def test_a_job_that_never_began_is_repeated_with_the_build_that_it_needs(
    fake: FakeGitHub,
) -> None:
    """The build was cancelled, so the job was too: both run again."""
    repo = fake.repos[REPO]

    def jobs(letter: str) -> list[Job]:
        if letter == "C":
            return [superseded("build"), Job("test", 400, 400, "cancelled", needs=("build",))]
        return [Job("build"), Job("test", 310, 600, {"P": "success"}.get(letter, "failure"))]

    history(repo, "PCFFF", jobs=jobs)
    repo.workflow_texts[CI.path] = "jobs: {build: {}, test: {needs: [build]}}"
    breaks_at(repo, 1, "test")
    with stage(fake) as made:
        made.exporter.refresh_until_idle()
        made.advance(60)
        assert accepted(made) == 1
        assert suspects(made) == ["change 1"]


def outside(made: Stage, step: str) -> None:
    """Push a history that fails in a step, and let every re-run fail there."""
    repo = made.fake.repos[REPO]
    failure = Job("test", conclusion="failure", failed_step=step)
    history(repo, "PPFFF", jobs=lambda letter: [Job("test") if letter == "P" else failure])
    repo.outcome = lambda _run, _job: failure
    made.exporter.refresh_until_idle()


def test_the_cause_is_outside_if_last_good_fails_too(made: Stage) -> None:
    """Last good is flaky then: the answer is K, and the suspects are unknown."""
    outside(made, "Set up job")
    made.advance(60)
    (asked,) = made.questions()
    assert (asked.question.kind, asked.answer) == ("outside", "K")
    assert accepted(made) == 1


def test_last_good_is_not_run_again_for_another_failure(made: Stage) -> None:
    """Only a failure that looks like a fault of CI may have its cause outside."""
    outside(made, "Run tests")
    made.advance(60)
    assert made.questions() == []


def test_a_question_ends_with_its_commit(made: Stage) -> None:
    """A force push removes the suspect and the failing commits: the question expires at once."""
    repo = made.fake.repos[REPO]
    history(repo, "PCFFF")
    made.exporter.refresh_until_idle()
    made.advance(5)
    assert [asked.state for asked in made.questions()] == [State.ASKED]
    base = repo.runs[0].commit
    repo.force_push(repo.loose_commit("another", date=made.fake.now, parents=(base,)))
    made.exporter.refresh_until_idle()
    made.advance(5)
    (asked,) = made.questions()
    assert (asked.state, asked.reason) == (
        State.EXPIRED, "its job or commit is not on the trunk any more"
    )  # fmt: skip


def test_no_other_question_is_asked_while_a_result_is_to_come(made: Stage) -> None:
    """A failure that is repeated goes on while an outage opens: its suspects wait."""
    repo = made.fake.repos[REPO]
    history(repo, "PCF")
    repo.outcome = lambda _run, job: Job(job.name, end=3 * 3600.0, conclusion="failure")
    made.exporter.refresh_until_idle()
    made.advance(5)
    for number in range(3, 5):
        repo.run(repo.commit(f"change {number}"), CI, [Job("test", conclusion="failure")])
    made.advance(60, step=15)
    assert made.job().broken
    assert [asked.state for asked in made.questions()] == [State.ASKED]
    assert accepted(made) == 1
    made.advance(180, step=20)
    assert accepted(made) == 2


def test_no_result_within_a_day_ends_a_question(made: Stage) -> None:
    """A runner that never comes does not hold up the next suspect for ever."""
    repo = made.fake.repos[REPO]
    history(repo, "PCCFFF")
    repo.outcome = lambda _run, job: Job(job.name, start=1e6, end=None)
    made.exporter.refresh_until_idle()
    made.advance(5)
    made.fake.now += 86_400
    made.advance(5)
    assert made.questions()[0].state is State.EXPIRED
