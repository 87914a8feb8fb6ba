"""The PromQL of the dashboards.

Every query folds replicas and restarts of the exporter: it aggregates by our labels alone, so that
`instance` never makes a second row. They read the scraped series and not the recorded ones, so
that they need no rule file, but they hold and forget as the rules do.
"""

from dashboards.settings import HOLD, QUOTA_MEMORY, STALE_AFTER_SECONDS, STALE_POLLS, UNKNOWN_TEXT

# The identity of a job, and the labels that every `ci_job_` family carries.
IDENTITY = "repo, branch, workflow, job_name"
JOB = f"{IDENTITY}, group, team, priority"
OUTAGE = f"{JOB}, first_bad, last_good, url"
SUSPECT = f"{JOB}, sha, author, title"

# Every trunk has it, and one series of it is enough to tell that the trunk was scraped.
DATA_TIME = "ci_branch_data_timestamp_seconds"

IN_REPO = '{repo=~"$repo"}'
IN_BRANCH = '{repo=~"$repo", branch=~"$branch"}'
IN_GROUP = '{repo=~"$repo", branch=~"$branch", group=~"$group"}'
# What Prometheus itself writes down of each alert; an alert that is of no branch has no such label.
FIRING = '{alertname=~"Trunk.+|Watchdog", alertstate="firing", repo=~"$repo|", branch=~"$branch|"}'


def of_broken_jobs(metric: str, labels: str = JOB) -> str:
    """Return a job family of the jobs whose outage is open, by `labels`, whatever the replicas.

    A failed scrape makes all series stale at once. Without the hold the table would empty itself
    and look like good news. A trunk that is scraped is never held: what it says now is the truth.
    """
    return (
        f"max by ({labels}) ({metric}{IN_GROUP})\n"
        f"and on ({JOB}) (max by ({JOB}) (ci_job_broken{IN_GROUP}) == 1)\n"
        f"or\n"
        f"max by ({labels}) (\n{in_last_scrape(metric)}\n)\n"
        f"unless on (repo, branch) max by (repo, branch) ({DATA_TIME}{IN_BRANCH})"
    )


def in_last_scrape(metric: str) -> str:
    """Return what the last scrape of each trunk said of the jobs that were broken in it.

    What earlier scrapes within the hold said stays away: a job that was repaired or taken out, a
    suspect that was dropped, the group of yesterday, the pod that was replaced. `instance` ties a
    value to the outage that the same pod spoke of. Times of scrapes are read from the few series
    of outages and never from a family of all jobs: with ten thousand of those that took seconds.
    """
    info = metric.endswith("_info")
    spoken_of = last_seen(metric if info else "ci_job_outage_info", IN_GROUP)
    newest = f"max by (repo, branch) ({last_seen(DATA_TIME, IN_BRANCH)})"
    same_series = "" if info else f" on ({JOB}, instance)"
    return (
        f"  last_over_time({metric}{IN_GROUP}[{HOLD}])\n"
        f"  and on ({JOB}, instance) (last_over_time(ci_job_broken{IN_GROUP}[{HOLD}]) == 1)\n"
        f"  and{same_series} ({spoken_of} == on (repo, branch) group_left () {newest})"
    )


def last_seen(metric: str, matchers: str) -> str:
    """Return the time of each series' newest sample within the hold.

    `timestamp` reads it only straight from a selector, hence the subquery.
    """
    return f"max_over_time(timestamp({metric}{matchers})[{HOLD}:1m])"


def outage() -> str:
    """Return the labels of each job's outage as a series of value 1.

    Two replicas may differ for a moment; a job has one row all the same. Prometheus has no label
    without a value: where last good is unknown, it says so in words, and the column is there even
    if no job has one.
    """
    one = f"topk by ({JOB}) (1, {of_broken_jobs('ci_job_outage_info', OUTAGE)})"
    return f'label_replace({one}, "last_good", "{UNKNOWN_TEXT}", "last_good", "")'


def data_age() -> str:
    """Return the age of each branch's data; it grows on while the exporter is silent.

    Of two replicas the older data counts, as it does in the alert.
    """
    now = f"min by (repo, branch) ({DATA_TIME}{IN_BRANCH})"
    return f"time() - ({now} or last_over_time(({now})[{HOLD}:1m]))"


