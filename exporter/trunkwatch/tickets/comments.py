"""What is said below an issue: only when the set of broken jobs or the issue's state changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from trunkwatch.tickets.facts import JobFacts, JobName, Key, Picture
from trunkwatch.tickets.markdown import BODY_LIMIT, code, link, size
from trunkwatch.tickets.marker import Marker, quoted
from trunkwatch.tickets.model import Listed
from trunkwatch.tickets.render import JOBS_SHOWN, commit, lasted


class Ended(NamedTuple):
    """A job that is not broken any more.

    Attributes:
        name: the job.
        fixed: it passed; else it was removed, moved or exempted.
        said: how it ended.
    """

    name: JobName
    fixed: bool
    said: str


def ended_jobs(
    names: Iterable[JobName],
    picture: Picture,
    key: Key,
    listed: Mapping[JobName, Listed],
    now: float,
) -> list[Ended]:
    """Say of each job how it ended.

    Args:
        names: jobs that are not broken any more.
        picture: the trunk, wholly read.
        key: of the ticket.
        listed: what was told of them.
        now: seconds since the epoch.
    """
    return [
        _ended(name, picture.jobs.get(name), key, listed.get(name), now) for name in sorted(names)
    ]


def _ended(name: JobName, job: JobFacts | None, key: Key, told: Listed | None, now: float) -> Ended:
    since = told.since if told else None
    after = f", after {lasted(now - since)}" if since is not None else ""
    if job is None:
        return Ended(name, False, f"removed, not fixed: its workflow runs without it{after}")
    if job.known_broken is not None:
        return Ended(
            name, False, f"declared as known to be broken: {code(job.known_broken)}{after}"
        )
    if job.group != key.group:
        return Ended(name, False, f"is in the group {code(job.group)} now{after}")
    if job.ended is not None and told is not None and job.ended[0] == told.first_bad:
        return Ended(name, True, f"fixed by {commit(job.ended[1])}{after}")
    if job.last_verdict == "PASS":
        # First bad is known better by now, or this outage ended by a change of the configuration:
        # the commit that ended some other outage has fixed nothing here.
        return Ended(name, True, f"fixed{after}")
    return Ended(name, False, f"not counted as broken any more, without a pass{after}")


def changed_comment(
    nonce: str, key: Key, new: Sequence[JobFacts], ended: Sequence[Ended], left: int
) -> str:
    """Tell that jobs broke or ended while the issue is open."""
    parts = []
    if new:
        parts.append("\n".join(["**Broken now:**", "", *_some([_broken(job) for job in new])]))
    if ended:
        parts.append("\n".join(["**Not broken any more:**", "", *_some(_ends(ended))]))
    parts.append(f"{_jobs(left)} of the group {'is' if left == 1 else 'are'} broken.")
    return _comment(nonce, key, parts)


def resolved_comment(nonce: str, key: Key, ended: Sequence[Ended], lasting: float | None) -> str:
    """Tell that nothing is broken any more, what ended it, and how long all of it lasted."""
    fixed = sum(end.fixed for end in ended)
    said = "Fixed" if fixed == len(ended) else "No longer broken, and not all of it fixed"
    if ended and not fixed:
        said = "No longer broken, and nothing of it fixed"
    whole = f" All in all it lasted {lasted(lasting)}." if lasting is not None else ""
    parts = [f"**{said}: no job of the group {code(key.group)} is broken.**{whole}"]
    parts.append("\n".join(_some(_ends(ended))))
    return _comment(nonce, key, parts)


def reopened_comment(nonce: str, key: Key, jobs: Sequence[JobFacts]) -> str:
    """Tell why a closed issue is open again."""
    head = "**Broken again, so this is open again:**"
    return _comment(nonce, key, ["\n".join([head, "", *_some([_broken(job) for job in jobs])])])


def _broken(job: JobFacts) -> str:
    run = link("first failing run", job.url)
    more = f" ({run})" if run else ""
    return f"- {code(str(job.name))}: first bad {commit(job.first_bad)}{more}"


def _ends(ended: Iterable[Ended]) -> list[str]:
    return [f"- {code(str(end.name))}: {end.said}" for end in ended]


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - JOBS_SHOWN
    return [*lines[:JOBS_SHOWN], *([f"- and {more:,} more"] if more > 0 else [])]


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number:,} jobs"


def _comment(nonce: str, key: Key, parts: Sequence[str]) -> str:
    whole = f"{Marker(quoted(key), nonce, 'comment')}\n" + "\n\n".join(p for p in parts if p) + "\n"
    if size(whole) <= BODY_LIMIT:
        return whole
    return whole.encode()[:BODY_LIMIT].decode("utf-8", "ignore")
