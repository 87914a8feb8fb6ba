"""Publishing what changed gives the snapshot that publishing everything gives, at the cost of
what changed.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkwatch.domain.branch import group_states
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.engine.facts import Fact, TrunkRemoved
from trunkwatch.engine.snapshot import TrunkSource, TrunkState
from trunkwatch.errors import BadAnswerError, SourceError
from trunkwatch.poller import trunk_engine
from trunkwatch.poller.admission import Admission, Admitted
from trunkwatch.poller.source_registry import SourceRegistry
from trunkwatch.sources import RefreshReport, TrunkReport

from tests.domain.builders import evaluate_histories
from tests.poller.harness import ONE, Harness, config_of
from tests.support.clock import Clock
from tests.support.examples import examples
from tests.support.rows import HOUR, NOW, history, named

SOURCES = (
    "{name: ci, type: recorded, path: a}, {name: other, type: recorded, path: b},"
    " {name: bot, type: github, repo: o/a, branches: [main]}, {name: hub, type: github, repo: o/b}"
)
TRUNKS = tuple(Trunk(f"o/{name}", "main") for name in "abc")
ERROR = BadAnswerError("GET /repos/o/a/commits: HTTP 409 Git Repository is empty.")

Step = Callable[[Harness], object]


class Everything(SourceRegistry):
    """A registry by which every trunk has changed at any time."""

    def changed(self, published: Iterable[Trunk]) -> set[Trunk]:
        return {*super().changed(published), *published, *TRUNKS, *self.watched_trunks}


def facts_of(draw: st.DrawFn, trunk: Trunk, source: str) -> list[Fact]:
    """Return commits and results of a trunk; only one source gives the order of commits."""
    happening = draw(st.sampled_from(("results", "results", "nothing", "removed")))
    if happening == "removed":
        return [TrunkRemoved(trunk)]
    letters = draw(st.sampled_from(("P F", "P F F F", "P P P C")))
    facts = history(letters, named(source), trunk) if happening == "results" else []
    return facts if source == "ci" else facts[1:]


def deliver(harness: Harness, facts: Iterable[Fact]) -> None:
    harness.deliver(lambda _: facts)
    harness.engine.evaluate_pending()


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """A refresh, a failure, a delivery, an hour, or the same configuration read again."""
    kind = draw(st.sampled_from(("refresh", "refresh", "fails", "delivery", "hour", "back")))
    source = draw(st.sampled_from(("ci", "other", "bot", "hub")))
    trunks = draw(st.lists(st.sampled_from(TRUNKS), max_size=2, unique=True))
    facts = [fact for trunk in trunks for fact in facts_of(draw, trunk, source)]
    reported = {
        trunk: TrunkReport(
            draw(st.sampled_from((None, NOW - 5, NOW + HOUR))), draw(st.sampled_from((None, ERROR)))
        )
        for trunk in draw(st.lists(st.sampled_from(TRUNKS), max_size=2, unique=True))
    }
    report = RefreshReport(trunks=reported, error=draw(st.sampled_from((None, None, ERROR))))
    if kind == "refresh":
        return lambda harness: harness.ingest(*facts, report, source=source)
    if kind == "fails":
        return lambda harness: harness.engine.refresh_failed(source, "file", "gone", 1.0)
    if kind == "delivery":
        delivered = [fact for fact in facts if not isinstance(fact, TrunkRemoved)]
        return lambda harness: deliver(harness, delivered)
    seconds = HOUR if kind == "hour" else -60.0
    return lambda harness: setattr(harness.clock, "now", harness.clock.now + seconds)


@settings(max_examples=examples(100))
@given(st.lists(steps(), max_size=10))
def test_publishing_what_changed(happened: list[Step]) -> None:
    """After any step the snapshot is that of publishing everything anew."""
    quick = Harness(config_of(SOURCES), clock=Clock())
    with mock.patch.object(trunk_engine, "SourceRegistry", Everything):
        slow = Harness(config_of(SOURCES), clock=Clock())
    for step in happened:
        for harness in (quick, slow):
            step(harness)
        assert quick.engine.snapshot == slow.engine.snapshot
        assert quick.counters.totals() == slow.counters.totals()


@pytest.mark.parametrize("repos", [10, 100])
def test_a_delivery_publishes_its_trunk(repos: int) -> None:
    """One delivery looks up the sources of one trunk, among ten or a hundred repositories."""
    section = "{{name: s{0}, type: github, repo: o/r{0}, branches: [main]}}"
    harness = Harness(config_of(", ".join([ONE, *map(section.format, range(repos))])))
    for number in range(repos):
        harness.ingest(*history("P P", trunk=Trunk(f"o/r{number}", "main")), source=f"s{number}")
    harness.ingest()
    asked: list[Trunk] = []

    def sources_of(registry: SourceRegistry, trunk: Trunk) -> tuple[TrunkSource, ...]:
        asked.append(trunk)
        return look_up(registry, trunk)

    look_up = SourceRegistry.sources_of
    before = harness.engine.snapshot.trunks
    with mock.patch.object(SourceRegistry, "sources_of", sources_of):
        deliver(harness, history("P F", trunk=Trunk("o/r7", "main"))[1:])
    assert asked == [Trunk("o/r7", "main")]
    changed = [
        mine.trunk
        for mine, theirs in zip(harness.engine.snapshot.trunks, before, strict=True)
        if mine is not theirs
    ]
    assert changed == asked


def test_a_failed_publication_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trunks whose evaluation was not published are published the next time."""
    harness = Harness()
    harness.ingest(*history("P P"))
    with monkeypatch.context() as broken:
        broken.setattr(SourceRegistry, "sources_of", mock.Mock(side_effect=SourceError("broken")))
        with pytest.raises(SourceError):
            harness.ingest(*history("P P F F F"))
    harness.engine.refresh_failed("ci", "file", "gone", 1.0)
    assert [job.broken for job in harness.trunk().jobs] == [True]


