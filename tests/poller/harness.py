"""An engine with a clock that is set by hand, and sources with prepared answers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from trunkwatch.config import Config, SourceConfig, parse_config
from trunkwatch.domain.job import JobState
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.engine.snapshot import SourceStatus, TrunkState
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.shards import Shard
from trunkwatch.sources import Refresh, RefreshReport, Source
from trunkwatch.store import SqliteStore, Store

from tests.support.clock import Clock
from tests.support.rows import TRUNK

ONE = "{name: ci, type: recorded, path: a}"
TWO = f"{ONE}, {{name: other, type: recorded, path: b}}"


def config_of(sources: str = ONE, more: str = "") -> Config:
    """Return a configuration."""
    return parse_config(f"sources: [{sources}]\n{more}", "t.yml")


Answer = Iterable[Fact | RefreshReport] | Exception


def refresh_of(answer: Iterable[Fact | RefreshReport]) -> Refresh:
    """Return a refresh with some facts, and with the report among them, if there is one."""
    parts = list(answer)
    report = next((part for part in parts if isinstance(part, RefreshReport)), RefreshReport())
    return Refresh([part for part in parts if not isinstance(part, RefreshReport)], report)


class ScriptedSource:
    """A source with one prepared answer per refresh: facts with a report, or an error."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.cursors: list[str | None] = []

    def refresh(self, state: SourceState) -> Refresh:
        self.cursors.append(state.cursor)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return refresh_of(answer)


@dataclass(frozen=True)
class Update:
    """A delivery with prepared facts."""

    answer: Callable[[SourceState], Iterable[Fact]]
    needs_refresh: bool = False

    def facts(self, state: SourceState) -> Iterable[Fact]:
        return self.answer(state)


@dataclass
class Harness:
    """Everything between sources and snapshots."""

    config: Config = field(default_factory=config_of)
    store: Store = field(default_factory=SqliteStore)
    counters: Counters = field(default_factory=Counters)
    clock: Clock = field(default_factory=Clock)
    keeps_state: bool = False
    shard: Shard | None = None

    def __post_init__(self) -> None:
        self.engine = TrunkEngine(
            self.config,
            self.store,
            self.counters,
            self.clock,
            keeps_state=self.keeps_state,
            shard=self.shard,
        )
        self.published = 0
        self.poller = Poller(self.engine, [], Timing(lambda: 0.0), self._publish)

    def _publish(self) -> None:
        self.published += 1

    def ingest(self, *answer: Fact | RefreshReport, source: str = "ci") -> None:
        """Ingest a refresh."""
        self.engine.ingest_refresh(source, refresh_of(answer), lambda: 0.25)

    def deliver(self, answer: Callable[[SourceState], Iterable[Fact]]) -> None:
        """Ingest a webhook delivery."""
        self.engine.ingest_delivery("ci", Update(answer))

    def refresh(self, source: Source, name: str = "ci") -> bool:
        """Let the poller refresh a source once; whether that succeeded."""
        return self.poller.refresh_once(self.section(name), source)

    def section(self, name: str) -> SourceConfig:
        """Return a source's configuration."""
        return next(section for section in self.config.sources if section.name == name)

    def source(self, name: str = "ci") -> SourceStatus:
        """Return the status of a source."""
        return next(state for state in self.engine.snapshot.sources if state.name == name)

    def trunk(self) -> TrunkState:
        """Return the trunk."""
        (state,) = (s for s in self.engine.snapshot.trunks if s.trunk == TRUNK)
        return state

    def job(self, name: str = "build") -> JobState:
        """Return the state of a job."""
        (state,) = (job for job in self.trunk().jobs if job.key.job_name == name)
        return state

    def names(self) -> list[str]:
        """Return the jobs that are exported."""
        return [job.key.job_name for s in self.engine.snapshot.trunks for job in s.jobs]

    def count(self, name: str, *labels: str) -> float:
        """Return a count."""
        return self.counters.totals().counts.get((name, *labels), 0.0)
