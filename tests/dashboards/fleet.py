"""Trunks of which some jobs are broken: for the size of a dashboard, and its answers.

Each fleet has a scrape job and a name of its rules, so that one Prometheus has all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.dashboards.incident import END, HOUR, MINUTE
from tests.dashboards.series import Labels, Series, recorded

EVERY = 4 * MINUTE
"""Seconds between samples: less than the time for which Prometheus returns the last one."""

DAY = 24 * HOUR
START = END - DAY
N = 3


@dataclass(frozen=True, slots=True)
class Fleet:
    """Trunks with jobs.

    Attributes:
        name: the scrape job, and the label `trunkwatch` of what the rules record.
        broken: number of broken jobs; they have been so for a day.
        healthy: number of other jobs.
        repos: number of trunks among which the jobs are divided.
        groups: number of groups of each trunk.
        age: of the data, in seconds.
    """

    name: str
    broken: int
    healthy: int = 5
    repos: int = 1
    groups: int = 5
    age: int = 30

    def labels(self, number: int) -> Labels:
        """Return the labels of a job."""
        group = number % self.groups
        return {
            "repo": f"org/repo-{number % self.repos}",
            "branch": "main",
            "workflow": "ci",
            "job_name": f"{self.name} / test (shard, {number})",
            "group": f"group-{group}",
            "team": f"team-{group}",
            "priority": "P2",
        }

    def first_bad(self, number: int) -> str:
        """Return the hash of a broken job's first bad commit."""
        return f"{number:040x}"

    def chosen(self) -> dict[str, str]:
        """Return the choice of this fleet alone on a dashboard."""
        one = {name: self.labels(0)[name] for name in ("workflow", "job_name")}
        return {"job": self.name, "trunkwatch": self.name, "__range": "24h", **one}


def series(fleet: Fleet) -> Iterator[Series]:
    """Yield what the exporter exposes of a fleet."""
    for number in range(fleet.broken + fleet.healthy):
        labels, is_broken = fleet.labels(number), float(number < fleet.broken)
        for name, value in (
            ("broken", is_broken),
            ("failures_in_outage", (number + N) * is_broken),
            ("consecutive_failures", (number + N) * is_broken),
            ("failures_to_open", N),
            ("known_broken", 0),
            ("mostly_flaky", 0),
            ("streak_truncated", 0),
        ):
            yield Series(f"ci_job_{name}", labels, lambda _, v=value: v)  # type: ignore[misc]
        if is_broken:
            yield from outage(fleet, number)
    for number in range(fleet.repos):
        trunk = {"repo": f"org/repo-{number}", "branch": "main"}
        yield Series("ci_branch_up", trunk, lambda _: 1)
        yield Series("ci_branch_data_doubtful", trunk, lambda _: 0)
        yield Series("ci_branch_data_timestamp_seconds", trunk, lambda now: now - fleet.age)
    for name, labels in (
        ("build_info", {"version": "1"}),
        ("source_up", {"source": "ci"}),
    ):
        yield Series(f"trunkwatch_{name}", labels, lambda _: 1)
    yield Series("trunkwatch_source_poll_interval_seconds", {"source": "ci"}, lambda _: 60)


def outage(fleet: Fleet, number: int) -> Iterator[Series]:
    """Yield the facts and two suspects of an outage."""
    labels, sha, author = fleet.labels(number), fleet.first_bad(number), f"author-{number}"
    facts = (
        f"Occurred at: 2025-12-08 18:00 UTC\\nFirst bad: {sha}\\nCommits: https://ci.example/commit/"
        "\\nSuspects: 2"
    )
    shown = {
        "first_bad": sha,
        "last_good": f"{number + 8192:040x}",
        "url": f"https://ci.example/runs/{number}",
        "failed_step": "Test",
        "author": author,
        "title": f"Change {number}",
        "facts": facts,
    }
    yield Series("ci_job_outage_info", labels | shown, lambda _: START)
    yield Series("ci_job_broken_since_timestamp_seconds", labels, lambda _: START)
    for place, commit in enumerate((f"{number + 4096:040x}", sha), 1):
        suspect = {"sha": commit, "author": author, "title": f"Change {number}"}
        suspect["result"] = "failed" if commit == sha else "did not run"
        yield Series("ci_job_suspect_info", labels | suspect, lambda _, p=place: p)  # type: ignore[misc]


def all_series(fleet: Fleet) -> list[Series]:
    """Return every series of a fleet, with those that the rules record, and its target's labels."""
    scraped = list(series(fleet))
    own = {"job": fleet.name, "instance": "a"}
    found = [Series(s.name, s.labels | own, s.value) for s in scraped]
    for each in recorded(scraped, END, fresh=fleet.age <= 900):
        labels = each.labels | {"trunkwatch": fleet.name}
        found.append(Series(each.name, labels, each.value, is_recorded=True))
    watchdog = {"alertname": "TrunkwatchWatchdog", "alertstate": "firing", "trunkwatch": fleet.name}
    return [*found, Series("ALERTS", watchdog, lambda _: 1, is_recorded=True)]


def samples(each: Series) -> Iterator[str]:
    """Yield the samples of a series: of a job those of the last hour, of a trunk those of a day."""
    begin = END - (HOUR if "job_name" in each.labels else DAY)
    text = ",".join(f'{name}="{value}"' for name, value in each.labels.items())
    for now in range(begin, END + 1, EVERY):
        value = each.value(now)
        if value is not None:
            yield f"{each.name}{{{text}}} {value} {now}"
