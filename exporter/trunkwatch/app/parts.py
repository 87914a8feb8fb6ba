"""The parts that every command is composed of."""

from dataclasses import replace
from functools import partial

from trunkwatch.config import Config, SourceConfig, policy_of
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.report.document import CompareUrls
from trunkwatch.rest.http import HttpContext
from trunkwatch.shards import Shard
from trunkwatch.sources import Source, SourceContext, build_source
from trunkwatch.store import STORES, Store


def open_store(path: str) -> Store:
    """Open the storage.

    Raises:
        StoreError: the file cannot be used.
    """
    return STORES["sqlite"](path)


def build_sources(
    config: Config,
    counters: Counters,
    engine: TrunkEngine,
    shard: Shard | None = None,
    *,
    refreshes_once: bool = False,
) -> list[tuple[SourceConfig, Source]]:
    """Build every configured source with its own request counter; each reads one shard."""
    built = []
    for section in config.sources:
        context = _context(section.name, config, counters, engine, shard)
        context = replace(context, refreshes_once=refreshes_once)
        built.append((section, build_source(section, context)))
    return built


def _context(
    name: str, config: Config, counters: Counters, engine: TrunkEngine, shard: Shard | None
) -> SourceContext:
    def count_request(code: str) -> None:
        counters.add("trunkwatch_source_requests_total", name, code)

    context = SourceContext(
        http=HttpContext(
            count_request=count_request,
            max_answer_bytes=config.limits.max_answer_bytes,
            max_list_pages=config.limits.max_list_pages,
        ),
        events=policy_of(config).evidence.events,
        focus=engine.focus,
        store=partial(engine.ingest_part, name),
    )
    return context if shard is None else replace(context, owns=shard.owns)


def compare_urls(config: Config, snapshot: Snapshot) -> CompareUrls:
    """Return per trunk the address that compares two of its commits, where a source has one.

    The first source that may feed a trunk decides; a recorded file may feed any.
    """
    urls: dict[Trunk, str] = {}
    for section in config.sources:
        for trunk in (state.trunk for state in snapshot.trunks):
            template = section.compares(trunk) if section.may_feed(trunk) else None
            if template is not None:
                urls.setdefault(trunk, template)
    return urls
