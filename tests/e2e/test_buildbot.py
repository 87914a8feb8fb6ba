"""A real Buildbot that builds a real repository, and the real stack that reads it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner
from trunkwatch.cli.main import main
from trunkwatch.config import Config, parse_config
from trunkwatch.demo.receiver import Delivery, Receiver
from trunkwatch.demo.stack import HOST, Stack
from trunkwatch.domain.evidence import EvidenceRules, evidence_of
from trunkwatch.domain.model import Evidence

from tests.sources.reading import Reader
from tests.support.buildbot import (
    BUILDERS,
    CODEBASES,
    OTHER,
    REPO,
    VIRTUAL,
    RealBuildbot,
    wait_for,
)
from tests.support.facts import facts_of
from tests.support.fakehttp import FakeBuildbot, serving

pytestmark = pytest.mark.xdist_group("buildbot")

BREAK: Mapping[str, str | None] = {"broken-inductor": ""}
FIX: Mapping[str, str | None] = {"broken-inductor": None}


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBuildbot]:
    with RealBuildbot(tmp_path_factory.mktemp("buildbot")) as running:
        yield running


def settings(ci: RealBuildbot, branch: str, **more: object) -> str:
    """Return a configuration of one branch; the group is named like one of the two builders."""
    compare_url = "https://git.example.com/o/r/compare/{last_good}...{first_bad}"
    source = ci.source(branch, poll_interval="300ms", compare_url=compare_url, **more)
    group = {
        "name": "inductor",
        "match": {"job_name": "inductor"},
        "team": "broken-inductor",
        "priority": "P2",
    }
    return yaml.safe_dump({"sources": [source], "groups": [group]})


def config(ci: RealBuildbot, branch: str, **more: object) -> Config:
    return parse_config(settings(ci, branch, **more), "trunkwatch.yml")


# ---------------------------------------------------------------------- the whole path


class StreakRecorder:
    """The exporter's answers, recorded at each request."""

    def __init__(self, ci: RealBuildbot, stack: Stack) -> None:
        """Args:
        ci: the Buildbot.
        stack: the stack that reads it.
        """
        self._ci = ci
        self._stack = stack
        self.streaks: dict[str, list[int]] = {builder: [] for builder in BUILDERS}

    def check(self) -> None:
        """Raise if a program has exited on its own."""
        self._ci.check()
        for program in self._stack.programs:
            program.check()

    def jobs(self) -> dict[str, dict[str, Any]]:
        """Return the jobs by name, and record changes of their streaks."""
        url = f"http://{HOST}:{self._stack.ports.exporter}/api/v1/trunk/{REPO}/main"
        answer = requests.get(url, timeout=10)
        if not answer.ok:
            return {}
        jobs = {job["job_name"]: job for job in answer.json()["jobs"]}
        for name, job in jobs.items():
            seen, streak = self.streaks[name], job["consecutive_failures"]
            if seen[-1:] != [streak]:
                seen.append(streak)
        return jobs

    def wait_for_streak(self, streak: int) -> dict[str, Any]:
        """Wait until the inductor job has a streak and neither job is still at work."""

        def look() -> dict[str, Any] | None:
            jobs = self.jobs()
            settled = len(jobs) == len(BUILDERS) and not any(
                job["pending_commits"] for job in jobs.values()
            )
            if settled and jobs["inductor"]["consecutive_failures"] == streak:
                return jobs["inductor"]
            return None

        return wait_for(f"a streak of {streak}", look, self.check)

    def metric(self, name: str, job: str) -> list[str]:
        """Return the lines of a metric of one job."""
        text = requests.get(
            f"http://{HOST}:{self._stack.ports.exporter}/metrics", timeout=10
        ).text.splitlines()
        return [line for line in text if line.startswith(name + "{") and f'"{job}"' in line]


@pytest.fixture
def delivered() -> list[Delivery]:
    return []


@pytest.fixture
def receiver(delivered: list[Delivery]) -> Iterator[Receiver]:
    running = Receiver(delivered.append)
    running.start()
    yield running
    running.stop()


