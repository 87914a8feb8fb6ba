"""`trunkwatch confirm` as a process, with a real exporter and a real Buildbot."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from trunkwatch.confirm.buildbot import BuildbotRunner
from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import NotRepeatable
from trunkwatch.errors import CredentialsError
from trunkwatch.patterns import Pattern
from trunkwatch.rest.http import HttpContext

from tests.cli.program import Served, acting, serving
from tests.support.buildbot import FORCE, REPO, RealBuildbot, wait_for

pytestmark = [pytest.mark.xdist_group("buildbot"), pytest.mark.live]

SLOW: Mapping[str, str | None] = {"slow-inductor": ""}
BROKEN: Mapping[str, str | None] = {**SLOW, "broken-inductor": ""}


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBuildbot]:
    with RealBuildbot(tmp_path_factory.mktemp("buildbot")) as running:
        yield running


class Around:
    """A real exporter that reads a branch, and the command line of confirm.

    Attributes:
        ci: the Buildbot.
        branch: of the commits.
        exporter: reads it.
    """

    def __init__(self, ci: RealBuildbot, branch: str, folder: Path, exporter: Served) -> None:
        self.ci = ci
        self.branch = branch
        self.exporter = exporter
        self._folder = folder

    def job(self) -> dict[str, Any]:
        """Return the job of the builder `inductor`; empty until it was read."""
        jobs = self.exporter.get(f"/api/v1/trunk/{REPO}/{self.branch}").json().get("jobs", ())
        found: list[dict[str, Any]] = [job for job in jobs if job["job_name"] == "inductor"]
        return found[0] if found else {}

    def wait_for_job(self, **expected: object) -> dict[str, Any]:
        """Wait until the job has all these values."""
        return wait_for(
            f"the job with {expected}",
            lambda: next((job for job in [self.job()] if expected.items() <= job.items()), None),
            self.ci.check,
        )

    def end_of(self, confirm: Served) -> list[dict[str, Any]]:
        """Wait until no question is proposed or open; return them, oldest first."""

        def look() -> list[dict[str, Any]] | None:
            found = confirm.get("/api/v1/confirm").json()["questions"]
            has_ended = all(each["state"] in ("answered", "refused") for each in found)
            return found[::-1] if found and has_ended else None

        return wait_for("the answers", look, self.ci.check)

    @contextmanager
    def confirming(self) -> Iterator[Served]:
        """Run `trunkwatch confirm`."""
        address = f"--exporter.url=http://127.0.0.1:{self.exporter.port}"
        stored = ("--storage.path=confirm.db", "--interval=2s")
        with acting("confirm", self._folder, address, *stored) as process:
            yield Served(process)


@contextmanager
def around(ci: RealBuildbot, branch: str, folder: Path, **confirm: object) -> Iterator[Around]:
    """Run an exporter that reads a branch.

    Args:
        ci: the Buildbot.
        branch: of the commits.
        folder: for the files of both programs.
        confirm: further keys of the section.
    """
    section = {
        "mode": "act",
        "type": "buildbot",
        "api_url": f"{ci.url}/api/v2",
        "builders": ["unit", "inductor"],
        "questions": ["which"],
        **confirm,
    }
    document = {"sources": [ci.source(branch)], "confirm": section}
    (folder / "trunkwatch.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    with serving(folder) as exporter:
        yield Around(ci, branch, folder, exporter)


def cancelled(ci: RealBuildbot, title: str, files: Mapping[str, str | None], branch: str) -> str:
    """Push a commit, and stop its build while it runs; return the commit's hash."""
    hold, held = ci.switch(branch, "hold"), ci.switch(branch, "held")
    held.unlink(missing_ok=True)
    hold.touch()
    sha = ci.land(title, files, branch)
    wait_for("the slow step", lambda: held.exists() or None, ci.check)
    (running,) = ci.builds("inductor", sha)
    ci.stop_build(running["buildid"])
    ci.finished("inductor", sha)
    hold.unlink()
    return sha


