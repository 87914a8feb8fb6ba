"""The PromQL of the dashboards.

Every query merges replicas and restarts of the exporter: it aggregates by the exporter's own labels
only, so that `instance` never adds a row. Queries read scraped series instead of recorded ones, so
that they need no rule file; they hold values for as long as the rules do.
"""

from dashboards.settings import HOLD, QUOTA_MEMORY, STALE_AFTER_SECONDS, STALE_POLLS, UNKNOWN_TEXT

# The identity of a job, and the labels that every `ci_job_` family carries.
IDENTITY = "repo, branch, workflow, job_name"
JOB = f"{IDENTITY}, group, team, priority"
OUTAGE = f"{JOB}, first_bad, last_good, url"
SUSPECT = f"{JOB}, sha, author, title"

# Every trunk has one series of it, which shows that the trunk was scraped.
DATA_TIME = "ci_branch_data_timestamp_seconds"

# `job` is the scrape job, which distinguishes two Trunkwatches in one Prometheus.
IN_JOB = '{job=~"$job"}'
IN_REPO = '{job=~"$job", repo=~"$repo"}'
IN_BRANCH = '{job=~"$job", repo=~"$repo", branch=~"$branch"}'
IN_GROUP = '{job=~"$job", repo=~"$repo", branch=~"$branch", group=~"$group"}'
# Prometheus' own series of alerts; an alert that concerns no branch has no such label.
FIRING = '{alertname=~"Trunk.+", alertstate="firing", repo=~"$repo|", branch=~"$branch|"}'


def of_broken_jobs(metric: str, labels: str = JOB) -> str:
    """Return a job family of the jobs with an open outage by `labels`, merged over replicas.

    A failed scrape makes all series stale at once. Without the hold the table would become empty
    and look like good news. Values of a trunk that is being scraped are never held.
    """
    return (
        f"max by ({labels}) ({metric}{IN_GROUP})\n"
        f"and on ({JOB}) (max by ({JOB}) (ci_job_broken{IN_GROUP}) == 1)\n"
        f"or\n"
        f"max by ({labels}) (\n{in_last_scrape(metric)}\n)\n"
        f"unless on (repo, branch) max by (repo, branch) ({DATA_TIME}{IN_BRANCH})"
    )


def in_last_scrape(metric: str) -> str:
    """Return the values of each trunk's last scrape, for the jobs that were broken in it.

    Values of earlier scrapes within the hold are excluded: a job that was fixed or removed, a
    dropped suspect, a former group, a replaced pod. Matching on `instance` joins a value only with
    the outage of the same pod. Scrape times are read from the few series of outages and not from a
    family of all jobs, which took seconds with ten thousand jobs.
    """
    info = metric.endswith("_info")
    scraped_at = last_seen(metric if info else "ci_job_outage_info", IN_GROUP)
    newest = f"max by (repo, branch) ({last_seen(DATA_TIME, IN_BRANCH)})"
    same_series = "" if info else f" on ({JOB}, instance)"
    return (
        f"  last_over_time({metric}{IN_GROUP}[{HOLD}])\n"
        f"  and on ({JOB}, instance) (last_over_time(ci_job_broken{IN_GROUP}[{HOLD}]) == 1)\n"
        f"  and{same_series} ({scraped_at} == on (repo, branch) group_left () {newest})"
    )


def last_seen(metric: str, matchers: str) -> str:
    """Return the time of each series' newest sample within the hold.

    `timestamp` returns it only for a plain selector, hence the subquery.
    """
    return f"max_over_time(timestamp({metric}{matchers})[{HOLD}:1m])"


def outage() -> str:
    """Return the labels of each job's outage as a series of value 1.

    Two replicas may differ for a short time; each job still has one row. Prometheus drops labels
    with an empty value, so an unknown last good becomes a word, and the column always exists.
    """
    one = f"topk by ({JOB}) (1, {of_broken_jobs('ci_job_outage_info', OUTAGE)})"
    return f'label_replace({one}, "last_good", "{UNKNOWN_TEXT}", "last_good", "")'


def data_age() -> str:
    """Return the age of each branch's data; it keeps growing while the exporter is down.

    With two replicas the older data counts, as in the alert.
    """
    now = f"min by (repo, branch) ({DATA_TIME}{IN_BRANCH})"
    return f"time() - ({now} or last_over_time(({now})[{HOLD}:1m]))"


def only_fresh(expr: str) -> str:
    """Return `expr` for the branches whose data is neither stale nor doubtful."""
    polls = f"{STALE_POLLS} * max(trunkwatch_source_poll_interval_seconds{IN_JOB})"
    limit = f"scalar({polls} > {STALE_AFTER_SECONDS} or vector({STALE_AFTER_SECONDS}))"
    doubtful = f"max by (repo, branch) (ci_branch_data_doubtful{IN_BRANCH}) == 1"
    return (
        f"{expr}\nand on (repo, branch)\n({data_age()} <= {limit})"
        f"\nunless on (repo, branch)\n({doubtful})"
    )


