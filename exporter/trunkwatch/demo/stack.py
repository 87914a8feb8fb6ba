"""Runs the stack on loopback: exporter, Prometheus, Alertmanager. Used by `make run` and the tests.

The settings are those of `deploy/`; only addresses, paths and intervals are replaced, as the header
of deploy/prometheus/prometheus.yml describes.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import requests
import yaml

from trunkwatch.assets import asset_path
from trunkwatch.assets.rules.build import RUNBOOKS
from trunkwatch.demo.binaries import find_binary

HOST = "127.0.0.1"

STOP_SECONDS = 15.0
"""How long a program may take to exit after SIGTERM before it is killed."""

READY_SECONDS = 60.0
"""How long a program may take to become ready after its start."""


class StackError(RuntimeError):
    """A program of the stack did not become ready, or exited on its own."""


def free_port() -> int:
    """Return an unused port of loopback."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Return whether a port of loopback is in use."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals of the stack, short ones for a demonstration by default (Prometheus durations).

    Attributes:
        scrape: between scrapes and between rule evaluations.
        group_wait: before the first notification of a group.
        group_interval: between notifications of a group.
        repeat_interval: before an unchanged notification is repeated.
        resend: before Prometheus resends an alert to Alertmanager, which keeps it four times as
            long.
        lookback: the largest age of a sample that a query returns.
    """

    scrape: str = "1s"
    group_wait: str = "1s"
    group_interval: str = "2s"
    repeat_interval: str = "12h"
    resend: str = "1m"
    lookback: str = "5m"


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each program."""

    exporter: int = field(default_factory=free_port)
    prometheus: int = field(default_factory=free_port)
    alertmanager: int = field(default_factory=free_port)
    tickets: int = field(default_factory=free_port)
    confirm: int = field(default_factory=free_port)


