"""Measures the time from an accepted webhook to its value on /metrics; prints a table row.

A `trunkwatch serve` has read a large trunk; then it receives the deliveries of one more commit at a
fixed rate. The times depend on the machine and its load.
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
"""Deliveries per second."""

SECONDS = 28.0
"""How long deliveries are sent."""

SPACING = 1800.0
"""Seconds between the commits that are read beforehand."""

DURATION = 3600.0
"""Simulated seconds that the commit's jobs take; their deliveries are sent much faster."""

SCRAPE_PAUSE_SECONDS = 0.02
"""Between two scrapes: the error of the measurement, and a load far above that of real use."""

TIMEOUT_SECONDS = 30.0
"""After this time a value counts as lost."""

SAMPLE = re.compile(
    r"^ci_job_last_verdict_timestamp_seconds\{"
    r'[^}]*job_name="([^"]*)"[^}]*workflow="([^"]*)"\} (\S+)$',
    re.MULTILINE,
)

Job = tuple[str, str]
"""Workflow and job name."""


@dataclass
class Scrapes:
    """The values of each job on /metrics, and when each was first scraped.

    Attributes:
        since: per job and value, the time of the first scrape with it (seconds, monotonic).
        error: the error that ended the scraping, if any.
    """

    since: dict[tuple[Job, float], float] = field(default_factory=dict)
    error: Exception | None = None

    def record(self, text: str, at: float) -> None:
        """Record the values of a scrape."""
        for name, workflow, value in SAMPLE.findall(text):
            self.since.setdefault(((workflow, name), float(value)), at)


@contextmanager
def scraping(url: str) -> Iterator[Scrapes]:
    """Scrape repeatedly for a `with` block."""
    scrapes, ended = Scrapes(), threading.Event()

    def scrape() -> None:
        with requests.Session() as session:
            while not ended.wait(SCRAPE_PAUSE_SECONDS):
                try:
                    text = session.get(url, timeout=TIMEOUT_SECONDS).text
                except requests.RequestException as error:
                    scrapes.error = error
                    return
                scrapes.record(text, time.monotonic())

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield scrapes
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class Bench:
    """A running exporter that has read the whole trunk.

    Attributes:
        large_trunk: the trunk.
        served: the exporter.
        storage: the file of its storage.
        session: the HTTP session of the deliveries.
    """

    large_trunk: LargeTrunk
    served: Served
    storage: Path
    session: requests.Session

    @property
    def url(self) -> str:
        """The exporter's base URL."""
        return f"http://127.0.0.1:{self.served.port}"

    def deliver(self, each: Delivery) -> float:
        """Send a delivery; return when it was accepted (seconds, monotonic)."""
        answer = self.session.post(
            f"{self.url}/webhook/github",
            each.body,
            headers=each.headers(SECRET),
            timeout=TIMEOUT_SECONDS,
        )
        if answer.status_code != requests.codes.accepted:
            raise AssertionError(f"{each.event}: HTTP {answer.status_code} {answer.text}")
        return time.monotonic()

    def gauge(self, name: str) -> float:
        """Return the value of a family's only sample."""
        (value,) = self.served.samples(name).values()
        return value

    def push_commit(self) -> list[Delivery]:
        """Push one more commit, and return the deliveries of its runs and jobs."""
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

    def measure(self, rate: float, seconds: float) -> list[float]:
        """Send deliveries at a rate; return the time until each new value was shown (seconds)."""
        queued = self.push_commit()[: int(rate * seconds)]
        accepted: dict[tuple[Job, float], float] = {}
        with scraping(f"{self.url}/metrics") as scrapes:
            begun = time.monotonic()
            for place, each in enumerate(queued):
                time.sleep(max(0.0, begun + place / rate - time.monotonic()))
                at = self.deliver(each)
                accepted.update(dict.fromkeys(values_of(each), at))
            eventually(
                lambda: accepted.keys() <= scrapes.since.keys(), "every value", TIMEOUT_SECONDS
            )
        if scrapes.error is not None:
            raise scrapes.error
        return [scrapes.since[value] - at for value, at in accepted.items()]


def values_of(each: Delivery) -> Iterator[tuple[Job, float]]:
    """Yield the job and the time of its newest verdict that a delivery should put on /metrics."""
    job = each.document.get("workflow_job")
    if job is not None and job["conclusion"] in ("success", "failure"):
        ended = datetime.fromisoformat(job["completed_at"]).timestamp()
        yield (job["workflow_name"], job["name"]), ended


def write_config(folder: Path, server: GitHubServer) -> None:
    """Write a configuration that reads the fake GitHub and accepts its webhooks."""
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
        write_config(folder, server)
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
                "the whole trunk has been read",
                TIMEOUT_SECONDS * 4,
            )
            yield running


def row(late: Sequence[float], what: str) -> str:
    """Return one line of a table."""
    p99 = quantiles(late, n=100)[98] * 1000
    return f"| {what} | {median(late) * 1000:.0f} ms | {p99:.0f} ms | {max(late) * 1000:.0f} ms |"


def main() -> int:
    """Measure and print."""
    with bench(COMMITS, WORKFLOWS, JOBS) as running:
        late = running.measure(RATE, SECONDS)
    print("| webhook accepted until its value is on /metrics | median | p99 | worst |")
    print("|---|---|---|---|")
    print(row(late, f"{RATE:.0f} deliveries a second, {len(late)} results"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
