"""Random histories of recorded results, each the pure function of one seed.

A history contains, like real CI, shards, retries, reruns, cancelled and expired rows, unlisted
conclusions, flakes, forks, startup failures, renames, retired jobs and several trunks. It is small,
because the oracle is slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

Json = dict[str, Any]
History = tuple[list[Json], Json, datetime]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TRUNKS = (("o/r", "main"), ("o/r", "release/1"), ("a/b", "main"), ("a/b", "trunk"))
CONCLUSIONS = {
    "P": "success",
    "F": "failure",
    "t": "timed_out",
    "s": "skipped",
    "n": "neutral",
    "-": "cancelled",
    "z": "stale",
    "a": "action_required",
    "x": "a_word_of_tomorrow",
    "0": None,
}
UNFINISHED = ("queued", "in_progress", "waiting", "requested", "pending")
# Ages of unfinished rows: both sides of 36 hours and the boundary itself.
AGES = (
    timedelta(minutes=5),
    timedelta(hours=35, minutes=59, seconds=59),
    timedelta(hours=36),
    timedelta(hours=36, seconds=1),
    timedelta(hours=50),
)
# What a job's rows look like while it is in a mood; a letter's share is its count.
MOODS = {
    "green": "PPPPPPPPPPPPPPPP-?s",
    "red": "FFFFFFFFFFFFFtt-?",
    "flickering": "PPPPKFFK",
    "noisy": "PPPPFFFF--??ssnzax0",
    "silent": "---ss?z0",
}
FOLDS = (
    {"match": r"(.*) \[shard \d+\]", "to": r"\1"},
    {"match": r"(.*)-py3\.\d+", "to": r"\1"},
    {"match": r"(.*) on (linux|mac)", "to": r"\1"},
)


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job of a workflow: the raw names of its shards, and the commits that have it."""

    shards: tuple[str, ...]
    first: int
    last: int
    parent: str | None = None
    twins: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """One workflow; its name changes at the commit `renamed_at`."""

    name: str
    later_name: str
    renamed_at: int
    path: str | None
    jobs: tuple[JobPlan, ...]
    often: float
    calm: bool


def generate(seed: int, *, clashes: bool = True) -> History:
    """Return (lines, configuration without sources, now) of a seed.

    With `clashes`, one observation may be reported both from the trunk and from elsewhere (a
    fork, a topic branch): only the first report counts, whichever arrives last.
    """
    rng = Random(seed)
    trunks = rng.sample(TRUNKS, rng.choice((1, 1, 1, 2, 3)))
    commits: list[Json] = []
    runs: list[Json] = []
    for number, (repo, branch) in enumerate(trunks):
        own = commit_lines(rng, repo, branch)
        commits.append({"kind": "commit", "repo": repo, "branch": branch, **own[0]})
        commits += [{"kind": "commit", "repo": repo, "branch": branch, **line} for line in own[1:]]
        shas = [str(line["sha"]) for line in own]
        for workflow in workflows(rng, len(shas)):
            ids = RunIds(rng, 1000 * (number + 1))
            found = workflow_lines(rng, workflow, shas, ids, clashes)
            runs += [{"kind": "run", "repo": repo, "branch": branch, **line} for line in found]
    runs += [dict(line) for line in runs if rng.random() < 0.05]
    rng.shuffle(runs)
    lines = interleave(rng, commits, runs)
    return [*lines, *workflow_states(rng, runs)], settings(rng, trunks), NOW


def workflow_states(rng: Random, runs: Sequence[Json]) -> list[Json]:
    """Return the states of a few workflows, some of them reported as active again."""
    keys = ("repo", "branch", "workflow", "workflow_path")
    words = ("deleted", "disabled", "inactive", "active")
    return [
        {"kind": "workflow", **{k: run[k] for k in keys if k in run}, "state": rng.choice(words)}
        for run in rng.sample(runs, min(len(runs), rng.choice((0, 0, 0, 0, 0, 1, 2))))
    ]


class RunIds:
    """Hands out run ids and numbers; now and then they disagree about the order."""

    def __init__(self, rng: Random, start: int) -> None:
        """Start behind the ids of other trunks; some sources have no numbers at all."""
        self._rng = rng
        self._next = start + rng.randrange(100)
        self._numbered = rng.random() < 0.7

    def draw(self) -> Json:
        """Return the keys of one run."""
        self._next += self._rng.randrange(1, 4)
        keys: Json = {"run_id": self._next}
        if self._numbered and self._rng.random() < 0.9:
            keys["run_number"] = self._next + self._rng.choice((0, 0, 0, -3, 3))
        return keys