class Program:
    """A child process that logs to a file."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, ready_url: str) -> None:
        """Args:
        name: used in messages and as the name of the log file.
        command: program and arguments.
        folder: the working directory.
        ready_url: answers 200 once the program is ready.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._folder = folder
        self._ready_url = ready_url
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process in its own session: Ctrl-C reaches only the parent, which stops it."""
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        """Wait until the program is ready.

        Raises:
            StackError: it exited, or was not ready in time; the message quotes its last log lines.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                if requests.get(self._ready_url, timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise StackError(f"{self.name} is not ready at {self._ready_url}:\n{self._log_end()}")

    def check(self) -> None:
        """Raise StackError if the process has exited on its own."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise StackError(f"{self.name} exited with code {code}:\n{self._log_end()}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the process and wait for it."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._output is not None:
            self._output.close()
            self._output = None

    def _log_end(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-8:])


class Stack:
    """The three programs, with all their files in one folder."""

    def __init__(
        self,
        folder: Path,
        config: Path,
        receiver_port: int,
        ports: Ports | None = None,
        pace: Pace | None = None,
        find: Callable[[str], Path] = find_binary,
        ready: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Args:
        folder: an existing folder for settings, data and logs.
        config: the exporter's configuration file.
        receiver_port: the port that receives notifications, under the path of the receiver's name.
        ports: the programs' ports; free ones by default.
        pace: the intervals.
        find: returns the path of `prometheus` or `alertmanager`.
        ready: called with the name of each program that has become ready.
        """
        self._ready = ready
        self.folder = folder
        self._find = find
        self.ports = ports or Ports()
        self._pace = pace or Pace()
        self._config = config
        self._receiver_port = receiver_port
        self.exporter = self.new_exporter("exporter", self.ports.exporter)
        self.prometheus = self._prometheus()
        self.alertmanager = self._alertmanager()
        self._write_settings([self.ports.exporter])

    def __enter__(self) -> Self:
        """Start all programs; stop them again if one does not become ready."""
        try:
            for program in self.programs:
                program.start()
            for program in self.programs:
                program.wait_ready()
                self._ready(program.name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all programs."""
        self.stop()

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs, in the order of their start."""
        return self.alertmanager, self.exporter, self.prometheus

    def stop(self) -> None:
        """Stop all programs in reverse order, so that no running one sees another fail."""
        for program in reversed(self.programs):
            program.stop()

    def new_exporter(self, name: str, port: int) -> Program:
        """Return an exporter on a port, not started."""
        command = [
            sys.executable,
            "-m",
            "trunkwatch",
            "serve",
            "--config.file",
            str(self._config),
            "--storage.path",
            str(self.folder / f"{name}.db"),
            "--web.listen-address",
            f"{HOST}:{port}",
        ]  # fmt: skip — a flag and its value belong on one line
        return Program(name, command, self.folder, f"http://{HOST}:{port}/-/healthy")

    def scrape(self, exporter_ports: Sequence[int]) -> None:
        """Configure Prometheus to scrape other exporters, and reload it."""
        self._write_settings(exporter_ports)
        self.prometheus.send(signal.SIGHUP)

    def alerts(self) -> list[dict[str, Any]]:
        """Return Alertmanager's alerts."""
        url = f"http://{HOST}:{self.ports.alertmanager}/api/v2/alerts"
        answer: list[dict[str, Any]] = requests.get(url, timeout=5).json()
        return answer

    def alerts_page(self) -> str:
        """Return the path of Prometheus' page of alerts; Debian ships only the classic pages."""
        url = f"http://{HOST}:{self.ports.prometheus}/alerts"
        return "/alerts" if requests.get(url, timeout=5).ok else "/classic/alerts"

    def has_silence_page(self) -> bool:
        """Return whether Alertmanager has its web application; Debian's has a page of text."""
        url = f"http://{HOST}:{self.ports.alertmanager}/"
        return "<script" in requests.get(url, timeout=5).text

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        url = f"http://{HOST}:{self.ports.prometheus}/api/v1/query"
        answer = requests.get(url, params={"query": expression}, timeout=5).json()
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    # ------------------------------------------------------------------ settings

    def _prometheus(self) -> Program:
        port = self.ports.prometheus
        command = [
            str(self._find("prometheus")),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'prometheus-data'}",
            f"--web.listen-address={HOST}:{port}",
            f"--web.external-url=http://localhost:{port}",
            f"--rules.alert.resend-delay={self._pace.resend}",
            f"--query.lookback-delta={self._pace.lookback}",
        ]
        return Program("prometheus", command, self.folder, f"http://{HOST}:{port}/-/ready")

    def _alertmanager(self) -> Program:
        port = self.ports.alertmanager
        command = [
            str(self._find("alertmanager")),
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'alertmanager-data'}",
            f"--web.listen-address={HOST}:{port}",
            f"--web.external-url=http://localhost:{port}",
            "--cluster.listen-address=",
        ]
        return Program("alertmanager", command, self.folder, f"http://{HOST}:{port}/-/ready")

    def _write_settings(self, exporter_ports: Sequence[int]) -> None:
        runbooks = f"http://localhost:{self.ports.exporter}/runbooks"
        for file in asset_path("rules").glob("*.rules.yml"):
            text = file.read_text(encoding="utf-8").replace(RUNBOOKS, runbooks)
            (self.folder / file.name).write_text(text, encoding="utf-8")
        prometheus = self.prometheus_settings(exporter_ports)
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus))
        alertmanager = self.alertmanager_settings()
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager))
        shutil.copytree(
            asset_path("deploy", "alertmanager", "templates"),
            self.folder / "templates",
            dirs_exist_ok=True,
        )

    def prometheus_settings(self, exporter_ports: Sequence[int]) -> dict[str, Any]:
        """Return deploy/prometheus/prometheus.yml with this stack's addresses and intervals."""
        settings: dict[str, Any] = _load("prometheus/prometheus.yml")
        scrape = self._pace.scrape
        settings["global"].update(
            scrape_interval=scrape, scrape_timeout=scrape, evaluation_interval=scrape
        )
        settings["rule_files"] = [str(self.folder / "*.rules.yml")]
        targets = [f"{HOST}:{port}" for port in exporter_ports]
        settings["scrape_configs"][0]["static_configs"][0]["targets"] = targets
        managers = settings["alerting"]["alertmanagers"][0]
        managers["static_configs"][0]["targets"] = [f"{HOST}:{self.ports.alertmanager}"]
        return settings

    def alertmanager_settings(self) -> dict[str, Any]:
        """Return deploy/alertmanager/alertmanager.yml with this stack's receiver and intervals."""
        settings: dict[str, Any] = _load("alertmanager/alertmanager.yml")
        self._set_pace(settings["route"])
        for receiver in settings["receivers"]:
            for webhook in receiver.get("webhook_configs", []):
                webhook["url"] = f"http://{HOST}:{self._receiver_port}/{receiver['name']}"
        return settings

    def _set_pace(self, route: dict[str, Any]) -> None:
        """Set the intervals of a route and of all routes below it, which may override them."""
        route.update(
            group_wait=self._pace.group_wait,
            group_interval=self._pace.group_interval,
            repeat_interval=self._pace.repeat_interval,
        )
        for child in route.get("routes", []):
            self._set_pace(child)


def _load(name: str) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(asset_path("deploy", name).read_text())
    return settings
