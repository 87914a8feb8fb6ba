"""`make run`: the whole stack on one machine, with the recorded incident or your own config."""

import argparse
import os
import select
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml

from trunkwatch.addresses import job_path, trunk_path
from trunkwatch.demo.binaries import BinaryNotFoundError
from trunkwatch.demo.ci import COMPARE, RunPages
from trunkwatch.demo.confirm import Confirm
from trunkwatch.demo.incident import FIX, INCIDENT, LAST_GREEN
from trunkwatch.demo.notifications import NotificationHandler
from trunkwatch.demo.play import append, play
from trunkwatch.demo.receiver import Receiver
from trunkwatch.demo.screen import Screen
from trunkwatch.demo.server import BackgroundServer
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

PLAYED = "incident.ndjson"
"""The file that the exporter reads."""

RECORDING = "recording.ndjson"
"""The copy of the incident whose addresses open."""

MAKE = "make run"
"""The command of a clone; its flags are in a variable of make."""

Server = TypeVar("Server", bound=BackgroundServer)

ANSWER = "it passes"
"""The answer of the untested suspect, in the ticket."""

ANSWER_SECONDS = 30.0
"""How long the fix waits for it."""

POLL_SECONDS = 0.5
"""Seconds between two readings of the exporter's metrics."""


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
    parser.add_argument(
        "--pace", type=float, help="land the fix after so many seconds, without waiting for Enter"
    )
    return parser.parse_args(arguments)


def _taken_ports(ports: Ports, command: str) -> list[str]:
    return [
        f"port {port} is taken, and {name} wants it: stop what listens there, or run"
        f" `{_with_flag(command, f'--{name}-port N')}`"
        for name, port in (
            ("exporter", ports.exporter),
            ("prometheus", ports.prometheus),
            ("alertmanager", ports.alertmanager),
        )
        if is_taken(port)
    ]


def _with_flag(command: str, flag: str) -> str:
    return f"{command} ARGS='{flag}'" if command == MAKE else f"{command} {flag}"


def incident_pages(exporter_port: int) -> list[tuple[str, str]]:
    """Return the exporter's pages about the incident, with their addresses."""
    exporter = f"http://localhost:{exporter_port}"
    return [
        ("the grid, with the outage outlined", f"{exporter}{trunk_path(TRUNK)}"),
        ("the job, its suspects and its runs", f"{exporter}{job_path(BROKEN_JOB)}"),
        ("the runbook of its alert", f"{exporter}/runbooks/TrunkJobBroken"),
    ]


