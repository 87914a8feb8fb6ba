"""The code blocks of the documents work: commands run, configurations and queries are accepted."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from trunkwatch.config.web_config import parse_web_config
from trunkwatch.demo.incident import INCIDENT

from tests.cli.transcript import in_process
from tests.docs import markdown
from tests.docs.markdown import FILES, PROJECT, name_of
from tests.support.binaries import binary_path

GUIDE = PROJECT / "CONTRIBUTING.md"  # tests/docs/test_guide.py follows it
DOCUMENTS = {name_of(file): file.read_text(encoding="utf-8") for file in FILES if file != GUIDE}

NOT_RUN: Mapping[str, str] = {
    r"make ": "test_every_make_target_shown_exists; CI runs the targets",
    r"export ": "a variable of the line after it",
    r"trunkwatch \w+ --repo": "needs GitHub; tests/cli has a stand-in for each command",
    r"trunkwatch serve": "a server; tests/poller/test_serve.py runs it",
    r"trunkwatch test-alert": "needs Alertmanager; tests/cli/test_delivery.py runs it",
    r"trunkwatch demo": "servers; tests/assets/test_package.py runs it",
    r"trunkwatch tickets": "a server; tests/tickets/test_service.py runs it",
    r"trunkwatch confirm": "a server; tests/confirm/test_service.py runs it",
    r"python3 -m venv |pip install |git clone ": "needs the network, or a folder outside the clone",
    r"(amtool|promtool|trunkwatch check-config) .*/etc/": "files of a machine; see tests/assets",
    r"python -m tools\.compare": "other programs and their servers; test_comparison.py runs it",
    r"python -m tests\.confirm": "minutes; tests/confirm/test_histories.py runs a short form",
    r"helm install": "needs a cluster; tests/deploy/test_kubernetes.py renders the chart",
    r"install |systemd-|systemctl ": "needs root; tests/deploy/test_systemd.py checks the files",
    r"sed -i |echo ": "part of docs/first-alert.md; test_first_alert.py follows it",
    r"python rules/build": "writes into the clone; tests/rules/test_rules.py runs it",
    r"python dashboards/build": "tests/dashboards/test_generator.py runs it",
    r"trunkwatch: |ci_job_|ci_group_": "output; test_docs.py compares it",
}
"""Shown lines that the tests do not run, and the reason."""

PLACEHOLDERS = {"part of a job name": "inductor_torchbench", "my.yml": "trunkwatch.yml"}

CHECK_SCHEMA = str(Path(sys.executable).with_name("check-jsonschema"))

SOURCES = "sources: [{name: a, type: recorded, path: incident.ndjson}]\n"
"""What a shown section needs to be a whole configuration."""

RECEIVERS = "route: {receiver: ticket}\n"
"""What the shown receivers need to be a whole configuration."""


def shown_commands() -> Iterator[str]:
    """Yield the commands of indented and `sh` blocks, without the folder of the program."""
    for text in DOCUMENTS.values():
        joined = [b.text.replace("\\\n", " ") for b in markdown.blocks(text, "sh")]
        for line in [*markdown.commands(text), *"\n".join(joined).splitlines()]:
            yield re.sub(r"^[\w./]*/", "", line.strip())


COMMANDS = sorted(set(shown_commands()))
RUN = [line for line in COMMANDS if not any(re.match(shown, line) for shown in NOT_RUN)]


def blocks(language: str) -> list[str]:
    """Return the contents of all blocks of a language."""
    return [b.text for text in DOCUMENTS.values() for b in markdown.blocks(text, language)]


def accepted(folder: Path, *command: str, text: str) -> str:
    """Return the complaint of promtool or amtool about a file, empty when there is none."""
    path = folder / "shown.yml"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("reason", NOT_RUN)
def test_every_exception_is_needed(reason: str) -> None:
    """Each exception is of a line that a document shows."""
    assert any(re.match(reason, line) for line in COMMANDS)


@pytest.mark.parametrize("command", RUN)
def test_a_shown_command_runs(command: str, tmp_path: Path) -> None:
    """It ends well beside the demo's configuration: 0, or 1 where a job is broken."""
    shutil.copy(INCIDENT, tmp_path / "incident.ndjson")
    shutil.copy(INCIDENT.with_name("trunkwatch.yml"), tmp_path)
    shutil.copy(PROJECT / "deploy" / "alertmanager" / "alertmanager.yml", tmp_path)
    for word, instead in PLACEHOLDERS.items():
        command = command.replace(word, instead)
    done = in_process(command, tmp_path)
    assert command.startswith("trunkwatch ")
    assert done.code == 0 or (done.code == 1 and done.stdout), done.stderr


def test_shown_commands_are_found() -> None:
    """Each command that needs no server and no network is among them."""
    found = {line.split()[1] for line in RUN}
    assert found == {"assets", "backtest", "check", "check-config", "explain", "record"}


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_shown_configuration_is_accepted(text: str, tmp_path: Path) -> None:
    """Trunkwatch, Prometheus, Alertmanager or GitHub's schema accepts its configuration."""
    sections = set(yaml.safe_load(text))
    kinds = {"sources", "confirm", "scrape_configs", "alerting", "receivers", "tls_server_config"}
    (section,) = (kinds - {"confirm"}) & sections or kinds & sections or {"workflow"}
    if section == "workflow":
        schema = (CHECK_SCHEMA, "--builtin-schema", "vendor.github-workflows")
        assert not accepted(tmp_path, *schema, text=text)
    elif section == "tls_server_config":
        parse_web_config(text.encode(), "web.yml")
    elif section in ("sources", "confirm"):
        text = text if section == "sources" else SOURCES + text
        (tmp_path / "trunkwatch.yml").write_text(text, encoding="utf-8")
        assert in_process("trunkwatch check-config", tmp_path).code == 0
    elif section in ("scrape_configs", "alerting"):
        assert not accepted(tmp_path, binary_path("promtool"), "check", "config", text=text)
    else:
        assert not accepted(
            tmp_path,
            binary_path("amtool"),
            "check-config",
            text=text if "route" in sections else RECEIVERS + text,
        )


def test_every_shown_query_is_accepted(tmp_path: Path) -> None:
    """Promtool parses each query of the runbooks."""
    queries = [line for text in blocks("promql") for line in text.splitlines()]
    assert queries
    rules = [{"record": f"shown:{n}", "expr": query} for n, query in enumerate(queries)]
    text = yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]})
    assert not accepted(
        tmp_path, binary_path("promtool"), "check", "rules", "--lint=none", text=text
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_after_the_documented_line(shell: str) -> None:
    """The line defines the completion; where the shell is bash, it completes a command."""
    (line,) = re.findall(rf"`([^`]*{shell}_source[^`]*)`", DOCUMENTS["docs/operations.md"])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def printed(script: str) -> str:
        command = ["bash", "-c", script]
        environment = {**os.environ, "PATH": path}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout

    (source,) = re.findall(r"_TRUNKWATCH_COMPLETE=\w+ trunkwatch", line)
    assert f"_TRUNKWATCH_COMPLETE={shell}_complete" in printed(source)
    if shell == "bash":
        words = "COMP_WORDS=(trunkwatch chec); COMP_CWORD=1; _trunkwatch_completion trunkwatch"
        found = printed(f'{line}; {words}; echo "${{COMPREPLY[@]}}"')
        assert found.split() == ["check", "check-config"]
