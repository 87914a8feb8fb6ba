"""Hints at the cause of a failure, in words."""

from collections.abc import Iterable, Iterator

from trunkwatch.domain.job import FLAKY_WINDOW, JobState
from trunkwatch.engine.bisection import NextTest, next_test
from trunkwatch.engine.cells import MEANINGS, PENDING
from trunkwatch.report.words import counted, short, until_one_suspect
from trunkwatch.times import format_time


def hints(job: JobState) -> Iterator[str]:
    """Yield the hints of a job's outage or streak, each in a few words."""
    blame = job.blame
    if blame is None:
        return
    if blame.confirmed:
        yield "confirmed: first bad failed in more than one attempt"
    if blame.same_step:
        yield f"every failure is at the step {blame.same_step!r}"
    if blame.infra:
        yield "it looks like a fault of the infrastructure"
    if blame.suspects is not None and blame.tested is not None:
        untested = len(blame.suspects) - blame.tested
        if untested:
            yield f"{blame.tested} of {len(blame.suspects)} suspects tested"
        elif not blame.suspects:
            yield "first bad and last good are one commit: something outside the repository changed"
    found = next_test(job)
    if found is not None:
        yield _next_test(found)


def _next_test(found: NextTest) -> str:
    sha, until_now = short(found.commit.sha), MEANINGS[found.letter]
    if found.letter == PENDING:
        return f"the result at {sha} narrows the suspects down: {until_now}"
    return f"test {sha} next ({until_now}): {until_one_suspect(found.results)}"


def hidden_failures(job: JobState) -> Iterator[str]:
    """Yield for each event whose failures other events hide a line that names job and event."""
    for event, failures in job.hidden:
        yield (
            f"{job.key.display_name}: its last {counted(failures, f'{event} run')} failed in a row,"
            f" hidden by runs of other events (groups[].match.event: {event} makes them a job)"
        )


def flakiness(jobs: Iterable[JobState]) -> Iterator[str]:
    """Yield a line that names each job that is mostly flaky."""
    for job in jobs:
        if job.mostly_flaky:
            yield (
                f"{job.key.display_name}: flaky on most of its last {FLAKY_WINDOW} commits; a flake"
                " ends a streak, so this job may never alert"
            )


def exemption(reason: str, until: float | None) -> str:
    """Return why a job does not alert, and until when."""
    end = f" until {format_time(until)}" if until is not None else ""
    return f"Known broken{end}: {reason}"
