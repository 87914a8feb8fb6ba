"""`make bench`: what the rules cost a real Prometheus while half of 10,000 jobs are broken.

The duration of a group's evaluation is that which Prometheus reports: the least of those measured,
since other programs of the machine only add to it. The CPU time is that of Prometheus with rules
less without them, by the number of evaluations. It contains the garbage collector, which runs
beside an evaluation.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import requests
import yaml
from trunkwatch.demo.binaries import find_binary
from trunkwatch.demo.stack import Program, free_port
from trunkwatch.engine.snapshot import Totals
from trunkwatch.metrics.exposition import PLAIN, Exposition

from rules import build
from tools.bench_serving import snapshot_of

JOBS, BROKEN_EACH = 10_000, 2
SCRAPE_SECONDS, EVALUATION_SECONDS = 20, 20
WARM_SECONDS, MEASURED_SECONDS = 65.0, 80.0

GROUP = (
    "min(min_over_time("
    'prometheus_rule_group_last_duration_seconds{{rule_group=~".*;{group}"}}[80s]))'
)


@contextmanager
def exporter() -> Iterator[int]:
    """Serve /metrics of the jobs on a port."""
    snapshot = snapshot_of(JOBS, BROKEN_EACH)
    body = Exposition(lambda: snapshot, Totals, "0").body(PLAIN, zipped=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", PLAIN.content_type)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


def settings(port: int, web: int, rules: Path) -> dict[str, Any]:
    """Return Prometheus' settings."""
    return {
        "global": {
            "scrape_interval": f"{SCRAPE_SECONDS}s",
            "scrape_timeout": f"{SCRAPE_SECONDS}s",
            "evaluation_interval": f"{EVALUATION_SECONDS}s",
        },
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": "trunkwatch", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
            {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{web}"]}]},
        ],
    }


def measure(folder: Path, port: int, rules: str) -> Mapping[str, float]:
    """Run Prometheus on some rules; return its CPU seconds and the numbers of its series."""
    (folder / "trunkwatch.rules.yml").write_text(rules)
    web = free_port()
    config = settings(port, web, folder / "trunkwatch.rules.yml")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{web}"
    command = [
        str(find_binary("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{web}",
    ]
    prometheus = Program("prometheus", command, folder, f"{url}/-/ready")
    prometheus.start()
    try:
        prometheus.wait_ready()
        time.sleep(WARM_SECONDS)
        before = cpu_seconds(prometheus.pid)
        time.sleep(MEASURED_SECONDS)
        found = {"cpu": cpu_seconds(prometheus.pid) - before}
        for name, query in QUERIES.items():
            answer = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=60)
            samples = answer.json()["data"]["result"]
            found[name] = float(samples[0]["value"][1]) if samples else 0.0
        return found
    finally:
        prometheus.stop()


def cpu_seconds(pid: int | None) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


QUERIES = {
    "group trunkwatch-jobs, s": GROUP.format(group="trunkwatch-jobs"),
    "group trunkwatch-trunks, s": GROUP.format(group="trunkwatch-trunks"),
    "scraped series": 'sum(scrape_samples_scraped{job="trunkwatch"})',
    "recorded series": 'count({__name__=~".+:.+"})',
    "alerts": 'count(ALERTS{alertname="TrunkJobBroken"})',
}


def main() -> int:
    """Print the table."""
    print(f"{JOBS:,} jobs, one in {BROKEN_EACH} broken\n\n| what | number |\n|---|---|")
    with exporter() as port:
        runs = []
        for rules in (build.render(), "groups: []\n"):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(measure(Path(folder), port, rules))
    with_rules, without = runs
    evaluations = MEASURED_SECONDS / EVALUATION_SECONDS
    cost = (with_rules["cpu"] - without["cpu"]) / evaluations
    print(f"| one evaluation of all rules, CPU s | {cost:.2f} |")
    for name in QUERIES:
        print(f"| {name} | {with_rules[name]:,.2f} |".replace(".00 |", " |"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
