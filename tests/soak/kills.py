"""SIGKILLs of the real program under load: counts of lost results, corrupt files, wrong series.

    python -m tests.soak.kills --kills 500 --seed 1

A second exporter that is never killed gets the same inputs; in the end both show the same series.
"""

import argparse
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random

import requests

from tests.github.fake import TOKEN
from tests.github.faults import Faults, Kind
from tests.github.server import GitHubServer, serving_github
from tests.github.webhooks import deliveries
from tests.soak.load import (
    DELIVERED,
    POLLED,
    REWRITTEN,
    SECRET,
    Job,
    RecordedFiles,
    Webhooks,
    push,
    trunk_of,
)
from tests.soak.process import Killable
from tests.support.waiting import eventually

FAULT_RATE = 0.1
COMMITS_BEFORE = 4
SETTLE_SECONDS = 300.0
"""Until both exporters have read the end of the load: a wait that GitHub asks for takes a minute,
and a commit in flight is read every 270 seconds where GraphQL is refused."""

SHOWN_SECONDS = 15.0
"""Until a stored result is on /metrics."""

KILLS_PER_TRUNK = 4
"""Kills after which the growing file gets a further trunk."""

BROKEN = re.compile(rf'^ci_job_broken\{{.*repo="{REWRITTEN}".*\}} (\S+)$', re.MULTILINE)
DATA_AT = re.compile(
    r'^ci_branch_data_timestamp_seconds\{[^}]*repo="([^"]*)"[^}]*\} (\S+)$', re.MULTILINE
)
SETTLED_DIFFERENCES = re.compile(r"^ci_(branch_data_|branch_source_data_|job_last_outage_info)")
"""Families that hold when data was read, or which alerts the exporter has seen."""

EVALUATED_AT = re.compile(r"^ci_(job_outage|group_alert)_info$")
"""Families whose value is the time of the last evaluation."""

SERIES = re.compile(r"^(ci_\w+)(\{.*\})? (\S+)$", re.MULTILINE)
VERDICT = re.compile(
    r'^ci_job_last_verdict_timestamp_seconds\{[^}]*job_name="([^"]*)"[^}]*repo="([^"]*)"'
    r'[^}]*workflow="([^"]*)"\} (\S+)$',
    re.MULTILINE,
)

CONFIG = """
sources:
  - {{name: polled, type: github, api_url: '{polled}', repo: framework/polled, branches: [main],
     token_file: {folder}/token, webhook_secret_file: {folder}/secret, poll_interval: 2s}}
  - {{name: delivered, type: github, api_url: '{delivered}', repo: framework/delivered,
     branches: [main], token_file: {folder}/secret, webhook_secret_file: {folder}/secret,
     poll_interval: 2s, order: false}}
  - {{name: order, type: recorded, path: {folder}/order.ndjson}}
  - {{name: growing, type: recorded, path: {folder}/growing.ndjson, poll_interval: 50ms}}
  - {{name: rewritten, type: recorded, path: {folder}/rewritten.ndjson, poll_interval: 20ms}}
groups:
  - {{name: builders, team: t, priority: P1, failures_to_open: 3, match: {{}}}}
tickets: {{api_url: '{issues}', max_new_per_hour: 1000}}
"""


@dataclass
class KillReport:
    """The counts of a run.

    Attributes:
        kills: SIGKILLs of `serve`.
        at_start: those within a second of its start.
        at_reload: those within 150 ms of a SIGHUP.
        at_checkpoint: those when the write-ahead log was about to be written back.
        accepted: webhook deliveries that were answered with 202.
        results: jobs with an accepted result, of the source that has no other way to them.
        retried: deliveries that no process answered, and that were sent again.
        rewrites: times that the rewritten file was written anew.
        series: on the /metrics that are compared in the end.
        lost: accepted results that are not on /metrics.
        corrupt: kills after which the storage failed its integrity check.
        different: series that differ from those of the exporter that was never killed.
        false_resolves: scrapes on which the broken job of the rewritten file was not broken.
        tracebacks: in the logs.
        faults: of the GitHubs.
    """

    kills: int = 0
    at_start: int = 0
    at_reload: int = 0
    at_checkpoint: int = 0
    accepted: int = 0
    results: int = 0
    retried: int = 0
    rewrites: int = 0
    series: int = 0
    faults: int = 0
    lost: int = 0
    corrupt: int = 0
    different: int = 0
    false_resolves: int = 0
    tracebacks: int = 0

    @property
    def wrong(self) -> int:
        """The sum of what must be 0."""
        return self.lost + self.corrupt + self.different + self.false_resolves + self.tracebacks


