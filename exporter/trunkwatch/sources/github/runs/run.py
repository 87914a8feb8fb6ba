"""Workflow runs: how they are parsed, and which of them count for a trunk.

https://docs.github.com/en/rest/actions/workflow-runs
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from trunkwatch.domain.evidence import MERGE_GROUP, is_of_branch
from trunkwatch.domain.model import STARTUP_JOB, Observation, RawJob, Trunk
from trunkwatch.github import TOTAL
from trunkwatch.rest.json_text import int_or_none, object_or_empty, optional_object, text_or_none
from trunkwatch.rest.lists import Listing
from trunkwatch.sources.hashes import full_hash
from trunkwatch.times import parse_time

COMPLETED, IN_PROGRESS = "completed", "in_progress"
STARTUP_FAILURE = "startup_failure"

SETTLING_SECONDS = 900.0
"""Seconds after its last change in which an unfinished run is read at every refresh."""

LATE_JOB_SECONDS = 3600.0
"""Seconds after the end of a run in which its unfinished jobs are read again; after that they
count as jobs that never end."""

MAX_JOB_SECONDS = 6 * 3600.0
"""The longest that a job may run on GitHub's own runners: a run in progress that has not changed
for so long has been abandoned."""

EXPECTED = ("name", "event", "head_branch", "run_attempt", "updated_at", "check_suite_id")
"""Fields that every run of the list has, though GitHub's schema lets some of them be null."""

SAME_REPO = "."
"""The `head_repo` of a run of the repository's own branches."""

OPTIONAL = ("number", "conclusion", "suite", "url", "read_version")
"""Fields that are left out of a stored run where they are None."""

ID_DIGITS = 18
"""Digits of the longest id: every number of so many has less than 64 bits."""

_NODE_ID = re.compile(r"[A-Za-z0-9_=+/-]{1,200}")

INCOMPLETE = ""
"""The `read_version` of a run that has ended while some of its jobs have not."""

