"""A small snapshot for reports, and how it is printed."""

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

from rich.console import Console
from trunkwatch.domain.columns import build_columns
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Observation
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, TrunkState
from trunkwatch.patterns import Pattern
from trunkwatch.report.document import CompareUrls
from trunkwatch.report.text import print_snapshot
from trunkwatch.report.walk import walk

from tests.domain.builders import NOW, RULES, TRUNK, evaluate_histories, history, length, trunk

COMPARE: CompareUrls = {TRUNK: "https://git.example/compare/{last_good}...{first_bad}"}
HISTORIES = {
    "a / broken": "P P . F F F",
    "b / failing": "P P P P F F",
    "c / well": "P P P P P P",
    "d / exempt": "F F F F F F",
}
UNTIL = NOW + 86_400
POLICY = Policy(
    groups=(Group("g", "team-g", "P2", Thresholds(3), match=Match(job_name=Pattern("[ab] / .*"))),),
    known_broken=(KnownBroken(Match(job_name=Pattern("d / .*")), "no runner", UNTIL),),
)
SOURCE = SourceStatus("ci", True, True, NOW - 60, 1.0, 60.0)


def state(extra: Sequence[Observation] = ()) -> TrunkState:
    """Return the trunk with its four jobs."""
    return replace(evaluate_histories(HISTORIES, POLICY, extra=extra), data_at=NOW - 60)


def snapshot(*sources: SourceStatus) -> Snapshot:
    """Return the trunk, with one source that is well unless others are given."""
    return Snapshot(NOW, (state(),), sources or (SOURCE,), complete=True)


def hostile(text: str) -> Snapshot:
    """Return one broken job of which every text that CI gives is `text`."""
    found = evaluate_histories({"job": "P F F F"})
    (job,) = found.jobs
    assert job.blame is not None
    suspects = tuple(replace(each, author=text, title=text) for each in job.blame.suspects or ())
    blame = replace(
        job.blame, first_bad=suspects[0], suspects=suspects, url=text, failed_step=text,
        annotations=(text,),
    )  # fmt: skip
    changed = replace(job, key=job.key._replace(workflow=text, job_name=text), blame=blame)
    source = replace(SOURCE, up=False, problem=text)
    return Snapshot(NOW, (replace(found, jobs=(changed,)),), (source,), complete=True)


def printed(shown: Snapshot, compare_urls: CompareUrls = COMPARE, now: float = NOW) -> str:
    """Return what `check` prints."""
    out = StringIO()
    print_snapshot(shown, compare_urls, Console(file=out, width=200, no_color=True), now)
    return out.getvalue()


def walked(text: str, group: Group | None = None, *, job: JobState | None = None) -> list[str]:
    """Return the lines of the walk over a history."""
    group = group or Group("g", "team-g", "P2")
    order, rows = trunk(length(text)), history(text)
    if job is None:
        policy = Policy(groups=(group,))
        (job,) = evaluate_histories({"job": text}, policy).jobs
    columns = build_columns(rows, order, RULES, group.count, NOW)
    return list(walk(job, columns, order))
