"""Whether every team of the configuration is heard: the routes of an Alertmanager file.

A route is matched by the labels of an alert, of which some are known from the configuration (team,
priority, severity, group) and others only once a job breaks (repo, branch, workflow, job_name). A
matcher of one of those may hold, so a team is called unheard only where no route can take it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from trunkwatch.config.own_alerts import OWN_ALERTS
from trunkwatch.config.schema import Config, MatchSection
from trunkwatch.domain.groups import DEFAULT_GROUP
from trunkwatch.errors import ConfigError

SEVERITIES: Mapping[str, str] = {"P0": "critical", "P1": "critical", "P2": "warning", "P3": "info"}
"""The label `severity` that the rules give to a priority."""

SILENT_PRIORITY = "P3"
"""Of TrunkJobSilent, whatever its job's own priority is: nothing is known to be broken."""

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
        value: a text, or a regular expression that has to match in full.
    """

    label: str
    operator: str
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool | None:
        """Whether it holds; None where the label is not known, or the expression not understood."""
        if self.label not in labels:
            return None
        said = labels[self.label]
        if self.operator in ("=", "!="):
            return (said == self.value) is (self.operator == "=")
        try:
            matched = re.fullmatch(self.value, said) is not None
        except re.error:
            return None  # Go's regular expressions know a little that Python's do not
        return matched is (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class Route:
    """One route, with what it inherits.

    Attributes:
        receiver: who is told where no route below takes the alert.
        matchers: all of them have to hold.
        further: whether the routes after it are asked as well (`continue`).
        below: the routes below it, in order.
    """

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    further: bool = False
    below: tuple["Route", ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """Where the alerts of one team and priority can go.

    Attributes:
        team: the team.
        priority: P0 to P3.
        alerts: what they are, for people.
        receivers: who can be told, without the root's own receiver.
        named: whether a route on the way asks for the team.
    """

    team: str
    priority: str
    alerts: tuple[str, ...]
    receivers: tuple[str, ...]
    named: bool

    def __str__(self) -> str:
        """One line for people."""
        who = ", ".join(self.receivers)
        return f"team {self.team}, {self.priority}: {who}" + (
            "" if self.named else " (no route asks for this team)"
        )


def check_routes(config: Config, path: str) -> tuple[Told, ...]:
    """Return where the alerts of every team and priority of a configuration go.

    Raises:
        ConfigError: the Alertmanager file cannot be read, or leaves a team to the root's receiver.
    """
    root = load_routes(path)
    told = destinations(config, root)
    problems = [_unheard(one, root.receiver) for one in told if not one.receivers]
    if problems:
        raise ConfigError(path, problems)
    return told


def destinations(config: Config, root: Route) -> tuple[Told, ...]:
    """Return where the alerts of every team and priority can go; no receivers: to the root's."""
    singles = sorted(
        (_follow(labels, root) for labels in _alerts(config)),
        key=lambda one: (one.team, one.priority, not one.receivers),
    )
    # A priority of which one alert is heard and another is not is two answers.
    alike = groupby(singles, key=lambda one: (one.team, one.priority, not one.receivers))
    return tuple(_united(list(some)) for _, some in alike)


def load_routes(path: str) -> Route:
    """Read the routes of an Alertmanager file.

    Raises:
        ConfigError: it is missing, not YAML, or its routes are not what Alertmanager documents.
    """
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        route = document.get("route") if isinstance(document, dict) else None
        return _route(route, "route", inherited="")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, [f"cannot be read ({error})"]) from None
    except yaml.YAMLError as error:
        raise ConfigError(path, [f"is not YAML ({' '.join(str(error).split())})"]) from None
    except ValueError as error:
        raise ConfigError(path, [f"{error}; 'amtool check-config' tells more"]) from None


# ---------------------------------------------------------------------- reading


