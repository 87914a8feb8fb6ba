"""From cancelled pipelines of a GitLab to one suspect, through the exporter and confirm."""

import pytest
from trunkwatch.confirm.model import State

from tests.confirm.builders import NAME, accepted, breaks_at, history, plan, suspects
from tests.confirm.stage import MINUTE, REPO, Stage, stage
from tests.github.fake import FakeGitHub
from tests.github.faults import Kind
from tests.github.http_server import HttpRequest
from tests.github.workflows import Job, skipped
from tests.gitlab.pipelines import CONFIGURATION, GitlabPipelines, configuration
from tests.gitlab.world import Row


def by_hand(made: Stage, number: int) -> None:
    """Retry the job of a pipeline as a person does."""
    pipelines = made.server.reruns
    assert isinstance(pipelines, GitlabPipelines)
    job = pipelines.latest(made.fake.repos[REPO].runs[number])[NAME].id  # type: ignore[arg-type]
    path = f"/projects/o%2Fr/jobs/{job}/retry"
    pipelines.answer(HttpRequest("POST", path, [], {}), path, "somebody")


@pytest.mark.parametrize("culprit", range(1, 6))
def test_cancelled_pipelines_end_with_one_suspect(fake: FakeGitHub, culprit: int) -> None:
    """Of four suspects that were cancelled, at most three are retried."""
    history(fake.repos[REPO], "PCCCCFFF")
    breaks_at(fake.repos[REPO], culprit)
    with stage(fake, type="gitlab") as made:
        made.exporter.refresh_until_idle()
        assert len(suspects(made)) == 5
        made.advance(60)
        assert suspects(made) == [f"change {culprit}"]
        assert accepted(made) <= 3
        assert {asked.state for asked in made.questions()} == {State.ANSWERED}
        assert made.metrics.problems() == []


@pytest.mark.parametrize("after", [{"environment": "prod"}, {"script": ["make"]}])
def test_a_deployment_that_would_follow_forbids_a_retry(fake: FakeGitHub, after: Row) -> None:
    """A flake is found out where nothing deploys after the job, and left alone elsewhere."""

    def jobs(letter: str) -> list[Job]:
        test = plan(letter)
        assert test is not None
        late = "after the test"
        is_run = letter == "P"
        return [test, Job(late, 400, 500, needs=(NAME,)) if is_run else skipped(late, 400, (NAME,))]

    history(fake.repos[REPO], "PPF", jobs=jobs)
    text = configuration(jobs("P"), **{"after the test": after})
    fake.repos[REPO].workflow_texts[CONFIGURATION] = text
    with stage(fake, type="gitlab", questions=("real",)) as made:
        made.exporter.refresh_until_idle()
        made.advance(30)
        (asked,) = made.questions()
        if "environment" in after:
            assert (accepted(made), asked.state) == (0, State.REFUSED)
            assert "its job after the test would run, which has an environment" in asked.reason
            assert not [entry for entry in made.server.log if entry.method == "POST"]
        else:
            assert (accepted(made), asked.state, asked.answer) == (1, State.ANSWERED, "K")
            assert made.job().consecutive_failures == 0


@pytest.mark.parametrize("when", ["read", "examined", "sent"])
def test_somebody_who_retries_is_seen(fake: FakeGitHub, when: str) -> None:
    """Before the exporter has read it, after the examination, or before the request: one retry."""
    history(fake.repos[REPO], "PCFFF")
    breaks_at(fake.repos[REPO], 1)
    with stage(fake, type="gitlab") as made:
        made.exporter.refresh_until_idle()
        if when == "read":
            by_hand(made, 1)
            fake.now += MINUTE
            made.confirmer.round()
            (asked,) = made.questions()
            assert asked.reason == "its pipeline has not ended"
        else:
            pattern = r"GET .*/jobs" if when == "examined" else r"POST .*/retry"
            made.before(pattern, lambda: by_hand(made, 1))
        made.advance(40)
        assert (accepted(made), suspects(made)) == (1, ["change 1"])


def test_the_retry_of_one_shard_does_not_hide_that_of_another(fake: FakeGitHub) -> None:
    """GitLab counts the attempts of each job: the ids of the pipeline's rows show the new ones."""
    names = [f"{NAME} 1/2", f"{NAME} 2/2"]
    history(fake.repos[REPO], "PCFFF", names=names)
    breaks_at(fake.repos[REPO], 1)
    run = fake.repos[REPO].runs[1]
    for _ in range(2):
        run.rerun(run.attempts[-1].at + 500, [plan("C", names[0])])  # type: ignore[attr-defined]
    with stage(fake, type="gitlab", jobs="preset: gitlab") as made:
        made.exporter.refresh_until_idle()
        made.server.fail_next(Kind.HANG, "POST .*/retry")
        made.server.reruns.fail_late = True
        made.advance(40)
        assert (accepted(made), suspects(made)) == (1, ["change 1"])