# --- Lines ------------------------------------------------------------------------------------


def commit_lines(rng: Random, repo: str, branch: str) -> list[Json]:
    """Return the commits of one trunk; their times are no order, some have none."""
    count = rng.choice((1, 2, 3, 5, 8, 8, 12, 12, 16, 25, 40, 53, 60, 65, 70))
    lines: list[Json] = []
    for place in range(count):
        line: Json = {"sha": f"{rng.getrandbits(160):040x}"}
        if rng.random() < 0.9:
            hours = 2 * (count - place) + rng.choice((0, 0, 0, 5, -1))
            line["committed_at"] = stamp(NOW - timedelta(hours=hours))
        if rng.random() < 0.9:
            line["author"] = f"author-{rng.choice('abc')}"
            line["title"] = f"{repo} {branch}: change {place}"
        lines.append(line)
    return lines


def workflow_lines(
    rng: Random, workflow: WorkflowPlan, shas: Sequence[str], ids: RunIds, clashes: bool
) -> list[Json]:
    """Return all runs of one workflow on one trunk, and some from elsewhere."""
    lines: list[Json] = []
    moods = {job: rng.choice(tuple(MOODS)) for job in workflow.jobs}
    for place, sha in enumerate(shas):
        for job in workflow.jobs:
            if rng.random() < 0.2:
                moods[job] = rng.choice(("green", "red", "red", "flickering", "noisy", "silent"))
        for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
            if rng.random() > workflow.often:
                continue
            keys: Json = {
                "sha": sha,
                "workflow": workflow.name if place < workflow.renamed_at else workflow.later_name,
                **({} if workflow.path is None else {"workflow_path": workflow.path}),
                **ids.draw(),
                **counted_event(rng),
            }
            began = NOW - timedelta(hours=2 * (len(shas) - place), minutes=-7 * rng.randrange(7))
            found = run_lines(rng, workflow, place, moods, began)
            whole = elsewhere(rng)
            lines += [{**keys, **(elsewhere(rng) if clashes else whole), **line} for line in found]
    return [without_some(rng, line) for line in lines]


def run_lines(
    rng: Random,
    workflow: WorkflowPlan,
    place: int,
    moods: dict[JobPlan, str],
    began: datetime,
) -> list[Json]:
    """Return the lines of one run."""
    if rng.random() < 0.04:
        line = completed("any name", 1, "startup_failure", began)
        if workflow.path is not None and rng.random() < 0.5:
            line["workflow"] = workflow.path
        if rng.random() < 0.6:
            return [line]
        return [line, *[{**more, "attempt": 2} for more in some_jobs(rng, workflow, place, began)]]
    lines: list[Json] = []
    for job in workflow.jobs:
        if place > job.last and job.parent is not None and rng.random() < 0.02:
            lines.append(completed(job.parent, 1, rng.choice(("skipped", "success")), began))
        if not job.first <= place <= job.last or rng.random() < 0.05:
            continue
        if job.parent is not None and rng.random() < 0.15:
            conclusion = rng.choice(("skipped", "skipped", "skipped", "neutral", "success"))
            lines.append(completed(job.parent, 1, conclusion, began))
            continue
        for shard in job.shards:
            if rng.random() > 0.04:
                mood = MOODS[moods[job]]
                mood = mood.replace("?", "") if workflow.calm else mood
                found = shard_lines(rng, shard, mood, began)
                lines += with_twins(rng, found, mood, began) if job.twins else found
    return lines


def with_twins(rng: Random, lines: list[Json], mood: str, began: datetime) -> list[Json]:
    """Return the lines of a job and of others in the same run that have its name."""
    found: list[Json] = []
    for leg in range(rng.choice((1, 2, 2, 3))):
        own = shard_lines(rng, lines[0]["job_name"], mood, began) if leg else lines
        found += [{**line, "job_id": 100 * leg + int(line.get("job_id", 0))} for line in own]
    if rng.random() < 0.3:
        found = [{**line, "run_completed": True} for line in found]
    if rng.random() < 0.1:
        del found[0]["job_id"]
    return found