def commits_since_green() -> str:
    """Return the number per branch, not held: new commits may have been pushed since."""
    return only_fresh(f"max by (repo, branch) (ci_branch_commits_since_green{IN_BRANCH})")


def sources_up() -> str:
    """Return 1 or 0 per source, never held; it is 0 if any replica cannot read the source."""
    return f"min by (source) (trunkwatch_source_up{IN_JOB})"


def number_of_broken_jobs() -> str:
    """Return the count. A broken job always counts; a working one adds 0 only while data is fresh.

    Hence 0 means "none is broken", and missing or old data gives no result instead of 0.
    """
    broken = of_broken_jobs("ci_job_broken")
    healthy = only_fresh(f"max by ({JOB}) (ci_job_broken{IN_GROUP})")
    return f"sum(\n{broken}\nor\n({healthy})\n)"


def streaks() -> str:
    """Return the streaks of the jobs that failed at least once in the range.

    `@ end()` evaluates the whole range at each of its points: a job's line starts at the beginning
    of the range, not at its first failure, and green jobs have no line.
    """
    metric = f"ci_job_consecutive_failures{IN_GROUP}"
    failed = f"max by ({JOB}) (max_over_time({metric}[$__range] @ end())) > 0"
    return f"max by ({JOB}) ({metric})\nand on ({JOB})\n({failed})"


def mass_breakage() -> str:
    """Return 1 or 0 per branch. A 1 is held like the alert; a 0 requires fresh data."""
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
    """Return the number per branch within a day; `ceil`, since `increase` extrapolates."""
    counted = f'ci_job_retired_total{{reason="removed_broken", {IN_BRANCH[1:-1]}}}'
    return only_fresh(f"ceil(max by (repo, branch) (increase({counted}[1d])))")


def truncated_outages() -> str:
    """Return the number per branch of broken jobs whose first bad commit may be older."""
    truncated = f"max by ({JOB}) (ci_job_streak_truncated{IN_GROUP})"
    broken = f"max by ({JOB}) (ci_job_broken{IN_GROUP})"
    return only_fresh(f"sum by (repo, branch) ({truncated} * {broken})")


def quota_left() -> str:
    """Return the remaining share per source of its largest quota in the range, as in the alert."""
    quota = f"trunkwatch_source_quota_remaining{IN_JOB}"
    most = f"max by (source) (max_over_time({quota}[{QUOTA_MEMORY}]))"
    return f"min by (source) ({quota}) / {most}"


def jobs_refused() -> str:
    """Return how many jobs were refused since the exporter started."""
    return f"max(trunkwatch_jobs_dropped_total{IN_JOB})"


def webhook_outcomes() -> str:
    """Return the deliveries of the last hour by outcome, while any exporter is scraped."""
    deliveries = f"trunkwatch_webhook_deliveries_total{IN_JOB}"
    grown = f"ceil(sum by (outcome) (increase({deliveries}[1h])))"
    return f"{grown}\nand on () (max(trunkwatch_build_info{IN_JOB}))"


def exporters() -> str:
    """Return how many exporters are scraped, by version."""
    return f"count by (version) (trunkwatch_build_info{IN_JOB})"


def reload_success() -> str:
    """Return 0 while an exporter rejects its changed configuration, else 1."""
    return f"min(trunkwatch_config_reload_success{IN_JOB})"


def storage_up() -> str:
    """Return 0 while an exporter cannot store results, else 1."""
    return f"min(trunkwatch_storage_up{IN_JOB})"


def unread_commits() -> str:
    """Return the commits of each source that a cold start has yet to read."""
    return f"max by (source) (trunkwatch_source_unread_commits{IN_JOB})"


def unknown_conclusions() -> str:
    """Return the results that the evidence table lacks, since the exporter started."""
    return f"max by (conclusion) (trunkwatch_unknown_conclusions_total{IN_BRANCH})"


def tickets_up() -> str:
    """Return 1 or 0 per peer of `trunkwatch tickets`; it is scraped under a job of its own."""
    return "min by (peer) (trunkwatch_tickets_up)"


def alerts_firing() -> str:
    """Return the firing alerts; the alerts of one notification group are one row."""
    return f"count by (alertname, priority, team, group, repo, branch) (ALERTS{FIRING})"


def label_values(label: str, matchers: str = "") -> str:
    """Return the variable query for the values of a job label."""
    return f"label_values(ci_job_consecutive_failures{matchers}, {label})"
