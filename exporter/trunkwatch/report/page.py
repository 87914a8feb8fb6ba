"""The landing page: broken jobs, the age of the data, and links."""

import base64
import hashlib
from html import escape
from urllib.parse import quote

from trunkwatch.domain.branch import GroupState
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, TrunkState, is_stale
from trunkwatch.report.document import CompareUrls, compare_link
from trunkwatch.report.hints import exemption, hidden_failures, hints
from trunkwatch.report.notes import is_reliable, source_notes, trunk_notes, workflow_notes
from trunkwatch.report.words import ago, commits, counted, failures_phrase, short
from trunkwatch.times import format_minute, format_time

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --good: #2e7d32; --odd: #b26a00 }
@media (prefers-color-scheme: dark) { :root { --bad: #ef7676; --good: #81c784; --odd: #ffb74d } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top } td.n, th.n { text-align: right }
code { font-size: .9em } .bad { color: var(--bad); font-weight: 600 }
.good { color: var(--good) } .odd { color: var(--odd) } footer { margin-top: 3rem; opacity: .7 }
"""

STYLE_SOURCE = f"sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}"
"""The page's style in a Content-Security-Policy, which then allows no other."""


def landing_page(snapshot: Snapshot, compare_urls: CompareUrls, version: str, now: float) -> str:
    """Return the page as HTML; all text from CI is escaped."""
    trunks = "".join(_trunk(trunk, compare_urls, now) for trunk in snapshot.trunks)
    nothing = "" if trunks else "<p class='odd'>Nothing has been read yet.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Trunkwatch</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_STYLE}</style></head><body>
<h1>Trunkwatch</h1>
<p><a href="/metrics">/metrics</a> for Prometheus ·
<a href="/-/ready">/-/ready</a> · <a href="/-/healthy">/-/healthy</a></p>
{trunks}{nothing}
{_sources(snapshot, now)}
<footer>Trunkwatch {escape(version)}</footer>
</body></html>
"""


def _trunk(state: TrunkState, compare_urls: CompareUrls, now: float) -> str:
    trunk = state.trunk
    path = escape(quote("/".join(trunk)), quote=True)
    reliable = is_reliable(state, now)
    notes = "".join(
        f"<p class='odd'>{escape(note.strip())}</p>"
        for note in (*trunk_notes(state, now), *workflow_notes(state))
    )
    broken = [job for job in state.jobs if job.broken]
    failing = [job for job in state.jobs if not job.broken and job.consecutive_failures]
    together = CoFailures(state.jobs)
    tip = state.order.commits[-1] if state.order.commits else None
    return f"""<h2>{escape(trunk.repo)} {escape(trunk.branch)}</h2>
<p>{_headline(state, len(broken), reliable=reliable)} {counted(len(state.jobs), "job")}, tip
<code>{short(tip.sha) if tip else "unknown"}</code>,
data {ago(state.data_at, now)}. <a href="/api/v1/trunk/{path}">JSON</a></p>
{notes}
{_jobs("Broken", broken, together, compare_urls, now)}
{_jobs("Failing, not yet broken", failing, together, compare_urls, now)}
{_hidden(state)}
{_groups(state, reliable=reliable)}"""


def _hidden(state: TrunkState) -> str:
    lines = (line for job in state.jobs for line in hidden_failures(job))
    return "".join(f"<p class='odd'>{escape(line)}</p>" for line in lines)


def _headline(state: TrunkState, broken: int, *, reliable: bool) -> str:
    if state.mass_breakage:
        return "<span class='bad'>✗ One commit broke most of the jobs.</span>"
    if broken:
        return f"<span class='bad'>✗ {broken} broken.</span>"
    if reliable:
        return "<span class='good'>✓ Nothing is broken.</span>"
    return "<span class='odd'>? Whether something is broken is unknown.</span>"


def _jobs(
    title: str, jobs: list[JobState], together: CoFailures, compare_urls: CompareUrls, now: float
) -> str:
    if not jobs:
        return ""
    rows = "".join(_job(job, together, compare_urls, now) for job in jobs)
    return f"""<h3>{title}</h3><div class="wide"><table>
<tr><th>Group</th><th>Job</th><th>Failures</th><th>First bad</th><th>Last good</th>
<th>Suspects</th><th>Occurred at</th></tr>{rows}</table></div>"""


def _job(job: JobState, together: CoFailures, compare_urls: CompareUrls, now: float) -> str:
    blame = job.blame
    name = escape(job.key.display_name)
    if blame is None:
        return f"<tr><td>{escape(job.group.name)}</td><td>{name}</td></tr>"
    link = (
        f'<a href="{escape(str(blame.url), quote=True)}">{name}</a>' if _is_web(blame.url) else name
    )
    exempt = f"<br><span class='odd'>{_exemption(job)}</span>" if job.known_broken else ""
    suspects = "unknown" if blame.suspects is None else commits(len(blame.suspects))
    compare = compare_link(blame, compare_urls.get(Trunk(job.key.repo, job.key.branch)))
    if _is_web(compare):
        suspects = f'<a href="{escape(str(compare), quote=True)}">{suspects}</a>'
    last_good = short(blame.last_good.sha) if blame.last_good else "unknown"
    title = escape(blame.first_bad.title or "")
    return f"""<tr><td>{escape(job.group.name)}<br>{escape(job.group.team)}
{escape(job.group.priority)}</td><td>{link}{exempt}</td>
<td>{failures_phrase(job)}</td>
<td><code>{short(blame.first_bad.sha)}</code> {title}<br>{escape(blame.first_bad.author or "")}</td>
<td><code>{last_good}</code></td><td>{suspects}{_hints(job, together)}</td>
<td>{_occurred(blame.broken_since, now)}</td></tr>"""


def _occurred(at: float | None, now: float) -> str:
    return "unknown" if at is None else f"{format_minute(at)}<br>{ago(at, now)}"


def _exemption(job: JobState) -> str:
    return escape(exemption(*job.known_broken)) if job.known_broken else ""


def _hints(job: JobState, together: CoFailures) -> str:
    said = [*hints(job.blame)] if job.blame else []
    also = [f"also broken since then: {name}" for name in together.with_job(job)]
    return "".join(f"<br>{escape(hint)}" for hint in (*said, *also))


def _groups(state: TrunkState, *, reliable: bool) -> str:
    rows = "".join(_group(group, reliable=reliable) for group in state.groups)
    return f"""<h3>Groups</h3><div class="wide"><table><tr><th>Group</th><th>Team</th>
<th>Priority</th><th class="n">Longest streak</th><th class="n">Broken</th><th>State</th></tr>
{rows}</table></div>"""


def _group(state: GroupState, *, reliable: bool) -> str:
    quiet = (
        "<span class='good'>✓ quiet</span>" if reliable else "<span class='odd'>? unknown</span>"
    )
    word = "<span class='bad'>✗ firing</span>" if state.firing else quiet
    return f"""<tr><td>{escape(state.group.name)}</td><td>{escape(state.group.team)}</td>
<td>{escape(state.group.priority)}</td><td class="n">{state.consecutive_failures}</td>
<td class="n">{state.failing} (fires at {state.group.failure_threshold})</td><td>{word}</td></tr>"""


def _sources(snapshot: Snapshot, now: float) -> str:
    rows = "".join(_source(source, now) for source in snapshot.sources)
    return f"""<h2>Sources</h2><div class="wide"><table>
<tr><th>Source</th><th>State</th><th>Last read</th><th>Problem</th></tr>{rows}</table></div>"""


def _source(source: SourceStatus, now: float) -> str:
    if not source.answered:
        state = "<span class='odd'>… being read for the first time</span>"
    elif not source.up:
        state = "<span class='bad'>✗ failing</span>"
    elif is_stale(source, now):
        state = "<span class='odd'>! stale</span>"
    else:
        state = "<span class='good'>✓ up</span>"
    problems = "<br>".join(map(escape, (source.problem or "", *source_notes(source)))).removeprefix(
        "<br>"
    )
    when = format_time(source.last_success) if source.last_success else "never"
    return f"""<tr><td>{escape(source.name)}</td><td>{state}</td>
<td title="{when}">{ago(source.last_success, now)}</td>
<td>{problems}</td></tr>"""


def _is_web(url: str | None) -> bool:
    """Return whether a URL from CI data may become a link: its scheme is http or https."""
    return bool(url) and str(url).startswith(("https://", "http://"))