def test_a_broken_job_notifies_its_team_until_it_is_fixed(
    ci: RealBuildbot, receiver: Receiver, delivered: list[Delivery], tmp_path: Path
) -> None:
    """Three commits break one builder of two and a fourth fixes it: streaks 1, 2, 3, 0."""
    # The alert names first bad, last good and the suspect, is delivered once and resolves.
    ci.new_branch("main")
    path = tmp_path / "trunkwatch.yml"
    path.write_text(settings(ci, "main"), encoding="utf-8")
    good = ci.land("a good start", {"code": "1"})
    with Stack(tmp_path, path, receiver.port) as stack:
        recorder = StreakRecorder(ci, stack)
        recorder.wait_for_streak(0)

        bad = ci.land("make it faster", BREAK, author="author-b")
        job = recorder.wait_for_streak(1)
        assert (job["first_bad"], job["last_good"], job["broken"]) == (bad, good, False)
        assert ci.finished("unit", bad)

        ci.land("unrelated", {"code": "2"})
        recorder.wait_for_streak(2)
        assert _deliveries(delivered, "TrunkJobBroken") == []

        third = ci.land("unrelated too", {"code": "3"})
        job = recorder.wait_for_streak(3)
        (failed,) = ci.finished("inductor", bad)
        page = f"{ci.url}/#/builders/{failed['builderid']}/builds/{failed['number']}"
        _assert_broken(job, good, bad, page)
        assert recorder.metric("ci_job_consecutive_failures", "inductor")[0].endswith(" 3.0")
        (info,) = recorder.metric("ci_job_outage_info", "inductor")
        assert f'first_bad="{bad}"' in info
        assert f'last_good="{good}"' in info

        firing = wait_for(
            "the alert",
            lambda: next(iter(_deliveries(delivered, "TrunkJobBroken")), None),
            recorder.check,
        )
        _assert_delivered(firing, good, bad, page)
        (held,) = [a for a in stack.alerts() if a["labels"]["alertname"] == "TrunkJobBroken"]
        assert held["labels"]["job_name"] == "inductor"

        ci.land("take it back", FIX)
        job = recorder.wait_for_streak(0)
        assert (job["broken"], job["first_bad"], job["last_verdict"]) == (False, None, "PASS")
        wait_for(
            "the resolve",
            lambda: _deliveries(delivered, "TrunkJobBroken")[1:] or None,
            recorder.check,
        )
        ci.finished("unit", third)
        recorder.jobs()

    assert recorder.streaks == {"inductor": [0, 1, 2, 3, 0], "unit": [0]}
    told = _deliveries(delivered, "TrunkJobBroken")
    assert [(d.receiver, d.status) for d in told] == [
        ("broken-inductor-ticket", "firing"),
        ("broken-inductor-ticket", "resolved"),
    ]


def _deliveries(delivered: list[Delivery], alert: str) -> list[Delivery]:
    return [d for d in list(delivered) if d.body["commonLabels"].get("alertname") == alert]


def _assert_broken(job: dict[str, Any], good: str, bad: str, page: str) -> None:
    expected = {
        "repo": REPO,
        "branch": "main",
        "workflow": "ci",
        "group": "inductor",
        "consecutive_failures": 3,
        "failures_in_outage": 3,
        "stopped_by": "pass",
        "truncated": False,
        "broken": True,
        "first_bad": bad,
        "last_good": good,
        "suspects": 1,
        "suspect_commits": [
            {
                "sha": bad,
                "author": "author-b",
                "title": "make it faster",
                "state": "F",
                "rank": 1,
                "evidence": "failed",
                "reason": "failed there",
            }
        ],
        "failed_step": "test",
        "infra": False,
        "url": page,
        "compare_url": f"https://git.example.com/o/r/compare/{good}...{bad}",
        "last_verdict": "FAIL",
    }
    assert {key: job[key] for key in expected} == expected


