"""The Buildbot source against a server that answers as Buildbot 4.3 does, and against others."""

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from trunkwatch.cli.main import main
from trunkwatch.config import BuildbotSource
from trunkwatch.domain.evidence import EvidenceRules, evidence_of, unknown_word, why_ignored
from trunkwatch.domain.model import Commit, Evidence, Observation, TrunkOrder
from trunkwatch.engine.facts import EMPTY_STATE
from trunkwatch.errors import BadAnswerError, NoAnswerError, SourceError
from trunkwatch.sources import SourceContext, build_source
from trunkwatch.sources.buildbot import LOOK_BACK_SECONDS, PAGE

from tests.sources.reading import REPO, TRUNK, Reader, sha
from tests.support.fakehttp import (
    Answer,
    FakeBuildbot,
    HangUp,
    HttpServer,
    Request,
    as_json,
    serving,
)

NOW = 1_700_000_000
A, B = sha(1), sha(2)


@pytest.fixture
def ci() -> FakeBuildbot:
    return FakeBuildbot()


@pytest.fixture
def server(ci: FakeBuildbot) -> Iterator[HttpServer]:
    with serving(ci) as running:
        yield running


@pytest.fixture
def reader(server: HttpServer) -> Reader:
    return Reader(config(server.url))


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
    reader = Reader(config(server.url, workflow="nightly"))
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


@pytest.mark.parametrize(
    ("got", "codebase", "commit"),
    [
        pytest.param({"": A}, "", A, id="one that has no name"),
        pytest.param({"lib": A}, "", A, id="the only one"),
        pytest.param({"app": A, "lib": B}, "lib", B, id="the configured one"),
        pytest.param({"app": A, "lib": B}, "", None, id="none of several is configured"),
        pytest.param({"app": A, "lib": B}, "docs", None, id="a codebase that is not there"),
        pytest.param({}, "", None, id="an empty object"),
    ],
)
def test_with_codebases_the_configured_one_says_the_commit(
    ci: FakeBuildbot, server: HttpServer, got: dict[str, str], codebase: str, commit: str | None
) -> None:
    """`got_revision` is then an object; a build without the configured codebase is left out."""
    build = ci.build(1, A)
    build["properties"] = {"got_revision": [got, "Git"]}
    reader = Reader(config(server.url, codebase=codebase))
    reader.refresh()
    assert [row.sha for row in reader.rows()] == ([] if commit is None else [commit])


def test_each_watched_branch_has_its_own_builds(ci: FakeBuildbot, server: HttpServer) -> None:
    """The property `branch` decides the trunk of a build."""
    ci.build(1, A, branch="main")
    ci.build(2, B, branch="release/1")
    reader = Reader(config(server.url, branches=["main", "release/1"]))
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
    reader = Reader(config(server.url, builders=["unit(-.*)?"]))
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


def test_a_builder_that_nobody_knows_is_left_out(ci: FakeBuildbot, reader: Reader) -> None:
    """A build of a builder that the master does not list is left out; the others are read."""
    ci.build(1, A, builder=99)
    ci.build(2, A, builder=1)
    reader.refresh()
    assert [row.job_id for row in reader.rows()] == [2]


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


def test_a_clock_that_was_ahead_hides_no_later_build(ci: FakeBuildbot, reader: Reader) -> None:
    """After a master's clock is set back, the builds since then are read."""
    now = time.time()
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


def test_a_zombie_build_hides_nothing(ci: FakeBuildbot, reader: Reader) -> None:
    """A build that is never completed stays pending, then unknown, and all others are read."""
    ci.build(1, A, None, at=NOW)
    for day in range(1, 4):
        ci.build(1 + day, A, 0, request=20 + day, at=NOW + day * 86_400)
        reader.refresh()
    zombie, *others = reader.rows()
    assert [row.job_id for row in others] == [2, 3, 4]
    assert evidence_of(zombie, EvidenceRules(), None, NOW) is Evidence.PENDING
    assert evidence_of(zombie, EvidenceRules(), None, NOW + 2 * 86_400) is Evidence.UNKNOWN


