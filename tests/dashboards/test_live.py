"""The dashboard's queries in a real Prometheus: now, in a scrape gap, and after it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboards import incident, model, server
from tests.dashboards.incident import END, FIRST_BAD, FRAMEWORK, HOUR, MINUTE, STALE, START
from tests.support.engines import PAIRS

pytestmark = pytest.mark.live

TRUNK = model.load(model.FOLDER / "trunk.json")
INSTANT = {name: target for name, target in model.targets(TRUNK) if target["instant"]}
VARIABLES = {n: v for n, v in model.variables(TRUNK).items() if v["type"] == "query"}

JOB = set(incident.INDUCTOR)
EXPECTED_LABELS = {
    "Broken jobs A": set(),
    "Data age A": {"repo", "branch"},
    "Source up A": {"source"},
    "Commits since green A": {"repo", "branch"},
    "What is broken now A": JOB,
    "What is broken now B": JOB,
    "What is broken now C": JOB,
    "What is broken now D": JOB | {"first_bad", "last_good", "url"},
    "Suspect commits A": JOB | {"sha", "author", "title"},
    "One commit broke most jobs A": {"repo", "branch"},
    "Silent jobs A": {"repo", "branch"},
    "Removed while broken A": {"repo", "branch"},
    "Outages older than the window A": {"repo", "branch"},
    "Exporters A": {"version"},
    "Quota left A": {"source"},
    "Jobs refused A": set(),
    "Webhooks of the last hour A": {"outcome"},
    "Configuration A": set(),
    "Storage A": set(),
    "Unread commits A": {"source"},
    "Unknown results A": {"conclusion"},
    "Tickets A": {"peer"},
    "Alerts that fire A": {"alertname", "priority", "team", "group", "repo", "branch"},
}

# The hold, plus the five minutes for which Prometheus returns the last sample of a series without
# a staleness marker. Imported samples have no such marker.
HELD = END + 29 * MINUTE
FORGOTTEN = END + 37 * MINUTE
GAP = END + 10 * MINUTE

Row = dict[str, Any]


@pytest.fixture(scope="module", params=PAIRS)
def prometheus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[server.Prometheus]:
    """Yield a Prometheus that holds the incident."""
    folder = tmp_path_factory.mktemp("prometheus")
    storage = server.seed(incident.openmetrics(), folder, request.param)
    with server.running(storage, request.param) as running:
        yield running


def answers(
    prometheus: server.Prometheus, name: str, at: float = END, **chosen: str
) -> list[tuple[dict[str, str], float]]:
    """Return the result of a panel's query: labels and value of each series."""
    result = prometheus.query(model.filled(INSTANT[name]["expr"], **chosen), at)
    return [(series["metric"], float(series["value"][1])) for series in result]


def numbers(
    prometheus: server.Prometheus, name: str, label: str, at: float = END, **chosen: str
) -> dict[str, float]:
    """Return the values of a panel's query by one label."""
    return {labels[label]: value for labels, value in answers(prometheus, name, at, **chosen)}


def rows(prometheus: server.Prometheus, title: str, at: float = END, **chosen: str) -> list[Row]:
    """Return a table's rows as Grafana's `merge` and `organize` make them, by header."""
    shown = model.panel(TRUNK, title)
    organize = next(t["options"] for t in shown["transformations"] if t["id"] == "organize")
    several = len(shown["targets"]) > 1
    merged: dict[tuple[str, ...], Row] = {}
    for target in shown["targets"]:
        value_column = f"Value #{target['refId']}" if several else "Value"
        for labels, value in answers(prometheus, f"{title} {target['refId']}", at, **chosen):
            key = tuple(labels[name] for name in (*sorted(JOB), *(() if several else ("sha",))))
            row = merged.setdefault(key, {})
            assert value_column not in row, f"two values for one row: {labels}"
            row |= labels | {value_column: value}
    headers = organize["renameByName"]
    kept = [
        {k: v for k, v in r.items() if k not in organize["excludeByName"]} for r in merged.values()
    ]
    return [{headers[name]: row[name] for name in headers if name in row} for row in kept]


