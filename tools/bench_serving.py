"""`make bench`: the cost of serving and publishing, as tables of growth.

Counts are the same on every machine. Times are CPU of this process; compare ratios, and only within
one run. The exponent of a column is that of its last figure to its first: 0 does not grow, 1 is
linear.
"""

import gzip
import math
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from unittest import mock

from trunkwatch.blocks import blocks, gzip_member
from trunkwatch.config import parse_config
from trunkwatch.domain.branch import group_states
from trunkwatch.domain.groups import DEFAULT_GROUP
from trunkwatch.domain.history import ColumnHistory, Place
from trunkwatch.domain.job import JobRules, JobState, evaluate_job
from trunkwatch.domain.model import Commit, JobKey, Observation, RawJob, Trunk, TrunkOrder, Verdict
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, Totals, TrunkSource, TrunkState
from trunkwatch.metrics import exposition, lines
from trunkwatch.metrics.collector import branch_families, job_families
from trunkwatch.metrics.exposition import OPENMETRICS, Exposition
from trunkwatch.poller.totals import Counters
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.report import trunk_text
from trunkwatch.sources import Refresh
from trunkwatch.store import MEMORY, SqliteStore
from trunkwatch.web import Pages, WebServer
from trunkwatch.web.view import View

SIZES = (500, 5_000, 50_000)
JSON_SIZES = (100, 1_000, 10_000)
GRID_SIZES, GRID_COMMITS = (100, 500, 10_000), 100
REPOSITORIES = (10, 100, 1_000)
LIVE_JOBS, LIVE_CLIENTS, LIVE_SECONDS = 10_000, 8, 10.0
COMMITS, CHANGES, JOBS_OF_REPOSITORY = 60, 9, 5
RECENT = slice(-10 - CHANGES, -CHANGES)
"""The commits of which each repository has results beforehand."""

START, NOW = 1.7e9, 1.7e9 + COMMITS * 3600
TRUNK = Trunk("bench/large", "main")
GRID_PATH = f"/trunk/{TRUNK.repo}/{TRUNK.branch}"
JSON_PATH = f"/api/v1/trunk/{TRUNK.repo}/{TRUNK.branch}"
SCRAPE_PAUSE_SECONDS = 0.03
RANDOM = random.Random(1)  # noqa: S311 — it makes histories, not keys
MEBI = 1024.0 * 1024.0

Row = Mapping[str, float]
"""One line of a table: numbers by column."""


# ---------------------------------------------------------------------- a snapshot


def order_of(trunk: Trunk, commits: int = COMMITS) -> TrunkOrder:
    """Return commits, one an hour."""
    return TrunkOrder(
        trunk,
        tuple(
            Commit(f"{n + 1:04x}{0:036x}", START + n * 3600, f"author {n}", f"change {n}")
            for n in range(commits)
        ),
    )


def rows_of(trunk: Trunk, job: RawJob, *, broken: bool) -> list[Observation]:
    """Return a result at each commit; of a broken job the newest four are failures."""
    return [
        Observation(
            trunk, commit.sha, job, "completed",
            "failure" if broken and n >= COMMITS - 4 else "success",
            run_id=n, job_id=n, head_branch=trunk.branch, head_repo=trunk.repo,
            started_at=commit.committed_at, completed_at=(commit.committed_at or 0.0) + 1200.5,
            url=f"https://ci.example.org/{trunk.repo}/runs/{n}/job/{n}",
        )
        for n, commit in enumerate(order_of(trunk).commits)
    ]  # fmt: skip


def snapshot_of(jobs: int, broken_each: int = 50) -> Snapshot:
    """Return one trunk; one job in `broken_each` is broken."""
    order, raw = order_of(TRUNK), RawJob("w", None, "j")
    states = {
        broken: evaluate_job(
            JobKey(*TRUNK, "w", "j"), rows_of(TRUNK, raw, broken=broken),
            JobRules(DEFAULT_GROUP, order, Policy().evidence, NOW),
        )
        for broken in (False, True)
    }  # fmt: skip
    found = tuple(
        replace(
            states[n % broken_each == 0],
            key=JobKey(
                *TRUNK,
                f"workflow-{n // 500:03d}",
                f"linux-jammy-py3.10 / test (suite-{n:05d}, 1, 1, linux.4xlarge)",
            ),
            last_verdict_at=START + n,
        )
        for n in range(jobs)
    )
    sources = (TrunkSource("ci", True, NOW, 60.0),)
    state = TrunkState(
        order, found, group_states(TRUNK, found), None, None, {}, {}, {}, None,
        sources=sources, data_at=NOW,
    )  # fmt: skip
    status = SourceStatus("ci", True, True, NOW, 1.0, 60.0)
    return Snapshot(NOW, (state,), (status,), complete=True)


