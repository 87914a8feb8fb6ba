"""A watcher with a clock that is set by hand, and sources that say what they are told to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trunkwatch.config import Config, SourceConfig, parse_config
from trunkwatch.domain.job import JobState
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.engine.snapshot import SourceStatus, TrunkState
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.store import SqliteStore, Store

from tests.support.rows import NOW, TRUNK

ONE = "{name: ci, type: recorded, path: a}"
TWO = f"{ONE}, {{name: other, type: recorded, path: b}}"


def config_of(sources: str = ONE, more: str = "") -> Config:
    """Return a configuration."""
    return parse_config(f"sources: [{sources}]\n{more}", "t.yml")


@dataclass
class Clock:
    """Shows what it was set to (seconds since the epoch)."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


class Script:
    """A source that gives one prepared answer a refresh: facts, or an error that it raises."""

    def __init__(self, *answers: Iterable[Fact] | Exception) -> None:
        self.answers = list(answers)
        self.cursors: list[str | None] = []

    def refresh(self, memory: SourceState) -> Iterator[Fact]:
        self.cursors.append(memory.cursor)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return iter(list(answer))


@dataclass
class Stage:
    """Everything between sources and snapshots."""

    config: Config = field(default_factory=config_of)
    store: Store = field(default_factory=SqliteStore)
    counters: Counters = field(default_factory=Counters)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.watcher = TrunkEngine(self.config, self.store, self.counters, self.clock)
        self.published = 0
        self.poller = Poller(self.watcher, [], Timing(lambda: 0.0), self._publish)

    def _publish(self) -> None:
        self.published += 1

    def take(self, *facts: Fact, source: str = "ci") -> None:
        """Let a source say something."""
        self.watcher.refreshed(source, facts, lambda: 0.25)

    def refresh(self, source: Script, name: str = "ci") -> bool:
        """Let the poller refresh a source once; whether that succeeded."""
        return self.poller.refresh_once(self.section(name), source)

    def section(self, name: str) -> SourceConfig:
        """Return a source's configuration."""
        return next(section for section in self.config.sources if section.name == name)

    def source(self, name: str = "ci") -> SourceStatus:
        """Return what is known of a source."""
        return next(state for state in self.watcher.snapshot.sources if state.name == name)

    def trunk(self) -> TrunkState:
        """Return the trunk."""
        (state,) = (s for s in self.watcher.snapshot.trunks if s.trunk == TRUNK)
        return state

    def job(self, name: str = "build") -> JobState:
        """Return what is known of a job."""
        (state,) = (job for job in self.trunk().jobs if job.key.job_name == name)
        return state

    def names(self) -> list[str]:
        """Return the jobs that are exported."""
        return [job.key.job_name for s in self.watcher.snapshot.trunks for job in s.jobs]

    def count(self, name: str, *labels: str) -> float:
        """Return a count."""
        return self.counters.totals().counts.get((name, *labels), 0.0)