def test_nothing_new_costs_two_requests(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """A refresh requests one list of completed and one of running builds."""
    ci.build(1, A, 2)
    ci.build(2, A, 0, builder=2)
    reader.refresh()
    server.requests.clear()
    reader.codes.clear()
    for _ in range(3):
        reader.refresh()
    assert server.paths() == ["/api/v2/builds"] * 6
    assert reader.codes == ["200"] * 6


def test_a_newly_failed_build_costs_one_request_more(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """Its steps are asked for once; a build that passed costs nothing."""
    ci.build(1, A, 0)
    reader.refresh()
    server.requests.clear()
    ci.build(2, A, 0, at=NOW + 1)
    ci.build(3, B, 2, at=NOW + 2)
    reader.refresh()
    reader.refresh()
    assert server.paths().count("/api/v2/builds/3/steps") == 1
    assert len(server.requests) == 2 + 1 + 2


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
    reader = Reader(config(f"http://{written}{server.address}"))
    reader.refresh()
    expected = None if sent is None else "Basic " + b64encode(sent.encode()).decode()
    assert {request.headers.get("Authorization") for request in server.requests} == {expected}
    assert reader.only_row().url == f"{server.url}/#/builders/1/builds/1"


def test_an_address_with_a_slash_at_its_end_is_the_same(
    ci: FakeBuildbot, server: HttpServer
) -> None:
    """People paste addresses as their browser shows them."""
    ci.build(1, A)
    reader = Reader(config(f"{server.url}/"))
    reader.refresh()
    assert set(server.paths()) == {"/api/v2/builds", "/api/v2/builders"}
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
        "not JSON: '<!DOCTYPE html> <title>Log in</title>'",
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
    "builds of texts": (_always(as_json({"builds": ["x"]})), BadAnswerError, "no list of"),
    "id a text": (_builds(buildid="1"), BadAnswerError, "'buildid' is '1'"),
    "id missing": (_builds(buildid=None), BadAnswerError, "'buildid' is None"),
    "id a truth": (_builds(builderid=True), BadAnswerError, "'builderid' is True"),
    "request missing": (
        _builds(buildrequestid=None),
        BadAnswerError,
        "'buildrequestid' is None",
    ),
    "complete a number": (_builds(complete=1), BadAnswerError, "'complete' is 1"),
    "end a text": (
        _builds(complete_at="today"),
        BadAnswerError,
        "'complete_at' is 'today' in the answer, where Buildbot gives int",
    ),
}


def _answers_all(handler: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """Return all builds for any request, so that invalid ones are not filtered out."""
    if not isinstance(handler, FakeBuildbot):
        return handler
    return _always(as_json({"builds": handler.builds, "meta": {}}))


@pytest.mark.parametrize("case", BROKEN)
def test_a_wrong_answer_is_one_clear_line(server: HttpServer, reader: Reader, case: str) -> None:
    """The error has the right type and names the source, the address and the problem."""
    handler, kind, said = BROKEN[case]
    server.handler = _answers_all(handler)
    with pytest.raises(kind) as caught:
        reader.refresh()
    text = str(caught.value)
    assert text.startswith(f"GET {server.url}/api/v2/builds: ")
    assert said in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"properties": None}, id="no properties"),
        pytest.param({"properties": {"revision": A, "branch": 5}}, id="properties without source"),
        pytest.param({"properties": {"revision": [5, "Build"]}}, id="a revision of digits"),
    ],
)
def test_odd_properties_are_no_commit(
    ci: FakeBuildbot, reader: Reader, wrong: dict[str, object]
) -> None:
    """A build without a commit is left out; the others are read."""
    ci.build(1, A).update(wrong)
    ci.build(2, B)
    reader.refresh()
    assert [row.job_id for row in reader.rows()] == [2]


def test_odd_values_beside_the_commit_are_left_out(ci: FakeBuildbot, reader: Reader) -> None:
    """A branch or a step's name that is no text, or a time that is none, is unknown."""
    build = ci.build(1, A, 2)
    build["started_at"] = "early"
    build["properties"]["branch"] = [{"app": "main"}, "Build"]
    ci.steps[1] = [(["test"], 2)]
    reader.refresh()
    row = reader.only_row()
    assert (row.head_branch, row.failed_step, row.started_at) == ("main", None, None)


def test_a_list_of_builders_that_is_wrong_is_one_clear_line(
    ci: FakeBuildbot, server: HttpServer, reader: Reader
) -> None:
    """The error names the address of that list."""
    ci.build(1, A)
    ci.builders = {1: 5}
    with pytest.raises(BadAnswerError, match="'name' is 5") as caught:
        reader.refresh()
    assert f"{server.url}/api/v2/builders" in str(caught.value)


def test_a_server_that_hangs_is_given_up(server: HttpServer) -> None:
    """After `timeout` the refresh fails; it does not hang with the server."""
    release = threading.Event()

    def hang(_request: Request) -> Answer:
        release.wait(30)
        raise HangUp

    server.handler = hang
    reader = Reader(config(server.url, timeout="200ms"))
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


@pytest.mark.parametrize("case", BROKEN)
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
    server.handler = _answers_all(BROKEN[case][0])
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