class KillRun:
    """One exporter under load that is killed, and one that is not."""

    def __init__(self, folder: Path, seed: int, deliveries_wanted: int, stack: ExitStack) -> None:
        self.random = Random(seed)
        self.report = KillReport()
        self.folder = folder
        self._ended = threading.Event()
        self._is_stopped = False
        self._errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self.polled = trunk_of(POLLED, seed, COMMITS_BEFORE, 30)
        self.delivered = trunk_of(DELIVERED, seed + 1, COMMITS_BEFORE, 60)
        self.servers: list[GitHubServer] = [
            stack.enter_context(serving_github(each.fake)) for each in (self.polled, self.delivered)
        ]
        self._queue = push(self.delivered, 1 + deliveries_wanted // 200)
        self.files = RecordedFiles(folder, Random(seed + 2), self.delivered)
        (folder / "token").write_text(TOKEN)
        (folder / "secret").write_text(SECRET)  # is no token: this source only gets webhooks
        self._config = CONFIG.format(
            polled=self.servers[0].url,
            delivered=self.servers[1].url,
            folder=folder,
            issues=self.servers[0].url,
        )
        self.never = self._exporter("never-killed")
        self.killed = self._exporter("killed")
        stack.callback(self._stop)
        targets = (self.never.url, self.killed.url)
        self.hooks = Webhooks("delivered", targets)
        self._polled_hooks = Webhooks("polled", targets)

    def _exporter(self, name: str) -> Killable:
        folder = self.folder / name
        folder.mkdir()
        (folder / "trunkwatch.yml").write_text(self._config)
        # Facts have links to the pages: of both exporters with one address.
        return Killable(folder, "serve", "--web.external-url=http://trunkwatch.example.com")

    # ------------------------------------------------------------------ the run

    def run(self, kills: int) -> KillReport:
        """Kill and restart under load; return the counts."""
        self._read_history()
        self.servers[0].faults = Faults(FAULT_RATE, 1, [
            kind for kind in Kind if kind is not Kind.UNAUTHORIZED and kind is not Kind.HANG
        ])  # fmt: skip
        for load in (self._deliver, self._push_polled, self._grow, self._rewrite):
            self._begin(load)
        while self.killed.kills < kills and not self._is_stopped:
            self._cycle()
            self._raise_error()
        self._settle()
        return self.report

    def stop(self) -> None:
        """End the load after this kill: both exporters run when they are compared."""
        self._is_stopped = True

    def _raise_error(self) -> None:
        """Raise the first error of the load, if there was one."""
        if self._errors:
            raise self._errors[0]

    def _read_history(self) -> None:
        """Let both exporters read everything."""
        for each in (self.never, self.killed):
            each.start()
        for each in (self.never, self.killed):
            each.wait_until_ready()
            eventually(partial(self._has_read, each), "the history")

    @staticmethod
    def _has_read(exporter: Killable) -> bool:
        text = requests.get(f"{exporter.url}/metrics", timeout=30).text
        return all(f'repo="{repo}"' in text for repo in (DELIVERED, POLLED, REWRITTEN)) and (
            'trunkwatch_source_unread_commits{source="polled"} 0.0' in text
        )

    def _cycle(self) -> None:
        """Let the program run for a random while, kill it, and check its storage."""
        random, killed, report = self.random, self.killed, self.report
        how = random.choice(("start", "load", "reload", "checkpoint"))
        if how == "start":
            killed.kill()
            killed.start()
            time.sleep(random.uniform(0.0, 1.0))
            report.at_start += 1
        else:
            killed.wait_until_ready()
            self._check_scrape()
            time.sleep(random.uniform(0.0, 0.3))
        if how == "reload":
            for _ in range(random.choice((1, 1, 3))):
                killed.reload()
                time.sleep(random.uniform(0.0, 0.15))
            report.at_reload += 1
            if random.random() < 0.5:
                self._check_reload()
        if how == "checkpoint":
            report.at_checkpoint += self._wait_for_checkpoint()
        killed.kill()
        report.corrupt += killed.is_corrupt()
        killed.start()
        report.kills = killed.kills

    def _wait_for_checkpoint(self) -> bool:
        """Wait until the write-ahead log is full, so that the next commit writes it back."""
        wal = Path(f"{self.killed.storage}-wal")
        for _ in range(30):
            if wal.exists() and wal.stat().st_size > 990 * 4120:
                return True
            time.sleep(0.01)
        return False

    def _check_scrape(self) -> None:
        """Count the scrapes on which a broken job seems mended, or accepted results are gone.

        Until its trunk is evaluated the job is absent, which the rules of the alerts bridge.
        """
        text = eventually(self._whole_metrics, "the stored results", 30) or ""
        broken = BROKEN.findall(text)
        self.report.false_resolves += broken != ["1.0"]
        self.report.lost += len(self._unseen(text, dict(self._settled_results)))
        self._settled_results = dict(self.hooks.accepted)

    def _check_reload(self) -> None:
        """Count the results accepted before or during a reload that do not appear after it."""
        accepted, deadline = dict(self.hooks.accepted), time.monotonic() + SHOWN_SECONDS
        while unseen := self._unseen(self._whole_metrics() or "", accepted):
            if time.monotonic() > deadline:
                self.report.lost += len(unseen)
                return
            time.sleep(0.1)

    _settled_results: dict[Job, float] = {}  # noqa: RUF012 — replaced, never changed

    def _whole_metrics(self) -> str | None:
        """Return /metrics; None while trunks are evaluated: each is shown when it is done."""
        text = requests.get(f"{self.killed.url}/metrics", timeout=30).text
        return text if f'repo="{DELIVERED}"' in text and BROKEN.search(text) else None

    @staticmethod
    def _unseen(text: str, accepted: dict[Job, float]) -> list[Job]:
        shown = {(repo, flow, name): float(at) for name, repo, flow, at in VERDICT.findall(text)}
        return [job for job, at in accepted.items() if shown.get(job, 0.0) < at]

    def _settle(self) -> None:
        """End the load, let both exporters read all of it, and compare them.

        GitHub's clock stands still meanwhile. Until its newest state is read, the exporters differ
        by the deliveries that were lost: each has polled at another moment.
        """
        self.killed.wait_until_ready()
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} has not ended"
        self._raise_error()
        report, hooks = self.report, self.hooks
        report.faults = len(self.servers[0].faults.happened)
        self.servers[0].faults = Faults()
        ended = time.time()
        for each in (self.never, self.killed):
            eventually(partial(self._has_read_until, each, ended), "the end", SETTLE_SECONDS)
        deadline = time.monotonic() + SHOWN_SECONDS
        while (differences := self.differences()) and time.monotonic() < deadline:
            time.sleep(0.5)
        for line in differences[:20]:
            print(line)
        report.different = len(differences)
        text = requests.get(f"{self.killed.url}/metrics", timeout=30).text
        report.series = len(SERIES.findall(text))
        report.lost += len(self._unseen(text, hooks.accepted))
        report.accepted = hooks.count + self._polled_hooks.count
        report.results = len(hooks.accepted)
        report.retried = hooks.retried + self._polled_hooks.retried
        report.tracebacks = self.killed.tracebacks() + self.never.tracebacks()

    @staticmethod
    def _has_read_until(exporter: Killable, at: float) -> bool:
        """Return whether all that an exporter polls was read after a time (seconds, epoch)."""
        text = requests.get(f"{exporter.url}/metrics", timeout=30).text
        polled = [float(read) for repo, read in DATA_AT.findall(text) if repo != DELIVERED]
        return len(polled) > 1 and min(polled) >= at

    def differences(self) -> list[str]:
        """Return the series that differ."""
        one, other = (self._series(each) for each in (self.never, self.killed))
        return [
            f"{name}: never killed {one.get(name)}, killed {other.get(name)}"
            for name in sorted(one.keys() | other.keys())
            if one.get(name) != other.get(name)
        ]

    def _series(self, exporter: Killable) -> dict[str, str]:
        text = requests.get(f"{exporter.url}/metrics", timeout=30).text
        return {
            name + labels: "" if EVALUATED_AT.match(name) else value
            for name, labels, value in SERIES.findall(text)
            if not SETTLED_DIFFERENCES.match(name)
        }

    # ------------------------------------------------------------------ the load

    def _begin(self, load: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                load()
            except BaseException as error:
                self._errors.append(error)

        thread = threading.Thread(target=guarded, name=load.__name__, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _deliver(self) -> None:
        for each in self._queue:
            if self._ended.is_set():
                return
            self.hooks.send(each)

    def _push_polled(self) -> None:
        """Push commits now and then, and deliver what happens; some deliveries are lost."""
        made, random = self.polled, Random(3)
        sent = made.fake.now
        next_push = 0.0
        while not self._ended.wait(0.3):
            now = time.time()
            if now > next_push:
                made.new_commit(now + 0.1, 75.0)
                next_push = now + 6
            made.fake.now = now
            for each in deliveries(made.fake, sent, now):
                if random.random() < 0.8:
                    self._polled_hooks.send(each)
            sent = now

    def _grow(self) -> None:
        """Let the file grow with the kills, so that a slow machine has no larger one."""
        while not self._ended.wait(0.3):
            if len(self.files.repos) > self.killed.kills / KILLS_PER_TRUNK:
                continue
            repo = self.files.grow()
            if len(self.files.repos) % 2:
                self.files.mend(repo)

    def _rewrite(self) -> None:
        while not self._ended.wait(0.1):
            self.files.rewrite()
            self.report.rewrites += 1

    def _stop(self) -> None:
        self._ended.set()
        for each in (self.killed, self.never):
            each.kill()


@contextmanager
def kill_run(seed: int, deliveries_wanted: int) -> Iterator[KillRun]:
    """Prepare a run in a temporary folder."""
    folder = Path(tempfile.mkdtemp())
    try:
        with ExitStack() as stack:
            yield KillRun(folder, seed, deliveries_wanted, stack)
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Kill and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    with kill_run(options.seed, 10 * options.kills) as run:
        signal.signal(signal.SIGINT, lambda *_: run.stop())
        report = run.run(options.kills)
    for name, value in asdict(report).items():
        print(f"{name:15} {value}")
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
