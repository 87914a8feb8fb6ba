"""The check that a route exists for every configured team."""

import subprocess
from pathlib import Path

import pytest
import yaml
from trunkwatch.config import check_routes, parse_config
from trunkwatch.config.alertmanager import (
    SEVERITIES,
    SILENT_PRIORITY,
    Matcher,
    load_routes,
    parse_matchers,
    route_results,
)
from trunkwatch.config.own_alerts import OWN_ALERTS
from trunkwatch.config.schema import Config
from trunkwatch.errors import ConfigError

from tests.deploy.files import ALERTMANAGER
from tests.rules.rulebook import alerts
from tests.support.binaries import find_binary

TRUNK = "{receiver: trunk, matchers: ['team=\"trunk\"']}"


def config(**teams: str) -> Config:
    """Return a configuration with a group for each team; its value is the group's priority."""
    groups = [
        f"{{name: {team}, match: {{workflow: {team}}}, team: {team}, priority: {priority}}}"
        for team, priority in teams.items()
    ]
    text = f"sources: [{{name: r, type: recorded, path: r}}]\ngroups: [{', '.join(groups)}]"
    return parse_config(text, "trunkwatch.yml")


def alertmanager_file(folder: Path, *routes: str, root: str = "root") -> str:
    """Write an Alertmanager file with these routes below the root, and one for team trunk."""
    path = folder / "alertmanager.yml"
    lines = "".join(f"\n    - {route}" for route in (*routes, TRUNK))
    path.write_text(f"route:\n  receiver: {root}\n  routes:{lines}\n", encoding="utf-8")
    return str(path)


def receivers_of(path: str, **teams: str) -> dict[str, tuple[str, ...]]:
    """Return the receivers of each team and priority, except of team trunk."""
    found = route_results(config(**teams), load_routes(path))
    return {f"{one.team} {one.priority}": one.receivers for one in found if one.team != "trunk"}


@pytest.mark.parametrize(
    ("matchers", "takes"),
    [
        ("matchers: ['team=\"core\"']", True),
        ("matchers: ['team=\"cor\"']", False),
        ("matchers: [team=core]", True),
        ("matchers: ['team = \"core\"']", True),
        ("matchers: ['team!=\"core\"']", False),
        ("matchers: ['team!=\"x\"']", True),
        ("matchers: ['team=~\"co.*\"']", True),
        ("matchers: ['team=~\"co\"']", False),
        ("matchers: ['team!~\"co.*\"']", False),
        ("matchers: ['team!~\"co\"']", True),
        ("matchers: ['team=\"core\"', 'severity=\"notice\"']", True),
        ("matchers: ['team=\"core\"', 'severity=\"warning\"']", False),
        ('matchers: [\'{team="core",priority="P3"}\']', True),
        ('matchers: [\'team="core",priority="P2"\']', False),
        ("match: {team: core}", True),
        ("match: {team: other}", False),
        ("match_re: {team: c.+}", True),
        ("match_re: {team: c}", False),
        ("matchers: ['group=\"core\"']", True),
        ("matchers: ['group=\"other\"']", False),
        # A label that exists only once a job breaks may match.
        ("matchers: ['repo=\"o/r\"']", True),
        ("matchers: ['cluster!=\"x\"']", True),
        # So may an expression that only Go understands.
        ("matchers: ['team=~\"\\\\pL+\"']", True),
        ("continue: false", True),
    ],
)
def test_a_route_takes_what_alertmanager_says_it_takes(
    tmp_path: Path, matchers: str, takes: bool
) -> None:
    """Each way to write a matcher is understood, and expressions have to match in full."""
    path = alertmanager_file(tmp_path, f"{{receiver: mine, {matchers}}}")
    assert receivers_of(path, core="P3") == {"core P3": ("mine",) if takes else ()}


