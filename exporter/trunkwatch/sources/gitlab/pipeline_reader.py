"""Reads one pipeline with its child pipelines: its jobs as observations."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from trunkwatch.annotations import annotation_lines
from trunkwatch.config.sources import GitlabSource
from trunkwatch.domain.model import STARTUP_JOB, Observation, RawJob, Trunk
from trunkwatch.errors import NotFoundError
from trunkwatch.sources.gitlab.api import GitlabApi
from trunkwatch.sources.gitlab.position import Position
from trunkwatch.sources.gitlab.rows import JOBS, Job, Pipeline
from trunkwatch.sources.gitlab.words import (
    ACTIVE,
    BLOCKED,
    COMPLETED,
    EVENTS,
    FINAL,
    SCRIPT_FAILURE,
    outcome,
)
from trunkwatch.times import plausible_time

CHILD_DEPTH = 2
"""Levels of child pipelines below a pipeline; GitLab allows no more."""

SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one refresh of one trunk reads.

    Attributes:
        api: of the server.
        config: the source's section of the configuration.
        events: which events' pipelines count.
        trunk: the trunk.
        project: its id.
        now: seconds since the epoch.
    """

    api: GitlabApi
    config: GitlabSource
    events: frozenset[str]
    trunk: Trunk
    project: int
    now: float


class PipelineReader:
    """One pipeline that is no child.

    Attributes:
        read: the pipelines that were read, itself included.
        unreadable: number of jobs that could not be.
    """

    def __init__(self, reading: Reading, position: Position, top: Pipeline) -> None:
        """Args:
        reading: the trunk, and how it is read.
        position: of the trunk.
        top: the pipeline.
        """
        self._reading = reading
        self._position = position
        self._top = top
        self.read = [top]
        self.unreadable = 0

    def rows(self) -> Iterator[Observation]:
        """Yield the rows of the pipeline and of its child pipelines."""
        return self._rows(self._top, "", 0)

    def _rows(self, run: Pipeline, prefix: str, depth: int) -> Iterator[Observation]:
        """Yield the rows of a pipeline and of those below it.

        Args:
            run: the pipeline.
            prefix: of the names of its jobs.
            depth: levels above it.
        """
        api, project, position = self._reading.api, self._reading.project, self._position
        jobs, dropped = api.jobs(project, run.id)
        bridges: tuple[Job, ...] = ()
        if position.bridges or run.status in FINAL:
            bridges, more = api.bridges(project, run.id)
            dropped += more
            position.bridges |= bool(bridges)
        self.unreadable += dropped + sum(map(JOBS.is_doubtful, (*jobs, *bridges)))
        attempts: Counter[str] = Counter()
        for job in sorted(jobs, key=lambda job: job.id):
            attempts[job.name] += 1
            yield self._row(run, prefix, job, attempts[job.name])
        for bridge in bridges:
            yield from self._triggered(run, prefix, bridge, depth)
        if depth == 0 and run.status == "failed" and not (jobs or bridges or dropped):
            yield self._startup_failure(run)

    def _triggered(
        self, run: Pipeline, prefix: str, bridge: Job, depth: int
    ) -> Iterator[Observation]:
        """Yield the row of a trigger job and those of its child pipeline."""
        try:
            below = list(self._child(bridge, prefix, depth))
        except NotFoundError as error:
            if error.is_refused:
                raise
            # Deleted since the list of trigger jobs was read; the next one would not show it.
            bridge, below = bridge._replace(child=None), []
        yield self._bridge(run, prefix, bridge)
        yield from below

    def _child(self, bridge: Job, prefix: str, depth: int) -> Iterator[Observation]:
        child = bridge.child
        if child is None or depth >= CHILD_DEPTH:
            return
        if child.status in FINAL and self._position.has_seen(child) and self._top.status in ACTIVE:
            return
        yield from self._rows(child, f"{prefix}{bridge.name} / ", depth + 1)
        self.read.append(child)

    # ------------------------------------------------------------------ observations

    def _row(self, run: Pipeline, prefix: str, job: Job, attempt: int) -> Observation:
        now = self._reading.now
        status, conclusion, infra = outcome(
            job.status,
            job.reason,
            may_fail=job.may_fail and self._reading.config.allow_failure == "skip",
            blocked=run.status in BLOCKED,
        )
        failed = conclusion in ("failure", "timed_out") and job.reason != SCRIPT_FAILURE
        return self._observation(
            run,
            f"{prefix}{job.name}",
            status=status,
            conclusion=conclusion,
            attempt=attempt,
            job_id=job.id,
            created_at=plausible_time(job.created, now),
            started_at=plausible_time(job.started, now),
            completed_at=plausible_time(job.finished, now) if status == COMPLETED else None,
            url=job.url,
            infra=infra,
            annotations=annotation_lines([job.reason] if failed else []),
        )

    def _bridge(self, run: Pipeline, prefix: str, bridge: Job) -> Observation:
        """Return the row of a trigger job.

        One that started a child pipeline has done its work: it repeats the result of that pipeline
        only, which its jobs report. Earlier attempts are not listed, and reports of one row without
        id: a failure and a pass are a flake then, not two jobs.
        """
        mirrors = bridge.status == "failed" and bridge.reason in ("", "unknown_failure")
        if mirrors and bridge.child is not None:
            bridge = bridge._replace(status="success")
        row = self._row(run, prefix, bridge, 1)
        return row.changed(job_id=None)

    def _startup_failure(self, run: Pipeline) -> Observation:
        errors = self._reading.api.yaml_errors(self._reading.project, run.id)
        created = plausible_time(run.created, self._reading.now)
        return self._observation(
            run,
            STARTUP_JOB,
            status=COMPLETED,
            conclusion="startup_failure",
            created_at=created,
            started_at=created,
            completed_at=plausible_time(run.updated, self._reading.now),
            url=run.url,
            annotations=annotation_lines([errors]),
        )

    def _observation(self, run: Pipeline, name: str, **own: object) -> Observation:
        workflow, event = (
            self._reading.config.workflow or self._reading.config.name,
            event_of(self._top),
        )
        if event == SCHEDULE:
            # A nightly job would count as removed after the pushes of a few days.
            workflow = f"{workflow} ({SCHEDULE})"
        return Observation(
            self._reading.trunk,
            run.sha,
            RawJob(workflow, None, name),
            run_id=run.id,
            run_number=run.id,
            event=event,
            head_branch=self._reading.trunk.branch,
            head_repo=self._reading.trunk.repo,
            **own,  # type: ignore[arg-type] # its own fields, with their types
        )


def event_of(run: Pipeline) -> str:
    """Return the event that started a pipeline."""
    return EVENTS.get(run.source, run.source)
