"""POST /alerts, health and metrics over a real socket."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from trunkwatch.errors import BadDelivery, CredentialsError, StoreError
from trunkwatch.metrics.program import Family
from trunkwatch.tickets.metrics import COUNTERS, GAUGES, Health, TicketMetrics
from trunkwatch.web.alerts import BODY_LIMIT, AlertPages

from tests.web.conftest import listening

TOKEN = b"a-t0ken-of-ours"
SECONDS = 30.0


@dataclass
class Inbox:
    """The application behind the pages.

    Attributes:
        metrics: of the process.
        taken: accepted deliveries, in their order.
        fails: error of the next delivery.
        secret: bearer token of deliveries, or the error of reading it.
        url: base URL of the server.
    """

    metrics: TicketMetrics = field(default_factory=TicketMetrics)
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
        return self.metrics.problems()

    def families(self) -> Iterator[Family]:
        return self.metrics.families()

    def count(self, outcome: str) -> None:
        self.metrics.add("deliveries", outcome)

    def post(
        self, body: bytes = b"{}", token: bytes | None = TOKEN, **headers: str
    ) -> requests.Response:
        """Post a delivery."""
        auth = {"Authorization": f"Bearer {token.decode('latin-1')}"} if token else {}
        url = f"{self.url}/alerts"
        return requests.post(url, data=body, headers={**auth, **headers}, timeout=SECONDS)

    def get(self, path: str) -> requests.Response:
        """Get a page."""
        return requests.get(f"{self.url}{path}", timeout=SECONDS)

    def outcomes(self) -> dict[str, float]:
        """Return the number of deliveries by outcome, without zeros."""
        page = self.get("/metrics").text
        samples = [s for f in text_string_to_metric_families(page) for s in f.samples]
        name = COUNTERS["deliveries"].name
        return {s.labels["outcome"]: s.value for s in samples if s.name == name and s.value}


@pytest.fixture(scope="module")
def served() -> Iterator[Inbox]:
    """Serve one inbox for the whole module: stopping a server takes half a second."""
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
    """Return the inbox, reset."""
    served.metrics = TicketMetrics()
    served.taken.clear()
    served.fails, served.secret = None, TOKEN
    return served


def test_a_valid_delivery_is_accepted(inbox: Inbox) -> None:
    """The answer is the summary, and the delivery is counted."""
    answer = inbox.post(b'{"version": "4"}')
    assert (answer.status_code, answer.text) == (200, "1 firing\n")
    assert inbox.taken == [{"version": "4"}]
    assert inbox.outcomes() == {"accepted": 1}


@pytest.mark.parametrize("token", [None, b"wrong", TOKEN[:-1], TOKEN + b"x", "tokén".encode()])
def test_without_the_token_a_delivery_is_refused(inbox: Inbox, token: bytes | None) -> None:
    """The answer is 401, and does not contain the token."""
    answer = inbox.post(token=token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN.decode() not in answer.text
    assert inbox.taken == []
    assert inbox.outcomes() == {"unauthorized": 1}


def test_a_bad_delivery_is_answered_with_its_reason(inbox: Inbox) -> None:
    """The answer is 400 with the reason, so that Alertmanager does not retry."""
    inbox.fails = BadDelivery("alerts[0]: the label repo is missing")
    answer = inbox.post()
    assert (answer.status_code, answer.text) == (400, "alerts[0]: the label repo is missing\n")
    assert inbox.outcomes() == {"malformed": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(inbox: Inbox, body: bytes) -> None:
    """Invalid JSON never causes an internal error."""
    assert inbox.post(body).status_code == 400
    assert inbox.taken == []


def test_a_body_that_is_too_large_is_refused_unread(inbox: Inbox) -> None:
    """A body above the limit is answered with 413."""
    assert inbox.post(b"x" * (BODY_LIMIT + 1)).status_code == 413


def test_a_delivery_that_could_not_be_stored_is_retried(inbox: Inbox) -> None:
    """The answer is 503, so that Alertmanager retries."""
    inbox.fails = StoreError("of tickets", "disk is full")
    answer = inbox.post()
    assert (answer.status_code, answer.text) == (503, "not stored; deliver it again\n")
    assert inbox.outcomes() == {"failed": 1}


def test_an_internal_error_is_a_failed_delivery(inbox: Inbox) -> None:
    """The answer is 500, so that Alertmanager retries, and the delivery is counted."""
    inbox.fails = KeyError("firing")
    assert inbox.post().status_code == 500
    assert inbox.outcomes() == {"failed": 1}


def test_an_unreadable_token_refuses_every_delivery(inbox: Inbox) -> None:
    """Each delivery is answered with 503, with and without a token."""
    inbox.secret = CredentialsError("the file is empty")
    assert inbox.post().status_code == 503
    assert inbox.post(token=None).status_code == 503
    assert inbox.taken == []


def test_only_post_delivers(inbox: Inbox) -> None:
    """Other methods are answered with 405 and the allowed method."""
    answer = inbox.get("/alerts")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_it_is_ready_after_a_successful_round(inbox: Inbox) -> None:
    """Before the first round, and while a peer fails, /-/ready contains the reason."""
    assert inbox.get("/-/ready").text == "not ready: the first round has not ended yet\n"
    inbox.metrics.health = Health(round_at=1.0, errors={"github": "HTTP 502"})
    answer = inbox.get("/-/ready")
    assert (answer.status_code, answer.text) == (503, "not ready: github: HTTP 502\n")
    inbox.metrics.health = Health(round_at=1.0)
    assert inbox.get("/-/ready").status_code == 200


def test_it_is_healthy_while_it_lives(inbox: Inbox) -> None:
    """Failing peers do not make the process unhealthy."""
    assert inbox.get("/-/healthy").text == "healthy\n"


def test_every_family_is_exported(inbox: Inbox) -> None:
    """Counters begin at 0, and Prometheus can parse the page."""
    inbox.metrics.health = Health(2, 1, 3.0, {"github": "HTTP 502"})
    inbox.metrics.add("requests", "201")
    inbox.metrics.add("http_refused", "late_head")
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
    """Pages of the exporter are not served."""
    assert inbox.get(path).status_code == 404
