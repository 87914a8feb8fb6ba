"""The command line; section 4.2 of docs/policy.md defines its output."""

from trunkwatch.cli.main import main, run

__all__ = ["main", "run"]
