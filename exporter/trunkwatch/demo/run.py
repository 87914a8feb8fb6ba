"""`make run`: the whole stack on one machine, with the recorded incident or your own config."""

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests
import yaml

from trunkwatch.addresses import job_path, trunk_path
from trunkwatch.demo.binaries import BinaryNotFoundError
from trunkwatch.demo.ci import COMPARE, RunPages
from trunkwatch.demo.incident import INCIDENT, LAST_GREEN
from trunkwatch.demo.play import play
from trunkwatch.demo.receiver import QUIET, Delivery, Receiver, as_text, framed
from trunkwatch.demo.stack import HOST, Pace, Ports, Stack, StackError, is_taken
from trunkwatch.demo.tickets import Tickets
from trunkwatch.domain.model import JobKey, Trunk

HISTORY = LAST_GREEN + 1
"""Commits of the incident that exist from the start."""

INTERVAL = 8.0
"""Seconds between commits: enough to read each line, and for a scrape and a rule evaluation."""

TRUNK = Trunk("pytorch/pytorch", "main")
BROKEN_JOB = JobKey(
    *TRUNK, "inductor", "linux-jammy-cpu-py3.10-gcc11-inductor / test (inductor_torchbench)"
)

RECORDING = "recording.ndjson"
"""The copy of the incident whose addresses open."""

POLL_SECONDS = 0.5
"""Seconds between two readings of the exporter's metrics."""


def log(text: str) -> None:
    """Print a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


class StreakWatcher:
    """A reader of the exporter's metrics that reports changes of streaks."""

    def __init__(self, exporter_port: int) -> None:
        """Args:
        exporter_port: the exporter's port.
        """
        self._metrics = f"http://{HOST}:{exporter_port}/metrics"
        self._values: dict[str, str] = {}

    def changes(self) -> Iterator[str]:
        """Yield a line for each job whose streak has changed since the last call."""
        try:
            lines = requests.get(self._metrics, timeout=5).text.splitlines()
        except requests.RequestException:
            return
        for line in lines:
            if line.startswith("ci_job_consecutive_failures{"):
                series, value = line.rsplit(" ", 1)
                before = self._values.get(series, "0.0")
                self._values[series] = value
                if value != before:
                    name = series.split('job_name="', 1)[1].split('",', 1)[0]
                    yield f"        streak {float(before):.0f} → {float(value):.0f}   {name}"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trunkwatch.demo.run", description=__doc__)
    parser.add_argument("--config", type=Path, help="your own configuration, without the incident")
    parser.add_argument("--exporter-port", type=int, default=10077)
    parser.add_argument("--prometheus-port", type=int, default=9090)
    parser.add_argument("--alertmanager-port", type=int, default=9093)
    parser.add_argument("--interval", type=float, default=INTERVAL, help="seconds between commits")
    return parser.parse_args(arguments)


def _taken_ports(ports: Ports) -> list[str]:
    return [
        f"port {port} is taken, and {name} wants it: stop what listens there, or run"
        f" `make run ARGS='--{name}-port N'`"
        for name, port in (
            ("exporter", ports.exporter),
            ("prometheus", ports.prometheus),
            ("alertmanager", ports.alertmanager),
        )
        if is_taken(port)
    ]


class NotificationHandler:
    """The handler of notifications: it prints them and passes them to the tickets.

    Attributes:
        tickets: receives them too.
        pages: lines with pages to look at, printed after the first one.
    """

    def __init__(self) -> None:
        self.tickets: Tickets | None = None
        self.pages: Sequence[str] = ()

    def delivered(self, delivery: Delivery) -> None:
        """Print a notification and pass it on, unless it is a heartbeat."""
        if delivery.receiver in QUIET:
            return
        print(framed(as_text(delivery)), flush=True)
        pages, self.pages = self.pages, ()
        for line in pages:
            log(line)
        if self.tickets is not None:
            self.tickets.deliver(delivery)


def incident_pages(exporter_port: int) -> list[str]:
    """Return lines with the exporter's pages about the incident."""
    exporter = f"http://localhost:{exporter_port}"
    return [
        "look at it while it lasts:",
        f"  the grid, with the outage outlined  {exporter}{trunk_path(TRUNK)}",
        f"  the job, its suspects and its runs  {exporter}{job_path(BROKEN_JOB)}",
        f"  the runbook of its alert            {exporter}/runbooks/TrunkJobBroken",
    ]


