"""The queries of all dashboards in a real Prometheus: now, in a scrape gap, and after it."""

import re
from typing import Any

import pytest

from tests.dashboards import incident, model, server
from tests.dashboards.conftest import FLEETS
from tests.dashboards.incident import END, FIRST_BAD, FRAMEWORK, HOUR, MINUTE, STALE, START
from tests.dashboards.reading import JOB, Row, Shown

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("dashboards")]

DASHBOARDS = {file.stem: model.load(file) for file in model.FILES}
TRUNK = DASHBOARDS["trunk"]
QUERIES = {
    f"{file}: {name}": target
    for file, dashboard in DASHBOARDS.items()
    for name, target in (*model.targets(dashboard), *model.annotations(dashboard))
}
INCIDENT = {"job": "trunkwatch", "trunkwatch": ""}

# The hold, plus the five minutes for which Prometheus returns the last sample of a series without
# a staleness marker. Imported samples have no such marker.
HELD = END + 29 * MINUTE
FORGOTTEN = END + 37 * MINUTE
GAP = END + 10 * MINUTE

# Panels of the past outlive the hold.
REMEMBERED = {
    "trunk: Recent outages A",
    "job: Outages that ended A",
    "trunk: Share of time green, 7 days A",
}


@pytest.fixture
def trunk(prometheus: server.Prometheus) -> Shown:
    """Return the dashboard Trunk over the incident."""
    return Shown(prometheus, "trunk", **INCIDENT)


def run(
    prometheus: server.Prometheus, target: dict[str, Any], at: float, **chosen: str
) -> list[dict[str, Any]]:
    """Return the series of a query, as Grafana asks for it."""
    expr = model.filled(target["expr"], **chosen)
    if target.get("instant"):
        return prometheus.query(expr, at)
    return prometheus.query_range(expr, at - HOUR, at)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_answers_with_our_labels_alone(prometheus: server.Prometheus, name: str) -> None:
    """It has series, each once, without warnings and without instance or scrape job."""
    found = [
        frozenset(s["metric"].items()) for s in run(prometheus, QUERIES[name], END, **INCIDENT)
    ]
    assert found
    assert len(set(found)) == len(found)
    assert not {"instance", "job", "__name__"} & {label for labels in found for label, _ in labels}


@pytest.mark.parametrize("name", sorted(FLEETS))
def test_every_query_runs_on_any_number_of_broken_jobs(
    prometheus: server.Prometheus, name: str
) -> None:
    """With 0, 1, 25 and 100 broken jobs, on one trunk or 20, no query fails or has a row twice."""
    for target in QUERIES.values():
        found = run(prometheus, target, END, **FLEETS[name].chosen())
        assert len({str(sorted(s["metric"].items())) for s in found}) == len(found)


@pytest.mark.parametrize(
    "name", [n for n, t in QUERIES.items() if t.get("instant") and n not in REMEMBERED]
)
def test_after_the_hold_nothing_is_claimed(prometheus: server.Prometheus, name: str) -> None:
    """After the hold no panel of the present has anything but its text for no data."""
    assert run(prometheus, QUERIES[name], FORGOTTEN, **INCIDENT) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("repo", [FRAMEWORK, STALE]),
        ("branch", ["main"]),
        ("team", ["broken-inductor", "core-team", "trunk"]),
        ("group", ["core", "default", "inductor", "unsorted"]),
    ],
)
def test_a_variable_lists_what_there_is(
    prometheus: server.Prometheus, name: str, values: list[str]
) -> None:
    """The choices are the values that jobs have in the range."""
    series, label = model.label_values(model.variables(TRUNK)[name]["query"])
    found = prometheus.label_values(model.filled(series, **INCIDENT), label, START, END)
    assert sorted(found) == values
    only = prometheus.label_values(model.filled(series, **INCIDENT, repo=STALE), label, START, END)
    assert name == "repo" or set(only) < set(values) or values == ["main"]


