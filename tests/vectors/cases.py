"""Vectors outside the notation: explicit lines, and job names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Any

from tests.vectors.notation import BRANCH, NOW, REPO, WORKFLOW, Json, commit_lines, sha_of, stamp

TIMES = ("committed_at", "created_at", "started_at", "completed_at")
AGO = re.compile(r"now-(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
OFF_TRUNK_SHA = "f" * 40


@dataclass(frozen=True, slots=True)
class Name:
    """A raw name and the watched name expected for it; `expect` is None if it is ignored."""

    id: str
    rule: str
    raw: str
    jobs: Mapping[str, Any]
    expect: str | None

    def lines(self) -> list[Json]:
        """Return one commit with one green run of the raw name."""
        return [*commit_lines(1), run_line(0, {"job_name": self.raw})]

    def read_answer(self, answer: Mapping[str, Any]) -> str | None:
        """Return the name of the only job in an answer, None where there is none."""
        names = [job["job_name"] for job in answer["jobs"]]
        if len(names) > 1:
            raise ValueError(f"one name became several jobs: {names}")
        return names[0] if names else None


@dataclass(frozen=True, slots=True)
class Case:
    """Explicit lines; only the keys in the case are compared with the answer.

    Attributes:
        expect_jobs: every job of the answer, by repository, branch, workflow and name.
        expect_groups: every group of the answer, in its order; None leaves them out.
    """

    id: str
    rule: str
    commits: Any
    runs: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]
    expect_jobs: Sequence[Mapping[str, Any]]
    expect_groups: Sequence[Mapping[str, Any]] | None
    workflows: Sequence[Mapping[str, Any]] = ()

    def lines(self) -> list[Json]:
        """Return the recorded lines: commits first."""
        if isinstance(self.commits, int):
            lines = commit_lines(self.commits)
        else:
            lines = [line for trunk in self.commits for line in trunk_lines(trunk)]
        for override in self.runs:
            first, last = places(override.get("at", 0))
            lines += [run_line(place, override) for place in range(first, last + 1)]
        trunk = {"kind": "workflow", "repo": REPO, "branch": BRANCH}
        return [*lines, *({**trunk, **state} for state in self.workflows)]

    def wanted(self) -> list[Json]:
        """Return the expected jobs with `c3` written as the SHA of commit 3."""
        return [with_shas(job) for job in self.expect_jobs]

    def read_answer(self, answer: Mapping[str, Any]) -> list[Json]:
        """Return the answer's jobs with only the keys in the case."""
        names = itemgetter("repo", "branch", "workflow", "job_name")
        return cut(sorted(answer["jobs"], key=names), self.expect_jobs)

    def read_groups(self, answer: Mapping[str, Any]) -> list[Json]:
        """Return the answer's groups with only the keys in the case."""
        return cut(answer["groups"], self.expect_groups or [])


def cut(found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Keep the wanted keys of each object; objects without wanted keys are kept whole."""
    result: list[Json] = []
    for index, item in enumerate(found):
        keys = wanted[index].keys() if index < len(wanted) else item.keys()
        result.append({key: item.get(key) for key in keys})
    return result


def run_line(place: int, override: Mapping[str, Any]) -> Json:
    """Return a green run at a place, changed by the override."""
    line: Json = {
        "kind": "run",
        "repo": REPO,
        "branch": BRANCH,
        "sha": OFF_TRUNK_SHA if place < 0 else sha_of(place),
        "workflow": WORKFLOW,
        "job_name": "job",
        "run_id": place + 1,
        "status": "completed",
        "conclusion": "success",
    }
    for key, value in override.items():
        if key != "at":
            line[key] = time_ago(value) if key in TIMES else value
    return line


def places(at: Any) -> tuple[int, int]:
    """Read `3`, `"3..52"`, or `nowhere` (a commit that is not on the trunk)."""
    if at == "nowhere":
        return -1, -1
    if isinstance(at, int):
        return at, at
    first, last = str(at).split("..")
    return int(first), int(last)


def time_ago(value: str | None) -> str | None:
    """Read `now-36h1s`; any other text is a time already."""
    matched = None if value is None else AGO.fullmatch(value)
    if matched is None:
        return value
    hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    return stamp(NOW - timedelta(hours=hours, minutes=minutes, seconds=seconds))


def trunk_lines(trunk: Mapping[str, Any]) -> list[Json]:
    """Return the commits of one trunk; `dated: false` drops their times."""
    lines = commit_lines(trunk["count"], trunk.get("repo", REPO), trunk.get("branch", BRANCH))
    if not trunk.get("dated", True):
        lines = [{key: line[key] for key in line if key != "committed_at"} for line in lines]
    return lines


def with_shas(job: Mapping[str, Any]) -> Json:
    """Write `c3` as the SHA of commit 3, and `now-1h` as a time."""
    result = dict(job)
    for key in ("first_bad", "last_good"):
        if isinstance(result.get(key), str):
            result[key] = sha_of(int(result[key][1:]))
    if isinstance(result.get("broken_since"), str):
        result["broken_since"] = time_ago(result["broken_since"])
    return result
