"""A trunk as large as that of a large framework: 20 workflows and 450 jobs on every commit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.github.commits import CommitNode
from tests.github.fake import T0, FakeGitHub
from tests.github.repo import PlannedRun, Repo
from tests.github.workflows import Job, Workflow, hanging, superseded

NAMES = ("pull", "trunk", "inductor", "inductor-periodic", "periodic", "slow", "rocm", "xpu",
         "linux-aarch64", "mac-mps", "win-binary", "lint", "docker-builds", "unstable-nightly",
         "torchbench", "op-benchmark", "s390x", "h100-distributed", "b200-symm-mem",
         "inductor-rocm")  # fmt: skip
"""Display names of the workflows; further workflows are numbered."""

BUILDS = ("linux-jammy-py3.10-gcc11", "linux-jammy-cuda12.8-py3.10-gcc11-sm86",
          "linux-jammy-py3.14-clang18-asan", "linux-jammy-rocm-py3.12", "win-vs2022-cpu-py3",
          "macos-py3-arm64", "linux-jammy-cpu-py3.10-gcc11-inductor")  # fmt: skip
CONFIGS = ("default", "distributed", "inductor", "inductor_torchbench", "dynamo_wrapped",
           "crossref", "docs_test", "backwards_compat")  # fmt: skip
RUNNERS = ("linux.4xlarge", "linux.g5.4xlarge.nvidia.gpu", "linux.12xlarge")

SHARDS_LIMIT = 6
BUILD_SHARE = 0.3
"""The share of a commit's duration in which its builds end; the tests run after them."""

HANG_SHARE = 0.4
"""The share of a commit's duration for which a hanging job runs until its limit stops it."""

REPO = "framework/framework"


@dataclass(frozen=True, slots=True)
class JobSlot:
    """One job of every commit.

    Attributes:
        workflow: the index of its workflow.
        name: with shard and runner.
        needs: the build that it depends on; empty for a build.
    """

    workflow: int
    name: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breakage:
    """A job that is broken over a range of commits.

    Attributes:
        slot: the job's index.
        first: the number of the first broken commit, 0 for the oldest.
        last: the number of the last broken commit; None for all later ones.
        hang: whether it hangs instead of failing.
    """

    slot: int
    first: int
    last: int | None
    hang: bool = False

    def at(self, number: int) -> bool:
        return self.first <= number and (self.last is None or number <= self.last)


