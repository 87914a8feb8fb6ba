"""`make bench`: the requests that reading a large trunk from GitHub costs.

The figures are counts and therefore the same on every machine. They are measured on the tests' fake
GitHub, whose responses are validated against GitHub's own description.
"""

import sys
from dataclasses import replace

from tests.github.request_costs import (
    Cost,
    measure_costs,
    measure_idle_round,
    reading_large_trunk,
)

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
    found = measure_idle_round(latency=LATENCY_SECONDS)
    _print(replace(found.cold, remark=f"{found.cold.remark}, in {found.cold_seconds:.0f} s"))
    late = f"{1000 * LATENCY_SECONDS:.0f} ms latency: {found.seconds:.1f} s"
    _print(replace(found.cost, remark=f"{found.cost.remark}, {late}, {found.refused} refused"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
