"""Keeps one trunk's state up to date; judges again only the jobs that a change touches.

Everything here could be thrown away and computed anew from the stored rows with the same result
(a property test does so); what is kept between updates is only there to save that work.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol

from exporter.domain.branch import group_states, mass_breakage, newest_green
from exporter.domain.columns import Count
from exporter.domain.evidence import evidence_of, is_startup_failure, why_ignored
from exporter.domain.groups import Group, group_of
from exporter.domain.job import JobState, assess_job, earliest
from exporter.domain.model import (
    STARTUP_JOB,
    Evidence,
    JobKey,
    Observation,
    RawJob,
    TrunkOrder,
)
from exporter.domain.names import display_names, matrix_parent
from exporter.domain.policy import Policy
from exporter.domain.retirement import is_retired
from exporter.domain.snapshot import TrunkState
from exporter.domain.workflow import (
    WorkflowAt,
    as_startup_failure,
    as_startup_pass,
    workflow_at,
)

Touched = Mapping[RawJob, Collection[str]]
"""Which raw jobs have new rows, and at which commits."""


class Records(Protocol):
    """One trunk's stored rows, as the assessor needs to read them."""

    def of_jobs(self, jobs: Collection[RawJob]) -> Iterable[Observation]:
        """Return all rows of some raw jobs."""

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        """Return all rows at some commits."""

    def everything(self) -> Iterable[Observation]:
        """Return all rows, those of one commit together."""


@dataclass(slots=True)
class _Job:
    """What is kept of one watched job between updates.

    Attributes:
        state: its state.
        last_seen: place of the newest commit at which it, or a skipped parent of it, appeared.
        workflow: the identity of its workflow.
    """

    state: JobState
    last_seen: int
    workflow: str


@dataclass(slots=True)
class _Index:
    """Which rows belong to which watched job.

    Attributes:
        display: workflow identity to display name.
        members: watched job to the raw names that are folded into it.
        children: raw name of a skipped matrix to the watched jobs that it stands for.
        raw_jobs: all raw names seen.
    """

    display: dict[str, str] = field(default_factory=dict)
    members: dict[JobKey, set[RawJob]] = field(default_factory=lambda: defaultdict(set))
    children: dict[tuple[str, str], set[JobKey]] = field(default_factory=lambda: defaultdict(set))
    raw_jobs: set[RawJob] = field(default_factory=set)
    by_name: dict[tuple[str, str], set[RawJob]] = field(default_factory=lambda: defaultdict(set))


