"""A check that an Alertmanager file routes the alerts of every configured team.

Some labels of an alert are fixed by the configuration (team, priority, severity, group); others are
set only when a job breaks (repo, branch, workflow, job_name). A matcher on one of the latter may
match, so a team counts as unrouted only if no route can match its alerts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import yaml

from trunkwatch.config.fields import parse_duration
from trunkwatch.config.own_alerts import OWN_ALERTS
from trunkwatch.config.schema import Config, GroupMatchSection
from trunkwatch.config.yaml_values import SafeLoader, yaml_problem
from trunkwatch.domain.groups import DEFAULT_GROUP
from trunkwatch.errors import ConfigError
from trunkwatch.patterns import matches_go
from trunkwatch.textfiles import read_text

SEVERITIES: Mapping[str, str] = {
    "P0": "critical",
    "P1": "critical",
    "P2": "warning",
    "P3": "notice",
}
"""The label `severity` that the rules set for each priority."""

RECEIVER_SUFFIXES: Mapping[str, str] = {"P0": "page", "P1": "page", "P2": "ticket", "P3": "low"}
"""What follows a team's name in the name of its receiver, by priority."""

SILENT_PRIORITY = "P3"
"""The priority of every TrunkJobSilent alert: a silent job is not necessarily broken."""

GROUP_WAIT_SECONDS = 30.0
"""Alertmanager's own `group_wait`, where a file has none."""

