"""The results that a source should read, derived from the plan and never from a response."""

import re
from collections.abc import Iterable, Iterator

from trunkwatch.domain.evidence import DEFAULT_EVENTS
from trunkwatch.domain.model import STARTUP_JOB, Commit, Observation, RawJob, Trunk, TrunkOrder

from tests.github.checks import COMPLETED, WorkflowJob
from tests.github.commits import CommitNode, first_parents
from tests.github.runs import Run
from tests.github.workflows import FAILED

HTML = "https://github.com"

_UNFILLED = re.compile(r"(.+?) \([^()]*\$\{\{.*")


def order(trunk: Trunk, head: CommitNode | None) -> TrunkOrder:
    """Return the commits of a trunk whose head is `head`."""
    chain = [Commit(node.sha, node.date, node.author, node.title) for node in first_parents(head)]
    return TrunkOrder(trunk, tuple(reversed(chain)))


def observations(chain: TrunkOrder, runs: Iterable[Run], now: float) -> list[Observation]:
    """Return the results of all runs that count for a trunk."""
    found: list[Observation] = []
    for run in runs:
        if _counts(run, chain) and run.created_at <= now:
            found.extend(_rows_of(run, chain.trunk, _last_seen(run, now)))
    return found


def _counts(run: Run, chain: TrunkOrder) -> bool:
    return (
        run.commit.sha in chain.index
        and run.head_branch == chain.trunk.branch
        and run.head_repo == chain.trunk.repo
        and run.event in DEFAULT_EVENTS
    )


def _last_seen(run: Run, now: float) -> float:
    """Return the time up to which a run can be read: results stay when the run is deleted."""
    return now if run.deleted_at is None else min(now, run.deleted_at)


def _rows_of(run: Run, trunk: Trunk, now: float) -> Iterator[Observation]:
    if run.startup_failure and run.status(now) == COMPLETED:
        yield _startup(run, trunk, now)
    for row in run.rows(now):
        name = _name(row)
        if name is not None and row.copy_of is None:
            yield _observation(run, row, name, trunk, now)


def _name(row: WorkflowJob) -> str | None:
    if "${{" not in row.name:
        return row.name
    match = _UNFILLED.fullmatch(row.name)
    return match.group(1) if match and row.final_conclusion == "skipped" else None


def _observation(run: Run, row: WorkflowJob, name: str, trunk: Trunk, now: float) -> Observation:
    answer = row.conclusion(now)
    if answer is not None and row.plan.hang:
        answer = "timed_out"
    return Observation(
        trunk,
        run.commit.sha,
        RawJob(run.workflow.name, run.workflow.path, name),
        row.status(now),
        answer,
        run_id=run.id,
        attempt=row.attempt,
        job_id=row.id,
        run_number=run.number,
        event=run.event,
        head_branch=run.head_branch,
        head_repo=run.head_repo,
        created_at=float(int(row.created_at)),
        started_at=float(int(row.started_at(now))),
        completed_at=None if answer is None else float(int(row.ends_at)),
        url=f"{HTML}/{run.repo}/actions/runs/{run.id}/job/{row.id}",
        failed_step=row.failed_step if answer is not None else None,
        annotations=_messages(row) if answer in ("failure", "timed_out") else (),
    )


def _messages(row: WorkflowJob) -> tuple[str, ...]:
    return tuple(text for text in row.annotations if text != FAILED)[:3]


def _startup(run: Run, trunk: Trunk, now: float) -> Observation:
    moment = float(int(run.attempt(now).at))
    return Observation(
        trunk,
        run.commit.sha,
        RawJob(run.workflow.name, run.workflow.path, STARTUP_JOB),
        COMPLETED,
        "startup_failure",
        run_id=run.id,
        attempt=run.attempt(now).number,
        run_number=run.number,
        event=run.event,
        head_branch=run.head_branch,
        head_repo=run.head_repo,
        created_at=float(int(run.created_at)),
        started_at=moment,
        completed_at=moment,
        url=f"{HTML}/{run.repo}/actions/runs/{run.id}",
    )
