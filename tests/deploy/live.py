"""Runs a real Alertmanager on loopback, and receives what it posts."""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, NamedTuple

import requests

from tests.support.engines import OLDEST, find_engine

# The timeout of waits, in seconds.
PATIENCE = 30


@contextmanager
def running(config: Path, engines: str = OLDEST) -> Iterator[int]:
    """Run Alertmanager with a config and a storage beside it; yield its port."""
    command = [
        str(find_engine(engines, "alertmanager")),
        f"--config.file={config}",
        f"--storage.path={config.parent / 'storage'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        log: list[str] = []
        try:
            for line in process.stderr:
                log.append(line)
                if found := re.search(r'"Listening on" address=127\.0\.0\.1:(\d+)', line):
                    break
            else:
                raise AssertionError("Alertmanager did not start:\n" + "".join(log))
            # Alertmanager would block once an unread pipe is full.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield int(found.group(1))
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def post(port: int, *alerts: dict[str, Any]) -> None:
    """Send alerts as Prometheus does."""
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    requests.post(url, json=alerts, timeout=PATIENCE).raise_for_status()


class Message(NamedTuple):
    """One posted message.

    Attributes:
        path: the path of the address, without slashes.
        authorization: the header, or nothing.
        body: the JSON.
    """

    path: str
    authorization: str
    body: Any


class Inbox(ThreadingHTTPServer):
    """An HTTP server on a free port that passes each message on."""

    def __init__(self, delivered: Callable[[Message], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Posted)
        self.delivered = delivered


class _Posted(BaseHTTPRequestHandler):
    """Accepts every message, with PagerDuty's status for PagerDuty."""

    server: Inbox

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.strip("/")
        self.server.delivered(Message(path, self.headers.get("Authorization", ""), body))
        self.send_response(202 if path == "pagerduty" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


@contextmanager
def serving(server: TCPServer) -> Iterator[int]:
    """Serve in a thread; yield the port."""
    with server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
