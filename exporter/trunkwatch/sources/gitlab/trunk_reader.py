"""Reads one trunk: its order, and the pipelines that changed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from trunkwatch.annotations import annotation_lines
from trunkwatch.config.schema import GitlabSource
from trunkwatch.domain.model import STARTUP_JOB, Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.engine.facts import Fact
from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    NoAnswerError,
    NotFoundError,
    RateLimitedError,
    SourceError,
)
from trunkwatch.rest.lists import page_numbers
from trunkwatch.sources.gitlab.api import GitlabApi
from trunkwatch.sources.gitlab.position import SLACK_SECONDS, Position
from trunkwatch.sources.gitlab.rows import Job, ListedCommit, Pipeline, time_of
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

FATAL_ERRORS = (CredentialsError, RateLimitedError, NoAnswerError)
"""Errors that every further request of the same refresh would meet too."""

BATCH = 50
"""Changed pipelines that one refresh of a trunk reads; the next one follows at once."""

COLD_LOOK_BACK_SECONDS = 86_400.0
"""Seconds before the window's oldest commit at which a cold start begins: dates may be wrong."""

UNDATED_WINDOW_SECONDS = 30 * 86_400.0
"""Seconds before now at which a cold start begins if no commit has a date."""

CHILD_DEPTH = 2
"""Levels of child pipelines below a pipeline; GitLab allows no more."""

SCHEDULE = "schedule"


class UnreadableOrderError(BadAnswerError):
    """A commit of the list cannot be read: without it, its neighbours would be adjacent."""


@dataclass(slots=True)
class TrunkRead:
    """The result of one refresh of one trunk.

    Attributes:
        facts: in the order in which they were read.
        error: the first error of what could not be read.
        unread: commits whose changed pipelines are left for the next refresh.
    """

    facts: list[Fact] = field(default_factory=list)
    error: SourceError | None = None
    unread: int = 0


