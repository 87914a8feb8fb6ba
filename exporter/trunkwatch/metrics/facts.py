"""The facts of an outage as the text of one label, which an alert shows unchanged.

One fact a line, in a fixed order; an unknown one has no line. No text from outside has a line
break. The exporter puts the lines together: rules would need milliseconds for each alert.
"""

import re
import shlex
from collections.abc import Iterable, Iterator

from trunkwatch.addresses import job_path
from trunkwatch.cuts import cut_to_bytes
from trunkwatch.domain.branch import AlertingJobs, GroupState
from trunkwatch.domain.model import Commit
from trunkwatch.engine.shown import Alert, End, Ended
from trunkwatch.times import format_minute

TITLE_SHOWN = 80
"""Characters of a commit's title in a label."""

STEP_SHOWN = 80
"""Characters of a failed step's name, or of a reason, in a label."""

AUTHOR_SHOWN = 40
"""Characters of an author in a line."""

HASH_SHOWN = 10
"""Digits of a hash in a list of suspects."""

TEXT_BYTES = 200
"""Size at which the text of a line is cut: an author and a title, a step, or a reason."""

TITLE_BYTES = 400
"""Size at which the title of a notification is cut."""

WHOLE_BYTES = 500
"""Size above which an address or a command, which cannot be cut, gets no line."""

FACTS_BYTES = 1900
"""Size above which addresses and suspects are left out: remote storages refuse a series with a
label of more than 2,048 bytes. All other lines together fit."""

MORE_BYTES = 40
"""Size that is left for the number of the other suspects."""

LEFT_OUT_FIRST = ("Compare: ", "Explain: ", "Page: ", "Commits: ")
"""The lines that are left out, in this order, while the facts are too long."""

# Only from the address of a run of GitHub Actions do those of commits follow.
_ACTIONS_RUN = re.compile(r"(https?://[^/\s]+/[^/\s]+/[^/\s]+)/actions/runs/\S*")


class Facts(str):
    """A text that is not cut as other labels are: that would break a line."""

    __slots__ = ()


def outage_facts(outage: Alert, external_url: str = "") -> Facts:
    """Return the facts of an open outage.

    Args:
        outage: an outage that alerts.
        external_url: address of the exporter; empty where it serves no pages.
    """
    return Facts("\n".join(_fitting([*_facts(outage, external_url)], outage)))


def ended_facts(alert: Alert, external_url: str = "") -> Facts:
    """Return the facts of an alert that ended, its end first.

    Args:
        alert: an alert that ended.
        external_url: address of the exporter; empty where it serves no pages.
    """
    # A job that is gone has no page.
    if end_of(alert).reason in (Ended.REMOVED, Ended.UNWATCHED):
        external_url = ""
    facts = _facts(alert, external_url)
    lines = [*_end_facts(alert), f"Failures: {alert.failures}", *facts]
    return Facts("\n".join(_fitting(lines, alert)))


def by(commit: Commit) -> tuple[str, str]:
    """Return the author and the title of a commit, each empty where unknown."""
    return commit.author or "", (commit.title or "")[:TITLE_SHOWN]


def group_title(state: GroupState, alerting: AlertingJobs) -> str:
    """Return the title of a notification, one line; `in a row` only without a flake or pass."""
    group, failures = state.group, alerting.failures_in_outage
    text = f"[{group.priority}] {group.name} jobs broken"
    if failures == alerting.consecutive_failures:
        text += f" for {_counted(failures, 'commit')} in a row"
    else:
        text += f": {_counted(failures, 'failure')}"
        if alerting.broken_since is not None:
            text += f" since {format_minute(alerting.broken_since)}"
    return _one_line(f"{text} on {state.trunk.repo} {state.trunk.branch}", TITLE_BYTES)


