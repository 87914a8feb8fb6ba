"""The built package, installed into an environment of its own."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from trunkwatch import __version__
from trunkwatch.assets import parse_settings, render_files
from trunkwatch.demo.stack import free_port

from tests.deploy.files import PROJECT, run
from tests.support.binaries import find_binary
from tests.support.screen import on_screen

pytestmark = [pytest.mark.large, pytest.mark.live, pytest.mark.xdist_group("run")]


def called(*command: str | Path) -> str:
    """Run a program that must succeed, and return its output."""
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that is built from the source distribution of this tree, as a release is."""
    source = tmp_path_factory.mktemp("source")
    # The links of exporter/trunkwatch/assets stay links.
    listed = "git ls-files -z --cached --others --exclude-standard"
    copied = f"cd {PROJECT} && {listed} | tar -c --null -T - | tar -x -C {source}"
    called("bash", "-o", "pipefail", "-ec", copied)
    called("env", f"PYTHON={sys.executable}", source / "tools" / "dist")
    (found,) = (source / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path) -> Path:
    """The program of the wheel, in a new virtual environment."""
    environment = wheel.parent / "venv"
    called(sys.executable, "-m", "venv", environment)
    constraints = PROJECT / "constraints.txt"
    called(environment / "bin" / "pip", "install", "-q", "-c", constraints, wheel)
    return environment / "bin" / "trunkwatch"


def test_a_wheel_and_a_source_distribution_hold_each_file_once(wheel: Path) -> None:
    """Nothing of tests or tools is in the wheel, and the source distribution has no link."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    assert {name.split("/")[0] for name in names} == {
        "trunkwatch",
        f"trunkwatch-{__version__}.dist-info",
    }
    assert not [name for name in names if "__pycache__" in name or "/test_" in name]
    (source,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(source) as packed:
        assert not [member.name for member in packed if member.issym() or member.islnk()]


def test_an_installed_package_writes_the_files_of_the_repository(
    program: Path, tmp_path: Path
) -> None:
    """`trunkwatch assets` of the wheel writes what it writes in the clone."""
    folder = tmp_path / "files"
    settings = ["team=core", 'selector=job="ci"']
    flags = [part for each in settings for part in ("--set", each)]
    called(program, "assets", folder, *flags)
    written = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert written == render_files(parse_settings(settings))


def test_the_demo_of_an_installed_package_plays_the_incident(program: Path, tmp_path: Path) -> None:
    """With Prometheus and Alertmanager on PATH, the alert fires and is resolved."""
    folders = {str(find_binary(name).parent) for name in ("prometheus", "alertmanager")}
    environment = {
        "PATH": os.pathsep.join([*folders, os.environ["PATH"]]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    names = ("exporter", "prometheus", "alertmanager")
    ports = [f"--{name}-port={free_port()}" for name in names]
    command: list[str | Path] = [program, "demo", "--interval=2", *ports]
    with on_screen(command, tmp_path, environment, cwd=tmp_path) as demo:
        demo.wait_for("streak 2 → 3", "FIRING", "RESOLVED")
        assert demo.interrupt() == 0


def test_the_demo_names_what_is_not_on_path(program: Path, tmp_path: Path) -> None:
    """Without Prometheus the demo ends with one line about how to install it."""
    done = subprocess.run(
        [program, "demo"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "apt-get install prometheus prometheus-alertmanager" in done.stderr
