"""Results of other CI systems that report to GitHub, as check runs or as commit statuses.

https://docs.github.com/en/rest/commits/statuses
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.domain.names import any_full_match
from trunkwatch.github import TOTAL
from trunkwatch.patterns import Pattern
from trunkwatch.rest.json_text import text_or_none
from trunkwatch.rest.lists import Listing
from trunkwatch.sources.github.jobs.job import ACTIONS_APP, CHECKS, UNREADABLE, Job
from trunkwatch.sources.github.order.backfill import Backfill
from trunkwatch.sources.github.runs.run import COMPLETED
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.hashes import full_hash
from trunkwatch.times import parse_time

STATUSES = "statuses"
"""The workflow that commit statuses are shown under."""

CONCLUSIONS: Mapping[str, str] = {"success": "success", "failure": "failure", "error": "failure"}
"""The conclusions of the final states of a commit status; `pending` is not final."""

RECHECK_SECONDS = 1500.0
"""Seconds after which a commit is read again although all of its results were final."""

RECENT_COMMIT_SECONDS = 86_400.0
"""Age up to which a commit is read again."""


class Status(NamedTuple):
    """The latest commit status of one context.

    Attributes:
        context: names the job.
        state: `success`, `failure`, `error`, `pending`, or `UNREADABLE`, which is not final.
        at: seconds since the epoch, or None.
        url: its page, or None.
    """

    context: str
    state: str
    at: float | None
    url: str | None


_NO_STATUS = ValueError("its status cannot be read")


def _status_of(row: Mapping[str, Any]) -> Status:
    context, state = row["context"], row["state"]
    if not isinstance(context, str):
        raise ValueError(f"a status with the context {context!r}")
    try:
        at = parse_time(row.get("updated_at") or row.get("created_at"))
    except ValueError:
        at = None
    readable = text_or_none(state) or UNREADABLE
    return Status(context, readable, at, text_or_none(row.get("target_url")))


COMBINED: Listing[Status] = Listing(
    _status_of, lambda status: status.context, key="statuses", total=TOTAL
)
"""How the combined status of a commit is read: the latest of each context."""


class ExternalChecks:
    """The results of other systems that count as jobs."""

    def __init__(self, apps: Sequence[str], contexts: Sequence[Pattern]) -> None:
        """Args:
        apps: slugs of apps whose check runs are jobs.
        contexts: patterns of commit statuses that are jobs.
        """
        self._apps = frozenset(apps) - {ACTIONS_APP}
        self._contexts = contexts

    def due(self, context: TrunkContext, backfill: Backfill, pause: float) -> Iterator[str]:
        """Yield the commits to read now, newest first; none if no other system counts.

        No list shows which results are new.
        """
        now = context.now
        for sha, committed_at in backfill.dates() if self._apps or self._contexts else ():
            entry = context.state.get(Kind.EXTERNAL, sha)
            if entry is None:
                yield sha
                continue
            wait = RECHECK_SECONDS if entry["done"] else pause
            recent = now - (committed_at or now) < RECENT_COMMIT_SECONDS
            if recent and now - entry["at"] >= wait:
                yield sha

    def read(self, context: TrunkContext, sha: str) -> Iterator[Observation]:
        """Yield the results of other systems for a commit."""
        rows: list[Observation] = []
        dropped = 0
        path = f"{context.repo_path}/commits/{sha}"
        client, trunk = context.client, context.trunk
        if self._apps:
            checks, dropped = client.partial_list(f"{path}/check-runs", [("filter", "all")], CHECKS)
            for job in checks:
                row = self.observation(trunk, sha, job)
                if row is None:
                    continue
                rows.append(row)
                if job.is_unreadable:
                    client.drop_row("check_runs", [sha, job.id, job.name], _NO_STATUS)
        if self._contexts:
            statuses, others = client.partial_list(f"{path}/status", (), COMBINED)
            dropped += others
            for status in statuses:
                if any_full_match(self._contexts, status.context):
                    rows.append(_observation(trunk, sha, status))
                    if status.state == UNREADABLE:
                        client.drop_row("statuses", [sha, status.context], _NO_STATUS)
        yield from rows
        done = not dropped and all(row.finished for row in rows)
        entry = {"at": context.now, "done": done}
        context.state.put(Kind.EXTERNAL, entry, sha)

    def observation(self, trunk: Trunk, sha: str, job: Job) -> Observation | None:
        """Return the observation of a check run; None if its app does not count."""
        slug, name = job.app
        full = full_hash(sha)
        if slug not in self._apps or full is None:
            return None
        return Observation(
            trunk,
            full,
            RawJob(name or slug, f"app/{slug}", job.name),
            COMPLETED if job.finished else "in_progress",
            job.conclusion,
            run_id=job.id,  # one that is run again is another check run of the same suite
            job_id=job.id,
            head_branch=trunk.branch,
            head_repo=trunk.repo,
            started_at=job.started,
            completed_at=job.completed if job.finished else None,
            url=job.url,
        )


def _observation(trunk: Trunk, sha: str, status: Status) -> Observation:
    conclusion = CONCLUSIONS.get(status.state)
    return Observation(
        trunk,
        sha,
        RawJob(STATUSES, None, status.context),
        "pending" if conclusion is None else COMPLETED,
        conclusion,
        head_branch=trunk.branch,
        head_repo=trunk.repo,
        created_at=status.at if conclusion is None else None,
        completed_at=status.at if conclusion is not None else None,
        url=status.url,
    )
