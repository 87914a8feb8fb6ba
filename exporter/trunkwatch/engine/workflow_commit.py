"""One workflow at one commit: whether it completed and started, its name and its run numbers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trunkwatch.domain.evidence import (
    EvidenceRules,
    evidence_of,
    expires_at,
    is_startup_failure,
    unknown_word,
    why_ignored,
)
from trunkwatch.domain.groups import ALL_EVENTS, Events
from trunkwatch.domain.model import (
    STARTUP_JOB,
    Evidence,
    Observation,
    RawJob,
    RunId,
    TrunkOrder,
    in_run_order,
    run_order,
)
from trunkwatch.domain.names import is_workflow_file
from trunkwatch.domain.verdict import drop_superseded
from trunkwatch.times import earliest

_PROOF = frozenset({Evidence.PASS, Evidence.FAIL, Evidence.SKIP})
"""The evidence that shows that a workflow ran to its end."""


class Skip(NamedTuple):
    """A skipped row: it stands for the jobs that its name calls, in runs of its event."""

    job_name: str
    event: str


@dataclass(frozen=True, slots=True)
class WorkflowCommit:
    """One workflow at one commit.

    Attributes:
        commit_index: of the commit in the trunk's order; None when no run counts there.
        events: of the runs that count here.
        evidence: of the job rows, by the event of their runs.
        complete: whether it completed over all events, see `completed`.
        skips: the skipped rows.
        first_rows: the earliest job row of each run: the proof that the run started.
        run_numbers: the number of each run, where a row of the run has it.
        startup_failures: the raw jobs that report a run that failed to start.
        name: the workflow's name in its newest run here that has one; None where each run is
            named by its file only, or none counts.
        run_name: the name in its newest run here, whatever it is.
        reported_at: when its first row that counts was reported (seconds since the epoch), or None.
        ignored_runs: numbers of runs that do not count, by reason.
        ignored_from: their events, branches and repositories, by reason.
        unknown_words: numbers of rows by the status or conclusion that the evidence table does
            not list.
        changes_at: when time alone will change it (seconds since the epoch), or None.
    """

    commit_index: int | None
    events: frozenset[str]
    evidence: Mapping[str, frozenset[Evidence]]
    complete: bool
    skips: frozenset[Skip]
    first_rows: tuple[Observation, ...]
    run_numbers: Mapping[RunId | None, int]
    startup_failures: frozenset[RawJob]
    name: str | None
    run_name: str
    reported_at: float | None
    ignored_runs: Mapping[str, int]
    ignored_from: Mapping[str, frozenset[str]]
    unknown_words: Mapping[str, int]
    changes_at: float | None

    def completed(self, events: Events = ALL_EVENTS) -> bool:
        """Return whether a job of some events that has no row here was left out on purpose.

        So it is if every job row of these events is finished, and at least one is a pass, fail or
        skip: a workflow that still runs, or whose rows were all cancelled, proves nothing.
        """
        if events == ALL_EVENTS:
            return self.complete
        return _is_complete(kinds for event, kinds in self.evidence.items() if events.covers(event))

    def numbered(self, row: Observation) -> Observation:
        """Return a row with the number of its run, which may come from another job's row."""
        number = self.run_numbers.get(row.run_id)
        return row if number == row.run_number else row.changed(run_number=number)


def _is_complete(evidence: Iterable[frozenset[Evidence]]) -> bool:
    found = frozenset[Evidence]().union(*evidence)
    return Evidence.PENDING not in found and not _PROOF.isdisjoint(found)


_Ignored = tuple[Observation, str]
"""A row that does not count, and the reason."""


