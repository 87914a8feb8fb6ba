"""The PromQL of the dashboard *Trunk*."""

from dashboards.promql import (
    DATA_TIME,
    FIRING,
    IN_JOB,
    IN_JOBS,
    IN_TRUNK,
    JOB,
    OF_TRUNK,
    RULES_JOBS,
    RULES_TRUNK,
    TRUNKS,
    all_fresh,
    data_age,
    fact,
    fresh_trunks,
    newest,
    otherwise,
    said,
    selector,
    some_old,
    spoken,
)
from dashboards.settings import HOLD, UNKNOWN_TEXT, WORST_IN_TIMELINE, WORST_IN_TREND

# The failures of each open outage, held over a gap of scrapes like the alerts.
HELD = f"job:ci_job_failures_in_outage:held{RULES_JOBS}"
FAILING = f"job:ci_job_consecutive_failures:failing{RULES_JOBS}"
TO_OPEN = f"job:ci_job_failures_to_open:failing{RULES_JOBS}"
RUNNING = f"job:ci_job_pending_commits:broken{RULES_JOBS}"
EXEMPT = f"job:ci_job_known_broken:exempt{RULES_JOBS}"
NOTHING_BROKEN = f"branch:ci_job_broken:none{RULES_TRUNK}"
ENDED = f"ci_job_last_outage_info{IN_JOBS}"
OF_GROUP = "repo, branch, group, team, priority"
FACTS = "first_bad, last_good, author, title, url, failed_step, facts"
SUSPECT = "sha, author, title, result"

# Codes of states, in the order of the table: negative, so that no count has the same mapping.
BROKEN, STALE, DOUBTFUL, FINE = -6, -5, -4, -3
NO_GREEN = -1
ALERTS, KNOWN = -2, -1


def number_of_broken_jobs() -> str:
    """Return how many jobs are broken: 0 only if all data is fresh, -1 where some is old."""
    count = f"count(max by ({JOB}) ({HELD}))"
    return f"{count}\nor {all_fresh()}\nor {some_old()} - 1"


def oldest_data() -> str:
    """Return the age of the oldest data of the selected trunks."""
    return f"max({data_age()})"


def share_green() -> str:
    """Return the share of the last seven days in which no job of the trunk was broken."""
    hourly = f"branch:ci_job_broken:none_ratio1h{RULES_TRUNK}"
    return (
        f"max by (repo, branch) (avg_over_time({hourly}[7d:1h]))\n"
        # Within the first hour there is no whole step yet.
        f"or max by (repo, branch) ({hourly})"
    )


def trunk_states() -> str:
    """Return the state of each trunk: broken, stale, doubtful or fine."""
    any_data = f"(max by (repo, branch) ({newest(f'ci_branch_up{IN_TRUNK}', 'repo, branch')}))"
    return (
        f"0 * count by (repo, branch) ({HELD}) + {BROKEN}\n"
        f"or 0 * {fresh_trunks()} + {FINE}\n"
        f"or 0 * {fresh_trunks(also_doubtful=True)} + {DOUBTFUL}\n"
        f"or 0 * {any_data} + {STALE}"
    )


def broken_by_trunk() -> str:
    """Return the broken jobs of each trunk: 0 only where the data is fresh."""
    return f"count by (repo, branch) (max by ({JOB}) ({HELD}))\nor 0 * {fresh_trunks()}"


def commits_since_green() -> str:
    """Return the commits since the newest green one of fresh data; a code if not configured."""
    commits = f"max by (repo, branch) (ci_branch_commits_since_green{IN_TRUNK})"
    return (
        f"{commits} and on (repo, branch) {fresh_trunks()}\n"
        f"or 0 * {TRUNKS} + {NO_GREEN} unless on (repo, branch) {commits}"
    )


def age_by_trunk() -> str:
    """Return the age of each trunk's data, as a label."""
    return spoken(data_age(), "repo, branch", "age")


def outage_facts(matchers: str, held: str) -> str:
    """Return the newest facts of each open outage, one series per job."""
    labels = f"{JOB}, {FACTS}"
    info = f"ci_job_outage_info{matchers}"
    # Of two series of one job, the larger is current.
    facts = f"max by ({labels}) ({info} or last_over_time({info}[{HOLD}:1m]))"
    return f"(topk by ({JOB}) (1, {facts}) and on ({JOB}) {held})"


def with_commits(expr: str) -> str:
    """Return facts with the address that precedes a hash as `commits`; else that of the page."""
    return otherwise(fact(expr, "commits", "Commits"), "commits", "$page/#")


def commit_url(expr: str, sha: str) -> str:
    """Return `expr` with the address of a commit in the label `commit`, made of `commits`."""
    return f'label_join({expr}, "commit", "", "commits", "{sha}")'