def _assert_delivered(delivery: Delivery, good: str, bad: str, page: str) -> None:
    (alert,) = delivery.alerts
    assert alert["labels"] == {
        "alertname": "TrunkJobBroken",
        "repo": REPO,
        "branch": "main",
        "workflow": "ci",
        "job_name": "inductor",
        "group": "inductor",
        "team": "broken-inductor",
        "priority": "P2",
        "severity": "warning",
        "namespace": "trunkwatch/inductor",
    }
    facts = facts_of(alert)
    assert facts["Title"] == "[P2] inductor jobs broken for 3 commits in a row on o/r main"
    assert facts["First bad"] == bad
    assert facts["Last good"] == good
    assert facts["Suspects"].splitlines() == ["1", f"- {bad[:10]} author-b: make it faster"]
    assert facts["Reason"] == "Failure_Threshold=1, Number_of_Jobs_Failing=1"
    assert facts["First failing run"] == page
    assert alert["annotations"]["runbook_url"].endswith("/runbooks/TrunkJobBroken")


# ---------------------------------------------------------------------- what only a real one does


def _check(ci: RealBuildbot, branch: str, folder: Path) -> dict[str, Any]:
    """Return the inductor job from the output of `trunkwatch check`, each time a new process."""
    path = folder / "trunkwatch.yml"
    # Other tests force builds of several codebases on the same master, which are a limitation.
    path.write_text(settings(ci, branch, builders=["inductor"]), encoding="utf-8")
    flags = ["--config.file", str(path), "--storage.path", str(folder / "check.db")]
    done = CliRunner().invoke(main, ["check", *flags, "--format", "json"])
    assert done.stderr == ""
    jobs = {job["job_name"]: job for job in json.loads(done.stdout)["jobs"]}
    job: dict[str, Any] = jobs["inductor"]
    return job


def test_a_rebuild_changes_its_own_commit_and_not_the_tip(ci: RealBuildbot, tmp_path: Path) -> None:
    """A late pass of an old failing commit makes that commit flaky; the streak at the tip stays."""
    branch = "rebuilt"
    ci.new_branch(branch)
    shas = [ci.land("good", {"code": "1"}, branch)]
    shas += [ci.land(f"bad {n}", {**BREAK, "code": f"bad {n}"}, branch) for n in range(3)]
    for sha in shas:
        ci.finished("inductor", sha)
    before = _check(ci, branch, tmp_path)
    assert (before["consecutive_failures"], before["first_bad"]) == (3, shas[1])

    ci.switch(branch, "forgive").touch()
    (old,) = ci.finished("inductor", shas[1])
    ci.rebuild(old["buildid"])
    first, again = ci.finished("inductor", shas[1], 2)
    assert (first["results"], again["results"]) == (2, 0)
    assert first["buildrequestid"] != again["buildrequestid"]

    after = _check(ci, branch, tmp_path)
    assert (after["consecutive_failures"], after["stopped_by"]) == (2, "flaky")
    assert after["last_verdict"] == "FAIL"
    assert after["first_bad"] == shas[2]
    path = tmp_path / "trunkwatch.yml"
    explained = CliRunner().invoke(main, ["explain", "inductor", "--config.file", str(path)])
    (line,) = [line for line in explained.stdout.splitlines() if shas[1][:8] in line]
    assert "FLAKY" in line


def test_a_worker_that_is_killed_is_a_lost_attempt_and_the_next_one_counts(
    ci: RealBuildbot, tmp_path: Path
) -> None:
    """The lost build is no verdict; its repetition is attempt 2 of the same run, and is one."""
    del tmp_path
    branch = "lost"
    ci.new_branch(branch)
    hold = ci.switch(branch, "hold")
    hold.touch()
    sha = ci.land("slow", {**BREAK, "slow-inductor": ""}, branch)
    held = ci.switch(branch, "held")
    wait_for("the slow step", lambda: held.exists() or None, ci.check)
    reader = Reader(config(ci, branch).sources[0])
    reader.refresh()
    (running,) = _rows(reader, sha)
    assert (running.status, running.attempt) == ("in_progress", 1)

    ci.kill_worker()
    hold.unlink()
    ci.start_worker()
    ci.finished("inductor", sha, 2)
    reader.restart()
    reader.refresh()
    lost, counted = _rows(reader, sha)
    assert lost.run_id == counted.run_id
    assert (lost.attempt, lost.conclusion, lost.job_id) == (1, "retry", running.job_id)
    assert (counted.attempt, counted.conclusion, counted.failed_step) == (2, "failure", "test")
    rules = EvidenceRules()
    assert evidence_of(lost, rules, None, 0.0) is Evidence.UNKNOWN
    assert evidence_of(counted, rules, None, 0.0) is Evidence.FAIL


