"""Small pieces of text that pages and tables share."""

from datetime import UTC, datetime

from trunkwatch.domain.job import JobState

SHORT_SHA = 10
"""Hex digits that tell commits of a large repository apart for a person."""

_SPANS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def plain(text: str) -> str:
    """Return a text that cannot leave its line: what CI gave may hold terminal controls."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def short(sha: str) -> str:
    """Shorten a hash for reading."""
    return sha[:SHORT_SHA]


def by_line(author: str | None, title: str | None) -> str:
    """Say who made a commit and what it says, as far as that is known."""
    return ": ".join(part for part in (author, title) if part)


def commits(number: int) -> str:
    """Say a number of commits."""
    return counted(number, "commit")


def counted(number: int, thing: str) -> str:
    """Say a number of things."""
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


def failures_phrase(job: JobState) -> str:
    """Return how a job fails: "2 of 3 in a row", "3 in a row" or "6 failures since T, 3 in a row".

    "In a row" stands for the streak alone: a flake ends the streak and leaves the outage open.
    """
    least = "≥ " if job.truncated else ""
    if not job.broken:
        return f"{least}{job.consecutive_failures:,} of {job.failures_to_open:,} in a row"
    streak = f"{least}{job.consecutive_failures:,} in a row"
    if job.failures_in_outage == job.consecutive_failures:
        return streak
    since = job.blame.broken_since if job.blame else None
    failures = counted(job.failures_in_outage, "failure")
    failures += f" since {utc(since)}" if since is not None else ""
    return f"{failures}, {streak}" if job.consecutive_failures else failures


def utc(moment: float) -> str:
    """Write a moment (seconds since the epoch) to the minute, as the notifications do."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def ago(moment: float | None, now: float) -> str:
    """Say how long ago a moment is (both in seconds since the epoch)."""
    if moment is None:
        return "never"
    age = max(0.0, now - moment)
    for seconds, unit in _SPANS:
        if age >= 2 * seconds:
            return f"{age / seconds:.0f} {unit} ago"
    return f"{age:.0f} s ago"
