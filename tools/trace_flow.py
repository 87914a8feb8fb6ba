"""Count the files that one job result enters on its way from HTTP to its gauge.

`python -m tools.trace_flow` prints, for one poll and for one webhook, the number of the package's
files whose code runs, and how often a call goes from one of these files to another one.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import trunkwatch
from trunkwatch.metrics.exposition import PLAIN, Exposition

from tests.github.fake import T0, FakeGitHub
from tests.github.webhook_harness import REPO, WebhookHarness, webhook_harness
from tests.github.webhooks import deliveries
from tests.github.workflows import Job, Workflow

PACKAGE = str(Path(trunkwatch.__file__).parent)
CI = Workflow("ci", ".github/workflows/ci.yml")
SPACING = 300.0
"""Seconds from one commit to the next."""

Step = Callable[[WebhookHarness, FakeGitHub], None]

THIRD_FAILURE = re.compile(rb"^ci_job_consecutive_failures\{.*\} 3", re.MULTILINE)

DONE = 140.0
"""Seconds after its commit at which the only job has completed."""


class Trace:
    """The package's files that run in a `with` block, and the calls between them."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.moves = 0

    def __enter__(self) -> "Trace":
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_exception: object) -> None:
        sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, _argument: Any) -> None:
        here = frame.f_code.co_filename
        if event != "call" or not here.startswith(PACKAGE):
            return
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(PACKAGE):
            caller = caller.f_back
        self.files.add(here)
        self.moves += caller is None or caller.f_code.co_filename != here


def trunk(commits: int) -> FakeGitHub:
    """Return a trunk of one job, which passed once and has failed since."""
    fake = FakeGitHub(T0 + SPACING * (commits - 2) + DONE)
    repo = fake.repo(REPO)
    for number in range(commits):
        at = T0 + number * SPACING
        commit = repo.commit(f"Change number {number}", at=at)
        job = Job("test", end=100, conclusion="failure" if number else "success")
        repo.run(commit, CI, [job], at=at + 5)
    return fake


def traced(before: Step, step: Step) -> Trace:
    """Trace the step that brings the third failure of a job to its gauges.

    Args:
        before: comes first and is not traced.
        step: ends with the result in the engine.
    """
    fake = trunk(4)
    with webhook_harness(fake) as harness:
        exporter = harness.exporter
        exposition = Exposition(lambda: exporter.engine.snapshot, exporter.counters.totals, "0")
        fake.now = T0 + SPACING * 3 + DONE
        before(harness, fake)
        exposition.update()
        with Trace() as trace:
            step(harness, fake)
            exposition.update()
            body = exposition.body(PLAIN, zipped=False)
    assert THIRD_FAILURE.search(body), "the result did not reach its gauge"
    return trace


def nothing(_harness: WebhookHarness, _fake: FakeGitHub) -> None:
    """Leave everything to the poll."""


def poll(harness: WebhookHarness, _fake: FakeGitHub) -> None:
    """Refresh once."""
    harness.exporter.refresh()


def all_but_the_job(harness: WebhookHarness, fake: FakeGitHub) -> None:
    """Read the commit and its run while the job is still running."""
    fake.now -= DONE - 60
    harness.exporter.refresh()
    fake.now += DONE - 60


def webhook(harness: WebhookHarness, fake: FakeGitHub) -> None:
    """Receive the delivery of the completed job."""
    (done,) = [
        each
        for each in deliveries(fake, fake.now - DONE + 60, fake.now)
        if each.event == "workflow_job"
    ]
    assert harness.deliver(done)


def main() -> None:
    """Print both counts."""
    for before, step in ((nothing, poll), (all_but_the_job, webhook)):
        trace = traced(before, step)
        print(f"{step.__name__}: {len(trace.files)} files, {trace.moves} calls between files")


if __name__ == "__main__":
    main()