def some_jobs(rng: Random, workflow: WorkflowPlan, place: int, began: datetime) -> list[Json]:
    """Return the second attempt of a run that could not start at first."""
    return [
        completed(job.shards[0], 1, rng.choice(("success", "failure", "cancelled")), began)
        for job in workflow.jobs
        if job.first <= place <= job.last
    ]


def shard_lines(rng: Random, name: str, mood: str, began: datetime) -> list[Json]:
    """Return the attempts of one exact job in one run, some of them reported twice."""
    lines: list[Json] = []
    letters = list(rng.choice(mood).replace("K", "FP"))
    while rng.random() < (0.3 if letters[-1] in "Ft-" else 0.03):
        letters.append(rng.choice("PPF-?" if "?" in mood else "PPF-"))
    for attempt, letter in enumerate(letters, start=1):
        at = began + timedelta(minutes=7 * attempt + rng.choice((0, 0, 1)))
        if letter == "?":
            lines.append(unfinished(rng, name, attempt))
            continue
        line = completed(name, attempt, CONCLUSIONS[letter], at)
        lines.append(line)
        if rng.random() < 0.06:
            lines.append(unfinished(rng, name, attempt))
        if rng.random() < 0.02:
            lines.append(completed(name, attempt, rng.choice(("success", "failure")), at))
        if rng.random() < 0.03:
            lines.append({**line, "attempt": attempt + 1})
    if rng.random() < 0.3:
        lines = [{**line, "job_id": 10 * line["attempt"] + rng.randrange(2)} for line in lines]
    return lines


def completed(name: str, attempt: int, conclusion: str | None, began: datetime) -> Json:
    """Return a completed line."""
    return {
        "job_name": name,
        "attempt": attempt,
        "status": "completed",
        "conclusion": conclusion,
        "created_at": stamp(began - timedelta(minutes=1)),
        "started_at": stamp(began),
        "completed_at": stamp(began + timedelta(minutes=5)),
    }


def unfinished(rng: Random, name: str, attempt: int) -> Json:
    """Return an unfinished line: fresh, dead, or just on the boundary; its times may be missing."""
    line: Json = {"job_name": name, "attempt": attempt, "status": rng.choice(UNFINISHED)}
    if rng.random() < 0.04:
        line["status"] = "a_status_of_tomorrow"
    if rng.random() < 0.8:
        line["created_at"] = stamp(NOW - rng.choice(AGES))
    if rng.random() < 0.3:
        line["started_at"] = stamp(NOW - rng.choice(AGES))
    if rng.random() < 0.1:
        line["conclusion"] = "failure"
    return line


def elsewhere(rng: Random) -> Json:
    """Return keys that mostly leave a run where it is, and sometimes take it off the trunk."""
    draw = rng.random()
    if draw < 0.02:
        return {"sha": f"{rng.getrandbits(160):040x}"}
    if draw < 0.04:
        return {"head_branch": "topic"}
    if draw < 0.06:
        return {"head_repo": "fork/r", "event": "push"}
    if draw < 0.08:
        return {"event": rng.choice(("pull_request", "merge_group", "a_new_event"))}
    return {}


def counted_event(rng: Random) -> Json:
    """Return the key of an event that counts, or none: that is a push."""
    if rng.random() < 0.75:
        return {}
    return {"event": rng.choice(("push", "schedule", "workflow_dispatch"))}


def without_some(rng: Random, line: Json) -> Json:
    """Drop optional keys now and then; url and failed step follow from what stays."""
    result = dict(line)
    for key in ("run_number", "created_at", "started_at", "completed_at", "attempt", "run_id"):
        chance = 0.005 if key == "run_id" else 0.04
        if rng.random() < chance and (key != "attempt" or result["attempt"] == 1):
            result.pop(key, None)
    if result["status"] == "completed" and result.get("conclusion") is None:
        result.pop("conclusion", None)
    # Equal in all reports of one observation: the policy does not specify which would win.
    place = (result.get("run_id"), result.get("attempt", 1), result.get("job_id"))
    digest = sum(ord(letter) for letter in f"{result['job_name']} {place}")
    if digest % 10:
        result["url"] = f"https://ci.example/{'/'.join(map(str, place))}/{digest}"
    if digest % 3:
        result["failed_step"] = f"step {digest % 7}"
    if rng.random() < 0.03:
        result["a_key_of_tomorrow"] = {"deep": [1, 2]}
    return result


