"""A generated history of 200 commits of eleven jobs in five groups."""

import random
from collections.abc import Iterator, Mapping

COMMITS = 200
SEED = 20251209

JOBS: Mapping[str, str] = {
    "inductor_a": "inductor",
    "inductor_b": "inductor",
    "inductor_c": "inductor",
    "pair_a": "pair",
    "pair_b": "pair",
    "pair_c": "pair",
    "patient_a": "patient",
    "patient_b": "patient",
    "nightly": "nightly",
    "exempt": "default",
    "steady": "default",
}
"""The group of each job."""

CONFIG = """
sources:
  - {{name: trunks, type: recorded, path: {file}, poll_interval: 50ms}}
jobs: {{preset: pytorch}}
groups:
  - {{name: inductor, match: {{job_name: '.*\\(inductor_.*'}}, team: broken-inductor, priority: P2}}
  - {{name: pair, match: {{job_name: '.*\\(pair_.*'}}, priority: P1, failure_threshold: 2,
      failures_to_open: 2}}
  - {{name: patient, match: {{job_name: '.*\\(patient_.*'}}, passes_to_close: 2}}
  - {{name: nightly, match: {{job_name: '.*\\(nightly.*'}}, failures_to_open: 2, priority: P2}}
known_broken:
  - {{match: {{job_name: '.*\\(exempt\\)'}}, reason: its hardware is on order}}
"""
"""`pair` alerts when two of its jobs are broken; `exempt` never alerts."""

WHEN_WORKING = "P" * 50 + "KKCCSS..FFp"
"""Results of a working job: also flaky, cancelled, skipped, missing, late or a single failure."""

WHEN_BROKEN = "FFFFFFFFFFFFFFFFFFFFKKCC..f"
"""Results of a broken job; a lower-case letter arrives late, while its commit is the tip."""


def job_histories() -> dict[str, str]:
    """Return each job's letters, oldest first."""
    chance = random.Random(SEED)
    return {job: "".join(_history(job, chance)) for job in JOBS}


def _history(job: str, chance: random.Random) -> Iterator[str]:
    if job == "steady":
        yield from "P" * COMMITS
        return
    every = 8 if job == "nightly" else 1
    left = 0
    for place in range(COMMITS):
        if place % every:
            yield "."
        elif place < every:
            yield "P"
        else:
            if left:
                left -= 1
            elif chance.random() < (0.04 if every == 1 else 0.3):
                left = chance.randint(3, 11)
            yield chance.choice(WHEN_BROKEN if left else WHEN_WORKING)


def first_results(letters: Mapping[str, str], place: int) -> dict[str, str]:
    """Return each job's first result of a commit: a late result is pending at first."""
    return {job: "?" if text[place].islower() else text[place] for job, text in letters.items()}


def late_results(letters: Mapping[str, str], place: int) -> dict[str, str]:
    """Return the results that arrive late, before the next commit."""
    return {job: text[place].upper() for job, text in letters.items() if text[place].islower()}
