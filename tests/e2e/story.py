"""A trunk of two hundred commits, made up: eleven jobs of five kinds, each with its own life."""

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
"""`pair` speaks when two of its jobs are broken; `exempt` never does."""

NOISE = "P" * 50 + "KKCCSS..FFp"
"""What a job that works says: it also flakes, is cancelled, skipped, left out, late, fails once."""

BROKEN = "FFFFFFFFFFFFFFFFFFFFKKCC..f"
"""What a job that is broken says; `p` and `f` are results that come while it is the tip."""


def lives() -> dict[str, str]:
    """Return each job's letters, oldest first."""
    chance = random.Random(SEED)
    return {job: "".join(_life(job, chance)) for job in JOBS}


def _life(job: str, chance: random.Random) -> Iterator[str]:
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
            yield chance.choice(BROKEN if left else NOISE)


def on(letters: Mapping[str, str], place: int) -> dict[str, str]:
    """Return what each job says of a commit at first: a result that is late is pending."""
    return {job: "?" if text[place].islower() else text[place] for job, text in letters.items()}


def late(letters: Mapping[str, str], place: int) -> dict[str, str]:
    """Return the results that come later, before the next commit."""
    return {job: text[place].upper() for job, text in letters.items() if text[place].islower()}
