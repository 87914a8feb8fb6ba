"""From facts to the text of an issue: title and body. Pure; the same facts give the same text."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from urllib.parse import quote
from zoneinfo import ZoneInfo

from trunkwatch.tickets.facts import ALERT, CommitLine, GroupFacts, JobFacts, JobName, Key, Links
from trunkwatch.tickets.markdown import BODY_LIMIT, TITLE_LIMIT, code, link, one_line, row_of, size
from trunkwatch.tickets.marker import Marker, quoted

JOBS_SHOWN = 20
"""Jobs that are listed; a list that nobody reads to its end hides those at its start."""

SUSPECTS_SHOWN = 5
"""Suspects beside first bad that a job's block names; their number is always told."""

SHORT_SHA = 10
"""Hex digits that tell commits of a large repository apart for a person."""

NAMED_BRIEFLY = 3
"""Jobs that one line names before it only counts."""

SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class View:
    """What an issue shows.

    Attributes:
        key: what it is about.
        group: as the exporter tells it.
        jobs: broken now, the longest outage first; empty once all has ended.
        links: where to read on.
        zone: name of the time zone of its times.
        before: number of the issue of an earlier outage, where there was one.
    """

    key: Key
    group: GroupFacts
    jobs: Sequence[JobFacts]
    links: Links
    zone: str
    before: int | None = None


