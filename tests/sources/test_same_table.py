"""One history, played through several CI servers, gives one table at the declared cost."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from trunkwatch.cli.main import main
from trunkwatch.config import parse_config
from trunkwatch.sources import SOURCES

from tests.gitea.fake import FakeGitea, time_text
from tests.gitlab.fake import FakeGitLab
from tests.sources.reading import Reader, sha
from tests.support.fakehttp import serving

Section = dict[str, Any]

AT = 1_700_000_000
REPO = "o/r"
FILE = "ci.yml"

HISTORY = {
    "build": "PPPPPP",
    "test": "PPFFFF",
    "flaky": "PFXXPF",
    "docs": "PSSFFF",
    "slow": "FFFFFC",
}
"""The results of each job, oldest first: pass, fail, a failure and then a pass (X), skipped, and
cancelled."""

ATTEMPTS = {"P": ["success"], "F": ["failure"], "X": ["failure", "success"]}
ATTEMPTS |= {"S": ["skipped"], "C": ["cancelled"]}


def results() -> Iterator[tuple[int, int, dict[str, list[str]]]]:
    """Yield the number of each commit, its time, and the attempts of each job."""
    for number in range(6):
        words = {name: ATTEMPTS[row[number]] for name, row in HISTORY.items()}
        yield number + 1, AT + 600 * number, words


@contextmanager
def _recorded(folder: Path) -> Iterator[Section]:
    lines = []
    for number, at, jobs in results():
        head: Section = {"repo": REPO, "branch": "main", "sha": sha(number)}
        lines.append({"kind": "commit", **head, "title": "a", "author": "author-a"})
        for name, words in jobs.items():
            run: Section = {
                "kind": "run",
                **head,
                "workflow": FILE,
                "job_name": name,
                "run_id": number,
            }
            times: Section = {"started_at": time_text(at + 30), "completed_at": time_text(at + 40)}
            for attempt, word in enumerate(words, 1):
                end: Section = {"status": "completed", "conclusion": word, "attempt": attempt}
                lines.append({**run, **end, **times})
    path = folder / "results.ndjson"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    yield {"type": "recorded", "path": str(path)}


@contextmanager
def _gitea(_folder: Path) -> Iterator[Section]:
    fake = FakeGitea(tokens={""})
    repo = fake.repo(REPO)
    for _, at, jobs in results():
        run = repo.run(repo.push("a", at=at), at=at + 20)
        for name, (first, *more) in jobs.items():
            job = run.job(name, first, at=at + 30)
            for word in more:
                run.attempt(job, word, at=at + 30)
    with serving(fake) as server:
        yield {"type": "gitea", "url": server.url, "repos": [REPO]}


@contextmanager
def _gitlab(_folder: Path) -> Iterator[Section]:
    words = {"failure": "failed", "cancelled": "canceled"}
    fake = FakeGitLab(tokens={"": "read_api"})
    project = fake.project(REPO)
    for _, at, jobs in results():
        run = project.pipeline(project.push("a", at=at), "failed", at=at + 20)
        for name, attempts in jobs.items():
            for word in attempts:
                run.job(name, words.get(word, word), at=at + 20)
    with serving(fake) as server:
        yield {"type": "gitlab", "url": server.url, "repos": [REPO], "workflow": FILE}


def _table(section: Section, folder: Path) -> str:
    """Return what `check` prints of a source, without links and its account of requests."""
    path = folder / "trunkwatch.yml"
    path.write_text(yaml.safe_dump({"sources": [{"name": "ci", **section}]}), encoding="utf-8")
    done = CliRunner().invoke(main, ["check", "--config.file", str(path)])
    assert done.exit_code == 1, done.output
    lines = done.stdout.splitlines()
    return "\n".join(line for line in lines if "://" not in line and "request" not in line)


@pytest.mark.parametrize("served", [_gitea, _gitlab])
def test_one_history_has_one_table(
    served: Callable[[Path], AbstractContextManager[Section]], tmp_path: Path
) -> None:
    """The broken jobs, their first bad commits and flakes are those of a recorded file."""
    with _recorded(tmp_path) as section:
        expected = _table(section, tmp_path)
    assert "3 broken, 1 failing; 5 jobs over 6 commits" in expected
    with served(tmp_path) as section:
        assert _table(section, tmp_path) == expected


@pytest.mark.parametrize("served", [_recorded, _gitea, _gitlab])
def test_nothing_new_costs_what_is_declared(
    served: Callable[[Path], AbstractContextManager[Section]], tmp_path: Path
) -> None:
    """When every result was read, a refresh sends the documented requests and no other."""
    with served(tmp_path) as section:
        text = yaml.safe_dump({"sources": [{"name": "ci", **section}]})
        reader = Reader(parse_config(text, "trunkwatch.yml").sources[0])
        reader.refresh()
        first = len(reader.codes)
        reader.refresh()
        assert len(reader.codes) - first == SOURCES[section["type"]].traits.requests
