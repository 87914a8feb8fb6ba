"""A notation of histories, and its translation into recorded lines.

    history   commits separated by a space, oldest first:   "P F F"
    commit    runs separated by "/", oldest first:          "P/F"
    run       shards separated by "|":                      "P|F|."
    shard     one letter for each attempt, oldest first:    "FP"

`LETTERS` lists the letters. "." stands for no row; "K" is short for "FP".
Shard i is called `job [shard i]`; the configuration of a vector folds all of them to `job`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
REPO, BRANCH, WORKFLOW = "o/r", "main", "ci"

COMPLETED: Mapping[str, str | None] = {
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
    "S": "startup_failure",
}
UNFINISHED: Mapping[str, str] = {
    "?": "in_progress",
    "q": "queued",
    "w": "waiting",
    "r": "requested",
    "p": "pending",
    "!": "queued",  # created 37 hours ago, all others one hour ago
}
LETTERS = "PFKtsn-zax0S?qwrp!."
FRESH, EXPIRED = timedelta(hours=1), timedelta(hours=37)
FOLD = {"match": r"(.*) \[shard \d+\]", "to": r"\1"}


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected state of one job.

    Attributes:
        first_bad: index of the commit; 0 is the oldest of the history.
        last_good: index of the commit.
    """

    consecutive_failures: int
    stopped_by: str
    broken: bool
    failures_in_outage: int
    first_bad: int | None
    last_good: int | None
    suspects: int | None
    last_verdict: str | None
    pending: int
    flaky: int


@dataclass(frozen=True, slots=True)
class Vector:
    """One history in the notation, its settings, and the state that the rule requires.

    Attributes:
        expect: the state of the job; None if it is not listed.
    """

    id: str
    rule: str
    history: str
    failures_to_open: int
    passes_to_close: int
    flaky_closes: bool
    count: str
    job: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    expect: Expected | None = None

    def lines(self) -> list[Json]:
        """Return the history as recorded lines: commits first, then runs, oldest first."""
        return parse_history(self.history)

    def config(self) -> Json:
        """Return a configuration with one group `g` that holds the vector's settings."""
        group = {
            "name": "g",
            "failures_to_open": self.failures_to_open,
            "passes_to_close": self.passes_to_close,
            "flaky_closes": self.flaky_closes,
            "count": self.count,
        }
        return {"jobs": {"fold": [FOLD], "evidence": dict(self.evidence)}, "groups": [group]}

    def read_answer(self, answer: Mapping[str, Any]) -> Expected | None:
        """Find the vector's job in an answer of `check --format json`."""
        for job in answer["jobs"]:
            if job["job_name"] == self.job:
                return expected_of(job)
        return None


def sha_of(place: int) -> str:
    """Return the SHA of the commit at a place."""
    return f"{place + 1:040x}"


def place_of(sha: str | None) -> int | None:
    """Return the place of a SHA made by `sha_of`."""
    return None if sha is None else int(sha, 16) - 1


def expected_of(job: Mapping[str, Any]) -> Expected:
    """Reduce one object of `jobs` to what the vectors speak about."""
    return Expected(
        consecutive_failures=job["consecutive_failures"],
        stopped_by=job["stopped_by"],
        broken=job["broken"],
        failures_in_outage=job["failures_in_outage"],
        first_bad=place_of(job["first_bad"]),
        last_good=place_of(job["last_good"]),
        suspects=job["suspects"],
        last_verdict=job["last_verdict"],
        pending=job["pending_commits"],
        flaky=job["flaky_commits"],
    )


def commit_lines(count: int, repo: str = REPO, branch: str = BRANCH) -> list[Json]:
    """Return commit lines, oldest first, one an hour; the newest is one hour old."""
    return [
        {
            "kind": "commit",
            "repo": repo,
            "branch": branch,
            "sha": sha_of(place),
            "committed_at": stamp(commit_time(place, count)),
            "author": f"author-{place}",
            "title": f"change {place}",
        }
        for place in range(count)
    ]


def commit_time(place: int, count: int) -> datetime:
    """Return when a commit of the history was made."""
    return NOW - timedelta(hours=count - place)


def parse_history(history: str) -> list[Json]:
    """Turn the notation into recorded lines."""
    commits = history.split(" ")
    lines = commit_lines(len(commits))
    for place, commit in enumerate(commits):
        for number, run in enumerate(commit.split("/"), start=1):
            for shard, letters in enumerate(run.split("|"), start=1):
                lines += shard_lines(letters, place, len(commits), number, shard)
    return lines


def shard_lines(letters: str, place: int, count: int, number: int, shard: int) -> list[Json]:
    """Return one line for each attempt of one shard in one run."""
    if not letters or set(letters) - set(LETTERS):
        raise ValueError(f"not in the notation: {letters!r}")
    lines: list[Json] = []
    attempts = letters.replace("K", "FP").replace(".", "")
    for attempt, letter in enumerate(attempts, start=1):
        run_id = 100 * (place + 1) + number
        started = commit_time(place, count) + timedelta(minutes=10 * number + attempt)
        line: Json = {
            "kind": "run",
            "repo": REPO,
            "branch": BRANCH,
            "sha": sha_of(place),
            "workflow": WORKFLOW,
            "job_name": f"job [shard {shard}]",
            "run_id": run_id,
            "run_number": run_id,
            "attempt": attempt,
            "url": f"https://ci.example/{run_id}/{attempt}/{shard}",
        }
        if letter in COMPLETED:
            line["status"] = "completed"
            line["conclusion"] = COMPLETED[letter]
            line["started_at"] = stamp(started)
            line["completed_at"] = stamp(started + timedelta(minutes=5))
        else:
            line["status"] = UNFINISHED[letter]
            line["created_at"] = stamp(NOW - (EXPIRED if letter == "!" else FRESH))
        lines.append(line)
    return lines


def stamp(time: datetime) -> str:
    """Write a time as the recorded format has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
