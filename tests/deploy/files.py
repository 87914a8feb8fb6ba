"""Where the deployment files are, and how the tests read them."""

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

# A switched-off key stands as `#key:` or `#- key:`; a sentence has a space after its `#`.
_SWITCHED_OFF = re.compile(r"^(\s*)#(?=[\w-])", re.MULTILINE)


def load(path: Path) -> Any:
    """Return a YAML file's content."""
    return yaml.safe_load(path.read_text())


def switched_on(path: Path) -> str:
    """Return a file's text with every setting that it offers as a comment switched on."""
    text, changes = _SWITCHED_OFF.subn(r"\1", path.read_text())
    assert changes, f"{path} offers no setting as a comment"
    return text


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its output is text, and its exit code is the caller's to judge."""
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, check=False, capture_output=True, text=True)
