"""How soon after a webhook was accepted /metrics says what it told, printed as a table row.

A `serve` of its own has read a trunk of a large framework's size; then the deliveries of one more
commit come at a fixed rate. Times are of one noisy machine.
"""

import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles

import requests

from tests.cli.program import Served, serving
from tests.github.fake import TOKEN
from tests.github.large_trunk import REPO, LargeTrunk, large_trunk
from tests.github.server import GitHubServer, serving_github
from tests.github.webhooks import Delivery, deliveries
from tests.support.waiting import eventually

SECRET = "secret-of-the-webhooks"
COMMITS, WORKFLOWS, JOBS = 60, 20, 450
RATE = 50.0
"""Deliveries a second."""

SECONDS = 28.0
"""For how long they come."""

SPACING = 1800.0
"""Seconds between the commits that are read before."""

DURATION = 3600.0
"""Seconds of the stand-in's time that the commit's jobs take; its deliveries come much faster."""

LOOK = 0.02
"""Seconds between two scrapes: the error of what is measured, and a load that nobody has."""

PATIENCE = 30.0
"""Seconds after which a value counts as lost."""

SAMPLE = re.compile(
    r"^ci_job_last_verdict_timestamp_seconds\{"
    r'[^}]*job_name="([^"]*)"[^}]*workflow="([^"]*)"\} (\S+)$',
    re.MULTILINE,
)

Job = tuple[str, str]
"""Workflow and job name."""


@dataclass
class Scrapes:
    """What /metrics said of each job, and since when.

    Attributes:
        since: per job and value, the first moment at which a scrape had it (seconds, monotonic).
        trouble: what ended the scraping, if anything did.
    """

    since: dict[tuple[Job, float], float] = field(default_factory=dict)
    error: Exception | None = None

    def take(self, text: str, at: float) -> None:
        """Note what a scrape said."""
        for name, workflow, value in SAMPLE.findall(text):
            self.since.setdefault(((workflow, name), float(value)), at)


@contextmanager
def scraping(url: str) -> Iterator[Scrapes]:
    """Scrape again and again for the length of a block."""
    scrapes, ended = Scrapes(), threading.Event()

    def scrape() -> None:
        with requests.Session() as session:
            while not ended.wait(LOOK):
                try:
                    text = session.get(url, timeout=PATIENCE).text
                except requests.RequestException as error:
                    scrapes.error = error
                    return
                scrapes.take(text, time.monotonic())

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield scrapes
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class Bench:
    """A running exporter that has read everything, and one commit that is about to be told.

    Attributes:
        framework: the trunk.
        served: the exporter.
        storage: its file.
        session: to deliver with.
    """

    large_trunk: LargeTrunk
    served: Served
    storage: Path
    session: requests.Session

    @property
    def url(self) -> str:
        """Where the exporter listens."""
        return f"http://127.0.0.1:{self.served.port}"

    def deliver(self, each: Delivery) -> float:
        """Deliver once; return the moment at which it was accepted (seconds, monotonic)."""
        answer = self.session.post(
            f"{self.url}/webhook/github", each.body, headers=each.headers(SECRET), timeout=PATIENCE
        )
        if answer.status_code != requests.codes.accepted:
            raise AssertionError(f"{each.event}: HTTP {answer.status_code} {answer.text}")
        return time.monotonic()

    def gauge(self, name: str) -> float:
        """Return the value of a family's only sample."""
        (value,) = self.served.samples(name).values()
        return value

    def news(self) -> list[Delivery]:
        """Push one more commit, and return what is to be told of its runs and jobs."""
        fake = self.large_trunk.fake
        begun = float(int(fake.now))
        self.large_trunk.new_commit(begun + 1, DURATION, quiet=True)
        found = deliveries(fake, begun, begun + 1 + DURATION)
        fake.now = begun + 1
        self.deliver(next(each for each in found if each.event == "push"))
        eventually(
            lambda: self.gauge("ci_branch_head_timestamp_seconds") > begun, "the pushed commit"
        )
        return [each for each in found if each.event in ("workflow_run", "workflow_job")]

    def play(self, rate: float, seconds: float) -> list[float]:
        """Deliver at a rate, and return how long each new value took to be shown (seconds)."""
        told = self.news()[: int(rate * seconds)]
        accepted: dict[tuple[Job, float], float] = {}
        with scraping(f"{self.url}/metrics") as scrapes:
            begun = time.monotonic()
            for place, each in enumerate(told):
                time.sleep(max(0.0, begun + place / rate - time.monotonic()))
                at = self.deliver(each)
                accepted.update(dict.fromkeys(values_of(each), at))
            eventually(lambda: accepted.keys() <= scrapes.since.keys(), "every value", PATIENCE)
        if scrapes.error is not None:
            raise scrapes.error
        return [scrapes.since[value] - at for value, at in accepted.items()]


def values_of(each: Delivery) -> Iterator[tuple[Job, float]]:
    """Yield what a delivery lets /metrics say: when a job's newest verdict came."""
    job = each.document.get("workflow_job")
    if job is not None and job["conclusion"] in ("success", "failure"):
        ended = datetime.fromisoformat(job["completed_at"]).timestamp()
        yield (job["workflow_name"], job["name"]), ended


def configured(folder: Path, server: GitHubServer) -> None:
    """Write a configuration that reads a stand-in and takes its webhooks."""
    (folder / "token").write_text(TOKEN)
    (folder / "secret").write_text(SECRET)
    (folder / "trunkwatch.yml").write_text(
        f"sources: [{{name: gh, type: github, api_url: '{server.url}', repo: {REPO},"
        f" branches: [main], token_file: {folder / 'token'},"
        f" webhook_secret_file: {folder / 'secret'}}}]\n"
    )


@contextmanager
def bench(commits: int, workflows: int, jobs: int) -> Iterator[Bench]:
    """Run an exporter that has read a trunk of some size."""
    begin = time.time() - (commits - 1) * SPACING - DURATION - SPACING
    made = large_trunk(
        commits, workflows, jobs, spacing=SPACING, duration=DURATION, begin=float(int(begin))
    )
    with tempfile.TemporaryDirectory() as name, serving_github(made.fake) as server:
        folder = Path(name)
        configured(folder, server)
        with (
            serving(folder, "--storage.path", "results.db") as served,
            requests.Session() as session,
        ):
            running = Bench(made, served, folder / "results.db", session)
            eventually(
                lambda: (
                    running.served.samples("trunkwatch_source_unread_commits")
                    and running.gauge("trunkwatch_source_up") == 1
                    and running.gauge("trunkwatch_source_unread_commits") == 0
                ),
                "everything has been read",
                PATIENCE * 4,
            )
            yield running


def row(late: Sequence[float], what: str) -> str:
    """Return one line of a table."""
    p99 = quantiles(late, n=100)[98] * 1000
    return f"| {what} | {median(late) * 1000:.0f} ms | {p99:.0f} ms | {max(late) * 1000:.0f} ms |"


def main() -> int:
    """Measure and print."""
    with bench(COMMITS, WORKFLOWS, JOBS) as running:
        late = running.play(RATE, SECONDS)
    print("| webhook accepted until its value is on /metrics | median | p99 | worst |")
    print("|---|---|---|---|")
    print(row(late, f"{RATE:.0f} deliveries a second, {len(late)} results"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