def with_jobs(snapshot: Snapshot, change: Callable[[int, JobState], JobState]) -> Snapshot:
    """Return a snapshot with other jobs."""
    (trunk,) = snapshot.trunks
    jobs = tuple(change(place, job) for place, job in enumerate(trunk.jobs))
    return replace(snapshot, trunks=(replace(trunk, jobs=jobs),))


def changed(snapshot: Snapshot, turn: int) -> Snapshot:
    """Return a snapshot with a new result of one job."""
    place = turn * len(snapshot.trunks[0].jobs) // (CHANGES + 1)
    at = START + turn

    def change(number: int, job: JobState) -> JobState:
        if number != place:
            return job
        return replace(job, last_verdict_at=at, last_success_at=at, consecutive_failures=turn)

    return with_jobs(snapshot, change)


@dataclass
class Site:
    """Pages over a snapshot that can be replaced.

    Attributes:
        snapshot: the state.
    """

    snapshot: Snapshot

    def __post_init__(self) -> None:
        self.exposition = Exposition(lambda: self.snapshot, Totals, "bench")
        view = View(lambda: self.snapshot)
        self.pages = Pages(lambda: view, self.exposition, lambda: NOW, "bench")

    def ask(self, path: str, **headers: str) -> tuple[int, dict[str, str]]:
        """Send a request; return the length of the answer and its headers.

        Raises:
            ValueError: the answer is neither 200 nor 304.
        """
        found: dict[str, str] = {}

        def start(status: str, given: list[tuple[str, str]], _error: object = None) -> object:
            if not status.startswith(("200 ", "304 ")):
                raise ValueError(f"{path}: {status}")
            found.update(given)
            return None

        request = {"PATH_INFO": path, "REQUEST_URI": path, "REQUEST_METHOD": "GET", **headers}
        return sum(map(len, self.pages(request, start))), found  # type: ignore[arg-type]  # no write()

    def scrape(self) -> int:
        """Scrape as Prometheus does; return the length of the answer."""
        accept = "application/openmetrics-text"
        return self.ask("/metrics", HTTP_ACCEPT_ENCODING="gzip", HTTP_ACCEPT=accept)[0]


# ---------------------------------------------------------------------- measuring


def cpu(work: Callable[[], object], times: int = 1) -> float:
    """Return the median CPU time of a call (milliseconds)."""
    seconds = []
    for _ in range(times):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return median(seconds) * 1000


class Counted:
    """Counts the calls of some functions for a `with` block."""

    def __init__(self, **functions: tuple[object, str]) -> None:
        self.counts = dict.fromkeys(functions, 0)
        self._patches = [
            mock.patch.object(where, name, self._counting(label, getattr(where, name)))
            for label, (where, name) in functions.items()
        ]

    def _counting(self, label: str, function: Callable[..., object]) -> Callable[..., object]:
        def counting(*args: object) -> object:
            self.counts[label] += 1
            return function(*args)

        return counting

    def __enter__(self) -> "Counted":
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for patch in self._patches:
            patch.stop()


def table(title: str, sizes: Sequence[int], row: Callable[[int], Row]) -> Iterator[str]:
    """Yield the lines of a table with one row per size, and the exponents."""
    rows = [row(size) for size in sizes]
    yield f"\n| {title} | {' | '.join(rows[0])} |"
    yield "|---" * (len(rows[0]) + 1) + "|"
    for size, each in zip(sizes, rows, strict=True):
        yield f"| {size:,} | {' | '.join(_figure(value) for value in each.values())} |"
    growth = math.log(sizes[-1] / sizes[0])
    ends = zip(rows[0].values(), rows[-1].values(), strict=True)
    exponents = (math.log(max(last, 1e-9) / max(first, 1e-9)) / growth for first, last in ends)
    yield f"| exponent | {' | '.join(f'{exponent:.2f}' for exponent in exponents)} |"


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


