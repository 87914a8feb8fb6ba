"""Tries every parser: `python -m tests.fuzz --tries 10000`."""

import argparse
import multiprocessing
import sys

from tests.fuzz.attempts import attempt_quietly
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Try the chosen parsers; return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--tries", type=int, default=10_000, help="inputs of each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--only", default="", help="part of the parsers' names")
    flags = parser.parse_args()
    jobs = [
        (place, flags.tries, flags.seed)
        for place, target in enumerate(TARGETS)
        if flags.only in target.name
    ]
    # The slowest first, so that they share the time.
    jobs.sort(key=lambda job: not TARGETS[job[0]].name.startswith("GitHub"))
    failed = 0
    with multiprocessing.get_context("spawn").Pool(flags.workers) as pool:
        for found in pool.imap_unordered(attempt_quietly, jobs):
            failed += bool(found.failure)
            more = f" ({found.counts})" if found.counts else ""
            print(
                f"{found.name}: {found.tries} tries, {found.refused} refused,"
                f" {int(bool(found.failure))} uncaught exceptions, {found.seconds:.0f} s{more}",
                flush=True,
            )
            if found.failure:
                print(found.failure, file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