_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_MATCHER = re.compile(
    r"""\s*(?P<name>[a-zA-Z_:][\w:]*|"(?:[^"\\]|\\.)*")
        \s*(?P<operator>=~|!~|!=|=)
        \s*(?P<value>"(?:[^"\\]|\\.)*"|[^",]*)\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label.

    Attributes:
        label: the label's name.
        operator: `=`, `!=`, `=~` or `!~`.
        value: a string, or a regular expression that has to match in full.
    """

    label: str
    operator: str
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool | None:
        """Return whether the labels match; None if that cannot be decided here."""
        if self.label not in labels:
            return None
        value = labels[self.label]
        if self.operator in ("=", "!="):
            return (value == self.value) is (self.operator == "=")
        matched = matches_go(self.value, value)
        return None if matched is None else matched is (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class Route:
    """One route, with its inherited receiver.

    Attributes:
        receiver: the receiver of alerts that no child route matches.
        matchers: all of them have to match.
        continues: whether the sibling routes after it are tried as well (`continue`).
        children: the child routes, in order.
        group_wait: seconds before the first notification, inherited too.
    """

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    children: tuple["Route", ...] = ()
    group_wait: float = GROUP_WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class RouteResult:
    """The receivers that the alerts of one team and priority can reach.

    Attributes:
        team: the team.
        priority: P0 to P3.
        alerts: the alerts' names, with their group if they have one.
        receivers: the reachable receivers, without the root route's own.
        named: whether a matching route has a matcher on the team.
        foreign: those receivers that are named for another team of the configuration.
    """

    team: str
    priority: str
    alerts: tuple[str, ...]
    receivers: tuple[str, ...]
    named: bool
    foreign: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line for the terminal."""
        receivers = ", ".join(self.receivers)
        unnamed = "" if self.named else " (no route matches on this team)"
        foreign = f" (named for another team: {', '.join(self.foreign)})" if self.foreign else ""
        return f"team {self.team}, {self.priority}: {receivers}{unnamed}{foreign}"


def check_routes(config: Config, path: str) -> tuple[RouteResult, ...]:
    """Return the receivers of every team and priority of a configuration.

    Raises:
        ConfigError: the Alertmanager file cannot be read, or a team's alerts reach only the root's
            receiver.
    """
    root = load_routes(path)
    results = route_results(config, root)
    problems = unrouted(results, root)
    if problems:
        raise ConfigError(path, problems)
    return results


def unrouted(results: Iterable[RouteResult], root: Route) -> list[str]:
    """Return a line for each team and priority whose alerts reach only the root's receiver."""
    return [_unrouted(result, root.receiver) for result in results if not result.receivers]


def route_results(config: Config, root: Route) -> tuple[RouteResult, ...]:
    """Return the receivers of every team and priority; none means the root route's receiver.

    A team and priority has two results if some of its alerts are routed and others are not.
    """

    def key(result: RouteResult) -> tuple[str, str, bool]:
        return result.team, result.priority, not result.receivers

    single = sorted((_route_alert(labels, root) for labels in _alerts(config)), key=key)
    merged = tuple(_merged(list(same)) for _, same in groupby(single, key=key))
    owners = {name: result.team for result in merged for name in receivers_of(result.team)}
    return tuple(
        replace(
            result,
            foreign=tuple(
                name for name in result.receivers if owners.get(name, result.team) != result.team
            ),
        )
        for result in merged
    )


def receivers_of(team: str) -> tuple[str, ...]:
    """Return the names of a team's own receivers."""
    return tuple(f"{team}-{suffix}" for suffix in dict.fromkeys(RECEIVER_SUFFIXES.values()))


def load_routes(path: str) -> Route:
    """Read the routes of an Alertmanager file.

    Raises:
        ConfigError: the file is missing, not YAML, or its routes are invalid.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise ConfigError(path, [f"cannot be read ({error})"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [f"is not UTF-8 ({error.reason})"]) from None
    return parse_routes(text, path)


def parse_routes(text: str, path: str) -> Route:
    """Return the routes in the text of an Alertmanager file.

    Args:
        text: the text.
        path: of the file, for errors.

    Raises:
        ConfigError: the text is not YAML, or its routes are invalid.
    """
    try:
        document = SafeLoader(text).get_single_data()
        route = document.get("route") if isinstance(document, dict) else None
        return _route(route, "route", Route(""))
    except yaml.YAMLError as error:
        raise ConfigError(path, [yaml_problem(error)]) from None
    except RecursionError:
        raise ConfigError(path, ["is nested too deeply, or contains itself"]) from None
    except ValueError as error:
        raise ConfigError(path, [f"{error}; run 'amtool check-config' for details"]) from None


# ---------------------------------------------------------------------- reading


def _route(section: object, place: str, parent: Route) -> Route:
    """Parse a route and its children; a ValueError contains the key path of the mistake."""
    if not isinstance(section, dict):
        raise ValueError(f"{place}: must be a mapping")
    receiver = section.get("receiver") or parent.receiver
    if not isinstance(receiver, str) or not receiver:
        raise ValueError(f"{place}.receiver: is missing and required")
    own = Route(
        receiver,
        tuple(_matchers(section, place)),
        section.get("continue") is True,
        group_wait=_group_wait(section, place, parent),
    )
    children = enumerate(_list(section.get("routes"), f"{place}.routes"))
    return replace(
        own,
        children=tuple(
            _route(child, f"{place}.routes[{number}]", own) for number, child in children
        ),
    )


def _group_wait(section: Mapping[str, Any], place: str, parent: Route) -> float:
    value = section.get("group_wait")
    if value is None:
        return parent.group_wait
    try:
        return 0.0 if re.fullmatch(r"0(ms|[smhdw])?", str(value)) else parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{place}.group_wait: {error}") from None


def _list(section: object, place: str) -> list[Any]:
    if section is None:
        return []
    if not isinstance(section, list):
        raise ValueError(f"{place}: must be a list")
    return section


def _matchers(section: Mapping[str, Any], place: str) -> Iterator[Matcher]:
    """Yield a route's matchers, including `match` and `match_re` of Alertmanager before 0.22."""
    for old, operator in (("match", "="), ("match_re", "=~")):
        pairs = section.get(old) or {}
        if not isinstance(pairs, dict):
            raise ValueError(f"{place}.{old}: must be a mapping")
        yield from (Matcher(str(label), operator, str(value)) for label, value in pairs.items())
    for number, text in enumerate(_list(section.get("matchers"), f"{place}.matchers")):
        yield from parse_matchers(str(text), f"{place}.matchers[{number}]")


def parse_matchers(text: str, place: str) -> Iterator[Matcher]:
    """Yield the matchers of one string: `team="core"`, or a comma-separated list, braces optional.

    Raises:
        ValueError: the string is not a matcher.
    """
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    while rest.strip():
        found = _MATCHER.match(rest)
        end = re.match(r",|$", rest[found.end() :]) if found else None
        if found is None or end is None:
            raise ValueError(f'{place}: {text!r} is not a matcher such as team="core"')
        yield Matcher(_unquoted(found["name"]), found["operator"], _unquoted(found["value"]))
        rest = rest[found.end() + end.end() :]


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text.strip()
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), text[1:-1])


