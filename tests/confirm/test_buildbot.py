"""Builds that confirm makes on Buildbot, and those that it does not make."""

from collections.abc import Callable
from functools import partial

import pytest
from trunkwatch.config import parse_config
from trunkwatch.confirm.buildbot import BuildbotRunner
from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import NotRepeatable
from trunkwatch.domain.model import Evidence
from trunkwatch.errors import (
    BadAnswerError,
    ConfigError,
    CredentialsError,
    RateLimitedError,
    RequestError,
)
from trunkwatch.patterns import Pattern
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.attempts import Attempt

from tests.confirm.hostile import HOSTILE, replaced
from tests.confirm.master import FakeMaster, force_scheduler
from tests.github.direct import DirectSession

SHA, OTHER = "a" * 40, "b" * 40
NOW = 100_000.0
TARGET = Target("o/r", "main", SHA, 5, 1, 105, "unit", "bb", None, False, 4.0)
UNBUILT = TARGET._replace(run_id=0, attempt=0, job_id=None)


def runner(
    master: FakeMaster, *, force: str | None = None, login: str = "", never: str = "nothing"
) -> BuildbotRunner:
    """Return the client of a master."""
    http = HttpContext(
        lambda: DirectSession(master.respond), clock=lambda: NOW, sleep=lambda _seconds: None
    )
    url = f"http://{login}ci.example.com/api/v2"
    builders, names = (Pattern("unit|lint"),), (Pattern(never),)
    return BuildbotRunner(url, http, builders=builders, never=names, force_scheduler=force)


@pytest.fixture
def master() -> FakeMaster:
    """Return a master with a cancelled build of a commit, and a later one of another commit."""
    made = FakeMaster()
    made.build(5, SHA)
    made.build(6, OTHER, results=0)
    return made


def attempt(run_id: int | None) -> Attempt:
    """Return an attempt of a run, as the exporter has it."""
    return Attempt("unit", None, run_id, 1, 1, Evidence.PASS, None, None)


def test_a_build_is_rebuilt(master: FakeMaster) -> None:
    """The build of the request is rebuilt, and a newer request for the commit is the answer."""
    ci = runner(master)
    examined = ci.examine(TARGET)
    assert examined == (TARGET._replace(run_id=6), 1)
    assert not ci.was_repeated(examined.target)
    ci.run(examined.target)
    assert master.accepted == [("builds/105", {})]
    master.build(7, OTHER)
    assert not ci.was_repeated(examined.target)
    master.build(8, SHA, results=None)
    assert ci.was_repeated(examined.target)
    answers = [ci.is_repetition(examined.target, attempt(n)) for n in (5, 6, None, 8)]
    assert answers == [False, False, False, True]


def test_a_commit_without_a_build_is_forced(master: FakeMaster) -> None:
    """The force scheduler gets the commit, its branch and the builder."""
    ci = runner(master, force="commit")
    unbuilt = UNBUILT._replace(sha="c" * 40)
    examined = ci.examine(unbuilt)
    assert examined.target == unbuilt._replace(run_id=6)
    ci.run(examined.target)
    assert master.accepted == [
        ("forceschedulers/commit", {
            "revision": "c" * 40, "branch": "main", "reason": "trunkwatch confirm", "builderid": 1,
        })
    ]  # fmt: skip


def test_a_named_codebase_is_forced(master: FakeMaster) -> None:
    """The parameters of a named codebase have its name before them."""
    master.scheduler = force_scheduler("src")
    ci = runner(master, force="commit")
    ci.run(ci.examine(TARGET).target)
    ((_, parameters),) = master.accepted
    assert (parameters["src_revision"], parameters["src_branch"]) == (SHA, "main")


Change = Callable[[FakeMaster], object]


def as_it_is(master: FakeMaster) -> None:
    """Change nothing."""
    del master


