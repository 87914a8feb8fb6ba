"""The paths of the deployment files, and helpers that read them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
COMPOSE = PROJECT / "docker-compose.yml"
ALERTMANAGER = DEPLOY / "alertmanager" / "alertmanager.yml"
TEMPLATES = DEPLOY / "alertmanager" / "templates"
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yml"
PROVISIONING = DEPLOY / "grafana" / "provisioning"

# A commented-out key is written `#key:` or `#- key:`; prose has a space after its `#`.
_SWITCHED_OFF = re.compile(r"^(\s*)#(?=[\w-])", re.MULTILINE)


def load(path: Path) -> Any:
    """Return a YAML file's content."""
    return yaml.load(path.read_text(), yaml.CSafeLoader)


def switched_on(path: Path) -> str:
    """Return a file's text with every commented-out setting enabled."""
    text, changes = _SWITCHED_OFF.subn(r"\1", path.read_text())
    assert changes, f"{path} offers no setting as a comment"
    return text


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with text output; the caller checks the exit code."""
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, check=False, capture_output=True, text=True)