def group_reason(state: GroupState) -> str:
    """Return how many broken jobs the group needs to alert, and how many it has."""
    threshold = state.group.failure_threshold
    return f"Failure_Threshold={threshold}, Number_of_Jobs_Failing={state.failing}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `3d 4h`, `2h 5m`, `7m`."""
    minutes = max(0, int(seconds // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes % 60}m" if hours else f"{minutes}m"


def end_of(alert: Alert) -> End:
    """Return the end of an alert that ended."""
    assert alert.end is not None, "an alert that has not ended"
    return alert.end


def _end_facts(alert: Alert) -> Iterator[str]:
    end = end_of(alert)
    yield f"Ended: {end.reason}"
    yield f"Ended at: {format_minute(end.at)}"
    if alert.broken_since is not None:
        yield f"Lasted: {duration(end.at - alert.broken_since)}"
    if end.by is not None:
        yield f"Fixed by: {end.by.sha}"
        yield from _line("Fixed by whom", _author_and_title(end.by))
    caption = {Ended.MOVED: "Moved to", Ended.MUTED: "Muted because"}.get(end.reason)
    if caption is not None:
        yield from _line(caption, end.detail[:STEP_SHOWN])


def _facts(outage: Alert, external_url: str) -> Iterator[str]:
    if outage.broken_since is not None:
        yield f"Occurred at: {format_minute(outage.broken_since)}"
    yield f"First bad: {outage.first_bad.sha}"
    yield from _line("First bad by", _author_and_title(outage.first_bad))
    yield from _line("Last good", outage.last_good or "")
    yield from _line("Failed step", (outage.failed_step or "")[:STEP_SHOWN])
    url = outage.url or ""
    if re.fullmatch(r"https?://\S+", url) and len(url.encode()) <= WHOLE_BYTES:
        yield f"First failing run: {url}"
        run = _ACTIONS_RUN.fullmatch(url)
        if run is not None:
            yield f"Commits: {run[1]}/commit/"
            if outage.last_good:
                good, bad = outage.last_good, outage.first_bad.sha
                yield f"Compare: {run[1]}/compare/{good}...{bad}"
    page = f"{external_url}{job_path(outage.key.job)}"
    if external_url and len(page.encode()) <= WHOLE_BYTES:
        yield f"Page: {page}"
    name = outage.key.job.full_name
    if name.splitlines() == [name] and len(name.encode()) <= WHOLE_BYTES:
        # The full name: no other job has it. `--`: a name may begin with a hyphen.
        yield f"Explain: trunkwatch explain --config.file FILE -- {shlex.quote(name)}"
    if outage.suspects is not None:
        yield f"Suspects: {outage.suspects}"


def _fitting(lines: list[str], outage: Alert) -> list[str]:
    """Return the lines and as many suspects as fit, the oldest first, and how many are left out."""
    room = FACTS_BYTES - MORE_BYTES
    for caption in LEFT_OUT_FIRST:
        if _size(lines) > room:
            lines = [line for line in lines if not line.startswith(caption)]
    suspects: list[str] = []
    room -= _size(lines)
    for commit in outage.listed:
        text = _one_line(_author_and_title(commit))
        line = f"- {commit.sha[:HASH_SHOWN]} {text}".rstrip()
        room -= _size([line])
        if room < 0:
            break
        suspects.append(line)
    more = (outage.suspects or 0) - len(suspects)
    return [*lines, *suspects, *([f"- and {more} more"] if more > 0 else ())]


def _author_and_title(commit: Commit) -> str:
    author, title = by(commit)
    return ": ".join(filter(None, (author[:AUTHOR_SHOWN], title)))


def _line(name: str, text: str) -> Iterator[str]:
    """Yield a fact without line breaks, or nothing if its text is empty."""
    words = _one_line(text)
    if words:
        yield f"{name}: {words}"


def _one_line(text: str, size: int = TEXT_BYTES) -> str:
    return cut_to_bytes(" ".join(text.split()), size)


def _size(lines: Iterable[str]) -> int:
    """Return the bytes of lines in UTF-8, each with its line break."""
    return sum(len(line.encode()) + 1 for line in lines)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
