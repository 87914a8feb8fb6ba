"""`make bench`: the requests that reading a large trunk from GitHub costs.

The figures are counts and therefore the same on every machine. They are measured on the tests' fake
GitHub, whose responses are validated against GitHub's own description.
"""

import sys
from dataclasses import replace

from tests.github.request_costs import (
    Cost,
    cost_of,
    follow_commits,
    measure_costs,
    measure_idle_round,
    measure_lag,
    reading_large_trunk,
)
from tests.github.rights import CLASSIC, FINE_GRAINED

LATENCY_SECONDS = 0.05
"""Of each request in a round over many repositories."""


def _print(cost: Cost) -> None:
    print(f"| {cost.case} | {cost.counted} | {cost.sent} | {cost.remark} |", flush=True)


def main() -> int:
    """Measure and print."""
    print("| 60 commits, 20 workflows, 450 jobs a commit | counted | sent | |\n|---|---|---|---|")
    with reading_large_trunk() as on:
        for cost in measure_costs(on):
            _print(cost)
        if on.errors():
            raise SystemExit("the jobs differ from the expected ones; the figures mean nothing")
    for words, rights in (("REST alone", CLASSIC), ("REST without Checks", FINE_GRAINED)):
        with reading_large_trunk(graphql=False, rights=rights) as on:
            _print(cost_of(f"{words}: cold start", on.read_all()))
            ten = follow_commits(on, 10)
            lag = f"median lag {ten.median_lag:.0f} s, failures {ten.worst_failure:.0f} s"
            case = f"{words}: ten commits in flight, the worst hour"
            _print(Cost(case, ten.worst_hour, ten.worst_hour_sent, lag))
    found = measure_idle_round(latency=LATENCY_SECONDS)
    _print(replace(found.cold, remark=f"{found.cold.remark}, in {found.cold_seconds:.0f} s"))
    late = f"{1000 * LATENCY_SECONDS:.0f} ms latency: {found.seconds:.1f} s"
    _print(replace(found.cost, remark=f"{found.cost.remark}, {late}, {found.refused} refused"))
    print("\n| at the default interval, 60 jobs a commit | median | p99 | counted an hour |")
    print("|---|---|---|---|")
    for words, graphql in (("GraphQL", True), ("REST alone", False)):
        seen = measure_lag(graphql=graphql)
        print(
            f"| {words} | {seen.median:.0f} s | {seen.p99:.0f} s | {seen.worst_hour} |", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