def test_the_first_route_that_matches_takes_it(tmp_path: Path) -> None:
    """A later route is tried only if the earlier one has `continue`."""
    first, second = "receiver: one, matchers: [team=core]", "{receiver: two, matchers: [team=core]}"
    assert receivers_of(alertmanager_file(tmp_path, f"{{{first}}}", second), core="P3") == {
        "core P3": ("one",)
    }
    both = alertmanager_file(tmp_path, f"{{{first}, continue: true}}", second)
    assert receivers_of(both, core="P3") == {"core P3": ("one", "two")}


def test_a_route_that_may_match_does_not_hide_the_next(tmp_path: Path) -> None:
    """A matcher on the repository may match: its route and the one after it are both results."""
    path = alertmanager_file(
        tmp_path,
        "{receiver: one, matchers: [team=core, repo=a/b]}",
        "{receiver: two, matchers: [team=core]}",
    )
    assert receivers_of(path, core="P3") == {"core P3": ("one", "two")}


def test_a_route_below_takes_it_from_the_one_above(tmp_path: Path) -> None:
    """The deepest matching route gives the receiver; without one it inherits its parent's."""
    nested = """{receiver: core, matchers: [team=core], routes: [
        {receiver: pager, matchers: [severity=critical]}, {matchers: [priority=P2]}]}"""
    path = alertmanager_file(tmp_path, " ".join(nested.split()))
    assert receivers_of(path, core="P1") == {"core P1": ("pager",), "core P3": ("core",)}
    assert receivers_of(path, core="P2") == {"core P2": ("core",), "core P3": ("core",)}


def test_a_team_that_no_route_takes_is_named(tmp_path: Path) -> None:
    """Each priority that only the root route matches is a line with the matcher to add."""
    path = alertmanager_file(tmp_path, "{receiver: core, matchers: [team=core, priority=P2]}")
    with pytest.raises(ConfigError) as caught:
        check_routes(config(core="P2", compiler="P1"), path)
    assert [problem.split(", so")[0] for problem in caught.value.problems] == [
        "route: no route takes team 'compiler', priority P1 (TrunkJobBroken of group 'compiler')",
        "route: no route takes team 'compiler', priority P3 (TrunkJobSilent of group 'compiler')",
        "route: no route takes team 'core', priority P3 (TrunkJobSilent of group 'core')",
    ]
    first = caught.value.problems[0]
    assert first.endswith(
        "receiver 'root' gets them; add a route with matchers: ['team=\"compiler\"']"
    )


def test_a_team_that_is_only_taken_by_priority_is_marked(tmp_path: Path) -> None:
    """A team without a matcher of its own is routed, and the output marks it."""
    path = alertmanager_file(tmp_path, "{receiver: low, matchers: [priority=P3]}")
    results = [str(one) for one in check_routes(config(core="P3"), path)]
    assert results[0] == "team core, P3: low (no route matches on this team)"


