"""The rules pass promtool; and rules, tests, runbooks and the catalogue of metrics agree."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from rules import build
from tests.dashboards.model import FILES, load, targets
from tests.rules import rulebook
from tests.support.binaries import binary_path
from tests.support.each import for_each

ALERTS = rulebook.alerts()
RUNBOOK_URL = f"{build.RUNBOOKS}/{{}}"
PROMETHEUS_LABELS = {"job", "instance"}
# Series of Prometheus and Alertmanager themselves.
FOREIGN = {
    "ALERTS": {"alertname", "alertstate", "trunkwatch"},
    "alertmanager_notifications_failed_total": set[str](),
    "prometheus_notifications_alertmanagers_discovered": set[str](),
    "prometheus_notifications_errors_total": set[str](),
    "scrape_duration_seconds": PROMETHEUS_LABELS,
    "up": PROMETHEUS_LABELS,
}
SEVERITIES = {"P0": "critical", "P1": "critical", "P2": "warning", "P3": "notice"}
# Alerts that have the team of their job.
OF_A_JOB = {"TrunkJobBroken", "TrunkJobSilent"}


@pytest.fixture(scope="module")
def families() -> Mapping[str, set[str]]:
    """Return the labels of every family by its name."""
    from trunkwatch.confirm import metrics as confirm
    from trunkwatch.metrics.catalogue import FAMILIES
    from trunkwatch.tickets import metrics as tickets

    found = {family.name: set(family.labels) for family in FAMILIES}
    for program in (tickets, confirm):
        found |= {name: set[str]() for name in program.GAUGES} | {program.UP: {"peer"}}
        found |= {counter.name: {counter.label} for counter in program.COUNTERS.values()}
    return found


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary_path("promtool"), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("file", rulebook.RULE_FILES, ids=lambda file: file.name)
def test_promtool_accepts_the_rules(file: Path) -> None:
    """Every rules file passes promtool's check with every lint on and fatal."""
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("file", rulebook.TEST_FILES, ids=lambda file: file.name)
def test_promtool_tests_pass(file: Path) -> None:
    """Every promtool test of the rules passes."""
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


def test_there_are_rules_and_tests() -> None:
    """The folders of the other tests contain rules, alerts and promtool tests."""
    assert rulebook.RULE_FILES
    assert rulebook.TEST_FILES
    assert {"TrunkJobBroken", "TrunkwatchExporterDown", "TrunkwatchWatchdog"} <= set(ALERTS)


@for_each("alert", ALERTS)
def test_every_alert_is_expected_to_fire(alert: str) -> None:
    """Some promtool test expects the alert to fire, with its labels and annotations."""
    firing = [
        case
        for case in rulebook.promtool_cases()
        if case["alertname"] == alert and case["exp_alerts"]
    ]
    assert firing
    for expected in (expected for case in firing for expected in case["exp_alerts"]):
        assert set(expected["exp_annotations"]) == set(ALERTS[alert]["annotations"])


@for_each("alert", sorted(set(ALERTS) - {"TrunkwatchWatchdog"}))  # it is never silent
def test_every_alert_is_expected_to_be_silent(alert: str) -> None:
    """Some promtool test expects the alert not to fire."""
    assert any(
        case["alertname"] == alert and not case["exp_alerts"] for case in rulebook.promtool_cases()
    )


@for_each("alert", ALERTS)
def test_every_alert_has_a_runbook(alert: str) -> None:
    """The runbook is named as the alert and has the four headings, each followed by text."""
    lines = (rulebook.RUNBOOKS / f"{alert}.md").read_text().splitlines()
    assert lines[0] == f"# {alert}"
    headings = [number for number, line in enumerate(lines) if line.startswith("## ")]
    assert [lines[number] for number in headings] == [
        "## Meaning",
        "## Impact",
        "## Diagnosis",
        "## Mitigation",
    ]
    for start, end in zip(headings, [*headings[1:], len(lines)], strict=True):
        assert "".join(lines[start + 1 : end]).strip(), f"nothing under {lines[start]}"


def test_every_runbook_belongs_to_an_alert() -> None:
    """There is no runbook without an alert."""
    assert {file.stem for file in rulebook.RUNBOOKS.iterdir()} == set(ALERTS)


@for_each("alert", ALERTS)
def test_every_alert_is_described(alert: str) -> None:
    """The alert has a summary, a description, a runbook's URL, and a title, alone or as a line."""
    annotations = ALERTS[alert]["annotations"]
    for name in ("summary", "description"):
        assert annotations[name].strip()
    assert annotations.get("title", "").strip() or '"Title: $1' in ALERTS[alert]["expr"]
    assert annotations["runbook_url"] == RUNBOOK_URL.format(alert)


@for_each("alert", sorted(set(ALERTS) - OF_A_JOB))
def test_an_alert_of_no_job_can_be_routed(alert: str) -> None:
    """Alerts that concern no job have team trunk and the severity of their priority."""
    labels = ALERTS[alert]["labels"]
    assert labels["team"] == "trunk"
    assert labels["severity"] == SEVERITIES[labels["priority"]]
    assert ALERTS[alert]["annotations"]["title"].startswith(f"[{labels['priority']}] ")


