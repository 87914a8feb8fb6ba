"""A repository of the fake GitHub: its commits, runs, checks and statuses over time."""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.github.checks import ACTIONS, NEVER, CheckRun, WorkflowJob
from tests.github.commits import Branch, ChangedFile, CommitNode, sha_of
from tests.github.reruns import passes
from tests.github.runs import Attempt, Run, creation_times, relisted, workflow_job
from tests.github.suites import CheckSuite
from tests.github.workflows import Job, Workflow, workflow_text

AUTHORS = ("author-a", "author-b", "author-c", "author-d")


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status that another CI system sets.

    Attributes:
        id: the status id.
        sha: the commit.
        context: the key among the statuses of the commit.
        state: pending, success, failure or error.
        at: when it is set (seconds since the epoch).
        target_url: the details URL.
        description: a short text.
    """

    id: int
    sha: str
    context: str
    state: str
    at: float
    target_url: str | None
    description: str | None


class Repo:
    """One repository and everything planned in it.

    Attributes:
        id: the repository id.
        full_name: owner/name.
        default_branch: the branch of requests that name none.
        private: whether it is invisible without a token.
        branches: by name.
        commits: by hash.
        files: the files that a commit changes against its first parent, by its hash.
        runs: in the order in which they were planned.
        suites: the check suites by id.
        archived: whether it is read-only.
        fork: whether it is a fork.
        workflow_states: the state of each workflow that is not active, by its path.
        deleted_files: the files that the trunk lacks though their workflows are still active.
        workflow_texts: the text of a workflow file at every commit, by its path; by default one
            with the name and jobs of its first run. A file without runs exists if it is here.
        unlinked: ids of check runs whose documents in REST name neither app nor suite.
        outcome: returns the plan of a job in the attempt of a requested re-run, given its run and
            its last plan; its name and needs stay, and it starts after its needs.
        relists_jobs: whether the attempt of a requested re-run lists the other jobs under new ids.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        next_id: Callable[[], int],
        full_name: str,
        default_branch: str,
        private: bool,
    ) -> None:
        """Args:
        clock: returns the simulated time (seconds since the epoch).
        next_id: returns an unused id.
        full_name: owner/name.
        default_branch: its name.
        private: whether it is invisible without a token.
        """
        self._clock = clock
        self._next_id = next_id
        self.id = next_id()
        self.full_name = full_name
        self.default_branch = default_branch
        self.private = private
        self.archived = False
        self.fork = False
        self.workflow_states: dict[str, str] = {}
        self.deleted_files: set[str] = set()
        self.workflow_texts: dict[str, str] = {}
        self.unlinked: set[int] = set()
        self.outcome: Callable[[Run, Job], Job] = passes
        self.relists_jobs = True
        self.branches: dict[str, Branch] = defaultdict(Branch)
        self.commits: dict[str, CommitNode] = {}
        self.files: dict[str, Sequence[ChangedFile]] = {}
        self.runs: list[Run] = []
        self.runs_by_id: dict[int, PlannedRun] = {}
        self.rows: dict[int, CheckRun] = {}
        self.suites: dict[int, CheckSuite] = {}
        self._suites_of: dict[str, list[CheckSuite]] = defaultdict(list)
        self.statuses: list[Status] = []
        self._by_commit: dict[str, list[CheckRun]] = defaultdict(list)
        self._sorted: dict[str, list[CheckRun]] = {}
        self._run_numbers: dict[str, int] = defaultdict(int)
        self._runs_of: dict[str, list[Run]] = defaultdict(list)
        self.workflow_ids: dict[str, int] = {}

    # ------------------------------------------------------------------ commits

    def commit(
        self,
        title: str,
        *,
        at: float | None = None,
        date: float | None = None,
        branch: str | None = None,
        parents: Sequence[CommitNode] | None = None,
        author: str | None = None,
    ) -> CommitNode:
        """Push a commit on top of a branch.

        Args:
            title: the first line of the message.
            at: when it is pushed; now by default (seconds since the epoch).
            date: the committer date; `at` by default.
            branch: the default branch by default; created if it does not exist.
            parents: the branch's head by default.
            author: a handle.
        """
        at = self._clock() if at is None else at
        tree = self.branches[branch or self.default_branch]
        head = tree.newest()
        before = tuple(parents) if parents is not None else ((head,) if head else ())
        commit = self.loose_commit(title, date=at if date is None else date, parents=before,
                                   author=author)  # fmt: skip
        tree.move(at, commit)
        return commit

    def loose_commit(
        self,
        title: str,
        *,
        date: float,
        parents: Sequence[CommitNode] = (),
        author: str | None = None,
    ) -> CommitNode:
        """Add a commit that is on no branch, such as the head of a fork's branch."""
        number = len(self.commits)
        sha = sha_of(self.full_name, number, title, *(parent.sha for parent in parents))
        who = author or AUTHORS[number % len(AUTHORS)]
        commit = CommitNode(sha, title, date, who, tuple(parents))
        self.commits[sha] = commit
        return commit

    def merge(
        self, title: str, other: CommitNode, *, at: float | None = None, branch: str | None = None
    ) -> CommitNode:
        """Push a merge of `other` into a branch, whose head is the first parent."""
        head = self.branches[branch or self.default_branch].newest()
        if head is None:
            raise ValueError("the branch has no commit to merge into")
        return self.commit(title, at=at, branch=branch, parents=(head, other))

    def force_push(
        self, head: CommitNode, *, at: float | None = None, branch: str | None = None
    ) -> None:
        """Set a branch's head to any commit."""
        self.branches[branch or self.default_branch].move(self._clock() if at is None else at, head)

    def rename(self, full_name: str) -> None:
        """Take another name, in all runs as well."""
        for run in self.runs:
            run.repo = full_name
            run.head_repo = full_name if run.head_repo == self.full_name else run.head_repo
        self.full_name = full_name

    def rename_branch(self, old: str, new: str) -> None:
        """Rename a branch; its runs and check suites keep the old name."""
        self.branches[new] = self.branches.pop(old)
        self.default_branch = new if self.default_branch == old else self.default_branch

    def delete_branch(self, name: str) -> None:
        """Delete a branch; its commits, runs and check suites stay."""
        del self.branches[name]

    def head(self, branch: str, now: float) -> CommitNode | None:
        """Return a branch's head at a time."""
        return self.branches[branch].head(now) if branch in self.branches else None

    def find(self, ref: str, now: float) -> CommitNode | None:
        """Return the commit that a branch or a hash names."""
        name = ref.removeprefix("refs/").removeprefix("heads/")
        return self.head(name, now) or self.commits.get(ref)

    # ------------------------------------------------------------------ results

    def run(
        self,
        commit: CommitNode,
        workflow: Workflow,
        jobs: Sequence[Job] = (),
        *,
        event: str = "push",
        at: float | None = None,
        head_branch: str | None = None,
        head_repo: str | None = None,
        startup_failure: bool = False,
    ) -> "PlannedRun":
        """Plan a run.

        Args:
            commit: the head commit.
            workflow: the workflow, under its name at that time.
            jobs: the jobs, with their times since `at`.
            event: the triggering event.
            at: when it is created; now by default (seconds since the epoch).
            head_branch: the default branch by default.
            head_repo: full name of a fork; this repository by default.
            startup_failure: whether it fails before any job is created.
        """
        at = self._clock() if at is None else at
        self._run_numbers[workflow.path] += 1
        self.workflow_ids.setdefault(workflow.path, len(self.workflow_ids) + 501)
        identity = (self._next_id(), self._next_id(), self._run_numbers[workflow.path])
        head = (head_branch or self.default_branch, head_repo or self.full_name)
        run = PlannedRun(identity, self.full_name, commit, workflow, event, head, startup_failure)
        run.planned_in = self
        self.runs.append(run)
        self.runs_by_id[run.id] = run
        self._add_suite(CheckSuite(run.suite, commit.sha, ACTIONS, head[0], at, run))
        self.plan_attempt(run, at, jobs)
        insort(self._runs_of[workflow.path], run, key=lambda each: each.created_at)
        return run

    def plan_attempt(
        self, run: Run, at: float, jobs: Sequence[Job], copies: Sequence[WorkflowJob] = ()
    ) -> None:
        """Add an attempt to a run: jobs that run again, and copies of jobs that do not."""
        number = len(run.attempts) + 1
        created = creation_times(jobs, at)
        new = [
            workflow_job(run, number, at, job, created[job.name], self._next_id()) for job in jobs
        ]
        old = [relisted(row, self._next_id(), number, at) for row in copies]
        run.add(Attempt(number, at, (*old, *new)))
        for row in (*old, *new):
            self._take(row)

    def check(
        self,
        commit: CommitNode,
        app: str,
        name: str,
        conclusion: str = "success",
        *,
        at: float | None = None,
        took: float | None = 300.0,
        url: str | None = None,
        within: Run | None = None,
    ) -> CheckRun:
        """Plan a check run of another CI system.

        Args:
            commit: the commit that is checked.
            app: the slug of the reporting app.
            name: the name of the check.
            conclusion: the conclusion once it has completed.
            at: when it is created and starts; now by default (seconds since the epoch).
            took: seconds until it completes; None for never.
            url: the details URL.
            within: the run whose suite it is part of, as where a step of a job creates it; it has
                a suite of its own by default.
        """
        at = self._clock() if at is None else at
        end = NEVER if took is None else at + took
        link = url or f"https://ci.example/{name}"
        identity = self._next_id()
        suite = within.suite if within else self.suite(commit, app, at=at).id
        row = CheckRun(identity, name, commit.sha, suite, app, at, at, end, conclusion, (), link)
        self._take(row)
        return row

    def status(
        self,
        commit: CommitNode,
        context: str,
        state: str,
        at: float | None = None,
        *,
        target_url: str | None = None,
        description: str | None = None,
    ) -> Status:
        """Plan a commit status of another CI system."""
        at = self._clock() if at is None else at
        made = Status(self._next_id(), commit.sha, context, state, at, target_url, description)
        self.statuses.append(made)
        return made

    def suite(self, commit: CommitNode, app: str, *, at: float | None = None) -> CheckSuite:
        """Plan a suite of another app; without check runs it stays queued, as many do."""
        at = self._clock() if at is None else at
        return self._add_suite(
            CheckSuite(self._next_id(), commit.sha, app, self.default_branch, at)
        )

    def _add_suite(self, suite: CheckSuite) -> CheckSuite:
        self.suites[suite.id] = suite
        self._suites_of[suite.sha].append(suite)
        return suite

    def _take(self, row: CheckRun) -> None:
        self.rows[row.id] = row
        self.suites[row.suite].rows.append(row)
        self._by_commit[row.sha].append(row)
        self._sorted.pop(row.sha, None)

    # ------------------------------------------------------------------ reading

    def gone(self, row: CheckRun, now: float) -> bool:
        """Return whether the check was deleted together with its run."""
        return isinstance(row, WorkflowJob) and not self.runs_by_id[row.run_id].exists(now)

    def row(self, identity: int, now: float) -> CheckRun | None:
        """Return a job or check run by its id, if it exists at a time."""
        row = self.rows.get(identity)
        if row is None or row.created_at > now or self.gone(row, now):
            return None
        return row

    def rows_of(self, sha: str, now: float) -> list[CheckRun]:
        """Return a commit's check runs that exist at a time, oldest first."""
        if sha not in self._sorted:
            self._sorted[sha] = sorted(
                self._by_commit[sha], key=lambda row: (row.created_at, row.id)
            )
        rows = self._sorted[sha]
        there = rows[: bisect_right(rows, now, key=lambda row: row.created_at)]
        return [row for row in there if not self.gone(row, now)]

    def suites_of(self, sha: str, now: float) -> list[CheckSuite]:
        """Return a commit's check suites that exist at a time, oldest first."""
        found = (suite for suite in self._suites_of[sha] if suite.exists(now))
        return sorted(found, key=lambda suite: suite.id)

    def workflow_name(self, path: str, now: float) -> str:
        """Return a workflow's current name, which its runs before a renaming do not have."""
        runs = self._runs_of[path]
        begun = bisect_right(runs, now, key=lambda run: run.created_at)
        # Before its first run, a workflow is listed with the name in its file.
        return runs[max(0, begun - 1)].workflow.name

    def workflow_path(self, name: str) -> str | None:
        """Return the path of the workflow that an id or the name of its file names."""
        paths = {str(number): path for path, number in self.workflow_ids.items()}
        paths |= {path.rpartition("/")[2]: path for path in self.workflow_ids}
        return paths.get(name)

    def workflow_files(self) -> dict[str, str]:
        """Return the texts of all workflow files by their paths."""
        found = {
            path: workflow_text(
                runs[0].workflow.name, [row.plan for row in runs[0].attempts[0].rows]
            )
            for path, runs in self._runs_of.items()
            if runs
        }
        found |= self.workflow_texts
        deleted = {path for path, state in self.workflow_states.items() if state == "deleted"}
        return {p: text for p, text in found.items() if p not in deleted | self.deleted_files}


class PlannedRun(Run):
    """A run to which further attempts can be added."""

    planned_in: Repo

    def rerun(self, at: float, jobs: Sequence[Job], *, copies: bool = False) -> None:
        """Run some jobs again.

        Args:
            at: when the new attempt starts (seconds since the epoch).
            jobs: the jobs that run again, with their times since `at`.
            copies: whether the other jobs are listed again under new ids, as GitHub sometimes does.
        """
        again = {job.name for job in jobs}
        others = [row for row in self.latest_rows(at) if row.name not in again] if copies else []
        self.planned_in.plan_attempt(self, at, jobs, others)
