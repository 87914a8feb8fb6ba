"""Results of other CI systems that report to GitHub, as check runs or as commit statuses.

https://docs.github.com/en/rest/commits/statuses
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.domain.names import any_full_match
from trunkwatch.sources.github.client import GithubClient, Listing
from trunkwatch.sources.github.depth import Depth
from trunkwatch.sources.github.jobs import ACTIONS_APP, CHECKS, Job
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.runs import COMPLETED
from trunkwatch.sources.hashes import full_hash
from trunkwatch.times import parse_time

STATUSES = "statuses"
"""The workflow that commit statuses are shown under."""

CONCLUSIONS: Mapping[str, str] = {"success": "success", "failure": "failure", "error": "failure"}
"""The states of a commit status that are answers; `pending` is none."""

SETTLED_EVERY = 1500.0
"""Seconds after which a commit is looked at again though all it said was finished."""

YOUNG = 86_400.0
"""Seconds after its commit in which a commit is looked at again and again."""


def _status_of(row: Mapping[str, Any]) -> tuple[str, str, float | None, str | None]:
    """Return the context, the state, the time and the address of a commit status."""
    context, state = row["context"], row["state"]
    if not isinstance(context, str) or not isinstance(state, str):
        raise ValueError(f"a status with the context {context!r} and the state {state!r}")
    at = row.get("updated_at") or row.get("created_at")
    return context, state, parse_time(at) if at else None, row.get("target_url")


LISTED: Listing[tuple[str, str, float | None, str | None]] = Listing(
    "statuses", _status_of, lambda status: status[0]
)
"""How the combined status of a commit is read: the latest of each context."""


class Others:
    """Which results of other systems count, and what they say."""

    def __init__(self, apps: Sequence[str], contexts: Sequence[re.Pattern[str]]) -> None:
        """Args:
        apps: slugs of apps whose check runs are jobs.
        contexts: patterns of commit statuses that are jobs.
        """
        self._apps = frozenset(apps) - {ACTIONS_APP}
        self._contexts = contexts

    @property
    def wanted(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._apps or self._contexts)

    def due(self, depth: Depth, book: Notebook, pause: float, now: float) -> Iterator[str]:
        """Yield the commits to look at now, newest first."""
        for sha, committed_at in depth.dates():
            note = book.get(Kind.OTHER, sha)
            if note is None:
                yield sha
                continue
            wait = SETTLED_EVERY if note["done"] else pause
            if now - (committed_at or now) < YOUNG and now - note["at"] >= wait:
                yield sha

    def read(
        self, trunk: Trunk, sha: str, client: GithubClient, book: Notebook, now: float
    ) -> Iterator[Observation]:
        """Yield what other systems say of a commit."""
        rows: list[Observation] = []
        path = f"/repos/{trunk.repo}/commits/{sha}"
        if self._apps:
            checks = client.whole_list(f"{path}/check-runs", [("filter", "all")], CHECKS)
            found = [self.observation(trunk, sha, job) for job in checks]
            rows += [row for row in found if row is not None]
        if self._contexts:
            for status in client.whole_list(f"{path}/status", (), LISTED):
                if any_full_match(self._contexts, status[0]):
                    rows.append(_status(trunk, sha, status))
        yield from rows
        book.put(Kind.OTHER, {"at": now, "done": all(row.finished for row in rows)}, sha)

    def observation(self, trunk: Trunk, sha: str, job: Job) -> Observation | None:
        """Return what a check run says; None where its app is not one of those that count."""
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
            run_id=job.suite,
            job_id=job.id,
            head_branch=trunk.branch,
            head_repo=trunk.repo,
            started_at=job.started,
            completed_at=job.completed if job.finished else None,
            url=job.url,
        )


def _status(
    trunk: Trunk, sha: str, status: tuple[str, str, float | None, str | None]
) -> Observation:
    context, state, at, url = status
    conclusion = CONCLUSIONS.get(state)
    return Observation(
        trunk,
        sha,
        RawJob(STATUSES, None, context),
        "pending" if conclusion is None else COMPLETED,
        conclusion,
        head_branch=trunk.branch,
        head_repo=trunk.repo,
        created_at=at if conclusion is None else None,
        completed_at=at if conclusion is not None else None,
        url=url,
    )
