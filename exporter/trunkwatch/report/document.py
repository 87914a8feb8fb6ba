"""The JSON object of `trunkwatch check --format json` and `/api/v1/trunk/<repo>/<branch>`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trunkwatch.domain.blame import Blame
from trunkwatch.domain.branch import GroupState
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, Trunk, TrunkOrder
from trunkwatch.domain.suspects import NO_FILES, ChangedFiles, Span, ranked_suspects
from trunkwatch.engine.bisection import next_test
from trunkwatch.engine.cells import cells as letters_of
from trunkwatch.engine.cells import suspect_letters
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, TrunkState, data_of
from trunkwatch.engine.triage import NO_TRIAGE, Triage
from trunkwatch.report.order import by_urgency
from trunkwatch.report.triage import triage_object
from trunkwatch.report.words import suspect_reason
from trunkwatch.times import format_time, format_time_or_none

CompareUrls = Mapping[Trunk, str]
"""Per trunk, the URL that compares two commits, with {last_good} and {first_bad}."""


class Surroundings(NamedTuple):
    """Facts of a server beside the state.

    Attributes:
        external_url: address of its pages as a browser reaches it.
        triage: who is on it.
    """

    external_url: str | None = None
    triage: Triage = NO_TRIAGE


NO_SURROUNDINGS = Surroundings()


def document(snapshot: Snapshot, compare_urls: CompareUrls, now: float) -> dict[str, Any]:
    """Return the JSON object of a snapshot.

    Numbers are commits; times are RFC 3339 in UTC; an unknown value is null.

    Args:
        snapshot: the state.
        compare_urls: per trunk.
        now: for the age of the data (seconds since the epoch).
    """
    sources = [_source(source, up=source.up) for source in snapshot.sources]
    head = _head(snapshot, snapshot.trunks, sources, now)
    return {**head, "jobs": _jobs(snapshot.trunks, compare_urls)}


def job_fields(
    answer: Mapping[str, Any], fields: Sequence[str], *, every: bool
) -> Iterator[dict[str, Any]]:
    """Yield some fields of each failing job of a document.

    Args:
        answer: the document.
        fields: of `schema.job_field_names`.
        every: yield the jobs that do not fail as well.
    """
    groups = {(each["repo"], each["branch"], each["group"]): each for each in answer["groups"]}
    for job in answer["jobs"]:
        group = groups[job["repo"], job["branch"], job["group"]]
        if every or job["broken"] or job["consecutive_failures"]:
            full = {**job, "team": group["team"], "priority": group["priority"]}
            yield {field: full[field] for field in fields}


def document_of_trunks(
    snapshot: Snapshot,
    trunks: Sequence[TrunkState],
    compare_urls: CompareUrls,
    now: float,
    cells: int = 0,
    around: Surroundings = NO_SURROUNDINGS,
) -> dict[str, Any]:
    """Return the JSON object of some trunks.

    Args:
        snapshot: the state.
        trunks: some of it.
        compare_urls: per trunk.
        now: for the age of the data (seconds since the epoch).
        cells: number of newest commits to list, each with a letter of every job; 0 for none.
        around: facts beside the state.
    """
    head = {**trunks_object(snapshot, trunks, now, cells), **around_object(around, trunks, now)}
    return {**head, "jobs": _jobs(trunks, compare_urls, cells)}


def trunks_object(
    snapshot: Snapshot,
    trunks: Sequence[TrunkState],
    now: float,
    cells: int = 0,
) -> dict[str, Any]:
    """Return the JSON object of some trunks without their jobs.

    It has their sources alone, and whether these trunks were read.

    Args:
        snapshot: the state.
        trunks: some of it.
        now: for the age of the data (seconds since the epoch).
        cells: number of newest commits to list, newest first; 0 for none.
    """
    up: dict[str, bool] = {}
    for source in (source for trunk in trunks for source in trunk.sources):
        up[source.name] = up.get(source.name, True) and source.up
    sources = [_source(each, up=up[each.name]) for each in snapshot.sources if each.name in up]
    head = _head(snapshot, trunks, sources, now)
    for trunk, shown in zip(trunks, head["trunks"], strict=True):
        if cells:
            newest = trunk.order.commits[: -cells - 1 : -1]
            shown["commits"] = [
                {**_commit(commit), "committed_at": format_time_or_none(commit.committed_at)}
                for commit in newest
            ]
    return head


def trunk_list_object(snapshot: Snapshot) -> dict[str, Any]:
    """Return the JSON object of `/api/v1/trunks`: every trunk, and how many of its jobs fail."""
    return {
        "as_of": format_time(snapshot.as_of),
        "trunks": [
            {
                **state.trunk._asdict(),
                "streaks": sum(job.consecutive_failures > 0 for job in state.jobs),
            }
            for state in snapshot.trunks
        ],
    }


def around_object(around: Surroundings, trunks: Sequence[TrunkState], now: float) -> dict[str, Any]:
    """Return the keys of the JSON object of some trunks that are no part of their state.

    Args:
        around: facts beside the state.
        trunks: shown.
        now: seconds since the epoch.
    """
    names = {state.trunk for state in trunks}
    shown = triage_object(around.triage, names, now)
    return {"external_url": around.external_url, "triage": shown}


def _head(
    snapshot: Snapshot, shown: Sequence[TrunkState], sources: list[dict[str, Any]], now: float
) -> dict[str, Any]:
    return {
        "as_of": format_time(snapshot.as_of),
        "external_url": None,
        "triage": None,
        "sources": sources,
        "trunks": [_trunk(trunk, now) for trunk in shown],
        "groups": [_group(group) for trunk in shown for group in trunk.groups],
    }


def _jobs(
    trunks: Iterable[TrunkState], compare_urls: CompareUrls, cells: int = 0
) -> list[dict[str, Any]]:
    together = [(trunk, CoFailures(trunk.jobs)) for trunk in trunks]
    return [
        job_object(
            job,
            compare_urls.get(trunk.trunk),
            failures.with_job(job),
            trunk.order,
            cells,
            trunk.files,
        )
        for trunk, failures in together
        for job in by_urgency(trunk.jobs)
    ]


def _trunk(state: TrunkState, now: float) -> dict[str, Any]:
    green = state.green
    return {
        "repo": state.trunk.repo,
        "branch": state.trunk.branch,
        "head": state.order.commits[-1].sha if state.order.commits else None,
        "data": str(data_of(state, now)),
        "data_at": format_time_or_none(state.data_at),
        "up": state.up,
        "problem": "; ".join(state.problems) or None,
        "missing_results": state.missing,
        "inactive_workflows": list(state.inactive_workflows),
        "mass_breakage": state.mass_breakage is not None,
        "commits_since_green": green.commits_since if green else None,
        "last_green": green.commit.sha if green and green.commit else None,
    }


def _source(source: SourceStatus, *, up: bool) -> dict[str, Any]:
    return {
        "source": source.name,
        "up": up,
        "last_success": format_time_or_none(source.last_success),
    }


def _group(state: GroupState) -> dict[str, Any]:
    return {
        "repo": state.trunk.repo,
        "branch": state.trunk.branch,
        "group": state.group.name,
        "team": state.group.team,
        "priority": state.group.priority,
        "consecutive_failures": state.consecutive_failures,
        "failure_threshold": state.group.failure_threshold,
        "jobs_failing": state.failing,
        "firing": state.firing,
    }


def job_object(
    job: JobState,
    compare_url: str | None,
    also_broken: Sequence[str],
    order: TrunkOrder,
    cells: int = 0,
    files: Mapping[Span, ChangedFiles] = NO_FILES,
) -> dict[str, Any]:
    """Return the JSON object of a job.

    Args:
        job: its state.
        compare_url: of its trunk, see `CompareUrls`.
        also_broken: the jobs of other groups with the same first bad commit.
        order: its trunk.
        cells: number of newest commits of which it has a letter, newest first; 0 for none.
        files: the changed files of its trunk's commits.
    """
    letters = {"cells": letters_of(job.history, len(order.commits), cells)} if cells else {}
    return {
        **job.key._asdict(),
        "group": job.group.name,
        "failures_to_open": job.failures_to_open,
        "consecutive_failures": job.consecutive_failures,
        "stopped_by": str(job.stopped_by),
        "truncated": job.truncated,
        "broken": job.broken,
        "failures_in_outage": job.failures_in_outage,
        **_blame(job, compare_url, files),
        "next_test": _next_test(job),
        "also_broken_since": list(also_broken),
        "pending_commits": job.pending,
        "flaky_commits": job.flaky,
        "mostly_flaky": job.mostly_flaky,
        "last_verdict": str(job.last_verdict) if job.last_verdict else None,
        "known_broken": _known_broken(job),
        "last_outage": _last_outage(job, order),
        **letters,
    }


def _blame(
    job: JobState, compare_url: str | None, files: Mapping[Span, ChangedFiles]
) -> dict[str, Any]:
    blame = job.blame
    last_good = blame.last_good if blame else None
    suspects = blame.suspects if blame else None
    return {
        "first_bad": blame.first_bad.sha if blame else None,
        "last_good": last_good.sha if last_good else None,
        "suspects": len(suspects) if suspects is not None else None,
        "tested_suspects": blame.tested if blame else None,
        "suspect_commits": _suspects(job, files),
        "broken_since": format_time_or_none(blame.broken_since) if blame else None,
        "url": blame.url if blame else None,
        "compare_url": compare_link(blame, compare_url),
        "failed_step": blame.failed_step if blame else None,
        "annotations": list(blame.annotations) if blame else [],
        "same_step": blame.same_step if blame else None,
        "infra": blame.infra if blame else None,
        "confirmed": blame.confirmed if blame else None,
    }


def _suspects(job: JobState, files: Mapping[Span, ChangedFiles]) -> list[dict[str, Any]]:
    """Return the suspects in the order of the trunk, each with its place in that of evidence."""
    ranked = ranked_suspects(job.blame, files) if job.blame else []
    evidence = {
        each.commit.sha: {
            "rank": rank,
            "evidence": str(each.evidence),
            "reason": suspect_reason(each),
        }
        for rank, each in enumerate(ranked, 1)
    }
    return [
        {**_commit(commit), "state": letter, **evidence[commit.sha]}
        for commit, letter in suspect_letters(job)
    ]


def _next_test(job: JobState) -> dict[str, Any] | None:
    found = next_test(job)
    if found is None:
        return None
    return {"sha": found.commit.sha, "state": found.letter, "results": found.results}


def compare_link(blame: Blame | None, template: str | None) -> str | None:
    """Return the URL that compares last good and first bad; None without either."""
    if blame is None or blame.last_good is None or template is None:
        return None
    return template.replace("{last_good}", blame.last_good.sha).replace(
        "{first_bad}", blame.first_bad.sha
    )


def _last_outage(job: JobState, order: TrunkOrder) -> dict[str, Any] | None:
    """Return the first bad commit of the newest closed outage, and the commit that closed it."""
    if job.broken or job.ended is None:
        return None
    first_bad, ended_by = order.commits[job.ended.first_bad], order.commits[job.ended.ended_by]
    return {"first_bad": first_bad.sha, "ended_by": _commit(ended_by)}


def _commit(commit: Commit) -> dict[str, Any]:
    return {"sha": commit.sha, "author": commit.author, "title": commit.title}


def _known_broken(job: JobState) -> dict[str, Any] | None:
    if job.known_broken is None:
        return None
    reason, until = job.known_broken
    return {"reason": reason, "until": format_time_or_none(until)}