def only_fresh(expr: str) -> str:
    """Return `expr` where the data is young enough to say something about now."""
    polls = f"{STALE_POLLS} * max(trunkwatch_source_poll_interval_seconds)"
    limit = f"scalar({polls} > {STALE_AFTER_SECONDS} or vector({STALE_AFTER_SECONDS}))"
    return f"{expr}\nand on (repo, branch)\n({data_age()} <= {limit})"


def commits_since_green() -> str:
    """Return the number per branch. Of an old number nobody knows how many commits to add."""
    return only_fresh(f"max by (repo, branch) (ci_branch_commits_since_green{IN_BRANCH})")


def sources_up() -> str:
    """Return 1 or 0 per source, never held; one replica that cannot read it is enough for 0."""
    return "min by (source) (trunkwatch_source_up)"


def number_of_broken_jobs() -> str:
    """Return the count. A broken job always counts; a good one adds 0 only while data is fresh.

    So 0 means "none is broken", and silence or old data gives no answer instead of a good one.
    """
    broken = of_broken_jobs("ci_job_broken")
    healthy = only_fresh(f"max by ({JOB}) (ci_job_broken{IN_GROUP})")
    return f"sum(\n{broken}\nor\n({healthy})\n)"


def streaks() -> str:
    """Return the streaks of the jobs that failed at least once in the range.

    `@ end()` asks about the whole range at each of its points: a job's line starts at its zeros,
    not at its first failure, and two hundred green jobs draw nothing.
    """
    metric = f"ci_job_consecutive_failures{IN_GROUP}"
    failed = f"max by ({JOB}) (max_over_time({metric}[$__range] @ end())) > 0"
    return f"max by ({JOB}) ({metric})\nand on ({JOB})\n({failed})"


def mass_breakage() -> str:
    """Return 1 or 0 per branch. A 1 is held as the alert is; a 0 is said while data is fresh."""
    now = f"max by (repo, branch) (ci_branch_mass_breakage{IN_BRANCH})"
    held = f"({now} or last_over_time(({now})[{HOLD}:1m])) == 1"
    return f"{held}\nor\n({only_fresh(now)})"


def silent_jobs() -> str:
    """Return the number per branch of jobs without a verdict for longer than their group allows."""
    read = f"min by (repo, branch) ({DATA_TIME}{IN_BRANCH})"
    verdict = f"max by ({JOB}) (ci_job_last_verdict_timestamp_seconds{IN_GROUP})"
    allowed = f"min by ({JOB}) (ci_job_silent_after_seconds{IN_GROUP})"
    age = f"{read} - on (repo, branch) group_right () {verdict}"
    return only_fresh(f"sum by (repo, branch) (({age}) > bool {allowed})")


def removed_while_broken() -> str:
    """Return the number per branch within a day; `ceil`, since `increase` reckons in parts."""
    counted = f'ci_job_retired_total{{reason="removed_broken", {IN_BRANCH[1:-1]}}}'
    return only_fresh(f"ceil(max by (repo, branch) (increase({counted}[1d])))")


def truncated_outages() -> str:
    """Return the number per branch of broken jobs whose first bad commit may be an older one."""
    truncated = f"max by ({JOB}) (ci_job_streak_truncated{IN_GROUP})"
    broken = f"max by ({JOB}) (ci_job_broken{IN_GROUP})"
    return only_fresh(f"sum by (repo, branch) ({truncated} * {broken})")


def quota_left() -> str:
    """Return the share per source of the most that it was seen to have, as in the alert."""
    quota = "trunkwatch_source_quota_remaining"
    most = f"max by (source) (max_over_time({quota}[{QUOTA_MEMORY}]))"
    return f"min by (source) ({quota}) / {most}"


def jobs_refused() -> str:
    """Return how many jobs were refused since the exporter started."""
    return "max(trunkwatch_jobs_dropped_total)"


def webhook_outcomes() -> str:
    """Return the deliveries of the last hour by outcome, while there is an exporter at all."""
    grown = "ceil(sum by (outcome) (increase(trunkwatch_webhook_deliveries_total[1h])))"
    return f"{grown}\nand on () (max(trunkwatch_build_info))"


def exporters() -> str:
    """Return how many exporters are scraped, by version."""
    return "count by (version) (trunkwatch_build_info)"


def alerts_firing() -> str:
    """Return the alerts that fire; those of one group, which are told at once, are one row."""
    return f"count by (alertname, priority, team, group, repo, branch) (ALERTS{FIRING})"


def label_values(label: str, matchers: str = "") -> str:
    """Return the variable query for the values that jobs have of `label`."""
    return f"label_values(ci_job_consecutive_failures{matchers}, {label})"
