"""Which jobs a re-run runs again, and when."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from tests.github.checks import NEVER
from tests.github.runs import Run
from tests.github.workflows import Job


def passes(run: Run, job: Job) -> Job:
    """Return a plan in which a job passes 300 seconds after the start of the attempt."""
    del run
    return Job(job.name, needs=job.needs, continue_on_error=job.continue_on_error)


def with_dependents(jobs: Iterable[Job], names: Collection[str]) -> list[Job]:
    """Return the jobs with some names and all jobs that need them, also through other jobs."""
    listed = list(jobs)
    found = set(names)
    while more := {job.name for job in listed if found.intersection(job.needs)} - found:
        found |= more
    return [job for job in listed if job.name in found]


def after_needs(jobs: Sequence[Job]) -> list[Job]:
    """Return plans in which no job starts before the end of its needs, of unchanged durations."""
    plans = {job.name: job for job in jobs}
    return [_delayed(job, plans) for job in jobs]


def _delayed(job: Job, plans: Mapping[str, Job]) -> Job:
    needs = [_delayed(plans[name], plans) for name in job.needs if name in plans]
    ready = max((NEVER if need.end is None else need.end for need in needs), default=0.0)
    wait = max(0.0, ready - job.start)
    return replace(job, start=job.start + wait, end=None if job.end is None else job.end + wait)
