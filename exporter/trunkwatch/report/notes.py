"""What keeps the data of a trunk or a source from being complete, as sentences."""

from collections.abc import Iterator, Mapping

from trunkwatch.engine.snapshot import Data, Snapshot, SourceStatus, TrunkState, data_of
from trunkwatch.report.words import ago, commits, counted

SHOWN_ORIGINS = 5
"""Events, branches or repositories that a sentence names; there may be hundreds of branches."""

IGNORED: Mapping[str, tuple[str, str]] = {
    "commit": (
        "of commits that are not on the trunk",
        "if they should be, correct branch or branches of the source",
    ),
    "head_branch": (
        "of another branch",
        "if that is the trunk, correct branch or branches of the source",
    ),
    "head_repo": (
        "of another repository",
        "if that is its new name, correct repo or repos of the source",
    ),
    "event": ("started by another event", "if its runs should count, add it to jobs.events"),
}
"""By the reason why runs do not count: the runs, and what to change."""


def trunk_notes(trunk: TrunkState, now: float) -> Iterator[str]:
    """Yield a sentence for each reason why a trunk cannot be relied on; none while all is well.

    Args:
        trunk: the trunk.
        now: seconds since the epoch.
    """
    yield from (f"not read: {problem}" for problem in trunk.problems)
    if trunk.missing:
        yield (
            f"Doubtful: {trunk.missing:,} newer commits have no run that counts although earlier"
            " ones had. Either the CI shows an old list, or it does not run."
        )
    elif trunk.data_at is not None and data_of(trunk, now) is Data.STALE:
        yield f"Stale: the results were read up to {ago(trunk.data_at, now)}."
    if trunk.order.commits and not trunk.jobs:
        yield from _nothing_to_watch(trunk)


def workflow_notes(trunk: TrunkState) -> Iterator[str]:
    """Yield a sentence for each workflow that does not run, whatever its results are."""
    for workflow in trunk.inactive_workflows:
        yield (
            f"The workflow {workflow} was disabled by its CI for inactivity: its jobs do not run,"
            " and their outages stay open. Enable it, or delete its file."
        )


def is_reliable(trunk: TrunkState, now: float) -> bool:
    """Return whether a trunk was read, is up to date and has jobs: else nothing is well.

    Args:
        trunk: the trunk.
        now: seconds since the epoch.
    """
    return trunk.up and data_of(trunk, now) is Data.FRESH and bool(trunk.jobs)


def all_reliable(snapshot: Snapshot, now: float) -> bool:
    """Return whether something is watched, and each trunk is reliable."""
    return bool(snapshot.trunks) and all(is_reliable(trunk, now) for trunk in snapshot.trunks)


def source_notes(source: SourceStatus) -> Iterator[str]:
    """Yield a sentence for each limitation of a source, and one for rows that cannot be used."""
    for name, text in sorted(source.limitations.items()):
        yield f"source {source.name}: limited ({name}): {text}"
    if source.dropped:
        reasons = ", ".join(
            f"{rows:,} {reason.replace('_', ' ')}"
            for reason, rows in sorted(source.dropped.items())
        )
        rows = counted(sum(source.dropped.values()), "row")
        yield f"source {source.name}: {rows} cannot be used: {reasons}"


def _nothing_to_watch(trunk: TrunkState) -> Iterator[str]:
    number = commits(len(trunk.order.commits))
    if trunk.reported:
        yield (
            f"Nothing to watch: every job of {number} is ignored (jobs.ignore) or removed"
            " (jobs.retire_after)"
        )
        return
    yield f"Nothing to watch: 0 of {number} have results of runs that count"
    if not trunk.ignored_runs:
        yield "  no run was reported: do the source's repository and branch have runs?"
    for reason, runs in sorted(trunk.ignored_runs.items()):
        what, change = IGNORED[reason]
        origins = trunk.ignored_from.get(reason, ())
        shown = ", ".join(origins[:SHOWN_ORIGINS])
        if len(origins) > SHOWN_ORIGINS:
            shown += f" and {len(origins) - SHOWN_ORIGINS} more"
        yield f"  {counted(runs, 'run')} {what}{f' ({shown})' if shown else ''}: {change}"
