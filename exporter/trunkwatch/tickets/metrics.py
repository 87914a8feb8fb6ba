"""The metrics of `trunkwatch tickets`, and the health of its peers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trunkwatch.metrics.program import CounterFamily, Family, ProgramMetrics, Samples
from trunkwatch.tickets.alerts import FOREIGN, MALFORMED, UNLABELLED
from trunkwatch.tickets.model import Ticket

READ_PEERS = ("alertmanager", "exporter")


COUNTERS: Mapping[str, CounterFamily] = {
    "deliveries": CounterFamily(
        "trunkwatch_tickets_deliveries_total",
        "outcome",
        ("accepted", "malformed", "unauthorized", "failed", "overflow"),
        "Deliveries of Alertmanager by outcome.",
    ),
    "alerts": CounterFamily(
        "trunkwatch_tickets_alerts_total",
        "outcome",
        ("firing", "resolved", "ignored", UNLABELLED, MALFORMED, FOREIGN, "refused"),
        "Alerts of deliveries by outcome.",
    ),
    "operations": CounterFamily(
        "trunkwatch_tickets_operations_total",
        "operation",
        ("open", "edit", "comment", "close", "reopen"),
        "Operations on issues.",
    ),
    "refusals": CounterFamily(
        "trunkwatch_tickets_refusals_total",
        "operation",
        ("open", "edit", "comment", "close", "reopen"),
        "Operations that GitHub or GitLab refused.",
    ),
    "requests": CounterFamily(
        "trunkwatch_tickets_requests_total",
        "code",
        (),
        "Answers of GitHub or GitLab by status code; error for none.",
    ),
    "http_refused": CounterFamily(
        "trunkwatch_tickets_http_refused_total",
        "reason",
        (),
        "Connections closed and requests refused before they were handled, by reason.",
    ),
}
OPEN, WAITING = "trunkwatch_tickets_open", "trunkwatch_tickets_waiting"
UP, ROUND_AT = "trunkwatch_tickets_up", "trunkwatch_tickets_last_round_timestamp_seconds"
WEB_CONFIG = "trunkwatch_tickets_web_config_reload_success"
UNREADABLE = "trunkwatch_tickets_unreadable_entries"

GAUGES: Mapping[str, str] = {
    OPEN: "Open issues.",
    WAITING: "Groups with an unfinished operation on an issue.",
    UP: "1 if the peer (alertmanager, exporter; github or gitlab) answered in the last round, else"
    " 0.",
    UNREADABLE: "Entries in the last answers of the peer (alertmanager, exporter) left out.",
    ROUND_AT: "End of the last round; 0 before the first.",
    WEB_CONFIG: "1 if the newest web configuration and its certificates are used, else 0.",
}


@dataclass(frozen=True, slots=True)
class Health:
    """The result of the last round.

    Attributes:
        open: number of open issues.
        waiting: number of groups with an unfinished operation on an issue.
        round_at: end of the last round (seconds since the epoch); None before the first.
        errors: by peer, for each peer that failed.
        unreadable: by peer, the number of entries of its answers that could not be read.
        tickets: open ones, and those whose outage goes on.
        tracker: the peer that has the issues.
    """

    open: int = 0
    waiting: int = 0
    round_at: float | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, int] = field(default_factory=dict)
    tickets: tuple[Ticket, ...] = ()
    tracker: str = "github"


class TicketMetrics(ProgramMetrics):
    """Counters by family and label, and the newest health; any thread may use it."""

    def __init__(self) -> None:
        super().__init__(COUNTERS)
        self.health = Health()

    def problems(self) -> list[str]:
        """Return the reasons for not being ready, one line each; empty if ready."""
        health = self.health
        if health.round_at is None:
            return ["the first round has not ended yet"]
        return [f"{peer}: {error}" for peer, error in sorted(health.errors.items())]

    def families(self) -> Iterator[Family]:
        """Yield all metrics: name, kind, help and samples."""
        yield from self._counter_families()
        gauges = _gauges(self.health)
        gauges[WEB_CONFIG] = [({}, float(self._web_config_ok))]
        for name, gauge in gauges.items():
            yield name, "gauge", GAUGES[name], gauge


def _gauges(health: Health) -> dict[str, Samples]:
    found: dict[str, Samples] = {
        OPEN: [({}, float(health.open))],
        WAITING: [({}, float(health.waiting))],
        UP: [],
        UNREADABLE: [({"peer": p}, float(health.unreadable.get(p, 0))) for p in READ_PEERS],
        ROUND_AT: [({}, health.round_at or 0.0)],
    }
    if health.round_at is not None:
        peers = (*READ_PEERS, health.tracker)
        found[UP] = [({"peer": peer}, float(peer not in health.errors)) for peer in peers]
    return found