def with_facts(expr: str) -> str:
    """Return facts with labels for the columns: suspects, and addresses that are never empty."""
    # Without last good, an older commit that is unread may be the first bad one.
    named = (
        f'label_join({otherwise(expr, "author", UNKNOWN_TEXT)}, "who", "|", "last_good", "author")'
    )
    who = f'label_replace({named}, "author", "$1, or earlier", "who", "\\\\|(.+)")'
    suspects = otherwise(fact(who, "suspects", "Suspects"), "suspects", UNKNOWN_TEXT)
    run = otherwise(suspects, "url", "$page/")
    opened = otherwise(fact(run, "opened", "Occurred at"), "opened", UNKNOWN_TEXT)
    return otherwise(commit_url(with_commits(opened), "first_bad"), "failed_step", UNKNOWN_TEXT)


def broken_jobs() -> str:
    """Return a series for each broken job, with what a paged engineer asks for as labels."""
    shown = f"{JOB}, author, suspects, url, failed_step, commit, title, opened"
    rows = f"max by ({shown}) ({with_facts(outage_facts(IN_JOBS, HELD))})"
    return said(rows, HELD, "job_name", "nothing is broken")


def failures() -> str:
    """Return the failures of each broken job."""
    return f"max by ({JOB}) ({HELD})"


def failures_to_open() -> str:
    """Return each broken job's N."""
    return f"{newest(TO_OPEN, JOB)} and on ({JOB}) {HELD}"


def broken_for() -> str:
    """Return for how long each job has been broken, as a label."""
    since = newest(f"ci_job_broken_since_timestamp_seconds{IN_JOBS}", JOB)
    return spoken(f"(time() - ({since} and on ({JOB}) {HELD}))", JOB, "age")


def running() -> str:
    """Return each broken job's commits whose result is pending."""
    return f"{newest(RUNNING, JOB)} and on ({JOB}) {HELD}"


def who_is_on_it() -> str:
    """Return a series for each ticket and each silence of the groups, else why there is none."""
    tickets, silences = f"ci_job_ticket_info{IN_JOBS}", f"ci_job_silence_info{IN_JOBS}"
    known = f"max by (peer) (trunkwatch_triage_known{IN_JOB})"
    return (
        f"0 * max by ({OF_GROUP}, ticket, url, state, assignees) ({tickets})\n"
        f"or 0 * max by ({OF_GROUP}, created_by, comment) ({silences})\n"
        f'or label_replace(0 * (min({known}) == 1), "group", "no ticket and no silence", "", "")'
        f" unless on () ({tickets} or {silences})\n"
        "or max by (group) ("
        f'label_replace(0 * ({known} == 0), "group", "? $1 could not be read", "peer", "(.+)"))'
    )


def known_or_not() -> str:
    """Return whether the configuration exempts a broken job from alerting, as a code."""
    exempt = f"{newest(EXEMPT, JOB)} and on ({JOB}) {HELD}"
    return f"0 * ({exempt}) + {KNOWN}\nor 0 * max by ({JOB}) ({HELD}) + {ALERTS}"


def suspect_commits(matchers: str, held: str) -> str:
    """Return a series per suspect of each open outage; its value is the place, 1 the oldest."""
    places = f"max by ({JOB}, {SUSPECT}) (ci_job_suspect_info{matchers})"
    commits = f"0 * max by ({JOB}, commits) ({with_commits(outage_facts(matchers, held))})"
    joined = f"({places} + on ({JOB}) group_left (commits) {commits})"
    return commit_url(otherwise(joined, "author", UNKNOWN_TEXT), "sha")


def suspects() -> str:
    """Return the suspects of every broken job."""
    rows = f"max by ({JOB}, commit, author, title, result) ({suspect_commits(IN_JOBS, HELD)})"
    return said(rows, HELD, "job_name", "no suspects: nothing is broken")


def broken_by_group() -> str:
    """Return the number of broken jobs of each group over time."""
    return f"max by (repo, branch, group, team) (group:ci_job_broken:count{RULES_JOBS})"


def known() -> str:
    """Return 0 while there is fresh data: a line at 0 is not the same as no data."""
    return f"0 * max({NOTHING_BROKEN})"


def worst_of_range(number: int, values: str, over_time: str) -> str:
    """Return the jobs with the greatest `over_time` of the points that the graph shows.

    Ranked at each point, a line would end as if the job were repaired when others overtake it.
    With `@ end()` Prometheus ranks once; its statistics count that for each point.
    """
    rank = f"max by ({JOB}) ({over_time}({values}[$__range:$__interval] @ end()))"
    return f"topk({number}, {rank})"


def red_times() -> str:
    """Return 1 while a job is broken, of the jobs that were broken for most of the range."""
    worst = worst_of_range(WORST_IN_TIMELINE, HELD, "count_over_time")
    return f"max by ({JOB}) ({HELD}) > bool 0 and on ({JOB}) {worst}"


def any_broken() -> str:
    """Return 1 while a job that may alert is broken, 0 while none is; absent without fresh data."""
    return f"1 - min({NOTHING_BROKEN})"


def streaks() -> str:
    """Return the streaks of failing commits of the jobs with the longest ones."""
    worst = worst_of_range(WORST_IN_TREND, FAILING, "max_over_time")
    return f"max by ({JOB}) ({FAILING}) and on ({JOB}) {worst}"


def thresholds_of_jobs() -> str:
    """Return each N that failing jobs have."""
    n = f"group:ci_job_failures_to_open:distinct{RULES_JOBS}"
    return f"max by (repo, branch, group, n) ({n})"


