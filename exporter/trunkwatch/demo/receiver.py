"""A receiver of Alertmanager's webhooks that prints each notification in readable form.

The format of its requests: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from trunkwatch.demo.server import BackgroundServer

BODY_LIMIT = 4 * 1024 * 1024
"""The size limit of a notification in bytes; Alertmanager's are far smaller."""

QUIET = frozenset({"heartbeat"})
"""Receivers whose notifications are not printed: the heartbeat arrives every minute."""


class Delivery(NamedTuple):
    """One notification.

    Attributes:
        receiver: the path of the request, by convention the receiver's name.
        body: Alertmanager's JSON.
    """

    receiver: str
    body: Mapping[str, Any]

    @property
    def status(self) -> str:
        """`firing` or `resolved`."""
        return str(self.body.get("status", "?"))

    @property
    def alerts(self) -> list[Mapping[str, Any]]:
        """The alerts of the notification."""
        return list(self.body.get("alerts", []))


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        try:
            if not 0 < length <= BODY_LIMIT:
                raise ValueError(f"the body must have 1 to {BODY_LIMIT} bytes")
            body = json.loads(self.rfile.read(length))
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
        except ValueError as error:
            self.send_error(400, str(error))
            return
        self.server.delivered(Delivery(self.path.strip("/") or "unrouted", body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log no requests: the notifications are printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], delivered: Callable[[Delivery], None]) -> None:
        super().__init__(address, _Handler)
        self.delivered = delivered


class Receiver(BackgroundServer):
    """An HTTP server that receives notifications until it is stopped."""

    def __init__(
        self, delivered: Callable[[Delivery], None], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Args:
        delivered: called with each notification, possibly from several threads at once.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        """
        super().__init__(_Server((host, port), delivered))


def as_text(delivery: Delivery) -> str:
    """Return a notification as text: title, state, owner, and the facts of each alert."""
    common: Mapping[str, str] = delivery.body.get("commonAnnotations", {})
    labels: Mapping[str, str] = delivery.body.get("commonLabels", {})
    title = common.get("title") or common.get("summary") or labels.get("alertname", "alert")
    firing = sum(alert.get("status") == "firing" for alert in delivery.alerts)
    state = f"FIRING, {firing} of {len(delivery.alerts)}" if firing else "RESOLVED"
    who = f"team {labels.get('team', '?')}, priority {labels.get('priority', '?')}"
    lines = [f"{title}", f"{state} · {who} · delivered to {delivery.receiver}"]
    for alert in delivery.alerts:
        lines.extend(_alert_lines(alert))
    return "\n".join(lines)


def _alert_lines(alert: Mapping[str, Any]) -> Iterator[str]:
    labels, notes = alert.get("labels", {}), alert.get("annotations", {})
    name = labels.get("job_name") or labels.get("alertname", "?")
    workflow = f"{labels['workflow']} / " if labels.get("workflow") else ""
    yield f"  {'✗' if alert.get('status') == 'firing' else '✓'} {workflow}{name}"
    for fact in str(notes.get("description") or notes.get("summary", "")).splitlines():
        yield f"      {fact}"


def framed(text: str) -> str:
    """Return a text with a frame at its left, which makes it stand out among log lines."""
    first, *rest = text.split("\n")
    return "\n".join(["", f"┏━ {first}", *(f"┃  {line}" for line in rest), "┗━", ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Listen and print until killed."""
    parser = argparse.ArgumentParser(prog="python -m trunkwatch.demo.receiver", description=__doc__)
    parser.add_argument("--web.listen-address", dest="address", default="127.0.0.1:9095")
    host, _, port = parser.parse_args(arguments).address.rpartition(":")

    def delivered(delivery: Delivery) -> None:
        if delivery.receiver not in QUIET:
            print(framed(as_text(delivery)), flush=True)

    receiver = Receiver(delivered, host or "127.0.0.1", int(port))
    receiver.start()
    print(f"waiting for notifications on port {receiver.port}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        receiver.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
