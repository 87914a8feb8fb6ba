"""Phrases that pages and tables share."""

from collections.abc import Mapping

from trunkwatch.cuts import cut_to_characters
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Observation
from trunkwatch.domain.suspects import FileEvidence, RankedSuspect, SuspectEvidence
from trunkwatch.times import format_minute

NO_RESULTS = "No results: no source has reported a trunk yet."
"""Instead of the trunks, where there is none."""

SHORT_SHA_DIGITS = 10
"""Hex digits that are unique in a large repository."""

PATH_SHOWN = 100
"""Characters of a changed file's path in a sentence."""

_FILE_REASONS: Mapping[SuspectEvidence, str] = {
    SuspectEvidence.NAMED_FILE: "changes {}, which the failure names",
    SuspectEvidence.WORKFLOW: "changes {}, which configures CI",
    SuspectEvidence.OTHER: "changes no file that the failure names, nor CI's configuration",
}

_SPANS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def plain(text: str) -> str:
    """Return a text without control characters, which CI data may contain."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def short(sha: str) -> str:
    """Return the first digits of a hash."""
    return sha[:SHORT_SHA_DIGITS]


def by_line(author: str | None, title: str | None) -> str:
    """Return "author: title", without a missing part."""
    return ": ".join(part for part in (author, title) if part)


def result(row: Observation) -> str:
    """Return the result of an attempt in the CI's own word, or its state while it runs."""
    return (row.conclusion or "no conclusion") if row.finished else row.status


def commits(number: int) -> str:
    """Return a number of commits, such as "3 commits"."""
    return counted(number, "commit")


def counted(number: int, thing: str) -> str:
    """Return a number with a noun in singular or plural."""
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


def until_one_suspect(results: int) -> str:
    """Return when one suspect is left, by the number of results that this takes at most."""
    if results == 1:
        return "then one suspect is left"
    return f"one suspect is left after at most {counted(results, 'result')}"


def suspect_reason(suspect: RankedSuspect) -> str | None:
    """Return the evidence against a suspect; None where there is none and its files are unknown."""
    parts = ("failed there" if suspect.failed else None, files_reason(suspect.files))
    return "; ".join(filter(None, parts)) or None


def files_reason(found: FileEvidence) -> str | None:
    """Return the evidence of a suspect's files; None where they are unknown."""
    reason = _FILE_REASONS.get(found.kind)
    return reason and reason.format(cut_to_characters(found.path or "", PATH_SHOWN))


def failures_phrase(job: JobState) -> str:
    """Return how a job fails: "2 of 3 in a row", "3 in a row" or "6 failures since T, 3 in a row".

    Only the streak is "in a row": a flake ends the streak and leaves the outage open.
    """
    least = "≥ " if job.truncated else ""
    if not job.broken:
        return f"{least}{job.consecutive_failures:,} of {job.failures_to_open:,} in a row"
    streak = f"{least}{job.consecutive_failures:,} in a row"
    if job.failures_in_outage == job.consecutive_failures:
        return streak
    since = job.blame.broken_since if job.blame else None
    failures = counted(job.failures_in_outage, "failure")
    failures += f" since {format_minute(since)}" if since is not None else ""
    return f"{failures}, {streak}" if job.consecutive_failures else failures


def duration(seconds: float) -> str:
    """Return a span of time, such as "3 h" or "12 min"."""
    for unit_seconds, unit in _SPANS:
        if seconds >= 2 * unit_seconds:
            return f"{seconds / unit_seconds:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(moment: float | None, now: float) -> str:
    """Return the age of a time, such as "3 h ago" (both in seconds since the epoch)."""
    if moment is None:
        return "never"
    return f"{duration(max(0.0, now - moment))} ago"