def interleave(rng: Random, commits: Sequence[Json], runs: Sequence[Json]) -> list[Json]:
    """Mix runs in between commits, whose own order stays."""
    places = sorted(rng.randrange(len(commits) + 1) for _ in runs)
    lines: list[Json] = []
    pending = list(zip(places, runs, strict=True))
    for index, commit in enumerate(commits):
        while pending and pending[0][0] <= index:
            lines.append(pending.pop(0)[1])
        lines.append(commit)
    return lines + [run for _, run in pending]


# --- Plans ------------------------------------------------------------------------------------


def workflows(rng: Random, commits: int) -> list[WorkflowPlan]:
    """Return one to three workflows: with and without a path, renamed, two of one name."""
    plans: list[WorkflowPlan] = []
    twins = rng.random() < 0.15
    for index in range(2 if twins else rng.choice((1, 1, 2, 3))):
        name = "ci" if twins else ("ci", "inductor", "nightly build")[index]
        has_path = twins or rng.random() < 0.5
        renamed = has_path and not twins and rng.random() < 0.25
        plans.append(
            WorkflowPlan(
                name=name,
                later_name=f"{name} renamed" if renamed else name,
                renamed_at=rng.randrange(commits + 1),
                path=f".github/workflows/{'abc'[index]}.yml" if has_path else None,
                jobs=job_plans(rng, commits),
                often=rng.choice((1.0, 1.0, 0.9, 0.4)),
                # With a row pending on every other commit no job would ever be retired.
                calm=rng.random() < 0.4,
            )
        )
    return plans


