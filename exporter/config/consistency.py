"""What no single key can know: whether the parts of a configuration fit each other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from exporter.config.schema import Config, GroupSection, SourceConfig
from exporter.domain.groups import DEFAULT_GROUP
from exporter.domain.model import Trunk


def contradictions(config: Config) -> Iterator[str]:
    """Yield every contradiction, with its key path and what would be right."""
    yield from _repeated("sources", (source.name for source in config.sources))
    yield from _repeated("groups", (group.name for group in config.groups))
    yield from _unreachable(config.groups)
    yield from _orders(config.sources)
    yield from _unordered(config.sources)
    yield from _repeated("green", (f"{green.repo} {green.branch}" for green in config.green))
    yield from _aliases(config)


def _repeated(section: str, names: Iterable[str]) -> Iterator[str]:
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in first:
            yield (
                f"{section}[{place}]: {name!r} is already {section}[{first[name]}];"
                " give each a name of its own"
            )
        first.setdefault(name, place)


def _unreachable(groups: tuple[GroupSection, ...]) -> Iterator[str]:
    """The first match wins, so a group that matches everything must be the last."""
    for place, group in enumerate(groups):
        matches_all = not group.match.model_fields_set
        if matches_all and place < len(groups) - 1:
            yield (
                f"groups[{place}].match: is missing, so {group.name!r} takes every job from"
                " the groups after it; give it a match or move it to the end"
            )
        if group.name == DEFAULT_GROUP.name and not matches_all:
            yield (
                f"groups[{place}].match: the group {group.name!r} catches what no other group"
                " matches; leave match out or give the group another name"
            )


def _orders(sources: tuple[SourceConfig, ...]) -> Iterator[str]:
    """Exactly one source gives a trunk's order."""
    able: dict[Trunk, list[int]] = defaultdict(list)
    for place, source in enumerate(sources):
        for trunk in source.feeds() if source.could_order() else ():
            able[trunk].append(place)
    for trunk, places in able.items():
        chosen = [place for place in places if sources[place].order]
        if len(places) > 1 and len(chosen) != 1:
            named = " and ".join(f"sources[{place}]" for place in places)
            yield f"{named} could both give the order of {trunk}; say order: true on exactly one"


def _unordered(sources: tuple[SourceConfig, ...]) -> Iterator[str]:
    """A trunk needs a source of its order; a recorded file may bring any trunk's."""
    if any(source.type == "recorded" and source.could_order() for source in sources):
        return
    ordered = {t for source in sources if source.could_order() for t in source.feeds()}
    for place, source in enumerate(sources):
        for trunk in source.feeds():
            if trunk not in ordered:
                yield (
                    f"sources[{place}].git: nothing gives the order of {trunk};"
                    " name a local clone of the repository"
                )


def _aliases(config: Config) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for place, alias in enumerate(config.jobs.aliases):
        key = (alias.workflow, alias.old)
        if key in seen:
            yield f"jobs.aliases[{place}].from: {alias.old!r} is renamed twice; keep one of them"
        seen.add(key)
