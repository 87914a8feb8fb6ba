"""An index from raw job names to watched jobs and back."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from trunkwatch.domain.groups import Events, Group, group_of, split_events
from trunkwatch.domain.model import STARTUP_JOB, JobKey, RawJob, Trunk
from trunkwatch.domain.names import event_label
from trunkwatch.domain.policy import Policy


class NamedJob(NamedTuple):
    """The definition of a watched job.

    Attributes:
        workflow: the identity of its workflow.
        group: its group.
        events: the events whose runs it is judged by.
    """

    workflow: str
    group: Group
    events: Events


@dataclass(slots=True)
class _WorkflowNames:
    """The job names of one workflow.

    Attributes:
        label: of the workflow; None until a row of it counts on the trunk.
        keys: the watched jobs of each raw job.
        members: the raw jobs that are folded into each watched job.
    """

    label: str | None = None
    keys: dict[RawJob, tuple[JobKey, ...]] = field(default_factory=dict)
    members: dict[JobKey, set[RawJob]] = field(default_factory=lambda: defaultdict(set))


class JobNameIndex:
    """Raw names and watched jobs of one trunk, by the identity of their workflow."""

    def __init__(self, trunk: Trunk, policy: Policy) -> None:
        """Args:
        trunk: the jobs' trunk.
        policy: the names, the groups and the events that count.
        """
        self._trunk = trunk
        self._policy = policy
        self._workflows: dict[str, _WorkflowNames] = defaultdict(_WorkflowNames)
        self._named: dict[JobKey, NamedJob] = {}

    def add(self, raw: RawJob) -> None:
        """Add a raw job; adding it again has no effect."""
        names = self._workflows[raw.workflow_key]
        if raw not in names.keys:
            names.keys[raw] = self._keys(raw)
            for key in names.keys[raw]:
                names.members[key].add(raw)

    def set_label(self, workflow: str, label: str | None) -> bool:
        """Set the label of a workflow; return whether it changed, and with it the keys."""
        names = self._workflows[workflow]
        if names.label == label:
            return False
        for key in names.members:
            self._named.pop(key, None)
        self._workflows[workflow] = _WorkflowNames(label)
        for raw in names.keys:
            self.add(raw)
        return True

    def label(self, workflow: str) -> str | None:
        """Return the label of a workflow; None where no row of it counts."""
        return self._workflows[workflow].label

    def named(self, key: JobKey) -> NamedJob:
        """Return the definition of a watched job."""
        return self._named[key]

    def startup_keys(self, workflow: str) -> Collection[JobKey]:
        """Return the startup jobs of a workflow; none when they are ignored."""
        return self._keys(RawJob(workflow, workflow, STARTUP_JOB))

    def keys_of(self, workflow: str) -> Collection[JobKey]:
        """Return a workflow's watched jobs."""
        return self._workflows[workflow].members.keys()

    def keys(self, raw: RawJob) -> Collection[JobKey]:
        """Return the watched jobs of a raw job, one per group of events.

        Empty when it is ignored, or when no row of its workflow counts yet.
        """
        return self._workflows[raw.workflow_key].keys.get(raw, ())

    def raw_jobs(self, workflow: str) -> Collection[RawJob]:
        """Return all raw jobs of a workflow, also ignored ones."""
        return self._workflows[workflow].keys.keys()

    def members(self, workflow: str, key: JobKey) -> Collection[RawJob]:
        """Return the raw jobs that are folded into a watched job."""
        return self._workflows[workflow].members.get(key, ())

    def _keys(self, raw: RawJob) -> tuple[JobKey, ...]:
        workflow, policy = raw.workflow_key, self._policy
        label = self._workflows[workflow].label
        name = policy.naming.resolve(label, raw.job_name) if label is not None else None
        if label is None or name is None:
            return ()
        key = JobKey(*self._trunk, label, name)
        split = split_events(key, policy.groups, policy.evidence.events)
        rest = Events(without=frozenset(split))
        self._named[key] = NamedJob(workflow, group_of(key, policy.groups), rest)
        for event, group in split.items():
            own = key._replace(workflow=event_label(label, event))
            self._named[own] = NamedJob(workflow, group, Events(only=event))
        return key, *(key._replace(workflow=event_label(label, event)) for event in split)