# ---------------------------------------------------------------------- routing


def _alerts(config: Config) -> Iterator[dict[str, str]]:
    """Yield the labels, as far as the configuration fixes them, of every alert that can fire."""
    groups: list[tuple[str, str, str]] = [(g.name, g.team, g.priority) for g in config.groups]
    if all(group.match != GroupMatchSection() for group in config.groups):
        groups.append((DEFAULT_GROUP.name, DEFAULT_GROUP.team, DEFAULT_GROUP.priority))
    for name, team, priority in groups:
        for alert, level in (("TrunkJobBroken", priority), ("TrunkJobSilent", SILENT_PRIORITY)):
            yield _labels(alert, team, level) | {"group": name}
    for alert, level in OWN_ALERTS.items():
        yield _labels(alert, DEFAULT_GROUP.team, level)


def _labels(alert: str, team: str, priority: str) -> dict[str, str]:
    severity = SEVERITIES[priority]
    return {"alertname": alert, "team": team, "priority": priority, "severity": severity}


def matched_routes(labels: Mapping[str, str], route: Route) -> Iterator[Route]:
    """Yield the routes that an alert takes; none where it stays at the root.

    Args:
        labels: all labels of the alert; one that is missing is empty.
        route: the root.
    """
    for child in route.children:
        full = {matcher.label: labels.get(matcher.label, "") for matcher in child.matchers}
        if all(matcher.holds(full) for matcher in child.matchers):
            yield from list(matched_routes(labels, child)) or [child]
            if not child.continues:
                return


def _route_alert(labels: Mapping[str, str], root: Route) -> RouteResult:
    leaves = list(_leaves(root.children, labels))
    group = f" of group {labels['group']!r}" if "group" in labels else ""
    return RouteResult(
        labels["team"],
        labels["priority"],
        (labels["alertname"] + group,),
        tuple(dict.fromkeys(receiver for receiver, _ in leaves)),
        any(named for _, named in leaves),
    )


def _leaves(routes: Sequence[Route], labels: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yield each reachable receiver, and whether a route to it has a matcher on the team."""
    for route in routes:
        answers = [matcher.holds(labels) for matcher in route.matchers]
        if False in answers:
            continue
        names_team = any(matcher.label == "team" for matcher in route.matchers)
        leaves = list(_leaves(route.children, labels)) or [(route.receiver, False)]
        yield from ((receiver, names_team or named) for receiver, named in leaves)
        if None not in answers and not route.continues:
            return


def _merged(results: Sequence[RouteResult]) -> RouteResult:
    return replace(
        results[0],
        alerts=_unique(name for result in results for name in result.alerts),
        receivers=_unique(name for result in results for name in result.receivers),
        # One alert is enough: others may be routed by their own name, not by team.
        named=any(result.named for result in results),
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _unrouted(result: RouteResult, receiver: str) -> str:
    return (
        f"route: no route takes team {result.team!r}, priority {result.priority}"
        f" ({', '.join(result.alerts)}), so the root's receiver {receiver!r} gets them;"
        f" add a route with matchers: ['team=\"{result.team}\"']"
    )
