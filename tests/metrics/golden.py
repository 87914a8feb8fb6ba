"""Write golden.prom, the expected /metrics of a sample: `python -m tests.metrics.golden`.

Tests compare it, and `promtool check metrics` checks it. Review its diff before committing: rules,
dashboards and users' queries depend on these lines.
"""

from pathlib import Path

from trunkwatch.metrics.exposition import PLAIN, Exposition
from trunkwatch.metrics.lines import Labels

from tests.domain.builders import NOW
from tests.metrics.sample import snapshot, totals, triage

LABELS = Labels(external_url="https://trunkwatch.example.com")
GOLDEN = Path(__file__).with_name("golden.prom")
PROCESS = ("process_", "# HELP process_", "# TYPE process_")
"""Families of the running process, whose values differ each time."""


def exposed() -> str:
    """Return /metrics of the sample, without the families of the process."""
    served = Exposition(snapshot, totals, "0.0.0", LABELS, triage, lambda: NOW)
    body = served.body(PLAIN, zipped=False).decode()
    return "".join(line for line in body.splitlines(keepends=True) if not line.startswith(PROCESS))


if __name__ == "__main__":
    GOLDEN.write_text(exposed(), encoding="utf-8")
    print(f"written: {GOLDEN}")
