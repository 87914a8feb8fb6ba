"""Six hours of scraped samples of a trunk, as OpenMetrics.

One job is broken by a commit, one is broken and flaky at the tip, one was fixed, one failed once,
one never; a second trunk is green, but its data has not been refreshed for an hour. One job has
been silent for too long, one was removed while broken, and one failed on every commit that was
read; one commit broke most jobs. A quarter of an hour before the end a redeployment replaced the
exporter `old` with two replicas, the second slightly behind; their config moves the flaky job to
another group. Then a late result changed the first bad commit and the suspects.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

END = 1_765_303_200  # 2025-12-09T18:00:00Z
MINUTE = 60
HOUR = 60 * MINUTE
START = END - 6 * HOUR
REDEPLOY = END - 15 * MINUTE
RELOAD = END - 35 * MINUTE
LATE_RESULT = END - 10 * MINUTE
LAST_REFRESH_OF_STALE = END - HOUR

Labels = dict[str, str]
Value = Callable[[int], float | None]


def job(repo: str, workflow: str, name: str, group: str, team: str, priority: str) -> Labels:
    """Return the labels that every family of a job carries."""
    return {
        "repo": repo,
        "branch": "main",
        "workflow": workflow,
        "job_name": name,
        "group": group,
        "team": team,
        "priority": priority,
    }


FRAMEWORK, STALE = "example/framework", "example/stale"
INDUCTOR = job(
    FRAMEWORK,
    "inductor",
    "linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench)",
    "inductor",
    "broken-inductor",
    "P2",
)
FLAKY = job(FRAMEWORK, "nightly", "docs / build", "default", "trunk", "P3")
REPAIRED = job(FRAMEWORK, "pull", "linux-jammy / test (default)", "core", "core-team", "P1")
UNSORTED = FLAKY | {"group": "unsorted"}
GREEN = job(FRAMEWORK, "pull", "linux-jammy / lint", "core", "core-team", "P1")
CLIMBING = job(FRAMEWORK, "pull", "linux-jammy / docs", "core", "core-team", "P1")
GREEN_BUT_OLD = job(STALE, "ci", "build", "default", "trunk", "P3")

LAST_GOOD, FIRST_SUSPECT, FIRST_BAD, BAD_BEFORE = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
URL = "https://ci.example/runs/17"
SUSPECTS = {
    1: {"sha": FIRST_SUSPECT, "author": "author-a", "title": "Fuse pointwise kernels"},
    2: {"sha": FIRST_BAD, "author": "author-b", "title": "Bump the compiler pin"},
}


def always(value: float) -> Value:
    """Return a value that never changes."""
    return lambda _: value


def when(true: Callable[[int], bool], value: float = 1) -> Value:
    """Return `value` while the condition holds, and no sample otherwise."""
    return lambda now: value if true(now) else None


def inductor_streak(now: int) -> float:
    """Rise to three, one commit at a time; the third failure opens the outage."""
    return sum(now >= END - hours * HOUR for hours in (3, 2, 1))


def inductor_failures(now: int) -> float:
    """Count one failure more, until the late result turns it into a pass."""
    return inductor_streak(now) + (END - 30 * MINUTE <= now < LATE_RESULT)


def climbing(now: int) -> float:
    """Fail once, which is no outage."""
    return float(now >= END - 20 * MINUTE)


def old(now: int) -> bool:
    """Return whether the old exporter ran, with its config and before the fix of REPAIRED."""
    return now < REDEPLOY


def new(now: int) -> bool:
    """Return whether the two replicas ran."""
    return not old(now)


@dataclass(frozen=True, slots=True)
class Series:
    """One series without its instance.

    Attributes:
        name: the family.
        labels: its labels.
        value: the sample at a time; None is no sample.
        second: the sample of the second replica, if it differs.
    """

    name: str
    labels: Labels
    value: Value
    second: Value | None = None


def job_series() -> Iterator[Series]:
    """Yield the families of the jobs."""
    streaks: list[tuple[Labels, Value]] = [
        (INDUCTOR, inductor_streak),
        (UNSORTED, lambda now: None if new(now) else 5 if now < END - HOUR else 0),
        (FLAKY, when(new, 0)),
        (REPAIRED, lambda now: 3 if old(now) else 0),
        (CLIMBING, climbing),
        (GREEN, always(0)),
        (GREEN_BUT_OLD, always(0)),
    ]
    broken: list[tuple[Labels, Value]] = [
        (INDUCTOR, lambda now: float(inductor_streak(now) >= 3)),
        (UNSORTED, when(old)),
        (FLAKY, when(new)),
        (REPAIRED, lambda now: float(old(now))),
        (CLIMBING, always(0)),
        (GREEN, always(0)),
        (GREEN_BUT_OLD, always(0)),
    ]
    failures: list[tuple[Labels, Value]] = [
        (INDUCTOR, inductor_failures),
        (UNSORTED, when(old, 5)),
        (FLAKY, when(new, 5)),
        (REPAIRED, lambda now: 3 if old(now) else 0),
        (CLIMBING, always(0)),
        (GREEN, always(0)),
        (GREEN_BUT_OLD, always(0)),
    ]
    yield from (Series("ci_job_consecutive_failures", j, value) for j, value in streaks)
    yield from (Series("ci_job_broken", j, value) for j, value in broken)
    yield from (Series("ci_job_failures_in_outage", j, value) for j, value in failures)


def commit_series() -> Iterator[Series]:
    """Yield the families that name commits and runs."""
    known = {"last_good": LAST_GOOD, "url": URL}
    unknown = {"last_good": "", "url": URL}

    def early(now: int) -> bool:
        return END - HOUR <= now < LATE_RESULT

    def late(now: int) -> bool:
        return now >= LATE_RESULT

    outages: list[tuple[Labels, Value]] = [
        (INDUCTOR | known | {"first_bad": BAD_BEFORE}, when(early)),
        (INDUCTOR | known | {"first_bad": FIRST_BAD}, when(late)),
        (UNSORTED | unknown | {"first_bad": BAD_BEFORE}, when(old)),
        (FLAKY | unknown | {"first_bad": BAD_BEFORE}, when(new)),
        (REPAIRED | known | {"first_bad": BAD_BEFORE}, when(old)),
        (CLIMBING | known | {"first_bad": FIRST_BAD}, when(lambda now: climbing(now) > 0)),
    ]
    yield from (Series("ci_job_outage_info", labels, value) for labels, value in outages)
    counts = {1: early, 2: late}
    yield Series(
        "ci_job_suspect_commits",
        INDUCTOR,
        lambda now: next((count for count, then in counts.items() if then(now)), None),
    )
    dropped = {"sha": BAD_BEFORE, "author": "author-c", "title": "Reword a comment"}
    yield Series("ci_job_suspect_info", INDUCTOR | dropped, when(early, 1))
    for place, commit in SUSPECTS.items():
        yield Series("ci_job_suspect_info", INDUCTOR | commit, when(late, place))


def alert_series() -> Iterator[Series]:
    """Yield what stands behind the alerts that are not of one broken job."""
    branch, stale = {"repo": FRAMEWORK, "branch": "main"}, {"repo": STALE, "branch": "main"}
    for labels in (branch, stale):
        yield Series("ci_branch_mass_breakage", labels, always(float(labels is branch)))
    for labels, last in ((GREEN, START - HOUR), (INDUCTOR, END - HOUR)):
        yield Series("ci_job_last_verdict_timestamp_seconds", labels, always(last))
        yield Series("ci_job_silent_after_seconds", labels, always(3 * HOUR))
    yield Series("ci_job_streak_truncated", FLAKY, when(new))
    yield Series("ci_job_streak_truncated", CLIMBING, climbing)
    removed = branch | {"reason": "removed_broken"}
    yield Series("ci_job_retired_total", removed, lambda now: float(now >= END - 5 * MINUTE))
    yield Series("trunkwatch_jobs_dropped_total", {}, always(0))
    quota = "trunkwatch_source_quota_remaining"
    yield Series(quota, {"source": "ci"}, lambda now: 5000 if now < END - HOUR else 1000)
    deliveries = "trunkwatch_webhook_deliveries_total"
    yield Series(deliveries, {"outcome": "accepted"}, lambda now: (now - START) / MINUTE)
    yield Series("trunkwatch_config_reload_success", {}, always(1))
    yield Series("trunkwatch_storage_up", {}, always(1))
    yield Series("trunkwatch_source_unread_commits", {"source": "ci"}, always(0))
    unknown = branch | {"conclusion": "odd"}
    yield Series("trunkwatch_unknown_conclusions_total", unknown, always(2))
    yield Series("trunkwatch_tickets_up", {"peer": "github"}, always(1))
    yield Series("trunkwatch_build_info", {"version": "1.2.3"}, always(1))
    alert = {"alertname": "TrunkJobBroken", "alertstate": "firing", "severity": "warning"}
    # Prometheus writes this series, so there is one for all replicas.
    fires = when(lambda now: inductor_streak(now) >= 3)
    yield Series("ALERTS", INDUCTOR | alert, fires, second=lambda _: None)


def other_series() -> Iterator[Series]:
    """Yield the families of the trunks and of the sources."""
    framework, stale = {"repo": FRAMEWORK, "branch": "main"}, {"repo": STALE, "branch": "main"}
    data = "ci_branch_data_timestamp_seconds"
    yield Series(data, framework, lambda now: now - 30, second=lambda now: now - 90)
    yield Series(data, stale, lambda now: min(now - 30, LAST_REFRESH_OF_STALE))
    yield Series("ci_branch_commits_since_green", framework, always(7))
    yield Series("ci_branch_commits_since_green", stale, always(0))
    ci, mirror = {"source": "ci"}, {"source": "mirror"}
    yield Series("trunkwatch_source_up", ci, always(1))
    yield Series("trunkwatch_source_up", mirror, always(1), second=always(0))
    polls = "trunkwatch_source_poll_interval_seconds"
    yield Series(polls, ci, always(60))
    yield Series(polls, mirror, lambda now: 60 if now < RELOAD else 600)


def samples(series: Series) -> Iterator[str]:
    """Yield the samples of a series: of the old exporter, then of the replicas."""
    spans = {"old": (START, REDEPLOY), "new-a": (REDEPLOY, END + 1), "new-b": (REDEPLOY, END + 1)}
    for instance, (begin, end) in spans.items():
        labels = series.labels | {"instance": instance, "job": "trunkwatch"}
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        value_at = series.second if instance == "new-b" and series.second else series.value
        for now in range(begin, end, MINUTE):
            value = value_at(now)
            if value is not None:
                yield f"{series.name}{{{text}}} {value} {now}"


def openmetrics() -> str:
    """Return the whole exposition; OpenMetrics requires a family's samples in one block."""
    families: dict[str, list[str]] = {}
    for series in (*job_series(), *commit_series(), *other_series(), *alert_series()):
        families.setdefault(series.name, []).extend(samples(series))
    lines = [
        line for name, sampled in families.items() for line in (f"# TYPE {name} gauge", *sampled)
    ]
    return "\n".join([*lines, "# EOF\n"])
