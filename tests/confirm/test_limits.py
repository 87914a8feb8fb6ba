"""The limits of confirm: per outage, group, repository and day, on all trunks."""

from dataclasses import replace
from typing import Any

import pytest
from trunkwatch.config import ConfirmSection
from trunkwatch.confirm.limits import Limits
from trunkwatch.confirm.model import DAY_SECONDS, Asked, Kind, Question, State, Target
from trunkwatch.confirm.records import Records
from trunkwatch.domain.model import JobKey

from tests.confirm.builders import CI, HOUR, NAME, SHARED, accepted, breaks_at, history, reasons
from tests.confirm.stage import REPO, stage
from tests.github.fake import FakeGitHub
from tests.github.workflows import Job, superseded

LIMITS = [
    ("max_runs_per_outage", 1, 2),
    ("max_runs_per_group", 1, 2),
    ("max_runs_per_repo", 1, 2),
    ("max_minutes_per_repo", 10, 11),  # 4.5 and 6.2, the longest at first bad each time
]


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "too_few", "enough"), LIMITS)
def test_a_limit_is_kept_at_both_sides(
    fake: FakeGitHub, limit: str, too_few: int, enough: int
) -> None:
    """Two requests find the commit; the second waits at a limit that allows one, for a day."""
    history(fake.repos[REPO], "PCCCFFF")
    breaks_at(fake.repos[REPO], 1)
    section: dict[str, Any] = {limit: too_few}
    with stage(fake, **section) as made:
        made.exporter.refresh_until_idle()
        made.advance(80, step=20)
        assert accepted(made) == 1
        (reason,) = reasons(made)
        assert reason.startswith(f"the limit is reached: confirm.{limit}: {too_few}")
        made.fake.now += 24 * HOUR
        made.advance(30, step=15)
        assert accepted(made) == (1 if limit == "max_runs_per_outage" else 2)
    again = FakeGitHub()
    history(again.repo(REPO), "PCCCFFF")
    breaks_at(again.repos[REPO], 1)
    section[limit] = enough
    with stage(again, **section) as made:
        made.exporter.refresh_until_idle()
        made.advance(80, step=20)
        assert (accepted(made), reasons(made)) == (2, [])


@pytest.mark.parametrize(
    ("seconds", "is_exceeded"), [(DAY_SECONDS - 1, True), (DAY_SECONDS, False)]
)
def test_a_day_begins_with_the_request(seconds: float, is_exceeded: bool) -> None:
    """When the result came does not count, nor does a request of another repository."""
    job = JobKey(REPO, "main", "ci", NAME)
    target = Target(REPO, "main", "a" * 40, 7, 1, 8, NAME, CI.name, CI.path, False, 5.0)
    before = Asked(Question(Kind.REAL, job, "a" * 40, "a" * 40), "g", target, State.ANSWERED,
                   seconds, 5.0, sent_at=0.0)  # fmt: skip
    question = Question(Kind.REAL, job, "b" * 40, "b" * 40)
    elsewhere = question._replace(job=job._replace(repo="o/b"))
    limits = Limits(ConfirmSection(max_runs_per_repo=1), Records([before]))
    for asked, exceeds in ((question, is_exceeded), (elsewhere, False)):
        new = Asked(asked, "g", target, State.PROPOSED, seconds, 5.0)
        assert (limits.exceeded(new, (), seconds) is not None) is exceeds


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ask", "act"])
@pytest.mark.parametrize(
    ("limit", "allowed", "waiting"),
    [
        ("max_runs_per_group", 1, 1),
        ("max_runs_per_group", 2, 0),
        ("max_runs_per_repo", 1, 1),
        ("max_runs_per_repo", 2, 0),
        ("max_minutes_per_repo", 8, 1),  # 4.5 on each trunk
        ("max_minutes_per_repo", 9, 0),
    ],
)
def test_a_limit_is_that_of_all_trunks(
    fake: FakeGitHub, limit: str, allowed: int, waiting: int, mode: str
) -> None:
    """Of one question on each of two trunks the second waits at a limit that allows one."""
    for branch in ("main", "release"):
        history(fake.repos[REPO], "PCFFF", branch=branch)
    section: dict[str, Any] = {limit: allowed}
    with stage(fake, branches=("main", "release"), mode=mode, **section) as made:
        made.exporter.refresh_until_idle()
        made.confirmer.round()
        assert len(made.questions()) == 2
        assert [reason.split(":")[1] for reason in reasons(made)] == [f" confirm.{limit}"] * waiting


