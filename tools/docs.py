"""Writes what `make docs` generates: four documents, own_alerts.py, mixin/dashboards.libsonnet.

    python -m tools.docs            write it
    python -m tools.docs --check    exit 1 if a committed file differs

It also lists the keys of the configuration's schema, for the test of docs/configuration.md.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic.fields import FieldInfo
from trunkwatch import patterns
from trunkwatch.config.fields import (
    AtLeastOne,
    Duration,
    Flag,
    Keep,
    Location,
    Pattern,
    Share,
    Until,
)
from trunkwatch.config.repositories import (
    BranchEntry,
    BranchSection,
    ExcludeEntry,
    OwnerGlob,
    ProjectGlob,
    RepoEntry,
)
from trunkwatch.config.schema import Config
from trunkwatch.config.section import Section
from trunkwatch.metrics.catalogue import FAMILIES, JOB_LABELS, Family, Scope

from tools.generated import with_generated
from tools.messages import render_messages
from tools.source_traits import render_scale, render_sources
from tools.why_three import render_why_three

ROOT = Path(__file__).resolve().parents[1]
METRICS = ROOT / "docs" / "metrics.md"
MESSAGES = ROOT / "docs" / "messages.md"
SOURCES = ROOT / "docs" / "sources.md"
SCALE = ROOT / "docs" / "scale.md"
WHY_THREE = ROOT / "docs" / "why-three.md"
RULES = ROOT / "rules" / "trunkwatch.rules.yml"
MIXIN_DASHBOARDS = ROOT / "mixin" / "dashboards.libsonnet"
OWN_ALERTS = ROOT / "exporter" / "trunkwatch" / "config" / "own_alerts.py"
MAKER = "exporter/trunkwatch/metrics/catalogue.py"

HEADINGS = {
    Scope.JOB: "Jobs",
    Scope.BRANCH: "Groups and trunks",
    Scope.OWN: "The exporter itself",
}

# ---------------------------------------------------------------------- metrics


def render(text: str) -> str:
    """Return the document with its generated part replaced."""
    return with_generated(text, MAKER, "\n\n".join(map(_table, HEADINGS)))


def _table(scope: Scope) -> str:
    rows = [_row(family) for family in FAMILIES if family.scope is scope]
    head = ["| family | type | labels | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### {HEADINGS[scope]}", "", *head, *rows])


def _row(family: Family) -> str:
    return f"| `{family.name}` | {family.kind} | {_labels(family)} | {family.help} |"


def _labels(family: Family) -> str:
    if family.scope is Scope.JOB:
        return ", ".join(["J", *(f"`{name}`" for name in family.labels[len(JOB_LABELS) :])])
    return ", ".join(f"`{name}`" for name in family.labels) or "none"


# ---------------------------------------------------------------------- alerts


def render_own_alerts(_: str = "") -> str:
    """Return the module that lists the alerts with a fixed team, in the order of the rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    fixed = {rule["alert"]: rule["labels"] for rule in alerts if "team" in rule["labels"]}
    rows = [f'    "{name}": "{labels["priority"]}",' for name, labels in fixed.items()]
    return "\n".join([_OWN_ALERTS_HEAD, *rows, "}", _OWN_ALERTS_END])


_OWN_ALERTS_HEAD = '''"""Generated from rules/trunkwatch.rules.yml by `make docs`; do not edit."""

from collections.abc import Mapping

OWN_ALERTS: Mapping[str, str] = {'''
_OWN_ALERTS_END = (
    '"""The alerts that belong to no job, with their priorities;'
    ' their team is the default group\'s."""\n'
)

# ---------------------------------------------------------------------- the mixin


def render_mixin_dashboards(text: str) -> str:
    """Return the file that imports every dashboard: jsonnet cannot list a folder."""
    del text
    names = sorted(path.name for path in (ROOT / "dashboards").glob("*.json"))
    lines = "".join(f"  '{name}': import '../dashboards/{name}',\n" for name in names)
    return f"// Generated from dashboards/ by `make docs`; do not edit.\n{{\n{lines}}}\n"


GENERATED: dict[Path, Callable[[str], str]] = {
    METRICS: render,
    MESSAGES: render_messages,
    SOURCES: render_sources,
    SCALE: render_scale,
    OWN_ALERTS: render_own_alerts,
    WHY_THREE: render_why_three,
    MIXIN_DASHBOARDS: render_mixin_dashboards,
}
"""The generated files, each with the function that renders it from its committed text."""

# ---------------------------------------------------------------------- configuration


class Key(NamedTuple):
    """One key of the configuration.

    Attributes:
        path: the full path; `[]` is any entry of a list, `[buildbot]` an entry of that type.
        kind: the type of its value, in a few words.
        default: the default as written in the file, or "required".
    """

    path: str
    kind: str
    default: str