def test_a_broken_job_s_alert_adds_only_what_its_group_decides() -> None:
    """TrunkJobBroken removes the label that only annotations read, so that labels are stable."""
    # The outermost join keeps the labels of a job and this one; the calls after it add what stays.
    rule = ALERTS["TrunkJobBroken"]
    before, join, after = re.split(r"group_left \((\w+)\) label_replace", rule["expr"], maxsplit=1)
    assert "group_left" not in before
    assert rule["labels"] == {join: ""}
    added = re.findall(r'"(\w+)", "[^"]*", "(\w*)", "[^"]*"\)', after.rpartition('"lines"')[2])
    assert {name for name, _ in added} == {"severity", "namespace"}
    assert {source for _, source in added} == {"group", "priority", ""}


def test_a_silent_job_pages_nobody() -> None:
    """TrunkJobSilent has its job's team and, instead of the job's priority, always P3."""
    assert ALERTS["TrunkJobSilent"]["labels"] == {"priority": "P3", "severity": "notice"}
    assert ALERTS["TrunkJobSilent"]["annotations"]["title"].startswith("[P3] ")


def test_every_series_a_rule_reads_exists(families: Mapping[str, set[str]]) -> None:
    """Expressions read families of the catalogue by existing labels, or recorded series."""
    check_names([rule["expr"] for rule in rulebook.rules()], families)


def test_every_series_an_annotation_reads_exists(families: Mapping[str, set[str]]) -> None:
    """Queries in labels and annotations read families of the catalogue or recorded series."""
    templates = [
        template
        for alert in ALERTS.values()
        for template in (*alert["labels"].values(), *alert["annotations"].values())
    ]
    queries = [query for template in templates for query in rulebook.template_queries(template)]
    assert queries
    check_names(queries, families)


@for_each("alert", ALERTS)
def test_every_series_a_runbook_reads_exists(alert: str, families: Mapping[str, set[str]]) -> None:
    """The runbook has queries, and they read existing series."""
    queries = rulebook.runbook_queries(alert)
    assert queries
    check_names(queries, families)


def test_rules_keep_our_labels_only(families: Mapping[str, set[str]]) -> None:
    """A family is read through an aggregation that keeps only the family's own labels."""
    read = {
        selection
        for rule in rulebook.rules()
        for selection in rulebook.selections(rule["expr"])
        if selection.name in families
    }
    assert read
    for selection in read:
        assert selection.kept is not None, f"{selection.name} is read with its instance"
        assert selection.kept <= families[selection.name], selection


def test_the_rules_are_those_of_their_template() -> None:
    """`python rules/build.py` would change nothing."""
    assert build.outdated() == []


def test_every_selector_is_of_one_trunkwatch(families: Mapping[str, set[str]]) -> None:
    """The rules of a selector read nothing without it, and record under their name."""
    which = build.Which('cluster="%d\\\\",job=~"a|b"', 'pod="t"', 'process="c"', "two")
    labels = {"tickets": {"pod"}, "confirm": {"process"}}
    groups = yaml.safe_load(build.render(which))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert all(rule.get("labels", {}).get("trunkwatch") == "two" for rule in rules)
    queries = [rule["expr"] for rule in rules]
    for rule in rules:
        for text in rule.get("annotations", {}).values():
            queries += rulebook.template_queries(text.replace("%%", "%"))
    for selection in (each for query in queries for each in rulebook.selections(query)):
        if selection.name in families or selection.name == "up":
            program = re.sub("trunkwatch_([a-z]+)_.*", r"\1", selection.name)
            expected = [labels.get(program, {"cluster", "job"})]
            if selection.name == "up":
                expected += labels.values()
            assert any(each <= selection.matched for each in expected), selection
        else:
            assert "trunkwatch" in selection.matched, selection


@pytest.mark.parametrize("selector", ["", "job", "{job='a'}", 'job="a"} or {x="y"'])
def test_a_selector_is_label_matchers(selector: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other text is an error that shows what would be right."""
    with pytest.raises(SystemExit):
        build.main(["--selector", selector, "--output", "/dev/null"])
    assert 'such as job="ci"' in capsys.readouterr().err


def test_an_alert_costs_no_query() -> None:
    """A query would be evaluated for each broken job: with twenty an evaluation took too long."""
    texts = ALERTS["TrunkJobBroken"]["annotations"].values()
    assert [query for text in texts for query in rulebook.template_queries(text)] == []


def test_recorded_series_are_read_by_something() -> None:
    """Every recorded series is read by a rule, an annotation or a dashboard."""
    texts = [rule["expr"] for rule in rulebook.rules()]
    texts += [target["expr"] for file in FILES for _, target in targets(load(file))]
    texts += [text for alert in ALERTS.values() for text in alert["annotations"].values()]
    words = "\n".join(texts)
    assert [name for name in sorted(rulebook.recorded()) if name not in words] == []


def test_a_query_that_cannot_be_read_is_an_error() -> None:
    """An annotation's query that is neither a literal nor a printf is refused."""
    with pytest.raises(ValueError, match="not a literal"):
        rulebook.template_queries("{{ with $labels.job_name | query }}{{ end }}")


def check_names(queries: list[str], families: Mapping[str, set[str]]) -> None:
    recorded_labels = families["ci_job_broken"] | {"source", "outcome", "trunkwatch"}
    for query in queries:
        for selection in rulebook.selections(query):
            if selection.name in families:
                known = families[selection.name] | PROMETHEUS_LABELS
            elif selection.name in rulebook.recorded():
                known = recorded_labels
            else:
                assert selection.name in FOREIGN, f"{selection.name} does not exist: {query}"
                known = FOREIGN[selection.name]
            assert selection.matched <= known, f"no such label: {query}"