INDUCTOR_ROW = {
    "Job": "linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench)",
    "Since": "1h 0m",
    "Failures": 3,
    "N": 3,
    "First bad by": "author-b",
    "Commit": incident.COMMITS + FIRST_BAD,
    "Failed step": "Test",
    "Run": incident.URL,
    "Suspects": "2",
    "Running": 1,
    "State": "broken",
    "Team": "broken-inductor",
    "Priority": "P2",
    "Workflow": "inductor",
    "Repo": FRAMEWORK,
    "Branch": "main",
    "Opened (UTC)": "2025-12-09 17:00 UTC",
    "Commit title": "Bump the compiler pin",
}
FLAKY_ROW = {
    "Job": "docs / build",
    "Since": "5h 0m",
    "Failures": 5,
    "N": 3,
    "First bad by": "author-b, or earlier",
    # Without an address of commits the page opens.
    "Commit": f"http://localhost:10077/#{incident.BAD_BEFORE}",
    "Failed step": "Test",
    "Run": incident.URL,
    "Suspects": "–",
    "State": "known broken",
    "Team": "trunk",
    "Priority": "P3",
    "Workflow": "nightly",
    "Repo": FRAMEWORK,
    "Branch": "main",
    "Opened (UTC)": "–",
    "Commit title": "Bump the compiler pin",
}


def by_priority(table: list[Row]) -> list[Row]:
    """Return the rows in the order of the table's own second sort key."""
    return sorted(table, key=lambda row: str(row["Priority"]))


def test_the_table_lists_the_broken_jobs(trunk: Shown) -> None:
    """Each broken job has one row with all its facts and its state."""
    assert by_priority(trunk.rows("Broken now")) == [INDUCTOR_ROW, FLAKY_ROW]


def test_the_table_obeys_group_and_team(trunk: Shown) -> None:
    """With one group or team chosen, only its jobs are listed."""
    assert trunk.rows("Broken now", group="inductor") == [INDUCTOR_ROW]
    assert trunk.rows("Broken now", team="trunk") == [FLAKY_ROW]


def test_a_job_is_listed_from_its_third_failure_on(trunk: Shown) -> None:
    """At a streak of two the job is not in the table; at three it is."""
    third = END - HOUR
    before = trunk.answers("Broken now C", third - 1, group="inductor")
    ((_, failures),) = trunk.answers("Broken now C", third, group="inductor")
    assert (before, failures) == ([], 3)


def test_a_job_has_one_row_while_its_replicas_differ(trunk: Shown) -> None:
    """While only one replica has read a late result, the newer facts are shown."""
    (row,) = trunk.rows("Broken now", incident.LATE_RESULT + MINUTE, group="inductor")
    assert row["Commit"].endswith(FIRST_BAD)


def test_a_gap_changes_no_row(trunk: Shown) -> None:
    """In a gap of scrapes the table keeps the jobs of the last scrape, and their facts."""
    for at in (GAP, HELD):
        rows = by_priority(trunk.rows("Broken now", at))
        assert [row["Commit"] for row in rows] == [INDUCTOR_ROW["Commit"], FLAKY_ROW["Commit"]]
        assert [row["State"] for row in rows] == ["broken", "known broken"]
        assert [row["N"] for row in rows] == [3, 3]
    assert trunk.rows("Suspect commits", HELD) == []


def test_the_suspects_are_named_in_order(trunk: Shown) -> None:
    """Each suspect has a row with its place, author, title and a link."""
    table = sorted(trunk.rows("Suspect commits"), key=lambda row: float(row["#"]))
    assert [(row["#"], row["Commit"], row["Author"], row["Title"]) for row in table] == [
        (1, incident.COMMITS + incident.FIRST_SUSPECT, "author-a", "Fuse pointwise kernels"),
        (2, incident.COMMITS + FIRST_BAD, "author-b", "Bump the compiler pin"),
    ]
    assert [row["Result"] for row in table] == ["cancelled, or no result", "failed"]


def test_who_is_on_it_is_a_row_each(trunk: Shown, prometheus: server.Prometheus) -> None:
    """Tickets and silences have rows, and so has a peer that could not be read."""
    rows = {row["Group"]: row for row in trunk.rows("Who is on it", group="default")}
    assert set(rows) == {"? alertmanager could not be read"}
    rows = {row.get("Ticket"): row for row in trunk.rows("Who is on it")}
    assert (rows["#12"]["Assignees"], rows["#12"]["Address"]) == ("author-b", incident.TICKET)
    assert len(trunk.rows("Who is on it")) == 3
    fleet = Shown(prometheus, "trunk", **FLEETS["one"].chosen())
    assert fleet.rows("Who is on it") == []


