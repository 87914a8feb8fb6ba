"""The metrics of `trunkwatch confirm`, and the health of its last round."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trunkwatch.confirm.model import Asked, Kind
from trunkwatch.domain.model import Trunk
from trunkwatch.metrics.program import CounterFamily, Family, ProgramMetrics, Samples

PEERS = ("ci", "exporter")

KINDS = tuple(map(str, Kind))

COUNTERS: Mapping[str, CounterFamily] = {
    "questions": CounterFamily(
        "trunkwatch_confirm_questions_total",
        "kind",
        KINDS,
        "Requests to repeat a run that CI has accepted, by kind of question.",
    ),
    "answers": CounterFamily(
        "trunkwatch_confirm_answers_total",
        "kind",
        KINDS,
        "Questions that were answered, by kind.",
    ),
    "refusals": CounterFamily(
        "trunkwatch_confirm_refusals_total",
        "kind",
        KINDS,
        "Questions that must not be asked, by kind.",
    ),
    "requests": CounterFamily(
        "trunkwatch_confirm_requests_total",
        "code",
        (),
        "Answers of CI by status code; error for none.",
    ),
    "http_refused": CounterFamily(
        "trunkwatch_confirm_http_refused_total",
        "reason",
        (),
        "Connections closed and requests refused before they were handled, by reason.",
    ),
}

OPEN = "trunkwatch_confirm_open"
UP, ROUND_AT = "trunkwatch_confirm_up", "trunkwatch_confirm_last_round_timestamp_seconds"
WEB_CONFIG = "trunkwatch_confirm_web_config_reload_success"

GAUGES: Mapping[str, str] = {
    OPEN: "Questions whose result is still to come.",
    UP: "1 if the peer answered in the last round, else 0.",
    ROUND_AT: "End of the last round; 0 before the first.",
    WEB_CONFIG: "1 if the newest web configuration is used, else 0.",
}


@dataclass(frozen=True, slots=True)
class Health:
    """The result of the last round.

    Attributes:
        round_at: its end (seconds since the epoch); None before the first.
        errors: by peer, for each peer that failed.
        questions: in any state.
        held: by trunk, why nothing is asked about it.
    """

    round_at: float | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    questions: tuple[Asked, ...] = ()
    held: Mapping[Trunk, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Return a line for each peer that failed."""
        return [f"{peer}: {error}" for peer, error in sorted(self.errors.items())]


class ConfirmMetrics(ProgramMetrics):
    """Counters by family and label, and the newest health; any thread may use it."""

    def __init__(self) -> None:
        super().__init__(COUNTERS)
        self.health = Health()

    def problems(self) -> list[str]:
        """Return the reasons for not being ready, one line each; empty if ready."""
        health = self.health
        if health.round_at is None:
            return ["the first round has not ended yet"]
        return health.problems()

    def families(self) -> Iterator[Family]:
        """Yield all metrics: name, kind, help and samples."""
        yield from self._counter_families()
        health = self.health
        for name, samples in self._gauges(health).items():
            yield name, "gauge", GAUGES[name], samples

    def _gauges(self, health: Health) -> Mapping[str, Samples]:
        """Return the samples of each gauge."""
        peers: Samples = [({"peer": peer}, float(peer not in health.errors)) for peer in PEERS]
        has_round = health.round_at is not None  # before it, an answer is unknown
        return {
            OPEN: [({}, float(sum(each.is_open for each in health.questions)))],
            UP: peers if has_round else [],
            ROUND_AT: [({}, health.round_at or 0.0)],
            WEB_CONFIG: [({}, float(self._web_config_ok))],
        }
