"""Deliveries that concern nothing watched, or are not signed, cost no row and no statement."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.sources import WebhookSource
from trunkwatch.store import SqliteStore
from trunkwatch.web.answer import Answer
from trunkwatch.web.webhook import Hook, Webhook

from tests.github.webhook_harness import (
    SECRET,
    WebhookHarness,
    small_deliveries,
    webhook_harness,
)
from tests.github.webhooks import Delivery

pytestmark = pytest.mark.slow

FLOOD = 1_000


@pytest.fixture(scope="module")
def harness() -> Iterator[WebhookHarness]:
    with webhook_harness() as found:
        yield found


def foreign(number: int) -> Delivery:
    """Return a delivery about a repository that is not watched."""
    several = small_deliveries()
    each = several[number % len(several)]
    document = each.document
    document["repository"] = {**document["repository"], "id": number, "full_name": f"x/{number}"}
    return replace(each, delivery_id=f"d{number}", body=json.dumps(document).encode())


def post(webhook: Webhook, each: Delivery, secret: str | None) -> Answer:
    """Send a delivery; without a secret it is not signed."""
    headers = each.headers(secret or "")
    if secret is None:
        del headers["X-Hub-Signature-256"]
    return webhook(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/webhook/gh",
            "CONTENT_LENGTH": str(len(each.body)),
            "CONTENT_TYPE": headers.pop("Content-Type"),
            "wsgi.input": BytesIO(each.body),
            **{f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()},
        }
    )


@pytest.mark.parametrize(
    ("secret", "outcome"),
    [(SECRET, "ignored"), ("another", "bad_signature"), (None, "unsigned")],
)
def test_a_thousand_foreign_deliveries_store_nothing(
    harness: WebhookHarness, secret: str | None, outcome: str
) -> None:
    """No statement, no request to GitHub, no trunk, and one label of the outcome."""
    exporter = harness.exporter
    assert isinstance(exporter.source, WebhookSource)
    hook = Hook("gh", exporter.source, lambda each: exporter.engine.ingest_delivery("gh", each))
    outcomes: Counter[str] = Counter()
    webhook = Webhook(lambda: {"/webhook/gh": hook}, lambda found: outcomes.update([found]))
    statements: list[str] = []
    assert isinstance(exporter.store, SqliteStore)
    database = exporter.store._connection
    database.set_trace_callback(statements.append)
    requests = len(exporter.server.log)
    for number in range(FLOOD):
        post(webhook, foreign(number), secret)
    database.set_trace_callback(None)
    assert outcomes == {outcome: FLOOD}
    assert statements == []
    assert len(exporter.server.log) == requests
    trunks = exporter.engine.snapshot.trunks
    assert [state.trunk for state in trunks] == [Trunk("o/r", "main")]
