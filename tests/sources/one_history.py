"""One history that every kind of source plays; a new source needs a player here."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml
from click.testing import CliRunner
from trunkwatch.cli.main import main

from tests.clickhouse.fake import FakeClickHouse, section
from tests.gitea.fake import FakeGitea, time_text
from tests.github.fake import FakeGitHub
from tests.github.server import serving_github
from tests.github.workflows import Job, Workflow
from tests.gitlab.fake import FakeGitLab
from tests.sources.reading import sha
from tests.support.fakehttp import FakeBuildbot, serving
from tests.support.gitrepo import GitRepo

Section = dict[str, Any]

AT = int(time.time()) - 84 * 3600
"""When the first commit was made: three and a half days ago, so that no age is about to change."""

REPO = "o/r"
FILE = "ci.yml"
"""The workflow; the source has this name, which is the workflow where a CI has none."""

HISTORY = {
    "build": "PPPPPP",
    "test": "PPFFFF",
    "flaky": "PFXXPF",
    "docs": "PSSFFF",
    "late": "F.F.PP",
    "slow": "FFFFFC",
}
"""The results of each job, oldest first: pass, fail, a failure and then a pass (X), skipped,
cancelled, and none."""

ATTEMPTS = {"P": ["success"], "F": ["failure"], "X": ["failure", "success"], ".": []}
ATTEMPTS |= {"S": ["skipped"], "C": ["cancelled"]}


class Played(NamedTuple):
    """A source from which the history can be read.

    Attributes:
        section: of the configuration, without the name.
        commits: the hashes, oldest first.
    """

    section: Section
    commits: Sequence[str]


class Step(NamedTuple):
    """The results of one commit.

    Attributes:
        place: of the commit, from 0.
        at: when it was made; each job begins 30 seconds later and takes ten.
        jobs: the conclusions of the attempts of each job.
    """

    place: int
    at: int
    jobs: dict[str, list[str]]


def steps() -> Iterator[Step]:
    """Yield the results of each commit, oldest first."""
    for place in range(6):
        yield Step(place, AT + 600 * place, {n: ATTEMPTS[row[place]] for n, row in HISTORY.items()})


@contextmanager
def recorded(folder: Path, commits: Sequence[str] = tuple(map(sha, range(6)))) -> Iterator[Played]:
    """Write the history to a file, with the hashes that another source has."""
    lines = []
    for place, at, jobs in steps():
        head: Section = {"repo": REPO, "branch": "main", "sha": commits[place]}
        lines.append({"kind": "commit", **head, "title": "a", "author": "author-a"})
        run = {"kind": "run", **head, "workflow": FILE, "run_id": place, "status": "completed"}
        run |= {"started_at": time_text(at + 30), "completed_at": time_text(at + 40)}
        for name, words in jobs.items():
            for attempt, word in enumerate(words, 1):
                own = {"job_name": name, "conclusion": word, "attempt": attempt}
                lines.append({**run, **own})
    path = folder / "results.ndjson"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    yield Played({"type": "recorded", "path": str(path)}, commits)


@contextmanager
def _buildbot(folder: Path) -> Iterator[Played]:
    codes = {"success": 0, "failure": 2, "skipped": 3, "cancelled": 6}
    repo, ci = _clone(folder), FakeBuildbot(builders=dict(enumerate(HISTORY, 1)))
    for place, at, jobs in steps():
        for builder, words in enumerate(jobs.values(), 1):
            for word in words:
                number = len(ci.builds) + 1
                ci.build(number, repo.commits[place], codes[word], builder=builder, at=at + 40)
    with serving(ci) as server:
        ours: Section = {"type": "buildbot", "url": server.url, "repo": REPO}
        yield Played({**ours, "branches": ["main"], "git": str(repo.bare)}, repo.commits)


@contextmanager
def _clickhouse(folder: Path) -> Iterator[Played]:
    repo = _clone(folder)
    with serving(table(repo.commits)) as server:
        yield Played(section(server.url, git=str(repo.bare)), repo.commits)


def table(commits: Sequence[str]) -> FakeClickHouse:
    """Return the history as a table of ClickHouse."""
    fake = FakeClickHouse()
    for place, at, jobs in steps():
        times = {"created_at": at, "started_at": at + 30, "completed_at": at + 40}
        for name, words in jobs.items():
            for attempt, word in enumerate(words, 1):
                run = {"workflow": FILE, "job_name": name, "run_id": place, "attempt": attempt}
                fake.add(commits[place], word, written=at + 40, **run, **times)
    return fake


class _Clone(NamedTuple):
    bare: Path
    commits: Sequence[str]


def _clone(folder: Path) -> _Clone:
    """Return a bare repository with the commits of the history."""
    place = folder / "clone"
    place.mkdir()
    repo = GitRepo(place)
    commits = [repo.commit("a", date=step.at) for step in steps()]
    repo.push()
    return _Clone(repo.bare, commits)


@contextmanager
def _gitea(folder: Path) -> Iterator[Played]:
    fake = FakeGitea()
    repo = fake.repo(REPO)
    for _, at, jobs in steps():
        run = repo.run(repo.push("a", at=at), at=at + 20)
        for name, words in jobs.items():
            if words:
                job = run.job(name, words[0], at=at + 30)
            for word in words[1:]:
                run.attempt(job, word, at=at + 30)
    token = folder / "token"
    token.write_text(next(iter(fake.tokens)), encoding="utf-8")
    with serving(fake) as server:
        ours: Section = {"type": "gitea", "url": server.url, "repos": [REPO]}
        yield Played({**ours, "token_file": str(token)}, list(repo.commits))


@contextmanager
def _github(folder: Path) -> Iterator[Played]:
    fake = FakeGitHub(time.time())
    repo, workflow = fake.repo(REPO), Workflow(FILE, f".github/workflows/{FILE}")
    for _, at, jobs in steps():
        commit = repo.commit("a", at=at, author="author-a")
        first = [_job(name, words[0], 30) for name, words in jobs.items() if words]
        run = repo.run(commit, workflow, first, at=at)
        again = [_job(name, words[1], 5) for name, words in jobs.items() if words[1:]]
        if again:
            run.rerun(at + 60, again)
    token = folder / "token"
    token.write_text(next(iter(fake.tokens)), encoding="utf-8")
    with serving_github(fake) as server:
        ours: Section = {"type": "github", "api_url": server.url, "repo": REPO}
        yield Played({**ours, "token_file": str(token)}, list(repo.commits))


def _job(name: str, conclusion: str, start: float) -> Job:
    return Job(name, start, start + 10, conclusion)


@contextmanager
def _gitlab(_folder: Path) -> Iterator[Played]:
    words = {"failure": "failed", "cancelled": "canceled"}
    fake = FakeGitLab(tokens={"": "read_api"})
    project = fake.project(REPO)
    for _, at, jobs in steps():
        run = project.pipeline(project.push("a", at=at), "failed", at=at + 20)
        for name, attempts in jobs.items():
            for word in attempts:
                run.job(name, words.get(word, word), at=at + 20)
    with serving(fake) as server:
        ours: Section = {"type": "gitlab", "url": server.url, "repos": [REPO]}
        yield Played(ours, list(project.commits))


PLAYERS: Mapping[str, Callable[[Path], AbstractContextManager[Played]]] = MappingProxyType(
    {
        "buildbot": _buildbot,
        "clickhouse": _clickhouse,
        "gitea": _gitea,
        "github": _github,
        "gitlab": _gitlab,
        "recorded": recorded,
    }
)
"""Each kind of source, playing the history."""


def printed_table(source: Section, folder: Path) -> str:
    """Return what `check` prints of a source, without links and its account of requests."""
    path = folder / "trunkwatch.yml"
    path.write_text(yaml.safe_dump({"sources": [{"name": FILE, **source}]}), encoding="utf-8")
    done = CliRunner().invoke(main, ["check", "--config.file", str(path)])
    assert done.exit_code == 1, done.output
    lines = done.stdout.splitlines()
    return "\n".join(line for line in lines if "://" not in line and "request" not in line)
