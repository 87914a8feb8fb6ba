"""The Dockerfile: its sources exist, its user is not root, and its build steps work."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deploy.files import COMPOSE, DEPLOY, PROJECT, load

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"


class Step(NamedTuple):
    """One instruction of a Dockerfile.

    Attributes:
        stage: the number of its stage, from 0.
        keyword: the instruction, in capitals.
        rest: everything after it, on one line.
    """

    stage: int
    keyword: str
    rest: str


def parse(text: str) -> list[Step]:
    """Return the instructions of a Dockerfile, with joined lines and without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    steps: list[Step] = []
    stage = -1
    for line in filter(None, joined.splitlines()):
        keyword, rest = line.split(maxsplit=1)
        stage += keyword == "FROM"
        steps.append(Step(stage, keyword, rest))
    return steps


STEPS = parse(DOCKERFILE.read_text())
BUILD = [step for step in STEPS if step.stage == 0]
FINAL = [step for step in STEPS if step.stage == 1]


def only(steps: list[Step], keyword: str) -> str:
    """Return the arguments of the only instruction of a kind."""
    (found,) = (step.rest for step in steps if step.keyword == keyword)
    return found


def copied() -> dict[str, str]:
    """Return the paths that the build copies from the project: source to target."""
    pairs = {}
    for step in STEPS:
        if step.keyword == "COPY" and not step.rest.startswith("--from="):
            *sources, target = step.rest.split()
            pairs.update(dict.fromkeys(sources, target))
    return pairs


def in_folder(folder: Path, command: str) -> str:
    """Run a shell command that must succeed, as a RUN step, and return its output."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        check=False,
        cwd=folder,
        env=os.environ | {"PIP_NO_COMPILE": "1"},  # most of it is never imported
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_stages_start_from_one_pinned_image() -> None:
    """Both stages use the same full Python 3.13 version, since a venv needs its own Python."""
    bases = [step.rest.split()[0] for step in STEPS if step.keyword == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.13\.\d+-slim-\w+", bases[0])


@pytest.mark.parametrize("source", sorted(copied()))
def test_every_copied_file_exists(source: str) -> None:
    """Every path that the build copies exists in the project."""
    assert (PROJECT / source).exists()


def test_only_what_is_copied_reaches_the_build() -> None:
    """.dockerignore admits exactly the copied files, so that no secret gets into the image."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert {line[1:] for line in patterns if line.startswith("!")} == set(copied())


def test_the_image_does_not_run_as_root() -> None:
    """The image's user is the numeric one of compose, and it owns the writable folders."""
    user = only(FINAL, "USER")
    assert user == load(COMPOSE)["services"]["exporter"]["user"]
    assert not user.startswith("0")
    made = next(step.rest for step in FINAL if "useradd" in step.rest)
    assert f"--uid {user.split(':')[0]} " in made
    assert "/var/lib/trunkwatch /demo" in made


def test_image_and_compose_start_and_probe_the_same() -> None:
    """Command, health check and port of the image are those of the service `exporter`."""
    exporter = load(COMPOSE)["services"]["exporter"]
    assert json.loads(only(FINAL, "CMD")) == exporter["command"]
    probe = only(FINAL, "HEALTHCHECK").split("CMD ")[1]
    assert ["CMD", *json.loads(probe)] == exporter["healthcheck"]["test"]
    assert exporter["ports"] == [f"127.0.0.1:{only(FINAL, 'EXPOSE')}:{only(FINAL, 'EXPOSE')}"]


@pytest.mark.large
@pytest.mark.slow
def test_the_build_steps_install_a_program_that_runs(tmp_path: Path) -> None:
    """The RUN steps of the build install a working trunkwatch in a clean folder."""
    source, venv = tmp_path / "src", tmp_path / "venv"
    source.mkdir()
    for name, target in copied().items():
        origin = PROJECT / name
        if origin.is_dir():
            shutil.copytree(
                origin, source / target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(origin, source / target)
    assert only(BUILD, "WORKDIR") == "/src"
    for step in BUILD:
        if step.keyword == "RUN":
            command = re.sub(r"^python ", f"{sys.executable} ", step.rest)
            command = command.replace("/venv", str(venv))
            in_folder(source, command)

    (entrypoint,) = json.loads(only(FINAL, "ENTRYPOINT"))
    assert in_folder(tmp_path, f"{venv}/bin/{entrypoint} --version").startswith("trunkwatch")
    # -I: import the installed modules, never those of the current folder.
    in_folder(
        tmp_path, f"{venv}/bin/python -I -c 'import trunkwatch.demo.play, trunkwatch.demo.receiver'"
    )
    runbook = "HtmlPages(str()).runbook('TrunkwatchWatchdog')"
    pages = f"from trunkwatch.html.pages import HtmlPages; assert {runbook}"
    in_folder(tmp_path, f'{venv}/bin/python -I -c "{pages}"')
    installed = in_folder(tmp_path, f"{venv}/bin/pip freeze --exclude trunkwatch").lower().split()
    assert installed
    assert set(installed) <= set((source / "constraints.txt").read_text().lower().split())
