"""The tables of `check`, for a terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunkwatch.domain.blame import Blame
from trunkwatch.domain.branch import GroupState
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.report.document import CompareUrls, compare_link
from trunkwatch.report.hints import exemption, flakiness, hidden_failures, hints
from trunkwatch.report.notes import is_reliable, source_notes, trunk_notes, workflow_notes
from trunkwatch.report.words import (
    ago,
    by_line,
    commits,
    counted,
    failures_phrase,
    plain,
    short,
    utc,
)


def print_snapshot(
    snapshot: Snapshot, compare_urls: CompareUrls, console: Console, now: float
) -> None:
    """Print every trunk: broken jobs first, then failing ones, then the groups.

    Args:
        snapshot: what to print.
        compare_urls: per trunk.
        console: where to print.
        now: for the age of the data (seconds since the epoch).
    """
    for trunk in snapshot.trunks:
        _print_trunk(trunk, compare_urls, console, snapshot.as_of)
        for note in trunk_notes(trunk, now):
            console.print(Text(plain(note), style="red"), soft_wrap=True)
        for note in workflow_notes(trunk):
            console.print(Text(plain(note), style="yellow"), soft_wrap=True)
        if trunk.jobs:
            console.print(_group_table(trunk.groups, reliable=is_reliable(trunk, now)))
    shown = {problem for trunk in snapshot.trunks for problem in trunk.problems}
    if not snapshot.trunks:
        console.print("No results: no source has reported a trunk yet.")
    for source in snapshot.sources:
        if source.unread:
            console.print(Text(_unread(source.unread)), soft_wrap=True)
        for note in source_notes(source):
            console.print(Text(plain(note), style="yellow"), soft_wrap=True)
        if not source.up and source.problem and source.problem not in shown:
            console.print(Text(plain(f"not read: {source.problem}"), style="red"), soft_wrap=True)


def _print_trunk(
    trunk: TrunkState, compare_urls: CompareUrls, console: Console, now: float
) -> None:
    failing = sorted(
        (job for job in trunk.jobs if job.broken or job.consecutive_failures),
        key=lambda job: (
            not job.broken,
            -max(job.consecutive_failures, job.failures_in_outage),
            job.key,
        ),
    )
    console.print(Text(_headline(trunk, failing), style="bold"))
    if failing:
        console.print(_failing_table(failing, now))
        _print_details(failing, CoFailures(trunk.jobs), compare_urls, console)
    hidden = (line for job in trunk.jobs for line in hidden_failures(job))
    for line in (*hidden, *flakiness(trunk.jobs)):
        console.print(Text(plain(f"hint: {line}")), soft_wrap=True)


def _unread(number: int) -> str:
    return f"Older results are still unread ({commits(number)}): a streak may be longer (≥)."


def cost(requests: Mapping[str, int]) -> str:
    """Return the number of requests by cost: GitHub does not count a 304."""
    sent, free = sum(requests.values()), requests.get("304", 0)
    return f"Requests: {sent - free} counted against the quota, {free} free.\n"


def _headline(trunk: TrunkState, failing: Sequence[JobState]) -> str:
    if not trunk.order.commits:
        return f"{trunk.trunk}: no commit was read"
    broken = sum(job.broken for job in failing)
    jobs = f"{counted(len(trunk.jobs), 'job')} over {commits(len(trunk.order.commits))}"
    return f"{trunk.trunk}: {broken} broken, {len(failing) - broken} failing; {jobs}"


def _failing_table(jobs: Sequence[JobState], now: float) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "Group", "Job"):
        table.add_column(title, overflow="fold")
    table.add_column("Failures", overflow="fold")
    for title in ("First bad", "Last good", "Suspects", "Occurred"):
        table.add_column(title, no_wrap=True)
    for job in jobs:
        table.add_row(*_failing_row(job, now), style=None if job.broken else "dim")
    return table


def _failing_row(job: JobState, now: float) -> list[Text | str]:
    blame = job.blame
    last_good = blame.last_good if blame else None
    suspects = blame.suspects if blame else None
    return [
        _mark(job),
        Text(job.group.name),
        Text(plain(job.key.display_name)),
        failures_phrase(job),
        short(blame.first_bad.sha) if blame else "",
        short(last_good.sha) if last_good else "unknown",
        str(len(suspects)) if suspects is not None else "unknown",
        _occurred(blame, now),
    ]


def _occurred(blame: Blame | None, now: float) -> str:
    if blame is None or blame.broken_since is None:
        return "unknown"
    return ago(blame.broken_since, now)


def _mark(job: JobState) -> Text:
    """Return the state of a job as a word, not only as a colour."""
    if job.known_broken is not None:
        return Text("known", style="yellow")
    return Text("BROKEN", style="bold red") if job.broken else Text("failing", style="yellow")


def _print_details(
    jobs: Sequence[JobState], together: CoFailures, compare_urls: CompareUrls, console: Console
) -> None:
    """Print the suspects and links of each broken job, and every exemption."""
    for job in jobs:
        if not job.broken and job.known_broken is None:
            continue
        console.print(Text(f"\n{plain(job.key.job_name)}", style="bold"), soft_wrap=True)
        template = compare_urls.get(Trunk(job.key.repo, job.key.branch))
        for line in _details(job, together, template):
            console.print(Text(plain(f"  {line}")), soft_wrap=True)
    console.print()


def _details(job: JobState, together: CoFailures, template: str | None) -> Iterator[str]:
    if job.broken and job.blame is not None:
        yield from _suspects(job.blame)
        yield from _first_failure(job.blame, compare_link(job.blame, template))
        yield from (f"{'hint':9} {hint}" for hint in hints(job.blame))
        yield from (f"{'with':9} {name}, of another group" for name in together.with_job(job))
    if job.known_broken is not None:
        yield exemption(*job.known_broken)


def _first_failure(blame: Blame, compare: str | None) -> Iterator[str]:
    if blame.broken_since is not None:
        yield f"{'occurred':9} {utc(blame.broken_since)}"
    step = f"  (step: {blame.failed_step})" if blame.failed_step else ""
    if blame.url:
        yield f"{'log':9} {blame.url}{step}"
        step = ""
    yield from (f"{'message':9} {line}" for line in blame.annotations)
    if compare:
        yield f"{'compare':9} {compare}{step}"


def _suspects(blame: Blame) -> Iterator[str]:
    for commit in blame.suspects or (blame.first_bad,):
        role = "first bad" if commit == blame.first_bad else "suspect  "
        yield f"{role} {short(commit.sha)} {by_line(commit.author, commit.title)}".rstrip()


def _group_table(groups: Sequence[GroupState], *, reliable: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Group", "Team", "Priority"):
        table.add_column(title)
    table.add_column("Longest streak", justify="right")
    table.add_column("Broken jobs", justify="right")
    table.add_column("State")
    quiet = Text("quiet", style="green") if reliable else Text("unknown", style="yellow")
    for state in groups:
        group = state.group
        table.add_row(
            Text(group.name),
            Text(group.team),
            group.priority,
            str(state.consecutive_failures),
            f"{state.failing} (fires at {group.failure_threshold})",
            Text("FIRING", style="bold red") if state.firing else quiet,
        )
    return table
