"""Checks across keys: whether the parts of a configuration contradict each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from trunkwatch.config.schema import Config
from trunkwatch.config.sources import SourceConfig
from trunkwatch.domain.groups import DEFAULT_GROUP
from trunkwatch.quoting import quoted

Document = Mapping[Any, Any]
"""The file as YAML parses it, not validated."""


def contradictions(document: Document, config: Config | None) -> Iterator[str]:
    """Yield every contradiction, with its key path and the correction.

    Args:
        document: the raw file, so that a mistake elsewhere in it hides no contradiction.
        config: the validated file; None if invalid, which leaves the trunks' order unchecked.
    """
    yield from _repeated("sources", _texts(document.get("sources"), "name"))
    yield from _repeated("groups", _texts(document.get("groups"), "name"))
    yield from _unreachable(document.get("groups"))
    if config is not None:
        yield from _events_that_never_count(config)
        yield from _competing_orders(config.sources)
        yield from _missing_orders(config.sources)
    yield from _repeated("green", _texts(document.get("green"), "repo", "branch"))
    yield from _aliases(document.get("jobs"))


def _entries(section: object) -> Iterator[tuple[int, Document]]:
    """Yield the mappings of a list with their indexes; validation reports other entries."""
    for place, entry in enumerate(section if isinstance(section, list) else ()):
        if isinstance(entry, dict):
            yield place, entry


def _texts(section: object, *keys: str) -> dict[int, str]:
    """Return the names of a list's entries, by index; a name joins the values of all keys."""
    named = {place: [entry.get(key) for key in keys] for place, entry in _entries(section)}
    return {
        place: " ".join(map(str, parts))
        for place, parts in named.items()
        if all(isinstance(part, str) for part in parts)
    }


def _repeated(section: str, names: Mapping[int, str]) -> Iterator[str]:
    first: dict[str, int] = {}
    for place, name in names.items():
        if name in first:
            yield (
                f"{section}[{place}]: {quoted(name)} is already used by {section}[{first[name]}];"
                " each must be unique"
            )
        first.setdefault(name, place)


def _unreachable(section: object) -> Iterator[str]:
    """Yield groups that hide later ones: the first match wins, so a catch-all must be last."""
    groups = dict(_entries(section))
    for place, group in groups.items():
        name, matches_all = group.get("name"), group.get("match", {}) == {}
        if matches_all and place < max(groups):
            yield (
                f"groups[{place}].match: is missing, so {quoted(name)} takes every job from"
                " the groups after it; give it a match or move it to the end"
            )
        if name == DEFAULT_GROUP.name and not matches_all:
            yield (
                f"groups[{place}].match: the group {quoted(name)} catches what no other group"
                " matches; leave match out or give the group another name"
            )


def _events_that_never_count(config: Config) -> Iterator[str]:
    events = config.jobs.events
    for place, group in enumerate(config.groups):
        pattern = group.match.event
        if pattern is not None and not any(pattern.fullmatch(event) for event in events):
            yield (
                f"groups[{place}].match.event: matches none of jobs.events ({', '.join(events)});"
                " add the event there"
            )


def _competing_orders(sources: tuple[SourceConfig, ...]) -> Iterator[str]:
    """Yield the trunks whose order several sources could give without a choice of one."""
    trunks = dict.fromkeys(trunk for source in sources for trunk in source.feeds())
    for trunk in trunks:
        places = [
            place
            for place, source in enumerate(sources)
            if source.could_order() and source.names(trunk)
        ]
        chosen = [place for place in places if sources[place].order]
        if len(places) > 1 and len(chosen) != 1:
            named = " and ".join(f"sources[{place}]" for place in places)
            yield f"{named} could both give the order of {trunk}; set order: true on exactly one"


def _missing_orders(sources: tuple[SourceConfig, ...]) -> Iterator[str]:
    """Yield the trunks whose order no source gives; a recorded file may give any trunk's."""
    if any(source.type == "recorded" and source.could_order() for source in sources):
        return
    able = [source for source in sources if source.could_order()]
    for place, source in enumerate(sources):
        for trunk in source.feeds():
            if not any(each.may_feed(trunk) for each in able):
                yield (
                    f"sources[{place}].git: no source gives the order of {trunk};"
                    " name a local clone of the repository"
                )


def _aliases(jobs: object) -> Iterator[str]:
    section = jobs.get("aliases") if isinstance(jobs, dict) else None
    seen: set[tuple[str, str]] = set()
    for place, alias in _entries(section):
        workflow, old = alias.get("workflow"), alias.get("from")
        if isinstance(workflow, str) and isinstance(old, str):
            if (workflow, old) in seen:
                yield (
                    f"jobs.aliases[{place}].from: {quoted(old)} is renamed twice; keep one of them"
                )
            seen.add((workflow, old))
