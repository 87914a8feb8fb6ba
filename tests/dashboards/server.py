"""A real Prometheus on loopback, with a storage that promtool creates."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.engines import find_engine

READY_WITHIN_SECONDS = 60.0
POLL_SECONDS = 0.1


class Prometheus:
    """A client of Prometheus that sends the requests of Grafana.

    Attributes:
        url: the base URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expr: str, at: float) -> list[dict[str, Any]]:
        """Return the vector that the expression has at one time."""
        data = self._ask("/api/v1/query", {"query": expr, "time": at})
        assert data["resultType"] == "vector", data["resultType"]
        return list(data["result"])

    def query_range(
        self, expr: str, start: float, end: float, step: float = 60
    ) -> list[dict[str, Any]]:
        """Return the series that the expression has over a range."""
        asked = {"query": expr, "start": start, "end": end, "step": step}
        return list(self._ask("/api/v1/query_range", asked)["result"])

    def samples(self, expr: str, start: float | None, end: float, step: float) -> int:
        """Return how many samples a query loads; it has one time where there is no start."""
        asked: dict[str, Any] = {"query": expr, "time": end, "stats": "all"}
        if start is not None:
            asked |= {"start": start, "end": end, "step": step}
        path = "/api/v1/query" if start is None else "/api/v1/query_range"
        return int(self._ask(path, asked)["stats"]["samples"]["totalQueryableSamples"])

    def label_values(self, series: str, label: str, start: float, end: float) -> list[str]:
        """Return the values that a label has in the series of a range."""
        asked = {"match[]": series, "start": start, "end": end}
        return list(self._ask(f"/api/v1/label/{label}/values", asked))

    def _ask(self, path: str, asked: dict[str, Any]) -> Any:
        response = requests.get(self.url + path, params=asked, timeout=30)
        assert response.status_code == 200, response.text
        body = response.json()
        assert body["status"] == "success"
        assert not body.get("warnings")
        assert not body.get("infos")
        return body["data"]


def seed(openmetrics: str, folder: Path, pair: str) -> Path:
    """Return a storage whose blocks contain the samples."""
    exposition, storage = folder / "samples.om", folder / "storage"
    exposition.write_text(openmetrics, encoding="utf-8")
    subprocess.run(
        [
            find_engine(pair, "promtool"),
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            exposition,
            storage,
        ],
        check=True,
        capture_output=True,
    )
    return storage


@contextmanager
def running(storage: Path, pair: str) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes nothing."""
    config, log = storage.parent / "prometheus.yml", storage.parent / "prometheus.log"
    config.write_text("global: {}\n", encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                find_engine(pair, "prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={storage}",
                f"--web.listen-address={address}",
            ],
            stdout=output,
            stderr=output,
        )
        try:
            url = f"http://{address}"
            wait_until_ready(url, process, log)
            yield Prometheus(url)
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return an unused port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `/-/ready` answers 200; fail with the log if the process exits or time is up."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/-/ready", timeout=1).status_code == 200:
                return
        except requests.RequestException:
            pass  # Not listening yet: the deadline decides.
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"Prometheus is not ready:\n{log.read_text(errors='replace')}")
