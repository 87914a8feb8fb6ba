"""Pieces of PromQL that the dashboards share: selectors, the age of data, texts of a series.

Every query merges replicas and restarts of the exporter: it aggregates by the exporter's own labels
only, so that `instance` never adds a row. The open panels of Trunk read no family that has every
job, but series of broken jobs: the `_info` families, and the recorded series of the group
`trunkwatch-dashboards` in rules/.
"""

from dashboards.settings import HOLD

# The identity of a job, and the labels that every `ci_job_` family carries.
IDENTITY = "repo, branch, workflow, job_name"
JOB = f"{IDENTITY}, group, team, priority"


# Variables with exactly one value. Of such a variable Grafana escapes no character as a regular
# expression, and names of jobs have parentheses; unescaped, a name may have an apostrophe too.
SINGLE = frozenset(("workflow", "job_name"))


def _matcher(label: str) -> str:
    return f'{label}="${{{label}:raw}}"' if label in SINGLE else f'{label}=~"${label}"'


def selector(*labels: str, also: str = "") -> str:
    """Return the selector of the values that are chosen in the variables of these labels.

    Args:
        labels: each is a variable too.
        also: further matchers, in front.
    """
    matchers = [_matcher(label) for label in labels]
    return f"{{{', '.join([also, *matchers] if also else matchers)}}}"


# `job` is the scrape job, which distinguishes two Trunkwatches in one Prometheus; `trunkwatch` does
# the same for what their rules record, where rules/build.py has given them names.
OF_TRUNK = ("repo", "branch")
OF_JOBS = (*OF_TRUNK, "team", "group")
OF_ONE_JOB = (*OF_JOBS, "workflow", "job_name")
IN_JOB = selector("job")
IN_TRUNK = selector("job", *OF_TRUNK)
IN_JOBS = selector("job", *OF_JOBS)
ONE_JOB = selector("job", *OF_ONE_JOB)
RULES = selector("trunkwatch")
RULES_TRUNK = selector("trunkwatch", *OF_TRUNK)
RULES_JOBS = selector("trunkwatch", *OF_JOBS)
RULES_ONE_JOB = selector("trunkwatch", *OF_ONE_JOB)

# Prometheus' own series of alerts; an alert that concerns no branch or team has no such label.
FIRING = (
    '{trunkwatch=~"$trunkwatch", alertname=~"Trunk.+", alertstate="firing", '
    'repo=~"$repo|", branch=~"$branch|", team=~"$team|", group=~"$group|"}'
)

# Each trunk has one series of it as long as an exporter with its data is scraped.
TRUNKS = f"max by (repo, branch) (ci_branch_up{IN_TRUNK})"
DATA_TIME = f"ci_branch_data_timestamp_seconds{IN_TRUNK}"


def newest(metric: str, labels: str) -> str:
    """Return a series by `labels`; while it is not scraped, its value of up to the hold ago.

    A failed scrape makes all series stale at once. The steps of the subquery keep it cheap.
    """
    return (
        f"(max by ({labels}) ({metric})\n"
        f"or max by ({labels}) (last_over_time({metric}[{HOLD}:5m])))"
    )


def data_age(data_time: str = DATA_TIME) -> str:
    """Return the age of each branch's data; it keeps growing while the exporter is down.

    With two replicas the older data counts, as in the alert.
    """
    now = f"min by (repo, branch) ({data_time})"
    return f"(time() - ({now} or last_over_time(({now})[{HOLD}:1m])))"


def data_age_limit() -> str:
    """Return the age at which data is stale, which the rules record."""
    return f"max(trunkwatch:data_age_limit_seconds{RULES})"


def fresh_trunks(*, also_doubtful: bool = False) -> str:
    """Return a series for each trunk whose data is not stale, nor (by default) doubtful."""
    limit = f"scalar({data_age_limit()})"
    fresh = f"({TRUNKS} and on (repo, branch) ({data_age()} <= {limit}))"
    if also_doubtful:
        return fresh
    doubtful = f"max by (repo, branch) (ci_branch_data_doubtful{IN_TRUNK}) == 1"
    return f"({fresh} unless on (repo, branch) ({doubtful}))"


