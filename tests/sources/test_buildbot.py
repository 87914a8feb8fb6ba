"""The Buildbot source against a server that answers as Buildbot 4.3 does, and against others."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from trunkwatch.cli.main import main
from trunkwatch.config import BuildbotSource
from trunkwatch.domain.evidence import EvidenceRules, evidence_of, unknown_word, why_ignored
from trunkwatch.domain.model import Commit, Evidence, Observation, Trunk, TrunkOrder
from trunkwatch.engine.facts import EMPTY_STATE
from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    GitError,
    NoAnswerError,
    SourceError,
)
from trunkwatch.sources import SourceContext, build_source
from trunkwatch.sources.buildbot.api import PAGE
from trunkwatch.sources.buildbot.source import LOOK_BACK_SECONDS

from tests.sources.reading import REPO, TRUNK, Reader, sha
from tests.support.clock import Clock
from tests.support.fakehttp import (
    Answer,
    FakeBuildbot,
    HangUp,
    HttpServer,
    Request,
    as_json,
    serving,
    source_stamp,
)
from tests.support.gitrepo import GitRepo, git

NOW = 1_700_000_000
HOUR = 3600
A, B = sha(1), sha(2)
SHORT = "c0ffee" + sha(3)[6:]


@pytest.fixture
def clock() -> Clock:
    """Return a clock that shows a day after `NOW`."""
    return Clock(NOW + 24.0 * HOUR)


@pytest.fixture
def ci() -> FakeBuildbot:
    return FakeBuildbot()


@pytest.fixture
def server(ci: FakeBuildbot) -> Iterator[HttpServer]:
    with serving(ci) as running:
        yield running


@pytest.fixture
def reader(server: HttpServer, clock: Clock) -> Reader:
    return Reader(config(server.url), clock)


def config(url: str, **more: object) -> BuildbotSource:
    fields = {"name": "ci", "type": "buildbot", "url": url, "repo": REPO, "branches": ["main"]}
    return BuildbotSource.model_validate({**fields, **more})


# ---------------------------------------------------------------------- results of a build


@pytest.mark.parametrize(
    ("results", "evidence", "infra"),
    [
        pytest.param(0, Evidence.PASS, False, id="SUCCESS"),
        pytest.param(1, Evidence.PASS, False, id="WARNINGS"),
        pytest.param(2, Evidence.FAIL, False, id="FAILURE"),
        pytest.param(3, Evidence.SKIP, False, id="SKIPPED"),
        pytest.param(4, Evidence.FAIL, True, id="EXCEPTION"),
        pytest.param(5, Evidence.UNKNOWN, False, id="RETRY"),
        pytest.param(6, Evidence.UNKNOWN, False, id="CANCELLED"),
        pytest.param(None, Evidence.PENDING, False, id="running"),
    ],
)
def test_every_result_code_is_one_row_of_the_evidence_table(
    ci: FakeBuildbot, reader: Reader, results: int | None, evidence: Evidence, infra: bool
) -> None:
    """Each result code of Buildbot has the evidence of section 3; only EXCEPTION is infra."""
    ci.build(1, A, results)
    reader.refresh()
    row = reader.only_row()
    assert evidence_of(row, EvidenceRules(), None, NOW) is evidence
    assert unknown_word(row) is None
    assert row.infra is infra


def test_a_result_code_that_we_do_not_know_is_unknown_and_named(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """A code of a later Buildbot is no verdict, and shows as a word that can be counted."""
    ci.build(1, A, 7)
    reader.refresh()
    row = reader.only_row()
    assert evidence_of(row, EvidenceRules(), None, NOW) is Evidence.UNKNOWN
    assert unknown_word(row) == "7"


def test_a_build_is_told_with_all_that_a_person_needs(
    ci: FakeBuildbot, reader: Reader, server: HttpServer
) -> None:
    """A failed build carries its builder, request, times, page and first failing step."""
    ci.build(37, A, 2, builder=2, request=30, at=NOW, took=90)
    ci.steps[37] = [("checkout", 0), ("lint", 1), ("test", 2), ("report", 2)]
    reader.refresh()
    row = reader.only_row()
    assert (row.trunk, row.sha) == (TRUNK, A)
    assert (row.job.workflow_name, row.job.job_name) == ("ci", "inductor")
    assert (row.run_id, row.attempt, row.job_id) == (30, 1, 37)
    assert (row.started_at, row.completed_at) == (NOW - 90, NOW)
    assert row.url == f"{server.url}/#/builders/2/builds/37"
    assert row.failed_step == "test"
    assert why_ignored(row, TrunkOrder(TRUNK, (Commit(A),)), EvidenceRules()) is None


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        pytest.param([("a", 0), ("b", 4), ("c", 2)], "b", id="an exception is a failing step"),
        pytest.param([("a", 0), ("b", None)], None, id="none of the steps failed"),
        pytest.param([], None, id="no steps at all"),
    ],
)
def test_the_failed_step_is_the_first_one_that_failed(
    ci: FakeBuildbot, reader: Reader, steps: list[tuple[object, int | None]], first: str | None
) -> None:
    """The first step with FAILURE or EXCEPTION is named, and none where there is none."""
    ci.build(1, A, 2)
    ci.steps[1] = steps
    reader.refresh()
    assert reader.only_row().failed_step == first


def test_the_workflow_may_have_a_name_of_its_own(ci: FakeBuildbot, server: HttpServer) -> None:
    """`workflow:` replaces the source's name as the label of its jobs."""
    ci.build(1, A)
    reader = Reader(config(server.url, workflow="nightly"), Clock())
    reader.refresh()
    assert reader.only_row().job.workflow_name == "nightly"


# ---------------------------------------------------------------------- runs and attempts


def test_a_retry_is_the_next_attempt_of_its_request(ci: FakeBuildbot, reader: Reader) -> None:
    """A build that was lost and its repetition are attempts 1 and 2 of one run."""
    ci.build(1, A, 5, request=9, at=NOW)
    ci.build(2, A, 0, request=9, at=NOW + 20)
    reader.refresh()
    assert [(r.run_id, r.attempt, r.conclusion) for r in reader.rows()] == [
        (9, 1, "retry"),
        (9, 2, "success"),
    ]