MISSING = "missing"
"""The `read_version` of a run that GitHub did not find: it is due at the next refresh, but none is
made at once for it, as for history that was never read."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow.

    Attributes:
        id: GitHub's number for it.
        sha: the commit.
        path: the workflow's file, which identifies it.
        name: the workflow's name, for people.
        number: orders the runs of a workflow.
        event: the event that started it.
        head_branch: its branch.
        head_repo: the repository of that branch, `SAME_REPO` for the run's own; empty where that
            was deleted.
        attempt: the newest; a re-run adds one.
        status: `completed` or one of the unfinished states.
        conclusion: of the newest attempt, or None.
        created: when it was first queued, which a re-run does not change (seconds, epoch).
        updated: when anything of it changed last (seconds since the epoch).
        suite: the check suite of its check runs, or None.
        url: its page.
        is_doubtful: a field is missing that every run has; it is better read again.
        node: the GraphQL id of its check suite; empty where that is unknown.
        read_version: the `version` that was read together with all of its jobs, or None.
        jobs: number of jobs then.
        ended_jobs: number of those that had ended.
        changed: when the run or one of its jobs was seen to change (seconds since the epoch).
    """

    id: int
    sha: str
    path: str
    name: str
    number: int | None
    event: str
    head_branch: str
    head_repo: str
    attempt: int
    status: str
    conclusion: str | None
    created: float
    updated: float
    suite: int | None
    url: str | None
    is_doubtful: bool = False
    node: str = ""
    read_version: str | None = None
    jobs: int = 0
    ended_jobs: int = 0
    changed: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether its newest attempt has ended."""
        return self.status == COMPLETED

    @property
    def never_started(self) -> bool:
        """Whether it failed before it had a job."""
        return self.finished and self.conclusion == STARTUP_FAILURE

    @property
    def version(self) -> str:
        """A text that changes with any change of the run."""
        return f"{self.attempt} {self.status} {self.updated:.0f}"

    @property
    def raw_workflow(self) -> tuple[str, str | None]:
        """The workflow's name and identity."""
        return self.name or self.path, self.path or None

    def is_active(self, now: float) -> bool:
        """Return whether its jobs may change before the run itself does.

        A run that waits for an approval or a runner changes its status first. However many wait,
        and however long, nothing of them is read until then.
        """
        quiet = now - max(self.changed, self.updated)
        if self.finished:
            return self.read_version == INCOMPLETE and quiet < LATE_JOB_SECONDS
        return quiet < (MAX_JOB_SECONDS if self.status == IN_PROGRESS else SETTLING_SECONDS)

    def is_due(self, now: float) -> bool:
        """Return whether its jobs have to be read: they may have changed, or were never read."""
        return self.read_version not in (self.version, INCOMPLETE) or self.is_active(now)

    def read(self, jobs: int, ended: int, now: float) -> "Run":
        """Return the run once all of its jobs have been read.

        Args:
            jobs: their number.
            ended: number of those that have ended.
            now: seconds since the epoch.
        """
        same = self.read_version is not None and (jobs, ended) == (self.jobs, self.ended_jobs)
        is_complete = not self.finished or ended == jobs
        return replace(
            self,
            read_version=self.version if is_complete else INCOMPLETE,
            jobs=jobs,
            ended_jobs=ended,
            changed=self.changed if same or self.read_version is None else now,
        )

    def as_read(self, before: "Run | None") -> "Run":
        """Return the run as far as it was read before; None for a run that is new."""
        return replace(
            self,
            read_version=before.read_version if before else None,
            jobs=before.jobs if before else 0,
            ended_jobs=before.ended_jobs if before else 0,
            changed=before.changed if before else 0.0,
        )

    def merged(self, newer: "Run") -> "Run":
        """Return this stored run with another report of it, whichever of the two is newer."""
        if _order_of(self) > _order_of(newer):
            return replace(self, node=self.node or newer.node)
        return replace(
            newer.as_read(self),
            name=newer.name or self.name,
            attempt=max(newer.attempt, self.attempt),
            suite=newer.suite or self.suite,
            node=newer.node or self.node,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the run as it is stored."""
        values = ((name, getattr(self, name)) for name in _STORED)
        return {name: value for name, value in values if value is not None}


_STORED = tuple(field.name for field in fields(Run) if field.name != "is_doubtful")
"""The fields of a stored run; `asdict` would copy each value, at every refresh."""


def _order_of(run: Run) -> tuple[float, bool]:
    """Order the reports of one run; it may begin and end within one second."""
    return run.updated, run.finished


def run_of_json(document: Mapping[str, Any]) -> Run:
    """Return a stored run."""
    return Run(**{**dict.fromkeys(OPTIONAL), **document})


def run_of(row: Mapping[str, Any]) -> Run:
    """Parse a run of a list or a webhook.

    Raises:
        ValueError: it has no identity, or no time.
    """
    identity, sha = row["id"], full_hash(row["head_sha"])
    if (int_or_none(identity) or 0) <= 0 or sha is None:
        raise ValueError(f"a run with the id {identity!r} and the commit {row['head_sha']!r}")
    status = row["status"]
    if not isinstance(status, str):
        raise ValueError(f"run {identity} has no status")
    created = parse_time(row["created_at"])
    # Some paths end in the ref that the workflow was read from: `.github/workflows/ci.yml@main`.
    path = (text_or_none(row["path"]) or "").partition("@")[0]
    if not path:
        raise ValueError(f"run {identity} is of no workflow file")
    conclusion = row.get("conclusion") if status == COMPLETED else None
    return Run(
        id=identity,
        sha=sha,
        path=path,
        name=text_or_none(row.get("name")) or "",
        number=int_or_none(row.get("run_number")),
        event=_deciding(row, "event"),
        head_branch=_deciding(row, "head_branch"),
        head_repo=_head_repo(row),
        attempt=int_or_none(row.get("run_attempt")) or 1,
        status=status,
        conclusion=conclusion if isinstance(conclusion, str) else None,
        created=created,
        updated=_time(row.get("updated_at"), created),
        suite=int_or_none(row.get("check_suite_id")),
        url=text_or_none(row.get("html_url")),
        node=node_id(row.get("check_suite_node_id")),
        is_doubtful=any(not _is_expected(key, row.get(key)) for key in EXPECTED)
        or (status == COMPLETED and not isinstance(conclusion, str)),
    )


def _deciding(row: Mapping[str, Any], key: str) -> str:
    """Return a text that decides whether a run counts; empty for null.

    Raises:
        ValueError: it is no text, so that the run must not seem to be of another branch.
    """
    value = row.get(key)
    if not isinstance(value, str | None):
        raise ValueError(f"run {row['id']} with the {key} {value!r}")
    return value or ""


def _is_expected(key: str, value: object) -> bool:
    """Return whether a field of `EXPECTED` has its type."""
    if key in ("run_attempt", "check_suite_id"):
        return int_or_none(value) is not None
    return isinstance(value, str)


def _time(text: object, otherwise: float) -> float:
    try:
        return parse_time(text)
    except ValueError:
        return otherwise


def _head_repo(row: Mapping[str, Any]) -> str:
    """Return the repository of a run's branch, `SAME_REPO` for the run's own.

    Repositories are compared by their ids: a renamed one has another name than it was asked by.
    """
    head = optional_object(row.get("head_repository"))
    own = object_or_empty(row.get("repository"))
    name = text_or_none(head.get("full_name")) or ""
    if head and not name and int_or_none(head.get("id")) is None:
        raise ValueError(f"run {row['id']} is of the repository {ascii(head)[:100]}")
    if head.get("id") is not None and head.get("id") == own.get("id"):
        return SAME_REPO
    return SAME_REPO if name and name == own.get("full_name") else name


RUNS: Listing[Run] = Listing(run_of, lambda run: run.id, key="workflow_runs", total=TOTAL)
"""How the list of runs is read."""


def counts(run: Run, trunk: Trunk, events: frozenset[str]) -> bool:
    """Return whether a run is of the trunk: a fork's `main` is not, nor is a pull request.

    A run of the merge queue counts if its commit is on the trunk, which the order decides.
    """
    if run.event not in events:
        return False
    # GraphQL does not name a branch that is gone, as that of a merge queue is after the merge.
    queued = run.event == MERGE_GROUP and not run.head_branch
    own = run.head_repo == SAME_REPO or run.head_repo.lower() == trunk.repo.lower()
    return own and (queued or is_of_branch(run.event, run.head_branch, trunk.branch))


def row_of(run: Run, trunk: Trunk, job_name: str, **own: Any) -> Observation:
    """Return the observation of a job with the facts of its run; `own` are the job's own fields."""
    return Observation(
        trunk,
        run.sha,
        RawJob(*run.raw_workflow, job_name),
        run_id=run.id,
        run_number=run.number,
        event=run.event,
        head_branch=trunk.branch,
        head_repo=trunk.repo,
        **own,
    )


def startup_failure(run: Run, trunk: Trunk) -> Observation:
    """Return the failure of a run that never had a job."""
    return row_of(
        run,
        trunk,
        STARTUP_JOB,
        status=COMPLETED,
        conclusion=STARTUP_FAILURE,
        attempt=run.attempt,
        created_at=run.created,
        started_at=run.created,
        completed_at=run.updated,
        url=run.url,
    )


def node_id(value: object) -> str:
    """Return a GraphQL id; empty for another value, which would make a query invalid."""
    return value if isinstance(value, str) and _NODE_ID.fullmatch(value) else ""


def id_of(digits: str) -> int:
    """Return an id that is part of an address.

    Raises:
        ValueError: it has more than 64 bits, or thousands of digits, which Python refuses.
    """
    if len(digits) > ID_DIGITS:
        raise ValueError(f"an id of {len(digits)} digits")
    return int(digits)