INDUCTOR_ROW = {
    "Group": "inductor",
    "Team": "broken-inductor",
    "Priority": "P2",
    "Workflow": "inductor",
    "Job": "linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench)",
    "Failures": 3,
    "Streak": 3,
    "First bad": FIRST_BAD,
    "Last good": incident.LAST_GOOD,
    "Suspects": 2,
    "First failing run": incident.URL,
    "Repo": FRAMEWORK,
    "Branch": "main",
}
FLAKY_ROW = {
    "Group": "default",
    "Team": "trunk",
    "Priority": "P3",
    "Workflow": "nightly",
    "Job": "docs / build",
    "Failures": 5,
    "Streak": 0,
    "First bad": incident.BAD_BEFORE,
    "Last good": "unknown",
    "First failing run": incident.URL,
    "Repo": FRAMEWORK,
    "Branch": "main",
}


def by_priority(table: list[Row]) -> list[Row]:
    """Return the rows in the order of the table's own first sort key."""
    return sorted(table, key=lambda row: str(row["Priority"]))


def by_place(table: list[Row]) -> list[Row]:
    """Return suspects oldest first; Prometheus does not sort them."""
    return sorted(table, key=lambda row: float(row["#"]))


def test_every_instant_query_has_expected_labels() -> None:
    """The test below covers every query of the dashboard."""
    assert set(INSTANT) == set(EXPECTED_LABELS)


@pytest.mark.parametrize("name", INSTANT)
def test_a_query_answers_with_our_labels_alone(prometheus: server.Prometheus, name: str) -> None:
    """The result has each series once, without warnings and without instance or scrape job."""
    found = [frozenset(labels.items()) for labels, _ in answers(prometheus, name)]
    assert found
    assert len(set(found)) == len(found)
    for labels in found:
        assert set(dict(labels)) == EXPECTED_LABELS[name]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("repo", [FRAMEWORK, STALE]),
        ("branch", ["main"]),
        ("group", ["core", "default", "inductor", "unsorted"]),
    ],
)
def test_a_variable_lists_what_there_is(
    prometheus: server.Prometheus, name: str, values: list[str]
) -> None:
    """The choices are the values that jobs have in the range."""
    series, label = model.label_values(VARIABLES[name]["query"])
    found = prometheus.label_values(model.filled(series), label, START, END)
    assert sorted(found) == values


def test_the_groups_are_those_of_the_chosen_repo(prometheus: server.Prometheus) -> None:
    """A choice of a repo narrows the choice of groups."""
    series, label = model.label_values(VARIABLES["group"]["query"])
    asked = model.filled(series, repo=STALE)
    assert prometheus.label_values(asked, label, START, END) == ["default"]


def test_the_table_lists_the_broken_jobs(prometheus: server.Prometheus) -> None:
    """Each broken job has one row with all its values; an unknown number has no cell."""
    assert by_priority(rows(prometheus, "What is broken now")) == [INDUCTOR_ROW, FLAKY_ROW]


def test_the_table_obeys_the_group(prometheus: server.Prometheus) -> None:
    """With one group chosen, only its jobs are listed."""
    assert rows(prometheus, "What is broken now", group="inductor") == [INDUCTOR_ROW]
    assert rows(prometheus, "What is broken now", group="core") == []


def test_a_job_is_listed_from_its_third_failure_on(prometheus: server.Prometheus) -> None:
    """At a streak of two the job is not in the table; at three it is."""
    third = END - HOUR
    before = rows(prometheus, "What is broken now", third - 1, group="inductor")
    after = rows(prometheus, "What is broken now", third, group="inductor")
    assert before == []
    assert [row["Failures"] for row in after] == [3]