def job_plans(rng: Random, commits: int) -> tuple[JobPlan, ...]:
    """Return one to four jobs of different shapes; some come late, some are removed."""
    plans: list[JobPlan] = []
    for index in rng.sample(range(len(SHAPES)), rng.choice((1, 2, 2, 3, 4))):
        first, last = 0, commits
        if rng.random() < 0.15:
            first = rng.randrange(commits)
        if rng.random() < 0.25:
            last = rng.randrange(max(1, commits // 4))
        elif rng.random() < 0.1:
            last = max(0, commits - rng.choice((50, 51, 52)))
        shards, parent = SHAPES[index](rng)
        plans.append(JobPlan(shards, min(first, last), last, parent, rng.random() < 0.15))
    return tuple(plans)


Shape = tuple[tuple[str, ...], str | None]


def plain(rng: Random) -> Shape:
    """A job without shards."""
    return (rng.choice(("lint", "docs", "perf smoke")),), None


def bracketed(rng: Random) -> Shape:
    """Shards that a fold rule can fold."""
    count = rng.randrange(1, 5)
    return tuple(f"unit [shard {shard + 1}]" for shard in range(count)), None


def by_platform(rng: Random) -> Shape:
    """Names that two fold rules change, one after the other."""
    pythons = rng.sample(("3.10", "3.11", "3.12"), rng.randrange(1, 4))
    return tuple(f"wheel-py{python}" for python in pythons), None


def preset_shaped(rng: Random) -> Shape:
    """Names of the shape that the preset folds; some carry a flag."""
    count = rng.randrange(1, 4)
    config = rng.choice(("inductor", "default", "distributed"))
    flag = rng.choice(("", "", "", "", ", unstable", ", mem_leak_check", ", other"))
    name = f"linux (3.12) / test ({config}"
    return tuple(f"{name}, {shard + 1}, {count}, linux.g5{flag})" for shard in range(count)), None


def with_parent(rng: Random) -> Shape:
    """A matrix job that collapses to its parent when it is skipped."""
    return (f"matrix ({rng.choice(('gpu', 'cpu, 3.12'))})",), "matrix"


def with_caller(rng: Random) -> Shape:
    """Jobs of a reusable workflow, of which only the caller is reported when it is skipped."""
    names = ("night / test", "night / deep / test (x)", "night (a (b) / test", "nightly / test")
    return tuple(rng.sample(names, rng.randrange(1, 3))), rng.choice(("night", "night / deep"))


def renamed_job(rng: Random) -> Shape:
    """Old and new name of an alias."""
    return (rng.choice(("old name", "new name")),), None


def filtered(rng: Random) -> Shape:
    """A name that an ignore rule drops."""
    return (rng.choice(("pull / filter", "filter / pull")),), None


SHAPES = (
    plain, bracketed, by_platform, preset_shaped, with_parent, with_caller, renamed_job, filtered,
)  # fmt: skip


# --- Configuration ----------------------------------------------------------------------------


def settings(rng: Random, trunks: Sequence[tuple[str, str]]) -> Json:
    """Return a configuration without sources; each part is there or not."""
    config: Json = {}
    jobs = job_settings(rng)
    if jobs:
        config["jobs"] = jobs
    if rng.random() < 0.85:
        count = rng.choice((1, 1, 2, 3))
        config["groups"] = [
            group(rng, f"g{index}", trunks, last=index == count - 1) for index in range(count)
        ]
    if rng.random() < 0.3:
        config["known_broken"] = [
            {
                "match": match(rng, trunks),
                "reason": f"ticket {index}",
                "until": NOW.date() + timedelta(days=rng.choice((-30, -1, 0, 1, 30))),
            }
            for index in range(rng.choice((1, 2)))
        ]
    return config


def job_settings(rng: Random) -> Json:
    """Return the section `jobs`."""
    jobs: Json = {}
    if rng.random() < 0.4:
        jobs["preset"] = "pytorch"
    if rng.random() < 0.5:
        jobs["fold"] = [dict(rule) for rule in rng.sample(FOLDS, rng.randrange(1, len(FOLDS) + 1))]
    if rng.random() < 0.3:
        jobs["ignore"] = rng.sample((".*/ filter", "docs", r"unit \[shard 2\]", "filter"), 2)
    if rng.random() < 0.3:
        jobs["aliases"] = [
            {"workflow": name, "from": "old name", "to": rng.choice(("new name", "unit"))}
            for name in ("ci", "inductor")
        ]
    if rng.random() < 0.3:
        jobs["evidence"] = {
            word: rng.choice(("fail", "unknown", "skip", "pass"))
            for word in rng.sample(("timed_out", "cancelled"), rng.choice((1, 2)))
        }
    if rng.random() < 0.4:
        jobs["retire_after"] = rng.choice((3, 10, 20))
    return jobs


def group(rng: Random, name: str, trunks: Sequence[tuple[str, str]], *, last: bool) -> Json:
    """Return one group; most settings are there or not, only the last may match all."""
    result: Json = {"name": name}
    if not last or rng.random() < 0.5:
        result["match"] = match_of_group(rng, trunks)
    if rng.random() < 0.7:
        result["team"] = f"team-{name}"
        result["priority"] = rng.choice(("P0", "P1", "P2", "P3"))
    if rng.random() < 0.8:
        result["failures_to_open"] = rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10))
    if rng.random() < 0.6:
        result["passes_to_close"] = rng.choice((1, 2, 2, 3, 3))
    if rng.random() < 0.4:
        result["flaky_closes"] = rng.random() < 0.5
    if rng.random() < 0.4:
        result["count"] = rng.choice(("runs", "runs", "commits"))
    if rng.random() < 0.3:
        result["failure_threshold"] = rng.choice((1, 2, 3))
    if rng.random() < 0.3:
        result["jobs"] = [
            {
                "match": rng.choice((".*test.*", "unit.*", "lint", ".*")),
                rng.choice(("failures_to_open", "passes_to_close")): rng.choice((1, 2, 3)),
            }
            for _ in range(rng.choice((1, 2)))
        ]
    return result


def match(rng: Random, trunks: Sequence[tuple[str, str]]) -> Json:
    """Return full-match regexes over some of the labels."""
    repo, branch = rng.choice(list(trunks))
    whole = {
        "repo": repo,
        "branch": rng.choice((branch, "main|trunk")),
        "workflow": rng.choice(("ci.*", "ci", "inductor.*", ".*")),
        "job_name": rng.choice((".*test.*", "unit.*", "lint", "matrix.*", r"\(startup\)", ".*")),
    }
    keys = rng.sample(list(whole), rng.choice((1, 1, 2)))
    return {key: whole[key] for key in keys}


def match_of_group(rng: Random, trunks: Sequence[tuple[str, str]]) -> Json:
    """Return what a group matches; sometimes runs of some events only."""
    event = {"event": rng.choice(("schedule", "push", "schedule|workflow_dispatch"))}
    return {**match(rng, trunks), **(event if rng.random() < 0.3 else {})}


def stamp(time: datetime) -> str:
    """Write a time as the recorded format has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def plain_value(value: Any) -> Any:
    """Return a value for JSON: a date as its text."""
    return value.isoformat() if isinstance(value, date) else value
