"""Turns lines into the values of the policy."""

from dataclasses import dataclass
from functools import lru_cache

from trunkwatch.annotations import annotation_lines
from trunkwatch.domain.model import Commit, Observation, RawJob, Trunk, WorkflowReport
from trunkwatch.domain.suspects import Span, changed_files
from trunkwatch.engine.facts import FilesReport
from trunkwatch.sources.hashes import full_hash
from trunkwatch.sources.recorded.careful import COMPLETED, examine
from trunkwatch.sources.recorded.fields import (
    CommitFields,
    Fields,
    FilesFields,
    OrderFields,
    RunFields,
    WorkflowFields,
    decode,
)
from trunkwatch.times import parse_time

TIMES_KEPT = 4096
"""Times that are parsed once: the jobs of one run share some."""

_seconds = lru_cache(TIMES_KEPT)(parse_time)


@dataclass(frozen=True, slots=True)
class CommitLine:
    """A `commit` line.

    Attributes:
        trunk: the trunk.
        commit: the next one of the trunk.
        older_unread: whether older commits exist that are not in the file.
    """

    trunk: Trunk
    commit: Commit
    older_unread: bool


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An `order` line: the commits of the trunk that follow are its whole order.

    Attributes:
        trunk: the trunk.
    """

    trunk: Trunk


Line = Observation | CommitLine | WorkflowReport | OrderLine | FilesReport


class LineParser:
    """Parses the lines of one file; equal names and hashes of several lines share their memory."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._hashes: dict[str, str | None] = {}
        self._trunks: dict[tuple[str, str], Trunk] = {}
        self._jobs: dict[tuple[str, str | None, str], RawJob] = {}

    def parse(self, line: bytes) -> tuple[Line, list[str]]:
        """Return the value of a line, and the problems of the times that were left out.

        Args:
            line: without white space at its ends.

        Raises:
            LineError: the line cannot be used.
        """
        fields = decode(line)
        if fields is not None:
            parsed = self._value(fields)
            if parsed is not None:
                return parsed, []
        examined, problems = examine(line)
        value = self._value(examined)
        if value is None:
            raise AssertionError(f"internal error: a valid line has no value: {line!r}")
        return value, problems

    def _value(self, fields: Fields) -> Line | None:
        """Return the value of a line; None if only `examine` can name its problem."""
        try:
            if isinstance(fields, RunFields):
                return self._observation(fields)
            return self._other(fields)
        except ValueError:
            return None

    def _observation(self, line: RunFields) -> Observation | None:
        sha = self._sha(line.sha)
        if sha is None:
            return None
        shared = self._texts.setdefault
        trunk = self._trunk(line.repo, line.branch)
        status, conclusion = shared(line.status, line.status), line.conclusion
        if status != COMPLETED or conclusion is None:
            conclusion = None
        else:
            conclusion = shared(conclusion, conclusion)
        event = line.event or "push"
        began, ended, created = line.started_at, line.completed_at, line.created_at
        return Observation(
            trunk,
            sha,
            self._job(line.workflow, line.workflow_path or None, line.job_name),
            status,
            conclusion,
            line.run_id,
            line.attempt or 1,
            line.job_id,
            line.run_number,
            shared(event, event),
            shared(line.head_branch, line.head_branch) if line.head_branch else trunk.branch,
            shared(line.head_repo, line.head_repo) if line.head_repo else trunk.repo,
            None if created is None else _seconds(created),
            None if began is None else _seconds(began),
            None if ended is None else _seconds(ended),
            line.url,
            line.failed_step,
            bool(line.infra),
            annotation_lines(line.annotations) if line.annotations else (),
            bool(line.run_completed),
        )

    def _other(
        self, line: CommitFields | WorkflowFields | OrderFields | FilesFields
    ) -> Line | None:
        trunk = self._trunk(line.repo, line.branch)
        if isinstance(line, OrderFields):
            return OrderLine(trunk) if line.complete else None
        if isinstance(line, WorkflowFields):
            workflow = line.workflow_path or line.workflow
            return WorkflowReport(trunk, workflow, line.state) if workflow else None
        sha = self._sha(line.sha)
        if sha is None:
            return None
        if isinstance(line, FilesFields):
            return self._files(trunk, sha, line)
        committed_at = None if line.committed_at is None else _seconds(line.committed_at)
        commit = Commit(sha, committed_at, line.author, line.title)
        return CommitLine(trunk, commit, bool(line.older_unread))

    def _files(self, trunk: Trunk, sha: str, line: FilesFields) -> FilesReport | None:
        since = None if line.since is None else self._sha(line.since)
        if since is None and line.since is not None:
            return None
        files = changed_files(line.files, is_complete=not line.more_files)
        return FilesReport(trunk, Span(sha, since), files)

    def _trunk(self, repo: str, branch: str) -> Trunk:
        trunk = self._trunks.get((repo, branch))
        if trunk is None:
            trunk = self._trunks[repo, branch] = Trunk(repo, branch)
        return trunk

    def _job(self, workflow: str, path: str | None, name: str) -> RawJob:
        key = workflow, path, name
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = RawJob(*key)
        return job

    def _sha(self, text: str) -> str | None:
        if text not in self._hashes:
            self._hashes[text] = full_hash(text)
        return self._hashes[text]