def test_the_group_default_is_heard_unless_another_takes_all_jobs() -> None:
    """A last group without a match leaves nothing to the group that catches the rest."""
    groups = "[{name: all, team: core, priority: P2}]"
    text = f"sources: [{{name: r, type: recorded, path: r}}]\ngroups: {groups}"
    root = load_routes(str(ALERTMANAGER))
    named = [name for one in route_results(parse_config(text, "f"), root) for name in one.alerts]
    assert "TrunkJobBroken of group 'all'" in named
    assert "TrunkJobBroken of group 'default'" not in named
    rest = [name for one in route_results(config(core="P2"), root) for name in one.alerts]
    assert "TrunkJobBroken of group 'default'" in rest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("route: [", "line 1, column 9: while parsing a flow node, expected"),
        ('route: {receiver: "\\U00110000"}', "line 1, column 22: a number or an escaped"),
        ("global: {k: s3cret]\nroute: 1", "line 1, column 19: while parsing a flow mapping"),
        ("[]", "route: must be a mapping"),
        ("receivers: []", "route: must be a mapping"),
        ("route: {}", "route.receiver: is missing and required"),
        ("route: {receiver: a, routes: {}}", "route.routes: must be a list"),
        ("route: {receiver: a, routes: [x]}", "route.routes[0]: must be a mapping"),
        ("route: {receiver: a, routes: [{matchers: x=y}]}", "route.routes[0].matchers: must be"),
        ("route: {receiver: a, routes: [{match: [x]}]}", "route.routes[0].match: must be"),
        ("route: {receiver: a, routes: [{matchers: ['x']}]}", "matchers[0]: 'x' is not a matcher"),
        ("route: {receiver: a, routes: [{matchers: ['a=\"b']}]}", "is not a matcher"),
    ],
)
def test_a_file_that_is_none_of_alertmanager_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    """A mistake is one line with its place."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_routes(str(path))
    (problem,) = caught.value.problems
    assert said in problem


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_is_read_as_windows_writes_it(tmp_path: Path, encoding: str) -> None:
    """With a byte order mark and Windows line ends, in UTF-8 or in UTF-16."""
    path = tmp_path / "alertmanager.yml"
    path.write_bytes("route:\r\n  receiver: ä\r\n".encode(encoding))
    assert load_routes(str(path)).receiver == "ä"


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    """An unreadable file is an error that contains the reason."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_routes(str(tmp_path / "no.yml"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a="b"', [Matcher("a", "=", "b")]),
        ('{a="b", c!~"d,e"}', [Matcher("a", "=", "b"), Matcher("c", "!~", "d,e")]),
        (r'a="x\"y\\z\n"', [Matcher("a", "=", 'x"y\\z\n')]),
        ('"a b"=~"c|d"', [Matcher("a b", "=~", "c|d")]),
        ("a=", [Matcher("a", "=", "")]),
        ("", []),
    ],
)
def test_matchers_are_read_as_alertmanager_writes_them(text: str, found: list[Matcher]) -> None:
    """Quotes, escapes, braces and several matchers in one text are understood."""
    assert list(parse_matchers(text, "here")) == found


def test_the_alerts_of_no_job_are_those_of_the_rules() -> None:
    """The table that is checked against the routes has each of them, with its priority."""
    fixed = {n: a["labels"] for n, a in alerts().items() if "team" in a["labels"]}
    assert {name: labels["priority"] for name, labels in fixed.items()} == OWN_ALERTS
    assert all(SEVERITIES[labels["priority"]] == labels["severity"] for labels in fixed.values())
    assert alerts()["TrunkJobSilent"]["labels"]["priority"] == SILENT_PRIORITY


@pytest.mark.parametrize("team", ["broken-inductor", "no-such-team"])
@pytest.mark.parametrize("priority", list(SEVERITIES))
def test_our_own_file_is_read_as_amtool_reads_it(team: str, priority: str) -> None:
    """For each team and priority the receiver is the one that amtool names."""
    results = route_results(config(**{team: priority}), load_routes(str(ALERTMANAGER)))
    ours = next(one for one in results if (one.team, one.priority) == (team, priority))
    labels = [f"team={team}", f"priority={priority}", "alertname=TrunkJobBroken"]
    asked = [str(find_binary("amtool")), "config", "routes", "test"]
    said = subprocess.run(
        [*asked, f"--config.file={ALERTMANAGER}", *labels],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ours.receivers == (said.stdout.strip(),)


def test_our_own_files_fit_each_other() -> None:
    """No alert of the shipped configuration reaches only the root, and each team has a matcher."""
    deploy = ALERTMANAGER.parents[1]
    shipped = parse_config((deploy / "trunkwatch.yml").read_text(), str(deploy / "trunkwatch.yml"))
    results = check_routes(shipped, str(ALERTMANAGER))
    teams = {
        group["team"] for group in yaml.safe_load((deploy / "trunkwatch.yml").read_text())["groups"]
    }
    assert teams <= {one.team for one in results if one.named}
