"""POST /alerts over a real socket, and the pages that tell how it goes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from trunkwatch.errors import BadDelivery, CredentialsError, StoreError
from trunkwatch.tickets.counts import COUNTERS, GAUGES, Counts, Family, Health
from trunkwatch.web.alerts import BODY_LIMIT, AlertPages

from tests.web.conftest import listening

TOKEN = b"a-t0ken-of-ours"
SECONDS = 30.0


@dataclass
class Inbox:
    """What stands behind the pages.

    Attributes:
        counts: of the process.
        taken: deliveries, in their order.
        fails: what the next delivery raises.
        secret: what deliveries have to bring, or why it cannot be read.
        url: where it listens.
    """

    counts: Counts = field(default_factory=Counts)
    taken: list[Any] = field(default_factory=list)
    fails: Exception | None = None
    secret: bytes | Exception = TOKEN
    url: str = ""

    def deliver(self, document: Any) -> str:
        if self.fails is not None:
            raise self.fails
        self.taken.append(document)
        return "1 firing"

    def read_secret(self) -> bytes:
        if isinstance(self.secret, Exception):
            raise self.secret
        return self.secret

    def problems(self) -> list[str]:
        return self.counts.problems()

    def families(self) -> Iterator[Family]:
        return self.counts.families()

    def count(self, outcome: str) -> None:
        self.counts.add("deliveries", outcome)

    def post(
        self, body: bytes = b"{}", token: bytes | None = TOKEN, **headers: str
    ) -> requests.Response:
        """Deliver something."""
        auth = {"Authorization": f"Bearer {token.decode('latin-1')}"} if token else {}
        url = f"{self.url}/alerts"
        return requests.post(url, data=body, headers={**auth, **headers}, timeout=SECONDS)

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        return requests.get(f"{self.url}{path}", timeout=SECONDS)

    def outcomes(self) -> dict[str, float]:
        """Return how many deliveries ended in which way, those that never happened left out."""
        page = self.get("/metrics").text
        samples = [s for f in text_string_to_metric_families(page) for s in f.samples]
        name = COUNTERS["deliveries"].name
        return {s.labels["outcome"]: s.value for s in samples if s.name == name and s.value}


@pytest.fixture(scope="module")
def served() -> Iterator[Inbox]:
    """Serve one inbox for the whole module; stopping a server takes half a second."""
    inbox = Inbox()
    pages = AlertPages(
        inbox.deliver,
        inbox.read_secret,
        inbox.problems,
        inbox.families,
        inbox.count,
    )
    with listening(pages) as server:
        inbox.url = f"http://127.0.0.1:{server.port}"
        yield inbox


@pytest.fixture
def inbox(served: Inbox) -> Inbox:
    """Return the inbox as if nothing had happened."""
    served.counts = Counts()
    served.taken.clear()
    served.fails, served.secret = None, TOKEN
    return served


def test_a_delivery_is_handed_on_once_it_is_understood(inbox: Inbox) -> None:
    """It is answered with what was taken, and counted."""
    answer = inbox.post(b'{"version": "4"}')
    assert (answer.status_code, answer.text) == (200, "1 firing\n")
    assert inbox.taken == [{"version": "4"}]
    assert inbox.outcomes() == {"accepted": 1}


@pytest.mark.parametrize("token", [None, b"wrong", TOKEN[:-1], TOKEN + b"x", "tokén".encode()])
def test_without_the_token_nothing_is_taken(inbox: Inbox, token: bytes | None) -> None:
    """The answer is 401, and does not name the right one."""
    answer = inbox.post(token=token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN.decode() not in answer.text
    assert inbox.taken == []
    assert inbox.outcomes() == {"unauthorized": 1}


def test_a_bad_delivery_is_answered_with_its_reason(inbox: Inbox) -> None:
    """Alertmanager logs the answer, and does not repeat what is answered with 400."""
    inbox.fails = BadDelivery("alerts[0]: the label repo is missing")
    answer = inbox.post()
    assert (answer.status_code, answer.text) == (400, "alerts[0]: the label repo is missing\n")
    assert inbox.outcomes() == {"malformed": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(inbox: Inbox, body: bytes) -> None:
    """No body of any kind ends in an error of ours."""
    assert inbox.post(body).status_code == 400
    assert inbox.taken == []


def test_a_body_that_is_too_large_is_refused_unread(inbox: Inbox) -> None:
    """The limit is far above what Alertmanager sends."""
    assert inbox.post(b"x" * (BODY_LIMIT + 1)).status_code == 413


def test_what_could_not_be_stored_is_to_be_delivered_again(inbox: Inbox) -> None:
    """Alertmanager repeats what is answered with 5xx."""
    inbox.fails = StoreError("of tickets", "disk is full")
    answer = inbox.post()
    assert (answer.status_code, answer.text) == (503, "not stored; deliver it again\n")
    assert inbox.outcomes() == {"failed": 1}


def test_a_token_that_cannot_be_read_lets_nobody_in(inbox: Inbox) -> None:
    """Neither a right nor an empty token is let in, and it is to be delivered again."""
    inbox.secret = CredentialsError("the file is empty")
    assert inbox.post().status_code == 503
    assert inbox.post(token=None).status_code == 503
    assert inbox.taken == []


def test_only_post_delivers(inbox: Inbox) -> None:
    """Whoever looks at the address is told what it takes."""
    answer = inbox.get("/alerts")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_it_is_ready_once_a_round_went_well(inbox: Inbox) -> None:
    """Before that, and while a peer does not answer, it says why not."""
    assert inbox.get("/-/ready").text == "not ready: the first round has not ended yet\n"
    inbox.counts.health = Health(round_at=1.0, troubles={"github": "HTTP 502"})
    answer = inbox.get("/-/ready")
    assert (answer.status_code, answer.text) == (503, "not ready: github: HTTP 502\n")
    inbox.counts.health = Health(round_at=1.0)
    assert inbox.get("/-/ready").status_code == 200


def test_it_is_healthy_while_it_lives(inbox: Inbox) -> None:
    """What is elsewhere does not make it unhealthy."""
    assert inbox.get("/-/healthy").text == "healthy\n"


def test_every_family_is_exported(inbox: Inbox) -> None:
    """Counters begin at 0, and the page is one that Prometheus reads."""
    inbox.counts.health = Health(2, 1, 3.0, {"github": "HTTP 502"})
    inbox.counts.add("requests", "201")
    answer = inbox.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert {name for name, *_ in samples} == {c.name for c in COUNTERS.values()} | set(GAUGES)
    assert samples["trunkwatch_tickets_open",] == 2
    assert samples["trunkwatch_tickets_waiting",] == 1
    assert samples["trunkwatch_tickets_up", "github"] == 0
    assert samples["trunkwatch_tickets_up", "exporter"] == 1
    assert samples["trunkwatch_tickets_requests_total", "201"] == 1
    assert samples["trunkwatch_tickets_operations_total", "reopen"] == 0


@pytest.mark.parametrize("path", ["/", "/alerts/", "/api/v1/trunk/o/r/main"])
def test_nothing_else_is_served(inbox: Inbox, path: str) -> None:
    """It writes issues; it is no second exporter."""
    assert inbox.get(path).status_code == 404
