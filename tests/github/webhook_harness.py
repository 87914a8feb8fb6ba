"""An exporter that receives the webhooks of a small trunk."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trunkwatch.sources import WebhookSource

from tests.github.exporter import (
    SimulatedExporter,
    expected_jobs,
    job_differences,
    running_exporter,
)
from tests.github.fake import T0, FakeGitHub
from tests.github.webhooks import Delivery, deliveries
from tests.github.workflows import Job, Workflow, hanging, skipped, superseded

REPO = "o/r"
SECRET = "of-the-webhook"
CI = Workflow("ci", ".github/workflows/ci.yml")
SLOW = Workflow("slow", ".github/workflows/slow.yml")
CALLED = Workflow("called", ".github/workflows/called.yml")

BEGIN = T0 + 900
"""When the exporter starts: the first commit has completed, the others are not pushed yet."""

END = T0 + 6000
"""When all jobs have completed and all deliveries were sent."""

CATCH_UP_SECONDS = 2400.0
"""Seconds after which polling has found what no webhook delivered: re-runs take half an hour."""


def small_trunk() -> FakeGitHub:
    """Return four commits with a failure, a flake, a hang, a start that fails, and a fork."""
    fake = FakeGitHub(BEGIN)
    repo = fake.repo(REPO)
    for number in range(4):
        at = T0 + number * 1200
        commit = repo.commit(f"Change number {number}", at=at)
        bad = "failure" if number else "success"
        jobs = [Job("bad", end=200, conclusion=bad, failed_step="Test"), Job("good", end=250)]
        again = Job("again", end=220, conclusion="failure" if number == 2 else "success")
        run = repo.run(commit, CI, [*jobs, again], at=at + 5)
        if number == 2:
            run.rerun(at + 600, [Job("again", end=100)], copies=True)
        slow = [superseded("cut", end=650), hanging("hangs", limit=360) if number else Job("hangs")]
        if number == 1:
            repo.run(commit, SLOW, at=at + 6, startup_failure=True)
        else:
            repo.run(commit, SLOW, slow, at=at + 6)
        repo.run(commit, CALLED, [skipped("maybe", at=0.0)], at=at + 7)
        failing = [Job("good", end=100, conclusion="failure")]
        repo.run(commit, CI, failing, at=at + 8, event="pull_request", head_repo="fork/r")
    return fake


@cache
def small_deliveries() -> tuple[Delivery, ...]:
    """Return the deliveries of the small trunk, without `check_run` events."""
    found = deliveries(small_trunk(), BEGIN, END)
    return tuple(each for each in found if each.event != "check_run")


class WebhookHarness:
    """An exporter that also receives deliveries.

    Attributes:
        exporter: the exporter.
        refresh_requests: number of deliveries that requested a refresh.
    """

    def __init__(self, exporter: SimulatedExporter) -> None:
        """Args:
        exporter: the exporter.
        """
        self.exporter = exporter
        self.refresh_requests = 0

    def deliver_body(self, event: str, body: Mapping[str, Any]) -> bool:
        """Process one delivery; return whether it was about a configured trunk."""
        source = self.exporter.source
        assert isinstance(source, WebhookSource)
        sent = Delivery(0.0, event, "one", json.dumps(body).encode())
        headers = {name.lower(): value for name, value in sent.headers(SECRET).items()}
        delivery = source.parse_delivery(headers, sent.body)
        if delivery.update is None:
            return False
        self.exporter.engine.ingest_delivery("gh", delivery.update)
        self.exporter.engine.evaluate_pending()
        self.refresh_requests += delivery.update.needs_refresh
        return True

    def deliver(self, each: Delivery) -> bool:
        """Process one delivery of the fake GitHub."""
        return self.deliver_body(each.event, each.document)

    def deliver_during_refresh(self, arriving: Sequence[Delivery]) -> None:
        """Refresh, with deliveries between the responses of GitHub and their storage."""
        engine, source = self.exporter.engine, self.exporter.source
        refresh = source.refresh(engine.state("gh"))
        for each in arriving:
            self.deliver(each)
        engine.ingest_refresh("gh", refresh, lambda: 0.0)

    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Return the differences from the expected jobs."""
        return job_differences(self.exporter.jobs(), expected_jobs(self.exporter, REPO))

    def differences_after_polling(self) -> dict[str, tuple[Any, Any]]:
        """Return the differences that remain once polling has had time to find everything."""
        self.exporter.advance(CATCH_UP_SECONDS, every=CATCH_UP_SECONDS / 20)
        assert self.exporter.refresh().counted == 0, "a request is repeated in every refresh"
        return self.differences()


@contextmanager
def webhook_harness(fake: FakeGitHub | None = None, more: str = "") -> Iterator[WebhookHarness]:
    """Run an exporter that has read everything up to the current simulated time."""
    with TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_text(SECRET, encoding="utf-8")
        more = f"{more}, webhook_secret_file: {secret}"
        with running_exporter(fake or small_trunk(), REPO, more) as exporter:
            exporter.refresh_until_idle()
            yield WebhookHarness(exporter)


def entries_without_pending_jobs(harness: WebhookHarness) -> dict[str, str]:
    """Return the source's state without pending jobs: runs of pull requests are never delivered."""
    entries = harness.exporter.engine.state("gh").entries
    return {key: text for key, text in entries.items() if " pending " not in key}