PATCH = """\
--- /dev/null
+++ b/broken-template
@@ -0,0 +1 @@
+broken
"""


def test_a_try_build_of_a_patch_is_no_result_of_its_commit(ci: RealBuildbot) -> None:
    """`buildbot try` builds the commit with the patch, which the source stamp alone shows."""
    branch = f"{OTHER}tried"
    ci.new_branch(branch)
    sha = ci.land("good", {"code": "1"}, branch)
    (good,) = ci.finished(VIRTUAL, sha)
    ci.try_patch(PATCH, branch, sha)
    _, tried = ci.finished(VIRTUAL, sha, 2)
    assert (good["results"], tried["results"]) == (0, 2)
    reader = Reader(config(ci, branch, builders=[VIRTUAL]).sources[0])
    reader.refresh()
    (row,) = _rows(reader, sha, VIRTUAL)
    assert (row.job_id, row.conclusion) == (good["buildid"], "success")
    assert reader.report.dropped == {"patch": 1}


def test_a_request_that_was_merged_leaves_a_commit_without_a_result(ci: RealBuildbot) -> None:
    """The others' results are those of a virtual builder, and the real one has none."""
    branch = f"{OTHER}merged"
    ci.new_branch(branch)
    ci.switch(branch, "hold").touch()
    first = ci.land("slow", {"slow-template": ""}, branch)
    held = ci.switch(branch, "held")
    wait_for("the slow step", lambda: held.exists() or None, ci.check)
    merged, last = (ci.land(title, {"code": title}, branch) for title in ("merged", "last"))
    wait_for("the merged request", lambda: _requests(ci, merged, 3) or None, ci.check)
    ci.switch(branch, "hold").unlink()
    ci.finished(VIRTUAL, last)
    reader = Reader(config(ci, branch, builders=[VIRTUAL]).sources[0])
    reader.refresh()
    found = {row.sha: row.job.job_name for row in reader.rows() if row.head_branch == branch}
    assert found == {first: VIRTUAL, last: VIRTUAL}
    assert set(reader.report.dropped) <= {"patch"}


def _requests(ci: RealBuildbot, sha: str, results: int) -> list[int]:
    """Return the ids of a commit's build requests that ended with a result."""
    sets = {
        each["bsid"]
        for each in ci.get("/buildsets")["buildsets"]
        if sha in [stamp["revision"] for stamp in each["sourcestamps"]]
    }
    return [
        each["buildrequestid"]
        for each in ci.get("/buildrequests", ("results", results))["buildrequests"]
        if each["buildsetid"] in sets
    ]


def test_of_several_codebases_one_must_be_named(ci: RealBuildbot, tmp_path: Path) -> None:
    """The error names those of the master; with one of them its builds are read."""
    branch = f"{OTHER}codebases"
    ci.new_branch(branch)
    sha = ci.repo.commit("good", {"code": "1"})
    ci.repo.push(branch)
    ci.force(src_branch=branch, src_revision=sha, tools_branch=branch)

    def look() -> list[Any] | None:
        return ci.get(f"/builders/{CODEBASES}/builds", ("complete", "true"))["builds"] or None

    (build,) = wait_for("the forced build", look, ci.check)
    path = tmp_path / "trunkwatch.yml"
    path.write_text(settings(ci, branch, builders=[CODEBASES]), encoding="utf-8")
    done = CliRunner().invoke(main, ["check", "--config.file", str(path)])
    assert done.exit_code == 2
    assert "builds have the codebases src and tools: set `codebase`" in done.output
    reader = Reader(config(ci, branch, builders=[CODEBASES], codebase="src").sources[0])
    reader.refresh()
    (row,) = _rows(reader, sha, CODEBASES)
    assert (row.job_id, row.head_branch) == (build["buildid"], branch)
    assert (reader.report.dropped, reader.report.limitations) == ({}, ())


