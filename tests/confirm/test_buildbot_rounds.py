"""Rounds of confirm against a stand-in for Buildbot: kills, lost answers, and people."""

from collections.abc import Mapping

import pytest
from trunkwatch.config import ConfirmSection
from trunkwatch.confirm.buildbot import BuildbotRunner
from trunkwatch.confirm.metrics import ConfirmMetrics
from trunkwatch.confirm.model import Asked, State
from trunkwatch.confirm.rounds import Confirmer
from trunkwatch.confirm.runner import Runner
from trunkwatch.confirm.store import ConfirmStore
from trunkwatch.domain.model import Evidence, JobKey, Trunk
from trunkwatch.report.document import job_object
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.attempts import Attempt, JobAtCommit
from trunkwatch.status.trunk_status import TrunkStatus, parse_trunk_status

from tests.confirm.kills import Killed, Killer, SteppedRunner, stepped_store
from tests.confirm.master import FakeMaster
from tests.domain.builders import job_state, trunk
from tests.github.direct import DirectSession
from tests.github.http_server import HttpRequest, HttpResponse, Transfer

HISTORY = "P - F F F"
STATE = job_state(HISTORY)
SHAS = [commit.sha for commit in trunk(5).commits]
EVIDENCE = {None: Evidence.PENDING, 0: Evidence.PASS, 2: Evidence.FAIL, 6: Evidence.UNKNOWN}
LETTERS = {Evidence.PENDING: "R", Evidence.PASS: "P", Evidence.FAIL: "F", Evidence.UNKNOWN: "C"}
SECTION = ConfirmSection(
    mode="act", type="buildbot", api_url="http://ci.example.com/api/v2", builders=("unit",),
    questions=("which",),
)  # fmt: skip


class Exporter:
    """An exporter whose job stays as it was before the question, but for its attempts."""

    def __init__(self, master: FakeMaster) -> None:
        self._master = master

    def trunks(self) -> Mapping[Trunk, int]:
        """Return the only trunk."""
        return {STATE.key.trunk: 1}

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        """Return its job, with one suspect that was cancelled."""
        del repo, branch
        row = job_object(STATE, None, [], trunk(5))
        trunks = [{"data": "fresh", "mass_breakage": False}]
        document = {"sources": [{"up": True}], "trunks": trunks, "groups": [], "jobs": [row]}
        return parse_trunk_status(document)

    def attempts(self, job: JobKey, shas: list[str]) -> Mapping[str, JobAtCommit]:
        """Return the builds of the master."""
        del job
        return {sha: self._at(sha) for sha in shas}

    def _at(self, sha: str) -> JobAtCommit:
        rows = [
            Attempt("unit", None, build["buildrequestid"], build["buildid"], 1,
                    EVIDENCE[build["results"]], 1000.0, None)
            for build in self._master.builds
            if self._master.sha_of(build["buildrequestid"]) == sha
        ]  # fmt: skip
        return JobAtCommit(LETTERS[rows[-1].evidence], tuple(rows))


class World:
    """A master with a cancelled suspect, and confirm, whose clock each round advances.

    Attributes:
        master: rebuilds, and ends each build in the next round.
        now: seconds since the epoch.
        lost: how much of the next answer to a rebuild is sent.
    """

    def __init__(self) -> None:
        self.master, self.now = FakeMaster(rebuilds=True), 100_000.0
        for number, (sha, results) in enumerate(zip(SHAS, (0, 6, 2, 2, 2), strict=True), 1):
            self.master.build(number, sha, results=results)
        self.lost: Transfer | None = None
        self._store = ConfirmStore(":memory:")
        http = HttpContext(
            lambda: DirectSession(self._respond), clock=lambda: self.now, sleep=lambda _: None
        )
        self.runner = BuildbotRunner(SECTION.api, http, builders=SECTION.builders)
        self.restart(self.runner)

    def restart(self, runner: Runner) -> None:
        """Start confirm on its storage."""
        exporter = Exporter(self.master)
        metrics = ConfirmMetrics()
        self._confirmer = Confirmer(
            self._store, exporter, runner, SECTION, metrics, lambda: self.now
        )

    def round(self) -> None:
        """Let whatever is built pass, and do a round five minutes later."""
        self.now += 300
        self.master.finish(0, self.now - 200)
        self._confirmer.round()

    def asked(self) -> list[Asked]:
        """Return the stored questions."""
        return self._store.questions()

    def _respond(self, request: HttpRequest) -> HttpResponse:
        answer = self.master.respond(request)
        if request.method == "POST" and self.lost is not None:
            answer, self.lost = HttpResponse(200, b"{}", transfer=self.lost), None
        return answer


def played(kill_at: int) -> list[str]:
    """Play rounds with a kill; return the steps that were passed."""
    world, killer = World(), Killer(kill_at)
    world.restart(SteppedRunner(world.runner, killer))
    with stepped_store(killer):
        for _ in range(8):
            try:
                world.round()
            except Killed:
                world.restart(SteppedRunner(world.runner, killer))
    assert [path for path, _ in world.master.accepted] == ["builds/102"]
    assert [(each.state, each.answer) for each in world.asked()] == [(State.ANSWERED, "P")]
    return killer.steps


def test_a_kill_at_any_step_changes_nothing() -> None:
    """Killed before or after each write and each request, it ends with one rebuild."""
    steps = played(0)
    assert {"before save", "after save", "before run", "after run"} <= set(steps)
    for kill_at in range(1, len(steps) + 1):
        played(kill_at)


def test_a_lost_answer_is_found_out() -> None:
    """The newer request for the commit shows that the master has received the rebuild."""
    world = World()
    world.lost = Transfer.RESET
    world.round()
    assert [each.state for each in world.asked()] == [State.SENDING]
    for _ in range(3):
        world.round()
    assert len(world.master.accepted) == 1
    assert [(each.state, each.answer) for each in world.asked()] == [(State.ANSWERED, "P")]


def test_a_rebuild_by_hand_is_the_answer() -> None:
    """A build that a person begins before the request is waited for, and none is asked for."""
    world = World()
    world.master.build(6, SHAS[1], results=None)
    world.round()
    assert (world.asked(), world.master.accepted) == ([], [])


@pytest.mark.parametrize("is_merged", [True, False])
def test_a_request_that_ends_without_a_build_ends_the_question(*, is_merged: bool) -> None:
    """Nothing more is asked about the job while the master has a request that waits."""
    world = World()
    world.round()
    assert world.asked()[0].state is State.ASKED
    world.master.builds.pop()
    world.master.requests[-1].update(complete=is_merged, claimed=False)
    world.master.finish = lambda *_: None  # type: ignore[method-assign]
    world.round()
    (asked,) = world.asked()
    expected = State.EXPIRED if is_merged else State.ASKED
    assert (asked.state, bool(asked.reason)) == (expected, is_merged)
