"""The unit and its user, checked by systemd's own programs where they are."""

import re
import shutil
from pathlib import Path

import pytest

from tests.deploy.files import COMPOSE, DEPLOY, load, run

UNIT = DEPLOY / "systemd" / "trunkwatch.service"
MAX_EXPOSURE = 1.5
"""Of ten, by `systemd-analyze security`; below 2 is "OK"."""


def program(name: str) -> str:
    """Return the path of a program of systemd; skip the test where it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on PATH")
    return path


def test_the_unit_starts_what_compose_starts() -> None:
    """The command is that of compose, on loopback; the folders are those that are made."""
    (command,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    compose = load(COMPOSE)["services"]["exporter"]["command"]
    assert command.split()[1:] == [part.replace("0.0.0.0", "127.0.0.1") for part in compose]  # noqa: S104 — replaced
    tmpfiles = UNIT.with_name("trunkwatch.tmpfiles.conf").read_text()
    assert re.search(r"^d /etc/trunkwatch ", tmpfiles, re.MULTILINE)
    assert "StateDirectory=trunkwatch\n" in UNIT.read_text()


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing, and the exposure is low."""
    analyze = program("systemd-analyze")
    text = UNIT.read_text().replace("/opt/trunkwatch/bin/trunkwatch", "/bin/true")
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    verified = run(analyze, "verify", "--man=no", unit)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    judged = run(analyze, "security", "--offline=true", unit)
    (figure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert float(figure) <= MAX_EXPOSURE
    unit.write_text(text.replace("ProtectSystem=strict", "ProtectSystem=strictly"))
    assert "strictly" in run(analyze, "verify", "--man=no", unit).stderr


def test_the_user_and_the_folder_are_made(tmp_path: Path) -> None:
    """systemd-sysusers and systemd-tmpfiles make the user of the unit and its folder."""
    (tmp_path / "etc").mkdir()
    root = f"--root={tmp_path}"
    made = run(program("systemd-sysusers"), root, UNIT.with_name("trunkwatch.sysusers.conf"))
    assert made.returncode == 0, made.stderr
    assert "\ntrunkwatch:" in "\n" + (tmp_path / "etc" / "passwd").read_text()
    tmpfiles = UNIT.with_name("trunkwatch.tmpfiles.conf")
    made = run(program("systemd-tmpfiles"), root, "--create", tmpfiles)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "etc" / "trunkwatch").stat().st_mode & 0o777 == 0o750
