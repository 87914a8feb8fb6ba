"""The PromQL of the dashboard *Job*: of the families of every job, it selects one job."""

from dashboards.promql import (
    JOB,
    OF_ONE_JOB,
    ONE_JOB,
    RULES_ONE_JOB,
    fact,
    fresh_trunks,
    otherwise,
    said,
    selector,
)
from dashboards.queries import outage_facts, suspect_commits, with_facts
from dashboards.settings import UNKNOWN_TEXT

HELD = f"job:ci_job_failures_in_outage:held{RULES_ONE_JOB}"

# Codes of states.
PASSES, FAILS, BROKEN, FLAKES, PENDING, OLD = 0, 1, 2, 3, 4, -1
NOT_BROKEN, NEVER = -1, -2


def family(name: str) -> str:
    """Return a family of the chosen job."""
    return f"max by ({JOB}) (ci_job_{name}{ONE_JOB})"


def verdicts() -> str:
    """Return the state of the job as a code."""
    return (
        f"0 * ({family('broken')} == 1) + {BROKEN}\n"
        f"or 0 * ({family('consecutive_failures')} > 0) + {FAILS}\n"
        f"or 0 * ({family('flaky_commits')} > 0) + {FLAKES}\n"
        f"or 0 * ({family('pending_commits')} > 0) + {PENDING}\n"
        f"or 0 * {family('broken')} + {PASSES}"
    )


def state_now() -> str:
    """Return the state; a job passes only where the data is fresh."""
    bad = f"({verdicts()}) >= {FAILS} < {FLAKES}"
    fresh = f"({verdicts()}) and on (repo, branch) {fresh_trunks()}"
    held = f"0 * max by ({JOB}) ({HELD}) + {BROKEN}"
    return f"{bad}\nor {fresh}\nor 0 * {family('broken')} + {OLD}\nor {held}"


def broken_for() -> str:
    """Return the age of the outage, or a code."""
    none = f"0 * ({family('broken')} == 0) + {NOT_BROKEN} and on (repo, branch) {fresh_trunks()}"
    return f"time() - {family('broken_since_timestamp_seconds')}\nor {none}"


def since_pass() -> str:
    """Return the time since the newest pass, or a code."""
    never = f"0 * {family('broken')} + {NEVER}"
    return f"time() - {family('last_success_timestamp_seconds')}\nor {never}"


def since_verdict() -> str:
    """Return the time since the newest pass, failure or flake, or a code."""
    never = f"0 * {family('broken')} + {NEVER}"
    return f"time() - {family('last_verdict_timestamp_seconds')}\nor {never}"


def exempt() -> str:
    """Return whether the configuration exempts the job from alerting."""
    return family("known_broken")


def mostly_flaky() -> str:
    """Return whether most of the newest verdicts are flakes."""
    return family("mostly_flaky")


def outage() -> str:
    """Return the facts of the open outage, as labels."""
    good = fact(outage_facts(ONE_JOB, HELD), "last_good", "Last good")
    compared = otherwise(fact(good, "compare", "Compare"), "compare", "$page/")
    rows = with_facts(compared)
    for label in ("last_good", "title"):
        rows = otherwise(rows, label, UNKNOWN_TEXT)
    shown = f"{JOB}, author, title, failed_step, url, commit, suspects, opened, last_good, compare"
    return said(f"max by ({shown}) ({rows})", HELD, "author", "not broken", family("broken"))


def suspects() -> str:
    """Return the suspects of the open outage."""
    rows = f"max by (commit, author, title, result) ({suspect_commits(ONE_JOB, HELD)})"
    return said(rows, HELD, "title", "not broken", family("broken"))


def alerts_of_job() -> str:
    """Return the firing alerts of the job."""
    chosen = selector("trunkwatch", *OF_ONE_JOB, also='alertname=~"Trunk.+", alertstate="firing"')
    return f"count by (alertname, job_name, group) (ALERTS{chosen})"
