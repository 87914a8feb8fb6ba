"""Finds Prometheus, Alertmanager and their command-line tools.

The programs are on PATH (Debian calls Alertmanager `prometheus-alertmanager`) or in a folder of the
project, into which `make tools` unpacks Debian's packages without root.
"""

import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
UNPACKED = PROJECT / ".prometheus" / "usr" / "bin"

NAMES = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "amtool": ("amtool",),
}


class BinaryNotFoundError(FileNotFoundError):
    """A program of the stack is neither on PATH nor unpacked in the project.

    Attributes:
        name: the missing program.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} is not on PATH: install Prometheus and Alertmanager (on Debian, apt-get"
            " install prometheus prometheus-alertmanager), or run 'make tools' in a clone"
        )


def find_binary(name: str) -> Path:
    """Return the path of `prometheus`, `promtool`, `alertmanager` or `amtool`.

    Raises:
        BinaryNotFoundError: it is not installed; the message names the command that installs it.
    """
    for candidate in NAMES[name]:
        on_path = shutil.which(candidate)
        if on_path:
            return Path(on_path)
        unpacked = UNPACKED / candidate
        if unpacked.exists():
            return unpacked
    raise BinaryNotFoundError(name)
