"""Compare a trunk of which old results are dropped with one that keeps all, on random histories.

    python -m tests.reference.dropped --count 2000 --seed 1

Results arrive in about the order of their commits, some late, some again; old ones are dropped in
between, and the process restarts with and without its state, or with another N. Prints the first
disagreements, and exits 1 where there is any.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest
import yaml
from trunkwatch.config import parse_config, policy_of
from trunkwatch.domain import retention as rules
from trunkwatch.domain.columns import Count
from trunkwatch.domain.groups import group_of, split_events
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import STARTUP_JOB, JobKey, Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import Policy
from trunkwatch.engine import retention
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator

from tests.engine.retained import Difference, End, Kept, Rows, accepted, differences, published
from tests.reference.histories import generate
from tests.reference.recorded import recorded

DROPS = 6
"""Moments of each history at which old results are dropped."""

FOLLOW_NUMBERS = (" ended", " groups", " retired", " removed_broken")
"""Values that follow from N and M as they were when the results were dropped."""

FOLLOW_GROUP = (" is_gated", " alerting", " groups", " retired", " removed_broken")
"""Values that follow from other jobs of the trunk."""

LATE = 12
"""Commits by which results are late at most."""


def compare(seed: int) -> list[Difference]:
    """Return the values on which the two disagree at any moment of a history."""
    lines, config, now = generate(seed)
    text = yaml.safe_dump({"sources": [{"name": "x", "type": "recorded", "path": "x"}], **config})
    policy = policy_of(parse_config(text, "trunkwatch.yml"))
    found, rng = recorded(lines), Random(seed)
    for trunk, order in found.orders.items():
        rows = [row for row in found.rows if row.trunk == trunk]
        wrong = _compare_trunk(trunk, order, rows, policy, now.timestamp(), rng)
        if wrong:
            return wrong
    return []


def _compare_trunk(
    trunk: Trunk,
    order: TrunkOrder,
    rows: Sequence[Observation],
    policy: Policy,
    now: float,
    rng: Random,
) -> list[Difference]:
    changed = False
    kept, full, labels = Kept(trunk, policy), Rows(trunk), defaultdict[str, set[str]](set)
    for known, piece in _pieces(order, rows, rng):
        grown = TrunkOrder(trunk, order.commits[:known], order.older_unread)
        moment = now - 3600 * (len(order.commits) - known)
        taken = accepted(piece, kept.trunk)
        full.add(taken)
        if rng.random() < 0.2:
            changed = True
            policy = kept.policy = _other_numbers(policy, rng)
            kept.restart(grown, moment, with_state=False)
        alerting = kept.alerting
        state = kept.update(grown, taken, moment)
        since = kept.trunk.base.since
        whole = TrunkEvaluator(grown, policy, full, kept.trunk.labels)
        wanted = whole.update(grown, {}, moment, alerting=alerting)
        for workflow, label in kept.trunk.labels.items():
            labels[workflow].add(label)
        renamed = set(_renamed_jobs({row.job for row in rows}, trunk, labels, policy))
        special = {
            job.key
            for each in (wanted, state)
            for job in each.jobs
            if (changed and (_is_dropped_at_once(job) or kept.is_cut_off(job.key)))
            or job.key.job_name in renamed
        }
        found = differences(
            *(_without(special, published(each, since)) for each in (wanted, state))
        )
        if changed and _labels(wanted) != _labels(state):
            return []  # Where a job fails by the earlier numbers, its workflow keeps its label.
        # Whether a job alerts depends on all jobs of its group.
        follow = (*(FOLLOW_NUMBERS if changed else ()), *(FOLLOW_GROUP if special else ()))
        wrong = [each for each in found if not each[0].endswith(follow)]
        if wrong:
            return wrong
        steps = rng.choice((1, 5, 1000, 1000))
        kept.drop(rng.randrange(1, 20), moment, steps, outside=rng.random() < 0.5)
        end = rng.choice(tuple(End))
        if end is not End.RUNS_ON:
            kept.restart(grown, moment, with_state=end is End.STOPS)
    return []


def _pieces(
    order: TrunkOrder, rows: Sequence[Observation], rng: Random
) -> Iterator[tuple[int, list[Observation]]]:
    """Yield the number of commits of the trunk, and the results that arrive."""
    length = len(order.commits)
    arrivals = sorted(
        ((order.index.get(row.sha, 0) + rng.choice((0, 0, 0, 1, rng.randrange(LATE))), n, row)
         for n, row in enumerate(rows)),
        key=lambda each: each[:2],
    )  # fmt: skip
    before = 0
    for moment in range(1, DROPS + 1):
        known = length * moment // DROPS
        end = length + LATE if moment == DROPS else known
        piece = [row for place, _, row in arrivals if before <= place < end]
        again = [row for place, _, row in arrivals if place < before and rng.random() < 0.05]
        yield known, [*piece, *again]
        before = end


def _without(special: Collection[JobKey], state: TrunkState) -> TrunkState:
    """Return a state without some jobs, and without the numbers of results outside the trunk."""
    return replace(
        state,
        jobs=tuple(job for job in state.jobs if job.key not in special),
        alerting=tuple(job for job in state.alerting if job.key not in special),
        ignored_runs={why: runs for why, runs in state.ignored_runs.items() if why != "commit"},
    )


def _labels(state: TrunkState) -> set[str]:
    return {job.key.workflow for job in state.jobs}


def _renamed_jobs(
    jobs: Iterable[RawJob], trunk: Trunk, labels: Mapping[str, Collection[str]], policy: Policy
) -> Iterator[str]:
    """Yield the names of jobs that another label of their workflow puts under other rules."""
    for raw in jobs:
        found = set[tuple[object, ...]]()
        for label in labels.get(raw.workflow_key, ()):
            name = policy.naming.resolve(label, raw.job_name) or ""
            key = JobKey(*trunk, label, name)
            split = split_events(key, policy.groups, policy.evidence.events)
            groups = {event: group.name for event, group in split.items()}
            found.add((name, group_of(key, policy.groups).name, *groups.items()))
        if len(found) > 1:
            yield from (str(name) for name, *_ in found)


def _is_dropped_at_once(job: JobState) -> bool:
    """Return whether no result of a job is kept for the sake of other numbers."""
    return job.key.job_name == STARTUP_JOB or job.group.count is Count.RUNS


def _other_numbers(policy: Policy, rng: Random) -> Policy:
    """Return a policy with another N for every job, and M of 1 or 2 instead of the other."""

    def other(old: Thresholds) -> Thresholds:
        close = 3 - old.passes_to_close if old.passes_to_close < 3 else 3
        return replace(old, failures_to_open=rng.randrange(1, 5), passes_to_close=close)

    return replace(
        policy,
        groups=tuple(
            replace(
                group,
                thresholds=other(group.thresholds),
                overrides=tuple(
                    replace(o, thresholds=other(o.thresholds)) for o in group.overrides
                ),
            )
            for group in policy.groups
        ),
    )


def small_steps(patch: pytest.MonkeyPatch) -> None:
    """Drop in portions of which short histories have several."""
    settings: Mapping[str, int] = {
        "COLUMNS_PER_STEP": 2, "COMMITS_PER_STEP": 3, "TRIMMED_COLUMNS": 2,
    }  # fmt: skip
    for name, value in settings.items():
        patch.setattr(retention, name, value)
    patch.setattr(rules, "SHOWN_COMMITS", 5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare as many histories as asked for, and print the first disagreements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next ones follow")
    options = parser.parse_args(arguments)
    wrong = 0
    with pytest.MonkeyPatch.context() as patch:
        small_steps(patch)
        for seed in range(options.seed, options.seed + options.count):
            found = compare(seed)
            wrong += bool(found)
            if found and wrong <= 5:
                print(f"seed {seed}:")
                for path, wanted, got in found[:4]:
                    print(f"  {path}\n    expected {wanted!r}\n    found    {got!r}"[:1500])
    print(f"{options.count} histories from seed {options.seed}: {wrong} disagree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