@pytest.mark.slow
def test_a_proposal_holds_its_place(fake: FakeGitHub) -> None:
    """A later question of a trunk that comes first waits, also after both are examined again."""
    history(fake.repos[REPO], "PCFFF", branch="release")
    history(fake.repos[REPO], "PCFF")
    with stage(fake, branches=("main", "release"), mode="ask", max_runs_per_repo=1) as made:
        made.exporter.refresh_until_idle()
        made.advance(5)
        head = fake.repos[REPO].commit("change 4")
        fake.repos[REPO].run(head, CI, [Job(NAME, conclusion="failure")])
        for _ in range(4):
            made.advance(8, step=4)
        proposed = {each.question.job.branch: each.reason for each in made.questions()}
    assert proposed["release"] == ""
    assert "confirm.max_runs_per_repo" in proposed["main"]


@pytest.mark.slow
def test_proposals_that_share_a_run_are_one_request(fake: FakeGitHub) -> None:
    """Both jobs of a run are proposed at a limit that allows one request."""
    history(fake.repos[REPO], "PCFFF", names=(NAME, "other"))
    with stage(fake, mode="ask", max_runs_per_repo=1, max_minutes_per_repo=9) as made:
        made.exporter.refresh_until_idle()
        made.advance(10)
        assert [asked.reason for asked in made.questions()] == ["", ""]


@pytest.mark.slow
def test_a_run_is_that_of_one_commit() -> None:
    """Buildbot's newest request may stand for two commits, which share nothing and count twice."""
    target = Target(REPO, "main", "a" * 40, 7, 1, None, NAME, CI.name, None, False, 5.0)
    asked = [
        Asked(Question(Kind.WHICH, JobKey(REPO, branch, "ci", NAME), "f" * 40, sha), "g",
              target._replace(branch=branch, sha=sha), State.ASKED, 0.0, 5.0, sent_at=0.0)
        for branch, sha in (("main", "a" * 40), ("next", "b" * 40))
    ]  # fmt: skip
    records = Records(asked)
    assert [records.repeating(each.target) for each in asked if each.target] == asked
    assert records.repeating(target._replace(sha="c" * 40)) is None
    limits = Limits(ConfirmSection(max_runs_per_repo=3, max_minutes_per_repo=10), records)
    assert limits.exceeded(replace(asked[0], minutes=1.0), (), 0.0) == (
        "max_minutes_per_repo: 10 in 24 hours, 10 are used, and it takes about 1"
    )


def test_a_question_that_waits_does_not_use_up_a_limit(fake: FakeGitHub) -> None:
    """Another job is asked about while one waits for its concurrency group."""
    repo = fake.repos[REPO]
    runs = history(repo, "PCFFF", names=(NAME,))
    other = type(CI)("other", ".github/workflows/other.yml")
    for run, job in zip(runs, "PCFFF", strict=True):
        plan = (
            superseded("o")
            if job == "C"
            else Job("o", conclusion={"P": "success"}.get(job, "failure"))
        )
        repo.run(run.commit, other, [plan], at=run.created_at)
    repo.workflow_texts[CI.path] = SHARED
    repo.run(runs[-1].commit, CI, [Job("long", end=None)], at=fake.now - 60)
    with stage(fake, max_runs_per_repo=1) as made:
        made.exporter.refresh_until_idle()
        made.advance(30)
        assert accepted(made) == 1