def title_of(view: View) -> str:
    """Return the title of an issue about something that is broken."""
    key, longest = view.key, max((job.failures for job in view.jobs), default=0)
    head, tail = f"[{view.group.priority}] ", f" jobs broken for {_commits(longest)} in a row"
    place = f" on {key.repo} {key.branch}"
    left = TITLE_LIMIT - len(head) - len(tail) - min(len(place), TITLE_LIMIT // 2)
    return one_line(f"{head}{one_line(key.group, left)}{tail}{place}", TITLE_LIMIT)


def body_of(view: View, nonce: str) -> str:
    """Return the body: as many jobs in full as fit."""
    for shown in range(min(JOBS_SHOWN, len(view.jobs)), -1, -1):
        body = _body(view, nonce, shown)
        if size(body) <= BODY_LIMIT:
            break
    return body


def resolved_body(body: str, nonce: str, key: Key) -> str:
    """Return a body that says at its head that all has ended; the facts below stay to be read."""
    _, _, rest = body.partition("\n")
    head = "**Nothing of this is broken any more.** What follows is how it was last seen."
    whole = f"{Marker(quoted(key), nonce, 'resolved')}\n{head}\n\n{rest}"
    return (
        whole
        if size(whole) <= BODY_LIMIT
        else whole.encode()[:BODY_LIMIT].decode("utf-8", "ignore")
    )


def _body(view: View, nonce: str, shown: int) -> str:
    marker = str(Marker(quoted(view.key), nonce, "open"))
    parts = [f"{marker}\n{_summary(view)}", _heads(view), _jobs(view, shown)]
    parts += [_compare(view.jobs[:shown]), _tip(view.jobs), _together(view.jobs)]
    parts += [_reason(view.group), _links(view)]
    if view.before is not None:
        parts.append(f"An earlier outage of this group: #{view.before}.")
    return "\n\n".join(part for part in parts if part) + "\n"


# ---------------------------------------------------------------------- its parts, in their order


def _summary(view: View) -> str:
    number, longest = len(view.jobs), max((job.failures for job in view.jobs), default=0)
    jobs = "1 job" if number == 1 else f"{number:,} jobs"
    verb = "is" if number == 1 else "are"
    key = view.key
    return (
        f"**{jobs} of the group {code(key.group)} {verb} broken on {code(key.repo)}"
        f" {code(key.branch)}, for up to {_commits(longest)} in a row.**"
    )


def _heads(view: View) -> str:
    since = [job.since for job in view.jobs if job.since is not None]
    group = view.group
    exempt = "" if group.failing >= group.threshold else " (fewer jobs than the alert needs)"
    rows = [
        ("Occurred at", when(min(since), view.zone) if since else "unknown"),
        ("State", f"firing{exempt}"),
        ("Team", code(group.team)),
        ("Priority", code(group.priority)),
    ]
    return "\n".join(f"- **{name}:** {value}" for name, value in rows)


def _jobs(view: View, shown: int) -> str:
    lines = ["### Jobs", ""]
    for number, job in enumerate(view.jobs[:shown], 1):
        lines += [f"{number}. {code(str(job.name))}", *_job(view, job)]
    if len(view.jobs) > shown:
        lines += ["", f"and {len(view.jobs) - shown:,} more"]
    return "\n".join(lines)


def _job(view: View, job: JobFacts) -> list[str]:
    facts = [
        ("Failures", f"{job.failures:,}"),
        ("First bad", f"{commit(job.first_bad)}{_confirmed(job)}"),
        ("Last good", code(short(job.last_good)) if job.last_good else "unknown"),
        ("Suspects", _suspects(job)),
        ("Failing step", _step(job)),
    ]
    facts[4:4] = [("Also suspect", who) for who in _also_suspect(job)]
    facts += [("It says", code(line)) for line in job.annotations]
    lines = [f"   - {name}: {value}" for name, value in facts]
    silence = link("silence this job", silence_url(view.links, view.key, job.name))
    links = row_of([link("first failing run", job.url), silence])
    return [*lines, f"   - {links}"] if links else lines


def _confirmed(job: JobFacts) -> str:
    return "; confirmed: it failed there in more than one attempt" if job.confirmed else ""


def _suspects(job: JobFacts) -> str:
    if job.suspects is None:
        return "unknown, since no pass before it is known"
    if job.suspects == 0:
        return "0: something outside the repository has changed"
    tested = "" if job.tested is None else f", of which {job.tested:,} tested"
    return f"{_commits(job.suspects)}{tested}"


def _also_suspect(job: JobFacts) -> Iterator[str]:
    """Name the newest of the other suspects, which nobody tested, and say how many there are."""
    left = len(job.also_suspect) - SUSPECTS_SHOWN
    yield from (commit(line) for line in reversed(job.also_suspect[-SUSPECTS_SHOWN:]))
    if left > 0:
        yield f"{_commits(left)} more; the comparison lists them"


def _step(job: JobFacts) -> str:
    same = ", the same at every failure" if job.same_step and job.failed_step else ""
    infra = "; it looks like a fault of the machinery" if job.infra else ""
    return f"{code(job.failed_step)}{same}{infra}"


def _compare(jobs: Iterable[JobFacts]) -> str:
    found = {
        job.compare_url: link(f"{short(job.last_good)}…{short(job.first_bad.sha)}", job.compare_url)
        for job in jobs
        if job.last_good and job.first_bad
    }
    links = row_of(found.values())
    return f"**Compare last good…first bad:** {links}" if links else ""


def _tip(jobs: Iterable[JobFacts]) -> str:
    said: dict[str, list[JobName]] = {}
    for job in jobs:
        said.setdefault(_at_the_tip(job), []).append(job.name)
    if not said:
        return ""
    if len(said) == 1:
        return f"**At the tip now:** {next(iter(said))}"
    lines = [f"- {saying}: {_briefly(names)}" for saying, names in said.items()]
    return "\n".join(["**At the tip now:**", "", *lines])


_TIPS = {
    "FAIL": "failing",
    "FLAKY": "flaky at the tip: failed and passed on one commit; closes at the next clean pass",
    "PASS": "passing, and not often enough yet to close",
}


def _at_the_tip(job: JobFacts) -> str:
    said = _TIPS.get(job.last_verdict or "", "no result yet")
    return f"{said} ({_commits(job.pending)} still being tested)" if job.pending else said


def _together(jobs: Iterable[JobFacts]) -> str:
    names = list(dict.fromkeys(name for job in jobs for name in job.together))
    if not names:
        return ""
    more = f" and {len(names) - JOBS_SHOWN:,} more" if len(names) > JOBS_SHOWN else ""
    shown = ", ".join(code(name) for name in names[:JOBS_SHOWN])
    return f"**Broken at the same commit, in other groups:** {shown}{more}"


def _reason(group: GroupFacts) -> str:
    said = f"Failure_Threshold={group.threshold}, Number_of_Jobs_Failing={group.failing}"
    return f"**Reason:** `{said}`"


def _links(view: View) -> str:
    links = view.links
    return row_of(
        [
            link("Runbook", links.runbook),
            link("Dashboard", links.dashboard),
            link("Source", links.source),
            link("Silence the whole group", silence_url(links, view.key)),
        ]
    )


# ---------------------------------------------------------------------- small pieces


def silence_url(links: Links, key: Key, job: JobName | None = None) -> str | None:
    """Return where Alertmanager offers to silence a group, or one job of it."""
    if links.alertmanager is None:
        return None
    labels = {"alertname": ALERT, **key._asdict(), **(job._asdict() if job else {})}
    said = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
    wanted = quote(f"{{{said}}}", safe="")
    return f"{links.alertmanager.rstrip('/')}/#/silences/new?filter={wanted}"


def commit(line: CommitLine | None) -> str:
    """Name a commit by hash, author and title, as far as they are known."""
    if line is None:
        return "unknown"
    by = f" by {code(line.author)}" if line.author else ""
    return f"{code(short(line.sha))}{by}" + (f": {code(line.title)}" if line.title else "")


def short(sha: str | None) -> str:
    """Shorten a hash for reading; only its letters and digits, since it stands in links too."""
    return "".join(c for c in sha or "unknown" if c.isalnum())[:SHORT_SHA]


def when(seconds: float, zone: str) -> str:
    """Write a moment (seconds since the epoch) in a time zone, which it names."""
    at: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)
    return datetime.fromtimestamp(seconds, at).strftime("%Y-%m-%d %H:%M %Z")


def lasted(seconds: float) -> str:
    """Say how long something took, in its two largest units."""
    left, said = max(0, int(seconds)), []
    for size_, unit in SPANS:
        number, left = divmod(left, size_)
        if number:
            said.append(f"{number} {unit}")
    return " ".join(said[:2]) or "less than a minute"


def _commits(number: int) -> str:
    return "1 commit" if number == 1 else f"{number:,} commits"


def _briefly(names: Sequence[JobName]) -> str:
    shown = ", ".join(code(str(name)) for name in names[:NAMED_BRIEFLY])
    more = len(names) - NAMED_BRIEFLY
    return f"{shown} and {more:,} more" if more > 0 else shown