class LargeTrunk:
    """A repository with one large trunk, to which commits can be added.

    Attributes:
        fake: the fake GitHub; its clock starts shortly after the last commit's end.
        repo: the repository.
        slots: the jobs of every commit.
        workflows: in order.
        breakages: the broken jobs.
        commits: oldest first.
        runs: per commit, one run of each workflow.
    """

    def __init__(
        self, fake: FakeGitHub, workflows: int, jobs: int, seed: int, repo: str = REPO
    ) -> None:
        """Args:
        fake: the fake GitHub to add the repository to.
        workflows: number of workflows per commit.
        jobs: number of jobs per commit, over all workflows.
        seed: of the random choices.
        repo: the repository's name.
        """
        self.fake = fake
        self.repo: Repo = fake.repo(repo)
        self.workflows = [_workflow(place) for place in range(workflows)]
        self.slots = slots(workflows, jobs)
        self.breakages: list[Breakage] = []
        self.commits: list[CommitNode] = []
        self.runs: list[list[PlannedRun]] = []
        self._random = Random(seed)

    def new_commit(self, at: float, duration: float = 3600.0, *, quiet: bool = False) -> CommitNode:
        """Add a commit whose jobs start and end spread over `duration`.

        Args:
            at: when it is pushed (seconds since the epoch).
            duration: seconds until its last job completes.
            quiet: whether random failures are left out; broken jobs stay broken.
        """
        number = len(self.commits)
        commit = self.repo.commit(f"Change number {number} (#{40_000 + number})", at=at)
        jobs = [self._job(slot, number, duration) for slot in range(len(self.slots))]
        flaky = [] if quiet else self._add_random_failures(jobs)
        planned: list[PlannedRun] = []
        for place, workflow in enumerate(self.workflows):
            mine = [
                job for slot, job in zip(self.slots, jobs, strict=True) if slot.workflow == place
            ]
            begun = at + 2 + self._random.random() * 8
            planned.append(self.repo.run(commit, workflow, mine, at=begun))
        self.commits.append(commit)
        self.runs.append(planned)
        for slot in flaky:
            self.rerun(number, slot, at + duration + 30 + self._random.random() * 60)
        return commit

    def rerun(
        self,
        commit: int,
        slot: int,
        at: float,
        job: Job | None = None,
        *,
        copies: bool | None = None,
    ) -> None:
        """Run one job of a commit again; by default it passes.

        Args:
            commit: its number; negative numbers count from the newest.
            slot: the job's index.
            at: the start of the attempt (seconds since the epoch).
            job: the planned job.
            copies: whether the other jobs are listed again; random by default.
        """
        name = self.slots[slot].name
        again = job or Job(name, 10.0, 310.0)
        listed = self._random.random() < 0.5 if copies is None else copies
        self.runs[commit][self.slots[slot].workflow].rerun(at, [again], copies=listed)

    # ------------------------------------------------------------------ one commit

    def _job(self, place: int, number: int, duration: float) -> Job:
        slot, random = self.slots[place], self._random
        span = duration - 60
        if slot.needs:
            start = span * (BUILD_SHARE + random.random() * 0.25)
            end = start + (span - start) * (0.1 + 0.9 * random.random())
        else:
            start = span * random.random() * 0.05
            end = span * BUILD_SHARE * (0.5 + 0.5 * random.random())
        job = Job(slot.name, start, end, needs=slot.needs)
        breakage = next((t for t in self.breakages if t.slot == place and t.at(number)), None)
        if breakage is None:
            return job
        if breakage.hang:
            hung = hanging(slot.name, start, max(600.0, span * HANG_SHARE))
            return replace(hung, needs=slot.needs)
        return replace(job, conclusion="failure", failed_step="Test")

    def _add_random_failures(self, jobs: list[Job]) -> list[int]:
        """Make a few jobs of a commit flaky or cancelled; return the indexes of the flaky ones."""
        tests = [place for place, slot in enumerate(self.slots) if slot.needs]
        healthy = [place for place in tests if jobs[place].conclusion == "success"]
        flaky = self._random.sample(healthy, 1) if self._random.random() < 0.3 else []
        for place in flaky:
            jobs[place] = replace(jobs[place], conclusion="failure", failed_step="Test")
        if self._random.random() < 0.1:
            workflow = self._random.randrange(len(self.workflows))
            mine = [place for place in healthy if self.slots[place].workflow == workflow]
            self._cancel(jobs, [place for place in mine if place not in flaky])
        return flaky

    def _cancel(self, jobs: list[Job], places: Sequence[int]) -> None:
        """Cancel those of some jobs that still run at a median time, as a newer push does."""
        ends = sorted(jobs[place].end or 0.0 for place in places)
        moment = ends[len(ends) // 2] if ends else 0.0
        for place in places:
            job = jobs[place]
            if (job.end or 0.0) > moment:
                gone = superseded(job.name, min(job.start, moment), moment)
                jobs[place] = replace(gone, needs=job.needs)


def large_trunk(
    commits: int = 60,
    workflows: int = 20,
    jobs: int = 450,
    seed: int = 1,
    spacing: float = 1800.0,
    *,
    duration: float = 3600.0,
    begin: float = T0,
) -> LargeTrunk:
    """Return a trunk with a completed history.

    Args:
        commits: number of commits.
        workflows: number of workflows per commit.
        jobs: number of jobs per commit, over all workflows.
        seed: of the random choices.
        spacing: seconds between commits.
        duration: seconds that a commit's jobs take.
        begin: when the first commit is pushed (seconds since the epoch).
    """
    made = LargeTrunk(FakeGitHub(begin), workflows, jobs, seed)
    made.breakages = _breakages(made.slots, commits, Random(seed))
    for number in range(commits):
        made.new_commit(begin + number * spacing, duration)
    made.fake.now = begin + max(0, commits - 1) * spacing + duration + 1800
    return made


def _breakages(made: Sequence[JobSlot], commits: int, random: Random) -> list[Breakage]:
    """Return breakages of a few jobs at the tip, for 1 to 9 commits, and of one in the middle."""
    tests = [place for place, slot in enumerate(made) if slot.needs]
    lengths = (1, 2, 3, 3, 4, 9)
    chosen = random.sample(tests, min(len(tests), len(lengths) + 2))
    found = [
        Breakage(slot, max(0, commits - length), None)
        for slot, length in zip(chosen, lengths, strict=False)
    ]
    if len(chosen) == len(lengths) + 2:
        found.append(Breakage(chosen[-2], max(0, commits - 3), None, hang=True))
        found.append(Breakage(chosen[-1], commits // 3, commits // 2))
    return found


def _workflow(place: int) -> Workflow:
    name = NAMES[place] if place < len(NAMES) else f"extra-{place}"
    return Workflow(name, f".github/workflows/{name}.yml")


def slots(workflows: int, jobs: int) -> list[JobSlot]:
    """Return a number of jobs: builds, and their sharded tests."""
    shares = [workflows - place for place in range(workflows)]
    found: list[JobSlot] = []
    for place, share in enumerate(shares):
        left = jobs - len(found)
        wanted = left if place == workflows - 1 else max(1, round(jobs * share / sum(shares)))
        found.extend(_slots_of(place, min(wanted, left)))
    return found


def _slots_of(workflow: int, wanted: int) -> list[JobSlot]:
    """Return the jobs of one workflow: each build is tested in up to two configurations."""
    found: list[JobSlot] = []
    for number in range(wanted):
        build = f"{BUILDS[(workflow + number) % len(BUILDS)]}{f'-v{number}' if number else ''}"
        found.append(JobSlot(workflow, f"{build} / build", ()))
        for config in (CONFIGS[number % 8], CONFIGS[(number + workflow + 1) % 8]):
            shards = 1 + (number + workflow) % SHARDS_LIMIT
            found.extend(
                JobSlot(workflow, f"{build} / test ({config}, {shard}, {shards}, {runner})",
                     (f"{build} / build",))
                for shard in range(1, shards + 1)
                for runner in [RUNNERS[workflow % len(RUNNERS)]]
            )  # fmt: skip
        if len(found) >= wanted:
            break
    # The two configurations of a build may be equal.
    unique = list({slot.name: slot for slot in found}.values())
    return unique[:wanted]
