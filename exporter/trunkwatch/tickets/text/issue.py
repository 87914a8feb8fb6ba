"""Title and body of an issue. Pure: the same status gives the same text."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from urllib.parse import quote
from zoneinfo import ZoneInfo

from trunkwatch.addresses import job_path, trunk_path
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.report.markdown import code, link, one_line
from trunkwatch.report.triage import question_words
from trunkwatch.report.words import SHORT_SHA_DIGITS, commits, counted, until_one_suspect
from trunkwatch.status.trunk_status import CommitLine, GroupStatus, JobName, JobStatus
from trunkwatch.tickets.alerts import ALERT, NAME_LABEL
from trunkwatch.tickets.model import Links, TicketKey
from trunkwatch.tickets.text.markdown import (
    BODY_LIMIT,
    TITLE_LIMIT,
    Marker,
    cut_to_limit,
    link_row,
    quoted,
    size,
)

JOBS_SHOWN = 20
"""Jobs that are listed; a longer list would hide its first jobs."""

SUSPECTS_SHOWN = 5
"""Suspects, beside first bad, that are listed for a job; the total is always shown."""

JOBS_IN_TIP_LINE = 3
"""Jobs named per line of "At the tip now"; the others are counted."""

DURATION_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class IssueView:
    """The content of an issue.

    Attributes:
        key: the group that it is about.
        group: its status.
        jobs: its broken jobs, at least one, most failures first.
        links: to further pages.
        zone: name of the time zone of its times.
        previous_number: the issue of an earlier outage, if any.
        unknown: jobs that were broken, and whose state cannot be read now.
        external_url: address of the exporter's pages; None if it has none.
        name: of the Trunkwatch; None for the one without.
        label_of: returns a name as it is in an alert, where a long one is cut.
    """

    key: TicketKey
    group: GroupStatus
    jobs: Sequence[JobStatus]
    links: Links
    zone: str
    previous_number: int | None = None
    unknown: Sequence[JobName] = ()
    external_url: str | None = None
    name: str | None = None
    label_of: Callable[[str], str] = str


def issue_title(view: IssueView) -> str:
    """Return the title; a long group name is cut before the repository and the branch are."""
    key, tail = view.key, f" jobs broken{_extent(view)}"
    head, place = f"[{view.group.priority}] ", f" on {key.repo} {key.branch}"
    left = TITLE_LIMIT - len(head) - len(tail) - min(len(place), TITLE_LIMIT // 2)
    return one_line(f"{head}{one_line(key.group, left)}{tail}{place}", TITLE_LIMIT)


def _extent(view: IssueView, bound: str = "", otherwise: str = ": ") -> str:
    """Return the length of the longest outage; "in a row" only while nothing interrupts it."""
    job = view.jobs[0]
    if job.failures == job.streak:
        return f" for {bound}{commits(job.failures)} in a row"
    failures = counted(job.failures, "failure")
    since = f" since {when(job.broken_since, view.zone)}" if job.broken_since is not None else ""
    return f"{otherwise}{bound}{failures}{since}"


def issue_body(view: IssueView, nonce: str) -> str:
    """Return the body, with as many jobs as fit into its limit."""
    for shown in range(min(JOBS_SHOWN, len(view.jobs)), -1, -1):
        body = _body(view, nonce, shown)
        if size(body) <= BODY_LIMIT:
            break
    return body


FIRING_LINE = "- **State:** firing"
_TIP = "**At the tip now:**"


def resolved_body(
    body: str, nonce: str, key: TicketKey, name: str | None = None, *, fixed: bool
) -> str:
    """Return a body with a first line that states the end; the last facts stay below it.

    Args:
        body: as of the outage.
        nonce: of the issue.
        key: of the ticket.
        name: of the Trunkwatch.
        fixed: whether every job has passed.
    """
    _, _, rest = body.partition("\n")
    paragraphs = [part for part in rest.split("\n\n") if not part.startswith(_TIP)]
    facts = "\n\n".join(paragraphs)
    state = "fixed" if fixed else "ended"
    facts = facts.replace(f"\n{FIRING_LINE}\n", f"\n- **State:** {state}\n", 1)
    head = "**Nothing of this is broken any more.** What follows is how it was last seen."
    return cut_to_limit(f"{Marker(quoted(key, name), nonce, 'resolved')}\n{head}\n\n{facts}")


def _body(view: IssueView, nonce: str, shown: int) -> str:
    marker = str(Marker(quoted(view.key, view.name), nonce, "open"))
    parts = [f"{marker}\n{_summary(view)}", _heads(view), _jobs(view, shown)]
    parts += [_compare(view.jobs[:shown]), _tip(view.jobs), _unknown(view.unknown)]
    parts += [_co_failures(view.jobs), _reason(view.group), _links(view)]
    if view.previous_number is not None:
        parts.append(f"An earlier outage of this group: #{view.previous_number}.")
    return "\n\n".join(part for part in parts if part) + "\n"


# ---------------------------------------------------------------------- its parts, in their order


def _summary(view: IssueView) -> str:
    number, key = len(view.jobs), view.key
    verb = "is" if number == 1 else "are"
    return (
        f"**{counted(number, 'job')} of the group {code(key.group)} {verb} broken on"
        f" {code(key.repo)} {code(key.branch)},{_extent(view, 'up to ', ' with ')}.**"
    )


def _heads(view: IssueView) -> str:
    since = [job.broken_since for job in view.jobs if job.broken_since is not None]
    group = view.group
    rows = [
        ("Occurred at", when(min(since), view.zone) if since else "unknown"),
        ("State", "firing"),  # `resolved_body` replaces it
        ("Team", code(group.team)),
        ("Priority", code(group.priority)),
    ]
    return "\n".join(f"- **{name}:** {value}" for name, value in rows)


def _jobs(view: IssueView, shown: int) -> str:
    lines = ["### Jobs", ""]
    for number, job in enumerate(view.jobs[:shown], 1):
        lines += [f"{number}. {code(str(job.name))}", *_job(view, job)]
    if len(view.jobs) > shown:
        lines += ["", f"and {len(view.jobs) - shown:,} more"]
    return "\n".join(lines)


def _job(view: IssueView, job: JobStatus) -> list[str]:
    confirmed = "; confirmed: it failed there in more than one attempt" if job.confirmed else ""
    rows = [
        ("Failures", f"{job.failures:,}"),
        ("First bad", f"{commit(job.first_bad)}{confirmed}"),
        ("Last good", code(short(job.last_good)) if job.last_good else "unknown"),
        ("Suspects", _suspects(job)),
        *(("Also suspect", suspect) for suspect in _also_suspect(job)),
        *_next_test(job),
        *(("Confirm", code(question_words(each))) for each in job.questions),
        ("Failing step", _step(job)),
        *(("It says", code(line)) for line in job.annotations),
    ]
    lines = [f"   - {name}: {value}" for name, value in rows]
    page = _page(view, job_path(JobKey(*view.key[:2], *job.name)))
    labels = JobName(*map(view.label_of, job.name))
    silence = link("silence this job", silence_url(view.links, view.key, labels, view.name))
    links = link_row([link("first failing run", job.url), link("page", page), silence])
    return [*lines, f"   - {links}"] if links else lines


def _suspects(job: JobStatus) -> str:
    if job.suspects is None:
        return "unknown, since no pass before it is known"
    if job.suspects == 0:
        return "0: something outside the repository has changed"
    tested = "" if job.tested is None else f", of which {job.tested:,} tested"
    return f"{commits(job.suspects)}{tested}"


def _also_suspect(job: JobStatus) -> Iterator[str]:
    """Yield the suspects beside first bad by their evidence, and the number of those left out.

    An older exporter gives no rank: then the newest come first, as among equal evidence.
    """
    left = len(job.also_suspect) - SUSPECTS_SHOWN
    newest_first = tuple(reversed(job.also_suspect))
    for line in sorted(newest_first, key=lambda line: line.rank or 0)[:SUSPECTS_SHOWN]:
        yield commit(line) + (f"; {code(line.reason)}" if line.reason else "")
    if left > 0:
        yield f"{commits(left)} more; the comparison lists them"


def _next_test(job: JobStatus) -> Iterator[tuple[str, str]]:
    found = job.next_test
    if found is not None and found.is_running:
        yield "Being tested", code(short(found.sha))
    elif found is not None:
        yield "To test next", f"{code(short(found.sha))}: {until_one_suspect(found.results)}"


def _step(job: JobStatus) -> str:
    same = ", the same at every failure" if job.same_step and job.failed_step else ""
    infra = "; it looks like a fault of the machinery" if job.infra else ""
    return f"{code(job.failed_step)}{same}{infra}"


def _compare(jobs: Iterable[JobStatus]) -> str:
    found = {
        job.compare_url: link(f"{short(job.last_good)}…{short(job.first_bad.sha)}", job.compare_url)
        for job in jobs
        if job.last_good and job.first_bad
    }
    links = link_row(found.values())
    return f"**Compare last good…first bad:** {links}" if links else ""


def _tip(jobs: Iterable[JobStatus]) -> str:
    by_state: dict[str, list[JobName]] = {}
    for job in jobs:
        by_state.setdefault(_state_at_tip(job), []).append(job.name)
    if not by_state:
        return ""
    if len(by_state) == 1:
        return f"{_TIP} {next(iter(by_state))}"
    lines = [f"- {state}: {_first_names(names)}" for state, names in by_state.items()]
    return "\n".join([_TIP, *lines])


_TIP_STATES = {
    "FAIL": "failing",
    "FLAKY": "flaky at the tip: failed and passed on one commit; closes at the next clean pass",
    "PASS": "passing, and not often enough yet to close",
}


def _state_at_tip(job: JobStatus) -> str:
    state = _TIP_STATES.get(job.last_verdict or "", "no result yet")
    return f"{state} ({commits(job.pending)} still being tested)" if job.pending else state


def _unknown(names: Sequence[JobName]) -> str:
    return f"**State unknown now:** {_first_names(names)}" if names else ""


def _co_failures(jobs: Iterable[JobStatus]) -> str:
    names = list(dict.fromkeys(name for job in jobs for name in job.co_failures))
    if not names:
        return ""
    more = f" and {len(names) - JOBS_SHOWN:,} more" if len(names) > JOBS_SHOWN else ""
    shown = ", ".join(code(name) for name in names[:JOBS_SHOWN])
    return f"**Broken at the same commit, in other groups:** {shown}{more}"


def _reason(group: GroupStatus) -> str:
    counts = f"Failure_Threshold={group.failure_threshold}, Number_of_Jobs_Failing={group.failing}"
    return f"**Reason:** `{counts}`"


def _page(view: IssueView, path: str) -> str | None:
    """Return the address of a page of the exporter."""
    return None if view.external_url is None else f"{view.external_url}{path}"


def _links(view: IssueView) -> str:
    links = view.links
    return link_row(
        [
            link("Runbook", links.runbook),
            link("Page", _page(view, trunk_path(Trunk(*view.key[:2])))),
            link("Dashboard", links.dashboard),
            link("Source", links.source),
            link("Silence the whole group", silence_url(links, view.key, None, view.name)),
        ]
    )


# ---------------------------------------------------------------------- small pieces


def silence_url(
    links: Links, key: TicketKey, job: JobName | None = None, name: str | None = None
) -> str | None:
    """Return the URL of Alertmanager's silence form for a group, or for one job of it.

    Args:
        links: of the issue.
        key: of the ticket.
        job: None for all of the group.
        name: of the Trunkwatch, without which the alerts of all would be silenced.
    """
    if links.alertmanager is None:
        return None
    labels = {"alertname": ALERT, **key._asdict(), **(job._asdict() if job else {})}
    labels |= {NAME_LABEL: name} if name else {}
    matchers = ",".join(f"{label}={json.dumps(value)}" for label, value in labels.items())
    query = quote(f"{{{matchers}}}", safe="")
    return f"{links.alertmanager.rstrip('/')}/#/silences/new?filter={query}"


def commit(line: CommitLine | None) -> str:
    """Return a commit's hash, author and title, without missing ones."""
    if line is None:
        return "unknown"
    by = f" by {code(line.author)}" if line.author else ""
    return f"{code(short(line.sha))}{by}" + (f": {code(line.title)}" if line.title else "")


def short(sha: str | None) -> str:
    """Return the first digits of a hash; only letters and digits, since links contain it."""
    return "".join(c for c in sha or "unknown" if c.isalnum())[:SHORT_SHA_DIGITS]


def when(seconds: float, zone: str) -> str:
    """Format a time (seconds since the epoch) in a time zone, with the zone's name."""
    at: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)
    return datetime.fromtimestamp(seconds, at).strftime("%Y-%m-%d %H:%M %Z")


def lasted(seconds: float) -> str:
    """Format a duration in its two largest units."""
    left, parts = max(0, int(seconds)), []
    for unit_seconds, unit in DURATION_UNITS:
        number, left = divmod(left, unit_seconds)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "less than a minute"


def _first_names(names: Sequence[JobName]) -> str:
    shown = ", ".join(code(str(name)) for name in names[:JOBS_IN_TIP_LINE])
    more = len(names) - JOBS_IN_TIP_LINE
    return f"{shown} and {more:,} more" if more > 0 else shown