def test_a_job_that_changed_its_group_is_listed_once(prometheus: server.Prometheus) -> None:
    """The rows of a job's former group disappear with the first scrape after the change."""
    for at in (END, GAP):
        assert rows(prometheus, "What is broken now", at, group="unsorted") == []
        assert rows(prometheus, "What is broken now", at, group="default") == [FLAKY_ROW]


def test_a_job_has_one_row_while_its_replicas_differ(
    prometheus: server.Prometheus,
) -> None:
    """While only one replica has read a late result, the values of one replica are shown."""
    at = incident.LATE_RESULT + MINUTE
    expr = model.filled("ci_job_outage_info{first_bad!='', group='inductor'}")
    found = {series["metric"]["first_bad"] for series in prometheus.query(expr, at)}
    assert found == {incident.BAD_BEFORE, FIRST_BAD}
    (row,) = rows(prometheus, "What is broken now", at, group="inductor")
    assert row["First bad"] in found


def test_the_suspects_are_named_in_order(prometheus: server.Prometheus) -> None:
    """Each suspect has a row with its place, commit, author and title."""
    table = by_place(rows(prometheus, "Suspect commits"))
    assert [(row["#"], row["Commit"], row["Author"], row["Title"]) for row in table] == [
        (1, incident.FIRST_SUSPECT, "author-a", "Fuse pointwise kernels"),
        (2, incident.FIRST_BAD, "author-b", "Bump the compiler pin"),
    ]
    assert {row["Job"] for row in table} == {incident.INDUCTOR["job_name"]}


def test_the_count_of_broken_jobs(prometheus: server.Prometheus) -> None:
    """Two replicas count a job once; a healthy group counts 0, not no data."""
    assert answers(prometheus, "Broken jobs A") == [({}, 2)]
    assert answers(prometheus, "Broken jobs A", group="core") == [({}, 0)]


def test_nothing_old_looks_green(prometheus: server.Prometheus) -> None:
    """A trunk with stale data shows its age, and neither "none broken" nor "green"."""
    # The age is that of the replica that is behind.
    assert answers(prometheus, "Broken jobs A", repo=STALE) == []
    assert numbers(prometheus, "Commits since green A", "repo") == {FRAMEWORK: 7}
    assert numbers(prometheus, "Data age A", "repo") == {FRAMEWORK: 90, STALE: HOUR}


@pytest.mark.parametrize(
    ("age", "said"),
    [(900, [({}, 0)]), (901, []), (3 * 600, [({}, 0)]), (3 * 600 + 1, [])],
    ids=["at the limit", "past the limit", "at three polls", "past three polls"],
)
def test_a_zero_is_believed_until_the_data_is_stale(
    prometheus: server.Prometheus, age: int, said: list[tuple[dict[str, str], float]]
) -> None:
    """A zero is shown up to the age at which the alert fires, and not a second longer."""
    # Polls were a minute apart at first, then ten minutes: three of those are the longer limit.
    at = incident.LAST_REFRESH_OF_STALE + age
    assert answers(prometheus, "Broken jobs A", at, repo=STALE) == said


def test_sources_are_up_or_down(prometheus: server.Prometheus) -> None:
    """A failing source has value 0, even if only one replica cannot read it."""
    assert numbers(prometheus, "Source up A", "source") == {"ci": 1, "mirror": 0}


@pytest.mark.parametrize(
    ("name", "label", "said"),
    [
        # The trunk with stale data has no 0, since its state is unknown.
        ("One commit broke most jobs A", "repo", {FRAMEWORK: 1}),
        ("Silent jobs A", "repo", {FRAMEWORK: 1}),
        ("Outages older than the window A", "repo", {FRAMEWORK: 1}),
        ("Removed while broken A", "repo", {FRAMEWORK: 1}),
        ("Exporters A", "version", {"1.2.3": 2}),
        ("Quota left A", "source", {"ci": 0.2}),
        ("Alerts that fire A", "alertname", {"TrunkJobBroken": 1}),
    ],
)
def test_what_stands_behind_the_alerts(
    prometheus: server.Prometheus, name: str, label: str, said: dict[str, float]
) -> None:
    """Each tile counts a job, a quota and an exporter once, whatever the replicas."""
    assert numbers(prometheus, name, label) == said


