"""Hypothesis strategies: scripts of reports, pushes, force pushes and waits on one trunk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from trunkwatch.domain.columns import Count
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import Commit, Observation, RawJob, TrunkOrder, WorkflowState
from trunkwatch.domain.names import FoldRule, Naming
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.facts import ReportedState
from trunkwatch.patterns import Pattern

from tests.domain.builders import HOUR, NOW, TRUNK, row, unfinished
from tests.support.examples import examples
from tests.vectors.notation import COMPLETED, sha_of

bounded = settings(max_examples=examples(80))
thorough = settings(max_examples=examples(600))
"""Usual numbers of examples; the hypothesis profile scales them."""

COMMITS = 16
"""Commits of a trunk: enough to retire a job after 3 completed commits."""

GRID = 8
"""Commits of a script about removals."""

FILE = ".github/workflows/c.yml"
WORKFLOWS = (
    ("ci", None), ("ci", "w/a.yml"), ("ci", "w/b.yml"), ("renamed", "w/a.yml"), ("ci", FILE),
    (FILE, FILE),
)  # fmt: skip
NAMES = (
    "job", "test (gpu)", "test", "night", "night / unit (x)", "unit [shard 1]", "unit [shard 2]",
    "old", "new", "ignored",
)  # fmt: skip
WORDS = ("success", "failure", "failure", "success", "skipped", "cancelled", "startup_failure", "x")
HAPPENINGS = ("rows", "rows", "push", "both", "rewrite", "wait", "state")
FOREIGN = (
    {"head_repo": "fork/r"},
    {"head_branch": "topic"},
    {"event": "pull_request"},
)

raw_jobs = st.builds(
    lambda workflow, name: RawJob(workflow[0], workflow[1], name),
    st.sampled_from(WORKFLOWS),
    st.sampled_from(NAMES),
)


@st.composite
def observations(
    draw: st.DrawFn,
    jobs: st.SearchStrategy[RawJob] = raw_jobs,
    commits: int = COMMITS,
    *,
    foreign: bool | None = None,
) -> Observation:
    """Draw one report, finished or not, that counts or not (`foreign` decides, if given)."""
    raw = draw(jobs)
    each = row(
        draw(st.integers(0, commits - 1)),
        raw.job_name,
        draw(st.sampled_from(WORDS)),
        workflow=raw.workflow_name,
        path=raw.workflow_path,
        run_id=draw(st.integers(1, 3)),
        attempt=draw(st.integers(1, 2)),
        run_number=draw(st.sampled_from((None, None, 1, 2, 3))),
        started_at=draw(st.sampled_from((None, NOW - 50 * HOUR, NOW - 49 * HOUR))),
        annotations=draw(st.sampled_from(((), (), ("a",), ("a", "b")))),
        job_id=draw(st.sampled_from((None, None, 1, 2))),
        event=draw(st.sampled_from(("push", "push", "push", "schedule"))),
        run_completed=draw(st.integers(0, 5)) == 0,
    )
    return _unfinished(draw, _elsewhere(draw, each, foreign))


def _unfinished(draw: st.DrawFn, each: Observation) -> Observation:
    if draw(st.integers(0, 4)):
        return each
    created = NOW - draw(st.sampled_from((0, 30, 36, 40))) * HOUR
    return each.changed(status="queued", conclusion=None, created_at=created, started_at=None)


def _elsewhere(draw: st.DrawFn, each: Observation, foreign: bool | None) -> Observation:
    away = draw(st.integers(0, 7)) == 0 if foreign is None else foreign
    return each.changed(**draw(st.sampled_from(FOREIGN))) if away else each


def batches(most: int, *, foreign: bool | None = None) -> st.SearchStrategy[list[Observation]]:
    """Return a strategy for several reports at once."""
    return st.lists(observations(foreign=foreign), max_size=most)


def thresholds() -> st.SearchStrategy[Thresholds]:
    """Return a strategy for small N and M, with and without `flaky_closes`."""
    return st.builds(Thresholds, st.integers(1, 4), st.integers(1, 3), st.booleans())


def verdict_texts(alphabet: str = "PFK?-.") -> st.SearchStrategy[str]:
    """Return a strategy for histories of one job in the notation, one letter per commit."""
    return st.lists(st.sampled_from(alphabet), min_size=1, max_size=14).map(" ".join)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy under which outages, retirement and exemptions happen within few commits."""
    groups: tuple[Group, ...] = (
        Group("u", "t", "P1", draw(thresholds()), match=Match(job_name=Pattern("unit.*"))),
        Group("g", "t", "P2", draw(thresholds()), count=draw(st.sampled_from(Count))),
    )
    if draw(st.booleans()):
        nightly = Match(job_name=Pattern("unit.*|night.*"), event=Pattern("schedule"))
        groups = (Group("n", "t", "P2", draw(thresholds()), match=nightly), *groups)
    until = draw(st.sampled_from((None, NOW - 1, NOW + 20 * HOUR, NOW + 50 * HOUR)))
    return Policy(
        naming=Naming(
            ignore=(Pattern("ignored"),),
            fold=(FoldRule(Pattern(r"(.*) \[shard \d\]"), r"\1"),),
            aliases={("ci", "old"): "new", ("renamed", "old"): "job"},
        ),
        groups=groups,
        known_broken=(KnownBroken(Match(job_name=Pattern("unit|new")), "on purpose", until),),
        green={TRUNK: (Pattern("ci.* / unit"), Pattern(".* / job"))},
        retire_after=draw(st.integers(1, 4)),
    )