@pytest.mark.parametrize(
    ("change", "target", "force", "reason", "is_final"),
    [
        (as_it_is, TARGET._replace(job_name="deploy"), None, "may deploy", True),
        (as_it_is, TARGET._replace(is_skipped=True), None, "skipped by their own", True),
        (as_it_is, TARGET._replace(run_id=4), None, "was deleted", True),
        (lambda m: m.builds.clear(), TARGET, None, "build was deleted", True),
        (as_it_is, TARGET._replace(job_name="lint"), None, "of another builder", True),
        (as_it_is, TARGET._replace(sha=OTHER), None, "commit's hash", True),
        (lambda m: m.build(4, SHA, patch={"level": 1}), TARGET._replace(run_id=4), None,
         "has a patch", True),
        (lambda m: m.requests.clear(), UNBUILT, "commit", "no build requests", True),
        (as_it_is, UNBUILT._replace(job_name="lint"), "commit", "no such builder", True),
        (lambda m: m.triggered.update({105: [{"builderid": 2}]}), TARGET, None,
         "triggers deploy", True),
        (lambda m: m.triggered.update({106: [{"builderid": 2}]}), TARGET, None,
         "triggers deploy", True),
        (lambda m: m.build(9, SHA, results=None), TARGET, None, "has not ended", False),
        (lambda m: m.build(9, SHA, results=None, has_build=False), UNBUILT, "commit",
         "has not ended", False),
        (lambda m: m.build(9, SHA, results=0, ended=int(NOW) - 599), TARGET, None, "just now",
         False),
        (lambda m: m.build(9, OTHER, results=None, claimed=False), TARGET, None,
         "could be merged", False),
        (lambda m: [m.build(n, OTHER, results=None) for n in range(10, 210)], TARGET, None,
         "200 requests", False),
        (as_it_is, TARGET, "other", "no scheduler other", False),
        (lambda m: m.scheduler.update(enabled=False), TARGET, "commit", "no scheduler", False),
        (lambda m: m.scheduler.update(builder_names=["lint"]), TARGET, "commit",
         "does not build it", True),
        (lambda m: m.scheduler.update(force_scheduler("src", "tools")), TARGET, "commit",
         "one codebase", True),
        (lambda m: m.scheduler.update(all_fields=[{"fullName": "revision", "type": "fixed"}]),
         TARGET, "commit", "one codebase", True),
    ],
)  # fmt: skip
def test_it_is_not_asked(
    master: FakeMaster, change: Change, target: Target, force: str | None, reason: str,
    *, is_final: bool,
) -> None:  # fmt: skip
    """A question that must not be asked has a reason, and waits only where that may end."""
    change(master)
    with pytest.raises(NotRepeatable, match=reason) as raised:
        runner(master, force=force).examine(target)
    assert raised.value.is_final is is_final
    assert master.accepted == []


@pytest.mark.parametrize(
    ("change", "force"),
    [
        # The exporter has read a build that ended ten minutes ago.
        (lambda m: m.build(9, SHA, results=0, ended=int(NOW) - 601), None),
        # It never reads a request that was cancelled, or merged, before it had a build.
        (lambda m: m.build(9, SHA, ended=int(NOW) - 1, has_build=False), None),
        # A forced build is not merged with those of pushes.
        (lambda m: m.build(9, OTHER, results=None, claimed=False), "commit"),
        (lambda m: m.build(9, OTHER, results=None), None),
    ],
)
def test_it_is_asked(master: FakeMaster, change: Change, force: str | None) -> None:
    """Other builds do not hold a question up."""
    change(master)
    assert runner(master, force=force).examine(TARGET).target.run_id == 9


def test_triggered_builds_are_counted(master: FakeMaster) -> None:
    """A build that triggers two others costs three, and `never` holds for their builders."""
    master.triggered[106] = [{"builderid": 1}, {"builderid": 1}]
    assert runner(master).examine(TARGET).jobs == 3
    assert master.log.count("GET /api/v2/builders") == 2
    with pytest.raises(NotRepeatable, match=r"triggers unit \(confirm\.never\)"):
        runner(master, never="bb / unit").examine(TARGET)


