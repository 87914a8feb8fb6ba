"""`make bench`: the requests that reading a large trunk from GitHub costs.

The figures are counts and therefore the same on every machine. They are measured on the tests' fake
GitHub, whose responses are validated against GitHub's own description.
"""

import sys
from collections.abc import Iterator

from tests.github.exporter import POLL
from tests.github.request_costs import (
    LargeTrunkReader,
    counted_requests,
    follow_commits,
    reading_large_trunk,
    sent_requests,
)

MINUTES = 30


def rows(on: LargeTrunkReader) -> Iterator[tuple[str, str, str]]:
    """Yield each measured case, its counted requests and a remark."""
    first = on.exporter.refresh()
    shown = len(on.exporter.trunk.order.commits)
    cold = [first, *on.exporter.refresh_until_idle()]
    yield (
        "cold start",
        f"{counted_requests(cold)}",
        f"the newest {shown} commits after {first.counted}",
    )
    idle = on.exporter.advance(MINUTES * POLL)
    mean = sent_requests(idle) / len(idle)
    yield "nothing new, 30 refreshes", f"{counted_requests(idle)}", f"{mean:.1f} sent per refresh"
    on.exporter.restart()
    yield "restart with a stored history", f"{counted_requests(on.exporter.advance(5 * POLL))}", ""
    one = follow_commits(on, 1)
    late = f"no failure seen later than {one.worst_failure:.0f} s after it"
    yield "one commit from queue to done, in an hour", f"{one.requests}", late
    ten = follow_commits(on, 10)
    lag = f"median lag {ten.median_lag:.0f} s"
    yield "ten such commits in flight, the worst hour", f"{ten.worst_hour}", lag
    on.large_trunk.rerun(20, 30, on.large_trunk.fake.now + 10)
    again = on.exporter.advance(MINUTES * POLL)
    yield "a re-run of an old commit, 30 refreshes", f"{counted_requests(again)}", ""
    if on.errors():
        raise SystemExit("the jobs differ from the expected ones; the figures mean nothing")


def main() -> int:
    """Measure and print."""
    print("| 60 commits, 20 workflows, 450 jobs a commit | counted requests | |\n|---|---|---|")
    with reading_large_trunk() as on:
        for what, figure, more in rows(on):
            print(f"| {what} | {figure} | {more} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