# ---------------------------------------------------------------------- rows


def one_change(jobs: int) -> Row:
    """Measure from a new snapshot with one changed job to a scrape of it."""
    counted = Counted(
        rendered=(exposition, "job_texts"),
        compressed=(blocks, "deflate"),
        combined=(gzip_member, "crc32_combine"),
    )
    with counted:
        site = Site(snapshot_of(jobs))
        site.scrape()
        snapshots = [site.snapshot]
        for turn in range(1, CHANGES + 1):
            snapshots.append(changed(snapshots[-1], turn))
        counted.counts = dict.fromkeys(counted.counts, 0)
        updates, scrapes = [], []
        for site.snapshot in snapshots[1:]:
            updates.append(cpu(site.exposition.update))
            scrapes.append(cpu(site.scrape))
    counts = {label: round(count / CHANGES) for label, count in counted.counts.items()}
    everything = cpu(lambda: at_once(site.snapshot))
    update = median(updates)
    return {
        "jobs rendered": counts["rendered"],
        "texts compressed": counts["compressed"],
        "CRCs combined": counts["combined"],
        "update, ms": update,
        "scrape, ms": median(scrapes),
        "prometheus_client / update": everything / update,
    }


def at_once(snapshot: Snapshot) -> bytes:
    """Render all families with prometheus_client, and compress them."""
    families = [*job_families(snapshot.trunks), *branch_families(snapshot.trunks)]
    return gzip.compress(OPENMETRICS.bytes_of(families), 1)


def all_changed(jobs: int) -> Row:
    """Measure an update of which every job has changed."""
    site = Site(snapshot_of(jobs))
    size = site.scrape()
    site.snapshot = with_jobs(
        site.snapshot, lambda n, job: replace(job, consecutive_failures=n % 7, pending=1)
    )
    update = cpu(site.exposition.update)
    everything = cpu(lambda: at_once(site.snapshot))
    return {
        "bytes, gzip": size,
        "update, ms": update,
        "prometheus_client, ms": everything,
        "ratio": everything / update,
    }