def can_ask() -> bool:
    """Return whether somebody at a terminal can press Enter: a job in the background cannot."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def wait_for_enter(stop: threading.Event) -> None:
    """Wait for a line of standard input, or for its end."""
    while not stop.is_set():
        if select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
            sys.stdin.readline()
            return


def main(arguments: Sequence[str] | None = None, command: str = MAKE) -> int:
    """Run until Ctrl-C; return 0, or 2 if the stack cannot run.

    Args:
        arguments: the flags; those of the process by default.
        command: how the demo was started, for its errors.
    """
    given = _arguments(arguments)
    ports = Ports(given.exporter_port, given.prometheus_port, given.alertmanager_port)
    problems = _taken_ports(ports, command)
    if given.config is not None and not given.config.is_file():
        flag = "CONFIG" if command == MAKE else "--config"
        problems.append(f"{flag}={given.config}: no such file")
    for problem in problems:
        print(f"{command}: {problem}", file=sys.stderr)
    if problems:
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with tempfile.TemporaryDirectory(prefix="trunkwatch-demo-") as folder:
        try:
            _run(Path(folder), ports, given, stop)
        except (StackError, BinaryNotFoundError) as error:
            print(f"{command}: {error}", file=sys.stderr)
            return 2
    return 0


def _run(folder: Path, ports: Ports, given: argparse.Namespace, stop: threading.Event) -> None:
    screen = Screen()
    handler = NotificationHandler(screen)
    with ExitStack() as end:
        if given.config is not None:
            config = given.config.resolve()
            pace = Pace(scrape="15s", group_wait="10s", group_interval="1m")
        else:
            runs = _started(RunPages(INCIDENT), end)
            config, pace = _prepare(folder, runs, ports), Pace()
            runs.report = partial(append, folder / PLAYED)
            handler.pages = incident_pages(ports.exporter)
        receiver = _started(Receiver(handler.delivered), end)
        screen.log("starting exporter, Prometheus and Alertmanager …")
        stack = end.enter_context(
            Stack(
                folder, config, receiver.port, ports, pace, ready=lambda name: _ready(screen, name)
            )
        )
        has_page = stack.has_silence_page()
        tickets = Tickets(folder, config, ports, links_silences=has_page)
        end.callback(tickets.stop)
        tickets.start()
        end.callback(handler.pass_to, None)
        handler.pass_to(tickets)
        _ready(screen, "tickets")
        confirm = None
        if given.config is None:
            confirm = Confirm(folder, config, ports)
            end.callback(confirm.stop)
            confirm.start()
            _ready(screen, "confirm")
        _welcome(stack, screen, has_silence_page=has_page)
        _watch(stack, tickets, confirm, given, stop, screen)
        screen.log("stopping …")
    screen.log("stopped; nothing is left running")


def _started(server: Server, end: ExitStack) -> Server:
    server.start()
    end.callback(server.stop)
    return server


def _ready(screen: Screen, name: str) -> None:
    screen.log(f"  {name} is ready")


def _prepare(folder: Path, runs: RunPages, ports: Ports) -> Path:
    """Write the files of the incident; return the configuration."""
    runs.copied(INCIDENT, folder / RECORDING)
    (folder / PLAYED).touch()
    config = folder / "trunkwatch.yml"
    settings = yaml.safe_load(INCIDENT.with_name("trunkwatch.yml").read_text("utf-8"))
    compare = f"{runs.address}{COMPARE}{{last_good}}...{{first_bad}}"
    settings["sources"][0]["compare_url"] = compare
    settings["tickets"] = {"url": f"http://{HOST}:{ports.tickets}"}
    settings["confirm"] = {
        "mode": "act",
        "url": f"http://{HOST}:{ports.confirm}",
        "api_url": runs.address,
        "questions": ["which"],
    }
    settings["alertmanager"] = {"url": f"http://{HOST}:{ports.alertmanager}"}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def _welcome(stack: Stack, screen: Screen, *, has_silence_page: bool) -> None:
    alertmanager = f"http://localhost:{stack.ports.alertmanager}"
    if not has_silence_page:
        alertmanager += "/api/v2/alerts   (Debian's has no web pages; amtool silences)"
    screen.log(f"exporter      http://localhost:{stack.ports.exporter}")
    screen.log(f"Prometheus    http://localhost:{stack.ports.prometheus}{stack.alerts_page()}")
    screen.log(f"Alertmanager  {alertmanager}")
    screen.log("Ctrl-C stops all of it")


def _watch(
    stack: Stack,
    tickets: Tickets,
    confirm: Confirm | None,
    given: argparse.Namespace,
    stop: threading.Event,
    screen: Screen,
) -> None:
    """Replay the incident if there is one, and print changes, until asked to stop."""
    answered = threading.Event()
    arguments = (stack, given, stop, screen, answered)
    player = threading.Thread(target=_play, args=arguments, daemon=True)
    if given.config is None:
        screen.log(f"playing a recorded incident, a commit every {given.interval:g} seconds")
        player.start()
    streaks = StreakWatcher(stack.ports.exporter)
    while not stop.wait(POLL_SECONDS):
        for line in streaks.changes():
            screen.log(line)
        for line in confirm.changes() if confirm is not None else ():
            screen.log(line)
        for ticket in tickets.new_requests():
            screen.ticket(ticket)
            if ANSWER in ticket:
                answered.set()
        started = (tickets.program, confirm.program) if confirm is not None else (tickets.program,)
        for program in (*stack.programs, *started):
            program.check()
    if player.is_alive():
        player.join()


def _play(
    stack: Stack,
    given: argparse.Namespace,
    stop: threading.Event,
    screen: Screen,
    answered: threading.Event,
) -> None:
    """Replay the incident; the fix lands after the ticket has the answer of CI."""
    asks = given.pace is None and can_ask()

    def landed(commit: dict[str, Any]) -> None:
        screen.log(f"commit {commit['sha'][:10]} landed: {commit.get('title', '')}")

    def before(number: int) -> None:
        if number == FIX:
            answered.wait(ANSWER_SECONDS)
        if number == FIX and given.pace is not None:
            stop.wait(given.pace)
        elif number == FIX and asks:
            screen.log("the job stays broken: look around, and press Enter to land the fix", "bold")
            wait_for_enter(stop)

    source, target = stack.folder / RECORDING, stack.folder / PLAYED
    play(source, target, given.interval, HISTORY, landed, stop, before)
    if not stop.is_set():
        screen.log(
            "the incident is over; the stack stays up for you to look around, Ctrl-C stops it"
        )


if __name__ == "__main__":
    sys.exit(main())
