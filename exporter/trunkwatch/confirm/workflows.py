"""The workflow files of a run: its own, and those that it calls at the same commit."""

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from cachetools import LRUCache

from trunkwatch.confirm.runner import NotRepeatable
from trunkwatch.confirm.workflow_file import (
    LOCAL,
    WorkflowFile,
    WorkflowJob,
    read_workflow,
)
from trunkwatch.domain.model import display_name
from trunkwatch.domain.names import any_full_match
from trunkwatch.errors import NotFoundError
from trunkwatch.patterns import Pattern
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.json_text import text_or_none

MAX_CALLED_FILES = 20
"""Files of reusable workflows that are read for one run."""

MAX_CALLS = 500
"""Calls of reusable workflows whose job names are checked for one run; a cycle has no end."""

MAX_NAME_CHARACTERS = 10_000
"""Characters of a job's name with those of its callers; YAML aliases could fill the memory."""

CACHED_FILES = 500
"""Workflow files that are kept, each as it is at one commit."""


class Workflow(NamedTuple):
    """The workflow of a run.

    Attributes:
        repo: the repository.
        sha: the commit that the run builds.
        path: of its file.
        name: of the workflow, as in `workflow / job`.
    """

    repo: str
    sha: str
    path: str
    name: str


class Checked(NamedTuple):
    """A workflow that nothing forbids to run again.

    Attributes:
        shares_concurrency: a run of it may cancel, or be cancelled by, that of another commit.
        is_alone: one job is repeated, and no other runs again with it.
        needed: the jobs of the file that the repeated one needs, also through others.
    """

    shares_concurrency: bool
    is_alone: bool
    needed: tuple[WorkflowJob, ...]

    def needed_of(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield the jobs of a run, as GitHub lists them, that the repeated one needs."""
        for row in rows:
            name = text_or_none(row.get("name"))
            if name is not None and any(job.may_be(name) for job in self.needed):
                yield row


class Workflows:
    """Reads and checks workflow files; for one thread."""

    def __init__(
        self, client: RestClient, *, called: Iterable[Pattern], never: Iterable[Pattern]
    ) -> None:
        """Args:
        client: of GitHub.
        called: reusable workflows of other repositories that deploy nothing.
        never: jobs that are never run again.
        """
        self._client = client
        self._called = tuple(called)
        self._never = tuple(never)
        self._files: LRUCache[tuple[str, str, str], WorkflowFile] = LRUCache(CACHED_FILES)

    def check(self, workflow: Workflow, job_name: str | None) -> Checked:
        """Check all files of a workflow.

        Args:
            workflow: of the run.
            job_name: of the job that is repeated; None for all that did not pass.

        Raises:
            NotRepeatable: one of them may deploy something, cannot be read, or has a job that
                would run too and must not.
        """
        file = self._checked(workflow, workflow.path)
        shares = file.shares_concurrency
        files, calls = set[str](), set[tuple[str, str]]()
        jobs, needed = file.repeated_with(job_name), file.needed_by(job_name)
        self._check_never(workflow, workflow.path, "", jobs.values())
        waiting = list(self._called_files(workflow.path, file, "", jobs))
        while waiting:
            path, prefix, is_repeated = waiting.pop()
            # Jobs that run again have another name in each call; of the others one check suffices.
            if (path, prefix) in calls if is_repeated else path in files:
                continue
            files.add(path)
            if is_repeated:
                calls.add((path, prefix))
            if len(files) > MAX_CALLED_FILES:
                raise NotRepeatable(
                    f"its workflow calls more than {MAX_CALLED_FILES} others", is_final=True
                )
            if len(calls) > MAX_CALLS:
                raise NotRepeatable(
                    f"its workflow has more than {MAX_CALLS} calls of others", is_final=True
                )
            file = self._checked(workflow, path)
            shares = shares or file.shares_concurrency
            if is_repeated:
                self._check_never(workflow, path, prefix, file.jobs.values())
            waiting += self._called_files(path, file, prefix, file.jobs if is_repeated else ())
        runs_others = len(jobs) > 1 or any(job.calls is not None for job in jobs.values())
        return Checked(shares, job_name is not None and not runs_others, needed)

    def _checked(self, workflow: Workflow, path: str) -> WorkflowFile:
        file = self._file(workflow.repo, path, workflow.sha)
        if file.deploys is not None:
            raise NotRepeatable(f"{path}: {file.deploys}", is_final=True)
        return file

    def _called_files(
        self, path: str, file: WorkflowFile, prefix: str, repeated: Collection[str]
    ) -> Iterator[tuple[str, str, bool]]:
        """Yield the local files that a file calls, the beginning of their jobs' names, and whether
        those run again.
        """
        # Those that run again come last, and are taken first: the others may need no second check.
        for key, job in sorted(file.jobs.items(), key=lambda each: each[0] in repeated):
            if job.calls is None:
                continue
            if job.calls.startswith(LOCAL):
                name = f"{prefix}{job.names[-1]} / "
                if len(name) > MAX_NAME_CHARACTERS:
                    raise NotRepeatable(f"{path}: a job's name is too long", is_final=True)
                yield job.calls.removeprefix(LOCAL), name, key in repeated
            elif not any_full_match(self._called, job.calls):
                reason = f"{path} calls {job.calls}, which may deploy (confirm.called_workflows)"
                raise NotRepeatable(reason, is_final=True)

    def _check_never(
        self, workflow: Workflow, path: str, prefix: str, jobs: Iterable[WorkflowJob]
    ) -> None:
        for job in jobs:
            for name in job.names:
                shown = display_name(workflow.name, f"{prefix}{name}")
                if any_full_match(self._never, shown):
                    raise NotRepeatable(
                        f"{path}: its job {name} would run too (confirm.never)",
                        is_final=True,
                    )

    def _file(self, repo: str, path: str, sha: str) -> WorkflowFile:
        key = (repo, path, sha)
        found = self._files.get(key)
        if found is None:
            found = self._files[key] = self._read_file(repo, path, sha)
        return found

    def _read_file(self, repo: str, path: str, sha: str) -> WorkflowFile:
        try:
            address = f"/repos/{repo}/contents/{quote(path)}"
            document = self._client.object("GET", address, (("ref", sha),))
            return read_workflow(base64.b64decode(document["content"]))
        except NotFoundError as error:
            if error.is_refused:
                raise NotRepeatable(
                    f"its workflow file {path} may not be read (Contents: read)"
                ) from None
            raise NotRepeatable(f"its workflow file {path} is not there", is_final=True) from None
        except (KeyError, TypeError, ValueError) as error:
            raise NotRepeatable(
                f"its workflow file {path} cannot be read: {error}", is_final=True
            ) from None