def test_a_build_that_a_restart_of_the_master_ended_is_no_result(ci: RealBuildbot) -> None:
    """It was pending and has no evidence then; ids and numbers go on, and later builds count."""
    branch = f"{OTHER}restarted"
    ci.new_branch(branch)
    hold, held = ci.switch(branch, "hold"), ci.switch(branch, "held")
    hold.touch()
    sha = ci.land("slow", {"slow-template": ""}, branch)
    wait_for("the slow step", lambda: held.exists() or None, ci.check)
    reader = Reader(config(ci, branch).sources[0])
    reader.refresh()
    (running,) = _rows(reader, sha, VIRTUAL)
    ci.restart_master()
    hold.unlink()
    after = ci.land("fast", {"slow-template": None}, branch)
    (counted,) = ci.finished(VIRTUAL, after)
    reader.refresh()
    ended = _rows(reader, sha, VIRTUAL)[0]
    assert (running.status, ended.status) == ("in_progress", "completed")
    assert (ended.job_id, ended.run_id, ended.attempt) == (running.job_id, running.run_id, 1)
    # The step that is interrupted is cancelled; another moment of the build makes it a retry.
    assert ended.conclusion in ("cancelled", "retry")
    assert evidence_of(ended, EvidenceRules(), None, 0.0) is Evidence.UNKNOWN
    (row,) = _rows(reader, after, VIRTUAL)
    assert (row.job_id, row.conclusion) == (counted["buildid"], "success")
    assert row.job_id > running.job_id


def _rows(reader: Reader, sha: str, job: str = "inductor") -> list[Any]:
    """Return the stored results of a job at a commit, by attempt."""
    rows = [r for r in reader.rows() if r.sha == sha and r.job.job_name == job]
    return sorted(rows, key=lambda row: row.attempt)


def test_the_server_that_is_played_in_other_tests_answers_like_the_real_one(
    ci: RealBuildbot,
) -> None:
    """The fake Buildbot's lists, keys, types and errors are those of the real one."""
    branch = "shapes"
    ci.new_branch(branch)
    sha = ci.land("bad", BREAK, branch)
    for builder in BUILDERS:
        ci.finished(builder, sha)
    (real_build,) = ci.finished("inductor", sha)
    number = real_build["buildid"]
    played = FakeBuildbot()
    played.steps[number] = [("worker_preparation", 0), ("checkout", 0), ("test", 2)]
    listed = "/builds?complete=true&complete_at__ge=1&order=complete_at&order=buildid&limit=200"
    properties = "&property=got_revision&property=revision&property=branch"
    request = real_build["buildrequestid"]
    played.build(number, sha, 2, branch=branch, request=request)
    (of_set,) = ci.get(f"/buildrequests/{request}")["buildrequests"]
    played.build_set = of_set["buildsetid"] - request
    asked = [
        f"{listed}&offset=0{properties}",
        f"/builds?complete=false&started_at__ge=1{properties}",
        f"/builds?buildid={number}&buildid={number + 10_000}{properties}",
        f"/buildrequests?buildrequestid={request}&field=buildrequestid&field=buildsetid",
        f"/buildsets?bsid={of_set['buildsetid']}&field=bsid&field=sourcestamps",
        "/builders",
        f"/builds/{number}/steps?order=number&field=name&field=number&field=results",
    ]
    with serving(played) as server:
        for path in asked:
            real, fake = _answer(ci.url, path), _answer(server.url, path)
            assert _shape(fake) == _shape(real), path
        for path in ("/nope", "/builds?nope=1"):
            real, fake = _answer(ci.url, path), _answer(server.url, path)
            assert fake == real, path


def _answer(url: str, path: str) -> tuple[int, Any]:
    # A busy Buildbot has sent compressed answers without the header of gzip.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    answer = requests.get(f"{url}/api/v2{path}", headers=headers, timeout=10)
    return answer.status_code, answer.json()


def _shape(answer: tuple[int, Any]) -> object:
    """Reduce an answer to keys and types; of a list, only its newest entry.

    A virtual builder, which only some tests have, has no master.
    """

    def reduce(value: object) -> object:
        if isinstance(value, dict):
            return {key: reduce(entry) for key, entry in value.items()}
        if isinstance(value, list):
            real = [e for e in value if not isinstance(e, dict) or e.get("masterids") != []]
            return [reduce(entry) for entry in real[-1:]]
        return type(value)

    return answer[0], reduce(answer[1])
