"""Six hours of scraped samples of a trunk, as OpenMetrics.

One job is broken by a commit, one is broken and flaky at the tip, one was fixed, one failed once,
one never; a second trunk is green, but its data has not been refreshed for an hour. One job has
been silent for too long, one was removed while broken, and one failed on every commit that was
read; one commit broke most jobs. A quarter of an hour before the end a redeployment replaced the
exporter `old` with two replicas, the second slightly behind; their config moves the flaky job to
another group, and exempts it from alerting. Then a late result changed the first bad commit and the
suspects. What the rules record of it comes from `recorded`.
"""

from collections.abc import Callable, Iterator

from tests.dashboards.series import Labels, Series, Value, recorded

END = 1_765_303_200  # 2025-12-09T18:00:00Z
MINUTE = 60
HOUR = 60 * MINUTE
START = END - 6 * HOUR
REDEPLOY = END - 15 * MINUTE
RELOAD = END - 35 * MINUTE
LATE_RESULT = END - 10 * MINUTE
LAST_REFRESH_OF_STALE = END - HOUR


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
TICKET = "https://ci.example/issues/12"
SUSPECTS = {
    1: {
        "sha": FIRST_SUSPECT,
        "author": "author-a",
        "title": "Fuse pointwise kernels",
        "result": "cancelled, or no result",
    },
    2: {
        "sha": FIRST_BAD,
        "author": "author-b",
        "title": "Bump the compiler pin",
        "result": "failed",
    },
}


# As exporter/trunkwatch/metrics/facts.py writes them.
COMMITS = "https://ci.example/commit/"
COMPARE = "https://ci.example/compare/a...c"
FACTS = {
    "url": URL,
    "failed_step": "Test",
    "author": "author-b",
    "title": "Bump the compiler pin",
    "facts": (
        "Occurred at: 2025-12-09 17:00 UTC\\nFirst bad: c\\nFirst bad by: author-b: Bump\\n"
        f"Last good: {LAST_GOOD}\\nFailed step: Test\\nFirst failing run: {URL}\\n"
        f"Commits: {COMMITS}\\nCompare: {COMPARE}\\nSuspects: 2\\n- bbbbbbbbbb author-a: Fuse"
    ),
}
ENDED = {
    "first_bad": BAD_BEFORE,
    "ended": "fixed",
    "facts": (
        "Ended: fixed\\nEnded at: 2025-12-09 17:45 UTC\\nLasted: 3h 5m\\nFixed by: e\\n"
        "Fixed by whom: author-d: Revert it\\nFailures: 3\\nOccurred at: 2025-12-09 14:40 UTC"
    ),
}


def always(value: float) -> Value:
    """Return a value that never changes."""
    return lambda _: value


def when(true: Callable[[int], bool], value: float = 1) -> Value:
    """Return `value` while the condition holds, and no sample otherwise."""
    return lambda now: value if true(now) else None


def then(found: float | None, value: float) -> float | None:
    """Return `value` where something was found."""
    return None if found is None else value


def inductor_streak(now: int) -> float:
    """Rise to three, one commit at a time; the third failure opens the outage."""
    return sum(now >= END - hours * HOUR for hours in (3, 2, 1))


def inductor_failures(now: int) -> float:
    """Count one failure more, until the late result turns it into a pass."""
    if inductor_streak(now) < 3:
        return 0  # no outage is open
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
    for labels, value in broken:
        yield Series("ci_job_failures_to_open", labels, lambda now, v=value: then(v(now), 3))  # type: ignore[misc]
        flag = float(labels is FLAKY)
        yield Series("ci_job_known_broken", labels, lambda now, v=value, f=flag: then(v(now), f))  # type: ignore[misc]
    yield from (Series("ci_job_consecutive_failures", j, value) for j, value in streaks)
    yield from (Series("ci_job_broken", j, value) for j, value in broken)
    yield from (Series("ci_job_failures_in_outage", j, value) for j, value in failures)


