"""docs/first-alert.md as a whole: each step follows from those before it."""

import queue
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from trunkwatch.cli.main import main

from tests.cli.program import serving as exporter
from tests.cli.test_init import world
from tests.deploy.live import PATIENCE, Inbox, Message, running, serving
from tests.docs.markdown import read
from tests.github.fake import TOKEN
from tests.github.server import serving_github
from tests.support.binaries import binary_path
from tests.support.waiting import eventually

STEP = re.compile(
    r"Copy `(?P<what>[^`]+)` to\s+`(?P<to>[^`]+)`"
    r"|`templates: \[(?P<templates>[^\]]+)\]`|```yaml\n(?P<yaml>.*?)```|^    (?P<command>[^\n]+)$",
    re.MULTILINE | re.DOTALL,
)
"""What a reader does: a copy, a change of a file, or a command."""

ELSEWHERE = re.compile(r"git clone|python3 -m venv|/opt/|export |systemctl restart")
"""Needs the network or root; `python -m venv` and pip are those of every test."""

OURS = "route: {receiver: mine, group_wait: 0s, group_interval: 1s}\nreceivers: [{name: mine}]\n"
"""An Alertmanager configuration before Trunkwatch, with short times."""


class Machine:
    """A machine in a folder, on which somebody follows the document."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.etc = folder / "etc"
        self.messages: queue.Queue[Message] = queue.Queue()
        self._inbox = stack.enter_context(serving(Inbox(self.messages.put)))
        self._alertmanager = 0
        self.printed: dict[str, str] = {}
        for name in ("prometheus/rules", "sysusers.d", "tmpfiles.d", "systemd/system"):
            (self.etc / name).mkdir(parents=True)

    def do(self, step: dict[str, Any]) -> None:
        """Take a step."""
        if step["what"]:
            source, target = self.folder / step["what"], Path(step["to"])
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        elif step["templates"]:
            self._add_routes(step["templates"])
        elif step["yaml"]:
            (self.etc / "prometheus/prometheus.yml").write_text(step["yaml"])
        elif step["command"] and not ELSEWHERE.match(step["command"]):
            self._run(step["command"])

    def _add_routes(self, templates: str) -> None:
        path = self.folder / "trunkwatch-files/deploy/alertmanager/one-team.yml"
        added = yaml.safe_load(path.read_text().replace(":9095/", f":{self._inbox}/"))
        config = yaml.safe_load(OURS)
        config["route"]["routes"] = added["route"]["routes"]
        config["receivers"] += added["receivers"]
        config |= {"inhibit_rules": added["inhibit_rules"], "templates": [templates]}
        (self.etc / "prometheus/alertmanager.yml").write_text(yaml.safe_dump(config))

    def _run(self, command: str) -> None:
        program, *arguments = shlex.split(command)
        if command == "systemctl reload prometheus-alertmanager":
            config = self.etc / "prometheus/alertmanager.yml"
            self._alertmanager = self._stack.enter_context(running(config))
        elif command.startswith("systemd-sysusers && systemd-tmpfiles"):
            made = re.findall(
                r"^d /etc/(\S+)", (self.etc / "tmpfiles.d/trunkwatch.conf").read_text(), re.M
            )
            (self.etc / made[0]).mkdir()
        elif command == "systemctl enable --now trunkwatch":
            self._serve()
        elif program == "trunkwatch":
            given = [word.replace(":9093", f":{self._alertmanager}") for word in arguments]
            done = CliRunner().invoke(main, given)
            self.printed[given[0]] = done.output
            # The job that is broken already makes `check` end with 1.
            assert done.exit_code == int(given[0] == "check"), (command, done.output)
        else:
            # Only root may give a file to another group.
            typed = command.replace("-g trunkwatch ", "")
            if program in {"promtool", "amtool"}:
                typed = typed.replace(program, str(binary_path(program)), 1)
            subprocess.run(["sh", "-c", typed], cwd=self.folder, check=True, capture_output=True)

    def _serve(self) -> None:
        unit = (self.etc / "systemd/system/trunkwatch.service").read_text()
        config = re.search(r"--config\.file=(\S+)", unit)
        assert config is not None
        path = self.folder / config[1].lstrip("/")
        with exporter(self.folder, f"--config.file={path}") as ran:
            broken = re.compile(r'^ci_job_broken\{.*repo="o/r".*\} 1\.0$', re.MULTILINE)
            eventually(lambda: broken.search(ran.get("/metrics").text), "the broken job is exposed")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Return an empty machine, with a token and a stand-in GitHub."""
    with serving_github(world()) as github, ExitStack() as stack:
        for name, value in {
            "GITHUB_API_URL": github.url, "GITHUB_TOKEN": TOKEN, "XDG_CACHE_HOME": str(tmp_path),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield Machine(tmp_path, stack)


@pytest.mark.live
def test_the_document_leads_to_an_alert(machine: Machine) -> None:
    """From `check` to a test alert that arrives; what needs root or the network is left out."""
    text = read("docs/first-alert.md").replace("/etc/", f"{machine.etc}/")
    for step in STEP.finditer(text.replace("owner/name", "o/r")):
        machine.do(step.groupdict())
    assert "core-ci" in machine.printed["check-config"]
    first = machine.messages.get(timeout=PATIENCE)
    assert (first.path, first.body["status"]) == ("core-ci", "firing")
    assert first.body["commonLabels"]["team"] == "core"
