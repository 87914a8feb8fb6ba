"""Pint, a linter of Prometheus rules, finds nothing (skipped if it is not installed)."""

import shutil
import subprocess

import pytest

from tests.rules.rulebook import RULE_FILES

PINT = shutil.which("pint")


@pytest.mark.skipif(PINT is None, reason="pint (github.com/cloudflare/pint) is not on PATH")
def test_pint_finds_nothing() -> None:
    """Pint accepts every rules file without a finding of level warning or above."""
    assert PINT is not None
    command = [PINT, "--offline", "--no-color", "lint", "--min-severity=warning"]
    result = subprocess.run(
        [*command, "--fail-on=warning", *map(str, RULE_FILES)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
