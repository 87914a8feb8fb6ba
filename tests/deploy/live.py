"""Runs a real Alertmanager on loopback."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
