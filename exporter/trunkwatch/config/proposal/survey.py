"""What a trunk's results show of its workflows, jobs and events."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from trunkwatch.config.proposal.shards import Named
from trunkwatch.domain.evidence import EvidenceRules, why_ignored
from trunkwatch.domain.model import STARTUP_JOB, Observation, RunId, TrunkOrder, run_order

SCHEDULE = "schedule"
"""The event of runs by the clock."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The workflows and jobs of a trunk.

    Attributes:
        repo: owner/name.
        branch: of the trunk.
        commits: number of commits that were read.
        runs: number of runs by event, by the workflow's label.
        names: the jobs, as the CI names them.
        allowed_to_fail: those that have failed in a run that was successful all the same.
    """

    repo: str
    branch: str
    commits: int
    runs: Mapping[str, Mapping[str, int]]
    names: frozenset[Named]
    allowed_to_fail: frozenset[Named]


def survey_of(
    order: TrunkOrder,
    rows: Iterable[Observation],
    labels: Mapping[str, str],
    successful_runs: Collection[RunId],
) -> Survey:
    """Return the survey of a trunk.

    Args:
        order: the trunk.
        rows: all of its results.
        labels: of the workflows, by their identity.
        successful_runs: runs whose CI reports them as successful.
    """
    rules = EvidenceRules()
    runs: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    names: set[Named] = set()
    newest: dict[tuple[RunId, Named], Observation] = {}
    for row in rows:
        if why_ignored(row, order, rules) is not None:
            continue
        workflow = labels.get(row.job.workflow_key, row.job.workflow_name)
        runs[workflow][row.event].add(row.sha if row.run_id is None else row.run_id)
        if row.job.job_name == STARTUP_JOB:
            continue
        named = Named(workflow, row.job.job_name)
        names.add(named)
        if row.run_id is not None and row.run_id in successful_runs:
            before = newest.get((row.run_id, named))
            if before is None or _attempt(before) < _attempt(row):
                newest[row.run_id, named] = row
    failed = {named for (_, named), row in newest.items() if row.conclusion == "failure"}
    counts = {
        workflow: {event: len(ids) for event, ids in sorted(events.items())}
        for workflow, events in sorted(runs.items())
    }
    return Survey(
        order.trunk.repo,
        order.trunk.branch,
        len(order.commits),
        counts,
        frozenset(names),
        frozenset(failed),
    )


def _attempt(row: Observation) -> tuple[object, ...]:
    return row.attempt, run_order(row)
