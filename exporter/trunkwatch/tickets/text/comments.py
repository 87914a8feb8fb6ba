"""Comments below an issue: one when its set of broken jobs or its state changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from trunkwatch.report.markdown import code, link
from trunkwatch.report.words import counted
from trunkwatch.status.trunk_status import JobName, JobStatus, TrunkStatus
from trunkwatch.tickets.model import ReportedJob, TicketKey
from trunkwatch.tickets.text.issue import JOBS_SHOWN, commit, lasted
from trunkwatch.tickets.text.markdown import Marker, cut_to_limit, quoted


class EndedJob(NamedTuple):
    """A job that is no longer broken.

    Attributes:
        name: the job.
        fixed: it passed; False if it was removed, moved or exempted.
        reason: Markdown.
    """

    name: JobName
    fixed: bool
    reason: str


def ended_jobs(
    names: Iterable[JobName],
    status: TrunkStatus,
    key: TicketKey,
    reported: Mapping[JobName, ReportedJob],
    now: float,
) -> list[EndedJob]:
    """Return why each job is no longer broken.

    Args:
        names: the jobs.
        status: of the trunk; reliable.
        key: of the ticket.
        reported: the jobs as last reported.
        now: seconds since the epoch.
    """
    return [
        _ended(name, status.jobs.get(name), key, reported.get(name), now) for name in sorted(names)
    ]


def _ended(
    name: JobName, job: JobStatus | None, key: TicketKey, reported: ReportedJob | None, now: float
) -> EndedJob:
    since = reported.broken_since if reported else None
    after = f", after {lasted(now - since)}" if since is not None else ""
    if job is None:
        return EndedJob(name, False, f"removed, not fixed: its workflow runs without it{after}")
    # A pass comes first: an exemption or another group of a repaired job is no news of its outage.
    last, is_over = job.last_outage, not job.broken
    if is_over and last and reported and last[0] == reported.first_bad:
        return EndedJob(name, True, f"fixed by {commit(last[1])}{after}")
    if is_over and job.last_verdict == "PASS":
        # First bad has moved since the last report, another outage was closed after this one, or a
        # change of the configuration ended it: the commit that ended the other is not the fix.
        return EndedJob(name, True, f"fixed{after}")
    if job.known_broken is not None:
        return EndedJob(
            name, False, f"declared as known to be broken: {code(job.known_broken)}{after}"
        )
    if job.group != key.group:
        return EndedJob(name, False, f"is in the group {code(job.group)} now{after}")
    return EndedJob(name, False, f"not counted as broken any more, without a pass{after}")


def changed_comment(
    nonce: str, key: TicketKey, new: Sequence[JobStatus], ended: Sequence[EndedJob], left: int
) -> str:
    """Return the comment on jobs that broke or ended while the issue is open."""
    parts = []
    if new:
        parts.append("\n".join(["**Broken now:**", "", *_shortened(map(_broken, new))]))
    if ended:
        parts.append("\n".join(["**Not broken any more:**", "", *_shortened(_ends(ended))]))
    parts.append(f"{counted(left, 'job')} of the group {'is' if left == 1 else 'are'} broken.")
    return _comment(nonce, key, parts)


def resolved_comment(
    nonce: str, key: TicketKey, ended: Sequence[EndedJob], seconds: float | None
) -> str:
    """Return the comment on the end of the last outage, with the duration of all of them."""
    fixed = sum(end.fixed for end in ended)
    head = "Fixed" if fixed == len(ended) else "No longer broken, and not all of it fixed"
    if ended and not fixed:
        head = "No longer broken, and nothing of it fixed"
    whole = f" All in all it lasted {lasted(seconds)}." if seconds is not None else ""
    parts = [f"**{head}: no job of the group {code(key.group)} is broken.**{whole}"]
    parts.append("\n".join(_shortened(_ends(ended))))
    return _comment(nonce, key, parts)


def reopened_comment(nonce: str, key: TicketKey, jobs: Sequence[JobStatus]) -> str:
    """Return the comment that gives the reason for reopening."""
    lines = ["**Broken again, so this is open again:**", "", *_shortened(map(_broken, jobs))]
    return _comment(nonce, key, ["\n".join(lines)])


def _broken(job: JobStatus) -> str:
    run = link("first failing run", job.url)
    more = f" ({run})" if run else ""
    return f"- {code(str(job.name))}: first bad {commit(job.first_bad)}{more}"


def _ends(ended: Iterable[EndedJob]) -> list[str]:
    return [f"- {code(str(end.name))}: {end.reason}" for end in ended]


def _shortened(lines: Iterable[str]) -> list[str]:
    shown = list(lines)
    more = len(shown) - JOBS_SHOWN
    return [*shown[:JOBS_SHOWN], *([f"- and {more:,} more"] if more > 0 else [])]


def _comment(nonce: str, key: TicketKey, parts: Sequence[str]) -> str:
    text = "\n\n".join(part for part in parts if part)
    return cut_to_limit(f"{Marker(quoted(key), nonce, 'comment')}\n{text}\n")