# The words for the schema's named types, which are compared by identity: two `Annotated` of one
# base type differ only in their validators.
_NAMED = (
    (Duration, "duration"),
    (Keep, "duration or `forever`"),
    (Keep, "duration or `forever`"),
    (Pattern, "pattern"),
    (Until, "date"),
    (Location, "path"),
    (AtLeastOne, "number"),
    (Flag, "flag"),
    (Share, "share"),
    (RepoEntry, "glob"),
    (ExcludeEntry, "glob"),
    (ProjectGlob, "glob"),
    (OwnerGlob, "glob"),
    (BranchEntry, "glob"),
)
_DURATIONS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def config_keys(section: type[Section] = Config, prefix: str = "") -> Iterator[Key]:
    """Yield every key of the schema, in the schema's order, parents before children."""
    hints = get_type_hints(section, include_extras=True)
    for name, field in section.model_fields.items():
        path, hint = prefix + (field.alias or name), hints[name]
        yield Key(path, _kind(hint), _default(field, hint))
        for child, below in _sections(hint):
            yield from config_keys(child, f"{path}{below}.")


def _sections(hint: Any) -> Iterator[tuple[type[Section], str]]:
    """Yield the sections below a key, each with the suffix that its path gets."""
    inner, is_list = _without_none(hint), False
    if get_origin(inner) is tuple:
        inner, is_list = _unwrapped(get_args(inner)[0]), True
    members = [_unwrapped(m) for m in get_args(inner)] if _is_union(inner) else [inner]
    for member in members:
        if isinstance(member, type) and issubclass(member, Section):
            below = f"[{_tag(member)}]" if len(members) > 1 else "[]"
            yield member, below if is_list else ""


def _tag(section: type[Section]) -> str:
    """Return the `type` that selects a section among the alternatives."""
    return str(get_args(get_type_hints(section)["type"])[0])


def _kind(hint: Any) -> str:
    for named, word in _NAMED:
        if named in (hint, *_members(hint)):
            return word
    inner = _without_none(hint)
    if get_origin(inner) is tuple:
        kind = _kind(get_args(inner)[0])
        return f"list of {kind.replace(' or ', ', ')}" if "`" in kind else f"list of {kind}s"
    if get_origin(inner) is dict:
        return "mapping"
    if get_origin(inner) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(inner))
    if _is_union(inner) and not any(_sections(hint)):
        return " or ".join(_kind(member) for member in _members(inner))
    if _is_union(inner) or issubclass(inner, Section):
        return "mapping"
    if issubclass(inner, Enum) and issubclass(inner, str):
        return " or ".join(f"`{member.value}`" for member in inner)
    if inner in (str, int):
        return "text" if inner is str else "number"
    raise TypeError(f"no word for {hint}: name its kind in tools/docs.py")


def _default(field: FieldInfo, hint: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, Section | dict):
        return "`{}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if _kind(hint).startswith("duration"):
        return f"`{_duration(value)}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(_text, value))}]`"
    return f"`{value}`" if value != "" else '`""'.replace('""', '""`')


def _text(item: BranchSection | patterns.Pattern | str) -> str:
    if isinstance(item, patterns.Pattern):
        return f"'{item.text}'"
    return item.name if isinstance(item, BranchSection) else item


def _duration(seconds: float) -> str:
    """Format seconds in the largest unit without remainder; up to two minutes stay seconds."""
    for unit, size in _DURATIONS:
        if seconds % size == 0 and (seconds > 120 or unit == "s"):
            return f"{int(seconds / size)}{unit}"
    raise ValueError(f"{seconds} s: a default must be whole seconds")


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if _is_union(hint) else ()


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _unwrapped(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _without_none(hint: Any) -> Any:
    """Return a hint without its `Annotated` and without None, the value of a missing key."""
    inner = _unwrapped(hint)
    wanted = [member for member in _members(inner) if member is not NoneType]
    return _unwrapped(wanted[0]) if len(wanted) == 1 else inner


# ---------------------------------------------------------------------- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or compare them with the committed ones."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check: bool = parser.parse_args(arguments).check
    outdated = [path for path, render_file in GENERATED.items() if _renew(path, render_file, check)]
    for path in outdated:
        print(f"{path.relative_to(ROOT).as_posix()} is outdated: run 'make docs'", file=sys.stderr)
    return 1 if outdated else 0


def _renew(path: Path, render_file: Callable[[str], str], check: bool) -> bool:
    """Write a file anew, or return whether it differs where it is only checked."""
    committed = path.read_text(encoding="utf-8")
    wanted = render_file(committed)
    if not check:
        path.write_text(wanted, encoding="utf-8")
    return check and wanted != committed


if __name__ == "__main__":
    sys.exit(main())
