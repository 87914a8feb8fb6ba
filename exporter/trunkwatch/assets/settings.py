"""The settings of `trunkwatch assets`: what differs from one installation to the next."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from trunkwatch.addresses import base_address
from trunkwatch.assets.rules.build import DEFAULT, Which
from trunkwatch.errors import UsageError
from trunkwatch.quoting import quoted, without_login, without_logins

PROMETHEUS_IMAGES: Mapping[str, str] = MappingProxyType(
    {"2": "prom/prometheus:v2.55.1", "3": "prom/prometheus:v3.13.2"}
)
"""The image of each supported major version of Prometheus; no other file differs between them."""

TEAM, EXPORTER_URL = "team", "exporter_url"
GRAFANA_URL, ALERTMANAGER_URL = "grafana_url", "alertmanager_url"
KEYS = (TEAM, "selector", "tickets", "confirm", "name", EXPORTER_URL, GRAFANA_URL, ALERTMANAGER_URL)
"""The keys of `--set`. Only `team` may be given several times."""

_URL = re.compile(
    r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
    r"(?:/(?:[A-Za-z0-9._~/+-]|%[0-9A-Fa-f]{2})*)?"
)
"""An address whose characters mean nothing else in YAML, JSON, compose, Kubernetes, Grafana and
templates of Go."""


@dataclass(frozen=True, slots=True)
class AssetSettings:
    """What the files are written for.

    Attributes:
        teams: the teams that get routes and receivers; without any, that of the demo has them.
        which: the Trunkwatch that the rules are about.
        exporter_url: its address in a reader's browser; None keeps that of the demo.
        grafana_url: the same of Grafana; without it, messages have no link to the dashboard.
        alertmanager_url: the same of Alertmanager's web pages; without it, messages have no links
            to new silences.
        prometheus: the major version of Prometheus, `2` or `3`.
    """

    teams: tuple[str, ...] = ()
    which: Which = DEFAULT
    exporter_url: str | None = None
    grafana_url: str | None = None
    alertmanager_url: str | None = None
    prometheus: str = "3"


def parse_settings(
    given: Sequence[str], prometheus: str = "3", teams: Sequence[str] = ()
) -> AssetSettings:
    """Parse the values of `--set`.

    Args:
        given: texts of the form KEY=VALUE.
        prometheus: the major version of Prometheus.
        teams: further teams, those of the configuration.

    Raises:
        UsageError: a text has another form, or its key or value is not valid.
    """
    named: list[str] = []
    values: dict[str, str] = {}
    for text in given:
        key, is_set, value = text.partition("=")
        if key not in KEYS:
            raise UsageError(f"--set {without_logins(text)}: {_unknown(key)}")
        if not is_set or not value:
            raise UsageError(f"--set {without_logins(text)}: must be {key}=VALUE")
        if key in values:
            raise UsageError(f"--set {without_logins(text)}: {key} is set twice")
        if key == TEAM:
            named.append(_team(value))
        else:
            values[key] = _CHECKS.get(key, _text)(key, value)
    exporter, grafana, alertmanager = (
        values.pop(key, None) for key in (EXPORTER_URL, GRAFANA_URL, ALERTMANAGER_URL)
    )
    if exporter is not None:
        values["runbooks"] = f"{exporter}/runbooks"
    every = tuple(dict.fromkeys((*teams, *named)))
    which = DEFAULT._replace(**values)
    return AssetSettings(every, which, exporter, grafana, alertmanager, prometheus)


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown key {quoted(key)}, the keys are {', '.join(KEYS)}{hint}"


def _text(key: str, value: str) -> str:
    if not value.isprintable():
        raise UsageError(f"--set {key}={quoted(value)}: must be printable")
    return value


def _team(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise UsageError(
            f"--set team={quoted(name)}: must be a printable name without spaces around it"
        )
    return name


def _url(key: str, value: str) -> str:
    if not _URL.fullmatch(value):
        raise UsageError(
            f"--set {key}={without_login(value)}: must be an address such as"
            " https://ci.example.com, with %XX for each character of a path that is no letter, no"
            " digit and none of ._~/+-"
        )
    return value.rstrip("/")


def _server(key: str, value: str) -> str:
    """Return the address of an exporter, as its flag --web.external-url takes it."""
    return base_address(f"--set {key}={without_login(value)}", _url(key, value))


_CHECKS: Mapping[str, Callable[[str, str], str]] = MappingProxyType(
    {EXPORTER_URL: _server, GRAFANA_URL: _url, ALERTMANAGER_URL: _url}
)