def ended_outages(matchers: str = IN_JOBS) -> str:
    """Return a series for each outage whose alert ended in the range, with its facts as labels."""
    ended = f"ci_job_last_outage_info{matchers}"
    facts = f"max by ({JOB}, first_bad, ended, facts) (max_over_time({ended}[$__range]))"
    rows = f"topk by ({JOB}, first_bad) (1, {facts})"
    for label, name in (
        ("opened", "Occurred at"),
        ("closed", "Ended at"),
        ("lasted", "Lasted"),
        ("fixed_by", "Fixed by whom"),
    ):
        rows = otherwise(fact(rows, label, name), label, UNKNOWN_TEXT)
    shown = f"max by ({JOB}, ended, opened, closed, lasted, fixed_by) ({rows})"
    exists = f"max_over_time({ended}[$__range])"
    text = "no alert ended in this range"
    nothing = f'label_replace(0 * max({DATA_TIME}), "job_name", "{text}", "", "")'
    return f"{shown}\nor {nothing} unless on () {exists}"


def alerts_firing() -> str:
    """Return the firing alerts; the alerts of one notification group are one row."""
    return f"count by (alertname, priority, team, group, repo, branch) (ALERTS{FIRING})"


def alerting_groups() -> str:
    """Return the groups whose alerts fire: as many series as groups, not as jobs."""
    groups = selector("job", *OF_TRUNK, "group")
    return f"count by (repo, branch, group) (ci_group_alert_info{groups})"


def other_alerts() -> str:
    """Return the firing alerts that are not of one broken job."""
    others = FIRING.replace("{", '{alertname!~"TrunkJobBroken|TrunkwatchWatchdog", ', 1)
    return f"count by (alertname, repo, branch) (ALERTS{others})"


def mass_breakage() -> str:
    """Return the commit that broke most jobs, and how many."""
    info = f"ci_branch_mass_breakage_info{IN_TRUNK}"
    rows = newest(info, "repo, branch, sha, author, title")
    flag = f"max by (repo, branch) (ci_branch_mass_breakage{IN_TRUNK}) == 1"
    return said(rows, f"({flag})", "title", "no commit broke most jobs")


# ------------------------------------------------------- closed rows: these read every job


def _since_verdict() -> str:
    """Return for how long each job has had no verdict, as of the last refresh."""
    read = f"min by (repo, branch) ({DATA_TIME})"
    verdict = f"max by ({JOB}) (ci_job_last_verdict_timestamp_seconds{IN_JOBS})"
    return f"({read} - on (repo, branch) group_right () {verdict})"


def silent_for() -> str:
    """Return for how long each silent job has had no verdict."""
    rows = f"{_since_verdict()} > on ({JOB}) {silent_after()}"
    return said(rows, f"({rows})", "job_name", "no silent job")


def silent_after() -> str:
    """Return the time without a verdict after which each job counts as silent."""
    return f"min by ({JOB}) (ci_job_silent_after_seconds{IN_JOBS})"


def silence_allowed() -> str:
    """Return `silent_after` of the silent jobs."""
    return f"{silent_after()} < on ({JOB}) {_since_verdict()}"


def removed_while_broken() -> str:
    """Return the number per branch within a day; `ceil`, since `increase` extrapolates."""
    broken = selector("job", *OF_TRUNK, also='reason="removed_broken"')
    grown = f"ceil(max by (repo, branch) (increase(ci_job_retired_total{broken}[1d])))"
    return f"{grown} and on (repo, branch) {fresh_trunks()}"


def truncated_outages() -> str:
    """Return the broken jobs whose first bad commit may be older than the read commits."""
    truncated = f"max by ({JOB}) (ci_job_streak_truncated{IN_JOBS}) == 1"
    rows = f"max by ({JOB}) ({HELD}) and on ({JOB}) ({truncated})"
    return said(rows, f"({rows})", "job_name", "no outage is older than what was read")


def truncated_by_trunk() -> str:
    """Return the number per branch of truncated outages that alert."""
    count = f"max by (repo, branch) (ci_branch_truncated_outages{IN_TRUNK})"
    return f"{count} and on (repo, branch) {fresh_trunks()}"


MOSTLY_FLAKY = f"max by ({JOB}) (ci_job_mostly_flaky{IN_JOBS}) == 1"


def mostly_flaky() -> str:
    """Return the jobs most of whose newest verdicts are flakes."""
    return said(MOSTLY_FLAKY, f"({MOSTLY_FLAKY})", "job_name", "no job is mostly flaky")


def flakes_since_pass() -> str:
    """Return the flaky commits since the newest pass of the jobs that are mostly flaky."""
    flaky = f"max by ({JOB}) (ci_job_flaky_commits{IN_JOBS})"
    return f"{flaky} and on ({JOB}) ({MOSTLY_FLAKY})"


def inactive_workflows() -> str:
    """Return the workflows that their CI has disabled for inactivity."""
    rows = f"max by (repo, branch, workflow) (ci_workflow_inactive{IN_TRUNK})"
    return said(rows, rows, "workflow", "no workflow is disabled")
