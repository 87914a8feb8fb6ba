"""The environment of `trunkwatch tickets` as a process: exporter, GitHub and Alertmanager."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.cli.program import SECONDS, Served, acting, serving
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.server import GitHubServer
from tests.support.fakehttp import Answer, Request, as_json
from tests.support.fakehttp import serving as http
from tests.support.rows import JOB, TRUNK, history, write_recorded
from tests.support.waiting import eventually
from tests.tickets.builders import delivery
from tests.tickets.stage import SERVERS

STORED = ("--storage.path=tickets.db", "--token-file=token")

CONFIG = """
sources:
  - {name: ci, type: recorded, path: ci.ndjson, poll_interval: 50ms}
groups:
  - {name: builders, team: first, priority: P1}
tickets: {labels: [ci], timezone: Europe/Paris, api_url: "%s"}
"""
SECRET = "a-t0ken-of-ours"
LABELS = {
    "alertname": "TrunkJobBroken", "repo": TRUNK.repo, "branch": TRUNK.branch,
    "group": "builders", "workflow": JOB.workflow_name, "job_name": JOB.job_name,
}  # fmt: skip


class Tickets(Served):
    """A running `trunkwatch tickets`."""

    def deliver(self, status: str = "firing", token: str = SECRET) -> requests.Response:
        """Deliver an alert of the job."""
        return requests.post(
            f"http://127.0.0.1:{self.port}/alerts",
            json=delivery({"status": status, "labels": LABELS}),
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS,
        )


@contextmanager
def keeping(folder: Path, *arguments: str, **variables: str) -> Iterator[Tickets]:
    """Run `trunkwatch tickets` on a free loopback port."""
    with acting("tickets", folder, *arguments, **variables) as process:
        yield Tickets(process)


class Pager:
    """An Alertmanager with only the list of alerts."""

    def __init__(self) -> None:
        self.is_up = True
        self.alerts: list[dict[str, Any]] = [
            {"labels": LABELS, "annotations": {}, "status": {"state": "active"}}
        ]
        self.authorization: str | None = None

    def __call__(self, request: Request) -> Answer:
        if not self.is_up:
            return Answer(status=503, body=b"")
        assert request.path == "/api/v2/alerts"
        assert request.one("filter") == 'alertname="TrunkJobBroken"'
        self.authorization = request.headers.get("Authorization")
        return as_json(self.alerts)


class Around:
    """The environment of one process.

    Attributes:
        folder: with the configuration and the recorded results.
        github: the stand-in for GitHub.
        pager: the stand-in for Alertmanager.
        flags: of the command line, with their addresses.
    """

    def __init__(
        self, folder: Path, github: GitHubServer, pager: Pager, flags: Sequence[str]
    ) -> None:
        self.folder = folder
        self.github = github
        self.pager = pager
        self.flags = flags

    def record(self, letters: str) -> None:
        """Replace the recorded CI results."""
        write_recorded(self.folder / "ci.ndjson", history(letters))

    def issue_is(self, state: str) -> None:
        """Wait until exactly one issue exists, in a state."""
        eventually(
            lambda: [issue.state for issue in self.github.issues.all(TRUNK.repo)] == [state],
            f"one issue that is {state}",
        )


@contextmanager
def all_around(folder: Path, vendor: str = "github") -> Iterator[Around]:
    """Run an exporter, a GitHub or GitLab, and an Alertmanager that report one broken job."""
    fake = FakeGitHub(time.time())
    fake.repo(TRUNK.repo)
    (folder / "token").write_text(TOKEN)
    (folder / "secret").write_text(f"{SECRET}\n")
    write_recorded(folder / "ci.ndjson", history("P F F F"))
    pager = Pager()
    with SERVERS[vendor](fake) as github, http(pager) as alertmanager:
        text = CONFIG.replace("tickets: {", f"tickets: {{type: {vendor}, ") % github.url
        (folder / "trunkwatch.yml").write_text(text)
        with serving(folder) as exporter:
            eventually(lambda: exporter.get("/-/ready").ok, "ready")
            flags = [
                f"--exporter.url=http://127.0.0.1:{exporter.port}",
                f"--alertmanager.url={alertmanager.url}",
                "--auth.token-file=secret",
            ]
            yield Around(folder, github, pager, flags)
