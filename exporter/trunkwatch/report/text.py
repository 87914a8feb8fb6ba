"""The tables of `check`, for a terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from trunkwatch.domain.blame import Blame
from trunkwatch.domain.branch import GroupState
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.report.document import CompareUrls, compare_link
from trunkwatch.report.hints import exemption, flakiness, hidden_failures, hints
from trunkwatch.report.listing import Heading, Listing
from trunkwatch.report.notes import is_reliable, source_notes, trunk_notes, workflow_notes
from trunkwatch.report.order import by_urgency, fails
from trunkwatch.report.words import (
    NO_RESULTS,
    ago,
    by_line,
    commits,
    counted,
    failures_phrase,
    plain,
    short,
)
from trunkwatch.times import format_minute


def print_snapshot(
    snapshot: Snapshot,
    compare_urls: CompareUrls,
    console: Console,
    now: float,
    *,
    every: bool = False,
) -> None:
    """Print every trunk: broken jobs first, then failing ones, then the groups.

    Args:
        snapshot: what to print.
        compare_urls: per trunk.
        console: where to print.
        now: for the age of the data (seconds since the epoch).
        every: print the jobs that do not fail as well.
    """
    for trunk in snapshot.trunks:
        _print_trunk(trunk, compare_urls, console, snapshot.as_of)
        if every:
            _print_others(trunk, console, snapshot.as_of)
        for note in trunk_notes(trunk, now):
            console.print(Text(plain(note), style="red"), soft_wrap=True)
        for note in workflow_notes(trunk):
            console.print(Text(plain(note), style="yellow"), soft_wrap=True)
        if trunk.jobs:
            _print_groups(trunk.groups, console, reliable=is_reliable(trunk, now))
    shown = {problem for trunk in snapshot.trunks for problem in trunk.problems}
    if not snapshot.trunks:
        console.print(NO_RESULTS)
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
    failing = by_urgency(job for job in trunk.jobs if fails(job))
    console.print(Text(headline(trunk, failing), style="bold"))
    if failing:
        FAILING.print([_failing_row(job, now) for job in failing], console)
        _print_details(failing, CoFailures(trunk.jobs), compare_urls, console)
    hidden = (line for job in trunk.jobs for line in hidden_failures(job))
    for line in (*hidden, *flakiness(trunk.jobs)):
        console.print(Text(plain(f"hint: {line}")), soft_wrap=True)


OTHERS = Listing(
    [Heading("Group"), Heading("Job"), Heading("Last result"), Heading("Ended")], name=1
)
"""The jobs of a trunk that do not fail."""


def _print_others(trunk: TrunkState, console: Console, now: float) -> None:
    others = [job for job in trunk.jobs if not fails(job)]
    rows = [
        [
            Text(plain(value))
            for value in (
                job.group.name,
                job.key.display_name,
                job.last_verdict.lower() if job.last_verdict else "none",
                ago(job.last_verdict_at, now) if job.last_verdict_at is not None else "unknown",
            )
        ]
        for job in sorted(others, key=lambda job: (job.group.name, job.key))
    ]
    if rows:
        OTHERS.print(rows, console)
        console.print()


def _unread(number: int) -> str:
    return f"Older results are still unread ({commits(number)}): a streak may be longer (≥)."


def cost(requests: Mapping[str, int]) -> str:
    """Return the number of requests by cost: GitHub does not count a 304."""
    sent, free = sum(requests.values()), requests.get("304", 0)
    return f"Requests: {sent - free} counted against the quota, {free} free.\n"


def headline(trunk: TrunkState, failing: Sequence[JobState]) -> str:
    """Return the numbers of a trunk's jobs."""
    if not trunk.order.commits:
        return f"{trunk.trunk}: no commit was read"
    broken = sum(job.broken for job in failing)
    jobs = f"{counted(len(trunk.jobs), 'job')} over {commits(len(trunk.order.commits))}"
    return f"{trunk.trunk}: {broken} broken, {len(failing) - broken} failing; {jobs}"


FAILING = Listing(
    [
        Heading(title)
        for title in (
            "",
            "Group",
            "Job",
            "Failures",
            "First bad",
            "Last good",
            "Suspects",
            "Occurred",
        )
    ],
    name=2,
)
"""The failing jobs of a trunk."""


def _failing_row(job: JobState, now: float) -> list[Text]:
    blame = job.blame
    last_good = blame.last_good if blame else None
    suspects = blame.suspects if blame else None
    values = [
        job.group.name,
        plain(job.key.display_name),
        failures_phrase(job),
        short(blame.first_bad.sha) if blame else "",
        short(last_good.sha) if last_good else "unknown",
        str(len(suspects)) if suspects is not None else "unknown",
        occurred(blame, now),
    ]
    return [_mark(job), *(Text(value, style="" if job.broken else "dim") for value in values)]


def occurred(blame: Blame | None, now: float) -> str:
    """Return how long ago an outage or a streak began."""
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
        yield from (f"{'hint':9} {hint}" for hint in hints(job))
        yield from (f"{'with':9} {name}, of another group" for name in together.with_job(job))
    if job.known_broken is not None:
        yield exemption(*job.known_broken)


def _first_failure(blame: Blame, compare: str | None) -> Iterator[str]:
    if blame.broken_since is not None:
        yield f"{'occurred':9} {format_minute(blame.broken_since)}"
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


GROUPS = Listing(
    [
        Heading("Group"),
        Heading("Team"),
        Heading("Priority"),
        Heading("Longest streak", "right"),
        Heading("Broken jobs", "right"),
        Heading("State"),
    ]
)
"""The groups of a trunk."""


def _print_groups(groups: Sequence[GroupState], console: Console, *, reliable: bool) -> None:
    quiet = Text("quiet", style="green") if reliable else Text("unknown", style="yellow")
    rows = [
        [
            Text(state.group.name),
            Text(state.group.team),
            Text(state.group.priority),
            Text(str(state.consecutive_failures)),
            Text(f"{state.failing} (fires at {state.group.failure_threshold})"),
            Text("FIRING", style="bold red") if state.firing else quiet,
        ]
        for state in groups
    ]
    GROUPS.print(rows, console)
