"""Play random histories with a hidden cause through a CI, the exporter and confirm.

    python -m tests.confirm.histories --count 1000 --seed 1 --ci gitlab

A stand-in of the CI plays each history, and runs again the jobs that confirm asks for. Prints the
figures, and each end that contradicts the plan with its seed; exits 1 where there is any.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from random import Random
from statistics import mean, median

from trunkwatch.confirm.model import Asked, Kind, State

from tests.confirm.plan import FOLD, Plan, Tested
from tests.confirm.stage import ALL, MINUTE, REPO, SERVERS, Stage, stage
from tests.github.fake import FakeGitHub
from tests.github.http_server import HttpRequest
from tests.github.repo import PlannedRun

WIDE = {"max_runs_per_group": 1000, "max_runs_per_repo": 1000, "max_minutes_per_repo": 100_000}
"""Limits that no history reaches; that of an outage is the default."""

STEPS = 80
"""Rounds after which a history ends, although a question waits."""

GRAPHQL_EVERY = 8
"""The exporter uses GraphQL in one of so many histories: the stand-in takes longer for it."""


@dataclass
class Played:
    """The end of one history.

    Attributes:
        plan: the history.
        suspects: the commits that the exporter suspects at the end, by the job's name; None where
            it has none.
        questions: all questions at the end.
        accepted: number of requests of confirm that CI accepted.
        by_hand: number of runs that a person repeated.
    """

    plan: Plan
    suspects: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    questions: Sequence[Asked] = ()
    accepted: int = 0
    by_hand: int = 0

    def sent(self, job: Tested | None = None, kind: Kind | None = None) -> list[Asked]:
        """Return the questions for which a request was sent, about a job and of a kind, or all."""
        return [
            each
            for each in self.questions
            if each.sent_at is not None
            and (job is None or each.question.job.job_name == job.name)
            and kind in (None, each.question.kind)
        ]


# ---------------------------------------------------------------------- play


def play(seed: int, ci: str = "github") -> Played:
    """Play one history until nothing is planned, and no question is open or waits.

    Args:
        seed: of the history.
        ci: the type of the CI.
    """
    played, fake = Played(Plan(seed, lists_skipped=ci == "github")), FakeGitHub()
    runs = played.plan.push(fake, REPO)
    fake.now = played.plan.start
    graphql = seed % GRAPHQL_EVERY == 0
    with stage(fake, jobs=FOLD, graphql=graphql, questions=ALL, type=ci, **WIDE) as made:
        made.exporter.refresh_until_idle()
        made.confirmer.round()
        _step_until_idle(played, made, runs)
        played.questions = made.questions()
        played.accepted = len(made.server.reruns.accepted) - played.by_hand
        order = {sha: n for n, sha in enumerate(fake.repos[REPO].commits)}
        for job in played.plan.jobs:
            blame = made.job(job.name).blame
            if blame is not None and blame.suspects is not None:
                played.suspects[job.name] = tuple(order[each.sha] for each in blame.suspects)
    return played


def _step_until_idle(played: Played, made: Stage, runs: Sequence[PlannedRun]) -> None:
    fake, rng = made.fake, Random(played.plan.seed)
    by_hand = {rng.randrange(8) for _ in range(played.plan.by_hand)}
    idle, number, wait = 0, 0, 5 * MINUTE
    for step in range(STEPS):
        questions = made.questions()
        # The exporter reads a result a minute later at most; nothing else changes in between.
        ends = [end + MINUTE for run in runs if (end := run.changes()[-1]) + MINUTE > fake.now]
        waits = any(each.is_open or each.state is State.PROPOSED for each in questions)
        if not ends:
            idle = 0 if waits or len(questions) > number else idle + 1
            # The result of a run that leaves the job out is waited for at last for a day.
            wait = min(2 * wait, 60 * MINUTE) if waits else 5 * MINUTE
        if idle == 2:
            return
        number = len(questions)
        if step in by_hand:
            played.by_hand += _repeat_by_hand(made, rng.choice(runs))
        made.step(min(ends) if ends else fake.now + wait)


def _repeat_by_hand(made: Stage, run: PlannedRun) -> bool:
    """Repeat a run as a person does; return whether CI accepts it."""
    paths = {
        "github": f"/repos/{REPO}/actions/runs/{run.id}/rerun-failed-jobs",
        "gitlab": f"/projects/{REPO.replace('/', '%2F')}/pipelines/{run.id}/retry",
    }
    path = paths[made.section.type]
    before = len(made.server.reruns.accepted)
    made.server.reruns.answer(HttpRequest("POST", path, [], {}), path, "somebody")
    return len(made.server.reruns.accepted) > before


# ---------------------------------------------------------------------- judge


def contradictions(played: Played) -> Iterator[str]:
    """Yield each contradiction between the end of a history and its plan."""
    for job in played.plan.jobs:
        yield from (f"{job.name}: {text}" for text in _of_job(played, job))
    runs = {(each.target.run_id, each.target.attempt) for each in played.sent() if each.target}
    if played.accepted > len(runs):
        yield f"{played.accepted} requests for {len(runs)} runs"
    if any(each.is_open or each.state is State.PROPOSED for each in played.questions):
        yield "a question is open or waits for ever"


def _of_job(played: Played, job: Tested) -> Iterator[str]:
    plan, suspects = played.plan, played.suspects.get(job.name)
    if is_misled(played, job):
        pass
    elif (
        suspects is not None and len(suspects) == 1 and not _may_be_named(played, job, suspects[0])
    ):
        yield f"{suspects[0]} is named instead of {plan.culprit}"
    elif job.broken and not _has_flakes(plan, job):
        if plan.is_outside and plan.looks_outside and suspects is not None:
            yield f"{suspects} are suspected of an outside cause"
        if not plan.is_outside and suspects != plan.decidable(job):
            yield f"{suspects} are suspected instead of {plan.decidable(job)}"
    asked = Counter((each.question.kind, each.question.sha) for each in played.sent(job))
    for (kind, sha), times in asked.items():
        if times > 1:
            yield f"{kind} was asked {times} times at {sha:.7}"
    for kind, bound in bounds(plan, job).items():
        if len(played.sent(job, kind)) > bound:
            yield f"{kind} was asked {len(played.sent(job, kind))} times, with a bound of {bound}"


def is_misled(played: Played, job: Tested) -> bool:
    """Return whether one commit is named at which the job failed by chance whenever it ran.

    No test can show this: all of its results are those that the culprit would give.
    """
    suspects = played.suspects.get(job.name) or ()
    return len(suspects) == 1 and played.plan.always_failed_by_chance(job, suspects[0])


def _may_be_named(played: Played, job: Tested, commit: int) -> bool:
    plan = played.plan
    if not plan.is_outside:
        return bool(job.broken) and commit == plan.culprit
    # The policy itself suspects one commit, or a person narrowed them down.
    last_good, first_bad = plan.before(job)
    return first_bad - last_good == 1 or played.by_hand > 0


def _has_flakes(plan: Plan, job: Tested) -> bool:
    """Return whether the job failed by chance between the last pass and its outage."""
    return plan.failed_by_chance([job], *range(plan.before(job)[0], plan.culprit))


def bounds(plan: Plan, job: Tested) -> dict[Kind, int]:
    """Return the most questions about a job, by their kind; those about flakes have none."""
    if not job.broken or plan.failed_by_chance([job], *range(plan.length)):
        return {}
    last_good, first_bad = plan.before(job)
    between = range(last_good + 1, first_bad)
    runnable = sum(plan.can_run(job, n) for n in between)
    # It is skipped there again, which cannot be seen before: others were cancelled, or failed.
    useless = sum(n in plan.conditions[job.name] and not plan.succeeds(job, n) for n in between)
    which = ceil(log2(runnable + 1)) + useless
    # Each answer may give another first bad, which is repeated once.
    return {Kind.REAL: 1 + which, Kind.WHICH: which, Kind.OUTSIDE: 1}


# ---------------------------------------------------------------------- figures


class Figures:
    """Figures over many histories."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.sizes: dict[str, list[int]] = defaultdict(list)
        self.minutes: dict[Kind, list[float]] = defaultdict(list)

    def add(self, played: Played) -> None:
        """Count a history."""
        plan = played.plan
        self.counts["histories"] += 1
        self.sizes["runs of a history"].append(played.accepted)
        bound = sum(sum(bounds(plan, job).values()) for job in plan.jobs)
        self.sizes["their bound"].append(bound)
        for job in plan.jobs:
            self.counts["jobs of which one commit is named by chance"] += is_misled(played, job)
            for kind in Kind:
                self._add_minutes(kind, played, job)
            if job.broken:
                self._add_outage(played, job, played.suspects.get(job.name))

    def _add_outage(self, played: Played, job: Tested, suspects: tuple[int, ...] | None) -> None:
        plan = played.plan
        if plan.is_outside:
            self.counts["outages by an outside cause"] += 1
            self.counts["  with unknown suspects at the end"] += suspects is None
            return
        self.counts["outages by a commit"] += 1
        self.counts["  with those left that no run can separate"] += suspects == plan.decidable(job)
        self.counts["  with that commit alone left"] += suspects == (plan.culprit,)
        last_good, first_bad = plan.before(job)
        self.sizes["suspects before"].append(first_bad - last_good)
        if suspects is not None:
            self.sizes["suspects after"].append(len(suspects))

    def _add_minutes(self, kind: Kind, played: Played, job: Tested) -> None:
        sent = [each for each in played.sent(job, kind) if each.state is State.ANSWERED]
        if sent:
            begun = min(each.sent_at for each in sent if each.sent_at is not None)
            self.minutes[kind].append((max(each.at for each in sent) - begun) / MINUTE)

    def lines(self) -> Iterator[str]:
        """Yield the lines of a table."""
        for name, count in self.counts.items():
            yield f"{name:44} {count}"
        for name, sizes in self.sizes.items():
            yield f"{name:44} mean {mean(sizes):.1f}, largest {max(sizes)}"
        for kind, minutes in sorted(self.minutes.items()):
            late = sorted(minutes)[int(0.95 * (len(minutes) - 1))]
            name = f"minutes of {kind} ({len(minutes)} jobs)"
            yield f"{name:44} median {median(minutes):.0f}, 95th percentile {late:.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play as many histories as asked for, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next ones follow")
    parser.add_argument("--ci", choices=tuple(SERVERS), default="github", help="the type of CI")
    options = parser.parse_args(arguments)
    figures, wrong = Figures(), 0
    for seed in range(options.seed, options.seed + options.count):
        played = play(seed, options.ci)
        figures.add(played)
        found = list(contradictions(played))
        wrong += bool(found)
        for text in found:
            print(f"seed {seed}: {text}", flush=True)
    print(*figures.lines(), f"{'wrong histories':44} {wrong}", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