def unpacking(jobs: int) -> Row:
    """Measure reading the compressed exposition, against one gzip stream of the same text."""
    site = Site(snapshot_of(jobs))
    packed = site.exposition.body(OPENMETRICS, zipped=True)
    text = gzip.decompress(packed)
    whole = gzip.compress(text, 1)
    ours, theirs = (cpu(lambda data=data: gzip.decompress(data), 3) for data in (packed, whole))  # type: ignore[misc]  # a default argument
    return {
        "members": packed.count(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"),
        "bytes": len(packed),
        "unpacking, ms": ours,
        "gzip.compress: bytes": len(whole),
        "ratio of unpacking": ours / theirs,
    }


def json_object(jobs: int) -> Row:
    """Measure requests for the JSON object."""
    counted = Counted(rendered=(trunk_text, "job_object"))
    site = Site(snapshot_of(jobs))
    after = []
    with counted:
        first = cpu(lambda: site.ask(JSON_PATH))
        counted.counts["rendered"] = 0
        for turn in range(1, CHANGES + 1):
            site.snapshot = changed(site.snapshot, turn)
            after.append(cpu(lambda: site.ask(JSON_PATH, HTTP_ACCEPT_ENCODING="gzip")))
    size, headers = site.ask(JSON_PATH)
    return {
        "bytes": size,
        "first, ms": first,
        "jobs rendered": round(counted.counts["rendered"] / CHANGES),
        "changed, ms": median(after),
        "plain, ms": cpu(lambda: site.ask(JSON_PATH), 5),
        "gzip, ms": cpu(lambda: site.ask(JSON_PATH, HTTP_ACCEPT_ENCODING="gzip"), 5),
        "304, ms": cpu(lambda: site.ask(JSON_PATH, HTTP_IF_NONE_MATCH=headers["ETag"]), 5),
    }


@dataclass(frozen=True)
class Delivery:
    """A webhook with one result."""

    fact: Fact
    needs_refresh: bool = False

    def facts(self, state: SourceState) -> list[Fact]:
        """Return the result."""
        del state
        return [self.fact]


def one_delivery(repositories: int) -> Row:
    """Measure one delivery among repositories of a few jobs each, until it can be scraped."""
    text = "".join(
        f"- {{name: s{n}, type: github, repo: o/r{n:05d}, branches: [main]}}\n"
        for n in range(repositories)
    )
    engine = TrunkEngine(
        parse_config(f"sources:\n{text}", "bench.yml"), SqliteStore(MEMORY), Counters(), lambda: NOW
    )
    trunks = [Trunk(f"o/r{n:05d}", "main") for n in range(repositories)]
    for n, trunk in enumerate(trunks):
        jobs = [RawJob("ci", None, f"job {place}") for place in range(JOBS_OF_REPOSITORY)]
        facts = [row for job in jobs for row in rows_of(trunk, job, broken=False)[RECENT]]
        engine.ingest_refresh(f"s{n}", Refresh([order_of(trunk), *facts]), lambda: 1.0)
    site = Exposition(lambda: engine.snapshot, Totals, "bench")
    site.answer(OPENMETRICS, zipped=True)
    evaluating, rendering = [], []
    counted = Counted(
        published=(TrunkEngine, "_state_of"), rendered=(lines, "job_samples"),
        compressed=(blocks, "deflate"),
    )  # fmt: skip
    with counted:
        for turn in range(CHANGES):
            number = turn * repositories // CHANGES
            row = rows_of(trunks[number], RawJob("ci", None, "job 1"), broken=False)[turn - CHANGES]
            engine.ingest_delivery(f"s{number}", Delivery(row))
            evaluating.append(cpu(engine.evaluate_pending))
            rendering.append(cpu(site.update))
    return {
        "trunks published": round(counted.counts["published"] / CHANGES),
        "jobs rendered": round(counted.counts["rendered"] / CHANGES),
        "texts compressed": round(counted.counts["compressed"] / CHANGES),
        "evaluate and publish, ms": median(evaluating),
        "render, ms": median(rendering),
    }


# ---------------------------------------------------------------------- clients


CLIENTS = """
import http.client, sys, threading, time
port, path, encoding, number, seconds = sys.argv[1:]
end = time.monotonic() + float(seconds)
def ask():
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    while time.monotonic() < end:
        connection.request("GET", path, headers={"Accept-Encoding": encoding})
        answer = connection.getresponse()
        while answer.read(65536): pass
for _ in range(int(number)): threading.Thread(target=ask).start()
"""

# On the loopback device, the kernel may delay the acknowledgement of a large segment by 40 ms.
SCRAPER = """
import http.client, socket, sys, time
port, seconds, pause = sys.argv[1:]
end = time.monotonic() + float(seconds)
connection = http.client.HTTPConnection("127.0.0.1", int(port))
connection.connect()
def acknowledge_at_once():
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
headers = {"Accept-Encoding": "gzip", "Accept": "application/openmetrics-text"}
while time.monotonic() < end:
    begun = time.perf_counter()
    connection.request("GET", "/metrics", headers=headers)
    acknowledge_at_once()
    answer = connection.getresponse()
    while answer.read(65536): acknowledge_at_once()
    print((time.perf_counter() - begun) * 1000)
    time.sleep(float(pause))
"""


def grid(jobs: int) -> Row:
    """Measure the page of a trunk with 100 commits, of at most 500 jobs."""
    site = Site(snapshot_of(jobs))
    site.snapshot = with_jobs(site.snapshot, lambda _, job: replace(job, history=_history()))
    (trunk,) = site.snapshot.trunks
    longer = replace(trunk, order=order_of(TRUNK, GRID_COMMITS))
    site.snapshot = replace(site.snapshot, trunks=(longer,))
    asked = {"QUERY_STRING": "commits=100", "REQUEST_URI": GRID_PATH}
    first = cpu(lambda: site.ask(GRID_PATH, **asked))
    after = []
    for turn in range(1, CHANGES + 1):
        site.snapshot = changed(site.snapshot, turn)
        after.append(cpu(lambda: site.ask(GRID_PATH, **asked)))
    plain, headers = site.ask(GRID_PATH, **asked)
    zipped = {**asked, "HTTP_ACCEPT_ENCODING": "gzip"}
    known = {**zipped, "HTTP_IF_NONE_MATCH": headers["ETag"]}
    return {
        "bytes": plain,
        "compressed": site.ask(GRID_PATH, **zipped)[0],
        "first, ms": first,
        "changed, ms": median(after),
        "kept, gzip, ms": cpu(lambda: site.ask(GRID_PATH, **zipped), 9),
        "304, ms": cpu(lambda: site.ask(GRID_PATH, **known), 9),
    }


def _history() -> ColumnHistory:
    """Return verdicts as they are on a busy trunk: nearly all pass."""
    kinds: list[Verdict | None] = [*Verdict, None]
    drawn = RANDOM.choices(kinds, [92, 2, 2, 2, 1, 1], k=GRID_COMMITS)
    return ColumnHistory(Place(at, verdict) for at, verdict in enumerate(drawn) if verdict)


def beside_clients(path: str, encoding: str, number: int) -> Row:
    """Measure scrapes and memory while a number of clients ask for a page as fast as they can."""
    site = Site(snapshot_of(LIVE_JOBS))
    server = WebServer("127.0.0.1:0", site.pages)
    server.start()
    site.scrape()
    site.ask(path, HTTP_ACCEPT_ENCODING=encoding)  # rendered already, as it is but for the first
    port, seconds = str(server.port), str(LIVE_SECONDS)
    before = peak = _resident()
    scraper = [sys.executable, "-c", SCRAPER, port, seconds, str(SCRAPE_PAUSE_SECONDS)]
    clients = [sys.executable, "-c", CLIENTS, port, path, encoding, str(number), seconds]
    with (
        subprocess.Popen(clients) as asking,
        subprocess.Popen(scraper, stdout=subprocess.PIPE, text=True) as scraping,
    ):
        while asking.poll() is None or scraping.poll() is None:
            peak = max(peak, _resident())
            time.sleep(SCRAPE_PAUSE_SECONDS)
        late = sorted(float(line) for line in scraping.stdout or ())
    threading.Thread(target=server.stop, daemon=True).start()
    return {
        "scrapes": len(late),
        "median, ms": median(late),
        "p99, ms": late[int(len(late) * 0.99)],
        "RSS before, MiB": before,
        "RSS at most, MiB": peak,
    }


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / MEBI


GROWTH: tuple[tuple[str, Sequence[int], Callable[[int], Row]], ...] = (
    ("one of so many jobs changed", SIZES, one_change),
    ("all jobs changed", SIZES, all_changed),
    ("gzip of /metrics, jobs", SIZES, unpacking),
    ("JSON object, jobs", JSON_SIZES, json_object),
    ("the grid, jobs", GRID_SIZES, grid),
    ("one delivery among so many repositories", REPOSITORIES, one_delivery),
)
"""The tables of growth: title, sizes, and the function that measures one row."""


def main() -> int:
    """Measure and print."""
    for title, sizes, row in GROWTH:
        for line in table(title, sizes, row):
            print(line, flush=True)
    kinds = {
        "nothing": (JSON_PATH, "identity", 0),
        "JSON": (JSON_PATH, "identity", LIVE_CLIENTS),
        "JSON, gzip": (JSON_PATH, "gzip", LIVE_CLIENTS),
        "/metrics, identity": ("/metrics", "identity", LIVE_CLIENTS),
        "the grid, gzip": (GRID_PATH, "gzip", LIVE_CLIENTS),
    }
    for number, (what, asked) in enumerate(kinds.items()):
        found = beside_clients(*asked)
        if not number:
            print(f"\n| {LIVE_CLIENTS} clients, {LIVE_JOBS:,} jobs | {' | '.join(found)} |")
            print("|---" * (len(found) + 1) + "|")
        print(f"| {what} | {' | '.join(map(_figure, found.values()))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
