"""An index from raw job names to watched jobs and back."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.model import STARTUP_JOB, JobKey, RawJob, Trunk
from trunkwatch.domain.names import Naming, matrix_parent


@dataclass(slots=True)
class _WorkflowNames:
    """The job names of one workflow.

    Attributes:
        display_name: of the workflow; None until a row of it counts on the trunk.
        raw_jobs: all raw jobs seen.
        by_name: the raw jobs by job name.
        members: the raw jobs that are folded into each watched job.
        children: the watched jobs of each matrix, by the raw name of the skipped matrix.
    """

    display_name: str | None = None
    raw_jobs: set[RawJob] = field(default_factory=set)
    by_name: dict[str, set[RawJob]] = field(default_factory=lambda: defaultdict(set))
    members: dict[JobKey, set[RawJob]] = field(default_factory=lambda: defaultdict(set))
    children: dict[str, set[JobKey]] = field(default_factory=lambda: defaultdict(set))


class JobNameIndex:
    """Raw names and watched jobs of one trunk, by the identity of their workflow."""

    def __init__(self, trunk: Trunk, naming: Naming) -> None:
        """Args:
        trunk: the jobs' trunk.
        naming: from raw names to watched names.
        """
        self._trunk = trunk
        self._naming = naming
        self._workflows: dict[str, _WorkflowNames] = defaultdict(_WorkflowNames)
        self._identities: dict[str, str] = {}

    def add(self, raw: RawJob) -> None:
        """Add a raw job; adding it again has no effect."""
        names = self._workflows[raw.workflow_key]
        if raw in names.raw_jobs:
            return
        names.raw_jobs.add(raw)
        names.by_name[raw.job_name].add(raw)
        key = self.key(raw)
        if key is None:
            return
        names.members[key].add(raw)
        parent = matrix_parent(key.job_name)
        if parent is not None:
            names.children[parent].add(key)

    def set_display_names(self, display: Mapping[str, str]) -> set[str]:
        """Set all workflows' display names; return the workflows whose name changed."""
        self._identities = {name: workflow for workflow, name in display.items()}
        renamed = {
            workflow
            for workflow, names in self._workflows.items()
            if names.display_name != display.get(workflow)
        }
        for workflow in renamed:
            raw_jobs = self._workflows[workflow].raw_jobs
            self._workflows[workflow] = _WorkflowNames(display.get(workflow))
            for raw in raw_jobs:
                self.add(raw)
        return renamed

    def key(self, raw: RawJob) -> JobKey | None:
        """Return the watched job of a raw job; None when it is ignored or does not count."""
        display_name = self._workflows[raw.workflow_key].display_name
        if display_name is None:
            return None  # No row counts yet; the first one that does sets the name.
        name = self._naming.resolve(display_name, raw.job_name)
        return JobKey(*self._trunk, display_name, name) if name is not None else None

    def startup_key(self, workflow: str) -> JobKey | None:
        """Return the startup job of a workflow; None when it is ignored."""
        return self.key(RawJob(workflow, workflow, STARTUP_JOB))

    def workflow_of(self, key: JobKey) -> str:
        """Return the identity of a watched job's workflow."""
        return self._identities[key.workflow]

    def keys_of(self, workflow: str) -> Collection[JobKey]:
        """Return a workflow's watched jobs."""
        return self._workflows[workflow].members.keys()

    def affected_by(self, raw: RawJob) -> Iterator[JobKey]:
        """Yield the watched jobs that a row of a raw job may change.

        These are the job itself and, for the name of a skipped matrix, the jobs of the matrix.
        """
        key = self.key(raw)
        if key is not None:
            yield key
        yield from self._workflows[raw.workflow_key].children.get(raw.job_name, ())

    def members(self, workflow: str, key: JobKey) -> Collection[RawJob]:
        """Return the raw jobs that are folded into a watched job."""
        return self._workflows[workflow].members.get(key, ())

    def named(self, workflow: str, job_name: str) -> Collection[RawJob]:
        """Return the raw jobs with one job name."""
        return self._workflows[workflow].by_name.get(job_name, ())