def commit_series() -> Iterator[Series]:
    """Yield the families that name commits and runs."""
    known = {"last_good": LAST_GOOD} | FACTS
    unknown = {"last_good": ""} | FACTS | {"facts": "First bad: d"}

    def early(now: int) -> bool:
        return END - HOUR <= now < LATE_RESULT

    def late(now: int) -> bool:
        return now >= LATE_RESULT

    outages: list[tuple[Labels, Value]] = [
        (INDUCTOR | known | {"first_bad": BAD_BEFORE}, when(early, END - HOUR)),
        (INDUCTOR | known | {"first_bad": FIRST_BAD}, when(late, LATE_RESULT)),
        (UNSORTED | unknown | {"first_bad": BAD_BEFORE}, when(old)),
        (FLAKY | unknown | {"first_bad": BAD_BEFORE}, when(new)),
        (REPAIRED | known | {"first_bad": BAD_BEFORE}, when(old)),
    ]
    yield from (Series("ci_job_outage_info", labels, value) for labels, value in outages)
    since = "ci_job_broken_since_timestamp_seconds"
    yield Series(since, INDUCTOR, when(lambda now: inductor_streak(now) >= 3, END - HOUR))
    yield Series(since, FLAKY, when(new, END - 5 * HOUR))
    yield Series("ci_job_last_outage_info", REPAIRED | ENDED, when(new, REDEPLOY))
    dropped = {
        "sha": BAD_BEFORE,
        "author": "author-c",
        "title": "Reword a comment",
        "result": "failed",
    }
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
    for labels in (INDUCTOR, GREEN):
        yield Series("ci_job_mostly_flaky", labels, always(float(labels is GREEN)))
        yield Series("ci_job_flaky_commits", labels, always(float(labels is GREEN)))
        yield Series("ci_job_pending_commits", labels, always(float(labels is INDUCTOR)))
        yield Series("ci_job_duration_seconds", labels, always(600))
        yield Series("ci_job_last_success_timestamp_seconds", labels, always(END - 4 * HOUR))
    ticket = {"ticket": "#12", "url": TICKET, "state": "open", "assignees": "author-b"}
    yield Series("ci_job_ticket_info", INDUCTOR | ticket, always(END - HOUR))
    silence = {"silence": "1", "created_by": "author-c", "comment": "on it"}
    yield Series("ci_job_silence_info", INDUCTOR | silence, always(END + HOUR))
    for peer in ("tickets", "alertmanager"):
        yield Series("trunkwatch_triage_known", {"peer": peer}, always(float(peer == "tickets")))
    commit = {"sha": FIRST_BAD, "author": "author-b", "title": "Bump the compiler pin"}
    yield Series("ci_branch_mass_breakage_info", branch | commit, always(5))
    yield Series("ci_workflow_inactive", branch | {"workflow": "nightly"}, always(1))
    yield Series("ci_branch_truncated_outages", branch, when(new))
    removed = branch | {"reason": "removed_broken"}
    yield Series("ci_job_retired_total", removed, lambda now: float(now >= END - 5 * MINUTE))
    yield Series("trunkwatch_jobs_dropped_total", {}, always(0))
    quota = "trunkwatch_source_quota_remaining"
    yield Series(quota, {"source": "ci"}, lambda now: 5000 if now < END - HOUR else 1000)
    deliveries = "trunkwatch_webhook_deliveries_total"
    yield Series(deliveries, {"outcome": "accepted"}, lambda now: (now - START) / MINUTE)
    yield Series("trunkwatch_config_reload_success", {}, always(1))
    yield Series("trunkwatch_web_config_reload_success", {}, always(1))
    yield Series("trunkwatch_store_rows", {}, always(1000))
    yield Series("trunkwatch_store_bytes", {}, always(1e6))
    yield Series("trunkwatch_store_oldest_timestamp_seconds", {}, always(START - 24 * HOUR))
    yield Series("trunkwatch_label_values_cut_total", {}, always(0))
    yield Series("trunkwatch_http_refused_total", {"reason": "late_head"}, always(3))
    for of_source, more in (
        ("requests_total", {"code": "200"}),
        ("errors_total", {"reason": "unreachable"}),
        ("rows_dropped_total", {"reason": "retention"}),
        ("refresh_duration_seconds", {}),
        ("limitation", {"limitation": "actions:read"}),
    ):
        yield Series(f"trunkwatch_source_{of_source}", {"source": "ci"} | more, always(9))
    refreshed = "trunkwatch_source_last_success_timestamp_seconds"
    yield Series(refreshed, {"source": "ci"}, lambda now: now - 20)
    yield Series("trunkwatch_off_trunk_runs_total", branch | {"reason": "commit"}, always(4))
    yield Series("trunkwatch_trunk_rewrites_total", branch, always(1))
    for metric, number in (
        ("up", 1),
        ("scrape_samples_scraped", 80),
        ("scrape_duration_seconds", 0.1),
    ):
        yield Series(metric, {}, always(number))
    yield Series("trunkwatch_storage_up", {}, always(1))
    yield Series("trunkwatch_source_unread_commits", {"source": "ci"}, always(0))
    unknown = branch | {"conclusion": "odd"}
    yield Series("trunkwatch_unknown_conclusions_total", unknown, always(2))
    yield Series("trunkwatch_tickets_up", {"peer": "github"}, always(1))
    yield Series("trunkwatch_confirm_up", {"peer": "ci"}, always(1))
    yield Series("trunkwatch_build_info", {"version": "1.2.3"}, always(1))
    alert = {"alertname": "TrunkJobBroken", "alertstate": "firing", "severity": "warning"}
    fires = when(lambda now: inductor_streak(now) >= 3)
    yield Series("ALERTS", INDUCTOR | alert, fires, is_recorded=True)
    group = branch | {"group": "inductor", "title": "broken", "reason": "1 of 1"}
    yield Series("ci_group_alert_info", group, fires)
    stale_alert = alert | stale | {"alertname": "TrunkDataStale", "team": "trunk", "priority": "P2"}
    yield Series("ALERTS", stale_alert, when(lambda now: now > END - HOUR // 2), is_recorded=True)
    watchdog = alert | {"alertname": "TrunkwatchWatchdog", "team": "trunk", "priority": "P3"}
    yield Series("ALERTS", watchdog, always(1), is_recorded=True)


def other_series() -> Iterator[Series]:
    """Yield the families of the trunks and of the sources."""
    framework, stale = {"repo": FRAMEWORK, "branch": "main"}, {"repo": STALE, "branch": "main"}
    data = "ci_branch_data_timestamp_seconds"
    yield Series(data, framework, lambda now: now - 30, second=lambda now: now - 90)
    yield Series(data, stale, lambda now: min(now - 30, LAST_REFRESH_OF_STALE))
    yield Series("ci_branch_commits_since_green", framework, always(7))
    yield Series("ci_branch_commits_since_green", stale, always(0))
    for labels, age in ((framework, 30), (stale, HOUR)):
        yield Series("ci_branch_up", labels, always(1))
        yield Series("ci_branch_head_timestamp_seconds", labels, always(START))
        source = labels | {"source": "ci"}
        yield Series("ci_branch_source_up", source, always(1))
        read = "ci_branch_source_data_timestamp_seconds"
        yield Series(read, source, lambda now, a=age: now - a)  # type: ignore[misc]
    ci, mirror = {"source": "ci"}, {"source": "mirror"}
    yield Series("trunkwatch_source_up", ci, always(1))
    yield Series("trunkwatch_source_up", mirror, always(1), second=always(0))
    polls = "trunkwatch_source_poll_interval_seconds"
    yield Series(polls, ci, always(60))
    yield Series(polls, mirror, lambda now: 60 if now < RELOAD else 600)


def samples(series: Series) -> Iterator[str]:
    """Yield the samples of a series: of the old exporter, then of the replicas."""
    spans = {"old": (START, REDEPLOY), "new-a": (REDEPLOY, END + 1), "new-b": (REDEPLOY, END + 1)}
    if series.is_recorded:
        spans = {"": (START, END + 31 * MINUTE)}
    for instance, (begin, end) in spans.items():
        target = {"instance": instance, "job": "trunkwatch"} if instance else {}
        text = ",".join(f'{name}="{value}"' for name, value in (series.labels | target).items())
        value_at = series.second if instance == "new-b" and series.second else series.value
        for now in range(begin, end, MINUTE):
            value = value_at(now)
            if value is not None:
                yield f"{series.name}{{{text}}} {value} {now}"


def all_series() -> list[Series]:
    """Return every series, what the rules record included."""
    scraped = [*job_series(), *commit_series(), *other_series(), *alert_series()]
    return [*scraped, *recorded(scraped, END)]
