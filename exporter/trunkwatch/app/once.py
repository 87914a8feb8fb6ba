"""One refresh of everything, for the commands that end."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from trunkwatch.app.parts import build_sources, compare_urls, open_store
from trunkwatch.config import Config
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.poller import Poller, TrunkEngine
from trunkwatch.poller.poller import Timing
from trunkwatch.poller.totals import Counters
from trunkwatch.report.document import CompareUrls
from trunkwatch.report.words import commits
from trunkwatch.sources import Refresh, Source
from trunkwatch.store import MEMORY, STORES, Store

Progress = Callable[[str, int], None]
"""Shows a source's name and the number of results that have been read."""

PROGRESS_INTERVAL_RESULTS = 1000
"""Results between two calls of a `Progress`: frequent enough to look alive, too rare to cost."""


OBJECTS_PER_COLLECTION = 200_000
"""New objects between two searches for unused cycles, about 30 MB; Python's own number is 700."""


@dataclass(frozen=True, slots=True)
class _WithProgress:
    """A source whose progress is shown, over all of its refreshes.

    Attributes:
        name: of the source.
        source: the source.
        progress: shows how far it is.
        counts: results of each refresh so far.
    """

    name: str
    source: Source
    progress: Progress
    counts: list[int] = field(default_factory=list)

    def refresh(self, state: SourceState) -> Refresh:
        """Refresh the source, and count the facts as they are stored."""
        refresh = self.source.refresh(state)
        name = self.name
        if refresh.report.unread:
            name = f"{self.name}, {commits(refresh.report.unread)} to go,"
            self.progress(name, sum(self.counts))
        return replace(refresh, facts=self._counted(name, refresh.facts))

    def _counted(self, name: str, facts: Iterable[Fact]) -> Iterator[Fact]:
        before = sum(self.counts)
        self.counts.append(0)
        for number, fact in enumerate(facts, 1):
            if number % PROGRESS_INTERVAL_RESULTS == 0:
                self.progress(name, before + number)
            self.counts[-1] = number
            yield fact


@dataclass(frozen=True, slots=True)
class Once:
    """The state after one refresh of everything.

    Attributes:
        engine: holds the state.
        store: where it is stored.
        compare_urls: per trunk.
        requests: how many requests were sent, by status code.
    """

    engine: TrunkEngine
    store: Store
    compare_urls: CompareUrls
    requests: Mapping[str, int]


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Search for unused cycles rarely: all rows live to the end."""
    usual = gc.get_threshold()
    gc.set_threshold(OBJECTS_PER_COLLECTION, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def refresh_all(
    config: Config, storage: str, now: float | None, progress: Progress = lambda _name, _count: None
) -> Once:
    """Refresh every source until its reading is complete; failures are logged.

    Args:
        config: what to read.
        storage: path of the storage.
        now: the time to evaluate at (seconds since the epoch); None for the present.
        progress: shows how far each source is.

    Raises:
        StoreError: the storage cannot be used.
    """
    store = STORES["memory"](MEMORY) if storage == MEMORY else open_store(storage)
    counters = Counters()
    evaluation_clock = time.time if now is None else lambda: now
    try:
        engine = TrunkEngine(config, store, counters, time.time, evaluation_clock)
        poller = Poller(engine, [], Timing(time.monotonic))
        with _rare_collections():
            for section, source in build_sources(config, counters, engine, refreshes_once=True):
                progress(section.name, 0)
                poller.refresh_until_done(section, _WithProgress(section.name, source, progress))
    except BaseException:
        store.close()
        raise
    requests = counters.totals().by_last_label("trunkwatch_source_requests_total")
    return Once(engine, store, compare_urls(config, engine.snapshot), requests)