def evaluate_workflow(
    rows: Iterable[Observation], order: TrunkOrder, rules: EvidenceRules, now: float
) -> WorkflowCommit:
    """Evaluate all rows of one workflow at one commit; there must be at least one."""
    counting, ignored = list[Observation](), list[_Ignored]()
    for row in rows:
        reason = why_ignored(row, order, rules)
        if reason is None:
            counting.append(row)
        else:
            ignored.append((row, reason))
    counting = in_run_order(counting)  # Sorted once for all that follows.
    failed_starts = frozenset(row.job for row in counting if is_startup_failure(row))
    job_rows = counting
    if failed_starts:
        job_rows = [row for row in counting if not is_startup_failure(row)]
    newest = counting[-1] if counting else max((row for row, _ in ignored), key=run_order)
    names = (
        name for row in reversed(counting) if not is_workflow_file(name := row.job.workflow_name)
    )
    commit_index = order.index.get(newest.sha)
    committed_at = order.commits[commit_index].committed_at if commit_index is not None else None
    found = [
        (row, evidence_of(row, rules, committed_at, now))
        for row in (drop_superseded(job_rows) if job_rows else ())
    ]
    by_event = _by_event(found)
    return WorkflowCommit(
        commit_index=commit_index if counting else None,
        events=frozenset(row.event for row in counting),
        evidence=by_event,
        complete=_is_complete(by_event.values()),
        skips=frozenset(
            Skip(row.job.job_name, row.event)
            for row, evidence in found
            if evidence is Evidence.SKIP
        ),
        first_rows=_first_rows(job_rows),
        run_numbers=_run_numbers(counting),
        startup_failures=failed_starts,
        name=next(names, None),
        run_name=newest.job.workflow_name,
        reported_at=earliest(map(_reported_at, counting)),
        ignored_runs=_runs_by_reason(ignored),
        ignored_from=_origins_by_reason(ignored),
        unknown_words=Counter(word for row in counting if (word := unknown_word(row)) is not None),
        changes_at=min(_expiries(found, committed_at), default=None),
    )


Found = Sequence[tuple[Observation, Evidence]]
"""Job rows with their evidence."""


def _by_event(found: Found) -> Mapping[str, frozenset[Evidence]]:
    events: dict[str, set[Evidence]] = defaultdict(set)
    for row, evidence in found:
        events[row.event].add(evidence)
    return {event: frozenset(kinds) for event, kinds in events.items()}


def _expiries(found: Found, committed_at: float | None) -> Iterator[float]:
    for row, evidence in found:
        limit = expires_at(row, committed_at) if evidence is Evidence.PENDING else None
        if limit is not None:
            yield limit


def _first_rows(job_rows: Iterable[Observation]) -> tuple[Observation, ...]:
    """Return the earliest row of each run.

    Args:
        job_rows: in the order of runs.
    """
    earliest: dict[RunId | None, Observation] = {}
    for row in job_rows:
        earliest.setdefault(row.run_id, row)
    return tuple(earliest.values())


def _run_numbers(rows: Iterable[Observation]) -> Mapping[RunId | None, int]:
    """Return each run's number; a number belongs to the run, also where a row leaves it out."""
    numbers: dict[RunId | None, int] = {}
    for row in rows:
        if row.run_number is not None:
            numbers[row.run_id] = max(row.run_number, numbers.get(row.run_id, row.run_number))
    return numbers


def _runs_by_reason(ignored: Iterable[_Ignored]) -> Mapping[str, int]:
    runs: dict[str, set[RunId | None]] = defaultdict(set)
    for row, reason in ignored:
        runs[reason].add(row.run_id)
    return {reason: len(members) for reason, members in runs.items()}


def _origins_by_reason(ignored: Iterable[_Ignored]) -> Mapping[str, frozenset[str]]:
    origins: dict[str, set[str]] = defaultdict(set)
    for row, reason in ignored:
        if reason in ("event", "head_branch", "head_repo"):
            origins[reason].add(getattr(row, reason))
    return {reason: frozenset(members) for reason, members in origins.items()}


def _reported_at(row: Observation) -> float | None:
    """Return when a row was reported: a CI that gives no creation may report it at its end."""
    return row.created_at if row.created_at is not None else row.ended_at


def as_startup_pass(row: Observation) -> Observation:
    """Return the proof that a run started as a passing row of its workflow's startup job."""
    return row.changed(
        job=row.job._replace(job_name=STARTUP_JOB),
        job_id=None,
        status="completed",
        conclusion="success",
        failed_step=None,
        infra=False,
        annotations=(),
    )


def as_startup_failure(row: Observation) -> Observation:
    """Return a startup failure as a row of its workflow's startup job, whatever its job name."""
    return row.changed(job=row.job._replace(job_name=STARTUP_JOB), job_id=None)
