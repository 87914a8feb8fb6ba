"""The command line (section 4.2 of docs/policy.md says what its answers mean)."""

from trunkwatch.cli.main import main, run

__all__ = ["main", "run"]
