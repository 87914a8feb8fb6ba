"""`check --format markdown`: the summary of a CI job."""

from collections.abc import Iterator

from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.report.document import CompareUrls, compare_link
from trunkwatch.report.markdown import code, link
from trunkwatch.report.notes import source_notes, trunk_notes, workflow_notes
from trunkwatch.report.order import by_urgency, fails
from trunkwatch.report.text import headline, occurred
from trunkwatch.report.words import NO_RESULTS, failures_phrase, short

HEAD = "| | job | team | failures | first bad | suspects | occurred | links |"


def summary(
    snapshot: Snapshot, compare_urls: CompareUrls, now: float, *, every: bool = False
) -> Iterator[str]:
    """Yield the lines of a Markdown document.

    Args:
        snapshot: the state.
        compare_urls: per trunk.
        now: for the age of the data (seconds since the epoch).
        every: list the jobs that do not fail as well.
    """
    for trunk in snapshot.trunks:
        yield from _trunk(trunk, compare_urls, snapshot.as_of, every=every)
        notes = (*trunk_notes(trunk, now), *workflow_notes(trunk))
        yield from (f"- {code(note)}" for note in notes)
    if not snapshot.trunks:
        yield NO_RESULTS
    for source in snapshot.sources:
        yield from (f"- {code(note)}" for note in source_notes(source))
        if not source.up and source.problem:
            yield f"- {code(f'not read: {source.problem}')}"


def _trunk(
    trunk: TrunkState, compare_urls: CompareUrls, now: float, *, every: bool
) -> Iterator[str]:
    failing = [job for job in trunk.jobs if fails(job)]
    yield f"### {code(str(trunk.trunk))}"
    yield ""
    yield f"{headline(trunk, failing)}."
    yield ""
    shown = trunk.jobs if every else failing
    if shown:
        yield HEAD
        yield f"|{'---|' * (HEAD.count('|') - 1)}"
        for job in by_urgency(shown):
            yield f"| {' | '.join(_cells(job, compare_urls.get(trunk.trunk), now))} |"
        yield ""


def _cells(job: JobState, compare: str | None, now: float) -> Iterator[str]:
    blame = job.blame
    suspects = blame.suspects if blame else None
    yield _state(job)
    yield _cell(job.key.display_name)
    yield _cell(job.group.team)
    yield failures_phrase(job) if blame else ""
    yield _cell(short(blame.first_bad.sha)) if blame else ""
    yield "" if blame is None else str(len(suspects)) if suspects is not None else "unknown"
    yield occurred(blame, now) if blame else ""
    log = link("log", blame.url) if blame else None
    yield " · ".join(filter(None, (log, link("compare", compare_link(blame, compare)))))


def _cell(text: str) -> str:
    """Return a text from outside for a table, in which a bar ends a cell even in a code span."""
    return code(text).replace("|", r"\|")


def _state(job: JobState) -> str:
    if job.known_broken is not None:
        return "known"
    if job.broken:
        return "**BROKEN**"
    return "failing" if job.consecutive_failures else "ok"
