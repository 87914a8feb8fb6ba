"""The labels of a trunk's workflows: names that people see, and that do not move while it matters.

The label is a part of the key of every job and so of every alert. It is the first name that a
workflow had; a later name takes its place only while no listed job of the workflow fails.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

from trunkwatch.domain.job import JobState
from trunkwatch.domain.names import event_label, free_label, labels_of
from trunkwatch.domain.outage import failing_after
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.workflow_history import WorkflowHistory


class WorkflowLabels:
    """The label of each workflow that has had a name, by its identity."""

    def __init__(self, stored: Mapping[str, str], policy: Policy) -> None:
        """Args:
        stored: the labels of earlier evaluations.
        policy: whether groups have events, whose labels no workflow may have.
        """
        self._labels = dict(stored)
        split = any(group.match.event is not None for group in policy.groups)
        self._suffixes = tuple(
            event_label("", event) for event in (policy.evidence.events if split else ())
        )

    @property
    def all(self) -> Mapping[str, str]:
        """A copy of all labels, to be stored."""
        return dict(self._labels)

    def get(self, workflow: str) -> str | None:
        """Return the label of a workflow; None before it has a name."""
        return self._labels.get(workflow)

    def shows(self, workflow: str, name: str) -> bool:
        """Return whether the label of a workflow is one that shows a name."""
        return self._labels[workflow] in labels_of(name, workflow)

    def put(self, workflow: str, name: str) -> None:
        """Give a workflow a label that shows its name and that no other workflow has."""
        taken = {label for other, label in self._labels.items() if other != workflow}
        taken.update(
            label for label in labels_of(name, workflow)[:1] if label.endswith(self._suffixes)
        )
        self._labels[workflow] = free_label(name, workflow, taken)


def first_name(history: WorkflowHistory, jobs: Iterable[JobState], tip: int) -> str:
    """Return the name that a workflow has when all of its history is read at once.

    It is the name as of the newest commit after which none of its jobs failed, so that a rename
    moves no label in the middle of an outage then either; its oldest name if there is none.

    Args:
        history: of the workflow.
        jobs: its listed jobs.
        tip: the index of the newest commit.
    """
    failing: set[int] = set()
    for job in jobs:
        failing.update(_failing(job, tip))
    quiet = (commit_index for commit_index in range(tip, -1, -1) if commit_index not in failing)
    return history.name_at(next(quiet, -1))


def is_quiet(jobs: Collection[JobState]) -> bool:
    """Return whether no outage and no streak of some jobs is open."""
    return not any(job.broken or job.consecutive_failures for job in jobs)


def _failing(job: JobState, tip: int) -> Iterator[int]:
    """Yield the indexes of the commits after which an outage or a streak of a job is open."""
    thresholds = job.group.thresholds_of(job.key.job_name)
    ends = pairwise((*job.commit_indexes, tip + 1))
    for (start, end), failing in zip(ends, failing_after(job.verdicts, thresholds), strict=True):
        if failing:
            yield from range(start, end)