class TrunkReader:
    """One trunk in one refresh."""

    def __init__(
        self,
        api: GitlabApi,
        config: GitlabSource,
        events: frozenset[str],
        trunk: Trunk,
        project: int,
        position: Position,
        now: float,
    ) -> None:
        """Args:
        api: of the server.
        config: the source's section of the configuration.
        events: which events' pipelines count.
        trunk: the trunk.
        project: its id.
        position: of the trunk; it is changed.
        now: seconds since the epoch.
        """
        self._api = api
        self._config = config
        self._events = events
        self._trunk = trunk
        self._project = project
        self._position = position
        self._now = now
        self._read_pipelines: list[Pipeline] = []

    def read(self) -> TrunkRead:
        """Read the order, and the pipelines that changed or may have.

        Raises:
            SourceError: one of the lists cannot be read.
        """
        position, result = self._position, TrunkRead()
        order = self._read_order(result)
        begin = self._begin(order)
        listed, newest = self._changed(begin)
        children, parents = self._changed_children(begin)
        listed |= parents
        again = [run for number, run in position.open.items() if number not in listed]
        due = sorted(listed.values(), key=lambda run: run.updated)
        for run in [*again, *due[:BATCH]]:
            if not self._read_run(run, result):
                break
            position.since = max(position.since or begin, min(run.updated, self._now))
        else:
            result.unread = len({run.sha for run in due[BATCH:]})
            if not result.unread:
                position.see(*children)
                position.since = max(position.since or begin, min(newest, self._now))
        result.facts.append(position.entry(self._trunk, self._now))
        return result

    def _read_run(self, run: Pipeline, result: TrunkRead) -> bool:
        """Read one pipeline; return False if no other can be read now."""
        position = self._position
        self._read_pipelines = [run]
        try:
            rows = list(self._rows(run))
        except FATAL_ERRORS as error:
            result.error = error
            return False
        except NotFoundError:
            rows = []  # a pipeline may be deleted
        except SourceError as error:
            result.error = result.error or error
            position.keep_open(run, self._now, wanted=True)
            return True
        result.facts += rows
        position.see(*self._read_pipelines)
        unfinished = any(not row.finished for row in rows)
        wanted = run.status in ACTIVE or (run.status in FINAL and unfinished)
        position.keep_open(run, self._now, wanted=wanted)
        return True

    # ------------------------------------------------------------------ order

    def _read_order(self, result: TrunkRead) -> TrunkOrder | None:
        """Return the order, which a cold start needs in any case; None if a row is unreadable."""
        if not self._config.could_order() and self._position.since is not None:
            return None
        try:
            order = self._order()
        except UnreadableOrderError as error:
            result.error = error
            return None
        if self._config.could_order():
            result.facts.append(order)
        return order

    def _order(self) -> TrunkOrder:
        """Return the first-parent chain as far as the window goes.

        The parents link the commits: a server that ignores `first_parent`, and a push or a force
        push between two pages, cannot put a commit into the chain.
        """
        listed: dict[str, ListedCommit] = {}
        position, size = self._position, self._api.client.per_page
        for number in page_numbers("commits", -(-self._config.window // size)):
            page = self._api.commits(self._project, self._trunk.branch, number)
            if page.dropped:
                raise UnreadableOrderError(
                    f"{self._trunk}: the list of commits has unreadable rows; the order stays"
                )
            listed.update((each.commit.sha, each) for each in page.rows)
            is_last = len(page.rows) < size or number * size >= self._config.window
            if is_last or position.tip in listed:
                break
        position.tip = next(iter(listed), "")
        chain = list(_chain(listed, position.tip))[: self._config.window]
        commits = tuple(each.commit for each in reversed(chain))
        return TrunkOrder(self._trunk, commits, bool(chain and chain[-1].parents))

    def _begin(self, order: TrunkOrder | None) -> float:
        """Return the time since which changes are read (seconds since the epoch)."""
        if self._position.since is not None:
            return self._position.since - SLACK_SECONDS
        dates = [
            date
            for commit in (order.commits if order else ())
            if (date := plausible_time(commit.committed_at, self._now)) is not None
        ]
        oldest = min(dates, default=self._now - UNDATED_WINDOW_SECONDS)
        return max(0.0, min(oldest, self._now) - COLD_LOOK_BACK_SECONDS)

    # ------------------------------------------------------------------ pipelines

    def _changed(
        self, begin: float, source: str | None = None
    ) -> tuple[dict[int, Pipeline], float]:
        """Return the pipelines that changed and were not read as they are, and the newest change.

        Offsets lose rows, since a row that changes moves to the end: each further page is asked by
        the time of the last row instead, and by offset only within one second.
        """
        found: dict[int, Pipeline] = {}
        since, offset, newest = int(begin), 1, begin
        for _ in page_numbers(f"{self._trunk}: pipelines"):
            page = self._api.pipelines(self._project, self._trunk.branch, since, offset, source)
            found.update(
                (run.id, run)
                for run in page.rows
                if not self._position.has_seen(run) and (source or self._counts(run))
            )
            newest = max(newest, *(run.updated for run in page.rows), begin)
            is_last = len(page.rows) + page.dropped < self._api.client.per_page
            if is_last or (source is None and len(found) > BATCH):
                break
            since, offset = (int(newest) - 1, 1) if newest - 1 > since + 1 else (since, offset + 1)
        return found, newest

    def _counts(self, run: Pipeline) -> bool:
        return _event(run) in self._events

    def _changed_children(self, begin: float) -> tuple[list[Pipeline], dict[int, Pipeline]]:
        """Return the child pipelines that changed, and their parents, which no list names."""
        if not self._position.bridges:
            return [], {}
        children = list(self._changed(begin, "parent_pipeline")[0].values())
        parents: dict[int, Pipeline] = {}
        for sha in dict.fromkeys(child.sha for child in children):
            runs = self._api.pipelines_of(self._project, self._trunk.branch, sha)
            parents.update((run.id, run) for run in runs if self._counts(run))
        return children, parents

    def _rows(
        self, run: Pipeline, prefix: str = "", top: Pipeline | None = None, depth: int = 0
    ) -> Iterator[Observation]:
        """Yield the rows of a pipeline and of its child pipelines.

        Args:
            run: the pipeline.
            prefix: of the names of its jobs.
            top: the pipeline that is no child.
            depth: levels above it.
        """
        position, top = self._position, top or run
        jobs, unreadable = self._api.jobs(self._project, run.id)
        bridges: tuple[Job, ...] = ()
        if position.bridges or run.status in FINAL:
            bridges, more = self._api.bridges(self._project, run.id)
            unreadable += more
            position.bridges |= bool(bridges)
        attempts: Counter[str] = Counter()
        for job in sorted(jobs, key=lambda job: job.id):
            attempts[job.name] += 1
            yield self._row(run, top, prefix, job, attempts[job.name])
        for bridge in bridges:
            yield self._bridge(run, top, prefix, bridge)
            yield from self._child(bridge, prefix, top, depth)
        if depth == 0 and run.status == "failed" and not (jobs or bridges or unreadable):
            yield self._startup_failure(run)

    def _child(self, bridge: Job, prefix: str, top: Pipeline, depth: int) -> Iterator[Observation]:
        child = bridge.child
        if child is None or depth >= CHILD_DEPTH:
            return
        if child.status in FINAL and self._position.has_seen(child) and top.status in ACTIVE:
            return
        yield from self._rows(child, f"{prefix}{bridge.name} / ", top, depth + 1)
        self._read_pipelines.append(child)

    # ------------------------------------------------------------------ observations

    def _row(
        self, run: Pipeline, top: Pipeline, prefix: str, job: Job, attempt: int
    ) -> Observation:
        status, conclusion, infra = outcome(
            job.status,
            job.reason,
            may_fail=job.may_fail and self._config.allow_failure == "skip",
            blocked=run.status in BLOCKED,
        )
        failed = conclusion in ("failure", "timed_out") and job.reason != SCRIPT_FAILURE
        return self._observation(
            run,
            top,
            f"{prefix}{job.name}",
            status=status,
            conclusion=conclusion,
            attempt=attempt,
            job_id=job.id,
            created_at=time_of(job.created, self._now),
            started_at=time_of(job.started, self._now),
            completed_at=time_of(job.finished, self._now) if status == COMPLETED else None,
            url=job.url,
            infra=infra,
            annotations=annotation_lines([job.reason] if failed else []),
        )

    def _bridge(self, run: Pipeline, top: Pipeline, prefix: str, bridge: Job) -> Observation:
        """Return the row of a trigger job.

        One that started a child pipeline has done its work: it repeats the result of that pipeline
        only, which its jobs report. Earlier attempts are not listed, and reports of one row without
        id: a failure and a pass are a flake then, not two jobs.
        """
        mirrors = bridge.status == "failed" and bridge.reason in ("", "unknown_failure")
        if mirrors and bridge.child is not None:
            bridge = bridge._replace(status="success")
        row = self._row(run, top, prefix, bridge, 1)
        return replace(row, job_id=None)

    def _startup_failure(self, run: Pipeline) -> Observation:
        errors = self._api.yaml_errors(self._project, run.id)
        created = plausible_time(run.created, self._now)
        return self._observation(
            run,
            run,
            STARTUP_JOB,
            status=COMPLETED,
            conclusion="startup_failure",
            created_at=created,
            started_at=created,
            completed_at=plausible_time(run.updated, self._now),
            url=run.url,
            annotations=annotation_lines([errors]),
        )

    def _observation(self, run: Pipeline, top: Pipeline, name: str, **own: object) -> Observation:
        workflow, event = self._config.workflow or self._config.name, _event(top)
        if event == SCHEDULE:
            # A nightly job would count as removed after the pushes of a few days.
            workflow = f"{workflow} ({SCHEDULE})"
        return Observation(
            self._trunk,
            run.sha,
            RawJob(workflow, None, name),
            run_id=run.id,
            run_number=run.id,
            event=event,
            head_branch=self._trunk.branch,
            head_repo=self._trunk.repo,
            **own,  # type: ignore[arg-type] # its own fields, with their types
        )


def _event(run: Pipeline) -> str:
    return EVENTS.get(run.source, run.source)


def _chain(listed: dict[str, ListedCommit], tip: str) -> Iterable[ListedCommit]:
    """Yield the commits from the tip along the first parents, newest first."""
    found = listed.pop(tip, None)
    while found is not None:
        yield found
        found = listed.pop(found.parents[0], None) if found.parents else None