def test_only_a_mass_breakage_is_held(prometheus: server.Prometheus) -> None:
    """In a gap a mass breakage is held, and the other tiles have no data."""
    assert numbers(prometheus, "One commit broke most jobs A", "repo", HELD) == {FRAMEWORK: 1}
    for name in ("Silent jobs A", "Removed while broken A", "Webhooks of the last hour A"):
        assert answers(prometheus, name, HELD) == []


def test_a_gap_changes_no_row(prometheus: server.Prometheus) -> None:
    """In a gap of scrapes the table keeps the values of the last scrape."""
    # Values of the old exporter do not reappear: neither the fixed job, nor a former group, nor a
    # dropped suspect.
    at_end = by_priority(rows(prometheus, "What is broken now"))
    assert by_priority(rows(prometheus, "What is broken now", GAP)) == at_end
    assert by_priority(rows(prometheus, "What is broken now", HELD)) == at_end
    suspects = by_place(rows(prometheus, "Suspect commits"))
    assert by_place(rows(prometheus, "Suspect commits", GAP)) == suspects
    assert by_place(rows(prometheus, "Suspect commits", HELD)) == suspects


def test_in_a_gap_only_bad_news_is_kept(prometheus: server.Prometheus) -> None:
    """In a gap broken jobs still count and the age grows; no source is up and no group green."""
    assert answers(prometheus, "Broken jobs A", HELD) == [({}, 2)]
    assert answers(prometheus, "Broken jobs A", HELD, group="core") == []
    assert answers(prometheus, "Source up A", GAP) == []
    assert answers(prometheus, "Commits since green A", HELD) == []
    age = numbers(prometheus, "Data age A", "repo", GAP)
    assert age == {FRAMEWORK: 90 + GAP - END, STALE: HOUR + GAP - END}


@pytest.mark.parametrize("name", INSTANT)
def test_after_the_hold_nothing_is_claimed(prometheus: server.Prometheus, name: str) -> None:
    """After the hold every panel has no data."""
    assert answers(prometheus, name, FORGOTTEN) == []


def test_the_trend_draws_the_jobs_that_failed(prometheus: server.Prometheus) -> None:
    """One line for each job that failed in the range, from its zeros on; none for a green job."""
    (target,) = model.panel(TRUNK, "Failing commits in a row")["targets"]
    found = prometheus.query_range(model.filled(target["expr"]), START, END)
    assert all(set(series["metric"]) == JOB for series in found)
    lines = {s["metric"]["job_name"]: [float(v) for _, v in s["values"]] for s in found}
    assert set(lines) == {
        j["job_name"]
        for j in (incident.INDUCTOR, incident.FLAKY, incident.REPAIRED, incident.CLIMBING)
    }
    assert len(found) == 4
    inductor = lines[incident.INDUCTOR["job_name"]]
    assert len(inductor) == 6 * 60 + 1
    assert (inductor[0], inductor[-1], max(inductor)) == (0, 3, 3)
    assert inductor == sorted(inductor)


def test_the_trend_of_a_range_without_failures_is_empty(prometheus: server.Prometheus) -> None:
    """A job that failed before the range, and is green in it, is not drawn."""
    (target,) = model.panel(TRUNK, "Failing commits in a row")["targets"]
    expr = model.filled(target["expr"], __range="15m", group="default")
    assert prometheus.query_range(expr, END - 15 * MINUTE, END) == []
    expr = model.filled(target["expr"], __range="15m", group="core")
    (line,) = prometheus.query_range(expr, END - 15 * MINUTE, END)
    assert line["metric"]["job_name"] == incident.CLIMBING["job_name"]