def test_a_request_without_a_build_is_left_out(master: FakeMaster) -> None:
    """A question has ended when every newer request for the commit ended without one."""
    ci = runner(master)
    target = ci.examine(TARGET).target
    assert not ci.was_left_out(target)
    master.build(8, SHA, results=None, has_build=False)
    assert not ci.was_left_out(target)
    master.requests[-1].update(complete=True)
    assert ci.was_left_out(target)
    master.build(9, SHA, results=0)
    assert not ci.was_left_out(target)


@pytest.mark.parametrize(("status", "is_final"), [(400, True), (403, False), (404, False)])
def test_a_refusal(master: FakeMaster, status: int, *, is_final: bool) -> None:
    """A right may be given later, and a build that is gone is refused when it is examined."""
    master.refusal = status
    with pytest.raises(NotRepeatable) as raised:
        runner(master).run(TARGET)
    assert raised.value.is_final is is_final


@pytest.mark.parametrize(("status", "error"), [(429, RateLimitedError), (500, RequestError)])
def test_an_error_is_no_refusal(master: FakeMaster, status: int, error: type[RequestError]) -> None:
    """It is raised, and the request, which may have taken effect, is sent once."""
    master.refusal = status
    with pytest.raises(error):
        runner(master).run(TARGET)
    assert master.log == ["POST /api/v2/builds/105"]


@pytest.mark.parametrize("status", [200, 302, 403, 404, 501])
def test_a_login_that_is_not_buildbots_own_is_no_error(master: FakeMaster, status: int) -> None:
    """A session is begun if there is a password; a proxy may check it instead."""
    master.login = status
    runner(master, login="u:p@").check()
    assert master.log == ["GET /api/v2/builders", "GET /auth/login"]
    runner(master).check()
    assert master.log[2:] == ["GET /api/v2/builders"]


def test_a_wrong_password_is_reported(master: FakeMaster) -> None:
    """The error names the key, and not the password."""
    master.login = 401
    with pytest.raises(CredentialsError, match=r"confirm\.api_url") as raised:
        runner(master, login="u:secret@").check()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("force", [None, "commit"])
def test_any_answer_is_read(master: FakeMaster, force: str | None) -> None:
    """Whatever a value of an answer is, there is a target, a reason or an error of a request."""
    master.triggered[105] = [{"builderid": 1}]
    keys = {"buildid", "builderid", "buildrequestid", "buildsetid", "bsid", "sourcestamps", "name",
            "revision", "patch", "complete", "enabled", "builder_names", "all_fields", "fullName",
            "fields", "builders", "builds", "buildrequests", "buildsets"}  # fmt: skip
    ends = set()
    for key in sorted(keys):
        for value in (*HOSTILE, [{"fields": 7}]):
            master.change = partial(replaced, key=key, value=value)
            ci = runner(master, force=force)
            for ask in (ci.examine, ci.was_repeated, ci.was_left_out):
                try:
                    ask(TARGET)
                except (NotRepeatable, RequestError) as error:
                    ends.add(type(error))
    assert ends == {NotRepeatable, BadAnswerError}


SECTION = "type: buildbot, api_url: 'http://ci.example.com/api/v2', builders: [unit]"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("type: buildbot, builders: [unit]", "needs api_url"),
        (
            "type: buildbot, builders: [a], api_url: 'http://u:secret@ci'",
            "needs api_url: .* with /api/v2",
        ),
        ("type: buildbot, api_url: 'http://ci/api/v2'", "needs builders"),
        (f"{SECTION}, events: [push]", "events is a key of type: github"),
        ("builders: [unit]", "builders is a key of type: buildbot"),
        ("force_scheduler: commit", "force_scheduler is a key of type: buildbot"),
        (f"{SECTION}, force_scheduler: 'a/b'", "force_scheduler"),
    ],
)
def test_an_invalid_section(section: str, problem: str) -> None:
    """Each type has its keys, and the error names the key and no password."""
    with pytest.raises(ConfigError, match=problem) as raised:
        parse_config(f"{SOURCES}\nconfirm: {{{section}}}", "t.yml")
    assert "secret" not in str(raised.value)


SOURCES = "sources: [{name: a, type: recorded, path: a}]"
