"""Builders that make a history read like the sentence under test: `job_state("P F F . F")`."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from random import Random
from typing import Any

from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobRules, JobState, evaluate_job
from trunkwatch.domain.model import (
    Commit,
    JobKey,
    Observation,
    RawJob,
    Trunk,
    TrunkOrder,
    display_name,
)
from trunkwatch.domain.names import FoldRule, Naming
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.facts import ReportedState
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import RowReader, Touched, TrunkEvaluator
from trunkwatch.patterns import Pattern
from trunkwatch.store import SqliteStore, StoredRows
from trunkwatch.times import parse_time

from tests.vectors import notation
from tests.vectors.notation import BRANCH, REPO, WORKFLOW, Json, commit_lines, sha_of

NOW = notation.NOW.timestamp()
HOUR = 3600.0
TRUNK = Trunk(REPO, BRANCH)
FOLDED = Naming(fold=(FoldRule(Pattern(notation.FOLD["match"]), notation.FOLD["to"]),))
RULES = EvidenceRules()


def trunk(commits: int, *, older_unread: bool = False) -> TrunkOrder:
    """Return a trunk of a number of commits, one an hour; `sha_of(0)` is the oldest."""
    lines = commit_lines(commits)
    chain = tuple(
        Commit(line["sha"], parse_time(line["committed_at"]), line["author"], line["title"])
        for line in lines
    )
    return TrunkOrder(TRUNK, chain, older_unread)


def row(
    place: int = 0, job: str = "job", conclusion: str | None = "success", **changes: Any
) -> Observation:
    """Return a completed row that counts; `changes` are fields of `Observation`.

    `workflow` and `path` set the raw job's workflow. Times are missing by default.
    """
    workflow = changes.pop("workflow", WORKFLOW)
    raw = RawJob(workflow, changes.pop("path", None), job)
    plain = Observation(
        TRUNK, sha_of(place), raw, "completed", conclusion, run_id=place + 1,
        head_branch=BRANCH, head_repo=REPO,
    )  # fmt: skip
    return plain.changed(**changes)


def unfinished(
    place: int = 0, job: str = "job", status: str = "queued", **changes: Any
) -> Observation:
    """Return an unfinished row that counts."""
    return row(place, job, changes.pop("conclusion", None), status=status, **changes)


def observation(line: Json) -> Observation:
    """Read one recorded run line of the notation."""

    def time(key: str) -> float | None:
        return parse_time(line[key]) if key in line else None

    return Observation(
        trunk=TRUNK,
        sha=line["sha"],
        job=RawJob(line["workflow"], None, line["job_name"]),
        status=line["status"],
        conclusion=line.get("conclusion"),
        run_id=line["run_id"],
        attempt=line["attempt"],
        run_number=line["run_number"],
        head_branch=BRANCH,
        head_repo=REPO,
        url=line["url"],
        created_at=time("created_at"),
        started_at=time("started_at"),
        completed_at=time("completed_at"),
    )


def history(text: str, name: str = "job", **changes: Any) -> list[Observation]:
    """Return the rows of one job from a history in the notation.

    Its shards are named `name [shard 1]`, ...; without shards it is named `name`.
    """
    rows = [observation(line) for line in notation.parse_history(text) if line["kind"] == "run"]
    sharded = "|" in text
    renamed = []
    for each in rows:
        shard = each.job.job_name.removeprefix("job")
        job = each.job._replace(job_name=f"{name}{shard}" if sharded else name)
        renamed.append(each.changed(job=job, **changes))
    return renamed


def length(text: str) -> int:
    """Return how many commits a history has."""
    return len(text.split(" "))


def job_state(
    text: str, *, older_unread: bool = False, group: Group | None = None, **settings: Any
) -> JobState:
    """Return the state of one job; `settings` are fields of its group or its thresholds."""
    thresholds = {f.name for f in fields(Thresholds)} & settings.keys()
    limits = Thresholds(**{name: settings.pop(name) for name in thresholds})
    group = group or Group("g", "team-g", "P2", thresholds=limits, **settings)
    order = trunk(length(text), older_unread=older_unread)
    rules = JobRules(group, order, RULES, NOW)
    return evaluate_job(JobKey(*TRUNK, WORKFLOW, "job"), history(text), rules)


def place_of(commit: Commit | None) -> int | None:
    """Return the index of a commit of `trunk`; 0 is the oldest."""
    return notation.place_of(commit.sha if commit else None)


class MemoryRows(StoredRows):
    """Rows in a store in memory, returned in a random order."""

    def __init__(self, rows: Iterable[Observation] = (), seed: int = 0) -> None:
        self._random = Random(seed)
        super().__init__(SqliteStore(), TRUNK)
        self.add(rows)

    def add(self, rows: Iterable[Observation]) -> Touched:
        """Store some reports; return the jobs and commits that they changed."""
        return self.store.apply("test", rows, None).touched.get(TRUNK, {})

    def of_jobs(
        self, jobs: Collection[RawJob], shas: Collection[str] | None = None
    ) -> Iterable[Observation]:
        return self._shuffled(super().of_jobs(jobs, shas))

    def of_commits(self, shas: Collection[str]) -> Iterable[Observation]:
        return self._together(super().of_commits(shas))

    def all_rows(self) -> Iterable[Observation]:
        return self._together(super().all_rows())

    def _shuffled(self, rows: Iterable[Observation]) -> list[Observation]:
        found = list(rows)
        self._random.shuffle(found)
        return found

    def _together(self, rows: Iterable[Observation]) -> Iterator[Observation]:
        by_commit: dict[str, list[Observation]] = defaultdict(list)
        for each in self._shuffled(rows):
            by_commit[each.sha].append(each)
        for found in by_commit.values():
            yield from found


def evaluate(
    rows: Iterable[Observation] | RowReader,
    order: TrunkOrder,
    policy: Policy | None = None,
    now: float = NOW,
    labels: Mapping[str, str] | None = None,
    reported: Mapping[str, ReportedState] | None = None,
) -> TrunkState:
    """Evaluate a whole trunk from scratch, with the labels of earlier evaluations if there are."""
    reader = MemoryRows(rows) if isinstance(rows, Iterable) else rows
    return TrunkEvaluator(order, policy or Policy(), reader, labels).update(
        order, {}, now, reported
    )


def evaluate_histories(
    histories: Mapping[str, str], policy: Policy | None = None, *, extra: Sequence[Observation] = ()
) -> TrunkState:
    """Evaluate the jobs of one workflow from their histories, all of one length."""
    (commits,) = {length(text) for text in histories.values()}
    rows = [each for name, text in histories.items() for each in history(text, name)]
    return evaluate([*rows, *extra], trunk(commits), policy)


def jobs_of(state: TrunkState) -> dict[str, JobState]:
    """Return a trunk's jobs by "workflow / job_name"."""
    return {job.key.display_name: job for job in state.jobs}


def job_named(state: TrunkState, name: str, workflow: str = WORKFLOW) -> JobState:
    """Return the job with a name."""
    return jobs_of(state)[display_name(workflow, name)]