def test_cancelled_builds_end_with_exactly_one_suspect(ci: RealBuildbot, tmp_path: Path) -> None:
    """Of five suspects, four of them cancelled, two rebuilds leave the one that broke the job."""
    branch = "cancelled"
    ci.new_branch(branch)
    good = ci.land("good", {"code": "0"}, branch)
    ci.finished("inductor", good)
    shas = [cancelled(ci, f"fine {n}", {**SLOW, "code": f"{n}"}, branch) for n in range(2)]
    bad = cancelled(ci, "make it faster", BROKEN, branch)
    shas += [bad, cancelled(ci, "unrelated", {**BROKEN, "code": "u"}, branch)]
    failing = [ci.land(f"more {n}", {**BROKEN, "code": f"m{n}"}, branch) for n in range(3)]
    for sha in failing:
        ci.finished("inductor", sha)
    with around(ci, branch, tmp_path) as made:
        made.wait_for_job(broken=True, suspects=5, first_bad=failing[0], last_good=good)
        with made.confirming() as confirm:
            confirm.wait_for_log('msg="?CI asked"? ')
            # Killed before the answer, and started again.
            confirm.process.kill()
            confirm.process.wait()
        with made.confirming() as confirm:
            made.wait_for_job(suspects=1, first_bad=bad, last_good=shas[1], pending_commits=0)
            asked = made.end_of(confirm)
            assert confirm.samples("trunkwatch_confirm_up") == {
                '{peer="ci"}': 1,
                '{peer="exporter"}': 1,
            }
            assert confirm.end() == 0
    answers = {each["sha"]: each["answer"] for each in asked}
    assert answers[bad] == "F"
    assert answers[shas[1]] == "P"
    assert len(asked) <= 3
    # Each question made one build, and none of another commit.
    assert {sha: len(ci.builds("inductor", sha)) for sha in [good, *shas, *failing]} == {
        sha: 2 if sha in answers else 1 for sha in [good, *shas, *failing]
    }


def test_commits_without_builds_are_forced(ci: RealBuildbot, tmp_path: Path) -> None:
    """Of four suspects without a build, a force scheduler leaves the one that broke the job."""
    branch = "unbuilt"
    ci.new_branch(branch)
    good = ci.land("good", {"code": "0"}, branch)
    ci.finished("inductor", good)
    hidden = [ci.push_unseen("fine", {"code": "1"}, branch)]
    bad = ci.push_unseen("make it faster", BROKEN, branch)
    hidden += [bad, ci.push_unseen("unrelated", {"code": "2"}, branch)]
    failing = [ci.land(f"more {n}", {"code": f"m{n}"}, branch) for n in range(3)]
    for sha in failing:
        ci.finished("inductor", sha)
    with around(ci, branch, tmp_path, force_scheduler=FORCE) as made:
        made.wait_for_job(broken=True, suspects=4, first_bad=failing[0], last_good=good)
        with made.confirming() as confirm:
            made.wait_for_job(suspects=1, first_bad=bad, last_good=hidden[0], pending_commits=0)
            asked = made.end_of(confirm)
            assert confirm.end() == 0
    assert [each["answer"] for each in asked] == ["F", "P"]
    builds = {sha: len(ci.builds("inductor", sha)) for sha in hidden}
    assert builds == {sha: int(sha in hidden[:2]) for sha in hidden}


def test_a_login_is_needed_where_the_master_asks_for_one(tmp_path: Path) -> None:
    """Without it the master refuses, and the question waits; with it the build is made."""
    branch = "guarded"
    with RealBuildbot(tmp_path, users={"trunkwatch": "password"}) as ci:
        ci.new_branch(branch)
        sha = ci.land("good", {"code": "0"}, branch)
        (build,) = ci.finished("inductor", sha)
        number, request = build["buildid"], build["buildrequestid"]
        target = Target(REPO, branch, sha, request, 1, number, "inductor", "bb", None, False, 1.0)
        for force in (None, FORCE):
            with pytest.raises(NotRepeatable, match="HTTP 403") as raised:
                asked(ci.url, target, force)
            assert not raised.value.is_final
        with pytest.raises(CredentialsError):
            asked(ci.url.replace("//", "//trunkwatch:wrong@"), target, None)
        assert len(ci.builds("inductor", sha)) == 1
        url = ci.url.replace("//", "//trunkwatch:password@")
        examined = asked(url, target, None)
        # Another one waits for it, also if it is forced.
        with pytest.raises(NotRepeatable, match=r"has not ended|built just now"):
            asked(url, target, FORCE)
        ci.finished("inductor", sha, 2)
        assert runner(url, None).was_repeated(examined)
        assert not runner(url, None).was_left_out(examined)


def runner(url: str, force: str | None) -> BuildbotRunner:
    """Return the client of a master."""
    builders = (Pattern("inductor"),)
    api = f"{url}/api/v2"
    return BuildbotRunner(api, HttpContext(), builders=builders, force_scheduler=force)


def asked(url: str, target: Target, force: str | None) -> Target:
    """Ask for a build as a round does; return the examined target."""
    ci = runner(url, force)
    ci.check()
    examined = ci.examine(target).target
    ci.run(examined)
    return examined
