"""Tries every parser: `python -m tests.fuzz --tries 10000`."""

import argparse
import logging
import multiprocessing
import sys
import time
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS, Target


class Outcome(NamedTuple):
    """The tries of one parser."""

    name: str
    seconds: float
    tries: int
    refused: int
    counts: str
    failure: str


def attempt(target: Target, tries: int, number: int) -> Outcome:
    """Try a parser until it fails.

    Args:
        target: the parser.
        tries: inputs that it is given.
        number: the seed of the inputs.
    """
    done = refused = 0

    @seed(number)
    @settings(
        max_examples=tries,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(target.inputs())
    def run(value: object) -> None:
        nonlocal done, refused
        done += 1
        try:
            target.call(value)
        except target.allowed:
            refused += 1

    begun, failure = time.monotonic(), ""
    try:
        run()
    except Exception as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        failure = f"{type(error).__name__}: {error}\n{notes}"
    counts = ", ".join(f"{count} {name}" for name, count in target.counts().items())
    return Outcome(target.name, time.monotonic() - begun, done, refused, counts, failure)


def _attempt(job: tuple[int, int, int]) -> Outcome:
    logging.disable(logging.CRITICAL)
    place, tries, number = job
    return attempt(TARGETS[place], tries, number)


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
        for found in pool.imap_unordered(_attempt, jobs):
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
