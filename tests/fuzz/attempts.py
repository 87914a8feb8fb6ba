"""The tries of one parser."""

import logging
import time
import traceback
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target

QUOTED_CHARACTERS = 4000
"""The end of a failure that is printed."""


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

    begun, failure = time.monotonic(), ""

    @seed(number)
    @settings(
        max_examples=tries,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(st.deferred(lambda: target.inputs()))  # noqa: PLW0108 — it refuses a method
    def run(value: object) -> None:
        nonlocal done, refused
        done += 1
        try:
            target.call(value)
        except target.allowed:
            refused += 1

    try:
        run()
    except Exception as error:
        failure = "".join(traceback.format_exception(error))[-QUOTED_CHARACTERS:]
    counts = ", ".join(f"{count} {name}" for name, count in target.counts().items())
    return Outcome(target.name, time.monotonic() - begun, done, refused, counts, failure)


def attempt_quietly(job: tuple[int, int, int]) -> Outcome:
    logging.disable(logging.CRITICAL)
    place, tries, number = job
    return attempt(TARGETS[place], tries, number)
