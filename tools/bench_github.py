"""`make bench`: what reading a trunk of a large framework's size costs in requests of GitHub.

Counts, not times, so the figures are the same on every machine. The GitHub is the stand-in of the
tests, whose answers are checked against GitHub's own description.
"""

import sys
from collections.abc import Iterator

from tests.github.measures import Course, counted, course, follow, sent
from tests.github.player import POLL

MINUTES = 30


def rows(on: Course) -> Iterator[tuple[str, str, str]]:
    """Yield what was done, the requests that were counted, and what else there is to say."""
    first = on.player.refresh()
    shown = len(on.player.trunk.order.commits)
    cold = [first, *on.player.refresh_to_the_end()]
    yield "cold start", f"{counted(cold)}", f"the newest {shown} commits after {first.counted}"
    idle = on.player.pass_time(MINUTES * POLL)
    mean = sent(idle) / len(idle)
    yield "nothing new, 30 refreshes", f"{counted(idle)}", f"{mean:.1f} sent per refresh"
    on.player.restart()
    yield "restart with a stored history", f"{counted(on.player.pass_time(5 * POLL))}", ""
    one = follow(on, 1)
    late = f"no failure seen later than {one.worst_failure:.0f} s after it"
    yield "one commit from queue to done, in an hour", f"{one.requests}", late
    ten = follow(on, 10)
    lag = f"median lag {ten.median_lag:.0f} s"
    yield "ten such commits in flight, the worst hour", f"{ten.worst_hour}", lag
    on.framework.rerun(20, 30, on.framework.world.now + 10)
    again = on.player.pass_time(MINUTES * POLL)
    yield "a re-run of an old commit, 30 refreshes", f"{counted(again)}", ""
    if on.errors():
        raise SystemExit("what is said is not what is true; the figures mean nothing")


def main() -> int:
    """Measure and print."""
    print("| 60 commits, 20 workflows, 450 jobs a commit | counted requests | |\n|---|---|---|")
    with course() as on:
        for what, figure, more in rows(on):
            print(f"| {what} | {figure} | {more} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