# ---------------------------------------------------------------------- the limit on jobs


class Reference:
    """The limit, applied to all jobs of all trunks each time."""

    def __init__(self, limit: int, admitted: Iterable[JobKey]) -> None:
        self.limit = limit
        self.admitted = set(admitted)
        self.refused: set[JobKey] = set()
        self.states: dict[Trunk, TrunkState] = {}

    def update(self, changed: Admitted) -> list[JobKey]:
        for trunk, state in changed.items():
            self.states.pop(trunk, None)
            self.states.update({trunk: state} if state else {})
        present = {job.key for state in self.states.values() for job in state.jobs}
        self.admitted &= present
        waiting = sorted(present - self.admitted)
        self.admitted |= set(waiting[: max(0, self.limit - len(self.admitted))])
        refused = present - self.admitted
        found = sorted(refused - self.refused)
        self.refused = refused
        return found

    def shown(self, trunk: Trunk) -> TrunkState | None:
        state = self.states.get(trunk)
        if state is None:
            return None
        jobs = tuple(job for job in state.jobs if job.key in self.admitted)
        return replace(state, jobs=jobs, groups=group_states(trunk, jobs))


BASE = evaluate_histories(dict.fromkeys("abcd", "P F"))


def with_jobs(trunk: Trunk, names: Iterable[str]) -> TrunkState:
    """Return a trunk with some of four jobs."""
    jobs = tuple(
        replace(job, key=job.key._replace(repo=trunk.repo))
        for job in BASE.jobs
        if job.key.job_name in names
    )
    order = replace(BASE.order, trunk=trunk)
    return replace(BASE, order=order, jobs=jobs, groups=group_states(trunk, jobs))


jobs_of_trunks = st.dictionaries(
    st.sampled_from(TRUNKS), st.one_of(st.none(), st.sets(st.sampled_from("abcd")))
)


@settings(max_examples=examples(300))
@given(st.integers(1, 8), st.sets(st.sampled_from("abcd")), st.lists(jobs_of_trunks, max_size=6))
def test_the_limit_is_that_over_all_jobs(
    limit: int, earlier: set[str], updates: list[dict[Trunk, set[str] | None]]
) -> None:
    """Trunk by trunk, the same jobs are admitted and refused as by looking at all of them."""
    exported = [job.key for job in with_jobs(TRUNKS[0], earlier).jobs]
    reference, admission = Reference(limit, exported), Admission(limit, exported)
    shown: dict[Trunk, TrunkState | None] = {}
    for update in updates:
        changed = {
            trunk: None if names is None else with_jobs(trunk, names)
            for trunk, names in update.items()
        }
        refused = reference.update(changed)
        found, newly_refused = admission.update(changed)
        assert newly_refused == refused
        shown.update(found)
        assert {trunk: state for trunk, state in shown.items() if state} == {
            trunk: reference.shown(trunk) for trunk in reference.states
        }
