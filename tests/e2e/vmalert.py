"""The stack with VictoriaMetrics and vmalert in the place of Prometheus."""

import signal
import subprocess
from collections.abc import Sequence
from typing import Any

import yaml
from trunkwatch.demo.stack import HOST, Program, Stack, free_port

from tests.support.engines import OLDEST, find_engine

VISIBLE_SECONDS = 2.0
"""The time after which VictoriaMetrics shows a sample, also of a new series.

In production that is 30 s, as is `-rule.evalDelay`. The interval between evaluations must not be
shorter: an evaluation reads what the one before has recorded.
"""


AGENT_OF_2 = "--enable-feature=agent"
"""The flag of Prometheus 2 that makes it an agent."""


class Programs(Program):
    """VictoriaMetrics and vmalert, which start and stop together."""

    def __init__(self, database: Program, rules: Program, agent: Program | None = None) -> None:
        """Args:
        database: stores and answers queries; scrapes, if there is no agent.
        rules: evaluates.
        agent: scrapes, and writes to the database.
        """
        self._database, self._rules, self._agent = database, rules, agent
        self.name = f"{database.name} and {rules.name}"

    def start(self) -> None:
        """Start the database; vmalert exits if it cannot read the state of its alerts."""
        self._database.start()
        self._database.wait_ready()
        if self._agent is not None:
            self._agent.start()
            self._agent.wait_ready()
        self._rules.start()

    def wait_ready(self) -> None:
        """Wait until both are ready."""
        self._rules.wait_ready()

    def send(self, number: signal.Signals) -> None:
        """Make the program that scrapes read its settings."""
        (self._agent or self._database).send(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop both."""
        for program in (self._rules, self._agent, self._database):
            if program is not None:
                program.stop(number)


class VmalertStack(Stack):
    """A stack on vmalert; VictoriaMetrics answers at the port of Prometheus."""

    evaluation_delay = VISIBLE_SECONDS

    def _agent(self) -> Program | None:
        """Return the program that scrapes; None for the database itself."""
        return None

    def _prometheus(self) -> Program:
        agent = self._agent()
        own_scrapes = [
            f"-promscrape.config={self.folder / 'prometheus.yml'}",
            "-promscrape.config.strictParse=false",  # rule_files, alerting
        ]
        url, port = f"http://{HOST}:{self.ports.prometheus}", free_port()
        rules = f"http://{HOST}:{port}"
        return Programs(
            self._program(
                "victoria-metrics",
                f"{url}/health",
                f"-httpListenAddr={HOST}:{self.ports.prometheus}",
                f"-storageDataPath={self.folder / 'victoria-metrics-data'}",
                *(own_scrapes if agent is None else []),
                "-search.latencyOffset=0s",
                # With this cache a new series may be hidden for ten seconds.
                "-storage.cacheSizeIndexDBTagFilters=1",
                f"-search.maxLookback={self._pace.lookback}",
                f"-vmalert.proxyURL={rules}",
            ),
            self._program(
                "vmalert",
                f"{rules}/health",
                f"-httpListenAddr={HOST}:{port}",
                f"-rule={self.prometheus_settings([])['rule_files'][0]}",
                f"-datasource.url={url}",
                f"-datasource.queryStep={self._pace.lookback}",
                f"-remoteWrite.url={url}",
                "-remoteWrite.flushInterval=100ms",
                f"-remoteRead.url={url}",
                f"-notifier.url=http://{HOST}:{self.ports.alertmanager}",
                f"-evaluationInterval={VISIBLE_SECONDS:g}s",
                f"-rule.evalDelay={VISIBLE_SECONDS:g}s",
                f"-rule.resendDelay={self._pace.resend}",
            ),
            agent,
        )

    def _program(self, name: str, ready_url: str, *flags: str) -> Program:
        return self._program_at(str(self._find(name)), name, ready_url, *flags)

    def _program_at(self, path: str, name: str, ready_url: str, *flags: str) -> Program:
        return Program(name, [path, *flags], self.folder, ready_url)


class RemoteWriteStack(VmalertStack):
    """The same, with a Prometheus agent that scrapes and writes to VictoriaMetrics."""

    def _agent(self) -> Program:
        program, port = find_engine(OLDEST, "prometheus"), free_port()
        found = subprocess.run([program, "--help"], check=False, capture_output=True, text=True)
        # Prometheus 3 has a flag of its own.
        mode = "--agent" if "--agent" in (found.stdout + found.stderr).split() else AGENT_OF_2
        flags = [
            mode,
            f"--config.file={self.folder / 'agent.yml'}",
            f"--storage.agent.path={self.folder / 'agent-data'}",
            f"--web.listen-address={HOST}:{port}",
        ]
        return self._program_at(str(program), "agent", f"http://{HOST}:{port}/-/ready", *flags)

    def prometheus_settings(self, exporter_ports: Sequence[int]) -> dict[str, Any]:
        """Return the settings, and write those of the agent."""
        settings = super().prometheus_settings(exporter_ports)
        agent = {key: each for key, each in settings.items() if key in ("global", "scrape_configs")}
        agent["global"] = {k: v for k, v in agent["global"].items() if k != "evaluation_interval"}
        write = f"http://{HOST}:{self.ports.prometheus}/api/v1/write"
        agent["remote_write"] = [{"url": write}]
        (self.folder / "agent.yml").write_text(yaml.safe_dump(agent))
        return settings


def on_vmalert(stack: type[Stack]) -> type[Stack]:
    """Return the same stack on vmalert, unless it is on it already."""
    if issubclass(stack, VmalertStack):
        return stack
    return type(f"{stack.__name__}OnVmalert", (VmalertStack, stack), {})
