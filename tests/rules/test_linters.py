"""The linters of rules and dashboards find nothing (each is skipped if it is not on PATH)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dashboards.model import FILES
from tests.rules.rulebook import RULE_FILES

PINT, DASHBOARD_LINTER = map(shutil.which, ("pint", "dashboard-linter"))


def run(*command: str | Path | None) -> None:
    """Run a linter; fail with its output if it finds anything."""
    result = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(PINT is None, reason="pint (github.com/cloudflare/pint) is not on PATH")
def test_pint_finds_nothing() -> None:
    """Pint accepts every rules file without a finding of level warning or above."""
    flags = ["--offline", "--no-color", "lint", "--min-severity=warning", "--fail-on=warning"]
    run(PINT, *flags, *RULE_FILES)


@pytest.mark.skipif(
    DASHBOARD_LINTER is None,
    reason="dashboard-linter (github.com/grafana/dashboard-linter) is not on PATH",
)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_dashboard_linter_finds_nothing(file: Path) -> None:
    """Every dashboard is accepted, with the exclusions of dashboards/.lint and their reasons."""
    run(DASHBOARD_LINTER, "lint", "--strict", "--config", file.with_name(".lint"), file)
