"""Random histories of a trunk with a hidden cause, which a stand-in CI plays."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

from tests.github.fake import T0, FakeGitHub
from tests.github.repo import PlannedRun
from tests.github.runs import Run
from tests.github.workflows import Job, Workflow, skipped, superseded

INTERVAL = 1800.0
"""Seconds between two pushes."""

RUN_SECONDS = 420.0
"""Seconds after which a run has ended."""

FOLD = "fold: [{match: '(.*) \\[shard \\d+\\]', to: '\\1'}]"
BUILD = "build"


class Course(Enum):
    """The course of a run at one commit."""

    ENDS = "ends"
    CANCELLED = "cancelled while its jobs run"
    EARLY = "cancelled before its jobs begin"
    NONE = "no run"


@dataclass(frozen=True)
class Tested:
    """One job as the exporter shows it.

    Attributes:
        name: its name.
        workflow: that runs it.
        shards: the names of its jobs in CI.
        broken: those of them that the cause breaks.
        needs: names of the jobs that it needs.
        flake_rate: share of its passes that fail by chance.
    """

    name: str
    workflow: Workflow
    shards: tuple[str, ...]
    broken: frozenset[str]
    needs: tuple[str, ...]
    flake_rate: float


class Plan:
    """One history; commits are numbered from 0, the oldest.

    Attributes:
        seed: it gives the same history again.
        jobs: the jobs.
        culprit: the commit that breaks them; where the cause is outside, the commit that is pushed
            when it begins.
        is_outside: the cause is outside the repository: it breaks every commit from its time on.
        looks_outside: it fails at a step that runs before any code of the repository.
        length: number of commits.
        conditions: commits at which a job is skipped by its own condition, by the job's name.
        courses: the course of the run of each workflow, by its path and the commit.
        is_chance: whether each result was a failure by chance, by shard and commit.
        start: when the exporter and confirm start (seconds since the epoch).
        by_hand: number of runs that a person repeats.
        tested: the jobs and commits that have a verdict without any repeated run.
    """

    def __init__(self, seed: int, *, lists_skipped: bool = True) -> None:
        """Args:
        seed: of the history.
        lists_skipped: whether the CI lists a job that its own condition skips, as GitHub does.
        """
        self.seed = seed
        self._lists_skipped = lists_skipped
        self._random = rng = Random(seed)
        self.is_outside = rng.random() < 0.25
        self.looks_outside = self.is_outside and rng.random() < 0.5
        self.jobs = tuple(self._jobs())
        passing, between, failing = rng.randint(2, 4), rng.randint(0, 11), rng.randint(4, 6)
        self.culprit = passing + rng.randint(0, between)
        self.last_pass, self.first_fail = passing - 1, passing + between
        self.length = passing + between + failing
        self.conditions = {
            job.name: {n for n in self._untested() if rng.random() < 0.12} for job in self.jobs
        }
        self.courses: dict[tuple[str, int], Course] = {}
        for path in sorted({job.workflow.path for job in self.jobs}):
            self.courses |= {(path, n): self._course(n) for n in range(self.length)}
        self.is_chance: dict[tuple[str, int], list[bool]] = defaultdict(list)
        seen = self.first_fail if rng.random() < 0.5 else self.length - 1
        self.start = self.pushed_at(seen) + RUN_SECONDS + 60
        self.by_hand = rng.choice((0, 0, 0, 1, 2))
        self.tested: set[tuple[str, int]] = set()
        self._built: set[tuple[int, float]] = set()

    def _jobs(self) -> Iterator[Tested]:
        rng = self._random
        names = ["linux", "mac", "windows"][: rng.randint(1, 3)]
        # Three of four, with a build, would be mass breakage.
        broken = set(rng.sample(names, rng.randint(1, min(2, len(names)))))
        needs = [(BUILD,) if rng.random() < 0.5 else () for _ in range(2)]
        is_flaky = rng.random() < 0.3
        for name in names:
            number = rng.randint(0, 1)
            workflow = Workflow(f"ci-{number}", f".github/workflows/ci-{number}.yml")
            count = rng.choice((1, 1, 2, 3))
            shards = tuple(f"{name} [shard {n}]" for n in range(count)) if count > 1 else (name,)
            bad = rng.sample(shards, rng.randint(1, count)) if name in broken else ()
            rate = rng.uniform(0.03, 0.3) if is_flaky and rng.random() < 0.5 else 0.0
            yield Tested(name, workflow, shards, frozenset(bad), needs[number], rate)

    def _untested(self) -> range:
        return range(self.last_pass + 1, self.first_fail)

    def _course(self, commit: int) -> Course:
        rng = self._random
        if commit in self._untested():
            return rng.choices(list(Course), (0.15, 0.4, 0.2, 0.25))[0]
        # Of the newest commits enough fail to open an outage.
        is_late = self.first_fail + 3 <= commit < self.length - 1
        return rng.choice((Course.ENDS, Course.CANCELLED)) if is_late else Course.ENDS

    @staticmethod
    def pushed_at(commit: int) -> float:
        """Return when a commit is pushed (seconds since the epoch)."""
        return T0 + commit * INTERVAL

    # ------------------------------------------------------------------ results

    def fails(self, job: Tested, shard: str, commit: int, at: float) -> bool:
        """Return whether a shard fails at a commit and a time for a reason, not by chance."""
        is_bad = at >= self.pushed_at(self.culprit) if self.is_outside else commit >= self.culprit
        return is_bad and shard in job.broken

    def can_run(self, job: Tested, commit: int) -> bool:
        """Return whether a job has a result at a commit, at least when its run is repeated."""
        has_run = self.courses[job.workflow.path, commit] is not Course.NONE
        return has_run and commit not in self.conditions[job.name]

    def succeeds(self, job: Tested, commit: int) -> bool:
        """Return whether the run of a job at a commit ends without any failure."""
        others = [each for each in self.jobs if each.workflow == job.workflow]
        at = self.pushed_at(commit)
        return self.courses[job.workflow.path, commit] is Course.ENDS and not any(
            self.failed_by_chance([each], commit)
            or any(self.fails(each, shard, commit, at) for shard in each.shards)
            for each in others
        )

    def before(self, job: Tested) -> tuple[int, int]:
        """Return the last pass and the first failure of a broken job without any repeated run."""
        passed = (n for n in range(self.culprit) if (job.name, n) in self.tested)
        failed = (n for n in range(self.culprit, self.length) if (job.name, n) in self.tested)
        last = max((n for n in passed if not self.failed_by_chance([job], n)), default=0)
        return last, next(failed)

    def decidable(self, job: Tested) -> tuple[int, ...]:
        """Return the suspects that are left when all runs were repeated that can be."""
        can_run = [n for n in range(self.length) if self.can_run(job, n)]
        last_good = max(n for n in can_run if n < self.culprit)
        first_bad = min(n for n in can_run if n >= self.culprit)
        return tuple(range(last_good + 1, first_bad + 1))

    def failed_by_chance(self, jobs: Sequence[Tested], *commits: int) -> bool:
        """Return whether a shard of some jobs failed by chance at any of some commits."""
        return any(
            any(self.is_chance[shard, n]) for job in jobs for shard in job.shards for n in commits
        )

    def always_failed_by_chance(self, job: Tested, commit: int) -> bool:
        """Return whether all results of some shard at a commit are failures by chance."""
        results = [self.is_chance[shard, commit] for shard in job.shards]
        return any(each and all(each) for each in results)

    def _result(self, job: Tested, shard: str, commit: int, at: float) -> Job:
        fails = self.fails(job, shard, commit, at)
        by_chance = not fails and self._random.random() < job.flake_rate
        self.is_chance[shard, commit].append(by_chance)
        step = "Set up job" if fails and self.looks_outside else None
        conclusion = "failure" if fails or by_chance else "success"
        return Job(shard, conclusion=conclusion, failed_step=step, needs=job.needs)

    # ------------------------------------------------------------------ in the stand-in

    def push(self, fake: FakeGitHub, name: str) -> list[PlannedRun]:
        """Plan all commits and runs in a new repository; return the runs."""
        repo, runs = fake.repo(name), []
        for commit in range(self.length):
            at = self.pushed_at(commit)
            node = repo.commit(f"change {commit}", at=at)
            for workflow in sorted({job.workflow for job in self.jobs}, key=lambda each: each.path):
                course = self.courses[workflow.path, commit]
                if course is not Course.NONE:
                    plans = list(self._plans(workflow, course, commit))
                    runs.append(repo.run(node, workflow, plans, at=at + 5))
            self.tested |= {(job.name, commit) for job in self.jobs if self._is_tested(job, commit)}
        order = {sha: commit for commit, sha in enumerate(repo.commits)}
        repo.outcome = lambda run, job: self._again(run, job, order[run.commit.sha], fake.now)
        return runs

    def _is_tested(self, job: Tested, commit: int) -> bool:
        ended = [shard for shard in job.shards if self.is_chance[shard, commit]]
        at = self.pushed_at(commit)
        return ended == list(job.shards) or any(self.fails(job, s, commit, at) for s in ended)

    def _plans(self, workflow: Workflow, course: Course, commit: int) -> Iterator[Job]:
        jobs = [job for job in self.jobs if job.workflow == workflow]
        is_early = course is Course.EARLY
        if jobs[0].needs:
            yield superseded(BUILD, 10, 40) if is_early else Job(BUILD, 10, 25)
        for job in jobs:
            if commit in self.conditions[job.name] and not self._lists_skipped:
                continue
            for shard in job.shards:
                if commit in self.conditions[job.name] or (is_early and job.needs):
                    yield skipped(shard, 40 if is_early else 30, job.needs)
                elif is_early:
                    yield superseded(shard, 40, 40)
                elif course is Course.CANCELLED and self._random.random() < 0.8:
                    yield replace(superseded(shard), needs=job.needs)
                else:
                    yield self._result(job, shard, commit, self.pushed_at(commit))

    def _again(self, run: Run, plan: Job, commit: int, now: float) -> Job:
        """Return the plan of a job that runs again."""
        if plan.name == BUILD:
            self._built.add((run.id, now))
            return Job(BUILD, 10, 25)
        job = next(job for job in self.jobs if plan.name in job.shards)
        rows = run.latest_rows(now)
        passed = {row.name for row in rows if row.final_conclusion == "success"}
        is_ready = (run.id, now) in self._built or passed.issuperset(job.needs)
        if not is_ready or commit in self.conditions[job.name]:
            return skipped(plan.name)
        return self._result(job, plan.name, commit, now)
