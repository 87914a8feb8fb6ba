"""One workflow file of GitHub Actions, with what decides whether a job may run again.

The keys are documented at
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trunkwatch.confirm.ci_yaml import load_yaml
from trunkwatch.patterns import Pattern

PARTS_OF_ONE_COMMIT = ("github.sha", "github.run_id", "github.run_number", "github.event.after")
"""Parts of a concurrency group that no run of another commit shares."""

LOCAL = "./"


class WorkflowJob(NamedTuple):
    """One job of a workflow file.

    Attributes:
        names: its key, and its name if it has one, as written.
        needs: keys of the jobs after which it runs.
        calls: the reusable workflow that it calls, as written; None if it has steps.
    """

    names: tuple[str, ...]
    needs: tuple[str, ...]
    calls: str | None

    def may_be(self, job_name: str) -> bool:
        """Return whether a job may have this name, to which GitHub adds matrix and called job."""
        name = ".*".join(map(re.escape, _without_expressions(self.names[-1])))
        try:
            return Pattern(rf"(?s){name}( \(.*\))?( / .*)?").fullmatch(job_name)
        except ValueError:
            return True


class WorkflowFile(NamedTuple):
    """One workflow file.

    Attributes:
        deploys: why its jobs may deploy something; None if nothing shows it.
        shares_concurrency: a run of it may cancel, or be cancelled by, that of another commit.
        jobs: by key.
    """

    deploys: str | None
    shares_concurrency: bool
    jobs: Mapping[str, WorkflowJob]

    def repeated_with(self, job_name: str | None) -> Mapping[str, WorkflowJob]:
        """Return the jobs that run if one is repeated: GitHub repeats those that need it too.

        Args:
            job_name: as GitHub names it, with the values of its matrix; None for all jobs. All are
                returned too if no job of the file can have the name.
        """
        found = self._keys_of(job_name)
        while more := {k for k, job in self.jobs.items() if found.intersection(job.needs)} - found:
            found |= more
        return {key: self.jobs[key] for key in found} or self.jobs

    def needed_by(self, job_name: str | None) -> tuple[WorkflowJob, ...]:
        """Return the jobs that one needs, also through others; none for all jobs."""
        found, waiting = set[str](), list[str]()
        if job_name is not None:
            waiting = [need for key in self._keys_of(job_name) for need in self.jobs[key].needs]
        while waiting:
            key = waiting.pop()
            if key in self.jobs and key not in found:
                found.add(key)
                waiting += self.jobs[key].needs
        return tuple(self.jobs[key] for key in sorted(found))

    def _keys_of(self, job_name: str | None) -> set[str]:
        return {k for k, job in self.jobs.items() if job_name is None or job.may_be(job_name)}


def read_workflow(text: bytes) -> WorkflowFile:
    """Read a workflow file.

    Raises:
        ValueError: it is not one.
    """
    document = load_yaml(text)
    jobs = document.get("jobs") if isinstance(document, dict) else None
    if not isinstance(jobs, dict):
        raise ValueError("it has no jobs")
    sections = {str(key): job for key, job in jobs.items() if isinstance(job, dict)}
    return WorkflowFile(
        deploys=next(_deployments(document, sections), None),
        shares_concurrency=any(map(_is_shared, (document, *sections.values()))),
        jobs={key: _job(key, job) for key, job in sections.items()},
    )


def _job(key: str, job: Mapping[Any, Any]) -> WorkflowJob:
    name, needs, calls = (job.get(each) for each in ("name", "needs", "uses"))
    listed = needs if isinstance(needs, list) else [needs]
    return WorkflowJob(
        (key, name) if isinstance(name, str) else (key,),
        tuple(each for each in listed if isinstance(each, str)),
        calls if isinstance(calls, str) else None,
    )


def _deployments(
    document: Mapping[Any, Any], jobs: Mapping[str, Mapping[Any, Any]]
) -> Iterator[str]:
    if _may_deploy(document):
        yield "its permissions include deployments"
    for name, job in jobs.items():
        if job.get("environment"):
            yield f"its job {name} has an environment"
        if _may_deploy(job):
            yield f"the permissions of its job {name} include deployments"


def _may_deploy(section: Mapping[Any, Any]) -> bool:
    permissions = section.get("permissions")
    if isinstance(permissions, dict):
        return bool(permissions.get("deployments") == "write")
    return bool(permissions == "write-all")


def _is_shared(section: Mapping[Any, Any]) -> bool:
    concurrency = section.get("concurrency")
    if concurrency is None:
        return False
    group = concurrency.get("group") if isinstance(concurrency, dict) else concurrency
    # The text of a group of another type could be as long as its aliases make it.
    return not (isinstance(group, str) and any(part in group for part in PARTS_OF_ONE_COMMIT))


def _without_expressions(name: str) -> Iterator[str]:
    """Yield the parts of a name around its expressions, in time linear in its length."""
    while True:
        part, begun, rest = name.partition("${{")
        _, ended, after = rest.partition("}}")
        if not (begun and ended):
            yield name
            return
        yield part
        name = after