def test_each_trunk_has_a_row(trunk: Shown) -> None:
    """A trunk is broken, or its data is old; an unknown number is absent."""
    rows = {row["Repo"]: row for row in trunk.rows("Trunks")}
    assert rows[FRAMEWORK] == {
        "Repo": FRAMEWORK,
        "State": "✖ broken",
        "Broken": 2,
        "Since green": 7,
        # The age is that of the replica that is behind.
        "Data age": "1m",
        "Branch": "main",
    }
    assert rows[STALE] == {
        "Repo": STALE,
        "State": "? data is old",
        "Data age": "1h 0m",
        "Branch": "main",
    }


def test_the_count_of_broken_jobs(trunk: Shown) -> None:
    """Replicas count a job once; 0 requires fresh data, and otherwise there is a code."""
    assert trunk.answers("Broken jobs A") == [({}, 2)]
    assert trunk.answers("Broken jobs A", repo=FRAMEWORK, group="core") == [({}, 0)]
    assert trunk.answers("Broken jobs A", repo=STALE) == [({}, -1)]
    assert trunk.answers("Broken jobs A", HELD) == [({}, 2)]
    assert trunk.answers("Broken jobs A", HELD, group="core") == []


@pytest.mark.parametrize(
    ("age", "said"),
    [(900, 0), (901, -1), (3 * 600, 0), (3 * 600 + 1, -1)],
    ids=["at the limit", "past the limit", "at three polls", "past three polls"],
)
def test_a_zero_is_believed_until_the_data_is_stale(trunk: Shown, age: int, said: int) -> None:
    """A zero is shown up to the age at which the alert fires, and not a second longer."""
    # Polls were a minute apart at first, then ten minutes: three of those are the longer limit.
    at = incident.LAST_REFRESH_OF_STALE + age
    assert trunk.answers("Broken jobs A", at, repo=STALE) == [({}, said)]


def test_nothing_broken_not_known_and_no_data_are_different(prometheus: server.Prometheus) -> None:
    """The three have three texts, in the tile and in the tables."""
    seen = {}
    for name in ("none", "old", "nobody"):
        chosen = FLEETS[name].chosen() if name in FLEETS else {"job": name, "trunkwatch": name}
        shown = Shown(prometheus, "trunk", **chosen)
        found = [value for _, value in shown.answers("Broken jobs A")]
        rows = shown.rows("Broken now")
        empty = model.panel(shown.dashboard, "Broken now")["fieldConfig"]["defaults"]["noValue"]
        green = [row.get("Since green") for row in shown.rows("Trunks")]
        seen[name] = (
            shown.text("Broken jobs", found[0] if found else None),
            rows[0]["Job"] if rows else empty,
            green,
        )
    assert seen == {
        "none": ("✔ none", "✔ nothing is broken", ["not configured"]),
        "old": ("? data is old", "? not known: data is old", ["not configured"]),
        "nobody": ("no data", "no data", []),
    }


@pytest.mark.parametrize("name", ["one", "few", "many", "wide"])
def test_the_panels_answer_what_people_ask(prometheus: server.Prometheus, name: str) -> None:
    """Which job, since which commit, by whom, how many suspects, whose, and is it fresh."""
    fleet, shown = FLEETS[name], Shown(prometheus, "trunk", **FLEETS[name].chosen())
    rows = {row["Job"]: row for row in shown.rows("Broken now")}
    assert set(rows) == {fleet.labels(number)["job_name"] for number in range(fleet.broken)}
    for number in range(fleet.broken):
        row = rows[fleet.labels(number)["job_name"]]
        assert row["Commit"] == f"https://ci.example/commit/{fleet.first_bad(number)}"
        assert row["First bad by"] == f"author-{number}"
        assert row["Commit title"] == f"Change {number}"
        assert (row["Suspects"], row["Since"], row["N"]) == ("2", "1d 0h", 3)
        assert row["Failures"] == number + 3
        assert row["Team"] == fleet.labels(number)["team"]
        assert row["Run"] == f"https://ci.example/runs/{number}"
    suspects = shown.rows("Suspect commits")
    assert len(suspects) == 2 * fleet.broken
    assert {row["Commit"] for row in rows.values()} <= {row["Commit"] for row in suspects}
    trunks = shown.rows("Trunks")
    assert {row["State"] for row in trunks} == {"✖ broken"}
    assert sum(row["Broken"] for row in trunks) == fleet.broken
    assert {row["Data age"] for row in trunks} == {"0m"}
    assert shown.answers("Age of the oldest data A") == [({}, 30)]