# ---------------------------------------------------------------------- scripts


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a script, with the trunk and the time after it.

    Attributes:
        rows: the reported rows.
        order: the trunk.
        now: seconds since the epoch.
        reported: the states of workflows.
    """

    rows: Sequence[Observation]
    order: TrunkOrder
    now: float
    reported: Mapping[str, ReportedState] = field(default_factory=dict)


def chain(numbers: Sequence[int], *, older_unread: bool) -> TrunkOrder:
    """Return a trunk of numbered commits; some have no time."""
    commits = tuple(Commit(sha_of(n), NOW - 60 * HOUR if n % 3 else None) for n in numbers)
    return TrunkOrder(TRUNK, commits, older_unread)


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    """Draw reports, pushes, force pushes and waits in any order.

    Each script has few jobs, so that they affect each other often.
    """
    cast = draw(st.lists(raw_jobs, min_size=1, max_size=4, unique=True))
    commits = draw(st.sampled_from((4, 8, COMMITS)))
    reports = st.lists(observations(st.sampled_from(cast), commits), max_size=16)
    numbers = list(range(draw(st.integers(0, commits))))
    older_unread, now = draw(st.booleans()), NOW
    reported: dict[str, ReportedState] = {}
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 7))):
        happening = draw(st.sampled_from(HAPPENINGS))
        rows = draw(reports) if happening in ("rows", "both") else []
        if happening in ("push", "both"):
            numbers = [*numbers, *_unused(draw, numbers)]
        elif happening == "rewrite":
            kept = numbers[: draw(st.integers(0, len(numbers)))]
            numbers = [*kept, *_unused(draw, kept)]
            older_unread = draw(st.booleans())
        elif happening == "wait":
            now += draw(st.sampled_from((0.0, 6 * HOUR, 6 * HOUR + 1, 36 * HOUR, 36 * HOUR + 1)))
        elif happening == "state":
            state = ReportedState(
                draw(st.sampled_from(WorkflowState)),
                draw(st.sampled_from([None, *map(sha_of, numbers)])),
            )
            reported = {**reported, draw(st.sampled_from(cast)).workflow_key: state}
        steps.append(Step(rows, chain(numbers, older_unread=older_unread), now, reported))
    return steps


@st.composite
def removals(draw: st.DrawFn) -> list[Step]:
    """Draw a workflow with jobs that come and go, and with a matrix that is sometimes skipped.

    All commits are on the trunk from the start; the results arrive in any order.
    """
    rarely = draw(st.sampled_from(("", "", "cancelled")))
    rows = [
        each
        for place in range(GRID)
        for each in (
            *_of(draw, place, "stays", ("success", "success", "failure", "queued", "")),
            *_of(draw, place, "goes", ("", "", "", "failure")),
            *_of(draw, place, "test (gpu)", ("", "", "", "failure")),
            *_of(draw, place, "test", ("", "", "skipped", "skipped", rarely)),
        )
    ]
    arrived = draw(st.permutations(rows))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), min_size=3, max_size=6)))
    order = chain(range(GRID), older_unread=False)
    steps = [
        Step(arrived[start:end], order, NOW)
        for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)
    ]
    return [*steps, Step([], order, NOW + 40 * HOUR)]


def _of(draw: st.DrawFn, place: int, job: str, words: Sequence[str]) -> list[Observation]:
    word = draw(st.sampled_from(words))
    if word == "queued":
        return [unfinished(place, job, created_at=NOW)]
    return [row(place, job, word)] if word else []


def _unused(draw: st.DrawFn, numbers: Sequence[int]) -> list[int]:
    """Draw commits for the tip; a force push may bring earlier commits back."""
    free = [number for number in range(COMMITS) if number not in numbers]
    return draw(st.lists(st.sampled_from(free), unique=True, max_size=6)) if free else []


assert set(WORDS) - {"x"} <= set(filter(None, COMPLETED.values()))