def _route(section: object, place: str, inherited: str) -> Route:
    """Understand a route and all below it; a ValueError names the place of a mistake."""
    if not isinstance(section, dict):
        raise ValueError(f"{place}: must be a mapping")
    receiver = section.get("receiver") or inherited
    if not isinstance(receiver, str) or not receiver:
        raise ValueError(f"{place}.receiver: is missing and required")
    below = enumerate(_list(section.get("routes"), f"{place}.routes"))
    return Route(
        receiver,
        tuple(_matchers(section, place)),
        section.get("continue") is True,
        tuple(_route(child, f"{place}.routes[{number}]", receiver) for number, child in below),
    )


def _list(section: object, place: str) -> list[Any]:
    if section is None:
        return []
    if not isinstance(section, list):
        raise ValueError(f"{place}: must be a list")
    return section


def _matchers(section: Mapping[str, Any], place: str) -> Iterator[Matcher]:
    """Yield a route's matchers, those in the way of before 0.22 too."""
    for old, operator in (("match", "="), ("match_re", "=~")):
        pairs = section.get(old) or {}
        if not isinstance(pairs, dict):
            raise ValueError(f"{place}.{old}: must be a mapping")
        yield from (Matcher(str(label), operator, str(value)) for label, value in pairs.items())
    for number, text in enumerate(_list(section.get("matchers"), f"{place}.matchers")):
        yield from parse_matchers(str(text), f"{place}.matchers[{number}]")


def parse_matchers(text: str, place: str) -> Iterator[Matcher]:
    """Yield the matchers of one text: `team="core"`, or several with commas, braces or not.

    Raises:
        ValueError: it is none.
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


# ---------------------------------------------------------------------- following


def _alerts(config: Config) -> Iterator[dict[str, str]]:
    """Yield the labels of every alert that can fire, as far as they are known."""
    groups: list[tuple[str, str, str]] = [(g.name, g.team, g.priority) for g in config.groups]
    if all(group.match != MatchSection() for group in config.groups):
        groups.append((DEFAULT_GROUP.name, DEFAULT_GROUP.team, DEFAULT_GROUP.priority))
    for name, team, priority in groups:
        for alert, level in (("TrunkJobBroken", priority), ("TrunkJobSilent", SILENT_PRIORITY)):
            yield _labels(alert, team, level) | {"group": name}
    for alert, level in OWN_ALERTS.items():
        yield _labels(alert, DEFAULT_GROUP.team, level)


def _labels(alert: str, team: str, priority: str) -> dict[str, str]:
    severity = SEVERITIES[priority]
    return {"alertname": alert, "team": team, "priority": priority, "severity": severity}


def _follow(labels: Mapping[str, str], root: Route) -> Told:
    leaves = list(_leaves(root.below, labels))
    group = f" of group {labels['group']!r}" if "group" in labels else ""
    return Told(
        labels["team"],
        labels["priority"],
        (labels["alertname"] + group,),
        tuple(dict.fromkeys(receiver for receiver, _ in leaves)),
        any(named for _, named in leaves),
    )


def _leaves(routes: Sequence[Route], labels: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yield each receiver that can take the alert, and whether the way to it asks for the team."""
    for route in routes:
        answers = [matcher.holds(labels) for matcher in route.matchers]
        if False in answers:
            continue
        asks = any(matcher.label == "team" for matcher in route.matchers)
        below = list(_leaves(route.below, labels)) or [(route.receiver, False)]
        yield from ((receiver, asks or named) for receiver, named in below)
        if None not in answers and not route.further:
            return


def _united(alike: Sequence[Told]) -> Told:
    return replace(
        alike[0],
        alerts=_once(name for one in alike for name in one.alerts),
        receivers=_once(name for one in alike for name in one.receivers),
        # An alert that goes elsewhere by its own name (Watchdog) says nothing about the team.
        named=any(one.named for one in alike),
    )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _unheard(told: Told, receiver: str) -> str:
    return (
        f"route: no route takes team {told.team!r}, priority {told.priority}"
        f" ({', '.join(told.alerts)}), so the root's receiver {receiver!r} is told;"
        f" add a route with matchers: ['team=\"{told.team}\"']"
    )
