"""The PromQL of the dashboard *Trunkwatch*."""

from dashboards.promql import IN_JOB, IN_TRUNK, none_yet
from dashboards.settings import QUOTA_MEMORY

# A code for a part that is not configured, where 0 and 1 are answers.
ABSENT = -1
SCRAPED = f"max(trunkwatch_build_info{IN_JOB})"


def own(name: str) -> str:
    """Return a family of the exporter."""
    return f"trunkwatch_{name}{IN_JOB}"


def by_source(name: str, how: str = "max") -> str:
    """Return a family of the sources."""
    return f"{how} by (source) ({own(f'source_{name}')})"


def exporters() -> str:
    """Return how many exporters are scraped, by version."""
    return f"count by (version) ({own('build_info')})"


def targets_up() -> str:
    """Return how many targets of the scrape job answer."""
    return f"sum(up{IN_JOB})"


def rules_evaluated() -> str:
    """Return 1 while the rules are evaluated, 0 while exporters are scraped and they are not."""
    watchdog = (
        'ALERTS{trunkwatch=~"$trunkwatch", alertname="TrunkwatchWatchdog", alertstate="firing"}'
    )
    return f"max({watchdog})\nor 0 * {SCRAPED}"


def reload_success() -> str:
    """Return 0 while an exporter rejects its changed configuration, else 1."""
    return f"min({own('config_reload_success')})"


def web_reload_success() -> str:
    """Return 0 while an exporter uses an old web configuration or certificate, else 1."""
    return f"min({own('web_config_reload_success')})"


def storage_up() -> str:
    """Return 0 while an exporter cannot store results, else 1."""
    return f"min({own('storage_up')})"


def jobs_refused() -> str:
    """Return how many jobs were refused since the exporter started."""
    return f"max({own('jobs_dropped_total')})"


def tickets_up() -> str:
    """Return 1 or 0 per peer of `trunkwatch tickets`, a code where it does not run."""
    return _peers_up("tickets")


def confirm_up() -> str:
    """Return 1 or 0 per peer of `trunkwatch confirm`, a code where it does not run."""
    return _peers_up("confirm")


def _peers_up(program: str) -> str:
    up = f"min by (peer) (trunkwatch_{program}_up)"
    absent = f'label_replace(0 * {SCRAPED} + {ABSENT}, "peer", "{program}", "", "")'
    return f"{up}\nor {absent} unless on () {up}"


def source_age() -> str:
    """Return the time since each source was last refreshed; nothing if it never was."""
    return f"time() - ({by_source('last_success_timestamp_seconds')} > 0)"


def quota_left() -> str:
    """Return the remaining share per source of its largest quota in the range, as in the alert."""
    most = f"max by (source) (max_over_time({own('source_quota_remaining')}[{QUOTA_MEMORY}]))"
    return (
        f"{by_source('quota_remaining', 'min')} / {most}\n"
        f"or 0 * {by_source('up')} + {ABSENT} unless on (source) {by_source('quota_remaining')}"
    )


def quota() -> str:
    """Return the remaining requests of each source that counts them."""
    remaining = by_source("quota_remaining", "min")
    return none_yet(remaining, "source", remaining)


def rate(name: str, *labels: str) -> str:
    """Return a counter's rate a second by labels; "none" where nothing was counted yet."""
    by = ", ".join(labels)
    exists = f"max by ({by}) ({own(name)})"
    return none_yet(f"sum by ({by}) (rate({own(name)}[$__rate_interval]))", labels[-1], exists)


def or_none(found: str, label: str) -> str:
    """Return rows; where there are none and exporters are scraped, a row with the text "none"."""
    none = f'label_replace(0 * {SCRAPED}, "{label}", "✔ none", "", "")'
    return f"{found}\nor {none} unless on () {found}"


def limitations() -> str:
    """Return the limitations of the sources."""
    found = f"max by (source, limitation) ({own('source_limitation')})"
    return or_none(found, "limitation")


def of_trunks(name: str, label: str) -> str:
    """Return a counter of the trunks by a label."""
    found = f"max by (repo, branch, {label}) (trunkwatch_{name}{IN_TRUNK})"
    return or_none(found, label)


def rewrites() -> str:
    """Return the force pushes of each trunk since the exporter started."""
    found = f"(max by (repo, branch) (trunkwatch_trunk_rewrites_total{IN_TRUNK}) > 0)"
    return or_none(found, "repo")


def labels_cut() -> str:
    """Return how many values of labels were cut since the exporter started."""
    return f"max({own('label_values_cut_total')})"


def samples_scraped() -> str:
    """Return the samples of the last scrape, of the larger exporter."""
    return f"max(scrape_samples_scraped{IN_JOB})"


def scrape_duration() -> str:
    """Return how long scrapes take."""
    return f"max(scrape_duration_seconds{IN_JOB})"


def store(name: str) -> str:
    """Return a number of the storage, a code where none is configured."""
    found = f"max({own(f'store_{name}')})"
    return f"{found}\nor 0 * {SCRAPED} + {ABSENT}"


def store_age() -> str:
    """Return the age of the oldest commit whose results are all stored, a code where none is."""
    oldest = f"min({own('store_oldest_timestamp_seconds')})"
    return f"time() - {oldest}\nor 0 * {SCRAPED} + {ABSENT}"


def newest_commit() -> str:
    """Return the age of the newest commit of each trunk."""
    return f"time() - max by (repo, branch) (ci_branch_head_timestamp_seconds{IN_TRUNK})"


def feeds_up() -> str:
    """Return whether the last refresh of each source of each trunk has read it."""
    return f"min by (repo, branch, source) (ci_branch_source_up{IN_TRUNK})"


def feeds_age() -> str:
    """Return the age of what each source has read of each trunk."""
    read = f"min by (repo, branch, source) (ci_branch_source_data_timestamp_seconds{IN_TRUNK})"
    return f"time() - {read}"