def test_the_pictures_show_as_many_jobs_as_can_be_read(prometheus: server.Prometheus) -> None:
    """Of 100 broken jobs there are 30 rows, 20 lines, a line for each N, an area per group."""
    shown = Shown(prometheus, "trunk", **FLEETS["many"].chosen())
    lines = {
        name: len(shown.lines(name, END - HOUR // 2, END))
        for name in (
            "How long red A",
            "How long red B",
            "Broken jobs by group A",
            "Failing commits in a row A",
            "Failing commits in a row B",
        )
    }
    assert lines == {
        "How long red A": 1,
        "How long red B": 30,
        "Broken jobs by group A": 5,
        "Failing commits in a row A": 20,
        # One for each N of each group.
        "Failing commits in a row B": 5,
    }


@pytest.mark.parametrize("name", ["How long red B", "Failing commits in a row A"])
def test_a_line_of_the_worst_jobs_ends_where_the_job_is_repaired(trunk: Shown, name: str) -> None:
    """Of the worst job of the range there is the whole line, whichever was worse at a time."""
    (expr,) = (target["expr"] for title, target in model.targets(trunk.dashboard) if title == name)
    every = model.filled(expr)
    jobs = trunk.prometheus.query_range(every, START, END)
    assert len(jobs) > 2
    (worst,) = trunk.prometheus.query_range(re.sub(r"topk\(\d+", "topk(1", every), START, END)
    assert worst in jobs
    measure = max if "max_over_time" in expr else sum
    totals = [measure(float(value) for _, value in job["values"]) for job in jobs]
    assert measure(float(value) for _, value in worst["values"]) == max(totals)


def test_the_trend_draws_the_jobs_that_failed(trunk: Shown) -> None:
    """One line for each job while it fails, and none for a green job; N is the job's own."""
    found = trunk.lines("Failing commits in a row A", START, END)
    lines = {
        labels["job_name"]: values for labels, values in found if labels["group"] != "unsorted"
    }
    failed = (incident.INDUCTOR, incident.REPAIRED, incident.CLIMBING)
    assert set(lines) == {job["job_name"] for job in failed}
    assert all(set(labels) == set(JOB) for labels, _ in found)
    inductor = lines[incident.INDUCTOR["job_name"]]
    assert (inductor[0], inductor[-1], len(inductor)) == (1, 3, 3 * 60 + 1)
    ((_, needed),) = trunk.lines("Failing commits in a row B", START, END, group="inductor")
    assert set(needed) == {3}


def test_an_outage_that_ended_is_listed(trunk: Shown) -> None:
    """Opened, closed, how, for how long, whose, and by which commit."""
    (row,) = trunk.rows("Recent outages")
    assert (row["How"], row["Opened"], row["Closed"]) == (
        "✔ fixed",
        "2025-12-09 14:40 UTC",
        "2025-12-09 17:45 UTC",
    )
    assert (row["Duration"], row["Team"]) == ("3h 5m", "core-team")
    assert row["Fixed by"] == "author-d: Revert it"


def test_closed_rows_say_what_stands_behind_alerts(trunk: Shown) -> None:
    """Silent, removed, truncated and mostly flaky jobs, and a commit that broke most jobs."""
    assert [row["Job"] for row in trunk.rows("Silent jobs")] == [incident.GREEN["job_name"]]
    assert trunk.answers("Removed while broken A") == [({"repo": FRAMEWORK, "branch": "main"}, 1)]
    assert [row["Job"] for row in trunk.rows("Truncated outages")] == ["docs / build"]
    assert [row["Job"] for row in trunk.rows("Mostly flaky")] == [incident.GREEN["job_name"]]
    assert [row["Jobs"] for row in trunk.rows("One commit broke most jobs")] == [5]


def test_the_exporter_s_own_state(prometheus: server.Prometheus) -> None:
    """A source is down even if one replica cannot read it; a part may be not configured."""
    shown = Shown(prometheus, "trunkwatch", **INCIDENT)
    rows = {row["Source"]: row["Up"] for row in shown.rows("Sources")}
    assert rows == {"ci": "✔ up", "mirror": "✖ down"}
    quota = {labels["source"]: value for labels, value in shown.answers("Quota left A")}
    assert quota == {"ci": 0.2, "mirror": -1}
    assert shown.text("Quota left", -1) == "no quota"
    assert shown.text("Tickets", -1) == "not configured"
    assert [labels["version"] for labels, _ in shown.answers("Exporters A")] == ["1.2.3"]


def test_a_job_s_dashboard_tells_its_outage(prometheus: server.Prometheus) -> None:
    """State, streak with N, first bad, last good and addresses of the chosen job alone."""
    job = incident.INDUCTOR
    chosen = {"workflow": job["workflow"], "job_name": job["job_name"]}
    shown = Shown(prometheus, "job", **INCIDENT, **chosen)
    ((_, state),) = shown.answers("State A")
    assert shown.text("State", state) == "✖ broken"
    assert [shown.answers(f"Failing commits in a row, and N {r}")[0][1] for r in "AB"] == [3, 3]
    (row,) = shown.rows("Outage")
    assert (row["Last good"], row["Compare"]) == (incident.LAST_GOOD, incident.COMPARE)
    assert [row["Result"] for row in shown.rows("Suspects")] == [
        "cancelled, or no result",
        "failed",
    ]
    # A job that does not exist is not shown as one that is not broken.
    nothing = Shown(prometheus, "job", **INCIDENT, **(chosen | {"job_name": "another"}))
    assert (nothing.rows("Outage"), nothing.rows("Suspects")) == ([], [])
    # The trunk whose data is old does not pass.
    of_old = {name: incident.GREEN_BUT_OLD[name] for name in ("repo", "workflow", "job_name")}
    old = Shown(prometheus, "job", **INCIDENT, **of_old)
    ((_, state),) = old.answers("State A")
    assert old.text("State", state) == "? data is old"


POINTS = 49
"""Of a graph over a day with 60 data points at most: Grafana takes one in 30 minutes."""


def ranked(expr: str) -> tuple[str, str]:
    """Return the operands of a query of the worst jobs of the range: its lines, and the ranking."""
    found = re.fullmatch(
        r"([^@]+) and on \([^)]+\) (topk\(\d+, max by [^@]+ @ end\(\)\)\)\))", expr
    )
    assert found, expr
    return found[1], found[2]


def samples_of_a_refresh(prometheus: server.Prometheus, name: str) -> int:
    """Return the samples that a refresh of the open panels of Trunk loads.

    A graph over the last hour with the points of a day loads as many samples as one over a day: its
    queries load one for each series and point. Prometheus evaluates an operand with `@ end()` once,
    which its statistics count for each point.
    """
    open_panels = [shown for shown in TRUNK["panels"] if shown["type"] != "row"]
    targets = [t for shown in open_panels for t in shown["targets"]]
    targets += [annotation for _, annotation in model.annotations(TRUNK)]
    step = HOUR / (POINTS - 1)
    chosen = FLEETS[name].chosen() | {"__interval": f"{step:g}s"}
    found = 0
    for each in targets:
        expr = model.filled(each["expr"], **chosen)
        each_point, once = ranked(expr) if "@ end()" in expr else (expr, None)
        start = None if each.get("instant") else END - HOUR
        found += prometheus.samples(each_point, start, END, step)
        if once:
            found += prometheus.samples(once, None, END, step)
    return found


def test_a_refresh_reads_what_is_broken_and_not_what_there_is(
    prometheus: server.Prometheus,
) -> None:
    """Healthy jobs cost nothing, so the figures of the document hold for 10,000 jobs too."""
    found = {name: samples_of_a_refresh(prometheus, name) for name in FLEETS}
    assert found["healthy"] == found["many"]
    text = (model.FOLDER.parent / "docs/dashboards.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ([\d,]+) \|$", text, re.MULTILINE)
    written = {(int(broken), int(trunks)): int(n.replace(",", "")) for broken, trunks, n in rows}
    for name in ("none", "few", "many", "wide"):
        figure = written.pop((FLEETS[name].broken, FLEETS[name].repos))
        assert 0.95 * figure <= found[name] <= figure <= 50_000
    assert not written
