"""Builders of histories in a stand-in GitHub that runs jobs again."""

from collections.abc import Callable, Sequence

from tests.confirm.stage import MINUTE, Stage
from tests.github.fake import T0
from tests.github.repo import PlannedRun, Repo
from tests.github.runs import Run
from tests.github.workflows import Job, Workflow, superseded

CI = Workflow("ci", ".github/workflows/ci.yml")
NAME = "test"
HOUR = 60 * MINUTE

SHARED = "concurrency: {group: 'ci-${{ github.ref }}'}\njobs: {test: {}}\n"
"""A workflow file whose runs share a concurrency group."""


def plan(letter: str, name: str = NAME) -> Job | None:
    """Return the job of a letter: P, F, C (cancelled while it ran), S (skipped) or none."""
    if letter == ".":
        return None
    if letter == "C":
        return superseded(name)
    if letter == "S":
        return Job(name, 5.0, 5.0, "skipped")
    return Job(name, conclusion="success" if letter == "P" else "failure")


def history(
    repo: Repo,
    letters: str,
    *,
    names: Sequence[str] = (NAME,),
    event: str = "push",
    jobs: Callable[[str], list[Job]] | None = None,
    branch: str = "main",
    now: float = T0,
) -> list[PlannedRun]:
    """Push a commit for each letter, half an hour apart, the newest an hour ago.

    Args:
        repo: the repository.
        letters: one for each commit, oldest first.
        names: of the jobs, which all have the same result.
        event: that starts the runs.
        jobs: returns the jobs of a letter instead.
        branch: to which the commits are pushed.
        now: the time (seconds since the epoch).
    """
    runs = []
    for number, letter in enumerate(letters):
        at = now - HOUR - (len(letters) - 1 - number) * HOUR / 2
        commit = repo.commit(f"change {number}", at=at, branch=branch)
        made = jobs(letter) if jobs else [job for n in names if (job := plan(letter, n))]
        if made:
            run = repo.run(commit, CI, made, at=at + 5, event=event, head_branch=branch)
            runs.append(run)
    return runs


def breaks_at(repo: Repo, culprit: int, job_name: str | None = None) -> None:
    """Let a job, or all, fail from a commit on, whenever it runs again."""
    order = list(repo.commits)

    def outcome(run: Run, job: Job) -> Job:
        is_bad = order.index(run.commit.sha) >= culprit and job_name in (None, job.name)
        return Job(job.name, conclusion="failure" if is_bad else "success")

    repo.outcome = outcome


def suspects(made: Stage, name: str = NAME) -> list[str]:
    """Return the titles of the suspects."""
    blame = made.job(name).blame
    assert blame is not None
    return [commit.title or "" for commit in blame.suspects or ()]


def accepted(made: Stage) -> int:
    """Return the number of requests that GitHub has accepted."""
    return len(made.server.reruns.accepted)


def reasons(made: Stage) -> list[str]:
    """Return why questions wait or are refused."""
    return [asked.reason for asked in made.questions() if asked.reason]