class Assessor:
    """One trunk's state, kept up to date."""

    def __init__(self, order: TrunkOrder, policy: Policy, records: Records) -> None:
        self._order = order
        self._policy = policy
        self._records = records
        self._workflows: dict[str, dict[str, WorkflowAt]] = {}
        self._index = _Index()
        self._jobs: dict[JobKey, _Job] = {}
        self._empty = True

    def update(self, order: TrunkOrder, touched: Touched, now: float) -> TrunkState:
        """Bring the state up to date and return it.

        Args:
            order: the trunk as it is now.
            touched: raw jobs with rows that are new or changed since the last update.
            now: seconds since the epoch.
        """
        known, self._order = self._order, order
        if self._empty or not order.extends(known):
            self._read_all(now)
        else:
            self._read_touched(self._with_new_commits(known, touched), now)
        return self._state()

    # ------------------------------------------------------------------ reading

    def _read_all(self, now: float) -> None:
        self._empty = False
        self._workflows = defaultdict(dict)
        raw_jobs: set[RawJob] = set()
        for _, rows in groupby(self._records.everything(), key=lambda row: row.sha):
            raw_jobs |= self._read_commit(list(rows), now)
        self._judge_all(raw_jobs, now)

    def _judge_all(self, raw_jobs: set[RawJob], now: float) -> None:
        self._index = _Index(display=self._display_names())
        self._jobs = {}
        for raw in raw_jobs:
            self._add_to_index(raw)
        self._judge(set(self._index.members) | set(self._startup_keys()), now)

    def _read_commit(
        self, rows: Collection[Observation], now: float, only: Collection[str] | None = None
    ) -> set[RawJob]:
        """Read all rows of one commit, or those of the workflows `only`; return their jobs."""
        by_workflow: dict[str, list[Observation]] = defaultdict(list)
        for row in rows:
            by_workflow[row.job.workflow_key].append(row)
        for workflow, members in by_workflow.items():
            if only is None or workflow in only:
                at = workflow_at(members, self._order, self._policy.evidence, now)
                self._workflows.setdefault(workflow, {})[members[0].sha] = at
        return {row.job for row in rows}

    def _with_new_commits(self, known: TrunkOrder, touched: Touched) -> dict[RawJob, set[str]]:
        """Add the rows that were stored before their commit was known to be on the trunk."""
        changed = {raw: set(shas) for raw, shas in touched.items()}
        new = [commit.sha for commit in self._order.commits[len(known.commits) :]]
        for row in self._records.of_commits(new) if new else ():
            changed.setdefault(row.job, set()).add(row.sha)
        return changed

    def _read_touched(self, touched: Mapping[RawJob, set[str]], now: float) -> None:
        workflows: dict[str, set[str]] = defaultdict(set)
        for raw, shas in touched.items():
            for sha in shas:
                workflows[sha].add(raw.workflow_key)
        for sha, at in self._expired_workflows(now):
            workflows[sha].add(at)
        names = {workflow for group in workflows.values() for workflow in group}
        renumbered: set[str] = set()
        for _, rows in groupby(self._records.of_commits(set(workflows)), lambda row: row.sha):
            members = list(rows)
            sha = members[0].sha
            before = {w: self._workflows.get(w, {}).get(sha) for w in workflows[sha]}
            self._read_commit(members, now, only=workflows[sha])
            renumbered |= {
                workflow
                for workflow, at in before.items()
                if at is not None and at.numbers != self._workflows[workflow][sha].numbers
            }
        raw_jobs = self._index.raw_jobs | set(touched)
        if self._display_names() != self._index.display:
            self._judge_all(raw_jobs, now)
            return
        for raw in set(touched) - self._index.raw_jobs:
            self._add_to_index(raw)
        affected = self._affected(touched, names, now)
        self._judge(affected | self._counted_by_runs(renumbered), now)

    def _expired_workflows(self, now: float) -> Iterator[tuple[str, str]]:
        for workflow, commits in self._workflows.items():
            for sha, at in commits.items():
                if at.changes_at is not None and at.changes_at < now:
                    yield sha, workflow

    def _affected(
        self, touched: Mapping[RawJob, set[str]], workflows: Collection[str], now: float
    ) -> set[JobKey]:
        affected = {key for key, job in self._jobs.items() if _due(job.state, now)}
        for raw in touched:
            key = self._key(raw)
            if key is not None:
                affected.add(key)
            affected |= self._index.children.get((raw.workflow_key, raw.job_name), set())
        return affected | set(self._startup_keys(workflows))

    def _counted_by_runs(self, workflows: Collection[str]) -> set[JobKey]:
        """Name the jobs whose columns are in another order when a run gets its number."""
        return {
            key
            for key, job in self._jobs.items()
            if job.workflow in workflows and job.state.group.count is Count.RUNS
        }

    # ------------------------------------------------------------------ names

    def _display_names(self) -> dict[str, str]:
        """Name the workflows that count here; one that is only seen elsewhere renames nobody."""
        latest: dict[str, str] = {}
        for workflow, commits in self._workflows.items():
            newest = max(commits.values(), key=_place_or_off_trunk)
            if newest.place is not None:
                latest[workflow] = newest.name
        return display_names(latest)

    def _key(self, raw: RawJob) -> JobKey | None:
        workflow = self._index.display.get(raw.workflow_key)
        if workflow is None:
            return None  # only seen off the trunk; its first row that counts changes the display
        name = self._policy.naming.resolve(workflow, raw.job_name)
        return JobKey(*self._order.trunk, workflow, name) if name is not None else None

    def _add_to_index(self, raw: RawJob) -> None:
        self._index.raw_jobs.add(raw)
        self._index.by_name[raw.workflow_key, raw.job_name].add(raw)
        key = self._key(raw)
        if key is None:
            return
        self._index.members[key].add(raw)
        parent = matrix_parent(key.job_name)
        if parent is not None:
            self._index.children[raw.workflow_key, parent].add(key)

    def _startup_keys(self, workflows: Collection[str] | None = None) -> Iterator[JobKey]:
        """Name the pseudo-jobs of the workflows of which a run once failed to start."""
        for workflow in self._workflows if workflows is None else workflows:
            if any(at.startup_jobs for at in self._workflows[workflow].values()):
                key = self._key(RawJob(workflow, workflow, STARTUP_JOB))
                if key is not None:
                    yield key

    # ------------------------------------------------------------------ judging

    def _judge(self, keys: Iterable[JobKey], now: float) -> None:
        workflow_of = {name: workflow for workflow, name in self._index.display.items()}
        for key in keys:
            job = self._judge_one(key, workflow_of[key.workflow], now)
            if job is None:
                self._jobs.pop(key, None)
            else:
                self._jobs[key] = job

    def _judge_one(self, key: JobKey, workflow: str, now: float) -> _Job | None:
        group = group_of(key, self._policy.groups)
        rows = self._as_judged(self._rows_of(key, workflow), group, workflow)
        if not rows:
            return None
        seen = {self._order.index[row.sha] for row in rows}
        seen |= self._skipped_parents(key, workflow, now)
        state = assess_job(key, rows, group, self._order, self._policy.evidence, now)
        return _Job(self._with_exemption(state, now), max(seen), workflow)

    def _as_judged(
        self, rows: Iterable[Observation], group: Group, workflow: str
    ) -> list[Observation]:
        if group.count is Count.RUNS:
            return [self._numbered(row, workflow) for row in rows]
        return list(rows)

    def _numbered(self, row: Observation, workflow: str) -> Observation:
        """Give a row the number of its run, which another job's row may have brought."""
        number = self._workflows[workflow][row.sha].numbers.get(row.run_id)
        return row if number == row.run_number else replace(row, run_number=number)

    def _with_exemption(self, state: JobState, now: float) -> JobState:
        for exemption in self._policy.known_broken:
            if exemption.holds(state.key, now):
                return replace(
                    state,
                    known_broken=(exemption.reason, exemption.until),
                    changes_at=earliest((state.changes_at, exemption.until)),
                )
        return state

    def rows_of(self, key: JobKey) -> list[Observation]:
        """Return the rows that a watched job is judged by; none for a job that is not watched."""
        job = self._jobs.get(key)
        if job is None:
            return []
        return self._as_judged(self._rows_of(key, job.workflow), job.state.group, job.workflow)

    def _rows_of(self, key: JobKey, workflow: str) -> Iterator[Observation]:
        if key.job_name == STARTUP_JOB:
            yield from self._startup_rows(workflow)
        for row in self._counting(self._index.members.get(key, set())):
            if not is_startup_failure(row):
                yield row

    def _startup_rows(self, workflow: str) -> Iterator[Observation]:
        commits = self._workflows[workflow].values()
        names = {raw for at in commits for raw in at.startup_jobs}
        for row in self._counting(names):
            if is_startup_failure(row):
                yield as_startup_failure(row)
        for at in commits:
            yield from (as_startup_pass(row) for row in at.started)

    def _skipped_parents(self, key: JobKey, workflow: str, now: float) -> set[int]:
        """Places at which the whole matrix that the job is of was skipped as one row."""
        parent = matrix_parent(key.job_name)
        if parent is None:
            return set()
        rules, order = self._policy.evidence, self._order
        return {
            order.index[row.sha]
            for row in self._counting(self._index.by_name.get((workflow, parent), set()))
            if evidence_of(row, rules, None, now) is Evidence.SKIP
        }

    def _counting(self, jobs: Collection[RawJob]) -> Iterator[Observation]:
        for row in self._records.of_jobs(jobs) if jobs else ():
            if why_ignored(row, self._order, self._policy.evidence) is None:
                yield row

    def _completed(self, workflow: str) -> list[int]:
        return sorted(
            at.place
            for at in self._workflows.get(workflow, {}).values()
            if at.completed and at.place is not None
        )

    # ------------------------------------------------------------------ the whole

    def _state(self) -> TrunkState:
        live, retired = self._live_and_retired()
        order, policy = self._order, self._policy
        required = policy.green.get(order.trunk)
        return TrunkState(
            order=order,
            jobs=live,
            groups=group_states(order.trunk, live),
            mass_breakage=mass_breakage(live),
            green=newest_green(live, order, required) if required else None,
            ignored_runs=self._total(lambda at: at.ignored),
            unknown_words=self._total(lambda at: at.unknown),
            retired=retired,
            changes_at=earliest(
                [
                    *(job.changes_at for job in live),
                    *(
                        at.changes_at
                        for commits in self._workflows.values()
                        for at in commits.values()
                    ),
                ]
            ),
        )

    def _live_and_retired(self) -> tuple[tuple[JobState, ...], Mapping[str, int]]:
        completed = {workflow: self._completed(workflow) for workflow in self._workflows}
        live: list[JobState] = []
        retired = Counter(removed=0, removed_broken=0)
        for _, job in sorted(self._jobs.items()):
            if is_retired(job.last_seen, completed[job.workflow], self._policy.retire_after):
                retired["removed_broken" if job.state.broken else "removed"] += 1
            else:
                live.append(job.state)
        return tuple(live), retired

    def _total(self, part: Callable[[WorkflowAt], Mapping[str, int]]) -> Mapping[str, int]:
        total: Counter[str] = Counter()
        for commits in self._workflows.values():
            for at in commits.values():
                total.update(part(at))
        return total


def _place_or_off_trunk(at: WorkflowAt) -> int:
    return at.place if at.place is not None else -1


def _due(state: JobState, now: float) -> bool:
    return state.changes_at is not None and state.changes_at <= now
