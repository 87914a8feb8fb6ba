"""The labels of an outage: all facts of an alert in one series."""

from trunkwatch.domain.model import Commit
from trunkwatch.engine.shown import Alert, End
from trunkwatch.times import format_minute

TITLE_SHOWN = 80
"""Characters of a commit's title in a label."""

STEP_SHOWN = 80
"""Characters of a failed step's name, or of a reason, in a label."""

AUTHOR_SHOWN = 40
"""Characters of an author in a list of suspects."""

HASH_SHOWN = 10
"""Digits of a hash in a list of suspects."""

LIST_BYTES = 1000
"""The longest list of suspects in a label: remote storages refuse a series with a value of more
than 2,048 bytes."""


def outage_labels(outage: Alert) -> tuple[str, ...]:
    """Return the values of `OUTAGE_LABELS`."""
    return (
        outage.first_bad.sha,
        outage.last_good or "",
        outage.url or "",
        (outage.failed_step or "")[:STEP_SHOWN],
        *by(outage.first_bad),
        _time(outage.broken_since),
        "" if outage.suspects is None else str(outage.suspects),
        _suspect_list(outage),
    )


def ended_labels(alert: Alert) -> tuple[str, ...]:
    """Return the values of all labels of an alert that ended."""
    job, *group = alert.key
    end = _end(alert)
    fix = (end.by.sha, *by(end.by)) if end.by is not None else ("", "", "")
    lasted = "" if alert.broken_since is None else duration(end.at - alert.broken_since)
    ended = (str(end.reason), _time(end.at), lasted, str(alert.failures), *fix)
    return (*job, *group, *outage_labels(alert), *ended, end.detail[:STEP_SHOWN])


def noticed_at(alert: Alert) -> float:
    """Return when the end of an alert was noticed (seconds since the epoch)."""
    return _end(alert).noticed_at


def by(commit: Commit) -> tuple[str, str]:
    """Return the author and the title of a commit, each empty where unknown."""
    return commit.author or "", (commit.title or "")[:TITLE_SHOWN]


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `3d 4h`, `2h 5m`, `7m`."""
    minutes = max(0, int(seconds // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes % 60}m" if hours else f"{minutes}m"


def _end(alert: Alert) -> End:
    assert alert.end is not None, "an alert that has not ended"
    return alert.end


def _time(seconds: float | None) -> str:
    return "" if seconds is None else format_minute(seconds)


def _suspect_list(outage: Alert) -> str:
    """Return a line for each suspect, the oldest first, and the number of those left out."""
    lines: list[str] = []
    size = 0
    for commit in outage.listed:
        author, title = by(commit)
        text = ": ".join(filter(None, (author[:AUTHOR_SHOWN], title)))
        line = " ".join(f"{commit.sha[:HASH_SHOWN]} {text}".split())
        size += len(line.encode()) + 1
        if size > LIST_BYTES:
            break
        lines.append(line)
    more = (outage.suspects or 0) - len(lines)
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])