def landed(commit: dict[str, Any]) -> None:
    """Print a line about a new commit."""
    log(f"commit {commit['sha'][:10]} landed: {commit.get('title', '')}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C; return 0, or 2 if the stack cannot run."""
    given = _arguments(arguments)
    ports = Ports(given.exporter_port, given.prometheus_port, given.alertmanager_port)
    problems = _taken_ports(ports)
    if given.config is not None and not given.config.is_file():
        problems.append(f"CONFIG={given.config}: no such file")
    for problem in problems:
        print(f"make run: {problem}", file=sys.stderr)
    if problems:
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with tempfile.TemporaryDirectory(prefix="trunkwatch-demo-") as folder:
        try:
            _run(Path(folder), ports, given, stop)
        except (StackError, BinaryNotFoundError) as error:
            print(f"make run: {error}", file=sys.stderr)
            return 2
    return 0


def _run(folder: Path, ports: Ports, given: argparse.Namespace, stop: threading.Event) -> None:
    runs = RunPages(INCIDENT)
    if given.config is not None:
        config, pace = (
            given.config.resolve(),
            Pace(scrape="15s", group_wait="10s", group_interval="1m"),
        )
    else:
        config, pace = _prepare(folder, runs, ports), Pace()
    handler = NotificationHandler()
    if given.config is None:
        handler.pages = incident_pages(ports.exporter)
    receiver = Receiver(handler.delivered)
    receiver.start()
    runs.start()
    try:
        log("starting exporter, Prometheus and Alertmanager …")
        with Stack(folder, config, receiver.port, ports, pace) as stack:
            tickets = handler.tickets = Tickets(folder, config, ports)
            tickets.links_silences = stack.has_silence_page()
            try:
                tickets.start()
                _welcome(stack)
                _watch(stack, tickets, given, stop)
                log("stopping …")
            finally:
                handler.tickets = None
                tickets.stop()
    finally:
        receiver.stop()
        runs.stop()
    log("stopped; nothing is left running")


def _prepare(folder: Path, runs: RunPages, ports: Ports) -> Path:
    """Write the files of the incident; return the configuration."""
    runs.copied(INCIDENT, folder / RECORDING)
    (folder / "incident.ndjson").touch()
    config = folder / "trunkwatch.yml"
    settings = yaml.safe_load(INCIDENT.with_name("trunkwatch.yml").read_text("utf-8"))
    compare = f"{runs.address}{COMPARE}{{last_good}}...{{first_bad}}"
    settings["sources"][0]["compare_url"] = compare
    settings["tickets"] = {"url": f"http://{HOST}:{ports.tickets}"}
    settings["alertmanager"] = {"url": f"http://{HOST}:{ports.alertmanager}"}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def _welcome(stack: Stack) -> None:
    alertmanager = f"http://localhost:{stack.ports.alertmanager}"
    if not stack.has_silence_page():
        alertmanager += "/api/v2/alerts   (Debian's has no web pages; amtool silences)"
    log(f"exporter      http://localhost:{stack.ports.exporter}")
    log(f"Prometheus    http://localhost:{stack.ports.prometheus}{stack.alerts_page()}")
    log(f"Alertmanager  {alertmanager}")
    log("Ctrl-C stops all of it")


def _watch(
    stack: Stack, tickets: Tickets, given: argparse.Namespace, stop: threading.Event
) -> None:
    """Replay the incident if there is one, and print changes, until asked to stop."""
    player = threading.Thread(target=_play, args=(stack, given, stop), daemon=True)
    if given.config is None:
        log(f"playing a recorded incident, a commit every {given.interval:g} seconds")
        player.start()
    streaks = StreakWatcher(stack.ports.exporter)
    while not stop.wait(POLL_SECONDS):
        for line in streaks.changes():
            log(line)
        for ticket in tickets.new_requests():
            print(framed(f"THE TICKET (dry run: nothing is sent): {ticket}"), flush=True)
        for program in (*stack.programs, tickets.program):
            program.check()
    if player.is_alive():
        player.join()


def _play(stack: Stack, given: argparse.Namespace, stop: threading.Event) -> None:
    play(
        stack.folder / RECORDING,
        stack.folder / "incident.ndjson",
        given.interval,
        HISTORY,
        landed,
        stop,
    )
    if not stop.is_set():
        log("the incident is over; the stack stays up for you to look around, Ctrl-C stops it")


if __name__ == "__main__":
    sys.exit(main())
