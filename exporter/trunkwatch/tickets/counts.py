"""What the tickets command tells of itself."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

PEERS = ("alertmanager", "exporter", "github")


class Counted(NamedTuple):
    """One counter of the command.

    Attributes:
        name: of the family.
        label: of its only label.
        values: that are exported from the start, so that the first event is seen as growth.
        help: what it counts.
    """

    name: str
    label: str
    values: tuple[str, ...]
    help: str


COUNTERS: Mapping[str, Counted] = {
    "deliveries": Counted(
        "trunkwatch_tickets_deliveries_total",
        "outcome",
        ("accepted", "malformed", "unauthorized", "failed"),
        "Deliveries of Alertmanager, by how each ended.",
    ),
    "operations": Counted(
        "trunkwatch_tickets_operations_total",
        "operation",
        ("open", "edit", "comment", "close", "reopen"),
        "What was done to issues, by what it was.",
    ),
    "requests": Counted(
        "trunkwatch_tickets_requests_total",
        "code",
        (),
        "Answers of GitHub by status code; error for none.",
    ),
}
OPEN, WAITING = "trunkwatch_tickets_open", "trunkwatch_tickets_waiting"
UP, ROUND_AT = "trunkwatch_tickets_up", "trunkwatch_tickets_last_round_timestamp_seconds"

GAUGES: Mapping[str, str] = {
    OPEN: "Issues that are open.",
    WAITING: "Groups for which something is yet to be done on GitHub.",
    UP: "1 if the last round could rely on the peer (alertmanager, exporter, github), else 0.",
    ROUND_AT: "When the last round ended.",
}

Family = tuple[str, str, str, list[tuple[dict[str, str], float]]]


@dataclass(frozen=True, slots=True)
class Health:
    """How it goes, as the last round left it.

    Attributes:
        open: issues that are open.
        waiting: keys for which something is yet to be done on GitHub.
        round_at: when a round last ended (seconds since the epoch); None before the first.
        troubles: by peer, why it could not be relied on; a peer that is well is not in it.
    """

    open: int = 0
    waiting: int = 0
    round_at: float | None = None
    troubles: Mapping[str, str] = field(default_factory=dict)


class Counts:
    """Counters by family and label, and the newest health; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self.health = Health()

    def add(self, counter: str, value: str) -> None:
        """Count something.

        Args:
            counter: its name in `COUNTERS`.
            value: of its label.
        """
        with self._lock:
            self._counts[counter, value] += 1

    def problems(self) -> list[str]:
        """Say what is not to be relied on; nothing when all is well."""
        health = self.health
        if health.round_at is None:
            return ["the first round has not ended yet"]
        return [f"{peer}: {why}" for peer, why in sorted(health.troubles.items())]

    def families(self) -> Iterator[Family]:
        """Yield all metrics: name, kind, help and samples."""
        with self._lock:
            counts = dict(self._counts)
        for key, counter in COUNTERS.items():
            seen = (value for found, value in counts if found == key)
            values = sorted({*counter.values, *seen})
            samples = [({counter.label: v}, float(counts.get((key, v), 0))) for v in values]
            yield counter.name, "counter", counter.help, samples
        for name, gauge in _gauges(self.health).items():
            yield name, "gauge", GAUGES[name], gauge


def _gauges(health: Health) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {
        OPEN: [({}, float(health.open))],
        WAITING: [({}, float(health.waiting))],
        UP: [],
        ROUND_AT: [],
    }
    if health.round_at is not None:
        found[UP] = [({"peer": peer}, float(peer not in health.troubles)) for peer in PEERS]
        found[ROUND_AT] = [({}, health.round_at)]
    return found