def all_fresh() -> str:
    """Return 0 if every selected trunk is scraped and its data is neither stale nor doubtful."""
    return (
        f"(0 * count({TRUNKS}) unless on () ({TRUNKS} unless on (repo, branch) {fresh_trunks()}))"
    )


def some_old() -> str:
    """Return 0 if trunks are scraped, and the data of at least one is stale or doubtful."""
    return f"0 * count({TRUNKS} unless on (repo, branch) {fresh_trunks()})"


def said(expr: str, exists: str, label: str, nothing: str, among: str = "") -> str:
    """Return `expr`, or a row for "nothing" or for "unknown because data is old".

    Args:
        expr: the rows.
        exists: a cheap expression that has a series if there are rows.
        label: of the row that gets the text.
        nothing: the text where all data is fresh.
        among: an expression without whose series there is neither text: the choice must exist.
    """
    only = f" and on () {among}" if among else ""
    return (
        f"{expr}\n"
        f'or label_replace({all_fresh()}, "{label}", "✔ {nothing}", "", ""){only}'
        f" unless on () {exists}\n"
        f'or label_replace({some_old()}, "{label}", "? not known: data is old", "", ""){only}'
        f" unless on () {exists}"
    )


def none_yet(expr: str, label: str, exists: str) -> str:
    """Return counts by `label`; "none" at 0 where nothing was counted while exporters are scraped.

    A labelled counter has no series before its first event, which is not the same as no data.
    """
    scraped = f"0 * max(trunkwatch_build_info{IN_JOB})"
    return f'{expr}\nor label_replace({scraped}, "{label}", "none", "", "") unless on () {exists}'


def fact(expr: str, label: str, name: str) -> str:
    """Return `expr` with the line `name` of its label `facts` as a label of its own."""
    line = f"(?s:(?:.*\\n)?{name}: ([^\\n]+)(?:\\n.*)?)"
    return f'label_replace({expr}, "{label}", "$1", "facts", "{line}")'


def otherwise(expr: str, label: str, text: str) -> str:
    """Return `expr` with a text in place of an empty label, which Prometheus would drop."""
    return f'label_replace({expr}, "{label}", "{text}", "{label}", "")'


def label_values(label: str, metric: str, matchers: str = "") -> str:
    """Return the variable query for the values of a label."""
    return f"label_values({metric}{matchers}, {label})"


def spoken(age: str, labels: str, label: str) -> str:
    """Return an age in seconds as a text of its two largest units: `2d 3h`, `3h 53m`, `7m`.

    A column of a table has one unit with its neighbours, which are counts; so this is a label.

    Args:
        age: one series for each combination of `labels`.
        labels: the labels that `age` has.
        label: gets the text.
    """
    days = _in_units(f"({age} >= 86400)", labels, label, (86400, "d"), (3600, "h"))
    hours = _in_units(f"({age} >= 3600 < 86400)", labels, label, (3600, "h"), (60, "m"))
    minutes = f'count_values by ({labels}) ("{label}", floor(({age} < 3600) / 60))'
    return (
        f'{days}\nor {hours}\nor label_replace({minutes}, "{label}", "${{1}}m", "{label}", "(.+)")'
    )


def _in_units(
    age: str, labels: str, label: str, large: tuple[int, str], small: tuple[int, str]
) -> str:
    whole = f'count_values by ({labels}) ("whole", floor({age} / {large[0]}))'
    rest = f'count_values by ({labels}) ("rest", floor({age} % {large[0]} / {small[0]}))'
    joined = f"{whole} * on ({labels}) group_left (rest) {rest}"
    both = f'label_join({joined}, "both", ":", "whole", "rest")'
    text = f"${{1}}{large[1]} ${{2}}{small[1]}"
    replaced = f'label_replace({both}, "{label}", "{text}", "both", "(.+):(.+)")'
    return f"max by ({labels}, {label}) ({replaced})"
