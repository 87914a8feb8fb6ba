"""Floods of alerts: they cost no request each, and hold up no real group."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from trunkwatch.config.schema import MAX_LABEL_BYTES
from trunkwatch.errors import ReadingError, UnknownTrunkError
from trunkwatch.status.trunk_status import TrunkStatus
from trunkwatch.tickets.alerts import AlertList, parse_alerts, webhook_payload
from trunkwatch.tickets.firing_room import MAX_UNKNOWN, MAX_UNKNOWN_OF_TRUNK
from trunkwatch.tickets.model import TicketKey
from trunkwatch.tickets.reconcile.reconciler import NEWS_SECONDS, UNLISTED_SECONDS
from trunkwatch.tickets.reconcile.trunk_reader import MAX_LOOKUPS

from tests.cli.program import SECONDS, run_program
from tests.tickets.around import LABELS, SECRET, STORED, Around, keeping
from tests.tickets.builders import REPO, Json, alert, delivery, job, listed_alert
from tests.tickets.stage import FakeStatusClient, Stage

FLOOD = 3_000

Labels = list[dict[str, str]]


def foreign(number: int, repo: str = "x/{}", group: str = "g", **more: str) -> Json:
    """Return the alert of a group that the exporter does not have."""
    labels = {"repo": repo.format(number), "group": group.format(number), **more}
    return {**alert("a"), "labels": {**alert("a")["labels"], **labels}}


ATTACKS: dict[str, list[list[Json]]] = {
    "one delivery of many": [[foreign(n) for n in range(FLOOD)]],
    "many deliveries of one": [[foreign(n)] for n in range(300)],
    "many groups of a known trunk": [[foreign(n, REPO, "g{}") for n in range(FLOOD)]],
    "long labels": [[foreign(n, group="g" * 10_000) for n in range(300)]],
    "duplicates": [[foreign(7)] * FLOOD] * 3,
    "jobs of one group": [[foreign(7, job_name=f"j{n}") for n in range(FLOOD)]],
}


@dataclass
class CountingClient(FakeStatusClient):
    """An exporter with one trunk, which counts requests.

    Attributes:
        asked: the trunks asked for.
        forged: alerts that somebody posted to Alertmanager itself.
    """

    asked: list[str] = field(default_factory=list)
    forged: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        FakeStatusClient.__init__(self)

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        self.asked.append(repo)
        if repo != REPO:
            raise UnknownTrunkError("HTTP 404")
        return super().trunk(repo, branch)

    def alerts(self) -> AlertList:
        if not self.alertmanager_up:
            raise ReadingError("GET http://alertmanager: refused")
        return parse_alerts([*(listed_alert("a", "active"),), *self.forged])


@pytest.fixture
def client(stage: Stage) -> CountingClient:
    """Return the client of a stage whose job `a` is broken."""
    stage.status = CountingClient()
    stage.restart()
    stage.set_status(job("a"))
    return stage.status


def post(stage: Stage, *alerts: Json) -> int:
    """Deliver alerts as the server does; return the number of those that were not stored."""
    firing = webhook_payload(delivery(*alerts)).firing
    return stage.store.add_firing(firing, stage.now, stage.reconciler.is_known)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_flood_costs_nothing_and_the_real_group_gets_its_issue(
    stage: Stage, client: CountingClient, attack: list[list[Json]]
) -> None:
    """Two rounds after the flood the issue is open; the exporter was asked for its trunk alone."""
    for alerts in attack:
        post(stage, *alerts)
    if post(stage, alert("a")):
        stage.round()
        assert post(stage, alert("a")) == 0  # Alertmanager sends it again.
    stage.round()
    assert stage.issue.state == "open"
    assert client.asked == [REPO]
    stage.wait(UNLISTED_SECONDS + 1)
    stage.round()
    assert list(stage.store.firing_alerts()) == [TicketKey(REPO, "main", "inductor")]


def test_without_alertmanager_few_trunks_are_looked_up(
    stage: Stage, client: CountingClient
) -> None:
    """Each unknown trunk is asked for once in a while, some in each round."""
    post(stage, alert("a"))
    stage.status.alertmanager_up = False
    stage.round()
    post(stage, *(foreign(n, repo="a/{}") for n in range(50)))
    for _ in range(4):
        client.asked.clear()
        stage.round()
        assert REPO in client.asked
        assert len(client.asked) <= 1 + MAX_LOOKUPS
    assert client.asked == [REPO]
    assert stage.issue.state == "open"


def test_alerts_that_alertmanager_lists_are_looked_up_in_parts(
    stage: Stage, client: CountingClient
) -> None:
    """Somebody may post alerts to Alertmanager itself."""
    stage.deliver("a")
    stage.round()
    flood = [foreign(n, repo="a/{}") for n in range(100)]
    client.forged = [{**each, "status": {"state": "active"}} for each in flood]
    client.asked.clear()
    post(stage, *flood)
    stage.round()
    assert REPO in client.asked
    assert len(client.asked) == 1 + MAX_LOOKUPS


def test_the_queue_is_bounded_and_has_places_for_each_trunk(
    stage: Stage, client: CountingClient
) -> None:
    """Alerts of unknown groups beyond a number are refused; those of other groups are not."""
    stage.deliver("a")
    stage.round()
    many = [foreign(n, "x/y", "g{}") for n in range(MAX_UNKNOWN)]
    assert post(stage, *many) == MAX_UNKNOWN - MAX_UNKNOWN_OF_TRUNK
    assert post(stage, *many[:MAX_UNKNOWN_OF_TRUNK]) == 0  # They are stored already.
    assert post(stage, foreign(1)) == 0
    assert post(stage, *(foreign(n) for n in range(MAX_UNKNOWN))) > 0
    assert post(stage, foreign(-1)) == 1
    assert post(stage, alert("a"), alert("b")) == 0
    assert sum(map(len, stage.store.firing_alerts().values())) == MAX_UNKNOWN + 1
    assert client.asked == [REPO]


def test_a_long_round_ends_for_news(stage: Stage, client: CountingClient) -> None:
    """Groups that have not been tried are first in the round after it."""
    names = [f"job{n}" for n in range(6)]
    stage.set_status(*(job(name, group=f"g{name}") for name in names))
    groups = [{**stage.status.document["groups"][0], "group": f"g{name}"} for name in names]  # type: ignore[index]
    stage.status.document["groups"] = groups  # type: ignore[index]
    alerts = [foreign(0, REPO, f"g{name}", job_name=name) for name in names]
    client.forged = [{**each, "status": {"state": "active"}} for each in alerts]
    post(stage, *alerts[:4])
    slow(stage, then=lambda: post(stage, *alerts[4:]))
    stage.round()
    assert len(stage.issues) == 1
    stage.round()
    assert "gjob1" in stage.issues[1].title


def slow(stage: Stage, then: Any) -> None:
    """Let the first issue take longer than a round may, while alerts are delivered."""
    checkpoint = stage._checkpoint

    def passed(name: str) -> None:
        if name == "open: the plan is finished" and len(stage.issues) == 1:
            stage.wait(NEWS_SECONDS + 1)
            then()
        checkpoint(name)

    stage._checkpoint = passed  # type: ignore[method-assign]
    stage.restart()


def test_a_long_label_is_left_out() -> None:
    """A label may be as long as the limit; a longer one is malformed."""
    (accepted,) = webhook_payload(delivery(foreign(0, group="g" * MAX_LABEL_BYTES))).firing
    assert len(accepted.key.group) == MAX_LABEL_BYTES
    payload = webhook_payload(delivery(foreign(0, group="g" * MAX_LABEL_BYTES + "g")))
    assert payload.firing == ()
    assert payload.problems() == "alerts[0]: the label group is longer than 1024 bytes"


# ---------------------------------------------------------------------- the process


@pytest.fixture
def flags(around: Around) -> list[str]:
    """Return the flags of a process with a real exporter."""
    return [*around.flags, *STORED]


@pytest.mark.live
def test_the_process_refuses_what_does_not_fit(around: Around, flags: list[str]) -> None:
    """503 with Retry-After, counted; the real group of the same delivery gets its issue."""
    with keeping(around.folder, *flags) as tickets:
        flood = [foreign(n) for n in range(MAX_UNKNOWN)]
        answer = requests.post(
            f"http://127.0.0.1:{tickets.port}/alerts",
            json=delivery({"status": "firing", "labels": LABELS}, *flood),
            headers={"Authorization": f"Bearer {SECRET}"},
            timeout=SECONDS,
        )
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
        assert answer.text == "1 of 5001 firing alerts are too many; send them again\n"
        around.issue_is("open")
        page = tickets.get("/metrics").text
        assert 'trunkwatch_tickets_alerts_total{outcome="refused"} 1.0' in page
        assert 'trunkwatch_tickets_deliveries_total{outcome="overflow"} 1.0' in page
        assert tickets.get("/-/ready").ok
        assert tickets.end() == 0


@pytest.mark.live
@pytest.mark.parametrize("address", [":0", "0.0.0.0:0", "[::]:0"])
def test_a_listener_for_other_machines_needs_a_token(around: Around, address: str) -> None:
    """Without a bearer token the process listens on loopback alone; the error names the flag."""
    arguments = ["--storage.path=t.db", "--token-file=token", f"--web.listen-address={address}"]
    done = run_program(["tickets", *arguments], around.folder, code=2)
    assert done.stderr.startswith("trunkwatch: --auth.token-file is missing, and anybody who")
    assert len(done.stderr.splitlines()) == 1
