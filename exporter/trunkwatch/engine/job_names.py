"""Which rows belong to which watched job."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.model import STARTUP_JOB, JobKey, RawJob, Trunk
from trunkwatch.domain.names import Naming, matrix_parent


@dataclass(slots=True)
class _Names:
    """The names of one workflow's jobs.

    Attributes:
        shown: the workflow's display name; None while it was only seen where it does not count.
        raw_jobs: all raw names seen.
        by_name: the same by job name.
        members: watched job to the raw names that are folded into it.
        children: raw name of a skipped matrix to the watched jobs that it stands for.
    """

    shown: str | None = None
    raw_jobs: set[RawJob] = field(default_factory=set)
    by_name: dict[str, set[RawJob]] = field(default_factory=lambda: defaultdict(set))
    members: dict[JobKey, set[RawJob]] = field(default_factory=lambda: defaultdict(set))
    children: dict[str, set[JobKey]] = field(default_factory=lambda: defaultdict(set))


class JobNameIndex:
    """Raw names and watched jobs of one trunk, by the identity of their workflow."""

    def __init__(self, trunk: Trunk, naming: Naming) -> None:
        """Args:
        trunk: whose jobs.
        naming: from raw names to watched names.
        """
        self._trunk = trunk
        self._naming = naming
        self._workflows: dict[str, _Names] = defaultdict(_Names)
        self._identities: dict[str, str] = {}

    def add(self, raw: RawJob) -> None:
        """Take a raw name, new or not."""
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

    def show(self, display: Mapping[str, str]) -> set[str]:
        """Take all workflows' display names; return those that are shown otherwise than before."""
        self._identities = {shown: workflow for workflow, shown in display.items()}
        renamed = {
            workflow
            for workflow, names in self._workflows.items()
            if names.shown != display.get(workflow)
        }
        for workflow in renamed:
            known = self._workflows[workflow].raw_jobs
            self._workflows[workflow] = _Names(display.get(workflow))
            for raw in known:
                self.add(raw)
        return renamed

    def key(self, raw: RawJob) -> JobKey | None:
        """Return the watched job of a raw name; None when it is ignored or does not count."""
        shown = self._workflows[raw.workflow_key].shown
        if shown is None:
            return None  # only seen off the trunk; its first row that counts changes the display
        name = self._naming.resolve(shown, raw.job_name)
        return JobKey(*self._trunk, shown, name) if name is not None else None

    def startup_key(self, workflow: str) -> JobKey | None:
        """Return the pseudo-job of a workflow that fails to start; None when it is ignored."""
        return self.key(RawJob(workflow, workflow, STARTUP_JOB))

    def workflow_of(self, key: JobKey) -> str:
        """Return the identity of a watched job's workflow."""
        return self._identities[key.workflow]

    def keys_of(self, workflow: str) -> Collection[JobKey]:
        """Return a workflow's watched jobs."""
        return self._workflows[workflow].members.keys()

    def concerned(self, raw: RawJob) -> Iterator[JobKey]:
        """Yield the watched jobs of which a row of a raw name may tell: its own, its children."""
        key = self.key(raw)
        if key is not None:
            yield key
        yield from self._workflows[raw.workflow_key].children.get(raw.job_name, ())

    def members(self, workflow: str, key: JobKey) -> Collection[RawJob]:
        """Return the raw names that are folded into a watched job."""
        return self._workflows[workflow].members.get(key, ())

    def named(self, workflow: str, job_name: str) -> Collection[RawJob]:
        """Return the raw names of one job name."""
        return self._workflows[workflow].by_name.get(job_name, ())