def test_attempts_are_counted_on_after_a_restart(ci: FakeBuildbot, reader: Reader) -> None:
    """The cursor remembers a lost build, even one too old to be listed again."""
    ci.build(1, A, 5, request=9, at=NOW)
    reader.refresh()
    later = NOW + 3 * int(LOOK_BACK_SECONDS)
    ci.build(2, B, 0, at=later)
    reader.refresh()
    reader.restart()
    ci.build(3, A, 5, request=9, at=later + 10)
    reader.refresh()
    reader.restart()
    ci.build(4, A, 2, request=9, at=later + 20)
    reader.refresh()
    attempts = {r.job_id: r.attempt for r in reader.rows() if r.run_id == 9}
    assert attempts == {1: 1, 3: 2, 4: 3}


def test_a_running_repetition_is_the_next_attempt_at_once(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """A build that is lost during a refresh is read as lost before its repetition counts."""
    # Otherwise the repetition would be pending as attempt 1 and end as attempt 2, and the pending
    # row would stay.
    ci.build(1, A, None, request=9)

    def lost_in_between(request: Request) -> Answer:
        answer = ci(request)
        if len(server.requests) == 1:
            ci.build(1, A, 5, request=9, at=NOW)
            ci.build(2, A, None, request=9, at=NOW + 20)
        return answer

    server.handler = lost_in_between
    reader.refresh()
    reader.refresh()
    ci.build(2, A, 6, request=9, at=NOW + 20)
    reader.refresh()
    assert [(r.job_id, r.attempt, r.status) for r in reader.rows()] == [
        (1, 1, "completed"),
        (2, 2, "completed"),
    ]


def test_a_rebuild_is_another_run_of_the_same_commit(ci: FakeBuildbot, reader: Reader) -> None:
    """A rebuild has a request of its own, so both answers stand and the commit is flaky."""
    ci.build(1, A, 2, request=9, at=NOW)
    ci.build(50, A, 0, request=40, at=NOW + 9000)
    reader.refresh()
    rows = reader.rows()
    assert {r.sha for r in rows} == {A}
    assert [(r.run_id, r.attempt) for r in rows] == [(9, 1), (40, 1)]


# ---------------------------------------------------------------------- which commit


def test_before_the_checkout_the_commit_is_the_one_that_was_asked_for(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """A build that ended before its checkout has only `revision`, and that is its commit."""
    ci.build(1, None, 6, revision=A)
    reader.refresh()
    assert reader.only_row().sha == A


def test_what_was_checked_out_wins_over_what_was_asked_for(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """`got_revision` is the truth, in whatever case it is written."""
    ci.build(1, sha(0xABC).upper(), 0, revision=B)
    reader.refresh()
    assert reader.only_row().sha == sha(0xABC)


def test_a_forced_build_without_branch_and_revision_counts_once_it_is_checked_out(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """Until then it is of no commit; then it is of the first watched branch."""
    ci.build(1, None, None, revision="", branch=None)
    reader.refresh()
    assert reader.rows() == []
    ci.build(1, A, 0, revision="", branch=None)
    reader.refresh()
    row = reader.only_row()
    assert (row.sha, row.trunk, row.head_branch) == (A, TRUNK, "main")


@pytest.mark.parametrize("named", ["HEAD", "v1.2", A[:12], "12345", "g" * 40])
def test_what_is_no_full_hash_is_no_commit(ci: FakeBuildbot, reader: Reader, named: str) -> None:
    """A person may force a build of anything; nothing is guessed, and nothing breaks."""
    ci.build(1, None, None, revision=named)
    ci.build(2, named, 2, revision=A)
    reader.refresh()
    assert [(r.job_id, r.sha) for r in reader.rows()] == [(2, A)]


# ---------------------------------------------------------------------- codebases


def with_codebases(
    ci: FakeBuildbot, number: int, got: dict[str, str] | None, **branches: str | None
) -> None:
    """Add a build of several codebases, whose properties `branch` and `revision` are unset."""
    requested = [source_stamp(name, branch, A) for name, branch in branches.items()]
    build = ci.build(number, A, 2, stamps=requested)
    build["properties"] = {} if got is None else {"got_revision": [got, "Git"]}


@pytest.mark.parametrize(
    ("got", "codebase"),
    [
        pytest.param({"": A}, "", id="one that has no name"),
        pytest.param({"lib": A}, "", id="the only one"),
        pytest.param({"app": B, "lib": A}, "lib", id="the configured one"),
        pytest.param({"app": B, "": A}, "", id="the one without a name beside another"),
    ],
)
def test_with_codebases_the_configured_one_decides_the_commit(
    ci: FakeBuildbot, server: HttpServer, got: dict[str, str], codebase: str
) -> None:
    """`got_revision` is then an object by codebase."""
    build = ci.build(1, A)
    build["properties"] = {"got_revision": [got, "Git"]}
    reader = Reader(config(server.url, codebase=codebase), Clock())
    reader.refresh()
    assert reader.only_row().sha == A
    assert reader.report.limitations == ()
    assert reader.dropped == {}


@pytest.mark.parametrize(
    ("got", "codebase", "text"),
    [
        pytest.param({"app": A, "lib": B}, "", "app and lib: set", id="none is configured"),
        pytest.param({"app": A, "lib": B}, "docs", "app and lib, not docs: set", id="another"),
        pytest.param({"lib": B}, "docs", "lib, not docs: set", id="another than the only one"),
    ],
)
def test_a_cold_start_without_the_codebase_is_an_error_that_names_them(
    ci: FakeBuildbot, server: HttpServer, got: dict[str, str], codebase: str, text: str
) -> None:
    """Nothing can be read then, and every refresh reports it until the configuration is right."""
    with_codebases(ci, 1, got, **dict.fromkeys(got, "main"))
    reader = Reader(config(server.url, codebase=codebase), Clock())
    for _ in range(2):
        with pytest.raises(SourceError, match=f"the codebases {text} `codebase` to .* o/r"):
            reader.refresh()
    reader.restart(config(server.url, codebase="lib"))
    reader.refresh()
    assert reader.only_row().sha == B


def test_where_other_builds_count_the_codebases_are_a_limitation_for_a_day(
    ci: FakeBuildbot, reader: Reader, clock: Clock
) -> None:
    """It is reported after a restart too, and each build counts once."""
    with_codebases(ci, 1, {"app": A, "lib": B}, app="main", lib="main")
    with_codebases(ci, 2, {"app": A, "doc": B}, app="main", doc="main")
    ci.build(3, A)
    for _ in range(2):
        reader.refresh()
    assert [row.job_id for row in reader.rows()] == [3]
    assert reader.dropped == {"codebase": 2}
    ci.builds = [ci.build(3, A)]
    reader.restart()
    reader.refresh()
    (limitation,) = reader.report.limitations
    assert limitation.name == "codebases"
    assert limitation.text.startswith("builds have the codebases app, doc and lib: set `codebase`")
    clock.now += 25 * HOUR
    reader.refresh()
    assert reader.report.limitations == ()


def test_with_codebases_the_branch_is_that_of_the_configured_one(
    ci: FakeBuildbot, server: HttpServer
) -> None:
    """Buildbot leaves the property unset; the source stamps have the branch of each codebase."""
    with_codebases(ci, 1, {"app": A, "lib": B}, app="topic", lib="main")
    with_codebases(ci, 2, {"app": A, "lib": B}, app="main", lib="topic")
    with_codebases(ci, 3, {"app": A, "lib": B}, app=None, lib="topic")
    reader = Reader(config(server.url, codebase="app"), Clock())
    reader.refresh()
    assert [row.head_branch for row in reader.rows()] == ["topic", "main", "main"]


def test_a_build_that_failed_between_two_checkouts_is_of_the_requested_commit(
    ci: FakeBuildbot, server: HttpServer
) -> None:
    """The only codebase that was checked out is not taken for the repository's."""
    with_codebases(ci, 1, {"app": B}, app="main", lib="main")
    with_codebases(ci, 2, None, app="main", lib="main")
    reader = Reader(config(server.url, codebase="lib"), Clock())
    reader.refresh()
    assert [row.sha for row in reader.rows()] == [A, A]
    unset = Reader(config(server.url), Clock())
    with pytest.raises(SourceError, match="app and lib"):
        unset.refresh()


def test_a_revision_that_is_not_by_codebase_is_of_the_one_without_a_name(
    ci: FakeBuildbot, server: HttpServer
) -> None:
    """A step without a codebase checked out the one that has no name."""
    stamps = [source_stamp("", "main", B), source_stamp("lib", "main", A)]
    ci.build(1, B, stamps=stamps)
    for codebase, commit in (("lib", A), ("", B)):
        reader = Reader(config(server.url, codebase=codebase), Clock())
        reader.refresh()
        assert reader.only_row().sha == commit


# ---------------------------------------------------------------------- patches


def test_a_try_build_of_a_patch_is_no_result_of_its_commit(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """It is counted once, whether it runs or has ended; the trunk's own builds count."""
    for number, results in ((1, 2), (2, 0), (3, None)):
        ci.build(number, A, results, stamps=[source_stamp(revision=A, patched=True)])
    ci.build(4, A)
    for _ in range(2):
        reader.refresh()
    assert [row.job_id for row in reader.rows()] == [4]
    assert reader.dropped == {"patch": 3}


def test_a_patch_of_any_codebase_makes_a_try_build(ci: FakeBuildbot, server: HttpServer) -> None:
    """A patch of another codebase than the repository's changes the result too."""
    stamps = [source_stamp("app", revision=A), source_stamp("lib", revision=B, patched=True)]
    ci.build(1, A, stamps=stamps)
    reader = Reader(config(server.url, codebase="app"), Clock())
    reader.refresh()
    assert (reader.rows(), reader.dropped) == ([], {"patch": 1})


@pytest.mark.parametrize("refused", ["buildrequests", "buildsets"])
@pytest.mark.parametrize("status", [403, 404])
def test_where_the_source_stamps_are_refused_it_is_a_limitation(
    ci: FakeBuildbot, server: HttpServer, reader: Reader, refused: str, status: int
) -> None:
    """An administrator may allow some addresses only; the builds are read all the same."""
    ci.build(1, A)

    def refuses(request: Request) -> Answer:
        if request.path.endswith(refused):
            return as_json({"error": "forbidden"}, status)
        return ci(request)

    server.handler = refuses
    reader.refresh()
    assert reader.only_row().sha == A
    (limitation,) = reader.report.limitations
    assert limitation.name == "sourcestamps"
    assert f"/api/v2/{refused}: HTTP {status}" in limitation.text
    assert "try builds of a patch count" in limitation.text


def test_refused_source_stamps_do_not_fail_a_cold_start_without_results(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """The configuration could not change that nothing has ended yet."""
    ci.build(1, None, None, revision="")
    server.handler = lambda r: Answer(403, b"") if r.path.endswith("buildsets") else ci(r)
    reader.refresh()
    assert reader.rows() == []
    assert [limitation.name for limitation in reader.report.limitations] == ["sourcestamps"]


def test_source_stamps_that_fail_by_accident_fail_the_refresh(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """A server error is no refusal: without the stamps a try build would count."""
    ci.build(1, A, stamps=[source_stamp(patched=True)])
    server.handler = lambda r: Answer(503, b"") if r.path.endswith("buildsets") else ci(r)
    with pytest.raises(BadAnswerError, match="buildsets: HTTP 503"):
        reader.refresh()
    server.handler = ci
    reader.refresh()
    assert (reader.rows(), reader.dropped) == ([], {"patch": 1})


@pytest.mark.parametrize("stamps", [[None], [], [{"patch": None, "codebase": None}]])
def test_odd_source_stamps_are_of_no_patch(
    ci: FakeBuildbot, reader: Reader, stamps: list[dict[str, object]]
) -> None:
    """The properties of the build are used then."""
    ci.build(1, A, stamps=stamps)
    reader.refresh()
    assert reader.only_row().sha == A


# ---------------------------------------------------------------------- abbreviated revisions


@pytest.mark.parametrize(
    ("got", "requested", "commit"),
    [
        pytest.param(SHORT[:8], SHORT, SHORT, id="it begins the requested one"),
        pytest.param(SHORT[:8], B, None, id="it does not begin the requested one"),
        pytest.param(SHORT[:8].upper(), "", None, id="nothing was requested"),
        pytest.param(None, SHORT[:7], None, id="the requested one is abbreviated"),
    ],
)
def test_an_abbreviated_revision_is_not_guessed(
    ci: FakeBuildbot, reader: Reader, got: str | None, requested: str, commit: str | None
) -> None:
    """Without a clone, the limitation names it, its build, and a remedy."""
    ci.build(1, got, 2, revision=requested)
    ci.build(2, A)
    reader.refresh()
    rows = [row.sha for row in reader.rows() if row.job_id == 1]
    assert rows == ([] if commit is None else [commit])
    texts = [limitation.text for limitation in reader.report.limitations]
    if commit is None:
        (text,) = texts
        short = (got or requested).lower()
        assert f"/#/builders/1/builds/1 has the abbreviated revision {short}" in text
        assert "set `git` to a local clone" in text
        assert reader.dropped == {"revision": 1}
    else:
        assert (texts, reader.dropped) == ([], {})


def test_a_cold_start_with_abbreviated_revisions_alone_is_an_error(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """Nothing can be read then."""
    ci.build(1, SHORT[:8], revision="")
    with pytest.raises(SourceError, match=f"abbreviated revision {SHORT[:8]}"):
        reader.refresh()


def test_an_abbreviated_revision_is_found_in_the_clone(
    ci: FakeBuildbot, server: HttpServer, tmp_path: Path
) -> None:
    """The full hash counts; a prefix of no commit is a limitation only on a watched branch."""
    repo = GitRepo(tmp_path)
    commit = repo.commit()
    repo.push()
    ci.build(1, commit[:8], 2, revision="")
    ci.build(2, "0123456", revision="", branch="topic")
    reader = Reader(config(server.url, git=str(repo.bare)), Clock())
    reader.refresh()
    assert reader.only_row().sha == commit
    assert (reader.dropped, reader.report.limitations) == ({"revision": 1}, ())
    ci.build(3, "0123456", revision="")
    reader.refresh()
    (limitation,) = reader.report.limitations
    assert f"{repo.bare} has not exactly one such commit" in limitation.text


@pytest.mark.parametrize("named", [None, "", "HEAD", "v1.2", "12345"])
def test_a_build_without_a_commit_counts_as_dropped_once_it_has_ended(
    ci: FakeBuildbot, reader: Reader, named: str | None
) -> None:
    """It may still check one out while it runs; a name or a number is no limitation."""
    ci.build(1, None, None, revision=named)
    reader.refresh()
    assert reader.dropped == {}
    ci.build(1, None, 4, revision=named)
    reader.refresh()
    assert (reader.rows(), reader.dropped) == ([], {"revision": 1})
    assert reader.report.limitations == ()


# ---------------------------------------------------------------------- which branch


def test_each_watched_branch_has_its_own_builds(ci: FakeBuildbot, server: HttpServer) -> None:
    """The property `branch` decides the trunk of a build."""
    ci.build(1, A, branch="main")
    ci.build(2, B, branch="release/1")
    reader = Reader(config(server.url, branches=["main", "release/1"]), Clock())
    reader.refresh()
    assert [(r.trunk.branch, r.head_branch) for r in reader.rows()] == [
        ("main", "main"),
        ("release/1", "release/1"),
    ]


def test_a_build_of_another_branch_is_kept_and_does_not_count(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Even at a commit of the trunk, and its steps are not asked for."""
    ci.build(1, A, 2, branch="topic")
    reader.refresh()
    row = reader.only_row()
    order = TrunkOrder(TRUNK, (Commit(A),))
    assert why_ignored(row, order, EvidenceRules()) == "head_branch"
    assert server.paths().count("/api/v2/builds/1/steps") == 0


# ---------------------------------------------------------------------- which builders


def test_only_the_configured_builders_are_jobs(ci: FakeBuildbot, server: HttpServer) -> None:
    """`builders:` holds patterns that match in full."""
    ci.builders = {1: "unit", 2: "unit-slow", 3: "try-unit"}
    for builder in ci.builders:
        ci.build(builder, A, builder=builder)
    reader = Reader(config(server.url, builders=["unit(-.*)?"]), Clock())
    reader.refresh()
    assert [row.job.job_name for row in reader.rows()] == ["unit", "unit-slow"]


def test_a_builder_that_is_new_is_looked_up(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """The list of builders is read again when a build has one that it does not hold."""
    ci.build(1, A)
    reader.refresh()
    ci.builders[3] = "docs"
    ci.build(2, A, builder=3, at=NOW + 1)
    reader.refresh()
    reader.refresh()
    assert [row.job.job_name for row in reader.rows()] == ["unit", "docs"]
    assert server.paths().count("/api/v2/builders") == 2


@pytest.mark.parametrize("name", [None, 5, ""])
def test_a_build_whose_builder_has_no_name_is_left_out(
    ci: FakeBuildbot, server: HttpServer, reader: Reader, name: object
) -> None:
    """It is counted, the others are read, and the builders are not asked for again."""
    ci.builders[98] = name
    ci.build(1, A, builder=99)
    ci.build(2, A, builder=98)
    ci.build(3, A, builder=1)
    for _ in range(3):
        reader.refresh()
    assert [row.job_id for row in reader.rows()] == [3]
    assert reader.dropped == {"builder": 2}
    assert server.paths().count("/api/v2/builders") == 1


def test_a_builder_whose_name_cannot_be_stored_is_a_job(ci: FakeBuildbot, reader: Reader) -> None:
    """Half a surrogate pair, which JSON can escape, does not stop the source."""
    ci.builders[1] = "unit \ud83d"
    ci.build(1, A)
    reader.refresh()
    assert reader.only_row().job.job_name == "unit ?"


# ---------------------------------------------------------------------- reading all, and only once


@pytest.mark.parametrize("count", [PAGE - 1, PAGE, PAGE + 1])
def test_all_pages_are_read(
    ci: FakeBuildbot, server: HttpServer, reader: Reader, count: int
) -> None:
    """A page that is full is followed by another one, exactly full or not."""
    for number in range(count):
        ci.build(number + 1, sha(number), at=NOW + number // 7)
    reader.refresh()
    assert len(reader.rows()) == count
    pages = [r for r in server.requests if r.one("complete") == "true"]
    assert len(pages) == (1 if count < PAGE else 2)


def test_pages_are_cut_by_an_order_that_leaves_nothing_open(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Builds that completed in one second have an order too, so that no page loses one."""
    ci.build(1, A)
    reader.refresh()
    (page,) = [r for r in server.requests if r.one("complete") == "true"]
    assert page.all("order") == ["complete_at", "buildid"]


def test_a_build_that_is_listed_twice_is_one(ci: FakeBuildbot, reader: Reader) -> None:
    """Each refresh looks back a little; what it sees again changes nothing."""
    ci.build(1, A, 2, at=NOW)
    ci.steps[1] = [("test", 2)]
    reader.refresh()
    before = reader.state()
    reader.refresh()
    reader.restart()
    reader.refresh()
    assert reader.state() == before


def test_a_slow_build_is_not_lost_behind_faster_ones(ci: FakeBuildbot, reader: Reader) -> None:
    """A low id that completes last is read, however many higher ids have completed before."""
    ci.build(1, A, None)
    for number in range(2, 40):
        ci.build(number, B, at=NOW + 100 * number)
    reader.refresh()
    ci.build(1, A, 2, at=NOW + 4000)
    reader.refresh()
    (slow,) = [row for row in reader.rows() if row.job_id == 1]
    assert (slow.status, slow.conclusion) == ("completed", "failure")


@pytest.mark.parametrize(("late", "seen"), [(600, True), (601, False)])
def test_a_completion_that_is_written_late_is_found_for_ten_minutes(
    ci: FakeBuildbot, reader: Reader, late: int, seen: bool
) -> None:
    """A build that completed up to ten minutes before the newest one is still read."""
    ci.build(1, A, at=NOW)
    reader.refresh()
    ci.build(2, B, at=NOW - late)
    reader.refresh()
    assert (2 in [row.job_id for row in reader.rows()]) is seen


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(0, id="the epoch"),
        pytest.param(NOW + 10 * 365 * 86_400, id="in ten years"),
        pytest.param(2**60, id="no time at all"),
    ],
)
def test_an_end_that_cannot_be_true_hides_no_later_build(
    ci: FakeBuildbot, reader: Reader, end: int
) -> None:
    """Neither before the first other build nor after it; the build itself is read."""
    ci.build(1, A, 2, at=end)
    ci.build(2, A, at=NOW)
    reader.refresh()
    ci.build(3, A, at=NOW + 1)
    reader.refresh()
    ci.build(4, B, at=NOW + 2)
    reader.refresh()
    assert {row.job_id for row in reader.rows()} >= {2, 3, 4}


def test_a_clock_that_was_ahead_hides_no_later_build(
    ci: FakeBuildbot, reader: Reader, clock: Clock
) -> None:
    """After a master's clock is set back, the builds since then are read."""
    now = clock()
    ci.build(1, A, at=int(now + 43_200))
    reader.refresh()
    ci.build(2, A, at=int(now))
    reader.refresh()
    assert [row.job_id for row in reader.rows()] == [1, 2]


def test_a_running_build_is_pending_until_it_has_ended(ci: FakeBuildbot, reader: Reader) -> None:
    """The completed row replaces the running one."""
    ci.build(1, A, None)
    reader.refresh()
    assert (reader.only_row().status, reader.only_row().conclusion) == ("in_progress", None)
    ci.build(1, A, 2)
    reader.refresh()
    assert (reader.only_row().status, reader.only_row().conclusion) == ("completed", "failure")


def test_a_build_that_ends_while_we_ask_is_not_missed(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Running builds are asked for first: what ends in between is seen twice, not never."""
    ci.build(1, A, None)

    def ends_in_between(request: Request) -> Answer:
        answer = ci(request)
        if request.one("complete") is not None:
            ci.build(1, A, 2)
        return answer

    server.handler = ends_in_between
    reader.refresh()
    assert reader.only_row().conclusion == "failure"


def test_builds_that_never_end_hide_nothing_and_cost_nothing(
    ci: FakeBuildbot, server: HttpServer, reader: Reader, clock: Clock
) -> None:
    """They are pending, then unknown and not listed any more; all others are read."""
    clock.now = NOW
    for number in range(1, 301):
        ci.build(number, A, None, at=NOW)
    reader.refresh()
    row = reader.rows()[0]
    assert evidence_of(row, EvidenceRules(), None, NOW + 35 * HOUR) is Evidence.PENDING
    assert evidence_of(row, EvidenceRules(), None, NOW + 37 * HOUR) is Evidence.UNKNOWN
    clock.now += 37 * HOUR
    ci.build(999, B, 0, at=int(clock.now))
    reader.refresh()
    server.requests.clear()
    reader.refresh()
    assert server.paths() == ["/api/v2/builds"] * 2
    assert sum(len(ci.selected(request)) for request in server.requests) == 1
    assert len(reader.rows()) == 301


def test_a_build_that_took_days_is_read_when_it_ends(
    ci: FakeBuildbot, reader: Reader, clock: Clock
) -> None:
    """It is unknown in between, and counts at its end."""
    clock.now = NOW
    ci.build(1, A, None, at=NOW)
    ci.build(2, A)
    reader.refresh()
    clock.now += 60 * HOUR
    reader.refresh()
    ci.build(1, A, 2, at=int(clock.now), took=60 * HOUR)
    reader.refresh()
    assert [(r.job_id, r.status) for r in reader.rows()] == [(1, "completed"), (2, "completed")]


def test_a_running_build_that_vanished_is_no_longer_pending(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """A master whose database was restored no longer has it, which one request finds out."""
    ci.build(1, A, None)
    ci.build(2, B)
    reader.refresh()
    reader.restart()
    ci.builds = [build for build in ci.builds if build["buildid"] != 1]
    reader.refresh()
    row = reader.rows()[0]
    assert (row.job_id, row.status, row.conclusion) == (1, "completed", "stale")
    assert evidence_of(row, EvidenceRules(), None, NOW) is Evidence.UNKNOWN
    assert unknown_word(row) is None
    server.requests.clear()
    reader.refresh()
    assert server.paths() == ["/api/v2/builds"] * 2


def test_a_running_build_whose_end_was_written_far_too_late_is_asked_for(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """A master that was down for hours may write an end before all that was read since."""
    ci.build(1, A, None, at=NOW)
    ci.build(2, B, at=NOW + 9 * HOUR)
    reader.refresh()
    ci.build(1, A, 5, at=NOW + HOUR)
    reader.refresh()
    assert [(r.job_id, r.conclusion) for r in reader.rows()] == [(1, "retry"), (2, "success")]


def test_a_build_that_checks_out_another_commit_leaves_nothing_pending(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """With `alwaysUseLatest` the result is of the newest commit, not of the requested one."""
    ci.build(1, None, None, revision=A)
    reader.refresh()
    ci.build(1, B, 0, revision=A)
    reader.refresh()
    assert [(r.sha, r.conclusion) for r in reader.rows()] == [(A, "stale"), (B, "success")]


def test_a_build_that_a_killed_master_left_running_is_an_attempt(
    ci: FakeBuildbot, reader: Reader
) -> None:
    """The repetition is attempt 2 of the same run although the first build never ended."""
    ci.build(1, A, None, request=9)
    reader.refresh()
    ci.build(2, A, 0, request=9, at=NOW + 20)
    reader.refresh()
    assert [(r.job_id, r.attempt) for r in reader.rows()] == [(1, 1), (2, 2)]


def test_new_builds_cost_two_requests_more_and_a_failed_one_another(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Their source stamps are asked for once, together; the steps of a failed one as well."""
    ci.build(1, A, 0)
    reader.refresh()
    server.requests.clear()
    ci.build(2, A, 0, at=NOW + 1)
    ci.build(3, B, 2, at=NOW + 2)
    reader.refresh()
    reader.refresh()
    assert server.paths().count("/api/v2/builds/3/steps") == 1
    assert server.paths().count("/api/v2/buildrequests") == 1
    assert server.paths().count("/api/v2/buildsets") == 1
    assert len(server.requests) == (2 + 2 + 1) + 2


def test_a_build_of_a_branch_that_is_not_watched_costs_nothing(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Whether it is of a patch does not matter."""
    ci.build(1, A)
    reader.refresh()
    server.requests.clear()
    ci.build(2, A, 2, branch="topic", at=NOW + 1)
    reader.refresh()
    assert server.paths() == ["/api/v2/builds"] * 2


def test_the_source_stamps_of_a_cold_start_are_read_by_the_page(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Two lists per 200 builds, so that no address is too long."""
    for number in range(PAGE + 1):
        patched = [source_stamp(patched=True)] if number in (0, PAGE) else None
        ci.build(number + 1, sha(number), at=NOW + number, stamps=patched)
    reader.refresh()
    assert server.paths().count("/api/v2/buildrequests") == 2
    assert server.paths().count("/api/v2/buildsets") == 2
    assert (len(reader.rows()), reader.dropped) == (PAGE - 1, {"patch": 2})


def test_the_server_is_asked_before_the_refresh_returns(
    ci: FakeBuildbot, server: HttpServer
) -> None:
    """Whoever takes the facts holds a lock, and must not wait for a network meanwhile."""
    ci.build(1, A, 2)
    source = build_source(config(server.url), SourceContext())
    facts = source.refresh(EMPTY_STATE).facts
    asked = len(server.requests)
    assert len([fact for fact in facts if isinstance(fact, Observation)]) == 1
    assert len(server.requests) == asked


def test_we_ask_for_json_and_say_who_asks(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Without the header Buildbot answers in plain text; the name helps its operator."""
    ci.build(1, A)
    reader.refresh()
    for request in server.requests:
        assert request.headers["Accept"] == "application/json"
        assert request.headers["User-Agent"] == "trunkwatch"


@pytest.mark.parametrize(
    ("written", "sent"),
    [("user:pass@", "user:pass"), ("user:p%40ss%2F@", "user:p@ss/"), ("", None)],
)
def test_a_password_in_the_address_opens_the_server(
    ci: FakeBuildbot, server: HttpServer, written: str, sent: str | None
) -> None:
    """It is sent as HTTP basic authentication, and is in no address that we give to others."""
    ci.build(1, A)
    reader = Reader(config(f"http://{written}{server.address}"), Clock())
    reader.refresh()
    expected = None if sent is None else "Basic " + b64encode(sent.encode()).decode()
    assert {request.headers.get("Authorization") for request in server.requests} == {expected}
    assert reader.only_row().url == f"{server.url}/#/builders/1/builds/1"


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_without_rights_is_an_error_that_ends(
    ci: FakeBuildbot, server: HttpServer, reader: Reader, status: int
) -> None:
    """The error names who decides; the results stay, and are read on once the login may read."""
    ci.build(1, A, 2)
    reader.refresh()
    ci.build(2, B, 2, at=NOW + 1)
    server.handler = lambda _request: as_json({"error": "you need to be admin"}, status)
    with pytest.raises(CredentialsError, match=rf"/builds: HTTP {status} .*www\.authz"):
        reader.refresh()
    assert len(reader.rows()) == 1
    server.handler = ci
    reader.refresh()
    assert len(reader.rows()) == 2


def test_an_address_with_a_slash_at_its_end_is_the_same(
    ci: FakeBuildbot, server: HttpServer
) -> None:
    """People paste addresses as their browser shows them."""
    ci.build(1, A)
    reader = Reader(config(f"{server.url}/"), Clock())
    reader.refresh()
    assert all(path.startswith("/api/v2/b") for path in server.paths())
    assert reader.only_row().url == f"{server.url}/#/builders/1/builds/1"


# ---------------------------------------------------------------------- servers that misbehave

JSON = "application/json"


def _truncated(_request: Request) -> Answer:
    return Answer(200, b'{"builds": [', JSON, length=500)


def _hangs_up(_request: Request) -> Answer:
    raise HangUp


def _builds(**wrong: object) -> Callable[[Request], Answer]:
    """Return a server whose one build has something wrong."""
    ci = FakeBuildbot()
    ci.build(1, A).update(wrong)
    return ci


def _always(answer: Answer) -> Callable[[Request], Answer]:
    return lambda _request: answer


BROKEN: dict[str, tuple[Callable[[Request], Answer], type[SourceError], str]] = {
    "HTML": (
        _always(Answer(200, b"<!DOCTYPE html>\n<title>Log in</title>", "text/html")),
        BadAnswerError,
        "not JSON",
    ),
    "500": (_always(Answer(500, b"boom", "text/plain")), BadAnswerError, "HTTP 500"),
    "404": (_always(as_json({"error": "Invalid path"}, 404)), BadAnswerError, "HTTP 404"),
    "half a JSON": (_always(Answer(200, b'{"builds": [{"buildid"')), BadAnswerError, "not JSON"),
    "a body cut off": (_truncated, NoAnswerError, ""),
    "closes at once": (_hangs_up, NoAnswerError, ""),
    "not an object": (_always(as_json([])), BadAnswerError, "not a JSON object"),
    "an empty body": (_always(Answer(200, b"")), BadAnswerError, "not JSON"),
    "nested too deeply": (_always(Answer(200, b"[" * 100_000)), BadAnswerError, "not JSON"),
    "no builds": (_always(as_json({"meta": {}})), BadAnswerError, "no list of 'builds'"),
    "builds no list": (_always(as_json({"builds": {}})), BadAnswerError, "no list of 'builds'"),
    "builds of texts": (_always(as_json({"builds": ["x"]})), BadAnswerError, "no build has the"),
    "no row of an id": (_builds(buildid="1"), BadAnswerError, "no build has the numbers buildid"),
}

COLD_ERRORS = ("builds of texts", "no row of an id")
"""Cases that are an error of a cold start only: later, bad rows are left out and counted."""


@pytest.mark.parametrize("case", BROKEN)
def test_a_wrong_answer_is_one_clear_line(server: HttpServer, reader: Reader, case: str) -> None:
    """The error has the right type and names the source, the address and the problem."""
    handler, kind, said = BROKEN[case]
    server.handler = handler
    with pytest.raises(kind) as caught:
        reader.refresh()
    text = str(caught.value)
    assert text.startswith(f"GET {server.url}/api/v2/builds: ")
    assert said in text
    assert len(text.splitlines()) == 1


BAD_ROWS: dict[str, object] = {
    "no object": "x",
    "null": None,
    "id a text": {"buildid": "9"},
    "id null": {"buildid": None},
    "id of more than 64 bits": {"buildid": 2**63},
    "builder a truth": {"builderid": True},
    "request null": {"buildrequestid": None},
}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_row_without_ids_is_counted_and_stops_nothing(
    ci: FakeBuildbot, server: HttpServer, reader: Reader, bad: str
) -> None:
    """The others are read, before and after it."""
    wrong = BAD_ROWS[bad]
    good = [ci.build(1, A), ci.build(3, B)]
    row = {**ci.build(2, A), **wrong} if isinstance(wrong, dict) else wrong

    def answers(request: Request) -> Answer:
        if request.one("complete") == "true":
            return as_json({"builds": [good[0], row, good[1]], "meta": {}})
        return ci(request)

    server.handler = answers
    for _ in range(2):
        reader.refresh()
    assert [row.job_id for row in reader.rows()] == [1, 3]
    assert reader.dropped == {"malformed": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"properties": None}, id="no properties"),
        pytest.param({"properties": []}, id="properties a list"),
        pytest.param({"properties": {"revision": A, "branch": 5}}, id="properties without source"),
        pytest.param({"properties": {"revision": [5, "Build"]}}, id="a revision of digits"),
        pytest.param({"properties": {"got_revision": [{"": 5}, "Git"]}}, id="a number by codebase"),
    ],
)
def test_odd_properties_are_no_commit(
    ci: FakeBuildbot, reader: Reader, wrong: dict[str, object]
) -> None:
    """A build without a commit is counted; the others are read."""
    ci.build(1, A).update(wrong)
    ci.build(2, B)
    reader.refresh()
    assert [row.job_id for row in reader.rows()] == [2]
    assert reader.dropped == {"revision": 1}


def test_odd_values_beside_the_commit_are_left_out(ci: FakeBuildbot, reader: Reader) -> None:
    """A branch or a step's name that is no text, or a number that is none, is unknown."""
    build = ci.build(1, A, 2)
    build["number"] = None
    build["properties"]["branch"] = [{"app": "main"}, "Build"]
    ci.steps[1] = [(["test"], 2)]
    reader.refresh()
    row = reader.only_row()
    assert (row.head_branch, row.failed_step, row.url) == ("main", None, None)
    assert (row.status, row.conclusion) == ("completed", "failure")


@pytest.mark.parametrize("results", [None, "2", [2], True, 2**70])
def test_a_complete_build_without_a_result_has_no_evidence(
    ci: FakeBuildbot, reader: Reader, results: object
) -> None:
    """It is unknown, is shown as `null`, and does not stay pending."""
    ci.build(1, A, 0)["results"] = results
    reader.refresh()
    row = reader.only_row()
    assert evidence_of(row, EvidenceRules(), None, NOW) is Evidence.UNKNOWN
    assert unknown_word(row) == "null"


@pytest.mark.parametrize(
    ("started", "completed", "read"),
    [
        pytest.param(NOW - 10, NOW, (NOW - 10, NOW), id="as it should be"),
        pytest.param(NOW, NOW, (NOW, NOW), id="no time at all"),
        pytest.param(0, NOW, (None, NOW), id="began in 1970"),
        pytest.param(-62135596800, NOW, (None, NOW), id="began in the year 1"),
        pytest.param(NOW, NOW + 49 * HOUR, (NOW, None), id="ended more than a day ahead"),
        pytest.param(NOW, 10**30, (NOW, None), id="ended after the sun"),
        pytest.param("early", True, (None, None), id="no numbers"),
        pytest.param(None, NOW, (None, NOW), id="null"),
        pytest.param(float("nan"), float("inf"), (None, None), id="not finite"),
    ],
)
def test_a_time_that_cannot_be_is_unknown(
    ci: FakeBuildbot,
    server: HttpServer,
    reader: Reader,
    started: object,
    completed: object,
    read: tuple[float | None, float | None],
) -> None:
    """The build counts all the same, and the builds after it are read."""
    times = {"started_at": started, "complete_at": completed}
    odd = {**ci.build(1, A), "complete": None, **times}
    ci.builds.clear()

    def answers(request: Request) -> Answer:
        if request.one("complete") == "true":
            later = json.loads(ci(request).body)["builds"]
            return as_json({"builds": [odd, *later], "meta": {}})
        return ci(request)

    server.handler = answers
    reader.refresh()
    row = reader.only_row()
    assert (row.started_at, row.completed_at) == read
    assert row.conclusion == "success"
    ci.build(2, B, at=NOW)
    reader.refresh()
    assert [row.job_id for row in reader.rows()] == [1, 2]


def test_a_master_whose_clock_was_ahead_loses_no_later_build(
    ci: FakeBuildbot, reader: Reader, clock: Clock
) -> None:
    """A build that ends in the future does not move the time from which builds are read there."""
    clock.now = NOW
    ci.build(1, A, at=NOW + 20 * HOUR)
    reader.refresh()
    ci.build(2, B, at=NOW + 60)
    clock.now += 60
    reader.refresh()
    assert [row.job_id for row in reader.rows()] == [1, 2]


@pytest.mark.parametrize(("status", "later"), [(500, "test"), (403, None), (404, None)])
def test_steps_that_cannot_be_listed_are_unknown(
    ci: FakeBuildbot, server: HttpServer, reader: Reader, status: int, later: str | None
) -> None:
    """The failed build counts without them; they are asked for again unless they are refused."""
    ci.build(1, A, 2)
    ci.steps[1] = [("test", 2)]
    server.handler = lambda r: Answer(status, b"") if r.path.endswith("steps") else ci(r)
    reader.refresh()
    assert (reader.only_row().conclusion, reader.only_row().failed_step) == ("failure", None)
    server.handler = ci
    reader.refresh()
    assert reader.only_row().failed_step == later


@pytest.mark.parametrize("lost", ["release", "main"])
def test_a_branch_that_is_gone_fails_its_own_trunk(
    server: HttpServer, clock: Clock, tmp_path: Path, lost: str
) -> None:
    """The other one is read on, and the report names the missing branch."""
    repo = GitRepo(tmp_path)
    base = repo.commit()
    repo.push()
    git(repo.bare, "branch", "release", base)
    branches = ["main", "release"]
    reader = Reader(config(server.url, branches=branches, git=str(repo.bare)), clock)
    reader.refresh()
    first = clock.now
    git(repo.bare, "update-ref", "-d", f"refs/heads/{lost}")
    clock.now += 60
    reader.refresh()
    reports = reader.report.trunks
    (kept,) = set(branches) - {lost}
    assert (reports[Trunk(REPO, kept)].read_until, reports[Trunk(REPO, kept)].error) == (
        clock.now,
        None,
    )
    assert reports[Trunk(REPO, lost)].read_until == first
    assert f"has no branch '{lost}'" in str(reports[Trunk(REPO, lost)].error)
    git(repo.bare, "update-ref", "-d", f"refs/heads/{kept}")
    with pytest.raises(GitError, match="has no branch"):
        reader.refresh()


def test_a_server_that_hangs_is_given_up(server: HttpServer) -> None:
    """After `timeout` the refresh fails; it does not hang with the server."""
    release = threading.Event()

    def hang(_request: Request) -> Answer:
        release.wait(30)
        raise HangUp

    server.handler = hang
    reader = Reader(config(server.url, timeout="200ms"), Clock())
    try:
        with pytest.raises(NoAnswerError) as caught:
            reader.refresh()
    finally:
        release.set()
    assert str(caught.value) == f"GET {server.url}/api/v2/builds: timed out"
    assert reader.codes == ["error"]


def test_nobody_listening_is_one_clear_line() -> None:
    """A refused connection is an error with the address."""
    with serving(FakeBuildbot()) as gone:
        url = gone.url
    with pytest.raises(NoAnswerError, match="Connection refused") as caught:
        Reader(config(url)).refresh()
    assert url in str(caught.value)


def test_a_page_that_fails_spoils_the_whole_refresh(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """A list is taken only when it is complete; the next refresh reads all of it."""
    for number in range(PAGE + 1):
        ci.build(number + 1, sha(number), at=NOW + number)

    def second_page_fails(request: Request) -> Answer:
        return Answer(503, b"", "text/plain") if request.one("offset") == str(PAGE) else ci(request)

    server.handler = second_page_fails
    with pytest.raises(BadAnswerError, match="HTTP 503"):
        reader.refresh()
    assert reader.rows() == []
    server.handler = ci
    reader.refresh()
    assert len(reader.rows()) == PAGE + 1


def _without_as_of(text: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(text)
    return {key: document[key] for key in ("groups", "jobs")}


@pytest.mark.parametrize("case", [case for case in BROKEN if case not in COLD_ERRORS])
def test_check_exits_2_and_keeps_what_was_known(
    ci: FakeBuildbot, server: HttpServer, tmp_path: Path, case: str
) -> None:
    """A broken server is one line on standard error and exit code 2; the last values stay."""
    commits = [sha(number) for number in range(1, 4)]
    for place, commit in enumerate(commits):
        ci.build(place + 1, commit, 0 if place == 0 else 2, at=NOW + place)
    arguments = _check_arguments(tmp_path, server.url, commits)
    good = CliRunner().invoke(main, arguments)
    assert good.exit_code == 0, good.output
    assert '"consecutive_failures": 2' in good.stdout
    server.handler = BROKEN[case][0]
    bad = CliRunner().invoke(main, arguments)
    assert bad.exit_code == 2
    assert _without_as_of(bad.stdout) == _without_as_of(good.stdout)
    (line,) = bad.stderr.splitlines()
    assert "source=ci" in line
    assert "GET " in line


def _check_arguments(folder: Path, url: str, commits: list[str]) -> list[str]:
    """Write a configuration of one Buildbot and one file with the order; return how to check it."""
    fields = {"kind": "commit", "repo": REPO, "branch": "main"}
    lines = [json.dumps({**fields, "sha": commit}) + "\n" for commit in commits]
    (folder / "order.ndjson").write_text("".join(lines))
    (folder / "trunkwatch.yml").write_text(
        "sources:\n"
        f"  - {{name: ci, type: buildbot, url: '{url}', repo: {REPO}, branches: [main]}}\n"
        "  - {name: order, type: recorded, path: order.ndjson}\n"
    )
    flags = ["--config.file", str(folder / "trunkwatch.yml")]
    return ["check", *flags, "--storage.path", str(folder / "check.db"), "--format", "json"]
