"""The stack with VictoriaMetrics and vmalert in the place of Prometheus."""

import signal

from trunkwatch.demo.stack import HOST, Program, Stack, free_port

VISIBLE_SECONDS = 2.0
"""The time after which VictoriaMetrics shows a sample, also of a new series.

In production that is 30 s, as is `-rule.evalDelay`. The interval between evaluations must not be
shorter: an evaluation reads what the one before has recorded.
"""


class Programs(Program):
    """VictoriaMetrics and vmalert, which start and stop together."""

    def __init__(self, database: Program, rules: Program) -> None:
        """Args:
        database: scrapes, stores and answers queries.
        rules: evaluates.
        """
        self._database, self._rules = database, rules
        self.name = f"{database.name} and {rules.name}"

    def start(self) -> None:
        """Start the database; vmalert exits if it cannot read the state of its alerts."""
        self._database.start()
        self._database.wait_ready()
        self._rules.start()

    def wait_ready(self) -> None:
        """Wait until both are ready."""
        self._rules.wait_ready()

    def send(self, number: signal.Signals) -> None:
        """Make the database read its settings."""
        self._database.send(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop both."""
        for program in (self._rules, self._database):
            program.stop(number)


class VmalertStack(Stack):
    """A stack on vmalert; VictoriaMetrics answers at the port of Prometheus."""

    evaluation_delay = VISIBLE_SECONDS

    def _prometheus(self) -> Program:
        url, port = f"http://{HOST}:{self.ports.prometheus}", free_port()
        rules = f"http://{HOST}:{port}"
        return Programs(
            self._program(
                "victoria-metrics",
                f"{url}/health",
                f"-httpListenAddr={HOST}:{self.ports.prometheus}",
                f"-storageDataPath={self.folder / 'victoria-metrics-data'}",
                f"-promscrape.config={self.folder / 'prometheus.yml'}",
                "-promscrape.config.strictParse=false",  # rule_files, alerting
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
        )

    def _program(self, name: str, ready_url: str, *flags: str) -> Program:
        return Program(name, [str(self._find(name)), *flags], self.folder, ready_url)


def on_vmalert(stack: type[Stack]) -> type[Stack]:
    """Return the same stack on vmalert."""
    return type(f"{stack.__name__}OnVmalert", (VmalertStack, stack), {})
