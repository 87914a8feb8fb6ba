"""The exporter's JSON of one trunk, parsed into values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from trunkwatch.annotations import annotation_lines
from trunkwatch.domain.model import display_name
from trunkwatch.engine.cells import PENDING
from trunkwatch.engine.triage import QuestionNote, about_outage
from trunkwatch.rest.json_text import int_or_none, list_or_empty, no_text, object_of, text_or_none
from trunkwatch.status.shape import unlike_the_document
from trunkwatch.times import parse_time_or_none

T = TypeVar("T")

FRESH = "fresh"
"""The value of `trunks[].data` that is neither stale nor doubtful."""


class JobName(NamedTuple):
    """One job of a trunk."""

    workflow: str
    job_name: str

    def __str__(self) -> str:
        return display_name(self.workflow, self.job_name)


class CommitLine(NamedTuple):
    """A commit as an issue names it; author and title are None where the source has none.

    Of a suspect there are also the letter of its result, `state` (`engine.cells.MEANINGS`), its
    place in the order of evidence from 1 on, `rank`, and the `reason` for that place, if there is
    one; None for another commit.
    """

    sha: str
    author: str | None = None
    title: str | None = None
    state: str | None = None
    rank: int | None = None
    reason: str | None = None


class NextTest(NamedTuple):
    """The suspect to test next.

    Attributes:
        sha: its hash.
        is_running: its result comes by itself.
        results: after so many at most, this one included, one suspect is left.
    """

    sha: str
    is_running: bool
    results: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job in the exporter's JSON (docs/policy.md, 4.3).

    Attributes:
        name: the job.
        group: its group.
        broken: an outage is open.
        streak: FAILs in a row at the tip (`consecutive_failures`).
        failures: FAILs of the open outage (`failures_in_outage`).
        first_bad: the commit at which it broke; None if nothing fails.
        last_good: hash of the PASS before it; None if there is none in the window.
        suspects: number of suspect commits; None without last good.
        tested: number of suspects with a verdict.
        also_suspect: the suspects except first bad, oldest first.
        next_test: the suspect whose result leaves the fewest; None if one is left, or they are
            unknown.
        broken_since: end of the earliest-started failing run at first bad (seconds since the
            epoch).
        url: of that run.
        compare_url: comparison of last good and first bad.
        failed_step: of that run.
        annotations: error messages of that run.
        same_step: every failure of the outage is in this step.
        infra: that run looks like an infrastructure failure.
        confirmed: first bad failed in more than one attempt.
        co_failures: jobs of other groups with the same first bad.
        pending: number of commits that wait for a result.
        last_verdict: PASS, FAIL, FLAKY, or None.
        known_broken: reason of its exemption; None if it is not exempt.
        last_outage: first bad (hash) and ending commit of its newest closed outage.
        questions: of `trunkwatch confirm` about its outage or streak, oldest first.
    """

    name: JobName
    group: str
    broken: bool
    streak: int
    failures: int
    first_bad: CommitLine | None
    last_good: str | None
    suspects: int | None
    tested: int | None
    also_suspect: tuple[CommitLine, ...]
    next_test: NextTest | None
    broken_since: float | None
    url: str | None
    compare_url: str | None
    failed_step: str | None
    annotations: tuple[str, ...]
    same_step: bool
    infra: bool
    confirmed: bool
    co_failures: tuple[str, ...]
    pending: int
    last_verdict: str | None
    known_broken: str | None
    last_outage: tuple[str, CommitLine] | None
    questions: tuple[QuestionNote, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group in the exporter's JSON.

    Attributes:
        team: that owns its jobs.
        priority: P0 to P3.
        failure_threshold: number of broken jobs at which it alerts.
        failing: number of broken jobs that are not exempt.
    """

    team: str
    priority: str
    failure_threshold: int
    failing: int


class UnreadableJob(NamedTuple):
    """A row of a job that cannot be read, so that its state is unknown.

    Attributes:
        name: the job; None if that cannot be read either.
        group: its group; None if that cannot be read either.
    """

    name: JobName | None
    group: str | None


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """One trunk in the exporter's JSON.

    Attributes:
        reliable: each source of the trunk has read it: a missing job is removed, not unread.
        groups: by name.
        jobs: by name.
        unreadable_jobs: the jobs whose row cannot be read.
        problems: place and error of each row that cannot be read.
        external_url: address of the exporter's pages; None if it has none.
        doubt: why it may be wrong; None if nothing shows it.
    """

    reliable: bool
    groups: Mapping[str, GroupStatus]
    jobs: Mapping[JobName, JobStatus]
    unreadable_jobs: tuple[UnreadableJob, ...] = ()
    problems: tuple[str, ...] = ()
    external_url: str | None = None
    doubt: str | None = None

    def broken(self, group: str) -> tuple[JobStatus, ...]:
        """Return the broken jobs of a group that are not exempt, most failures first."""
        found = [
            job
            for job in self.jobs.values()
            if job.group == group and job.broken and job.known_broken is None
        ]
        return tuple(sorted(found, key=lambda job: (-job.failures, job.name)))

    def is_unknown(self, name: JobName) -> bool:
        """Return whether a job may exist although it was not read."""
        if name in self.jobs:
            return False
        return not self.reliable or any(job.name in (None, name) for job in self.unreadable_jobs)

    def is_complete(self, group: str) -> bool:
        """Return whether all jobs of a group were read."""
        return self.reliable and not any(job.group in (None, group) for job in self.unreadable_jobs)


def parse_trunk_status(document: Any) -> TrunkStatus:
    """Parse the answer of `/api/v1/trunk/<repo>/<branch>`; a row that cannot be read is left out.

    Raises:
        ReadingError: it is not an object with the three lists.
    """
    rows = _lists(document)
    unreadable: list[UnreadableJob] = []
    problems: list[str] = []

    def readable(name: str, parse: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
        for index, row in enumerate(rows[name]):
            try:
                yield parse(object_of(row))
            except ValueError as error:
                problems.append(f"{name}[{index}]: {error}")
                if name == "jobs":
                    unreadable.append(_unreadable(row))

    up = list(readable("sources", lambda row: _flag(row, "up")))
    groups = dict(readable("groups", lambda row: (_text(row, "group"), _group(row))))
    asked = _questions(document.get("triage"))
    jobs = {job.name: _with_questions(job, asked) for job in readable("jobs", _job)}
    reliable = bool(up) and all(up) and len(up) == len(rows["sources"])
    pages = text_or_none(document.get("external_url"))
    doubt = _doubt(document.get("trunks"), is_reliable=reliable)
    return TrunkStatus(reliable, groups, jobs, tuple(unreadable), tuple(problems), pages, doubt)


def _doubt(trunks: object, *, is_reliable: bool) -> str | None:
    row = next(iter(list_or_empty(trunks)), None)
    if not is_reliable or not isinstance(row, dict):
        return "a source has not read the trunk"
    if row.get("mass_breakage") is not False:
        return "one commit broke most jobs"
    if row.get("data") != FRESH:
        return f"the data is {text_or_none(row.get('data')) or 'not known'}"
    return None


def _lists(document: Any) -> Mapping[str, list[Any]]:
    try:
        rows = {name: document[name] for name in ("sources", "groups", "jobs")}
        if not all(isinstance(found, list) for found in rows.values()):
            raise TypeError("sources, groups and jobs must be lists")
    except (KeyError, TypeError) as error:
        raise unlike_the_document(error) from None
    return rows


def _unreadable(row: object) -> UnreadableJob:
    fields = row if isinstance(row, dict) else {}
    workflow, job_name, group = (
        text_or_none(fields.get(name)) for name in ("workflow", "job_name", "group")
    )
    return UnreadableJob(JobName(workflow, job_name) if workflow and job_name else None, group)


# ---------------------------------------------------------------------- fields that decide


def _text(row: Mapping[str, Any], name: str) -> str:
    text = text_or_none(row.get(name))
    if text is None:
        raise ValueError(f"{name} {no_text(row.get(name))}")
    return text


def _flag(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")
    return value


def _count(row: Mapping[str, Any], name: str) -> int:
    number = int_or_none(row.get(name))
    if number is None:
        raise ValueError(f"{name} must be a whole number")
    return number


def _known_broken(row: Mapping[str, Any]) -> str | None:
    exempt = row.get("known_broken")
    if exempt is None:
        return None
    if not isinstance(exempt, dict):
        raise ValueError("known_broken must be an object, or null")
    return text_or_none(exempt.get("reason")) or "no reason given"


def _group(row: Mapping[str, Any]) -> GroupStatus:
    return GroupStatus(
        _text(row, "team"), _text(row, "priority"), _count(row, "failure_threshold"),
        _count(row, "jobs_failing"),
    )  # fmt: skip


def _job(row: Mapping[str, Any]) -> JobStatus:
    first_bad = text_or_none(row.get("first_bad"))
    suspects = list(filter(None, map(_commit, list_or_empty(row.get("suspect_commits")))))
    return JobStatus(
        name=JobName(_text(row, "workflow"), _text(row, "job_name")),
        group=_text(row, "group"),
        broken=_flag(row, "broken"),
        streak=_count(row, "consecutive_failures"),
        failures=_count(row, "failures_in_outage"),
        first_bad=_first_bad(first_bad, suspects),
        last_good=text_or_none(row.get("last_good")),
        suspects=int_or_none(row.get("suspects")),
        tested=int_or_none(row.get("tested_suspects")),
        also_suspect=tuple(line for line in suspects if line.sha != first_bad),
        next_test=_next_test(row.get("next_test")),
        broken_since=parse_time_or_none(row.get("broken_since")),
        url=text_or_none(row.get("url")),
        compare_url=text_or_none(row.get("compare_url")),
        failed_step=text_or_none(row.get("failed_step")),
        annotations=annotation_lines(_texts(row.get("annotations"))),
        same_step=row.get("same_step") is not None,
        infra=row.get("infra") is True,
        confirmed=row.get("confirmed") is True,
        co_failures=tuple(_texts(row.get("also_broken_since"))),
        pending=int_or_none(row.get("pending_commits")) or 0,
        last_verdict=text_or_none(row.get("last_verdict")),
        known_broken=_known_broken(row),
        last_outage=_last_outage(row.get("last_outage")),
    )


# ---------------------------------------------------------------------- fields that are only shown


def _texts(value: object) -> Iterator[str]:
    return filter(None, map(text_or_none, list_or_empty(value)))


def _first_bad(sha: str | None, suspects: list[CommitLine]) -> CommitLine | None:
    """Return first bad, with author and title if it is among the suspects."""
    if not sha:
        return None
    return next((line for line in suspects if line.sha == sha), CommitLine(sha))


def _next_test(value: object) -> NextTest | None:
    row = value if isinstance(value, dict) else {}
    sha, results = text_or_none(row.get("sha")), int_or_none(row.get("results"))
    return NextTest(sha, row.get("state") == PENDING, results) if sha and results else None


def _last_outage(value: object) -> tuple[str, CommitLine] | None:
    row = value if isinstance(value, dict) else {}
    first_bad, ended_by = text_or_none(row.get("first_bad")), _commit(row.get("ended_by"))
    return (first_bad, ended_by) if first_bad and ended_by else None


def _questions(triage: object) -> Mapping[JobName, Sequence[QuestionNote]]:
    """Return the questions of a trunk by job; those that cannot be read are left out."""
    report = triage.get("questions") if isinstance(triage, dict) else None
    found: dict[JobName, list[QuestionNote]] = {}
    for row in list_or_empty(report.get("items") if isinstance(report, dict) else None):
        fields = row if isinstance(row, dict) else {}
        names = ("workflow", "job_name", "kind", "first_bad", "sha", "state")
        texts = [text_or_none(fields.get(name)) for name in names]
        at = parse_time_or_none(fields.get("at"))
        if at is None or None in texts:
            continue
        workflow, job_name, kind, first_bad, sha, state = map(str, texts)
        reason, answer = (text_or_none(fields.get(name)) for name in ("reason", "answer"))
        note = QuestionNote(kind, first_bad, sha, state, at, reason, answer)
        found.setdefault(JobName(workflow, job_name), []).append(note)
    return found


def _with_questions(job: JobStatus, asked: Mapping[JobName, Sequence[QuestionNote]]) -> JobStatus:
    if job.first_bad is None or job.name not in asked:
        return job
    suspects = (each.sha for each in job.also_suspect)
    found = about_outage(asked[job.name], job.first_bad.sha, job.last_good, suspects)
    return replace(job, questions=found)


def _commit(value: object) -> CommitLine | None:
    row = value if isinstance(value, dict) else {}
    sha, author, title, state, reason = (
        text_or_none(row.get(name)) for name in ("sha", "author", "title", "state", "reason")
    )
    rank = int_or_none(row.get("rank"))
    return CommitLine(sha, author, title, state, rank, reason) if sha else None
